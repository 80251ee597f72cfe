/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks as they are stored, read and written in a transaction: for who knows
 * codecs that we do not, and for copies without decoding. A read is a read of the
 * transaction like any other, a written chunk is committed with all else.
 */
#include "core/transaction.h"

#include <stdlib.h>
#include <string.h>

/* What a chunk was found to be, and which of the part's reads that was. */
typedef struct raw_seen {
    uint64_t read;
    azri_seen seen;
} raw_seen;

int azri_part_need_elements(const azri_part *p, azr_error *err)
{
    return azri_ground_need_elements(p->a, azri_part_top(p), err);
}

/* ------------------------------------------------------------- decoding --- */

static int decode_with(azri_part *p, azri_coder *coder, azri_staged_chunk *c,
                       azr_error *err)
{
    azri_span stored = {c->raw, c->raw_nbytes};
    char key[AZRI_KEY_MAX];
    uint8_t *bytes = NULL;
    int rc = azri_part_blank(&bytes, p, err);

    if (rc == AZR_OK && c->raw) {
        (void)azri_key_format(key, &p->g->meta->keying, c->coords);
        rc = azri_chunk_decode(p->g, coder, stored, key, bytes, err);
    }
    if (rc < 0) {
        azri_free(bytes);
        return rc;
    }
    c->bytes = bytes;
    return AZR_OK;
}

int azri_staged_decode(azri_part *p, azri_staged_chunk *c, azr_error *err)
{
    azri_coder *coder = NULL;
    int rc;

    if (!c->is_raw || c->bytes)
        return AZR_OK;
    rc = azri_coders_take(p->a, &coder, 1, err);
    if (rc < 0)
        return rc;
    rc = decode_with(p, coder, c, err);
    azri_coders_give(p->a, &coder, 1);
    return rc;
}

int azri_part_decode(azri_part *p, azr_error *err)
{
    int rc = AZR_OK;

    for (size_t i = 0; i < p->count && rc == AZR_OK; i++)
        rc = azri_staged_decode(p, &p->chunks[i], err);
    return rc;
}

/* ---------------------------------------------------------------- where --- */

static int chunk_at(uint64_t coords[AZR_MAX_RANK], const azri_part *p,
                    const int64_t *index, azr_error *err)
{
    const azri_meta *m = azri_part_top(p)->meta;
    azri_grid grid;

    memset(coords, 0, AZR_MAX_RANK * sizeof *coords);
    if (m->rank > 0 && !index)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "index is NULL, need %d numbers", m->rank);
    azri_grid_of(&grid, m);
    for (int d = 0; d < m->rank; d++) {
        if (index[d] < 0 || index[d] >= grid.cells[d])
            return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                                 "chunk %lld in dimension %d, there are %lld",
                                 (long long)index[d], d,
                                 (long long)grid.cells[d]);
        coords[d] = (uint64_t)index[d];
    }
    return AZR_OK;
}

/* ----------------------------------------------------------------- read --- */

/* A range of bytes that is asked for, and a copy of it. */
typedef struct range {
    int64_t offset;
    size_t most;
    uint8_t *data; /* NULL: there is no chunk */
    size_t nbytes;
} range;

static int make_room(range *r, uint64_t total, uint64_t *first_out,
                     const char *key, azr_error *err)
{
    uint64_t back = r->offset < 0 ? -(uint64_t)r->offset : 0;
    uint64_t first = (uint64_t)r->offset;
    uint64_t n;

    if (r->offset < 0)
        first = back < total ? total - back : 0;
    if (first > total)
        first = total;
    n = total - first;
    if (n > r->most)
        n = r->most;
    if (n > AZRI_MAX_CHUNK_NBYTES)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_CHUNK,
                             "chunk '%s': %llu bytes at once, at most %zu are "
                             "read",
                             key, (unsigned long long)n, AZRI_MAX_CHUNK_NBYTES);
    azri_free(r->data);
    r->nbytes = (size_t)n;
    r->data = azri_alloc(r->nbytes + 1); /* an empty one is not NULL */
    if (!r->data)
        return azri_fail_nomem(err, r->nbytes);
    *first_out = first;
    return AZR_OK;
}

static int take_stored(void *arg, const azri_source *from, azr_error *err)
{
    range *r = arg;
    uint64_t first = 0;
    int rc;

    if (from->object->handle < 0)
        return AZR_OK;
    rc = make_room(r, from->object->id.nbytes, &first, from->key, err);
    if (rc == AZR_OK && r->nbytes > 0)
        rc = azri_stored_read(from, r->data, r->nbytes, first, err);
    return rc;
}

static int read_stored(azri_part *p, const uint64_t *coords, range *r,
                       azr_error *err)
{
    azr_selection sel = azri_part_stored_box(p, coords);
    azri_read_hooks hooks = azri_part_hooks(p);
    azri_staged_chunk as_read = {.bytes = NULL};
    uint64_t before = p->reads.n;
    raw_seen note;
    int rc;

    hooks.as = p->g;
    hooks.raw = take_stored;
    hooks.raw_arg = r;
    p->reading = &as_read;
    rc = azri_array_read(p->a, &sel, NULL, &hooks, &p->t->patience, err);
    p->reading = NULL;
    if (rc < 0 || p->reads.n == before)
        return rc;
    memset(&note, 0, sizeof note);
    note.read = p->reads.n - 1;
    note.seen = as_read.seen;
    return azri_buf_append(&p->raw_seen, &note, sizeof note, err);
}

static int copy_range(range *r, azri_span bytes, const char *key,
                      azr_error *err)
{
    uint64_t first = 0;
    int rc = make_room(r, bytes.nbytes, &first, key, err);

    if (rc == AZR_OK && r->nbytes > 0)
        memcpy(r->data, bytes.data + first, r->nbytes);
    return rc;
}

/* What the commit would store of it. */
static int read_staged(azri_part *p, const azri_staged_chunk *c, range *r,
                       azr_error *err)
{
    azri_span bytes = {c->raw, c->raw_nbytes};
    azri_coder *coder = NULL;
    char key[AZRI_KEY_MAX];
    int rc;

    (void)azri_key_format(key, &p->g->meta->keying, c->coords);
    if (c->is_raw)
        return c->raw ? copy_range(r, bytes, key, err) : AZR_OK;
    if (!(p->a->options.flags & AZR_OPEN_WRITE_EMPTY) &&
        azri_chunk_is_empty(p->g, c->bytes))
        return AZR_OK;
    rc = azri_coders_take(p->a, &coder, 1, err);
    if (rc < 0)
        return rc;
    bytes = (azri_span){c->bytes, p->g->meta->chunk_nbytes};
    rc = azri_chain_encode(p->g->chain, coder, bytes, &bytes, err);
    if (rc == AZR_OK)
        rc = copy_range(r, bytes, key, err);
    azri_coders_give(p->a, &coder, 1);
    return rc;
}

int azri_transaction_read_chunk(azr_txn *t, azr_array *a, const int64_t *index,
                                int64_t offset, size_t most, azri_span *out,
                                azr_error *err)
{
    range r = {.offset = offset, .most = most};
    uint64_t coords[AZR_MAX_RANK];
    bool staged = false;
    azri_part *p;
    int rc = azri_part_join(&p, t, a, err);

    if (rc < 0)
        return rc;
    t->read_count++;
    rc = chunk_at(coords, p, index, err);
    if (rc == AZR_OK)
        rc = azri_part_cut(p, coords, &staged, err);
    if (rc == AZR_OK && staged) {
        size_t at = azri_staged_position(p, coords, &staged);

        rc = read_staged(p, &p->chunks[at], &r, err);
    } else if (rc == AZR_OK && azri_part_has_stored(p, coords)) {
        rc = read_stored(p, coords, &r, err);
    }
    if (rc < 0) {
        azri_free(r.data);
        return azri_part_verdict(p, rc, err);
    }
    *out = (azri_span){r.data, r.nbytes};
    return AZR_OK;
}

/* ---------------------------------------------------------------- write --- */

static int put(azri_part *p, azri_staged_chunk *c, azr_error *err)
{
    bool found;
    size_t at = azri_staged_position(p, c->coords, &found);
    int rc;

    if (found) { /* what it was read as still counts */
        c->seen = p->chunks[at].seen;
        azri_staged_dispose(&p->chunks[at]);
        p->chunks[at] = *c;
        return AZR_OK;
    }
    rc = azri_staged_room(p, err);
    if (rc == AZR_OK)
        azri_staged_insert(p, at, c);
    return rc;
}

int azri_transaction_write_chunk(azr_txn *t, azr_array *a, const int64_t *index,
                                 azri_span bytes, azr_error *err)
{
    azri_staged_chunk c = {.is_raw = true, .raw_nbytes = bytes.nbytes};
    azri_part *p;
    int rc = azri_part_join_writer(&p, t, a, err);

    if (rc < 0)
        return rc;
    if (bytes.nbytes > AZRI_MAX_CHUNK_NBYTES)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_CHUNK,
                             "a chunk of %zu bytes, at most %zu are written",
                             bytes.nbytes, AZRI_MAX_CHUNK_NBYTES);
    rc = chunk_at(c.coords, p, index, err);
    if (rc < 0)
        return azri_part_verdict(p, rc, err);
    if (bytes.data) {
        c.raw = azri_alloc(bytes.nbytes + 1);
        if (!c.raw)
            return azri_fail_nomem(err, bytes.nbytes);
        memcpy(c.raw, bytes.data, bytes.nbytes);
    }
    rc = put(p, &c, err);
    if (rc < 0)
        azri_free(c.raw);
    return rc;
}

/* --------------------------------------------------------------- commit --- */

static int compare_seen(const void *x, const void *y, void *reads)
{
    const raw_seen *a = x, *b = y;
    const azri_chunk_set *s = reads;

    return azri_coords_compare(azri_set_at(s, a->read), azri_set_at(s, b->read),
                               s->rank);
}

/* `list` is sorted as the staged chunks are: both are walked once. */
void azri_part_mark_seen(azri_part *p)
{
    size_t n = p->raw_seen.nbytes / sizeof(raw_seen), k = 0;
    void *all = p->raw_seen.data;
    raw_seen *list = all;

    if (n == 0)
        return;
    qsort_r(list, n, sizeof *list, compare_seen, &p->reads);
    for (size_t i = 0; i < p->count; i++) {
        azri_staged_chunk *c = &p->chunks[i];
        int order = -1;

        while (k < n && order < 0) {
            order = azri_coords_compare(azri_set_at(&p->reads, list[k].read),
                                        c->coords, p->reads.rank);
            k += order < 0;
        }
        if (order == 0 && c->is_raw && !c->seen.read)
            c->seen = list[k].seen;
    }
}
