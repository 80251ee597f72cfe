/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/lock_ofd.h"

#include "base/stats.h"
#include "os/sys.h"

#include <errno.h>

static struct flock flock_of(const azri_range *r, short type)
{
    struct flock fl = {
        .l_type = type,
        .l_whence = SEEK_SET,
        .l_start = (off_t)r->first,
        .l_len = (off_t)(r->last - r->first + 1),
    };

    return fl;
}

static short type_of(const azri_range *r)
{
    return r->exclusive ? F_WRLCK : F_RDLCK;
}

static int call(int fd, int cmd, struct flock *fl)
{
    int rc;

    AZRI_COUNT(lock_calls, 1);
    do {
        rc = azri_sys->lock(fd, cmd, fl);
    } while (rc != 0 && errno == EINTR);
    return rc;
}

int azri_ofd_try(int fd, const azri_range *r, azr_error *err)
{
    struct flock fl = flock_of(r, type_of(r));

    if (call(fd, F_OFD_SETLK, &fl) == 0)
        return AZR_OK;
    if (errno == EAGAIN || errno == EACCES)
        return AZR_EBUSY;
    return azri_fail_errno(err, AZR_SUB_LOCK, errno, "lock .azr/state");
}

int azri_ofd_wait(int fd, const azri_range *r, azr_error *err)
{
    struct flock fl = flock_of(r, type_of(r));

    if (call(fd, F_OFD_SETLKW, &fl) == 0)
        return AZR_OK;
    return azri_fail_errno(err, AZR_SUB_LOCK, errno, "lock .azr/state");
}

int azri_ofd_unlock(int fd, uint64_t first, uint64_t last, azr_error *err)
{
    azri_range r = {first, last, false};
    struct flock fl = flock_of(&r, F_UNLCK);

    if (call(fd, F_OFD_SETLK, &fl) == 0)
        return AZR_OK;
    return azri_fail_errno(err, AZR_SUB_LOCK, errno, "unlock .azr/state");
}

bool azri_ofd_conflict(int fd, const azri_range *r, azri_range *theirs)
{
    struct flock fl = flock_of(r, type_of(r));

    if (call(fd, F_OFD_GETLK, &fl) != 0 || fl.l_type == F_UNLCK)
        return false;
    theirs->first = (uint64_t)fl.l_start;
    theirs->last =
        fl.l_len > 0 ? (uint64_t)(fl.l_start + fl.l_len - 1) : UINT64_MAX;
    theirs->exclusive = fl.l_type == F_WRLCK;
    return true;
}

bool azri_ofd_busy(int fd, const azri_range *r)
{
    azri_range theirs;

    return azri_ofd_conflict(fd, r, &theirs);
}
