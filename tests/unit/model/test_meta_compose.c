/* SPDX-License-Identifier: Apache-2.0 */
#include "documents.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static azr_array_spec spec_of(int format, int dtype)
{
    azr_array_spec s = AZR_ARRAY_SPEC_INIT;

    s.zarr_format = format;
    s.dtype = dtype;
    s.rank = 2;
    s.shape[0] = 12;
    s.shape[1] = 0;
    s.chunks[0] = 4;
    s.chunks[1] = 3;
    return s;
}

static void compose(azri_buf *text, azri_buf *zattrs, const azr_array_spec *s)
{
    azr_error err = AZR_ERROR_INIT;

    expect_ok(azri_meta_compose(text, zattrs, s, &err), &err);
}

/* Byte for byte what zarr-python 3 writes (zarr.create_array, zarr_format 3). */
static void test_layout_v3(void **state)
{
    azr_array_spec s = AZR_ARRAY_SPEC_INIT;
    azri_buf text = AZRI_BUF_INIT, zattrs = AZRI_BUF_INIT;

    (void)state;
    s.dtype = AZR_INT32;
    s.rank = 1;
    s.shape[0] = 12;
    s.chunks[0] = 4;
    compose(&text, &zattrs, &s);
    expect_text(&text, "{\n"
                       "  \"shape\": [\n"
                       "    12\n"
                       "  ],\n"
                       "  \"data_type\": \"int32\",\n"
                       "  \"chunk_grid\": {\n"
                       "    \"name\": \"regular\",\n"
                       "    \"configuration\": {\n"
                       "      \"chunk_shape\": [\n"
                       "        4\n"
                       "      ]\n"
                       "    }\n"
                       "  },\n"
                       "  \"chunk_key_encoding\": {\n"
                       "    \"name\": \"default\",\n"
                       "    \"configuration\": {\n"
                       "      \"separator\": \"/\"\n"
                       "    }\n"
                       "  },\n"
                       "  \"fill_value\": 0,\n"
                       "  \"codecs\": [\n"
                       "    {\n"
                       "      \"name\": \"bytes\",\n"
                       "      \"configuration\": {\n"
                       "        \"endian\": \"little\"\n"
                       "      }\n"
                       "    },\n"
                       "    {\n"
                       "      \"name\": \"zstd\",\n"
                       "      \"configuration\": {\n"
                       "        \"level\": 0,\n"
                       "        \"checksum\": false\n"
                       "      }\n"
                       "    }\n"
                       "  ],\n"
                       "  \"attributes\": {},\n"
                       "  \"zarr_format\": 3,\n"
                       "  \"node_type\": \"array\",\n"
                       "  \"storage_transformers\": []\n"
                       "}");
    assert_int_equal(zattrs.nbytes, 0);
    azri_buf_dispose(&text);
}

static void test_layout_v2(void **state)
{
    azr_array_spec s = AZR_ARRAY_SPEC_INIT;
    azri_buf text = AZRI_BUF_INIT, zattrs = AZRI_BUF_INIT;

    (void)state;
    s.zarr_format = 2;
    s.dtype = AZR_FLOAT64;
    s.rank = 1;
    s.shape[0] = 12;
    s.chunks[0] = 4;
    s.attributes = "{\"a\":[1,NaN]}";
    compose(&text, &zattrs, &s);
    expect_text(&text, "{\n"
                       "  \"shape\": [\n"
                       "    12\n"
                       "  ],\n"
                       "  \"chunks\": [\n"
                       "    4\n"
                       "  ],\n"
                       "  \"dtype\": \"<f8\",\n"
                       "  \"fill_value\": 0.0,\n"
                       "  \"order\": \"C\",\n"
                       "  \"filters\": null,\n"
                       "  \"dimension_separator\": \".\",\n"
                       "  \"compressor\": {\n"
                       "    \"id\": \"blosc\",\n"
                       "    \"cname\": \"lz4\",\n"
                       "    \"clevel\": 5,\n"
                       "    \"shuffle\": 1,\n"
                       "    \"blocksize\": 0\n"
                       "  },\n"
                       "  \"zarr_format\": 2\n"
                       "}");
    expect_text(&zattrs, "{\n  \"a\": [\n    1,\n    NaN\n  ]\n}");
    azri_buf_dispose(&text);
    azri_buf_dispose(&zattrs);
}

/* What was asked for is what a reader of the document gets. */
static void check_read_back(const azr_array_spec *s)
{
    azri_buf text = AZRI_BUF_INIT, zattrs = AZRI_BUF_INIT;
    azri_meta *m = NULL;
    azr_error err = AZR_ERROR_INIT;
    const azri_dtype *type = azri_dtype_get(s->dtype);
    const char *bytes = type->swap_unit < 2 ? "{}"
                        : s->big_endian     ? "\"big\""
                                            : "\"little\"";
    size_t at = s->order == 'F';

    compose(&text, &zattrs, s);
    expect_ok(azri_meta_parse(&m, s->zarr_format, azri_buf_span(&text),
                              azri_buf_span(&zattrs), &err),
              &err);
    assert_int_equal(m->rank, 2);
    assert_memory_equal(m->shape, s->shape, 2 * sizeof s->shape[0]);
    assert_memory_equal(m->chunk, s->chunks, 2 * sizeof s->chunks[0]);
    assert_ptr_equal(m->dtype, type);
    assert_int_equal(m->big_endian, s->big_endian && type->swap_unit > 1);
    assert_true(m->has_fill);
    assert_int_equal(m->keying.separator, s->separator);
    assert_int_equal(m->keying.encoding, s->key_encoding);
    assert_int_equal(m->codec_count, at + 2);
    if (at)
        assert_string_equal(m->codecs[0].name, "transpose");
    assert_string_equal(m->codecs[at].name, "bytes");
    assert_non_null(strstr(m->codecs[at].config, bytes));
    assert_string_equal(m->codecs[at + 1].name, "gzip");
    azri_meta_free(m);
    azri_buf_dispose(&text);
    azri_buf_dispose(&zattrs);
}

static void test_read_back(void **state)
{
    (void)state;
    for (int dtype = AZR_BOOL; dtype <= AZR_COMPLEX128; dtype++) {
        for (int bits = 0; bits < 16; bits++) {
            azr_array_spec s = spec_of(bits & 1 ? 2 : 3, dtype);

            s.big_endian = bits >> 1 & 1;
            s.order = bits & 4 ? 'F' : 'C';
            s.separator = bits & 8 ? '.' : '/';
            s.key_encoding = bits & 1 || dtype % 2 ? '2' : 'd';
            s.codecs = "gzip:3";
            check_read_back(&s);
        }
    }
}

static void expect_fill(int format, int dtype, const char *fill,
                        const char *wanted)
{
    azr_array_spec s = spec_of(format, dtype);
    azri_buf text = AZRI_BUF_INIT, zattrs = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;
    azri_span found = {NULL, 0};
    azri_buf copy = AZRI_BUF_INIT;

    s.fill_value = fill;
    compose(&text, &zattrs, &s);
    assert_true(azri_json_find(azri_buf_span(&text), "fill_value", &found));
    expect_ok(azri_buf_append(&copy, found.data, found.nbytes, &err), &err);
    expect_text(&copy, wanted);
    azri_buf_dispose(&copy);
    azri_buf_dispose(&text);
}

static void test_fills(void **state)
{
    (void)state;
    expect_fill(3, AZR_BOOL, NULL, "false");
    expect_fill(3, AZR_FLOAT32, NULL, "0.0");
    expect_fill(3, AZR_FLOAT32, "-0.0", "-0.0");
    expect_fill(3, AZR_FLOAT32, "\"0x7fc00001\"", "\"0x7fc00001\"");
    expect_fill(3, AZR_UINT64, "18446744073709551615", "18446744073709551615");
    expect_fill(3, AZR_COMPLEX64, NULL, "[\n    0.0,\n    0.0\n  ]");
    expect_fill(2, AZR_INT32, "null", "null");
    expect_fill(2, AZR_FLOAT64, "NaN", "\"NaN\"");
}

static void test_codecs_of_caller(void **state)
{
    azr_array_spec s = spec_of(3, AZR_INT16);
    azri_buf text = AZRI_BUF_INIT, zattrs = AZRI_BUF_INIT;
    azri_meta *m = NULL;
    azr_error err = AZR_ERROR_INIT;
    static const struct {
        const char *codecs, *names[3];
    } cases[] = {
        {"none", {"bytes", NULL, NULL}},
        {"[ ]", {"bytes", NULL, NULL}},
        {"crc32c,zstd", {"bytes", "crc32c", "zstd"}},
        {"[{\"name\":\"gzip\",\"configuration\":{\"level\":1}}]",
         {"bytes", "gzip", NULL}},
        {"{\"name\":\"gzip\",\"configuration\":{\"level\":1}}",
         {"bytes", "gzip", NULL}},
        {"\"crc32c\"", {"bytes", "crc32c", NULL}},
        /* the whole chain */
        {"[{\"name\":\"transpose\",\"configuration\":{\"order\":[1,0]}},"
         "{\"name\":\"bytes\",\"configuration\":{\"endian\":\"big\"}}]",
         {"transpose", "bytes", NULL}},
        {"[{\"name\":\"sharding_indexed\",\"configuration\":{}}]",
         {"sharding_indexed", NULL, NULL}},
        {NULL, {"bytes", "zstd", NULL}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        s.codecs = cases[i].codecs;
        text.nbytes = 0;
        compose(&text, &zattrs, &s);
        expect_ok(azri_meta_parse(&m, 3, azri_buf_span(&text), no_text(), &err),
                  &err);
        for (size_t c = 0; c < 3; c++) {
            assert_int_equal(c < m->codec_count, cases[i].names[c] != NULL);
            if (cases[i].names[c])
                assert_string_equal(m->codecs[c].name, cases[i].names[c]);
        }
        azri_meta_free(m);
    }
    azri_buf_dispose(&text);
}

static void expect_name(const azri_meta *m, int d, const char *wanted)
{
    azri_buf name = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;

    expect_ok(azri_meta_dimension_name(&name, m, d, &err), &err);
    if (wanted)
        expect_text(&name, wanted);
    else
        assert_null(name.data);
    azri_buf_dispose(&name);
}

static void test_dimension_names(void **state)
{
    static const char *const names[2] = {"t \"\xC3\xA9", NULL};
    azr_array_spec s = spec_of(3, AZR_INT16);
    azri_buf text = AZRI_BUF_INIT, zattrs = AZRI_BUF_INIT;
    azri_meta *m = NULL;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    s.dimension_names = names;
    compose(&text, &zattrs, &s);
    expect_ok(azri_meta_parse(&m, 3, azri_buf_span(&text), no_text(), &err),
              &err);
    assert_string_equal(m->dimension_names,
                        "[\n    \"t \\\"\xC3\xA9\",\n    null\n  ]");
    expect_name(m, 0, "t \"\xC3\xA9");
    expect_name(m, 1, NULL);
    azri_meta_free(m);
    azri_buf_dispose(&text);
}

static void test_names_of_format_2(void **state)
{
    static const char *const names[2] = {"t", "x\""};
    azr_array_spec s = spec_of(2, AZR_INT16);
    azri_buf text = AZRI_BUF_INIT, zattrs = AZRI_BUF_INIT;
    azri_meta *m = NULL;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    s.dimension_names = names;
    s.attributes = "{\"a\": 1}";
    compose(&text, &zattrs, &s);
    expect_text(&zattrs, "{\n  \"a\": 1,\n  \"_ARRAY_DIMENSIONS\": [\n"
                         "    \"t\",\n    \"x\\\"\"\n  ]\n}");
    expect_ok(azri_meta_parse(&m, 2, azri_buf_span(&text),
                              azri_buf_span(&zattrs), &err),
              &err);
    expect_name(m, 0, "t");
    expect_name(m, 1, "x\"");
    expect_name(m, 2, NULL);
    azri_meta_free(m);
    /* anything may stand in an attribute */
    expect_ok(azri_meta_parse(&m, 2, azri_buf_span(&text),
                              span_of("{\"_ARRAY_DIMENSIONS\": [\"t\", 1]}"),
                              &err),
              &err);
    expect_name(m, 0, NULL);
    azri_meta_free(m);
    azri_buf_dispose(&text);
    azri_buf_dispose(&zattrs);
}

static void test_attributes_with_bom(void **state)
{
    azr_array_spec s = spec_of(3, AZR_INT16);
    azri_buf text = AZRI_BUF_INIT, zattrs = AZRI_BUF_INIT;
    azri_meta *m = NULL;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    s.attributes = "\xEF\xBB\xBF {\"a\": 1} ";
    compose(&text, &zattrs, &s);
    expect_ok(azri_meta_parse(&m, 3, azri_buf_span(&text), no_text(), &err),
              &err);
    azri_meta_free(m);
    azri_buf_dispose(&text);
}

/* One wrong member each. */
static void refuse(const azr_array_spec *s, const char *part)
{
    azri_buf text = AZRI_BUF_INIT, zattrs = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;
    int rc = azri_meta_compose(&text, &zattrs, s, &err);

    expect_error(rc, &err, AZR_EINVAL, part);
    assert_int_equal(text.nbytes, 0);
    assert_int_equal(zattrs.nbytes, 0);
    azri_buf_dispose(&text);
    azri_buf_dispose(&zattrs);
}

#define REFUSE(format, part, ...)                                              \
    do {                                                                       \
        azr_array_spec s = spec_of(format, AZR_INT32);                         \
        __VA_ARGS__;                                                           \
        refuse(&s, part);                                                      \
    } while (0)

static void test_refuses_numbers(void **state)
{
    (void)state;
    REFUSE(3, "struct_size", s.struct_size = 0);
    REFUSE(4, "zarr_format is 4", s.rank = 1);
    REFUSE(3, "dtype is 0", s.dtype = 0);
    REFUSE(3, "dtype is 15", s.dtype = 15);
    REFUSE(3, "rank is 33", s.rank = 33);
    REFUSE(3, "rank is -1", s.rank = -1);
    REFUSE(3, "shape[1] is -1", s.shape[1] = -1);
    REFUSE(3, "chunks[0] is 0", s.chunks[0] = 0);
    REFUSE(2, "chunks[1] is 0", s.chunks[1] = 0);
    REFUSE(3, "bytes of a chunk", s.chunks[0] = INT64_MAX);
    REFUSE(3, "bytes of a chunk", s.chunks[0] = s.chunks[1] = INT64_C(1) << 31);
    REFUSE(3, "2^64", s.shape[0] = s.shape[1] = INT64_C(1) << 32);
    REFUSE(3, "big_endian is 2", s.big_endian = 2);
    REFUSE(3, "durability is 2", s.durability = 2);
    REFUSE(3, "reserved", s.reserved = 1);
    REFUSE(3, "reserved", s.reserved2 = 1);
    REFUSE(3, "order", s.order = 'A');
    REFUSE(3, "separator", s.separator = '-');
    REFUSE(3, "key_encoding", s.key_encoding = '3');
    REFUSE(2, "key_encoding 'd'", s.key_encoding = 'd');
}

static void test_refuses_texts(void **state)
{
    static const char *const names[2] = {"y", "x"}, *const part[2] = {"y"};
    static const char *const bad_names[2] = {"y", "\xFF"};

    (void)state;
    REFUSE(2, "dimension_names", s.dimension_names = part);
    REFUSE(2, "_ARRAY_DIMENSIONS", s.dimension_names = names,
           s.attributes = "{\"_ARRAY_DIMENSIONS\": []}");
    REFUSE(2, "UTF-8", s.dimension_names = bad_names);
    REFUSE(3, "UTF-8", s.dimension_names = bad_names);
    REFUSE(3, "attributes: byte 1", s.attributes = "{");
    REFUSE(3, "attributes: need an object", s.attributes = "[]");
    REFUSE(3, "fill value", s.fill_value = "1.5");
    REFUSE(3, "fill value", s.fill_value = "null");
    REFUSE(3, "fill value", s.fill_value = "");
    REFUSE(3, "zstt", s.codecs = "zstt");
    REFUSE(3, "whole chain", s.codecs = "[\"bytes\"]"; s.order = 'F');
    REFUSE(3, "whole chain", s.codecs = "[\"bytes\"]"; s.big_endian = 1);
    REFUSE(2, "one compressor", s.codecs = "crc32c,zstd");
}

/* As deep as may be read alone, one too deep inside a document. */
static void test_refuses_depth(void **state)
{
    azr_array_spec s = spec_of(3, AZR_INT32);
    azri_buf text = AZRI_BUF_INIT, zattrs = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;
    char deep[256] = "{\"a\":";
    size_t n = AZRI_JSON_MAX_DEPTH - 1;

    (void)state;
    memset(deep + 5, '[', n);
    memset(deep + 5 + n, ']', n);
    memcpy(deep + 5 + 2 * n, "}", 2);
    s.attributes = deep;
    expect_error(azri_meta_compose(&text, &zattrs, &s, &err), &err, AZR_EINVAL,
                 "64 levels");
    azri_buf_dispose(&text);
    azri_buf_dispose(&zattrs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout_v3),
        cmocka_unit_test(test_layout_v2),
        cmocka_unit_test(test_read_back),
        cmocka_unit_test(test_fills),
        cmocka_unit_test(test_codecs_of_caller),
        cmocka_unit_test(test_dimension_names),
        cmocka_unit_test(test_names_of_format_2),
        cmocka_unit_test(test_attributes_with_bom),
        cmocka_unit_test(test_refuses_numbers),
        cmocka_unit_test(test_refuses_texts),
        cmocka_unit_test(test_refuses_depth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
