/* SPDX-License-Identifier: Apache-2.0 */
#include "documents.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void test_base(void **state)
{
    azri_meta *m = must_parse(3, "zarr_format", "3");

    (void)state;
    assert_int_equal(m->zarr_format, 3);
    assert_int_equal(m->rank, 2);
    assert_int_equal(m->shape[0], 10);
    assert_int_equal(m->shape[1], 20);
    assert_int_equal(m->chunk[0], 5);
    assert_int_equal(m->chunk[1], 20);
    assert_int_equal(m->dtype->id, AZR_FLOAT32);
    assert_int_equal(m->chunk_nbytes, 400);
    assert_int_equal(m->keying.encoding, 'd');
    assert_int_equal(m->keying.separator, '/');
    assert_int_equal(m->keying.zarr_format, 3);
    assert_int_equal(m->keying.rank, 2);
    assert_true(m->has_fill);
    assert_int_equal(m->fill[0] | m->fill[3], 0x7F);
    assert_int_equal(m->order, 'C');
    assert_false(m->big_endian);
    assert_false(m->read_only);
    assert_string_equal(m->dimension_names, "[\"y\",null]");
    assert_int_equal(m->codec_count, 2);
    assert_string_equal(m->codecs[0].name, "bytes");
    assert_string_equal(m->codecs[0].config, "{\"endian\":\"little\"}");
    assert_string_equal(m->codecs[1].name, "zstd");
    assert_string_equal(m->codecs[1].config,
                        "{\"level\":3,\"checksum\":false}");
    assert_int_equal(m->codecs[1].dialect, 3);
    assert_false(m->codecs[1].optional);
    expect_text(&m->text, base_v3);
    azri_meta_free(m);
}

static void test_every_type(void **state)
{
    size_t count;
    const azri_dtype *table = azri_dtype_table(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        bool is_complex = table[i].kind == AZRI_KIND_COMPLEX;
        azri_buf text = AZRI_BUF_INIT, quoted = AZRI_BUF_INIT;
        azr_error err = AZR_ERROR_INIT;
        azri_meta *m = NULL;

        expect_ok(azri_json_splice(&text, span_of(base_v3), "fill_value",
                                   span_of(is_complex ? "[1,0]" : "1"), &err),
                  &err);
        expect_ok(azri_buf_printf(&quoted, &err, "{\"name\":\"%s\"}",
                                  table[i].v3_name),
                  &err);
        for (int form = 0; form < 2; form++) {
            azri_span name = azri_buf_span(&quoted);
            azri_buf whole = AZRI_BUF_INIT;

            if (form == 0) /* the name alone */
                name = (azri_span){name.data + 8, name.nbytes - 9};
            expect_ok(azri_json_splice(&whole, azri_buf_span(&text),
                                       "data_type", name, &err),
                      &err);
            expect_ok(
                azri_meta_parse(&m, 3, azri_buf_span(&whole), no_text(), &err),
                &err);
            assert_ptr_equal(m->dtype, &table[i]);
            assert_int_equal(m->chunk_nbytes, 100 * table[i].nbytes);
            azri_meta_free(m);
            azri_buf_dispose(&whole);
        }
        azri_buf_dispose(&text);
        azri_buf_dispose(&quoted);
    }
}

/* What is not ordinary and yet taken. */
static void test_accepts(void **state)
{
    static const char *const cases[][2] = {
        {"attributes", NULL},
        {"attributes", "{\"x\": NaN, \"n\": 100000000000000000000000000}"},
        {"storage_transformers", NULL},
        {"storage_transformers", "[]"},
        {"dimension_names", NULL},
        {"dimension_names", "null"},
        {"dimension_names", "[\"\", \"\"]"},
        {"consolidated_metadata", "null"},
        {"consolidated_metadata",
         "{\"kind\":\"inline\",\"must_understand\":false,\"metadata\":{}}"},
        {"x_extra", "{\"must_understand\": false, \"a\": [1]}"},
        {"chunk_key_encoding", "\"default\""},
        {"chunk_key_encoding", "{\"name\":\"default\"}"},
        {"chunk_key_encoding", "{\"name\":\"default\",\"configuration\":{}}"},
        {"chunk_key_encoding",
         "{\"name\":\"default\",\"must_understand\":true}"},
        {"codecs", "[\"bytes\"]"},
        {"codecs", "[{\"name\":\"crc32c\"}]"},
        {"codecs", "[{\"name\":\"x\",\"must_understand\":false}]"},
        {"fill_value", "0"},
        {"fill_value", "\"0x7fc00001\""},
        {"shape", "[0,0]"},
        {"shape", "[0,9223372036854775807]"},
        {"shape", "[9223372036854775807,2]"},
        {"shape", "[3,7]"}, /* chunks larger than the array */
        {"chunk_grid", "{\"name\":\"regular\",\"configuration\":"
                       "{\"chunk_shape\":[1099511627776,1]}}"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        azri_meta_free(must_parse(3, cases[i][0], cases[i][1]));
}

static void test_huge_chunk_opens(void **state)
{
    azri_meta *m = must_parse(3, "chunk_grid",
                              "{\"name\":\"regular\",\"configuration\":"
                              "{\"chunk_shape\":[1099511627776,1]}}");

    (void)state;
    assert_true(m->chunk_nbytes == (size_t)4 << 40);
    azri_meta_free(m);
}

static void test_keying(void **state)
{
    static const struct {
        const char *json;
        char encoding, separator;
    } cases[] = {
        {"{\"name\":\"default\",\"configuration\":{\"separator\":\".\"}}", 'd',
         '.'},
        {"{\"name\":\"v2\",\"configuration\":{\"separator\":\"/\"}}", '2', '/'},
        {"{\"name\":\"v2\"}", '2', '.'},
        {"\"v2\"", '2', '.'},
        {"\"default\"", 'd', '/'},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        azri_meta *m = must_parse(3, "chunk_key_encoding", cases[i].json);

        assert_int_equal(m->keying.encoding, cases[i].encoding);
        assert_int_equal(m->keying.separator, cases[i].separator);
        azri_meta_free(m);
    }
}

static void test_codecs(void **state)
{
    azri_meta *m = must_parse(
        3, "codecs",
        "[{\"name\":\"transpose\",\"configuration\":{\"order\":\"F\"}},"
        "{\"name\":\"transpose\",\"configuration\":{\"order\":\"C\"}},"
        "{\"name\":\"transpose\",\"configuration\":{\"order\":[1,0]}},"
        "{\"name\":\"endian\",\"configuration\":{\"endian\":\"big\"}},"
        "\"crc32c\","
        "{\"name\":\"new\",\"must_understand\":false}]");

    (void)state;
    assert_int_equal(m->codec_count, 6);
    assert_string_equal(m->codecs[0].config, "{\"order\":[1,0]}");
    assert_string_equal(m->codecs[1].config, "{\"order\":[0,1]}");
    assert_string_equal(m->codecs[2].config, "{\"order\":[1,0]}");
    assert_string_equal(m->codecs[3].name, "bytes");
    assert_string_equal(m->codecs[3].config, "{\"endian\":\"big\"}");
    assert_true(m->big_endian);
    assert_string_equal(m->codecs[4].name, "crc32c");
    assert_string_equal(m->codecs[4].config, "{}");
    assert_string_equal(m->codecs[5].name, "new");
    assert_true(m->codecs[5].optional);
    azri_meta_free(m);
}

static void test_read_only(void **state)
{
    azri_meta *m = must_parse(3, "storage_transformers",
                              "[{\"name\":\"x\",\"must_understand\":false}]");

    (void)state;
    assert_true(m->read_only);
    azri_meta_free(m);
}

static void test_scalar(void **state)
{
    azri_meta *m = NULL;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    expect_ok(
        azri_meta_parse(
            &m, 3,
            span_of("{\"zarr_format\":3,\"node_type\":\"array\",\"shape\":[],"
                    "\"data_type\":\"int16\",\"chunk_grid\":{\"name\":"
                    "\"regular\",\"configuration\":{\"chunk_shape\":[]}},"
                    "\"chunk_key_encoding\":\"default\",\"fill_value\":7,"
                    "\"codecs\":[\"bytes\"]}"),
            no_text(), &err),
        &err);
    assert_int_equal(m->rank, 0);
    assert_int_equal(m->chunk_nbytes, 2);
    azri_meta_free(m);
}

static void test_unsupported(void **state)
{
    static const refusal r[] = {
        {"data_type", "\"string\"", AZR_EUNSUPPORTED,
         "data_type \"string\" is not supported"},
        {"data_type", "\"bfloat16\"", AZR_EUNSUPPORTED, "\"bfloat16\""},
        {"data_type", "\"r16\"", AZR_EUNSUPPORTED, "\"r16\""},
        {"data_type", "\"int32\\u0000\"", AZR_EUNSUPPORTED, "data_type"},
        {"data_type",
         "{\"name\":\"numpy.datetime64\",\"configuration\":{\"unit\":\"s\","
         "\"scale_factor\":1}}",
         AZR_EUNSUPPORTED, "\"numpy.datetime64\""},
        {"data_type", "{\"name\":\"float32\",\"configuration\":{\"x\":1}}",
         AZR_EUNSUPPORTED, "\"x\""},
        {"chunk_grid",
         "{\"name\":\"rectilinear\",\"configuration\":{\"kind\":\"inline\"}}",
         AZR_EUNSUPPORTED, "chunk_grid \"rectilinear\""},
        {"chunk_grid",
         "{\"name\":\"regular\",\"configuration\":{\"chunk_shape\":[5,20],"
         "\"origin\":[1,1]}}",
         AZR_EUNSUPPORTED, "\"origin\""},
        {"chunk_key_encoding", "\"fanout\"", AZR_EUNSUPPORTED,
         "chunk_key_encoding \"fanout\""},
        {"chunk_key_encoding", "{\"name\":\"default\",\"separator\":\"/\"}",
         AZR_EUNSUPPORTED, "\"separator\""},
        {"storage_transformers", "[\"cache\"]", AZR_EUNSUPPORTED,
         "storage transformer \"cache\""},
        {"storage_transformers",
         "[{\"name\":\"a\",\"must_understand\":false},{\"name\":\"b\"}]",
         AZR_EUNSUPPORTED, "\"b\""},
        {"x_extra", "1", AZR_EUNSUPPORTED, "member \"x_extra\""},
        {"x_extra", "{}", AZR_EUNSUPPORTED, "must be understood"},
        {"x_extra", "{\"must_understand\":true}", AZR_EUNSUPPORTED, "x_extra"},
        {"x_extra", "{\"must_understand\":0}", AZR_EUNSUPPORTED, "x_extra"},
        {"zarr_format", "4", AZR_EUNSUPPORTED, "zarr_format 4"},
        {"zarr_format", "2", AZR_EUNSUPPORTED, "zarr_format 2"},
        {"zarr_format", "\"https://purl.org/zarr/spec/protocol/core/3.0\"",
         AZR_EUNSUPPORTED, "2021 draft"},
        {"node_type", "\"table\"", AZR_EUNSUPPORTED, "node_type \"table\""},
        {"node_type", "\"group\"", AZR_ENOTFOUND, "\"group\""},
        {"codecs", "[\"bytes\",{\"name\":\"numcodecs.pickle\"}]",
         AZR_EUNSUPPORTED, "run code"},
        {"codecs", "[{\"name\":\"pickle\",\"must_understand\":false}]",
         AZR_EUNSUPPORTED, "\"pickle\" is refused"},
        {"codecs", "[\"vlen-utf8\"]", AZR_EUNSUPPORTED, "\"vlen-utf8\""},
        {"shape",
         "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]",
         AZR_EUNSUPPORTED, "more than 32 dimensions"},
    };

    (void)state;
    expect_refusals(3, r, COUNT(r));
}

static void test_corrupt(void **state)
{
    static const refusal r[] = {
        {"zarr_format", NULL, AZR_ECORRUPT, "zarr_format is missing"},
        {"zarr_format", "3.0", AZR_ECORRUPT, "zarr_format is 3.0, need 3"},
        {"node_type", NULL, AZR_ECORRUPT, "node_type is missing"},
        {"node_type", "1", AZR_ECORRUPT, "node_type is 1"},
        {"shape", NULL, AZR_ECORRUPT, "shape is missing"},
        {"shape", "[9223372036854775808,1]", AZR_ECORRUPT,
         "shape[0] is 9223372036854775808"},
        {"shape", "[1,1e30]", AZR_ECORRUPT, "shape[1] is 1e30"},
        {"shape", "[-1,1]", AZR_ECORRUPT, "shape[0] is -1"},
        {"shape", "[3.5,1]", AZR_ECORRUPT, "3.5"},
        {"shape", "[\"10\",1]", AZR_ECORRUPT, "shape[0] is \"10\""},
        {"shape", "[null,1]", AZR_ECORRUPT, "null"},
        {"shape", "[true,1]", AZR_ECORRUPT, "true"},
        {"shape", "null", AZR_ECORRUPT, "shape is null"},
        {"shape", "10", AZR_ECORRUPT, "shape is 10"},
        {"shape", "{}", AZR_ECORRUPT, "shape is {}"},
        {"shape", "[4294967296,4294967296]", AZR_ECORRUPT, "2^64"},
        {"shape", "[10]", AZR_ECORRUPT,
         "chunk_shape has 2 dimensions, shape has 1"},
        {"shape", "[]", AZR_ECORRUPT, "shape has 0"},
        {"data_type", NULL, AZR_ECORRUPT, "data_type is missing"},
        {"data_type", "3", AZR_ECORRUPT, "data_type is 3"},
        {"data_type", "{\"configuration\":{}}", AZR_ECORRUPT, "\"name\""},
        {"data_type", "{\"name\":\"float32\",\"must_understand\":false}",
         AZR_ECORRUPT, "must_understand"},
        {"chunk_grid", NULL, AZR_ECORRUPT, "chunk_grid is missing"},
        {"chunk_grid", "\"regular\"", AZR_ECORRUPT, "chunk_shape is missing"},
        {"chunk_grid",
         "{\"name\":\"regular\",\"configuration\":{\"chunk_shape\":[0,20]}}",
         AZR_ECORRUPT, "chunk length 0 in dimension 0"},
        {"chunk_grid",
         "{\"name\":\"regular\",\"configuration\":{\"chunk_shape\":"
         "[4611686018427387904,4]}}",
         AZR_ECORRUPT, "bytes of a chunk"},
        {"chunk_grid",
         "{\"name\":\"regular\",\"configuration\":{\"chunk_shape\":"
         "[4294967296,1073741824]}}",
         AZR_ECORRUPT, "bytes of a chunk"}, /* × 4 bytes is 2^64 */
        {"chunk_grid", "{\"name\":\"regular\",\"configuration\":[]}",
         AZR_ECORRUPT, "configuration"},
        {"chunk_key_encoding", NULL, AZR_ECORRUPT, "is missing"},
        {"chunk_key_encoding",
         "{\"name\":\"default\",\"configuration\":{\"separator\":\"-\"}}",
         AZR_ECORRUPT, "separator is \"-\""},
        {"chunk_key_encoding",
         "{\"name\":\"v2\",\"configuration\":{\"separator\":1}}", AZR_ECORRUPT,
         "separator is 1"},
        {"chunk_key_encoding", "{\"name\":\"v2\",\"must_understand\":1}",
         AZR_ECORRUPT, "must_understand"},
        {"fill_value", NULL, AZR_ECORRUPT, "fill_value is missing"},
        {"fill_value", "null", AZR_ECORRUPT, "fill value null"},
        {"fill_value", "true", AZR_ECORRUPT, "fill value true of float32"},
        {"fill_value", "1e99", AZR_ECORRUPT, "infinity"},
        {"codecs", NULL, AZR_ECORRUPT, "codecs is missing"},
        {"codecs", "[]", AZR_ECORRUPT, "not empty"},
        {"codecs", "{}", AZR_ECORRUPT, "codecs is {}"},
        {"codecs", "[1]", AZR_ECORRUPT, "codecs is 1"},
        {"codecs", "[{\"id\":\"zlib\"}]", AZR_EUNSUPPORTED, "\"id\""},
        {"codecs", "[{\"name\":\"bytes\",\"configuration\":null}]",
         AZR_ECORRUPT, "configuration"},
        {"storage_transformers", "{}", AZR_ECORRUPT, "storage_transformers"},
        {"dimension_names", "[\"y\"]", AZR_ECORRUPT, "dimension_names"},
        {"dimension_names", "[\"y\",1]", AZR_ECORRUPT, "dimension_names"},
        {"dimension_names", "\"yx\"", AZR_ECORRUPT, "dimension_names"},
        {"attributes", "[]", AZR_ECORRUPT, "attributes is []"},
        {"attributes", "null", AZR_ECORRUPT, "attributes is null"},
    };

    (void)state;
    expect_refusals(3, r, COUNT(r));
}

static void test_not_an_object(void **state)
{
    static const struct {
        const char *text;
        size_t nbytes;
        const char *part;
    } bad[] = {
        {"", 0, "byte 0"},
        {"\0\0\0\0\0\0\0\0", 8, "byte 0"},
        {"[]", 2, "need an object"},
        {"null", 4, "need an object"},
        {"{\"zarr_format\":3,\"nod", 20, "byte 20"},
        {"{\"zarr_format\":3} {}", 20, "byte 18"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        azri_span text = {(const uint8_t *)bad[i].text, bad[i].nbytes};
        azri_meta *m = NULL;
        azr_error err = AZR_ERROR_INIT;

        expect_error(azri_meta_parse(&m, 3, text, no_text(), &err), &err,
                     AZR_ECORRUPT, bad[i].part);
        assert_int_equal(err.sub, AZR_SUB_METADATA);
    }
}

/* Cut at every byte: always told, never read. */
static void test_truncation(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof base_v3 - 1; n++) {
        azri_span text = {(const uint8_t *)base_v3, n};
        azri_meta *m = NULL;
        azr_error err = AZR_ERROR_INIT;

        assert_int_equal(azri_meta_parse(&m, 3, text, no_text(), &err),
                         AZR_ECORRUPT);
        assert_null(m);
    }
}

/* Any byte changed to any of a few: read or told, with one line of text. */
static void test_flips(void **state)
{
    static const char bytes[] = "\"{}[],:0-9eE.\\\x80\0 n";

    (void)state;
    for (size_t at = 0; at < sizeof base_v3 - 1; at++) {
        for (size_t b = 0; b < sizeof bytes - 1; b++) {
            uint8_t copy[sizeof base_v3 - 1];
            azri_span text = {copy, sizeof copy};
            azri_meta *m = NULL;
            azr_error err = AZR_ERROR_INIT;

            memcpy(copy, base_v3, sizeof copy);
            copy[at] = (uint8_t)bytes[b];
            if (azri_meta_parse(&m, 3, text, no_text(), &err) < 0) {
                assert_null(m);
                assert_true(strlen(err.message) > 10);
            } else {
                assert_int_equal(err.code, 0);
                assert_true(m->codec_count > 0);
            }
            azri_meta_free(m);
        }
    }
}

static void test_duplicates_and_bom(void **state)
{
    azri_buf text = AZRI_BUF_INIT;
    azri_meta *m = NULL;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    expect_ok(azri_buf_printf(&text, &err,
                              "\xEF\xBB\xBF{\"shape\":[-1],\"codecs\":5,%s",
                              base_v3 + 1),
              &err);
    expect_ok(azri_meta_parse(&m, 3, azri_buf_span(&text), no_text(), &err),
              &err);
    assert_int_equal(m->shape[0], 10); /* the last one wins */
    assert_int_equal(m->text.nbytes, text.nbytes);
    azri_meta_free(m);
    azri_buf_dispose(&text);
}

static void test_many_codecs(void **state)
{
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    for (int n = 64; n <= 1000; n += 936) {
        azri_buf list = AZRI_BUF_INIT;
        azri_meta *m = NULL;
        int rc;

        for (int i = 0; i < n; i++)
            expect_ok(
                azri_buf_puts(&list, i ? ",\"crc32c\"" : "[\"bytes\"", &err),
                &err);
        expect_ok(azri_buf_puts(&list, "]", &err), &err);
        expect_ok(azri_buf_terminate(&list, &err), &err);
        rc = parse_with(&m, 3, "codecs", (char *)list.data, &err);
        if (n == 64)
            expect_ok(rc, &err);
        else
            expect_error(rc, &err, AZR_EUNSUPPORTED, "1000 codecs");
        azri_meta_free(m);
        azri_buf_dispose(&list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base),
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_huge_chunk_opens),
        cmocka_unit_test(test_keying),
        cmocka_unit_test(test_codecs),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_scalar),
        cmocka_unit_test(test_unsupported),
        cmocka_unit_test(test_corrupt),
        cmocka_unit_test(test_not_an_object),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_flips),
        cmocka_unit_test(test_duplicates_and_bom),
        cmocka_unit_test(test_many_codecs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
