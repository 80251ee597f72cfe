# SPDX-License-Identifier: Apache-2.0
"""What people reported as lost or mixed: elements. Each program is run with this
package and through the plug-in, where it finds nothing wrong, and with zarr-python
alone, where it must. It returns how many elements are wrong; its text says who
reported it. Metadata: test_issues_metadata.py; deaths: test_issues_deaths.py."""
import asyncio
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from ways import (LONG, WAYS, Native, Plugin, Stock, configured, fork, processes,
                  threads, until_wrong, way, zarr)

ROUNDS = 60 if LONG else 12


BOUNDS = [*range(0, 97, 7), 97]
PARTS = list(zip(BOUNDS, BOUNDS[1:]))  # 14 of them, no one of whole chunks


def disjoint(way, path, workers, spec):
    """Each worker writes its own part in each round, beside all others; after it
    every element must be that round's. How many are not."""
    way.create(path, shape=(97,), dtype="i4", fill_value=0, **spec)
    wrong = fork.Value("q", 0)

    def work(k, gate):
        z = way.open(path)
        for r in range(1, ROUNDS + 1):
            gate.wait(60)
            for a, b in PARTS[k::4]:
                z[a:b] = np.full(b - a, r, "i4")
            gate.wait(60)
            if k == 0:
                wrong.value += np.count_nonzero(np.asarray(z[:]) != r)

    return workers(4, work) + wrong.value


def parts_by_threads(way, path):
    """https://github.com/pydata/xarray/issues/8371: regions that share a chunk,
    written by threads; https://github.com/zarr-developers/zarr-python/issues/328"""
    return disjoint(way, path, threads, {"chunks": (10,)})


def parts_by_processes(way, path):
    """https://github.com/zarr-developers/zarr-python/issues/701: the same by
    processes; https://github.com/zarr-developers/zarr-python/issues/857"""
    return disjoint(way, path, processes, {"chunks": (10,)})


def region_by_96_threads(way, path):
    """https://github.com/zarr-developers/zarr-python/issues/857, with threads: all
    write one region of many chunks, and it must be one's alone."""
    way.create(path, shape=(100,), chunks=(10,), dtype="i4", fill_value=0)
    z = way.open(path)

    def work(k, gate):
        gate.wait(60)
        z[5:95] = np.full(90, k + 1, "i4")

    failed = threads(96, work)
    there = np.asarray(z[:])
    assert not there[:5].any() and not there[95:].any()
    return failed + len(np.unique(there[5:95])) - 1


def pickled(job):
    z, k = pickle.loads(job)
    for a, b in PARTS[k::4]:
        z[a:b] = np.full(b - a, k + 1, "i4")


def handles_by_pickle(way, path):
    """https://github.com/zarr-developers/zarr-python/issues/2077: one handle is
    given to the workers of a pool."""
    z = way.create(path, shape=(97,), chunks=(10,), dtype="i4", fill_value=0)
    jobs = [pickle.dumps((z, k)) for k in range(4)]
    wrong = 0
    with ProcessPoolExecutor(4, mp_context=fork) as pool:
        for _ in range(ROUNDS):
            z[:] = np.zeros(97, "i4")
            list(pool.map(pickled, jobs))
            there = np.asarray(z[:])
            wrong += sum(np.count_nonzero(there[a:b] != k % 4 + 1)
                         for k, (a, b) in enumerate(PARTS))
    return wrong


def dask_blocks(way, path):
    """https://github.com/dask/dask/issues/12583: blocks that do not fit the
    chunks, and ``lock=False``."""
    dask = pytest.importorskip("dask")
    da = pytest.importorskip("dask.array")
    x = np.arange(1, 10001, dtype="i4").reshape(100, 100)
    z = way.create(path, shape=x.shape, chunks=(30, 30), dtype="i4",
                   fill_value=0)
    with dask.config.set(scheduler="threads", num_workers=8):
        da.store(da.from_array(x, chunks=(17, 23)), z, lock=False)
    return np.count_nonzero(np.asarray(z[:]) != x)


PROGRAMS = [parts_by_threads, parts_by_processes, region_by_96_threads,
            handles_by_pickle, dask_blocks]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_nothing_is_lost(program, way, path):
    assert program(way, path) == 0


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_zarr_alone_loses(program, path):
    until_wrong(program, path)


# ------------------------------------------------------------------- shards ---


def shards_by_threads(way, path):
    """https://github.com/zarr-developers/zarr-python/issues/3682: whole chunks,
    but parts of a shard."""
    return disjoint(way, path, threads, {"chunks": (5,), "shards": (20,)})


def shards_by_processes(way, path):
    """https://github.com/zarr-developers/zarr-python/issues/3682, by processes."""
    return disjoint(way, path, processes, {"chunks": (5,), "shards": (20,)})


SHARDS = [shards_by_threads, shards_by_processes]


@pytest.mark.parametrize("w", [w for w in WAYS if w is not Native],
                         ids=lambda w: w.name)
@pytest.mark.parametrize("program", SHARDS, ids=lambda p: p.__name__)
def test_nothing_is_lost_in_shards(program, w, path):
    with configured(w) as way:
        z = way.create(path + "-probe", shape=(97,), chunks=(5,), shards=(20,),
                       dtype="i4")
        try:
            z[2:7] = 1
        except NotImplementedError:
            pytest.xfail("the plug-in refuses shards")  # and so loses nothing
        assert program(way, path) == 0


@pytest.mark.parametrize("program", SHARDS, ids=lambda p: p.__name__)
def test_zarr_alone_loses_in_shards(program, path):
    until_wrong(program, path)


# -------------------------------------- the order that loses, made and not hoped ---


def test_two_that_read_before_either_writes(path, monkeypatch):
    """https://github.com/zarr-developers/zarr-python/issues/328: two writers of
    halves of one chunk, zarr's store made to let no write pass before both have
    read. zarr alone loses one of them each time; through the plug-in the store's
    `set` is never reached."""
    store = zarr.storage.LocalStore
    stock_set, waiting = store.set, []

    async def late(self, key, value, *args, **more):
        if not key.endswith(("zarr.json", ".zarray", ".zattrs")):
            waiting.append(key)
            for _ in range(20000):  # the other one reads on the same loop
                if len(waiting) >= 2:
                    break
                await asyncio.sleep(0.001)
        return await stock_set(self, key, value, *args, **more)

    def halves(way, name):
        """What is there after it."""
        z = way.create(f"{path}-{name}", shape=(8,), chunks=(8,), dtype="i4",
                       fill_value=0, compressors=None)
        with monkeypatch.context() as patch:
            patch.setattr(store, "set", late)
            assert threads(2, lambda k, gate: z.__setitem__(
                slice(4 * k, 4 * k + 4), np.full(4, k + 1, "i4"))) == 0
        return np.asarray(z[:]).tolist()

    with configured(Stock) as way:
        assert halves(way, "theirs") in ([1] * 4 + [0] * 4, [0] * 4 + [2] * 4)
        assert len(waiting) == 2
    del waiting[:]
    with configured(Plugin) as way:
        assert halves(way, "ours") == [1] * 4 + [2] * 4
        assert not waiting
