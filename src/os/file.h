/* SPDX-License-Identifier: Apache-2.0 */
/* Files relative to a directory descriptor: whole calls (short transfers and
 * EINTR are handled), errors as text. */
#ifndef AZRI_OS_FILE_H
#define AZRI_OS_FILE_H

#include "base/buf.h"
#include "os/sys.h"

#include <stdbool.h>

/* What tells one version of a file from the next. */
typedef struct azri_identity {
    uint64_t dev, ino, nbytes;
    int64_t mtime_ns, ctime_ns;
} azri_identity;

azri_identity azri_identity_of(const struct stat *st);
bool azri_identity_same(const azri_identity *a, const azri_identity *b);

/* Open; *fd_out = -1 and AZR_ENOTFOUND without a message if it does not exist.
 * `name` is used in messages. */
AZR_CHECKED int azri_open_at(int *fd_out, int dir, const char *path, int flags,
                             mode_t mode, azr_error *err);
/* A regular file for reading, never blocking on a FIFO or device: those and
 * directories are AZR_ECORRUPT (CHUNK) "is not a regular file". */
AZR_CHECKED int azri_open_regular(int *fd_out, struct stat *st, int dir,
                                  const char *path, azr_error *err);
void azri_close(int fd); /* below 0: nothing */
/* Exactly n bytes at `off`; AZR_ECORRUPT if the file ends before. */
AZR_CHECKED int azri_pread_full(int fd, void *buf, size_t n, uint64_t off,
                                const char *name, azr_error *err);
AZR_CHECKED int azri_pwrite_full(int fd, const void *buf, size_t n,
                                 uint64_t off, const char *name,
                                 azr_error *err);
/* Whole file, at most `limit` bytes (else AZR_ECORRUPT). AZR_ENOTFOUND without a
 * message if it does not exist. `id` may be NULL. */
AZR_CHECKED int azri_read_file(azri_buf *out, azri_identity *id, int dir,
                               const char *path, size_t limit, azr_error *err);
AZR_CHECKED int azri_fsync_fd(int fd, const char *name, azr_error *err);
AZR_CHECKED int azri_fdatasync_fd(int fd, const char *name, azr_error *err);
AZR_CHECKED int azri_fsync_dir(int dir, const char *path, azr_error *err);
/* The same after the rename in it that everybody can see already. If that fails
 * nobody can know whether it will outlive a power loss: AZR_EUNKNOWN. */
AZR_CHECKED int azri_fsync_dir_after(int dir, const char *what, azr_error *err);
/* mkdir -p of the directories above `path`, each with `mode` exactly and group
 * `gid`; calls `made` (may be NULL) for each parent in which one was made. */
typedef int (*azri_made_fn)(const char *parent, void *arg, azr_error *err);
AZR_CHECKED int azri_make_parents(int dir, const char *path, mode_t mode,
                                  gid_t gid, azri_made_fn made, void *arg,
                                  azr_error *err);
/* Permission bits and group as wanted, whatever the umask was. A group that we
 * may not give is left alone. `st`: as fstat says now. */
AZR_CHECKED int azri_fix_owner(int fd, const struct stat *st, mode_t mode,
                               gid_t gid, const char *name, azr_error *err);

/* flock, exclusive, without waiting: 0 or an errno. */
int azri_flock_try(int fd);
void azri_flock_drop(int fd);

/* Entries of directory `path` ("." and ".." left out); fn returns non-zero to
 * stop, which is returned. A directory that does not exist has no entries. */
typedef int (*azri_list_fn)(const char *name, unsigned char d_type, void *arg);
/* Is `path`, listed with that type, a directory? Links are not followed. */
bool azri_is_directory(int dir, const char *path, unsigned char d_type);
AZR_CHECKED int azri_list(int dir, const char *path, azri_list_fn fn, void *arg,
                          azr_error *err);

/* Absolute path of an open directory, without links (`out`: 4096 bytes).
 * AZR_ENOTFOUND (no message): /proc does not tell, or it is longer. */
AZR_CHECKED int azri_path_of(int dir, char out[4096]);

AZR_CHECKED int azri_random(void *out, size_t n, azr_error *err);

#ifdef AZRI_SABOTAGE
/* Which sync of the library is being asked for, so that a test can take away that
 * one: "src/txn/commit.c:prepare_row". */
typedef struct azri_sync_site {
    const char *file, *function;
    int line;
} azri_sync_site;
extern _Thread_local azri_sync_site azri_sync_asked;
#    define AZRI_SYNC_HERE                                                     \
        (azri_sync_asked = (azri_sync_site){__FILE__, __func__, __LINE__})
#    define azri_fsync_fd(fd, name, err)                                       \
        (AZRI_SYNC_HERE, azri_fsync_fd(fd, name, err))
#    define azri_fdatasync_fd(fd, name, err)                                   \
        (AZRI_SYNC_HERE, azri_fdatasync_fd(fd, name, err))
#    define azri_fsync_dir(dir, path, err)                                     \
        (AZRI_SYNC_HERE, azri_fsync_dir(dir, path, err))
#    define azri_fsync_dir_after(dir, what, err)                               \
        (AZRI_SYNC_HERE, azri_fsync_dir_after(dir, what, err))
#    define azri_syncfs(fd) (AZRI_SYNC_HERE, azri_sys->syncfs(fd))
#else
#    define azri_syncfs(fd) (azri_sys->syncfs(fd))
#endif

#endif
