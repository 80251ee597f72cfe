# SPDX-License-Identifier: Apache-2.0
"""dask: blocks that do not fit the chunks, without a lock; then as one commit."""
import dask.array as da
import numpy as np
import zarr

from atomiczarr.zarr import AtomicStore, transaction

x = np.arange(10000).reshape(100, 100)
store = AtomicStore("example.zarr")
z = zarr.create_array(store, shape=x.shape, chunks=(30, 30), dtype="i8")

# Each block is one transaction: those that share chunks wait for each other.
da.store(da.from_array(x, chunks=(17, 23)), z, lock=False)
print((z[:] == x).all())
#> True

with transaction(store):                            # all blocks at one instant
    da.store(da.from_array(x + 1, chunks=(17, 23)), z, lock=False)
    print((zarr.open_array(AtomicStore("example.zarr"))[:] == x).all())
#> True
print((z[:] == x + 1).all())
#> True
