/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include "cli.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

uint64_t load_now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void load_sleep_ms(double ms)
{
    struct timespec ts;

    ts.tv_sec = (time_t)(ms / 1e3);
    ts.tv_nsec = (long)((ms - (double)ts.tv_sec * 1e3) * 1e6);
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

void *load_map(size_t nbytes)
{
    void *p = mmap(NULL, nbytes, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

void load_unmap(void *p, size_t nbytes)
{
    if (p)
        (void)munmap(p, nbytes);
}

/* ---------------------------------------------------------- histograms --- */

/* Bucket of `ns`: octave and the four bits after its leading one. */
static size_t bucket_of(uint64_t ns)
{
    int octave;
    size_t b;

    if (ns < 16)
        return (size_t)ns;
    octave = 63 - __builtin_clzll(ns);
    b = (size_t)(octave - 3) * 16 + (size_t)((ns >> (octave - 4)) & 15u);
    return b < LOAD_BUCKETS ? b : LOAD_BUCKETS - 1;
}

/* Upper end of a bucket. */
static uint64_t bucket_end(size_t b)
{
    unsigned octave = (unsigned)(b / 16) + 3;

    if (b < 16)
        return (uint64_t)b + 1;
    return (16u + (uint64_t)(b % 16) + 1) << (octave - 4);
}

static uint64_t peek(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

/* There is one writer, so this needs no locked instruction. */
static void bump(_Atomic uint64_t *word)
{
    atomic_store_explicit(word, peek(word) + 1, memory_order_relaxed);
}

void load_record(struct load_slot *slot, uint64_t ns)
{
    bump(&slot->bucket[bucket_of(ns)]);
    if (ns > peek(&slot->max_ns))
        atomic_store_explicit(&slot->max_ns, ns, memory_order_relaxed);
    bump(&slot->ops);
}

void load_sum_add(struct load_sum *sum, const struct load_slot *slot)
{
    uint64_t max = peek(&slot->max_ns);

    sum->ops += peek(&slot->ops);
    if (max > sum->max_ns)
        sum->max_ns = max;
    for (size_t i = 0; i < LOAD_BUCKETS; i++)
        sum->bucket[i] += peek(&slot->bucket[i]);
}

uint64_t load_quantile_ns(const struct load_sum *sum, double p)
{
    uint64_t total = 0, seen = 0, rank;

    for (size_t i = 0; i < LOAD_BUCKETS; i++)
        total += sum->bucket[i];
    if (total == 0)
        return 0;
    rank = (uint64_t)(p * (double)total);
    for (size_t i = 0; i < LOAD_BUCKETS; i++) {
        seen += sum->bucket[i];
        if (seen > rank)
            return bucket_end(i) < sum->max_ns ? bucket_end(i) : sum->max_ns;
    }
    return sum->max_ns;
}

/* -------------------------------------------------------------- random --- */

uint64_t load_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t load_random_below(uint64_t *state, uint64_t n)
{
    return load_random(state) % n;
}

/* ------------------------------------------------------------- children --- */

void load_gate_enter(struct load_gate *gate)
{
    atomic_fetch_add(&gate->ready, 1);
    while (!atomic_load(&gate->go) && !atomic_load(&gate->stop))
        load_sleep_ms(0.2);
}

void load_gate_fail(struct load_gate *gate, const char *text)
{
    if (atomic_exchange(&gate->failed, 1) == 0)
        (void)snprintf(gate->message, sizeof gate->message, "%s", text);
    atomic_store(&gate->stop, 1);
}

int load_gate_open(const struct load_gate *gate)
{
    return !atomic_load_explicit(&gate->stop, memory_order_relaxed);
}

/* What a child does about signals: Ctrl-C reaches the whole group, and the
 * parent ends its children by itself; the others mean what they usually do. */
static void child_signals(void)
{
    struct sigaction sa;

    memset(&sa, 0, sizeof sa);
    sa.sa_handler = SIG_DFL;
    (void)sigaction(SIGTERM, &sa, NULL);
    (void)sigaction(SIGHUP, &sa, NULL);
    sa.sa_handler = SIG_IGN;
    (void)sigaction(SIGINT, &sa, NULL);
}

pid_t load_spawn(load_child_fn fn, int index, void *arg)
{
    pid_t parent = getpid();
    pid_t pid;

    (void)fflush(NULL);
    pid = fork();
    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    child_signals();
    _exit(fn(index, arg) ? 1 : 0);
}

int load_fork(pid_t *pids, int n, load_child_fn fn, void *arg)
{
    for (int i = 0; i < n; i++) {
        pids[i] = load_spawn(fn, i, arg);
        if (pids[i] < 0)
            return -1;
    }
    return 0;
}

uint64_t load_run(struct load_gate *gate, int n, double seconds)
{
    uint64_t start, end;

    while (atomic_load(&gate->ready) < n && !atomic_load(&gate->failed) &&
           !cli_signal)
        load_sleep_ms(1);
    start = load_now_ns();
    atomic_store(&gate->go, 1);
    end = start + (uint64_t)(seconds * 1e9);
    while (!atomic_load(&gate->failed) && !cli_signal) {
        uint64_t now = load_now_ns();
        double left = now < end ? (double)(end - now) / 1e6 : 0;

        if (left <= 0)
            break;
        load_sleep_ms(left < 20 ? left : 20);
    }
    end = load_now_ns();
    atomic_store(&gate->stop, 1);
    return atomic_load(&gate->failed) || cli_signal ? 0 : end - start;
}

int load_join(const pid_t *pids, int n)
{
    int bad = 0;

    for (int i = 0; i < n; i++) {
        int status = 0;
        pid_t pid;

        do
            pid = waitpid(pids[i], &status, 0);
        while (pid < 0 && errno == EINTR);
        if (pid != pids[i] || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            bad = -1;
    }
    return bad;
}

static int remove_one(const char *path, const struct stat *st, int kind,
                      struct FTW *walk)
{
    (void)st;
    (void)kind;
    (void)walk;
    (void)remove(path);
    return 0;
}

void load_remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
