/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of chunks, and the chunks that a transaction has written. */
#include "core/transaction.h"

#include <stdlib.h>
#include <string.h>

const uint64_t *azri_set_at(const azri_chunk_set *s, uint64_t i)
{
    const void *p = s->coords.data;

    return (const uint64_t *)p + i * (uint64_t)s->rank;
}

void azri_set_coords(const void *arg, uint64_t i, uint64_t *out)
{
    const azri_chunk_set *s = arg;

    if (s->rank > 0) /* a 0-d array's one chunk has no coordinates */
        memcpy(out, azri_set_at(s, i), (size_t)s->rank * sizeof *out);
}

int azri_set_add(azri_chunk_set *s, int rank, const uint64_t *coords,
                 azr_error *err)
{
    s->rank = rank;
    s->n++;
    return azri_buf_append(&s->coords, coords, (size_t)rank * sizeof *coords,
                           err);
}

static int compare(const uint64_t *x, const uint64_t *y, int rank)
{
    for (int d = 0; d < rank; d++) {
        if (x[d] != y[d])
            return x[d] < y[d] ? -1 : 1;
    }
    return 0;
}

static int compare_r(const void *x, const void *y, void *rank)
{
    return compare(x, y, *(const int *)rank);
}

void azri_set_sort(azri_chunk_set *s)
{
    if (s->n > 1 && s->rank > 0)
        qsort_r(s->coords.data, s->n, (size_t)s->rank * sizeof(uint64_t),
                compare_r, &s->rank);
}

bool azri_set_has(const azri_chunk_set *s, const uint64_t *coords)
{
    uint64_t low = 0, high = s->n;

    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        int c = compare(azri_set_at(s, mid), coords, s->rank);

        if (c == 0)
            return true;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

/* Position of `coords` among the staged chunks, or where it belongs. */
size_t azri_staged_position(const azri_part *p, const uint64_t *coords,
                            bool *found)
{
    size_t low = 0, high = p->count;

    *found = false;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = compare(p->chunks[mid].coords, coords, p->g->meta->rank);

        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void azri_staged_coords(const void *arg, uint64_t i, uint64_t *out)
{
    const azri_part *p = arg;

    memcpy(out, p->chunks[i].coords, (size_t)p->g->meta->rank * sizeof *out);
}
