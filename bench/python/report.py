#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The first program of the original report, timed: processes write [2:6] or [6:10]
of an array of three chunks, and read all of it, again and again. This package
beside zarr-python 2 with its ProcessSynchronizer, and beside zarr-python 3 with one
lock on a file around each write (exclusive) and read (shared).

    bench/python/report.py --ours PYTHON --zarr2 PYTHON --zarr3 PYTHON
                           [--dir DIR]… [--pairs N] [--processes N] [--rounds N]
                           [--json FILE]

Each PYTHON is an interpreter that has that package. The peers take turns, as
A B B A; the result is the median of the ratios of the pairs, with quartiles. Nobody
syncs. What is timed begins when all processes have opened the array.
"""
import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile


# ----------------------------------------- one run, in the peer's interpreter ---


def opener(way, store):
    """open(first) for the peer, and what stands around a write and a read."""
    import contextlib

    spec = {"shape": (12,), "chunks": (4,), "dtype": "i4", "fill_value": 0}
    nothing = contextlib.nullcontext

    if way == "ours":
        import atomiczarr as zarr

        def open_it(first):
            return zarr.open_array(store, **({"mode": "w", "compressor": None,
                                              **spec} if first
                                             else {"mode": "r+"}))
        return open_it, nothing, nothing
    import zarr
    if way == "zarr2":
        def open_it(first):
            sync = zarr.ProcessSynchronizer(store + ".sync")
            return zarr.open_array(store, synchronizer=sync,
                                   **({"mode": "w", "compressor": None, **spec}
                                      if first else {"mode": "r+"}))
        return open_it, nothing, nothing
    import fcntl

    class Locked:
        def __init__(self, kind):
            self.kind = kind

        def __enter__(self):
            self.file = os.open(store + ".lock", os.O_RDWR | os.O_CREAT)
            fcntl.flock(self.file, self.kind)

        def __exit__(self, *_):
            os.close(self.file)

    def open_it(first):
        if first:
            return zarr.create_array(store, compressors=None, **spec)
        return zarr.open_array(store, mode="r+")

    return (open_it, lambda: Locked(fcntl.LOCK_EX), lambda: Locked(fcntl.LOCK_SH))


def one_run(way, store, processes, rounds):
    import multiprocessing
    import time

    open_it, write_lock, read_lock = opener(way, store)
    fork = multiprocessing.get_context("fork")
    gate = fork.Barrier(processes + 1)

    def work(number):
        z = open_it(False)
        z[:]
        gate.wait()
        for _ in range(rounds):
            with write_lock():
                if number % 2:
                    z[2:6] = number
                else:
                    z[6:10] = number
            with read_lock():
                z[:]
        gate.wait()

    # zarr 3 makes its event loop in each child, not here
    first = fork.Process(target=open_it, args=(True,))
    first.start()
    first.join()
    if first.exitcode:
        sys.exit("the array could not be created")
    children = [fork.Process(target=work, args=(k + 1,)) for k in range(processes)]
    for p in children:
        p.start()
    gate.wait(300)
    begin = time.perf_counter()
    gate.wait(300)
    took = time.perf_counter() - begin
    for p in children:
        p.join()
    if any(p.exitcode for p in children):
        sys.exit("a process has failed")
    print(json.dumps({"rounds": processes * rounds, "seconds": took,
                      "per_second": processes * rounds / took}))


# ----------------------------------------------------------------- all of them ---


def measure(python, way, directory, options):
    here = tempfile.mkdtemp(prefix="azr-report-", dir=directory)
    try:
        done = subprocess.run(
            [python, os.path.abspath(__file__), "--run", way, here + "/x.zarr",
             str(options.processes), str(options.rounds)], text=True,
            capture_output=True, timeout=600)
        if done.returncode:
            sys.exit(f"{way}: {done.stderr}")
        return json.loads(done.stdout)["per_second"]
    finally:
        shutil.rmtree(here)


def versions(python):
    return subprocess.run(
        [python, "-c", "import importlib.metadata as m, sys\n"
         "print(sys.version.split()[0], *[f'{n} {m.version(n)}' for n in "
         "('atomiczarr', 'zarr', 'numpy') if any(d.name == n for d in "
         "m.distributions())])"], text=True, capture_output=True,
        check=True).stdout.strip()


def compare(peer, directory, options):
    pythons = {"ours": options.ours, "zarr2": options.zarr2,
               "zarr3": options.zarr3}
    for way in ("ours", peer):
        measure(pythons[way], way, directory, options)  # warm
    runs = {"ours": [], peer: []}
    for k in range(options.pairs):
        for way in (("ours", peer) if k % 2 == 0 else (peer, "ours")):
            runs[way].append(measure(pythons[way], way, directory, options))
    ratios = [a / b for a, b in zip(runs["ours"], runs[peer])]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {"peer": peer, "directory": directory, "ratio": middle,
            "quartiles": [low, high], "least": min(ratios), "most": max(ratios),
            "ours_per_second": statistics.median(runs["ours"]),
            "peer_per_second": statistics.median(runs[peer]), "runs": runs}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--ours", default=sys.executable)
    p.add_argument("--zarr2")
    p.add_argument("--zarr3")
    p.add_argument("--dir", action="append")
    p.add_argument("--pairs", type=int, default=11)
    p.add_argument("--processes", type=int, default=4)
    p.add_argument("--rounds", type=int, default=100)
    p.add_argument("--json")
    options = p.parse_args()
    if options.pairs < 2:
        p.error("--pairs is 2 or more")
    peers = [n for n in ("zarr2", "zarr3") if getattr(options, n)]
    if not peers:
        p.error("--zarr2 or --zarr3, or both, are needed")
    results = []
    for directory in options.dir or [os.getcwd(), "/dev/shm"]:
        for peer in peers:
            r = compare(peer, directory, options)
            results.append(r)
            print(f"{r['peer']} {r['directory']}: ours is {r['ratio']:.2f} times as "
                  f"fast ({r['quartiles'][0]:.2f} to {r['quartiles'][1]:.2f}); "
                  f"{r['ours_per_second']:.0f} and {r['peer_per_second']:.0f} "
                  "rounds a second", flush=True)
    if options.json:
        with open(options.json, "w") as f:
            json.dump({"machine": platform.platform(), "cores": os.cpu_count(),
                       "load": os.getloadavg(),
                       "processes": options.processes, "rounds": options.rounds,
                       "pythons": {n: versions(getattr(options, n))
                                   for n in ["ours"] + peers},
                       "results": results}, f, indent=1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        one_run(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    else:
        main()
