/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a read ever torn? Writers fill one of two overlapping boxes with a number of
 * their own: left and middle, or middle and right. So in every snapshot each part
 * holds one number, and the middle agrees with the left or with the right.
 */
#include "stress.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define SIDE 24 /* elements; chunks of 8 × 4 */
#define EDGE 8  /* columns of left and of right */

typedef struct shared {
    char path[256];
    int64_t until_ns, at_most_ns;
    uint64_t seed;
    unsigned flags, sync;
    bool tears;
    _Atomic uint64_t reads, writes, torn;
} shared;

typedef struct cell {
    const char *name;
    unsigned workers; /* every other one writes */
    bool threads, fast, tears;
    int durability;
    unsigned flags, sync;
} cell;

static const cell cells[] = {
    {"2 processes, tmpfs", 2, false, true, false, 0, 0, 0},
    {"8 processes, tmpfs", 8, false, true, false, 0, 0, 0},
    {"30 processes, tmpfs", 30, false, true, false, 0, 0, 0},
    {"8 processes, tmpfs, power", 8, false, true, false, 1, 0, 0},
    {"2 processes, disk", 2, false, false, false, 0, 0, 0},
    {"8 processes, disk", 8, false, false, false, 0, 0, 0},
    {"30 processes, disk", 30, false, false, false, 0, 0, 0},
    {"8 processes, disk, power", 8, false, false, false, 1, 0, 0},
    {"8 threads, tmpfs", 8, true, true, false, 0, 0, 0},
    {"8 threads, tmpfs, kernel locks", 8, true, true, false, 0,
     AZR_OPEN_KERNEL_LOCKS, 0},
    {"8 threads, disk", 8, true, false, false, 0, 0, 0},
    {"8 processes, tmpfs, by chunk", 8, false, true, true, 0, 0,
     AZR_SYNC_CHUNK},
    {"8 threads, tmpfs, no sync", 8, true, true, true, 0, 0, AZR_SYNC_NONE},
};

static shared *sh;

static azr_array *open_array(void)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;

    o.flags = AZR_OPEN_WRITE | sh->flags;
    o.sync = sh->sync;
    CHECK_OK(azr_array_open(&a, sh->path, &o, &err), err);
    return a;
}

static void write_one(azr_array *a, uint64_t value, bool right)
{
    int64_t start[2] = {1, right ? EDGE : 0};
    int64_t count[2] = {SIDE - 2, SIDE - EDGE};
    azr_selection sel = azr_select_box(2, start, count, NULL);
    azr_error err = AZR_ERROR_INIT;

    CHECK_OK(azr_array_fill(a, &sel, &value, sizeof value, &err), err);
    atomic_fetch_add(&sh->writes, 1);
}

/* Columns c0 .. c1 - 1 of the rows that are written hold one number. */
static bool is_uniform(const uint64_t *v, int c0, int c1)
{
    for (int r = 1; r < SIDE - 1; r++) {
        for (int c = c0; c < c1; c++) {
            if (v[r * SIDE + c] != v[SIDE + c0])
                return false;
        }
    }
    return true;
}

static void read_one(azr_array *a)
{
    uint64_t v[SIDE * SIDE];
    azr_selection sel = azr_select_all(2);
    azr_error err = AZR_ERROR_INIT;
    uint64_t middle;

    CHECK_OK(azr_array_read(a, &sel, v, sizeof v, &err), err);
    middle = v[SIDE + EDGE];
    if (!is_uniform(v, 0, EDGE) || !is_uniform(v, EDGE, SIDE - EDGE) ||
        !is_uniform(v, SIDE - EDGE, SIDE) ||
        (v[SIDE] != middle && v[2 * SIDE - 1] != middle))
        atomic_fetch_add(&sh->torn, 1);
    atomic_fetch_add(&sh->reads, 1);
}

#define LEAST 60 /* a run without traffic proves nothing */

/* Until the time is over, longer where the machine is slow, or nothing has torn that
 * must. */
static bool goes_on(void)
{
    int64_t now = stress_now_ns();

    return now < sh->until_ns || (now < sh->at_most_ns &&
                                  (atomic_load(&sh->reads) < LEAST ||
                                   atomic_load(&sh->writes) < LEAST ||
                                   (sh->tears && atomic_load(&sh->torn) == 0)));
}

static void work(azr_array *a, unsigned number)
{
    uint64_t seed = sh->seed + number * 7919u;

    for (uint64_t n = 1; goes_on(); n++) {
        if (number % 2 == 0)
            write_one(a, (uint64_t)(number + 1) << 32 | n,
                      stress_below(&seed, 2) != 0);
        else
            read_one(a);
    }
}

static void process(void *arg)
{
    azr_array *a = open_array();

    work(a, *(const unsigned *)arg);
    azr_array_close(a);
}

typedef struct thread {
    pthread_t id;
    azr_array *a;
    unsigned number;
} thread;

static void *thread_main(void *arg)
{
    const thread *t = arg;

    work(t->a, t->number);
    return NULL;
}

static void threads(void *arg)
{
    const cell *c = arg;
    azr_array *a = open_array();
    thread t[32];

    for (unsigned i = 0; i < c->workers; i++) {
        t[i].a = a;
        t[i].number = i;
        CHECK(pthread_create(&t[i].id, NULL, thread_main, &t[i]) == 0,
              "pthread_create");
    }
    for (unsigned i = 0; i < c->workers; i++)
        (void)pthread_join(t[i].id, NULL);
    azr_array_close(a);
}

static void run_workers(const cell *c)
{
    unsigned numbers[32];
    pid_t pids[32];
    cell copy = *c;

    if (c->threads) {
        stress_join(stress_spawn(threads, &copy));
        return;
    }
    for (unsigned i = 0; i < c->workers; i++) {
        numbers[i] = i;
        pids[i] = stress_spawn(process, &numbers[i]);
    }
    for (unsigned i = 0; i < c->workers; i++)
        stress_join(pids[i]);
}

static bool run_cell(const cell *c, const stress_args *args)
{
    int64_t shape[2] = {SIDE, SIDE}, chunks[2] = {8, 4};
    char dir[128];
    uint64_t reads, writes, torn;
    bool ok;

    memset(sh, 0, sizeof *sh);
    stress_scratch(dir, sizeof dir, c->fast);
    (void)snprintf(sh->path, sizeof sh->path, "%s/a.zarr", dir);
    stress_create(sh->path, 2, shape, chunks, c->durability);
    sh->flags = c->flags;
    sh->sync = c->sync;
    sh->seed = args->seed;
    sh->tears = c->tears;
    sh->until_ns = stress_now_ns() + (int64_t)args->scale * 1500000000;
    sh->at_most_ns = sh->until_ns + INT64_C(30000000000);
    run_workers(c);
    stress_cleanup(dir);

    reads = atomic_load(&sh->reads);
    writes = atomic_load(&sh->writes);
    torn = atomic_load(&sh->torn);
    ok = c->tears ? torn > 0 : torn == 0;
    if (reads < LEAST || writes < LEAST)
        ok = false;
    (void)printf("torn: %s: %" PRIu64 " torn of %" PRIu64 " reads, %" PRIu64
                 " writes%s%s\n",
                 c->name, torn, reads, writes, c->tears ? " (must tear)" : "",
                 ok ? "" : ": FAILED");
    return ok;
}

int main(int argc, char **argv)
{
    stress_args args;
    int failed = 0;

    stress_parse(&args, argc, argv);
    stress_deadline(1500);
    sh = stress_shared(sizeof *sh);
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        if (stress_wants(&args, cells[i].name))
            failed += !run_cell(&cells[i], &args);
    }
    return failed > 0;
}
