/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes as wholes. Whoever takes one away, or gives it another name, holds META
 * exclusive of every array below, so nobody writes there and no row is in use;
 * then the flock of the directory above, last; and waits for nothing any more.
 * One rename is the commit point of each of the verbs (docs/protocol.md, "Taking
 * things away").
 */
#include "core/tree.h"

#include "base/guard.h"
#include "base/log.h"
#include "core/group.h"
#include "core/upkeep.h"
#include "sync/lock_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------- places --- */

/* The directory above a node, and its name there. */
typedef struct place {
    int dir;
    char *above; /* path of the directory, in one piece with `name` */
    const char *name;
    const char *path; /* the caller's */
} place;
#define PLACE_INIT                                                             \
    {                                                                          \
        -1, NULL, NULL, NULL                                                   \
    }

static void place_close(place *p)
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

static int place_open(place *p, const char *path, azr_error *err)
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

static int check_file_system(int dir, const char *path, bool insist,
                             azr_error *err)
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
static azri_upkeep_of upkeep_of(const place *p, bool stale)
{
    return (azri_upkeep_of){.dir = p->dir,
                            .path = p->path,
                            .mark = true,
                            .stale = stale,
                            .name = p->name};
}

bool azri_is_astray(int dir, const azr_open_options *o)
{
    return !(o->flags & AZRI_OPEN_HIDDEN) && azri_is_discarded(dir, NULL);
}

int azri_fail_disturbed(const char *path, azr_error *err)
{
    struct stat st;

    if (azri_sys->fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(st.st_mode) && azri_sys->fstatat(AT_FDCWD, path, &st, 0) != 0)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "'%s' is a symbolic link that leads nowhere",
                             path);
    return azri_fail(err, AZR_EBUSY,
                     "'%s': others make or remove something here all the time",
                     path);
}

/* ----------------------------------------------------------------- grips --- */

/* The arrays below a node, each with META exclusive. */
typedef struct grip {
    azri_domain *d;
    azri_txn *t;
} grip;

typedef struct grips {
    grip *list;
    size_t n, capacity;
} grips;

static void grips_free(grips *g)
{
    for (size_t i = 0; i < g->n; i++)
        azri_txn_end(g->list[i].t);
    for (size_t i = 0; i < g->n; i++)
        azri_domain_close(g->list[i].d);
    azri_free(g->list);
    *g = (grips){NULL, 0, 0};
}

static int grips_add(grips *g, azri_domain *d, azr_error *err)
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
static int grips_lock(grips *g, const azri_patience *patience, bool force,
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

static void grips_doubt(grips *g, bool replaced)
{
    for (size_t i = 0; i < g->n; i++)
        azri_txn_doubt(g->list[i].t, replaced);
}

static void grips_condemn(grips *g, bool replaced)
{
    for (size_t i = 0; i < g->n; i++)
        azri_txn_condemn(g->list[i].t, replaced);
}

static void grips_spare(grips *g)
{
    for (size_t i = 0; i < g->n; i++)
        azri_txn_spare(g->list[i].t);
}

/* ------------------------------------------------------------ the search --- */

typedef struct finder {
    grips *g;
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
static int kind_of(int *out, int dir, azr_error *why, azr_error *err)
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
    int rc = kind_of(&kind, dir, &why, f->err);

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

/* A node that is to be taken away, or moved. */
typedef struct node {
    place at;
    int dir; /* below 0: there is none */
    int kind;
    azr_error why; /* its kind is not known */
    uint64_t things;
    grips arrays;
} node;
#define NODE_INIT                                                              \
    {                                                                          \
        PLACE_INIT, -1, AZR_NODE_NONE, AZR_ERROR_INIT, 0,                      \
        {                                                                      \
            NULL, 0, 0                                                         \
        }                                                                      \
    }

static void node_close(node *n)
{
    grips_free(&n->arrays);
    azri_close(n->dir);
    n->dir = -1;
    n->kind = AZR_NODE_NONE;
    n->things = 0;
}

static void node_dispose(node *n)
{
    node_close(n);
    place_close(&n->at);
}

/* Open the directory, never through a link. AZR_ENOTFOUND: no message. */
static int node_open(node *n, azr_error *err)
{
    const place *p = &n->at;
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

static int fail_no_more(const node *n, azr_error *err)
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
static int node_search(node *n, azr_error *err)
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

static int node_lock(node *n, const azri_patience *patience, bool force,
                     azr_error *err)
{
    int rc = grips_lock(&n->arrays, patience, force, err);

    return rc == AZR_EIO ? fail_no_more(n, err) : rc;
}

/* Under the flock of the directory above: does the name lead to it still? */
static int node_stands(bool *out, const node *n, azr_error *err)
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

static int fail_absent(const node *n, azr_error *err)
{
    return azri_fail(err, AZR_ENOTFOUND,
                     "no Zarr array or group at '%s': no such directory",
                     n->at.path);
}

static int fail_moved(const node *n, azr_error *err)
{
    return azri_fail(err, AZR_ENOTFOUND,
                     "'%s' was removed, moved or replaced meanwhile",
                     n->at.path);
}

static int judge(const node *n, const azr_tree_options *o, bool removing,
                 azr_error *err)
{
    if (o->flags & AZR_TREE_FORCE)
        return AZR_OK;
    if (n->why.sys_errno != 0)
        return azri_fail_why(err, n->why.code, &n->why,
                             "'%s': its document cannot be read: %s",
                             n->at.path, n->why.message);
    if (n->kind != AZR_NODE_ARRAY && n->kind != AZR_NODE_GROUP)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             n->kind == AZR_NODE_DIRECTORY
                                 ? "'%s' is no Zarr array or group: a "
                                   "directory without a document"
                                 : "'%s': its document cannot be read",
                             n->at.path);
    if (removing && n->kind == AZR_NODE_GROUP && n->things > 0 &&
        !(o->flags & AZR_TREE_RECURSIVE))
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "'%s' is a group with something below it",
                             n->at.path);
    return AZR_OK;
}

/* Up to where nothing is left but the flock of the directory above. */
static int node_take(node *n, const char *path, const azr_tree_options *o,
                     const azri_patience *patience, bool removing,
                     azr_error *err)
{
    int rc = place_open(&n->at, path, err);

    if (rc == AZR_OK)
        rc = node_open(n, err);
    if (rc == AZR_ENOTFOUND)
        return fail_absent(n, err);
    if (rc == AZR_OK)
        rc = check_file_system(n->dir, path, (o->flags & AZR_TREE_INSIST) != 0,
                               err);
    if (rc == AZR_OK)
        rc = node_search(n, err);
    if (rc == AZR_OK)
        rc = judge(n, o, removing, err);
    if (rc == AZR_OK)
        rc = node_lock(n, patience, (o->flags & AZR_TREE_FORCE) != 0, err);
    return rc;
}

/* ---------------------------------------------------------------- remove --- */

#define BIN_NODE "node" /* name of what is in a bin */

static int rename_away(const node *n, const azri_bin *b, azr_error *err)
{
    if (azri_sys->renameat2(n->at.dir, n->at.name, b->dir, BIN_NODE,
                            RENAME_NOREPLACE) == 0) /* [D-rename] */
        return AZR_OK;
    if (errno == EXDEV || errno == EINVAL)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
                             "the file system of '%s' cannot rename it in one "
                             "step: %s",
                             n->at.path,
                             errno == EXDEV ? "it is a mount point, or of a "
                                              "lower layer"
                                            : "no RENAME_NOREPLACE");
    return azri_fail_errno(err, AZR_SUB_RENAME, errno, "rename '%s'",
                           n->at.path);
}

/* Before a file goes: else a power loss could leave half a node in its place. And
 * before `state` says so for good: else it could leave a whole one that nobody can
 * open. Until then the mark says: look where the directory stands. */
static int sync_names(const azri_bin *b, int parent, const char *path,
                      azr_error *err)
{
    int rc = azri_fsync_dir_after(b->dir, path, err);

    if (rc == AZR_OK)
        rc = azri_fsync_dir_after(b->trash, path, err);
    return rc < 0 ? rc : azri_fsync_dir_after(parent, path, err);
}

/* The flock of the directory above is held. */
static int take_away(node *n, azri_bin *b, azr_error *err)
{
    bool stands;
    int rc = node_stands(&stands, n, err);

    if (rc < 0 || !stands)
        return rc < 0 ? rc : fail_moved(n, err);
    rc = azri_bin_open(b, n->at.dir, n->at.path, false, err);
    if (rc < 0)
        return rc;
    grips_doubt(&n->arrays, false);
    rc = rename_away(n, b, err);
    if (rc < 0) {
        grips_spare(&n->arrays);
        return rc;
    }
    rc = sync_names(b, n->at.dir, n->at.path, err);
    grips_condemn(&n->arrays, false);
    return rc;
}

/* What the dead left in the directory; their locks are tried under its own. */
static int collect(int dir, const char *path, const azri_patience *patience,
                   azri_sweep *s, uint64_t *removed_out, azr_error *err)
{
    char last[sizeof((azri_bin *)NULL)->name] = "";

    for (;;) {
        azri_bin b = AZRI_BIN_INIT;
        int lock = -1;
        int rc = azri_dir_lock(&lock, dir, path, patience, err);

        if (rc == AZR_OK)
            rc = azri_bin_claim(&b, dir, err);
        azri_dir_unlock(lock);
        if (rc == AZR_ENOTFOUND)
            return AZR_OK;
        if (rc < 0)
            return rc;
        if (strcmp(b.name, last) == 0) { /* it is listed, and is not there */
            azri_bin_close(&b);
            return AZR_OK;
        }
        memcpy(last, b.name, sizeof last);
        rc = azri_bin_empty(&b, s, err);
        if (rc < 0)
            return rc;
        (*removed_out)++;
    }
}

/* The node is gone already: what cannot be done now is left to the next one. */
static void clean_up(azri_bin *b, int dir, const char *path, azri_sweep *s)
{
    azri_patience now = {0, s->cancel};
    azr_error why = AZR_ERROR_INIT;
    uint64_t removed = 0;
    int rc = azri_bin_empty(b, s, &why);

    if (rc == AZR_OK)
        azri_ignore(collect(dir, path, &now, s, &removed, NULL));
    else
        azri_log(AZR_LOG_WARNING, "'%s' is gone, but not all of its files: %s",
                 path, why.message);
}

int azri_tree_remove(const char *path, const azr_tree_options *o,
                     azr_error *err)
{
    azri_patience patience = azri_patience_from(o->timeout_ms, o->cancel);
    azri_sweep s = {o->cancel, o->progress, o->arg, 0};
    azri_bin b = AZRI_BIN_INIT;
    azri_upkeep *above = NULL;
    azri_upkeep_of of;
    node n = NODE_INIT;
    int rc = node_take(&n, path, o, &patience, true, err);

    of = upkeep_of(&n.at, (o->flags & AZR_TREE_LEAVE_STALE) != 0);
    if (rc == AZR_OK)
        rc = azri_upkeep_open(&above, &of, 1, &patience, err);
    if (rc == AZR_OK)
        rc = take_away(&n, &b, err);
    grips_free(&n.arrays);
    azri_upkeep_close(above);
    if (rc == AZR_OK)
        clean_up(&b, n.at.dir, path, &s);
    else if (b.dir >= 0)
        azri_bin_close(&b);
    node_dispose(&n);
    return rc;
}

int azri_tree_collect(const char *path, uint64_t *removed_out,
                      const azr_tree_options *o, azr_error *err)
{
    azri_patience patience = azri_patience_from(o->timeout_ms, o->cancel);
    azri_sweep s = {o->cancel, o->progress, o->arg, 0};
    struct stat st;
    int dir = -1;
    int rc = azri_open_at(&dir, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);

    *removed_out = 0;
    if (rc == AZR_ENOTFOUND)
        return azri_fail(err, rc, "'%s': no such directory", path);
    /* who has nothing to do needs no lock, nor the right to one */
    if (rc == AZR_OK &&
        azri_sys->fstatat(dir, AZRI_TRASH, &st, AT_SYMLINK_NOFOLLOW) == 0)
        rc = collect(dir, path, &patience, &s, removed_out, err);
    azri_close(dir);
    return rc;
}

/* ------------------------------------------------------------------ move --- */

static int check_device(const place *a, const place *b, azr_error *err)
{
    struct stat x, y;

    if (azri_sys->fstat(a->dir, &x) != 0 || azri_sys->fstat(b->dir, &y) != 0)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'", a->path);
    if (x.st_dev != y.st_dev)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
                             "'%s' and '%s' are on different file systems: "
                             "copy it, and remove the first",
                             a->path, b->path);
    return AZR_OK;
}

static int fail_rename(const place *from, const place *to, azr_error *err)
{
    switch (errno) {
    case EEXIST:
        return azri_fail(err, AZR_EEXISTS, "'%s' exists", to->path);
    case EXDEV:
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
                             "'%s' cannot be renamed to '%s', which is on "
                             "another file system or layer: copy it, and "
                             "remove the first",
                             from->path, to->path);
    case EINVAL:
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "'%s' cannot be moved to '%s': that is below "
                             "itself, or the file system has no "
                             "RENAME_NOREPLACE",
                             from->path, to->path);
    default:
        return azri_fail_errno(err, AZR_SUB_RENAME, errno,
                               "rename '%s' to '%s'", from->path, to->path);
    }
}

static int give_name(const node *n, const place *to, azr_error *err)
{
    bool stands;
    int rc = node_stands(&stands, n, err);

    if (rc < 0 || !stands)
        return rc < 0 ? rc : fail_moved(n, err);
    if (azri_sys->renameat2(n->at.dir, n->at.name, to->dir, to->name,
                            RENAME_NOREPLACE) != 0) /* [M-rename] */
        return fail_rename(&n->at, to, err);
    rc = azri_fsync_dir_after(to->dir, to->path, err);
    return rc < 0 ? rc : azri_fsync_dir_after(n->at.dir, n->at.path, err);
}

static int check_target(const place *to, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    struct stat st;
    int kind = AZR_NODE_NONE;
    int rc = kind_of(&kind, to->dir, &why, err);

    if (rc == AZR_OK && kind == AZR_NODE_ARRAY)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "'%s': what is above it is an array, and nothing "
                             "stands below one",
                             to->path);
    /* before any lock; the rename itself is what decides */
    if (rc == AZR_OK &&
        azri_sys->fstatat(to->dir, to->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return azri_fail(err, AZR_EEXISTS, "'%s' exists", to->path);
    return rc;
}

int azri_tree_move(const char *from, const char *to, const azr_tree_options *o,
                   azr_error *err)
{
    azri_patience patience = azri_patience_from(o->timeout_ms, o->cancel);
    bool stale = (o->flags & AZR_TREE_LEAVE_STALE) != 0;
    azri_upkeep *above = NULL;
    azri_upkeep_of of[2];
    place target = PLACE_INIT;
    node n = NODE_INIT;
    int rc = place_open(&target, to, err);

    if (rc == AZR_OK)
        rc = check_target(&target, err);
    if (rc == AZR_OK)
        rc = node_take(&n, from, o, &patience, false, err);
    if (rc == AZR_OK)
        rc = check_device(&n.at, &target, err);
    of[0] = upkeep_of(&n.at, stale);
    of[1] = upkeep_of(&target, stale);
    if (rc == AZR_OK)
        rc = azri_upkeep_open(&above, of, 2, &patience, err);
    if (rc == AZR_OK)
        rc = give_name(&n, &target, err);
    azri_upkeep_close(above);
    node_dispose(&n);
    place_close(&target);
    return rc;
}

/* --------------------------------------------------------------- replace --- */

static int make_path(azri_build *b, const place *p, azr_error *err)
{
    azri_buf text = AZRI_BUF_INIT;
    const char *above = p->name == p->above ? "." : p->above;
    int rc = azri_buf_puts(&text, above, err);

    if (rc == AZR_OK)
        rc = azri_buf_puts(&text, "/" AZRI_TRASH "/", err);
    if (rc == AZR_OK)
        rc = azri_buf_puts(&text, b->bin.name, err);
    if (rc == AZR_OK)
        rc = azri_buf_puts(&text, "/" BIN_NODE, err);
    if (rc == AZR_OK)
        rc = azri_buf_terminate(&text, err);
    if (rc == AZR_OK) {
        b->path = (char *)text.data;
        text.data = NULL;
    }
    azri_buf_dispose(&text);
    return rc;
}

int azri_build_begin(azri_build *b, const char *path, const azr_open_options *o,
                     azr_error *err)
{
    azri_patience patience = azri_patience_from(o->timeout_ms, o->cancel);
    place p = PLACE_INIT;
    int lock = -1;
    int rc = place_open(&p, path, err);

    if (rc == AZR_OK)
        rc = check_file_system(p.dir, path, (o->flags & AZR_OPEN_INSIST) != 0,
                               err);
    if (rc == AZR_OK)
        rc = azri_dir_lock(&lock, p.dir, path, &patience, err);
    if (rc == AZR_OK)
        rc = azri_bin_open(&b->bin, p.dir, path, true, err);
    azri_dir_unlock(lock);
    if (rc == AZR_OK)
        rc = make_path(b, &p, err);
    place_close(&p);
    return rc;
}

static int fail_exchange(const place *p, azr_error *err)
{
    if (errno == EINVAL || errno == EXDEV || errno == ENOSYS ||
        errno == EOPNOTSUPP)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
                             "the file system of '%s' cannot exchange two "
                             "directories in one step; remove it first, then "
                             "create it",
                             p->path);
    return azri_fail_errno(err, AZR_SUB_RENAME, errno, "replace '%s'", p->path);
}

static int exchange(const azri_bin *b, const place *p)
{
    if (AZRI_GUARD(EXCHANGE))
        return azri_sys->renameat2(b->dir, BIN_NODE, p->dir, p->name,
                                   RENAME_EXCHANGE); /* [X-exchange] */
    if (azri_sys->renameat2(p->dir, p->name, b->dir, "old", 0) != 0)
        return -1;
    return azri_sys->renameat2(b->dir, BIN_NODE, p->dir, p->name, 0);
}

/* The flock of the directory above is held. AZR_ECONFLICT (no message): what is
 * there has changed since it was looked at. */
static int come_into_place(const azri_bin *b, node *n, azr_error *err)
{
    const place *p = &n->at;
    bool stands;
    int rc = node_stands(&stands, n, err);

    if (rc < 0 || !stands)
        return rc < 0 ? rc : AZR_ECONFLICT;
    if (n->dir < 0) {
        if (azri_sys->renameat2(b->dir, BIN_NODE, p->dir, p->name,
                                RENAME_NOREPLACE) != 0)
            return errno == EEXIST ? AZR_ECONFLICT : fail_exchange(p, err);
        return sync_names(b, p->dir, p->path, err);
    }
    grips_doubt(&n->arrays, true);
    if (exchange(b, p) != 0) {
        rc = fail_exchange(p, err);
        grips_spare(&n->arrays);
        return rc;
    }
    rc = sync_names(b, p->dir, p->path, err);
    grips_condemn(&n->arrays, true);
    return rc;
}

static bool is_node(int kind)
{
    return kind == AZR_NODE_ARRAY || kind == AZR_NODE_GROUP;
}

/* What a creator has made before there is a node. */
static bool is_beginning(const char *name)
{
    size_t n = strlen(name);

    return strcmp(name, ".azr") == 0 || strcmp(name, ".zattrs") == 0 ||
           (n > 8 && strcmp(name + n - 8, ".partial") == 0);
}

static int note_any(const char *name, unsigned char d_type, void *arg)
{
    bool *any = arg;

    (void)d_type;
    *any = !is_beginning(name);
    return *any;
}

/* May it be replaced? A node, one in the making, or a directory in which nothing
 * is. */
static int judge_replaced(const node *n, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    int kind = n->kind;
    bool any = false;
    int rc;

    if (is_node(kind))
        return AZR_OK;
    if (n->why.sys_errno != 0)
        return azri_fail_why(err, n->why.code, &n->why,
                             "'%s': its document cannot be read: %s",
                             n->at.path, n->why.message);
    rc = azri_list(n->dir, ".", note_any, &any, err);
    if (rc < 0 || !any)
        return rc < 0 ? rc : AZR_OK;
    rc = kind_of(&kind, n->dir, &why, err);
    if (rc < 0 || is_node(kind)) /* it has become one meanwhile */
        return rc < 0 ? rc : AZR_ECONFLICT;
    return azri_fail(err, AZR_EEXISTS,
                     "'%s' is no Zarr array or group, and not empty: it is "
                     "not replaced",
                     n->at.path);
}

static int try_publish(azri_build *b, node *n, bool stale,
                       const azri_patience *patience, azr_error *err)
{
    azri_upkeep_of of = upkeep_of(&n->at, stale);
    azri_upkeep *above = NULL;
    int rc = node_open(n, err);

    if (rc == AZR_OK) {
        rc = node_search(n, err);
        if (rc == AZR_OK)
            rc = judge_replaced(n, err);
        if (rc == AZR_OK)
            rc = node_lock(n, patience, true, err);
        if (rc == AZR_ENOTFOUND) { /* somebody else was first */
            azri_error_reset(err);
            rc = AZR_ECONFLICT;
        }
    } else if (rc == AZR_ENOTFOUND) {
        rc = AZR_OK;
    }
    if (rc == AZR_OK)
        rc = azri_upkeep_open(&above, &of, 1, patience, err);
    if (rc == AZR_OK)
        rc = come_into_place(&b->bin, n, err);
    node_close(n);
    azri_upkeep_close(above);
    return rc;
}

int azri_build_publish(azri_build *b, const char *path,
                       const azr_open_options *o, azr_error *err)
{
    azri_patience patience = azri_patience_from(o->timeout_ms, o->cancel);
    bool stale = (o->flags & AZR_OPEN_STALE_CONSOLIDATED) != 0;
    node n = NODE_INIT;
    int rc = place_open(&n.at, path, err);

    if (rc == AZR_OK)
        rc = azri_fsync_dir(b->bin.dir, ".", err);
    while (rc == AZR_OK) {
        rc = try_publish(b, &n, stale, &patience, err);
        if (rc != AZR_ECONFLICT || (err && err->code != 0))
            break;
        rc = azri_patience_check(&patience);
        if (rc < 0)
            rc = azri_fail(err, rc, "'%s' is replaced by others all the time",
                           path);
    }
    node_dispose(&n);
    return rc;
}

void azri_build_end(azri_build *b)
{
    azri_sweep s = {NULL, NULL, NULL, 0};
    azr_error why = AZR_ERROR_INIT;

    if (b->bin.dir >= 0 && azri_bin_empty(&b->bin, &s, &why) < 0)
        azri_log(AZR_LOG_WARNING, "what was replaced is not all gone: %s",
                 why.message);
    azri_free(b->path);
    b->path = NULL;
}

static int fail_bring(const place *p, azr_error *err)
{
    if (errno == EXDEV)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
                             "'%s' is on another file system than what it is "
                             "to replace",
                             p->path);
    return azri_fail_errno(err, AZR_SUB_RENAME, errno, "rename '%s'", p->path);
}

/* Built somewhere else; from here on the maker of `b` is its maker: if he dies it
 * is rubbish, and what is at its target stays. No lock of its arrays is taken:
 * nobody else uses them. */
static int bring(azri_build *b, const char *from, azr_error *err)
{
    int kind = AZR_NODE_NONE, format = 0;
    place p = PLACE_INIT;
    int rc = azri_node_at(&kind, &format, from, err);

    if (rc == AZR_OK && !is_node(kind))
        rc = azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                           "'%s' is no Zarr array or group", from);
    if (rc == AZR_OK)
        rc = place_open(&p, from, err);
    if (rc == AZR_OK && azri_sys->renameat2(p.dir, p.name, b->bin.dir, BIN_NODE,
                                            RENAME_NOREPLACE) != 0)
        rc = fail_bring(&p, err);
    place_close(&p);
    return rc;
}

/* Back under its name, so that who gets an error still has it. */
static void bring_back(const azri_build *b, const char *from)
{
    azr_error why = AZR_ERROR_INIT;

    if (b->bin.dir < 0 || azri_sys->renameat2(b->bin.dir, BIN_NODE, AT_FDCWD,
                                              from, RENAME_NOREPLACE) == 0)
        return;
    azri_ignore(azri_fail_errno(&why, AZR_SUB_RENAME, errno,
                                "put '%.200s' back", from));
    azri_log(AZR_LOG_WARNING, "%s", why.message);
}

int azri_tree_replace(const char *from, const char *to,
                      const azr_tree_options *o, azr_error *err)
{
    azr_open_options building = AZR_OPEN_OPTIONS_INIT;
    azri_build b = AZRI_BUILD_INIT;
    int rc;

    building.timeout_ms = o->timeout_ms;
    building.cancel = o->cancel;
    if (o->flags & AZR_TREE_INSIST)
        building.flags |= AZR_OPEN_INSIST;
    if (o->flags & AZR_TREE_LEAVE_STALE)
        building.flags |= AZR_OPEN_STALE_CONSOLIDATED;
    rc = azri_build_begin(&b, to, &building, err);
    if (rc == AZR_OK)
        rc = bring(&b, from, err);
    if (rc == AZR_OK) {
        rc = azri_build_publish(&b, to, &building, err);
        /* unknown: it stands at `to`, and what it replaced is in the trash */
        if (rc < 0 && rc != AZR_EUNKNOWN)
            bring_back(&b, from);
    }
    azri_build_end(&b);
    return rc;
}
