/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions over several arrays: what they see, what conflicts, and what is
 * refused. */
#include "several_scene.h"

static void test_all_at_once(void **state)
{
    azr_txn *txn = begin();
    azr_error err;
    int32_t v = 0;
    scene s;

    (void)state;
    begin_scene(&s);
    for (int k = ARRAYS - 1; k >= 0; k--) /* in any order */
        assert_int_equal(put(txn, s.a[k], k, 200 + k), AZR_OK);
    assert_int_equal(get(txn, s.a[2], 2, &v), AZR_OK);
    assert_int_equal(v, 202); /* its own write */
    assert_value(s.a[2], 2, 100);
    assert_int_equal(commit(txn, &err), AZR_OK);
    for (int k = 0; k < ARRAYS; k++) {
        assert_value(s.a[k], k, 200 + k);
        assert_value(s.a[k], (k + 1) % LENGTH, 100);
    }
    end_scene(&s);
}

static void test_given_up(void **state)
{
    azr_txn *txn = begin();
    scene s;

    (void)state;
    begin_scene(&s);
    assert_int_equal(put(txn, s.a[0], 0, 1), AZR_OK);
    assert_int_equal(put(txn, s.a[1], 0, 1), AZR_OK);
    azr_txn_free(txn);
    assert_value(s.a[0], 0, 100);
    assert_value(s.a[1], 0, 100);
    end_scene(&s);
}

/* Read in one array, written in another: it must still be so at the commit. */
static void test_conflict(void **state)
{
    azr_txn *txn = begin();
    azr_error err;
    int32_t v;
    scene s;

    (void)state;
    begin_scene(&s);
    assert_int_equal(get(txn, s.a[0], 0, &v), AZR_OK);
    assert_int_equal(put(txn, s.a[1], 0, v + 1), AZR_OK);
    assert_int_equal(put(NULL, s.a[0], 0, 7), AZR_OK);
    assert_int_equal(commit(txn, &err), AZR_ECONFLICT);
    assert_non_null(strstr(err.message, s.path[0]));
    assert_value(s.a[1], 0, 100);

    txn = begin();
    assert_int_equal(get(txn, s.a[0], 0, &v), AZR_OK);
    assert_int_equal(put(txn, s.a[1], 0, v + 1), AZR_OK);
    assert_int_equal(put(NULL, s.a[0], 5, 7), AZR_OK); /* another chunk */
    assert_int_equal(commit(txn, &err), AZR_OK);
    assert_value(s.a[1], 0, 8);
    end_scene(&s);
}

/* Two that each read what the other writes: one of them must give way. */
static void test_write_skew(void **state)
{
    azr_txn *x = begin(), *y = begin();
    azr_error err;
    int32_t v, w;
    scene s;

    (void)state;
    begin_scene(&s);
    assert_int_equal(get(x, s.a[0], 0, &v), AZR_OK);
    assert_int_equal(get(y, s.a[1], 0, &w), AZR_OK);
    assert_int_equal(put(x, s.a[1], 0, v - 1), AZR_OK);
    assert_int_equal(put(y, s.a[0], 0, w - 1), AZR_OK);
    assert_int_equal(commit(x, &err), AZR_OK);
    assert_int_equal(commit(y, &err), AZR_ECONFLICT);
    assert_value(s.a[0], 0, 100);
    assert_value(s.a[1], 0, 99);
    end_scene(&s);
}

/* Reads alone: of two arrays that moved in between, no old and new together. */
static void test_reads_alone(void **state)
{
    azr_txn *txn = begin();
    azr_error err;
    int32_t v, w;
    scene s;

    (void)state;
    begin_scene(&s);
    assert_int_equal(get(txn, s.a[0], 0, &v), AZR_OK);
    assert_int_equal(put(NULL, s.a[0], 0, 1), AZR_OK);
    assert_int_equal(put(NULL, s.a[1], 0, 1), AZR_OK);
    assert_int_equal(get(txn, s.a[1], 0, &w), AZR_OK);
    assert_int_equal(commit(txn, &err), AZR_ECONFLICT);
    end_scene(&s);
}

typedef struct attempt {
    scene *s;
    int times;
} attempt;

/* Disturbed three times: then all of it is locked before the body runs. */
static int disturbed(azr_txn *txn, void *arg, azr_error *err)
{
    attempt *t = arg;
    int32_t v, w;

    (void)err;
    if (get(txn, t->s->a[0], 0, &v) < 0 || get(txn, t->s->a[1], 0, &w) < 0)
        return AZR_EINVAL;
    if (t->times++ < 3 && put(NULL, t->s->a[1], 0, t->times) < 0)
        return AZR_EINVAL;
    if (t->times == 4 && put(NULL, t->s->a[1], 0, 9) != AZR_EBUSY)
        return AZR_EINVAL; /* it was not locked */
    return put(txn, t->s->a[0], 0, v + w) < 0 ? AZR_EINVAL : AZR_OK;
}

static void test_run_locks_first(void **state)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    attempt t = {.times = 0};
    scene s;

    (void)state;
    begin_scene(&s);
    t.s = &s;
    assert_int_equal(azr_txn_run(disturbed, &t, &o, &err), AZR_OK);
    assert_int_equal(t.times, 4);
    assert_value(s.a[0], 0, 103);
    assert_value(s.a[1], 0, 3);
    end_scene(&s);
}

static void test_two_handles(void **state)
{
    azr_txn *txn = begin();
    azr_array *again;
    int32_t v;
    scene s;

    (void)state;
    begin_scene(&s);
    again = open_at(s.path[0], AZR_OPEN_WRITE);
    assert_int_equal(put(txn, s.a[0], 0, 1), AZR_OK);
    assert_int_equal(put(txn, again, 1, 1), AZR_EINVAL);
    assert_int_equal(get(txn, again, 1, &v), AZR_EINVAL);
    azr_txn_free(txn);
    assert_value(s.a[0], 0, 100);
    azr_array_close(again);
    end_scene(&s);
}

static void test_two_durabilities(void **state)
{
    azr_txn *txn = begin();
    char path[96];
    azr_array *power;
    azr_error err;
    scene s;

    (void)state;
    begin_scene(&s);
    (void)snprintf(path, sizeof path, "%s/power", s.dir);
    make_at(path, AZR_DURABILITY_POWER);
    power = open_at(path, AZR_OPEN_WRITE);
    assert_int_equal(put(txn, s.a[0], 0, 1), AZR_OK);
    assert_int_equal(put(txn, power, 0, 1), AZR_OK);
    assert_int_equal(commit(txn, &err), AZR_EUNSUPPORTED);
    assert_non_null(strstr(err.message, "durability"));
    assert_value(s.a[0], 0, 100);
    assert_value(power, 0, 100);
    azr_array_close(power);
    end_scene(&s);
}

static void test_two_file_systems(void **state)
{
    char memory[] = "/dev/shm/azr-several-XXXXXX", path[64], command[96];
    struct stat here, there;
    azr_txn *txn;
    azr_array *far;
    azr_error err;
    int32_t v;
    scene s;

    (void)state;
    if (!mkdtemp(memory) || stat(memory, &there) != 0 || stat(".", &here) != 0)
        skip();
    (void)snprintf(command, sizeof command, "rm -rf '%s'", memory);
    if (here.st_dev == there.st_dev) {
        run_command(command);
        skip();
    }
    begin_scene(&s);
    (void)snprintf(path, sizeof path, "%s/far", memory);
    make_at(path, AZR_DURABILITY_PROCESS);
    far = open_at(path, AZR_OPEN_WRITE);
    txn = begin();
    assert_int_equal(put(txn, s.a[0], 0, 1), AZR_OK);
    assert_int_equal(put(txn, far, 0, 1), AZR_EUNSUPPORTED);
    azr_txn_free(txn);
    txn = begin(); /* to read it is no harm */
    assert_int_equal(get(txn, far, 0, &v), AZR_OK);
    assert_int_equal(put(txn, s.a[0], 0, v + 1), AZR_OK);
    assert_int_equal(commit(txn, &err), AZR_OK);
    assert_value(s.a[0], 0, 101);
    azr_array_close(far);
    run_command(command);
    end_scene(&s);
}

/* An array that only another program has written has no `state` to lock. */
static void test_cannot_be_locked(void **state)
{
    char command[1400], path[160];
    azr_array *plain;
    azr_txn *txn;
    azr_error err;
    int32_t v;
    scene s;

    (void)state;
    begin_scene(&s);
    (void)snprintf(path, sizeof path, "%s/plain", s.dir);
    (void)snprintf(command, sizeof command,
                   "cp -r '%s' '%s' && rm -r '%s/.azr'", s.path[0], path, path);
    run_command(command);
    plain = open_at(path, 0);
    txn = begin();
    assert_int_equal(get(txn, plain, 0, &v), AZR_OK);
    assert_int_equal(put(txn, s.a[1], 0, 1), AZR_OK);
    assert_int_equal(commit(txn, &err), AZR_EUNSUPPORTED);
    assert_non_null(strstr(err.message, path));
    assert_value(s.a[1], 0, 100);
    txn = begin(); /* reads alone need no lock */
    assert_int_equal(get(txn, plain, 0, &v), AZR_OK);
    assert_int_equal(get(txn, s.a[1], 0, &v), AZR_OK);
    assert_int_equal(commit(txn, &err), AZR_OK);
    azr_array_close(plain);
    end_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_conflict),
        cmocka_unit_test(test_write_skew),
        cmocka_unit_test(test_reads_alone),
        cmocka_unit_test(test_run_locks_first),
        cmocka_unit_test(test_two_handles),
        cmocka_unit_test(test_two_durabilities),
        cmocka_unit_test(test_two_file_systems),
        cmocka_unit_test(test_cannot_be_locked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
