/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/checks.h"

#include "base/alloc.h"
#include "model/plan.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

/* Start, count and step of slice.indices(n) in Python 3. A step is told as 1
 * where it has no effect. */
static const struct slice {
    const char *text;
    int64_t n, start, count, step;
} python[] = {
    // clang-format off
    {":", 1, 0, 1, 1},
    {":", 10, 0, 10, 1},
    {"::", 0, 0, 0, 1},
    {"::", 5, 0, 5, 1},
    {"::", 10, 0, 10, 1},
    {"::2", 5, 0, 3, 2},
    {"::2", 10, 0, 5, 2},
    {"2:6", 10, 2, 4, 1},
    {"2:6:2", 10, 2, 2, 2},
    {"2:6:5", 1, 1, 0, 1},
    {"2:6:5", 10, 2, 1, 1},
    {"-5:3", 1, 0, 1, 1},
    {"-5:3", 5, 0, 3, 1},
    {"-5:3", 10, 5, 0, 1},
    {"-5:-2", 10, 5, 3, 1},
    {"-5:", 0, 0, 0, 1},
    {"-5:", 10, 5, 5, 1},
    {"-1:", 5, 4, 1, 1},
    {"-1:", 10, 9, 1, 1},
    {":-1", 0, 0, 0, 1},
    {":-1", 10, 0, 9, 1},
    {":-3:2", 0, 0, 0, 1},
    {":-3:2", 1, 0, 0, 1},
    {":-3:2", 10, 0, 4, 2},
    {"3:-1", 5, 3, 1, 1},
    {"3:-1", 10, 3, 6, 1},
    {"8:-8", 10, 8, 0, 1},
    {"0:0", 10, 0, 0, 1},
    {"5:5", 5, 5, 0, 1},
    {"5:5", 10, 5, 0, 1},
    {"-3:-3", 1, 0, 0, 1},
    {"-3:-3", 5, 2, 0, 1},
    {"-3:-3", 10, 7, 0, 1},
    {"12:20", 10, 10, 0, 1},
    {"0:100:7", 10, 0, 2, 7},
    {"-100:2", 10, 0, 2, 1},
    {"-100:100:3", 0, 0, 0, 1},
    {"-100:100:3", 10, 0, 4, 3},
    {":100", 10, 0, 10, 1},
    {"-2:100", 0, 0, 0, 1},
    {"-2:100", 10, 8, 2, 1},
    {"9:", 0, 0, 0, 1},
    {"9:", 1, 1, 0, 1},
    {"9:", 10, 9, 1, 1},
    {"10:", 5, 5, 0, 1},
    {"10:", 10, 10, 0, 1},
    {"1:-9", 0, 0, 0, 1},
    {"1:-9", 5, 1, 0, 1},
    {"1:-9", 10, 1, 0, 1},
    {"0:-10", 1, 0, 0, 1},
    {"0:-10", 5, 0, 0, 1},
    {"0:-10", 10, 0, 0, 1},
    {"-10:10", 0, 0, 0, 1},
    {"-10:10", 10, 0, 10, 1},
    {"7:9223372036854775807:4", 0, 0, 0, 1},
    {"7:9223372036854775807:4", 5, 5, 0, 1},
    {"7:9223372036854775807:4", 10, 7, 1, 1},
    {"-9223372036854775808:4", 0, 0, 0, 1},
    {"-9223372036854775808:4", 5, 0, 4, 1},
    {"-9223372036854775808:4", 10, 0, 4, 1},
    {"2::3", 0, 0, 0, 1},
    {"2::3", 5, 2, 1, 1},
    {"2::3", 10, 2, 3, 3},
    {"::11", 5, 0, 1, 1},
    {"::11", 10, 0, 1, 1},
    {"::9223372036854775807", 0, 0, 0, 1},
    {"::9223372036854775807", 10, 0, 1, 1},
    {"-4::9223372036854775806", 0, 0, 0, 1},
    {"-4::9223372036854775806", 1, 0, 1, 1},
    {"-4::9223372036854775806", 10, 6, 1, 1},
    // clang-format on
};

static void resolve_1d(azri_plan *p, const char *text, int64_t n)
{
    static const int64_t chunk[] = {3};
    azr_error err = AZR_ERROR_INIT;
    azr_selection s;

    if (azr_selection_parse(&s, 1, text, &err) != AZR_OK ||
        azri_plan_init(p, &s, 1, &n, chunk, &err) != AZR_OK)
        fail_msg("\"%s\" of %d: %s", text, (int)n, err.message);
}

static void test_as_python(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof python / sizeof python[0]; i++) {
        const struct slice *t = &python[i];
        azri_plan p;

        resolve_1d(&p, t->text, t->n);
        if (p.result_shape[0] != t->count || p.step[0] != t->step ||
            (t->count > 0 && p.start[0] != t->start))
            fail_msg("\"%s\" of %d: start %d, count %d, step %d", t->text,
                     (int)t->n, (int)p.start[0], (int)p.result_shape[0],
                     (int)p.step[0]);
        azri_plan_dispose(&p);
    }
}

/* Does a[start:stop:step], missing numbers being INT64_MAX, hold index i of n?
 * Counted as a person would: bounds from the end are made absolute, then walked
 * from the first index on. */
static bool holds(int64_t start, int64_t stop, int64_t step, int64_t n,
                  int64_t i)
{
    int64_t from = start == INT64_MAX ? 0 : start < 0 ? start + n : start;
    int64_t to = stop == INT64_MAX ? n : stop < 0 ? stop + n : stop;

    if (from < 0)
        from = 0;
    for (int64_t k = from; k < to && k < n; k += step) {
        if (k == i)
            return true;
    }
    return false;
}

static void number_text(char *out, size_t size, int64_t number)
{
    if (number == INT64_MAX)
        out[0] = '\0';
    else
        (void)snprintf(out, size, "%d", (int)number);
}

static void check_slice(int64_t start, int64_t stop, int64_t step)
{
    char text[64], a[16], b[16];

    number_text(a, sizeof a, start);
    number_text(b, sizeof b, stop);
    (void)snprintf(text, sizeof text, "%s:%s:%d", a, b, (int)step);
    for (int64_t n = 0; n < 6; n++) {
        int64_t count = 0;
        azri_plan p;

        resolve_1d(&p, text, n);
        for (int64_t i = 0; i < n; i++) {
            if (!holds(start, stop, step, n, i))
                continue;
            assert_int_equal(p.start[0] + count * p.step[0], i);
            count++;
        }
        assert_int_equal(p.result_shape[0], count);
        azri_plan_dispose(&p);
    }
}

static void test_every_small_slice(void **state)
{
    static const int64_t bounds[] = {-7, -6, -5, -4, -3, -2, -1, 0,
                                     1,  2,  3,  4,  5,  6,  7,  INT64_MAX};
    size_t n = sizeof bounds / sizeof bounds[0];

    (void)state;
    for (size_t i = 0; i < n * n * 4; i++) {
        int64_t start = bounds[i % n], stop = bounds[i / n % n];
        int64_t step = (int64_t)(i / n / n) + 1;

        if ((start < 0) == (stop < 0) && start != INT64_MAX && start > stop)
            continue; /* refused, see below */
        check_slice(start, stop, step);
    }
}

/* ----------------------------------------------------------------- items --- */

/* What "text" selects of an array of 10 by 20 by 30. */
static const struct box {
    const char *text;
    int64_t start[3], count[3], step[3];
} boxes[] = {
    {"0, 10:20, ::4", {0, 10, 0}, {1, 10, 8}, {1, 1, 4}},
    {"[0,10:20,::4]", {0, 10, 0}, {1, 10, 8}, {1, 1, 4}},
    {" [ 0 , 10 : 20 , : : 4 , ] ", {0, 10, 0}, {1, 10, 8}, {1, 1, 4}},
    {"\t5\t", {5, 0, 0}, {1, 20, 30}, {1, 1, 1}},
    {"-1", {9, 0, 0}, {1, 20, 30}, {1, 1, 1}},
    {"-10, -20, -30", {0, 0, 0}, {1, 1, 1}, {1, 1, 1}},
    {"...", {0, 0, 0}, {10, 20, 30}, {1, 1, 1}},
    {"...,", {0, 0, 0}, {10, 20, 30}, {1, 1, 1}},
    {"..., 7", {0, 0, 7}, {10, 20, 1}, {1, 1, 1}},
    {"7, ...", {7, 0, 0}, {1, 20, 30}, {1, 1, 1}},
    {"1:3, ..., 7", {1, 0, 7}, {2, 20, 1}, {1, 1, 1}},
    {"..., 1:3, 7", {0, 1, 7}, {10, 2, 1}, {1, 1, 1}},
    {"1, ..., 2, 3", {1, 2, 3}, {1, 1, 1}, {1, 1, 1}},
    {"1, 2, 3, ...", {1, 2, 3}, {1, 1, 1}, {1, 1, 1}},
    {"0007,-01:", {7, 19, 0}, {1, 1, 30}, {1, 1, 1}},
};

static void test_boxes(void **state)
{
    static const int64_t shape[] = {10, 20, 30}, chunk[] = {4, 4, 4};

    (void)state;
    for (size_t i = 0; i < sizeof boxes / sizeof boxes[0]; i++) {
        const struct box *t = &boxes[i];
        azr_error err = AZR_ERROR_INIT;
        azr_selection s;
        azri_plan p;

        if (azr_selection_parse(&s, 3, t->text, &err) != AZR_OK)
            fail_msg("%s", err.message);
        assert_int_equal(azri_plan_init(&p, &s, 3, shape, chunk, NULL), AZR_OK);
        assert_memory_equal(p.start, t->start, sizeof t->start);
        assert_memory_equal(p.result_shape, t->count, sizeof t->count);
        assert_memory_equal(p.step, t->step, sizeof t->step);
        azri_plan_dispose(&p);
    }
}

static void test_rank_0(void **state)
{
    azr_selection s;
    azri_plan p;

    (void)state;
    assert_int_equal(azr_selection_parse(&s, 0, "...", NULL), AZR_OK);
    assert_int_equal(azri_plan_init(&p, &s, 0, NULL, NULL, NULL), AZR_OK);
    assert_int_equal(p.element_count, 1);
    azri_plan_dispose(&p);
}

/* Slices are cut, integers must be there. */
static void test_integers_must_lie_inside(void **state)
{
    static const char *const texts[] = {"10", "-11", "9223372036854775807",
                                        "-9223372036854775808"};
    static const int64_t shape[] = {10}, chunk[] = {4};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        azr_error err = AZR_ERROR_INIT;
        azr_selection s;
        azri_plan p;

        assert_int_equal(azr_selection_parse(&s, 1, texts[i], NULL), AZR_OK);
        assert_int_equal(azri_plan_init(&p, &s, 1, shape, chunk, &err),
                         AZR_EINVAL);
        assert_int_equal(err.sub, AZR_SUB_RANGE);
        assert_non_null(strstr(err.message, texts[i]));
        assert_non_null(strstr(err.message, "length 10"));
    }
}

/* -------------------------------------------------------------- refusals --- */

#define A16  "aaaaaaaaaaaaaaaa"
#define A256 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16

static const struct refusal {
    int rank;
    const char *text;
    int sub;
    const char *quote; /* in the message */
} refusals[] = {
    {1, "::0", AZR_SUB_RANGE, "\"::^0\": the step must be 1 or more"},
    {1, "::-1", AZR_SUB_RANGE, "\"::^-1\""},
    {1, "5:3", AZR_SUB_RANGE, "\"^5:3\": start lies behind stop"},
    {1, "-3:-5", AZR_SUB_RANGE, "\"^-3:-5\""},
    {2, "1, 5:3", AZR_SUB_RANGE, "\"1, ^5:3\""},
    {1, "100000000000000000000", AZR_SUB_RANGE,
     "\"^100000000000000000000\": the number needs more than 64 bits"},
    {1, "9223372036854775808", AZR_SUB_RANGE, "^9223372036854775808"},
    {1, "-9223372036854775809", AZR_SUB_RANGE, "^-9223372036854775809"},
    {1, ":18446744073709551617", AZR_SUB_RANGE, ":^18446744073709551617"},
    {1, "::100000000000000000000", AZR_SUB_RANGE, "::^10000000000000000000"},
    {1, "1, 2", AZR_SUB_RANK, "\"1, ^2\": the array has 1 dimension"},
    {2, "1, 2, ..., 3", AZR_SUB_RANK, "^3\": the array has 2 dimensions"},
    {0, "0", AZR_SUB_RANK, "\"^0\": the array has 0 dimensions"},
    {0, ":", AZR_SUB_RANK, "\"^:\""},
    {0, "", AZR_SUB_ARGUMENT, "\"^\": need \"...\""},
    {1, "", AZR_SUB_ARGUMENT, "\"^\": need a number, a slice"},
    {1, "  ", AZR_SUB_ARGUMENT, "\"  ^\""},
    {1, "[]", AZR_SUB_ARGUMENT, "\"[^]\""},
    {1, ",", AZR_SUB_ARGUMENT, "\"^,\""},
    {2, "1,,2", AZR_SUB_ARGUMENT, "\"1,^,2\""},
    {2, "1,,", AZR_SUB_ARGUMENT, "\"1,^,\""},
    {1, "-", AZR_SUB_ARGUMENT, "\"-^\": need a digit"},
    {1, "--1", AZR_SUB_ARGUMENT, "\"-^-1\""},
    {1, "- 1", AZR_SUB_ARGUMENT, "\"-^ 1\""},
    {1, "+1", AZR_SUB_ARGUMENT, "\"^+1\""},
    {1, "1:2:3:4", AZR_SUB_ARGUMENT, "\"1:2:3^:4\""},
    {1, "1 2", AZR_SUB_ARGUMENT, "\"1 ^2\": need \",\" or the end"},
    {1, "1_000", AZR_SUB_ARGUMENT, "\"1^_000\""},
    {1, "1.5", AZR_SUB_ARGUMENT, "\"1^.5\""},
    {1, "1e3", AZR_SUB_ARGUMENT, "\"1^e3\""},
    {1, "0x10", AZR_SUB_ARGUMENT, "\"0^x10\""},
    {1, "1;2", AZR_SUB_ARGUMENT, "\"1^;2\""},
    {1, "None", AZR_SUB_ARGUMENT, "\"^None\""},
    {1, "..", AZR_SUB_ARGUMENT, "\"^..\""},
    {1, "....", AZR_SUB_ARGUMENT, "\"...^.\""},
    {2, "..., ...", AZR_SUB_ARGUMENT, "\"..., ^...\": \"...\" may stand once"},
    {1, "[1", AZR_SUB_ARGUMENT, "\"[1^\": need \",\" or \"]\""},
    {1, "1]", AZR_SUB_ARGUMENT, "\"1^]\""},
    {1, "[1]]", AZR_SUB_ARGUMENT, "\"[1]^]\": need the end"},
    {1, "[1] 2", AZR_SUB_ARGUMENT, "\"[1] ^2\""},
    {1, "[[1]]", AZR_SUB_ARGUMENT, "\"[^[1]]\""},
    {1, "\xef\xbc\x91:3", AZR_SUB_ARGUMENT, "\"^\\xef\\xbc\\x91:3\""},
    {1, "\xd9\xa3", AZR_SUB_ARGUMENT, "\"^\\xd9\\xa3\""},
    {1, "1\n", AZR_SUB_ARGUMENT, "\"1^\\x0a\""},
    {1, "\x1b[31m", AZR_SUB_ARGUMENT, "\"^\\x1b[31m\""},
    {1, A256 "1", AZR_SUB_ARGUMENT, "\"^aaaaaaaaaaaaaaaaaaaaaaaa...\""},
    {1, "                                        x", AZR_SUB_ARGUMENT,
     "\"...                        ^x\""},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const struct refusal *t = &refusals[i];
        azr_error err = AZR_ERROR_INIT;
        azr_selection s, before;

        memset(&s, 0x5a, sizeof s);
        before = s;
        assert_int_equal(azr_selection_parse(&s, t->rank, t->text, &err),
                         AZR_EINVAL);
        if (err.sub != t->sub || !strstr(err.message, t->quote))
            fail_msg("\"%s\": sub %d, %s", t->text, err.sub, err.message);
        assert_memory_equal(&s, &before, sizeof s);
    }
}

static void test_bad_arguments(void **state)
{
    azr_selection s;

    (void)state;
    assert_int_equal(azr_selection_parse(NULL, 1, ":", NULL), AZR_EINVAL);
    assert_int_equal(azr_selection_parse(&s, 1, NULL, NULL), AZR_EINVAL);
    assert_int_equal(azr_selection_parse(&s, -1, ":", NULL), AZR_EINVAL);
    assert_int_equal(azr_selection_parse(&s, AZR_MAX_RANK + 1, ":", NULL),
                     AZR_EINVAL);
}

/* The longest legal text, and one dimension more. */
static void test_full_rank(void **state)
{
    char text[2 * AZR_MAX_RANK + 8] = "";
    azr_selection s;
    size_t used = 0;

    (void)state;
    for (int d = 0; d < AZR_MAX_RANK; d++) {
        text[used++] = ':';
        text[used++] = ',';
    }
    assert_int_equal(azr_selection_parse(&s, AZR_MAX_RANK, text, NULL), AZR_OK);
    memcpy(text + used, "...", 4);
    assert_int_equal(azr_selection_parse(&s, AZR_MAX_RANK, text, NULL), AZR_OK);
    memcpy(text + used, "0", 2);
    assert_int_equal(azr_selection_parse(&s, AZR_MAX_RANK, text, NULL),
                     AZR_EINVAL);
}

/* Every text of a few letters of the grammar: no crash, and what is taken can be
 * planned or is refused by name. Run this one under sanitizers. */
static void test_all_short_texts(void **state)
{
    static const char letters[] = "-019:,.[] ";
    static const int64_t shape[] = {3, 3}, chunk[] = {2, 2};
    size_t total = 10 * 10 * 10 * 10 * 10;
    int taken = 0;

    (void)state;
    for (size_t i = 0; i < total; i++) {
        char text[6] = "";
        azr_selection s;
        azri_plan p;
        size_t rest = i;

        for (int k = 0; k < 5; k++, rest /= 10)
            text[k] = letters[rest % 10];
        if (azr_selection_parse(&s, 2, text, NULL) != AZR_OK)
            continue;
        taken++;
        if (azri_plan_init(&p, &s, 2, shape, chunk, NULL) == AZR_OK)
            azri_plan_dispose(&p);
        else
            assert_non_null(strpbrk(text, "19"));
    }
    assert_in_range(taken, 500, total / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_python),
        cmocka_unit_test(test_every_small_slice),
        cmocka_unit_test(test_boxes),
        cmocka_unit_test(test_rank_0),
        cmocka_unit_test(test_integers_must_lie_inside),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_full_rank),
        cmocka_unit_test(test_all_short_texts),
    };

    (void)setlocale(LC_ALL, "");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
