/* SPDX-License-Identifier: Apache-2.0 */
/* Range locks of open file descriptions, of two of one file. */
#include "unit/checks.h"

#include "base/stats.h"
#include "os/sys.h"
#include "sync/lock_ofd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int a, b;
static struct azri_sys fake;
static unsigned calls;
static const int *errors; /* of the next calls, 0: it is made */
static azr_error err;

static int fake_lock(int fd, int cmd, struct flock *fl)
{
    int error = errors ? errors[calls] : 0;

    calls++;
    if (error == 0)
        return azri_sys_posix.lock(fd, cmd, fl);
    errno = error;
    return -1;
}

static int begin(void **state)
{
    (void)state;
    a = open("ofd.state", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    b = open("ofd.state", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    fake = azri_sys_posix;
    fake.lock = fake_lock;
    azri_sys = &fake;
    errors = NULL;
    calls = 0;
    err = (azr_error)AZR_ERROR_INIT;
    return a >= 0 && b >= 0 ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    azri_sys = &azri_sys_posix;
    return close(a) == 0 && close(b) == 0 ? 0 : -1;
}

static void plan(const int *list)
{
    errors = list;
    calls = 0;
    err = (azr_error)AZR_ERROR_INIT;
}

static const azri_range range = {1000, 1007, true},
                        shared = {1000, 1007, false};

static void assert_told(int rc, int number, const char *what)
{
    assert_int_equal(rc, AZR_EIO);
    assert_int_equal(err.sub, AZR_SUB_LOCK);
    assert_int_equal(err.sys_errno, number);
    assert_non_null(strstr(err.message, what));
}

static void test_try(void **state)
{
    static const int interrupted[] = {EINTR, EINTR, 0}, refused[] = {EACCES},
                     fails[] = {ENOLCK};
    uint64_t before = atomic_load(&azri_stats.lock_calls);

    (void)state;
    plan(interrupted);
    assert_int_equal(azri_ofd_try(a, &range, &err), AZR_OK);
    assert_int_equal(calls, 3);
    assert_int_equal(atomic_load(&azri_stats.lock_calls) - before, 1);
    plan(NULL);
    assert_int_equal(azri_ofd_try(b, &shared, &err), AZR_EBUSY);
    assert_int_equal(err.code, 0);
    plan(refused);
    assert_int_equal(azri_ofd_try(b, &shared, &err), AZR_EBUSY);
    assert_int_equal(err.code, 0);
    plan(fails);
    assert_told(azri_ofd_try(b, &shared, &err), ENOLCK, "lock .azr/state");
}

static void test_wait(void **state)
{
    static const int interrupted[] = {EINTR, 0}, fails[] = {EDEADLK};

    (void)state;
    plan(interrupted);
    assert_int_equal(azri_ofd_wait(a, &range, &err), AZR_OK);
    plan(NULL);
    assert_true(azri_ofd_busy(b, &shared));
    plan(fails);
    assert_told(azri_ofd_wait(b, &range, &err), EDEADLK, "lock .azr/state");
}

static void test_unlock(void **state)
{
    static const int fails[] = {EIO};

    (void)state;
    assert_int_equal(azri_ofd_try(a, &range, &err), AZR_OK);
    plan(fails);
    assert_told(azri_ofd_unlock(a, 1000, 1007, &err), EIO, "unlock");
    plan(NULL);
    assert_true(azri_ofd_busy(b, &shared));
    assert_int_equal(azri_ofd_unlock(a, 1000, 1003, &err), AZR_OK);
    assert_true(azri_ofd_busy(b, &shared)); /* the rest of it */
    assert_int_equal(azri_ofd_unlock(a, 1004, 1007, &err), AZR_OK);
    assert_false(azri_ofd_busy(b, &shared));
}

static void test_conflict(void **state)
{
    static const int fails[] = {EIO};
    struct flock fl = {
        .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 1002, .l_len = 3};
    azri_range found = {0, 0, true};

    (void)state;
    assert_false(azri_ofd_conflict(b, &range, &found));
    assert_int_equal(fcntl(a, F_OFD_SETLK, &fl), 0);
    assert_true(azri_ofd_conflict(b, &range, &found));
    assert_int_equal(found.first, 1002);
    assert_int_equal(found.last, 1004);
    assert_false(found.exclusive);
    assert_false(azri_ofd_conflict(b, &shared, &found));
    fl.l_type = F_WRLCK;
    fl.l_len = 0; /* to the end of all files */
    assert_int_equal(fcntl(a, F_OFD_SETLK, &fl), 0);
    assert_true(azri_ofd_conflict(b, &shared, &found));
    assert_int_equal(found.first, 1002);
    assert_true(found.last == UINT64_MAX);
    assert_true(found.exclusive);
    plan(fails); /* cannot be told: no */
    assert_false(azri_ofd_conflict(b, &shared, &found));
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_try),
        T(test_wait),
        T(test_unlock),
        T(test_conflict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
