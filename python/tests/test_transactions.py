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


def test_an_array_opened_in_a_body_that_runs_often(accounts):
    """After three conflicts chunks are locked first, by the handles of the try
    before; what is opened anew in the next one is the same array."""
    a, _ = accounts
    tries = []

    def others(k):
        try:
            az.open(a.store, "r+", timeout=0.1)[0] = 1000 + k
        except az.BusyError:
            tries.append("held")

    def add():
        z = az.open(a.store, "r+")
        x = z[0]
        tries.append(int(x))
        meanwhile(lambda: others(len(tries)))
        z[0] = x + 1

    az.run(add)
    assert tries == [100, 1001, 1002, 1003, "held"] and a[0] == 1004


def test_an_array_made_in_a_body_that_runs_often(accounts, tmp_path):
    """Each try makes it anew."""
    a, _ = accounts
    tries = []

    def others(k):
        try:
            a.with_options(timeout=0.1)[0] = 1000 + k
        except az.BusyError:
            pass

    def make():
        x = a[0]
        z = az.create_array(tmp_path / "c", shape=4, chunks=2, dtype="i8")
        z[:] = x
        tries.append(int(x))
        meanwhile(lambda: others(len(tries)))
        a[0] = x + 1

    az.run(make)
    assert len(tries) == 4
    assert az.open(tmp_path / "c")[:].tolist() == [tries[-1]] * 4


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


def test_what_cannot_take_part(accounts, tmp_path):
    a, b = accounts
    g = az.create_group(tmp_path / "g")
    with az.transaction():
        for call in (lambda: setattr(a, "durability", "power"),
                     lambda: a.watch(), lambda: a.snapshot(),
                     lambda: az.copy(a, tmp_path / "copy"),
                     lambda: g.attrs.update(x=1),
                     lambda: az.open(a.store, "w", shape=3, dtype="i8")):
            with pytest.raises(az.UnsupportedError, match="transaction"):
                call()
        a[0] = 1
    assert a[0] == 1 and a.shape == (6,) and not g.attrs


def test_append_resize_attributes(accounts):
    a, b = accounts
    with pytest.raises(KeyError):
        with az.transaction():
            a.append([1, 2])
            b.attrs["x"] = 1
            raise KeyError
    assert a.shape == (6,) and not b.attrs
    with az.transaction():
        assert a.append_at([1, 2]) == 6
        assert a.append([[3], [4]][0]) == (9,) and a.shape == (9,)
        assert a[5:].tolist() == [100, 1, 2, 3]
        b.resize(2)
        b[:] = 7
        b.append([8])
        b.attrs.update(unit="m", n=a.shape[0])
        b.attrs["gone"] = 1
        del b.attrs["gone"]
        assert b.attrs.asdict() == {"unit": "m", "n": 9}
        seen = []
        meanwhile(lambda: seen.extend([a.shape, b.shape, len(b.attrs)]))
        assert seen == [(6,), (6,), 0]
    assert a.shape == (9,) and a[6:].tolist() == [1, 2, 3]
    assert b[:].tolist() == [7, 7, 8]
    assert b.attrs == {"unit": "m", "n": 9}


def test_attributes_that_were_read_conflict(accounts):
    a, b = accounts
    a.attrs["x"] = 1
    with pytest.raises(az.ConflictError):
        with az.transaction():
            x = a.attrs["x"]
            meanwhile(lambda: a.attrs.update(x=2))
            b[0] = x
    assert b[0] == 100
    tries = []

    def count():
        tries.append(1)
        n = a.attrs["x"]
        if len(tries) == 1:
            meanwhile(lambda: a.attrs.update(x=10))
        a.attrs["x"] = n + 1
    az.run(count)
    assert a.attrs["x"] == 11 and len(tries) == 2


def test_several_attributes_are_one_step(accounts):
    a, _ = accounts
    stop, wrong = threading.Event(), []

    def look():
        while not stop.is_set():
            d = a.attrs.asdict()
            if len(set(d.values())) > 1 or len(d) not in (0, 3, 4):
                wrong.append(d)

    t = threading.Thread(target=look)
    t.start()
    for k in range(40):
        if k % 2:
            a.attrs.put({"p": k, "q": k, "r": k, "s": k})
        else:
            a.update_attributes({"p": k, "q": k, "r": k, "s": k})
    a.attrs.put({"p": 1, "q": 1, "r": 1})
    stop.set()
    t.join()
    assert not wrong and a.attrs == {"p": 1, "q": 1, "r": 1}
    a.attrs.update()
    with pytest.raises(az.AccessError):
        az.open(a.store, "r").attrs.update(x=1, y=2)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_array_that_is_made(accounts, tmp_path, zarr_format):
    a, _ = accounts
    options = dict(shape=(4, 3), chunks=(2, 2), dtype="f4", fill_value=1.5,
                   zarr_format=zarr_format, attributes={"unit": "m"})

    def make():
        z = az.create_array(tmp_path / "made", **options)
        z[0] = [1, 2, 3]
        z.append(np.full((1, 3), 9))
        z.attrs["more"] = z.shape[0]
        assert z[0].tolist() == [1, 2, 3] and z[1, 1] == 1.5
        assert z.fill_value == np.float32(1.5) and z.zarr_format == zarr_format
        assert z.attrs == {"unit": "m", "more": 5}
        a[0] = 1
        return z

    with pytest.raises(KeyError):
        with az.transaction():
            z = make()
            meanwhile(lambda: pytest.raises(az.NotFoundError, az.open_array,
                                            tmp_path / "made", "r"))
            raise KeyError
    with pytest.raises(FileNotFoundError):
        z[0]
    assert a[0] == 100
    with az.transaction():
        z = make()
    assert z[4].tolist() == [9, 9, 9] and z.codecs and a[0] == 1
    assert az.open(tmp_path / "made", "r")[0].tolist() == [1, 2, 3]
    with pytest.raises(FileExistsError):
        with az.transaction():
            az.create_array(tmp_path / "made", **options)
    g = az.create_group(tmp_path / "g")
    az.run(lambda: g.create_array("sub/x", data=np.arange(4)))
    assert g["sub/x"][:].tolist() == [0, 1, 2, 3]


def test_append_all(accounts, tmp_path):
    a, b = accounts
    assert az.append_all({a: [1, 2], b: [3, 4]}) == {a: 6, b: 6}
    assert az.append_all([(a, []), (b, [5])], timeout=5) == [8, 8]
    with az.transaction():
        assert az.append_all({a: [6]}) == {a: 8}
    assert a[6:].tolist() == [1, 2, 6] and b[6:].tolist() == [3, 4, 5]
    with pytest.raises(ValueError):
        az.append_all([(a, [1]), (az.open(a.store, "r+"), [2])])
    with pytest.raises(ValueError, match="does not fit|dimensions"):
        az.append_all({a: [[1]], b: [1]})
    assert a.shape == b.shape == (9,)
    seen = []
    wrong = []

    def grow(k):
        for _ in range(15):
            seen.append(tuple(az.append_all({a: [k], b: [k]}).values()))

    threads = [threading.Thread(target=grow, args=(k,)) for k in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(seen) == [(n, n) for n in range(9, 54)] and not wrong
    assert (a[9:] == b[9:]).all()


def test_memory_of_any_strides(tmp_path):
    z = az.open(tmp_path / "z", "w", shape=(6, 4), chunks=(4, 3), dtype="i4")
    x = np.arange(24, dtype="i4").reshape(4, 6).T
    out = np.zeros((4, 6), "i4").T
    with az.transaction():
        z[...] = x
        z[1:3, ::2] = 5
        assert z.get_basic_selection(..., out=out) is out
    x = x.copy()
    x[1:3, ::2] = 5
    np.testing.assert_array_equal(z[...], x)
    np.testing.assert_array_equal(out, x)


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
