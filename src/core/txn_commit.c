/* SPDX-License-Identifier: Apache-2.0 */
/* The commit of an explicit transaction. */
#include "base/guard.h"
#include "core/transaction.h"
#include "core/upkeep.h"
#include "os/host.h"
#include "runtime/pool.h"
#include "txn/layout.h"

#include <string.h>

static bool part_is_held(const azri_part *p)
{
    if (p->created)
        return true; /* it will be */
    if (!p->locked)
        return false;
    if (p->alone)
        return true;
    if (p->shrinks || azri_part_moves_document(p))
        return false;
    for (size_t i = 0; i < p->count; i++) {
        if (!azri_set_has(&p->held, p->chunks[i].coords))
            return false;
    }
    for (uint64_t i = 0; i < p->reads.n; i++) {
        if (!azri_set_has(&p->held, azri_set_at(&p->reads, i)))
            return false;
    }
    return true;
}

static bool held_covers(const azr_txn *t)
{
    for (size_t k = 0; k < t->part_count; k++) {
        if (!part_is_held(t->parts[k]))
            return false;
    }
    return true;
}

/* Is chunk i as it was read? The same counter, and through the same committed row
 * or none: a row that a dead owner left may stand for as long as it likes. */
static bool is_unmoved(const azri_part *p, uint64_t i,
                       const azri_view_item *item)
{
    const void *named = p->named.data;

    return item->counter == p->stripes->counter[item->stripe] &&
           item->named == ((const uint64_t *)named)[i];
}

static int document_stands(const azri_part *p, bool *out, azr_error *err)
{
    azri_ground *g = NULL;
    int rc;

    if (!azri_view_moves_documents(p->view))
        return azri_ground_stands(p->a, p->g, out, err);
    rc = azri_ground_refresh(p->a, p->view, &g, err);
    *out = g == p->g;
    azri_ground_unref(g);
    return rc;
}

/* Format 2: the attributes, as of the same look. */
static int zattrs_stand(const azri_part *p, bool *out, azr_error *err)
{
    azr_store *store = azri_domain_store(p->a->d);
    azr_object o = AZR_OBJECT_INIT;
    int rc;

    if (!p->knows_zattrs)
        return AZR_OK;
    rc =
        azri_view_open_document(p->view, AZRI_ENTRY_ZATTRS, ".zattrs", &o, err);
    if (rc < 0 && rc != AZR_ENOTFOUND)
        return rc;
    *out =
        (o.handle < 0) == (p->zattrs_seen.handle < 0) &&
        (o.handle < 0 || memcmp(&o.id, &p->zattrs_seen.id, sizeof o.id) == 0);
    if (o.handle >= 0)
        store->ops->close(store, &o);
    return AZR_OK;
}

/* AZR_ECONFLICT (no message): something has moved. */
static int look_at_part(azri_part *p, azr_error *err)
{
    bool stands = true;
    int rc = azri_view_new(&p->view, p->a->d, &p->t->patience, err);

    if (rc == AZR_OK)
        rc = azri_view_aim(p->view, &p->g->meta->keying, p->reads.n,
                           azri_set_coords, &p->reads, err);
    if (rc == AZR_OK)
        rc = azri_view_look(p->view, err);
    for (uint64_t i = 0; rc == AZR_OK && i < p->reads.n; i++)
        stands = stands && is_unmoved(p, i, azri_view_item_at(p->view, i));
    if (rc == AZR_OK && stands)
        rc = document_stands(p, &stands, err);
    if (rc == AZR_OK && stands)
        rc = zattrs_stand(p, &stands, err);
    return rc == AZR_OK && !stands ? AZR_ECONFLICT : rc;
}

/* Reads alone: a look at which everything still is as it was read is the instant
 * at which all of it holds; of several arrays all looks come before the first of
 * the second ones, so that there is an instant between them. */
static int commit_reads(azr_txn *t, azr_error *err)
{
    azri_part *p = t->parts[0];
    int rc = AZR_OK;

    if (t->locked_before && held_covers(t))
        return AZR_OK; /* nothing could move since the first of them */
    if (t->conflict)
        return azri_fail_conflict(p, err);
    for (size_t k = 0; k < t->part_count && rc == AZR_OK; k++) {
        p = t->parts[k];
        if (p->g) /* else locked, and not used this time */
            rc = look_at_part(p, err);
    }
    for (size_t k = 0; k < t->part_count && rc == AZR_OK; k++) {
        p = t->parts[k];
        if (p->g)
            rc = azri_view_check(p->view, err);
    }
    for (size_t k = 0; k < t->part_count; k++) {
        azri_view_free(t->parts[k]->view);
        t->parts[k]->view = NULL;
    }
    return rc == AZR_ECONFLICT ? azri_fail_conflict(p, err) : rc;
}

typedef struct committer {
    const azri_part *p;
    azri_coder *coders[AZRI_CODERS];
} committer;

static int stage_one(void *arg, uint64_t i, int worker, azr_error *err)
{
    committer *c = arg;
    const azri_part *p = c->p;
    const azri_staged_chunk *chunk = &p->chunks[i];
    azri_span bytes = {chunk->bytes, p->g->meta->chunk_nbytes}, stored;
    azri_victims v = azri_part_victims(p);
    int rc;

    if (chunk->is_raw && !chunk->raw)
        return azri_txn_stage_deleted(p->inner, i, &chunk->seen, err);
    if (chunk->is_raw) {
        stored = (azri_span){chunk->raw, chunk->raw_nbytes};
        return azri_txn_stage(p->inner, i, stored, &chunk->seen, err);
    }
    if (!chunk->bytes)
        return azri_victims_stage(&v, p->a, p->inner, p->g, chunk->coords, i,
                                  c->coders[worker], err);

    if (!(p->a->options.flags & AZR_OPEN_WRITE_EMPTY) &&
        azri_chunk_is_empty(p->g, chunk->bytes))
        return azri_txn_stage_deleted(p->inner, i, &chunk->seen, err);
    rc = azri_chain_encode(p->g->chain, c->coders[worker], bytes, &stored, err);
    if (rc < 0)
        return rc;
    return azri_txn_stage(p->inner, i, stored, &chunk->seen, err);
}

static int stage_chunks(const azri_part *p, azr_error *err)
{
    committer c = {.p = p};
    int width = azri_array_width(p->a, p->g, p->count);
    int rc = azri_coders_take(p->a, c.coders, width, err);

    if (rc < 0)
        return rc;
    rc = azri_pool_run(width, p->count, stage_one, &c, err);
    azri_coders_give(p->a, c.coders, width);
    return rc;
}

/* Of format 2 the attributes come last here, and first to their place: of an array
 * that is created nobody sees the one document without the other. */
static int stage_documents(const azri_part *p, azr_error *err)
{
    const azri_ground *top = azri_part_top(p);
    bool first = !p->created && AZRI_GUARD(SHRINK_FIRST) &&
                 azri_shape_shrinks(p->g->meta, top->meta->shape);
    int rc = AZR_OK;

    if (p->created || p->next)
        rc = azri_txn_stage_document(p->inner, p->a->document_kind,
                                     azri_buf_span(&top->meta->text), first,
                                     p->created ? NULL : &p->g->document, err);
    if (rc == AZR_OK && p->sets_zattrs)
        rc = azri_txn_stage_document(
            p->inner, AZRI_ENTRY_ZATTRS, azri_buf_span(&p->zattrs), first,
            p->zattrs_seen.handle < 0 ? NULL : &p->zattrs_seen, err);
    return rc;
}

static int stage_part(azri_part *p, azr_error *err)
{
    int rc = AZR_OK;

    azri_part_mark_seen(p);
    if (p->shrinks)
        rc = azri_staged_victims(p, err);
    if (rc == AZR_OK)
        rc = azri_txn_entries(p->inner, p->count, azri_staged_coords, p, err);
    if (rc == AZR_OK && p->count > 0)
        rc = stage_chunks(p, err);
    if (rc == AZR_OK && azri_part_moves_document(p))
        rc = stage_documents(p, err);
    if (p->created)
        azri_txn_never_home(p->inner);
    return rc;
}

static int check_documents(const azri_part *p, bool *stands, azr_error *err)
{
    azr_store *store = azri_domain_store(p->a->d);
    azr_object zattrs = AZR_OBJECT_INIT;
    azri_ground *now = NULL;
    int rc = azri_ground_current(p->a, &now, err);

    if (rc < 0)
        return rc;
    *stands = now == p->g;
    azri_ground_unref(now);
    if (!p->knows_zattrs)
        return AZR_OK;
    rc = store->ops->identify(store, ".zattrs", &zattrs, err);
    if (rc == AZR_ENOTFOUND) {
        *stands = *stands && p->zattrs_seen.handle < 0;
        return AZR_OK;
    }
    *stands = *stands && p->zattrs_seen.handle >= 0 &&
              memcmp(&zattrs.id, &p->zattrs_seen.id, sizeof zattrs.id) == 0;
    return rc;
}

/* `locked_before`: the locks were there before the reads, so only a plain Zarr
 * program can have moved anything; counters may, by other keys of a stripe. */
static int check_reads(const azri_part *p, bool locked_before, azr_error *err)
{
    bool stands;
    int rc;

    if (p->created)
        return azri_creation_check(p->a, p->inner, p->sets_zattrs, err);
    rc = check_documents(p, &stands, err);
    if (rc < 0)
        return rc;
    if (!locked_before)
        stands = stands && !p->t->conflict;
    for (uint16_t s = 0; s < AZRI_STRIPES && stands && p->stripes; s++)
        stands = locked_before || !p->stripes->known[s] ||
                 azri_txn_counter(p->inner, s) == p->stripes->counter[s];
    return stands ? AZR_OK : azri_fail_conflict(p, err);
}

/* The locks taken before the body ran become those of the commit. */
static void take_over(azr_txn *t)
{
    for (size_t k = 0; k < t->part_count; k++) {
        t->parts[k]->inner = t->parts[k]->locked;
        t->parts[k]->locked = NULL;
    }
}

/* Who creates an array holds the lock of its directory already, and who makes a
 * group there may wait for it with those above in hand: so it does not wait for
 * these for long, but gives everything back. */
#define CREATOR_WAIT_MS 1000

static int commit_inner(azr_txn *t, azr_error *err)
{
    azri_patience soon = azri_patience_from(CREATOR_WAIT_MS, t->cancel);
    const azri_patience *patience = &t->patience;
    azri_txn **all = azri_calloc(t->part_count, sizeof(void *));
    azr_array **changed = azri_calloc(t->part_count, sizeof(void *));
    size_t m = 0;
    int rc;

    if (!all || !changed) {
        rc = azri_fail_nomem(err, t->part_count * sizeof(void *));
        goto done;
    }
    for (size_t k = 0; k < t->part_count; k++) {
        const azri_part *p = t->parts[k];

        all[k] = p->inner;
        if (p->g && azri_part_moves_document(p))
            changed[m++] = p->a;
        if (p->created)
            patience = &soon;
    }
    rc = azri_upkeep_commit_all(changed, m, all, t->part_count, patience, err);
    if (rc == AZR_EBUSY && patience == &soon)
        rc = azri_fail_conflict(t->parts[0], err);
done:
    azri_free(changed);
    azri_free(all);
    return rc;
}

/* *before: by those taken before the body ran. */
static int lock_for_commit(azr_txn *t, bool *before, azr_error *err)
{
    *before = t->locked_before && held_covers(t);
    take_over(t);
    if (*before && azri_transaction_lock_created(t, NULL) < 0)
        *before = false;
    if (*before)
        return AZR_OK;
    if (t->locked_before) { /* it touched more than the last try */
        azri_parts_end(t);
        for (size_t k = 0; k < t->part_count; k++)
            t->parts[k]->alone = false;
        if (t->conflict)
            return azri_fail_conflict(t->parts[0], err);
    }
    return azri_transaction_lock(t, false, err);
}

static int commit_writes(azr_txn *t, azr_error *err)
{
    bool before;
    int rc = lock_for_commit(t, &before, err);

    for (size_t k = 0; k < t->part_count && rc == AZR_OK; k++) {
        if (t->parts[k]->g)
            rc = check_reads(t->parts[k], before, err);
    }
    for (size_t k = 0; k < t->part_count && rc == AZR_OK; k++) {
        if (t->parts[k]->g && azri_part_writes(t->parts[k]))
            rc = stage_part(t->parts[k], err);
    }
    if (rc == AZR_OK)
        rc = commit_inner(t, err);
    for (size_t k = 0; k < t->part_count && rc == AZR_OK; k++) {
        if (t->parts[k]->created)
            atomic_store(&t->parts[k]->a->unborn, false);
    }
    azri_parts_end(t);
    return rc;
}

static bool has_written(const azr_txn *t)
{
    for (size_t k = 0; k < t->part_count; k++) {
        if (azri_part_writes(t->parts[k]))
            return true;
    }
    return false;
}

/* One read is one snapshot already. */
static bool needs_check(const azr_txn *t)
{
    return t->read_count > 1 || t->part_count > 1 ||
           (t->part_count == 1 && t->parts[0]->used_shape);
}

int azri_transaction_commit(azr_txn *t, azr_error *err)
{
    if (t->ended)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "the transaction has ended");
    if (t->pid != azri_process_id())
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "this transaction belongs to process %u", t->pid);
    t->ended = true;
    if (t->broken)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "a write of this transaction failed; it cannot "
                             "be committed");
    if (t->conflict && !t->locked_before)
        return azri_fail_conflict(t->parts[0], err);
    if (has_written(t))
        return commit_writes(t, err);
    return needs_check(t) ? commit_reads(t, err) : AZR_OK;
}
