/* SPDX-License-Identifier: Apache-2.0 */
/* Plans and copies at their limits: refusals, extremes, no memory. What they do
 * in between is test_plan.c. */
#include "unit/checks.h"

#include "model/plan.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- chance --- */

static uint64_t g_seed = 20260501;

static uint64_t chance(uint64_t below)
{
    g_seed ^= g_seed << 13;
    g_seed ^= g_seed >> 7;
    g_seed ^= g_seed << 17;
    return (g_seed >> 11) % below;
}

static int64_t between(int64_t low, int64_t high)
{
    return low + (int64_t)chance((uint64_t)(high - low + 1));
}

static void fill_chance(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)chance(256);
}

/* ------------------------------------------------------------- refusals --- */

struct refusal {
    azr_selection sel;
    int sub;
    const char *text; /* in the message */
};

static azr_selection with_flags(azr_selection s, uint32_t flags)
{
    s.flags = flags;
    return s;
}

static azr_selection with_kind(azr_selection s, uint32_t kind)
{
    s.kind = kind;
    return s;
}

static azr_selection with_size(azr_selection s, uint32_t size)
{
    s.struct_size = size;
    return s;
}

static azr_selection box(int64_t start, int64_t count, int64_t step)
{
    int64_t starts[] = {0, start}, counts[] = {1, count}, steps[] = {1, step};

    return azr_select_box(2, starts, counts, steps);
}

/* Array of 4 by 10. */
static void test_refusals(void **state)
{
    static const int64_t shape[] = {4, 10}, chunk[] = {2, 3};
    static const int64_t outside[] = {3, 9, 4, 0}, negative[] = {0, -1};
    const struct refusal table[] = {
        {box(11, 0, 1), AZR_SUB_RANGE, "dimension 1: start 11"},
        {box(-11, 1, 1), AZR_SUB_RANGE, "dimension 1: start -11"},
        {box(INT64_MIN, 1, 1), AZR_SUB_RANGE, "length 10"},
        {box(10, 1, 1), AZR_SUB_RANGE, "start 10, count 1"},
        {box(8, 3, 1), AZR_SUB_RANGE, "count 3"},
        {box(0, 4, 4), AZR_SUB_RANGE, "step 4"},
        {box(5, INT64_MAX, INT64_MAX), AZR_SUB_RANGE, "length 10"},
        {box(5, 2, INT64_MAX), AZR_SUB_RANGE, "length 10"},
        {box(5, INT64_MIN, 1), AZR_SUB_RANGE, "start 5 lies behind"},
        {box(5, AZR_TO_END - 6, 1), AZR_SUB_RANGE, "its end 4"},
        {box(0, 1, -1), AZR_SUB_RANGE, "step -1"},
        {azr_select_all(1), AZR_SUB_RANK, "rank 1, the array has 2"},
        {azr_select_all(33), AZR_SUB_RANK, "rank 33"},
        {azr_select_all(-1), AZR_SUB_RANK, "rank -1"},
        {azr_select_box(2, NULL, shape, NULL), AZR_SUB_RANK, "rank -1"},
        {azr_select_box(2, shape, NULL, NULL), AZR_SUB_RANK, "rank -1"},
        {azr_select_box(33, shape, shape, NULL), AZR_SUB_RANK, "rank 33"},
        {azr_select_points(2, outside, 2), AZR_SUB_RANGE,
         "point 1, dimension 0: 4"},
        {azr_select_points(2, negative, 1), AZR_SUB_RANGE, "dimension 1: -1"},
        {azr_select_points(2, NULL, 1), AZR_SUB_ARGUMENT, "no coordinates"},
        {azr_select_points(2, outside, SIZE_MAX / 8), AZR_SUB_RANGE,
         "too many"},
        {azr_select_points(2, outside, SIZE_MAX), AZR_SUB_RANGE, "too many"},
        {with_flags(azr_select_all(2), 2), AZR_SUB_ARGUMENT, "flags 0x2"},
        {with_flags(azr_select_points(2, outside, 1), AZR_SELECT_CLIP),
         AZR_SUB_ARGUMENT, "flags 0x1"},
        {with_kind(azr_select_all(2), 3), AZR_SUB_ARGUMENT, "kind 3"},
        {with_size(azr_select_all(2), 0), AZR_SUB_ARGUMENT, "struct_size 0"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        azr_error err = AZR_ERROR_INIT;
        azri_plan p;

        assert_int_equal(
            azri_plan_init(&p, &table[i].sel, 2, shape, chunk, &err),
            AZR_EINVAL);
        assert_int_equal(err.sub, table[i].sub);
        if (!strstr(err.message, table[i].text))
            fail_msg("row %zu: \"%s\"", i, err.message);
    }
    assert_int_equal(azri_plan_init(NULL, NULL, 2, shape, chunk, NULL),
                     AZR_EINVAL);
}

static void test_bad_grid(void **state)
{
    static const int64_t minus[] = {-1}, zero[] = {0}, one[] = {1};
    azr_selection all = with_kind(azr_select_all(1), AZR_SELECT_SLICES);
    azr_error err = AZR_ERROR_INIT;
    azri_plan p;

    (void)state;
    assert_int_equal(azri_plan_init(&p, &all, 1, minus, one, &err), AZR_EINVAL);
    assert_non_null(strstr(err.message, "length -1"));
    assert_int_equal(azri_plan_init(&p, &all, 1, one, zero, NULL), AZR_EINVAL);
}

static void test_needs_shape(void **state)
{
    static const int64_t zero[] = {0, 0}, one[] = {1, 1}, last[] = {0, -1};
    azr_selection s;

    (void)state;
    s = azr_select_box(2, zero, one, NULL);
    assert_false(azri_selection_needs_shape(&s));
    s.flags = AZR_SELECT_CLIP;
    assert_true(azri_selection_needs_shape(&s));
    s = azr_select_box(2, last, one, NULL);
    assert_true(azri_selection_needs_shape(&s));
    s = azr_select_box(2, zero, last, NULL);
    assert_true(azri_selection_needs_shape(&s));
    s = azr_select_points(2, last, 1);
    assert_false(azri_selection_needs_shape(&s));
    assert_int_equal(azr_selection_parse(&s, 2, "1, 2", NULL), AZR_OK);
    assert_false(azri_selection_needs_shape(&s));
    assert_int_equal(azr_selection_parse(&s, 2, "1, -2", NULL), AZR_OK);
    assert_true(azri_selection_needs_shape(&s));
    assert_int_equal(azr_selection_parse(&s, 2, "1, :2", NULL), AZR_OK);
    assert_true(azri_selection_needs_shape(&s));
}

/* --------------------------------------------------------------- extremes --- */

#define HUGE_LENGTH (INT64_C(1) << 62)

static void test_too_many_elements(void **state)
{
    static const int64_t shape[] = {HUGE_LENGTH, 2, 0}, chunk[] = {1, 1, 1};
    azr_selection all = azr_select_all(2);
    azr_error err = AZR_ERROR_INIT;
    azri_plan p;

    (void)state;
    assert_int_equal(azri_plan_init(&p, &all, 2, shape, chunk, &err),
                     AZR_EINVAL);
    assert_int_equal(err.sub, AZR_SUB_RANGE);
    /* unless one dimension is empty: then there is nothing at all */
    all.rank = 3;
    assert_int_equal(azri_plan_init(&p, &all, 3, shape, chunk, NULL), AZR_OK);
    assert_int_equal(p.element_count, 0);
    assert_int_equal(p.piece_count, 0);
    azri_plan_dispose(&p);
}

/* 2^61 chunks touched in jumps: planned without a table, any piece at once. */
static void test_jumps(void **state)
{
    static const int64_t shape[] = {HUGE_LENGTH}, chunk[] = {1};
    static const int64_t start[] = {1}, count[] = {HUGE_LENGTH / 2};
    static const int64_t step[] = {2};
    azr_selection s = azr_select_box(1, start, count, step);
    uint64_t heap = azri_heap_nbytes();
    azri_piece piece;
    azri_plan p;

    (void)state;
    assert_int_equal(azri_plan_init(&p, &s, 1, shape, chunk, NULL), AZR_OK);
    assert_int_equal(azri_heap_nbytes(), heap);
    assert_int_equal(p.piece_count, count[0]);
    azri_plan_piece(&p, p.piece_count - 1, &piece);
    assert_int_equal(piece.coords[0], HUGE_LENGTH - 1);
    assert_int_equal(piece.at[0], count[0] - 1);
    assert_int_equal(piece.count[0], 1);
    assert_true(piece.whole);
    assert_int_equal(azri_plan_cell(&p, 0, 3), 7);
    azri_plan_dispose(&p);
}

static void test_longest_dimension(void **state)
{
    static const int64_t shape[] = {INT64_MAX}, chunk[] = {1000};
    azr_selection all = azr_select_all(1);
    azri_piece piece;
    azri_plan p;

    (void)state;
    assert_int_equal(azri_plan_init(&p, &all, 1, shape, chunk, NULL), AZR_OK);
    assert_int_equal(p.element_count, INT64_MAX);
    azri_plan_piece(&p, p.piece_count - 1, &piece);
    assert_int_equal(piece.coords[0], INT64_MAX / 1000);
    assert_int_equal(piece.extent[0], INT64_MAX % 1000);
    assert_int_equal(piece.count[0], INT64_MAX % 1000);
    assert_true(piece.whole);
    azri_plan_dispose(&p);
}

/* A cut box whose end does not fit in 64 bits ends with the array. */
static void test_end_saturates(void **state)
{
    static const int64_t shape[] = {INT64_MAX}, chunk[] = {1000};
    static const int64_t start[] = {5}, count[] = {INT64_MAX}, step[] = {2};
    azr_selection s = azr_select_box(1, start, count, NULL);
    azri_plan p;

    (void)state;
    s.flags = AZR_SELECT_CLIP;
    assert_int_equal(azri_plan_init(&p, &s, 1, shape, chunk, NULL), AZR_OK);
    assert_int_equal(p.element_count, INT64_MAX - 5);
    s.step[0] = step[0];
    assert_int_equal(azri_plan_init(&p, &s, 1, shape, chunk, NULL), AZR_OK);
    assert_int_equal(p.element_count, INT64_MAX / 2 - 2);
    azri_plan_dispose(&p);
}

/* Chunk numbers of these do not fit in 64 bits together: sorted in groups. */
static void test_points_in_a_huge_grid(void **state)
{
    static const int64_t shape[] = {HUGE_LENGTH, HUGE_LENGTH, HUGE_LENGTH};
    static const int64_t chunk[] = {1, 2, 1};
    const int64_t far = HUGE_LENGTH - 1;
    const int64_t points[] = {far, 0,   0, 0, far, far, 0,   0, far, 0, far, 0,
                              0,   far, 0, 0, 0,   0,   far, 0, 0,   0, 1,   0};
    static const size_t want[] = {5, 7, 2, 3, 4, 1, 0, 6};
    static const size_t begin[] = {0, 2, 3, 5, 6, 8};
    azr_selection s = azr_select_points(3, points, 8);
    azri_plan p;

    (void)state;
    assert_int_equal(azri_plan_init(&p, &s, 3, shape, chunk, NULL), AZR_OK);
    assert_memory_equal(p.point_order, want, sizeof want);
    assert_int_equal(p.piece_count, 5);
    assert_memory_equal(p.piece_start, begin, sizeof begin);
    azri_plan_dispose(&p);
}

/* A list whose chunk numbers need several digits of the radix sort. */
static void test_many_points(void **state)
{
    enum { N = 20000 };
    static const int64_t shape[] = {50000, 50000}, chunk[] = {7, 1};
    int64_t *points = calloc(2 * N, sizeof *points);
    azr_selection s = azr_select_points(2, points, N);
    azri_plan p;

    (void)state;
    assert_non_null(points);
    for (size_t i = 0; i < N; i++) {
        points[2 * i] = between(0, shape[0] - 1);
        points[2 * i + 1] = between(0, 49) * 1000;
    }
    assert_int_equal(azri_plan_init(&p, &s, 2, shape, chunk, NULL), AZR_OK);
    for (size_t i = 1; i < N; i++) {
        size_t a = p.point_order[i - 1], b = p.point_order[i];
        int64_t ra = points[2 * a] / 7, rb = points[2 * b] / 7;
        int64_t ca = points[2 * a + 1], cb = points[2 * b + 1];

        assert_true(ra < rb || (ra == rb && ca < cb) ||
                    (ra == rb && ca == cb && a < b));
    }
    azri_plan_dispose(&p);
    free(points);
}

static void test_rank_0_points(void **state)
{
    static const int32_t values[] = {5, 6, 7};
    azr_selection s = azr_select_points(0, NULL, 3);
    int32_t chunk = 0;
    azri_piece piece;
    azr_memory m;
    azri_plan p;

    (void)state;
    s.point_count = SIZE_MAX;
    assert_int_equal(azri_plan_init(&p, &s, 0, NULL, NULL, NULL), AZR_EINVAL);
    s.point_count = 3;
    assert_int_equal(azri_plan_init(&p, &s, 0, NULL, NULL, NULL), AZR_OK);
    assert_int_equal(p.piece_count, 1);
    assert_int_equal(p.element_count, 3);
    azri_plan_piece(&p, 0, &piece);
    assert_true(piece.whole);
    memset(&m, 0, sizeof m);
    m.struct_size = (uint32_t)sizeof m;
    m.rank = 1;
    m.strides[0] = 4;
    m.data = (void *)(uintptr_t)values;
    m.nbytes = sizeof values;
    azri_gather(&p, &piece, &m, (uint8_t *)&chunk, NULL, 4, 1);
    assert_int_equal(chunk, 7); /* the last one wins */
    azri_plan_dispose(&p);
}

/* ----------------------------------------------------------------- memory --- */

struct bad_memory {
    int rank;
    size_t nbytes, offset;
    int64_t strides[2];
    int sub;
};

/* Result of 3 by 5, elements of 4 bytes: 60 bytes when dense. */
static void test_memory_refusals(void **state)
{
    static const int64_t shape[] = {3, 5};
    static const struct bad_memory table[] = {
        {1, 60, 0, {20, 4}, AZR_SUB_RANK},
        {2, 59, 0, {20, 4}, AZR_SUB_RANGE},
        {2, 60, 1, {20, 4}, AZR_SUB_RANGE},
        {2, 60, 39, {-20, 4}, AZR_SUB_RANGE},
        {2, 60, 15, {20, -4}, AZR_SUB_RANGE},
        {2, 60, 61, {0, 0}, AZR_SUB_RANGE},
        {2, 60, 57, {0, 0}, AZR_SUB_RANGE},
        {2, 3, 0, {0, 0}, AZR_SUB_RANGE},
        {2, 60, SIZE_MAX, {0, 0}, AZR_SUB_RANGE},
        {2, SIZE_MAX, SIZE_MAX - 4, {0, 0}, AZR_SUB_RANGE},
        {2, SIZE_MAX, 0, {INT64_MAX, 4}, AZR_SUB_RANGE},
        {2, SIZE_MAX, 0, {INT64_MAX / 2, 4}, AZR_SUB_RANGE},
        {2, SIZE_MAX, 0, {INT64_MIN, 4}, AZR_SUB_RANGE},
        {2, SIZE_MAX, INT64_MAX, {INT64_MIN / 2, 4}, AZR_SUB_RANGE},
    };
    azr_selection all = azr_select_all(2);
    uint8_t bytes[1];
    azri_plan p;

    (void)state;
    assert_int_equal(azri_plan_init(&p, &all, 2, shape, shape, NULL), AZR_OK);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct bad_memory *t = &table[i];
        azr_memory m = {(uint32_t)sizeof m, t->rank,   bytes,
                        t->nbytes,          t->offset, {0}};
        azr_error err = AZR_ERROR_INIT;

        memcpy(m.strides, t->strides, sizeof t->strides);
        if (azri_memory_check(&m, &p, 4, &err) != AZR_EINVAL ||
            err.sub != t->sub)
            fail_msg("row %zu: sub %d, \"%s\"", i, err.sub, err.message);
    }
    azri_plan_dispose(&p);
}

static void test_memory_form(void **state)
{
    static const int64_t shape[] = {3}, none[] = {0};
    azr_memory m = {(uint32_t)sizeof m, 1, NULL, 12, 0, {4}};
    azr_selection all = azr_select_all(1);
    uint8_t bytes[12];
    azri_plan p;

    (void)state;
    assert_int_equal(azri_plan_init(&p, &all, 1, shape, shape, NULL), AZR_OK);
    assert_int_equal(azri_memory_check(&m, &p, 4, NULL), AZR_EINVAL);
    m.data = bytes;
    assert_int_equal(azri_memory_check(&m, &p, 4, NULL), AZR_OK);
    m.struct_size--;
    assert_int_equal(azri_memory_check(&m, &p, 4, NULL), AZR_EINVAL);
    azri_plan_dispose(&p);

    /* rank 0: one element, and no stride that could stop a wild offset */
    all.rank = 0;
    assert_int_equal(azri_plan_init(&p, &all, 0, NULL, NULL, NULL), AZR_OK);
    m = (azr_memory){(uint32_t)sizeof m, 0, bytes, 12, SIZE_MAX, {0}};
    assert_int_equal(azri_memory_check(&m, &p, 4, NULL), AZR_EINVAL);
    m.offset = 8;
    assert_int_equal(azri_memory_check(&m, &p, 4, NULL), AZR_OK);
    azri_plan_dispose(&p);
    all.rank = 1;

    /* nothing selected: no memory, whatever the strides say */
    assert_int_equal(azri_plan_init(&p, &all, 1, none, shape, NULL), AZR_OK);
    m = (azr_memory){(uint32_t)sizeof m, 1, NULL, 0, 99, {INT64_MIN}};
    assert_int_equal(azri_memory_check(&m, &p, 4, NULL), AZR_OK);
    assert_int_equal(azri_memory_dense(&m, &p, NULL, 0, 4, NULL), AZR_OK);
    azri_plan_dispose(&p);
}

static void test_dense_overflow(void **state)
{
    static const int64_t shape[] = {HUGE_LENGTH}, chunk[] = {1};
    azr_selection all = azr_select_all(1);
    uint8_t bytes[1];
    azr_memory m;
    azri_plan p;

    (void)state;
    assert_int_equal(azri_plan_init(&p, &all, 1, shape, chunk, NULL), AZR_OK);
    /* 2^62 * 4 is 0 in 64 bits, 2^62 * 2 does not fit in int64 */
    assert_int_equal(azri_memory_dense(&m, &p, bytes, 1, 4, NULL), AZR_EINVAL);
    assert_int_equal(azri_memory_dense(&m, &p, bytes, SIZE_MAX, 2, NULL),
                     AZR_EINVAL);
    azri_plan_dispose(&p);
}

/* --------------------------------------------------------- many of a kind --- */

static void check_fill_elements(size_t item, size_t count, bool is_zero)
{
    uint8_t element[24];
    size_t total = item * count;
    uint8_t *bytes = malloc(total + 8);

    assert_non_null(bytes);
    fill_chance(element, sizeof element);
    if (is_zero)
        memset(element, 0, sizeof element);
    memset(bytes, 0xA5, total + 8);
    azri_fill_elements(bytes, element, item, count);
    for (size_t i = 0; i < total; i++)
        assert_int_equal(bytes[i], element[i % item]);
    for (size_t i = total; i < total + 8; i++)
        assert_int_equal(bytes[i], 0xA5);

    assert_true(azri_all_equal(bytes, element, item, count));
    for (int k = 0; k < 20 && total > 0; k++) {
        size_t i = k == 0 ? 0 : k == 1 ? total - 1 : chance(total);

        bytes[i] ^= 1;
        assert_false(azri_all_equal(bytes, element, item, count));
        bytes[i] ^= 1;
    }
    free(bytes);
}

static void test_fill_elements(void **state)
{
    static const size_t items[] = {1, 2, 3, 4, 8, 16, 24};
    static const size_t counts[] = {0, 1, 2, 3, 7, 511, 5000};

    (void)state;
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
            check_fill_elements(items[i], counts[k], false);
            check_fill_elements(items[i], counts[k], true);
        }
    }
}

/* An element wider than the block that is doubled. */
static void test_fill_wide_element(void **state)
{
    enum { WIDE = 20000, N = 5 };
    uint8_t *element = malloc(WIDE), *bytes = malloc(WIDE * N);

    (void)state;
    assert_true(element && bytes);
    fill_chance(element, WIDE);
    azri_fill_elements(bytes, element, WIDE, N);
    for (size_t i = 0; i < N; i++)
        assert_memory_equal(bytes + i * WIDE, element, WIDE);
    free(bytes);
    free(element);
}

/* Bits, not values: -0.0 is not 0.0, and a NaN is itself. */
static void test_all_equal_is_bitwise(void **state)
{
    static const double minus[] = {0.0, 0.0, -0.0}, zero = 0.0;
    double nans[3];

    (void)state;
    memset(nans, 0xff, sizeof nans);
    assert_false(azri_all_equal(minus, &zero, 8, 3));
    assert_true(azri_all_equal(minus, &zero, 8, 2));
    assert_true(azri_all_equal(nans, nans, 8, 3));
}

/* ----------------------------------------------------------- out of memory --- */

static int g_allocations_left = -1; /* below 0: no end */

static void *scarce_alloc(size_t nbytes, void *arg)
{
    (void)arg;
    if (g_allocations_left == 0)
        return NULL;
    if (g_allocations_left > 0)
        g_allocations_left--;
    return malloc(nbytes);
}

static void *scarce_resize(void *p, size_t nbytes, void *arg)
{
    (void)arg;
    if (g_allocations_left == 0)
        return NULL;
    return realloc(p, nbytes);
}

static void scarce_release(void *p, void *arg)
{
    (void)arg;
    free(p);
}

static void test_out_of_memory(void **state)
{
    static const int64_t shape[] = {9, 9}, chunk[] = {2, 2};
    static const int64_t points[] = {8, 8, 1, 1, 4, 0};
    azr_selection s = azr_select_points(2, points, 3);
    int rc = AZR_ENOMEM;
    int tries = 0;

    (void)state;
    for (; rc != AZR_OK; tries++) {
        azr_error err = AZR_ERROR_INIT;
        azri_plan p;

        g_allocations_left = tries;
        rc = azri_plan_init(&p, &s, 2, shape, chunk, &err);
        g_allocations_left = -1;
        if (rc == AZR_OK)
            azri_plan_dispose(&p);
        else
            assert_int_equal(err.code, AZR_ENOMEM);
        assert_int_equal(rc == AZR_OK ? AZR_OK : AZR_ENOMEM, rc);
        assert_int_equal(azri_heap_nbytes(), 0);
    }
    assert_true(tries > 3);
}

int main(void)
{
    static const azr_allocator scarce = {scarce_alloc, scarce_resize,
                                         scarce_release, NULL};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_bad_grid),
        cmocka_unit_test(test_needs_shape),
        cmocka_unit_test(test_too_many_elements),
        cmocka_unit_test(test_jumps),
        cmocka_unit_test(test_longest_dimension),
        cmocka_unit_test(test_end_saturates),
        cmocka_unit_test(test_points_in_a_huge_grid),
        cmocka_unit_test(test_many_points),
        cmocka_unit_test(test_rank_0_points),
        cmocka_unit_test(test_memory_refusals),
        cmocka_unit_test(test_memory_form),
        cmocka_unit_test(test_dense_overflow),
        cmocka_unit_test(test_fill_elements),
        cmocka_unit_test(test_fill_wide_element),
        cmocka_unit_test(test_all_equal_is_bitwise),
        cmocka_unit_test(test_out_of_memory),
    };

    if (azr_set_allocator(&scarce) != AZR_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
