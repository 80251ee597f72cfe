/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Money moves between arrays, in transactions over two to five of them, by several
 * processes, some of which are killed in the midst of it; others add all arrays up
 * in one transaction, and must never find more or less than there was. Beside them
 * single arrays are written as well. In the end nothing is left over.
 */
#include "stress.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ARRAYS   5
#define LENGTH   12 /* four chunks of three */
#define CHUNK    3
#define LAST     9 /* from here on: not money */
#define START    1000
#define TOTAL    ((uint64_t)ARRAYS * LAST * START)
#define WRITERS  3
#define READERS  2
#define KILLINGS 60

static char g_dir[256];

typedef struct counts {
    _Atomic uint64_t transfers, sums, refusals;
    _Atomic bool stop;
} counts;

static counts *g_counts;

static void path_of(char out[320], int k)
{
    (void)snprintf(out, 320, "%s/account-%d.zarr", g_dir, k);
}

static void open_all(azr_array **a, unsigned flags)
{
    char path[320];

    for (int k = 0; k < ARRAYS; k++) {
        path_of(path, k);
        a[k] = stress_open(path, flags, 60000);
    }
}

static void close_all(azr_array **a)
{
    for (int k = 0; k < ARRAYS; k++)
        azr_array_close(a[k]);
}

/* ------------------------------------------------------------- transfers --- */

typedef struct transfer {
    azr_array **a;
    int n, which[ARRAYS]; /* arrays, the first gives to the others in turn */
    int64_t from[ARRAYS];
    uint64_t amount;
} transfer;

static int move(azr_txn *txn, void *arg, azr_error *err)
{
    const transfer *t = arg;
    uint64_t v[ARRAYS];
    int rc = AZR_OK;

    for (int i = 0; i < t->n && rc == AZR_OK; i++) {
        azr_selection s = AZR_BOX(1, {t->from[i]}, {1});

        rc = azr_txn_read(txn, t->a[t->which[i]], &s, &v[i], sizeof v[i], err);
    }
    if (rc < 0)
        return rc;
    for (int i = 0; i < t->n; i++) { /* what goes out comes in at the next */
        v[i] -= t->amount;
        v[(i + 1) % t->n] += t->amount + (uint64_t)i;
        v[i] -= (uint64_t)i;
    }
    for (int i = 0; i < t->n && rc == AZR_OK; i++) {
        azr_selection s = AZR_BOX(1, {t->from[i]}, {1});

        rc = azr_txn_write(txn, t->a[t->which[i]], &s, &v[i], sizeof v[i], err);
    }
    return rc;
}

static void choose(transfer *t, uint64_t *seed)
{
    bool taken[ARRAYS] = {false};

    t->n = 2 + (int)stress_below(seed, ARRAYS - 1);
    for (int i = 0; i < t->n; i++) {
        do
            t->which[i] = (int)stress_below(seed, ARRAYS);
        while (taken[t->which[i]]);
        taken[t->which[i]] = true;
        t->from[i] = (int64_t)stress_below(seed, LAST);
    }
    t->amount = stress_below(seed, 100);
}

static void be_writer(void *arg)
{
    uint64_t seed = *(const uint64_t *)arg ^ (uint64_t)getpid() << 20;
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    azr_array *a[ARRAYS];
    transfer t = {.a = a};

    o.timeout_ms = 60000;
    open_all(a, AZR_OPEN_WRITE);
    while (!atomic_load(&g_counts->stop)) {
        azr_error err = AZR_ERROR_INIT;

        choose(&t, &seed);
        CHECK_OK(azr_txn_run(move, &t, &o, &err), err);
        atomic_fetch_add(&g_counts->transfers, 1);
        if (stress_below(&seed, 4) == 0) { /* one array alone, other chunk */
            azr_selection s = AZR_BOX(1, {LAST}, {LENGTH - LAST});

            CHECK_OK(
                azr_array_fill(a[t.which[0]], &s, &seed, sizeof seed, &err),
                err);
        }
    }
    close_all(a);
}

/* ------------------------------------------------------------------ sums --- */

static int add_up(azr_txn *txn, void *arg, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {0}, {LAST});
    transfer *t = arg;

    t->amount = 0;
    for (int k = 0; k < ARRAYS; k++) {
        uint64_t v[LAST];
        int rc = azr_txn_read(txn, t->a[k], &s, v, sizeof v, err);

        if (rc < 0)
            return rc;
        for (int i = 0; i < LAST; i++)
            t->amount += v[i];
    }
    return AZR_OK;
}

static void check_sum(azr_array **a)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    transfer t = {.a = a};

    o.timeout_ms = 60000;
    CHECK_OK(azr_txn_run(add_up, &t, &o, &err), err);
    CHECK(t.amount == TOTAL, "all arrays together hold %llu, not %llu",
          (unsigned long long)t.amount, (unsigned long long)TOTAL);
}

/* Every other one for writing: after three conflicts it locks all of it. */
static void be_reader(void *arg)
{
    azr_array *a[ARRAYS];

    open_all(a, *(const bool *)arg ? AZR_OPEN_WRITE : 0);
    while (!atomic_load(&g_counts->stop)) {
        check_sum(a);
        atomic_fetch_add(&g_counts->sums, 1);
    }
    close_all(a);
}

/* --------------------------------------------------------------- refused --- */

/* Of a transaction that fails nothing is written. */
static void refuse(azr_array **a)
{
    azr_error err = AZR_ERROR_INIT;
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    azr_selection s = AZR_BOX(1, {0}, {1});
    azr_txn *txn = NULL;
    uint64_t v = 1;

    CHECK_OK(azr_txn_begin(&txn, &o, &err), err);
    for (int k = 0; k < ARRAYS; k++)
        CHECK_OK(azr_txn_write(txn, a[k], &s, &v, sizeof v, &err), err);
    azr_txn_free(txn); /* given up */
    atomic_fetch_add(&g_counts->refusals, 1);
}

/* -------------------------------------------------------------------- run --- */

static void make_all(int durability)
{
    char path[320];

    for (int k = 0; k < ARRAYS; k++) {
        azr_selection s = AZR_BOX(1, {0}, {LAST});
        azr_error err = AZR_ERROR_INIT;
        uint64_t start = START;
        azr_array *a;

        path_of(path, k);
        stress_create(path, 1, (int64_t[]){LENGTH}, (int64_t[]){CHUNK},
                      durability);
        a = stress_open(path, AZR_OPEN_WRITE, 60000);
        CHECK_OK(azr_array_fill(a, &s, &start, sizeof start, &err), err);
        azr_array_close(a);
    }
}

static int count_row(const azr_row_info *row, void *arg)
{
    (void)row;
    ++*(int *)arg;
    return 0;
}

static void check_end(void)
{
    azr_array *a[ARRAYS];

    open_all(a, AZR_OPEN_WRITE);
    check_sum(a);
    for (int k = 0; k < ARRAYS; k++) {
        azr_error err = AZR_ERROR_INIT;
        int rows = 0;

        CHECK_OK(azr_array_status(a[k], count_row, &rows, &err), err);
        CHECK(rows == 0, "%d rows are left in array %d", rows, k);
    }
    close_all(a);
}

static void nap(uint64_t *seed)
{
    (void)usleep((useconds_t)(5000 + stress_below(seed, 40000)));
}

static void run(uint64_t seed, unsigned scale, int durability)
{
    bool yes = true, no = false;
    pid_t writers[WRITERS], readers[READERS];
    azr_array *a[ARRAYS];

    make_all(durability);
    atomic_store(&g_counts->stop, false);
    for (int i = 0; i < WRITERS; i++)
        writers[i] = stress_spawn(be_writer, &seed);
    for (int i = 0; i < READERS; i++)
        readers[i] = stress_spawn(be_reader, i % 2 ? &yes : &no);
    open_all(a, AZR_OPEN_WRITE);
    for (unsigned i = 0; i < KILLINGS * scale; i++) {
        int k = (int)stress_below(&seed, WRITERS);

        nap(&seed);
        (void)kill(writers[k], SIGKILL);
        stress_join_killed(writers[k]);
        check_sum(a);
        refuse(a);
        writers[k] = stress_spawn(be_writer, &seed);
    }
    nap(&seed);
    atomic_store(&g_counts->stop, true);
    for (int i = 0; i < WRITERS; i++)
        stress_join(writers[i]);
    for (int i = 0; i < READERS; i++)
        stress_join(readers[i]);
    close_all(a);
    check_end();
}

int main(int argc, char **argv)
{
    stress_args args;

    stress_parse(&args, argc, argv);
    stress_deadline(280 * args.scale);
    g_counts = stress_shared(sizeof *g_counts);
    for (int power = 0; power < 2; power++) {
        stress_scratch(g_dir, sizeof g_dir, true);
        run(args.seed, args.scale,
            power ? AZR_DURABILITY_POWER : AZR_DURABILITY_PROCESS);
        stress_cleanup(g_dir);
    }
    CHECK(atomic_load(&g_counts->transfers) > 0 &&
              atomic_load(&g_counts->sums) > 0,
          "nobody did anything");
    (void)printf("%llu transfers over 2 to %d arrays, %llu sums, %u kills: "
                 "nothing came or went\n",
                 (unsigned long long)atomic_load(&g_counts->transfers), ARRAYS,
                 (unsigned long long)atomic_load(&g_counts->sums),
                 2 * KILLINGS * args.scale);
    return 0;
}
