/* SPDX-License-Identifier: Apache-2.0 */
/* Selections that only the shape completes are written like any others, when
 * the handle knows the newest document and when it does not. */
#include "small.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N 10

struct fixture {
    char dir[64];
    azr_array *a;
    azr_error err;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    azr_array_spec spec = small_line(3, N);

    assert_non_null(f);
    small_dir(f->dir, "open-selection");
    assert_int_equal(
        azr_array_create(&f->a, small_path(f->dir, "a"), &spec, NULL, &f->err),
        AZR_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    azr_array_close(f->a);
    small_dir_remove(f->dir);
    free(f);
    return 0;
}

static void assert_values(struct fixture *f, const int32_t *wanted, size_t n)
{
    int64_t start = 0, count = (int64_t)n;
    azr_selection all = azr_select_box(1, &start, &count, NULL);
    int32_t found[2 * N];

    memset(found, 0xee, sizeof found);
    assert_int_equal(azr_array_read(f->a, &all, found, sizeof found, &f->err),
                     AZR_OK);
    assert_memory_equal(found, wanted, n * sizeof *wanted);
}

static void test_all(void **state)
{
    struct fixture *f = *state;
    const int32_t values[N] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    azr_selection all = azr_select_all(1);

    assert_int_equal(
        azr_array_write(f->a, &all, values, sizeof values, &f->err), AZR_OK);
    assert_values(f, values, N);
}

static void test_negative_start(void **state)
{
    struct fixture *f = *state;
    const int32_t values[3] = {7, 8, 9};
    const int32_t wanted[N] = {0, 0, 0, 0, 0, 0, 0, 7, 8, 9};
    azr_selection tail = AZR_BOX(1, {-3}, {3});

    assert_int_equal(
        azr_array_write(f->a, &tail, values, sizeof values, &f->err), AZR_OK);
    assert_values(f, wanted, N);
}

static void test_slice_text(void **state)
{
    struct fixture *f = *state;
    const int32_t values[2] = {5, 6};
    const int32_t wanted[N] = {0, 0, 0, 0, 0, 0, 0, 0, 5, 6};
    azr_selection s;

    assert_int_equal(azr_selection_parse(&s, 1, "-2:", &f->err), AZR_OK);
    assert_int_equal(azr_array_write(f->a, &s, values, sizeof values, &f->err),
                     AZR_OK);
    assert_values(f, wanted, N);
}

/* Another handle grows the array: this one learns of it inside the operation. */
static void test_after_growth(void **state)
{
    struct fixture *f = *state;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    int32_t values[N + 3] = {0};
    int64_t shape = N + 3;
    azr_selection all = azr_select_all(1);
    azr_array *other = NULL;
    char path[96];

    for (int32_t i = 0; i < N + 3; i++)
        values[i] = i + 1;
    (void)snprintf(path, sizeof path, "%s/a", f->dir);
    o.flags = AZR_OPEN_WRITE;
    assert_int_equal(azr_array_open(&other, path, &o, &f->err), AZR_OK);
    assert_int_equal(azr_array_resize(other, 1, &shape, &f->err), AZR_OK);
    azr_array_close(other);
    assert_int_equal(
        azr_array_write(f->a, &all, values, sizeof values, &f->err), AZR_OK);
    assert_values(f, values, N + 3);
}

static int add_one(void *values, size_t nbytes, void *arg)
{
    int32_t *v = values;

    (void)arg;
    for (size_t i = 0; i < nbytes / sizeof *v; i++)
        v[i]++;
    return 0;
}

static void test_update(void **state)
{
    struct fixture *f = *state;
    const int32_t wanted[N] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    azr_selection all = azr_select_all(1);

    assert_int_equal(azr_array_update(f->a, &all, add_one, NULL, &f->err),
                     AZR_OK);
    assert_values(f, wanted, N);
}

static void test_transaction(void **state)
{
    struct fixture *f = *state;
    const int32_t values[N] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    azr_selection all = azr_select_all(1);
    azr_txn *t = NULL;

    assert_int_equal(azr_txn_begin(&t, NULL, &f->err), AZR_OK);
    assert_int_equal(
        azr_txn_write(t, f->a, &all, values, sizeof values, &f->err), AZR_OK);
    assert_int_equal(azr_txn_commit(t, &f->err), AZR_OK);
    azr_txn_free(t);
    assert_values(f, values, N);
}

/* A buffer that is too small for the resolved selection changes nothing. */
static void test_short_buffer(void **state)
{
    struct fixture *f = *state;
    const int32_t values[N] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    const int32_t zeros[N] = {0};
    azr_selection all = azr_select_all(1);

    assert_int_equal(
        azr_array_write(f->a, &all, values, sizeof values - 1, &f->err),
        AZR_EINVAL);
    assert_values(f, zeros, N);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all),          TEST(test_negative_start),
        TEST(test_slice_text),   TEST(test_after_growth),
        TEST(test_update),       TEST(test_transaction),
        TEST(test_short_buffer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
