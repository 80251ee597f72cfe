/* SPDX-License-Identifier: Apache-2.0 */
/* The documents of nodes, as who lists them sees them; those that have no `.azr`
 * are replaced whole. */
#include "core/group.h"

#include "base/guard.h"
#include "txn/layout.h"
#include "txn/txn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void azri_documents_dispose(azri_documents *docs)
{
    azri_buf_dispose(&docs->text);
    azri_buf_dispose(&docs->attributes);
}

azri_node azri_documents_node(const azri_documents *docs)
{
    azri_node n = {docs->format, azri_buf_span(&docs->text),
                   azri_buf_span(&docs->attributes)};

    return n;
}

static int has(int dir, const char *key, bool *out, azr_error *err)
{
    struct stat st;

    *out = azri_sys->fstatat(dir, key, &st, 0) == 0;
    if (*out || errno == ENOENT || errno == ELOOP)
        return AZR_OK;
    return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'", key);
}

/* Text of one document; absent: AZR_OK and nothing. */
static int load(azri_buf *out, azri_identity *id, int dir, const char *key,
                azr_error *err)
{
    int rc = azri_read_file(out, id, dir, key, AZRI_JSON_MAX_NBYTES, err);

    if (rc == AZR_ECORRUPT && err)
        err->sub = AZR_SUB_METADATA; /* whatever the file was taken for */
    return rc;
}

/* ------------------------------------------------------ what is not there yet --- */

#define LOOK_MS 10000 /* for a row that is being written */

static int read_object(azri_buf *out, azr_store *store, azr_object *o,
                       const char *key, azr_error *err)
{
    size_t nbytes = (size_t)o->id.nbytes;
    int rc;

    if (o->id.nbytes > AZRI_JSON_MAX_NBYTES)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_METADATA,
                             "'%s' has %llu bytes, at most %zu are read", key,
                             (unsigned long long)o->id.nbytes,
                             AZRI_JSON_MAX_NBYTES);
    rc = azri_buf_reserve(out, nbytes + 1, err);
    if (rc == AZR_OK)
        rc = store->ops->read(store, o, out->data, nbytes, 0, key, err);
    if (rc == AZR_OK)
        out->nbytes = nbytes;
    return rc;
}

/* AZR_ENOTFOUND: no row names it, and it is not in place either. */
static int read_through(azri_buf *out, azri_domain *d, azri_view *v,
                        unsigned kind, const char *key, azr_error *err)
{
    azr_store *store = azri_domain_store(d);
    azr_object o = AZR_OBJECT_INIT;
    int rc = azri_view_open_document(v, kind, key, &o, err);

    if (rc < 0)
        return rc;
    rc = read_object(out, store, &o, key, err);
    store->ops->close(store, &o);
    return rc;
}

static int find_in_view(azri_documents *out, azri_domain *d, azri_view *v,
                        azr_error *err)
{
    int rc = read_through(&out->text, d, v, AZRI_ENTRY_V3, "zarr.json", err);

    out->format = 3;
    if (rc == AZR_ENOTFOUND) {
        out->format = 2;
        rc = read_through(&out->text, d, v, AZRI_ENTRY_ZARRAY, ".zarray", err);
        if (rc == AZR_OK)
            rc = read_through(&out->attributes, d, v, AZRI_ENTRY_ZATTRS,
                              ".zattrs", err);
        else
            out->format = 0;
        if (rc == AZR_ENOTFOUND)
            rc = AZR_OK;
    }
    if (rc == AZR_OK && out->format != 0)
        out->kind = AZR_NODE_ARRAY;
    return rc;
}

static int find_in_rows(azri_documents *out, azri_domain *d, azr_error *err)
{
    azri_patience patience = azri_patience_from(LOOK_MS, NULL);
    azri_view *v = NULL;
    int rc = azri_view_new(&v, d, &patience, err);

    if (rc == AZR_OK)
        rc = azri_view_look(v, err);
    if (rc == AZR_OK)
        rc = find_in_view(out, d, v, err);
    azri_view_free(v);
    return rc;
}

/* An array that a transaction has created is there from the commit on, also if who
 * committed it died before the document was in its place. A `state` that cannot be
 * read promises nothing. */
static int find_unborn(azri_documents *out, int dir, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    azri_domain *d = NULL;
    bool there = false;
    int rc = has(dir, ".azr/state", &there, err);

    if (rc < 0 || !there || !AZRI_GUARD(FIND_IN_ROW))
        return rc;
    rc = azri_domain_open_dir(&d, dir, ".", 0, &why);
    if (rc == AZR_OK)
        rc = azri_domain_has_state(d, &there, &why);
    if (rc == AZR_OK && there)
        rc = find_in_rows(out, d, &why);
    azri_domain_close(d);
    if (rc == AZR_ECORRUPT || rc == AZR_ENOTFOUND)
        return AZR_OK;
    return rc < 0 ? azri_fail_why(err, rc, &why, "%s", why.message) : rc;
}

int azri_documents_classify(azri_documents *out, int dir, azr_error *err)
{
    bool array, group;
    int rc = load(&out->text, &out->text_id, dir, "zarr.json", err);

    if (rc != AZR_ENOTFOUND) {
        out->format = 3;
        if (rc == AZR_OK)
            rc = azri_node_kind(&out->kind, azri_buf_span(&out->text), err);
        return rc;
    }
    rc = has(dir, ".zarray", &array, err);
    if (rc == AZR_OK)
        rc = has(dir, ".zgroup", &group, err);
    if (rc < 0)
        return rc;
    out->kind = array   ? AZR_NODE_ARRAY
                : group ? AZR_NODE_GROUP
                        : AZR_NODE_DIRECTORY;
    out->format = array || group ? 2 : 0;
    return array || group ? AZR_OK : find_unborn(out, dir, err);
}

int azri_documents_load(azri_documents *out, int dir, azr_error *err)
{
    const char *key;
    int rc = azri_documents_classify(out, dir, err);

    if (rc < 0 || out->format != 2 || out->text.nbytes > 0)
        return rc;
    key = out->kind == AZR_NODE_ARRAY ? ".zarray" : ".zgroup";
    rc = load(&out->text, &out->text_id, dir, key, err);
    if (rc == AZR_ENOTFOUND)
        return azri_fail(err, rc, "'%s' was removed", key);
    if (rc == AZR_OK)
        rc = load(&out->attributes, &out->attributes_id, dir, ".zattrs", err);
    return rc == AZR_ENOTFOUND ? AZR_OK : rc;
}

int azri_documents_refuse(int dir, const char *path, azr_error *err)
{
    static const char *const nodes[] = {"zarr.json", ".zarray", ".zgroup"};

    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
        bool there;
        int rc = has(dir, nodes[i], &there, err);

        if (rc < 0)
            return rc;
        if (there)
            return azri_fail(err, AZR_EEXISTS, "'%s' exists: it has '%s'", path,
                             nodes[i]);
    }
    return AZR_OK;
}

/* ---------------------------------------------------------------- change --- */

/* The lock is held, so a file of this name was left by somebody who died. */
static int write_beside(const azri_put *put, const char *name, azri_span text,
                        azr_error *err)
{
    struct stat st, of_dir;
    int fd = -1, rc;

    if (azri_sys->unlinkat(put->dir, name, 0) != 0 && errno != ENOENT)
        return azri_fail_errno(err, AZR_SUB_UNLINK, errno, "remove '%s/%s'",
                               put->path, name);
    rc = azri_open_at(&fd, put->dir, name, O_WRONLY | O_CREAT | O_EXCL, 0666,
                      err);
    if (rc == AZR_ENOTFOUND)
        return azri_fail(err, rc, "'%s' was removed", put->path);
    if (rc == AZR_OK && azri_sys->fstat(put->dir, &of_dir) == 0 &&
        azri_sys->fstat(fd, &st) == 0)
        rc = azri_fix_owner(fd, &st, of_dir.st_mode & 0666, of_dir.st_gid, name,
                            err);
    if (rc == AZR_OK)
        rc = azri_pwrite_full(fd, text.data, text.nbytes, 0, name, err);
    if (rc == AZR_OK)
        rc = azri_fsync_fd(fd, name, err);
    azri_close(fd);
    return rc;
}

static int fail_foreign(const azri_put *put, azr_error *err)
{
    return azri_fail_sub(err, AZR_ECONFLICT, AZR_SUB_FOREIGN,
                         "'%s/%s' was changed by a program that does not "
                         "take part; nothing changed",
                         put->path, put->key);
}

/* What was read must be what is about to be replaced. */
static int check_foreign(const azri_put *put, azr_error *err)
{
    azri_identity now;
    struct stat st;

    if (azri_sys->fstatat(put->dir, put->key, &st, 0) != 0) {
        if (errno != ENOENT)
            return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'",
                                   put->key);
        return put->seen ? fail_foreign(put, err) : AZR_OK;
    }
    now = azri_identity_of(&st);
    if (!put->seen || !azri_identity_same(put->seen, &now))
        return fail_foreign(put, err);
    return AZR_OK;
}

int azri_document_put(const azri_put *put, azri_span text, azr_error *err)
{
    unsigned flags = put->mode == AZRI_PUT_NEW ? RENAME_NOREPLACE : 0;
    char name[32];
    int rc;

    (void)snprintf(name, sizeof name, "%s.partial", put->key);
    rc = write_beside(put, name, text, err);
    if (rc == AZR_OK && put->mode == AZRI_PUT_OVER)
        rc = check_foreign(put, err);
    if (rc == AZR_OK &&
        azri_sys->renameat2(put->dir, name, put->dir, put->key, flags) != 0)
        rc = errno == EEXIST
                 ? AZR_EEXISTS
                 : azri_fail_errno(err, AZR_SUB_RENAME, errno, "make '%s/%s'",
                                   put->path, put->key);
    if (rc < 0) {
        (void)azri_sys->unlinkat(put->dir, name, 0);
        return rc;
    }
    /* what is only a preparation has not happened if its sync failed */
    return put->mode == AZRI_PUT_ANYHOW
               ? azri_fsync_dir(put->dir, ".", err)
               : azri_fsync_dir_after(put->dir, put->path, err);
}
