/* SPDX-License-Identifier: Apache-2.0 */
/* Acts of recovery and of snapshots, for the table in acts.c. */
#include "fault/acts_nodes.h"
#include "fault/look.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SNAP "a/.azr/snap/0123456789abcdef0123456789abcdef"

int do_open_write(actor *x, azr_error *err)
{
    int rc = with_a(x, err);

    if (rc == AZR_OK)
        expect_elements(x->a, 0, 46, 1);
    return rc;
}

/* Where something fails a row may stay. */
int do_recover(actor *x, azr_error *err)
{
    int rc = with_a(x, err);

    if (rc == AZR_OK)
        expect_elements(x->a, 2, 40, 1000);
    if (is_undisturbed(rc))
        expect_no_rows(x->a);
    return rc;
}

int do_recover_both(actor *x, azr_error *err)
{
    int rc = with_both(x, err);

    if (is_undisturbed(rc)) {
        expect_no_rows(x->a);
        expect_no_rows(x->b);
    }
    return rc;
}

int do_recover_rubbish(actor *x, azr_error *err)
{
    static const char *const rubbish[] = {"a/.azr/tx/0123456789abcd.0",
                                          "a/.azr/tx/0123456789abcd.r", SNAP};
    int rc = with_a(x, err);

    for (size_t i = 0; is_undisturbed(rc) && i < 3; i++)
        expect_name(x, rubbish[i], false);
    return rc;
}

int do_rebuild(actor *x, azr_error *err)
{
    return with_a(x, err);
}

int do_recover_again(actor *x, azr_error *err)
{
    azr_recovery done = {.struct_size = sizeof done};
    int rc =
        open_array(&x->a, x, "a", AZR_OPEN_WRITE | AZR_OPEN_NO_RECOVERY, err);
    int rows = rc == AZR_OK ? rows_left(x->a) : 0; /* none, if done again */

    if (rc == AZR_OK)
        rc = azr_array_recover(x->a, &done, err);
    if (is_undisturbed(rc)) {
        expect(done.finished, rows, "rows finished");
        expect_no_rows(x->a);
    }
    return rc;
}

/* It stands where it is to stand, and has files of its own or links. */
static void expect_snapshot(const actor *x, unsigned flags,
                            const char *directory)
{
    const char *path = azr_snapshot_path(x->s, 0);
    bool is_inside = path && strstr(path, "/a/.azr/snap/");
    char chunk[512];
    struct stat st;

    if (!path || is_inside == (directory != NULL))
        (void)complain("it stands at '%s'", path ? path : "");
    (void)snprintf(chunk, sizeof chunk, "%.400s/c/0", path ? path : "");
    if (stat(chunk, &st) != 0)
        (void)complain("'%s' is not there", chunk);
    else if (flags == 0 && !directory)
        expect((int64_t)st.st_nlink, 2, "links");
    else
        expect((int64_t)st.st_nlink, 1, "links");
}

static int take(actor *x, unsigned flags, const char *directory, azr_error *err)
{
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_array *both[2] = {x->a, x->b};
    char path[256];
    int rc;

    o.flags = flags;
    o.timeout_ms = 0;
    if (directory) {
        place(path, x->root, directory);
        o.directory = path;
    }
    rc = azr_snapshot_take(&x->s, both, x->b ? 2 : 1, &o, err);
    if (is_undisturbed(rc))
        expect_snapshot(x, flags, directory);
    for (size_t i = 0; rc == AZR_OK && i < (x->b ? 2 : 1); i++)
        rc = read_box(azr_snapshot_array(x->s, i), 0, 46, err);
    return rc;
}

int do_snapshot(actor *x, azr_error *err)
{
    return take(x, 0, NULL, err);
}

int do_snapshot_copy(actor *x, azr_error *err)
{
    return take(x, AZR_SNAPSHOT_COPY, NULL, err);
}

int do_snapshot_elsewhere(actor *x, azr_error *err)
{
    return take(x, 0, ".", err);
}

static int count_snapshot(const azr_snapshot_info *info, void *arg)
{
    (void)info;
    ++*(int *)arg;
    return 0;
}

int do_snapshots(actor *x, azr_error *err)
{
    int n = 0;

    int rc = azr_array_snapshots(x->a, count_snapshot, &n, err);

    if (rc == AZR_OK)
        expect(n, 1, "snapshots");
    return rc;
}
