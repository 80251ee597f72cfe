# SPDX-License-Identifier: Apache-2.0
"""How a selection gets through zarr to the plug-in: as one box, on the thread that
waits for it; and what goes zarr's own way. test_zarr.py has what it gives."""
import asyncio
import threading

import numpy as np
import pytest

zarr = pytest.importorskip("zarr", minversion="3")
plugin = pytest.importorskip("atomiczarr.zarr")
from atomiczarr.zarr import _pipeline, _whole  # noqa: E402
from test_zarr import CHUNKS, SHAPE, create, same, stock  # noqa: E402

pytestmark = pytest.mark.usefixtures("pipeline")

SELECTIONS = [
    (..., True), (slice(None), True),
    ((slice(1, 9, 2), slice(None, None, 5)), True),
    ((5, slice(None)), True), ((slice(2, 4), slice(3, 5)), True),
    ((-1, slice(-7, None)), True),
    ((slice(0, 10, 7), 10), True), ((slice(None), slice(0, 11, 9)), True),
    ((slice(0, 3), slice(4, 8)), False),  # one chunk
    ((3, 4), False), ((slice(4, 4), slice(None)), False),
]


@pytest.fixture
def seen(monkeypatch):
    """Of each call: whether it came as one box, and the thread it was made on."""
    found = []

    def watched(fn):
        def body(batch, *args):
            found.append((_whole.of(batch) is not None,
                          threading.current_thread()))
            return fn(batch, *args)
        return body

    for name in ("_read", "_write"):
        monkeypatch.setattr(_pipeline, name, watched(getattr(_pipeline, name)))
    return found


def both(tmp_path, **options):
    """An array with our pipeline and one with zarr's, equal."""
    ours = create(tmp_path / "ours.zarr", **options)
    create(tmp_path / "zarr.zarr", **options)
    theirs = stock(tmp_path / "zarr.zarr", "r+")
    x = np.arange(110, dtype=ours.dtype).reshape(SHAPE)
    ours[...] = theirs[...] = x
    return ours, theirs


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("selection, as_one", SELECTIONS)
def test_a_selection_is_one_box(tmp_path, seen, zarr_format, selection, as_one):
    ours, theirs = both(tmp_path, zarr_format=zarr_format)
    value = 1000 + np.arange(np.size(theirs[selection])).reshape(
        np.shape(theirs[selection]))
    del seen[:]
    same(ours[selection], theirs[selection])
    ours[selection] = value
    theirs[selection] = value
    assert {w for w, _ in seen} <= {as_one}
    assert {t for _, t in seen} <= {threading.current_thread()}
    assert len(seen) == (2 if np.size(value) else 0)
    same(stock(tmp_path / "ours.zarr")[...], theirs[...])


@pytest.mark.parametrize("selection", [s for s, _ in SELECTIONS])
def test_zarr_asks_for_it_on_its_loop(tmp_path, seen, selection):
    """As an asynchronous program does, and a synchronous one within it."""
    ours, theirs = both(tmp_path)
    del seen[:]

    async def all_ways():
        found = [await ours._async_array.getitem(selection)]
        await ours._async_array.setitem(selection, theirs[selection])
        return found + [ours[selection]]

    for found in asyncio.run(all_ways()):
        same(found, theirs[selection])
    same(ours[...], theirs[...])
    if np.size(theirs[selection]):
        assert len(seen) == 4
        assert {t for _, t in seen[:3]} & {threading.current_thread()} == set()


def test_the_values_may_be_more_or_one(tmp_path):
    """zarr takes of them what it needs, by place."""
    ours, theirs = both(tmp_path)
    for z in (ours, theirs):
        z[0:7, 0:11] = np.arange(240).reshape(20, 12)
        z[7:10] = 5
    same(ours[...], theirs[...])


def test_values_that_do_not_fit(tmp_path):
    ours, theirs = both(tmp_path)
    before = ours[...]
    for z in (ours, theirs):
        with pytest.raises(ValueError):
            z[0:7] = np.zeros((2, 11), "i4")
    same(ours[...], before)


def test_who_waits_for_zarr_goes_by_its_loop(tmp_path, seen):
    """zarr gives up waiting for its loop only."""
    ours, theirs = both(tmp_path)
    del seen[:]
    with zarr.config.set({"async.timeout": 30.0}):
        same(ours[...], theirs[...])
    assert [w for w, _ in seen] == [True]
    assert seen[0][1] is not threading.current_thread()


@pytest.mark.parametrize("option", ["shards", "filters"])
def test_what_zarr_codes_gets_all_chunks(tmp_path, seen, option):
    options = {"shards": {"shards": (6, 8)},
               "filters": {"filters": [zarr.codecs.TransposeCodec(order=(1, 0))]}}
    ours, theirs = both(tmp_path, **options[option])
    del seen[:]
    for selection, _ in SELECTIONS:
        same(ours[selection], theirs[selection])
    ours[1:9, 2:11] = theirs[1:9, 2:11] = 7
    same(ours[...], theirs[...])


def test_other_arrays_of_zarr_are_as_they_were(tmp_path):
    """zarr's pipeline, and stores that are not local, get their chunks."""
    with zarr.config.set({"codec_pipeline.path":
                          "zarr.core.codec_pipeline.BatchedCodecPipeline",
                          "atomiczarr.other_stores": "stock"}):
        memory = zarr.create_array(zarr.storage.MemoryStore(), shape=SHAPE,
                                   chunks=CHUNKS, dtype="i4")
    with zarr.config.set({"atomiczarr.other_stores": "stock"}):
        passed = zarr.create_array(zarr.storage.MemoryStore(), shape=SHAPE,
                                   chunks=CHUNKS, dtype="i4")
        x = np.arange(110, dtype="i4").reshape(SHAPE)
        for z in (memory, passed):
            z[...] = x
            same(z[1:9, 3], x[1:9, 3])


def test_an_array_that_is_gone(tmp_path):
    """Nothing has begun: zarr's loop tells what is wrong."""
    ours, _ = both(tmp_path)
    (tmp_path / "ours.zarr" / "zarr.json").unlink()
    with pytest.raises(FileNotFoundError):
        ours[...]


def test_an_error_on_the_way_is_told_once(tmp_path, monkeypatch):
    ours, _ = both(tmp_path)
    calls = []

    def broken(self, plan, value):
        calls.append(plan)
        raise OSError(5, "broken")

    monkeypatch.setattr(_pipeline._Operation, "write", broken)
    with pytest.raises(OSError, match="broken"):
        ours[...] = 1
    assert len(calls) == 1


@pytest.mark.parametrize("get, as_one", [
    (lambda z: z.oindex[1:9:3, 2], True), (lambda z: z.blocks[0:2, 1], True),
    (lambda z: z.oindex[[1, 5], 0:3], False), (lambda z: z.vindex[[1, 5], [0, 9]],
                                               False),
    (lambda z: z.oindex[np.arange(10) > 4], False)])
def test_other_ways_to_select(tmp_path, seen, get, as_one):
    ours, theirs = both(tmp_path)
    del seen[:]
    same(get(ours), get(theirs))
    assert seen == [(as_one, threading.current_thread())]


def test_one_call_within_another(tmp_path, seen):
    """The values of a write are read from another array when it has begun."""
    ours, theirs = both(tmp_path)
    other = create(tmp_path / "other.zarr")
    del seen[:]

    class Late:
        shape, dtype, ndim, size = SHAPE, np.dtype("i4"), 2, 110

        def __array__(self, dtype=None, copy=None):
            return ours[...]

    other[...] = Late()
    same(other[...], theirs[...])
    assert [t for _, t in seen] == [threading.current_thread()] * 3


def test_the_box_of_a_plan():
    """By hand: start, count, step of what zarr says of each dimension."""
    class Dim:
        def __init__(self, **o):
            self.__dict__.update(o)

    class Int(_whole.IntDimIndexer):
        def __init__(self, dim_sel):
            object.__setattr__(self, "dim_sel", dim_sel)

    class Slice(_whole.SliceDimIndexer):
        def __init__(self, start, nitems, step):
            for name, v in (("start", start), ("nitems", nitems), ("step", step)):
                object.__setattr__(self, name, v)

    box = _whole._plan(Dim(dim_indexers=[Slice(2, 3, 4), Int(7)]), (5, 4))
    assert (box.start, box.count, box.step) == ((2, 7), (3, 1), (4, 1))
    assert box.shape == (3,)
    one = Dim(dim_indexers=[Slice(2, 3, 1)])
    assert _whole._plan(one, (5,)) is None
    assert _whole._plan(one, (4,)).count == (3,)
    assert _whole._plan(Dim(dim_indexers=[Slice(0, 0, 1)]), (5,)) is None
    assert _whole._plan(Dim(dim_indexers=[]), ()) is None
    assert _whole._plan(Dim(dim_indexers=[Dim()]), (5,)) is None
