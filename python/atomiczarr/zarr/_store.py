# SPDX-License-Identifier: Apache-2.0
"""A store for zarr-python 3 in which also what does not pass the codec pipeline
is safe: attributes, resize and append, creation, replacing and removal.

    z = zarr.open(AtomicStore("x.zarr"))

Its arrays have the atomic pipeline, whatever is configured. Metadata documents
are committed under the locks of the library; `_callers` tells what is meant by
one. Nothing here waits on zarr's event loop.
"""
from __future__ import annotations

import asyncio
import contextvars
import os
import shutil
import sys
import time
from contextlib import contextmanager

from zarr.abc.store import (OffsetByteRequest, RangeByteRequest,
                            SuffixByteRequest)
from zarr.core.array import AsyncArray
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.storage import LocalStore, StorePath

from .. import _array, _core, _transaction
from ..errors import (ConflictError, CorruptError, NotFoundError,
                      UnsupportedError)
from . import _callers, _documents
from ._pipeline import (AtomicCodecPipeline, _off_the_loop, _option,
                        has_array)

_REPLACING = 30  # seconds from a deletion to the document that replaces it


class _Shared:
    """What a store shares with the ones made of it, as by ``mode="r"``."""

    __slots__ = ("transaction",)

    def __init__(self):
        self.transaction = None  # a StoreTransaction in progress


class AtomicStore(LocalStore):
    """A directory as a store of zarr-python, in which every operation is atomic.

    As `zarr.storage.LocalStore`, and besides: metadata that others have changed
    meanwhile are merged (attributes) or a `ConflictError` (shapes), never lost;
    of two creators one wins; what is overwritten is replaced in one step;
    consolidated metadata stay true; chunks are read and written under the
    library's locks. `transaction` makes many steps one.

    It pickles, and coordinates with the same directory in other processes.
    """

    supports_partial_writes = False  # zarr 3.0 would write in place

    def __init__(self, root, *, read_only=False):
        super().__init__(os.fspath(root) if not isinstance(root, str) else root,
                         read_only=read_only)
        self._shared = _Shared()

    def with_read_only(self, read_only=False):
        other = type(self)(self.root, read_only=read_only)
        other._shared = self._shared
        return other

    def __repr__(self):
        return f"AtomicStore('{self}')"

    def __getstate__(self):
        if self._shared.transaction is not None:
            raise RuntimeError(f"{self!r} is in a transaction, which cannot go "
                               "to another process")
        return {**self.__dict__, "_shared": None}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._shared = _Shared()

    # --------------------------------------------------------------- places ---

    def _path(self, key):
        names = [n for n in key.split("/") if n]
        if any(_hidden(n) for n in names):
            raise ValueError(f"the key {key!r} is atomiczarr's own")
        if ".." in names:
            raise ValueError(f"the key {key!r} leaves the store")
        return os.path.join(os.path.abspath(self.root), *names)

    def _of(self, key):
        """The store in which the key is: in a transaction that builds what it
        is in, the hidden one."""
        transaction = self._shared.transaction
        return self if transaction is None else transaction.store_of(self, key)

    async def _call(self, key, fn, *args):
        """``fn(store, key, …)`` off the event loop, in the transaction."""
        await self._ensure_open()
        store = self._of(key)
        with _running(store):
            return await _off_the_loop(fn, store, key, *args)

    # -------------------------------------------------------------- reading ---

    async def get(self, key, prototype=None, byte_range=None):
        prototype = prototype or default_buffer_prototype()
        if _being_replaced(self, key):
            return None
        data = await self._call(key, _get, byte_range)
        return None if data is None else prototype.buffer.from_bytes(data)

    async def get_partial_values(self, prototype, key_ranges):
        return [await self.get(key, prototype, byte_range)
                for key, byte_range in key_ranges]

    async def exists(self, key):
        if _being_replaced(self, key):
            return False
        return await self._call(key, _exists)

    async def getsize(self, key):
        size = await self._call(key, _size)
        if size is None:
            raise FileNotFoundError(key)
        return size

    # -------------------------------------------------------------- writing ---

    async def _set(self, key, value, exclusive=False):
        await self._ensure_open()
        self._check_writable()
        if not isinstance(value, Buffer):
            raise TypeError("AtomicStore.set(): `value` must be a Buffer, not "
                            f"a {type(value).__name__}")
        directory, _, name = key.rpartition("/")
        change = _callers.current(directory)
        replacing = name in _documents.NAMES and _replacement(
            self, directory, name, value)
        await self._call(key, _put, value.to_bytes(), exclusive, change,
                         replacing)

    async def set_partial_values(self, key_start_values):
        raise NotImplementedError("a part of a chunk is not written by itself")

    async def delete(self, key):
        self._check_writable()
        if _cut_by_resize(self, key):
            return  # with the commit of the shape
        await self._call(key, _delete)

    async def delete_dir(self, prefix):
        self._check_writable()
        prefix = prefix.strip("/")
        if self._shared.transaction is None and _will_be_replaced(self, prefix):
            return
        await self._call(prefix, _delete_dir)

    async def clear(self):
        await self.delete_dir("")
        self.root.mkdir(parents=True, exist_ok=True)

    # -------------------------------------------------------------- listing ---

    async def list(self):
        for key in await self._call("", _list):
            yield key

    async def list_prefix(self, prefix):
        for key in await self._call(prefix.rstrip("/"), _list):
            yield key

    async def list_dir(self, prefix):
        if _being_replaced(self, prefix):
            return
        for name in await self._call(prefix.rstrip("/"), _list_dir):
            yield name

    # ------------------------------------------- without the event loop (3.4) ---

    def _call_sync(self, key, fn, *args):
        if not self._is_open:
            self._ensure_open_sync()
        store = self._of(key)
        with _running(store) as running:
            if running is None:
                return fn(store, key, *args)
            with running.lock:
                return fn(store, key, *args)

    def get_sync(self, key, *, prototype=None, byte_range=None):
        prototype = prototype or default_buffer_prototype()
        data = self._call_sync(key, _get, byte_range)
        return None if data is None else prototype.buffer.from_bytes(data)

    def set_sync(self, key, value):
        if not isinstance(value, Buffer):
            raise TypeError("AtomicStore.set_sync(): `value` must be a Buffer, "
                            f"not a {type(value).__name__}")
        self._check_writable()
        self._call_sync(key, _put, value.to_bytes(), False, None, None)

    def delete_sync(self, key):
        self._check_writable()
        self._call_sync(key, _delete)


def _hidden(name):
    """Is it the library's own, beside nodes?"""
    of = name.removesuffix(".partial").removesuffix(".renew")
    return name.startswith(".azr") or of != name and of in _documents.NAMES


@contextmanager
def _running(store):
    """What runs inside is in the transaction of the store, or of the thread; in
    a hidden one, which nobody else sees, in none."""
    transaction = store._shared.transaction
    running = (None if isinstance(store, HiddenStore)
               else transaction.running if transaction is not None
               else _transaction._current.get())
    token = _transaction._current.set(running)
    try:
        yield running
    finally:
        _transaction._current.reset(token)


class HiddenStore(AtomicStore):
    """What a transaction builds, before it comes into place."""


# ------------------------------------------------------------- keys, chunks ---


def _made_above(path, running):
    """The same, of those that the transaction makes."""
    for directory in (running.made if running is not None else ()):
        if path.startswith(directory + "/"):
            return directory
    return None


def _array_above(path):
    """The directory of the array that has a chunk of this path, or None."""
    directory = os.path.dirname(path)
    while directory and directory != "/":
        if has_array(directory):
            kind = _documents.kind_of(directory)
            return directory if kind == _documents.ARRAY else None
        directory = os.path.dirname(directory)
    return None


def _coordinates(info, directory, path):
    """Of a chunk in the grid; None: it is no chunk."""
    names = os.path.relpath(path, directory)
    rank = len(info["shape"])
    if info["key_encoding"] == "d":
        if names != "c" and names[:2] != "c" + info["separator"]:
            return None
        names = names[2:]
    elif rank == 0:
        return () if names == "0" else None
    try:
        found = tuple([int(n) for n in names.split(info["separator"])]
                      if names else ())
    except ValueError:
        return None
    return found if len(found) == rank else None


def _chunk(path, writing, running):
    """(handle, coordinates) if this is a chunk of an array in the library's
    care, or to come into it."""
    if not hasattr(_core.Txn, "read_chunk"):
        return None
    directory = _made_above(path, running) or _array_above(path)
    if directory is None:
        return None
    if running is not None and directory in running.made:
        place = running.made[directory]
        coordinates = _coordinates(place.info, directory, path)
        return None if coordinates is None else (place._h, coordinates)
    if not writing and running is None \
            and not os.path.exists(f"{directory}/.azr/state"):
        return None  # no writer of ours has been here
    try:
        h = _documents.handle(directory, writing or running is not None,
                              running)
    except (CorruptError, NotFoundError, UnsupportedError):
        return None
    coordinates = _coordinates(h.info(), directory, path)
    return None if coordinates is None else (h, coordinates)


def _one_chunk(fn):
    """``fn(core)`` in the transaction that runs, or in one of its own."""
    running = _transaction._current.get()
    if running is not None:
        return fn(running.core)
    found = []

    def body(core):
        found[:] = [fn(core)]
        return True

    _core.run(_documents._again(body), _documents.timeout_ms())
    return found[0]


# --------------------------------------------------------------- operations ---


def _range(byte_range):
    """(start, stop) of a request; a negative start counts from the end."""
    if byte_range is None:
        return 0, None
    if isinstance(byte_range, RangeByteRequest):
        return byte_range.start, byte_range.end
    if isinstance(byte_range, OffsetByteRequest):
        return byte_range.offset, None
    if isinstance(byte_range, SuffixByteRequest):
        return (-byte_range.suffix, None) if byte_range.suffix else (0, 0)
    raise TypeError(f"Unexpected byte_range, got {byte_range}.")


def _cut(data, start, stop):
    return data if data is None or (start == 0 and stop is None) \
        else data[start:stop]


def _get(store, key, byte_range):
    start, stop = _range(byte_range)
    try:
        path = store._path(key)
    except ValueError:
        return None
    directory, name = os.path.split(path)
    if name in _documents.NAMES:
        return _cut(_document(store, key, directory, name), start, stop)
    found = _chunk(path, False, _transaction._current.get())
    if found is None:
        return _documents.read_file(path, start, stop)
    h, coordinates = found
    try:
        data = _one_chunk(lambda core: core.read_chunk(h, coordinates))
    except IndexError:
        return None  # outside of the array, as it is now
    return _cut(data, start, stop)


def _document(store, key, directory, name):
    transaction = store._shared.transaction
    if transaction is not None:
        return transaction.document(store, key, directory, name)
    return _documents.read(directory, name, store.read_only)


def _exists(store, key):
    transaction = store._shared.transaction
    if transaction is not None:
        return _get(store, key, None) is not None
    try:
        path = store._path(key)
    except ValueError:
        return False
    directory, name = os.path.split(path)
    return os.path.isfile(path) or (
        name in _documents.NAMES and os.path.exists(f"{directory}/.azr/state")
        and _documents.awaited(directory, name) is not None)


def _size(store, key):
    data = _get(store, key, None)
    return None if data is None else len(data)


def _put(store, key, data, exclusive, change, replacing):
    path = store._path(key)
    directory, name = os.path.split(path)
    transaction = store._shared.transaction
    if name not in _documents.NAMES:
        return _put_chunk(path, data, exclusive)
    if replacing:
        return replacing(directory)
    if exclusive and _exists(store, key):
        return None
    if transaction is not None:
        return transaction.put(store, key, name, data, change)
    return put_document(directory, name, data, change, exclusive,
                        _transaction._current.get())


def put_document(directory, name, data, change, exclusive=False, running=None):
    """A document of zarr's: a node is created, or what is meant is changed."""
    document = _documents.parse(name, data)
    kind = _documents.kind_of(directory)
    path = os.path.join(directory, name)
    if document is None or kind == _documents.NOTHING and name in (
            ".zattrs", ".zmetadata"):
        return _documents.put(path, data)  # of nobody yet, or of no node
    if kind == _documents.NOTHING:
        # looked at again: it may have come since, from another creator
        if os.path.isfile(path) \
                and _documents.kind_of(directory) == _documents.NOTHING:
            return _documents.put(path, data)  # nobody could read it
        try:
            return _documents.create(directory, name, data)
        except ValueError:
            # Many make the groups above what they create: all of them have.
            if exclusive or _is_this_group(directory, name, document):
                return None
            raise
    if name == ".zmetadata":
        return _consolidate(directory)
    if kind == _documents.ARRAY and (name == ".zattrs" or
                                     _documents.is_array(name, document)):
        if change is None and name == ".zattrs":
            return _first_attributes(directory, data)
        return _documents.change_array(directory, name, document, change,
                                       running)
    if kind == _documents.GROUP and (name == ".zattrs" or not
                                     _documents.is_array(name, document)):
        if change is None and name == ".zattrs":
            return _first_attributes(directory, data)
        return _documents.change_group(directory, name, document, change)
    raise _documents.exists(directory)


def _is_this_group(directory, name, document):
    found = _documents.parse(name, _documents.read_file(
        os.path.join(directory, name)) or b"")
    return (found is not None and not _documents.is_array(name, document)
            and _documents._same(found, document))


def _first_attributes(directory, data):
    """.zattrs of a node of format 2 that has just been created: zarr writes its
    two documents side by side. Those of another creator are not touched."""
    path = os.path.join(directory, ".zattrs")
    try:
        _documents.put_new(path, data)
    except FileExistsError:
        if not _documents._same(
                _documents.parse(".zattrs", data),
                _documents.parse(".zattrs", _documents.read_file(path) or b"")):
            raise _documents.exists(directory) from None
    else:
        _documents.renew_above(directory)


def _consolidate(directory):
    _core.open_group(directory, _core.OPEN_WRITE,
                     _documents.timeout_ms()).consolidate()


def _put_chunk(path, data, exclusive):
    found = _chunk(path, True, _transaction._current.get())
    if found is None:
        if exclusive:
            try:
                return _documents.put_new(path, data)
            except FileExistsError:
                return None
        return _documents.put(path, data)
    h, coordinates = found

    def write(core):
        if not exclusive or core.read_chunk(h, coordinates) is None:
            core.write_chunk(h, coordinates, data)

    return _one_chunk(write)


def _delete(store, key):
    path = store._path(key)
    name = os.path.basename(path)
    if os.path.isdir(path):
        return _delete_dir(store, key)
    if name not in _documents.NAMES:
        found = _chunk(path, True, _transaction._current.get())
        if found is not None:
            h, coordinates = found
            try:
                return _one_chunk(
                    lambda core: core.write_chunk(h, coordinates, None))
            except IndexError:
                pass  # outside of the array: what is there is no chunk of it
    elif store._shared.transaction is not None:
        raise UnsupportedError(f"'{path}': a document cannot be deleted in a "
                               "transaction")
    _documents._forget(path)
    return None


def _delete_dir(store, prefix):
    path = store._path(prefix)
    transaction = store._shared.transaction
    if transaction is not None:
        return transaction.remove(store, prefix)
    if os.path.isfile(path):
        raise ValueError(f"delete_dir was passed a prefix={prefix!r} that is a "
                         "file")
    try:
        if _has_nodes(path):
            return _documents.remove(path)
        shutil.rmtree(path)  # nobody's array: plain files of a user's
    except FileNotFoundError:
        pass
    return None


def _has_nodes(path):
    return any((".azr" in below or not _documents.NAMES.isdisjoint(names))
               and _documents.kind_of(directory) != _documents.NOTHING
               for directory, below, names in os.walk(path))


def _list(store, prefix):
    """Keys of all files, without the library's own."""
    root = os.path.abspath(store.root)
    found = []
    try:
        top = store._path(prefix)
    except ValueError:
        return found
    for directory, below, names in os.walk(top):
        names = names + _awaited(directory, below, names)
        below[:] = [n for n in below if not _hidden(n)]
        found += [os.path.relpath(os.path.join(directory, n), root)
                  for n in names if not _hidden(n)]
    transaction = store._shared.transaction
    return found if transaction is None else transaction.listed(
        store, prefix, found)


_NODES = ("zarr.json", ".zarray", ".zgroup")


def _awaited(directory, below, names):
    """The document of an array that is committed, and whose maker died before it
    stood in its place."""
    if ".azr" not in below or not set(_NODES).isdisjoint(names) \
            or _documents.kind_of(directory) != _documents.ARRAY:
        return []
    _, zarr_format = _core.node_at(directory)
    return [".zarray" if zarr_format == 2 else "zarr.json"]


def _is_unborn(path):
    """What a transaction is about to make, or has given up."""
    if any(os.path.exists(f"{path}/{name}") for name in _NODES) \
            or not os.path.exists(f"{path}/.azr"):
        return False
    try:
        return all(map(_hidden, os.listdir(path))) \
            and _documents.kind_of(path) == _documents.NOTHING
    except OSError:
        return False


def _list_dir(store, prefix):
    try:
        directory = store._path(prefix)
        names = [n for n in os.listdir(directory) if not _hidden(n)]
    except (FileNotFoundError, NotADirectoryError, ValueError):
        names = []
    if names and _documents.kind_of(directory) == _documents.GROUP:
        names = [n for n in names if not _is_unborn(os.path.join(directory, n))]
    transaction = store._shared.transaction
    return names if transaction is None else transaction.listed_dir(
        store, prefix, names)


# ------------------------------------------------- what is to be replaced ---


# Of zarr's functions that remove what they are about to make anew.
_MAKERS = frozenset(("save_new_metadata", "init_array", "_create_v2",
                     "_create_v3", "from_store", "open", "_create"))
_replaced = contextvars.ContextVar("atomiczarr_replaced", default=())


def _will_be_replaced(store, path):
    """zarr deletes what it overwrites, and then writes the new document. Those
    are joined: the deletion waits for the document, in the same task. If that
    never comes, nothing has been deleted."""
    if not _is_overwriting() or _documents.kind_of(
            store._path(path)) == _documents.NOTHING:
        return False
    _replaced.set((*[r for r in _replaced.get() if not r.is_over()],
                   _Replaced(store, path)))
    return True


def _is_overwriting():
    frame = sys._getframe(2)
    for _ in range(8):
        if frame is None:
            return False
        name = frame.f_globals.get("__name__", "")
        if frame.f_code.co_name in _MAKERS and name.startswith("zarr."):
            found = frame.f_locals
            if found.get("overwrite") is True or found.get("mode") == "w":
                return True
        frame = frame.f_back
    return False


class _Replaced:
    """A node that is to be replaced by the next document of its path."""

    def __init__(self, store, path):
        self.root, self.path = os.path.abspath(store.root), path
        self.done = False
        self.attributes = None  # .zattrs, if they come before
        self.since = time.monotonic()

    def is_over(self):
        """Also if the document has not come: its maker has failed, and what the
        same task does later is another matter."""
        return self.done or time.monotonic() - self.since > _REPLACING

    def holds(self, store, key):
        if self.is_over() or os.path.abspath(store.root) != self.root:
            return False
        return not self.path or key == self.path \
            or key.startswith(self.path + "/")


def _being_replaced(store, key):
    """Does this task see nothing there, since it is about to replace it?"""
    return any(r.holds(store, key) for r in _replaced.get())


def _replacement(store, path, name, value):
    """What to do with a document of a node that is to be replaced, or None."""
    mine = [r for r in _replaced.get() if r.path == path
            and r.holds(store, path)]
    if not mine:
        return None
    if name in (".zattrs", ".zmetadata"):
        data = value.to_bytes()

        def keep(directory):
            for r in mine:
                r.attributes = data
        return keep
    documents = {name: value.to_bytes()}
    if mine[-1].attributes is not None:
        documents[".zattrs"] = mine[-1].attributes

    def put(directory):
        _documents.replace(directory, documents)
        for r in mine:
            r.done = True
    return put


def _cut_by_resize(store, key):
    """Is it a chunk that zarr deletes before it writes the smaller shape? The
    commit of that does it, or nothing is done."""
    change = _callers._change.get()
    return (change is not None and change.shape is not None
            and key.rpartition("/")[2] not in _documents.NAMES
            and (not change.path or key.startswith(change.path + "/")))


# ------------------------------------------------------------------- arrays ---


class StorePipeline(AtomicCodecPipeline):
    """The pipeline of arrays in an `AtomicStore`: also in its transaction."""

    __module__ = "atomiczarr.zarr._store"

    @classmethod
    def over(cls, pipeline):
        if isinstance(pipeline, cls):
            return pipeline
        if isinstance(pipeline, AtomicCodecPipeline):
            pipeline = pipeline._stock
        return cls(pipeline)

    async def read(self, batch_info, out, drop_axes=()):
        batch = list(batch_info)
        with _entered(batch) as batch:
            return await super().read(batch, out, drop_axes)

    async def write(self, batch_info, value, drop_axes=()):
        batch = list(batch_info)
        with _entered(batch) as batch:
            return await super().write(batch, value, drop_axes)


@contextmanager
def _entered(batch):
    place = batch[0][0] if batch else None
    if not isinstance(place, StorePath) \
            or not isinstance(place.store, AtomicStore):
        yield batch
        return
    store = place.store._of(place.path)
    if store is not place.store:
        batch = [(StorePath(store, item[0].path), *item[1:]) for item in batch]
    with _running(store):
        yield batch


def _directory_of(array):
    store = array.store_path.store
    return os.path.join(os.path.abspath(store.root), array.store_path.path)


async def refresh(array):
    """An array sees shape and attributes as they are now."""
    now = await AsyncArray.open(array.store_path,
                                zarr_format=array.metadata.zarr_format)
    for name, value in vars(now).items():
        if name not in ("config", "_config", "store_path", "codec_pipeline"):
            object.__setattr__(array, name, value)


def _noted(array, fn, *args):
    token = _callers._change.set(_callers.Change(array))

    async def call():
        try:
            return await fn(array, *args)
        finally:
            _callers._change.reset(token)
    return call()


async def append_whole(array, original, data, axis):
    """zarr's append as one transaction, at the array's end as it is then."""
    store = array.store_path.store
    if store._shared.transaction is not None \
            or _transaction._current.get() is not None:
        return await _noted(array, original, data, axis)
    store._check_writable()
    try:
        await _off_the_loop(_append, store, array.store_path.path, data, axis)
    except UnsupportedError:
        return await _append_by_zarr(array, original, data, axis)
    await refresh(array)
    return array.metadata.shape


def _append(store, path, data, axis):
    flags = _core.OPEN_INSIST if _option("insist", False) else 0
    return _array.Array(os.path.abspath(store.root), path, False,
                        _documents.timeout_ms(), flags).append(data, axis)


async def _append_by_zarr(array, original, data, axis):
    """The same for arrays with codecs that are zarr's only. As with `run`, what is
    in conflict is done again, and gets its turn after three times."""
    loop = asyncio.get_running_loop()
    tries, shapes = [], []

    async def once(running):
        await refresh(array)
        token = _transaction._current.set(running)
        try:
            return await _noted(array, original, data, axis)
        finally:
            _transaction._current.reset(token)

    def body(core):
        running = _transaction._Running(core, tries.pop() if tries else None)
        tries.append(running)
        try:
            shapes[:] = [asyncio.run_coroutine_threadsafe(
                once(running), loop).result()]
            return True
        except ConflictError:
            return False

    try:
        await _off_the_loop(_core.run, body, _documents.timeout_ms())
    except BaseException:
        await refresh(array)  # it knows a shape that never was
        raise
    return shapes[0]
