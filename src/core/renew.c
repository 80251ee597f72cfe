/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of consolidated metadata, from the documents that they are copies of. */
#include "core/upkeep.h"

#include "core/group.h"
#include "model/consolidated.h"

#include <stdlib.h>
#include <string.h>

/* Of programs that replace the document beside us; each has to lose once. */
#define PUT_TRIES 8

/* ----------------------------------------------------------------- edits --- */

/* Its key and text are ours: add_edit made them. */
static void free_edit(const azri_edit *e)
{
    union {
        const void *in;
        void *out;
    } key = {.in = e->key}, text = {.in = e->text.data};

    azri_free(key.out);
    azri_free(text.out);
}

void azri_edits_dispose(azri_edits *e)
{
    for (size_t i = 0; i < e->n; i++)
        free_edit(&e->list[i]);
    azri_free(e->list);
    memset(e, 0, sizeof *e);
}

static int make_room(azri_edits *e, azr_error *err)
{
    size_t want = e->capacity ? 2 * e->capacity : 8;
    azri_edit *list;

    if (e->n < e->capacity)
        return AZR_OK;
    list = azri_resize(e->list, want * sizeof *list);
    if (!list)
        return azri_fail_nomem(err, want * sizeof *list);
    e->list = list;
    e->capacity = want;
    return AZR_OK;
}

/* `text` empty: no such document. */
static int add_edit(azri_edits *e, const char *path, const char *document,
                    azri_span text, azr_error *err)
{
    azri_buf key = AZRI_BUF_INIT, copy = AZRI_BUF_INIT;
    int rc = make_room(e, err);

    if (rc == AZR_OK)
        rc = azri_buf_puts(&key, path, err);
    if (rc == AZR_OK && path[0] && document[0])
        rc = azri_buf_puts(&key, "/", err);
    if (rc == AZR_OK)
        rc = azri_buf_puts(&key, document, err);
    if (rc == AZR_OK)
        rc = azri_buf_terminate(&key, err);
    if (rc == AZR_OK && text.nbytes > 0)
        rc = azri_buf_append(&copy, text.data, text.nbytes, err);
    if (rc < 0) {
        azri_buf_dispose(&key);
        azri_buf_dispose(&copy);
        return rc;
    }
    e->list[e->n].key = (const char *)key.data;
    e->list[e->n++].text = azri_buf_span(&copy);
    return AZR_OK;
}

static int check_object(azri_span text, const char *what, azr_error *err)
{
    int rc = azri_json_check(text, what, AZR_ECORRUPT, err);

    if (rc >= 0 && azri_json_type_of(azri_json_body(text)) != AZRI_JSON_OBJECT)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_METADATA,
                             "'%s' is not an object", what);
    return rc;
}

static int check_documents(const azri_documents *docs, azr_error *err)
{
    int rc = AZR_OK;

    if (docs->text.nbytes > 0)
        rc = check_object(azri_buf_span(&docs->text), "its document", err);
    if (rc >= 0 && docs->attributes.nbytes > 0)
        rc = check_object(azri_buf_span(&docs->attributes), ".zattrs", err);
    return rc;
}

int azri_edits_of_node(azri_edits *e, int format, const char *path, int dir,
                       azr_error *err)
{
    static const char *const keys[] = {".zarray", ".zattrs", ".zgroup"};
    azri_documents docs = AZRI_DOCUMENTS_INIT;
    azri_span texts[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}}, none = {NULL, 0};
    bool same;
    int rc = dir < 0 ? AZR_OK : azri_documents_load(&docs, dir, err);

    if (rc == AZR_OK)
        rc = check_documents(&docs, err);
    if (rc < 0)
        goto done;
    same = docs.format == format && docs.kind != AZR_NODE_DIRECTORY;
    if (format == 3) {
        rc =
            add_edit(e, path, "", same ? azri_buf_span(&docs.text) : none, err);
        goto done;
    }
    if (same) {
        texts[docs.kind == AZR_NODE_ARRAY ? 0 : 2] = azri_buf_span(&docs.text);
        texts[1] = azri_buf_span(&docs.attributes);
    }
    for (int i = 0; i < 3 && rc == AZR_OK; i++)
        rc = add_edit(e, path, keys[i], texts[i], err);
done:
    azri_documents_dispose(&docs);
    return rc;
}

static int by_key(const void *a, const void *b)
{
    const azri_edit *x = a, *y = b;
    int order = strcmp(x->key, y->key);

    /* what is removed first, so that what is there is the last */
    return order != 0 ? order : (x->text.data != NULL) - (y->text.data != NULL);
}

void azri_edits_sort(azri_edits *e)
{
    size_t to = 0;

    if (e->n > 1)
        qsort(e->list, e->n, sizeof *e->list, by_key);
    for (size_t i = 0; i < e->n; i++) {
        if (i + 1 < e->n && strcmp(e->list[i].key, e->list[i + 1].key) == 0)
            free_edit(&e->list[i]);
        else
            e->list[to++] = e->list[i];
    }
    e->n = to;
}

/* ---------------------------------------------------------------- copies --- */

void azri_copy_dispose(azri_copy *c)
{
    azri_buf_dispose(&c->text);
    c->object.data = NULL;
    c->loaded = false;
}

static int find_object(azri_copy *c, azr_error *err)
{
    int rc = azri_consolidated_object(&c->object, c->format,
                                      azri_buf_span(&c->text), err);

    if (rc < 0)
        azri_copy_dispose(c);
    return rc;
}

int azri_copy_load(azri_copy *c, azr_error *err)
{
    int rc;

    azri_copy_dispose(c);
    rc = azri_read_file(&c->text, &c->id, c->dir, azri_above_key(c->format),
                        AZRI_JSON_MAX_NBYTES, err);
    c->loaded = rc == AZR_OK;
    return rc < 0 ? rc : find_object(c, err);
}

/* As it stands after we put it. */
static void adopt(azri_copy *c, azri_buf *text)
{
    struct stat st;

    azri_copy_dispose(c);
    c->text = *text;
    text->data = NULL;
    text->capacity = 0;
    text->nbytes = 0;
    c->loaded =
        azri_sys->fstatat(c->dir, azri_above_key(c->format), &st, 0) == 0;
    if (c->loaded)
        c->id = azri_identity_of(&st);
}

static int put(azri_copy *c, const azri_edits *e, azr_error *err)
{
    azri_put p = {c->dir, ".", azri_above_key(c->format), AZRI_PUT_OVER,
                  &c->id};
    azri_buf text = AZRI_BUF_INIT;
    bool changed = false;
    int rc = c->object.data ? AZR_OK : find_object(c, err);

    if (rc == AZR_OK)
        rc = azri_consolidated_edit(&text, &changed, c->format,
                                    azri_buf_span(&c->text), c->object, e->list,
                                    e->n, err);
    if (rc == AZR_OK && (changed || c->anew))
        rc = azri_document_put(&p, azri_buf_span(changed ? &text : &c->text),
                               err);
    if (rc == AZR_OK && changed)
        adopt(c, &text);
    else if (rc == AZR_OK && c->anew)
        c->loaded = false;
    if (rc == AZR_OK)
        c->anew = false;
    azri_buf_dispose(&text);
    return rc;
}

int azri_copy_renew(azri_copy *c, const azri_edits *e, azr_error *err)
{
    int rc = AZR_OK;

    if (e->n == 0)
        return AZR_OK;
    for (int tries = 1;; tries++) {
        azr_error why = AZR_ERROR_INIT;

        if (!c->loaded)
            rc = azri_copy_load(c, &why);
        if (rc == AZR_OK)
            rc = put(c, e, &why);
        if (rc == AZR_ENOTFOUND && why.code == 0)
            return AZR_OK; /* it is gone, or consolidated no more */
        if (rc == AZR_ECONFLICT && tries < PUT_TRIES) {
            c->loaded = false;
            rc = AZR_OK;
            continue;
        }
        if (rc < 0) {
            c->loaded = false;
            azri_error_pass(err, &why);
        }
        return rc;
    }
}

/* Does `key` belong to the node `path`, or to one below it? */
static bool is_below(const char *key, const char *path)
{
    size_t n = strlen(path);

    return strncmp(key, path, n) == 0 &&
           (n == 0 || key[n] == '\0' || key[n] == '/');
}

int azri_copy_entries(azri_edits *out, azri_copy *c, const char *path,
                      azr_error *err)
{
    azri_consolidated *have = NULL;
    azri_span entry, none = {NULL, 0};
    const char *key;
    size_t at = 0;
    int rc = AZR_OK;

    if (!c->loaded)
        rc = azri_copy_load(c, err);
    if (rc == AZR_OK)
        rc = azri_consolidated_parse(&have, c->format, azri_buf_span(&c->text),
                                     err);
    while (rc == AZR_OK &&
           (key = azri_consolidated_unseen(have, &at, &entry)) != NULL) {
        if (is_below(key, path))
            rc = add_edit(out, key, "", none, err);
    }
    azri_consolidated_free(have);
    return rc;
}
