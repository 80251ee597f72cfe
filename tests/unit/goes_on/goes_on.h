/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_UNIT_GOES_ON_H
#define TEST_UNIT_GOES_ON_H

#include "fault/acts.h"

/* Acts besides those of tests/fault. */
extern const act more_acts[], whole_acts[];
extern const unsigned more_act_count, whole_act_count;

/* Rows of such a table. */
#define READS   false
#define CHANGES true
#define ACT(n, p, c, before, fn)                                               \
    {                                                                          \
        .name = n, .parts = p, .changes = c, .prepare = before, .run = fn      \
    }
#define POWER(n, p, c, before, fn)                                             \
    {                                                                          \
        .name = n "-power", .parts = p, .changes = c, .power = true,           \
        .prepare = before, .run = fn                                           \
    }
/* in both versions of Zarr */
#define BOTH(n, p, c, before, fn)                                              \
    ACT(n, p, c, before, fn),                                                  \
    {                                                                          \
        .name = n "-v2", .parts = p, .changes = c, .format = 2,                \
        .prepare = before, .run = fn                                           \
    }

#define AB (PART_A | PART_B)
#define AG (PART_A | PART_G)
#define AD (PART_A | PART_DEAD)

/* ---- more_acts.c ---- */
int open_read(actor *x, azr_error *err);
int with_a_and_x(actor *x, azr_error *err); /* x->b is g/x */
int with_a_twice(actor *x, azr_error *err); /* x->b is another handle of a */
/* An azr_progress_fn that does. */
int go_on(uint64_t done, uint64_t total, void *arg);

#endif
