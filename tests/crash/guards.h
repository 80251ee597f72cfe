/* SPDX-License-Identifier: Apache-2.0 */
/* Negative controls: what passes with every guard in place must fail without one of
 * them. For programs of the sabotage build. */
#ifndef TEST_CRASH_GUARDS_H
#define TEST_CRASH_GUARDS_H

#include "base/guard.h"

#include <stdbool.h>
#include <stddef.h>

/* True: all was well; else complain() was called. `whole`: every guard is there. */
typedef bool (*guard_trial)(const void *arg, bool whole);

/* Was it noticed that the guard was gone? */
bool guard_try(const char *name, azri_guard value, guard_trial trial,
               const void *arg);
/* Exit status of a program that tried `n` of them. Scenes are removed. */
int guards_end(size_t caught, size_t n);

#endif
