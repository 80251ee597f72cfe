/* SPDX-License-Identifier: Apache-2.0 */
/* Beside the kill sweep: readers in the middle of a read while chunks go, those
 * who build beside those who collect, setters of attributes beside each other, and
 * arrays that are moved or removed after a transaction over several died. */
#include "crash/tree.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --------------------------------------------------- a reader in the middle --- */

static char g_root[200];
static unsigned g_kill_at;
static bool g_struck, g_collected;
static struct azri_sys g_sys;

static bool be_dying_collector(void *arg)
{
    azr_tree_options o = AZR_TREE_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    int rc;

    (void)arg;
    tap_arm(TAP_KILL, g_kill_at, true, 0);
    rc = azr_collect(g_root, NULL, &o, &err);
    tap_disarm();
    return rc == AZR_OK || failed("collect", rc, &err);
}

/* The first chunk is open, the second one not yet. */
static int strike_openat(int dir, const char *path, int flags, mode_t mode)
{
    if (!g_struck && strcmp(path, "c/1") == 0) {
        int status;

        g_struck = true;
        azri_sys = &azri_sys_posix;
        status = child_wait(child_start(be_dying_collector, NULL));
        g_collected = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        azri_sys = &g_sys;
    }
    return azri_sys_posix.openat(dir, path, flags, mode);
}

static bool read_while_it_goes(const trial *t, bool with_state)
{
    char x[256], trash[256];
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    int32_t value = 0;
    int rc;

    tree_copy(t->from, t->at);
    path_of(x, t->at, "x/.azr");
    if (!with_state)
        tree_remove(x);
    path_of(x, t->at, "x/c"); /* listed first, where the newest is */
    path_of(trash, t->at, "newest");
    if (rename(x, trash) != 0 || rename(trash, x) != 0)
        return complain("rename: %s", strerror(errno));
    path_of(x, t->at, "x");
    o.threads = 1;
    if (azr_array_open(&a, x, &o, &err) < 0)
        return failed("open", err.code, &err);
    path_of(trash, t->at, ".azr-trash");
    (void)mkdir(trash, 0777);
    path_of(trash, t->at, ".azr-trash/dead.r");
    (void)mkdir(trash, 0777);
    path_of(trash, t->at, ".azr-trash/dead.r/node");
    if (rename(x, trash) != 0)
        return complain("rename: %s", strerror(errno));
    (void)snprintf(g_root, sizeof g_root, "%s", t->at);
    g_struck = false;
    g_sys = azri_sys_posix;
    g_sys.openat = strike_openat;
    azri_sys = &g_sys;
    rc = read_all(&value, a, &err);
    azri_sys = &azri_sys_posix;
    azr_array_close(a);
    tree_remove(t->at);
    if (rc == AZR_OK && value == 3)
        return true;
    return rc == AZR_ENOTFOUND ||
           complain("a collector was killed at point %u; a reader in the "
                    "middle has %d: %s %s",
                    g_kill_at, (int)value, azr_status_name(rc), err.message);
}

bool readers(bool with_state)
{
    static trial t;
    bool ok;

    memset(&t, 0, sizeof t);
    name_places(&t, "middle");
    scene_error()[0] = '\0';
    ok = child_run("maker", be_maker, &t);
    g_collected = false;
    for (g_kill_at = 0; ok && !g_collected; g_kill_at++) {
        ok = read_while_it_goes(&t, with_state);
        if (ok && !g_struck)
            ok = complain("the reader was not in the middle");
    }
    end(&t);
    return ok;
}

/* ------------------------------------------------------------ the stopped --- */

/* Let a child do it, stopped at one point; false: it ended before. */
static bool start_stopped(pid_t *pid, const trial *t, child_fn fn, void *arg)
{
    int status = 0;

    (void)t;
    *pid = child_start(fn, arg);
    while (waitpid(*pid, &status, WUNTRACED) < 0) {
        if (errno != EINTR)
            return false;
    }
    return WIFSTOPPED(status);
}

static bool go_on(pid_t pid)
{
    int status;

    (void)kill(pid, SIGCONT);
    status = child_wait(pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Somebody builds, and is stopped; somebody else collects. */
bool builder_beside_collector(void)
{
    static trial t;
    bool ok = begin(&t, REPLACE_ARRAY);

    for (unsigned at = 0; ok && at < t.points; at++) {
        victim v = {&t, TAP_STOP, at, true};
        azr_tree_options o = AZR_TREE_OPTIONS_INIT;
        azr_error err = AZR_ERROR_INIT;
        pid_t pid;

        tree_copy(t.from, t.at);
        o.timeout_ms = 0;
        if (!start_stopped(&pid, &t, be_victim, &v)) {
            ok = complain("point %u was not visited", at);
        } else {
            int rc = azr_collect(t.at, NULL, &o, &err);

            ok = go_on(pid) && (rc == AZR_OK || rc == AZR_EBUSY) && see(&t) &&
                 same(g_seen, &t.new);
            if (!ok)
                (void)complain("a builder stopped at point %u (%s), a "
                               "collector beside it: %s",
                               at, t.names[at], azr_status_name(rc));
        }
        tree_remove(t.at);
    }
    end(&t);
    return ok;
}

typedef struct setter {
    const trial *t;
    unsigned at;
} setter;

static bool be_setter(void *arg)
{
    const setter *s = arg;
    azr_error err = AZR_ERROR_INIT;

    tap_arm(TAP_STOP, s->at, true, 0);
    *g_outcome = set_attribute(s->t->at, "first", &err);
    tap_disarm();
    return true;
}

/* Two change attributes of one group: who was told that it is done finds it. */
bool setters_beside_each_other(void)
{
    static trial t;
    bool ok, stopped = true;

    memset(&t, 0, sizeof t);
    name_places(&t, "setters");
    scene_error()[0] = '\0';
    ok = child_run("maker", be_maker, &t);
    for (unsigned at = 0; ok && stopped; at++) {
        setter s = {&t, at};
        azr_error err = AZR_ERROR_INIT;
        char path[256], text[64] = "";
        int second = AZR_EBUSY;
        pid_t pid;

        tree_copy(t.from, t.at);
        stopped = start_stopped(&pid, &t, be_setter, &s);
        if (stopped) {
            second = set_attribute(t.at, "second", &err);
            ok = go_on(pid);
        }
        path_of(path, t.at, "g");
        ok = ok && look_at_group(text, path);
        if (ok && *g_outcome != AZR_OK)
            ok = complain("who was stopped at point %u, with an attribute to "
                          "set, gets %s",
                          at, azr_status_name(*g_outcome));
        if (ok && ((*g_outcome == AZR_OK && !strstr(text, "first")) ||
                   (second == AZR_OK && !strstr(text, "second"))))
            ok = complain("two set attributes, one was stopped at point %u: "
                          "%s, %s, but %s",
                          at, azr_status_name(*g_outcome),
                          azr_status_name(second), text);
        tree_remove(t.at);
    }
    end(&t);
    return ok;
}

/* ---------------------------------------------- after a death in two arrays --- */

typedef struct death {
    const trial *t;
    unsigned at;
    bool swap; /* the other one is the first, and so the home */
} death;

static int open_at(azr_array **out, const char *root, const char *place,
                   azr_error *err)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    char path[256];

    path_of(path, root, place);
    o.flags = AZR_OPEN_WRITE;
    o.timeout_ms = 0;
    return azr_array_open(out, path, &o, err);
}

static bool be_transfer(void *arg)
{
    static const int32_t v[LENGTH] = {4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4};
    const death *d = arg;
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    azr_array *a[2] = {NULL, NULL};
    azr_txn *txn = NULL;
    int rc = open_at(&a[d->swap], d->t->at, "x", &err);

    if (rc == AZR_OK)
        rc = open_at(&a[!d->swap], d->t->at, "g/a", &err);
    tap_arm(TAP_KILL, d->at, true, 0);
    if (rc == AZR_OK)
        rc = azr_txn_begin(&txn, &o, &err);
    for (int k = 0; rc == AZR_OK && k < 2; k++)
        rc = azr_txn_write(txn, a[k], &all, v, sizeof v, &err);
    if (rc == AZR_OK)
        rc = azr_txn_commit(txn, &err);
    tap_disarm();
    azr_txn_free(txn);
    azr_array_close(a[0]);
    azr_array_close(a[1]);
    return rc == AZR_OK || failed("transfer", rc, &err);
}

/* Old or new in both, and both can be written. */
static bool check_both(const char *root, const char *x, const char *a)
{
    azr_error err = AZR_ERROR_INIT;
    const char *place[2] = {x, a};
    int32_t value[2] = {0, 0};

    for (int k = 0; k < 2; k++) {
        azr_array *array = NULL;
        int rc;

        if (!place[k])
            continue;
        rc = open_at(&array, root, place[k], &err);
        if (rc == AZR_OK)
            rc = read_all(&value[k], array, &err);
        if (rc == AZR_OK)
            rc = fill(array, MARK, &err);
        azr_array_close(array);
        if (rc < 0)
            return failed(place[k], rc, &err);
    }
    if (!x || !a)
        return true;
    return (value[0] == 4 && value[1] == 4) ||
           (value[0] == 3 && value[1] == 1) ||
           complain("half of a transaction: %d and %d", (int)value[0],
                    (int)value[1]);
}

/* What is done between the death and the look; 0 to 5. */
static bool take_one_away(const char *root, unsigned what)
{
    azr_tree_options o = AZR_TREE_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    char x[256], a[256], y[256];
    int rc;

    path_of(x, root, "x");
    path_of(a, root, "g/a");
    path_of(y, root, "y");
    o.timeout_ms = 0;
    if (what % 3 == 0) {
        rc = azr_move(x, y, &o, &err);
        return rc < 0 ? failed("move", rc, &err) : check_both(root, "y", "g/a");
    }
    if (what % 3 == 1) {
        rc = azr_move(a, y, &o, &err);
        return rc < 0 ? failed("move", rc, &err) : check_both(root, "x", "y");
    }
    rc = azr_remove(a, &o, &err);
    return rc < 0 ? failed("remove", rc, &err) : check_both(root, "x", NULL);
}

/* Somebody recovers one of the two first. */
static bool recover_one(const char *root, const char *place)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    int rc = open_at(&a, root, place, &err);

    azr_array_close(a);
    return rc == AZR_OK || failed("recover", rc, &err);
}

/* Dead after the row of the other array was cleared and before that of the home:
 * the home names an array in which nothing names the home any more. Who takes that
 * one away cannot know, and recovery of the home says so (docs/guarantees.md, 25):
 * nothing is torn, and nothing is lost before somebody gives it up. */
static bool is_between_clears(unsigned at)
{
    unsigned clears = 0;

    for (unsigned i = 0; i <= at; i++)
        clears += strcmp(tap_shared()->names[i], "row.clear") == 0;
    return clears == 1 && strstr(scene_error(), "put it back") != NULL;
}

bool moves_after(unsigned what, bool swap, const char *recovered, unsigned step,
                 unsigned long *kills)
{
    static trial t;
    bool ok, dead = true;

    memset(&t, 0, sizeof t);
    name_places(&t, "moves");
    scene_error()[0] = '\0';
    ok = child_run("maker", be_maker, &t);
    for (unsigned at = 0; ok && dead; at += step) {
        death d = {&t, at, swap};
        int status;

        tree_copy(t.from, t.at);
        status = child_wait(child_start(be_transfer, &d));
        dead = WIFSIGNALED(status);
        *kills += dead;
        ok = (!recovered || recover_one(t.at, recovered)) &&
             take_one_away(t.at, what);
        if (!ok && dead && is_between_clears(at)) {
            scene_error()[0] = '\0';
            ok = true;
        }
        if (!ok) {
            char why[800];

            (void)snprintf(why, sizeof why, "%s", scene_error());
            scene_error()[0] = '\0';
            (void)complain("way %u%s%s%s, a transaction killed after point "
                           "%u (%s): %s",
                           what, swap ? ", swapped" : "",
                           recovered ? ", first recovered " : "",
                           recovered ? recovered : "", at,
                           dead ? tap_shared()->names[at] : "end", why);
        }
        tree_remove(t.at);
    }
    end(&t);
    return ok;
}
