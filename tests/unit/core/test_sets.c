/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of chunks: what could not be noted is not in the set, nor in its number. */
#include "core/transaction.h"
#include "unit/nomem.h"

static void note(azri_chunk_set *s, uint64_t row, uint64_t column)
{
    uint64_t coords[2] = {row, column};

    assert_int_equal(azri_set_add(s, 2, coords, NULL), AZR_OK);
}

static void test_no_memory_for_the_next(void **state)
{
    azri_chunk_set s = {0};
    uint64_t lost[2] = {0, 7}, kept[2] = {1, 2}, other[2] = {3, 4};
    azr_error err = AZR_ERROR_INIT;
    int rc;

    (void)state;
    note(&s, 3, 4);
    note(&s, 1, 2);
    do { /* until there is no room */
        nomem_arm(0);
        rc = azri_set_add(&s, 2, lost, &err);
        nomem_arm(-1);
    } while (rc == AZR_OK && s.n < 100);
    assert_int_equal(rc, AZR_ENOMEM);
    assert_int_equal(err.code, AZR_ENOMEM);
    assert_int_equal(s.coords.nbytes, s.n * sizeof lost);
    azri_set_sort(&s);
    assert_true(azri_set_has(&s, kept));
    assert_true(azri_set_has(&s, other));
    azri_buf_dispose(&s.coords);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_memory_for_the_next),
    };

    return cmocka_run_group_tests(tests, nomem_install, NULL);
}
