/* SPDX-License-Identifier: Apache-2.0 */
/* Directories that live as long as somebody holds them: rivals at each step, errors
 * of each call, and what stands in their place. */
#include "unit/checks.h"

#include "base/alloc.h"
#include "sync/owned_dir.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#define ID "0123456789abcdef0123456789abcdef"

static int above;
static char root[64];
static struct azri_sys fake;
static azr_error err;
static azri_owned o;
static unsigned g_descriptors; /* of this process, before the test */

/* The next calls that fail, and what somebody does before they are made. */
static int g_error;
static unsigned g_times, g_skip;
static void (*g_before)(void);

static bool fails(void)
{
    if (g_before)
        g_before();
    if (g_skip > 0) {
        g_skip--;
        return false;
    }
    if (g_times == 0)
        return false;
    g_times--;
    errno = g_error;
    return true;
}

static int fake_mkdirat(int dir, const char *path, mode_t mode)
{
    return fails() ? -1 : azri_sys_posix.mkdirat(dir, path, mode);
}

static int fake_openat(int dir, const char *path, int flags, mode_t mode)
{
    return fails() ? -1 : azri_sys_posix.openat(dir, path, flags, mode);
}

static int fake_flock(int fd, int operation)
{
    return fails() ? -1 : azri_sys_posix.flock(fd, operation);
}

static int fake_fstat(int fd, struct stat *st)
{
    return fails() ? -1 : azri_sys_posix.fstat(fd, st);
}

static int fake_fstatat(int dir, const char *path, struct stat *st, int flags)
{
    return fails() ? -1 : azri_sys_posix.fstatat(dir, path, st, flags);
}

/* A file system that is not the one of the open directory. */
static int strange_fstatat(int dir, const char *path, struct stat *st,
                           int flags)
{
    int rc = azri_sys_posix.fstatat(dir, path, st, flags);

    st->st_dev++;
    return rc;
}

/* Another directory. */
static int other_fstatat(int dir, const char *path, struct stat *st, int flags)
{
    int rc = azri_sys_posix.fstatat(dir, path, st, flags);

    st->st_ino++;
    return rc;
}

static int fake_fchmod(int fd, mode_t mode)
{
    return fails() ? -1 : azri_sys_posix.fchmod(fd, mode);
}

static ssize_t fake_pwrite(int fd, const void *buf, size_t n, off_t off)
{
    return fails() ? -1 : azri_sys_posix.pwrite(fd, buf, n, off);
}

static ssize_t fake_getrandom(void *buf, size_t n)
{
    return fails() ? -1 : azri_sys_posix.getrandom(buf, n);
}

static int begin(void **state)
{
    (void)state;
    (void)umask(022);
    g_descriptors = count_descriptors();
    (void)snprintf(root, sizeof root, "owned-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    above = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fake = azri_sys_posix;
    azri_sys = &fake;
    g_times = g_skip = 0;
    g_before = NULL;
    err = (azr_error)AZR_ERROR_INIT;
    o = (azri_owned)AZRI_OWNED_INIT;
    return above >= 0 ? 0 : -1;
}

static int end(void **state)
{
    char command[96];

    (void)state;
    azri_sys = &azri_sys_posix;
    azri_owned_close(&o);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    return close(above) == 0 && count_descriptors() == g_descriptors &&
                   system(command) == 0
               ? 0
               : -1;
}

static int make(void)
{
    err = (azr_error)AZR_ERROR_INIT;
    return azri_owned_make(&o, above, "p", 0755, getegid(), &err);
}

/* Names in the directory above. */
static unsigned entries(void)
{
    DIR *d = opendir(root);
    unsigned n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    assert_int_equal(closedir(d), 0);
    return n - 2;
}

static void will_fail(unsigned skip, unsigned times, int error)
{
    g_skip = skip;
    g_times = times;
    g_error = error;
}

/* An error that is told, of nothing that stays. */
static void assert_refused(int rc, int code, int sub)
{
    assert_int_equal(rc, code);
    assert_int_equal(err.code, code);
    assert_int_equal(err.sub, sub);
    assert_string_not_equal(err.message, "");
    assert_int_equal(o.dir, -1);
    g_times = 0;
    assert_int_equal(entries(), 0);
}

static void test_names(void **state)
{
    (void)state;
    assert_true(azri_owned_is_name("p" ID, "p"));
    assert_true(azri_owned_is_name(ID, ""));
    assert_false(azri_owned_is_name("q" ID, "p"));
    assert_false(azri_owned_is_name("p" ID "0", "p"));
    assert_false(azri_owned_is_name("p0123456789ABCDEF0123456789abcdef", "p"));
    assert_false(azri_owned_is_name("p", "p"));
}

static void test_life(void **state)
{
    azri_owner who;
    char name[AZRI_OWNED_NAME_MAX];
    uint32_t n = 0;

    (void)state;
    assert_int_equal(make(), AZR_OK);
    assert_true(azri_owned_is_name(o.name, "p"));
    assert_true(azri_owned_is_held(above, o.name));
    azri_owned_who(&who, o.dir);
    assert_int_equal(who.pid, getpid());
    assert_int_equal(who.uid, geteuid());
    assert_true(who.start_ns > 0);
    assert_int_equal(azri_owned_collect(above, "p", &n, &err), AZR_OK);
    assert_int_equal(n, 0);
    memcpy(name, o.name, sizeof name);
    azri_owned_close(&o);
    assert_int_equal(entries(), 0);
    assert_false(azri_owned_is_held(above, name));
    azri_owned_close(&o); /* nothing any more */
}

/* A child's copy of the descriptor holds it too. */
static void test_last_one_removes(void **state)
{
    int go[2], status = 0;
    char c;
    pid_t child;

    (void)state;
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    assert_int_equal(make(), AZR_OK);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(go[1]);
        (void)!read(go[0], &c, 1);
        azri_owned_close(&o);
        _exit(entries() == 0 ? 0 : 1);
    }
    azri_owned_close(&o);
    assert_int_equal(entries(), 1);
    assert_int_equal(close(go[1]), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(close(go[0]), 0);
}

/* ------------------------------------------------------------------ errors --- */

static void test_errors_of_making(void **state)
{
    static const int cannot[] = {EOPNOTSUPP, ENOSYS, EBADF};

    (void)state;
    fake.openat = fake_openat;
    will_fail(0, 1, EMFILE);
    assert_refused(make(), AZR_EIO, AZR_SUB_OPEN); /* above, once more */
    will_fail(1, 1, EACCES);
    assert_refused(make(), AZR_EPERM, AZR_SUB_OPEN); /* itself */
    will_fail(2, 1, ENOSPC);
    assert_refused(make(), AZR_EIO, AZR_SUB_OPEN); /* who */
    will_fail(2, 1, ENOENT);
    assert_refused(make(), AZR_ENOTFOUND, AZR_SUB_NONE);
    fake = azri_sys_posix;
    fake.getrandom = fake_getrandom;
    will_fail(0, 1, ENOSYS);
    assert_refused(make(), AZR_EIO, AZR_SUB_CALL);
    fake = azri_sys_posix;
    fake.mkdirat = fake_mkdirat;
    will_fail(0, 1, EROFS);
    assert_refused(make(), AZR_EPERM, AZR_SUB_MKDIR);
    fake = azri_sys_posix;
    fake.pwrite = fake_pwrite;
    will_fail(0, 1, ENOSPC);
    assert_refused(make(), AZR_EIO, AZR_SUB_WRITE);
    fake = azri_sys_posix;
    fake.fstat = fake_fstat;
    will_fail(0, 1, EIO);
    assert_refused(make(), AZR_EIO, AZR_SUB_STAT);
    will_fail(1, 1, EIO);
    assert_refused(make(), AZR_EIO, AZR_SUB_STAT);
    fake = azri_sys_posix;
    fake.fstatat = fake_fstatat;
    will_fail(0, 1, EIO);
    assert_refused(make(), AZR_EIO, AZR_SUB_STAT);
    fake = azri_sys_posix;
    fake.fchmod = fake_fchmod; /* its rights are not those that are wanted */
    (void)umask(077);
    will_fail(0, 1, EIO);
    assert_refused(make(), AZR_EIO, AZR_SUB_CALL);
    (void)umask(022);
    fake = azri_sys_posix;
    fake.flock = fake_flock;
    for (size_t i = 0; i < 3; i++) {
        will_fail(0, 1, cannot[i]);
        assert_refused(make(), AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM);
    }
    will_fail(0, 1, ENOLCK);
    assert_refused(make(), AZR_EIO, AZR_SUB_LOCK);
}

/* ------------------------------------------------------------------ rivals --- */

/* A rival takes it for rubbish as soon as it is made, before its lock is ours. */
static void remove_every_one(void)
{
    char command[128];

    (void)snprintf(command, sizeof command, "rm -rf '%s'/p*", root);
    assert_int_equal(system(command), 0);
    g_before = NULL; /* once */
}

static void test_rivals(void **state)
{
    (void)state;
    fake.mkdirat = fake_mkdirat; /* the name is taken */
    will_fail(0, 3, EEXIST);
    assert_int_equal(make(), AZR_OK);
    azri_owned_close(&o);
    fake = azri_sys_posix;
    fake.flock = fake_flock; /* gone before the lock: seen after it */
    g_before = remove_every_one;
    assert_int_equal(make(), AZR_OK);
    assert_int_equal(entries(), 1);
    azri_owned_close(&o);
    will_fail(0, 1, EWOULDBLOCK); /* the rival has the lock */
    assert_int_equal(make(), AZR_OK);
    azri_owned_close(&o);
    fake = azri_sys_posix;
    fake.openat = fake_openat; /* gone before it was opened */
    will_fail(1, 1, ENOENT);
    assert_int_equal(make(), AZR_OK);
    azri_owned_close(&o);
    fake = azri_sys_posix;
    fake.fstatat = strange_fstatat; /* another one in its place, each time */
    assert_int_equal(make(), AZR_EBUSY);
    assert_non_null(strstr(err.message, "removed 16 times"));
    assert_int_equal(o.dir, -1);
}

/* ----------------------------------------------------------------- collect --- */

static void put_dir(const char *name)
{
    assert_int_equal(mkdirat(above, name, 0755), 0);
}

static void test_collect(void **state)
{
    uint32_t n = 0;
    int held;

    (void)state;
    put_dir("p" ID);
    put_dir("p" ID "/below");
    put_dir("q" ID);
    put_dir("p0123456789abcdef0123456789abcde0");
    assert_int_equal(
        symlinkat("/etc", above, "p0123456789abcdef0123456789abcde1"), 0);
    held = openat(above, "p0123456789abcdef0123456789abcde0",
                  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(held, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(azri_owned_collect(above, "p", &n, &err), AZR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(entries(), 3); /* q, the one that is held, the link */
    assert_true(azri_owned_is_held(above, "p0123456789abcdef0123456789abcde0"));
    assert_int_equal(close(held), 0);
    fake.fstatat = strange_fstatat; /* another one came in its place */
    assert_int_equal(azri_owned_collect(above, "p", &n, &err), AZR_OK);
    assert_int_equal(n, 1);
    fake.fstatat = other_fstatat;
    assert_int_equal(azri_owned_collect(above, "p", &n, &err), AZR_OK);
    assert_int_equal(n, 1);
    fake = azri_sys_posix;
    fake.fstat = fake_fstat; /* or that cannot be told */
    will_fail(0, 1, EIO);
    assert_int_equal(azri_owned_collect(above, "p", &n, &err), AZR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(azri_owned_collect(above, "p", &n, &err), AZR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(entries(), 2);
}

static int no_unlinkat(int dir, const char *path, int flags)
{
    (void)dir;
    (void)path;
    (void)flags;
    errno = EPERM;
    return -1;
}

/* What may not be removed is left, and is not counted. */
static void test_collect_in_vain(void **state)
{
    uint32_t n = 0;

    (void)state;
    put_dir("p" ID);
    fake.unlinkat = no_unlinkat;
    assert_int_equal(azri_owned_collect(above, "p", &n, &err), AZR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(entries(), 1);
}

/* --------------------------------------------------------------------- who --- */

static azri_owner who_says(const char *text)
{
    azri_owner who;
    int dir, fd;

    put_dir("w");
    dir = openat(above, "w", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = openat(dir, AZRI_OWNED_WHO, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    azri_owned_who(&who, dir);
    assert_int_equal(unlinkat(dir, AZRI_OWNED_WHO, 0), 0);
    assert_int_equal(close(dir), 0);
    assert_int_equal(unlinkat(above, "w", AT_REMOVEDIR), 0);
    return who;
}

/* For people, and never trusted. */
static void test_who(void **state)
{
    static const char *const strange[] = {
        "",
        "no numbers",
        "0 1 2 host\n",
        "99999999999 1 2 host\n",
        "1 99999999999 2 host\n",
        "1 2 3",
        "1 2 3host\n",
    };
    char text[300] = "7 8 9 ";
    azri_owner who;

    (void)state;
    who = who_says("41 42 43 ho\tst\x7f\xc3\n and more");
    assert_int_equal(who.pid, 41);
    assert_int_equal(who.uid, 42);
    assert_int_equal(who.start_ns, 43);
    assert_string_equal(who.host, "ho?st??");
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        who = who_says(strange[i]);
        assert_int_equal(who.pid, 0);
        assert_string_equal(who.host, "");
    }
    who = who_says("1 2 3 x");
    assert_string_equal(who.host, "x");
    memset(text + 6, 'h', 100);
    who = who_says(text);
    assert_int_equal(strlen(who.host), sizeof who.host - 1);
    memset(text + 6, 'h', 280); /* longer than anybody wrote */
    who = who_says(text);
    assert_int_equal(who.pid, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_names),
        T(test_life),
        T(test_last_one_removes),
        T(test_errors_of_making),
        T(test_rivals),
        T(test_collect),
        T(test_collect_in_vain),
        T(test_who),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
