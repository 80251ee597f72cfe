# SPDX-License-Identifier: Apache-2.0
"""A selection on its way through zarr, of an array with our pipeline.

`AsyncArray._get_selection` and `_set_selection` are wrapped, for two reasons. For
arrays with another pipeline they do what they did.

zarr hands its pipeline a list with an entry per chunk, and makes some ten objects
for each: 10 us of Python, more than reading a chunk of 64 KiB takes. Of a
selection by slices and integers it is shown the first chunk only, and the pipeline
finds the box with it. Whatever needs all chunks, such as zarr's own codecs, asks
for them.

zarr's synchronous methods hand all work to an event loop on a thread of its own,
from where the library's calls would go to yet another one: 0.4 ms to and fro. They
call what is wrapped here on the thread that waits, so there it is done, if it
needs no loop.
"""
from __future__ import annotations

import asyncio
import functools
import threading

import zarr
from zarr.core import array
from zarr.core.array import AsyncArray
from zarr.core.indexing import (BasicIndexer, BlockIndexer, IntDimIndexer,
                                OrthogonalIndexer, SliceDimIndexer)
from zarr.storage import LocalStore, StorePath

from .._selection import Box

_BOXES = BasicIndexer, OrthogonalIndexer, BlockIndexer  # of slices, integers
_REGULAR = ("RegularChunkGrid", "RegularChunkGridMetadata")


class Whole(BasicIndexer):
    """The same selection. Iterating over it gives the first chunk, whose place
    in the result is a `Rest`."""

    def __init__(self, indexer, metadata, plan):
        for name, value in (("dim_indexers", indexer.dim_indexers),
                            ("shape", indexer.shape),
                            ("drop_axes", indexer.drop_axes),
                            ("plan", plan), ("metadata", metadata),
                            ("indexer", indexer)):
            object.__setattr__(self, name, value)

    def __iter__(self):
        parts = [next(iter(d)) for d in self.dim_indexers]
        into = Rest(p.dim_out_sel for p in parts if p.dim_out_sel is not None)
        into.whole = self
        yield (tuple(p.dim_chunk_ix for p in parts),
               tuple(p.dim_chunk_sel for p in parts), into,
               all(p.is_complete_chunk for p in parts))


class Rest(tuple):
    """Where the first chunk stands in the result, and all that follow it."""


def of(batch):
    """The `Whole` that a batch is the first chunk of, or None."""
    return getattr(batch[0][3], "whole", None) if batch else None


def chunks(batch):
    """The batch as zarr would have made it."""
    whole = of(batch)
    if whole is None:
        return batch
    place, spec = batch[0][:2]
    first = place.path
    encode = whole.metadata.encode_chunk_key
    found = []
    for coords, part, into, complete in whole.indexer:
        if not found:
            above = first[:len(first) - len(encode(coords))]
        found.append((StorePath(place.store, above + encode(coords)), spec,
                      part, into, complete))
    return found


def box(batch):
    """(the box, where it stands in the result) of such a batch, or None."""
    whole = of(batch)
    if whole is None:
        return None
    return whole.plan, tuple([slice(0, n) for n in whole.shape]) + (Ellipsis,)


def _chunk_shape(metadata):
    """None: the chunks are not all alike."""
    if metadata.zarr_format == 2:
        return metadata.chunks
    grid = metadata.chunk_grid
    return grid.chunk_shape if type(grid).__name__ in _REGULAR else None


def _plan(indexer, lengths):
    """The box, or None: it is none, or of one chunk, for which a list is as good."""
    start, count, step, keep, n = [], [], [], [], 1
    for d, length in zip(indexer.dim_indexers, lengths):
        if not isinstance(d, (SliceDimIndexer, IntDimIndexer)):
            return None
        kept = isinstance(d, SliceDimIndexer)
        start.append(d.start if kept else int(d.dim_sel))
        count.append(d.nitems if kept else 1)
        step.append(d.step if kept else 1)
        keep.append(kept)
        last = start[-1] + (count[-1] - 1) * step[-1]
        n *= last // length - start[-1] // length + 1 if count[-1] else 0
    if n < 2:
        return None
    return Box(tuple(start), tuple(count), tuple(step), None, keep, True)


def _seen(node, indexer, fields):
    """What zarr is to iterate over."""
    if (type(indexer) not in _BOXES or fields or indexer.drop_axes
            or not getattr(node.codec_pipeline, "takes_whole", False)
            or not isinstance(node.store_path.store, LocalStore)
            or not getattr(_config(node), "read_missing_chunks", True)):
        return indexer
    lengths = _chunk_shape(node.metadata)
    plan = None if lengths is None else _plan(indexer, lengths)
    return indexer if plan is None else Whole(indexer, node.metadata, plan)


def _config(node):
    return getattr(node, "config", None) or getattr(node, "_config", None)


# --------------------------------------------------------------- directly ---


class _Thread(threading.local):
    call = None


_thread = _Thread()


class Elsewhere(Exception):
    """This needs zarr's event loop."""


class _Call:
    """One that is made on the thread that waits for it. Until it has begun it can
    be made again on the loop."""

    def __init__(self):
        self.begun = False


def directly():
    """The call that is made on this thread, or None."""
    return _thread.call


def _wanted(node):
    """Nobody runs a loop here, and nobody wants zarr to give up waiting."""
    return (getattr(node.codec_pipeline, "takes_whole", False)
            and asyncio._get_running_loop() is None
            and zarr.config.get("async.timeout", None) is None)


def _done_here(coroutine):
    """(True, its result), or (False, None): it needs the loop, and did nothing."""
    before = _thread.call
    _thread.call = call = _Call()
    try:
        coroutine.send(None)
    except StopIteration as end:
        return True, end.value
    except Exception:
        if call.begun:
            raise
        return False, None  # the loop tells it again, or can do it
    finally:
        _thread.call = before
    coroutine.close()  # it waits for something else; ours never does
    assert not call.begun
    return False, None


class _Done:
    """What zarr awaits, and its `sync` need not."""

    def __init__(self, value):
        self.value = value

    def __await__(self):
        return self.value
        yield


def _wrapped(name):
    original = getattr(AsyncArray, name)

    @functools.wraps(original)
    def method(self, indexer, *args, fields=None, **kwargs):
        seen = _seen(self, indexer, fields)
        if _wanted(self):
            done, value = _done_here(original(self, seen, *args, fields=fields,
                                              **kwargs))
            if done:
                return _Done(value)
        return original(self, seen, *args, fields=fields, **kwargs)

    setattr(AsyncArray, name, method)


def _sync(original):
    @functools.wraps(original)
    def sync(coroutine, *args, **kwargs):
        if type(coroutine) is _Done:
            return coroutine.value
        return original(coroutine, *args, **kwargs)
    return sync


# A zarr that has them no more is slower, and else the same.
for _name in ("_get_selection", "_set_selection"):
    if hasattr(AsyncArray, _name) and hasattr(array, "sync"):
        _wrapped(_name)
if hasattr(array, "sync"):
    array.sync = _sync(array.sync)
