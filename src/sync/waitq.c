/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/waitq.h"

#include "base/stats.h"
#include "os/sys.h"

#include <string.h>

#define NET_NS     INT64_C(50000000)   /* a lost wake-up costs this much */
#define TURN_NS    UINT64_C(200000000) /* who waited longer is not overtaken */
#define STALE_NS   UINT64_C(200000000) /* so long without a look: stopped */
#define YIELD_NS   INT64_C(1000000000) /* to one waiter, while the lock is free */
#define POLLS_NS   UINT64_C(20000000) /* so long without a look: it does not */
#define MOST_WOKEN 64

/* How long a waiter that was overtaken sleeps until it looks by itself. */
static const int64_t g_naps_ns[] = {100000, 200000, 400000, 800000};
#define NAPS (int)(sizeof g_naps_ns / sizeof g_naps_ns[0])

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
static bool is_older(const azri_wait_slot *s, uint64_t now, uint64_t age)
{
    uint64_t alive = atomic_load(&s->alive_ns);

    return now > alive && now - alive > age;
}

static bool is_stale(const azri_wait_slot *s, uint64_t now)
{
    return is_older(s, now, STALE_NS);
}

bool azri_waitq_alive(const azri_wait_slot *slot)
{
    return !is_stale(slot, (uint64_t)azri_now_ns());
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
    while (n > 0 && !azri_sys->swap64("wait.count", q->waiting, &n, n - 1)) {
    }
}

typedef struct release {
    const azri_range *ranges;
    size_t n;
    const azri_range *taken; /* again, by somebody; NULL: nothing known */
} release;

static bool helps(const release *rel, const azri_range *r)
{
    return overlaps_any(r, rel->ranges, rel->n) &&
           !(rel->taken && azri_range_conflicts(r, rel->taken));
}

/* The longest waiter after `after` that the release helps; NULL: none left. */
static azri_wait_slot *next_waiter(const azri_waitq *q,
                                   const azri_wait_slot *me, const release *rel,
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
        if (ticket > *after && ticket < best_ticket && helps(rel, &theirs)) {
            best = s;
            best_ticket = ticket;
            *r = theirs;
        }
    }
    *after = best_ticket;
    return best;
}

static bool is_awake(const azri_wait_slot *s)
{
    return (atomic_load(&s->holds_flags) & AZRI_WAIT_POLLS) != 0 &&
           !is_older(s, (uint64_t)azri_now_ns(), POLLS_NS);
}

/* [Q-wake] False: nobody asleep there (it is about to try, or dead), and the next
 * one must not wait for it. */
static bool wake(azri_wait_slot *s)
{
    atomic_fetch_add(&s->wake, 1);
    return azri_sys->futex_wake(&s->wake, 1) > 0;
}

/* Wake whom the release helps, of those who came after ticket `after`. */
static void wake_after(const azri_waitq *q, const azri_wait_slot *me,
                       const release *rel, uint64_t after)
{
    azri_range woken[MOST_WOKEN];
    size_t count = 0;

    if (atomic_load(q->waiting) == 0)
        return;
    while (count < MOST_WOKEN) {
        azri_range r = {0, 0, false};
        azri_wait_slot *s = next_waiter(q, me, rel, &after, &r);
        bool stands_against = false;

        if (!s)
            return;
        for (size_t i = 0; i < count; i++)
            stands_against |= azri_range_conflicts(&r, &woken[i]);
        if (stands_against)
            continue;
        if (is_awake(s) || wake(s))
            woken[count++] = r;
    }
}

/* We were woken, and refused all the same. The wake-up is for the next one then,
 * lest a waiter who still lacks another lock swallow it; but not for one against
 * whom stands what stands against us: if somebody overtook us, his release wakes. */
static void pass_on(const azri_waitq *q, const azri_wait_slot *me, int fd,
                    const azri_range *r)
{
    azri_range theirs;
    release rel = {r, 1, NULL};

    if (azri_ofd_conflict(fd, r, &theirs))
        rel.taken = &theirs;
    wake_after(q, me, &rel, atomic_load(&me->ticket));
}

/* Tickets below this one are not overtaken by the holder of `ticket`. */
static uint64_t whose_turn(uint64_t ticket)
{
    uint64_t turn = (uint64_t)azri_now_ns() - TURN_NS;

    return ticket < turn ? ticket : turn;
}

/*
 * Nap 0 is sleep until woken. Who was woken, and overtaken all the same, would be
 * woken for nothing by the next release too, and the one after: a system call and
 * two switches of context for each. So it says that it looks by itself, does so
 * for 1.5 ms, and then sleeps again. Returns how long to sleep at most.
 */
static int64_t set_nap(azri_wait_slot *me, int nap)
{
    uint32_t flags = atomic_load(&me->holds_flags);
    uint32_t wanted =
        nap > 0 ? flags | AZRI_WAIT_POLLS : flags & ~(uint32_t)AZRI_WAIT_POLLS;

    if (wanted != flags)
        atomic_store(&me->holds_flags, wanted);
    return nap > 0 ? g_naps_ns[nap - 1] : NET_NS;
}

static bool sleep_until_woken(const azri_patience *patience, azri_wait_slot *me,
                              uint32_t seen, int64_t most_ns)
{
    int64_t slice = azri_patience_slice(patience, most_ns);
    struct timespec ts = {slice / 1000000000, slice % 1000000000};
    /* [Q-sleep] */
    bool woken = azri_sys->futex_wait(&me->wake, seen, &ts) == 0;

    azri_sys->store64("wait.alive", &me->alive_ns, (uint64_t)azri_now_ns());
    return woken;
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
    int nap = 0;

    for (;;) {
        /* no longer looking by ourselves: said before the try */
        int64_t most_ns = set_nap(me, nap);
        uint32_t seen = atomic_load(&me->wake);
        uint64_t ahead =
            ahead_of_us(q, me, r, held, held_count, whose_turn(ticket));
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
        if (woken) {
            pass_on(q, me, fd, r);
            nap = 1;
            most_ns = set_nap(me, nap);
        }
        woken = sleep_until_woken(patience, me, seen, most_ns);
        if (nap > 0)
            nap = nap < NAPS ? nap + 1 : 0;
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
    (void)set_nap(me, 0);
    azri_waitq_forget(q, me);
    if (rc < 0)
        azri_waitq_wake(q, me, r, 1); /* a wake-up meant for us: pass it on */
    AZRI_COUNT(lock_wait_ns, azri_now_ns() - (int64_t)now);
    return rc;
}

void azri_waitq_wake(const azri_waitq *q, const azri_wait_slot *me,
                     const azri_range *released, size_t n)
{
    release rel = {released, n, NULL};

    wake_after(q, me, &rel, 0);
}
