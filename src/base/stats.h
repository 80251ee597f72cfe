/* SPDX-License-Identifier: Apache-2.0 */
/* Counters behind azr_stats_get: relaxed atomics, one per member. */
#ifndef AZRI_BASE_STATS_H
#define AZRI_BASE_STATS_H

#include <stdatomic.h>
#include <stdint.h>

/* clang-format off */
#define AZRI_STATS(X)                                                          \
    X(reads) X(writes)                                                         \
    X(chunks_read) X(chunks_written) X(chunks_deleted)                         \
    X(bytes_read) X(bytes_written)                                             \
    X(commits) X(conflicts)                                                    \
    X(snapshot_retries) X(locked_reads) X(reads_through)                       \
    X(lock_calls) X(lock_waits) X(lock_wait_ns) X(row_waits)                   \
    X(recovered_rows) X(rubbish_removed)
/* clang-format on */

struct azri_stats {
#define AZRI_STAT_MEMBER(name) _Atomic uint64_t name;
    AZRI_STATS(AZRI_STAT_MEMBER)
#undef AZRI_STAT_MEMBER
};

extern struct azri_stats azri_stats;

#define AZRI_COUNT(name, n)                                                    \
    ((void)atomic_fetch_add_explicit(&azri_stats.name, (uint64_t)(n),          \
                                     memory_order_relaxed))

#endif
