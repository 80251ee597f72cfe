# SPDX-License-Identifier: Apache-2.0
"""Selections give what NumPy gives, reading and writing, in a transaction and
outside."""
import contextlib

import numpy as np
import pytest

import atomiczarr as az
from atomiczarr import _array, _core

SHAPES = [(13,), (7, 9), (5, 6, 7), (2, 3, 4, 5)]


def some_slice(r, n):
    def bound():
        return None if r.random() < 0.3 else int(r.integers(-n - 2, n + 3))
    step = None if r.random() < 0.5 else int(r.integers(1, 4))
    return slice(bound(), bound(), step)


def some_basic(r, shape):
    items = [int(r.integers(-n, n)) if r.random() < 0.3 else some_slice(r, n)
             for n in shape]
    cut = int(r.integers(0, len(items) + 1))
    if r.random() < 0.3:
        drop = int(r.integers(0, len(items) - cut + 1))
        return tuple(items[:cut] + [Ellipsis] + items[cut + drop:])
    return tuple(items[:cut]) if r.random() < 0.3 else tuple(items)


def some_orthogonal(r, shape):
    out = []
    for n in shape:
        which = r.integers(0, 4)
        if which == 0:
            out.append(some_slice(r, n))
        elif which == 1:
            out.append(int(r.integers(-n, n)))
        elif which == 2:
            out.append(r.random(n) < 0.5)
        else:
            out.append(r.integers(-n, n, r.integers(0, 2 * n)))
    return tuple(out)


def orthogonal(shape, selection):
    """np.ix_ of the selection, and the shape of its result."""
    lists = [np.arange(n)[s] for s, n in zip(selection, shape)]
    keep = tuple([len(x) for x in lists if np.ndim(x)])
    return np.ix_(*[np.atleast_1d(x) for x in lists]), keep


@pytest.fixture(params=SHAPES, ids=str)
def pair(request, path):
    shape = request.param
    x = np.arange(np.prod(shape), dtype="i4").reshape(shape) + 1
    z = az.create_array(path, data=x, chunks=[3, 4, 2, 5][:len(shape)])
    return z, x


@pytest.fixture(params=[False, True], ids=["plain", "transaction"])
def where(request):
    return az.transaction if request.param else contextlib.nullcontext


def check_write(z, x, r, select, shape, put):
    """Values of the selection's shape, one value, and ones that broadcast."""
    for s in (shape, (), shape[-1:], (1,) + shape):
        v = r.integers(0, 1000, s)
        select(z, v)
        put(x, np.broadcast_to(v[0] if len(s) > len(shape) else v, shape))
        np.testing.assert_array_equal(z[...], x)


@pytest.mark.parametrize("seed", range(8))
def test_basic(pair, seed, where):
    z, x = pair
    r = np.random.default_rng(seed)
    for _ in range(6):
        s = some_basic(r, x.shape)
        with where():
            got = z[s]
            assert np.shape(got) == x[s].shape, s
            np.testing.assert_array_equal(got, x[s], err_msg=str(s))
            np.testing.assert_array_equal(z.get_basic_selection(s), x[s])
    with where():
        check_write(z, x, r, lambda z, v: z.__setitem__(s, v), x[s].shape,
                    lambda x, v: x.__setitem__(s, v))
    np.testing.assert_array_equal(z[...], x)


# How an orthogonal selection is read and written depends on its size.
WAYS = {"dense": (1 << 20, 10**9), "points": (1 << 20, 0), "boxes": (0, 0)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", range(3))
def test_orthogonal(pair, seed, way, where, monkeypatch):
    z, x = pair
    monkeypatch.setattr(_array, "_POINTS", WAYS[way][0])
    monkeypatch.setattr(_array, "_DENSE", WAYS[way][1])
    r = np.random.default_rng(seed)
    for _ in range(4):
        s = some_orthogonal(r, x.shape)
        grid, shape = orthogonal(x.shape, s)
        with where():
            got = z.oindex[s]
        assert np.shape(got) == shape, s
        np.testing.assert_array_equal(got, x[grid].reshape(shape), str(s))
    with where():
        v = r.integers(0, 1000, shape)
        z.oindex[s] = v
        x[grid] = v.reshape(x[grid].shape)
        np.testing.assert_array_equal(z[...], x)
    np.testing.assert_array_equal(z[...], x)


@pytest.mark.parametrize("seed", range(4))
def test_coordinates_and_masks(pair, seed, where):
    z, x = pair
    r = np.random.default_rng(seed)
    points = tuple([r.integers(-n, n, (3, 4)) for n in x.shape])
    mask = r.random(x.shape) < 0.3
    with where():
        np.testing.assert_array_equal(z.vindex[points], x[points])
        np.testing.assert_array_equal(z.get_coordinate_selection(points),
                                      x[points])
        np.testing.assert_array_equal(z[points], x[points])
        np.testing.assert_array_equal(z[mask], x[mask])
        np.testing.assert_array_equal(z.vindex[mask], x[mask])
        np.testing.assert_array_equal(z.get_mask_selection(mask), x[mask])
        v = r.integers(0, 1000, mask.sum())
        z[mask] = v
        x[mask] = v
        v = r.integers(0, 1000, (3, 4))
        z.vindex[points] = v  # twice the same point: the last one wins
        x[points] = v
        z.set_mask_selection(x > 500, -1)
        x[x > 500] = -1
        np.testing.assert_array_equal(z[...], x)
    np.testing.assert_array_equal(z[...], x)


def test_blocks(square):
    x = square[...]
    np.testing.assert_array_equal(square.blocks[1, 2], x[3:6, 8:10])
    np.testing.assert_array_equal(square.blocks[-1], x[9:])
    np.testing.assert_array_equal(square.blocks[1:3, :1], x[3:9, :4])
    for s, t in [((0, 0), np.s_[:3, :4]), (np.s_[2:, -1], np.s_[6:, 8:]),
                 (np.s_[-2:-1], np.s_[6:9]), (np.s_[1:99, 2], np.s_[3:, 8:]),
                 (np.s_[3:1], np.s_[9:3]), (np.s_[9:], np.s_[27:]),
                 (..., np.s_[:]), (np.s_[2**62:], np.s_[99:])]:
        for value in (7, np.arange(x[t].size).reshape(x[t].shape)):
            square.blocks[s] = value
            x[t] = value
            np.testing.assert_array_equal(square[...], x)
            np.testing.assert_array_equal(square.blocks[s], x[t])
    with pytest.raises(IndexError):
        square.blocks[4]
    with pytest.raises(IndexError):
        square.blocks[::2]


@pytest.mark.parametrize("s", [10, -11, (0, 10), (slice(None), -11),
                               ([0, 10], [0, 0]), ([0, 10],),
                               (0, 0, 0), (..., 0, ...), slice(None, None, -1),
                               (slice(None), slice(None, None, 0)), None, "x",
                               1.5, np.zeros((3, 3), bool)], ids=repr)
def test_refused(square, s):
    before = square[...]
    with pytest.raises(IndexError):
        square[s]
    with pytest.raises(IndexError):
        square[s] = 1
    np.testing.assert_array_equal(square[...], before)


def test_values_that_do_not_fit(square):
    for v in (np.zeros(3), np.zeros((2, 10, 10)), np.zeros((9, 10))):
        with pytest.raises(ValueError):
            square[:] = v
        with pytest.raises(ValueError):
            square[2:4, :] = v
    with pytest.raises(OverflowError):
        square[0] = 2**40


def test_memory_is_used_in_place(square, monkeypatch):
    """Strided sources and destinations reach the library as they are."""
    seen = []

    class Spy:
        def __init__(self, h):
            self._h = h

        def __getattr__(self, name):
            return getattr(self._h, name)

        def write(self, selection, memory, *rest):
            seen.append(memory)
            self._h.write(selection, memory, *rest)

        def put(self, selection, memory, *rest):
            seen.append(memory)
            return self._h.put(selection, memory, *rest)

        def read(self, selection, memory, *rest):
            seen.append(memory)
            self._h.read(selection, memory, *rest)

        def read_shape(self, selection, memory, *rest):
            seen.append(memory)
            return self._h.read_shape(selection, memory, *rest)

    monkeypatch.setattr(square, "_h", Spy(square._h))
    x = np.arange(400, dtype="i4").reshape(20, 20)
    for v in (x[::2, ::-2], x[:10, 10:].T, x[0, :10]):
        square[:] = v
        assert np.shares_memory(seen[-1], x)
        np.testing.assert_array_equal(square[:], np.broadcast_to(v, (10, 10)))
    out = np.zeros((20, 30), "i4")
    part = out[::2, 29:9:-2]
    assert square.get_basic_selection(..., out=part) is part
    assert np.shares_memory(seen[-1], out)
    np.testing.assert_array_equal(part, square[:])
    assert out[1].sum() == 0


@pytest.mark.parametrize("dtype", ["?", "i1", "i2", "i4", "i8", "u1", "u2",
                                   "u4", "u8", "f2", "f4", "f8", "c8", "c16",
                                   ">i4", ">f8", ">c16"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_types(path, dtype, zarr_format):
    x = np.array([0, 1, 2, 100], dtype)
    z = az.create_array(path, data=x, chunks=3, zarr_format=zarr_format,
                        fill_value=1)
    assert z.dtype == np.dtype(dtype).newbyteorder("=")
    assert z.fill_value == 1
    np.testing.assert_array_equal(z[:], x)
    z.resize(6)
    np.testing.assert_array_equal(z[4:], np.ones(2))


def test_empty_and_scalar(tmp_path):
    z = az.create_array(tmp_path / "0", shape=(), dtype="f8", fill_value=2.5)
    assert z[()] == 2.5 and isinstance(z[()], np.float64)
    z[...] = 3
    assert z[...] == 3 and z.shape == () and z.size == 1 and z.nchunks == 1
    z = az.create_array(tmp_path / "1", shape=(0, 4), dtype="i4")
    assert z[:].shape == (0, 4) and z.append(np.ones((2, 4))) == (2, 4)
    assert z[2:].shape == (0, 4)
    assert z[1:1, 5:].shape == (0, 0)
    z[1:1] = 5
    assert (z[:] == 1).all()


def test_a_fill_in_a_transaction(path):
    z = az.create_array(path, shape=(3, 50, 3), chunks=(2, 7, 2), dtype="i4")
    x = np.zeros(z.shape, "i4")
    with az.transaction():
        z[1:, ::3] = 5
        x[1:, ::3] = 5
    np.testing.assert_array_equal(z[...], x)


class Named:
    """Has a data type, and no memory."""

    def __init__(self, x):
        self.dtype, self._x = x.dtype, x

    def __array__(self, dtype=None, copy=None):
        return self._x


def test_assignments(square):
    """By the short way and by the long one: as NumPy's."""
    x = square[:]
    v = np.arange(100, 140, dtype="i4")
    for s, value in [
            (2, v[:10]), ((slice(None), 3), v[::4]), ((4, 5), v[0]),
            ((4, slice(2, 8, 3)), v[1::-1]),
            ((slice(-2, None), slice(None)), v[:20].reshape(2, 10)[:, ::-1]),
            ((slice(0, 4), slice(0, 10)), v.reshape(10, 4).T),
            (slice(0, 1), v[:10]), (..., np.int32(5)), (slice(2, 9), v[7]),
            ((-1, -1), v[9]), (np.s_[3:20, 1], np.arange(7.0)),
            (1, Named(v[:10])), (2, v[:10].astype(">i4")), (6, 7)]:
        square[s] = value
        x[s] = np.asarray(value)
        np.testing.assert_array_equal(square[:], x)
    for s, value in [((slice(0, 3), 2), v[:3].reshape(3, 1)), (10, v[:10]),
                     (2, v[:9]), ((1, 2, 3), v[0])]:
        with pytest.raises((ValueError, IndexError)):
            x[s] = value
        with pytest.raises((ValueError, IndexError)):
            square[s] = value
        np.testing.assert_array_equal(square[:], x)


def test_the_core_writes_for_one_shape(square):
    v = np.zeros((10, 10), "i4")
    all_of_it = (_core.SELECT_BOX, (0, 0), (10, 10), (1, 1))
    before = square[:]
    for shape in ((10, 11), (9, 10)):
        with pytest.raises(IndexError):
            square._h.write(all_of_it, v, None, None, None, shape)
        assert not square._h.put(np.s_[:], v, shape, v.dtype)
    np.testing.assert_array_equal(square[:], before)
    square._h.write(all_of_it, v, None, None, None, (10, 10))
    assert not square[:].any()
    with pytest.raises(TypeError):
        square._h.put(np.s_[:], v)


def test_the_core_checks_its_arguments(square):
    h = square._h
    with pytest.raises(ValueError):
        h.read((_core.SELECT_BOX, (0, 0), (1,), (1, 1)), bytearray(4), None,
               None)
    with pytest.raises(BufferError):
        h.read((_core.SELECT_BOX, (0, 0), (1, 1), (1, 1)), b"1234", None, None)
    with pytest.raises(IndexError):
        h.read((_core.SELECT_BOX, (0, 0), (2, 2), (1, 1)),
               np.zeros((1, 1), "i4"), None, None)
    with pytest.raises(TypeError):
        h.read(1, 2, 3)
    with pytest.raises(ValueError):
        h.read((_core.SELECT_POINTS, np.zeros((2, 2), "i4"), None, None),
               np.zeros(2, "i4"), None, None)
