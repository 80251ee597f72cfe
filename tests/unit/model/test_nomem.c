/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory runs out at each place where a document is read or written: an error each
 * time, nothing lost, and the same call succeeds afterwards. A buffer grows by
 * half, so most of what is added to it needs no memory: each call is made with
 * inputs of many lengths, which move the places where it does.
 */
#include "documents.h"

#include "base/alloc.h"
#include "model/consolidated.h"
#include "model/consolidated_edit.h"
#include "model/node.h"
#include "model/plan.h"
#include "unit/nomem.h"

#define LENGTHS 70

/* `k`: the length of something in what it does. */
typedef int (*call_fn)(unsigned k, azr_error *err);

static bool nth_fails(call_fn call, unsigned k, long n)
{
    uint64_t before = azri_heap_nbytes();
    azr_error err = AZR_ERROR_INIT;
    int rc;

    nomem_arm(n);
    rc = call(k, &err);
    nomem_left = -1;
    if (azri_heap_nbytes() != before)
        fail_msg("length %u, allocation %ld: %lld bytes left", k, n,
                 (long long)(azri_heap_nbytes() - before));
    if (nomem_fired && (rc != AZR_ENOMEM || err.code != AZR_ENOMEM ||
                        !strstr(err.message, "out of memory: ")))
        fail_msg("length %u, allocation %ld: %s: %s", k, n, azr_status_name(rc),
                 err.message);
    if (!nomem_fired && rc != AZR_OK)
        fail_msg("length %u: %s: %s", k, azr_status_name(rc), err.message);
    return nomem_fired;
}

static void each_fails(call_fn call)
{
    long most = 0;

    for (unsigned k = 0; k < LENGTHS; k++) {
        long n = 0;

        while (nth_fails(call, k, n))
            n++;
        most = n > most ? n : most;
    }
    assert_in_range(most, 1, 1000);
}

/* `k` letters. */
static const char *word(unsigned k)
{
    static char text[LENGTHS + 1];

    memset(text, 'k', k);
    text[k] = '\0';
    return text;
}

/* {"kkk": 1} */
static const char *object(unsigned k)
{
    static char text[LENGTHS + 16];

    (void)snprintf(text, sizeof text, "{\"%s\": 1}", word(k));
    return text;
}

/* ----------------------------------------------------------------- compose --- */

static azr_array_spec spec_of(unsigned k)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;

    spec.rank = 3;
    spec.dtype = AZR_FLOAT32;
    for (int d = 0; d < 3; d++)
        spec.shape[d] = spec.chunks[d] = 1;
    for (unsigned i = 0; i < k; i++) /* its digits */
        spec.shape[i % 3] *= i < 15 ? 10 : 1;
    spec.attributes = object(k);
    return spec;
}

static int compose(const azr_array_spec *spec, azr_error *err)
{
    azri_buf text = AZRI_BUF_INIT, zattrs = AZRI_BUF_INIT;
    int rc = azri_meta_compose(&text, &zattrs, spec, err);

    if (rc < 0) { /* nothing rather than half of it */
        assert_null(text.data);
        assert_null(zattrs.data);
    }
    azri_buf_dispose(&text);
    azri_buf_dispose(&zattrs);
    return rc;
}

static int compose_v3(unsigned k, azr_error *err)
{
    const char *names[3] = {NULL, "x", NULL};
    azr_array_spec spec = spec_of(k);

    names[0] = word(k);
    spec.order = 'F';
    spec.codecs = "crc32c,blosc:lz4:5:shuffle,zstd:3,gzip:2";
    spec.fill_value = "\"NaN\"";
    spec.dimension_names = names;
    spec.big_endian = k % 2 != 0;
    return compose(&spec, err);
}

static int compose_v3_chain(unsigned k, azr_error *err)
{
    azr_array_spec spec = spec_of(k);
    char chain[LENGTHS + 64];

    spec.dtype = AZR_UINT8;
    (void)snprintf(chain, sizeof chain, "[%*s\"bytes\"]", (int)k, "");
    spec.codecs = k % 2 != 0 ? chain : "{\"name\": \"crc32c\"}";
    return compose(&spec, err);
}

static int compose_v3_single(unsigned k, azr_error *err)
{
    azr_array_spec spec = spec_of(k);

    spec.dtype = AZR_COMPLEX128;
    spec.codecs = k % 2 != 0 ? "none" : NULL;
    spec.fill_value = "[1.5, \"-Infinity\"]";
    return compose(&spec, err);
}

static int compose_v2(unsigned k, azr_error *err)
{
    static const char *const codecs[] = {NULL, "none", "zstd:5", "lz4",
                                         "{\"id\": \"zlib\", \"level\": 1}"};
    const char *names[3] = {"y", "x", NULL};
    azr_array_spec spec = spec_of(k);

    spec.zarr_format = 2;
    names[2] = word(k);
    spec.dimension_names = k % 4 != 0 ? names : NULL;
    spec.codecs = codecs[k % 5];
    spec.fill_value = k % 3 != 0 ? "1.25" : "null";
    return compose(&spec, err);
}

static int compose_group(unsigned k, azr_error *err)
{
    azri_buf text = AZRI_BUF_INIT, zattrs = AZRI_BUF_INIT;
    int rc =
        azri_group_compose(&text, &zattrs, 2 + (int)(k % 2), object(k), err);

    azri_buf_dispose(&text);
    azri_buf_dispose(&zattrs);
    return rc;
}

static void test_new_documents(void **state)
{
    (void)state;
    each_fails(compose_v3);
    each_fails(compose_v3_chain);
    each_fails(compose_v3_single);
    each_fails(compose_v2);
    each_fails(compose_group);
}

/* ------------------------------------------------------------------- parse --- */

static int parse_array(unsigned k, azr_error *err)
{
    const char *filters =
        "[{\"id\": \"delta\", \"dtype\": \"<i4\"}, {\"id\": \"zstd\"}]";
    azri_buf name = AZRI_BUF_INIT;
    azri_meta *m = NULL;
    int rc;

    switch (k % 4) {
    case 0:
        rc = parse_with(&m, 3, "x", "{\"must_understand\": false}", err);
        break;
    case 1:
        rc = parse_with(&m, 3, "dimension_names", "[\"a\\u00e9\", \"b\"]", err);
        break;
    case 2:
        rc = parse_with(&m, 2, "filters", filters, err);
        break;
    default:
        rc = parse_with(&m, 2, "order", "\"F\"", err);
        break;
    }
    if (rc >= 0)
        rc = azri_meta_dimension_name(&name, m, 0, err);
    if (rc >= 0)
        rc = azri_meta_attributes(&name, m, err);
    azri_buf_dispose(&name);
    azri_meta_free(m);
    return rc;
}

/* Of what cannot be coded: grid and names alone. */
static int parse_grid(unsigned k, azr_error *err)
{
    azr_error why = {AZR_EUNSUPPORTED, AZR_SUB_FORMAT, 0, 0, {0}};
    int format = 2 + (int)(k % 2);
    azri_meta *m = NULL;
    int rc;

    (void)snprintf(why.message, sizeof why.message, "why: %s", word(k));
    rc = azri_meta_parse_grid(&m, format,
                              span_of(format == 2 ? base_v2 : base_v3),
                              span_of(object(k)), &why, err);
    if (rc >= 0)
        assert_string_equal(m->opaque, why.message);
    azri_meta_free(m);
    return rc;
}

static int parse_with_attributes(unsigned k, azr_error *err)
{
    const char *names = "{\"_ARRAY_DIMENSIONS\": [\"lat\", \"lon\"]}";
    azri_buf name = AZRI_BUF_INIT;
    azri_meta *m = NULL;
    int rc;

    (void)k;
    rc = azri_meta_parse(&m, 2, span_of(base_v2), span_of(names), err);
    if (rc >= 0)
        rc = azri_meta_dimension_name(&name, m, 1, err);
    if (rc >= 0)
        assert_string_equal((const char *)name.data, "lon");
    azri_buf_dispose(&name);
    azri_meta_free(m);
    return rc;
}

static void test_reading(void **state)
{
    (void)state;
    each_fails(parse_array);
    each_fails(parse_grid);
    each_fails(parse_with_attributes);
}

/* ----------------------------------------------------------------- rewrite --- */

static const char array_of_none[] =
    "{\"zarr_format\":2,\"shape\":[0,7],\"chunks\":[0,7],\"dtype\":\"<i4\","
    "\"compressor\":null,\"fill_value\":0,\"order\":\"C\",\"filters\":null}";

static int with_shape(unsigned k, azr_error *err)
{
    int format = 2 + (int)(k % 2);
    const char *base = format == 3  ? base_v3
                       : k % 4 == 0 ? base_v2
                                    : array_of_none;
    int64_t shape[2] = {1, 1};
    azri_buf out = AZRI_BUF_INIT;
    azri_meta *m = NULL;
    int rc;

    for (unsigned i = 0; i < k && i < 18; i++)
        shape[i % 2] *= 10;
    rc = azri_meta_parse(&m, format, span_of(base), no_text(), err);
    if (rc >= 0)
        rc = azri_buf_reserve(&out, 5 * k, err);
    if (rc >= 0)
        rc = azri_meta_with_shape(&out, m, shape, err);
    azri_buf_dispose(&out);
    azri_meta_free(m);
    return rc;
}

/* Documents with lines and without, with attributes, without, and empty ones. */
static int with_attribute(unsigned k, azr_error *err)
{
    static const char *const texts[] = {
        "{\"node_type\": \"group\"}",
        "{\n  \"node_type\": \"group\",\n  \"attributes\": {}\n}",
        "{\n  \"attributes\": {\n    \"a\": 1\n  }\n}",
        "{\"attributes\": {\"a\": 1, \"kkkkk\": [1, 2]}, \"x\": 1}"};
    static const char *const zattrs[] = {"", "{}", "{\"a\": 1}",
                                         "{\n  \"a\": 1\n}"};
    azri_node n = {2 + (int)(k / 4 % 2), span_of(texts[k % 4]), no_text()};
    azri_buf out = AZRI_BUF_INIT;
    int rc;

    n.attributes = span_of(zattrs[k % 4]);
    rc = azri_buf_reserve(&out, k, err);
    if (rc >= 0)
        rc =
            azri_node_with_attribute(&out, &n, word(k), "{\"v\": [1, 2]}", err);
    azri_buf_dispose(&out);
    return rc;
}

static int without_attribute(unsigned k, azr_error *err)
{
    azri_node n = {2 + (int)(k % 2), span_of("{\"attributes\": {\"a\": 1}}"),
                   span_of("{\"a\": 1}")};
    azri_buf out = AZRI_BUF_INIT;
    int rc;

    if (k % 3 == 0)
        n.text = n.attributes = span_of("{}");
    rc = azri_node_with_attribute(&out, &n, "a", NULL, err);
    azri_buf_dispose(&out);
    return rc;
}

static int with_attributes(unsigned k, azr_error *err)
{
    azri_node n = {2 + (int)(k % 2), span_of("{\"attributes\": {\"a\": 1}}"),
                   span_of("{\"a\": 1}")};
    azri_buf out = AZRI_BUF_INIT;
    int rc = azri_node_with_attributes(&out, &n, object(k), err);

    if (rc >= 0)
        rc = azri_node_attributes(&out, &n, err);
    azri_buf_dispose(&out);
    return rc;
}

static void test_rewriting(void **state)
{
    (void)state;
    each_fails(with_shape);
    each_fails(with_attribute);
    each_fails(without_attribute);
    each_fails(with_attributes);
}

/* ------------------------------------------------------------ consolidated --- */

static const char group_v3[] =
    "{\"zarr_format\": 3, \"node_type\": \"group\", \"attributes\": {}}";

static int gather(azri_buf *out, unsigned k, azr_error *err)
{
    int format = 2 + (int)(k % 2);
    const char *document = format == 2 ? "{\"zarr_format\": 2}" : group_v3;
    azri_gathering *g = NULL;
    int rc = azri_gathering_new(&g, format, err);

    if (rc >= 0)
        rc = azri_gathering_add(g, word(k), 1, span_of(document), err);
    if (rc >= 0)
        rc = azri_gathering_add(g, "b/c", 2, span_of(document), err);
    if (rc >= 0)
        rc = azri_gathering_add(g, "a", 1, span_of(base_v3), err);
    if (rc >= 0)
        rc = azri_gathering_compose(out, g, span_of(group_v3), err);
    azri_gathering_free(g);
    return rc;
}

static int consolidate(unsigned k, azr_error *err)
{
    azri_buf out = AZRI_BUF_INIT;
    azri_consolidated *c = NULL;
    azri_span value = {NULL, 0};
    int rc = gather(&out, k, err);

    if (rc >= 0)
        rc = azri_consolidated_parse(&c, 2 + (int)(k % 2), azri_buf_span(&out),
                                     err);
    if (rc >= 0)
        assert_true(azri_consolidated_find(c, "b/c", &value));
    azri_consolidated_free(c);
    azri_buf_dispose(&out);
    return rc;
}

/* One that stays, one that changes, one that goes, one that is new; and none at
 * all before. */
static int edit(unsigned k, azr_error *err)
{
    static const char *const texts[] = {
        "{\"metadata\":{\"a/.zattrs\":{\"x\":1},\"b/.zgroup\":{},"
        "\"c\":{\"y\":2}},\"zarr_consolidated_format\":1}",
        "{\n  \"metadata\": {\n    \"a/.zattrs\": {\n      \"x\": 1\n    },\n"
        "    \"c\": {\n      \"y\": 2\n    }\n  },\n"
        "  \"zarr_consolidated_format\": 1\n}",
        "{\n  \"metadata\": {},\n  \"zarr_consolidated_format\": 1\n}",
        "{\"metadata\":{},\"zarr_consolidated_format\":1}"};
    char changed_to[LENGTHS + 64];
    azri_edit edits[4] = {{"a/.zattrs", span_of("{\"x\": 2}")},
                          {"b/.zgroup", {NULL, 0}},
                          {"c", span_of("{\"y\": 2}")},
                          {"d", {NULL, 0}}};
    azri_span text = span_of(texts[k % 4]), in = {NULL, 0};
    azri_buf out = AZRI_BUF_INIT;
    bool changed = false;
    int rc;

    (void)snprintf(changed_to, sizeof changed_to, "{\"%s\": [1, 2, {}]}",
                   word(k));
    edits[3].text = span_of(changed_to);
    rc = azri_consolidated_object(&in, 2, text, err);
    if (rc >= 0)
        rc = azri_consolidated_edit(&out, &changed, 2, text, in, edits, 4, err);
    if (rc >= 0)
        assert_true(changed);
    azri_buf_dispose(&out);
    return rc;
}

static int agree(unsigned k, azr_error *err)
{
    char escaped[LENGTHS * 6 + 64];
    size_t n = 0;
    bool same = false;
    int rc;

    n += (size_t)snprintf(escaped, sizeof escaped, "{\"");
    for (unsigned i = 0; i < k; i++)
        n += (size_t)snprintf(escaped + n, sizeof escaped - n, "\\u006b");
    (void)snprintf(escaped + n, sizeof escaped - n, "\": 1}");
    rc = azri_documents_agree(&same, span_of(object(k)), span_of(escaped), true,
                              err);
    if (rc >= 0)
        assert_true(same);
    return rc;
}

static void test_consolidating(void **state)
{
    (void)state;
    each_fails(consolidate);
    each_fails(edit);
    each_fails(agree);
}

/* ------------------------------------------------------------------- texts --- */

static int format_all(unsigned k, azr_error *err)
{
    static const uint8_t elements[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    azri_buf out = AZRI_BUF_INIT;
    const azri_dtype *types;
    size_t count;
    int rc = AZR_OK;

    types = azri_dtype_table(&count);
    for (size_t i = 0; i < count && rc >= 0; i++) {
        rc = azri_buf_reserve(&out, k, err);
        if (rc >= 0)
            rc = azri_element_format(&out, &types[i], elements, err);
        if (rc >= 0)
            rc =
                azri_fill_format(&out, &types[i], 2, i % 2 != 0, elements, err);
        if (rc >= 0)
            rc = azri_fill_format(&out, &types[i], 3, true, elements, err);
        azri_buf_dispose(&out);
    }
    return rc;
}

static int quote(unsigned k, azr_error *err)
{
    static const char text[] = "a\"b\\c\n\r\t\b\f\x01\xC3\xA9";
    azri_buf out = AZRI_BUF_INIT, back = AZRI_BUF_INIT;
    int rc = azri_buf_reserve(&out, k, err);

    if (rc >= 0)
        rc = azri_json_quote(&out, text, sizeof text - 1, err);
    if (rc >= 0)
        rc = azri_buf_reserve(&back, k, err);
    if (rc >= 0)
        rc = azri_json_unquote(&back, azri_buf_span(&out), err);
    if (rc >= 0)
        assert_memory_equal(back.data, text, sizeof text - 1);
    azri_buf_dispose(&back);
    azri_buf_dispose(&out);
    return rc;
}

static int unquote_escapes(unsigned k, azr_error *err)
{
    static const char text[] =
        "\"\\u0041\\n\\/\\ud83d\\ude00\\ud83d\\u20ac\\\\\\t\\b\\f\\r\\\"z\"";
    azri_buf out = AZRI_BUF_INIT;
    int rc = azri_buf_reserve(&out, k, err);

    if (rc >= 0)
        rc = azri_json_unquote(&out, span_of(text), err);
    azri_buf_dispose(&out);
    return rc;
}

static int splice(unsigned k, azr_error *err)
{
    static const char *const texts[] = {"{}", "{ }", "{\"a\":1}",
                                        "{\n  \"a\": 1,\n  \"b\": 2\n}",
                                        "{\"b\": 1, \"a\": 2, \"b\": 3}"};
    azri_buf out = AZRI_BUF_INIT;
    azri_span value = k % 2 != 0 ? span_of("[1]") : no_text();
    int rc = azri_buf_reserve(&out, k, err);

    if (rc >= 0)
        rc = azri_json_splice(&out, span_of(texts[k % 5]), "b", value, err);
    if (rc >= 0)
        rc = azri_json_pretty(
            &out, span_of("{\"a\":[1,{\"b\":[]},{}],\"c\":2}"), 4, err);
    azri_buf_dispose(&out);
    return rc;
}

static void test_texts(void **state)
{
    (void)state;
    each_fails(format_all);
    each_fails(quote);
    each_fails(unquote_escapes);
    each_fails(splice);
}

/* ------------------------------------------------------------------- plans --- */

/* Of points: each allocation but the last, which only gives back what is too much. */
static void test_plans(void **state)
{
    static const int64_t shape[2] = {100, 100}, chunk[2] = {7, 9};
    const uint64_t before = azri_heap_nbytes();
    int64_t at[40];
    azr_selection s = azr_select_points(2, at, 20);

    (void)state;
    for (int i = 0; i < 40; i++)
        at[i] = i * 37 % 100;
    for (long n = 0; n < 6; n++) {
        azr_error err = AZR_ERROR_INIT;
        azri_plan p;
        int rc;

        nomem_arm(n);
        rc = azri_plan_init(&p, &s, 2, shape, chunk, &err);
        nomem_left = -1;
        assert_int_equal(nomem_fired, n < 5);
        assert_int_equal(rc, n < 4 ? AZR_ENOMEM : AZR_OK);
        assert_int_equal(err.code, rc);
        if (rc == AZR_OK)
            azri_plan_dispose(&p);
        assert_int_equal(azri_heap_nbytes(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_documents),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_rewriting),
        cmocka_unit_test(test_consolidating),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_plans),
    };

    return cmocka_run_group_tests(tests, nomem_install, NULL);
}
