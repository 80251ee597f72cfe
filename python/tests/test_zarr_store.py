# SPDX-License-Identifier: Apache-2.0
"""AtomicStore as zarr-python's own published tests for stores see it."""
import asyncio
import os
import pathlib
import pickle
import tempfile

import numpy as np
import pytest

zarr = pytest.importorskip("zarr", minversion="3")
plugin = pytest.importorskip("atomiczarr.zarr")
from zarr.core.buffer import cpu  # noqa: E402

LONG = bool(os.environ.get("AZR_TORTURE"))


@pytest.fixture
def memory():
    """A directory for many nodes: each is synced when it is created, which a
    disk may take long for."""
    above = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=above) as path:
        yield pathlib.Path(path)


# -------------------------------------------- zarr.testing.store.StoreTests ---


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


# ---------------------------------------- zarr.testing.stateful, strategies ---


def settings(examples, steps=20):
    """Few in the short form, which sees that they run at all."""
    hypothesis = pytest.importorskip("hypothesis")
    return hypothesis.settings(
        max_examples=examples * (2 if LONG else 1), deadline=None,
        stateful_step_count=steps, database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        # a fresh start each time is torture's
        derandomize=not LONG)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name, examples", [
    ("ZarrHierarchyStateMachine", 2), ("ZarrStoreStateMachine", 3)])
def test_state_machine(memory, name, examples):
    found = pytest.importorskip("zarr.testing.stateful")
    stateful = pytest.importorskip("hypothesis.stateful")
    machine = getattr(found, name)
    stateful.run_state_machine_as_test(
        lambda: machine(plugin.AtomicStore(memory)),
        settings=settings(examples))


@pytest.mark.filterwarnings("ignore")
def test_arrays_of_any_kind(memory):
    """Of those that the library knows and those that are zarr's alone."""
    strategies = pytest.importorskip("zarr.testing.strategies")
    hypothesis = pytest.importorskip("hypothesis")
    st = pytest.importorskip("hypothesis.strategies")
    number = iter(range(10**9))

    @settings(4)
    @hypothesis.given(data=st.data())
    def check(data):
        store = plugin.AtomicStore(memory / str(next(number)))
        try:
            z = data.draw(strategies.arrays(stores=st.just(store)))
        except NotImplementedError:
            hypothesis.reject()
        x = z[...]
        there = zarr.open_array(plugin.AtomicStore(store.root), path=z.path)
        np.testing.assert_array_equal(there[...], x)
        if x.size:
            z[...] = x
            z[tuple([slice(0, 1)] * z.ndim)] = x[tuple([slice(0, 1)] * x.ndim)]
            np.testing.assert_array_equal(there[...], x)

    check()


# ---------------------------------------------------------- as a LocalStore ---


def test_what_it_is(tmp_path):
    store = plugin.AtomicStore(os.fspath(tmp_path))
    assert isinstance(store, zarr.storage.LocalStore)
    assert store == plugin.AtomicStore(tmp_path)
    assert store != zarr.storage.LocalStore(tmp_path)
    again = pickle.loads(pickle.dumps(store))
    assert again == store and not again.read_only
    with plugin.transaction(store):
        with pytest.raises(RuntimeError, match="transaction"):
            pickle.dumps(store)
    with pytest.raises(TypeError, match="LocalStore"):
        plugin.transaction(zarr.storage.LocalStore(tmp_path))


def test_its_arrays_have_the_pipeline(tmp_path):
    """Whatever is configured, and other stores' arrays keep theirs."""
    store = plugin.AtomicStore(tmp_path)
    z = zarr.create_array(store, name="a", shape=(8,), chunks=(3,), dtype="i4")
    for z in (z, zarr.open_array(store, path="a"), zarr.open_group(store)["a"],
              pickle.loads(pickle.dumps(z))):
        assert isinstance(z._async_array.codec_pipeline,
                          plugin.AtomicCodecPipeline)
        z[2:7] = 5
        assert z[:].tolist() == [0, 0, 5, 5, 5, 5, 5, 0]
    z = zarr.open_array(zarr.storage.LocalStore(tmp_path), path="a")
    assert not isinstance(z._async_array.codec_pipeline,
                          plugin.AtomicCodecPipeline)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_chunks_by_their_keys(tmp_path, zarr_format):
    """Each is a transaction of its own, in the library's care."""
    store = plugin.AtomicStore(tmp_path)
    z = zarr.create_array(store, name="a", shape=(8,), chunks=(4,), dtype="i4",
                          compressors=None, zarr_format=zarr_format)
    z[:] = 1
    key = "a/1" if zarr_format == 2 else "a/c/1"
    sync, buffer = zarr.core.sync.sync, cpu.Buffer.from_bytes
    proto = cpu.buffer_prototype
    assert sync(store.get(key, proto)).to_bytes() == b"\1\0\0\0" * 4
    sync(store.set(key, buffer(b"\2\0\0\0" * 4)))
    assert z[:].tolist() == [1] * 4 + [2] * 4
    sync(store.delete(key))
    assert z[:].tolist() == [1] * 4 + [0] * 4
    assert sync(store.get(key, proto)) is None
    with pytest.raises(ZeroDivisionError):
        with plugin.transaction(store):
            sync(store.set(key, buffer(b"\3\0\0\0" * 4)))
            assert sync(store.get(key, proto)) is not None
            assert z[4] == 3
            1 / 0
    assert z[:].tolist() == [1] * 4 + [0] * 4


def test_chunks_of_length_zero(tmp_path):
    """zarr makes them for arrays without elements; for the library they are
    damaged."""
    zarr.create_array(plugin.AtomicStore(tmp_path), name="a", shape=(0, 4),
                      chunks=(1, 4), dtype="i4")
    path = tmp_path / "a/zarr.json"
    path.write_text(path.read_text().replace("1,", "0,"))
    one, two = [zarr.open_array(plugin.AtomicStore(tmp_path), path="a")
                for _ in range(2)]
    one.attrs["x"] = 1
    two.attrs["y"] = 2
    assert dict(zarr.open_array(plugin.AtomicStore(tmp_path),
                                path="a").attrs) == {"x": 1, "y": 2}


def test_what_is_the_library_s_own_is_hidden(tmp_path):
    store = plugin.AtomicStore(tmp_path)
    z = zarr.create_array(store, name="a", shape=(8,), chunks=(4,), dtype="i4")
    z[:] = 1
    assert (tmp_path / "a/.azr/state").exists()

    async def seen():
        return ({k async for k in store.list()},
                {k async for k in store.list_dir("a")},
                await store.exists("a/.azr/state"),
                await store.get("a/.azr/state", cpu.buffer_prototype))

    keys, names, there, data = zarr.core.sync.sync(seen())
    assert keys == {"zarr.json", "a/zarr.json", "a/c/0", "a/c/1"}
    assert names == {"zarr.json", "c"} and not there and data is None
    with pytest.raises(ValueError, match="atomiczarr"):
        zarr.core.sync.sync(store.set("a/.azr/state",
                                      cpu.Buffer.from_bytes(b"")))


def test_read_only(tmp_path):
    zarr.create_array(plugin.AtomicStore(tmp_path), name="a", shape=(8,),
                      chunks=(4,), dtype="i4")[:] = 1
    store = plugin.AtomicStore(tmp_path, read_only=True)
    z = zarr.open_array(store, path="a", mode="r")
    assert z[:].tolist() == [1] * 8
    for change in (lambda: z.append([1]), lambda: z.resize((2,)),
                   lambda: z.attrs.update({"x": 1}),
                   lambda: z.__setitem__(0, 1)):
        with pytest.raises(ValueError, match="read-only"):
            change()
    with plugin.transaction(store):
        assert z[:].tolist() == [1] * 8


def test_documents_that_are_being_written_are_not_seen(tmp_path):
    """What a dead writer leaves is no key; other names are."""
    names = ["zarr.json", "other.partial", ".zattrs", ".renew"]
    (tmp_path / "zarr.json").write_text('{"zarr_format":3,"node_type":"group"}')
    for name in ("other.partial", ".zattrs", ".renew", "zarr.json.partial",
                 ".zgroup.partial", "zarr.json.renew", ".zmetadata.renew.partial"):
        (tmp_path / name).write_text("{}")
    store = plugin.AtomicStore(tmp_path)

    async def look():
        return ([k async for k in store.list()],
                [k async for k in store.list_dir("")],
                [await store.exists(k) for k in ("zarr.json.partial",
                                                 "other.partial")])
    found = asyncio.run(look())
    assert sorted(found[0]) == sorted(found[1]) == sorted(names)
    assert found[2] == [False, True]
