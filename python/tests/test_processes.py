# SPDX-License-Identifier: Apache-2.0
"""Processes and threads: nothing mixed, lost or left hanging."""
import multiprocessing
import os
import pathlib
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import atomiczarr as az
from atomiczarr import _core

LONG = bool(os.environ.get("AZR_TORTURE"))  # torture
RUNS = int(os.environ.get("AZR_RUNS", 20 if LONG else 1))  # of each program
PROGRAMS = pathlib.Path(__file__).parent / "programs"


def run(name, store, *args):
    return subprocess.run(
        [sys.executable, PROGRAMS / name, store, *map(str, args)],
        capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize("again", range(RUNS))
def test_lines(path, again):
    done = run("lines.py", path, 8, 25)
    assert done.returncode == 0, done.stderr
    lines = [[int(n) for n in x.split()] for x in done.stdout.splitlines()]
    assert len(lines) == 200
    for x in lines:
        assert len(set(x[2:6])) == 1 and len(set(x[6:10])) == 1, x
        assert x[:2] + x[10:] == [0] * 4


@pytest.mark.parametrize("again", range(RUNS))
def test_diagonals(path, again):
    done = run("diagonals.py", path, 8, 25)
    assert done.returncode == 0, done.stderr


# ----------------------------------------------- torn reads, and a control ---


def overwrite(path, sync, first, gate, stop):
    z = az.open(path, "r+")
    z._h = _core.open_array(path, _core.OPEN_WRITE, sync, 60000)
    k = first
    gate.wait()
    while not stop.is_set():
        z[:] = np.full(z.shape, k, "i4")
        k += 2


def torn_reads(path, sync, enough):
    """Reads that find two numbers, of 4 chunks that 2 processes overwrite."""
    fork = multiprocessing.get_context("fork")
    gate, stop = fork.Barrier(3), fork.Event()
    z = az.open(path, "w", shape=(4, 512), chunks=(1, 512), dtype="i4",
                compressor=None)
    z._h = _core.open_array(path, 0, sync, 60000)
    work = [fork.Process(target=overwrite, args=(path, sync, k, gate, stop))
            for k in range(2)]
    for p in work:
        p.start()
    gate.wait()
    reads = torn = seen = 0
    until = time.monotonic() + 30
    while not enough(reads, torn, seen) and time.monotonic() < until:
        x = z[0:4]
        reads += 1
        torn += bool((x != x[0, 0]).any())
        seen = max(seen, int(x[0, 0]))
    stop.set()
    for p in work:
        p.join()
    return torn, reads, seen


def test_no_torn_read(path):
    torn, reads, seen = torn_reads(
        path, 0, lambda reads, torn, seen: reads >= 500 and seen >= 100)
    assert reads >= 500 and seen >= 100 and torn == 0


def test_the_plain_way_tears(path):
    """The negative control: each chunk by itself, and the same test sees it."""
    torn, _, _ = torn_reads(path, 1, lambda reads, torn, seen: torn > 0)
    assert torn > 0


# ------------------------------------------------------------------ killing ---


def write_for_ever(path, pipe):
    z = az.open(path, "r+")
    k = int(z[0, 0])
    os.write(pipe, b"x")
    while True:
        k += 1
        z[:] = np.full(z.shape, k, "i4")


def test_kill_9(path):
    """Killed at any instant: readers and the next writer see all or nothing."""
    fork = multiprocessing.get_context("fork")
    z = az.open(path, "w", shape=(16, 64), chunks=(2, 64), dtype="i4")
    reader = az.open(path, "r")
    r, w = os.pipe()
    choose = random.Random(1)
    last = 0
    for _ in range(15):
        p = fork.Process(target=write_for_ever, args=(path, w))
        p.start()
        os.read(r, 1)
        wait = 0.03 * choose.random()
        x = reader[0:16]
        while x[0, 0] == last:  # until it has written
            x = reader[0:16]
            assert (x == x[0, 0]).all()
        until = time.monotonic() + wait
        while time.monotonic() < until:
            x = reader[0:16]
            assert (x == x[0, 0]).all()
        os.kill(p.pid, signal.SIGKILL)
        p.join()
        x = reader[:]
        assert (x == x[0, 0]).all() and x[0, 0] >= last
        last = int(x[0, 0])
        z[0:1] = last  # a write of part of it, after the dead
        assert (z[:] == last).all()
    assert last >= 15
    os.close(r)
    os.close(w)


# ------------------------------------------------- pools, threads and forks ---


def add_and_append(z, i):
    z.append_at([i])
    z.update(np.s_[0:6], lambda x: x + 1)
    return os.getpid()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools(path, method):
    z = az.open(path, "w", shape=6, chunks=4, dtype="i4")
    z[:] = 0
    with ProcessPoolExecutor(
            3, mp_context=multiprocessing.get_context(method)) as pool:
        pids = set(pool.map(add_and_append, [z] * 24, range(24)))
    assert os.getpid() not in pids
    assert z[:6].tolist() == [24] * 6
    assert sorted(z[6:].tolist()) == list(range(24))


def test_threads(path):
    z = az.open(path, "w", shape=(6, 8), chunks=(1, 4), dtype="i4")

    def work(i):
        for _ in range(10):
            z.update(np.s_[:, 2:6], lambda x: x + 1)
            x = z[:, 2:6]
            assert (x == x[0, 0]).all()
            az.run(lambda: z.__setitem__(np.s_[0, 0], z[0, 0] + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert (z[:, 2:6] == 80).all() and z[0, 0] == 80


def test_the_gil_is_free_while_waiting(line):
    """A thread that holds the chunks needs the interpreter to let them go,
    while another one waits for them in C."""
    inside, go = threading.Event(), threading.Event()

    def hold(x):
        inside.set()
        assert go.wait(30)
        return x + 1

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(line.update, np.s_[:], hold)
        assert inside.wait(30)
        second = pool.submit(line.__setitem__, np.s_[0:2], 5)
        assert az.open(line.store, "r")[:].tolist() == [0] * 12
        go.set()
        first.result(30)
        second.result(30)
    assert line[:].tolist() == [5, 5] + [1] * 10


def child(fn):
    """fn() in a forked child; its exit status."""
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            status = fn()
        finally:
            os._exit(status)
    return pid


def status_of(pid, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "it hung"


def test_fork_of_a_busy_parent(path):
    z = az.open(path, "w", shape=(8, 100), chunks=(1, 50), dtype="i4")
    stop = threading.Event()

    def busy(i):
        while not stop.is_set():
            z[i] = i
            z[:]
            z.attrs[str(i)] = i

    def use():
        z[5:7, 10:60] = 7
        return 0 if (z[5:7, 10:60] == 7).all() and z[:].shape == (8, 100) else 1

    threads = [threading.Thread(target=busy, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    try:
        for _ in range(12):
            assert status_of(child(use)) == 0
    finally:
        stop.set()
        for t in threads:
            t.join()


def test_a_child_inherits_no_locks(line):
    inside, go = threading.Event(), threading.Event()

    def hold(x):
        inside.set()
        assert go.wait(30)

    def try_it():
        try:
            line.set_basic_selection(0, 1, timeout=0.1)
        except TimeoutError:
            return 3
        return 0

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(line.update, np.s_[:], hold)
        assert inside.wait(30)
        try:
            assert status_of(child(try_it)) == 3  # its parent holds them
        finally:
            go.set()
        first.result(30)
    assert status_of(child(try_it)) == 0
    assert line[0] == 1


def test_one_of_many_creators_wins(path):
    def create():
        try:
            az.open(path, "w-", shape=4, dtype="i4")
        except FileExistsError:
            return 7
        return 0
    assert sorted(status_of(p) for p in [child(create) for _ in range(6)]) \
        == [0] + [7] * 5

    def either():
        return len(az.open(path + "2", "a", shape=4, dtype="i4")[:])
    assert [status_of(p) for p in [child(either) for _ in range(6)]] == [4] * 6


def test_a_transaction_stays_with_its_parent(line):
    with az.transaction():
        line[0] = 1

        def use():
            try:
                line[0] = 2
            except ValueError:
                return 3
            return 0
        assert status_of(child(use)) == 3
    assert line[0] == 1 and pickle.loads(pickle.dumps(line))[0] == 1
