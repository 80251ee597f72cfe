# SPDX-License-Identifier: Apache-2.0
"""One object in many threads at once: by turns with the interpreter's lock, truly
at once without it (3.13t and newer)."""
import asyncio
import os
import subprocess
import sys
import sysconfig
import threading

import numpy as np
import pytest

import atomiczarr as az
from atomiczarr import _core, aio

FREE = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
LONG = bool(os.environ.get("AZR_TORTURE"))
SECONDS = 3 if LONG else 0.4


def at_once(*work, seconds=SECONDS):
    """Each of them again and again. What one of them raises fails the test."""
    stop, failed = threading.Event(), []
    gate = threading.Barrier(len(work))
    rounds = [0] * len(work)

    def again(k, fn):
        gate.wait()
        try:
            while not stop.is_set() or not rounds[k]:
                fn()
                rounds[k] += 1
        except BaseException as e:
            failed.append(e)
            stop.set()

    threads = [threading.Thread(target=again, args=item)
               for item in enumerate(work)]
    for t in threads:
        t.start()
    stop.wait(seconds)
    stop.set()
    for t in threads:
        t.join()
    if failed:
        raise failed[0]
    return rounds


def is_one(x):
    assert (x == x.flat[0]).all(), x


def test_the_lock_stays_off():
    """What is not made for a free-threaded interpreter turns its lock on."""
    if not FREE:
        pytest.skip("this interpreter has its lock")
    program = ("import sys, atomiczarr, atomiczarr.aio\n"
               "sys.exit(sys._is_gil_enabled())")
    env = {k: v for k, v in os.environ.items() if k != "PYTHON_GIL"}
    assert subprocess.run([sys.executable, "-W", "error", "-c", program],
                          env=env).returncode == 0


def test_one_array(path):
    """All that can be done with it, from all sides."""
    z = az.open(path, "w", shape=(16, 3), chunks=(4, 3), dtype="i4")
    counts = az.open(path + "-n", "w", shape=8, chunks=4, dtype="i8")
    data = [np.full((16, 3), k, "i4") for k in range(50)]
    mine = threading.local()

    def turn():
        mine.k = getattr(mine, "k", 0) + 1
        return mine.k

    def write():
        z[:16] = data[turn() % 50]

    def fill():
        z[0:16] = turn() % 50

    def read():
        is_one(z[:16])
        is_one(z.oindex[[0, 5, 15]])
        is_one(z.get_basic_selection(slice(0, 16), timeout=5 + turn() % 7))

    def rows():
        for row in z:
            assert row.shape == (3,)

    def grow():
        z.append(np.zeros((3, 3), "i4"))
        z.resize(16, 3)

    def look():
        n, m = z.shape
        assert n >= 16 and m == 3 and z.chunks == (4, 3) and repr(z)
        assert z.info and z.nchunks_initialized >= 0

    def attributes():
        name = f"a{turn() % 3}"
        z.attrs[name] = turn()
        z.attrs.asdict()

    def count():
        counts.update(np.s_[:], lambda x: x + 1)

    def move():
        az.run(lambda: z.__setitem__(slice(0, 16), z[0:16] + 0))

    rounds = at_once(write, fill, read, read, rows, grow, look, attributes,
                     count, count, count, move)
    assert counts[:].tolist() == [sum(rounds[8:11])] * 8


def test_handles_that_come_and_go(path):
    """One is closed while others read by it."""
    az.open(path, "w", shape=64, chunks=8, dtype="i4")[:] = 1
    now = [az.open(path, "r+")]

    def another():
        now[0] = az.open(path, "r+")

    def write():
        now[0][:] = 2

    at_once(another, another, write, *[lambda: is_one(now[0][:])] * 4)
    fds = len(os.listdir("/proc/self/fd"))
    at_once(another, another, write, *[lambda: is_one(now[0][:])] * 4)
    assert len(os.listdir("/proc/self/fd")) <= fds + 3


def test_a_handle_that_is_used_first_by_many(path):
    """Of what each of them opens for it one stays."""
    az.open(path, "w", shape=64, chunks=8, dtype="i4")[:] = 1
    fds = len(os.listdir("/proc/self/fd"))
    for k in range(200 if LONG else 30):
        z = az.open(path, "r+")
        at_once(*[lambda: is_one(z[:])] * 3,
                lambda: z.set_basic_selection(0, 1, timeout=9), seconds=0)
        del z
    assert len(os.listdir("/proc/self/fd")) <= fds + 3


def test_a_snapshot_that_is_closed_while_others_read(path):
    z = az.open(path, "w", shape=64, chunks=8, dtype="i4")
    z[:] = 1
    now = [None]

    def take():
        with z.snapshot() as s:
            now[0] = s
            is_one(s[:])

    def read():
        s = now[0]
        try:
            if s is not None:
                is_one(s[:])
        except ValueError as e:
            assert "closed" in str(e)

    def write():
        z[:] = 3

    at_once(take, write, read, read, read)
    assert az.snapshots(z) == []


def test_one_transaction(path):
    """Of threads that use one at once, all but one are told."""
    z = az.open(path, "w", shape=64, chunks=8, dtype="i4")
    box = (_core.SELECT_BOX, (0,), (64,), (1,))
    ones = np.ones(64, "i4")
    now = [_core.begin(60000)]

    def use(fn):
        def used():
            try:
                fn(now[0])
            except RuntimeError as e:
                assert "transaction" in str(e)
        return used

    def end(core):
        core.rollback()
        now[0] = _core.begin(60000)

    at_once(*[use(lambda core: z._h.write(box, ones, None, core))] * 2,
            use(lambda core: z._h.read(box, np.empty(64, "i4"), None, core)),
            use(lambda core: core.wrote()), use(end), use(end))
    assert not z[:].any()


@pytest.mark.parametrize("how", ["run", "begin"])
def test_a_transaction_that_ends_under_a_call(path, how):
    """The call that another thread makes for it ends first."""
    n = 1 << 25
    z = az.open(path, "w", shape=n, chunks=1 << 15, dtype="u1")
    ones = np.ones(n, "u1")
    box = (_core.SELECT_BOX, (0,), (n,), (1,))
    threads, ended = [], []

    def work(core):
        try:
            z._h.write(box, ones, None, core)
            ended.append("written")
        except az.CanceledError:
            ended.append("canceled")

    def body(core):
        threads.append(threading.Thread(target=work, args=(core,)))
        threads[-1].start()
        while not core.wrote():
            pass
        raise ZeroDivisionError

    for k in range(5):
        with pytest.raises(ZeroDivisionError):
            if how == "run":
                _core.run(body, 60000)
            core = _core.begin(60000)
            try:
                body(core)
            finally:
                core.rollback()
    for t in threads:
        t.join()
    assert len(ended) == 5 and not z[:].any()
    z[0] = 1  # no token is raised any more
    with az.transaction():
        z[1] = 1


def test_lists_that_others_change(tmp_path):
    """What is made of them is of one moment."""
    g = az.open_group(tmp_path / "g", "w")
    changes = []

    def change():
        g._h.attributes_change(changes, None)

    def others():
        changes[:] = [(f"name-{k}", f'"{"x" * k}"') for k in range(9)]
        changes.clear()

    at_once(change, change, others, others)
    found = dict(g.attrs)
    assert all(v == "x" * int(k[5:]) for k, v in found.items())

    class Place:
        def __init__(self, path):
            self.path = path

    def item(k):
        return (Place(f"c/{k}"), None, (slice(0, 4),),
                (slice(4 * k, 4 * k + 4),))
    batch = []

    def join():
        box = _core.join(batch, "", 1, "/", (4,))
        assert box is None or box[0] == (0,) and box[1] == (36,), box

    def meddle():
        batch[:] = [item(k) for k in range(9)]
        batch.clear()

    at_once(join, join, meddle)


def test_errors_of_many(path):
    z = az.open(path, "w", shape=8, chunks=4, dtype="i4")

    def fail():
        with pytest.raises(az.NotFoundError):
            az.open(path + "-none", "r")
        with pytest.raises(IndexError):
            z[9]

    def renew():
        _core.set_error_factory(az.errors.make)

    at_once(fail, fail, fail, renew)


def test_event_loops_of_many(path, monkeypatch):
    """asyncio in several threads: one pool, whoever comes first."""
    monkeypatch.setattr(aio, "_pools", {})
    az.open(path, "w", shape=8, chunks=4, dtype="i4")[:] = 1
    seen = set()

    async def main():
        z = await aio.open(path)
        await z.write(np.s_[:], 2)
        return await z.read()

    def loop():
        is_one(asyncio.run(main()))
        seen.add(aio._pool())

    at_once(loop, loop, loop)
    assert len(seen) == 1
