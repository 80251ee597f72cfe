/* SPDX-License-Identifier: Apache-2.0 */
/* Names and files in tx/ and its lanes. */
#include "world.h"

#define ID UINT64_C(0xfedcba98765432)

static void test_names(void **state)
{
    static const char *const strange[] = {"",
                                          "fedcba9876543",
                                          "fedcba98765432",
                                          "fedcba98765432.",
                                          "Fedcba98765432.0",
                                          "fedcba9876543g.0",
                                          "fedcba9876543/.0",
                                          "fedcba9876543:.0",
                                          "gedcba98765432.0",
                                          "1/fedcba.0"};
    char name[AZRI_STAGED_NAME_MAX];
    uint64_t id = 0;

    (void)state;
    azri_staged_name(name, 16, ID, 0);
    assert_string_equal(name, "fedcba98765432.0");
    azri_staged_name(name, 15, ID, UINT64_MAX);
    assert_string_equal(name, "f/fedcba98765432.18446744073709551615");
    azri_record_name(name, 1, 0xa);
    assert_string_equal(name, "1/0000000000000a.r");
    assert_true(azri_staged_id(&id, name));
    assert_int_equal(id, 0xa);
    assert_string_equal(azri_staged_base(name), "0000000000000a.r");
    assert_string_equal(azri_staged_base("0/x"), "0/x");
    assert_string_equal(azri_staged_base("12"), "12");
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++)
        assert_false(azri_staged_id(&id, strange[i]));
}

/* ------------------------------------------------------------------ lists --- */

static char listed[16][64];
static unsigned listed_count;

static int note(const char *name, unsigned char d_type, void *arg)
{
    (void)d_type;
    (void)arg;
    assert_in_range(listed_count, 0, 15);
    (void)snprintf(listed[listed_count++], sizeof listed[0], "%s", name);
    return 0;
}

static bool has(const char *name)
{
    for (unsigned i = 0; i < listed_count; i++) {
        if (strcmp(listed[i], name) == 0)
            return true;
    }
    return false;
}

static int stop(const char *name, unsigned char d_type, void *arg)
{
    (void)name;
    (void)d_type;
    (void)arg;
    return 7;
}

static void test_lists(void **state)
{
    (void)state;
    put_file(below(0, ".azr/tx/fedcba98765432.0"), "", 0);
    assert_int_equal(mkdir(below(0, ".azr/tx/3"), 0755), 0);
    assert_int_equal(mkdir(below(0, ".azr/tx/0"), 0755), 0); /* no lane */
    assert_int_equal(mkdir(below(0, ".azr/tx/g"), 0755), 0);
    put_file(below(0, ".azr/tx/4"), "", 0); /* a file by the name of one */
    put_file(below(0, ".azr/tx/3/fedcba98765432.r"), "", 0);
    listed_count = 0;
    OK(azri_list_staged(w.d[0], note, NULL, &err));
    assert_int_equal(listed_count, 5);
    assert_true(has("fedcba98765432.0") && has("3/fedcba98765432.r"));
    assert_true(has("0") && has("g") && has("4"));
    listed_count = 0;
    OK(azri_list_lane(w.d[0], 19, note, NULL, &err));
    assert_int_equal(listed_count, 1);
    assert_true(has("3/fedcba98765432.r"));
    listed_count = 0;
    OK(azri_list_lane(w.d[0], 5, note, NULL, &err)); /* there is none */
    assert_int_equal(listed_count, 0);
    OK(azri_list_lane(w.d[0], 32, note, NULL, &err));
    assert_int_equal(listed_count, 5);
    assert_true(has("3"));
    assert_int_equal(azri_list_staged(w.d[0], stop, NULL, &err), 7);
    fake_fail(ON_OPENAT, "tx/3", 0, 1, EIO);
    FAILS(azri_list_staged(w.d[0], note, NULL, &err), AZR_EIO, AZR_SUB_OPEN,
          ".azr/tx/3");
}

/* ------------------------------------------------------------------ files --- */

static void test_create(void **state)
{
    int fd = -1;

    (void)state;
    /* the first one of a lane makes it */
    OK(azri_staged_create(&fd, w.d[0], "5/fedcba98765432.0", 0644, &err));
    assert_int_equal(close(fd), 0);
    assert_true(is_there(0, ".azr/tx/5/fedcba98765432.0"));
    FAILS(azri_staged_create(&fd, w.d[0], "5/fedcba98765432.0", 0644, &err),
          AZR_EIO, AZR_SUB_OPEN, "5/fedcba98765432.0");
    assert_int_equal(err.sys_errno, EEXIST);
    fake_fail(ON_MKDIRAT, "6", 0, 1, ENOSPC);
    FAILS(azri_staged_create(&fd, w.d[0], "6/fedcba98765432.0", 0644, &err),
          AZR_EIO, AZR_SUB_MKDIR, "mkdir '6'");
    assert_false(is_there(0, ".azr/tx/6"));
    /* it is not there, and cannot be made to be */
    fake_fail(ON_OPENAT, "7/f", 0, 2, ENOENT);
    FAILS(azri_staged_create(&fd, w.d[0], "7/fedcba98765432.0", 0644, &err),
          AZR_ENOTFOUND, AZR_SUB_STATE, "/.azr/tx' was removed");
    fake_fail(ON_OPENAT, "fed", 0, 1, ENOENT);
    FAILS(azri_staged_create(&fd, w.d[0], "fedcba98765432.0", 0644, &err),
          AZR_ENOTFOUND, AZR_SUB_STATE, "/.azr/tx' was removed");
    /* a handle that has not opened tx/ yet */
    world_open(0, 0);
    (void)fake_clear();
    fake_fail(ON_OPENAT, ".azr/tx", 0, 1, EMFILE);
    fake_fail(ON_OPENAT, "fedcba", 0, 1,
              EIO); /* and it is not tried elsewhere */
    FAILS(azri_staged_create(&fd, w.d[0], "fedcba98765432.0", 0644, &err),
          AZR_EIO, AZR_SUB_OPEN, ".azr/tx");
    assert_int_equal(fake_clear(), 1);
}

static void test_sync(void **state)
{
    (void)state;
    OK(azri_staged_sync(w.d[0], 0, &err));
    fake_fail(ON_FSYNC, ".azr/tx", 0, 1, EIO);
    FAILS(azri_staged_sync(w.d[0], 0, &err), AZR_EIO, AZR_SUB_SYNC, ".azr/tx");
    /* a row that only deletes has made no lane */
    OK(azri_staged_sync(w.d[0], 5, &err));
    assert_int_equal(mkdir(below(0, ".azr/tx/5"), 0755), 0);
    fake_fail(ON_FSYNC, ".azr/tx/5", 0, 1, ENOSPC);
    FAILS(azri_staged_sync(w.d[0], 5, &err), AZR_EIO, AZR_SUB_SYNC,
          ".azr/tx/5");
    (void)fake_clear();
    /* the lane's name is on the disk already, what is in it is not */
    fake_fail(ON_FSYNC, ".azr/tx", 1, 1, EIO);
    OK(azri_staged_sync(w.d[0], 5, &err));
    FAILS(azri_staged_sync(w.d[0], 5, &err), AZR_EIO, AZR_SUB_SYNC,
          ".azr/tx/5");
    (void)fake_clear();
    /* whether there is a lane cannot be told: then it is asked to be synced */
    fake_fail(ON_FSTATAT, "tx/5", 0, 1, EIO);
    OK(azri_staged_sync(w.d[0], 5, &err));
    assert_int_equal(fake_clear(), 1);
    world_open(0, 0);
    fake_fail(ON_OPENAT, ".azr/tx", 0, 1, EMFILE);
    FAILS(azri_staged_sync(w.d[0], 0, &err), AZR_EIO, AZR_SUB_OPEN, ".azr/tx");
}

/* Chunks of a matrix: c/1/0, c/1/1, c/4/0; the last one deleted. */
static void put_matrix(uint8_t *list, bool deleted)
{
    static const uint64_t coords[3][2] = {{1, 0}, {1, 1}, {4, 0}};

    state_of(0)->keying.rank = 2;
    for (uint64_t i = 0; i < 3; i++) {
        azri_entry e;

        memset(&e, 0, sizeof e);
        memcpy(e.coords, coords[i], sizeof coords[i]);
        if (deleted && i == 2)
            e.head.flags = AZRI_ENTRY_DELETED;
        azri_entry_put(list, state_of(0), i, &e);
    }
}

static void make_matrix(void)
{
    assert_int_equal(mkdir(below(0, "c"), 0755), 0);
    assert_int_equal(mkdir(below(0, "c/1"), 0755), 0);
    assert_int_equal(mkdir(below(0, "c/4"), 0755), 0);
}

/* The names of directories are synced from the top, once for a handle; not one is
 * taken for synced before it was. */
static void test_directories(void **state)
{
    uint8_t list[3 * (sizeof(azri_entry_head) + 16)];
    azri_domain *d = w.d[0];

    (void)state;
    put_matrix(list, false);
    make_matrix();
    fake_fail(ON_FSYNC, NULL, 0, 1, EIO);
    FAILS(azri_names_sync(d, list, 3, false, &err), AZR_EIO, AZR_SUB_SYNC,
          "fsync '.'");
    fake_fail(ON_FSYNC, "/a/c", 0, 1, EIO);
    FAILS(azri_names_sync(d, list, 3, false, &err), AZR_EIO, AZR_SUB_SYNC,
          "fsync 'c'");
    assert_int_equal(fake_clear(), 2);
    fake_fail(ON_FSYNC, NULL, 1, 1, EIO); /* c/ for both; its own is known */
    OK(azri_names_sync(d, list, 3, false, &err));
    OK(azri_names_sync(d, list, 3, false, &err));
    assert_int_equal(fake_clear(), 0);
    fake_fail(ON_FSYNC, "/a/c", 0, 1, EIO);
    FAILS(azri_names_sync(d, list, 3, true, &err), AZR_EIO, AZR_SUB_SYNC,
          "fsync 'c'");
    fake_fail(ON_OPENAT, "c", 0, 1, EMFILE);
    FAILS(azri_names_sync(d, list, 3, true, &err), AZR_EIO, AZR_SUB_OPEN,
          "open 'c'");
}

/* What is deleted asks for no directory; what is gone is made by who needs it. */
static void test_directories_gone(void **state)
{
    uint8_t list[3 * (sizeof(azri_entry_head) + 16)];
    azri_domain *d = w.d[0];

    (void)state;
    put_matrix(list, true);
    OK(azri_names_sync(d, list, 3, false, &err)); /* '.', and no c/ */
    make_matrix();
    fake_fail(ON_FSYNC, NULL, 1, 1, EIO);
    OK(azri_names_sync(d, list, 3, false, &err)); /* c/, for c/1 */
    put_matrix(list, false);
    FAILS(azri_names_sync(d, list, 3, false, &err), AZR_EIO, AZR_SUB_SYNC,
          "fsync 'c'"); /* for c/4 */
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_names), T(test_lists),       T(test_create),
        T(test_sync),  T(test_directories), T(test_directories_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
