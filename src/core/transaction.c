/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explicit transactions (docs/protocol.md §6). Chunks that are written stand in
 * memory until the commit, decoded; reads see them. Every read remembers the
 * counters of what it saw; the commit takes all locks in order, finishes the
 * dead, and fails with AZR_ECONFLICT if a counter has moved.
 */
#include "core/transaction.h"
#include "base/checked.h"
#include "base/stats.h"
#include "os/host.h"

#include <stdlib.h>
#include <string.h>

/* ----------------------------------------------------------------- reads --- */

azri_ground *azri_part_top(const azri_part *p)
{
    return p->next ? p->next : p->g;
}

bool azri_part_moves_document(const azri_part *p)
{
    const azri_buf *a, *b;

    if (p->created || p->sets_zattrs)
        return true;
    if (!p->next)
        return false;
    a = &p->g->meta->text;
    b = &p->next->meta->text;
    return a->nbytes != b->nbytes || memcmp(a->data, b->data, a->nbytes) != 0;
}

bool azri_part_writes(const azri_part *p)
{
    return p->count > 0 || p->shrinks || azri_part_moves_document(p);
}

azri_victims azri_part_victims(const azri_part *p)
{
    azri_victims v = {.m = p->g->meta, .shape = p->kept};

    return v;
}

int azri_fail_conflict(const azri_part *p, azr_error *err)
{
    p->t->conflict = true;
    AZRI_COUNT(conflicts, 1);
    return azri_fail(err, AZR_ECONFLICT,
                     "'%s': what this transaction read was changed by another "
                     "one; nothing was written, run it again",
                     azri_domain_path(p->a->d));
}

bool azri_part_has_stored(const azri_part *p, const uint64_t *coords)
{
    const azri_meta *m = p->g->meta;

    if (p->created)
        return false;
    for (int d = 0; d < m->rank; d++) {
        if ((int64_t)coords[d] > INT64_MAX / m->chunk[d] ||
            (int64_t)coords[d] * m->chunk[d] >= p->kept[d])
            return false;
    }
    return true;
}

static const uint8_t *overlay(void *arg, const uint64_t *coords)
{
    const azri_part *p = arg;
    bool found;
    size_t i = azri_staged_position(p, coords, &found);

    if (found)
        return p->chunks[i].bytes;
    return azri_part_has_stored(p, coords) ? NULL : p->blank;
}

static int note_stripe(azri_part *p, uint16_t stripe, uint64_t counter,
                       azr_error *err)
{
    azri_stripes *s = p->stripes;

    if (!s)
        s = p->stripes = azri_calloc(1, sizeof *s);
    if (!s)
        return azri_fail_nomem(err, sizeof *s);
    if (s->known[stripe] && s->counter[stripe] != counter)
        p->t->conflict = true; /* moved between two of our reads */
    s->known[stripe] = true;
    s->counter[stripe] = counter;
    return AZR_OK;
}

static int note_item(azri_part *p, const azri_view_item *item,
                     const uint64_t *coords, int rank, azr_error *err)
{
    int rc;

    if (overlay(p, coords))
        return AZR_OK;
    rc = note_stripe(p, item->stripe, item->counter, err);
    if (rc < 0)
        return rc;
    if (p->reading) {
        p->reading->seen.object = item->object;
        p->reading->seen.absent = item->object.handle < 0;
        p->reading->seen.read = true;
        p->reading->seen.staged = item->named != 0;
    }
    rc = azri_buf_append(&p->named, &item->named, sizeof item->named, err);
    return rc < 0 ? rc : azri_set_add(&p->reads, rank, coords, err);
}

static int note_read(void *arg, azri_view *v, const azri_plan *plan,
                     azri_ground *g, azr_error *err)
{
    azri_part *p = arg;

    if (!p->g) {
        p->g = azri_ground_ref(g);
        memcpy(p->kept, g->meta->shape, sizeof p->kept);
    }
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

    return p->locked && (p->alone || azri_set_has(&p->held, coords));
}

azri_read_hooks azri_part_hooks(azri_part *p)
{
    azri_read_hooks h = {.note = note_read, .overlay = overlay, .arg = p};

    if (p->t->locked_before)
        h.holds = holds;
    if (p->g) {
        h.as = azri_part_top(p);
        h.base = p->g;
    }
    return h;
}

int azri_part_verdict(azri_part *p, int rc, azr_error *err)
{
    azri_read_hooks hooks = azri_part_hooks(p);

    if (rc == AZR_EINVAL && !p->created &&
        azri_read_document(p->a, &hooks, &p->t->patience, NULL) ==
            AZR_ECONFLICT) {
        azri_error_reset(err);
        rc = AZR_ECONFLICT;
    }
    return rc == AZR_ECONFLICT ? azri_fail_conflict(p, err) : rc;
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
        azri_staged_dispose(&p->chunks[i]);
    azri_free(p->chunks);
    azri_buf_dispose(&p->raw_seen);
    azri_free(p->blank);
    azri_free(p->stripes);
    azri_buf_dispose(&p->zattrs);
    if (p->zattrs_seen.handle >= 0)
        azri_domain_store(p->a->d)->ops->close(azri_domain_store(p->a->d),
                                               &p->zattrs_seen);
    azri_buf_dispose(&p->reads.coords);
    azri_buf_dispose(&p->named);
    azri_buf_dispose(&p->held.coords);
    azri_ground_unref(p->next);
    azri_ground_unref(p->g);
    azri_free(p);
}

/* The last one, which has never been one of them. */
void azri_part_forget(azr_txn *t, azri_part *p)
{
    t->part_count--;
    free_part(p);
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
    p->zattrs_seen.handle = -1;
    p->directory = -1;
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

int azri_part_new(azri_part **out, azr_txn *t, azr_array *a, azr_error *err)
{
    azri_part new = {.a = a->base};
    int rc;

    a = a->base; /* who shares with it may be closed before us */
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

int azri_transaction_alive(const azr_txn *t, azr_error *err)
{
    if (t->ended)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "the transaction has ended; begin another");
    if (t->pid != azri_process_id())
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "this transaction belongs to process %u", t->pid);
    return AZR_OK;
}

int azri_part_join(azri_part **out, azr_txn *t, azr_array *a, azr_error *err)
{
    azri_read_hooks hooks;
    int rc = azri_transaction_alive(t, err);

    if (rc < 0)
        return rc;
    if (a->options.sync != AZR_SYNC_FULL)
        return azri_fail(err, AZR_EUNSUPPORTED,
                         "transactions need a handle with AZR_SYNC_FULL");
    rc = azri_part_new(out, t, a, err);
    if (rc < 0 || (*out)->g)
        return rc;
    hooks = azri_part_hooks(*out);
    rc = azri_read_document(a, &hooks, &t->patience, err);
    if (rc < 0 && !(*out)->locked) /* it has never been one of them */
        azri_part_forget(t, *out);
    return rc;
}

/* ---------------------------------------------------------------- writes --- */

azr_selection azri_part_stored_box(const azri_part *p, const uint64_t *coords)
{
    const azri_meta *m = p->g->meta;
    int64_t start[AZR_MAX_RANK] = {0}, count[AZR_MAX_RANK] = {0};

    for (int d = 0; d < m->rank; d++) {
        start[d] = (int64_t)coords[d] * m->chunk[d];
        count[d] = azri_min_i64(m->chunk[d], p->kept[d] - start[d]);
    }
    return azr_select_box(m->rank, start, count, NULL);
}

/* The present content of a partly covered chunk: a read of the transaction. */
static int load_current(azri_part *p, azri_staged_chunk *c, azr_error *err)
{
    const azri_meta *m = p->g->meta;
    size_t item = m->dtype->nbytes;
    azr_selection sel = azri_part_stored_box(p, c->coords);
    azri_read_hooks hooks = azri_part_hooks(p);
    azri_caller_memory dst = {NULL, NULL, item};
    azr_memory dense;
    azri_plan plan;
    azri_piece all;
    int rc;

    hooks.as = p->g;
    for (int d = 0; d < m->rank; d++)
        dst.nbytes *= (size_t)sel.count[d];
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

int azri_part_blank(uint8_t **out, const azri_part *p, azr_error *err)
{
    const azri_meta *m = p->g->meta;

    if (m->chunk_nbytes > AZRI_MAX_CHUNK_NBYTES)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_CHUNK,
                             "chunks of %zu bytes are larger than %zu",
                             m->chunk_nbytes, AZRI_MAX_CHUNK_NBYTES);
    *out = azri_alloc(m->chunk_nbytes);
    if (!*out)
        return azri_fail_nomem(err, m->chunk_nbytes);
    azri_fill_elements(*out, p->g->stored_fill, m->dtype->nbytes,
                       m->chunk_nbytes / m->dtype->nbytes);
    return AZR_OK;
}

/* A chunk that the transaction touches for the first time. */
static int add_chunk(azri_part *p, const uint64_t *coords, bool whole,
                     size_t at, azr_error *err)
{
    azri_staged_chunk c = {.bytes = NULL};
    int rc = azri_staged_room(p, err);

    if (rc == AZR_OK)
        rc = azri_part_blank(&c.bytes, p, err);
    if (rc < 0)
        return rc;
    memcpy(c.coords, coords, sizeof c.coords);
    if (!whole && azri_part_has_stored(p, coords))
        rc = load_current(p, &c, err);
    if (rc < 0) {
        azri_free(c.bytes);
        return rc;
    }
    azri_staged_insert(p, at, &c);
    return AZR_OK;
}

int azri_part_write(azri_part *p, const azri_plan *plan, const azr_memory *src,
                    azr_error *err)
{
    for (uint64_t i = 0; i < plan->piece_count; i++) {
        azri_piece piece;
        bool found;
        size_t at;

        azri_plan_piece(plan, i, &piece);
        at = azri_staged_position(p, piece.coords, &found);
        if (!found) {
            int rc = add_chunk(p, piece.coords, piece.whole, at, err);

            if (rc < 0)
                return rc;
        }
        azri_gather(plan, &piece, src, p->chunks[at].bytes,
                    azri_chain_strides(p->g->chain), p->g->meta->dtype->nbytes,
                    azri_chain_swap_unit(p->g->chain));
        azri_staged_forget_raw(&p->chunks[at]);
    }
    return AZR_OK;
}

int azri_part_cut(azri_part *p, const uint64_t *coords, bool *staged,
                  azr_error *err)
{
    azri_victims v = azri_part_victims(p);
    size_t at = azri_staged_position(p, coords, staged);
    int rc = AZR_OK;

    if (*staged || !azri_part_has_stored(p, coords) ||
        !azri_victims_border(&v, coords))
        return AZR_OK;
    rc = add_chunk(p, coords, false, at, err);
    *staged = rc == AZR_OK;
    return rc;
}

/* Before a read by a document that is not stored: chunks that a smaller shape went
 * through are staged as it left them, and there is something to show of those of
 * which nothing counts. */
static int prepare_read(azri_part *p, const azri_plan *plan, azr_error *err)
{
    int rc = p->blank ? AZR_OK : azri_part_blank(&p->blank, p, err);

    for (uint64_t i = 0; i < plan->piece_count && rc == AZR_OK; i++) {
        azri_piece piece;
        bool staged;

        azri_plan_piece(plan, i, &piece);
        rc = azri_part_cut(p, piece.coords, &staged, err);
    }
    return rc;
}

/* Nothing is stored of an array that is created. */
static int read_created(azri_part *p, const azri_plan *plan,
                        const azri_caller_memory *dst, azr_error *err)
{
    const azri_ground *g = azri_part_top(p);
    azr_memory memory;
    int rc =
        azri_memory_resolve(&memory, dst, plan, g->meta->dtype->nbytes, err);

    for (uint64_t i = 0; i < plan->piece_count && rc == AZR_OK; i++) {
        azri_piece piece;

        azri_plan_piece(plan, i, &piece);
        azri_scatter(plan, &piece, &memory, overlay(p, piece.coords),
                     azri_chain_strides(g->chain), g->meta->dtype->nbytes,
                     azri_chain_swap_unit(g->chain));
    }
    return rc;
}

static int read_pending(azri_part *p, const azr_selection *sel,
                        const azri_caller_memory *dst, azr_error *err)
{
    const azri_meta *m = azri_part_top(p)->meta;
    azri_plan plan;
    int rc = azri_plan_init(&plan, sel, m->rank, m->shape, m->chunk, err);

    if (rc < 0)
        return rc;
    rc = prepare_read(p, &plan, err);
    if (rc == AZR_OK && p->created)
        rc = read_created(p, &plan, dst, err);
    azri_plan_dispose(&plan);
    return rc;
}

int azri_transaction_read(azr_txn *t, azr_array *a, const azr_selection *sel,
                          const azri_caller_memory *dst, azr_error *err)
{
    azri_read_hooks hooks;
    azri_part *p;
    int rc = azri_part_join(&p, t, a, err);

    if (rc < 0)
        return rc;
    t->read_count++;
    p->used_shape |= azri_selection_needs_shape(sel);
    rc = azri_part_need_elements(p, err);
    if (rc == AZR_OK)
        rc = azri_part_decode(p, err);
    if (rc == AZR_OK && (p->next || p->created))
        rc = read_pending(p, sel, dst, err);
    hooks = azri_part_hooks(p);
    if (rc == AZR_OK && !p->created)
        rc = azri_array_read(a, sel, dst, &hooks, &t->patience, err);
    return azri_part_verdict(p, rc, err);
}

int azri_transaction_shape(azr_txn *t, azr_array *a, int64_t *shape_out,
                           azr_error *err)
{
    const azri_meta *m;
    azri_part *p;
    int rc = azri_part_join(&p, t, a, err);

    if (rc < 0)
        return rc;
    p->used_shape = true;
    m = azri_part_top(p)->meta;
    memcpy(shape_out, m->shape, (size_t)m->rank * sizeof *shape_out);
    return AZR_OK;
}

/* Rows name each other by paths and locks are one host's: what is written together
 * stands on one file system. */
int azri_part_check_device(const azr_txn *t, const azri_part *p, azr_error *err)
{
    for (size_t k = 0; k < t->part_count; k++) {
        const azri_part *q = t->parts[k];

        if (azri_part_writes(q) && !azri_domain_same_device(p->a->d, q->a->d))
            return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
                                 "'%s' and '%s' are on two file systems: one "
                                 "transaction cannot write both",
                                 azri_domain_path(q->a->d),
                                 azri_domain_path(p->a->d));
    }
    return AZR_OK;
}

int azri_part_join_writer(azri_part **out, azr_txn *t, azr_array *a,
                          azr_error *err)
{
    int rc = azri_array_may_write(a, err);

    if (rc == AZR_OK)
        rc = azri_part_join(out, t, a, err);
    return rc == AZR_OK ? azri_part_check_device(t, *out, err) : rc;
}

int azri_transaction_write(azr_txn *t, azr_array *a, const azr_selection *sel,
                           const azri_caller_memory *src, azr_error *err)
{
    const azri_meta *m;
    azr_memory memory;
    azri_plan plan;
    azri_part *p;
    int rc = azri_part_join_writer(&p, t, a, err);

    if (rc == AZR_OK)
        rc = azri_part_need_elements(p, err);
    if (rc == AZR_OK)
        rc = azri_part_decode(p, err);
    if (rc != AZR_OK)
        return rc;
    m = azri_part_top(p)->meta;
    rc = azri_plan_init(&plan, sel, m->rank, m->shape, m->chunk, err);
    if (rc != AZR_OK)
        return azri_part_verdict(p, rc, err);
    p->used_shape |= azri_selection_needs_shape(sel);
    rc = azri_memory_resolve(&memory, src, &plan, m->dtype->nbytes, err);
    if (rc == AZR_OK) {
        rc = azri_part_write(p, &plan, &memory, err);
        t->broken |= rc < 0; /* some pieces may be in, others not */
    }
    azri_plan_dispose(&plan);
    return azri_part_verdict(p, rc, err);
}
