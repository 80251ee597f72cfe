# SPDX-License-Identifier: Apache-2.0
"""Transactions over a store: many steps of zarr, or of xarray, as one commit.

Two kinds of changes, each of which the library can make at one instant:

- of arrays: chunks, shapes and attributes of those that are there, and new ones
  in groups that are there, are in a transaction of the library,
- of one node, with all below it: what is made, or made anew, is built hidden
  beside its place, and comes there by one rename (an exchange, if something is
  there).

Both in one transaction cannot be one instant, so that is refused. A new array in
an old group is the second kind as long as it is alone, since that needs no memory;
when something else changes it goes over to the first.
"""
from __future__ import annotations

import json
import os
import threading

from .. import _core, _transaction
from ..errors import (ConflictError, CorruptError, ExistsError, NotFoundError,
                      UnsupportedError, unsupported)
from . import _documents, _pipeline
from ._store import (AtomicStore, HiddenStore, _coordinates, _list,
                     put_document)


class StoreTransaction:
    """What `transaction` gives: a context manager."""

    def __init__(self, store, timeout=None):
        if not isinstance(store, AtomicStore):
            raise TypeError("transaction() needs an AtomicStore, not a "
                            f"{type(store).__name__}")
        self.store = store
        self.running = None
        ms = _transaction.timeout_ms(timeout)
        self._timeout_ms = _documents.timeout_ms() if ms is None else ms
        self._outer = None
        self._pid = os.getpid()
        self._tree = None  # what is built hidden
        self._documents = {}  # of arrays that are there, as they are to be
        self._consolidate = set()
        self._waiting = {}  # .zattrs that come before their .zarray

    # ---------------------------------------------------------- begin, end ---

    def __enter__(self):
        self._outer = self.store._shared.transaction
        if self._outer is not None:
            if self._outer.running.thread != threading.get_ident():
                raise RuntimeError(f"{self.store!r} is in a transaction of "
                                   "another thread")
            return self._outer
        if _transaction._current.get() is not None:
            raise RuntimeError("a transaction of a store must be the outer one")
        # Not the thread's, as az.transaction() is, but the store's: dask writes
        # on threads that do not know who waits for them.
        self.running = _transaction._Running(_core.begin(self._timeout_ms))
        self.store._shared.transaction = self
        return self

    def __exit__(self, kind, value, traceback):
        if self._outer is not None:
            return None  # the outer one decides
        self.store._shared.transaction = None
        try:
            if kind is None:
                return self._commit()
            return self._give_up(value)
        finally:
            self._discard()

    def _give_up(self, value):
        """Reads of a transaction may disagree with each other until its end says
        so: was that the cause of this exception?"""
        core = self.running.core
        if core.wrote() or not isinstance(value, Exception) \
                or isinstance(value, ConflictError):
            return core.rollback()
        try:
            return core.commit()
        except ConflictError as e:
            raise e from value

    def _commit(self):
        core = self.running.core
        if self._tree is not None and core.wrote():
            try:
                self._take_over()
            except BaseException:
                core.rollback()
                raise
        # What was read is checked, what was written committed: if either fails
        # nothing has happened, and what was built goes.
        try:
            core.commit()
        except ExistsError as e:
            raise _documents.conflict(
                f"{e}: it was created by another one meanwhile; nothing was "
                "done") from None
        if self._tree is not None:
            self._tree.publish()
        for directory in self._consolidate:
            _core.open_group(directory, _core.OPEN_WRITE,
                             _documents.timeout_ms()).consolidate()

    def _discard(self):
        if self._tree is not None:
            self._tree.discard()

    def _two_kinds(self, path, what):
        return unsupported(
            f"'{self.store._path(path)}': {what} and other changes cannot be "
            "one transaction. One changes arrays, and makes new ones in groups "
            "that are there; another creates, replaces or removes one node with "
            "all that is below it. Use a transaction for each; a new group may "
            "be made before, empty, and its arrays in the transaction")

    # -------------------------------------------------- what the store asks ---

    def store_of(self, store, key):
        """The store in which a key is: the hidden one, or `store` itself."""
        if self._pid != os.getpid():
            raise RuntimeError(f"{store!r} is in a transaction of the process "
                               "that this one was forked from")
        tree = self._tree
        if tree is None or not tree.holds(key):
            return store
        return tree.store.with_read_only(True) if store.read_only \
            else tree.store

    def document(self, store, key, directory, name):
        if key in self._documents:
            return self._documents[key]
        if self._documents and name == ".zmetadata":
            return None  # it is renewed by the commit; till then it is stale
        data = _documents.read(directory, name, store.read_only)
        found = None if data is None else _documents.parse(name, data)
        if found is None:
            return data
        if _documents.is_array(name, found):
            shape = self._depend(store, directory)
            if shape is not None and list(shape) != found["shape"]:
                # resized since: what counts is what the commit looks at
                return json.dumps({**found, "shape": list(shape)}).encode()
        elif self._documents and found.pop("consolidated_metadata", None):
            return json.dumps(found).encode()
        return data

    def _depend(self, store, directory):
        """The shape that is seen holds until the commit, or that fails."""
        if not os.path.exists(f"{directory}/.azr/state"):
            return None  # nobody of ours has written there
        try:
            return _documents.handle(directory, not store.read_only,
                                     self.running).shape(self.running.core)
        except (CorruptError, NotFoundError, UnsupportedError):
            return None

    def put(self, store, key, name, data, change):
        path = key.rpartition("/")[0]
        hidden = self.store_of(store, key)
        if hidden is not store:  # since the call began
            return put_document(hidden._path(path), name, data, change)
        directory = store._path(path)
        document = _documents.parse(name, data)
        kind = _documents.kind_of(directory)
        if document is None:
            raise unsupported(f"'{directory}/{name}' is no metadata of zarr's: "
                              "it cannot be written in a transaction")
        if directory in self.running.made:
            return self._change_made(key, directory, name, document, change)
        if kind == _documents.NOTHING:
            return self._create(path, name, data, change)
        if kind == _documents.ARRAY:
            return self._change_array(key, directory, name, document, change)
        return self._change_group(directory, name, document, change)

    def remove(self, store, path):
        directory = store._path(path)
        if _documents.kind_of(directory) != _documents.NOTHING:
            self._build(path, True)
        elif os.path.isdir(directory) and os.listdir(directory):
            raise unsupported(f"'{directory}' is no array or group: it cannot "
                              "be removed in a transaction")

    def listed(self, store, prefix, found):
        tree = self._tree
        found = found + [key for key in self._made_keys()
                         if not prefix or key.startswith(prefix + "/")]
        if tree is None:
            return found
        found = [key for key in found if not tree.holds(key)]
        if not prefix or tree.path.startswith(prefix + "/"):
            found += _list(tree.store, tree.path)
        return found

    def _made_keys(self):
        """Of the documents of arrays that are made."""
        return [key for key in self._documents if self.store._path(
            key.rpartition("/")[0]) in self.running.made]

    def listed_dir(self, store, prefix, names):
        tree = self._tree
        above = prefix + "/" if prefix else ""
        names = names + sorted({
            key[len(above):].partition("/")[0] for key in self._made_keys()
            if key.startswith(above)} - set(names))
        if tree is None or tree.path.rpartition("/")[0] != prefix:
            return names
        name = tree.path.rpartition("/")[2]
        names = [n for n in names if n != name]
        return names + [name] if os.path.isdir(tree.source) else names

    # ------------------------------------------------------------ creation ---

    def _create(self, path, name, data, change):
        """A new node. Of those above it that are missing the topmost one is
        what comes into place."""
        if (self._tree is not None or self.running.core.wrote()) \
                and self._may_join(path, name, data):
            if self._tree is not None:
                self._take_over()
            return self._join(path, name, data)
        names = path.split("/") if path else []
        for k in range(len(names) + 1):
            top = "/".join(names[:k])
            directory = self.store._path(top)
            if _documents.kind_of(directory) == _documents.NOTHING and (
                    k == len(names) or not os.path.isdir(directory)
                    or not os.listdir(directory)):
                break
        self._build(top, False)
        return put_document(self._tree.store._path(path), name, data, change)

    def _build(self, path, replacing):
        if self._tree is not None or self.running.core.wrote():
            raise self._two_kinds(path, _what(replacing))
        self._tree = _Tree(self.store, path, replacing)

    # ------------------------------------- new arrays in groups that are there ---

    def _may_join(self, path, name, data):
        """Is it an array (or the .zattrs of one, perhaps) in a group that is
        there?"""
        if not path or name != ".zattrs" and not _documents.is_array(
                name, _documents.parse(name, data)):
            return False
        above = self.store._path(path.rpartition("/")[0])
        return _documents.kind_of(above) == _documents.GROUP

    def _join(self, path, name, data):
        """It is made by the library's transaction."""
        if name == ".zattrs":
            self._waiting[path] = data
            return
        documents = {name: data}
        if name == ".zarray" and path in self._waiting:
            documents[".zattrs"] = self._waiting.pop(path)
        self._make(path, documents)

    def _make(self, path, documents):
        directory = self.store._path(path)
        info = self._what_it_is(directory, documents)
        flags = _core.OPEN_INSIST if _documents.tree_flags() else 0
        if info["opaque"]:
            flags |= _core.OPEN_OPAQUE
        name = "zarr.json" if "zarr.json" in documents else ".zarray"
        attributes = documents.get(".zattrs")
        handle = self.running.core.create_from(
            directory, self._timeout_ms, flags, info["zarr_format"],
            bytes(documents[name]).decode(),
            attributes and bytes(attributes).decode(), len(info["shape"]),
            self._durability())
        made = _pipeline.Made(directory, handle, info)
        self.running.adopt(made)
        self.running.made[directory] = made
        for name, data in documents.items():
            self._documents[f"{path}/{name}"] = bytes(data)
        return made

    def _what_it_is(self, directory, documents):
        """As the library takes it, of an array like it that nobody sees."""
        hidden = _documents.Hidden(directory)
        try:
            return _documents.handle(hidden.node(documents), False).info()
        finally:
            hidden.close()

    def _durability(self):
        """One transaction has one: that of the arrays which it changes."""
        for place in self.running.handles.values():
            if not isinstance(place, _pipeline.Made):
                return place._h.info()["durability"]
        return 0

    def _take_over(self):
        """What was built hidden becomes a part of the library's transaction, if
        it is one new array."""
        tree = self._tree
        documents = tree.new_array()
        if documents is None or not self._may_join(
                tree.path, *next(iter(documents.items()))):
            raise self._two_kinds(tree.path, _what(tree.replacing))
        made = self._make(tree.path, documents)
        for key in _list(tree.store, tree.path):
            path = tree.store._path(key)
            index = _coordinates(made.info, tree.source, path)
            if index is not None and os.path.basename(path) not in documents:
                self.running.core.write_chunk(made._h, index,
                                              _documents.read_file(path))
        self._tree = None
        tree.discard()

    def _change_made(self, key, directory, name, document, change):
        if change is not None:
            return self._change_array(key, directory, name, document, change)
        if name != ".zattrs":
            raise _documents.exists(directory)
        h = self.running.made[directory]._h  # the second document of format 2
        for k, v in document.items():
            h.attribute_set(k, _documents.json_of(v), None, self.running.core)
        self._documents[key] = json.dumps(document).encode()

    # ------------------------------------------------------------- changes ---

    def _change_array(self, key, directory, name, document, change):
        if self._tree is not None:
            self._take_over()
        before = self.document(self.store, key, directory, name)
        _documents.change_array(directory, name, document, change, self.running)
        now = _documents.parse(name, before) if before else {}
        if name != ".zarray":
            attributes = _documents.merged(
                _documents.attributes_of(name, now), *_documents.differences(
                    change, _documents.attributes_of(name, document)))
            now = attributes if name == ".zattrs" else {
                **now, "attributes": attributes}
        if name != ".zattrs":
            now["shape"] = document["shape"]
        self._documents[key] = json.dumps(now).encode()

    def _change_group(self, directory, name, document, change):
        """Groups have no part in the library's transactions, since they have no
        rows: what changes nothing, and consolidation, which follows from the rest,
        goes."""
        if name == ".zmetadata" or document.get("consolidated_metadata"):
            self._consolidate.add(directory)
            if name == ".zmetadata":
                return
        if name == ".zgroup":
            return
        g = _core.open_group(directory, 0, _documents.timeout_ms())
        now = json.loads(g.attributes())
        attributes = _documents.attributes_of(name, document)
        if change is None:
            if not document.get("consolidated_metadata") \
                    and not _documents._same(attributes, now):
                raise _documents.exists(directory)
            return
        new, gone = _documents.differences(change, attributes)
        names = [k for k in new if k not in now
                 or not _documents._same(new[k], now[k])]
        names += [k for k in gone if k in now]
        if names:
            raise unsupported(
                f"'{directory}': attributes of a group that is there cannot "
                f"change in a transaction, and {_some(names)} would. Change "
                "them before or after it, which is a step of its own; those of "
                "arrays can be in it")


def _what(replacing):
    return ("replacing or removing what is there" if replacing
            else "a new group, or what is made in one,")


def _some(names):
    """So many that a line holds them."""
    shown = ", ".join([repr(name[:40]) for name in names[:5]])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


class _Tree:
    """A node that is built hidden, beside its place, in a mirror of the store."""

    def __init__(self, store, path, replacing):
        self.path, self.replacing = path, replacing
        self.target = store._path(path)
        self._hidden = _documents.Hidden(self.target)
        self.store = HiddenStore(os.path.join(self._hidden.inside, "store"))
        self.source = self.store._path(path)

    def holds(self, key):
        return not self.path or key == self.path \
            or key.startswith(self.path + "/")

    def new_array(self):
        """Its documents, if it is nothing but a new array."""
        if self.replacing or _documents.kind_of(self.source) \
                != _documents.ARRAY:
            return None
        found = {name: _documents.read(self.source, name, False)
                 for name in ("zarr.json", ".zarray", ".zattrs")}
        return {name: data for name, data in found.items() if data is not None}

    def publish(self):
        """The one instant. Of a new node nobody else may have been faster."""
        self._close_arrays()
        made = _documents.kind_of(self.source) != _documents.NOTHING
        if not made:
            if self.replacing:
                _documents.remove(self.target)
            return
        if self.replacing:
            return self._replace()
        try:
            return self._move()
        except ExistsError:
            pass
        try:
            os.rmdir(self.target)  # an empty one, such as the store's own
        except OSError:
            if _documents.kind_of(self.target) == _documents.NOTHING:
                return self._replace()
        try:
            return self._move()
        except ExistsError:
            raise _documents.conflict(
                f"'{self.target}' was created by another one meanwhile; "
                "nothing was done") from None

    def _replace(self):
        _core.tree_replace(self.source, self.target, _documents.tree_flags(),
                           _documents.timeout_ms())

    def _move(self):
        _core.tree_move(self.source, self.target, _documents.tree_flags(),
                        _documents.timeout_ms())

    def _close_arrays(self):
        """Handles of what is hidden, whose path leads nowhere from now on."""
        with _pipeline._places_lock:
            for key in list(_pipeline._places):
                if key[0].startswith(self._hidden.top):
                    del _pipeline._places[key]

    def discard(self):
        """What was not published goes; after that nothing is left anyway."""
        self._close_arrays()
        self._hidden.close()


def transaction(store, timeout=None) -> StoreTransaction:
    """``with transaction(store): …``: all that is done through this store
    inside, in this thread and in those that work for it, is one step: data,
    shapes and attributes of arrays that are there, and new arrays in groups that
    are there; or one array or group that is created, replaced or removed, with
    all that is below it.

    Raises `ConflictError` if what was read has been changed by others, and then
    nothing has happened.
    """
    return StoreTransaction(store, timeout)
