/* SPDX-License-Identifier: Apache-2.0 */
/* One allocation of the library fails, by its number. */
#ifndef TEST_UNIT_NOMEM_H
#define TEST_UNIT_NOMEM_H

#include "unit/checks.h"

#include <stdbool.h>
#include <stdlib.h>

static long nomem_left = -1; /* allocations until one fails; -1: none does */
static bool nomem_fired;

static inline bool nomem_now(void)
{
    if (nomem_left < 0) /* nothing is written: other threads may be about */
        return false;
    if (nomem_left > 0) {
        nomem_left--;
        return false;
    }
    nomem_left = -1;
    nomem_fired = true;
    return true;
}

static inline void *nomem_alloc(size_t nbytes, void *arg)
{
    (void)arg;
    return nomem_now() ? NULL : malloc(nbytes);
}

static inline void *nomem_resize(void *p, size_t nbytes, void *arg)
{
    (void)arg;
    return nomem_now() ? NULL : realloc(p, nbytes);
}

static inline void nomem_release(void *p, void *arg)
{
    (void)arg;
    free(p);
}

/* Before anything is allocated: a set-up of a group of tests. */
static inline int nomem_install(void **state)
{
    static const azr_allocator faulty = {nomem_alloc, nomem_resize,
                                         nomem_release, NULL};

    (void)state;
    return azr_set_allocator(&faulty);
}

/* The n-th from now on, counted from 0; below 0: none. */
static inline void nomem_arm(long n)
{
    nomem_fired = false;
    nomem_left = n;
}

#endif
