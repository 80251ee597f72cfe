/* SPDX-License-Identifier: Apache-2.0 */
/* Few lock ranges out of many offsets: never less than was asked. */
#include "unit/checks.h"

#include "base/hash.h"
#include "txn/txn_local.h"

static azri_ranges r;

static int begin(void **state)
{
    (void)state;
    memset(&r, 0, sizeof r);
    return 0;
}

static void assert_range(size_t i, uint64_t first, uint64_t last,
                         bool exclusive)
{
    assert_true(i < r.n);
    assert_int_equal(r.list[i].first, first);
    assert_int_equal(r.list[i].last, last);
    assert_int_equal(r.list[i].exclusive, exclusive);
}

static void test_neighbours(void **state)
{
    (void)state;
    azri_ranges_add(&r, 5, true);
    azri_ranges_add(&r, 6, true);
    azri_ranges_add(&r, 6, true); /* once more */
    azri_ranges_add(&r, 5, true);
    assert_int_equal(r.n, 1);
    azri_ranges_add(&r, 7, false); /* beside, in another mode */
    azri_ranges_add(&r, 8, true);
    azri_ranges_add(&r, 4, true); /* before */
    azri_ranges_settle(&r);
    assert_int_equal(r.n, 3);
    assert_range(0, 4, 6, true);
    assert_range(1, 7, 7, false);
    assert_range(2, 8, 8, true);
}

/* The first one has no neighbour, whatever stands in memory before it. */
static void test_first(void **state)
{
    static struct {
        azri_range before;
        azri_ranges r;
    } s = {.before = {4, 4, true}};

    (void)state;
    azri_ranges_add(&s.r, 5, true);
    assert_int_equal(s.r.n, 1);
    assert_int_equal(s.r.list[0].first, 5);
    assert_int_equal(s.before.last, 4);
}

/* One byte may not be asked for twice: then exclusive. */
static void test_overlap(void **state)
{
    (void)state;
    azri_ranges_add(&r, 5, false);
    azri_ranges_add(&r, 6, false);
    azri_ranges_add(&r, 9, false);
    azri_ranges_add(&r, 5, true);
    azri_ranges_settle(&r);
    assert_int_equal(r.n, 2);
    assert_range(0, 5, 6, true);
    assert_range(1, 9, 9, false);
    begin(NULL);
    azri_ranges_add(&r, 5, true);
    azri_ranges_add(&r, 3, false);
    azri_ranges_add(&r, 4, false);
    azri_ranges_add(&r, 5, false);
    azri_ranges_settle(&r);
    assert_int_equal(r.n, 1);
    assert_range(0, 3, 5, true);
}

/* However many: at most so many, each asked one in one of them, the widest gaps
 * left. */
static void test_bounded(void **state)
{
    static uint64_t asked[1000];

    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        asked[i] = i * 1000 + azri_splitmix64(i) % 100;
        azri_ranges_add(&r, asked[i], i % 2 == 0);
        assert_true(r.n <= 2 * (size_t)AZRI_MAX_RANGES);
    }
    azri_ranges_add(&r, UINT64_C(1) << 40, false); /* far away */
    azri_ranges_settle(&r);
    assert_true(r.n <= AZRI_MAX_RANGES);
    for (size_t i = 0; i < 1000; i++) {
        bool found = false;

        for (size_t k = 0; k < r.n; k++)
            found |= asked[i] >= r.list[k].first &&
                     asked[i] <= r.list[k].last &&
                     (r.list[k].exclusive || i % 2 != 0);
        assert_true(found);
    }
    for (size_t k = 0; k + 1 < r.n; k++)
        assert_true(r.list[k].last < r.list[k + 1].first);
    assert_range(r.n - 1, UINT64_C(1) << 40, UINT64_C(1) << 40, false);
}

/* One too many: the two that are nearest become one. */
static void test_nearest(void **state)
{
    uint64_t at = 5;

    (void)state;
    for (size_t i = 0; i <= AZRI_MAX_RANGES; i++) {
        azri_ranges_add(&r, at, true);
        at += i == 3 ? 7 : 10;
    }
    azri_ranges_settle(&r);
    assert_int_equal(r.n, AZRI_MAX_RANGES);
    assert_range(2, 25, 25, true);
    assert_range(3, 35, 42, true);
    assert_range(4, 52, 52, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_neighbours, begin),
        cmocka_unit_test_setup(test_first, begin),
        cmocka_unit_test_setup(test_overlap, begin),
        cmocka_unit_test_setup(test_bounded, begin),
        cmocka_unit_test_setup(test_nearest, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
