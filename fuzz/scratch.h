/* SPDX-License-Identifier: Apache-2.0 */
/* Of targets that work on files: a directory in memory, trees kept as bytes. */
#ifndef AZR_FUZZ_SCRATCH_H
#define AZR_FUZZ_SCRATCH_H

#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRATCH_PATH 512

static char g_scratch[SCRATCH_PATH / 2];

/* What is in `dir`, which is closed. */
static inline void scratch_clear(int dir)
{
    DIR *d = dir < 0 ? NULL : fdopendir(dir);
    struct dirent *e;

    if (!d)
        return;
    while ((e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (e->d_type != DT_DIR && unlinkat(dir, e->d_name, 0) == 0)
            continue;
        scratch_clear(openat(dir, e->d_name,
                             O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        (void)unlinkat(dir, e->d_name, AT_REMOVEDIR);
    }
    (void)closedir(d);
}

static inline void scratch_remove(const char *path)
{
    scratch_clear(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    (void)remove(path);
}

static inline void scratch_end(void)
{
    scratch_remove(g_scratch);
}

/* g_scratch: a new directory, removed at the end. */
static inline void scratch_begin(void)
{
    const char *root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : ".";

    (void)snprintf(g_scratch, sizeof g_scratch, "%s/azr-fuzz-XXXXXX", root);
    require(mkdtemp(g_scratch) != NULL);
    require(atexit(scratch_end) == 0);
}

static inline void scratch_write(const char *path, const void *data,
                                 size_t nbytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    require(fd >= 0);
    require(write(fd, data, nbytes) == (ssize_t)nbytes);
    require(close(fd) == 0);
}

static inline size_t scratch_read(const char *path, void *out, size_t max)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, max);

    require(n >= 0);
    if (fd >= 0)
        (void)close(fd);
    return (size_t)n;
}

/* Names in a directory, without . and ..; -1: there is none. */
static inline int scratch_count(const char *path)
{
    DIR *dir = opendir(path);
    int n = -2;

    if (!dir)
        return -1;
    while (readdir(dir))
        n++;
    (void)closedir(dir);
    return n;
}

/* How many of the lowest numbers are open: one call instead of a listing. */
static inline int scratch_descriptors(void)
{
    enum { LOWEST = 256 };
    static struct pollfd list[LOWEST];
    int n = 0;

    for (int i = 0; i < LOWEST; i++)
        list[i].fd = i;
    require(poll(list, LOWEST, 0) >= 0);
    for (int i = 0; i < LOWEST; i++)
        n += (list[i].revents & POLLNVAL) == 0;
    return n;
}

/* ------------------------------------------------- a tree, kept as bytes --- */

#define SCRATCH_ENTRIES 256
#define SCRATCH_NBYTES  ((size_t)1 << 17) /* of one file */

typedef struct scratch_entry {
    char path[128]; /* below the root; "" is the root itself */
    mode_t mode;
    size_t nbytes;
    uint8_t *data; /* NULL: a directory */
} scratch_entry;

/* nftw has no argument to hand on. */
static struct {
    scratch_entry entry[SCRATCH_ENTRIES];
    size_t count, met, root_length;
} g_kept;

static inline const char *scratch_below(const char *path)
{
    path += g_kept.root_length;
    return path + (*path == '/');
}

static inline int scratch_keep_one(const char *path, const struct stat *st,
                                   int type, struct FTW *ftw)
{
    static uint8_t data[SCRATCH_NBYTES];
    scratch_entry *e = &g_kept.entry[g_kept.count++];

    (void)ftw;
    require(g_kept.count <= SCRATCH_ENTRIES);
    require((size_t)snprintf(e->path, sizeof e->path, "%s",
                             scratch_below(path)) < sizeof e->path);
    e->mode = st->st_mode;
    if (type == FTW_D)
        return 0;
    require(type == FTW_F);
    e->nbytes = scratch_read(path, data, sizeof data);
    require(e->nbytes == (size_t)st->st_size);
    e->data = malloc(e->nbytes + 1);
    require(e->data != NULL);
    memcpy(e->data, data, e->nbytes);
    return 0;
}

/* From now on the tree `root` is the one that scratch_is_kept compares with. */
static inline void scratch_keep(const char *root)
{
    for (size_t i = 0; i < g_kept.count; i++)
        free(g_kept.entry[i].data);
    memset(&g_kept, 0, sizeof g_kept);
    g_kept.root_length = strlen(root);
    require(nftw(root, scratch_keep_one, 16, FTW_PHYS) == 0);
}

static inline const scratch_entry *scratch_find(const char *path)
{
    for (size_t n = 0; n < g_kept.count; n++) {
        /* mostly they come in the order in which they were met before */
        size_t i = (g_kept.met + n) % g_kept.count;

        if (strcmp(g_kept.entry[i].path, path) == 0)
            return &g_kept.entry[i];
    }
    return NULL;
}

/* Not 0: it is another one. */
static inline int scratch_compare_one(const char *path, const struct stat *st,
                                      int type, struct FTW *ftw)
{
    static uint8_t data[SCRATCH_NBYTES];
    const scratch_entry *e = scratch_find(scratch_below(path));

    (void)type;
    (void)ftw;
    if (!e || e->mode != st->st_mode || (e->data && st->st_nlink != 1))
        return 1;
    if (e->data && (e->nbytes != (size_t)st->st_size ||
                    scratch_read(path, data, sizeof data) != e->nbytes ||
                    memcmp(data, e->data, e->nbytes) != 0))
        return 1;
    g_kept.met++;
    return 0;
}

/* The same names, types and bytes as when it was kept? */
static inline bool scratch_is_kept(const char *root)
{
    g_kept.met = 0;
    g_kept.root_length = strlen(root);
    return nftw(root, scratch_compare_one, 16, FTW_PHYS) == 0 &&
           g_kept.met == g_kept.count;
}

/* There is no `root`: make it as it was. */
static inline void scratch_restore(const char *root)
{
    char path[SCRATCH_PATH + 160];

    for (size_t i = 0; i < g_kept.count; i++) {
        const scratch_entry *e = &g_kept.entry[i];

        (void)snprintf(path, sizeof path, "%s%s%s", root, e->path[0] ? "/" : "",
                       e->path);
        if (e->data)
            scratch_write(path, e->data, e->nbytes);
        else
            require(mkdir(path, e->mode & 0777) == 0);
        require(chmod(path, e->mode & 07777) == 0);
    }
}

#endif
