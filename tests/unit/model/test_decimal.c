/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as JSON writes them, to their limits; and text that is none. */
#include "testing.h"

#include "model/decimal.h"
#include "model/dtype.h"
#include "model/jsontext.h"

#include <math.h>

static void test_text_that_is_no_number(void **state)
{
    static const char *const bad[] = {
        "",   "-",   "+1",  ".5",    "1.", "1.e5",  "01",       "-01",
        "1e", "1e+", "1e-", "1ee5",  "e5", "1x",    "0x10",     "1 ",
        " 1", "--1", "NaN", "1.5.5", "1E", "1e5.0", "Infinity", "-.5"};
    azri_decimal d;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (azri_decimal_parse(&d, span_of(bad[i])))
            fail_msg("\"%s\" was taken", bad[i]);
    }
}

static void parse(azri_decimal *d, const char *text)
{
    if (!azri_decimal_parse(d, span_of(text)))
        fail_msg("\"%s\" was refused", text);
}

static void test_integers(void **state)
{
    static const struct {
        const char *text;
        bool fits;
        uint64_t value;
    } all[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"1e2", true, 100},
        {"12.50e1", true, 125},
        {"1.5", false, 0},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0}, /* by the last digit */
        {"18446744073709551620", false, 0}, /* by the one before it */
        {"184467440737095516150", false, 0},
        {"1e19", true, UINT64_C(10000000000000000000)},
        {"1e20", false, 0},
        {"1e400", false, 0},
        {"1e-400", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        azri_decimal d;
        uint64_t value = 0;

        parse(&d, all[i].text);
        if (azri_decimal_u64(&d, &value) != all[i].fits ||
            (all[i].fits && value != all[i].value))
            fail_msg("\"%s\": %llu", all[i].text, (unsigned long long)value);
    }
}

/* The least and the largest of each, and what lies beyond. */
static void test_limits_of_floats(void **state)
{
    azri_decimal d;
    uint16_t half = 1;
    float single = 1;
    double x = 1;

    (void)state;
    parse(&d, "1e309");
    assert_false(azri_decimal_f64(&d, &x));
    assert_false(azri_decimal_f32(&d, &single));
    assert_false(azri_decimal_f16(&d, &half));
    parse(&d, "-1e39");
    assert_false(azri_decimal_f32(&d, &single));
    parse(&d, "65519.99");
    assert_true(azri_decimal_f16(&d, &half));
    assert_int_equal(half, 0x7BFF);
    parse(&d, "65520");
    assert_false(azri_decimal_f16(&d, &half));
    parse(&d, "1e-100000");
    assert_true(azri_decimal_f64(&d, &x));
    assert_true(x == 0);
    parse(&d, "1e-9999999999999999999999");
    assert_true(azri_decimal_f64(&d, &x));
    assert_true(x == 0);
    parse(&d, "-0.0");
    assert_true(azri_decimal_f16(&d, &half));
    assert_int_equal(half, 0x8000);
    parse(&d, "-0");
    assert_true(azri_decimal_f32(&d, &single));
    assert_true(signbit(single));
}

static void test_halves(void **state)
{
    (void)state;
    assert_true(azri_f16_to_f64(0x7C00) == (double)INFINITY);
    assert_true(azri_f16_to_f64(0xFC00) == -(double)INFINITY);
    assert_true(isnan(azri_f16_to_f64(0x7E00)));
    assert_true(azri_f16_to_f64(0x3C00) == 1);
    assert_true(azri_f16_to_f64(0x0001) == 0x1p-24);
    assert_true(azri_f16_to_f64(0xC000) == -2);
}

/* ---------------------------------------------------------- values and text --- */

static void test_integers_of_json(void **state)
{
    static const char *const bad[] = {"1.0", "9223372036854775808", "true",
                                      "-9223372036854775809"};
    int64_t n = 7;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(azri_json_i64(span_of(bad[i]), &n));
    assert_true(azri_json_i64(span_of("-9223372036854775808"), &n));
    assert_true(n == INT64_MIN);
    assert_true(azri_json_i64(span_of("9223372036854775807"), &n));
    assert_true(n == INT64_MAX);
}

/* What \u can say, also by halves and in the wrong order. */
static void test_escapes(void **state)
{
    static const struct {
        const char *text, *decoded;
    } all[] = {
        {"\"\\u0041\\u00e9\\uFFFD\"", "A\xC3\xA9\xEF\xBF\xBD"},
        {"\"\\uD83D\\uDE00\"", "\xF0\x9F\x98\x80"},
        {"\"\\uD83D\"", "\xEF\xBF\xBD"},
        {"\"\\uD83Dx\"", "\xEF\xBF\xBDx"},
        {"\"\\uD83D------\"", "\xEF\xBF\xBD------"},
        {"\"\\uD83D\\n----\"", "\xEF\xBF\xBD\n----"},
        {"\"\\uD83D\\u0041\"", "\xEF\xBF\xBD"
                               "A"},
        {"\"\\uD83D\\uE000\"", "\xEF\xBF\xBD\xEE\x80\x80"},
        {"\"\\uDE00\\uD83D\"", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\"\\uE000\"", "\xEE\x80\x80"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        azr_error err = AZR_ERROR_INIT;
        azri_buf out = AZRI_BUF_INIT;

        expect_ok(azri_json_check(span_of(all[i].text), "it", AZR_EINVAL, &err),
                  &err);
        expect_ok(azri_json_unquote(&out, span_of(all[i].text), &err), &err);
        expect_text(&out, all[i].decoded);
        assert_true(azri_json_same(span_of(all[i].text), all[i].decoded));
        azri_buf_dispose(&out);
    }
}

/* A message quotes whole characters. */
static void test_snippets(void **state)
{
    char text[400];
    int n;

    (void)state;
    for (size_t k = 0; k < 4; k++) {
        memset(text, 'a', k);
        for (size_t i = k; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xE2\x82\xAC", 4);
        n = azri_json_snip(span_of(text));
        assert_in_range(n, 10, sizeof text - 8);
        assert_int_equal((n - (int)k) % 3, 0);
    }
    assert_int_equal(azri_json_snip(span_of("12")), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_that_is_no_number),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_limits_of_floats),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_integers_of_json),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_snippets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
