# SPDX-License-Identifier: Apache-2.0
"""Time-outs and signals. Each test holds the chunks in another thread until it
lets them go, so that what waits for them waits."""
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import atomiczarr as az


@contextlib.contextmanager
def held(z):
    inside, go = threading.Event(), threading.Event()

    def hold(x):
        inside.set()
        assert go.wait(60)

    t = threading.Thread(target=z.update, args=(np.s_[:], hold))
    t.start()
    assert inside.wait(30)
    try:
        yield go.set
    finally:
        go.set()
        t.join()


def test_timeouts(line, monkeypatch):
    quick = line.with_options(timeout=0.05)
    monkeypatch.setenv("ATOMICZARR_TIMEOUT", "0.05")
    by_environment = az.open(line.store, "r+")
    with held(line):
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="held by") as e:
            quick[0] = 1
        assert e.value.code == -4 and e.value.status == "AZR_EBUSY"
        with pytest.raises(TimeoutError):
            by_environment[0] = 1
        for call in (
                lambda: line.set_basic_selection(0, 1, timeout=0),
                lambda: line.set_orthogonal_selection([0, 1, 5], 1, timeout=0),
                lambda: line.update(0, lambda x: x, timeout=0),
                lambda: line.resize(3, timeout=0),
                lambda: az.run(lambda: line.__setitem__(0, 1), timeout=0.05)):
            with pytest.raises(TimeoutError):
                call()
        with pytest.raises(TimeoutError):
            with az.transaction(timeout=0.05):
                line[0] = 1
        assert time.monotonic() - began < 20
        assert line.shape == (12,)
    assert not line[:].any()
    monkeypatch.setenv("ATOMICZARR_TIMEOUT", "soon")
    with pytest.raises(ValueError, match="soon"):
        az.open(line.store, "r")


def test_many_timeouts(line):
    """More than a handle keeps open."""
    line[:] = 1
    for k in range(20):
        assert line.get_basic_selection(..., timeout=5 + k).sum() == 12
    fds = len(os.listdir("/proc/self/fd"))
    for k in range(20):
        assert line.get_basic_selection(..., timeout=50 + k).sum() == 12
    assert len(os.listdir("/proc/self/fd")) == fds


class Rang(Exception):
    pass


@contextlib.contextmanager
def alarm(seconds, handler, interval=0.0):
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds, interval)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def waits(line):
    yield lambda: line.__setitem__(slice(0, 6), 1)
    yield lambda: line.update(np.s_[0:2], lambda x: x)
    yield lambda: line.resize(3)
    yield lambda: az.run(lambda: line.__setitem__(0, line[0] + 1))

    def transaction():
        with az.transaction():
            line[0] = 1
    yield transaction


@pytest.mark.parametrize("k", range(5))
def test_a_handler_that_raises_ends_a_wait(line, k):
    def ring(*_):
        raise Rang
    began = time.monotonic()
    with held(line):
        with pytest.raises(Rang), alarm(0.1, ring):
            list(waits(line))[k]()
        assert time.monotonic() - began < 20
        assert line.shape == (12,)
    assert not line[:].any()


def test_a_handler_that_returns_lets_it_wait_on(line):
    rings = []
    with held(line) as let_go:
        def ring(*_):
            rings.append(1)
            if len(rings) == 3:
                let_go()
        with alarm(0.05, ring, 0.05):
            line[0:6] = 1
    assert len(rings) >= 3 and line[:].tolist() == [1] * 6 + [0] * 6


def test_signals_do_not_prolong_a_timeout(line):
    with held(line), alarm(0.02, lambda *_: None, 0.02):
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            line.set_basic_selection(0, 1, timeout=0.3)
        assert time.monotonic() - began < 20


INTERRUPTED = """
import sys, threading
import numpy as np, atomiczarr as az
z = az.open(sys.argv[1], "r+")
inside, go = threading.Event(), threading.Event()
def hold(x):
    inside.set()
    go.wait(60)
t = threading.Thread(target=z.update, args=(np.s_[:], hold))
t.start()
inside.wait()
if sys.argv[2] == "plug-in":
    import zarr
    zarr.config.set({"codec_pipeline.path": "atomiczarr.zarr.AtomicCodecPipeline"})
    z = zarr.open_array(sys.argv[1], mode="r+")
try:
    print("waiting", flush=True)
    z[0:6] = 1
except KeyboardInterrupt:
    print("interrupted", flush=True)
go.set()
t.join()
print(z[:].any())
"""


@pytest.mark.parametrize("way", ["package", "plug-in"])
def test_ctrl_c(line, way):
    """The write does not happen later, either."""
    if way == "plug-in":
        pytest.importorskip("zarr", minversion="3")
    p = subprocess.Popen([sys.executable, "-c", INTERRUPTED, line.store, way],
                         stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "waiting\n"
    began = time.monotonic()
    p.send_signal(signal.SIGINT)
    out, _ = p.communicate(timeout=60)
    assert out.split() == ["interrupted", "False"] and p.returncode == 0
    assert time.monotonic() - began < 20


def test_python_keeps_its_handlers(line):
    """What stood before our handler stands there again afterwards."""
    got = []
    with alarm(100, lambda *_: got.append(1)):
        line[:] = 1
        signal.raise_signal(signal.SIGALRM)
        line[:]
    assert got == [1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
