/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Negative controls: the library with one guard taken out must fail the kill
 * sweep or the interleavings. A guard whose absence nobody notices would mean
 * that these tests prove nothing about it.
 */
#include "crash/interleave.h"

#include "base/guard.h"

#include <stdio.h>
#include <string.h>

static const kind plain = {3, false, false};

static bool sweep(op o)
{
    static job j;
    bool ok;

    memset(&j, 0, sizeof j);
    j.o = o;
    j.k = plain;
    j.in_memory = true;
    j.threads = 1;
    ok = job_begin(&j, "control") && job_sweep(&j, 1);
    job_end(&j);
    return ok;
}

static bool kill_write(void)
{
    return sweep(OP_WRITE_2);
}

static bool kill_delete(void)
{
    return sweep(OP_DELETE);
}

static bool stopped_writer(void)
{
    return stop_writer(OP_UPDATE, &plain, NULL);
}

static bool stopped_delete(void)
{
    return stop_writer(OP_DELETE, &plain, NULL);
}

static bool stopped_recovery(void)
{
    return stop_recovery(OP_DELETE, &plain, NULL);
}

static bool stopped_reader(void)
{
    return stop_reader(OP_WRITE_8, &plain, NULL);
}

static bool stopped_reader_recovery(void)
{
    return stop_reader_recovery(OP_WRITE_8, &plain, NULL);
}

static bool foreign(void)
{
    return replace_foreign(&plain, NULL);
}

static bool syncs(void)
{
    return sync_before_seal(&plain, NULL);
}

typedef struct control {
    const char *guard;
    azri_guard value;
    const char *test;
    bool (*run)(void);
} control;

#define CONTROL(name, test)                                                    \
    {                                                                          \
#        name, AZRI_GUARD_##name, #        test, test                          \
    }

static const control controls[] = {
    CONTROL(ROW, kill_write),
    CONTROL(RENAME_FIRST, kill_write),
    CONTROL(FINISH, kill_write),
    CONTROL(READ_THROUGH, kill_write),
    CONTROL(LOOK, kill_delete),
    CONTROL(BUMP, stopped_reader),
    CONTROL(C2, stopped_reader),
    CONTROL(RECOVERY_BUMP, stopped_reader_recovery),
    CONTROL(CHUNK_LOCKS, stopped_writer),
    CONTROL(HOLD_LOCKS, stopped_delete),
    CONTROL(SLOT, stopped_recovery),
    CONTROL(BUSY_ROW, stopped_recovery),
    CONTROL(FOREIGN, foreign),
    CONTROL(SYNC_STAGED, syncs),
};

/* Each test passes with all guards in place, and fails without this one. */
static bool try_one(const control *c)
{
    bool passes, caught;

    azri_sabotage = AZRI_GUARD_NONE;
    passes = c->run();
    if (!passes) {
        (void)printf("%-14s %-24s FAILED with every guard in place: %s\n",
                     c->guard, c->test, scene_error());
        return false;
    }
    azri_sabotage = c->value;
    caught = !c->run();
    azri_sabotage = AZRI_GUARD_NONE;
    (void)printf("%-14s %-24s %s\n", c->guard, c->test,
                 caught ? "caught" : "NOT CAUGHT");
    if (caught)
        (void)printf("    %.300s\n", scene_error());
    return caught;
}

int main(void)
{
    size_t n = sizeof controls / sizeof controls[0], caught = 0;

    for (size_t i = 0; i < n; i++)
        caught += try_one(&controls[i]);
    scene_roots_remove();
    (void)printf("%zu of %zu removed guards were noticed\n", caught, n);
    return caught == n ? 0 : 1;
}
