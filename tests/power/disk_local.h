/* SPDX-License-Identifier: Apache-2.0 */
/* What disk.c and calls.c share. */
#ifndef TEST_POWER_DISK_LOCAL_H
#define TEST_POWER_DISK_LOCAL_H

#include "power/disk.h"

typedef struct range_lock {
    int fd;
    int64_t first, last;
    bool exclusive;
    struct range_lock *next;
} range_lock;

typedef struct live_inode {
    uint8_t *data;
    size_t nbytes, room;
    bool own; /* data is not an image's */
    bool mapped;
    uint8_t *shadow; /* of a mapped file: what the log knows */
    uint32_t links;
    int32_t parent; /* of a directory */
    int32_t name;
    uint64_t written, changed; /* times */
    range_lock *locks;
    int flock_fd; /* exclusive holder; -1 */
    uint32_t flock_shared;
} live_inode;

extern live_inode disk_inodes[DISK_NODES];
extern int32_t disk_targets[DISK_NAMES];

int32_t disk_inode_new(bool is_dir, mode_t mode);
void disk_inode_mode(int32_t i, mode_t mode,
                     gid_t gid); /* no effect of its own */
/* Registered if need be. */
int32_t disk_name_of(int32_t dir, const char *name);
/* Name that leads to inode `i` (the first); DISK_NONE. */
int32_t disk_name_to(int32_t i);

/* Effects: done on the live disk, and logged. */
typedef struct name_change {
    int32_t name, target;
    bool must_be; /* only if it led where it leads now */
} name_change;
void disk_change_names(const char *label, const name_change *c, int n);
void disk_write(const char *label, int32_t i, const void *src, size_t n,
                size_t off);
void disk_resize(const char *label, int32_t i, size_t nbytes);
void disk_sync(int32_t i);
/* A mapped file: log what was stored since. */
void disk_catch_up(const char *label, int32_t i, size_t first, size_t end);
void *disk_map(int32_t i, size_t nbytes);
int32_t disk_mapped_at(const void *p, size_t *off);
void disk_unmap(const void *p);

/* A row was committed: readers see it from here on. */
void disk_committed(void);

/* ---- calls.c ---- */
void calls_reset(void); /* no descriptor is open */
int32_t calls_resolve(const char *path);

#endif
