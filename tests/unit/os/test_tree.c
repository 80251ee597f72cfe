/* SPDX-License-Identifier: Apache-2.0 */
/* Whole directories removed beside others who remove or add in them; the content of
 * files shared, copied in the kernel, or by hand. */
#include "unit/core/small.h"

#include "base/alloc.h"
#include "os/file.h"
#include "os/tree.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define NBYTES 300000 /* more than one buffer */

static char g_dir[64];
static int g_at = -1;
static azr_error err;
static struct azri_sys g_sys;
static int g_error, g_after; /* after so many calls it fails with this one */

static int set_up(void **state)
{
    (void)state;
    small_dir(g_dir, "tree");
    g_at = open(g_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_in_range(g_at, 0, 1000);
    g_sys = azri_sys_posix;
    g_after = -1;
    azri_sys = &g_sys;
    err = (azr_error)AZR_ERROR_INIT;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    azri_sys = &azri_sys_posix;
    (void)close(g_at);
    small_dir_remove(g_dir);
    return 0;
}

static bool strikes(void)
{
    if (g_after < 0 || g_after-- > 0)
        return false;
    errno = g_error;
    return true;
}

static void fault(int error, int after)
{
    g_error = error;
    g_after = after;
}

static void touch(const char *name)
{
    int fd = openat(g_at, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    assert_in_range(fd, 0, 1000);
    (void)close(fd);
}

static bool exists(const char *name)
{
    return faccessat(g_at, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A directory with a file, one below it with another, and a link out of it. */
static void plant(void)
{
    touch("other");
    assert_int_equal(mkdirat(g_at, "d", 0755), 0);
    assert_int_equal(mkdirat(g_at, "d/e", 0755), 0);
    touch("d/x");
    touch("d/e/y");
    assert_int_equal(symlinkat("../other", g_at, "d/link"), 0);
    assert_int_equal(symlinkat("..", g_at, "d/up"), 0);
}

static void assert_told(int rc, int sub, int number, const char *text)
{
    if (rc != AZR_EIO || err.code != AZR_EIO || err.sub != sub ||
        err.sys_errno != number || !strstr(err.message, text))
        fail_msg("%s, sub %d, errno %d: \"%s\"", azr_status_name(rc), err.sub,
                 err.sys_errno, err.message);
    err = (azr_error)AZR_ERROR_INIT;
}

/* ------------------------------------------------------------------ remove --- */

static void test_what_is_below_goes(void **state)
{
    (void)state;
    plant();
    OK(azri_remove_all(g_at, "none", &err));
    OK(azri_remove_all(g_at, "d/x", &err));
    assert_false(exists("d/x"));
    OK(azri_remove_all(g_at, "d", &err));
    assert_false(exists("d"));
    assert_true(exists("other")); /* no link is followed */
}

static void test_too_deep(void **state)
{
    char path[2 * AZRI_TREE_DEPTH + 2] = "";

    (void)state;
    for (size_t n = 0; n <= 2 * (size_t)AZRI_TREE_DEPTH; n += 2) {
        memcpy(path + n, "d", 2);
        assert_int_equal(mkdirat(g_at, path, 0755), 0);
        path[n + 1] = '/';
    }
    path[sizeof path - 1] = '\0';
    assert_told(azri_remove_all(g_at, "d", &err), 0, 0,
                "'d' is more than 64 levels deep");
    assert_true(exists(path));
    OK(azri_remove_all(g_at, "d/d", &err));
}

static int faulty_unlinkat(int dir, const char *path, int flags)
{
    return strikes() ? -1 : azri_sys_posix.unlinkat(dir, path, flags);
}

static int faulty_openat(int dir, const char *path, int flags, mode_t mode)
{
    return strikes() ? -1 : azri_sys_posix.openat(dir, path, flags, mode);
}

/* Each removal fails once: it is told, and the rest stays until the next. */
static void test_each_removal_fails(void **state)
{
    int told = 0;

    (void)state;
    g_sys.unlinkat = faulty_unlinkat;
    for (int n = 0;; n++) {
        int rc;

        plant();
        fault(EBUSY, n);
        rc = azri_remove_all(g_at, "d", &err);
        if (g_after >= 0) {
            assert_int_equal(rc, AZR_OK);
            break;
        }
        assert_told(rc, AZR_SUB_UNLINK, EBUSY, "remove ");
        assert_true(exists("d"));
        told++;
        OK(azri_remove_all(g_at, "d", &err));
    }
    assert_false(exists("d"));
    assert_in_range(told, 7, 100);
}

static void test_a_directory_that_cannot_be_opened(void **state)
{
    (void)state;
    plant();
    g_sys.openat = faulty_openat;
    fault(EMFILE, 0);
    assert_told(azri_remove_all(g_at, "d", &err), AZR_SUB_OPEN, EMFILE,
                "open 'd': ");
    fault(EIO, 1); /* its list */
    assert_told(azri_remove_all(g_at, "d", &err), AZR_SUB_OPEN, EIO,
                "open '.': ");
    fault(ENOENT, 0); /* somebody else has removed it meanwhile */
    OK(azri_remove_all(g_at, "d", &err));
    assert_true(exists("d")); /* we looked no further */
    OK(azri_remove_all(g_at, "d", &err));
    assert_false(exists("d"));
}

/* Somebody adds a file whenever the directory is about to go. */
static int g_added, g_most;

static int adding_unlinkat(int dir, const char *path, int flags)
{
    if ((flags & AT_REMOVEDIR) && strcmp(path, "d") == 0 && g_added < g_most) {
        char name[32];

        (void)snprintf(name, sizeof name, "d/new-%d", g_added++);
        touch(name);
    }
    return azri_sys_posix.unlinkat(dir, path, flags);
}

static void test_somebody_adds_files(void **state)
{
    (void)state;
    plant();
    g_sys.unlinkat = adding_unlinkat;
    g_added = 0;
    g_most = 5;
    OK(azri_remove_all(g_at, "d", &err));
    assert_int_equal(g_added, 5);
    assert_false(exists("d"));
    plant();
    g_added = 0;
    g_most = 1000; /* it does not go on for ever */
    assert_told(azri_remove_all(g_at, "d", &err), AZR_SUB_UNLINK, ENOTEMPTY,
                "remove directory 'd': ");
    assert_in_range(g_added, 2, 100);
}

/* Somebody else is faster with each of them. */
static int late_unlinkat(int dir, const char *path, int flags)
{
    if (azri_sys_posix.unlinkat(dir, path, flags) != 0)
        return -1;
    errno = ENOENT;
    return -1;
}

static void test_somebody_else_removes_it(void **state)
{
    (void)state;
    plant();
    g_sys.unlinkat = late_unlinkat;
    OK(azri_remove_all(g_at, "d", &err));
    assert_false(exists("d"));
}

/* -------------------------------------------------------------------- copy --- */

static uint8_t g_bytes[NBYTES];

static int open_source(void)
{
    int fd = openat(g_at, "from", O_RDWR | O_CREAT | O_CLOEXEC, 0644);

    for (size_t i = 0; i < NBYTES; i++)
        g_bytes[i] = (uint8_t)(i * 7 + i / 256);
    assert_in_range(fd, 0, 1000);
    assert_int_equal(write(fd, g_bytes, NBYTES), NBYTES);
    return fd;
}

static int open_target(void)
{
    int fd = openat(g_at, "to", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_in_range(fd, 0, 1000);
    return fd;
}

static void assert_copied(int fd)
{
    static uint8_t found[NBYTES + 1];

    assert_int_equal(pread(fd, found, sizeof found, 0), NBYTES);
    assert_memory_equal(found, g_bytes, NBYTES);
}

static int no_clone(int to, int from)
{
    (void)to;
    (void)from;
    errno = EOPNOTSUPP;
    return -1;
}

static int g_clones;

/* A file system that can share. */
static int sharing_clone(int to, int from)
{
    static uint8_t bytes[NBYTES];

    g_clones++;
    return pread(from, bytes, NBYTES, 0) == NBYTES &&
                   pwrite(to, bytes, NBYTES, 0) == NBYTES
               ? 0
               : -1;
}

static ssize_t g_part; /* of each call; 0: none, below: it fails */
static int g_interrupted;

static ssize_t short_range(int from, int to, off_t off, size_t n)
{
    if (g_interrupted > 0) {
        g_interrupted--;
        errno = EINTR;
        return -1;
    }
    if (g_part < 0)
        errno = g_error;
    if (g_part <= 0)
        return g_part;
    return azri_sys_posix.copy_range(from, to, off,
                                     n < (size_t)g_part ? n : (size_t)g_part);
}

static void test_copies(void **state)
{
    int from = open_source(), to = open_target();

    (void)state;
    g_sys.clone = sharing_clone;
    g_clones = 0;
    OK(azri_copy_content(to, from, 0, "x", &err));
    assert_int_equal(g_clones, 0);
    OK(azri_copy_content(to, from, NBYTES, "x", &err));
    assert_int_equal(g_clones, 1);
    assert_copied(to);
    g_sys.clone = no_clone;
    g_sys.copy_range = short_range;
    (void)close(to);
    to = open_target();
    g_part = 70001; /* in parts, and interrupted */
    g_interrupted = 2;
    OK(azri_copy_content(to, from, NBYTES, "x", &err));
    assert_copied(to);
    (void)close(to);
    (void)close(from);
}

/* The kernel does not, or no longer: the rest goes by hand. */
static void test_copies_by_hand(void **state)
{
    int from = open_source(), to = open_target();

    (void)state;
    g_sys.clone = no_clone;
    g_sys.copy_range = short_range;
    g_part = 0;
    OK(azri_copy_content(to, from, NBYTES, "x", &err));
    assert_copied(to);
    (void)close(to);
    to = open_target();
    g_part = -1;
    g_error = EXDEV;
    OK(azri_copy_content(to, from, NBYTES, "x", &err));
    assert_copied(to);
    (void)close(to);
    (void)close(from);
}

static ssize_t faulty_pwrite(int fd, const void *buf, size_t n, off_t off)
{
    return strikes() ? -1 : azri_sys_posix.pwrite(fd, buf, n, off);
}

static ssize_t faulty_pread(int fd, void *buf, size_t n, off_t off)
{
    return strikes() ? -1 : azri_sys_posix.pread(fd, buf, n, off);
}

static void test_copies_that_fail(void **state)
{
    int from = open_source(), to = open_target();

    (void)state;
    g_sys.clone = no_clone;
    g_sys.copy_range = short_range;
    g_part = 0;
    g_sys.pwrite = faulty_pwrite;
    fault(ENOSPC, 1); /* of the second buffer */
    assert_told(azri_copy_content(to, from, NBYTES, "x", &err), AZR_SUB_WRITE,
                ENOSPC, "write 'x': ");
    g_sys.pwrite = azri_sys_posix.pwrite;
    g_sys.pread = faulty_pread;
    fault(EIO, 0);
    assert_told(azri_copy_content(to, from, NBYTES, "x", &err), AZR_SUB_READ,
                EIO, "read 'x': ");
    assert_int_equal(azri_copy_content(to, from, NBYTES + 9, "x", &err),
                     AZR_ECORRUPT); /* it has become shorter */
    assert_non_null(strstr(err.message, "'x' ends 9 bytes too early"));
    err = (azr_error)AZR_ERROR_INIT;
    azr_set_memory_cap(azri_heap_nbytes() + 1000);
    assert_int_equal(azri_copy_content(to, from, NBYTES, "x", &err),
                     AZR_ENOMEM);
    azr_set_memory_cap(0);
    assert_non_null(strstr(err.message, "out of memory: 262144 bytes"));
    (void)close(to);
    (void)close(from);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_below_goes),
        TEST(test_too_deep),
        TEST(test_each_removal_fails),
        TEST(test_a_directory_that_cannot_be_opened),
        TEST(test_somebody_adds_files),
        TEST(test_somebody_else_removes_it),
        TEST(test_copies),
        TEST(test_copies_by_hand),
        TEST(test_copies_that_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
