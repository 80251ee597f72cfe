/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of consolidated metadata changed one by one: what they become, and that
 * every other byte stays. */
#include "testing.h"

#include "model/consolidated.h"
#include "model/consolidated_edit.h"

#define V3(entries)                                                            \
    "{\"zarr_format\":3,\"x\": [1,  2],\"consolidated_metadata\":"             \
    "{\"kind\":\"inline\",\"metadata\":{" entries "},\"y\":0}}"

#define ONE(key, json)                                                         \
    {                                                                          \
        key,                                                                   \
        {                                                                      \
            (const uint8_t *)(json), sizeof(json) - 1                          \
        }                                                                      \
    }
#define GONE(key)                                                              \
    {                                                                          \
        key,                                                                   \
        {                                                                      \
            NULL, 0                                                            \
        }                                                                      \
    }

/* `wanted` NULL: nothing is to change. */
static void edits(int format, const char *text, const azri_edit *list, size_t n,
                  const char *wanted)
{
    azr_error err = AZR_ERROR_INIT;
    azri_buf out = AZRI_BUF_INIT;
    bool changed = !wanted;
    azri_span object;

    expect_ok(azri_consolidated_object(&object, format, span_of(text), &err),
              &err);
    expect_ok(azri_consolidated_edit(&out, &changed, format, span_of(text),
                                     object, list, n, &err),
              &err);
    assert_int_equal(changed, wanted != NULL);
    expect_ok(azri_buf_terminate(&out, &err), &err);
    assert_string_equal((const char *)out.data, wanted ? wanted : "");
    azri_buf_dispose(&out);
}

static void changes_what_differs(void **state)
{
    azri_edit list[] = {ONE("a", "{\"s\":[9]}"), ONE("b", "{\"t\":2}")};

    (void)state;
    edits(3, V3("\"a\":{\"s\":[4]} , \"b\" : {\"t\":2.0}, \"c\":{}"), list, 2,
          V3("\"a\":{\"s\":[9]} , \"b\" : {\"t\":2.0}, \"c\":{}"));
    edits(3, V3("\"b\":{ \"t\": 2},\"a\":{\"s\": [9]}"), list, 2, NULL);
    /* names are compared by value; of two both become it */
    edits(3, V3("\"\\u0061\":{},\"a\":1"), list, 1,
          V3("\"\\u0061\":{\"s\":[9]},\"a\":{\"s\":[9]}"));
    edits(3, V3("\"a\\u0000\":{},\"a\":{\"s\":[9]}"), list, 1, NULL);
}

static void adds_what_is_missing(void **state)
{
    azri_edit list[] = {ONE("n", "{\"s\":1}"), ONE("o", "{}")};

    (void)state;
    edits(3, V3(""), list, 2, V3("\"n\":{\"s\":1},\"o\":{}"));
    edits(3, V3("\"a\":{}"), list, 2, V3("\"a\":{},\"n\":{\"s\":1},\"o\":{}"));
    edits(3, V3("\"o\":{} "), list, 2, V3("\"o\":{},\"n\":{\"s\":1} "));
}

static void removes_what_is_gone(void **state)
{
    azri_edit list[] = {GONE("a"), GONE("c")};
    azri_edit swap[] = {GONE("a"), ONE("b", "{}")};

    (void)state;
    edits(3, V3("\"a\":{},\"b\":{}, \"c\":{}"), list, 2, V3("\"b\":{}"));
    edits(3, V3("\"b\":{}, \"c\":{}, \"d\":1"), list, 2,
          V3("\"b\":{}, \"d\":1"));
    edits(3, V3("\"a\":{},\"c\":{}"), list, 2, V3(""));
    edits(3, V3("\"b\":{}"), list, 2, NULL);
    edits(3, V3("\"a\":{}"), swap, 2, V3("\"b\":{}"));
}

static void writes_in_the_style_of_the_document(void **state)
{
    azri_edit v2[] = {ONE("a/.zarray", "{\"s\":[1]}"), ONE("a/.zattrs", "{}")};
    azri_edit group[] = {ONE("g", "{\"node_type\":\"group\"}")};

    (void)state;
    edits(2, "{\n  \"metadata\": {},\n  \"zarr_consolidated_format\": 1\n}\n",
          v2, 1,
          "{\n  \"metadata\": {\n    \"a/.zarray\": {\n      \"s\": [\n"
          "        1\n      ]\n    }\n  },\n"
          "  \"zarr_consolidated_format\": 1\n}\n");
    /* an empty .zattrs is none */
    edits(2,
          "{\"metadata\":{\"a/.zarray\":{\"s\":[1]}},"
          "\"zarr_consolidated_format\":1}",
          v2, 1, NULL);
    edits(3, V3(""), group, 1,
          V3("\"g\":{\"node_type\":\"group\",\"consolidated_metadata\":"
             "{\"kind\":\"inline\",\"must_understand\":false,"
             "\"metadata\":{}}}"));
}

static void what_follows_can_be_read_again(void **state)
{
    azri_edit list[] = {ONE("a", "{\"fill_value\": NaN}"), GONE("b"),
                        ONE("c", "{\n \"k\": \"\xc3\xa9\"\n}")};
    const char *text = V3("\n \"b\": {}\n,\n \"a\": {\"fill_value\":0}\n");
    azr_error err = AZR_ERROR_INIT;
    azri_buf out = AZRI_BUF_INIT;
    azri_consolidated *c = NULL;
    azri_span object, entry;
    bool changed;

    (void)state;
    expect_ok(azri_consolidated_object(&object, 3, span_of(text), &err), &err);
    expect_ok(azri_consolidated_edit(&out, &changed, 3, span_of(text), object,
                                     list, 3, &err),
              &err);
    expect_ok(azri_consolidated_parse(&c, 3, azri_buf_span(&out), &err), &err);
    assert_true(azri_consolidated_find(c, "a", &entry));
    assert_false(azri_consolidated_find(c, "b", &entry));
    assert_true(azri_consolidated_find(c, "c", &entry));
    azri_consolidated_free(c);
    azri_buf_dispose(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_what_differs),
        cmocka_unit_test(adds_what_is_missing),
        cmocka_unit_test(removes_what_is_gone),
        cmocka_unit_test(writes_in_the_style_of_the_document),
        cmocka_unit_test(what_follows_can_be_read_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
