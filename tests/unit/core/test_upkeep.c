/* SPDX-License-Identifier: Apache-2.0 */
/* Consolidated metadata above arrays and groups: kept true by what we change,
 * whatever else is in it; refused where it cannot be; and whole subtrees. */
#include "small.h"

#include "core/upkeep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static char g_dir[64];
static int g_format;

static const char *at(const char *name)
{
    return small_path(g_dir, name);
}

static void shell(const char *what)
{
    char command[500];

    (void)snprintf(command, sizeof command, "cd '%s' && { %s; }", g_dir, what);
    assert_int_equal(system(command), 0);
}

static void group(const char *name)
{
    azr_group_spec spec = AZR_GROUP_SPEC_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;

    spec.zarr_format = g_format;
    assert_int_equal(azr_group_create(&g, at(name), &spec, NULL, &err), AZR_OK);
    azr_group_close(g);
}

static int try_array(const char *name, uint32_t flags, azr_error *err)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_array *a = NULL;
    int rc;

    o.flags = flags;
    spec.zarr_format = g_format;
    spec.rank = 1;
    spec.shape[0] = 4;
    spec.chunks[0] = 4;
    spec.dtype = AZR_INT8;
    spec.codecs = "none";
    rc = azr_array_create(&a, at(name), &spec, &o, err);
    azr_array_close(a);
    return rc;
}

static void array(const char *name)
{
    azr_error err = AZR_ERROR_INIT;

    assert_int_equal(try_array(name, 0, &err), AZR_OK);
}

static void consolidate(const char *name)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;

    o.flags = AZR_OPEN_WRITE;
    assert_int_equal(azr_group_open(&g, at(name), &o, &err), AZR_OK);
    assert_int_equal(azr_group_consolidate(g, &err), AZR_OK);
    azr_group_close(g);
}

static int try_append(const char *name, uint32_t flags, azr_error *err)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_array *a = NULL;
    int8_t v[3] = {1, 2, 3};
    int rc;

    o.flags = AZR_OPEN_WRITE | flags;
    o.timeout_ms = 0;
    rc = azr_array_open(&a, at(name), &o, err);
    if (rc == AZR_OK)
        rc = azr_array_append(a, 0, 3, v, 3, NULL, err);
    azr_array_close(a);
    return rc;
}

static void append(const char *name)
{
    azr_error err = AZR_ERROR_INIT;

    assert_int_equal(try_append(name, 0, &err), AZR_OK);
}

static int64_t length(const char *name)
{
    azr_array_info info = {.struct_size = (uint32_t)sizeof info};
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;

    assert_int_equal(azr_array_open(&a, at(name), NULL, &err), AZR_OK);
    assert_int_equal(azr_array_info_get(a, &info, &err), AZR_OK);
    azr_array_close(a);
    return info.shape[0];
}

static int count_finding(const azr_finding *f, void *arg)
{
    int *n = arg;

    (void)f;
    ++*n;
    return 0;
}

/* How many entries of it are stale. */
static int stale(const char *name)
{
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;
    int n = 0;

    assert_int_equal(azr_group_open(&g, at(name), NULL, &err), AZR_OK);
    assert_int_equal(azr_group_check_consolidated(g, count_finding, &n, &err),
                     AZR_OK);
    azr_group_close(g);
    return n;
}

static int set_up(void **state)
{
    g_format = *state ? 2 : 3;
    small_dir(g_dir, "upkeep");
    shell("chmod 755 .");
    group("r");
    group("r/s");
    array("r/s/a");
    array("r/b");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    azri_sys = &azri_sys_posix;
    shell("rm -rf ../$(basename \"$PWD\")");
    return 0;
}

static void keeps_all_of_them_true(void **state)
{
    (void)state;
    consolidate("r/s");
    consolidate("r");
    append("r/s/a");
    assert_int_equal(stale("r"), 0);
    assert_int_equal(stale("r/s"), 0);
    array("r/s/new");
    group("r/s/g");
    assert_int_equal(stale("r"), 0);
    assert_int_equal(stale("r/s"), 0);
}

/* Nothing that we keep must grow where there is no consolidated metadata. */
static void makes_none_where_there_is_none(void **state)
{
    char path[300];

    (void)state;
    append("r/s/a");
    (void)snprintf(path, sizeof path, "%s/r/.zmetadata", g_dir);
    assert_int_equal(access(path, F_OK), -1);
    shell("! grep -q consolidated r/*.json r/.z* 2>/dev/null");
}

/* One handle, while somebody consolidates and takes it back. */
static void sees_what_becomes_consolidated(void **state)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    int8_t v[3] = {1, 2, 3};

    (void)state;
    o.flags = AZR_OPEN_WRITE;
    assert_int_equal(azr_array_open(&a, at("r/s/a"), &o, &err), AZR_OK);
    assert_int_equal(azr_array_append(a, 0, 3, v, 3, NULL, &err), AZR_OK);
    shell("cp -r r before");
    consolidate("r");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(azr_array_append(a, 0, 3, v, 3, NULL, &err), AZR_OK);
        assert_int_equal(stale("r"), 0);
    }
    if (g_format == 3)
        shell("cp before/zarr.json r");
    else
        shell("rm r/.zmetadata");
    assert_int_equal(azr_array_append(a, 0, 3, v, 3, NULL, &err), AZR_OK);
    assert_int_equal(azr_array_append(a, 0, 3, v, 3, NULL, &err), AZR_OK);
    consolidate("r");
    assert_int_equal(azr_array_append(a, 0, 3, v, 3, NULL, &err), AZR_OK);
    assert_int_equal(stale("r"), 0);
    azr_array_close(a);
}

static void leaves_it_if_asked_to(void **state)
{
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    consolidate("r");
    assert_int_equal(try_append("r/b", AZR_OPEN_STALE_CONSOLIDATED, &err),
                     AZR_OK);
    assert_int_equal(stale("r"), 1);
    /* what is stale already is not our business */
    append("r/s/a");
    assert_int_equal(stale("r"), 1);
    assert_int_equal(try_array("r/n", AZR_OPEN_STALE_CONSOLIDATED, &err),
                     AZR_OK);
    assert_int_equal(stale("r"), 2);
    append("r/b");
    append("r/n");
    assert_int_equal(stale("r"), 0);
}

static void refuses_what_it_cannot_read(void **state)
{
    static const char *const junk[2][3] = {
        {"7", "{", "{\"zarr_consolidated_format\": 1, \"metadata\": []}"},
        {"7", "{",
         "{\"zarr_format\": 3, \"node_type\": \"group\", "
         "\"consolidated_metadata\": {\"metadata\": 1}}"}};

    (void)state;
    for (int i = 0; i < 3; i++) {
        azr_error err = AZR_ERROR_INIT;
        FILE *f =
            fopen(at(g_format == 2 ? "r/.zmetadata" : "r/zarr.json"), "we");

        assert_non_null(f);
        assert_true(fputs(junk[g_format == 3][i], f) >= 0);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(try_append("r/s/a", 0, &err), AZR_ECORRUPT);
        assert_non_null(strstr(err.message, g_format == 2 ? "/r'" : "../"));
        assert_int_equal(length("r/s/a"), 4);
        err.code = 0;
        assert_int_equal(try_array("r/s/n", 0, &err), AZR_ECORRUPT);
        err.code = 0;
        assert_int_equal(try_append("r/s/a", AZR_OPEN_STALE_CONSOLIDATED, &err),
                         AZR_OK);
        shell("rm -r r/s/a");
        assert_int_equal(try_array("r/s/a", AZR_OPEN_STALE_CONSOLIDATED, &err),
                         AZR_OK);
    }
}

/* As somebody who owns the array, but not the group. */
static void refuses_without_permission(void **state)
{
    pid_t pid;
    int status;

    (void)state;
    if (geteuid() != 0)
        skip();
    consolidate("r");
    shell("chown -R 65534 r/s/a");
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        azr_error err = AZR_ERROR_INIT;
        bool ok = setresuid(NOBODY, NOBODY, NOBODY) == 0 &&
                  try_append("r/s/a", 0, &err) == AZR_EPERM &&
                  strstr(err.message, "/r'") != NULL &&
                  strstr(err.message, "STALE_CONSOLIDATED") != NULL;

        err.code = 0;
        ok = ok &&
             try_append("r/s/a", AZR_OPEN_STALE_CONSOLIDATED, &err) == AZR_OK;
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(length("r/s/a"), 7); /* once, not twice */
    assert_int_equal(stale("r"), 1);
}

static bool nobody_appends(int rc)
{
    azr_error err = AZR_ERROR_INIT;
    pid_t pid = fork();
    int status = -1;

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(setresuid(NOBODY, NOBODY, NOBODY) != 0 ||
              try_append("r/s/a", 0, &err) != rc);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status == 0;
}

/* A directory in which all may make things, and each take away only his own: the
 * document must be his to be replaced. */
static void asks_whose_the_document_is(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    consolidate("r");
    shell("chown -R 65534 r/s; chmod 1777 r");
    assert_true(nobody_appends(AZR_EPERM));
    assert_int_equal(length("r/s/a"), 4);
    shell("chown 65534 r/.z* r/zarr.json >/dev/null 2>&1 || true");
    assert_true(nobody_appends(AZR_OK));
    assert_int_equal(stale("r"), 0);
    shell("chown 0 r/.z* r/zarr.json >/dev/null 2>&1 || true; chown 65534 r");
    assert_true(nobody_appends(AZR_OK)); /* who owns the directory may */
    assert_int_equal(stale("r"), 0);
}

/* What a marker names is renewed, and nothing else: whoever wrote it. */
static void settles_markers(void **state)
{
    static const char names[] =
        "s/a\0../x\0s/../../x\0/etc\0s//a\0\0none\0s/.\0..";
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;
    const char *marker =
        g_format == 2 ? "r/.zmetadata.renew" : "r/zarr.json.renew";
    FILE *f;

    (void)state;
    consolidate("r");
    assert_int_equal(try_append("r/s/a", AZR_OPEN_STALE_CONSOLIDATED, &err),
                     AZR_OK);
    assert_int_equal(stale("r"), 1);
    f = fopen(at(marker), "we");
    assert_non_null(f);
    assert_int_equal(fwrite(names, 1, sizeof names, f), sizeof names);
    assert_int_equal(fclose(f), 0);
    o.flags = AZR_OPEN_WRITE;
    assert_int_equal(azr_group_open(&g, at("r"), &o, &err), AZR_OK);
    azr_group_close(g);
    assert_int_equal(stale("r"), 0);
    assert_int_not_equal(access(at(marker), F_OK), 0);
}

/* Somebody consolidates the group above after the writer has looked there, and
 * before his document is in its place. */
static struct azri_sys g_sys;
static const char *g_before; /* the rename to this name */

static int consolidating_rename(int from_dir, const char *from, int to_dir,
                                const char *to, unsigned flags)
{
    const char *name = strrchr(to, '/');

    if (g_before && strcmp(name ? name + 1 : to, g_before) == 0) {
        g_before = NULL;
        consolidate("r");
    }
    return azri_sys_posix.renameat2(from_dir, from, to_dir, to, flags);
}

static void consolidate_before(const char *name)
{
    g_before = name;
    g_sys = azri_sys_posix;
    g_sys.renameat2 = consolidating_rename;
    azri_sys = &g_sys;
}

static void follows_who_consolidates(void **state)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;

    (void)state;
    consolidate_before(g_format == 2 ? ".zarray" : "zarr.json");
    append("r/s/a");
    assert_null(g_before);
    assert_int_equal(stale("r"), 0);
    shell(g_format == 2 ? "rm r/.zmetadata"
                        : "echo '{\"zarr_format\": 3, \"node_type\": "
                          "\"group\"}' >r/zarr.json");
    o.flags = AZR_OPEN_WRITE;
    assert_int_equal(azr_group_open(&g, at("r/s"), &o, &err), AZR_OK);
    consolidate_before(g_format == 2 ? ".zattrs" : "zarr.json");
    if (azr_group_attribute_set(g, "x", "1", &err) != AZR_OK)
        fail_msg("%s", err.message);
    azr_group_close(g);
    azri_sys = &azri_sys_posix;
    assert_int_equal(stale("r"), 0);
}

/* An entry of others, with blanks of their own: it stays as it is, and stale. */
static void touches_nothing_else(void **state)
{
    (void)state;
    consolidate("r");
    for (int i = 0; i < 2; i++) /* the first of them */
        shell(i == 0 ? "test -e r/zarr.json || sed -i '0,/\"metadata\": {/s//&"
                       " \"else\": {\"odd\":  [1,2 ]},/' r/.zmetadata"
                     : "test -e r/.zgroup || sed -i '0,/\"metadata\": {/s//&"
                       " \"else\": {\"odd\":  [1,2 ]},/' r/zarr.json");
    assert_int_equal(stale("r"), 1);
    append("r/s/a");
    assert_int_equal(stale("r"), 1);
    shell("grep -qs '{ \"else\": {\"odd\":  \\[1,2 \\]},' r/.zmetadata "
          "r/zarr.json");
}

static void renews_subtrees(void **state)
{
    azri_patience patience = azri_patience_from(0, NULL);
    azr_error err = AZR_ERROR_INIT;
    int dir = -1;

    (void)state;
    consolidate("r");
    assert_int_equal(
        azri_open_at(&dir, AT_FDCWD, at("r"), O_RDONLY | O_DIRECTORY, 0, &err),
        AZR_OK);
    shell("cp -r r/s r/moved");
    assert_int_equal(stale("r"), 2);
    assert_int_equal(azri_upkeep_tree(dir, "moved", &patience, &err), AZR_OK);
    assert_int_equal(stale("r"), 0);
    shell("rm -r r/s r/b");
    assert_int_equal(azri_upkeep_tree(dir, "s", &patience, &err), AZR_OK);
    assert_int_equal(azri_upkeep_tree(dir, "b", &patience, &err), AZR_OK);
    assert_int_equal(stale("r"), 0);
    assert_int_equal(azri_upkeep_tree(dir, "never", &patience, &err), AZR_OK);
    azri_close(dir);
    /* a name that only begins like it */
    array("r/mov");
    append("r/mov");
    append("r/moved/a");
    assert_int_equal(stale("r"), 0);
}

static ino_t which(const char *name)
{
    struct stat st;

    assert_int_equal(stat(at(name), &st), 0);
    return st.st_ino;
}

/* Who left the marker may have put what is right, and not synced it: it is put once
 * more, whole and synced, before the marker goes. */
static void puts_anew_what_a_marker_names(void **state)
{
    const char *copy = g_format == 2 ? "r/.zmetadata" : "r/zarr.json";
    const char *mark = g_format == 2 ? ".zmetadata.renew" : "zarr.json.renew";
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;
    char command[80];
    ino_t before;

    (void)state;
    consolidate("r");
    before = which(copy);
    (void)snprintf(command, sizeof command, "printf 'b\\0' >r/%s", mark);
    shell(command);
    o.flags = AZR_OPEN_WRITE;
    assert_int_equal(azr_group_open(&g, at("r"), &o, &err), AZR_OK);
    azr_group_close(g);
    (void)snprintf(command, sizeof command, "! test -e r/%s", mark);
    shell(command);
    assert_int_not_equal(which(copy), before);
    assert_int_equal(stale("r"), 0);
    before = which(copy); /* and nobody goes on doing so */
    assert_int_equal(azr_group_open(&g, at("r"), &o, &err), AZR_OK);
    azr_group_close(g);
    assert_int_equal(which(copy), before);
}

#define BOTH(test)                                                             \
    cmocka_unit_test_prestate_setup_teardown(test, set_up, tear_down, NULL),   \
        cmocka_unit_test_prestate_setup_teardown(test, set_up, tear_down,      \
                                                 &g_format)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(keeps_all_of_them_true),
        BOTH(makes_none_where_there_is_none),
        BOTH(sees_what_becomes_consolidated),
        BOTH(leaves_it_if_asked_to),
        BOTH(refuses_what_it_cannot_read),
        BOTH(refuses_without_permission),
        BOTH(asks_whose_the_document_is),
        BOTH(settles_markers),
        BOTH(follows_who_consolidates),
        BOTH(touches_nothing_else),
        BOTH(renews_subtrees),
        BOTH(puts_anew_what_a_marker_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
