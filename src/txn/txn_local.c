/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transaction on a local file system: row, locks, look (steps 1 and 2 of
 * docs/protocol.md). Staging and commit stand in commit.c.
 *
 * Lock order: own SLOT < META < DOC < chunks (ascending). The SLOT of another's
 * row is only tried. After the commit point nothing waits for a lock.
 */
#include "txn/txn_local.h"
#include "base/log.h"
#include "base/stats.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ------------------------------------------------------------ list of txns */

static void enlist(azri_txn *t)
{
    azri_domain *d = t->d;

    (void)pthread_mutex_lock(&d->mutex);
    t->next = d->txns;
    t->link = &d->txns;
    if (d->txns)
        d->txns->link = &t->next;
    d->txns = t;
    (void)pthread_mutex_unlock(&d->mutex);
}

static void delist(azri_txn *t)
{
    azri_domain *d = t->d;

    (void)pthread_mutex_lock(&d->mutex);
    if (!t->orphan) {
        *t->link = t->next;
        if (t->next)
            t->next->link = t->link;
    }
    (void)pthread_mutex_unlock(&d->mutex);
}

/* ----------------------------------------------------------------- row --- */

/* Ids come from the kernel, a handful at a time, and are never used twice; what
 * a forked child inherits it throws away. */
static int new_id(azri_domain *d, uint64_t *id_out, azr_error *err)
{
    int rc = AZR_OK;

    (void)pthread_mutex_lock(&d->mutex);
    if (d->id_count == 0) {
        rc = azri_random(d->ids, sizeof d->ids, err);
        if (rc == AZR_OK)
            d->id_count = sizeof d->ids / sizeof d->ids[0];
    }
    if (rc == AZR_OK)
        *id_out = d->ids[--d->id_count] >> 8;
    (void)pthread_mutex_unlock(&d->mutex);
    return rc;
}

static void sign(azri_txn *t)
{
    azri_row *row = azri_state_row(t->s, t->row);
    azri_who who;

    memset(&who, 0, sizeof who);
    who.id = t->id;
    azri_boot_id(who.boot);
    who.pid = t->pid;
    who.uid = t->d->uid;
    who.start_ns = azri_wall_ns();
    azri_host_name(who.host);
    azri_who_seal(&who);
    azri_sys->put("row.who", &row->who, &who, sizeof who);
}

/* SLOT[i] for a row that is free, or made so. AZR_EBUSY: taken. */
static int claim(azri_txn *t, uint32_t i, bool finish_dead, azr_error *err)
{
    _Atomic uint64_t *word = azri_state_word(t->s, i);
    azr_recovery count = {0};
    int rc;

    if (!finish_dead && azri_word_state(atomic_load(word)) != AZRI_FREE)
        return AZR_EBUSY;
    rc = azri_slot_try(t->fd, i, err);
    if (rc < 0)
        return rc;
    if (azri_word_state(atomic_load(word)) == AZRI_FREE)
        return AZR_OK;
    if (finish_dead)
        rc = azri_row_finish(t->d, t->fd, i, &count, err);
    else
        rc = AZR_EBUSY;
    if (rc < 0)
        (void)azri_slot_release(t->fd, i);
    return rc;
}

/* One pass over the table. AZR_EBUSY: every row is taken. */
static int claim_any(azri_txn *t, uint32_t rows, bool finish_dead,
                     azr_error *err)
{
    uint32_t hint = atomic_load(&t->d->slot_hint);

    for (uint32_t k = 0; k < rows; k++) {
        uint32_t i = (hint + k) % rows;
        int rc = claim(t, i, finish_dead, err);

        if (rc == AZR_EBUSY)
            continue;
        if (rc == AZR_OK) {
            t->row = i;
            atomic_store(&t->d->slot_hint, i);
        }
        return rc;
    }
    return AZR_EBUSY;
}

/* Step 1. Waiting for a row holds no other lock. */
static int take_row(azri_txn *t, azr_error *err)
{
    int rc;

    for (;;) {
        uint32_t seen = azri_state_rows(t->s); /* the passes see as many */

        rc = claim_any(t, seen, false, err);
        if (rc == AZR_EBUSY)
            rc = claim_any(t, seen, true, err);
        if (rc != AZR_EBUSY)
            break;
        rc = azri_table_grow(t->d, seen, &t->patience, err);
        if (rc < 0)
            return rc;
    }
    if (rc < 0)
        return rc;
    /* [W1-row] *who* is complete before ACTIVE names it */
    sign(t);
    atomic_store(&azri_state_row(t->s, t->row)->wait.ticket, 0);
    azri_sys->store64("row.active", azri_state_word(t->s, t->row),
                      azri_word(t->id, AZRI_ACTIVE));
    t->has_row = true;
    return AZR_OK;
}

/* `id` 0: a new one. */
static int begin(azri_txn **out, azri_domain *d, uint64_t id,
                 const azri_patience *patience, azr_error *err)
{
    azri_txn *t;
    int rc;

    if (atomic_load(&d->poisoned))
        return azri_fail(err, AZR_EPOISONED,
                         "'%s': a sync failed on this handle; open it anew",
                         d->path);
    t = azri_calloc(1, sizeof *t);
    if (!t)
        return azri_fail_nomem(err, sizeof *t);
    t->d = d;
    t->s = azri_domain_state(d);
    t->patience = *patience;
    t->pid = azri_process_id();
    t->fd = -1;
    rc = azri_domain_take_fd(d, &t->fd, err);
    if (rc < 0) {
        azri_free(t);
        return rc;
    }
    enlist(t);
    t->id = id;
    rc = id == 0 ? new_id(d, &t->id, err) : AZR_OK;
    if (rc == AZR_OK)
        rc = take_row(t, err);
    if (rc < 0) {
        azri_txn_end(t);
        return rc;
    }
    *out = t;
    return AZR_OK;
}

int azri_txn_begin(azri_txn **out, azri_domain *d,
                   const azri_patience *patience, azr_error *err)
{
    return begin(out, d, 0, patience, err);
}

int azri_txn_join(azri_txn **out, azri_domain *d, const azri_txn *first,
                  const azri_patience *patience, azr_error *err)
{
    return begin(out, d, first->id, patience, err);
}

azri_domain *azri_txn_domain(const azri_txn *t)
{
    return t->d;
}

const azri_patience *azri_txn_patience(const azri_txn *t)
{
    return &t->patience;
}

bool azri_txn_is_owner(const azri_txn *t)
{
    return !t->orphan && t->pid == azri_process_id();
}

/* --------------------------------------------------------------- locks --- */

#define LOCK_ROUNDS 8

/* Ranges that we hold: nobody who waits for one of them is waited for. */
static size_t held_ranges(const azri_txn *t, const azri_range *upto,
                          azri_range *out)
{
    size_t n = 0;

    if (t->has_meta)
        out[n++] = t->meta_range;
    if (t->has_doc)
        out[n++] = t->doc_range;
    for (size_t i = 0; i < t->chunks.n && &t->chunks.list[i] != upto; i++)
        out[n++] = t->chunks.list[i];
    return n;
}

static const char *lock_name(const azri_range *r)
{
    if (r->first == AZRI_LOCK_META)
        return "META";
    if (r->first == AZRI_LOCK_DOC)
        return "DOC";
    return "chunks";
}

static bool may_hold(const azri_state *s, uint32_t i, const azri_range *r)
{
    azri_wait_slot *slot = &azri_state_row(s, i)->wait;
    uint32_t flags = atomic_load(&slot->holds_flags);
    uint64_t last = atomic_load(&slot->holds_last);
    azri_range theirs = {atomic_load(&slot->holds_first),
                         last & ~AZRI_WAIT_EXCLUSIVE,
                         (last & AZRI_WAIT_EXCLUSIVE) != 0};

    if (r->first == AZRI_LOCK_META)
        return (flags & AZRI_HOLDS_META) &&
               (r->exclusive || (flags & AZRI_HOLDS_META_EXCLUSIVE));
    if (r->first == AZRI_LOCK_DOC)
        return (flags & AZRI_HOLDS_DOC) &&
               (r->exclusive || (flags & AZRI_HOLDS_DOC_EXCLUSIVE));
    return last != 0 && azri_range_conflicts(&theirs, r);
}

/* Who holds it? A guess from the rows, for people. */
static int fail_busy(azri_txn *t, const azri_range *r, azr_error *err)
{
    uint32_t rows = azri_state_rows(t->s);
    char who[160] = "somebody";

    for (uint32_t i = 0; i < rows; i++) {
        uint64_t word = atomic_load(azri_state_word(t->s, i));

        if (i == t->row || azri_word_state(word) == AZRI_FREE ||
            !may_hold(t->s, i, r))
            continue;
        azri_owner_text(who, sizeof who, t->s, i);
        break;
    }
    return azri_fail(err, AZR_EBUSY, "'%s': time-out; %s held by %s",
                     t->d->path, lock_name(r), who);
}

static int fail_wait(azri_txn *t, const azri_range *r, int rc, azr_error *err)
{
    if (rc == AZR_EBUSY && (!err || err->code == 0))
        return fail_busy(t, r, err);
    if (rc == AZR_ECANCELED)
        return azri_fail(err, rc, "'%s': canceled while waiting for %s",
                         t->d->path, lock_name(r));
    return rc;
}

static int wait_for_range(azri_txn *t, const azri_range *r,
                          const azri_range *held, size_t held_count,
                          azr_error *err)
{
    azri_waitq q = azri_state_waitq(t->s);
    int rc = azri_waitq_lock(&q, &azri_state_row(t->s, t->row)->wait, t->fd, r,
                             held, held_count, &t->patience, err);

    return rc < 0 ? fail_wait(t, r, rc, err) : AZR_OK;
}

/* Try all but `skip`; the first that is refused, or n. */
static size_t try_ranges(azri_txn *t, const azri_range *ranges, size_t n,
                         size_t skip, int *rc, azr_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (i == skip)
            continue;
        *rc = azri_ofd_try(t->fd, &ranges[i], err);
        if (*rc < 0)
            return i;
    }
    *rc = AZR_OK;
    return n;
}

/*
 * Several ranges: wait for the one that is refused with none of the others in
 * hand, then try them all. Waiting with some of them held would make a queue of
 * everybody who wants those. After a few rounds AZR_EBUSY (no message): in order
 * then, holding what is held, which is sure to end.
 */
static int lock_without_holding(azri_txn *t, const azri_range *ranges, size_t n,
                                azr_error *err)
{
    azri_waitq q = azri_state_waitq(t->s);
    azri_range held[2 + 2 * AZRI_MAX_RANGES];
    size_t got = n;
    int rc = AZR_OK;

    for (int round = 1;; round++) {
        size_t refused = try_ranges(t, ranges, n, got, &rc, err);

        if (rc != AZR_EBUSY)
            return rc;
        rc = azri_ofd_unlock(t->fd, ranges[0].first, ranges[n - 1].last, err);
        if (rc < 0)
            return rc;
        azri_waitq_wake(&q, NULL, ranges, n);
        if (round == LOCK_ROUNDS)
            return AZR_EBUSY;
        rc = wait_for_range(t, &ranges[refused], held,
                            held_ranges(t, &ranges[0], held), err);
        if (rc < 0)
            return rc;
        got = refused;
    }
}

/* First the table of this process, then the kernel. [W1-lock] */
static int lock_ranges(azri_txn *t, const azri_range *ranges, size_t n,
                       azr_error *err)
{
    azri_range held[2 + 2 * AZRI_MAX_RANGES];
    int rc = AZR_OK;

    if (n == 0)
        return AZR_OK;
    if (t->d->table) {
        rc = azri_lock_table_acquire(t->d->table, t, ranges, n, &t->patience,
                                     err);
        if (rc < 0)
            return fail_wait(t, ranges, rc, err);
    }
    rc = n > 1 ? lock_without_holding(t, ranges, n, err) : AZR_EBUSY;
    if (rc != AZR_EBUSY || (err && err->code != 0))
        return rc;
    for (size_t i = 0; i < n; i++) {
        rc = wait_for_range(t, &ranges[i], held,
                            held_ranges(t, &ranges[i], held), err);
        if (rc < 0)
            return rc;
    }
    return AZR_OK;
}

static void note_held(azri_txn *t)
{
    azri_wait_slot *slot = &azri_state_row(t->s, t->row)->wait;
    uint32_t flags = AZRI_HOLDS_META;

    assert(t->has_meta);
    if (t->meta_exclusive)
        flags |= AZRI_HOLDS_META_EXCLUSIVE;
    if (t->has_doc)
        flags |= AZRI_HOLDS_DOC;
    if (t->doc_exclusive)
        flags |= AZRI_HOLDS_DOC_EXCLUSIVE;
    atomic_store(&slot->holds_flags, flags);
    if (t->has_chunks && t->chunks.n > 0) {
        const azri_range *last = &t->chunks.list[t->chunks.n - 1];

        atomic_store(&slot->holds_first, t->chunks.list[0].first);
        atomic_store(&slot->holds_last,
                     last->last | (last->exclusive ? AZRI_WAIT_EXCLUSIVE : 0));
    } else {
        atomic_store(&slot->holds_last, 0);
    }
}

int azri_txn_lock_meta(azri_txn *t, bool exclusive, azr_error *err)
{
    int rc;

    assert(!t->has_meta && !t->has_doc && !t->has_chunks);
    t->meta_range = (azri_range){AZRI_LOCK_META, AZRI_LOCK_META, exclusive};
    rc = lock_ranges(t, &t->meta_range, 1, err);
    if (rc < 0)
        return rc;
    t->has_meta = true;
    t->meta_exclusive = exclusive;
    if (exclusive)
        note_held(t);
    return AZR_OK;
}

int azri_txn_lock_doc(azri_txn *t, bool exclusive, azr_error *err)
{
    int rc;

    assert(t->has_meta && !t->has_doc && !t->has_chunks);
    t->doc_range = (azri_range){AZRI_LOCK_DOC, AZRI_LOCK_DOC, exclusive};
    rc = lock_ranges(t, &t->doc_range, 1, err);
    if (rc < 0)
        return rc;
    t->has_doc = true;
    t->doc_exclusive = exclusive;
    note_held(t);
    return AZR_OK;
}

int azri_txn_want_chunks(azri_txn *t, uint64_t n, azri_coords_fn coords,
                         const void *arg, bool exclusive, azr_error *err)
{
    uint64_t c[AZR_MAX_RANK];

    (void)err;
    assert(!t->has_chunks);
    for (uint64_t i = 0; i < n; i++) {
        coords(arg, i, c);
        azri_ranges_add(&t->chunks, azri_w_offset(t->s, c), exclusive);
    }
    return AZR_OK;
}

void azri_txn_want_all(azri_txn *t, bool exclusive)
{
    assert(!t->has_chunks);
    t->chunks.list[0] = (azri_range){AZRI_LOCK_W, AZRI_LOCK_LAST, exclusive};
    t->chunks.n = 1;
}

int azri_txn_lock_chunks(azri_txn *t, azr_error *err)
{
    int rc;

    assert(t->has_meta && !t->has_chunks);
    azri_ranges_settle(&t->chunks);
    if (!AZRI_GUARD(CHUNK_LOCKS)) {
        t->has_chunks = true;
        return AZR_OK;
    }
    rc = lock_ranges(t, t->chunks.list, t->chunks.n, err);
    if (rc < 0)
        return rc;
    t->has_chunks = true;
    note_held(t);
    return AZR_OK;
}

int azri_txn_unlock_chunks(azri_txn *t, azr_error *err)
{
    azri_waitq q = azri_state_waitq(t->s);
    int rc = azri_ofd_unlock(t->fd, AZRI_LOCK_W, AZRI_LOCK_LAST, err);

    if (t->d->table)
        azri_lock_table_release(t->d->table, t, AZRI_LOCK_W, AZRI_LOCK_LAST);
    azri_waitq_wake(&q, NULL, t->chunks.list, t->chunks.n);
    t->has_chunks = false;
    t->chunks.n = 0;
    note_held(t);
    return rc;
}

/* All locks at once: one call. [W8-unlock] */
static void unlock_all(azri_txn *t)
{
    azri_waitq q = azri_state_waitq(t->s);
    azri_range released[2 + 2 * AZRI_MAX_RANGES];
    size_t n = held_ranges(t, NULL, released);

    /* [Q-unlock] before the scan: a waiter is found, or finds the lock free */
    if (azri_ofd_unlock(t->fd, AZRI_LOCK_BASE, AZRI_LOCK_LAST, NULL) < 0) {
        /* let the kernel do it: nothing of ours may stay locked */
        azri_domain_drop_fd(t->d, t->fd);
        t->fd = -1;
    }
    if (t->d->table)
        azri_lock_table_release(t->d->table, t, 0, UINT64_MAX);
    azri_waitq_wake(&q, NULL, released, n);
    if (t->fd >= 0)
        azri_domain_give_fd(t->d, t->fd);
    t->fd = -1;
}

/* ---------------------------------------------------------------- look --- */

/* Is the owner of an ACTIVE row dead? Asking costs a system call a row, so only
 * rows that have stood for a while are asked; opening asks all. */
#define ACTIVE_IS_OLD_NS INT64_C(50000000)

static bool is_old(const azri_state *s, uint32_t i)
{
    int64_t start;

    if (azri_waitq_alive(&azri_state_row(s, i)->wait))
        return false;
    azri_part_get(&start, &azri_state_row(s, i)->who.start_ns, sizeof start);
    return azri_wall_ns() - start > ACTIVE_IS_OLD_NS;
}

static int fail_row_busy(azri_txn *t, uint32_t i, int rc, azr_error *err)
{
    char who[160];

    if (rc == AZR_ECANCELED)
        return azri_fail(err, rc, "'%s': canceled while waiting for row %u",
                         t->d->path, i);
    azri_owner_text(who, sizeof who, t->s, i);
    return azri_fail(err, AZR_EBUSY,
                     "'%s': time-out; row %u is being finished by %s",
                     t->d->path, i, who);
}

/* Sleep until the row's word changes, 50 ms at most. */
static void sleep_on_word(azri_txn *t, uint32_t i, uint64_t word)
{
    azri_changing *c = azri_state_changing(t->s);
    int64_t slice = azri_patience_slice(&t->patience, 50000000);
    struct timespec ts = {slice / 1000000000, slice % 1000000000};

    atomic_fetch_add(&c->waiting, 1);
    if (atomic_load(azri_state_word(t->s, i)) == word)
        (void)azri_sys->futex_wait(azri_word_futex(t->s, i), (uint32_t)word,
                                   &ts);
    atomic_fetch_sub(&c->waiting, 1);
}

void azri_row_wake(const azri_state *s, uint32_t i)
{
    if (atomic_load(&azri_state_changing(s)->waiting) != 0)
        (void)azri_sys->futex_wake(azri_word_futex(s, i), INT32_MAX);
}

/* Does the row stand in our way? AZR_OK: *out says; AZR_ECONFLICT: it changed; else it
 * is damaged, or its record is gone: finishing it will tell. */
static int overlaps_us(azri_txn *t, uint32_t i, uint64_t word, bool meta,
                       bool *out, azr_error *err)
{
    azri_intent in = {0};
    int rc = azri_intent_read(&in, t->d, i, word, false, err);

    *out = true;
    if (rc < 0)
        return rc;
    if (!meta && !(in.flags & AZRI_WHAT_METADATA)) {
        const azri_range *list = t->chunks.list;
        size_t n = t->chunks.n;

        *out =
            n > 0 && in.first <= list[n - 1].last && list[0].first <= in.last;
        if (*out) { /* the hull may lie: the list decides */
            rc = azri_intent_read(&in, t->d, i, word, true, err);
            if (rc == AZR_OK)
                *out = azri_intent_overlaps(&in, t->s, list, n);
            azri_intent_dispose(&in);
        }
    }
    return rc;
}

/* One row. AZR_OK: it does not stand in our way (any more). */
static int look_at(azri_txn *t, uint32_t i, bool meta, azr_error *err)
{
    azr_recovery count = {0};
    bool overlap, waited = false;
    int rc;

    for (;;) {
        uint64_t word = atomic_load(azri_state_word(t->s, i));
        uint32_t state = azri_word_state(word);

        if (state == AZRI_FREE)
            return AZR_OK;
        if (state == AZRI_ACTIVE && !is_old(t->s, i))
            return AZR_OK;
        if (state != AZRI_ACTIVE) {
            rc = overlaps_us(t, i, word, meta, &overlap, NULL);
            if (rc == AZR_ECONFLICT)
                continue;
            if (rc == AZR_OK && !overlap)
                return AZR_OK;
            /* cannot be read: whoever gets its SLOT decides */
        }
        rc = AZRI_GUARD(SLOT) ? azri_slot_try(t->fd, i, err) : AZR_OK;
        if (rc == AZR_OK) { /* [W2-finish] its owner is dead */
            azr_error why = AZR_ERROR_INIT;

            rc = azri_row_finish(t->d, t->fd, i, &count, &why);
            (void)azri_slot_release(t->fd, i);
            if (rc < 0)
                azri_error_pass(err, &why);
            if (rc != AZR_EBUSY)
                return rc;
            if (atomic_load(azri_state_word(t->s, i)) != word)
                continue; /* all is done but the documents above */
            /* a row of the same transaction in another array is busy */
        }
        if (rc != AZR_EBUSY)
            return rc;
        if (state == AZRI_ACTIVE || !AZRI_GUARD(BUSY_ROW))
            return AZR_OK; /* alive, and nothing promised yet */
        /* [W2-wait] Somebody is finishing it. He waits for no lock meanwhile, so
         * this cannot close a circle. */
        rc = azri_patience_check(&t->patience);
        if (rc < 0)
            return fail_row_busy(t, i, rc, err);
        if (!waited)
            AZRI_COUNT(row_waits, 1);
        waited = true;
        sleep_on_word(t, i, word);
    }
}

int azri_txn_look(azri_txn *t, bool touches_metadata, azr_error *err)
{
    uint32_t rows = azri_state_rows(t->s);
    int rc = azri_domain_check(t->d, true, err);

    assert(t->has_meta);
    if (rc == AZR_OK)
        azri_fate_forget(t);
    if (!AZRI_GUARD(LOOK))
        return rc;
    /* [W2-look] */
    for (uint32_t i = 0; i < rows && rc == AZR_OK; i++) {
        if (i != t->row)
            rc = look_at(t, i, touches_metadata, err);
    }
    return rc;
}

uint64_t azri_txn_meta_counter(azri_txn *t)
{
    return atomic_load(&azri_state_changing(t->s)->meta);
}

uint64_t azri_txn_counter(azri_txn *t, uint16_t stripe)
{
    return atomic_load(azri_state_counter(t->s, stripe));
}

/* ----------------------------------------------------------------- end --- */

static void remove_staged(azri_txn *t)
{
    char name[AZRI_STAGED_NAME_MAX];
    int tx;

    if (azri_domain_tx(t->d, &tx, NULL) < 0)
        return;
    for (uint64_t i = 0; i < t->count; i++) {
        if (!t->staged[i].exists)
            continue;
        azri_staged_name(name, t->row, t->id, i);
        (void)azri_sys->unlinkat(tx, name, 0);
    }
    azri_record_name(name, t->row, t->id);
    if (t->count > 0)
        (void)azri_sys->unlinkat(tx, name, 0);
}

/* After the locks are gone: closing gives back the space of what was replaced. */
static void close_kept(azri_txn *t)
{
    uint64_t n = atomic_load(&t->kept_count) > 0 ? t->count : 0;

    for (uint64_t i = 0; i < n; i++) {
        if (t->staged[i].kept.handle >= 0)
            t->d->store->ops->close(t->d->store, &t->staged[i].kept);
    }
    azri_kept_close(t->d, &t->kept);
}

void azri_txn_end(azri_txn *t)
{
    if (!t)
        return;
    if (azri_txn_is_owner(t)) {
        if (t->has_row && !t->committed) {
            azri_wait_slot *slot = &azri_state_row(t->s, t->row)->wait;

            atomic_store(&slot->holds_last, 0);
            atomic_store(&slot->holds_flags, 0);
            azri_sys->store64("abort.clear", azri_state_word(t->s, t->row),
                              azri_word(t->id, AZRI_FREE));
            remove_staged(t);
        }
        unlock_all(t);
    }
    close_kept(t);
    delist(t);
    azri_free(t->entries);
    azri_free(t->staged);
    azri_buf_dispose(&t->refs);
    azri_free(t);
}
