/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes as wholes. Whoever takes one away, or gives it another name, holds META
 * exclusive of every array below, so nobody writes there and no row is in use;
 * then the flock of the directory above, last; and waits for nothing any more.
 * One rename is the commit point of each of the verbs (docs/protocol.md, "Taking
 * things away").
 */
#include "core/tree.h"

#include "base/log.h"
#include "core/whole.h"
#include "sync/lock_dir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

/* ------------------------------------------------------- up to the rename --- */

static int judge(const azri_whole *n, const azr_tree_options *o, bool removing,
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
static int node_take(azri_whole *n, const char *path, const azr_tree_options *o,
                     const azri_patience *patience, bool removing,
                     azr_error *err)
{
    int rc = azri_place_open(&n->at, path, err);

    if (rc == AZR_OK)
        rc = azri_whole_open(n, err);
    if (rc == AZR_ENOTFOUND)
        return azri_fail_absent(n, err);
    if (rc == AZR_OK)
        rc = azri_place_check(n->dir, path, (o->flags & AZR_TREE_INSIST) != 0,
                              err);
    if (rc == AZR_OK)
        rc = azri_whole_search(n, err);
    if (rc == AZR_OK)
        rc = judge(n, o, removing, err);
    if (rc == AZR_OK)
        rc =
            azri_whole_lock(n, patience, (o->flags & AZR_TREE_FORCE) != 0, err);
    return rc;
}

/* ---------------------------------------------------------------- remove --- */

static int rename_away(const azri_whole *n, const azri_bin *b, azr_error *err)
{
    if (azri_sys->renameat2(n->at.dir, n->at.name, b->dir, AZRI_BIN_NODE,
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

/* The flock of the directory above is held. */
static int take_away(azri_whole *n, azri_bin *b, azr_error *err)
{
    bool stands;
    int rc = azri_whole_stands(&stands, n, err);

    if (rc < 0 || !stands)
        return rc < 0 ? rc : azri_fail_moved(n, err);
    rc = azri_bin_open(b, n->at.dir, n->at.path, false, err);
    if (rc < 0)
        return rc;
    azri_grips_doubt(&n->arrays, false);
    rc = rename_away(n, b, err);
    if (rc < 0) {
        azri_grips_spare(&n->arrays);
        return rc;
    }
    rc = azri_bin_sync(b, n->at.dir, n->at.path, err);
    azri_grips_condemn(&n->arrays, false);
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
    azri_whole n = AZRI_WHOLE_INIT;
    int rc = node_take(&n, path, o, &patience, true, err);

    of = azri_place_upkeep(&n.at, (o->flags & AZR_TREE_LEAVE_STALE) != 0);
    if (rc == AZR_OK)
        rc = azri_upkeep_open(&above, &of, 1, &patience, err);
    if (rc == AZR_OK)
        rc = take_away(&n, &b, err);
    azri_grips_free(&n.arrays);
    azri_upkeep_close(above, rc);
    if (rc == AZR_OK)
        clean_up(&b, n.at.dir, path, &s);
    else if (b.dir >= 0)
        azri_bin_close(&b);
    azri_whole_dispose(&n);
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

static int check_device(const azri_place *a, const azri_place *b,
                        azr_error *err)
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

static int fail_rename(const azri_place *from, const azri_place *to,
                       azr_error *err)
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

static int give_name(const azri_whole *n, const azri_place *to, azr_error *err)
{
    bool stands;
    int rc = azri_whole_stands(&stands, n, err);

    if (rc < 0 || !stands)
        return rc < 0 ? rc : azri_fail_moved(n, err);
    if (azri_sys->renameat2(n->at.dir, n->at.name, to->dir, to->name,
                            RENAME_NOREPLACE) != 0) /* [M-rename] */
        return fail_rename(&n->at, to, err);
    rc = azri_fsync_dir_after(to->dir, to->path, err);
    return rc < 0 ? rc : azri_fsync_dir_after(n->at.dir, n->at.path, err);
}

static int check_target(const azri_place *to, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    struct stat st;
    int kind = AZR_NODE_NONE;
    int rc = azri_kind_at(&kind, to->dir, &why, err);

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
    azri_place target = AZRI_PLACE_INIT;
    azri_whole n = AZRI_WHOLE_INIT;
    int rc = azri_place_open(&target, to, err);

    if (rc == AZR_OK)
        rc = check_target(&target, err);
    if (rc == AZR_OK)
        rc = node_take(&n, from, o, &patience, false, err);
    if (rc == AZR_OK)
        rc = check_device(&n.at, &target, err);
    of[0] = azri_place_upkeep(&n.at, stale);
    of[1] = azri_place_upkeep(&target, stale);
    if (rc == AZR_OK)
        rc = azri_upkeep_open(&above, of, 2, &patience, err);
    if (rc == AZR_OK)
        rc = give_name(&n, &target, err);
    azri_upkeep_close(above, rc);
    azri_whole_dispose(&n);
    azri_place_close(&target);
    return rc;
}
