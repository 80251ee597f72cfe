/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two arrays whose elements add up to a constant, and whose chunks do so with their
 * neighbour: several processes move amounts between the arrays, and within each, by
 * merging into chunks, some killed in the midst of it. Others take snapshots, of
 * both arrays, linked, copied and elsewhere, with rights to write and without. In
 * each the sum must be right, and be of the same bytes when it is read again at
 * its end; no merge may take a snapshot's links for a plain program; in the end
 * nothing is left of those that were killed with a snapshot in hand.
 */
#include "stress.h"

#include "base/guard.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARRAYS   2
#define CHUNKS   96
#define CHUNK    3
#define LENGTH   (CHUNKS * CHUNK)
#define START    1000
#define TOTAL    ((uint64_t)ARRAYS * LENGTH * START)
#define WRITERS  3
#define TAKERS   3
#define KILLINGS 40

static char g_dir[256], g_elsewhere[300];
static bool g_sabotaged;
static unsigned g_kills;

typedef struct counts {
    _Atomic uint64_t transfers, merges, snapshots, wrong;
    _Atomic bool stop;
} counts;

static counts *g_counts;

static void open_both(azr_array **a, unsigned flags)
{
    char path[320];

    for (int k = 0; k < ARRAYS; k++) {
        (void)snprintf(path, sizeof path, "%s/%d.zarr", g_dir, k);
        a[k] = stress_open(path, flags, 60000);
    }
}

static void close_both(azr_array **a)
{
    for (int k = 0; k < ARRAYS; k++)
        azr_array_close(a[k]);
}

/* --------------------------------------------------------------- writers --- */

/* From the middle of a chunk of one array to one of the other. */
static void transfer(azr_array **a, uint64_t *seed)
{
    azr_selection s[ARRAYS] = {
        AZR_BOX(1, {0}, {1}),
        AZR_BOX(1, {0}, {1}),
    };
    uint64_t v[ARRAYS], amount = stress_below(seed, 100);
    azr_error err = AZR_ERROR_INIT;
    azr_txn *txn = NULL;
    int rc;

    for (int k = 0; k < ARRAYS; k++)
        s[k].start[0] = (int64_t)stress_below(seed, CHUNKS) * CHUNK + 1;
    CHECK_OK(azr_txn_begin(&txn, NULL, &err), err);
    for (int k = 0; k < ARRAYS; k++)
        CHECK_OK(azr_txn_read(txn, a[k], &s[k], &v[k], sizeof v[k], &err), err);
    v[0] -= amount;
    v[1] += amount;
    for (int k = 0; k < ARRAYS; k++)
        CHECK_OK(azr_txn_write(txn, a[k], &s[k], &v[k], sizeof v[k], &err),
                 err);
    rc = azr_txn_commit(txn, &err);
    azr_txn_free(txn);
    CHECK(rc == AZR_OK || rc == AZR_ECONFLICT, "commit: %s", err.message);
    if (rc == AZR_ECONFLICT && err.sub == AZR_SUB_FOREIGN) {
        atomic_fetch_add(&g_counts->wrong, 1);
        CHECK(g_sabotaged, "a snapshot's link was taken for a change: %s",
              err.message);
    }
    if (rc == AZR_OK)
        atomic_fetch_add(&g_counts->transfers, 1);
}

static int shift(void *values, size_t nbytes, void *arg)
{
    uint64_t *v = values;
    uint64_t amount = *(const uint64_t *)arg;

    v[0] -= amount;
    v[nbytes / sizeof *v - 1] += amount;
    return 0;
}

/* Across chunks of one array, merging both ends. */
static void merge(azr_array *a, uint64_t *seed)
{
    int64_t chunks = 1 + (int64_t)stress_below(seed, 6);
    int64_t at = (int64_t)stress_below(seed, (uint64_t)(CHUNKS - chunks));
    azr_selection s = AZR_BOX(1, {at * CHUNK + 1}, {chunks * CHUNK});
    uint64_t amount = stress_below(seed, 100);
    azr_error err = AZR_ERROR_INIT;
    int rc = azr_array_update(a, &s, shift, &amount, &err);

    if (rc == AZR_ECONFLICT)
        atomic_fetch_add(&g_counts->wrong, 1);
    CHECK(rc == AZR_OK || (g_sabotaged && rc == AZR_ECONFLICT), "update: %s",
          err.message);
    atomic_fetch_add(&g_counts->merges, 1);
}

static void be_writer(void *arg)
{
    uint64_t seed = *(const uint64_t *)arg ^ (uint64_t)getpid() << 20;
    azr_array *a[ARRAYS];

    open_both(a, AZR_OPEN_WRITE);
    while (!atomic_load(&g_counts->stop)) {
        if (stress_below(&seed, 2) == 0)
            transfer(a, &seed);
        else
            merge(a[stress_below(&seed, ARRAYS)], &seed);
    }
    close_both(a);
}

/* ------------------------------------------------------------- snapshots --- */

static uint64_t add_up(const azr_snapshot *s, uint64_t v[ARRAYS][LENGTH])
{
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    uint64_t sum = 0;

    for (size_t k = 0; k < ARRAYS; k++) {
        CHECK_OK(azr_array_read(azr_snapshot_array(s, k), &all, v[k],
                                sizeof v[k], &err),
                 err);
        for (int i = 0; i < LENGTH; i++)
            sum += v[k][i];
    }
    return sum;
}

static void take(azr_array **a, const azr_snapshot_options *o)
{
    static uint64_t first[ARRAYS][LENGTH], last[ARRAYS][LENGTH];
    azr_error err = AZR_ERROR_INIT;
    azr_snapshot *s = NULL;
    uint64_t sum;
    int rc = azr_snapshot_take(&s, a, ARRAYS, o, &err);

    CHECK(rc == AZR_OK, "take: %s", err.message);
    sum = add_up(s, first);
    if (sum != TOTAL)
        atomic_fetch_add(&g_counts->wrong, 1);
    CHECK(sum == TOTAL || g_sabotaged, "a snapshot holds %llu, not %llu",
          (unsigned long long)sum, (unsigned long long)TOTAL);
    (void)usleep(2000); /* lives a little, beside the writers */
    (void)add_up(s, last);
    CHECK(memcmp(first, last, sizeof first) == 0, "a snapshot has changed");
    azr_snapshot_close(s);
    atomic_fetch_add(&g_counts->snapshots, 1);
}

static void be_taker(void *arg)
{
    int which = *(const int *)arg;
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_array *a[ARRAYS];

    open_both(a, which == 0 ? AZR_OPEN_WRITE : 0);
    if (which == 1)
        o.flags = AZR_SNAPSHOT_COPY;
    if (which == 2)
        o.directory = g_elsewhere;
    while (!atomic_load(&g_counts->stop))
        take(a, &o);
    close_both(a);
}

/* ------------------------------------------------------------------- run --- */

static void make_both(void)
{
    char path[320];

    for (int k = 0; k < ARRAYS; k++) {
        azr_selection all = azr_select_all(1);
        azr_error err = AZR_ERROR_INIT;
        uint64_t start = START;
        azr_array *a;

        (void)snprintf(path, sizeof path, "%s/%d.zarr", g_dir, k);
        stress_create(path, 1, (int64_t[]){LENGTH}, (int64_t[]){CHUNK}, 0);
        a = stress_open(path, AZR_OPEN_WRITE, 60000);
        CHECK_OK(azr_array_fill(a, &all, &start, sizeof start, &err), err);
        azr_array_close(a);
    }
}

static int entries_of(const char *path)
{
    struct dirent *e;
    DIR *d = opendir(path);
    int n = 0;

    if (!d)
        return 0;
    while ((e = readdir(d)) != NULL)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    (void)closedir(d);
    return n;
}

static void check_end(void)
{
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_array *a[ARRAYS];
    char path[400];

    open_both(a, AZR_OPEN_WRITE); /* collects */
    take(a, NULL);
    o.directory = g_elsewhere;
    take(a, &o); /* collects there */
    for (int k = 0; k < ARRAYS; k++) {
        (void)snprintf(path, sizeof path, "%s/%d.zarr/.azr/snap", g_dir, k);
        CHECK(entries_of(path) == 0, "snapshots are left in array %d", k);
    }
    CHECK(entries_of(g_elsewhere) == 0, "snapshots are left in '%s'",
          g_elsewhere);
    close_both(a);
}

/* Sabotaged, it may have seen what a snapshot must never show, and have died of it. */
static void join_sabotaged(pid_t pid)
{
    int status = 0;

    CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        atomic_fetch_add(&g_counts->wrong, 1);
}

static void join(pid_t pid)
{
    if (g_sabotaged)
        join_sabotaged(pid);
    else
        stress_join(pid);
}

static void respawn(pid_t *pid, void (*fn)(void *), void *arg)
{
    (void)kill(*pid, SIGKILL);
    if (g_sabotaged)
        join_sabotaged(*pid);
    else
        stress_join_killed(*pid);
    g_kills++;
    *pid = stress_spawn(fn, arg);
}

/* A run without traffic proves nothing; and sabotaged it goes on until it is seen. */
static bool is_enough(void)
{
    if (g_sabotaged)
        return atomic_load(&g_counts->wrong) > 0;
    return atomic_load(&g_counts->transfers) > 100 &&
           atomic_load(&g_counts->merges) > 100 &&
           atomic_load(&g_counts->snapshots) > 30;
}

#define AT_MOST_NS INT64_C(80000000000)

static void run(uint64_t seed, unsigned scale)
{
    pid_t writers[WRITERS], takers[TAKERS];
    int which[TAKERS] = {0, 1, 2};
    int64_t begun = stress_now_ns();

    for (int i = 0; i < WRITERS; i++)
        writers[i] = stress_spawn(be_writer, &seed);
    for (int i = 0; i < TAKERS; i++)
        takers[i] = stress_spawn(be_taker, &which[i]);
    for (unsigned i = 0; i < KILLINGS * scale || !is_enough(); i++) {
        uint64_t k = stress_below(&seed, WRITERS);
        uint64_t j = stress_below(&seed, TAKERS);

        (void)usleep((useconds_t)(20000 + stress_below(&seed, 80000)));
        if ((g_sabotaged && is_enough()) ||
            stress_now_ns() - begun > AT_MOST_NS * scale)
            break;
        respawn(&writers[k], be_writer, &seed);
        if (i % 2)
            respawn(&takers[j], be_taker, &which[j]);
    }
    atomic_store(&g_counts->stop, true);
    for (int i = 0; i < WRITERS; i++)
        join(writers[i]);
    for (int i = 0; i < TAKERS; i++)
        join(takers[i]);
    check_end();
}

int main(int argc, char **argv)
{
    stress_args args;
    uint64_t wrong;

    stress_parse(&args, argc, argv);
    stress_deadline(280 * args.scale);
    g_counts = stress_shared(sizeof *g_counts);
#ifdef AZRI_SABOTAGE
    g_sabotaged = true;
    azri_sabotage = args.sabotage && strcmp(args.sabotage, "SNAP_LINKS") == 0
                        ? AZRI_GUARD_SNAP_LINKS
                        : AZRI_GUARD_SNAP_LOOK;
#endif
    stress_scratch(g_dir, sizeof g_dir, true);
    (void)snprintf(g_elsewhere, sizeof g_elsewhere, "%s/tmp", g_dir);
    CHECK(azri_sys_posix.mkdirat(AT_FDCWD, g_elsewhere, 0777) == 0, "mkdir");
    make_both();
    run(args.seed, args.scale);
    stress_cleanup(g_dir);
    wrong = atomic_load(&g_counts->wrong);
    (void)printf("%llu transfers, %llu merges, %llu snapshots of %d arrays, "
                 "%u kills: %llu wrong\n",
                 (unsigned long long)atomic_load(&g_counts->transfers),
                 (unsigned long long)atomic_load(&g_counts->merges),
                 (unsigned long long)atomic_load(&g_counts->snapshots), ARRAYS,
                 g_kills, (unsigned long long)wrong);
    CHECK(g_sabotaged || is_enough(), "too little has happened");
    return g_sabotaged ? wrong == 0 : wrong != 0;
}
