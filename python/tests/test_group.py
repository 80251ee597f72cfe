# SPDX-License-Identifier: Apache-2.0
"""Groups."""
import json
import os
import pickle
import threading

import numpy as np
import pytest

import atomiczarr as az


@pytest.fixture(params=[2, 3])
def group(request, path):
    return az.open_group(path, "w", zarr_format=request.param)


def test_children(group):
    a = group.create_array("a", shape=(4, 2), chunks=(2, 2), dtype="i4")
    a[:] = 1
    deep = group.create_group("x").create_array("y/z", shape=3, dtype="f8")
    assert a.zarr_format == deep.zarr_format == group.zarr_format
    assert deep.path == "x/y/z" and deep.name == "/x/y/z"
    assert list(group) == ["a", "x"] and len(group) == 2
    assert list(group.array_keys()) == ["a"]
    assert [k for k, _ in group.groups()] == ["x"]
    assert isinstance(group["x"], az.Group) and group["a"] == a
    assert group["x/y/z"] == deep and group["x"]["y"]["z"] == deep
    assert "x/y" in group and "x/q" not in group and "a/b" not in group
    assert [k for k, _ in group.members()] == ["a", "x"]
    assert [k for k, _ in group.members(None)] == ["a", "x", "x/y", "x/y/z"]
    assert group.nmembers(1) == 3
    assert "y" in repr(group.tree()) and "(3,) float64" in repr(group.tree())
    assert "No. arrays" in repr(group.info)
    assert "<table>" in group._repr_html_()
    with pytest.raises(KeyError):
        group["nothing"]
    assert group.get("nothing", 5) == 5
    with pytest.raises(FileExistsError):
        group.create_array("a", shape=1)
    with pytest.raises(ValueError):
        group["../escape"]
    group["v"] = np.arange(5)
    assert group["v"][2] == 2
    del group["x"]
    assert list(group) == ["a", "v"]
    with pytest.raises(KeyError):
        del group["x"]
    assert [f for f in os.listdir(group.store) if "removed" in f] == []


def test_require(group):
    z = group.require_array("r", shape=(3,), dtype="i4")
    z[:] = 4
    assert group.require_array("r", shape=(3,), dtype="i2")[0] == 4
    with pytest.raises(TypeError, match="shape"):
        group.require_array("r", shape=(4,))
    with pytest.raises(TypeError, match="type"):
        group.require_array("r", shape=(3,), dtype="f8", exact=True)
    assert group.require_group("g/h") == group.require_group("g/h")
    assert group.ones("o", shape=3)[1] == 1
    assert group.full("f", shape=3, fill_value=7)[1] == 7


def test_several_attributes_are_one_step(group):
    """Seen together by whoever looks meanwhile."""
    group.attrs.update(left=-1, right=-1)
    done = threading.Event()
    torn = []

    def look():
        other = az.open_group(group.store, "r")
        while not done.is_set():
            found = other.attrs.asdict()
            torn.append(found["left"] != found["right"])

    t = threading.Thread(target=look)
    t.start()
    for k in range(50):
        group.attrs.update(left=k, right=k)
    done.set()
    t.join()
    assert torn and not any(torn)
    assert group.attrs.asdict() == {"left": 49, "right": 49}
    with pytest.raises(TypeError):
        group.attrs.update(left=1, right=object())
    assert group.attrs["left"] == 49


def test_attributes(group):
    group.attrs["x"] = [1]
    group.attrs.put({"y": 2, "z": 3})
    del group.attrs["z"]
    assert group.attrs.asdict() == {"y": 2}

    def work(i):
        for k in range(5):
            group.attrs[f"{i}.{k}"] = k
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(group.attrs) == 21


def test_modes(path):
    with pytest.raises(FileNotFoundError):
        az.open_group(path, "r")
    g = az.open(path, "a")
    assert isinstance(g, az.Group) and not g.read_only
    g.create_array("a", shape=2)
    assert len(az.open_group(path, "a")) == 1
    r = az.open(path, "r")
    assert isinstance(r, az.Group) and r["a"].read_only
    for call in (lambda: r.create_array("b", shape=1),
                 lambda: r.create_group("b"), lambda: r.__delitem__("a"),
                 lambda: r.require_group("q"), r.consolidate,
                 lambda: r.attrs.__setitem__("x", 1)):
        with pytest.raises(PermissionError):
            call()
    with pytest.raises(FileExistsError):
        az.open_group(path, "w-")
    assert len(az.open_group(path, "w")) == 0
    assert pickle.loads(pickle.dumps(g)) == g


def test_consolidated(group):
    group.create_array("a/b", shape=3, dtype="i4")
    assert "Consolidated : False" in repr(group.info)
    az.consolidate(group.store)
    assert "Consolidated : True" in repr(group.info)
    name = ".zmetadata" if group.zarr_format == 2 else "zarr.json"
    with open(os.path.join(group.store, name)) as f:
        document = json.load(f)
    documents = document["metadata"] if group.zarr_format == 2 else \
        document["consolidated_metadata"]["metadata"]
    assert any(k.startswith("a/b") for k in documents)


def test_below_a_transaction(group):
    a = group.create_array("a", shape=2, dtype="i4")
    b = group.create_array("b", shape=2, dtype="i4")
    with az.transaction():
        group["a"][:] = 1
        group["b"][:] = group["a"][:] + 1
        with pytest.raises(az.UnsupportedError):
            group.attrs["x"] = 1
    assert a[0] == 1 and b[0] == 2
