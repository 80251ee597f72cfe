# SPDX-License-Identifier: Apache-2.0
"""diagonals.py for zarr 3, and nothing but zarr: which pipeline it has is said
by the environment.

    python zarr_diagonals.py STORE [PROCESSES [ROUNDS]]
"""
import multiprocessing
import random
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import zarr

N = 10


def diagonal(d):
    i = np.arange(max(0, d - N + 1), min(d, N - 1) + 1)
    return i, d - i


def step(z, number, seed):
    choose = random.Random(seed)
    z.vindex[diagonal(choose.randrange(2 * N - 1))] = number
    values = z.vindex[diagonal(choose.randrange(2 * N - 1))]
    assert (values == values[0]).all(), values


def work(store, number, rounds):
    z = zarr.open(store, mode="r+")
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(step, z, number, 1000 * number + k)
                     for k in range(rounds)]:
            done.result()


if __name__ == "__main__":
    store = sys.argv[1]
    processes, rounds = (int(a) for a in (sys.argv[2:] + ["8", "25"])[:2])
    zarr.open(store, mode="w", shape=(N, N), chunks=(2, 2), dtype="i4")
    work = [multiprocessing.Process(target=work, args=(store, k + 1, rounds))
            for k in range(processes)]
    for p in work:
        p.start()
    for p in work:
        p.join()
    sys.exit(any(p.exitcode for p in work))
