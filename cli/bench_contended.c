/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that write small boxes: all over the same three chunks
 * (`contended`), each its own chunk (`disjoint`), beside readers (`readers`),
 * or beside one that has been stopped in the middle (`stopped`).
 */
#include "bench.h"

#include <stdlib.h>

/* What worker `index` does over and over. */
struct job {
    const struct bench_options *o;
    struct bench_load *load;
    int writers; /* the first so many write, the others read */
    int disjoint;
};

static azr_selection box_of(const struct job *j, int index)
{
    int64_t length = bench_chunk_length(j->o);
    int64_t start =
        j->disjoint ? index * length : length / 2 + (index % 2) * length;

    return azr_select_box(1, &start, &length, NULL);
}

static int work(const struct job *j, int index, azr_array *array,
                int32_t *values, azr_error *err)
{
    azr_selection sel = box_of(j, index);
    size_t n = (size_t)bench_chunk_length(j->o);
    size_t nbytes = n * sizeof *values;

    while (load_gate_open(&j->load->gate)) {
        uint64_t start = load_now_ns();
        int rc;

        if (index < j->writers) {
            values[0]++;
            rc = azr_array_write(array, &sel, values, nbytes, err);
        } else {
            rc = azr_array_read(array, &sel, values, nbytes, err);
        }
        if (rc < 0)
            return rc;
        load_record(&j->load->slot[index], load_now_ns() - start);
    }
    return 0;
}

static int worker(int index, void *arg)
{
    const struct job *j = arg;
    size_t n = (size_t)bench_chunk_length(j->o);
    int32_t *values = cli_alloc(n, sizeof *values);
    azr_error err = AZR_ERROR_INIT;
    azr_array *array = NULL;
    int rc;

    bench_terrain(values, n, (uint64_t)index);
    rc =
        bench_open(&array, j->o, index < j->writers ? AZR_OPEN_WRITE : 0, &err);
    if (rc == 0) {
        load_gate_enter(&j->load->gate);
        rc = work(j, index, array, values, &err);
    }
    if (rc < 0)
        bench_worker_fail(j->load, &err);
    azr_array_close(array);
    free(values);
    return rc < 0;
}

/* The array, each chunk written once. In a process of its own: the parent of
 * the workers stays free of threads. */
static int make_array(int index, void *arg)
{
    const struct job *j = arg;
    int chunks = j->disjoint ? j->o->procs : 3;
    size_t n = (size_t)(bench_chunk_length(j->o) * chunks);
    int32_t *values = cli_alloc(n, sizeof *values);
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    azr_array *array = NULL;
    int rc;

    (void)index;
    bench_terrain(values, n, 1);
    rc = bench_create(&array, j->o, chunks, &err);
    if (rc == 0)
        rc = azr_array_write(array, &all, values, n * sizeof *values, &err);
    if (rc < 0)
        bench_worker_fail(j->load, &err);
    azr_array_close(array);
    free(values);
    return rc < 0;
}

static int run(struct job *j, int n, uint64_t *ns)
{
    struct load_gate *gate = &j->load->gate;
    pid_t pids[BENCH_MAX_WORKERS];

    if (load_fork(pids, 1, make_array, j) == 0 && load_join(pids, 1) == 0 &&
        load_fork(pids, n, worker, j) == 0) {
        *ns = load_run(gate, n, j->o->seconds);
        if (load_join(pids, n) == 0 && *ns > 0)
            return CLI_OK;
    }
    if (cli_signal)
        return cli_interrupted(j->o->cli);
    return cli_error(j->o->cli, CLI_IO, "%s: %s", j->o->array,
                     gate->message[0] ? gate->message : "a process failed");
}

static int measure(const struct bench_options *o, struct json *json,
                   int disjoint, int readers)
{
    struct bench_load *load = load_map(sizeof *load);
    struct job j = {o, load, o->procs, disjoint};
    uint64_t ns = 0;
    int rc;

    if (!load)
        return cli_error(o->cli, CLI_IO, "no memory");
    rc = run(&j, o->procs + readers, &ns);
    if (rc == CLI_OK) {
        json_real(json, "seconds", (double)ns / 1e9);
        bench_print_load(json, "write", load->slot, o->procs, ns);
        if (readers > 0)
            bench_print_load(json, "read", load->slot + o->procs, readers, ns);
    }
    load_unmap(load, sizeof *load);
    return rc;
}

int bench_contended(const struct bench_options *o, struct json *j)
{
    return measure(o, j, 0, 0);
}

int bench_disjoint(const struct bench_options *o, struct json *j)
{
    return measure(o, j, 1, 0);
}

int bench_readers(const struct bench_options *o, struct json *j)
{
    return measure(o, j, 0, o->readers);
}
