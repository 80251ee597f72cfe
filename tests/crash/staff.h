/* SPDX-License-Identifier: Apache-2.0 */
/* Many trials in little time: processes that stay, instead of a fork for each look,
 * and trees that are put down from memory. The victim of a kill is always forked. */
#ifndef TEST_CRASH_STAFF_H
#define TEST_CRASH_STAFF_H

#include "crash/scene.h"

#include <stddef.h>
#include <stdint.h>

typedef enum staff_role {
    STAFF_READER,
    STAFF_NOBODY, /* for who gives up his rights */
    STAFF_WRITER,
    STAFF_ROLES
} staff_role;

/* From now on, until they are dismissed. They know what this process knows now. */
void staff_hire(void);
void staff_dismiss(void);
/* As child_run, by one of the staff; by a new child, if there is none, or if fresh
 * ones are asked for. `arg` is copied (at most STAFF_NBYTES); `nbytes` 0: it is an
 * address that was valid when they were hired. */
#define STAFF_NBYTES 256
bool staff_run(staff_role role, const char *who, child_fn fn, const void *arg,
               size_t nbytes);
void staff_fresh(bool fresh);

/* A tree in memory. */
typedef struct stock stock;
stock *stock_take(const char *path);
void stock_put(const stock *s, const char *path);
void stock_free(stock *s);
/* As tree_remove. */
void stock_clear(const char *path);

/* Numbers from a seed. */
uint64_t staff_random(uint64_t *seed);
unsigned staff_below(uint64_t *seed, unsigned n);
/* For how long one has worked. */
double staff_seconds(void);

#endif
