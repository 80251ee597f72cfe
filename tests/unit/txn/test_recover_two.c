/* SPDX-License-Identifier: Apache-2.0 */
/* What the dead of a transaction over two arrays leave: a is the home, b the other
 * one; who finds it, in which order, and what is missing. */
#include "world.h"

#include "base/alloc.h"

#define HOME UINT32_C(1)
#define ROW  UINT32_C(3)
#define ID   UINT64_C(0x00112233445566)
#define TOLD (AZRI_COMMITTED | AZRI_TOLD)

static made_row home, ours;
static azr_recovery told;

static int recover(int k)
{
    memset(&told, 0, sizeof told);
    return azri_domain_recover(w.d[k], &told, &err);
}

/* Chunk 5 of a and chunk 6 of b, in these states; AZRI_FREE: that row is not. */
static void make(uint32_t home_state, uint32_t state, bool with_record)
{
    put_chunk(0, 5, "old");
    put_chunk(1, 6, "old");
    row_make(&home, 0, HOME, ID, 5, 5);
    row_make(&ours, 1, ROW, ID, 6, 6);
    if (with_record) {
        row_use_record(&home, 0);
        row_use_record(&ours, 1);
    }
    home.what.flags |= AZRI_WHAT_HOME;
    ours.what.flags |= AZRI_WHAT_HAS_HOME;
    row_refer(&home, 1, ROW, "../b");
    row_refer(&ours, 0, HOME, "../a");
    row_put(&home, 0, home_state);
    row_put(&ours, 1, state);
}

static void assert_both(const char *text)
{
    for (int k = 0; k < 2; k++)
        OK(recover(k));
    for (int k = 0; k < 2; k++) { /* what one did, the other one tidies up */
        OK(recover(k));
        assert_clean(k);
    }
    assert_chunk(0, 5, text);
    assert_chunk(1, 6, text);
}

static uint32_t home_is(void)
{
    return (uint32_t)(word_of(0, HOME) & 0xFF);
}

static uint32_t ours_is(void)
{
    return (uint32_t)(word_of(1, ROW) & 0xFF);
}

/* --------------------------------------------------------------- all is there */

static void test_together(void **state)
{
    static const struct {
        uint32_t home, ours;
        const char *outcome;
    } cases[] = {
        {AZRI_COMMITTED, AZRI_PREPARED, "new"},
        {AZRI_COMMITTED, AZRI_COMMITTED, "new"},
        {TOLD, AZRI_COMMITTED, "new"},
        {AZRI_SEALED, AZRI_PREPARED, "new"},
        {AZRI_ACTIVE, AZRI_PREPARED, "old"},
        {AZRI_ACTIVE, AZRI_ACTIVE, "old"},
        {AZRI_FREE, AZRI_PREPARED, "old"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int first = 0; first < 2; first++) {
            for (int with_record = 0; with_record < 2; with_record++) {
                make(cases[i].home, cases[i].ours, with_record);
                OK(recover(first));
                if (cases[i].home != AZRI_FREE || first == 1)
                    assert_chunk(1, 6, cases[i].outcome);
                assert_both(cases[i].outcome);
            }
        }
    }
    /* a home that was torn never committed */
    for (int first = 0; first < 2; first++) {
        make(AZRI_SEALED, AZRI_PREPARED, false);
        azri_state_row(state_of(0), HOME)->what.crc ^= 1;
        OK(recover(first));
        assert_both("old");
    }
    /* the home's row is another transaction's now */
    make(AZRI_COMMITTED, AZRI_PREPARED, false);
    row_make(&home, 0, HOME, ID + 1, 5, 5);
    row_put(&home, 0, AZRI_COMMITTED);
    OK(recover(1));
    assert_chunk(1, 6, "old");
    assert_clean(1);
}

/* The home has been finished, ours says so by itself. */
static void test_other_alone(void **state)
{
    (void)state;
    make(AZRI_FREE, AZRI_COMMITTED, false);
    OK(recover(1));
    assert_int_equal(told.finished, 1);
    assert_chunk(1, 6, "new");
    assert_clean(1);
    make(AZRI_COMMITTED, AZRI_FREE, false);
    OK(recover(0));
    assert_int_equal(told.finished, 1);
    assert_chunk(0, 5, "new");
}

/* ---------------------------------------------------------- somebody is at it */

static void busy_slots(unsigned skip)
{
    (void)fake_clear();
    fake_fail(ON_LOCK, "try SLOT", skip, 1, EAGAIN);
}

static void test_busy(void **state)
{
    unsigned met = 0;

    (void)state;
    for (unsigned skip = 1; skip < 4; skip++) {
        for (int first = 0; first < 2; first++) {
            make(AZRI_COMMITTED, AZRI_PREPARED, false);
            busy_slots(skip);
            OK(recover(first));
            met += fake_clear();
            assert_both("new");
        }
    }
    assert_int_equal(met, 5); /* the home's recovery tries but three */
    /* the other one's row is held: nothing of the home's is cleared */
    make(AZRI_COMMITTED, AZRI_PREPARED, false);
    busy_slots(1);
    OK(recover(0));
    assert_int_equal(told.busy, 1);
    assert_int_equal(home_is(), AZRI_COMMITTED);
    assert_int_equal(ours_is(), AZRI_PREPARED);
    /* the home is held, and needs ours still */
    busy_slots(1);
    OK(recover(1));
    assert_int_equal(told.busy, 1);
    assert_int_equal(ours_is(), AZRI_PREPARED);
    make(AZRI_COMMITTED, AZRI_COMMITTED, false);
    busy_slots(1);
    OK(recover(1));
    assert_int_equal(told.busy, 1);
    assert_int_equal(ours_is(), AZRI_COMMITTED);
    /* it has been told: ours may go by itself */
    make(TOLD, AZRI_COMMITTED, false);
    busy_slots(1);
    OK(recover(1));
    assert_int_equal(told.finished, 1);
    assert_chunk(1, 6, "new");
    assert_chunk(0, 5, "old");
    (void)fake_clear();
    assert_both("new");
    /* an ACTIVE home whose other is held stays */
    make(AZRI_ACTIVE, AZRI_PREPARED, false);
    busy_slots(1);
    OK(recover(0));
    assert_int_equal(told.busy, 1);
    assert_int_equal(home_is(), AZRI_ACTIVE);
    (void)fake_clear();
    assert_both("old");
}

/* Locks that fail, or descriptors that cannot be had, decide nothing. */
static void test_locks_fail(void **state)
{
    (void)state;
    for (unsigned skip = 1; skip < 3; skip++) {
        for (int first = 0; first < 2; first++) {
            int rc;

            make(AZRI_COMMITTED, AZRI_PREPARED, false);
            (void)fake_clear();
            fake_fail(ON_LOCK, "try SLOT", skip, 1, ENOLCK);
            err = (azr_error)AZR_ERROR_INIT;
            rc = recover(first);
            assert_true(rc == AZR_OK || rc == AZR_EIO);
            assert_true(rc == AZR_OK || err.sub == AZR_SUB_LOCK);
            assert_int_equal(fake_clear(), 1);
            assert_both("new");
        }
    }
    for (unsigned skip = 0; skip < 6; skip++) {
        for (int first = 0; first < 2; first++) {
            int rc;

            make(AZRI_COMMITTED, AZRI_PREPARED, true);
            (void)fake_clear();
            fake_fail(ON_OPENAT, NULL, skip, 1, EMFILE);
            err = (azr_error)AZR_ERROR_INIT;
            rc = recover(first);
            assert_true(rc == AZR_OK || rc == AZR_EIO);
            assert_true(rc == AZR_OK || err.sub == AZR_SUB_OPEN);
            assert_int_equal(fake_clear(), 1);
            assert_both("new");
        }
    }
}

/* ---------------------------------------------------------------- missing ---- */

static void away(int k)
{
    char to[128];

    (void)snprintf(to, sizeof to, "%s/away", w.dir);
    assert_int_equal(rename(w.path[k], to), 0);
}

static void back(int k)
{
    char from[128];

    (void)snprintf(from, sizeof from, "%s/away", w.dir);
    assert_int_equal(rename(from, w.path[k]), 0);
}

static void test_missing(void **state)
{
    (void)state;
    /* a home needs the other one, until that is told */
    make(AZRI_COMMITTED, AZRI_PREPARED, false);
    away(1);
    FAILS(recover(0), AZR_ECORRUPT, AZR_SUB_STATE, "put it back");
    assert_int_equal(home_is(), AZRI_COMMITTED);
    back(1);
    OK(recover(0));
    assert_both("new");
    make(TOLD, AZRI_COMMITTED, false);
    away(1);
    OK(recover(0));
    assert_int_equal(told.finished, 1);
    assert_chunk(0, 5, "new");
    back(1);
    assert_both("new");
    /* a PREPARED row needs its home */
    make(AZRI_COMMITTED, AZRI_PREPARED, false);
    away(0);
    FAILS(recover(1), AZR_ECORRUPT, AZR_SUB_STATE, "that was at '../a'");
    assert_int_equal(ours_is(), AZRI_PREPARED);
    back(0);
    OK(recover(1));
    assert_both("new");
    /* a COMMITTED one does not */
    make(AZRI_COMMITTED, AZRI_COMMITTED, false);
    away(0);
    OK(recover(1));
    assert_int_equal(told.finished, 1);
    assert_chunk(1, 6, "new");
    back(0);
    OK(recover(0));
    assert_both("new");
    /* nor does a PREPARED one after a restart */
    make(AZRI_FREE, AZRI_PREPARED, false);
    row_age(&ours);
    row_put(&ours, 1, AZRI_PREPARED);
    away(0);
    OK(recover(1));
    assert_int_equal(told.lost, 1);
    assert_int_equal(ours_is(), AZRI_FREE);
    assert_chunk(1, 6, "old");
    back(0);
    /* an ACTIVE home lets go of what it can reach */

    make(AZRI_ACTIVE, AZRI_PREPARED, false);
    away(1);
    OK(recover(0));
    assert_int_equal(home_is(), AZRI_FREE);
    back(1);
    OK(recover(1));
    assert_both("old");
}

/* Another array stands there, or the row is not one. */
static void test_replaced(void **state)
{
    (void)state;
    make(AZRI_COMMITTED, AZRI_PREPARED, false);
    home.what.entries[24 + offsetof(azri_ref_head, array_id)] ^= 1;
    row_put(&home, 0, AZRI_COMMITTED);
    FAILS(recover(0), AZR_ECORRUPT, AZR_SUB_STATE, "put it back");
    make(AZRI_COMMITTED, AZRI_PREPARED, false);
    row_make(&home, 0, HOME, ID, 5, 5);
    home.what.flags |= AZRI_WHAT_HOME;
    row_refer(&home, 1, AZRI_WORDS - 1, "../b");
    row_put(&home, 0, AZRI_COMMITTED);
    FAILS(recover(0), AZR_ECORRUPT, AZR_SUB_STATE, "put it back");
    row_make(&home, 0, HOME, ID, 5, 5);
    home.what.flags |= AZRI_WHAT_HOME;
    row_refer(&home, 1, ROW, "/b");
    row_put(&home, 0, AZRI_COMMITTED);
    FAILS(recover(0), AZR_ECORRUPT, AZR_SUB_RECORD, "not a relative path");
}

/* A row that carries the id of a home that it does not name. */
static void test_strangers(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        uint32_t ours_state = i < 3 ? AZRI_PREPARED : AZRI_COMMITTED;

        make(AZRI_COMMITTED, ours_state, false);
        ours.what.home_row += i % 3 == 0;
        ours.what.home_id[0] ^= (uint8_t)(i % 3 == 1);
        if (i % 3 == 2) /* of one array */
            row_make(&ours, 1, ROW, ID, 6, 6);
        row_put(&ours, 1, ours_state);
        FAILS(recover(0), AZR_ECORRUPT, AZR_SUB_RECORD,
              "does not name it as its home");
        /* what is COMMITTED has been told, and need not be asked again */
        assert_int_equal(home_is(), i < 3 ? AZRI_COMMITTED : TOLD);
        assert_int_equal(ours_is(), ours_state);
    }
    /* by itself it has no home at all */
    OK(recover(1));
    assert_int_equal(told.finished, 1);
    row_put(&ours, 1, AZRI_PREPARED);
    FAILS(recover(1), AZR_ECORRUPT, AZR_SUB_RECORD, "other array 0");
}

/* ---------------------------------------------------------------- records ---- */

static void test_records_gone(void **state)
{
    (void)state;
    /* while a row is PREPARED its record has to be there */
    for (int first = 0; first < 2; first++) {
        make(AZRI_COMMITTED, AZRI_PREPARED, true);
        remove_record(1, ROW, ID);
        FAILS(recover(first), AZR_ECORRUPT, AZR_SUB_RECORD,
              "is prepared, but its record is gone");
        assert_int_equal(home_is(), AZRI_COMMITTED);
        assert_int_equal(ours_is(), AZRI_PREPARED);
    }
    /* after a restart it is given up */
    make(AZRI_COMMITTED, AZRI_PREPARED, true);
    row_age(&ours);
    row_put(&ours, 1, AZRI_PREPARED);
    remove_record(1, ROW, ID);
    OK(recover(1));
    assert_int_equal(told.lost, 1);
    assert_int_equal(ours_is(), AZRI_FREE);
    make(AZRI_COMMITTED, AZRI_PREPARED, true);
    row_age(&home);
    row_age(&ours);
    row_put(&home, 0, AZRI_COMMITTED);
    row_put(&ours, 1, AZRI_PREPARED);
    remove_record(1, ROW, ID);
    OK(recover(0));
    assert_int_equal(told.lost, 1);
    /* torn, the same */
    make(AZRI_COMMITTED, AZRI_PREPARED, false);
    row_age(&home);
    row_age(&ours);
    row_put(&home, 0, AZRI_COMMITTED);
    row_put(&ours, 1, AZRI_PREPARED);
    azri_state_row(state_of(1), ROW)->what.crc ^= 1;
    OK(recover(0));
    assert_int_equal(told.lost, 1);
    /* not after one, it is damage */
    make(AZRI_COMMITTED, AZRI_PREPARED, false);
    azri_state_row(state_of(1), ROW)->what.crc ^= 1;
    FAILS(recover(0), AZR_ECORRUPT, AZR_SUB_STATE, "does not match");
    /* the home's own record is gone: it was finished, the others before it */
    make(AZRI_COMMITTED, AZRI_FREE, true);
    remove_record(0, HOME, ID);
    OK(recover(0));
    assert_int_equal(told.finished, 1);
    assert_int_equal(home_is(), AZRI_FREE);
}

/* ------------------------------------------------------------ what is fixed -- */

/* The descriptor that recovery opens of the other array may be of one that this
 * process may only read. */
static void test_read_only(void **state)
{
    (void)state;
    make(AZRI_COMMITTED, AZRI_PREPARED, false);
    fake_fail(ON_OPENAT, "state", 0, 1, EACCES);
    FAILS(recover(0), AZR_EPERM, AZR_SUB_NONE,
          "it and another array has to be finished");
    assert_int_equal(home_is(), AZRI_COMMITTED);
    fake_fail(ON_OPENAT, "../b", 0, 1, EACCES);
    FAILS(recover(0), AZR_EPERM, AZR_SUB_OPEN, "../b");
    OK(recover(0));
    assert_both("new");
}

/* An array that may only not be come at now keeps a home that never committed: it is
 * all that an array which is removed next would have to say of the other. */
static void test_kept(void **state)
{
    static const struct {
        const char *what;
        int why, rc;
    } cases[] = {
        {"../b", EACCES, AZR_EPERM},
        {"../b", EIO, AZR_EIO},
        {".azr", EMFILE, AZR_EIO},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        make(AZRI_ACTIVE, AZRI_PREPARED, false);
        fake_fail(ON_OPENAT, cases[i].what, 0, 1, cases[i].why);
        FAILS(recover(0), cases[i].rc, AZR_SUB_OPEN, cases[i].what);
        assert_int_equal(fake_clear(), 1);
        assert_int_equal(home_is(), AZRI_ACTIVE);
        assert_int_equal(ours_is(), AZRI_PREPARED);
        OK(recover(0));
        assert_int_equal(ours_is(), AZRI_FREE);
        assert_both("old");
    }
    /* what the home row says of them cannot be read now */
    make(AZRI_ACTIVE, AZRI_PREPARED, true);
    fake_fail(ON_OPENAT, NULL, 0, 1, EMFILE);
    FAILS(recover(0), AZR_EIO, AZR_SUB_OPEN, "");
    assert_int_equal(fake_clear(), 1);
    assert_int_equal(home_is(), AZRI_ACTIVE);
    assert_both("old");
    /* … nor will it be later: that stops nobody */
    make(AZRI_ACTIVE, AZRI_PREPARED, false);
    azri_state_row(state_of(0), HOME)->what.crc ^= 1;
    OK(recover(0));
    assert_int_equal(home_is(), AZRI_FREE);
    assert_int_equal(ours_is(), AZRI_PREPARED);
    assert_both("old");
}

static void test_linked(void **state)
{
    (void)state;
    make(AZRI_COMMITTED, AZRI_PREPARED, false);
    assert_int_equal(link(below(1, ".azr/state"), below(1, "copy")), 0);
    FAILS(recover(0), AZR_EUNSUPPORTED, AZR_SUB_STATE, "has 2 links");
    assert_int_equal(unlink(below(1, "copy")), 0);
    OK(recover(0));
    assert_both("new");
}

static int busy_upkeep(void *arg, azri_domain *d, bool owner, azr_error *e)
{
    (void)arg;
    (void)d;
    (void)owner;
    (void)e;
    return AZR_EBUSY;
}

/* The other one's documents above cannot be renewed: its row is left ACTIVE, and the
 * home does not wait for that. */
static void test_left_above(void **state)
{
    (void)state;
    azri_domain_set_upkeep(w.d[0], busy_upkeep, NULL);
    make(AZRI_COMMITTED, AZRI_PREPARED, false);
    ours.what.flags |= AZRI_WHAT_ABOVE;
    row_put(&ours, 1, AZRI_PREPARED);
    OK(recover(0));
    assert_int_equal(told.finished, 1);
    assert_int_equal(home_is(), AZRI_FREE);
    assert_int_equal(ours_is(), AZRI_ACTIVE);
    assert_chunk(0, 5, "new");
    assert_chunk(1, 6, "new");
    /* an ACTIVE row that asks for it, the same */
    make(AZRI_COMMITTED, AZRI_ACTIVE, false);
    ours.what.flags |= AZRI_WHAT_ABOVE;
    row_put(&ours, 1, AZRI_ACTIVE);
    OK(recover(0));
    assert_int_equal(home_is(), AZRI_FREE);
    assert_int_equal(ours_is(), AZRI_ACTIVE);
    assert_chunk(1, 6, "old"); /* what else there is to do is done */
}

/* ------------------------------------------------- what moves in between ----- */

static void free_ours(void)
{
    atomic_store(azri_state_word(state_of(1), ROW), azri_word(ID, AZRI_FREE));
}

/* Somebody finishes ours while we let go of its lock to get the home's first. */
static void test_finished_in_between(void **state)
{
    (void)state;
    make(AZRI_COMMITTED, AZRI_PREPARED, false);
    fake_before(ON_LOCK, "try SLOT", 2, free_ours);
    OK(recover(1));
    assert_int_equal(fake_clear(), 1);
    assert_int_equal(told.busy, 1);
    make(AZRI_COMMITTED, AZRI_COMMITTED, false);
    fake_before(ON_LOCK, "try SLOT", 1, free_ours);
    OK(recover(1));
    assert_int_equal(fake_clear(), 1);
    assert_int_equal(ours_is(), AZRI_FREE);
    assert_chunk(1, 6, "old");                  /* not by us */
    make(AZRI_COMMITTED, AZRI_PREPARED, false); /* as the home is finished */
    fake_before(ON_LOCK, "try SLOT", 2, free_ours);
    OK(recover(0));
    assert_int_equal(fake_clear(), 1);
    assert_int_equal(told.finished, 1);
    assert_int_equal(home_is(), AZRI_FREE);
    assert_chunk(1, 6, "old");
}

static void free_home(void)
{
    atomic_store(azri_state_word(state_of(0), HOME), azri_word(ID, AZRI_FREE));
}

/* Somebody else has got the lock of ours, and is at it. */
static void test_held_in_between(void **state)
{
    (void)state;
    make(AZRI_COMMITTED, AZRI_COMMITTED, false);
    fake_before(ON_LOCK, "try SLOT", 1, free_home);
    fake_fail(ON_LOCK, "try SLOT", 2, 1, EAGAIN);
    OK(recover(1));
    assert_int_equal(fake_clear(), 2);
    assert_int_equal(told.finished, 0);
    assert_int_equal(ours_is(), AZRI_COMMITTED);
    assert_chunk(1, 6, "old");
}

/* The next transaction has taken the row. */
static void take_ours(void)
{
    atomic_store(azri_state_word(state_of(1), ROW),
                 azri_word(ID + 1, AZRI_ACTIVE));
}

static void take_home(void)
{
    atomic_store(azri_state_word(state_of(0), HOME),
                 azri_word(ID + 1, AZRI_ACTIVE));
}

static void test_taken_in_between(void **state)
{
    (void)state;
    make(AZRI_COMMITTED, AZRI_PREPARED, false);
    fake_before(ON_LOCK, "try SLOT", 2, take_ours);
    OK(recover(0));
    assert_int_equal(fake_clear(), 1);
    assert_int_equal(home_is(), AZRI_FREE);
    assert_int_equal(azri_word_id(word_of(1, ROW)), ID + 1);
    /* the home's row is another's: whatever was committed is long done */
    make(AZRI_COMMITTED, AZRI_PREPARED, false);
    fake_before(ON_LOCK, "try SLOT", 1, take_home);
    OK(recover(1));
    assert_int_equal(fake_clear(), 1);
    assert_int_equal(told.cleared, 1);
    assert_chunk(1, 6, "old");
    make(AZRI_COMMITTED, AZRI_COMMITTED, false);
    fake_before(ON_LOCK, "try SLOT", 1, take_home);
    OK(recover(1));
    assert_int_equal(fake_clear(), 1);
    assert_int_equal(told.finished, 1);
    assert_chunk(0, 5, "old"); /* the home is nobody's of ours any more */
    assert_chunk(1, 6, "new");
    /* busy, and done a moment later: ours may go by itself */
    make(AZRI_COMMITTED, AZRI_COMMITTED, false);
    fake_before(ON_LOCK, "try SLOT", 1, free_home);
    fake_fail(ON_LOCK, "try SLOT", 1, 1, EAGAIN);
    OK(recover(1));
    assert_int_equal(fake_clear(), 2);
    assert_int_equal(told.finished, 1);
    assert_chunk(0, 5, "old");
    assert_chunk(1, 6, "new");
    make(AZRI_COMMITTED, AZRI_PREPARED, false); /* ours, after all of it */
    fake_before(ON_LOCK, "try SLOT", 5, take_ours);
    OK(recover(1));
    assert_int_equal(azri_word_id(word_of(1, ROW)), ID + 1);
    assert_chunk(1, 6, "new");
}

/* Told before a restart: the words of the others may have been lost. */
static void test_told_before(void **state)
{
    (void)state;
    make(TOLD, AZRI_PREPARED, false);
    row_age(&home);
    row_put(&home, 0, TOLD);
    OK(recover(0));
    assert_both("new");
    make(TOLD, AZRI_COMMITTED, false);
    row_age(&home);
    row_put(&home, 0, TOLD);
    busy_slots(1);
    OK(recover(1));
    assert_int_equal(told.busy, 1);
    assert_int_equal(ours_is(), AZRI_COMMITTED);
    (void)fake_clear();
    assert_both("new");
    /* told, and yet PREPARED without a record: nobody wrote that */
    make(TOLD, AZRI_PREPARED, true);
    remove_record(1, ROW, ID);
    OK(recover(0));
    assert_int_equal(told.finished, 1);
    assert_int_equal(ours_is(), AZRI_PREPARED);
    FAILS(recover(1), AZR_ECORRUPT, AZR_SUB_RECORD,
          "is prepared, but its record is gone");
}

/* A home that says less than ours, or cannot be asked. */
static void test_home_says_less(void **state)
{
    (void)state;
    /* a power loss took its word back: since ours says so it is committed */
    make(AZRI_SEALED, AZRI_COMMITTED, false);
    OK(recover(1));
    assert_int_equal(told.finished, 2);
    assert_both("new");
    make(AZRI_COMMITTED, AZRI_COMMITTED, false);
    fake_fail(ON_OPENAT, "../a", 0, 1, EACCES);
    FAILS(recover(1), AZR_EPERM, AZR_SUB_OPEN, "../a");
    fake_fail(ON_OPENAT, ".azr/state", 1, 1, EMFILE);
    FAILS(recover(1), AZR_EIO, AZR_SUB_OPEN, ".azr/state");
    assert_int_equal(ours_is(), AZRI_COMMITTED);
    (void)fake_clear();
    assert_both("new");
    /* ours names no home that there can be */
    make(AZRI_FREE, AZRI_COMMITTED, false);
    row_make(&ours, 1, ROW, ID, 6, 6);
    ours.what.flags |= AZRI_WHAT_HAS_HOME;
    row_refer(&ours, 0, HOME, "/a");
    row_put(&ours, 1, AZRI_COMMITTED);
    OK(recover(1));
    assert_int_equal(told.finished, 1);
    assert_chunk(1, 6, "new");
}

/* `power`: the parts of ours are the next one's: it was over; or nobody's. */
static void test_power(void **state)
{
    (void)state;
    for (uint32_t s = AZRI_PREPARED; s <= AZRI_COMMITTED; s += 2) {
        make(AZRI_COMMITTED, s, false);
        ours.who.id++;
        ours.what.id++;
        row_put(&ours, 1, s);
        if (s == AZRI_PREPARED) { /* not yet told: it cannot be over */
            FAILS(recover(0), AZR_ECORRUPT, AZR_SUB_STATE, "does not match");
            continue;
        }
        OK(recover(0));
        assert_int_equal(home_is(), AZRI_FREE);
        assert_int_equal(ours_is(), AZRI_FREE);
        assert_chunk(0, 5, "new");
    }
    make(AZRI_COMMITTED, AZRI_COMMITTED, false);
    azri_state_row(state_of(1), ROW)->what.crc ^= 1;
    FAILS(recover(0), AZR_ECORRUPT, AZR_SUB_STATE, "does not match");
    make(AZRI_COMMITTED, AZRI_SEALED, false); /* a state that it cannot be in */
    azri_state_row(state_of(1), ROW)->what.crc ^= 1;
    FAILS(recover(0), AZR_ECORRUPT, AZR_SUB_STATE, "does not match");
    /* its home never committed, and lets go of it */
    make(AZRI_ACTIVE, AZRI_PREPARED, false);
    ours.who.id++;
    ours.what.id++;
    row_put(&ours, 1, AZRI_PREPARED);
    OK(recover(0));
    assert_int_equal(home_is(), AZRI_FREE);
    assert_int_equal(ours_is(), AZRI_FREE);
    assert_chunk(1, 6, "old");
}

/* A sync that failed is not asked again: the second answer would be a lie. */
static void test_sync_fails_once(void **state)
{
    (void)state;
    make(AZRI_COMMITTED, AZRI_COMMITTED, false);
    fake_fail(ON_FDATASYNC, "a/.azr/state", 0, 1, EIO);
    FAILS(recover(1), AZR_EIO, AZR_SUB_SYNC, "state");
    assert_int_equal(fake_clear(), 1);
    assert_int_equal(ours_is(), AZRI_COMMITTED);
    assert_chunk(1, 6, "old");
}

static void fail_sync_of(const char *part)
{
    (void)fake_clear();
    fake_fail(ON_FDATASYNC, part, 0, 1, EIO);
}

/* Nothing is built on a word that may not outlive a power loss. */
static void test_syncs_fail(void **state)
{
    (void)state;
    make(AZRI_COMMITTED, AZRI_PREPARED, false);
    fail_sync_of("b/.azr/state");
    FAILS(recover(0), AZR_EIO, AZR_SUB_SYNC, "state");
    assert_int_equal(home_is(), AZRI_COMMITTED); /* not told */
    assert_int_equal(ours_is(), AZRI_COMMITTED);
    assert_false(atomic_load(&w.d[0]->poisoned));
    make(AZRI_COMMITTED, AZRI_PREPARED, false);
    fail_sync_of("a/.azr/state"); /* that it was told */
    FAILS(recover(0), AZR_EIO, AZR_SUB_SYNC, "state");
    assert_int_equal(home_is(), TOLD);
    assert_true(atomic_load(&w.d[0]->poisoned));
    assert_chunk(0, 5, "old");
    assert_chunk(1, 6, "old");
    make(TOLD, AZRI_COMMITTED, false); /* the same, of who died meanwhile */
    fail_sync_of("a/.azr/state");
    FAILS(recover(0), AZR_EIO, AZR_SUB_SYNC, "state");
    assert_int_equal(home_is(), TOLD);
    assert_int_equal(ours_is(), AZRI_COMMITTED);
    for (uint32_t s = AZRI_PREPARED; s <= AZRI_COMMITTED; s += 2) {
        make(AZRI_SEALED, s, false); /* that it is committed, after all */

        fail_sync_of("a/.azr/state");
        FAILS(recover(1), AZR_EIO, AZR_SUB_SYNC, "state");
        assert_int_equal(home_is(), AZRI_SEALED);
        assert_int_equal(ours_is(), s);
        assert_chunk(1, 6, "old");
    }
    /* that ours is nobody's any more; the home, which never committed, goes later */
    make(AZRI_ACTIVE, AZRI_PREPARED, false);
    fail_sync_of("b/.azr/state");
    FAILS(recover(0), AZR_EIO, AZR_SUB_SYNC, "state");
    assert_int_equal(home_is(), AZRI_ACTIVE);
    assert_int_equal(ours_is(), AZRI_FREE);
    make(AZRI_ACTIVE, AZRI_PREPARED, false);
    fail_sync_of("b/.azr/state");
    FAILS(recover(1), AZR_EIO, AZR_SUB_SYNC, "state");
    assert_true(atomic_load(&w.d[1]->poisoned));
    assert_int_equal(ours_is(), AZRI_FREE);
    /* … nor what its owner was taking back: the disk may have had it PREPARED */
    make(AZRI_ACTIVE, AZRI_ACTIVE, false);
    fail_sync_of("b/.azr/state");
    FAILS(recover(1), AZR_EIO, AZR_SUB_SYNC, "state");
    assert_int_equal(fake_clear(), 1);
    assert_true(atomic_load(&w.d[1]->poisoned));
    assert_int_equal(ours_is(), AZRI_FREE);
    assert_both("old");
}

/* `process` asks for none. */
static void test_no_sync(void **state)
{
    (void)state;
    for (uint32_t h = AZRI_ACTIVE; h <= AZRI_COMMITTED; h += 3) {
        for (int first = 0; first < 2; first++) {
            make(h, AZRI_PREPARED, true);
            fake_fail(ON_FDATASYNC, NULL, 0, 1, EIO);
            fake_fail(ON_FSYNC, NULL, 0, 1, EIO);
            OK(recover(first));
            assert_int_equal(fake_clear(), 0);
            assert_both(h == AZRI_COMMITTED ? "new" : "old");
        }
    }
}

/* Of two others the first one is not there: the second one is not told either. */
static void test_three(void **state)
{
    (void)state;
    make(AZRI_COMMITTED, AZRI_PREPARED, false);
    row_make(&home, 0, HOME, ID, 5, 5);
    home.what.flags |= AZRI_WHAT_HOME;
    row_refer(&home, 1, 0, "../nowhere");
    row_refer(&home, 1, ROW, "../b");
    row_put(&home, 0, AZRI_COMMITTED);
    FAILS(recover(0), AZR_ECORRUPT, AZR_SUB_STATE, "at '../nowhere'");
    assert_int_equal(home_is(), AZRI_COMMITTED);
    assert_int_equal(ours_is(), AZRI_PREPARED);
}

/* A home whose record is damaged is told to who opens it; ours goes by itself. */
static void test_home_is_damaged(void **state)
{
    (void)state;
    for (uint32_t s = AZRI_PREPARED; s <= AZRI_COMMITTED; s += 2) {
        make(AZRI_COMMITTED, s, true);
        put_file(below(0, record_path(HOME, ID)), "short", 5);
        OK(recover(1));
        assert_int_equal(told.finished, 1);
        assert_chunk(1, 6, "new");
        assert_int_equal(home_is(), AZRI_COMMITTED);
        FAILS(recover(0), AZR_ECORRUPT, AZR_SUB_RECORD, "too short");
        assert_chunk(0, 5, "old");
    }
}

/* Who looks at ours waits while the home is somebody else's. */
static void test_look(void **state)
{
    uint64_t six = 6;
    azri_txn *t = NULL;

    (void)state;
    make(AZRI_COMMITTED, AZRI_PREPARED, false);
    OK(azri_txn_begin(&t, w.d[1], &no_time, &err));
    OK(azri_txn_lock_meta(t, false, &err));
    OK(azri_txn_want_chunks(t, 1, coords_from, &six, true, &err));
    OK(azri_txn_lock_chunks(t, &err));
    fake_fail(ON_LOCK, "try SLOT", 1, 1, EAGAIN);
    FAILS(azri_txn_look(t, false, &err), AZR_EBUSY, AZR_SUB_NONE,
          "row 3 is being finished");
    assert_int_equal(ours_is(), AZRI_PREPARED);
    OK(azri_txn_look(t, false, &err));
    azri_txn_end(t);
    assert_chunk(1, 6, "new");
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_begin_two, world_end)
#define TP(f)                                                                  \
    cmocka_unit_test_setup_teardown(f, world_begin_two_power, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_together),
        T(test_other_alone),
        T(test_busy),
        T(test_locks_fail),
        T(test_missing),
        T(test_replaced),
        T(test_strangers),
        T(test_records_gone),
        T(test_read_only),
        T(test_kept),
        T(test_linked),
        T(test_left_above),
        T(test_finished_in_between),
        T(test_held_in_between),
        T(test_taken_in_between),
        T(test_told_before),
        T(test_home_says_less),
        TP(test_power),
        TP(test_sync_fails_once),
        TP(test_syncs_fail),
        T(test_no_sync),
        T(test_three),
        T(test_home_is_damaged),
        T(test_look),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
