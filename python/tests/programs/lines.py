# SPDX-License-Identifier: Apache-2.0
"""A program for zarr 2, with the import changed: processes set [2:6] or [6:10]
to a number of their own and print all. With a synchronizer of zarr 2 a line can
mix two of them.

    python lines.py STORE [PROCESSES [ROUNDS]]
"""
import multiprocessing
import sys

import atomiczarr as zarr


def work(store, number, rounds):
    synchronizer = zarr.ProcessSynchronizer(store + ".sync")
    z = zarr.open_array(store=store, mode="r+", synchronizer=synchronizer)
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
    zarr.open_array(store=store, mode="w", shape=(12), chunks=(4), dtype="i4",
                    compressor=None, fill_value=0,
                    synchronizer=zarr.ProcessSynchronizer(store + ".sync"))
    work = [multiprocessing.Process(target=work, args=(store, k + 1, rounds))
            for k in range(processes)]
    for p in work:
        p.start()
    for p in work:
        p.join()
    sys.exit(any(p.exitcode for p in work))
