/* SPDX-License-Identifier: Apache-2.0 */
/*
 * azr_append_all: data and coordinates grow together. As azr_array_append it finds
 * its objects under lock instead of trying: META shared, DOC exclusive in all the
 * arrays, look, documents, chunks, look; so thirty of them follow each other, and
 * none has to begin again.
 */
#include "core/array.h"
#include "core/upkeep.h"
#include "os/host.h"

#include <stdlib.h>
#include <string.h>

typedef struct part {
    azr_append_part *of;
    azr_array *a;
    azri_txn *t;
    azri_ground *g;
    int64_t shape[AZR_MAX_RANK];
    azri_plan plan;
    bool planned;
    azr_memory memory;
} part;

static int compare_parts(const void *x, const void *y)
{
    const part *p = x, *q = y;

    return azri_domain_compare(p->a->d, q->a->d);
}

static int prepare(part *list, azr_append_part *parts, size_t n, azr_error *err)
{
    int rc = AZR_OK;

    for (size_t k = 0; k < n && rc == AZR_OK; k++) {
        list[k].of = &parts[k];
        list[k].a = parts[k].array;
        rc = azri_array_need_full(list[k].a, "append", err);
    }
    if (rc < 0)
        return rc;
    qsort(list, n, sizeof *list, compare_parts);
    for (size_t k = 1; k < n; k++) {
        if (compare_parts(&list[k - 1], &list[k]) == 0)
            return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                                 "'%s' is named twice; one call appends to it "
                                 "once",
                                 azri_domain_path(list[k].a->d));
    }
    return AZR_OK;
}

/* [A-doc] in every array before the first document is read. */
static int lock_documents(part *list, size_t n, const azri_patience *patience,
                          azr_error *err)
{
    int rc = AZR_OK;

    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = k == 0 ? azri_txn_begin(&list[k].t, list[k].a->d, patience, err)
                    : azri_txn_join(&list[k].t, list[k].a->d, list[0].t,
                                    patience, err);
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = azri_txn_lock_meta(list[k].t, false, err);
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = azri_txn_lock_doc(list[k].t, true, err);
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = azri_txn_look(list[k].t, true, err); /* [A-look] */
    return rc;
}

static int plan_part(part *p, azr_error *err)
{
    const azr_append_part *of = p->of;
    union {
        const void *in;
        void *out; /* a source is only read */
    } src = {.in = of->src};
    azri_caller_memory memory = {NULL, src.out, of->src_nbytes};
    int rc = azri_ground_current(p->a, &p->g, err); /* [A-read] */

    if (rc == AZR_OK)
        rc = azri_ground_need_elements(p->a, p->g, err);
    if (rc == AZR_OK)
        rc = azri_appended_shape(p->shape, p->g->meta, of->axis, of->length,
                                 err);
    if (rc == AZR_OK)
        rc = azri_appended_plan(&p->plan, p->g->meta, p->shape, of->axis, err);
    p->planned = rc == AZR_OK;
    if (rc == AZR_OK)
        rc = azri_memory_resolve(&p->memory, &memory, &p->plan,
                                 p->g->meta->dtype->nbytes, err);
    return rc;
}

static int lock_chunks(part *list, size_t n, azr_error *err)
{
    int rc = AZR_OK;

    for (size_t k = 0; k < n && rc == AZR_OK; k++) {
        rc = azri_txn_want_chunks(list[k].t, list[k].plan.piece_count,
                                  azri_plan_coords, &list[k].plan, true, err);
        if (rc == AZR_OK)
            rc = azri_txn_lock_chunks(list[k].t, err); /* [A-lock] */
    }
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = azri_txn_look(list[k].t, true, err); /* [A-look2] */
    return rc;
}

static int stage_part(part *p, azr_error *err)
{
    azri_buf text = AZRI_BUF_INIT;
    int rc;

    if (p->of->length == 0)
        return AZR_OK;
    rc = azri_stage_plan(p->a, p->t, p->g, &p->plan, &p->memory, err);
    if (rc == AZR_OK)
        rc = azri_meta_with_shape(&text, p->g->meta, p->shape, err);
    if (rc == AZR_OK)
        rc = azri_txn_stage_document(p->t, p->a->document_kind,
                                     azri_buf_span(&text), false,
                                     &p->g->document, err);
    azri_buf_dispose(&text);
    return rc;
}

static int commit(part *list, size_t n, const azri_patience *patience,
                  azr_error *err)
{
    azri_txn **all = azri_calloc(n, sizeof(void *));
    azr_array **changed = azri_calloc(n, sizeof(void *));
    size_t m = 0;
    int rc;

    if (!all || !changed) {
        rc = azri_fail_nomem(err, n * sizeof(void *));
        goto done;
    }
    for (size_t k = 0; k < n; k++) {
        all[k] = list[k].t;
        if (list[k].of->length > 0)
            changed[m++] = list[k].a;
    }
    rc = azri_upkeep_commit_all(changed, m, all, n, patience, err);
done:
    azri_free(changed);
    azri_free(all);
    return rc;
}

static void finish(part *list, size_t n, bool done)
{
    for (size_t k = 0; k < n; k++) {
        part *p = &list[k];

        if (done)
            p->of->offset = p->g->meta->shape[p->of->axis];
        azri_txn_end(p->t);
        if (p->planned)
            azri_plan_dispose(&p->plan);
        azri_ground_unref(p->g);
    }
    azri_free(list);
}

int azri_append_all(azr_append_part *parts, size_t n, const azr_txn_options *o,
                    azr_error *err)
{
    azri_patience patience = azri_patience_from(o->timeout_ms, o->cancel);
    part *list;
    int rc;

    if (n == 0)
        return AZR_OK;
    list = azri_calloc(n, sizeof *list);
    if (!list)
        return azri_fail_nomem(err, n * sizeof *list);
    rc = prepare(list, parts, n, err);
    if (rc == AZR_OK)
        rc = lock_documents(list, n, &patience, err);
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = plan_part(&list[k], err);
    if (rc == AZR_OK)
        rc = lock_chunks(list, n, err);
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = stage_part(&list[k], err);
    if (rc == AZR_OK)
        rc = commit(list, n, &patience, err);
    finish(list, n, rc == AZR_OK);
    return rc;
}
