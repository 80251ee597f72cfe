/* SPDX-License-Identifier: Apache-2.0 */
/* Meant to be run under ThreadSanitizer and AddressSanitizer too. */
#include "unit/checks.h"

#include "runtime/pool.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child of a process with threads makes threads of its own: meant so. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}

/* ------------------------------------------------- threads that cannot be --- */

static atomic_int g_threads_refused; /* 1: pthread_create fails */
static atomic_int g_threads_made;

#if defined(__clang__)
#    define CAN_REFUSE 0 /* its sanitizers have a pthread_create themselves */
#else
#    define CAN_REFUSE 1

int pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                   void *(*start)(void *), void *arg)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    if (atomic_load(&g_threads_refused))
        return EAGAIN;
    atomic_fetch_add(&g_threads_made, 1);
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attr, start, arg);
}
#endif

/* ------------------------------------------------------------------ items --- */

enum { ITEMS = 2000 };

struct job {
    atomic_int done[ITEMS];
    atomic_int in_use[64]; /* by worker number */
    atomic_int workers;    /* most seen at once */
    atomic_int busy;
    uint64_t last[64]; /* plain on purpose: of one worker at a time */
    int width;
    atomic_bool is_wrong;
};

static void spin(int n)
{
    for (volatile int i = 0; i < n; i++) {
    }
}

/* Each item once; no worker number twice at once; ascending for each worker. */
static int count_item(void *arg, uint64_t i, int worker, azr_error *err)
{
    struct job *job = arg;

    (void)err;
    if (worker < 0 || worker >= job->width ||
        atomic_fetch_add(&job->in_use[worker], 1) != 0)
        atomic_store(&job->is_wrong, true);
    if (job->last[worker] > i)
        atomic_store(&job->is_wrong, true);
    job->last[worker] = i;
    atomic_fetch_add(&job->done[i], 1);
    spin(200);
    atomic_fetch_sub(&job->in_use[worker], 1);
    return AZR_OK;
}

static void check_job(int width, uint64_t items)
{
    struct job *job = test_calloc(1, sizeof *job);
    azr_error err = AZR_ERROR_INIT;

    job->width = width;
    assert_int_equal(azri_pool_run(width, items, count_item, job, &err),
                     AZR_OK);
    assert_int_equal(err.code, 0);
    for (uint64_t i = 0; i < ITEMS; i++)
        assert_int_equal(atomic_load(&job->done[i]), i < items ? 1 : 0);
    assert_false(atomic_load(&job->is_wrong));
    test_free(job);
}

static void test_each_item_once(void **state)
{
    static const int widths[] = {1, 2, 3, 8, 64};
    static const uint64_t items[] = {0, 1, 2, 3, 63, ITEMS};

    (void)state;
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        for (size_t k = 0; k < sizeof items / sizeof items[0]; k++)
            check_job(widths[i], items[k]);
    }
}

/* Without a worker the caller does it all. The pool is still empty here: this
 * test must be the first. */
static void test_no_thread_to_be_had(void **state)
{
    (void)state;
    if (!CAN_REFUSE)
        skip();
    atomic_store(&g_threads_refused, 1);
    check_job(4, 100);
    atomic_store(&g_threads_refused, 0);
    check_job(4, 100);
    assert_int_equal(atomic_load(&g_threads_made), 3);
    check_job(3, 100); /* they are kept */
    assert_int_equal(atomic_load(&g_threads_made), 3);
}

/* Items meet: two threads must be at work at once, or this never ends. */
struct meeting {
    pthread_barrier_t barrier;
};

static int meet_item(void *arg, uint64_t i, int worker, azr_error *err)
{
    struct meeting *m = arg;

    (void)i;
    (void)worker;
    (void)err;
    pthread_barrier_wait(&m->barrier);
    return AZR_OK;
}

static void test_really_parallel(void **state)
{
    enum { WIDE = 4 };
    struct meeting m;

    (void)state;
    assert_int_equal(pthread_barrier_init(&m.barrier, NULL, WIDE), 0);
    for (int k = 0; k < 50; k++)
        assert_int_equal(azri_pool_run(WIDE, WIDE, meet_item, &m, NULL),
                         AZR_OK);
    pthread_barrier_destroy(&m.barrier);
}

/* ------------------------------------------------------------------ width --- */

static void test_width(void **state)
{
    (void)state;
    assert_int_equal(azri_pool_width(3, 100), 3);
    assert_int_equal(azri_pool_width(3, 2), 2);
    assert_int_equal(azri_pool_width(3, 0), 1);
    assert_int_equal(azri_pool_width(1000, UINT64_MAX), 64);
    azr_set_threads(5);
    assert_int_equal(azri_pool_width(0, 100), 5);
    assert_int_equal(azri_pool_width(2, 100), 2);
    assert_int_equal(azri_pool_width(-1, 100), 5);
    azr_set_threads(-7); /* as 0: one a core */
    assert_in_range(azri_pool_width(0, 100), 1, 64);
    azr_set_threads(0);
    assert_in_range(azri_pool_width(0, UINT64_MAX), 1, 64);
    assert_int_equal(azri_pool_width(0, 1), 1);
}

/* ----------------------------------------------------------------- errors --- */

struct failing {
    uint64_t bad; /* this one and all after it */
    atomic_ullong begun;
};

static int fail_item(void *arg, uint64_t i, int worker, azr_error *err)
{
    struct failing *f = arg;

    (void)worker;
    atomic_fetch_add(&f->begun, 1);
    if (i >= f->bad)
        return azri_fail(err, AZR_ECORRUPT, "item %llu", (unsigned long long)i);
    return AZR_OK;
}

static void test_error_ends_the_run(void **state)
{
    static const int widths[] = {1, 2, 8};

    (void)state;
    for (size_t k = 0; k < sizeof widths / sizeof widths[0]; k++) {
        struct failing f = {.bad = 7};
        azr_error err = AZR_ERROR_INIT;

        assert_int_equal(
            azri_pool_run(widths[k], UINT64_MAX, fail_item, &f, &err),
            AZR_ECORRUPT);
        assert_int_equal(err.code, AZR_ECORRUPT);
        assert_non_null(strstr(err.message, "item "));
        assert_in_range(atomic_load(&f.begun), 8, 7 + widths[k]);
        /* NULL is allowed, and an older message is kept */
        assert_int_equal(azri_pool_run(widths[k], 100, fail_item, &f, NULL),
                         AZR_ECORRUPT);
        err.message[0] = '!';
        assert_int_equal(azri_pool_run(widths[k], 100, fail_item, &f, &err),
                         AZR_ECORRUPT);
        assert_int_equal(err.message[0], '!');
    }
}

/* One bad item among very many, once all four are there: this only ends because
 * the other three stop. */
static int one_bad_item(void *arg, uint64_t i, int worker, azr_error *err)
{
    if (i < 4)
        return meet_item(arg, i, worker, err);
    return i == 1000 ? azri_fail(err, AZR_EIO, "bad") : AZR_OK;
}

static void test_error_stops_the_others(void **state)
{
    struct meeting m;

    (void)state;
    assert_int_equal(pthread_barrier_init(&m.barrier, NULL, 4), 0);
    assert_int_equal(azri_pool_run(4, UINT64_MAX, one_bad_item, &m, NULL),
                     AZR_EIO);
    pthread_barrier_destroy(&m.barrier);
}

static int both_fail_item(void *arg, uint64_t i, int worker, azr_error *err)
{
    (void)worker;
    pthread_barrier_wait(arg);
    return i == 0 ? azri_fail(err, AZR_EIO, "zero")
                  : azri_fail(err, AZR_ECORRUPT, "one");
}

/* Two fail at the same time: code and text are of one and the same. */
static void test_one_whole_error(void **state)
{
    pthread_barrier_t barrier;

    (void)state;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    for (int k = 0; k < 200; k++) {
        azr_error err = AZR_ERROR_INIT;
        int rc = azri_pool_run(2, 2, both_fail_item, &barrier, &err);

        assert_true(rc == AZR_EIO || rc == AZR_ECORRUPT);
        assert_int_equal(err.code, rc);
        assert_string_equal(err.message, rc == AZR_EIO ? "zero" : "one");
    }
    pthread_barrier_destroy(&barrier);
}

enum { EVERYBODY = 64 }; /* the caller and all workers that can be */

static pthread_t g_main;

static int first_item(void *arg, uint64_t i, int worker, azr_error *err)
{
    int rc;

    (void)i;
    (void)worker;
    if (!pthread_equal(pthread_self(), g_main))
        return azri_fail(err, AZR_EIO, "first");
    /* all workers come here, also the one that failed: its error is noted */
    rc = azri_pool_run(EVERYBODY, EVERYBODY, meet_item, arg, err);
    if (rc < 0)
        return rc;
    return azri_fail(err, AZR_ECORRUPT, "second");
}

static void test_first_error_counts(void **state)
{
    azr_error err = AZR_ERROR_INIT;
    struct meeting m;

    (void)state;
    assert_int_equal(pthread_barrier_init(&m.barrier, NULL, EVERYBODY), 0);
    assert_int_equal(azri_pool_run(2, 2, first_item, &m, &err), AZR_EIO);
    assert_int_equal(err.code, AZR_EIO);
    assert_string_equal(err.message, "first");
    pthread_barrier_destroy(&m.barrier);
}

/* ----------------------------------------------------- nested, concurrent --- */

static int add_item(void *arg, uint64_t i, int worker, azr_error *err)
{
    (void)worker;
    (void)err;
    atomic_fetch_add((atomic_ullong *)arg, i);
    spin(100);
    return AZR_OK;
}

static int nested_item(void *arg, uint64_t i, int worker, azr_error *err)
{
    atomic_ullong sum = 0;
    int rc = azri_pool_run(4, 50, add_item, &sum, err);

    (void)worker;
    if (rc == AZR_OK)
        atomic_fetch_add((atomic_ullong *)arg, atomic_load(&sum) + i);
    return rc;
}

static void test_nested(void **state)
{
    atomic_ullong sum = 0;

    (void)state;
    assert_int_equal(azri_pool_run(4, 40, nested_item, &sum, NULL), AZR_OK);
    assert_int_equal(atomic_load(&sum), 40 * (49 * 50 / 2) + 39 * 40 / 2);
}

enum { CALLERS = 12, RUNS = 150 };

static void *caller_main(void *arg)
{
    for (int k = 0; k < RUNS; k++) {
        uint64_t items = (uint64_t)(k % 40) + 1;
        atomic_ullong sum = 0;
        struct failing f = {.bad = 3};

        if (azri_pool_run(k % 6 + 1, items, add_item, &sum, NULL) != AZR_OK ||
            atomic_load(&sum) != items * (items - 1) / 2)
            atomic_store((atomic_bool *)arg, true);
        if (azri_pool_run(3, 50, fail_item, &f, NULL) != AZR_ECORRUPT)
            atomic_store((atomic_bool *)arg, true);
    }
    return NULL;
}

static void start_callers(pthread_t *threads, int n, atomic_bool *is_wrong)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, caller_main, is_wrong), 0);
}

static void join_all(pthread_t *threads, int n)
{
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

static void test_many_callers(void **state)
{
    pthread_t threads[CALLERS];
    atomic_bool is_wrong = false;

    (void)state;
    start_callers(threads, CALLERS, &is_wrong);
    join_all(threads, CALLERS);
    assert_false(atomic_load(&is_wrong));
}

/* ------------------------------------------------------------------- fork --- */

/* In a child: the pool works, and with threads of its own. */
static int child_work(void)
{
    atomic_ullong sum = 0;
    struct meeting m;

    if (pthread_barrier_init(&m.barrier, NULL, 3) != 0)
        return 1;
    if (azri_pool_run(3, 3, meet_item, &m, NULL) != AZR_OK)
        return 2;
    if (azri_pool_run(4, 50, add_item, &sum, NULL) != AZR_OK)
        return 3;
    return atomic_load(&sum) == 49 * 50 / 2 ? 0 : 4;
}

static void fork_and_check(void)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        (void)alarm(60); /* a hang is a failure */
        _exit(child_work());
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_fork_while_busy(void **state)
{
    enum { BUSY = 3, FORKS = 25 };
    pthread_t threads[BUSY];
    atomic_bool is_wrong = false;

    (void)state;
    check_job(4, 100); /* workers are there */
    start_callers(threads, BUSY, &is_wrong);
    for (int k = 0; k < FORKS; k++)
        fork_and_check();
    join_all(threads, BUSY);
    assert_false(atomic_load(&is_wrong));
    check_job(4, 100);
}

/* All workers busy, and one more run on the list that waits for one. */
struct crowd {
    pthread_barrier_t all_busy, listed, release;
    pid_t pid;
    atomic_bool is_stale; /* a child did an item of its parent's run */
};

static int busy_item(void *arg, uint64_t i, int worker, azr_error *err)
{
    struct crowd *c = arg;

    (void)i;
    (void)worker;
    (void)err;
    pthread_barrier_wait(&c->all_busy);
    pthread_barrier_wait(&c->release);
    return AZR_OK;
}

static int listed_item(void *arg, uint64_t i, int worker, azr_error *err)
{
    struct crowd *c = arg;

    (void)worker;
    (void)err;
    if (getpid() != c->pid)
        atomic_store(&c->is_stale, true);
    if (i == 0) {
        pthread_barrier_wait(&c->listed);
        pthread_barrier_wait(&c->release);
    }
    return AZR_OK;
}

static void *busy_main(void *arg)
{
    return azri_pool_run(EVERYBODY, EVERYBODY, busy_item, arg, NULL) == AZR_OK
               ? NULL
               : arg;
}

static void *listed_main(void *arg)
{
    return azri_pool_run(2, 50, listed_item, arg, NULL) == AZR_OK ? NULL : arg;
}

static void fork_in_crowd(struct crowd *c)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        int rc;

        (void)alarm(60);
        rc = child_work();
        _exit(atomic_load(&c->is_stale) ? 5 : rc);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* The child must not work on the run of a thread that it does not have. */
static void test_fork_forgets_runs(void **state)
{
    struct crowd c = {.pid = getpid()};
    pthread_t busy, listed;
    void *result;

    (void)state;
    pthread_barrier_init(&c.all_busy, NULL, EVERYBODY + 1);
    pthread_barrier_init(&c.listed, NULL, 2);
    pthread_barrier_init(&c.release, NULL, EVERYBODY + 2);
    assert_int_equal(pthread_create(&busy, NULL, busy_main, &c), 0);
    pthread_barrier_wait(&c.all_busy);
    assert_int_equal(pthread_create(&listed, NULL, listed_main, &c), 0);
    pthread_barrier_wait(&c.listed);
    fork_in_crowd(&c);
    pthread_barrier_wait(&c.release);
    pthread_join(busy, &result);
    assert_null(result);
    pthread_join(listed, &result);
    assert_null(result);
}

/* --------------------------------------------------------------- workers --- */

static sigset_t g_mask; /* of the main thread, before any worker */

struct masks {
    pthread_barrier_t barrier;
    pthread_t caller;
    atomic_int blocked, open_faults, helpers;
};

static int mask_item(void *arg, uint64_t i, int worker, azr_error *err)
{
    struct masks *m = arg;
    sigset_t set;

    (void)i;
    (void)worker;
    (void)err;
    pthread_barrier_wait(&m->barrier);
    if (pthread_equal(pthread_self(), m->caller))
        return AZR_OK;
    atomic_fetch_add(&m->helpers, 1);
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    if (sigismember(&set, SIGINT) && sigismember(&set, SIGALRM) &&
        sigismember(&set, SIGTERM) && sigismember(&set, SIGUSR1))
        atomic_fetch_add(&m->blocked, 1);
    if (!sigismember(&set, SIGSEGV) && !sigismember(&set, SIGBUS))
        atomic_fetch_add(&m->open_faults, 1);
    return AZR_OK;
}

/* Signals of the host stay with the host's threads, whose masks are as before. */
static void test_signals(void **state)
{
    enum { WIDE = 5 };
    struct masks m = {.caller = pthread_self()};
    sigset_t after;

    (void)state;
    assert_int_equal(pthread_barrier_init(&m.barrier, NULL, WIDE), 0);
    assert_int_equal(azri_pool_run(WIDE, WIDE, mask_item, &m, NULL), AZR_OK);
    pthread_barrier_destroy(&m.barrier);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(atomic_load(&m.helpers), WIDE - 1);
    assert_int_equal(atomic_load(&m.blocked), WIDE - 1);
    assert_int_equal(atomic_load(&m.open_faults), WIDE - 1);
    for (int s = 1; s < 32; s++)
        assert_int_equal(sigismember(&g_mask, s), sigismember(&after, s));
}

static int stack_item(void *arg, uint64_t i, int worker, azr_error *err)
{
    volatile char room[200 * 1024];

    (void)err;
    for (size_t k = 0; k < sizeof room; k += 1024)
        room[k] = (char)(i + k / 1024);
    pthread_barrier_wait(arg);
    return room[(size_t)worker * 1024] == (char)(i + (uint64_t)worker)
               ? AZR_OK
               : AZR_EINVAL;
}

/* Codecs want some stack: 256 KiB at least. */
static void test_stack(void **state)
{
    pthread_barrier_t barrier;

    (void)state;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 4), 0);
    assert_int_equal(azri_pool_run(4, 4, stack_item, &barrier, NULL), AZR_OK);
    pthread_barrier_destroy(&barrier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_thread_to_be_had),
        cmocka_unit_test(test_really_parallel),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_each_item_once),
        cmocka_unit_test(test_width),
        cmocka_unit_test(test_error_ends_the_run),
        cmocka_unit_test(test_error_stops_the_others),
        cmocka_unit_test(test_one_whole_error),
        cmocka_unit_test(test_first_error_counts),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_many_callers),
        cmocka_unit_test(test_fork_while_busy),
        cmocka_unit_test(test_fork_forgets_runs),
        cmocka_unit_test(test_stack),
    };

    g_main = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &g_mask);

    (void)alarm(300); /* a hang is a failure, not a wait */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
