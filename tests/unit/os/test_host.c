/* SPDX-License-Identifier: Apache-2.0 */
/* Time-outs to their limits, who this process is, and which file systems are known. */
#include "unit/checks.h"

#include "os/host.h"
#include "os/sys.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static azr_error err;

/* ---------------------------------------------------------------- patience --- */

static void test_patience(void **state)
{
    azri_patience p = azri_patience_from(-1, NULL);

    (void)state;
    assert_int_equal(p.deadline_ns, INT64_MAX);
    assert_int_equal(azri_patience_check(&p), AZR_OK);
    assert_int_equal(azri_patience_slice(&p, 12345), 12345);
    /* more milliseconds than nanoseconds can say: for ever */
    p = azri_patience_from(INT64_MAX, NULL);
    assert_int_equal(p.deadline_ns, INT64_MAX);
    p = azri_patience_from(INT64_MAX / 1000000, NULL);
    assert_int_equal(p.deadline_ns, INT64_MAX);

    p = azri_patience_from(0, NULL);
    assert_int_equal(azri_patience_check(&p), AZR_EBUSY);
    assert_int_equal(azri_patience_slice(&p, 12345), 0);
    p = azri_patience_from(3600000, NULL);
    assert_int_equal(azri_patience_check(&p), AZR_OK);
    assert_int_equal(azri_patience_slice(&p, 12345), 12345);
    assert_in_range(azri_patience_slice(&p, INT64_MAX), 1, 3600000000000);
}

/* Cancelling comes before the time-out. */
static void test_a_token_ends_patience(void **state)
{
    azr_cancel *c = NULL;
    azri_patience p;

    (void)state;
    OK(azr_cancel_new(&c));
    p = azri_patience_from(0, c);
    assert_int_equal(azri_patience_check(&p), AZR_EBUSY);
    azr_cancel_request(c);
    assert_int_equal(azri_patience_check(&p), AZR_ECANCELED);
    p = azri_patience_from(-1, c);
    assert_int_equal(azri_patience_check(&p), AZR_ECANCELED);
    azr_cancel_reset(c);
    assert_int_equal(azri_patience_check(&p), AZR_OK);
    azr_cancel_free(c);
}

/* --------------------------------------------------------------------- who --- */

static void test_who(void **state)
{
    char name[64] = "", wanted[64] = "";
    uint8_t one[16], two[16], none[16] = {0};

    (void)state;
    assert_int_equal(gethostname(wanted, sizeof wanted - 1), 0);
    azri_host_name(name);
    assert_string_equal(name, wanted);
    azri_boot_id(one);
    azri_boot_id(two);
    assert_memory_equal(one, two, 16);
    if (access("/proc/sys/kernel/random/boot_id", R_OK) == 0)
        assert_memory_not_equal(one, none, 16);
    assert_int_equal(azri_user_id(), geteuid());
    assert_in_range(azri_wall_ns(), INT64_C(1600000000000000000), INT64_MAX);
}

/* Remembered, and forgotten by a fork. */
static void test_a_child_is_somebody_else(void **state)
{
    uint32_t mine = azri_process_id();
    int status = -1;
    pid_t pid;

    (void)state;
    assert_int_equal(mine, getpid());
    assert_int_equal(azri_process_id(), mine);
    pid = fork();
    if (pid == 0)
        _exit(azri_process_id() == (uint32_t)getpid() ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(azri_process_id(), mine);
}

/* In a child, since it is learned once: /proc is not there, or tells nonsense. */
static const char *g_text;

static int no_open(int dir, const char *path, int flags, mode_t mode)
{
    if (g_text)
        return azri_sys_posix.openat(dir, path, flags, mode);
    errno = ENOENT;
    return -1;
}

static ssize_t told_text(int fd, void *buf, size_t n, off_t off)
{
    size_t have = strlen(g_text);

    (void)fd;
    (void)off;
    memcpy(buf, g_text, have < n ? have : n);
    return (ssize_t)(have < n ? have : n);
}

static int boot_id_is(const char *text, const uint8_t *wanted)
{
    struct azri_sys sys = azri_sys_posix;
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        uint8_t found[16];

        g_text = text;
        sys.openat = no_open;
        sys.pread = told_text;
        azri_sys = &sys;
        azri_boot_id(found);
        _exit(memcmp(found, wanted, 16) != 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void test_boot_ids(void **state)
{
    static const uint8_t none[16] = {0};
    static const uint8_t some[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
                                     0xcd, 0xef, 0x01, 0x23, 0x45, 0x67,
                                     0x89, 0xab, 0xcd, 0xef};
    static const uint8_t cut[16] = {0xab, 0xcd};

    (void)state;
    assert_int_equal(boot_id_is(NULL, none), 0);
    assert_int_equal(boot_id_is("", none), 0);
    assert_int_equal(
        boot_id_is("01234567-89ab-cdef-0123-456789abcdef\nzzz99", some), 0);
    assert_int_equal(boot_id_is("~ab~cd{}", cut), 0);
}

/* ----------------------------------------------------------- file systems --- */

static uint64_t g_magic;

static int other_statfs(int fd, struct statfs *st)
{
    (void)fd;
    if (g_magic == 0) {
        errno = EIO;
        return -1;
    }
    memset(st, 0, sizeof *st);
    memcpy(&st->f_type, &g_magic, sizeof st->f_type);
    return 0;
}

static void test_file_systems(void **state)
{
    static const struct {
        uint64_t magic;
        int class;
        const char *name;
    } all[] = {
        {0xEF53, AZR_FS_LOCAL, "ext2/ext3/ext4"},
        {0xF2F52010, AZR_FS_LOCAL, "f2fs"},
        {0xFFFFFFFFF2F52010, AZR_FS_LOCAL, "f2fs"}, /* of a signed f_type */
        {0x6969, AZR_FS_NETWORK, "nfs"},
        {0x65735546, AZR_FS_UNSAFE, "fuse"},
        {0x12345678, AZR_FS_UNSAFE, "unknown (0x12345678)"},
    };
    struct azri_sys sys = azri_sys_posix;

    (void)state;
    sys.fstatfs = other_statfs;
    azri_sys = &sys;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        uint64_t magic = 0;
        char name[32] = "";
        int class = 0;

        g_magic = all[i].magic;
        OK(azri_fs_classify(&class, &magic, name, 0, &err));
        assert_int_equal(class, all[i].class);
        assert_string_equal(name, all[i].name);
        assert_int_equal(magic, all[i].magic & 0xFFFFFFFF);
    }
    azri_sys = &azri_sys_posix;
}

static void test_a_file_system_that_does_not_tell(void **state)
{
    struct azri_sys sys = azri_sys_posix;
    uint64_t magic = 0;
    char name[32] = "";
    int class = 0;

    (void)state;
    sys.fstatfs = other_statfs;
    g_magic = 0;
    azri_sys = &sys;
    assert_int_equal(azri_fs_classify(&class, &magic, name, 0, &err), AZR_EIO);
    azri_sys = &azri_sys_posix;
    assert_int_equal(err.sub, AZR_SUB_STAT);
    assert_int_equal(err.sys_errno, EIO);
    assert_memory_equal(err.message, "statfs: ", 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* before anything asks for the boot id in this process */
        cmocka_unit_test(test_boot_ids),
        cmocka_unit_test(test_patience),
        cmocka_unit_test(test_a_token_ends_patience),
        cmocka_unit_test(test_who),
        cmocka_unit_test(test_a_child_is_somebody_else),
        cmocka_unit_test(test_file_systems),
        cmocka_unit_test(test_a_file_system_that_does_not_tell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
