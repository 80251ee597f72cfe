# SPDX-License-Identifier: Apache-2.0
"""Snapshots, copies, progress, and waiting for a change."""
import os
import pickle
import threading
import time

import numpy as np
import pytest

import atomiczarr as az


@pytest.fixture
def tree(tmp_path):
    g = az.create_group(tmp_path / "g", attributes={"run": 7})
    for name in ("t", "deep/rh"):
        z = g.create_array(name, shape=8, chunks=4, dtype="i4")
        z[:] = 1
    return g


def test_an_array_stays_as_it_was(line):
    line[:] = 1
    with line.snapshot() as s:
        line[:] = 2
        line.append([3])
        line.attrs["x"] = 1
        assert s[:].tolist() == [1] * 12 and s.shape == (12,)
        assert s.name == line.name and s.read_only and not s.attrs
        assert s[[1, 5]].tolist() == [1, 1] and s.dtype == line.dtype
        with pytest.raises(PermissionError):
            s[0] = 1
        with pytest.raises(TypeError, match="plain Zarr"):
            pickle.dumps(s)
        with pytest.raises(ValueError, match="already"):
            az.snapshot(s)
        assert az.open(s.store, "r")[:].tolist() == [1] * 12
        (info,) = az.snapshots(line.store)
        assert info["alive"] and info["pid"] == os.getpid()
        assert info["nbytes"] > 0 and len(info["id"]) == 32
        directory = s.store
    assert az.snapshots(line) == [] and not os.path.exists(directory)
    with pytest.raises(ValueError, match="closed"):
        s[:]
    assert line[-2:].tolist() == [2, 3]


def test_several_and_a_group_at_one_instant(tree):
    t, rh = tree["t"], tree["deep/rh"]
    with az.snapshot(t, rh.store + "/deep/rh") as (a, b):
        t[0] = 5
        assert a[0] == b[0] == 1
    with tree.snapshot() as s:
        tree["t"][:] = 9
        rh[:] = 8
        tree.attrs["run"] = 8
        assert sorted(s) == ["deep", "t"] and s["t"][0] == 5
        assert s["deep/rh"][:].tolist() == [1] * 8 and "rh" in s["deep"]
        assert [n for n, _ in s["deep"].arrays()] == ["rh"]
        assert len(s.members(None)) == 3 and s.attrs == {"run": 7}
        assert s.zarr_format == 3 and "rh" in repr(s.tree())
        for k in ("x", "", "t/x"):
            with pytest.raises(KeyError):
                s[k]
        with pytest.raises(PermissionError):
            s.create_array("x", shape=1, dtype="i4")
        with pytest.raises(TypeError):
            s.attrs["x"] = 1
        with pytest.raises(ValueError, match="already"):
            az.snapshot(s)
    with az.create_group(tree.store + "/empty").snapshot() as s:
        assert list(s) == []


def test_beside_writers(tmp_path):
    """All equal at any instant: in every snapshot too."""
    a, b = (az.open(tmp_path / n, "w", shape=32, chunks=4, dtype="i8")
            for n in "ab")
    stop = threading.Event()

    def write():
        k = 0
        while not stop.is_set():
            k += 1

            def both():
                a[:] = k
                b[:] = k
            az.run(both)

    t = threading.Thread(target=write)
    t.start()
    try:
        for _ in range(10):
            with az.snapshot(a, b) as (x, y):
                assert len(set(x[:].tolist() + y[:].tolist())) == 1
    finally:
        stop.set()
        t.join()


def test_what_can_go_wrong(line, tmp_path):
    with pytest.raises(TypeError):
        az.snapshot()
    with pytest.raises(FileNotFoundError):
        az.snapshot(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError):
        line.snapshot(directory=tmp_path / "nowhere")
    with pytest.raises(ValueError):
        az._core.snapshot((line._h, az.open(line.store, "r")._h), 0, 0, None,
                          None)
    with line.snapshot(directory=tmp_path, copy=True) as s:
        assert os.path.dirname(s.store) == os.fspath(tmp_path)
        assert not s[:].any()
    s = line.snapshot()
    assert "Snapshot of" in repr(s)
    x, = s.nodes
    del s
    assert not x[:].any()  # it lives as long as one of its arrays
    del x
    assert az.snapshots(line) == []


def test_a_read_under_way_when_it_is_closed(line):
    line[:] = 7
    s = line.snapshot()
    x, = s.nodes

    def told(done, total):
        s.close()
    assert x.get_basic_selection(..., progress=told).tolist() == [7] * 12
    with pytest.raises(ValueError, match="closed"):
        x[0]
    assert az.snapshots(line) == []


def test_copy(tree, tmp_path):
    done = az.copy(tree, tmp_path / "copy", progress=lambda n, of: None)
    assert done == (True, 2, 2, 4, done.nbytes) and done.nbytes > 0
    assert az.open(tmp_path / "copy")["deep/rh"][0] == 1
    with pytest.raises(FileExistsError):
        az.copy(tree.store, tmp_path / "copy")
    with pytest.raises(FileNotFoundError):
        az.copy(tmp_path / "nothing", tmp_path / "other")


def test_progress(line):
    told = []
    line.set_basic_selection(..., np.arange(12), progress=lambda *a:
                             told.append(a))
    assert told[-1] == (3, 3)
    del told[:]
    assert line.get_orthogonal_selection(
        ([0, 5, 11],), progress=lambda *a: told.append(a)).tolist() == [
            0, 5, 11]
    assert told[-1] == (3, 3)

    def stop(n, of):
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        line.set_basic_selection(..., 0, progress=stop)
    with pytest.raises(ZeroDivisionError):
        line.get_basic_selection(..., progress=stop)
    assert line[:].tolist() == list(range(12))


# ---------------------------------------------------------------------- watch


def test_watch(line):
    other = az.open(line.store, "r")
    w = other.watch(timeout=0)
    assert list(w) == []
    versions = []
    for change in (lambda: line.__setitem__(0, 1), lambda: line.append([1]),
                   lambda: line.attrs.update(x=1), lambda: line.resize(3)):
        change()
        versions.extend(w)
        assert list(w) == []
    assert len(versions) == 4 and versions == sorted(set(versions))
    assert w.version == versions[-1]
    line[:]
    with pytest.raises(az.ConflictError):
        with az.transaction():
            line[0] = line[1]
            threading.Thread(target=line.__setitem__, args=(1, 4)).run()
            raise az.ConflictError
    assert list(w) == []
    began = time.monotonic()
    assert list(other.watch(timeout=0.05)) == []
    assert time.monotonic() - began >= 0.05


def test_watch_sees_what_woke_it(line):
    other = az.open(line.store, "r")
    seen = []

    def look():
        for _ in other.watch(timeout=30):
            seen.append(int(other[0]))
            if seen[-1] == 20:
                return

    began = threading.Event()

    def begin():
        began.set()
        look()
    t = threading.Thread(target=begin)
    t.start()
    began.wait()
    for k in range(1, 21):
        line[0] = k
    line[0] = 20  # in case it began late
    t.join()
    assert seen == sorted(seen) and seen[-1] == 20


def test_watch_of_what_is_removed(line):
    w = az.open(line.store, "r").watch()
    az.open(line.store, "w", shape=3, dtype="i4")
    line._h = None
    with pytest.raises(FileNotFoundError):
        next(w)
