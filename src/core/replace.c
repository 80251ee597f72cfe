/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node that comes to stand in place of another one, or of none: built in the trash
 * beside its target (`trash.h`), and exchanged with what is there in one step.
 */
#include "base/guard.h"
#include "base/log.h"
#include "core/group.h"
#include "core/tree.h"
#include "core/whole.h"
#include "sync/lock_dir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int make_path(azri_build *b, const azri_place *p, azr_error *err)
{
    azri_buf text = AZRI_BUF_INIT;
    const char *above = p->name == p->above ? "." : p->above;
    int rc = azri_buf_puts(&text, above, err);

    if (rc == AZR_OK)
        rc = azri_buf_puts(&text, "/" AZRI_TRASH "/", err);
    if (rc == AZR_OK)
        rc = azri_buf_puts(&text, b->bin.name, err);
    if (rc == AZR_OK)
        rc = azri_buf_puts(&text, "/" AZRI_BIN_NODE, err);
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
    azri_place p = AZRI_PLACE_INIT;
    int lock = -1;
    int rc = azri_place_open(&p, path, err);

    if (rc == AZR_OK)
        rc = azri_place_check(p.dir, path, (o->flags & AZR_OPEN_INSIST) != 0,
                              err);
    if (rc == AZR_OK)
        rc = azri_dir_lock(&lock, p.dir, path, &patience, err);
    if (rc == AZR_OK)
        rc = azri_bin_open(&b->bin, p.dir, path, true, err);
    azri_dir_unlock(lock);
    if (rc == AZR_OK)
        rc = make_path(b, &p, err);
    azri_place_close(&p);
    return rc;
}

static int fail_exchange(const azri_place *p, azr_error *err)
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

static int exchange(const azri_bin *b, const azri_place *p)
{
    if (AZRI_GUARD(EXCHANGE))
        return azri_sys->renameat2(b->dir, AZRI_BIN_NODE, p->dir, p->name,
                                   RENAME_EXCHANGE); /* [X-exchange] */
    if (azri_sys->renameat2(p->dir, p->name, b->dir, "old", 0) != 0)
        return -1;
    return azri_sys->renameat2(b->dir, AZRI_BIN_NODE, p->dir, p->name, 0);
}

/* The flock of the directory above is held. AZR_ECONFLICT (no message): what is
 * there has changed since it was looked at. */
static int come_into_place(const azri_bin *b, azri_whole *n, azr_error *err)
{
    const azri_place *p = &n->at;
    bool stands;
    int rc = azri_whole_stands(&stands, n, err);

    if (rc < 0 || !stands)
        return rc < 0 ? rc : AZR_ECONFLICT;
    if (n->dir < 0) {
        if (azri_sys->renameat2(b->dir, AZRI_BIN_NODE, p->dir, p->name,
                                RENAME_NOREPLACE) != 0)
            return errno == EEXIST ? AZR_ECONFLICT : fail_exchange(p, err);
        return azri_bin_sync(b, p->dir, p->path, err);
    }
    azri_grips_doubt(&n->arrays, true);
    if (exchange(b, p) != 0) {
        rc = fail_exchange(p, err);
        azri_grips_spare(&n->arrays);
        return rc;
    }
    rc = azri_bin_sync(b, p->dir, p->path, err);
    azri_grips_condemn(&n->arrays, true);
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
static int judge_replaced(const azri_whole *n, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    int kind = n->kind;
    bool any = false, stands = false;
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
    rc = azri_kind_at(&kind, n->dir, &why, err);
    if (rc < 0 || is_node(kind)) /* it has become one meanwhile */
        return rc < 0 ? rc : AZR_ECONFLICT;
    rc = azri_whole_stands(&stands, n, err);
    if (rc < 0 || !stands) /* it is being removed: its document went first */
        return rc < 0 ? rc : AZR_ECONFLICT;
    return azri_fail(err, AZR_EEXISTS,
                     "'%s' is no Zarr array or group, and not empty: it is "
                     "not replaced",
                     n->at.path);
}

static int try_publish(azri_build *b, azri_whole *n, bool stale,
                       const azri_patience *patience, azr_error *err)
{
    azri_upkeep_of of = azri_place_upkeep(&n->at, stale);
    azri_upkeep *above = NULL;
    int rc = azri_whole_open(n, err);

    if (rc == AZR_OK) {
        rc = azri_whole_search(n, err);
        if (rc == AZR_OK)
            rc = judge_replaced(n, err);
        if (rc == AZR_OK)
            rc = azri_whole_lock(n, patience, true, err);
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
    azri_whole_close(n);
    azri_upkeep_close(above, rc);
    return rc;
}

/* The name under which it was built is not synced before: coming into place takes
 * it and the path's name together or neither, so a disk that has lost it has the
 * old node at the path. What it is made of was synced while it was built, and
 * azri_bin_sync() follows. */
int azri_build_publish(azri_build *b, const char *path,
                       const azr_open_options *o, azr_error *err)
{
    azri_patience patience = azri_patience_from(o->timeout_ms, o->cancel);
    bool stale = (o->flags & AZR_OPEN_STALE_CONSOLIDATED) != 0;
    azri_whole n = AZRI_WHOLE_INIT;
    int rc = azri_place_open(&n.at, path, err);

    while (rc == AZR_OK) {
        rc = try_publish(b, &n, stale, &patience, err);
        if (rc != AZR_ECONFLICT || (err && err->code != 0))
            break;
        rc = azri_patience_check(&patience);
        if (rc < 0)
            rc = azri_fail(err, rc, "'%s' is replaced by others all the time",
                           path);
    }
    azri_whole_dispose(&n);
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

static int fail_bring(const azri_place *p, azr_error *err)
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
    azri_place p = AZRI_PLACE_INIT;
    int rc = azri_node_at(&kind, &format, from, err);

    if (rc == AZR_OK && !is_node(kind))
        rc = azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                           "'%s' is no Zarr array or group", from);
    if (rc == AZR_OK)
        rc = azri_place_open(&p, from, err);
    if (rc == AZR_OK &&
        azri_sys->renameat2(p.dir, p.name, b->bin.dir, AZRI_BIN_NODE,
                            RENAME_NOREPLACE) != 0)
        rc = fail_bring(&p, err);
    azri_place_close(&p);
    return rc;
}

/* Back under its name, so that who gets an error still has it. If that fails as well
 * it is kept where it stands, and the error says where. */
static int bring_back(azri_build *b, const char *from, int rc, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;

    if (b->bin.dir < 0 ||
        azri_sys->renameat2(b->bin.dir, AZRI_BIN_NODE, AT_FDCWD, from,
                            RENAME_NOREPLACE) == 0)
        return rc;
    azri_bin_keep(&b->bin);
    if (err)
        why = *err;
    azri_error_reset(err);
    return azri_fail_why(err, rc, &why,
                         "'%.200s' could not be put back, it stands at "
                         "'%.200s': %s",
                         from, b->path, why.message);
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
            rc = bring_back(&b, from, rc, err);
    }
    azri_build_end(&b);
    return rc;
}
