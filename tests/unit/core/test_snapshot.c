/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots: what they hold, what they cost in space, when they go. */
#include "small.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LENGTH 40 /* ten chunks of four */

static char g_dir[64];

static int begin(void **state)
{
    (void)state;
    small_dir(g_dir, "snapshot");
    return 0;
}

static int end(void **state)
{
    (void)state;
    small_dir_remove(g_dir);
    return 0;
}

static void path_of(char out[128], const char *name)
{
    (void)snprintf(out, 128, "%s/%s", g_dir, name);
}

static azr_array *make(const char *name, int format)
{
    azr_array_spec spec = small_line(format, LENGTH);
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    char path[128];

    path_of(path, name);
    spec.codecs = "none";
    spec.attributes = "{\"k\": [1, 2],  \"x\": 1.50}";
    assert_int_equal(azr_array_create(&a, path, &spec, NULL, &err), AZR_OK);
    return a;
}

static void put(azr_array *a, int64_t first, int64_t n, int32_t base)
{
    azr_selection s = AZR_BOX(1, {first}, {n});
    azr_error err = AZR_ERROR_INIT;
    int32_t v[2 * LENGTH];

    for (int64_t i = 0; i < n; i++)
        v[i] = base + (int32_t)(first + i);
    assert_int_equal(azr_array_write(a, &s, v, (size_t)n * 4, &err), AZR_OK);
}

/* Elements are `base` + index; shape is LENGTH. */
static void expect(azr_array *a, int32_t base)
{
    azr_selection all = azr_select_all(1);
    azr_array_info info = {.struct_size = sizeof info};
    azr_error err = AZR_ERROR_INIT;
    int32_t v[2 * LENGTH];

    assert_int_equal(azr_array_info_get(a, &info, &err), AZR_OK);
    assert_int_equal(info.shape[0], LENGTH);
    assert_int_equal(azr_array_read(a, &all, v, sizeof v, &err), AZR_OK);
    for (int i = 0; i < LENGTH; i++)
        assert_int_equal(v[i], base + i);
}

static azr_snapshot *take(azr_array *a)
{
    azr_error err = AZR_ERROR_INIT;
    azr_snapshot *s = NULL;
    int rc = azr_snapshot_take(&s, &a, 1, NULL, &err);

    if (rc < 0)
        print_error("%s\n", err.message);
    assert_int_equal(rc, AZR_OK);
    return s;
}

static int count_one(const azr_snapshot_info *info, void *arg)
{
    azr_snapshot_info *sum = arg;

    sum->alive += info->alive;
    sum->objects += info->objects;
    sum->kept_nbytes += info->kept_nbytes;
    sum->pid = info->pid;
    sum->struct_size++;
    return 0;
}

static azr_snapshot_info survey(azr_array *a)
{
    azr_snapshot_info sum = {.struct_size = 0};
    azr_error err = AZR_ERROR_INIT;

    assert_int_equal(azr_array_snapshots(a, count_one, &sum, &err), AZR_OK);
    return sum;
}

/* Entries of <array>/.azr/snap. */
static int snaps_of(const char *name)
{
    char path[128], snap[160];
    struct dirent *e;
    int n = 0;
    DIR *d;

    path_of(path, name);
    (void)snprintf(snap, sizeof snap, "%s/.azr/snap", path);
    d = opendir(snap);
    if (!d)
        return -1;
    while ((e = readdir(d)) != NULL)
        n += e->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

static void keeps_its_instant(int format)
{
    azr_array *a = make("a", format);
    azr_selection tail = AZR_BOX(1, {8}, {4});
    azr_error err = AZR_ERROR_INIT;
    azr_snapshot_info sum;
    azr_snapshot *s;
    uint64_t before;
    int64_t shape = 8;
    char *attributes = NULL;
    int32_t zero = 0;

    put(a, 0, LENGTH, 100);
    s = take(a);
    assert_null(azr_snapshot_array(s, 1));
    assert_null(azr_snapshot_path(s, 1));
    expect(azr_snapshot_array(s, 0), 100);
    before = survey(a).kept_nbytes; /* the documents, which are copied */
    put(a, 0, LENGTH, 5000);
    assert_int_equal(azr_array_fill(a, &tail, &zero, sizeof zero, &err),
                     AZR_OK); /* deleted */
    assert_int_equal(azr_array_attribute_set(a, "k", "7", &err), AZR_OK);
    expect(azr_snapshot_array(s, 0), 100);
    assert_int_equal(azr_array_resize(a, 1, &shape, &err), AZR_OK);
    shape = 2 * LENGTH;
    assert_int_equal(azr_array_resize(a, 1, &shape, &err), AZR_OK);
    put(a, 0, 2 * LENGTH, 9000);
    expect(azr_snapshot_array(s, 0), 100);
    assert_int_equal(
        azr_array_attributes(azr_snapshot_array(s, 0), &attributes, &err),
        AZR_OK);
    assert_non_null(strstr(attributes, "1.50"));
    azr_free(attributes);
    sum = survey(a);
    assert_int_equal(sum.struct_size, 1);
    assert_int_equal(sum.alive, 1);
    assert_int_equal(sum.pid, getpid());
    assert_int_equal(sum.kept_nbytes, before + LENGTH * sizeof(int32_t));
    azr_snapshot_close(s);
    assert_int_equal(snaps_of("a"), 0);
    azr_array_close(a);
}

static void test_v3(void **state)
{
    (void)state;
    keeps_its_instant(3);
}

static void test_v2(void **state)
{
    (void)state;
    keeps_its_instant(2);
}

/* Writing is refused, and what the array's handle does is not seen. */
static void test_read_only(void **state)
{
    azr_array *a = make("a", 3);
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    int32_t v[LENGTH] = {0};
    azr_snapshot *s, *again = NULL;
    azr_array *old;

    (void)state;
    put(a, 0, LENGTH, 100);
    s = take(a);
    old = azr_snapshot_array(s, 0);
    assert_int_equal(azr_array_write(old, &all, v, sizeof v, &err), AZR_EPERM);
    assert_int_equal(azr_array_attribute_set(old, "a", "1", &err), AZR_EPERM);
    assert_int_equal(azr_snapshot_take(&again, &old, 1, NULL, &err),
                     AZR_EINVAL);
    azr_snapshot_close(s);
    azr_array_close(a);
}

static void test_arguments(void **state)
{
    azr_array *a = make("a", 3), *b = NULL, *both[2];
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_snapshot *s = NULL;
    char path[128];

    (void)state;
    path_of(path, "a");
    assert_int_equal(azr_array_open(&b, path, NULL, &err), AZR_OK);
    both[0] = a;
    both[1] = b;
    assert_int_equal(azr_snapshot_take(&s, both, 2, NULL, &err), AZR_EINVAL);
    assert_non_null(strstr(err.message, "one array"));
    assert_int_equal(azr_snapshot_take(&s, both, 0, NULL, &err), AZR_EINVAL);
    assert_int_equal(azr_snapshot_take(&s, NULL, 1, NULL, &err), AZR_EINVAL);
    o.flags = 128;
    assert_int_equal(azr_snapshot_take(&s, both, 1, &o, &err), AZR_EINVAL);
    both[0] = NULL;
    assert_int_equal(azr_snapshot_take(&s, both, 1, NULL, &err), AZR_EINVAL);
    assert_null(azr_snapshot_array(NULL, 0));
    azr_snapshot_close(NULL);
    azr_array_close(b);
    azr_array_close(a);
}

/* By copy, below another directory; a read-only handle is enough. */
static void test_elsewhere(void **state)
{
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_array *a = make("a", 3), *b = NULL;
    azr_error err = AZR_ERROR_INIT;
    azr_snapshot *s = NULL;
    char path[128], dir[128];

    (void)state;
    put(a, 0, LENGTH, 100);
    path_of(path, "a");
    path_of(dir, "tmp");
    assert_int_equal(mkdir(dir, 0777), 0);
    assert_int_equal(azr_array_open(&b, path, NULL, &err), AZR_OK);
    o.directory = dir;
    assert_int_equal(azr_snapshot_take(&s, &b, 1, &o, &err), AZR_OK);
    put(a, 0, LENGTH, 5000);
    expect(azr_snapshot_array(s, 0), 100);
    assert_int_equal(snaps_of("a"), -1);
    assert_int_equal(strncmp(azr_snapshot_path(s, 0), dir, strlen(dir)), 0);
    azr_snapshot_close(s);
    assert_int_equal(rmdir(dir), 0); /* nothing is left in it */
    o.directory = "no/such/place";
    assert_int_equal(azr_snapshot_take(&s, &b, 1, &o, &err), AZR_ENOTFOUND);
    azr_array_close(b);
    azr_array_close(a);
}

static void test_by_copy(void **state)
{
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_array *a = make("a", 3);
    azr_error err = AZR_ERROR_INIT;
    azr_snapshot *s = NULL;
    char chunk[160];
    struct stat st;
    int fd;

    (void)state;
    put(a, 0, LENGTH, 100);
    o.flags = AZR_SNAPSHOT_COPY;
    assert_int_equal(azr_snapshot_take(&s, &a, 1, &o, &err), AZR_OK);
    (void)snprintf(chunk, sizeof chunk, "%s/a/c/0", g_dir);
    assert_int_equal(stat(chunk, &st), 0);
    assert_int_equal(st.st_nlink, 1);
    fd = open(chunk, O_WRONLY); /* what a plain program may do */
    assert_int_equal(pwrite(fd, "xxxx", 4, 0), 4);
    assert_int_equal(close(fd), 0);
    expect(azr_snapshot_array(s, 0), 100);
    azr_snapshot_close(s);
    azr_array_close(a);
}

/* No `.azr/state`: nobody of us has written. */
static void test_plain_array(void **state)
{
    azr_array *a = make("a", 3);
    azr_error err = AZR_ERROR_INIT;
    char path[128], command[200];
    azr_snapshot *s;

    (void)state;
    put(a, 0, LENGTH, 100);
    azr_array_close(a);
    path_of(path, "a");
    (void)snprintf(command, sizeof command, "rm -r '%s/.azr'", path);
    assert_int_equal(system(command), 0);
    assert_int_equal(azr_array_open(&a, path, NULL, &err), AZR_OK);
    s = take(a);
    expect(azr_snapshot_array(s, 0), 100);
    azr_array_close(a);
    expect(azr_snapshot_array(s, 0), 100); /* it stands by itself */
    azr_snapshot_close(s);
    assert_int_equal(snaps_of("a"), 0);
}

/* 2,000 chunks with 64 descriptors. */
static void test_few_descriptors(void **state)
{
    struct rlimit was, few;
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    uint8_t *v = malloc(8000);
    azr_snapshot *s;
    char path[128];

    (void)state;
    assert_non_null(v);
    memset(v, 7, 8000);
    path_of(path, "many");
    spec.rank = 1;
    spec.dtype = AZR_UINT8;
    spec.shape[0] = 8000;
    spec.chunks[0] = 4;
    spec.codecs = "none";
    assert_int_equal(azr_array_create(&a, path, &spec, NULL, &err), AZR_OK);
    assert_int_equal(azr_array_write(a, &all, v, 8000, &err), AZR_OK);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    few = was;
    few.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    s = take(a);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    memset(v, 9, 8000);
    assert_int_equal(azr_array_write(a, &all, v, 8000, &err), AZR_OK);
    assert_int_equal(
        azr_array_read(azr_snapshot_array(s, 0), &all, v, 8000, &err), AZR_OK);
    for (int i = 0; i < 8000; i++)
        assert_int_equal(v[i], 7);
    azr_snapshot_close(s);
    azr_array_close(a);
    free(v);
}

static void test_canceled(void **state)
{
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    azr_snapshot *s = NULL;
    azr_array *a = NULL;
    char path[128];
    uint8_t v[2048];

    (void)state;
    memset(v, 1, sizeof v);
    path_of(path, "many");
    spec.rank = 1;
    spec.dtype = AZR_UINT8;
    spec.shape[0] = sizeof v;
    spec.chunks[0] = 4;
    assert_int_equal(azr_array_create(&a, path, &spec, NULL, &err), AZR_OK);
    assert_int_equal(azr_array_write(a, &all, v, sizeof v, &err), AZR_OK);
    assert_int_equal(azr_cancel_new(&o.cancel), AZR_OK);
    azr_cancel_request(o.cancel);
    assert_int_equal(azr_snapshot_take(&s, &a, 1, &o, &err), AZR_ECANCELED);
    assert_null(s);
    assert_int_equal(snaps_of("many"), 0);
    azr_cancel_free(o.cancel);
    azr_array_close(a);
}

static void wait_for(pid_t pid, int expected)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (expected >= 0) {
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), expected);
    }
}

/* Who is killed leaves it; the next one that opens for writing removes it. One
 * that is held stays. */
static void test_dead_owner(void **state)
{
    azr_array *a = make("a", 3), *b = NULL;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    static azr_snapshot *s, *mine; /* what the child leaves is no leak */
    char path[128];
    pid_t pid;

    (void)state;
    put(a, 0, LENGTH, 100);
    s = take(a);
    pid = fork();
    if (pid == 0)
        _exit(azr_snapshot_take(&mine, &a, 1, NULL, NULL) == AZR_OK ? 0 : 1);
    wait_for(pid, 0);
    assert_int_equal(snaps_of("a"), 2);
    assert_int_equal(survey(a).alive, 1);
    path_of(path, "a");
    o.flags = AZR_OPEN_WRITE;
    assert_int_equal(azr_array_open(&b, path, &o, &err), AZR_OK);
    assert_int_equal(snaps_of("a"), 1);
    expect(azr_snapshot_array(s, 0), 100);
    azr_snapshot_close(s);
    assert_int_equal(snaps_of("a"), 0);
    azr_array_close(b);
    azr_array_close(a);
}

/* A child may read; who closes last removes. */
static void test_fork(void **state)
{
    azr_array *a = make("a", 3);
    azr_recovery count = {.struct_size = sizeof count};
    azr_error err = AZR_ERROR_INIT;
    static azr_snapshot *s; /* of the child as well */
    int go[2];
    char c = 0;
    pid_t pid;

    (void)state;
    put(a, 0, LENGTH, 100);
    s = take(a);
    assert_int_equal(pipe(go), 0);
    pid = fork();
    if (pid == 0) {
        azr_selection all = azr_select_all(1);
        int32_t v[LENGTH];
        bool ok;

        (void)close(go[1]);
        ok = read(go[0], &c, 1) == 0; /* the parent has closed its own */
        ok = ok && azr_array_read(azr_snapshot_array(s, 0), &all, v, sizeof v,
                                  NULL) == AZR_OK;
        for (int i = 0; ok && i < LENGTH; i++)
            ok = v[i] == 100 + i;
        azr_snapshot_close(s);
        _exit(ok && snaps_of("a") == 0 ? 0 : 1);
    }
    azr_snapshot_close(s);
    assert_int_equal(snaps_of("a"), 1);
    assert_int_equal(azr_array_recover(a, &count, &err), AZR_OK);
    assert_int_equal(snaps_of("a"), 1); /* the child has it */
    put(a, 0, LENGTH, 5000);
    assert_int_equal(close(go[1]), 0);
    wait_for(pid, 0);
    assert_int_equal(close(go[0]), 0);
    assert_int_equal(snaps_of("a"), 0);
    azr_array_close(a);
}

typedef struct merging {
    azr_array *a;
    azr_snapshot *s;
} merging;

/* In the midst of an explicit transaction that has read a chunk to merge it,
 * snapshots come and go: no conflict. */
static int merge(azr_txn *txn, void *arg, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {1}, {2});
    merging *m = arg;
    int32_t v[2] = {-1, -2};
    int rc = azr_txn_write(txn, m->a, &s, v, sizeof v, err);

    if (rc < 0)
        return rc;
    azr_snapshot_close(take(m->a));
    m->s = take(m->a);
    return AZR_OK;
}

static void test_links_are_no_conflict(void **state)
{
    azr_array *a = make("a", 3);
    azr_error err = AZR_ERROR_INIT;
    azr_txn *txn = NULL;
    merging m = {a, NULL};

    (void)state;
    put(a, 0, LENGTH, 100);
    assert_int_equal(azr_txn_begin(&txn, NULL, &err), AZR_OK);
    assert_int_equal(merge(txn, &m, &err), AZR_OK);
    assert_int_equal(azr_txn_commit(txn, &err), AZR_OK);
    azr_txn_free(txn);
    expect(azr_snapshot_array(m.s, 0), 100);
    azr_snapshot_close(m.s);
    azr_array_close(a);
}

/* … while a plain program that writes into the chunk still is one. */
static void test_foreign_is_a_conflict(void **state)
{
    azr_array *a = make("a", 3);
    azr_error err = AZR_ERROR_INIT;
    azr_txn *txn = NULL;
    merging m = {a, NULL};
    char chunk[160];
    struct timespec times[2] = {{0, UTIME_OMIT}, {12345, 0}};
    int fd;

    (void)state;
    put(a, 0, LENGTH, 100);
    (void)snprintf(chunk, sizeof chunk, "%s/a/c/0", g_dir);
    assert_int_equal(azr_txn_begin(&txn, NULL, &err), AZR_OK);
    assert_int_equal(merge(txn, &m, &err), AZR_OK);
    fd = open(chunk, O_WRONLY);
    assert_int_equal(pwrite(fd, "xxxx", 4, 0), 4);
    assert_int_equal(futimens(fd, times), 0); /* whatever the clock's tick is */
    assert_int_equal(close(fd), 0);
    assert_int_equal(azr_txn_commit(txn, &err), AZR_ECONFLICT);
    assert_int_equal(err.sub, AZR_SUB_FOREIGN);
    azr_txn_free(txn);
    azr_snapshot_close(m.s);
    azr_array_close(a);
}

/* It stands in the array's directory, and goes with that: said, not served as
 * fill values. */
static void test_removed(void **state)
{
    azr_selection all = azr_select_all(1);
    azr_array *a = make("a", 3);
    azr_error err = AZR_ERROR_INIT;
    char command[200], path[128];
    int32_t v[LENGTH];
    azr_snapshot *s;

    (void)state;
    put(a, 0, LENGTH, 100);
    s = take(a);
    path_of(path, "a");
    (void)snprintf(command, sizeof command, "rm -r '%s'", path);
    assert_int_equal(system(command), 0);
    assert_int_equal(
        azr_array_read(azr_snapshot_array(s, 0), &all, v, sizeof v, &err),
        AZR_ENOTFOUND);
    azr_snapshot_close(s);
    azr_array_close(a);
}

static int count_calls(uint64_t done, uint64_t total, void *arg)
{
    (void)done;
    (void)total;
    return ++*(int *)arg == 2;
}

/* Progress is told, and may stop it. */
static void test_progress(void **state)
{
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_copy_options c = AZR_COPY_OPTIONS_INIT;
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    azr_snapshot *s = NULL;
    azr_array *a = NULL;
    char path[128], to[128];
    uint8_t v[4096];
    int calls = 0;

    (void)state;
    memset(v, 1, sizeof v);
    path_of(path, "many");
    path_of(to, "copy");
    spec.rank = 1;
    spec.dtype = AZR_UINT8;
    spec.shape[0] = sizeof v;
    spec.chunks[0] = 4;
    assert_int_equal(azr_array_create(&a, path, &spec, NULL, &err), AZR_OK);
    assert_int_equal(azr_array_write(a, &all, v, sizeof v, &err), AZR_OK);
    o.progress = c.progress = count_calls;
    o.arg = c.arg = &calls;
    assert_int_equal(azr_snapshot_take(&s, &a, 1, &o, &err), AZR_ECANCELED);
    assert_int_equal(calls, 2);
    assert_int_equal(snaps_of("many"), 0);
    calls = 0;
    assert_int_equal(azr_copy(path, to, &c, NULL, &err), AZR_ECANCELED);
    assert_int_equal(calls, 2);
    assert_int_equal(access(to, F_OK), -1);
    azr_array_close(a);
}

static void test_several(void **state)
{
    azr_array *arrays[3];
    char name[16];
    azr_error err = AZR_ERROR_INIT;
    azr_snapshot *s = NULL;

    (void)state;
    for (int i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "a%d", i);
        arrays[i] = make(name, i == 1 ? 2 : 3);
        put(arrays[i], 0, LENGTH, 1000 * i);
    }
    assert_int_equal(azr_snapshot_take(&s, arrays, 3, NULL, &err), AZR_OK);
    for (int i = 0; i < 3; i++)
        put(arrays[i], 0, LENGTH, 77);
    for (int i = 0; i < 3; i++)
        expect(azr_snapshot_array(s, (size_t)i), 1000 * i);
    azr_snapshot_close(s);
    for (int i = 0; i < 3; i++)
        azr_array_close(arrays[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_v3, begin, end),
        cmocka_unit_test_setup_teardown(test_v2, begin, end),
        cmocka_unit_test_setup_teardown(test_read_only, begin, end),
        cmocka_unit_test_setup_teardown(test_arguments, begin, end),
        cmocka_unit_test_setup_teardown(test_elsewhere, begin, end),
        cmocka_unit_test_setup_teardown(test_by_copy, begin, end),
        cmocka_unit_test_setup_teardown(test_plain_array, begin, end),
        cmocka_unit_test_setup_teardown(test_few_descriptors, begin, end),
        cmocka_unit_test_setup_teardown(test_canceled, begin, end),
        cmocka_unit_test_setup_teardown(test_dead_owner, begin, end),
        cmocka_unit_test_setup_teardown(test_fork, begin, end),
        cmocka_unit_test_setup_teardown(test_links_are_no_conflict, begin, end),
        cmocka_unit_test_setup_teardown(test_foreign_is_a_conflict, begin, end),
        cmocka_unit_test_setup_teardown(test_removed, begin, end),
        cmocka_unit_test_setup_teardown(test_progress, begin, end),
        cmocka_unit_test_setup_teardown(test_several, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
