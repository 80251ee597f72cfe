#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Documents of arrays, ours against zarr-python.

    fuzz/differ.py AZR [--seed N] [--count N] [--list FILE] [--keep DIR]

Makes documents from a seed: valid ones, and ones with one or two things changed.
Each is an array without chunks. `azr info --json` and
`azr attrs --json` open it, and so does zarr-python. What both take must say the
same shape, chunks, data type, byte order, fill value, order and attributes. What
one takes and the other refuses must be a row of differences.tsv, which names who
refuses, a pattern of his message and the reason; so must values that differ. The
last line is `N passed, N failed`.
"""

import argparse
import copy
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import zarr

HERE = os.path.dirname(os.path.abspath(__file__))
TYPES = {
    "bool": "|b1", "int8": "|i1", "int16": "i2", "int32": "i4", "int64": "i8",
    "uint8": "|u1", "uint16": "u2", "uint32": "u4", "uint64": "u8",
    "float16": "f2", "float32": "f4", "float64": "f8",
    "complex64": "c8", "complex128": "c16",
}


def fill_value(rng, name):
    """A fill value that a document of format 3 may have."""
    dtype = np.dtype(name)
    if name == "bool":
        return rng.choice([True, False])
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return rng.choice([0, 1, int(info.min), int(info.max),
                           rng.randint(int(info.min), int(info.max))])
    real = rng.choice([0, 0.0, 1, -1.5, 0.1, 2.0**-10, "NaN", "Infinity",
                       "-Infinity", -0.0])
    if dtype.kind == "c":
        return [real, rng.choice([0.0, 1.25, "NaN", -3])]
    if rng.random() < 0.1:
        bits = 0x7E00 if dtype.itemsize == 2 else 0x3F800000
        return f"0x{bits << (dtype.itemsize == 8) * 32:0{2 * dtype.itemsize}x}"
    return real


def compressor_3(rng):
    return rng.choice([
        {"name": "gzip", "configuration": {"level": rng.randint(0, 9)}},
        {"name": "zstd", "configuration": {"level": rng.randint(-5, 22),
                                           "checksum": rng.random() < 0.5}},
        {"name": "crc32c"},
        {"name": "blosc", "configuration": {
            "cname": rng.choice(["lz4", "zstd", "zlib", "blosclz", "lz4hc"]),
            "clevel": rng.randint(0, 9), "typesize": rng.choice([1, 2, 4, 8]),
            "shuffle": rng.choice(["noshuffle", "shuffle", "bitshuffle"]),
            "blocksize": rng.choice([0, 256, 4096])}},
    ])


def attributes(rng):
    return rng.choice([{}, {"a": 1}, {"unit": "m", "n": [1, 2.5, None]},
                       {"é": {"ключ": True}}, {"big": 2**53}, {"": ""}])


def make_3(rng):
    name = rng.choice(list(TYPES))
    rank = rng.choice([0, 1, 1, 2, 2, 3])
    codecs = []
    if rank and rng.random() < 0.3:
        order = list(range(rank))
        rng.shuffle(order)
        codecs.append({"name": "transpose", "configuration": {"order": order}})
    codecs.append({"name": "bytes", "configuration":
                   {"endian": rng.choice(["little", "big"])}})
    codecs += [compressor_3(rng) for _ in range(rng.choice([0, 1, 1, 2]))]
    doc = {
        "zarr_format": 3, "node_type": "array",
        "shape": [rng.choice([0, 1, 5, 100, 2**40]) for _ in range(rank)],
        "data_type": name,
        "chunk_grid": {"name": "regular", "configuration": {
            "chunk_shape": [rng.choice([1, 3, 10, 64]) for _ in range(rank)]}},
        "chunk_key_encoding": rng.choice([
            {"name": "default", "configuration": {"separator": "/"}},
            {"name": "default", "configuration": {"separator": "."}},
            {"name": "v2", "configuration": {"separator": "."}},
            {"name": "default"}]),
        "fill_value": fill_value(rng, name), "codecs": codecs,
        "attributes": attributes(rng),
    }
    if rng.random() < 0.3:
        doc["dimension_names"] = [rng.choice(["x", "y", None, ""])
                                  for _ in range(rank)]
    return doc, None


def make_2(rng):
    name = rng.choice(list(TYPES))
    rank = rng.choice([0, 1, 1, 2, 2, 3])
    code = TYPES[name]
    fill = fill_value(rng, name)
    if isinstance(fill, (list, str)) and fill not in ("NaN", "Infinity",
                                                      "-Infinity"):
        fill = rng.choice([0, None])
    doc = {
        "zarr_format": 2,
        "shape": [rng.choice([0, 1, 5, 100, 2**40]) for _ in range(rank)],
        "chunks": [rng.choice([1, 3, 10, 64]) for _ in range(rank)],
        "dtype": code if code[0] == "|" else rng.choice("<>") + code,
        "fill_value": rng.choice([fill, fill, None]),
        "order": rng.choice("CF"), "filters": None,
        "compressor": rng.choice([
            None, {"id": "zlib", "level": 1}, {"id": "gzip", "level": 5},
            {"id": "zstd", "level": 3}, {"id": "lz4", "acceleration": 1},
            {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1,
             "blocksize": 0}]),
    }
    if rng.random() < 0.5:
        doc["dimension_separator"] = rng.choice("./")
    return doc, rng.choice([None, {}, {"a": 1}, {"é": [None, 2]}])


STRANGE = [None, True, False, 0, 1, -1, 2, 3, 3.0, 2.5, 2**31, 2**63, 2**64, -1e400,
           "", "1", "C", "/", "int32", "<i4", ">f8", "|b1", "NaN", "Infinity",
           "0x7fc00000", "AAAAAA==", "default", "regular", "bytes", [], [0], [1],
           [1, 1], [-1], {}, {"name": "gzip"}, {"id": "delta", "dtype": "<i4"},
           {"name": "unknown"}, {"must_understand": False}, math.nan]


def places(value, path=()):
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], path + (key,))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from places(item, path + (i,))


def mutate(rng, doc):
    """One place: another value, removed, doubled, or a member more."""
    doc = copy.deepcopy(doc)
    path = rng.choice([p for p in places(doc)
                       if p and p[0] != "attributes"])
    at = doc
    for step in path[:-1]:
        at = at[step]
    how = rng.random()
    if how < 0.6:
        at[path[-1]] = rng.choice(STRANGE)
    elif how < 0.8:
        del at[path[-1]]
    elif isinstance(at, list):
        at.append(copy.deepcopy(at[path[-1]]))
    else:
        at[rng.choice(["extra", "name", "order", "filters", "configuration",
                       "storage_transformers"])] = rng.choice(STRANGE)
    return doc


def write(path, doc, zattrs):
    os.makedirs(path)
    name = "zarr.json" if "node_type" in doc or doc.get("zarr_format") == 3 \
        else ".zarray"
    with open(os.path.join(path, name), "w", encoding="utf-8") as f:
        json.dump(doc, f)
    if zattrs is not None and name == ".zarray":
        with open(os.path.join(path, ".zattrs"), "w", encoding="utf-8") as f:
            json.dump(zattrs, f)
    return 3 if name == "zarr.json" else 2


def canonical(value):
    """A fill value as bytes of text, whichever NaN."""
    value = np.asarray(value)
    if value.dtype.kind == "c":
        return [canonical(value.real), canonical(value.imag)]
    if value.dtype.kind == "f":
        return "NaN" if np.isnan(value) else repr(float(value))
    if value.dtype.kind == "b":
        return bool(value)
    return int(value)


def our_fill(value, name):
    if value is None:
        return None
    dtype = np.dtype(name)
    if dtype.kind == "c":
        parts = [float(v) for v in value]
        return canonical(np.array(complex(*parts), dtype))
    if dtype.kind == "f":
        return canonical(np.array(float(value), dtype))
    return canonical(np.array(value, dtype))


def ask_ours(azr, path):
    def run(*words):
        return subprocess.run([azr, *words], capture_output=True, timeout=60,
                              check=False)
    r = run("info", "--json", path)
    if r.returncode < 0 or r.returncode > 10:
        return None, f"CRASH: exit {r.returncode}"
    if r.returncode != 0:
        return None, r.stderr.decode("utf-8", "replace").strip()
    info = json.loads(r.stdout)
    if info["kind"] != "array":
        return None, "a group"
    r = run("attrs", "--json", path)
    if r.returncode != 0:
        return None, "attrs: " + r.stderr.decode("utf-8", "replace").strip()
    attrs = json.loads(r.stdout)
    return {
        "shape": info["shape"], "chunks": info["chunks"],
        "dtype": info["dtype"], "fill": our_fill(info["fill_value"],
                                                 info["dtype"]),
        "order": info["order"] if info["zarr_format"] == 2 else "C",
        "attributes": attrs.get("attributes", attrs),
    }, None


def ask_zarr(path, zarr_format):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            a = zarr.open_array(path, mode="r", zarr_format=zarr_format)
            fill = a.fill_value
            if zarr_format == 2:
                fill = a.metadata.fill_value
            name = a.dtype.name if hasattr(a.dtype, "name") else str(a.dtype)
            return {
                "shape": list(a.shape), "chunks": list(a.chunks),
                "dtype": name,
                "fill": None if fill is None else canonical(fill),
                "order": a.metadata.order if zarr_format == 2 else "C",
                "attributes": dict(a.attrs),
            }, None
    except Exception as e:  # whatever it raises is its way to refuse
        return None, f"{type(e).__name__}: {e}".splitlines()[0]


class Differences:
    """Rows: who refuses (or `differs`), pattern, reason."""

    def __init__(self, path):
        self.rows = []
        with open(path, encoding="utf-8") as f:
            for line in f:
                if line.strip() and not line.startswith("#"):
                    who, pattern, reason = line.rstrip("\n").split("\t")
                    self.rows.append((who, re.compile(pattern), reason))
        self.used = {}

    def allows(self, who, text):
        for row in self.rows:
            if row[0] == who and row[1].search(text):
                self.used[row] = self.used.get(row, 0) + 1
                return True
        return False


def judge(case, differences):
    """(verdict, text); verdict None is a failure."""
    doc, ours, theirs = case["doc"], case["ours"], case["theirs"]
    if ours[1] and ours[1].startswith("CRASH"):
        return None, ours[1]
    if ours[0] is None and theirs[0] is None:
        return "both refuse", ""
    if ours[0] is None:
        ok = differences.allows("ours", ours[1])
        return ("ours refuses" if ok else None), f"ours: {ours[1]}"
    if theirs[0] is None:
        ok = differences.allows("zarr", theirs[1])
        return ("zarr refuses" if ok else None), f"zarr: {theirs[1]}"
    wrong = [k for k in ours[0] if ours[0][k] != theirs[0][k]]
    if not wrong:
        return "the same", ""
    text = "; ".join(f"{k}: {ours[0][k]!r}, zarr {theirs[0][k]!r}"
                     for k in wrong)
    ok = differences.allows("differs", text)
    return ("differs" if ok else None), f"differs: {text} <{doc.get('dtype')}>"


def make_cases(seed, count):
    rng = random.Random(seed)
    for i in range(count):
        doc, zattrs = (make_3 if rng.random() < 0.5 else make_2)(rng)
        for _ in range(rng.choice([0, 1, 1, 2])):
            doc = mutate(rng, doc)
        yield {"number": i, "doc": doc, "zattrs": zattrs}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("azr")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--list", default=os.path.join(HERE, "differences.tsv"))
    args = parser.parse_args()
    differences = Differences(args.list)
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    tmp = tempfile.mkdtemp(prefix="azr-differ-", dir=base)
    cases = list(make_cases(args.seed, args.count))
    counts, failed = {}, 0
    try:
        for c in cases:
            c["path"] = os.path.join(tmp, str(c["number"]))
            c["format"] = write(c["path"], c["doc"], c["zattrs"])
        with ThreadPoolExecutor(2) as pool:
            answers = pool.map(lambda c: ask_ours(args.azr, c["path"]), cases)
            for c, ours in zip(cases, answers):
                c["ours"] = ours
        for c in cases:
            c["theirs"] = ask_zarr(c["path"], c["format"])
            verdict, text = judge(c, differences)
            if verdict is None:
                failed += 1
                print(f"FAILED seed {args.seed} number {c['number']}: {text}")
                print(f"    {json.dumps(c['doc'])}")
            else:
                counts[verdict] = counts.get(verdict, 0) + 1
    finally:
        shutil.rmtree(tmp)
    print(f"zarr {zarr.__version__}, seed {args.seed}, {len(cases)} documents: "
          + ", ".join(f"{n} {v}" for v, n in sorted(counts.items())))
    both = counts.get("the same", 0)
    if both * 10 < len(cases) and len(cases) >= 100:
        print("FAILED void: fewer than a tenth were taken by both")
        failed += 1
    print(f"{len(cases) - failed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
