/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finishing what the dead left. Who holds the SLOT byte of a row may finish it,
 * and only he: then its owner is dead, and nobody else is at it. The chunk locks
 * are not needed: who gets them on any part of the row meets the row before he
 * reads (step 2).
 */
#include "base/log.h"
#include "base/stats.h"
#include "txn/txn_local.h"

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

void azri_slot_release(const azri_state *s, int fd, uint32_t i)
{
    azri_range r = {AZRI_LOCK_SLOT + i, AZRI_LOCK_SLOT + i, true};
    azri_waitq q = azri_state_waitq(s);

    azri_ignore(azri_ofd_unlock(fd, r.first, r.last, NULL));
    azri_waitq_wake(&q, NULL, &r, 1);
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
 * its files would be damage. */
static int roll_back(azri_domain *d, uint32_t i, uint64_t word,
                     azr_recovery *count)
{
    uint64_t id = azri_word_id(word);
    azri_intent in = {0};

    if (azri_intent_read(&in, d, i, word, false, NULL) == AZR_OK &&
        renew_above(d, in.flags) < 0)
        return AZR_EBUSY;
    clear_row(d, i, id); /* [F-active] */
    (void)sweep_files(d, i, id, false);
    count->cleared++;
    azri_log(AZR_LOG_INFO, "'%s': transaction %014llx of a dead owner undone",
             d->path, (unsigned long long)id);
    return AZR_OK;
}

/* A PREPARED row whose home never committed. With `power` for good: the home may be
 * removed next, and a row that was PREPARED again would ask for it for ever. */
static int roll_back_prepared(azri_domain *d, uint32_t i, uint64_t word,
                              azr_recovery *count, azr_error *err)
{
    int rc = roll_back(d, i, word, count);

    if (rc < 0 || azri_domain_durability(d) != AZR_DURABILITY_POWER)
        return rc;
    rc = azri_fdatasync_fd(azri_domain_state(d)->fd, ".azr/state", err);
    if (rc < 0)
        atomic_store(&d->poisoned, true);
    return rc;
}

/* After a restart without `power` the disk may hold any mix: what does not match
 * goes to lost/ and is reported, and the array works on. */
static void give_up(azri_domain *d, uint32_t i, uint64_t id,
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
static int unseal(azri_domain *d, uint32_t i, uint64_t word, azr_error *err)
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

static bool is_strict(azri_domain *d, uint32_t i, uint64_t word)
{
    return azri_row_of_this_boot(azri_domain_state(d), i, word) ||
           azri_domain_durability(d) == AZR_DURABILITY_POWER;
}

/* It goes last, after the row: while that is PREPARED it has to be there. */
static int fail_record_gone(uint32_t i, azr_error *err)
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

/* A COMMITTED row, or a PREPARED one whose home row is COMMITTED. */
static int finish_one(azri_domain *d, uint32_t i, uint64_t word,
                      azr_recovery *count, azr_error *err)
{
    uint64_t id = azri_word_id(word);
    azr_error why = AZR_ERROR_INIT;
    azri_intent in = {0};
    bool strict = is_strict(d, i, word);
    int rc = azri_intent_read(&in, d, i, word, true, &why);

    if (rc == AZR_OK)
        rc = roll_forward(d, i, &in, count, &why);
    else if (rc == AZR_ENOTFOUND && strict &&
             azri_word_state(word) == AZRI_PREPARED)
        rc = fail_record_gone(i, &why);
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
        give_up(d, i, id, count, &why);
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

/* -------------------------------------------------------- several arrays --- */

/* A PREPARED or COMMITTED row of a committed transaction, whose parts do not match
 * its word. */
static int finish_torn(azri_domain *o, uint32_t row, uint64_t word, int rc,
                       azr_error *why, azr_recovery *count, azr_error *err)
{
    if (is_over(o, row, word, rc))
        return clear_over(o, row, word, count, err);
    if (rc == AZR_ECORRUPT && !is_strict(o, row, word)) {
        give_up(o, row, azri_word_id(word), count, why);
        return AZR_OK;
    }
    azri_error_pass(err, why);
    return rc;
}

static int check_home(const azri_intent *in, const azri_domain *o, uint32_t row,
                      azri_domain *home, uint32_t home_row, azr_error *err)
{
    if ((in->flags & AZRI_WHAT_HAS_HOME) && in->home_row == home_row &&
        memcmp(in->home_id, azri_domain_state(home)->header.array_id, 16) == 0)
        return AZR_OK;
    return azri_fail_sub(
        err, AZR_ECORRUPT, AZR_SUB_RECORD,
        "'%s': row %u carries transaction %014llx of '%s', "
        "but does not name it as its home",
        o->path, row, (unsigned long long)azri_word_id(in->word), home->path);
}

/* What is done to a row of the transaction of a home row, whose SLOT byte is held
 * as well, in array `o`, on whose descriptor its own is. */
typedef int (*other_fn)(azri_domain *o, uint32_t row, uint64_t id,
                        azri_domain *home, uint32_t home_row,
                        azr_recovery *count, azr_error *err);

/* The home is COMMITTED: PREPARED becomes that, too. */
static int tell_other(azri_domain *o, uint32_t row, uint64_t id,
                      azri_domain *home, uint32_t home_row, azr_recovery *count,
                      azr_error *err)
{
    azri_state *s = azri_domain_state(o);
    _Atomic uint64_t *p = azri_state_word(s, row);
    azri_intent in = {0};
    int rc = AZR_OK;

    (void)count;
    if (atomic_load(p) == azri_word(id, AZRI_PREPARED)) {
        /* a record that is gone would pass for a finished one from then on */
        rc = azri_intent_read(&in, o, row, azri_word(id, AZRI_PREPARED), true,
                              err);
        if (rc == AZR_ENOTFOUND)
            rc = fail_record_gone(row, err);
        if (rc == AZR_OK)
            rc = check_home(&in, o, row, home, home_row, err);
        azri_intent_dispose(&in);
        if (rc == AZR_OK)
            azri_sys->store64("recovery.other", p,
                              azri_word(id, AZRI_COMMITTED));
    }
    if (rc < 0 || azri_domain_durability(home) != AZR_DURABILITY_POWER)
        return rc;
    rc = azri_fdatasync_fd(s->fd, ".azr/state", err);
    if (rc < 0)
        atomic_store(&o->poisoned, true);
    return rc;
}

/* It becomes what the home row says. */
static int finish_other(azri_domain *o, uint32_t row, uint64_t id,
                        azri_domain *home, uint32_t home_row,
                        azr_recovery *count, azr_error *err)
{
    const azri_state *s = azri_domain_state(o);
    uint64_t word = atomic_load(azri_state_word(s, row)), home_word;
    azr_error why = AZR_ERROR_INIT;
    azri_intent in = {0};
    int rc;

    if (azri_word_state(word) == AZRI_FREE || azri_word_id(word) != id)
        return AZR_OK; /* finished before */
    home_word = atomic_load(azri_state_word(azri_domain_state(home), home_row));
    if (azri_word_state(word) == AZRI_ACTIVE) {
        /* what a restart may leave, or only the documents above: home does not
         * wait for these */
        azri_ignore(roll_back(o, row, word, count));
        return AZR_OK;
    }
    rc = azri_intent_read(&in, o, row, word, false, &why);
    if (rc < 0) /* as if it were met alone */
        return finish_torn(o, row, word, rc, &why, count, err);
    rc = check_home(&in, o, row, home, home_row, err);
    if (rc < 0)
        return rc;
    if (azri_word_state(home_word) == AZRI_ACTIVE) /* it never committed */
        return roll_back_prepared(o, row, word, count, err);
    rc = finish_one(o, row, word, count, err);
    return rc == AZR_EBUSY ? AZR_OK : rc; /* left ACTIVE, as above */
}

/* Does the row still carry that transaction? If not, that is final. */
static bool carries(const azri_domain *d, uint32_t row, uint64_t id)
{
    uint64_t word = atomic_load(azri_state_word(atomic_load(&d->state), row));

    return azri_word_id(word) == id && azri_word_state(word) != AZRI_FREE;
}

/* Reference k of a home row: its row in the other array, if that is there and
 * the row is the transaction's still. */
static int at_reference(azri_domain *d, uint32_t i, const azri_intent *in,
                        uint32_t k, other_fn fn, azr_recovery *count,
                        azr_error *err)
{
    uint64_t id = azri_word_id(in->word);
    azri_domain *o = NULL;
    azri_ref r;
    int fd = -1;
    int rc = azri_intent_ref(&r, in, k, err);

    if (rc == AZR_OK)
        rc = azri_ref_open(&o, d, &r, true, err);
    if (rc == AZR_OK && carries(o, r.row, id)) {
        rc = azri_domain_take_fd(o, &fd, err);
        if (rc == AZR_OK)
            rc = azri_slot_try(fd, r.row, err);
        if (rc == AZR_OK) {
            rc = fn(o, r.row, id, d, i, count, err);
            azri_slot_release(azri_domain_state(o), fd, r.row);
        }
        if (fd >= 0)
            azri_domain_give_fd(o, fd);
    }
    azri_domain_close(o);
    return rc;
}

/*
 * Can a home row do without the others? They are COMMITTED by their own words, in
 * this boot, or with `power` on the disk. Then the note has to be there as well: who
 * made it may have died before he had synced it.
 */
static int is_told(bool *out, azri_domain *h, uint32_t row, uint64_t word,
                   azr_error *err)
{
    int rc = AZR_OK;

    *out = azri_word_is_told(word) && is_strict(h, row, word);
    if (!*out || azri_domain_durability(h) != AZR_DURABILITY_POWER)
        return AZR_OK;
    rc = azri_fdatasync_fd(azri_domain_state(h)->fd, ".azr/state", err);
    if (rc < 0) {
        *out = false;
        atomic_store(&h->poisoned, true);
    }
    return rc;
}

/*
 * [F-tell] What W5-others and W5-told do, where the owner died before it had: each
 * of the others knows by itself that it is committed, before the first of them is
 * cleared. That one may be removed next, and the home, which names it, must get
 * through without it. After a restart without `power` no word says anything.
 */
static int tell_others(azri_domain *d, uint32_t i, azri_intent *in,
                       azr_recovery *count, azr_error *err)
{
    bool told = false;
    int rc = AZR_OK;

    if (!is_strict(d, i, in->word))
        return AZR_OK;
    for (uint32_t k = 0; k < in->others && rc == AZR_OK; k++)
        rc = at_reference(d, i, in, k, tell_other, count, err);
    if (rc < 0 || !AZRI_GUARD(TOLD))
        return rc;
    in->word = azri_word(azri_word_id(in->word), AZRI_COMMITTED | AZRI_TOLD);
    azri_sys->store64("recovery.told", azri_state_word(azri_domain_state(d), i),
                      in->word);
    return is_told(&told, d, i, in->word, err);
}

/* After a restart without `power` what is missing, or damaged, stops nobody. */
static bool is_let_go(azri_domain *d, uint32_t i, const azri_intent *in, int rc,
                      azr_error *why)
{
    if ((rc != AZR_ECORRUPT && rc != AZR_ENOTFOUND) ||
        is_strict(d, i, in->word))
        return false;
    azri_log(AZR_LOG_WARNING,
             "'%s': transaction %014llx was cut short by a restart, and goes "
             "on without one of its arrays: %s",
             d->path, (unsigned long long)azri_word_id(in->word),
             why->message[0] ? why->message : "another one is in its place");
    azri_error_reset(why);
    return true;
}

/* [F-others] A home row is cleared last: before it those of the same transaction
 * in all the arrays that its record names. */
static int finish_others(azri_domain *d, uint32_t i, azri_intent *in,
                         azr_recovery *count, azr_error *err)
{
    bool told = false;
    int rc = is_told(&told, d, i, in->word, err);

    if (told) {
        for (uint32_t k = 0; k < in->others; k++)
            azri_ignore(at_reference(d, i, in, k, finish_other, count, NULL));
        return AZR_OK;
    }
    if (rc == AZR_OK)
        rc = tell_others(d, i, in, count, err);
    for (uint32_t k = 0; k < in->others && rc == AZR_OK; k++) {
        rc = at_reference(d, i, in, k, finish_other, count, err);
        if (is_let_go(d, i, in, rc, err))
            rc = AZR_OK;
    }
    return rc;
}

/* A home row that never committed and is about to be cleared: the PREPARED rows
 * that look to it go first, as far as they are in reach. They would be right
 * without, as long as this array stands where it is; but it may be moved or
 * removed next, by somebody who finds nothing of them in it. */
static int release_others(azri_domain *d, uint32_t i, uint64_t word,
                          azr_recovery *count)
{
    azri_intent in = {0};
    int rc = azri_intent_read(&in, d, i, word, true, NULL);

    if (rc < 0)
        return AZR_OK; /* it had not said anything yet */
    for (uint32_t k = 0; (in.flags & AZRI_WHAT_HOME) && k < in.others; k++) {
        rc = at_reference(d, i, &in, k, finish_other, count, NULL);
        if (rc == AZR_EBUSY)
            break;
        rc = AZR_OK;
    }
    azri_intent_dispose(&in);
    return rc;
}

/* A row or record that cannot be read for want of memory or descriptors, or for
 * an error of the disk, may be read the next time: that decides nothing. */
static bool is_damage(int rc)
{
    return rc == AZR_ECORRUPT || rc == AZR_ENOTFOUND || rc == AZR_ECONFLICT;
}

static int finish_committed(azri_domain *d, uint32_t i, uint64_t word,
                            azr_recovery *count, azr_error *err)
{
    azri_intent in = {0};
    azr_error why = AZR_ERROR_INIT;
    int rc = azri_intent_read(&in, d, i, word, false, &why);

    if (rc == AZR_OK && (in.flags & AZRI_WHAT_HOME) && AZRI_GUARD(OTHERS)) {
        rc = azri_intent_read(&in, d, i, word, true, &why);
        if (rc == AZR_OK) { /* ours has to stand until theirs are decided */
            rc = finish_others(d, i, &in, count, &why);
            word = in.word; /* told, now */
        } else if (is_damage(rc)) {
            rc = AZR_OK; /* what is wrong with it is told below */
        }
        azri_intent_dispose(&in);
    } else if (is_damage(rc)) {
        rc = AZR_OK; /* the same */
    }
    if (rc < 0)
        azri_error_pass(err, &why);
    return rc < 0 ? rc : finish_one(d, i, word, count, err);
}

static int try_home(azri_domain *d, const azri_ref *home, uint64_t id,
                    azr_recovery *count, azr_error *err);

/*
 * One that has a home. That goes first, and finishes ours with the rest: ours may
 * be the last thing that ties this array to it, and the array be removed next.
 */
static int finish_with_home(azri_domain *d, int fd, uint32_t i, uint64_t word,
                            azr_recovery *count, azr_error *err)
{
    azri_state *s = azri_domain_state(d);
    azri_intent in = {0};
    azri_ref home = {.row = 0};
    bool has_home = azri_intent_read(&in, d, i, word, true, NULL) == AZR_OK &&
                    (in.flags & AZRI_WHAT_HAS_HOME) &&
                    azri_intent_ref(&home, &in, 0, NULL) == AZR_OK;
    int rc = AZR_OK;

    if (has_home) {
        azri_slot_release(s, fd, i);
        rc = try_home(d, &home, azri_word_id(word), count, err);
        if (rc == AZR_OK)
            rc = azri_slot_try(fd, i, err);
    }
    azri_intent_dispose(&in);
    if (rc < 0 || atomic_load(azri_state_word(s, i)) != word)
        return rc; /* it is done, or somebody else is at it */
    return finish_committed(d, i, word, count, err);
}

/* The home row, whose SLOT byte is held, is it committed? SEALED becomes it. */
static int settle_home(azri_domain *h, uint32_t row, uint64_t id, bool *out,
                       azr_error *err)
{
    uint64_t word = atomic_load(azri_state_word(azri_domain_state(h), row));
    azri_intent in = {0};
    int rc;

    *out = false;
    if (azri_word_id(word) != id)
        return AZR_OK;
    *out = azri_word_state(word) == AZRI_COMMITTED;
    if (azri_word_state(word) != AZRI_SEALED)
        return AZR_OK;
    rc = azri_intent_read(&in, h, row, word, false, NULL);
    if (rc < 0)
        return AZR_OK; /* torn by a power loss: never committed */
    rc = unseal(h, row, word, err);
    *out = rc == AZR_OK;
    return rc;
}

/* Can the home do without the others, now? It is cleared, or told. */
static bool needs_none(azri_domain *h, uint32_t row, uint64_t id)
{
    uint64_t word = atomic_load(azri_state_word(azri_domain_state(h), row));
    bool told = false;

    if (!carries(h, row, id))
        return true;
    if (!atomic_load(&h->poisoned)) /* no second sync after one that failed */
        azri_ignore(is_told(&told, h, row, word, NULL));
    return told;
}

/*
 * [F-untold] Who holds an array of a transaction may finish its row by itself if
 * the home needs it no more, or is damaged and says so to whoever opens it. If
 * the home is only busy, he comes again: else
 *
 *   A finishes the home, makes the row of B COMMITTED, and has not noted it yet
 *   C opens B, finishes its row by itself; somebody removes B
 *   A dies: the home names an array that is not there, for ever
 */
static int unless_needed(int rc, azri_domain *h, uint32_t row, uint64_t id,
                         const azr_error *why, azr_error *err)
{
    if (rc == AZR_OK || is_damage(rc) || needs_none(h, row, id) ||
        !AZRI_GUARD(UNTOLD))
        return AZR_OK;
    azri_error_pass(err, why);
    return rc;
}

/* The home row of one that is to be finished, its SLOT byte in hand. */
static int finish_home(azri_domain *h, uint32_t row, uint64_t id,
                       azr_recovery *count, azr_error *err)
{
    uint64_t word = atomic_load(azri_state_word(azri_domain_state(h), row));
    azr_error why = AZR_ERROR_INIT;
    int rc = AZR_OK;

    if (azri_word_id(word) == id && azri_word_state(word) == AZRI_COMMITTED &&
        AZRI_GUARD(OTHERS))
        rc = finish_committed(h, row, word, count, &why);
    return unless_needed(rc, h, row, id, &why, err);
}

/* The same without its SLOT byte. */
static int try_home(azri_domain *d, const azri_ref *home, uint64_t id,
                    azr_recovery *count, azr_error *err)
{
    azri_domain *h = NULL;
    azr_error why = AZR_ERROR_INIT;
    bool committed = false;
    int fd = -1;
    int rc = azri_ref_open(&h, d, home, true, &why);

    if (rc < 0)
        return is_damage(rc) ? AZR_OK
                             : azri_fail_why(err, rc, &why, "%s", why.message);
    if (carries(h, home->row, id)) {
        rc = azri_domain_take_fd(h, &fd, &why);
        if (rc == AZR_OK)
            rc = azri_slot_try(fd, home->row, &why);
        if (rc == AZR_OK) {
            /* after a power loss it may be SEALED again */
            rc = settle_home(h, home->row, id, &committed, &why);
            rc = rc < 0 ? unless_needed(rc, h, home->row, id, &why, err)
                        : finish_home(h, home->row, id, count, err);
            azri_slot_release(azri_domain_state(h), fd, home->row);
        } else {
            rc = unless_needed(rc, h, home->row, id, &why, err);
        }
    }
    if (fd >= 0)
        azri_domain_give_fd(h, fd);
    azri_domain_close(h);
    return rc;
}

/* Ours, where the home could not be finished: by itself. */
static int finish_left(azri_domain *d, uint32_t i, uint64_t id,
                       azr_recovery *count, azr_error *err)
{
    uint64_t word = atomic_load(azri_state_word(azri_domain_state(d), i));

    if (azri_word_id(word) != id || azri_word_state(word) <= AZRI_ACTIVE)
        return AZR_OK;
    return finish_one(d, i, word, count, err);
}

/*
 * Whether a PREPARED row took effect its home row says, to who holds the SLOT
 * byte of that one, taken before its own: then no owner lives who could still
 * commit. Both are tried, and given back if one is busy. A home row that is FREE,
 * or another transaction's, has decided already (home rows are cleared last), and
 * the SLOT byte of a stranger is not waited for.
 */
static int decide_prepared(azri_domain *d, int fd, uint32_t i, uint64_t word,
                           const azri_ref *home, azr_recovery *count,
                           azr_error *err)
{
    const azri_state *s = azri_domain_state(d);
    uint64_t id = azri_word_id(word);
    azri_domain *h = NULL;
    azr_error why = AZR_ERROR_INIT;
    bool committed = false;
    int home_fd = -1;
    int rc = azri_ref_open(&h, d, home, true, &why);

    if (rc == AZR_ECORRUPT && !is_strict(d, i, word)) {
        give_up(d, i, id, count, &why);
        return AZR_OK;
    }
    if (rc < 0 && err && err->code == 0)
        *err = why;
    if (rc < 0)
        return rc;
    if (carries(h, home->row, id)) {
        azri_slot_release(s, fd, i);
        rc = azri_domain_take_fd(h, &home_fd, err);
        if (rc == AZR_OK && AZRI_GUARD(HOME_SLOT))
            rc = azri_slot_try(home_fd, home->row, err); /* [F-home] */
        if (rc == AZR_OK)
            rc = azri_slot_try(fd, i, err);
        if (rc == AZR_OK && atomic_load(azri_state_word(s, i)) != word)
            rc = AZR_EBUSY; /* somebody has finished it in between */
        if (rc == AZR_OK)
            rc = settle_home(h, home->row, id, &committed, err);
    }
    if (!AZRI_GUARD(HOME_NO))
        committed = true;
    if (rc == AZR_OK && committed && home_fd >= 0) {
        azri_slot_release(s, fd, i); /* for who finishes the home */
        rc = finish_home(h, home->row, id, count, err);
        if (rc == AZR_OK)
            rc = azri_slot_try(fd, i, err);
    }
    if (rc == AZR_OK && committed)
        rc = finish_left(d, i, id, count, err);
    else if (rc == AZR_OK)
        rc = roll_back_prepared(d, i, word, count, err);
    if (home_fd >= 0) {
        azri_slot_release(azri_domain_state(h), home_fd, home->row);
        azri_domain_give_fd(h, home_fd);
    }
    azri_domain_close(h);
    return rc;
}

static int finish_prepared(azri_domain *d, int fd, uint32_t i, uint64_t word,
                           azr_recovery *count, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    azri_intent in = {0};
    azri_ref home = {.row = 0};
    int rc = azri_intent_read(&in, d, i, word, false, NULL);

    if (rc < 0) /* torn by a power loss: its home never committed */
        return roll_back(d, i, word, count);
    rc = azri_intent_read(&in, d, i, word, true, &why);
    if (rc == AZR_ENOTFOUND)
        rc = fail_record_gone(i, &why);
    if (rc == AZR_OK)
        rc = azri_intent_ref(&home, &in, 0, &why);
    azri_intent_dispose(&in);
    if (rc == AZR_ECORRUPT && !is_strict(d, i, word)) {
        give_up(d, i, azri_word_id(word), count, &why);
        return AZR_OK;
    }
    if (rc < 0) {
        azri_error_pass(err, &why);
        return rc;
    }
    return decide_prepared(d, fd, i, word, &home, count, err);
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
        rc = release_others(d, i, word, count); /* [F-release] */
        return rc < 0 ? rc : roll_back(d, i, word, count);
    case AZRI_SEALED:
        rc = azri_intent_read(&in, d, i, word, false, NULL);
        if (rc < 0) /* torn by a power loss: never committed */
            return roll_back(d, i, word, count);
        rc = unseal(d, i, word, err);
        if (rc < 0)
            return rc;
        return finish_committed(
            d, i, azri_word(azri_word_id(word), AZRI_COMMITTED), count, err);
    case AZRI_COMMITTED:
        if (!AZRI_GUARD(FINISH))
            return roll_back(d, i, word, count);
        return finish_with_home(d, fd, i, word, count, err);
    case AZRI_PREPARED:
        return finish_prepared(d, fd, i, word, count, err);
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

/* Each id once, and only if no row has it: what is left is rubbish. */
static void keep_rubbish(id_list *l, const azri_state *s)
{
    size_t kept = 0;

    if (l->n > 0)
        qsort(l->ids, l->n, sizeof *l->ids, compare_ids);
    for (size_t i = 0; i < l->n; i++) {
        if (i > 0 && l->ids[i] == l->ids[i - 1])
            continue;
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
        azri_slot_release(s, fd, i);
    }
    if (rc == AZR_OK)
        rc = azri_collect_rubbish(d, out, err);
    if (rc == AZR_OK)
        rc = azri_list(d->dir, ".azr", remove_unborn_state, d, err);
    if (rc == AZR_OK)
        azri_snaps_collect(d, out);
    azri_domain_give_fd(d, fd);
    return rc;
}
