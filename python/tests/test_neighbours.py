# SPDX-License-Identifier: Apache-2.0
"""Programs that write to our arrays. Skipped where they are not installed."""
import numpy as np
import pytest

import atomiczarr as az


@pytest.mark.parametrize("scheduler", [
    "threads", pytest.param("processes", marks=pytest.mark.long)])
def test_dask_with_blocks_that_cross_chunks(path, scheduler):
    dask = pytest.importorskip("dask")
    da = pytest.importorskip("dask.array")
    x = np.arange(10000, dtype="i4").reshape(100, 100)
    z = az.open(path, "w", shape=x.shape, chunks=(30, 30), dtype="i4")
    with dask.config.set(scheduler=scheduler, num_workers=4):
        da.store(da.from_array(x, chunks=(17, 23)), z, lock=False)
        np.testing.assert_array_equal(z[:], x)
        assert da.from_array(z, chunks=z.chunks).sum().compute() == x.sum()


def test_distributed_processes(path):
    distributed = pytest.importorskip("distributed")
    da = pytest.importorskip("dask.array")
    x = np.arange(2500, dtype="i4").reshape(50, 50)
    z = az.open(path, "w", shape=x.shape, chunks=(30, 30), dtype="i4")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=2,
                                  processes=True, dashboard_address=None) as c:
        with distributed.Client(c):
            da.store(da.from_array(x, chunks=(7, 13)), z, lock=False)
    np.testing.assert_array_equal(z[:], x)


class Squares:
    """A data set of torch's kind, which writes what it has handed out."""

    def __init__(self, z, used):
        self.z, self.used = z, used

    def __len__(self):
        return len(self.z)

    def __getitem__(self, i):
        self.used.update(i, lambda x: x + 1)
        return self.z[i]


def test_torch_with_forked_workers(tmp_path):
    torch = pytest.importorskip("torch")
    z = az.open(tmp_path / "z", "w", shape=40, chunks=7, dtype="i8")
    z[:] = np.arange(40) ** 2
    used = az.open(tmp_path / "used", "w", shape=40, chunks=11, dtype="i8")
    loader = torch.utils.data.DataLoader(
        Squares(z, used), batch_size=5, num_workers=3,
        multiprocessing_context="fork")
    seen = torch.cat(list(loader)).tolist()
    assert seen == [k * k for k in range(40)]
    assert used[:].tolist() == [1] * 40


def test_a_notebook_shows_the_grid(path):
    z = az.open(path, "w", shape=(10, 20), chunks=(5, 4), dtype="i4")
    page = z._repr_html_()
    assert page.count("<line") == 1 + 4 and "(5, 4)" in page
    with z.snapshot() as s:
        assert "<svg" in s._repr_html_()
