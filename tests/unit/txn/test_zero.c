/* SPDX-License-Identifier: Apache-2.0 */
/* In a program that has closed its input, descriptor 0 is one like any other: each
 * open of each act gets it once, and each gives it back. */
#include "world.h"

#include "sync/owned_dir.h"

#define HOME UINT32_C(1)
#define ROW  UINT32_C(3)
#define ID   UINT64_C(0x00112233445566)

static uint64_t two = 2;
static unsigned g_n; /* which open it is */

/* What is kept open for the next one. */
static void tidy(void)
{
    for (int k = 0; k < 2; k++) {
        no_idle_descriptors(w.d[k]);
        world_without_tx(k);
    }
}

static void sweep(void (*act)(void), unsigned least)
{
    bool taken = true;

    for (g_n = 0; taken && g_n < 100; g_n++) {
        tidy();
        zero_for(NULL, g_n);
        act();
        (void)fake_clear();
        tidy();
        taken = zero_is_back();
    }
    assert_in_range(g_n, least, 99);
}

/* ------------------------------------------------------------------------ acts */

static void keep(azri_txn *t)
{
    azr_store *s = azri_domain_store(w.d[0]);
    azr_object o = AZR_OBJECT_INIT;

    OK(s->ops->open(s, "c/2", &o, &err));
    azri_txn_keep(t, 0, &o);
    assert_int_equal(o.handle, -1);
}

static void write_chunks(void)
{
    azri_txn *t = NULL;

    put_chunk(0, 2, "old");
    OK(azri_txn_begin(&t, w.d[0], &w.patience, &err));
    prepare(t, two, 11); /* with a record */
    keep(t);
    keep(t); /* is not wanted a second time */
    for (uint64_t i = 0; i < 11; i++)
        OK(azri_txn_stage(t, i, bytes_of("new"), NULL, &err));
    OK(azri_txn_commit(t, &err));
    azri_txn_end(t);
    assert_chunk(0, 2, "new");
}

static void recover(int k)
{
    azr_recovery told = {0};

    OK(azri_domain_recover(w.d[k], &told, &err));
    assert_int_equal(told.busy, 0);
}

static void leave_two(uint32_t home_state, uint32_t row_state)
{
    made_row home, ours;

    put_chunk(0, 5, "old");
    put_chunk(1, 6, "old");
    row_make(&home, 0, HOME, ID, 5, 5);
    row_make(&ours, 1, ROW, ID, 6, 6);
    row_use_record(&home, 0);
    row_use_record(&ours, 1);
    home.what.flags |= AZRI_WHAT_HOME;
    ours.what.flags |= AZRI_WHAT_HAS_HOME;
    row_refer(&home, 1, ROW, "../b");
    row_refer(&ours, 0, HOME, "../a");
    row_put(&home, 0, home_state);
    row_put(&ours, 1, row_state);
}

static void finish_home(void)
{
    leave_two(AZRI_COMMITTED, AZRI_PREPARED);
    recover(0);
    assert_chunk(0, 5, "new");
    assert_chunk(1, 6, "new");
}

static void finish_prepared(void)
{
    leave_two(AZRI_COMMITTED, AZRI_PREPARED);
    recover(1);
    assert_chunk(0, 5, "new");
    assert_chunk(1, 6, "new");
}

static void finish_other(void)
{
    leave_two(AZRI_COMMITTED, AZRI_COMMITTED);
    recover(1);
    assert_chunk(0, 5, "new");
    assert_chunk(1, 6, "new");
}

static void view_with(azri_domain *d)
{
    azri_view *v = NULL;

    put_chunk(0, 2, "old");
    OK(azri_view_new(&v, d, &w.patience, &err));
    OK(azri_view_aim(v, &w.grid.keying, 3, coords_from, &two, &err));
    OK(azri_view_look(v, &err));
    for (uint64_t i = 0; i < 3; i++)
        OK(azri_view_open_item(v, i, &err));
    assert_true(azri_view_item_at(v, 0)->object.handle >= 0);
    OK(azri_view_lock_ground(v, &err));
    assert_true(azri_view_is_locked(v));
    OK(azri_view_lock_chunks(v, &err));
    OK(azri_view_look(v, &err));
    OK(azri_view_check(v, &err));
    OK(azri_view_aim_all(v, &w.grid.keying, &err)); /* closes, lets go */
    OK(azri_view_lock_chunks(v, &err));
    azri_view_free(v);
}

static void view(void)
{
    view_with(w.d[0]);
}

static void read_only(void)
{
    azri_domain *d = NULL;

    fake_fail(ON_OPENAT, "state", 0, 1, EACCES);
    OK(azri_domain_open(&d, w.path[0], 0, &err));
    assert_false(azri_domain_state(d)->writable);
    view_with(d);
    azri_domain_close(d);
}

static void make_ready(azri_domain *d)
{
    int tx = -1;

    OK(azri_domain_ready(d, &w.grid, w.durability, &w.patience, &err));
    OK(azri_domain_tx(d, &tx, &err));
    assert_true(tx >= 0);
    azri_domain_close(d);
}

static void open_ready(void)
{
    azri_domain *d = NULL;

    OK(azri_domain_open(&d, w.path[0], AZRI_DOMAIN_WRITE, &err));
    make_ready(d);
}

static void create(void)
{
    azri_domain *d = NULL;
    char path[128];

    for (int named = 0; named < 2; named++) {
        (void)snprintf(path, sizeof path, "%s/n%u-%d", w.dir, g_n, named);
        if (named)
            fake_fail(ON_LINKAT, "state", 0, 1, EPERM);
        OK(azri_domain_create(&d, path, AZRI_DOMAIN_WRITE, w.durability, &err));
        make_ready(d);
    }
}

static void rebuild(void)
{
    azri_domain *d = NULL;
    char path[128], name[160];

    (void)snprintf(path, sizeof path, "%s/r%u", w.dir, g_n);
    (void)snprintf(name, sizeof name, "%s/.azr", path);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(mkdir(name, 0755), 0);
    (void)snprintf(name, sizeof name, "%s/.azr/state", path);
    put_file(name, "short", 5);
    OK(azri_domain_open(&d, path, AZRI_DOMAIN_WRITE, &err));
    make_ready(d);
}

static void grow(void)
{
    OK(azri_table_grow(w.d[0], azri_state_rows(azri_domain_state(w.d[0])),
                       &w.patience, &err));
}

static void plain(void)
{
    azri_plain *p = NULL;

    OK(azri_plain_lock(&p, w.d[0], &two, &err));
    OK(azri_plain_replace(w.d[0], "c/2", bytes_of("plain"), &err));
    azri_plain_unlock(p);
    assert_chunk(0, 2, "plain");
}

static int note_snap(const azr_snapshot_info *info, void *arg)
{
    assert_int_equal(info->alive, 1);
    ++*(int *)arg;
    return 0;
}

static void snap(void)
{
    azri_owned o = AZRI_OWNED_INIT;
    int n = 0;

    OK(azri_domain_snap(&o, w.d[0], &err));
    OK(azri_domain_snaps(w.d[0], note_snap, &n, &err));
    assert_int_equal(n, 1);
    azri_owned_close(&o);
}

static int note_row(const azr_row_info *info, void *arg)
{
    (void)info;
    ++*(int *)arg;
    return 0;
}

static void status(void)
{
    int n = 0;

    leave_two(AZRI_COMMITTED, AZRI_COMMITTED);
    OK(azri_domain_status(w.d[0], note_row, &n, &err));
    assert_int_equal(n, 1);
    recover(0);
}

static void beside(void)
{
    azri_domain *d = NULL;

    OK(azri_domain_open_beside(&d, w.d[0], "../b", &err));
    azri_domain_close(d);
    OK(azri_domain_open_dir(&d, azri_domain_dir(w.d[0]), "x", 0, &err));
    azri_domain_close(d);
}

static void test_write(void **state)
{
    (void)state;
    sweep(write_chunks, 5);
}

static void test_recovery(void **state)
{
    (void)state;
    sweep(finish_home, 8);
    sweep(finish_prepared, 8);
    sweep(finish_other, 8);
}

static void test_view(void **state)
{
    (void)state;
    sweep(view, 3);
    sweep(read_only, 5);
}

static void test_open(void **state)
{
    (void)state;
    sweep(open_ready, 5);
    sweep(create, 10);
    sweep(rebuild, 5);
    sweep(beside, 3);
}

static void test_the_rest(void **state)
{
    (void)state;
    sweep(grow, 2);
    sweep(plain, 3);
    sweep(snap, 6);
    sweep(status, 3);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_begin_two, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_write), T(test_recovery), T(test_view),
        T(test_open),  T(test_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
