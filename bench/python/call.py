#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What one call of the Python package costs over C.

    bench/python/call.py [--floor build/bench/call] [--dir /dev/shm]
                         [--pairs N] [--calls N] [--json FILE]

Two elements of a small array without a codec are read and written, by C and by
Python in turn, again and again; and all of it is written, to whatever its end is,
which in C too is another call. Of each turn the median of its calls counts, and of
the turns the median of the differences. Run it with a Python that has the package.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time

import numpy as np

import atomiczarr as az


def median_ns(fn, n):
    clock = time.perf_counter_ns
    times = []
    for _ in range(n):
        began = clock()
        fn()
        times.append(clock() - began)
    return statistics.median_low(times)


def cases(z):
    v = np.array([1, 2], "i4")
    out = np.empty(2, "i4")
    every = np.arange(4, dtype="i4")
    part = np.s_[2:4]

    def write():
        z[2:4] = v

    def write_all():
        z[:] = every
    return {
        "read": lambda: z[2:4],
        "read_out": lambda: z.get_basic_selection(part, out=out),
        "read_one": lambda: z[2],
        "read_all": lambda: z[:],
        "write": write,
        "write_all": write_all,
    }


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--floor", default="build/bench/call")
    p.add_argument("--dir", default="/dev/shm")
    p.add_argument("--pairs", type=int, default=15)
    p.add_argument("--calls", type=int, default=2000)
    p.add_argument("--json")
    a = p.parse_args()
    with tempfile.TemporaryDirectory(dir=a.dir) as folder:
        path = os.path.join(folder, "x.zarr")
        z = az.open(path, "w", shape=4, chunks=4, dtype="i4", compressor=None)
        z[:] = 0
        fns = cases(z)

        def floor():
            done = subprocess.run([a.floor, path, str(a.calls)], check=True,
                                  capture_output=True, text=True)
            return json.loads(done.stdout)
        floor()
        turns = []
        for _ in range(a.pairs):
            c = floor()
            turns.append((c, {k: median_ns(fn, a.calls)
                              for k, fn in fns.items()}))
    result = {"python": platform.python_version(), "dir": a.dir,
              "machine": platform.machine(), "calls": a.calls,
              "pairs": a.pairs, "turns": turns, "over_c_us": {}}
    for k in fns:
        base = (k if k == "write_all" else k.split("_")[0]) + "_ns"
        over = [(py[k] - c[base]) / 1000 for c, py in turns]
        result["over_c_us"][k] = round(statistics.median(over), 2)
    for base in ("read_ns", "write_ns", "write_all_ns"):
        result["c_" + base] = statistics.median([c[base] for c, _ in turns])
    if a.json:
        with open(a.json, "w") as f:
            json.dump(result, f, indent=1)
    del result["turns"]
    print(json.dumps(result))


if __name__ == "__main__":
    main()
