/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of an array or of a group with all that is below it: the source at one
 * instant, built where nobody looks, `<parent>/.azr-new-<id>/node`, and renamed to
 * its name at once. What a crash leaves is a hidden directory that nobody holds;
 * the next copy into that parent removes it.
 */
#include "core/take.h"

#include "base/cancel.h"
#include "core/group.h"
#include "core/upkeep.h"
#include "sync/owned_dir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BUILD ".azr-new-"
#define NODE  "node"

/* Arrays of which one snapshot is taken: each needs about eight descriptors. */
#define TOGETHER 64

typedef struct source {
    const char *path; /* below the top, "" for it */
    int kind;
} source;

typedef struct copier {
    const char *from;
    const azr_copy_options *o;
    azri_patience patience;
    azr_copied *out;
    azr_error *err;
    /* what is to be copied, parents first */
    azri_buf paths; /* each with its NUL */
    azri_buf kinds; /* an int each */
    source *sources;
    size_t n, arrays;
    /* where to */
    int parent;
    char name[256];
    azri_owned build;
    int node;
    bool power;
    uint64_t done, total;
} copier;

/* ---------------------------------------------------------------- where --- */

static int fail_name(const char *to, const char *why, azr_error *err)
{
    return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                         "'%.200s' cannot be made: %s", to, why);
}

static int open_parent(copier *c, const char *to, size_t n, azr_error *err)
{
    azri_documents docs = AZRI_DOCUMENTS_INIT;
    char path[4096];
    int rc;

    if (n >= sizeof path)
        return fail_name(to, "the path is too long", err);
    memcpy(path, to, n);
    path[n] = '\0';
    rc = azri_open_at(&c->parent, AT_FDCWD, n > 0 ? path : ".",
                      O_RDONLY | O_DIRECTORY, 0, err);
    if (rc == AZR_ENOTFOUND)
        return azri_fail(err, rc, "'%s': no such directory", path);
    if (rc == AZR_OK)
        rc = azri_documents_classify(&docs, c->parent, err);
    if (rc == AZR_OK && docs.kind == AZR_NODE_ARRAY)
        rc = fail_name(to, "nothing stands below an array", err);
    azri_documents_dispose(&docs);
    return rc;
}

static int find_place(copier *c, const char *to, azr_error *err)
{
    size_t end = strlen(to), at;
    struct stat st;
    int rc;

    while (end > 1 && to[end - 1] == '/')
        end--;
    for (at = end; at > 0 && to[at - 1] != '/';)
        at--;
    if (end - at >= sizeof c->name)
        return fail_name(to, "the name is too long", err);
    memcpy(c->name, to + at, end - at);
    c->name[end - at] = '\0';
    if (c->name[0] == '\0' || strcmp(c->name, ".") == 0 ||
        strcmp(c->name, "..") == 0)
        return fail_name(to, "it has no name", err);
    if (strncmp(c->name, ".azr", 4) == 0)
        return fail_name(to, "the name is kept for other uses", err);
    rc = open_parent(c, to, at, err);
    if (rc < 0)
        return rc;
    if (azri_sys->fstatat(c->parent, c->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return azri_fail(err, AZR_EEXISTS, "'%s' exists", to);
    return AZR_OK;
}

static int begin_build(copier *c, azr_error *err)
{
    uint32_t count = 0;
    struct stat st;
    int rc = azri_owned_collect(c->parent, BUILD, &count, err);

    if (rc == AZR_OK && azri_sys->fstat(c->parent, &st) != 0)
        rc = azri_fail_errno(err, AZR_SUB_STAT, errno, "stat a directory");
    if (rc == AZR_OK)
        rc = azri_owned_make(&c->build, c->parent, BUILD, 0700, st.st_gid, err);
    if (rc == AZR_OK && azri_sys->mkdirat(c->build.dir, NODE, 0777) != 0)
        rc = azri_fail_errno(err, AZR_SUB_MKDIR, errno, "mkdir '%s'", c->name);
    if (rc == AZR_OK)
        rc = azri_open_at(&c->node, c->build.dir, NODE,
                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
    return rc;
}

/* The commit point. */
static int give_name(const copier *c, const char *to, azr_error *err)
{
    int rc = AZR_OK;

    if (azri_sys->renameat2(c->build.dir, NODE, c->parent, c->name,
                            RENAME_NOREPLACE) != 0) {
        if (errno == EEXIST || errno == ENOTEMPTY)
            return azri_fail(err, AZR_EEXISTS,
                             "'%s' exists: another process made it", to);
        if (errno == EINVAL || errno == ENOSYS)
            return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
                                 "the file system of '%s' cannot rename "
                                 "without replacing",
                                 to);
        return azri_fail_errno(err, AZR_SUB_RENAME, errno, "make '%s'", to);
    }
    if (c->power)
        rc = azri_fsync_dir_after(c->parent, to, err);
    return rc;
}

static int appear(const copier *c, const char *to, azr_error *err)
{
    azri_upkeep_of of = {
        .dir = c->parent, .path = to, .mark = true, .name = c->name};
    azri_upkeep *above = NULL;
    int rc;

    if (c->power && azri_syncfs(c->node) != 0)
        return azri_fail_errno(err, AZR_SUB_SYNC, errno, "syncfs '%s'", to);
    if (azri_canceled(c->patience.cancel))
        return azri_fail(err, AZR_ECANCELED, "canceled");
    of.stale = (c->o->flags & AZR_COPY_LEAVE_STALE) != 0;
    rc = azri_upkeep_open(&above, &of, 1, &c->patience, err);
    if (rc == AZR_OK)
        rc = give_name(c, to, err);
    azri_upkeep_close(above, rc);
    return rc;
}

/* ----------------------------------------------------------------- what --- */

static int add_source(copier *c, const char *path, int kind, azr_error *err)
{
    int rc = azri_buf_append(&c->paths, path, strlen(path) + 1, err);

    if (rc == AZR_OK)
        rc = azri_buf_append(&c->kinds, &kind, sizeof kind, err);
    if (rc == AZR_OK) {
        c->n++;
        c->arrays += kind == AZR_NODE_ARRAY;
    }
    return rc;
}

static int take_node(const azr_node *node, void *arg)
{
    copier *c = arg;

    if (node->status != AZR_OK)
        return azri_fail(c->err, node->status, "'%s/%s': %s", c->from,
                         node->path, node->text);
    return add_source(c, node->path, node->kind, c->err);
}

static int survey(copier *c, azr_error *err)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_group *g = NULL;
    const char *at;
    int kind = AZR_NODE_NONE;
    int rc = azri_node_at(&kind, NULL, c->from, err);

    if (rc == AZR_OK && kind == AZR_NODE_DIRECTORY)
        rc = azri_fail(err, AZR_ENOTFOUND, "no Zarr array or group at '%s'",
                       c->from);
    if (rc == AZR_OK)
        rc = add_source(c, "", kind, err);
    o.cancel = c->o->cancel;
    c->err = err;
    if (rc == AZR_OK && kind == AZR_NODE_GROUP)
        rc = azri_group_open(&g, c->from, &o, err);
    if (rc == AZR_OK && g)
        rc = azri_group_walk(g, 0, take_node, c, err);
    azri_group_close(g);
    if (rc < 0)
        return rc;
    c->sources = azri_calloc(c->n, sizeof *c->sources);
    if (!c->sources)
        return azri_fail_nomem(err, c->n * sizeof *c->sources);
    at = (const char *)c->paths.data;
    for (size_t i = 0; i < c->n; i++) {
        c->sources[i].path = at;
        memcpy(&c->sources[i].kind, c->kinds.data + i * sizeof(int),
               sizeof(int));
        at += strlen(at) + 1;
    }
    return AZR_OK;
}

/* --------------------------------------------------------------- groups --- */

static int open_source(int *out, const copier *c, const source *s,
                       azr_error *err)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", c->from, s->path);
    int rc;

    if (n < 0 || (size_t)n >= sizeof path)
        return azri_fail(err, AZR_EINVAL, "'%.200s': the path is too long",
                         s->path);
    rc = azri_open_at(out, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);
    return rc == AZR_ENOTFOUND ? azri_fail(err, rc, "'%s' was removed", path)
                               : rc;
}

/* The new directory of a source, in its place; *out is the caller's. */
static int make_place(int *out, const copier *c, const source *s,
                      azr_error *err)
{
    const char *path = s->path[0] ? s->path : ".";
    int rc;

    if (s->path[0] && azri_sys->mkdirat(c->node, s->path, 0777) != 0 &&
        errno != EEXIST)
        return azri_fail_errno(err, AZR_SUB_MKDIR, errno, "mkdir '%s'",
                               s->path);
    rc = azri_open_at(out, c->node, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                      0, err);
    return rc == AZR_ENOTFOUND ? azri_fail(err, rc, "'%s' was removed", path)
                               : rc;
}

static int copy_document(int to, int from, const char *key, azr_error *err)
{
    azri_buf text = AZRI_BUF_INIT;
    struct stat st;
    int fd = -1;
    int rc = azri_read_file(&text, NULL, from, key, AZRI_JSON_MAX_NBYTES, err);

    if (rc == AZR_ENOTFOUND)
        return AZR_OK;
    if (rc == AZR_OK)
        rc = azri_open_at(&fd, to, key, O_WRONLY | O_CREAT | O_EXCL, 0666, err);
    if (rc == AZR_OK)
        rc = azri_pwrite_full(fd, text.data, text.nbytes, 0, key, err);
    if (rc == AZR_OK && azri_sys->fstat(fd, &st) != 0)
        rc = azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'", key);
    azri_close(fd);
    azri_buf_dispose(&text);
    return rc;
}

/* Byte for byte, consolidated metadata as well. */
static int copy_group(copier *c, const source *s, azr_error *err)
{
    static const char *const keys[] = {".zattrs", ".zmetadata", ".zgroup",
                                       "zarr.json"};
    int from = -1, to = -1;
    int rc = make_place(&to, c, s, err);

    if (rc == AZR_OK && s->kind == AZR_NODE_GROUP)
        rc = open_source(&from, c, s, err);
    for (size_t i = 0; from >= 0 && rc == AZR_OK && i < 4; i++)
        rc = copy_document(to, from, keys[i], err);
    azri_close(from);
    azri_close(to);
    c->out->groups += s->kind == AZR_NODE_GROUP;
    return rc;
}

/* --------------------------------------------------------------- arrays --- */

/* Some arrays, taken at one instant. */
typedef struct batch {
    copier *c;
    const source *sources[TOGETHER];
    azr_array *arrays[TOGETHER];
    azri_take takes[TOGETHER];
    size_t n;
} batch;

static int open_array(copier *c, azr_array **out, const source *s,
                      azr_error *err)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azri_buf path = AZRI_BUF_INIT;
    int rc = azri_buf_printf(&path, err, s->path[0] ? "%s/%s" : "%s%s", c->from,
                             s->path);

    o.flags = AZR_OPEN_OPAQUE;
    o.timeout_ms = c->o->timeout_ms;
    o.cancel = c->o->cancel;
    if (rc == AZR_OK)
        rc = azri_buf_terminate(&path, err);
    if (rc == AZR_OK)
        rc = azri_array_open(out, (const char *)path.data, &o, err);
    azri_buf_dispose(&path);
    return rc;
}

static int tell_progress(uint64_t done, uint64_t total, void *arg)
{
    const copier *c = arg;

    return c->o->progress ? c->o->progress(c->done + done, total, c->o->arg)
                          : 0;
}

/* A copy that promises to survive power loss has to say so. */
static int keep_durability(copier *c, const batch *b, size_t i, azr_error *err)
{
    const azri_take *t = &b->takes[i];
    azri_domain *d = NULL;
    azri_grid grid;
    int rc;

    if (azri_domain_durability(b->arrays[i]->d) != AZR_DURABILITY_POWER)
        return AZR_OK;
    c->power = true;
    azri_grid_of(&grid, t->g->meta);
    rc = azri_domain_open_dir(&d, t->to, c->name, AZRI_DOMAIN_WRITE, err);
    if (rc == AZR_OK)
        rc = azri_domain_ready(d, &grid, AZR_DURABILITY_POWER, &c->patience,
                               err);
    azri_domain_close(d);
    return rc;
}

/* Takes first … first+n-1, at one instant. */
static int take_some(batch *b, size_t first, size_t n, azr_error *err)
{
    copier *c = b->c;
    azri_taking taking = {.patience = c->patience,
                          .progress = tell_progress,
                          .arg = c,
                          .total = c->total};
    int rc = AZR_OK;

    for (size_t i = first; i < first + n; i++)
        azri_take_init(&b->takes[i], b->takes[i].a, -1);
    for (size_t i = first; i < first + n && rc == AZR_OK; i++) {
        rc = make_place(&b->takes[i].to, c, b->sources[i], err);
        b->takes[i].as_made = true;
    }
    if (rc == AZR_OK)
        rc = azri_take_all(&b->takes[first], n, &taking, err);
    for (size_t i = first; i < first + n; i++) {
        azri_take *t = &b->takes[i];

        if (rc == AZR_OK)
            rc = keep_durability(c, b, i, err);
        c->done += t->linked + t->copied;
        c->out->arrays++;
        c->out->chunks += t->linked + t->copied;
        c->out->nbytes += t->nbytes;
        azri_take_dispose(t);
        azri_close(t->to);
    }
    return rc;
}

/* From a snapshot, one after the other, while writers go on; where there can be
 * none, all of it at once from the arrays. */
static int copy_batch(batch *b, azr_error *err)
{
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_error why = AZR_ERROR_INIT;
    azr_snapshot *s = NULL;
    int rc;

    o.timeout_ms = b->c->o->timeout_ms;
    o.cancel = b->c->o->cancel;
    rc = azri_snapshot_take(&s, b->arrays, b->n, &o, &why);
    if (rc < 0 && rc != AZR_EPERM && rc != AZR_EUNSUPPORTED) {
        *err = why;
        return rc;
    }
    for (size_t i = 0; i < b->n; i++)
        b->takes[i].a = s ? azri_snapshot_array(s, i) : b->arrays[i];
    if (!s)
        return take_some(b, 0, b->n, err);
    b->c->total += azri_snapshot_chunks(s);
    for (size_t i = 0; i < b->n && rc == AZR_OK; i++)
        rc = take_some(b, i, 1, err);
    azri_snapshot_close(s);
    return rc;
}

static int run_batch(batch *b, azr_error *err)
{
    int rc = AZR_OK;

    for (size_t i = 0; i < b->n && rc == AZR_OK; i++)
        rc = open_array(b->c, &b->arrays[i], b->sources[i], err);
    if (rc == AZR_OK && b->n > 0)
        rc = copy_batch(b, err);
    for (size_t i = 0; i < b->n; i++) {
        azri_array_close(b->arrays[i]);
        b->arrays[i] = NULL;
    }
    memset(b->takes, 0, sizeof b->takes);
    b->n = 0;
    return rc;
}

static int copy_arrays(copier *c, azr_error *err)
{
    size_t most = c->arrays <= TOGETHER ? TOGETHER : 1;
    batch *b = azri_calloc(1, sizeof *b);
    int rc = AZR_OK;

    if (!b)
        return azri_fail_nomem(err, sizeof *b);
    b->c = c;
    for (size_t i = 0; i < c->n && rc == AZR_OK; i++) {
        if (c->sources[i].kind == AZR_NODE_ARRAY)
            b->sources[b->n++] = &c->sources[i];
        if (b->n == most)
            rc = run_batch(b, err);
    }
    if (rc == AZR_OK)
        rc = run_batch(b, err);
    azri_free(b);
    return rc;
}

/* ------------------------------------------------------------------ all --- */

static int copy_all(copier *c, azr_error *err)
{
    int rc = AZR_OK;

    for (size_t i = 0; i < c->n && rc == AZR_OK; i++) {
        if (azri_canceled(c->patience.cancel))
            return azri_fail(err, AZR_ECANCELED, "canceled");
        if (c->sources[i].kind != AZR_NODE_ARRAY)
            rc = copy_group(c, &c->sources[i], err);
    }
    return rc < 0 ? rc : copy_arrays(c, err);
}

int azri_tree_copy(const char *from, const char *to, const azr_copy_options *o,
                   azr_copied *out, azr_error *err)
{
    copier c = {
        .from = from,
        .o = o,
        .patience = azri_patience_from(o->timeout_ms, o->cancel),
        .out = out,
        .parent = -1,
        .build = AZRI_OWNED_INIT,
        .node = -1,
    };
    int rc = find_place(&c, to, err);

    if (rc == AZR_OK)
        rc = survey(&c, err);
    if (rc == AZR_OK)
        rc = begin_build(&c, err);
    if (rc == AZR_OK)
        rc = copy_all(&c, err);
    if (rc == AZR_OK)
        rc = appear(&c, to, err);
    out->one_instant = c.arrays <= TOGETHER;
    azri_close(c.node);
    azri_owned_close(&c.build);
    azri_close(c.parent);
    azri_free(c.sources);
    azri_buf_dispose(&c.kinds);
    azri_buf_dispose(&c.paths);
    return rc;
}
