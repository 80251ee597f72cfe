/* SPDX-License-Identifier: Apache-2.0 */
#include "os/file.h"

#include "base/guard.h"
#include "os/host.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int64_t ns_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

azri_identity azri_identity_of(const struct stat *st)
{
    azri_identity id = {
        .dev = st->st_dev,
        .ino = st->st_ino,
        .nbytes = (uint64_t)st->st_size,
        .mtime_ns = ns_of(st->st_mtim),
        .ctime_ns = ns_of(st->st_ctim),
    };

    return id;
}

bool azri_identity_same(const azri_identity *a, const azri_identity *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->nbytes == b->nbytes &&
           a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

int azri_open_at(int *fd_out, int dir, const char *path, int flags, mode_t mode,
                 azr_error *err)
{
    int fd;

    do {
        fd = azri_sys->openat(dir, path, flags, mode);
    } while (fd < 0 && errno == EINTR);
    *fd_out = fd;
    if (fd >= 0)
        return AZR_OK;
    if (errno == ENOENT)
        return AZR_ENOTFOUND;
    return azri_fail_errno(err, AZR_SUB_OPEN, errno, "open '%s'", path);
}

int azri_open_regular(int *fd_out, struct stat *st, int dir, const char *path,
                      azr_error *err)
{
    int fd = -1;
    int rc =
        azri_open_at(&fd, dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, err);

    *fd_out = -1;
    if (rc < 0)
        return rc;
    if (azri_sys->fstat(fd, st) != 0) {
        rc = azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'", path);
        azri_close(fd);
        return rc;
    }
    if (!S_ISREG(st->st_mode)) {
        azri_close(fd);
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                             "'%s' is not a regular file", path);
    }
    *fd_out = fd;
    return AZR_OK;
}

void azri_close(int fd)
{
    if (fd >= 0)
        (void)azri_sys->close(fd);
}

int azri_pread_full(int fd, void *buf, size_t n, uint64_t off, const char *name,
                    azr_error *err)
{
    uint8_t *p = buf;

    while (n > 0) {
        ssize_t got = azri_sys->pread(fd, p, n, (off_t)off);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return azri_fail_errno(err, AZR_SUB_READ, errno, "read '%s'", name);
        if (got == 0)
            return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                                 "'%s' ends %zu bytes too early", name, n);
        p += got;
        n -= (size_t)got;
        off += (uint64_t)got;
    }
    return AZR_OK;
}

int azri_pwrite_full(int fd, const void *buf, size_t n, uint64_t off,
                     const char *name, azr_error *err)
{
    const uint8_t *p = buf;

    while (n > 0) {
        ssize_t put = azri_sys->pwrite(fd, p, n, (off_t)off);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return azri_fail_errno(err, AZR_SUB_WRITE, put < 0 ? errno : EIO,
                                   "write '%s'", name);
        p += put;
        n -= (size_t)put;
        off += (uint64_t)put;
    }
    return AZR_OK;
}

int azri_read_file(azri_buf *out, azri_identity *id, int dir, const char *path,
                   size_t limit, azr_error *err)
{
    struct stat st;
    int fd = -1;
    int rc = azri_open_regular(&fd, &st, dir, path, err);

    if (rc < 0)
        return rc;
    out->nbytes = 0;
    if ((uint64_t)st.st_size > limit) {
        rc = azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_METADATA,
                           "'%s' has %lld bytes, more than %zu", path,
                           (long long)st.st_size, limit);
        goto done;
    }
    rc = azri_buf_reserve(out, (size_t)st.st_size + 1, err);
    if (rc < 0)
        goto done;
    rc = azri_pread_full(fd, out->data, (size_t)st.st_size, 0, path, err);
    if (rc < 0)
        goto done;
    out->nbytes = (size_t)st.st_size;
    if (id)
        *id = azri_identity_of(&st);
done:
    azri_close(fd);
    return rc;
}

#ifdef AZRI_SABOTAGE
_Thread_local azri_sync_site azri_sync_asked;
#    undef azri_fsync_fd
#    undef azri_fdatasync_fd
#    undef azri_fsync_dir
#    undef azri_fsync_dir_after
#endif

/* A failed sync is never repeated: the kernel reports an error once and then
 * claims success for pages that it has dropped. */
int azri_fsync_fd(int fd, const char *name, azr_error *err)
{
    if (azri_sys->fsync(fd) != 0 && AZRI_GUARD(SYNC_ERROR))
        return azri_fail_errno(err, AZR_SUB_SYNC, errno, "fsync '%s'", name);
    return AZR_OK;
}

int azri_fdatasync_fd(int fd, const char *name, azr_error *err)
{
    if (azri_sys->fdatasync(fd) != 0 && AZRI_GUARD(SYNC_ERROR))
        return azri_fail_errno(err, AZR_SUB_SYNC, errno, "fdatasync '%s'",
                               name);
    return AZR_OK;
}

int azri_fsync_dir(int dir, const char *path, azr_error *err)
{
    int fd = -1;
    int rc = azri_open_at(&fd, dir, path, O_RDONLY | O_DIRECTORY, 0, err);

    if (rc == AZR_ENOTFOUND)
        return azri_fail_errno(err, AZR_SUB_OPEN, ENOENT, "open '%s'", path);
    if (rc < 0)
        return rc;
    rc = azri_fsync_fd(fd, path, err);
    azri_close(fd);
    return rc;
}

int azri_fsync_dir_after(int dir, const char *what, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;

    if (azri_fsync_dir(dir, ".", &why) == AZR_OK)
        return AZR_OK;
    return azri_fail_why(err, AZR_EUNKNOWN, &why,
                         "'%.300s' has changed, but whether that will outlive "
                         "a power loss is not known: %s",
                         what, why.message);
}

/* A directory that a process of ours made and did not live to open to the group:
 * its umask still shows. Only our own, and rights are only added. */
static int mend_mode(int dir, const char *path, mode_t mode, gid_t gid,
                     azr_error *err)
{
    struct stat st;
    int fd = -1, rc;

    if (azri_sys->fstatat(dir, path, &st, 0) != 0 || !S_ISDIR(st.st_mode) ||
        (st.st_mode & mode) == mode || st.st_uid != azri_user_id())
        return AZR_OK; /* whoever opens something in it learns the rest */
    rc = azri_open_at(&fd, dir, path, O_RDONLY | O_DIRECTORY, 0, err);
    if (rc < 0)
        return rc == AZR_ENOTFOUND ? AZR_OK : rc;
    rc = azri_fix_owner(fd, &st, (st.st_mode & 07777) | mode, gid, path, err);
    azri_close(fd);
    return rc;
}

static int make_one(int dir, const char *path, mode_t mode, gid_t gid,
                    bool *made_out, azr_error *err)
{
    struct stat st;
    int fd = -1, rc;

    *made_out = false;
    if (azri_sys->mkdirat(dir, path, mode) != 0) {
        if (errno == EEXIST)
            return mend_mode(dir, path, mode, gid, err);
        return azri_fail_errno(err, AZR_SUB_MKDIR, errno, "mkdir '%s'", path);
    }
    *made_out = true;
    rc = azri_open_at(&fd, dir, path, O_RDONLY | O_DIRECTORY, 0, err);
    if (rc < 0) /* removed by somebody, or no permission by our own umask */
        return rc == AZR_ENOTFOUND ? AZR_OK : rc;
    if (azri_sys->fstat(fd, &st) == 0)
        rc = azri_fix_owner(fd, &st, mode, gid, path, err);
    azri_close(fd);
    return rc;
}

int azri_make_parents(int dir, const char *path, mode_t mode, gid_t gid,
                      azri_made_fn made, void *arg, azr_error *err)
{
    char part[1024];
    size_t last = 0; /* length of the parent of what is being made */
    size_t n = strlen(path);
    int rc = AZR_OK;

    if (n >= sizeof part)
        return azri_fail(err, AZR_EINVAL, "key of %zu bytes is too long", n);
    for (size_t i = 1; i < n && rc == AZR_OK; i++) {
        bool fresh = false;

        if (path[i] != '/')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        rc = make_one(dir, part, mode, gid, &fresh, err);
        if (rc == AZR_OK && fresh && made) {
            part[last] = '\0';
            rc = made(last == 0 ? "." : part, arg, err);
        }
        last = i;
    }
    return rc;
}

int azri_fix_owner(int fd, const struct stat *st, mode_t mode, gid_t gid,
                   const char *name, azr_error *err)
{
    if (st->st_gid != gid) {
        /* Not allowed: then the file has our group, as any plain tool's would. */
        if (azri_sys->fchown(fd, (uid_t)-1, gid) != 0 && errno != EPERM)
            return azri_fail_errno(err, AZR_SUB_CALL, errno, "chown '%s'",
                                   name);
    }
    if ((st->st_mode & 07777) != mode || st->st_gid != gid) {
        if (azri_sys->fchmod(fd, mode) != 0)
            return azri_fail_errno(err, AZR_SUB_CALL, errno, "chmod '%s'",
                                   name);
    }
    return AZR_OK;
}

int azri_flock_try(int fd)
{
    int rc;

    do {
        rc = azri_sys->flock(fd, LOCK_EX | LOCK_NB);
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : errno;
}

void azri_flock_drop(int fd)
{
    (void)azri_sys->flock(fd, LOCK_UN);
}

int azri_list(int dir, const char *path, azri_list_fn fn, void *arg,
              azr_error *err)
{
    struct dirent *e;
    DIR *d;
    int fd = -1;
    int rc = azri_open_at(&fd, dir, path, O_RDONLY | O_DIRECTORY, 0, err);

    if (rc == AZR_ENOTFOUND)
        return AZR_OK;
    if (rc < 0)
        return rc;
    d = fdopendir(fd);
    if (!d) {
        rc = azri_fail_errno(err, AZR_SUB_READ, errno, "list '%s'", path);
        azri_close(fd);
        return rc;
    }
    for (;;) {
        errno = 0;
        /* Each call has a stream of its own, so readdir is safe here. */
        e = readdir(d); /* NOLINT(concurrency-mt-unsafe) */
        if (!e)
            break;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        rc = fn(e->d_name, e->d_type, arg);
        if (rc != 0)
            break;
    }
    if (!e && errno != 0)
        rc = azri_fail_errno(err, AZR_SUB_READ, errno, "list '%s'", path);
    (void)closedir(d);
    return rc;
}

bool azri_is_directory(int dir, const char *path, unsigned char d_type)
{
    struct stat st;

    if (d_type != DT_UNKNOWN)
        return d_type == DT_DIR;
    return azri_sys->fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(st.st_mode);
}

int azri_random(void *out, size_t n, azr_error *err)
{
    uint8_t *p = out;

    while (n > 0) {
        ssize_t got = azri_sys->getrandom(p, n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return azri_fail_errno(err, AZR_SUB_CALL, got < 0 ? errno : EIO,
                                   "getrandom");
        p += got;
        n -= (size_t)got;
    }
    return AZR_OK;
}

/* Not in the table of calls: it changes nothing, as readdir. */
int azri_path_of(int dir, char out[4096])
{
    char link[32];
    ssize_t n;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    n = readlink(link, out, 4096);
    if (n < 1 || n >= 4096 || out[0] != '/')
        return AZR_ENOTFOUND;
    out[n] = '\0';
    return AZR_OK;
}
