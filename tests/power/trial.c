/* SPDX-License-Identifier: Apache-2.0 */
#include "power/trial.h"

#include "txn/layout.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACES_MAX  ACT_PLACES
#define VIEWS       (ACT_STEPS + 2)
#define FIRST_BOOT  1
#define SECOND_BOOT 2
#define THIRD_BOOT  3

/* ------------------------------------------------------------- seen --- */

/* Numbers of disks that have been looked at. */
typedef struct seen {
    uint64_t *slots;
    size_t room, used;
} seen;

static bool seen_put(seen *s, uint64_t h)
{
    size_t at;

    h += h == 0;
    for (at = h % s->room; s->slots[at] != 0; at = (at + 1) % s->room) {
        if (s->slots[at] == h)
            return false;
    }
    s->slots[at] = h;
    s->used++;
    return true;
}

static bool seen_add(seen *s, uint64_t h)
{
    if (s->used * 2 >= s->room) {
        seen larger = {NULL, s->room ? s->room * 2 : 4096, 0};

        larger.slots = calloc(larger.room, sizeof *larger.slots);
        if (!larger.slots)
            abort();
        for (size_t i = 0; i < s->room; i++) {
            if (s->slots[i])
                (void)seen_put(&larger, s->slots[i]);
        }
        free(s->slots);
        *s = larger;
    }
    return seen_put(s, h);
}

/* -------------------------------------------------------------- trial --- */

typedef struct trial {
    const act *a;
    bool power;
    const trial_plan *plan;
    trial_count *count;
    char *where;
    disk_log log;
    view views[VIEWS];     /* before the first step, and after each */
    uint32_t begun[VIEWS]; /* step i began with this event */
    uint32_t from, to;     /* views that this cut may leave */
    int level;             /* 1: of the act; 2: of what came after */
    seen seen;
} trial;

static unsigned g_warnings;

static void on_log(int level, const char *text, void *arg)
{
    (void)text;
    (void)arg;
    if (level <= AZR_LOG_WARNING)
        g_warnings++;
}

/* --------------------------------------------------------------- debris --- */

typedef struct debris {
    const act *a;
    unsigned found, lost;
    char first[160];
} debris;

static bool is_in(const char *path, const char *dir)
{
    const char *at = strstr(path, dir);

    return at && at[strlen(dir)] != '\0';
}

/* Below /d: what a finished array has, and nothing else. */
static void look_for_debris(const char *path, bool is_dir, size_t nbytes,
                            void *arg)
{
    debris *d = arg;
    const char *base = strrchr(path, '/');

    (void)nbytes;
    base = base ? base + 1 : path;
    if (is_in(path, ".azr/lost/")) {
        d->lost++;
        return;
    }
    if (is_dir && !strstr(path, ".azr-trash") && !strstr(path, "/snap/"))
        return;
    if (!is_in(path, ".azr/tx/") && !strstr(path, ".azr-trash") &&
        !strstr(path, "/snap/") &&
        (!strstr(base, ".renew") || strstr(base, ".partial")))
        return;
    if (d->found++ == 0)
        (void)snprintf(d->first, sizeof d->first, "%.150s", path);
}

static bool rows_are_free(const char *place)
{
    const disk_content *c;
    uint64_t rows;
    char path[64];

    (void)snprintf(path, sizeof path, "%s/.azr/state", place);
    c = disk_peek(path);
    if (!c)
        return true;
    memcpy(&rows, c->data + AZRI_CHANGING_AT, sizeof rows);
    for (uint64_t i = 0; i < rows && i < AZRI_WORDS; i++) {
        uint64_t word;

        memcpy(&word, c->data + AZRI_WORDS_AT + 8 * i, sizeof word);
        if (azri_word_state(word) != AZRI_FREE)
            return complain("row %" PRIu64 " of %s stays in state %" PRIu32, i,
                            place, azri_word_state(word));
    }
    return true;
}

static bool is_clean(const trial *t, const view *was, debris *d)
{
    memset(d, 0, sizeof *d);
    disk_walk("/d", look_for_debris, d);
    for (int k = 0; k < t->a->places; k++) {
        if (was->a[k].exists && !rows_are_free(act_places[k]))
            return false;
    }
    if (d->found > 0 && !(t->a->flags & ACT_TRASH))
        return complain("left behind: %s", d->first);
    return true;
}

/* ----------------------------------------------------------- afterwards --- */

static int count_errors(const azr_finding *f, void *arg)
{
    unsigned *n = arg;

    if (f->is_error && (*n)++ == 0)
        (void)complain("verify: %s: %s", f->key, f->text);
    return 0;
}

static bool verify(azr_array *a)
{
    azr_error err = AZR_ERROR_INIT;
    unsigned errors = 0;
    int rc = azr_array_verify(a, count_errors, NULL, &errors, &err);

    if (rc < 0)
        return act_failed("verify", rc, &err);
    return errors == 0;
}

static bool stands(const image *want, azr_array *a, const char *who)
{
    image got;

    if (!scene_read(&got, a))
        return false;
    if (!image_same(&got, want))
        return complain("%s reads something else", who);
    return true;
}

/* A writer, who begins by finishing what was left. */
static bool write_to(const trial *t, int place, const image *was, image *now)
{
    azr_array *a = NULL;
    bool ok = scene_open(&a, act_places[place], AZR_OPEN_WRITE);

    (void)t;
    *now = *was;
    if (ok)
        ok = stands(was, a, "the next writer");
    image_put(now, 1, 6, 9000);
    if (ok)
        ok = scene_write(a, 1, was->length < 6 ? was->length : 6, 9000) &&
             stands(now, a, "who wrote after it");
    azr_array_close(a);
    return ok;
}

static int on_stale(const azr_finding *f, void *arg)
{
    (void)arg;
    (void)complain("consolidated metadata: %s: %s", f->key, f->text);
    return 0;
}

static bool copies_agree(void)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;
    int rc;

    o.flags = AZR_OPEN_WRITE;
    o.timeout_ms = 0;
    rc = azr_group_open(&g, "/d", &o, &err);
    if (rc == AZR_OK)
        rc = azr_group_check_consolidated(g, on_stale, NULL, &err);
    azr_group_close(g);
    if (rc == AZR_ENOTFOUND)
        return true;
    return rc < 0 ? act_failed("consolidated", rc, &err)
                  : scene_error()[0] == '\0';
}

/* What a creation left is in nobody's way. */
static bool create_again(const trial *t)
{
    azr_array_spec spec = act_spec(t->a, t->power);
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    int last = t->a->places - 1;
    int rc = azr_array_create(&a, act_places[last], &spec, NULL, &err);

    azr_array_close(a);
    return rc < 0 ? act_failed("create again", rc, &err) : true;
}

static bool writers_after(const trial *t, const view *was, unsigned turn)
{
    int n = t->a->places;
    debris d;

    for (int i = 0; i < n; i++) {
        int k = (i + (int)turn) % n;
        image now;

        if (!was->a[k].exists)
            continue;
        if (!write_to(t, k, &was->a[k], &now))
            return false;
    }
    if ((t->a->flags & ACT_CREATES) && !was->a[n - 1].exists &&
        !create_again(t))
        return false;
    if ((t->a->flags & ACT_CONSOLIDATED) && !copies_agree())
        return false;
    for (int k = 0; k < n; k++) {
        azr_array *a = NULL;
        bool ok;

        if (!was->a[k].exists)
            continue;
        ok = scene_open(&a, act_places[k], 0) && verify(a);
        azr_array_close(a);
        if (!ok)
            return false;
    }
    if (!is_clean(t, was, &d))
        return false;
    if (d.lost > 0 && !(t->a->flags & ACT_DAMAGED))
        return complain("something went to .azr/lost");
    return true;
}

/* `power`: what is there is what was, or what was going to be. */
static bool readers_after(const trial *t, view *v)
{
    if (!act_look(v, t->a))
        return false;
    for (uint32_t i = t->from; i <= t->to; i++) {
        if (view_same(v, &t->views[i]))
            return true;
    }
    for (uint32_t i = 0; i < t->from; i++) {
        if (view_same(v, &t->views[i]))
            return complain("step %" PRIu32 " was acknowledged and is gone",
                            i + 1);
    }
    return complain("neither the old nor the new state");
}

static bool check_power(const trial *t, const disk_image *disk, uint64_t hash,
                        view *v)
{
    disk_load(disk);
    disk_boot(t->level == 1 ? SECOND_BOOT : THIRD_BOOT);
    if (t->a->flags & ACT_DAMAGED)
        *v = t->views[t->from];
    else if (!readers_after(t, v))
        return false;
    if (!writers_after(t, v, (unsigned)(hash % 3)))
        return false;
    if (disk_open_count() != 0)
        return complain("%" PRIu32 " descriptors stay open", disk_open_count());
    return true;
}

/* ------------------------------------------------------------- process --- */

/* An array that was there before all this, of which no document has changed: it
 * works on, whatever became of its chunks. */
static bool works_on(const trial *t, int place, bool *refused)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_selection all = azr_select_all(1);
    azr_array_info info = {.struct_size = sizeof info};
    azr_array *a = NULL;
    int32_t v[SCENE_LENGTH];
    int32_t got[SCENE_LENGTH];
    bool ok;
    int rc;

    o.threads = 1;
    o.timeout_ms = 0;
    o.flags = AZR_OPEN_WRITE;
    rc = azr_array_open(&a, act_places[place], &o, &err);
    if (rc < 0 && (t->a->flags & ACT_DOCUMENTS) &&
        (rc == AZR_ECORRUPT || rc == AZR_ENOTFOUND)) {
        *refused = true;
        return true;
    }
    if (rc < 0)
        return act_failed("open after the loss", rc, &err);
    rc = azr_array_info_get(a, &info, &err);
    for (int i = 0; i < SCENE_LENGTH; i++)
        v[i] = 100 + i;
    if (rc == AZR_OK)
        rc = azr_array_write(a, &all, v, (size_t)info.shape[0] * sizeof v[0],
                             &err);
    if (rc == AZR_OK)
        rc = azr_array_read(a, &all, got, sizeof got, &err);
    if (rc < 0)
        ok = act_failed("use it after the loss", rc, &err);
    else if (memcmp(got, v, (size_t)info.shape[0] * sizeof v[0]) != 0)
        ok = complain("what was written after the loss reads otherwise");
    else
        ok = verify(a);
    azr_array_close(a);
    return ok;
}

static bool header_is_whole(const char *place)
{
    const disk_content *c;
    char path[64];

    (void)snprintf(path, sizeof path, "%s/.azr/state", place);
    c = disk_peek(path);
    return c && c->nbytes >= AZRI_ROWS_AT + 8 * AZRI_ROW_NBYTES &&
           memcmp(c->data, AZRI_STATE_MAGIC, 8) == 0;
}

/* `process`: no crash, no hang; a reader gets values or an error; a writer goes
 * on; what is left of a transaction is finished, or kept in lost/ and reported. */
static bool check_process(const trial *t, const disk_image *disk)
{
    bool whole[ACT_PLACES], refused = false;
    debris d;
    view v;

    disk_load(disk);
    disk_boot(SECOND_BOOT);
    if (!act_look(&v, t->a)) { /* an error is an answer */
        scene_error()[0] = '\0';
        t->count->refused++;
    } else if (!view_same(&v, &t->views[t->from]) &&
               !view_same(&v, &t->views[t->to])) {
        t->count->mixed++;
    }
    g_warnings = 0;
    for (int k = 0; k < t->a->places; k++) {
        char path[64];

        (void)snprintf(path, sizeof path, "%s/.azr/state", act_places[k]);
        whole[k] = !disk_peek(path) || header_is_whole(act_places[k]);
        if (t->views[0].a[k].exists && t->views[t->to].a[k].exists &&
            !works_on(t, k, &refused))
            return false;
        if (!refused && t->views[0].a[k].exists && !whole[k] && g_warnings == 0)
            return complain("a state without a header was built anew, and "
                            "nobody was told");
    }
    memset(&d, 0, sizeof d);
    if (!refused && !(t->a->flags & ACT_DOCUMENTS) &&
        !is_clean(t, &t->views[0], &d))
        return false;
    if (!refused && d.lost > 0) {
        t->count->lost++;
        if (g_warnings == 0)
            return complain("files went to .azr/lost, and nobody was told");
    }
    if (disk_open_count() != 0)
        return complain("%" PRIu32 " descriptors stay open", disk_open_count());
    return true;
}

/* ------------------------------------------------- the second power cut --- */

static bool cut_all(trial *t, const cut_plan *plan);

/* What comes after the loss: recovery, and one more write. */
static bool record_after(trial *next, const view *was)
{
    int place = 0;
    azr_array *a = NULL;
    bool ok;

    while (place < next->a->places && !was->a[place].exists)
        place++;
    next->views[0] = next->views[1] = *was;
    if (place == next->a->places)
        return false; /* nothing to go on with */
    image_put(&next->views[1].a[place], 5, 12, 7000);
    disk_log_begin();
    ok = scene_open(&a, act_places[place], AZR_OPEN_WRITE);
    next->begun[0] = 0;
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

    next->a = t->a;
    next->power = t->power;
    next->plan = t->plan;
    next->count = t->count;
    next->where = t->where;
    next->level = 2;
    disk_load(disk);
    disk_boot(SECOND_BOOT);
    if (!record_after(next, was))
        return scene_error()[0] == '\0';
    next->begun[1] = UINT32_MAX;
    next->to = 1;
    ok = cut_all(next, &t->plan->second);
    free(next->seen.slots);
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

static bool try_state(const cut *c, const uint8_t *choice, void *arg)
{
    trial *t = arg;
    disk_registered registers = disk_registers();
    size_t mark = disk_mark();
    disk_image disk = cut_image(c, choice);
    uint64_t hash = disk_image_hash(&disk);
    bool ok = true;
    view v;

    t->count->states++;
    if (seen_add(&t->seen, hash * 31 + t->from * 7 + t->to)) {
        t->count->distinct++;
        t->count->again += t->level > 1;
        ok = t->power ? check_power(t, &disk, hash, &v)
                      : check_process(t, &disk);
        if (ok && t->power && t->level == 1 && t->plan->seconds > 0 &&
            !(t->a->flags & ACT_DAMAGED) &&
            t->count->distinct % t->plan->seconds == 0) {
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
    uint32_t last = t->to;

    t->from = 0;
    for (uint32_t k = 0; k <= t->log.count; k++) {
        size_t mark = disk_mark();
        cut c;
        bool ok;

        if (k > 0 && t->log.events[k - 1].kind == DISK_MARK)
            t->from = t->log.events[k - 1].mark;
        if (k < t->log.count && t->log.events[k].kind == DISK_SYNC)
            t->count->syncs++;
        if (!is_cut_point(t, k) ||
            (t->level == 1 && t->from == 0 && (t->a->flags & ACT_UNSYNCED)))
            continue;
        for (t->to = t->from; t->to < last && t->begun[t->to] < k; t->to++)
            ;
        cut_make(&c, &t->log, k, t->power);
        t->count->cuts++;
        ok = cut_visit(&c, plan, try_state, t);
        disk_release(mark);
        if (!ok)
            return false;
    }
    t->to = last;
    return true;
}

static bool record(trial *t, const disk_image *base)
{
    stage s;
    bool ok;

    memset(&s, 0, sizeof s);
    s.power = t->power;
    disk_load(base);
    disk_boot(FIRST_BOOT);
    ok = ((t->a->flags & ACT_DAMAGED) || act_look(&t->views[0], t->a)) &&
         t->a->begin(t->a, &s);
    disk_log_begin();
    for (int i = 0; i < t->a->steps && ok; i++) {
        t->begun[i] = disk_log_count();
        disk_log_commits((uint32_t)i + 1);
        ok = t->a->step(t->a, &s, i);
        disk_log_mark((uint32_t)i + 1);
        disk_log_commits(0);
        ok = ok && act_look(&t->views[i + 1], t->a);
    }
    t->log = disk_log_end();
    t->to = (uint32_t)t->a->steps;
    if (t->a->flags & ACT_DAMAGED)
        t->views[0] = t->views[1];
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
    s.power = t->power;
    ok = act_look(&t->views[0], t->a) && t->a->begin(t->a, &s);
    disk_log_begin();
    disk_log_commits(1);
    *over = true;
    if (setjmp(dead) == 0) {
        disk_log_stop_at(at, &dead);
        ok = ok && t->a->step(t->a, &s, 0);
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
    for (int k = 0; k < t->a->places && ok; k++)
        ok = scene_open(&a[k], act_places[k], AZR_OPEN_WRITE);
    disk_log_mark(1);
    disk_log_commits(0);
    ok = ok && act_look(&t->views[1], t->a);
    t->views[2] = t->views[1];
    image_put(&t->views[2].a[0], 1, 6, 9000);
    t->begun[0] = 0;
    t->begun[1] = disk_log_count();
    t->begun[2] = UINT32_MAX;
    disk_log_commits(2);
    ok = ok && scene_write(a[0], 1, 6, 9000);
    disk_log_mark(2);
    disk_log_commits(0);
    t->log = disk_log_end();
    t->to = 2;
    for (int k = 0; k < t->a->places; k++)
        azr_array_close(a[k]);
    return ok;
}

static bool run_killed(trial *t, const disk_image *base)
{
    disk_registered registers = disk_registers();
    uint32_t n, step;
    bool over = false, ok;
    size_t mark = disk_mark();

    ok = record_killed(t, base, UINT32_MAX, &over);
    n = t->begun[1]; /* about as many events has the act */
    disk_release(mark);
    disk_registers_restore(registers);
    step = t->plan->kills < n ? n / t->plan->kills + 1 : 1;
    for (uint32_t at = 1; ok && at < n; at += step) {
        ok = record_killed(t, base, at, &over) && cut_all(t, &t->plan->first);
        disk_release(mark);
        disk_registers_restore(registers);
        if (over)
            break;
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
    t.a = a;
    t.power = power;
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
    azr_set_log(on_log, AZR_LOG_WARNING, NULL);
    ok = !a->make || a->make(a, power);
    base = disk_freeze();
    if (!ok)
        return false;
    if ((a->flags & ACT_KILLED))
        ok = run_killed(&t, &base);
    else
        ok = record(&t, &base) && cut_all(&t, &plan->first);
    free(t.seen.slots);
    return ok;
}
