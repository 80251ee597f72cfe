/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call fails, and the process that met it goes on. What tests/fault does in a new
 * process for each failure is done here in one: the same acts and some more, one
 * after the other, in the same process and directory. So a lock, a count or a cache
 * of the process that a failure leaves wrong is met by all that comes after it.
 *
 * Of calls and allocations that are made in the same place (the same eight callers)
 * one fails, with each errno that tells something. Then two: after one that fails,
 * each place that is come to only after a failure fails as well, once, and of the
 * pairs of other places a sample. After each: no descriptor, map or byte is left; an
 * error has a text that tells of what failed, or of one of the two, and has changed
 * nothing, success has happened, AZR_EUNKNOWN is either; and what did not happen
 * happens when it is done again.
 *
 *   unit-goes-on [--every N] [--pairs N] [--seed N] [--seconds N] [--survey] [ACT…]
 *
 * One of N of all trials, of the pairs one of N (0: none).
 */
#include "goes_on.h"

#include "base/alloc.h"
#include "fault/explain.h"
#include "fault/inject.h"
#include "fault/look.h"
#include "fault/trial.h"
#include "os/host.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_S 60 /* who takes longer hangs */
#define ROUNDS     3
#define USUAL                                                                  \
    200 /* of pairs of places that are always come to, one of so many */

static bool g_survey;
static sample g_sample = SAMPLE_ALL; /* of one failure */
static sample g_pairs = SAMPLE_ALL;  /* of a second one */
static unsigned long g_trials, g_twice, g_complaints;
static int g_round;

/* What fails: a call, or an allocation. */
typedef struct failure {
    call what; /* CALLS: memory */
    int error;
} failure;

typedef struct trial {
    const act *a;
    uint64_t salt; /* of the act, for samples */
    char from[160];
    const char *at;
    inject_plan plan;
    failure first, second; /* `error` 0: none */
    int rc;
    azr_error err;
    pictures see;
    uint64_t heap; /* bytes that stay after an undisturbed run */
} trial;

static const failure g_nothing = {CALLS, 0};
static const failure g_no_memory = {CALLS, ENOMEM};

/* Each place with EIO, or the first errno of its call; then with what means
 * something to a caller; then, for ever. */
static int round_of(int error, unsigned e)
{
    if (error == EIO || e == 0)
        return 0;
    return error_tells(error) ? 1 : ROUNDS;
}

/* ------------------------------------------------------------------ a trial --- */

static bool lies(const trial *t)
{
    return is_lie(t->first.error, t->first.what) ||
           is_lie(t->second.error, t->second.what);
}

/* With the fault run and close. Places are the same from wherever this is called. */
__attribute__((noinline)) static void with_fault(trial *t, actor *x,
                                                 const inject_plan *plan)
{
    inject_base = __builtin_return_address(0);
    inject_arm(plan);
    t->rc = t->a->run(x, &t->err);
    actor_close(x);
    inject_pause();
}

static bool act_once(trial *t, const inject_plan *plan)
{
    int before = descriptors();
    actor x;

    t->err = (azr_error)AZR_ERROR_INIT;
    actor_begin(&x, t->at, t->a);
    t->rc = t->a->prepare ? t->a->prepare(&x, &t->err) : AZR_OK;
    if (t->rc < 0) {
        actor_close(&x);
        return complain("prepare: %s", t->err.message);
    }
    with_fault(t, &x, plan);
    if (lies(t)) /* what it read may be wrong */
        scene_error()[0] = '\0';
    return leaves_nothing(before, t->heap) && scene_error()[0] == '\0';
}

/* The same process does it again, where it did not happen. */
static bool do_again(trial *t)
{
    const inject_plan nothing = INJECT_NONE;
    azr_error err = t->err;
    int rc = t->rc;

    if (lies(t) || rc == AZR_OK || rc == AZR_EUNKNOWN || t->a->by_steps)
        return true;
    if (t->a->changes && strcmp(t->see.seen, t->see.new) == 0)
        return true;
    if (!act_once(t, &nothing))
        return false;
    if (t->rc < 0)
        return complain("done again: %s: %s", azr_status_name(t->rc),
                        t->err.message);
    t->rc = rc;
    t->err = err;
    return world_see(t->see.seen, t->at, true) &&
           (strcmp(t->see.seen, t->see.new) == 0 ||
            complain("done again, it is not the new one: %.900s", t->see.seen));
}

static bool tell(const trial *t)
{
    bool memory_first = t->first.what == CALLS;
    char why[1100], what[200];

    (void)snprintf(why, sizeof why, "%s", scene_error());
    scene_error()[0] = '\0';
    g_complaints++;
    (void)plan_text(what, &t->plan,
                    memory_first ? t->second.what : t->first.what,
                    t->second.what);
    (void)printf("%s: %s: %s [%s: %s]\n", t->a->name, what, why,
                 azr_status_name(t->rc), t->err.message);
    return g_survey;
}

static const trial *g_now;

/* It would hang for ever: which one it is. */
static void hangs(int signal)
{
    (void)signal;
    (void)complain("it hangs");
    (void)tell(g_now);
    _exit(1);
}

/* What the answer tells of is one of those that failed. */
static bool explained(const trial *t)
{
    if (explains(t->rc, &t->err, t->first.error, t->first.what))
        return true;
    if (t->second.error == 0)
        return false;
    scene_error()[0] = '\0';
    return explains(t->rc, &t->err, t->second.error, t->second.what);
}

/* False: enough. What was called is in `seen` afterwards, if that is not NULL. */
static bool try_it(trial *t, inject_seen *seen)
{
    unsigned wanted = 1 + (t->second.error != 0);
    bool ok;

    scene_error()[0] = '\0';
    g_now = t;
    (void)alarm(PATIENCE_S);
    trial_lay_out(t->a, t->from, t->at);
    g_trials++;
    ok = act_once(t, &t->plan);
    if (seen)
        *seen = *inject_told();
    if (ok && inject_told()->met < wanted)
        ok = complain("it was not met");
    ok = ok && world_take_back(t->err.message) &&
         world_see(t->see.seen, t->at, false) &&
         (lies(t) || is_honest(t->a, &t->see, t->rc, &t->err));
    if (ok && t->rc < 0)
        ok = explained(t);
    ok = ok && do_again(t);
    (void)alarm(0);
    return ok || tell(t);
}

/* -------------------------------------------------------------------- pairs --- */

/* Is this place, come to after another failure, to fail? Places that are come to
 * when nothing fails have been put down in begin(). */
static bool is_second(const trial *t, uint64_t first, uint64_t site, uint64_t k)
{
    uint64_t pair = (first * UINT64_C(0x9E3779B97F4A7C15)) ^ site;
    sample usual = g_pairs;

    if (place_is_new(site, 0, SECOND))
        return sample_has(&g_pairs, t->salt, k);
    usual.every *= USUAL;
    return sample_has(&usual, t->salt, k) && place_is_new(pair, 0, SECOND);
}

/* What round 0 begins with. */
static int first_error(call c)
{
    const int *errors = call_errors(c);
    unsigned e = 0;

    while (errors[e] != 0 && errors[e] != EIO)
        e++;
    return errors[e] != 0 ? EIO : errors[0];
}

static void plan_call(trial *t, unsigned point, failure f)
{
    if (t->first.what == CALLS) { /* it is not counted in calls */
        t->plan.at = point;
        t->plan.error = f.error;
    } else {
        t->plan.then = point;
        t->plan.then_error = f.error;
    }
    t->second = f;
}

static void plan_allocation(trial *t, unsigned long k)
{
    if (t->first.what == CALLS)
        t->plan.then_alloc = k;
    else
        t->plan.alloc = k;
    t->second = g_no_memory;
}

/* `t` was tried; what it came to after its failure fails as well. */
static bool fail_second(trial *t, uint64_t site, const inject_seen *s)
{
    inject_plan one = t->plan;
    uint64_t salt = (uint64_t)one.at << 20 ^ one.alloc << 40;

    if (s->points > POINTS_MOST || s->met == 0)
        return true;
    one.sites = false;
    for (unsigned q = s->first_points; q < s->points; q++) {
        call c = (call)s->calls[q];
        failure f = {c, first_error(c)};

        if (!is_second(t, site, s->sites[q], salt + 2 * q))
            continue;
        t->plan = one;
        plan_call(t, q, f);
        g_twice++;
        if (!try_it(t, NULL))
            return false;
    }
    for (unsigned long k = s->first_allocs; k < s->allocs; k++) {
        if (k >= POINTS_MOST ||
            !is_second(t, site, s->alloc_sites[k], salt + 2 * k + 1))
            continue;
        t->plan = one;
        plan_allocation(t, k);
        g_twice++;
        if (!try_it(t, NULL))
            return false;
    }
    t->second = g_nothing;
    return true;
}

/* One failure; and then, second ones after it. */
static bool try_all(trial *t, uint64_t site)
{
    static inject_seen seen;
    bool pairs = g_pairs.every > 0 && !t->plan.for_ever;
    unsigned long before = g_complaints;

    t->second = g_nothing;
    t->plan.sites = pairs;
    if (!try_it(t, &seen))
        return false;
    return !pairs || g_complaints > before || fail_second(t, site, &seen);
}

/* ------------------------------------------------------------------- sweeps --- */

/* What for ever says nothing new: somebody has a lock, which is a time-out; and what
 * was renamed cannot be renamed back. */
static bool is_beyond(call c, int error)
{
    return c == C_RENAMEAT2 ||
           (c == C_LOCK && (error == EACCES || error == EAGAIN)) ||
           (c == C_FLOCK && error == EWOULDBLOCK);
}

static bool fail_calls(trial *t, const inject_seen *s)
{
    for (unsigned p = 0; p < s->points; p++) {
        const int *errors = call_errors((call)s->calls[p]);

        for (unsigned e = 0; errors[e] != 0; e++) {
            inject_plan plan = INJECT_NONE;
            bool ever = g_round == 2;

            if (round_of(errors[e], e) != (ever ? 0 : g_round) ||
                (ever && is_beyond((call)s->calls[p], errors[e])) ||
                !sample_has(&g_sample, t->salt,
                            (uint64_t)p * 64 + 2 * e + ever) ||
                !place_is_new(s->sites[p], errors[e], ever ? FOR_EVER : ONCE))
                continue;
            plan.at = p;
            plan.error = errors[e];
            plan.for_ever = ever;
            t->plan = plan;
            t->first = (failure){(call)s->calls[p], errors[e]};
            if (!try_all(t, s->sites[p]))
                return false;
        }
    }
    return true;
}

static bool fail_allocations(trial *t, const inject_seen *s)
{
    for (unsigned long k = 0; k < s->allocs && k < POINTS_MOST; k++) {
        inject_plan plan = INJECT_NONE;

        if (!sample_has(&g_sample, t->salt, ((uint64_t)1 << 40) + k) ||
            !place_is_new(s->alloc_sites[k], ENOMEM, ONCE))
            continue;
        plan.alloc = k;
        t->plan = plan;
        t->first = g_no_memory;
        if (!try_all(t, s->alloc_sites[k]))
            return false;
    }
    return true;
}

/* Places that are come to when nothing fails. */
static void note_usual(const inject_seen *s)
{
    for (unsigned p = 0; p < s->points && p < POINTS_MOST; p++)
        (void)place_is_new(s->sites[p], 0, SECOND);
    for (unsigned long k = 0; k < s->allocs && k < POINTS_MOST; k++)
        (void)place_is_new(s->alloc_sites[k], 0, SECOND);
}

/* An undisturbed run: its points, its picture. The second one, since the first may
 * fill caches of the process. */
static bool begin(trial *t, inject_seen *out)
{
    inject_plan nothing = INJECT_NONE;

    nothing.sites = true;
    scene_error()[0] = '\0';
    for (int k = 0; k < 2; k++) {
        t->heap = UINT64_MAX;
        trial_lay_out(t->a, t->from, t->at);
        if (!world_see(t->see.old, t->at, false) || !act_once(t, &nothing))
            return false;
        if (t->rc < 0)
            return complain("undisturbed: %s", t->err.message);
    }
    t->heap = azri_heap_nbytes();
    *out = *inject_told();
    note_usual(out);
    if (!world_see(t->see.new, t->at, true))
        return false;
    if (t->a->changes == (strcmp(t->see.old, t->see.new) == 0))
        return complain("it changes %s: %.600s",
                        t->a->changes ? "nothing" : "something", t->see.new);
    if (!act_does(t->a, t->see.old, t->see.new))
        return false;
    return out->points < POINTS_MOST || complain("too many points");
}

/* Of its name, so that acts that are added choose no others. */
static uint64_t salt_of(const act *a)
{
    uint64_t h = UINT64_C(0xCBF29CE484222325);

    for (const char *c = a->name; *c; c++)
        h = (h ^ (uint8_t)*c) * UINT64_C(0x100000001B3);
    return h;
}

/* Round -1: to learn what is usual. */
static bool sweep(const act *a, unsigned world)
{
    static trial t;
    static inject_seen seen;
    static char at[160];
    const char *root = scene_root(true);

    memset(&t, 0, sizeof t);
    t.a = a;
    t.salt = salt_of(a);
    t.first = t.second = g_nothing;
    t.plan = (inject_plan)INJECT_NONE;
    t.at = at;
    (void)snprintf(t.from, sizeof t.from, "%s/from-%u", root, world);
    (void)snprintf(at, sizeof at, "%s/at", root);
    if (!begin(&t, &seen))
        return tell(&t);
    return g_round < 0 || (fail_calls(&t, &seen) &&
                           (g_round > 0 || fail_allocations(&t, &seen)));
}

/* -------------------------------------------------------------------- acts --- */

#define ACTS_MOST 512
static const act *g_acts[ACTS_MOST];
static unsigned g_worlds[ACTS_MOST], g_count;

/* A process beside would have what we have. */
static bool is_usable(const act *a)
{
    return !a->unsteady && !a->finish &&
           (!(a->parts & PART_SHARED) || world_can_share());
}

static void gather(const act *list, unsigned n, int argc, char **argv, int from)
{
    for (unsigned i = 0; i < n && g_count < ACTS_MOST; i++) {
        bool named = from >= argc;

        for (int k = from; k < argc; k++)
            named = named || strcmp(list[i].name, argv[k]) == 0;
        if (named && is_usable(&list[i]))
            g_acts[g_count++] = &list[i];
    }
}

/* Two of one name would be one to the tables of what they do. */
static bool have_names_of_their_own(void)
{
    for (unsigned i = 0; i < g_count; i++) {
        for (unsigned k = 0; k < i; k++) {
            if (strcmp(g_acts[i]->name, g_acts[k]->name) == 0)
                return complain("two acts are called %s", g_acts[i]->name);
        }
    }
    return true;
}

static bool same_world(const act *a, const act *b)
{
    const char *x = a->codecs ? a->codecs : "", *y = b->codecs ? b->codecs : "";

    return a->parts == b->parts && a->power == b->power &&
           a->format == b->format && strcmp(x, y) == 0;
}

/* One of a kind for all acts that want it; before anything can fail. */
static bool make_worlds(void)
{
    char at[160];

    for (unsigned i = 0; i < g_count; i++) {
        const act *a = g_acts[i];
        unsigned k = 0;

        while (k < i && !same_world(g_acts[k], a))
            k++;
        g_worlds[i] = k;
        (void)snprintf(at, sizeof at, "%s/from-%u", scene_root(true), k);
        if (k == i && !world_make(at, a))
            return false;
    }
    return true;
}

static bool parse(int argc, char **argv, int *at)
{
    for (*at = 1; *at < argc && argv[*at][0] == '-'; ++*at) {
        const char *name = argv[*at];
        unsigned long value;

        if (strcmp(name, "--survey") == 0) {
            g_survey = true;
            continue;
        }
        if (*at + 1 == argc)
            return false;
        value = strtoul(argv[++*at], NULL, 10);
        if (strcmp(name, "--every") == 0)
            g_sample.every = value > 0 ? value : 1;
        else if (strcmp(name, "--pairs") == 0)
            g_pairs.every = value;
        else if (strcmp(name, "--seed") == 0)
            g_sample.seed = g_pairs.seed = value;
        else if (strcmp(name, "--seconds") == 0)
            g_sample.until = g_pairs.until =
                azri_now_ns() + (int64_t)value * 1000000000;
        else
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    bool ok = true;
    int at;

    if (!parse(argc, argv, &at))
        return 2;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    gather(acts, act_count, argc, argv, at);
    gather(more_acts, more_act_count, argc, argv, at);
    gather(whole_acts, whole_act_count, argc, argv, at);
    if (g_count == 0 || !have_names_of_their_own() || !make_worlds()) {
        (void)printf("FAILED %s\n", g_count ? scene_error() : "no such act");
        scene_roots_remove();
        return 1;
    }
    inject_install();
    (void)signal(SIGALRM, hangs);
    for (g_round = g_pairs.every > 0 ? -1 : 0; g_round < ROUNDS; g_round++) {
        for (unsigned i = 0; i < g_count && ok; i++)
            ok = sweep(g_acts[i], g_worlds[i]);
    }
    scene_roots_remove();
    (void)printf(
        "seed %llu, one of %lu, pairs one of %lu: %lu trials in %u acts, "
        "%lu of them with two failures, %lu complaints, %lu left out "
        "since time was up\n",
        (unsigned long long)g_sample.seed, g_sample.every, g_pairs.every,
        g_trials, g_count, g_twice, g_complaints, g_sample.late + g_pairs.late);
    return g_complaints > 0 || g_trials == 0;
}
