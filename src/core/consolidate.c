/* SPDX-License-Identifier: Apache-2.0 */
/* Consolidated metadata of a group: made, and held against the documents. These
 * are taken as they stand under their keys, which is what others read. */
#include "core/group.h"

#include "base/guard.h"
#include "core/upkeep.h"
#include "model/consolidated.h"
#include "sync/lock_dir.h"

#include <string.h>

/* Called with each document by its key below the group. */
typedef int (*document_fn)(void *arg, const char *key, int depth,
                           azri_span text);

typedef struct reader {
    azr_group *group;
    document_fn fn;
    void *arg;
    azr_error *err;
    azri_buf key;
} reader;

static int pass(reader *r, const char *path, const char *document, int depth,
                azri_span text)
{
    int rc;

    r->key.nbytes = 0;
    rc = azri_buf_puts(&r->key, path, r->err);
    if (rc == AZR_OK && document[0] && path[0])
        rc = azri_buf_puts(&r->key, "/", r->err);
    if (rc == AZR_OK)
        rc = azri_buf_puts(&r->key, document, r->err);
    if (rc == AZR_OK)
        rc = azri_buf_terminate(&r->key, r->err);
    return rc < 0 ? rc : r->fn(r->arg, (const char *)r->key.data, depth, text);
}

static int pass_documents(reader *r, const char *path, int depth,
                          const azri_documents *docs)
{
    azri_node n = azri_documents_node(docs);
    int rc;

    if (docs->format == 3)
        return pass(r, path, "", depth, n.text);
    rc = pass(r, path, docs->kind == AZR_NODE_ARRAY ? ".zarray" : ".zgroup",
              depth, n.text);
    if (rc == AZR_OK && docs->attributes_id.ino)
        rc = pass(r, path, ".zattrs", depth, n.attributes);
    return rc;
}

/* Are they JSON objects? An empty .zattrs is none. */
static int check_documents(const azri_documents *docs, const char *path,
                           azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    int rc = azri_json_check(azri_buf_span(&docs->text), "its document",
                             AZR_ECORRUPT, &why);

    if (rc >= 0 && docs->attributes.nbytes > 0)
        rc = azri_json_check(azri_buf_span(&docs->attributes), ".zattrs",
                             AZR_ECORRUPT, &why);
    return rc < 0
               ? azri_fail_why(err, rc, &why, "'%.200s': %s", path, why.message)
               : AZR_OK;
}

/* Those that Zarr itself would not find below this group are left out: other
 * versions, and what is below a directory without a document. */
static int read_node(const azr_node *node, void *arg)
{
    azri_documents docs = AZRI_DOCUMENTS_INIT;
    reader *r = arg;
    int dir = -1, rc;

    if (node->status < 0)
        return azri_fail(r->err, node->status, "'%.200s': %s", node->path,
                         node->text);
    if (node->kind == AZR_NODE_DIRECTORY ||
        node->zarr_format != r->group->format)
        return AZR_WALK_SKIP;
    rc = azri_open_at(&dir, r->group->dir, node->path, O_RDONLY | O_DIRECTORY,
                      0, r->err);
    if (rc == AZR_OK)
        rc = azri_documents_load(&docs, dir, r->err);
    if (rc == AZR_OK)
        rc = check_documents(&docs, node->path, r->err);
    if (rc == AZR_OK)
        rc = pass_documents(r, node->path, node->depth, &docs);
    azri_close(dir);
    azri_documents_dispose(&docs);
    return rc == AZR_ENOTFOUND ? AZR_WALK_SKIP : rc; /* removed meanwhile */
}

static int read_all(azr_group *g, document_fn fn, void *arg, azr_error *err)
{
    reader r = {g, fn, arg, err, AZRI_BUF_INIT};
    int rc = azri_group_walk(g, 0, read_node, &r, err);

    azri_buf_dispose(&r.key);
    return rc;
}

static int need_document(const azr_group *g, azr_error *err)
{
    if (g->format != 0)
        return AZR_OK;
    return azri_fail(err, AZR_ENOTFOUND,
                     "'%s' is a directory without a document", g->path);
}

/* ---------------------------------------------------------------- make --- */

typedef struct maker {
    azri_gathering *gathering;
    azr_error *err;
} maker;

static int gather(void *arg, const char *key, int depth, azri_span text)
{
    maker *m = arg;

    if (text.nbytes == 0)
        return AZR_OK;
    return azri_gathering_add(m->gathering, key, depth, text, m->err);
}

/* Of version 2 the group's own documents are in it too. */
static int gather_all(azr_group *g, maker *m, const azri_documents *root)
{
    reader r = {g, gather, m, m->err, AZRI_BUF_INIT};
    int rc = AZR_OK;

    if (g->format == 2)
        rc = pass_documents(&r, "", 0, root);
    azri_buf_dispose(&r.key);
    return rc < 0 ? rc : read_all(g, gather, m, m->err);
}

static int compose(azr_group *g, azri_buf *text, azri_identity *seen,
                   azr_error *err)
{
    azri_documents root = AZRI_DOCUMENTS_INIT;
    maker m = {NULL, err};
    int rc = azri_group_load(g, &root, err);

    *seen = root.text_id;
    if (rc == AZR_OK)
        rc = azri_gathering_new(&m.gathering, g->format, err);
    if (rc == AZR_OK)
        rc = gather_all(g, &m, &root);
    if (rc == AZR_OK)
        rc = azri_gathering_compose(text, m.gathering,
                                    azri_buf_span(&root.text), err);
    azri_gathering_free(m.gathering);
    azri_documents_dispose(&root);
    return rc;
}

/*
 * Nobody is kept from his documents meanwhile, and who began to change one before
 * there was consolidated metadata holds no lock of ours:
 *
 *   1. A reads the document of x.
 *   2. B commits to x, looks above, finds nothing to renew.
 *   3. A puts the consolidated metadata, with x as it was before.
 *
 * So A reads all of them again after it has put; B looks after its document is in
 * place. Whoever comes second finds what the other did. If A dies in between, its
 * marker is there: who comes next reads all of them.
 */
#define ROUNDS 8

static int consolidate_locked(azr_group *g, azr_error *err)
{
    azri_put put = {g->dir, g->path, "zarr.json", AZRI_PUT_OVER, NULL};
    azri_buf text = AZRI_BUF_INIT, before = AZRI_BUF_INIT;
    azri_identity seen;
    int rc = azri_upkeep_mark_all(g->dir, g->format, err);

    put.seen = &seen;
    if (g->format == 2) {
        put.key = ".zmetadata";
        put.mode = AZRI_PUT_ANYHOW;
    }
    for (int round = 0; round < ROUNDS && rc == AZR_OK; round++) {
        rc = compose(g, &text, &seen, err);
        if (rc == AZR_OK && text.nbytes == before.nbytes && before.data &&
            memcmp(text.data, before.data, text.nbytes) == 0)
            break;
        if (rc == AZR_OK)
            rc = azri_document_put(&put, azri_buf_span(&text), err);
        azri_buf_dispose(&before);
        before = text;
        memset(&text, 0, sizeof text);
        if (!AZRI_GUARD(ABOVE_REREAD))
            break;
    }
    if (rc == AZR_OK)
        azri_upkeep_forget(g->dir, g->format);
    azri_buf_dispose(&before);
    azri_buf_dispose(&text);
    return rc;
}

int azri_group_consolidate(azr_group *g, azr_error *err)
{
    azri_patience patience =
        azri_patience_from(g->options.timeout_ms, g->options.cancel);
    int lock = -1;
    int rc = azri_group_may_write(g, err);

    if (rc == AZR_OK)
        rc = azri_dir_lock(&lock, g->dir, g->path, &patience, err);
    if (rc == AZR_OK)
        rc = consolidate_locked(g, err);
    azri_dir_unlock(lock);
    return rc;
}

/* ---------------------------------------------------------------- check --- */

typedef struct checker {
    azri_consolidated *have;
    azr_finding_fn fn;
    void *arg;
    azr_error *err;
} checker;

static int report(checker *c, const char *key, const char *text)
{
    azr_finding f = {
        .struct_size = (uint32_t)sizeof f,
        .kind = AZR_FINDING_STALE,
        .is_error = 1,
        .key = key,
        .text = text,
    };

    if (c->fn(&f, c->arg) == 0)
        return AZR_OK;
    return azri_fail(c->err, AZR_ECANCELED, "checking was stopped");
}

static bool is_attributes(const char *key)
{
    size_t n = strlen(key);

    return n >= 7 && strcmp(key + n - 7, ".zattrs") == 0;
}

static int compare(void *arg, const char *key, int depth, azri_span text)
{
    azri_span none = {(const uint8_t *)"{}", 2}, entry = none;
    bool exact = is_attributes(key), agrees = false;
    checker *c = arg;
    int rc;

    (void)depth;
    if (text.nbytes == 0)
        text = none;
    if (!azri_consolidated_find(c->have, key, &entry) && !exact)
        return report(c, key, "is not in the consolidated metadata");
    rc = azri_documents_agree(&agrees, text, entry, exact, c->err);
    if (rc < 0 || agrees)
        return rc;
    return report(c, key, "has changed since it was consolidated");
}

static int report_unseen(checker *c)
{
    azri_span entry, none = {(const uint8_t *)"{}", 2};
    const char *key;
    size_t at = 0;
    int rc = AZR_OK;

    while (rc == AZR_OK &&
           (key = azri_consolidated_unseen(c->have, &at, &entry)) != NULL) {
        bool empty = false;

        if (is_attributes(key)) /* empty ones need no document */
            rc = azri_documents_agree(&empty, entry, none, true, c->err);
        if (rc == AZR_OK && !empty)
            rc = report(c, key, "is consolidated, but not there");
    }
    return rc;
}

/* The document with the consolidated metadata. */
static int load_block(azr_group *g, azri_documents *root, azri_buf *zmetadata,
                      azri_consolidated **out, azr_error *err)
{
    azri_span text = azri_buf_span(&root->text);
    int rc = AZR_OK;

    if (root->format == 2) {
        rc = azri_read_file(zmetadata, NULL, g->dir, ".zmetadata",
                            AZRI_JSON_MAX_NBYTES, err);
        text = azri_buf_span(zmetadata);
    }
    return rc < 0 ? rc : azri_consolidated_parse(out, root->format, text, err);
}

int azri_group_check_consolidated(azr_group *g, azr_finding_fn fn, void *arg,
                                  azr_error *err)
{
    azri_documents root = AZRI_DOCUMENTS_INIT;
    checker c = {NULL, fn, arg, err};
    reader r = {g, compare, &c, err, AZRI_BUF_INIT};
    azri_buf zmetadata = AZRI_BUF_INIT;
    int rc = need_document(g, err);

    if (rc == AZR_OK)
        rc = azri_group_load(g, &root, err);
    if (rc == AZR_OK)
        rc = load_block(g, &root, &zmetadata, &c.have, err);
    if (rc == AZR_ENOTFOUND)
        rc = azri_fail(err, rc, "'%s' has no consolidated metadata", g->path);
    if (rc == AZR_OK && g->format == 2)
        rc = pass_documents(&r, "", 0, &root);
    if (rc == AZR_OK)
        rc = read_all(g, compare, &c, err);
    if (rc == AZR_OK)
        rc = report_unseen(&c);
    azri_buf_dispose(&r.key);
    azri_consolidated_free(c.have);
    azri_buf_dispose(&zmetadata);
    azri_documents_dispose(&root);
    return rc;
}

int azri_group_has_consolidated(azr_group *g, azri_documents *root, bool *out,
                                azr_error *err)
{
    azri_consolidated *have = NULL;
    azri_buf zmetadata = AZRI_BUF_INIT;
    int rc = AZR_ENOTFOUND;

    if (root->format != 0)
        rc = load_block(g, root, &zmetadata, &have, err);
    *out = rc == AZR_OK;
    azri_consolidated_free(have);
    azri_buf_dispose(&zmetadata);
    return rc == AZR_ENOTFOUND ? AZR_OK : rc;
}
