/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program followed from outside, with ptrace: every system call of it, whoever
 * makes it. What a call changes is judged by its number and arguments alone; a
 * number that is not known is taken for a change. Nothing of the library's own
 * table of calls (os/sys.h) is used here: this is what that table is held against.
 */
#ifndef TEST_CRASH_TRACE_H
#define TEST_CRASH_TRACE_H

#include "crash/scene.h"

#include <limits.h>
#include <stdint.h>

#define TRACE_EFFECTS 1024

/* A call that changes files, names or locks, or makes the disk do so. */
typedef struct effect {
    char name[16];  /* as in the table of calls; "syscall 123" if unknown */
    char what[112]; /* its path, long hexadecimal numbers as '*' */
} effect;

typedef struct trace {
    /* Die at the beginning or the end of this effect; UINT_MAX: live on. */
    unsigned at;
    bool after;
    /* … or this many instructions after its end, of which a call is one: they may
     * go past effects that are not counted then. */
    unsigned steps;
    /* Descriptors and files of this directory alone, a path without links; NULL:
     * all. What is renamed, linked, unlinked and made counts wherever it is. */
    const char *within;
    /* Called as each effect begins; false, after complain(): a failure. */
    bool (*meet)(const effect *e, void *arg);
    void *arg;

    unsigned count; /* effects that were met */
    effect effects[TRACE_EFFECTS];
    unsigned long calls; /* system calls of any kind */
    bool killed;
    bool ended;  /* within those steps */
    bool missed; /* meet() said no */
    int status;  /* as waitpid gives it */
} trace;

/* Let a child run `fn` (which may exec) under the eye. False after complain():
 * it could not be followed. */
bool trace_run(trace *t, child_fn fn, void *arg);
/* May this process do that? errno tells why not. */
bool trace_works(void);

#endif
