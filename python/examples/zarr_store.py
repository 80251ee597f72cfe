# SPDX-License-Identifier: Apache-2.0
"""zarr-python's own arrays in an AtomicStore: attributes, shapes, commits."""
import numpy as np
import zarr

import atomiczarr as az
from atomiczarr.zarr import AtomicStore, transaction

store = AtomicStore("example.zarr")
g = zarr.create_group(store)
t = g.create_array("t", shape=(0,), chunks=(4,), dtype="i8")
v = g.create_array("v", shape=(0, 3), chunks=(4, 3), dtype="f4")

# Two programs with the same array open, each of which knows only its own.
mine, others = v, zarr.open_array(AtomicStore("example.zarr"), path="v")
mine.attrs["units"] = "m"
others.attrs["source"] = "buoy 7"
print(sorted(zarr.open_array(store, path="v").attrs))
#> ['source', 'units']

# Several arrays grow at one instant, or not at all.
with transaction(store):
    t.append(np.arange(5))
    v.append(np.ones((5, 3)))
    print(zarr.open_array(AtomicStore("example.zarr"), path="t").shape, t.shape)
#> (0,) (5,)
print(zarr.open_array(AtomicStore("example.zarr"), path="t").shape)
#> (5,)

# What another one has resized meanwhile is not undone, and says so.
try:
    others.resize((2, 3))
except az.errors.ConflictError:
    print("conflict", zarr.open_array(store, path="v").shape)
#> conflict (5, 3)
