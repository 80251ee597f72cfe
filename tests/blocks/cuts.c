/* SPDX-License-Identifier: Apache-2.0 */
#include "blocks/cuts.h"

#include "blocks/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct walk {
    tape *t;
    const cuts_plan *plan;
    cuts_fn fn;
    void *arg;
    uint64_t seed;
    uint64_t base_hash;
    uint8_t *kept; /* as many as there are events */
    uint32_t first, flush;
} walk;

/* ----------------------------------------------------------------- pages --- */

static uint64_t page_hash(const uint8_t *bytes, size_t page)
{
    uint64_t h = (page + 1) * 0x9e3779b97f4a7c15u;

    for (size_t i = 0; i < TAPE_PAGE; i += 8) {
        uint64_t word;

        memcpy(&word, bytes + page * TAPE_PAGE + i, sizeof word);
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    return h;
}

/* Bytes from..to-1 of what event `e` wrote. */
static void put(const tape *t, uint8_t *disk, const tape_event *e, size_t from,
                size_t to)
{
    const uint8_t *bytes = tape_bytes(t, e);

    if (bytes)
        memcpy(disk + e->off + from, bytes + from, to - from);
    else
        memset(disk + e->off + from, 0, to - from);
}

static void pages_of(const tape_event *e, size_t *first, size_t *end)
{
    *first = e->off / TAPE_PAGE;
    *end = e->nbytes == 0 ? *first : (e->off + e->nbytes - 1) / TAPE_PAGE + 1;
}

static void mark_dirty(tape *t, const tape_event *e)
{
    size_t first, end;

    pages_of(e, &first, &end);
    memset(t->dirty + first, TAPE_DIRTY, end - first);
}

/* Its writes are safe from now on. */
static void make_safe(walk *w, const tape_event *e)
{
    size_t first, end;

    if (e->kind != TAPE_WRITE)
        return;
    pages_of(e, &first, &end);
    for (size_t p = first; p < end; p++)
        w->base_hash ^= page_hash(w->t->base, p);
    put(w->t, w->t->base, e, 0, e->nbytes);
    for (size_t p = first; p < end; p++)
        w->base_hash ^= page_hash(w->t->base, p);
    mark_dirty(w->t, e);
}

static size_t next_dirty(const tape *t, size_t page)
{
    size_t pages = t->nbytes / TAPE_PAGE;
    const uint8_t *at =
        page < pages ? memchr(t->dirty + page, TAPE_DIRTY, pages - page) : NULL;

    return at ? (size_t)(at - t->dirty) : SIZE_MAX;
}

static void load(const walk *w, cuts_state *s)
{
    tape *t = w->t;

    for (size_t p = next_dirty(t, 0); p != SIZE_MAX; p = next_dirty(t, p + 1)) {
        memcpy(t->now + p * TAPE_PAGE, t->base + p * TAPE_PAGE, TAPE_PAGE);
        t->dirty[p] = TAPE_CLEAN;
    }
    s->last = s->first;
    for (uint32_t i = s->first; i < s->flush; i++) {
        const tape_event *e = &t->log->events[i];

        if (e->kind != TAPE_WRITE || !s->kept[i])
            continue;
        if (i == s->torn)
            put(t, t->now, e, s->from, s->to);
        else
            put(t, t->now, e, 0, e->nbytes);
        mark_dirty(t, e);
        s->last = i + 1;
    }
    s->hash = w->base_hash;
    for (size_t p = next_dirty(t, 0); p != SIZE_MAX; p = next_dirty(t, p + 1))
        s->hash ^= page_hash(t->base, p) ^ page_hash(t->now, p);
}

/* --------------------------------------------------------------- choices --- */

static bool try_torn(walk *w, uint32_t torn, size_t from, size_t to, bool harsh)
{
    cuts_state s = {
        .flush = w->flush,
        .first = w->first,
        .kept = w->kept,
        .torn = torn,
        .from = from,
        .to = to,
        .harsh = harsh,
    };

    load(w, &s);
    return w->fn(&s, w->arg);
}

static bool try_kept(walk *w)
{
    return try_torn(w, UINT32_MAX, 0, 0, false);
}

static void keep(walk *w, uint32_t from, uint32_t to, uint8_t how)
{
    memset(w->kept + from, how, to - from);
}

/* The i-th of at most `limit` among n, spread evenly; all if they fit. */
static uint32_t spread(uint32_t i, uint32_t n, uint32_t limit)
{
    return n <= limit ? i : (uint32_t)((uint64_t)i * n / limit);
}

static uint32_t at_most(uint32_t n, uint32_t limit)
{
    return n < limit ? n : limit;
}

static bool try_prefixes(walk *w, uint32_t n)
{
    uint32_t count = at_most(n, w->plan->prefixes);

    for (uint32_t i = 0; i < count; i++) {
        keep(w, w->first, w->flush, 0);
        keep(w, w->first, w->first + spread(i, n, count), 1);
        if (!try_kept(w))
            return false;
    }
    keep(w, w->first, w->flush, 1);
    return try_kept(w);
}

static bool try_alone(walk *w, uint32_t n)
{
    uint32_t count = at_most(n, w->plan->alone);

    for (uint32_t i = 0; i < count && n > 1; i++) {
        uint32_t at = w->first + spread(i, n, count);

        keep(w, w->first, w->flush, 1);
        w->kept[at] = 0;
        if (!try_kept(w))
            return false;
        keep(w, w->first, w->flush, 0);
        w->kept[at] = 1;
        if (!try_kept(w))
            return false;
    }
    return true;
}

static void keep_any(walk *w)
{
    uint64_t odds = 1 + world_random(&w->seed) % 7;

    for (uint32_t i = w->first; i < w->flush; i++)
        w->kept[i] = world_random(&w->seed) % 8 < odds;
}

static bool try_random(walk *w, uint32_t n)
{
    for (uint32_t i = 0; i < w->plan->random && n > 2; i++) {
        keep_any(w);
        if (!try_kept(w))
            return false;
    }
    return true;
}

/* A write of which a part is there: its begin, its end, or from its middle. */
static bool tear(walk *w, size_t unit)
{
    uint32_t at =
        w->first + (uint32_t)(world_random(&w->seed) % (w->flush - w->first));
    const tape_event *e = &w->t->log->events[at];
    size_t units = e->nbytes / unit, from, to;

    if (e->kind != TAPE_WRITE || units < 2)
        return true;
    if (world_random(&w->seed) % 2) {
        keep(w, w->first, w->flush, 0);
        keep(w, w->first, at, 1);
    } else {
        keep_any(w);
    }
    w->kept[at] = 1;
    from = (size_t)(world_random(&w->seed) % units);
    to = from + 1 + (size_t)(world_random(&w->seed) % (units - from));
    if (world_random(&w->seed) % 2)
        from = 0;
    return try_torn(w, at, from * unit, to * unit, unit < TAPE_PAGE);
}

static bool try_tears(walk *w)
{
    for (uint32_t i = 0; i < w->plan->torn; i++) {
        if (!tear(w, TAPE_PAGE))
            return false;
    }
    for (uint32_t i = 0; i < w->plan->sectors; i++) {
        if (!tear(w, 512))
            return false;
    }
    return true;
}

bool cuts_visit(tape *t, const cuts_plan *plan, cuts_fn fn, void *arg)
{
    walk w = {.t = t, .plan = plan, .fn = fn, .arg = arg, .seed = plan->seed};
    uint32_t count = tape_count(t);
    bool ok = true;

    w.kept = calloc(count + 1, 1);
    if (!w.kept)
        return false;
    for (uint32_t i = 0; i <= count && ok; i++) {
        uint32_t n = i - w.first;

        if (i < count && (t->log->events[i].kind != TAPE_FLUSH || plan->lies))
            continue;
        w.flush = i;
        ok = try_prefixes(&w, n) && try_alone(&w, n) && try_random(&w, n) &&
             (n == 0 || try_tears(&w));
        for (uint32_t k = w.first; k < i; k++)
            make_safe(&w, &t->log->events[k]);
        w.first = i + 1;
    }
    free(w.kept);
    return ok;
}

void cuts_text(char *out, size_t room, const tape *t, const cuts_state *s)
{
    size_t used = 0;
    uint32_t lost = 0;

    (void)snprintf(out, room,
                   "before event %" PRIu32 " of %" PRIu32 ", lost:", s->flush,
                   tape_count(t));
    for (uint32_t i = s->first; i < s->flush; i++) {
        const tape_event *e = &t->log->events[i];

        used = strlen(out);
        if (e->kind != TAPE_WRITE || (s->kept[i] && i != s->torn))
            continue;
        if (lost++ < 12 && used < room)
            (void)snprintf(out + used, room - used, " %" PRIu32 "%s(%zu+%zu)",
                           i, i == s->torn ? " in part " : "", e->off / 512,
                           e->nbytes / 512);
    }
    used = strlen(out);
    if (used < room)
        (void)snprintf(out + used, room - used, " (%" PRIu32 " of %" PRIu32 ")",
                       lost, s->flush - s->first);
}
