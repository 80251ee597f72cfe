/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader looks at the rows one after the other:
 *
 *   1. R passes row 1: nothing there yet.
 *   2. R is slow at row 2, another transaction that is committed.
 *   3. A commits in row 1 and has not yet moved its counter.
 *   4. B reads what A wrote (through row 1), and commits in row 3.
 *   5. R goes on, meets row 3, and reads B's chunk through it, A's under its key:
 *      B without A, although B had seen A. No counter has moved.
 *
 * Only the second look at the rows finds it. Each of them is held by a hook at its
 * place; the rows are in this order because each takes the next one after the last
 * that was taken (another process where they happen to begin at the table's end).
 */
#include "stress.h"

#include "base/guard.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK  2
#define CHUNKS 32 /* enough of them for a record of their own */
/* Exit statuses of a child. */
#define OTHER  42 /* the rows lie otherwise: try again */
#define CAUGHT 43 /* B without A */

static char g_path[256];
static azr_array *g_array;
static bool g_sabotaged;

/* A thread, and where it stays. */
typedef struct actor {
    const char *stay_at[2]; /* stores; NULL: nowhere */
    int next;
    stress_pipe there, go;
    pthread_t thread;
    int64_t first, count; /* chunks it writes */
    uint64_t seen_a, seen_b;
    bool reads;
} actor;

static _Thread_local actor *me;

static void stay(void)
{
    stress_tell(&me->there);
    stress_await(&me->go);
}

static void staying_store64(const char *what, _Atomic uint64_t *p,
                            uint64_t value)
{
    azri_sys_posix.store64(what, p, value);
    if (me && me->next < 2 && me->stay_at[me->next] &&
        strcmp(what, me->stay_at[me->next]) == 0) {
        me->next++;
        stay();
    }
}

/* The reader stays once, when it loads the record of row 2. */
static int staying_openat(int dir, const char *path, int flags, mode_t mode)
{
    size_t n = strlen(path);

    if (me && me->reads && me->next == 0 && n > 2 &&
        strcmp(path + n - 2, ".r") == 0) {
        me->next++;
        stay();
    }
    return azri_sys_posix.openat(dir, path, flags, mode);
}

static azr_selection box(int64_t first, int64_t n)
{
    int64_t start = first * CHUNK, count = n * CHUNK;

    return azr_select_box(1, &start, &count, NULL);
}

static void put(int64_t first, int64_t n, uint64_t value)
{
    azr_selection sel = box(first, n);
    azr_error err = AZR_ERROR_INIT;

    CHECK_OK(azr_array_fill(g_array, &sel, &value, sizeof value, &err), err);
}

/* Chunk 0 is A's, the last one B's, those between are the slow transaction's. */
static void get(uint64_t *a_out, uint64_t *b_out)
{
    uint64_t v[CHUNKS * CHUNK];
    azr_selection sel = box(0, CHUNKS);
    azr_error err = AZR_ERROR_INIT;

    CHECK_OK(azr_array_read(g_array, &sel, v, sizeof v, &err), err);
    *a_out = v[0];
    *b_out = v[CHUNKS * CHUNK - 1];
}

static void *act(void *arg)
{
    me = arg;
    if (me->reads)
        get(&me->seen_a, &me->seen_b);
    else
        put(me->first, me->count, 2);
    return NULL;
}

static void enter(actor *a)
{
    stress_pipe_open(&a->there);
    stress_pipe_open(&a->go);
    CHECK(pthread_create(&a->thread, NULL, act, a) == 0, "pthread_create");
    stress_await(&a->there);
}

static void leave(actor *a)
{
    stress_tell(&a->go);
    (void)pthread_join(a->thread, NULL);
}

static int note_row(const azr_row_info *row, void *arg)
{
    int *rows = arg;

    if (rows[0] < 3)
        rows[++rows[0]] = row->row;
    return 0;
}

static bool rows_in_order(void)
{
    azr_error err = AZR_ERROR_INIT;
    int rows[4] = {0};

    CHECK_OK(azr_array_status(g_array, note_row, rows, &err), err);
    CHECK(rows[0] == 3, "%d transactions, not 3", rows[0]);
    /* status goes from row to row; they were taken one after the other */
    return rows[2] == rows[1] + 1 && rows[3] == rows[2] + 1;
}

static void play(void *arg)
{
    actor a = {.stay_at = {"row.active", "row.committed"}, .count = 1};
    actor slow = {.stay_at = {"row.active", "row.committed"},
                  .first = 1,
                  .count = CHUNKS - 2};
    actor b = {.stay_at = {"row.active", "row.committed"},
               .first = CHUNKS - 1,
               .count = 1};
    actor reader = {.reads = true};
    uint64_t seen_a, seen_b;

    (void)arg;
    stress_sys = azri_sys_posix;
    stress_sys.store64 = staying_store64;
    stress_sys.openat = staying_openat;
    g_array = stress_open(g_path, AZR_OPEN_WRITE, 60000);
    put(0, CHUNKS, 1);
    stress_hook();
    enter(&a);
    enter(&slow);
    enter(&b);
    if (!rows_in_order())
        _exit(OTHER);
    stress_tell(&slow.go); /* commits, stays */
    stress_await(&slow.there);
    enter(&reader); /* has passed row 1 */
    stress_tell(&a.go);
    stress_await(&a.there);
    get(&seen_a, &seen_b);
    CHECK(seen_a == 2 && seen_b == 1, "A is not seen through its row");
    stress_tell(&b.go);
    stress_await(&b.there);
    stress_tell(&reader.go);
    if (!g_sabotaged) { /* it may have to wait for A and B: let them end */
        leave(&a);
        leave(&b);
    }
    (void)pthread_join(reader.thread, NULL);
    if (g_sabotaged) {
        leave(&a);
        leave(&b);
    }
    leave(&slow);
    azr_array_close(g_array);
    if (reader.seen_b == 2 && reader.seen_a == 1)
        _exit(CAUGHT);
}

/* Exit status of a child that plays it. */
static int try_once(void)
{
    pid_t pid = stress_spawn(play, NULL);
    int status = 0;

    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status),
          "the play ended with %x", status);
    return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
    stress_args args;
    char dir[128];
    int status = OTHER, tries = 0;

    stress_parse(&args, argc, argv);
    stress_deadline(280);
    stress_scratch(dir, sizeof dir, true);
    (void)snprintf(g_path, sizeof g_path, "%s/a.zarr", dir);
    stress_create(g_path, 1, (int64_t[]){CHUNKS * CHUNK}, (int64_t[]){CHUNK},
                  0);
#ifdef AZRI_SABOTAGE
    azri_sabotage = AZRI_GUARD_P2;
    g_sabotaged = true;
#endif
    while (status == OTHER && tries++ < 50)
        status = try_once();
    stress_cleanup(dir);
    (void)printf("looks%s: %s, %d tries\n",
                 g_sabotaged ? " without the second look at the rows" : "",
                 status == 0        ? "never B without A"
                 : status == CAUGHT ? "B without A"
                                    : "failed",
                 tries);
    return status != (g_sabotaged ? CAUGHT : 0);
}
