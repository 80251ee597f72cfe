/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/inject.h"

#include "crash/coverage.h"
#include "crash/scene.h"

#include <atomiczarr.h>
#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static inject_seen *g_seen;
static inject_plan g_plan = INJECT_NONE;
static bool g_on;
static bool g_armed;       /* else there is nothing to resume */
static unsigned g_paused;  /* so many times more than resumed */
static bool g_disturbed;   /* something has failed, of this process */
static long g_maps;        /* made less given back */
#define INTERRUPTED_MOST 5 /* for ever would be for ever */
static unsigned g_interrupted;
static call g_stuck; /* the call that fails for ever, once it has */
static struct {
    dev_t dev;
    ino_t ino;
} g_failed[16]; /* files whose sync has failed */
static unsigned g_failed_count;

/* The first call of backtrace loads a library: in the parent, not in each child. */
inject_seen *inject_told(void)
{
    void *frame;

    if (!g_seen) {
        g_seen = scene_shared(sizeof *g_seen);
        (void)backtrace(&frame, 1);
    }
    return g_seen;
}

/* ----------------------------------------------------------------- sites --- */

const void *inject_base;

#define OWN_FRAMES 3 /* note_site, what notes the call, and the call itself */

/* Addresses are those of the parent: children are forked, nothing is loaded anew.
 * Not inlined, so that there are as many frames as it leaves out. */
__attribute__((noinline)) static void note_site(uint64_t *site)
{
    void *frames[OWN_FRAMES + SITE_DEPTH];
    int n = backtrace(frames, OWN_FRAMES + SITE_DEPTH);
    uint64_t h = UINT64_C(0xCBF29CE484222325);

    for (int i = OWN_FRAMES; i < n && frames[i] != inject_base; i++)
        h = (h ^ (uintptr_t)frames[i]) * UINT64_C(0x100000001B3);
    *site = h;
}

/* ---------------------------------------------------------------- points --- */

/* A failure of the plan happens. */
static void note_met(void)
{
    g_seen->fired = true;
    g_disturbed = true;
    if (g_seen->met++ > 0)
        return;
    g_seen->first_points = g_seen->points;
    g_seen->first_allocs = g_seen->allocs;
}

/* 0: let it happen. */
static int point(call c)
{
    unsigned n;

    if (!g_on)
        return 0;
    n = g_seen->points++;
    if (n < POINTS_MOST)
        g_seen->calls[n] = (uint8_t)c;
    if (n < POINTS_MOST && g_plan.sites)
        note_site(&g_seen->sites[n]);
    if (n == g_plan.at) {
        g_stuck = g_plan.for_ever ? c : CALLS;
        note_met();
        return g_plan.error;
    }
    if (n == g_plan.then) {
        note_met();
        return g_plan.then_error;
    }
    if (n > g_plan.at && c == g_stuck) {
        if (g_plan.error == EINTR && ++g_interrupted > INTERRUPTED_MOST)
            g_stuck = CALLS;
        return g_plan.error;
    }
    return 0;
}

/* An errno; those of short transfers are for calls that transfer. */
static bool fails(call c)
{
    int error = point(c);

    errno = error;
    return error > 0;
}

/* How many bytes to ask for; -1 and errno. */
static ssize_t part_of(call c, size_t n)
{
    int error = point(c);

    if (error > 0) {
        errno = error;
        return -1;
    }
    if (error == SHORT_ZERO)
        return 0;
    if (error == SHORT_ONE)
        return n > 0;
    return (ssize_t)(error == SHORT_HALF ? (n + 1) / 2 : n);
}

#define CALL(type, name, id, params, args)                                     \
    static type inject_##name params                                           \
    {                                                                          \
        return fails(id) ? (type)-1 : azri_sys_posix.name args;                \
    }

CALL(int, fstat, C_FSTAT, (int fd, struct stat *st), (fd, st))
CALL(int, fstatat, C_FSTATAT,
     (int dir, const char *path, struct stat *st, int flags),
     (dir, path, st, flags))
CALL(int, faccessat, C_FACCESSAT,
     (int dir, const char *path, int mode, int flags), (dir, path, mode, flags))
CALL(int, fstatfs, C_FSTATFS, (int fd, struct statfs *st), (fd, st))
CALL(int, fchmod, C_FCHMOD, (int fd, mode_t mode), (fd, mode))
CALL(int, fchown, C_FCHOWN, (int fd, uid_t uid, gid_t gid), (fd, uid, gid))
CALL(int, fallocate, C_FALLOCATE, (int fd, int mode, off_t off, off_t nbytes),
     (fd, mode, off, nbytes))
CALL(int, syncfs, C_SYNCFS, (int fd), (fd))
CALL(int, renameat2, C_RENAMEAT2,
     (int from_dir, const char *from, int to_dir, const char *to,
      unsigned flags),
     (from_dir, from, to_dir, to, flags))
CALL(int, linkat, C_LINKAT,
     (int from_dir, const char *from, int to_dir, const char *to, int flags),
     (from_dir, from, to_dir, to, flags))
CALL(int, unlinkat, C_UNLINKAT, (int dir, const char *path, int flags),
     (dir, path, flags))
CALL(int, mkdirat, C_MKDIRAT, (int dir, const char *path, mode_t mode),
     (dir, path, mode))
CALL(int, clone, C_CLONE, (int to, int from), (to, from))
CALL(int, lock, C_LOCK, (int fd, int cmd, struct flock *fl), (fd, cmd, fl))
CALL(int, flock, C_FLOCK, (int fd, int operation), (fd, operation))
CALL(int, futex_wake, C_FUTEX_WAKE, (_Atomic uint32_t *word, int count),
     (word, count))

void (*inject_on_wait)(void);

static int inject_futex_wait(_Atomic uint32_t *word, uint32_t value,
                             const struct timespec *timeout)
{
    if (inject_on_wait)
        inject_on_wait();
    return fails(C_FUTEX_WAIT)
               ? -1
               : azri_sys_posix.futex_wait(word, value, timeout);
}

static int inject_openat(int dir, const char *path, int flags, mode_t mode)
{
    return fails(C_OPENAT) ? -1 : azri_sys_posix.openat(dir, path, flags, mode);
}

/* The descriptor is closed even where close reports an error. */
static int inject_close(int fd)
{
    bool failing = fails(C_CLOSE);
    int error = errno;
    int result = azri_sys_posix.close(fd);

    errno = failing ? error : errno;
    return failing ? -1 : result;
}

static ssize_t inject_pread(int fd, void *buf, size_t n, off_t off)
{
    ssize_t want = part_of(C_PREAD, n);

    return want < 0 ? -1 : azri_sys_posix.pread(fd, buf, (size_t)want, off);
}

static ssize_t inject_pwrite(int fd, const void *buf, size_t n, off_t off)
{
    ssize_t want = part_of(C_PWRITE, n);

    return want < 0 ? -1 : azri_sys_posix.pwrite(fd, buf, (size_t)want, off);
}

static ssize_t inject_copy_range(int from, int to, off_t off, size_t n)
{
    ssize_t want = part_of(C_COPY_RANGE, n);

    return want <= 0 ? want
                     : azri_sys_posix.copy_range(from, to, off, (size_t)want);
}

static ssize_t inject_getrandom(void *buf, size_t n)
{
    ssize_t want = part_of(C_GETRANDOM, n);

    return want <= 0 ? want : azri_sys_posix.getrandom(buf, (size_t)want);
}

/* ----------------------------------------------------------------- syncs --- */

static void note_sync(int fd, bool failed)
{
    struct stat st;

    if (!g_on || fstat(fd, &st) != 0)
        return;
    for (unsigned i = 0; i < g_failed_count; i++) {
        if (g_failed[i].dev == st.st_dev && g_failed[i].ino == st.st_ino)
            g_seen->synced_again = true;
    }
    if (!failed)
        return;
    g_seen->sync_failed = true;
    if (g_failed_count < sizeof g_failed / sizeof g_failed[0]) {
        g_failed[g_failed_count].dev = st.st_dev;
        g_failed[g_failed_count++].ino = st.st_ino;
    }
}

static int inject_fsync(int fd)
{
    bool failing = fails(C_FSYNC);
    int error = errno;

    note_sync(fd, failing);
    errno = error;
    return failing ? -1 : azri_sys_posix.fsync(fd);
}

static int inject_fdatasync(int fd)
{
    bool failing = fails(C_FDATASYNC);
    int error = errno;

    note_sync(fd, failing);
    errno = error;
    return failing ? -1 : azri_sys_posix.fdatasync(fd);
}

/* ------------------------------------------------------------------ maps --- */

static void *inject_mmap(size_t nbytes, int prot, int fd)
{
    void *p =
        fails(C_MMAP) ? MAP_FAILED : azri_sys_posix.mmap(nbytes, prot, fd);

    if (p != MAP_FAILED)
        g_maps++;
    return p;
}

/* It is unmapped even where munmap reports an error: what else could a caller do
 * about it? */
static int inject_munmap(void *p, size_t nbytes)
{
    bool failing = fails(C_MUNMAP);
    int error = errno;
    int result = azri_sys_posix.munmap(p, nbytes);

    if (result == 0)
        g_maps--;
    errno = failing ? error : errno;
    return failing ? -1 : result;
}

/* ---------------------------------------------------------------- stores --- */

static void inject_store64(const char *what, _Atomic uint64_t *p,
                           uint64_t value)
{
    /* taken back by a store of its own: that one is synced, for good (unprepare) */
    if (strcmp(what, "row.unprepared") == 0)
        g_failed_count = 0;
    azri_sys_posix.store64(what, p, value);
    if (g_on && g_plan.kill && strcmp(what, g_plan.kill) == 0) {
        coverage_write();
        (void)kill(getpid(), SIGKILL);
        for (;;)
            (void)pause();
    }
}

static void inject_bump64(const char *what, _Atomic uint64_t *p)
{
    azri_sys_posix.bump64(what, p);
}

static bool inject_swap64(const char *what, _Atomic uint64_t *p, uint64_t *seen,
                          uint64_t value)
{
    return azri_sys_posix.swap64(what, p, seen, value);
}

static void inject_put(const char *what, void *dst, const void *src, size_t n)
{
    azri_sys_posix.put(what, dst, src, n);
}

/* --------------------------------------------------------------- readdir --- */

/* Its name in the object files depends on the size of off_t. */
struct dirent *__real_readdir(DIR *d);
struct dirent *__wrap_readdir(DIR *d);
struct dirent *__real_readdir64(DIR *d);
struct dirent *__wrap_readdir64(DIR *d);

struct dirent *__wrap_readdir(DIR *d)
{
    return fails(C_READDIR) ? NULL : __real_readdir(d);
}

struct dirent *__wrap_readdir64(DIR *d)
{
    return fails(C_READDIR) ? NULL : __real_readdir64(d);
}

/* ---------------------------------------------------------------- memory --- */

static bool no_memory(bool libc)
{
    unsigned long n;

    if (!g_on || libc != g_plan.libc)
        return false;
    n = g_seen->allocs++;
    if (n < POINTS_MOST && g_plan.sites)
        note_site(&g_seen->alloc_sites[n]);
    if (n == g_plan.alloc || n == g_plan.then_alloc)
        note_met();
    return n == g_plan.alloc || n == g_plan.then_alloc ||
           (g_plan.alloc_for_ever && n > g_plan.alloc);
}

static void *own_alloc(size_t nbytes, void *arg)
{
    (void)arg;
    return no_memory(false) ? NULL : malloc(nbytes);
}

static void *own_resize(void *p, size_t nbytes, void *arg)
{
    (void)arg;
    return no_memory(false) ? NULL : realloc(p, nbytes);
}

static void own_release(void *p, void *arg)
{
    (void)arg;
    free(p);
}

/* Of every library in the process, where the program takes their place. */
#ifdef AZR_FAULT_LIBC
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

static void *none(void)
{
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t n)
{
    return no_memory(true) ? none() : __libc_malloc(n);
}

void *calloc(size_t count, size_t n)
{
    return no_memory(true) ? none() : __libc_calloc(count, n);
}

void *realloc(void *p, size_t n)
{
    return no_memory(true) ? none() : __libc_realloc(p, n);
}

int posix_memalign(void **out, size_t alignment, size_t n)
{
    void *p = no_memory(true) ? NULL : __libc_memalign(alignment, n);

    if (!p)
        return ENOMEM;
    *out = p;
    return 0;
}
#endif

/* -------------------------------------------------------------- the table --- */

struct azri_sys inject_sys = {
    .openat = inject_openat,
    .close = inject_close,
    .pread = inject_pread,
    .pwrite = inject_pwrite,
    .fstat = inject_fstat,
    .fstatat = inject_fstatat,
    .faccessat = inject_faccessat,
    .fstatfs = inject_fstatfs,
    .fchmod = inject_fchmod,
    .fchown = inject_fchown,
    .fallocate = inject_fallocate,
    .fsync = inject_fsync,
    .fdatasync = inject_fdatasync,
    .syncfs = inject_syncfs,
    .renameat2 = inject_renameat2,
    .linkat = inject_linkat,
    .unlinkat = inject_unlinkat,
    .mkdirat = inject_mkdirat,
    .clone = inject_clone,
    .copy_range = inject_copy_range,
    .mmap = inject_mmap,
    .munmap = inject_munmap,
    .lock = inject_lock,
    .flock = inject_flock,
    .futex_wait = inject_futex_wait,
    .futex_wake = inject_futex_wake,
    .getrandom = inject_getrandom,
    .store64 = inject_store64,
    .bump64 = inject_bump64,
    .swap64 = inject_swap64,
    .put = inject_put,
};

void inject_install(void)
{
    static const azr_allocator own = {own_alloc, own_resize, own_release, NULL};

    (void)inject_told();
    g_maps = 0;
    if (azr_set_allocator(&own) != AZR_OK) {
        (void)fprintf(stderr, "something is allocated already\n");
        exit(2);
    }
    azri_sys = &inject_sys;
}

void inject_arm(const inject_plan *p)
{
    inject_seen *s = inject_told();

    s->points = 0;
    s->allocs = 0;
    s->fired = s->sync_failed = s->synced_again = false;
    s->met = s->first_points = 0;
    s->first_allocs = 0;
    g_plan = *p;
    g_stuck = CALLS;
    g_interrupted = 0;
    g_failed_count = 0;
    g_disturbed = false;
    g_paused = 0;
    g_on = g_armed = true;
}

void inject_pause(void)
{
    g_paused++;
    g_on = false;
}

void inject_resume(void)
{
    if (g_paused > 0)
        g_paused--;
    g_on = g_armed && g_paused == 0;
}

bool inject_is_undisturbed(void)
{
    return !g_disturbed;
}

long inject_maps(void)
{
    return g_maps;
}
