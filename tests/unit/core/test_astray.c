/* SPDX-License-Identifier: Apache-2.0 */
/* An array is taken away between the first look of who opens or writes it and the
 * next system call. Built with AZRI_SABOTAGE, without the second look, it must be
 * opened in the trash: so the test sees what it is for. */
#include "small.h"

#include "base/guard.h"
#include "os/sys.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

static azr_error err;
static struct azri_sys g_sys;
static const char *g_at; /* the call that is preceded; NULL: it was */

SMALL_FIXTURE("astray")

static void make_array(void)
{
    azr_array_spec spec = small_line(3, 12);
    azr_array *a = NULL;

    OK(azr_array_create(&a, small_path(g_dir, "a"), &spec, NULL, &err));
    azr_array_close(a);
}

/* What a remover does, up to its `state`; or to the end. */
static void take_away(bool whole)
{
    const char *place = small_path(g_dir, ".azr-trash/1/0");
    char command[600];

    g_at = NULL;
    assert_int_equal(mkdir(small_path(g_dir, ".azr-trash"), 0755), 0);
    assert_int_equal(mkdir(small_path(g_dir, ".azr-trash/1"), 0755), 0);
    assert_int_equal(rename(small_path(g_dir, "a"), place), 0);
    (void)snprintf(command, sizeof command, "rm -rf '%s%s'", place,
                   whole ? "" : "/.azr/state");
    assert_int_equal(system(command), 0);
}

static int strike_openat(int dir, const char *path, int flags, mode_t mode)
{
    if (g_at && strcmp(path, g_at) == 0)
        take_away(false);
    return azri_sys_posix.openat(dir, path, flags, mode);
}

static int strike_mkdirat(int dir, const char *path, mode_t mode)
{
    if (g_at && strcmp(path, g_at) == 0)
        take_away(true);
    return azri_sys_posix.mkdirat(dir, path, mode);
}

static void strike(const char *at)
{
    g_at = at;
    g_sys = azri_sys_posix;
    g_sys.openat = strike_openat;
    g_sys.mkdirat = strike_mkdirat;
    azri_sys = &g_sys;
}

/* Its `state` is gone: one that it made itself would not know the trash. */
static void test_opened(void **state)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_array *a = NULL;

    (void)state;
    make_array();
    o.flags = AZR_OPEN_WRITE;
    strike(".azr/state");
#ifdef AZRI_SABOTAGE
    azri_sabotage = AZRI_GUARD_ASTRAY;
    OK(azr_array_open(&a, small_path(g_dir, "a"), &o, &err));
    azr_array_close(a);
    azri_sabotage = AZRI_GUARD_NONE;
#else
    FAILS(azr_array_open(&a, small_path(g_dir, "a"), &o, &err), AZR_ENOTFOUND);
    assert_null(a);
#endif
    assert_null(g_at);
}

/* The first chunk wants a directory, below one that is gone. */
static void test_written(void **state)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_selection all = azr_select_all(1);
    azr_array *a = NULL;
    int32_t seven = 7;

    (void)state;
    make_array();
    o.flags = AZR_OPEN_WRITE;
    OK(azr_array_open(&a, small_path(g_dir, "a"), &o, &err));
    strike("c");
    FAILS(azr_array_fill(a, &all, &seven, sizeof seven, &err), AZR_ENOTFOUND);
    assert_non_null(strstr(err.message, "was removed"));
    assert_null(g_at);
    azri_sys = &azri_sys_posix;
    azr_array_close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_opened, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_written, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
