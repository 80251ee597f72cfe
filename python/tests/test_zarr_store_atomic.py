# SPDX-License-Identifier: Apache-2.0
"""What does not pass the pipeline, through AtomicStore: attributes, shapes,
creation, replacing, and whole programs as one commit, by many processes. Each
beside the same program on zarr's LocalStore, which loses something."""
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import atomiczarr as az

from ways import LONG, fork, plugin, zarr
from zarr.storage import LocalStore

AtomicStore, transaction = plugin.AtomicStore, plugin.transaction
TRIES = 20  # of what zarr does wrong, until it does
FORMATS = pytest.mark.parametrize("zarr_format", [2, 3])


def create(store, path="a", shape=(12,), **o):
    return zarr.create_array(store, name=path, **{
        "shape": shape, "chunks": (4,), "dtype": "i4", "fill_value": 0, **o})


def array(store, path="a", mode="r+"):
    return zarr.open_array(store, path=path, mode=mode)


def together(n, fn, *args):
    """Exit codes of `n` processes that do ``fn(number, gate, …)`` at once."""
    gate = fork.Barrier(n)
    work = [fork.Process(target=fn, args=(k, gate, *args)) for k in range(n)]
    for p in work:
        p.start()
    for p in work:
        p.join()
    return [p.exitcode for p in work]


# --------------------------------------------------------------- attributes ---


@FORMATS
def test_attributes_of_two_handles(tmp_path, zarr_format):
    """Of stores of their own, and of one that they share."""
    create(AtomicStore(tmp_path), zarr_format=zarr_format)
    for stores in ([AtomicStore(tmp_path), AtomicStore(tmp_path)],
                   [AtomicStore(tmp_path)] * 2):
        one, two = [array(s) for s in stores]
        one.attrs["a"] = 1
        two.attrs["b"] = {"c": [2, None]}
        one.attrs.update({"d": 3, "e": 4})
        del one.attrs["d"]
        assert dict(array(AtomicStore(tmp_path)).attrs) == {
            "a": 1, "b": {"c": [2, None]}, "e": 4}
        two.attrs.put({"a": 5})  # knows of a and b, at most
        assert dict(array(AtomicStore(tmp_path)).attrs) == {"a": 5, "e": 4}
        array(AtomicStore(tmp_path)).attrs.put({})
        assert dict(array(AtomicStore(tmp_path)).attrs) == {}


@pytest.mark.parametrize("kind", ["array", "group"])
@FORMATS
def test_attributes_that_the_library_refuses(tmp_path, kind, zarr_format):
    g = zarr.create_group(AtomicStore(tmp_path), zarr_format=zarr_format)
    create(AtomicStore(tmp_path), zarr_format=zarr_format)
    deep = 1
    for _ in range(70):
        deep = [deep]
    z = g if kind == "group" else array(AtomicStore(tmp_path))
    for bad in ({"a": 1, "deep": deep}, {"a": 1, "b\0c": 2}):
        with pytest.raises(ValueError):
            z.attrs.update(bad)
        z = zarr.open(AtomicStore(tmp_path), mode="r+",
                      path="" if kind == "group" else "a")
        assert dict(z.attrs) == {}


def test_attributes_of_two_handles_without(tmp_path):
    create(LocalStore(tmp_path))
    one, two = array(LocalStore(tmp_path)), array(LocalStore(tmp_path))
    one.attrs["a"] = 1
    two.attrs["b"] = 2
    assert dict(array(LocalStore(tmp_path)).attrs) == {"b": 2}


def set_some(number, gate, cls, path, kind):
    z = (zarr.open_group(cls(path), mode="r+") if kind == "group"
         else array(cls(path)))
    gate.wait()
    for k in range(4):
        z.attrs[f"{number}-{k}"] = k


@pytest.mark.parametrize("kind", ["array", "group"])
@FORMATS
def test_attributes_of_processes(tmp_path, kind, zarr_format):
    zarr.create_group(AtomicStore(tmp_path), zarr_format=zarr_format)
    create(AtomicStore(tmp_path), zarr_format=zarr_format)
    assert together(8, set_some, AtomicStore, tmp_path, kind) == [0] * 8
    z = zarr.open_group(tmp_path) if kind == "group" else array(
        AtomicStore(tmp_path))
    assert dict(z.attrs) == {f"{n}-{k}": k for n in range(8) for k in range(4)}


def set_pairs(number, gate, cls, path, how):
    """Two attributes that belong together, by one call."""
    g = zarr.open_group(cls(path), mode="r+")
    gate.wait()
    for k in range(20):
        pair = {"left": [number, k], "right": [number, k], f"own-{number}": k}
        if how == "update":
            g.attrs.update(pair)
        else:
            g.update_attributes(pair)


def pairs_seen(cls, path, work):
    """What readers meet until the writers have ended: (pairs, torn ones)."""
    seen, torn = set(), 0
    while any(p.is_alive() for p in work):
        found = dict(zarr.open_group(cls(path), mode="r").attrs)
        seen.add(tuple(found["left"]))
        torn += found["left"] != found["right"]
    return len(seen), torn


@pytest.mark.parametrize("how", ["update", "update_attributes"])
@FORMATS
def test_several_attributes_of_a_group_are_one_step(tmp_path, how, zarr_format):
    zarr.create_group(AtomicStore(tmp_path), zarr_format=zarr_format,
                      attributes={"left": [0, 0], "right": [0, 0]})
    gate = fork.Barrier(4)
    work = [fork.Process(target=set_pairs,
                         args=(k, gate, AtomicStore, tmp_path, how))
            for k in range(4)]
    for p in work:
        p.start()
    seen, torn = pairs_seen(AtomicStore, tmp_path, work)
    for p in work:
        p.join()
    assert [p.exitcode for p in work] == [0] * 4
    assert seen > 1 and torn == 0
    found = dict(zarr.open_group(AtomicStore(tmp_path)).attrs)
    assert found["left"] == found["right"]
    assert [found[f"own-{k}"] for k in range(4)] == [19] * 4


def test_several_attributes_of_a_group_without(tmp_path):
    """zarr's update is one document after the other, and loses others'."""
    for _ in range(TRIES):
        zarr.create_group(LocalStore(tmp_path), overwrite=True,
                          attributes={"left": [0, 0], "right": [0, 0]})
        gate = fork.Barrier(4)
        work = [fork.Process(target=set_pairs,
                             args=(k, gate, LocalStore, tmp_path, "update"))
                for k in range(4)]
        for p in work:
            p.start()
        for p in work:
            p.join()
        found = dict(zarr.open_group(LocalStore(tmp_path)).attrs)
        if found["left"] != found["right"] \
                or any(found.get(f"own-{k}") != 19 for k in range(4)):
            return
    pytest.fail("zarr alone lost nothing: does this test see anything?")


@FORMATS
def test_all_attributes_of_a_group_by_its_coroutine(tmp_path, zarr_format):
    """It says all of them: what this handle knew and does not say goes."""
    g = zarr.create_group(AtomicStore(tmp_path), zarr_format=zarr_format,
                          attributes={"a": 1, "b": 2})
    zarr.open_group(AtomicStore(tmp_path)).attrs["c"] = 3
    zarr.core.sync.sync(g.update_attributes_async({"b": 4, "d": 5}))
    assert dict(zarr.open_group(AtomicStore(tmp_path)).attrs) == {
        "b": 4, "c": 3, "d": 5}


def test_attributes_of_processes_without(tmp_path):
    create(LocalStore(tmp_path))
    together(8, set_some, LocalStore, tmp_path, "array")
    assert len(array(LocalStore(tmp_path)).attrs) < 32


# ------------------------------------------------------------------- shapes ---


@FORMATS
def test_resize_against_attributes(tmp_path, zarr_format):
    create(AtomicStore(tmp_path), zarr_format=zarr_format)[:] = 1
    one, two = array(AtomicStore(tmp_path)), array(AtomicStore(tmp_path))
    one.resize((20,))
    two.attrs["a"] = 1  # with a handle that knows another shape
    now = array(AtomicStore(tmp_path))
    assert now.shape == (20,) and dict(now.attrs) == {"a": 1}
    one.resize((6,))  # that does not know the attribute
    assert dict(array(AtomicStore(tmp_path)).attrs) == {"a": 1}
    with pytest.raises(az.errors.ConflictError, match="now"):
        two.resize((14,))
    assert array(AtomicStore(tmp_path))[:].tolist() == [1] * 6


def test_resize_against_attributes_without(tmp_path):
    create(LocalStore(tmp_path))
    one, two = array(LocalStore(tmp_path)), array(LocalStore(tmp_path))
    one.resize((20,))
    two.attrs["a"] = 1
    assert array(LocalStore(tmp_path)).shape == (12,)


def test_a_resize_in_conflict_deletes_nothing(tmp_path):
    """zarr deletes chunks, then writes the shape; here it is one step."""
    create(AtomicStore(tmp_path))[:] = 1
    one, two = array(AtomicStore(tmp_path)), array(AtomicStore(tmp_path))
    one.resize((16,))
    with pytest.raises(az.errors.ConflictError):
        two.resize((4,))
    assert array(AtomicStore(tmp_path))[:].tolist() == [1] * 12 + [0] * 4


def test_a_resize_in_conflict_without(tmp_path):
    """It goes through, and what the other one has grown is gone."""
    create(LocalStore(tmp_path))[:] = 1
    one, two = array(LocalStore(tmp_path)), array(LocalStore(tmp_path))
    one.resize((16,))
    one[12:] = 2
    two.resize((13,))
    assert array(LocalStore(tmp_path))[:].tolist() == [1] * 12 + [2]


def append_some(number, gate, cls, path, times):
    z = array(cls(path))
    gate.wait()
    for k in range(times):
        z.append(np.full(3, 100 * number + k, "i4"))


def appended(path, cls, n=4, times=6, **o):
    create(cls(path), shape=(0,), **o)
    codes = together(n, append_some, cls, path, times)
    return codes, array(cls(path))[:].reshape(-1, 3)


@FORMATS
def test_appends_of_processes(tmp_path, zarr_format):
    codes, found = appended(tmp_path, AtomicStore, zarr_format=zarr_format)
    assert codes == [0] * 4
    assert (found == found[:, :1]).all()  # each is in one piece
    assert sorted(found[:, 0].tolist()) == [
        100 * n + k for n in range(4) for k in range(6)]


def test_appends_of_processes_without(tmp_path):
    """Some are lost; or a chunk that two have written is of neither."""
    create(LocalStore(tmp_path), shape=(0,))
    together(4, append_some, LocalStore, tmp_path, 6)
    z = array(LocalStore(tmp_path))
    try:
        found = z[:]
    except RuntimeError:  # numcodecs: no zstd frame
        return
    assert len(found) < 72


# ------------------------------------------------------ creation, replacing ---


def create_one(number, gate, cls, path):
    store = cls(path)
    gate.wait()
    try:
        create(store, attributes={"by": number})
    except (ValueError, FileExistsError):
        os._exit(3)
    os._exit(0)


def test_of_creators_one_wins(tmp_path):
    for k in range(10 if LONG else 3):
        codes = together(6, create_one, AtomicStore, tmp_path / str(k))
        assert sorted(codes) == [0] + [3] * 5
        by = array(AtomicStore(tmp_path / str(k))).attrs["by"]
        assert codes[by] == 0


def test_of_creators_one_wins_without(tmp_path):
    for k in range(TRIES):
        if together(6, create_one, LocalStore, tmp_path / str(k)).count(0) > 1:
            return
    pytest.fail("zarr alone let one win: does this test see anything?")


def open_one(number, gate, path):
    store = AtomicStore(path)
    gate.wait()
    z = zarr.open_array(store, mode="a", path="a", shape=(12,), chunks=(4,),
                        dtype="i4", fill_value=0, zarr_format=3)
    z[2 * number:2 * number + 2] = number
    g = zarr.open_group(store, mode="a", path="g", attributes={"by": number})
    g.require_group("sub")
    os._exit(0 if z.attrs.asdict() == {} else 3)


def test_of_openers_all_have_the_same(tmp_path):
    for k in range(10 if LONG else 2):
        path = tmp_path / str(k)
        assert together(6, open_one, path) == [0] * 6
        assert array(AtomicStore(path))[:].tolist() == sorted([*range(6)] * 2)


def replace_it(path, cls, stop):
    k = 0
    while not stop.is_set():
        k += 1
        create(cls(path), overwrite=True, attributes={"k": k, "also": k})


def missed(path, cls, enough):
    """How often who opens an array that is replaced finds none, or a part."""
    create(cls(path), attributes={"k": 0, "also": 0})
    stop = fork.Event()
    p = fork.Process(target=replace_it, args=(path, cls, stop))
    p.start()
    bad, end = 0, time.monotonic() + 30
    for _ in range(enough):
        try:
            found = dict(array(cls(path), mode="r").attrs)
            bad += found["k"] != found["also"]
        except (FileNotFoundError, KeyError, ValueError):
            bad += 1
        if time.monotonic() > end or cls is LocalStore and bad:
            break
    stop.set()
    p.join()
    assert p.exitcode == 0
    return bad


def test_overwrite_beside_readers(tmp_path):
    assert missed(tmp_path, AtomicStore, 300) == 0


def test_overwrite_beside_readers_without(tmp_path):
    assert missed(tmp_path, LocalStore, 10**6) == 1


def test_an_overwrite_that_fails_removes_nothing(tmp_path):
    store = AtomicStore(tmp_path)
    create(store)[:] = 7
    with pytest.raises((TypeError, ValueError)):
        create(store, overwrite=True, codecs="?", chunks=(-1,))
    assert array(store)[:].tolist() == [7] * 12


def test_removal_and_consolidated_metadata(tmp_path):
    store = AtomicStore(tmp_path / "g")
    g = zarr.open_group(store, mode="w", zarr_format=2)
    create(store, zarr_format=2)
    create(store, "sub/b", zarr_format=2)
    zarr.consolidate_metadata(store, zarr_format=2)
    array(store).attrs["x"] = 1
    array(store).append([1])
    create(store, "c", zarr_format=2)
    del g["sub"]
    seen = zarr.open_consolidated(store, zarr_format=2)
    assert sorted(k for k, _ in seen.members(max_depth=None)) == ["a", "c"]
    assert seen["a"].shape == (13,) and dict(seen["a"].attrs) == {"x": 1}


# ------------------------------------------------------------- transactions ---


@pytest.fixture
def store(tmp_path):
    store = AtomicStore(tmp_path / "g")
    zarr.create_group(store)
    for name in "ab":
        create(store, name)[:] = 1
    return store


def everything(store):
    return {k: (z[:].tolist(), dict(z.attrs))
            for k, z in zarr.open_group(store, mode="r").arrays()}


def change_everything(store, value, n=1):
    for name in "ab":
        z = array(store, name)
        z[:4] = value
        z.append(np.full(n, value, "i4"))
        z.attrs["value"] = value


def test_a_transaction_over_data_shapes_and_attributes(store):
    other = AtomicStore(store.root)
    before = everything(store)
    with transaction(store):
        change_everything(store, 5)
        inside = everything(store)
        assert inside["a"] == ([5] * 4 + [1] * 8 + [5], {"value": 5})
        assert everything(other) == before
    assert everything(other) == inside == everything(store)


def test_a_transaction_that_is_given_up(store):
    before = everything(store)
    with pytest.raises(ZeroDivisionError):
        with transaction(store):
            change_everything(store, 5)
            array(store).resize((2,))
            1 / 0
    assert everything(store) == before


def test_a_transaction_in_conflict(store):
    with pytest.raises(az.errors.ConflictError):
        with transaction(store):
            z = array(store)
            z.append([9])
            done = threading.Thread(
                target=lambda: array(AtomicStore(store.root)).append([8]))
            done.start()
            done.join()
            array(store, "b")[0] = 9
    assert everything(store)["a"][0][12:] == [8]
    assert everything(store)["b"][0] == [1] * 12


def test_a_transaction_makes_a_group_with_its_arrays(store):
    other = AtomicStore(store.root)
    with transaction(store):
        g = zarr.create_group(store, path="x/y", attributes={"k": 1})
        g.create_array("data", shape=(10,), dtype="i8",
                       chunks=(3,))[:] = np.arange(10)
        g["data"][0] = 7
        assert g["data"][:2].tolist() == [7, 1]
        assert "x" in zarr.open_group(store) \
            and "x" not in zarr.open_group(other)
    g = zarr.open_group(other, path="x/y")
    assert dict(g.attrs) == {"k": 1} and g["data"][:2].tolist() == [7, 1]
    names = os.listdir(store.root)
    assert not [n for n in names if n.startswith(".azr")], names


def test_a_transaction_replaces_all_of_it_or_nothing(store):
    before = everything(store)
    for fails in (True, False):
        try:
            with transaction(store):
                g = zarr.open_group(store, mode="w")
                assert list(g) == []
                g.create_array("new", shape=(5,), chunks=(2,),
                               dtype="i8")[:] = np.arange(5)
                assert everything(AtomicStore(store.root)) == before
                if fails:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            assert everything(store) == before
    assert everything(store) == {"new": ([0, 1, 2, 3, 4], {})}


def test_a_transaction_removes(store):
    with transaction(store):
        del zarr.open_group(store)["a"]
        assert list(zarr.open_group(store)) == ["b"]
        assert "a" in zarr.open_group(AtomicStore(store.root))
    assert list(zarr.open_group(AtomicStore(store.root))) == ["b"]


def test_of_two_that_make_the_same_one_fails(store):
    with pytest.raises(az.errors.ConflictError, match="meanwhile"):
        with transaction(store):
            zarr.create_group(store, path="x", attributes={"k": 1})
            t = threading.Thread(target=zarr.create_group, args=(
                AtomicStore(store.root),), kwargs={"path": "x"})
            t.start()
            t.join()
    assert dict(zarr.open_group(store, path="x").attrs) == {}


def test_what_cannot_be_one_instant_is_refused(store):
    before = everything(store)

    def both():
        array(store)[0] = 2
        zarr.create_group(store, path="x")

    def both_ways():
        zarr.create_group(store, path="x")
        array(store)[0] = 2

    def two():
        zarr.create_group(store, path="x")
        zarr.create_group(store, path="y")

    def an_array_and_a_group():
        create(store, "x")
        zarr.create_group(store, path="y")

    def a_group_and_an_array():
        zarr.create_group(store, path="x")
        create(store, "y")

    def another_in_its_place():
        array(store)[0] = 2
        create(store, "b", overwrite=True)

    def it_goes():
        create(store, "x")
        del zarr.open_group(store)["b"]

    def attributes():
        zarr.open_group(store).attrs["x"] = 1

    def attributes_and_data():
        array(store)[0] = 2
        zarr.open_group(store).attrs.update({"x": 1, "y": 2})

    for body in (both, both_ways, two, an_array_and_a_group,
                 a_group_and_an_array, another_in_its_place, it_goes,
                 attributes, attributes_and_data):
        with pytest.raises(az.errors.UnsupportedError, match="transaction"):
            with transaction(store):
                body()
        assert everything(store) == before
        assert sorted(zarr.open_group(store)) == ["a", "b"]
        assert dict(zarr.open_group(store).attrs) == {}


def files(store):
    """What everybody sees, byte for byte; and what is hidden, by its name."""
    found = {}
    for directory, below, names in os.walk(store.root):
        if ".azr" in below:
            below.remove(".azr")
        for name in names:
            path = os.path.join(directory, name)
            with open(path, "rb") as f:
                found[os.path.relpath(path, store.root)] = f.read()
        found |= {os.path.relpath(os.path.join(directory, name), store.root):
                  None for name in below}
    return found


ATTRIBUTES = [
    (lambda a: a.__setitem__("title", "b"), ["title"]),
    (lambda a: a.__delitem__("title"), ["title"]),
    (lambda a: a.put({"title": "a"}), ["kept"]),
    (lambda a: a.update(title="a", kept=[1], new=1), ["kept", "new"])]


@FORMATS
def test_attributes_of_a_group_are_refused(tmp_path, zarr_format):
    """By name, with nothing changed, first and last in a transaction; what is
    set as it is already is no change."""
    store = AtomicStore(tmp_path / "g")
    zarr.create_group(store, path="sub", zarr_format=zarr_format,
                      attributes={"title": "a", "kept": [1, None]})
    create(store, "sub/z", zarr_format=zarr_format)[:] = 1
    zarr.consolidate_metadata(store)
    before = files(store)

    def sub():
        return zarr.open_group(store, path="sub", mode="r+")

    for change, names in ATTRIBUTES:
        for first in (True, False):
            with pytest.raises(az.errors.UnsupportedError) as e:
                with transaction(store):
                    if not first:
                        array(store, "sub/z")[:] = 2
                        create(store, "sub/new", zarr_format=zarr_format)
                        array(store, "sub/z").attrs["k"] = 1
                    change(sub().attrs)
            assert str(e.value).startswith(f"'{store.root}/sub': attributes of")
            assert [n for n in ("kept", "new", "title")
                    if f"'{n}'" in str(e.value)] == names
            found = files(store)
            if not first:  # given up, as the page says
                assert found.pop("sub/new") is None
                assert os.listdir(f"{store.root}/sub/new") == [".azr"]
                shutil.rmtree(f"{store.root}/sub/new")
            assert found == before
    with transaction(store):
        array(store, "sub/z")[:] = 3
        sub().attrs.update(title="a")
        sub().attrs.put({"title": "a", "kept": [1, None]})
    assert array(AtomicStore(store.root), "sub/z")[0] == 3
    assert dict(sub().attrs) == {"title": "a", "kept": [1, None]}


def test_what_the_refusals_say_works(store):
    """A group is made before, and attributes belong to an array."""
    other = AtomicStore(store.root)
    zarr.create_group(store, path="x", attributes={"k": 1})
    before = everything(other)
    with transaction(store):
        array(store, "a")[:4] = 5
        create(store, "x/c")[:] = 6
        array(store, "b").attrs["title"] = "b"
        assert everything(other) == before
    assert everything(other) == {
        "a": ([5] * 4 + [1] * 8, {}), "b": ([1] * 12, {"title": "b"})}
    assert array(other, "x/c")[:].tolist() == [6] * 12


def test_what_is_caught_leaves_the_rest(store):
    """Who goes on after a refusal commits what was not refused."""
    with transaction(store):
        array(store)[:4] = 5
        with pytest.raises(az.errors.UnsupportedError, match="new group"):
            zarr.create_group(store, path="x")
        with pytest.raises(az.errors.UnsupportedError, match="'title'"):
            zarr.open_group(store).attrs["title"] = 1
        array(store, "b")[:4] = 6
    there = AtomicStore(store.root)
    assert everything(there) == {"a": ([5] * 4 + [1] * 8, {}),
                                 "b": ([6] * 4 + [1] * 8, {})}
    assert not zarr.open_group(there).attrs and "x" not in zarr.open_group(there)


# ------------------------- new arrays in a group that is there, and other changes ---


ORDERS = pytest.mark.parametrize("order", ["first", "last", "between", "two"])


def mix(store, order, value, **o):
    """A new array, or two, before, after and between changes of others."""
    def new(name):
        z = create(store, name, attributes={"unit": "m"}, **o)
        z[:] = np.full(12, value).astype(z.dtype)
        z[3:6] = np.full(3, value + 1).astype(z.dtype)
        z.attrs["value"] = value

    if order in ("first", "two"):
        new("c")
    array(store, "a")[:4] = value
    if order == "between":
        new("c")
    array(store, "b").append([value])
    if order in ("last", "two"):
        new("d" if order == "two" else "c")


def mixed(order, value, kind=int):
    c = ([kind(n) for n in [value] * 3 + [value + 1] * 3 + [value] * 6],
         {"unit": "m", "value": value})
    found = {"a": ([value] * 4 + [1] * 8, {}), "b": ([1] * 12 + [value], {}),
             "c": c}
    return found | ({"d": c} if order == "two" else {})


@ORDERS
@FORMATS
def test_a_new_array_with_other_changes(tmp_path, zarr_format, order):
    store = AtomicStore(tmp_path / "g")
    zarr.create_group(store, zarr_format=zarr_format)
    for name in "ab":
        create(store, name, zarr_format=zarr_format)[:] = 1
    other = AtomicStore(store.root)
    before = everything(other)
    with pytest.raises(ZeroDivisionError):
        with transaction(store):
            mix(store, order, 5, zarr_format=zarr_format)
            assert everything(store) == mixed(order, 5)
            1 / 0
    assert everything(other) == before
    with transaction(store):
        mix(store, order, 6, zarr_format=zarr_format)
        assert everything(store) == mixed(order, 6)
        assert everything(other) == before
        assert sorted(zarr.open_group(other)) == ["a", "b"]
    assert everything(other) == mixed(order, 6) == everything(store)
    names = os.listdir(store.root)
    assert not [n for n in names if n.startswith(".azr")], names
    array(other, "c")[0] = 9  # an array like others
    assert array(store, "c")[0] == 9


@pytest.mark.parametrize("o", [
    {"dtype": "U5"}, {"dtype": "i4", "chunks": (2,), "shards": (4,)}],
    ids=["strings", "shards"])
@ORDERS
def test_a_new_array_of_zarr_s_own_with_other_changes(store, order, o):
    """Whose codecs, or type, are not the library's."""
    kind = str if o["dtype"] == "U5" else int
    o = {**o, "fill_value": "" if kind is str else 0}
    with transaction(store):
        mix(store, order, 6, **o)
        assert everything(store) == mixed(order, 6, kind)
        assert sorted(zarr.open_group(AtomicStore(store.root))) == ["a", "b"]
    assert everything(AtomicStore(store.root)) == mixed(order, 6, kind)


@ORDERS
def test_what_zarr_says_of_a_new_array_stands(store, order):
    """The document is zarr's text, as it would be outside of a transaction."""
    o = {"fill_value": 7, "dimension_names": ("t",), "dtype": "f4",
         "compressors": zarr.codecs.GzipCodec(level=3)}
    create(store, "like", attributes={"unit": "m"}, **o).attrs["value"] = 6
    with transaction(store):
        mix(store, order, 6, **o)
    assert array(store, "c").metadata == array(store, "like").metadata


def test_consolidated_metadata_have_what_was_made(store):
    zarr.consolidate_metadata(store)
    with transaction(store):
        mix(store, "two", 6)
    g = zarr.open_consolidated(LocalStore(store.root))
    assert sorted(g) == ["a", "b", "c", "d"] and g["b"].shape == (13,)
    assert dict(g["d"].attrs) == {"unit": "m", "value": 6}


def test_of_two_that_make_the_same_array_with_others_one_fails(store):
    with pytest.raises(az.errors.ConflictError, match="meanwhile"):
        with transaction(store):
            mix(store, "first", 6)
            t = threading.Thread(target=create, args=(
                AtomicStore(store.root), "c"))
            t.start()
            t.join()
    assert everything(store) == {
        "a": ([1] * 12, {}), "b": ([1] * 12, {}), "c": ([0] * 12, {})}


def test_arrays_of_the_same_durability(store):
    """A transaction has one: what is made has that of the others in it."""
    for name in "ab":
        _core = az.open_array(store.root, path=name)
        _core._h.set_durability(1)
    with transaction(store):
        mix(store, "first", 6)
    assert az.open_array(store.root, path="c").durability == "power"
    assert everything(store) == mixed("first", 6)


# A program that does the same in each step k, until it is killed.
STEPS = """
import sys
import numpy as np
import zarr
from contextlib import nullcontext
from zarr.storage import LocalStore
from atomiczarr.zarr import AtomicStore, transaction
whole = sys.argv[1] == "whole"
store = (AtomicStore if whole else LocalStore)(sys.argv[2])
k = 1
while True:
    k += 1
    with transaction(store) if whole else nullcontext():
{}
    if k == 2:
        print("ready", flush=True)
"""
MAKE = """
zarr.open_array(store, path="a", mode="r+")[:] = k
for name in ("x", "y"):
    z = zarr.create_array(store, name=f"{name}{k}", shape=(12,),
                          chunks=(4,), dtype="i4", fill_value=0)
    z[:] = k
zarr.open_array(store, path="b", mode="r+").append([k])
"""
CHANGE = """
for name in "ab":
    z = zarr.open_array(store, path=name, mode="r+")
    z[:] = k
    z.append(np.full(4, k, "i4"))
    z.attrs["value"] = k
"""


def killed(step, store, how, delay):
    program = STEPS.format(textwrap.indent(step, " " * 8))
    p = subprocess.Popen([sys.executable, "-c", program, how, store.root],
                         stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "ready\n"
    time.sleep(delay)
    p.send_signal(signal.SIGKILL)
    p.wait()
    p.stdout.close()
    return everything(store)


def made_whole(found):
    """Each step has made both arrays, with all in them, and changed the others."""
    last = found["a"][0][0]
    made = {f"{name}{k}": ([k] * 12, {})
            for name in "xy" for k in range(2, last + 1)}
    return found == {"a": ([last] * 12, {}), **made,
                     "b": ([1] * 12 + list(range(2, last + 1)), {})}


def test_a_killed_maker_leaves_all_or_nothing(tmp_path):
    furthest = 0
    for k in range(20 if LONG else 3):
        store = AtomicStore(tmp_path / str(k))
        zarr.create_group(store)
        for name in "ab":
            create(store, name)[:] = 1
        found = killed(MAKE, store, "whole", 0.05 + 0.043 * k)
        assert made_whole(found), found
        furthest = max(furthest, found["a"][0][0])
    assert furthest > 1


# Dies before the so many-th document is renamed into its place.
DIE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
    static int left = -1;
    int (*real)(int, const char *, int, const char *, unsigned) =
        (int (*)(int, const char *, int, const char *, unsigned))dlsym(
            RTLD_NEXT, "renameat2");

    if (left < 0)
        left = atoi(getenv("DIE_AT"));
    if (strcmp(to, "zarr.json") == 0 && --left == 0)
        kill(getpid(), SIGKILL);
    return real(a, from, b, to, flags);
}
"""


@pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler here")
@pytest.mark.parametrize("at", [1, 2, 3])
def test_what_was_made_is_listed_before_it_stands_there(tmp_path, store, at):
    (tmp_path / "die.c").write_text(DIE)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "die.so",
                    tmp_path / "die.c", "-ldl"], check=True)
    program = STEPS.format(textwrap.indent(MAKE, " " * 8))
    done = subprocess.run(
        [sys.executable, "-c", program, "whole", store.root],
        env={**os.environ, "LD_PRELOAD": tmp_path / "die.so", "DIE_AT": str(at)})
    assert done.returncode == -signal.SIGKILL
    there = [n for n in "xy" if os.path.exists(f"{store.root}/{n}2/zarr.json")]
    assert len(there) < 2 or at == 3
    for read_only in (True, False):
        looked = AtomicStore(store.root, read_only=read_only)
        names = {"a", "b", "x2", "y2"}
        assert set(az.open_group(store.root)) == names
        assert set(zarr.open_group(looked, mode="r")) == names
        assert made_whole(everything(looked))


def test_a_killed_maker_without(tmp_path):
    for k in range(TRIES):
        store = LocalStore(tmp_path / str(k))
        zarr.create_group(store)
        for name in "ab":
            create(store, name)[:] = 1
        try:
            if not made_whole(killed(MAKE, store, "half", 0.05 + 0.043 * k)):
                return
        except (ValueError, RuntimeError):
            return
    pytest.fail("zarr alone was never cut short: does this test see anything?")


def test_one_transaction_in_another(store):
    with pytest.raises(RuntimeError, match="outer"):
        with az.transaction():
            with transaction(store):
                pass
    with transaction(store):
        with transaction(store):
            array(store)[0] = 3
        assert array(AtomicStore(store.root))[0] == 1
    assert array(AtomicStore(store.root))[0] == 3


def test_threads_of_a_transaction(store):
    """dask's workers, which know the store and not the thread that waits."""
    z = array(store)
    with transaction(store):
        threads = [threading.Thread(target=z.__setitem__,
                                    args=(slice(3 * k, 3 * k + 3), k + 2))
                   for k in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert array(AtomicStore(store.root))[:].tolist() == [1] * 12
    assert z[:].tolist() == [2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5]


def is_whole(found):
    return found["a"] == found["b"] and len(set(found["a"][0])) == 1 \
        and found["a"][1].get("value", 1) == found["a"][0][0]


def test_a_killed_transaction_leaves_all_or_nothing(store):
    furthest = 0
    for k in range(20 if LONG else 3):
        found = killed(CHANGE, store, "whole", 0.1 + 0.037 * k)
        assert is_whole(found), found
        furthest = max(furthest, found["a"][0][0])
    assert furthest > 1
    with transaction(store):  # what it left is no obstacle
        change_everything(store, -1)
    found = everything(store)
    assert found["a"] == found["b"] and found["a"][1]["value"] == -1


def test_a_killed_program_without(store):
    for k in range(TRIES):
        try:
            if not is_whole(killed(CHANGE, LocalStore(store.root), "half",
                                   0.1 + 0.037 * k)):
                return
        except (ValueError, RuntimeError):  # half a chunk: zarr 3.0
            return
    pytest.fail("zarr alone was never cut short: does this test see anything?")


# ----------------------------------------------------------- whole programs ---


def dataset(xr, first, stop):
    t = np.arange(first, stop)
    return xr.Dataset(
        {"v": (("time", "x"), np.outer(t, np.ones(5))), "w": ("time", t * 2.0)},
        {"time": t}, attrs={"title": "test"})


def consistent(ds):
    t = ds["time"].values
    return (ds["w"].values == 2 * t).all() and (
        ds["v"].values == t[:, None]).all()


@FORMATS
def test_to_zarr_is_one_commit(tmp_path, zarr_format):
    xr = pytest.importorskip("xarray")
    store = AtomicStore(tmp_path / "x")
    other = AtomicStore(tmp_path / "x")

    def seen():
        return xr.open_zarr(other, chunks=None)["time"].values.tolist()

    with transaction(store):
        dataset(xr, 0, 4).to_zarr(store, mode="w", zarr_format=zarr_format)
        assert os.listdir(store.root) == []
    assert seen() == [0, 1, 2, 3]
    with transaction(store):
        dataset(xr, 4, 7).to_zarr(store, append_dim="time")
        assert seen() == [0, 1, 2, 3]
    assert seen() == list(range(7))
    with pytest.raises(ZeroDivisionError):
        with transaction(store):
            dataset(xr, 7, 9).to_zarr(store, append_dim="time")
            1 / 0
    dataset(xr, 0, 2).to_zarr(store, region={"time": slice(0, 2)})
    there = xr.open_zarr(other, chunks=None)
    assert seen() == list(range(7)) and consistent(there)
    with transaction(store):
        dataset(xr, 10, 12).to_zarr(store, mode="w", zarr_format=zarr_format)
        assert seen() == list(range(7))
    assert seen() == [10, 11]


@FORMATS
def test_new_variables_come_with_other_changes(tmp_path, zarr_format):
    """to_zarr(mode="a") and append_dim, as one commit."""
    xr = pytest.importorskip("xarray")
    store = AtomicStore(tmp_path / "x")
    other = AtomicStore(tmp_path / "x")
    dataset(xr, 0, 4).to_zarr(store, mode="w", zarr_format=zarr_format)

    def seen():
        return xr.open_zarr(other, chunks=None)

    both = dataset(xr, 0, 4)
    both["w"] = both["w"] + 1  # there already
    both["new"] = ("time", np.arange(4) * 3.0)
    words = not zarr.__version__.startswith("3.0.")  # xarray: another type there
    if words:
        both["word"] = ("time", np.array(["a", "bc", "", "d"]))
    with transaction(store):
        both.to_zarr(store, mode="a", zarr_format=zarr_format)
        xr.testing.assert_identical(seen(), dataset(xr, 0, 4))
    xr.testing.assert_identical(seen().load(), both)
    with transaction(store):  # longer, and one variable more, at one instant
        more = dataset(xr, 4, 7).assign(new=("time", np.arange(3) * 3.0))
        if words:
            more["word"] = ("time", np.array(["e", "f", "gh"]))
        more.to_zarr(store, append_dim="time")
        xr.Dataset({"one": ("k", [1, 2])}, attrs=both.attrs).to_zarr(
            store, mode="a", zarr_format=zarr_format)
        assert "one" not in seen() and seen().sizes["time"] == 4
    assert seen()["one"].values.tolist() == [1, 2]
    assert seen().sizes["time"] == 7
    assert not words or seen()["word"].values[6] == "gh"


def test_attributes_that_a_transaction_cannot_change(tmp_path):
    """Of the dataset: refused before anything has happened."""
    xr = pytest.importorskip("xarray")
    store = AtomicStore(tmp_path / "x")
    dataset(xr, 0, 4).to_zarr(store, mode="w")
    with pytest.raises(az.errors.UnsupportedError, match="of a group"):
        with transaction(store):
            dataset(xr, 4, 7).assign_attrs(title="other").to_zarr(
                store, append_dim="time")
    xr.testing.assert_identical(xr.open_zarr(store).load(), dataset(xr, 0, 4))


def test_to_zarr_over_what_it_is_made_of(tmp_path):
    """Lazily, by dask: zarr alone removes it before it is read."""
    xr = pytest.importorskip("xarray")
    pytest.importorskip("dask")
    dataset(xr, 1, 5).to_zarr(AtomicStore(tmp_path / "x"), mode="w")
    store = AtomicStore(tmp_path / "x")
    with transaction(store):
        old = xr.open_zarr(AtomicStore(tmp_path / "x"))
        (old * 2).drop_encoding().to_zarr(store, mode="w")
    there = xr.open_zarr(store, chunks=None)
    assert there["w"].values.tolist() == [4, 8, 12, 16]
    assert there["v"].values[:, 0].tolist() == [2, 4, 6, 8]


def append_days(number, gate, path, whole):
    import xarray as xr
    store = (AtomicStore if whole else LocalStore)(path)
    gate.wait()
    for k in range(3):
        day = 10 * (number + 1) + 3 * k
        while True:
            try:
                if not whole:
                    dataset(xr, day, day + 3).to_zarr(store, append_dim="time")
                    break
                with transaction(store):
                    dataset(xr, day, day + 3).to_zarr(store, append_dim="time")
                break
            except az.errors.ConflictError:
                pass


def test_to_zarr_of_processes(tmp_path):
    """append_dim by three at once, and somebody who reads beside them."""
    xr = pytest.importorskip("xarray")
    dataset(xr, 0, 3).to_zarr(AtomicStore(tmp_path), mode="w")
    t = threading.Thread(target=lambda: codes.extend(
        together(3, append_days, tmp_path, True)))
    codes = []
    t.start()
    while t.is_alive():
        try:
            with transaction(store := AtomicStore(tmp_path, read_only=True)):
                ds = xr.open_zarr(store, chunks=None, consolidated=False)
                lengths = {len(ds[n].values) for n in ("v", "w", "time")}
            assert len(lengths) == 1
        except az.errors.ConflictError:
            pass  # they appended between two of them
    t.join()
    assert codes == [0] * 3
    ds = xr.open_zarr(AtomicStore(tmp_path), chunks=None)
    assert consistent(ds) and sorted(ds["time"].values) == [0, 1, 2] + [
        10 * n + k for n in (1, 2, 3) for k in range(9)]


def test_to_zarr_of_processes_without(tmp_path):
    xr = pytest.importorskip("xarray")
    for k in range(TRIES):
        path = tmp_path / str(k)
        dataset(xr, 0, 3).to_zarr(LocalStore(path), mode="w")
        codes = together(3, append_days, path, False)
        try:
            ds = xr.open_zarr(LocalStore(path), chunks=None,
                              consolidated=False)
            if any(codes) or not consistent(ds) or ds.sizes["time"] != 30:
                return
        except (ValueError, RuntimeError):  # several lengths; no zstd frame
            return
    pytest.fail("zarr alone lost nothing: does this test see anything?")


def test_dask_in_a_transaction(tmp_path):
    dask = pytest.importorskip("dask")
    da = pytest.importorskip("dask.array")
    x = np.arange(10000, dtype="i4").reshape(100, 100)
    store = AtomicStore(tmp_path)
    z = zarr.create_array(store, name="z", shape=x.shape, chunks=(30, 30),
                          dtype="i4", fill_value=-1)
    with dask.config.set(scheduler="threads", num_workers=8):
        with transaction(store):
            da.store(da.from_array(x, chunks=(17, 23)), z, lock=False)
            assert (array(AtomicStore(tmp_path), "z")[...] == -1).all()
    assert (z[...] == x).all()
