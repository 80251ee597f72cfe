/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash-several --soak SEED SECONDS: deaths of transactions over several arrays,
 * drawn from the seed, and after each up to three more in the opening of one array or
 * another, while the first one is dead, or only stopped.
 */
#include "crash/several.h"
#include "crash/staff.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define TRIALS 250 /* with one set of arrays */

static struct {
    uint64_t seed;
    unsigned long kills, stops, trials;
} g;

/* Who opens an array, and dies of it; or lives, if there are not so many points. */
static bool die_opening(const trial *t, unsigned k)
{
    static trial r;
    victim v = {&r, TAP_KILL, staff_below(&g.seed, 60 + 20u * (k % 3)),
                staff_below(&g.seed, 2) != 0};
    int status;

    r = *t;
    r.recover = (int)(k % (unsigned)t->arrays);
    status = child_wait(child_start(be_victim, &v));
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        g.kills++;
        return true;
    }
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           complain("who opens array %d ends with status %x", r.recover,
                    (unsigned)status);
}

static bool die_in_turn(const trial *t)
{
    unsigned deaths = staff_below(&g.seed, 4);
    bool ok = true;

    while (ok && deaths-- > 0)
        ok = die_opening(t, staff_below(&g.seed, PLOT_ARRAYS));
    return ok;
}

/* Stopped after its point; killed only when others have come and died. */
static bool stop_first(trial *t, unsigned at)
{
    victim v = {t, TAP_STOP, at, true};
    pid_t pid = child_start(be_victim, &v);
    int status = 0;
    bool ok;

    while (waitpid(pid, &status, WUNTRACED) < 0 && errno == EINTR)
        continue;
    ok = (WIFSTOPPED(status) || complain("point %u was not visited (status %x)",
                                         at, (unsigned)status)) &&
         die_in_turn(t);
    (void)kill(pid, SIGKILL);
    (void)child_wait(pid);
    g.kills++;
    g.stops++;
    return ok;
}

static bool try_one(trial *t, const stock *s)
{
    unsigned at = staff_below(&g.seed, t->points);
    unsigned number = staff_below(&g.seed, 1u << 16);
    bool stops = staff_below(&g.seed, 4) == 0;
    bool after = staff_below(&g.seed, 2) != 0 || stops;
    bool ok;

    scene_error()[0] = '\0';
    stock_put(s, t->at);
    staff_fresh(staff_below(&g.seed, 16) == 0);
    ok = (stops ? stop_first(t, at) : die_at(t, at, after)) && die_in_turn(t) &&
         look_around(t, at, after, number);
    stock_clear(t->at);
    g.trials++;
    return ok || tell_death(t, at, after, number);
}

static bool try_plot(double until)
{
    static trial t;
    const tempo *c = &tempi[staff_below(&g.seed, (unsigned)tempo_count)];
    stock *s = NULL;
    bool ok = begin(&t, c->p, c->arrays, c->power);

    if (ok) {
        s = stock_take(t.from);
        staff_hire();
    }
    for (int i = 0; ok && i < TRIALS && staff_seconds() < until; i++)
        ok = try_one(&t, s);
    staff_dismiss();
    stock_free(s);
    end(&t);
    g.kills += t.kills;
    if (!ok)
        (void)printf("%d arrays %s %s  FAILED\n    %s\n", c->arrays, c->p->name,
                     c->power ? "power" : "process", scene_error());
    return ok;
}

int several_soak(uint64_t seed, unsigned long seconds)
{
    bool ok = true;

    g.seed = seed;
    while (ok && staff_seconds() < (double)seconds)
        ok = try_plot((double)seconds);
    scene_roots_remove();
    (void)printf("%lu kills, 0 failing calls, %lu of the dead were stopped "
                 "first, %lu trials, seed %" PRIu64 ", %.0f s\n",
                 g.kills, g.stops, g.trials, seed, staff_seconds());
    return ok && g.kills > 0 ? 0 : 1;
}
