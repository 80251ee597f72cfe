/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/kill.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

/* What children tell. */
typedef struct found {
    image seen;  /* by a reader, before anybody writes */
    image after; /* by the writer, after it wrote */
} found;

static found *g_found;

static found *shared(void)
{
    if (!g_found)
        g_found = scene_shared(sizeof *g_found);
    return g_found;
}

/* --------------------------------------------------------------- victim --- */

typedef struct victim {
    const job *j;
    tap_action action;
    unsigned at;
    bool after;
} victim;

static bool be_victim(void *arg)
{
    const victim *v = arg;
    const job *j = v->j;
    azr_array *a = NULL;
    bool opens = !op_creates(j->o) && j->o != OP_RECOVER;
    bool ok;

    scene_threads = j->threads;
    if (opens && !scene_open(&a, j->at, AZR_OPEN_WRITE))
        return false;
    if (opens && !op_prepare(a, j->o))
        return false;
    tap_arm(v->action, v->at, v->after, 0);
    ok = op_run(j->at, a, j->o, &j->k);
    tap_disarm();
    if (opens && j->o != OP_TABLE && j->o != OP_LANE)
        azr_array_close(a);
    return ok;
}

/* --------------------------------------------------------------- reader --- */

typedef struct observer {
    const job *j;
    bool unprivileged;
} observer;

static bool be_reader(void *arg)
{
    const observer *o = arg;

    if (o->unprivileged && setresuid(NOBODY, NOBODY, NOBODY) != 0)
        return complain("setresuid");
    return scene_snap(&shared()->seen, o->j->at);
}

/* --------------------------------------------------------------- writer --- */

#define NEAR_FIRST 1 /* in a chunk that most operations change */
#define NEAR_END   2
#define FAR_FIRST  15 /* in one that few do */
#define FAR_END    16
#define LONG_FIRST 3 /* by the process that was there before */
#define LONG_END   5

/* Of two creators the second one wins where the first one died. It makes another
 * array, with attributes where the first one had none and the other way round. */
static bool create_again(const job *j)
{
    op other = j->o == OP_CREATE ? OP_CREATE_ATTRIBUTES : OP_CREATE;

    return op_run(j->at, NULL, other, &j->k);
}

static bool be_writer(void *arg)
{
    const job *j = arg;
    azr_array *a = NULL;
    bool ok;

    if (op_creates(j->o) && !shared()->seen.exists && !create_again(j))
        return false;
    ok = scene_open(&a, j->at, AZR_OPEN_WRITE) &&
         scene_write(a, NEAR_FIRST, NEAR_END, 8000) &&
         scene_write(a, FAR_FIRST, FAR_END, 8000) &&
         scene_read(&shared()->after, a);
    azr_array_close(a);
    return ok && scene_is_clean(j->at);
}

/* A process that has had the array open since before the kill. */
typedef struct bystander {
    const job *j;
    pid_t pid;
    int go[2], done[2];
} bystander;

static bool be_bystander(void *arg)
{
    bystander *b = arg;
    azr_array *a = NULL;
    char c = 0;
    bool ok;

    ok = scene_open(&a, b->j->at, AZR_OPEN_WRITE | AZR_OPEN_NO_RECOVERY);
    if (write(b->done[1], &c, 1) != 1 || read(b->go[0], &c, 1) != 1)
        return false;
    ok = ok && scene_write(a, LONG_FIRST, LONG_END, 7000);
    azr_array_close(a);
    return ok;
}

static bool bystander_start(bystander *b, const job *j)
{
    char c;

    b->j = j;
    if (pipe(b->go) != 0 || pipe(b->done) != 0)
        return complain("pipe");
    b->pid = child_start(be_bystander, b);
    return read(b->done[0], &c, 1) == 1 || complain("bystander died");
}

static bool bystander_write(bystander *b)
{
    int status;

    if (write(b->go[1], "", 1) != 1)
        return complain("pipe");
    status = child_wait(b->pid);
    b->pid = -1;
    for (int i = 0; i < 2; i++) {
        (void)close(b->go[i]);
        (void)close(b->done[i]);
    }
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           complain("bystander: status %x", (unsigned)status);
}

/* -------------------------------------------------------------- verdict --- */

/* Has it happened, by the position of the commit point? */
typedef enum verdict { MUST_BE_OLD, MUST_BE_NEW, EITHER } verdict;

static verdict judge(const job *j, unsigned at, bool after)
{
    int n = 2 * (int)at + after;

    if (j->only_new)
        return MUST_BE_NEW;
    if (j->committed < 0 || j->threads != 1)
        return EITHER;
    if (n >= 2 * j->committed + 1)
        return MUST_BE_NEW;
    if (j->sealed >= 0 && n >= 2 * j->sealed + 1)
        return EITHER; /* nobody has been told */
    return MUST_BE_OLD;
}

static bool is_one_of(const job *j, verdict v, const image *i, bool *is_new)
{
    *is_new = image_same(i, &j->new);
    if (v == MUST_BE_NEW)
        return *is_new;
    if (v == MUST_BE_OLD)
        return image_same(i, &j->old);
    return *is_new || image_same(i, &j->old);
}

static void describe(const job *j, const image *i, const char *who)
{
    char text[600] = "";
    size_t n = 0;

    for (int64_t k = 0; k < i->length && k < 24; k++)
        n += (size_t)snprintf(text + n, sizeof text - n, " %d",
                              (int)i->value[k]);
    (void)complain("%s: neither the old nor the new array (or not the one it "
                   "should be): %s length %lld attributes %s values%s (old "
                   "length %lld, new %lld)",
                   who, i->exists ? "" : "absent", (long long)i->length,
                   i->attributes, text, (long long)j->old.length,
                   (long long)j->new.length);
}

static void overlay(image *i, bool with_long)
{
    if (with_long)
        image_put(i, LONG_FIRST, LONG_END, 7000);
    image_put(i, NEAR_FIRST, NEAR_END, 8000);
    image_put(i, FAR_FIRST, FAR_END, 8000);
}

/* After the writers: one of the two images with their boxes in it. */
static bool check_after(const job *j, verdict v, bool was_new, bool with_long)
{
    image old = op_creates(j->o) ? j->again : j->old, new = j->new;
    const image *after = &shared()->after;
    bool same_new, same_old;

    overlay(&old, with_long);
    overlay(&new, with_long);
    same_new = image_same(after, &new);
    same_old = image_same(after, &old);
    if ((same_new && v != MUST_BE_OLD) ||
        (same_old && v != MUST_BE_NEW && !was_new))
        return true;
    describe(j, after, "after the next writer");
    return false;
}

static bool look_around(job *j, verdict v, unsigned trial, bystander *b)
{
    observer o = {j, j->in_memory && trial % 4 == 1 && geteuid() == 0};
    bool is_new;

    if (!child_run("reader", be_reader, &o))
        return false;
    if (!is_one_of(j, v, &shared()->seen, &is_new)) {
        describe(j, &shared()->seen, "reader");
        return false;
    }
    if (b && !bystander_write(b))
        return false;
    return child_run("writer", be_writer, j) &&
           check_after(j, v, is_new, b != NULL);
}

/* ----------------------------------------------------------------- kills --- */

/* Two threads go by their points in any order, and may look at a directory twice, or
 * once. */
static bool died_there(job *j, int status, unsigned at)
{
    const tap_list *l = tap_shared();

    j->kills += WIFSIGNALED(status);
    if (j->threads != 1 && at + 8 >= j->points && WIFEXITED(status) &&
        WEXITSTATUS(status) == 0)
        return true;
    return tap_killed(status, at,
                      j->threads == 1 ? j->names[at] : l->names[at]);
}

pid_t job_start(const job *j, tap_action action, unsigned at, bool after)
{
    static victim v; /* the child has a copy */

    v = (victim){j, action, at, after};
    return child_start(be_victim, &v);
}

/* The first complaint, with what was going on. */
static bool tell(const job *j, unsigned at, bool after, unsigned trial)
{
    char why[1024], text[32];

    (void)snprintf(why, sizeof why, "%s", scene_error());
    kind_text(text, &j->k);
    scene_error()[0] = '\0';
    return complain("%s, %s, killed %s point %u (%s), trial %u: %s",
                    op_name(j->o), text, after ? "after" : "before", at,
                    j->names[at], trial, why);
}

bool job_kill(job *j, unsigned at, bool after, unsigned trial)
{
    bool with_long = trial % 3 == 2 && !op_creates(j->o) && j->o != OP_RECOVER;
    bystander b = {.pid = -1};
    bool ok;

    scene_error()[0] = '\0';
    tree_copy(j->from, j->at);
    ok = !with_long || bystander_start(&b, j);
    ok = ok &&
         died_there(j, child_wait(job_start(j, TAP_KILL, at, after)), at) &&
         look_around(j, judge(j, at, after), trial, with_long ? &b : NULL);
    if (!ok) {
        if (b.pid > 0)
            (void)kill(b.pid, SIGKILL); /* it would wait for its turn */
        return tell(j, at, after, trial);
    }
    tree_remove(j->at);
    return true;
}

bool job_sweep(job *j, unsigned step)
{
    unsigned trial = 0;

    for (unsigned at = 0; at < j->points; at += step) {
        for (int after = 0; after < 2; after++) {
            if (!job_kill(j, at, after, trial++))
                return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------- beginning --- */

static bool be_maker(void *arg)
{
    const job *j = arg;

    return scene_make(j->from, j->o, &j->k) &&
           scene_snap(&shared()->seen, j->from);
}

static bool be_second(void *arg)
{
    const job *j = arg;

    return create_again(j) && scene_snap(&shared()->after, j->at);
}

static bool be_snapper(void *arg)
{
    const job *j = arg;

    return scene_snap(&shared()->after, j->at);
}

/* An undisturbed run: its image, its points. */
static bool count(job *j)
{
    victim v = {j, TAP_COUNT, 0, false};
    const tap_list *l = tap_shared();

    tree_copy(j->from, j->at);
    if (!child_run(op_name(j->o), be_victim, &v))
        return false;
    j->points = atomic_load(&l->count);
    if (j->points > TAP_POINTS)
        return complain("%u points, room for %d", j->points, TAP_POINTS);
    memcpy(j->names, l->names, sizeof j->names);
    j->committed = tap_find("row.committed", 0);
    j->sealed = tap_find("row.sealed", 0);
    if (!child_run("snapshot", be_snapper, j))
        return false;
    tree_remove(j->at);
    return true;
}

static void name_places(job *j, const char *name)
{
    const char *root = scene_root(j->in_memory);

    (void)snprintf(j->from, sizeof j->from, "%s/%s-from", root, name);
    (void)snprintf(j->at, sizeof j->at, "%s/%s", root, name);
}

bool job_begin(job *j, const char *name)
{
    scene_error()[0] = '\0';
    (void)shared();
    (void)tap_shared();
    name_places(j, name);
    if (!child_run("maker", be_maker, j))
        return false;
    j->old = shared()->seen;
    if (op_creates(j->o)) {
        tree_copy(j->from, j->at);
        if (!child_run("second creator", be_second, j))
            return false;
        j->again = shared()->after;
        tree_remove(j->at);
    }
    if (!count(j))
        return false;
    j->new = shared()->after;
    if (image_same(&j->old, &j->new) || j->points == 0) {
        return complain("%s changes nothing", op_name(j->o));
    }
    return true;
}

bool job_begin_recovery(job *j, const job *of, unsigned point, bool after,
                        const char *name)
{
    *j = *of;
    j->kills = 0;
    scene_error()[0] = '\0';
    tree_copy(of->from, of->at);
    (void)child_wait(job_start(of, TAP_KILL, point, after));
    name_places(j, name);
    if (rename(of->at, j->from) != 0)
        return complain("rename");
    j->o = OP_RECOVER;
    j->only_new = judge(of, point, after) == MUST_BE_NEW;
    if (!count(j))
        return false;
    j->committed = -1;
    return true;
}

void job_end(job *j)
{
    tree_remove(j->from);
    tree_remove(j->at);
}
