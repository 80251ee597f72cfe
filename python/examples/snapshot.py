# SPDX-License-Identifier: Apache-2.0
"""Data and their coordinates grow together; a reader sees one instant of both."""
import numpy as np

import atomiczarr as az

g = az.create_group("weather.zarr")
data = g.create_array("t2m", shape=(0, 4), chunks=(2, 4), dtype="f4")
time = g.create_array("time", shape=0, chunks=16, dtype="i8")

changes = data.watch(timeout=0)
for hour in range(3):
    az.append_all({data: np.full((1, 4), 280.0 + hour), time: [hour]})
print("changed:", len(list(changes)) > 0)
#> changed: True

with g.snapshot() as s:
    with az.transaction():  # or as a part of something larger
        data.append(np.full((1, 4), 290.0))
        time.append([3])
        data.attrs["last"] = 3
    print("then:", s["t2m"].shape, s["time"][:].tolist(), dict(s["t2m"].attrs))
#> then: (3, 4) [0, 1, 2] {}
print("now:", data.shape, time[:].tolist(), dict(data.attrs))
#> now: (4, 4) [0, 1, 2, 3] {'last': 3}

done = az.copy(g, "copy.zarr")
print("copied:", done.arrays, "arrays of one instant:", done.one_instant)
#> copied: 2 arrays of one instant: True
