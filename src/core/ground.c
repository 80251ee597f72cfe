/* SPDX-License-Identifier: Apache-2.0 */
#include "core/array.h"
#include "core/tree.h"

#include "model/jsontext.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

azri_ground *azri_ground_ref(azri_ground *g)
{
    atomic_fetch_add(&g->refs, 1);
    return g;
}

void azri_ground_unref(azri_ground *g)
{
    if (!g || atomic_fetch_sub(&g->refs, 1) != 1)
        return;
    azri_chain_free(g->chain);
    azri_meta_free(g->meta);
    if (g->document.handle >= 0)
        g->store->ops->close(g->store, &g->document);
    azri_free(g);
}

azri_ground *azri_array_ground(azr_array *a)
{
    azri_ground *g;

    a = a->base;
    azri_domain_hold(a->d);
    g = a->ground ? azri_ground_ref(a->ground) : NULL;
    azri_domain_release(a->d);
    return g;
}

static void adopt(azr_array *a, azri_ground *g)
{
    azri_ground *old;

    a = a->base;
    azri_domain_hold(a->d);
    old = a->ground;
    a->ground = azri_ground_ref(g);
    azri_domain_release(a->d);
    azri_ground_unref(old);
}

static void swap_fill(azri_ground *g)
{
    size_t unit = azri_chain_swap_unit(g->chain);

    memcpy(g->stored_fill, g->meta->fill, sizeof g->stored_fill);
    for (size_t at = 0; unit > 1 && at + unit <= g->meta->dtype->nbytes;
         at += unit) {
        for (size_t k = 0; k < unit; k++)
            g->stored_fill[at + k] = g->meta->fill[at + unit - 1 - k];
    }
}

static int compile(azri_ground *g, const azr_array *a, azri_span text,
                   azr_error *err)
{
    azri_span none = {NULL, 0};
    int rc = azri_meta_parse(&g->meta, a->format, text, none, err);

    if (rc == AZR_OK)
        rc = azri_chain_new(&g->chain, g->meta, err);
    if (rc < 0 || !(a->options.flags & AZR_OPEN_OPAQUE) ||
        !(a->options.flags & AZR_OPEN_WRITE) || !azri_ground_is_partial(g))
        return rc;
    /* elements could be read; who wants to write gets chunks as they are */
    return azri_array_refuse_partial(a, err);
}

/* What the document says of its grid, if that is all that can be understood. */
static int compile_grid(azri_ground *g, const azr_array *a, azri_span text,
                        const azr_error *why, azr_error *err)
{
    azri_span none = {NULL, 0};
    int rc;

    azri_chain_free(g->chain);
    azri_meta_free(g->meta);
    g->chain = NULL;
    g->meta = NULL;
    rc = azri_meta_parse_grid(&g->meta, a->format, text, none, why, err);
    return rc < 0 ? rc : azri_chain_new(&g->chain, g->meta, err);
}

/* Is it to be taken for a grid of chunks, with whatever in them? */
static bool is_beyond_us(unsigned flags, int rc)
{
    return (flags & AZR_OPEN_OPAQUE) &&
           (rc == AZR_EUNSUPPORTED || rc == AZR_ECORRUPT || rc == AZR_EINVAL);
}

int azri_ground_need_elements(const azr_array *a, const azri_ground *g,
                              azr_error *err)
{
    if (!g->meta->opaque)
        return AZR_OK;
    return azri_fail_sub(err, AZR_EUNSUPPORTED, g->meta->opaque_sub,
                         "'%s': %.300s; it can be read and written by chunks "
                         "as they are stored, not by elements",
                         azri_domain_path(a->d), g->meta->opaque);
}

bool azri_ground_is_partial(const azri_ground *g)
{
    return g->meta->read_only || azri_chain_is_partial(g->chain);
}

int azri_array_refuse_partial(const azr_array *a, azr_error *err)
{
    return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_CODEC,
                         "'%s' has an optional codec that is not supported: "
                         "it can be read, not written",
                         azri_domain_path(a->d));
}

int azri_ground_meta(azri_meta **out, const azr_array *a, const azri_ground *g,
                     azri_span zattrs, azr_error *err)
{
    azri_span text = azri_buf_span(&g->meta->text);
    azr_error why = AZR_ERROR_INIT;

    if (!g->meta->opaque)
        return azri_meta_parse(out, a->format, text, zattrs, err);
    why.sub = g->meta->opaque_sub;
    (void)snprintf(why.message, sizeof why.message, "%s", g->meta->opaque);
    return azri_meta_parse_grid(out, a->format, text, zattrs, &why, err);
}

int azri_ground_judge(azri_meta **out, const azri_birth *birth, unsigned flags,
                      azr_error *err)
{
    azri_span text = azri_buf_span(&birth->text);
    azri_span zattrs = azri_buf_span(&birth->zattrs);
    azr_error why = AZR_ERROR_INIT;
    azri_chain *chain = NULL;
    azri_meta *m = NULL;
    int rc = azri_meta_parse(&m, birth->format, text, zattrs, &why);

    if (rc == AZR_OK)
        rc = azri_chain_new(&chain, m, &why);
    azri_chain_free(chain);
    if (is_beyond_us(flags, rc)) {
        azri_meta_free(m);
        m = NULL;
        rc = azri_meta_parse_grid(&m, birth->format, text, zattrs, &why, err);
    } else if (rc < 0) {
        rc = azri_fail_why(err, rc, &why, "%s", why.message);
    }
    if (rc == AZR_OK)
        *out = m;
    else
        azri_meta_free(m);
    return rc;
}

int azri_ground_of_text(azri_ground **out, azr_array *a, azri_span text,
                        azr_error *err)
{
    azri_ground *g = azri_calloc(1, sizeof *g);
    azr_error why = AZR_ERROR_INIT;
    int rc;

    if (!g)
        return azri_fail_nomem(err, sizeof *g);
    atomic_init(&g->refs, 1);
    g->store = azri_domain_store(a->d);
    g->document.handle = -1;
    rc = compile(g, a, text, &why);
    if (is_beyond_us(a->options.flags, rc))
        rc = compile_grid(g, a, text, &why, err);
    else if (rc < 0)
        azri_error_pass(err, &why);
    if (rc < 0) {
        azri_ground_unref(g);
        return rc;
    }
    swap_fill(g);
    *out = g;
    return AZR_OK;
}

/* Takes over `document`, also on failure. */
static int parse_document(azri_ground **out, azr_array *a, azr_object *document,
                          azr_error *err)
{
    azri_buf text = AZRI_BUF_INIT;
    azr_error why = AZR_ERROR_INIT;
    azri_ground *g = NULL;
    azr_store *store = azri_domain_store(a->d);
    int rc;

    if (document->id.nbytes > AZRI_JSON_MAX_NBYTES) {
        rc = azri_fail_sub(
            err, AZR_ECORRUPT, AZR_SUB_METADATA,
            "'%s' has %llu bytes, at most %zu are read", a->document_key,
            (unsigned long long)document->id.nbytes, AZRI_JSON_MAX_NBYTES);
        goto done;
    }
    rc = azri_buf_reserve(&text, (size_t)document->id.nbytes + 1, err);
    if (rc == AZR_OK)
        rc = store->ops->read(store, document, text.data,
                              (size_t)document->id.nbytes, 0, a->document_key,
                              err);
    if (rc < 0)
        goto done;
    text.nbytes = (size_t)document->id.nbytes;
    rc = azri_ground_of_text(&g, a, azri_buf_span(&text), &why);
    if (rc == AZR_EINVAL) /* nobody's argument: it stands in the file */
        rc = azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_METADATA, "%s: %s",
                           a->document_key, why.message);
    else if (rc < 0)
        rc = azri_fail_why(err, rc, &why, "%s", why.message);
done:
    azri_buf_dispose(&text);
    if (rc < 0) {
        store->ops->close(store, document);
        return rc;
    }
    assert(g);
    g->document = *document;
    *out = g;
    return AZR_OK;
}

static bool same_document(const azri_ground *g, const azr_object *o)
{
    return memcmp(&g->document.id, &o->id, sizeof o->id) == 0;
}

static int fail_gone(azr_array *a, azr_error *err)
{
    int rc;

    if (atomic_load(&a->base->unborn))
        return azri_fail(err, AZR_ENOTFOUND,
                         "no Zarr array at '%s': the transaction that makes it "
                         "has not been committed",
                         azri_domain_path(a->d));
    rc = azri_domain_check(a->d, false, err); /* it may know why */
    if (rc == AZR_OK && !(a->options.flags & AZRI_OPEN_HIDDEN))
        rc = azri_domain_gone(a->d, err);
    if (rc < 0)
        return rc;
    return azri_fail(err, AZR_ENOTFOUND, "no Zarr array at '%s': no '%s'",
                     azri_domain_path(a->d), a->document_key);
}

/* Keep the array's ground if it is that of `document` (taken over). */
static int settle(azr_array *a, azr_object *document, azri_ground **out,
                  azr_error *err)
{
    azr_store *store = azri_domain_store(a->d);
    azri_ground *g = azri_array_ground(a);
    int rc;

    if (g && same_document(g, document)) {
        store->ops->close(store, document);
        *out = g;
        return AZR_OK;
    }
    azri_ground_unref(g);
    rc = parse_document(&g, a, document, err);
    if (rc < 0)
        return rc;
    assert(g);
    rc = azri_domain_match(a->d, &g->meta->keying, err);
    if (rc < 0) {
        azri_ground_unref(g);
        return rc;
    }
    adopt(a, g);
    *out = g;
    return AZR_OK;
}

int azri_ground_refresh(azr_array *a, azri_view *v, azri_ground **out,
                        azr_error *err)
{
    azr_object document = AZR_OBJECT_INIT;
    int rc = azri_view_open_document(v, a->document_kind, a->document_key,
                                     &document, err);

    if (rc == AZR_ENOTFOUND)
        return fail_gone(a, err);
    return rc < 0 ? rc : settle(a, &document, out, err);
}

int azri_ground_stands(azr_array *a, const azri_ground *g, bool *out,
                       azr_error *err)
{
    azr_store *store = azri_domain_store(a->d);
    azr_object now = AZR_OBJECT_INIT;
    int rc = store->ops->identify(store, a->document_key, &now, err);

    *out = false;
    if (rc == AZR_ENOTFOUND)
        return fail_gone(a, err);
    if (rc < 0)
        return rc;
    *out = same_document(g, &now);
    return AZR_OK;
}

int azri_ground_current(azr_array *a, azri_ground **out, azr_error *err)
{
    azr_store *store = azri_domain_store(a->d);
    azr_object document = AZR_OBJECT_INIT;
    azri_ground *g = azri_array_ground(a);
    bool stands = false;
    int rc = AZR_OK;

    if (g)
        rc = azri_ground_stands(a, g, &stands, err);
    if (rc == AZR_OK && stands) {
        *out = g;
        return AZR_OK;
    }
    azri_ground_unref(g);
    if (rc < 0)
        return rc;
    rc = store->ops->open(store, a->document_key, &document, err);
    if (rc == AZR_ENOTFOUND)
        return fail_gone(a, err);
    if (rc < 0)
        return rc;
    return settle(a, &document, out, err);
}
