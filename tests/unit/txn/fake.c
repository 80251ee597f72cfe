/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"

#include "txn/layout.h"
#include "unit/checks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RULES 8

typedef struct rule {
    fake_call call;
    const char *part;
    unsigned skip, times;
    int error;
    void (*fn)(void);
} rule;

static rule rules[RULES];
static unsigned count, hits;
uint64_t fake_magic;
bool fake_no_sleep;

static rule *add(fake_call c, const char *part, unsigned skip)
{
    rule *r = &rules[count];

    if (count == RULES)
        abort();
    count++;
    *r = (rule){.call = c, .part = part, .skip = skip};
    return r;
}

void fake_fail(fake_call c, const char *part, unsigned skip, unsigned times,
               int error)
{
    rule *r = add(c, part, skip);

    r->times = times;
    r->error = error;
}

void fake_before(fake_call c, const char *part, unsigned skip, void (*fn)(void))
{
    rule *r = add(c, part, skip);

    r->times = 1;
    r->fn = fn;
}

unsigned fake_clear(void)
{
    unsigned n = hits;

    count = hits = 0;
    fake_magic = 0;
    fake_no_sleep = false;
    return n;
}

/* True: it must fail, with errno. */
static bool fails(fake_call c, const char *text)
{
    for (unsigned i = 0; i < count; i++) {
        rule *r = &rules[i];
        void (*fn)(void) = r->fn;

        if (r->call != c || (r->part && !strstr(text, r->part)))
            continue;
        if (r->skip > 0) {
            r->skip--;
            continue;
        }
        if (r->times == 0)
            continue;
        r->times--;
        hits++;
        if (fn) {
            fn();
            continue;
        }
        errno = r->error;
        return true;
    }
    return false;
}

static bool fails_fd(fake_call c, int fd)
{
    char link[64], path[4096] = "";

    if (count == 0)
        return false;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    (void)!readlink(link, path, sizeof path - 1);
    return fails(c, path);
}

#define BY_PATH(name, id, params, args)                                        \
    static int fake_##name params                                              \
    {                                                                          \
        return fails(id, path) ? -1 : azri_sys_posix.name args;                \
    }
#define BY_FD(type, name, id, params, args)                                    \
    static type fake_##name params                                             \
    {                                                                          \
        return fails_fd(id, fd) ? -1 : azri_sys_posix.name args;               \
    }

BY_PATH(openat, ON_OPENAT, (int dir, const char *path, int flags, mode_t mode),
        (dir, path, flags, mode))
BY_PATH(fstatat, ON_FSTATAT,
        (int dir, const char *path, struct stat *st, int flags),
        (dir, path, st, flags))
BY_PATH(faccessat, ON_FACCESSAT,
        (int dir, const char *path, int mode, int flags),
        (dir, path, mode, flags))
BY_PATH(unlinkat, ON_UNLINKAT, (int dir, const char *path, int flags),
        (dir, path, flags))
BY_PATH(mkdirat, ON_MKDIRAT, (int dir, const char *path, mode_t mode),
        (dir, path, mode))
BY_PATH(renameat2, ON_RENAMEAT2,
        (int from_dir, const char *from, int to_dir, const char *path,
         unsigned flags),
        (from_dir, from, to_dir, path, flags))
BY_PATH(linkat, ON_LINKAT,
        (int from_dir, const char *from, int to_dir, const char *path,
         int flags),
        (from_dir, from, to_dir, path, flags))
BY_FD(ssize_t, pread, ON_PREAD, (int fd, void *buf, size_t n, off_t off),
      (fd, buf, n, off))
BY_FD(ssize_t, pwrite, ON_PWRITE,
      (int fd, const void *buf, size_t n, off_t off), (fd, buf, n, off))
BY_FD(int, fstat, ON_FSTAT, (int fd, struct stat *st), (fd, st))
BY_FD(int, fsync, ON_FSYNC, (int fd), (fd))
BY_FD(int, fdatasync, ON_FDATASYNC, (int fd), (fd))
BY_FD(int, syncfs, ON_SYNCFS, (int fd), (fd))
BY_FD(int, fallocate, ON_FALLOCATE, (int fd, int mode, off_t off, off_t nbytes),
      (fd, mode, off, nbytes))
BY_FD(int, flock, ON_FLOCK, (int fd, int operation), (fd, operation))

static int fake_fstatfs(int fd, struct statfs *st)
{
    int rc = fails_fd(ON_FSTATFS, fd) ? -1 : azri_sys_posix.fstatfs(fd, st);

    if (rc == 0 && fake_magic != 0)
        st->f_type = (__typeof__(st->f_type))fake_magic;
    return rc;
}

static int fake_close(int fd)
{
    bool failing = fails_fd(ON_CLOSE, fd);
    int error = errno, rc = azri_sys_posix.close(fd);

    errno = failing ? error : errno;
    return failing ? -1 : rc;
}

static void *fake_mmap(size_t nbytes, int prot, int fd)
{
    return fails_fd(ON_MMAP, fd) ? MAP_FAILED
                                 : azri_sys_posix.mmap(nbytes, prot, fd);
}

static const char *place_of(uint64_t at)
{
    if (at == AZRI_LOCK_INIT)
        return "INIT";
    if (at == AZRI_LOCK_META)
        return "META";
    if (at == AZRI_LOCK_DOC)
        return "DOC";
    if (at < AZRI_LOCK_PROBE)
        return "SLOT";
    return at < AZRI_LOCK_W ? "PROBE" : "W";
}

static int fake_lock(int fd, int cmd, struct flock *fl)
{
    const char *verb = "try";
    char text[32];

    if (cmd == F_OFD_GETLK)
        verb = "ask";
    else if (cmd == F_OFD_SETLKW)
        verb = "wait";
    else if (fl->l_type == F_UNLCK)
        verb = "unlock";
    (void)snprintf(text, sizeof text, "%s %s", verb,
                   place_of((uint64_t)fl->l_start));
    return fails(ON_LOCK, text) ? -1 : azri_sys_posix.lock(fd, cmd, fl);
}

static int fake_futex_wait(_Atomic uint32_t *word, uint32_t value,
                           const struct timespec *timeout)
{
    if (fake_no_sleep) /* else it would not sleep */
        assert_int_equal(atomic_load(word), value);
    if (fails(ON_FUTEX_WAIT, ""))
        return -1;
    if (!fake_no_sleep)
        return azri_sys_posix.futex_wait(word, value, timeout);
    errno = ETIMEDOUT;
    return -1;
}

static ssize_t fake_getrandom(void *buf, size_t n)
{
    return fails(ON_GETRANDOM, "") ? -1 : azri_sys_posix.getrandom(buf, n);
}

static void fake_store64(const char *what, _Atomic uint64_t *p, uint64_t value)
{
    (void)fails(ON_STORE, what);
    azri_sys_posix.store64(what, p, value);
}

static void fake_bump64(const char *what, _Atomic uint64_t *p)
{
    (void)fails(ON_BUMP, what);
    azri_sys_posix.bump64(what, p);
}

static void fake_put(const char *what, void *dst, const void *src, size_t n)
{
    (void)fails(ON_STORE, what);
    azri_sys_posix.put(what, dst, src, n);
}

void fake_install(void)
{
    static struct azri_sys fake;

    fake = azri_sys_posix;
    fake.openat = fake_openat;
    fake.close = fake_close;
    fake.pread = fake_pread;
    fake.pwrite = fake_pwrite;
    fake.fstat = fake_fstat;
    fake.fstatat = fake_fstatat;
    fake.faccessat = fake_faccessat;
    fake.fstatfs = fake_fstatfs;
    fake.fsync = fake_fsync;
    fake.fdatasync = fake_fdatasync;
    fake.syncfs = fake_syncfs;
    fake.fallocate = fake_fallocate;
    fake.renameat2 = fake_renameat2;
    fake.linkat = fake_linkat;
    fake.unlinkat = fake_unlinkat;
    fake.mkdirat = fake_mkdirat;
    fake.mmap = fake_mmap;
    fake.lock = fake_lock;
    fake.flock = fake_flock;
    fake.futex_wait = fake_futex_wait;
    fake.getrandom = fake_getrandom;
    fake.store64 = fake_store64;
    fake.bump64 = fake_bump64;
    fake.put = fake_put;
    azri_sys = &fake;
    (void)fake_clear();
}

void fake_remove(void)
{
    azri_sys = &azri_sys_posix;
}
