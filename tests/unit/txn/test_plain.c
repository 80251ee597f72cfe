/* SPDX-License-Identifier: Apache-2.0 */
/* One object at a time, as plain Zarr libraries do. */
#include "world.h"

#include "base/alloc.h"

static azri_plain *p;
static const uint64_t three[1] = {3};

static int replace(const char *text)
{
    return azri_plain_replace(w.d[0], "c/3", bytes_of(text), &err);
}

static int count_name(const char *name, unsigned char d_type, void *arg)
{
    (void)name;
    (void)d_type;
    ++*(int *)arg;
    return 0;
}

/* No half of an object is left beside it. */
static void assert_alone(int want)
{
    int n = 0;

    OK(azri_list(azri_domain_dir(w.d[0]), "c", count_name, &n, &err));
    assert_int_equal(n, want);
}

static void test_lock(void **state)
{
    azri_range r = {0, 0, true};
    int fd = open(below(0, ".azr/state"), O_RDWR | O_CLOEXEC);

    (void)state;
    azri_plain_unlock(NULL);
    r.first = r.last = azri_w_offset(state_of(0), three);
    OK(azri_plain_lock(&p, w.d[0], three, &err));
    assert_true(azri_ofd_busy(fd, &r));
    r.exclusive = false; /* readers too */
    assert_true(azri_ofd_busy(fd, &r));
    r.exclusive = true;
    azri_plain_unlock(p);
    assert_false(azri_ofd_busy(fd, &r));
    fake_fail(ON_LOCK, "wait W", 0, 1, EDEADLK);
    FAILS(azri_plain_lock(&p, w.d[0], three, &err), AZR_EIO, AZR_SUB_LOCK,
          "lock");
    azr_set_memory_cap(1);
    FAILS(azri_plain_lock(&p, w.d[0], three, &err), AZR_ENOMEM, AZR_SUB_NONE,
          "memory");
    azr_set_memory_cap(0);
    no_idle_descriptors(w.d[0]);
    fake_fail(ON_OPENAT, "state", 0, 1, EMFILE);
    FAILS(azri_plain_lock(&p, w.d[0], three, &err), AZR_EIO, AZR_SUB_OPEN,
          "state");
    assert_int_equal(close(fd), 0);
}

static void test_replace(void **state)
{
    static uint8_t large[2 << 20];
    uint64_t chunks = COUNTED(chunks_written), nbytes = COUNTED(bytes_written);
    struct stat st;

    (void)state;
    (void)umask(077);
    OK(replace("one")); /* its directory is made */
    (void)umask(022);
    assert_int_equal(stat(below(0, "c/3"), &st), 0);
    assert_int_equal(st.st_mode & 07777, w.d[0]->dir_mode & 0666);
    assert_int_equal(COUNTED(chunks_written) - chunks, 1);
    assert_int_equal(COUNTED(bytes_written) - nbytes, 3);
    assert_chunk(0, 3, "one");
    OK(replace("two"));
    assert_chunk(0, 3, "two");
    assert_alone(1);
    OK(azri_plain_replace(w.d[0], "c/4", (azri_span){large, sizeof large},
                          &err));
    assert_int_equal(stat(below(0, "c/4"), &st), 0);
    assert_int_equal(st.st_size, sizeof large);
    fake_fail(ON_FSTAT, "partial", 0, 1,
              EIO); /* then its rights are as they are */
    OK(replace("three"));
    assert_int_equal(fake_clear(), 1);
    assert_chunk(0, 3, "three");
    OK(azri_plain_remove(w.d[0], "c/4", &err));
    OK(azri_plain_remove(w.d[0], "c/4", &err));
    fake_fail(ON_UNLINKAT, "c/3", 0, 1, EPERM);
    FAILS(azri_plain_remove(w.d[0], "c/3", &err), AZR_EPERM, AZR_SUB_UNLINK,
          "remove 'c/3'");
    assert_chunk(0, 3, "three");
}

static void test_replace_fails(void **state)
{
    (void)state;
    fake_fail(ON_GETRANDOM, NULL, 0, 1, EAGAIN);
    FAILS(replace("x"), AZR_EIO, AZR_SUB_CALL, "getrandom");
    fake_fail(ON_MKDIRAT, "c", 0, 1, ENOSPC);
    FAILS(replace("x"), AZR_EIO, AZR_SUB_MKDIR, "mkdir 'c'");
    assert_false(is_there(0, "c"));
    fake_fail(ON_OPENAT, "partial", 1, 1, EROFS); /* … in the new directory */
    FAILS(replace("x"), AZR_EPERM, AZR_SUB_OPEN, "partial");
    put_chunk(0, 3, "old");
    fake_fail(ON_OPENAT, "partial", 0, 1, EROFS);
    FAILS(replace("x"), AZR_EPERM, AZR_SUB_OPEN, "partial");
    fake_fail(ON_PWRITE, "partial", 0, 1, ENOSPC);
    FAILS(replace("x"), AZR_EIO, AZR_SUB_WRITE, "partial");
    fake_fail(ON_RENAMEAT2, "c/3", 0, 1, EIO);
    FAILS(replace("x"), AZR_EIO, AZR_SUB_RENAME, "rename to 'c/3'");
    assert_chunk(0, 3, "old");
    assert_alone(1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_lock),
        T(test_replace),
        T(test_replace_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
