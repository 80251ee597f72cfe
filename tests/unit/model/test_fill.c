/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "model/decimal.h"
#include "model/dtype.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>

/* Bits of the first component, whatever the type. */
static uint64_t low_bits(const uint8_t *p, size_t nbytes)
{
    uint16_t b2;
    uint32_t b4;
    uint64_t b8;

    switch (nbytes) {
    case 1:
        return p[0];
    case 2:
        memcpy(&b2, p, 2);
        return b2;
    case 4:
        memcpy(&b4, p, 4);
        return b4;
    default:
        memcpy(&b8, p, 8);
        return b8;
    }
}

typedef struct sample {
    const char *type;
    int format;
    const char *json;
    uint64_t bits, bits2; /* bits2: imaginary part */
} sample;

static const sample good[] = {
    {"bool", 3, "true", 1, 0},
    {"bool", 3, "false", 0, 0},
    {"bool", 3, "1", 1, 0},
    {"bool", 2, "0", 0, 0},
    {"int8", 3, "-128", 0x80, 0},
    {"int8", 3, " 127 ", 0x7F, 0},
    {"int16", 3, "-32768", 0x8000, 0},
    {"int32", 3, "-1", 0xFFFFFFFF, 0},
    {"int32", 3, "-0", 0, 0},
    {"int64", 3, "-9223372036854775808", 0x8000000000000000, 0},
    {"int64", 3, "9223372036854775807", 0x7FFFFFFFFFFFFFFF, 0},
    {"int64", 3, "9007199254740993", 0x20000000000001, 0},
    {"uint8", 3, "255", 255, 0},
    {"uint16", 3, "65535", 65535, 0},
    {"uint32", 3, "4294967295", 4294967295, 0},
    {"uint64", 3, "18446744073709551615", UINT64_MAX, 0},
    {"uint64", 3, "9007199254740993", 0x20000000000001, 0},
    {"uint8", 2, "0.0", 0, 0},
    {"uint8", 2, "\"7\"", 7, 0},
    {"int32", 2, "1e3", 1000, 0},
    {"int32", 2, "-12.50e1", (uint32_t)-125, 0},
    {"int64", 2, "-9223372036854775808.0", 0x8000000000000000, 0},
    {"uint64", 2, "1.8446744073709551615e19", UINT64_MAX, 0},
    {"uint64", 2, "0e999999999999", 0, 0},
    {"float16", 3, "0.1", 0x2E66, 0},
    {"float16", 3, "-0.0", 0x8000, 0},
    {"float16", 3, "65504", 0x7BFF, 0},
    {"float16", 3, "65519.99999999999999999999", 0x7BFF, 0},
    {"float16", 3, "5.9604644775390625e-8", 0x0001, 0},
    {"float16", 3, "2.98023223876953125e-8", 0x0000, 0}, /* a tie: even */
    {"float16", 3, "2.9802322387695312500000000000001e-8", 0x0001, 0},
    {"float16", 3, "8.94069671630859375e-8", 0x0002, 0}, /* a tie: even */
    {"float16", 3, "\"NaN\"", 0x7E00, 0},
    {"float16", 3, "\"Infinity\"", 0x7C00, 0},
    {"float16", 3, "\"-Infinity\"", 0xFC00, 0},
    {"float16", 3, "\"0x7e01\"", 0x7E01, 0},
    /* 2049 lies between the halves 2048 and 2050 */
    {"float16", 3, "2049", 0x6800, 0},
    {"float16", 3, "2049.0000000000000000000000000000001", 0x6801, 0},
    {"float16", 3, "2048.9999999999999999999999999999999", 0x6800, 0},
    {"float16", 3, "2051", 0x6802, 0},
    {"float16", 3, "2050.9999999999999999999999999999999", 0x6801, 0},
    {"float32", 3, "0.1", 0x3DCCCCCD, 0},
    {"float32", 3, "0.10000000149011612", 0x3DCCCCCD, 0},
    {"float32", 3, "1", 0x3F800000, 0},
    {"float32", 3, "-0.0", 0x80000000, 0},
    {"float32", 3, "-0", 0x80000000, 0},
    {"float32", 3, "1e-50", 0, 0},
    {"float32", 3, "\"0x7fC00001\"", 0x7FC00001, 0},
    {"float32", 3, "\"0x3f800000\"", 0x3F800000, 0},
    {"float32", 3, "\"\\u004eaN\"", 0x7FC00000, 0},
    /* 1 + 2^-24 is the tie; the digits beyond a double decide */
    {"float32", 3, "1.000000059604644775390625", 0x3F800000, 0},
    {"float32", 3, "1.00000005960464477539062500000001", 0x3F800001, 0},
    {"float64", 3, "0.1", 0x3FB999999999999A, 0},
    {"float64", 3, "5e-324", 1, 0},
    {"float64", 3, "1.7976931348623157e308", 0x7FEFFFFFFFFFFFFF, 0},
    {"float64", 3, "1e400000000000000000000", 0, 1}, /* see test_rejects */
    {"float64", 3, "\"NaN\"", 0x7FF8000000000000, 0},
    {"float64", 3, "\"-Infinity\"", 0xFFF0000000000000, 0},
    {"float64", 3, "\"0xfff8000000000123\"", 0xFFF8000000000123, 0},
    {"float64", 2, "\"1.5\"", 0x3FF8000000000000, 0},
    {"float64", 2, "NaN", 0x7FF8000000000000, 0},
    {"float64", 2, "-Infinity", 0xFFF0000000000000, 0},
    {"float32", 2, "Infinity", 0x7F800000, 0},
    {"complex64", 3, "[1, -2.5]", 0x3F800000, 0xC0200000},
    {"complex64", 3, "[\"NaN\", \"0xffc00001\"]", 0x7FC00000, 0xFFC00001},
    {"complex128", 3, "[\"-Infinity\",1]", 0xFFF0000000000000,
     0x3FF0000000000000},
    {"complex128", 2, "2", 0x4000000000000000, 0},
    {"complex64", 2, "0.0", 0, 0},
    {"complex64", 2, "\"AACAPwAAAMA=\"", 0x3F800000, 0xC0000000},
};

static int parse(uint8_t out[AZRI_FILL_NBYTES], bool *has_fill, const sample *s,
                 azr_error *err)
{
    return azri_fill_parse(out, has_fill, azri_dtype_by_v3_name(s->type),
                           s->format, s->json, strlen(s->json), err);
}

/* parse → bits → format → parse → the same bits, in both dialects. */
static void check_good(const sample *s)
{
    const azri_dtype *type = azri_dtype_by_v3_name(s->type);
    size_t unit =
        type->kind == AZRI_KIND_COMPLEX ? type->nbytes / 2 : type->nbytes;
    uint8_t out[AZRI_FILL_NBYTES], back[AZRI_FILL_NBYTES];
    bool has_fill = false;
    azr_error err = AZR_ERROR_INIT;
    azri_buf text = AZRI_BUF_INIT;

    expect_ok(parse(out, &has_fill, s, &err), &err);
    assert_true(has_fill);
    if (low_bits(out, unit) != s->bits)
        fail_msg("%s %s: bits %llx", s->type, s->json,
                 (unsigned long long)low_bits(out, unit));
    if (unit < type->nbytes)
        assert_true(low_bits(out + unit, unit) == s->bits2);
    for (size_t i = type->nbytes; i < AZRI_FILL_NBYTES; i++)
        assert_int_equal(out[i], 0);
    expect_ok(azri_fill_format(&text, type, 3, true, out, &err), &err);
    expect_ok(azri_fill_parse(back, &has_fill, type, 3, (char *)text.data,
                              text.nbytes, &err),
              &err);
    assert_memory_equal(back, out, sizeof out);
    azri_buf_dispose(&text);
}

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!strstr(good[i].json, "1e4000"))
            check_good(&good[i]);
    }
}

/* The same numbers where the radix point is a comma. */
static void test_locale(void **state)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR",
                                        "de_DE", "pl_PL.UTF-8"};
    bool found = false;

    for (size_t i = 0; i < sizeof names / sizeof names[0] && !found; i++)
        found = setlocale(LC_NUMERIC, names[i]) != NULL;
    if (!found)
        skip();
    assert_true(strcmp(localeconv()->decimal_point, ",") == 0);
    test_good(state);
    assert_non_null(setlocale(LC_NUMERIC, "C"));
}

static void test_rejects(void **state)
{
    static const sample bad[] = {
        {"bool", 3, "2", 0, 0},
        {"bool", 3, "\"true\"", 0, 0},
        {"bool", 3, "0.0", 0, 0},
        {"int8", 3, "128", 0, 0},
        {"int8", 3, "-129", 0, 0},
        {"int32", 3, "1.0", 0, 0},
        {"int32", 3, "1e3", 0, 0},
        {"int32", 3, "\"1\"", 0, 0},
        {"int32", 3, "true", 0, 0},
        {"int32", 3, "null", 0, 0},
        {"int32", 3, "NaN", 0, 0},
        {"int64", 3, "9223372036854775808", 0, 0},
        {"int64", 3, "-9223372036854775809", 0, 0},
        {"uint8", 3, "-1", 0, 0},
        {"uint8", 3, "256", 0, 0},
        {"uint64", 3, "18446744073709551616", 0, 0},
        {"uint64", 3, "99999999999999999999999999999999", 0, 0},
        {"int32", 2, "1.5", 0, 0},
        {"int32", 2, "1e-1", 0, 0},
        {"int32", 2, "1e99999999999999999999", 0, 0},
        {"int32", 2, "\"0x10\"", 0, 0},
        {"int32", 2, "\"+1\"", 0, 0},
        {"int32", 2, "\" 1\"", 0, 0},
        {"int32", 2, "\"\"", 0, 0},
        {"int32", 2, "NaN", 0, 0},
        {"float16", 3, "65520", 0, 0},
        {"float16", 3, "-65520", 0, 0},
        {"float32", 3, "3.5e38", 0, 0},
        {"float64", 3, "1e400000000000000000000", 0, 0},
        {"float64", 3, "1.8e308", 0, 0},
        {"float64", 3, "NaN", 0, 0},
        {"float64", 3, "\"1.5\"", 0, 0},
        {"float64", 3, "\"nan\"", 0, 0},
        {"float64", 3, "\"+Infinity\"", 0, 0},
        {"float64", 3, "\"0x7fc00000\"", 0, 0},
        {"float32", 3, "\"0x7fc0000\"", 0, 0},
        {"float32", 3, "\"0x7fc0000g\"", 0, 0},
        {"float32", 3, "\"0X7fc00000\"", 0, 0},
        {"float32", 3, "\"7fc00000\"", 0, 0},
        {"float32", 3, "false", 0, 0},
        {"float32", 3, "[1]", 0, 0},
        {"float32", 3, "{}", 0, 0},
        {"float32", 2, "\"1e999\"", 0, 0},
        {"complex64", 3, "1", 0, 0},
        {"complex64", 3, "[1]", 0, 0},
        {"complex64", 3, "[1,2,3]", 0, 0},
        {"complex64", 3, "[]", 0, 0},
        {"complex64", 3, "[1,null]", 0, 0},
        {"complex64", 3, "[1,[2]]", 0, 0},
        {"complex64", 3, "\"AACAPwAAAMA=\"", 0, 0},
        {"complex64", 2, "\"AACAPwAAAM==\"", 0, 0},
        {"complex64", 2, "\"AACAPwAAAMAA\"", 0, 0},
        {"complex64", 2, "\"=ACAPwAAAMA=\"", 0, 0},
        {"complex64", 2, "\"1+2j\"", 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t out[AZRI_FILL_NBYTES];
        bool has_fill = true;
        azr_error err = AZR_ERROR_INIT;

        memset(out, 0xA5, sizeof out);
        if (parse(out, &has_fill, &bad[i], &err) >= 0)
            fail_msg("%s %s was taken", bad[i].type, bad[i].json);
        assert_int_equal(err.code, AZR_EINVAL);
        assert_int_equal(err.sub, AZR_SUB_METADATA);
        assert_non_null(strstr(err.message, bad[i].type));
        assert_int_equal(out[0], 0xA5); /* untouched */
    }
}

static void test_not_json(void **state)
{
    static const char *const bad[] = {"",   " ",    "1 2", "01",  "+1",   "1.",
                                      ".5", "0x10", "nan", "[1,", "\"NaN"};
    uint8_t out[AZRI_FILL_NBYTES];
    bool has_fill;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        azr_error err = AZR_ERROR_INIT;

        expect_error(azri_fill_parse(out, &has_fill,
                                     azri_dtype_get(AZR_FLOAT64), 2, bad[i],
                                     strlen(bad[i]), &err),
                     &err, AZR_EINVAL, "byte");
    }
}

static void test_null(void **state)
{
    uint8_t out[AZRI_FILL_NBYTES], zeros[AZRI_FILL_NBYTES] = {0};
    azr_error err = AZR_ERROR_INIT;
    azri_buf text = AZRI_BUF_INIT;
    size_t count;
    const azri_dtype *table = azri_dtype_table(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        bool has_fill = true;

        memset(out, 1, sizeof out);
        expect_ok(
            azri_fill_parse(out, &has_fill, &table[i], 2, "null", 4, &err),
            &err);
        assert_false(has_fill);
        assert_memory_equal(out, zeros, sizeof out);
    }
    expect_ok(azri_fill_format(&text, table, 2, false, out, &err), &err);
    expect_text(&text, "null");
    azri_buf_dispose(&text);
}

/* What a user reads. */
static void test_text(void **state)
{
    static const struct {
        const char *type;
        int format;
        uint64_t bits;
        const char *text;
    } cases[] = {
        {"bool", 3, 0, "false"},
        {"bool", 3, 2, "true"},
        {"int8", 3, 0x80, "-128"},
        {"int64", 3, 0x8000000000000000, "-9223372036854775808"},
        {"uint64", 3, UINT64_MAX, "18446744073709551615"},
        {"float16", 3, 0x2E66, "0.1"},
        {"float16", 3, 0x0001, "6e-08"},
        {"float16", 3, 0x7BFF, "65500.0"},
        {"float32", 3, 0x3DCCCCCD, "0.1"},
        {"float32", 3, 0x00000001, "1e-45"},
        {"float32", 3, 0x7F7FFFFF, "3.4028235e+38"},
        {"float64", 3, 0x3FB999999999999A, "0.1"},
        {"float64", 3, 0x3FF0000000000000, "1.0"},
        {"float64", 3, 0, "0.0"},
        {"float64", 3, 0x8000000000000000, "-0.0"},
        {"float64", 3, 1, "5e-324"},
        {"float64", 3, 0x4341C37937E08000, "1e+16"},
        {"float64", 3, 0x430C6BF526340000, "1000000000000000.0"},
        {"float64", 3, 0x3F1A36E2EB1C432D, "0.0001"},
        {"float64", 3, 0x3EE4F8B588E368F1, "1e-05"},
        {"float64", 3, 0x3FF3C0CA428C59FB, "1.2345678901234567"},
        {"float64", 3, 0x7FF8000000000000, "\"NaN\""},
        {"float64", 3, 0xFFF8000000000000, "\"0xfff8000000000000\""},
        {"float64", 2, 0xFFF8000000000000, "\"NaN\""},
        {"float64", 3, 0x7FF0000000000001, "\"0x7ff0000000000001\""},
        {"float32", 3, 0xFF800000, "\"-Infinity\""},
        {"float16", 3, 0x7C00, "\"Infinity\""},
        {"complex64", 3, 0x3F800000, "[1.0, 0.0]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const azri_dtype *type = azri_dtype_by_v3_name(cases[i].type);
        uint8_t element[AZRI_FILL_NBYTES] = {0};
        uint8_t b1 = (uint8_t)cases[i].bits;
        uint16_t b2 = (uint16_t)cases[i].bits;
        uint32_t b4 = (uint32_t)cases[i].bits;
        azr_error err = AZR_ERROR_INIT;
        azri_buf text = AZRI_BUF_INIT;

        memcpy(element,
               type->swap_unit == 1   ? (void *)&b1
               : type->swap_unit == 2 ? (void *)&b2
               : type->swap_unit == 4 ? (void *)&b4
                                      : (const void *)&cases[i].bits,
               type->swap_unit);
        expect_ok(
            azri_fill_format(&text, type, cases[i].format, true, element, &err),
            &err);
        expect_text(&text, cases[i].text);
        text.nbytes = 0;
        if (cases[i].format == 3) {
            expect_ok(azri_element_format(&text, type, element, &err), &err);
            expect_text(&text, cases[i].text);
        }
        azri_buf_dispose(&text);
    }
}

/* Every half, and its neighbours' midpoint from both sides: exhaustive. */
static void test_every_half(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7C00; h++) {
        double low = azri_f16_to_f64((uint16_t)h);
        double high = h == 0x7BFF ? 65536 : azri_f16_to_f64((uint16_t)(h + 1));
        double middle = (low + high) / 2;
        uint16_t back;
        azri_decimal d;
        char text[160];

        assert_true(azri_decimal_format(text, low, 2) < AZRI_DECIMAL_TEXT);
        assert_true(azri_decimal_parse(&d, span_of(text)));
        assert_true(azri_decimal_f16(&d, &back));
        assert_int_equal(back, h);
        /* the tie goes to even; a hair above goes up */
        (void)snprintf(text, sizeof text, "%.60f", middle);
        assert_true(azri_decimal_parse(&d, span_of(text)));
        assert_int_equal(azri_decimal_f16(&d, &back), h < 0x7BFF);
        assert_int_equal(back, h + (h & 1));
        text[strlen(text) - 1] = '1';
        assert_true(azri_decimal_parse(&d, span_of(text)));
        assert_int_equal(azri_decimal_f16(&d, &back), h < 0x7BFF);
        assert_int_equal(back, h + 1);
    }
}

/* Random bits survive text. */
static void test_random_floats(void **state)
{
    uint64_t seed = 1234567;

    (void)state;
    for (int i = 0; i < 30000; i++) {
        uint64_t bits = next_random(&seed), bits_back;
        uint32_t low = (uint32_t)bits, low_back;
        double x, back;
        float f, f_back;
        azri_decimal d;
        char text[AZRI_DECIMAL_TEXT];

        if (i % 4 == 0)
            bits &= 0x800FFFFFFFFFFFFF; /* subnormal */
        memcpy(&x, &bits, 8);
        memcpy(&f, &low, 4);
        if (isfinite(x)) {
            assert_true(azri_decimal_format(text, x, 8) < AZRI_DECIMAL_TEXT);
            assert_true(azri_decimal_parse(&d, span_of(text)));
            assert_true(azri_decimal_f64(&d, &back));
            memcpy(&bits_back, &back, 8);
            assert_true(bits_back == bits);
        }
        if (isfinite(f)) {
            assert_true(azri_decimal_format(text, (double)f, 4) <
                        AZRI_DECIMAL_TEXT);
            assert_true(azri_decimal_parse(&d, span_of(text)));
            assert_true(azri_decimal_f32(&d, &f_back));
            memcpy(&low_back, &f_back, 4);
            assert_int_equal(low_back, low);
        }
    }
}

/* A million digits: linear, and the last one still counts. */
static void test_long_number(void **state)
{
    size_t n = 1000000;
    char *text = malloc(n);
    azri_decimal d;
    azri_span span = {(uint8_t *)text, n};
    float f;

    (void)state;
    assert_non_null(text);
    memset(text, '0', n);
    /* 1 + 2^-24, the tie, then zeros */
    memcpy(text, "1.000000059604644775390625", 26);
    assert_true(azri_decimal_parse(&d, span));
    assert_true(azri_decimal_f32(&d, &f));
    assert_false(f > 1.0F);
    text[n - 1] = '1';
    assert_true(azri_decimal_parse(&d, span));
    assert_true(azri_decimal_f32(&d, &f));
    assert_true(f > 1.0F);
    free(text);
}

/* The quick way to a shortest text is as short as trying every length. */
static void test_shortest(void **state)
{
    uint64_t seed = 99;

    (void)state;
    for (int i = 0; i < 5000; i++) {
        uint64_t bits = next_random(&seed);
        double x;
        azri_decimal d;
        char text[AZRI_DECIMAL_TEXT], tried[40];
        int n = 0;

        memcpy(&x, &bits, 8);
        if (!isfinite(x))
            continue;
        do
            (void)snprintf(tried, sizeof tried, "%.*e", n++, x);
        while (strtod(tried, NULL) < x || strtod(tried, NULL) > x);
        (void)azri_decimal_format(text, x, 8);
        assert_true(azri_decimal_parse(&d, span_of(text)));
        assert_int_equal(d.count, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_locale),
        cmocka_unit_test(test_rejects),
        cmocka_unit_test(test_not_json),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_every_half),
        cmocka_unit_test(test_long_number),
        cmocka_unit_test(test_random_floats),
        cmocka_unit_test(test_shortest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
