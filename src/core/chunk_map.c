/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing, at most three quarters full. A slot is a word that says whether
 * it is used, an azri_held, and the coordinates. */
#include "core/chunk_map.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <string.h>

#define HEAD (sizeof(uint64_t) + sizeof(azri_held))

static size_t slot_nbytes(const azri_chunk_map *m)
{
    return HEAD + (size_t)m->rank * sizeof(uint64_t);
}

static uint8_t *slot(const azri_chunk_map *m, uint64_t i)
{
    return m->slots + (size_t)i * slot_nbytes(m);
}

static bool is_used(const uint8_t *at)
{
    uint64_t used;

    memcpy(&used, at, sizeof used);
    return used != 0;
}

static azri_held *held_of(uint8_t *at)
{
    void *p = at + sizeof(uint64_t);

    return p;
}

void azri_chunk_map_init(azri_chunk_map *m, int rank)
{
    memset(m, 0, sizeof *m);
    m->rank = rank;
}

void azri_chunk_map_dispose(azri_chunk_map *m)
{
    azri_free(m->slots);
    m->slots = NULL;
    m->capacity = m->count = 0;
}

/* The slot of these coordinates, or the free one where they belong. */
static uint8_t *find(const azri_chunk_map *m, const uint64_t *coords)
{
    size_t nbytes = (size_t)m->rank * sizeof *coords;
    uint64_t h = 1;

    for (int d = 0; d < m->rank; d++)
        h = azri_splitmix64(h ^ coords[d]);
    for (uint64_t i = h;; i++) {
        uint8_t *at = slot(m, i & (m->capacity - 1));

        if (!is_used(at) || memcmp(at + HEAD, coords, nbytes) == 0)
            return at;
    }
}

static int grow(azri_chunk_map *m, azr_error *err)
{
    azri_chunk_map more = {NULL, m->capacity ? 2 * m->capacity : 64, m->count,
                           m->rank};

    more.slots = azri_calloc((size_t)more.capacity, slot_nbytes(m));
    if (!more.slots)
        return azri_fail_nomem(err, (size_t)more.capacity * slot_nbytes(m));
    for (uint64_t i = 0; i < m->capacity; i++) {
        uint64_t coords[AZR_MAX_RANK];

        if (azri_chunk_map_entry(m, i, coords))
            memcpy(find(&more, coords), slot(m, i), slot_nbytes(m));
    }
    azri_free(m->slots);
    *m = more;
    return AZR_OK;
}

int azri_chunk_map_at(azri_held **out, azri_chunk_map *m,
                      const uint64_t *coords, azr_error *err)
{
    const uint64_t used = 1;
    uint8_t *at;
    int rc = AZR_OK;

    if (4 * (m->count + 1) > 3 * m->capacity)
        rc = grow(m, err);
    if (rc < 0)
        return rc;
    at = find(m, coords);
    if (!is_used(at)) {
        memcpy(at, &used, sizeof used);
        if (m->rank > 0) /* a 0-d array's one chunk has no coordinates */
            memcpy(at + HEAD, coords, (size_t)m->rank * sizeof *coords);
        m->count++;
    }
    *out = held_of(at);
    return AZR_OK;
}

azri_held *azri_chunk_map_entry(const azri_chunk_map *m, uint64_t i,
                                uint64_t *coords_out)
{
    uint8_t *at = slot(m, i);

    if (!is_used(at))
        return NULL;
    if (m->rank > 0)
        memcpy(coords_out, at + HEAD, (size_t)m->rank * sizeof *coords_out);
    return held_of(at);
}
