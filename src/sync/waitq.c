/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/waitq.h"

#include "base/stats.h"
#include "os/sys.h"

#include <string.h>

#define NET_NS     INT64_C(50000000)   /* a lost wake-up costs this much */
#define TURN_NS    UINT64_C(200000000) /* who waited longer is not overtaken */
#define STALE_NS   UINT64_C(200000000) /* so long without a look: stopped */
#define YIELD_NS   INT64_C(1000000000) /* to one waiter, while the lock is free */
#define MOST_WOKEN 64

/* Tickets of waiters that were alive, and did not take what was free for a whole
 * second: they want more than that, and somebody who does not move has the rest.
 * Believing them again would cost each operation that second anew. */
static _Atomic uint64_t g_ignored[16];
static _Atomic uint32_t g_ignored_at;

azri_wait_slot *azri_waitq_slot(const azri_waitq *q, uint32_t i)
{
    void *p = q->base + (size_t)i * q->stride;

    return i + 1 == q->count ? q->spare : p;
}

static bool is_ignored(uint64_t ticket)
{
    for (size_t i = 0; i < sizeof g_ignored / sizeof g_ignored[0]; i++) {
        if (atomic_load_explicit(&g_ignored[i], memory_order_relaxed) == ticket)
            return true;
    }
    return false;
}

static void ignore(uint64_t ticket)
{
    uint32_t at = atomic_fetch_add(&g_ignored_at, 1) % 16;

    atomic_store(&g_ignored[at], ticket);
}

/* What slot waits for; false if it does not. Torn reads give a wrong guess once,
 * which is all that courtesy can do. */
static bool waits_for(azri_wait_slot *s, azri_range *r, uint64_t *ticket)
{
    uint64_t last = atomic_load(&s->last);

    if (last == 0)
        return false;
    r->first = atomic_load(&s->first);
    r->last = last & ~AZRI_WAIT_EXCLUSIVE;
    r->exclusive = (last & AZRI_WAIT_EXCLUSIVE) != 0;
    *ticket = atomic_load(&s->ticket);
    return true;
}

static bool overlaps_any(const azri_range *r, const azri_range *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (azri_range_overlaps(r, &list[i]))
            return true;
    }
    return false;
}

/* Somebody who sleeps wakes every 50 ms to look. */
static bool is_stale(azri_wait_slot *s, uint64_t now)
{
    uint64_t alive = atomic_load(&s->alive_ns);

    return now > alive && now - alive > STALE_NS;
}

/* Ticket of a waiter that should have `r` before us; 0: nobody. */
static uint64_t ahead_of_us(const azri_waitq *q, const azri_wait_slot *me,
                            const azri_range *r, const azri_range *held,
                            size_t held_count, uint64_t before)
{
    uint64_t now = (uint64_t)azri_now_ns();

    if (atomic_load(q->waiting) == 0)
        return 0;
    for (uint32_t i = 0; i < q->count; i++) {
        azri_wait_slot *s = azri_waitq_slot(q, i);
        azri_range theirs;
        uint64_t ticket;

        if (s == me || !waits_for(s, &theirs, &ticket))
            continue;
        if (ticket < before && azri_range_conflicts(&theirs, r) &&
            !overlaps_any(&theirs, held, held_count) && !is_ignored(ticket) &&
            !is_stale(s, now))
            return ticket;
    }
    return 0;
}

/* [Q-register] Before the try, so that whoever unlocks after our try was refused
 * finds us. */
static void enlist(const azri_waitq *q, azri_wait_slot *me, const azri_range *r,
                   uint64_t now)
{
    uint64_t ticket = atomic_load(&me->ticket);

    /* the count first: who dies in between leaves it too high, which does no
     * harm; too low would let others sleep */
    azri_sys->bump64("wait.count", q->waiting);
    azri_sys->store64("wait.alive", &me->alive_ns, now);
    azri_sys->store64("wait.ticket", &me->ticket, ticket ? ticket : now);
    azri_sys->store64("wait.since", &me->since_ns, (uint64_t)azri_wall_ns());
    azri_sys->store64("wait.first", &me->first, r->first);
    azri_sys->store64("wait.last", &me->last,
                      r->last | (r->exclusive ? AZRI_WAIT_EXCLUSIVE : 0));
}

void azri_waitq_forget(const azri_waitq *q, azri_wait_slot *slot)
{
    uint64_t n;

    if (atomic_load(&slot->last) == 0)
        return;
    azri_sys->store64("wait.end", &slot->last, 0);
    n = atomic_load(q->waiting);
    while (n > 0 && !atomic_compare_exchange_weak(q->waiting, &n, n - 1)) {
    }
}

/* The longest waiter after `after` that the release helps; NULL: none left. */
static azri_wait_slot *next_waiter(const azri_waitq *q,
                                   const azri_wait_slot *me,
                                   const azri_range *released, size_t n,
                                   uint64_t *after, azri_range *r)
{
    azri_wait_slot *best = NULL;
    uint64_t best_ticket = UINT64_MAX;

    for (uint32_t i = 0; i < q->count; i++) {
        azri_wait_slot *s = azri_waitq_slot(q, i);
        azri_range theirs;
        uint64_t ticket;

        if (s == me || !waits_for(s, &theirs, &ticket))
            continue;
        if (ticket > *after && ticket < best_ticket &&
            overlaps_any(&theirs, released, n)) {
            best = s;
            best_ticket = ticket;
            *r = theirs;
        }
    }
    *after = best_ticket;
    return best;
}

/* Wake whom the release of `released` helps, of those who came after ticket
 * `after`. Who is woken and refused all the same passes it on, so that a waiter
 * who still lacks another lock does not swallow it. */
static void wake_after(const azri_waitq *q, const azri_wait_slot *me,
                       const azri_range *released, size_t n, uint64_t after)
{
    azri_range woken[MOST_WOKEN];
    size_t count = 0;

    if (atomic_load(q->waiting) == 0)
        return;
    while (count < MOST_WOKEN) {
        azri_range r = {0, 0, false};
        azri_wait_slot *s = next_waiter(q, me, released, n, &after, &r);
        bool stands_against = false;

        if (!s)
            return;
        for (size_t i = 0; i < count; i++)
            stands_against |= azri_range_conflicts(&r, &woken[i]);
        if (stands_against)
            continue;
        /* [Q-wake] Nobody asleep there (it is about to try, or dead): the next
         * one must not wait for it. */
        atomic_fetch_add(&s->wake, 1);
        if (azri_sys->futex_wake(&s->wake, 1) > 0)
            woken[count++] = r;
    }
}

/* Tickets below this one are not overtaken by the holder of `ticket`. */
static uint64_t whose_turn(uint64_t ticket)
{
    uint64_t turn = (uint64_t)azri_now_ns() - TURN_NS;

    return ticket < turn ? ticket : turn;
}

/* Enlisted; until we have the lock or give up. */
static int wait_enlisted(const azri_waitq *q, azri_wait_slot *me, int fd,
                         const azri_range *r, const azri_range *held,
                         size_t held_count, const azri_patience *patience,
                         azr_error *err)
{
    uint64_t ticket = atomic_load(&me->ticket);
    uint64_t yields_to = 0;
    int64_t since = 0;
    bool woken = false;

    for (;;) {
        uint32_t seen = atomic_load(&me->wake);
        uint64_t ahead =
            ahead_of_us(q, me, r, held, held_count, whose_turn(ticket));
        struct timespec ts;
        int64_t slice;
        int rc;

        if (ahead != yields_to) {
            yields_to = ahead;
            since = azri_now_ns();
        }
        if (ahead != 0 && azri_now_ns() - since > YIELD_NS &&
            !azri_ofd_busy(fd, r)) {
            ignore(ahead);
            continue;
        }
        if (ahead == 0) {
            rc = azri_ofd_try(fd, r, err); /* [Q-try] */
            if (rc != AZR_EBUSY)
                return rc;
        }
        rc = azri_patience_check(patience);
        if (rc < 0)
            return rc;
        slice = azri_patience_slice(patience, NET_NS);
        ts.tv_sec = slice / 1000000000;
        ts.tv_nsec = slice % 1000000000;
        if (woken) /* it did not help us: it may help the next one */
            wake_after(q, me, r, 1, ticket);
        /* [Q-sleep] */
        woken = azri_sys->futex_wait(&me->wake, seen, &ts) == 0;
        azri_sys->store64("wait.alive", &me->alive_ns, (uint64_t)azri_now_ns());
    }
}

int azri_waitq_lock(const azri_waitq *q, azri_wait_slot *me, int fd,
                    const azri_range *r, const azri_range *held,
                    size_t held_count, const azri_patience *patience,
                    azr_error *err)
{
    uint64_t now = (uint64_t)azri_now_ns();
    int rc = AZR_EBUSY;

    if (ahead_of_us(q, me, r, held, held_count, now - TURN_NS) == 0)
        rc = azri_ofd_try(fd, r, err);
    if (rc != AZR_EBUSY)
        return rc;
    rc = azri_patience_check(patience);
    if (rc < 0)
        return rc;

    AZRI_COUNT(lock_waits, 1);
    enlist(q, me, r, now);
    rc = wait_enlisted(q, me, fd, r, held, held_count, patience, err);
    azri_waitq_forget(q, me);
    if (rc < 0)
        azri_waitq_wake(q, me, r, 1); /* a wake-up meant for us: pass it on */
    AZRI_COUNT(lock_wait_ns, azri_now_ns() - (int64_t)now);
    return rc;
}

void azri_waitq_wake(const azri_waitq *q, const azri_wait_slot *me,
                     const azri_range *released, size_t n)
{
    wake_after(q, me, released, n, 0);
}
