# SPDX-License-Identifier: Apache-2.0
"""What stands between brackets, as selections of the library.

A plan is made of a shape. It is *exact* if it would be the same for every
shape that holds it (``z[2:6]``): the library then checks the bounds, and the
shape that it was made of may be an old one. ``z[:]``, ``z[-1]`` and what is cut
at the end are not exact. A box whose `raw` bounds mean the same for every shape
`is_open`: one value for all of it is written to the bounds of the commit.
"""
import operator

import numpy as np

from . import _core
from .errors import BoundsCheckError

NO_STOP = 2**63 - 1


class Box:
    """A box with steps: `count[d]` elements along each dimension.

    `shape` is that of the result, without the dimensions of integers; `full`
    is the same with them, of length 1.
    """

    __slots__ = ("start", "count", "step", "raw", "shape", "keep", "exact",
                 "is_open")

    def __init__(self, start, count, step, raw, keep, exact, is_open=False):
        self.start, self.count, self.step = start, count, step
        self.raw = raw
        self.keep = keep
        self.shape = tuple([n for n, k in zip(count, keep) if k])
        self.exact = exact
        self.is_open = is_open

    @property
    def size(self):
        n = 1
        for c in self.count:
            n *= c
        return n

    def selection(self):
        return (_core.SELECT_BOX, self.start, self.count, self.step)

    def open_selection(self):
        """The same, with the bounds of the shape at the commit."""
        if self.exact:
            return self.selection()
        return (_core.SELECT_SLICES, *self.raw)

    def widen(self, value):
        """`value`, which has `shape`, with the dimensions of integers."""
        if len(self.shape) == len(self.count):
            return value
        return value[tuple([slice(None) if k else None for k in self.keep])]


class Points:
    """A list of coordinates, n × rank; the result has `shape`."""

    __slots__ = ("coords", "shape", "exact")

    def __init__(self, coords, shape, exact):
        self.coords, self.shape, self.exact = coords, shape, exact

    def selection(self):
        return (_core.SELECT_POINTS, self.coords, None, None)


class Grid:
    """Orthogonal: indices along each dimension; `keep` as in a box."""

    __slots__ = ("indices", "shape", "keep", "exact")

    def __init__(self, indices, keep, exact):
        self.indices = indices
        self.keep = keep
        self.shape = tuple([len(i) for i, k in zip(indices, keep) if k])
        self.exact = exact


def _out_of_bounds(i, n, d):
    return BoundsCheckError(
        f"index {i} is out of bounds for dimension {d} with length {n}")


def expand(selection, ndim):
    """A tuple of `ndim` items: no Ellipsis, what is left out is whole."""
    if not isinstance(selection, tuple):
        selection = (selection,)
    dots = [k for k, s in enumerate(selection) if s is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if dots:
        k = dots[0]
        rest = max(ndim - len(selection) + 1, 0)
        selection = (selection[:k] + (slice(None),) * rest
                     + selection[k + 1:])
    elif len(selection) < ndim:
        selection += (slice(None),) * (ndim - len(selection))
    if len(selection) > ndim:
        raise IndexError(f"too many indices for array; expected {ndim}, "
                         f"got {len(selection)}")
    return selection


def is_integer(x):
    return (isinstance(x, (int, np.integer)) and not isinstance(x, bool)
            or isinstance(x, np.ndarray) and x.ndim == 0
            and x.dtype.kind in "iu")


def is_list(x):
    return (isinstance(x, (list, range))
            or isinstance(x, np.ndarray) and x.ndim > 0)


def _integer(i, n, d):
    i = operator.index(i)
    at = i + n if i < 0 else i
    if not 0 <= at < n:
        raise _out_of_bounds(i, n, d)
    return at, i, i >= 0


def _slice(s, n):
    """(start, count, step), (start, stop, step) as said, is it exact?"""
    step = 1 if s.step is None else operator.index(s.step)
    if step < 1:
        raise IndexError("only slices with step >= 1 are supported")
    start = 0 if s.start is None else operator.index(s.start)
    stop = NO_STOP if s.stop is None else operator.index(s.stop)
    first = max(start + n, 0) if start < 0 else min(start, n)
    end = max(stop + n, 0) if stop < 0 else min(stop, n)
    count = max(0, (end - first + step - 1) // step)
    exact = 0 <= start and 0 <= stop <= n
    return (first, count, step), (start, stop, step), exact


def box(selection, shape):
    """Of integers, slices and an Ellipsis."""
    selection = expand(selection, len(shape))
    start, count, step, raw, keep = [], [], [], [], []
    exact = True
    for d, (s, n) in enumerate(zip(selection, shape)):
        if isinstance(s, slice):
            (a, c, t), r, same = _slice(s, n)
            keep.append(True)
        elif is_integer(s):
            a, said, same = _integer(s, n, d)
            c, t, r = 1, 1, (said, 0, 0)
            keep.append(False)
        else:
            raise IndexError(
                "unsupported selection item for basic indexing; expected "
                f"integer or slice, got {type(s)!r}")
        start.append(a)
        count.append(c)
        step.append(t)
        raw.append(r)
        exact = exact and same
    raw = tuple(zip(*raw)) if raw else ((), (), ())
    return Box(tuple(start), tuple(count), tuple(step), raw, keep, exact, True)


def _block(s, n, c, d):
    """Of blocks along one dimension (start, stop) in elements; the same as it is
    for every shape; is there such a thing?"""
    grid = -(-n // c)
    if isinstance(s, slice):
        if s.step not in (None, 1):
            raise IndexError("only slices with step 1 select blocks")
        (a, k, _), (first, stop, _), _ = _slice(s, grid)
        said = first * c, stop * c if stop <= NO_STOP // c else NO_STOP
        same = first >= 0 and stop >= 0
    elif is_integer(s):
        a, _, same = _integer(s, grid, d)
        k, said = 1, (a * c, (a + 1) * c)
        same = same and said[1] <= n  # one that the end cuts may be gone
    else:
        raise IndexError("unsupported selection item for block indexing; "
                         f"expected integer or slice, got {type(s)!r}")
    there = a * c, max(a * c, min((a + k) * c, n))
    return there, said if same else there, same


def blocks(selection, shape, chunks):
    """Of integers and slices that count chunks. What depends on the shape does so
    in blocks: ``blocks[:]`` and ``blocks[-1]`` are others in an array that has
    grown, also if its length was a multiple of the chunks'."""
    selection = expand(selection, len(shape))
    found = [_block(s, n, c, d)
             for d, (s, n, c) in enumerate(zip(selection, shape, chunks))]
    step = (1,) * len(found)
    raw = (tuple([a for _, (a, _), _ in found]),
           tuple([b for _, (_, b), _ in found]), step)
    same = all(s for _, _, s in found)
    exact = same and all(b <= n for b, n in zip(raw[1], shape))
    return Box(tuple([a for (a, _), _, _ in found]),
               tuple([b - a for (a, b), _, _ in found]), step, raw,
               [True] * len(found), exact, same)


def _wrap(index, n, d):
    """Indices along one dimension as int64, within 0 … n; exact?"""
    if index.dtype.kind not in "iu":
        if index.size:
            raise IndexError("indices must be integers or booleans, got "
                             f"{index.dtype}")
        index = index.astype("i8")
    index = index.astype("i8", copy=False)
    if index.size == 0:
        return index, True
    low, high = int(index.min()), int(index.max())
    if low < -n or high >= n:
        raise _out_of_bounds(low if low < -n else high, n, d)
    return (np.where(index < 0, index + n, index) if low < 0 else index,
            low >= 0)


def points(selection, shape):
    """Of one list of indices for each dimension, broadcast together."""
    if not isinstance(selection, tuple):
        selection = (selection,)
    if len(selection) != len(shape):
        raise IndexError(
            f"a coordinate selection needs {len(shape)} lists of indices, "
            f"got {len(selection)}")
    lists, exact = [], True
    for d, (s, n) in enumerate(zip(selection, shape)):
        if isinstance(s, slice) or s is Ellipsis:
            raise IndexError("unsupported selection item for coordinate "
                             "indexing; expected integer or list of them")
        wrapped, same = _wrap(np.asarray(s), n, d)
        lists.append(wrapped)
        exact = exact and same
    try:
        lists = np.broadcast_arrays(*lists) if lists else []
    except ValueError as e:
        raise IndexError(f"coordinate lists do not fit together: {e}") from e
    result = lists[0].shape if lists else ()
    coords = np.stack([x.ravel() for x in lists], axis=1)
    return Points(np.ascontiguousarray(coords), result, exact)


def mask(selection, shape):
    """Of an array of booleans of the same shape."""
    if isinstance(selection, tuple) and len(selection) == 1:
        selection = selection[0]
    m = np.asarray(selection)
    if m.dtype != bool:
        raise IndexError("a mask is an array of booleans")
    if m.shape != tuple(shape):
        raise BoundsCheckError(
            f"mask has shape {m.shape}, the array {tuple(shape)}")
    coords = np.ascontiguousarray(np.argwhere(m), dtype="i8")
    return Points(coords, (len(coords),), False)


def _indices(s, n, d):
    """Indices along one dimension, keep it?, exact?"""
    if isinstance(s, slice):
        (a, c, t), _, same = _slice(s, n)
        return range(a, a + c * t, t), True, same
    if is_integer(s):
        a, _, same = _integer(s, n, d)
        return range(a, a + 1), False, same
    s = np.asarray(s)
    if s.ndim != 1:
        raise IndexError("orthogonal indices have one dimension each, got "
                         f"{s.ndim}")
    if s.dtype == bool:
        if len(s) != n:
            raise BoundsCheckError(f"mask of dimension {d} has length "
                                   f"{len(s)}, the array {n}")
        return np.flatnonzero(s), True, False
    wrapped, same = _wrap(s, n, d)
    return wrapped, True, same


def _regular(i):
    """A range of the same indices, if there is one."""
    if isinstance(i, range) or len(i) == 0:
        return i if isinstance(i, range) else range(0)
    if len(i) == 1:
        return range(int(i[0]), int(i[0]) + 1)
    step = int(i[1] - i[0])
    if step < 1 or not (np.diff(i) == step).all():
        return i
    return range(int(i[0]), int(i[-1]) + 1, step)


def grid(selection, shape):
    """Of integers, slices, and lists that each hold for their dimension.

    A Box if each of the lists goes up by one step.
    """
    selection = expand(selection, len(shape))
    if all(isinstance(s, slice) or is_integer(s) for s in selection):
        return box(selection, shape)
    found = [_indices(s, n, d)
             for d, (s, n) in enumerate(zip(selection, shape))]
    indices = [_regular(i) for i, _, _ in found]
    keep = [k for _, k, _ in found]
    exact = all(e for _, _, e in found)
    if not all(isinstance(i, range) for i in indices):
        return Grid(indices, keep, exact)
    start = tuple([i.start for i in indices])
    count = tuple([len(i) for i in indices])
    step = tuple([i.step for i in indices])
    # bounds of slices and lists mixed: taken as they are now
    raw = (start, tuple([a + (c - 1) * s + 1 if c else a for a, c, s
                         in zip(start, count, step)]), step)
    return Box(start, count, step, raw, keep, exact)


def runs(i):
    """(position, range) of the regular parts of a list of indices."""
    if isinstance(i, range):
        return [(0, i)] if len(i) else []
    cut = np.flatnonzero(np.diff(i) != 1) + 1
    ends = [0, *cut.tolist(), len(i)]
    return [(a, range(int(i[a]), int(i[a]) + b - a))
            for a, b in zip(ends, ends[1:])]


def choose(selection, ndim):
    """Which maker takes what stands between the brackets of ``z[…]``."""
    items = selection if isinstance(selection, tuple) else (selection,)
    if not any(is_list(s) for s in items):
        return box
    if len(items) == 1 and is_list(items[0]):
        only = np.asarray(items[0])
        if only.dtype == bool and only.ndim == ndim:
            return mask
    if len(items) == ndim and all(is_list(s) or is_integer(s) for s in items):
        if not any(np.asarray(s).dtype == bool for s in items):
            return points
    return grid
