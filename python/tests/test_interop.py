# SPDX-License-Identifier: Apache-2.0
"""zarr-python reads what we write, and we read what it writes."""
import numpy as np
import pytest

import atomiczarr as az

zarr = pytest.importorskip("zarr", minversion="3")

COMPRESSORS = [None, "zstd:3", "gzip:6", "blosc:lz4:5:shuffle"]
TYPES = ["?", "u1", "i2", "i4", "u8", "f2", "f4", "f8", "c8", ">i4"]


def values(dtype):
    x = np.arange(77).reshape(7, 11)
    return (x % 2 if dtype == "?" else x).astype(dtype)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_zarr_reads_ours(tmp_path, zarr_format, compressor):
    for k, dtype in enumerate(TYPES):
        x = values(dtype)
        z = az.create_array(tmp_path / str(k), data=x, chunks=(3, 4),
                            zarr_format=zarr_format, compressor=compressor,
                            attributes={"k": k})
        z.append(x[:2])
        theirs = zarr.open_array(tmp_path / str(k), mode="r")
        np.testing.assert_array_equal(theirs[:], np.concatenate([x, x[:2]]))
        assert dict(theirs.attrs) == {"k": k} and theirs.chunks == (3, 4)


def theirs(path, x, zarr_format, compressor):
    name, _, rest = (compressor or "").partition(":")
    if zarr_format == 2:
        import numcodecs
        make = {"": lambda: None, "zstd": numcodecs.Zstd,
                "gzip": numcodecs.GZip, "blosc": numcodecs.Blosc}[name]
    else:
        make = {"": lambda: None, "zstd": zarr.codecs.ZstdCodec,
                "gzip": zarr.codecs.GzipCodec,
                "blosc": zarr.codecs.BloscCodec}[name]
    z = zarr.create_array(path, shape=x.shape, dtype=x.dtype, chunks=(3, 4),
                          zarr_format=zarr_format, compressors=make())
    z[:] = x
    z.attrs["k"] = [1, "ü"]
    return make()


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_we_read_theirs(tmp_path, zarr_format, compressor):
    for k, dtype in enumerate(TYPES):
        x = values(dtype)
        codec = theirs(tmp_path / str(k), x, zarr_format, compressor)
        z = az.open(tmp_path / str(k), "r+")
        np.testing.assert_array_equal(z[:], x)
        assert z.attrs["k"] == [1, "ü"] and z.zarr_format == zarr_format
        z[1:5, 2:9] = 1
        x[1:5, 2:9] = 1
        np.testing.assert_array_equal(
            zarr.open_array(tmp_path / str(k), mode="r")[:], x)
    # their codec objects are taken by ours
    z = az.create_array(tmp_path / "copy", data=x, zarr_format=zarr_format,
                        compressor=codec)
    np.testing.assert_array_equal(
        zarr.open_array(tmp_path / "copy", mode="r")[:], z[:])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_hierarchies(tmp_path, zarr_format):
    g = az.open_group(tmp_path / "ours", "w", zarr_format=zarr_format)
    g.attrs["a"] = 1
    g.create_array("x/y", data=np.arange(5), chunks=2)
    az.consolidate(g.store)
    t = zarr.open_group(tmp_path / "ours", mode="r")
    assert t.attrs["a"] == 1 and t["x/y"][:].tolist() == [0, 1, 2, 3, 4]
    t = zarr.open_consolidated(tmp_path / "ours")
    assert t["x"]["y"][3] == 3

    t = zarr.open_group(tmp_path / "theirs", mode="w", zarr_format=zarr_format)
    t.create_group("p").create_array("q", shape=(4,), dtype="i4")[:] = 3
    g = az.open(tmp_path / "theirs")
    assert g["p"]["q"][:].tolist() == [3] * 4 and list(g["p"]) == ["q"]


def test_the_same_errors_and_results(tmp_path):
    """Selections that both take give the same; those that zarr refuses with an
    IndexError, so do we."""
    x = np.arange(60).reshape(6, 10)
    ours = az.create_array(tmp_path / "o", data=x, chunks=(2, 3))
    them = zarr.open_array(tmp_path / "o", mode="r")
    for s in (np.s_[1], np.s_[-1, 2:], np.s_[..., 3], np.s_[2:100:2],
              np.s_[[0, 2], [1, 3]], np.s_[[0, 2]], np.s_[[0, 2], 1:4],
              np.s_[1, [1, 3]], x > 30, np.s_[6], np.s_[::-1], np.s_[0, 0, 0],
              np.s_[..., ...], np.s_[2:1], np.s_[1:2, 3]):
        try:
            want = them[s]
        except IndexError:
            with pytest.raises(IndexError):
                ours[s]
            continue
        got = ours[s]
        assert np.shape(got) == np.shape(want), s
        np.testing.assert_array_equal(got, want, str(s))
