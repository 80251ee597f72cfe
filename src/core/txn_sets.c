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
    int rc =
        azri_buf_append(&s->coords, coords, (size_t)rank * sizeof *coords, err);

    s->rank = rank;
    s->n += rc == AZR_OK; /* no more than there are coordinates */
    return rc;
}

static int compare_r(const void *x, const void *y, void *rank)
{
    return azri_coords_compare(x, y, *(const int *)rank);
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
        int c = azri_coords_compare(azri_set_at(s, mid), coords, s->rank);

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
        int c = azri_coords_compare(p->chunks[mid].coords, coords,
                                    p->g->meta->rank);

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

/* Room for one more. */
int azri_staged_room(azri_part *p, azr_error *err)
{
    size_t want = p->capacity ? 2 * p->capacity : 8;
    azri_staged_chunk *chunks;

    if (p->count < p->capacity)
        return AZR_OK;
    chunks = azri_resize(p->chunks, want * sizeof *chunks);
    if (!chunks)
        return azri_fail_nomem(err, want * sizeof *chunks);
    p->chunks = chunks;
    p->capacity = want;
    return AZR_OK;
}

void azri_staged_insert(azri_part *p, size_t at, const azri_staged_chunk *c)
{
    memmove(p->chunks + at + 1, p->chunks + at,
            (p->count - at) * sizeof *p->chunks);
    p->chunks[at] = *c;
    p->count++;
}

void azri_staged_forget_raw(azri_staged_chunk *c)
{
    azri_free(c->raw);
    c->raw = NULL;
    c->is_raw = false;
}

void azri_staged_dispose(azri_staged_chunk *c)
{
    azri_free(c->raw);
    azri_free(c->bytes);
}

static int compare_staged(const void *x, const void *y, void *rank)
{
    const azri_staged_chunk *a = x, *b = y;

    return azri_coords_compare(a->coords, b->coords, *(const int *)rank);
}

int azri_staged_victims(azri_part *p, azr_error *err)
{
    azri_victims v = azri_part_victims(p);
    int rank = p->g->meta->rank;
    size_t before = p->count, count = before;
    int rc = azri_victims_list(&v, p->a, err);

    for (uint64_t i = 0; i < v.n && rc == AZR_OK; i++) {
        const void *all = v.coords.data;
        const uint64_t *c = (const uint64_t *)all + i * (uint64_t)rank;
        bool found;

        p->count = before; /* the sorted ones */
        (void)azri_staged_position(p, c, &found);
        p->count = count;
        if (found)
            continue;
        rc = azri_staged_room(p, err);
        if (rc < 0)
            break;
        memset(&p->chunks[count], 0, sizeof p->chunks[count]);
        memcpy(p->chunks[count].coords, c, (size_t)rank * sizeof *c);
        p->count = ++count;
    }
    azri_buf_dispose(&v.coords);
    if (count > before)
        qsort_r(p->chunks, count, sizeof *p->chunks, compare_staged, &rank);
    return rc;
}

void azri_staged_coords(const void *arg, uint64_t i, uint64_t *out)
{
    const azri_part *p = arg;

    memcpy(out, p->chunks[i].coords, (size_t)p->g->meta->rank * sizeof *out);
}
