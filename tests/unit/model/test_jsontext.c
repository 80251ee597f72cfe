/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "model/jsontext.h"

#include <json-c/json.h>
#include <stdlib.h>

static azri_span literal(const char *text, size_t nbytes)
{
    azri_span s = {(const uint8_t *)text, nbytes};

    return s;
}

#define LITERAL(text) literal(text, sizeof text - 1)

static const char *const good[] = {
    "{}",
    "[]",
    "null",
    "true",
    " -0.5e+10 ",
    "NaN",
    "[NaN, Infinity, -Infinity]",
    "\xEF\xBB\xBF{\"bom\": 1}",
    "{\"a\": {\"b\": [1, {\"c\": null}]}, \"a\": 2}",
    "\"\\ud83d\\ude00 \\u0000 \xF0\x9F\x98\x80 \\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\ud800\"",
    "[123456789012345678901234567890]",
    "[[[[]]]]",
};

static void test_accepts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        azr_error err = AZR_ERROR_INIT;

        expect_ok(azri_json_check(span_of(good[i]), "doc", AZR_ECORRUPT, &err),
                  &err);
    }
}

/* Text, the byte where it goes wrong, and why. */
static void test_rejects(void **state)
{
    static const struct {
        const char *text;
        size_t nbytes;
        size_t at;
        const char *why;
    } bad[] = {
#define BAD(text, at, why) {text, sizeof text - 1, at, why}
        BAD("", 0, "expected a value"),
        BAD("\0\0\0\0", 0, "expected a value"),
        BAD("{\"a\": 1", 7, "expected ',' or '}'"),
        BAD("{\"a\": 1, ", 9, "expected a member name"),
        BAD("{\"a\"", 4, "expected ':'"),
        BAD("{\"a\":", 5, "expected a value"),
        BAD("{\"ab", 4, "string is not closed"),
        BAD("{\"a\": tru", 6, "expected a value"),
        BAD("{\"a\": 1,}", 8, "expected a member name"),
        BAD("[1,]", 3, "expected a value"),
        BAD("[1 2]", 3, "expected ',' or ']'"),
        BAD("[1}", 2, "expected ',' or ']'"),
        BAD("{\"a\" 1}", 5, "expected ':'"),
        BAD("{a: 1}", 1, "expected a member name"),
        BAD("{'a': 1}", 1, "expected a member name"),
        BAD("{} x", 3, "expected nothing more"),
        BAD("{}{}", 2, "expected nothing more"),
        BAD("{}\0", 2, "expected nothing more"),
        BAD("01", 0, "number begins with 0"),
        BAD("[-01]", 2, "number begins with 0"),
        BAD("1.", 2, "expected a digit"),
        BAD("1e", 2, "expected a digit"),
        BAD("-", 1, "expected a digit"),
        BAD("+1", 0, "expected a value"),
        BAD(".5", 0, "expected a value"),
        BAD("0x10", 1, "expected nothing more"),
        BAD("nan", 0, "expected a value"),
        BAD("-NaN", 1, "expected a digit"),
        BAD("-Inf", 1, "expected a value"),
        BAD("[1, // one\n 2]", 4, "expected a value"),
        BAD("\"a\nb\"", 2, "control character"),
        BAD("\"\0\"", 1, "control character"),
        BAD("\"\\x41\"", 2, "unknown escape"),
        BAD("\"\\", 2, "unknown escape"),
        BAD("\"\\u12g4\"", 2, "four hexadecimal digits"),
        BAD("\"\\u12", 2, "four hexadecimal digits"),
        BAD("\"\x80\"", 1, "not UTF-8"),
        BAD("\"\xC0\x80\"", 1, "not UTF-8"),         /* overlong NUL */
        BAD("\"\xE0\x80\xAF\"", 1, "not UTF-8"),     /* overlong '/' */
        BAD("\"\xED\xA0\x80\"", 1, "not UTF-8"),     /* surrogate */
        BAD("\"\xF4\x90\x80\x80\"", 1, "not UTF-8"), /* > U+10FFFF */
        BAD("\"\xF8\x88\x80\x80\x80\"", 1, "not UTF-8"),
        BAD("\"\xC3", 1, "not UTF-8"),
        BAD("\"\xC3\"", 1, "not UTF-8"),
        BAD("\xFF\xFE{\0}\0", 0, "expected a value"), /* UTF-16 */
        BAD("{\0}\0", 1, "expected a member name"),
        BAD("\xEF\xBB\xBF\xEF\xBB\xBF{}", 3, "expected a value"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        /* a copy of the exact size: the sanitizer sees a byte too far */
        uint8_t *copy = malloc(bad[i].nbytes + !bad[i].nbytes);
        azri_span text = {copy, bad[i].nbytes};
        azr_error err = AZR_ERROR_INIT;
        char place[40];

        assert_non_null(copy);
        memcpy(copy, bad[i].text, bad[i].nbytes);
        (void)snprintf(place, sizeof place, "doc: byte %zu: ", bad[i].at);
        expect_error(azri_json_check(text, "doc", AZR_ECORRUPT, &err), &err,
                     AZR_ECORRUPT, bad[i].why);
        assert_int_equal(err.sub, AZR_SUB_METADATA);
        if (strncmp(err.message, place, strlen(place)) != 0)
            fail_msg("\"%s\" is not at %zu", err.message, bad[i].at);
        free(copy);
    }
}

static void test_depth(void **state)
{
    struct json_object *tree;
    char text[2 * (AZRI_JSON_MAX_DEPTH + 1)];

    (void)state;
    for (size_t depth = 1; depth <= AZRI_JSON_MAX_DEPTH + 1; depth++) {
        azr_error err = AZR_ERROR_INIT, err2 = AZR_ERROR_INIT;
        azri_span span = {(uint8_t *)text, 2 * depth};
        int rc, rc2;

        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        rc = azri_json_check(span, "doc", AZR_ECORRUPT, &err);
        tree = NULL;
        rc2 = azri_json_parse(&tree, span, "doc", &err2);
        if (depth <= AZRI_JSON_MAX_DEPTH) {
            expect_ok(rc, &err);
            expect_ok(rc2, &err2); /* json-c must not be stricter */
        } else {
            expect_error(rc, &err, AZR_ECORRUPT, "64 levels");
            expect_error(rc2, &err2, AZR_ECORRUPT, "64 levels");
        }
        json_object_put(tree);
    }
}

/* A million levels: told at once, whatever they are made of. */
static void test_very_deep(void **state)
{
    size_t n = 5000000;
    char *text = malloc(n);
    azri_span span = {(uint8_t *)text, n};
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i + 5 <= n; i += 5)
        memcpy(text + i, "{\"a\":", 5);
    expect_error(azri_json_check(span, "doc", AZR_ECORRUPT, &err), &err,
                 AZR_ECORRUPT, "64 levels");
    free(text);
}

static void test_size(void **state)
{
    /* never read: the length alone is judged */
    azri_span span = {(const uint8_t *)"{}", AZRI_JSON_MAX_NBYTES + 1};
    struct json_object *tree = NULL;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    expect_error(azri_json_check(span, "doc", AZR_EINVAL, &err), &err,
                 AZR_EINVAL, "at most 67108864");
    assert_int_equal(err.sub, AZR_SUB_ARGUMENT);
    azri_error_reset(&err);
    expect_error(azri_json_parse(&tree, span, "doc", &err), &err, AZR_ECORRUPT,
                 "at most");
}

static void test_tree(void **state)
{
    struct json_object *tree = NULL, *member;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    expect_ok(azri_json_parse(&tree,
                              span_of("\xEF\xBB\xBF{\"a\": 1, \"n\": NaN, "
                                      "\"u\": 18446744073709551615, "
                                      "\"z\": \"x\\u0000y\", \"a\": 2} "),
                              "doc", &err),
              &err);
    assert_true(json_object_object_get_ex(tree, "a", &member));
    assert_int_equal(json_object_get_int64(member), 2); /* the last wins */
    assert_true(json_object_object_get_ex(tree, "u", &member));
    assert_true(json_object_get_uint64(member) == UINT64_MAX);
    assert_true(json_object_object_get_ex(tree, "z", &member));
    assert_int_equal(json_object_get_string_len(member), 3);
    assert_true(json_object_object_get_ex(tree, "n", &member));
    assert_true(json_object_is_type(member, json_type_double));
    json_object_put(tree);

    tree = (void *)&err;
    expect_ok(azri_json_parse(&tree, span_of("null"), "doc", &err), &err);
    assert_null(tree);
    expect_ok(azri_json_parse(&tree, span_of("42"), "doc", &err), &err);
    assert_int_equal(json_object_get_int64(tree), 42);
    json_object_put(tree);
}

static void test_tree_refuses(void **state)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"[18446744073709551616]", "64 bits"},
        {"[-9223372036854775809]", "64 bits"},
        {"{\"a\": 100000000000000000000000}", "64 bits"},
        {"{\"id\\u0000x\": \"zstd\"}", "\\u0000"},
        {"{", "byte 1"},
    };
    struct json_object *tree;
    azr_error err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tree = NULL;
        err = (azr_error)AZR_ERROR_INIT;
        expect_error(azri_json_parse(&tree, span_of(bad[i].text), "doc", &err),
                     &err, AZR_ECORRUPT, bad[i].why);
        assert_null(tree);
    }
    err = (azr_error)AZR_ERROR_INIT;
    expect_ok(azri_json_parse(&tree,
                              span_of("[18446744073709551615, "
                                      "-9223372036854775808]"),
                              "doc", &err),
              &err);
    json_object_put(tree);
}

/* Small text, huge tree: "[{},{},…": told before json-c sees it. */
static void test_tree_count(void **state)
{
    size_t count = AZRI_JSON_MAX_VALUES, n = 3 * count + 1;
    char *text = malloc(n);
    azri_span span = {(uint8_t *)text, n};
    struct json_object *tree = NULL;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < count; i++)
        memcpy(text + 3 * i, i == 0 ? "[{}" : ",{}", 3);
    text[n - 1] = ']';
    expect_ok(azri_json_check(span, "doc", AZR_ECORRUPT, &err), &err);
    expect_error(azri_json_parse(&tree, span, "doc", &err), &err, AZR_ECORRUPT,
                 "65536 values");
    free(text);
}

static void test_find(void **state)
{
    azri_span text = LITERAL(" {\"a\": [1, {\"b\": 0}], \"\\u0062\":  \"x}\","
                             " \"b\" : -7 , \"c\\u0000d\": 1, \"\": 5}");
    azri_span v = {NULL, 0};
    int64_t n;

    (void)state;
    assert_true(azri_json_find(text, "a", &v));
    assert_memory_equal(v.data, "[1, {\"b\": 0}]", v.nbytes);
    assert_true(azri_json_find(text, "b", &v)); /* the last one */
    assert_true(azri_json_i64(v, &n));
    assert_int_equal(n, -7);
    assert_true(azri_json_find(text, "", &v));
    assert_int_equal(v.nbytes, 1);
    assert_false(azri_json_find(text, "c", &v)); /* not cut at the NUL */
    assert_false(azri_json_find(text, "d", &v));
    assert_false(azri_json_find(span_of("[1]"), "a", &v));
}

static void test_strings(void **state)
{
    azri_buf out = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    expect_ok(azri_json_unquote(&out,
                                span_of("\"\\ud83d\\ude00\\u00e9\\u20ac\\n"
                                        "\\ud800x\\udc00\\ud800\\u0041\""),
                                &err),
              &err);
    expect_text(&out, "\xF0\x9F\x98\x80\xC3\xA9\xE2\x82\xAC\n\xEF\xBF\xBDx"
                      "\xEF\xBF\xBD\xEF\xBF\xBD"
                      "A");
    out.nbytes = 0;
    expect_ok(azri_json_quote(&out, "a\"\\\n\x01\0\xC3\xA9/", 9, &err), &err);
    expect_text(&out, "\"a\\\"\\\\\\n\\u0001\\u0000\xC3\xA9/\"");
    assert_true(azri_json_same(span_of("\"\\u0061b\""), "ab"));
    assert_false(azri_json_same(span_of("\"abc\""), "ab"));
    assert_false(azri_json_same(span_of("\"a\""), "ab"));
    expect_error(azri_json_quote(&out, "a\xFF", 2, &err), &err, AZR_EINVAL,
                 "byte 1");
    azri_buf_dispose(&out);
}

static void test_i64(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t n;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"1e30", false, 0},
        {"1.0", false, 0},
        {"\"10\"", false, 0},
        {"null", false, 0},
        {"true", false, 0},
        {"NaN", false, 0},
        {"-Infinity", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t n = 0;

        assert_int_equal(azri_json_i64(span_of(cases[i].text), &n),
                         cases[i].ok);
        assert_true(n == cases[i].n);
    }
}

/* ---------------------------------------------------------------- splice */

static void expect_splice(const char *text, const char *name, const char *value,
                          const char *wanted)
{
    azri_buf out = AZRI_BUF_INIT;
    azri_span v = {NULL, 0};
    azr_error err = AZR_ERROR_INIT;

    if (value)
        v = span_of(value);
    expect_ok(azri_json_splice(&out, span_of(text), name, v, &err), &err);
    expect_text(&out, wanted);
    azri_buf_dispose(&out);
}

static void test_splice_set(void **state)
{
    (void)state;
    expect_splice("{\"a\": 1, \"b\":2}", "a", "9", "{\"a\": 9, \"b\":2}");
    expect_splice("{\"a\": 1, \"a\":2}", "a", "9", "{\"a\": 1, \"a\":9}");
    expect_splice("{\"\\u0061\" : [ ] }\n", "a", "9", "{\"\\u0061\" : 9 }\n");
    expect_splice("\xEF\xBB\xBF {\"a\": NaN} ", "a", "{}",
                  "\xEF\xBB\xBF {\"a\": {}} ");
}

static void test_splice_add(void **state)
{
    (void)state;
    expect_splice("{}", "a", "1", "{\"a\": 1}");
    expect_splice("{ }\n", "a", "1", "{\"a\": 1 }\n");
    expect_splice("{\"a\":1}", "b", "2", "{\"a\":1,\"b\":2}");
    expect_splice("{\"a\": 1}", "b", "2", "{\"a\": 1, \"b\": 2}");
    expect_splice("{\"a\": 1, \"b\": 2}", "c", "3",
                  "{\"a\": 1, \"b\": 2, \"c\": 3}");
    expect_splice("{\n  \"a\": 1\n}", "b", "2",
                  "{\n  \"a\": 1,\n  \"b\": 2\n}");
    expect_splice("{\n    \"a\": [\n1 ],\n    \"q\" :NaN\n}\n", "\"\n", "2",
                  "{\n    \"a\": [\n1 ],\n    \"q\" :NaN,\n    \"\\\"\\n\" :2"
                  "\n}\n");
}

static void test_splice_remove(void **state)
{
    (void)state;
    expect_splice("{\"a\": 1, \"b\": 2}", "a", NULL, "{\"b\": 2}");
    expect_splice("{\"a\": 1, \"b\": 2}", "b", NULL, "{\"a\": 1}");
    expect_splice("{\"a\": 1, \"b\": 2}", "c", NULL, "{\"a\": 1, \"b\": 2}");
    expect_splice("{ \"a\": 1 }", "a", NULL, "{}");
    expect_splice("{}", "a", NULL, "{}");
    expect_splice("{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}\n", "b", NULL,
                  "{\n  \"a\": 1,\n  \"c\": 3\n}\n");
    expect_splice("{\n  \"a\": 1,\n  \"b\": 2\n}\n", "a", NULL,
                  "{\n  \"b\": 2\n}\n");
    expect_splice("{\n  \"a\": 1,\n  \"b\": 2\n}\n", "b", NULL,
                  "{\n  \"a\": 1\n}\n");
    /* every one of that name, or an old value would come back */
    expect_splice("{\"a\":1,\"b\":2,\"a\":3,\"c\":4,\"a\":5}", "a", NULL,
                  "{\"b\":2,\"c\":4}");
    expect_splice("{\"a\":1,\"a\":2}", "a", NULL, "{}");
}

/* A random value, as text. */
static void put_random(azri_buf *out, uint64_t *seed, int depth)
{
    static const char *const scalars[] = {"0",
                                          "-1.50e+3",
                                          "\"x\\u0000\\\"}{][,:\"",
                                          "true",
                                          "null",
                                          "NaN",
                                          "\"\xC3\xA9\"",
                                          "123456789012345678901234567890",
                                          "\"\"",
                                          "1E-7",
                                          "-Infinity"};
    static const char *const gaps[] = {"", " ", "\n  ", "\t", "\r\n"};
    azr_error err = AZR_ERROR_INIT;
    uint64_t kind = depth > 3 ? 0 : next_random(seed) % 4;
    uint64_t count = next_random(seed) % 4;

    if (kind < 2) {
        expect_ok(azri_buf_puts(out, scalars[next_random(seed) % 11], &err),
                  &err);
        return;
    }
    expect_ok(azri_buf_puts(out, kind == 2 ? "[" : "{", &err), &err);
    for (uint64_t i = 0; i < count; i++) {
        const char *gap = gaps[next_random(seed) % 5];

        expect_ok(azri_buf_printf(out, &err, "%s%s", i > 0 ? "," : "", gap),
                  &err);
        if (kind == 3)
            expect_ok(azri_buf_printf(out, &err, "\"%c\"%s:%s",
                                      (int)('a' + next_random(seed) % 5),
                                      gaps[next_random(seed) % 2],
                                      gaps[next_random(seed) % 2]),
                      &err);
        put_random(out, seed, depth + 1);
        expect_ok(azri_buf_puts(out, gaps[next_random(seed) % 5], &err), &err);
    }
    expect_ok(azri_buf_puts(out, kind == 2 ? "]" : "}", &err), &err);
}

/* Members of `text` other than `name`, as they are spelt, in order. */
static void others(azri_buf *out, azri_span text, const char *name)
{
    azri_json_walk walk = azri_json_begin(text);
    azri_json_item item;
    azr_error err = AZR_ERROR_INIT;

    while (azri_json_next(&walk, &item)) {
        if (azri_json_same(item.name, name))
            continue;
        expect_ok(azri_buf_append(out, item.name.data, item.name.nbytes, &err),
                  &err);
        expect_ok(
            azri_buf_append(out, item.value.data, item.value.nbytes, &err),
            &err);
    }
}

/* Over many documents: the result is JSON, the member is what was asked for, the
 * others are as they were, and setting the old value gives the old bytes. */
static void check_splice_once(uint64_t *seed)
{
    azri_buf text = AZRI_BUF_INIT, out = AZRI_BUF_INIT, back = AZRI_BUF_INIT;
    azri_buf before = AZRI_BUF_INIT, after = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;
    char name[2] = {(char)('a' + next_random(seed) % 6), '\0'};
    azri_span old, found, value = {NULL, 0};
    bool had;

    do {
        text.nbytes = 0;
        put_random(&text, seed, 0);
    } while (azri_json_type_of(azri_buf_span(&text)) != AZRI_JSON_OBJECT);
    if (next_random(seed) % 3 > 0)
        value = span_of("[ \"new\" ]");
    had = azri_json_find(azri_buf_span(&text), name, &old);
    expect_ok(azri_json_splice(&out, azri_buf_span(&text), name, value, &err),
              &err);
    expect_ok(azri_json_check(azri_buf_span(&out), "out", AZR_ECORRUPT, &err),
              &err);
    assert_int_equal(azri_json_find(azri_buf_span(&out), name, &found),
                     value.data != NULL);
    if (value.data)
        assert_memory_equal(found.data, value.data, value.nbytes);
    others(&before, azri_buf_span(&text), name);
    others(&after, azri_buf_span(&out), name);
    assert_int_equal(before.nbytes, after.nbytes);
    if (before.nbytes > 0)
        assert_memory_equal(before.data, after.data, before.nbytes);
    if (had && value.data) {
        expect_ok(azri_json_splice(&back, azri_buf_span(&out), name, old, &err),
                  &err);
        assert_int_equal(back.nbytes, text.nbytes);
        assert_memory_equal(back.data, text.data, text.nbytes);
    }
    azri_buf_dispose(&text);
    azri_buf_dispose(&out);
    azri_buf_dispose(&back);
    azri_buf_dispose(&before);
    azri_buf_dispose(&after);
}

static void test_splice_property(void **state)
{
    uint64_t seed = 20260101;

    (void)state;
    for (int i = 0; i < 20000; i++)
        check_splice_once(&seed);
}

/* Text cut anywhere, or with a byte changed, is told or read: never a crash,
 * and what check takes, json-c takes too. */
static void test_damage(void **state)
{
    uint64_t seed = 4242;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        azri_buf text = AZRI_BUF_INIT;
        azr_error err = AZR_ERROR_INIT, err2 = AZR_ERROR_INIT;
        struct json_object *tree = NULL;
        azri_span span;
        uint8_t *copy;

        put_random(&text, &seed, 0);
        span = azri_buf_span(&text);
        if (next_random(&seed) & 1)
            span.nbytes = next_random(&seed) % (span.nbytes + 1);
        copy = malloc(span.nbytes + 1);
        assert_non_null(copy);
        memcpy(copy, span.data, span.nbytes);
        if (next_random(&seed) & 1 && span.nbytes > 0)
            copy[next_random(&seed) % span.nbytes] =
                (uint8_t)next_random(&seed);
        copy = realloc(copy, span.nbytes + !span.nbytes);
        assert_non_null(copy);
        span.data = copy;
        if (azri_json_check(span, "doc", AZR_ECORRUPT, &err) < 0)
            assert_int_equal(azri_json_parse(&tree, span, "doc", &err2),
                             AZR_ECORRUPT);
        else if (azri_json_parse(&tree, span, "doc", &err2) < 0)
            assert_non_null(strstr(err2.message, "integer needs more"));
        json_object_put(tree);
        free(copy);
        azri_buf_dispose(&text);
    }
}

static void test_pretty(void **state)
{
    azri_buf out = AZRI_BUF_INIT, again = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    expect_ok(azri_json_pretty(&out,
                               span_of(" {\"a\":[ ],\"b\":{ } ,\"c\":[1,"
                                       "{\"d\" : \"x,y:{\"}],\"e\":1.0e5}\n"),
                               2, &err),
              &err);
    expect_text(&out, "{\n"
                      "  \"a\": [],\n"
                      "  \"b\": {},\n"
                      "  \"c\": [\n"
                      "    1,\n"
                      "    {\n"
                      "      \"d\": \"x,y:{\"\n"
                      "    }\n"
                      "  ],\n"
                      "  \"e\": 1.0e5\n"
                      "}");
    expect_ok(azri_json_pretty(&again, azri_buf_span(&out), 2, &err), &err);
    assert_int_equal(again.nbytes, out.nbytes);
    assert_memory_equal(again.data, out.data, out.nbytes);
    azri_buf_dispose(&out);
    azri_buf_dispose(&again);
}

static void test_snip(void **state)
{
    char text[100];

    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text + 59, "\xE2\x82\xAC", 3);
    assert_int_equal(azri_json_snip(literal(text, 100)), 59);
    assert_int_equal(azri_json_snip(literal(text, 5)), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_rejects),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_very_deep),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_tree_refuses),
        cmocka_unit_test(test_tree_count),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_i64),
        cmocka_unit_test(test_splice_set),
        cmocka_unit_test(test_splice_add),
        cmocka_unit_test(test_splice_remove),
        cmocka_unit_test(test_splice_property),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_pretty),
        cmocka_unit_test(test_snip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
