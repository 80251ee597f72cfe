# SPDX-License-Identifier: Apache-2.0
"""Processes append to one array: no gap, no overlap, no loss."""
from multiprocessing import Pool

import numpy as np

import atomiczarr as az


def work(args):
    z, k = args
    return z.append_at(np.full((5, 2), k))     # handles go to other processes


if __name__ == "__main__":
    z = az.open("log.zarr", "w", shape=(0, 2), chunks=(4, 2), dtype="i4")
    with Pool(4) as pool:
        offsets = pool.map(work, [(z, k) for k in range(20)])
    print(sorted(offsets) == list(range(0, 100, 5)), z.shape)
#> True (100, 2)
    print(all((z[at:at + 5] == k).all() for k, at in enumerate(offsets)))
#> True
