/* SPDX-License-Identifier: Apache-2.0 */
/* What is below a group. Each directory is opened relative to the one above it
 * and links are not followed: so the walk stays inside and ends. */
#include "core/group.h"

#include "base/cancel.h"
#include "txn/txn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct walker {
    azr_node_fn fn;
    void *arg;
    azr_error *err;
    const azr_cancel *cancel;
    int max_depth;
    azri_buf path; /* of the node in hand, terminated */
} walker;

/* Names of the directories in one, sorted. */
typedef struct names {
    azri_buf text; /* each with its NUL */
    const char **items;
    size_t count;
    int dir;
    azr_error *err;
} names;

static int take_name(const char *name, unsigned char d_type, void *arg)
{
    names *n = arg;
    int rc;

    /* ours, and what is being built or thrown away */
    if (strcmp(name, ".azr") == 0 || strncmp(name, ".azr-", 5) == 0 ||
        !azri_is_directory(n->dir, name, d_type))
        return 0;
    rc = azri_buf_append(&n->text, name, strlen(name) + 1, n->err);
    n->count += rc == AZR_OK;
    return rc;
}

static int by_bytes(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;

    return strcmp(*x, *y);
}

static int list_names(names *n, int dir, azr_error *err)
{
    const char *at;
    int rc;

    n->dir = dir;
    n->err = err;
    rc = azri_list(dir, ".", take_name, n, err);
    if (rc < 0 || n->count == 0)
        return rc;
    n->items = azri_calloc(n->count, sizeof *n->items);
    if (!n->items)
        return azri_fail_nomem(err, n->count * sizeof *n->items);
    at = (const char *)n->text.data;
    for (size_t i = 0; i < n->count; i++) {
        n->items[i] = at;
        at += strlen(at) + 1;
    }
    qsort(n->items, n->count, sizeof *n->items, by_bytes);
    return AZR_OK;
}

/* Open and judge; removed meanwhile: AZR_ENOTFOUND. */
static int look(int *dir_out, azri_documents *docs, int above, const char *name,
                azr_error *err)
{
    int rc = azri_open_at(dir_out, above, name,
                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);

    return rc < 0 ? rc : azri_documents_classify(docs, *dir_out, err);
}

/* Tell of one directory, whose kind and descriptor come back. */
static int tell(walker *w, int above, const char *name, int depth,
                int *kind_out, int *dir_out)
{
    azri_documents docs = AZRI_DOCUMENTS_INIT;
    azr_error why = AZR_ERROR_INIT;
    int rc = look(dir_out, &docs, above, name, &why);
    azr_node node = {
        .struct_size = (uint32_t)sizeof node,
        .kind = rc < 0 ? AZR_NODE_NONE : docs.kind,
        .zarr_format = docs.format,
        .status = rc,
        .depth = depth,
        .path = (const char *)w->path.data,
        .name = name,
        .text = why.message,
    };

    azri_documents_dispose(&docs);
    *kind_out = node.kind;
    if (rc == AZR_ENOTFOUND)
        return AZR_WALK_SKIP;
    if (rc == AZR_ENOMEM)
        return azri_fail(w->err, rc, "%s", why.message);
    if (node.kind == AZR_NODE_DIRECTORY && name[0] == '.')
        return AZR_WALK_SKIP; /* .git and its like */
    return w->fn(&node, w->arg);
}

/* At most AZR_WALK_DEPTH of these at once. */
/* NOLINTBEGIN(misc-no-recursion) */
static int walk_directory(walker *w, int dir, int depth);

static int visit(walker *w, int above, const char *name, int depth)
{
    size_t length = w->path.nbytes;
    int kind = AZR_NODE_NONE, dir = -1, rc = AZR_OK;

    if (azri_canceled(w->cancel))
        return azri_fail(w->err, AZR_ECANCELED, "canceled");
    if (length > 0)
        rc = azri_buf_puts(&w->path, "/", w->err);
    if (rc == AZR_OK)
        rc = azri_buf_puts(&w->path, name, w->err);
    if (rc == AZR_OK)
        rc = azri_buf_terminate(&w->path, w->err);
    if (rc == AZR_OK)
        rc = tell(w, above, name, depth, &kind, &dir);
    if (rc == AZR_OK && depth < w->max_depth &&
        (kind == AZR_NODE_GROUP || kind == AZR_NODE_DIRECTORY))
        rc = walk_directory(w, dir, depth + 1);
    azri_close(dir);
    w->path.nbytes = length;
    return rc > 0 ? AZR_OK : rc;
}

static int walk_directory(walker *w, int dir, int depth)
{
    names n = {.dir = -1};
    int rc = list_names(&n, dir, w->err);

    for (size_t i = 0; rc == AZR_OK && i < n.count; i++)
        rc = visit(w, dir, n.items[i], depth);
    azri_buf_dispose(&n.text);
    azri_free(n.items);
    return rc;
}

/* NOLINTEND(misc-no-recursion) */

int azri_group_walk(azr_group *g, int max_depth, azr_node_fn fn, void *arg,
                    azr_error *err)
{
    walker w = {fn, arg, err, g->options.cancel, max_depth, AZRI_BUF_INIT};
    int rc;

    if (max_depth == 0 || max_depth > AZR_WALK_DEPTH)
        w.max_depth = AZR_WALK_DEPTH;
    rc = walk_directory(&w, g->dir, 1);
    azri_buf_dispose(&w.path);
    return rc;
}
