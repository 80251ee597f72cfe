/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every system call of the library, and every store to a mapped `state`, goes
 * through this table. Tests put a table of their own in its place: one that
 * kills the process before or after a call, makes a call fail, or counts.
 */
#ifndef AZRI_OS_SYS_H
#define AZRI_OS_SYS_H

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>

struct azri_sys {
    int (*openat)(int dir, const char *path, int flags, mode_t mode);
    int (*close)(int fd);
    ssize_t (*pread)(int fd, void *buf, size_t n, off_t off);
    ssize_t (*pwrite)(int fd, const void *buf, size_t n, off_t off);
    int (*fstat)(int fd, struct stat *st);
    int (*fstatat)(int dir, const char *path, struct stat *st, int flags);
    int (*faccessat)(int dir, const char *path, int mode, int flags);
    int (*fstatfs)(int fd, struct statfs *st);
    int (*fchmod)(int fd, mode_t mode);
    int (*fchown)(int fd, uid_t uid, gid_t gid);
    int (*fallocate)(int fd, int mode, off_t off, off_t nbytes);
    int (*fsync)(int fd);
    int (*fdatasync)(int fd);
    int (*syncfs)(int fd);
    int (*renameat2)(int from_dir, const char *from, int to_dir, const char *to,
                     unsigned flags);
    int (*linkat)(int from_dir, const char *from, int to_dir, const char *to,
                  int flags);
    int (*unlinkat)(int dir, const char *path, int flags);
    int (*mkdirat)(int dir, const char *path, mode_t mode);
    /* Content of a whole file shared (FICLONE); a range copied, same offsets. */
    int (*clone)(int to, int from);
    ssize_t (*copy_range)(int from, int to, off_t off, size_t n);
    void *(*mmap)(size_t nbytes, int prot, int fd);
    int (*munmap)(void *p, size_t nbytes);
    int (*lock)(int fd, int cmd, struct flock *fl);
    int (*flock)(int fd, int operation);
    int (*futex_wait)(_Atomic uint32_t *word, uint32_t value,
                      const struct timespec *timeout);
    int (*futex_wake)(_Atomic uint32_t *word, int count);
    ssize_t (*getrandom)(void *buf, size_t n);
    /* Stores to the mapped `state`; `what` names the place, for tests. */
    void (*store64)(const char *what, _Atomic uint64_t *p, uint64_t value);
    void (*bump64)(const char *what, _Atomic uint64_t *p);
    /* True: it was *seen, and is `value` now. Else *seen is what stands there. */
    bool (*swap64)(const char *what, _Atomic uint64_t *p, uint64_t *seen,
                   uint64_t value);
    void (*put)(const char *what, void *dst, const void *src, size_t n);
};

extern const struct azri_sys azri_sys_posix;
/* Never NULL. Only tests change it, before any thread runs. */
extern const struct azri_sys *azri_sys;

#endif
