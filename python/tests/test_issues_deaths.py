# SPDX-License-Identifier: Apache-2.0
"""What people reported of writers that were killed, stopped or forked, and of
full disks, as test_issues.py does it: 0 wrong with this package and through the
plug-in, some with zarr-python alone."""
import ctypes
import os
import random
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ways import (LONG, OURS, THEIRS, Native, Stock, configured, fork,
                  processes, threads, until_wrong, way)

ROUNDS = 20 if LONG else 6
SHAPE = (100, 8)  # 100 chunks
choose = random.Random(5)


def write_for_ever(way, path, ready):
    z = way.open(path)
    k = 0
    while True:
        k += 1
        z[:] = np.full(SHAPE, k, "i4")
        if k == 1:
            ready.release()


def writer(way, path):
    """A process that has written all of the array at least once."""
    ready = fork.Semaphore(0)
    p = fork.Process(target=write_for_ever, args=(way, path, ready))
    p.start()
    assert ready.acquire(timeout=60)
    time.sleep(0.02 * choose.random())  # in the midst of something
    return p


def numbers(way, path):
    """How many the array holds; half a chunk counts as two (zarr 3.0 writes them
    in place, and cannot read them)."""
    try:
        return len(np.unique(np.asarray(way.open(path, "r")[:])))
    except ValueError:
        return 2


# ------------------------------------------------------------------ signals ---


def ended_by(number, way, path):
    z = way.create(path, shape=SHAPE, chunks=(1, 8), dtype="i4", fill_value=0)
    wrong = 0
    for _ in range(ROUNDS):
        p = writer(way, path)
        os.kill(p.pid, number)
        p.join(60)
        assert p.exitcode == -number
        wrong += numbers(way, path) - 1
        z[50:] = np.full((50, 8), -1, "i4")  # the dead are no obstacle
        assert (np.asarray(z[50:]) == -1).all()
        with configured(Stock) as plain:  # it is so for every program
            wrong += numbers(plain, path) != 2
    return wrong


def killed(way, path):
    """https://github.com/czbiohub-sf/iohub/issues/415,
    https://github.com/zarrs/zarrs-python/issues/185: a job is killed in the middle
    of a write. What it leaves must be all of a write, or none, and the next one
    must go through."""
    return ended_by(signal.SIGKILL, way, path)


def terminated(way, path):
    """https://github.com/czbiohub-sf/iohub/issues/415: the same by SIGTERM, which
    a batch system sends first."""
    return ended_by(signal.SIGTERM, way, path)


def stopped(way, path):
    """https://github.com/h5py/h5py/issues/1804,
    https://github.com/tox-dev/filelock/issues/526: a writer is stopped (or paged
    out, or in a debugger). Readers must not find half of its write, nor wait for
    ever; what it did goes on afterwards."""
    way.create(path, shape=SHAPE, chunks=(1, 8), dtype="i4", fill_value=0)
    wrong = read = 0
    for _ in range(ROUNDS):
        p = writer(way, path)
        os.kill(p.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, p.pid, os.WSTOPPED | os.WNOWAIT)
        try:
            for _ in range(3):
                try:
                    wrong += numbers(way, path) - 1
                    read += 1
                except TimeoutError:
                    pass  # an answer, which says who
        finally:
            os.kill(p.pid, signal.SIGCONT)
            wrong += way.name != Stock.name and numbers(way, path) != 1
            p.kill()
            p.join()
    assert read
    return wrong


# --------------------------------------------------------------- no room left ---


def small_tmpfs(directory):
    """For this process alone; it goes with it."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_mounts, private_recursive = 0x20000, 0x44000
    if libc.unshare(new_mounts) \
            or libc.mount(b"none", b"/", None, private_recursive, None) \
            or libc.mount(b"tmpfs", os.fsencode(directory), b"tmpfs", 0,
                          b"size=600k"):
        raise OSError(ctypes.get_errno(), "mount")


def no_large_files(_):
    resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))


def full(prepare, way, path):
    """A write of 20 chunks for whose last there is no room. It must say so, and
    leave the array as it was."""
    os.mkdir(path)
    wrong = fork.Value("q", 0)
    # the first ones shrink to nothing, the others not at all
    new = np.full((20, 40000), 2, "i4")
    new[12:] = np.random.default_rng(1).integers(0, 1 << 30, (8, 40000), "i4")

    def work(k, gate):
        prepare(path)
        z = way.create(path + "/z", shape=new.shape, chunks=(1, 40000),
                       dtype="i4", fill_value=0)
        z[:] = np.full(new.shape, 1, "i4")
        with pytest.raises(OSError):
            z[:] = new
        wrong.value = np.count_nonzero(np.asarray(
            way.open(path + "/z", "r")[:12]) != 1)
        z[3:5] = np.full((2, 40000), 3, "i4")
        assert (np.asarray(z[3:5]) == 3).all()

    return processes(1, work) + wrong.value


def no_room(way, path):
    """https://github.com/zarr-developers/zarr-python/issues/328 asks for writes
    that succeed or fail as a whole: here on a disk that is full."""
    return full(small_tmpfs, way, path)


def file_too_large(way, path):
    """The same by a quota, here RLIMIT_FSIZE."""
    return full(no_large_files, way, path)


def can_mount():
    def work(k, gate):
        small_tmpfs("/tmp")
    return processes(1, work) == 0


PROGRAMS = [killed, terminated, stopped, no_room, file_too_large]


def needs(program):
    if program is no_room and not can_mount():
        pytest.skip("a tmpfs cannot be mounted here")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_nothing_is_torn(program, way, path, monkeypatch):
    needs(program)
    if program is stopped:
        monkeypatch.setenv("ATOMICZARR_TIMEOUT", "2")
    assert program(way, path) == 0


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_zarr_alone_tears(program, path):
    needs(program)
    until_wrong(program, path)


# --------------------------------------------------------------------- forks ---


def forks_of_a_busy_parent(way, path):
    """https://github.com/czbiohub-sf/iohub/issues/416,
    https://github.com/zarr-developers/zarr-python/issues/766: children of a parent
    whose threads read and write. How many hang or fail."""
    way.create(path, shape=(8, 100), chunks=(1, 50), dtype="i4", fill_value=0)
    z = way.open(path)
    wrong, over = [], []

    def child():
        z[6:8, 10:60] = np.full((2, 50), 7, "i4")
        return (np.asarray(z[6:8, 10:60]) == 7).all()

    def work(k, gate):
        gate.wait()
        if k:
            while not over:
                z[k] = np.full(100, k, "i4")
                z[:]
            return
        for _ in range(ROUNDS):
            p = fork.Process(target=lambda: os._exit(0 if child() else 3))
            p.start()
            p.join(60)
            wrong.append(p.exitcode != 0)
            p.kill()
        over.append(True)

    return threads(5, work) + sum(wrong)


def test_forks(way, path):
    assert forks_of_a_busy_parent(way, path) == 0


# zarr's event loop is made by the first thread that needs it, under a lock. If
# the parent is just there, its child finds the lock taken, by nobody.
LOOP = """
import importlib.metadata, os, sys, threading, time
if sys.argv[3] == "alone":  # zarr loads plug-ins even where it does not use them
    importlib.metadata.entry_points = lambda: importlib.metadata.EntryPoints()
import zarr
from zarr.core import sync
z = zarr.open_array(sys.argv[1], mode="r+")
inside, go = threading.Event(), threading.Event()

def make_loop():
    with sync._get_lock():
        inside.set()
        go.wait()

threading.Thread(target=make_loop).start()
inside.wait()
pid = os.fork()
if pid == 0:
    z[2:6] = 7
    os._exit(0 if (z[2:6] == 7).all() else 3)
go.set()
for _ in range(int(sys.argv[2]) * 100):
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        sys.exit(os.waitstatus_to_exitcode(status))
    time.sleep(0.01)
os.kill(pid, 9)
os.waitpid(pid, 0)
sys.exit(42)
"""


def fork_in_the_loop(path, pipeline, seconds, alone):
    with configured(Native) as way:
        way.create(path, shape=(12,), chunks=(4,), dtype="i4", fill_value=0,
                   compressor=None)
    return subprocess.run(
        [sys.executable, "-c", LOOP, path, str(seconds), alone],
        timeout=100,
        env={**os.environ, "ZARR_CODEC_PIPELINE__PATH": pipeline}).returncode


def test_a_fork_while_the_loop_is_made(path):
    """https://github.com/zarrs/zarrs-python/issues/171"""
    assert fork_in_the_loop(path, OURS, 60, "with") == 0


@pytest.mark.long
def test_zarr_alone_hangs_after_it(path):
    assert fork_in_the_loop(path, THEIRS, 4, "alone") == 42
