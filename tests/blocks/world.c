/* SPDX-License-Identifier: Apache-2.0 */
#include "blocks/world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_ROOM 512

static struct {
    const tape *t;
    world_marks *marks;
    uint32_t commit_mark;
    uint32_t beside;
    uint64_t seed;
    int other; /* a file of the other program */
    int state; /* the last one that was opened */
    uint8_t boot;
} g = {.other = -1, .state = -1};

uint64_t world_random(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* --------------------------------------------------------------- the disk --- */

bool disk_mkdir(const char *path)
{
    return mkdir(path, 0777) == 0;
}

/* The last one that was asked for stays. */
const disk_content *disk_peek(const char *path)
{
    static disk_content c;
    static uint8_t *bytes;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;

    if (fd < 0)
        return NULL;
    free(bytes);
    bytes = NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        (bytes = malloc((size_t)st.st_size + 1)))
        n = read(fd, bytes, (size_t)st.st_size);
    (void)close(fd);
    c.data = bytes;
    c.nbytes = n > 0 ? (size_t)n : 0;
    return n < 0 ? NULL : &c;
}

/* As deep as the tree is. */
/* NOLINTNEXTLINE(misc-no-recursion) */
static void walk_below(const char *root, const char *path, disk_walk_fn fn,
                       void *arg)
{
    char full[2 * PATH_ROOM];
    const struct dirent *e;
    DIR *d;

    (void)snprintf(full, sizeof full, "%s/%s", root, path);
    d = opendir(full);
    while (d && (e = readdir(d))) { /* NOLINT(concurrency-mt-unsafe) */
        char below[PATH_ROOM];
        struct stat st;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(below, sizeof below, "%.250s%s%.250s", path,
                       path[0] ? "/" : "", e->d_name);
        if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        fn(below, S_ISDIR(st.st_mode), (size_t)st.st_size, arg);
        if (S_ISDIR(st.st_mode))
            walk_below(root, below, fn, arg);
    }
    if (d)
        (void)closedir(d);
}

void disk_walk(const char *path, disk_walk_fn fn, void *arg)
{
    walk_below(path, "", fn, arg);
}

/* Files of the arrays that are open. */
uint32_t disk_open_count(void)
{
    DIR *d = opendir("/proc/self/fd");
    const struct dirent *e;
    uint32_t n = 0;

    while (d && (e = readdir(d))) { /* NOLINT(concurrency-mt-unsafe) */
        char to[PATH_ROOM];
        ssize_t k = readlinkat(dirfd(d), e->d_name, to, sizeof to - 1);

        to[k > 0 ? k : 0] = '\0';
        n += strncmp(to, "/d/", 3) == 0;
    }
    if (d)
        (void)closedir(d);
    return n;
}

/* What is open ends with the process, which is near. */
void disk_forget_process(void)
{
}

void disk_boot(uint8_t id)
{
    g.boot = id;
}

/* The linker puts it in the place of the library's. */
void __wrap_azri_boot_id(uint8_t out[16]);

void __wrap_azri_boot_id(uint8_t out[16])
{
    memset(out, g.boot, 16);
}

/* ------------------------------------------------------------------ marks --- */

void disk_log_commits(uint32_t mark)
{
    g.commit_mark = mark;
}

void disk_log_mark(uint32_t mark)
{
    uint32_t now = tape_count(g.t);

    if (now < g.marks->kept[mark])
        g.marks->kept[mark] = now;
}

/* ----------------------------------------------------------- what is beside --- */

/* Another program on the same file system syncs: its file, or everything; or the
 * kernel writes back what was stored to `state`, and nothing else. This brings to
 * the disk what nobody asked for. */
static void beside(void)
{
    uint64_t r;
    int saved = errno;

    if (g.beside == 0 || world_random(&g.seed) % g.beside != 0)
        return;
    if (g.other < 0)
        g.other = open("/other", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    r = world_random(&g.seed);
    if (r % 4 == 0)
        (void)syncfs(g.other);
    else if (r % 4 == 1)
        (void)sync_file_range(g.state, 0, 0,
                              SYNC_FILE_RANGE_WAIT_BEFORE |
                                  SYNC_FILE_RANGE_WRITE |
                                  SYNC_FILE_RANGE_WAIT_AFTER);
    else if (pwrite(g.other, &r, sizeof r, (off_t)(r >> 8) % 8192) > 0)
        (void)fsync(g.other);
    errno = saved;
}

static int world_openat(int dir, const char *path, int flags, mode_t mode)
{
    static const char name[] = "state";
    int fd = azri_sys_posix.openat(dir, path, flags, mode);
    size_t n = strlen(path);

    if (fd >= 0 && n >= strlen(name) &&
        strcmp(path + n - strlen(name), name) == 0)
        g.state = fd;
    return fd;
}

static ssize_t world_pwrite(int fd, const void *buf, size_t n, off_t off)
{
    ssize_t rc = azri_sys_posix.pwrite(fd, buf, n, off);
    int saved = errno;

    if (g.beside > 0 && world_random(&g.seed) % g.beside == 0)
        (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    errno = saved;
    beside();
    return rc;
}

static bool is_taken_away(void)
{
    beside();
    return disk_site_is_removed(disk_site_asked(true));
}

static int world_fsync(int fd)
{
    return is_taken_away() ? 0 : azri_sys_posix.fsync(fd);
}

static int world_fdatasync(int fd)
{
    return is_taken_away() ? 0 : azri_sys_posix.fdatasync(fd);
}

static int world_syncfs(int fd)
{
    return is_taken_away() ? 0 : azri_sys_posix.syncfs(fd);
}

static int world_renameat2(int from_dir, const char *from, int to_dir,
                           const char *to, unsigned flags)
{
    beside();
    return azri_sys_posix.renameat2(from_dir, from, to_dir, to, flags);
}

static int world_linkat(int from_dir, const char *from, int to_dir,
                        const char *to, int flags)
{
    beside();
    return azri_sys_posix.linkat(from_dir, from, to_dir, to, flags);
}

static int world_unlinkat(int dir, const char *path, int flags)
{
    beside();
    return azri_sys_posix.unlinkat(dir, path, flags);
}

static int world_mkdirat(int dir, const char *path, mode_t mode)
{
    beside();
    return azri_sys_posix.mkdirat(dir, path, mode);
}

static void world_store64(const char *what, _Atomic uint64_t *p, uint64_t value)
{
    beside();
    azri_sys_posix.store64(what, p, value);
    if (g.commit_mark > 0 && strcmp(what, "row.committed") == 0)
        disk_log_mark(g.commit_mark);
}

static void world_put(const char *what, void *dst, const void *src, size_t n)
{
    beside();
    azri_sys_posix.put(what, dst, src, n);
}

void world_use(const tape *t, world_marks *m, uint32_t rate, uint64_t seed)
{
    static struct azri_sys table;

    g.t = t;
    g.marks = m;
    g.beside = rate;
    g.seed = seed;
    table = azri_sys_posix;
    table.openat = world_openat;
    table.pwrite = world_pwrite;
    table.fsync = world_fsync;
    table.fdatasync = world_fdatasync;
    table.syncfs = world_syncfs;
    table.renameat2 = world_renameat2;
    table.linkat = world_linkat;
    table.unlinkat = world_unlinkat;
    table.mkdirat = world_mkdirat;
    table.store64 = world_store64;
    table.put = world_put;
    azri_sys = &table;
}

void world_note_sites(void)
{
    g.marks->site_count = disk_site_count();
    for (uint32_t i = 0; i < disk_site_count(); i++)
        g.marks->sites[i] = *disk_site_at(i);
}
