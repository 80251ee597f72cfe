# SPDX-License-Identifier: Apache-2.0
"""What the wheel holds; the examples."""
import ast
import importlib.metadata
import inspect
import json
import os
import pathlib
import re
import subprocess
import sys
import sysconfig

import pytest

import atomiczarr as az
from atomiczarr import _core

HERE = pathlib.Path(__file__).parent
EXAMPLES = sorted((HERE.parent / "examples").glob("*.py"))


def test_azr():
    def azr(*args):
        return subprocess.run([sys.executable, "-m", "atomiczarr", *args],
                              capture_output=True, text=True, timeout=60)
    done = azr("--version")
    assert done.returncode == 0 and done.stdout.startswith("azr "), done.stderr
    assert az.__version__ in done.stdout
    assert azr("cat", "nothing.zarr").returncode == 10


def test_versions_agree():
    assert importlib.metadata.version("atomiczarr") == az.__version__


def test_numpy_is_the_only_requirement():
    needs = [r for r in importlib.metadata.requires("atomiczarr")
             if "extra ==" not in r]
    assert len(needs) == 1 and needs[0].startswith("numpy")


def test_stable_abi_and_symbols():
    free = sysconfig.get_config_var("Py_GIL_DISABLED")
    assert _core.__file__.endswith(".abi3.so") != bool(free)
    if free:  # importing it has not switched the lock on
        assert not sys._is_gil_enabled()
    with open(_core.__file__, "rb") as f:
        assert f.read(4) == b"\x7fELF"
    try:
        out = subprocess.run(["nm", "-D", "--defined-only", _core.__file__],
                             capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("there is no nm here")
    assert [line.split()[-1] for line in out.splitlines()] == ["PyInit__core"]


def test_all_is_there():
    for name in az.__all__:
        assert getattr(az, name) is not None
        if inspect.isfunction(getattr(az, name)):
            assert getattr(az, name).__doc__ or name in ("zeros", "ones",
                                                         "full", "array",
                                                         "tree")


def stub_names(body):
    return {n.name for n in body if isinstance(n, (ast.FunctionDef,
                                                   ast.ClassDef))} | \
        {n.target.id for n in body if isinstance(n, ast.AnnAssign)}


def test_stubs_tell_what_is_there():
    folder = pathlib.Path(az.__file__).parent
    assert (folder / "py.typed").exists()
    tree = ast.parse((folder / "_core.pyi").read_text())
    assert stub_names(tree.body) == {n for n in dir(_core)
                                     if not n.startswith("__")}
    for c in tree.body:
        if isinstance(c, ast.ClassDef):
            assert stub_names(c.body) == {n for n in dir(getattr(_core, c.name))
                                          if not n.startswith("__")}


def test_synchronizers_tell_that_nothing_is_left():
    for c in (az.sync.ProcessSynchronizer, az.sync.ThreadSynchronizer):
        assert "left aside" in c.__doc__
    assert "nothing left" in az.sync.__doc__
    p = az.ProcessSynchronizer("x.sync")
    assert p.path == "x.sync" and not os.path.exists("x.sync")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.stem)
def test_example(example, tmp_path):
    for name in ("zarr", "dask", "xarray"):
        if re.search(rf"^import {name}", example.read_text(), re.MULTILINE):
            pytest.importorskip(name)
    done = subprocess.run([sys.executable, example], cwd=tmp_path,
                          capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    lines = [x.lstrip() for x in example.read_text().splitlines(keepends=True)]
    assert done.stdout == "".join(x[3:] for x in lines if x.startswith("#> "))


def test_there_are_examples():
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("way", ["ours", "zarr3"])
def test_the_bench_runs(way, path):
    if way == "zarr3":
        pytest.importorskip("zarr", minversion="3")
    program = HERE.parents[1] / "bench/python/report.py"
    done = subprocess.run([sys.executable, program, "--run", way, path, "2", "5"],
                          capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rounds"] == 10
