/* SPDX-License-Identifier: Apache-2.0 */
/* One act, its log, every cut of it, and what comes after each. */
#ifndef TEST_POWER_TRIAL_H
#define TEST_POWER_TRIAL_H

#include "power/act.h"
#include "power/cut.h"

typedef struct trial_plan {
    cut_plan first;   /* states of each cut of the act */
    cut_plan second;  /* … of each cut of what comes after it */
    uint32_t seconds; /* one state in so many is gone on with; 0: none */
    /* at most so many points of death of an act; if a sync is watched (disk.h),
     * of those after which it was asked for */
    uint32_t kills;
    /* and so many of those after which who came asked for the sync that is watched
     * (disk.h): nowhere else could it be missed */
    uint32_t asked;
    /* nothing is cut: which syncs are asked for, whenever the process dies? */
    bool uses;
} trial_plan;

typedef struct trial_count {
    uint64_t cuts;     /* points where the power went */
    uint64_t states;   /* disks that it might leave, alike ones included */
    uint64_t distinct; /* different disks: each was read, written, verified */
    uint64_t again;    /* of these, disks left by a cut in what came after */
    uint64_t refused;  /* `process`: an error that names what is broken */
    uint64_t lost;     /* `process`: something went to .azr/lost, reported */
    uint64_t mixed;    /* `process`: neither old nor new */
    uint64_t syncs;    /* calls, in all logs */
} trial_count;

/* True if all is as promised. If not: complain(), and `where` (may be NULL) says
 * what was lost. */
bool trial_run(const act *a, bool power, const trial_plan *plan,
               trial_count *count, char where[2048]);

#endif
