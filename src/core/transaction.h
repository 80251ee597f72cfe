/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of explicit transactions share. Nobody else includes this. */
#ifndef AZRI_CORE_TRANSACTION_H
#define AZRI_CORE_TRANSACTION_H

#include "core/array.h"

#define AZRI_STRIPES 1024

/* A chunk as the transaction will leave it. */
typedef struct azri_staged_chunk {
    uint64_t coords[AZR_MAX_RANK];
    uint8_t *bytes; /* chunk buffer; NULL: what a smaller shape leaves of it */
    azri_seen seen;
    /* It goes to the disk as it was given; `bytes` is then what it decodes to, or
     * NULL as long as nobody has asked. */
    bool is_raw;
    uint8_t *raw; /* NULL: there is to be no chunk */
    size_t raw_nbytes;
} azri_staged_chunk;

/* A set of chunks: rank numbers each. */
typedef struct azri_chunk_set {
    azri_buf coords;
    uint64_t n;
    int rank;
} azri_chunk_set;

/* Counters as they were at the reads. */
typedef struct azri_stripes {
    uint64_t counter[AZRI_STRIPES];
    bool known[AZRI_STRIPES];
} azri_stripes;

/* One array of a transaction. */
typedef struct azri_part {
    azr_txn *t;
    azr_array *a;
    azri_ground *g;    /* the document that everything rests on */
    azri_ground *next; /* the one that the commit puts there; NULL: the same */
    /* Of what is stored this part of the array counts; the rest was cut off by a
     * smaller shape. It is never larger than that of `g`. */
    int64_t kept[AZR_MAX_RANK];
    bool shrinks;              /* `kept` is smaller than the shape of `g` */
    bool created;              /* nothing is stored, not even `g` */
    bool sets_zattrs;          /* format 2: the commit puts `zattrs` there */
    bool knows_zattrs;         /* `zattrs` is what stood there, `zattrs_seen` */
    azri_staged_chunk *chunks; /* sorted by coordinates */
    size_t count, capacity;
    azri_staged_chunk *reading; /* whose identity the next read finds out */
    uint8_t *blank;             /* a chunk of fill values */
    azri_buf zattrs;
    azr_object zattrs_seen; /* what it replaces; kept open */
    azri_chunk_set reads;
    azri_buf named;    /* per read: word of the committed row it came through */
    azri_buf raw_seen; /* azri_raw_seen: what was read as it is stored */
    azri_stripes *stripes; /* NULL: no chunk has been read */
    bool used_shape;
    bool alone;       /* taken before the body ran: META exclusive, … */
    azri_txn *locked; /* … or else what is `held` */
    azri_chunk_set held;
    azri_txn *inner; /* during the commit */
    int directory;   /* lock of it, for one that is created; or -1 */
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
void azri_staged_coords(const void *arg, uint64_t i, uint64_t *out);
AZR_CHECKED int azri_staged_room(azri_part *p, azr_error *err);
/* A place for `c` (taken over) at `at`; there must be room. */
void azri_staged_insert(azri_part *p, size_t at, const azri_staged_chunk *c);
void azri_staged_forget_raw(azri_staged_chunk *c); /* `bytes` are it now */
void azri_staged_dispose(azri_staged_chunk *c);
/* What a smaller shape cuts off stored chunks, beside those staged already; under
 * META exclusive. */
AZR_CHECKED int azri_staged_victims(azri_part *p, azr_error *err);

/* ---- transaction.c ---- */
bool azri_part_has_order(const azri_part *p, const azri_part *q);
AZR_CHECKED int azri_part_add(azri_part **out, azr_txn *t, azr_array *a,
                              azr_error *err);
AZR_CHECKED int azri_part_distinct(const azri_part *p, const azri_part *q,
                                   azr_error *err);
AZR_CHECKED int azri_transaction_alive(const azr_txn *t, azr_error *err);
AZR_CHECKED int azri_part_new(azri_part **out, azr_txn *t, azr_array *a,
                              azr_error *err); /* or the one it has */
void azri_part_forget(azr_txn *t, azri_part *p);
/* What is written stands on one file system. */
AZR_CHECKED int azri_part_check_device(const azr_txn *t, const azri_part *p,
                                       azr_error *err);
/* `a` becomes one of the transaction's arrays. */
AZR_CHECKED int azri_part_join(azri_part **out, azr_txn *t, azr_array *a,
                               azr_error *err);
/* That, to write there. */
AZR_CHECKED int azri_part_join_writer(azri_part **out, azr_txn *t, azr_array *a,
                                      azr_error *err);
/* The document as the transaction sees it. */
azri_ground *azri_part_top(const azri_part *p);
/* Does the commit replace a document? */
bool azri_part_moves_document(const azri_part *p);
bool azri_part_writes(const azri_part *p);
/* AZR_EINVAL may come of a document that has moved: then AZR_ECONFLICT. */
int azri_part_verdict(azri_part *p, int rc, azr_error *err);
AZR_CHECKED int azri_part_write(azri_part *p, const azri_plan *plan,
                                const azr_memory *src, azr_error *err);
azri_victims azri_part_victims(const azri_part *p);
/* A new chunk buffer of fill values. */
AZR_CHECKED int azri_part_blank(uint8_t **out, const azri_part *p,
                                azr_error *err);
/* Does any of what is stored under this key count? */
bool azri_part_has_stored(const azri_part *p, const uint64_t *coords);
/* What is stored of a chunk and counts, as a box. */
azr_selection azri_part_stored_box(const azri_part *p, const uint64_t *coords);
azri_read_hooks azri_part_hooks(azri_part *p);
/* Stage the chunk at `at` as a smaller shape of this transaction leaves it, if it
 * goes through it. *staged: it is staged now. */
AZR_CHECKED int azri_part_cut(azri_part *p, const uint64_t *coords,
                              bool *staged, azr_error *err);

/* ---- txn_chunks.c ---- */
AZR_CHECKED int azri_part_need_elements(const azri_part *p, azr_error *err);
/* Before its elements are read, written or cut: what was written as it is stored
 * gets its `bytes`. */
AZR_CHECKED int azri_staged_decode(azri_part *p, azri_staged_chunk *c,
                                   azr_error *err);
AZR_CHECKED int azri_part_decode(azri_part *p, azr_error *err); /* all */
/* Before the commit: written chunks that were read before, as they are stored, are
 * replaced only if they are still the same objects. */
void azri_part_mark_seen(azri_part *p);

/* ---- again transaction.c ---- */
AZR_CHECKED int azri_fail_conflict(const azri_part *p, azr_error *err);

/* ---- txn_locks.c ---- */
/* Rows, then all locks in their order, level by level, then the dead. `before`:
 * what is `held`, and every document. */
AZR_CHECKED int azri_transaction_lock(azr_txn *t, bool before, azr_error *err);
/* Those of the arrays that it creates, with all others in hand: never waits,
 * AZR_EBUSY instead. */
AZR_CHECKED int azri_transaction_lock_created(azr_txn *t, azr_error *err);
void azri_parts_end(azr_txn *t);

#endif
