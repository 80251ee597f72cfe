/* SPDX-License-Identifier: Apache-2.0 */
#include "documents.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void test_base(void **state)
{
    azri_meta *m = must_parse(2, "order", "\"C\"");

    (void)state;
    assert_int_equal(m->zarr_format, 2);
    assert_int_equal(m->rank, 2);
    assert_int_equal(m->shape[1], 20);
    assert_int_equal(m->chunk[0], 5);
    assert_int_equal(m->dtype->id, AZR_INT32);
    assert_int_equal(m->chunk_nbytes, 400);
    assert_int_equal(m->keying.encoding, '2');
    assert_int_equal(m->keying.separator, '.');
    assert_int_equal(m->keying.zarr_format, 2);
    assert_true(m->has_fill);
    assert_int_equal(m->order, 'C');
    assert_int_equal(m->codec_count, 2);
    assert_string_equal(m->codecs[0].name, "bytes");
    assert_string_equal(m->codecs[0].config, "{\"endian\":\"little\"}");
    assert_int_equal(m->codecs[0].dialect, 3);
    assert_string_equal(m->codecs[1].name, "blosc");
    assert_int_equal(m->codecs[1].dialect, 2);
    assert_non_null(strstr(m->codecs[1].config, "\"cname\": \"lz4\""));
    azri_meta_free(m);
}

static void test_chain(void **state)
{
    azri_meta *m = NULL;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    expect_ok(
        azri_meta_parse(
            &m, 2,
            span_of("{\"zarr_format\":2,\"shape\":[4,5,6],\"chunks\":[2,2,2],"
                    "\"dtype\":\">f8\",\"order\":\"F\",\"fill_value\":null,"
                    "\"dimension_separator\":\"/\",\"filters\":[{\"id\":"
                    "\"delta\",\"dtype\":\">f8\"},{\"id\":\"shuffle\"}],"
                    "\"compressor\":{\"id\":\"zlib\",\"level\":1},"
                    "\"_nczarr_array\":{\"x\":1}}"),
            no_text(), &err),
        &err);
    assert_int_equal(m->order, 'F');
    assert_true(m->big_endian);
    assert_false(m->has_fill);
    assert_int_equal(m->keying.separator, '/');
    assert_int_equal(m->codec_count, 5);
    assert_string_equal(m->codecs[0].name, "transpose");
    assert_string_equal(m->codecs[0].config, "{\"order\":[2,1,0]}");
    assert_int_equal(m->codecs[0].dialect, 3);
    assert_string_equal(m->codecs[1].config, "{\"endian\":\"big\"}");
    assert_string_equal(m->codecs[2].name, "delta");
    assert_string_equal(m->codecs[2].config,
                        "{\"id\":\"delta\",\"dtype\":\">f8\"}");
    assert_int_equal(m->codecs[2].dialect, 2);
    assert_string_equal(m->codecs[3].name, "shuffle");
    assert_string_equal(m->codecs[4].name, "zlib");
    azri_meta_free(m);
}

static void test_accepts(void **state)
{
    static const char *const cases[][2] = {
        {"filters", NULL},
        {"filters", "[]"},
        {"order", NULL},
        {"fill_value", NULL},
        {"fill_value", "null"},
        {"fill_value", "\"7\""},
        {"fill_value", "1.0"},
        {"compressor", "null"},
        {"dimension_separator", "null"},
        {"dimension_separator", "\"/\""},
        {"unknown", "{\"must_understand\":true}"},
        {"dtype", "\"<u1\""},
        {"dtype", "\">i1\""},
        {"dtype", "\"|u1\""},
        {"dtype", "\"<b1\""},
        {"dtype", "\"<c16\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        azri_meta_free(must_parse(2, cases[i][0], cases[i][1]));
}

static void test_defaults(void **state)
{
    azri_meta *m = must_parse(2, "fill_value", NULL);

    (void)state;
    assert_false(m->has_fill);
    azri_meta_free(m);
    m = must_parse(2, "order", NULL);
    assert_int_equal(m->order, 'C');
    azri_meta_free(m);
    m = must_parse(2, "compressor", "null");
    assert_int_equal(m->codec_count, 1);
    azri_meta_free(m);
    m = must_parse(2, "dtype", "\">u1\""); /* one byte has no order */
    assert_false(m->big_endian);
    assert_string_equal(m->codecs[0].config, "{}");
    azri_meta_free(m);
}

static void test_order_f_of_one_dimension(void **state)
{
    azri_meta *m = NULL;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    expect_ok(azri_meta_parse(
                  &m, 2,
                  span_of("{\"zarr_format\":2,\"shape\":[4],\"chunks\":[2],"
                          "\"dtype\":\"|u1\",\"order\":\"F\",\"fill_value\":0,"
                          "\"filters\":null,\"compressor\":null}"),
                  no_text(), &err),
              &err);
    assert_int_equal(m->codec_count, 1);
    assert_int_equal(m->order, 'F');
    azri_meta_free(m);
}

static const char chunk_of_none[] =
    "{\"zarr_format\":2,\"shape\":[0, 6],\"chunks\":[ 0 ,3],"
    "\"dtype\":\"<i2\",\"order\":\"C\",\"fill_value\":0,"
    "\"filters\":null,\"compressor\":null}";

/* Chunk 0 where the dimension is 0 reads as 1; a document whose shape grows
 * must say so, or nobody could open it. */
static void test_chunk_of_none(void **state)
{
    const int64_t shape[2] = {5, 6};
    azri_meta *m = NULL, *grown = NULL;
    azri_buf text = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    expect_ok(azri_meta_parse(&m, 2, span_of(chunk_of_none), no_text(), &err),
              &err);
    assert_int_equal(m->chunk[0], 1);
    assert_int_equal(m->chunk_nbytes, 6);
    expect_ok(azri_meta_with_shape(&text, m, shape, &err), &err);
    expect_text(&text, "{\"zarr_format\":2,\"shape\":[5, 6],\"chunks\":[ 1 ,3],"
                       "\"dtype\":\"<i2\",\"order\":\"C\",\"fill_value\":0,"
                       "\"filters\":null,\"compressor\":null}");
    expect_ok(azri_meta_parse(&grown, 2, azri_buf_span(&text), no_text(), &err),
              &err);
    azri_meta_free(m);
    azri_meta_free(grown);
    azri_buf_dispose(&text);
}

static void test_big_endian_base64_fill(void **state)
{
    azri_meta *m = NULL;
    azr_error err = AZR_ERROR_INIT;
    float parts[2];

    (void)state;
    expect_ok(azri_meta_parse(
                  &m, 2,
                  span_of("{\"zarr_format\":2,\"shape\":[4],\"chunks\":[2],"
                          "\"dtype\":\">c8\",\"order\":\"C\",\"fill_value\":"
                          "\"P4AAAMAAAAA=\",\"filters\":null,"
                          "\"compressor\":null}"),
                  no_text(), &err),
              &err);
    memcpy(parts, m->fill, sizeof parts);
    assert_true(parts[0] > 0.99F && parts[0] < 1.01F);
    assert_true(parts[1] < -1.99F && parts[1] > -2.01F);
    azri_meta_free(m);
}

static void test_unsupported(void **state)
{
    static const refusal r[] = {
        {"dtype", "\"<U7\"", AZR_EUNSUPPORTED,
         "dtype \"<U7\" is not supported"},
        {"dtype", "\"|S3\"", AZR_EUNSUPPORTED, "\"|S3\""},
        {"dtype", "\"|O\"", AZR_EUNSUPPORTED, "\"|O\""},
        {"dtype", "\"<M8[ns]\"", AZR_EUNSUPPORTED, "\"<M8[ns]\""},
        {"dtype", "\"<m8[s]\"", AZR_EUNSUPPORTED, "\"<m8[s]\""},
        {"dtype", "\"|V0\"", AZR_EUNSUPPORTED, "\"|V0\""},
        {"dtype", "\"<U0\"", AZR_EUNSUPPORTED, "\"<U0\""},
        {"dtype", "\"<f16\"", AZR_EUNSUPPORTED, "\"<f16\""},
        {"dtype", "\"bfloat16\"", AZR_EUNSUPPORTED, "\"bfloat16\""},
        {"dtype", "\"\"", AZR_EUNSUPPORTED, "\"\""},
        {"dtype", "\"<\"", AZR_EUNSUPPORTED, "\"<\""},
        {"dtype", "\"!i4\"", AZR_EUNSUPPORTED, "\"!i4\""},
        {"dtype", "[[\"a\",\"<i4\"],[\"b\",\"<f8\"]]", AZR_EUNSUPPORTED,
         "structured dtype"},
        {"zarr_format", "1", AZR_EUNSUPPORTED, "zarr_format 1"},
        {"zarr_format", "3", AZR_EUNSUPPORTED, "zarr_format 3"},
        {"filters", "[{\"id\":\"pickle\"}]", AZR_EUNSUPPORTED,
         "\"pickle\" is refused"},
        {"filters", "[{\"id\":\"delta\"},{\"id\":\"pickle\"}]",
         AZR_EUNSUPPORTED, "\"pickle\" is refused"},
        {"filters", "[{\"id\":\"p\\u0069ckle\"}]", AZR_EUNSUPPORTED,
         "is refused"},
        {"filters", "[{\"id\":\"zlib\",\"id\":\"pickle\"}]", AZR_EUNSUPPORTED,
         "is refused"},
        {"compressor", "{\"id\":\"pickle\"}", AZR_EUNSUPPORTED, "is refused"},
        {"filters", "[{\"id\":\"shuffle\"},{\"id\":\"vlen-utf8\"}]",
         AZR_EUNSUPPORTED, "\"vlen-utf8\""},
        {"filters", "[{\"id\":\"json2\"}]", AZR_EUNSUPPORTED, "\"json2\""},
        {"filters", "[{\"id\":\"msgpack2\"}]", AZR_EUNSUPPORTED,
         "\"msgpack2\""},
    };

    (void)state;
    expect_refusals(2, r, COUNT(r));
}

static void test_corrupt(void **state)
{
    static const refusal r[] = {
        {"zarr_format", NULL, AZR_ECORRUPT, "zarr_format is missing"},
        {"shape", NULL, AZR_ECORRUPT, "shape is missing"},
        {"chunks", NULL, AZR_ECORRUPT, "chunks is missing"},
        {"dtype", NULL, AZR_ECORRUPT, "dtype is missing"},
        {"compressor", NULL, AZR_ECORRUPT, "compressor is missing"},
        {"dtype", "\"|i4\"", AZR_ECORRUPT, "byte order"},
        {"dtype", "\"=i4\"", AZR_ECORRUPT, "byte order"},
        {"dtype", "\"i4\"", AZR_ECORRUPT, "byte order"},
        {"dtype", "4", AZR_ECORRUPT, "dtype is 4"},
        {"dtype", "null", AZR_ECORRUPT, "dtype is null"},
        {"chunks", "[0,20]", AZR_ECORRUPT, "chunk length 0 in dimension 0"},
        {"chunks", "[5]", AZR_ECORRUPT, "chunks has 1 dimensions, shape has 2"},
        {"chunks", "null", AZR_ECORRUPT, "chunks is null"},
        {"chunks", "true", AZR_ECORRUPT, "chunks is true"},
        {"chunks", "[5,-20]", AZR_ECORRUPT, "chunks[1] is -20"},
        {"order", "\"A\"", AZR_ECORRUPT, "order is \"A\""},
        {"order", "0", AZR_ECORRUPT, "order is 0"},
        {"dimension_separator", "\"\"", AZR_ECORRUPT, "dimension_separator"},
        {"dimension_separator", "\"-\"", AZR_ECORRUPT, "dimension_separator"},
        {"filters", "{}", AZR_ECORRUPT, "filters is {}"},
        {"filters", "[\"delta\"]", AZR_ECORRUPT, "\"id\""},
        {"filters", "[{\"name\":\"delta\"}]", AZR_ECORRUPT, "\"id\""},
        {"filters", "[null]", AZR_ECORRUPT, "filters is null"},
        {"compressor", "\"zlib\"", AZR_ECORRUPT, "\"id\""},
        {"compressor", "{}", AZR_ECORRUPT, "\"id\""},
        {"compressor", "{\"id\":1}", AZR_ECORRUPT, "\"id\""},
        {"fill_value", "\"x\"", AZR_ECORRUPT, "fill value \"x\" of int32"},
        {"fill_value", "1.5", AZR_ECORRUPT, "fill value 1.5"},
        {"fill_value", "2147483648", AZR_ECORRUPT, "to 2147483647"},
    };

    (void)state;
    expect_refusals(2, r, COUNT(r));
}

static void test_pickle_before_objects(void **state)
{
    azri_meta *m = NULL;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    expect_error(
        azri_meta_parse(
            &m, 2,
            span_of("{\"zarr_format\":2,\"shape\":[4],\"chunks\":[2],"
                    "\"dtype\":\"|O\",\"order\":\"C\",\"fill_value\":0,"
                    "\"filters\":[{\"id\":\"pickle\",\"protocol\":5}],"
                    "\"compressor\":null}"),
            no_text(), &err),
        &err, AZR_EUNSUPPORTED, "\"pickle\" is refused");
    assert_int_equal(err.sub, AZR_SUB_CODEC);
}

static void test_zattrs(void **state)
{
    static const char *const bad[] = {"[]", "{", "{} {}", "null", "\0"};
    static const char good[] = "\n{\"a\" : [NaN], \"z\":\"\\ud800\"}\n";
    azri_meta *m = NULL;
    azri_buf out = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        azri_span text = {(const uint8_t *)bad[i],
                          strlen(bad[i]) + !strlen(bad[i])};

        err = (azr_error)AZR_ERROR_INIT;
        expect_error(azri_meta_parse(&m, 2, span_of(base_v2), text, &err), &err,
                     AZR_ECORRUPT, ".zattrs: ");
    }
    err = (azr_error)AZR_ERROR_INIT;
    expect_ok(azri_meta_parse(&m, 2, span_of(base_v2), span_of(good), &err),
              &err);
    expect_text(&m->attributes, good);
    expect_ok(azri_meta_attributes(&out, m, &err), &err);
    expect_text(&out, "{\"a\" : [NaN], \"z\":\"\\ud800\"}");
    azri_buf_dispose(&out);
    azri_meta_free(m);
}

static void test_truncation(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof base_v2 - 1; n++) {
        azri_span text = {(const uint8_t *)base_v2, n};
        azri_meta *m = NULL;
        azr_error err = AZR_ERROR_INIT;

        assert_int_equal(azri_meta_parse(&m, 2, text, no_text(), &err),
                         AZR_ECORRUPT);
        assert_null(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_order_f_of_one_dimension),
        cmocka_unit_test(test_chunk_of_none),
        cmocka_unit_test(test_big_endian_base64_fill),
        cmocka_unit_test(test_unsupported),
        cmocka_unit_test(test_corrupt),
        cmocka_unit_test(test_pickle_before_objects),
        cmocka_unit_test(test_zattrs),
        cmocka_unit_test(test_truncation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
