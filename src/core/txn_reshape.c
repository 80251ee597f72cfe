/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Append, resize, attributes and creation inside a transaction. They make a
 * document that stands in memory until the commit, as the chunks do; what follows
 * in the transaction goes by it.
 */
#include "base/checked.h"
#include "core/transaction.h"
#include "txn/layout.h"

#include <string.h>

/* Takes over `g`, also on failure. */
static void set_next(azri_part *p, azri_ground *g)
{
    azri_ground_unref(p->next);
    p->next = g;
}

static int make_shape(azri_ground **out, azri_part *p, const int64_t *shape,
                      azr_error *err)
{
    azri_buf text = AZRI_BUF_INIT;
    int rc = azri_meta_with_shape(&text, azri_part_top(p)->meta, shape, err);

    if (rc == AZR_OK)
        rc = azri_ground_of_text(out, p->a, azri_buf_span(&text), err);
    azri_buf_dispose(&text);
    return rc;
}

/* --------------------------------------------------------------- append --- */

static int append_part(azri_part *p, int axis, int64_t length,
                       const azri_caller_memory *src, azr_error *err)
{
    const azri_meta *m = azri_part_top(p)->meta;
    int64_t shape[AZR_MAX_RANK];
    azri_ground *g = NULL;
    azr_memory memory;
    azri_plan plan;
    int rc = azri_part_need_elements(p, err);

    if (rc == AZR_OK)
        rc = azri_appended_shape(shape, m, axis, length, err);
    if (rc == AZR_OK)
        rc = azri_appended_plan(&plan, m, shape, axis, err);
    if (rc < 0)
        return rc;
    rc = azri_memory_resolve(&memory, src, &plan, m->dtype->nbytes, err);
    if (rc == AZR_OK && length > 0)
        rc = make_shape(&g, p, shape, err);
    if (rc == AZR_OK && length > 0) {
        set_next(p, g);
        rc = azri_part_write(p, &plan, &memory, err);
        p->t->broken |= rc < 0; /* some pieces may be in, others not */
    }
    azri_plan_dispose(&plan);
    return rc;
}

int azri_transaction_append(azr_txn *t, azr_array *a, int axis, int64_t length,
                            const azri_caller_memory *src, int64_t *offset_out,
                            azr_error *err)
{
    azri_part *p;
    int64_t offset = 0;
    int rc = azri_part_join_writer(&p, t, a, err);

    if (rc < 0)
        return rc;
    p->used_shape = true;
    if (axis >= 0 && axis < p->g->meta->rank)
        offset = azri_part_top(p)->meta->shape[axis];
    rc = azri_part_verdict(p, append_part(p, axis, length, src, err), err);
    if (rc == AZR_OK && offset_out)
        *offset_out = offset;
    return rc;
}

/* --------------------------------------------------------------- resize --- */

/* What is cut off is gone, whatever shape comes next. */
static int cut_staged(azri_part *p, const int64_t *shape, azr_error *err)
{
    azri_victims v = {.m = azri_part_top(p)->meta, .shape = shape};
    size_t left = 0;
    int rc = AZR_OK;

    for (size_t i = 0; i < p->count; i++) {
        azri_staged_chunk *c = &p->chunks[i];

        if (rc == AZR_OK && azri_victims_outside(&v, c->coords)) {
            azri_staged_dispose(c);
            continue;
        }
        if (rc == AZR_OK && azri_victims_border(&v, c->coords)) {
            rc = azri_staged_decode(p, c, err);
            if (rc == AZR_OK)
                rc = azri_victims_blank(&v, p->g, c->coords, c->bytes, err);
            if (rc == AZR_OK)
                azri_staged_forget_raw(c);
        }
        p->chunks[left++] = *c;
    }
    p->count = left;
    return rc;
}

static int resize_part(azri_part *p, int rank, const int64_t *shape,
                       azr_error *err)
{
    const azri_meta *m = azri_part_top(p)->meta;
    azri_ground *g = NULL;
    int rc = azri_shape_check(m, rank, shape, err);

    if (rc < 0 || memcmp(shape, m->shape, (size_t)rank * sizeof *shape) == 0)
        return rc;
    rc = make_shape(&g, p, shape, err);
    if (rc < 0)
        return rc;
    rc = cut_staged(p, shape, err);
    p->t->broken |= rc < 0;
    set_next(p, g);
    for (int d = 0; d < rank; d++) {
        if (shape[d] >= p->kept[d])
            continue;
        p->kept[d] = shape[d];
        p->shrinks |= !p->created;
    }
    return rc;
}

int azri_transaction_resize(azr_txn *t, azr_array *a, int rank,
                            const int64_t *shape, azr_error *err)
{
    azri_part *p;
    int rc = azri_part_join_writer(&p, t, a, err);

    if (rc < 0)
        return rc;
    p->used_shape = true;
    return azri_part_verdict(p, resize_part(p, rank, shape, err), err);
}

/* ----------------------------------------------------------- attributes --- */

/* The stored attributes of format 2, at an instant at which the document stands.
 * AZR_ECONFLICT (no message): disturbed; *moved: for good. */
static int try_zattrs(azri_part *p, azri_view *v, bool *moved, azr_error *err)
{
    azri_ground *g = NULL;
    int rc = azri_view_look(v, err);

    if (rc == AZR_OK)
        rc = azri_ground_refresh(p->a, v, &g, err);
    if (rc == AZR_OK)
        rc = azri_view_open_document(v, AZRI_ENTRY_ZATTRS, ".zattrs",
                                     &p->zattrs_seen, err);
    if (rc == AZR_ENOTFOUND && g)
        rc = AZR_OK;
    if (rc == AZR_OK)
        rc = azri_view_check(v, err);
    *moved = rc == AZR_OK && g != p->g;
    azri_ground_unref(g);
    return *moved ? AZR_ECONFLICT : rc;
}

static void close_zattrs(azri_part *p)
{
    azr_store *store = azri_domain_store(p->a->d);

    if (p->zattrs_seen.handle >= 0)
        store->ops->close(store, &p->zattrs_seen);
    p->zattrs_seen.handle = -1;
}

static int load_zattrs(azri_part *p, azri_view *v, azr_error *err)
{
    for (int tries = 1;; tries++) {
        bool moved;
        int rc = try_zattrs(p, v, &moved, err);

        if (rc == AZR_OK)
            break;
        close_zattrs(p);
        if (rc != AZR_ECONFLICT || moved)
            return rc;
        rc = tries < AZRI_OPTIMISTIC_TRIES
                 ? AZR_OK
                 : azri_patience_check(&p->t->patience);
        if (rc < 0)
            return azri_fail(err, rc,
                             "'%s': time-out; attributes are being changed "
                             "all the time",
                             azri_domain_path(p->a->d));
    }
    if (p->zattrs_seen.handle < 0)
        return AZR_OK; /* there are none */
    return azri_document_read(p->a, &p->zattrs_seen, ".zattrs", &p->zattrs,
                              err);
}

static int begin_zattrs(azri_part *p, azr_error *err)
{
    azri_view *v = NULL;
    int rc;

    if (p->knows_zattrs || p->created)
        return AZR_OK;
    p->zattrs.nbytes = 0;
    close_zattrs(p);
    rc = azri_view_new(&v, p->a->d, &p->t->patience, err);
    if (rc == AZR_OK)
        rc = load_zattrs(p, v, err);
    p->knows_zattrs = rc == AZR_OK;
    azri_view_free(v);
    return rc;
}

/* The documents that the transaction sees. */
static int parse_top(azri_meta **out, azri_part *p, azr_error *err)
{
    azri_span none = {NULL, 0};
    int rc = p->a->format == 2 ? begin_zattrs(p, err) : AZR_OK;

    if (rc < 0)
        return rc;
    return azri_ground_meta(
        out, p->a, azri_part_top(p),
        p->a->format == 2 ? azri_buf_span(&p->zattrs) : none, err);
}

/* The document with the attribute. */
static int compose_attribute(azri_buf *out, azri_part *p, const char *name,
                             const char *json, azr_error *err)
{
    azri_meta *m = NULL;
    int rc = parse_top(&m, p, err);

    if (rc == AZR_OK)
        rc = azri_meta_with_attribute(out, m, name, json, err);
    azri_meta_free(m);
    return rc;
}

static int set_attribute(azri_part *p, const char *name, const char *json,
                         azr_error *err)
{
    azri_buf text = AZRI_BUF_INIT;
    azri_ground *g = NULL;
    int rc = compose_attribute(&text, p, name, json, err);

    if (rc == AZR_OK && p->a->format == 3) {
        rc = azri_ground_of_text(&g, p->a, azri_buf_span(&text), err);
        if (rc == AZR_OK)
            set_next(p, g);
    } else if (rc == AZR_OK) {
        azri_buf old = p->zattrs;

        p->zattrs = text;
        text = old;
        p->sets_zattrs = true;
    }
    azri_buf_dispose(&text);
    return rc;
}

static int read_attributes(char **out, azri_part *p, azr_error *err)
{
    azri_meta *m = NULL;
    int rc = parse_top(&m, p, err);

    if (rc == AZR_OK)
        rc = azri_attributes_text(out, m, err);
    azri_meta_free(m);
    return rc;
}

int azri_transaction_attributes(azr_txn *t, azr_array *a, char **out,
                                azr_error *err)
{
    azri_part *p;
    int rc = azri_part_join(&p, t, a, err);

    if (rc < 0)
        return rc;
    t->read_count++;
    p->used_shape = true; /* of what stands in the documents */
    return azri_part_verdict(p, read_attributes(out, p, err), err);
}

int azri_transaction_set_attribute(azr_txn *t, azr_array *a, const char *name,
                                   const char *json, azr_error *err)
{
    azri_part *p;
    int rc = azri_part_join_writer(&p, t, a, err);

    if (rc < 0)
        return rc;
    return azri_part_verdict(p, set_attribute(p, name, json, err), err);
}

/* ------------------------------------------------------------- creation --- */

/* The attributes of `birth` become the part's. */
static int create(azr_txn *t, azr_array **out, const char *path,
                  azri_birth *birth, const azr_open_options *options,
                  azr_error *err)
{
    azr_array *a = NULL;
    azri_part *p = NULL;
    int rc = azri_creation_begin(&a, path, birth, options, err);

    if (rc == AZR_OK)
        rc = azri_part_new(&p, t, a, err);
    if (rc != AZR_OK)
        goto done;
    p->created = true;
    p->g = azri_array_ground(a);
    p->sets_zattrs = birth->zattrs.nbytes > 0;
    p->zattrs = birth->zattrs;
    birth->zattrs = (azri_buf)AZRI_BUF_INIT;
    rc = azri_part_check_device(t, p, err);
    if (rc < 0) {
        azri_part_forget(t, p);
        goto done;
    }
    *out = a;
    a = NULL;
done:
    azri_array_close(a);
    return rc;
}

static int may_create(azr_txn *t, const azr_open_options *options,
                      azr_error *err)
{
    int rc = azri_transaction_alive(t, err);

    if (rc < 0 || options->sync == AZR_SYNC_FULL)
        return rc;
    return azri_fail(err, AZR_EUNSUPPORTED,
                     "transactions need a handle with AZR_SYNC_FULL");
}

int azri_transaction_create(azr_txn *t, azr_array **out, const char *path,
                            const azr_array_spec *spec,
                            const azr_open_options *options, azr_error *err)
{
    azri_birth birth = {spec->zarr_format == 2 ? 2 : 3, spec->durability,
                        AZRI_BUF_INIT, AZRI_BUF_INIT};
    int rc = may_create(t, options, err);

    if (rc == AZR_OK)
        rc = azri_meta_compose(&birth.text, &birth.zattrs, spec, err);
    if (rc == AZR_OK)
        rc = create(t, out, path, &birth, options, err);
    azri_buf_dispose(&birth.text);
    azri_buf_dispose(&birth.zattrs);
    return rc;
}

int azri_transaction_create_from(azr_txn *t, azr_array **out, const char *path,
                                 const azr_array_text *text,
                                 const azr_open_options *options,
                                 azr_error *err)
{
    azri_birth birth = {text->zarr_format == 2 ? 2 : 3, text->durability,
                        AZRI_BUF_INIT, AZRI_BUF_INIT};
    int rc = may_create(t, options, err);

    if (rc == AZR_OK)
        rc = azri_buf_puts(&birth.text, text->document, err);
    if (rc == AZR_OK && text->attributes)
        rc = azri_buf_puts(&birth.zattrs, text->attributes, err);
    if (rc == AZR_OK)
        rc = create(t, out, path, &birth, options, err);
    azri_buf_dispose(&birth.text);
    azri_buf_dispose(&birth.zattrs);
    return rc;
}
