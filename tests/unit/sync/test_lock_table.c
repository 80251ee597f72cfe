/* SPDX-License-Identifier: Apache-2.0 */
/* The table that threads of one process queue in. */
#include "unit/asleep.h"
#include "unit/checks.h"

#include "base/alloc.h"
#include "base/stats.h"
#include "sync/lock_table.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

static azri_lock_table *table;
static const azri_patience for_ever = {INT64_MAX, NULL}, no_time = {0, NULL};
static azr_error err;

static int begin(void **state)
{
    (void)state;
    err = (azr_error)AZR_ERROR_INIT;
    return azri_lock_table_new(&table, &err);
}

static int end(void **state)
{
    (void)state;
    azri_lock_table_free(table);
    table = NULL;
    return azri_heap_nbytes() == 0 ? 0 : -1;
}

static int ask(const void *owner, const azri_range *r, size_t n)
{
    return azri_lock_table_acquire(table, owner, r, n, &no_time, &err);
}

/* Somebody else: asks in a thread of his own. */
typedef struct rival {
    pthread_t thread;
    azri_range range;
    azri_patience patience;
    _Atomic int rc; /* 1: not yet */
    azr_error err;
} rival;

static void *be_rival(void *arg)
{
    rival *v = arg;

    atomic_store(&v->rc, azri_lock_table_acquire(table, v, &v->range, 1,
                                                 &v->patience, &v->err));
    return NULL;
}

static void start(rival *v, azri_range range, const azri_patience *patience)
{
    *v = (rival){.range = range, .patience = *patience, .rc = 1};
    assert_int_equal(pthread_create(&v->thread, NULL, be_rival, v), 0);
}

/* The rival stands in the queue: he counts that under the table's mutex. */
static void start_waiting(rival *v, azri_range range,
                          const azri_patience *patience)
{
    uint64_t before = atomic_load(&azri_stats.lock_waits);

    start(v, range, patience);
    while (atomic_load(&azri_stats.lock_waits) == before)
        (void)sched_yield();
}

static int result(rival *v)
{
    assert_int_equal(pthread_join(v->thread, NULL), 0);
    return atomic_load(&v->rc);
}

static void test_shared_and_exclusive(void **state)
{
    static const azri_range shared = {1, 9, false}, all = {0, 99, true},
                            beside[2] = {{10, 10, true}, {20, 30, true}};
    static int a, b, c;

    (void)state;
    assert_int_equal(ask(&a, &shared, 1), AZR_OK);
    assert_int_equal(ask(&b, &shared, 1), AZR_OK);
    assert_int_equal(ask(&c, beside, 2), AZR_OK);
    /* an owner is not in its own way */
    assert_int_equal(ask(&a, &shared, 1), AZR_OK);
    azri_lock_table_release(table, &c, 0, 15); /* not both: it stays */
    assert_int_equal(ask(&b, &beside[0], 1), AZR_EBUSY);
    azri_lock_table_release(table, &c, 15, 99);
    assert_int_equal(ask(&b, &beside[1], 1), AZR_EBUSY);
    err = (azr_error)AZR_ERROR_INIT;
    assert_int_equal(ask(&b, &all, 1), AZR_EBUSY);
    assert_int_equal(err.sub, AZR_SUB_NESTED);
    assert_non_null(strstr(err.message, "another transaction"));
    azri_lock_table_release(table, &c, 0, 99);
    azri_lock_table_release(table, &a, 0, 99);
    err = (azr_error)AZR_ERROR_INIT;
    assert_int_equal(ask(&b, &all, 1), AZR_OK); /* nothing of a or c is left */
}

static void test_thread_waits(void **state)
{
    static const azri_range r = {5, 5, true};
    uint64_t before = atomic_load(&azri_stats.lock_waits),
             before_ns = atomic_load(&azri_stats.lock_wait_ns);
    rival v;

    (void)state;
    assert_int_equal(ask(&err, &r, 1), AZR_OK);
    start_waiting(&v, r, &for_ever);
    assert_int_equal(atomic_load(&v.rc), 1);
    azri_lock_table_release(table, &err, 0, 9);
    assert_int_equal(result(&v), AZR_OK);
    assert_int_equal(atomic_load(&azri_stats.lock_waits) - before, 1);
    assert_in_range(atomic_load(&azri_stats.lock_wait_ns) - before_ns, 1,
                    UINT64_C(60000000000));
    azri_lock_table_release(table, &v, 0, 9);
    assert_int_equal(ask(&err, &r, 1), AZR_OK);
}

/* Who gives up stands in nobody's way any more. */
static void test_time_and_cancel(void **state)
{
    static const azri_range r = {5, 5, true};
    azr_cancel *cancel = NULL;
    azri_patience patience = {INT64_MAX, NULL};
    rival v, w, x;

    (void)state;
    assert_int_equal(azr_cancel_new(&cancel), AZR_OK);
    patience.cancel = cancel;
    assert_int_equal(ask(&err, &r, 1), AZR_OK);
    start(&v, r, &no_time);
    assert_int_equal(result(&v), AZR_EBUSY);
    assert_int_equal(v.err.code, 0); /* the caller knows what it was */
    start_waiting(&w, (azri_range){5, 6, true}, &patience);
    /* he would be granted if w were not before him */
    start_waiting(&x, (azri_range){6, 6, true}, &for_ever);
    assert_int_equal(atomic_load(&x.rc), 1);
    azr_cancel_request(cancel);
    assert_int_equal(result(&w), AZR_ECANCELED);
    assert_int_equal(result(&x), AZR_OK);
    azri_lock_table_release(table, &x, 0, 9);
    azri_lock_table_release(table, &err, 0, 9);
    assert_int_equal(ask(&err, &r, 1), AZR_OK);
    azr_cancel_free(cancel);
}

/* First come, first served: a reader behind a waiting writer waits too. */
static void test_order(void **state)
{
    static const azri_range shared = {1, 4, false}, writer = {4, 6, true};
    rival v, w;

    (void)state;
    assert_int_equal(ask(&err, &shared, 1), AZR_OK);
    start_waiting(&v, writer, &for_ever);
    start_waiting(&w, shared, &for_ever);
    azri_lock_table_release(table, &err, 0, 9);
    assert_int_equal(result(&v), AZR_OK);
    assert_int_equal(atomic_load(&w.rc), 1);
    azri_lock_table_release(table, &v, 0, 9);
    assert_int_equal(result(&w), AZR_OK);
}

static _Atomic int g_came; /* 1: to the mutex, 2: beyond it */
static _Atomic pid_t g_who;

static void *fork_too(void *arg)
{
    atomic_store(&g_who, gettid());
    atomic_store(&g_came, 1);
    azri_lock_table_before_fork(table);
    atomic_store(&g_came, 2);
    azri_lock_table_after_fork(table, false);
    return arg;
}

/* Nobody is at the table while the process is copied. */
static void test_held_over_fork(void **state)
{
    pthread_t other;

    (void)state;
    atomic_store(&g_came, 0);
    azri_lock_table_before_fork(table);
    assert_int_equal(pthread_create(&other, NULL, fork_too, NULL), 0);
    while (atomic_load(&g_came) == 0 ||
           (atomic_load(&g_came) == 1 && !is_asleep(atomic_load(&g_who))))
        (void)sched_yield();
    assert_int_equal(atomic_load(&g_came), 1);
    azri_lock_table_after_fork(table, false);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(atomic_load(&g_came), 2);
}

/* The child's table is empty: what was granted is the parent's. */
static void test_fork(void **state)
{
    static const azri_range r = {5, 5, true};
    static int other;

    (void)state;
    assert_int_equal(ask(&err, &r, 1), AZR_OK);
    azri_lock_table_before_fork(table);
    azri_lock_table_after_fork(table, false);
    assert_int_equal(ask(&other, &r, 1), AZR_EBUSY);
    azri_lock_table_before_fork(table);
    azri_lock_table_after_fork(table, true);
    assert_int_equal(ask(&other, &r, 1), AZR_OK);
}

static void test_no_memory(void **state)
{
    static const azri_range r = {5, 5, true};
    azri_lock_table *none = NULL;

    (void)state;
    azr_set_memory_cap(1);
    assert_int_equal(azri_lock_table_new(&none, &err), AZR_ENOMEM);
    assert_null(none);
    err = (azr_error)AZR_ERROR_INIT;
    assert_int_equal(ask(&err, &r, 1), AZR_ENOMEM);
    assert_non_null(strstr(err.message, "out of memory"));
    azr_set_memory_cap(0);
    err = (azr_error)AZR_ERROR_INIT;
    assert_int_equal(ask(&err, &r, 1), AZR_OK);
    azri_lock_table_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shared_and_exclusive, begin, end),
        cmocka_unit_test_setup_teardown(test_thread_waits, begin, end),
        cmocka_unit_test_setup_teardown(test_time_and_cancel, begin, end),
        cmocka_unit_test_setup_teardown(test_order, begin, end),
        cmocka_unit_test_setup_teardown(test_fork, begin, end),
        cmocka_unit_test_setup_teardown(test_no_memory, begin, end),
        cmocka_unit_test_setup_teardown(test_held_over_fork, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
