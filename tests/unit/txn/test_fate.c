/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays that are taken away: marks, where the directory stands, and both wrong. */
#include "world.h"

static void set_fate(uint64_t fate)
{
    atomic_store(&azri_state_changing(state_of(0))->fate, fate);
}

static uint64_t fate(void)
{
    return atomic_load(&azri_state_changing(state_of(0))->fate);
}

/* The array's directory below the trash, by that name, in `above` (or ""). */
static void discard(const char *above, const char *name)
{
    char trash[256];
    size_t n;

    (void)snprintf(trash, sizeof trash, "%s/" AZRI_TRASH, w.dir);
    assert_int_equal(mkdir(trash, 0755), 0);
    n = strlen(trash);
    if (above[0] != '\0') {
        (void)snprintf(trash + n, sizeof trash - n, "/%s", above);
        assert_int_equal(mkdir(trash, 0755), 0);
        n = strlen(trash);
    }
    (void)snprintf(trash + n, sizeof trash - n, "/%s", name);
    assert_int_equal(rename(w.path[0], trash), 0);
}

static void test_marks(void **state)
{
    static const char *const text[] = {
        "", "", "", "was removed", "was replaced", "was removed"};

    (void)state;
    for (uint64_t f = AZRI_FATE_NONE; f <= AZRI_FATE_REPLACED + 1; f++) {
        set_fate(f);
        if (f <= AZRI_FATE_REPLACING) { /* in doubt: it stands in its place */
            OK(azri_fate_check(w.d[0], state_of(0), &err));
            OK(azri_domain_gone(w.d[0], &err));
        } else {
            FAILS(azri_domain_gone(w.d[0], &err), AZR_ENOTFOUND, AZR_SUB_STATE,
                  text[f]);
        }
    }
}

static void test_discarded(void **state)
{
    bool replaced = true;

    (void)state;
    assert_false(azri_is_discarded(azri_domain_dir(w.d[0]), NULL));
    assert_false(azri_is_discarded(-1, NULL)); /* cannot be told */
    discard("", "0123");
    assert_true(azri_is_discarded(azri_domain_dir(w.d[0]), &replaced));
    assert_false(replaced);
    FAILS(azri_domain_gone(w.d[0], &err), AZR_ENOTFOUND, AZR_SUB_STATE,
          "was removed"); /* without any mark */
    set_fate(AZRI_FATE_REMOVING);
    FAILS(azri_fate_check(w.d[0], state_of(0), &err), AZR_ENOTFOUND,
          AZR_SUB_STATE, "was removed");
    set_fate(AZRI_FATE_REPLACING);
    FAILS(azri_fate_check(w.d[0], state_of(0), &err), AZR_ENOTFOUND,
          AZR_SUB_STATE, "was replaced");
}

static void test_replaced(void **state)
{
    bool replaced = false;

    (void)state;
    discard("0123.b", "x");
    assert_true(azri_is_discarded(azri_domain_dir(w.d[0]), &replaced));
    assert_true(replaced);
    FAILS(azri_domain_gone(w.d[0], &err), AZR_ENOTFOUND, AZR_SUB_STATE,
          "was replaced");
}

static void test_remover(void **state)
{
    azri_txn *t = NULL;
    uint64_t before;
    made_row r;

    (void)state;
    OK(azri_txn_begin(&t, w.d[0], &w.patience, &err));
    OK(azri_txn_lock_meta(t, true, &err));
    row_make(&r, 0, 3, 77, 2, 2);
    row_put(&r, 0, AZRI_COMMITTED);
    fake_fail(ON_LOCK, "try SLOT", 1, 1, ENOLCK);
    FAILS(azri_txn_settle(t, &err), AZR_EIO, AZR_SUB_LOCK, "lock");
    t->patience.deadline_ns = 0; /* somebody is finishing it */
    fake_fail(ON_LOCK, "try SLOT", 0, 3, EAGAIN);
    FAILS(azri_txn_settle(t, &err), AZR_EBUSY, AZR_SUB_NONE,
          "row 3 is being finished by pid 999999");
    t->patience.deadline_ns = INT64_MAX;
    OK(azri_txn_settle(t, &err));
    assert_chunk(0, 2, "new");
    azri_txn_doubt(t, false);
    assert_int_equal(fate(), AZRI_FATE_REMOVING);
    OK(azri_txn_look(t, true, &err)); /* what a dead remover left */
    assert_int_equal(fate(), AZRI_FATE_NONE);
    azri_txn_doubt(t, true);
    assert_int_equal(fate(), AZRI_FATE_REPLACING);
    OK(azri_txn_look(t, true, &err));
    assert_int_equal(fate(), AZRI_FATE_NONE);
    before = azri_txn_meta_counter(t);
    azri_txn_condemn(t, true);
    assert_int_equal(fate(), AZRI_FATE_REPLACED);
    assert_true(azri_txn_meta_counter(t) == before + 1);
    azri_txn_condemn(t, false);
    assert_int_equal(fate(), AZRI_FATE_REMOVED);
    azri_txn_spare(t);
    assert_int_equal(fate(), AZRI_FATE_NONE);
    azri_txn_end(t);
}

/* A mark is forgotten only if the directory stands in its place. */
static void test_not_forgotten(void **state)
{
    azri_txn *t = NULL;

    (void)state;
    OK(azri_txn_begin(&t, w.d[0], &w.patience, &err));
    OK(azri_txn_lock_meta(t, true, &err));
    azri_txn_doubt(t, false);
    discard("", "0123");
    FAILS(azri_txn_look(t, true, &err), AZR_ENOTFOUND, AZR_SUB_STATE,
          "was removed");
    azri_fate_forget(t);
    assert_int_equal(fate(), AZRI_FATE_REMOVING);
    set_fate(AZRI_FATE_REMOVED);
    azri_fate_forget(t);
    assert_int_equal(fate(), AZRI_FATE_REMOVED);
    azri_txn_end(t);
}

/* ---------------------------------------------------------------- condemned --- */

static int condemn(bool *had, bool replaced)
{
    int dir = open(w.path[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = azri_state_condemn(had, dir, replaced, &err);

    assert_int_equal(close(dir), 0);
    return rc;
}

static void test_condemn(void **state)
{
    bool had = false;

    (void)state;
    OK(condemn(&had, true));
    assert_true(had);
    assert_false(is_there(0, ".azr/state"));
    assert_int_equal(fate(), AZRI_FATE_REPLACED); /* who has it mapped */
    OK(condemn(&had, true));                      /* again */
    assert_false(had);
}

static void test_condemn_fails(void **state)
{
    bool had = false;

    (void)state;
    fake_fail(ON_UNLINKAT, "state", 0, 1, EPERM);
    FAILS(condemn(&had, false), AZR_EPERM, AZR_SUB_UNLINK, ".azr/state");
    assert_int_equal(fate(), AZRI_FATE_REMOVED);
    set_fate(AZRI_FATE_NONE);
    /* what cannot be asked, or is not ours alone, is not marked */
    fake_fail(ON_FSTAT, ".azr/state", 0, 1, EIO);
    fake_fail(ON_UNLINKAT, "state", 0, 1, EPERM);
    FAILS(condemn(&had, false), AZR_EPERM, AZR_SUB_UNLINK, ".azr/state");
    assert_int_equal(fate(), AZRI_FATE_NONE);
    fake_fail(ON_PREAD, ".azr/state", 0, 1, EIO);
    fake_fail(ON_UNLINKAT, "state", 0, 1, EPERM);
    FAILS(condemn(&had, false), AZR_EPERM, AZR_SUB_UNLINK, ".azr/state");
    assert_int_equal(fate(), AZRI_FATE_NONE);
    assert_int_equal(link(below(0, ".azr/state"), below(0, "copy")), 0);
    OK(condemn(&had, false));
    assert_true(had);
    assert_int_equal(fate(), AZRI_FATE_NONE);
    assert_int_equal(mkfifo(below(0, ".azr/state"), 0644), 0);
    OK(condemn(&had, false));
    assert_true(had);
    put_file(below(0, ".azr/state"), "no header at all", 16);
    OK(condemn(&had, false));
    assert_true(had);
    assert_int_equal(rename(below(0, "copy"), below(0, ".azr/state")), 0);
    state_of(0)->map[0] ^= 1; /* a header that is none */
    OK(condemn(&had, false));
    assert_true(had);
    assert_int_equal(fate(), AZRI_FATE_NONE);
    assert_int_equal(rmdir(below(0, ".azr/tx")), 0);
    assert_int_equal(rmdir(below(0, ".azr")), 0);
    assert_int_equal(symlink("..", below(0, ".azr")), 0); /* a way out */
    OK(condemn(&had, false));
    assert_false(had);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_marks),         T(test_discarded),     T(test_replaced),
        T(test_remover),       T(test_not_forgotten), T(test_condemn),
        T(test_condemn_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
