/* SPDX-License-Identifier: Apache-2.0 */
/* Registers, images, the live disk and its log. */
#include "power/disk_local.h"

#include "os/file.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void die(const char *why)
{
    (void)fprintf(stderr, "model disk: %s\n", why);
    abort();
}

/* ------------------------------------------------------------- memory --- */

#define STACK_NBYTES ((size_t)1 << 31)

static uint8_t *g_stack;
static size_t g_used;

static uint8_t *take(size_t nbytes)
{
    uint8_t *p;

    if (!g_stack) {
        void *m = mmap(NULL, STACK_NBYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (m == MAP_FAILED)
            die("no memory");
        g_stack = m;
    }
    nbytes = (nbytes + 63) & ~(size_t)63;
    if (nbytes > STACK_NBYTES - g_used)
        die("the stack is full");
    p = g_stack + g_used;
    g_used += nbytes;
    return p;
}

size_t disk_mark(void)
{
    return g_used;
}

void disk_release(size_t mark)
{
    g_used = mark;
}

void *disk_take(size_t nbytes)
{
    uint8_t *p = take(nbytes);

    memset(p, 0, nbytes);
    return p;
}

/* ---------------------------------------------------------- registers --- */

#define BUCKETS 16384u

static disk_name g_names[DISK_NAMES];
static char g_texts[DISK_NAMES][48];
static uint32_t g_name_count;
static int32_t g_bucket[BUCKETS]; /* name + 1 */
static disk_inode g_inodes[DISK_NODES];
static uint32_t g_inode_count;

live_inode disk_inodes[DISK_NODES];
int32_t disk_targets[DISK_NAMES];

uint32_t disk_name_count(void)
{
    return g_name_count;
}

const disk_name *disk_name_at(uint32_t i)
{
    return &g_names[i];
}

uint32_t disk_inode_count(void)
{
    return g_inode_count;
}

const disk_inode *disk_inode_at(int32_t i)
{
    return &g_inodes[i];
}

static uint32_t bucket_of(int32_t dir, const char *name)
{
    uint32_t h = (uint32_t)dir * 2654435761u;

    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 16777619u;
    return (h ^ h >> 15) % BUCKETS;
}

static int32_t name_find(int32_t dir, const char *name, uint32_t *at)
{
    for (*at = bucket_of(dir, name);; *at = (*at + 1) % BUCKETS) {
        int32_t i = g_bucket[*at] - 1;

        if (i < 0 ||
            (g_names[i].dir == dir && strcmp(g_names[i].name, name) == 0))
            return i;
    }
}

int32_t disk_name_of(int32_t dir, const char *name)
{
    uint32_t at;
    int32_t i = name_find(dir, name, &at);

    if (i >= 0)
        return i;
    if (g_name_count == DISK_NAMES || strlen(name) >= sizeof g_texts[0])
        die("too many names, or too long");
    i = (int32_t)g_name_count++;
    (void)snprintf(g_texts[i], sizeof g_texts[i], "%s", name);
    g_names[i].dir = dir;
    g_names[i].name = g_texts[i];
    g_bucket[at] = i + 1;
    disk_targets[i] = DISK_NONE;
    return i;
}

disk_registered disk_registers(void)
{
    disk_registered r = {g_name_count, g_inode_count};

    return r;
}

/* The last in are the first out, so no probe sequence is broken. */
void disk_registers_restore(disk_registered r)
{
    while (g_name_count > r.names) {
        const disk_name *n = &g_names[g_name_count - 1];
        uint32_t at;

        (void)name_find(n->dir, n->name, &at);
        g_bucket[at] = 0;
        g_name_count--;
    }
    g_inode_count = r.inodes;
}

/* ---------------------------------------------------------- live disk --- */

typedef struct mapping {
    const uint8_t *p;
    int32_t inode;
    uint32_t count;
} mapping;

#define MAPS 64u

static mapping g_maps[MAPS];
static uint32_t g_map_count;
static uint64_t g_time = 1000000;

static struct {
    bool on;
    disk_event *events;
    uint32_t count, room;
    disk_image base;
    uint32_t commit_mark;
    uint32_t stop_at;
    void *stop_to;
} g_log;

static uint64_t now(void)
{
    return ++g_time;
}

static void inode_reset(live_inode *l)
{
    memset(l, 0, sizeof *l);
    l->parent = DISK_NONE;
    l->name = DISK_NONE;
    l->flock_fd = -1;
    l->written = l->changed = 1000;
}

int32_t disk_inode_new(bool is_dir, mode_t mode)
{
    int32_t i = (int32_t)g_inode_count;

    if (g_inode_count == DISK_NODES)
        die("too many inodes");
    g_inode_count++;
    g_inodes[i].is_dir = is_dir;
    g_inodes[i].mode = mode;
    g_inodes[i].gid = 0;
    inode_reset(&disk_inodes[i]);
    disk_inodes[i].written = disk_inodes[i].changed = now();
    return i;
}

void disk_inode_mode(int32_t i, mode_t mode, gid_t gid)
{
    g_inodes[i].mode = mode;
    g_inodes[i].gid = gid;
    disk_inodes[i].changed = now();
}

int32_t disk_name_to(int32_t i)
{
    for (uint32_t n = 0; n < g_name_count; n++) {
        if (disk_targets[n] == i)
            return (int32_t)n;
    }
    return DISK_NONE;
}

static void live_reset(void)
{
    calls_reset();
    g_map_count = 0;
    g_log.on = false;
}

void disk_format(void)
{
    memset(g_bucket, 0, sizeof g_bucket);
    g_name_count = g_inode_count = 0;
    live_reset();
    (void)disk_inode_new(true, 0755);
    disk_inodes[DISK_ROOT].parent = DISK_ROOT;
}

void disk_load(const disk_image *image)
{
    live_reset();
    for (uint32_t i = 0; i < g_inode_count; i++) {
        live_inode *l = &disk_inodes[i];

        inode_reset(l);
        if (i < image->inodes) {
            /* copied before the first change */
            memcpy(&l->data, &image->content[i].data, sizeof l->data);
            l->nbytes = l->room = image->content[i].nbytes;
        }
    }
    for (uint32_t n = 0; n < g_name_count; n++) {
        int32_t to = n < image->names ? image->target[n] : DISK_NONE;

        disk_targets[n] = to;
        if (to < 0)
            continue;
        disk_inodes[to].links++;
        if (g_inodes[to].is_dir) {
            disk_inodes[to].parent = g_names[n].dir;
            disk_inodes[to].name = (int32_t)n;
        }
    }
    disk_inodes[DISK_ROOT].parent = DISK_ROOT;
}

disk_image disk_freeze(void)
{
    disk_image image = {.names = g_name_count, .inodes = g_inode_count};
    int32_t *target = disk_take(g_name_count * sizeof *target);
    disk_content *content = disk_take(g_inode_count * sizeof *content);

    memcpy(target, disk_targets, g_name_count * sizeof *target);
    for (uint32_t i = 0; i < g_inode_count; i++) {
        const live_inode *l = &disk_inodes[i];

        content[i].nbytes = l->nbytes;
        content[i].data = l->data;
        if (l->own && l->nbytes > 0) {
            uint8_t *copy = take(l->nbytes);

            memcpy(copy, l->data, l->nbytes);
            content[i].data = copy;
        }
    }
    image.target = target;
    image.content = content;
    return image;
}

/* Room for `nbytes` of its own, what is there kept. */
static void make_own(live_inode *l, size_t nbytes)
{
    size_t room = nbytes > l->nbytes ? nbytes : l->nbytes;
    uint8_t *p;

    if (l->own && l->room >= room)
        return;
    if (l->mapped)
        die("a mapped file outgrows its map");
    if (room < 256)
        room = 256;
    p = take(room);
    if (l->nbytes > 0)
        memcpy(p, l->data, l->nbytes);
    l->data = p;
    l->room = room;
    l->own = true;
}

/* ------------------------------------------------------------ the log --- */

#define EVENTS 65536u

static disk_event *event_new(disk_kind kind, const char *label)
{
    disk_event *e;

    if (g_log.count == g_log.room)
        die("the log is full");
    e = &g_log.events[g_log.count];
    memset(e, 0, sizeof *e);
    e->kind = kind;
    e->label = label;
    e->inode = DISK_NONE;
    e->name[0] = e->name[1] = DISK_NONE;
    return e;
}

/* It is complete. */
static void event_end(void)
{
    g_log.count++;
    if (g_log.stop_to && g_log.count >= g_log.stop_at) {
        jmp_buf *to = g_log.stop_to;

        g_log.stop_to = NULL;
        longjmp(*to, 1);
    }
}

static void log_sector(const char *label, int32_t i, size_t sector)
{
    const live_inode *l = &disk_inodes[i];
    size_t at = sector * DISK_SECTOR;
    size_t n = l->nbytes > at ? l->nbytes - at : 0;
    uint8_t *copy = disk_take(DISK_SECTOR);
    disk_event *e = event_new(DISK_DATA, label);

    memcpy(copy, l->data + at, n < DISK_SECTOR ? n : DISK_SECTOR);
    e->inode = i;
    e->sector = (uint32_t)sector;
    e->bytes = copy;
    event_end();
}

void disk_catch_up(const char *label, int32_t i, size_t first, size_t end)
{
    live_inode *l = &disk_inodes[i];

    if (!g_log.on || !l->shadow)
        return;
    if (end > l->nbytes)
        end = l->nbytes;
    for (size_t at = first / DISK_SECTOR * DISK_SECTOR; at < end;
         at += DISK_SECTOR) {
        size_t n = l->nbytes - at < DISK_SECTOR ? l->nbytes - at : DISK_SECTOR;

        if (memcmp(l->data + at, l->shadow + at, n) == 0)
            continue;
        memcpy(l->shadow + at, l->data + at, n);
        log_sector(label, i, at / DISK_SECTOR);
    }
}

static void catch_up_all(void)
{
    for (uint32_t k = 0; k < g_map_count; k++)
        disk_catch_up("stores to the map", g_maps[k].inode, 0, SIZE_MAX);
}

static void shadow_of(live_inode *l)
{
    if (!l->shadow)
        l->shadow = take(l->room);
    memcpy(l->shadow, l->data, l->nbytes);
}

void disk_log_begin(void)
{
    memset(&g_log, 0, sizeof g_log);
    g_log.base = disk_freeze();
    g_log.events = (disk_event *)(void *)take(EVENTS * sizeof(disk_event));
    g_log.room = EVENTS;
    for (uint32_t k = 0; k < g_map_count; k++)
        shadow_of(&disk_inodes[g_maps[k].inode]);
    g_log.on = true;
}

disk_log disk_log_end(void)
{
    disk_log log;

    g_log.stop_to = NULL;
    catch_up_all();
    log.base = g_log.base;
    log.events = g_log.events;
    log.count = g_log.count;
    g_log.on = false;
    return log;
}

uint32_t disk_log_count(void)
{
    return g_log.count;
}

void disk_log_mark(uint32_t mark)
{
    if (!g_log.on)
        return;
    catch_up_all();
    event_new(DISK_MARK, "mark")->mark = mark;
    event_end();
}

void disk_log_commits(uint32_t mark)
{
    g_log.commit_mark = mark;
}

void disk_log_stop_at(uint32_t count, void *to)
{
    g_log.stop_at = count;
    g_log.stop_to = to;
}

/* ------------------------------------------------------------- effects --- */

static void point(int32_t name, int32_t target)
{
    int32_t old = disk_targets[name];

    if (old >= 0) {
        disk_inodes[old].links--;
        disk_inodes[old].changed = now();
    }
    disk_targets[name] = target;
    if (target < 0)
        return;
    disk_inodes[target].links++;
    disk_inodes[target].changed = now();
    if (g_inodes[target].is_dir) {
        disk_inodes[target].parent = g_names[name].dir;
        disk_inodes[target].name = name;
    }
}

void disk_change_names(const char *label, const name_change *c, int n)
{
    int32_t was[2] = {DISK_NONE, DISK_NONE};

    for (int k = 0; k < n; k++)
        was[k] = c[k].must_be ? disk_targets[c[k].name] : DISK_NONE;
    for (int k = 0; k < n; k++)
        point(c[k].name, c[k].target);
    if (g_log.on) {
        disk_event *e = event_new(DISK_NAMES2, label);

        for (int k = 0; k < n; k++) {
            e->name[k] = c[k].name;
            e->target[k] = c[k].target;
            e->was[k] = was[k];
        }
        event_end();
    }
}

void disk_resize(const char *label, int32_t i, size_t nbytes)
{
    live_inode *l = &disk_inodes[i];

    if (nbytes == l->nbytes)
        return;
    make_own(l, nbytes);
    if (nbytes > l->nbytes) {
        memset(l->data + l->nbytes, 0, nbytes - l->nbytes);
        if (l->shadow)
            memset(l->shadow + l->nbytes, 0, nbytes - l->nbytes);
    }
    l->nbytes = nbytes;
    l->written = l->changed = now();
    if (g_log.on) {
        disk_event *e = event_new(DISK_SIZE, label);

        e->inode = i;
        e->nbytes = nbytes;
        event_end();
    }
}

void disk_write(const char *label, int32_t i, const void *src, size_t n,
                size_t off)
{
    live_inode *l = &disk_inodes[i];

    if (n == 0)
        return;
    if (off + n > l->nbytes)
        disk_resize(label, i, off + n);
    make_own(l, 0);
    memcpy(l->data + off, src, n);
    l->written = l->changed = now();
    if (l->shadow) {
        disk_catch_up(label, i, off, off + n);
    } else if (g_log.on) {
        for (size_t s = off / DISK_SECTOR; s * DISK_SECTOR < off + n; s++)
            log_sector(label, i, s);
    }
}

void *disk_map(int32_t i, size_t nbytes)
{
    live_inode *l = &disk_inodes[i];
    uint32_t k = 0;

    while (k < g_map_count && g_maps[k].inode != i)
        k++;
    if (k == g_map_count) {
        make_own(l, nbytes);
        l->mapped = true;
        shadow_of(l);
        if (g_map_count == MAPS)
            die("too many maps");
        g_maps[g_map_count++] = (mapping){l->data, i, 0};
    }
    g_maps[k].count++;
    return l->data;
}

int32_t disk_mapped_at(const void *p, size_t *off)
{
    const uint8_t *at = p;

    for (uint32_t k = 0; k < g_map_count; k++) {
        const live_inode *l = &disk_inodes[g_maps[k].inode];

        if (at >= l->data && at < l->data + l->room) {
            *off = (size_t)(at - l->data);
            return g_maps[k].inode;
        }
    }
    return DISK_NONE;
}

/* The file stays where it is: others of its maps do, and the next ones will. */
void disk_unmap(const void *p)
{
    size_t off;
    int32_t i = disk_mapped_at(p, &off);

    if (i >= 0)
        disk_catch_up("stores to the map", i, 0, SIZE_MAX);
}

/* --------------------------------------------------------------- syncs --- */

void disk_sync(int32_t i)
{
    const disk_site *site = disk_site_asked(g_log.on);

    if (!g_log.on)
        return;
    catch_up_all();
    if (disk_site_is_removed(site))
        return;
    event_new(DISK_SYNC, site->name)->inode = i;
    event_end();
}

void disk_committed(void)
{
    if (g_log.commit_mark > 0)
        disk_log_mark(g_log.commit_mark);
}
