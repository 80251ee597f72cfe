#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Codec pipelines of zarr-python 3 beside each other: aligned bulk reads and writes
of one array, by codec and size of chunks.

    bench/python/pipeline.py [--mib 64] [--rounds 7] [--threads 2] [--sharded]
                             [--codecs raw,zstd] [--chunks 65536,1048576] [DIRECTORY]

In each round every pipeline does the same once, in an order that changes. Prints
one JSON document: per case and pipeline the medians of seconds and of processor
seconds, and of the ratios to ours of the same round (above 1: ours is faster).
DIRECTORY should be on tmpfs; what is made there is removed. Pipelines that are not
installed are left out, and named.
"""
import argparse
import importlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time

import numpy as np
import zarr

import atomiczarr as az

PIPELINES = {
    "atomiczarr": "atomiczarr.zarr.AtomicCodecPipeline",
    "zarr": "zarr.core.codec_pipeline.BatchedCodecPipeline",
    "fused": "zarr.core.codec_pipeline.FusedCodecPipeline",
    "zarrs": "zarrs.ZarrsCodecPipeline",
}
CODECS = {
    "raw": None,
    "zstd": {"name": "zstd", "configuration": {"level": 1, "checksum": False}},
    "gzip": {"name": "gzip", "configuration": {"level": 1}},
    "blosc": {"name": "blosc", "configuration": {
        "cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 4,
        "blocksize": 0}},
}


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("directory", nargs="?", default="/dev/shm")
    p.add_argument("--mib", type=int, default=64)
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--codecs", default="raw,zstd,blosc,gzip")
    p.add_argument("--chunks", default="65536,1048576,33554432")
    p.add_argument("--sharded", action="store_true",
                   help="shards of 16 chunks, which zarr's codecs do for us")
    return p.parse_args()


def installed():
    found, missing = {}, []
    for name, path in PIPELINES.items():
        module, kind = path.rsplit(".", 1)
        try:
            getattr(importlib.import_module(module), kind)
            found[name] = path
        except (ImportError, AttributeError):
            missing.append(name)
    return found, missing


def values(n):
    """Numbers that compress to about a half, as measured ones do."""
    rng = np.random.default_rng(1)
    steps = rng.integers(-500, 501, n, dtype="i4")
    return np.cumsum(steps, dtype="i4")


def timed(fn):
    cpu, wall = time.process_time(), time.perf_counter()
    fn()
    return time.perf_counter() - wall, time.process_time() - cpu


def array_of(path, pipeline, x, codec, chunk, sharded):
    compressors = CODECS[codec]
    with zarr.config.set({"codec_pipeline.path": pipeline}):
        return zarr.create_array(
            path, shape=x.shape, dtype=x.dtype, chunks=(chunk // 4,),
            shards=(chunk * 4,) if sharded else None,
            compressors=None if compressors is None else [compressors])


def summary(rounds, names):
    ours = [r["atomiczarr"] for r in rounds]
    found = {}
    for name in names:
        mine = [r[name] for r in rounds]
        found[name] = {
            "seconds": statistics.median(w for w, _ in mine),
            "cpu_seconds": statistics.median(c for _, c in mine),
            "ratio": statistics.median(
                m[0] / o[0] for m, o in zip(mine, ours)),
            "cpu_ratio": statistics.median(
                m[1] / max(o[1], 1e-9) for m, o in zip(mine, ours))}
    return found


def one_case(directory, pipelines, x, codec, chunk, o):
    arrays = {name: array_of(os.path.join(directory, name), path, x, codec,
                             chunk, o.sharded)
              for name, path in pipelines.items()}
    names = list(arrays)
    cases = []

    def write(z):
        z[...] = x

    def read(z):
        return z[...]

    for what, do in (("write", write), ("read", read)):
        for z in arrays.values():
            do(z)  # warm
        rounds = []
        for k in range(o.rounds):
            order = names[k % len(names):] + names[:k % len(names)]
            rounds.append({n: timed(lambda: do(arrays[n])) for n in order})
        cases.append({"what": what, "codec": codec, "chunk_nbytes": chunk,
                      "nbytes": x.nbytes,
                      "pipelines": summary(rounds, names)})
    for name, z in arrays.items():
        if not np.array_equal(z[...], x):
            sys.exit(f"{name} read something else than what it wrote")
        shutil.rmtree(os.path.join(directory, name))
    return cases


def main():
    o = arguments()
    pipelines, missing = installed()
    zarr.config.set({"threading.max_workers": o.threads})
    az.set_threads(o.threads)
    x = values(o.mib << 18)
    cases = []
    with tempfile.TemporaryDirectory(dir=o.directory) as directory:
        for codec in o.codecs.split(","):
            for chunk in map(int, o.chunks.split(",")):
                cases += one_case(directory, pipelines, x, codec, chunk, o)
    json.dump({"zarr": zarr.__version__, "python": sys.version.split()[0],
               "numpy": np.__version__, "threads": o.threads,
               "rounds": o.rounds, "sharded": o.sharded,
               "directory": o.directory, "missing": missing,
               "load": os.getloadavg()[0], "cases": cases},
              sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
