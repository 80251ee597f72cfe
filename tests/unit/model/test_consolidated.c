/* SPDX-License-Identifier: Apache-2.0 */
/* Consolidated metadata: what counts as the same, what is found in it, and the
 * documents that we compose. */
#include "testing.h"

#include "model/consolidated.h"
#include "model/node.h"

static bool agree(const char *a, const char *b, bool exact)
{
    azr_error err = AZR_ERROR_INIT;
    bool same = false;

    expect_ok(azri_documents_agree(&same, span_of(a), span_of(b), exact, &err),
              &err);
    return same;
}

static void what_is_the_same(void **state)
{
    (void)state;
    assert_true(
        agree("{\"a\":1,\"b\":[1,2]}", " {\"b\": [1, 2], \"a\":1}\n", false));
    assert_true(agree("{\"a\":\"\\u00e9\"}", "{\"a\":\"\xc3\xa9\"}", false));
    assert_true(agree("{\"fill_value\":0}", "{\"fill_value\":0.0}", false));
    assert_true(agree("{\"x\":1e-3}", "{\"x\":0.001}", false));
    assert_true(agree("{\"filters\":null}", "{\"filters\":[]}", false));
    assert_true(agree("{}", "{\"attributes\":{},\"s\":[]}", false));
    assert_true(agree("{\"a\":1,\"consolidated_metadata\":{\"metadata\":{}}}",
                      "{\"a\":1}", false));
}

static void what_is_not_the_same(void **state)
{
    (void)state;
    assert_false(agree("{\"a\":1}", "{\"a\":2}", false));
    assert_false(agree("{\"a\":1}", "{\"b\":1}", false));
    assert_false(agree("{\"a\":[1,2]}", "{\"a\":[2,1]}", false));
    assert_false(agree("{\"a\":1}", "{\"a\":\"1\"}", false));
    assert_false(agree("{\"a\":true}", "{\"a\":false}", false));
    assert_false(agree("{\"a\":NaN}", "{\"a\":Infinity}", false));
    assert_false(agree("{\"a\":1,\"b\":2}", "{\"a\":2,\"b\":1}", false));
    assert_false(agree("{\"a\":{\"b\":1}}", "{\"a\":{\"c\":1}}", false));
    assert_false(agree("{\"a\":18446744073709551616}",
                       "{\"a\":18446744073709551617}", false));
    /* of attributes every member counts */
    assert_false(agree("{\"attributes\":{\"a\":null}}", "{}", false));
    assert_false(agree("{\"attributes\":{\"a\":[]}}",
                       "{\"attributes\":{\"a\":null}}", false));
    assert_false(agree("{\"a\":null}", "{}", true));
    assert_false(agree("{\"consolidated_metadata\":1}", "{}", true));
}

static void refuse(int format, const char *text, int code, const char *part)
{
    azri_consolidated *c = NULL;
    azr_error err = AZR_ERROR_INIT;
    int rc = azri_consolidated_parse(&c, format, span_of(text), &err);

    assert_null(c);
    if (part)
        expect_error(rc, &err, code, part);
    else
        assert_int_equal(rc, code);
}

static void what_is_refused(void **state)
{
    (void)state;
    refuse(3, "{}", AZR_ENOTFOUND, NULL);
    refuse(3, "{\"consolidated_metadata\":null}", AZR_ENOTFOUND, NULL);
    refuse(3, "{\"consolidated_metadata\":{\"kind\":\"file\"}}", AZR_ENOTFOUND,
           NULL);
    refuse(3, "{\"consolidated_metadata\":7}", AZR_ECORRUPT, "is 7, need");
    refuse(3, "{\"consolidated_metadata\":{\"metadata\":[]}}", AZR_ECORRUPT,
           "metadata");
    refuse(3, "{\"consolidated_metadata\":", AZR_ECORRUPT, "zarr.json");
    refuse(2, "{\"metadata\":{}}", AZR_ECORRUPT, "missing");
    refuse(2, "{\"metadata\":{},\"zarr_consolidated_format\":2}",
           AZR_EUNSUPPORTED, "zarr_consolidated_format 2");
    refuse(2, "{\"metadata\":1,\"zarr_consolidated_format\":1}", AZR_ECORRUPT,
           "need an object");
}

static void entries_are_found(void **state)
{
    const char *text = "{\"zarr_consolidated_format\":1,\"metadata\":{"
                       "\"b/.zarray\":{\"x\":1},\"\\u0061\":{},\"../c\":{},"
                       "\"b/.zarray\":{\"x\":2},\"d\":null}}";
    azr_error err = AZR_ERROR_INIT;
    azri_consolidated *c = NULL;
    azri_span found;
    size_t at = 0;

    (void)state;
    expect_ok(azri_consolidated_parse(&c, 2, span_of(text), &err), &err);
    assert_true(azri_consolidated_find(c, "a", &found));
    assert_true(azri_consolidated_find(c, "b/.zarray", &found));
    assert_int_equal(found.nbytes, 7);
    assert_memory_equal(found.data, "{\"x\":2}", 7);
    assert_false(azri_consolidated_find(c, "b", &found));
    assert_string_equal(azri_consolidated_unseen(c, &at, &found), "../c");
    assert_string_equal(azri_consolidated_unseen(c, &at, &found), "d");
    assert_null(azri_consolidated_unseen(c, &at, &found));
    azri_consolidated_free(c);
}

static azri_gathering *gather(int format)
{
    azri_gathering *g = NULL;
    azr_error err = AZR_ERROR_INIT;

    expect_ok(azri_gathering_new(&g, format, &err), &err);
    return g;
}

static void composed_of_format_3(void **state)
{
    const char *root = "{\"node_type\":\"group\", \"zarr_format\":3,\n"
                       " \"attributes\": {\"k\":NaN}}\n";
    azri_gathering *g = gather(3);
    azr_error err = AZR_ERROR_INIT;
    azri_buf once = AZRI_BUF_INIT, twice = AZRI_BUF_INIT;

    (void)state;
    expect_ok(azri_gathering_add(g, "g/a", 2,
                                 span_of("{\"node_type\":\"array\",\"x\":1e0}"),
                                 &err),
              &err);
    expect_ok(azri_gathering_add(g, "g", 1,
                                 span_of("{\"node_type\":\"group\","
                                         "\"consolidated_metadata\":{\"q\":1}}"
                                         "\n"),
                                 &err),
              &err);
    expect_ok(azri_gathering_compose(&once, g, span_of(root), &err), &err);
    expect_text(&once, "{\"node_type\":\"group\", \"zarr_format\":3,\n"
                       " \"attributes\": {\"k\":NaN},\n"
                       " \"consolidated_metadata\": {\n"
                       "    \"kind\": \"inline\",\n"
                       "    \"must_understand\": false,\n"
                       "    \"metadata\": {\n"
                       "      \"g\": {\n"
                       "        \"node_type\": \"group\",\n"
                       "        \"consolidated_metadata\": {\n"
                       "          \"kind\": \"inline\",\n"
                       "          \"must_understand\": false,\n"
                       "          \"metadata\": {}\n"
                       "        }\n"
                       "      },\n"
                       "      \"g/a\": {\n"
                       "        \"node_type\": \"array\",\n"
                       "        \"x\": 1e0\n"
                       "      }\n"
                       "    }\n"
                       "  }}\n");
    /* again, over the first: the same bytes */
    expect_ok(azri_gathering_compose(&twice, g, azri_buf_span(&once), &err),
              &err);
    assert_int_equal(once.nbytes, twice.nbytes);
    assert_memory_equal(once.data, twice.data, once.nbytes);
    azri_buf_dispose(&once);
    azri_buf_dispose(&twice);
    azri_gathering_free(g);
}

static void composed_of_format_2(void **state)
{
    azri_gathering *g = gather(2);
    azr_error err = AZR_ERROR_INIT;
    azri_buf out = AZRI_BUF_INIT;
    azri_span none = {NULL, 0};

    (void)state;
    expect_ok(azri_gathering_add(g, ".zgroup", 0,
                                 span_of("{\"zarr_format\":2}"), &err),
              &err);
    expect_ok(azri_gathering_compose(&out, g, none, &err), &err);
    expect_text(&out, "{\n  \"metadata\": {\n    \".zgroup\": {\n"
                      "      \"zarr_format\": 2\n    }\n  },\n"
                      "  \"zarr_consolidated_format\": 1\n}");
    azri_buf_dispose(&out);
    azri_gathering_free(g);
}

static void too_deep_to_be_read_again(void **state)
{
    char deep[200] = "{\"a\":";
    azri_gathering *g = gather(3);
    azr_error err = AZR_ERROR_INIT;
    azri_buf out = AZRI_BUF_INIT;

    (void)state;
    memset(deep + 5, '[', 62);
    memset(deep + 67, ']', 62);
    deep[129] = '}';
    deep[130] = '\0';
    expect_ok(azri_json_check(span_of(deep), "it", AZR_ECORRUPT, &err), &err);
    expect_ok(azri_gathering_add(g, "a", 1, span_of(deep), &err), &err);
    expect_error(azri_gathering_compose(&out, g, span_of("{}"), &err), &err,
                 AZR_EINVAL, "consolidated");
    azri_buf_dispose(&out);
    azri_gathering_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_the_same),
        cmocka_unit_test(what_is_not_the_same),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(entries_are_found),
        cmocka_unit_test(composed_of_format_3),
        cmocka_unit_test(composed_of_format_2),
        cmocka_unit_test(too_deep_to_be_read_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
