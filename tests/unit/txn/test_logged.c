/* SPDX-License-Identifier: Apache-2.0 */
/* What the log says of what went wrong without being anybody's error. */
#include "world.h"

#define HOME UINT32_C(1)
#define ROW  UINT32_C(3)
#define ID   UINT64_C(0x00112233445566)

static azri_txn *t;
static made_row r, home;

static void begin(void)
{
    OK(azri_txn_begin(&t, w.d[0], &w.patience, &err));
}

static void end(void)
{
    azri_txn_end(t);
    t = NULL;
}

static int teardown(void **state)
{
    (void)fake_clear();
    end();
    return world_end(state);
}

static void recover(int k)
{
    azr_recovery told = {0};

    forget_log();
    OK(azri_domain_recover(w.d[k], &told, &err));
}

static int upkeep_says;

static int upkeep(void *arg, azri_domain *d, bool owner, azr_error *e)
{
    (void)arg;
    (void)d;
    (void)owner;
    return upkeep_says == AZR_EBUSY
               ? AZR_EBUSY
               : azri_fail(e, upkeep_says, "no room above");
}

/* A commit that stands, and is not done yet. */
static void test_commit(void **state)
{
    uint64_t id;
    char line[96];

    (void)state;
    begin();
    prepare(t, 3, 1);
    OK(azri_txn_stage(t, 0, bytes_of("new"), NULL, &err));
    OK(azri_txn_commit(t, &err));
    end();
    assert_not_logged();
    begin();
    prepare(t, 3, 1);
    OK(azri_txn_stage(t, 0, bytes_of("new"), NULL, &err));
    fake_fail(ON_RENAMEAT2, "c/3", 0, 1, EIO);
    OK(azri_txn_commit(t, &err));
    id = t->id;
    end();
    (void)snprintf(line, sizeof line,
                   "transaction %014llx is committed, but not applied yet: ",
                   (unsigned long long)id);
    assert_logged("warning: '");
    assert_logged(line);
    assert_logged("to 'c/3'");
    assert_logged("; the next participant goes on");
    recover(0);
    (void)snprintf(line, sizeof line,
                   "transaction %014llx of a dead owner finished",
                   (unsigned long long)id);
    assert_logged("info: '");
    assert_logged(line);
    recover(0);
    assert_not_logged();
}

static void test_above(void **state)
{
    (void)state;
    row_make(&r, 0, ROW, ID, 2, 3);
    r.what.flags |= AZRI_WHAT_ABOVE;
    row_put(&r, 0, AZRI_ACTIVE);
    recover(0); /* we do not know how: it is left to who does */
    assert_not_logged();
    row_put(&r, 0, AZRI_FREE);
    azri_domain_set_upkeep(w.d[0], upkeep, NULL);
    upkeep_says = AZR_EIO;

    begin();
    OK(azri_txn_lock_meta(t, true, &err));
    OK(azri_txn_entries(t, 0, NULL, NULL, &err));
    OK(azri_txn_stage_document(t, AZRI_ENTRY_V3, bytes_of("{}"), false, NULL,
                               &err));
    OK(azri_txn_commit(t, &err));
    end();
    assert_logged("warning: '");
    assert_logged(
        "consolidated metadata above is not renewed yet: no room above; "
        "the next participant goes on");
    recover(0);
    assert_logged("warning: '");
    assert_logged("consolidated metadata above is not renewed: no room above");
    upkeep_says = AZR_EBUSY; /* somebody is at it: that is no news */
    recover(0);
    assert_not_logged();
    upkeep_says = AZR_ECORRUPT; /* damage is, and ends it */
    recover(0);
    assert_logged("consolidated metadata above is not renewed: no room above");
    assert_logged("of a dead owner undone");
}

static void test_dead(void **state)
{
    (void)state;
    row_make(&r, 0, ROW, ID, 2, 3);
    row_put(&r, 0, AZRI_ACTIVE);
    recover(0);
    assert_logged("info: '");
    assert_logged("transaction 00112233445566 of a dead owner undone");
    /* cut short by a restart, with a reason; without its record */
    row_make(&r, 0, ROW, ID, 2, 3);
    row_age(&r);
    row_put(&r, 0, AZRI_COMMITTED);
    put_file(below(0, ".azr/tx/3/00112233445566.1"), "longer", 6);
    recover(0);
    assert_logged("warning: '");
    assert_logged("transaction 00112233445566 was cut short by a restart: ");
    assert_logged("6 bytes, its row says 3; what is left of it stands in "
                  ".azr/lost");
    row_make(&r, 0, ROW, ID, 2, 3);
    row_use_record(&r, 0);
    row_age(&r);
    row_put(&r, 0, AZRI_COMMITTED);
    remove_record(0, ROW, ID);
    recover(0);
    assert_logged(
        "was cut short by a restart: its record is gone; what is left "
        "of it stands in .azr/lost");
}

/* After a restart a home gets on without an array that is not there. */
static void test_without_one(void **state)
{
    char away[128];

    (void)state;
    row_make(&home, 0, HOME, ID, 5, 5);
    home.what.flags |= AZRI_WHAT_HOME;
    row_refer(&home, 1, ROW, "../b");
    row_age(&home);
    row_put(&home, 0, AZRI_COMMITTED);
    (void)snprintf(away, sizeof away, "%s/away", w.dir);
    assert_int_equal(rename(w.path[1], away), 0);
    recover(0);
    assert_logged("warning: '");
    assert_logged("transaction 00112233445566 was cut short by a restart, and "
                  "goes on without one of its arrays: ");
    assert_logged("that was at '../b'");
    assert_logged("of a dead owner finished");
    assert_chunk(0, 5, "new");
}

static int may(void *arg, azr_error *e)
{
    (void)arg;
    (void)e;
    return AZR_OK;
}

static void test_state(void **state)
{
    (void)state;
    OK(azri_state_rebuild(w.d[0], &w.grid, w.durability, NULL, &err));
    assert_not_logged(); /* it is sound */
    OK(azri_table_grow(w.d[0], azri_state_rows(azri_domain_state(w.d[0])),
                       &w.patience, &err));
    assert_logged("info: '");
    assert_logged("row table grown to 16 rows");
    forget_log();
    w.grid.keying.separator = '.';
    OK(azri_domain_refit(w.d[0], &w.grid, w.durability, may, NULL, &err));
    assert_logged("warning: '");
    assert_logged(".azr/state was of an array that is gone and was built anew; "
                  "unfinished transactions stand in .azr/lost");
    world_open(0, AZRI_DOMAIN_WRITE);
    forget_log();
    state_of(0)->map[0] ^= 1;
    fake_fail(ON_PWRITE, ".azr/state", 0, 1, ENOSPC);
    FAILS(azri_state_rebuild(w.d[0], &w.grid, w.durability, NULL, &err),
          AZR_EIO, AZR_SUB_WRITE, "state");
    assert_not_logged(); /* the caller is told */
    OK(azri_state_rebuild(w.d[0], &w.grid, w.durability, NULL, &err));
    assert_logged("had no valid header, or not its size and was built anew");
    world_open(0, AZRI_DOMAIN_WRITE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_begin_two, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_commit),      T(test_above), T(test_dead),
        T(test_without_one), T(test_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
