/* SPDX-License-Identifier: Apache-2.0 */
/* Changing one thing in a document, and nothing else. */
#include "documents.h"

static azri_meta *parse_text(int format, const char *text, const char *zattrs)
{
    azri_meta *m = NULL;
    azr_error err = AZR_ERROR_INIT;

    expect_ok(azri_meta_parse(&m, format, span_of(text),
                              zattrs ? span_of(zattrs) : no_text(), &err),
              &err);
    return m;
}

/* head + mid + tail is a document; mid is replaced. */
static void expect_parts(const azri_buf *out, const char *head,
                         const char *middle, const char *tail)
{
    azri_buf wanted = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;

    expect_ok(azri_buf_printf(&wanted, &err, "%s%s%s", head, middle, tail),
              &err);
    expect_text(out, (char *)wanted.data);
    azri_buf_dispose(&wanted);
}

static void test_shape_keeps_layout(void **state)
{
    static const char shape[] = "[\n        10,\n        20\n    ]";
    const char *at = strstr(base_v2, shape);
    azri_meta *m = parse_text(2, base_v2, NULL);
    azri_buf out = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;
    const int64_t bigger[2] = {123456789012, 0};
    char head[sizeof base_v2] = "";

    (void)state;
    assert_non_null(at);
    memcpy(head, base_v2, (size_t)(at - base_v2));
    expect_ok(azri_meta_with_shape(&out, m, bigger, &err), &err);
    expect_parts(&out, head, "[\n        123456789012,\n        0\n    ]",
                 at + strlen(shape));
    azri_buf_dispose(&out);
    azri_meta_free(m);
}

static void test_shape_refuses(void **state)
{
    azri_meta *m = parse_text(3, base_v3, NULL);
    azri_buf out = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;
    const int64_t negative[2] = {1, -1};
    const int64_t huge[2] = {INT64_C(1) << 32, INT64_C(1) << 32};

    (void)state;
    expect_error(azri_meta_with_shape(&out, m, negative, &err), &err,
                 AZR_EINVAL, "shape[1] is -1");
    assert_int_equal(err.sub, AZR_SUB_RANGE);
    err = (azr_error)AZR_ERROR_INIT;
    expect_error(azri_meta_with_shape(&out, m, huge, &err), &err, AZR_EINVAL,
                 "2^64");
    assert_int_equal(out.nbytes, 0);
    azri_buf_dispose(&out);
    azri_meta_free(m);
}

static void expect_attribute(int format, const char *text, const char *zattrs,
                             const char *name, const char *json,
                             const char *wanted)
{
    azri_meta *m = parse_text(format, text, zattrs);
    azri_buf out = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;

    expect_ok(azri_meta_with_attribute(&out, m, name, json, &err), &err);
    expect_text(&out, wanted);
    azri_buf_dispose(&out);
    azri_meta_free(m);
}

#define V3_HEAD                                                                \
    "{\n  \"shape\": [],\n  \"data_type\": \"bool\",\n  \"chunk_grid\": "      \
    "{\"name\": \"regular\", \"configuration\": {\"chunk_shape\": []}},\n  "   \
    "\"chunk_key_encoding\": \"default\",\n  \"fill_value\": 0,\n  "           \
    "\"codecs\": [\"bytes\"],\n"
#define V3_TAIL "  \"zarr_format\": 3,\n  \"node_type\": \"array\"\n}\n"

static void test_attributes_v3(void **state)
{
    static const char empty[] = V3_HEAD "  \"attributes\": {},\n" V3_TAIL;
    static const char absent[] = V3_HEAD V3_TAIL;
    static const char one[] =
        V3_HEAD "  \"attributes\": {\n    \"a\": NaN\n  },\n" V3_TAIL;
    static const char two[] = V3_HEAD
        "  \"attributes\": {\n    \"a\": NaN,\n    \"b\": [1]\n  },\n" V3_TAIL;

    (void)state;
    expect_attribute(3, empty, NULL, "a", " NaN ", one);
    expect_attribute(3, one, NULL, "b", "[1]", two);
    expect_attribute(3, two, NULL, "b", NULL, one);
    expect_attribute(3, two, NULL, "c", NULL, two);
    expect_attribute(3, one, NULL, "a", NULL, empty);
    expect_attribute(3, empty, NULL, "a", NULL, empty);
    expect_attribute(3, absent, NULL, "a", NULL, absent);
    expect_attribute(3, absent, NULL, "a", "1",
                     V3_HEAD "  \"zarr_format\": 3,\n"
                             "  \"node_type\": \"array\",\n"
                             "  \"attributes\": {\n    \"a\": 1\n  }\n}\n");
}

static void test_attributes_v3_compact(void **state)
{
    azri_meta *m = parse_text(3, base_v3, NULL);
    azri_buf out = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    expect_ok(azri_meta_with_attribute(&out, m, "k\"\xC3\xA9", "{}", &err),
              &err);
    expect_ok(azri_buf_terminate(&out, &err), &err);
    assert_non_null(
        strstr((char *)out.data, "\"attributes\":{\"k\\\"\xC3\xA9\": {}},"));
    azri_buf_dispose(&out);
    azri_meta_free(m);
}

static void test_attributes_v2(void **state)
{
    (void)state;
    expect_attribute(2, base_v2, NULL, "a", "1", "{\n  \"a\": 1\n}");
    expect_attribute(2, base_v2, "{}", "a", "1", "{\n  \"a\": 1\n}");
    expect_attribute(2, base_v2, "{\n    \"a\": 1\n}\n", "b", "2",
                     "{\n    \"a\": 1,\n    \"b\": 2\n}\n");
    expect_attribute(2, base_v2, "{\"a\":1,\"b\":2}", "a", NULL, "{\"b\":2}");
    expect_attribute(2, base_v2, "{\"a\":1}", "a", NULL, "{}");
    expect_attribute(2, base_v2, NULL, "a", NULL, "{}");
}

static void test_attribute_refuses(void **state)
{
    azri_meta *m = parse_text(3, base_v3, NULL);
    azri_buf out = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;
    char deep[2 * AZRI_JSON_MAX_DEPTH + 1] = "";

    (void)state;
    expect_error(azri_meta_with_attribute(&out, m, "a", "{", &err), &err,
                 AZR_EINVAL, "attribute value: byte 1");
    err = (azr_error)AZR_ERROR_INIT;
    expect_error(azri_meta_with_attribute(&out, m, "a", "1 2", &err), &err,
                 AZR_EINVAL, "nothing more");
    err = (azr_error)AZR_ERROR_INIT;
    expect_error(azri_meta_with_attribute(&out, m, "\xFF", "1", &err), &err,
                 AZR_EINVAL, "UTF-8");
    err = (azr_error)AZR_ERROR_INIT;
    expect_error(azri_meta_with_attribute(&out, m, NULL, "1", &err), &err,
                 AZR_EINVAL, "NULL");
    /* deep enough by itself, too deep inside the document */
    memset(deep, '[', AZRI_JSON_MAX_DEPTH);
    memset(deep + AZRI_JSON_MAX_DEPTH, ']', AZRI_JSON_MAX_DEPTH);
    err = (azr_error)AZR_ERROR_INIT;
    expect_error(azri_meta_with_attribute(&out, m, "a", deep, &err), &err,
                 AZR_EINVAL, "64 levels");
    azri_buf_dispose(&out);
    azri_meta_free(m);
}

static void test_attributes_text(void **state)
{
    azri_meta *m = parse_text(3, base_v3, NULL);
    azri_buf out = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    expect_ok(azri_meta_attributes(&out, m, &err), &err);
    expect_text(&out, "{}");
    azri_meta_free(m);
    out.nbytes = 0;
    m = must_parse(3, "attributes",
                   "{ \"a\" : [NaN,1.50],\n \"a\":\"\\u00e9\"}");
    expect_ok(azri_meta_attributes(&out, m, &err), &err);
    expect_text(&out, "{ \"a\" : [NaN,1.50],\n \"a\":\"\\u00e9\"}");
    azri_meta_free(m);
    out.nbytes = 0;
    m = must_parse(3, "attributes", NULL);
    expect_ok(azri_meta_attributes(&out, m, &err), &err);
    expect_text(&out, "{}");
    azri_buf_dispose(&out);
    azri_meta_free(m);
}

/* The n-th allocation fails, for each n: told as AZR_ENOMEM, nothing leaks. */
static size_t allocations, failing;

static void *count_alloc(size_t nbytes, void *arg)
{
    (void)arg;
    return ++allocations == failing ? NULL : test_malloc(nbytes);
}

static void *count_resize(void *p, size_t nbytes, void *arg)
{
    (void)arg;
    return ++allocations == failing ? NULL : test_realloc(p, nbytes);
}

static void count_release(void *p, void *arg)
{
    (void)arg;
    test_free(p);
}

static int everything(azr_error *err)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azri_buf text = AZRI_BUF_INIT, zattrs = AZRI_BUF_INIT, out = AZRI_BUF_INIT;
    azri_meta *m = NULL;
    const int64_t shape[2] = {7, 9};
    const char *const names[2] = {"y", NULL};
    int rc;

    spec.rank = 2;
    spec.dtype = AZR_COMPLEX64;
    spec.order = 'F';
    spec.chunks[0] = spec.chunks[1] = 2;
    spec.codecs = "blosc:lz4:5:shuffle,crc32c";
    spec.fill_value = "[1, \"NaN\"]";
    spec.attributes = "{\"a\": 1}";
    spec.dimension_names = names;
    rc = azri_meta_compose(&text, &zattrs, &spec, err);
    if (rc >= 0)
        rc = azri_meta_parse(&m, 3, azri_buf_span(&text), no_text(), err);
    if (rc >= 0)
        rc = azri_meta_with_shape(&out, m, shape, err);
    out.nbytes = 0;
    if (rc >= 0)
        rc = azri_meta_with_attribute(&out, m, "b", "[]", err);
    azri_meta_free(m);
    m = NULL;
    if (rc >= 0)
        rc = azri_meta_parse(&m, 2, span_of(base_v2), span_of("{\"q\": 1}"),
                             err);
    azri_meta_free(m);
    azri_buf_dispose(&text);
    azri_buf_dispose(&zattrs);
    azri_buf_dispose(&out);
    return rc;
}

static void test_no_memory(void **state)
{
    const azr_allocator counting = {count_alloc, count_resize, count_release,
                                    NULL};
    azr_error err;
    int rc;

    (void)state;
    assert_int_equal(azri_heap_nbytes(), 0);
    if (azr_set_allocator(&counting) < 0)
        fail_msg("the allocator cannot be set");
    for (failing = 1;; failing++) {
        allocations = 0;
        err = (azr_error)AZR_ERROR_INIT;
        rc = everything(&err);
        assert_int_equal(azri_heap_nbytes(), 0);
        if (allocations < failing)
            break; /* past the last one */
        expect_error(rc, &err, AZR_ENOMEM, "out of memory");
    }
    expect_ok(rc, &err);
    assert_true(failing > 20);
    assert_int_equal(azr_set_allocator(NULL), AZR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_memory), /* first: the heap is unused */
        cmocka_unit_test(test_shape_keeps_layout),
        cmocka_unit_test(test_shape_refuses),
        cmocka_unit_test(test_attributes_v3),
        cmocka_unit_test(test_attributes_v3_compact),
        cmocka_unit_test(test_attributes_v2),
        cmocka_unit_test(test_attribute_refuses),
        cmocka_unit_test(test_attributes_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
