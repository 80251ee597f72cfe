/* SPDX-License-Identifier: Apache-2.0 */
/* Every public function refuses every pointer that it needs and does not get, and
 * every structure, flag and number that it does not know: AZR_EINVAL, which argument
 * and what was wanted, nothing changed. Without an azr_error the answer is the same. */
#include "unit/core/small.h"

#include <string.h>

static char g_dir[64], g_path[96], g_group[96], g_new[96];
static azr_error err;
static azr_array *a;
static azr_group *g;
static azr_txn *t;

/* The same call, with `why` an azr_error and without. */
#define REFUSES(text, ...)                                                     \
    do {                                                                       \
        err = stale;                                                           \
        why = &err;                                                            \
        refused(__LINE__, #__VA_ARGS__, (__VA_ARGS__), text);                  \
        why = NULL;                                                            \
        assert_int_equal((__VA_ARGS__), AZR_EINVAL);                           \
    } while (0)

static azr_error *why;

/* Of an earlier call: it must not stay. */
static const azr_error stale = {AZR_EIO, AZR_SUB_SYNC, 5, 0, "of another call"};

static void refused(int line, const char *what, int rc, const char *text)
{
    if (rc != AZR_EINVAL || err.code != AZR_EINVAL ||
        err.sub != AZR_SUB_ARGUMENT || err.sys_errno != 0 ||
        !strstr(err.message, text))
        fail_msg("line %d: %s: %s, sub %d: \"%s\", need \"%s\"", line, what,
                 azr_status_name(rc), err.sub, err.message, text);
}

static int set_up(void **state)
{
    azr_array_spec spec = small_line(3, 4);

    (void)state;
    small_dir(g_dir, "arguments");
    (void)snprintf(g_path, sizeof g_path, "%s/a", g_dir);
    (void)snprintf(g_group, sizeof g_group, "%s/g", g_dir);
    (void)snprintf(g_new, sizeof g_new, "%s/new", g_dir);
    OK(azr_array_create(&a, g_path, &spec, NULL, &err));
    OK(azr_group_create(&g, g_group, NULL, NULL, &err));
    OK(azr_txn_begin(&t, NULL, &err));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    azr_txn_free(t);
    azr_group_close(g);
    azr_array_close(a);
    small_dir_remove(g_dir);
    return 0;
}

/* ----------------------------------------------------------- open options --- */

static void test_options(void **state)
{
    const azr_open_options good = AZR_OPEN_OPTIONS_INIT;
    azr_open_options o = good;
    azr_array *out = NULL;

    (void)state;
    o.struct_size--;
    REFUSES("azr_open_options.struct_size is ",
            azr_array_open(&out, g_path, &o, why));
    o = good;
    o.flags = 1u << 20;
    REFUSES("unknown open flags 100000", azr_array_open(&out, g_path, &o, why));
    o.flags = AZR_CREATE_REPLACE;
    REFUSES("unknown open flags 100", azr_array_open(&out, g_path, &o, why));
    o.flags = AZR_OPEN_IMPLIED;
    REFUSES("unknown open flags 40", azr_array_open(&out, g_path, &o, why));
    o = good;
    o.sync = AZR_SYNC_NONE + 1;
    REFUSES("unknown sync mode 3", azr_array_open(&out, g_path, &o, why));
    o = good;
    o.threads = -1;
    REFUSES("-1 threads", azr_array_open(&out, g_path, &o, why));
    assert_null(out);
}

static void test_options_of_groups(void **state)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_group *out = NULL;

    (void)state;
    o.flags = AZR_OPEN_OPAQUE;
    REFUSES("unknown open flags 400", azr_group_open(&out, g_group, &o, why));
    o.flags = AZR_CREATE_OR_OPEN | AZR_CREATE_REPLACE;
    REFUSES("AZR_CREATE_REPLACE and AZR_CREATE_OR_OPEN exclude each other",
            azr_group_create(&out, g_new, NULL, &o, why));
    o.struct_size = 0;
    REFUSES("azr_open_options.struct_size is 0, need ",
            azr_group_create(&out, g_new, NULL, &o, why));
    REFUSES("azr_open_options.struct_size is 0, need ",
            azr_group_open(&out, g_group, &o, why));
    assert_null(out);
    assert_int_not_equal(access(g_new, F_OK), 0);
}

/* ----------------------------------------------------------------- arrays --- */

static void test_create(void **state)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_array_spec spec = small_line(3, 4);
    azr_array *out = NULL;

    (void)state;
    REFUSES("out is NULL", azr_array_create(NULL, g_new, &spec, NULL, why));
    REFUSES("path is NULL", azr_array_create(&out, NULL, &spec, NULL, why));
    REFUSES("spec is NULL", azr_array_create(&out, g_new, NULL, NULL, why));
    o.flags = AZR_CREATE_OR_OPEN | AZR_CREATE_REPLACE;
    REFUSES("exclude each other",
            azr_array_create(&out, g_new, &spec, &o, why));
    o.flags = AZR_OPEN_IMPLIED;
    REFUSES("unknown open flags 40",
            azr_array_create(&out, g_new, &spec, &o, why));
    assert_null(out);
    assert_int_not_equal(access(g_new, F_OK), 0);
}

static void test_open_and_share(void **state)
{
    azr_share_options o = AZR_SHARE_OPTIONS_INIT;
    azr_array *out = NULL;

    (void)state;
    REFUSES("out is NULL", azr_array_open(NULL, g_path, NULL, why));
    REFUSES("path is NULL", azr_array_open(&out, NULL, NULL, why));
    REFUSES("out is NULL", azr_array_share(NULL, a, NULL, why));
    REFUSES("array is NULL", azr_array_share(&out, NULL, NULL, why));
    o.flags = 2;
    REFUSES("unknown share flags 2", azr_array_share(&out, a, &o, why));
    o.struct_size = 1;
    REFUSES("azr_share_options.struct_size is 1, need ",
            azr_array_share(&out, a, &o, why));
    assert_null(out);
    azr_array_close(NULL); /* which is allowed */
}

static int no_row(const azr_row_info *row, void *arg)
{
    (void)row;
    (void)arg;
    return 0;
}

static int no_finding(const azr_finding *f, void *arg)
{
    (void)f;
    (void)arg;
    return 0;
}

static void test_looks(void **state)
{
    azr_array_info info = {.struct_size = 4};
    uint64_t n = 0, m = 0;

    (void)state;
    REFUSES("array is NULL", azr_array_info_get(NULL, &info, why));
    REFUSES("out is NULL", azr_array_info_get(a, NULL, why));
    REFUSES("azr_array_info.struct_size is 4, need ",
            azr_array_info_get(a, &info, why));
    REFUSES("array is NULL", azr_array_usage(NULL, &n, &m, why));
    REFUSES("chunks_out is NULL", azr_array_usage(a, NULL, &m, why));
    REFUSES("nbytes_out is NULL", azr_array_usage(a, &n, NULL, why));
    REFUSES("array is NULL", azr_array_status(NULL, no_row, NULL, why));
    REFUSES("fn is NULL", azr_array_status(a, NULL, NULL, why));
    REFUSES("array is NULL",
            azr_array_verify(NULL, no_finding, NULL, NULL, why));
    REFUSES("fn is NULL", azr_array_verify(a, NULL, NULL, NULL, why));
    REFUSES("array is NULL", azr_array_recover(NULL, NULL, why));
    REFUSES("array is NULL", azr_array_wait(NULL, &n, why));
    REFUSES("version is NULL", azr_array_wait(a, NULL, why));
    REFUSES("array is NULL",
            azr_array_set_durability(NULL, AZR_DURABILITY_POWER, why));
    REFUSES("unknown durability 7", azr_array_set_durability(a, 7, why));
}

static void test_reads(void **state)
{
    azr_selection all = azr_select_all(1);
    azr_memory m = {.struct_size = 3};
    int64_t shape[1] = {0};
    int32_t v[4] = {7, 7, 7, 7};

    (void)state;
    REFUSES("array is NULL", azr_array_read(NULL, &all, v, sizeof v, why));
    REFUSES("sel is NULL", azr_array_read(a, NULL, v, sizeof v, why));
    REFUSES("dst is NULL", azr_array_read(a, &all, NULL, 16, why));
    REFUSES("array is NULL", azr_array_read_into(NULL, &all, &m, why));
    REFUSES("sel is NULL", azr_array_read_into(a, NULL, &m, why));
    REFUSES("m is NULL", azr_array_read_into(a, &all, NULL, why));
    REFUSES("azr_memory.struct_size is 3, need ",
            azr_array_read_into(a, &all, &m, why));
    REFUSES("array is NULL", azr_array_read_shape(NULL, &all, &m, shape, why));
    REFUSES("sel is NULL", azr_array_read_shape(a, NULL, &m, shape, why));
    REFUSES("shape_out is NULL", azr_array_read_shape(a, &all, &m, NULL, why));
    REFUSES("azr_memory.struct_size is 3, need ",
            azr_array_read_shape(a, &all, &m, shape, why));
    assert_int_equal(v[0], 7);
    assert_int_equal(shape[0], 0);
}

static int change_nothing(void *values, size_t nbytes, void *arg)
{
    (void)values;
    (void)nbytes;
    (void)arg;
    return 0;
}

static void test_writes(void **state)
{
    azr_selection all = azr_select_all(1);
    azr_memory m = {.struct_size = 3};
    const int64_t shape[1] = {4};
    const int32_t v[4] = {0};

    (void)state;
    REFUSES("array is NULL", azr_array_write(NULL, &all, v, sizeof v, why));
    REFUSES("sel is NULL", azr_array_write(a, NULL, v, sizeof v, why));
    REFUSES("src is NULL", azr_array_write(a, &all, NULL, 16, why));
    REFUSES("array is NULL", azr_array_write_from(NULL, &all, &m, why));
    REFUSES("sel is NULL", azr_array_write_from(a, NULL, &m, why));
    REFUSES("azr_memory.struct_size is 3, need ",
            azr_array_write_from(a, &all, &m, why));
    REFUSES("array is NULL", azr_array_write_shape(NULL, &all, &m, shape, why));
    REFUSES("sel is NULL", azr_array_write_shape(a, NULL, &m, shape, why));
    REFUSES("shape is NULL", azr_array_write_shape(a, &all, &m, NULL, why));
    REFUSES("m is NULL", azr_array_write_shape(a, &all, NULL, shape, why));
    REFUSES("array is NULL", azr_array_fill(NULL, &all, v, 4, why));
    REFUSES("sel is NULL", azr_array_fill(a, NULL, v, 4, why));
    REFUSES("value is NULL", azr_array_fill(a, &all, NULL, 4, why));
}

static void test_updates(void **state)
{
    azr_selection all = azr_select_all(1);
    const int64_t shape[1] = {4};

    (void)state;
    REFUSES("array is NULL",
            azr_array_update(NULL, &all, change_nothing, NULL, why));
    REFUSES("sel is NULL",
            azr_array_update(a, NULL, change_nothing, NULL, why));
    REFUSES("fn is NULL", azr_array_update(a, &all, NULL, NULL, why));
    REFUSES("array is NULL", azr_array_update_shape(NULL, &all, shape,
                                                    change_nothing, NULL, why));
    REFUSES("sel is NULL",
            azr_array_update_shape(a, NULL, shape, change_nothing, NULL, why));
    REFUSES("shape is NULL",
            azr_array_update_shape(a, &all, NULL, change_nothing, NULL, why));
    REFUSES("fn is NULL",
            azr_array_update_shape(a, &all, shape, NULL, NULL, why));
}

static void test_reshapes_and_attributes(void **state)
{
    const int64_t shape[1] = {4};
    const int32_t v[1] = {0};
    char *text = NULL;

    (void)state;
    REFUSES("array is NULL", azr_array_resize(NULL, 1, shape, why));
    REFUSES("shape is NULL", azr_array_resize(a, 1, NULL, why));
    REFUSES("array is NULL",
            azr_array_append(NULL, 0, 1, v, sizeof v, NULL, why));
    REFUSES("src is NULL", azr_array_append(a, 0, 1, NULL, 4, NULL, why));
    REFUSES("array is NULL", azr_array_attributes(NULL, &text, why));
    REFUSES("out is NULL", azr_array_attributes(a, NULL, why));
    REFUSES("array is NULL", azr_array_dimension_name(NULL, 0, &text, why));
    REFUSES("out is NULL", azr_array_dimension_name(a, 0, NULL, why));
    REFUSES("array is NULL", azr_array_attribute_set(NULL, "x", "1", why));
    REFUSES("name is NULL", azr_array_attribute_set(a, NULL, "1", why));
    assert_null(text);
}

/* Where there is nothing to be moved no memory is needed. */
static void test_nothing(void **state)
{
    azr_selection none = AZR_BOX(1, {2}, {0});
    int64_t at = -1;

    (void)state;
    OK(azr_array_read(a, &none, NULL, 0, &err));
    OK(azr_array_write(a, &none, NULL, 0, &err));
    OK(azr_array_append(a, 0, 0, NULL, 0, &at, &err));
    assert_int_equal(at, 4);
    OK(azr_txn_read(t, a, &none, NULL, 0, &err));
    OK(azr_txn_write(t, a, &none, NULL, 0, &err));
    at = -1;
    OK(azr_txn_append(t, a, 0, 0, NULL, 0, &at, &err));
    assert_int_equal(at, 4);
    OK(azr_txn_commit(t, &err));
    OK(azr_append_all(NULL, 0, NULL, &err));
    OK(azr_array_recover(a, NULL, &err));
    OK(azr_collect(g_dir, NULL, NULL, &err));
}

/* Of rank 0 no shape need be given, to an array that has that rank. */
static void test_no_shape(void **state)
{
    (void)state;
    FAILS(azr_array_resize(a, 0, NULL, &err), AZR_EINVAL);
    assert_int_equal(err.sub, AZR_SUB_RANK);
    FAILS(azr_txn_resize(t, a, 0, NULL, &err), AZR_EINVAL);
    assert_int_equal(err.sub, AZR_SUB_RANK);
}

/* ----------------------------------------------------------------- groups --- */

static void test_nodes(void **state)
{
    char *text = NULL;
    int kind = 0;

    (void)state;
    REFUSES("kind_out is NULL", azr_node_at(NULL, NULL, g_path, why));
    REFUSES("path is NULL", azr_node_at(&kind, NULL, NULL, why));
    REFUSES("out is NULL", azr_node_document(NULL, g_path, "zarr.json", why));
    REFUSES("path is NULL", azr_node_document(&text, NULL, "zarr.json", why));
    REFUSES("key is NULL", azr_node_document(&text, g_path, NULL, why));
    REFUSES("'c/0' is no metadata document",
            azr_node_document(&text, g_path, "c/0", why));
    assert_null(text);
}

static void test_groups(void **state)
{
    azr_group_spec spec = AZR_GROUP_SPEC_INIT;
    azr_group_info info = {.struct_size = 1};
    azr_group *out = NULL;

    (void)state;
    REFUSES("out is NULL", azr_group_create(NULL, g_new, NULL, NULL, why));
    REFUSES("path is NULL", azr_group_create(&out, NULL, NULL, NULL, why));
    spec.zarr_format = 4;
    REFUSES("zarr_format is 4, need 2 or 3",
            azr_group_create(&out, g_new, &spec, NULL, why));
    spec.struct_size = 2;
    REFUSES("azr_group_spec.struct_size is 2, need ",
            azr_group_create(&out, g_new, &spec, NULL, why));
    REFUSES("out is NULL", azr_group_open(NULL, g_group, NULL, why));
    REFUSES("path is NULL", azr_group_open(&out, NULL, NULL, why));
    REFUSES("group is NULL", azr_group_info_get(NULL, &info, why));
    REFUSES("out is NULL", azr_group_info_get(g, NULL, why));
    REFUSES("azr_group_info.struct_size is 1, need ",
            azr_group_info_get(g, &info, why));
    assert_null(out);
    assert_int_not_equal(access(g_new, F_OK), 0);
    azr_group_close(NULL); /* which is allowed */
}

static void test_group_attributes(void **state)
{
    const char *const names[] = {"x", NULL}, *const values[] = {"1", "2"};
    char *text = NULL;

    (void)state;
    REFUSES("group is NULL", azr_group_attributes(NULL, &text, why));
    REFUSES("out is NULL", azr_group_attributes(g, NULL, why));
    REFUSES("group is NULL", azr_group_attribute_set(NULL, "x", "1", why));
    REFUSES("name is NULL", azr_group_attribute_set(g, NULL, "1", why));
    REFUSES("group is NULL",
            azr_group_attributes_change(NULL, 1, names, values, why));
    REFUSES("names is NULL",
            azr_group_attributes_change(g, 1, NULL, values, why));
    REFUSES("values is NULL",
            azr_group_attributes_change(g, 1, names, NULL, why));
    REFUSES("names[k] is NULL",
            azr_group_attributes_change(g, 2, names, values, why));
    REFUSES("group is NULL", azr_group_attributes_replace(NULL, "{}", why));
    REFUSES("json is NULL", azr_group_attributes_replace(g, NULL, why));
    OK(azr_group_attributes_change(g, 0, NULL, NULL, &err));
    OK(azr_group_attributes(g, &text, &err));
    assert_string_equal(text, "{}");
    azr_free(text);
}

static int no_node(const azr_node *node, void *arg)
{
    (void)node;
    (void)arg;
    return 0;
}

static void test_walks(void **state)
{
    (void)state;
    REFUSES("group is NULL", azr_group_walk(NULL, 0, no_node, NULL, why));
    REFUSES("fn is NULL", azr_group_walk(g, 0, NULL, NULL, why));
    REFUSES("max_depth is -1, need 0 or more",
            azr_group_walk(g, -1, no_node, NULL, why));
    REFUSES("group is NULL", azr_group_list(NULL, no_node, NULL, why));
    REFUSES("fn is NULL", azr_group_list(g, NULL, NULL, why));
    REFUSES("group is NULL", azr_group_consolidate(NULL, why));
    REFUSES("group is NULL",
            azr_group_check_consolidated(NULL, no_finding, NULL, why));
    REFUSES("fn is NULL", azr_group_check_consolidated(g, NULL, NULL, why));
}

static void test_opening_below(void **state)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_array *out = NULL;
    azr_group *made = NULL;

    (void)state;
    o.threads = -2;
    REFUSES("out is NULL", azr_group_open_array(NULL, g, "x", NULL, why));
    REFUSES("group is NULL", azr_group_open_array(&out, NULL, "x", NULL, why));
    REFUSES("path is NULL", azr_group_open_array(&out, g, NULL, NULL, why));
    REFUSES("-2 threads", azr_group_open_array(&out, g, "x", &o, why));
    REFUSES("out is NULL", azr_group_open_group(NULL, g, "x", NULL, why));
    REFUSES("group is NULL", azr_group_open_group(&made, NULL, "x", NULL, why));
    REFUSES("path is NULL", azr_group_open_group(&made, g, NULL, NULL, why));
    REFUSES("-2 threads", azr_group_open_group(&made, g, "x", &o, why));
    assert_null(out);
    assert_null(made);
}

/* Names that a path below a group may not have. */
static void test_paths_below(void **state)
{
    static const char *const bad[] = {"",     "/",     "x/", "/x",
                                      "x//y", "x/./y", "..", "x/../y"};
    azr_array_spec spec = small_line(3, 4);
    azr_array *out = NULL;
    azr_group *made = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        REFUSES("need names with '/' between them",
                azr_group_open_array(&out, g, bad[i], NULL, why));
        REFUSES("need names with '/' between them",
                azr_group_open_group(&made, g, bad[i], NULL, why));
        REFUSES("need names with '/' between them",
                azr_group_create_array(&out, g, bad[i], &spec, NULL, why));
        REFUSES("need names with '/' between them",
                azr_group_create_group(&made, g, bad[i], NULL, NULL, why));
    }
    assert_null(out);
    assert_null(made);
}

static void test_names_that_are_kept(void **state)
{
    static const char *const bad[] = {"zarr.json",    ".zarray", ".zgroup",
                                      "x/.zattrs",    "__x",     "...",
                                      ".zmetadata/x", "x/.azr/y"};
    azr_array_spec spec = small_line(3, 4);
    azr_array *out = NULL;
    azr_group *made = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        REFUSES("a name in it is kept for other uses",
                azr_group_create_array(&out, g, bad[i], &spec, NULL, why));
        REFUSES("a name in it is kept for other uses",
                azr_group_create_group(&made, g, bad[i], NULL, NULL, why));
    }
    assert_null(out);
    assert_null(made);
}

static void test_creating_below(void **state)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_group_spec of_group = AZR_GROUP_SPEC_INIT;
    azr_array_spec spec = small_line(3, 4);
    azr_array *out = NULL;
    azr_group *made = NULL;

    (void)state;
    o.sync = 9;
    REFUSES("out is NULL",
            azr_group_create_array(NULL, g, "x", &spec, NULL, why));
    REFUSES("group is NULL",
            azr_group_create_array(&out, NULL, "x", &spec, NULL, why));
    REFUSES("path is NULL",
            azr_group_create_array(&out, g, NULL, &spec, NULL, why));
    REFUSES("spec is NULL",
            azr_group_create_array(&out, g, "x", NULL, NULL, why));
    REFUSES("unknown sync mode 9",
            azr_group_create_array(&out, g, "x", &spec, &o, why));
    REFUSES("out is NULL",
            azr_group_create_group(NULL, g, "x", NULL, NULL, why));
    REFUSES("group is NULL",
            azr_group_create_group(&made, NULL, "x", NULL, NULL, why));
    REFUSES("path is NULL",
            azr_group_create_group(&made, g, NULL, NULL, NULL, why));
    REFUSES("unknown sync mode 9",
            azr_group_create_group(&made, g, "x", NULL, &o, why));
    of_group.zarr_format = 1;
    REFUSES("zarr_format is 1, need 2 or 3",
            azr_group_create_group(&made, g, "x", &of_group, NULL, why));
    assert_null(out);
    assert_null(made);
}

/* ----------------------------------------------------------- transactions --- */

static int no_body(azr_txn *txn, void *arg, azr_error *e)
{
    (void)txn;
    (void)arg;
    (void)e;
    return 0;
}

static void test_transactions(void **state)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    azr_append_part p = AZR_APPEND_PART_INIT;
    azr_txn *out = NULL;

    (void)state;
    REFUSES("out is NULL", azr_txn_begin(NULL, NULL, why));
    o.flags = 1;
    REFUSES("azr_txn_options: struct_size ", azr_txn_begin(&out, &o, why));
    REFUSES("flags 1, need 0", azr_txn_run(no_body, NULL, &o, why));
    REFUSES("flags 1, need 0", azr_append_all(NULL, 0, &o, why));
    o.flags = 0;
    o.struct_size = 7;
    REFUSES("azr_txn_options: struct_size 7, need ",
            azr_txn_begin(&out, &o, why));
    REFUSES("fn is NULL", azr_txn_run(NULL, NULL, NULL, why));
    REFUSES("txn is NULL", azr_txn_commit(NULL, why));
    REFUSES("parts is NULL", azr_append_all(NULL, 1, NULL, why));
    REFUSES("parts[k].array is NULL", azr_append_all(&p, 1, NULL, why));
    p.array = a;
    p.src_nbytes = 4;
    REFUSES("parts[k].src is NULL", azr_append_all(&p, 1, NULL, why));
    p.struct_size = 5;
    REFUSES("azr_append_part.struct_size is 5, need ",
            azr_append_all(&p, 1, NULL, why));
    assert_null(out);
    azr_txn_free(NULL); /* which is allowed */
}

static void test_reads_of_a_transaction(void **state)
{
    azr_selection all = azr_select_all(1);
    azr_memory m = {.struct_size = 3};
    int64_t at[1] = {0};
    void *bytes = NULL;
    size_t n = 0;
    char *text = NULL;
    int32_t v[4];

    (void)state;
    REFUSES("txn is NULL", azr_txn_read(NULL, a, &all, v, sizeof v, why));
    REFUSES("array is NULL", azr_txn_read(t, NULL, &all, v, sizeof v, why));
    REFUSES("sel is NULL", azr_txn_read(t, a, NULL, v, sizeof v, why));
    REFUSES("dst is NULL", azr_txn_read(t, a, &all, NULL, 16, why));
    REFUSES("txn is NULL", azr_txn_read_into(NULL, a, &all, &m, why));
    REFUSES("array is NULL", azr_txn_read_into(t, NULL, &all, &m, why));
    REFUSES("sel is NULL", azr_txn_read_into(t, a, NULL, &m, why));
    REFUSES("azr_memory.struct_size is 3, need ",
            azr_txn_read_into(t, a, &all, &m, why));
    REFUSES("txn is NULL", azr_txn_read_chunk(NULL, a, at, &bytes, &n, why));
    REFUSES("array is NULL", azr_txn_read_chunk(t, NULL, at, &bytes, &n, why));
    REFUSES("out is NULL", azr_txn_read_chunk(t, a, at, NULL, &n, why));
    REFUSES("nbytes is NULL", azr_txn_read_chunk(t, a, at, &bytes, NULL, why));
    REFUSES("txn is NULL", azr_txn_shape(NULL, a, at, why));
    REFUSES("array is NULL", azr_txn_shape(t, NULL, at, why));
    REFUSES("shape_out is NULL", azr_txn_shape(t, a, NULL, why));
    REFUSES("txn is NULL", azr_txn_attributes(NULL, a, &text, why));
    REFUSES("array is NULL", azr_txn_attributes(t, NULL, &text, why));
    REFUSES("out is NULL", azr_txn_attributes(t, a, NULL, why));
    assert_null(bytes);
    assert_null(text);
}

static void test_writes_of_a_transaction(void **state)
{
    azr_selection all = azr_select_all(1);
    azr_memory m = {.struct_size = 3};
    const int64_t at[1] = {0};
    const int32_t v[4] = {0};

    (void)state;
    REFUSES("txn is NULL", azr_txn_write(NULL, a, &all, v, sizeof v, why));
    REFUSES("array is NULL", azr_txn_write(t, NULL, &all, v, sizeof v, why));
    REFUSES("sel is NULL", azr_txn_write(t, a, NULL, v, sizeof v, why));
    REFUSES("src is NULL", azr_txn_write(t, a, &all, NULL, 16, why));
    REFUSES("txn is NULL", azr_txn_write_from(NULL, a, &all, &m, why));
    REFUSES("array is NULL", azr_txn_write_from(t, NULL, &all, &m, why));
    REFUSES("sel is NULL", azr_txn_write_from(t, a, NULL, &m, why));
    REFUSES("azr_memory.struct_size is 3, need ",
            azr_txn_write_from(t, a, &all, &m, why));
    REFUSES("txn is NULL", azr_txn_fill(NULL, a, &all, v, 4, why));
    REFUSES("array is NULL", azr_txn_fill(t, NULL, &all, v, 4, why));
    REFUSES("sel is NULL", azr_txn_fill(t, a, NULL, v, 4, why));
    REFUSES("value is NULL", azr_txn_fill(t, a, &all, NULL, 4, why));
    REFUSES("txn is NULL", azr_txn_write_chunk(NULL, a, at, v, 16, why));
    REFUSES("array is NULL", azr_txn_write_chunk(t, NULL, at, v, 16, why));
    REFUSES("bytes is NULL", azr_txn_write_chunk(t, a, at, NULL, 16, why));
}

static void test_changes_of_a_transaction(void **state)
{
    const int64_t shape[1] = {4};
    const int32_t v[1] = {0};

    (void)state;
    REFUSES("txn is NULL", azr_txn_append(NULL, a, 0, 1, v, 4, NULL, why));
    REFUSES("array is NULL", azr_txn_append(t, NULL, 0, 1, v, 4, NULL, why));
    REFUSES("src is NULL", azr_txn_append(t, a, 0, 1, NULL, 4, NULL, why));
    REFUSES("txn is NULL", azr_txn_resize(NULL, a, 1, shape, why));
    REFUSES("array is NULL", azr_txn_resize(t, NULL, 1, shape, why));
    REFUSES("shape is NULL", azr_txn_resize(t, a, 1, NULL, why));
    REFUSES("txn is NULL", azr_txn_set_attribute(NULL, a, "x", "1", why));
    REFUSES("array is NULL", azr_txn_set_attribute(t, NULL, "x", "1", why));
    REFUSES("name is NULL", azr_txn_set_attribute(t, a, NULL, "1", why));
}

static void test_creations_of_a_transaction(void **state)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_array_spec spec = small_line(3, 4);
    azr_array *out = NULL;

    (void)state;
    REFUSES("txn is NULL",
            azr_txn_create_array(NULL, &out, g_new, &spec, NULL, why));
    REFUSES("out is NULL",
            azr_txn_create_array(t, NULL, g_new, &spec, NULL, why));
    REFUSES("path is NULL",
            azr_txn_create_array(t, &out, NULL, &spec, NULL, why));
    REFUSES("spec is NULL",
            azr_txn_create_array(t, &out, g_new, NULL, NULL, why));
    o.flags = AZR_CREATE_OR_OPEN;
    REFUSES("unknown open flags 200",
            azr_txn_create_array(t, &out, g_new, &spec, &o, why));
    assert_null(out);
    assert_int_not_equal(access(g_new, F_OK), 0);
}

static void test_creation_of_a_text(void **state)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_array_text text = AZR_ARRAY_TEXT_INIT;
    azr_array *out = NULL;

    (void)state;
    REFUSES("txn is NULL",
            azr_txn_create_from(NULL, &out, g_new, &text, NULL, why));
    REFUSES("out is NULL",
            azr_txn_create_from(t, NULL, g_new, &text, NULL, why));
    REFUSES("path is NULL",
            azr_txn_create_from(t, &out, NULL, &text, NULL, why));
    REFUSES("text is NULL",
            azr_txn_create_from(t, &out, g_new, NULL, NULL, why));
    REFUSES("text->document is NULL",
            azr_txn_create_from(t, &out, g_new, &text, NULL, why));
    text.document = "{}";
    text.durability = 2;
    REFUSES("unknown durability 2",
            azr_txn_create_from(t, &out, g_new, &text, NULL, why));
    text.durability = AZR_DURABILITY_POWER;
    o.threads = -1;
    REFUSES("-1 threads", azr_txn_create_from(t, &out, g_new, &text, &o, why));
    text.zarr_format = 1;
    REFUSES("zarr_format is 1, need 2 or 3",
            azr_txn_create_from(t, &out, g_new, &text, NULL, why));
    text.struct_size = 0;
    REFUSES("azr_array_text.struct_size is 0, need ",
            azr_txn_create_from(t, &out, g_new, &text, NULL, why));
    assert_null(out);
    assert_int_not_equal(access(g_new, F_OK), 0);
}

/* -------------------------------------------------- snapshots, whole nodes --- */

static int no_snapshot(const azr_snapshot_info *info, void *arg)
{
    (void)info;
    (void)arg;
    return 0;
}

static void test_snapshots(void **state)
{
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_array *none = NULL;
    azr_snapshot *out = NULL;

    (void)state;
    REFUSES("out is NULL", azr_snapshot_take(NULL, &a, 1, NULL, why));
    REFUSES("arrays is NULL", azr_snapshot_take(&out, NULL, 1, NULL, why));
    REFUSES("a snapshot of no array",
            azr_snapshot_take(&out, &a, 0, NULL, why));
    REFUSES("NULL", azr_snapshot_take(&out, &none, 1, NULL, why));
    o.flags = 2;
    REFUSES("flags 2", azr_snapshot_take(&out, &a, 1, &o, why));
    o.struct_size = 3;
    REFUSES("azr_snapshot_options: struct_size 3, need ",
            azr_snapshot_take(&out, &a, 1, &o, why));
    REFUSES("array is NULL", azr_array_snapshots(NULL, no_snapshot, NULL, why));
    REFUSES("fn is NULL", azr_array_snapshots(a, NULL, NULL, why));
    assert_null(out);
    assert_null(azr_snapshot_array(NULL, 0));
    assert_null(azr_snapshot_path(NULL, 0));
    azr_snapshot_close(NULL); /* which is allowed */
}

static void test_copies(void **state)
{
    azr_copy_options o = AZR_COPY_OPTIONS_INIT;
    azr_copied done = {.struct_size = 9};

    (void)state;
    REFUSES("from is NULL", azr_copy(NULL, g_new, NULL, NULL, why));
    REFUSES("to is NULL", azr_copy(g_path, NULL, NULL, NULL, why));
    REFUSES("azr_copied.struct_size is 9, need ",
            azr_copy(g_path, g_new, NULL, &done, why));
    o.flags = 6;
    REFUSES("flags 6, known: 1", azr_copy(g_path, g_new, &o, NULL, why));
    o.struct_size = 3;
    REFUSES("azr_copy_options: struct_size 3, need ",
            azr_copy(g_path, g_new, &o, NULL, why));
    assert_int_not_equal(access(g_new, F_OK), 0);
}

static void test_trees(void **state)
{
    azr_tree_options o = AZR_TREE_OPTIONS_INIT;
    uint64_t n = 77;

    (void)state;
    REFUSES("path is NULL", azr_remove(NULL, NULL, why));
    REFUSES("from is NULL", azr_move(NULL, g_new, NULL, why));
    REFUSES("to is NULL", azr_move(g_path, NULL, NULL, why));
    REFUSES("from is NULL", azr_replace(NULL, g_new, NULL, why));
    REFUSES("to is NULL", azr_replace(g_path, NULL, NULL, why));
    REFUSES("path is NULL", azr_collect(NULL, &n, NULL, why));
    o.flags = 64;
    REFUSES("unknown tree flags 40", azr_remove(g_path, &o, why));
    REFUSES("unknown tree flags 40", azr_move(g_path, g_new, &o, why));
    REFUSES("unknown tree flags 40", azr_replace(g_path, g_new, &o, why));
    REFUSES("unknown tree flags 40", azr_collect(g_dir, &n, &o, why));
    o.struct_size = 12;
    REFUSES("azr_tree_options.struct_size is 12, need ",
            azr_remove(g_path, &o, why));
    assert_int_equal(n, 77);
    assert_int_equal(access(g_path, F_OK), 0);
}

/* ------------------------------------------------------------ file systems --- */

static void test_probes(void **state)
{
    azr_fs_report r = {.struct_size = sizeof r};
    char name[300];
    azr_probe *out = NULL;

    (void)state;
    REFUSES("needs a path and a report", azr_fs_probe(NULL, &r, why));
    REFUSES("needs a path and a report", azr_fs_probe(g_dir, NULL, why));
    r.struct_size = 0;
    REFUSES("needs a path and a report", azr_fs_probe(g_dir, &r, why));
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    REFUSES("a directory and a name", azr_probe_open(NULL, g_dir, "p", why));
    REFUSES("a directory and a name", azr_probe_open(&out, NULL, "p", why));
    REFUSES("a directory and a name", azr_probe_open(&out, g_dir, NULL, why));
    REFUSES("a directory and a name", azr_probe_open(&out, g_dir, name, why));
    assert_null(out);
    azr_probe_close(NULL, 1); /* which is allowed */
}

static void test_a_probe_of_no_directory(void **state)
{
    azr_fs_report r = {.struct_size = sizeof r};
    azr_probe *out = NULL;

    (void)state;
    assert_int_equal(azr_probe_open(&out, g_new, "p", &err), AZR_ENOTFOUND);
    assert_non_null(strstr(err.message, "no directory '"));
    assert_int_equal(azr_fs_probe(g_new, &r, &err), AZR_ENOTFOUND);
    assert_non_null(strstr(err.message, "no directory '"));
    assert_null(out);
}

/* Two ends of one probe: a lock of one, a word of both. */
static void test_two_probes(void **state)
{
    azr_probe *one = NULL, *two = NULL;

    (void)state;
    OK(azr_probe_open(&one, g_dir, "p", &err));
    OK(azr_probe_open(&two, g_dir, "p", &err));
    assert_int_equal(azr_probe_lock(one, 1, &err), 1);
    assert_int_equal(azr_probe_lock(two, 0, &err), 0);
    OK(azr_probe_unlock(one, &err));
    assert_int_equal(azr_probe_lock(one, 0, &err), 1);
    assert_int_equal(azr_probe_lock(two, 0, &err), 1);
    assert_int_equal(azr_probe_lock(two, 1, &err), 0);
    azr_probe_store(one, 4711);
    assert_int_equal(azr_probe_load(two), 4711);
    azr_probe_close(two, 0);
    azr_probe_close(one, 1);
    (void)snprintf(g_new, sizeof g_new, "%s/p", g_dir);
    assert_int_not_equal(access(g_new, F_OK), 0);
}

/* ------------------------------------------------------------------- types --- */

static void test_types(void **state)
{
    int dtype = 0, big = 7;

    (void)state;
    REFUSES("`out` or `name` is NULL",
            azr_dtype_parse(NULL, NULL, "int32", why));
    REFUSES("`out` or `name` is NULL",
            azr_dtype_parse(&dtype, NULL, NULL, why));
    err = stale;
    assert_int_equal(azr_dtype_parse(&dtype, &big, "int33", &err), AZR_EINVAL);
    assert_int_equal(err.sub, AZR_SUB_DTYPE);
    assert_string_equal(err.message,
                        "data type \"int33\" is not known: need a name such as "
                        "\"int32\" or \"<i4\"");
    assert_int_equal(dtype, 0);
    assert_int_equal(big, 7);
    assert_int_equal(azr_dtype_nbytes(99), 0);
    assert_null(azr_dtype_name(99));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_options),
        TEST(test_options_of_groups),
        TEST(test_create),
        TEST(test_open_and_share),
        TEST(test_looks),
        TEST(test_reads),
        TEST(test_writes),
        TEST(test_updates),
        TEST(test_reshapes_and_attributes),
        TEST(test_nothing),
        TEST(test_no_shape),
        TEST(test_nodes),
        TEST(test_groups),
        TEST(test_group_attributes),
        TEST(test_walks),
        TEST(test_opening_below),
        TEST(test_paths_below),
        TEST(test_names_that_are_kept),
        TEST(test_creating_below),
        TEST(test_transactions),
        TEST(test_reads_of_a_transaction),
        TEST(test_writes_of_a_transaction),
        TEST(test_changes_of_a_transaction),
        TEST(test_creations_of_a_transaction),
        TEST(test_creation_of_a_text),
        TEST(test_snapshots),
        TEST(test_copies),
        TEST(test_trees),
        TEST(test_probes),
        TEST(test_a_probe_of_no_directory),
        TEST(test_two_probes),
        TEST(test_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
