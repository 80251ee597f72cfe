# SPDX-License-Identifier: Apache-2.0
"""atomiczarr for asyncio: what may wait, wait on disks or decode for long runs
on threads of its own, never on the event loop.

    from atomiczarr import aio
    z = await aio.open("example.zarr")
    x = await z.read(np.s_[2:6])
    await z.write(np.s_[2:6], x + 1)
    async for version in z.watch(): ...

Cancelling a task ends its wait: within 50 ms, with nothing changed. What was not
waiting any more is finished first; its result is lost. Either way the thread is
done when CancelledError arrives, so locks are free.
"""
from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import os

import atomiczarr as az

from . import _core, _transaction
from ._array import Array as _Array
from ._group import Group as _Group

#: Threads that wait and work, of all loops of this process. An operation needs
#: one, and no other, so any number of tasks gets through.
THREADS = 32

_pools = {}  # by process: a forked child has none of its parent's threads


def _pool():
    """Of two loops, on threads of their own, that come first at once, one's stays."""
    pid = os.getpid()
    pool = _pools.get(pid)
    if pool is None:
        for parent in set(_pools) - {pid}:
            _pools.pop(parent, None)
        pool = _pools.setdefault(pid, concurrent.futures.ThreadPoolExecutor(
            THREADS, thread_name_prefix="atomiczarr"))
    return pool


async def call(fn, *args, **kwargs):
    """``fn(*args, **kwargs)`` on a thread; cancelling ends waits in it."""
    if _transaction._current.get() is not None:
        raise RuntimeError("a transaction stays on its thread: use aio.run, "
                           "not await in one")
    cancel = _core.cancel()
    future = _pool().submit(_core.call_with, cancel,
                            functools.partial(fn, *args, **kwargs))
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        cancel.request()
        if not future.cancelled():  # it is running: wait for its end
            await _finished(future)
        raise


async def _finished(future):
    """Whatever is cancelled meanwhile."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def tell(_):
        loop.call_soon_threadsafe(
            lambda: None if ended.done() else ended.set_result(None))
    future.add_done_callback(tell)
    while not ended.done():
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            pass
    if not future.cancelled():
        future.exception()  # seen


async def run(fn, *args, timeout=None, **kwargs):
    """`atomiczarr.run` on a thread: ``fn`` is an ordinary function, in which
    arrays (``z.array``) are read and written as always."""
    return await call(az.run, fn, *args, timeout=timeout, **kwargs)


class Array:
    """An array whose operations are awaited. `array` is the ordinary one; what
    does not wait (``shape``, ``chunks``, ``dtype``, …) is asked of that."""

    def __init__(self, array):
        self.array = array

    def __getattr__(self, name):
        if name in ("shape", "chunks", "dtype", "ndim", "size", "nbytes",
                    "fill_value", "store", "path", "name", "read_only"):
            return getattr(self.array, name)
        raise AttributeError(name)

    async def read(self, selection=Ellipsis, *, out=None, timeout=None,
                   progress=None):
        """``z[selection]``; see `atomiczarr.Array`."""
        a = self.array
        return await call(a._get, a._maker("auto", selection), out, timeout,
                          progress)

    async def write(self, selection, value, *, timeout=None, progress=None):
        """``z[selection] = value``."""
        a = self.array
        await call(a._set, a._maker("auto", selection), value, timeout,
                   progress)

    async def update(self, selection, fn, *, timeout=None):
        """`Array.update`; ``fn`` runs on the thread."""
        await call(self.array.update, selection, fn, timeout=timeout)

    async def append(self, data, axis=0, *, timeout=None):
        """The new shape."""
        return await call(self.array.append, data, axis, timeout=timeout)

    async def append_at(self, data, axis=0, *, timeout=None):
        """Where it landed."""
        return await call(self.array.append_at, data, axis, timeout=timeout)

    async def resize(self, shape, *, timeout=None):
        await call(self.array.resize, shape, timeout=timeout)

    async def attributes(self):
        """All of them, as a dict."""
        return await call(self.array.attrs.asdict)

    async def update_attributes(self, attributes):
        """Set several in one step."""
        await call(self.array.attrs.update, attributes)

    async def snapshot(self, **options):
        """`atomiczarr.snapshot` of it: ``async with await z.snapshot() as s``
        gives an array of this module."""
        return _Snapshot(await call(self.array.snapshot, **options))

    def watch(self, timeout=None):
        """`Array.watch` as an asynchronous iterator. It takes no thread."""
        return _Watch(self.array, timeout)

    def __repr__(self):
        return repr(self.array).replace("atomiczarr.", "atomiczarr.aio.")


class Group:
    """A group whose operations are awaited; `group` is the ordinary one."""

    def __init__(self, group):
        self.group = group

    async def get(self, path):
        """``g[path]``: an array or group of this module."""
        return _wrap(await call(self.group.__getitem__, path))

    async def keys(self):
        return await call(lambda: list(self.group))

    async def attributes(self):
        return await call(self.group.attrs.asdict)

    async def create_array(self, name, **options):
        return Array(await call(self.group.create_array, name, **options))

    async def snapshot(self, **options):
        return _Snapshot(await call(self.group.snapshot, **options))


class _Snapshot:
    def __init__(self, snapshot):
        self._snapshot = snapshot
        self.nodes = tuple([_wrap(n) for n in snapshot.nodes])

    async def __aenter__(self):
        return self.nodes[0] if len(self.nodes) == 1 else self.nodes

    async def __aexit__(self, *_):
        await self.close()

    async def close(self):
        await call(self._snapshot.close)


class _Watch:
    _SHORTEST, _LONGEST = 0.0005, 0.008  # seconds between two looks

    def __init__(self, array, timeout):
        self._watch = array.watch(0)
        self._timeout = timeout

    def __aiter__(self):
        return self

    async def __anext__(self):
        loop = asyncio.get_running_loop()
        end = None if self._timeout is None else loop.time() + self._timeout
        pause = self._SHORTEST
        while True:
            for version in self._watch:
                return version
            if end is not None and loop.time() >= end:
                raise StopAsyncIteration
            await asyncio.sleep(pause)
            pause = min(pause * 1.25, self._LONGEST)


def _wrap(node):
    if isinstance(node, _Array):
        return Array(node)
    return Group(node) if isinstance(node, _Group) else node


def _awaited(fn):
    @functools.wraps(fn)
    async def wrapper(*args, **kwargs):
        return _wrap(await call(fn, *args, **kwargs))
    return wrapper


open, open_array, open_group = (_awaited(f) for f in (
    az.open, az.open_array, az.open_group))
create_array, create_group = _awaited(az.create_array), \
    _awaited(az.create_group)
copy = _awaited(az.copy)


async def snapshot(*nodes, **options):
    """`atomiczarr.snapshot`: ``async with await aio.snapshot(a, b) as (x, y)``."""
    plain = [n.array if isinstance(n, Array) else
             n.group if isinstance(n, Group) else n for n in nodes]
    return _Snapshot(await call(az.snapshot, *plain, **options))


async def append_all(parts, axis=0, *, timeout=None):
    """`atomiczarr.append_all` of arrays of this module: a list of offsets."""
    pairs = parts.items() if isinstance(parts, dict) else parts
    pairs = [(a.array if isinstance(a, Array) else a, x) for a, x in pairs]
    return await call(az.append_all, pairs, axis, timeout=timeout)


__all__ = ["Array", "Group", "append_all", "call", "copy", "create_array",
           "create_group", "open", "open_array", "open_group", "run",
           "snapshot"]
