/* SPDX-License-Identifier: Apache-2.0 */
/* Of targets that work on files: a directory in memory, trees kept as bytes. */
#ifndef AZR_FUZZ_SCRATCH_H
#define AZR_FUZZ_SCRATCH_H

#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRATCH_PATH 512

static char g_scratch[SCRATCH_PATH / 2];

static inline int scratch_remove_one(const char *path, const struct stat *st,
                                     int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void scratch_remove(const char *path)
{
    (void)nftw(path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
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

static inline int scratch_descriptors(void)
{
    return scratch_count("/proc/self/fd");
}

#endif
