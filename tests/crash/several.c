/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kill sweep over transactions of several arrays. A transfer takes something
 * from one array and gives it to the next, in one transaction; a child dies before
 * and after each of its points. Then readers, with and without permission to
 * write, and writers of one array or another come: all arrays are old, or all are
 * new, whoever looks at which of them first, and nothing is left behind. Recovery
 * is swept in the same way.
 *
 * Built with AZRI_SABOTAGE: each guard of the rows of several arrays taken away
 * must be noticed.
 */
#include "crash/several.h"

#include "base/guard.h"
#include "core/array.h"
#include "crash/guards.h"
#include "crash/staff.h"
#include "txn/txn_local.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ARRAYS PLOT_ARRAYS
#define NOBODY     65534
#define SQUARE     6 /* elements of plot_make_square */

static values *g_seen;
#ifndef AZRI_SABOTAGE
static int *g_outcome; /* of what a child tried */
#endif

static bool be_maker(void *arg)
{
    const trial *t = arg;
    char path[256];

    (void)snprintf(path, sizeof path, "%s/group", t->from);
    if (mkdir(t->from, 0777) != 0 || mkdir(path, 0777) != 0)
        return complain("mkdir '%s'", path);
    for (int k = 0; k < t->arrays; k++) {
        plot_path(path, t->from, k);
        if (!plot_creates(t->p, t->arrays, k) &&
            !plot_make(path, t->p, t->power))
            return false;
    }
    return true;
}

/* An array that the plot creates need not be there. */
static bool open_one(azr_array **a, const trial *t, int k, unsigned flags)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    char path[256];
    int rc;

    plot_path(path, t->at, k);
    if (!plot_creates(t->p, t->arrays, k))
        return scene_open(a, path, flags);
    o.flags = flags;
    o.threads = scene_threads;
    o.timeout_ms = 0;
    rc = azr_array_open(a, path, &o, &err);
    return rc == AZR_OK || rc == AZR_ENOTFOUND || plot_failed("open", rc, &err);
}

static bool open_all(azr_array **a, const trial *t, unsigned flags)
{
    for (int k = 0; k < t->arrays; k++) {
        if (!open_one(&a[k], t, k, flags))
            return false;
    }
    return true;
}

static void close_all(azr_array **a)
{
    for (int k = 0; k < MAX_ARRAYS; k++)
        azr_array_close(a[k]);
}

/* ---------------------------------------------------------------- victim --- */

bool be_victim(void *arg)
{
    const victim *v = arg;
    const trial *t = v->t;
    azr_array *a[MAX_ARRAYS] = {NULL};
    azr_error err = AZR_ERROR_INIT;
    int rc = AZR_OK;

    scene_threads = 1;
    if (t->recover < 0 && !open_all(a, t, AZR_OPEN_WRITE))
        return false;
    tap_arm(v->action, v->at, v->after, 0);
    if (t->recover < 0) {
        rc = t->p->run(a, t->arrays, t->at, &err);
    } else if (!open_one(&a[0], t, t->recover, AZR_OPEN_WRITE)) {
        return false;
    }
    tap_disarm();
    close_all(a);
    return rc < 0 ? plot_failed(t->p->name, rc, &err) : true;
}

/* --------------------------------------------------------------- readers --- */

typedef struct observer {
    const trial *t;
    bool unprivileged;
    int first; /* array that it looks at first */
    bool in_txn;
} observer;

static int read_all(azr_array **a, const observer *o, azr_error *err)
{
    azr_txn_options options = AZR_TXN_OPTIONS_INIT;
    azr_txn *txn = NULL;
    int rc = AZR_OK;

    options.timeout_ms = 0;
    if (o->in_txn)
        rc = azr_txn_begin(&txn, &options, err);
    for (int n = 0; n < o->t->arrays && rc == AZR_OK; n++) {
        int k = (o->first + n) % o->t->arrays;

        g_seen->length[k] = -1;
        if (a[k])
            rc = plot_read(txn, a[k], g_seen, k, err);
    }
    if (rc == AZR_OK && o->in_txn)
        rc = azr_txn_commit(txn, err);
    azr_txn_free(txn);
    return rc;
}

static int take_name(const azr_node *node, void *arg)
{
    bool *listed = arg;
    char path[256];

    for (int k = 0; node->kind == AZR_NODE_ARRAY && k < MAX_ARRAYS; k++) {
        plot_path(path, "", k);
        listed[k] |= strcmp(path + 1, node->path) == 0;
    }
    return AZR_OK;
}

/* Who lists what is there finds the arrays that can be opened. */
static bool is_listed(azr_array **a, const trial *t)
{
    azr_open_options options = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    bool listed[MAX_ARRAYS] = {false}, ok = true;
    azr_group *g = NULL;
    int rc;

    if (!t->p->creates_last && !t->p->creates_all)
        return true;
    options.flags = AZR_OPEN_IMPLIED;
    rc = azr_group_open(&g, t->at, &options, &err);
    if (rc == AZR_OK)
        rc = azr_group_walk(g, 0, take_name, listed, &err);
    azr_group_close(g);
    if (rc < 0)
        return plot_failed("list", rc, &err);
    for (int k = 0; ok && k < t->arrays; k++)
        ok = listed[k] == (a[k] != NULL) ||
             complain("array %d %s", k,
                      a[k] ? "is there and not listed" : "is listed only");
    return ok;
}

static bool be_reader(void *arg)
{
    const observer *o = arg;
    azr_array *a[MAX_ARRAYS] = {NULL};
    azr_error err = AZR_ERROR_INIT;
    bool listed;
    int rc;

    if (o->unprivileged && setresuid(NOBODY, NOBODY, NOBODY) != 0)
        return complain("setresuid");
    memset(g_seen, 0, sizeof *g_seen);
    if (!open_all(a, o->t, 0))
        return false;
    rc = read_all(a, o, &err);
    listed = rc < 0 || is_listed(a, o->t);
    close_all(a);
    return rc < 0 ? plot_failed("read", rc, &err) : listed;
}

/* --------------------------------------------------------------- writers --- */

typedef struct writer {
    const trial *t;
    int k;
    bool recovers; /* opening finishes the dead; else the look does */
} writer;

/* Beside what was moved, in a chunk of it. */
static bool be_writer(void *arg)
{
    const writer *w = arg;
    azr_selection s = AZR_BOX(1, {1}, {1});
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    int32_t v = PLOT_MARK;
    char path[256];
    int rc;

    plot_path(path, w->t->at, w->k);
    if (!open_one(&a, w->t, w->k,
                  AZR_OPEN_WRITE | (w->recovers ? 0 : AZR_OPEN_NO_RECOVERY)))
        return false;
    if (!a) { /* another array may be made over what is left of it */
        bool made;

        if (!plot_make_square(path, &made) || made)
            return made;
        /* SEALED: the creator has finished it */
        if (!scene_open(&a, path, AZR_OPEN_WRITE))
            return false;
    }
    rc = azr_array_write(a, &s, &v, sizeof v, &err);
    azr_array_close(a);
    return rc < 0 ? plot_failed("write", rc, &err) : true;
}

static bool be_opener(void *arg)
{
    trial *t = arg;
    azr_array *a[MAX_ARRAYS] = {NULL};
    bool ok = open_all(a, t, AZR_OPEN_WRITE);

    close_all(a);
    return ok;
}

/* ------------------------------------------------------------------ kills --- */

static bool same(const trial *t, const values *x)
{
    for (int k = 0; k < t->arrays; k++) {
        size_t n = x->length[k] < 0 ? 0 : (size_t)x->length[k];

        if (g_seen->length[k] != x->length[k] ||
            g_seen->attribute[k] != x->attribute[k] ||
            memcmp(g_seen->v[k], x->v[k], n * sizeof x->v[k][0]) != 0)
            return false;
    }
    return true;
}

static bool describe(const trial *t, const char *who)
{
    char text[600] = "";
    size_t n = 0;

    for (int k = 0; k < t->arrays; k++) {
        for (int i = 0; i < g_seen->length[k] && n < sizeof text - 40; i++)
            n += (size_t)snprintf(text + n, sizeof text - n, " %d",
                                  (int)g_seen->v[k][i]);
        if (n < sizeof text - 40)
            n += (size_t)snprintf(text + n, sizeof text - n, " n=%d |",
                                  g_seen->attribute[k]);
    }
    return complain("%s: neither all old nor all new (or not what it should "
                    "be):%s",
                    who, text);
}

/* -1 old, 1 new, 0 either. */
int judge(const trial *t, unsigned at, bool after)
{
    int n = 2 * (int)at + after;

    if (t->recover >= 0)
        return t->only_new - t->only_old;
    if (n >= 2 * t->committed + 1)
        return 1;
    if (t->sealed >= 0 && n >= 2 * t->sealed + 1)
        return 0;
    return -1;
}

static bool look(const trial *t, unsigned number, int *verdict,
                 const values marks[2], const char *who)
{
    observer o = {t, number % 4 == 1 && geteuid() == 0,
                  (int)(number / 2 % (unsigned)t->arrays), number % 3 == 0};
    bool old, new;

    if (!staff_run(o.unprivileged ? STAFF_NOBODY : STAFF_READER, who, be_reader,
                   &o, sizeof o))
        return false;
    old = same(t, &marks[0]);
    new = same(t, &marks[1]);
    if ((!old && !new) || (old && *verdict > 0) || (new &&*verdict < 0))
        return describe(t, who);
    if (new) /* for ever; a SEALED row is passed over until it is finished */
        *verdict = 1;
    return true;
}

static void mark(values *x, int k)
{
    x->v[k][1] = PLOT_MARK;
    if (x->length[k] >= 0)
        return;
    x->length[k] = SQUARE; /* one of another rank was made there */
    for (int i = 0; i < SQUARE; i++)
        x->v[k][i] = PLOT_MARK;
}

/* A writer of one of the arrays; then everybody opens all of them. */
static bool look_after(trial *t, int verdict, unsigned number)
{
    writer w = {t, (int)(number % (unsigned)t->arrays), number / 5 % 2 == 0};
    values marks[2] = {t->old, t->new};
    char path[256];

    if (!staff_run(STAFF_WRITER, "writer", be_writer, &w, sizeof w))
        return false;
    for (int i = 0; i < 2; i++)
        mark(&marks[i], w.k);
    if (!look(t, number + 1, &verdict, marks, "reader after a writer") ||
        !staff_run(STAFF_WRITER, "openers", be_opener, t, 0) ||
        !look(t, number + 2, &verdict, marks, "reader at the end"))
        return false;
    for (int k = 0; k < t->arrays; k++) {
        plot_path(path, t->at, k);
        if (g_seen->length[k] >= 0 && g_seen->length[k] != SQUARE &&
            !scene_is_clean(path))
            return false;
    }
    return true;
}

bool look_around(trial *t, unsigned at, bool after, unsigned number)
{
    values marks[2] = {t->old, t->new};
    int verdict = judge(t, at, after);

    return look(t, number, &verdict, marks, "reader") &&
           look_after(t, verdict, number);
}

bool die_at(trial *t, unsigned at, bool after)
{
    victim v = {t, TAP_KILL, at, after};
    int status = child_wait(child_start(be_victim, &v));
    bool ok = tap_killed(status, at, t->names[at]);

    t->kills += ok;
    for (int k = 0; k < t->arrays; k++) {
        char path[256];

        plot_path(path, t->at, k);
        ok = ok && plot_is_plain(path, t->p);
    }
    return ok;
}

bool tell_death(const trial *t, unsigned at, bool after, unsigned number)
{
    char why[700];

    (void)snprintf(why, sizeof why, "%.650s", scene_error());
    scene_error()[0] = '\0';
    return complain("killed %s point %u (%s), trial %u: %s",
                    after ? "after" : "before", at, t->names[at], number, why);
}

static bool kill_at(trial *t, unsigned at, bool after, unsigned number)
{
    scene_error()[0] = '\0';
    tree_copy(t->from, t->at);
    if (!die_at(t, at, after) || !look_around(t, at, after, number))
        return tell_death(t, at, after, number);
    tree_remove(t->at);
    return true;
}

#ifndef AZRI_SABOTAGE
/* One call fails: an error, and nothing has changed; or success. What could not be
 * synced at the commit is either. */
static bool be_unlucky(void *arg)
{
    const victim *v = arg;
    azr_array *a[MAX_ARRAYS] = {NULL};
    azr_error err = AZR_ERROR_INIT;
    int rc;

    scene_threads = 1;
    if (!open_all(a, v->t, AZR_OPEN_WRITE))
        return false;
    tap_arm(TAP_FAIL, v->at, false, EIO);
    rc = v->t->p->run(a, v->t->arrays, v->t->at, &err);
    tap_disarm();
    close_all(a);
    *g_outcome = rc;
    return true;
}

static bool fail_at(trial *t, unsigned at, unsigned number)
{
    victim v = {t, TAP_FAIL, at, false};
    values marks[2] = {t->old, t->new};
    int verdict, rc;

    scene_error()[0] = '\0';
    tree_copy(t->from, t->at);
    if (!child_run("unlucky", be_unlucky, &v))
        return false;
    rc = *g_outcome;
    verdict = rc == AZR_OK ? 1 : rc == AZR_EUNKNOWN ? 0 : -1;
    if (!look(t, number, &verdict, marks, "reader after a failure") ||
        !look_after(t, verdict, number))
        return false;
    t->kills++;
    tree_remove(t->at);
    return true;
}

static bool sweep_failing(trial *t)
{
    static bool can_fail[TAP_POINTS];

    memcpy(can_fail, tap_shared()->can_fail, sizeof can_fail);
    for (unsigned at = 0; at < t->points; at++) {
        char why[700];

        if (!can_fail[at] || fail_at(t, at, at))
            continue;
        (void)snprintf(why, sizeof why, "%.650s", scene_error());
        scene_error()[0] = '\0';
        return complain("%s failed (%u): %s", t->names[at], at, why);
    }
    return true;
}

/* The same with the victim alive, but stopped: others read, and open for writing,
 * beside it; only then it is killed. */
static bool stop_at(trial *t, unsigned at, unsigned number)
{
    victim v = {t, TAP_STOP, at, true};
    int status = 0, verdict = 0;
    values marks[2] = {t->old, t->new};
    pid_t pid;
    bool ok;

    scene_error()[0] = '\0';
    tree_copy(t->from, t->at);
    pid = child_start(be_victim, &v);
    while (waitpid(pid, &status, WUNTRACED) < 0)
        continue;
    ok = WIFSTOPPED(status) ||
         complain("point %u was not visited (status %x)", at, (unsigned)status);
    ok = ok && look(t, number, &verdict, marks, "reader beside") &&
         child_run("openers beside", be_opener, t) &&
         look(t, number + 1, &verdict, marks, "reader after openers");
    (void)kill(pid, SIGKILL);
    (void)child_wait(pid);
    ok = ok && look_around(t, at, true, number);
    t->kills++;
    tree_remove(t->at);
    return ok;
}

static bool sweep_stopped(trial *t)
{
    for (unsigned at = 0; at < t->points; at++) {
        if (!stop_at(t, at, at))
            return complain("stopped at %u (%s)", at, t->names[at]);
    }
    return true;
}
#endif

static bool sweep(trial *t, unsigned step)
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

/* ----------------------------------------------------------- parts of a death */

/*
 * The kernel closes the descriptors of a dying process one after the other, and
 * for a while the SLOT byte of a PREPARED row is free while that of its home is
 * still held. Here its owner even goes on and commits: nobody may have judged the
 * row in between.
 */
static trial *g_parted;
static azr_array *g_parts[MAX_ARRAYS];
static bool g_parting_ok;

static bool has_word(azri_domain *d, const _Atomic uint64_t *p)
{
    const azri_state *s = azri_domain_state(d);

    return p >= azri_state_word(s, 0) && p < azri_state_word(s, AZRI_WORDS);
}

static void store_and_part(const char *what, _Atomic uint64_t *p,
                           uint64_t value)
{
    azri_sys_posix.store64(what, p, value);
    if (strcmp(what, "row.prepared") != 0)
        return;
    for (int k = 0; k < g_parted->arrays; k++) {
        azri_domain *d = g_parts[k]->d;

        for (int i = 0; has_word(d, p) && i < d->lent_count; i++)
            g_parting_ok &= azri_ofd_unlock(d->lent[i], AZRI_LOCK_BASE,
                                            AZRI_LOCK_LAST, NULL) == AZR_OK;
    }
    g_parting_ok &= child_run("openers", be_opener, g_parted);
}

static bool be_parted(void *arg)
{
    trial *t = arg;
    azr_error err = AZR_ERROR_INIT;
    int rc;

    scene_threads = 1;
    g_parted = t;
    g_parting_ok = true;
    if (!open_all(g_parts, t, AZR_OPEN_WRITE))
        return false;
    tap_arm(TAP_COUNT, 0, false, 0);
    tap_sys.store64 = store_and_part;
    rc = t->p->run(g_parts, t->arrays, t->at, &err);
    tap_disarm();
    close_all(g_parts);
    return rc < 0 ? plot_failed(t->p->name, rc, &err) : g_parting_ok;
}

static bool die_in_parts(trial *t)
{
    values marks[2] = {t->old, t->new};
    int verdict = 1;

    scene_error()[0] = '\0';
    tree_copy(t->from, t->at);
    if (!child_run("owner", be_parted, t) ||
        !look(t, 0, &verdict, marks, "reader after a judge"))
        return false;
    tree_remove(t->at);
    return true;
}

/* ------------------------------------------------------------- kept out --- */

/*
 * At its commit point the owner lets others try what it excludes: an attribute of
 * an array whose document it changes; if it cuts off a part of it, a write there,
 * which would be lost or come back. It must find them out.
 */
static bool be_intruder(void *arg)
{
    const trial *t = arg;
    azr_selection last = AZR_BOX(1, {PLOT_LENGTH - 1}, {1});
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    int32_t v = 1;
    int rc = AZR_EBUSY;

    if (!open_one(&a, t, 0, AZR_OPEN_WRITE | AZR_OPEN_NO_RECOVERY))
        return false;
    if (a && t->p != &plot_transfer && t->p != &plot_chunks)
        rc = azr_array_attribute_set(a, "n", "1", &err);
    if (a && rc == AZR_EBUSY && t->p->shrinks)
        rc = azr_array_write(a, &last, &v, sizeof v, &err);
    azr_array_close(a);
    return rc == AZR_EBUSY || complain("an intruder was let in (%d)", rc);
}

static void store_with_intruder(const char *what, _Atomic uint64_t *p,
                                uint64_t value)
{
    if (strcmp(what, "row.committed") == 0)
        g_parting_ok &= child_run("intruder", be_intruder, g_parted);
    azri_sys_posix.store64(what, p, value);
}

static bool be_keeper(void *arg)
{
    trial *t = arg;
    azr_array *a[MAX_ARRAYS] = {NULL};
    azr_error err = AZR_ERROR_INIT;
    int rc;

    scene_threads = 1;
    g_parted = t;
    g_parting_ok = true;
    if (!open_all(a, t, AZR_OPEN_WRITE))
        return false;
    tap_arm(TAP_COUNT, 0, false, 0);
    tap_sys.store64 = store_with_intruder;
    rc = t->p->run(a, t->arrays, t->at, &err);
    tap_disarm();
    close_all(a);
    return rc < 0 ? plot_failed(t->p->name, rc, &err) : g_parting_ok;
}

static bool keep_out(trial *t)
{
    scene_error()[0] = '\0';
    tree_copy(t->from, t->at);
    if (!child_run("keeper", be_keeper, t))
        return false;
    tree_remove(t->at);
    return true;
}

/* ------------------------------------------------------------- beginning --- */

static bool count(trial *t)
{
    victim v = {t, TAP_COUNT, 0, false};
    const tap_list *l = tap_shared();

    tree_copy(t->from, t->at);
    if (!child_run("undisturbed", be_victim, &v))
        return false;
    t->points = atomic_load(&l->count);
    if (t->points > TAP_POINTS)
        return complain("%u points, room for %d", t->points, TAP_POINTS);
    memcpy(t->names, l->names, sizeof t->names);
    t->committed = tap_find("row.committed", 0);
    t->sealed = tap_find("row.sealed", 0);
    tree_remove(t->at);
    return true;
}

static void name_places(trial *t, const char *name)
{
    const char *root = scene_root(true);

    (void)snprintf(t->from, sizeof t->from, "%s/%s-from", root, name);
    (void)snprintf(t->at, sizeof t->at, "%s/%s", root, name);
}

bool begin(trial *t, const plot *p, int arrays, bool power)
{
    observer o = {t, false, 0, false};

    memset(t, 0, sizeof *t);
    t->p = p;
    t->arrays = arrays;
    t->power = plot_power = power;
    t->recover = -1;
    scene_error()[0] = '\0';
    name_places(t, "several");
    if (!child_run("maker", be_maker, t) || !count(t))
        return false;
    if (t->committed < 0 ||
        (AZRI_GUARD(PREPARED) && tap_find("row.prepared", 0) < 0))
        return complain("no row was prepared, or none committed");
    tree_copy(t->from, t->at);
    if (!child_run("reader", be_reader, &o))
        return false;
    tree_remove(t->at);
    t->old = *g_seen;
    t->new = t->old;
    p->expect(&t->new, arrays);
    return true;
}

void end(trial *t)
{
    tree_remove(t->from);
    tree_remove(t->at);
}

#ifndef AZRI_SABOTAGE

/* What a kill of `of` at a point leaves; then array k is opened for writing. */
static bool begin_recovery(trial *t, const trial *of, unsigned at, int k)
{
    victim v = {of, TAP_KILL, at, true};
    int verdict = judge(of, at, true);

    *t = *of;
    t->kills = 0;
    tree_copy(of->from, of->at);
    (void)child_wait(child_start(be_victim, &v));
    name_places(t, "several-recovery");
    if (rename(of->at, t->from) != 0)
        return complain("rename");
    t->recover = k;
    t->only_new = verdict > 0;
    t->only_old = verdict < 0;
    return count(t);
}

static unsigned long g_kills;

static bool sweep_one(const plot *p, int arrays, bool power, unsigned step)
{
    static trial t;
    bool ok = begin(&t, p, arrays, power) && sweep(&t, step);

    end(&t);
    g_kills += t.kills;
    (void)printf("%d arrays %-10s %-8s %5u points %6lu kills%s\n", arrays,
                 p->name, power ? "power" : "process", t.points, t.kills,
                 ok ? "" : "  FAILED");
    if (!ok)
        (void)printf("    %s\n", scene_error());
    return ok;
}

static bool sweep_nested(const plot *p, int arrays, bool power, unsigned outer,
                         unsigned inner)
{
    static trial t, r;
    unsigned long kills = 0;
    bool ok = begin(&t, p, arrays, power);
    int first = ok ? tap_find("row.prepared", 0) : 0;
    unsigned n = 0;

    for (unsigned at = (unsigned)first; ok && at < t.points; at += outer) {
        ok = begin_recovery(&r, &t, at, (int)(n++ % (unsigned)arrays)) &&
             sweep(&r, inner);
        end(&r);
        kills += r.kills;
    }
    end(&t);
    g_kills += kills;
    (void)printf("%d arrays %-10s %-8s recovery of it %6lu kills%s\n", arrays,
                 p->name, power ? "power" : "process", kills,
                 ok ? "" : "  FAILED");
    if (!ok)
        (void)printf("    %s\n", scene_error());
    return ok;
}

static bool sweep_calls(const plot *p, int arrays, bool power)
{
    static trial t;
    bool ok = begin(&t, p, arrays, power) && count(&t) && sweep_failing(&t);

    end(&t);
    g_kills += t.kills;
    (void)printf("%d arrays %-10s %-8s failing calls  %6lu%s\n", arrays,
                 p->name, power ? "power" : "process", t.kills,
                 ok ? "" : "  FAILED");
    if (!ok)
        (void)printf("    %s\n", scene_error());
    return ok;
}

static bool parts_of_a_death(const plot *p)
{
    static trial t;
    bool ok = begin(&t, p, 3, false) && die_in_parts(&t) && keep_out(&t);

    end(&t);
    (void)printf("3 arrays %-10s a death in parts, intruders%s\n", p->name,
                 ok ? "" : "  FAILED");
    if (!ok)
        (void)printf("    %s\n", scene_error());
    return ok;
}

/* Of a transfer, or of the recovery of one that was killed at its commit. */
static bool sweep_beside(const plot *p, int arrays, bool power, bool recovery)
{
    static trial t, r;
    bool ok = begin(&t, p, arrays, power);
    int at = ok ? tap_find("row.committed", 0) : 0;
    trial *of = recovery ? &r : &t;

    if (recovery)
        ok = ok && begin_recovery(&r, &t, (unsigned)at, arrays - 1);
    ok = ok && sweep_stopped(of);
    end(&t);
    if (recovery)
        end(&r);
    g_kills += of->kills;
    (void)printf("%d arrays %-10s %-8s beside %s %6lu stops%s\n", arrays,
                 p->name, power ? "power" : "process",
                 recovery ? "its recovery" : "it          ", of->kills,
                 ok ? "" : "  FAILED");
    if (!ok)
        (void)printf("    %s\n", scene_error());
    return ok;
}

const tempo tempi[] = {
    {&plot_transfer, 2, false, 3, 1, 1},
    {&plot_transfer, 2, true, 5, 1, 1},
    {&plot_transfer, 3, false, 7, 3, 1},
    {&plot_transfer, 3, true, 0, 0, 1},
    {&plot_chunks, 2, false, 5, 1, 1},
    {&plot_chunks, 3, true, 0, 2, 1},
    {&plot_growth, 2, false, 3, 1, 1},
    {&plot_growth, 2, true, 0, 2, 1},
    {&plot_growth, 3, true, 0, 3, 1},
    {&plot_growth, 4, false, 0, 2, 1},
    {&plot_growth, 5, false, 0, 2, 1},
    {&plot_growth, 5, true, 0, 9, 1},
    {&plot_shrink, 2, false, 2, 1, 1},
    {&plot_shrink, 2, true, 0, 1, 1},
    {&plot_shrink, 3, false, 0, 2, 1},
    {&plot_shrink, 5, false, 0, 2, 1},
    {&plot_shrink, 5, true, 0, 0, 1},
    {&plot_create, 2, false, 2, 1, 1},
    {&plot_create, 2, true, 0, 2, 1},
    {&plot_create, 3, false, 0, 2, 1},
    {&plot_create, 5, false, 0, 2, 1},
    {&plot_create_v2, 2, false, 3, 2, 1},
    {&plot_create_v2, 4, true, 0, 3, 1},
    {&plot_create_all, 2, false, 3, 1, 1},
    {&plot_create_all, 3, true, 0, 3, 1},
    {&plot_create_all, 5, false, 0, 4, 1},
    {&plot_append_all, 2, false, 3, 1, 1},
    {&plot_append_all, 2, true, 0, 2, 1},
    {&plot_append_all, 4, false, 0, 2, 1},
    {&plot_append_all, 5, true, 0, 4, 1},
};

const size_t tempo_count = sizeof tempi / sizeof tempi[0];

static bool sweep_plots(bool quick, bool torture)
{
    bool ok = true;

    for (size_t i = 0; i < tempo_count; i++) {
        const tempo *t = &tempi[i];
        unsigned step = quick ? t->quick : torture ? t->torture : t->otherwise;

        if (step > 0)
            ok &= sweep_one(t->p, t->arrays, t->power, step);
    }
    return ok;
}

static bool sweep_rest(bool quick, bool torture)
{
    static const plot *const others[] = {&plot_growth, &plot_shrink,
                                         &plot_create, &plot_create_all,
                                         &plot_append_all};
    const plot *first = &plot_transfer;
    bool ok = sweep_nested(first, 2, false,
                           quick     ? 9
                           : torture ? 1
                                     : 2,
                           quick ? 7 : 2);

    ok &= sweep_calls(first, 2, true);
    ok &= parts_of_a_death(first);
    ok &= sweep_beside(first, 2, false, false);
    ok &= sweep_beside(first, 2, false, true);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        ok &= parts_of_a_death(others[i]);
    for (size_t i = 0; i < sizeof others / sizeof others[0] && !quick; i++) {
        ok &= sweep_nested(others[i], 2, i % 2 == 1, torture ? 3 : 6, 3);
        ok &= sweep_calls(others[i], 2, i % 2 == 0);
        if (torture || i % 2 == 1)
            ok &= sweep_beside(others[i], 2, i % 2 == 0, false);
    }
    if (quick)
        return ok;
    ok &= sweep_calls(first, 3, false);
    ok &= sweep_beside(first, 3, true, true);
    ok &= sweep_nested(first, 2, true, torture ? 1 : 6, 2);
    ok &= sweep_nested(first, 3, false, torture ? 1 : 8, 3);
    return ok;
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    bool torture = argc > 1 && strcmp(argv[1], "--torture") == 0;
    unsigned long least = quick ? 1000 : 10000;
    bool ok;

    g_seen = scene_shared(sizeof *g_seen);
    g_outcome = scene_shared(sizeof *g_outcome);
    (void)scene_error();
    (void)tap_shared();
    if (argc > 3 && strcmp(argv[1], "--soak") == 0)
        return several_soak(strtoull(argv[2], NULL, 10),
                            strtoul(argv[3], NULL, 10));
    ok = sweep_plots(quick, torture);
    ok &= sweep_rest(quick, torture);
    scene_roots_remove();
    (void)printf("%lu kills, at least %lu\n", g_kills, least);
    return ok && g_kills >= least ? 0 : 1;
}

#else

typedef struct control {
    const char *name;
    azri_guard value;
    const plot *p;
} control;

static const control controls[] = {
    {"PREPARED", AZRI_GUARD_PREPARED, &plot_transfer},
    {"HOME_NO", AZRI_GUARD_HOME_NO, &plot_transfer},
    {"HOME_YES", AZRI_GUARD_HOME_YES, &plot_transfer},
    {"OTHERS", AZRI_GUARD_OTHERS, &plot_transfer},
    {"HOME_SLOT", AZRI_GUARD_HOME_SLOT, &plot_transfer},
    {"SHRINK_FIRST", AZRI_GUARD_SHRINK_FIRST, &plot_shrink},
    {"FIND_IN_ROW", AZRI_GUARD_FIND_IN_ROW, &plot_create_all},
    {"DOC", AZRI_GUARD_DOC, &plot_growth},
    {"META_EXCLUSIVE", AZRI_GUARD_META_EXCLUSIVE, &plot_shrink},
};

static bool try_plot(const void *arg, bool whole)
{
    static trial t;
    bool ok = begin(&t, arg, 2, false) && die_in_parts(&t) && keep_out(&t) &&
              sweep(&t, whole ? 9 : 1);

    end(&t);
    return ok;
}

int main(void)
{
    size_t n = sizeof controls / sizeof controls[0], caught = 0;

    g_seen = scene_shared(sizeof *g_seen);
    (void)scene_error();
    (void)tap_shared();
    for (size_t i = 0; i < n; i++)
        caught += guard_try(controls[i].name, controls[i].value, try_plot,
                            controls[i].p);
    return guards_end(caught, n);
}

#endif
