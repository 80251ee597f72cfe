/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolving a selection, and its pieces. Once a range is resolved, 0 <= start,
 * start + (count - 1) * step < length holds in each dimension, so that nothing
 * after that can overflow.
 */
#include "model/plan.h"

#include "base/checked.h"
#include "model/plan_points.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* One dimension of a box. */
struct range {
    int64_t start, count, step;
};

/* Negative numbers count from the end: INT64_MIN + n does not overflow. */
static int64_t from_end(int64_t i, int64_t n)
{
    return i < 0 ? i + n : i;
}

static int64_t saturating_end(int64_t start, int64_t count, int64_t step)
{
    int64_t end;

    if (azri_mul_i64(count, step, &end) || azri_add_i64(start, end, &end))
        return INT64_MAX;
    return end;
}

/* start:stop:step as NumPy cuts it. */
static void cut(struct range *r, int64_t start, int64_t stop, int64_t n)
{
    start = azri_min_i64(azri_max_i64(start, 0), n);
    stop = azri_min_i64(azri_max_i64(stop, 0), n);
    r->start = start;
    r->count = start < stop ? (stop - start - 1) / r->step + 1 : 0;
}

/* Stop of an open count, AZR_TO_END - k: may be negative, cannot overflow. */
static int64_t open_stop(int64_t count, int64_t n)
{
    return n - (AZR_TO_END - count);
}

static int resolve_clipped(struct range *r, int64_t n)
{
    int64_t start = from_end(r->start, n);
    int64_t stop = r->count < 0 ? open_stop(r->count, n)
                                : saturating_end(start, r->count, r->step);

    cut(r, start, stop, n);
    return AZR_OK;
}

static int resolve_exact(struct range *r, int64_t n, int d, azr_error *err)
{
    int64_t start = from_end(r->start, n);
    int64_t last;

    if (start < 0 || start > n)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                             "selection, dimension %d: start %" PRId64
                             " lies outside the length %" PRId64,
                             d, r->start, n);
    if (r->count < 0) {
        int64_t stop = open_stop(r->count, n);

        if (stop < start)
            return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                                 "selection, dimension %d: start %" PRId64
                                 " lies behind its end %" PRId64
                                 " (length %" PRId64 ")",
                                 d, start, stop, n);
        r->count = azri_ceil_div(stop - start, r->step);
    } else if (r->count > 0 &&
               (azri_mul_i64(r->count - 1, r->step, &last) ||
                azri_add_i64(start, last, &last) || last >= n)) {
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                             "selection, dimension %d: start %" PRId64
                             ", count %" PRId64 ", step %" PRId64
                             " leave the length %" PRId64,
                             d, start, r->count, r->step, n);
    }
    r->start = start;
    return AZR_OK;
}

static int resolve_integer(struct range *r, int64_t n, int d, azr_error *err)
{
    int64_t start = from_end(r->start, n);

    if (start < 0 || start >= n)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                             "selection, dimension %d: index %" PRId64
                             " lies outside the length %" PRId64,
                             d, r->start, n);
    r->start = start;
    r->count = 1;
    return AZR_OK;
}

static int resolve(struct range *r, const azr_selection *sel, int64_t n, int d,
                   azr_error *err)
{
    int rc = AZR_OK;

    r->start = sel->start[d];
    r->count = sel->count[d];
    r->step = sel->step[d] == 0 ? 1 : sel->step[d];
    if (sel->kind == AZR_SELECT_SLICES && sel->step[d] == 0)
        rc = resolve_integer(r, n, d, err);
    else if (sel->kind == AZR_SELECT_SLICES)
        cut(r, from_end(r->start, n), from_end(r->count, n), n);
    else if (sel->flags & AZR_SELECT_CLIP)
        rc = resolve_clipped(r, n);
    else
        rc = resolve_exact(r, n, d, err);
    if (r->count <= 1)
        r->step = 1; /* it does not matter, so let it not be huge either */
    return rc;
}

static int count_elements(azri_plan *p, azr_error *err)
{
    bool is_empty = false;
    int64_t total = 1;

    for (int d = 0; d < p->rank; d++)
        is_empty = is_empty || p->result_shape[d] == 0;
    for (int d = 0; d < p->rank && !is_empty; d++) {
        if (azri_mul_i64(total, p->result_shape[d], &total))
            return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                                 "selection: 2^63 elements or more");
    }
    p->element_count = is_empty ? 0 : total;
    return AZR_OK;
}

/* A step wider than a chunk puts each element into a chunk of its own; any other
 * step leaves no chunk of the hull out. */
static bool jumps(const azri_plan *p, int d)
{
    return p->step[d] > p->chunk[d];
}

static void count_pieces(azri_plan *p)
{
    p->piece_count = 1;
    for (int d = 0; d < p->rank; d++) {
        int64_t count = p->result_shape[d];
        int64_t last = p->start[d] + (count - 1) * p->step[d];

        p->first[d] = p->start[d] / p->chunk[d];
        p->cells[d] =
            jumps(p, d) ? count : last / p->chunk[d] - p->first[d] + 1;
        /* no piece without an element, and those were counted safely */
        p->piece_count *= (uint64_t)p->cells[d];
    }
    assert(p->piece_count <= (uint64_t)p->element_count);
}

static int init_box(azri_plan *p, const azr_selection *sel, azr_error *err)
{
    int rc;

    p->result_rank = p->rank;
    for (int d = 0; d < p->rank; d++) {
        struct range r;

        rc = resolve(&r, sel, p->shape[d], d, err);
        if (rc < 0)
            return rc;
        p->start[d] = r.start;
        p->step[d] = r.step;
        p->result_shape[d] = r.count;
    }
    rc = count_elements(p, err);
    if (rc == AZR_OK && p->element_count > 0)
        count_pieces(p);
    return rc;
}

static int check_grid(int rank, const int64_t *shape, const int64_t *chunk,
                      azr_error *err)
{
    for (int d = 0; d < rank; d++) {
        if (shape[d] < 0 || chunk[d] < 1)
            return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                                 "array, dimension %d: length %" PRId64
                                 " (need 0 or more), chunks of %" PRId64
                                 " (need 1 or more)",
                                 d, shape[d], chunk[d]);
    }
    return AZR_OK;
}

int azri_plan_init(azri_plan *p, const azr_selection *sel, int rank,
                   const int64_t *shape, const int64_t *chunk, azr_error *err)
{
    int rc = azri_selection_check(sel, rank, err);

    if (rc == AZR_OK)
        rc = check_grid(rank, shape, chunk, err);
    if (rc < 0)
        return rc;

    memset(p, 0, sizeof *p);
    p->rank = rank;
    for (int d = 0; d < rank; d++) {
        p->shape[d] = shape[d];
        p->chunk[d] = chunk[d];
    }
    if (sel->kind == AZR_SELECT_POINTS)
        rc = azri_plan_points_init(p, sel, err);
    else
        rc = init_box(p, sel, err);
    if (rc < 0)
        azri_plan_dispose(p);
    return rc;
}

void azri_plan_dispose(azri_plan *p)
{
    azri_free(p->point_order);
    azri_free(p->piece_start);
    p->point_order = NULL;
    p->piece_start = NULL;
    p->piece_count = 0;
}

int64_t azri_plan_cell(const azri_plan *p, int d, int64_t k)
{
    if (jumps(p, d))
        return (p->start[d] + k * p->step[d]) / p->chunk[d];
    return p->first[d] + k;
}

/* Dimension d of a piece: the k-th cell there. */
static void piece_dimension(const azri_plan *p, int d, int64_t k,
                            azri_piece *out)
{
    int64_t start = p->start[d], step = p->step[d];
    int64_t cell = azri_plan_cell(p, d, k);
    int64_t low = cell * p->chunk[d];
    int64_t extent = azri_min_i64(p->chunk[d], p->shape[d] - low);
    int64_t begin = start >= low ? 0 : azri_ceil_div(low - start, step);
    int64_t end = azri_ceil_div(low + extent - start, step);

    end = azri_min_i64(end, p->result_shape[d]);
    out->coords[d] = (uint64_t)cell;
    out->extent[d] = extent;
    out->from[d] = start + begin * step - low;
    out->step[d] = step;
    out->count[d] = end - begin;
    out->at[d] = begin;
    if (out->count[d] != extent)
        out->whole = false;
}

void azri_plan_piece(const azri_plan *p, uint64_t i, azri_piece *out)
{
    assert(i < p->piece_count);
    if (p->is_points) {
        azri_plan_points_piece(p, i, out);
        return;
    }
    out->whole = true;
    out->point_begin = 0;
    out->point_end = 0;
    for (int d = p->rank - 1; d >= 0; d--) {
        uint64_t cells = (uint64_t)p->cells[d];

        piece_dimension(p, d, (int64_t)(i % cells), out);
        i /= cells;
    }
}

int azri_memory_dense(azr_memory *out, const azri_plan *p, void *data,
                      size_t nbytes, size_t item_nbytes, azr_error *err)
{
    size_t need = 0;
    int64_t stride = (int64_t)item_nbytes;

    if ((uint64_t)p->element_count > SIZE_MAX ||
        azri_mul_overflow((size_t)p->element_count, item_nbytes, &need) ||
        need > nbytes || need > (size_t)INT64_MAX)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                             "memory: %zu bytes, need %" PRId64
                             " elements of %zu bytes",
                             nbytes, p->element_count, item_nbytes);
    if (!data && need > 0)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "memory: NULL, need %zu bytes", need);
    memset(out, 0, sizeof *out);
    out->struct_size = (uint32_t)sizeof *out;
    out->rank = p->result_rank;
    out->data = data;
    out->nbytes = nbytes;
    if (need == 0)
        return AZR_OK;
    for (int d = p->result_rank - 1; d >= 0; d--) {
        out->strides[d] = stride;
        stride *= p->result_shape[d]; /* at most `need` */
    }
    return AZR_OK;
}

static int check_memory_form(const azr_memory *m, const azri_plan *p,
                             azr_error *err)
{
    if (m->struct_size != sizeof *m)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "memory: struct_size %" PRIu32 ", need %zu",
                             m->struct_size, sizeof *m);
    if (m->rank != p->result_rank)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANK,
                             "memory: rank %" PRId32 ", the selection has %d",
                             m->rank, p->result_rank);
    if (!m->data && p->element_count > 0)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT, "memory: NULL");
    return AZR_OK;
}

int azri_memory_check(const azr_memory *m, const azri_plan *p,
                      size_t item_nbytes, azr_error *err)
{
    int64_t limit = (int64_t)(m->nbytes < INT64_MAX ? m->nbytes : INT64_MAX);
    int64_t low, high, span;
    int rc = check_memory_form(m, p, err);

    if (rc < 0 || p->element_count == 0)
        return rc;
    if (m->offset > (size_t)limit || item_nbytes > (size_t)limit - m->offset)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                             "memory: offset %zu, element of %zu bytes, "
                             "only %zu bytes",
                             m->offset, item_nbytes, m->nbytes);
    low = (int64_t)m->offset;
    high = low + (int64_t)item_nbytes;
    for (int d = 0; d < p->result_rank; d++) {
        int64_t stride = m->strides[d];

        if (azri_mul_i64(p->result_shape[d] - 1, stride, &span) ||
            (span < 0 && azri_add_i64(low, span, &low)) ||
            (span > 0 && azri_add_i64(high, span, &high)) || low < 0 ||
            high > limit)
            return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                                 "memory, dimension %d: length %" PRId64
                                 ", stride %" PRId64
                                 " leave the %zu bytes given",
                                 d, p->result_shape[d], stride, m->nbytes);
    }
    return AZR_OK;
}
