/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays with a dimension of length 0: nothing to read or write, no error. */
#include "small.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void make(azr_array **out, char dir[64], int64_t rows, int64_t columns)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_error err = AZR_ERROR_INIT;
    char path[96];

    small_dir(dir, "zero-length");
    spec.rank = 2;
    spec.dtype = AZR_INT16;
    spec.shape[0] = rows;
    spec.shape[1] = columns;
    spec.chunks[0] = 2;
    spec.chunks[1] = 2;
    (void)snprintf(path, sizeof path, "%s/a", dir);
    assert_int_equal(azr_array_create(out, path, &spec, NULL, &err), AZR_OK);
}

static void drop(azr_array *a, const char *dir)
{
    azr_array_close(a);
    small_dir_remove(dir);
}

static void read_and_write(int64_t rows, int64_t columns)
{
    azr_selection all = azr_select_all(2);
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    char dir[64];
    int16_t value = 5;

    make(&a, dir, rows, columns);
    assert_int_equal(azr_array_write(a, &all, &value, 0, &err), AZR_OK);
    assert_int_equal(azr_array_read(a, &all, &value, 0, &err), AZR_OK);
    assert_int_equal(azr_array_read(a, &all, NULL, 0, &err), AZR_OK);
    assert_int_equal(value, 5);
    drop(a, dir);
}

static void test_no_rows(void **state)
{
    (void)state;
    read_and_write(0, 5);
}

static void test_no_columns(void **state)
{
    (void)state;
    read_and_write(4, 0);
}

/* A destination whose elements share a place stays refused. */
static void test_shared_destination(void **state)
{
    azr_selection all = azr_select_all(2);
    azr_error err = AZR_ERROR_INIT;
    azr_memory dst = {.struct_size = sizeof dst, .rank = 2};
    azr_array *a = NULL;
    char dir[64];
    int16_t values[8];

    (void)state;
    make(&a, dir, 2, 4);
    dst.data = values;
    dst.nbytes = sizeof values;
    dst.strides[1] = 2;
    assert_int_equal(azr_array_read_into(a, &all, &dst, &err), AZR_EINVAL);
    assert_non_null(strstr(err.message, "stride 0 in dimension 0"));
    drop(a, dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_rows),
        cmocka_unit_test(test_no_columns),
        cmocka_unit_test(test_shared_destination),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
