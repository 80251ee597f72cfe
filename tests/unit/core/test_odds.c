/* SPDX-License-Identifier: Apache-2.0 */
/* Odd arrays and groups that are all right, or wrong in one thing: without
 * dimensions, without a fill value, with an optional codec that is not known, very
 * many at once, and what others have changed behind our back. */
#include "small.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define LENGTH 12 /* in chunks of 4 */

static azr_error err;

SMALL_FIXTURE("odds")

static const char *at(const char *name)
{
    return small_path(g_dir, name);
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(at(name), "we");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static bool exists(const char *name)
{
    return access(at(name), F_OK) == 0;
}

static azr_group *make_group(const char *name)
{
    azr_group *g = NULL;

    OK(azr_group_create(&g, at(name), NULL, NULL, &err));
    return g;
}

/* -------------------------------------------------------------------- arrays --- */

static int32_t value_of(azr_array *a, int rank)
{
    azr_selection all = azr_select_all(rank);
    int32_t v = -1;

    OK(azr_array_read(a, &all, &v, sizeof v, &err));
    return v;
}

static void test_no_dimensions(void **state)
{
    azr_array_spec spec = small_line(3, LENGTH);
    azr_selection all = azr_select_all(0);
    azr_array *a = NULL;
    azr_snapshot *s = NULL;
    azr_txn *t = NULL;
    int32_t v = 7;

    (void)state;
    spec.rank = 0;
    OK(azr_array_create(&a, at("a"), &spec, NULL, &err));
    OK(azr_array_write(a, &all, &v, sizeof v, &err));
    OK(azr_snapshot_take(&s, &a, 1, NULL, &err));
    OK(azr_txn_begin(&t, NULL, &err));
    OK(azr_txn_read(t, a, &all, &v, sizeof v, &err));
    OK(azr_txn_read(t, a, &all, &v, sizeof v, &err));
    v++;
    OK(azr_txn_write(t, a, &all, &v, sizeof v, &err));
    OK(azr_txn_commit(t, &err));
    azr_txn_free(t);
    assert_int_equal(value_of(a, 0), 8);
    assert_int_equal(value_of(azr_snapshot_array(s, 0), 0), 7);
    azr_snapshot_close(s);
    OK(azr_copy(at("a"), at("b"), NULL, NULL, &err));
    azr_array_close(a);
    OK(azr_array_open(&a, at("b"), NULL, &err));
    assert_int_equal(value_of(a, 0), 8);
    azr_array_close(a);
}

/* Without a fill value no chunk is empty: all are stored. */
static void test_no_fill_value(void **state)
{
    azr_array_spec spec = small_line(2, LENGTH);
    azr_selection all = azr_select_all(1);
    azr_array *a = NULL;
    int32_t zero = 0;

    (void)state;
    spec.fill_value = "null";
    OK(azr_array_create(&a, at("a"), &spec, NULL, &err));
    OK(azr_array_fill(a, &all, &zero, sizeof zero, &err));
    assert_true(exists("a/0"));
    assert_true(exists("a/2"));
    azr_array_close(a);
}

static void test_writing_what_is_empty(void **state)
{
    azr_array_spec spec = small_line(3, LENGTH);
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_selection all = azr_select_all(1);
    azr_array *a = NULL;
    azr_txn *t = NULL;
    void *bytes = NULL;
    size_t n = 0;
    const int64_t first = 0;
    int32_t zero = 0;

    (void)state;
    o.flags = AZR_OPEN_WRITE_EMPTY;
    OK(azr_array_create(&a, at("a"), &spec, &o, &err));
    OK(azr_array_fill(a, &all, &zero, sizeof zero, &err));
    assert_true(exists("a/c/0"));
    OK(azr_txn_begin(&t, NULL, &err));
    OK(azr_txn_fill(t, a, &all, &zero, sizeof zero, &err));
    OK(azr_txn_read_chunk(t, a, &first, &bytes, &n, &err));
    assert_non_null(bytes); /* as it will be stored */
    OK(azr_txn_commit(t, &err));
    azr_free(bytes);
    azr_txn_free(t);
    assert_true(exists("a/c/2"));
    azr_array_close(a);
}

static const char partial[] =
    "{\"zarr_format\": 3, \"node_type\": \"array\", \"shape\": [12], "
    "\"data_type\": \"int32\", \"chunk_grid\": {\"name\": \"regular\", "
    "\"configuration\": {\"chunk_shape\": [4]}}, \"chunk_key_encoding\": "
    "{\"name\": \"default\"}, \"fill_value\": 9, \"codecs\": [{\"name\": "
    "\"bytes\", \"configuration\": {\"endian\": \"little\"}}, {\"name\": "
    "\"mystery\", \"must_understand\": false}]}";

static void test_optional_codecs(void **state)
{
    azr_array_text text = AZR_ARRAY_TEXT_INIT;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_selection one = AZR_BOX(1, {0}, {1});
    azr_array *a = NULL;
    azr_txn *t = NULL;
    int32_t v = 0;

    (void)state;
    assert_int_equal(mkdir(at("a"), 0755), 0);
    put("a/zarr.json", partial);
    OK(azr_array_open(&a, at("a"), NULL, &err));
    OK(azr_array_read(a, &one, &v, sizeof v, &err));
    assert_int_equal(v, 9);
    azr_array_close(a);
    a = NULL;
    o.flags = AZR_OPEN_WRITE;
    TELLS(azr_array_open(&a, at("a"), &o, &err), AZR_EUNSUPPORTED,
          "an optional codec that is not supported: it can be read, not "
          "written");
    text.document = partial;
    OK(azr_txn_begin(&t, NULL, &err));
    TELLS(azr_txn_create_from(t, &a, at("b"), &text, NULL, &err),
          AZR_EUNSUPPORTED, "it can be read, not written");
    azr_txn_free(t);
    o.flags = AZR_OPEN_WRITE | AZR_OPEN_OPAQUE; /* by chunks as they are */
    OK(azr_array_open(&a, at("a"), &o, &err));
    TELLS(azr_array_read(a, &one, &v, sizeof v, &err), AZR_EUNSUPPORTED,
          "it can be read and written by chunks as they are stored");
    azr_array_close(a);
}

static void test_chunks_of_a_wrong_size(void **state)
{
    azr_array_spec spec = small_line(3, LENGTH);
    azr_selection all = azr_select_all(1);
    azr_array *a = NULL;
    azr_txn *t = NULL;
    int32_t v[LENGTH] = {1, 2, 3};
    const int64_t first = 0;
    static uint8_t junk[200000];

    (void)state;
    OK(azr_array_create(&a, at("a"), &spec, NULL, &err));
    OK(azr_array_write(a, &all, v, sizeof v, &err));
    assert_int_equal(truncate(at("a/c/0"), 1 << 20), 0);
    TELLS(azr_array_read(a, &all, v, sizeof v, &err), AZR_ECORRUPT,
          "chunk 'c/0': 1048576 bytes, at most ");
    OK(azr_txn_begin(&t, NULL, &err));
    OK(azr_txn_write_chunk(t, a, &first, junk, sizeof junk, &err));
    TELLS(azr_txn_read(t, a, &all, v, sizeof v, &err), AZR_ECORRUPT,
          "chunk 'c/0': 200000 bytes, at most ");
    azr_txn_free(t);
    azr_array_close(a);
}

static void test_values_of_a_wrong_size(void **state)
{
    azr_array_spec spec = small_line(3, LENGTH);
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    static const int64_t places[2] = {3, 11};
    azr_selection points = azr_select_points(1, places, 2);
    azr_array *a = NULL;
    int32_t v[2] = {7, 7};

    (void)state;
    OK(azr_array_create(&a, at("a"), &spec, NULL, &err));
    TELLS(azr_array_fill(a, &points, v, 3, &err), AZR_EINVAL,
          "a value of 3 bytes, one element has 4");
    OK(azr_array_fill(a, &points, v, 4, &err));
    v[0] = v[1] = 0;
    OK(azr_array_read(a, &points, v, sizeof v, &err));
    assert_int_equal(v[0], 7);
    assert_int_equal(v[1], 7);
    azr_array_close(a);
    o.flags = AZR_OPEN_WRITE | AZR_OPEN_KERNEL_LOCKS;
    OK(azr_array_open(&a, at("a"), &o, &err));
    OK(azr_array_fill(a, &points, v, 4, &err));
    azr_array_close(a);
}

/* A product that is too large for a number, and then nothing. */
static void test_cells_that_cannot_be_counted(void **state)
{
    azr_array_spec spec = small_line(3, LENGTH);
    azr_array_info info = {.struct_size = sizeof info};
    azr_array *a = NULL;

    (void)state;
    spec.rank = 3;
    spec.shape[0] = spec.shape[1] = INT64_C(1) << 62;
    spec.shape[2] = 0;
    spec.chunks[0] = spec.chunks[1] = spec.chunks[2] = 1;
    OK(azr_array_create(&a, at("a"), &spec, NULL, &err));
    OK(azr_array_info_get(a, &info, &err));
    assert_int_equal(info.chunk_count, 0);
    TELLS(azr_array_append(a, -1, 1, NULL, 0, NULL, &err), AZR_EINVAL,
          "axis -1, the array has 3");
    TELLS(azr_array_append(a, 0, INT64_MAX, NULL, 0, NULL, &err), AZR_EINVAL,
          "dimension 0 would pass 2^63 elements");
    azr_array_close(a);
}

/* -------------------------------------------------------------------- groups --- */

static void test_very_many_arrays(void **state)
{
    azr_copied done = {.struct_size = sizeof done};
    azr_array_spec spec = small_line(3, LENGTH);
    azr_selection all = azr_select_all(1);
    azr_group *g = make_group("g");
    azr_array *a = NULL;
    int32_t one = 1;

    (void)state;
    for (int i = 0; i < 66; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "a%d", i);
        OK(azr_group_create_array(&a, g, name, &spec, NULL, &err));
        if (i % 30 == 0)
            OK(azr_array_fill(a, &all, &one, sizeof one, &err));
        azr_array_close(a);
    }
    azr_group_close(g);
    OK(azr_copy(at("g"), at("h"), NULL, &done, &err));
    assert_int_equal(done.arrays, 66);
    assert_int_equal(done.chunks, 9);
    assert_int_equal(done.one_instant, 0);
    assert_true(exists("h/a60/c/2"));
}

static void test_a_group_of_the_other_format(void **state)
{
    azr_group *g = make_group("g");

    (void)state;
    assert_int_equal(unlink(at("g/zarr.json")), 0);
    put("g/.zgroup", "{\"zarr_format\": 2}");
    TELLS(azr_group_attribute_set(g, "x", "1", &err), AZR_ENOTFOUND,
          "is no longer the group that was opened");
    assert_false(exists("g/.zattrs"));
    azr_group_close(g);
}

static int stop(const azr_finding *f, void *arg)
{
    (void)f;
    ++*(int *)arg;
    return 1;
}

static void test_checking_that_stops(void **state)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_group *g = make_group("g"), *below = NULL;
    int seen = 0;

    (void)state;
    OK(azr_group_consolidate(g, &err));
    o.flags = AZR_OPEN_STALE_CONSOLIDATED;
    OK(azr_group_create_group(&below, g, "x", NULL, &o, &err));
    azr_group_close(below);
    OK(azr_group_create_group(&below, g, "y", NULL, &o, &err));
    azr_group_close(below);
    TELLS(azr_group_check_consolidated(g, stop, &seen, &err), AZR_ECANCELED,
          "checking was stopped");
    assert_int_equal(seen, 1);
    azr_group_close(g);
}

static int count_node(const azr_node *node, void *arg)
{
    (void)node;
    ++*(int *)arg;
    return 0;
}

static void test_walks(void **state)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_group *g = make_group("g");
    int seen = 0;

    (void)state;
    azr_group_close(make_group("g/h"));
    OK(azr_group_walk(g, 1000000, count_node, &seen, &err));
    assert_int_equal(seen, 1);
    azr_group_close(g);
    OK(azr_cancel_new(&o.cancel));
    OK(azr_group_open(&g, at("g"), &o, &err));
    azr_cancel_request(o.cancel);
    FAILS(azr_group_walk(g, 0, count_node, &seen, &err), AZR_ECANCELED);
    assert_int_equal(seen, 1);
    azr_group_close(g);
    azr_cancel_free(o.cancel);
}

/* -------------------------------------------------------------- whole nodes --- */

static void test_what_may_be_replaced(void **state)
{
    azr_tree_options o = AZR_TREE_OPTIONS_INIT;
    azr_array_spec spec = small_line(3, LENGTH);
    azr_array *a = NULL;

    (void)state;
    for (int i = 0; i < 2; i++) {
        OK(azr_array_create(&a, at("a"), &spec, NULL, &err));
        azr_array_close(a);
        if (i == 0) {
            assert_int_equal(mkdir(at("b"), 0755), 0);
            assert_int_equal(mkdir(at("b/.azr"), 0755), 0);
            put("b/.zattrs", "{}");
            put("b/zarr.json.partial", "{");
        } else {
            assert_int_equal(mkdir(at("c"), 0755), 0);
            put("c/x", "");
            TELLS(azr_replace(at("a"), at("c"), NULL, &err), AZR_EEXISTS,
                  "is no Zarr array or group, and not empty");
        }
        o.flags = i == 0 ? AZR_TREE_INSIST : AZR_TREE_LEAVE_STALE;
        OK(azr_replace(at("a"), at("b"), &o, &err));
        assert_true(exists("b/zarr.json"));
        assert_false(exists("b/.zattrs"));
        assert_false(exists("a"));
    }
    TELLS(azr_replace(at("c"), at("b"), NULL, &err), AZR_EINVAL,
          "is no Zarr array or group");
    TELLS(azr_replace(at("a"), at("b"), NULL, &err), AZR_ENOTFOUND, "a'");
}

static void test_paths_of_nodes(void **state)
{
    char cwd[4096], path[4200];

    (void)state;
    assert_non_null(getcwd(cwd, sizeof cwd));
    azr_group_close(make_group("g"));
    (void)snprintf(path, sizeof path, "%s///", at("g"));
    OK(azr_remove(path, NULL, &err));
    assert_false(exists("g"));
    TELLS(azr_remove("/azr-there-is-no-such-node", NULL, &err), AZR_ENOTFOUND,
          "no Zarr array or group at");
    assert_int_equal(chdir(g_dir), 0);
    TELLS(azr_remove("none", NULL, &err), AZR_ENOTFOUND,
          "no Zarr array or group at 'none'");
    assert_int_equal(chdir(cwd), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_no_dimensions),
        TEST(test_no_fill_value),
        TEST(test_writing_what_is_empty),
        TEST(test_optional_codecs),
        TEST(test_chunks_of_a_wrong_size),
        TEST(test_values_of_a_wrong_size),
        TEST(test_cells_that_cannot_be_counted),
        TEST(test_very_many_arrays),
        TEST(test_a_group_of_the_other_format),
        TEST(test_checking_that_stops),
        TEST(test_walks),
        TEST(test_what_may_be_replaced),
        TEST(test_paths_of_nodes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
