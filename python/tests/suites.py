# SPDX-License-Identifier: Apache-2.0
"""A plug-in of pytest (``-p suites``) for the test suites of others: notes the
outcome of each test, and whether it has come through our pipeline.

What zarr's tests keep in a MemoryStore they then keep in a directory, with its own
pipeline as well as with ours: else few of them would reach ours. (Not what its
fixtures make, which know that class before us.)
"""
import atexit
import contextlib
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

import zarr
import zarr.storage

OUTCOMES = os.environ["AZR_OUTCOMES"]
OURS = "atomiczarr" in os.environ.get("ZARR_CODEC_PIPELINE__PATH", "")

passages = 0


def count_passages():
    from atomiczarr.zarr import _pipeline

    off_the_loop, here = _pipeline._off_the_loop, _pipeline._here

    async def counted(fn, *args):
        global passages
        result = await off_the_loop(fn, *args)
        passages += 1
        return result

    def counted_here(*args):
        global passages
        result = here(*args)
        passages += 1
        return result

    _pipeline._off_the_loop, _pipeline._here = counted, counted_here


# ------------------------------------------------ memory that is a directory ---

base = tempfile.mkdtemp(prefix="azr-suite-", dir=os.environ.get("AZR_SCRATCH"))
atexit.register(shutil.rmtree, base, ignore_errors=True)


def directory_class():
    if not OURS or os.environ.get("AZR_MEMORY") != "store":
        return zarr.storage.LocalStore
    import atomiczarr.zarr
    return atomiczarr.zarr.AtomicStore


class DirectoryInPlaceOfMemory(directory_class()):
    def __init__(self, store_dict=None, *, root=None, read_only=False):
        super().__init__(root or tempfile.mkdtemp(dir=base), read_only=read_only)
        for key, value in (store_dict or {}).items():
            path = pathlib.Path(self.root) / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(value.to_bytes())

    def with_read_only(self, read_only=False):
        return type(self)(root=self.root, read_only=read_only)

    async def set(self, key, value, byte_range=None):
        await super().set(key, value)

    @classmethod
    async def open(cls, *args, **more):
        store = cls(*args, **more)
        await store._open()
        return store


def replace_memory():
    memory = zarr.storage.MemoryStore
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("zarr.") \
                and vars(module).get("MemoryStore") is memory:
            module.MemoryStore = DirectoryInPlaceOfMemory


def pytest_configure(config):
    if OURS:
        count_passages()
    if "AZR_MEMORY" in os.environ:
        replace_memory()


# ------------------------------------------------- xarray's directories, as stores ---


def pytest_collection_modifyitems(items):
    """zarr's own store, or ours, where xarray's tests have a path."""
    if os.environ.get("AZR_STORES") != "yes":
        return
    store = zarr.storage.LocalStore
    if OURS:
        import atomiczarr.zarr
        store = getattr(atomiczarr.zarr, "AtomicStore", store)

    @contextlib.contextmanager
    def create_zarr_target(self):
        with tempfile.TemporaryDirectory(dir=base) as directory:
            yield store(os.path.join(directory, "x.zarr"))

    for item in items:
        if getattr(item.cls, "__name__", "") == "TestZarrDirectoryStore":
            item.cls.create_zarr_target = create_zarr_target


# ------------------------------------------------------------------ outcomes ---

outcomes = {}
through = set()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    before = passages
    result = yield
    if passages > before:
        through.add(item.nodeid)
    return result


def pytest_runtest_logreport(report):
    """The worst of setup, call and teardown."""
    rank = ["passed", "skipped", "failed"]
    word = "skipped" if hasattr(report, "wasxfail") and report.skipped \
        else report.outcome
    before = outcomes.get(report.nodeid, "passed")
    outcomes[report.nodeid] = max(before, word, key=rank.index)


def pytest_sessionfinish(session):
    with open(OUTCOMES, "w") as f:
        for node, outcome in sorted(outcomes.items()):
            print(node.encode("unicode_escape").decode(), outcome,
                  "through" if node in through else "-", sep="\t", file=f)
