/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Negative controls: the library with one guard taken out must fail the kill
 * sweep or the interleavings. A guard whose absence nobody notices would mean
 * that these tests prove nothing about it.
 */
#include "crash/interleave.h"

#include "crash/guards.h"

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
    const char *name;
    azri_guard value;
    bool (*run)(void);
} control;

#define CONTROL(name, test)                                                    \
    {                                                                          \
#        name ", " #        test, AZRI_GUARD_##name, test                      \
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

static bool try_one(const void *arg, bool whole)
{
    const control *c = arg;

    (void)whole;
    return c->run();
}

int main(void)
{
    size_t n = sizeof controls / sizeof controls[0], caught = 0;

    for (size_t i = 0; i < n; i++)
        caught += guard_try(controls[i].name, controls[i].value, try_one,
                            &controls[i]);
    return guards_end(caught, n);
}
