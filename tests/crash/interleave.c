/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/interleave.h"

#include "core/array.h"
#include "txn/txn_local.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What visitors report. */
typedef struct report {
    int far_rc, near_rc; /* of the disjoint and the overlapping writer */
    image seen;          /* by the reader */
    image last;          /* when all is over */
} report;

static report *g_report;

static report *shared(void)
{
    if (!g_report)
        g_report = scene_shared(sizeof *g_report);
    return g_report;
}

/* ------------------------------------------------------------- visitors --- */

#define FAR_FIRST  36
#define FAR_END    37
#define NEAR_FIRST 1
#define NEAR_END   6

typedef struct visit {
    const char *path;
    unsigned flags;
    int64_t first, end;
    int32_t base;
    int *rc;
} visit;

/* Time-out 0: whoever is stopped is not waited for. AZR_EBUSY is an answer. */
static bool be_writer(void *arg)
{
    const visit *v = arg;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_selection s = AZR_BOX(1, {0}, {0});
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    int32_t values[SCENE_LENGTH];

    o.flags = v->flags;
    o.threads = 1;
    o.timeout_ms = 0;
    s.start[0] = v->first;
    s.count[0] = v->end - v->first;
    for (int64_t k = v->first; k < v->end; k++)
        values[k - v->first] = v->base + (int32_t)k;
    *v->rc = azr_array_open(&a, v->path, &o, &err);
    if (*v->rc == AZR_OK)
        *v->rc = azr_array_write(a, &s, values,
                                 (size_t)s.count[0] * sizeof values[0], &err);
    azr_array_close(a);
    if (*v->rc == AZR_OK || *v->rc == AZR_EBUSY || *v->rc == AZR_EINVAL)
        return true;
    return complain("visiting writer: %s: %s", azr_status_name(*v->rc),
                    err.message);
}

static bool be_reader(void *arg)
{
    const char *path = arg;

    return scene_snap(&shared()->seen, path);
}

static bool be_last(void *arg)
{
    const char *path = arg;
    azr_array *a = NULL;
    bool ok;

    ok = scene_open(&a, path, AZR_OPEN_WRITE) && scene_read(&shared()->last, a);
    azr_array_close(a);
    return ok && scene_is_clean(path);
}

/* A disjoint writer that also recovers, a reader, an overlapping writer. */
static bool let_them_come(job *j)
{
    report *r = shared();
    visit far = {j->at, AZR_OPEN_WRITE, FAR_FIRST, FAR_END, 5000, &r->far_rc};
    visit near = {j->at,      AZR_OPEN_WRITE | AZR_OPEN_NO_RECOVERY,
                  NEAR_FIRST, NEAR_END,
                  7000,       &r->near_rc};

    return child_run("disjoint writer", be_writer, &far) &&
           child_run("reader", be_reader, j->at) &&
           child_run("overlapping writer", be_writer, &near);
}

/* ----------------------------------------------------------------- model --- */

/* What the operation does to an array. */
static image apply(op o, const image *before)
{
    image i = *before;

    if (o == OP_WRITE_2)
        image_put(&i, 2, 6, 1000);
    if (o == OP_WRITE_8)
        image_put(&i, 0, 32, 1000);
    if (o == OP_DELETE) {
        image_put(&i, 2, 14, 1000);
        memset(&i.value[4], 0, 8 * sizeof i.value[0]);
    }
    for (int64_t k = 2; o == OP_UPDATE && k < 6; k++)
        i.value[k] += 100;
    if (o == OP_APPEND) {
        for (int k = 0; k < 8; k++)
            i.value[i.length + k] = 2000 + k;
        i.length += 8;
    }
    if (o == OP_SHRINK)
        i.length = 18;
    return i;
}

static image visited(const image *before, bool with_near)
{
    const report *r = shared();
    image i = *before;

    if (r->far_rc == AZR_OK)
        image_put(&i, FAR_FIRST, FAR_END, 5000);
    if (with_near && r->near_rc == AZR_OK)
        image_put(&i, NEAR_FIRST, NEAR_END, 7000);
    return i;
}

static bool one_of(const image *i, const image *a, const image *b,
                   const char *who)
{
    char text[256] = "";
    size_t n = 0;

    if (image_same(i, a) || image_same(i, b))
        return true;
    for (int64_t k = 0; k < i->length && k < 16; k++)
        n += (size_t)snprintf(text + n, sizeof text - n, " %d",
                              (int)i->value[k]);
    return complain("%s: no order of the writes explains it: length %lld,%s",
                    who, (long long)i->length, text);
}

/* ----------------------------------------------------------------- stops --- */

/* Wait until it stops: 1; or has ended: 0 (well) or -1. */
static int wait_stop(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, WUNTRACED) < 0) {
        if (errno != EINTR)
            return -1;
    }
    if (WIFSTOPPED(status))
        return 1;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static bool go_on(pid_t pid, const char *who)
{
    int status;

    if (kill(pid, SIGCONT) != 0)
        return complain("SIGCONT");
    status = child_wait(pid);
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           complain("%s: status %x", who, (unsigned)status);
}

static bool tell(const char *what, const job *j, unsigned at, const char *name)
{
    char why[1024], text[32];

    (void)snprintf(why, sizeof why, "%s", scene_error());
    kind_text(text, &j->k);
    scene_error()[0] = '\0';
    return complain("%s, %s (%s), stopped before point %u (%s): %s", what,
                    op_name(j->o), text, at, name, why);
}

static void job_of(job *j, op o, const kind *k)
{
    memset(j, 0, sizeof *j);
    j->o = o;
    j->k = *k;
    j->in_memory = true;
    j->threads = 1;
    scene_error()[0] = '\0';
    (void)shared();
}

/* Stop `j` at one point, let them come, go on. */
static bool stop_there(job *j, unsigned at)
{
    pid_t pid;
    bool ok;

    scene_error()[0] = '\0';
    tree_copy(j->from, j->at);
    pid = job_start(j, TAP_STOP, at, false);
    if (wait_stop(pid) != 1)
        return complain("it did not stop");
    ok = let_them_come(j);
    ok = go_on(pid, "who was stopped") && ok;
    return ok && child_run("the last one", be_last, j->at);
}

/* ---------------------------------------------------------------- writer --- */

static bool explains(const job *j)
{
    const report *r = shared();
    image seen_old = visited(&j->old, false);
    image t = apply(j->o, &j->old), seen_new = visited(&t, false);
    image first = visited(&j->old, true), t_last = apply(j->o, &first);
    image t_first = visited(&t, true);
    bool whole = j->o == OP_APPEND || j->o == OP_SHRINK;

    if (!whole && r->far_rc != AZR_OK)
        return complain("a disjoint writer did not get through: %s",
                        azr_status_name(r->far_rc));
    if (r->near_rc == AZR_EINVAL || (r->far_rc == AZR_EINVAL && !whole))
        return complain("a visiting writer was refused");
    return one_of(&r->seen, &seen_old, &seen_new, "reader") &&
           one_of(&r->last, &t_last, &t_first, "at the end");
}

bool stop_writer(op o, const kind *k, unsigned *n_out)
{
    static job j;
    bool ok;

    job_of(&j, o, k);
    ok = job_begin(&j, "stop");
    for (unsigned at = 0; ok && at < j.points; at++) {
        ok = stop_there(&j, at) && explains(&j);
        if (!ok)
            (void)tell("writer", &j, at, j.names[at]);
        tree_remove(j.at);
        if (n_out)
            ++*n_out;
    }
    job_end(&j);
    return ok;
}

/* -------------------------------------------------------------- recovery --- */

static bool explains_recovery(const job *j)
{
    const report *r = shared();
    image seen = visited(&j->new, false), last = visited(&j->new, true);

    if (r->far_rc != AZR_OK)
        return complain("a disjoint writer did not get through: %s",
                        azr_status_name(r->far_rc));
    return one_of(&r->seen, &seen, &seen, "reader") &&
           one_of(&r->last, &last, &last, "at the end");
}

bool stop_recovery(op o, const kind *k, unsigned *n_out)
{
    static job dead, j;
    bool ok;

    job_of(&dead, o, k);
    ok = job_begin(&dead, "dead") &&
         job_begin_recovery(&j, &dead, (unsigned)dead.committed, true, "stop");
    for (unsigned at = 0; ok && at < j.points; at++) {
        ok = stop_there(&j, at) && explains_recovery(&j);
        if (!ok)
            (void)tell("recovery", &j, at, j.names[at]);
        tree_remove(j.at);
        if (n_out)
            ++*n_out;
    }
    job_end(&j);
    job_end(&dead);
    return ok;
}

/* ---------------------------------------------------------------- reader --- */

typedef struct slow_reader {
    const char *path;
    tap_action action;
    unsigned at;
} slow_reader;

static bool be_slow_reader(void *arg)
{
    const slow_reader *s = arg;
    azr_array *a = NULL;
    bool ok;

    ok = scene_open(&a, s->path, 0);
    tap_arm(s->action, s->at, false, 0);
    ok = ok && scene_read_once(&shared()->seen, a);
    tap_disarm();
    azr_array_close(a);
    return ok;
}

/* `die_at`: the writer's last point, or -1: it lives. */
static bool stop_reader_there(job *j, unsigned at, int die_at)
{
    slow_reader s = {j->at, TAP_STOP, at};
    pid_t pid = child_start(be_slow_reader, &s);
    int stopped = wait_stop(pid);
    image old = j->old, new = j->new;
    bool ok = true;

    if (stopped != 1)
        return complain("the reader did not stop");
    if (die_at >= 0)
        (void)child_wait(job_start(j, TAP_KILL, (unsigned)die_at, true));
    else
        ok = wait_stop(job_start(j, TAP_COUNT, 0, false)) == 0 ||
             complain("writer failed");
    ok = ok && child_run("the last one", be_last, j->at);
    ok = go_on(pid, "reader") && ok;
    /* only the values were read */
    old.attributes[0] = '\0';
    new.attributes[0] = '\0';
    return ok && one_of(&shared()->seen, &old, &new, "reader");
}

static bool reader_sweep(op o, const kind *k, bool dies, unsigned *n_out)
{
    static job j;
    slow_reader s = {j.at, TAP_COUNT, 0};
    unsigned points;
    bool ok;

    job_of(&j, o, k);
    ok = job_begin(&j, "read");
    tree_copy(j.from, j.at);
    ok = ok && child_run("reader", be_slow_reader, &s);
    points = atomic_load(&tap_shared()->count);
    tree_remove(j.at);
    for (unsigned at = 0; ok && at < points; at++) {
        scene_error()[0] = '\0';
        tree_copy(j.from, j.at);
        ok = stop_reader_there(&j, at, dies ? j.committed : -1);
        if (!ok)
            (void)tell("reader", &j, at, "of the reader");
        tree_remove(j.at);
        if (n_out)
            ++*n_out;
    }
    job_end(&j);
    return ok;
}

bool stop_reader(op o, const kind *k, unsigned *n_out)
{
    return reader_sweep(o, k, false, n_out);
}

bool stop_reader_recovery(op o, const kind *k, unsigned *n_out)
{
    return reader_sweep(o, k, true, n_out);
}

/*
 * Why rows are looked at twice although counters are. A row's look is not one
 * instant:
 *
 *   1. R (a reader) looks at row 0: free. Row 1 is committed and has a record; R
 *      stops while it reads it.
 *   2. T commits in row 0 and stops before it bumps a counter.
 *   3. Somebody reads what T wrote. Knowing it, U commits in row 2, and stops
 *      before it bumps.
 *   4. R goes on: it sees U, but not T. No counter has moved.
 *
 * T's row is found by the second look alone.
 */
typedef struct placed {
    const char *path;
    unsigned row;
    int64_t first, end;
    tap_action action;
    unsigned at;
} placed;

static bool be_placed(void *arg)
{
    const placed *p = arg;
    azr_array *a = NULL;
    bool ok;

    ok = scene_open(&a, p->path, AZR_OPEN_WRITE | AZR_OPEN_NO_RECOVERY);
    if (ok)
        atomic_store(&a->d->slot_hint, p->row);
    tap_arm(p->action, p->at, true, 0);
    ok = ok && scene_write(a, p->first, p->end, 1000);
    tap_disarm();
    azr_array_close(a);
    return ok;
}

/* Number of the commit point of such a write. */
static unsigned find_commit(const char *from, const char *at, placed p)
{
    int n;

    tree_copy(from, at);
    p.action = TAP_COUNT;
    (void)child_run("count", be_placed, &p);
    n = tap_find("row.committed", 0);
    tree_remove(at);
    return (unsigned)n;
}

static bool meet_between_rows(job *j, placed *t, placed *u, placed *record,
                              unsigned at)
{
    slow_reader s = {j->at, TAP_STOP, at};
    pid_t reader, pt, pu;
    int stopped;
    bool ok;

    (void)child_wait(child_start(be_placed, record));
    reader = child_start(be_slow_reader, &s);
    stopped = wait_stop(reader);
    pt = child_start(be_placed, t);
    ok = wait_stop(pt) == 1 || complain("T did not stop");
    pu = child_start(be_placed, u);
    ok = (wait_stop(pu) == 1 || complain("U did not stop")) && ok;
    if (stopped == 1)
        ok = go_on(reader, "reader") && ok;
    ok = go_on(pt, "T") && ok;
    return go_on(pu, "U") && ok;
}

bool stop_reader_between_rows(const kind *k, unsigned *n_out)
{
    static job j;
    placed t = {j.at, 0, 0, 4, TAP_STOP, 0};
    placed record = {j.at, 1, 60, 178, TAP_KILL, 0};
    placed u = {j.at, 2, 4, 8, TAP_STOP, 0};
    const report *r = shared();
    bool ok;

    job_of(&j, OP_RECORD, k);
    ok = job_begin(&j, "rows");
    t.at = find_commit(j.from, j.at, t);
    u.at = find_commit(j.from, j.at, u);
    record.at = find_commit(j.from, j.at, record);
    for (unsigned at = 0; ok && at < 8; at++) {
        scene_error()[0] = '\0';
        tree_copy(j.from, j.at);
        ok = meet_between_rows(&j, &t, &u, &record, at);
        if (ok && r->seen.value[4] == 1004 && r->seen.value[0] != 1000)
            ok = complain("the reader saw U, which came after T, without T");
        if (!ok)
            (void)tell("reader between rows", &j, at, "of the reader");
        tree_remove(j.at);
        if (n_out)
            ++*n_out;
    }
    job_end(&j);
    return ok;
}

/* --------------------------------------------------------------- foreign --- */

/* What a plain Zarr program does: another file under the key. */
static bool replace_chunk(const char *path, int format)
{
    char from[256], to[256];
    int32_t v[SCENE_CHUNK] = {61, 62, 63, 64};
    int fd;
    bool ok;

    (void)snprintf(from, sizeof from, "%s/foreign.partial", path);
    (void)snprintf(to, sizeof to, "%s/%s", path, format == 3 ? "c/0" : "0");
    fd = open(from, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    ok = fd >= 0 && write(fd, v, sizeof v) == (ssize_t)sizeof v;
    if (fd >= 0)
        (void)close(fd);
    return (ok && rename(from, to) == 0) || complain("foreign write");
}

static bool be_updater(void *arg)
{
    const slow_reader *s = arg;
    azr_error err = AZR_ERROR_INIT;
    azr_selection sel = AZR_BOX(1, {2}, {4});
    int32_t v[4] = {0};
    azr_array *a = NULL;
    int rc;

    if (!scene_open(&a, s->path, AZR_OPEN_WRITE))
        return false;
    tap_arm(s->action, s->at, false, 0);
    rc = azr_array_write(a, &sel, v, sizeof v, &err);
    tap_disarm();
    azr_array_close(a);
    shared()->near_rc = rc;
    return rc != AZR_ECONFLICT || err.sub == AZR_SUB_FOREIGN ||
           complain("sub-code %d", err.sub);
}

bool replace_foreign(const kind *k, unsigned *n_out)
{
    static job j;
    slow_reader s = {j.at, TAP_STOP, 0};
    pid_t pid;
    int what;
    bool ok;

    job_of(&j, OP_WRITE_2, k);
    ok = job_begin(&j, "foreign");
    for (what = 0; j.names[what] && strcmp(j.names[what], "row.what") != 0;)
        what++;
    s.at = (unsigned)what;
    tree_copy(j.from, j.at);
    pid = child_start(be_updater, &s);
    ok = ok && (wait_stop(pid) == 1 || complain("it did not stop"));
    ok = replace_chunk(j.at, k->format) && ok;
    ok = go_on(pid, "writer") && ok;
    ok = ok && child_run("the last one", be_last, j.at);
    if (ok && shared()->near_rc != AZR_ECONFLICT)
        ok = complain("a foreign write was not noticed: %s",
                      azr_status_name(shared()->near_rc));
    if (ok && (shared()->last.value[0] != 61 || shared()->last.value[3] != 64))
        ok = complain("a foreign write was lost");
    job_end(&j);
    if (n_out)
        ++*n_out;
    return ok;
}

bool sync_before_seal(const kind *k, unsigned *n_out)
{
    static job j;
    unsigned data = 0, names = 0;
    bool ok;

    job_of(&j, OP_WRITE_2, k);
    j.k.power = true;
    ok = job_begin(&j, "sync");
    for (int i = 0; ok && i < j.sealed; i++) {
        data += strcmp(j.names[i], "fdatasync") == 0;
        names += strcmp(j.names[i], "fsync") == 0;
    }
    job_end(&j);
    if (n_out)
        ++*n_out;
    if (ok && (data != 3 || names != 3))
        return complain("%u fdatasync (two objects, state) and %u fsync (tx, "
                        "and what it and c/ stand in) before the row is "
                        "sealed; 3 and 3 are needed",
                        data, names);
    return ok;
}
