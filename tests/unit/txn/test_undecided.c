/* SPDX-License-Identifier: Apache-2.0 */
/* A PREPARED row whose home never committed, met alone: when it is let go of. */
#include "world.h"

#define HOME UINT32_C(1)
#define ROW  UINT32_C(3)
#define ID   UINT64_C(0x00112233445566)

static azr_recovery told;
static int upkeep_says;

static int upkeep(void *arg, azri_domain *d, bool owner, azr_error *e)
{
    (void)arg;
    (void)d;
    (void)e;
    assert_false(owner);
    return upkeep_says;
}

/* Chunk 6 of b, by a transaction whose home is in a; if `with_home`, its row there is
 * ACTIVE. */
static void make(bool with_home, uint32_t flags)
{
    made_row home, ours;

    put_chunk(1, 6, "old");
    row_make(&home, 0, HOME, ID, 5, 5);
    row_make(&ours, 1, ROW, ID, 6, 6);
    home.what.flags |= AZRI_WHAT_HOME;
    ours.what.flags |= AZRI_WHAT_HAS_HOME | flags;
    row_refer(&home, 1, ROW, "../b");
    row_refer(&ours, 0, HOME, "../a");
    row_put(&home, 0, with_home ? AZRI_ACTIVE : AZRI_FREE);
    row_put(&ours, 1, AZRI_PREPARED);
}

static void recover(void)
{
    memset(&told, 0, sizeof told);
    OK(azri_domain_recover(w.d[1], &told, &err));
}

static uint32_t ours_is(void)
{
    return azri_word_state(word_of(1, ROW));
}

/* It asks for documents above to be renewed, and that is not to be had now: it stays
 * as it is, for who comes next. */
static void test_above_is_busy(void **state)
{
    (void)state;
    azri_domain_set_upkeep(w.d[1], upkeep, NULL);
    make(false, AZRI_WHAT_ABOVE);
    upkeep_says = AZR_EBUSY;
    recover();
    assert_int_equal(told.busy, 1);
    assert_int_equal(told.cleared, 0);
    assert_int_equal(ours_is(), AZRI_PREPARED);
    upkeep_says = AZR_OK;
    recover();
    assert_int_equal(told.busy, 0);
    assert_int_equal(told.cleared, 1);
    assert_chunk(1, 6, "old");
    assert_clean(1);
}

static unsigned synced;

static void note_sync(void)
{
    assert_int_equal(ours_is(), AZRI_FREE); /* that is what is to stay */
    synced++;
}

/* `power`: that it was let go of is on the disk before anybody removes the home. */
static void test_let_go_for_good(void **state)
{
    (void)state;
    make(true, 0);
    synced = 0;
    fake_before(ON_FDATASYNC, "b/.azr/state", 0, note_sync);
    recover();
    (void)fake_clear();
    assert_int_equal(synced, 1);
    assert_int_equal(told.cleared, 1);
    assert_false(atomic_load(&w.d[1]->poisoned));
    assert_chunk(1, 6, "old");
    assert_clean(1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_begin_two, world_end)
#define TP(f)                                                                  \
    cmocka_unit_test_setup_teardown(f, world_begin_two_power, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_above_is_busy),
        TP(test_let_go_for_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
