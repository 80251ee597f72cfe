/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/tap.h"

#include "crash/coverage.h"
#include "crash/scene.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static tap_list *g_list;
/* Of this process: another one may be at its own points at the same time. */
static _Atomic unsigned g_count;
static struct {
    bool on;
    tap_action action;
    unsigned at;
    bool after;
    int error;
} g_plan;

tap_list *tap_shared(void)
{
    if (!g_list)
        g_list = scene_shared(sizeof *g_list);
    return g_list;
}

static void strike(void)
{
    if (g_plan.action == TAP_KILL) {
        coverage_write();
        (void)kill(getpid(), SIGKILL);
        for (;;)
            (void)pause();
    }
    if (g_plan.action == TAP_STOP)
        (void)raise(SIGSTOP);
}

/* Before a call. `n` is its number; true: the call must fail. */
static bool before(const char *name, bool can_fail, unsigned *n)
{
    *n = UINT32_MAX;
    if (!g_plan.on)
        return false;
    *n = atomic_fetch_add(&g_count, 1);
    atomic_store(&g_list->count, *n + 1);
    if (*n < TAP_POINTS) {
        g_list->names[*n] = name;
        g_list->can_fail[*n] = can_fail;
    }
    if (*n != g_plan.at)
        return false;
    if (!g_plan.after)
        strike();
    return g_plan.action == TAP_FAIL && can_fail;
}

static void after(unsigned n)
{
    int saved = errno;

    if (n == g_plan.at && g_plan.on && g_plan.after)
        strike();
    errno = saved;
}

/* A call that returns -1 and errno on failure. */
#define CALL(type, name, params, args)                                         \
    static type tap_##name params                                              \
    {                                                                          \
        unsigned n;                                                            \
        type result = (type)-1;                                                \
                                                                               \
        if (before(#name, true, &n))                                           \
            errno = g_plan.error;                                              \
        else                                                                   \
            result = azri_sys_posix.name args;                                 \
        after(n);                                                              \
        return result;                                                         \
    }

CALL(int, openat, (int dir, const char *path, int flags, mode_t mode),
     (dir, path, flags, mode))
CALL(ssize_t, pread, (int fd, void *buf, size_t n_, off_t off),
     (fd, buf, n_, off))
CALL(ssize_t, pwrite, (int fd, const void *buf, size_t n_, off_t off),
     (fd, buf, n_, off))
CALL(int, fstat, (int fd, struct stat *st), (fd, st))
CALL(int, fstatat, (int dir, const char *path, struct stat *st, int flags),
     (dir, path, st, flags))
CALL(int, faccessat, (int dir, const char *path, int mode, int flags),
     (dir, path, mode, flags))
CALL(int, fstatfs, (int fd, struct statfs *st), (fd, st))
CALL(int, fchmod, (int fd, mode_t mode), (fd, mode))
CALL(int, fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid))
CALL(int, fallocate, (int fd, int mode, off_t off, off_t nbytes),
     (fd, mode, off, nbytes))
CALL(int, fsync, (int fd), (fd))
CALL(int, fdatasync, (int fd), (fd))
CALL(int, syncfs, (int fd), (fd))
CALL(int, renameat2,
     (int from_dir, const char *from, int to_dir, const char *to,
      unsigned flags),
     (from_dir, from, to_dir, to, flags))
CALL(int, linkat,
     (int from_dir, const char *from, int to_dir, const char *to, int flags),
     (from_dir, from, to_dir, to, flags))
CALL(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
CALL(int, mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode))
CALL(int, clone, (int to, int from), (to, from))
CALL(ssize_t, copy_range, (int from, int to, off_t off, size_t n_),
     (from, to, off, n_))
CALL(int, lock, (int fd, int cmd, struct flock *fl), (fd, cmd, fl))
CALL(int, flock, (int fd, int operation), (fd, operation))
CALL(ssize_t, getrandom, (void *buf, size_t n_), (buf, n_))

/* The descriptor is closed even where close reports an error. */
static int tap_close(int fd)
{
    unsigned n;
    bool fails = before("close", true, &n);
    int result = azri_sys_posix.close(fd);

    if (fails) {
        errno = g_plan.error;
        result = -1;
    }
    after(n);
    return result;
}

static void *tap_mmap(size_t nbytes, int prot, int fd)
{
    unsigned n;
    void *result = MAP_FAILED;

    if (before("mmap", true, &n))
        errno = g_plan.error;
    else
        result = azri_sys_posix.mmap(nbytes, prot, fd);
    after(n);
    return result;
}

static int tap_munmap(void *p, size_t nbytes)
{
    unsigned n;
    int result;

    (void)before("munmap", false, &n);
    result = azri_sys_posix.munmap(p, nbytes);
    after(n);
    return result;
}

static int tap_futex_wait(_Atomic uint32_t *word, uint32_t value,
                          const struct timespec *timeout)
{
    unsigned n;
    int result;

    (void)before("futex_wait", false, &n);
    result = azri_sys_posix.futex_wait(word, value, timeout);
    after(n);
    return result;
}

static int tap_futex_wake(_Atomic uint32_t *word, int count)
{
    unsigned n;
    int result;

    (void)before("futex_wake", false, &n);
    result = azri_sys_posix.futex_wake(word, count);
    after(n);
    return result;
}

static void tap_store64(const char *what, _Atomic uint64_t *p, uint64_t value)
{
    unsigned n;

    (void)before(what, false, &n);
    azri_sys_posix.store64(what, p, value);
    after(n);
}

static void tap_bump64(const char *what, _Atomic uint64_t *p)
{
    unsigned n;

    (void)before(what, false, &n);
    azri_sys_posix.bump64(what, p);
    after(n);
}

static bool tap_swap64(const char *what, _Atomic uint64_t *p, uint64_t *seen,
                       uint64_t value)
{
    unsigned n;
    bool swapped;

    (void)before(what, false, &n);
    swapped = azri_sys_posix.swap64(what, p, seen, value);
    after(n);
    return swapped;
}

/* A copy can be cut in two by death: two points, the halves. */
static void tap_put(const char *what, void *dst, const void *src, size_t n_)
{
    unsigned n;
    size_t half = n_ / 2;

    (void)before(what, false, &n);
    azri_sys_posix.put(what, dst, src, half);
    after(n);
    (void)before(what, false, &n);
    azri_sys_posix.put(what, (char *)dst + half, (const char *)src + half,
                       n_ - half);
    after(n);
}

struct azri_sys tap_sys;

static const struct azri_sys tap_table = {
    .openat = tap_openat,
    .close = tap_close,
    .pread = tap_pread,
    .pwrite = tap_pwrite,
    .fstat = tap_fstat,
    .fstatat = tap_fstatat,
    .faccessat = tap_faccessat,
    .fstatfs = tap_fstatfs,
    .fchmod = tap_fchmod,
    .fchown = tap_fchown,
    .fallocate = tap_fallocate,
    .fsync = tap_fsync,
    .fdatasync = tap_fdatasync,
    .syncfs = tap_syncfs,
    .renameat2 = tap_renameat2,
    .linkat = tap_linkat,
    .unlinkat = tap_unlinkat,
    .mkdirat = tap_mkdirat,
    .clone = tap_clone,
    .copy_range = tap_copy_range,
    .mmap = tap_mmap,
    .munmap = tap_munmap,
    .lock = tap_lock,
    .flock = tap_flock,
    .futex_wait = tap_futex_wait,
    .futex_wake = tap_futex_wake,
    .getrandom = tap_getrandom,
    .store64 = tap_store64,
    .bump64 = tap_bump64,
    .swap64 = tap_swap64,
    .put = tap_put,
};

void tap_arm(tap_action action, unsigned at, bool after_it, int error)
{
    (void)tap_shared();
    atomic_store(&g_list->count, 0);
    atomic_store(&g_count, 0);
    g_plan.action = action;
    g_plan.at = action == TAP_COUNT ? UINT32_MAX - 1 : at;
    g_plan.after = after_it;
    g_plan.error = error;
    g_plan.on = true;
    tap_sys = tap_table;
    azri_sys = &tap_sys;
}

void tap_disarm(void)
{
    g_plan.on = false;
}

bool tap_killed(int status, unsigned at, const char *name)
{
    const tap_list *l = tap_shared();

    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        return complain("point %u was not visited (status %x)", at,
                        (unsigned)status);
    return l->names[at] == name ||
           complain("point %u was %s when counted, now it is %s", at, name,
                    l->names[at]);
}

int tap_find(const char *name, unsigned from)
{
    unsigned n = atomic_load(&tap_shared()->count);

    for (unsigned i = from; i < n && i < TAP_POINTS; i++) {
        if (strcmp(g_list->names[i], name) == 0)
            return (int)i;
    }
    return -1;
}
