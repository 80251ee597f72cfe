/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays as they are at one instant, as plain arrays below other directories:
 * documents copied, chunks linked or copied (docs/protocol.md, Snapshots).
 */
#ifndef AZRI_CORE_TAKE_H
#define AZRI_CORE_TAKE_H

#include "core/array.h"
#include "core/chunk_map.h"

/* One array. The caller sets the first part. */
typedef struct azri_take {
    azr_array *a;
    int to; /* its directory; the caller's */
    bool may_link;
    bool as_made; /* new files as if made there, not with the source's group */

    azri_view *v;
    azri_ground *g;
    azri_keying keying;
    azr_object attributes; /* v2: .zattrs, as of the look */
    azri_chunk_map map;
    uint32_t round;
    /* once it is taken: */
    uint64_t linked, copied, nbytes;
} azri_take;

typedef struct azri_taking {
    azri_patience patience;
    azr_progress_fn progress; /* NULL: none; total 0 while it is not known */
    void *arg;
    uint64_t done, total;
    uint64_t changes; /* links and copies of the last round */
    bool locked;
} azri_taking;

/* To be set up further, and disposed of. */
void azri_take_init(azri_take *t, azr_array *a, int to);
/* Take n different arrays. On failure what stands below `to` is rubbish. */
AZR_CHECKED int azri_take_all(azri_take *parts, size_t n, azri_taking *taking,
                              azr_error *err);
void azri_take_dispose(azri_take *t);

#endif
