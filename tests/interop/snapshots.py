#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Snapshots and copies of ours, opened with zarr-python 3.

    snapshots.py AZR HOLDER DIRECTORY

Arrays of both formats, made by either side, are held by HOLDER while they are
overwritten and reshaped; zarr-python must read the snapshot's directory as it was,
and copies of arrays and groups. The last line is `N passed, N failed`.
"""
import os
import subprocess
import sys
import warnings

import numpy as np
import zarr

warnings.simplefilter("ignore")
AZR, HOLDER, TOP = sys.argv[1:4]
passed = failed = 0


def check(what, found, wanted=True):
    global passed, failed
    if found == wanted:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {what}: found {found!r}, wanted {wanted!r}")


def azr(*words):
    result = subprocess.run([AZR, *words], capture_output=True, text=True)
    check("azr " + " ".join(words) + result.stderr, result.returncode, 0)


def values(path):
    array = zarr.open_array(path, mode="r")
    return array[:].tolist(), array.shape, dict(array.attrs)


def hold(paths, change):
    """Values of the snapshot of `paths`, read after `change`."""
    with subprocess.Popen([HOLDER, *paths], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as holder:
        places = [holder.stdout.readline().rstrip("\n") for _ in paths]
        change()
        found = [values(place) for place in places]
        holder.stdin.close()
        check("holder", holder.wait(), 0)
    for place in places:
        check(f"{place} is gone", os.path.exists(place), False)
    return found


def one_format(version):
    group = os.path.join(TOP, f"group{version}")
    root = zarr.open_group(group, mode="w", zarr_format=version,
                           attributes={"title": "t"})
    theirs = root.create_array("theirs", shape=(7, 5), chunks=(3, 2),
                               dtype="i4", attributes={"by": [1, 2.5]})
    theirs[:] = np.arange(35).reshape(7, 5)
    ours = os.path.join(group, "ours")
    azr("create", ours, "--shape", "10", "--chunks", "4", "--dtype", "f8",
        "--format", str(version), "--attrs", '{"k": "v"}')
    azr("write", ours + "[2:9]", "--value", "1.5")
    paths = [os.path.join(group, "theirs"), ours]
    before = [values(path) for path in paths]

    def change():
        azr("write", paths[0], "--value", "7")
        azr("resize", paths[0], "12,5")
        azr("resize", ours, "3", "--force")
        azr("attrs", ours, "--set", "k=1")

    check(f"snapshot, format {version}", hold(paths, change), before)

    now = [values(path) for path in paths]
    check("they have changed", now == before, False)
    copy = os.path.join(TOP, f"copy{version}")
    azr("cp", group, copy)
    azr("cp", ours, copy + "-array")
    azr("write", ours, "--value", "9")
    check(f"copy of a group, format {version}",
          [values(os.path.join(copy, name)) for name in ("theirs", "ours")],
          now)
    check("members", sorted(zarr.open_group(copy, mode="r").array_keys()),
          ["ours", "theirs"])
    check("attributes", dict(zarr.open_group(copy, mode="r").attrs),
          {"title": "t"})
    check(f"copy of an array, format {version}", values(copy + "-array"),
          now[1])


for zarr_format in (2, 3):
    one_format(zarr_format)
print(f"{passed} passed, {failed} failed")
sys.exit(failed != 0)
