# SPDX-License-Identifier: Apache-2.0
"""AtomicStore as zarr-python's own published tests for stores see it."""
import asyncio
import os

import numpy as np
import pytest

import atomiczarr as az

zarr = pytest.importorskip("zarr", minversion="3")
plugin = pytest.importorskip("atomiczarr.zarr")
from zarr.core.buffer import cpu  # noqa: E402

TORTURE = bool(os.environ.get("AZR_TORTURE"))


# ------------------------------------------------ zarr.testing.store.StoreTests ---


try:
    import pytest_asyncio
    from zarr.testing.store import StoreTests
except ImportError:  # it needs hypothesis, numpydoc, …
    StoreTests = None

if StoreTests is not None:
    @pytest.mark.asyncio
    @pytest.mark.filterwarnings("ignore:.*marked with '@pytest.mark.asyncio'")
    class TestStore(StoreTests):
        store_cls = plugin.AtomicStore
        buffer_cls = cpu.Buffer

        async def get(self, store, key):
            return self.buffer_cls.from_bytes((store.root / key).read_bytes())

        async def set(self, store, key, value):
            (store.root / key).parent.mkdir(parents=True, exist_ok=True)
            (store.root / key).write_bytes(value.to_bytes())

        @pytest_asyncio.fixture
        async def open_kwargs(self, store_kwargs):
            return store_kwargs

        @pytest_asyncio.fixture
        async def store(self, open_kwargs):
            return await self.store_cls.open(**open_kwargs)

        @pytest_asyncio.fixture
        async def store_not_open(self, store_kwargs):
            return self.store_cls(**store_kwargs)

        @pytest.fixture
        def store_kwargs(self, tmp_path):
            return {"root": str(tmp_path)}

        def test_store_repr(self, store):
            assert repr(store) == f"AtomicStore('{store}')"

        def test_store_supports_writes(self, store):
            assert store.supports_writes

        def test_store_supports_partial_writes(self, store):
            assert not getattr(store, "supports_partial_writes", False)

        def test_store_supports_listing(self, store):
            assert store.supports_listing

        async def test_empty_with_empty_subdir(self, store):
            assert await store.is_empty("")
            (store.root / "foo/bar").mkdir(parents=True)
            assert await store.is_empty("")
