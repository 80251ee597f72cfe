/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions over several arrays: what they see, what conflicts, what is
 * refused, and what becomes of one whose other array is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <atomiczarr.h>

#include "os/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LENGTH 6
#define ARRAYS 5

typedef struct scene {
    char dir[64];
    char path[ARRAYS][160];
    azr_array *a[ARRAYS];
} scene;

static void make_at(const char *path, int durability)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    int32_t one = 100;

    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = LENGTH;
    spec.chunks[0] = 2;
    spec.durability = durability;
    assert_int_equal(azr_array_create(&a, path, &spec, NULL, &err), AZR_OK);
    assert_int_equal(azr_array_fill(a, &all, &one, sizeof one, &err), AZR_OK);
    azr_array_close(a);
}

static azr_array *open_at(const char *path, unsigned flags)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;

    o.flags = flags;
    o.timeout_ms = 0;
    assert_int_equal(azr_array_open(&a, path, &o, &err), AZR_OK);
    return a;
}

static void run_command(const char *command)
{
    assert_int_equal(system(command), 0);
}

static void begin_scene(scene *s)
{
    char group[96];

    (void)snprintf(s->dir, sizeof s->dir, "several-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    (void)snprintf(group, sizeof group, "%s/group", s->dir);
    assert_int_equal(mkdir(group, 0777), 0);
    for (int k = 0; k < ARRAYS; k++) {
        (void)snprintf(s->path[k], sizeof s->path[k], "%s/%s%d", s->dir,
                       k % 2 ? "group/" : "", k);
        make_at(s->path[k], AZR_DURABILITY_PROCESS);
        s->a[k] = open_at(s->path[k], AZR_OPEN_WRITE);
    }
}

static void close_arrays(scene *s)
{
    for (int k = 0; k < ARRAYS; k++) {
        azr_array_close(s->a[k]);
        s->a[k] = NULL;
    }
}

static void end_scene(scene *s)
{
    char command[96];

    close_arrays(s);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", s->dir);
    run_command(command);
}

static int get(azr_txn *txn, azr_array *a, int64_t i, int32_t *v)
{
    azr_selection s = AZR_BOX(1, {i}, {1});
    azr_error err = AZR_ERROR_INIT;

    return txn ? azr_txn_read(txn, a, &s, v, sizeof *v, &err)
               : azr_array_read(a, &s, v, sizeof *v, &err);
}

static int put(azr_txn *txn, azr_array *a, int64_t i, int32_t v)
{
    azr_selection s = AZR_BOX(1, {i}, {1});
    azr_error err = AZR_ERROR_INIT;

    return txn ? azr_txn_write(txn, a, &s, &v, sizeof v, &err)
               : azr_array_write(a, &s, &v, sizeof v, &err);
}

static void assert_value(azr_array *a, int64_t i, int32_t expected)
{
    int32_t v = 0;

    assert_int_equal(get(NULL, a, i, &v), AZR_OK);
    assert_int_equal(v, expected);
}

static azr_txn *begin(void)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_txn *txn = NULL;

    o.timeout_ms = 0;
    assert_int_equal(azr_txn_begin(&txn, &o, &err), AZR_OK);
    return txn;
}

static int commit(azr_txn *txn, azr_error *err)
{
    int rc;

    *err = (azr_error)AZR_ERROR_INIT;
    rc = azr_txn_commit(txn, err);
    azr_txn_free(txn);
    return rc;
}

/* ------------------------------------------------------------------ tests --- */

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
    char command[640], path[160];
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

/* ---------------------------------------------------------- the dead --- */

static struct azri_sys dying_sys;
static const char *g_die_after;

static void dying_store64(const char *what, _Atomic uint64_t *p, uint64_t value)
{
    azri_sys_posix.store64(what, p, value);
    if (strcmp(what, g_die_after) == 0)
        _exit(42);
}

/* A process that dies in a transfer between the first three arrays. */
static void die_after(scene *s, const char *what)
{
    pid_t pid;
    int status;

    close_arrays(s);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        azr_error err = AZR_ERROR_INIT;
        azr_txn *txn = begin();

        for (int k = 0; k < 3; k++) {
            s->a[k] = open_at(s->path[k], AZR_OPEN_WRITE);
            if (put(txn, s->a[k], 0, 50) < 0)
                _exit(1);
        }
        g_die_after = what;
        dying_sys = azri_sys_posix;
        dying_sys.store64 = dying_store64;
        azri_sys = &dying_sys;
        _exit(azr_txn_commit(txn, &err) < 0 ? 2 : 3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

static int read_one(const char *path, int32_t *v, azr_error *err)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_selection s = AZR_BOX(1, {0}, {1});
    azr_array *a = NULL;
    int rc;

    *err = (azr_error)AZR_ERROR_INIT;
    rc = azr_array_open(&a, path, &o, err);
    if (rc == AZR_OK)
        rc = azr_array_read(a, &s, v, sizeof *v, err);
    azr_array_close(a);
    return rc;
}

/* The whole tree may move: paths from array to array are relative. */
static void test_moved_tree(void **state)
{
    static const char *const points[] = {"row.prepared", "row.committed"};
    char moved[80];

    (void)state;
    for (int p = 0; p < 2; p++) {
        azr_error err;
        int32_t v;
        scene s;

        begin_scene(&s);
        die_after(&s, points[p]);
        (void)snprintf(moved, sizeof moved, "%s-moved", s.dir);
        assert_int_equal(rename(s.dir, moved), 0);
        for (int k = 0; k < 3; k++) {
            (void)snprintf(s.path[k], sizeof s.path[k], "%s/%s%d", moved,
                           k % 2 ? "group/" : "", k);
            assert_int_equal(read_one(s.path[k], &v, &err), AZR_OK);
            assert_int_equal(v, p == 0 ? 100 : 50);
        }
        for (int k = 0; k < 3; k++) {
            s.a[k] = open_at(s.path[k], AZR_OPEN_WRITE);
            assert_value(s.a[k], 0, p == 0 ? 100 : 50);
        }
        (void)snprintf(s.dir, sizeof s.dir, "%.60s", moved);
        end_scene(&s);
    }
}

/* The home is elsewhere: whoever meets the other rows is told; put back, all is
 * well. Which array is the home, the order of inodes says: each in turn goes. */
static void test_missing_array(void **state)
{
    char away[96];
    int told = 0;
    scene s;

    (void)state;
    begin_scene(&s);
    die_after(&s, "row.committed");
    (void)snprintf(away, sizeof away, "%s/away", s.dir);
    for (int gone = 0; gone < 3; gone++) {
        assert_int_equal(rename(s.path[gone], away), 0);
        for (int k = 0; k < 3; k++) {
            azr_error err;
            int32_t v = 0;
            int rc;

            if (k == gone)
                continue;
            rc = read_one(s.path[k], &v, &err);
            if (rc == AZR_ECORRUPT) {
                assert_int_equal(err.sub, AZR_SUB_STATE);
                assert_non_null(strstr(err.message, "put it back"));
                told++;
            } else {
                assert_int_equal(rc, AZR_OK);
                assert_int_equal(v, 50);
            }
        }
        assert_int_equal(rename(away, s.path[gone]), 0);
    }
    assert_int_equal(told, 2); /* both others, while the home was away */
    for (int k = 0; k < 3; k++) {
        s.a[k] = open_at(s.path[k], AZR_OPEN_WRITE);
        assert_value(s.a[k], 0, 50);
    }
    end_scene(&s);
}

/* A home row is not cleared while an array of its transaction is missing. */
static void test_missing_other(void **state)
{
    char away[96];
    int refused = 0;
    scene s;

    (void)state;
    begin_scene(&s);
    die_after(&s, "row.committed");
    (void)snprintf(away, sizeof away, "%s/away", s.dir);
    assert_int_equal(rename(s.path[0], away), 0);
    for (int k = 1; k < 3; k++) {
        azr_open_options o = AZR_OPEN_OPTIONS_INIT;
        azr_error err = AZR_ERROR_INIT;
        int rc;

        o.flags = AZR_OPEN_WRITE;
        rc = azr_array_open(&s.a[k], s.path[k], &o, &err);
        refused += rc == AZR_ECORRUPT;
        assert_true(rc == AZR_OK || rc == AZR_ECORRUPT);
    }
    /* array 0 was the home (both need it), or one of the others (the home does) */
    assert_true(refused > 0);
    assert_int_equal(rename(away, s.path[0]), 0);
    close_arrays(&s);
    for (int k = 2; k >= 0; k--) {
        s.a[k] = open_at(s.path[k], AZR_OPEN_WRITE);
        assert_value(s.a[k], 0, 50);
    }
    end_scene(&s);
}

/* Another array in the home's place is not the home. */
static void test_replaced_array(void **state)
{
    int told = 0;
    scene s;

    (void)state;
    begin_scene(&s);
    die_after(&s, "row.committed");
    for (int gone = 0; gone < 3; gone++) {
        char away[96];

        (void)snprintf(away, sizeof away, "%s/away", s.dir);
        assert_int_equal(rename(s.path[gone], away), 0);
        assert_int_equal(rename(s.path[3], s.path[gone]), 0);
        for (int k = 0; k < 3; k++) {
            azr_error err;
            int32_t v;

            if (k != gone)
                told += read_one(s.path[k], &v, &err) == AZR_ECORRUPT;
        }
        assert_int_equal(rename(s.path[gone], s.path[3]), 0);
        assert_int_equal(rename(away, s.path[gone]), 0);
    }
    assert_int_equal(told, 2);
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
        cmocka_unit_test(test_moved_tree),
        cmocka_unit_test(test_missing_array),
        cmocka_unit_test(test_missing_other),
        cmocka_unit_test(test_replaced_array),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
