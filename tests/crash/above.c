/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Consolidated metadata above what changes. A child that appends, sets attributes,
 * creates, … below a consolidated root dies before and after each of its points;
 * one participant comes; then the consolidated metadata agrees with the documents.
 * The same with each call failing once, with recovery dying too, and with the
 * child stopped at each point while another one changes something else, or
 * consolidates.
 *
 * Built with AZRI_SABOTAGE: each guard of this taken away must be noticed.
 */
#include "core/upkeep.h"
#include "crash/guards.h"
#include "crash/scene.h"
#include "crash/tap.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef enum act {
    ACT_APPEND,
    ACT_ATTRIBUTE,
    ACT_SHRINK,
    ACT_CREATE, /* an array, with attributes */
    ACT_GROUP,
    ACT_GROUP_ATTRIBUTE,
    ACT_ROOT_ATTRIBUTE,
    ACT_REMOVE, /* what stands in for verbs that take a whole subtree away */
    ACT_MOVE,
    ACT_OPEN, /* the array, for writing: recovery */
    ACT_CONSOLIDATE,
    ACT_APPEND_OTHER,
    ACT_COUNT
} act;

static const char *const act_names[ACT_COUNT] = {
    "append", "attribute",  "shrink",         "create",
    "group",  "group attr", "root attribute", "remove",
    "move",   "open",       "consolidate",    "append to another"};

typedef struct trial {
    int format;
    bool power, plain; /* plain: not consolidated at first */
    act a;
    char from[200], at[200];
    unsigned points;
    const char *names[TAP_POINTS];
    unsigned long done;
} trial;

static int *g_outcome; /* of a child's act */

static bool failed(const char *what, int rc, const azr_error *err)
{
    return complain("%s: %s: %s", what, azr_status_name(rc), err->message);
}

static void below(char out[256], const trial *t, const char *root,
                  const char *name)
{
    (void)t;
    (void)snprintf(out, 256, "%s/%s", root, name);
}

/* ---------------------------------------------------------------- things --- */

static azr_open_options impatient(unsigned flags)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;

    o.flags = flags;
    o.timeout_ms = 0;
    o.threads = 1;
    return o;
}

static int make_array(const trial *t, const char *path, azr_error *err)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_open_options o = impatient(AZR_OPEN_WRITE);
    azr_array *a = NULL;
    int rc;

    spec.zarr_format = t->format;
    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = 6;
    spec.chunks[0] = 4;
    spec.codecs = "none";
    spec.attributes = "{\"made\": 1}";
    spec.durability = t->power ? AZR_DURABILITY_POWER : AZR_DURABILITY_PROCESS;
    rc = azr_array_create(&a, path, &spec, &o, err);
    azr_array_close(a);
    return rc;
}

static int make_group(const trial *t, const char *path, azr_error *err)
{
    azr_group_spec spec = AZR_GROUP_SPEC_INIT;
    azr_open_options o = impatient(AZR_OPEN_WRITE);
    azr_group *g = NULL;
    int rc;

    spec.zarr_format = t->format;
    spec.attributes = "{\"made\": 1}";
    rc = azr_group_create(&g, path, &spec, &o, err);
    azr_group_close(g);
    return rc;
}

static int consolidate(const char *path, azr_error *err)
{
    azr_open_options o = impatient(AZR_OPEN_WRITE);
    azr_group *g = NULL;
    int rc = azr_group_open(&g, path, &o, err);

    if (rc == AZR_OK)
        rc = azr_group_consolidate(g, err);
    azr_group_close(g);
    return rc;
}

/* root, root/sub, root/sub/a, root/b; root and (in between) sub consolidated. */
static bool be_maker(void *arg)
{
    const trial *t = arg;
    azr_error err = AZR_ERROR_INIT;
    char path[256];
    int rc = make_group(t, t->from, &err);

    below(path, t, t->from, "sub");
    if (rc == AZR_OK)
        rc = make_group(t, path, &err);
    below(path, t, t->from, "sub/a");
    if (rc == AZR_OK)
        rc = make_array(t, path, &err);
    below(path, t, t->from, "b");
    if (rc == AZR_OK)
        rc = make_array(t, path, &err);
    below(path, t, t->from, "sub");
    if (rc == AZR_OK && !t->plain)
        rc = consolidate(path, &err);
    if (rc == AZR_OK && !t->plain)
        rc = consolidate(t->from, &err);
    return rc < 0 ? failed("make", rc, &err) : true;
}

/* ---------------------------------------------------------------- victim --- */

static int change_array(const char *path, act a, azr_error *err)
{
    azr_open_options o = impatient(AZR_OPEN_WRITE);
    azr_array *array = NULL;
    int32_t v[5] = {1, 2, 3, 4, 5};
    int64_t shape = 3;
    int rc = azr_array_open(&array, path, &o, err);

    if (rc == AZR_OK && (a == ACT_APPEND || a == ACT_APPEND_OTHER))
        rc = azr_array_append(array, 0, 5, v, sizeof v, NULL, err);
    if (rc == AZR_OK && a == ACT_ATTRIBUTE)
        rc = azr_array_attribute_set(array, "unit", "\"K\"", err);
    if (rc == AZR_OK && a == ACT_SHRINK)
        rc = azr_array_resize(array, 1, &shape, err);
    azr_array_close(array);
    return rc;
}

static int change_group(const char *path, azr_error *err)
{
    azr_open_options o = impatient(AZR_OPEN_WRITE);
    azr_group *g = NULL;
    int rc = azr_group_open(&g, path, &o, err);

    if (rc == AZR_OK)
        rc = azr_group_attribute_set(g, "set", "7", err);
    azr_group_close(g);
    return rc;
}

/* sub/a away, into an array, where nobody looks for nodes; or to the root, as `new`. */
static int rename_node(const trial *t, act a, azr_error *err)
{
    azri_patience patience = azri_patience_from(0, NULL);
    azri_upkeep_of of[2] = {
        {.dir = -1, .path = "sub", .mark = true, .name = "a"},
        {.dir = -1, .path = "root", .mark = true, .name = "new"}};
    azri_upkeep *u = NULL;
    char path[256];
    int rc;

    below(path, t, t->at, "sub");
    rc = azri_open_at(&of[0].dir, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0,
                      err);
    if (rc == AZR_OK)
        rc = azri_open_at(&of[1].dir, AT_FDCWD, t->at, O_RDONLY | O_DIRECTORY,
                          0, err);
    if (rc == AZR_OK)
        rc = azri_upkeep_open(&u, of, a == ACT_MOVE ? 2 : 1, &patience, err);
    if (rc == AZR_OK &&
        azri_sys->renameat2(of[0].dir, "a", of[1].dir,
                            a == ACT_MOVE ? "new" : "b/.gone", 0) != 0)
        rc = azri_fail(err, AZR_EIO, "rename");
    azri_upkeep_close(u, rc);
    azri_close(of[0].dir);
    azri_close(of[1].dir);
    return rc;
}

static int do_act(const trial *t, act a, azr_error *err)
{
    char path[256];

    below(path, t, t->at, "sub/a");
    switch (a) {
    case ACT_CREATE:
        below(path, t, t->at, "sub/new");
        return make_array(t, path, err);
    case ACT_GROUP:
        below(path, t, t->at, "sub/new");
        return make_group(t, path, err);
    case ACT_GROUP_ATTRIBUTE:
        below(path, t, t->at, "sub");
        return change_group(path, err);
    case ACT_ROOT_ATTRIBUTE:
        return change_group(t->at, err);
    case ACT_CONSOLIDATE:
        return consolidate(t->at, err);
    case ACT_APPEND_OTHER:
        below(path, t, t->at, "b");
        return change_array(path, a, err);
    case ACT_REMOVE:
    case ACT_MOVE:
        return rename_node(t, a, err);
    case ACT_APPEND:
    case ACT_ATTRIBUTE:
    case ACT_SHRINK:
    case ACT_OPEN:
    case ACT_COUNT:
        break;
    }
    return change_array(path, a, err);
}

typedef struct victim {
    const trial *t;
    act a;
    tap_action action;
    unsigned at;
    bool after, may_fail;
} victim;

static bool be_victim(void *arg)
{
    const victim *v = arg;
    azr_error err = AZR_ERROR_INIT;
    int rc;

    scene_threads = 1;
    tap_arm(v->action, v->at, v->after, EIO);
    rc = do_act(v->t, v->a, &err);
    tap_disarm();
    *g_outcome = rc;
    if (rc == AZR_OK || v->may_fail)
        return true;
    return failed(act_names[v->a], rc, &err);
}

/* ----------------------------------------------------------- participants --- */

typedef struct visitor {
    const trial *t;
    bool writes; /* a chunk, without recovery at opening */
} visitor;

static int visit_array(const char *path, bool writes, azr_error *err)
{
    azr_open_options o =
        impatient(AZR_OPEN_WRITE | (writes ? AZR_OPEN_NO_RECOVERY : 0));
    azr_selection s = AZR_BOX(1, {0}, {1});
    azr_array *a = NULL;
    int32_t v = 9;
    int rc = azr_array_open(&a, path, &o, err);

    if (rc == AZR_OK && writes)
        rc = azr_array_write(a, &s, &v, sizeof v, err);
    azr_array_close(a);
    return rc == AZR_ENOTFOUND ? AZR_OK : rc;
}

/* Who comes next: to what was changed, in order to write. */
static bool be_visitor(void *arg)
{
    const visitor *v = arg;
    azr_open_options o = impatient(AZR_OPEN_WRITE);
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;
    char path[256];
    int rc;

    below(path, v->t, v->t->at, "sub");
    rc = azr_group_open(&g, path, &o, &err);
    azr_group_close(g);
    g = NULL;
    if (rc == AZR_OK)
        rc = azr_group_open(&g, v->t->at, &o, &err);
    azr_group_close(g);
    below(path, v->t, v->t->at, "sub/a");
    if (rc == AZR_OK)
        rc = visit_array(path, v->writes, &err);
    below(path, v->t, v->t->at, "b");
    if (rc == AZR_OK)
        rc = visit_array(path, false, &err);
    below(path, v->t, v->t->at, "sub/new");
    if (rc == AZR_OK && v->t->a == ACT_CREATE)
        rc = visit_array(path, false, &err);
    return rc < 0 ? failed("who came next", rc, &err) : true;
}

static int tell(const azr_finding *f, void *arg)
{
    const char *where = arg;

    (void)complain("consolidated metadata of '%s': '%s' %s", where, f->key,
                   f->text);
    return 1;
}

static bool agrees(const trial *t, const char *name)
{
    azr_open_options o = impatient(0);
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;
    char path[256];
    int rc;

    below(path, t, t->at, name);
    rc = azr_group_open(&g, path, &o, &err);
    if (rc == AZR_OK)
        rc = azr_group_check_consolidated(g, tell, path, &err);
    azr_group_close(g);
    if (rc == AZR_ENOTFOUND && t->plain)
        return true;
    return rc < 0 ? failed("check", rc, &err) : true;
}

static bool be_checker(void *arg)
{
    return agrees(arg, ".") && agrees(arg, "sub");
}

static bool look_after(trial *t, unsigned number)
{
    visitor v = {t, number % 3 == 1};

    return child_run("who came next", be_visitor, &v) &&
           child_run("checker", be_checker, t);
}

/* ------------------------------------------------------------------ kills --- */

static bool blame(const trial *t, const char *what, unsigned at)
{
    char why[700];

    (void)snprintf(why, sizeof why, "%.650s", scene_error());
    scene_error()[0] = '\0';
    return complain("%s %u (%s): %s", what, at, t->names[at], why);
}

static bool kill_at(trial *t, unsigned at, bool after, unsigned number)
{
    victim v = {t, t->a, TAP_KILL, at, after, false};
    int status;
    bool ok;

    scene_error()[0] = '\0';
    tree_copy(t->from, t->at);
    status = child_wait(child_start(be_victim, &v));
    ok = (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
         complain("not visited (status %x)", (unsigned)status);
    ok = ok && look_after(t, number);
    t->done++;
    tree_remove(t->at);
    return ok || blame(t, after ? "killed after" : "killed before", at);
}

static bool sweep_kills(trial *t, unsigned step)
{
    unsigned number = 0;

    for (unsigned at = 0; at < t->points; at += step) {
        for (int after = 0; after < 2; after++) {
            if (!kill_at(t, at, after, number++))
                return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------ beside --- */

/* Another one appends between the look of who consolidates at the documents and
 * his put, and sees nothing above; then who consolidates dies. */
static const trial *g_consolidated;

static int rename_and_die(int from_dir, const char *from, int to_dir,
                          const char *to, unsigned flags)
{
    if (strcmp(to, g_consolidated->format == 2 ? ".zmetadata" : "zarr.json") ==
        0) {
        victim v = {g_consolidated, ACT_APPEND, TAP_COUNT,
                    TAP_POINTS,     false,      false};

        (void)child_run("in between", be_victim, &v);
        (void)azri_sys_posix.renameat2(from_dir, from, to_dir, to, flags);
        (void)raise(SIGKILL);
    }
    return azri_sys_posix.renameat2(from_dir, from, to_dir, to, flags);
}

static bool be_consolidator(void *arg)
{
    azr_error err = AZR_ERROR_INIT;

    g_consolidated = arg;
    tap_arm(TAP_COUNT, TAP_POINTS, false, 0);
    tap_sys.renameat2 = rename_and_die;
    (void)consolidate(g_consolidated->at, &err);
    return complain("it did not die: %s", err.message);
}

static bool die_consolidating(trial *t)
{
    bool ok;

    tree_copy(t->from, t->at);
    ok = child_wait(child_start(be_consolidator, t)) == SIGKILL ||
         complain("it ended otherwise");
    ok = ok && look_after(t, 0);
    t->done++;
    tree_remove(t->at);
    return ok;
}

static bool run_other(const trial *t, act a, bool may_fail)
{
    victim v = {t, a, TAP_COUNT, TAP_POINTS, false, may_fail};

    return child_run(act_names[a], be_victim, &v);
}

/* Stopped there; another one does its work, or is told to wait; both end. */
static bool stop_at(trial *t, act other, unsigned at)
{
    victim v = {t, t->a, TAP_STOP, at, false, true};
    int status = 0;
    bool ok, again;
    pid_t pid;

    scene_error()[0] = '\0';
    tree_copy(t->from, t->at);
    pid = child_start(be_victim, &v);
    while (waitpid(pid, &status, WUNTRACED) < 0)
        continue;
    ok = WIFSTOPPED(status) || complain("not visited");
    ok = ok && run_other(t, other, true);
    again = *g_outcome == AZR_EBUSY;
    if (ok && !again && *g_outcome < 0)
        ok = complain("%s: %s", act_names[other], azr_status_name(*g_outcome));
    (void)kill(pid, SIGCONT);
    status = child_wait(pid);
    ok = ok && ((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
                complain("it failed after it was stopped"));
    ok = ok && (!again || run_other(t, other, false));
    ok = ok && look_after(t, at);
    t->done++;
    tree_remove(t->at);
    return ok || blame(t, "stopped at", at);
}

static bool sweep_beside(trial *t, act other, unsigned step)
{
    for (unsigned at = 0; at < t->points; at += step) {
        if (!stop_at(t, other, at))
            return false;
    }
    return true;
}

/*
 * Both stopped before a rename: without the lock, A renames what B has written
 * under the common name, in which A's own change is not, and takes it for its own.
 */
static bool stop_both(trial *t, act other, unsigned at, unsigned other_at)
{
    victim v = {t, t->a, TAP_STOP, at, false, true};
    victim w = {t, other, TAP_STOP, other_at, false, true};
    int status = 0;
    pid_t a, b;
    bool ok;

    scene_error()[0] = '\0';
    tree_copy(t->from, t->at);
    a = child_start(be_victim, &v);
    while (waitpid(a, &status, WUNTRACED) < 0)
        continue;
    b = child_start(be_victim, &w);
    while (waitpid(b, &status, WUNTRACED) < 0)
        continue;
    (void)kill(a, SIGCONT);
    ok = child_wait(a) == 0 || complain("it failed after it was stopped");
    if (WIFSTOPPED(status)) { /* else it was told to wait */
        (void)kill(b, SIGCONT);
        ok &= child_wait(b) == 0 || complain("the other one failed");
    }
    ok = ok && look_after(t, 0);
    t->done++;
    tree_remove(t->at);
    return ok || blame(t, "both stopped at", at);
}

/* Every rename of one with every rename of the other. */
static bool sweep_both(trial *t, act other)
{
    static trial o;
    victim v = {t, other, TAP_COUNT, TAP_POINTS, false, false};
    const tap_list *l = tap_shared();

    tree_copy(t->from, t->at);
    if (!child_run("undisturbed", be_victim, &v))
        return false;
    tree_remove(t->at);
    o.points = atomic_load(&l->count);
    memcpy(o.names, l->names, sizeof o.names);
    for (unsigned i = 0; i < t->points; i++) {
        for (unsigned k = 0; k < o.points; k++) {
            if (strcmp(t->names[i], "renameat2") == 0 &&
                strcmp(o.names[k], "renameat2") == 0 &&
                !stop_both(t, other, i, k))
                return false;
        }
    }
    return true;
}

/* --------------------------------------------------------------- beginning --- */

static bool count(trial *t)
{
    victim v = {t, t->a, TAP_COUNT, TAP_POINTS, false, false};
    const tap_list *l = tap_shared();

    tree_copy(t->from, t->at);
    if (!child_run("undisturbed", be_victim, &v))
        return false;
    t->points = atomic_load(&l->count);
    if (t->points > TAP_POINTS)
        return complain("%u points, room for %d", t->points, TAP_POINTS);
    memcpy(t->names, l->names, sizeof t->names);
    if (!child_run("checker", be_checker, t))
        return false;
    tree_remove(t->at);
    return true;
}

static bool begin(trial *t, int format, bool power, bool plain, act a)
{
    const char *root = scene_root(true);

    memset(t, 0, sizeof *t);
    t->format = format;
    t->power = power;
    t->plain = plain;
    t->a = a;
    scene_error()[0] = '\0';
    (void)snprintf(t->from, sizeof t->from, "%s/above-from", root);
    (void)snprintf(t->at, sizeof t->at, "%s/above", root);
    return child_run("maker", be_maker, t) && count(t);
}

static void end(trial *t)
{
    tree_remove(t->from);
    tree_remove(t->at);
}

#ifndef AZRI_SABOTAGE

/* What a kill at point `name` leaves; then the array is opened for writing. */
static bool begin_recovery(trial *t, const char *name)
{
    int at = tap_find(name, 0);
    victim v = {t, t->a, TAP_KILL, (unsigned)at, true, false};

    if (at < 0)
        return complain("no point '%s'", name);
    tree_copy(t->from, t->at);
    (void)child_wait(child_start(be_victim, &v));
    tree_remove(t->from);
    if (rename(t->at, t->from) != 0)
        return complain("rename");
    t->a = ACT_OPEN;
    return count(t);
}

/* One call fails: the act may too; who comes next finds nothing stale. */
static bool fail_at(trial *t, unsigned at)
{
    victim v = {t, t->a, TAP_FAIL, at, false, true};
    bool ok;

    scene_error()[0] = '\0';
    tree_copy(t->from, t->at);
    ok = child_run("unlucky", be_victim, &v) && look_after(t, 0);
    t->done++;
    tree_remove(t->at);
    return ok || blame(t, "failed", at);
}

static bool sweep_calls(trial *t)
{
    static bool can_fail[TAP_POINTS];

    memcpy(can_fail, tap_shared()->can_fail, sizeof can_fail);
    for (unsigned at = 0; at < t->points; at++) {
        if (can_fail[at] && !fail_at(t, at))
            return false;
    }
    return true;
}

static unsigned long g_total;

static bool report(const trial *t, const char *what, bool ok)
{
    g_total += t->done;
    (void)printf("v%d %-8s %-15s %-28s %4u points %5lu%s\n", t->format,
                 t->power ? "power" : "process", act_names[t->a], what,
                 t->points, t->done, ok ? "" : "  FAILED");
    if (!ok)
        (void)printf("    %s\n", scene_error());
    return ok;
}

static bool kills(int format, bool power, act a, unsigned step)
{
    static trial t;
    bool ok = begin(&t, format, power, false, a) && sweep_kills(&t, step);

    end(&t);
    return report(&t, "kills", ok);
}

static bool recoveries(int format, const char *point, unsigned step)
{
    static trial t;
    bool ok = begin(&t, format, false, false, ACT_APPEND) &&
              begin_recovery(&t, point) && sweep_kills(&t, step);

    end(&t);
    return report(&t, "kills in recovery", ok);
}

static bool failures(int format, act a)
{
    static trial t;
    bool ok = begin(&t, format, true, false, a) && sweep_calls(&t);

    end(&t);
    return report(&t, "failing calls", ok);
}

static bool beside(int format, bool plain, act a, act other, unsigned step)
{
    static trial t;
    bool ok =
        begin(&t, format, false, plain, a) && sweep_beside(&t, other, step);
    char what[64];

    end(&t);
    (void)snprintf(what, sizeof what, "beside %s", act_names[other]);
    return report(&t, what, ok);
}

static bool consolidator_dies(int format)
{
    static trial t;
    bool ok = begin(&t, format, false, true, ACT_CONSOLIDATE) &&
              die_consolidating(&t);

    end(&t);
    return report(&t, "dies after its put", ok);
}

static bool both(int format, act a, act other)
{
    static trial t;
    bool ok = begin(&t, format, false, false, a) && sweep_both(&t, other);

    end(&t);
    return report(&t, "both stopped", ok);
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0, ok = true;

    g_outcome = scene_shared(sizeof *g_outcome);
    (void)scene_error();
    (void)tap_shared();
    for (int format = 2; format <= 3; format++) {
        for (int a = 0; a < ACT_OPEN; a++)
            ok &= kills(format, false, (act)a, quick && a > 0 ? 4 : 1);
        ok &= kills(format, true, ACT_APPEND, quick ? 3 : 1);
        ok &= recoveries(format, "row.committed", quick ? 3 : 1);
        ok &= failures(format, ACT_APPEND);
        ok &=
            beside(format, false, ACT_APPEND, ACT_APPEND_OTHER, quick ? 2 : 1);
        ok &= beside(format, true, ACT_APPEND, ACT_CONSOLIDATE, quick ? 2 : 1);
        ok &= beside(format, true, ACT_CONSOLIDATE, ACT_APPEND, quick ? 2 : 1);
        ok &= both(format, ACT_APPEND, ACT_APPEND_OTHER);
        ok &= consolidator_dies(format);
        if (quick)
            continue;
        ok &= kills(format, true, ACT_CREATE, 1);
        ok &= failures(format, ACT_CREATE);
        ok &= failures(format, ACT_GROUP);
        ok &= failures(format, ACT_MOVE);
        ok &= beside(format, false, ACT_MOVE, ACT_APPEND_OTHER, 1);
        ok &= beside(format, false, ACT_CREATE, ACT_APPEND_OTHER, 1);
        ok &= beside(format, true, ACT_CREATE, ACT_CONSOLIDATE, 1);
        ok &= beside(format, false, ACT_GROUP, ACT_APPEND, 1);
        ok &= beside(format, false, ACT_CONSOLIDATE, ACT_APPEND, 1);
    }
    scene_roots_remove();
    (void)printf("%lu trials\n", g_total);
    return ok ? 0 : 1;
}

#else

typedef struct control {
    const char *name;
    azri_guard value;
    bool plain;
    act a, other; /* other ACT_COUNT: kills */
} control;

static const control controls[] = {
    {"ABOVE_OWNER", AZRI_GUARD_ABOVE_OWNER, true, ACT_APPEND, ACT_CONSOLIDATE},
    {"ABOVE_ROW", AZRI_GUARD_ABOVE_ROW, false, ACT_APPEND, ACT_COUNT},
    {"ABOVE_ROW (create)", AZRI_GUARD_ABOVE_ROW, false, ACT_CREATE, ACT_COUNT},
    {"ABOVE_LOCK", AZRI_GUARD_ABOVE_LOCK, false, ACT_APPEND, ACT_APPEND_OTHER},
    {"ABOVE_MARKER", AZRI_GUARD_ABOVE_MARKER, false, ACT_GROUP, ACT_COUNT},
    {"ABOVE_MARKER (move)", AZRI_GUARD_ABOVE_MARKER, false, ACT_MOVE,
     ACT_COUNT},
    {"ABOVE_MARKER (all)", AZRI_GUARD_ABOVE_MARKER, true, ACT_CONSOLIDATE,
     ACT_OPEN},
    {"ABOVE_REREAD", AZRI_GUARD_ABOVE_REREAD, true, ACT_CONSOLIDATE,
     ACT_APPEND},
};

static bool try_format(const control *c, int format, bool whole)
{
    static trial t;
    unsigned step = whole ? 7 : 1;
    bool ok = begin(&t, format, false, c->plain, c->a);

    if (ok && c->value == AZRI_GUARD_ABOVE_LOCK)
        ok = sweep_both(&t, c->other);
    else if (ok && c->other == ACT_OPEN)
        ok = die_consolidating(&t);
    else if (ok && c->other == ACT_COUNT)
        ok = sweep_kills(&t, step);
    else if (ok)
        ok = sweep_beside(&t, c->other, step);
    end(&t);
    return ok;
}

static bool try_v2(const void *arg, bool whole)
{
    return try_format(arg, 2, whole);
}

static bool try_v3(const void *arg, bool whole)
{
    return try_format(arg, 3, whole);
}

int main(void)
{
    size_t n = sizeof controls / sizeof controls[0], caught = 0;

    g_outcome = scene_shared(sizeof *g_outcome);
    (void)scene_error();
    (void)tap_shared();
    for (size_t i = 0; i < n; i++) {
        const control *c = &controls[i];

        caught += guard_try(c->name, c->value, try_v2, c);
        caught += guard_try(c->name, c->value, try_v3, c);
    }
    return guards_end(caught, 2 * n);
}

#endif
