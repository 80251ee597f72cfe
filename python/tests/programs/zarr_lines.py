# SPDX-License-Identifier: Apache-2.0
"""lines.py for zarr 3, and nothing but zarr: which pipeline it has is said by
the environment.

    python zarr_lines.py STORE [PROCESSES [ROUNDS]]
"""
import multiprocessing
import sys

import zarr


def work(store, number, rounds):
    z = zarr.open_array(store=store, mode="r+")
    for _ in range(rounds):
        if number % 2:
            z[2:6] = number
        else:
            z[6:10] = number
        # line and newline in one call of the system
        print(" ".join(str(n) for n in z[:]) + "\n", end="", flush=True)


if __name__ == "__main__":
    store = sys.argv[1]
    processes, rounds = (int(a) for a in (sys.argv[2:] + ["8", "25"])[:2])
    zarr.open_array(store=store, mode="w", shape=(12,), chunks=(4,), dtype="i4",
                    compressor=None, fill_value=0, zarr_format=2)
    work = [multiprocessing.Process(target=work, args=(store, k + 1, rounds))
            for k in range(processes)]
    for p in work:
        p.start()
    for p in work:
        p.join()
    sys.exit(any(p.exitcode for p in work))
