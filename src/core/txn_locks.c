/* SPDX-License-Identifier: Apache-2.0 */
/* The locks of a transaction, in all of its arrays. */
#include "core/transaction.h"

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

static int begin_part(azr_txn *t, size_t k, azr_error *err)
{
    azri_part *p = t->parts[k];

    if (!azri_domain_has_rows(p->a->d))
        return azri_fail(err, AZR_EUNSUPPORTED,
                         "'%s' is read by a transaction that writes another "
                         "array, and cannot be locked: open it for writing",
                         azri_domain_path(p->a->d));
    if (k == 0)
        return azri_txn_begin(&p->inner, p->a->d, &t->patience, err);
    return azri_txn_join(&p->inner, p->a->d, t->parts[0]->inner, &t->patience,
                         err);
}

void azri_parts_end(azr_txn *t)
{
    for (size_t k = 0; k < t->part_count; k++) {
        azri_txn_end(t->parts[k]->inner);
        t->parts[k]->inner = NULL;
    }
}

static int lock_chunks(azri_part *p, bool before, azr_error *err)
{
    int rc = AZR_OK;

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

/* Rows, then all locks in their order, level by level, then the dead. `before`:
 * what is `held`, and every document. */
int azri_transaction_lock(azr_txn *t, bool before, azr_error *err)
{
    size_t n = t->part_count;
    int rc = AZR_OK;

    sort_parts(t);
    for (size_t k = 1; k < n && rc == AZR_OK; k++)
        rc = azri_part_distinct(t->parts[k - 1], t->parts[k], err);
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = begin_part(t, k, err);
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = azri_txn_lock_meta(t->parts[k]->inner, false, err);
    for (size_t k = 0; k < n && rc == AZR_OK; k++) {
        if (before || t->parts[k]->used_shape)
            rc = azri_txn_lock_doc(t->parts[k]->inner, false, err);
    }
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = lock_chunks(t->parts[k], before, err);
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = azri_txn_look(t->parts[k]->inner,
                           before || t->parts[k]->used_shape, err);
    return rc;
}
