/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run n items on several threads. The caller works too, so a pool without
 * threads (none could be made, a child after fork) still gets everything done.
 * One pool per process; it survives fork: the child starts with no workers and
 * makes new ones when it needs them.
 */
#ifndef AZRI_RUNTIME_POOL_H
#define AZRI_RUNTIME_POOL_H

#include "base/buf.h"

/* Work on item i. `worker` is a number below azri_pool_width's result, no two
 * concurrent calls of one run share it: index per-thread scratch by it. The
 * first error (by time) ends the run early and is the run's. */
typedef int (*azri_pool_fn)(void *arg, uint64_t i, int worker, azr_error *err);

/* Threads that a run of `items` with `threads` (0: the process-wide setting)
 * will use, the caller included: at least 1. */
int azri_pool_width(int threads, uint64_t items);
/* Items are handed out in order. Returns when all have ended. */
AZR_CHECKED int azri_pool_run(int width, uint64_t items, azri_pool_fn fn,
                              void *arg, azr_error *err);

#endif
