/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two programs of the report that this library answers, with 30 processes
 * each.
 *
 *   Lines:      12 numbers in chunks of 4. Each process sets [2:6] or [6:10] to
 *               a value of its own and prints all: a line whose four numbers of
 *               a box differ mixes two writes.
 *   Diagonals:  10 × 10 numbers in chunks of 2 × 2. Each process sets the points
 *               of an anti-diagonal to one value and reads one: it must be
 *               uniform.
 */
#include "demo.h"

#include <stdlib.h>
#include <string.h>

#define SIDE      10
#define DIAGONALS (2 * SIDE - 1)

struct shared {
    struct load_gate gate;
    _Atomic uint64_t lines, mixed;
    _Atomic int have_example;
    int32_t example[12];
};

struct job;
struct program {
    const char *name;
    int rank;
    int64_t shape, chunk; /* of each dimension */
    /* One write and one line. */
    int (*step)(const struct job *j, azr_array *array, int index,
                uint64_t *random, azr_error *err);
};

struct job {
    const struct demo_options *o;
    const struct program *program;
    struct shared *shared;
    const char *path;
    int sync;
};

/* -------------------------------------------------------------- programs --- */

static void count_line(const struct job *j, bool mixed, const int32_t *line,
                       size_t n)
{
    atomic_fetch_add_explicit(&j->shared->lines, 1, memory_order_relaxed);
    if (!mixed)
        return;
    if (atomic_exchange(&j->shared->have_example, 1) == 0)
        memcpy(j->shared->example, line, n * sizeof *line);
    atomic_fetch_add(&j->shared->mixed, 1);
}

static bool uniform(const int32_t *p, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (p[i] != p[0])
            return false;
    }
    return true;
}

static int step_lines(const struct job *j, azr_array *array, int index,
                      uint64_t *random, azr_error *err)
{
    const azr_selection boxes[] = {AZR_BOX(1, {2}, {4}), AZR_BOX(1, {6}, {4})};
    azr_selection all = azr_select_all(1);
    int32_t values[4], line[12];
    int rc;

    (void)random;
    for (int i = 0; i < 4; i++)
        values[i] = index + 1;
    rc = azr_array_write(array, &boxes[index % 2], values, sizeof values, err);
    if (rc == AZR_OK)
        rc = azr_array_read(array, &all, line, sizeof line, err);
    if (rc == AZR_OK)
        count_line(j, !uniform(line + 2, 4) || !uniform(line + 6, 4), line, 12);
    return rc;
}

/* Coordinates of the points i + j = d; their number. */
static size_t diagonal(int d, int64_t *coords)
{
    size_t n = 0;

    for (int i = 0; i < SIDE; i++) {
        if (d - i < 0 || d - i >= SIDE)
            continue;
        coords[2 * n] = i;
        coords[2 * n + 1] = d - i;
        n++;
    }
    return n;
}

static int step_diagonals(const struct job *j, azr_array *array, int index,
                          uint64_t *random, azr_error *err)
{
    int64_t coords[2 * SIDE];
    int32_t values[SIDE];
    azr_selection sel;
    size_t n;
    int rc;

    n = diagonal((int)load_random_below(random, DIAGONALS), coords);
    sel = azr_select_points(2, coords, n);
    for (size_t i = 0; i < n; i++)
        values[i] = index + 1;
    rc = azr_array_write(array, &sel, values, n * sizeof *values, err);
    if (rc != AZR_OK)
        return rc;
    n = diagonal((int)load_random_below(random, DIAGONALS), coords);
    sel = azr_select_points(2, coords, n);
    rc = azr_array_read(array, &sel, values, n * sizeof *values, err);
    if (rc == AZR_OK)
        count_line(j, !uniform(values, n), values, n);
    return rc;
}

/* ------------------------------------------------------------- processes --- */

static int give_up(const struct job *j, const azr_error *err)
{
    load_gate_fail(&j->shared->gate, err->message[0] ? err->message : "failed");
    return 1;
}

static int create(int index, void *arg)
{
    const struct job *j = arg;
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *array = NULL;
    int rc;

    (void)index;
    spec.rank = j->program->rank;
    spec.dtype = AZR_INT32;
    for (int d = 0; d < spec.rank; d++) {
        spec.shape[d] = j->program->shape;
        spec.chunks[d] = j->program->chunk;
    }
    spec.codecs = j->o->codec;
    spec.durability = j->o->durability;
    rc = azr_array_create(&array, j->path, &spec, NULL, &err);
    azr_array_close(array);
    return rc < 0 ? give_up(j, &err) : 0;
}

static int process(int index, void *arg)
{
    const struct job *j = arg;
    azr_open_options open = cli_open_options(j->o->cli, AZR_OPEN_WRITE);
    uint64_t random = j->o->seed + (uint64_t)index;
    azr_error err = AZR_ERROR_INIT;
    azr_array *array = NULL;
    int rc;

    open.sync = (uint32_t)j->sync;
    open.threads = 1;
    if (j->o->kernel_locks)
        open.flags |= AZR_OPEN_KERNEL_LOCKS;
    rc = azr_array_open(&array, j->path, &open, &err);
    if (rc == AZR_OK)
        load_gate_enter(&j->shared->gate);
    while (rc == AZR_OK && load_gate_open(&j->shared->gate))
        rc = j->program->step(j, array, index, &random, &err);
    azr_array_close(array);
    return rc < 0 ? give_up(j, &err) : 0;
}

static int run_processes(struct job *j)
{
    double seconds = j->o->seconds / 4 < 1 ? j->o->seconds / 4 : 1;
    pid_t pids[DEMO_REPORT_PROCS] = {0};
    uint64_t ns;

    if (load_fork(pids, 1, create, j) < 0 || load_join(pids, 1) < 0 ||
        load_fork(pids, DEMO_REPORT_PROCS, process, j) < 0)
        return -1;
    ns = load_run(&j->shared->gate, DEMO_REPORT_PROCS, seconds);
    return load_join(pids, DEMO_REPORT_PROCS) < 0 || ns == 0 ? -1 : 0;
}

static int run(const struct demo_options *o, const struct program *program,
               int sync, struct demo_report *out)
{
    struct job j = {o, program, load_map(sizeof *j.shared), NULL, sync};
    int rc = CLI_OK;
    char path[4200];

    if (!j.shared)
        return cli_error(o->cli, CLI_IO, "no memory");
    (void)snprintf(path, sizeof path, "%s/%s-%s.zarr", o->scratch,
                   program->name, sync == AZR_SYNC_FULL ? "ours" : "plain");
    j.path = path;
    if (run_processes(&j) < 0) {
        rc = cli_signal
                 ? CLI_SIGNAL + cli_signal
                 : cli_error(o->cli, CLI_IO, "%s: %s", program->name,
                             j.shared->gate.message[0] ? j.shared->gate.message
                                                       : "a process failed");
    }
    out->lines = atomic_load(&j.shared->lines);
    out->mixed = atomic_load(&j.shared->mixed);
    out->have_example = atomic_load(&j.shared->have_example) != 0;
    memcpy(out->example, j.shared->example, sizeof out->example);
    load_unmap(j.shared, sizeof *j.shared);
    return rc;
}

int demo_report_lines(const struct demo_options *o, int sync,
                      struct demo_report *out)
{
    static const struct program lines = {"lines", 1, 12, 4, step_lines};

    return run(o, &lines, sync, out);
}

int demo_report_diagonals(const struct demo_options *o, int sync,
                          struct demo_report *out)
{
    static const struct program diagonals = {"diagonals", 2, SIDE, 2,
                                             step_diagonals};

    return run(o, &diagonals, sync, out);
}
