/* SPDX-License-Identifier: Apache-2.0 */
/* A directory whose array was removed by a plain tool, `.azr` left behind: another
 * array is made there, unless somebody is still at work on the old one. */
#include "small.h"

#include "sync/lock_ofd.h"
#include "txn/layout.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char g_dir[64], g_path[96], g_document[128], g_chunk[128];

static azr_array *make(int rank, int *rc)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;

    spec.rank = rank;
    spec.dtype = AZR_INT32;
    for (int d = 0; d < rank; d++) {
        spec.shape[d] = 4;
        spec.chunks[d] = 4;
    }
    *rc = azr_array_create(&a, g_path, &spec, NULL, &err);
    if (*rc < 0)
        assert_int_not_equal(err.message[0], '\0');
    return a;
}

static int begin(void **state)
{
    (void)state;
    small_dir(g_dir, "create-again");
    (void)snprintf(g_path, sizeof g_path, "%s/a", g_dir);
    (void)snprintf(g_document, sizeof g_document, "%s/zarr.json", g_path);
    (void)snprintf(g_chunk, sizeof g_chunk, "%s/c/0", g_path);
    return 0;
}

static int end(void **state)
{
    (void)state;
    small_dir_remove(g_dir);
    return 0;
}

/* The old array of rank 1, written once, its chunk and document removed. */
static azr_array *leave_behind(void)
{
    azr_selection all = azr_select_all(1);
    int32_t values[4] = {1, 2, 3, 4};
    azr_error err = AZR_ERROR_INIT;
    int rc;
    azr_array *a = make(1, &rc);

    assert_int_equal(rc, AZR_OK);
    assert_int_equal(azr_array_write(a, &all, values, sizeof values, &err),
                     AZR_OK);
    assert_int_equal(unlink(g_chunk), 0);
    assert_int_equal(unlink(g_document), 0);
    return a;
}

static void test_other_rank(void **state)
{
    azr_selection all = azr_select_all(2);
    int32_t values[16], back[16];
    azr_error err = AZR_ERROR_INIT;
    azr_array *a;
    int rc;

    (void)state;
    azr_array_close(leave_behind());
    a = make(2, &rc);
    assert_int_equal(rc, AZR_OK);
    for (int i = 0; i < 16; i++)
        values[i] = i;
    assert_int_equal(azr_array_write(a, &all, values, sizeof values, &err),
                     AZR_OK);
    azr_array_close(a);
    assert_int_equal(azr_array_open(&a, g_path, NULL, &err), AZR_OK);
    assert_int_equal(azr_array_read(a, &all, back, sizeof back, &err), AZR_OK);
    assert_memory_equal(values, back, sizeof back);
    azr_array_close(a);
}

/* A handle of the old array that is not at work finds out, and changes nothing. */
static void test_old_handle(void **state)
{
    azr_selection all = azr_select_all(1);
    int32_t values[4] = {9, 9, 9, 9};
    azr_error err = AZR_ERROR_INIT;
    azr_array *old, *a;
    int rc;

    (void)state;
    old = leave_behind();
    a = make(2, &rc);
    assert_int_equal(rc, AZR_OK);
    assert_true(azr_array_write(old, &all, values, sizeof values, &err) < 0);
    assert_int_not_equal(access(g_chunk, F_OK), 0);
    azr_array_close(old);
    azr_array_close(a);
}

/* Somebody holds a row of the old array: nothing is changed under it. */
static void test_in_use(void **state)
{
    azri_range slot = {AZRI_LOCK_SLOT + 3, AZRI_LOCK_SLOT + 3, true};
    char name[128];
    azr_array *a;
    int fd, rc;

    (void)state;
    azr_array_close(leave_behind());
    (void)snprintf(name, sizeof name, "%s/.azr/state", g_path);
    fd = open(name, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(azri_ofd_try(fd, &slot, NULL), AZR_OK);
    assert_null(make(2, &rc));
    assert_int_equal(rc, AZR_EBUSY);
    assert_int_equal(close(fd), 0);
    assert_non_null(a = make(2, &rc));
    azr_array_close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_other_rank, begin, end),
        cmocka_unit_test_setup_teardown(test_old_handle, begin, end),
        cmocka_unit_test_setup_teardown(test_in_use, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
