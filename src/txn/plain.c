/* SPDX-License-Identifier: Apache-2.0 */
/* AZR_SYNC_CHUNK and AZR_SYNC_NONE: what plain Zarr libraries do. One object at
 * a time, replaced by rename; no row, no counters. For comparison, and for bulk
 * work that nobody else is near. */
#include "base/stats.h"
#include "txn/txn_local.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct azri_plain {
    azri_domain *d;
    int fd;
    azri_range range;
};

int azri_plain_lock(azri_plain **out, azri_domain *d, const uint64_t *coords,
                    azr_error *err)
{
    azri_plain *p = azri_calloc(1, sizeof *p);
    uint64_t w = azri_w_offset(azri_domain_state(d), coords);
    int rc;

    if (!p)
        return azri_fail_nomem(err, sizeof *p);
    p->d = d;
    p->range = (azri_range){w, w, true};
    rc = azri_domain_take_fd(d, &p->fd, err);
    if (rc == AZR_OK) {
        rc = azri_ofd_wait(p->fd, &p->range, err);
        if (rc < 0)
            azri_domain_drop_fd(d, p->fd);
    }
    if (rc < 0) {
        azri_free(p);
        return rc;
    }
    *out = p;
    return AZR_OK;
}

void azri_plain_unlock(azri_plain *p)
{
    if (!p)
        return;
    azri_domain_put_fd(
        p->d, p->fd,
        azri_ofd_unlock(p->fd, p->range.first, p->range.last, NULL) == AZR_OK);
    azri_free(p);
}

int azri_plain_replace(azri_domain *d, const char *key, azri_span bytes,
                       azr_error *err)
{
    char name[AZRI_KEY_MAX + 32];
    uint64_t random = 0;
    struct stat st;
    int fd = -1;
    int rc = azri_random(&random, sizeof random, err);

    if (rc < 0)
        return rc;
    (void)snprintf(name, sizeof name, "%s.%016llx.partial", key,
                   (unsigned long long)random);
    rc =
        azri_open_at(&fd, d->dir, name, O_WRONLY | O_CREAT | O_EXCL, 0666, err);
    if (rc == AZR_ENOTFOUND) {
        rc = azri_make_parents(d->dir, key, d->dir_mode, d->dir_gid, NULL, NULL,
                               err);
        if (rc == AZR_OK)
            rc = azri_open_at(&fd, d->dir, name, O_WRONLY | O_CREAT | O_EXCL,
                              0666, err);
    }
    if (rc < 0)
        return rc;
    azri_staged_allocate(d, fd, bytes.nbytes);
    rc = azri_pwrite_full(fd, bytes.data, bytes.nbytes, 0, name, err);
    if (rc == AZR_OK && azri_sys->fstat(fd, &st) == 0)
        rc = azri_fix_owner(fd, &st, d->dir_mode & 0666, d->dir_gid, name, err);
    azri_close(fd);
    if (rc == AZR_OK && azri_sys->renameat2(d->dir, name, d->dir, key, 0) != 0)
        rc = azri_fail_errno(err, AZR_SUB_RENAME, errno, "rename to '%s'", key);
    if (rc < 0) {
        (void)azri_sys->unlinkat(d->dir, name, 0);
        return rc;
    }
    AZRI_COUNT(bytes_written, bytes.nbytes);
    AZRI_COUNT(chunks_written, 1);
    return AZR_OK;
}

int azri_plain_remove(azri_domain *d, const char *key, azr_error *err)
{
    if (azri_sys->unlinkat(d->dir, key, 0) == 0 || errno == ENOENT)
        return AZR_OK;
    return azri_fail_errno(err, AZR_SUB_UNLINK, errno, "remove '%s'", key);
}
