# SPDX-License-Identifier: Apache-2.0
"""Arrays."""
from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from . import _core, _html, _selection, _transaction
from ._attributes import Attributes, OfArray
from ._selection import Box, Points
from ._values import DTYPES, shape_of
from .errors import BoundsCheckError, BusyError, make, unsupported

_POINTS = 1 << 20      # an orthogonal selection of so many is a list of points
_DENSE = 4             # … or read as its bounding box if that is so much larger
_TRIES = 3             # of a look at the shape, then a transaction

_current = _transaction._current
_plan = _core.plan

_DURABILITY = ("process", "power")


class _Moved(Exception):
    """The shape is not the one that a plan was made of."""


class Array(OfArray):
    """A Zarr array in a directory. Each read is one snapshot, each write one
    transaction, across chunks, threads and processes.

    Made by `open_array`, `create_array` and their kin. May be shared between
    threads, used after a fork, and pickled: it opens itself anew. Its shape and
    attributes are always those that stand on the disk.
    """

    def __init__(self, root, path, read_only, timeout_ms, flags=0, *,
                 handle=None):
        self._root, self._path = root, path
        self._dir = os.path.join(root, path) if path else root
        self._read_only = read_only
        self._timeout_ms, self._flags = timeout_ms, flags
        if not read_only:
            flags |= _core.OPEN_WRITE
        self._h = handle or _core.open_array(self._dir, flags, 0, timeout_ms)
        self._key = os.path.realpath(self._dir)
        self._learn(self._h.info())

    def _learn(self, info):
        self._info = info
        self._dtype = DTYPES[info["dtype"]]
        self._chunks = info["chunks"]
        self._shape = info["shape"]  # as last seen

    @classmethod
    def _of_transaction(cls, root, path, timeout_ms, flags, handle, info):
        """One that the running transaction makes; `info` of what was asked
        for."""
        self = cls.__new__(cls)
        self._root, self._path = root, path
        self._dir = os.path.join(root, path) if path else root
        self._read_only = False
        self._timeout_ms, self._flags = timeout_ms, flags
        self._h = handle
        self._key = os.path.realpath(self._dir)
        self._learn(info)
        return self

    def __reduce__(self):
        return (Array, (self._root, self._path, self._read_only,
                        self._timeout_ms, self._flags))

    def with_options(self, *, timeout=None, read_only=None) -> Array:
        """The same array with another time-out (seconds), or for reading."""
        ms = _transaction.timeout_ms(timeout, self._timeout_ms)
        if read_only is None:
            read_only = self._read_only
        return Array(self._root, self._path, read_only, ms, self._flags)

    # -------------------------------------------------------- properties ---

    @property
    def store(self) -> str:
        """Directory of the root."""
        return self._root

    @property
    def path(self) -> str:
        """Path below the root, without a slash at its beginning."""
        return self._path

    @property
    def name(self) -> str:
        return "/" + self._path

    @property
    def basename(self) -> str:
        return self._path.rpartition("/")[2]

    @property
    def read_only(self) -> bool:
        return self._read_only

    @property
    def shape(self) -> tuple[int, ...]:
        """As it is now; in a transaction, as that sees it."""
        running = _transaction.current()
        if running:
            return running.handle(self).shape(running.core)
        self._shape = self._h.shape(None)
        return self._shape

    @shape.setter
    def shape(self, value) -> None:
        self.resize(value)

    @property
    def chunks(self) -> tuple[int, ...]:
        return self._chunks

    @property
    def shards(self):
        return None

    @property
    def dtype(self) -> np.dtype:
        """In the machine's byte order, whatever is stored."""
        return self._dtype

    @property
    def ndim(self) -> int:
        return len(self._chunks)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        return self._dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self._dtype.itemsize

    @property
    def fill_value(self):
        fill = self._info["fill"]
        return None if fill is None else np.frombuffer(fill, self._dtype)[0]

    @property
    def order(self) -> str:
        return self._info["order"]

    @property
    def zarr_format(self) -> int:
        return self._info["zarr_format"]

    @property
    def codecs(self) -> str:
        """Names in encoding order, separated by commas."""
        if not self._info["codecs"]:  # made by a transaction
            self._learn(self._h.info())
        return self._info["codecs"]

    @property
    def compressors(self) -> tuple[str, ...]:
        return tuple([c for c in self.codecs.split(",")
                      if c and c not in ("bytes", "transpose")])

    @property
    def compressor(self):
        return self.compressors[0] if self.compressors else None

    @property
    def filters(self):
        return ()

    @property
    def synchronizer(self):
        return None

    @property
    def dimension_names(self) -> tuple[str | None, ...] | None:
        """One each, None for a dimension without; None if there are none."""
        names = tuple([self._h.dimension_name(d) for d in range(self.ndim)])
        return names if any(names) else None

    @property
    def cdata_shape(self) -> tuple[int, ...]:
        """Chunks along each dimension."""
        return tuple([-(-n // c) for n, c in zip(self.shape, self._chunks)])

    @property
    def nchunks(self) -> int:
        return math.prod(self.cdata_shape)

    @property
    def nchunks_initialized(self) -> int:
        """Stored chunks, counted now; not a snapshot."""
        return self._h.usage()[0]

    def nbytes_stored(self) -> int:
        """Bytes of the stored chunks, counted now; not a snapshot."""
        return self._h.usage()[1]

    @property
    def durability(self) -> str:
        """'process' survives kill -9, 'power' also the loss of power. Setting
        it takes the array for itself: BusyError beside a transaction."""
        return _DURABILITY[self._h.info()["durability"]]

    @durability.setter
    def durability(self, value) -> None:
        if value not in _DURABILITY:
            raise ValueError(f"durability is 'process' or 'power', "
                             f"not {value!r}")
        self._outside("durability")
        self._h.set_durability(_DURABILITY.index(value))

    @property
    def attrs(self) -> Attributes:
        return Attributes(self)

    @property
    def oindex(self):
        return _Indexer(self, "orthogonal")

    @property
    def vindex(self):
        return _Indexer(self, "coordinate_or_mask")

    @property
    def blocks(self):
        return _Indexer(self, "block")

    # ---------------------------------------------------------- the engine ---

    def _outside(self, what):
        if _transaction.current():
            raise unsupported(f"'{self._dir}': {what} cannot take part in a "
                              "transaction; use it before or after")

    def _writable(self):
        if self._read_only:
            raise make(-10, 0, 0, f"'{self._dir}' was opened for reading")

    def _planned(self, make, use, fresh=False):
        """use(make(shape), shape, handle, transaction): with the shape as last
        seen as long as that does, and anew when it does not."""
        running = _transaction.current()
        if running:
            h = running.handle(self)
            shape = h.shape(running.core)
            return use(make(shape), shape, h, running.core)
        h = self._h
        shape = h.shape(None) if fresh else self._shape
        while True:
            self._shape = shape
            try:
                return use(make(shape), shape, h, None)
            except _Moved:
                fresh = True
                shape = h.shape(None)
            except BoundsCheckError:
                now = h.shape(None)
                if now == shape and fresh:
                    raise
                fresh = True
                shape = now

    def _get(self, make, out, timeout, progress=None):
        ms = _transaction.timeout_ms(timeout)
        tries = 0

        def use(plan, shape, h, txn):
            nonlocal tries
            tries += 1
            if tries > _TRIES and txn is None:
                return _transaction.run(lambda: self._get(make, out, None),
                                        timeout=timeout)
            if plan.exact or txn is not None:
                shape = None  # the library checks the bounds
            return _read(plan, self._dtype, h, txn, ms, out, shape, progress)

        result = self._planned(make, use)
        return result[()] if result.ndim == 0 and out is None else result

    def _set(self, make, value, timeout, progress=None):
        self._writable()
        ms = _transaction.timeout_ms(timeout)
        value = np.asarray(value, dtype=self._dtype)
        tries = 0

        def use(plan, shape, h, txn):
            nonlocal tries
            tries += 1
            if tries > _TRIES and txn is None:
                return _transaction.run(lambda: self._set(make, value, None),
                                        timeout=timeout)
            must = None if txn is not None or plan.exact \
                or value.ndim == 0 and _is_open(plan) else shape
            try:
                return _write(plan, value, h, txn, ms, progress, must)
            except BoundsCheckError:
                if must is None:
                    raise
                raise _Moved from None  # it may be back by now
            except ValueError:
                # it did not fit, perhaps as the shape was an old one
                if txn is None and h.shape(None) != shape:
                    raise _Moved from None
                raise

        self._planned(make, use)

    # ----------------------------------------------------------- selections ---

    def _maker(self, kind, selection):
        s = _selection
        if kind == "auto":
            make = s.choose(selection, self.ndim)
        elif kind == "block":
            return lambda shape: s.blocks(selection, shape, self._chunks)
        elif kind == "coordinate_or_mask":
            item = (selection[0] if isinstance(selection, tuple)
                    and len(selection) == 1 else selection)
            bools = (not isinstance(item, tuple)
                     and np.asarray(item).dtype == bool)
            make = s.mask if bools else s.points
        else:
            make = {"basic": s.box, "orthogonal": s.grid,
                    "coordinate": s.points, "mask": s.mask}[kind]
        return lambda shape: make(selection, shape)

    def __getitem__(self, selection) -> Any:
        if _current.get() is None:
            result = self._get_quickly(selection)
            if result is not None:
                return result
        return self._get(self._maker("auto", selection), None, None)

    def __setitem__(self, selection, value) -> None:
        if _current.get() is None and not self._read_only:
            put, shape, dtype = self._h.put, self._shape, self._dtype
            if put(selection, value, shape, dtype):
                return
            value = np.asarray(value, dtype)
            if put(selection, value, shape, dtype):
                return
        self._set(self._maker("auto", selection), value, None)

    def _get_quickly(self, selection, out=None):
        """Of integers and slices, by the shape as last seen. None: it is not
        that, or not so easy."""
        shape = self._shape
        plan = _plan(selection, shape)
        if plan is None:
            return None
        box, _, count, kept, exact = plan
        if out is None:
            x = np.empty(count, self._dtype)
        elif (type(out) is np.ndarray and out.dtype == self._dtype
                and out.shape == kept):
            x = out.reshape(count)  # with dimensions of length 1: a view
        else:
            return None
        try:
            if exact:
                self._h.read(box, x, None, None)
            elif self._h.read_shape(box, x, None, None) != shape:
                return None
        except BoundsCheckError:
            return None
        if out is not None:
            return out
        if len(kept) == len(count):
            return x
        return x.reshape(kept) if kept else x.reshape(-1)[0]

    def get_basic_selection(self, selection=Ellipsis, *, out=None, fields=None,
                            timeout=None, progress=None):
        _no_fields(fields)
        if timeout is None and progress is None and _current.get() is None:
            result = self._get_quickly(selection, out)
            if result is not None:
                return result
        return self._get(self._maker("basic", selection), out, timeout,
                         progress)

    def set_basic_selection(self, selection, value, *, fields=None,
                            timeout=None, progress=None):
        _no_fields(fields)
        self._set(self._maker("basic", selection), value, timeout,
                  progress)

    def get_orthogonal_selection(self, selection, *, out=None, fields=None,
                                 timeout=None, progress=None):
        _no_fields(fields)
        return self._get(self._maker("orthogonal", selection), out, timeout,
                         progress)

    def set_orthogonal_selection(self, selection, value, *, fields=None,
                                 timeout=None, progress=None):
        _no_fields(fields)
        self._set(self._maker("orthogonal", selection), value, timeout,
                  progress)

    def get_coordinate_selection(self, selection, *, out=None, fields=None,
                                 timeout=None, progress=None):
        _no_fields(fields)
        return self._get(self._maker("coordinate", selection), out, timeout,
                         progress)

    def set_coordinate_selection(self, selection, value, *, fields=None,
                                 timeout=None, progress=None):
        _no_fields(fields)
        self._set(self._maker("coordinate", selection), value, timeout,
                  progress)

    def get_mask_selection(self, mask, *, out=None, fields=None, timeout=None, progress=None):
        _no_fields(fields)
        return self._get(self._maker("mask", mask), out, timeout,
                         progress)

    def set_mask_selection(self, mask, value, *, fields=None, timeout=None, progress=None):
        _no_fields(fields)
        self._set(self._maker("mask", mask), value, timeout,
                  progress)

    def get_block_selection(self, selection, *, out=None, fields=None,
                            timeout=None, progress=None):
        _no_fields(fields)
        return self._get(self._maker("block", selection), out, timeout,
                         progress)

    def set_block_selection(self, selection, value, *, fields=None,
                            timeout=None, progress=None):
        _no_fields(fields)
        self._set(self._maker("block", selection), value, timeout,
                  progress)

    def update(self, selection, fn, *, timeout=None) -> None:
        """Read a selection, change it, write it back, as one step.

        ``fn(x)`` gets a NumPy array, and returns the new values or changes `x`
        in place and returns None. Locks of the chunks are held meanwhile (of
        integers and slices; other selections are run again on conflict), so be
        quick, and do not use this array in it.
        """
        self._writable()
        make = self._maker("auto", selection)
        ms = _transaction.timeout_ms(timeout)

        def use(plan, shape, h, txn):
            if txn is None and isinstance(plan, Box) and plan.size:
                return self._update_box(plan, h, fn, ms,
                                        None if plan.exact else shape)
            if txn is None:
                return _transaction.run(lambda: self.update(selection, fn),
                                        timeout=timeout)
            x = _read(plan, self._dtype, h, txn, ms, None)
            _write(plan, _changed(fn, x, plan.shape, self._dtype), h, txn, ms)

        self._planned(make, use, fresh=True)

    def _update_box(self, plan, h, fn, ms, shape):
        """`shape`: as in `_write`."""
        def body(memory):
            there = np.frombuffer(memory, self._dtype).reshape(plan.shape)
            there[...] = _changed(fn, there.copy(), plan.shape, self._dtype)

        h.update(plan.open_selection(), body, ms, shape)

    # ----------------------------------------------------------------- more ---

    def _part(self):
        """(handle, transaction or None) of a call that changes the array."""
        self._writable()
        running = _transaction.current()
        if running is None:
            return self._h, None
        return running.handle(self), running.core

    def resize(self, *args, timeout=None) -> None:
        """Change the shape, as one transaction or as a part of the running one:
        ``resize((20, 10))``. What a smaller shape cuts off is gone."""
        h, txn = self._part()
        shape = shape_of(args[0] if len(args) == 1 else args)
        h.resize(shape, _transaction.timeout_ms(timeout), txn)
        if txn is None:
            self._shape = h.shape(None)

    def _appended(self, data, axis):
        """`data` as it can be appended along `axis`, and that axis."""
        data = np.ascontiguousarray(data, dtype=self._dtype)
        mine = self._shape
        if data.ndim != len(mine) or not -len(mine) <= axis < len(mine):
            raise ValueError(f"append: the array has {len(mine)} dimensions, "
                             f"the data {data.ndim}, axis is {axis}")
        axis %= len(mine)
        beside = data.shape[:axis] + data.shape[axis + 1:]
        if beside != mine[:axis] + mine[axis + 1:]:
            mine = self.shape
        if beside != mine[:axis] + mine[axis + 1:]:
            raise ValueError(
                f"append: shape {data.shape} of the data does not fit the "
                f"array's {mine} beside axis {axis}")
        return data, axis

    def append_at(self, data, axis=0, *, timeout=None) -> int:
        """Grow along `axis` by `data` and write it there, as one transaction or
        as a part of the running one; where it landed."""
        h, txn = self._part()
        data, axis = self._appended(data, axis)
        if data.shape[axis] == 0:
            return self.shape[axis]
        return h.append(axis, data, _transaction.timeout_ms(timeout), txn)

    def append(self, data, axis=0, *, timeout=None) -> tuple[int, ...]:
        """As `append_at`; returns the new shape, as zarr does."""
        data = np.asarray(data)
        at = self.append_at(data, axis, timeout=timeout)
        axis %= self.ndim
        shape = list(self._shape)
        shape[axis] = at + data.shape[axis]
        if _transaction.current():
            return tuple(shape)
        self._shape = tuple(shape)
        return self._shape

    def update_attributes(self, attributes):
        """All of them set in one step; the array."""
        self.attrs.update(attributes)
        return self

    def snapshot(self, *, timeout=None, copy=False, directory=None,
                 progress=None):
        """As `atomiczarr.snapshot` of this array."""
        from ._snapshot import snapshot
        return snapshot(self, timeout=timeout, copy=copy, directory=directory,
                        progress=progress)

    def watch(self, timeout=None):
        """An iterator that goes on each time the array has been changed since
        this call, or since its last step: by a commit of anybody, of elements,
        shape or attributes. Gives the array's version, a number that only
        grows. What is read then is at least as new; commits in quick
        succession may come as one. Ends when nothing has changed for `timeout`
        seconds (None: never).

        It looks at counters that commits move anyway, up to 4 ms apart, so
        writers do nothing for it. It does not notice plain Zarr programs.
        FileNotFoundError once the array is removed or replaced.
        """
        self._outside("watch")
        return Watch(self, timeout)

    def view(self, dtype=None, read_only=None):
        if dtype is not None and np.dtype(dtype) != self._dtype:
            raise unsupported("a view with another data type")
        return self.with_options(read_only=read_only)

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("an array on disk cannot be taken without a copy")
        x = np.asarray(self[...])
        return x if dtype is None else x.astype(dtype, copy=False)

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a 0-d array")
        return self.shape[0]

    def __iter__(self):
        """Rows, a chunk's worth read at a time."""
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        n, step = len(self), self._chunks[0]
        for a in range(0, n, step):
            yield from self[a:min(a + step, n)]

    def __eq__(self, other):
        if not isinstance(other, Array):
            return NotImplemented
        return (self._key, self._read_only) == (other._key, other._read_only)

    def __hash__(self):
        return hash(self._key)

    def __repr__(self):
        return f"<atomiczarr.Array '{self._dir}' shape={self.shape} " \
               f"dtype={self._dtype}>"

    @property
    def info(self):
        return _html.Info(self)

    def info_complete(self):
        return _html.Info(self, complete=True)

    def _repr_html_(self):
        return _html.of_array(self)


class Watch:
    """What `Array.watch` gives."""

    def __init__(self, array, timeout):
        self._h = array._h
        self._ms = _transaction.timeout_ms(timeout, -1)
        #: of the last step, or of the call of `watch`
        self.version = self._h.wait(0, None)

    def __iter__(self):
        return self

    def __next__(self) -> int:
        try:
            self.version = self._h.wait(self.version, self._ms)
        except BusyError:
            raise StopIteration from None
        return self.version


class _Indexer:
    """``z.oindex[…]``, ``z.vindex[…]``, ``z.blocks[…]``."""

    def __init__(self, array, kind):
        self._array, self._kind = array, kind

    def __getitem__(self, selection) -> Any:
        a = self._array
        return a._get(a._maker(self._kind, selection), None, None)

    def __setitem__(self, selection, value) -> None:
        a = self._array
        a._set(a._maker(self._kind, selection), value, None)


def _is_open(plan):
    """Do its bounds hold for whatever shape the commit finds?"""
    return isinstance(plan, Box) and plan.is_open and plan.size > 0


def _no_fields(fields):
    if fields:
        raise unsupported("fields: there are no structured data types")


def _changed(fn, x, shape, dtype):
    y = fn(x)
    return _fit(np.asarray(x if y is None else y, dtype=dtype), shape)


def _fit(value, shape):
    """`value` as an array of `shape`, without a copy."""
    if value.shape == shape:
        return value
    while value.ndim > len(shape) and value.shape[0] == 1:
        value = value[0]
    return np.broadcast_to(value, shape)


# ------------------------------------------------------------------ reading ---


def _read(plan, dtype, h, txn, ms, out, shape=None, progress=None):
    """What `plan` selects, in `out` if there is one. `shape`: it was made of
    that, and holds for that alone: _Moved if the array had another one."""
    if isinstance(plan, Box):
        result = _read_box(plan, dtype, h, txn, ms, out, shape, progress)
    elif isinstance(plan, Points):
        flat = np.empty(len(plan.coords), dtype)
        _fetch(plan.selection(), flat, h, txn, ms, shape, progress)
        result = flat.reshape(plan.shape)
    else:
        result = _read_grid(plan, dtype, h, txn, ms, shape, progress)
    if out is None or out is result:
        return result
    out[...] = result
    return out


def _fetch(selection, out, h, txn, ms, shape, progress):
    """One read of the library."""
    if out.size == 0:
        if shape is not None and h.shape(None) != shape:
            raise _Moved
    elif shape is None:
        h.read(selection, out, ms, txn, progress)
    elif h.read_shape(selection, out, ms, txn, progress) != shape:
        raise _Moved


def _read_box(plan, dtype, h, txn, ms, out, shape, progress):
    """In place where `out` can take it."""
    if (out is not None and isinstance(out, np.ndarray) and out.dtype == dtype
            and out.shape == plan.shape):
        _fetch(plan.selection(), plan.widen(out), h, txn, ms, shape, progress)
        return out
    full = np.empty(plan.count, dtype)
    _fetch(plan.selection(), full, h, txn, ms, shape, progress)
    return full if len(plan.shape) == len(plan.count) \
        else full.reshape(plan.shape)


def _read_grid(plan, dtype, h, txn, ms, shape, progress):
    """One read where that is possible, else boxes in one transaction."""
    counts = [len(i) for i in plan.indices]
    size = math.prod(counts)
    if size == 0:
        _fetch(None, np.empty(0), h, txn, ms, shape, progress)
        return np.empty(plan.shape, dtype)
    low = [int(min(i)) for i in plan.indices]
    high = [int(max(i)) + 1 for i in plan.indices]
    span = math.prod(b - a for a, b in zip(low, high))
    if span <= _DENSE * size:
        whole = np.empty([b - a for a, b in zip(low, high)], dtype)
        _fetch(_box(low, whole.shape), whole, h, txn, ms, shape, progress)
        picked = whole[np.ix_(*[np.asarray(i) - a
                                for i, a in zip(plan.indices, low)])]
        return picked.reshape(plan.shape)
    if size <= _POINTS:
        flat = np.empty(size, dtype)
        _fetch((_core.SELECT_POINTS, _product(plan.indices), None, None), flat,
               h, txn, ms, shape, progress)
        return flat.reshape(plan.shape)
    result = np.empty(counts, dtype)

    def body(core):
        if shape is not None and h.shape(core) != shape:
            raise _Moved
        for at, start in _boxes(plan.indices):
            part = np.empty([s.stop - s.start for s in at], dtype)
            h.read(_box(start, part.shape), part, None, core)
            result[at] = part
        return True

    _in_transaction(body, txn, ms)
    return result.reshape(plan.shape)


# ------------------------------------------------------------------ writing ---


def _write(plan, value, h, txn, ms, progress=None, shape=None):
    """`shape`: as in `_read`; IndexError if the array has another one."""
    if isinstance(plan, Box):
        _write_box(plan, value, h, txn, ms, progress, shape)
    elif isinstance(plan, Points):
        flat = np.ascontiguousarray(_fit(value, plan.shape)).reshape(-1)
        _store(plan.selection(), flat, h, txn, ms, progress, shape)
    else:
        _write_grid(plan, _fit(value, plan.shape), h, txn, ms, progress, shape)


def _store(selection, values, h, txn, ms, progress, shape):
    """One write of the library."""
    if values.size:
        h.write(selection, values, ms, txn, progress, shape)
    elif shape is not None and h.shape(None) != shape:
        raise _Moved


def _write_box(plan, value, h, txn, ms, progress, shape):
    selection = plan.selection() if txn is not None else plan.open_selection()
    if value.ndim == 0 and plan.size and shape is None:
        h.fill(selection, value, ms, txn, progress)
    else:
        _store(selection, plan.widen(_fit(value, plan.shape)), h, txn, ms,
               progress, shape)


def _write_grid(plan, value, h, txn, ms, progress, shape):
    counts = [len(i) for i in plan.indices]
    size = math.prod(counts)
    if size <= _POINTS:
        flat = np.ascontiguousarray(value).reshape(-1)
        points = _product(plan.indices) if size else None
        _store((_core.SELECT_POINTS, points, None, None), flat, h, txn, ms,
               progress, shape)
        return
    value = value[tuple([slice(None) if k else None for k in plan.keep])]

    def body(core):
        if shape is not None and h.shape(core) != shape:
            raise _Moved
        for at, start in _boxes(plan.indices):
            part = value[at]
            h.write(_box(start, part.shape), part, None, core)
        return True

    _in_transaction(body, txn, ms)


def _box(start, count):
    return (_core.SELECT_BOX, tuple(start), tuple(count), (1,) * len(start))


def _product(indices):
    """Coordinates of all combinations, n × rank, in C order."""
    lists = np.meshgrid(*[np.asarray(i, dtype="i8") for i in indices],
                        indexing="ij")
    return np.stack([x.ravel() for x in lists], axis=1)


def _boxes(indices):
    """(place in the result, start in the array) of each contiguous box."""
    def below(d):
        if d == len(indices):
            yield (), ()
            return
        for at, run in _selection.runs(indices[d]):
            parts = [(at, run)] if run.step == 1 else \
                [(at + k, range(i, i + 1)) for k, i in enumerate(run)]
            for a, r in parts:
                for rest, start in below(d + 1):
                    yield ((slice(a, a + len(r)), *rest), (r.start, *start))
    return below(0)


def _in_transaction(body, txn, ms):
    if txn is not None:
        body(txn)
    else:
        _core.run(body, _transaction.default_timeout_ms() if ms is None
                  else ms)
