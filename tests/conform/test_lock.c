/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the locks of src/sync must do: kernel ranges, the table of one process,
 * and waiting without polling. The first tests are run on both kinds of lock
 * that can be taken and given back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cancel.h"
#include "base/stats.h"
#include "sync/lock_table.h"
#include "sync/waitq.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

static azri_range range(uint64_t first, uint64_t last, bool exclusive)
{
    azri_range r = {first, last, exclusive};

    return r;
}

static int new_file(void)
{
    char name[] = "lock-XXXXXX";
    int fd = mkstemp(name);

    assert_true(fd >= 0);
    assert_int_equal(unlink(name), 0);
    return fd;
}

/* The same file through an open file description of its own. */
static int reopened(int fd)
{
    char path[64];
    int again;

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    again = open(path, O_RDWR | O_CLOEXEC);
    assert_true(again >= 0);
    return again;
}

/* Until something that another thread does has happened; false after 30 s. */
static bool wait_until(bool (*has_happened)(const void *), const void *arg)
{
    int64_t end = azri_now_ns() + 30 * SECOND;

    while (!has_happened(arg)) {
        if (azri_now_ns() > end)
            return false;
        (void)sched_yield();
    }
    return true;
}

/* -------------------------------------------------------- the two kinds --- */

/* Party p (0 … 2) of a kind of lock tries; a table's owners are threads of
 * control of their own here, so every try runs in a thread. */
typedef struct kind {
    const char *name;
    int (*try)(void *lock, int party, const azri_range *r);
    void (*release)(void *lock, int party, const azri_range *r);
} kind;

static int g_files[3]; /* ofd: descriptions of one file */
static const char g_owners[3] = "abc";

static int ofd_try(void *lock, int party, const azri_range *r)
{
    (void)lock;
    return azri_ofd_try(g_files[party], r, NULL);
}

static void ofd_release(void *lock, int party, const azri_range *r)
{
    (void)lock;
    assert_int_equal(azri_ofd_unlock(g_files[party], r->first, r->last, NULL),
                     AZR_OK);
}

typedef struct table_try {
    azri_lock_table *t;
    const void *owner;
    const azri_range *r;
    int rc;
} table_try;

static void *table_try_main(void *arg)
{
    table_try *a = arg;
    azri_patience none = azri_patience_from(0, NULL);

    a->rc = azri_lock_table_acquire(a->t, a->owner, a->r, 1, &none, NULL);
    return NULL;
}

static int table_take(void *lock, int party, const azri_range *r)
{
    table_try a = {lock, &g_owners[party], r, 1};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, table_try_main, &a), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return a.rc;
}

static void table_release(void *lock, int party, const azri_range *r)
{
    azri_lock_table_release(lock, &g_owners[party], r->first, r->last);
}

static const kind kinds[] = {
    {"ofd", ofd_try, ofd_release},
    {"table", table_take, table_release},
};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

static void for_each_kind(void (*test)(const kind *k, void *lock))
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        azri_lock_table *t = NULL;

        g_files[0] = new_file();
        g_files[1] = reopened(g_files[0]);
        g_files[2] = reopened(g_files[0]);
        assert_int_equal(azri_lock_table_new(&t, NULL), AZR_OK);
        test(&kinds[i], t);
        azri_lock_table_free(t);
        for (int p = 0; p < 3; p++)
            (void)close(g_files[p]);
    }
}

static void exclusion(const kind *k, void *lock)
{
    azri_range w = range(10, 19, true), other = range(19, 30, true);
    azri_range r = range(0, 10, false), apart = range(20, 30, true);

    assert_int_equal(k->try(lock, 0, &w), AZR_OK);
    assert_int_equal(k->try(lock, 1, &w), AZR_EBUSY);
    assert_int_equal(k->try(lock, 1, &other), AZR_EBUSY);
    assert_int_equal(k->try(lock, 1, &r), AZR_EBUSY);
    assert_int_equal(k->try(lock, 1, &apart), AZR_OK);
    k->release(lock, 0, &w);
    assert_int_equal(k->try(lock, 2, &w), AZR_OK);
    k->release(lock, 1, &apart);
    k->release(lock, 2, &w);
}

static void test_exclusion(void **state)
{
    (void)state;
    for_each_kind(exclusion);
}

static void sharing(const kind *k, void *lock)
{
    azri_range r = range(5, 5, false), w = range(5, 5, true);

    assert_int_equal(k->try(lock, 0, &r), AZR_OK);
    assert_int_equal(k->try(lock, 1, &r), AZR_OK);
    assert_int_equal(k->try(lock, 2, &w), AZR_EBUSY);
    k->release(lock, 0, &r);
    assert_int_equal(k->try(lock, 2, &w), AZR_EBUSY);
    k->release(lock, 1, &r);
    assert_int_equal(k->try(lock, 2, &w), AZR_OK);
    k->release(lock, 2, &w);
}

static void test_sharing(void **state)
{
    (void)state;
    for_each_kind(sharing);
}

/* The largest offsets there are. */
static void far_end(const kind *k, void *lock)
{
    azri_range w = range(INT64_MAX - 1, INT64_MAX - 1, true);
    azri_range before = range(0, INT64_MAX - 2, true);

    assert_int_equal(k->try(lock, 0, &w), AZR_OK);
    assert_int_equal(k->try(lock, 1, &w), AZR_EBUSY);
    assert_int_equal(k->try(lock, 1, &before), AZR_OK);
    k->release(lock, 0, &w);
    k->release(lock, 1, &before);
}

static void test_far_end(void **state)
{
    (void)state;
    for_each_kind(far_end);
}

/* ----------------------------------------------------------- kernel locks --- */

/* Closing another description of the file drops nothing; closing the own one
 * drops all. */
static void test_ofd_belongs_to_description(void **state)
{
    int a = new_file(), b = reopened(a);
    azri_range w = range(3, 3, true);

    (void)state;
    assert_int_equal(azri_ofd_try(a, &w, NULL), AZR_OK);
    (void)close(reopened(a));
    assert_true(azri_ofd_busy(b, &w));
    assert_int_equal(azri_ofd_try(b, &w, NULL), AZR_EBUSY);
    (void)close(a);
    assert_false(azri_ofd_busy(b, &w));
    assert_int_equal(azri_ofd_try(b, &w, NULL), AZR_OK);
    (void)close(b);
}

static void test_ofd_part_released(void **state)
{
    int a = new_file(), b = reopened(a);
    azri_range all = range(0, 9, true), middle = range(4, 5, true),
               edge = range(3, 4, true);

    (void)state;
    assert_int_equal(azri_ofd_try(a, &all, NULL), AZR_OK);
    assert_int_equal(azri_ofd_unlock(a, 4, 5, NULL), AZR_OK);
    assert_int_equal(azri_ofd_try(b, &edge, NULL), AZR_EBUSY);
    assert_int_equal(azri_ofd_try(b, &middle, NULL), AZR_OK);
    (void)close(a);
    (void)close(b);
}

/* Another process holds it; its death, however violent, lets go. */
static void test_ofd_death(void **state)
{
    int a = new_file(), told[2], status;
    azri_range w = range(7, 7, true);
    char byte = 0;
    pid_t child;

    (void)state;
    assert_int_equal(pipe(told), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char path[64];
        int own;

        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", a);
        own = open(path, O_RDWR | O_CLOEXEC);
        byte = azri_ofd_try(own, &w, NULL) == AZR_OK ? 'y' : 'n';
        if (write(told[1], &byte, 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(told[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_int_equal(azri_ofd_try(a, &w, NULL), AZR_EBUSY);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(azri_ofd_try(a, &w, NULL), AZR_OK);
    (void)close(a);
    (void)close(told[0]);
    (void)close(told[1]);
}

/* A descriptor that cannot be locked is an error with words, not "busy". */
static void test_ofd_error(void **state)
{
    azr_error err = AZR_ERROR_INIT;
    azri_range w = range(0, 0, true);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(azri_ofd_try(fd, &w, &err), AZR_EIO);
    assert_int_equal(err.sub, AZR_SUB_LOCK);
    assert_int_equal(err.sys_errno, EBADF);
    (void)close(fd);
}

/* -------------------------------------------------------------- the table --- */

typedef struct waiter {
    azri_lock_table *t;
    azri_range r;
    int64_t timeout_ms; /* from when its thread runs */
    const azr_cancel *cancel;
    _Atomic int *turn;
    pthread_t thread;
    int rc, at;
} waiter;

static void *waiter_main(void *arg)
{
    waiter *w = arg;
    azri_patience patience = azri_patience_from(w->timeout_ms, w->cancel);

    w->rc = azri_lock_table_acquire(w->t, w, &w->r, 1, &patience, NULL);
    w->at = atomic_fetch_add(w->turn, 1);
    if (w->rc == AZR_OK)
        azri_lock_table_release(w->t, w, w->r.first, w->r.last);
    return NULL;
}

/* Counted, and so not missed if it is over when we look. */
static bool waits_are(const void *arg)
{
    const uint64_t *wanted = arg;

    return atomic_load(&azri_stats.lock_waits) >= *wanted;
}

/* Start it and see it queue up. */
static void start_waiter(waiter *w)
{
    uint64_t wanted = atomic_load(&azri_stats.lock_waits) + 1;

    assert_int_equal(pthread_create(&w->thread, NULL, waiter_main, w), 0);
    assert_true(wait_until(waits_are, &wanted));
}

static void join_waiter(waiter *w)
{
    assert_int_equal(pthread_join(w->thread, NULL), 0);
}

/* Writer, reader, writer: nobody overtakes, though the reader could. */
static void test_table_order(void **state)
{
    _Atomic int turn = 0;
    azri_lock_table *t = NULL;
    azri_range r = range(0, 9, false);
    azri_patience long_one = azri_patience_from(30000, NULL);
    waiter w[3];

    (void)state;
    assert_int_equal(azri_lock_table_new(&t, NULL), AZR_OK);
    assert_int_equal(azri_lock_table_acquire(t, &r, &r, 1, &long_one, NULL),
                     AZR_OK);
    for (int i = 0; i < 3; i++) {
        w[i] = (waiter){.t = t,
                        .r = range(0, 9, i != 1),
                        .timeout_ms = 30000,
                        .turn = &turn};
        start_waiter(&w[i]);
    }
    assert_int_equal(atomic_load(&turn), 0); /* not even the shared one */
    azri_lock_table_release(t, &r, 0, 9);
    for (int i = 0; i < 3; i++)
        join_waiter(&w[i]);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(w[i].rc, AZR_OK);
        assert_int_equal(w[i].at, i);
    }
    azri_lock_table_free(t);
}

/* Who gives up lets those behind pass. */
static void test_table_timeout(void **state)
{
    _Atomic int turn = 0;
    azri_lock_table *t = NULL;
    azri_range held = range(0, 9, false);
    azri_patience long_one = azri_patience_from(30000, NULL);
    int64_t begun = azri_now_ns();
    waiter writer, reader;

    (void)state;
    assert_int_equal(azri_lock_table_new(&t, NULL), AZR_OK);
    assert_int_equal(
        azri_lock_table_acquire(t, &held, &held, 1, &long_one, NULL), AZR_OK);
    /* long enough for the reader to come while it waits, on a busy machine too */
    writer = (waiter){
        .t = t, .r = range(0, 9, true), .timeout_ms = 1000, .turn = &turn};
    reader = (waiter){
        .t = t, .r = range(0, 9, false), .timeout_ms = 30000, .turn = &turn};
    start_waiter(&writer);
    start_waiter(&reader);
    join_waiter(&writer);
    join_waiter(&reader);
    assert_int_equal(writer.rc, AZR_EBUSY);
    assert_true(azri_now_ns() - begun >= SECOND);
    assert_int_equal(reader.rc, AZR_OK);
    azri_lock_table_release(t, &held, 0, 9);
    azri_lock_table_free(t);
}

static void test_table_cancel(void **state)
{
    _Atomic int turn = 0;
    azri_lock_table *t = NULL;
    azri_range held = range(0, 9, true);
    azri_patience none = azri_patience_from(0, NULL);
    azr_cancel *cancel = NULL;
    waiter w;

    (void)state;
    assert_int_equal(azr_cancel_new(&cancel), AZR_OK);
    assert_int_equal(azri_lock_table_new(&t, NULL), AZR_OK);
    assert_int_equal(azri_lock_table_acquire(t, &held, &held, 1, &none, NULL),
                     AZR_OK);
    w = (waiter){.t = t,
                 .r = range(4, 4, false),
                 .timeout_ms = -1,
                 .cancel = cancel,
                 .turn = &turn};
    start_waiter(&w);
    azr_cancel_request(cancel);
    join_waiter(&w);
    assert_int_equal(w.rc, AZR_ECANCELED);
    azri_lock_table_release(t, &held, 0, 9);
    azri_lock_table_free(t);
    azr_cancel_free(cancel);
}

/* A thread that would wait for itself is told so at once. */
static void test_table_nested(void **state)
{
    azri_lock_table *t = NULL;
    azr_error err = AZR_ERROR_INIT;
    azri_range w = range(1, 2, true), other = range(5, 6, true);
    azri_patience for_ever = azri_patience_from(-1, NULL);

    (void)state;
    assert_int_equal(azri_lock_table_new(&t, NULL), AZR_OK);
    assert_int_equal(azri_lock_table_acquire(t, "a", &w, 1, &for_ever, &err),
                     AZR_OK);
    assert_int_equal(azri_lock_table_acquire(t, "b", &w, 1, &for_ever, &err),
                     AZR_EBUSY);
    assert_int_equal(err.sub, AZR_SUB_NESTED);
    assert_non_null(strstr(err.message, "this thread"));
    assert_int_equal(
        azri_lock_table_acquire(t, "b", &other, 1, &for_ever, NULL), AZR_OK);
    azri_lock_table_free(t);
}

/* All of a request or nothing of it. */
static void test_table_all_at_once(void **state)
{
    azri_lock_table *t = NULL;
    azri_range two[2] = {range(1, 1, true), range(5, 5, true)};
    azri_range one = range(1, 1, true), five = range(5, 5, true);

    (void)state;
    assert_int_equal(azri_lock_table_new(&t, NULL), AZR_OK);
    assert_int_equal(table_take(t, 0, &five), AZR_OK);
    {
        table_try a = {t, "two", two, 1};
        azri_patience none = azri_patience_from(0, NULL);
        azr_error err = AZR_ERROR_INIT;

        a.rc = azri_lock_table_acquire(t, a.owner, two, 2, &none, &err);
        assert_int_equal(a.rc, AZR_EBUSY);
    }
    assert_int_equal(table_take(t, 1, &one), AZR_OK);
    azri_lock_table_free(t);
}

/* ---------------------------------------------------------------- waiting --- */

#define SLOTS 4

typedef struct queue {
    azri_wait_slot slots[SLOTS];
    _Atomic uint64_t waiting;
    azri_waitq q;
    int file;
} queue;

static queue *new_queue(void)
{
    queue *u = NULL;

    assert_int_equal(posix_memalign((void **)&u, 64, sizeof *u), 0);
    memset(u, 0, sizeof *u);
    u->q.base = (uint8_t *)u->slots;
    u->q.stride = sizeof u->slots[0];
    u->q.spare = &u->slots[SLOTS - 1];
    u->q.count = SLOTS;
    u->q.waiting = &u->waiting;
    u->file = new_file();
    return u;
}

static void free_queue(queue *u)
{
    (void)close(u->file);
    free(u);
}

typedef struct sleeper {
    queue *u;
    uint32_t slot;
    azri_range r;
    int64_t timeout_ms; /* from when its thread runs */
    const azr_cancel *cancel;
    _Atomic int *turn;
    pthread_t thread;
    int fd, rc, at;
} sleeper;

static void *sleeper_main(void *arg)
{
    sleeper *s = arg;
    azri_patience patience = azri_patience_from(s->timeout_ms, s->cancel);

    s->rc = azri_waitq_lock(&s->u->q, azri_waitq_slot(&s->u->q, s->slot), s->fd,
                            &s->r, NULL, 0, &patience, NULL);
    s->at = atomic_fetch_add(s->turn, 1);
    if (s->rc == AZR_OK &&
        azri_ofd_unlock(s->fd, s->r.first, s->r.last, NULL) == AZR_OK)
        azri_waitq_wake(&s->u->q, &s->u->slots[s->slot], &s->r, 1);
    return NULL;
}

static bool is_enlisted(const void *arg)
{
    const sleeper *s = arg;

    return atomic_load(&s->u->slots[s->slot].last) != 0;
}

static void start_sleeper(sleeper *s)
{
    uint64_t wanted = atomic_load(&azri_stats.lock_waits) + 1;

    s->fd = reopened(s->u->file);
    assert_int_equal(pthread_create(&s->thread, NULL, sleeper_main, s), 0);
    assert_true(wait_until(waits_are, &wanted));
}

static void join_sleeper(sleeper *s)
{
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    (void)close(s->fd);
}

/* The longest waiter comes first, and nobody is left behind. They wait so long that
 * none may overtake: each looks by itself every 50 ms, and the first one may be slow
 * to wake. */
static void test_waitq_order(void **state)
{
    uint64_t now = (uint64_t)azri_now_ns();
    _Atomic int turn = 0;
    queue *u = new_queue();
    azri_range all = range(0, 99, true);
    sleeper s[3];

    (void)state;
    assert_int_equal(azri_ofd_try(u->file, &all, NULL), AZR_OK);
    for (uint32_t i = 0; i < 3; i++) {
        s[i] = (sleeper){.u = u,
                         .slot = 2 - i, /* not in the order of slots */
                         .r = range(10, 20 + i, true),
                         .timeout_ms = 30000,
                         .turn = &turn};
        atomic_store(&u->slots[2 - i].ticket, now - (uint64_t)SECOND * (3 - i));
        start_sleeper(&s[i]);
        assert_true(wait_until(is_enlisted, &s[i]));
    }
    assert_int_equal(atomic_load(&turn), 0);
    assert_int_equal(azri_ofd_unlock(u->file, 0, 99, NULL), AZR_OK);
    azri_waitq_wake(&u->q, NULL, &all, 1);
    for (int i = 0; i < 3; i++)
        join_sleeper(&s[i]);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(s[i].rc, AZR_OK);
        assert_int_equal(s[i].at, i);
    }
    assert_int_equal(atomic_load(&u->waiting), 0);
    free_queue(u);
}

static void test_waitq_timeout_and_cancel(void **state)
{
    _Atomic int turn = 0;
    queue *u = new_queue();
    azri_range all = range(0, 99, true);
    azr_cancel *cancel = NULL;
    int64_t begun = azri_now_ns();
    sleeper s[2];

    (void)state;
    assert_int_equal(azr_cancel_new(&cancel), AZR_OK);
    assert_int_equal(azri_ofd_try(u->file, &all, NULL), AZR_OK);
    s[0] = (sleeper){
        .u = u, .r = range(1, 1, false), .timeout_ms = 200, .turn = &turn};
    s[1] = (sleeper){.u = u,
                     .slot = 1,
                     .r = range(1, 1, false),
                     .timeout_ms = -1,
                     .cancel = cancel,
                     .turn = &turn};
    start_sleeper(&s[0]);
    start_sleeper(&s[1]);
    azr_cancel_request(cancel);
    join_sleeper(&s[0]);
    join_sleeper(&s[1]);
    assert_int_equal(s[0].rc, AZR_EBUSY);
    assert_true(azri_now_ns() - begun >= 200000000);
    assert_int_equal(s[1].rc, AZR_ECANCELED);
    assert_int_equal(atomic_load(&u->waiting), 0);
    assert_int_equal(atomic_load(&u->slots[0].last), 0);
    assert_int_equal(atomic_load(&u->slots[1].last), 0);
    azr_cancel_free(cancel);
    free_queue(u);
}

/* Enlisted so long ago; it says that it is alive until `more_ns` from now, and
 * never takes its turn. */
static void enlist_idle(queue *u, uint64_t age_ns, int64_t more_ns)
{
    azri_wait_slot *s = &u->slots[1];

    atomic_store(&s->alive_ns, (uint64_t)(azri_now_ns() + more_ns));
    atomic_store(&s->ticket, (uint64_t)azri_now_ns() - age_ns);
    atomic_store(&s->first, 0);
    atomic_store(&s->last, 99 | AZRI_WAIT_EXCLUSIVE);
    atomic_store(&u->waiting, 1);
}

/* Did taking the lock, which is free, mean to wait? */
static bool had_to_wait(queue *u, const azri_range *held, size_t held_count)
{
    azri_patience long_one = azri_patience_from(30000, NULL);
    azri_range r = range(5, 5, true);
    uint64_t before = atomic_load(&azri_stats.lock_waits);

    assert_int_equal(azri_waitq_lock(&u->q, &u->slots[0], u->file, &r, held,
                                     held_count, &long_one, NULL),
                     AZR_OK);
    return atomic_load(&azri_stats.lock_waits) != before;
}

/* A waiter of long standing is not overtaken, but one that never takes its turn
 * is passed by and by, and the second time at once. */
static void test_waitq_courtesy(void **state)
{
    queue *u = new_queue();
    int64_t begun = azri_now_ns();

    (void)state;
    enlist_idle(u, (uint64_t)SECOND, 30 * SECOND);
    assert_true(had_to_wait(u, NULL, 0));
    assert_true(azri_now_ns() - begun >= SECOND);
    assert_int_equal(azri_ofd_unlock(u->file, 5, 5, NULL), AZR_OK);
    assert_false(had_to_wait(u, NULL, 0));
    free_queue(u);
}

/* Stopped: it has not said for a while that it is alive. Waited for until that is
 * known (0.2 s after it last was), and never after. */
static void test_waitq_stopped(void **state)
{
    queue *u = new_queue();
    int64_t begun = azri_now_ns();

    (void)state;
    enlist_idle(u, (uint64_t)SECOND, SECOND / 2);
    assert_true(had_to_wait(u, NULL, 0));
    assert_true(azri_now_ns() - begun >= SECOND / 2 + SECOND / 5);
    assert_int_equal(azri_ofd_unlock(u->file, 5, 5, NULL), AZR_OK);
    assert_false(had_to_wait(u, NULL, 0));
    free_queue(u);
}

/* A ticket from an earlier wait of the same transaction keeps its age. */
static void test_waitq_keeps_age(void **state)
{
    azri_range r = range(5, 5, true);
    _Atomic int turn = 0;
    queue *u = new_queue();
    sleeper s = {.u = u, .r = r, .timeout_ms = 100, .turn = &turn};

    (void)state;
    atomic_store(&u->slots[0].ticket, 77);
    assert_int_equal(azri_ofd_try(u->file, &r, NULL), AZR_OK);
    start_sleeper(&s);
    join_sleeper(&s);
    assert_int_equal(s.rc, AZR_EBUSY);
    assert_int_equal(atomic_load(&u->slots[0].ticket), 77);
    assert_true(atomic_load(&u->slots[0].alive_ns) > 77);
    free_queue(u);
}

/* Who waits for what we hold already cannot be waited for. */
static void test_waitq_no_circle(void **state)
{
    queue *u = new_queue();
    azri_range held = range(50, 50, true);

    (void)state;
    enlist_idle(u, (uint64_t)SECOND, 30 * SECOND);
    assert_false(had_to_wait(u, &held, 1));
    free_queue(u);
}

/* Who says that it looks by itself is not woken, unless it has not looked. */
static void test_waitq_napping(void **state)
{
    queue *u = new_queue();
    azri_range all = range(0, 99, true);
    azri_wait_slot *s = &u->slots[1];

    (void)state;
    enlist_idle(u, 0, 30 * SECOND); /* it looks for as long as we need */
    atomic_store(&s->holds_flags, AZRI_WAIT_POLLS);
    azri_waitq_wake(&u->q, NULL, &all, 1);
    assert_int_equal(atomic_load(&s->wake), 0);
    enlist_idle(u, 0, -SECOND);
    azri_waitq_wake(&u->q, NULL, &all, 1);
    assert_int_equal(atomic_load(&s->wake), 1);
    atomic_store(&s->holds_flags, 0);
    enlist_idle(u, 0, 0);
    azri_waitq_wake(&u->q, NULL, &all, 1);
    assert_int_equal(atomic_load(&s->wake), 2);
    free_queue(u);
}

/* A waiter of a dead process: forgotten once, and counted down once. */
static void test_waitq_forget(void **state)
{
    queue *u = new_queue();

    (void)state;
    enlist_idle(u, 0, 0);
    azri_waitq_forget(&u->q, &u->slots[1]);
    azri_waitq_forget(&u->q, &u->slots[1]);
    assert_int_equal(atomic_load(&u->waiting), 0);
    assert_int_equal(atomic_load(&u->slots[1].last), 0);
    free_queue(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exclusion),
        cmocka_unit_test(test_sharing),
        cmocka_unit_test(test_far_end),
        cmocka_unit_test(test_ofd_belongs_to_description),
        cmocka_unit_test(test_ofd_part_released),
        cmocka_unit_test(test_ofd_death),
        cmocka_unit_test(test_ofd_error),
        cmocka_unit_test(test_table_order),
        cmocka_unit_test(test_table_timeout),
        cmocka_unit_test(test_table_cancel),
        cmocka_unit_test(test_table_nested),
        cmocka_unit_test(test_table_all_at_once),
        cmocka_unit_test(test_waitq_order),
        cmocka_unit_test(test_waitq_timeout_and_cancel),
        cmocka_unit_test(test_waitq_courtesy),
        cmocka_unit_test(test_waitq_stopped),
        cmocka_unit_test(test_waitq_keeps_age),
        cmocka_unit_test(test_waitq_no_circle),
        cmocka_unit_test(test_waitq_napping),
        cmocka_unit_test(test_waitq_forget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
