# SPDX-License-Identifier: Apache-2.0
"""Arrays that the library cannot code (shards, filters, strings, structured
types, codecs of others): zarr's own pipeline decodes and encodes, in memory, and
the library reads and writes the chunks as they are stored, in one transaction.

A read is the snapshot of all its chunks first, decoded afterwards. A write reads
the chunks of which it changes a part, has them decoded, merged and encoded, and
commits; if they were changed meanwhile, it does so again. Codecs run on zarr's
event loop as ever; what waits, waits on the thread of the operation.
"""
from __future__ import annotations

import asyncio
import threading

import numpy as np

from zarr.abc.store import (OffsetByteRequest, RangeByteRequest,
                            SuffixByteRequest)
from zarr.core.buffer import default_buffer_prototype

from .. import _core, _transaction
from ..errors import ConflictError, make

_WHOLE = 1 << 18  # shards of more bytes are read in parts, if a part is enough
_IN_PARTS = 2     # so many times; then they are read whole, at one look


class Codecs:
    """zarr's own pipeline, the loop that it runs on, and threads for what it
    waits for: those of zarr, which codecs need, must not fill with waits."""

    __slots__ = ("stock", "loop", "threads")

    def __init__(self, stock, loop, threads):
        self.stock = stock
        self.loop = loop
        self.threads = threads

    def run(self, coroutine):
        """Its result, for a thread that is not the loop's."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()


def _cut(data, request):
    if request is None:
        return data
    if isinstance(request, RangeByteRequest):
        return data[request.start:request.end]
    if isinstance(request, OffsetByteRequest):
        return data[request.offset:]
    if isinstance(request, SuffixByteRequest):
        return data[-request.suffix:] if request.suffix else data[:0]
    raise TypeError(f"a byte range of type {type(request).__name__}")


class _Chunk:
    """A stored chunk in memory, in the place of a StorePath."""

    __slots__ = ("data", "changed")

    def __init__(self, data):
        self.data = data  # None: there is none
        self.changed = False

    def get_sync(self, prototype=None, byte_range=None):
        if self.data is None:
            return None
        if prototype is None:
            prototype = default_buffer_prototype()
        return prototype.buffer.from_bytes(_cut(self.data, byte_range))

    def set_sync(self, value):
        data = np.ascontiguousarray(value.as_numpy_array())
        # without bytes there is nothing to cast
        self.data = memoryview(data).cast("B") if data.size else b""
        self.changed = True

    def delete_sync(self):
        self.data = None
        self.changed = True

    async def get(self, prototype=None, byte_range=None):
        return self.get_sync(prototype, byte_range)

    async def set(self, value, byte_range=None):
        self.set_sync(value)

    async def set_if_not_exists(self, default):
        if self.data is None:
            self.set_sync(default)

    async def delete(self):
        self.delete_sync()


class _Parts:
    """A stored chunk of which parts are read when they are asked for, inside the
    transaction that will tell whether they are of one object."""

    __slots__ = ("core", "h", "index", "lock", "codecs")

    def __init__(self, core, h, index, lock, codecs):
        self.codecs = codecs
        self.core = core
        self.h = h
        self.index = index
        self.lock = lock

    def _fetch(self, offset, most):
        with self.lock:  # one at a time
            return self.core.read_chunk(self.h, self.index, offset, most)

    async def get(self, prototype=None, byte_range=None):
        offset, most = 0, -1
        if isinstance(byte_range, RangeByteRequest):
            offset, most = byte_range.start, byte_range.end - byte_range.start
        elif isinstance(byte_range, OffsetByteRequest):
            offset = byte_range.offset
        elif isinstance(byte_range, SuffixByteRequest):
            offset, most = -byte_range.suffix, byte_range.suffix
        data = await self.codecs.loop.run_in_executor(
            self.codecs.threads, self._fetch, offset, most)
        if data is None:
            return None
        return (prototype or default_buffer_prototype()).buffer.from_bytes(data)


class Chunks:
    """Chunks of a selection, in the order of its batch."""

    __slots__ = ("list",)

    def __init__(self, chunks):
        self.list = chunks

    def batch(self, batch):
        """The batch with these chunks in the place of the stored ones."""
        return [(chunk, *item[1:]) for chunk, item in zip(self.list, batch)]


def _is_partial(item):
    return not (len(item) > 4 and item[4])


def _transact(operation, body):
    """``body(transaction)``, again on conflict; its result."""
    if operation.txn is not None:
        return body(operation.txn)
    result = []

    def once(core):
        del result[:]
        try:
            result.append(body(core))
            return True
        except ConflictError:
            return False
        except Exception:
            # what was read may not fit together: was that the cause?
            if core.wrote() or _transaction._stands(core):
                raise
            return False

    _core.run(once, operation.ms)
    return result[0]


def _last(selection, chunks):
    """The last element that is selected in each dimension of a chunk; None: not
    known."""
    if not isinstance(selection, tuple):
        selection = (selection,)
    if len(selection) != len(chunks):
        return None
    last = []
    for s, n in zip(selection, chunks):
        if isinstance(s, slice):
            s = range(*s.indices(n))
            last.append(s[-1] if s else -1)
        elif isinstance(s, np.ndarray) and s.dtype.kind in "iu" and s.size:
            last.append(int(s.max()))
        elif isinstance(s, np.ndarray) and s.dtype == bool and s.ndim == 1:
            last.append(int(np.flatnonzero(s)[-1]) if s.any() else -1)
        elif isinstance(s, (int, np.integer)):
            last.append(int(s))
        else:
            return None
    return last


def _check_bounds(operation, core, batch, coords):
    """zarr's array may have been opened when the shape was another one."""
    chunks = operation.place.chunks
    shape = operation.h.shape(core)
    for item, c in zip(batch, coords):
        if all([(k + 1) * n <= m for k, n, m in zip(c, chunks, shape)]):
            continue
        last = _last(item[2], chunks)
        if last is None:
            continue
        for d, (k, n, m, at) in enumerate(zip(c, chunks, shape, last)):
            if k * n + at >= m:
                raise make(-1, 1, 0, f"element {k * n + at} in dimension {d}, "
                           f"'{operation.place._dir}' has {m} now; open it "
                           "again")


# ----------------------------------------------------------------- reading ---


def read(operation, batch, coords, out, drop_axes, codecs):
    """`Chunks` that are left to be decoded, or what zarr's pipeline returned."""
    tries = 0
    in_parts = codecs.stock.supports_partial_decode and \
        any(map(_is_partial, batch))

    def body(core):
        nonlocal tries
        tries += 1
        _check_bounds(operation, core, batch, coords)
        if not in_parts or tries > _IN_PARTS:
            return _take(operation, core, coords, -1)
        chunks = _take(operation, core, coords, _WHOLE)
        lock = threading.Lock()
        large = [k for k, c in enumerate(chunks.list)
                 if c.data is not None and len(c.data) == _WHOLE]
        if not large:
            return chunks
        for k in large:
            chunks.list[k] = _Parts(core, operation.h, tuple(coords[k]), lock,
                                     codecs)
        return codecs.run(codecs.stock.read(chunks.batch(batch), out,
                                            drop_axes))

    return _transact(operation, body)


def _take(operation, core, coords, most):
    return Chunks([_Chunk(core.read_chunk(operation.h, tuple(c), 0, most))
                   for c in coords])


# ----------------------------------------------------------------- writing ---


def _goes_beyond(operation, core, coords):
    """Of each chunk: does it end outside of the array? A shard keeps there what a
    resize has cut off, also if all that is inside is written."""
    chunks, shape = operation.place.chunks, operation.h.shape(core)
    return [any([(k + 1) * n > m for k, n, m in zip(c, chunks, shape)])
            for c in coords]


def write(operation, batch, coords, value, drop_axes, codecs):
    def body(core):
        _check_bounds(operation, core, batch, coords)
        beyond = _goes_beyond(operation, core, coords) \
            if codecs.stock.supports_partial_encode else [False] * len(coords)
        chunks = Chunks([
            _Chunk(core.read_chunk(operation.h, tuple(c), 0, -1)
                   if more or _is_partial(item) else None)
            for item, c, more in zip(batch, coords, beyond)])
        codecs.run(codecs.stock.write(chunks.batch(batch), value, drop_axes))
        try:
            for chunk, c in zip(chunks.list, coords):
                if chunk.changed:
                    core.write_chunk(operation.h, tuple(c), chunk.data)
        except BaseException:
            core.rollback()  # half of a write must not be committed
            raise

    _transact(operation, body)
