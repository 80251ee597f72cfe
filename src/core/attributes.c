/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes: a member of zarr.json (v3) or a document of their own (v2). */
#include "core/array.h"

#include "model/jsontext.h"
#include "txn/layout.h"

#include <string.h>

static unsigned kind_of(const azr_array *a)
{
    return a->format == 3 ? AZRI_ENTRY_V3 : AZRI_ENTRY_ZATTRS;
}

int azri_document_read(azr_array *a, azr_object *o, const char *key,
                       azri_buf *out, azr_error *err)
{
    azr_store *store = azri_domain_store(a->d);
    int rc;

    if (o->id.nbytes > AZRI_JSON_MAX_NBYTES)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_METADATA,
                             "'%s' has %llu bytes, at most %zu are read", key,
                             (unsigned long long)o->id.nbytes,
                             AZRI_JSON_MAX_NBYTES);
    rc = azri_buf_reserve(out, (size_t)o->id.nbytes + 1, err);
    if (rc == AZR_OK)
        rc = store->ops->read(store, o, out->data, (size_t)o->id.nbytes, 0, key,
                              err);
    if (rc == AZR_OK)
        out->nbytes = (size_t)o->id.nbytes;
    return rc;
}

/* The metadata with attributes, from a ground and (v2) an open .zattrs or none. */
static int parse_with_attributes(azr_array *a, const azri_ground *g,
                                 azr_object *zattrs, azri_meta **out,
                                 azr_error *err)
{
    azri_buf text = AZRI_BUF_INIT;
    int rc = AZR_OK;

    if (zattrs && zattrs->handle >= 0)
        rc = azri_document_read(a, zattrs, ".zattrs", &text, err);
    if (rc == AZR_OK)
        rc = azri_ground_meta(out, a, g, azri_buf_span(&text), err);
    azri_buf_dispose(&text);
    return rc;
}

/* ----------------------------------------------------------------- read --- */

static int try_attributes(azr_array *a, azri_view *v, azri_meta **out,
                          azr_error *err)
{
    azr_store *store = azri_domain_store(a->d);
    azr_object zattrs = AZR_OBJECT_INIT;
    azri_ground *g = NULL;
    int rc = azri_view_look(v, err);

    if (rc == AZR_OK)
        rc = azri_ground_refresh(a, v, &g, err);
    if (rc == AZR_OK && a->format == 2) {
        rc = azri_view_open_document(v, AZRI_ENTRY_ZATTRS, ".zattrs", &zattrs,
                                     err);
        if (rc == AZR_ENOTFOUND)
            rc = AZR_OK;
    }
    if (rc == AZR_OK)
        rc = azri_view_check(v, err);
    if (rc == AZR_OK)
        rc = parse_with_attributes(a, g, &zattrs, out, err);
    if (zattrs.handle >= 0)
        store->ops->close(store, &zattrs);
    azri_ground_unref(g);
    return rc;
}

/* The documents of one instant, parsed. */
static int load(azr_array *a, azri_meta **out, azr_error *err)
{
    azri_patience patience = azri_array_patience(a);
    azri_view *v = NULL;
    int rc = azri_view_new(&v, a->d, &patience, err);

    for (int tries = 1; rc == AZR_OK; tries++) {
        rc = try_attributes(a, v, out, err);
        if (rc != AZR_ECONFLICT)
            break;
        rc = AZR_OK;
        if (tries >= AZRI_OPTIMISTIC_TRIES)
            rc = azri_patience_check(&patience);
        if (rc < 0)
            rc = azri_fail(err, rc,
                           "'%s': time-out; attributes are being "
                           "changed all the time",
                           azri_domain_path(a->d));
    }
    azri_view_free(v);
    return rc;
}

int azri_attributes_text(char **out, const azri_meta *m, azr_error *err)
{
    azri_buf text = AZRI_BUF_INIT;
    int rc = azri_meta_attributes(&text, m, err);

    if (rc == AZR_OK)
        rc = azri_buf_terminate(&text, err);
    if (rc == AZR_OK) {
        void *p = text.data;

        *out = p;
        text.data = NULL;
    }
    azri_buf_dispose(&text);
    return rc;
}

int azri_array_attributes(azr_array *a, char **out, azr_error *err)
{
    azri_meta *m = NULL;
    int rc = load(a, &m, err);

    if (rc == AZR_OK)
        rc = azri_attributes_text(out, m, err);
    azri_meta_free(m);
    return rc;
}

int azri_array_dimension_name(azr_array *a, int d, char **out, azr_error *err)
{
    azri_buf name = AZRI_BUF_INIT;
    azri_meta *m = NULL;
    int rc = load(a, &m, err);

    if (rc == AZR_OK && (d < 0 || d >= m->rank))
        rc = azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANK,
                           "there is no dimension %d of %d", d, m->rank);
    if (rc == AZR_OK)
        rc = azri_meta_dimension_name(&name, m, d, err);
    if (rc == AZR_OK)
        *out = (char *)name.data;
    else
        azri_buf_dispose(&name);
    azri_meta_free(m);
    return rc;
}

/* ------------------------------------------------------------------ set --- */

/* Under DOC exclusive, after the look: documents stand under their keys. */
static int set_locked(azr_array *a, azri_txn *t, const char *name,
                      const char *json, azr_error *err)
{
    azr_store *store = azri_domain_store(a->d);
    azr_object zattrs = AZR_OBJECT_INIT;
    azri_buf text = AZRI_BUF_INIT;
    const azr_object *seen;
    azri_ground *g = NULL;
    azri_meta *m = NULL;
    int rc = azri_ground_current(a, &g, err);

    if (rc == AZR_OK && a->format == 2) {
        rc = store->ops->open(store, ".zattrs", &zattrs, err);
        if (rc == AZR_ENOTFOUND)
            rc = AZR_OK;
    }
    if (rc == AZR_OK)
        rc = parse_with_attributes(a, g, &zattrs, &m, err);
    if (rc == AZR_OK)
        rc = azri_meta_with_attribute(&text, m, name, json, err);
    if (rc == AZR_OK)
        rc = azri_txn_entries(t, 0, NULL, NULL, err);
    if (rc == AZR_OK) {
        seen = a->format == 3 ? &g->document : &zattrs;
        if (a->format == 2 && zattrs.handle < 0)
            seen = NULL;
        rc = azri_txn_stage_document(t, kind_of(a), azri_buf_span(&text), false,
                                     seen, err);
    }
    if (rc == AZR_OK)
        rc = azri_upkeep_commit(a, t, err);
    if (zattrs.handle >= 0)
        store->ops->close(store, &zattrs);
    azri_meta_free(m);
    azri_buf_dispose(&text);
    azri_ground_unref(g);
    return rc;
}

int azri_array_attribute_set(azr_array *a, const char *name, const char *json,
                             azr_error *err)
{
    azri_patience patience = azri_array_patience(a);
    azri_txn *t = NULL;
    int rc = azri_array_may_write(a, err);

    if (rc == AZR_OK && a->options.sync != AZR_SYNC_FULL)
        return azri_fail(err, AZR_EUNSUPPORTED,
                         "attributes need a handle with AZR_SYNC_FULL");
    if (rc == AZR_OK)
        rc = azri_txn_begin(&t, a->d, &patience, err);
    if (rc == AZR_OK)
        rc = azri_txn_lock_meta(t, false, err);
    if (rc == AZR_OK)
        rc = azri_txn_lock_doc(t, true, err);
    if (rc == AZR_OK)
        rc = azri_txn_look(t, true, err);
    if (rc == AZR_OK)
        rc = set_locked(a, t, name, json, err);
    azri_txn_end(t);
    return rc;
}
