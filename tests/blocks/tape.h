/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that remembers what is written to it: a loop device over the one file
 * of a FUSE mount, which a child of ours serves from memory. The block layer's
 * writes and flushes come in the order in which the file system asks for them.
 * And a second disk, plain, on which the states that a cut leaves are tried.
 */
#ifndef TEST_BLOCKS_TAPE_H
#define TEST_BLOCKS_TAPE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TAPE_PAGE   ((size_t)4096)
#define TAPE_EVENTS 131072u

/* Of a page: zeros, in `base` and now; in `base` as it is now; perhaps not. */
#define TAPE_ZEROS 0
#define TAPE_CLEAN 1
#define TAPE_DIRTY 2

typedef enum tape_kind {
    TAPE_WRITE, /* bytes, or zeros: a discard is one of these */
    TAPE_FLUSH  /* what was written before it is safe */
} tape_kind;

typedef struct tape_event {
    tape_kind kind;
    size_t off, nbytes;
    size_t at; /* of its bytes in the arena; SIZE_MAX: zeros */
} tape_event;

/* Shared with the server and with children that work on the file system. */
typedef struct tape_log {
    _Atomic bool on;
    _Atomic uint32_t count;
    _Atomic uint64_t reads, writes, flushes; /* ever, logged or not */
    size_t arena_used;
    bool full; /* something was not logged */
    tape_event events[TAPE_EVENTS];
} tape_log;

typedef struct tape {
    size_t nbytes;
    uint8_t *now;   /* the content of the disk */
    uint8_t *base;  /* … when the log began */
    uint8_t *dirty; /* per page: TAPE_… */
    uint8_t *arena;
    tape_log *log;
    char file[256];  /* what the server serves */
    char device[32]; /* /dev/loopN */
    char plain[32];  /* … of the second disk */
    int loop, plain_loop, plain_file, server_fd;
    pid_t server;
} tape;

/* Why it cannot be done on this machine; NULL: it can. */
const char *tape_cannot(void);
/* In directory `dir`, which must be there, an absolute path. The process has a
 * mount namespace of its own from then on: nothing stays when it is killed.
 * False: complain() was called. */
bool tape_open(tape *t, const char *dir, size_t nbytes);
void tape_close(tape *t);

/* Everything that is on the disk becomes the base. May be called in a child. */
void tape_begin(tape *t);
void tape_end(tape *t);
uint32_t tape_count(const tape *t);
const uint8_t *tape_bytes(const tape *t, const tape_event *e);
/* Base and log make `now`; and the device reads the same. */
bool tape_is_true(tape *t);
/* The second disk, which is not mounted, becomes what `now` is. */
bool tape_to_plain(tape *t);
/* … and reads like that. */
bool tape_plain_is_true(tape *t);
/* The disk, which is not mounted, becomes what another one's `now` is. */
bool tape_copy(tape *t, const tape *from);

#endif
