/* SPDX-License-Identifier: Apache-2.0 */
/* Images as values: their number, and a look into them and at the live disk. */
#include "power/disk_local.h"

#include <stdio.h>
#include <string.h>

static uint64_t mix(uint64_t h, uint64_t v)
{
    h ^= v;
    h *= UINT64_C(0x9FB21C651E98DF25);
    return h ^ h >> 32;
}

static uint64_t content_hash(const disk_content *c)
{
    uint64_t h = mix(UINT64_C(0x12345), c->nbytes);
    size_t at = 0;

    for (; at + 8 <= c->nbytes; at += 8) {
        uint64_t word;

        memcpy(&word, c->data + at, 8);
        if (word != 0)
            h = mix(h, word + at * UINT64_C(0x9E3779B97F4A7C15));
    }
    for (; at < c->nbytes; at++)
        h = mix(h, (uint64_t)c->data[at] + at);
    return h;
}

static void mark_reachable(bool *reached, const disk_image *image)
{
    bool more = true;

    memset(reached, 0, image->inodes * sizeof *reached);
    reached[DISK_ROOT] = true;
    while (more) { /* as often as the tree is deep, at most */
        more = false;
        for (uint32_t n = 0; n < image->names; n++) {
            int32_t to = image->target[n];

            if (to < 0 || reached[to] || !reached[disk_name_at(n)->dir])
                continue;
            reached[to] = true;
            more |= disk_inode_at(to)->is_dir;
        }
    }
}

uint64_t disk_image_hash(const disk_image *image)
{
    static bool reached[DISK_NODES];
    uint64_t sum = 0;

    mark_reachable(reached, image);
    for (uint32_t n = 0; n < image->names; n++) {
        int32_t to = image->target[n];
        uint64_t h;

        if (to < 0 || !reached[disk_name_at(n)->dir])
            continue;
        h = disk_inode_at(to)->is_dir ? (uint64_t)to + 1
                                      : content_hash(&image->content[to]);
        sum += mix(mix(n + 1, h), 7);
    }
    return sum;
}

void disk_path(char out[256], const disk_image *image, uint32_t name)
{
    char text[256];
    int32_t dir = disk_name_at(name)->dir;

    (void)snprintf(out, 256, "%s", disk_name_at(name)->name);
    while (dir != DISK_ROOT) {
        uint32_t n = 0;

        while (n < image->names && image->target[n] != dir)
            n++;
        (void)snprintf(text, sizeof text, "%.60s/%.190s",
                       n < image->names ? disk_name_at(n)->name : "?", out);
        (void)snprintf(out, 256, "%s", text);
        if (n == image->names)
            return;
        dir = disk_name_at(n)->dir;
    }
}

/* ------------------------------------------------------ the live disk --- */

const disk_content *disk_peek(const char *path)
{
    static disk_content c;
    int32_t i = calls_resolve(path);

    if (i < 0)
        return NULL;
    c.data = disk_inodes[i].data;
    c.nbytes = disk_inodes[i].nbytes;
    return &c;
}

/* As deep as the tree is. */
/* NOLINTNEXTLINE(misc-no-recursion) */
static void walk_directory(int32_t dir, const char *path, disk_walk_fn fn,
                           void *arg)
{
    for (uint32_t n = 0; n < disk_name_count(); n++) {
        int32_t to = disk_targets[n];
        char below[512];

        if (disk_name_at(n)->dir != dir || to < 0)
            continue;
        (void)snprintf(below, sizeof below, "%.440s%s%.60s", path,
                       path[0] ? "/" : "", disk_name_at(n)->name);
        fn(below, disk_inode_at(to)->is_dir, disk_inodes[to].nbytes, arg);
        if (disk_inode_at(to)->is_dir)
            walk_directory(to, below, fn, arg);
    }
}

void disk_walk(const char *path, disk_walk_fn fn, void *arg)
{
    int32_t dir = calls_resolve(path);

    if (dir >= 0)
        walk_directory(dir, "", fn, arg);
}

bool disk_mkdir(const char *path)
{
    return azri_sys->mkdirat(AT_FDCWD, path, 0755) == 0;
}
