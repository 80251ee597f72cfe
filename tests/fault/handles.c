/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens around a live handle: plain tools that replace, remove and remake,
 * file systems that lie, fork, a failed sync, a stopped process.
 */
#include "crash/kill.h"
#include "fault/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const kind process = {3, false, false}, power = {3, false, true};
static char g_at[160];

static bool be_maker(void *arg)
{
    return scene_make(g_at, OP_WRITE_2, arg);
}

static bool begin_as(const kind *k)
{
    kind copy = *k;

    (void)snprintf(g_at, sizeof g_at, "%s/live", scene_root(true));
    tree_remove(g_at);
    return child_run("maker", be_maker, &copy);
}

static void in_array(char out[512], const char *name)
{
    (void)snprintf(out, 512, "%s/%s", g_at, name);
}

static bool open_with(azr_array **out, unsigned flags, int64_t timeout_ms,
                      azr_error *err, int *rc)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;

    o.flags = flags;
    o.threads = 1;
    o.timeout_ms = timeout_ms;
    *rc = azr_array_open(out, g_at, &o, err);
    return *rc == AZR_OK;
}

static int write_one(azr_array *a, int64_t first, int32_t value, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {0}, {1});

    s.start[0] = first;
    return azr_array_write(a, &s, &value, sizeof value, err);
}

static int read_one(azr_array *a, int64_t first, int32_t *value, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {0}, {1});

    s.start[0] = first;
    return azr_array_read(a, &s, value, sizeof *value, err);
}

static bool is_code(const char *what, int rc, int want, const azr_error *err)
{
    if (rc == want && (rc == AZR_OK || err->message[0] != '\0'))
        return true;
    return complain("%s: %s (%s), %s is needed", what, azr_status_name(rc),
                    err->message, azr_status_name(want));
}

static bool has_text(const azr_error *err, const char *part)
{
    return strstr(err->message, part) ||
           complain("'%s' does not say '%s'", err->message, part);
}

/* ---------------------------------------------------------- plain tools --- */

static bool rewrite(const char *name, const char *text)
{
    char path[512], next[512];
    FILE *f;
    bool ok;

    in_array(path, name);
    in_array(next, "plain.partial");
    f = fopen(next, "we");
    ok = f && fputs(text, f) >= 0;
    ok = f && fclose(f) == 0 && ok;
    return (ok && rename(next, path) == 0) || complain("rewrite");
}

/* Runs with a reading and a writing handle open since before. */
typedef struct pair {
    azr_array *r, *w;
    azr_error err;
    int32_t value;
    int rc;
} pair;

static bool pair_open(pair *p)
{
    memset(p, 0, sizeof *p);
    return (open_with(&p->r, 0, 200, &p->err, &p->rc) &&
            open_with(&p->w, AZR_OPEN_WRITE, 200, &p->err, &p->rc) &&
            read_one(p->r, 3, &p->value, &p->err) == AZR_OK &&
            write_one(p->w, 3, 33, &p->err) == AZR_OK) ||
           complain("begin: %s", p->err.message);
}

static bool pair_both(pair *p, int want)
{
    p->rc = read_one(p->r, 3, &p->value, &p->err);
    if (!is_code("reader", p->rc, want, &p->err))
        return false;
    p->rc = write_one(p->w, 3, 34, &p->err);
    return is_code("writer", p->rc, want, &p->err);
}

static void pair_close(pair *p)
{
    azr_array_close(p->r);
    azr_array_close(p->w);
}

static bool be_replacing(void *arg)
{
    const char *const *text = arg;
    pair p;
    bool ok = pair_open(&p) && rewrite("zarr.json", *text) &&
              pair_both(&p, AZR_ECORRUPT);

    pair_close(&p);
    return ok;
}

static bool document_broken(void)
{
    static const char *texts[] = {"", "{", "null", "{\"zarr_format\": 3}"};
    bool ok = true;

    for (size_t i = 0; ok && i < sizeof texts / sizeof texts[0]; i++)
        ok = begin_as(&process) &&
             child_run("live handles", be_replacing, &texts[i]);
    return ok;
}

static bool be_removing(void *arg)
{
    char path[512];
    pair p;
    bool ok = pair_open(&p);

    in_array(path, arg);
    tree_remove(path);
    ok = ok && pair_both(&p, AZR_ENOTFOUND);
    pair_close(&p);
    return ok;
}

static bool document_removed(void)
{
    char name[] = "zarr.json";

    return begin_as(&process) && child_run("live handles", be_removing, name);
}

static bool azr_removed(void)
{
    char name[] = ".azr";

    return begin_as(&process) && child_run("live handles", be_removing, name);
}

static bool array_removed(void)
{
    char name[] = "";

    return begin_as(&process) && child_run("live handles", be_removing, name);
}

/* mode="w" of a plain tool: gone with .azr, and there again without. */
static bool be_remade(void *arg)
{
    char from[200], azr[512];
    azr_error err = AZR_ERROR_INIT;
    pair p;
    int32_t value = 0;
    azr_array *a = NULL;
    bool ok = pair_open(&p);

    (void)arg;
    (void)snprintf(from, sizeof from, "%s-copy", g_at);
    tree_remove(from);
    tree_copy(g_at, from);
    tree_remove(g_at);
    tree_copy(from, g_at);
    tree_remove(from);
    in_array(azr, ".azr");
    tree_remove(azr);
    ok = ok && pair_both(&p, AZR_ENOTFOUND) && has_text(&p.err, "open it anew");
    pair_close(&p);
    /* a new handle takes part again */
    ok = ok && open_with(&a, AZR_OPEN_WRITE, 200, &err, &p.rc) &&
         write_one(a, 3, 35, &err) == AZR_OK &&
         read_one(a, 3, &value, &err) == AZR_OK && value == 35;
    azr_array_close(a);
    return ok || complain("anew: %s", err.message);
}

static bool array_remade(void)
{
    return begin_as(&process) && child_run("live handles", be_remade, NULL);
}

/* A `state` that is removed between being made and being opened (found by
 * stress-wipes: there was no message). */
static unsigned g_openings;

static int vanishing_openat(int dir, const char *path, int flags, mode_t mode)
{
    if (strcmp(path, ".azr/state") == 0 && g_openings++ > 0)
        (void)unlinkat(dir, path, 0);
    return azri_sys_posix.openat(dir, path, flags, mode);
}

static bool be_vanishing(void *arg)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    char path[512];
    int rc;

    (void)arg;
    in_array(path, ".azr");
    tree_remove(path);
    tap_arm(TAP_COUNT, 0, false, 0);
    tap_sys.openat = vanishing_openat;
    (void)open_with(&a, AZR_OPEN_WRITE, 200, &err, &rc);
    azr_array_close(a);
    return is_code("open", rc, AZR_ENOTFOUND, &err) &&
           has_text(&err, "was removed");
}

static bool state_vanishes(void)
{
    return begin_as(&process) && child_run("opening", be_vanishing, NULL);
}

static bool be_two_links(void *arg)
{
    char state[512], other[512];
    pair p;
    bool ok = pair_open(&p);

    (void)arg;
    in_array(state, ".azr/state");
    in_array(other, ".azr/again");
    ok = ok && (link(state, other) == 0 || complain("link"));
    p.rc = write_one(p.w, 3, 34, &p.err);
    ok = ok && is_code("writer", p.rc, AZR_EUNSUPPORTED, &p.err);
    pair_close(&p);
    return ok;
}

static bool two_links(void)
{
    return begin_as(&process) && child_run("live handles", be_two_links, NULL);
}

/* -------------------------------------------------- file systems that lie --- */

static int lying_fstatfs(int fd, struct statfs *st)
{
    int rc = azri_sys_posix.fstatfs(fd, st);

    st->f_type = 0x6969; /* NFS */
    return rc;
}

static int lying_lock(int fd, int cmd, struct flock *fl)
{
    (void)fd;
    if (cmd == F_OFD_GETLK)
        fl->l_type = F_UNLCK;
    return 0; /* granted to everybody */
}

static void *lying_mmap(size_t nbytes, int prot, int fd)
{
    (void)fd;
    return mmap(NULL, nbytes, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static bool refused(const char *part)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    uint64_t before = tree_digest(g_at, true);
    int rc;

    (void)open_with(&a, AZR_OPEN_WRITE, 200, &err, &rc);
    azr_array_close(a);
    if (!is_code("open", rc, AZR_EUNSUPPORTED, &err) ||
        err.sub != AZR_SUB_FILESYSTEM)
        return complain("sub-code %d", err.sub);
    return has_text(&err, part) && (tree_digest(g_at, true) == before ||
                                    complain("something has changed"));
}

static bool be_on_network(void *arg)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    bool ok;
    int rc;

    (void)arg;
    tap_arm(TAP_COUNT, 0, false, 0);
    tap_sys.fstatfs = lying_fstatfs;
    ok = refused("is refused");
    ok = ok &&
         open_with(&a, AZR_OPEN_WRITE | AZR_OPEN_INSIST, 200, &err, &rc) &&
         write_one(a, 3, 5, &err) == AZR_OK;
    azr_array_close(a);
    return ok || complain("insisting: %s", err.message);
}

static bool network_refused(void)
{
    return begin_as(&process) && child_run("writer", be_on_network, NULL);
}

static bool be_without_locks(void *arg)
{
    (void)arg;
    tap_arm(TAP_COUNT, 0, false, 0);
    tap_sys.lock = lying_lock;
    return refused("do not exclude");
}

static bool locks_lie(void)
{
    return begin_as(&process) && child_run("writer", be_without_locks, NULL);
}

static bool be_without_map(void *arg)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    int rc;

    (void)arg;
    tap_arm(TAP_COUNT, 0, false, 0);
    tap_sys.mmap = lying_mmap;
    (void)open_with(&a, AZR_OPEN_WRITE, 200, &err, &rc);
    azr_array_close(a);
    return rc < 0 || complain("a map that shows nothing was accepted");
}

static bool map_lies(void)
{
    return begin_as(&process) && child_run("writer", be_without_map, NULL);
}

/* ------------------------------------------------------------------ fork --- */

/* In an update the locks are held. The child lets nothing of its parent's go, goes on
 * with the handle, and keeps nothing locked after the parent has died. */
typedef struct forking {
    azr_array *a;
    int told[2];
} forking;

static int g_end[2]; /* the child ends when its writing end is closed */

static int fork_inside(void *values, size_t nbytes, void *arg)
{
    forking *f = arg;
    azr_error err = AZR_ERROR_INIT;
    char c = 'x';
    pid_t pid = fork();

    (void)values;
    (void)nbytes;
    if (pid == 0) { /* overlapping: the parent's lock must still stand */
        int rc = write_one(f->a, 3, 1, &err);

        c = rc == AZR_EBUSY ? 'b' : 'n';
        if (c == 'b' && write_one(f->a, 40, 41, &err) != AZR_OK)
            c = 'd';
        if (write(f->told[1], &c, 1) != 1)
            _exit(1);
        (void)close(g_end[1]);
        (void)!read(g_end[0], &c, 1); /* outlives its parent */
        _exit(0);
    }
    (void)!read(f->told[0], &c, 1);
    if (c != 'b')
        (void)complain("child: %s", c == 'n' ? "the lock did not stand"
                                             : "its own write failed");
    (void)kill(getpid(), SIGKILL);
    return -1;
}

static bool be_forking(void *arg)
{
    azr_selection s = AZR_BOX(1, {2}, {4});
    azr_error err = AZR_ERROR_INIT;
    forking f;
    int rc;

    (void)arg;
    if (pipe(f.told) != 0 || !open_with(&f.a, AZR_OPEN_WRITE, 100, &err, &rc))
        return complain("begin: %s", err.message);
    rc = azr_array_update(f.a, &s, fork_inside, &f, &err);
    return complain("not killed: %d", rc);
}

static bool be_next(void *arg)
{
    azr_array *a = NULL;
    bool ok;

    (void)arg;
    ok = scene_open(&a, g_at, AZR_OPEN_WRITE) && scene_write(a, 2, 6, 900);
    azr_array_close(a);
    return ok && scene_is_clean(g_at);
}

static bool fork_with_locks(void)
{
    int status;
    bool ok;

    if (!begin_as(&process))
        return false;
    if (pipe(g_end) != 0)
        return complain("pipe");
    status = child_wait(child_start(be_forking, NULL));
    /* its child lives, and holds nothing: time-out 0 */
    ok = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
             ? child_run("next", be_next, NULL)
             : complain("status %x", (unsigned)status);
    (void)close(g_end[0]);
    (void)close(g_end[1]);
    return ok;
}

/* ----------------------------------------------------------- failed syncs --- */

typedef struct sync_case {
    unsigned at; /* point */
    int rc;
    bool poisoned, is_new;
} sync_case;

static sync_case *g_case; /* shared */

static bool be_unsynced(void *arg)
{
    azr_error err = AZR_ERROR_INIT, again = AZR_ERROR_INIT;
    azr_array *a = NULL;
    int32_t value = 0;
    int rc;

    (void)arg;
    if (!open_with(&a, AZR_OPEN_WRITE, 0, &err, &rc))
        return complain("open: %s", err.message);
    tap_arm(TAP_FAIL, g_case->at, false, EIO);
    g_case->rc = write_one(a, 3, 77, &err);
    tap_disarm();
    g_case->poisoned = write_one(a, 40, 41, &again) == AZR_EPOISONED;
    if (read_one(a, 3, &value, &again) != AZR_OK)
        return complain("read: %s", again.message);
    g_case->is_new = value == 77;
    azr_array_close(a);
    return true;
}

static bool check_sync(bool before_seal, bool at_seal)
{
    if (!child_run("writer", be_unsynced, NULL))
        return false;
    if (before_seal && (g_case->rc != AZR_EIO || g_case->is_new))
        return complain("before the commit: %s", azr_status_name(g_case->rc));
    if (at_seal && (g_case->rc != AZR_EUNKNOWN || !g_case->poisoned))
        return complain("at the commit: %s, poisoned %d",
                        azr_status_name(g_case->rc), g_case->poisoned);
    if (!before_seal && !at_seal &&
        (g_case->rc != AZR_OK || !g_case->is_new || !g_case->poisoned))
        return complain("after the commit: %s, poisoned %d",
                        azr_status_name(g_case->rc), g_case->poisoned);
    return child_run("next", be_next, NULL);
}

/* Before the commit: given up. At it: unknown. After it: done, with a warning. */
static bool syncs_fail(void)
{
    static job j;
    unsigned before = 0, at = 0, after = 0;
    bool ok;

    g_case = scene_shared(sizeof *g_case);
    memset(&j, 0, sizeof j);
    ok = begin_as(&power);
    g_case->at = UINT32_MAX - 1;
    ok = ok && child_run("count", be_unsynced, NULL);
    memcpy(j.names, tap_shared()->names, sizeof j.names);
    j.points = atomic_load(&tap_shared()->count);
    j.sealed = tap_find("row.sealed", 0);
    j.committed = tap_find("row.committed", 0);
    for (unsigned i = 0; ok && i < j.points; i++) {
        bool early = (int)i < j.sealed, seal = !early && (int)i < j.committed;

        if (strcmp(j.names[i], "fsync") != 0 &&
            strcmp(j.names[i], "fdatasync") != 0)
            continue;
        before += early;
        at += seal;
        after += !early && !seal;
        g_case->at = i;
        ok = begin_as(&power) && check_sync(early, seal);
    }
    return ok && ((before >= 3 && at == 1 && after >= 1) ||
                  complain("%u, %u and %u syncs", before, at, after));
}

/* --------------------------------------------------------- stopped process --- */

static bool be_stopped(void *arg)
{
    const unsigned *at = arg;
    azr_array *a = NULL;
    bool ok = scene_open(&a, g_at, AZR_OPEN_WRITE);

    tap_arm(TAP_STOP, *at, true, 0);
    ok = ok && scene_write(a, 2, 6, 1000);
    azr_array_close(a);
    return ok;
}

static bool be_beside(void *arg)
{
    const pid_t *pid = arg;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    char text[32];
    int32_t value = 0;
    int rc;

    (void)snprintf(text, sizeof text, "pid %d ", (int)*pid);
    if (!open_with(&a, AZR_OPEN_WRITE, 200, &err, &rc))
        return complain("open: %s", err.message);
    rc = write_one(a, 3, 1, &err);
    if (!is_code("overlapping", rc, AZR_EBUSY, &err) || !has_text(&err, text))
        return false;
    if (write_one(a, 40, 1, &err) != AZR_OK ||
        read_one(a, 3, &value, &err) != AZR_OK)
        return complain("disjoint, or reading: %s", err.message);
    azr_array_close(a);
    return true;
}

static bool stopped_writer(void)
{
    unsigned points[2]; /* holding its locks; committed */
    static job j;
    bool ok = true;

    memset(&j, 0, sizeof j);
    j.o = OP_WRITE_2;
    j.k = process;
    j.in_memory = true;
    j.threads = 1;
    if (!job_begin(&j, "stopped"))
        return false;
    points[0] = (unsigned)j.committed - 1;
    points[1] = (unsigned)j.committed;
    for (int i = 0; ok && i < 2; i++) {
        int status = 0;
        pid_t pid;

        ok = begin_as(&process);
        pid = child_start(be_stopped, &points[i]);
        ok = waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) &&
             child_run("beside it", be_beside, &pid) && ok;
        (void)kill(pid, SIGCONT);
        status = child_wait(pid);
        ok = ok && ((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
                    complain("stopped writer: %x", (unsigned)status));
    }
    job_end(&j);
    return ok && child_run("next", be_next, NULL);
}

int main(int argc, char **argv)
{
    static const test tests[] = {
        {"document-broken", document_broken, false},
        {"document-removed", document_removed, false},
        {"azr-removed", azr_removed, false},
        {"array-removed", array_removed, false},
        {"array-remade", array_remade, false},
        {"state-vanishes", state_vanishes, false},
        {"two-links", two_links, false},
        {"network-refused", network_refused, false},
        {"locks-lie", locks_lie, false},
        {"map-lies", map_lies, false},
        {"fork-with-locks", fork_with_locks, false},
        {"syncs-fail", syncs_fail, false},
        {"stopped-writer", stopped_writer, false},
    };

    return run_tests(tests, sizeof tests / sizeof tests[0], argc, argv);
}
