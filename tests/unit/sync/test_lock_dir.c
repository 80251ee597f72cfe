/* SPDX-License-Identifier: Apache-2.0 */
/* Locks of directories. Nobody sleeps: the pauses are faked. */
#include "unit/checks.h"

#include "base/stats.h"
#include "os/sys.h"
#include "sync/lock_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int dir, other; /* other: a description of its own */
static char name[64];
static struct azri_sys fake;
static int64_t pauses[64];
static unsigned pause_count, let_go_at;
static azri_patience patience;
static azr_cancel *g_cancel;
static int g_error; /* of flock; 0: it is made */
static azr_error err;

static int fake_wait(_Atomic uint32_t *word, uint32_t value,
                     const struct timespec *timeout)
{
    assert_int_equal(atomic_load(word), value); /* or it would not sleep */
    assert_in_range(pause_count, 0, 63);
    pauses[pause_count++] =
        timeout->tv_sec * INT64_C(1000000000) + timeout->tv_nsec;
    if (pause_count == let_go_at)
        assert_int_equal(flock(other, LOCK_UN), 0);
    if (g_cancel)
        azr_cancel_request(g_cancel);
    errno = ETIMEDOUT;
    return -1;
}

static int fake_flock(int fd, int operation)
{
    int error = g_error;

    if (error == 0)
        return azri_sys_posix.flock(fd, operation);
    if (error == EINTR) /* once */
        g_error = 0;
    errno = error;
    return -1;
}

static int begin(void **state)
{
    (void)state;
    (void)snprintf(name, sizeof name, "lock-dir-XXXXXX");
    if (!mkdtemp(name))
        return -1;
    dir = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    other = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fake = azri_sys_posix;
    fake.futex_wait = fake_wait;
    fake.flock = fake_flock;
    azri_sys = &fake;
    patience = (azri_patience){INT64_MAX, NULL};
    pause_count = let_go_at = 0;
    g_cancel = NULL;
    g_error = 0;
    err = (azr_error)AZR_ERROR_INIT;
    return dir >= 0 && other >= 0 ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    azri_sys = &azri_sys_posix;
    (void)rmdir(name);
    return close(dir) == 0 && close(other) == 0 ? 0 : -1;
}

static bool is_locked(void)
{
    bool locked = flock(other, LOCK_EX | LOCK_NB) != 0;

    if (!locked)
        assert_int_equal(flock(other, LOCK_UN), 0);
    return locked;
}

static void test_lock(void **state)
{
    int lock = -1;

    (void)state;
    g_error = EINTR;
    assert_int_equal(azri_dir_lock(&lock, dir, name, &patience, &err), AZR_OK);
    assert_true(lock >= 0);
    assert_true(is_locked());
    assert_int_equal(pause_count, 0);
    azri_dir_unlock(lock);
    assert_false(is_locked());
    azri_dir_unlock(-1);
}

/* Unlocked aloud: a child of a fork may have a copy of the description. */
static void test_copy_of_description(void **state)
{
    int lock = -1, copy;

    (void)state;
    assert_int_equal(azri_dir_lock(&lock, dir, name, &patience, &err), AZR_OK);
    copy = dup(lock);
    azri_dir_unlock(lock);
    assert_false(is_locked());
    assert_int_equal(close(copy), 0);
}

/* Looks again soon, and ever more seldom: 0.2 ms to some 20 ms. */
static void test_waits(void **state)
{
    uint64_t lock_calls = atomic_load(&azri_stats.lock_calls),
             lock_waits = atomic_load(&azri_stats.lock_waits);
    int lock = -1;

    (void)state;
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
    let_go_at = 12;
    assert_int_equal(azri_dir_lock(&lock, dir, name, &patience, &err), AZR_OK);
    assert_int_equal(pause_count, 12);
    assert_int_equal(atomic_load(&azri_stats.lock_calls) - lock_calls, 13);
    assert_int_equal(atomic_load(&azri_stats.lock_waits) - lock_waits, 12);
    assert_int_equal(pauses[0], 200000);
    for (unsigned i = 1; i < 12; i++)
        assert_int_equal(pauses[i], i < 7 ? pauses[i - 1] * 2 : 25600000);
    azri_dir_unlock(lock);
}

static void test_gives_up(void **state)
{
    int lock = -7;

    (void)state;
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
    patience.deadline_ns = 0;
    assert_int_equal(azri_dir_lock(&lock, dir, name, &patience, &err),
                     AZR_EBUSY);
    assert_non_null(strstr(err.message, "time-out"));
    assert_int_equal(pause_count, 0);
    err = (azr_error)AZR_ERROR_INIT;
    patience.deadline_ns = INT64_MAX;
    assert_int_equal(azr_cancel_new(&g_cancel), AZR_OK);
    patience.cancel = g_cancel;
    assert_int_equal(azri_dir_lock(&lock, dir, name, &patience, &err),
                     AZR_ECANCELED);
    assert_non_null(strstr(err.message, "canceled"));
    assert_int_equal(pause_count, 1);
    assert_int_equal(lock, -7);
    azr_cancel_free(g_cancel);
}

static void test_errors(void **state)
{
    static const int cannot[] = {EOPNOTSUPP, ENOSYS, EBADF};
    int lock = -7;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        err = (azr_error)AZR_ERROR_INIT;
        g_error = cannot[i];
        assert_int_equal(azri_dir_lock(&lock, dir, name, &patience, &err),
                         AZR_EUNSUPPORTED);
        assert_int_equal(err.sub, AZR_SUB_FILESYSTEM);
        assert_non_null(strstr(err.message, "cannot lock directories"));
    }
    err = (azr_error)AZR_ERROR_INIT;
    g_error = ENOLCK;
    assert_int_equal(azri_dir_lock(&lock, dir, name, &patience, &err), AZR_EIO);
    assert_int_equal(err.sub, AZR_SUB_LOCK);
    assert_int_equal(err.sys_errno, ENOLCK);
    assert_int_equal(lock, -7);
}

static int no_openat(int at, const char *path, int flags, mode_t mode)
{
    (void)at;
    (void)path;
    (void)flags;
    (void)mode;
    errno = ENOENT;
    return -1;
}

static void test_removed(void **state)
{
    int lock = -7;

    (void)state;
    fake.openat = no_openat;
    assert_int_equal(azri_dir_lock(&lock, dir, name, &patience, &err),
                     AZR_ENOTFOUND);
    assert_non_null(strstr(err.message, "was removed"));
    err = (azr_error)AZR_ERROR_INIT;
    fake.openat = azri_sys_posix.openat;
    assert_int_equal(azri_dir_lock(&lock, -1, name, &patience, &err), AZR_EIO);
    assert_int_equal(err.sys_errno, EBADF);
    assert_int_equal(lock, -7);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_lock),   T(test_copy_of_description),
        T(test_waits),  T(test_gives_up),
        T(test_errors), T(test_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
