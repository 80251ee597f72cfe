/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kill sweep over snapshots and copies: a child takes a snapshot of two arrays,
 * reads and closes it, or copies a group, or removes what a dead one left, and dies
 * before and after each of its points. Then the arrays must be what they were and
 * take writes; the copy is there, whole, or not at all; and the next one that opens
 * for writing, or copies, leaves nothing behind. The same with each call failing;
 * and with a taker that is stopped at each point while others collect rubbish.
 *
 * Built with AZRI_SABOTAGE: a snapshot that is collected although somebody holds it
 * must be noticed.
 */
#include "base/guard.h"
#include "crash/scene.h"
#include "crash/tap.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARRAYS 2
#define LENGTH 12 /* three chunks of four, of which one is not stored */
#define STORED 8

static const char *const places[ARRAYS] = {"g/a", "g/sub/b"};

typedef enum job {
    JOB_TAKE,      /* linked: take, read, close */
    JOB_ELSEWHERE, /* copied into another directory */
    JOB_COPY,      /* of the group */
    JOB_RECOVER,   /* open for writing beside a dead snapshot */
    JOB_COUNT
} job;

static const char *const job_names[] = {"take", "take elsewhere", "copy",
                                        "recover"};

typedef struct trial {
    job j;
    char from[200], at[200];
    unsigned points;
    int committed; /* point of the rename that makes the copy appear; -1 */
    unsigned long strikes;
} trial;

static void path_of(char out[300], const trial *t, const char *name)
{
    (void)snprintf(out, 300, "%s/%s", t->at, name);
}

static bool failed(const char *what, int rc, const azr_error *err)
{
    return complain("%s: %s: %s", what, azr_status_name(rc), err->message);
}

/* ---------------------------------------------------------------- scenes --- */

static bool make_array(const char *path, int k)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_selection s = AZR_BOX(1, {0}, {STORED});
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    int32_t v[STORED];
    int rc;

    spec.zarr_format = k == 0 ? 3 : 2;
    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = LENGTH;
    spec.chunks[0] = 4;
    spec.codecs = "none";
    spec.attributes = "{\"x\":  1.50}";
    spec.durability = k == 0 ? AZR_DURABILITY_POWER : AZR_DURABILITY_PROCESS;
    for (int i = 0; i < STORED; i++)
        v[i] = 100 * (k + 1) + i;
    rc = azr_array_create(&a, path, &spec, &o, &err);
    if (rc == AZR_OK)
        rc = azr_array_write(a, &s, v, sizeof v, &err);
    azr_array_close(a);
    return rc < 0 ? failed("make", rc, &err) : true;
}

static bool be_maker(void *arg)
{
    const trial *t = arg;
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;
    char path[300];

    if (mkdir(t->from, 0777) != 0)
        return complain("mkdir '%s'", t->from);
    (void)snprintf(path, sizeof path, "%s/tmp", t->from);
    if (mkdir(path, 0777) != 0)
        return complain("mkdir '%s'", path);
    (void)snprintf(path, sizeof path, "%s/g", t->from);
    if (azr_group_create(&g, path, NULL, NULL, &err) < 0)
        return complain("%s", err.message);
    azr_group_close(g);
    (void)snprintf(path, sizeof path, "%s/g/sub", t->from);
    if (azr_group_create(&g, path, NULL, NULL, &err) < 0)
        return complain("%s", err.message);
    azr_group_close(g);
    for (int k = 0; k < ARRAYS; k++) {
        (void)snprintf(path, sizeof path, "%s/%s", t->from, places[k]);
        if (!make_array(path, k))
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------ jobs --- */

static bool open_both(azr_array **a, const trial *t, unsigned flags)
{
    char path[300];

    for (int k = 0; k < ARRAYS; k++) {
        path_of(path, t, places[k]);
        if (!scene_open(&a[k], path, flags))
            return false;
    }
    return true;
}

static void close_both(azr_array **a)
{
    for (int k = 0; k < ARRAYS; k++) {
        azr_array_close(a[k]);
        a[k] = NULL;
    }
}

static int check_values(azr_array *a, int k, azr_error *err)
{
    azr_selection all = azr_select_all(1);
    int32_t v[LENGTH];
    int rc = azr_array_read(a, &all, v, sizeof v, err);

    for (int i = 0; i < LENGTH && rc == AZR_OK; i++) {
        int32_t want = i < STORED ? 100 * (k + 1) + i : 0;

        if (v[i] != want)
            return complain("array %d has %d at %d, not %d", k, (int)v[i], i,
                            (int)want) -
                   1;
    }
    return rc;
}

static int take(azr_array **a, const char *directory, azr_error *err)
{
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_snapshot *s = NULL;
    int rc;

    o.directory = directory;
    rc = azr_snapshot_take(&s, a, ARRAYS, &o, err);
    for (int k = 0; k < ARRAYS && rc == AZR_OK; k++)
        rc = check_values(azr_snapshot_array(s, (size_t)k), k, err);
    azr_snapshot_close(s);
    return rc;
}

static int recover(const trial *t, azr_array **a, azr_error *err)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    int rc = AZR_OK;

    o.flags = AZR_OPEN_WRITE;
    o.timeout_ms = 0;
    for (int k = 0; k < ARRAYS && rc == AZR_OK; k++) {
        char path[300];

        path_of(path, t, places[k]);
        rc = azr_array_open(&a[k], path, &o, err);
    }
    return rc;
}

static int do_job(const trial *t, azr_array **a, azr_error *err)
{
    char from[300], to[300];

    switch (t->j) {
    case JOB_TAKE:
        return take(a, NULL, err);
    case JOB_ELSEWHERE:
        path_of(to, t, "tmp");
        return take(a, to, err);
    case JOB_COPY:
        path_of(from, t, "g");
        path_of(to, t, "copy");
        return azr_copy(from, to, NULL, NULL, err);
    case JOB_RECOVER:
    case JOB_COUNT:
        break;
    }
    return recover(t, a, err);
}

/* A snapshot without a holder, and a hidden copy. */
static bool be_dead(void *arg)
{
    const trial *t = arg;
    azr_array *a[ARRAYS] = {NULL};
    azr_error err = AZR_ERROR_INIT;
    azr_snapshot *s = NULL;
    char path[300];

    path_of(path, t, ".azr-new-0123456789abcdef0123456789abcdef");
    return mkdir(path, 0777) == 0 && open_both(a, t, 0) &&
           azr_snapshot_take(&s, a, ARRAYS, NULL, &err) == AZR_OK;
}

typedef struct victim {
    const trial *t;
    tap_action action;
    unsigned at;
    bool after;
    int error;
} victim;

static bool be_victim(void *arg)
{
    const victim *v = arg;
    azr_array *a[ARRAYS] = {NULL};
    azr_error err = AZR_ERROR_INIT;
    int rc;

    scene_threads = 1;
    if (v->t->j != JOB_RECOVER && !open_both(a, v->t, 0))
        return false;
    tap_arm(v->action, v->at, v->after, v->error);
    rc = do_job(v->t, a, &err);
    tap_disarm();
    close_both(a);
    if (v->action == TAP_FAIL) /* an error, said; or it did not matter */
        return rc == AZR_OK || (rc < 0 && err.message[0] != '\0') ||
               complain("an error without a message: %d", rc);
    return rc == AZR_OK || failed("job", rc, &err);
}

/* ------------------------------------------------------------ afterwards --- */

static int entries_of(const char *path, const char *prefix)
{
    struct dirent *e;
    DIR *d = opendir(path);
    int n = 0;

    if (!d)
        return 0;
    while ((e = readdir(d)) != NULL)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
             strncmp(e->d_name, prefix, strlen(prefix)) == 0;
    (void)closedir(d);
    return n;
}

static bool same_text(const char *a, const char *b)
{
    char x[4096] = "", y[4096] = "";
    FILE *f = fopen(a, "r"), *g = fopen(b, "r");
    bool same = f && g &&
                fread(x, 1, sizeof x, f) == fread(y, 1, sizeof y, g) &&
                memcmp(x, y, sizeof x) == 0;

    if (f)
        (void)fclose(f);
    if (g)
        (void)fclose(g);
    return same || complain("'%s' is not '%s'", b, a);
}

static bool check_copy(const trial *t, const char *name)
{
    static const char *const documents[] = {"zarr.json", "sub/zarr.json",
                                            "a/zarr.json", "sub/b/.zarray",
                                            "sub/b/.zattrs"};
    azr_error err = AZR_ERROR_INIT;
    char from[400], to[400], path[300];

    path_of(path, t, name);
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        (void)snprintf(from, sizeof from, "%s/g/%s", t->at, documents[i]);
        (void)snprintf(to, sizeof to, "%s/%s", path, documents[i]);
        if (!same_text(from, to))
            return false;
    }
    for (int k = 0; k < ARRAYS; k++) {
        azr_array_info info = {.struct_size = sizeof info};
        azr_array *a = NULL;
        int rc;

        (void)snprintf(to, sizeof to, "%s/%s", path, places[k] + 2);
        if (!scene_open(&a, to, AZR_OPEN_WRITE))
            return false;
        rc = check_values(a, k, &err);
        if (rc == AZR_OK)
            rc = azr_array_info_get(a, &info, &err);
        azr_array_close(a);
        if (rc < 0)
            return failed("copy", rc, &err);
        if (info.durability !=
            (k == 0 ? AZR_DURABILITY_POWER : AZR_DURABILITY_PROCESS))
            return complain("array %d of the copy has durability %d", k,
                            info.durability);
    }
    return true;
}

static bool exists(const trial *t, const char *name)
{
    struct stat st;
    char path[300];

    path_of(path, t, name);
    return lstat(path, &st) == 0;
}

/* Opening for writing, and another of each, leave nothing behind. */
static bool be_next(void *arg)
{
    const trial *t = arg;
    azr_selection s = AZR_BOX(1, {1}, {2});
    azr_array *a[ARRAYS] = {NULL};
    azr_error err = AZR_ERROR_INIT;
    char path[300], from[300];
    bool ok = open_both(a, t, AZR_OPEN_WRITE);

    for (int k = 0; k < ARRAYS && ok; k++) {
        int32_t v[2] = {100 * (k + 1) + 1, 100 * (k + 1) + 2};
        int rc = check_values(a[k], k, &err);

        if (rc == AZR_OK)
            rc = azr_array_write(a[k], &s, v, sizeof v, &err);
        ok = rc == AZR_OK || failed("next", rc, &err);
        (void)snprintf(path, sizeof path, "%s/%s/.azr/snap", t->at, places[k]);
        if (ok && entries_of(path, "") > 0)
            ok = complain("a snapshot is left in '%s'", path);
    }
    path_of(path, t, "tmp");
    if (ok && take(a, path, &err) < 0)
        ok = complain("take: %s", err.message);
    if (ok && entries_of(path, "") > 0)
        ok = complain("a snapshot is left in '%s'", path);
    close_both(a);
    path_of(from, t, "g");
    path_of(path, t, "again");
    if (ok && azr_copy(from, path, NULL, NULL, &err) < 0)
        ok = complain("copy: %s", err.message);
    if (ok && entries_of(t->at, ".azr-") > 0)
        ok = complain("a hidden directory is left");
    return ok && check_copy(t, "again");
}

static bool verdict(const trial *t, unsigned at, bool after, bool may_be_there)
{
    bool there = exists(t, "copy");

    if (t->j == JOB_COPY && t->committed >= 0 && !may_be_there &&
        there != (2 * at + after > 2 * (unsigned)t->committed))
        return complain("the copy is %sthere", there ? "" : "not ");
    if (there && !check_copy(t, "copy"))
        return false;
    return child_run("next", be_next, (void *)(uintptr_t)t);
}

/* ---------------------------------------------------------------- sweeps --- */

static bool begin(trial *t, job j)
{
    victim v = {t, TAP_COUNT, 0, false, 0};
    bool ok;

    memset(t, 0, sizeof *t);
    t->j = j;
    (void)snprintf(t->from, sizeof t->from, "%s/from", scene_root(true));
    (void)snprintf(t->at, sizeof t->at, "%s/at", scene_root(true));
    tree_remove(t->from);
    ok = child_run("maker", be_maker, t);
    tree_remove(t->at);
    if (!ok)
        return false;
    tree_copy(t->from, t->at);
    if (!child_run("dead", be_dead, t) || !child_run("count", be_victim, &v))
        return false;
    t->points = tap_shared()->count;
    t->committed = -1;
    for (int i = -1; j == JOB_COPY;) { /* the last rename of all */
        i = tap_find("renameat2", (unsigned)(i + 1));
        if (i < 0)
            break;
        t->committed = i;
    }
    if (t->points < 20 || t->points > TAP_POINTS)
        return complain("%u points", t->points);
    return j != JOB_COPY || t->committed > 0 || complain("no rename");
}

static void reset(const trial *t)
{
    tree_remove(t->at);
    tree_copy(t->from, t->at);
}

static bool strike(trial *t, tap_action action, unsigned at, bool after,
                   int error)
{
    victim v = {t, action, at, after, error};
    int status;

    reset(t);
    if (!child_run("dead", be_dead, t))
        return false;
    status = child_wait(child_start(be_victim, &v));
    t->strikes++;
    if (action == TAP_KILL &&
        !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
        return complain("%s: point %u was not met", job_names[t->j], at);
    if (action == TAP_FAIL && status != 0)
        return complain("%s: point %u failing: status %x", job_names[t->j], at,
                        (unsigned)status);
    return verdict(t, at, after, action == TAP_FAIL) ||
           complain("%s, point %u (%s), %s", job_names[t->j], at,
                    tap_shared()->names[at], after ? "after" : "before");
}

static bool sweep(job j, unsigned step)
{
    static trial t;
    bool ok = begin(&t, j);

    for (unsigned at = 0; ok && at < t.points; at += step) {
        ok = strike(&t, TAP_KILL, at, false, 0) &&
             strike(&t, TAP_KILL, at, true, 0) &&
             strike(&t, TAP_FAIL, at, false, EIO) &&
             strike(&t, TAP_FAIL, at, false, ENOSPC);
    }
    (void)printf("%-16s %5u points %6lu strikes%s\n", job_names[j], t.points,
                 t.strikes, ok ? "" : "  FAILED");
    if (!ok)
        (void)printf("    %s\n", scene_error());
    return ok;
}

/* --------------------------------------------------------------- stopped --- */

static bool be_collector(void *arg)
{
    const trial *t = arg;
    azr_array *a[ARRAYS] = {NULL};
    bool ok = open_both(a, t, AZR_OPEN_WRITE);

    close_both(a);
    return ok;
}

/* Stopped at each point of its life, while another process collects: its snapshot
 * is whole all the same. */
static bool stopped_taker(void)
{
    static trial t;
    bool ok = begin(&t, JOB_TAKE);

    for (unsigned at = 0; ok && at < t.points; at++) {
        victim v = {&t, TAP_STOP, at, false, 0};
        pid_t pid;
        int status;

        reset(&t);
        pid = child_start(be_victim, &v);
        ok = waitpid(pid, &status, WUNTRACED) == pid;
        if (ok && WIFSTOPPED(status)) {
            ok = child_run("collector", be_collector, &t);
            (void)kill(pid, SIGCONT);
            ok = waitpid(pid, &status, 0) == pid && ok;
        }
        if (ok && status != 0)
            ok = complain("stopped at point %u (%s): status %x", at,
                          tap_shared()->names[at], (unsigned)status);
        t.strikes++;
    }
    (void)printf("%-16s %5u points %6lu stops%s\n", "stopped", t.points,
                 t.strikes, ok ? "" : "  FAILED");
    if (!ok)
        (void)printf("    %s\n", scene_error());
    return ok;
}

/* Passes with every guard in place, and fails without this one. */
static bool control(void)
{
    bool caught = false;

#ifdef AZRI_SABOTAGE
    if (!stopped_taker())
        return false;
    azri_sabotage = AZRI_GUARD_SNAP_OWNER;
    caught = !stopped_taker();
    azri_sabotage = AZRI_GUARD_NONE;
    (void)printf("SNAP_OWNER: %s\n", caught ? "caught" : "NOT CAUGHT");
#endif
    return caught;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    unsigned step = strcmp(how, "--quick") == 0 ? 7 : 1;
    bool ok;

    (void)tap_shared(); /* before the first fork */
    if (strcmp(how, "--control") == 0) {
        ok = control();
    } else {
        ok = stopped_taker();
        for (job j = 0; j < JOB_COUNT; j++)
            ok &= sweep(j, step);
    }
    scene_roots_remove();
    return ok ? 0 : 1;
}
