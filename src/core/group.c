/* SPDX-License-Identifier: Apache-2.0 */
/* Groups: creating, opening, attributes. */
#include "core/group.h"

#include "base/guard.h"
#include "core/tree.h"
#include "core/upkeep.h"

#include <errno.h>
#include <string.h>

static azri_patience patience_of(const azr_group *g)
{
    return azri_patience_from(g->options.timeout_ms, g->options.cancel);
}

static azri_upkeep_of upkeep_of(const azr_group *g)
{
    azri_upkeep_of of = {
        .dir = g->dir, .path = g->path, .format = g->format, .mark = true};

    of.stale = (g->options.flags & AZR_OPEN_STALE_CONSOLIDATED) != 0;
    return of;
}

static int open_directory(int *out, const char *path, azr_error *err)
{
    int rc = azri_open_at(out, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);

    if (rc == AZR_ENOTFOUND)
        return azri_fail(err, rc, "no Zarr group at '%s': no such directory",
                         path);
    return rc;
}

int azri_node_at(int *kind_out, int *format_out, const char *path,
                 azr_error *err)
{
    azri_documents docs = AZRI_DOCUMENTS_INIT;
    int dir = -1;
    int rc = azri_open_at(&dir, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);

    if (rc == AZR_ENOTFOUND)
        return azri_fail(err, rc, "'%s': no such directory", path);
    if (rc == AZR_OK)
        rc = azri_documents_classify(&docs, dir, err);
    azri_close(dir);
    azri_documents_dispose(&docs);
    if (rc < 0)
        return rc;
    *kind_out = docs.kind;
    if (format_out)
        *format_out = docs.format;
    return AZR_OK;
}

static bool is_key_of(const azri_documents *docs, const char *key)
{
    if (docs->format == 3)
        return strcmp(key, "zarr.json") == 0;
    return docs->format == 2 &&
           strcmp(key, docs->kind == AZR_NODE_ARRAY ? ".zarray" : ".zgroup") ==
               0;
}

int azri_node_document(char **out, const char *path, const char *key,
                       azr_error *err)
{
    azri_documents docs = AZRI_DOCUMENTS_INIT;
    azri_buf none = AZRI_BUF_INIT, *text = &none;
    int dir = -1, rc;

    if (strcmp(key, "zarr.json") != 0 && strcmp(key, ".zarray") != 0 &&
        strcmp(key, ".zgroup") != 0 && strcmp(key, ".zattrs") != 0)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "'%.100s' is no metadata document: zarr.json, "
                             ".zarray, .zgroup and .zattrs are",
                             key);
    rc = azri_open_at(&dir, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);
    if (rc == AZR_ENOTFOUND)
        return azri_fail(err, rc, "'%s': no such directory", path);
    if (rc == AZR_OK)
        rc = azri_documents_load(&docs, dir, err);
    if (rc == AZR_OK && is_key_of(&docs, key))
        text = &docs.text;
    else if (rc == AZR_OK && docs.format == 2 && strcmp(key, ".zattrs") == 0)
        text = &docs.attributes;
    if (rc == AZR_OK && text->nbytes == 0)
        rc = azri_fail(err, AZR_ENOTFOUND, "'%s' has no '%s'", path, key);
    if (rc == AZR_OK)
        rc = azri_buf_terminate(text, err);
    if (rc == AZR_OK) {
        *out = (char *)text->data;
        *text = none;
    }
    azri_close(dir);
    azri_documents_dispose(&docs);
    return rc;
}

static int group_new(azr_group **out, const char *path,
                     const azr_open_options *options, azr_error *err)
{
    azr_group *g = azri_calloc(1, sizeof *g);

    if (!g)
        return azri_fail_nomem(err, sizeof *g);
    g->dir = -1;
    g->options = *options;
    g->options.flags &= ~AZRI_CREATE_FLAGS;
    g->path = azri_strdup(path);
    if (!g->path) {
        azri_free(g);
        return azri_fail_nomem(err, strlen(path));
    }
    *out = g;
    return AZR_OK;
}

void azri_group_close(azr_group *g)
{
    if (!g)
        return;
    azri_close(g->dir);
    azri_free(g->path);
    azri_free(g);
}

/* ---------------------------------------------------------------- open --- */

/* Where it stands now is the truth, whoever took it away. */
static int check_place(const azr_group *g, azr_error *err)
{
    bool replaced = false;

    if ((g->options.flags & AZRI_OPEN_HIDDEN) ||
        !azri_is_discarded(g->dir, &replaced))
        return AZR_OK;
    return azri_fail(err, AZR_ENOTFOUND,
                     replaced ? "'%s' was replaced; open it anew"
                              : "'%s' was removed",
                     g->path);
}

int azri_group_load(azr_group *g, azri_documents *out, azr_error *err)
{
    azri_node node;
    int rc = azri_documents_load(out, g->dir, err);

    if (rc == AZR_OK || rc == AZR_ENOTFOUND) {
        int placed = check_place(g, err);

        rc = placed < 0 ? placed : rc;
    }
    if (rc < 0)
        return rc;
    if (out->kind == AZR_NODE_ARRAY)
        return azri_fail(err, AZR_ENOTFOUND, "'%s' is an array, not a group",
                         g->path);
    if (out->kind == AZR_NODE_DIRECTORY) {
        if (g->options.flags & AZR_OPEN_IMPLIED)
            return AZR_OK;
        return azri_fail(err, AZR_ENOTFOUND,
                         "no Zarr group at '%s': no zarr.json, no .zgroup",
                         g->path);
    }
    node = azri_documents_node(out);
    return azri_group_check(&node, err);
}

static int check_file_system(const azr_group *g, azr_error *err)
{
    char name[32];
    uint64_t magic;
    int fs_class;
    int rc = azri_fs_classify(&fs_class, &magic, name, g->dir, err);

    if (rc < 0 || fs_class == AZR_FS_LOCAL ||
        (g->options.flags & AZR_OPEN_INSIST))
        return rc;
    return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
                         "'%s' is on %s: its locks are not known to hold, "
                         "writing is refused (`azr doctor` tells more)",
                         g->path, name);
}

/* What a dead one left to do; who may not, or has to wait for it, leaves it. */
static void finish_upkeep(const azr_group *g)
{
    azri_patience none = {0, NULL};
    azri_upkeep_of of = upkeep_of(g);

    azri_ignore(azri_upkeep_leftover(&of, &none, NULL));
}

/* One who is disturbed by others that make, replace or remove something here. */
#define TRIES 16

static bool is_gone_from(const azr_group *g, int rc, const azr_error *err)
{
    return (rc == AZR_OK || rc == AZR_ENOTFOUND || err->sys_errno == ENOENT) &&
           azri_is_astray(g->dir, &g->options);
}

static int try_open(azr_group **out, const char *path,
                    const azr_open_options *options, azr_error *err)
{
    azri_documents docs = AZRI_DOCUMENTS_INIT;
    azr_group *g = NULL;
    int rc = group_new(&g, path, options, err);

    if (rc == AZR_OK)
        rc = open_directory(&g->dir, path, err);
    if (rc == AZR_OK)
        rc = azri_group_load(g, &docs, err);
    if (rc == AZR_OK && docs.format != 0 && (options->flags & AZR_OPEN_WRITE))
        rc = check_file_system(g, err);
    if (rc == AZR_ENOTFOUND && g->dir >= 0 && azri_is_astray(g->dir, options))
        rc = AZR_ECONFLICT;
    if (rc < 0)
        goto done;
    g->format = docs.format;
    if (docs.format != 0 && (options->flags & AZR_OPEN_WRITE))
        finish_upkeep(g);
    *out = g;
    g = NULL;
done:
    azri_documents_dispose(&docs);
    azri_group_close(g);
    return rc;
}

int azri_group_open(azr_group **out, const char *path,
                    const azr_open_options *options, azr_error *err)
{
    int rc = try_open(out, path, options, err);

    for (int k = 1; k < TRIES && rc == AZR_ECONFLICT; k++) {
        azri_error_reset(err);
        rc = try_open(out, path, options, err);
    }
    return rc == AZR_ECONFLICT ? AZR_ENOTFOUND : rc; /* the text tells */
}

int azri_group_info(azr_group *g, azr_group_info *out, azr_error *err)
{
    azri_documents docs = AZRI_DOCUMENTS_INIT;
    bool has = false;
    int rc = azri_group_load(g, &docs, err);

    if (rc == AZR_OK)
        rc = azri_group_has_consolidated(g, &docs, &has, err);
    if (rc == AZR_OK) {
        out->zarr_format = docs.format;
        out->consolidated = has;
    }
    azri_documents_dispose(&docs);
    return rc;
}

/* -------------------------------------------------------------- create --- */

/* Version 2 keeps attributes in a document of their own: first, so that nobody
 * sees the group without them. */
static int publish(const azr_group *g, const azri_buf *text,
                   const azri_buf *zattrs, azr_error *err)
{
    azri_put put = {g->dir, g->path, ".zattrs", AZRI_PUT_ANYHOW, NULL};
    int rc = azri_documents_refuse(g->dir, g->path, err);

    if (rc == AZR_OK && g->format == 2)
        rc = azri_document_put(&put, azri_buf_span(zattrs), err);
    put.key = azri_group_key(g->format);
    put.mode = AZRI_PUT_NEW;
    if (rc == AZR_OK)
        rc = azri_document_put(&put, azri_buf_span(text), err);
    if (rc == AZR_EEXISTS)
        return azri_fail(err, rc, "'%s' exists: another process made it",
                         g->path);
    return rc;
}

static int create_in(const azr_group *g, const azri_buf *text,
                     const azri_buf *zattrs, azr_error *err)
{
    azri_patience patience = patience_of(g);
    azri_upkeep_of of = upkeep_of(g);
    azri_upkeep *u = NULL;
    /* before any lock: who only finds a node waits for nobody */
    int rc = azri_documents_refuse(g->dir, g->path, err);

    if (rc == AZR_OK)
        rc = check_file_system(g, err);
    if (rc == AZR_OK)
        rc = azri_upkeep_open(&u, &of, 1, &patience, err);
    if (rc == AZR_OK)
        rc = publish(g, text, zattrs, err);
    azri_upkeep_close(u, rc);
    return rc;
}

/* Its own name is synced, whoever made it: what is created below, and synced, must
 * not go with it. */
static int make_directory(azr_group *g, azr_error *err)
{
    int rc;

    if (azri_sys->mkdirat(AT_FDCWD, g->path, 0777) != 0 && errno != EEXIST)
        return azri_fail_errno(err, AZR_SUB_MKDIR, errno, "mkdir '%s'",
                               g->path);
    rc = azri_open_at(&g->dir, AT_FDCWD, g->path, O_RDONLY | O_DIRECTORY, 0,
                      err);
    return rc < 0 ? rc : azri_fsync_dir(g->dir, "..", err);
}

/* AZR_ECONFLICT (no message): somebody took the directory away. */
static int try_create(azr_group **out, const char *path, int format,
                      const azr_open_options *options, const azri_buf *text,
                      const azri_buf *zattrs, azr_error *err)
{
    azr_group *g = NULL;
    int rc = group_new(&g, path, options, err);

    if (rc < 0)
        return rc;
    g->options.flags |= AZR_OPEN_WRITE;
    g->format = format;
    rc = make_directory(g, err);
    if (rc == AZR_OK)
        rc = create_in(g, text, zattrs, err);
    if (g->dir < 0 ? rc == AZR_ENOTFOUND : is_gone_from(g, rc, err)) {
        azri_error_reset(err);
        rc = AZR_ECONFLICT;
    }
    if (rc == AZR_OK)
        *out = g;
    else
        azri_group_close(g);
    return rc;
}

static int create_new(azr_group **out, const char *path,
                      const azr_group_spec *spec,
                      const azr_open_options *options, azr_error *err)
{
    azri_buf text = AZRI_BUF_INIT, zattrs = AZRI_BUF_INIT;
    int format = spec->zarr_format == 2 ? 2 : 3;
    int rc = azri_group_compose(&text, &zattrs, format, spec->attributes, err);

    if (rc == AZR_OK)
        rc = AZR_ECONFLICT;
    for (int k = 0; k < TRIES && rc == AZR_ECONFLICT; k++)
        rc = try_create(out, path, format, options, &text, &zattrs, err);
    if (rc == AZR_ECONFLICT && err->code == 0)
        rc = azri_fail_disturbed(path, err);
    azri_buf_dispose(&zattrs);
    azri_buf_dispose(&text);
    return rc;
}

/* Built hidden, then put in the place of what is there. */
static int create_replacing(azr_group **out, const char *path,
                            const azr_group_spec *spec,
                            const azr_open_options *options, azr_error *err)
{
    azr_open_options hidden = *options;
    azri_build b = AZRI_BUILD_INIT;
    char *own = azri_strdup(path);
    azr_group *g = NULL;
    int rc = own ? AZR_OK : azri_fail_nomem(err, strlen(path));

    hidden.flags |= AZRI_OPEN_HIDDEN;
    if (rc == AZR_OK)
        rc = azri_build_begin(&b, path, options, err);
    if (rc == AZR_OK)
        rc = create_new(&g, b.path, spec, &hidden, err);
    if (rc == AZR_OK)
        rc = azri_build_publish(&b, path, options, err);
    azri_build_end(&b);
    if (rc != AZR_OK) {
        azri_free(own);
        azri_group_close(g);
        return rc;
    }
    azri_free(g->path);
    g->path = own;
    g->options.flags &= ~AZRI_OPEN_HIDDEN;
    *out = g;
    return AZR_OK;
}

static int create_or_open(azr_group **out, const char *path,
                          const azr_group_spec *spec,
                          const azr_open_options *options, azr_error *err)
{
    azr_open_options writing = *options;
    int rc = AZR_EEXISTS;

    writing.flags |= AZR_OPEN_WRITE;
    for (int k = 0; k < TRIES && rc == AZR_EEXISTS; k++) {
        azri_error_reset(err);
        rc = azri_group_open(out, path, &writing, err);
        if (rc != AZR_ENOTFOUND)
            break;
        azri_error_reset(err);
        rc = create_new(out, path, spec, &writing, err);
    }
    return rc;
}

int azri_group_create(azr_group **out, const char *path,
                      const azr_group_spec *spec,
                      const azr_open_options *options, azr_error *err)
{
    if (options->flags & AZR_CREATE_REPLACE)
        return create_replacing(out, path, spec, options, err);
    if (options->flags & AZR_CREATE_OR_OPEN)
        return create_or_open(out, path, spec, options, err);
    return create_new(out, path, spec, options, err);
}

/* ---------------------------------------------------------- attributes --- */

int azri_group_attributes(azr_group *g, char **out, azr_error *err)
{
    azri_documents docs = AZRI_DOCUMENTS_INIT;
    azri_buf text = AZRI_BUF_INIT;
    azri_node node;
    int rc = azri_group_load(g, &docs, err);

    node = azri_documents_node(&docs);
    if (rc == AZR_OK && docs.format == 0)
        rc = azri_buf_puts(&text, "{}", err);
    else if (rc == AZR_OK)
        rc = azri_node_attributes(&text, &node, err);
    if (rc == AZR_OK)
        rc = azri_buf_terminate(&text, err);
    if (rc == AZR_OK) {
        *out = (char *)text.data;
        text.data = NULL;
    }
    azri_buf_dispose(&text);
    azri_documents_dispose(&docs);
    return rc;
}

int azri_group_may_write(const azr_group *g, azr_error *err)
{
    if (!(g->options.flags & AZR_OPEN_WRITE))
        return azri_fail(err, AZR_EPERM,
                         "'%s' was opened for reading; open it with "
                         "AZR_OPEN_WRITE",
                         g->path);
    if (g->format == 0)
        return azri_fail(err, AZR_ENOTFOUND,
                         "'%s' is a directory without a document; create a "
                         "group there first",
                         g->path);
    return AZR_OK;
}

/* Attributes by name, or (`names` NULL) a JSON object in the place of all. */
typedef struct changes {
    size_t n;
    const char *const *names, *const *values;
    const char *all;
} changes;

/* The document that holds the attributes, with them. */
static int compose_changes(azri_buf *out, const azri_node *old,
                           const changes *c, azr_error *err)
{
    azri_buf texts[2] = {AZRI_BUF_INIT, AZRI_BUF_INIT};
    azri_node node = *old;
    int rc = AZR_OK;

    if (!c->names)
        return azri_node_with_attributes(out, old, c->all, err);
    for (size_t k = 0; k < c->n && rc == AZR_OK; k++) {
        azri_buf *text = &texts[k % 2];

        text->nbytes = 0;
        rc = azri_node_with_attribute(text, &node, c->names[k], c->values[k],
                                      err);
        if (node.zarr_format == 2)
            node.attributes = azri_buf_span(text);
        else
            node.text = azri_buf_span(text);
    }
    if (rc == AZR_OK) {
        *out = texts[(c->n - 1) % 2];
        texts[(c->n - 1) % 2] = (azri_buf)AZRI_BUF_INIT;
    }
    azri_buf_dispose(&texts[0]);
    azri_buf_dispose(&texts[1]);
    return rc;
}

static int change_locked(azr_group *g, const changes *c, azr_error *err)
{
    azri_put put = {g->dir, g->path, "zarr.json", AZRI_PUT_OVER, NULL};
    azri_documents docs = AZRI_DOCUMENTS_INIT;
    azri_buf text = AZRI_BUF_INIT;
    azri_node node;
    int rc = azri_group_load(g, &docs, err);

    if (rc == AZR_OK && docs.format != g->format)
        rc = azri_fail(err, AZR_ENOTFOUND,
                       "'%s' is no longer the group that was opened", g->path);
    node = azri_documents_node(&docs);
    if (rc == AZR_OK)
        rc = compose_changes(&text, &node, c, err);
    put.seen = &docs.text_id;
    if (docs.format == 2) {
        put.key = ".zattrs";
        put.seen = docs.attributes_id.ino ? &docs.attributes_id : NULL;
    }
    if (rc == AZR_OK)
        rc = azri_document_put(&put, azri_buf_span(&text), err);
    azri_buf_dispose(&text);
    azri_documents_dispose(&docs);
    return rc;
}

static int change_attributes(azr_group *g, const changes *c, azr_error *err)
{
    azri_patience patience = patience_of(g);
    azri_upkeep_of of = upkeep_of(g);
    azri_upkeep *u = NULL;
    int rc = azri_group_may_write(g, err);

    if (rc == AZR_OK)
        rc = azri_upkeep_open(&u, &of, 1, &patience, err);
    if (rc == AZR_OK)
        rc = change_locked(g, c, err);
    azri_upkeep_close(u, rc);
    return rc;
}

int azri_group_attributes_change(azr_group *g, size_t n,
                                 const char *const *names,
                                 const char *const *values, azr_error *err)
{
    const changes c = {n, names, values, NULL};

    return n == 0 ? azri_group_may_write(g, err)
                  : change_attributes(g, &c, err);
}

int azri_group_attributes_replace(azr_group *g, const char *json,
                                  azr_error *err)
{
    const changes c = {0, NULL, NULL, json};

    return change_attributes(g, &c, err);
}

/* --------------------------------------------------------------- below --- */

static int fail_path(const char *path, const char *why, azr_error *err)
{
    return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT, "path '%.200s': %s",
                         path, why);
}

static bool is_name(const char *name, size_t n)
{
    return !(n == 0 || (n == 1 && name[0] == '.') ||
             (n == 2 && name[0] == '.' && name[1] == '.'));
}

/* Names that Zarr keeps for itself, or that are documents. */
static bool is_reserved(const char *name, size_t n)
{
    static const char *const names[] = {"zarr.json", ".zarray",    ".zgroup",
                                        ".zattrs",   ".zmetadata", ".azr"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0)
            return true;
    }
    if (n >= 2 && name[0] == '_' && name[1] == '_')
        return true;
    for (size_t i = 0; i < n; i++) {
        if (name[i] != '.')
            return false;
    }
    return true;
}

static int check_path(const char *path, bool fresh, azr_error *err)
{
    const char *name = path;

    for (;;) {
        const char *slash = strchr(name, '/');
        size_t n = slash ? (size_t)(slash - name) : strlen(name);

        if (!is_name(name, n))
            return fail_path(path,
                             "need names with '/' between them, none empty, "
                             "\".\" or \"..\"",
                             err);
        if (fresh && is_reserved(name, n))
            return fail_path(path, "a name in it is kept for other uses", err);
        if (!slash)
            return AZR_OK;
        name = slash + 1;
    }
}

/* Where the group is: by the path it was opened with, unless it was moved. */
static const char *path_now(const azr_group *g, char moved[4096])
{
    struct stat here, there;

    if (azri_sys->fstat(g->dir, &here) != 0 ||
        (azri_sys->fstatat(AT_FDCWD, g->path, &there, 0) == 0 &&
         here.st_dev == there.st_dev && here.st_ino == there.st_ino) ||
        azri_path_of(g->dir, moved) < 0)
        return g->path;
    return moved;
}

static int join(char **out, const azr_group *g, const char *path, size_t n,
                azr_error *err)
{
    char moved[4096];
    const char *top = path_now(g, moved);
    size_t before = strlen(top);
    char *p;
    int rc = check_place(g, err);

    if (rc < 0)
        return rc;
    p = azri_alloc(before + n + 2);
    if (!p)
        return azri_fail_nomem(err, before + n + 2);
    memcpy(p, top, before);
    p[before] = '/';
    memcpy(p + before + 1, path, n);
    p[before + 1 + n] = '\0';
    *out = p;
    return AZR_OK;
}

int azri_group_path(char **out, const azr_group *g, const char *path,
                    azr_error *err)
{
    int rc = check_path(path, false, err);

    return rc < 0 ? rc : join(out, g, path, strlen(path), err);
}

/* A group at `path`, of whoever made it. */
static int make_group(const azr_group *g, const char *path, azr_error *err)
{
    azr_group_spec spec = AZR_GROUP_SPEC_INIT;
    azr_error why = AZR_ERROR_INIT;
    azr_group *made = NULL;
    int kind = AZR_NODE_NONE;
    int rc;

    spec.zarr_format = g->format;
    rc = azri_group_create(&made, path, &spec, &g->options, &why);
    azri_group_close(made);
    if (rc != AZR_EEXISTS) {
        if (rc < 0)
            azri_error_pass(err, &why);
        return rc;
    }
    rc = azri_node_at(&kind, NULL, path, err);
    if (rc == AZR_OK && kind == AZR_NODE_ARRAY)
        return fail_path(path, "it is an array, and nothing stands below one",
                         err);
    return rc;
}

int azri_group_make_parents(azr_group *g, const char *path, azr_error *err)
{
    int rc = azri_group_may_write(g, err);

    if (rc == AZR_OK)
        rc = check_path(path, true, err);
    for (const char *slash = strchr(path, '/'); rc == AZR_OK && slash;
         slash = strchr(slash + 1, '/')) {
        char *part = NULL;

        rc = join(&part, g, path, (size_t)(slash - path), err);
        if (rc == AZR_OK)
            rc = make_group(g, part, err);
        azri_free(part);
    }
    return rc;
}
