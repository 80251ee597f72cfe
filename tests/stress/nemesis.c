/* SPDX-License-Identifier: Apache-2.0 */
#include "nemesis.h"

#include "base/alloc.h"
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const struct {
    const char *name;
    unsigned one_in; /* operations; calls; processes */
} kinds[NEMESIS_KINDS] = {
    [NEMESIS_STOP] = {"stop", 10000}, [NEMESIS_FORK] = {"fork", 100},
    [NEMESIS_FILES] = {"files", 40},  [NEMESIS_MEMORY] = {"memory", 40},
    [NEMESIS_FULL] = {"full", 200},   [NEMESIS_READER] = {"reader", 1000},
    [NEMESIS_SLOW] = {"slow", 500},   [NEMESIS_EINTR] = {"eintr", 60},
    [NEMESIS_SHORT] = {"short", 40},  [NEMESIS_IO] = {"io", 80},
    [NEMESIS_CLOCK] = {"clock", 80},  [NEMESIS_SPACES] = {"spaces", 3},
};

static struct rlimit g_files;
static int g_filler = -1;
/* In force in this process: its one worker, and who helps it. */
static _Atomic int g_now = NEMESIS_NONE;
static _Atomic int64_t g_leap_ns[2]; /* of the wall clock, of the other one */

const char *nemesis_name(nemesis_kind kind)
{
    return kinds[kind].name;
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
                if (strlen(kinds[i].name) == n &&
                    memcmp(kinds[i].name, list, n) == 0)
                    *out |= 1u << i;
            }
            if (*out == before)
                return false;
            list += n + (list[n] == ',');
        }
    return *out != 0;
}

bool nemesis_small_disk(const char *dir, uint64_t files)
{
    char options[64];

    files += 256;
    (void)snprintf(options, sizeof options,
                   "size=%" PRIu64 "k,nr_inodes=%" PRIu64, 4 * files,
                   files + 768);
    return unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("azr-stress", dir, "tmpfs", 0, options) == 0;
}

void nemesis_end_disk(const nemesis *n)
{
    if (n->kinds >> NEMESIS_FULL & 1)
        (void)umount2(n->dir, MNT_DETACH);
}

static bool draws(const nemesis *n, nemesis_kind kind, uint64_t *seed)
{
    return (n->kinds >> kind & 1) &&
           stress_below(seed, kinds[kind].one_in) == 0;
}

bool nemesis_may_part(void)
{
    return geteuid() == 0;
}

/* A network of its own takes the kernel long. */
void nemesis_process(nemesis *n, uint64_t *seed)
{
    int flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;

    if (!draws(n, NEMESIS_SPACES, seed))
        return;
    if (stress_below(seed, 16) == 0)
        flags |= CLONE_NEWNET;
    CHECK(unshare(flags) == 0, "unshare: %s", strerror(errno));
    atomic_fetch_add(&n->done[NEMESIS_SPACES], 1);
}

void nemesis_stop(nemesis *n, uint64_t *seed, bool reads)
{
    nemesis_kind kind = reads ? NEMESIS_READER : NEMESIS_STOP;

    if (!draws(n, kind, seed))
        return;
    atomic_fetch_add(&n->done[kind], 1);
    (void)kill(getpid(), SIGSTOP);
}

/* Who helps a worker has numbers of his own. */
static uint64_t own_below(uint64_t n)
{
    static _Thread_local uint64_t seed;

    if (seed == 0)
        seed = (uint64_t)stress_now_ns() | 1;
    return stress_below(&seed, n);
}

static void leap(void)
{
    int64_t far = (int64_t)own_below(UINT64_C(2000000000000000000));

    atomic_store(&g_leap_ns[0], far - 1000000000000000000);
    atomic_fetch_add(&g_leap_ns[1], (int64_t)own_below(UINT64_C(90000000000)));
}

int nemesis_call(bool interrupts)
{
    struct timespec t = {0, 0};

    switch (atomic_load(&g_now)) {
    case NEMESIS_SLOW:
        t.tv_nsec = (long)own_below(100000);
        (void)nanosleep(&t, NULL);
        return 0;
    case NEMESIS_EINTR:
        return interrupts && own_below(3) == 0 ? EINTR : 0;
    case NEMESIS_IO:
        return own_below(16) == 0 ? EIO : 0;
    case NEMESIS_CLOCK:
        if (own_below(4) == 0)
            leap();
        return 0;
    default:
        return 0;
    }
}

size_t nemesis_share(size_t n)
{
    if (atomic_load(&g_now) != NEMESIS_SHORT || n < 2)
        return n;
    return 1 + (size_t)own_below(n);
}

/* The library's clocks; ours is CLOCK_MONOTONIC_RAW, and does not leap. */
int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
    int rc = __real_clock_gettime(id, t);
    int64_t ns;

    if (rc != 0 || (id != CLOCK_REALTIME && id != CLOCK_MONOTONIC))
        return rc;
    ns = (int64_t)t->tv_sec * 1000000000 + t->tv_nsec +
         atomic_load(&g_leap_ns[id == CLOCK_MONOTONIC]);
    t->tv_sec = ns / 1000000000;
    t->tv_nsec = ns % 1000000000;
    return rc;
}

static void on_signal(int number)
{
    (void)number;
}

static void storm(bool on)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct itimerval every = {{0, on ? 40 : 0}, {0, on ? 40 : 0}};

    if (on)
        (void)sigaction(SIGALRM, &action, NULL);
    (void)setitimer(ITIMER_REAL, &every, NULL);
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
    for (unsigned i = NEMESIS_FILES; alone && i < NEMESIS_SPACES; i++) {
        if (i != NEMESIS_READER && kind == NEMESIS_NONE &&
            draws(n, (nemesis_kind)i, seed))
            kind = (nemesis_kind)i;
    }
    if (kind == NEMESIS_FILES)
        take_files(seed);
    else if (kind == NEMESIS_MEMORY)
        azr_set_memory_cap(azri_heap_nbytes() + 1 + stress_below(seed, 8192));
    else if (kind == NEMESIS_FULL)
        fill_disk(n);
    else if (kind == NEMESIS_EINTR)
        storm(true);
    atomic_store(&g_now, (int)kind);
    if (kind != NEMESIS_NONE)
        atomic_fetch_add(&n->done[kind], 1);
    return kind;
}

void nemesis_end(nemesis_kind kind)
{
    atomic_store(&g_now, NEMESIS_NONE);
    if (kind == NEMESIS_EINTR)
        storm(false);
    else if (kind == NEMESIS_FILES)
        (void)setrlimit(RLIMIT_NOFILE, &g_files);
    else if (kind == NEMESIS_MEMORY)
        azr_set_memory_cap(0);
    else if (kind == NEMESIS_FULL) {
        if (g_filler >= 0)
            (void)close(g_filler);
        g_filler = -1;
    }
}

bool nemesis_explains(const nemesis *n, nemesis_kind kind, int rc,
                      const azr_error *err)
{
    if ((n->kinds >> NEMESIS_FILES & 1) && err->sys_errno == EMFILE)
        return true;
    if ((n->kinds >> NEMESIS_MEMORY & 1) && rc == AZR_ENOMEM)
        return true;
    if (kind == NEMESIS_IO && err->sys_errno == EIO)
        return true;
    /* its time was over before it was; or that of its next try */
    if (kind == NEMESIS_CLOCK && (rc == AZR_EBUSY || rc == AZR_ECONFLICT))
        return true;
    return (n->kinds >> NEMESIS_FULL & 1) && err->sys_errno == ENOSPC;
}
