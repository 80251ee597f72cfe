/* SPDX-License-Identifier: Apache-2.0 */
/* azr_txn_run: again after a conflict, at last with the locks taken first. */
#include "core/transaction.h"

#include <string.h>

#define CONFLICTS_ALONE 3 /* then the locks are taken before the body runs */

/* What a failed try touched, to be locked before the next. */
typedef struct memory {
    azr_array *a;
    azri_chunk_set held;
    bool alone; /* its document was to be changed */
} memory;

typedef struct memories {
    memory *list;
    size_t n;
} memories;

static void forget(memories *m)
{
    for (size_t k = 0; k < m->n; k++)
        azri_buf_dispose(&m->list[k].held.coords);
    azri_free(m->list);
    m->list = NULL;
    m->n = 0;
}

static int remember_part(memory *m, const azri_part *p, azr_error *err)
{
    int rank = p->g->meta->rank, rc = AZR_OK;

    m->a = p->a;
    m->alone = p->shrinks || azri_part_moves_document(p);
    m->held.rank = rank;
    for (size_t i = 0; i < p->count && rc == AZR_OK; i++)
        rc = azri_set_add(&m->held, rank, p->chunks[i].coords, err);
    for (uint64_t i = 0; i < p->reads.n && rc == AZR_OK; i++)
        rc = azri_set_add(&m->held, rank, azri_set_at(&p->reads, i), err);
    azri_set_sort(&m->held);
    return rc;
}

static int remember(memories *m, const azr_txn *t, azr_error *err)
{
    int rc = AZR_OK;

    forget(m);
    m->list = azri_calloc(t->part_count + 1, sizeof *m->list);
    if (!m->list)
        return azri_fail_nomem(err, t->part_count * sizeof *m->list);
    for (size_t k = 0; k < t->part_count && rc == AZR_OK; k++) {
        if (t->parts[k]->g && !t->parts[k]->created)
            rc = remember_part(&m->list[m->n++], t->parts[k], err);
    }
    return rc;
}

/* AZR_ECONFLICT, or why the next try could not know of it. */
static int remember_conflict(memories *m, const azr_txn *t, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    int rc = remember(m, t, &why);

    if (rc == AZR_OK)
        return AZR_ECONFLICT;
    azri_error_reset(err);
    azri_error_pass(err, &why);
    return rc;
}

/* All of them for writing? Then there is a `state` to lock in each. */
static bool can_lock(const memories *m)
{
    for (size_t k = 0; k < m->n; k++) {
        if (!(m->list[k].a->options.flags & AZR_OPEN_WRITE))
            return false;
    }
    return m->n > 0;
}

/* Locks first: then nobody can be in our way. */
static int lock_before(azr_txn *t, memories *m, azr_error *err)
{
    int rc = AZR_OK;

    for (size_t k = 0; k < m->n && rc == AZR_OK; k++) {
        azri_part *p;

        rc = azri_part_add(&p, t, m->list[k].a, err);
        if (rc < 0)
            break;
        p->held = m->list[k].held;
        p->alone = m->list[k].alone;
        memset(&m->list[k].held, 0, sizeof m->list[k].held);
    }
    if (rc == AZR_OK)
        rc = azri_transaction_lock(t, true, err);
    for (size_t k = 0; k < t->part_count; k++) {
        t->parts[k]->locked = t->parts[k]->inner;
        t->parts[k]->inner = NULL;
    }
    t->locked_before = rc == AZR_OK;
    return rc;
}

int azri_transaction_run(azr_txn_fn fn, void *arg, const azr_txn_options *o,
                         azr_error *err)
{
    azri_patience patience = azri_patience_from(o->timeout_ms, o->cancel);
    memories last = {NULL, 0};
    int rc;

    for (int conflicts = 0;; conflicts++) {
        azr_txn *t = NULL;

        azri_error_reset(err);
        rc = azri_transaction_begin(&t, o, err);
        if (rc < 0)
            break;
        if (conflicts >= CONFLICTS_ALONE && can_lock(&last))
            rc = lock_before(t, &last, err);
        if (rc == AZR_OK)
            rc = fn(t, arg, err);
        if (rc == AZR_OK)
            rc = azri_transaction_commit(t, err);
        if (rc == AZR_ECONFLICT)
            rc = remember_conflict(&last, t, err);
        azri_transaction_free(t);
        if (rc != AZR_ECONFLICT || azri_patience_check(&patience) < 0)
            break;
    }
    forget(&last);
    return rc;
}
