/* SPDX-License-Identifier: Apache-2.0 */
/* `stopped`: a writer of one chunk is stopped in the middle of a transaction;
 * how long do operations on another chunk take meanwhile? */
#include "bench.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

/* Two workers, each with a gate of its own. */
struct pair {
    const struct bench_options *o;
    struct bench_load *load[2];
};

static int write_one_chunk(const struct pair *p, int index, azr_error *err)
{
    int64_t length = bench_chunk_length(p->o), start = index * length;
    azr_selection sel = azr_select_box(1, &start, &length, NULL);
    int32_t *values = cli_alloc((size_t)length, sizeof *values);
    struct bench_load *load = p->load[index];
    azr_array *array = NULL;
    int rc = bench_open(&array, p->o, AZR_OPEN_WRITE, err);

    bench_terrain(values, (size_t)length, 1);
    if (rc == AZR_OK)
        load_gate_enter(&load->gate);
    while (rc == AZR_OK && load_gate_open(&load->gate)) {
        uint64_t begin = load_now_ns();

        values[0]++;
        rc = azr_array_write(array, &sel, values,
                             (size_t)length * sizeof *values, err);
        load_record(&load->slot[0], load_now_ns() - begin);
    }
    azr_array_close(array);
    free(values);
    return rc;
}

static int worker(int index, struct pair *p)
{
    azr_error err = AZR_ERROR_INIT;

    if (write_one_chunk(p, index, &err) == AZR_OK)
        return 0;
    bench_worker_fail(p->load[index], &err);
    return 1;
}

static int worker_a(int index, void *arg)
{
    (void)index;
    return worker(0, arg);
}

static int worker_b(int index, void *arg)
{
    (void)index;
    return worker(1, arg);
}

static int create(int index, void *arg)
{
    struct pair *p = arg;
    azr_error err = AZR_ERROR_INIT;
    azr_array *array = NULL;
    int rc = bench_create(&array, p->o, 2, &err);

    (void)index;
    azr_array_close(array);
    if (rc < 0)
        bench_worker_fail(p->load[0], &err);
    return rc < 0;
}

struct wanted {
    pid_t pid;
    bool found;
};

static int look_at_row(const azr_row_info *row, void *arg)
{
    struct wanted *w = arg;

    w->found |= row->pid == w->pid &&
                (row->staged > 0 || row->state >= AZR_ROW_COMMITTED);
    return 0;
}

/* Stop `pid` between its first staged object and the clearing of its row. */
static bool stop_in_flight(azr_array *watch, pid_t pid)
{
    for (int tries = 0; tries < 100000 && !cli_signal; tries++) {
        struct wanted w = {pid, false};
        int status;

        if (kill(pid, SIGSTOP) < 0 || waitpid(pid, &status, WUNTRACED) != pid ||
            !WIFSTOPPED(status))
            return false;
        if (azr_array_status(watch, look_at_row, &w, NULL) == AZR_OK && w.found)
            return true;
        (void)kill(pid, SIGCONT);
        load_sleep_ms(0.2);
    }
    return false;
}

static uint64_t run(struct pair *p)
{
    struct load_gate *gate = &p->load[0]->gate;
    azr_array *watch = NULL;
    azr_error err = AZR_ERROR_INIT;
    pid_t a = 0, b = 0;
    uint64_t ns = 0;

    if (load_fork(&a, 1, create, p) < 0 || load_join(&a, 1) < 0)
        return 0;
    a = load_spawn(worker_a, 0, p);
    while (a > 0 && atomic_load(&gate->ready) == 0 &&
           !atomic_load(&gate->failed) && !cli_signal)
        load_sleep_ms(1);
    atomic_store(&gate->go, 1);
    if (bench_open(&watch, p->o, 0, &err) < 0)
        bench_worker_fail(p->load[0], &err);
    else if (a > 0 && stop_in_flight(watch, a))
        b = load_spawn(worker_b, 0, p);
    if (b > 0) {
        ns = load_run(&p->load[1]->gate, 1, p->o->seconds);
        if (load_join(&b, 1) < 0)
            ns = 0;
    }
    if (a > 0) {
        (void)kill(a, SIGKILL);
        (void)waitpid(a, NULL, 0);
    }
    azr_array_close(watch);
    return ns;
}

int bench_stopped(const struct bench_options *o, struct json *j)
{
    size_t nbytes = 2 * sizeof(struct bench_load);
    struct bench_load *both = load_map(nbytes);
    struct pair p = {o, {both, both ? both + 1 : NULL}};
    int rc = CLI_OK;
    uint64_t ns;

    if (!both)
        return cli_error(o->cli, CLI_IO, "no memory");
    ns = run(&p);
    if (ns > 0)
        bench_print_load(j, "write", both[1].slot, 1, ns);
    else if (cli_signal)
        rc = cli_interrupted(o->cli);
    else
        rc = cli_error(o->cli, CLI_IO, "%s: %s%s", o->array,
                       both[0].gate.message, both[1].gate.message);
    load_unmap(both, nbytes);
    return rc;
}
