/* SPDX-License-Identifier: Apache-2.0 */
/* Removing, moving and replacing: what paths and old handles see before, between
 * and after, and what is refused. */
#include "small.h"

#include "os/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define LENGTH 12

static struct azri_sys g_sys;

SMALL_FIXTURE("tree")

static const char *at(const char *name)
{
    return small_path(g_dir, name);
}

static bool exists(const char *name)
{
    return access(at(name), F_OK) == 0;
}

/* Chunks of four; every element is `value`. */
static azr_array *make(const char *name, int32_t value, uint32_t flags)
{
    azr_array_spec spec = small_line(3, LENGTH);
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;

    spec.codecs = "none";
    o.flags = flags;
    if (azr_array_create(&a, at(name), &spec, &o, &err) != AZR_OK)
        fail_msg("create '%s': %s", name, err.message);
    if (azr_array_fill(a, &all, &value, sizeof value, &err) != AZR_OK)
        fail_msg("fill '%s': %s", name, err.message);
    return a;
}

static azr_group *make_group(const char *name, uint32_t flags)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;

    o.flags = flags;
    if (azr_group_create(&g, at(name), NULL, &o, &err) != AZR_OK)
        fail_msg("group '%s': %s", name, err.message);
    return g;
}

static int open_array(azr_array **out, const char *name, uint32_t flags,
                      azr_error *err)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;

    o.flags = flags;
    return azr_array_open(out, at(name), &o, err);
}

static int32_t first_of(azr_array *a)
{
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    int32_t v[LENGTH];

    if (azr_array_read(a, &all, v, sizeof v, &err) != AZR_OK)
        fail_msg("read: %s", err.message);
    for (int i = 1; i < LENGTH; i++)
        assert_int_equal(v[i], v[0]);
    return v[0];
}

static void assert_gone_for_reading(azr_array *a, const char *why)
{
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    int32_t v[LENGTH] = {0};

    assert_int_equal(azr_array_read(a, &all, v, sizeof v, &err), AZR_ENOTFOUND);
    assert_non_null(strstr(err.message, why));
}

/* Neither reads, writes nor looks at it any more. */
static void assert_gone(azr_array *a, const char *why)
{
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    int32_t v[LENGTH] = {0};
    char *text = NULL;
    int64_t at_index;

    assert_gone_for_reading(a, why);
    assert_int_equal(azr_array_write(a, &all, v, sizeof v, &err),
                     AZR_ENOTFOUND);
    assert_non_null(strstr(err.message, why));
    assert_int_equal(
        azr_array_append(a, 0, LENGTH, v, sizeof v, &at_index, &err),
        AZR_ENOTFOUND);
    assert_non_null(strstr(err.message, why));
    assert_int_equal(azr_array_attributes(a, &text, &err), AZR_ENOTFOUND);
    assert_non_null(strstr(err.message, why));
    assert_int_equal(azr_array_attribute_set(a, "x", "1", &err), AZR_ENOTFOUND);
    assert_non_null(strstr(err.message, why));
}

static azr_tree_options options(uint32_t flags)
{
    azr_tree_options o = AZR_TREE_OPTIONS_INIT;

    o.flags = flags;
    o.timeout_ms = 2000;
    return o;
}

static int remove_node(const char *name, uint32_t flags, azr_error *err)
{
    azr_tree_options o = options(flags);

    return azr_remove(at(name), &o, err);
}

/* ---------------------------------------------------------------- remove --- */

static void test_removed_array_is_gone_for_all(void **state)
{
    azr_array *writer = make("a", 7, 0), *reader = NULL, *again = NULL;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    assert_int_equal(open_array(&reader, "a", 0, &err), AZR_OK);
    assert_int_equal(first_of(reader), 7);
    assert_int_equal(remove_node("a", 0, &err), AZR_OK);
    assert_false(exists("a"));
    assert_false(exists(".azr-trash"));
    assert_int_equal(open_array(&again, "a", 0, &err), AZR_ENOTFOUND);
    assert_gone(writer, "was removed");
    assert_gone_for_reading(reader, "was removed");
    azr_array_close(make("a", 8, 0)); /* the path is free */
    assert_gone(writer, "was removed");
    azr_array_close(writer);
    azr_array_close(reader);
}

static void test_removed_group_takes_all_below(void **state)
{
    azr_group *g = make_group("g", 0), *sub = make_group("g/sub", 0);
    azr_array *a = make("g/a", 1, 0), *b = make("g/sub/b", 2, 0);
    azr_error err = AZR_ERROR_INIT;
    azr_array *c = NULL;
    char *text = NULL;

    (void)state;
    assert_int_equal(remove_node("g", 0, &err), AZR_EINVAL);
    assert_non_null(strstr(err.message, "something below it"));
    assert_int_equal(first_of(b), 2);
    assert_int_equal(remove_node("g", AZR_TREE_RECURSIVE, &err), AZR_OK);
    assert_false(exists("g"));
    assert_gone(a, "was removed");
    assert_gone(b, "was removed");
    assert_int_equal(azr_group_attributes(sub, &text, &err), AZR_ENOTFOUND);
    assert_non_null(strstr(err.message, "was removed"));
    assert_int_equal(azr_group_attribute_set(g, "x", "1", &err), AZR_ENOTFOUND);
    assert_non_null(strstr(err.message, "was removed"));
    assert_int_equal(azr_group_open_array(&c, g, "a", NULL, &err),
                     AZR_ENOTFOUND);
    assert_non_null(strstr(err.message, "was removed"));
    azr_array_close(a);
    azr_array_close(b);
    azr_group_close(sub);
    azr_group_close(g);
}

static void test_no_node_is_not_removed(void **state)
{
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    assert_int_equal(remove_node("nothing", 0, &err), AZR_ENOTFOUND);
    assert_int_equal(mkdir(at("plain"), 0777), 0);
    assert_int_equal(remove_node("plain", AZR_TREE_RECURSIVE, &err),
                     AZR_EINVAL);
    assert_non_null(strstr(err.message, "no Zarr array or group"));
    azr_array_close(make("a", 1, 0));
    assert_int_equal(symlink("a", at("link")), 0);
    assert_int_equal(remove_node("link", AZR_TREE_FORCE, &err), AZR_EINVAL);
    assert_non_null(strstr(err.message, "symbolic link"));
    assert_int_equal(remove_node("a/.", 0, &err), AZR_EINVAL);
    assert_int_equal(remove_node("a/.azr", AZR_TREE_FORCE, &err), AZR_EINVAL);
    assert_true(exists("a/zarr.json"));
    assert_int_equal(remove_node("plain", AZR_TREE_FORCE, &err), AZR_OK);
    assert_false(exists("plain"));
}

static void test_links_are_not_followed(void **state)
{
    azr_array *kept = make("kept", 5, 0);
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    azr_group_close(make_group("g", 0));
    assert_int_equal(symlink("../kept", at("g/link")), 0);
    assert_int_equal(mkdir(at("g/evil"), 0777), 0);
    assert_int_equal(symlink("../../kept/.azr", at("g/evil/.azr")), 0);
    assert_int_equal(remove_node("g", AZR_TREE_RECURSIVE, &err), AZR_OK);
    assert_false(exists("g"));
    assert_int_equal(first_of(kept), 5);
    azr_array_close(kept);
}

#define DEEP 3000

/* Far beyond PATH_MAX, and more levels than descriptors. */
static void test_depth_has_no_bound(void **state)
{
    azr_error err = AZR_ERROR_INIT;
    int dir, next;

    (void)state;
    azr_array_close(make("a", 1, 0));
    dir = open(at("a"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir >= 0);
    for (int i = 0; i < DEEP; i++) {
        assert_int_equal(mkdirat(dir, "below", 0777), 0);
        next = openat(dir, "below", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        (void)close(dir);
        dir = next;
    }
    (void)close(dir);
    assert_int_equal(remove_node("a", 0, &err), AZR_OK);
    assert_false(exists("a"));
    assert_false(exists(".azr-trash"));
}

/* A reader that has looked, and opens its chunks while they go: a chunk that is
 * absent must not become the fill value. */
static azr_tree_options g_options;
static bool g_struck;

static int strike_openat(int dir, const char *path, int flags, mode_t mode)
{
    if (!g_struck && strcmp(path, "c/1") == 0) {
        azr_error err = AZR_ERROR_INIT;

        g_struck = true;
        azri_sys = &azri_sys_posix;
        if (azr_remove(at("a"), &g_options, &err) != AZR_OK)
            fail_msg("remove: %s", err.message);
        azri_sys = &g_sys;
    }
    return azri_sys_posix.openat(dir, path, flags, mode);
}

static void read_in_the_middle(bool with_state)
{
    azr_array *reader = NULL;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_selection all = azr_select_all(1);
    int32_t v[LENGTH];
    char command[300];

    azr_array_close(make("a", 7, 0));
    (void)snprintf(command, sizeof command, "rm -rf '%s'", at("a/.azr"));
    if (!with_state)
        assert_int_equal(system(command), 0);
    o.threads = 1;
    assert_int_equal(azr_array_open(&reader, at("a"), &o, &err), AZR_OK);
    g_options = options(0);
    g_struck = false;
    g_sys = azri_sys_posix;
    g_sys.openat = strike_openat;
    azri_sys = &g_sys;
    assert_int_equal(azr_array_read(reader, &all, v, sizeof v, &err),
                     AZR_ENOTFOUND);
    azri_sys = &azri_sys_posix;
    assert_true(g_struck);
    assert_non_null(strstr(err.message, "was removed"));
    azr_array_close(reader);
}

static void test_reader_in_the_middle(void **state)
{
    (void)state;
    read_in_the_middle(true);
}

static void test_reader_in_the_middle_without_state(void **state)
{
    (void)state;
    read_in_the_middle(false);
}

static void test_writer_is_waited_for(void **state)
{
    azr_array *a = make("a", 7, 0);
    azr_tree_options o = options(0);
    azr_error err = AZR_ERROR_INIT;
    int fd = open(at("a/.azr/state"), O_RDWR | O_CLOEXEC);
    struct flock meta = {.l_type = F_RDLCK,
                         .l_whence = SEEK_SET,
                         .l_start = (INT64_C(1) << 40) + 1,
                         .l_len = 1};

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &meta), 0); /* as a writer does */
    o.timeout_ms = 50;
    assert_int_equal(azr_remove(at("a"), &o, &err), AZR_EBUSY);
    assert_int_equal(first_of(a), 7);
    assert_true(exists("a"));
    assert_false(exists(".azr-trash"));
    (void)close(fd);
    assert_int_equal(azr_remove(at("a"), &o, &err), AZR_OK);
    azr_array_close(a);
}

static void test_hard_linked_copy_is_refused(void **state)
{
    azr_array *a = make("a", 7, 0);
    azr_error err = AZR_ERROR_INIT;
    char command[600];

    (void)state;
    (void)snprintf(command, sizeof command, "cp -al '%s' '%s'", at("a"),
                   at("copy"));
    assert_int_equal(system(command), 0);
    assert_int_equal(remove_node("copy", 0, &err), AZR_EUNSUPPORTED);
    assert_non_null(strstr(err.message, "links"));
    assert_true(exists("copy"));
    (void)snprintf(command, sizeof command, "rm -r '%s'", at("copy"));
    assert_int_equal(system(command), 0);
    assert_int_equal(first_of(a), 7);
    azr_array_close(a);
}

/* ------------------------------------------------------------------ move --- */

static void test_moved_array_keeps_its_handles(void **state)
{
    azr_array *a = make("a", 7, 0), *moved = NULL;
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    int32_t eight = 8;

    (void)state;
    azr_group_close(make_group("g", 0));
    assert_int_equal(azr_move(at("a"), at("g/b"), NULL, &err), AZR_OK);
    assert_false(exists("a"));
    assert_int_equal(azr_array_fill(a, &all, &eight, sizeof eight, &err),
                     AZR_OK);
    assert_int_equal(open_array(&moved, "g/b", 0, &err), AZR_OK);
    assert_int_equal(first_of(moved), 8);
    azr_array_close(moved);
    azr_array_close(a);
}

static void test_moved_group_finds_what_is_below(void **state)
{
    azr_group *g = make_group("g", 0), *made = NULL;
    azr_array *a = NULL;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    azr_array_close(make("g/a", 3, 0));
    assert_int_equal(azr_move(at("g"), at("h"), NULL, &err), AZR_OK);
    azr_group_close(make_group("g", 0)); /* another one */
    assert_int_equal(azr_group_open_array(&a, g, "a", NULL, &err), AZR_OK);
    assert_int_equal(first_of(a), 3);
    assert_int_equal(azr_group_create_group(&made, g, "sub", NULL, NULL, &err),
                     AZR_OK);
    assert_true(exists("h/sub/zarr.json"));
    assert_false(exists("g/sub"));
    azr_group_close(made);
    azr_array_close(a);
    azr_group_close(g);
}

static int transfer(azr_array *a, azr_array *b, azr_error *err)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    azr_selection all = azr_select_all(1);
    int32_t v[LENGTH] = {4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4};
    azr_txn *t = NULL;
    int rc = azr_txn_begin(&t, &o, err);

    if (rc == AZR_OK)
        rc = azr_txn_write(t, a, &all, v, sizeof v, err);
    if (rc == AZR_OK)
        rc = azr_txn_write(t, b, &all, v, sizeof v, err);
    if (rc == AZR_OK)
        rc = azr_txn_commit(t, err);
    azr_txn_free(t);
    return rc;
}

static void test_transactions_after_a_move(void **state)
{
    azr_array *a = make("a", 1, 0), *b = make("b", 2, 0);
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    assert_int_equal(transfer(a, b, &err), AZR_OK);
    azr_group_close(make_group("g", 0));
    assert_int_equal(azr_move(at("b"), at("g/b"), NULL, &err), AZR_OK);
    if (transfer(a, b, &err) != AZR_OK)
        fail_msg("%s", err.message);
    assert_int_equal(first_of(a), 4);
    assert_int_equal(first_of(b), 4);
    azr_array_close(a);
    azr_array_close(b);
}

static void test_moves_that_are_refused(void **state)
{
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    azr_array_close(make("a", 1, 0));
    azr_array_close(make("b", 2, 0));
    azr_group_close(make_group("g", 0));
    assert_int_equal(azr_move(at("a"), at("b"), NULL, &err), AZR_EEXISTS);
    assert_int_equal(azr_move(at("a"), at("b/c"), NULL, &err), AZR_EINVAL);
    assert_int_equal(azr_move(at("g"), at("g/h"), NULL, &err), AZR_EINVAL);
    assert_int_equal(azr_move(at("a"), at("no/where"), NULL, &err),
                     AZR_ENOTFOUND);
    assert_int_equal(azr_move(at("none"), at("c"), NULL, &err), AZR_ENOTFOUND);
    assert_int_equal(azr_move(at("a"), "/proc/a", NULL, &err),
                     AZR_EUNSUPPORTED);
    assert_non_null(strstr(err.message, "different file systems"));
    assert_true(exists("a/zarr.json"));
}

/* --------------------------------------------------------------- replace --- */

static void test_replaced_array(void **state)
{
    azr_array *old = make("a", 1, 0), *reader = NULL;
    azr_array *new = make("a", 2, AZR_CREATE_REPLACE);
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    assert_gone(old, "was replaced");
    assert_int_equal(first_of(new), 2);
    assert_int_equal(open_array(&reader, "a", 0, &err), AZR_OK);
    assert_int_equal(first_of(reader), 2);
    assert_false(exists(".azr-trash"));
    azr_array_close(reader);
    azr_array_close(new);
    azr_array_close(make("fresh", 3, AZR_CREATE_REPLACE));
    azr_array_close(old);
}

static void test_replaced_group(void **state)
{
    azr_group *old = make_group("g", 0), *new;
    azr_array *a = make("g/a", 1, 0);
    azr_error err = AZR_ERROR_INIT;
    char *text = NULL;

    (void)state;
    new = make_group("g", AZR_CREATE_REPLACE);
    assert_gone(a, "was replaced");
    assert_false(exists("g/a"));
    assert_int_equal(azr_group_attributes(old, &text, &err), AZR_ENOTFOUND);
    assert_int_equal(azr_group_attribute_set(new, "x", "1", &err), AZR_OK);
    azr_array_close(a);
    a = make("g", 5, AZR_CREATE_REPLACE); /* an array for a group */
    assert_int_equal(azr_group_attributes(new, &text, &err), AZR_ENOTFOUND);
    assert_non_null(strstr(err.message, "was replaced"));
    azr_array_close(a);
    azr_group_close(old);
    azr_group_close(new);
}

static void test_what_was_built_takes_the_place(void **state)
{
    azr_array *old, *now = NULL;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    azr_group_close(make_group("g", 0));
    old = make("g/a", 1, 0);
    azr_group_close(make_group("new", 0));
    azr_array_close(make("new/a", 2, 0));
    assert_int_equal(azr_replace(at("new"), at("g"), NULL, &err), AZR_OK);
    assert_false(exists("new"));
    assert_false(exists(".azr-trash"));
    assert_gone(old, "was replaced");
    assert_int_equal(open_array(&now, "g/a", AZR_OPEN_WRITE, &err), AZR_OK);
    assert_int_equal(first_of(now), 2);
    azr_array_close(now);
    azr_array_close(old);
    /* where nothing is, and below what has consolidated metadata */
    assert_int_equal(azr_replace(at("g"), at("h"), NULL, &err), AZR_OK);
    assert_true(exists("h/a/zarr.json"));
    assert_false(exists("g"));
}

static void test_what_was_built_stays_if_it_is_refused(void **state)
{
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    azr_array_close(make("new", 2, 0));
    assert_int_equal(mkdir(at("d"), 0777), 0);
    assert_int_equal(mkdir(at("d/mine"), 0777), 0);
    assert_int_equal(azr_replace(at("new"), at("d"), NULL, &err), AZR_EEXISTS);
    assert_true(exists("d/mine"));
    assert_true(exists("new/zarr.json"));
    assert_int_equal(azr_replace(at("none"), at("e"), NULL, &err),
                     AZR_ENOTFOUND);
    assert_int_equal(azr_replace(at("new"), "/proc/a", NULL, &err),
                     AZR_EUNSUPPORTED);
    assert_true(exists("new/zarr.json"));
    assert_false(exists(".azr-trash"));
}

static bool g_exchanged;

static int note_exchange(int from_dir, const char *from, int to_dir,
                         const char *to, unsigned flags)
{
    g_exchanged |= flags == RENAME_EXCHANGE;
    return azri_sys_posix.renameat2(from_dir, from, to_dir, to, flags);
}

static int fail_once_exchanged(int fd)
{
    if (!g_exchanged)
        return azri_sys_posix.fsync(fd);
    errno = EIO;
    return -1;
}

/* The sync after the exchange fails: the new one stands in its place all the same,
 * and nothing comes back under the name that it was built under. */
static void test_what_was_built_stands_if_it_is_not_known(void **state)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array *now = NULL;

    (void)state;
    azr_array_close(make("a", 1, 0));
    azr_array_close(make("new", 2, 0));
    g_exchanged = false;
    g_sys = azri_sys_posix;
    g_sys.renameat2 = note_exchange;
    g_sys.fsync = fail_once_exchanged;
    azri_sys = &g_sys;
    assert_int_equal(azr_replace(at("new"), at("a"), NULL, &err), AZR_EUNKNOWN);
    azri_sys = &azri_sys_posix;
    assert_false(exists("new"));
    assert_int_equal(open_array(&now, "a", AZR_OPEN_WRITE, &err), AZR_OK);
    assert_int_equal(first_of(now), 2);
    azr_array_close(now);
}

static unsigned g_renames;

/* All but the first: it was brought, and there is no way out. */
static int fail_after_first(int from_dir, const char *from, int to_dir,
                            const char *to, unsigned flags)
{
    if (g_renames++ == 0)
        return azri_sys_posix.renameat2(from_dir, from, to_dir, to, flags);
    errno = EIO;
    return -1;
}

/* Nobody sweeps what could not be put back; taken out by its owner, it is whole, and
 * what it stood in goes. */
static void test_what_was_built_is_kept_if_it_cannot_come_back(void **state)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array *now = NULL;
    char stands[256] = "", *end;
    const char *begin;

    (void)state;
    azr_array_close(make("a", 1, 0));
    azr_array_close(make("new", 2, 0));
    g_renames = 0;
    g_sys = azri_sys_posix;
    g_sys.renameat2 = fail_after_first;
    azri_sys = &g_sys;
    assert_int_equal(azr_replace(at("new"), at("a"), NULL, &err), AZR_EIO);
    azri_sys = &azri_sys_posix;
    assert_int_equal(err.sys_errno, EIO);
    begin = strstr(err.message, "it stands at '");
    assert_non_null(begin);
    (void)snprintf(stands, sizeof stands, "%s", begin + 14);
    end = strchr(stands, '\'');
    assert_non_null(end);
    *end = '\0';
    assert_false(exists("new"));
    azr_array_close(make("gone", 3, 0));
    assert_int_equal(azr_remove(at("gone"), NULL, &err), AZR_OK);
    assert_int_equal(azr_collect(g_dir, NULL, NULL, &err), AZR_OK);
    assert_int_equal(rename(stands, at("new")), 0);
    assert_int_equal(open_array(&now, "new", AZR_OPEN_WRITE, &err), AZR_OK);
    assert_int_equal(first_of(now), 2);
    azr_array_close(now);
    assert_int_equal(azr_collect(g_dir, NULL, NULL, &err), AZR_OK);
    assert_false(exists(".azr-trash"));
}

static void test_no_node_is_not_replaced(void **state)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;

    (void)state;
    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = spec.chunks[0] = 4;
    o.flags = AZR_CREATE_REPLACE;
    assert_int_equal(mkdir(at("plain"), 0777), 0);
    assert_int_equal(mkdir(at("plain/file"), 0777), 0);
    assert_int_equal(azr_array_create(&a, at("plain"), &spec, &o, &err),
                     AZR_EEXISTS);
    assert_true(exists("plain/file"));
    assert_int_equal(rmdir(at("plain/file")), 0);
    assert_int_equal(azr_array_create(&a, at("plain"), &spec, &o, &err),
                     AZR_OK);
    azr_array_close(a);
    o.flags |= AZR_CREATE_OR_OPEN;
    assert_int_equal(azr_array_create(&a, at("plain"), &spec, &o, &err),
                     AZR_EINVAL);
    assert_false(exists(".azr-trash"));
}

static int no_exchange(int from_dir, const char *from, int to_dir,
                       const char *to, unsigned flags)
{
    if (flags == RENAME_EXCHANGE) {
        errno = EINVAL;
        return -1;
    }
    return azri_sys_posix.renameat2(from_dir, from, to_dir, to, flags);
}

static void test_without_exchange(void **state)
{
    azr_array *a = make("a", 1, 0), *b = NULL;
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = spec.chunks[0] = 4;
    o.flags = AZR_CREATE_REPLACE;
    g_sys = azri_sys_posix;
    g_sys.renameat2 = no_exchange;
    azri_sys = &g_sys;
    assert_int_equal(azr_array_create(&b, at("a"), &spec, &o, &err),
                     AZR_EUNSUPPORTED);
    azri_sys = &azri_sys_posix;
    assert_non_null(strstr(err.message, "exchange"));
    assert_int_equal(first_of(a), 1);
    assert_false(exists(".azr-trash"));
    azr_array_close(a);
}

static void test_create_or_open(void **state)
{
    azr_array *a = make("a", 1, AZR_CREATE_OR_OPEN), *b = NULL;
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;

    (void)state;
    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = spec.chunks[0] = 4;
    o.flags = AZR_CREATE_OR_OPEN;
    assert_int_equal(azr_array_create(&b, at("a"), &spec, &o, &err), AZR_OK);
    assert_int_equal(first_of(b), 1);
    azr_array_close(b);
    assert_int_equal(azr_group_create(&g, at("a"), NULL, &o, &err),
                     AZR_EEXISTS);
    assert_int_equal(azr_group_create(&g, at("g"), NULL, &o, &err), AZR_OK);
    azr_group_close(g);
    assert_int_equal(azr_group_create(&g, at("g"), NULL, &o, &err), AZR_OK);
    azr_group_close(g);
    azr_array_close(a);
}

/* --------------------------------------------------------------- collect --- */

static void test_leftovers_are_collected(void **state)
{
    azr_error err = AZR_ERROR_INIT;
    uint64_t removed = 0;
    int fd;

    (void)state;
    assert_int_equal(mkdir(at(".azr-trash"), 0777), 0);
    assert_int_equal(mkdir(at(".azr-trash/dead.r"), 0777), 0);
    assert_int_equal(mkdir(at(".azr-trash/dead.r/node"), 0777), 0);
    assert_int_equal(mkdir(at(".azr-trash/alive.b"), 0777), 0);
    fd = open(at(".azr-trash/alive.b"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(azr_collect(g_dir, &removed, NULL, &err), AZR_OK);
    assert_int_equal(removed, 1);
    assert_false(exists(".azr-trash/dead.r"));
    assert_true(exists(".azr-trash/alive.b"));
    (void)close(fd);
    azr_array_close(make("a", 1, 0));
    assert_int_equal(remove_node("a", 0, &err), AZR_OK);
    assert_false(exists(".azr-trash")); /* the next one collects too */
}

static int stop(uint64_t done, uint64_t total, void *arg)
{
    (void)total;
    *(uint64_t *)arg = done;
    return 1;
}

static void test_progress_may_stop_it(void **state)
{
    azr_tree_options o = options(0);
    azr_error err = AZR_ERROR_INIT;
    uint64_t seen = 0, removed = 0;

    (void)state;
    azr_array_close(make("a", 1, 0));
    for (int i = 0; i < 600; i++) {
        char name[64];
        int fd;

        (void)snprintf(name, sizeof name, "a/c/x%d", i);
        fd = open(at(name), O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
        assert_true(fd >= 0);
        (void)close(fd);
    }
    o.progress = stop;
    o.arg = &seen;
    assert_int_equal(azr_remove(at("a"), &o, &err), AZR_OK);
    assert_int_equal(seen, 256);
    assert_false(exists("a"));
    assert_true(exists(".azr-trash"));
    assert_int_equal(azr_collect(g_dir, &removed, NULL, &err), AZR_OK);
    assert_int_equal(removed, 1);
    assert_false(exists(".azr-trash"));
}

static void test_descriptors(void **state)
{
    struct rlimit old, few;
    azr_error err = AZR_ERROR_INIT;
    unsigned before = count_descriptors();

    (void)state;
    azr_group_close(make_group("g", 0));
    for (int i = 0; i < 20; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "g/a%d", i);
        azr_array_close(make(name, 1, 0));
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    few.rlim_cur = (rlim_t)before + 30;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_int_equal(remove_node("g", AZR_TREE_RECURSIVE, &err), AZR_EIO);
    assert_non_null(strstr(err.message, "ulimit"));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(count_descriptors(), before);
    assert_true(exists("g/a19/zarr.json"));
    assert_int_equal(azr_move(at("g"), at("h"), NULL, &err), AZR_OK);
    azr_group_close(make_group("h", AZR_CREATE_REPLACE));
    assert_int_equal(remove_node("h", 0, &err), AZR_OK);
    assert_int_equal(count_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(test_removed_array_is_gone_for_all),
        T(test_removed_group_takes_all_below),
        T(test_no_node_is_not_removed),
        T(test_links_are_not_followed),
        T(test_depth_has_no_bound),
        T(test_reader_in_the_middle),
        T(test_reader_in_the_middle_without_state),
        T(test_writer_is_waited_for),
        T(test_hard_linked_copy_is_refused),
        T(test_moved_array_keeps_its_handles),
        T(test_moved_group_finds_what_is_below),
        T(test_transactions_after_a_move),
        T(test_moves_that_are_refused),
        T(test_replaced_array),
        T(test_replaced_group),
        T(test_what_was_built_takes_the_place),
        T(test_what_was_built_stays_if_it_is_refused),
        T(test_what_was_built_stands_if_it_is_not_known),
        T(test_what_was_built_is_kept_if_it_cannot_come_back),
        T(test_no_node_is_not_replaced),
        T(test_without_exchange),
        T(test_create_or_open),
        T(test_leftovers_are_collected),
        T(test_progress_may_stop_it),
        T(test_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
