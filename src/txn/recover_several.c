/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finishing what the dead left of transactions over several arrays: the home row
 * says whether they took effect, and is cleared last.
 */
#include "base/log.h"
#include "txn/recover.h"

#include <string.h>

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
            rc = azri_fail_record_gone(row, err);
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
        azri_ignore(azri_row_roll_back(o, row, word, count, NULL));
        return AZR_OK;
    }
    rc = azri_intent_read(&in, o, row, word, false, &why);
    if (rc < 0) /* as if it were met alone */
        return azri_row_finish_torn(o, row, word, rc, &why, count, err);
    rc = check_home(&in, o, row, home, home_row, err);
    if (rc < 0)
        return rc;
    if (azri_word_state(home_word) == AZRI_ACTIVE) /* it never committed */
        return azri_row_roll_back(o, row, word, count, err);
    rc = azri_row_finish_one(o, row, word, count, err);
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
    bool unlocked = true;
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
            unlocked = azri_slot_release(fd, r.row);
        }
        if (fd >= 0)
            azri_domain_put_fd(o, fd, unlocked);
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

    *out = azri_word_is_told(word) && azri_row_is_strict(h, row, word);
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

    if (!azri_row_is_strict(d, i, in->word))
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
        azri_row_is_strict(d, i, in->word))
        return false;
    azri_log(AZR_LOG_WARNING,
             "'%s': transaction %014llx was cut short by a restart, and goes "
             "on without one of its arrays: %s",
             d->path, (unsigned long long)azri_word_id(in->word), why->message);
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

/* A row or record that cannot be read for want of memory or descriptors, or for
 * an error of the disk, may be read the next time: that decides nothing. */
static bool is_damage(int rc)
{
    return rc == AZR_ECORRUPT || rc == AZR_ENOTFOUND || rc == AZR_ECONFLICT;
}

/* A home row that never committed and is about to be cleared: the PREPARED rows
 * that look to it go first, as far as they are there. They would be right
 * without, as long as this array stands where it is; but it may be moved or
 * removed next, by somebody who finds nothing of them in it. So one that cannot be
 * come at now keeps the home row; one that is missing or damaged stops nobody. */
int azri_several_release(azri_domain *d, uint32_t i, uint64_t word,
                         azr_recovery *count, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    azri_intent in = {0};
    int rc = azri_intent_read(&in, d, i, word, true, &why);
    bool is_home = rc == AZR_OK && (in.flags & AZRI_WHAT_HOME);

    for (uint32_t k = 0; is_home && k < in.others; k++) {
        azri_error_reset(&why);
        rc = at_reference(d, i, &in, k, finish_other, count, &why);
        if (rc < 0 && !is_damage(rc))
            break;
    }
    azri_intent_dispose(&in);
    if (rc == AZR_OK || is_damage(rc)) /* or it had not said anything yet */
        return AZR_OK;
    azri_error_pass(err, &why);
    return rc;
}

int azri_several_finish_committed(azri_domain *d, uint32_t i, uint64_t word,
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
    return rc < 0 ? rc : azri_row_finish_one(d, i, word, count, err);
}

static int try_home(azri_domain *d, const azri_ref *home, uint64_t id,
                    azr_recovery *count, azr_error *err);

/*
 * One that has a home. That goes first, and finishes ours with the rest: ours may
 * be the last thing that ties this array to it, and the array be removed next.
 */
int azri_several_finish_homed(azri_domain *d, int fd, uint32_t i, uint64_t word,
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
        (void)azri_slot_release(fd, i);
        rc = try_home(d, &home, azri_word_id(word), count, err);
        if (rc == AZR_OK)
            rc = azri_slot_try(fd, i, err);
    }
    azri_intent_dispose(&in);
    if (rc < 0 || atomic_load(azri_state_word(s, i)) != word)
        return rc; /* it is done, or somebody else is at it */
    return azri_several_finish_committed(d, i, word, count, err);
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
    rc = azri_row_unseal(h, row, word, err);
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
        rc = azri_several_finish_committed(h, row, word, count, &why);
    return unless_needed(rc, h, row, id, &why, err);
}

/* The same without its SLOT byte. */
static int try_home(azri_domain *d, const azri_ref *home, uint64_t id,
                    azr_recovery *count, azr_error *err)
{
    azri_domain *h = NULL;
    azr_error why = AZR_ERROR_INIT;
    bool committed = false, unlocked = true;
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
            unlocked = azri_slot_release(fd, home->row);
        } else {
            rc = unless_needed(rc, h, home->row, id, &why, err);
        }
    }
    if (fd >= 0)
        azri_domain_put_fd(h, fd, unlocked);
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
    return azri_row_finish_one(d, i, word, count, err);
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

    if (rc == AZR_ECORRUPT && !azri_row_is_strict(d, i, word)) {
        azri_row_give_up(d, i, id, count, &why);
        return AZR_OK;
    }
    if (rc < 0) {
        azri_error_pass(err, &why);
        return rc;
    }

    if (carries(h, home->row, id)) {
        (void)azri_slot_release(fd, i);
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
        (void)azri_slot_release(fd, i); /* for who finishes the home */
        rc = finish_home(h, home->row, id, count, err);
        if (rc == AZR_OK)
            rc = azri_slot_try(fd, i, err);
    }
    if (rc == AZR_OK && committed)
        rc = finish_left(d, i, id, count, err);
    else if (rc == AZR_OK)
        rc = azri_row_roll_back(d, i, word, count, err);
    if (home_fd >= 0)
        azri_domain_put_fd(h, home_fd, azri_slot_release(home_fd, home->row));
    azri_domain_close(h);
    return rc;
}

int azri_several_finish_prepared(azri_domain *d, int fd, uint32_t i,
                                 uint64_t word, azr_recovery *count,
                                 azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    azri_intent in = {0};
    azri_ref home = {.row = 0};
    int rc = azri_intent_read(&in, d, i, word, false, NULL);

    if (rc < 0) /* torn by a power loss: its home never committed */
        return azri_row_roll_back(d, i, word, count, err);
    rc = azri_intent_read(&in, d, i, word, true, &why);
    if (rc == AZR_ENOTFOUND)
        rc = azri_fail_record_gone(i, &why);
    if (rc == AZR_OK)
        rc = azri_intent_ref(&home, &in, 0, &why);
    azri_intent_dispose(&in);
    if (rc == AZR_ECORRUPT && !azri_row_is_strict(d, i, word)) {
        azri_row_give_up(d, i, azri_word_id(word), count, &why);
        return AZR_OK;
    }
    if (rc < 0) {
        azri_error_pass(err, &why);
        return rc;
    }
    return decide_prepared(d, fd, i, word, &home, count, err);
}
