/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finishing what the dead left. Who holds the SLOT byte of a row may finish it,
 * and only he: then its owner is dead, and nobody else is at it. The chunk locks
 * are not needed: who gets them on any part of the row meets the row before he
 * reads (step 2).
 */
#include "txn/recover.h"
#include "base/log.h"
#include "base/stats.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int azri_slot_try(int fd, uint32_t i, azr_error *err)
{
    azri_range r = {AZRI_LOCK_SLOT + i, AZRI_LOCK_SLOT + i, true};

    return azri_ofd_try(fd, &r, err);
}

/* Nobody stands in the queue for it: it is only tried. */
bool azri_slot_release(int fd, uint32_t i)
{
    uint64_t at = AZRI_LOCK_SLOT + i;

    return azri_ofd_unlock(fd, at, at, NULL) == AZR_OK;
}

/* ---------------------------------------------------------- staged files --- */

typedef struct sweep {
    azri_domain *d;
    uint64_t id;
    bool to_lost;
    uint32_t count;
} sweep;

static int make_lost(azri_domain *d)
{
    return azri_make_parents(d->dir, ".azr/lost/x", d->dir_mode, d->dir_gid,
                             NULL, NULL, NULL);
}

static int sweep_one(const char *name, unsigned char d_type, void *arg)
{
    sweep *s = arg;
    char to[320];
    uint64_t id;
    int tx;

    (void)d_type;
    if (!azri_staged_id(&id, name) || id != s->id ||
        azri_domain_tx(s->d, &tx, NULL) < 0)
        return 0;
    s->count++;
    if (!s->to_lost) {
        (void)azri_sys->unlinkat(tx, name, 0);
        return 0;
    }
    (void)snprintf(to, sizeof to, ".azr/lost/%s", azri_staged_base(name));
    (void)azri_sys->renameat2(tx, name, s->d->dir, to, 0);
    return 0;
}

/* All staged files of a transaction: away, or to lost/ for a person to see. */
static uint32_t sweep_files(azri_domain *d, uint32_t i, uint64_t id,
                            bool to_lost)
{
    sweep s = {d, id, to_lost, 0};

    if (to_lost && make_lost(d) < 0)
        s.to_lost = false;
    azri_ignore(azri_list_lane(d, i, sweep_one, &s, NULL));
    return s.count;
}

/* ------------------------------------------------------------ one row --- */

static void clear_row(azri_domain *d, uint32_t i, uint64_t id)
{
    azri_state *s = azri_domain_state(d);
    azri_waitq q = azri_state_waitq(s);

    azri_waitq_forget(&q, &azri_state_row(s, i)->wait);
    /* [F-clear] */
    azri_sys->store64("recovery.clear", azri_state_word(s, i),
                      azri_word(id, AZRI_FREE));
    azri_row_wake(s, i);
    AZRI_COUNT(recovered_rows, 1);
}

/*
 * [F-above] What a row, of whatever state, asks to be renewed above, is: from the
 * documents as they stand, so it does no harm if they are the old ones. AZR_EBUSY
 * (no message): not now, or not by us; the row stays. Damage above is nobody's
 * copy any more.
 */
static int renew_above(azri_domain *d, uint32_t flags)
{
    azr_error why = AZR_ERROR_INIT;
    int rc = azri_apply_above(d, flags, false, &why);

    if (rc < 0 && rc != AZR_EBUSY)
        azri_log(AZR_LOG_WARNING,
                 "'%s': consolidated metadata above is not renewed: %s",
                 d->path, why.message);
    if (rc == AZR_ECORRUPT || rc == AZR_EUNSUPPORTED || rc == AZR_EINVAL)
        return AZR_OK;
    return rc < 0 ? AZR_EBUSY : AZR_OK;
}

/* A row that did not commit, or of which only the documents above are left to do.
 * Clear, then remove: staged files without a row are only rubbish, a row without
 * its files would be damage. One that has a home, with `power`, for good: the disk
 * may have it PREPARED (if it is ACTIVE: its owner was taking it back), the home may
 * be removed next, and a row that was PREPARED again would ask for it for ever. */
int azri_row_roll_back(azri_domain *d, uint32_t i, uint64_t word,
                       azr_recovery *count, azr_error *err)
{
    uint64_t id = azri_word_id(word);
    azri_intent in = {0};
    int rc = AZR_OK;

    if (azri_intent_read(&in, d, i, word, false, NULL) == AZR_OK &&
        renew_above(d, in.flags) < 0)
        return AZR_EBUSY;
    clear_row(d, i, id); /* [F-active] */
    (void)sweep_files(d, i, id, false);
    count->cleared++;
    azri_log(AZR_LOG_INFO, "'%s': transaction %014llx of a dead owner undone",
             d->path, (unsigned long long)id);
    if ((in.flags & AZRI_WHAT_HAS_HOME) &&
        azri_domain_durability(d) == AZR_DURABILITY_POWER)
        rc = azri_fdatasync_fd(azri_domain_state(d)->fd, ".azr/state", err);
    if (rc < 0)
        atomic_store(&d->poisoned, true);
    return rc;
}

/* After a restart without `power` the disk may hold any mix: what does not match
 * goes to lost/ and is reported, and the array works on. */
void azri_row_give_up(azri_domain *d, uint32_t i, uint64_t id,
                      azr_recovery *count, azr_error *why)
{
    clear_row(d, i, id);
    count->lost += sweep_files(d, i, id, true);
    count->cleared++;
    azri_log(AZR_LOG_WARNING,
             "'%s': transaction %014llx was cut short by a restart: %s; what "
             "is left of it stands in .azr/lost",
             d->path, (unsigned long long)id,
             why->message[0] ? why->message : "its record is gone");
}

/* A row that a failed or interrupted sync left SEALED: store it again, since a
 * sync after a failed one reports success for pages that it no longer holds. */
int azri_row_unseal(azri_domain *d, uint32_t i, uint64_t word, azr_error *err)
{
    azri_state *s = azri_domain_state(d);
    azri_row *row = azri_state_row(s, i);
    azri_who who = row->who;
    azri_what what = row->what;
    int rc;

    azri_sys->put("recovery.who", &row->who, &who, sizeof who);
    azri_sys->put("recovery.what", &row->what, &what, sizeof what);
    azri_sys->store64("recovery.seal", azri_state_word(s, i), word);
    rc = azri_fdatasync_fd(s->fd, ".azr/state", err); /* [F-seal] */
    if (rc < 0) {
        atomic_store(&d->poisoned, true);
        return rc;
    }
    azri_sys->store64("recovery.commit", azri_state_word(s, i),
                      azri_word(azri_word_id(word), AZRI_COMMITTED));
    return AZR_OK;
}

static int roll_forward(azri_domain *d, uint32_t i, const azri_intent *in,
                        azr_recovery *count, azr_error *err)
{
    azri_kept kept = {.n = 0};
    azri_apply a = {
        .d = d,
        .kept = &kept,
        .s = azri_domain_state(d),
        .row = i,
        .id = azri_word_id(in->word),
        .flags = in->flags,
        .count = in->count,
        .entries = in->entries,
        .missing_ok = true,
    };
    int rc = azri_apply_check(&a, err);

    if (rc < 0)
        return rc;
    /* the owner may have died between making a directory again and its sync */
    if (azri_domain_durability(d) == AZR_DURABILITY_POWER)
        rc = azri_names_sync(d, in->entries, in->count, true, err);
    if (rc < 0)
        return rc;
    if (AZRI_GUARD(RECOVERY_BUMP))
        azri_apply_bump(&a);         /* [F-bump] */
    rc = azri_apply_rename(&a, err); /* [F-rename] */
    azri_kept_close(d, &kept);
    if (rc == AZR_OK && azri_domain_durability(d) == AZR_DURABILITY_POWER)
        rc = azri_apply_sync(&a, err); /* [F-sync] */
    if (rc < 0)
        return rc;
    if (renew_above(d, a.flags) < 0) {
        /* nothing else is left: as ACTIVE it stands in nobody's way */
        azri_sys->store64("recovery.left", azri_state_word(a.s, i),
                          azri_word(a.id, AZRI_ACTIVE));
        azri_row_wake(a.s, i);
        return AZR_EBUSY;
    }
    clear_row(d, i, a.id);
    azri_apply_rest(&a); /* [F-rest] */
    count->finished++;
    azri_log(AZR_LOG_INFO, "'%s': transaction %014llx of a dead owner finished",
             d->path, (unsigned long long)a.id);
    return AZR_OK;
}

bool azri_row_is_strict(azri_domain *d, uint32_t i, uint64_t word)
{
    return azri_row_of_this_boot(azri_domain_state(d), i, word) ||
           azri_domain_durability(d) == AZR_DURABILITY_POWER;
}

int azri_fail_record_gone(uint32_t i, azr_error *err)
{
    return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_RECORD,
                         ".azr/state: row %u is prepared, but its record is "
                         "gone",
                         i);
}

/* [F-again] `power`: the parts of a COMMITTED or PREPARED row were on the disk before its word
 * could be; others stand in it only after it was cleared, and what it renamed was on
 * the disk before that. */
static bool is_over(azri_domain *d, uint32_t i, uint64_t word, int rc)
{
    return rc == AZR_ECORRUPT && AZRI_GUARD(TAKEN_AGAIN) &&
           (azri_word_state(word) == AZRI_COMMITTED ||
            azri_word_state(word) == AZRI_PREPARED) &&
           azri_domain_durability(d) == AZR_DURABILITY_POWER &&
           azri_row_taken_again(azri_domain_state(d), i, word);
}

/* Synced before anybody takes it: if the power went while he signs, and the disk had
 * this word still, nothing in the row would tell any more that it was over. */
static int clear_over(azri_domain *d, uint32_t i, uint64_t word,
                      azr_recovery *count, azr_error *err)
{
    int rc;

    clear_row(d, i, azri_word_id(word));
    rc = azri_fdatasync_fd(azri_domain_state(d)->fd, ".azr/state", err);
    if (rc < 0)
        atomic_store(&d->poisoned, true);
    else
        count->finished++;
    return rc;
}

int azri_row_finish_one(azri_domain *d, uint32_t i, uint64_t word,
                        azr_recovery *count, azr_error *err)
{
    uint64_t id = azri_word_id(word);
    azr_error why = AZR_ERROR_INIT;
    azri_intent in = {0};
    bool strict = azri_row_is_strict(d, i, word);
    int rc = azri_intent_read(&in, d, i, word, true, &why);

    if (rc == AZR_OK)
        rc = roll_forward(d, i, &in, count, &why);
    else if (rc == AZR_ENOTFOUND && strict &&
             azri_word_state(word) == AZRI_PREPARED)
        rc = azri_fail_record_gone(i, &why);
    else if (is_over(d, i, word, rc)) {
        azri_error_reset(&why);
        rc = clear_over(d, i, word, count, &why);
    } else if (strict && rc == AZR_ENOTFOUND) {
        /* the record goes last: it was finished */
        clear_row(d, i, id);
        count->finished++;
        rc = AZR_OK;
    }
    azri_intent_dispose(&in);
    if ((rc == AZR_ECORRUPT || rc == AZR_ENOTFOUND) && !strict) {
        azri_row_give_up(d, i, id, count, &why);
        rc = AZR_OK;
    }
    if (rc == AZR_ECONFLICT) /* whoever changed it has no lock, or nobody has */
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_LOCK,
                             "'%s': row %u changed while its lock was ours: "
                             "locks do not work here",
                             d->path, i);
    if (rc < 0)
        azri_error_pass(err, &why);
    return rc;
}

int azri_row_finish_torn(azri_domain *d, uint32_t i, uint64_t word, int rc,
                         azr_error *why, azr_recovery *count, azr_error *err)
{
    if (is_over(d, i, word, rc))
        return clear_over(d, i, word, count, err);
    if (rc == AZR_ECORRUPT && !azri_row_is_strict(d, i, word)) {
        azri_row_give_up(d, i, azri_word_id(word), count, why);
        return AZR_OK;
    }
    azri_error_pass(err, why);
    return rc;
}

int azri_row_finish(azri_domain *d, int fd, uint32_t i, azr_recovery *count,
                    azr_error *err)
{
    azri_state *s = azri_domain_state(d);
    /* [F-slot] SLOT is ours: only now the word stands still */
    uint64_t word = atomic_load(azri_state_word(s, i));
    azri_intent in = {0};
    int rc;

    switch (azri_word_state(word)) {
    case AZRI_FREE:
        return AZR_OK;
    case AZRI_ACTIVE:
        rc = azri_several_release(d, i, word, count, err); /* [F-release] */
        return rc < 0 ? rc : azri_row_roll_back(d, i, word, count, err);
    case AZRI_SEALED:
        rc = azri_intent_read(&in, d, i, word, false, NULL);
        if (rc < 0) /* torn by a power loss: never committed */
            return azri_row_roll_back(d, i, word, count, err);
        rc = azri_row_unseal(d, i, word, err);
        if (rc < 0)
            return rc;
        return azri_several_finish_committed(
            d, i, azri_word(azri_word_id(word), AZRI_COMMITTED), count, err);
    case AZRI_COMMITTED:
        if (!AZRI_GUARD(FINISH))
            return azri_row_roll_back(d, i, word, count, err);
        return azri_several_finish_homed(d, fd, i, word, count, err);
    case AZRI_PREPARED:
        return azri_several_finish_prepared(d, fd, i, word, count, err);
    default:
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_LAYOUT,
                             ".azr/state: row %u is in state %u, this library "
                             "cannot finish it",
                             i, azri_word_state(word));
    }
}

/* ------------------------------------------------------------- rubbish --- */

typedef struct id_list {
    uint64_t *ids;
    size_t n, capacity;
} id_list;

static int note_id(const char *name, unsigned char d_type, void *arg)
{
    id_list *l = arg;
    uint64_t id;

    (void)d_type;
    if (!azri_staged_id(&id, name))
        return 0;
    if (l->n > 0 && l->ids[l->n - 1] == id)
        return 0;
    if (l->n == l->capacity) {
        size_t want = l->capacity ? 2 * l->capacity : 64;
        uint64_t *ids = azri_resize(l->ids, want * sizeof *ids);

        if (!ids)
            return AZR_ENOMEM;
        l->ids = ids;
        l->capacity = want;
    }
    l->ids[l->n++] = id;
    return 0;
}

static bool has_row(const azri_state *s, uint64_t id)
{
    uint32_t rows = azri_state_rows(s);

    for (uint32_t i = 0; i < rows; i++) {
        uint64_t word = atomic_load(azri_state_word(s, i));

        if (azri_word_id(word) == id && azri_word_state(word) != AZRI_FREE)
            return true;
    }
    return false;
}

static int compare_ids(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* Sorted, and only if no row has it: what is left is rubbish. */
static void keep_rubbish(id_list *l, const azri_state *s)
{
    size_t kept = 0;

    if (l->n > 0)
        qsort(l->ids, l->n, sizeof *l->ids, compare_ids);
    for (size_t i = 0; i < l->n; i++) {
        if (!has_row(s, l->ids[i])) /* [G-rows] */
            l->ids[kept++] = l->ids[i];
    }
    l->n = kept;
}

typedef struct rubbish {
    const id_list *ids;
    int tx;
    uint32_t count;
} rubbish;

static int remove_rubbish(const char *name, unsigned char d_type, void *arg)
{
    rubbish *r = arg;
    uint64_t id;

    (void)d_type;
    if (azri_staged_id(&id, name) &&
        bsearch(&id, r->ids->ids, r->ids->n, sizeof id, compare_ids)) {
        (void)azri_sys->unlinkat(r->tx, name, 0); /* [G-remove] */
        r->count++;
    }
    return 0;
}

/*
 * A staged object that no row names is rubbish. List first, look at the rows
 * afterwards:
 *
 *   1. A lists the rows: T has none.
 *   2. T takes a row and stages an object.
 *   3. A lists tx/, finds it, and takes it for rubbish: T commits a row whose
 *      object is gone.
 *
 * Listed first, an object's row was there before the list, so it is found, or it
 * has been cleared, and then nothing needs the object any more.
 */
int azri_collect_rubbish(azri_domain *d, azr_recovery *count, azr_error *err)
{
    id_list l = {NULL, 0, 0};
    rubbish r = {&l, -1, 0};
    /* [G-list] */
    int rc = azri_list_staged(d, note_id, &l, err);

    if (rc == AZR_ENOMEM)
        rc = azri_fail_nomem(err, l.capacity * sizeof *l.ids);
    atomic_thread_fence(memory_order_seq_cst);
    if (rc == AZR_OK)
        keep_rubbish(&l, azri_domain_state(d));
    if (rc == AZR_OK && l.n > 0)
        rc = azri_domain_tx(d, &r.tx, err);
    if (rc == AZR_OK && l.n > 0)
        rc = azri_list_staged(d, remove_rubbish, &r, err);
    count->rubbish += r.count;
    AZRI_COUNT(rubbish_removed, r.count);
    azri_free(l.ids);
    return rc;
}

/* `state` under another name, of a creator that died before it got its own. There
 * is a `state`, so whoever still is about to name one will be refused. */
static int remove_unborn_state(const char *name, unsigned char d_type,
                               void *arg)
{
    azri_domain *d = arg;
    char path[300];

    (void)d_type;
    if (strncmp(name, "state.", 6) == 0) {
        (void)snprintf(path, sizeof path, ".azr/%.255s", name);
        (void)azri_sys->unlinkat(d->dir, path, 0);
    }
    return 0;
}

/* A row whose transaction somebody else is finishing, in another array, is left
 * to him. */
static int finish_or_count(azri_domain *d, int fd, uint32_t i,
                           azr_recovery *out, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    int rc = azri_row_finish(d, fd, i, out, &why);

    if (rc == AZR_EBUSY) {
        out->busy++;
        return AZR_OK;
    }
    if (rc < 0)
        azri_error_pass(err, &why);
    return rc;
}

int azri_domain_recover(azri_domain *d, azr_recovery *out, azr_error *err)
{
    azri_state *s = azri_domain_state(d);
    uint32_t rows = azri_state_rows(s);
    bool unlocked = true;
    int fd = -1;
    int rc = azri_domain_take_fd(d, &fd, err);

    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < rows && rc == AZR_OK; i++) {
        uint64_t word = atomic_load(azri_state_word(s, i));

        if (azri_word_state(word) == AZRI_FREE)
            continue;
        rc = azri_slot_try(fd, i, err);
        if (rc == AZR_EBUSY) {
            out->busy++;
            rc = AZR_OK;
            continue;
        }
        if (rc == AZR_OK)
            rc = finish_or_count(d, fd, i, out, err);
        unlocked &= azri_slot_release(fd, i);
    }
    if (rc == AZR_OK)
        rc = azri_collect_rubbish(d, out, err);
    if (rc == AZR_OK)
        rc = azri_list(d->dir, ".azr", remove_unborn_state, d, err);
    if (rc == AZR_OK)
        azri_snaps_collect(d, out);
    azri_domain_put_fd(d, fd, unlocked);
    return rc;
}
