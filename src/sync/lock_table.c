/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/lock_table.h"

#include "base/alloc.h"
#include "base/stats.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

/* A request, waiting or granted. Queue order is arrival order. */
typedef struct entry {
    struct entry *next;
    const void *owner;
    pthread_t thread;
    const azri_range *ranges;
    size_t n;
    bool granted;
    pthread_cond_t *wake; /* of the waiter; NULL once granted */
} entry;

struct azri_lock_table {
    pthread_mutex_t mutex;
    entry *head;
};

int azri_lock_table_new(azri_lock_table **out, azr_error *err)
{
    azri_lock_table *t = azri_calloc(1, sizeof *t);

    if (!t)
        return azri_fail_nomem(err, sizeof *t);
    (void)pthread_mutex_init(&t->mutex, NULL);
    *out = t;
    return AZR_OK;
}

static void free_entries(azri_lock_table *t)
{
    while (t->head) {
        entry *e = t->head;

        t->head = e->next;
        azri_free(e);
    }
}

void azri_lock_table_free(azri_lock_table *t)
{
    if (!t)
        return;
    free_entries(t);
    (void)pthread_mutex_destroy(&t->mutex);
    azri_free(t);
}

static bool conflict(const entry *a, const entry *b)
{
    for (size_t i = 0; i < a->n; i++) {
        for (size_t k = 0; k < b->n; k++) {
            if (azri_range_conflicts(&a->ranges[i], &b->ranges[k]))
                return true;
        }
    }
    return false;
}

/* The first entry before `e`, which is queued, that stands in its way. */
static entry *obstacle(const azri_lock_table *t, const entry *e)
{
    for (entry *o = t->head; o != e; o = o->next) {
        if (o->owner != e->owner && conflict(o, e))
            return o;
    }
    return NULL;
}

static void append(azri_lock_table *t, entry *e)
{
    entry **p = &t->head;

    while (*p)
        p = &(*p)->next;
    *p = e;
}

static void take_out(azri_lock_table *t, const entry *e)
{
    entry **p = &t->head;

    while (*p != e)
        p = &(*p)->next;
    *p = e->next;
}

/* Grant what nothing earlier stands against any more. */
static void grant_ready(azri_lock_table *t)
{
    for (entry *e = t->head; e; e = e->next) {
        if (e->granted || obstacle(t, e))
            continue;
        e->granted = true;
        (void)pthread_cond_signal(e->wake);
    }
}

/* One slice of sleep; the 50 ms net is for azr_cancel_request. */
static void sleep_slice(azri_lock_table *t, pthread_cond_t *cond,
                        const azri_patience *patience)
{
    int64_t until = azri_now_ns() + azri_patience_slice(patience, 50000000);
    struct timespec ts = {.tv_sec = until / 1000000000,
                          .tv_nsec = until % 1000000000};

    (void)pthread_cond_clockwait(cond, &t->mutex, CLOCK_MONOTONIC, &ts);
}

/* `e` is queued and not granted. */
static int wait_turn(azri_lock_table *t, entry *e,
                     const azri_patience *patience)
{
    pthread_cond_t cond;
    int64_t begun = azri_now_ns();
    int rc = AZR_OK;

    (void)pthread_cond_init(&cond, NULL);
    e->wake = &cond;
    AZRI_COUNT(lock_waits, 1);
    while (!e->granted) {
        rc = azri_patience_check(patience);
        if (rc < 0)
            break;
        sleep_slice(t, &cond, patience);
    }
    e->wake = NULL;
    (void)pthread_cond_destroy(&cond);
    AZRI_COUNT(lock_wait_ns, azri_now_ns() - begun);
    return rc;
}

int azri_lock_table_acquire(azri_lock_table *t, const void *owner,
                            const azri_range *ranges, size_t n,
                            const azri_patience *patience, azr_error *err)
{
    entry *e = azri_calloc(1, sizeof *e);
    entry *o;
    int rc = AZR_OK;

    assert(n > 0);
    if (!e)
        return azri_fail_nomem(err, sizeof *e);
    e->owner = owner;
    e->thread = pthread_self();
    e->ranges = ranges;
    e->n = n;

    (void)pthread_mutex_lock(&t->mutex);
    append(t, e);
    o = obstacle(t, e);
    e->granted = !o;
    if (o && o->granted && pthread_equal(o->thread, e->thread))
        rc = azri_fail_sub(err, AZR_EBUSY, AZR_SUB_NESTED,
                           "this thread already holds these objects in "
                           "another transaction");
    else if (o)
        rc = wait_turn(t, e, patience);
    if (rc < 0) {
        take_out(t, e);
        grant_ready(t);
        azri_free(e);
    }
    (void)pthread_mutex_unlock(&t->mutex);
    return rc;
}

static bool inside(const entry *e, uint64_t first, uint64_t last)
{
    return e->ranges[0].first >= first && e->ranges[e->n - 1].last <= last;
}

void azri_lock_table_release(azri_lock_table *t, const void *owner,
                             uint64_t first, uint64_t last)
{
    entry **p;

    (void)pthread_mutex_lock(&t->mutex);
    p = &t->head;
    while (*p) {
        entry *e = *p;

        if (e->owner == owner && inside(e, first, last)) {
            assert(e->granted); /* who waits lets go of nothing */
            *p = e->next;
            azri_free(e);
        } else {
            p = &e->next;
        }
    }
    grant_ready(t);
    (void)pthread_mutex_unlock(&t->mutex);
}

void azri_lock_table_before_fork(azri_lock_table *t)
{
    (void)pthread_mutex_lock(&t->mutex);
}

void azri_lock_table_after_fork(azri_lock_table *t, bool in_child)
{
    if (in_child)
        free_entries(t);
    (void)pthread_mutex_unlock(&t->mutex);
}
