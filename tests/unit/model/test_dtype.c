/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "model/dtype.h"

static void test_ids_are_rows(void **state)
{
    size_t count;
    const azri_dtype *table = azri_dtype_table(&count);

    (void)state;
    assert_int_equal(count, 14);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(azri_dtype_get(table[i].id), &table[i]);
        assert_int_equal(azr_dtype_nbytes(table[i].id), table[i].nbytes);
        assert_ptr_equal(azri_dtype_by_v3_name(table[i].v3_name), &table[i]);
        assert_ptr_equal(azri_dtype_by_v2_code(table[i].v2_code), &table[i]);
        assert_true(table[i].nbytes <= AZRI_FILL_NBYTES);
        assert_int_equal(table[i].nbytes % table[i].swap_unit, 0);
    }
    assert_null(azri_dtype_get(AZR_DTYPE_NONE));
    assert_null(azri_dtype_get(15));
    assert_null(azri_dtype_get(-1));
    assert_int_equal(azr_dtype_nbytes(15), 0);
    assert_null(azr_dtype_name(0));
    assert_null(azri_dtype_by_v3_name("string"));
}

/* Sizes follow from the names: nothing can slip in the table unseen. */
static void test_sizes_match_names(void **state)
{
    size_t count;
    const azri_dtype *table = azri_dtype_table(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        unsigned int v2 = 0, v3 = 8;

        assert_int_equal(sscanf(table[i].v2_code + 1, "%u", &v2), 1);
        (void)sscanf(table[i].v3_name + strcspn(table[i].v3_name, "123468"),
                     "%u", &v3);
        assert_int_equal(table[i].nbytes, v2);
        assert_int_equal(table[i].nbytes * 8, v3);
        assert_int_equal(table[i].swap_unit, table[i].kind == AZRI_KIND_COMPLEX
                                                 ? table[i].nbytes / 2
                                                 : table[i].nbytes);
    }
}

static void test_parse(void **state)
{
    static const struct {
        const char *name;
        int id, big;
    } good[] = {
        {"int32", AZR_INT32, 0},     {"<i4", AZR_INT32, 0},
        {"i4", AZR_INT32, 0},        {">f8", AZR_FLOAT64, 1},
        {"|b1", AZR_BOOL, 0},        {"bool", AZR_BOOL, 0},
        {"<u1", AZR_UINT8, 0},       {">c16", AZR_COMPLEX128, 1},
        {"float16", AZR_FLOAT16, 0}, {"complex64", AZR_COMPLEX64, 0},
    };
    static const char *const bad[] = {
        "",     "|i4", "=i4",   "<",      "i3",  "int",    "<U7",
        "|S3",  "|O",  "<M8",   "f16",    "c32", "int32 ", " int32",
        "<<i4", "i4x", "INT32", "<int32", "b2",
    };
    azr_error err;
    int id, big;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        err = (azr_error)AZR_ERROR_INIT;
        big = -1;
        expect_ok(azr_dtype_parse(&id, &big, good[i].name, &err), &err);
        assert_int_equal(id, good[i].id);
        assert_int_equal(big, good[i].big);
        expect_ok(azr_dtype_parse(&id, NULL, good[i].name, &err), &err);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        err = (azr_error)AZR_ERROR_INIT;
        id = 77;
        expect_error(azr_dtype_parse(&id, &big, bad[i], &err), &err, AZR_EINVAL,
                     "is not known");
        assert_int_equal(err.sub, AZR_SUB_DTYPE);
        assert_int_equal(id, 77); /* written only on success */
    }
    err = (azr_error)AZR_ERROR_INIT;
    expect_error(azr_dtype_parse(NULL, NULL, "int32", &err), &err, AZR_EINVAL,
                 "NULL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_are_rows),
        cmocka_unit_test(test_sizes_match_names),
        cmocka_unit_test(test_parse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
