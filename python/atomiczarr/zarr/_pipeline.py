# SPDX-License-Identifier: Apache-2.0
"""zarr-python 3 itself, made atomic: a codec pipeline for ordinary zarr arrays.

    zarr.config.set({"codec_pipeline.path":
                     "atomiczarr.zarr.AtomicCodecPipeline"})

or ``ZARR_CODEC_PIPELINE__PATH=atomiczarr.zarr.AtomicCodecPipeline`` in the
environment. From then on every ``z[…] = v`` of an array in a local directory is
one transaction over all its chunks, and every ``z[…]`` one snapshot.
docs/python.md tells what passes by the pipeline, and is not made safe by it.

One call of `read` or `write` holds all chunks of one selection. They are put
together to one selection of the library, which does the rest in C, on a thread
of its own: zarr's event loop, which all threads share, never waits for a lock.
"""
from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import zarr
from zarr.abc.codec import CodecPipeline
from zarr.core import sync
from zarr.core.codec_pipeline import BatchedCodecPipeline
from zarr.registry import register_pipeline
from zarr.storage import LocalStore, StorePath

from .. import _array, _core, _transaction
from . import _opaque, _whole
from .._selection import Box, Points
from .._values import DTYPES
from ..errors import NotFoundError, UnsupportedError, make, unsupported

_POINTS = 1 << 20   # so many elements are a list of points, more are boxes
_HANDLES = 64       # arrays that are kept open
_THREADS = 1024     # made when they are needed; each waits for one operation


class AtomicCodecPipeline(CodecPipeline):
    """Reads and writes each selection of a zarr array as one operation.

    What is no array of a directory is handed to zarr's own pipeline or refused,
    as the configuration ``atomiczarr.other_stores`` and
    ``atomiczarr.other_arrays`` say (``"refuse"``, the default, or ``"stock"``).
    """

    __module__ = "atomiczarr.zarr"  # zarr's registry goes by the full name
    takes_whole = True  # of `_whole`

    def __init__(self, stock: CodecPipeline) -> None:
        self._stock = stock

    @classmethod
    def from_codecs(cls, codecs):
        # Not those of from_array_metadata_and_store: zarr 3.0 has only this one,
        # and the others come here when that one is not there.
        return cls(BatchedCodecPipeline.from_codecs(codecs))

    def evolve_from_array_spec(self, array_spec):
        return type(self)(self._stock.evolve_from_array_spec(array_spec))

    def __iter__(self):
        return iter(self._stock)

    def __eq__(self, other):
        if not isinstance(other, AtomicCodecPipeline):
            return NotImplemented
        return self._stock == other._stock

    def __hash__(self):
        return hash((type(self), self._stock))

    def __repr__(self):
        return f"AtomicCodecPipeline({self._stock!r})"

    @property
    def supports_partial_decode(self) -> bool:
        return self._stock.supports_partial_decode

    @property
    def supports_partial_encode(self) -> bool:
        return self._stock.supports_partial_encode

    def validate(self, **arguments) -> None:
        self._stock.validate(**arguments)

    def compute_encoded_size(self, byte_length, array_spec):
        return self._stock.compute_encoded_size(byte_length, array_spec)

    async def decode(self, chunk_bytes_and_specs):
        return await self._stock.decode(chunk_bytes_and_specs)

    async def encode(self, chunk_arrays_and_specs):
        return await self._stock.encode(chunk_arrays_and_specs)

    def _codecs(self):
        return _opaque.Codecs(self._stock, asyncio.get_running_loop(),
                              _pool("part"))

    async def read(self, batch_info, out, drop_axes=()):
        batch = list(batch_info)
        if _whole.directly() is not None:
            return _here(_read, batch, out, drop_axes)
        if not _ours(batch):
            return await self._stock.read(_whole.chunks(batch), out, drop_axes)
        drop_axes = tuple(drop_axes)
        try:
            found = await _off_the_loop(_read, batch, out, drop_axes,
                                        self._codecs())
        except _Other:
            return await self._stock.read(_whole.chunks(batch), out, drop_axes)
        if isinstance(found, _opaque.Chunks):  # a snapshot, to be decoded
            return await self._stock.read(found.batch(_whole.chunks(batch)),
                                          out, drop_axes)
        return found

    async def write(self, batch_info, value, drop_axes=()):
        batch = list(batch_info)
        if not batch:
            return None
        if _whole.directly() is not None:
            return _here(_write, batch, value, drop_axes)
        if not _ours(batch):
            return await self._stock.write(_whole.chunks(batch), value,
                                           drop_axes)
        try:
            return await _off_the_loop(_write, batch, value, tuple(drop_axes),
                                       self._codecs())
        except _Other:
            return await self._stock.write(_whole.chunks(batch), value,
                                           drop_axes)


register_pipeline(AtomicCodecPipeline)


# --------------------------------------------------------- whose work it is ---


_UNSAFE = (22, 23)  # file system, layout of .azr: zarr alone is no way out


class _Other(Exception):
    """zarr's own pipeline is to do it: the configuration says so."""


def _option(name, default, *allowed):
    value = zarr.config.get(f"atomiczarr.{name}", default)
    if allowed and value not in allowed:
        raise ValueError(f"zarr.config: atomiczarr.{name} is {value!r}, need "
                         + " or ".join(repr(a) for a in allowed))
    return value


def _ours(batch):
    """Is this a selection of an array in a local directory?"""
    places = [item[0] for item in batch]
    if not all(isinstance(p, StorePath) for p in places):
        return False  # chunks inside a shard, in memory
    store = places[0].store if places else None
    if store is None or isinstance(store, LocalStore):
        return True
    if _option("other_stores", "refuse", "refuse", "stock") == "stock":
        return False
    raise unsupported(
        f"{store!r} is a {type(store).__name__}: only a LocalStore can be read "
        "and written atomically; zarr.config.set({'atomiczarr.other_stores': "
        "'stock'}) leaves other stores to zarr, without any such promise")


def _refused(e, directory):
    """What the library cannot open. Raises."""
    if e.sub in _UNSAFE:
        raise e
    if _option("other_arrays", "refuse", "refuse", "stock") == "stock":
        if _transaction._current.get() is not None:
            raise make(e.code, e.sub, 0, f"'{directory}': {e}; what is left to "
                       "zarr cannot be in a transaction") from None
        raise _Other
    raise make(e.code, e.sub, 0, f"'{directory}': {e}; zarr.config.set("
               "{'atomiczarr.other_arrays': 'stock'}) leaves such arrays to "
               "zarr, without any promise") from None


# ------------------------------------------------------------------ threads ---

_pools = {}


def _forget_threads():
    """In a forked child, which has none of them. zarr renews its event loop there,
    but not the lock under which a thread of the parent may just have made it."""
    _pools.clear()
    if getattr(sync, "_lock", None) is not None:
        sync._lock = None


os.register_at_fork(after_in_child=_forget_threads)


def _pool(name):
    pool = _pools.get(name)
    if pool is None:
        pool = _pools.setdefault(
            name, ThreadPoolExecutor(_THREADS, f"atomiczarr-{name}"))
    return pool


async def _off_the_loop(fn, *args):
    """`fn` on a thread of ours. zarr's I/O has the loop's own ones, which must
    not fill with waits. Those of transactions have others, since what they wait
    for may be held by the thread that they work for."""
    running = _transaction._current.get()
    call = contextvars.copy_context().run
    loop = asyncio.get_running_loop()
    if running is None:
        return await loop.run_in_executor(_pool("operation"), call, fn, *args)
    return await loop.run_in_executor(_pool("transaction"), call, _in_turn,
                                      running, fn, *args)


def _here(fn, batch, values, drop_axes):
    """`fn` on the thread that waits for it."""
    running = _transaction._current.get()
    if not _ours(batch):
        raise _whole.Elsewhere
    if running is None:
        return fn(batch, values, tuple(drop_axes), None)
    return _in_turn(running, fn, batch, values, tuple(drop_axes), None)


def _in_turn(running, fn, *args):
    """zarr writes parts of new arrays at the same time; a transaction is one
    thread's at a time."""
    with running.lock:
        return fn(*args)


# ----------------------------------------------------------------- handles ---


class _Place:
    """An array's directory, open. `_Running.handle` takes it as an `Array`."""

    __slots__ = ("_dir", "_key", "_h", "read_only", "signature", "chunks",
                 "dtype", "separator", "lead", "rank", "opaque", "info")

    def __init__(self, directory, flags):
        self._dir = directory
        self._key = os.path.realpath(directory)
        self.read_only = not flags & _core.OPEN_WRITE
        signature = _signature(directory)
        self._h = _core.open_array(directory, flags, 0,
                                   _transaction.default_timeout_ms())
        # opening may have made .azr/state; the document is what was there before
        self.signature = signature[:2] + _signature(directory)[2:]
        self._learn(self._h.info())

    def _learn(self, info):
        self.info = info
        self.chunks = info["chunks"]
        self.rank = len(self.chunks)
        self.opaque = info["opaque"]  # why C cannot code it; "": it can
        self.dtype = None if self.opaque else DTYPES[info["dtype"]]
        self.separator = info["separator"]
        self.lead = 1 if info["key_encoding"] == "d" else 0

    def coordinates(self, key):
        """Of the chunk with that key, below the array."""
        if self.rank == 0:
            return ()
        return [int(n) for n in key.split(self.separator)[self.lead:]]


class Made(_Place):
    """One that the running transaction makes, and nobody else sees."""

    __slots__ = ()

    def __init__(self, directory, handle, info):
        self._dir = directory
        self._key = os.path.realpath(directory)
        self._h = handle
        self.read_only = False
        self.signature = None
        self._learn(info)


def _signature(directory):
    """Changes when another array stands there, or its document is another."""
    found = []
    for name in ("zarr.json", ".zarray", ".azr/state"):
        try:
            s = os.stat(f"{directory}/{name}")
        except OSError:
            found.append(None)
            continue
        # of the state only whether it is the same file: it is written in place
        found.append((s.st_dev, s.st_ino) if name == ".azr/state" else
                     (s.st_dev, s.st_ino, s.st_mtime_ns, s.st_size))
    return tuple(found)


_places = OrderedDict()
_places_lock = threading.Lock()


def _new_lock():
    global _places_lock
    _places_lock = threading.Lock()


os.register_at_fork(after_in_child=_new_lock)


def _open(directory, flags):
    key = directory, flags
    signature = _signature(directory)
    with _places_lock:
        place = _places.get(key)
        if place is not None and place.signature == signature:
            _places.move_to_end(key)
            return place
    place = _Place(directory, flags)
    with _places_lock:
        before = _places.get(key)
        if before is not None and before.signature == place.signature:
            return before  # another thread was faster
        _places[key] = place
        while len(_places) > _HANDLES:
            _places.popitem(last=False)
    return place


def has_array(directory):
    """A document that may be of one; also one that is committed and not there yet."""
    if os.path.exists(f"{directory}/zarr.json") \
            or os.path.exists(f"{directory}/.zarray"):
        return True
    if not os.path.exists(f"{directory}/.azr/state"):
        return False
    try:
        kind, _ = _core.node_at(directory)
    except NotFoundError:
        return False
    return kind == _core.NODE_ARRAY


def _directory(root, path, rank, made):
    """(its directory, its path below the root) of the array of a chunk."""
    names = path.split("/")
    for k in sorted({1, rank, rank + 1}):
        if not 0 < k <= len(names):
            continue
        array = "/".join(names[:-k])
        directory = os.path.join(root, array) if array else root
        if directory in made or has_array(directory):
            return directory, array
    raise make(-2, 0, 0, f"'{os.path.join(root, path)}' is no chunk of an array:"
               " there is no zarr.json and no .zarray above it")


def _place(batch, writing):
    """The open array of a batch, and what stands before its chunks' keys."""
    store, first = batch[0][0].store, batch[0][0].path
    spec = batch[0][1]
    if writing:
        store._check_writable()
    running = _transaction._current.get()
    made = running.made if running is not None else {}
    directory, array = _directory(os.path.abspath(store.root), first,
                                  len(spec.shape), made)
    place = made.get(directory) or _existing(directory, store, spec, writing,
                                             running)
    if tuple(place.chunks) != tuple(spec.shape):
        raise make(-5, 0, 0, f"'{directory}': chunks are {place.chunks}, zarr's "
                   f"array has {tuple(spec.shape)}; open it again")
    return place, f"{array}/" if array else ""


def _coords(place, batch, above):
    n = len(above)
    return [place.coordinates(item[0].path[n:]) for item in batch]


def _existing(directory, store, spec, writing, running):
    flags = _core.OPEN_OPAQUE
    if not store.read_only and (writing or running is not None):
        flags |= _core.OPEN_WRITE
    if _option("insist", False):
        flags |= _core.OPEN_INSIST
    if spec.config.write_empty_chunks:
        flags |= _core.OPEN_WRITE_EMPTY
    try:
        place = _open(directory, flags)
        if place.opaque and place.read_only and not store.read_only and \
                os.access(f"{directory}/.azr/state", os.W_OK):
            # who is disturbed too often has to be able to take locks
            place = _open(directory, flags | _core.OPEN_WRITE)
        return place
    except UnsupportedError as e:
        _refused(e, directory)


class _Operation:
    """A handle with the transaction and the time-out that hold for a call."""

    __slots__ = ("place", "h", "txn", "ms")

    def __init__(self, place):
        running = _transaction._current.get()
        call = _whole.directly()
        if call is not None:
            if place.opaque:
                raise _whole.Elsewhere  # for zarr's codecs
            call.begun = True
        self.place = place
        self.h = place._h if running is None else running.handle(place)
        self.txn = None if running is None else running.core
        timeout = _option("timeout", None)
        self.ms = (_transaction.default_timeout_ms() if timeout is None
                   else _transaction.timeout_ms(float(timeout)))

    def read(self, plan, out=None):
        return _array._read(plan, self.place.dtype, self.h, self.txn, self.ms,
                            out)

    def write(self, plan, value):
        _array._write(plan, value, self.h, self.txn, self.ms)


# -------------------------------------------------------------- selections ---


def _tuple(selection):
    return selection if isinstance(selection, tuple) else (selection,)


def _join(place, batch, above):
    """All chunks' parts as (one box, where it stands in the result), or None."""
    if _whole.of(batch) is not None:
        return _whole.box(batch)
    found = _core.join(batch, above, place.lead, place.separator, place.chunks)
    if found is None:
        return None
    start, count, step, lows = found
    into = tuple([slice(low, low + n) for low, n in zip(lows, count)
                  if low is not None])
    return (Box(start, count, step, None, [low is not None for low in lows],
                True), into + (Ellipsis,))


def _points(item, coords, chunks):
    """Coordinates of a chunk's selected elements in the array, n × rank, and
    the shape in which NumPy would give them."""
    lists = []
    for d, n in enumerate(chunks):
        # as an index of the chunk would give them, without such an array
        line = np.arange(n, dtype="i8").reshape(
            [-1 if k == d else 1 for k in range(len(chunks))])
        lists.append(np.asarray(np.broadcast_to(line, chunks)[item[2]])
                     + coords[d] * n)
    shape = lists[0].shape
    return np.stack([x.ravel() for x in lists], axis=1), shape


def _bounds(item, coords, chunks):
    """The bounding box of a chunk's selection, in the array, and the selection
    within it. The whole chunk where that is not known."""
    first, stop = [0] * len(chunks), list(chunks)
    selection = list(_tuple(item[2]))
    if len(selection) == len(chunks):
        for d, s in enumerate(selection):
            if isinstance(s, np.ndarray) and s.dtype == bool and s.ndim == 1:
                selection[d] = s = np.flatnonzero(s)
            if isinstance(s, slice):
                there = range(*s.indices(chunks[d]))
                if there.step < 1 or not there:
                    continue
                first[d], stop[d] = there[0], there[-1] + 1
                selection[d] = slice(0, None, there.step)
            elif isinstance(s, np.ndarray) and s.dtype.kind in "iu" and s.size:
                first[d], stop[d] = int(s.min()), int(s.max()) + 1
                selection[d] = s - first[d]
    start = tuple([c * n + a for a, c, n in zip(first, coords, chunks)])
    count = tuple([b - a for a, b in zip(first, stop)])
    return (Box(start, count, (1,) * len(start), None, [True] * len(start),
                True), tuple(selection))


# ----------------------------------------------------------------- reading ---


def _memory(buffer):
    """An NDBuffer as a NumPy array, if it is one."""
    array = buffer.as_ndarray_like()
    return array if isinstance(array, np.ndarray) else None


def _deliver(out, selection, values, spec):
    """``out[selection] = values``, wherever `out` is."""
    memory = _memory(out)
    if memory is not None:
        memory[selection] = values
    else:
        out[selection] = spec.prototype.nd_buffer.from_numpy_array(
            np.ascontiguousarray(values))


def _squeezed(values, drop_axes):
    return values.squeeze(axis=drop_axes) if drop_axes else values


def _read(batch, out, drop_axes, codecs):
    if not batch:
        return ()
    place, above = _place(batch, False)
    operation = _Operation(place)
    if place.opaque:
        batch = _whole.chunks(batch)
        return _opaque.read(operation, batch, _coords(place, batch, above), out,
                            drop_axes, codecs)
    joined = None if drop_axes else _join(place, batch, above)
    if joined is not None:
        _read_box(operation, *joined, out, batch[0][1])
    else:
        _read_any(operation, batch, _coords(place, batch, above), out, drop_axes)
    return _statuses(batch)


def _read_box(operation, plan, into, out, spec):
    """In place, if it can be."""
    memory = _memory(out)
    if memory is not None:
        view = memory[into]
        if view.dtype == operation.place.dtype and view.shape == plan.shape:
            operation.read(plan, view)
            return
    _deliver(out, into, operation.read(plan), spec)


def _read_any(operation, batch, coords, out, drop_axes):
    place = operation.place
    found = [_points(item, c, place.chunks) for item, c in zip(batch, coords)]
    if sum(len(p) for p, _ in found) > _POINTS:
        del found
        return _read_boxes(operation, batch, coords, out, drop_axes)
    flat = operation.read(Points(
        np.ascontiguousarray(np.concatenate([p for p, _ in found])),
        (sum(len(p) for p, _ in found),), True))
    at = 0
    for item, (p, shape) in zip(batch, found):
        part = flat[at:at + len(p)].reshape(shape)
        at += len(p)
        _deliver(out, item[3], _squeezed(part, drop_axes), item[1])
    return None


def _read_boxes(operation, batch, coords, out, drop_axes):
    """One box of each chunk, in one transaction."""
    place = operation.place

    def body(core):
        for item, c in zip(batch, coords):
            plan, selection = _bounds(item, c, place.chunks)
            box = _array._read(plan, place.dtype, operation.h, core, None, None)
            _deliver(out, item[3], _squeezed(box[selection], drop_axes),
                     item[1])
        return True

    _array._in_transaction(body, operation.txn, operation.ms)


def _statuses(batch):
    """zarr asks for them where ``array.read_missing_chunks`` is False."""
    if getattr(batch[0][1].config, "read_missing_chunks", True):
        return ({"status": "present"},) * len(batch)
    root = os.path.abspath(batch[0][0].store.root)
    return tuple([{"status": "present" if os.path.exists(
        os.path.join(root, item[0].path)) else "missing"} for item in batch])


# ----------------------------------------------------------------- writing ---


def _write(batch, value, drop_axes, codecs):
    place, above = _place(batch, True)
    operation = _Operation(place)
    if place.opaque:
        batch = _whole.chunks(batch)
        _opaque.write(operation, batch, _coords(place, batch, above), value,
                      drop_axes, codecs)
        return
    values = np.asarray(value.as_numpy_array())
    if values.dtype != place.dtype:
        values = values.astype(place.dtype)
    joined = None if drop_axes else _join(place, batch, above)
    if joined is not None:
        plan, into = joined
        operation.write(plan, values if values.ndim == 0 else values[into])
    else:
        _write_any(operation, batch, _coords(place, batch, above), values,
                   drop_axes)


def _chosen(item, values, shape, drop_axes):
    """What goes into a chunk's selection, of that shape."""
    if values.ndim == 0:
        return np.broadcast_to(values, shape)
    part = values[item[3]]
    if drop_axes:
        part = part[tuple([None if d in drop_axes else slice(None)
                           for d in range(len(item[1].shape))])]
    return np.broadcast_to(part, shape)


def _write_any(operation, batch, coords, values, drop_axes):
    place = operation.place
    found = [_points(item, c, place.chunks) for item, c in zip(batch, coords)]
    if sum(len(p) for p, _ in found) > _POINTS:
        del found
        return _write_boxes(operation, batch, coords, values, drop_axes)
    flat = np.concatenate([_chosen(item, values, shape, drop_axes).ravel()
                           for item, (_, shape) in zip(batch, found)])
    operation.write(Points(
        np.ascontiguousarray(np.concatenate([p for p, _ in found])),
        flat.shape, True), flat)
    return None


def _write_boxes(operation, batch, coords, values, drop_axes):
    """One box of each chunk is read, changed and written, in one transaction."""
    place = operation.place

    def body(core):
        for item, c in zip(batch, coords):
            plan, selection = _bounds(item, c, place.chunks)
            box = _array._read(plan, place.dtype, operation.h, core, None, None)
            box[selection] = _chosen(item, values, box[selection].shape,
                                     drop_axes)
            _array._write(plan, box, operation.h, core, None)
        return True

    _array._in_transaction(body, operation.txn, operation.ms)
