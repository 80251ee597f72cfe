/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused, with its code and in which words: names, places, handles and
 * documents that a call cannot work with. Nothing has changed then. */
#include "small.h"

#include "model/jsontext.h"
#include "os/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LENGTH 12 /* in chunks of 4 */

static azr_error err;
static struct azri_sys g_sys;

SMALL_FIXTURE("refusals")

static const char *at(const char *name)
{
    return small_path(g_dir, name);
}

static azr_array *make(const char *name)
{
    azr_array_spec spec = small_line(3, LENGTH);
    azr_array *a = NULL;

    spec.codecs = "none";
    OK(azr_array_create(&a, at(name), &spec, NULL, &err));
    return a;
}

static azr_array *make_full(const char *name, int32_t value)
{
    azr_selection all = azr_select_all(1);
    azr_array *a = make(name);

    OK(azr_array_fill(a, &all, &value, sizeof value, &err));
    return a;
}

static azr_group *make_group(const char *name)
{
    azr_group *g = NULL;

    OK(azr_group_create(&g, at(name), NULL, NULL, &err));
    return g;
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
    return faccessat(AT_FDCWD, at(name), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int32_t first_of(azr_array *a)
{
    azr_selection one = AZR_BOX(1, {0}, {1});
    int32_t v = -1;

    OK(azr_array_read(a, &one, &v, sizeof v, &err));
    return v;
}

/* ---------------------------------------------------------------- handles --- */

static void test_handles_for_reading(void **state)
{
    static const int64_t longer[1] = {16};
    azr_selection all = azr_select_all(1);
    const int32_t v[LENGTH] = {0};
    azr_array *a = NULL;
    const char *need = "was opened for reading; open it with AZR_OPEN_WRITE";

    (void)state;
    azr_array_close(make_full("a", 5));
    OK(azr_array_open(&a, at("a"), NULL, &err));
    TELLS(azr_array_write(a, &all, v, sizeof v, &err), AZR_EPERM, need);
    TELLS(azr_array_fill(a, &all, v, 4, &err), AZR_EPERM, need);
    TELLS(azr_array_resize(a, 1, longer, &err), AZR_EPERM, need);
    TELLS(azr_array_append(a, 0, 1, v, 4, NULL, &err), AZR_EPERM, need);
    TELLS(azr_array_attribute_set(a, "x", "1", &err), AZR_EPERM, need);
    TELLS(azr_array_set_durability(a, AZR_DURABILITY_POWER, &err), AZR_EPERM,
          need);
    TELLS(azr_array_recover(a, NULL, &err), AZR_EPERM, need);
    assert_int_equal(first_of(a), 5);
    azr_array_close(a);
}

static void test_handles_without_transactions(void **state)
{
    static const int64_t longer[1] = {16};
    azr_array_spec spec = small_line(3, LENGTH);
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_selection all = azr_select_all(1);
    int32_t v[LENGTH] = {0};
    azr_array *a = NULL, *n = NULL;
    azr_snapshot *s = NULL;
    azr_txn *t = NULL;

    (void)state;
    azr_array_close(make("a"));
    o.flags = AZR_OPEN_WRITE;
    o.sync = AZR_SYNC_CHUNK;
    OK(azr_array_open(&a, at("a"), &o, &err));
    OK(azr_txn_begin(&t, NULL, &err));
    TELLS(azr_array_attribute_set(a, "x", "1", &err), AZR_EUNSUPPORTED,
          "attributes need a handle with AZR_SYNC_FULL");
    TELLS(azr_array_resize(a, 1, longer, &err), AZR_EUNSUPPORTED,
          "resize needs a handle with AZR_SYNC_FULL");
    TELLS(azr_array_append(a, 0, 1, v, 4, NULL, &err), AZR_EUNSUPPORTED,
          "append needs a handle with AZR_SYNC_FULL");
    TELLS(azr_txn_read(t, a, &all, v, sizeof v, &err), AZR_EUNSUPPORTED,
          "transactions need a handle with AZR_SYNC_FULL");
    TELLS(azr_txn_write(t, a, &all, v, sizeof v, &err), AZR_EUNSUPPORTED,
          "transactions need a handle with AZR_SYNC_FULL");
    TELLS(azr_txn_create_array(t, &n, at("n"), &spec, &o, &err),
          AZR_EUNSUPPORTED, "transactions need a handle with AZR_SYNC_FULL");
    TELLS(azr_snapshot_take(&s, &a, 1, NULL, &err), AZR_EUNSUPPORTED,
          "a snapshot needs a handle with AZR_SYNC_FULL");
    azr_txn_free(t);
    azr_array_close(a);
    assert_false(exists("n"));
}

static void test_snapshots_of_what(void **state)
{
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_array *a = make("a"), *twice[2], *taken;
    azr_snapshot *s = NULL, *other = NULL;

    (void)state;
    twice[0] = twice[1] = a;
    TELLS(azr_snapshot_take(&s, twice, 2, NULL, &err), AZR_EINVAL,
          "are one array; give it once");
    OK(azr_snapshot_take(&s, &a, 1, NULL, &err));
    taken = azr_snapshot_array(s, 0);
    assert_null(azr_snapshot_array(s, 1));
    assert_null(azr_snapshot_path(s, 1));
    TELLS(azr_snapshot_take(&other, &taken, 1, NULL, &err), AZR_EINVAL,
          "is an array of a snapshot already");
    o.directory = at("none");
    TELLS(azr_snapshot_take(&other, &a, 1, &o, &err), AZR_ENOTFOUND,
          "none': no such directory");
    assert_null(other);
    azr_snapshot_close(s);
    azr_array_close(a);
}

/* ------------------------------------------------------------ transactions --- */

static void test_ended_transactions(void **state)
{
    azr_selection all = azr_select_all(1);
    int32_t v[LENGTH] = {0};
    azr_array *a = make("a");
    azr_txn *t = NULL;

    (void)state;
    OK(azr_txn_begin(&t, NULL, &err));
    OK(azr_txn_read(t, a, &all, v, sizeof v, &err));
    OK(azr_txn_commit(t, &err));
    TELLS(azr_txn_read(t, a, &all, v, sizeof v, &err), AZR_EINVAL,
          "the transaction has ended; begin another");
    TELLS(azr_txn_write(t, a, &all, v, sizeof v, &err), AZR_EINVAL,
          "the transaction has ended; begin another");
    TELLS(azr_txn_commit(t, &err), AZR_EINVAL, "the transaction has ended");
    azr_txn_free(t);
    azr_array_close(a);
}

static void test_transactions_of_another_process(void **state)
{
    azr_selection all = azr_select_all(1);
    int32_t v[LENGTH] = {0};
    azr_array *a = make("a");
    azr_txn *t = NULL;
    int status = -1;
    pid_t pid;

    (void)state;
    OK(azr_txn_begin(&t, NULL, &err));
    pid = fork();
    if (pid == 0) {
        int rc = azr_txn_read(t, a, &all, v, sizeof v, &err);

        _exit(rc == AZR_EINVAL &&
                      strstr(err.message, "this transaction belongs to process")
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    azr_txn_free(t);
    azr_array_close(a);
}

static void test_one_array_twice(void **state)
{
    azr_append_part p[2] = {AZR_APPEND_PART_INIT, AZR_APPEND_PART_INIT};
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_selection all = azr_select_all(1);
    int32_t v[LENGTH] = {0};
    azr_array *a = make("a"), *b = NULL;
    azr_txn *t = NULL;

    (void)state;
    o.flags = AZR_OPEN_WRITE;
    OK(azr_array_open(&b, at("a"), &o, &err));
    OK(azr_txn_begin(&t, NULL, &err));
    OK(azr_txn_read(t, a, &all, v, sizeof v, &err));
    TELLS(azr_txn_write(t, b, &all, v, sizeof v, &err), AZR_EINVAL,
          "are two handles of one array");
    azr_txn_free(t);
    p[0].array = a;
    p[1].array = b;
    TELLS(azr_append_all(p, 2, NULL, &err), AZR_EINVAL, "is named twice");
    azr_array_close(b);
    azr_array_close(a);
}

/* Of that size no chunk is handled; grids of them can be made and looked at. */
static void test_chunks_that_are_too_large(void **state)
{
    azr_array_spec spec = small_line(3, LENGTH);
    azr_selection some = AZR_BOX(1, {0}, {2}), all = azr_select_all(1);
    azr_array *a = NULL;
    azr_txn *t = NULL;
    int32_t v[2] = {7, 7};

    (void)state;
    spec.chunks[0] = INT64_C(1) << 30;
    OK(azr_array_create(&a, at("a"), &spec, NULL, &err));
    OK(azr_array_read(a, &some, v, sizeof v, &err)); /* there are none */
    assert_int_equal(v[0], 0);
    TELLS(azr_array_write(a, &some, v, sizeof v, &err), AZR_EUNSUPPORTED,
          "chunks of 4294967296 bytes are larger than 2147483648");
    assert_int_equal(err.sub, AZR_SUB_CHUNK);
    TELLS(azr_array_fill(a, &all, v, sizeof v[0], &err), AZR_EUNSUPPORTED,
          "chunks of 4294967296 bytes are larger than 2147483648");
    OK(azr_txn_begin(&t, NULL, &err));
    TELLS(azr_txn_write(t, a, &some, v, sizeof v, &err), AZR_EUNSUPPORTED,
          "chunks of 4294967296 bytes are larger than 2147483648");
    azr_txn_free(t);
    azr_array_close(a);
}

/* ----------------------------------------------------------- callers' functions */

static int answer(void *values, size_t nbytes, void *arg)
{
    memset(values, 9, nbytes);
    return *(int *)arg;
}

static void test_updates_that_are_given_up(void **state)
{
    azr_selection all = azr_select_all(1);
    const int64_t other[1] = {LENGTH + 1};
    azr_array *a = make_full("a", 5);
    int code = 7;

    (void)state;
    TELLS(azr_array_update(a, &all, answer, &code, &err), AZR_EINVAL,
          "given up by the caller's function (7)");
    code = AZR_EPERM;
    TELLS(azr_array_update(a, &all, answer, &code, &err), AZR_EPERM,
          "given up by the caller's function (-10)");
    code = 0;
    TELLS(azr_array_update_shape(a, &all, other, answer, &code, &err),
          AZR_EINVAL, "has length 12 in dimension 0, not 13, for which");
    assert_int_equal(err.sub, AZR_SUB_RANGE);
    assert_int_equal(first_of(a), 5);
    azr_array_close(a);
}

static int stop_at(uint64_t done, uint64_t total, void *arg)
{
    (void)total;
    return done >= *(uint64_t *)arg;
}

static void test_progress_that_stops(void **state)
{
    azr_share_options o = AZR_SHARE_OPTIONS_INIT;
    azr_selection all = azr_select_all(1);
    int32_t v[LENGTH] = {0};
    azr_array *a = make_full("a", 5), *b = NULL;
    uint64_t most = 2;

    (void)state;
    o.progress = stop_at;
    o.arg = &most;
    OK(azr_array_share(&b, a, &o, &err));
    TELLS(azr_array_write(b, &all, v, sizeof v, &err), AZR_ECANCELED,
          "ended by the progress function after 2 of 3 chunks");
    assert_int_equal(first_of(a), 5);
    TELLS(azr_array_read(b, &all, v, sizeof v, &err), AZR_ECANCELED,
          "ended by the progress function after 2 of 3 chunks");
    azr_array_close(b);
    azr_array_close(a);
}

static int count_findings(const azr_finding *f, void *arg)
{
    int *left = arg;

    (void)f;
    return --*left == 0;
}

static int stop_after_one(uint64_t done, uint64_t total, void *arg)
{
    (void)arg;
    return done == 1 && total == 3;
}

static void test_verifying_that_stops(void **state)
{
    azr_array *a = make_full("a", 5);
    int left = 100;

    (void)state;
    TELLS(azr_array_verify(a, count_findings, stop_after_one, &left, &err),
          AZR_ECANCELED, "stopped by the caller");
    assert_int_equal(left, 100);
    put("a/stray", "");
    put("a/c/1", "short"); /* was 16 bytes */
    OK(azr_array_verify(a, count_findings, NULL, &left, &err));
    assert_int_equal(left, 98);
    left = 1; /* the first is enough */
    OK(azr_array_verify(a, count_findings, NULL, &left, &err));
    assert_int_equal(left, 0);
    azr_array_close(a);
}

static void test_strides_of_nothing(void **state)
{
    azr_selection all = azr_select_all(1);
    azr_memory m = {.struct_size = sizeof m, .rank = 1};
    azr_array *a = make("a");
    int32_t v = 5;

    (void)state;
    m.data = &v;
    m.nbytes = sizeof v;
    TELLS(azr_array_read_into(a, &all, &m, &err), AZR_EINVAL,
          "a destination with stride 0 in dimension 0");
    assert_int_equal(v, 5);
    OK(azr_array_write_from(a, &all, &m, &err)); /* a source may */
    assert_int_equal(first_of(a), 5);
    azr_array_close(a);
}

/* ---------------------------------------------------------------- documents --- */

static void test_dimensions_that_there_are_not(void **state)
{
    azr_array *a = make("a");
    char *name = NULL;

    (void)state;
    TELLS(azr_array_dimension_name(a, -1, &name, &err), AZR_EINVAL,
          "there is no dimension -1 of 1");
    TELLS(azr_array_dimension_name(a, 1, &name, &err), AZR_EINVAL,
          "there is no dimension 1 of 1");
    assert_int_equal(err.sub, AZR_SUB_RANK);
    OK(azr_array_dimension_name(a, 0, &name, &err));
    assert_null(name);
    azr_array_close(a);
}

/* Nobody reads what is that long; the files have no blocks. */
static void test_documents_that_are_too_large(void **state)
{
    azr_array_spec spec = small_line(2, LENGTH);
    azr_array *a = NULL, *b = NULL;
    azr_group *g = make_group("g");
    char *text = NULL;

    (void)state;
    OK(azr_array_create(&a, at("a"), &spec, NULL, &err));
    put("a/.zattrs", "");
    assert_int_equal(truncate(at("a/.zattrs"), AZRI_JSON_MAX_NBYTES + 1), 0);
    TELLS(azr_array_attributes(a, &text, &err), AZR_ECORRUPT,
          "'.zattrs' has 67108865 bytes, at most 67108864 are read");
    TELLS(azr_array_attribute_set(a, "x", "1", &err), AZR_ECORRUPT,
          "'.zattrs' has 67108865 bytes, at most 67108864 are read");
    assert_int_equal(truncate(at("a/.zarray"), AZRI_JSON_MAX_NBYTES + 1), 0);
    TELLS(azr_array_open(&b, at("a"), NULL, &err), AZR_ECORRUPT,
          "'.zarray' has 67108865 bytes, at most 67108864 are read");
    assert_int_equal(err.sub, AZR_SUB_METADATA);
    assert_int_equal(truncate(at("g/zarr.json"), AZRI_JSON_MAX_NBYTES + 1), 0);
    TELLS(azr_group_attributes(g, &text, &err), AZR_ECORRUPT,
          "'zarr.json' has 67108865 bytes, more than 67108864");
    TELLS(azr_node_document(&text, at("g"), "zarr.json", &err), AZR_ECORRUPT,
          "'zarr.json' has 67108865 bytes, more than 67108864");
    azr_group_close(g);
    azr_array_close(a);
}

static void test_documents_of_both_formats(void **state)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_array *a = make("a");
    char *text = NULL;

    (void)state;
    azr_array_close(a);
    put("a/.zarray", "{}");
    o.flags = AZR_OPEN_WRITE;
    TELLS(azr_array_open(&a, at("a"), &o, &err), AZR_EUNSUPPORTED,
          "has zarr.json and .zarray; remove one before writing");
    OK(azr_array_open(&a, at("a"), NULL, &err)); /* version 3 is used */
    azr_array_close(a);
    o.flags |= AZR_OPEN_INSIST;
    OK(azr_array_open(&a, at("a"), &o, &err));
    azr_array_close(a);
    TELLS(azr_node_document(&text, at("a"), ".zarray", &err), AZR_ENOTFOUND,
          "has no '.zarray'");
}

static void test_what_stands_there(void **state)
{
    azr_group_spec two = AZR_GROUP_SPEC_INIT;
    azr_group *g = NULL;
    azr_array *a = NULL;
    char *text = NULL;
    int kind = 0;

    (void)state;
    two.zarr_format = 2;
    OK(azr_group_create(&g, at("g"), &two, NULL, &err));
    azr_group_close(g);
    azr_array_close(make("a"));
    assert_int_equal(mkdir(at("d"), 0755), 0);
    TELLS(azr_array_open(&a, at("g"), NULL, &err), AZR_ENOTFOUND,
          "is a group, not an array");
    TELLS(azr_array_open(&a, at("d"), NULL, &err), AZR_ENOTFOUND,
          "no Zarr array at");
    TELLS(azr_array_open(&a, at("none"), NULL, &err), AZR_ENOTFOUND,
          "no such directory");
    TELLS(azr_group_open(&g, at("a"), NULL, &err), AZR_ENOTFOUND,
          "is an array, not a group");
    TELLS(azr_group_open(&g, at("d"), NULL, &err), AZR_ENOTFOUND,
          "no zarr.json, no .zgroup");
    TELLS(azr_group_open(&g, at("none"), NULL, &err), AZR_ENOTFOUND,
          "no such directory");
    TELLS(azr_node_at(&kind, NULL, at("none"), &err), AZR_ENOTFOUND,
          "no such directory");
    TELLS(azr_node_document(&text, at("none"), ".zgroup", &err), AZR_ENOTFOUND,
          "no such directory");
    TELLS(azr_node_document(&text, at("g"), ".zarray", &err), AZR_ENOTFOUND,
          "has no '.zarray'");
    TELLS(azr_node_document(&text, at("d"), ".zattrs", &err), AZR_ENOTFOUND,
          "has no '.zattrs'");
}

static void test_creating_where_something_is(void **state)
{
    azr_array_spec spec = small_line(3, LENGTH);
    azr_array *a = NULL;
    azr_group *g = NULL;
    azr_txn *t = NULL;

    (void)state;
    azr_array_close(make_full("a", 5));
    TELLS(azr_array_create(&a, at("a"), &spec, NULL, &err), AZR_EEXISTS, "a'");
    TELLS(azr_group_create(&g, at("a"), NULL, NULL, &err), AZR_EEXISTS, "a'");
    OK(azr_txn_begin(&t, NULL, &err));
    TELLS(azr_txn_create_array(t, &a, at("a"), &spec, NULL, &err), AZR_EEXISTS,
          "a'");
    assert_int_equal(unlink(at("a/zarr.json")), 0);
    TELLS(azr_array_create(&a, at("a"), &spec, NULL, &err), AZR_EEXISTS,
          ", a chunk without metadata; remove it first");
    TELLS(azr_txn_create_array(t, &a, at("a"), &spec, NULL, &err), AZR_EEXISTS,
          ", a chunk without metadata; remove it first");
    azr_txn_free(t);
    put("file", "");
    TELLS(azr_array_create(&a, at("file"), &spec, NULL, &err), AZR_EIO,
          "file'");
    assert_int_equal(err.sys_errno, ENOTDIR);
    TELLS(azr_group_create(&g, at("file"), NULL, NULL, &err), AZR_EIO, "file'");
    assert_int_equal(err.sys_errno, ENOTDIR);
    TELLS(azr_group_create(&g, at("none/g"), NULL, NULL, &err), AZR_EIO,
          "mkdir '");
    assert_int_equal(err.sys_errno, ENOENT);
    assert_null(a);
    assert_null(g);
}

/* ------------------------------------------------------------------ groups --- */

static int no_finding(const azr_finding *f, void *arg)
{
    (void)f;
    (void)arg;
    return 0;
}

static void test_groups_that_cannot_be_changed(void **state)
{
    azr_array_spec spec = small_line(3, LENGTH);
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_array *a = NULL;
    azr_group *g;

    (void)state;
    azr_group_close(make_group("g"));
    assert_int_equal(mkdir(at("d"), 0755), 0);
    OK(azr_group_open(&g, at("g"), NULL, &err));
    TELLS(azr_group_attribute_set(g, "x", "1", &err), AZR_EPERM,
          "was opened for reading");
    TELLS(azr_group_attributes_replace(g, "{}", &err), AZR_EPERM,
          "was opened for reading");
    TELLS(azr_group_attributes_change(g, 0, NULL, NULL, &err), AZR_EPERM,
          "was opened for reading");
    TELLS(azr_group_consolidate(g, &err), AZR_EPERM, "was opened for reading");
    TELLS(azr_group_create_array(&a, g, "x", &spec, NULL, &err), AZR_EPERM,
          "was opened for reading");
    TELLS(azr_group_check_consolidated(g, no_finding, NULL, &err),
          AZR_ENOTFOUND, "has no consolidated metadata");
    azr_group_close(g);
    o.flags = AZR_OPEN_WRITE | AZR_OPEN_IMPLIED;
    OK(azr_group_open(&g, at("d"), &o, &err));
    TELLS(azr_group_attribute_set(g, "x", "1", &err), AZR_ENOTFOUND,
          "is a directory without a document; create a group there first");
    azr_group_close(g);
    assert_false(exists("g/x"));
}

static void test_attributes_that_are_none(void **state)
{
    const char *const names[] = {"x", "y"}, *const values[] = {"1", "nonsense"};
    azr_group *g = make_group("g");
    char *text = NULL;

    (void)state;
    TELLS(azr_group_attributes_replace(g, "[1]", &err), AZR_EINVAL,
          "need an object");
    TELLS(azr_group_attributes_replace(g, "{", &err), AZR_EINVAL, "attributes");
    TELLS(azr_group_attribute_set(g, "x", "01", &err), AZR_EINVAL,
          "attribute value");
    TELLS(azr_group_attribute_set(g, "\xff", "1", &err), AZR_EINVAL, "UTF-8");
    TELLS(azr_group_attributes_change(g, 2, names, values, &err), AZR_EINVAL,
          "attribute value");
    OK(azr_group_attributes(g, &text, &err));
    assert_string_equal(text, "{}"); /* all or none */
    azr_free(text);
    azr_group_close(g);
}

static void test_below_an_array(void **state)
{
    azr_array_spec spec = small_line(3, LENGTH);
    azr_group *g = make_group("g"), *made = NULL;
    azr_array *a = NULL;

    (void)state;
    azr_array_close(make("g/a"));
    TELLS(azr_group_create_array(&a, g, "a/b", &spec, NULL, &err), AZR_EINVAL,
          "it is an array, and nothing stands below one");
    TELLS(azr_group_create_group(&made, g, "a/b", NULL, NULL, &err), AZR_EINVAL,
          "it is an array, and nothing stands below one");
    TELLS(azr_group_open_array(&a, g, "none", NULL, &err), AZR_ENOTFOUND,
          "no such directory");
    azr_group_close(g);
    assert_false(exists("g/a/b"));
}

static uint64_t g_magic = 0x65735546; /* FUSE */

static int other_statfs(int fd, struct statfs *st)
{
    (void)fd;
    memset(st, 0, sizeof *st);
    memcpy(&st->f_type, &g_magic, sizeof st->f_type);
    return 0;
}

static void test_file_systems_without_locks(void **state)
{
    azr_tree_options force = AZR_TREE_OPTIONS_INIT;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_array_spec spec = small_line(3, LENGTH);
    azr_group *g = make_group("g");
    azr_array *a = NULL;

    (void)state;
    azr_group_close(g);
    azr_array_close(make("a"));
    g_sys = azri_sys_posix;
    g_sys.fstatfs = other_statfs;
    azri_sys = &g_sys;
    o.flags = AZR_OPEN_WRITE;
    TELLS(azr_group_open(&g, at("g"), &o, &err), AZR_EUNSUPPORTED,
          "is on fuse: its locks are not known to hold, writing is refused");
    assert_int_equal(err.sub, AZR_SUB_FILESYSTEM);
    TELLS(azr_group_create(&g, at("h"), NULL, NULL, &err), AZR_EUNSUPPORTED,
          "is on fuse");
    TELLS(azr_array_open(&a, at("a"), &o, &err), AZR_EUNSUPPORTED, "fuse");
    TELLS(azr_array_create(&a, at("b"), &spec, NULL, &err), AZR_EUNSUPPORTED,
          "fuse");
    TELLS(azr_remove(at("g"), NULL, &err), AZR_EUNSUPPORTED, "fuse");
    OK(azr_group_open(&g, at("g"), NULL, &err)); /* reading needs none */
    azr_group_close(g);
    o.flags |= AZR_OPEN_INSIST;
    OK(azr_group_open(&g, at("g"), &o, &err));
    azr_group_close(g);
    force.flags = AZR_TREE_INSIST;
    OK(azr_remove(at("g"), &force, &err));
}

/* ------------------------------------------------------------- whole nodes --- */

static void test_nodes_that_are_none(void **state)
{
    azr_tree_options o = AZR_TREE_OPTIONS_INIT;

    (void)state;
    assert_int_equal(mkdir(at("d"), 0755), 0);
    put("file", "");
    azr_array_close(make("a"));
    assert_int_equal(symlink("a", at("link")), 0);
    TELLS(azr_remove(at("none"), NULL, &err), AZR_ENOTFOUND,
          "no Zarr array or group at");
    TELLS(azr_remove(at("none/x"), NULL, &err), AZR_ENOTFOUND,
          "no such directory");
    TELLS(azr_remove(at("file"), NULL, &err), AZR_EINVAL,
          "is not a directory, not a node");
    TELLS(azr_remove(at("link"), NULL, &err), AZR_EINVAL,
          "is a symbolic link, not a node");
    TELLS(azr_remove(at("d"), NULL, &err), AZR_EINVAL,
          "is no Zarr array or group: a directory without a document");
    TELLS(azr_remove(at("."), NULL, &err), AZR_EINVAL, "");
    TELLS(azr_remove("", NULL, &err), AZR_EINVAL, "");
    TELLS(azr_collect(at("none"), NULL, NULL, &err), AZR_ENOTFOUND,
          "no such directory");
    put("a/zarr.json", "{");
    TELLS(azr_remove(at("a"), NULL, &err), AZR_EINVAL,
          "its document cannot be read");
    assert_true(exists("a/.azr"));
    o.flags = AZR_TREE_FORCE;
    OK(azr_remove(at("a"), &o, &err));
    OK(azr_remove(at("d"), &o, &err));
    assert_false(exists("a"));
    assert_false(exists("d"));
}

static void test_groups_that_hold_something(void **state)
{
    azr_group *g = make_group("g");

    (void)state;
    azr_group_close(make_group("g/h"));
    azr_group_close(g);
    TELLS(azr_remove(at("g"), NULL, &err), AZR_EINVAL,
          "is a group with something below it");
    OK(azr_remove(at("g/h"), NULL, &err));
    OK(azr_remove(at("g"), NULL, &err));
}

static void test_moves(void **state)
{
    (void)state;
    azr_array_close(make("a"));
    azr_group_close(make_group("g"));
    TELLS(azr_move(at("none"), at("b"), NULL, &err), AZR_ENOTFOUND,
          "no Zarr array or group at");
    TELLS(azr_move(at("a"), at("none/b"), NULL, &err), AZR_ENOTFOUND,
          "no such directory");
    TELLS(azr_move(at("a"), at("g"), NULL, &err), AZR_EEXISTS, "exists");
    TELLS(azr_move(at("g"), at("a/g"), NULL, &err), AZR_EINVAL,
          "is an array, and nothing stands below one");
    TELLS(azr_move(at("g"), at("g/h"), NULL, &err), AZR_EINVAL, "below itself");
    assert_true(exists("a/zarr.json"));
    assert_true(exists("g/zarr.json"));
}

static int g_error;

static int refusing_rename(int from_dir, const char *from, int to_dir,
                           const char *to, unsigned flags)
{
    if (strcmp(from, "a") != 0 && strcmp(to, "a") != 0)
        return azri_sys_posix.renameat2(from_dir, from, to_dir, to, flags);
    errno = g_error;
    return -1;
}

static void test_file_systems_that_do_not_rename(void **state)
{
    static const struct {
        int error;
        const char *removing, *moving, *replacing;
    } all[] = {
        {EXDEV, "it is a mount point, or of a lower layer",
         "which is on another file system or layer", "file system"},
        {EINVAL, "no RENAME_NOREPLACE", "no RENAME_NOREPLACE", "file system"},
    };

    (void)state;
    azr_array_close(make("a"));
    azr_array_close(make("b"));
    g_sys = azri_sys_posix;
    g_sys.renameat2 = refusing_rename;
    azri_sys = &g_sys;
    for (size_t i = 0; i < 2; i++) {
        g_error = all[i].error;
        TELLS(azr_remove(at("a"), NULL, &err), AZR_EUNSUPPORTED,
              all[i].removing);
        TELLS(azr_move(at("a"), at("c"), NULL, &err),
              i == 1 ? AZR_EINVAL : AZR_EUNSUPPORTED, all[i].moving);
        TELLS(azr_replace(at("b"), at("a"), NULL, &err), AZR_EUNSUPPORTED,
              all[i].replacing);
        assert_true(exists("a/zarr.json"));
        assert_true(exists("b/zarr.json"));
        assert_false(exists("c"));
    }
}

/* Somebody takes the name of what is to come into place, and it cannot: what was
 * brought for that is not lost. */
static int occupying_rename(int from_dir, const char *from, int to_dir,
                            const char *to, unsigned flags)
{
    if (strcmp(to, "a") != 0)
        return azri_sys_posix.renameat2(from_dir, from, to_dir, to, flags);
    assert_int_equal(mkdir(at("b"), 0755), 0);
    errno = ENOSPC;
    return -1;
}

static void test_what_cannot_be_put_back(void **state)
{
    char kept[300];
    const char *name;
    azr_array *b = NULL;

    (void)state;
    azr_array_close(make_full("a", 1));
    azr_array_close(make_full("b", 2));
    g_sys = azri_sys_posix;
    g_sys.renameat2 = occupying_rename;
    azri_sys = &g_sys;
    TELLS(azr_replace(at("b"), at("a"), NULL, &err), AZR_EIO,
          "b' could not be put back, it stands at '");
    assert_int_equal(err.sys_errno, ENOSPC);
    assert_non_null(strstr(err.message, "No space left on device"));
    name = strstr(err.message, "stands at '");
    assert_non_null(name);
    assert_int_equal(sscanf(name, "stands at '%299[^']'", kept), 1);
    OK(azr_array_open(&b, kept, NULL, &err));
    assert_int_equal(first_of(b), 2);
    azr_array_close(b);
    OK(azr_array_open(&b, at("a"), NULL, &err));
    assert_int_equal(first_of(b), 1);
    azr_array_close(b);
}

/* As if the directory were on another file system. */
static ino_t g_strange;

static int strange_fstat(int fd, struct stat *st)
{
    int rc = azri_sys_posix.fstat(fd, st);

    if (rc == 0 && st->st_ino == g_strange)
        st->st_dev++;
    return rc;
}

static void test_two_file_systems(void **state)
{
    struct stat st;

    (void)state;
    azr_array_close(make("a"));
    assert_int_equal(mkdir(at("other"), 0755), 0);
    assert_int_equal(stat(at("other"), &st), 0);
    g_strange = st.st_ino;
    g_sys = azri_sys_posix;
    g_sys.fstat = strange_fstat;
    azri_sys = &g_sys;
    TELLS(azr_move(at("a"), at("other/a"), NULL, &err), AZR_EUNSUPPORTED,
          "are on different file systems: copy it, and remove the first");
    assert_int_equal(err.sub, AZR_SUB_FILESYSTEM);
    assert_true(exists("a"));
}

/* -------------------------------------------------------------------- copies --- */

static void test_names_of_copies(void **state)
{
    char name[300], path[4200];

    (void)state;
    azr_array_close(make("a"));
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    memset(path, '/', sizeof path - 2);
    path[0] = '.';
    memcpy(path + sizeof path - 2, "b", 2);
    TELLS(azr_copy(at("a"), at("."), NULL, NULL, &err), AZR_EINVAL,
          "it has no name");
    TELLS(azr_copy(at("a"), at(".."), NULL, NULL, &err), AZR_EINVAL,
          "it has no name");
    TELLS(azr_copy(at("a"), "/", NULL, NULL, &err), AZR_EINVAL,
          "it has no name");
    TELLS(azr_copy(at("a"), "", NULL, NULL, &err), AZR_EINVAL,
          "it has no name");
    TELLS(azr_copy(at("a"), at(".azr-x"), NULL, NULL, &err), AZR_EINVAL,
          "the name is kept for other uses");
    TELLS(azr_copy(at("a"), at(name), NULL, NULL, &err), AZR_EINVAL,
          "the name is too long");
    TELLS(azr_copy(at("a"), path, NULL, NULL, &err), AZR_EINVAL,
          "the path is too long");
    TELLS(azr_copy(at("a"), at("a/b"), NULL, NULL, &err), AZR_EINVAL,
          "nothing stands below an array");
    TELLS(azr_copy(at("a"), at("none/b"), NULL, NULL, &err), AZR_ENOTFOUND,
          "no such directory");
    TELLS(azr_copy(at("a"), at("a"), NULL, NULL, &err), AZR_EEXISTS, "exists");
    OK(azr_copy(at("a"), at("b//"), NULL, NULL, &err));
    assert_true(exists("b/zarr.json"));
}

static void test_sources_of_copies(void **state)
{
    (void)state;
    assert_int_equal(mkdir(at("d"), 0755), 0);
    TELLS(azr_copy(at("none"), at("b"), NULL, NULL, &err), AZR_ENOTFOUND,
          "no such directory");
    TELLS(azr_copy(at("d"), at("b"), NULL, NULL, &err), AZR_ENOTFOUND,
          "no Zarr array or group at");
    azr_group_close(make_group("g"));
    assert_int_equal(mkdir(at("g/x"), 0755), 0);
    put("g/x/zarr.json", "{");
    TELLS(azr_copy(at("g"), at("b"), NULL, NULL, &err), AZR_ECORRUPT,
          "g/x': zarr.json");
    assert_false(exists("b"));
}

static int stop_now(uint64_t done, uint64_t total, void *arg)
{
    (void)done;
    (void)total;
    ++*(int *)arg;
    return 1;
}

/* More chunks than are copied between two questions. */
static void test_copies_that_stop(void **state)
{
    azr_copy_options o = AZR_COPY_OPTIONS_INIT;
    azr_snapshot_options so = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_array_spec spec = small_line(3, 1200);
    azr_selection all = azr_select_all(1);
    azr_snapshot *s = NULL;
    azr_array *a = NULL;
    int asked = 0;
    int32_t one = 1;

    (void)state;
    OK(azr_array_create(&a, at("a"), &spec, NULL, &err));
    OK(azr_array_fill(a, &all, &one, sizeof one, &err));
    o.progress = so.progress = stop_now;
    o.arg = so.arg = &asked;
    TELLS(azr_snapshot_take(&s, &a, 1, &so, &err), AZR_ECANCELED,
          "stopped by the caller");
    TELLS(azr_copy(at("a"), at("b"), &o, NULL, &err), AZR_ECANCELED,
          "stopped by the caller");
    assert_in_range(asked, 2, 10);
    so.progress = NULL;
    OK(azr_cancel_new(&so.cancel));
    azr_cancel_request(so.cancel);
    TELLS(azr_snapshot_take(&s, &a, 1, &so, &err), AZR_ECANCELED, "canceled");
    o.progress = NULL;
    o.cancel = so.cancel;
    TELLS(azr_copy(at("a"), at("b"), &o, NULL, &err), AZR_ECANCELED,
          "canceled");
    azr_cancel_free(so.cancel);
    azr_array_close(a);
    assert_null(s);
    assert_false(exists("b"));
}

/* ------------------------------------------------------------------- waiting --- */

static void test_waits(void **state)
{
    azr_share_options o = AZR_SHARE_OPTIONS_INIT;
    azr_array *a = make("a"), *b = NULL;
    uint64_t version = 0, before;

    (void)state;
    o.timeout_ms = 0;
    OK(azr_cancel_new(&o.cancel));
    OK(azr_array_share(&b, a, &o, &err));
    OK(azr_array_wait(b, &version, &err));
    before = version;
    TELLS(azr_array_wait(b, &version, &err), AZR_EBUSY,
          "time-out while waiting for a change");
    azr_cancel_request(o.cancel);
    TELLS(azr_array_wait(b, &version, &err), AZR_ECANCELED,
          "canceled while waiting for a change");
    assert_int_equal(version, before);
    OK(azr_remove(at("a"), NULL, &err));
    TELLS(azr_array_wait(b, &version, &err), AZR_ENOTFOUND, "was removed");
    azr_array_close(b);
    azr_array_close(a);
    azr_cancel_free(o.cancel);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_handles_for_reading),
        TEST(test_handles_without_transactions),
        TEST(test_snapshots_of_what),
        TEST(test_ended_transactions),
        TEST(test_transactions_of_another_process),
        TEST(test_one_array_twice),
        TEST(test_chunks_that_are_too_large),
        TEST(test_updates_that_are_given_up),
        TEST(test_progress_that_stops),
        TEST(test_verifying_that_stops),
        TEST(test_strides_of_nothing),
        TEST(test_dimensions_that_there_are_not),
        TEST(test_documents_that_are_too_large),
        TEST(test_documents_of_both_formats),
        TEST(test_what_stands_there),
        TEST(test_creating_where_something_is),
        TEST(test_groups_that_cannot_be_changed),
        TEST(test_attributes_that_are_none),
        TEST(test_below_an_array),
        TEST(test_file_systems_without_locks),
        TEST(test_nodes_that_are_none),
        TEST(test_groups_that_hold_something),
        TEST(test_moves),
        TEST(test_file_systems_that_do_not_rename),
        TEST(test_what_cannot_be_put_back),
        TEST(test_two_file_systems),
        TEST(test_names_of_copies),
        TEST(test_sources_of_copies),
        TEST(test_copies_that_stop),
        TEST(test_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
