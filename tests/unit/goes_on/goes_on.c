/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call fails, and the process that met it goes on. What tests/fault does in a new
 * process for each failure is done here in one: the same acts and some more, one
 * after the other, in the same process and directory. So a lock, a count or a cache
 * of the process that a failure leaves wrong is met by all that comes after it.
 *
 * Of calls and allocations that are made in the same place (the same eight callers)
 * one fails, with each errno that tells something. After each: no descriptor, map or
 * byte is left; an error has a text and has changed nothing, success has happened,
 * AZR_EUNKNOWN is either; and what did not happen happens when it is done again.
 *
 *   unit-goes-on [--every N] [--seed N] [--seconds N] [--survey] [ACT…]
 */
#include "goes_on.h"

#include "base/alloc.h"
#include "fault/explain.h"
#include "fault/inject.h"
#include "os/host.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_S 60 /* who takes longer hangs */
#define ROUNDS     3

static bool g_survey;
static unsigned long g_every = 1, g_seed = 1;
static int64_t g_until = INT64_MAX;
static unsigned long g_trials, g_complaints, g_skipped;
static int g_round;

typedef struct trial {
    const act *a;
    char from[160];
    const char *at;
    inject_plan plan;
    call what; /* CALLS: memory */
    int rc;
    azr_error err;
    char old[WORLD_TEXT], new[WORLD_TEXT], seen[WORLD_TEXT];
    uint64_t heap; /* bytes that stay after an undisturbed run */
} trial;

/* ------------------------------------------------------------------ places --- */

/* What was tried, in an open hash table; 0: free. */
#define TRIED_MOST (UINT64_C(1) << 18)
static uint64_t g_tried[TRIED_MOST];

/* Has this not failed in this way in this place? It will have, from now on. */
static bool is_new_place(uint64_t site, int error)
{
    uint64_t h = (site ^ (uint64_t)(error + 8)) * UINT64_C(0x9E3779B97F4A7C15);

    h |= (uint64_t)1 << 63;
    for (uint64_t k = 0; k < TRIED_MOST; k++) {
        uint64_t *at = &g_tried[(h + k) % TRIED_MOST];

        if (*at == h)
            return false;
        if (*at == 0) {
            *at = h;
            return true;
        }
    }
    return true;
}

/* Of a sample, is this one in it? Where the process stands in memory must not
 * matter: the same seed chooses the same ones. */
static bool is_chosen(const act *a, uint64_t k)
{
    uint64_t h = g_seed * UINT64_C(0x9E3779B97F4A7C15);

    for (const char *c = a->name; *c; c++)
        h = (h ^ (uint8_t)*c) * UINT64_C(0x100000001B3);
    h = (h ^ (k * UINT64_C(0xD6E8FEB86659FD93))) * UINT64_C(0xFF51AFD7ED558CCD);
    if (azri_now_ns() > g_until) {
        g_skipped++;
        return false;
    }
    return g_every <= 1 || (h >> 33) % g_every == 0;
}

/* Each place with EIO, or the first errno of its call; then with what means
 * something to a caller; then, for ever. */
static int round_of(int error, unsigned e)
{
    if (error == EIO || e == 0)
        return 0;
    switch (error) {
    case EAGAIN:
    case EEXIST:
    case EINTR:
    case EINVAL:
    case EMLINK:
    case ENOENT:
    case ENOSYS:
    case ENOTDIR:
    case EOPNOTSUPP:
    case EPERM:
    case EXDEV:
    case SHORT_ZERO:
    case SHORT_HALF:
        return 1;
    default:
        return ROUNDS;
    }
}

/* ------------------------------------------------------------------ a trial --- */

/* "There is no such file" where there is one, or the other way round: no library
 * can know better. Only breaking, hanging and leaking is wrong then. */
static bool is_lie(const trial *t)
{
    switch (t->plan.error) {
    case ENOENT:
    case ENOTDIR:
    case EEXIST:
    case SHORT_ZERO:
        return true;
    default:
        return t->what == C_FSTATAT &&
               (t->plan.error == EACCES || t->plan.error == ELOOP);
    }
}

static int descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = -1; /* its own */

    while (d && readdir(d))
        n++;
    if (d)
        (void)closedir(d);
    return n;
}

static bool leaves_nothing(const trial *t, int before)
{
    int now = descriptors();

    if (now != before)
        return complain("%d descriptors left", now - before);
    if (inject_maps() != 0)
        return complain("%ld maps left", inject_maps());
    if (azri_heap_nbytes() > t->heap)
        return complain("%llu bytes left, %llu when nothing fails",
                        (unsigned long long)azri_heap_nbytes(),
                        (unsigned long long)t->heap);
    return true;
}

/* Prepare, with the fault run and close. */
static bool act_once(trial *t, const inject_plan *plan)
{
    int before = descriptors();
    bool lies;
    actor x;

    t->err = (azr_error)AZR_ERROR_INIT;
    actor_begin(&x, t->at, t->a);
    t->rc = t->a->prepare ? t->a->prepare(&x, &t->err) : AZR_OK;
    if (t->rc < 0) {
        actor_close(&x);
        return complain("prepare: %s", t->err.message);
    }
    inject_arm(plan);
    t->rc = t->a->run(&x, &t->err);
    actor_close(&x);
    inject_pause();
    lies = plan->at != UINT32_MAX && is_lie(t);
    if (lies) /* what it read may be wrong */
        scene_error()[0] = '\0';
    return leaves_nothing(t, before) && scene_error()[0] == '\0';
}

static bool is_honest(const trial *t)
{
    bool is_new = strcmp(t->seen, t->new) == 0;

    if (is_lie(t) || (t->a->parts & PART_TORN))
        return true;
    if (!is_new && strcmp(t->seen, t->old) != 0)
        return (t->a->by_steps && t->rc < 0) ||
               complain("neither old nor new: %.900s", t->seen);
    if (t->rc == AZR_OK)
        return is_new || complain("success, but nothing happened");
    if (is_new && t->a->changes && t->rc != AZR_EUNKNOWN)
        return complain("it failed, but it happened: %s", t->err.message);
    return t->rc < 0 || complain("answer %d", t->rc);
}

static void copy_world(const trial *t)
{
    tree_remove(t->at);
    tree_copy(t->from, t->at);
    if (t->a->parts & PART_SHARED)
        world_share(t->at);
}

/* The same process does it again, where it did not happen. */
static bool do_again(trial *t)
{
    const inject_plan nothing = INJECT_NONE;
    azr_error err = t->err;
    int rc = t->rc;

    if (is_lie(t) || rc == AZR_OK || rc == AZR_EUNKNOWN || t->a->by_steps)
        return true;
    if (t->a->changes && strcmp(t->seen, t->new) == 0)
        return true;
    if (!act_once(t, &nothing))
        return false;
    if (t->rc < 0)
        return complain("done again: %s: %s", azr_status_name(t->rc),
                        t->err.message);
    t->rc = rc;
    t->err = err;
    return world_see(t->seen, t->at, true) &&
           (strcmp(t->seen, t->new) == 0 ||
            complain("done again, it is not the new one: %.900s", t->seen));
}

static bool tell(const trial *t)
{
    char why[1100];

    (void)snprintf(why, sizeof why, "%s", scene_error());
    scene_error()[0] = '\0';
    g_complaints++;
    (void)printf("%s: ", t->a->name);
    if (t->what == CALLS)
        (void)printf("allocation %lu", t->plan.alloc);
    else
        (void)printf("point %u (%s) %s%s", t->plan.at, call_name(t->what),
                     error_text(t->plan.error),
                     t->plan.for_ever ? " for ever" : "");
    (void)printf(": %s [%s: %s]\n", why, azr_status_name(t->rc),
                 t->err.message);
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

static bool fired(void)
{
    return inject_told()->fired;
}

/* False: enough. */
static bool try_it(trial *t)
{
    bool ok;

    scene_error()[0] = '\0';
    g_now = t;
    (void)alarm(PATIENCE_S);
    copy_world(t);
    g_trials++;
    ok = act_once(t, &t->plan);
    if (ok && !fired())
        ok = complain("it was not met");
    ok = ok && world_see(t->seen, t->at, false) && is_honest(t);
    if (ok && t->rc < 0)
        ok = explains(t->rc, &t->err, &t->plan, t->what);
    ok = ok && do_again(t);
    (void)alarm(0);
    return ok || tell(t);
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
                !is_chosen(t->a, (uint64_t)p * 64 + 2 * e + ever) ||
                !is_new_place(s->sites[p] + ever, errors[e]))
                continue;
            plan.at = p;
            plan.error = errors[e];
            plan.for_ever = ever;
            t->plan = plan;
            t->what = (call)s->calls[p];
            if (!try_it(t))
                return false;
        }
    }
    return true;
}

static bool fail_allocations(trial *t, const inject_seen *s)
{
    for (unsigned long k = 0; k < s->allocs && k < POINTS_MOST; k++) {
        inject_plan plan = INJECT_NONE;

        if (!is_chosen(t->a, ((uint64_t)1 << 40) + k) ||
            !is_new_place(s->alloc_sites[k], ENOMEM))
            continue;
        plan.alloc = k;
        t->plan = plan;
        t->what = CALLS;
        if (!try_it(t))
            return false;
    }
    return true;
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
        copy_world(t);
        if (!world_see(t->old, t->at, false) || !act_once(t, &nothing))
            return false;
        if (t->rc < 0)
            return complain("undisturbed: %s", t->err.message);
    }
    t->heap = azri_heap_nbytes();
    *out = *inject_told();
    if (!world_see(t->new, t->at, true))
        return false;
    if (t->a->changes == (strcmp(t->old, t->new) == 0))
        return complain("it changes %s: %.600s",
                        t->a->changes ? "nothing" : "something", t->new);
    return out->points < POINTS_MOST || complain("too many points");
}

static bool sweep(const act *a, unsigned world)
{
    static trial t;
    static inject_seen seen;
    static char at[160];
    const char *root = scene_root(true);

    memset(&t, 0, sizeof t);
    t.a = a;
    t.what = CALLS;
    t.plan = (inject_plan)INJECT_NONE;
    t.at = at;
    (void)snprintf(t.from, sizeof t.from, "%s/from-%u", root, world);
    (void)snprintf(at, sizeof at, "%s/at", root);
    if (!begin(&t, &seen))
        return tell(&t);
    return fail_calls(&t, &seen) &&
           (g_round > 0 || fail_allocations(&t, &seen));
}

/* -------------------------------------------------------------------- acts --- */

static const act *g_acts[256];
static unsigned g_worlds[256], g_count;

/* A process beside would have what we have. */
static bool is_usable(const act *a)
{
    return !a->unsteady && !a->finish &&
           (!(a->parts & PART_SHARED) || world_can_share());
}

static void gather(const act *list, unsigned n, int argc, char **argv, int from)
{
    for (unsigned i = 0; i < n && g_count < 256; i++) {
        bool named = from >= argc;

        for (int k = from; k < argc; k++)
            named = named || strcmp(list[i].name, argv[k]) == 0;
        if (named && is_usable(&list[i]))
            g_acts[g_count++] = &list[i];
    }
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
            g_every = value;
        else if (strcmp(name, "--seed") == 0)
            g_seed = value;
        else if (strcmp(name, "--seconds") == 0)
            g_until = azri_now_ns() + (int64_t)value * 1000000000;
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
    if (g_count == 0 || !make_worlds()) {
        (void)printf("FAILED %s\n", g_count ? scene_error() : "no such act");
        scene_roots_remove();
        return 1;
    }
    inject_install();
    (void)signal(SIGALRM, hangs);
    for (g_round = 0; g_round < ROUNDS; g_round++) {
        for (unsigned i = 0; i < g_count && ok; i++)
            ok = sweep(g_acts[i], g_worlds[i]);
    }
    scene_roots_remove();
    (void)printf("seed %lu, one of %lu: %lu trials in %u acts, %lu complaints, "
                 "%lu left out since time was up\n",
                 g_seed, g_every, g_trials, g_count, g_complaints, g_skipped);
    return g_complaints > 0 || g_trials == 0;
}
