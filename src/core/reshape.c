/* SPDX-License-Identifier: Apache-2.0 */
/* Append and resize: transactions that change the metadata document. */
#include "core/array.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>

static int stage_shape(azr_array *a, azri_txn *t, azri_ground *g,
                       const int64_t *shape, bool first, azr_error *err)
{
    azri_buf text = AZRI_BUF_INIT;
    int rc = azri_meta_with_shape(&text, g->meta, shape, err);

    if (rc == AZR_OK)
        rc = azri_txn_stage_document(t, a->document_kind, azri_buf_span(&text),
                                     first, &g->document, err);
    azri_buf_dispose(&text);
    return rc;
}

/* --------------------------------------------------------------- append --- */

int azri_appended_shape(int64_t *shape, const azri_meta *m, int axis,
                        int64_t length, azr_error *err)
{
    if (axis < 0 || axis >= m->rank)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANK,
                             "axis %d, the array has %d", axis, m->rank);
    if (length < 0)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                             "cannot append %lld elements", (long long)length);
    memcpy(shape, m->shape, sizeof m->shape);
    if (azri_add_i64(shape[axis], length, &shape[axis]))
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                             "dimension %d would pass 2^63 elements", axis);
    return AZR_OK;
}

/* The new part of the array, in its new shape. */
int azri_appended_plan(azri_plan *p, const azri_meta *m, const int64_t *shape,
                       int axis, azr_error *err)
{
    int64_t start[AZR_MAX_RANK] = {0}, count[AZR_MAX_RANK];
    azr_selection sel;

    memcpy(count, shape, sizeof count);
    start[axis] = m->shape[axis];
    count[axis] = shape[axis] - m->shape[axis];
    sel = azr_select_box(m->rank, start, count, NULL);
    return azri_plan_init(p, &sel, m->rank, shape, m->chunk, err);
}

/*
 * META shared, DOC exclusive, look, document: only now the objects are known;
 * their locks, look again, merge the edge; payload and document in one commit.
 */
static int append_locked(azr_array *a, azri_txn *t, int axis, int64_t length,
                         const azri_caller_memory *src, int64_t *offset_out,
                         azr_error *err)
{
    int64_t shape[AZR_MAX_RANK];
    azri_ground *g = NULL;
    azri_plan plan;
    azr_memory memory;
    bool planned = false;
    int rc = azri_txn_lock_meta(t, false, err);

    if (rc == AZR_OK)
        rc = azri_txn_lock_doc(t, true, err); /* [A-doc] */
    if (rc == AZR_OK)
        rc = azri_txn_look(t, true, err); /* [A-look] */
    if (rc == AZR_OK)
        rc = azri_ground_current(a, &g, err); /* [A-read] */
    if (rc == AZR_OK)
        rc = azri_ground_need_elements(a, g, err);
    if (rc == AZR_OK)
        rc = azri_appended_shape(shape, g->meta, axis, length, err);
    if (rc == AZR_OK)
        rc = azri_appended_plan(&plan, g->meta, shape, axis, err);
    planned = rc == AZR_OK;
    if (rc == AZR_OK)
        rc = azri_memory_resolve(&memory, src, &plan, g->meta->dtype->nbytes,
                                 err);
    if (rc != AZR_OK || length == 0)
        goto done;
    rc = azri_txn_want_chunks(t, plan.piece_count, azri_plan_coords, &plan,
                              true, err);
    if (rc == AZR_OK)
        rc = azri_txn_lock_chunks(t, err); /* [A-lock] */
    if (rc == AZR_OK)
        rc = azri_txn_look(t, true, err); /* [A-look2] */
    if (rc == AZR_OK)
        rc = azri_stage_plan(a, t, g, &plan, &memory, err);
    if (rc == AZR_OK)
        rc = stage_shape(a, t, g, shape, false, err);
    if (rc == AZR_OK)
        rc = azri_upkeep_commit(a, t, err);
done:
    if (rc == AZR_OK && offset_out)
        *offset_out = g->meta->shape[axis];
    if (planned)
        azri_plan_dispose(&plan);
    azri_ground_unref(g);
    return rc;
}

int azri_array_need_full(const azr_array *a, const char *what, azr_error *err)
{
    int rc = azri_array_may_write(a, err);

    if (rc == AZR_OK && a->options.sync != AZR_SYNC_FULL)
        return azri_fail(err, AZR_EUNSUPPORTED,
                         "%s needs a handle with AZR_SYNC_FULL", what);
    return rc;
}

int azri_array_append(azr_array *a, int axis, int64_t length, const void *src,
                      size_t src_nbytes, int64_t *offset_out, azr_error *err)
{
    azri_patience patience = azri_array_patience(a);
    union {
        const void *in;
        void *out; /* a source is only read */
    } p = {.in = src};
    azri_caller_memory memory = {NULL, p.out, src_nbytes};
    azri_txn *t = NULL;
    int rc = azri_array_need_full(a, "append", err);

    if (rc == AZR_OK)
        rc = azri_txn_begin(&t, a->d, &patience, err);
    if (rc == AZR_OK)
        rc = append_locked(a, t, axis, length, &memory, offset_out, err);
    azri_txn_end(t);
    return rc;
}

/* --------------------------------------------------------------- resize --- */

/* Chunks that a shrink deletes or blanks, in C order. */
typedef azri_victims victims;

static int compare_coords(const void *a, const void *b, void *arg)
{
    return azri_coords_compare(a, b, *(const int *)arg);
}

/* Outside: no element of it is left. Border: some are, some are not. */
bool azri_victims_outside(const azri_victims *v, const uint64_t *c)
{
    for (int d = 0; d < v->m->rank; d++) {
        if ((int64_t)c[d] >= azri_ceil_div(v->shape[d], v->m->chunk[d]))
            return true;
    }
    return false;
}

bool azri_victims_border(const azri_victims *v, const uint64_t *c)
{
    if (v->m->opaque)
        return false; /* nobody can */
    for (int d = 0; d < v->m->rank; d++) {
        int64_t cell = v->shape[d] / v->m->chunk[d];

        if (v->shape[d] < v->m->shape[d] && (int64_t)c[d] == cell &&
            v->shape[d] % v->m->chunk[d] != 0)
            return true;
    }
    return false;
}

static int note_victim(void *arg, const uint64_t *coords, const char *key,
                       azr_error *err)
{
    victims *v = arg;
    int rc;

    (void)key;
    if (!azri_victims_outside(v, coords) && !azri_victims_border(v, coords))
        return AZR_OK;
    rc = azri_buf_append(&v->coords, coords,
                         (size_t)v->m->rank * sizeof *coords, err);
    v->n += rc == AZR_OK;
    return rc;
}

static const uint64_t *victim_at(const victims *v, uint64_t i)
{
    const void *p = v->coords.data;

    return (const uint64_t *)p + i * (uint64_t)v->m->rank;
}

static void victim_coords(const void *arg, uint64_t i, uint64_t *out)
{
    const victims *v = arg;

    memcpy(out, victim_at(v, i), (size_t)v->m->rank * sizeof *out);
}

/* A plan of the part of chunk `c` that stays. */
static int plan_rest(azri_plan *p, const victims *v, const uint64_t *c,
                     azr_error *err)
{
    int64_t start[AZR_MAX_RANK], count[AZR_MAX_RANK];
    azr_selection sel;

    for (int d = 0; d < v->m->rank; d++) {
        start[d] = (int64_t)c[d] * v->m->chunk[d];
        count[d] = azri_min_i64(v->m->chunk[d], v->shape[d] - start[d]);
    }
    sel = azr_select_box(v->m->rank, start, count, NULL);
    return azri_plan_init(p, &sel, v->m->rank, v->shape, v->m->chunk, err);
}

/* Blank what is outside of the new shape: take out what stays, fill, put back. */
static int blank_chunk(const azri_ground *g, const azri_plan *p, uint8_t *chunk,
                       azr_error *err)
{
    const azri_meta *m = g->meta;
    size_t item = m->dtype->nbytes;
    size_t nbytes = (size_t)p->element_count * item;
    uint8_t *rest = azri_alloc(nbytes);
    azr_memory dense;
    azri_piece piece;
    int rc;

    if (!rest)
        return azri_fail_nomem(err, nbytes);
    rc = azri_memory_dense(&dense, p, rest, nbytes, item, err);
    if (rc == AZR_OK) {
        const int64_t *strides = azri_chain_strides(g->chain);
        size_t swap = azri_chain_swap_unit(g->chain);

        azri_plan_piece(p, 0, &piece);
        azri_scatter(p, &piece, &dense, chunk, strides, item, swap);
        azri_fill_elements(chunk, g->stored_fill, item, m->chunk_nbytes / item);
        azri_gather(p, &piece, &dense, chunk, strides, item, swap);
    }
    azri_free(rest);
    return rc;
}

int azri_victims_blank(const azri_victims *v, const azri_ground *g,
                       const uint64_t *coords, uint8_t *chunk, azr_error *err)
{
    azri_plan p;
    int rc = plan_rest(&p, v, coords, err);

    if (rc < 0)
        return rc;
    rc = blank_chunk(g, &p, chunk, err);
    azri_plan_dispose(&p);
    return rc;
}

int azri_victims_stage(const azri_victims *v, azr_array *a, azri_txn *t,
                       azri_ground *g, const uint64_t *coords, uint64_t i,
                       azri_coder *coder, azr_error *err)
{
    azr_store *store = azri_domain_store(a->d);
    azr_object o = AZR_OBJECT_INIT;
    char key[AZRI_KEY_MAX];
    azri_source from = {store, &o, key};
    azri_span bytes = {NULL, g->meta->chunk_nbytes}, stored;
    azri_seen seen = {.read = true};
    uint8_t *chunk = NULL;
    int rc;

    if (azri_victims_outside(v, coords))
        return azri_txn_stage_deleted(t, i, NULL, err);
    (void)azri_key_format(key, &g->meta->keying, coords);
    rc = store->ops->open(store, key, &o, err);
    seen.absent = rc == AZR_ENOTFOUND; /* by a plain tool: fill */
    seen.object = o;
    if (seen.absent)
        rc = AZR_OK;
    if (rc == AZR_OK)
        rc = azri_chunk_load(g, coder, &from, &chunk, err);
    if (rc == AZR_OK)
        rc = azri_victims_blank(v, g, coords, chunk, err);
    if (rc < 0)
        goto done;
    bytes.data = chunk;
    if (azri_chunk_is_empty(g, chunk)) {
        rc = azri_txn_stage_deleted(t, i, &seen, err);
        goto done;
    }
    rc = azri_chain_encode(g->chain, coder, bytes, &stored, err);
    if (rc == AZR_OK)
        rc = azri_txn_stage(t, i, stored, &seen, err);
done:
    if (o.handle >= 0)
        store->ops->close(store, &o);
    return rc;
}

static int stage_victims(azr_array *a, azri_txn *t, azri_ground *g,
                         const victims *v, azr_error *err)
{
    azri_coder *coder = NULL;
    int rc = azri_txn_entries(t, v->n, victim_coords, v, err);

    if (rc == AZR_OK)
        rc = azri_coders_take(a, &coder, 1, err);
    if (rc < 0)
        return rc;
    for (uint64_t i = 0; i < v->n && rc == AZR_OK; i++)
        rc = azri_victims_stage(v, a, t, g, victim_at(v, i), i, coder, err);
    azri_coders_give(a, &coder, 1);
    return rc;
}

bool azri_shape_shrinks(const azri_meta *m, const int64_t *shape)
{
    for (int d = 0; d < m->rank; d++) {
        if (shape[d] < m->shape[d])
            return true;
    }
    return false;
}

int azri_victims_list(azri_victims *v, azr_array *a, azr_error *err)
{
    return azri_list_chunks(a, v->m, note_victim, NULL, v, err);
}

static int stage_shrink(azr_array *a, azri_txn *t, azri_ground *g,
                        const int64_t *shape, azr_error *err)
{
    victims v = {.m = g->meta, .shape = shape};
    int rank = g->meta->rank;
    int rc = azri_victims_list(&v, a, err);

    if (rc == AZR_OK && v.n > 1)
        qsort_r(v.coords.data, v.n, (size_t)rank * sizeof(uint64_t),
                compare_coords, &rank);
    if (rc == AZR_OK)
        rc = stage_victims(a, t, g, &v, err);
    if (rc == AZR_OK)
        rc = stage_shape(a, t, g, shape, true, err);
    azri_buf_dispose(&v.coords);
    return rc;
}

int azri_shape_check(const azri_meta *m, int rank, const int64_t *shape,
                     azr_error *err)
{
    if (rank != m->rank)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANK,
                             "a shape of %d dimensions, the array has %d", rank,
                             m->rank);
    for (int d = 0; d < rank; d++) {
        if (shape[d] < 0)
            return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                                 "dimension %d cannot have %lld elements", d,
                                 (long long)shape[d]);
    }
    return AZR_OK;
}

/* AZR_ECONFLICT without a message: it shrinks after all; META exclusive. */
static int resize_locked(azr_array *a, azri_txn *t, bool exclusive, int rank,
                         const int64_t *shape, azr_error *err)
{
    azri_ground *g = NULL;
    int rc = azri_txn_lock_meta(t, exclusive, err);

    if (rc == AZR_OK)
        rc = azri_txn_lock_doc(t, true, err);
    if (rc == AZR_OK)
        rc = azri_txn_look(t, true, err);
    if (rc == AZR_OK)
        rc = azri_ground_current(a, &g, err);
    if (rc == AZR_OK)
        rc = azri_shape_check(g->meta, rank, shape, err);
    if (rc != AZR_OK ||
        memcmp(shape, g->meta->shape, (size_t)rank * sizeof *shape) == 0)
        goto done;
    if (azri_shape_shrinks(g->meta, shape)) {
        rc = exclusive ? stage_shrink(a, t, g, shape, err) : AZR_ECONFLICT;
    } else {
        rc = azri_txn_entries(t, 0, NULL, NULL, err);
        if (rc == AZR_OK)
            rc = stage_shape(a, t, g, shape, false, err);
    }
    if (rc == AZR_OK)
        rc = azri_upkeep_commit(a, t, err);
done:
    azri_ground_unref(g);
    return rc;
}

int azri_array_resize(azr_array *a, int rank, const int64_t *shape,
                      azr_error *err)
{
    azri_patience patience = azri_array_patience(a);
    bool exclusive = false;
    int rc = azri_array_need_full(a, "resize", err);

    while (rc == AZR_OK) {
        azri_txn *t = NULL;

        rc = azri_txn_begin(&t, a->d, &patience, err);
        if (rc == AZR_OK)
            rc = resize_locked(a, t, exclusive, rank, shape, err);
        azri_txn_end(t);
        if (rc != AZR_ECONFLICT || exclusive || (err && err->code != 0))
            break;
        exclusive = true;
        rc = AZR_OK;
    }
    return rc;
}
