# SPDX-License-Identifier: Apache-2.0
"""Explicit transactions."""
import contextvars
import threading

import numpy as np
import pytest

import atomiczarr as az


@pytest.fixture
def accounts(tmp_path):
    out = []
    for name in "ab":
        z = az.open(tmp_path / name, "w", shape=6, chunks=2, dtype="i8")
        z[:] = 100
        out.append(z)
    return out


def meanwhile(fn):
    """In another thread, which is outside the transaction."""
    t = threading.Thread(target=fn)
    t.start()
    t.join()


def test_all_or_nothing(accounts):
    a, b = accounts
    with az.transaction():
        a[0] -= 30
        b[5] += 30
        assert (a[0], b[5]) == (70, 130)
        seen = []
        meanwhile(lambda: seen.extend([a[0], b[5]]))
        assert seen == [100, 100]
    assert (a[0], b[5]) == (70, 130)
    with pytest.raises(KeyError):
        with az.transaction():
            a[:] = 0
            b[:] = 0
            raise KeyError
    assert (a[0], b[5]) == (70, 130)


def test_conflict(accounts):
    a, b = accounts
    with pytest.raises(az.ConflictError) as e:
        with az.transaction():
            x = a[0]
            meanwhile(lambda: a.__setitem__(0, 55))
            b[0] = x
    assert e.value.code == -5 and a[0] == 55 and b[0] == 100


def test_run_runs_again(accounts):
    a, b = accounts
    tries = []

    def move(n, *, to):
        x = a[0]
        tries.append(int(x))
        if len(tries) < 3:
            meanwhile(lambda: a.__setitem__(0, x + 1))
        a[0] = x - n
        to[0] += n
        return "moved"

    assert az.run(move, 10, to=b) == "moved"
    assert tries == [100, 101, 102] and (a[0], b[0]) == (92, 110)

    @az.transactional
    def f(x):
        """doc"""
        a[0] = x
        return a[0]
    assert f(5) == 5 and f.__doc__ == "doc"


def test_an_array_opened_in_the_body(accounts):
    """It is in use until the commit, which comes after the body."""
    def add(path):
        az.open(path, "r+")[0] += 1

    for z in accounts * 3:
        az.run(add, z.store)
    assert [z[0] for z in accounts] == [103, 103]


def test_an_error_that_comes_of_a_conflict_runs_again(accounts):
    """Reads of a transaction may disagree until its end says so."""
    a, b = accounts
    tries = []

    def check():
        x = a[0]
        tries.append(1)
        if len(tries) == 1:
            def both():
                with az.transaction():
                    a[0] = 1
                    b[0] = 199
            meanwhile(both)
        assert x + b[0] == 200
        return int(x)

    assert az.run(check) == 1 and len(tries) == 2
    with pytest.raises(ZeroDivisionError):
        az.run(lambda: int(a[0]) // 0)


def test_transfers(accounts):
    """Nothing is made or lost, for whoever looks."""
    a, b = accounts
    stop = threading.Event()
    wrong = []

    def work(seed):
        r = np.random.default_rng(seed)
        for _ in range(15):
            i, j, n = (int(k) for k in r.integers(0, 6, 3))

            def move():
                a[i] -= n
                b[j] += n
            az.run(move)

    def look():
        while not stop.is_set():
            try:
                total = az.run(lambda: int(a[:].sum() + b[:].sum()))
            except az.Error as e:
                total = e
            if total != 1200:
                wrong.append(total)

    def work_and_tell(seed):
        try:
            work(seed)
        except BaseException as e:
            wrong.append(e)
            raise

    looker = threading.Thread(target=look)
    looker.start()
    threads = [threading.Thread(target=work_and_tell, args=(k,))
               for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    stop.set()
    looker.join()
    assert not wrong and a[:].sum() + b[:].sum() == 1200


def test_threads_that_begin_at_once(tmp_path):
    """Handles of other threads than the main one are opened at their first use;
    whoever is first, a transaction gets one of them."""
    a = az.open(tmp_path / "a", "w", shape=6, chunks=2, dtype="i8")
    for _ in range(30):
        z = az.open(tmp_path / "a", "r+")
        gate, caught = threading.Barrier(4), []

        def work():
            gate.wait()
            try:
                az.run(lambda: z.__setitem__(slice(0, z.shape[0]), z[:] + 1))
            except Exception as e:
                caught.append(e)
        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not caught
    assert a[:].tolist() == [120] * 6


def test_shape_is_seen(accounts):
    a, b = accounts
    with pytest.raises(az.ConflictError):
        with az.transaction():
            n = a.shape[0]
            meanwhile(lambda: a.append([1, 2]))
            b[0] = n
    assert b[0] == 100


def test_two_handles_of_one_array(accounts):
    a, _ = accounts
    other = az.open(a.store, "r+")
    with az.transaction():
        a[0] = 1
        assert other[0] == 1
        other[1] = 2
    assert a[:2].tolist() == [1, 2]
    with pytest.raises(RuntimeError, match="for reading"):
        with az.transaction():
            az.open(a.store, "r")[0]
            a[0] = 9
    assert a[0] == 1


def test_what_cannot_take_part(accounts):
    a, b = accounts
    with az.transaction():
        for call in (lambda: a.append([1]), lambda: a.resize(3),
                     lambda: a.attrs.__setitem__("x", 1),
                     lambda: setattr(a, "durability", "power")):
            with pytest.raises(az.UnsupportedError, match="transaction"):
                call()
        a[0] = 1
    assert a[0] == 1 and a.shape == (6,)


def test_one_in_another_is_one(accounts):
    a, b = accounts
    with pytest.raises(KeyError):
        with az.transaction():
            with az.transaction():
                a[0] = 1
            az.run(lambda: b.__setitem__(0, 1))
            meanwhile(lambda: None)
            raise KeyError
    assert a[0] == b[0] == 100


def test_it_belongs_to_a_thread(accounts):
    a, _ = accounts
    caught = []

    def use():
        try:
            a[0]
        except RuntimeError as e:
            caught.append(str(e))

    with az.transaction() as t:
        context = contextvars.copy_context()
        meanwhile(lambda: context.run(use))
        with pytest.raises(RuntimeError, match="entered"):
            t.__enter__()
    assert "belongs to the thread" in caught[0]


def test_update_and_all_selections(accounts):
    a, _ = accounts
    with az.transaction():
        a.update(np.s_[:], lambda x: x + 1)
        a.oindex[[0, 3]] = 5
        a.vindex[[1]] = 6
        a.blocks[2] = 7
        assert a[:].tolist() == [5, 6, 101, 5, 7, 7]
    assert a[:].tolist() == [5, 6, 101, 5, 7, 7]
