/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system in memory under the library's table of system calls, that keeps
 * a log of what reaches the disk when: the model of a machine whose power is cut.
 *
 * There is one live file system at a time, loaded from an image; all names and
 * inodes that any image of a scene knows stand in one register, so an image is
 * an array of targets (which inode a name leads to) and one of contents. Memory
 * comes from one stack (disk_mark, disk_release). One thread.
 */
#ifndef TEST_POWER_DISK_H
#define TEST_POWER_DISK_H

#include "os/sys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISK_SECTOR ((size_t)512)
#define DISK_NODES  4096u
#define DISK_NAMES  8192u
#define DISK_ROOT   0
#define DISK_NONE   (-1)

/* ------------------------------------------------------------- memory --- */

size_t disk_mark(void);
void disk_release(size_t mark);
void *disk_take(size_t nbytes); /* zeroed, 64-byte aligned */

/* ---------------------------------------------------------- registers --- */

/* One entry of one directory, whatever stands there. */
typedef struct disk_name {
    int32_t dir;
    const char *name;
} disk_name;

typedef struct disk_inode {
    bool is_dir;
    mode_t mode;
    gid_t gid;
} disk_inode;

uint32_t disk_name_count(void);
const disk_name *disk_name_at(uint32_t i);
uint32_t disk_inode_count(void);
const disk_inode *disk_inode_at(int32_t i);

/* What was registered since is forgotten. */
typedef struct disk_registered {
    uint32_t names, inodes;
} disk_registered;

disk_registered disk_registers(void);
void disk_registers_restore(disk_registered r);

/* ------------------------------------------------------------- images --- */

typedef struct disk_content {
    const uint8_t *data;
    size_t nbytes;
} disk_content;

typedef struct disk_image {
    uint32_t names, inodes;
    const int32_t *target;       /* per name: an inode or DISK_NONE */
    const disk_content *content; /* per inode; directories: nothing */
} disk_image;

/* Two images with the same reachable names and bytes have the same number. */
uint64_t disk_image_hash(const disk_image *image);
/* Name i with all directories above it ("a/.azr/state"). */
void disk_path(char out[256], const disk_image *image, uint32_t name);

/* ---------------------------------------------------------- live disk --- */

/* An empty root directory. Everything that was registered is forgotten. */
void disk_format(void);
void disk_load(const disk_image *image);
/* All of what stands in the caches now, as if it were synced. */
disk_image disk_freeze(void);
/* Every descriptor closed and every lock dropped, as if the process died. */
void disk_forget_process(void);
uint32_t disk_open_count(void);
/* Content of a path of the live disk; NULL: there is none. */
const disk_content *disk_peek(const char *path);
/* Calls fn for each entry below directory `path`, itself left out. */
typedef void (*disk_walk_fn)(const char *path, bool is_dir, size_t nbytes,
                             void *arg);
void disk_walk(const char *path, disk_walk_fn fn, void *arg);
/* mkdir on the live disk (parents must be there). */
bool disk_mkdir(const char *path);

/* The table; with the wrapped C library calls of wrap.c all that the library
 * needs. disk_use() puts it in place. */
void disk_use(void);
void disk_boot(uint8_t id);    /* who asks is told this boot's id */
void disk_seed(uint64_t seed); /* of getrandom */
/* -------------------------------------------------------------- the log --- */

typedef enum disk_kind {
    DISK_DATA, /* one sector has these bytes now */
    DISK_SIZE,
    DISK_NAMES2, /* one or two names have new targets, both or neither */
    DISK_SYNC,   /* file: data and size; directory: its names; -1: all */
    DISK_MARK    /* from here on this must not be lost */
} disk_kind;

typedef struct disk_event {
    disk_kind kind;
    int32_t inode;
    uint32_t sector;
    uint32_t mark;
    size_t nbytes;        /* DISK_SIZE */
    const uint8_t *bytes; /* DISK_DATA: DISK_SECTOR of them */
    int32_t name[2];      /* DISK_NAMES2; name[1] may be DISK_NONE */
    int32_t target[2];
    int32_t was[2];    /* needs: these names lead there (DISK_NONE: whatever) */
    const char *label; /* of a store, a call, a sync site */
} disk_event;

typedef struct disk_log {
    disk_image base; /* on the disk when it began */
    disk_event *events;
    uint32_t count;
} disk_log;

void disk_log_begin(void);
/* With the last stores to mapped files. Valid until disk_release. */
disk_log disk_log_end(void);
uint32_t disk_log_count(void);
void disk_log_mark(uint32_t mark);
/* Marks by themselves: at each row.committed, the value disk_log_commits sets. */
void disk_log_commits(uint32_t mark);
/* After so many events longjmp to `to` (setjmp of the caller). */
void disk_log_stop_at(uint32_t count, void *to);

/* ------------------------------------------------------- places of syncs --- */

/* With the library built for controls, each sync has a name: file:function. */
#define DISK_SITES 64u

typedef struct disk_site {
    char name[88];
    int line;
    uint32_t calls;
    uint32_t unlogged; /* … in what comes after a cut */
} disk_site;

bool disk_site_same(const disk_site *a, const disk_site *b);
/* Its place in a list of *n, to which it is added; DISK_SITES: no room. */
uint32_t disk_site_note(disk_site list[DISK_SITES], uint32_t *n,
                        const disk_site *site);
/* The nth place in its function, for a name that does not move with the lines. */
unsigned disk_site_nth(const disk_site *list, uint32_t n, uint32_t k);

/* That were asked for since they were forgotten. */
uint32_t disk_site_count(void);
const disk_site *disk_site_at(uint32_t i);
void disk_sites_forget(void);
/* It does nothing; of line -1, none of its function does. NULL: all work. */
void disk_site_remove(const disk_site *site);
/* For who answers a sync: the place that asked for it, counted. */
const disk_site *disk_site_asked(bool logged);
bool disk_site_is_removed(const disk_site *site);
/* How often it was asked for: the one that is watched, or does nothing. */
void disk_site_watch(const disk_site *site);
bool disk_site_is_watched(void); /* there is such a one */
uint32_t disk_site_watched_calls(void);

#endif
