/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explicit transactions (docs/protocol.md §6). Chunks that are written stand in
 * memory until the commit, decoded; reads see them. Every read remembers the
 * counters of what it saw; the commit takes all locks in order, finishes the
 * dead, and fails with AZR_ECONFLICT if a counter has moved.
 */
#include "core/transaction.h"
#include "os/host.h"

#include <stdlib.h>
#include <string.h>

/* ----------------------------------------------------------------- reads --- */

static const uint8_t *overlay(void *arg, const uint64_t *coords)
{
    const azri_part *p = arg;
    bool found;
    size_t i;

    if (p->count == 0)
        return NULL;
    i = azri_staged_position(p, coords, &found);
    return found ? p->chunks[i].bytes : NULL;
}

static void note_stripe(azri_part *p, uint16_t stripe, uint64_t counter)
{
    if (p->stripe_known[stripe] && p->stripe[stripe] != counter)
        p->t->conflict = true; /* moved between two of our reads */
    p->stripe_known[stripe] = true;
    p->stripe[stripe] = counter;
}

static int note_item(azri_part *p, const azri_view_item *item,
                     const uint64_t *coords, int rank, azr_error *err)
{
    int rc;

    if (overlay(p, coords))
        return AZR_OK;
    note_stripe(p, item->stripe, item->counter);
    if (p->reading) {
        p->reading->seen.object = item->object;
        p->reading->seen.absent = item->object.handle < 0;
        p->reading->seen.read = true;
    }
    rc = azri_buf_append(&p->named, &item->named, sizeof item->named, err);
    return rc < 0 ? rc : azri_set_add(&p->reads, rank, coords, err);
}

static int note_read(void *arg, azri_view *v, const azri_plan *plan,
                     azri_ground *g, azr_error *err)
{
    azri_part *p = arg;

    if (!p->g)
        p->g = azri_ground_ref(g);
    else if (p->g != g)
        p->t->conflict = true;
    for (uint64_t i = 0; i < plan->piece_count; i++) {
        azri_piece piece;
        int rc;

        azri_plan_piece(plan, i, &piece);
        rc = note_item(p, azri_view_item_at(v, i), piece.coords, plan->rank,
                       err);
        if (rc < 0)
            return rc;
    }
    return AZR_OK;
}

/* Taken before the body ran, with META and DOC. A part that came later holds
 * nothing, and must not wait for locks while the others hold theirs. */
static bool holds(void *arg, const uint64_t *coords)
{
    const azri_part *p = arg;

    return p->locked && azri_set_has(&p->held, coords);
}

static azri_read_hooks hooks_of(azri_part *p)
{
    azri_read_hooks h = {note_read, overlay, p, NULL};

    if (p->t->locked_before)
        h.holds = holds;
    return h;
}

/* ----------------------------------------------------------------- begin --- */

int azri_transaction_begin(azr_txn **out, const azr_txn_options *o,
                           azr_error *err)
{
    azr_txn *t = azri_calloc(1, sizeof *t);

    if (!t)
        return azri_fail_nomem(err, sizeof *t);
    t->timeout_ms = o->timeout_ms;
    t->cancel = o->cancel;
    t->patience = azri_patience_from(o->timeout_ms, o->cancel);
    t->pid = azri_process_id();
    *out = t;
    return AZR_OK;
}

static void free_part(azri_part *p)
{
    azri_txn_end(p->locked);
    for (size_t i = 0; i < p->count; i++)
        azri_free(p->chunks[i].bytes);
    azri_free(p->chunks);
    azri_buf_dispose(&p->reads.coords);
    azri_buf_dispose(&p->named);
    azri_buf_dispose(&p->held.coords);
    azri_ground_unref(p->g);
    azri_free(p);
}

void azri_transaction_free(azr_txn *t)
{
    if (!t)
        return;
    for (size_t k = 0; k < t->part_count; k++)
        free_part(t->parts[k]);
    azri_free(t->parts);
    azri_free(t);
}

bool azri_part_has_order(const azri_part *p, const azri_part *q)
{
    return azri_domain_has_rows(p->a->d) && azri_domain_has_rows(q->a->d);
}

int azri_part_add(azri_part **out, azr_txn *t, azr_array *a, azr_error *err)
{
    size_t want = t->part_capacity ? 2 * t->part_capacity : 2;
    azri_part *p = azri_calloc(1, sizeof *p);
    azri_part **parts = t->parts;

    if (p && t->part_count == t->part_capacity) {
        parts = azri_resize(t->parts, want * sizeof(void *));
        if (parts) {
            t->parts = parts;
            t->part_capacity = want;
        }
    }
    if (!p || !parts) {
        azri_free(p);
        return azri_fail_nomem(err, sizeof *p + want * sizeof(void *));
    }
    p->t = t;
    p->a = a;
    t->parts[t->part_count++] = p;
    *out = p;
    return AZR_OK;
}

int azri_part_distinct(const azri_part *p, const azri_part *q, azr_error *err)
{
    if (!azri_part_has_order(p, q) ||
        azri_domain_compare(p->a->d, q->a->d) != 0)
        return AZR_OK;
    return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                         "'%s' and '%s' are two handles of one array; a "
                         "transaction takes one of them",
                         azri_domain_path(p->a->d), azri_domain_path(q->a->d));
}

static int find_part(azri_part **out, azr_txn *t, azr_array *a, azr_error *err)
{
    azri_part new = {.a = a};
    int rc;

    for (size_t k = 0; k < t->part_count; k++) {
        azri_part *p = t->parts[k];

        if (p->a == a) {
            *out = p;
            return AZR_OK;
        }
        rc = azri_part_distinct(p, &new, err);
        if (rc < 0)
            return rc;
    }
    return azri_part_add(out, t, a, err);
}

/* `a` becomes one of the transaction's arrays. */
static int join(azri_part **out, azr_txn *t, azr_array *a, azr_error *err)
{
    azri_read_hooks hooks;
    int rc;

    if (t->ended)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "the transaction has ended; begin another");
    if (t->pid != azri_process_id())
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "this transaction belongs to process %u", t->pid);
    if (a->options.sync != AZR_SYNC_FULL)
        return azri_fail(err, AZR_EUNSUPPORTED,
                         "transactions need a handle with AZR_SYNC_FULL");
    rc = find_part(out, t, a, err);
    if (rc < 0 || (*out)->g)
        return rc;
    hooks = hooks_of(*out);
    rc = azri_read_document(a, &hooks, &t->patience, err);
    if (rc < 0 && !(*out)->locked) /* it has never been one of them */
        free_part(t->parts[--t->part_count]);
    return rc;
}

int azri_transaction_read(azr_txn *t, azr_array *a, const azr_selection *sel,
                          const azri_caller_memory *dst, azr_error *err)
{
    azri_read_hooks hooks;
    azri_part *p;
    int rc = join(&p, t, a, err);

    if (rc < 0)
        return rc;
    hooks = hooks_of(p);
    t->read_count++;
    p->used_shape |= azri_selection_needs_shape(sel);
    return azri_array_read(a, sel, dst, &hooks, &t->patience, err);
}

int azri_transaction_shape(azr_txn *t, azr_array *a, int64_t *shape_out,
                           azr_error *err)
{
    azri_part *p;
    int rc = join(&p, t, a, err);

    if (rc < 0)
        return rc;
    p->used_shape = true;
    memcpy(shape_out, p->g->meta->shape,
           (size_t)p->g->meta->rank * sizeof *shape_out);
    return AZR_OK;
}

/* ---------------------------------------------------------------- writes --- */

/* The part of a chunk that lies in the array, as a box. */
static azr_selection box_of_chunk(const azri_meta *m, const azri_piece *piece)
{
    int64_t start[AZR_MAX_RANK] = {0};

    for (int d = 0; d < m->rank; d++)
        start[d] = (int64_t)piece->coords[d] * m->chunk[d];
    return azr_select_box(m->rank, start, piece->extent, NULL);
}

/* The present content of a partly covered chunk: a read of the transaction. */
static int load_current(azri_part *p, azri_staged_chunk *c,
                        const azri_piece *piece, azr_error *err)
{
    const azri_meta *m = p->g->meta;
    size_t item = m->dtype->nbytes;
    azr_selection sel = box_of_chunk(m, piece);
    azri_read_hooks hooks = hooks_of(p);
    azri_caller_memory dst = {NULL, NULL, item};
    azr_memory dense;
    azri_plan plan;
    azri_piece all;
    int rc;

    for (int d = 0; d < m->rank; d++)
        dst.nbytes *= (size_t)piece->extent[d];
    dst.data = azri_alloc(dst.nbytes);
    if (!dst.data)
        return azri_fail_nomem(err, dst.nbytes);
    p->reading = c;
    rc = azri_array_read(p->a, &sel, &dst, &hooks, &p->t->patience, err);
    p->reading = NULL;
    if (rc == AZR_OK)
        rc = azri_plan_init(&plan, &sel, m->rank, m->shape, m->chunk, err);
    if (rc < 0)
        goto done;
    rc = azri_memory_dense(&dense, &plan, dst.data, dst.nbytes, item, err);
    if (rc == AZR_OK) {
        azri_plan_piece(&plan, 0, &all);
        azri_gather(&plan, &all, &dense, c->bytes,
                    azri_chain_strides(p->g->chain), item,
                    azri_chain_swap_unit(p->g->chain));
    }
    azri_plan_dispose(&plan);
done:
    azri_free(dst.data);
    return rc;
}

static int make_room(azri_part *p, azr_error *err)
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

/* A chunk that the transaction touches for the first time. */
static int add_chunk(azri_part *p, const azri_piece *piece, size_t at,
                     azr_error *err)
{
    const azri_meta *m = p->g->meta;
    azri_staged_chunk c = {.bytes = NULL};
    int rc = make_room(p, err);

    if (rc < 0)
        return rc;
    if (m->chunk_nbytes > AZRI_MAX_CHUNK_NBYTES)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_CHUNK,
                             "chunks of %zu bytes are larger than %zu",
                             m->chunk_nbytes, AZRI_MAX_CHUNK_NBYTES);
    memcpy(c.coords, piece->coords, sizeof c.coords);
    c.bytes = azri_alloc(m->chunk_nbytes);
    if (!c.bytes)
        return azri_fail_nomem(err, m->chunk_nbytes);
    azri_fill_elements(c.bytes, p->g->stored_fill, m->dtype->nbytes,
                       m->chunk_nbytes / m->dtype->nbytes);
    rc = piece->whole ? AZR_OK : load_current(p, &c, piece, err);
    if (rc < 0) {
        azri_free(c.bytes);
        return rc;
    }
    memmove(p->chunks + at + 1, p->chunks + at,
            (p->count - at) * sizeof *p->chunks);
    p->chunks[at] = c;
    p->count++;
    return AZR_OK;
}

static int write_pieces(azri_part *p, const azri_plan *plan,
                        const azr_memory *src, azr_error *err)
{
    for (uint64_t i = 0; i < plan->piece_count; i++) {
        azri_piece piece;
        bool found;
        size_t at;

        azri_plan_piece(plan, i, &piece);
        at = azri_staged_position(p, piece.coords, &found);
        if (!found) {
            int rc = add_chunk(p, &piece, at, err);

            if (rc < 0)
                return rc;
        }
        azri_gather(plan, &piece, src, p->chunks[at].bytes,
                    azri_chain_strides(p->g->chain), p->g->meta->dtype->nbytes,
                    azri_chain_swap_unit(p->g->chain));
    }
    return AZR_OK;
}

/* Rows name each other by paths and locks are one host's: what is written together
 * stands on one file system. */
static int check_device(const azr_txn *t, const azri_part *p, azr_error *err)
{
    for (size_t k = 0; k < t->part_count; k++) {
        const azri_part *q = t->parts[k];

        if (q->count > 0 && !azri_domain_same_device(p->a->d, q->a->d))
            return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
                                 "'%s' and '%s' are on two file systems: one "
                                 "transaction cannot write both",
                                 azri_domain_path(q->a->d),
                                 azri_domain_path(p->a->d));
    }
    return AZR_OK;
}

int azri_transaction_write(azr_txn *t, azr_array *a, const azr_selection *sel,
                           const azri_caller_memory *src, azr_error *err)
{
    azr_memory memory;
    azri_plan plan;
    azri_part *p;
    int rc = azri_array_may_write(a, err);

    if (rc < 0)
        return rc;
    rc = join(&p, t, a, err);
    if (rc < 0)
        return rc;
    rc = check_device(t, p, err);
    if (rc < 0)
        return rc;
    rc = azri_plan_init(&plan, sel, p->g->meta->rank, p->g->meta->shape,
                        p->g->meta->chunk, err);
    if (rc < 0)
        return rc;
    p->used_shape |= azri_selection_needs_shape(sel);
    rc = azri_memory_resolve(&memory, src, &plan, p->g->meta->dtype->nbytes,
                             err);
    if (rc == AZR_OK) {
        rc = write_pieces(p, &plan, &memory, err);
        t->broken |= rc < 0; /* some pieces may be in, others not */
    }
    azri_plan_dispose(&plan);
    return rc;
}
