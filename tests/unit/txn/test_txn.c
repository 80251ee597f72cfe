/* SPDX-License-Identifier: Apache-2.0 */
/* A row, its locks, the look, the end: with others in the way, with time that ends,
 * and with locks that fail. */
#include "world.h"

#include "base/alloc.h"

#define ID UINT64_C(0x00778899aabbcc)

static azri_txn *t;
static int beside; /* a descriptor of somebody else's locks */

static int setup(void **state)
{
    int rc = world_begin(state);

    t = NULL;
    beside = open(below(0, ".azr/state"), O_RDWR | O_CLOEXEC);
    return rc < 0 || beside < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)fake_clear();
    azr_set_memory_cap(0);
    azri_txn_end(t);
    t = NULL;
    return close(beside) == 0 ? world_end(state) : -1;
}

static void hold(uint64_t first, uint64_t last, bool exclusive)
{
    azri_range r = {first, last, exclusive};

    OK(azri_ofd_try(beside, &r, &err));
}

static void let_go(void)
{
    OK(azri_ofd_unlock(beside, AZRI_LOCK_BASE, AZRI_LOCK_LAST, &err));
}

static int begin_with(const azri_patience *p)
{
    azri_txn_end(t);
    t = NULL;
    return azri_txn_begin(&t, w.d[0], p, &err);
}

static void begin(void)
{
    OK(begin_with(&w.patience));
}

static void backwards(const void *arg, uint64_t i, uint64_t *out)
{
    (void)arg;
    out[0] = 7 - 2 * i;
}

/* Chunks 1, 3, 5 and 7: four ranges. */
static void want_odd(bool exclusive)
{
    OK(azri_txn_lock_meta(t, false, &err));
    OK(azri_txn_want_chunks(t, 4, coords_odd, NULL, exclusive, &err));
}

/* --------------------------------------------------------------------- row --- */

static void test_rows(void **state)
{
    azri_txn *u = NULL;
    made_row dead;

    (void)state;
    begin();
    assert_int_equal(t->row, 0);
    assert_true(azri_txn_is_owner(t));
    assert_ptr_equal(azri_txn_domain(t), w.d[0]);
    assert_true(azri_txn_patience(t)->deadline_ns == INT64_MAX);
    /* a row that is free, and whose lock somebody has */
    hold(AZRI_LOCK_SLOT + 1, AZRI_LOCK_SLOT + 1, true);
    OK(azri_txn_begin(&u, w.d[0], &w.patience, &err));
    assert_int_equal(u->row, 2);
    azri_txn_end(u);
    let_go();
    /* all are taken, one of them by the dead */
    for (uint32_t i = 1; i < AZRI_ROWS_AT_FIRST; i++)
        atomic_store(azri_state_word(state_of(0), i),
                     azri_word(i, AZRI_ACTIVE));
    hold(AZRI_LOCK_SLOT + 1, AZRI_LOCK_SLOT + 4, true);
    hold(AZRI_LOCK_SLOT + 6, AZRI_LOCK_SLOT + 7, true);
    OK(azri_txn_begin(&u, w.d[0], &w.patience, &err));
    assert_int_equal(u->row, 5);
    azri_txn_end(u);
    /* … whose work cannot be finished */
    row_make(&dead, 0, 5, ID, 2, 2);
    row_put(&dead, 0, AZRI_COMMITTED + 1);
    u = NULL;
    FAILS(azri_txn_begin(&u, w.d[0], &w.patience, &err), AZR_EUNSUPPORTED,
          AZR_SUB_LAYOUT, "state 5");
    assert_null(u);
    hold(AZRI_LOCK_SLOT + 5, AZRI_LOCK_SLOT + 5, true);
    OK(azri_txn_begin(&u, w.d[0], &w.patience, &err));
    assert_in_range(u->row, 8, 15); /* the table has grown */
    azri_txn_end(u);
    fake_fail(ON_LOCK, "try SLOT", 0, 1, ENOLCK);
    FAILS(azri_txn_begin(&u, w.d[0], &w.patience, &err), AZR_EIO, AZR_SUB_LOCK,
          "lock");
}

/* Between a look at the word and its lock it is taken. */
static void take_it(void)
{
    atomic_store(azri_state_word(state_of(0), 0), azri_word(ID, AZRI_ACTIVE));
}

static void test_row_is_taken(void **state)
{
    (void)state;
    fake_before(ON_LOCK, "try SLOT", 0, take_it);
    begin();
    assert_int_equal(t->row, 1);
}

static void test_begin_fails(void **state)
{
    (void)state;
    azri_txn_end(NULL);
    azr_set_memory_cap(1);
    FAILS(begin_with(&w.patience), AZR_ENOMEM, AZR_SUB_NONE, "memory");
    azr_set_memory_cap(0);
    fake_fail(ON_GETRANDOM, NULL, 0, 1, ENOSYS);
    FAILS(begin_with(&w.patience), AZR_EIO, AZR_SUB_CALL, "getrandom");
    no_idle_descriptors(w.d[0]);
    fake_fail(ON_OPENAT, "state", 0, 1, EMFILE);
    FAILS(begin_with(&w.patience), AZR_EIO, AZR_SUB_OPEN, "state");
    for (uint32_t i = 0; i < AZRI_ROWS_AT_FIRST; i++)
        atomic_store(azri_state_word(state_of(0), i),
                     azri_word(i, AZRI_ACTIVE));
    hold(AZRI_LOCK_SLOT, AZRI_LOCK_SLOT + 7, true);
    hold(AZRI_LOCK_META, AZRI_LOCK_META, false);
    FAILS(begin_with(&no_time), AZR_EBUSY, AZR_SUB_NONE, "every row");
}

/* ------------------------------------------------------------------- locks --- */

static void say(uint32_t row, uint32_t flags, uint64_t first, uint64_t last)
{
    azri_wait_slot *slot = &azri_state_row(state_of(0), row)->wait;
    made_row r;

    row_make(&r, 0, row, ID + row, 2, 2);
    row_put(&r, 0, AZRI_ACTIVE);
    atomic_store(&slot->holds_flags, flags);
    atomic_store(&slot->holds_first, first);
    atomic_store(&slot->holds_last, last);
}

static int meta_in_vain(bool exclusive)
{
    OK(begin_with(&no_time));
    return azri_txn_lock_meta(t, exclusive, &err);
}

/* Who stands in the way is told, as far as the rows say so. */
static void test_who_holds_it(void **state)
{
    (void)state;
    hold(AZRI_LOCK_META, AZRI_LOCK_META, true);
    FAILS(meta_in_vain(true), AZR_EBUSY, AZR_SUB_NONE,
          "time-out; META held by somebody");
    say(3, AZRI_HOLDS_DOC, 0, 0);
    FAILS(meta_in_vain(true), AZR_EBUSY, AZR_SUB_NONE, "by somebody");
    say(3, AZRI_HOLDS_META, 0, 0);
    FAILS(meta_in_vain(true), AZR_EBUSY, AZR_SUB_NONE, "pid 999999");
    FAILS(meta_in_vain(false), AZR_EBUSY, AZR_SUB_NONE, "by somebody");
    say(3, AZRI_HOLDS_META | AZRI_HOLDS_META_EXCLUSIVE, 0, 0);
    FAILS(meta_in_vain(false), AZR_EBUSY, AZR_SUB_NONE, "pid 999999");
    let_go();
    hold(AZRI_LOCK_DOC, AZRI_LOCK_DOC, true);
    for (int exclusive = 0; exclusive < 2; exclusive++) {
        for (uint32_t flags = 0; flags < 3; flags++) {
            static const uint32_t says[] = {AZRI_HOLDS_META, AZRI_HOLDS_DOC,
                                            AZRI_HOLDS_DOC |
                                                AZRI_HOLDS_DOC_EXCLUSIVE};
            bool told = flags == 2 || (flags == 1 && exclusive);

            say(3, says[flags], 0, 0);
            OK(begin_with(&no_time));
            OK(azri_txn_lock_meta(t, false, &err));
            FAILS(azri_txn_lock_doc(t, exclusive, &err), AZR_EBUSY,
                  AZR_SUB_NONE,
                  told ? "DOC held by pid 999999" : "DOC held by somebody");
        }
    }
    let_go();
    hold(offset_of(3), offset_of(3), true);
    for (int i = 0; i < 5; i++) {
        static const char *const who[] = {"by somebody", "by somebody",
                                          "pid 999999", "pid 999999",
                                          "by somebody"};

        say(3, AZRI_HOLDS_META, i == 1 ? offset_of(4) : offset_of(2),
            i == 0 ? 0 : offset_of(4) | (i == 3 ? AZRI_WAIT_EXCLUSIVE : 0));
        OK(begin_with(&no_time));
        want_odd(i < 3);
        FAILS(azri_txn_lock_chunks(t, &err), AZR_EBUSY, AZR_SUB_NONE, who[i]);
    }
    say(3, AZRI_HOLDS_META, offset_of(1), offset_of(2) | AZRI_WAIT_EXCLUSIVE);
    OK(begin_with(&no_time)); /* what stands before it */
    want_odd(true);
    FAILS(azri_txn_lock_chunks(t, &err), AZR_EBUSY, AZR_SUB_NONE,
          "by somebody");
    assert_int_equal(meta_in_vain(false), AZR_OK);

    azri_txn_end(t);
    t = NULL;
    hold(AZRI_LOCK_META, AZRI_LOCK_META, true);
    OK(begin_with(&no_time)); /* nobody listens */
    assert_int_equal(azri_txn_lock_meta(t, true, NULL), AZR_EBUSY);
}

static void test_canceled(void **state)
{
    azri_patience p = {INT64_MAX, canceled()};

    (void)state;
    hold(AZRI_LOCK_META, AZRI_LOCK_META, true);
    OK(begin_with(&p));
    FAILS(azri_txn_lock_meta(t, false, &err), AZR_ECANCELED, AZR_SUB_NONE,
          "canceled while waiting for META");
    let_go();
    hold(offset_of(5), offset_of(5), true);
    OK(begin_with(&p));
    want_odd(true);
    FAILS(azri_txn_lock_chunks(t, &err), AZR_ECANCELED, AZR_SUB_NONE,
          "canceled while waiting for chunks");
    azri_txn_end(t);
    t = NULL;
    azr_cancel_free((azr_cancel *)(uintptr_t)p.cancel);
}

static bool is_held(uint64_t chunk)
{
    azri_range r = {offset_of(chunk), offset_of(chunk), false};

    return azri_ofd_busy(beside, &r);
}

/* One of several is refused: none is held while it is waited for. */
static void none_is_held(void)
{
    for (uint64_t c = 1; c < 9; c++)
        assert_false(is_held(c));
    let_go();
}

/* In whatever order they are asked for. */
static void test_order(void **state)
{
    (void)state;
    begin();
    OK(azri_txn_lock_meta(t, false, &err));
    OK(azri_txn_want_chunks(t, 4, backwards, NULL, true, &err));
    OK(azri_txn_lock_chunks(t, &err));
    assert_int_equal(t->chunks.n, 4);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(t->chunks.list[i].first, offset_of(2 * i + 1));
}

static void test_several_ranges(void **state)
{
    (void)state;
    begin();
    want_odd(true);
    hold(offset_of(5), offset_of(5), true);
    fake_no_sleep = true;
    fake_before(ON_FUTEX_WAIT, NULL, 0, none_is_held);
    OK(azri_txn_lock_chunks(t, &err));
    for (uint64_t c = 1; c < 9; c++)
        assert_int_equal(is_held(c), c % 2);
    OK(azri_txn_unlock_chunks(t, &err));
    for (uint64_t c = 1; c < 9; c++)
        assert_false(is_held(c));
    assert_int_equal(fake_clear(), 1);
    /* refused in every round, each time after what it waited for was got: in the
     * end one after the other, holding what is held */
    for (unsigned n = 7; n <= 8; n++) {
        begin();
        want_odd(true);
        for (unsigned k = 0; k < n; k++)
            fake_fail(ON_LOCK, "try W", k, 1, EAGAIN);
        OK(azri_txn_lock_chunks(t, &err));
        assert_int_equal(fake_clear(), n);
        for (uint64_t c = 1; c < 9; c++)
            assert_int_equal(is_held(c), c % 2);
    }
    begin();
    want_odd(true);
    for (unsigned k = 0; k < 7; k++)
        fake_fail(ON_LOCK, "try W", k, 1, EAGAIN);
    /* one after the other, in vain */
    fake_fail(ON_LOCK, "try W", 7, 2, ENOLCK);
    FAILS(azri_txn_lock_chunks(t, &err), AZR_EIO, AZR_SUB_LOCK, "lock");
}

static void test_locks_fail(void **state)
{
    (void)state;
    for (unsigned skip = 0; skip < 4; skip++) {
        begin();
        want_odd(true);
        fake_fail(ON_LOCK, "try W", skip, 1, ENOLCK);
        FAILS(azri_txn_lock_chunks(t, &err), AZR_EIO, AZR_SUB_LOCK, "lock");
        (void)fake_clear();
    }
    begin(); /* what was got cannot be given back */
    want_odd(true);
    fake_fail(ON_LOCK, "try W", 2, 1, EAGAIN);
    fake_fail(ON_LOCK, "unlock W", 0, 1, EIO);
    FAILS(azri_txn_lock_chunks(t, &err), AZR_EIO, AZR_SUB_LOCK, "unlock");
    (void)fake_clear();
    begin(); /* one range; no chunk at all; all there may be */
    OK(azri_txn_lock_meta(t, true, &err));
    OK(azri_txn_lock_doc(t, true, &err));
    OK(azri_txn_lock_chunks(t, &err));
    begin();
    OK(azri_txn_lock_meta(t, false, &err));
    azri_txn_want_all(t, true);
    assert_int_equal(t->chunks.n, 1);
    OK(azri_txn_lock_chunks(t, &err));
    assert_true(is_held(9));
    /* locks that cannot be let go: their description is closed */
    fake_fail(ON_LOCK, "unlock", 0, 1, EIO);
    azri_txn_end(t);
    t = NULL;
    assert_false(is_held(9));
    assert_clean(0);
    world_open(0, AZRI_DOMAIN_WRITE | AZRI_DOMAIN_KERNEL_LOCKS);
    begin(); /* without the table of this process */
    want_odd(false);
    OK(azri_txn_lock_chunks(t, &err));
    OK(azri_txn_unlock_chunks(t, &err));
}

/* The lock of the table could not be let go: the next one gets it all the same. */
static void test_growth_is_unlocked(void **state)
{
    azri_txn *u = NULL;

    (void)state;
    for (uint32_t i = 0; i < AZRI_ROWS_AT_FIRST; i++)
        atomic_store(azri_state_word(state_of(0), i),
                     azri_word(i, AZRI_ACTIVE));
    hold(AZRI_LOCK_SLOT, AZRI_LOCK_SLOT + 7, true);
    fake_fail(ON_PWRITE, "state", 0, 1, EIO);
    fake_fail(ON_LOCK, "unlock", 0, 8, EIO);
    FAILS(azri_txn_begin(&u, w.d[0], &no_time, &err), AZR_EIO, AZR_SUB_WRITE,
          "state");
    assert_true(fake_clear() >= 2);
    OK(azri_txn_begin(&u, w.d[0], &no_time, &err));
    assert_int_equal(u->row, 8);
    azri_txn_end(u);
}

static void test_table(void **state)
{
    azri_txn *u = NULL;

    (void)state;
    begin();
    OK(azri_txn_lock_meta(t, true, &err));
    OK(azri_txn_begin(&u, w.d[0], &w.patience, &err));
    FAILS(azri_txn_lock_meta(u, false, &err), AZR_EBUSY, AZR_SUB_NESTED,
          "this thread already holds");
    azri_txn_end(u);
}

/* -------------------------------------------------------------------- look --- */

static made_row dead;

static void put_dead(uint32_t row_state, uint64_t first, uint64_t last)
{
    row_make(&dead, 0, 3, ID, first, last);
    row_put(&dead, 0, row_state);
}

static int look(bool metadata)
{
    return azri_txn_look(t, metadata, &err);
}

static void begin_looking(const azri_patience *p)
{
    OK(begin_with(p));
    want_odd(true);
    OK(azri_txn_lock_chunks(t, &err));
}

static uint32_t dead_is(void)
{
    return azri_word_state(word_of(0, 3));
}

static void test_look(void **state)
{
    (void)state;
    begin_looking(&w.patience);
    OK(look(false));
    put_dead(AZRI_COMMITTED, 3, 3); /* overlaps, its owner is dead */
    OK(look(false));
    assert_int_equal(dead_is(), AZRI_FREE);
    assert_chunk(0, 3, "new");
    put_dead(AZRI_COMMITTED, 8, 9); /* does not */
    OK(look(false));
    assert_int_equal(dead_is(), AZRI_COMMITTED);
    OK(look(true)); /* what touches metadata overlaps everything */
    assert_int_equal(dead_is(), AZRI_FREE);
    put_dead(AZRI_COMMITTED, 0, 0);
    OK(look(false));
    assert_int_equal(dead_is(), AZRI_COMMITTED);
    put_dead(AZRI_COMMITTED, 2, 2); /* within the hull, and not in the list */
    OK(look(false));
    assert_int_equal(dead_is(), AZRI_COMMITTED);
    dead.what.flags = AZRI_WHAT_METADATA;
    row_put(&dead, 0, AZRI_COMMITTED);
    OK(look(false));
    assert_int_equal(dead_is(), AZRI_FREE);
    row_make(&dead, 0, 3, ID, 3, 3);
    /* its record is gone: finishing it tells */
    row_use_record(&dead, 0);
    row_put(&dead, 0, AZRI_COMMITTED);
    remove_record(0, 3, ID);
    OK(look(false));
    assert_int_equal(dead_is(), AZRI_FREE);
    put_dead(AZRI_COMMITTED, 3, 3);
    azri_state_row(state_of(0), 3)->what.crc ^= 1;
    FAILS(look(false), AZR_ECORRUPT, AZR_SUB_STATE, "does not match");
    /* chunks are none: only what touches metadata stands in the way */
    put_dead(AZRI_COMMITTED, 3, 3);
    begin();
    OK(azri_txn_lock_meta(t, false, &err));
    OK(look(false));
    assert_int_equal(dead_is(), AZRI_COMMITTED);
}

/* Who comes in an hour, by a clock that is ahead of ours, has just come for as long
 * as we are kept waiting here; and who says that it is alive then, is. */
#define IN_AN_HOUR (INT64_C(3600) * 1000000000)

static void test_look_at_active(void **state)
{
    (void)state;
    begin_looking(&w.patience);
    put_dead(AZRI_ACTIVE, 3, 3);
    OK(look(false)); /* for a long time: nobody is there */
    assert_int_equal(dead_is(), AZRI_FREE);
    row_make(&dead, 0, 3, ID, 3, 3);
    dead.who.start_ns = azri_wall_ns() + IN_AN_HOUR;
    row_put(&dead, 0, AZRI_ACTIVE);
    OK(look(false)); /* it has just come */
    assert_int_equal(dead_is(), AZRI_ACTIVE);
    put_dead(AZRI_ACTIVE, 3, 3);
    atomic_store(&azri_state_row(state_of(0), 3)->wait.alive_ns,
                 (uint64_t)(azri_now_ns() + IN_AN_HOUR));
    OK(look(false)); /* it waits for a lock */
    assert_int_equal(dead_is(), AZRI_ACTIVE);
    atomic_store(&azri_state_row(state_of(0), 3)->wait.alive_ns, 0);
    hold(AZRI_LOCK_SLOT + 3, AZRI_LOCK_SLOT + 3, true);
    OK(look(false)); /* alive: nothing promised yet */
    assert_int_equal(dead_is(), AZRI_ACTIVE);
    fake_fail(ON_LOCK, "try SLOT", 0, 1, ENOLCK);
    FAILS(look(false), AZR_EIO, AZR_SUB_LOCK, "lock");
}

static void finish_dead(void)
{
    atomic_store(azri_state_word(state_of(0), 3), azri_word(ID, AZRI_FREE));
    let_go();
}

static void clear_dead(void)
{
    atomic_store(azri_state_word(state_of(0), 3), azri_word(ID, AZRI_FREE));
}

/* Somebody is finishing it: it is waited for. */
static void test_look_waits(void **state)
{
    azri_patience p = {INT64_MAX, NULL};
    uint64_t waits = COUNTED(row_waits);

    (void)state;
    begin_looking(&w.patience);
    put_dead(AZRI_COMMITTED, 3, 3);
    hold(AZRI_LOCK_SLOT + 3, AZRI_LOCK_SLOT + 3, true);
    fake_no_sleep = true;
    fake_before(ON_FUTEX_WAIT, NULL, 2, finish_dead);
    OK(look(false));
    assert_int_equal(fake_clear(), 1);
    assert_int_equal(COUNTED(row_waits) - waits, 1); /* slept thrice */
    put_dead(AZRI_COMMITTED, 3, 3);
    hold(AZRI_LOCK_SLOT + 3, AZRI_LOCK_SLOT + 3, true);
    begin_looking(&no_time);
    FAILS(look(false), AZR_EBUSY, AZR_SUB_NONE,
          "row 3 is being finished by pid 999999");
    p.cancel = canceled();
    begin_looking(&p);
    FAILS(look(false), AZR_ECANCELED, AZR_SUB_NONE, "waiting for row 3");
    azri_txn_end(t);
    t = NULL;
    azr_cancel_free((azr_cancel *)(uintptr_t)p.cancel);
    begin_looking(&w.patience);
    fake_before(ON_LOCK, "try SLOT", 0, finish_dead); /* … a moment later */
    OK(look(false));
    assert_int_equal(dead_is(), AZRI_FREE);
    put_dead(AZRI_COMMITTED, 3, 3); /* … before we sleep */
    (void)fake_clear();
    fake_before(ON_LOCK, "try SLOT", 0, clear_dead);
    fake_fail(ON_LOCK, "try SLOT", 0, 1, EAGAIN);
    OK(look(false));
    assert_int_equal(dead_is(), AZRI_FREE);
}

static unsigned woken;

static int count_wake(_Atomic uint32_t *word, int count)
{
    assert_ptr_equal(word, azri_word_futex(state_of(0), 3));
    assert_int_equal(count, INT32_MAX);
    woken++;
    return 0;
}

/* Who sleeps on a row is woken; if nobody does, that is not asked for. */
static void test_row_wake(void **state)
{
    const struct azri_sys *before = azri_sys;
    struct azri_sys mine = *before;

    (void)state;
    mine.futex_wake = count_wake;
    azri_sys = &mine;
    woken = 0;
    azri_row_wake(state_of(0), 3);
    assert_int_equal(woken, 0);
    atomic_store(&azri_state_changing(state_of(0))->waiting, 1);
    azri_row_wake(state_of(0), 3);
    assert_int_equal(woken, 1);
    atomic_store(&azri_state_changing(state_of(0))->waiting, 0);
    azri_sys = before;
}

static int count_slot_wake(_Atomic uint32_t *word, int count)
{
    assert_ptr_equal(word, &azri_state_row(state_of(0), 3)->wait.wake);
    assert_int_equal(count, 1);
    woken++;
    return 1;
}

/* What we hold is told, and who waits for one of it is woken when we let go. */
static void test_end_wakes(void **state)
{
    const azri_range wanted[] = {{AZRI_LOCK_META, AZRI_LOCK_META, true},
                                 {AZRI_LOCK_DOC, AZRI_LOCK_DOC, true},
                                 {offset_of(3), offset_of(3), true},
                                 {offset_of(7), offset_of(7), true}};
    azri_wait_slot *slot = &azri_state_row(state_of(0), 3)->wait, *own;
    const struct azri_sys *before = azri_sys;
    struct azri_sys mine = *before;

    (void)state;
    mine.futex_wake = count_slot_wake;
    for (size_t i = 0; i < 4; i++) {
        begin();
        OK(azri_txn_lock_meta(t, false, &err));
        OK(azri_txn_lock_doc(t, false, &err));
        OK(azri_txn_want_chunks(t, 4, coords_odd, NULL, true, &err));
        OK(azri_txn_lock_chunks(t, &err));
        own = &azri_state_row(state_of(0), t->row)->wait;
        assert_int_equal(atomic_load(&own->holds_flags),
                         AZRI_HOLDS_META | AZRI_HOLDS_DOC);
        assert_int_equal(atomic_load(&own->holds_first), offset_of(1));
        assert_int_equal(atomic_load(&own->holds_last),
                         offset_of(7) | AZRI_WAIT_EXCLUSIVE);
        atomic_store(&slot->first, wanted[i].first);
        atomic_store(&slot->last, wanted[i].last | AZRI_WAIT_EXCLUSIVE);
        atomic_store(&slot->ticket, (uint64_t)azri_now_ns());
        atomic_store(&azri_state_changing(state_of(0))->waiting, 1);
        woken = 0;
        azri_sys = &mine;
        azri_txn_end(t);
        azri_sys = before;
        t = NULL;
        assert_int_equal(woken, 1);
        atomic_store(&slot->last, 0);
        atomic_store(&azri_state_changing(state_of(0))->waiting, 0);
    }
}

static void test_look_changes(void **state)
{
    (void)state;
    begin_looking(&w.patience);
    row_make(&dead, 0, 3, ID, 3, 3);
    row_use_record(&dead, 0);
    row_put(&dead, 0, AZRI_COMMITTED);
    remove_record(0, 3, ID);
    fake_before(ON_OPENAT, ".r", 0, clear_dead); /* as its record is read */
    OK(look(false));
    assert_int_equal(fake_clear(), 1);
    fake_fail(ON_FSTAT, ".azr/state", 0, 1, EIO);
    FAILS(look(false), AZR_EIO, AZR_SUB_STAT, "stat");
}

static int busy_upkeep(void *arg, azri_domain *d, bool owner, azr_error *e)
{
    (void)d;
    (void)owner;
    return arg ? azri_fail(e, AZR_EIO, "above") : AZR_EBUSY;
}

/* All is done but the documents above: that stands in nobody's way. */
static void test_look_above(void **state)
{
    int here = 0;

    (void)state;
    azri_domain_set_upkeep(w.d[0], busy_upkeep, NULL);
    begin_looking(&no_time);
    for (int i = 0; i < 2; i++) {
        row_make(&dead, 0, 3, ID, 3, 3);
        dead.what.flags |= AZRI_WHAT_ABOVE | AZRI_WHAT_METADATA;
        if (i == 1) /* it is not asked a second time */
            dead.who.start_ns = azri_wall_ns() + IN_AN_HOUR;
        row_put(&dead, 0, AZRI_COMMITTED);
        OK(look(false));
        assert_int_equal(dead_is(), AZRI_ACTIVE);
        assert_chunk(0, 3, "new");
        azri_domain_set_upkeep(w.d[0], busy_upkeep, &here);
    }
}

/* --------------------------------------------------------------------- end --- */

static void test_end(void **state)
{
    uint32_t row;

    (void)state;
    begin_looking(&w.patience);
    OK(azri_txn_entries(t, 4, coords_odd, NULL, &err));
    OK(azri_txn_stage(t, 1, bytes_of("x"), NULL, &err));
    azri_txn_end(t);
    t = NULL;
    assert_clean(0);
    /* tx/ was never opened, and cannot be: nothing was staged either */
    world_open(0, 0);
    begin();
    row = t->row;
    assert_int_equal(azri_word_state(word_of(0, row)), AZRI_ACTIVE);
    assert_int_equal(rmdir(below(0, ".azr/tx")), 0);
    azri_txn_end(t);
    t = NULL;
    assert_int_equal(azri_word_state(word_of(0, row)), AZRI_FREE);
    assert_int_equal(mkdir(below(0, ".azr/tx"), 0755), 0);
}

static void test_counters(void **state)
{
    uint64_t before;

    (void)state;
    begin();
    before = azri_txn_meta_counter(t);
    azri_sys->bump64("meta", &azri_state_changing(state_of(0))->meta);
    assert_true(azri_txn_meta_counter(t) == before + 1);
    before = azri_txn_counter(t, 7);
    azri_sys->bump64("counter", azri_state_counter(state_of(0), 7));
    assert_true(azri_txn_counter(t, 7) == before + 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_rows),        T(test_row_is_taken),
        T(test_begin_fails), T(test_who_holds_it),
        T(test_canceled),    T(test_several_ranges),
        T(test_order),       T(test_locks_fail),
        T(test_table),       T(test_growth_is_unlocked),
        T(test_look),        T(test_look_at_active),
        T(test_look_waits),  T(test_look_changes),
        T(test_look_above),  T(test_end),
        T(test_counters),    T(test_row_wake),
        T(test_end_wakes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
