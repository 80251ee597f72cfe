/* SPDX-License-Identifier: Apache-2.0 */
#include "power/cut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSIONS 64u

/* ------------------------------------------------------------- synced --- */

static bool touches(const disk_event *e, int32_t dir)
{
    for (int k = 0; k < 2; k++) {
        if (e->name[k] >= 0 && disk_name_at((uint32_t)e->name[k])->dir == dir)
            return true;
    }
    return false;
}

static bool is_synced_by(const disk_event *e, const disk_event *sync)
{
    if (sync->inode == DISK_NONE)
        return true;
    if (e->kind == DISK_NAMES2)
        return touches(e, sync->inode);
    return e->inode == sync->inode;
}

static void find_synced(cut *c)
{
    c->synced = disk_take(c->at * sizeof *c->synced);
    for (uint32_t s = 0; s < c->at; s++) {
        const disk_event *sync = &c->log->events[s];

        if (sync->kind != DISK_SYNC)
            continue;
        for (uint32_t i = 0; i < s; i++) {
            if (!c->synced[i] && is_synced_by(&c->log->events[i], sync))
                c->synced[i] = true;
        }
    }
}

/* ------------------------------------------------------------ floor --- */

static void apply_data(uint8_t *data, size_t room, uint32_t sector,
                       const uint8_t *bytes)
{
    size_t at = sector * DISK_SECTOR;

    if (at < room)
        memcpy(data + at, bytes,
               room - at < DISK_SECTOR ? room - at : DISK_SECTOR);
}

/* The largest that inode i ever is up to the cut. */
static size_t most_bytes(const cut *c, int32_t i)
{
    size_t most =
        (uint32_t)i < c->log->base.inodes ? c->log->base.content[i].nbytes : 0;

    for (uint32_t k = 0; k < c->at; k++) {
        const disk_event *e = &c->log->events[k];

        if (e->kind == DISK_SIZE && e->inode == i && e->nbytes > most)
            most = e->nbytes;
    }
    return most;
}

/* Of an inode that the log changes: what was synced, in room for all of it. */
static void make_floor(cut *c, int32_t i)
{
    size_t most = most_bytes(c, i), n = 0;
    uint8_t *data = disk_take(most > 0 ? most : 1);

    if ((uint32_t)i < c->log->base.inodes) {
        n = c->log->base.content[i].nbytes;
        if (n > 0)
            memcpy(data, c->log->base.content[i].data, n);
    }
    for (uint32_t k = 0; k < c->at; k++) {
        const disk_event *e = &c->log->events[k];

        if (!c->synced[k] || e->inode != i)
            continue;
        if (e->kind == DISK_SIZE)
            n = e->nbytes;
        else if (e->kind == DISK_DATA)
            apply_data(data, most, e->sector, e->bytes);
    }
    c->floor[i].data = data;
    c->floor[i].nbytes = n;
}

static void make_floors(cut *c)
{
    bool *changed;

    c->inodes = disk_inode_count();
    c->names = disk_name_count();
    c->floor = disk_take(c->inodes * sizeof *c->floor);
    changed = disk_take(c->inodes * sizeof *changed);
    for (uint32_t i = 0; i < c->log->base.inodes; i++)
        c->floor[i] = c->log->base.content[i];
    for (uint32_t k = 0; k < c->at; k++) {
        const disk_event *e = &c->log->events[k];

        if ((e->kind == DISK_DATA || e->kind == DISK_SIZE) &&
            !changed[e->inode]) {
            changed[e->inode] = true;
            make_floor(c, e->inode);
        }
    }
}

/* -------------------------------------------------------------- parts --- */

/* Can a name lead to it, whatever is lost? */
static bool is_ever_named(const cut *c, int32_t i)
{
    for (uint32_t n = 0; n < c->log->base.names; n++) {
        if (c->log->base.target[n] == i)
            return true;
    }
    for (uint32_t k = 0; k < c->at; k++) {
        const disk_event *e = &c->log->events[k];

        for (int t = 0; t < 2; t++) {
            if (e->kind == DISK_NAMES2 && e->name[t] >= 0 && e->target[t] == i)
                return true;
        }
    }
    return false;
}

static cut_part *part_of(cut *c, const disk_event *e)
{
    cut_part *p;

    for (uint32_t k = 0; k < c->parts; k++) {
        p = &c->part[k];
        if (p->kind == e->kind && p->inode == e->inode &&
            p->sector == e->sector)
            return p;
    }
    if (c->parts == CUT_PARTS) {
        (void)fprintf(stderr, "a cut has too many parts\n");
        abort();
    }
    p = &c->part[c->parts++];
    p->kind = e->kind;
    p->inode = e->inode;
    p->sector = e->sector;
    p->count = 1;
    p->bytes = disk_take(VERSIONS * sizeof *p->bytes);
    p->sizes = disk_take(VERSIONS * sizeof *p->sizes);
    p->events = disk_take(VERSIONS * sizeof *p->events);
    return p;
}

static const uint8_t *floor_sector(const cut *c, const disk_event *e)
{
    size_t at = e->sector * DISK_SECTOR, most = most_bytes(c, e->inode);
    uint8_t *copy = disk_take(DISK_SECTOR);

    if (at < most)
        memcpy(copy, c->floor[e->inode].data + at,
               most - at < DISK_SECTOR ? most - at : DISK_SECTOR);
    return copy;
}

static const uint8_t *garbage_sector(void)
{
    static uint8_t g[DISK_SECTOR];

    memset(g, 0xA5, sizeof g);
    return g;
}

/* Was anything of this sector ever on the disk? */
static bool is_virgin(const cut *c, const disk_event *e)
{
    if ((uint32_t)e->inode < c->log->base.inodes)
        return false;
    for (uint32_t k = 0; k < c->at; k++) {
        const disk_event *o = &c->log->events[k];

        if (c->synced[k] && o->inode == e->inode)
            return false;
    }
    return true;
}

static void version_add(cut_part *p, const disk_event *e, uint32_t event)
{
    uint32_t v = p->count < VERSIONS ? p->count++ : VERSIONS - 1;

    p->bytes[v] = e->bytes;
    p->sizes[v] = e->nbytes;
    p->events[v] = event;
}

static void add_version(cut *c, uint32_t k)
{
    const disk_event *e = &c->log->events[k];
    cut_part *p = part_of(c, e);

    if (p->count == 1 && e->kind == DISK_DATA) {
        p->bytes[0] = floor_sector(c, e);
        if (c->garbage && is_virgin(c, e)) {
            disk_event g = *e;

            g.bytes = garbage_sector();
            version_add(p, &g, k);
        }
    } else if (p->count == 1) {
        p->sizes[0] = c->floor[e->inode].nbytes;
    }
    if (e->kind == DISK_DATA &&
        memcmp(p->bytes[p->count - 1], e->bytes, DISK_SECTOR) == 0)
        return;
    if (e->kind == DISK_SIZE && p->sizes[p->count - 1] == e->nbytes)
        return;
    version_add(p, e, k);
}

static void add_names(cut *c, uint32_t k)
{
    disk_event e = {.kind = DISK_NAMES2, .inode = (int32_t)k};
    cut_part *p = part_of(c, &e);

    p->event = k;
    p->count = 2;
}

void cut_make(cut *c, const disk_log *log, uint32_t at, bool garbage)
{
    memset(c, 0, sizeof *c);
    c->garbage = garbage;
    c->log = log;
    c->at = at;
    c->part = disk_take(CUT_PARTS * sizeof *c->part);
    find_synced(c);
    make_floors(c);
    for (uint32_t k = 0; k < at; k++) {
        const disk_event *e = &log->events[k];

        if (c->synced[k])
            continue;
        if (e->kind == DISK_NAMES2)
            add_names(c, k);
        else if ((e->kind == DISK_DATA || e->kind == DISK_SIZE) &&
                 is_ever_named(c, e->inode))
            add_version(c, k);
    }
    c->states = 1;
    for (uint32_t k = 0; k < c->parts; k++)
        c->states *= c->part[k].count;
}

/* ------------------------------------------------------------- images --- */

static void apply_names(int32_t *target, const disk_event *e)
{
    for (int k = 0; k < 2; k++) {
        if (e->name[k] >= 0 && e->was[k] >= 0 &&
            target[e->name[k]] != e->was[k])
            return; /* what it moves never came there */
    }
    for (int k = 0; k < 2; k++) {
        if (e->name[k] >= 0)
            target[e->name[k]] = e->target[k];
    }
}

static const int32_t *names_of(const cut *c, const bool *lost)
{
    int32_t *target = disk_take(c->names * sizeof *target);

    for (uint32_t n = 0; n < c->names; n++)
        target[n] = n < c->log->base.names ? c->log->base.target[n] : DISK_NONE;
    for (uint32_t k = 0; k < c->at; k++) {
        const disk_event *e = &c->log->events[k];

        if (e->kind == DISK_NAMES2 && !lost[k])
            apply_names(target, e);
    }
    return target;
}

/* Inode of part p gets content of its own in `content`. */
static uint8_t *content_of(const cut *c, disk_content *content, bool *own,
                           int32_t i)
{
    size_t most = most_bytes(c, i);
    uint8_t *data;

    if (own[i])
        return (uint8_t *)(uintptr_t)content[i].data;
    data = disk_take(most > 0 ? most : 1);
    if (most > 0)
        memcpy(data, c->floor[i].data, most);
    own[i] = true;
    content[i].data = data;
    return data;
}

disk_image cut_image(const cut *c, const uint8_t *choice)
{
    disk_image image = {.names = c->names, .inodes = c->inodes};
    disk_content *content = disk_take(c->inodes * sizeof *content);
    bool *own = disk_take(c->inodes * sizeof *own);
    bool *lost = disk_take((c->at + 1) * sizeof *lost);

    memcpy(content, c->floor, c->inodes * sizeof *content);
    for (uint32_t k = 0; k < c->parts; k++) {
        const cut_part *p = &c->part[k];
        uint32_t v = choice[k];

        if (p->kind == DISK_NAMES2) {
            lost[p->event] = v == 0;
        } else if (p->kind == DISK_SIZE) {
            (void)content_of(c, content, own, p->inode);
            content[p->inode].nbytes = p->sizes[v];
        } else if (v > 0) {
            apply_data(content_of(c, content, own, p->inode),
                       most_bytes(c, p->inode), p->sector, p->bytes[v]);
        }
    }
    image.content = content;
    image.target = names_of(c, lost);
    return image;
}

/* ------------------------------------------------------------- people --- */

static void name_text(char out[256], const cut *c, int32_t inode)
{
    uint8_t all[CUT_PARTS];
    disk_image image;
    size_t mark = disk_mark();

    (void)snprintf(out, 256, "inode %d", inode);
    for (uint32_t k = 0; k < c->parts; k++)
        all[k] = (uint8_t)(c->part[k].count - 1);
    image = cut_image(c, all);
    for (uint32_t n = 0; n < image.names; n++) {
        if (image.target[n] == inode)
            disk_path(out, &image, n);
    }
    disk_release(mark);
}

static void add_text(char *out, size_t nbytes, const char *text)
{
    size_t n = strlen(out);

    (void)snprintf(out + n, nbytes - n, "%s%s", n > 0 ? "; " : "", text);
}

static void names_text(char *out, size_t nbytes, const cut *c,
                       const disk_event *e)
{
    char path[2][256] = {"", ""};

    for (int k = 0; k < 2; k++) {
        if (e->name[k] >= 0)
            disk_path(path[k], &c->log->base, (uint32_t)e->name[k]);
    }
    (void)snprintf(out, nbytes, "%s %.120s%s%.120s", e->label, path[0],
                   path[1][0] ? " to " : "", path[1]);
}

void cut_text(char *out, size_t nbytes, const cut *c, const uint8_t *choice)
{
    char text[700], name[256];

    out[0] = '\0';
    for (uint32_t k = 0; k < c->parts; k++) {
        const cut_part *p = &c->part[k];

        if (choice[k] == p->count - 1)
            continue;
        if (p->kind == DISK_NAMES2) {
            names_text(text, sizeof text, c, &c->log->events[p->event]);
        } else {
            name_text(name, c, p->inode);
            (void)snprintf(text, sizeof text, "%s of %.200s (%u of %u)",
                           p->kind == DISK_SIZE ? "size" : "bytes", name,
                           (unsigned)choice[k], (unsigned)(p->count - 1));
            if (p->kind == DISK_DATA)
                (void)snprintf(text, sizeof text,
                               "sector %u of %.200s (%u of %u)",
                               (unsigned)p->sector, name, (unsigned)choice[k],
                               (unsigned)(p->count - 1));
        }
        add_text(out, nbytes, text);
    }
    if (out[0] == '\0')
        (void)snprintf(out, nbytes, "nothing");
}

/* ----------------------------------------------------------- choices --- */

static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static void keep_all(const cut *c, uint8_t *choice)
{
    for (uint32_t k = 0; k < c->parts; k++)
        choice[k] = (uint8_t)(c->part[k].count - 1);
}

static bool visit_all(const cut *c, uint8_t *choice, cut_fn fn, void *arg)
{
    keep_all(c, choice);
    for (;;) {
        uint32_t k = 0;

        if (!fn(c, choice, arg))
            return false;
        while (k < c->parts && choice[k] == 0) {
            choice[k] = (uint8_t)(c->part[k].count - 1);
            k++;
        }
        if (k == c->parts)
            return true;
        choice[k]--;
    }
}

/* One part in an older version; and one part kept, all others lost. */
static bool visit_single(const cut *c, uint8_t *choice, cut_fn fn, void *arg)
{
    for (uint32_t k = 0; k < c->parts; k++) {
        for (uint32_t v = 0; v < c->part[k].count; v++) {
            keep_all(c, choice);
            choice[k] = (uint8_t)v;
            if (!fn(c, choice, arg))
                return false;
            memset(choice, 0, c->parts);
            choice[k] = (uint8_t)v;
            if (!fn(c, choice, arg))
                return false;
        }
    }
    return true;
}

/* The parts in their order: the first n kept, or the last n. */
static bool visit_prefixes(const cut *c, uint8_t *choice, cut_fn fn, void *arg)
{
    for (int last = 0; last < 2; last++) {
        for (uint32_t n = 0; n <= c->parts; n++) {
            for (uint32_t k = 0; k < c->parts; k++) {
                bool kept = last ? k >= n : k < n;

                choice[k] = kept ? (uint8_t)(c->part[k].count - 1) : 0;
            }
            if (!fn(c, choice, arg))
                return false;
        }
    }
    return true;
}

/* Two parts lost, all others kept; and the other way round. */
static bool visit_pairs(const cut *c, uint8_t *choice, uint32_t most, cut_fn fn,
                        void *arg)
{
    uint32_t done = 0;

    for (uint32_t a = 0; a < c->parts; a++) {
        for (uint32_t b = a + 1; b < c->parts && done < most; b++) {
            keep_all(c, choice);
            choice[a] = choice[b] = 0;
            if (!fn(c, choice, arg))
                return false;
            memset(choice, 0, c->parts);
            choice[a] = (uint8_t)(c->part[a].count - 1);
            choice[b] = (uint8_t)(c->part[b].count - 1);
            if (!fn(c, choice, arg))
                return false;
            done += 2;
        }
    }
    return true;
}

/* Mostly kept, mostly lost, or half and half. */
static bool visit_random(const cut *c, uint8_t *choice, const cut_plan *plan,
                         cut_fn fn, void *arg)
{
    uint64_t seed = plan->seed ^ (uint64_t)c->at << 32 ^ c->parts;

    for (uint32_t n = 0; n < plan->random; n++) {
        static const uint32_t odds[] = {8, 4, 2, 2};
        uint32_t odd = odds[next_random(&seed) % 4];
        bool lose = next_random(&seed) % 2;

        for (uint32_t k = 0; k < c->parts; k++) {
            uint32_t last = c->part[k].count - 1;
            uint64_t r = next_random(&seed);

            choice[k] = lose ? 0 : (uint8_t)last;
            if (r % odd == 0)
                choice[k] = (uint8_t)((r >> 32) % (last + 1));
        }
        if (!fn(c, choice, arg))
            return false;
    }
    return true;
}

bool cut_visit(const cut *c, const cut_plan *plan, cut_fn fn, void *arg)
{
    cut_choice choice;

    if (c->states <= plan->all)
        return visit_all(c, choice, fn, arg);
    return visit_single(c, choice, fn, arg) &&
           visit_prefixes(c, choice, fn, arg) &&
           visit_pairs(c, choice, plan->pairs, fn, arg) &&
           visit_random(c, choice, plan, fn, arg);
}
