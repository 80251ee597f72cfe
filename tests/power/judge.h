/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold when the power has come back: over a disk that stands in the place
 * of the live one, whatever it is made of (disk.h: walk, peek, open_count). */
#ifndef TEST_POWER_JUDGE_H
#define TEST_POWER_JUDGE_H

#include "power/act.h"

#include <stdint.h>

#define JUDGE_VIEWS (ACT_STEPS + 2)

typedef struct judge {
    const act *a;
    bool power;
    view views[JUDGE_VIEWS];     /* before the first step, and after each */
    uint32_t begun[JUDGE_VIEWS]; /* step i began with this event */
    uint32_t from, to;           /* views that this cut may leave */
    uint64_t refused; /* `process`: an error that names what is broken */
    uint64_t lost;    /* `process`: something went to .azr/lost, reported */
    uint64_t mixed;   /* `process`: neither old nor new */
} judge;

/* Warnings that the library logs are counted from now on. */
void judge_listen(void);
/* `v`: what the readers saw. `turn`: with which array the writers begin. False:
 * complain() was called. */
bool judge_power(const judge *j, unsigned turn, view *v);
bool judge_process(judge *j);

#endif
