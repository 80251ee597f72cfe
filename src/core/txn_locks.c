/* SPDX-License-Identifier: Apache-2.0 */
/* The locks of a transaction, in all of its arrays. */
#include "base/guard.h"
#include "core/transaction.h"
#include "sync/lock_dir.h"

#include <stdlib.h>

/* Arrays in their order; those that cannot be locked follow. */
static int compare_parts(const void *x, const void *y)
{
    const azri_part *p = *(azri_part *const *)x, *q = *(azri_part *const *)y;

    if (azri_part_has_order(p, q))
        return azri_domain_compare(p->a->d, q->a->d);
    return azri_domain_has_rows(q->a->d) - azri_domain_has_rows(p->a->d);
}

static void sort_parts(azr_txn *t)
{
    if (t->part_count > 1)
        qsort(t->parts, t->part_count, sizeof(azri_part *), compare_parts);
}

/* `first`: one that has its row. */
static int begin_part(azri_part *p, const azri_part *first,
                      const azri_patience *patience, azr_error *err)
{
    if (!azri_domain_has_rows(p->a->d))
        return azri_fail(err, AZR_EUNSUPPORTED,
                         "'%s' is read by a transaction that writes another "
                         "array, and cannot be locked: open it for writing",
                         azri_domain_path(p->a->d));
    if (!first)
        return azri_txn_begin(&p->inner, p->a->d, patience, err);
    return azri_txn_join(&p->inner, p->a->d, first->inner, patience, err);
}

void azri_parts_end(azr_txn *t)
{
    for (size_t k = 0; k < t->part_count; k++) {
        azri_part *p = t->parts[k];

        azri_dir_unlock(p->directory);
        p->directory = -1;
        azri_txn_end(p->inner);
        p->inner = NULL;
    }
}

/* Alone in the array: no chunk needs a lock then. */
static bool needs_all(const azri_part *p)
{
    return p->created || p->shrinks || p->alone;
}

static int lock_doc(azri_part *p, bool before, azr_error *err)
{
    if (azri_part_moves_document(p))
        return AZRI_GUARD(DOC) ? azri_txn_lock_doc(p->inner, true, err)
                               : AZR_OK;
    if (before || p->used_shape)
        return azri_txn_lock_doc(p->inner, false, err);
    return AZR_OK;
}

static int lock_chunks(azri_part *p, bool before, azr_error *err)
{
    int rc = AZR_OK;

    if (needs_all(p))
        return AZR_OK;
    if (p->count > 0)
        rc = azri_txn_want_chunks(p->inner, p->count, azri_staged_coords, p,
                                  true, err);
    if (rc == AZR_OK)
        rc = azri_txn_want_chunks(p->inner, p->reads.n, azri_set_coords,
                                  &p->reads, false, err);
    if (rc == AZR_OK && before)
        rc = azri_txn_want_chunks(p->inner, p->held.n, azri_set_coords,
                                  &p->held, true, err);
    return rc < 0 ? rc : azri_txn_lock_chunks(p->inner, err);
}

static int look(azri_part *p, bool before, azr_error *err)
{
    return azri_txn_look(p->inner,
                         before || p->used_shape || needs_all(p) ||
                             azri_part_moves_document(p),
                         err);
}

/* Who makes groups has no META: the directory's lock is common to both. */
static int lock_directory(azri_part *p, const azri_patience *patience,
                          azr_error *err)
{
    if (!p->created)
        return AZR_OK;
    return azri_dir_lock(&p->directory, azri_domain_dir(p->a->d),
                         azri_domain_path(p->a->d), patience, err);
}

/* Rows, then all locks in their order, level by level, then the dead. `before`:
 * what is `held`, and every document. */
int azri_transaction_lock(azr_txn *t, bool before, azr_error *err)
{
    size_t n = t->part_count;
    azri_part **p;
    int rc = AZR_OK;

    sort_parts(t);
    p = t->parts;
    for (size_t k = 1; k < n && rc == AZR_OK; k++)
        rc = azri_part_distinct(p[k - 1], p[k], err);
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = begin_part(p[k], k > 0 ? p[0] : NULL, &t->patience, err);
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = azri_txn_lock_meta(
            p[k]->inner, needs_all(p[k]) && AZRI_GUARD(META_EXCLUSIVE), err);
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = lock_doc(p[k], before, err);
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = lock_chunks(p[k], before, err);
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = lock_directory(p[k], &t->patience, err);
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = look(p[k], before, err);
    return rc;
}

static int lock_late(azri_part *p, const azri_part *first,
                     const azri_patience *never, azr_error *err)
{
    int rc = begin_part(p, first, never, err);

    if (rc == AZR_OK)
        rc = azri_txn_lock_meta(p->inner, true, err);
    if (rc == AZR_OK)
        rc = azri_txn_lock_doc(p->inner, true, err);
    if (rc == AZR_OK)
        rc = lock_directory(p, never, err);
    return rc < 0 ? rc : look(p, true, err);
}

int azri_transaction_lock_created(azr_txn *t, azr_error *err)
{
    azri_patience never = azri_patience_from(0, t->cancel);
    const azri_part *first = NULL;
    int rc = AZR_OK;

    for (size_t k = 0; k < t->part_count && !first; k++) {
        if (t->parts[k]->inner)
            first = t->parts[k];
    }
    for (size_t k = 0; k < t->part_count && rc == AZR_OK; k++) {
        if (t->parts[k]->created)
            rc = lock_late(t->parts[k], first, &never, err);
    }
    return rc;
}
