/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel range locks that belong to an open file description: they survive
 * other descriptors being closed, and end with the last copy of their own. */
#ifndef AZRI_SYNC_LOCK_OFD_H
#define AZRI_SYNC_LOCK_OFD_H

#include "base/error.h"

#include <stdbool.h>

/* Offsets first..last, both included. */
typedef struct azri_range {
    uint64_t first, last;
    bool exclusive;
} azri_range;

static inline bool azri_range_overlaps(const azri_range *a, const azri_range *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static inline bool azri_range_conflicts(const azri_range *a,
                                        const azri_range *b)
{
    return (a->exclusive || b->exclusive) && azri_range_overlaps(a, b);
}

/* AZR_OK, AZR_EBUSY without a message, or an error. Never waits. */
AZR_CHECKED int azri_ofd_try(int fd, const azri_range *r, azr_error *err);
/* Waits in the kernel, for ever, without cancel: AZR_SYNC_CHUNK only. */
AZR_CHECKED int azri_ofd_wait(int fd, const azri_range *r, azr_error *err);
AZR_CHECKED int azri_ofd_unlock(int fd, uint64_t first, uint64_t last,
                                azr_error *err);
/* Would azri_ofd_try be refused? False also when that cannot be told. */
bool azri_ofd_busy(int fd, const azri_range *r);
/* The same, and a lock that stands against it. */
bool azri_ofd_conflict(int fd, const azri_range *r, azri_range *theirs);

#endif
