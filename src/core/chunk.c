/* SPDX-License-Identifier: Apache-2.0 */
/* One chunk between its stored object and memory, without copies that the layout
 * does not ask for. */
#include "base/stats.h"
#include "core/array.h"

#include <string.h>

void azri_plan_coords(const void *plan, uint64_t i, uint64_t *out)
{
    azri_piece piece;
    const azri_plan *p = plan;

    azri_plan_piece(p, i, &piece);
    memcpy(out, piece.coords, (size_t)p->rank * sizeof *out);
}

int azri_memory_resolve(azr_memory *out, const azri_caller_memory *m,
                        const azri_plan *p, size_t item_nbytes, azr_error *err)
{
    if (!m->strided)
        return azri_memory_dense(out, p, m->data, m->nbytes, item_nbytes, err);
    *out = *m->strided;
    return azri_memory_check(out, p, item_nbytes, err);
}

bool azri_chunk_is_empty(const azri_ground *g, const uint8_t *chunk)
{
    const azri_meta *m = g->meta;

    return m->has_fill &&
           azri_all_equal(chunk, g->stored_fill, m->dtype->nbytes,
                          m->chunk_nbytes / m->dtype->nbytes);
}

static int chunk_buffer(const azri_ground *g, azri_coder *coder, uint8_t **out,
                        azr_error *err)
{
    if (g->meta->chunk_nbytes > AZRI_MAX_CHUNK_NBYTES)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_CHUNK,
                             "chunks of %zu bytes are larger than %zu",
                             g->meta->chunk_nbytes, AZRI_MAX_CHUNK_NBYTES);
    return azri_coder_chunk(coder, g->meta->chunk_nbytes, out, err);
}

static int check_raw_size(const azri_ground *g, const azri_source *from,
                          azr_error *err)
{
    if (from->object->id.nbytes == g->meta->chunk_nbytes)
        return AZR_OK;
    return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                         "chunk '%s': %llu bytes, need %zu", from->key,
                         (unsigned long long)from->object->id.nbytes,
                         g->meta->chunk_nbytes);
}

int azri_stored_read(const azri_source *from, void *dst, size_t n,
                     uint64_t offset, azr_error *err)
{
    AZRI_COUNT(bytes_read, n);
    return from->store->ops->read(from->store, from->object, dst, n, offset,
                                  from->key, err);
}

static int name_chunk(int rc, const char *key, azr_error *err)
{
    char text[sizeof err->message];

    if (rc != AZR_ECORRUPT || !err || strstr(err->message, key))
        return rc;
    memcpy(text, err->message, sizeof text);
    err->code = 0;
    return azri_fail_sub(err, rc, AZR_SUB_CHUNK, "chunk '%s': %.400s", key,
                         text);
}

static int fail_size(const azri_ground *g, const char *key, uint64_t nbytes,
                     azr_error *err)
{
    return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                         "chunk '%s': %llu bytes, at most %zu can hold it", key,
                         (unsigned long long)nbytes,
                         azri_chain_stored_max(g->chain));
}

int azri_chunk_decode(const azri_ground *g, azri_coder *coder, azri_span stored,
                      const char *key, uint8_t *chunk, azr_error *err)
{
    int rc;

    if (stored.nbytes > azri_chain_stored_max(g->chain))
        return fail_size(g, key, stored.nbytes, err);
    rc = azri_chain_decode(g->chain, coder, stored, chunk,
                           g->meta->chunk_nbytes, err);
    return name_chunk(rc, key, err);
}

/* Stored object → exactly the chunk buffer at `chunk`. */
static int decode(const azri_ground *g, azri_coder *coder,
                  const azri_source *from, uint8_t *chunk, azr_error *err)
{
    uint64_t nbytes = from->object->id.nbytes;
    azri_span stored;
    uint8_t *buffer;
    int rc;

    AZRI_COUNT(chunks_read, 1);
    if (azri_chain_is_raw(g->chain)) {
        rc = check_raw_size(g, from, err);
        if (rc < 0)
            return rc;
        return azri_stored_read(from, chunk, g->meta->chunk_nbytes, 0, err);
    }
    if (nbytes > azri_chain_stored_max(g->chain))
        return fail_size(g, from->key, nbytes, err);
    rc = azri_coder_stored(coder, (size_t)nbytes, &buffer, err);
    if (rc == AZR_OK)
        rc = azri_stored_read(from, buffer, (size_t)nbytes, 0, err);
    if (rc < 0)
        return rc;
    stored.data = buffer;
    stored.nbytes = (size_t)nbytes;
    return azri_chunk_decode(g, coder, stored, from->key, chunk, err);
}

int azri_chunk_load(const azri_ground *g, azri_coder *coder,
                    const azri_source *from, uint8_t **chunk_out,
                    azr_error *err)
{
    const azri_meta *m = g->meta;
    int rc = chunk_buffer(g, coder, chunk_out, err);

    if (rc < 0)
        return rc;
    if (from->object->handle < 0) {
        azri_fill_elements(*chunk_out, g->stored_fill, m->dtype->nbytes,
                           m->chunk_nbytes / m->dtype->nbytes);
        return AZR_OK;
    }
    return decode(g, coder, from, *chunk_out, err);
}

/* Byte positions of a piece in a raw chunk: first and one past the last. */
static void hull_in_chunk(const azri_ground *g, const azri_plan *p,
                          const azri_piece *piece, size_t *first, size_t *end)
{
    const int64_t *strides = azri_chain_strides(g->chain);
    int64_t low = 0, high = 0;

    for (int d = 0; d < p->rank; d++) {
        int64_t last = piece->from[d] + (piece->count[d] - 1) * piece->step[d];

        low += piece->from[d] * strides[d];
        high += last * strides[d];
    }
    *first = (size_t)low;
    *end = (size_t)high + g->meta->dtype->nbytes;
}

/* A raw chunk: read only the bytes between the first and the last element. */
static int read_raw_part(const azri_ground *g, azri_coder *coder,
                         const azri_source *from, const azri_plan *p,
                         const azri_piece *piece, uint8_t **chunk_out,
                         azr_error *err)
{
    size_t first, end;
    int rc = check_raw_size(g, from, err);

    if (rc == AZR_OK)
        rc = chunk_buffer(g, coder, chunk_out, err);
    if (rc < 0)
        return rc;
    hull_in_chunk(g, p, piece, &first, &end);
    AZRI_COUNT(chunks_read, 1);
    return azri_stored_read(from, *chunk_out + first, end - first, first, err);
}

int azri_chunk_read(const azri_ground *g, azri_coder *coder,
                    const azri_source *from, const azri_plan *p,
                    const azri_piece *piece, const azr_memory *dst,
                    azr_error *err)
{
    size_t item = g->meta->dtype->nbytes;
    uint8_t *chunk;
    void *direct;
    int rc;

    if (from->object->handle < 0) {
        azri_scatter_fill(p, piece, dst, g->meta->fill, item);
        return AZR_OK;
    }
    direct =
        azri_chain_is_plain(g->chain) ? azri_direct(p, piece, dst, item) : NULL;
    if (direct)
        return decode(g, coder, from, direct, err);
    if (azri_chain_is_raw(g->chain) && !p->is_points)
        rc = read_raw_part(g, coder, from, p, piece, &chunk, err);
    else
        rc = azri_chunk_load(g, coder, from, &chunk, err);
    if (rc < 0)
        return rc;
    azri_scatter(p, piece, dst, chunk, azri_chain_strides(g->chain), item,
                 azri_chain_swap_unit(g->chain));
    return AZR_OK;
}
