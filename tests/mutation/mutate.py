#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mutants of the library, and the tests that notice them.

    tests/mutation/mutate.py [--seed N] [--jobs N] [--files GLOB,…] [--again]
                             [--ledger FILE] MINUTES

One change is made to one line of src/txn or src/sync (rules of the package
universalmutator: an operator, a constant, a condition, a statement left out), the
library is built with it, and tests run until one fails. Mutants are drawn by the
seed; each that is tried adds a line to the ledger. What does not compile, or
compiles to the same code, is none. --again tries what survived before.

Trees of its own stand in build/mutation/; a kill of this program leaves nothing
but these. See README.md.
"""
import argparse
import concurrent.futures
import contextlib
import fnmatch
import glob
import hashlib
import io
import os
import random
import re
import shutil
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLACE = os.path.join(TOP, "build", "mutation")
RULES = ["universal.rules", "c_like.rules", "c.rules"]
COLUMNS = ("commit", "seed", "file", "function", "line", "is", "was", "outcome",
           "seconds")

# In this order, until one fails; the programs of each are linked when it is its
# turn. What takes a minute comes last: only survivors get there.
GROUPS = [
    "unit-(txn|sync|store|os)-.*",
    "unit-core-.*|conform-.*",
    "crash-sweep-quick|crash-order|fault-handles|fault-hostile|stress-looks",
    "crash-several|crash-departed|power-sweep|fault-recovery",
    "crash-tree|crash-above|crash-snapshots|fault-calls|fault-faults",
    "stress-(history-quick|history-nemesis|independence|waits|growth|transfers"
    "|appends|snapshots|forks)|cli-(nasty|process|catalogue)",
]
LIMIT_S = 300  # of one test; a mutant that hangs is noticed too


class Tree:
    """A copy of the sources, built without optimisation of what is not there."""

    def __init__(self, number):
        self.top = os.path.join(PLACE, f"tree{number}")
        self.build = os.path.join(self.top, "build")

    def prepare(self):
        shutil.rmtree(self.top, ignore_errors=True)
        os.makedirs(self.top)
        tar = subprocess.run(["git", "-C", TOP, "archive", "HEAD"], check=True,
                             capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", self.top], input=tar, check=True)
        self.run("cmake", "-S", self.top, "-B", self.build, "-G", "Ninja",
                 "-DAZR_TESTS=ON", "-DAZR_WERROR=OFF", "-DCMAKE_BUILD_TYPE=Debug",
                 "-DCMAKE_C_FLAGS=-O1 -g0 -w")
        self.run("ninja", "-C", self.build, "-j1", "azr_objects")
        self.code = {o: self.digest(o) for o in self.objects()}

    def run(self, *words):
        subprocess.run(words, check=True, capture_output=True)

    def objects(self):
        return glob.glob(os.path.join(
            self.build, "CMakeFiles/azr_objects.dir/src/*/*.o"))

    @staticmethod
    def digest(path):
        with open(path, "rb") as f:
            return hashlib.sha256(f.read()).digest()

    def ninja(self, *targets):
        return subprocess.run(["ninja", "-C", self.build, "-j1", *targets],
                              capture_output=True).returncode == 0

    def tests(self, pattern):
        """Names and programs of what matches."""
        text = subprocess.run(
            ["ctest", "--test-dir", self.build, "-N", "-V", "-R",
             f"^({pattern})$"], capture_output=True, text=True).stdout
        programs = set(re.findall(rf"Test command: {re.escape(self.build)}"
                                  r"/(tests/[\w-]+)", text))
        return sorted(programs) + ["azr", "tests/cli-helper"]

    def first_failure(self, pattern):
        """None: nothing failed."""
        if not self.ninja(*self.tests(pattern)):
            return "the build"
        done = subprocess.run(
            ["ctest", "--test-dir", self.build, "-R", f"^({pattern})$",
             "--stop-on-failure", "--timeout", str(LIMIT_S)],
            capture_output=True, text=True)
        failed = re.search(r"Test +#\d+: (\S+) \.+[ \w]*\*\*\*", done.stdout)
        if failed:
            return failed.group(1)
        return None if done.returncode == 0 else "ctest"


def all_mutants(files):
    """(file, line number, old line, new line), each once."""
    from universalmutator import mutator
    for name in files:
        with open(os.path.join(TOP, name), encoding="utf-8") as f:
            lines = f.read().splitlines(True)
        with contextlib.redirect_stdout(io.StringIO()):
            found = mutator.mutants_regexp(lines, ruleFiles=RULES,
                                           ignorePatterns=[r"^#", "__attribute__"],
                                           ignoreStringOnly=True)
        for line, text in sorted({(m[0], m[1]) for m in found}):
            if lines[line - 1].strip().startswith("*"):
                continue  # within a comment
            yield name, line, lines[line - 1], text


def function_at(name, line):
    with open(os.path.join(TOP, name), encoding="utf-8") as f:
        lines = f.read().splitlines()
    for text in reversed(lines[:line]):
        m = re.match(r"[a-z].*?\b(\w+)\(", text)
        if m and not text.endswith(";"):
            return m.group(1)
    return "-"


def try_one(tree, mutant):
    name, line, _, text = mutant
    path = os.path.join(tree.top, name)
    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines(True)
    was = lines[line - 1]
    lines[line - 1] = text
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(lines)
    try:
        if not tree.ninja("azr_objects"):
            return "does not compile"
        if all(tree.digest(o) == d for o, d in tree.code.items()):
            return "the same code"
        for pattern in GROUPS:
            failed = tree.first_failure(pattern)
            if failed:
                return failed
        return "survived"
    finally:
        lines[line - 1] = was
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(lines)


def survivors(ledger):
    with open(ledger, encoding="utf-8") as f:
        rows = [dict(zip(COLUMNS, r.rstrip("\n").split("\t"))) for r in f]
    last = {(r["file"], r["is"], r["was"]): r["outcome"] for r in rows}
    return {k for k, outcome in last.items() if outcome == "survived"}


def drawn(options):
    files = sorted(f for pattern in options.files.split(",")
                   for f in fnmatch.filter(
                       [os.path.relpath(p, TOP) for p in
                        glob.glob(os.path.join(TOP, "src/*/*.c"))], pattern))
    mutants = list(all_mutants(files))
    if options.again:
        wanted = survivors(options.ledger)
        mutants = [m for m in mutants
                   if (m[0], m[3].strip(), m[2].strip()) in wanted]
    random.Random(options.seed).shuffle(mutants)
    return mutants


def work(number, mutants, options, end, commit, out):
    tree = Tree(number)
    tree.prepare()
    for pattern in GROUPS:  # what fails without a change would prove nothing
        failed = tree.first_failure(pattern)
        if failed:
            sys.exit(f"{failed} fails without any change: {tree.build}")
    while mutants and time.time() < end:
        mutant = mutants.pop()
        began = time.time()
        outcome = try_one(tree, mutant)
        if outcome in ("does not compile", "the same code"):
            continue
        name, line, old, new = mutant
        out("\t".join((commit, str(options.seed), name, function_at(name, line),
                       str(line), new.strip(), old.strip(), outcome,
                       f"{time.time() - began:.0f}")))


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--seed", type=int, default=int(time.time()))
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--files", default="src/txn/*.c,src/sync/*.c")
    p.add_argument("--again", action="store_true")
    p.add_argument("--ledger", default=os.path.join(
        TOP, "docs/reliability/mutants.tsv"))
    p.add_argument("minutes", type=float)
    options = p.parse_args()
    commit = subprocess.run(["git", "-C", TOP, "rev-parse", "--short=10", "HEAD"],
                            check=True, capture_output=True,
                            text=True).stdout.strip()
    end = time.time() + 60 * options.minutes
    mutants = drawn(options)
    if not os.path.exists(options.ledger):
        with open(options.ledger, "w", encoding="utf-8") as f:
            f.write("\t".join(COLUMNS) + "\n")

    def out(row):
        print(row, flush=True)
        with open(options.ledger, "a", encoding="utf-8") as f:
            f.write(row + "\n")

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for done in [pool.submit(work, k, mutants, options, end, commit, out)
                     for k in range(options.jobs)]:
            done.result()


if __name__ == "__main__":
    main()
