# SPDX-License-Identifier: Apache-2.0
"""xarray: a whole to_zarr, with its variables and attributes, as one commit."""
import warnings

import numpy as np
import xarray as xr

from atomiczarr.zarr import AtomicStore, transaction

warnings.simplefilter("ignore")  # of consolidated metadata in format 3


def days(first, stop):
    t = np.arange(first, stop)
    return xr.Dataset({"temperature": ("time", 10.0 + t)}, {"time": t})


def seen():
    """What another program finds."""
    return xr.open_zarr(AtomicStore("weather.zarr"))["time"].values.tolist()


store = AtomicStore("weather.zarr")
with transaction(store):
    days(0, 3).to_zarr(store, mode="w")
print(seen())
#> [0, 1, 2]

with transaction(store):
    days(3, 5).to_zarr(store, append_dim="time")
    print(seen())
#> [0, 1, 2]
print(seen())
#> [0, 1, 2, 3, 4]

try:
    with transaction(store):                        # a new version of all of it
        days(10, 12).to_zarr(store, mode="w")
        raise KeyboardInterrupt
except KeyboardInterrupt:
    print(seen())
#> [0, 1, 2, 3, 4]

days(1, 3).to_zarr(store, region={"time": slice(1, 3)})  # each variable: one step
print(seen())
#> [0, 1, 2, 3, 4]
