/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/lock_dir.h"

#include "base/guard.h"
#include "base/stats.h"
#include "os/file.h"

#include <errno.h>

/* It is held for a document's length, so waiters look again soon, and ever more
 * seldom; the kernel's own waiting knows neither time-out nor cancel. */
#define FIRST_PAUSE_NS INT64_C(200000)
#define MOST_PAUSE_NS  INT64_C(20000000)

static void pause_for(const azri_patience *patience, int64_t ns)
{
    _Atomic uint32_t nothing;
    struct timespec ts;

    ns = azri_patience_slice(patience, ns);
    ts.tv_sec = (time_t)(ns / 1000000000);
    ts.tv_nsec = (long)(ns % 1000000000);
    atomic_init(&nothing, 0);
    (void)azri_sys->futex_wait(&nothing, 0, &ts);
}

static int fail_lock(const char *path, int number, azr_error *err)
{
    if (number == EOPNOTSUPP || number == ENOSYS || number == EBADF)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
                             "the file system of '%s' cannot lock directories",
                             path);
    return azri_fail_errno(err, AZR_SUB_LOCK, number, "lock directory '%s'",
                           path);
}

static int wait_for(int fd, const char *path, const azri_patience *patience,
                    azr_error *err)
{
    int64_t pause = FIRST_PAUSE_NS;

    for (;;) {
        int rc;

        AZRI_COUNT(lock_calls, 1);
        rc = azri_flock_try(fd);
        if (rc == 0)
            return AZR_OK;
        if (rc != EWOULDBLOCK)
            return fail_lock(path, rc, err);
        rc = azri_patience_check(patience);
        if (rc == AZR_EBUSY)
            return azri_fail(err, rc,
                             "'%s': time-out; somebody else holds the lock of "
                             "the directory",
                             path);
        if (rc < 0)
            return azri_fail(err, rc,
                             "'%s': canceled while waiting for the lock of "
                             "the directory",
                             path);
        AZRI_COUNT(lock_waits, 1);
        pause_for(patience, pause);
        if (pause < MOST_PAUSE_NS)
            pause *= 2;
    }
}

int azri_dir_lock(int *out, int dir, const char *path,
                  const azri_patience *patience, azr_error *err)
{
    int fd = -1;
    int rc = azri_open_at(&fd, dir, ".", O_RDONLY | O_DIRECTORY, 0, err);

    if (rc == AZR_ENOTFOUND)
        return azri_fail(err, rc, "'%s' was removed", path);
    if (rc == AZR_OK && AZRI_GUARD(DIR_LOCK))
        rc = wait_for(fd, path, patience, err);
    if (rc < 0) {
        azri_close(fd);
        return rc;
    }
    *out = fd;
    return AZR_OK;
}

void azri_dir_unlock(int lock)
{
    if (lock < 0)
        return;
    /* aloud: a child of a fork may have a copy of the description */
    azri_flock_drop(lock);
    azri_close(lock);
}
