/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of explicit transactions share. Nobody else includes this. */
#ifndef AZRI_CORE_TRANSACTION_H
#define AZRI_CORE_TRANSACTION_H

#include "core/array.h"

#define AZRI_STRIPES 1024

/* A chunk as the transaction will leave it. */
typedef struct azri_staged_chunk {
    uint64_t coords[AZR_MAX_RANK];
    uint8_t *bytes; /* chunk buffer */
    azri_seen seen;
} azri_staged_chunk;

/* A set of chunks: rank numbers each. */
typedef struct azri_chunk_set {
    azri_buf coords;
    uint64_t n;
    int rank;
} azri_chunk_set;

/* One array of a transaction. */
typedef struct azri_part {
    azr_txn *t;
    azr_array *a;
    azri_ground *g;            /* the document that everything rests on */
    azri_staged_chunk *chunks; /* sorted by coordinates */
    size_t count, capacity;
    azri_staged_chunk *reading; /* whose identity the next read finds out */
    azri_chunk_set reads;
    azri_buf named; /* per read: word of the committed row it came through */
    uint64_t stripe[AZRI_STRIPES];
    bool stripe_known[AZRI_STRIPES];
    bool used_shape;
    azri_txn *locked; /* holds `held`, taken before the body ran */
    azri_chunk_set held;
    azri_txn *inner; /* during the commit */
    azri_view *view; /* during that of reads alone */
} azri_part;

struct azr_txn {
    azri_patience patience;
    int64_t timeout_ms;
    const azr_cancel *cancel;
    uint32_t pid;
    azri_part **parts; /* in the order of arrays, once a commit has begun */
    size_t part_count, part_capacity;
    int read_count;
    bool conflict, broken, ended;
    bool locked_before; /* the parts have `locked` */
};

/* ---- txn_sets.c ---- */
const uint64_t *azri_set_at(const azri_chunk_set *s, uint64_t i);
void azri_set_coords(const void *arg, uint64_t i, uint64_t *out);
AZR_CHECKED int azri_set_add(azri_chunk_set *s, int rank,
                             const uint64_t *coords, azr_error *err);
void azri_set_sort(azri_chunk_set *s);
bool azri_set_has(const azri_chunk_set *s, const uint64_t *coords);
/* Position of `coords` among the staged chunks, or where it belongs. */
size_t azri_staged_position(const azri_part *p, const uint64_t *coords,
                            bool *found);
void azri_staged_coords(const void *part, uint64_t i, uint64_t *out);

/* ---- transaction.c ---- */
bool azri_part_has_order(const azri_part *p, const azri_part *q);
AZR_CHECKED int azri_part_add(azri_part **out, azr_txn *t, azr_array *a,
                              azr_error *err);
AZR_CHECKED int azri_part_distinct(const azri_part *p, const azri_part *q,
                                   azr_error *err);

/* ---- txn_locks.c ---- */
/* Rows, then all locks in their order, level by level, then the dead. `before`:
 * what is `held`, and every document. */
AZR_CHECKED int azri_transaction_lock(azr_txn *t, bool before, azr_error *err);
void azri_parts_end(azr_txn *t);

#endif
