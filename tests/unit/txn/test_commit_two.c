/* SPDX-License-Identifier: Apache-2.0 */
/* One commit over two arrays: what is refused, each sync that fails, and the paths
 * by which their rows know each other. */
#include "world.h"

#include "base/alloc.h"

#include <atomiczarr.h>

static azri_txn *t, *u; /* u: of b */
static const char new[] = "new";

static int setup_two(void **state)
{
    t = u = NULL;
    return world_begin_two(state);
}

static void end(void)
{
    azri_txn_end(u);
    azri_txn_end(t);
    t = u = NULL;
}

static int teardown(void **state)
{
    (void)fake_clear();
    azr_set_memory_cap(0);
    end();
    return world_end(state);
}

static int stage(uint64_t i)
{
    return azri_txn_stage(t, i, bytes_of(new), NULL, &err);
}

static void join_two(void)
{
    end();
    OK(azri_txn_begin(&t, w.d[0], &w.patience, &err));
    OK(azri_txn_join(&u, w.d[1], t, &w.patience, &err));
    assert_true(u->id == t->id);
}

/* n chunks of a from `first` on, and one of b. */
static void begin_with(uint64_t first, uint64_t n)
{
    join_two();
    prepare(t, first, n);
    prepare(u, 4, 1);
    for (uint64_t i = 0; i < n; i++)
        OK(stage(i));
    OK(azri_txn_stage(u, 0, bytes_of(new), NULL, &err));
}

static void begin_two(void)
{
    begin_with(3, 1);
}

/* As before the first commit of the two. */
static void without_chunks(void)
{
    (void)unlink(below(0, "c/3"));
    (void)unlink(below(1, "c/4"));
}

static int commit_two(void)
{
    azri_txn *parts[2] = {t, u};

    return azri_txn_commit_all(parts, 2, &err);
}

static void assert_neither(void)
{
    end();
    (void)fake_clear();
    for (int k = 0; k < 2; k++) {
        azr_recovery told = {0};

        OK(azri_domain_recover(w.d[k], &told, &err));
        assert_clean(k);
    }
    assert_chunk(0, 3, NULL);
    assert_chunk(1, 4, NULL);
}

static void test_two(void **state)
{
    (void)state;
    begin_two();
    azr_set_memory_cap(1);
    FAILS(commit_two(), AZR_ENOMEM, AZR_SUB_NONE, "memory");
    azr_set_memory_cap(0);
    assert_neither();
    begin_two();
    u->s->dev++;
    FAILS(commit_two(), AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
          "two file systems");
    u->s->dev--;
    assert_neither();
    begin_two();
    atomic_store(&azri_state_changing(state_of(1))->durability,
                 AZR_DURABILITY_POWER);
    FAILS(commit_two(), AZR_EUNSUPPORTED, AZR_SUB_NONE, "durability");
    atomic_store(&azri_state_changing(state_of(1))->durability,
                 AZR_DURABILITY_PROCESS);
    assert_neither();
    begin_two();
    u->pid++;
    FAILS(commit_two(), AZR_EINVAL, AZR_SUB_NONE, "belongs to process");
    u->pid--;
    assert_neither();
    begin_two();
    t->pid++;
    FAILS(commit_two(), AZR_EINVAL, AZR_SUB_NONE, "belongs to process");
    t->pid--;
    assert_neither();
    begin_two(); /* the second one cannot be made ready */
    put_chunk(1, 4, "foreign");
    u->staged[0].seen = (azri_seen){.read = true, .absent = true};
    FAILS(commit_two(), AZR_ECONFLICT, AZR_SUB_FOREIGN, "c/4");
    assert_int_equal(unlink(below(1, "c/4")), 0);
    assert_neither();
    begin_two();
    azri_txn_never_home(t);
    OK(commit_two());
    assert_chunk(0, 3, "new");
    assert_chunk(1, 4, "new");
    assert_int_equal(t->several, AZRI_WHAT_HAS_HOME);
    /* only one of them has something to write; none has */
    join_two();
    OK(azri_txn_lock_meta(t, false, &err));
    prepare(u, 5, 1);
    OK(azri_txn_stage(u, 0, bytes_of(new), NULL, &err));
    OK(commit_two());
    assert_chunk(1, 5, "new");
    join_two();
    OK(azri_txn_lock_meta(t, false, &err));
    prepare(u, 6, 1); /* that one fails */
    OK(azri_txn_stage(u, 0, bytes_of(new), NULL, &err));
    put_chunk(1, 6, "foreign");
    u->staged[0].seen = (azri_seen){.read = true, .absent = true};
    FAILS(commit_two(), AZR_ECONFLICT, AZR_SUB_FOREIGN, "c/6");
    assert_chunk(1, 6, "foreign");
    join_two();
    OK(commit_two());
}

/* Ten entries, and a path that has no room beside them. */
static void test_two_paths_do_not_fit(void **state)
{
    azr_recovery told = {0};

    (void)state;
    begin_with(0, CELLS);
    fake_fail(ON_PWRITE, ".r", 2, 1, ENOSPC);
    FAILS(commit_two(), AZR_EIO, AZR_SUB_WRITE, ".r");
    end();
    assert_clean(0);
    assert_clean(1);
    (void)fake_clear();
    /* what stands in the record is what recovery needs */
    begin_with(0, CELLS);
    fake_fail(ON_RENAMEAT2, "c/4", 0, 1, EIO);
    OK(commit_two());
    end();
    OK(azri_domain_recover(w.d[0], &told, &err));
    assert_int_equal(told.finished, 2);
    assert_chunk(0, 9, "new");
    assert_chunk(1, 4, "new");
    assert_clean(0);
    assert_clean(1);
}

/* Nine entries, and a path for which there is just enough. */
static void test_two_fit(void **state)
{
    const azri_what *x;

    (void)state;
    begin_with(0, 9);
    OK(commit_two());
    x = &azri_state_row(state_of(0), t->row)->what;
    assert_int_equal(x->flags, AZRI_WHAT_HOME);
    assert_int_equal(x->entries_nbytes, sizeof x->entries);
    assert_int_equal(x->record_nbytes, 0);
    assert_chunk(0, 8, "new");
}

static uint32_t is(const azri_txn *x)
{
    return (uint32_t)(atomic_load(azri_state_word(x->s, x->row)) & 0xFF);
}

static void at_commit(void)
{
    assert_int_equal(is(u), AZRI_PREPARED);
    assert_int_equal(is(t), AZRI_ACTIVE);
}

static azri_txn *third; /* of b too */

static void at_told(void)
{
    assert_int_equal(is(u), AZRI_COMMITTED);
    assert_int_equal(is(third), AZRI_COMMITTED);

    assert_int_equal(is(t), AZRI_COMMITTED);
}

static void at_first_clear(void)
{
    assert_int_equal(is(u), AZRI_COMMITTED);
    assert_int_equal(is(t), AZRI_COMMITTED | AZRI_TOLD);
    assert_chunk(1, 4, "new");
}

static void at_last_clear(void)
{
    assert_int_equal(is(u), AZRI_FREE);
    assert_int_equal(is(third), AZRI_FREE);

    assert_chunk(0, 3, "new");
}

/* Which word says what, and when; and how the rows know each other. */
static void test_two_words(void **state)
{
    azri_txn *x = NULL, *parts[3];
    const azri_what *what;
    azri_ref_head h;

    (void)state;
    OK(azri_txn_begin(&x, w.d[0], &w.patience, &err)); /* so that rows differ */
    begin_two();
    third = NULL;
    OK(azri_txn_join(&third, w.d[1], t, &w.patience, &err));
    prepare(third, 7, 1);
    OK(azri_txn_stage(third, 0, bytes_of(new), NULL, &err));
    parts[0] = t;
    parts[1] = u;
    parts[2] = third;

    assert_true(t->row != u->row);
    fake_before(ON_STORE, "row.committed", 0, at_commit);
    fake_before(ON_STORE, "home.told", 0, at_told);
    fake_before(ON_STORE, "row.clear", 0, at_first_clear);
    fake_before(ON_STORE, "row.clear", 2, at_last_clear);

    fake_fail(ON_FDATASYNC, NULL, 0, 1, EIO); /* `process` asks for none */
    fake_fail(ON_FSYNC, NULL, 0, 1, EIO);
    OK(azri_txn_commit_all(parts, 3, &err));
    assert_int_equal(fake_clear(), 4);
    assert_chunk(1, 7, "new");
    assert_int_equal(t->others, 2);

    what = &azri_state_row(state_of(0), t->row)->what;
    assert_int_equal(what->flags, AZRI_WHAT_HOME);
    what = &azri_state_row(state_of(1), u->row)->what;
    assert_int_equal(what->flags, AZRI_WHAT_HAS_HOME);
    assert_int_equal(what->home_row, t->row);
    assert_memory_equal(what->home_id, state_of(0)->header.array_id, 16);
    memcpy(&h, t->refs.data, sizeof h);
    assert_int_equal(h.row, u->row);
    assert_memory_equal(h.array_id, state_of(1)->header.array_id, 16);
    memcpy(&h, u->refs.data, sizeof h);
    assert_int_equal(h.row, t->row);
    assert_memory_equal(h.array_id, state_of(0)->header.array_id, 16);
    azri_txn_end(third);
    azri_txn_end(x);
}

static int setup_two_power(void **state)
{
    t = u = NULL;
    return world_begin_two_power(state);
}

/* Each sync of a commit over two arrays. */
static void test_two_power(void **state)
{
    unsigned unknown = 0, k;
    int rc = AZR_EIO;

    (void)state;
    for (k = 0; k < 8; k++) {
        azr_recovery told = {0};

        without_chunks();
        begin_two();
        fake_fail(ON_FDATASYNC, ".azr/state", k, 1, EIO);
        err = (azr_error)AZR_ERROR_INIT;
        rc = commit_two();
        assert_true(rc == AZR_OK || rc == AZR_EIO || rc == AZR_EUNKNOWN);
        assert_int_equal(err.sub, rc == AZR_OK ? AZR_SUB_NONE : AZR_SUB_SYNC);
        unknown += rc == AZR_EUNKNOWN;
        if (rc == AZR_EIO)
            assert_int_equal(is(u), AZRI_ACTIVE);
        end();
        if (fake_clear() == 0) /* there are no more */
            break;
        assert_true(atomic_load(&w.d[0]->poisoned) !=
                    atomic_load(&w.d[1]->poisoned));

        for (int i = 0; i < 2; i++)
            world_open(i, AZRI_DOMAIN_WRITE);
        for (int i = 0; i < 2; i++)
            OK(azri_domain_recover(w.d[i], &told, &err));
        assert_clean(0);
        assert_clean(1);
        assert_chunk(0, 3, rc == AZR_EIO ? NULL : "new");
        assert_chunk(1, 4, rc == AZR_EIO ? NULL : "new");
    }
    assert_int_equal(k, 6); /* two each, and that of the commit, and of TOLD */
    assert_int_equal(rc, AZR_OK);
    assert_int_equal(unknown, 1);
}

static unsigned syncs;

static void count_sync(void)
{
    syncs++;
}

/* A third row, of the home's array, cannot be prepared: both are taken back, and that
 * synced, before the home may be cleared. */
static void test_taken_back(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        azri_txn *v = NULL, *parts[3];

        begin_two();
        OK(azri_txn_join(&v, w.d[0], t, &w.patience, &err));
        prepare(v, 7, 1);
        OK(azri_txn_stage(v, 0, bytes_of(new), NULL, &err));
        parts[0] = t;
        parts[1] = u;
        parts[2] = v;
        fake_fail(ON_FDATASYNC, "a/.azr/state", 2, 1, EIO);
        if (round == 1)
            fake_fail(ON_FDATASYNC, "b/.azr/state", 2, 1, EIO);
        fake_before(ON_FDATASYNC, "a/.azr/state", 2, count_sync); /* after it */
        syncs = 0;
        FAILS(azri_txn_commit_all(parts, 3, &err), AZR_EIO, AZR_SUB_SYNC,
              "state");
        assert_int_equal(syncs, 1); /* once more, where one has failed */
        assert_int_equal(fake_clear(), 2 + round);
        assert_int_equal(is(u), AZRI_ACTIVE);
        assert_int_equal(is(v), AZRI_ACTIVE);
        assert_true(atomic_load(&w.d[0]->poisoned));
        assert_int_equal(atomic_load(&w.d[1]->poisoned), round);
        azri_txn_end(v);
        assert_neither();
        for (int k = 0; k < 2; k++)
            world_open(k, AZRI_DOMAIN_WRITE);
    }
}

/* What is prepared cannot be synced, and taken back neither: what was there is there
 * still, for every handle; that one is of no use; new ones are. */
static void test_not_taken_back(void **state)
{
    azri_txn *none = NULL;

    (void)state;
    put_chunk(0, 3, "old");
    put_chunk(1, 4, "old");
    begin_two();
    fake_fail(ON_FDATASYNC, "b/.azr/state", 1, 2, EIO);
    FAILS(commit_two(), AZR_EIO, AZR_SUB_SYNC, "state");
    assert_int_equal(fake_clear(), 2);
    assert_int_equal(is(u), AZRI_ACTIVE);
    assert_false(atomic_load(&w.d[0]->poisoned));
    assert_true(atomic_load(&w.d[1]->poisoned));
    end();
    FAILS(azri_txn_begin(&none, w.d[1], &w.patience, &err), AZR_EPOISONED,
          AZR_SUB_NONE, "a sync failed");
    assert_null(none);
    for (int k = 0; k < 2; k++) {
        azr_recovery told = {0};

        world_open(k, AZRI_DOMAIN_WRITE);
        OK(azri_domain_recover(w.d[k], &told, &err));
        assert_clean(k);
    }
    assert_chunk(0, 3, "old");
    assert_chunk(1, 4, "old");
    begin_two();
    OK(commit_two());
    end();
    assert_chunk(0, 3, "new");
    assert_chunk(1, 4, "new");
}

/* One of them cannot be applied: all are finished later. */
static void test_two_applied_later(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        azr_recovery told = {0};

        without_chunks();
        begin_two();
        fake_fail(ON_RENAMEAT2, k ? "c/4" : "c/3", 0, 1, EIO);
        OK(commit_two());
        assert_int_equal(is(t), AZRI_COMMITTED | AZRI_TOLD); /* it stays */
        assert_int_equal(is(u), k ? AZRI_COMMITTED : AZRI_FREE);

        end();
        (void)fake_clear();
        OK(azri_domain_recover(w.d[1 - k], &told, &err));
        OK(azri_domain_recover(w.d[k], &told, &err));
        assert_chunk(0, 3, "new");
        assert_chunk(1, 4, "new");
        assert_clean(0);
        assert_clean(1);
    }
}

/* --------------------------------------------------------------------- paths */

/* b is moved to that path below the directory of both. */
static void move_b(const char *to)
{
    char path[sizeof w.path[1]];

    end();
    (void)snprintf(path, sizeof path, "%s/%s", w.dir, to);
    assert_int_equal(rename(w.path[1], path), 0);
    memcpy(w.path[1], path, sizeof path);
    without_chunks();
}

/* With ever more memory, until it is enough; byte by byte in between. */
static void commit_with_more(uint64_t step, uint64_t from, uint64_t to)
{
    unsigned refused = 0;
    int rc = AZR_ENOMEM;

    for (uint64_t room = 0; room < 4000;
         room += room >= from && room < to ? 1 : step) {
        begin_two();
        azr_set_memory_cap(azri_heap_nbytes() + room + 1);
        err = (azr_error)AZR_ERROR_INIT;
        rc = commit_two();
        azr_set_memory_cap(0);
        if (rc == AZR_OK)
            break;
        assert_int_equal(rc, AZR_ENOMEM);
        refused++;
        assert_neither();
    }
    assert_int_equal(rc, AZR_OK);
    assert_true(refused > 8);
}

static void test_paths(void **state)
{
    (void)state;
    begin_two(); /* asking for it fails */
    fake_fail(ON_FSTATAT, "../b/.azr/state", 0, 1, EIO);
    FAILS(commit_two(), AZR_EIO, AZR_SUB_STAT, "../b/.azr/state");
    assert_neither();
    for (int i = 0; i < 3; i++) {
        static const int gone[] = {ENOENT, ENOTDIR, ENAMETOOLONG};

        begin_two();
        fake_fail(ON_FSTATAT, "../b/.azr/state", 0, 1, gone[i]);
        FAILS(commit_two(), AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
              "there is no path from one to the other");
        assert_neither();
    }
    begin_two(); /* another file system is there */
    t->s->dev++;
    u->s->dev++;
    FAILS(commit_two(), AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM, "no path");
    t->s->dev--;
    u->s->dev--;
    assert_neither();
    begin_two(); /* another one stands there */
    state_of(1)->ino++;
    FAILS(commit_two(), AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM, "no path");
    state_of(1)->ino--;
    assert_neither();
    /* each allocation; byte by byte where the first path is put together */
    commit_with_more(16, 640, 720);
    without_chunks();
    begin_two();
    OK(commit_two()); /* the path is known from now on */
    move_b("moved");
    begin_two(); /* and does not lead there any more: asked anew */
    OK(commit_two());
    assert_chunk(1, 4, "new");
}

/* One reference, with this path and zeros up to a multiple of 8. */
static void assert_refs(const azri_buf *refs, const char *path)
{
    azri_ref_head h;

    memcpy(&h, refs->data, sizeof h);
    assert_int_equal(h.path_nbytes, strlen(path));
    assert_memory_equal(refs->data + sizeof h, path, strlen(path));
    assert_int_equal(refs->nbytes, sizeof h + (strlen(path) + 7) / 8 * 8);
    for (size_t i = sizeof h + strlen(path); i < refs->nbytes; i++)
        assert_int_equal(refs->data[i], 0);
}

static void expect_path(const char *there, const char *back)
{
    size_t at;

    begin_two();
    OK(commit_two());
    assert_chunk(1, 4, "new");
    assert_refs(&t->refs, there);
    assert_refs(&u->refs, back);
    /* known from now on */
    at = state_of(1)->ino % AZRI_BESIDE;
    assert_string_equal(w.d[0]->beside[at].path, there);
    assert_true(w.d[0]->beside[at].ino == state_of(1)->ino);
    end();
}

static void expect_no_path(void)
{
    begin_two();
    FAILS(commit_two(), AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM, "no path");
    end();
}

/* A path for which there is no memory, and for the zeros behind it there is. */
static void test_long_path(void **state)
{
    char name[61], path[64];

    (void)state;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    (void)snprintf(path, sizeof path, "../%s", name);
    move_b(name);
    commit_with_more(8, 0, 0);
    assert_refs(&t->refs, path);
    assert_refs(&u->refs, "../a");
}

/* Nothing but steps upwards, for the last of which there is no memory, and for the
 * end of the path there is. */
static void test_way_up(void **state)
{
    char path[sizeof w.path[0]];

    (void)state;
    (void)snprintf(path, sizeof path, "%s", w.path[0]);
    for (int depth = 0; depth < 6; depth++) {
        size_t n = strlen(path);

        (void)snprintf(path + n, sizeof path - n, "/%d", depth);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    move_b("a/0/1/2/3/4/5/b");
    commit_with_more(8, 0, 0);
    assert_refs(&t->refs, "0/1/2/3/4/5/b");
    assert_refs(&u->refs, "../../../../../../../");
}

/* Beside it by a name that begins alike, below it, too far away. */
static void test_where(void **state)
{
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char name[201], deep[128];
    int top;

    (void)state;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    expect_path("../b", "../a");
    { /* what is known is gone by, as long as it leads there */
        size_t at = state_of(1)->ino % AZRI_BESIDE;

        azri_free(w.d[0]->beside[at].path);
        w.d[0]->beside[at].path = azri_strdup(".././b");
    }
    expect_path(".././b", "../a");
    (void)snprintf(deep, sizeof deep, "%s/p", w.dir);
    assert_int_equal(mkdir(deep, 0755), 0);
    (void)snprintf(deep, sizeof deep, "%s/p/q", w.dir);
    assert_int_equal(mkdir(deep, 0755), 0);
    move_b("p/q/b");
    expect_path("../p/q/b", "../../../a");
    move_b("ab");
    expect_path("../ab", "../a");
    move_b("a/in");
    expect_path("in", "../");
    without_chunks();
    assert_int_equal(renameat(AT_FDCWD, w.path[1], AT_FDCWD, "b"), 0);
    top = open(w.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 24; i++) { /* nobody can say where that is */
        int next;

        assert_int_equal(mkdirat(top, name, 0755), 0);
        next = openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(renameat(i ? top : here, "b", next, "b"), 0);
        assert_int_equal(close(top), 0);
        top = next;
    }
    expect_no_path();
    begin_two(); /* nor how to get from there */
    azri_txn_never_home(t);
    FAILS(commit_two(), AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM, "no path");
    end();
    assert_int_equal(close(top), 0);
    assert_int_equal(close(here), 0);
}

#define T2(f)  cmocka_unit_test_setup_teardown(f, setup_two, teardown)
#define T2P(f) cmocka_unit_test_setup_teardown(f, setup_two_power, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T2(test_two),         T2(test_two_paths_do_not_fit),
        T2P(test_two_power),  T2(test_two_applied_later),
        T2(test_paths),       T2(test_where),
        T2(test_two_fit),     T2(test_two_words),
        T2P(test_taken_back), T2(test_long_path),
        T2(test_way_up),      T2P(test_not_taken_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
