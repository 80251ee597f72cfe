# SPDX-License-Identifier: Apache-2.0
"""Runs a test suite twice, with zarr's codec pipeline and with ours, and compares.
Called by `upstream`: compare_suites.py sample|zarr|store|xarray SUITE BUILD."""
import csv
import importlib.metadata
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
RUNS_OF_ZARR = ["tests/test_indexing.py", "tests/test_array.py",
                "tests/test_group.py", "tests/test_v2.py",
                "tests/test_resize.py", "tests/test_codecs",
                "tests/test_codec_pipeline.py",
                "tests/test_codec_pipeline_suite.py",
                "tests/test_unified_chunk_grid.py"]
DIFFERENCES = HERE / "zarr_differences.tsv"

# modules of each run, and how many of its tests must have come through our pipeline
RUNS = {
    "sample": (["tests/test_indexing.py"], 70),
    "zarr": (RUNS_OF_ZARR, 200),
    "store": (RUNS_OF_ZARR, 200),
    "xarray": (["xarray/tests/test_backends.py"], 100),
}
SELECT = {"xarray": ["-k", "ZarrDirectoryStore or ZarrRegionAuto or "
                     "DataArrayToZarr"]}

INI = """[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
markers =
    gpu:
    slow_hypothesis:
    asyncio:
    flaky:
    network:
    slow:
    mypy:
"""


def environment(what, ours, outcomes, scratch):
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("ZARR_", "AZR_"))}
    env.update(AZR_OUTCOMES=os.fspath(outcomes), AZR_SCRATCH=scratch)
    if what == "xarray":
        env["AZR_STORES"] = "yes"
    else:
        env["AZR_MEMORY"] = "store" if what == "store" else "directory"
    if ours:
        env.update(
            ZARR_CODEC_PIPELINE__PATH="atomiczarr.zarr.AtomicCodecPipeline",
            ZARR_ATOMICZARR__OTHER_STORES="stock",
            ZARR_ATOMICZARR__OTHER_ARRAYS="stock")
    return env


def run(what, suite, build, scratch):
    """With zarr's pipeline and with ours, beside each other: for both
    {test: (outcome, came through)}."""
    modules = [m for m in RUNS[what][0] if (suite / m).exists()]
    ini = build / "suites.ini"
    ini.write_text(INI)
    runs = []
    for name in "theirs", "ours":
        outcomes = build / f"{what}-{name}.tsv"
        outcomes.unlink(missing_ok=True)
        with open(build / f"{what}-{name}.log", "w") as log:
            runs.append((outcomes, log.name, subprocess.Popen(
                [sys.executable, "-m", "pytest", "-q", "-p", "suites", "-c", ini,
                 f"--rootdir={suite}", "-p", "no:cacheprovider", "--tb=short",
                 "--hypothesis-seed=0", f"--basetemp={scratch}/{name}",
                 *SELECT.get(what, []), *modules],
                cwd=suite, stdout=log, stderr=subprocess.STDOUT,
                env=environment(what, name == "ours", outcomes, scratch))))
    results = []
    for outcomes, log, process in runs:
        process.wait()
        if not outcomes.exists():
            sys.exit(f"pytest has not come to its end, see {log}")
        with open(outcomes) as f:
            results.append({row[0]: (row[1], row[2] == "through")
                            for row in csv.reader(f, delimiter="\t",
                                                  quoting=csv.QUOTE_NONE)})
    return results


def listed(package, version, what):
    """{test without its parameters: (outcome with ours, reason)} for that version"""
    found = {}
    for line in DIFFERENCES.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        name, versions, test, outcome, reason = line.split("\t")
        if name == package and (versions in ("all", what)
                                or {version, f"{what}:{version}"}
                                & set(versions.split())):
            found[test] = outcome, reason
    return found


def compare(theirs, ours, known):
    """(findings, tests that differ as listed). "either": it fails now and then, with
    whatever pipeline, and need not differ."""
    findings, seen = [], set()
    for test in sorted(set(theirs) | set(ours)):
        a = theirs.get(test, ("absent",))[0]
        b = ours.get(test, ("absent",))[0]
        if a == b:
            continue
        name = test.split("[")[0]
        if name in known and known[name][0] in (b, "either"):
            seen.add(name)
        else:
            findings.append(f"{test}: {a} with zarr's pipeline, {b} with ours")
    here = {t.split("[")[0] for t in set(theirs) | set(ours)}
    findings += [f"{name} is listed as {known[name][0]} and does not differ"
                 for name in known if name in here and name not in seen
                 and known[name][0] != "either"]
    return findings, seen


def main(what, suite, build):
    package = "xarray" if what == "xarray" else "zarr"
    version = importlib.metadata.version(package)
    with tempfile.TemporaryDirectory(prefix="azr-suite-") as scratch:
        theirs, ours = run(what, suite, build, scratch)
    findings, seen = compare(theirs, ours, listed(package, version, what))
    through = sum(t for _, t in ours.values())
    passed = sum(o == "passed" for o, _ in theirs.values())
    if through < RUNS[what][1]:
        findings.append(f"only {through} tests came through our pipeline, "
                        f"{RUNS[what][1]} must")
    print(f"{package} {version}: {len(theirs)} tests, {passed} pass with zarr's "
          f"pipeline; {through} came through ours; {len(seen)} differ as listed")
    for f in findings:
        print(f)
    same = len(set(theirs) | set(ours)) - len(findings)
    print(f"{max(same, 0)} passed, {len(findings)} failed")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], pathlib.Path(sys.argv[2]).resolve(),
                  pathlib.Path(sys.argv[3]).resolve()))
