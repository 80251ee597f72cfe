/* SPDX-License-Identifier: Apache-2.0 */
/* One kill, and what everybody finds afterwards. */
#ifndef TEST_CRASH_KILL_H
#define TEST_CRASH_KILL_H

#include "crash/scene.h"
#include "crash/tap.h"

/* An operation on a prepared directory. */
typedef struct job {
    op o;
    kind k;
    bool in_memory;
    int threads;
    char from[160]; /* copied for each kill */
    char at[160];   /* where it happens */
    image old, new; /* the only two allowed */
    image again;    /* what a second creator makes */
    unsigned points;
    const char *names[TAP_POINTS];
    int sealed, committed; /* numbers of these points, or -1 */
    bool only_new;         /* recovery of what is committed already */
    unsigned long kills;
} job;

/* All of these return false after complain(). Make the scene, its two images, and count its points. */
bool job_begin(job *j, const char *name);
/* The same for a recovery from what killing `of` at `point` leaves. */
bool job_begin_recovery(job *j, const job *of, unsigned point, bool after,
                        const char *name);
void job_end(job *j);
/* Kill before or after point `at`, and look. `trial` chooses who else is there. */
bool job_kill(job *j, unsigned at, bool after, unsigned trial);
/* Let a child do the operation, struck at a point. */
pid_t job_start(const job *j, tap_action action, unsigned at, bool after);
/* Every point, both sides. */
bool job_sweep(job *j, unsigned step);

#endif
