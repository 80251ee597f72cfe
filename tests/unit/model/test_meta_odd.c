/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of which only the grid can be understood, and odd ones: what is taken all
 * the same, what is refused, and in which words. */
#include "documents.h"

#include "model/consolidated.h"
#include "model/node.h"

typedef struct odd {
    const char *member, *value; /* value NULL: the member is missing */
    int count; /* of codecs that have a name; below 0: refused, with that code */
    const char *text; /* then: part of the message */
} odd;

static int parse_grid(azri_meta **out, int format, const char *member,
                      const char *value, azr_error *err)
{
    const azr_error why = {AZR_EUNSUPPORTED, AZR_SUB_CODEC, 0, 0, "so it is"};
    azri_buf text = AZRI_BUF_INIT;
    int rc = azri_json_splice(&text, span_of(format == 2 ? base_v2 : base_v3),
                              member, value ? span_of(value) : no_text(), err);

    *out = NULL;
    if (rc >= 0)
        rc = azri_meta_parse_grid(out, format, azri_buf_span(&text), no_text(),
                                  &why, err);
    azri_buf_dispose(&text);
    return rc;
}

static void expect_grids(int format, const odd *all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        azr_error err = AZR_ERROR_INIT;
        azri_meta *m = NULL;
        int rc = parse_grid(&m, format, all[i].member, all[i].value, &err);

        if (all[i].count < 0) {
            expect_error(rc, &err, all[i].count, all[i].text);
            assert_null(m);
            continue;
        }
        expect_ok(rc, &err);
        assert_string_equal(m->opaque, "so it is");
        assert_int_equal(m->opaque_sub, AZR_SUB_CODEC);
        if (m->codec_count != (size_t)all[i].count)
            fail_msg("%s %s: %zu codecs", all[i].member, all[i].value,
                     m->codec_count);
        azri_meta_free(m);
    }
}

static void test_grids_of_format_2(void **state)
{
    static const odd all[] = {
        {"filters", "7", 1, NULL},
        {"filters", NULL, 1, NULL},
        {"filters", "[]", 1, NULL},
        {"filters", "[7, {}, {\"id\": 7}, {\"id\": \"x\"}, null]", 2, NULL},
        {"compressor", "null", 0, NULL},
        {"compressor", "\"zstd\"", 0, NULL},
        {"compressor", "{\"id\": [1]}", 0, NULL},
        {"dtype", "[[\"a\", \"<i4\"]]", 1, NULL},
        {"shape", "7", AZR_ECORRUPT, "shape"},
        {"chunks", "[5]", AZR_ECORRUPT, "chunks"},
        {"order", "\"X\"", AZR_ECORRUPT, "order"},
        {"order", "7", AZR_ECORRUPT, "order"},
        {"dimension_separator", "\"-\"", AZR_ECORRUPT, "dimension_separator"},
        {"dimension_separator", "7", AZR_ECORRUPT, "dimension_separator"},
        {"zarr_format", "3", AZR_EUNSUPPORTED, "zarr_format"},
        {"zarr_format", NULL, AZR_ECORRUPT, "zarr_format"},
        {"zarr_format", "\"2\"", AZR_ECORRUPT, "zarr_format"},
    };

    (void)state;
    expect_grids(2, all, sizeof all / sizeof all[0]);
}

static void test_grids_of_format_3(void **state)
{
    static const odd all[] = {
        {"codecs", "7", 0, NULL},
        {"codecs", NULL, 0, NULL},
        {"codecs", "[7, {}, \"x\", {\"name\": \"y\"}, null]", 2, NULL},
        {"data_type", "{\"name\": \"x\"}", 2, NULL},
        {"shape", "\"x\"", AZR_ECORRUPT, "shape"},
        {"chunk_grid", "{\"name\": \"rectilinear\"}", AZR_EUNSUPPORTED,
         "chunk_grid"},
        {"chunk_key_encoding", "{\"name\": \"x\"}", AZR_EUNSUPPORTED,
         "chunk_key_encoding"},
        {"dimension_names", "[\"x\"]", AZR_ECORRUPT, "dimension_names"},
        {"attributes", "[]", AZR_ECORRUPT, "attributes"},
        {"nonsense", "{\"must_understand\": true}", AZR_EUNSUPPORTED,
         "nonsense"},
        {"zarr_format", "2", AZR_EUNSUPPORTED, "zarr_format"},
    };

    (void)state;
    expect_grids(3, all, sizeof all / sizeof all[0]);
}

/* One more than there is room for. */
static void put_many(azri_buf *out, const char *codec)
{
    azr_error err = AZR_ERROR_INIT;

    expect_ok(azri_buf_printf(out, &err, "[%s", codec), &err);
    for (int i = 0; i < AZRI_MAX_CODECS; i++)
        expect_ok(azri_buf_printf(out, &err, ", %s", codec), &err);
    expect_ok(azri_buf_puts(out, "]", &err), &err);
    expect_ok(azri_buf_terminate(out, &err), &err);
}

/* Refused, or (of a grid alone) left out. */
static void test_too_many_codecs(void **state)
{
    azri_buf two = AZRI_BUF_INIT, three = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;
    azri_meta *m = NULL;

    (void)state;
    put_many(&two, "{\"id\": \"x\"}");
    put_many(&three, "\"x\"");
    expect_ok(parse_grid(&m, 2, "filters", (const char *)two.data, &err), &err);
    assert_int_equal(m->codec_count, AZRI_MAX_CODECS);
    azri_meta_free(m);
    expect_ok(parse_grid(&m, 3, "codecs", (const char *)three.data, &err),
              &err);
    assert_int_equal(m->codec_count, AZRI_MAX_CODECS);
    azri_meta_free(m);
    expect_error(parse_with(&m, 2, "filters", (const char *)two.data, &err),
                 &err, AZR_EUNSUPPORTED, "65 filters, at most 64");
    azri_buf_dispose(&three);
    azri_buf_dispose(&two);
}

/* Early drafts, and what only looks like them. */
static void test_codecs_of_drafts(void **state)
{
    static const struct {
        const char *codecs, *config; /* of the first one, or NULL: no codec */
        bool big;
    } all[] = {
        {"[{\"name\": \"transpose\", \"configuration\": {\"order\": \"C\"}}, "
         "\"bytes\"]",
         "{\"order\":[0,1]}", false},
        {"[{\"name\": \"transpose\", \"configuration\": {\"order\": \"F\"}}, "
         "\"bytes\"]",
         "{\"order\":[1,0]}", false},
        {"[{\"name\": \"transpose\", \"configuration\": {\"order\": \"X\"}}]",
         "{\"order\": \"X\"}", false},
        {"[{\"name\": \"transpose\", \"configuration\": {}}]", "{}", false},
        {"[\"transpose\"]", "{}", false},
        {"[{\"name\": \"endian\", \"configuration\": {\"endian\": \"big\"}}]",
         "{\"endian\": \"big\"}", true},
        {"[{\"name\": \"bytes\", \"configuration\": {\"endian\": 7}}]",
         "{\"endian\": 7}", false},
        {"[{\"name\": \"bytes\", \"configuration\": {}}]", "{}", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        azri_meta *m = must_parse(3, "codecs", all[i].codecs);

        assert_in_range(m->codec_count, 1, 2);
        assert_string_equal(m->codecs[0].config, all[i].config);
        assert_int_equal(m->big_endian, all[i].big);
        azri_meta_free(m);
    }
}

/* --------------------------------------------------------------------- groups --- */

static void test_groups_that_are_none(void **state)
{
    static const struct {
        int format, code;
        const char *text, *zattrs, *part;
    } all[] = {
        {2, AZR_ECORRUPT, "[]", "", "found [], need an object"},
        {2, AZR_ECORRUPT, "{}", "", "zarr_format is missing: need 2"},
        {2, AZR_ECORRUPT, "{\"zarr_format\": \"2\"}", "", "need 2"},
        {2, AZR_EUNSUPPORTED, "{\"zarr_format\": 3}", "", "zarr_format 3"},
        {2, AZR_ECORRUPT, "{\"zarr_format\": 2}", "[]", ".zattrs: found []"},
        {3, AZR_ECORRUPT, "{}", "", "zarr_format is missing: need 3"},
        {3, AZR_ECORRUPT, "{\"zarr_format\": 3}", "", "node_type is missing"},
        {3, AZR_ECORRUPT, "{\"zarr_format\": 3, \"node_type\": 7}", "",
         "node_type is 7"},
        {3, AZR_EUNSUPPORTED, "{\"zarr_format\": 3, \"node_type\": \"x\"}", "",
         "node_type \"x\""},
        {3, AZR_ENOTFOUND, "{\"zarr_format\": 3, \"node_type\": \"array\"}", "",
         "need \"group\""},
        {3, AZR_EUNSUPPORTED,
         "{\"zarr_format\": 3, \"node_type\": \"group\", \"more\": {}}", "",
         "more"},
        {3, AZR_ECORRUPT,
         "{\"zarr_format\": 3, \"node_type\": \"group\", \"attributes\": 1}",
         "", "attributes is 1, need an object"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        azri_node n = {all[i].format, span_of(all[i].text),
                       span_of(all[i].zattrs)};
        azr_error err = AZR_ERROR_INIT;

        expect_error(azri_group_check(&n, &err), &err, all[i].code,
                     all[i].part);
    }
}

static void test_attributes_that_are_none(void **state)
{
    azri_node n = {3, span_of("{\"zarr_format\": 3}"), no_text()};
    azri_buf out = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    expect_error(azri_node_with_attributes(&out, &n, NULL, &err), &err,
                 AZR_EINVAL, "attributes are NULL, need an object");
    err = (azr_error)AZR_ERROR_INIT;
    expect_error(azri_node_with_attribute(&out, &n, NULL, "1", &err), &err,
                 AZR_EINVAL, "the name of the attribute is NULL");
    err = (azr_error)AZR_ERROR_INIT;
    n.text = span_of("{}"); /* no member from which to take the layout */
    expect_ok(azri_node_with_attribute(&out, &n, "x", "1", &err), &err);
    expect_text(&out, "{\"attributes\": {\"x\": 1}}");
    azri_buf_dispose(&out);
}

/* --------------------------------------------------------------- consolidated --- */

static void test_consolidated_that_is_none(void **state)
{
    static const struct {
        int format, code;
        const char *text, *part;
    } all[] = {
        {2, AZR_ECORRUPT, "[]", "found []"},
        {2, AZR_ECORRUPT, "{\"metadata\": {}}",
         "zarr_consolidated_format is missing"},
        {2, AZR_ECORRUPT,
         "{\"zarr_consolidated_format\": \"1\", \"metadata\": {}}", "need 1"},
        {2, AZR_EUNSUPPORTED,
         "{\"zarr_consolidated_format\": 2, \"metadata\": {}}", "2"},
        {2, AZR_ECORRUPT, "{\"zarr_consolidated_format\": 1}",
         "metadata is missing"},
        {2, AZR_ECORRUPT, "{\"zarr_consolidated_format\": 1, \"metadata\": 7}",
         "metadata is 7"},
        {3, AZR_ECORRUPT, "{\"consolidated_metadata\": 7}",
         "consolidated_metadata is 7"},
        {3, AZR_ECORRUPT, "{\"consolidated_metadata\": {}}",
         "need an object with \"metadata\""},
        {3, AZR_ECORRUPT,
         "{\"consolidated_metadata\": {\"kind\": 7, \"metadata\": 7}}",
         "need an object with \"metadata\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        azr_error err = AZR_ERROR_INIT;
        azri_consolidated *c = NULL;

        expect_error(azri_consolidated_parse(&c, all[i].format,
                                             span_of(all[i].text), &err),
                     &err, all[i].code, all[i].part);
        assert_null(c);
    }
}

/* Numbers by their value, as far as that can be told; the rest by their bytes. */
static void test_numbers_that_agree(void **state)
{
    static const struct {
        const char *a, *b;
        bool agree;
    } all[] = {
        {"{\"x\": 1}", "{\"x\": 1.0}", true},
        {"{\"x\": 0.10}", "{\"x\": 1e-1}", true},
        {"{\"x\": 1e999}", "{\"x\": 1e999}", true},
        {"{\"x\": 1e999}", "{\"x\": 1e998}", false},
        {"{\"x\": 123456789012345678901}", "{\"x\": 123456789012345678902}",
         false},
        {"{\"x\": NaN}", "{\"x\": NaN}", true},
        {"{\"x\": NaN}", "{\"x\": Infinity}", false},
        {"{\"x\": true}", "{\"x\": false}", false},
        {"{\"x\": null}", "{}", true},
        {"{\"x\": [null]}", "{\"x\": [null]}", true},
        {"{\"attributes\": {\"x\": null}}", "{\"attributes\": {}}", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        azr_error err = AZR_ERROR_INIT;
        bool same = !all[i].agree;

        expect_ok(azri_documents_agree(&same, span_of(all[i].a),
                                       span_of(all[i].b), false, &err),
                  &err);
        if (same != all[i].agree)
            fail_msg("%s and %s: %d", all[i].a, all[i].b, (int)same);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grids_of_format_2),
        cmocka_unit_test(test_grids_of_format_3),
        cmocka_unit_test(test_too_many_codecs),
        cmocka_unit_test(test_codecs_of_drafts),
        cmocka_unit_test(test_groups_that_are_none),
        cmocka_unit_test(test_attributes_that_are_none),
        cmocka_unit_test(test_consolidated_that_is_none),
        cmocka_unit_test(test_numbers_that_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
