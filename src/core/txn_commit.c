/* SPDX-License-Identifier: Apache-2.0 */
/* The commit of an explicit transaction. */
#include "base/stats.h"
#include "core/transaction.h"
#include "os/host.h"
#include "runtime/pool.h"

#include <string.h>

static int fail_conflict(const azri_part *p, azr_error *err)
{
    AZRI_COUNT(conflicts, 1);
    return azri_fail(err, AZR_ECONFLICT,
                     "'%s': what this transaction read was changed by another "
                     "one; nothing was written, run it again",
                     azri_domain_path(p->a->d));
}

static bool part_is_held(const azri_part *p)
{
    if (!p->locked)
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

    return item->counter == p->stripe[item->stripe] &&
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
        return fail_conflict(p, err);
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
    return rc == AZR_ECONFLICT ? fail_conflict(p, err) : rc;
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
    int rc;

    if (!(p->a->options.flags & AZR_OPEN_WRITE_EMPTY) &&
        azri_chunk_is_empty(p->g, chunk->bytes))
        return azri_txn_stage_deleted(p->inner, i, &chunk->seen, err);
    rc = azri_chain_encode(p->g->chain, c->coders[worker], bytes, &stored, err);
    if (rc < 0)
        return rc;
    return azri_txn_stage(p->inner, i, stored, &chunk->seen, err);
}

static int stage_part(const azri_part *p, azr_error *err)
{
    committer c = {.p = p};
    int width = azri_array_width(p->a, p->g, p->count);
    int rc = azri_txn_entries(p->inner, p->count, azri_staged_coords, p, err);

    if (rc == AZR_OK)
        rc = azri_coders_take(p->a, c.coders, width, err);
    if (rc < 0)
        return rc;
    rc = azri_pool_run(width, p->count, stage_one, &c, err);
    azri_coders_give(p->a, c.coders, width);
    return rc;
}

/* `locked_before`: the locks were there before the reads, so only a plain Zarr
 * program can have moved anything; counters may, by other keys of a stripe. */
static int check_reads(const azri_part *p, bool locked_before, azr_error *err)
{
    azri_ground *now = NULL;
    bool stands;
    int rc = azri_ground_current(p->a, &now, err);

    if (rc < 0)
        return rc;
    stands = now == p->g;
    azri_ground_unref(now);
    if (!locked_before)
        stands = stands && !p->t->conflict;
    for (uint16_t s = 0; s < AZRI_STRIPES && stands && !locked_before; s++)
        stands = !p->stripe_known[s] ||
                 azri_txn_counter(p->inner, s) == p->stripe[s];
    return stands ? AZR_OK : fail_conflict(p, err);
}

/* The locks taken before the body ran become those of the commit. */
static void take_over(azr_txn *t)
{
    for (size_t k = 0; k < t->part_count; k++) {
        t->parts[k]->inner = t->parts[k]->locked;
        t->parts[k]->locked = NULL;
    }
}

static int commit_inner(azr_txn *t, azr_error *err)
{
    azri_txn **all;
    int rc;

    if (t->part_count == 1)
        return azri_txn_commit(t->parts[0]->inner, err);
    all = azri_calloc(t->part_count, sizeof(void *));
    if (!all)
        return azri_fail_nomem(err, t->part_count * sizeof(void *));
    for (size_t k = 0; k < t->part_count; k++)
        all[k] = t->parts[k]->inner;
    rc = azri_txn_commit_all(all, t->part_count, err);
    azri_free(all);
    return rc;
}

static int commit_writes(azr_txn *t, azr_error *err)
{
    bool before = t->locked_before && held_covers(t);
    int rc = AZR_OK;

    take_over(t);
    if (t->locked_before && !before) { /* it touched more than the last try */
        azri_parts_end(t);
        if (t->conflict)
            return fail_conflict(t->parts[0], err);
    }
    if (!before)
        rc = azri_transaction_lock(t, false, err);
    for (size_t k = 0; k < t->part_count && rc == AZR_OK; k++) {
        if (t->parts[k]->g)
            rc = check_reads(t->parts[k], before, err);
    }
    for (size_t k = 0; k < t->part_count && rc == AZR_OK; k++) {
        if (t->parts[k]->count > 0)
            rc = stage_part(t->parts[k], err);
    }
    if (rc == AZR_OK)
        rc = commit_inner(t, err);
    azri_parts_end(t);
    return rc;
}

static bool has_written(const azr_txn *t)
{
    for (size_t k = 0; k < t->part_count; k++) {
        if (t->parts[k]->count > 0)
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
        return fail_conflict(t->parts[0], err);
    if (has_written(t))
        return commit_writes(t, err);
    return needs_check(t) ? commit_reads(t, err) : AZR_OK;
}
