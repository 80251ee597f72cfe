# SPDX-License-Identifier: Apache-2.0
"""asyncio."""
import asyncio
import multiprocessing
import threading

import numpy as np
import pytest

import atomiczarr as az
from atomiczarr import aio


def run(main):
    return asyncio.run(asyncio.wait_for(main, 60))


def test_operations(path, tmp_path):
    async def main():
        z = await aio.create_array(path, shape=12, chunks=4, dtype="i4")
        await z.write(np.s_[2:6], 8)
        await z.update(np.s_[:3], lambda x: x + 1)
        assert (await z.read(np.s_[:7])).tolist() == [1, 1, 9, 8, 8, 8, 0]
        assert await z.append([1, 2]) == (14,) and z.shape == (14,)
        assert await z.append_at([3]) == 14
        await z.resize(4)
        await z.update_attributes({"a": 1, "b": 2})
        assert await z.attributes() == {"a": 1, "b": 2}
        assert await aio.run(lambda: int(z.array[:].sum())) == 19
        out = np.zeros(4, "i4")
        assert await z.read(out=out) is out and out.sum() == 19
        async with await z.snapshot() as s:
            await z.write(0, 100)
            assert (await s.read(0)) == 1
        assert await aio.append_all({z: [5]}) == [4]
        g = await aio.create_group(tmp_path / "g")
        x = await g.create_array("x", shape=3, dtype="i4")
        async with await aio.snapshot(x, z) as (a, b):
            assert (await b.read(4)) == 5
        assert await g.keys() == ["x"] and await g.attributes() == {}
        assert isinstance(await g.get("x"), aio.Array)
        with pytest.raises(FileNotFoundError):
            await aio.open(tmp_path / "nothing", "r")
        with pytest.raises(AttributeError):
            z.nothing
        assert "aio.Array" in repr(z)
    run(main())


def test_many_tasks(path):
    """More than there are threads, all of the same chunk."""
    async def main():
        z = await aio.create_array(path, shape=4, chunks=4, dtype="i8")

        async def add():
            await z.update(np.s_[:], lambda x: x + 1)
        await asyncio.gather(*[add() for _ in range(3 * aio.THREADS)])
        assert (await z.read()).tolist() == [3 * aio.THREADS] * 4
    run(main())


def waits(z):
    yield lambda: z.write(0, 1)
    yield lambda: z.update(0, lambda x: x + 1)
    yield lambda: z.resize(3)
    yield lambda: z.append([1])
    yield lambda: z.update_attributes({"x": 1, "y": 2})
    yield lambda: aio.run(lambda: z.array.__setitem__(0, z.array[0] + 1))
    yield lambda: aio.append_all({z: [1]})


@pytest.mark.parametrize("k", range(7))
def test_cancelling_ends_a_wait(line, k):
    inside, go = threading.Event(), threading.Event()

    def hold(x):
        inside.set()
        assert go.wait(60)

    async def main():
        z = aio.Array(line)
        holder = asyncio.create_task(z.update(np.s_[:], hold))
        while not inside.is_set():
            await asyncio.sleep(0.001)
        task = asyncio.create_task(list(waits(z))[k]())
        await asyncio.sleep(0.05)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TimeoutError):
            await z.write(0, 1, timeout=0)
        assert not holder.done()
        go.set()
        await holder
        assert not (await z.read()).any() and z.shape == (12,)
        assert await z.attributes() == {}
    run(main())


def test_watch(line):
    async def main():
        z = aio.Array(line)
        seen = []

        async def look():
            async for _ in z.watch(timeout=10):
                seen.append(int(await z.read(0)))
                if seen[-1] == 5:
                    return
        task = asyncio.create_task(look())
        await asyncio.sleep(0)
        for k in range(1, 6):
            await z.write(0, k)
        await task
        assert seen == sorted(seen)
        assert [v async for v in z.watch(timeout=0.01)] == []
        endless = asyncio.create_task(z.watch().__anext__())
        await asyncio.sleep(0.01)
        endless.cancel()
        with pytest.raises(asyncio.CancelledError):
            await endless
    run(main())


def test_not_in_a_transaction(line):
    async def main():
        with az.transaction():
            with pytest.raises(RuntimeError, match="aio.run"):
                await aio.Array(line).read()
    run(main())


def in_child(z, queue):
    async def main():
        await aio.Array(z).write(0, 5)
        return int((await aio.Array(z).read())[0])
    queue.put(run(main()))


def test_in_a_forked_child(line):
    async def main():
        await aio.Array(line).write(1, 1)
    run(main())
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    p = context.Process(target=in_child, args=(line, queue))
    p.start()
    assert queue.get(timeout=60) == 5
    p.join()
