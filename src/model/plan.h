/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The selection engine: which chunks a selection touches, and which elements of
 * each go where in the caller's memory. Values only.
 *
 * Every selection is a product of one index set per dimension (a stepped range
 * now; lists and masks for orthogonal and block selections fit the same table)
 * or a list of points, sorted by chunk.
 */
#ifndef AZRI_MODEL_PLAN_H
#define AZRI_MODEL_PLAN_H

#include "base/buf.h"

#include <stdbool.h>

/* Does resolving `sel` need the shape as data (open count, negative start)?
 * Clipping of absolute bounds counts as well. */
bool azri_selection_needs_shape(const azr_selection *sel);
/* AZR_EINVAL unless struct_size, kind, rank and numbers make sense. */
AZR_CHECKED int azri_selection_check(const azr_selection *sel, int rank,
                                     azr_error *err);

typedef struct azri_plan {
    int rank;
    int result_rank;                    /* points: 1 */
    int64_t result_shape[AZR_MAX_RANK]; /* of the selection */
    int64_t element_count;              /* product; checked */
    int64_t shape[AZR_MAX_RANK], chunk[AZR_MAX_RANK];
    int64_t start[AZR_MAX_RANK], step[AZR_MAX_RANK]; /* resolved box */
    /* Chunks touched in each dimension: how many, and the first. The others
     * follow from azri_plan_cell. */
    int64_t first[AZR_MAX_RANK], cells[AZR_MAX_RANK];
    uint64_t piece_count; /* chunks touched */
    /* points */
    bool is_points;
    const int64_t *points;
    size_t *point_order; /* by chunk (C order of coordinates), stable */
    size_t *piece_start; /* piece_count + 1 indices into point_order */
} azri_plan;

/* One chunk of a plan. Numbers are in elements, positions relative to the chunk
 * (`from`, `step`, `count`) and to the selection's result (`at`). */
typedef struct azri_piece {
    uint64_t coords[AZR_MAX_RANK];
    int64_t extent[AZR_MAX_RANK]; /* part of the chunk inside the array */
    bool whole; /* every element of the chunk inside the array is selected */
    int64_t from[AZR_MAX_RANK], step[AZR_MAX_RANK], count[AZR_MAX_RANK];
    int64_t at[AZR_MAX_RANK];
    size_t point_begin, point_end; /* points: range in point_order */
} azri_piece;

/* Resolve `sel` against an array. AZR_EINVAL (RANGE) names dimension, value and
 * limit. Nothing to free on failure. Cost grows with the chunks touched (points:
 * with points), never with the grid. */
AZR_CHECKED int azri_plan_init(azri_plan *p, const azr_selection *sel, int rank,
                               const int64_t *shape, const int64_t *chunk,
                               azr_error *err);
void azri_plan_dispose(azri_plan *p);
/* Coordinate of the k-th chunk (k < cells[d]) that a box touches in dimension d,
 * ascending. */
int64_t azri_plan_cell(const azri_plan *p, int d, int64_t k);
/* Piece i, in C order of chunk coordinates: any i, any thread. */
void azri_plan_piece(const azri_plan *p, uint64_t i, azri_piece *out);

/* Fill `out` with the strides of C-order memory for a plan's result. */
AZR_CHECKED int azri_memory_dense(azr_memory *out, const azri_plan *p,
                                  void *data, size_t nbytes, size_t item_nbytes,
                                  azr_error *err);
/* Every element of the result inside [data, data + nbytes)? Else AZR_EINVAL. An
 * empty result needs no memory at all. */
AZR_CHECKED int azri_memory_check(const azr_memory *m, const azri_plan *p,
                                  size_t item_nbytes, azr_error *err);

/*
 * Copy between caller memory and a chunk buffer in C order ("chunk order"
 * strides given in bytes so that transposed chunks need no extra pass).
 * `swap_unit` > 1 reverses bytes of each unit on the way.
 * Fast where rows are contiguous on both sides (memcpy), element sizes 1, 2, 4,
 * 8, 16 specialised, transposes in tiles. `dst` and `src` must have passed
 * azri_memory_check; no alignment is asked for.
 */
void azri_scatter(const azri_plan *p, const azri_piece *piece,
                  const azr_memory *dst, const uint8_t *chunk,
                  const int64_t *chunk_strides, size_t item_nbytes,
                  size_t swap_unit);
void azri_gather(const azri_plan *p, const azri_piece *piece,
                 const azr_memory *src, uint8_t *chunk,
                 const int64_t *chunk_strides, size_t item_nbytes,
                 size_t swap_unit);
/* The selected part of the piece in `dst` := one element, machine order. */
void azri_scatter_fill(const azri_plan *p, const azri_piece *piece,
                       const azr_memory *dst, const void *element,
                       size_t item_nbytes);
/* Where the piece is one contiguous run of `dst` that equals the whole chunk
 * buffer in C order (so that a decoder may write there): its address, or NULL. */
void *azri_direct(const azri_plan *p, const azri_piece *piece,
                  const azr_memory *dst, size_t item_nbytes);

/* element_count copies of one element. */
void azri_fill_elements(void *dst, const void *element, size_t item_nbytes,
                        size_t element_count);
/* Are all elements bitwise equal to `element`? */
bool azri_all_equal(const void *data, const void *element, size_t item_nbytes,
                    size_t element_count);

#endif
