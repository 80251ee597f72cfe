/* SPDX-License-Identifier: Apache-2.0 */
#include "blocks/course.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_BOOT  1
#define SECOND_BOOT 2
#define PATIENCE_S  120 /* a child that takes longer hangs */

/* What the children of a course share with it. */
typedef struct common {
    judge j;
    world_marks marks;
    bool acted; /* the act is over */
} common;

typedef struct run {
    course *c;
    tape tape;
    common *is;
    char mnt[280];
    uint64_t *seen;
    size_t seen_room, seen_used;
} run;

/* -------------------------------------------------------------- children --- */

typedef bool (*child_does)(run *r, const void *arg);

/* With the file system as its root; true: it was, and said so. */
static bool in_child(run *r, const char *who, child_does fn, const void *arg)
{
    pid_t pid, parent = getpid();
    int status = 0;

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
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (WIFSIGNALED(status))
        return complain("%s: killed by signal %d%s", who, WTERMSIG(status),
                        WTERMSIG(status) == SIGALRM ? ": it hung" : "");
    return complain("%s: failed without a word", who);
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
    ok = ((a->flags & ACT_DAMAGED) || act_look(&j->views[0], a)) &&
         a->begin(a, &s) && sync_all("/");
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

static bool seen_put(run *r, uint64_t h)
{
    size_t at;

    h += h == 0;
    for (at = h % r->seen_room; r->seen[at]; at = (at + 1) % r->seen_room) {
        if (r->seen[at] == h)
            return false;
    }
    r->seen[at] = h;
    r->seen_used++;
    return true;
}

static bool seen_add(run *r, uint64_t h)
{
    uint64_t *old = r->seen;
    size_t room = r->seen_room;

    if (r->seen_used * 2 >= r->seen_room) {
        r->seen_room = room ? room * 2 : 1024;
        r->seen_used = 0;
        r->seen = calloc(r->seen_room, sizeof *r->seen);
        if (!r->seen)
            abort();
        for (size_t i = 0; i < room; i++) {
            if (old[i])
                (void)seen_put(r, old[i]);
        }
        free(old);
    }
    return seen_put(r, h);
}

static bool check(run *r, const void *arg)
{
    const cuts_state *s = arg;
    judge *j = &r->is->j;
    view v;

    disk_boot(SECOND_BOOT);
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

static bool try_state(const cuts_state *s, void *arg)
{
    run *r = arg;
    course *c = r->c;
    judge *j = &r->is->j;
    bool ok;
    int e;

    set_bounds(r, s);
    if (j->from == 0 && (c->a->flags & ACT_UNSYNCED))
        return true;
    c->count.states++;
    if (!seen_add(r, s->hash * 31 + j->from * 7 + j->to))
        return true;
    if (!tape_to_plain(&r->tape))
        return false;
    e = mounts_mount(c->fs, r->tape.plain, r->mnt);
    if (e != 0 && s->harsh) {
        c->count.unmounted++;
        return true;
    }
    c->count.distinct++;
    ok = e == 0 ? try_mounted(r, s)
                : complain("%s does not mount: %s", c->fs->name, strerror(e));
    if (!ok)
        say_where(r, s);
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
    course *c = r->c;
    judge *j;

    r->is = mmap(NULL, sizeof *r->is, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r->is == MAP_FAILED)
        return complain("mmap: %s", strerror(errno));
    j = &r->is->j;
    j->a = c->a;
    j->power = c->power;
    for (int i = 0; i < JUDGE_VIEWS; i++)
        r->is->marks.kept[i] = j->begun[i] = UINT32_MAX;
    (void)snprintf(r->mnt, sizeof r->mnt, "%s/mnt", c->dir);
    (void)mkdir(r->mnt, 0755);
    return tape_open(&r->tape, c->dir, c->fs->nbytes) &&
           mounts_make(c->fs, r->tape.device);
}

bool course_run(course *c)
{
    run r;
    bool ok;

    memset(&r, 0, sizeof r);
    memset(&c->count, 0, sizeof c->count);
    r.c = c;
    c->where[0] = scene_error()[0] = '\0';
    ok = prepare(&r) && record(&r);
    if (ok) {
        count_log(&r);
        c->site_count = r.is->marks.site_count;
        memcpy(c->sites, r.is->marks.sites, sizeof c->sites);
        r.is->j.to = (uint32_t)c->a->steps;
        ok = cuts_visit(&r.tape, &c->plan, try_state, &r);
        c->count.refused = r.is->j.refused;
        c->count.lost = r.is->j.lost;
        c->count.mixed = r.is->j.mixed;
    }
    tape_close(&r.tape);
    (void)rmdir(r.mnt);
    free(r.seen);
    return ok;
}
