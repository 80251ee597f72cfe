# SPDX-License-Identifier: Apache-2.0
"""What people reported of appends, shapes, attributes and creation, as
test_issues.py does it: 0 wrong with this package and through the plug-in, some
with zarr-python alone."""
import numpy as np
import pytest

from ways import LONG, fork, processes, threads, until_wrong, way

ROUNDS = 40 if LONG else 10


# ------------------------------------------------------------------ appends ---


def appended(way, path, workers, cached):
    """Blocks of three equal numbers that four append at once: how many of them are
    not there as they were written."""
    way.create(path, shape=(0,), chunks=(4,), dtype="i4", fill_value=0)

    def work(k, gate):
        z = way.open(path)
        gate.wait(60)
        for r in range(ROUNDS):
            way.append(z if cached else way.open(path),
                       np.full(3, 1 + k * ROUNDS + r, "i4"))

    failed = workers(4, work)
    there = np.asarray(way.open(path, "r")[:])
    blocks = there[:len(there) // 3 * 3].reshape(-1, 3)
    whole = {int(b[0]) for b in blocks if b[0] and (b == b[0]).all()}
    return failed + 4 * ROUNDS - len(whole) + abs(len(there) - 12 * ROUNDS)


def appends_of_processes_with_cached_handles(way, path):
    """https://github.com/zarr-developers/zarr-python/issues/2077"""
    return appended(way, path, processes, True)


def appends_of_processes_with_fresh_handles(way, path):
    """https://github.com/google/tensorstore/issues/72: resize, then write, from
    many at once; opening the array anew each time does not help."""
    return appended(way, path, processes, False)


def appends_of_threads_with_cached_handles(way, path):
    """https://github.com/zarr-developers/zarr-python/issues/2077, its third
    backend."""
    return appended(way, path, threads, True)


def appends_of_threads_with_fresh_handles(way, path):
    return appended(way, path, threads, False)


def visible_before_it_is_written(way, path):
    """https://github.com/zarr-developers/zarr-python/issues/2729,
    https://github.com/google-research/arco-era5/issues/81: a reader beside an
    append finds the new length, and no data. How many reads find fill values, of an
    array that has none."""
    way.create(path, shape=(0,), chunks=(16,), dtype="i4", fill_value=0)
    done, empty = fork.Value("b", 0), fork.Value("q", 0)

    def work(k, gate):
        z = way.open(path)
        gate.wait(60)
        if k == 0:
            try:
                for r in range(3 * ROUNDS):
                    way.append(z, np.full(64, r + 1, "i4"))
            finally:
                done.value = 1
            return
        reads = 0
        while not done.value or reads == 0:
            empty.value += not np.asarray(way.open(path, "r")[:]).all()
            reads += 1

    return processes(2, work) + empty.value


# --------------------------------------------------------------- attributes ---


def attributes_of_processes(way, path):
    """https://github.com/zarr-developers/zarr-python/issues/2729: the document is
    written as each one knows it. How many of the attributes are not there."""
    way.create(path, shape=(4,), chunks=(4,), dtype="i4")

    def work(k, gate):
        z = way.open(path)
        gate.wait(60)
        for r in range(ROUNDS):
            way.update_attributes(z, {f"{k}.{r}": r})

    failed = processes(8, work)
    there = dict(way.open(path, "r").attrs)
    return failed + sum(there.get(f"{k}.{r}") != r
                        for k in range(8) for r in range(ROUNDS))


# ----------------------------------------------------------------- creation ---


def open_or_create(way, path):
    """https://github.com/zarr-developers/zarr-python/pull/963,
    https://github.com/zarr-developers/zarr-python/issues/1435: many open an array,
    and create it if it is not there. One's array it is, and all have that one. How
    many have failed, or found another one than the one that stayed."""
    wrong = 0
    for r in range(3):
        seen = fork.Array("q", 6)

        def work(k, gate):
            gate.wait(60)
            z = way.open_or_create(f"{path}.{r}", "a", shape=(4,), chunks=(4,),
                                   dtype="i4", attributes={"by": k})
            seen[k] = z.attrs["by"] + 1

        failed = processes(6, work)
        by = way.open(f"{path}.{r}", "r").attrs["by"] + 1
        wrong += failed + sum(s not in (0, by) for s in seen)
    return wrong


# ------------------------------------------------------------------- shapes ---


def resizes_beside_writers(way, path):
    """https://github.com/zarr-developers/zarr-python/issues/1017, with writers:
    what a smaller shape cuts off must not come back. Two write one number to all
    of the array, one makes it small and large. After that, the first part holds
    one number and the second that one, or fill values. How many are neither."""
    way.create(path, shape=(32,), chunks=(4,), dtype="i4", fill_value=0)
    wrong = fork.Value("q", 0)

    def work(k, gate):
        z = way.open(path)
        for r in range(1, ROUNDS + 1):
            gate.wait(60)
            if k == 0:
                way.resize(z, (6,))
                way.resize(z, (32,))
            else:
                try:
                    z[0:32] = np.full(32, k + 10 * r, "i4")
                except (IndexError, ValueError):  # it was the small one
                    pass
            gate.wait(60)
            # It is large. Who opened the small one would write to its part alone from
            # then on: zarr drops the rest of the value and says nothing.
            z = way.open(path)
            if k == 0:
                there = np.asarray(way.open(path, "r")[:])
                wrong.value += len(there) != 32 \
                    or len(np.unique(there[:6])) != 1 \
                    or not (there[6:] == there[6]).all() \
                    or there[6] not in (0, there[0])

    return processes(3, work) + wrong.value


def resize_that_an_old_handle_takes_back(way, path):
    """https://github.com/zarr-developers/zarr-python/issues/2077: a handle writes
    the document as it was when it was opened, the shape with it. No race is needed."""
    z = way.create(path, shape=(4,), chunks=(4,), dtype="i4")
    old = way.open(path)
    way.resize(z, (12,))
    way.update_attributes(old, {"a": 1})
    there = way.open(path, "r")
    return (there.shape != (12,)) + (dict(there.attrs) != {"a": 1})


def numbers_from_beyond_the_end(way, path):
    """https://github.com/zarr-developers/zarr-python/issues/1017: an old handle
    writes behind the end of an array that has been made smaller, which nobody
    sees, until it grows. No race is needed."""
    z = way.create(path, shape=(12,), chunks=(4,), dtype="i4", fill_value=0)
    old = way.open(path)
    way.resize(z, (4,))
    try:
        old[0:12] = np.full(12, 7, "i4")
    except (IndexError, ValueError):
        pass  # an answer: it does not fit
    way.resize(z, (12,))
    return np.count_nonzero(np.asarray(way.open(path, "r")[4:]))


PROGRAMS = [appends_of_processes_with_cached_handles,
            appends_of_processes_with_fresh_handles,
            appends_of_threads_with_cached_handles,
            appends_of_threads_with_fresh_handles,
            visible_before_it_is_written, attributes_of_processes, open_or_create,
            resizes_beside_writers, resize_that_an_old_handle_takes_back,
            numbers_from_beyond_the_end]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_nothing_is_wrong(program, way, path):
    assert program(way, path) == 0


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_zarr_alone_does_it_wrong(program, path):
    until_wrong(program, path)
