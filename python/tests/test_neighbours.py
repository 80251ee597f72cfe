# SPDX-License-Identifier: Apache-2.0
"""Programs that write to our arrays. Skipped where they are not installed."""
import numpy as np
import pytest

import atomiczarr as az


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_dask_with_blocks_that_cross_chunks(path, scheduler):
    dask = pytest.importorskip("dask")
    da = pytest.importorskip("dask.array")
    x = np.arange(10000, dtype="i4").reshape(100, 100)
    z = az.open(path, "w", shape=x.shape, chunks=(30, 30), dtype="i4")
    with dask.config.set(scheduler=scheduler, num_workers=4):
        da.store(da.from_array(x, chunks=(17, 23)), z, lock=False)
        np.testing.assert_array_equal(z[:], x)
        assert da.from_array(z, chunks=z.chunks).sum().compute() == x.sum()
