# SPDX-License-Identifier: Apache-2.0
"""What an array is and does, modes, errors."""
import os
import pickle
import threading

import numpy as np
import pytest

import atomiczarr as az


def test_properties(path):
    z = az.create_array(path, name="a/b", shape=(10, 7), chunks=(4, 3),
                        dtype="f4", fill_value=np.nan, zarr_format=2,
                        order="F", compressor="zstd:3")
    assert (z.shape, z.chunks, z.ndim, z.size) == ((10, 7), (4, 3), 2, 70)
    assert (z.dtype, z.itemsize, z.nbytes) == (np.dtype("f4"), 4, 280)
    assert np.isnan(z.fill_value) and z.order == "F" and z.zarr_format == 2
    assert (z.path, z.name, z.basename, z.store) == ("a/b", "/a/b", "b", path)
    assert (z.cdata_shape, z.nchunks, z.nchunks_initialized) == ((3, 3), 9, 0)
    assert z.compressors == ("zstd",) and z.compressor == "zstd"
    z[:5, :3] = 1
    assert z.nchunks_initialized == 2 and z.nbytes_stored() > 0
    assert not z.read_only and z.shards is None and len(z) == 10
    assert z.durability == "process"
    z.durability = "power"
    assert az.open(path, "r", path="a/b").durability == "power"
    assert "float32" in repr(z.info) and "2/9" in repr(z.info)
    assert "<svg" in z._repr_html_() and "(10, 7)" in z._repr_html_()
    assert np.asarray(z).shape == (10, 7)
    assert [row.shape for row in z] == [(7,)] * 10
    with pytest.raises(ValueError):
        z.durability = "paper"


@pytest.mark.parametrize("compressor,want", [
    (None, ""), ("zstd:5", "zstd"), ("gzip", "gzip"),
    ({"id": "zstd", "level": 3}, "zstd"), ({"id": "gzip", "level": 1}, "gzip"),
    ({"id": "blosc", "cname": "zstd", "clevel": 3, "shuffle": 2}, "blosc"),
    ({"name": "zstd", "configuration": {"level": 3}}, "zstd"),
    (["blosc:lz4:5:shuffle"], "blosc")])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_compressors(path, compressor, want, zarr_format):
    z = az.create_array(path, shape=9, chunks=3, dtype="i4",
                        compressor=compressor, zarr_format=zarr_format)
    z[:] = 5
    assert ",".join(z.compressors) == want and (z[:] == 5).all()


def test_what_is_refused(tmp_path):
    with pytest.raises(az.UnsupportedError, match="lzma"):
        az.create_array(tmp_path / "a", shape=1, compressor={"id": "lzma"})
    with pytest.raises(NotImplementedError, match="data type"):
        az.create_array(tmp_path / "a", shape=1, dtype="M8[s]")
    with pytest.raises(NotImplementedError, match="filters"):
        az.create_array(tmp_path / "a", shape=1, filters=[{"id": "delta"}])
    with pytest.raises(NotImplementedError, match="shards"):
        az.create_array(tmp_path / "a", shape=1, shards=(4,))
    with pytest.raises(TypeError, match="store"):
        az.create_array(shape=1)
    with pytest.raises(TypeError, match="dict"):
        az.open({}, "w", shape=1)
    with pytest.raises(NotImplementedError, match="s3://"):
        az.open("s3://bucket/x", "r")
    with pytest.raises(ValueError, match=r"\.\."):
        az.open(tmp_path, "w", path="../x", shape=1)
    with pytest.raises(ValueError, match="mode"):
        az.open(tmp_path, "rw")
    assert not (tmp_path / "a" / "zarr.json").exists()


def test_modes(path):
    for mode in ("r", "r+"):
        with pytest.raises(FileNotFoundError) as e:
            az.open(path, mode)
        assert e.value.code == -2 and e.value.status == "AZR_ENOTFOUND"
        assert isinstance(e.value, az.Error) and path in str(e.value)
    z = az.open(path, "a", shape=4, dtype="i4")
    z[:] = 1
    assert (az.open(path, "a", shape=9)[:] == 1).all()
    with pytest.raises(FileExistsError):
        az.open(path, "w-", shape=4)
    r = az.open(path, "r")
    with pytest.raises(PermissionError):
        r[0] = 1
    with pytest.raises(PermissionError):
        r.resize(5)
    with pytest.raises(PermissionError):
        r.attrs["x"] = 1
    az.open(path, "r+")[0] = 2
    assert r[0] == 2
    w = az.open(path, "w", shape=(2, 2), dtype="f8")
    assert w.shape == (2, 2) and not w[:].any()
    with pytest.raises(FileNotFoundError):
        r[0]  # what it was opened on is gone
    assert isinstance(az.open(path, "w"), az.Group)
    with pytest.raises(FileNotFoundError, match="group"):
        az.open_array(path, "r")
    with pytest.raises(FileNotFoundError, match="group"):
        az.open_array(path, "a", shape=1)


def test_overwriting_leaves_strangers_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(FileExistsError):
        az.open(tmp_path, "w", shape=3)
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_a_relative_path_survives_chdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    z = az.open("x.zarr", "w", shape=3, dtype="i4")
    os.mkdir("elsewhere")
    monkeypatch.chdir("elsewhere")
    assert not z.with_options(timeout=3)[:].any()
    t = threading.Thread(target=lambda: z.__setitem__(0, 7))
    t.start()
    t.join()
    assert z[0] == 7


def test_another_handle_is_followed(line):
    other = az.open(line.store, "r+")
    line.resize(20)
    assert other.shape == (20,) and len(other[:]) == 20
    line[:] = np.arange(20)
    line.resize(5)
    assert other[:].tolist() == [0, 1, 2, 3, 4] and other[-1] == 4
    with pytest.raises(IndexError):
        other[5]
    with pytest.raises(IndexError):
        other[7] = 1
    with pytest.raises(ValueError):
        other[:] = np.zeros(20)
    line.resize(8)
    assert other[7] == 0  # not an IndexError by an old shape
    other[4:8] = 1
    assert line[np.ones(8, bool)].tolist() == [0, 1, 2, 3, 1, 1, 1, 1]
    line.shape = (3,)
    assert other[:].tolist() == [0, 1, 2]


def test_append(path):
    z = az.open(path, "w", shape=(2, 3), chunks=(2, 2), dtype="i4")
    assert z.append(np.ones((4, 3))) == (6, 3)
    assert z.append_at(np.full((6, 2), 2), axis=1) == 3
    assert z.append(np.full((6, 1), 3), axis=-1) == (6, 6)
    x = z[:]
    assert (x[2:, :3] == 1).all() and (x[:, 3:5] == 2).all()
    assert (x[:, 5] == 3).all() and not x[:2, :3].any()
    with pytest.raises(ValueError, match="does not fit"):
        z.append(np.ones((4, 5)))
    with pytest.raises(ValueError):
        z.append(np.ones(6))
    with pytest.raises(ValueError):
        z.append(np.ones((6, 6)), axis=2)
    assert z.append(np.ones((0, 6))) == (6, 6)
    z.resize(3, 2)
    assert z.shape == (3, 2)


def test_update(square):
    x = square[:]
    square.update(np.s_[2:7, 1:], lambda v: v * 2)
    x[2:7, 1:] *= 2

    def in_place(v):
        v += 1
    square.update(np.s_[3], in_place)
    x[3] += 1
    square.update(..., lambda v: v.T)
    x = x.T.copy()
    square.update(np.s_[:, -1], lambda v: 0)
    x[:, -1] = 0
    square.update(([1, 2], [3, 4]), lambda v: v + 5)
    x[[1, 2], [3, 4]] += 5
    square.update(([1, 9], slice(0, 2)), lambda v: -v)
    x[[1, 9], :2] *= -1
    np.testing.assert_array_equal(square[:], x)

    def fails(v):
        v[...] = 0
        raise KeyError("mine")
    with pytest.raises(KeyError, match="mine"):
        square.update(np.s_[:], fails)
    with pytest.raises(ValueError):
        square.update(np.s_[:2], lambda v: np.zeros(7))
    np.testing.assert_array_equal(square[:], x)


def test_attributes(line):
    a = line.attrs
    a["x"] = 1
    a["list"] = [1, {"b": None}]
    a["numpy"] = np.float32(0.5)
    a["é"] = "ü"
    a.update(x=2, y=3)
    assert dict(a) == {"x": 2, "list": [1, {"b": None}], "numpy": 0.5,
                       "é": "ü", "y": 3}
    del a["x"]
    with pytest.raises(KeyError):
        del a["x"]
    with pytest.raises(KeyError):
        a["x"]
    with pytest.raises(TypeError):
        a["o"] = object()
    assert "x" not in a and len(a) == 4 and a.get("x") is None
    a.put({"z": 1})
    assert a.asdict() == {"z": 1} == az.open(line.store, "r").attrs.asdict()
    assert line.update_attributes({"k": 2}).attrs["k"] == 2


def test_attributes_of_many_threads(line):
    def work(i):
        for k in range(10):
            line.attrs[f"{i}.{k}"] = k
    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(line.attrs) == 60


def test_pickle(line):
    line[:] = np.arange(12)
    z = pickle.loads(pickle.dumps(line.with_options(timeout=7)))
    assert z == line and z[:].tolist() == list(range(12))
    assert z._timeout_ms == 7000 and hash(z) == hash(line)
    z[0] = 5
    assert line[0] == 5
    r = pickle.loads(pickle.dumps(az.open(line.store, "r")))
    assert r.read_only
    e = pickle.loads(pickle.dumps(az.errors.make(-4, 0, 0, "busy")))
    assert isinstance(e, TimeoutError) and e.code == -4 and str(e) == "busy"


def test_corruption_is_named(line):
    line[:] = np.arange(12)
    (chunk,) = [os.path.join(d, f) for d, _, fs in os.walk(line.store)
                for f in fs if os.path.join(d, f).endswith("c/1")]
    with open(chunk, "wb") as f:
        f.write(b"rubbish")
    with pytest.raises(az.CorruptError, match="c/1") as e:
        line[:]
    assert e.value.code == -6
    assert line[:4].tolist() == [0, 1, 2, 3]


def test_more_ways_to_make_one(tmp_path):
    assert az.zeros(5, store=tmp_path / "0")[:].tolist() == [0] * 5
    assert az.ones((2, 2), store=tmp_path / "1", dtype="i4")[:].sum() == 4
    assert az.full(3, 7, store=tmp_path / "2")[1] == 7
    assert az.array([1, 2], store=tmp_path / "3")[:].tolist() == [1, 2]
    az.save(tmp_path / "3", np.eye(3))
    assert (az.load(tmp_path / "3") == np.eye(3)).all()
    z = az.create((4, 4), True, "i2", store=az.DirectoryStore(tmp_path / "4"))
    assert z.chunks == (4, 4) and z.store == str(tmp_path / "4")
    z = az.create_array(tmp_path / "5", shape=(5000, 5000), dtype="f8")
    assert 2**18 <= np.prod(z.chunks) * 8 <= 2**20
    z = az.create_array(tmp_path / "6", shape=(6, 7), chunks=2,
                        dimension_names=("y", None), attributes={"a": 1})
    assert z.chunks == (2, 2) and z.dimension_names == ("y", None)
    assert z.attrs["a"] == 1


def test_open_selections_beside_resizes(path):
    """What z[:] gives has a length that the array had, and the values of it."""
    z = az.open(path, "w", shape=8, chunks=4, dtype="i4")
    z[:] = np.arange(8)
    stop = threading.Event()

    def resize():
        other = az.open(path, "r+")
        while not stop.is_set():
            other.append(np.arange(8, 12))
            other.resize(8)

    t = threading.Thread(target=resize)
    t.start()
    lengths = set()
    try:
        for _ in range(300):
            x = z[:]
            lengths.add(len(x))
            assert x.tolist() == list(range(len(x)))
            assert z[-3:].tolist() in ([5, 6, 7], [9, 10, 11])
            z[:2] = [0, 1]
            assert z[np.array([-8])] in (0, 4)
            try:
                z[8:12]
                z[9]
            except IndexError:
                pass
    finally:
        stop.set()
        t.join()
    assert lengths <= {8, 12}


def test_z_all_by_a_transaction(line, monkeypatch):
    """After a few looks that disagree it becomes a transaction."""
    monkeypatch.setattr("atomiczarr._array._TRIES", 0)
    line[:] = np.arange(12)
    assert line[:].tolist() == list(range(12)) and line[-1] == 11
    out = np.zeros(12, "i4")
    assert line.get_basic_selection(..., out=out) is out and out[11] == 11


def test_a_link_to_a_directory(tmp_path):
    az.open(tmp_path / "real", "w", shape=3)
    os.symlink(tmp_path / "real", tmp_path / "link")
    z = az.open(tmp_path / "link", "w", shape=5, dtype="i4")
    assert z.shape == (5,) == az.open(tmp_path / "real", "r").shape
    assert sorted(os.listdir(tmp_path)) == ["link", "real"]


class Meddler:
    """A handle beside which something happens at one read or write."""

    def __init__(self, h, before=None, after=None):
        self._h, self._before, self._after = h, before, after
        self.calls = []

    def __getattr__(self, name):
        return getattr(self._h, name)

    def _call(self, name, args):
        self.calls.append(name)
        before, after = self._before, self._after
        self._before = self._after = None
        if before:
            before()
        result = getattr(self._h, name)(*args)
        if after:
            after()
        return result

    def read(self, *args):
        return self._call("read", args)

    def read_shape(self, *args):
        return self._call("read_shape", args)

    def write(self, *args):
        self._call("write", args)

    def fill(self, *args):
        self._call("fill", args)

    def put(self, *args):
        return self._call("put", args)

    def update(self, *args):
        self._call("update", args)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_resize_beside_a_read(line, when, monkeypatch):
    other = az.open(line.store, "r+")
    monkeypatch.setattr(line, "_h", Meddler(
        line._h, **{when: lambda: other.append([1, 2])}))
    assert len(line[:]) == (14 if when == "before" else 12)
    monkeypatch.setattr(line, "_h", Meddler(
        line._h, **{when: lambda: other.resize(5)}))
    assert len(line[:]) == 5  # it had 14 when that was looked at
    monkeypatch.setattr(line, "_h", Meddler(
        line._h, **{when: lambda: other.resize(9)}))
    assert len(line[2:5]) == 3  # its bounds are its own
    assert len(line[:]) == 9


def test_a_resize_beside_a_write(line, monkeypatch):
    other = az.open(line.store, "r+")
    monkeypatch.setattr(line, "_h", Meddler(
        line._h, before=lambda: other.append([1, 2])))
    with pytest.raises(ValueError):
        line[:] = np.ones(12)
    assert other[:].tolist() == [0] * 12 + [1, 2]
    monkeypatch.setattr(line, "_h", Meddler(
        line._h, before=lambda: other.append([3])))
    line[:] = 7
    assert other[:].tolist() == [7] * 15
    monkeypatch.setattr(line, "_h", Meddler(
        line._h, before=lambda: other.resize(10)))
    line[-2:] = [1, 2]
    assert other[:].tolist() == [7] * 8 + [1, 2]
    monkeypatch.setattr(line, "_h", Meddler(
        line._h, before=lambda: other.resize(4)))
    with pytest.raises(ValueError):
        line[6:8] = [1, 2]  # as NumPy: nothing is there any more
    assert other[:].tolist() == [7] * 4


class Restless(Meddler):
    """Another shape at each write, and the same one at each look."""

    def __init__(self, h, other, times):
        super().__init__(h)
        self.other, self.times = other, times

    def _call(self, name, args):
        self.calls.append(name)
        if len(self.calls) > self.times:
            return getattr(self._h, name)(*args)
        self.other.append([1])
        try:
            return getattr(self._h, name)(*args)
        finally:
            self.other.resize(12)


@pytest.mark.parametrize("times", [3, 4, 5])  # two are quick ones
def test_a_write_beside_one_who_grows_and_shrinks(line, times, monkeypatch):
    """It has the shape again that it was found with: no error for that."""
    other = az.open(line.store, "r+")
    monkeypatch.setattr(line, "_h", Restless(line._h, other, times))
    line[:] = np.arange(12)
    assert len(line._h.calls) > times
    assert other[:].tolist() == list(range(12))


def test_a_resize_beside_an_update(square, monkeypatch):
    """Also one to as many elements, in another shape."""
    other = az.open(square.store, "r+")
    seen = []

    def add(x):
        seen.append(x.shape)
        return x + 1

    x = np.zeros((20, 5), "i4")
    x[:10] = square[:, :5]
    monkeypatch.setattr(square, "_h", Meddler(
        square._h, before=lambda: other.resize(20, 5)))
    square.update(np.s_[:], add)
    np.testing.assert_array_equal(other[:], x + 1)
    monkeypatch.setattr(square, "_h", Meddler(
        square._h, before=lambda: other.resize(20, 6)))
    square.update(np.s_[2:4, :5], add)  # its bounds are its own
    assert seen == [(20, 5), (2, 5)] and square.shape == (20, 6)


@pytest.mark.parametrize("write", [
    lambda z, v: z.__setitem__(slice(None), v),
    lambda z, v: z.set_basic_selection(slice(None), v),
    lambda z, v: z.set_mask_selection(np.ones(12, bool), v),
    lambda z, v: z.set_orthogonal_selection(slice(None), v)])
def test_a_smaller_array_takes_no_part_of_the_values(line, write, monkeypatch):
    other = az.open(line.store, "r+")
    monkeypatch.setattr(line, "_h", Meddler(
        line._h, before=lambda: other.resize(10)))
    with pytest.raises((ValueError, IndexError)):
        write(line, np.arange(1, 13, dtype="i4"))
    assert other[:].tolist() == [0] * 10


# Ways to say all of it. The array's length is a multiple of its chunks', and then
# it is not.
ALL = pytest.mark.parametrize("say", [
    lambda z: (z.get_basic_selection, z.set_basic_selection, slice(None)),
    lambda z: (z.get_orthogonal_selection, z.set_orthogonal_selection,
               slice(None)),
    lambda z: (z.get_block_selection, z.set_block_selection, slice(None)),
    lambda z: (z.get_block_selection, z.set_block_selection, slice(0, 90))],
    ids=["basic", "orthogonal", "blocks", "more-blocks"])


@ALL
def test_all_of_an_array_that_grows(line, say, monkeypatch):
    other = az.open(line.store, "r+")
    get, put, all_of_it = say(line)
    for data in ([8, 9], [3], [4] * 5):
        h = Meddler(line._h, before=lambda: other.append(data))
        monkeypatch.setattr(line, "_h", h)
        put(all_of_it, 7)  # one value: to the bounds of the commit, at once
        assert other[:].tolist() == [7] * other.shape[0]
        assert h.calls == ["fill"]
        monkeypatch.setattr(line, "_h", Meddler(
            line._h, before=lambda: other.append(data)))
        assert len(get(all_of_it)) == other.shape[0]
        n = other.shape[0]
        monkeypatch.setattr(line, "_h", Meddler(
            line._h, before=lambda: other.append(data)))
        with pytest.raises(ValueError):
            put(all_of_it, np.ones(n))
        assert 1 not in other[:]


@ALL
def test_all_of_an_array_that_shrinks(line, say, monkeypatch):
    other = az.open(line.store, "r+")
    get, put, all_of_it = say(line)
    for n in (10, 8, 3):
        monkeypatch.setattr(line, "_h", Meddler(
            line._h, before=lambda: other.resize(n)))
        put(all_of_it, n)
        assert other[:].tolist() == [n] * n
        assert len(get(all_of_it)) == n


@pytest.mark.parametrize("last", [-1, slice(-1, None)], ids=["at", "from"])
def test_the_last_block_is_that_of_the_commit(line, last, monkeypatch):
    other = az.open(line.store, "r+")
    line.blocks[last] = 1
    assert other[:].tolist() == [0] * 8 + [1] * 4
    monkeypatch.setattr(line, "_h", Meddler(
        line._h, before=lambda: other.append([2] * 4)))
    line.blocks[last] = 3
    assert other[:].tolist() == [0] * 8 + [1] * 4 + [3] * 4
    monkeypatch.setattr(line, "_h", Meddler(
        line._h, before=lambda: other.append([4])))
    assert line.blocks[last].tolist() == [4]
    monkeypatch.setattr(line, "_h", Meddler(
        line._h, before=lambda: other.resize(6)))
    line.blocks[last] = 5
    assert other[:].tolist() == [0] * 4 + [5] * 2


def test_a_block_that_has_gone(line, monkeypatch):
    """One of a number is what it was, or an error; never another one."""
    other = az.open(line.store, "r+")
    other.resize(10)
    line.blocks[2] = 1
    assert other[:].tolist() == [0] * 8 + [1] * 2
    monkeypatch.setattr(line, "_h", Meddler(
        line._h, before=lambda: other.resize(12)))
    line.blocks[2] = 2
    assert other[:].tolist() == [0] * 8 + [2] * 4
    monkeypatch.setattr(line, "_h", Meddler(
        line._h, before=lambda: other.resize(8)))
    with pytest.raises(IndexError):
        line.blocks[2] = 3
    assert other[:].tolist() == [0] * 8


def test_a_shape_from_before_the_call(line, monkeypatch):
    """Twelve zeros were there before the call, and never while it ran."""
    other = az.open(line.store, "r+")
    other.append([0, 0])

    def shrink():
        other.resize(12)
        other[:] = 5
    monkeypatch.setattr(line, "_h", Meddler(line._h, after=shrink))
    assert line[:].tolist() == [5] * 12


def test_what_update_gave_may_be_kept(line):
    kept = []
    line.update(np.s_[2:6], kept.append)
    assert kept[0].flags.owndata
    kept[0][:] = 9
    assert not line[:].any()
