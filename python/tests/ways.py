# SPDX-License-Identifier: Apache-2.0
"""One program, written once, and the ways to run it: with this package, with
zarr-python through the plug-in, and with zarr-python alone, which is the control:
what a program finds wrong must be found there, or it sees nothing."""
import contextlib
import multiprocessing
import os
import threading
import traceback

import pytest

import atomiczarr as az

zarr = pytest.importorskip("zarr", minversion="3")
plugin = pytest.importorskip("atomiczarr.zarr")

OURS = "atomiczarr.zarr.AtomicCodecPipeline"
THEIRS = "zarr.core.codec_pipeline.BatchedCodecPipeline"
LONG = bool(os.environ.get("AZR_TORTURE"))  # torture: more of everything
RUNS = int(os.environ.get("AZR_RUNS", 10 if LONG else 1))  # of each program
TRIES = 30  # of what zarr does wrong, until it does

fork = multiprocessing.get_context("fork")


class Native:
    """``import atomiczarr as zarr``"""
    name = "atomiczarr"
    pipeline = OURS  # not used

    @staticmethod
    def create(path, **spec):
        return az.create_array(path, **spec)

    @staticmethod
    def open(path, mode="r+", **spec):
        return az.open_array(path, mode, **spec)

    open_or_create = open

    @staticmethod
    def append(z, values):
        z.append(values)

    @staticmethod
    def resize(z, shape):
        z.resize(shape)

    @staticmethod
    def update_attributes(z, attributes):
        z.attrs.update(attributes)


class Stock:
    """zarr-python 3 alone"""
    name = "zarr"
    pipeline = THEIRS

    @staticmethod
    def create(path, **spec):
        return zarr.create_array(path, **spec)

    @staticmethod
    def open(path, mode="r+", **spec):
        return zarr.open_array(path, mode=mode, **spec)

    open_or_create = open

    @staticmethod
    def append(z, values):
        z.append(values)

    @staticmethod
    def resize(z, shape):
        z.resize(shape)

    @staticmethod
    def update_attributes(z, attributes):
        z.update_attributes(attributes)


class Plugin(Stock):
    """zarr-python 3 with the pipeline, and the functions for what passes by it"""
    name = "plug-in"
    pipeline = OURS
    append = staticmethod(plugin.append)
    resize = staticmethod(plugin.resize)
    update_attributes = staticmethod(plugin.update_attributes)

    @staticmethod
    def open_or_create(path, mode="a", **spec):
        az.open_array(path, mode, **spec)
        return zarr.open_array(path, mode="r+")


WAYS = [Native, Plugin]

if hasattr(plugin, "AtomicStore"):
    class Store(Stock):
        """zarr-python 3 as it is, on our store"""
        name = "store"
        pipeline = OURS

        @staticmethod
        def create(path, **spec):
            return zarr.create_array(plugin.AtomicStore(path), **spec)

        @staticmethod
        def open(path, mode="r+", **spec):
            return zarr.open_array(plugin.AtomicStore(path), mode=mode, **spec)

        open_or_create = open

    WAYS.append(Store)


@contextlib.contextmanager
def configured(way):
    """Forked children have the configuration too."""
    with zarr.config.set({"codec_pipeline.path": way.pipeline}):
        yield way()


@pytest.fixture(params=WAYS, ids=lambda w: w.name)
def way(request):
    """For a test module that imports it: each of the ways."""
    with configured(request.param) as w:
        yield w


def until_wrong(program, path):
    """zarr alone, until the program finds something wrong; fails if it never
    does. What zarr raises is wrong as well (half a chunk, an array that is not
    there any more): programs say which exceptions they take for an answer."""
    with configured(Stock) as way:
        for k in range(TRIES):
            try:
                if program(way, f"{path}-{k}"):
                    return
            except (ValueError, OSError, IndexError, RuntimeError):
                return
    pytest.fail(f"zarr alone did nothing wrong in {TRIES} runs: does this test "
                "see anything?")


# ---------------------------------------------------- workers that begin as one ---


def threads(n, work):
    """work(k, gate) in n threads; how many of them failed, but those that only
    saw that another one has."""
    gate, raised = threading.Barrier(n), []

    def run(k):
        try:
            work(k, gate)
        except threading.BrokenBarrierError:
            pass
        except Exception as e:
            raised.append(e)
            gate.abort()

    all_of_them = [threading.Thread(target=run, args=(k,)) for k in range(n)]
    for t in all_of_them:
        t.start()
    for t in all_of_them:
        t.join()
    return len(raised)


def processes(n, work):
    """The same in n forked processes, which say on their stderr what it was."""
    gate = fork.Barrier(n)

    def run(k):
        status = 1
        try:
            work(k, gate)
            status = 0
        except threading.BrokenBarrierError:
            status = 0
        except Exception:
            traceback.print_exc()
            gate.abort()
        finally:
            os._exit(status)

    all_of_them = [fork.Process(target=run, args=(k,)) for k in range(n)]
    for p in all_of_them:
        p.start()
    for p in all_of_them:
        p.join(100)
    codes = [p.exitcode for p in all_of_them]
    for p in all_of_them:
        if p.exitcode is None:
            p.kill()
            p.join()
    assert None not in codes, "a process hangs"
    return sum(c != 0 for c in codes)
