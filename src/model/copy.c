/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies between caller memory and chunk buffers.
 *
 * A copy is a set of loops, each with a count and a stride on either side. They
 * are put into the order of the written side, loops that are one run on both
 * sides are joined, and the two innermost ones (a "plane") go to a function made
 * for the element size. An odometer walks the others.
 */
#include "base/checked.h"
#include "model/plan.h"

#include <assert.h>
#include <string.h>

/* Side of a tile of a transpose, in elements: the lines that it touches on both
 * sides stay in the first-level cache. */
#define TILE 16

#define FILL_BLOCK 8192 /* bytes that are doubled, then repeated */

struct plane {
    int64_t rows, cols;
    int64_t dst_row, dst_col, src_row, src_col; /* strides in bytes */
    size_t item, unit;
};

typedef void (*plane_fn)(uint8_t *restrict dst, const uint8_t *restrict src,
                         const struct plane *pl);

struct walk {
    int rank; /* at least 2 once settled; the last two are the plane */
    bool is_transpose;
    int64_t count[AZR_MAX_RANK + 2];
    int64_t dst[AZR_MAX_RANK + 2], src[AZR_MAX_RANK + 2];
    size_t item, unit;
};

/* ------------------------------------------------------------ elements --- */

static inline void swap_one(uint8_t *dst, const uint8_t *src, size_t unit)
{
    uint16_t v2;
    uint32_t v4;
    uint64_t v8;

    switch (unit) {
    case 2:
        memcpy(&v2, src, sizeof v2);
        v2 = __builtin_bswap16(v2);
        memcpy(dst, &v2, sizeof v2);
        break;
    case 4:
        memcpy(&v4, src, sizeof v4);
        v4 = __builtin_bswap32(v4);
        memcpy(dst, &v4, sizeof v4);
        break;
    case 8:
        memcpy(&v8, src, sizeof v8);
        v8 = __builtin_bswap64(v8);
        memcpy(dst, &v8, sizeof v8);
        break;
    default:
        for (size_t i = 0; i < unit; i++)
            dst[i] = src[unit - 1 - i];
        break;
    }
}

static inline void copy_one(uint8_t *dst, const uint8_t *src, size_t item,
                            size_t unit)
{
    if (unit <= 1) {
        memcpy(dst, src, item);
        return;
    }
    for (size_t i = 0; i < item; i += unit)
        swap_one(dst + i, src + i, unit);
}

/* `item` and `unit` are constants wherever this is used: the compiler makes
 * loads, swaps and stores of the fixed size of them, and wide ones of rows. */
static inline __attribute__((always_inline)) void
copy_plane(uint8_t *restrict dst, const uint8_t *restrict src,
           const struct plane *pl, size_t item, size_t unit)
{
    size_t cols = (size_t)pl->cols;
    bool is_run = pl->dst_col == (int64_t)item && pl->src_col == (int64_t)item;

    for (int64_t r = 0; r < pl->rows; r++) {
        uint8_t *d = dst + r * pl->dst_row;
        const uint8_t *s = src + r * pl->src_row;

        if (is_run) {
            for (size_t c = 0; c < cols; c++)
                copy_one(d + c * item, s + c * item, item, unit);
            continue;
        }
        for (int64_t c = 0; c < pl->cols; c++)
            copy_one(d + c * pl->dst_col, s + c * pl->src_col, item, unit);
    }
}

#define PLANE(name, item, unit)                                                \
    static void name(uint8_t *restrict dst, const uint8_t *restrict src,       \
                     const struct plane *pl)                                   \
    {                                                                          \
        copy_plane(dst, src, pl, item, unit);                                  \
    }

PLANE(plane_1, 1, 1)
PLANE(plane_2, 2, 1)
PLANE(plane_4, 4, 1)
PLANE(plane_8, 8, 1)
PLANE(plane_16, 16, 1)
PLANE(plane_2_swap, 2, 2)
PLANE(plane_4_swap, 4, 4)
PLANE(plane_8_swap, 8, 8)
PLANE(plane_8_swap4, 8, 4)
PLANE(plane_16_swap8, 16, 8)
PLANE(plane_any, pl->item, pl->unit)

static void plane_runs(uint8_t *restrict dst, const uint8_t *restrict src,
                       const struct plane *pl)
{
    size_t nbytes = (size_t)pl->cols * pl->item;

    for (int64_t r = 0; r < pl->rows; r++)
        memcpy(dst + r * pl->dst_row, src + r * pl->src_row, nbytes);
}

/* One element, again and again. */
static void plane_fill(uint8_t *restrict dst, const uint8_t *restrict src,
                       const struct plane *pl)
{
    for (int64_t r = 0; r < pl->rows; r++)
        azri_fill_elements(dst + r * pl->dst_row, src, pl->item,
                           (size_t)pl->cols);
}

static plane_fn plane_for(size_t item, size_t unit)
{
    static const struct {
        size_t item, unit;
        plane_fn fn;
    } table[] = {
        {1, 1, plane_1},         {2, 1, plane_2},      {4, 1, plane_4},
        {8, 1, plane_8},         {16, 1, plane_16},    {2, 2, plane_2_swap},
        {4, 4, plane_4_swap},    {8, 8, plane_8_swap}, {8, 4, plane_8_swap4},
        {16, 8, plane_16_swap8},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].item == item && table[i].unit == unit)
            return table[i].fn;
    }
    return plane_any;
}

/* --------------------------------------------------------------- loops --- */

static uint64_t magnitude(int64_t stride)
{
    return stride < 0 ? 0 - (uint64_t)stride : (uint64_t)stride;
}

static void walk_init(struct walk *w, size_t item, size_t unit)
{
    w->rank = 0;
    w->is_transpose = false;
    w->item = item;
    w->unit = unit < 1 ? 1 : unit;
}

static void walk_set(struct walk *w, int i, int64_t count, int64_t dst,
                     int64_t src)
{
    w->count[i] = count;
    w->dst[i] = dst;
    w->src[i] = src;
}

/* Add a loop, kept in descending order of the written side's strides. */
static void walk_add(struct walk *w, int64_t count, int64_t dst, int64_t src)
{
    int i = w->rank++;

    while (i > 0 && magnitude(w->dst[i - 1]) < magnitude(dst)) {
        walk_set(w, i, w->count[i - 1], w->dst[i - 1], w->src[i - 1]);
        i--;
    }
    walk_set(w, i, count, dst, src);
}

/* Join each loop with the one inside it where both sides go on evenly. (Strides
 * of memory that exists: times a count they fit.) */
static void walk_join(struct walk *w)
{
    int last = 0;

    for (int i = 1; i < w->rank; i++) {
        if (w->dst[last] == w->dst[i] * w->count[i] &&
            w->src[last] == w->src[i] * w->count[i])
            walk_set(w, last, w->count[last] * w->count[i], w->dst[i],
                     w->src[i]);
        else
            walk_set(w, ++last, w->count[i], w->dst[i], w->src[i]);
    }
    if (w->rank > 0)
        w->rank = last + 1;
}

/* A short run of both sides is copied as one wider element. */
static void walk_widen(struct walk *w)
{
    int last = w->rank - 1;
    int64_t item = (int64_t)w->item;
    int64_t run;

    if (last < 0 || w->unit > 1 || w->dst[last] != item ||
        w->src[last] != item || w->count[last] > 16)
        return;
    run = item * w->count[last];
    if (run == 2 || run == 4 || run == 8 || run == 16) {
        w->item = (size_t)run;
        w->rank--;
    }
}

/* Where the two sides run along different dimensions, make the second of them
 * the plane's rows: tiles then use whole cache lines of both. */
static void walk_pair(struct walk *w)
{
    int last = w->rank - 1, best = last;
    int64_t count, dst, src;

    if (last < 1 || w->src[last] == 0)
        return;
    for (int i = 0; i < last; i++) {
        if (w->src[i] != 0 && magnitude(w->src[i]) < magnitude(w->src[best]))
            best = i;
    }
    if (best == last)
        return;
    w->is_transpose = true;
    count = w->count[best];
    dst = w->dst[best];
    src = w->src[best];
    for (int i = best; i < last - 1; i++)
        walk_set(w, i, w->count[i + 1], w->dst[i + 1], w->src[i + 1]);
    walk_set(w, last - 1, count, dst, src);
}

/* Put single loops in front until there is a plane. */
static void walk_pad(struct walk *w)
{
    while (w->rank < 2) {
        if (w->rank == 1)
            walk_set(w, 1, w->count[0], w->dst[0], w->src[0]);
        walk_set(w, 0, 1, 0, 0);
        w->rank++;
    }
}

static void copy_tiles(plane_fn fn, uint8_t *restrict dst,
                       const uint8_t *restrict src, const struct plane *whole)
{
    struct plane tile = *whole;

    for (int64_t r = 0; r < whole->rows; r += TILE) {
        tile.rows = azri_min_i64(TILE, whole->rows - r);
        for (int64_t c = 0; c < whole->cols; c += TILE) {
            tile.cols = azri_min_i64(TILE, whole->cols - c);
            fn(dst + r * whole->dst_row + c * whole->dst_col,
               src + r * whole->src_row + c * whole->src_col, &tile);
        }
    }
}

/* Next position of the loops outside the plane; false after the last. */
static bool walk_next(const struct walk *w, int64_t *index, int64_t *dst,
                      int64_t *src)
{
    for (int i = w->rank - 3; i >= 0; i--) {
        if (++index[i] < w->count[i]) {
            *dst += w->dst[i];
            *src += w->src[i];
            return true;
        }
        index[i] = 0;
        *dst -= w->dst[i] * (w->count[i] - 1);
        *src -= w->src[i] * (w->count[i] - 1);
    }
    return false;
}

static void walk_run(const struct walk *w, plane_fn fn, uint8_t *dst,
                     const uint8_t *src)
{
    int row = w->rank - 2, col = w->rank - 1;
    struct plane pl = {w->count[row], w->count[col], w->dst[row], w->dst[col],
                       w->src[row],   w->src[col],   w->item,     w->unit};
    int64_t index[AZR_MAX_RANK + 2] = {0};
    int64_t d = 0, s = 0;

    do {
        if (w->is_transpose)
            copy_tiles(fn, dst + d, src + s, &pl);
        else
            fn(dst + d, src + s, &pl);
    } while (walk_next(w, index, &d, &s));
}

static void walk_copy(struct walk *w, uint8_t *dst, const uint8_t *src)
{
    int64_t item;
    plane_fn fn;

    walk_join(w);
    walk_widen(w);
    walk_pair(w);
    walk_pad(w);
    item = (int64_t)w->item;
    fn = plane_for(w->item, w->unit);
    if (w->unit == 1 && w->dst[w->rank - 1] == item &&
        w->src[w->rank - 1] == item)
        fn = plane_runs;
    walk_run(w, fn, dst, src);
}

/* -------------------------------------------------------------- pieces --- */

/* Where the piece begins, in bytes from the memory's `data`. */
static int64_t memory_begin(const azri_plan *p, const azri_piece *piece,
                            const azr_memory *m)
{
    int64_t at = (int64_t)m->offset;

    for (int d = 0; d < p->rank; d++)
        at += piece->at[d] * m->strides[d];
    return at;
}

static int64_t chunk_begin(const azri_plan *p, const azri_piece *piece,
                           const int64_t *strides)
{
    int64_t at = 0;

    for (int d = 0; d < p->rank; d++)
        at += piece->from[d] * strides[d];
    return at;
}

/* Position of a point of the list in the chunk buffer. */
static int64_t point_in_chunk(const azri_plan *p, const azri_piece *piece,
                              size_t point, const int64_t *strides)
{
    const int64_t *x = p->points + point * (size_t)p->rank;
    int64_t at = 0;

    for (int d = 0; d < p->rank; d++)
        at += (x[d] - (int64_t)piece->coords[d] * p->chunk[d]) * strides[d];
    return at;
}

static int64_t point_in_memory(const azr_memory *m, size_t point)
{
    return (int64_t)m->offset + (int64_t)point * m->strides[0];
}

static const struct plane *single(struct plane *pl, size_t item, size_t unit)
{
    memset(pl, 0, sizeof *pl);
    pl->rows = 1;
    pl->cols = 1;
    pl->item = item;
    pl->unit = unit < 1 ? 1 : unit;
    return pl;
}

static void scatter_points(const azri_plan *p, const azri_piece *piece,
                           const azr_memory *dst, const uint8_t *chunk,
                           const int64_t *strides, const struct plane *one)
{
    plane_fn fn = plane_for(one->item, one->unit);

    for (size_t i = piece->point_begin; i < piece->point_end; i++) {
        size_t point = p->point_order[i];

        fn((uint8_t *)dst->data + point_in_memory(dst, point),
           chunk + point_in_chunk(p, piece, point, strides), one);
    }
}

void azri_scatter(const azri_plan *p, const azri_piece *piece,
                  const azr_memory *dst, const uint8_t *chunk,
                  const int64_t *chunk_strides, size_t item_nbytes,
                  size_t swap_unit)
{
    struct plane one;
    struct walk w;

    if (p->is_points) {
        scatter_points(p, piece, dst, chunk, chunk_strides,
                       single(&one, item_nbytes, swap_unit));
        return;
    }
    walk_init(&w, item_nbytes, swap_unit);
    for (int d = 0; d < p->rank; d++) {
        if (piece->count[d] > 1)
            walk_add(&w, piece->count[d], dst->strides[d],
                     piece->step[d] * chunk_strides[d]);
    }
    walk_copy(&w, (uint8_t *)dst->data + memory_begin(p, piece, dst),
              chunk + chunk_begin(p, piece, chunk_strides));
}

/* Points are in the order of the list within a chunk: the last one wins. */
static void gather_points(const azri_plan *p, const azri_piece *piece,
                          const azr_memory *src, uint8_t *chunk,
                          const int64_t *strides, const struct plane *one)
{
    plane_fn fn = plane_for(one->item, one->unit);

    for (size_t i = piece->point_begin; i < piece->point_end; i++) {
        size_t point = p->point_order[i];

        fn(chunk + point_in_chunk(p, piece, point, strides),
           (const uint8_t *)src->data + point_in_memory(src, point), one);
    }
}

void azri_gather(const azri_plan *p, const azri_piece *piece,
                 const azr_memory *src, uint8_t *chunk,
                 const int64_t *chunk_strides, size_t item_nbytes,
                 size_t swap_unit)
{
    struct plane one;
    struct walk w;

    if (p->is_points) {
        gather_points(p, piece, src, chunk, chunk_strides,
                      single(&one, item_nbytes, swap_unit));
        return;
    }
    walk_init(&w, item_nbytes, swap_unit);
    for (int d = 0; d < p->rank; d++) {
        if (piece->count[d] > 1)
            walk_add(&w, piece->count[d], piece->step[d] * chunk_strides[d],
                     src->strides[d]);
    }
    walk_copy(&w, chunk + chunk_begin(p, piece, chunk_strides),
              (const uint8_t *)src->data + memory_begin(p, piece, src));
}

static void fill_points(const azri_plan *p, const azri_piece *piece,
                        const azr_memory *dst, const void *element,
                        const struct plane *one)
{
    plane_fn fn = plane_for(one->item, one->unit);

    for (size_t i = piece->point_begin; i < piece->point_end; i++)
        fn((uint8_t *)dst->data + point_in_memory(dst, p->point_order[i]),
           element, one);
}

void azri_scatter_fill(const azri_plan *p, const azri_piece *piece,
                       const azr_memory *dst, const void *element,
                       size_t item_nbytes)
{
    struct plane one;
    struct walk w;
    plane_fn fn = plane_for(item_nbytes, 1);

    if (p->is_points) {
        fill_points(p, piece, dst, element, single(&one, item_nbytes, 1));
        return;
    }
    walk_init(&w, item_nbytes, 1);
    for (int d = 0; d < p->rank; d++) {
        if (piece->count[d] > 1)
            walk_add(&w, piece->count[d], dst->strides[d], 0);
    }
    walk_join(&w);
    walk_pad(&w);
    if (w.dst[w.rank - 1] == (int64_t)item_nbytes)
        fn = plane_fill;
    walk_run(&w, fn, (uint8_t *)dst->data + memory_begin(p, piece, dst),
             element);
}

void *azri_direct(const azri_plan *p, const azri_piece *piece,
                  const azr_memory *dst, size_t item_nbytes)
{
    int64_t stride = (int64_t)item_nbytes;

    if (p->is_points || !piece->whole)
        return NULL;
    for (int d = p->rank - 1; d >= 0; d--) {
        if (piece->extent[d] != p->chunk[d])
            return NULL;
        if (p->chunk[d] > 1 && dst->strides[d] != stride)
            return NULL;
        stride *= p->chunk[d];
    }
    return (uint8_t *)dst->data + memory_begin(p, piece, dst);
}

/* ------------------------------------------------------ many of a kind --- */

static bool is_one_byte(const uint8_t *element, size_t item_nbytes)
{
    for (size_t i = 1; i < item_nbytes; i++) {
        if (element[i] != element[0])
            return false;
    }
    return true;
}

void azri_fill_elements(void *dst, const void *element, size_t item_nbytes,
                        size_t element_count)
{
    size_t total = item_nbytes * element_count;
    size_t block = item_nbytes, done = item_nbytes;
    uint8_t *bytes = dst;

    if (total == 0)
        return;
    if (is_one_byte(element, item_nbytes)) {
        memset(bytes, *(const uint8_t *)element, total);
        return;
    }
    memcpy(bytes, element, item_nbytes);
    while (done < total) {
        size_t n = total - done < block ? total - done : block;

        memcpy(bytes + done, bytes, n);
        done += n;
        if (block < FILL_BLOCK)
            block = done; /* whole elements, all before `done` */
    }
}

/* If the first is equal, and each equals the one before it, all are. */
bool azri_all_equal(const void *data, const void *element, size_t item_nbytes,
                    size_t element_count)
{
    const uint8_t *bytes = data;

    if (element_count == 0)
        return true;
    return memcmp(bytes, element, item_nbytes) == 0 &&
           memcmp(bytes, bytes + item_nbytes,
                  (element_count - 1) * item_nbytes) == 0;
}
