# SPDX-License-Identifier: Apache-2.0
"""Money moves between two arrays while others do the same: a transaction that
is run again when somebody was faster."""
import threading

import atomiczarr as az

a = az.open("a.zarr", "w", shape=4, chunks=2, dtype="i8")
b = az.open("b.zarr", "w", shape=4, chunks=2, dtype="i8")
a[:] = 100


@az.transactional
def move(i, j, amount):
    if a[i] < amount:
        return False
    a[i] -= amount
    b[j] += amount
    return True


threads = [threading.Thread(target=move, args=(k % 2, k % 4, 10))
           for k in range(12)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(a[:], b[:], az.run(lambda: a[:].sum() + b[:].sum()))
#> [ 40  40 100 100] [30 30 30 30] 400
