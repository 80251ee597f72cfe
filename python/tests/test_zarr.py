# SPDX-License-Identifier: Apache-2.0
"""zarr-python's own arrays through the plug-in: they give what zarr's own
pipeline gives. test_zarr_atomic.py has what that one does not."""
import pickle

import numpy as np
import pytest

import atomiczarr as az
from atomiczarr import _core

zarr = pytest.importorskip("zarr", minversion="3")
plugin = pytest.importorskip("atomiczarr.zarr")

pytestmark = pytest.mark.usefixtures("pipeline")
SHAPE, CHUNKS = (10, 11), (3, 4)


def stock(path, mode="r"):
    """The array with zarr's own pipeline, which is bound when it is opened."""
    with zarr.config.set({"codec_pipeline.path":
                          "zarr.core.codec_pipeline.BatchedCodecPipeline"}):
        z = zarr.open_array(path, mode=mode)
        assert not isinstance(pipeline_of(z), plugin.AtomicCodecPipeline)
        return z


def pipeline_of(z):
    return z._async_array.codec_pipeline


def create(path, **o):
    o = {"shape": SHAPE, "chunks": CHUNKS, "dtype": "i4", **o}
    z = zarr.create_array(path, **o)
    assert isinstance(pipeline_of(z), plugin.AtomicCodecPipeline)
    return z


def same(a, b):
    assert np.shape(a) == np.shape(b)
    assert np.asarray(a).dtype == np.asarray(b).dtype
    np.testing.assert_array_equal(a, b)


# -------------------------------------------------------------- selections ---


def some(rng, n, twice):
    """Indices in any order; which of two values for one wins is not said."""
    found = rng.integers(0, n, rng.integers(1, 8))
    return found if twice else rng.permutation(np.unique(found))


def basic(rng, twice):
    found = []
    for n in SHAPE:
        a, b = sorted(rng.integers(0, n + 1, 2))
        found.append(rng.choice([0, 1, 2, 3]))
        found[-1] = [slice(a, max(a + 1, b)), int(a % n), slice(None, None, 3),
                     slice(a % n, None, 2)][found[-1]]
    return tuple(found[:rng.integers(1, 3)])


def orthogonal(rng, twice):
    rows, columns = some(rng, 10, twice), some(rng, 11, twice)
    mask = rng.random(SHAPE[1]) < 0.5
    mask[3] = True
    return [(rows, columns), (rows, slice(1, 9, 2)), (5, columns),
            (slice(2, 8), mask), (np.sort(rows), 4)][rng.integers(5)]


def coordinates(rng, twice):
    places = some(rng, 110, twice)
    return places // 11, places % 11


def mask(rng, twice):
    found = rng.random(SHAPE) < rng.random()
    found[rng.integers(10), rng.integers(11)] = True
    return found


def of_numpy(kind, x, s):
    """What it is in NumPy."""
    if kind != "orthogonal":
        return s
    lists = [np.arange(n)[[k] if isinstance(k, int) else k]
             for k, n in zip(s, x.shape)]
    return np.ix_(*lists)


KINDS = {"basic": basic, "orthogonal": orthogonal, "coordinate": coordinates,
         "mask": mask}


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("large", [False, True])
def test_random_selections(tmp_path, monkeypatch, zarr_format, kind, large):
    """Written, they are what NumPy has then; read, what zarr's own pipeline
    reads. Large ones go box by box, in a transaction."""
    if large:
        monkeypatch.setattr(plugin._pipeline, "_POINTS", 0)
    rng = np.random.default_rng([zarr_format, list(KINDS).index(kind), large])
    z = create(tmp_path / "x", zarr_format=zarr_format, fill_value=3)
    theirs = stock(tmp_path / "x")
    x = np.full(SHAPE, 3, "i4")
    get = f"get_{kind}_selection"
    for k in range(25):
        s = KINDS[kind](rng, False)
        shape = np.shape(getattr(theirs, get)(s))
        value = (rng.integers(0, 1000, shape, dtype="i4") if k % 4
                 else np.int32(k % 8 or 3))
        getattr(z, f"set_{kind}_selection")(s, value)
        at = of_numpy(kind, x, s)
        x[at] = np.reshape(value, x[at].shape) if np.ndim(value) else value
        same(theirs[...], x)
        same(z[...], x)
        s = KINDS[kind](rng, True)
        same(getattr(z, get)(s), getattr(theirs, get)(s))
    same(az.open(tmp_path / "x")[...], x)


@pytest.mark.parametrize("shape, chunks", [
    ((), ()), ((1,), (1,)), ((7,), (3,)), ((5,), (9,)), ((4, 3, 5), (2, 2, 2)),
    ((2, 3, 2, 3), (1, 2, 2, 1))])
@pytest.mark.parametrize("zarr_format, encoding", [
    (2, "."), (2, "/"), (3, ("default", "/")), (3, ("default", ".")),
    (3, ("v2", ".")), (3, ("v2", "/"))])
def test_ranks_and_keys(tmp_path, shape, chunks, zarr_format, encoding):
    keys = encoding if zarr_format == 2 else encoding[1]
    keys = {"name": "v2" if zarr_format == 2 else encoding[0],
            "separator": keys}
    g = zarr.create_group(tmp_path / "g", zarr_format=zarr_format)
    z = g.create_array("a/b", shape=shape, chunks=chunks, dtype="f8",
                       chunk_key_encoding=keys)
    x = np.random.default_rng(1).random(shape)
    same(z[...], np.zeros(shape))
    z[...] = x
    same(z[...], x)
    same(stock(tmp_path / "g/a/b")[...], x)
    if shape:
        z[-1] = 2
        x[-1] = 2
        same(stock(tmp_path / "g/a/b")[...], x)
        same(z[tuple([0] * len(shape))], stock(tmp_path / "g/a/b")[
            tuple([0] * len(shape))])
        same(z[1:1], x[1:1])
        z.blocks[0] = 4
        x[:chunks[0]] = 4
        same(z.blocks[0], x[:chunks[0]])


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("dtype", [
    "?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8",
    "c8", "c16", ">i4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_types_and_orders(tmp_path, zarr_format, dtype, order):
    if zarr_format == 3 and dtype[0] == ">" and zarr.__version__ < "3.1":
        pytest.skip("format 3 in zarr 3.0: none but little-endian")
    x = (np.arange(110).reshape(SHAPE) % 2 if dtype == "?"
         else np.arange(110).reshape(SHAPE)).astype(dtype)
    compressor = ["auto", None][dtype == "i2"]
    kept = {"order": order} if zarr_format == 2 else {"config": {"order": order}}
    z = create(tmp_path / "x", dtype=dtype, zarr_format=zarr_format,
               compressors=compressor, **kept)
    z[...] = x
    x[2:5, 3:9] = 1
    z[2:5, 3:9] = np.ones((3, 6), "u1")  # of another type
    # opened: in memory a new one may have another byte order
    z, theirs = zarr.open_array(tmp_path / "x"), stock(tmp_path / "x")
    np.testing.assert_array_equal(theirs[...], x)
    same(z[...], theirs[...])
    same(z[:, ::2], theirs[:, ::2])
    same(z.vindex[[1, 2], [3, 4]], theirs.vindex[[1, 2], [3, 4]])


# ------------------------------------------------- chunks that are not there ---


@pytest.mark.parametrize("zarr_format, fill", [
    (2, None), (2, 0), (2, 5), (2, float("nan")), (3, 0), (3, 5),
    (3, float("nan")), (3, float("-inf"))])
def test_missing_chunks_are_fill_values(tmp_path, zarr_format, fill):
    z = create(tmp_path / "x", dtype="f4", zarr_format=zarr_format,
               fill_value=fill)
    x = np.full(SHAPE, 0 if fill is None else fill, "f4")
    same(z[...], x)
    z[4, 5] = 1
    x[4, 5] = 1
    same(z[...], x)
    same(z[3:8], x[3:8])
    same(stock(tmp_path / "x")[...], x)


@pytest.mark.parametrize("keep", [False, True])
def test_empty_chunks(tmp_path, keep):
    z = create(tmp_path / "x", fill_value=3,
               config={"write_empty_chunks": keep})
    z[...] = 1
    assert z.nchunks_initialized == 12
    z[:6] = 3
    assert z.nchunks_initialized == (12 if keep else 6)


# -------------------------------------------------------- other arrays, stores ---


def two_documents(path):
    """An array that the library does not write: of which format?"""
    z = zarr.create_array(path, shape=(8, 8), chunks=(4, 4), dtype="i4")
    (path / ".zarray").write_text("{}")
    return z


def test_what_the_library_does_not_know_is_refused(tmp_path):
    z = two_documents(tmp_path / "x")
    with pytest.raises(az.errors.UnsupportedError,
                       match="'atomiczarr.other_arrays': 'stock'"):
        z[2:6] = 7
    with pytest.raises(NotImplementedError, match=str(tmp_path)):
        z[2:6] = 7
    assert not (tmp_path / "x/c").exists()


def test_what_the_library_does_not_know_is_left_to_zarr_if_wished(tmp_path):
    z = two_documents(tmp_path / "x")
    with zarr.config.set({"atomiczarr.other_arrays": "stock"}):
        z[2:6] = 7
        assert (z[2:6] == 7).all()
        with pytest.raises(az.errors.UnsupportedError, match="transaction"):
            with az.transaction():
                z[0] = 7
        assert not (z[0] == 7).any()


def test_other_stores(tmp_path):
    store = zarr.storage.MemoryStore()
    z = zarr.create_array(store, shape=(6,), chunks=(2,), dtype="i4")
    with pytest.raises(az.errors.UnsupportedError, match="MemoryStore"):
        z[1:5] = 1
    with pytest.raises(NotImplementedError, match="other_stores"):
        z[:]
    with zarr.config.set({"atomiczarr.other_stores": "stock"}):
        z[1:5] = 1
        assert z[:].tolist() == [0, 1, 1, 1, 1, 0]
    with zarr.config.set({"atomiczarr.other_stores": "perhaps"}):
        with pytest.raises(ValueError, match="perhaps"):
            z[:]
    # a store around a local one has methods of its own
    store = zarr.storage.LoggingStore(zarr.storage.LocalStore(tmp_path / "l"))
    z = zarr.create_array(store, shape=(6,), chunks=(2,), dtype="i4")
    with pytest.raises(az.errors.UnsupportedError, match="LoggingStore"):
        z[1:5] = 1


def test_read_only(tmp_path):
    create(tmp_path / "x")[...] = 1
    z = zarr.open_array(tmp_path / "x", mode="r")
    assert (z[...] == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        z[0] = 2


# ------------------------------------------------------------ what changes ---


def test_an_array_in_the_place_of_another(tmp_path):
    z = create(tmp_path / "x")
    z[...] = 1
    for k in range(3):
        y = zarr.open_array(tmp_path / "x", mode="w", shape=(8,), chunks=(5,),
                            dtype="f4", fill_value=k)
        same(y[:], np.full(8, k, "f4"))
        y[2:7] = 9
        assert y[:].tolist() == [k, k, 9, 9, 9, 9, 9, k]
        y = zarr.open_array(tmp_path / "x", mode="w", shape=SHAPE,
                            chunks=CHUNKS, dtype="i4")
        same(y[...], np.zeros(SHAPE, "i4"))
        y[3] = 8
        same(z[3], y[3])


def test_shapes_that_others_changed(tmp_path):
    old = create(tmp_path / "x")
    old[...] = 1
    new = zarr.open_array(tmp_path / "x", mode="r+")
    new.resize((4, 11))
    with pytest.raises(IndexError):
        old[:]
    with pytest.raises(IndexError):
        old[2:6] = 3
    with pytest.raises(IndexError):
        old.oindex[[2, 7], [1, 5]]
    same(new[...], np.ones((4, 11), "i4"))
    az.open(tmp_path / "x", "r+").resize((20, 11))
    old[...] = 2
    x = np.zeros((20, 11), "i4")
    x[:10] = 2
    same(zarr.open_array(tmp_path / "x", mode="r")[...], x)
    z = zarr.open_array(tmp_path / "x", mode="r+")
    z.append(np.full((2, 11), 5))
    same(z[18:], np.array([[0] * 11] * 2 + [[5] * 11] * 2, "i4"))


def test_pickles(tmp_path):
    z = create(tmp_path / "x")
    y = pickle.loads(pickle.dumps(z))
    assert isinstance(pipeline_of(y), plugin.AtomicCodecPipeline)
    y[2:6] = 4
    same(z[...], y[...])


def test_missing_chunks_can_be_an_error(tmp_path):
    z = create(tmp_path / "x", config={"read_missing_chunks": False})
    config = getattr(z, "config", None) or z._async_array._config
    if not hasattr(config, "read_missing_chunks"):
        pytest.skip("this zarr has no read_missing_chunks")
    with pytest.raises(zarr.errors.ChunkNotFoundError, match="12 chunk"):
        z[...]
    z[...] = 1
    same(z[...], np.ones(SHAPE, "i4"))


def test_a_chunk_that_cannot_be_decoded(tmp_path):
    z = create(tmp_path / "x", fill_value=0)
    z[...] = 1
    (tmp_path / "x/c/1/1").write_bytes(b"no chunk")
    with pytest.raises(az.errors.CorruptError, match="c/1/1"):
        z[...]


def test_more_arrays_than_are_kept_open(tmp_path, monkeypatch):
    monkeypatch.setattr(plugin._pipeline, "_HANDLES", 3)
    arrays = [create(tmp_path / str(k), fill_value=k) for k in range(8)]
    for _ in range(2):
        for k, z in enumerate(arrays):
            z[2:6] = 9
            assert (z[2:6] == 9).all() and (z[7] == k).all()
    assert len(plugin._pipeline._places) <= 3


# ------------------------------------------------------------ parts of a box ---


class Key:
    def __init__(self, path):
        self.path = path


def join(items, above="a/", lead=1, separator="/", chunks=(4,)):
    return _core.join([(Key(path), None, chosen, into)
                       for path, chosen, into in items],
                      above, lead, separator, chunks)


def test_parts_that_are_a_box():
    s = slice
    assert join([("a/c/1", (s(2, 4),), (s(0, 2),)),
                 ("a/c/2", s(0, 4), s(2, 6)),
                 ("a/c/3", (s(0, 1, 1),), (s(6, 7),))]) == (
        (6,), (7,), (1,), (0,))
    assert join([("a/c/0", (s(1, 4, 3),), (s(0, 1),)),
                 ("a/c/1", (s(0, 4, 3),), (s(1, 3),))]) == (
        (1,), (3,), (3,), (0,))
    assert join([("é/1.2", (3, s(0, 4)), (s(0, 4),)),
                 ("é/1.3", (3, s(0, 2)), (s(4, 6),))], "é/", 0, ".",
                (5, 4)) == ((8, 8), (1, 6), (1, 1), (None, 0))
    assert join([("c", (), ())], "", chunks=()) == ((), (), (), ())


@pytest.mark.parametrize("second", [
    ("a/c/1", (slice(0, 4),), (slice(5, 9),)),    # a gap
    ("a/c/2", (slice(0, 4),), (slice(4, 8),)),    # not the next chunk
    ("a/c/0", (slice(0, 4),), (slice(4, 8),)),    # the same again
    ("a/c/1", (slice(0, 4, 2),), (slice(4, 6),)),
    ("a/c/1", (slice(3, None, -1),), (slice(4, 8),)),
    ("a/c/1", (slice(0, 4),), (slice(4, 9),)),
    ("a/c/1", (slice(0, 4),), (slice(4, 12, 2),)),
    ("a/c/1", (slice(0, 4),), ([4, 5, 6, 7],)),
    ("a/c/1", ([0, 1, 2, 3],), (slice(4, 8),)),
    ("a/c/1", (0,), ()),
    ("a/c/1", (slice(0, 4),), (slice(4, 8), slice(0, 1))),
    ("a/c/1", (slice(0, 4), 0), (slice(4, 8),)),
    ("a/c/1", (), ()),
    ("a/c/1/0", (slice(0, 4),), (slice(4, 8),)),
    ("a/c/", (slice(0, 4),), (slice(4, 8),)),
    ("a/c/99999999999999999999", (slice(0, 4),), (slice(4, 8),)),
    ("a/c/999999999999999999", (slice(0, 4),), (slice(4, 8),)),
    ("b/c/1", (slice(0, 4),), (slice(4, 8),)),
    ("a/c/1", ("x",), (slice(4, 8),)),
    ("a/c/1", (True,), ()),
    (1, (slice(0, 4),), (slice(4, 8),)),
    ("a/c/1", (slice("x"),), (slice(4, 8),)),
])
def test_parts_that_are_none(second):
    first = ("a/c/0", (slice(0, 4),), (slice(0, 4),))
    assert join([first]) and join([first, second]) is None


def test_keys_that_are_no_text():
    assert join([("\udcff/c/0", slice(0, 4), slice(0, 4))], "\udcff/") is None
    with pytest.raises(TypeError):
        _core.join(())
