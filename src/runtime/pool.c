/* SPDX-License-Identifier: Apache-2.0 */
/* See README.md of this room for the invariants. */
#include "runtime/pool.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#define MAX_WIDTH    64
#define STACK_NBYTES ((size_t)1 << 20)

struct run {
    struct run *next; /* in the pool's list */
    azri_pool_fn fn;
    void *arg;
    uint64_t items;
    _Atomic uint64_t claimed; /* items handed out; may pass `items` */
    atomic_bool is_stopped;   /* by an error */

    /* under the mutex */
    int wanted;          /* workers that may still join */
    int joined, active;  /* workers that did, and that are still here */
    int rc;              /* of the first error */
    azr_error err;       /* its text */
    pthread_cond_t left; /* active became 0 */
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t work; /* a run was listed */
    struct run *runs;    /* with wanted > 0, oldest first */
    int workers, idle;
} g_pool = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, 0, 0};

static _Atomic int g_threads; /* azr_set_threads; 0: one a core */
static pthread_once_t g_once = PTHREAD_ONCE_INIT;

/* ---------------------------------------------------------------- width --- */

void azr_set_threads(int threads)
{
    atomic_store_explicit(&g_threads, threads < 0 ? 0 : threads,
                          memory_order_relaxed);
}

/* Cores that this process may use; asked once. */
static int core_count(void)
{
    static _Atomic int cached;
    int n = atomic_load_explicit(&cached, memory_order_relaxed);
    cpu_set_t set;

    if (n > 0)
        return n;
    /* it fails when there are more cores than a cpu_set_t can name */
    n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set)
                                                    : MAX_WIDTH;
    if (n < 1)
        n = 1;
    atomic_store_explicit(&cached, n, memory_order_relaxed);
    return n;
}

int azri_pool_width(int threads, uint64_t items)
{
    int width = threads;

    if (width <= 0)
        width = atomic_load_explicit(&g_threads, memory_order_relaxed);
    if (width <= 0)
        width = core_count();
    if (width > MAX_WIDTH)
        width = MAX_WIDTH;
    if ((uint64_t)width > items)
        width = (int)items;
    return width < 1 ? 1 : width;
}

/* ---------------------------------------------------------------- items --- */

static void run_fail(struct run *run, int rc, const azr_error *err)
{
    pthread_mutex_lock(&g_pool.mutex);
    if (run->rc == AZR_OK) {
        run->rc = rc;
        run->err = *err;
    }
    pthread_mutex_unlock(&g_pool.mutex);
    atomic_store_explicit(&run->is_stopped, true, memory_order_relaxed);
}

/* Do items until none is left or one has failed. */
static void run_items(struct run *run, int worker)
{
    azr_error err = AZR_ERROR_INIT;

    while (!atomic_load_explicit(&run->is_stopped, memory_order_relaxed)) {
        uint64_t i =
            atomic_fetch_add_explicit(&run->claimed, 1, memory_order_relaxed);
        int rc;

        if (i >= run->items)
            return;
        rc = run->fn(run->arg, i, worker, &err);
        if (rc < 0) {
            run_fail(run, rc, &err);
            return;
        }
    }
}

/* -------------------------------------------------------------- workers --- */

static void unlist(struct run *run)
{
    for (struct run **at = &g_pool.runs; *at; at = &(*at)->next) {
        if (*at == run) {
            *at = run->next;
            return;
        }
    }
}

/* Join the oldest run; called and returns with the mutex held. */
static void help(struct run *run)
{
    int worker = ++run->joined;

    assert(run->wanted > 0);
    run->active++;
    if (--run->wanted == 0)
        unlist(run);
    pthread_mutex_unlock(&g_pool.mutex);

    run_items(run, worker);

    pthread_mutex_lock(&g_pool.mutex);
    if (run->wanted > 0) { /* nothing is left for those who might come */
        run->wanted = 0;
        unlist(run);
    }
    if (--run->active == 0)
        pthread_cond_signal(&run->left); /* last touch: the caller waits */
}

static void *worker_main(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&g_pool.mutex);
    for (;;) {
        if (g_pool.runs) {
            help(g_pool.runs);
            continue;
        }
        g_pool.idle++;
        pthread_cond_wait(&g_pool.work, &g_pool.mutex);
        g_pool.idle--;
    }
    return NULL; /* not reached: workers end with the process */
}

/* Signals meant for the host's threads stay away from workers. Those of faults
 * must not be blocked: the host's handler is to see them. */
static void worker_signals(sigset_t *set)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};

    sigfillset(set);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(set, faults[i]);
}

static bool start_worker(void)
{
    sigset_t blocked, before;
    pthread_attr_t attr;
    pthread_t thread;
    int rc;

    if (pthread_attr_init(&attr) != 0)
        return false;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_NBYTES);

    worker_signals(&blocked); /* inherited, so that there is no gap */
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    rc = pthread_create(&thread, &attr, worker_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (rc == 0)
        (void)pthread_setname_np(thread, "atomiczarr");
    return rc == 0;
}

/* ----------------------------------------------------------------- fork --- */

static void before_fork(void)
{
    pthread_mutex_lock(&g_pool.mutex);
}

static void after_fork_parent(void)
{
    pthread_mutex_unlock(&g_pool.mutex);
}

/* The workers are gone, and so are the threads whose runs were listed. */
static void after_fork_child(void)
{
    pthread_cond_init(&g_pool.work, NULL); /* had waiters that are no more */
    g_pool.runs = NULL;
    g_pool.workers = 0;
    g_pool.idle = 0;
    pthread_mutex_unlock(&g_pool.mutex);
}

static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

/* ----------------------------------------------------------------- runs --- */

/* List a run, wake idle workers for it, and make new ones up to what it wants
 * if the pool is smaller. */
static void call_for_help(struct run *run)
{
    struct run **at = &g_pool.runs;
    int wanted = run->wanted;

    pthread_mutex_lock(&g_pool.mutex);
    while (*at)
        at = &(*at)->next;
    *at = run;
    while (g_pool.workers < wanted && start_worker())
        g_pool.workers++;
    for (int i = 0; i < wanted && i < g_pool.idle; i++)
        pthread_cond_signal(&g_pool.work);
    pthread_mutex_unlock(&g_pool.mutex);
}

/* No more workers, please; wait for those who came. */
static void wait_for_helpers(struct run *run)
{
    pthread_mutex_lock(&g_pool.mutex);
    if (run->wanted > 0) {
        run->wanted = 0;
        unlist(run);
    }
    while (run->active > 0)
        pthread_cond_wait(&run->left, &g_pool.mutex);
    pthread_mutex_unlock(&g_pool.mutex);
}

static int run_alone(uint64_t items, azri_pool_fn fn, void *arg, azr_error *err)
{
    for (uint64_t i = 0; i < items; i++) {
        int rc = fn(arg, i, 0, err);

        if (rc < 0)
            return rc;
    }
    return AZR_OK;
}

int azri_pool_run(int width, uint64_t items, azri_pool_fn fn, void *arg,
                  azr_error *err)
{
    struct run run = {.fn = fn, .arg = arg, .items = items};

    width = azri_pool_width(width < 1 ? 1 : width, items);
    if (width == 1)
        return run_alone(items, fn, arg, err);

    pthread_once(&g_once, watch_forks);
    run.wanted = width - 1;
    pthread_cond_init(&run.left, NULL);
    call_for_help(&run);
    run_items(&run, 0);
    wait_for_helpers(&run);
    pthread_cond_destroy(&run.left);
    if (run.rc < 0 && err && err->code == AZR_OK)
        *err = run.err;
    return run.rc;
}
