/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thirty processes append to data and its coordinate, both or neither, by
 * azr_append_all; two more do it by transactions, and others are killed in the
 * midst of it. Readers look at both in one transaction: they are of one length and
 * say the same of each step. In the end each block that was reported is where it
 * was reported to be, and nothing is there twice or in part. With
 * --only=consolidated both stand below a group with consolidated metadata, which
 * tell the truth at the end.
 */
#include "stress.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define APPENDERS 30
#define BY_TXN    2
#define READERS   3
#define WIDTH     3
#define BLOCK     5 /* steps at most; chunks have 8 */
#define LOOK_AT   24
#define WORKERS   (APPENDERS + BY_TXN)

typedef struct shared {
    char root[200], data[256], time[256];
    bool consolidated;
    _Atomic uint64_t looks, refused;
    _Atomic bool stop;
    uint64_t rounds;
} shared;

static shared *sh;

/* Who, which block, which step of it. */
static uint64_t tag_of(unsigned worker, uint64_t i, unsigned step)
{
    return (uint64_t)(worker + 1) << 48 | i << 8 | step;
}

static unsigned size_of(unsigned worker, uint64_t i)
{
    return 1 + (unsigned)((worker + i) % BLOCK);
}

typedef struct pair {
    azr_array *data, *time;
} pair;

static void open_pair(pair *p)
{
    p->data = stress_open(sh->data, AZR_OPEN_WRITE, 60000);
    p->time = stress_open(sh->time, AZR_OPEN_WRITE, 60000);
}

static void close_pair(pair *p)
{
    azr_array_close(p->data);
    azr_array_close(p->time);
}

/* -------------------------------------------------------------- appending --- */

typedef struct block {
    pair *p;
    unsigned n;
    uint64_t time[BLOCK], data[BLOCK][WIDTH];
    int64_t at_data, at_time;
} block;

static void fill_block(block *b, pair *p, unsigned worker, uint64_t i)
{
    b->p = p;
    b->n = size_of(worker, i);
    for (unsigned k = 0; k < b->n; k++) {
        b->time[k] = tag_of(worker, i, k);
        for (unsigned c = 0; c < WIDTH; c++)
            b->data[k][c] = b->time[k] + c;
    }
}

/* In either order: the library has its own. */
static int append_block(block *b, bool time_first, azr_error *err)
{
    azr_append_part parts[2] = {AZR_APPEND_PART_INIT, AZR_APPEND_PART_INIT};
    azr_append_part *time = &parts[time_first ? 0 : 1];
    azr_append_part *data = &parts[time_first ? 1 : 0];
    int rc;

    time->array = b->p->time;
    time->src = b->time;
    time->src_nbytes = b->n * sizeof b->time[0];
    data->array = b->p->data;
    data->src = b->data;
    data->src_nbytes = b->n * sizeof b->data[0];
    time->length = data->length = b->n;
    rc = azr_append_all(parts, 2, NULL, err);
    b->at_time = time->offset;
    b->at_data = data->offset;
    return rc;
}

static int append_by_txn(azr_txn *t, void *arg, azr_error *err)
{
    block *b = arg;
    int rc = azr_txn_append(t, b->p->data, 0, b->n, b->data,
                            b->n * sizeof b->data[0], &b->at_data, err);

    if (rc == AZR_OK)
        rc = azr_txn_append(t, b->p->time, 0, b->n, b->time,
                            b->n * sizeof b->time[0], &b->at_time, err);
    return rc;
}

static void check_block(const block *b)
{
    azr_selection sel = azr_select_box(1, &b->at_time, (int64_t[]){b->n}, NULL);
    azr_error err = AZR_ERROR_INIT;
    uint64_t seen[BLOCK];

    CHECK(b->at_time == b->at_data, "time at %" PRId64 ", data at %" PRId64,
          b->at_time, b->at_data);
    CHECK_OK(azr_array_read(b->p->time, &sel, seen, sizeof seen, &err), err);
    CHECK(memcmp(seen, b->time, b->n * sizeof *seen) == 0,
          "what was appended at %" PRId64 " is not there", b->at_time);
}

static void appender(void *arg)
{
    unsigned worker = *(const unsigned *)arg;
    block b;
    pair p;

    open_pair(&p);
    for (uint64_t i = 0; i < sh->rounds; i++) {
        azr_error err = AZR_ERROR_INIT;

        fill_block(&b, &p, worker, i);
        if (worker < APPENDERS)
            CHECK_OK(append_block(&b, (worker + i) % 2 == 0, &err), err);
        else
            CHECK_OK(azr_txn_run(append_by_txn, &b, NULL, &err), err);
        check_block(&b);
    }
    close_pair(&p);
}

/* Appends until it is killed. */
static void victim(void *arg)
{
    unsigned worker = *(const unsigned *)arg;
    block b;
    pair p;

    open_pair(&p);
    for (uint64_t i = 0;; i++) {
        azr_error err = AZR_ERROR_INIT;

        fill_block(&b, &p, worker, i);
        CHECK_OK(append_block(&b, i % 2 == 0, &err), err);
    }
}

/* ---------------------------------------------------------------- reading --- */

typedef struct view {
    pair *p;
    int64_t length;
    uint64_t time[LOOK_AT], data[LOOK_AT][WIDTH];
    int64_t n;
} view;

static int look(azr_txn *t, void *arg, azr_error *err)
{
    view *v = arg;
    int64_t data[2] = {0}, time = 0, start[2] = {0}, count[2];
    azr_selection sel;
    int rc = azr_txn_shape(t, v->p->data, data, err);

    if (rc == AZR_OK)
        rc = azr_txn_shape(t, v->p->time, &time, err);
    if (rc < 0)
        return rc;
    v->length = data[0];
    v->n = time < LOOK_AT ? time : LOOK_AT;
    start[0] = time - v->n;
    count[0] = v->n;
    count[1] = WIDTH;
    if (data[0] != time) { /* the commit has to refuse this look */
        atomic_fetch_add(&sh->refused, 1);
        v->n = -1;
        return AZR_OK;
    }
    sel = azr_select_box(1, start, count, NULL);
    rc = azr_txn_read(t, v->p->time, &sel, v->time, sizeof v->time, err);
    sel = azr_select_box(2, start, count, NULL);
    if (rc == AZR_OK)
        rc = azr_txn_read(t, v->p->data, &sel, v->data, sizeof v->data, err);
    return rc;
}

static void reader(void *arg)
{
    int64_t before = 0;
    pair p;

    (void)arg;
    open_pair(&p);
    do { /* once at least */
        azr_error err = AZR_ERROR_INIT;
        view v = {.p = &p};

        CHECK_OK(azr_txn_run(look, &v, NULL, &err), err);
        CHECK(v.n >= 0, "data and time differ in length");
        CHECK(v.length >= before, "%" PRId64 " steps, there were %" PRId64,
              v.length, before);
        before = v.length;
        for (int64_t i = 0; i < v.n; i++)
            for (unsigned c = 0; c < WIDTH; c++)
                CHECK(v.data[i][c] == v.time[i] + c,
                      "data and time differ in one of the last steps");
        atomic_fetch_add(&sh->looks, 1);
    } while (!atomic_load(&sh->stop));
    close_pair(&p);
}

/* ----------------------------------------------------------------- the end --- */

/* Whole blocks, one after the other; how many of each worker. */
static void count_blocks(const uint64_t *time, int64_t n, unsigned workers,
                         uint64_t *counts)
{
    for (int64_t i = 0; i < n;) {
        unsigned worker = (unsigned)(time[i] >> 48) - 1;
        uint64_t number = time[i] >> 8 & 0xffffffff;

        CHECK(worker < workers && (time[i] & 0xff) == 0,
              "no block begins at %" PRId64, i);
        CHECK(number == counts[worker],
              "block %" PRIu64 " of worker %u after %" PRIu64, number, worker,
              counts[worker]);
        counts[worker]++;
        for (unsigned k = 0; k < size_of(worker, number); k++, i++)
            CHECK(i < n && time[i] == tag_of(worker, number, k),
                  "a block is torn at %" PRId64, i);
    }
}

static void check_end(unsigned workers)
{
    uint64_t *counts = calloc(workers, sizeof *counts), *time, *data;
    azr_array_info info = {.struct_size = sizeof info};
    azr_selection all = azr_select_all(1), square = azr_select_all(2);
    azr_error err = AZR_ERROR_INIT;
    size_t n;
    pair p;

    open_pair(&p);
    CHECK_OK(azr_array_info_get(p.time, &info, &err), err);
    n = (size_t)info.shape[0];
    time = calloc(n, sizeof *time);
    data = calloc(n, WIDTH * sizeof *data);
    CHECK(counts && time && data, "no memory");
    CHECK_OK(azr_array_read(p.time, &all, time, n * sizeof *time, &err), err);
    CHECK_OK(
        azr_array_read(p.data, &square, data, n * WIDTH * sizeof *data, &err),
        err);
    for (size_t i = 0; i < n * WIDTH; i++)
        CHECK(data[i] == time[i / WIDTH] + i % WIDTH,
              "data and time differ at step %zu", i / WIDTH);
    count_blocks(time, (int64_t)n, workers, counts);
    for (unsigned w = 0; w < WORKERS; w++)
        CHECK(counts[w] == sh->rounds, "%" PRIu64 " blocks of worker %u",
              counts[w], w);
    close_pair(&p);
    free(counts);
    free(time);
    free(data);
}

static int is_stale(const azr_finding *f, void *arg)
{
    (void)arg;
    stress_die("consolidated metadata: %s", f->text);
}

static void check_consolidated(void)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_group_info info = {.struct_size = sizeof info};
    azr_error err = AZR_ERROR_INIT;
    azr_group *g;

    CHECK_OK(azr_group_open(&g, sh->root, &o, &err), err);
    CHECK_OK(azr_group_info_get(g, &info, &err), err);
    CHECK(info.consolidated, "the group is not consolidated any more");
    CHECK_OK(azr_group_check_consolidated(g, is_stale, NULL, &err), err);
    azr_group_close(g);
}

static void consolidate(void)
{
    azr_error err = AZR_ERROR_INIT;
    azr_group *g;

    CHECK_OK(azr_group_create(&g, sh->root, NULL, NULL, &err), err);
    CHECK_OK(azr_group_consolidate(g, &err), err);
    azr_group_close(g);
}

static void begin(const char *dir, unsigned scale)
{
    (void)snprintf(sh->root, sizeof sh->root, "%s/root", dir);
    (void)snprintf(sh->data, sizeof sh->data, "%s/data", sh->root);
    (void)snprintf(sh->time, sizeof sh->time, "%s/time", sh->root);
    CHECK(mkdir(sh->root, 0777) == 0, "mkdir %s", sh->root);
    if (sh->consolidated)
        consolidate();
    stress_create(sh->data, 2, (int64_t[]){0, WIDTH}, (int64_t[]){8, 2}, 0);
    stress_create(sh->time, 1, (int64_t[]){0}, (int64_t[]){8}, 0);
    sh->rounds = 100u * scale;
}

int main(int argc, char **argv)
{
    static unsigned numbers[WORKERS + READERS + 10000];
    pid_t pids[WORKERS + READERS];
    stress_args args;
    unsigned killings, n = 0;
    int64_t begun = stress_now_ns();
    char dir[128];

    stress_parse(&args, argc, argv);
    stress_deadline(900);
    sh = stress_shared(sizeof *sh);
    sh->consolidated = args.only && strcmp(args.only, "consolidated") == 0;
    stress_scratch(dir, sizeof dir, true);
    begin(dir, args.scale);
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        numbers[i] = i;
    for (; n < WORKERS; n++)
        pids[n] = stress_spawn(appender, &numbers[n]);
    for (; n < WORKERS + READERS; n++)
        pids[n] = stress_spawn(reader, NULL);
    killings = 150u * args.scale;
    for (unsigned k = 0; k < killings && k < 10000; k++) {
        pid_t pid = stress_spawn(victim, &numbers[WORKERS + k]);

        (void)usleep((useconds_t)stress_below(&args.seed, 60000));
        (void)kill(pid, SIGKILL);
        stress_join_killed(pid);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        stress_join(pids[i]);
    atomic_store(&sh->stop, true);
    for (unsigned i = WORKERS; i < n; i++)
        stress_join(pids[i]);
    check_end(WORKERS + killings);
    if (sh->consolidated)
        check_consolidated();
    CHECK(atomic_load(&sh->looks) > 0, "nobody looked");
    stress_cleanup(dir);
    (void)printf("appends: %u processes, %" PRIu64 " blocks each, %u killed, "
                 "%" PRIu64 " looks, %.1f s\n",
                 WORKERS, sh->rounds, killings, atomic_load(&sh->looks),
                 (double)(stress_now_ns() - begun) / 1e9);
    return 0;
}
