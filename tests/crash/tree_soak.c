/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash-tree --soak SEED SECONDS: deaths in what is done to nodes as wholes, drawn
 * from the seed; then in the same thing done again, and in collecting what is left,
 * before somebody does it to the end.
 */
#include "crash/staff.h"
#include "crash/tree.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define TRIALS 250 /* of one verb */

static struct {
    uint64_t seed;
    unsigned long kills, again, trials;
} g;

typedef struct mortal {
    child_fn fn;
    void *arg;
    unsigned at;
    bool after;
} mortal;

static bool be_mortal(void *arg)
{
    const mortal *m = arg;
    bool ok;

    tap_arm(TAP_KILL, m->at, m->after, 0);
    ok = m->fn(m->arg);
    tap_disarm();
    return ok;
}

/* `fn` dies at some point; or lives, if it has not so many. */
static bool let_die(const char *who, child_fn fn, void *arg, unsigned points)
{
    mortal m = {fn, arg, staff_below(&g.seed, points),
                staff_below(&g.seed, 2) != 0};
    int status = child_wait(child_start(be_mortal, &m));

    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        g.kills++;
        g.again++;
        return true;
    }
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           complain("%s ends with status %x", who, (unsigned)status);
}

/* Others die in what comes after; the paths lead to what they did, or to more. */
static bool die_after(trial *t, bool *is_new)
{
    bool was_new = *is_new, ok = true;

    if (!was_new && staff_below(&g.seed, 2))
        ok = let_die("the next one", be_second, t, t->points + 20);
    if (ok && staff_below(&g.seed, 2))
        ok = let_die("a collector", be_collector, t->at, 60);
    if (!ok || !see(t))
        return false;
    *is_new = same(g_seen, &t->new);
    if (*is_new || (!was_new && same(g_seen, &t->old)))
        return true;
    return complain("after other deaths it is neither, or old again");
}

static bool try_one(trial *t, const stock *s)
{
    victim v = {t, TAP_KILL, staff_below(&g.seed, t->points),
                staff_below(&g.seed, 2) != 0};
    bystander b = {.pid = -1};
    bool with_bystander = staff_below(&g.seed, 4) == 0, is_new = false;
    bool ok = true;

    scene_error()[0] = '\0';
    stock_put(s, t->at);
    staff_fresh(staff_below(&g.seed, 16) == 0);
    if (with_bystander)
        ok = bystander_start(&b, t);
    ok = ok && died_there(t, child_wait(child_start(be_victim, &v)), v.at) &&
         see(t) && check_verdict(t, v.at, v.after, &is_new);
    if (with_bystander)
        ok = bystander_end(&b) && ok;
    else
        ok = ok && die_after(t, &is_new) && do_again(t, is_new);
    ok = ok && staff_run(STAFF_WRITER, "collector", be_collector, t->at, 0);
    stock_clear(t->at);
    g.trials++;
    if (!ok) {
        char why[900];

        (void)snprintf(why, sizeof why, "%.890s", scene_error());
        scene_error()[0] = '\0';
        (void)complain("%s, killed %s point %u (%s): %s", verb_names[t->v],
                       v.after ? "after" : "before", v.at, t->names[v.at], why);
    }
    return ok;
}

static bool try_verb(verb v, double until)
{
    static trial t;
    stock *s = NULL;
    bool ok = begin(&t, v);

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
        (void)printf("%s  FAILED\n    %s\n", verb_names[v], scene_error());
    return ok;
}

int tree_soak(uint64_t seed, unsigned long seconds)
{
    bool ok = true;

    g.seed = seed;
    while (ok && staff_seconds() < (double)seconds)
        ok = try_verb((verb)staff_below(&g.seed, VERBS), (double)seconds);
    scene_roots_remove();
    (void)printf("%lu kills, 0 failing calls, %lu of them in what came after, "
                 "%lu trials, seed %" PRIu64 ", %.0f s\n",
                 g.kills, g.again, g.trials, seed, staff_seconds());
    return ok && g.kills > 0 ? 0 : 1;
}
