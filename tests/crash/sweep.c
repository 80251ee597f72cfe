/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kill sweep. Every operation of a matrix lists its points; for each point,
 * and each side of it, a child does the operation and dies there. Then a reader, a
 * process that was there all along, and a new writer come: each must find all
 * of the operation or nothing, at once, and leave nothing behind. Nobody calls
 * for recovery. Recovery itself is swept in the same way.
 */
#include "crash/kill.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

typedef enum tier { QUICK, DEFAULT, TORTURE } tier;

static unsigned long g_kills, g_points, g_jobs;

static bool is_wanted(tier t, op o, const kind *k)
{
    if (o == OP_CREATE_ATTRIBUTES && k->format == 3)
        return false;
    if (t == QUICK && (k->zstd || k->power != (k->format == 3)))
        return false;
    if (t == QUICK &&
        (o == OP_RECORD || o == OP_TABLE || o == OP_LANE || o == OP_WRITE_8))
        return false;
    /* what is in a chunk does not change the steps: once for each format */
    if (t == DEFAULT && k->zstd && o != OP_WRITE_2)
        return false;
    return true;
}

static bool sweep_one(op o, const kind *k, bool in_memory, int threads,
                      unsigned step)
{
    static job j;
    char text[32];
    bool ok;

    memset(&j, 0, sizeof j);
    j.o = o;
    j.k = *k;
    j.in_memory = in_memory;
    j.threads = threads;
    ok = job_begin(&j, "array") && job_sweep(&j, step);
    job_end(&j);
    g_kills += j.kills;
    g_points += j.points;
    g_jobs++;
    kind_text(text, k);
    (void)printf("%-18s %-16s %s %d thread%s %5u points %6lu kills%s\n",
                 op_name(o), text, in_memory ? "memory" : "disk  ", threads,
                 threads == 1 ? " " : "s", j.points, j.kills,
                 ok ? "" : "  FAILED");
    if (!ok)
        (void)printf("    %s\n", scene_error());
    return ok;
}

/* Kill at each of some points of `o`; for what each leaves, sweep recovery. */
static bool sweep_nested(op o, const kind *k, unsigned outer_step,
                         unsigned inner_step)
{
    static job j, r;
    unsigned long kills = 0;
    unsigned first;
    char text[32];
    bool ok;

    memset(&j, 0, sizeof j);
    j.o = o;
    j.k = *k;
    j.in_memory = true;
    j.threads = 1;
    ok = job_begin(&j, "outer");
    first = (unsigned)(j.sealed >= 0 ? j.sealed : j.committed);
    for (unsigned at = first; ok && at < j.points; at += outer_step) {
        ok = job_begin_recovery(&r, &j, at, true, "inner") &&
             job_sweep(&r, inner_step);
        job_end(&r);
        kills += r.kills;
    }
    job_end(&j);
    g_kills += kills;
    kind_text(text, k);
    (void)printf("%-18s %-16s recovery of it               %6lu kills%s\n",
                 op_name(o), text, kills, ok ? "" : "  FAILED");
    if (!ok)
        (void)printf("    %s\n", scene_error());
    return ok;
}

static bool matrix(tier t)
{
    bool ok = true;

    for (int n = 0; n < 8; n++) {
        kind k = {n & 1 ? 3 : 2, (n & 2) != 0, (n & 4) != 0};

        for (op o = 0; o < OP_RECOVER; o++) {
            if (is_wanted(t, o, &k))
                ok &= sweep_one(o, &k, true, 1, t == QUICK ? 2 : 1);
        }
    }
    return ok;
}

/* The same on whatever the build stands on, and with a helper thread. */
static bool elsewhere(tier t)
{
    static const op some[] = {OP_WRITE_2, OP_APPEND, OP_SHRINK};
    kind process = {3, false, false}, power = {3, false, true};
    bool ok = true;

    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        ok &= sweep_one(some[i], &process, true, 2, 1);
        if (t == QUICK && i > 0)
            continue;
        ok &= sweep_one(some[i], &process, false, 1, t == QUICK ? 3 : 1);
        if (t != QUICK)
            ok &= sweep_one(some[i], &power, false, 1, 1);
    }
    return ok;
}

static bool nested(tier t)
{
    kind process = {3, false, false}, power = {2, true, true};
    unsigned wide = t == TORTURE ? 5 : 26;
    bool ok = sweep_nested(OP_WRITE_2, &process, t == QUICK ? 4 : 1, 1);

    if (t == QUICK)
        return ok;
    ok &= sweep_nested(OP_WRITE_2, &power, 1, 1);
    ok &= sweep_nested(OP_DELETE, &process, 1, 1);
    ok &= sweep_nested(OP_SHRINK, &power, 2, 1);
    ok &= sweep_nested(OP_RECORD, &process, wide, t == TORTURE ? 2 : 3);
    ok &= sweep_nested(OP_RECORD, &power, 3 * wide, t == TORTURE ? 2 : 3);
    return ok;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "--default";
    tier t = strcmp(name, "--quick") == 0     ? QUICK
             : strcmp(name, "--torture") == 0 ? TORTURE
                                              : DEFAULT;
    unsigned long least = t == QUICK ? 1000 : 10000;
    bool ok;

    ok = matrix(t);
    ok &= elsewhere(t);
    ok &= nested(t);
    scene_roots_remove();
    (void)printf("%lu kills at %lu points of %lu operations, and in the "
                 "recovery of some\n",
                 g_kills, g_points, g_jobs);
    if (ok && g_kills < least)
        (void)printf("FAILED: at least %lu kills are asked for\n", least);
    return ok && g_kills >= least ? 0 : 1;
}
