# SPDX-License-Identifier: Apache-2.0
"""Snapshots: arrays as they were at one instant; and copies."""
from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from . import _core, _places, _transaction
from ._array import Array
from ._group import Group
from .errors import make, unsupported


class StillArray(Array):
    """An array of a snapshot: read-only, and always the same."""

    def __init__(self, core, k, of):
        super().__init__(core.path(k), "", True, of._timeout_ms,
                         handle=core.array(k))
        self._of = of.name

    @property
    def name(self) -> str:
        """Of the array that it is a snapshot of."""
        return self._of

    @property
    def basename(self) -> str:
        return self._of.rpartition("/")[2]

    def with_options(self, *, timeout=None, read_only=None):
        raise unsupported("an array of a snapshot with other options")

    def snapshot(self, **_):
        raise make(-1, 0, 0, f"'{self._dir}' is an array of a snapshot already")

    def __reduce__(self):
        raise TypeError("an array of a snapshot cannot be pickled: open its "
                        "`store`, a plain Zarr array, as long as the snapshot "
                        "lives")


class StillGroup(Group):
    """A group of a snapshot: read-only. Its arrays are of one instant; its own
    attributes, and those of groups below, as they were read just before."""

    def __init__(self, of, nodes, below=""):
        self._of, self._found, self._below_ = of, nodes, below
        self._root, self._path = of._root, _join(of._path, below)
        self._dir = os.path.join(self._root, self._path)
        self._read_only = True
        self._timeout_ms, self._flags = of._timeout_ms, of._flags

    @property
    def zarr_format(self) -> int:
        return self._found[self._below_][1]

    @property
    def attrs(self):
        return StillAttributes(self._found[self._below_][2])

    def __getitem__(self, name):
        path = _join(self._below_, _places.normal(name))
        node = self._found.get(path)
        if node is None or path == self._below_:
            raise KeyError(name)
        return node if isinstance(node, Array) \
            else StillGroup(self._of, self._found, path)

    def __contains__(self, name) -> bool:
        path = _join(self._below_, _places.normal(name))
        return path in self._found and path != self._below_

    def _nodes(self, depth=1):
        start = self._below_ + "/" if self._below_ else ""
        names = [p[len(start):] for p in self._found
                 if p.startswith(start) and p != self._below_]
        return [(p, _core.NODE_ARRAY if isinstance(self._found[start + p], Array)
                 else _core.NODE_GROUP)
                for p in names if depth == 0 or p.count("/") < depth]

    def _info_rows(self):
        nodes = self._nodes()
        return [("Name", self.name), ("Type", "atomiczarr.Group (snapshot)"),
                ("Zarr format", self.zarr_format), ("Read-only", True),
                ("Store", self.store), ("No. members", len(nodes))]

    def _writable(self):
        raise make(-10, 0, 0, f"'{self._dir}' is of a snapshot: read-only")

    def snapshot(self, **_):
        raise make(-1, 0, 0, f"'{self._dir}' is of a snapshot already")

    def __reduce__(self):
        raise TypeError("a group of a snapshot cannot be pickled")


class StillAttributes(Mapping):
    """Attributes of a group of a snapshot."""

    def __init__(self, attributes):
        self._attributes = attributes

    def asdict(self):
        return dict(self._attributes)

    def __getitem__(self, name):
        return self._attributes[name]

    def __iter__(self):
        return iter(self._attributes)

    def __len__(self):
        return len(self._attributes)

    def __repr__(self):
        return f"Attributes({self._attributes!r})"


def _join(a, b):
    return f"{a}/{b}" if a and b else a or b


def _tree_of(group):
    """{path below: array or (None, format, attributes)}, a node before those
    below it."""
    found = {"": (None, group.zarr_format, group.attrs.asdict())}
    for path, kind in group._nodes(0):
        node = group[path]
        found[path] = node if kind == _core.NODE_ARRAY else \
            (None, node.zarr_format, node.attrs.asdict())
    return found


class Snapshot:
    """What `snapshot` gives: a context manager of arrays and groups as they
    were at one instant, read-only.

    ``with`` gives what was asked for: one node, or a tuple of them. It is
    closed, and its files are removed, when the block is left, by `close`, or
    when nothing refers to it any more; reads of its arrays are a ValueError
    from then on. It stays in this process and its forked children.
    """

    def __init__(self, nodes, copy, directory, timeout, progress):
        ms = _transaction.timeout_ms(timeout, _transaction.default_timeout_ms())
        trees = [{"": n} if isinstance(n, Array) else _tree_of(n)
                 for n in nodes]
        arrays = {}
        for tree in trees:
            for node in tree.values():
                if isinstance(node, Array):
                    arrays.setdefault(node._key, node)
        if arrays:
            self._core = _core.snapshot(
                tuple([a._h for a in arrays.values()]),
                _core.SNAPSHOT_COPY if copy else 0, ms,
                None if directory is None else os.fspath(directory), progress)
        else:
            self._core = None
        still = {key: StillArray(self._core, k, a)
                 for k, (key, a) in enumerate(arrays.items())}

        def of(tree, node):
            now = {path: still[n._key] if isinstance(n, Array) else n
                   for path, n in tree.items()}
            return now[""] if isinstance(node, Array) else StillGroup(node, now)
        #: what was asked for, in that order
        self.nodes = tuple([of(t, n) for t, n in zip(trees, nodes)])

    def __enter__(self):
        return self.nodes[0] if len(self.nodes) == 1 else self.nodes

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Remove it, once the reads that are under way have ended."""
        if self._core is not None:
            self._core.close()

    def __repr__(self):
        return f"<atomiczarr.Snapshot of {', '.join(map(repr, self.nodes))}>"


def _node(x):
    if isinstance(x, (StillArray, StillGroup)):
        x.snapshot()  # refuses
    if isinstance(x, (Array, Group)):
        return x
    from ._open import open
    return open(x, "r")


def _alone(what):
    if _transaction.current():
        raise unsupported(f"{what} cannot take part in a transaction; use it "
                          "before or after")


def snapshot(*nodes, timeout=None, copy=False, directory=None,
             progress=None) -> Snapshot:
    """Arrays, groups with all arrays below them, or paths of such, as they are
    at one instant::

        with az.snapshot(temperature, humidity) as (t, h): …
        with group.snapshot() as g: g["a/b"][:]

    Taken beside writers at full speed; no lock is held afterwards. Chunks are
    linked, not copied: the price is the space of what is replaced meanwhile.
    `copy`: copied, which is safe from programs that write into chunks in place
    as well. `directory`: stand below it, by copy, for who may not write in the
    arrays' ``.azr`` (PermissionError without). `timeout`: seconds for the
    taking. ``progress(done, total)`` is told of chunks; what it raises ends the
    taking.
    """
    _alone("a snapshot")
    if not nodes:
        raise TypeError("snapshot: of what? Give arrays, groups or paths")
    return Snapshot([_node(n) for n in nodes], copy, directory, timeout,
                    progress)


def snapshots(store, path=None) -> list[dict]:
    """The snapshots that stand in an array's ``.azr`` now, one dict each:
    ``id``, ``alive`` (somebody holds it; else it is rubbish that the next one
    removes), ``pid``, ``uid``, ``host``, ``start_time_ns``, ``objects``,
    ``nbytes`` and ``kept_nbytes`` (bytes that it alone still holds)."""
    from ._open import open_array
    a = store if isinstance(store, Array) else open_array(store, "r", path=path)
    return a._h.snapshots()


class Copied(NamedTuple):
    """What `copy` did; `nbytes` of chunks as they are stored. `one_instant`:
    all arrays are as they were at one instant (up to 64 arrays)."""

    one_instant: bool
    arrays: int
    groups: int
    chunks: int
    nbytes: int


def copy(source, destination, *, timeout=None, progress=None) -> Copied:
    """Copy an array or a group, with all below it, to a path where nothing may
    be (FileExistsError) and whose parent must exist. The copy is of one instant
    and appears whole or not at all; documents are copied byte for byte.

    `timeout`: seconds of the waits for each array's instant.
    ``progress(done, total)`` is told of chunks; what it raises ends the copy.
    """
    _alone("a copy")
    ms = _transaction.timeout_ms(timeout, _transaction.default_timeout_ms())
    source = source._dir if isinstance(source, (Array, Group)) \
        else _places.root_of(source)
    return Copied(*_core.copy(source, _places.root_of(destination), ms,
                              progress))


def append_all(parts, axis=0, *, timeout=None):
    """Append to several arrays at once, all or nothing: data and the
    coordinates that belong to them. ``{array: data, …}``, or pairs ``(array,
    data)``; each along `axis`. Gives where each landed: a dict of the same
    arrays, or a list.

    It waits its turn as `Array.append` does, and is never in conflict with
    other participants. The arrays are different ones on one file system. In a
    transaction it is a part of that.
    """
    pairs = list(parts.items() if isinstance(parts, dict) else parts)
    ms = _transaction.timeout_ms(timeout, _transaction.default_timeout_ms())
    if _transaction.current():
        found = [a.append_at(data, axis) for a, data in pairs]
    else:
        items = []
        for a, data in pairs:
            a._writable()
            data, along = a._appended(data, axis)
            items.append((a._h, along, data))
        found = list(_core.append_all(tuple(items), ms))
    if isinstance(parts, dict):
        return {a: at for (a, _), at in zip(pairs, found)}
    return found
