/* SPDX-License-Identifier: Apache-2.0 */
#include "os/sys.h"

#include <errno.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

static int sys_openat(int dir, const char *path, int flags, mode_t mode)
{
    return openat(dir, path, flags | O_CLOEXEC, mode);
}

static int sys_fstat(int fd, struct stat *st)
{
    return fstat(fd, st);
}

static int sys_fstatat(int dir, const char *path, struct stat *st, int flags)
{
    return fstatat(dir, path, st, flags);
}

static int sys_clone(int to, int from)
{
    return ioctl(to, FICLONE, from);
}

static ssize_t sys_copy_range(int from, int to, off_t off, size_t n)
{
    off_t in = off, out = off;

    return copy_file_range(from, &in, to, &out, n, 0);
}

static void *sys_mmap(size_t nbytes, int prot, int fd)
{
    return mmap(NULL, nbytes, prot, MAP_SHARED, fd, 0);
}

static int sys_lock(int fd, int cmd, struct flock *fl)
{
    return fcntl(fd, cmd, fl);
}

static int sys_futex_wait(_Atomic uint32_t *word, uint32_t value,
                          const struct timespec *timeout)
{
    return (int)syscall(SYS_futex, word, FUTEX_WAIT, value, timeout, NULL, 0);
}

static int sys_futex_wake(_Atomic uint32_t *word, int count)
{
    return (int)syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}

static ssize_t sys_getrandom(void *buf, size_t n)
{
    return getrandom(buf, n, 0);
}

static void sys_store64(const char *what, _Atomic uint64_t *p, uint64_t value)
{
    (void)what;
    atomic_store(p, value);
}

static void sys_bump64(const char *what, _Atomic uint64_t *p)
{
    (void)what;
    atomic_fetch_add(p, 1);
}

static bool sys_swap64(const char *what, _Atomic uint64_t *p, uint64_t *seen,
                       uint64_t value)
{
    uint64_t was = *seen;
    bool done = atomic_compare_exchange_strong(p, &was, value);

    (void)what;
    *seen = was;
    return done;
}

/* Others may be reading: they look at the state word again afterwards, so a mix
 * does no harm, but it must be one of whole words, not undefined behaviour. */
static void sys_put(const char *what, void *dst, const void *src, size_t n)
{
    uint8_t *to = dst;
    const uint8_t *from = src;

    (void)what;
    for (; n >= 8 && (uintptr_t)to % 8 == 0; to += 8, from += 8, n -= 8) {
        void *p = to;
        uint64_t word;

        memcpy(&word, from, sizeof word);
        atomic_store_explicit((_Atomic uint64_t *)p, word,
                              memory_order_relaxed);
    }
    for (; n > 0; to++, from++, n--) {
        void *p = to;

        atomic_store_explicit((_Atomic uint8_t *)p, *from,
                              memory_order_relaxed);
    }
}

const struct azri_sys azri_sys_posix = {
    .openat = sys_openat,
    .close = close,
    .pread = pread,
    .pwrite = pwrite,
    .fstat = sys_fstat,
    .fstatat = sys_fstatat,
    .faccessat = faccessat,
    .fstatfs = fstatfs,
    .fchmod = fchmod,
    .fchown = fchown,
    .fallocate = fallocate,
    .fsync = fsync,
    .fdatasync = fdatasync,
    .syncfs = syncfs,
    .renameat2 = renameat2,
    .linkat = linkat,
    .unlinkat = unlinkat,
    .mkdirat = mkdirat,
    .clone = sys_clone,
    .copy_range = sys_copy_range,
    .mmap = sys_mmap,
    .munmap = munmap,
    .lock = sys_lock,
    .flock = flock,
    .futex_wait = sys_futex_wait,
    .futex_wake = sys_futex_wake,
    .getrandom = sys_getrandom,
    .store64 = sys_store64,
    .bump64 = sys_bump64,
    .swap64 = sys_swap64,
    .put = sys_put,
};

const struct azri_sys *azri_sys = &azri_sys_posix;
