/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as they are told to people, and the change of durability. */
#include "world.h"

#include "base/alloc.h"

#define ID UINT64_C(0x00aabbccddeeff)

static azr_row_info told[8];
static unsigned told_count;

static int note(const azr_row_info *info, void *arg)
{
    told[told_count++] = *info;
    return arg ? 1 : 0;
}

static void ask(void)
{
    told_count = 0;
    OK(azri_domain_status(w.d[0], note, NULL, &err));
}

static azri_wait_slot *slot(uint32_t i)
{
    return &azri_state_row(state_of(0), i)->wait;
}

static void put_row(uint32_t i, uint32_t row_state)
{
    made_row r;

    row_make(&r, 0, i, ID + i, 2, 3);
    r.who.pid = 1000 + i;
    row_put(&r, 0, row_state);
}

static void waits_for(uint32_t i, uint64_t first, uint64_t last, bool exclusive)
{
    atomic_store(&slot(i)->first, first);
    atomic_store(&slot(i)->last, last | (exclusive ? AZRI_WAIT_EXCLUSIVE : 0));
}

static void holds(uint32_t i, uint32_t flags, uint64_t first, uint64_t last)
{
    atomic_store(&slot(i)->holds_flags, flags);
    atomic_store(&slot(i)->holds_first, first);
    atomic_store(&slot(i)->holds_last, last);
}

static void test_rows(void **state)
{
    made_row r;

    (void)state;
    ask();
    assert_int_equal(told_count, 0);
    put_row(1, AZRI_ACTIVE);
    put_row(2, AZRI_COMMITTED);
    row_make(&r, 0, 3, ID, 2, 3);
    r.what.flags = AZRI_WHAT_METADATA;
    row_age(&r);
    row_put(&r, 0, AZRI_SEALED);
    put_row(4, AZRI_COMMITTED);
    put_file(below(0, ".azr/tx/4/0123456789abcd.0"), "", 0); /* another's */
    put_file(below(0, ".azr/tx/4/nobody's"), "", 0);
    azri_state_row(state_of(0), 4)->what.crc ^= 1;
    ask();
    assert_int_equal(told_count, 4);
    assert_int_equal(told[0].objects, 0); /* not said yet */
    assert_int_equal(told[0].staged, 2);
    assert_int_equal(told[0].pid, 1001);
    assert_int_equal(told[0].this_boot, 1);
    assert_int_equal(told[0].alive, 0);
    assert_int_equal(told[0].waits_row, -1);
    assert_int_equal(told[1].objects, 2);
    assert_int_equal(told[1].touches_metadata, 0);
    assert_int_equal(told[2].touches_metadata, 1);
    assert_int_equal(told[2].this_boot, 0);
    assert_int_equal(told[3].objects, 0); /* damaged */
    assert_int_equal(told[3].staged, 2);
    told_count = 0;
    OK(azri_domain_status(w.d[0], note, &err, &err)); /* enough */
    assert_int_equal(told_count, 1);
}

/* Whose row it is. */
static void test_who(void **state)
{
    azri_txn *t = NULL;
    made_row r;

    (void)state;
    row_make(&r, 0, 7, ID, 2, 3);
    r.who.uid = 4711;
    r.who.start_ns = 12345;
    row_put(&r, 0, AZRI_SEALED);
    OK(azri_txn_begin(&t, w.d[0], &w.patience, &err));
    ask();
    assert_int_equal(told_count, 2);
    assert_int_equal(told[0].struct_size, sizeof told[0]);
    assert_int_equal(told[0].row, t->row);
    assert_int_equal(told[0].id, t->id);
    assert_int_equal(told[0].state, AZRI_ACTIVE);
    assert_int_equal(told[0].alive, 1);
    assert_int_equal(told[0].pid, getpid());
    assert_int_equal(told[0].uid, geteuid());
    assert_int_equal(told[0].staged, 0);
    assert_int_equal(told[1].row, 7);
    assert_int_equal(told[1].id, ID);
    assert_int_equal(told[1].state, AZRI_SEALED);
    assert_int_equal(told[1].alive, 0);
    assert_int_equal(told[1].pid, 999999);
    assert_int_equal(told[1].uid, 4711);
    assert_int_equal(told[1].start_time_ns, 12345);
    assert_string_equal(told[1].host, "elsewhere");
    azri_txn_end(t);
    memset(r.who.host, 'x', sizeof r.who.host); /* without an end */
    row_put(&r, 0, AZRI_SEALED);
    ask();
    assert_int_equal(strlen(told[0].host), sizeof r.who.host - 1);
}

/* The row that most likely stands in the way. */
static void test_waits(void **state)
{
    (void)state;
    for (uint32_t i = 1; i < 4; i++)
        put_row(i, AZRI_ACTIVE);
    waits_for(1, AZRI_LOCK_META, AZRI_LOCK_META, true);
    atomic_store(&slot(1)->since_ns, 777);
    ask();
    assert_int_equal(told[0].waits_since_ns, 777);
    assert_int_equal(told[1].waits_since_ns, 0);
    assert_string_equal(told[1].waits_for, "");
    assert_string_equal(told[0].waits_for, "META");
    assert_int_equal(told[0].waits_row, -1);
    holds(3, AZRI_HOLDS_META, 0, 0);
    ask();
    assert_int_equal(told[0].waits_row, 3);
    assert_int_equal(told[0].waits_pid, 1003);
    waits_for(1, AZRI_LOCK_META, AZRI_LOCK_META, false);
    ask();
    assert_string_equal(told[0].waits_for, "META (shared)");
    assert_int_equal(told[0].waits_row, -1);
    holds(3, AZRI_HOLDS_META_EXCLUSIVE, 0, 0);
    ask();
    assert_int_equal(told[0].waits_row, 3);
    waits_for(1, AZRI_LOCK_DOC, AZRI_LOCK_DOC, true);
    ask();
    assert_string_equal(told[0].waits_for, "DOC");
    assert_int_equal(told[0].waits_row, -1);
    holds(2, AZRI_HOLDS_DOC, 0, 0);
    ask();
    assert_int_equal(told[0].waits_row, 2);
    waits_for(1, AZRI_LOCK_DOC, AZRI_LOCK_DOC, false);
    ask();
    assert_int_equal(told[0].waits_row, -1);
    holds(2, AZRI_HOLDS_DOC_EXCLUSIVE, 0, 0);
    ask();
    assert_int_equal(told[0].waits_row, 2);
    waits_for(1, AZRI_LOCK_W + 5, AZRI_LOCK_W + 6, false);
    holds(2, 0, AZRI_LOCK_W + 7, (AZRI_LOCK_W + 9) | AZRI_WAIT_EXCLUSIVE);
    ask();
    assert_string_equal(told[0].waits_for, "chunks (shared)");
    assert_int_equal(told[0].waits_row, -1); /* behind it */
    holds(2, 0, AZRI_LOCK_W + 1, (AZRI_LOCK_W + 4) | AZRI_WAIT_EXCLUSIVE);
    ask();
    assert_int_equal(told[0].waits_row, -1); /* before it */
    holds(2, 0, AZRI_LOCK_W + 1, AZRI_LOCK_W + 5);
    ask();
    assert_int_equal(told[0].waits_row, -1); /* shared, both */
    holds(2, 0, AZRI_LOCK_W + 1, (AZRI_LOCK_W + 5) | AZRI_WAIT_EXCLUSIVE);
    ask();
    assert_int_equal(told[0].waits_row, 2);
    waits_for(1, AZRI_LOCK_W + 5, AZRI_LOCK_W + 6, true);
    holds(2, 0, AZRI_LOCK_W + 1, AZRI_LOCK_W + 5);
    ask();
    assert_int_equal(told[0].waits_row, 2);
}

static void free_row(void)
{
    atomic_store(azri_state_word(state_of(0), 1), azri_word(ID, AZRI_FREE));
}

static void test_status_fails(void **state)
{
    (void)state;
    put_row(1, AZRI_ACTIVE);
    fake_before(ON_LOCK, "ask SLOT", 0, free_row); /* gone while we looked */
    ask();
    assert_int_equal(told_count, 0);
    no_idle_descriptors(w.d[0]);
    fake_fail(ON_OPENAT, "state", 0, 1, EMFILE);
    FAILS(azri_domain_status(w.d[0], note, NULL, &err), AZR_EIO, AZR_SUB_OPEN,
          "state");
}

/* ---------------------------------------------------------------- durability --- */

static int set(int durability)
{
    return azri_domain_set_durability(w.d[0], durability, &w.patience, &err);
}

/* Nobody else is beyond META meanwhile. */
static void meta_is_held(void)
{
    azri_range meta = {AZRI_LOCK_META, AZRI_LOCK_META, false};
    int fd = open(below(0, ".azr/state"), O_RDWR | O_CLOEXEC);

    assert_true(azri_ofd_busy(fd, &meta));
    assert_int_equal(close(fd), 0);
}

static void test_durability(void **state)
{
    azri_range meta = {AZRI_LOCK_META, AZRI_LOCK_META, false};
    azri_txn *t = NULL;
    int beside;

    (void)state;
    put_row(3, AZRI_COMMITTED); /* what was promised before is kept first */
    fake_before(ON_STORE, "durability", 0, meta_is_held);
    OK(set(AZR_DURABILITY_POWER));
    assert_int_equal(fake_clear(), 1);
    assert_chunk(0, 2, "new");
    assert_int_equal(azri_domain_durability(w.d[0]), AZR_DURABILITY_POWER);
    fake_fail(ON_SYNCFS, NULL, 0, 1, EIO);
    OK(set(AZR_DURABILITY_PROCESS)); /* promises less: nothing to sync */
    assert_int_equal(fake_clear(), 0);
    OK(azri_txn_begin(&t, w.d[0], &w.patience, &err)); /* somebody is at work */
    FAILS(set(AZR_DURABILITY_POWER), AZR_EBUSY, AZR_SUB_NONE,
          "while a transaction is open: pid ");
    azri_txn_end(t);
    beside = open(below(0, ".azr/state"), O_RDWR | O_CLOEXEC);
    assert_true(beside >= 0); /* held: not longer than its caller waits */
    OK(azri_ofd_try(beside, &meta, &err));
    FAILS(azri_domain_set_durability(w.d[0], AZR_DURABILITY_POWER, &no_time,
                                     &err),
          AZR_EBUSY, AZR_SUB_NONE, "META");
    (void)close(beside);
    fake_fail(ON_SYNCFS, NULL, 0, 1, EIO);
    FAILS(set(AZR_DURABILITY_POWER), AZR_EIO, AZR_SUB_SYNC, "syncfs");
    fake_fail(ON_LOCK, "try META", 0, 1, ENOLCK);
    FAILS(set(AZR_DURABILITY_POWER), AZR_EIO, AZR_SUB_LOCK, "lock");
    fake_fail(ON_GETRANDOM, NULL, 0, 1, ENOSYS);
    w.d[0]->id_count = 0;
    FAILS(set(AZR_DURABILITY_POWER), AZR_EIO, AZR_SUB_CALL, "getrandom");
    put_row(3, AZRI_COMMITTED + 1);
    FAILS(set(AZR_DURABILITY_POWER), AZR_EUNSUPPORTED, AZR_SUB_LAYOUT,
          "state 5");
    atomic_store(azri_state_word(state_of(0), 3), 0);
    assert_int_equal(azri_domain_durability(w.d[0]), AZR_DURABILITY_PROCESS);
    fake_fail(ON_FDATASYNC, ".azr/state", 0, 1, EIO);
    FAILS(set(AZR_DURABILITY_POWER), AZR_EUNKNOWN, AZR_SUB_SYNC,
          "its durability has changed");
    assert_int_equal(azri_domain_durability(w.d[0]), AZR_DURABILITY_POWER);
    FAILS(azri_txn_begin(&t, w.d[0], &w.patience, &err), AZR_EPOISONED,
          AZR_SUB_NONE, "a sync failed");
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_rows),         T(test_who),        T(test_waits),
        T(test_status_fails), T(test_durability),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
