/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Points, sorted by chunk. The sort is a stable radix sort on the number of each
 * point's chunk inside the hull of all of them. Where that number does not fit
 * in 64 bits, it is cut into groups of dimensions, sorted last group first: being
 * stable, the passes add up to C order.
 */
#include "model/plan_points.h"

#include "base/checked.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define DIGIT_BITS 11
#define DIGITS     (1u << DIGIT_BITS)

struct keyed {
    uint64_t number; /* of the chunk, in the group's dimensions */
    size_t point;
};

struct hull {
    int64_t low[AZR_MAX_RANK];    /* lowest chunk coordinate */
    uint64_t width[AZR_MAX_RANK]; /* chunks from the lowest to the highest */
};

static void *alloc_array(size_t count, size_t item_nbytes, azr_error *err)
{
    size_t nbytes = SIZE_MAX;
    void *a = NULL;

    if (!azri_mul_overflow(count, item_nbytes, &nbytes))
        a = azri_alloc(nbytes);
    if (!a)
        (void)azri_fail_nomem(err, nbytes);
    return a;
}

static int check_inside(const azri_plan *p, size_t n, azr_error *err)
{
    const int64_t *x = p->points;

    for (size_t i = 0; i < n; i++) {
        for (int d = 0; d < p->rank; d++, x++) {
            if (*x < 0 || *x >= p->shape[d])
                return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                                     "point %zu, dimension %d: %" PRId64
                                     " is not below the length %" PRId64
                                     " or is negative",
                                     i, d, *x, p->shape[d]);
        }
    }
    return AZR_OK;
}

static void find_hull(struct hull *h, const azri_plan *p, size_t n)
{
    int64_t high[AZR_MAX_RANK];
    const int64_t *x = p->points;

    for (int d = 0; d < p->rank; d++)
        h->low[d] = high[d] = x[d];
    for (size_t i = 0; i < n; i++, x += p->rank) {
        for (int d = 0; d < p->rank; d++) {
            h->low[d] = azri_min_i64(h->low[d], x[d]);
            high[d] = azri_max_i64(high[d], x[d]);
        }
    }
    for (int d = 0; d < p->rank; d++) {
        h->low[d] /= p->chunk[d];
        h->width[d] = (uint64_t)(high[d] / p->chunk[d] - h->low[d]) + 1;
    }
}

/* First dimension of the group that ends before `end`; *size becomes the number
 * of chunks in it. A group of one always fits. */
static int group_begin(const struct hull *h, int end, uint64_t *size)
{
    int d = end - 1;
    uint64_t product = h->width[d];
    uint64_t wider;

    while (d > 0 && !__builtin_mul_overflow(product, h->width[d - 1], &wider)) {
        product = wider;
        d--;
    }
    *size = product;
    return d;
}

static void number_chunks(struct keyed *keys, size_t n, const azri_plan *p,
                          const struct hull *h, int begin, int end)
{
    for (size_t i = 0; i < n; i++) {
        const int64_t *x = p->points + keys[i].point * (size_t)p->rank;
        uint64_t number = 0;

        for (int d = begin; d < end; d++)
            number = number * h->width[d] +
                     (uint64_t)(x[d] / p->chunk[d] - h->low[d]);
        keys[i].number = number;
    }
}

static bool is_sorted(const struct keyed *keys, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (keys[i - 1].number > keys[i].number)
            return false;
    }
    return true;
}

static void sort_by_digit(struct keyed *to, const struct keyed *from, size_t n,
                          unsigned shift)
{
    size_t place[DIGITS] = {0};
    size_t sum = 0;

    for (size_t i = 0; i < n; i++)
        place[(from[i].number >> shift) % DIGITS]++;
    for (unsigned k = 0; k < DIGITS; k++) {
        size_t here = place[k];

        place[k] = sum;
        sum += here;
    }
    for (size_t i = 0; i < n; i++)
        to[place[(from[i].number >> shift) % DIGITS]++] = from[i];
}

/* Numbers are below `size`. The sorted ones end up in *keys. */
static void sort_by_number(struct keyed **keys, struct keyed **spare, size_t n,
                           uint64_t size)
{
    if (is_sorted(*keys, n))
        return;
    for (unsigned shift = 0; shift < 64 && (size - 1) >> shift != 0;
         shift += DIGIT_BITS) {
        struct keyed *sorted = *spare;

        sort_by_digit(sorted, *keys, n, shift);
        *spare = *keys;
        *keys = sorted;
    }
}

static int sort_points(azri_plan *p, size_t n, azr_error *err)
{
    struct keyed *keys = alloc_array(n, sizeof *keys, err);
    struct keyed *spare = keys ? alloc_array(n, sizeof *spare, err) : NULL;
    struct hull hull;
    uint64_t size;
    int rc = AZR_ENOMEM;

    if (!spare)
        goto done;
    for (size_t i = 0; i < n; i++)
        keys[i].point = i;
    find_hull(&hull, p, n);
    for (int end = p->rank; end > 0;) {
        int begin = group_begin(&hull, end, &size);

        number_chunks(keys, n, p, &hull, begin, end);
        sort_by_number(&keys, &spare, n, size);
        end = begin;
    }
    for (size_t i = 0; i < n; i++)
        p->point_order[i] = keys[i].point;
    rc = AZR_OK;
done:
    azri_free(spare);
    azri_free(keys);
    return rc;
}

static const int64_t *point_at(const azri_plan *p, size_t place)
{
    return p->points + p->point_order[place] * (size_t)p->rank;
}

/* First element of the chunk that holds `x`. */
static void chunk_corner(int64_t *corner, const azri_plan *p, const int64_t *x)
{
    for (int d = 0; d < p->rank; d++)
        corner[d] = x[d] - x[d] % p->chunk[d];
}

static bool is_in_chunk(const azri_plan *p, const int64_t *corner,
                        const int64_t *x)
{
    for (int d = 0; d < p->rank; d++) {
        if (x[d] < corner[d] || x[d] - corner[d] >= p->chunk[d])
            return false;
    }
    return true;
}

static int split_pieces(azri_plan *p, size_t n, azr_error *err)
{
    int64_t corner[AZR_MAX_RANK];
    size_t count = 0;
    size_t *fitting;

    p->piece_start = alloc_array(n + 1, sizeof *p->piece_start, err);
    if (!p->piece_start)
        return AZR_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const int64_t *x = point_at(p, i);

        if (i > 0 && is_in_chunk(p, corner, x))
            continue;
        chunk_corner(corner, p, x);
        p->piece_start[count++] = i;
    }
    p->piece_start[count] = n;
    p->piece_count = count;

    fitting = azri_resize(p->piece_start, (count + 1) * sizeof *p->piece_start);
    if (fitting)
        p->piece_start = fitting;
    return AZR_OK;
}

int azri_plan_points_init(azri_plan *p, const azr_selection *sel,
                          azr_error *err)
{
    static const int64_t none; /* in rank 0 no coordinates are needed */
    size_t n = sel->point_count;
    int rc;

    p->is_points = true;
    p->points = sel->points ? sel->points : &none;
    p->result_rank = 1;
    p->result_shape[0] = (int64_t)n;
    p->element_count = (int64_t)n;
    if (n == 0)
        return AZR_OK;

    rc = check_inside(p, n, err);
    if (rc < 0)
        return rc;
    p->point_order = alloc_array(n, sizeof *p->point_order, err);
    if (!p->point_order)
        return AZR_ENOMEM;
    rc = sort_points(p, n, err);
    if (rc < 0)
        return rc;
    return split_pieces(p, n, err);
}

void azri_plan_points_piece(const azri_plan *p, uint64_t i, azri_piece *out)
{
    const int64_t *x;

    out->point_begin = p->piece_start[i];
    out->point_end = p->piece_start[i + 1];
    out->whole = true; /* one point fills a chunk of one element only */
    x = point_at(p, out->point_begin);
    for (int d = 0; d < p->rank; d++) {
        int64_t cell = x[d] / p->chunk[d];

        out->coords[d] = (uint64_t)cell;
        out->extent[d] =
            azri_min_i64(p->chunk[d], p->shape[d] - cell * p->chunk[d]);
        out->from[d] = 0;
        out->step[d] = 1;
        out->count[d] = 0;
        out->at[d] = 0;
        if (out->extent[d] != 1)
            out->whole = false;
    }
}
