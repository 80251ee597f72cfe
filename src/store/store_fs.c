/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_fs.h"

#include "base/alloc.h"
#include "os/file.h"

#include <errno.h>
#include <string.h>

typedef struct store_fs {
    azr_store base;
    int dir;
} store_fs;

static int dir_of(azr_store *s)
{
    void *p = s; /* base is the first member */

    return ((store_fs *)p)->dir;
}

static void describe(azr_object *o, const struct stat *st)
{
    azri_identity id = azri_identity_of(st);

    o->id.dev = id.dev;
    o->id.ino = id.ino;
    o->id.nbytes = id.nbytes;
    o->id.mtime_ns = id.mtime_ns;
    o->id.ctime_ns = id.ctime_ns;
    o->mode = st->st_mode & 07777;
    o->gid = st->st_gid;
}

static int fs_open(azr_store *s, const char *key, azr_object *out,
                   azr_error *err)
{
    struct stat st;
    int fd = -1;
    int rc = azri_open_regular(&fd, &st, dir_of(s), key, err);

    if (rc < 0)
        return rc;
    out->handle = fd;
    describe(out, &st);
    return AZR_OK;
}

static int fs_read(azr_store *s, const azr_object *o, void *dst, size_t n,
                   uint64_t offset, const char *key, azr_error *err)
{
    (void)s;
    return azri_pread_full((int)o->handle, dst, n, offset, key, err);
}

static void fs_close(azr_store *s, azr_object *o)
{
    (void)s;
    azri_close((int)o->handle);
    o->handle = -1;
}

static int fs_identify(azr_store *s, const char *key, azr_object *out,
                       azr_error *err)
{
    struct stat st;

    if (azri_sys->fstatat(dir_of(s), key, &st, 0) != 0) {
        if (errno == ENOENT)
            return AZR_ENOTFOUND;
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'", key);
    }
    if (!S_ISREG(st.st_mode))
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                             "'%s' is not a regular file", key);
    describe(out, &st);
    return AZR_OK;
}

static void fs_free(azr_store *s)
{
    azri_free(s);
}

static const azr_store_ops fs_ops = {
    .name = "fs",
    .capabilities = AZR_STORE_STABLE_OBJECTS | AZR_STORE_ATOMIC_REPLACE |
                    AZR_STORE_LOCAL_FILES,
    .open = fs_open,
    .read = fs_read,
    .close = fs_close,
    .identify = fs_identify,
    .free = fs_free,
};

int azri_store_fs_new(azr_store **out, int dir, azr_error *err)
{
    store_fs *s = azri_calloc(1, sizeof *s);

    if (!s)
        return azri_fail_nomem(err, sizeof *s);
    s->base.ops = &fs_ops;
    s->dir = dir;
    *out = &s->base;
    return AZR_OK;
}
