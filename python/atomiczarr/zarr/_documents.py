# SPDX-License-Identifier: Apache-2.0
"""Metadata documents: read as they are committed, created once, and changed by
what is meant instead of by the whole text."""
from __future__ import annotations

import fcntl
import json
import os
import shutil
import uuid

from zarr.errors import ContainsArrayError, ContainsGroupError

from .. import _core, _transaction
from ..errors import (ConflictError, CorruptError, ExistsError, NotFoundError,
                      UnsupportedError, make)
from . import _pipeline

NAMES = frozenset(("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"))
NOTHING, ARRAY, GROUP = 0, _core.NODE_ARRAY, _core.NODE_GROUP

_TRIES = 4  # of two looks that must agree


def conflict(message):
    return make(-5, 0, 0, message)


def timeout_ms():
    timeout = _pipeline._option("timeout", None)
    return (_transaction.default_timeout_ms() if timeout is None
            else _transaction.timeout_ms(float(timeout)))


def tree_flags(*more):
    flags = _core.TREE_INSIST if _pipeline._option("insist", False) else 0
    for flag in more:
        flags |= flag
    return flags


def kind_of(directory):
    """What stands there, for who is to write: NOTHING also for a document that
    nobody can read."""
    try:
        kind, _ = _core.node_at(directory)
    except NotFoundError:
        return NOTHING
    except OSError:
        raise
    except Exception as e:
        if getattr(e, "code", 0) in (-6, -7):
            return NOTHING
        raise
    return kind if kind in (ARRAY, GROUP) else NOTHING


def parse(name, data):
    """A document of that name as a dictionary; None: it is none of zarr's."""
    try:
        found = json.loads(bytes(data))
    except (ValueError, UnicodeDecodeError):
        return None
    if not isinstance(found, dict):
        return None
    if name == "zarr.json":
        if found.get("node_type") not in ("array", "group"):
            return None
        return found if found.get("zarr_format") == 3 else None
    if name == ".zarray":
        return found if "shape" in found and "chunks" in found else None
    return found


def is_array(name, document):
    return name == ".zarray" or document.get("node_type") == "array"


# ------------------------------------------------------------------ reading ---


def read_file(path, start=0, stop=None):
    """Bytes of a file, or None. A negative start counts from the end."""
    try:
        with open(path, "rb") as f:
            if start < 0:
                start = max(0, os.fstat(f.fileno()).st_size + start)
            f.seek(start)
            return f.read() if stop is None else f.read(max(0, stop - start))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None


class _Opened:
    """As `_Running.handle` takes it: it stays open until the transaction ends."""

    __slots__ = ("_dir", "_key", "_h", "read_only")

    def __init__(self, directory, flags):
        self._dir, self._key = directory, os.path.realpath(directory)
        self.read_only = not flags & _core.OPEN_WRITE
        self._h = _core.open_array(directory, flags, 0, timeout_ms())


def handle(directory, writing, running=None):
    """An open array, opaque if its codecs or its type are not the library's;
    in a transaction the one that it has."""
    flags = getattr(_core, "OPEN_OPAQUE", 0)
    if writing:
        flags |= _core.OPEN_WRITE
    if _pipeline._option("insist", False):
        flags |= _core.OPEN_INSIST
    if running is None:
        return _core.open_array(directory, flags, 0, timeout_ms())
    found = running.handles.get(os.path.realpath(directory))
    return running.handle(found or _Opened(directory, flags))


def read(directory, name, read_only):
    """A document as it is committed: what has been, but does not yet stand
    under its name (its writer is about to put it there, or dead), is seen."""
    path = os.path.join(directory, name)
    data = read_file(path)
    if name not in ("zarr.json", ".zarray", ".zattrs") \
            or not os.path.exists(f"{directory}/.azr/state"):
        return data
    if data is None:
        return awaited(directory, name)
    for k in range(_TRIES):
        document = parse(name, data)
        if document is None:
            return data
        try:
            # opened for writing it finishes what the dead have left
            h = handle(directory, k > 1 and not read_only)
            true = _corrected(name, document, h)
        except (CorruptError, NotFoundError, UnsupportedError):
            return data
        if true is None:
            return data
        data = read_file(path)
        if data is None:
            return None
    return json.dumps(true).encode()


def awaited(directory, name):
    """What is committed and stands nowhere yet, of an array that a transaction has
    created; None: there is no such thing."""
    try:
        return _core.node_document(directory, name)
    except (CorruptError, NotFoundError, UnsupportedError):
        return None


def _corrected(name, document, h):
    """The document as the library has it; None: as it is."""
    true = dict(document)
    if name != ".zattrs":
        true["shape"] = list(h.shape(None))
    if name == ".zattrs":
        true = json.loads(h.attributes(None))
    elif name == "zarr.json" and (document.get("attributes")
                                  or h.attributes(None) != "{}"):
        true["attributes"] = json.loads(h.attributes(None))
    return None if _same(true, document) else true


def _same(a, b):
    """Equal as JSON; NaN is equal to itself."""
    return a == b or json.dumps(a, sort_keys=True) == json.dumps(
        b, sort_keys=True)


# ----------------------------------------------------------------- creating ---


def put(path, data):
    """A file that is nothing of ours: whole, by a rename."""
    beside = os.path.join(os.path.dirname(path), f".azr-{uuid.uuid4().hex}")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        with open(beside, "wb") as f:
            f.write(data)
        os.replace(beside, path)
    except BaseException:
        _forget(beside)
        raise


def put_new(path, data):
    """The same, FileExistsError if there is one; of two exactly one succeeds."""
    beside = os.path.join(os.path.dirname(path), f".azr-{uuid.uuid4().hex}")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        _write(beside, data)
        os.link(beside, path)
    finally:
        _forget(beside)


def _write(path, data):
    with open(path, "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())


def _forget(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


class Hidden:
    """A directory beside what is to come into place from it; nobody sees it. Its
    lock is held, else it would be rubbish of a dead maker, which others remove.
    What is built is two levels below: making nodes takes locks like that one."""

    def __init__(self, target):
        above = os.path.dirname(target)
        os.makedirs(above, exist_ok=True)
        self.top = os.path.join(above, f".azr-new-{uuid.uuid4().hex}")
        os.mkdir(self.top)
        self._lock = os.open(self.top, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.inside = os.path.join(self.top, "built")
        os.mkdir(self.inside)

    def node(self, documents):
        """A node with these documents."""
        path = os.path.join(self.inside, "node")
        os.mkdir(path)
        for name, data in documents.items():
            _write(os.path.join(path, name), data)
        return path

    def close(self):
        """What has not come into place goes."""
        shutil.rmtree(self.top, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1


def create(directory, name, data):
    """The first document of a node, which makes it one: of two creators exactly
    one succeeds, and consolidated metadata above has it from then on."""
    if not os.path.lexists(directory):
        hidden = Hidden(directory)
        try:
            return _core.tree_move(hidden.node({name: data}), directory,
                                   tree_flags(), timeout_ms())
        except ExistsError:
            pass  # somebody has made the directory: below it, or the same node
        finally:
            hidden.close()
    if kind_of(directory) != NOTHING:
        raise exists(directory)
    try:
        put_new(os.path.join(directory, name), data)
    except FileExistsError:
        raise exists(directory) from None
    renew_above(directory)
    return None


def exists(directory):
    """What zarr raises itself where it finds that there is one."""
    kind = kind_of(directory)
    cls = ContainsArrayError if kind == ARRAY else ContainsGroupError
    text = (f"'{directory}' was created by another one meanwhile: there is "
            f"{'an array' if kind == ARRAY else 'a group'}; open it")
    try:
        return cls(text)
    except IndexError:  # zarr 3.0 has a text of its own, for store and path
        return cls(directory, "")


def replace(directory, documents):
    """A new node in the place of what is there, with all below it, in one step."""
    hidden = Hidden(directory)
    try:
        _core.tree_replace(hidden.node(documents), directory, tree_flags(),
                           timeout_ms())
    finally:
        hidden.close()


def remove(directory):
    """A node with all below it, in one step; or any directory."""
    _core.remove(directory, tree_flags(
        _core.TREE_RECURSIVE, _core.TREE_FORCE), timeout_ms())


def renew_above(directory):
    """Consolidated metadata of the groups above, if they have some."""
    while True:
        directory, below = os.path.split(directory)
        if not below or kind_of(directory) != GROUP:
            return
        group = _core.open_group(directory, _core.OPEN_WRITE, timeout_ms())
        if group.info()[1]:
            group.consolidate()


# ----------------------------------------------------------------- changing ---


def json_of(value):
    return json.dumps(value)


def differences(change, attributes):
    """What `change` does to attributes: names with their new values, and names
    that go. `attributes` is what zarr wants to write, all of them; what it
    knows and does not touch stays whatever it is now."""
    new = {k: v for k, v in attributes.items()
           if k in change.touched or k not in change.attributes
           or not _same(v, change.attributes[k])}
    return new, [k for k in change.attributes if k not in attributes]


def merged(attributes, new, gone):
    return {k: v for k, v in {**attributes, **new}.items() if k not in gone}


def attributes_of(name, document):
    return document.get("attributes", {}) if name == "zarr.json" else document


def change_array(directory, name, document, change, running):
    """One transaction: the new shape, if the array has the one that the changer
    knew, and the attributes that he means; all others stay."""
    if change is None:
        raise exists(directory)
    new, gone = ({}, []) if name == ".zarray" else differences(
        change, attributes_of(name, document))
    shape = None if name == ".zattrs" else tuple(document["shape"])
    if shape == tuple(change.shape):
        shape = None
    if shape is None and not new and not gone:
        return None
    try:
        h = handle(directory, True, running)
    except CorruptError:
        if running is not None:
            raise
        return _change_text(directory, name, change, shape, new, gone)

    def body(core):
        if shape is not None:
            _check_shape(directory, h, core, change.shape, shape)
            h.resize(shape, None, core)
        for k, v in new.items():
            h.attribute_set(k, json_of(v), None, core)
        for k in gone:
            h.attribute_set(k, None, None, core)
        return True

    if running is not None:
        return body(running.core)
    return _core.run(_again(body), timeout_ms())


def set_attributes(h, attributes):
    """Of an open array, in one transaction."""
    def body(core):
        for k, v in attributes.items():
            h.attribute_set(k, json_of(v), None, core)
        return True

    _core.run(_again(body), timeout_ms())


def _change_text(directory, name, change, shape, new, gone):
    """The same for a document that the library takes for damaged and zarr does
    not, as of an array with chunks of length 0, which has no elements: under the
    lock of its directory."""
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = os.path.join(directory, name)
        now = parse(name, read_file(path) or b"{}")
        if shape is not None:
            if tuple(now["shape"]) != tuple(change.shape):
                raise conflict(f"'{directory}' was resized by another one")
            now["shape"] = list(shape)
        if name == ".zattrs":
            now = merged(now, new, gone)
        elif name == "zarr.json":
            now["attributes"] = merged(attributes_of(name, now), new, gone)
        put(path, json.dumps(now).encode())
    finally:
        os.close(lock)


def _again(body):
    """For _core.run, which runs what is in conflict once more. A conflict with
    what the caller knows would be the same then: that is no ConflictError of
    the library's (its code is), and goes through."""
    def tried(core):
        try:
            return body(core)
        except _Stale:
            raise
        except ConflictError:
            return False
    return tried


class _Stale(ConflictError):
    """The array has been resized since it was opened."""

    __module__ = "atomiczarr.errors"
    __qualname__ = __name__ = "ConflictError"


def _check_shape(directory, h, core, known, wanted):
    now = tuple(h.shape(core))
    if now == tuple(known):
        return
    raise _Stale(
        f"'{directory}': resize from {tuple(known)} to {wanted}, but its shape "
        f"is {now} now: somebody else has resized it; nothing was changed, "
        "open it again")


def change_group(directory, name, document, change):
    """The attributes that are meant, by one replacement of the document, and
    consolidated metadata as it is true now."""
    g = _core.open_group(directory, _core.OPEN_WRITE, timeout_ms())
    if change is not None and name != ".zgroup":
        new, gone = differences(change, attributes_of(name, document))
        changes = [(k, json_of(v)) for k, v in new.items()]
        changes += [(k, None) for k in gone]
        if changes:
            g.attributes_change(changes, None)
    elif change is None and not _same_group(g, name, document):
        raise exists(directory)
    if document.get("consolidated_metadata") and name == "zarr.json":
        g.consolidate()


def _same_group(g, name, document):
    """Is it what is there already, or only consolidated?"""
    if name == ".zgroup" or document.get("consolidated_metadata"):
        return True
    return _same(json.loads(g.attributes()), attributes_of(name, document))
