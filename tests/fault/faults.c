/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything fails once. Each system call of each act fails with each errno that
 * it can return, once and for ever, or transfers less than it was asked; each
 * allocation fails, once and for ever; and then two calls fail, the second one in
 * the clean-up after the first.
 *
 * After each: no crash, no hang, no descriptor, map or byte of memory left; the
 * answer is honest (an error means that nothing has changed, or it is
 * AZR_EUNKNOWN; success that it has happened), and names the call and the errno;
 * a sync that failed is not repeated, and its handle is poisoned. Then somebody
 * comes, does it again if it did not happen, and finds nothing left behind.
 *
 *   fault-faults [--every N|--part K/N] [--seed N] [--twice|--memory] [--sites]
 *                [--survey] [--at POINT] [--call NAME] [--seconds N]
 *                [--ledger FILE] [ACT…]
 *
 * One of N of all trials, chosen by the seed; the N parts of one seed have every
 * trial once (scripts/faults adds up their ledgers). --sites: of calls and
 * allocations that are made in the same place (the same eight callers), by whatever
 * act, one fails, with each errno. --survey tells everything that is wrong, not only
 * the first of each act.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "fault/acts.h"
#include "fault/explain.h"
#include "fault/inject.h"
#include "fault/ledger.h"
#include "fault/look.h"
#include "fault/trial.h"
#include "os/host.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In memory that children share. */
typedef struct told {
    int rc;
    azr_error err;
    int tried; /* what the handle answered afterwards; 1: not asked */
    bool fired, sync_failed;
    unsigned points, run_points; /* all, and those before the handles close */
    unsigned long allocs, run_allocs;
    uint8_t calls[POINTS_MOST];
    pictures see;
    uint64_t heap; /* bytes that stay after an undisturbed run */
} told;

typedef struct trial {
    const act *a;
    unsigned index; /* of the act */
    char from[160], at[160];
    inject_plan plan;
    bool asks;           /* the handle, afterwards */
    unsigned run_points; /* undisturbed, before the handles close */
    unsigned long run_allocs;
} trial;

static told *g_told;
static bool g_survey, g_sites;
static sample g_sample = SAMPLE_ALL;
static long g_only = -1;   /* this point alone */
static const char *g_call; /* calls of this name alone; NULL: all */
static unsigned long g_trials, g_complaints;

/* ---------------------------------------------------------------- caller --- */

static call call_at(unsigned point)
{
    return point < POINTS_MOST ? (call)inject_told()->calls[point] : CALLS;
}

/* What is done after a lie is asked no more than that nothing breaks, hangs or
 * leaks. */
static bool lies(const inject_plan *p)
{
    return is_lie(p->error, call_at(p->at));
}

/* The handle after a failure (a row that stays asks for what could not be synced, of
 * the groups above, to be done again): it works, or it is poisoned since a sync failed. */
static bool handle_is_well(const trial *t, actor *x)
{
    azr_error err = AZR_ERROR_INIT;
    bool must_be = g_told->rc == AZR_EUNKNOWN;
    bool is_left = x->a && actor_has_rows(x);

    g_told->tried = actor_tries(x, &err);
    if (g_told->tried == AZR_EPOISONED)
        return g_told->sync_failed || x->power ||
               complain("poisoned without a failed sync");
    if (must_be && x->a && !x->b) /* of two it is that of the home */
        return complain("unknown, but the handle is not poisoned");
    if (g_told->sync_failed && x->power && x->a && !x->b &&
        g_told->rc == AZR_OK && !is_left)
        return complain("a sync failed, and nobody says so");
    if (g_told->tried == AZR_OK)
        return true;
    if (g_told->tried == AZR_EPERM && !t->a->changes)
        return true; /* opened for reading */
    if (g_told->tried == AZR_ENOTFOUND && t->a->changes)
        return true; /* removed, replaced */
    return complain("the handle afterwards: %s: %s",
                    azr_status_name(g_told->tried), err.message);
}

static bool be_caller(void *arg)
{
    trial *t = arg;
    inject_seen *seen = inject_told();
    azr_error err = AZR_ERROR_INIT;
    int before = descriptors(), rc = AZR_OK;
    bool ok = true;
    actor x;

    actor_begin(&x, t->at, t->a);
    inject_install();
    if (t->a->prepare)
        rc = t->a->prepare(&x, &err);
    if (rc < 0)
        return complain("prepare: %s", err.message);
    inject_arm(&t->plan);
    rc = t->a->run(&x, &err);
    inject_pause();
    g_told->rc = rc;
    g_told->err = err;
    g_told->sync_failed = seen->sync_failed;
    g_told->run_points = seen->points;
    g_told->run_allocs = seen->allocs;
    if (t->asks)
        ok = handle_is_well(t, &x);
    inject_resume();
    actor_close(&x);
    inject_pause();
    if (t->a->finish && t->a->finish(&x, &err) < 0)
        ok = false;
    g_told->fired = seen->fired;
    g_told->points = seen->points;
    g_told->allocs = seen->allocs;
    /* the next step of several writes anew what it syncs */
    if (seen->synced_again && !t->a->by_steps)
        ok = complain("a sync was repeated after it failed");
    if (lies(&t->plan)) /* what it read may be wrong */
        scene_error()[0] = '\0';
    return leaves_nothing(before, g_told->heap) && (ok || lies(&t->plan)) &&
           scene_error()[0] == '\0';
}

/* ------------------------------------------------------------- afterwards --- */

static bool do_again(const trial *t)
{
    azr_error err = AZR_ERROR_INIT;
    int rc = AZR_OK;
    actor x;

    actor_begin(&x, t->at, t->a);
    if (t->a->prepare)
        rc = t->a->prepare(&x, &err);
    if (rc == AZR_OK)
        rc = t->a->run(&x, &err);
    actor_close(&x);
    if (t->a->finish)
        (void)t->a->finish(&x, &err);
    return rc == AZR_OK ||
           complain("done again: %s: %s", azr_status_name(rc), err.message);
}

/* Somebody else: sees, does it again if it did not happen, tidies up. */
static bool be_next(void *arg)
{
    const trial *t = arg;
    bool was_old;

    inject_install(); /* act "wait" listens to it */
    if (!world_take_back(g_told->err.message))
        return false;
    if (!world_see(g_told->see.seen, t->at, false))
        return false;
    if (!lies(&t->plan) &&
        !is_honest(t->a, &g_told->see, g_told->rc, &g_told->err))
        return false;
    if (g_told->rc == AZR_EUNKNOWN &&
        (!world_is_clean(t->at, t->a, false) ||
         !world_see(g_told->see.seen, t->at, !lies(&t->plan))))
        return false; /* now recovery has decided */
    if (lies(&t->plan))
        return world_is_clean(t->at, t->a, true) &&
               world_see(g_told->see.seen, t->at, false);
    was_old = t->a->changes && strcmp(g_told->see.seen, g_told->see.new) != 0;
    if ((was_old || !t->a->changes) && !do_again(t))
        return false;
    if (!world_is_clean(t->at, t->a, false) ||
        !world_see(g_told->see.seen, t->at, true))
        return false;
    return strcmp(g_told->see.seen, g_told->see.new) == 0 ||
           complain("in the end it is not the new one: %.900s",
                    g_told->see.seen);
}

/* ----------------------------------------------------------------- trials --- */

/* Says what went wrong; in a survey all goes on. */
static bool tell(const trial *t)
{
    char why[1100], what[200];

    (void)snprintf(why, sizeof why, "%s", scene_error());
    (void)plan_text(what, &t->plan, call_at(t->plan.at), call_at(t->plan.then));
    scene_error()[0] = '\0';
    g_complaints++;
    if (g_survey) {
        (void)printf("%s: %s: %s [%s: %s]\n", t->a->name, what, why,
                     azr_status_name(g_told->rc), g_told->err.message);
        return true;
    }
    return complain("%s: %s: %s (%s: %s)", t->a->name, what, why,
                    azr_status_name(g_told->rc), g_told->err.message);
}

static bool try_it(trial *t)
{
    bool ok;

    scene_error()[0] = '\0';
    g_told->rc = 0;
    g_told->tried = 1;
    g_told->err = (azr_error)AZR_ERROR_INIT;
    g_told->fired = g_told->sync_failed = false;
    trial_lay_out(t->a, t->from, t->at);
    /* every other time, and not before something has failed */
    t->asks = g_trials++ % 2 == 0 &&
              (t->plan.at < t->run_points || t->plan.alloc < t->run_allocs);
    ok = child_run("caller", be_caller, t) && child_run("next", be_next, t);
    if (ok && g_told->rc < 0 && t->plan.then == UINT32_MAX)
        ok = explains(g_told->rc, &g_told->err, t->plan.error,
                      call_at(t->plan.at));
    return ok || tell(t);
}

/* Of a sample: is this one in it? */
static bool chosen(const trial *t, uint64_t k)
{
    if (g_only >= 0)
        return t->plan.at == (unsigned)g_only && !sample_is_late(&g_sample);
    return sample_has(&g_sample, t->index, k);
}

/* With --sites a place is tried once. */
static bool is_new_site(uint64_t site, int error, bool for_ever)
{
    return !g_sites || place_is_new(site, error, for_ever ? FOR_EVER : ONCE);
}

/* ------------------------------------------------------------------ sweeps --- */

/* Places are gone through in rounds, so that time is spent on what tells most: each
 * with EIO or the first errno of its call, and memory; then what means something to
 * a caller; then the rest. */
#define ROUNDS 3
static int g_round;

static int round_of(int error, unsigned e, bool for_ever)
{
    if (error == EIO || e == 0)
        return for_ever ? 2 : 0;
    if (for_ever)
        return ROUNDS; /* it is the same answer */
    return error_tells(error) ? 1 : 2;
}

static bool is_tried(const inject_plan *p, uint64_t site, unsigned e)
{
    return !g_sites || (round_of(p->error, e, p->for_ever) == g_round &&
                        is_new_site(site, p->error, p->for_ever));
}

/* The same calls each time, but for that which fails and what follows from it. */
static bool not_met(const trial *t)
{
    (void)complain("another call, or none, was made there");
    return tell(t);
}

static bool fail_calls(trial *t, const uint8_t *calls, const uint64_t *sites,
                       unsigned points)
{
    for (unsigned p = 0; p < points; p++) {
        call c = (call)calls[p];
        const int *errors = call_errors(c);

        if (g_call && strcmp(g_call, call_name(c)) != 0)
            continue;
        for (unsigned e = 0; errors[e] != 0; e++) {
            for (int ever = 0; ever < 2; ever++) {
                inject_plan plan = INJECT_NONE;

                plan.at = p;
                plan.error = errors[e];
                plan.for_ever = ever;
                t->plan = plan;
                if (!chosen(t, (uint64_t)p * 64 + 2 * e + (unsigned)ever) ||
                    !is_tried(&plan, sites[p], e))
                    continue;
                if (!try_it(t))
                    return false;
                if (g_told->fired && inject_told()->calls[p] == c)
                    ledger_add(t->index, c, errors[e], ever, g_told->rc);
                else if (!t->a->unsteady && !not_met(t))
                    return false;
            }
        }
    }
    return true;
}

static bool fail_allocations(trial *t, bool libc, const uint64_t *sites,
                             unsigned long n)
{
    for (unsigned long k = 0; k < n; k++) {
        for (int ever = 0; ever < 2; ever++) {
            inject_plan plan = INJECT_NONE;

            plan.alloc = k;
            plan.alloc_for_ever = ever;
            plan.libc = libc;
            t->plan = plan;
            if (!chosen(t, ((uint64_t)1 << 40) + 4 * k + 2 * libc +
                               (unsigned)ever) ||
                (k < POINTS_MOST && !is_new_site(sites[k], ENOMEM, ever)) ||
                (g_sites && ever))
                continue;
            if (!try_it(t))
                return false;
            if (g_told->fired)
                ledger_memory(t->index, libc, ever, g_told->rc);
        }
    }
    return true;
}

/* The second error comes in what follows the first: the clean-up, another way,
 * the rest. */
static bool fail_twice(trial *t, const uint8_t *calls, unsigned points)
{
    for (unsigned p = 0; p < points; p++) {
        for (unsigned q = p + 1; q < POINTS_MOST; q++) {
            inject_plan plan = INJECT_NONE;

            if (!chosen(t,
                        ((uint64_t)2 << 40) + p * (uint64_t)POINTS_MOST + q)) {
                if (q > p + 4 * points)
                    break;
                continue;
            }
            plan.at = p;
            plan.error =
                calls[p] == C_LOCK || calls[p] == C_FLOCK ? ENOLCK : EIO;
            plan.then = q;
            plan.then_error = EIO;
            t->plan = plan;
            if (!try_it(t))
                return false;
            if (g_told->points <= q)
                break;
            ledger_twice(t->index, g_told->rc);
        }
    }
    return true;
}

/* Not in the parent, whose children would find what it remembers of this machine. */
static bool be_looker(void *arg)
{
    const trial *t = arg;

    return g_told->rc == 1 ? world_see(g_told->see.old, t->at, false)
                           : world_see(g_told->see.new, t->at, true);
}

/* An undisturbed run: its points, its picture. */
static bool begin(trial *t, bool libc)
{
    inject_plan nothing = INJECT_NONE;

    scene_error()[0] = '\0';
    memset(g_told, 0, sizeof *g_told);
    g_told->heap = UINT64_MAX;
    nothing.libc = libc;
    nothing.sites = g_sites;
    t->plan = nothing;
    t->asks = false;
    trial_lay_out(t->a, t->from, t->at);
    g_told->rc = 1; /* nothing was done yet */
    if (!child_run("looker", be_looker, t))
        return false;
    if (!child_run("undisturbed", be_caller, t))
        return false;
    if (g_told->rc < 0)
        return complain("undisturbed: %s", g_told->err.message);
    g_told->heap = 0;
    t->run_points = g_told->run_points;
    t->run_allocs = g_told->run_allocs;
    if (!child_run("looker", be_looker, t))
        return false;
    if (t->a->changes == (strcmp(g_told->see.old, g_told->see.new) == 0))
        return complain("%s changes %s: %.600s", t->a->name,
                        t->a->changes ? "nothing" : "something",
                        g_told->see.new);
    if (!act_does(t->a, g_told->see.old, g_told->see.new))
        return false;
    return g_told->points < POINTS_MOST || complain("too many points");
}

typedef struct work {
    bool calls, memory, libc, twice;
} work;

static bool sweep(trial *t, const work *w)
{
    static uint8_t calls[POINTS_MOST];
    static uint64_t sites[POINTS_MOST], alloc_sites[POINTS_MOST];
    unsigned points;
    unsigned long n;

    if (!begin(t, false))
        return false;
    points = g_told->points;
    n = g_told->allocs;
    memcpy(calls, inject_told()->calls, sizeof calls);
    memcpy(sites, inject_told()->sites, sizeof sites);
    memcpy(alloc_sites, inject_told()->alloc_sites, sizeof alloc_sites);
    ledger_points(t->index, calls, points);
    if (w->calls && !fail_calls(t, calls, sites, points))
        return false;
    if (w->memory && !g_call && g_round == 0 &&
        !fail_allocations(t, false, alloc_sites, n))
        return false;
    if (w->twice && !fail_twice(t, calls, points))
        return false;
    if (!w->libc)
        return true;
    if (!begin(t, true))
        return false;
    memcpy(alloc_sites, inject_told()->alloc_sites, sizeof alloc_sites);
    return fail_allocations(t, true, alloc_sites, g_told->allocs);
}

static bool sweep_act(unsigned index, const work *w)
{
    static trial t;
    const char *root = scene_root(true);

    memset(&t, 0, sizeof t);
    t.a = &acts[index];
    t.index = index;
    (void)snprintf(t.from, sizeof t.from, "%s/from", root);
    (void)snprintf(t.at, sizeof t.at, "%s/at", root);
    scene_error()[0] = '\0';
    if ((t.a->parts & PART_SHARED) && !world_can_share()) {
        (void)printf("%s: left out, it needs a second group\n", t.a->name);
        return true;
    }
    return world_make(t.from, t.a) && sweep(&t, w);
}

/* ---------------------------------------------------------------- controls --- */

#ifdef AZRI_SABOTAGE
/* Each guard taken away must be noticed. */
static int controls(void)
{
    static const struct {
        const char *name, *act;
        azri_guard guard;
    } all[] = {
        {"SYNC_ERROR", "write-4-power", AZRI_GUARD_SYNC_ERROR},
        {"ROW", "write-4", AZRI_GUARD_ROW},
        {"OTHERS", "recover-two", AZRI_GUARD_OTHERS},
        {"MARKER_STAYS", "move-below", AZRI_GUARD_MARKER_STAYS},
    };
    static const work calls = {true, false, false, false};
    int missed = 0;

    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
        bool ok = true;

        for (unsigned i = 0; i < act_count && ok; i++) {
            azri_sabotage = all[k].guard;
            if (strcmp(acts[i].name, all[k].act) == 0)
                ok = sweep_act(i, &calls);
        }
        (void)printf("without %s: %s\n", all[k].name,
                     ok ? "MISSED" : scene_error());
        missed += ok;
    }
    scene_roots_remove();
    return missed > 0;
}
#endif

/* -------------------------------------------------------------------- main --- */

static bool is_named(const char *name, int argc, char **argv, int from)
{
    if (from >= argc)
        return true;
    for (int i = from; i < argc; i++) {
        if (strcmp(name, argv[i]) == 0)
            return true;
    }
    return false;
}

/* Where the names of acts begin; -1: an option that there is not. */
static int parse(int argc, char **argv, work *w, const char **file)
{
    int at = 1;

    for (; at < argc && argv[at][0] == '-'; at++) {
        const char *name = argv[at], *value = NULL;

        if (strcmp(name, "--survey") == 0)
            g_survey = true;
        else if (strcmp(name, "--sites") == 0)
            g_sites = true;
        else if (strcmp(name, "--full") == 0)
            w->twice = true;
        else if (strcmp(name, "--twice") == 0)
            *w = (work){false, false, false, true};
        else if (strcmp(name, "--memory") == 0)
            *w = (work){false, true, false, false};
        else if (strcmp(name, "--libc") == 0)
            *w = (work){false, false, true, false};
        else if (at + 1 == argc)
            return -1;
        else
            value = argv[++at];
        if (!value)
            continue;
        if (strcmp(name, "--every") == 0)
            g_sample.every = strtoul(value, NULL, 10);
        else if (strcmp(name, "--part") == 0)
            (void)sscanf(value, "%lu/%lu", &g_sample.part, &g_sample.every);
        else if (strcmp(name, "--at") == 0)
            g_only = strtol(value, NULL, 10);
        else if (strcmp(name, "--call") == 0)
            g_call = value;
        else if (strcmp(name, "--seconds") == 0)
            g_sample.until =
                azri_now_ns() + strtol(value, NULL, 10) * 1000000000;
        else if (strcmp(name, "--seed") == 0)
            g_sample.seed = strtoull(value, NULL, 10);
        else if (strcmp(name, "--ledger") == 0)
            *file = value;
        else
            return -1;
    }
    return g_sample.part >= 1 && g_sample.part <= g_sample.every ? at : -1;
}

int main(int argc, char **argv)
{
    work w = {true, true, false, false};
    const char *file = NULL;
    int bad = 0, at = parse(argc, argv, &w, &file);
    bool is_whole, all_tried;

    if (at < 0)
        return 2;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    g_told = scene_shared(sizeof *g_told);
    (void)scene_error();
    (void)inject_told();
    if (file && !ledger_open(file))
        return 2;
#ifdef AZRI_SABOTAGE
    return controls();
#endif
    for (; g_round < (g_sites ? ROUNDS : 1); g_round++) {
        for (unsigned i = 0; i < act_count; i++) {
            unsigned long before = g_complaints;

            if (!is_named(acts[i].name, argc, argv, at) ||
                sample_is_late(&g_sample) || sweep_act(i, &w))
                continue;
            (void)printf("FAILED %s: %s\n", acts[i].name, scene_error());
            bad++;
            g_complaints += g_complaints == before; /* not one of a trial */
        }
    }
    scene_roots_remove();
    (void)printf("seed %llu, part %lu of %lu: %lu trials, %lu complaints\n",
                 (unsigned long long)g_sample.seed, g_sample.part,
                 g_sample.every, g_trials, g_complaints);
    is_whole = at >= argc && !g_sites && g_only < 0 && !g_call &&
               !sample_is_late(&g_sample);
    ledger_head("seed", "%llu", (unsigned long long)g_sample.seed);
    ledger_head("parts", "%lu of %lu", g_sample.part, g_sample.every);
    ledger_head("acts", "%s", is_whole ? "all" : "some");
    ledger_head("faults", "%s", !w.calls && w.twice ? "two" : "one");
    ledger_head("trials", "%lu", g_trials);
    ledger_head("complaints", "%lu", g_complaints);
    all_tried = ledger_close(is_whole && g_sample.every == 1 && w.calls);
    return bad > 0 || g_complaints > 0 || !all_tried;
}
