# SPDX-License-Identifier: Apache-2.0
"""How often does a read with zarr-python see parts of two writes?

    python torn_reads.py PATH [SECONDS]

Two processes overwrite an array of four chunks with one value each time, two
others read all of it. A read that finds two values is torn. PATH is removed.
"""
import multiprocessing
import shutil
import sys
import time

import zarr


def write(path, k, until):
    z = zarr.open_array(path, mode="r+")
    while time.time() < until:
        z[:] = k
        k = (k + 2) % 30000


def read(path, until, out):
    z = zarr.open_array(path, mode="r")
    reads = torn = 0
    while time.time() < until:
        v = z[:]
        reads += 1
        torn += bool((v != v.flat[0]).any())
    out.put((reads, torn))


def main():
    path = sys.argv[1]
    shutil.rmtree(path, ignore_errors=True)
    z = zarr.open_array(path, mode="w", shape=(4, 64, 64), chunks=(1, 64, 64),
                        dtype="i4")
    z[:] = 0
    until = time.time() + float((sys.argv + ["8"])[2])
    out = multiprocessing.Queue()
    work = [(write, (path, 0, until)), (write, (path, 1, until)),
            (read, (path, until, out)), (read, (path, until, out))]
    work = [multiprocessing.Process(target=f, args=a) for f, a in work]
    for p in work:
        p.start()
    counts = [out.get(), out.get()]
    for p in work:
        p.join()
    reads, torn = (sum(c) for c in zip(*counts))
    shutil.rmtree(path)
    print(f"zarr {zarr.__version__}: {torn:,} of {reads:,} reads torn")


if __name__ == "__main__":
    main()
