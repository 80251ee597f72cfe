# SPDX-License-Identifier: Apache-2.0
"""Create, write, read, change: each one step, across chunks and processes."""
import numpy as np

import atomiczarr as az

z = az.open("example.zarr", "w", shape=12, chunks=4, dtype="i4")
z[2:6] = 8                                     # two chunks, one transaction
print(z[:])                                    # one snapshot
#> [0 0 8 8 8 8 0 0 0 0 0 0]

z.update(np.s_[4:8], lambda x: x + 1)          # no other write can get lost
print(z[:])
#> [0 0 8 8 9 9 1 1 0 0 0 0]

print(z.append([5, 5]), z.append_at([6]))      # new shape; where it landed
#> (14,) 14

with az.transaction():                         # several steps as one
    z[0] = z[3]
    z[1] = z[5]
print(z[:2], z.shape)
#> [8 9] (15,)
