/* SPDX-License-Identifier: Apache-2.0 */
/* Hierarchies: order, depth, what is not followed, and nodes by their paths. */
#include "small.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char g_dir[64];
static azr_group *g_root;

static int set_up(void **state)
{
    (void)state;
    small_dir(g_dir, "walk");
    assert_int_equal(azr_group_create(&g_root, g_dir, NULL, NULL, NULL),
                     AZR_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    azr_group_close(g_root);
    g_root = NULL;
    small_dir_remove(g_dir);
    return 0;
}

static const char *at(const char *name)
{
    return small_path(g_dir, name);
}

static void group(const char *path, int format)
{
    azr_group_spec spec = AZR_GROUP_SPEC_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;

    spec.zarr_format = format;
    if (azr_group_create_group(&g, g_root, path, &spec, NULL, &err) < 0)
        fail_msg("%s", err.message);
    azr_group_close(g);
}

static void array(const char *path, int format)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    int8_t one = 1;
    azr_selection all = azr_select_all(1);

    spec.zarr_format = format;
    spec.dtype = AZR_INT8;
    spec.rank = 1;
    spec.shape[0] = 1;
    spec.chunks[0] = 1;
    if (azr_group_create_array(&a, g_root, path, &spec, NULL, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(azr_array_write(a, &all, &one, 1, &err), AZR_OK);
    azr_array_close(a);
}

struct seen {
    char text[2048];
    int stop_after;
    int nodes;
};

static int note(const azr_node *node, void *arg)
{
    static const char letters[] = "?agd";
    struct seen *s = arg;
    size_t n = strlen(s->text);

    assert_int_equal(node->struct_size, sizeof *node);
    assert_in_range(node->kind, 0, 3);
    (void)snprintf(s->text + n, sizeof s->text - n, "%s%s:%c%d",
                   n > 0 ? " " : "", node->path, letters[node->kind],
                   node->zarr_format);
    if (node->status < 0)
        assert_true(node->text[0] != '\0');
    s->nodes++;
    if (strcmp(node->name, "skip") == 0)
        return AZR_WALK_SKIP;
    return s->stop_after && s->nodes == s->stop_after ? -77 : 0;
}

static void assert_walk(int depth, const char *wanted)
{
    struct seen s = {.nodes = 0};
    azr_error err = AZR_ERROR_INIT;

    if (azr_group_walk(g_root, depth, note, &s, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(s.text, wanted);
}

static void sorted_and_depth_first(void **state)
{
    struct seen s = {.nodes = 0};

    (void)state;
    assert_walk(0, "");
    array("b/y", 3);
    array("b/x", 2);
    group("a", 2);
    group("b/c/d", 3);
    array("Z", 2);
    array("skip/inside", 3);
    assert_walk(0, "Z:a2 a:g2 b:g3 b/c:g3 b/c/d:g3 b/x:a2 b/y:a3 skip:g3");
    assert_walk(2, "Z:a2 a:g2 b:g3 b/c:g3 b/x:a2 b/y:a3 skip:g3");
    assert_int_equal(azr_group_list(g_root, note, &s, NULL), AZR_OK);
    assert_string_equal(s.text, "Z:a2 a:g2 b:g3 skip:g3");
    s = (struct seen){.stop_after = 2};
    assert_int_equal(azr_group_walk(g_root, 0, note, &s, NULL), -77);
    assert_string_equal(s.text, "Z:a2 a:g2");
    assert_int_equal(azr_group_walk(g_root, -1, note, &s, NULL), AZR_EINVAL);
}

static void links_and_strangers(void **state)
{
    FILE *f;

    (void)state;
    array("g/x", 3);
    assert_int_equal(symlink(".", at("loop")), 0);
    assert_int_equal(symlink("..", at("g/up")), 0);
    assert_int_equal(mkdir(at(".git"), 0777), 0);
    assert_int_equal(mkdir(at(".git/objects"), 0777), 0);
    assert_int_equal(mkdir(at("plain"), 0777), 0);
    assert_int_equal(mkdir(at("broken"), 0777), 0);
    f = fopen(at("broken/zarr.json"), "we");
    assert_non_null(f);
    assert_true(fputs("{\"zarr_format\": 3, ", f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(at("g/x"), at("plain/x")), 0);
    assert_walk(0, "broken:?3 g:g3 plain:d0 plain/x:a3");
}

static void the_depth_is_bounded(void **state)
{
    char path[400] = "";
    struct seen s = {.nodes = 0};

    (void)state;
    for (int i = 0; i < AZR_WALK_DEPTH + 6; i++) {
        (void)snprintf(path + strlen(path), sizeof path - strlen(path), "%sd",
                       i ? "/" : "");
        assert_int_equal(mkdir(at(path), 0777), 0);
    }
    assert_int_equal(azr_group_walk(g_root, 0, note, &s, NULL), AZR_OK);
    assert_int_equal(s.nodes, AZR_WALK_DEPTH);
}

static void nodes_by_path(void **state)
{
    static const char *const bad[] = {"",   "/a",   "a/",   "a//b", ".",
                                      "..", "a/..", "../a", "a/./b"};
    static const char *const kept[] = {"zarr.json", "a/.azr", "__x", "..."};
    azr_error err = AZR_ERROR_INIT;
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_array *a = NULL;
    azr_group *g = NULL;

    (void)state;
    array("a/b/c", 3);
    assert_int_equal(azr_group_open_array(&a, g_root, "a/b/c", NULL, &err),
                     AZR_OK);
    azr_array_close(a);
    assert_int_equal(azr_group_open_group(&g, g_root, "a/b", NULL, &err),
                     AZR_OK);
    azr_group_close(g);
    assert_int_equal(azr_group_open_group(&g, g_root, "a/b/c", NULL, &err),
                     AZR_ENOTFOUND);
    assert_int_equal(azr_group_open_array(&a, g_root, "a/b", NULL, &err),
                     AZR_ENOTFOUND);
    spec.dtype = AZR_INT8;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(azr_group_open_array(&a, g_root, bad[i], NULL, &err),
                         AZR_EINVAL);
        assert_int_equal(
            azr_group_create_array(&a, g_root, bad[i], &spec, NULL, &err),
            AZR_EINVAL);
    }
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        assert_int_equal(
            azr_group_create_array(&a, g_root, kept[i], &spec, NULL, &err),
            AZR_EINVAL);
    assert_int_equal(
        azr_group_create_array(&a, g_root, "a/b/c/d", &spec, NULL, &err),
        AZR_EINVAL); /* below an array */
    assert_walk(0, "a:g3 a/b:g3 a/b/c:a3");
}

static void a_directory_as_a_group(void **state)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_group_info info = {.struct_size = sizeof info};
    azr_error err = AZR_ERROR_INIT;
    struct seen s = {.nodes = 0};
    azr_group *g = NULL;
    char *text = NULL;

    (void)state;
    array("x", 3);
    assert_int_equal(unlink(at("zarr.json")), 0);
    assert_int_equal(azr_group_open(&g, g_dir, &o, &err), AZR_ENOTFOUND);
    o.flags = AZR_OPEN_IMPLIED | AZR_OPEN_WRITE;
    assert_int_equal(azr_group_open(&g, g_dir, &o, &err), AZR_OK);
    assert_int_equal(azr_group_info_get(g, &info, &err), AZR_OK);
    assert_int_equal(info.zarr_format, 0);
    assert_int_equal(azr_group_attributes(g, &text, &err), AZR_OK);
    assert_string_equal(text, "{}");
    azr_free(text);
    assert_int_equal(azr_group_walk(g, 0, note, &s, &err), AZR_OK);
    assert_string_equal(s.text, "x:a3");
    assert_int_equal(azr_group_attribute_set(g, "a", "1", &err), AZR_ENOTFOUND);
    azr_group_close(g);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(sorted_and_depth_first), TEST(links_and_strangers),
        TEST(the_depth_is_bounded),   TEST(nodes_by_path),
        TEST(a_directory_as_a_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
