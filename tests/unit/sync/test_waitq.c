/* SPDX-License-Identifier: Apache-2.0 */
/* The queue behind a refusal. Nobody sleeps here: the calls are faked, the clock
 * too, and what the others do, they do when a waiter goes to sleep. */
#include "unit/checks.h"

#include "base/stats.h"
#include "os/sys.h"
#include "sync/waitq.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SLOTS   72 /* and the spare one */
#define SECOND  UINT64_C(1000000000)
#define X(f, l) ((azri_range){(f), (l), true})
#define S(f, l) ((azri_range){(f), (l), false})

static azri_wait_slot slots[SLOTS], spare;
static _Atomic uint64_t waiting;
static azri_waitq q;
static int ours, theirs; /* two descriptions of one file */
static azri_patience patience;
static azr_error err;

/* ----------------------------------------------------------- faked calls --- */

/* In place of the C library's: it moves a little with each look at it, as a clock
 * does, and by the naps. Waiters are judged by ages of 20 ms and more, and we may
 * be kept waiting for longer than that between two lines. It never goes back: a
 * ticket that was ignored in one test must be nobody's in the next. */
static _Atomic int64_t g_clock = 1000 * (int64_t)SECOND;

int clock_gettime(clockid_t id, struct timespec *out)
{
    int64_t t = atomic_fetch_add(&g_clock, 1000);

    (void)id;
    *out = (struct timespec){t / (int64_t)SECOND, t % (int64_t)SECOND};
    return 0;
}

static struct azri_sys fake;
static unsigned waits;              /* so often somebody went to sleep */
static int64_t naps[64];            /* … at most for so long, ns */
static bool (*on_wait)(unsigned n); /* true: he is woken */
static const _Atomic uint32_t *woken[SLOTS + 1];
static unsigned wakes;
static bool asleep;    /* does a wake-up find anybody? */
static int refuse;     /* so many tries of the lock fail, with … */
static int refusal;    /* … this errno, whatever the kernel would say */
static bool can_ask;   /* F_OFD_GETLK works */
static unsigned swaps; /* so often the hint was to be exchanged */
static void (*on_swap)(unsigned n); /* after it was read, before that */

static int fake_wait(_Atomic uint32_t *word, uint32_t value,
                     const struct timespec *timeout)
{
    unsigned n = waits++;

    assert_int_equal(atomic_load(word), value);
    assert_true(on_wait != NULL); /* else nobody was to wait */
    naps[n % 64] = timeout->tv_sec * (int64_t)SECOND + timeout->tv_nsec;
    if (on_wait(n))
        return 0;
    (void)atomic_fetch_add(&g_clock, naps[n % 64]);
    errno = ETIMEDOUT;
    return -1;
}

static int fake_wake(_Atomic uint32_t *word, int count)
{
    assert_int_equal(count, 1);
    woken[wakes++] = word;
    return asleep ? 1 : 0;
}

static int fake_lock(int fd, int cmd, struct flock *fl)
{
    if (cmd == F_OFD_GETLK && !can_ask) {
        errno = EIO;
        return -1;
    }
    if (cmd == F_OFD_SETLK && fl->l_type != F_UNLCK && fd == ours &&
        refuse > 0) {
        refuse--;
        errno = refusal;
        return -1;
    }
    return azri_sys_posix.lock(fd, cmd, fl);
}

static bool fake_swap(const char *what, _Atomic uint64_t *p, uint64_t *seen,
                      uint64_t value)
{
    unsigned n = swaps++;

    assert_ptr_equal(p, &waiting);
    if (on_swap)
        on_swap(n);
    return azri_sys_posix.swap64(what, p, seen, value);
}

static int open_again(void)
{
    return open("waitq.state", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
}

static int begin(void **state)
{
    (void)state;
    memset(slots, 0, sizeof slots);
    memset(&spare, 0, sizeof spare);
    atomic_store(&waiting, 0);
    q = (azri_waitq){(uint8_t *)slots, sizeof slots[0], &spare, SLOTS + 1,
                     &waiting};
    patience = (azri_patience){INT64_MAX, NULL};
    err = (azr_error)AZR_ERROR_INIT;
    fake = azri_sys_posix;
    fake.futex_wait = fake_wait;
    fake.futex_wake = fake_wake;
    fake.lock = fake_lock;
    fake.swap64 = fake_swap;
    azri_sys = &fake;
    waits = wakes = swaps = 0;
    on_wait = NULL;
    on_swap = NULL;
    asleep = can_ask = true;
    refuse = 0;
    refusal = EAGAIN;
    ours = open_again();
    theirs = open_again();
    return ours >= 0 && theirs >= 0 ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    azri_sys = &azri_sys_posix;
    return close(ours) == 0 && close(theirs) == 0 ? 0 : -1;
}

static uint64_t now(void)
{
    return (uint64_t)azri_now_ns();
}

/* Slot i waits since `age` ns, and looked at its lock a moment ago. */
static void put_waiter(unsigned i, azri_range r, uint64_t age)
{
    azri_wait_slot *s = azri_waitq_slot(&q, i);

    atomic_store(&s->first, r.first);
    atomic_store(&s->last, r.last | (r.exclusive ? AZRI_WAIT_EXCLUSIVE : 0));
    atomic_store(&s->ticket, now() - age);
    atomic_store(&s->alive_ns, now());
    atomic_fetch_add(&waiting, 1);
}

static int lock_with(azri_range r, const azri_range *held, size_t n)
{
    return azri_waitq_lock(&q, &slots[0], ours, &r, held, n, &patience, &err);
}

static int lock_it(azri_range r)
{
    return lock_with(r, NULL, 0);
}

static bool is_ours(azri_range r)
{
    return azri_ofd_busy(theirs, &r);
}

/* Nothing of a wait is left. */
static void assert_left(void)
{
    assert_int_equal(atomic_load(&slots[0].last), 0);
    assert_int_equal(atomic_load(&slots[0].holds_flags) & AZRI_WAIT_POLLS, 0);
    assert_int_equal(atomic_load(&waiting), 0);
}

/* ----------------------------------------------------------------- alone --- */

static void test_nobody_there(void **state)
{
    (void)state;
    assert_int_equal(lock_it(X(3, 3)), AZR_OK);
    assert_true(is_ours(X(3, 3)));
    assert_int_equal(waits, 0);
    assert_left();
    assert_ptr_equal(azri_waitq_slot(&q, SLOTS), &spare);
    assert_ptr_equal(azri_waitq_slot(&q, 1), &slots[1]);
}

static uint64_t g_alive[2];

/* What status tells of it, and the others look at. */
static void assert_enlisted(unsigned n)
{
    uint64_t alive = atomic_load(&slots[0].alive_ns);

    assert_int_equal(atomic_load(&slots[0].first), 3);
    assert_true(atomic_load(&slots[0].last) == (3 | AZRI_WAIT_EXCLUSIVE));
    assert_in_range(now() - atomic_load(&slots[0].ticket), 1, SECOND);
    assert_in_range(now() - atomic_load(&slots[0].since_ns), 1, SECOND);
    assert_in_range(now() - alive, 1, SECOND / 100);
    assert_int_equal(atomic_load(&waiting), 1);
    g_alive[n] = alive;
}

static bool let_go(unsigned n)
{
    if (n < 2) {
        assert_enlisted(n);
        return false;
    }
    assert_true(g_alive[1] >= g_alive[0] + 50000000);
    assert_int_equal(azri_ofd_unlock(theirs, 0, 99, NULL), AZR_OK);
    return true;
}

static void test_waits(void **state)
{
    uint64_t before = atomic_load(&azri_stats.lock_waits),
             before_ns = atomic_load(&azri_stats.lock_wait_ns);
    azri_range r = X(3, 3);

    (void)state;
    assert_int_equal(azri_ofd_try(theirs, &r, NULL), AZR_OK);
    on_wait = let_go;
    assert_int_equal(lock_it(r), AZR_OK);
    assert_int_equal(atomic_load(&azri_stats.lock_waits) - before, 1);
    assert_in_range(atomic_load(&azri_stats.lock_wait_ns) - before_ns, 1,
                    10 * SECOND);
    assert_true(is_ours(r));
    assert_int_equal(waits, 3);
    for (unsigned i = 0; i < waits; i++)
        assert_int_equal(naps[i], 50000000);
    assert_left();
}

/* Woken for nothing: it looks by itself, ever more seldom, and says so; and the
 * wake-up goes to the next one. */
static bool wake_once(unsigned n)
{
    static const int64_t wanted[] = {50000000, 100000, 200000,
                                     400000,   800000, 50000000};

    assert_int_equal(naps[n], wanted[n]);
    assert_int_equal((atomic_load(&slots[0].holds_flags) & AZRI_WAIT_POLLS) !=
                         0,
                     n >= 1 && n <= 4);
    if (n == 5)
        assert_int_equal(azri_ofd_unlock(theirs, 0, 99, NULL), AZR_OK);
    return n == 0;
}

static void test_overtaken(void **state)
{
    azri_range r = X(3, 4), part = X(3, 3);

    (void)state;
    assert_int_equal(azri_ofd_try(theirs, &part, NULL), AZR_OK);
    on_wait = wake_once;
    put_waiter(1, X(4, 4), 0);
    put_waiter(2, X(3, 3), 0); /* what stands against us stands against it */
    put_waiter(3, X(9, 9), 0);
    /* they came later */
    for (unsigned i = 1; i < 4; i++)
        atomic_store(&slots[i].ticket, now() + SECOND);
    assert_int_equal(lock_it(r), AZR_OK);
    assert_int_equal(waits, 6);
    assert_int_equal(wakes, 1);
    assert_ptr_equal(woken[0], &slots[1].wake);
}

static bool wake_then_let_go(unsigned n)
{
    if (n > 0)
        assert_int_equal(azri_ofd_unlock(theirs, 0, 99, NULL), AZR_OK);
    return n == 0;
}

/* Whoever stood against us cannot be told: everybody who is helped is woken. */
static void test_overtaken_by_whom(void **state)
{
    azri_range r = X(3, 4);

    (void)state;
    assert_int_equal(azri_ofd_try(theirs, &r, NULL), AZR_OK);
    can_ask = false;
    on_wait = wake_then_let_go;
    put_waiter(1, X(3, 3), 0);
    atomic_store(&slots[1].ticket, now() + SECOND);
    assert_int_equal(lock_it(r), AZR_OK);
    assert_int_equal(wakes, 1);
    assert_ptr_equal(woken[0], &slots[1].wake);
}

/* -------------------------------------------------------------- giving up --- */

static void test_no_time(void **state)
{
    azri_range r = X(3, 3);

    (void)state;
    assert_int_equal(azri_ofd_try(theirs, &r, NULL), AZR_OK);
    patience.deadline_ns = 0;
    assert_int_equal(lock_it(r), AZR_EBUSY);
    assert_int_equal(err.code, 0);
    assert_int_equal(waits, 0);
    assert_left();
}

static bool end_time(unsigned n)
{
    if (n == 1)
        patience.deadline_ns = 0;
    return false;
}

static void test_time_ends(void **state)
{
    azri_range r = X(3, 3);

    (void)state;
    assert_int_equal(azri_ofd_try(theirs, &r, NULL), AZR_OK);
    on_wait = end_time;
    put_waiter(1, X(3, 3), 0);
    atomic_store(&slots[1].ticket, now() + SECOND);
    assert_int_equal(lock_it(r), AZR_EBUSY);
    assert_int_equal(waits, 2);
    assert_int_equal(wakes, 1); /* a wake-up meant for us goes on */
    azri_waitq_forget(&q, &slots[1]);
    assert_left();
    assert_false(is_ours(S(3, 3)));
}

static azr_cancel *g_cancel;

static bool cancel_it(unsigned n)
{
    (void)n;
    azr_cancel_request(g_cancel);
    return true;
}

static void test_canceled(void **state)
{
    azri_range r = X(3, 3);

    (void)state;
    assert_int_equal(azri_ofd_try(theirs, &r, NULL), AZR_OK);
    assert_int_equal(azr_cancel_new(&g_cancel), AZR_OK);
    patience.cancel = g_cancel;
    on_wait = cancel_it;
    assert_int_equal(lock_it(r), AZR_ECANCELED);
    assert_int_equal(waits, 1);
    assert_left();
    azr_cancel_free(g_cancel);
}

static bool fail_next(unsigned n)
{
    (void)n;
    refuse = 1;
    refusal = ENOLCK;
    return false;
}

static void test_lock_fails(void **state)
{
    azri_range r = X(3, 3);

    (void)state;
    refuse = 1;
    refusal = EIO;
    assert_int_equal(lock_it(r), AZR_EIO);
    assert_int_equal(err.sys_errno, EIO);
    assert_int_equal(waits, 0);
    err = (azr_error)AZR_ERROR_INIT;
    refuse = 2;
    refusal = EAGAIN;
    on_wait = fail_next;
    assert_int_equal(lock_it(r), AZR_EIO);
    assert_int_equal(err.sys_errno, ENOLCK);
    assert_int_equal(waits, 1);
    assert_left();
}

/* ------------------------------------------------------------- whose turn --- */

static bool elder_is_served(unsigned n)
{
    assert_false(is_ours(S(3, 3))); /* it was free, and we left it alone */
    if (n < 3) {
        atomic_store(&slots[1].alive_ns, now());
        return false;
    }
    azri_waitq_forget(&q, &slots[1]);
    return false;
}

/* Who has waited for 0.2 s is not overtaken, though the lock be free. */
static void test_elder(void **state)
{
    (void)state;
    on_wait = elder_is_served;
    put_waiter(1, X(3, 3), SECOND);
    assert_int_equal(lock_it(X(3, 3)), AZR_OK);
    assert_int_equal(waits, 4);
    assert_true(is_ours(S(3, 3)));
    assert_left();
}

/* … unless it is dead, has just come, wants something else, or something that we
 * hold. */
static void test_no_elder(void **state)
{
    azri_range held = X(3, 3);

    (void)state;
    put_waiter(1, S(4, 4), SECOND);
    put_waiter(2, X(9, 9), SECOND);
    put_waiter(3, X(4, 4), 0);
    put_waiter(4, X(4, 4), SECOND);
    atomic_store(&slots[4].alive_ns, now() - SECOND);
    assert_false(azri_waitq_alive(&slots[4]));
    put_waiter(5, X(3, 4), SECOND);
    assert_int_equal(lock_with(S(4, 4), &held, 1), AZR_OK);
    assert_int_equal(waits, 0);
    assert_true(is_ours(X(4, 4)));
}

/* A clock that is ahead of ours is no reason to take it for dead. */
static void test_elder_ahead(void **state)
{
    (void)state;
    on_wait = elder_is_served;
    put_waiter(1, X(3, 3), SECOND);
    atomic_store(&slots[1].alive_ns, now() + 1000 * SECOND);
    assert_true(azri_waitq_alive(&slots[1]));
    assert_int_equal(lock_it(X(3, 3)), AZR_OK);
    assert_int_equal(waits, 4);
}

/* Our own age, from an earlier wait, counts. */
static void test_older_than_elder(void **state)
{
    azri_range r = X(3, 3);

    (void)state;
    assert_int_equal(azri_ofd_try(theirs, &r, NULL), AZR_OK);
    on_wait = wake_then_let_go;
    atomic_store(&slots[0].ticket, now() - 9 * SECOND);
    put_waiter(1, X(3, 3), SECOND);
    assert_int_equal(lock_it(r), AZR_OK);
    assert_int_equal(waits, 2); /* it did not wait for the other one */
    assert_true(atomic_load(&slots[0].ticket) <= now() - 9 * SECOND);
}

static bool let_go_at_once(unsigned n)
{
    (void)n;
    assert_int_equal(azri_ofd_unlock(theirs, 0, 99, NULL), AZR_OK);
    return false;
}

/* Who has waited for longer, but not for 0.2 s, is overtaken: he is on his way. */
static void test_not_yet_an_elder(void **state)
{
    azri_range r = X(3, 3);

    (void)state;
    assert_int_equal(azri_ofd_try(theirs, &r, NULL), AZR_OK);
    on_wait = let_go_at_once;
    put_waiter(1, X(3, 3), SECOND / 10);
    assert_int_equal(lock_it(r), AZR_OK);
    assert_int_equal(waits, 1);
}

static bool alive_for_ever(unsigned n)
{
    atomic_store(&slots[1].alive_ns, now());
    atomic_store(&slots[2].alive_ns, now());
    if (n == 9) /* half a second: it was not free so far */
        assert_int_equal(azri_ofd_unlock(theirs, 0, 99, NULL), AZR_OK);
    return false;
}

/* Nobody yields a free lock to the same waiter for more than a second. */
static void test_elder_that_does_not_move(void **state)
{
    azri_range r = X(3, 3);
    unsigned before;

    (void)state;
    assert_int_equal(azri_ofd_try(theirs, &r, NULL), AZR_OK);
    on_wait = alive_for_ever;
    put_waiter(1, X(3, 3), SECOND);
    assert_int_equal(lock_it(r), AZR_OK);
    assert_int_equal(waits, 20); /* of 50 ms each */
    before = waits;
    /* … and is not believed again */
    assert_int_equal(azri_ofd_unlock(ours, 0, 99, NULL), AZR_OK);
    assert_int_equal(lock_it(r), AZR_OK);
    assert_int_equal(waits, before);
    /* nor are both when there is another one */
    put_waiter(2, X(3, 3), SECOND);
    atomic_store(&slots[0].ticket, 0);
    for (int i = 0; i < 2; i++) {
        atomic_store(&slots[1].alive_ns, now());
        assert_int_equal(azri_ofd_unlock(ours, 0, 99, NULL), AZR_OK);
        assert_int_equal(lock_it(r), AZR_OK);
        assert_in_range(waits - before, i ? 0 : 20,
                        i ? 0 : 22); /* one second */
        before = waits;
    }
}

/* The lock was not free for all that second: he could not have it, and is believed. */
static bool busy_for_long(unsigned n)
{
    atomic_store(&slots[1].alive_ns, now());
    if (n == 24) {
        assert_int_equal(refuse, 5); /* it was not tried behind his back */
        refuse = 0;
        assert_int_equal(azri_ofd_unlock(theirs, 0, 99, NULL), AZR_OK);
    }
    return false;
}

static void test_elder_of_a_busy_lock(void **state)
{
    azri_range r = X(3, 3);

    (void)state;
    assert_int_equal(azri_ofd_try(theirs, &r, NULL), AZR_OK);
    on_wait = busy_for_long;
    put_waiter(1, X(3, 3), SECOND);
    refuse = 5;
    assert_int_equal(lock_it(r), AZR_OK);
    assert_int_equal(waits, 25);
    assert_true(is_ours(r));
}

/* ------------------------------------------------------------------- wake --- */

static void wake_for(azri_range r)
{
    wakes = 0;
    azri_waitq_wake(&q, &slots[0], &r, 1);
}

static void test_wake_order(void **state)
{
    (void)state;
    wake_for(X(0, 99));
    assert_int_equal(wakes, 0); /* nobody waits */
    put_waiter(0, X(3, 3), 9 * SECOND);
    put_waiter(1, X(3, 3), 2 * SECOND);
    put_waiter(2, X(3, 4), 3 * SECOND);
    put_waiter(3, S(5, 5), SECOND);
    put_waiter(4, S(5, 5), 4 * SECOND);
    put_waiter(5, X(9, 9), 5 * SECOND);
    wake_for(X(3, 5));
    /* the longest first; not who stands against one that was woken; not us */
    assert_int_equal(wakes, 3);
    assert_ptr_equal(woken[0], &slots[4].wake);
    assert_ptr_equal(woken[1], &slots[2].wake);
    assert_ptr_equal(woken[2], &slots[3].wake);
}

/* Nobody sleeps there: the next one must not wait for it. */
static void test_wake_nobody(void **state)
{
    (void)state;
    put_waiter(1, X(3, 3), 2 * SECOND);
    put_waiter(2, X(3, 3), SECOND);
    asleep = false;
    wake_for(X(3, 3));
    assert_int_equal(wakes, 2);
    assert_int_equal(atomic_load(&slots[1].wake), 1);
    assert_int_equal(atomic_load(&slots[2].wake), 1);
}

/* Who looks by itself is not woken, as long as it does look. */
static void test_wake_awake(void **state)
{
    (void)state;
    put_waiter(1, X(3, 3), 2 * SECOND);
    put_waiter(2, X(3, 3), SECOND);
    atomic_store(&slots[1].holds_flags, AZRI_WAIT_POLLS);
    wake_for(X(3, 3));
    assert_int_equal(wakes, 0);
    atomic_store(&slots[1].alive_ns, now() - SECOND);
    wake_for(X(3, 3));
    assert_int_equal(wakes, 1);
    assert_ptr_equal(woken[0], &slots[1].wake);
}

static void test_wake_many(void **state)
{
    (void)state;
    for (unsigned i = 1; i < SLOTS; i++)
        put_waiter(i, S(3, 3), SECOND + i * (SECOND / 1000));
    put_waiter(SLOTS, S(3, 3), 2 * SECOND);
    wake_for(X(3, 3));
    assert_int_equal(wakes, 64);
    assert_ptr_equal(woken[0], &spare.wake);
    assert_ptr_equal(woken[1], &slots[SLOTS - 1].wake);
}

/* ----------------------------------------------------------------- forget --- */

static void test_forget(void **state)
{
    (void)state;
    put_waiter(1, X(3, 3), 0);
    azri_waitq_forget(&q, &slots[1]);
    assert_int_equal(atomic_load(&waiting), 0);
    assert_int_equal(atomic_load(&slots[1].last), 0);
    azri_waitq_forget(&q, &slots[1]); /* it does not wait */
    put_waiter(1, X(3, 3), 0);
    atomic_store(&waiting, 0); /* the hint may be wrong, never below 0 */
    azri_waitq_forget(&q, &slots[1]);
    assert_int_equal(atomic_load(&waiting), 0);
}

static void two_come(unsigned n)
{
    if (n < 2)
        (void)atomic_fetch_add(&waiting, 1);
}

static void all_go(unsigned n)
{
    (void)n;
    atomic_store(&waiting, 0);
}

/* Between our look at the hint and the exchange: whoever comes is counted, and what
 * is 0 by then stays so. */
static void test_forget_beside_others(void **state)
{
    (void)state;
    put_waiter(1, X(3, 3), 0);
    on_swap = two_come;
    azri_waitq_forget(&q, &slots[1]);
    assert_int_equal(atomic_load(&waiting), 2);
    assert_int_equal(swaps, 3);
    put_waiter(1, X(3, 3), 0);
    on_swap = all_go;
    swaps = 0;
    azri_waitq_forget(&q, &slots[1]);
    assert_int_equal(atomic_load(&waiting), 0);
    assert_int_equal(swaps, 1);
}

static void *come_and_go(void *arg)
{
    azri_wait_slot *s = arg;

    for (unsigned i = 0; i < 1000000; i++) {
        atomic_fetch_add(&waiting, 1);
        atomic_store(&s->last, 1);
        azri_waitq_forget(&q, s);
    }
    return NULL;
}

/* Both at once, as the machine likes: the exchange is one step, and so the hint exact
 * when they are done. */
static void test_forget_together(void **state)
{
    pthread_t other;

    (void)state;
    fake.swap64 = azri_sys_posix.swap64;
    assert_int_equal(pthread_create(&other, NULL, come_and_go, &slots[1]), 0);
    (void)come_and_go(&slots[2]);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(atomic_load(&waiting), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_nobody_there),
        T(test_waits),
        T(test_overtaken),
        T(test_overtaken_by_whom),
        T(test_no_time),
        T(test_time_ends),
        T(test_canceled),
        T(test_lock_fails),
        T(test_elder),
        T(test_no_elder),
        T(test_elder_ahead),
        T(test_older_than_elder),
        T(test_not_yet_an_elder),
        T(test_elder_that_does_not_move),
        T(test_elder_of_a_busy_lock),
        T(test_wake_order),
        T(test_wake_nobody),
        T(test_wake_awake),
        T(test_wake_many),
        T(test_forget),
        T(test_forget_beside_others),
        T(test_forget_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
