# SPDX-License-Identifier: Apache-2.0
"""zarr-python's own arrays through the plug-in: whole across chunks, threads
and processes; and the same programs without it, which are not. What people
reported is in test_issues*.py."""
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import atomiczarr as az

from ways import OURS, RUNS, THEIRS, plugin, zarr

pytestmark = pytest.mark.usefixtures("pipeline")
PROGRAMS = pathlib.Path(__file__).parent / "programs"
TRIES = 20  # of what zarr does wrong, until it does


def environment(name):
    return {**os.environ, "ZARR_CODEC_PIPELINE__PATH": name}


def run(program, name, *args):
    return subprocess.run(
        [sys.executable, PROGRAMS / program, *map(str, args)], text=True,
        capture_output=True, timeout=100, env=environment(name))


# ------------------------------------------------- the programs of the report ---


def mixed(stdout):
    lines = [[int(n) for n in x.split()] for x in stdout.splitlines()]
    assert len(lines) == 200
    return [x for x in lines if len(set(x[2:6])) > 1 or len(set(x[6:10])) > 1
            or x[:2] + x[10:] != [0] * 4]


@pytest.mark.parametrize("again", range(RUNS))
def test_lines(path, again):
    done = run("zarr_lines.py", OURS, path, 8, 25)
    assert done.returncode == 0, done.stderr
    assert mixed(done.stdout) == []


def test_lines_without(path):
    for k in range(TRIES):
        done = run("zarr_lines.py", THEIRS, f"{path}{k}", 8, 25)
        if done.returncode or mixed(done.stdout):
            return
    pytest.fail("zarr alone mixed no line: does this test see anything?")


@pytest.mark.parametrize("again", range(RUNS))
def test_diagonals(path, again):
    done = run("zarr_diagonals.py", OURS, path, 8, 25)
    assert done.returncode == 0, done.stderr


def test_diagonals_without(path):
    for k in range(TRIES):
        if run("zarr_diagonals.py", THEIRS, f"{path}{k}", 8, 25).returncode:
            return
    pytest.fail("zarr alone failed no assertion: does this test see anything?")


# ---------------------------------------------------------------- torn reads ---


def overwrite(path, name, first, gate, stop):
    zarr.config.set({"codec_pipeline.path": name})
    z = zarr.open_array(path, mode="r+")
    k = first
    gate.wait()
    while not stop.is_set():
        z[...] = np.full(z.shape, k, "i4")
        k += 2


def torn_reads(path, name, enough):
    """Reads that find two numbers, of 8 chunks that 2 processes overwrite."""
    spawn = multiprocessing.get_context("spawn")
    gate, stop = spawn.Barrier(3), spawn.Event()
    with zarr.config.set({"codec_pipeline.path": name}):
        z = zarr.create_array(path, shape=(8, 512), chunks=(1, 512),
                              dtype="i4", compressors=None)
        z[...] = 0
        work = [spawn.Process(target=overwrite, args=(path, name, k, gate, stop))
                for k in range(2)]
        for p in work:
            p.start()
        gate.wait()
        torn = reads = 0
        end = time.monotonic() + 30
        while reads < enough and time.monotonic() < end:
            reads += 1
            try:
                torn += len(np.unique(z[...])) > 1
            except ValueError:  # half a chunk
                if name != THEIRS:
                    raise
                torn += 1
            if torn and name == THEIRS:
                break
        stop.set()
        for p in work:
            p.join()
    assert all(p.exitcode == 0 for p in work)
    return torn


def test_no_torn_reads(path):
    assert torn_reads(path, OURS, 500) == 0


def test_torn_reads_without(path):
    assert torn_reads(path, THEIRS, 10**6) == 1


# --------------------------------------------------- programs on top of zarr ---


def test_xarray_regions_that_cross_chunks(path):
    xr = pytest.importorskip("xarray")
    x = np.arange(97.0)
    whole = xr.Dataset({"v": ("x", np.zeros(97))})
    whole.to_zarr(path, encoding={"v": {"chunks": (10,)}}, consolidated=False)

    def work(a, b):
        xr.Dataset({"v": ("x", x[a:b])}).to_zarr(
            path, region={"x": slice(a, b)}, safe_chunks=False,
            consolidated=False)

    bounds = [*range(0, 97, 7), 97]
    threads = [threading.Thread(target=work, args=ab)
               for ab in zip(bounds, bounds[1:])]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    there = xr.open_zarr(path, consolidated=False, chunks=None)
    assert (there["v"].values == x).all()


# ------------------------------------------------------------------- threads ---


@pytest.fixture
def held(path):
    """An array with a thread in the middle of an update, until it is let go."""
    z = zarr.create_array(path, shape=(12,), chunks=(4,), dtype="i4")
    inside, go = threading.Event(), threading.Event()

    def hold(x):
        inside.set()
        assert go.wait(60)

    t = threading.Thread(target=az.open(path, "r+").update,
                         args=(np.s_[:], hold))
    t.start()
    assert inside.wait(30)
    yield z, go.set
    go.set()
    t.join()


def test_who_waits_does_not_hold_up_others(held, tmp_path):
    """More waiting threads than zarr has for its I/O, and its event loop goes
    on."""
    z, go = held
    other = zarr.create_array(tmp_path / "other", shape=(8,), chunks=(3,),
                              dtype="i4")
    waiting = [threading.Thread(target=z.__setitem__, args=(slice(2, 6), k))
               for k in range(40)]
    for t in waiting:
        t.start()
    for k in range(10):
        other[1:7] = k
        assert (other[1:7] == k).all()
        other.attrs["k"] = k  # zarr's own I/O
    assert all(t.is_alive() for t in waiting)
    go()
    for t in waiting:
        t.join()
    assert len(set(z[2:6].tolist())) == 1


def test_time_out(held):
    z, go = held
    with zarr.config.set({"atomiczarr.timeout": 0.05}):
        with pytest.raises(TimeoutError, match="pid"):
            z[2:6] = 1
    go()
    z[2:6] = 2
    assert z[:].tolist() == [0, 0, 2, 2, 2, 2] + [0] * 6


def test_time_out_of_the_environment(held):
    z, _ = held
    code = ("import sys, zarr\nz = zarr.open_array(sys.argv[1], mode='r+')\n"
            "try:\n    z[2:6] = 1\nexcept TimeoutError:\n    sys.exit(7)")
    done = subprocess.run(
        [sys.executable, "-c", code, z.store.root], timeout=60,
        env={**environment(OURS), "ZARR_ATOMICZARR__TIMEOUT": "0.1"})
    assert done.returncode == 7


def child(path):
    z = zarr.open_array(path, mode="r+")
    z[3:9] += 1
    os._exit(0 if z[5] == 2 else 3)


def test_fork_after_use(path):
    z = zarr.create_array(path, shape=(12,), chunks=(4,), dtype="i4")
    z[3:9] = 1
    p = multiprocessing.get_context("fork").Process(target=child, args=(path,))
    p.start()
    p.join(60)
    assert p.exitcode == 0
    assert z[:].tolist() == [0] * 3 + [2] * 6 + [0] * 3


# -------------------------------------------------------------- transactions ---


@pytest.fixture
def pair(tmp_path):
    return [zarr.create_array(tmp_path / n, shape=(12,), chunks=(4,),
                              dtype="i4", zarr_format=f)
            for n, f in (("a", 2), ("b", 3))]


def test_a_transaction_over_arrays(pair):
    a, b = pair
    with az.transaction():
        a[2:6] = 5
        b[a[3]] = 7
        b.vindex[[1, 11]] = [1, 2]
        assert b[5] == 7
        seen = []
        t = threading.Thread(target=lambda: seen.extend([a[3], b[5]]))
        t.start()
        t.join()
        assert seen == [0, 0]
    assert a[:].tolist() == [0, 0, 5, 5, 5, 5] + [0] * 6
    assert b[:].tolist() == [0, 1, 0, 0, 0, 7] + [0] * 5 + [2]


def test_a_transaction_that_is_given_up(pair):
    a, b = pair
    with pytest.raises(ZeroDivisionError):
        with az.transaction():
            a[:] = 1
            b[:] = 1 / 0
    assert not a[:].any() and not b[:].any()


class Rang(Exception):
    pass


def test_a_signal_ends_a_transaction(path):
    """Whose work other threads are doing: they end before it does."""
    z = zarr.create_array(path, shape=(1 << 22,), chunks=(1 << 14,), dtype="i4",
                          compressors=None, fill_value=0)
    rang = 0

    def ring(*_):
        raise Rang

    def write(k):
        z[:] = np.full(z.shape, k, "i4")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        for k in range(1, 13):
            try:
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.004 * k)
                    if k % 2:
                        az.run(write, k)
                    else:
                        with az.transaction():
                            write(k)
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except Rang:
                rang += 1
            now = np.unique(z[:]).tolist()
            assert len(now) == 1 and now[0] <= k
    finally:
        signal.signal(signal.SIGALRM, before)
    assert rang


def test_a_transaction_in_conflict(pair):
    a, b = pair
    other = az.open(a.store.root, "r+")
    with pytest.raises(az.errors.ConflictError):
        with az.transaction():
            b[0] = a[0] + 1
            done = threading.Thread(target=other.__setitem__, args=(0, 9))
            done.start()
            done.join()
    assert b[0] == 0


def test_a_new_array_with_its_data(pair, tmp_path):
    """Which zarr writes chunk by chunk, at the same time."""
    a, _ = pair
    x = np.arange(100, dtype="i4")
    with az.transaction():
        z = zarr.create_array(tmp_path / "new", data=x, chunks=(3,))
        a[0] = z[:].sum()
        assert z.nchunks_initialized == 0
    assert z[:].tolist() == x.tolist() and a[0] == x.sum()


def test_one_array_in_two_ways(pair):
    """As zarr's and as this package's: it is one in a transaction."""
    a, _ = pair
    with pytest.raises(KeyError):
        with az.transaction():
            a[0] = 1
            az.open(a.store.root, "r+")[5] = 1
            raise KeyError
    assert not a[:].any()
    with az.transaction():
        mine = az.open(a.store.root, "r+")
        a[0] = 1
        mine[5] = mine[0] + 1
        assert a[5] == 2
    assert (a[0], a[5]) == (1, 2)


def test_run_again_on_conflict(pair):
    a, b = pair

    def move(n):
        a[0] -= n
        b[0] += n

    def work():
        for _ in range(10):
            az.run(move, 1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert (a[0], b[0]) == (-40, 40)


# --------------------------------------------------- appends, shapes, attributes ---


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_changes_with_an_old_handle(path, zarr_format):
    z = zarr.create_array(path, shape=(6,), chunks=(4,), dtype="i4",
                          zarr_format=zarr_format)
    old = zarr.open_array(path, mode="r+")
    z[:] = 1
    assert plugin.append(z, [2, 2]) == (8,) and z.shape == (8,)
    assert plugin.append_at(old, [3]) == 8 and old.shape == (9,)
    plugin.update_attributes(z, {"a": 1, "b": [2]})
    plugin.update_attributes(old, {"c": "d"})
    assert z.shape == (9,)  # not the one of its handle
    assert dict(old.attrs) == {"a": 1, "b": [2], "c": "d"}
    assert z[:].tolist() == [1] * 6 + [2, 2, 3]
    plugin.resize(z, (2,))
    plugin.resize(z, 5)
    assert z[:].tolist() == [1, 1, 0, 0, 0]
    with pytest.raises(IndexError):
        old[:]
    plugin.reload(old)
    assert old[:].tolist() == [1, 1, 0, 0, 0] and dict(old.attrs) == dict(z.attrs)
    old[4] = 7
    assert zarr.open_array(path, mode="r")[4] == 7


def test_attributes_of_threads(path):
    z = zarr.create_array(path, shape=(6,), chunks=(4,), dtype="i4")
    threads = [threading.Thread(
        target=plugin.update_attributes,
        args=(zarr.open_array(path, mode="r+"), {f"k{k}": k}))
        for k in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    plugin.reload(z)
    assert dict(z.attrs) == {f"k{k}": k for k in range(12)}


def test_changes_that_are_refused(path, tmp_path):
    z = zarr.create_array(path, shape=(6,), chunks=(4,), dtype="i4")
    readable = zarr.open_array(path, mode="r")
    for change in (lambda: plugin.append(readable, [1]),
                   lambda: plugin.resize(readable, 3)):
        with pytest.raises(PermissionError):
            change()
    with pytest.raises(RuntimeError):
        with az.transaction():
            plugin.append(z, [1])
    assert zarr.open_array(path).shape == (6,)
    z = zarr.create_array(zarr.storage.MemoryStore(), shape=(6,), chunks=(4,),
                          dtype="i4")
    with pytest.raises(NotImplementedError, match="MemoryStore"):
        plugin.append(z, [1])
