#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Groups and consolidated metadata between zarr-python 3 and ours.

    groups.py AZR DIRECTORY

Hierarchies are made by each side in DIRECTORY, read by the other one, and
consolidated by both: the two documents must say the same; and xarray opens one
of ours. The last line is `N passed, N failed`.
"""
import json
import os
import shutil
import subprocess
import sys
import warnings

import numpy as np
import xarray
import zarr

warnings.simplefilter("ignore")
AZR, TOP = sys.argv[1:3]
passed = failed = 0


def check(what, found, wanted=True):
    global passed, failed
    if found == wanted:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {what}: found {found!r}, wanted {wanted!r}")


def azr(*words):
    return subprocess.run([AZR, *words], capture_output=True, text=True)


def done(*words):
    result = azr(*words)
    check("azr " + " ".join(words) + result.stderr, result.returncode, 0)
    return result.stdout


def load(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as f:
        return json.load(f)


def block_of(path, version):
    """The consolidated metadata, without what zarr-python adds in version 2: to
    each group an empty one of version 3 (a quirk of it), and attributes that
    are not there."""
    if version == 3:
        return load(path, "zarr.json")["consolidated_metadata"]
    document = load(path, ".zmetadata")
    for key, entry in list(document["metadata"].items()):
        entry.pop("consolidated_metadata", None)
        if key.endswith(".zattrs") and not entry:
            del document["metadata"][key]
    return document


def ours(path, version):
    v = str(version)
    done("create", path, "--group", "--format", v, "--attrs", '{"é": [1.5]}')
    done("create", path + "/sub", "--group", "--format", v)
    done("create", path + "/sub/deep", "--group", "--format", v)
    done("create", path + "/t", "--shape", "6", "--chunks", "4", "--dtype",
         "f8", "--fill", "nan", "--format", v, "--attrs", '{"units": "K"}')
    done("create", path + "/sub/Q", "--shape", "2,3", "--dtype", "i2",
         "--format", v, "--codec", "zstd:1" if version == 3 else "zlib")
    done("write", path + "/t", "--value", "2.5")


def theirs(path, version):
    group = zarr.open_group(path, mode="w", zarr_format=version,
                            attributes={"é": [1.5]})
    sub = group.create_group("sub", attributes={"n": None})
    sub.create_group("deep")
    array = group.create_array("t", shape=(6,), chunks=(4,), dtype="f8",
                               fill_value=np.nan, attributes={"units": "K"})
    array[...] = 2.5
    sub.create_array("Q", shape=(2, 3), chunks=(2, 3), dtype="i2")


def members(group):
    return sorted((name, type(node).__name__) for name, node in
                  group.members(max_depth=None))


WANTED = [("sub", "Group"), ("sub/Q", "Array"), ("sub/deep", "Group"),
          ("t", "Array")]


def read_by_zarr(path, version):
    group = zarr.open_group(path, mode="r", use_consolidated=False)
    check(f"{path}: members", members(group), WANTED)
    check(f"{path}: attributes", dict(group.attrs), {"é": [1.5]})
    check(f"{path}: t", group["t"][...].tolist(), [2.5] * 6)
    check(f"{path}: units", dict(group["t"].attrs), {"units": "K"})


def read_by_azr(path, version):
    nodes = json.loads(done("tree", path, "--json"))["nodes"]
    found = [(n["path"], n["kind"].capitalize()) for n in nodes[1:]]
    check(f"{path}: tree", sorted(found), WANTED)
    check(f"{path}: formats", {n["zarr_format"] for n in nodes}, {version})
    check(f"{path}: attrs", json.loads(done("attrs", path)), {"é": [1.5]})
    check(f"{path}: cat", done("cat", path + "/t").split(), ["2.5"] * 6)


def consolidated(path, version):
    copy = path + "-by-zarr"
    shutil.copytree(path, copy)
    done("consolidate", path)
    zarr.consolidate_metadata(copy)
    check(f"{path}: consolidated", block_of(path, version),
          block_of(copy, version))
    # each side believes the other one's
    group = zarr.open_consolidated(path)
    check(f"{path}: its members", members(group), WANTED)
    check(f"{path}: its t", group["t"][...].tolist(), [2.5] * 6)
    check(f"{path}: fresh", azr("verify", copy).returncode, 0)
    # and notices what is stale, whoever made it so
    zarr.open_array(copy + "/t", mode="r+").attrs["units"] = "C"
    result = azr("verify", copy, "--json")
    check(f"{path}: stale", result.returncode, 1)
    key = "t" if version == 3 else "t/.zattrs"
    check(f"{path}: what is stale",
          [f["key"] for f in json.loads(result.stdout)["findings"]
           if f["kind"] == "stale"], [key])
    # attributes set by us do not harm what zarr wrote beside them
    before = block_of(copy, version)
    done("attrs", copy, "--set", "k=1")
    if version == 2:  # there the group is an entry of its own
        before["metadata"][".zattrs"]["k"] = 1
    check(f"{path}: kept", block_of(copy, version), before)
    check(f"{path}: set", dict(zarr.open_group(
        copy, mode="r", use_consolidated=False).attrs), {"é": [1.5], "k": 1})


def xarray_reads(path, version):
    v = str(version)
    done("create", path, "--group", "--format", v)
    done("create", path + "/time", "--shape", "3", "--dtype", "i8", "--format",
         v, "--dims", "time")
    done("create", path + "/T", "--shape", "3,2", "--dtype", "f4", "--format",
         v, "--dims", "time,x")
    done("write", path + "/T", "--value", "7")
    done("consolidate", path)
    data = xarray.open_zarr(path, consolidated=True)
    check(f"{path}: dims", data["T"].dims, ("time", "x"))
    check(f"{path}: coordinates", list(data.coords), ["time"])
    check(f"{path}: values", data["T"].values.tolist(), [[7.0, 7.0]] * 3)


def kept_fresh(path, maker, version):
    """What we commit below a consolidated root is seen through it at once,
    whoever consolidated; what we did not touch keeps its bytes."""
    v = str(version)
    maker(path, version)
    if maker is ours:
        done("consolidate", path)
    else:
        zarr.consolidate_metadata(path)
    before = block_of(path, version)["metadata"]
    np.save(path + ".npy", np.array([3.5, 4.5]))
    done("append", path + "/t", "--npy", path + ".npy")
    check(f"{path}: appended",
          zarr.open_consolidated(path)["t"][...].tolist(),
          [2.5] * 6 + [3.5, 4.5])
    done("resize", path + "/sub/Q", "1,3", "--force")
    done("attrs", path + "/t", "--set", 'units="C"')
    done("attrs", path + "/sub", "--set", "s=2")
    done("create", path + "/sub/new", "--shape", "9", "--dtype", "u1",
         "--format", v)
    done("create", path + "/sub/deep/er", "--group", "--format", v)
    group = zarr.open_consolidated(path)
    check(f"{path}: shapes",
          {name: node.shape for name, node in group.members(max_depth=None)
           if isinstance(node, zarr.Array)},
          {"t": (8,), "sub/Q": (1, 3), "sub/new": (9,)})
    check(f"{path}: groups",
          sorted(name for name, node in group.members(max_depth=None)
                 if isinstance(node, zarr.Group)),
          ["sub", "sub/deep", "sub/deep/er"])
    check(f"{path}: units", dict(group["t"].attrs), {"units": "C"})
    check(f"{path}: sub", group["sub"].attrs["s"], 2)
    check(f"{path}: fresh", azr("verify", path).returncode, 0)
    now = block_of(path, version)["metadata"]
    for key, entry in before.items():
        if key.split("/")[:2] == ["sub", "deep"]:
            check(f"{path}: {key}", now[key], entry)
    # a reader that has what zarr itself would consolidate now reads the same
    copy = path + "-anew"
    shutil.copytree(path, copy)
    zarr.consolidate_metadata(copy)
    if maker is theirs and version == 3:  # then every default is written out
        return
    check(f"{path}: as zarr does", block_of(path, version),
          block_of(copy, version))


def xarray_follows(path, version):
    xarray_reads(path, version)
    np.save(path + "-time.npy", np.arange(2))
    np.save(path + "-T.npy", np.full((2, 2), 8, "f4"))
    done("append", path + "/T", "--npy", path + "-T.npy")
    done("append", path + "/time", "--npy", path + "-time.npy")
    data = xarray.open_zarr(path, consolidated=True)
    check(f"{path}: length", data.sizes["time"], 5)
    check(f"{path}: new values", data["T"].values[3:].tolist(),
          [[8.0, 8.0]] * 2)


def main():
    for version in (2, 3):
        for maker in (ours, theirs):
            kept_fresh(os.path.join(TOP, f"fresh-{maker.__name__}-{version}"),
                       maker, version)
        for maker in (ours, theirs):
            path = os.path.join(TOP, f"{maker.__name__}-{version}")
            maker(path, version)
            read_by_zarr(path, version)
            read_by_azr(path, version)
            consolidated(path, version)
        xarray_follows(os.path.join(TOP, f"xarray-{version}"), version)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
