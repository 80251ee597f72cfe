/* SPDX-License-Identifier: Apache-2.0 */
/* Where snapshots stand: made, collected and listed, each call failing. */
#include "world.h"

#define ID "0123456789abcdef0123456789abcdef"

static azri_owned o;

static int snap(void)
{
    o = (azri_owned)AZRI_OWNED_INIT;
    return azri_domain_snap(&o, w.d[0], &err);
}

static azr_snapshot_info told;
static unsigned told_count;

static int note(const azr_snapshot_info *info, void *arg)
{
    told = *info;
    told_count++;
    return arg ? 1 : 0;
}

static int list(void *arg)
{
    told_count = 0;
    return azri_domain_snaps(w.d[0], note, arg, &err);
}

static void put_dir(const char *name)
{
    assert_int_equal(mkdir(below(0, name), 0755), 0);
}

static void test_snap(void **state)
{
    struct stat st;

    (void)state;
    OK(list(NULL)); /* there never was one */
    assert_int_equal(told_count, 0);
    assert_false(azri_snaps_are_used(w.d[0]));
    (void)umask(077);
    OK(snap());
    (void)umask(022);
    assert_true(azri_snaps_are_used(w.d[0]));
    assert_int_equal(stat(below(0, ".azr/snap"), &st), 0);
    assert_int_equal(st.st_mode & 0777, w.d[0]->dir_mode);
    OK(list(NULL));
    assert_int_equal(told_count, 1);
    assert_string_equal(told.id, o.name);
    assert_int_equal(told.alive, 1);
    assert_int_equal(told.pid, getpid());
    azri_owned_close(&o);
    OK(list(NULL));
    assert_int_equal(told_count, 0);
    assert_int_equal(chmod(below(0, ".azr/snap"), 0700), 0);
    OK(snap()); /* whoever made it, and what was made of it since */
    azri_owned_close(&o);
    assert_int_equal(stat(below(0, ".azr/snap"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void test_snap_fails(void **state)
{
    (void)state;
    fake_fail(ON_MKDIRAT, ".azr", 0, 1, EIO);
    FAILS(snap(), AZR_EIO, AZR_SUB_MKDIR, ".azr");
    fake_fail(ON_MKDIRAT, "snap", 0, 1, EROFS);
    FAILS(snap(), AZR_EPERM, AZR_SUB_MKDIR, "/.azr/snap'");
    fake_fail(ON_OPENAT, "snap", 0, 1, ENOENT);
    FAILS(snap(), AZR_ENOTFOUND, AZR_SUB_NONE, "was removed");
    fake_fail(ON_OPENAT, "snap", 0, 1, EMFILE);
    FAILS(snap(), AZR_EIO, AZR_SUB_OPEN, ".azr/snap");
    fake_fail(ON_OPENAT, ".", 1, 1, EMFILE); /* to collect in it */
    FAILS(snap(), AZR_EIO, AZR_SUB_OPEN, "open '.'");
    (void)fake_clear();
    assert_int_equal(rmdir(below(0, ".azr/snap")), 0);
    fake_fail(ON_FSTAT, ".azr/snap", 0, 1, EIO); /* its rights stay */
    OK(snap());
    assert_int_equal(fake_clear(), 1);
    azri_owned_close(&o);
    fake_fail(ON_OPENAT, "snap", 0, 1, EMFILE);
    FAILS(list(NULL), AZR_EIO, AZR_SUB_OPEN, ".azr/snap");
}

/* What stands there, and how much of it nobody else has. */
static void test_list(void **state)
{
    char deep[2200];
    size_t at;

    (void)state;
    put_dir(".azr/snap");
    put_dir(".azr/snap/" ID);
    put_dir(".azr/snap/mine");
    put_file(below(0, ".azr/snap/0123456789abcdef0123456789abcde0"), "", 0);
    put_dir(".azr/snap/" ID "/c");
    put_chunk(0, 1, "shared");
    put_file(below(0, ".azr/snap/" ID "/c/0"), "alone", 5);
    assert_int_equal(link(below(0, "c/1"), below(0, ".azr/snap/" ID "/c/1")),
                     0);
    put_file(below(0, ".azr/snap/" ID "/" AZRI_OWNED_WHO), "7 8 9 h\n", 8);
    assert_int_equal(symlink("/etc", below(0, ".azr/snap/" ID "/etc")), 0);
    OK(list(NULL));
    assert_int_equal(told_count, 1);
    assert_int_equal(told.alive, 0);
    assert_int_equal(told.objects, 2);
    assert_int_equal(told.nbytes, 11);
    assert_int_equal(told.kept_nbytes, 5);
    assert_int_equal(told.struct_size, sizeof told);
    assert_int_equal(told.pid, 7);
    assert_int_equal(told.uid, 8);
    assert_int_equal(told.start_time_ns, 9);
    assert_string_equal(told.host, "h");
    assert_int_equal(
        unlink(below(0, ".azr/snap/0123456789abcdef0123456789abcde0")), 0);
    /* gone in between: left out; what cannot be looked at is said */
    fake_fail(ON_FSTATAT, "0", 0, 1, ENOENT);
    OK(list(NULL));
    assert_int_equal(told.objects, 1);
    fake_fail(ON_FSTATAT, "0", 0, 1, EIO);
    FAILS(list(NULL), AZR_EIO, AZR_SUB_STAT, "stat '0'");
    fake_fail(ON_OPENAT, "c", 2, 1, ENOENT); /* its id has one, too */
    OK(list(NULL));
    assert_int_equal(told.objects, 0);
    fake_fail(ON_OPENAT, "c", 2, 1, EMFILE);
    FAILS(list(NULL), AZR_EIO, AZR_SUB_OPEN, "open 'c'");
    fake_fail(ON_OPENAT, ID, 0, 1, ENOENT);
    OK(list(NULL));
    assert_int_equal(told_count, 0);
    fake_fail(ON_OPENAT, ID, 0, 1, EMFILE);
    FAILS(list(NULL), AZR_EIO, AZR_SUB_OPEN, ID);
    assert_int_equal(told_count, 0);
    (void)fake_clear();
    put_dir(".azr/snap/0123456789abcdef0123456789abcde1");
    OK(list(&err)); /* enough */
    assert_int_equal(told_count, 1);
    /* deeper than any key */
    (void)snprintf(deep, sizeof deep, "%s/.azr/snap/" ID, w.path[0]);
    at = strlen(deep);
    for (int depth = 0; depth < 60; depth++) {
        (void)snprintf(deep + at, sizeof deep - at, "/d");
        at += 2;
        assert_int_equal(mkdir(deep, 0755), 0);
        if (depth == AZR_MAX_RANK - 1) { /* as deep as a key */
            (void)snprintf(deep + at, sizeof deep - at, "/x");
            put_file(deep, "key", 3);
        }
    }
    (void)snprintf(deep + at, sizeof deep - at, "/x");
    put_file(deep, "deep", 4);
    assert_int_equal(
        rmdir(below(0, ".azr/snap/0123456789abcdef0123456789abcde1")), 0);
    OK(list(NULL));
    assert_int_equal(told.objects, 3);
}

static void test_collect(void **state)
{
    azr_recovery count = {0};
    uint64_t removed = COUNTED(rubbish_removed);

    (void)state;
    azri_snaps_collect(w.d[0], &count); /* there is none */
    put_dir(".azr/snap");
    put_dir(".azr/snap/" ID);
    azri_snaps_collect(w.d[0], &count);
    assert_int_equal(count.rubbish, 1);
    assert_int_equal(COUNTED(rubbish_removed) - removed, 1);
    assert_false(is_there(0, ".azr/snap/" ID));
    assert_true(is_there(0, ".azr/snap"));
    put_dir(".azr/snap/" ID);
    OK(azri_domain_recover(w.d[0], &count, &err)); /* recovery too */
    assert_int_equal(count.rubbish, 2);
    assert_false(is_there(0, ".azr/snap/" ID));
    put_dir(".azr/snap/" ID);
    OK(snap()); /* the next one finds it too */
    assert_int_equal(COUNTED(rubbish_removed) - removed, 3);
    assert_false(is_there(0, ".azr/snap/" ID));
    azri_owned_close(&o);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_snap),
        T(test_snap_fails),
        T(test_list),
        T(test_collect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
