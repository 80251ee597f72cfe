/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody commits between the first look of a reader and the second one: each time
 * until the time-out, or a few times. What is read is of one instant, or it is a
 * time-out that says so. */
#include "small.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#define LENGTH 12 /* in chunks of 4 */

static azr_error err;
static struct azri_sys g_sys;
static const char *g_path;     /* before this is opened … */
static int g_times;            /* … so often … */
static void (*g_change)(void); /* … that happens */
static int g_changes;
static azr_array *g_writer;
static azr_cancel *g_cancel;

SMALL_FIXTURE("disturbed")

static int disturbing_openat(int dir, const char *path, int flags, mode_t mode)
{
    if (g_times > 0 && strcmp(path, g_path) == 0) {
        int left = g_times - 1;

        g_times = 0; /* what it opens itself */
        g_change();
        g_times = left;
        g_changes++;
    }
    return azri_sys_posix.openat(dir, path, flags, mode);
}

static void disturb(const char *path, int times, void (*change)(void))
{
    g_path = path;
    g_times = times;
    g_change = change;
    g_changes = 0;
    g_sys = azri_sys_posix;
    g_sys.openat = disturbing_openat;
    azri_sys = &g_sys;
}

/* Who would have to wait changes nothing. */
static void change_attribute(void)
{
    azr_error why = AZR_ERROR_INIT;
    char number[16];
    int rc;

    (void)snprintf(number, sizeof number, "%d", g_changes);
    rc = azr_array_attribute_set(g_writer, "n", number, &why);
    if (rc < 0 && rc != AZR_EBUSY)
        fail_msg("%s", why.message);
}

/* Both chunks at once. */
static void change_chunks(void)
{
    azr_selection all = azr_select_all(1);
    azr_error why = AZR_ERROR_INIT;
    int32_t value = 100 + g_changes;
    int rc = azr_array_fill(g_writer, &all, &value, sizeof value, &why);

    if (rc < 0 && rc != AZR_EBUSY)
        fail_msg("%s", why.message);
}

static void change_and_cancel(void)
{
    change_chunks();
    azr_cancel_request(g_cancel);
}

static azr_array *open_with(uint32_t flags, int64_t timeout_ms)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_array *a = NULL;

    o.flags = flags;
    o.timeout_ms = timeout_ms;
    o.cancel = g_cancel;
    OK(azr_array_open(&a, small_path(g_dir, "a"), &o, &err));
    return a;
}

static void begin(int format)
{
    azr_array_spec spec = small_line(format, LENGTH);
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;

    spec.codecs = "none";
    spec.attributes = "{\"n\": -1}";
    o.timeout_ms = 0;
    OK(azr_array_create(&g_writer, small_path(g_dir, "a"), &spec, &o, &err));
    change_chunks();
}

static void end(azr_array *reader)
{
    azri_sys = &azri_sys_posix;
    azr_array_close(reader);
    azr_array_close(g_writer);
    azr_cancel_free(g_cancel);
    g_cancel = NULL;
}

static void assert_busy(int rc, int code, const char *text)
{
    if (rc != code || err.code != code || !strstr(err.message, text))
        fail_msg("%s: \"%s\"", azr_status_name(rc), err.message);
}

/* -------------------------------------------------------------------- open --- */

static void test_opening(void **state)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_array *a = NULL;

    (void)state;
    begin(3);
    o.timeout_ms = 0;
    disturb("zarr.json", 1000, change_attribute);
    assert_busy(azr_array_open(&a, small_path(g_dir, "a"), &o, &err), AZR_EBUSY,
                "time-out while opening");
    assert_null(a);
    assert_int_equal(g_changes, 4);
    disturb("zarr.json", 3, change_attribute);
    OK(azr_array_open(&a, small_path(g_dir, "a"), &o, &err));
    assert_int_equal(g_changes, 3);
    end(a);
}

/* -------------------------------------------------------------- attributes --- */

static void attributes_of_format(int format)
{
    const char *document = format == 3 ? "zarr.json" : ".zattrs";
    azr_array *a;
    char *text = NULL;

    begin(format);
    a = open_with(0, 0);
    disturb(document, 1000, change_attribute);
    assert_busy(azr_array_attributes(a, &text, &err), AZR_EBUSY,
                "attributes are being changed all the time");
    assert_null(text);
    disturb(document, 3, change_attribute);
    OK(azr_array_attributes(a, &text, &err));
    assert_int_equal(g_changes, 3);
    assert_non_null(strstr(text, "2")); /* the third one */
    azr_free(text);
    end(a);
}

static void test_attributes(void **state)
{
    (void)state;
    attributes_of_format(3);
}

static void test_attributes_of_format_2(void **state)
{
    (void)state;
    attributes_of_format(2);
}

static void test_attributes_in_a_transaction(void **state)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    azr_txn *t = NULL;
    azr_array *a;
    char *text = NULL;

    (void)state;
    begin(2);
    a = open_with(0, 0);
    o.timeout_ms = 0;
    OK(azr_txn_begin(&t, &o, &err));
    disturb(".zattrs", 1000, change_attribute);
    assert_busy(azr_txn_attributes(t, a, &text, &err), AZR_EBUSY,
                "attributes are being changed all the time");
    disturb(".zattrs", 3, change_attribute);
    OK(azr_txn_attributes(t, a, &text, &err));
    assert_int_equal(g_changes, 3);
    azr_free(text);
    azr_txn_free(t);
    end(a);
}

/* ---------------------------------------------------------------- elements --- */

/* All of one fill. */
static int read_all(azr_array *a)
{
    azr_selection all = azr_select_all(1);
    int32_t v[LENGTH] = {0};
    int rc;

    err = (azr_error)AZR_ERROR_INIT;
    rc = azr_array_read(a, &all, v, sizeof v, &err);
    for (int i = 1; rc == AZR_OK && i < LENGTH; i++)
        assert_int_equal(v[i], v[0]);
    return rc;
}

static void test_reading(void **state)
{
    azr_array *a;

    (void)state;
    begin(3);
    a = open_with(AZR_OPEN_READ_UNLOCKED, 0);
    disturb("c/1", 1000, change_chunks);
    assert_busy(read_all(a), AZR_EBUSY,
                "time-out; reading was disturbed by writers");
    disturb("c/1", 7, change_chunks);
    assert_busy(read_all(a), AZR_EBUSY, "reading was disturbed");
    azr_array_close(a);
    a = open_with(AZR_OPEN_READ_UNLOCKED, -1);
    disturb("c/1", 7, change_chunks);
    assert_int_equal(read_all(a), AZR_OK);
    assert_int_equal(g_changes, 7);
    azr_array_close(a);
    a = open_with(0, -1); /* with locks, after four of them */
    disturb("c/1", 1000, change_chunks);
    assert_int_equal(read_all(a), AZR_OK);
    assert_int_equal(g_changes, 4 + 1); /* the last one found it locked */
    end(a);
}

static void test_reading_that_is_canceled(void **state)
{
    azr_array *a;

    (void)state;
    OK(azr_cancel_new(&g_cancel));
    begin(3);
    a = open_with(AZR_OPEN_READ_UNLOCKED, -1);
    disturb("c/1", 1000, change_and_cancel);
    assert_busy(read_all(a), AZR_ECANCELED,
                "canceled; reading was disturbed by writers");
    end(a);
}

/* --------------------------------------------------------------- snapshots --- */

static void test_snapshots(void **state)
{
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_snapshot *s = NULL;
    azr_array *a;

    (void)state;
    begin(3);
    a = open_with(AZR_OPEN_READ_UNLOCKED, -1);
    o.timeout_ms = 0;
    o.flags = AZR_SNAPSHOT_COPY;
    disturb("c/1", 1000, change_chunks);
    assert_busy(azr_snapshot_take(&s, &a, 1, &o, &err), AZR_EBUSY,
                "time-out; taking it was disturbed by writers");
    assert_null(s);
    o.timeout_ms = -1;
    disturb("c/1", 6, change_chunks);
    OK(azr_snapshot_take(&s, &a, 1, &o, &err));
    assert_in_range(g_changes, 5, 6);
    disturb("c/1", 0, change_chunks);
    assert_int_equal(read_all(azr_snapshot_array(s, 0)), AZR_OK);
    azr_snapshot_close(s);
    azr_array_close(a);
    a = open_with(0, -1); /* with locks */
    disturb("c/1", 1000, change_chunks);
    OK(azr_snapshot_take(&s, &a, 1, &o, &err));
    assert_in_range(g_changes, 4, 20);
    disturb("c/1", 0, change_chunks);
    assert_int_equal(read_all(azr_snapshot_array(s, 0)), AZR_OK);
    azr_snapshot_close(s);
    end(a);
}

/* By links: a chunk that was replaced is linked anew, and takes the place of the
 * first one in the end. */
static int disturbing_linkat(int from_dir, const char *from, int to_dir,
                             const char *to, int flags)
{
    if (g_times > 0 && strcmp(from, g_path) == 0) {
        int left = g_times - 1;

        g_times = 0;
        g_change();
        g_times = left;
        g_changes++;
    }
    return azri_sys_posix.linkat(from_dir, from, to_dir, to, flags);
}

static void disturb_links(const char *path, int times, void (*change)(void))
{
    disturb(path, times, change);
    g_sys.openat = azri_sys_posix.openat;
    g_sys.linkat = disturbing_linkat;
}

/* The first and the last chunk; the others stay. */
static void change_two_chunks(void)
{
    azr_selection s = AZR_BOX_STEP(1, {0}, {2}, {LENGTH - 1});
    const int32_t v[2] = {200 + g_changes, 200 + g_changes};
    azr_error why = AZR_ERROR_INIT;
    int rc = azr_array_write(g_writer, &s, v, sizeof v, &why);

    if (rc < 0 && rc != AZR_EBUSY)
        fail_msg("%s", why.message);
}

/* One goes, or comes back. */
static void remove_a_chunk(void)
{
    azr_selection last = AZR_BOX(1, {LENGTH - 4}, {4});
    azr_error why = AZR_ERROR_INIT;
    int32_t value = g_changes % 2 ? 300 + g_changes : 0;
    int rc = azr_array_fill(g_writer, &last, &value, sizeof value, &why);

    if (rc < 0 && rc != AZR_EBUSY)
        fail_msg("%s", why.message);
}

static void read_ends(azr_array *a, int32_t *first, int32_t *last)
{
    azr_selection s = AZR_BOX_STEP(1, {0}, {2}, {LENGTH - 1});
    int32_t v[2] = {-1, -1};

    OK(azr_array_read(a, &s, v, sizeof v, &err));
    *first = v[0];
    *last = v[1];
}

static void take_disturbed(int times, bool locks)
{
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_array *a = open_with(locks ? 0 : AZR_OPEN_READ_UNLOCKED, -1);
    azr_snapshot *s = NULL;
    int32_t first, last, now_first, now_last;

    o.timeout_ms = -1;
    disturb_links("c/0", times, change_two_chunks);
    OK(azr_snapshot_take(&s, &a, 1, &o, &err));
    assert_in_range(g_changes, 1, times);
    disturb_links("c/0", 0, change_two_chunks);
    read_ends(azr_snapshot_array(s, 0), &first, &last);
    read_ends(a, &now_first, &now_last);
    assert_int_equal(first, last); /* of one write */
    assert_int_equal(first, now_first);
    assert_int_equal(last, now_last);
    azr_snapshot_close(s);
    azr_array_close(a);
}

static void test_snapshots_by_links(void **state)
{
    (void)state;
    begin(3);
    take_disturbed(1, false);
    take_disturbed(3, false);
    take_disturbed(1000, true); /* in the end they are locked */
    end(NULL);
}

static void test_chunks_that_come_and_go(void **state)
{
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_snapshot *s = NULL;
    int32_t first, last;

    (void)state;
    begin(3);
    for (int times = 1; times < 5; times++) {
        azr_array *a = open_with(0, -1);

        disturb_links("c/1", 0, remove_a_chunk);
        change_chunks();
        disturb_links("c/1", times, remove_a_chunk);
        OK(azr_snapshot_take(&s, &a, 1, &o, &err));
        assert_in_range(g_changes, 1, times);
        disturb_links("c/1", 0, remove_a_chunk);
        read_ends(a, &first, &last);
        assert_true(last == 0 || last >= 300);
        read_ends(azr_snapshot_array(s, 0), &first, &first);
        assert_int_equal(first, last);
        azr_snapshot_close(s);
        azr_array_close(a);
    }
    end(NULL);
}

/* One value in both arrays, at once. */
static azr_array *g_second;

static void change_both(void)
{
    azr_selection all = azr_select_all(1);
    const int32_t value = 400 + g_changes;
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    azr_error why = AZR_ERROR_INIT;
    azr_txn *t = NULL;
    int rc;

    o.timeout_ms = 0;
    rc = azr_txn_begin(&t, &o, &why);
    if (rc == AZR_OK)
        rc = azr_txn_fill(t, g_writer, &all, &value, sizeof value, &why);
    if (rc == AZR_OK)
        rc = azr_txn_fill(t, g_second, &all, &value, sizeof value, &why);
    if (rc == AZR_OK)
        rc = azr_txn_commit(t, &why);
    azr_txn_free(t);
    if (rc < 0 && rc != AZR_EBUSY)
        fail_msg("%s", why.message);
}

/* Whatever is committed to both of them meanwhile: they are of one instant. */
static void test_snapshots_of_two(void **state)
{
    azr_array_spec spec = small_line(3, LENGTH);
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_array *both[2] = {NULL, NULL};
    int32_t first, last, other;
    azr_snapshot *s = NULL;

    (void)state;
    begin(3);
    OK(azr_array_create(&both[1], small_path(g_dir, "b"), &spec, NULL, &err));
    g_second = both[1];
    both[0] = open_with(0, -1);
    for (int times = 1; times <= 1000; times *= 10) {
        disturb_links("c/0", 0, change_both);
        change_both(); /* there are chunks in both */
        disturb_links("c/0", times, change_both);
        OK(azr_snapshot_take(&s, both, 2, &o, &err));
        assert_in_range(g_changes, 1, times);
        disturb_links("c/0", 0, change_both);
        read_ends(azr_snapshot_array(s, 0), &first, &last);
        assert_int_equal(first, last);
        read_ends(azr_snapshot_array(s, 1), &other, &last);
        assert_int_equal(other, first);
        assert_int_equal(last, first);
        azr_snapshot_close(s);
    }
    azr_array_close(both[1]);
    end(both[0]);
}

/* A link that leads to a chunk is what it leads to. */
static void test_chunks_that_are_links(void **state)
{
    azr_snapshot *s = NULL;
    azr_array *a;

    (void)state;
    begin(3);
    a = open_with(0, -1);
    assert_int_equal(
        rename(small_path(g_dir, "a/c/1"), small_path(g_dir, "elsewhere")), 0);
    assert_int_equal(symlink("../../elsewhere", small_path(g_dir, "a/c/1")), 0);
    OK(azr_snapshot_take(&s, &a, 1, NULL, &err));
    assert_int_equal(read_all(azr_snapshot_array(s, 0)), AZR_OK);
    azr_snapshot_close(s);
    end(a);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_opening),
        TEST(test_attributes),
        TEST(test_attributes_of_format_2),
        TEST(test_attributes_in_a_transaction),
        TEST(test_reading),
        TEST(test_reading_that_is_canceled),
        TEST(test_snapshots),
        TEST(test_snapshots_by_links),
        TEST(test_chunks_that_come_and_go),
        TEST(test_snapshots_of_two),
        TEST(test_chunks_that_are_links),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
