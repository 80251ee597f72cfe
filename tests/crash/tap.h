/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one hook: a table of system calls that names and counts each call of the
 * library and each store to a mapped `state`, keeps the list, and does something
 * before or after one of them: kills the process, stops it, or fails the call.
 *
 * Not in the list, on purpose: `holds_…` and `wake` of a wait slot and the
 * `waiting` hint where a thread sleeps on a row's word are plain atomics. They
 * are courtesy: nothing that decides what is true reads them (sync/waitq.h), so
 * a death between two of them differs from a death at the next point only in
 * how long somebody sleeps, 50 ms at most. Nor are readdir and closedir, which
 * change nothing, and what runs between two calls: memory alone, and that dies
 * with the process.
 */
#ifndef TEST_CRASH_TAP_H
#define TEST_CRASH_TAP_H

#include "os/sys.h"

#include <stdbool.h>
#include <sys/types.h>

#define TAP_POINTS 8192

typedef enum tap_action {
    TAP_COUNT, /* only keep the list */
    TAP_KILL,  /* SIGKILL to this process */
    TAP_STOP,  /* SIGSTOP to this process */
    TAP_FAIL   /* the call is not made: -1 and errno */
} tap_action;

/* In memory that a child shares with its parent. */
typedef struct tap_list {
    _Atomic unsigned count;        /* points met since tap_arm */
    const char *names[TAP_POINTS]; /* of calls and of stores */
    bool can_fail[TAP_POINTS];     /* it is a call that may fail */
} tap_list;

/* The list shared with children; made once, before the first fork. */
tap_list *tap_shared(void);
/* Put the table in place and forget what was counted. `at` counts from 0; at or
 * beyond the end: nothing happens. */
void tap_arm(tap_action action, unsigned at, bool after, int error);
/* From now on calls are neither counted nor touched. */
void tap_disarm(void);
/* Was a child that ended so killed at point `at`, which was `name` when points were
 * counted? False after complain(). */
bool tap_killed(int status, unsigned at, const char *name);
/* Position of the first point of this name at or after `from`; -1: none. */
int tap_find(const char *name, unsigned from);

/* What a call does instead of its own work, until set to NULL: for tests that
 * fake one call (struct azri_sys of the tap; change it after tap_arm). */
extern struct azri_sys tap_sys;

#endif
