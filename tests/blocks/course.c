/* SPDX-License-Identifier: Apache-2.0 */
#include "blocks/course.h"

#include "power/seen.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_BOOT  1
#define SECOND_BOOT 2
#define THIRD_BOOT  3
#define PATIENCE_S  120 /* a child that takes longer hangs */
#define LOOK_EACH   64 /* the plain disk is compared for one state in so many */

/* What the children of a course share with it. */
typedef struct common {
    judge j;
    world_marks marks;
    bool acted; /* the act is over */
} common;

typedef struct run run;

struct run {
    course *c;
    tape tape;
    common *is;
    char mnt[280];
    seen seen;
    run *next; /* for the second cut */
    bool is_next;
};

static void common_reset(common *is, const course *c)
{
    memset(is, 0, sizeof *is);
    is->j.a = c->a;
    is->j.power = c->power;
    for (int i = 0; i < JUDGE_VIEWS; i++)
        is->marks.kept[i] = is->j.begun[i] = UINT32_MAX;
}

/* -------------------------------------------------------------- children --- */

typedef bool (*child_does)(run *r, const void *arg);

/* With the file system as its root; true: it was, and said so. */
static bool in_child(run *r, const char *who, child_does fn, const void *arg)
{
    pid_t pid, parent = getpid();

    (void)fflush(NULL);
    pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)signal(SIGALRM, SIG_DFL);
        (void)alarm(PATIENCE_S);
        if (getppid() != parent || chroot(r->mnt) != 0 || chdir("/") != 0)
            _exit(2);
        _exit(fn(r, arg) ? 0 : 1);
    }
    if (pid < 0)
        return complain("fork: %s", strerror(errno));
    return child_is_well(who, child_wait(pid));
}

static bool must_mount(run *r)
{
    int e = mounts_mount(r->c->fs, r->tape.device, r->mnt);

    return e == 0 || complain("mount %s: %s", r->c->fs->name, strerror(e));
}

/* -------------------------------------------------------------- recording --- */

static bool make(run *r, const void *arg)
{
    const course *c = r->c;

    (void)arg;
    disk_boot(FIRST_BOOT);
    return !c->a->make || c->a->make(c->a, c->power);
}

static bool sync_all(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && syncfs(fd) == 0;

    if (fd >= 0)
        (void)close(fd);
    return ok || complain("syncfs: %s", strerror(errno));
}

static bool do_steps(run *r, stage *s)
{
    const act *a = r->c->a;
    judge *j = &r->is->j;
    bool ok = true;

    for (int i = 0; i < a->steps && ok; i++) {
        j->begun[i] = tape_count(&r->tape);
        disk_log_commits((uint32_t)i + 1);
        ok = a->step(a, s, i);
        disk_log_mark((uint32_t)i + 1);
        disk_log_commits(0);
        ok = ok && act_look(&j->views[i + 1], a);
    }
    return ok;
}

static bool perform(run *r, const void *arg)
{
    course *c = r->c;
    const act *a = c->a;
    judge *j = &r->is->j;
    stage s;
    bool ok;

    (void)arg;
    memset(&s, 0, sizeof s);
    s.power = c->power;
    disk_boot(FIRST_BOOT);
    disk_sites_forget();
    disk_site_remove(c->without.name[0] ? &c->without : NULL);
    world_use(&r->tape, &r->is->marks, c->beside, c->plan.seed);
    ok = a->begin(a, &s) &&
         ((a->flags & ACT_DAMAGED) || act_look(&j->views[0], a)) &&
         sync_all("/");
    tape_begin(&r->tape);
    ok = ok && do_steps(r, &s);
    if (a->flags & ACT_DAMAGED)
        j->views[0] = j->views[1];
    act_end(&s);
    world_note_sites();
    r->is->acted = ok;
    return ok;
}

/* To the end of the mount: what a cut in the unmounting leaves is tried as well. */
static bool record(run *r)
{
    bool ok = must_mount(r) && in_child(r, "make", make, NULL) &&
              sync_all(r->mnt) && mounts_unmount(r->mnt) && must_mount(r);

    if (!ok)
        return false;
    ok = in_child(r, "the act", perform, NULL) && sync_all(r->mnt);
    ok = mounts_unmount(r->mnt) && ok;
    tape_end(&r->tape);
    return ok && tape_is_true(&r->tape);
}

/* ----------------------------------------------------------------- states --- */

static bool check(run *r, const void *arg)
{
    const cuts_state *s = arg;
    judge *j = &r->is->j;
    view v;

    disk_boot(r->is_next ? THIRD_BOOT : SECOND_BOOT);
    judge_listen();
    return r->c->power ? judge_power(j, (unsigned)(s->hash % 3), &v)
                       : judge_process(j);
}

/* Which views this cut may leave: steps that were acknowledged when the power went
 * are there, those that had not begun with the last write that is kept are not. */
static void set_bounds(run *r, const cuts_state *s)
{
    judge *j = &r->is->j;
    uint32_t steps = (uint32_t)r->c->a->steps;

    j->from = 0;
    while (j->from < steps && r->is->marks.kept[j->from + 1] <= s->flush)
        j->from++;
    for (j->to = j->from; j->to < steps && j->begun[j->to] < s->last; j->to++)
        ;
}

static void say_where(run *r, const cuts_state *s)
{
    course *c = r->c;
    int fd;

    cuts_text(c->where, sizeof c->where, &r->tape, s);
    if (!c->keep)
        return;
    fd = open(c->keep, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (size_t p = 0; p < r->tape.nbytes / TAPE_PAGE && fd >= 0; p++) {
        if (r->tape.dirty[p] != TAPE_ZEROS)
            (void)!pwrite(fd, r->tape.now + p * TAPE_PAGE, TAPE_PAGE,
                          (off_t)(p * TAPE_PAGE));
    }
    if (fd >= 0 && ftruncate(fd, (off_t)r->tape.nbytes) == 0)
        (void)close(fd);
}

static bool try_mounted(run *r, const cuts_state *s)
{
    bool ok = in_child(r, "what comes after", check, s);

    return mounts_unmount(r->mnt) && ok;
}

/* The disk is the one that is meant, and the file system takes it. */
static bool try_disk(run *r, const cuts_state *s)
{
    course *c = r->c;
    int e;

    if (!tape_to_plain(&r->tape) ||
        (c->count.distinct % LOOK_EACH == 0 && !tape_plain_is_true(&r->tape)))
        return false;
    e = mounts_mount(c->fs, r->tape.plain, r->mnt);
    if (e != 0 && s->harsh) {
        c->count.unmounted++;
        return true;
    }
    c->count.distinct++;
    return e == 0 ? try_mounted(r, s)
                  : complain("%s does not mount: %s", c->fs->name, strerror(e));
}

/* ------------------------------------------------------- the second cut --- */

static bool try_state(const cuts_state *s, void *arg);

/* The next process: it reads, finishes what was left, and writes. */
static bool come_after(run *r, const void *arg)
{
    judge *j = &r->is->j;
    azr_array *a = NULL;
    int place = 0;
    bool ok;

    (void)arg;
    disk_boot(SECOND_BOOT);
    world_use(&r->tape, &r->is->marks, 0, 0);
    if (!act_look(&j->views[0], j->a))
        return false;
    while (place < j->a->places && !j->views[0].a[place].exists)
        place++;
    if (place == j->a->places)
        return true; /* nothing to go on with */
    j->views[1] = j->views[0];
    image_put(&j->views[1].a[place], 5, 12, 7000);
    j->begun[0] = tape_count(&r->tape);
    ok = scene_open(&a, act_places[place], AZR_OPEN_WRITE);
    disk_log_commits(1);
    ok = ok && scene_write(a, 5, 12, 7000);
    disk_log_mark(1);
    azr_array_close(a);
    r->is->acted = ok;
    return ok;
}

/* The power goes once more: while the file system recovers, and the library. */
static bool go_on(run *r, const cuts_state *s)
{
    run *n = r->next;
    bool ok;

    memset(&n->c->count, 0, sizeof n->c->count);
    common_reset(n->is, n->c);
    seen_forget(&n->seen);
    if (!tape_copy(&n->tape, &r->tape))
        return false;
    tape_begin(&n->tape);
    ok = must_mount(n) && in_child(n, "who came after", come_after, NULL) &&
         sync_all(n->mnt);
    ok = mounts_unmount(n->mnt) && ok;
    tape_end(&n->tape);
    ok = ok && tape_is_true(&n->tape);
    if (ok && n->is->acted)
        ok = cuts_visit(&n->tape, &n->c->plan, try_state, n);
    r->c->count.states += n->c->count.states;
    r->c->count.distinct += n->c->count.distinct;
    r->c->count.again += n->c->count.distinct;
    if (!ok) {
        char first[400];

        cuts_text(first, sizeof first, &r->tape, s);
        (void)snprintf(r->c->where, sizeof r->c->where,
                       "%.400s; in what came after: %.600s", first,
                       n->c->where);
    }
    return ok;
}

static bool try_state(const cuts_state *s, void *arg)
{
    run *r = arg;
    course *c = r->c;
    bool ok;

    set_bounds(r, s);
    if (r->is->j.from == 0 && (c->a->flags & ACT_UNSYNCED))
        return true;
    c->count.states++;
    if (!seen_add(&r->seen, s->hash * 31 + r->is->j.from * 7 + r->is->j.to))
        return true;
    ok = try_disk(r, s);
    if (!ok)
        say_where(r, s);
    else if (r->next && c->count.distinct % c->again == 0)
        ok = go_on(r, s);
    return ok;
}

/* ------------------------------------------------------------------- all --- */

static void count_log(run *r)
{
    course_count *n = &r->c->count;

    for (uint32_t i = 0; i < tape_count(&r->tape); i++) {
        if (r->tape.log->events[i].kind == TAPE_FLUSH)
            n->flushes++;
        else
            n->writes++;
    }
}

static bool prepare(run *r)
{
    const course *c = r->c;

    r->is = scene_shared(sizeof *r->is);
    common_reset(r->is, c);
    (void)snprintf(r->mnt, sizeof r->mnt, "%s/mnt", c->dir);
    (void)mkdir(c->dir, 0755);
    (void)mkdir(r->mnt, 0755);
    return tape_open(&r->tape, c->dir, c->fs->nbytes);
}

/* A course of one step, with a tape of its own. */
static bool prepare_next(run *r, run *n, course *c, act *one)
{
    static const cuts_plan plan = {4, 1, 1, 1, 0, 0, false};
    static char dir[300];

    *one = *r->c->a;
    one->steps = 1;
    one->flags &= ~ACT_UNSYNCED;
    *c = *r->c;
    c->a = one;
    c->again = 0;
    c->plan = plan;
    c->plan.seed = r->c->plan.seed + 1;
    (void)snprintf(dir, sizeof dir, "%.250s/again", r->c->dir);
    c->dir = dir;
    n->c = c;
    n->is_next = true;
    r->next = n;
    return prepare(n);
}

static void finish(run *r)
{
    tape_close(&r->tape);
    (void)rmdir(r->mnt);
    (void)rmdir(r->c->dir);
    seen_forget(&r->seen);
    if (r->next)
        finish(r->next);
}

bool course_run(course *c)
{
    static run r, next;
    static course second;
    act one;
    bool ok;

    memset(&r, 0, sizeof r);
    memset(&next, 0, sizeof next);
    memset(&c->count, 0, sizeof c->count);
    r.c = c;
    c->where[0] = scene_error()[0] = '\0';
    ok = prepare(&r) && mounts_make(c->fs, r.tape.device) && record(&r);
    if (ok && c->power && c->again > 0 && !(c->a->flags & ACT_DAMAGED))
        ok = prepare_next(&r, &next, &second, &one);
    if (ok) {
        count_log(&r);
        c->site_count = r.is->marks.site_count;
        memcpy(c->sites, r.is->marks.sites, sizeof c->sites);
        ok = cuts_visit(&r.tape, &c->plan, try_state, &r);
        c->count.refused = r.is->j.refused;
        c->count.lost = r.is->j.lost;
        c->count.mixed = r.is->j.mixed;
    }
    finish(&r);
    return ok;
}
