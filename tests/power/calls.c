/* SPDX-License-Identifier: Apache-2.0 */
/* The library's table of system calls over the model disk, and the few calls of
 * the C library that it makes beside the table (linked with --wrap). */
#include "power/disk_local.h"

#include <dirent.h>
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define FDS     512
#define FIRST   10000 /* unlike any descriptor of the program */
#define DEVICE  77
#define DEEPEST 64

typedef struct open_file {
    bool used;
    int32_t inode;
    int flags;
} open_file;

static open_file g_fds[FDS];
static uint32_t g_open;
static uint64_t g_generation; /* of loads: inode numbers are not used again */
static uint64_t g_random = 1;
static int64_t g_clock_ns = INT64_C(1600000000000000000);
static uint8_t g_boot = 1;

static int fail(int error)
{
    errno = error;
    return -1;
}

static open_file *file_of(int fd)
{
    if (fd < FIRST || fd >= FIRST + FDS || !g_fds[fd - FIRST].used)
        return NULL;
    return &g_fds[fd - FIRST];
}

static live_inode *inode_of(int fd)
{
    const open_file *f = file_of(fd);

    return f ? &disk_inodes[f->inode] : NULL;
}

void calls_reset(void)
{
    memset(g_fds, 0, sizeof g_fds);
    g_open = 0;
    g_generation++;
}

uint32_t disk_open_count(void)
{
    return g_open;
}

void disk_forget_process(void)
{
    memset(g_fds, 0, sizeof g_fds);
    g_open = 0;
    for (uint32_t i = 0; i < disk_inode_count(); i++) {
        disk_inodes[i].locks = NULL;
        disk_inodes[i].flock_fd = -1;
        disk_inodes[i].flock_shared = 0;
    }
}

/* --------------------------------------------------------------- paths --- */

/* Where a path leads: directory and entry, or (name DISK_NONE) a directory that
 * was named by "." or "..". */
typedef struct place {
    int32_t dir, name, inode;
} place;

static int step(place *p, const char *part)
{
    if (p->inode < 0)
        return ENOENT;
    if (!disk_inode_at(p->inode)->is_dir)
        return ENOTDIR;
    if (strcmp(part, ".") == 0)
        return 0;
    if (strcmp(part, "..") == 0) {
        int32_t up = disk_inodes[p->inode].parent;

        if (up < 0 || disk_inodes[p->inode].links == 0)
            up = p->inode == DISK_ROOT ? DISK_ROOT : DISK_NONE;
        *p = (place){DISK_NONE, DISK_NONE, up};
        return up < 0 ? ENOENT : 0;
    }
    p->dir = p->inode;
    p->name = disk_name_of(p->dir, part);
    p->inode = disk_targets[p->name];
    return 0;
}

static int walk(place *p, int dir, const char *path)
{
    const open_file *f = file_of(dir);
    char part[256];
    int rc = 0;

    *p = (place){DISK_NONE, DISK_NONE, DISK_ROOT};
    if (path[0] != '/') {
        if (!f)
            return dir == AT_FDCWD ? ENOENT : EBADF;
        p->inode = f->inode;
    }
    if (path[0] == '\0')
        return ENOENT;
    while (*path && rc == 0) {
        size_t n = strcspn(path, "/");

        if (n >= sizeof part)
            return ENAMETOOLONG;
        memcpy(part, path, n);
        part[n] = '\0';
        path += n;
        path += strspn(path, "/");
        if (n > 0)
            rc = step(p, part);
    }
    return rc;
}

int32_t calls_resolve(const char *path)
{
    place p;

    return walk(&p, AT_FDCWD, path) == 0 ? p.inode : DISK_NONE;
}

/* ------------------------------------------------------------- open --- */

static int fd_new(int32_t inode, int flags)
{
    for (int i = 0; i < FDS; i++) {
        if (g_fds[i].used)
            continue;
        g_fds[i] = (open_file){true, inode, flags};
        g_open++;
        return FIRST + i;
    }
    return fail(EMFILE);
}

static int open_new(const place *p, int flags, mode_t mode)
{
    name_change c = {p->name, DISK_NONE, true};

    if (p->name < 0)
        return fail(EISDIR);
    c.target = disk_inode_new(false, mode & 0777);
    c.must_be = false;
    disk_change_names("create", &c, 1);
    return fd_new(c.target, flags);
}

static int model_openat(int dir, const char *path, int flags, mode_t mode)
{
    place p;
    int rc = walk(&p, dir, path);

    if (rc != 0)
        return fail(rc);
    if ((flags & O_TMPFILE) == O_TMPFILE)
        return p.inode < 0 ? fail(ENOENT)
                           : fd_new(disk_inode_new(false, mode & 0777), flags);
    if (p.inode < 0)
        return flags & O_CREAT ? open_new(&p, flags, mode) : fail(ENOENT);
    if ((flags & O_CREAT) && (flags & O_EXCL))
        return fail(EEXIST);
    if ((flags & O_DIRECTORY) && !disk_inode_at(p.inode)->is_dir)
        return fail(ENOTDIR);
    if ((flags & O_ACCMODE) != O_RDONLY && !(flags & O_PATH) &&
        disk_inode_at(p.inode)->is_dir)
        return fail(EISDIR);
    if (flags & O_TRUNC)
        disk_resize("truncate", p.inode, 0);
    return fd_new(p.inode, flags);
}

static void locks_drop(live_inode *l, int fd)
{
    range_lock **link = &l->locks;

    while (*link) {
        if ((*link)->fd == fd)
            *link = (*link)->next;
        else
            link = &(*link)->next;
    }
    if (l->flock_fd == fd)
        l->flock_fd = -1;
}

static int model_close(int fd)
{
    open_file *f = file_of(fd);

    if (!f)
        return fail(EBADF);
    locks_drop(&disk_inodes[f->inode], fd);
    f->used = false;
    g_open--;
    return 0;
}

/* ---------------------------------------------------------- read, write --- */

static ssize_t model_pread(int fd, void *buf, size_t n, off_t off)
{
    const live_inode *l = inode_of(fd);
    size_t at = (size_t)off;

    if (!l)
        return fail(EBADF);
    if (at >= l->nbytes)
        return 0;
    if (n > l->nbytes - at)
        n = l->nbytes - at;
    memcpy(buf, l->data + at, n);
    return (ssize_t)n;
}

static ssize_t model_pwrite(int fd, const void *buf, size_t n, off_t off)
{
    const open_file *f = file_of(fd);

    if (!f || (f->flags & O_ACCMODE) == O_RDONLY)
        return fail(EBADF);
    disk_write("write", f->inode, buf, n, (size_t)off);
    return (ssize_t)n;
}

static int model_fallocate(int fd, int mode, off_t off, off_t nbytes)
{
    const open_file *f = file_of(fd);

    if (!f)
        return fail(EBADF);
    if (mode != 0)
        return fail(EOPNOTSUPP);
    if ((size_t)(off + nbytes) > disk_inodes[f->inode].nbytes)
        disk_resize("fallocate", f->inode, (size_t)(off + nbytes));
    return 0;
}

static int model_clone(int to, int from)
{
    (void)to;
    (void)from;
    return fail(EOPNOTSUPP);
}

static ssize_t model_copy_range(int from, int to, off_t off, size_t n)
{
    (void)from;
    (void)to;
    (void)off;
    (void)n;
    return fail(EOPNOTSUPP);
}

/* ---------------------------------------------------------------- stat --- */

static struct timespec time_of(uint64_t t)
{
    struct timespec ts = {.tv_sec = (time_t)(t / 1000000),
                          .tv_nsec = (long)(t % 1000000) * 1000};

    return ts;
}

static void stat_of(int32_t i, struct stat *st)
{
    const live_inode *l = &disk_inodes[i];
    const disk_inode *inode = disk_inode_at(i);

    memset(st, 0, sizeof *st);
    st->st_dev = DEVICE;
    st->st_ino = (ino_t)(g_generation * DISK_NODES + (uint64_t)i + 1);
    st->st_mode = (inode->is_dir ? S_IFDIR : S_IFREG) | inode->mode;
    st->st_gid = inode->gid;
    st->st_nlink = inode->is_dir ? 2 : l->links;
    st->st_size = inode->is_dir ? 4096 : (off_t)l->nbytes;
    st->st_blksize = 4096;
    st->st_blocks = (st->st_size + 511) / 512;
    st->st_mtim = time_of(l->written);
    st->st_ctim = time_of(l->changed);
}

static int model_fstat(int fd, struct stat *st)
{
    const open_file *f = file_of(fd);

    if (!f)
        return fail(EBADF);
    stat_of(f->inode, st);
    return 0;
}

static int model_fstatat(int dir, const char *path, struct stat *st, int flags)
{
    place p;
    int rc;

    if (path[0] == '\0' && (flags & AT_EMPTY_PATH))
        return model_fstat(dir, st);
    rc = walk(&p, dir, path);
    if (rc != 0 || p.inode < 0)
        return fail(rc != 0 ? rc : ENOENT);
    stat_of(p.inode, st);
    return 0;
}

static int model_faccessat(int dir, const char *path, int mode, int flags)
{
    place p;
    int rc = walk(&p, dir, path);

    (void)mode;
    (void)flags;
    return rc != 0 || p.inode < 0 ? fail(rc != 0 ? rc : ENOENT) : 0;
}

static int model_fstatfs(int fd, struct statfs *st)
{
    if (!file_of(fd))
        return fail(EBADF);
    memset(st, 0, sizeof *st);
    st->f_type = 0xEF53;
    st->f_bsize = 4096;
    st->f_namelen = 255;
    st->f_blocks = st->f_bfree = st->f_bavail = 1 << 20;
    return 0;
}

static int model_fchmod(int fd, mode_t mode)
{
    const open_file *f = file_of(fd);

    if (!f)
        return fail(EBADF);
    disk_inode_mode(f->inode, mode & 07777, disk_inode_at(f->inode)->gid);
    return 0;
}

static int model_fchown(int fd, uid_t uid, gid_t gid)
{
    const open_file *f = file_of(fd);

    (void)uid;
    if (!f)
        return fail(EBADF);
    disk_inode_mode(f->inode, disk_inode_at(f->inode)->mode, gid);
    return 0;
}

/* --------------------------------------------------------------- names --- */

static bool has_entries(int32_t dir)
{
    for (uint32_t n = 0; n < disk_name_count(); n++) {
        if (disk_name_at(n)->dir == dir && disk_targets[n] >= 0)
            return true;
    }
    return false;
}

static int rename_checks(const place *a, const place *b, unsigned flags)
{
    bool is_dir;

    if (a->inode < 0)
        return ENOENT;
    if (a->name < 0 || b->name < 0)
        return EBUSY;
    is_dir = disk_inode_at(a->inode)->is_dir;
    if (flags & RENAME_EXCHANGE)
        return b->inode < 0 ? ENOENT : 0;
    if (b->inode < 0)
        return 0;
    if (flags & RENAME_NOREPLACE)
        return EEXIST;
    if (is_dir != disk_inode_at(b->inode)->is_dir)
        return is_dir ? ENOTDIR : EISDIR;
    return is_dir && has_entries(b->inode) ? ENOTEMPTY : 0;
}

static int model_renameat2(int from_dir, const char *from, int to_dir,
                           const char *to, unsigned flags)
{
    place a, b;
    name_change c[2];
    int rc = walk(&a, from_dir, from);

    if (rc == 0)
        rc = walk(&b, to_dir, to);
    if (rc == 0)
        rc = rename_checks(&a, &b, flags);
    if (rc != 0)
        return fail(rc);
    if (a.inode == b.inode)
        return 0;
    c[0] = (name_change){a.name, DISK_NONE, true};
    c[1] = (name_change){b.name, a.inode, false};
    if (flags & RENAME_EXCHANGE) {
        c[0].target = b.inode;
        c[1].must_be = true;
    }
    disk_change_names("rename", c, 2);
    return 0;
}

/* "/proc/self/fd/N" of ours; -1. */
static int fd_of_proc(const char *path)
{
    static const char proc[] = "/proc/self/fd/";

    if (strncmp(path, proc, sizeof proc - 1) != 0)
        return -1;
    return (int)strtol(path + sizeof proc - 1, NULL, 10);
}

static int model_linkat(int from_dir, const char *from, int to_dir,
                        const char *to, int flags)
{
    const open_file *f = file_of(fd_of_proc(from));
    place a = {DISK_NONE, DISK_NONE, DISK_NONE}, b;
    name_change c;
    int rc = f ? 0 : walk(&a, from_dir, from);

    (void)flags;
    if (f)
        a.inode = f->inode;
    if (rc == 0)
        rc = walk(&b, to_dir, to);
    if (rc != 0)
        return fail(rc);
    if (a.inode < 0)
        return fail(ENOENT);
    if (disk_inode_at(a.inode)->is_dir)
        return fail(EPERM);
    if (b.inode >= 0 || b.name < 0)
        return fail(EEXIST);
    c = (name_change){b.name, a.inode, false};
    disk_change_names("link", &c, 1);
    return 0;
}

static int model_unlinkat(int dir, const char *path, int flags)
{
    bool wants_dir = flags & AT_REMOVEDIR, is_dir;
    name_change c;
    place p;
    int rc = walk(&p, dir, path);

    if (rc != 0 || p.inode < 0)
        return fail(rc != 0 ? rc : ENOENT);
    is_dir = disk_inode_at(p.inode)->is_dir;
    if (p.name < 0 || is_dir != wants_dir)
        return fail(is_dir ? EISDIR : ENOTDIR);
    if (is_dir && has_entries(p.inode))
        return fail(ENOTEMPTY);
    c = (name_change){p.name, DISK_NONE, true};
    disk_change_names(is_dir ? "rmdir" : "unlink", &c, 1);
    return 0;
}

static int model_mkdirat(int dir, const char *path, mode_t mode)
{
    name_change c;
    place p;
    int rc = walk(&p, dir, path);

    if (rc != 0)
        return fail(rc);
    if (p.inode >= 0)
        return fail(EEXIST);
    c = (name_change){p.name, disk_inode_new(true, mode & 0777), false};
    disk_change_names("mkdir", &c, 1);
    return 0;
}

/* --------------------------------------------------------------- locks --- */

static range_lock *conflict_with(const live_inode *l, int fd, int64_t first,
                                 int64_t last, bool exclusive)
{
    for (range_lock *k = l->locks; k; k = k->next) {
        if (k->fd != fd && k->first <= last && k->last >= first &&
            (exclusive || k->exclusive))
            return k;
    }
    return NULL;
}

static void lock_add(live_inode *l, int fd, int64_t first, int64_t last,
                     bool exclusive)
{
    range_lock *k = disk_take(sizeof *k);

    *k = (range_lock){fd, first, last, exclusive, l->locks};
    l->locks = k;
}

/* What `fd` has in the range is taken out of its locks. */
static void lock_cut(live_inode *l, int fd, int64_t first, int64_t last)
{
    range_lock **link = &l->locks;

    while (*link) {
        range_lock *k = *link;

        if (k->fd != fd || k->first > last || k->last < first) {
            link = &k->next;
            continue;
        }
        *link = k->next;
        if (k->first < first)
            lock_add(l, fd, k->first, first - 1, k->exclusive);
        if (k->last > last)
            lock_add(l, fd, last + 1, k->last, k->exclusive);
        link = &l->locks;
    }
}

static int model_lock(int fd, int cmd, struct flock *fl)
{
    live_inode *l = inode_of(fd);
    int64_t first = fl->l_start;
    int64_t last = fl->l_len > 0 ? first + fl->l_len - 1 : INT64_MAX;
    const range_lock *other;

    if (!l)
        return fail(EBADF);
    other = fl->l_type == F_UNLCK
                ? NULL
                : conflict_with(l, fd, first, last, fl->l_type == F_WRLCK);
    if (cmd == F_OFD_GETLK) {
        fl->l_type = F_UNLCK;
        if (other) {
            fl->l_type = other->exclusive ? F_WRLCK : F_RDLCK;
            fl->l_start = other->first;
            fl->l_len = other->last - other->first + 1;
        }
        return 0;
    }
    if (other)
        return fail(cmd == F_OFD_SETLKW ? EDEADLK : EAGAIN);
    lock_cut(l, fd, first, last);
    if (fl->l_type != F_UNLCK)
        lock_add(l, fd, first, last, fl->l_type == F_WRLCK);
    return 0;
}

static int model_flock(int fd, int operation)
{
    live_inode *l = inode_of(fd);

    if (!l)
        return fail(EBADF);
    if (operation & LOCK_UN) {
        locks_drop(l, fd);
        return 0;
    }
    if (l->flock_fd >= 0 && l->flock_fd != fd)
        return fail(EWOULDBLOCK);
    if (operation & LOCK_EX)
        l->flock_fd = fd;
    return 0;
}

/* --------------------------------------------------------------- syncs --- */

static int model_fsync(int fd)
{
    const open_file *f = file_of(fd);

    if (!f)
        return fail(EBADF);
    disk_sync(f->inode);
    return 0;
}

static int model_syncfs(int fd)
{
    if (!file_of(fd))
        return fail(EBADF);
    disk_sync(DISK_NONE);
    return 0;
}

/* ----------------------------------------------------------------- map --- */

static void *model_mmap(size_t nbytes, int prot, int fd)
{
    const open_file *f = file_of(fd);

    (void)prot;
    if (!f) {
        errno = EBADF;
        return MAP_FAILED;
    }
    return disk_map(f->inode, nbytes);
}

static int model_munmap(void *p, size_t nbytes)
{
    (void)nbytes;
    disk_unmap(p);
    return 0;
}

static int model_futex_wait(_Atomic uint32_t *word, uint32_t value,
                            const struct timespec *timeout)
{
    (void)word;
    (void)value;
    g_clock_ns += timeout
                      ? timeout->tv_sec * INT64_C(1000000000) + timeout->tv_nsec
                      : 1000000;
    return fail(ETIMEDOUT); /* nobody else is there to wake us */
}

static int model_futex_wake(_Atomic uint32_t *word, int count)
{
    (void)word;
    (void)count;
    return 0;
}

static ssize_t model_getrandom(void *buf, size_t n)
{
    uint8_t *p = buf;

    for (size_t i = 0; i < n; i++) {
        g_random ^= g_random << 13;
        g_random ^= g_random >> 7;
        g_random ^= g_random << 17;
        p[i] = (uint8_t)(g_random >> 24);
    }
    return (ssize_t)n;
}

static void stored(const char *what, const void *p, size_t n)
{
    size_t off;
    int32_t i = disk_mapped_at(p, &off);

    if (i >= 0)
        disk_catch_up(what, i, off, off + n);
}

static void model_store64(const char *what, _Atomic uint64_t *p, uint64_t value)
{
    azri_sys_posix.store64(what, p, value);
    stored(what, (const void *)(uintptr_t)p, sizeof *p);
    if (strcmp(what, "row.committed") == 0 ||
        strcmp(what, "recovery.commit") == 0)
        disk_committed();
}

static void model_bump64(const char *what, _Atomic uint64_t *p)
{
    azri_sys_posix.bump64(what, p);
    stored(what, (const void *)(uintptr_t)p, sizeof *p);
}

static bool model_swap64(const char *what, _Atomic uint64_t *p, uint64_t *seen,
                         uint64_t value)
{
    bool swapped = azri_sys_posix.swap64(what, p, seen, value);

    stored(what, (const void *)(uintptr_t)p, sizeof *p);
    return swapped;
}

/* In words: the disk may take the sector between any two of them. */
static void model_put(const char *what, void *dst, const void *src, size_t n)
{
    size_t half = n / 2;

    azri_sys_posix.put(what, dst, src, half);
    stored(what, dst, half);
    azri_sys_posix.put(what, (char *)dst + half, (const char *)src + half,
                       n - half);
    stored(what, (char *)dst + half, n - half);
}

static const struct azri_sys model_table = {
    .openat = model_openat,
    .close = model_close,
    .pread = model_pread,
    .pwrite = model_pwrite,
    .fstat = model_fstat,
    .fstatat = model_fstatat,
    .faccessat = model_faccessat,
    .fstatfs = model_fstatfs,
    .fchmod = model_fchmod,
    .fchown = model_fchown,
    .fallocate = model_fallocate,
    .fsync = model_fsync,
    .fdatasync = model_fsync,
    .syncfs = model_syncfs,
    .renameat2 = model_renameat2,
    .linkat = model_linkat,
    .unlinkat = model_unlinkat,
    .mkdirat = model_mkdirat,
    .clone = model_clone,
    .copy_range = model_copy_range,
    .mmap = model_mmap,
    .munmap = model_munmap,
    .lock = model_lock,
    .flock = model_flock,
    .futex_wait = model_futex_wait,
    .futex_wake = model_futex_wake,
    .getrandom = model_getrandom,
    .store64 = model_store64,
    .bump64 = model_bump64,
    .swap64 = model_swap64,
    .put = model_put,
};

void disk_use(void)
{
    azri_sys = &model_table;
}

void disk_boot(uint8_t id)
{
    g_boot = id;
    g_clock_ns += INT64_C(3600000000000);
}

void disk_seed(uint64_t seed)
{
    g_random = seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
}

/* ------------------------------------------------- beside the table --- */

/* A listing: the names as they stood when it was opened. */
typedef struct listing {
    int fd;
    uint32_t next, count;
    uint32_t *names;
    struct dirent entry;
} listing;

DIR *__wrap_fdopendir(int fd);
struct dirent *__wrap_readdir64(DIR *d);
int __wrap_closedir(DIR *d);
ssize_t __wrap_readlink(const char *path, char *buf, size_t n);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);
void __wrap_azri_boot_id(uint8_t out[16]);

DIR *__wrap_fdopendir(int fd)
{
    const open_file *f = file_of(fd);
    listing *l = disk_take(sizeof *l);

    l->fd = fd;
    l->names = disk_take(disk_name_count() * sizeof *l->names);
    for (uint32_t n = 0; f && n < disk_name_count(); n++) {
        if (disk_name_at(n)->dir == f->inode && disk_targets[n] >= 0)
            l->names[l->count++] = n;
    }
    return (DIR *)(void *)l;
}

struct dirent *__wrap_readdir64(DIR *d)
{
    listing *l = (listing *)(void *)d;
    uint32_t n;

    if (l->next == l->count)
        return NULL;
    n = l->names[l->next++];
    (void)snprintf(l->entry.d_name, sizeof l->entry.d_name, "%s",
                   disk_name_at(n)->name);
    l->entry.d_type =
        disk_targets[n] >= 0 && disk_inode_at(disk_targets[n])->is_dir ? DT_DIR
                                                                       : DT_REG;
    return &l->entry;
}

int __wrap_closedir(DIR *d)
{
    const listing *l = (const listing *)(const void *)d;

    return model_close(l->fd);
}

static bool path_of_directory(char *out, size_t n, int32_t inode)
{
    char text[1024];

    out[0] = '\0';
    for (int depth = 0; inode != DISK_ROOT; depth++) {
        const live_inode *l = &disk_inodes[inode];

        if (depth == DEEPEST || l->name < 0 || l->links == 0)
            return false;
        if (snprintf(text, sizeof text, "/%s%s",
                     disk_name_at((uint32_t)l->name)->name,
                     out) >= (int)sizeof text ||
            strlen(text) >= n)
            return false;
        memcpy(out, text, strlen(text) + 1);
        inode = l->parent;
    }
    if (out[0] == '\0')
        (void)snprintf(out, n, "/");
    return true;
}

ssize_t __wrap_readlink(const char *path, char *buf, size_t n)
{
    const open_file *f = file_of(fd_of_proc(path));
    char text[1024];
    size_t length;

    if (!f || !path_of_directory(text, sizeof text, f->inode))
        return fail(ENOENT);
    length = strlen(text);
    if (length > n)
        length = n;
    memcpy(buf, text, length);
    return (ssize_t)length;
}

/* A clock that goes a microsecond each time it is asked: runs are repeatable. */
int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
    (void)id;
    g_clock_ns += 1000;
    t->tv_sec = (time_t)(g_clock_ns / 1000000000);
    t->tv_nsec = (long)(g_clock_ns % 1000000000);
    return 0;
}

void __wrap_azri_boot_id(uint8_t out[16])
{
    memset(out, g_boot, 16);
}
