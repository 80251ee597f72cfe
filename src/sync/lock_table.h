/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The in-process table: threads of one process queue here, first come first
 * served, so that the kernel sees one taker at a time and a thread that waits
 * for a thread sleeps on a condition variable.
 */
#ifndef AZRI_SYNC_LOCK_TABLE_H
#define AZRI_SYNC_LOCK_TABLE_H

#include "os/host.h"
#include "sync/lock_ofd.h"

typedef struct azri_lock_table azri_lock_table;

AZR_CHECKED int azri_lock_table_new(azri_lock_table **out, azr_error *err);
void azri_lock_table_free(azri_lock_table *t);

/*
 * Grant all `n` ranges, at least one, to `owner` at once. A request waits for every grant and
 * for every earlier request that it conflicts with. An owner asks once per level
 * of the lock order (META, DOC, chunks), and holds nothing of the level it asks
 * for: so a queue cannot close a circle. AZR_EBUSY: time is up (no message), or
 * (sub NESTED, with one) the conflict is with this very thread; AZR_ECANCELED.
 * `ranges` must stay valid until released.
 */
AZR_CHECKED int azri_lock_table_acquire(azri_lock_table *t, const void *owner,
                                        const azri_range *ranges, size_t n,
                                        const azri_patience *patience,
                                        azr_error *err);
/* Everything that `owner` holds with offsets in first..last. */
void azri_lock_table_release(azri_lock_table *t, const void *owner,
                             uint64_t first, uint64_t last);

/* Around fork: hold the table still, let it go; the child forgets all grants
 * (they are its parent's). */
void azri_lock_table_before_fork(azri_lock_table *t);
void azri_lock_table_after_fork(azri_lock_table *t, bool in_child);

#endif
