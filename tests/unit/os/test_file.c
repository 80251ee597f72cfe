/* SPDX-License-Identifier: Apache-2.0 */
/* Files: whole transfers or an error that names the call and the errno; directories
 * that are made, listed and taken away beside others who do the same; what a file
 * system refuses. */
#include "unit/core/small.h"

#include "base/alloc.h"
#include "os/file.h"
#include "os/tree.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/file.h>

static char g_dir[64];
static int g_at = -1;
static azr_error err;
static struct azri_sys g_sys;

/* The next `times` calls of one name answer so. */
static struct {
    int error;
    int times;
    ssize_t most; /* of a transfer; below 0: fail */
} g_fault;

static bool strikes(void)
{
    if (g_fault.times == 0)
        return false;
    g_fault.times--;
    errno = g_fault.error;
    return true;
}

static int set_up(void **state)
{
    (void)state;
    small_dir(g_dir, "file");
    g_at = open(g_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_in_range(g_at, 0, 1000);
    g_sys = azri_sys_posix;
    memset(&g_fault, 0, sizeof g_fault);
    azri_sys = &g_sys;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(g_fault.times, 0); /* … the last one, too */
    azri_sys = &azri_sys_posix;
    (void)close(g_at);
    small_dir_remove(g_dir);
    return 0;
}

static void fault(int error, int times)
{
    assert_int_equal(g_fault.times, 0); /* the one before was met */
    g_fault.error = error;
    g_fault.times = times;
    g_fault.most = -1;
}

static int put(const char *name, const char *text)
{
    int fd = openat(g_at, name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

    assert_in_range(fd, 0, 1000);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return fd;
}

/* The code, the sub-code and the errno of a call that failed, and its text. */
static void assert_told(int rc, int code, int sub, int number, const char *text)
{
    if (rc != code || err.code != code || err.sub != sub ||
        err.sys_errno != number || !strstr(err.message, text))
        fail_msg("%s, sub %d, errno %d: \"%s\"", azr_status_name(rc), err.sub,
                 err.sys_errno, err.message);
    err = (azr_error)AZR_ERROR_INIT;
}

/* -------------------------------------------------------------- transfers --- */

static ssize_t faulty_pread(int fd, void *buf, size_t n, off_t off)
{
    if (strikes())
        return g_fault.most < 0
                   ? -1
                   : azri_sys_posix.pread(fd, buf, (size_t)g_fault.most, off);
    return azri_sys_posix.pread(fd, buf, n, off);
}

static ssize_t faulty_pwrite(int fd, const void *buf, size_t n, off_t off)
{
    if (strikes())
        return g_fault.most < 0
                   ? -1
                   : azri_sys_posix.pwrite(fd, buf, (size_t)g_fault.most, off);
    return azri_sys_posix.pwrite(fd, buf, n, off);
}

static void test_reads_are_whole(void **state)
{
    int fd = put("x", "abcdefgh");
    char got[8] = "";

    (void)state;
    g_sys.pread = faulty_pread;
    fault(EINTR, 3);
    OK(azri_pread_full(fd, got, 8, 0, "x", &err));
    assert_memory_equal(got, "abcdefgh", 8);
    g_fault.most = 3; /* short, twice */
    g_fault.times = 2;
    memset(got, 0, sizeof got);
    OK(azri_pread_full(fd, got, 7, 1, "x", &err));
    assert_memory_equal(got, "bcdefgh", 7);
    fault(ESTALE, 1);
    assert_told(azri_pread_full(fd, got, 8, 0, "x", &err), AZR_EIO,
                AZR_SUB_READ, ESTALE, "read 'x': ");
    assert_told(azri_pread_full(fd, got, 6, 4, "x", &err), AZR_ECORRUPT,
                AZR_SUB_CHUNK, 0, "'x' ends 2 bytes too early");
    (void)close(fd);
}

static void test_writes_are_whole(void **state)
{
    int fd = put("x", "");
    char got[8] = "";

    (void)state;
    g_sys.pwrite = faulty_pwrite;
    fault(EINTR, 2);
    OK(azri_pwrite_full(fd, "abcdefgh", 8, 0, "x", &err));
    g_fault.most = 2;
    g_fault.times = 3;
    OK(azri_pwrite_full(fd, "ABCDEFGH", 8, 0, "x", &err));
    OK(azri_pread_full(fd, got, 8, 0, "x", &err));
    assert_memory_equal(got, "ABCDEFGH", 8);
    fault(ENOSPC, 1);
    assert_told(azri_pwrite_full(fd, "abc", 3, 0, "x", &err), AZR_EIO,
                AZR_SUB_WRITE, ENOSPC, "write 'x': ");
    g_fault.most = 0; /* none, and no error: it would be for ever */
    g_fault.times = 1;
    assert_told(azri_pwrite_full(fd, "abc", 3, 0, "x", &err), AZR_EIO,
                AZR_SUB_WRITE, EIO, "write 'x': ");
    (void)close(fd);
}

static ssize_t faulty_getrandom(void *buf, size_t n)
{
    if (strikes())
        return g_fault.most < 0
                   ? -1
                   : azri_sys_posix.getrandom(buf, (size_t)g_fault.most);
    return azri_sys_posix.getrandom(buf, n);
}

static void test_random_bytes_are_all(void **state)
{
    uint8_t bytes[32] = {0}, none[32] = {0};

    (void)state;
    g_sys.getrandom = faulty_getrandom;
    fault(EINTR, 2);
    OK(azri_random(bytes, sizeof bytes, &err));
    assert_memory_not_equal(bytes, none, sizeof bytes);
    g_fault.most = 16;
    g_fault.times = 1;
    memset(bytes, 0, sizeof bytes);
    OK(azri_random(bytes, sizeof bytes, &err));
    assert_memory_not_equal(bytes + 16, none, 16);
    fault(ENOSYS, 1);
    assert_told(azri_random(bytes, 4, &err), AZR_EIO, AZR_SUB_CALL, ENOSYS,
                "getrandom: ");
    g_fault.most = 0;
    g_fault.times = 1;
    assert_told(azri_random(bytes, 4, &err), AZR_EIO, AZR_SUB_CALL, EIO,
                "getrandom: ");
}

/* ------------------------------------------------------------ whole files --- */

static int faulty_fstat(int fd, struct stat *st)
{
    return strikes() ? -1 : azri_sys_posix.fstat(fd, st);
}

static int faulty_openat(int dir, const char *path, int flags, mode_t mode)
{
    return strikes() ? -1 : azri_sys_posix.openat(dir, path, flags, mode);
}

static void test_reading_a_file(void **state)
{
    azri_buf b = AZRI_BUF_INIT;
    azri_identity one, two;

    (void)state;
    (void)close(put("x", "twelve bytes"));
    OK(azri_read_file(&b, &one, g_at, "x", 12, &err));
    assert_int_equal(b.nbytes, 12);
    assert_memory_equal(b.data, "twelve bytes", 12);
    assert_int_equal(one.nbytes, 12);
    OK(azri_read_file(&b, &two, g_at, "x", 100, &err));
    assert_true(azri_identity_same(&one, &two));
    assert_told(azri_read_file(&b, NULL, g_at, "x", 11, &err), AZR_ECORRUPT,
                AZR_SUB_METADATA, 0, "'x' has 12 bytes, more than 11");
    assert_int_equal(azri_read_file(&b, NULL, g_at, "y", 11, &err),
                     AZR_ENOTFOUND);
    assert_int_equal(err.code, 0);
    azri_buf_dispose(&b);
    assert_int_equal(truncate(small_path(g_dir, "x"), 4000), 0);
    azr_set_memory_cap(azri_heap_nbytes() + 100);
    assert_told(azri_read_file(&b, NULL, g_at, "x", 4000, &err), AZR_ENOMEM, 0,
                0, "out of memory: 4001 bytes wanted");
    azr_set_memory_cap(0);
    g_sys.pread = faulty_pread;
    fault(EIO, 1);
    assert_told(azri_read_file(&b, NULL, g_at, "x", 4000, &err), AZR_EIO,
                AZR_SUB_READ, EIO, "read 'x': ");
    assert_int_equal(b.nbytes, 0);
    azri_buf_dispose(&b);
}

/* Each part of what tells one version of a file from the next. */
static void test_identities(void **state)
{
    const azri_identity id = {1, 2, 3, 4, 5};
    azri_identity other = id;

    (void)state;
    assert_true(azri_identity_same(&id, &other));
    other.dev++;
    assert_false(azri_identity_same(&id, &other));
    other = id;
    other.ino++;
    assert_false(azri_identity_same(&id, &other));
    other = id;
    other.nbytes++;
    assert_false(azri_identity_same(&id, &other));
    other = id;
    other.mtime_ns++;
    assert_false(azri_identity_same(&id, &other));
    other = id;
    other.ctime_ns++;
    assert_false(azri_identity_same(&id, &other));
}

/* No FIFO blocks us, no directory is read, no loop followed. */
static void test_what_is_no_regular_file(void **state)
{
    char long_name[300];
    struct stat st;
    int fd = 7;

    (void)state;
    assert_int_equal(mkdirat(g_at, "d", 0755), 0);
    assert_int_equal(mkfifo(small_path(g_dir, "fifo"), 0644), 0);
    assert_int_equal(symlinkat("loop", g_at, "loop"), 0);
    assert_int_equal(symlinkat("nowhere", g_at, "dangling"), 0);
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_told(azri_open_regular(&fd, &st, g_at, "d", &err), AZR_ECORRUPT,
                AZR_SUB_CHUNK, 0, "'d' is not a regular file");
    assert_int_equal(fd, -1);
    assert_told(azri_open_regular(&fd, &st, g_at, "fifo", &err), AZR_ECORRUPT,
                AZR_SUB_CHUNK, 0, "'fifo' is not a regular file");
    assert_told(azri_open_regular(&fd, &st, g_at, "loop", &err), AZR_EIO,
                AZR_SUB_OPEN, ELOOP, "open 'loop': ");
    assert_told(azri_open_regular(&fd, &st, g_at, long_name, &err), AZR_EIO,
                AZR_SUB_OPEN, ENAMETOOLONG, "open 'nnn");
    assert_int_equal(azri_open_regular(&fd, &st, g_at, "d/x/y", &err),
                     AZR_ENOTFOUND);
    assert_int_equal(err.code, 0);
    (void)close(put("x", ""));
    assert_told(azri_open_regular(&fd, &st, g_at, "x/y", &err), AZR_EIO,
                AZR_SUB_OPEN, ENOTDIR, "open 'x/y': ");
    assert_int_equal(azri_open_regular(&fd, &st, g_at, "dangling", &err),
                     AZR_ENOTFOUND);
    g_sys.fstat = faulty_fstat;
    fault(ESTALE, 1);
    assert_told(azri_open_regular(&fd, &st, g_at, "x", &err), AZR_EIO,
                AZR_SUB_STAT, ESTALE, "stat 'x': ");
    assert_int_equal(fd, -1);
}

static void test_an_open_that_is_interrupted(void **state)
{
    int fd = -1;

    (void)state;
    (void)close(put("x", ""));
    g_sys.openat = faulty_openat;
    fault(EINTR, 3);
    OK(azri_open_at(&fd, g_at, "x", O_RDONLY, 0, &err));
    azri_close(fd);
    fault(EROFS, 1);
    assert_told(azri_open_at(&fd, g_at, "x", O_RDWR, 0, &err), AZR_EPERM,
                AZR_SUB_OPEN, EROFS, "open 'x': ");
    assert_int_equal(fd, -1);
    azri_close(fd); /* nothing */
}

/* ------------------------------------------------------------------- syncs --- */

static int faulty_sync(int fd)
{
    return strikes() ? -1 : azri_sys_posix.fsync(fd);
}

static void test_syncs(void **state)
{
    int fd = put("x", "");

    (void)state;
    OK(azri_fsync_fd(fd, "x", &err));
    OK(azri_fdatasync_fd(fd, "x", &err));
    OK(azri_fsync_dir(g_at, ".", &err));
    OK(azri_fsync_dir_after(g_at, "it", &err));
    g_sys.fsync = g_sys.fdatasync = faulty_sync;
    fault(EIO, 1);
    assert_told(azri_fsync_fd(fd, "x", &err), AZR_EIO, AZR_SUB_SYNC, EIO,
                "fsync 'x': ");
    fault(ENOSPC, 1);
    assert_told(azri_fdatasync_fd(fd, "x", &err), AZR_EIO, AZR_SUB_SYNC, ENOSPC,
                "fdatasync 'x': ");
    assert_told(azri_fsync_dir(g_at, "gone", &err), AZR_EIO, AZR_SUB_OPEN,
                ENOENT, "open 'gone': ");
    assert_told(azri_fsync_dir(g_at, "x", &err), AZR_EIO, AZR_SUB_OPEN, ENOTDIR,
                "open 'x': ");
    fault(EIO, 1);
    assert_told(azri_fsync_dir_after(g_at, "it", &err), AZR_EUNKNOWN,
                AZR_SUB_SYNC, EIO,
                "'it' has changed, but whether that will outlive a power loss "
                "is not known: fsync '.': ");
    (void)close(fd);
}

/* ------------------------------------------------------------ directories --- */

static mode_t mode_of(const char *name)
{
    struct stat st;

    assert_int_equal(fstatat(g_at, name, &st, 0), 0);
    return st.st_mode & 07777;
}

static char g_made[200];

static int note_made(const char *parent, void *arg, azr_error *e)
{
    size_t n = strlen(g_made);

    (void)snprintf(g_made + n, sizeof g_made - n, "%s;", parent);
    return arg ? azri_fail(e, AZR_EBUSY, "enough") : AZR_OK;
}

static void test_parents(void **state)
{
    mode_t mask = umask(077);
    char key[1100];
    int stop = 1;

    (void)state;
    g_made[0] = '\0';
    OK(azri_make_parents(g_at, "c/0/1/2", 0775, getgid(), note_made, NULL,
                         &err));
    assert_string_equal(g_made, ".;c;c/0;");
    assert_int_equal(mode_of("c/0/1"), 0775);
    OK(azri_make_parents(g_at, "c/0/1/3", 0775, getgid(), note_made, NULL,
                         &err));
    assert_string_equal(g_made, ".;c;c/0;");
    OK(azri_make_parents(g_at, "d/0", 0700, getgid(), NULL, NULL, &err));
    assert_told(azri_make_parents(g_at, "e/f/0", 0700, getgid(), note_made,
                                  &stop, &err),
                AZR_EBUSY, 0, 0, "enough");
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    assert_told(azri_make_parents(g_at, key, 0700, getgid(), NULL, NULL, &err),
                AZR_EINVAL, 0, 0, "key of 1099 bytes is too long");
    (void)umask(mask);
}

/* Of one who died before he had opened it to all: its umask shows, and is mended. */
static void test_a_directory_that_was_not_finished(void **state)
{
    (void)state;
    assert_int_equal(mkdirat(g_at, "c", 0700), 0);
    OK(azri_make_parents(g_at, "c/0", 0775, getgid(), NULL, NULL, &err));
    assert_int_equal(mode_of("c"), 0775);
}

static int faulty_mkdirat(int dir, const char *path, mode_t mode)
{
    if (!strikes())
        return azri_sys_posix.mkdirat(dir, path, mode);
    return -1;
}

static int faulty_fstatat(int dir, const char *path, struct stat *st, int flags)
{
    return strikes() ? -1 : azri_sys_posix.fstatat(dir, path, st, flags);
}

static int faulty_fchmod(int fd, mode_t mode)
{
    return strikes() ? -1 : azri_sys_posix.fchmod(fd, mode);
}

static int make_c(void)
{
    return azri_make_parents(g_at, "c/0", 0775, getgid(), NULL, NULL, &err);
}

static void test_parents_that_cannot_be(void **state)
{
    (void)state;
    g_sys.mkdirat = faulty_mkdirat;
    fault(ENOSPC, 1);
    assert_told(make_c(), AZR_EIO, AZR_SUB_MKDIR, ENOSPC, "mkdir 'c': ");
    fault(EROFS, 1);
    assert_told(make_c(), AZR_EPERM, AZR_SUB_MKDIR, EROFS, "mkdir 'c': ");
    /* made, and then it cannot be opened */
    g_sys.openat = faulty_openat;
    g_sys.mkdirat = azri_sys_posix.mkdirat;
    fault(EMFILE, 1);
    assert_told(make_c(), AZR_EIO, AZR_SUB_OPEN, EMFILE, "open 'c': ");
    /* … or mended */
    assert_int_equal(fchmodat(g_at, "c", 0700, 0), 0);
    fault(EMFILE, 1);
    assert_told(make_c(), AZR_EIO, AZR_SUB_OPEN, EMFILE, "open 'c': ");
    fault(ENOENT,
          1); /* removed just now: who opens something in it learns it */
    OK(make_c());
    g_sys.openat = azri_sys_posix.openat;
    g_sys.fchmod = faulty_fchmod;
    fault(EPERM, 1);
    assert_told(make_c(), AZR_EPERM, AZR_SUB_CALL, EPERM, "chmod 'c': ");
    g_sys.fchmod = azri_sys_posix.fchmod;
    g_sys.fstatat = faulty_fstatat;
    fault(EIO, 1); /* nor is that for us to tell */
    OK(make_c());
    assert_int_equal(mode_of("c"), 0700);
}

/* Something else has the name: told when something is opened below. */
static void test_a_file_in_the_way(void **state)
{
    (void)state;
    (void)close(put("c", ""));
    OK(make_c());
    assert_told(
        azri_make_parents(g_at, "c/0/0", 0775, getgid(), NULL, NULL, &err),
        AZR_EIO, AZR_SUB_MKDIR, ENOTDIR, "mkdir 'c/0': ");
}

static void test_a_new_directory_that_is_gone_at_once(void **state)
{
    (void)state;
    g_sys.openat = faulty_openat;
    fault(ENOENT, 1);
    OK(make_c());
    assert_int_equal(unlinkat(g_at, "c", AT_REMOVEDIR), 0);
    g_sys.openat = azri_sys_posix.openat;
    g_sys.fstat = faulty_fstat;
    fault(EIO, 1); /* its mode stays as the umask has it */
    OK(make_c());
}

/* ------------------------------------------------------------------ owners --- */

static uid_t g_uid_given;

static int faulty_fchown(int fd, uid_t uid, gid_t gid)
{
    (void)fd;
    (void)gid;
    g_uid_given = uid;
    return strikes() ? -1 : 0;
}

static void test_owners(void **state)
{
    int fd = put("x", "");
    struct stat st;

    (void)state;
    assert_int_equal(fstat(fd, &st), 0);
    g_sys.fchown = faulty_fchown;
    g_sys.fchmod = faulty_fchmod;
    OK(azri_fix_owner(fd, &st, 0644, st.st_gid, "x", &err)); /* as it is */
    OK(azri_fix_owner(fd, &st, 0600, st.st_gid + 1, "x", &err));
    assert_int_equal(g_uid_given, (uid_t)-1);
    assert_int_equal(mode_of("x"), 0600);
    fault(EPERM, 1); /* a group that is not ours to give: left alone */
    OK(azri_fix_owner(fd, &st, 0640, st.st_gid + 1, "x", &err));
    assert_int_equal(mode_of("x"), 0640);
    fault(EIO, 1);
    assert_told(azri_fix_owner(fd, &st, 0600, st.st_gid + 1, "x", &err),
                AZR_EIO, AZR_SUB_CALL, EIO, "chown 'x': ");
    fault(EROFS, 1);
    assert_told(azri_fix_owner(fd, &st, 0600, st.st_gid, "x", &err), AZR_EPERM,
                AZR_SUB_CALL, EROFS, "chmod 'x': ");
    (void)close(fd);
}

static int faulty_flock(int fd, int operation)
{
    return strikes() ? -1 : azri_sys_posix.flock(fd, operation);
}

static void test_flocks(void **state)
{
    int one = put("x", ""), two = put("x", "");

    (void)state;
    assert_int_equal(azri_flock_try(one), 0);
    assert_int_equal(azri_flock_try(two), EWOULDBLOCK);
    azri_flock_drop(one);
    g_sys.flock = faulty_flock;
    fault(EINTR, 3);
    assert_int_equal(azri_flock_try(two), 0);
    fault(ENOLCK, 1);
    assert_int_equal(azri_flock_try(one), ENOLCK);
    (void)close(one);
    (void)close(two);
}

/* ------------------------------------------------------------------- lists --- */

/* Two are enough. */
static int count_name(const char *name, unsigned char d_type, void *arg)
{
    int *n = arg;

    (void)name;
    (void)d_type;
    return ++*n == 2 ? 77 : 0;
}

static void test_lists(void **state)
{
    int n = 0;

    (void)state;
    OK(azri_list(g_at, ".", count_name, &n, &err));
    assert_int_equal(n, 0);
    (void)close(put("a", ""));
    (void)close(put("b", ""));
    (void)close(put("c", ""));
    assert_int_equal(azri_list(g_at, ".", count_name, &n, &err), 77);
    assert_int_equal(n, 2);
    OK(azri_list(g_at, "none", count_name, &n, &err));
    assert_told(azri_list(g_at, "a", count_name, &n, &err), AZR_EIO,
                AZR_SUB_OPEN, ENOTDIR, "open 'a': ");
}

static void test_what_a_list_says(void **state)
{
    (void)state;
    (void)close(put("x", ""));
    assert_int_equal(mkdirat(g_at, "d", 0755), 0);
    assert_int_equal(symlinkat("d", g_at, "l"), 0);
    assert_true(azri_is_directory(g_at, "x", DT_DIR));
    assert_false(azri_is_directory(g_at, "d", DT_REG));
    assert_true(azri_is_directory(g_at, "d", DT_UNKNOWN));
    assert_false(azri_is_directory(g_at, "x", DT_UNKNOWN));
    assert_false(azri_is_directory(g_at, "l", DT_UNKNOWN));
    assert_false(azri_is_directory(g_at, "none", DT_UNKNOWN));
}

static void test_paths_of_directories(void **state)
{
    char path[4096], *real = realpath(g_dir, NULL);

    (void)state;
    assert_non_null(real);
    OK(azri_path_of(g_at, path));
    assert_string_equal(path, real);
    assert_int_equal(azri_path_of(-1, path), AZR_ENOTFOUND);
    assert_int_equal(azri_path_of(1000000, path), AZR_ENOTFOUND);
    free(real);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reads_are_whole),
        TEST(test_writes_are_whole),
        TEST(test_random_bytes_are_all),
        TEST(test_reading_a_file),
        TEST(test_identities),
        TEST(test_what_is_no_regular_file),
        TEST(test_an_open_that_is_interrupted),
        TEST(test_syncs),
        TEST(test_parents),
        TEST(test_a_directory_that_was_not_finished),
        TEST(test_parents_that_cannot_be),
        TEST(test_a_file_in_the_way),
        TEST(test_a_new_directory_that_is_gone_at_once),
        TEST(test_owners),
        TEST(test_flocks),
        TEST(test_lists),
        TEST(test_what_a_list_says),
        TEST(test_paths_of_directories),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
