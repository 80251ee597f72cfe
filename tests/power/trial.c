/* SPDX-License-Identifier: Apache-2.0 */
#include "power/trial.h"

#include "power/disk.h"
#include "power/judge.h"
#include "power/seen.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#define FIRST_BOOT  1
#define SECOND_BOOT 2
#define THIRD_BOOT  3
#define DEATHS      1024u

/* -------------------------------------------------------------- trial --- */

typedef struct trial {
    judge j;
    const trial_plan *plan;
    trial_count *count;
    char *where;
    disk_log log;
    int level;      /* 1: of the act; 2: of what came after */
    uint32_t asked; /* plan->asked: so many were gone on with */
    uint32_t calls; /* of the sync that is watched, when the log began */
    seen seen;
} trial;

/* ------------------------------------------------- the second power cut --- */

static bool cut_all(trial *t, const cut_plan *plan);

/* What comes after the loss: recovery, and one more write. */
static bool record_after(trial *next, const view *was)
{
    int place = 0;
    azr_array *a = NULL;
    bool ok;

    while (place < next->j.a->places && !was->a[place].exists)
        place++;
    next->j.views[0] = next->j.views[1] = *was;
    if (place == next->j.a->places)
        return false; /* nothing to go on with */
    image_put(&next->j.views[1].a[place], 5, 12, 7000);
    disk_log_begin();
    ok = scene_open(&a, act_places[place], AZR_OPEN_WRITE);
    next->j.begun[0] = 0;
    disk_log_commits(1);
    if (ok)
        ok = scene_write(
            a, 5, was->a[place].length < 12 ? was->a[place].length : 12, 7000);
    disk_log_mark(1);
    disk_log_commits(0);
    next->log = disk_log_end();
    azr_array_close(a);
    return ok;
}

static bool go_on(const trial *t, const disk_image *disk, const view *was)
{
    trial *next = disk_take(sizeof *next);
    bool ok;

    next->j.a = t->j.a;
    next->j.power = t->j.power;
    next->plan = t->plan;
    next->count = t->count;
    next->where = t->where;
    next->level = 2;
    disk_load(disk);
    disk_boot(SECOND_BOOT);
    if (!record_after(next, was))
        return scene_error()[0] == '\0';
    next->j.begun[1] = UINT32_MAX;
    next->j.to = 1;
    ok = cut_all(next, &t->plan->second);
    seen_forget(&next->seen);
    return ok;
}

/* ------------------------------------------------------------ the first --- */

static void say_where(const trial *t, const cut *c, const uint8_t *choice)
{
    char lost[1600];
    const disk_event *e = c->at < c->log->count ? &c->log->events[c->at] : NULL;

    if (!t->where)
        return;
    cut_text(lost, sizeof lost, c, choice);
    (void)snprintf(t->where, 2048,
                   "%scut before event %" PRIu32 " (%s), lost: %s",
                   t->level > 1 ? "in what came after, " : "", c->at,
                   e ? e->label : "the end", lost);
}

/* Is this state one of those after which the power goes once more? `asked`: who
 * came after it asked for the sync that is watched. */
static bool is_gone_on_with(trial *t, bool asked)
{
    if (!t->j.power || t->level != 1 || t->plan->seconds == 0 ||
        (t->j.a->flags & ACT_DAMAGED))
        return false;
    if (t->count->distinct % t->plan->seconds == 0)
        return true;
    return asked && t->asked++ < t->plan->asked;
}

/* What must hold; who departs does so in each way. */
static bool is_well(trial *t, const disk_image *disk, uint64_t hash, view *v)
{
    unsigned ways = t->j.a->flags & ACT_DEPARTS && t->j.power ? 3 : 1;
    bool ok = true;

    for (unsigned k = 0; k < ways && ok; k++) {
        disk_load(disk);
        disk_boot(t->level == 1 ? SECOND_BOOT : THIRD_BOOT);
        ok = t->j.power ? judge_power(&t->j, (unsigned)(hash % 3 + k) % 3, v)
                        : judge_process(&t->j);
    }
    return ok;
}

static bool try_state(const cut *c, const uint8_t *choice, void *arg)
{
    trial *t = arg;
    uint32_t calls = disk_site_watched_calls();
    disk_registered registers = disk_registers();
    size_t mark = disk_mark();
    disk_image disk = cut_image(c, choice);
    uint64_t hash = disk_image_hash(&disk);
    bool ok = true;
    view v;

    t->count->states++;
    if (seen_add(&t->seen, hash * 31 + t->j.from * 7 + t->j.to)) {
        t->count->distinct++;
        t->count->again += t->level > 1;
        ok = is_well(t, &disk, hash, &v);
        if (ok && is_gone_on_with(t, disk_site_watched_calls() != calls)) {
            disk_registers_restore(registers);
            ok = go_on(t, &disk, &v);
        } else if (!ok) {
            say_where(t, c, choice);
        }
    }
    disk_registers_restore(registers);
    disk_release(mark);
    return ok;
}

/* Between two syncs or marks a later cut leaves whatever an earlier one does. */
static bool is_cut_point(const trial *t, uint32_t k)
{
    return k == t->log.count || t->log.events[k].kind == DISK_SYNC ||
           t->log.events[k].kind == DISK_MARK;
}

static bool cut_all(trial *t, const cut_plan *plan)
{
    uint32_t last = t->j.to;

    t->j.from = 0;
    for (uint32_t k = 0; k <= t->log.count; k++) {
        size_t mark = disk_mark();
        cut c;
        bool ok;

        if (k > 0 && t->log.events[k - 1].kind == DISK_MARK)
            t->j.from = t->log.events[k - 1].mark;
        if (k < t->log.count && t->log.events[k].kind == DISK_SYNC)
            t->count->syncs++;
        if (!is_cut_point(t, k) ||
            (t->level == 1 && t->j.from == 0 && (t->j.a->flags & ACT_UNSYNCED)))
            continue;
        for (t->j.to = t->j.from; t->j.to < last && t->j.begun[t->j.to] < k;
             t->j.to++)
            ;
        cut_make(&c, &t->log, k, t->j.power);
        t->count->cuts++;
        ok = cut_visit(&c, plan, try_state, t);
        disk_release(mark);
        if (!ok)
            return false;
    }
    t->j.to = last;
    return true;
}

static bool record(trial *t, const disk_image *base)
{
    stage s;
    bool ok;

    memset(&s, 0, sizeof s);
    s.power = t->j.power;
    disk_load(base);
    disk_boot(FIRST_BOOT);
    ok = t->j.a->begin(t->j.a, &s) &&
         ((t->j.a->flags & ACT_DAMAGED) || act_look(&t->j.views[0], t->j.a));
    disk_log_begin();
    for (int i = 0; i < t->j.a->steps && ok; i++) {
        t->j.begun[i] = disk_log_count();
        disk_log_commits((uint32_t)i + 1);
        ok = t->j.a->step(t->j.a, &s, i);
        disk_log_mark((uint32_t)i + 1);
        disk_log_commits(0);
        ok = ok && act_look(&t->j.views[i + 1], t->j.a);
    }
    t->log = disk_log_end();
    t->j.to = (uint32_t)t->j.a->steps;
    if (t->j.a->flags & ACT_DAMAGED)
        t->j.views[0] = t->j.views[1];
    act_end(&s);
    return ok;
}

/* … for the process: it dies after so many events. *over: it lived to the end. */
static bool live_until(trial *t, uint32_t at, bool *over)
{
    static jmp_buf dead;
    static stage s; /* nobody inherits it */
    static bool ok;

    memset(&s, 0, sizeof s);
    s.power = t->j.power;
    ok = t->j.a->begin(t->j.a, &s) && act_look(&t->j.views[0], t->j.a);
    disk_log_begin();
    t->calls = disk_site_watched_calls();
    disk_log_commits(1);
    *over = true;
    if (setjmp(dead) == 0) {
        disk_log_stop_at(at, &dead);
        ok = ok && t->j.a->step(t->j.a, &s, 0);
        disk_log_stop_at(0, NULL);
    } else {
        *over = false;
    }
    disk_forget_process();
    return ok;
}

/* Another process recovers and writes, on the same boot; then the power goes. */
static bool record_killed(trial *t, const disk_image *base, uint32_t at,
                          bool *over)
{
    azr_array *a[ACT_PLACES] = {NULL};
    bool ok;

    disk_load(base);
    disk_boot(FIRST_BOOT);
    ok = live_until(t, at, over);
    for (int k = 0; k < t->j.a->places && ok; k++)
        ok = t->j.a->flags & ACT_CREATES
                 ? act_create_or_open(t->j.a, k, t->j.power, &a[k])
                 : scene_open(&a[k], act_places[k], AZR_OPEN_WRITE);
    disk_log_mark(1);
    disk_log_commits(0);
    ok = ok && act_look(&t->j.views[1], t->j.a);
    t->j.views[2] = t->j.views[1];
    image_put(&t->j.views[2].a[0], 1, 6, 9000);
    t->j.begun[0] = 0;
    t->j.begun[1] = disk_log_count();
    t->j.begun[2] = UINT32_MAX;
    disk_log_commits(2);
    ok = ok && scene_write(a[0], 1, 6, 9000);
    disk_log_mark(2);
    disk_log_commits(0);
    t->log = disk_log_end();
    t->j.to = 2;
    for (int k = 0; k < t->j.a->places; k++)
        azr_array_close(a[k]);
    return ok;
}

typedef struct deaths {
    uint32_t at[DEATHS]; /* after so many events */
    uint32_t n;
} deaths;

/* All points of death of the act; if a sync is watched, those after which it is asked
 * for. *over: it lived to the end. */
static bool find_deaths(trial *t, const disk_image *base, deaths *d)
{
    disk_registered registers = disk_registers();
    size_t mark = disk_mark();
    bool over = false, ok = true;

    d->n = 0;
    for (uint32_t at = 1; ok && !over && at <= DEATHS; at++) {
        ok = record_killed(t, base, at, &over);
        if (!disk_site_is_watched() || disk_site_watched_calls() != t->calls)
            d->at[d->n++] = at;
        disk_release(mark);
        disk_registers_restore(registers);
    }
    return ok && (over || complain("an act of too many events"));
}

/* That of no death, too, if there is room. */
static bool run_killed(trial *t, const disk_image *base)
{
    static deaths d;
    disk_registered registers = disk_registers();
    size_t mark = disk_mark();
    bool over, ok = find_deaths(t, base, &d);
    uint32_t step =
        t->plan->kills < d.n && !t->plan->uses ? d.n / t->plan->kills + 1 : 1;

    for (uint32_t i = 0; ok && !t->plan->uses && i < d.n; i += step) {
        ok = record_killed(t, base, d.at[i], &over) &&
             cut_all(t, &t->plan->first);
        disk_release(mark);
        disk_registers_restore(registers);
    }
    return ok;
}

bool trial_run(const act *a, bool power, const trial_plan *plan,
               trial_count *count, char where[2048])
{
    static trial t;
    disk_image base;
    bool ok;

    memset(&t, 0, sizeof t);
    t.j.a = a;
    t.j.power = power;
    t.plan = plan;
    t.count = count;
    t.where = where;
    t.level = 1;
    scene_error()[0] = '\0';
    if (where)
        where[0] = '\0';
    disk_release(0);
    disk_use();
    disk_format();
    disk_seed(plan->first.seed + 1);
    disk_boot(FIRST_BOOT);
    judge_listen();
    ok = !a->make || a->make(a, power);
    base = disk_freeze();
    if (!ok)
        return false;
    if ((a->flags & ACT_KILLED))
        ok = run_killed(&t, &base);
    else
        ok = record(&t, &base) && (plan->uses || cut_all(&t, &plan->first));
    count->refused += t.j.refused;
    count->lost += t.j.lost;
    count->mixed += t.j.mixed;
    seen_forget(&t.seen);
    return ok;
}
