#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Another implementation of Zarr reads what ours wrote, or writes for ours.

    check.py read  PEER DIRECTORY        every array of DIRECTORY/manifest.jsonl
    check.py write PEER DIRECTORY OUT READER
                                         the same arrays, made by the peer in OUT
                                         and read by our program READER

PEER is zarr2, zarr3 or tensorstore. A cell that the peer cannot do is a row of
peers.tsv with a piece of the peer's own error, or of what our reader found. A cell that fails and is not
listed, one that is listed and works, and a row that no cell needs are failures.
The last line is `N passed, N failed`, where listed cells are in neither number.
"""
import collections
import fnmatch
import json
import os
import subprocess
import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))


def document_of(directory, cell):
    name = ".zarray" if cell["format"] == 2 else "zarr.json"
    with open(os.path.join(directory, cell["path"], name), "rb") as f:
        return json.load(f)


def scalar_of(value, dtype):
    """The fill value of a document as a NumPy scalar."""
    if value is None:
        return None
    if dtype.kind == "c":
        return dtype.type(complex(*(float(part) for part in value)))
    if isinstance(value, str) and value.startswith("0x"):
        return np.frombuffer(
            int(value, 16).to_bytes(dtype.itemsize, "little"),
            dtype.newbyteorder("<"))[0]
    return dtype.type(value)


# ---------------------------------------------------------------- the peers


class Zarr2:
    def __init__(self):
        import zarr
        import numcodecs

        self.zarr, self.numcodecs = zarr, numcodecs
        self.version = f"zarr {zarr.__version__}, numcodecs {numcodecs.__version__}"

    def open(self, path, cell):
        return self.zarr.open_array(path, mode="r")

    def elements(self, array):
        return array[...]

    def attributes(self, array):
        return array.attrs.asdict()

    def names(self, array):
        raise NotImplementedError("names are of format 3")

    def make(self, path, cell, document, dtype):
        if cell["format"] != 2:
            raise NotImplementedError("format 3 is not of zarr 2")
        compressor = document["compressor"]
        array = self.zarr.create(
            store=path,
            shape=tuple(document["shape"]),
            chunks=tuple(document["chunks"]),
            dtype=dtype.newbyteorder(">" if cell["big_endian"] else "<"),
            compressor=compressor and self.numcodecs.get_codec(compressor),
            fill_value=scalar_of(document["fill_value"], dtype),
            order=document["order"],
            dimension_separator=document["dimension_separator"])
        if "attributes" in cell:
            array.attrs.put(json.loads(cell["attributes"]))
        return array

    def put(self, array, values):
        array[...] = values


class Zarr3(Zarr2):
    def names(self, array):
        return list(array.metadata.dimension_names)

    def make(self, path, cell, document, dtype):
        arguments = {
            "store": path,
            "shape": tuple(document["shape"]),
            "zarr_format": cell["format"],
            "fill_value": scalar_of(document["fill_value"], dtype),
            "attributes": json.loads(cell.get("attributes", "{}")),
        }
        if cell["format"] == 2:
            compressor = document["compressor"]
            arguments.update(
                chunks=tuple(document["chunks"]),
                dtype=dtype.newbyteorder(">" if cell["big_endian"] else "<"),
                order=document["order"],
                filters=None,
                compressors=compressor and self.numcodecs.get_codec(compressor),
                chunk_key_encoding={
                    "name": "v2",
                    "separator": document["dimension_separator"]})
        else:
            codecs = document["codecs"]
            at = next(i for i, c in enumerate(codecs) if c["name"] == "bytes")
            key = document["chunk_key_encoding"]
            arguments.update(
                chunks=tuple(
                    document["chunk_grid"]["configuration"]["chunk_shape"]),
                dtype=dtype,
                filters=codecs[:at] or None,
                serializer=codecs[at],
                compressors=codecs[at + 1:] or None,
                dimension_names=document.get("dimension_names"),
                chunk_key_encoding={"name": key["name"], **key["configuration"]})
        return self.zarr.create_array(**arguments)


class TensorStore:
    def __init__(self):
        import importlib.metadata
        import tensorstore

        self.ts = tensorstore
        self.version = "tensorstore " + importlib.metadata.version("tensorstore")
        self.context = tensorstore.Context()

    def spec(self, path, cell):
        return {
            "driver": "zarr" if cell["format"] == 2 else "zarr3",
            "kvstore": {"driver": "file", "path": path + "/"},
        }

    def open(self, path, cell):
        return self.ts.open(self.spec(path, cell), read=True, open=True,
                            context=self.context).result()

    def elements(self, array):
        return array.read().result()

    def attributes(self, array):
        spec = array.spec().to_json()
        if spec["driver"] == "zarr3":  # it leaves out an empty object
            return spec["metadata"].get("attributes", {})
        return spec["metadata"]["attributes"]

    def names(self, array):
        return [label or None for label in array.domain.labels]

    def make(self, path, cell, document, dtype):
        spec = self.spec(path, cell)
        spec["metadata"] = dict(document)
        if cell["format"] == 3 and "attributes" in cell:
            spec["metadata"]["attributes"] = json.loads(cell["attributes"])
        array = self.ts.open(spec, create=True, context=self.context).result()
        if cell["format"] == 2 and "attributes" in cell:
            self.attributes(array)  # it has no way to set them
        return array

    def put(self, array, values):
        array.write(values).result()


PEERS = {"zarr2": Zarr2, "zarr3": Zarr3, "tensorstore": TensorStore}


# ------------------------------------------------------------------- cells


class Differs(Exception):
    pass


def expected_attributes(cell):
    if cell["kind"] in ("pending", "recovered"):
        return {"answer": cell["answer"]}
    return json.loads(cell["attributes"])


def read_cell(peer, directory, cell):
    array = peer.open(os.path.join(directory, cell["path"]), cell)
    if list(array.shape) != cell["shape"]:
        raise Differs(f"shape is {list(array.shape)}, need {cell['shape']}")
    values = np.asarray(peer.elements(array))
    dtype = np.dtype(cell["dtype"])
    if (values.dtype.kind, values.dtype.itemsize) != (dtype.kind, dtype.itemsize):
        raise Differs(f"dtype is {values.dtype}, need {dtype}")
    found = values.astype(dtype.newbyteorder("<")).tobytes(order="C")
    with open(os.path.join(directory, cell["raw"]), "rb") as f:
        wanted = f.read()
    if found != wanted:
        n = next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b),
                 min(len(found), len(wanted)))
        raise Differs(f"elements differ from byte {n} on")
    if "attributes" in cell and (cell["kind"] == "attributes"
                                 or cell["format"] == 3):
        found = json.dumps(peer.attributes(array), sort_keys=True)
        wanted = json.dumps(expected_attributes(cell), sort_keys=True)
        if found != wanted:
            raise Differs(f"attributes are {found}, need {wanted}")
    if cell["has_names"] and peer.names(array) != ["y", None]:
        raise Differs(f"dimension names are {peer.names(array)}")


def write_cell(peer, directory, out, cell, number):
    dtype = np.dtype(cell["dtype"])
    name = f"arrays/{number:04}"
    array = peer.make(os.path.join(out, name), cell,
                      document_of(directory, cell), dtype)
    raw = os.path.join(directory, cell["raw"])
    if not cell["id"].split()[7].endswith(("blank", "all-missing")):
        values = np.fromfile(raw, dtype.newbyteorder("<"))
        peer.put(array, values.astype(dtype).reshape(cell["shape"]))
    line = {"id": cell["id"], "path": name, "shape": cell["shape"],
            "raw": os.path.relpath(raw, out)}
    if cell["kind"] == "attributes":
        line["attributes"] = cell["attributes"]
    return line


def cells_to_write(cells):
    """Of the matrix, each combination with one of its keys, taking turns; all
    of the others but those that show a commit of ours."""
    groups = collections.OrderedDict()
    for cell in cells:
        words = cell["id"].split()
        if cell["kind"] == "matrix":
            del words[6]
        if cell["kind"] not in ("pending", "recovered"):
            groups.setdefault(" ".join(words), []).append(cell)
    return [group[i % len(group)] for i, group in enumerate(groups.values())]


# --------------------------------------------------------------- judgement


class Judge:
    def __init__(self, direction, peer):
        self.rows = []
        self.passed = self.failed = self.listed = 0
        with open(os.path.join(HERE, "peers.tsv"), encoding="utf-8") as f:
            for line in f.read().splitlines()[1:]:
                fields = line.split("\t")
                if len(fields) != 4:
                    sys.exit(f"peers.tsv: need 4 columns: {line}")
                if fields[:2] == [direction, peer]:
                    self.rows.append([fields[2], fields[3], 0])

    def fail(self, text):
        self.failed += 1
        print("FAILED " + text)

    def cell(self, name, error):
        rows = [r for r in self.rows if fnmatch.fnmatchcase(name, r[0])]
        if error is None and rows:
            self.fail(f"{name}: works, though peers.tsv lists it: {rows[0][1]}")
        elif error is None:
            self.passed += 1
        else:
            for row in rows:
                if row[1] in error:
                    row[2] += 1
                    self.listed += 1
                    return
            self.fail(f"{name}: {error}")

    def end(self):
        for pattern, reason, count in self.rows:
            if count == 0:
                self.fail(f"peers.tsv: no cell needs '{pattern}', {reason}")
            else:
                print(f"  listed {count:5}: {pattern}: {reason}")


def try_cell(function, *arguments):
    try:
        return function(*arguments), None
    except Exception as e:  # whatever a peer raises is its reason
        return None, " ".join(f"{type(e).__name__}: {e}".split())


def write_cells(peer, directory, out, cells):
    """Makes a manifest too; the error of each cell or None."""
    errors = {}
    os.makedirs(os.path.join(out, "arrays"))
    with open(os.path.join(out, "manifest.jsonl"), "w", encoding="utf-8") as f:
        for number, cell in enumerate(cells):
            line, errors[cell["id"]] = try_cell(
                write_cell, peer, directory, out, cell, number)
            if line:
                f.write(json.dumps(line) + "\n")
    return errors


def our_errors(reader, out):
    results = os.path.join(out, "results")
    subprocess.run([reader, out, results], stdout=subprocess.DEVNULL)
    with open(results, encoding="utf-8") as f:
        lines = [line.rstrip("\n").split("\t", 1) for line in f]
    return {name: "read by us: " + error if error else None
            for name, error in lines}


def main():
    if len(sys.argv) < 4 or sys.argv[2] not in PEERS or \
            len(sys.argv) != {"read": 4, "write": 6}.get(sys.argv[1]):
        sys.exit(__doc__)
    direction, name, directory = sys.argv[1:4]
    peer = PEERS[name]()
    judge = Judge(direction, name)
    with open(os.path.join(directory, "manifest.jsonl"), encoding="utf-8") as f:
        cells = [json.loads(line) for line in f]

    if direction == "read":
        for cell in cells:
            judge.cell(cell["id"], try_cell(read_cell, peer, directory, cell)[1])
    else:
        cells = cells_to_write(cells)
        errors = write_cells(peer, directory, sys.argv[4], cells)
        ours = our_errors(sys.argv[5], sys.argv[4])
        for cell in cells:
            error = errors[cell["id"]]
            if error is None:
                error = ours.pop(cell["id"])
            judge.cell(cell["id"], error)
    judge.end()
    print(f"{direction} {name} ({peer.version}, NumPy {np.__version__}): "
          f"{len(cells)} cells, {judge.passed} checked, {judge.listed} listed, "
          f"{judge.failed} failed")
    if not cells or judge.passed == 0:
        judge.fail("no cell was checked")
    print(f"{judge.passed} passed, {judge.failed} failed")
    return 1 if judge.failed else 0


if __name__ == "__main__":
    sys.exit(main())
