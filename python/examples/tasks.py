# SPDX-License-Identifier: Apache-2.0
"""Tasks of asyncio that write to one array, one that watches it, and one that gives
up waiting."""
import asyncio

import numpy as np

from atomiczarr import aio


async def main():
    z = await aio.create_array("counts.zarr", shape=8, chunks=4, dtype="i8")

    async def watch():
        async for _ in z.watch(timeout=30):
            if (await z.read(0)) == 10:
                return

    watcher = asyncio.create_task(watch())
    await asyncio.sleep(0)
    await asyncio.gather(*[z.update(np.s_[2:6], lambda x: x + 1)
                           for _ in range(10)])
    print((await z.read()).tolist())
    #> [0, 0, 10, 10, 10, 10, 0, 0]

    def move():  # a transaction, on a thread
        z.array[0] = z.array[2]
    await aio.run(move)
    await watcher
    print("the watcher saw it")
    #> the watcher saw it


asyncio.run(main())
