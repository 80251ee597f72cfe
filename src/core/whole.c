/* SPDX-License-Identifier: Apache-2.0 */
#include "core/whole.h"

#include "base/guard.h"
#include "core/group.h"
#include "sync/lock_dir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------- places --- */

void azri_place_close(azri_place *p)
{
    azri_close(p->dir);
    azri_free(p->above);
}

static bool is_node_name(const char *name)
{
    static const char *const kept[] = {
        "",          ".",       "..",      ".azr",    AZRI_TRASH,
        "zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata",
    };

    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        if (strcmp(name, kept[i]) == 0)
            return false;
    }
    return true;
}

int azri_place_open(azri_place *p, const char *path, azr_error *err)
{
    size_t n = strlen(path);
    const char *above = ".";
    char *slash;
    int rc;

    p->path = path;
    p->above = azri_strdup(path);
    if (!p->above)
        return azri_fail_nomem(err, n);
    while (n > 1 && p->above[n - 1] == '/')
        p->above[--n] = '\0';
    slash = strrchr(p->above, '/');
    p->name = slash ? slash + 1 : p->above;
    if (!is_node_name(p->name))
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "path '%.200s' does not end in the name of a node",
                             path);
    if (slash) {
        above = slash == p->above ? "/" : p->above;
        *slash = '\0';
    }
    rc = azri_open_at(&p->dir, AT_FDCWD, above, O_RDONLY | O_DIRECTORY, 0, err);
    if (rc == AZR_ENOTFOUND)
        return azri_fail(err, rc, "'%s': no such directory", above);
    return rc;
}

int azri_place_check(int dir, const char *path, bool insist, azr_error *err)
{
    char name[32];
    uint64_t magic;
    int fs_class;
    int rc = azri_fs_classify(&fs_class, &magic, name, dir, err);

    if (rc < 0 || fs_class == AZR_FS_LOCAL || insist)
        return rc;
    return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
                         "'%s' is on %s: its locks are not known to hold, "
                         "writing is refused (`azr doctor` tells more)",
                         path, name);
}

/* Its entries in consolidated metadata above; and the flock of the directory it
 * stands in, which comes last. */
azri_upkeep_of azri_place_upkeep(const azri_place *p, bool stale)
{
    return (azri_upkeep_of){.dir = p->dir,
                            .path = p->path,
                            .mark = true,
                            .stale = stale,
                            .name = p->name};
}

/* ----------------------------------------------------------------- grips --- */

/* An array below, with META exclusive. */
typedef struct grip {
    azri_domain *d;
    azri_txn *t;
} grip;

void azri_grips_free(azri_grips *g)
{
    for (size_t i = 0; i < g->n; i++)
        azri_txn_end(g->list[i].t);
    for (size_t i = 0; i < g->n; i++)
        azri_domain_close(g->list[i].d);
    azri_free(g->list);
    *g = (azri_grips){NULL, 0, 0};
}

static int grips_add(azri_grips *g, azri_domain *d, azr_error *err)
{
    if (g->n == g->capacity) {
        size_t want = g->capacity ? 2 * g->capacity : 8;
        grip *list = azri_resize(g->list, want * sizeof *list);

        if (!list)
            return azri_fail_nomem(err, want * sizeof *list);
        g->list = list;
        g->capacity = want;
    }
    g->list[g->n++] = (grip){d, NULL};
    return AZR_OK;
}

static int by_order(const void *a, const void *b)
{
    const grip *x = a, *y = b;

    return azri_domain_compare(x->d, y->d);
}

/* In the order of all who lock several: rows, then META, array by array. */
static int grips_lock(azri_grips *g, const azri_patience *patience, bool force,
                      azr_error *err)
{
    int rc = AZR_OK;

    if (g->n > 1)
        qsort(g->list, g->n, sizeof *g->list, by_order);
    for (size_t i = 0; rc == AZR_OK && i < g->n; i++)
        rc = azri_txn_begin(&g->list[i].t, g->list[i].d, patience, err);
    for (size_t i = 0; rc == AZR_OK && i < g->n && AZRI_GUARD(DRAIN); i++)
        rc = azri_txn_lock_meta(g->list[i].t, true, err); /* [D-drain] */
    for (size_t i = 0; rc == AZR_OK && i < g->n && AZRI_GUARD(DRAIN); i++) {
        rc = azri_txn_settle(g->list[i].t, err); /* [D-settle] */
        if (rc == AZR_ECORRUPT && force) {
            azri_error_reset(err);
            rc = AZR_OK;
        }
    }
    return rc;
}

void azri_grips_doubt(azri_grips *g, bool replaced)
{
    for (size_t i = 0; i < g->n; i++)
        azri_txn_doubt(g->list[i].t, replaced);
}

void azri_grips_condemn(azri_grips *g, bool replaced)
{
    for (size_t i = 0; i < g->n; i++)
        azri_txn_condemn(g->list[i].t, replaced);
}

void azri_grips_spare(azri_grips *g)
{
    for (size_t i = 0; i < g->n; i++)
        azri_txn_spare(g->list[i].t);
}

/* ------------------------------------------------------------ the search --- */

typedef struct finder {
    azri_grips *g;
    int dir, depth;
    int kind;        /* of the top */
    azr_error why;   /* … is not known */
    uint64_t things; /* directories below it */
    azri_buf path;   /* terminated */
    azr_error *err;
} finder;

static int take_array(finder *f, int dir)
{
    azri_domain *d = NULL;
    struct stat st;
    int rc;

    /* through a link it would be another array's */
    if (azri_sys->fstatat(dir, ".azr", &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? AZR_OK
                               : azri_fail_errno(f->err, AZR_SUB_STAT, errno,
                                                 "stat '%.300s/.azr'",
                                                 (const char *)f->path.data);
    if (!S_ISDIR(st.st_mode))
        return AZR_OK;
    rc = azri_domain_open_at(&d, dir, ".", (const char *)f->path.data, f->err);
    if (rc == AZR_ENOTFOUND)
        return AZR_OK; /* nobody of us has written it, or can */
    if (rc == AZR_OK)
        rc = grips_add(f->g, d, f->err);
    if (rc < 0)
        azri_domain_close(d);
    return rc;
}

/* AZR_NODE_NONE: its document cannot be read, `why` tells. */
int azri_kind_at(int *out, int dir, azr_error *why, azr_error *err)
{
    azri_documents docs = AZRI_DOCUMENTS_INIT;
    int rc = azri_documents_classify(&docs, dir, why);

    *out = rc < 0 ? AZR_NODE_NONE : docs.kind;
    azri_documents_dispose(&docs);
    if (rc != AZR_ENOMEM)
        return AZR_OK;
    return azri_fail_why(err, rc, why, "%s", why->message);
}

/* NOLINTBEGIN(misc-no-recursion): AZR_WALK_DEPTH levels */
static int search(finder *f, int dir);

static int search_one(const char *name, unsigned char d_type, void *arg)
{
    finder *f = arg;
    size_t length = f->path.nbytes;
    int above = f->dir, dir = -1, rc;

    if (strncmp(name, ".azr", 4) == 0 ||
        !azri_is_directory(above, name, d_type))
        return 0;
    f->things++;
    if (f->depth >= AZR_WALK_DEPTH)
        return azri_fail(f->err, AZR_EUNSUPPORTED,
                         "'%.300s': more than %d levels below each other",
                         (const char *)f->path.data, AZR_WALK_DEPTH);
    f->path.nbytes--;
    rc = azri_buf_puts(&f->path, "/", f->err);
    if (rc == AZR_OK)
        rc = azri_buf_append(&f->path, name, strlen(name) + 1, f->err);
    if (rc == AZR_OK)
        rc = azri_open_at(&dir, above, name,
                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, f->err);
    f->depth++;
    if (rc == AZR_OK)
        rc = search(f, dir);
    f->depth--;
    azri_close(dir);
    f->dir = above;
    f->path.nbytes = length;
    f->path.data[length - 1] = '\0';
    return rc == AZR_ENOTFOUND ? AZR_OK : rc;
}

static int search(finder *f, int dir)
{
    azr_error why = AZR_ERROR_INIT;
    int kind = AZR_NODE_NONE;
    int rc = azri_kind_at(&kind, dir, &why, f->err);

    if (rc == AZR_OK)
        rc = take_array(f, dir);
    if (rc < 0)
        return rc;
    if (f->depth == 0) {
        f->kind = kind;
        f->why = why;
    }
    if (kind == AZR_NODE_ARRAY)
        return AZR_OK;
    f->dir = dir;
    return azri_list(dir, ".", search_one, f, f->err);
}

/* NOLINTEND(misc-no-recursion) */

/* ----------------------------------------------------------------- nodes --- */

void azri_whole_close(azri_whole *n)
{
    azri_grips_free(&n->arrays);
    azri_close(n->dir);
    n->dir = -1;
    n->kind = AZR_NODE_NONE;
    n->things = 0;
}

void azri_whole_dispose(azri_whole *n)
{
    azri_whole_close(n);
    azri_place_close(&n->at);
}

/* Open the directory, never through a link. AZR_ENOTFOUND: no message. */
int azri_whole_open(azri_whole *n, azr_error *err)
{
    const azri_place *p = &n->at;
    struct stat st;

    if (azri_sys->fstatat(p->dir, p->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? AZR_ENOTFOUND
                               : azri_fail_errno(err, AZR_SUB_STAT, errno,
                                                 "stat '%s'", p->path);
    if (!S_ISDIR(st.st_mode))
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "'%s' is %s, not a node", p->path,
                             S_ISLNK(st.st_mode) ? "a symbolic link"
                                                 : "not a directory");
    return azri_open_at(&n->dir, p->dir, p->name,
                        O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
}

static int fail_no_more(const azri_whole *n, azr_error *err)
{
    azr_error why;

    if (!err || (err->sys_errno != EMFILE && err->sys_errno != ENFILE))
        return AZR_EIO;
    why = *err;
    azri_error_reset(err);
    return azri_fail_why(err, AZR_EIO, &why,
                         "'%s': every array below it takes three descriptors, "
                         "and after %zu arrays there are no more; raise the "
                         "limit (ulimit -n): %s",
                         n->at.path, n->arrays.n, why.message);
}

/* What it is, and every array below, in hand but not locked yet. */
int azri_whole_search(azri_whole *n, azr_error *err)
{
    finder f = {.g = &n->arrays, .dir = -1, .err = err};
    int rc = azri_buf_append(&f.path, n->at.path, strlen(n->at.path) + 1, err);

    if (rc == AZR_OK)
        rc = search(&f, n->dir);
    if (rc == AZR_EIO)
        rc = fail_no_more(n, err);
    n->kind = f.kind;
    n->why = f.why;
    n->things = f.things;
    azri_buf_dispose(&f.path);
    return rc;
}

int azri_whole_lock(azri_whole *n, const azri_patience *patience, bool force,
                    azr_error *err)
{
    int rc = grips_lock(&n->arrays, patience, force, err);

    return rc == AZR_EIO ? fail_no_more(n, err) : rc;
}

/* Under the flock of the directory above: does the name lead to it still? */
int azri_whole_stands(bool *out, const azri_whole *n, azr_error *err)
{
    struct stat now, was;

    *out = false;
    if (azri_sys->fstatat(n->at.dir, n->at.name, &now, AT_SYMLINK_NOFOLLOW) !=
        0) {
        *out = n->dir < 0;
        return errno == ENOENT ? AZR_OK
                               : azri_fail_errno(err, AZR_SUB_STAT, errno,
                                                 "stat '%s'", n->at.path);
    }
    if (n->dir < 0)
        return AZR_OK;
    if (azri_sys->fstat(n->dir, &was) != 0)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'",
                               n->at.path);
    *out = now.st_dev == was.st_dev && now.st_ino == was.st_ino;
    return AZR_OK;
}

int azri_fail_absent(const azri_whole *n, azr_error *err)
{
    return azri_fail(err, AZR_ENOTFOUND,
                     "no Zarr array or group at '%s': no such directory",
                     n->at.path);
}

int azri_fail_moved(const azri_whole *n, azr_error *err)
{
    return azri_fail(err, AZR_ENOTFOUND,
                     "'%s' was removed, moved or replaced meanwhile",
                     n->at.path);
}
