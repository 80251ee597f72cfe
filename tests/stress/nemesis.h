/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults that a history goes on under, drawn from a worker's seed. While one is in
 * force operations may fail: then they must have changed nothing.
 */
#ifndef AZR_STRESS_NEMESIS_H
#define AZR_STRESS_NEMESIS_H

#include <atomiczarr.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum nemesis_kind {
    NEMESIS_STOP, /* SIGSTOP in the midst of a commit or a lock, later SIGCONT */
    NEMESIS_FORK,   /* fork() while other threads are at work */
    NEMESIS_FILES,  /* no descriptor is free, or few */
    NEMESIS_MEMORY, /* the heap may grow by little */
    NEMESIS_FULL,   /* the disk is full (a small tmpfs: root only) */
    NEMESIS_READER, /* SIGSTOP in the midst of a read */
    NEMESIS_SLOW,   /* each call of a file takes long */
    NEMESIS_EINTR,  /* signals all the time; calls say EINTR */
    NEMESIS_SHORT,  /* calls read and write less than they were asked to */
    NEMESIS_IO,     /* calls fail with EIO */
    NEMESIS_CLOCK,  /* it leaps: the wall clock anywhere, the other one on */
    NEMESIS_SPACES, /* a process in mount, IPC, host name (and sometimes network)
                     * namespaces of its own (root only) */
    NEMESIS_KINDS
} nemesis_kind;
#define NEMESIS_NONE NEMESIS_KINDS

typedef struct nemesis {
    unsigned kinds; /* bit per kind */
    _Atomic uint64_t done[NEMESIS_KINDS];
    _Atomic uint64_t refused; /* operations that failed of it */
    char dir[128];            /* on the disk that is to be full */
} nemesis;

/* Names by commas ("stop,fork,…"), or "all"; false: not that. */
bool nemesis_parse(unsigned *out, const char *list);
const char *nemesis_name(nemesis_kind kind);
/* Before workers: a small disk at `dir`, unseen by others, that has room for so many
 * files of a page and a little more. False: may not. */
bool nemesis_small_disk(const char *dir, uint64_t files);
void nemesis_end_disk(const nemesis *n);

/* May it be asked for here? */
bool nemesis_may_part(void);
/* A process begins. */
void nemesis_process(nemesis *n, uint64_t *seed);

/* Perhaps stop this process here. Its parent sends SIGCONT. */
void nemesis_stop(nemesis *n, uint64_t *seed, bool reads);
/* Before a call of a file: 0, or the errno that it is to fail with. `interrupts`:
 * one that a signal may cut short. */
int nemesis_call(bool interrupts);
/* How many of n bytes a call may move. */
size_t nemesis_share(size_t n);
/* Perhaps begin a fault for one operation; nemesis_end ends it. `alone`: this
 * process has one thread. */
nemesis_kind nemesis_begin(nemesis *n, uint64_t *seed, bool alone);
void nemesis_end(nemesis_kind kind);
/* May an operation fail like this? `kind` was in force. */
bool nemesis_explains(const nemesis *n, nemesis_kind kind, int rc,
                      const azr_error *err);

#endif
