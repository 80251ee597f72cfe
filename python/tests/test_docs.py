# SPDX-License-Identifier: Apache-2.0
"""What stands in the pages works. Of each page all blocks marked ``python`` are one
program, run in the order of the page; what it prints must be its ``#>`` lines.

Before a block may stand, unseen by readers, ``<!-- before: CODE -->``, which runs
first, or ``<!-- not run: REASON -->``.
"""
import pathlib
import re
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).parents[2]
PAGES = ["README.md", "python/README.md", "docs/python.md",
         "docs/from-process-synchronizer.md"]
MARK = re.compile(r"<!-- (before|not run): (.*?) ?-->\s*$", re.S)


def program(page):
    """(the page's code, each line where it stands in the page; what is to be
    printed; the number of blocks)"""
    code, prints, blocks = [], [], 0
    text = (TOP / page).read_text()
    for m in re.finditer(r"^```python\n(.*?)^```", text, re.M | re.S):
        mark = MARK.search(text, max(0, text.rfind("<!--", 0, m.start())),
                           m.start())
        if mark and mark[1] == "not run":
            continue
        blocks += 1
        if mark:
            code += [";".join(mark[2].splitlines())]
        line = text.count("\n", 0, m.start()) + 1
        code += [""] * (line - len(code)) + m[1].splitlines()
        prints += [x.lstrip()[3:] for x in m[1].splitlines()
                   if x.lstrip().startswith("#> ")]
    return "\n".join(code) + "\n", prints, blocks


@pytest.mark.parametrize("page", PAGES)
def test_page(page, tmp_path):
    code, prints, blocks = program(page)
    assert blocks
    if "zarr.config" in code:
        pytest.importorskip("zarr", minversion="3")
    script = tmp_path / "page.py"
    script.write_text(code)
    done = subprocess.run([sys.executable, script], cwd=tmp_path, text=True,
                          capture_output=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == prints


def test_the_start_fails_without_us(tmp_path):
    """README's program with zarr-python: with the import changed back it fails
    sooner or later, as its text says."""
    pytest.importorskip("zarr", minversion="3")
    code, _, _ = program("README.md")
    changed = code.replace("import atomiczarr as zarr", "import zarr")
    assert changed != code
    script = tmp_path / "page.py"
    script.write_text(changed)
    for _ in range(10):
        done = subprocess.run([sys.executable, script], cwd=tmp_path, text=True,
                              capture_output=True, timeout=100)
        if done.stdout.strip() != "failed: 0":
            return
    pytest.fail("zarr-python failed no assertion")
