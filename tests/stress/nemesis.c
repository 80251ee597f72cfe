/* SPDX-License-Identifier: Apache-2.0 */
#include "nemesis.h"

#include "base/alloc.h"
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define DISK_OPTIONS "size=1m,nr_inodes=1k"

static const char *const names[NEMESIS_KINDS] = {"stop", "fork", "files",
                                                 "memory", "full"};
/* One in so many: calls for the first, operations for the others. */
static const unsigned one_in[NEMESIS_KINDS] = {10000, 100, 40, 40, 200};

static struct rlimit g_files;
static int g_filler = -1;

const char *nemesis_name(nemesis_kind kind)
{
    return names[kind];
}

bool nemesis_parse(unsigned *out, const char *list)
{
    *out = 0;
    if (strcmp(list, "all") == 0)
        *out = (1u << NEMESIS_KINDS) - 1;
    else
        while (*list) {
            size_t n = strcspn(list, ",");
            unsigned before = *out;

            for (unsigned i = 0; i < NEMESIS_KINDS; i++) {
                if (strlen(names[i]) == n && memcmp(names[i], list, n) == 0)
                    *out |= 1u << i;
            }
            if (*out == before)
                return false;
            list += n + (list[n] == ',');
        }
    return *out != 0;
}

bool nemesis_small_disk(const char *dir)
{
    return unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("azr-stress", dir, "tmpfs", 0, DISK_OPTIONS) == 0;
}

void nemesis_end_disk(const nemesis *n)
{
    if (n->kinds >> NEMESIS_FULL & 1)
        (void)umount2(n->dir, MNT_DETACH);
}

static bool draws(const nemesis *n, nemesis_kind kind, uint64_t *seed)
{
    return (n->kinds >> kind & 1) && stress_below(seed, one_in[kind]) == 0;
}

void nemesis_stop(nemesis *n, uint64_t *seed)
{
    if (!draws(n, NEMESIS_STOP, seed))
        return;
    atomic_fetch_add(&n->done[NEMESIS_STOP], 1);
    (void)kill(getpid(), SIGSTOP);
}

/* What a program does that forks and does not exec: it has our descriptors for a
 * while, and never uses them. */
static void fork_now(uint64_t *seed)
{
    struct timespec t = {0, (long)stress_below(seed, 2000000)};
    pid_t pid = fork();

    if (pid == 0) {
        (void)nanosleep(&t, NULL);
        _exit(0);
    }
    CHECK(pid > 0, "fork: %s", strerror(errno));
}

static void take_files(uint64_t *seed)
{
    struct rlimit few;
    int lowest = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

    CHECK(lowest >= 0, "dup: %s", strerror(errno));
    (void)close(lowest);
    (void)getrlimit(RLIMIT_NOFILE, &g_files);
    few = g_files;
    few.rlim_cur = (rlim_t)lowest + (rlim_t)stress_below(seed, 4);
    (void)setrlimit(RLIMIT_NOFILE, &few);
}

/* A file without a name: gone with who dies here. */
static void fill_disk(const nemesis *n)
{
    static const char block[4096];

    g_filler = open(n->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    while (g_filler >= 0 && write(g_filler, block, sizeof block) > 0) {
    }
}

nemesis_kind nemesis_begin(nemesis *n, uint64_t *seed, bool alone)
{
    nemesis_kind kind = NEMESIS_NONE;

    if (n->kinds == 0)
        return kind;
    (void)signal(SIGCHLD, SIG_IGN);
    if (!alone && draws(n, NEMESIS_FORK, seed)) {
        atomic_fetch_add(&n->done[NEMESIS_FORK], 1);
        fork_now(seed);
    }
    /* limits are of the process: one thread alone may set them */
    for (unsigned i = NEMESIS_FILES; alone && i < NEMESIS_KINDS; i++) {
        if (kind == NEMESIS_NONE && draws(n, (nemesis_kind)i, seed))
            kind = (nemesis_kind)i;
    }
    if (kind == NEMESIS_FILES)
        take_files(seed);
    else if (kind == NEMESIS_MEMORY)
        azr_set_memory_cap(azri_heap_nbytes() + 1 + stress_below(seed, 8192));
    else if (kind == NEMESIS_FULL)
        fill_disk(n);
    if (kind != NEMESIS_NONE)
        atomic_fetch_add(&n->done[kind], 1);
    return kind;
}

void nemesis_end(nemesis_kind kind)
{
    if (kind == NEMESIS_FILES)
        (void)setrlimit(RLIMIT_NOFILE, &g_files);
    else if (kind == NEMESIS_MEMORY)
        azr_set_memory_cap(0);
    else if (kind == NEMESIS_FULL) {
        if (g_filler >= 0)
            (void)close(g_filler);
        g_filler = -1;
    }
}

bool nemesis_explains(const nemesis *n, int rc, const azr_error *err)
{
    if ((n->kinds >> NEMESIS_FILES & 1) && err->sys_errno == EMFILE)
        return true;
    if ((n->kinds >> NEMESIS_MEMORY & 1) && rc == AZR_ENOMEM)
        return true;
    return (n->kinds >> NEMESIS_FULL & 1) && err->sys_errno == ENOSPC;
}
