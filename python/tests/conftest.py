# SPDX-License-Identifier: Apache-2.0
import faulthandler
import os
import signal

import numpy as np
import pytest

import atomiczarr as az

# A test that hangs says where, and ends.
LIMIT = float(os.environ.get("AZR_TEST_LIMIT", 120))  # more on a busy machine

# A shell starts what runs in its background with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    """Tests marked ``long`` are those of AZR_TORTURE=1."""
    if os.environ.get("AZR_TORTURE"):
        return
    away = [item for item in items if item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=away)
    items[:] = [item for item in items if not item.get_closest_marker("long")]


@pytest.fixture(autouse=True)
def limit():
    faulthandler.dump_traceback_later(LIMIT, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def pipeline():
    """zarr-python with our pipeline, for arrays that are opened in the test."""
    zarr = pytest.importorskip("zarr", minversion="3")
    with zarr.config.set({"codec_pipeline.path":
                          "atomiczarr.zarr.AtomicCodecPipeline"}):
        yield


@pytest.fixture
def path(tmp_path):
    return os.fspath(tmp_path / "x.zarr")


@pytest.fixture
def line(path):
    """Twelve numbers in chunks of four."""
    return az.open_array(path, "w", shape=12, chunks=4, dtype="i4")


@pytest.fixture
def square(path):
    z = az.open_array(path, "w", shape=(10, 10), chunks=(3, 4), dtype="i4")
    z[...] = np.arange(100).reshape(10, 10)
    return z
