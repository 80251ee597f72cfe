/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transaction over several arrays dies, and then one of its arrays is removed.
 * The others must get through without it: a child dies before and after each
 * point of the commit, or of the recovery of one that died at its commit; somebody
 * removes an array; whatever is left opens for writing, all old or all new, and is
 * clean. The same with a recovery that stands still at each point while somebody
 * opens the array that is removed then, and dies there.
 *
 * Built with AZRI_SABOTAGE: without the note in the home row that the others know
 * (TOLD), and where an untold home that is busy is not waited for (UNTOLD), this
 * must fail.
 */
#include "crash/guards.h"
#include "crash/plots.h"
#include "crash/scene.h"
#include "crash/tap.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ARRAYS 3

typedef struct death {
    bool power;
    bool intruder; /* comes while the child stands still */
    int recover;   /* the child opens this array for writing; -1: it commits */
    int gone;      /* this array is removed */
    char from[200], at[200];
    unsigned at_point;
    bool after;
    tap_action action;
    values old, new;
    unsigned long kills;
} death;

static values *g_image; /* shared with children */

static bool be_maker(void *arg)
{
    const death *s = arg;
    char path[256];

    (void)snprintf(path, sizeof path, "%s/group", s->from);
    if (mkdir(s->from, 0777) != 0 || mkdir(path, 0777) != 0)
        return complain("mkdir '%s'", path);
    for (int k = 0; k < ARRAYS; k++) {
        plot_path(path, s->from, k);
        if (!plot_make(path, &plot_transfer, s->power))
            return false;
    }
    return true;
}

static bool be_victim(void *arg)
{
    const death *s = arg;
    azr_array *a[PLOT_ARRAYS] = {NULL};
    azr_error err = AZR_ERROR_INIT;
    char path[256];
    bool ok = true;

    scene_threads = 1;
    for (int k = 0; k < ARRAYS && s->recover < 0 && ok; k++) {
        plot_path(path, s->at, k);
        ok = scene_open(&a[k], path, AZR_OPEN_WRITE);
    }
    if (!ok)
        return false;
    tap_arm(s->action, s->at_point, s->after, 0);
    if (s->recover < 0) {
        int rc = plot_transfer.run(a, ARRAYS, s->at, &err);

        ok = rc == AZR_OK || plot_failed("transfer", rc, &err);
    } else {
        plot_path(path, s->at, s->recover);
        ok = scene_open(&a[0], path, AZR_OPEN_WRITE);
    }
    tap_disarm();
    for (int k = 0; k < ARRAYS; k++)
        azr_array_close(a[k]);
    return ok;
}

static bool be_remover(void *arg)
{
    const death *s = arg;
    azr_tree_options o = AZR_TREE_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    char path[256];
    int rc;

    o.timeout_ms = 0;
    plot_path(path, s->at, s->gone);
    rc = azr_remove(path, &o, &err);
    return rc == AZR_OK || plot_failed("remove", rc, &err);
}

static bool holds(const values *seen, const values *x, int k)
{
    return seen->length[k] == x->length[k] &&
           memcmp(seen->v[k], x->v[k],
                  (size_t)x->length[k] * sizeof x->v[k][0]) == 0;
}

static bool be_heir(void *arg)
{
    const death *s = arg;
    values seen;
    int old = 0, new = 0;

    memset(&seen, 0, sizeof seen);
    for (int n = 0; n < ARRAYS; n++) {
        int k = (n + s->gone) % ARRAYS;
        azr_error err = AZR_ERROR_INIT;
        azr_array *a = NULL;
        char path[256];
        int rc;

        if (k == s->gone)
            continue;
        plot_path(path, s->at, k);
        if (!scene_open(&a, path, AZR_OPEN_WRITE))
            return false;
        rc = plot_read(NULL, a, &seen, k, &err);
        azr_array_close(a);
        if (rc < 0)
            return plot_failed("read", rc, &err);
        old += holds(&seen, &s->old, k);
        new += holds(&seen, &s->new, k);
    }
    if (old != ARRAYS - 1 && new != ARRAYS - 1)
        return complain("of %d arrays %d are old and %d new", ARRAYS - 1, old,
                        new);
    for (int k = 0; k < ARRAYS; k++) {
        char path[256];

        plot_path(path, s->at, k);
        if (k != s->gone && !scene_is_clean(path))
            return false;
    }
    return true;
}

/* Who opens the array that will go: it may be told to come again. */
static bool be_intruder(void *arg)
{
    const death *s = arg;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    char path[256];
    int rc;

    o.flags = AZR_OPEN_WRITE;
    o.timeout_ms = 0;
    plot_path(path, s->at, s->gone);
    rc = azr_array_open(&a, path, &o, &err);
    azr_array_close(a);
    return rc == AZR_OK || rc == AZR_EBUSY || plot_failed("open", rc, &err);
}

/* The child stops where it is asked to; somebody comes; it dies. */
static bool stop_there(death *s)
{
    pid_t pid = child_start(be_victim, s);
    int status;
    bool ok;

    if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
        return complain("it was not visited (status %x)", (unsigned)status);
    ok = child_run("intruder", be_intruder, s);
    (void)kill(pid, SIGKILL);
    (void)child_wait(pid);
    return ok;
}

static bool die_there(death *s)
{
    int status = child_wait(child_start(be_victim, s));

    return (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
           complain("it was not visited (status %x)", (unsigned)status);
}

static bool kill_at(death *s, unsigned at, bool after)
{
    char why[700];
    bool ok;

    scene_error()[0] = '\0';
    tree_copy(s->from, s->at);
    s->action = s->intruder ? TAP_STOP : TAP_KILL;
    s->at_point = at;
    s->after = after;
    ok = s->intruder ? stop_there(s) : die_there(s);
    ok = ok && child_run("remover", be_remover, s) &&
         child_run("heir", be_heir, s);
    if (!ok) {
        (void)snprintf(why, sizeof why, "%.650s", scene_error());
        scene_error()[0] = '\0';
        return complain("%s %s point %u (%s), array %d removed: %s",
                        s->intruder ? "stopped, then killed" : "killed",
                        after ? "after" : "before", at, tap_shared()->names[at],
                        s->gone, why);
    }
    s->kills++;
    tree_remove(s->at);
    return true;
}

/* From the first point at which the others' rows say anything. */
static bool sweep(death *s)
{
    unsigned points, first;

    s->action = TAP_COUNT;
    tree_copy(s->from, s->at);
    if (!child_run("counter", be_victim, s))
        return false;
    tree_remove(s->at);
    points = tap_shared()->count;
    first = s->recover < 0 ? (unsigned)tap_find("row.prepared", 0) : 0;
    for (s->gone = 0; s->gone < ARRAYS; s->gone++) {
        for (unsigned at = first; at < points; at++) {
            /* who stands still after a point stands before the next one */
            if ((!s->intruder && !kill_at(s, at, false)) ||
                !kill_at(s, at, true))
                return false;
        }
    }
    return true;
}

static bool be_imager(void *arg)
{
    const death *s = arg;
    bool ok = true;

    for (int k = 0; k < ARRAYS && ok; k++) {
        azr_error err = AZR_ERROR_INIT;
        azr_array *a = NULL;
        char path[256];
        int rc;

        plot_path(path, s->from, k);
        if (!scene_open(&a, path, 0))
            return false;
        rc = plot_read(NULL, a, g_image, k, &err);
        azr_array_close(a);
        ok = rc == AZR_OK || plot_failed("read", rc, &err);
    }
    return ok;
}

static void name_places(death *s, const char *name)
{
    const char *root = scene_root(true);

    (void)snprintf(s->from, sizeof s->from, "%s/%s-from", root, name);
    (void)snprintf(s->at, sizeof s->at, "%s/%s", root, name);
    tree_remove(s->from);
    tree_remove(s->at);
}

static bool begin(death *s, bool power)
{
    memset(s, 0, sizeof *s);
    s->power = power;
    s->recover = -1;
    scene_error()[0] = '\0';
    name_places(s, "departed");
    if (!child_run("maker", be_maker, s) || !child_run("imager", be_imager, s))
        return false;
    s->old = s->new = *g_image;
    plot_transfer.expect(&s->new, ARRAYS);
    return true;
}

/* What a death right at the commit leaves, and array k opened over it. */
static bool begin_recovery(death *s, bool power, int k)
{
    if (!begin(s, power))
        return false;
    s->action = TAP_COUNT;
    tree_copy(s->from, s->at);
    if (!child_run("counter", be_victim, s))
        return false;
    tree_remove(s->at);
    tree_copy(s->from, s->at);
    s->action = TAP_KILL;
    s->at_point = (unsigned)tap_find("row.committed", 0);
    s->after = true;
    (void)child_wait(child_start(be_victim, s));
    tree_remove(s->from);
    if (rename(s->at, s->from) != 0)
        return complain("rename");
    s->recover = k;
    return true;
}

#ifdef AZRI_SABOTAGE
static bool without_told(const void *arg, bool whole)
{
    static death s;

    (void)arg;
    (void)whole;
    return begin(&s, false) && sweep(&s);
}

static bool without_untold(const void *arg, bool whole)
{
    static death s;

    (void)arg;
    (void)whole;
    if (!begin_recovery(&s, false, 0))
        return false;
    s.intruder = true;
    return sweep(&s);
}

static bool controls(void)
{
    size_t caught =
        (size_t)guard_try("TOLD", AZRI_GUARD_TOLD, without_told, NULL) +
        guard_try("UNTOLD", AZRI_GUARD_UNTOLD, without_untold, NULL);

    return guards_end(caught, 2) == 0;
}
#else
static bool all(bool torture, unsigned long *kills)
{
    bool ok = true;

    for (int power = 0; power <= torture && ok; power++) {
        static death s;

        ok = begin(&s, power) && sweep(&s);
        *kills += s.kills;
        for (int k = 0; k < ARRAYS && ok; k++) {
            ok = begin_recovery(&s, power, k) && sweep(&s);
            s.intruder = true;
            ok = ok && sweep(&s);
            *kills += s.kills;
        }
        tree_remove(s.from);
    }
    return ok;
}

#endif

int main(int argc, char **argv)
{
    bool torture = argc > 1 && strcmp(argv[1], "--torture") == 0;
    unsigned long kills = 0;
    bool ok;

    g_image = scene_shared(sizeof *g_image);
    (void)scene_error();
    (void)tap_shared();
#ifdef AZRI_SABOTAGE
    (void)torture;
    (void)kills;
    ok = controls();
#else
    ok = all(torture, &kills) && kills >= 1000;
    (void)printf("%lu kills, at least 1000\n%s\n", kills, scene_error());
    scene_roots_remove();
#endif
    return ok ? 0 : 1;
}
