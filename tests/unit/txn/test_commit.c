/* SPDX-License-Identifier: Apache-2.0 */
/* Staging and commit: what stands in the way under the keys, what plain programs do
 * meanwhile, each sync that fails, and what is on disk afterwards. */
#include "world.h"

#include "base/alloc.h"

#include <atomiczarr.h>

static azri_txn *t;
static const char new[] = "new";

static int setup(void **state)
{
    t = NULL;
    return world_begin(state);
}

static int setup_power(void **state)
{
    t = NULL;
    return world_begin_power(state);
}

static void end(void)
{
    azri_txn_end(t);
    t = NULL;
}

static int teardown(void **state)
{
    /* a test may have failed as nobody */
    assert_int_equal(seteuid(getuid()), 0);
    (void)fake_clear();
    azr_set_memory_cap(0);
    end();
    return world_end(state);
}

static void begin(uint64_t first, uint64_t n)
{
    end();
    OK(azri_txn_begin(&t, w.d[0], &w.patience, &err));
    prepare(t, first, n);
}

static int stage(uint64_t i)
{
    return azri_txn_stage(t, i, bytes_of(new), NULL, &err);
}

static int stage_seen(uint64_t i, const azri_seen *seen)
{
    return azri_txn_stage(t, i, bytes_of(new), seen, &err);
}

static int commit(void)
{
    return azri_txn_commit(t, &err);
}

/* The array is free, and somebody else gets through: chunk 9. */
static void assert_goes_on(void)
{
    end();
    world_open(0, AZRI_DOMAIN_WRITE);
    begin(9, 1);
    OK(stage(0));
    OK(commit());
    end();
    assert_chunk(0, 9, "new");
    assert_clean(0);
}

/* ----------------------------------------------------------------- entries --- */

static void test_entries(void **state)
{
    uint64_t first = 0;

    (void)state;
    OK(azri_txn_begin(&t, w.d[0], &w.patience, &err));
    FAILS(azri_txn_entries(t, UINT32_MAX - 1, coords_from, &first, &err),
          AZR_EINVAL, AZR_SUB_NONE, "4294967294 objects in one transaction");
    azr_set_memory_cap(azri_heap_nbytes() + 100);
    FAILS(azri_txn_entries(t, UINT32_MAX - 2, coords_from, &first, &err),
          AZR_ENOMEM, AZR_SUB_NONE, "memory"); /* as many as there may be */
    FAILS(azri_txn_entries(t, 10, coords_from, &first, &err), AZR_ENOMEM,
          AZR_SUB_NONE, "memory");
    azr_set_memory_cap(0);
    end();
    OK(azri_txn_begin(&t, w.d[0], &w.patience, &err));
    azr_set_memory_cap(azri_heap_nbytes() + 12 * 24 + 32);
    FAILS(azri_txn_entries(t, 10, coords_from, &first, &err), AZR_ENOMEM,
          AZR_SUB_NONE, "memory"); /* the second one of two */
    azr_set_memory_cap(0);
    begin(3, 1);
    OK(stage(0));
    OK(commit());
    assert_chunk(0, 3, "new");
    end();
    OK(azri_txn_begin(&t, w.d[0], &w.patience, &err));
    OK(azri_txn_lock_meta(t, false, &err));
    OK(commit()); /* nothing at all */
}

/* ---------------------------------------------------------- what stands there */

/* A directory on another file system than ours, if there is one. */
static bool make_elsewhere(char out[64])
{
    static const char *const roots[] = {"/dev/shm", "/tmp", "/var/tmp"};
    struct stat here, there;

    assert_int_equal(stat(".", &here), 0);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(out, 64, "%s/commit-XXXXXX", roots[i]);
        if (stat(roots[i], &there) == 0 && there.st_dev != here.st_dev &&
            mkdtemp(out))
            return true;
    }
    return false;
}

static void test_strange_targets(void **state)
{
    char elsewhere[64];

    (void)state;
    begin(3, 1);
    assert_int_equal(mkdir(below(0, "c"), 0755), 0);
    assert_int_equal(mkdir(below(0, "c/3"), 0755), 0);
    FAILS(stage(0), AZR_ECORRUPT, AZR_SUB_CHUNK, "'c/3' is a directory");
    FAILS(azri_txn_stage_deleted(t, 0, NULL, &err), AZR_ECORRUPT, AZR_SUB_CHUNK,
          "'c/3' is a directory");
    assert_int_equal(rmdir(below(0, "c/3")), 0);
    fake_fail(ON_FSTATAT, "c/3", 0, 1, EIO);
    FAILS(stage(0), AZR_EIO, AZR_SUB_STAT, "stat 'c/3'");
    fake_fail(ON_FSTATAT, "c/3", 0, 1, EIO);
    FAILS(azri_txn_stage_deleted(t, 0, NULL, &err), AZR_EIO, AZR_SUB_STAT,
          "stat 'c/3'");
    assert_int_equal(rmdir(below(0, "c")), 0);
    put_file(below(0, "c"), "", 0);
    FAILS(stage(0), AZR_EIO, AZR_SUB_STAT, "stat 'c/3'");
    OK(azri_txn_stage_deleted(t, 0, NULL, &err)); /* there is nothing */
    assert_int_equal(unlink(below(0, "c")), 0);
    OK(azri_txn_stage_deleted(t, 0, NULL, &err));
    if (make_elsewhere(elsewhere)) { /* chunks on another file system */
        assert_int_equal(symlink(elsewhere, below(0, "c")), 0);
        FAILS(stage(0), AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
              "'c' is on another file system");
        assert_int_equal(unlink(below(0, "c")), 0);
        assert_int_equal(rmdir(elsewhere), 0);
    }
    fake_fail(ON_MKDIRAT, "c", 0, 1, ENOSPC);
    FAILS(stage(0), AZR_EIO, AZR_SUB_MKDIR, "mkdir 'c'");
    fake_fail(ON_FACCESSAT, "c", 0, 1, EACCES);
    FAILS(stage(0), AZR_EPERM, AZR_SUB_OPEN, "no permission to write in 'c'");
    fake_fail(ON_FSTATAT, "c", 2, 1, EIO);
    FAILS(stage(0), AZR_EIO, AZR_SUB_STAT, "stat 'c'");
    fake_fail(ON_FSTAT, ".azr/tx", 0, 1, EIO);
    FAILS(stage(0), AZR_EIO, AZR_SUB_STAT, "stat 'c'");
    OK(stage(0));
    OK(commit());
    assert_chunk(0, 3, "new");
    assert_goes_on();
}

static void put_file_in_place(void)
{
    assert_int_equal(rmdir(below(0, "c")), 0);
    put_file(below(0, "c"), "", 0);
}

static void test_parent_goes(void **state)
{
    (void)state;
    assert_int_equal(mkdir(below(0, "c"), 0755), 0);
    begin(3, 1);
    fake_before(ON_FSTATAT, "c", 1, put_file_in_place);
    FAILS(stage(0), AZR_ECORRUPT, AZR_SUB_CHUNK, "'c' is not a directory");
    assert_int_equal(fake_clear(), 1);
    assert_int_equal(unlink(below(0, "c")), 0);
    /* known to be good, and removed since: made again when it is renamed into */
    begin(3, 2);
    OK(stage(0));
    assert_int_equal(rmdir(below(0, "c")), 0);
    OK(stage(1));
    OK(commit());
    assert_chunk(0, 4, "new");
    assert_goes_on();
}

static void test_modes(void **state)
{
    struct stat st;

    (void)state;
    put_chunk(0, 3, "old");
    assert_int_equal(chmod(below(0, "c/3"), 0640), 0);
    begin(3, 2);
    OK(stage(0));
    OK(stage(1));
    OK(commit());
    assert_int_equal(stat(below(0, "c/3"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640); /* as it was */
    assert_int_equal(stat(below(0, "c/4"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    /* a link's mode says nothing */
    assert_int_equal(unlink(below(0, "c/3")), 0);
    assert_int_equal(symlink("nowhere", below(0, "c/3")), 0);
    begin(3, 1);
    OK(stage(0));
    OK(commit());
    assert_int_equal(lstat(below(0, "c/3"), &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0644);
    begin(3, 1);
    fake_fail(ON_FSTAT, ".azr/tx/", 0, 1, EIO);
    FAILS(stage(0), AZR_EIO, AZR_SUB_STAT, "stat");
    (void)umask(077); /* made narrower than it is to be */
    begin(3, 1);
    OK(stage(0));
    (void)umask(022);
    OK(commit());
    assert_int_equal(stat(below(0, "c/3"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    if (geteuid() == 0) { /* of another group, which it keeps */
        assert_int_equal(chown(below(0, "c/3"), (uid_t)-1, NOBODY), 0);
        begin(3, 1);
        OK(stage(0));
        OK(commit());
        assert_int_equal(stat(below(0, "c/3"), &st), 0);
        assert_int_equal(st.st_gid, NOBODY);
    }
    assert_goes_on();
}

/* A handle that has not opened tx/ yet, and cannot. */
static void test_without_tx(void **state)
{
    (void)state;
    world_open(0, 0);
    begin(3, 1);
    fake_fail(ON_OPENAT, ".azr/tx", 0, 1, EMFILE);
    FAILS(stage(0), AZR_EIO, AZR_SUB_OPEN, ".azr/tx");
    assert_goes_on();
}

/* Coordinates so large that they share the last offset of the locks. */
static void test_far(void **state)
{
    uint64_t far = UINT64_C(1) << 61;
    char name[40];

    (void)state;
    begin(far, 2);
    OK(stage(0));
    OK(stage(1));
    OK(commit());
    for (uint64_t i = 0; i < 2; i++) {
        (void)snprintf(name, sizeof name, "c/%llu",
                       (unsigned long long)(far + i));
        assert_true(is_there(0, name));
    }
    assert_goes_on();
}

/* ------------------------------------------------------------------ sticky --- */

/* Nobody in particular, where we are root. */
static void become(uid_t uid)
{
    assert_int_equal(seteuid(0), 0);
    if (uid != 0)
        assert_int_equal(seteuid(uid), 0);
}

static void test_sticky(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    put_chunk(0, 3, "old");
    assert_int_equal(chmod(w.dir, 0777), 0);
    assert_int_equal(chmod(w.path[0], 0777), 0);
    assert_int_equal(chmod(below(0, ".azr/tx"), 0777), 0);
    assert_int_equal(chmod(below(0, "c"), 01777), 0);
    begin(3, 1);
    become(NOBODY);
    FAILS(stage(0), AZR_EPERM, AZR_SUB_NONE, "its directory is sticky");
    FAILS(azri_txn_stage_deleted(t, 0, NULL, &err), AZR_EPERM, AZR_SUB_NONE,
          "its directory is sticky");
    fake_fail(ON_FSTATAT, "c", 1, 1, EIO);
    FAILS(stage(0), AZR_EIO, AZR_SUB_STAT, "stat 'c'");
    become(0);
    assert_int_equal(chown(below(0, "c"), NOBODY, (gid_t)-1), 0);
    become(NOBODY); /* whose directory it is */
    OK(stage(0));
    become(0); /* who may do everything */
    OK(azri_txn_stage_deleted(t, 0, NULL, &err));
    end();
    begin(3, 1);
    become(NOBODY); /* looked at each time: the owner of each object counts */
    OK(azri_txn_stage_deleted(t, 0, NULL, &err));
    become(0);
    assert_int_equal(chown(below(0, "c"), 0, (gid_t)-1), 0);
    become(NOBODY);
    FAILS(stage(0), AZR_EPERM, AZR_SUB_NONE, "its directory is sticky");
    become(0);

    assert_int_equal(chown(below(0, "c/3"), NOBODY, (gid_t)-1), 0);
    become(NOBODY); /* whose file it is */
    OK(azri_txn_stage_deleted(t, 0, NULL, &err));
    become(0); /* another one's, and root */
    OK(azri_txn_stage_deleted(t, 0, NULL, &err));
    assert_int_equal(chown(below(0, "c/3"), 0, (gid_t)-1), 0);
    assert_int_equal(chmod(below(0, "c"), 0777), 0);
    become(NOBODY); /* not sticky */
    OK(azri_txn_stage_deleted(t, 0, NULL, &err));
    become(0);
    OK(commit());
    assert_chunk(0, 3, NULL);
}

/* ------------------------------------------------------------------ foreign --- */

static azri_seen see(const char *key)
{
    azr_store *s = azri_domain_store(w.d[0]);
    azri_seen seen = {.read = true, .object = AZR_OBJECT_INIT};

    OK(s->ops->identify(s, key, &seen.object, &err));
    return seen;
}

static void expect_foreign(void)
{
    FAILS(commit(), AZR_ECONFLICT, AZR_SUB_FOREIGN,
          "by a program that does not take part; nothing was written");
    end();
    assert_clean(0);
}

static void test_foreign(void **state)
{
    azri_seen seen, none = {.read = true, .absent = true};

    (void)state;
    put_chunk(0, 3, "old");
    begin(3, 1);
    seen = see("c/3");
    OK(stage_seen(0, &seen));
    put_chunk(0, 3, "other");
    expect_foreign();
    assert_chunk(0, 3, "other");
    begin(3, 1);
    seen = see("c/3");
    OK(stage_seen(0, &seen));
    assert_int_equal(unlink(below(0, "c/3")), 0);
    expect_foreign();
    put_chunk(0, 3, "old"); /* what is deleted was read as well */
    begin(3, 1);
    seen = see("c/3");
    OK(azri_txn_stage_deleted(t, 0, &seen, &err));
    put_chunk(0, 3, "other");
    expect_foreign();
    assert_chunk(0, 3, "other");
    assert_int_equal(unlink(below(0, "c/3")), 0);
    begin(3, 1);
    OK(stage_seen(0, &none));
    put_chunk(0, 3, "came");
    expect_foreign();
    assert_chunk(0, 3, "came");
    assert_int_equal(unlink(below(0, "c/3")), 0);
    begin(3, 1);
    OK(stage_seen(0, &none)); /* it is absent still */
    OK(commit());
    assert_chunk(0, 3, "new");
    begin(3, 1);
    seen = see("c/3");
    OK(stage_seen(0, &seen));
    fake_fail(ON_FSTATAT, "c/3", 0, 1, EIO);
    FAILS(commit(), AZR_EIO, AZR_SUB_STAT, "c/3");
    OK(commit());
    assert_goes_on();
}

/* Its status alone has changed: links come and go for snapshots; what was read
 * through a row has been renamed since. */
static void test_linked(void **state)
{
    azri_seen seen;

    (void)state;
    put_chunk(0, 3, "old");
    begin(3, 1);
    seen = see("c/3");
    OK(stage_seen(0, &seen));
    assert_int_equal(link(below(0, "c/3"), below(0, "copy")), 0);
    expect_foreign();
    begin(3, 1);
    seen = see("c/3");
    seen.staged = true;
    OK(stage_seen(0, &seen));
    assert_int_equal(unlink(below(0, "copy")), 0);
    OK(commit());
    assert_chunk(0, 3, "new");
    begin(3, 1);
    seen = see("c/3");
    OK(stage_seen(0, &seen));
    assert_int_equal(link(below(0, "c/3"), below(0, "copy")), 0);
    assert_int_equal(mkdir(below(0, ".azr/snap"), 0755), 0);
    OK(commit());
    assert_goes_on();
}

/* ----------------------------------------------------------------- keeping --- */

static void test_keep(void **state)
{
    azr_store *s = azri_domain_store(w.d[0]);
    azr_object o = AZR_OBJECT_INIT;
    int kept = 0;

    (void)state;
    for (uint64_t i = 0; i < CELLS; i++)
        put_chunk(0, i, "old");
    begin(0, CELLS);
    for (uint64_t i = 0; i < 18; i++) { /* the second ones are not wanted */
        char key[16];

        (void)snprintf(key, sizeof key, "c/%u", (unsigned)(i % CELLS));
        OK(s->ops->open(s, key, &o, &err));
        azri_txn_keep(t, i % CELLS, &o);
        assert_int_equal(o.handle, -1);
    }
    for (uint64_t i = 0; i < CELLS; i++) {
        kept += t->staged[i].kept.handle >= 0;
        OK(stage(i));
    }
    assert_int_equal(kept, CELLS);
    OK(commit());
    end();
    /* more than a transaction may keep */
    begin(0, CELLS);
    atomic_store(&t->kept_count, 16);
    OK(s->ops->open(s, "c/1", &o, &err));
    azri_txn_keep(t, 1, &o);
    assert_true(t->staged[1].kept.handle < 0);
}

static void test_large(void **state)
{
    static uint8_t large[5 << 20];
    struct stat st;

    (void)state;
    for (int round = 0; round < 2; round++) {
        memset(large, 'a' + round, sizeof large);
        begin(3, 1);
        OK(azri_txn_stage(t, 0, (azri_span){large, sizeof large}, NULL, &err));
        OK(commit());
        end(); /* what it replaced is closed by several at once */
        assert_int_equal(stat(below(0, "c/3"), &st), 0);
        assert_int_equal(st.st_size, sizeof large);
    }
    fake_fail(ON_OPENAT, "c/3", 0, 1, EMFILE); /* cannot be kept: only slower */
    begin(3, 1);
    OK(stage(0));
    OK(commit());
    assert_int_equal(fake_clear(), 1);
    assert_chunk(0, 3, "new");
    fake_fail(ON_OPENAT, ".0", 0, 1, ENOSPC);
    begin(3, 1);
    FAILS(stage(0), AZR_EIO, AZR_SUB_OPEN, ".0");
    fake_fail(ON_CLOSE, ".azr/tx/", 0, 1, EIO);
    begin(3, 1);
    FAILS(stage(0), AZR_EIO, AZR_SUB_WRITE, "close");
    fake_fail(ON_PWRITE, ".azr/tx/", 0, 1, ENOSPC); /* the first one is told */
    fake_fail(ON_CLOSE, ".azr/tx/", 0, 1, EIO);
    begin(3, 1);
    FAILS(stage(0), AZR_EIO, AZR_SUB_WRITE, "write");
    assert_goes_on();
}

/* Since when this boot has something that is not on disk for sure: the first one. */
static void test_unsynced_since(void **state)
{
    azri_changing *c = azri_state_changing(state_of(0));
    uint64_t boot[2], since;

    (void)state;
    azri_boot_id((uint8_t *)boot);
    begin(3, 1);
    OK(stage(0));
    OK(commit());
    assert_int_equal(atomic_load(&c->boot[0]), boot[0]);
    assert_int_equal(atomic_load(&c->boot[1]), boot[1]);
    since = atomic_load(&c->boot_time);
    assert_in_range((uint64_t)azri_wall_ns() - since, 0, UINT64_C(60000000000));
    begin(4, 1);
    OK(stage(0));
    OK(commit());
    assert_int_equal(atomic_load(&c->boot_time), since);
    for (int half = 0; half < 2; half++) { /* another boot, by half of its id */
        (void)atomic_fetch_xor(&c->boot[half], 1);
        atomic_store(&c->boot_time, 1);
        begin(5, 1);
        OK(stage(0));
        OK(commit());
        assert_int_equal(atomic_load(&c->boot[half]), boot[half]);
        assert_true(atomic_load(&c->boot_time) >= since);
    }
}

static void test_counted(void **state)
{
    uint64_t commits = COUNTED(commits), chunks = COUNTED(chunks_written),
             gone = COUNTED(chunks_deleted), nbytes = COUNTED(bytes_written);

    (void)state;
    put_chunk(0, 4, "old");
    begin(3, 2);
    OK(stage(0));
    OK(azri_txn_stage_deleted(t, 1, NULL, &err));
    assert_int_equal(COUNTED(commits) - commits, 0);
    OK(commit());
    assert_int_equal(COUNTED(commits) - commits, 1);
    assert_int_equal(COUNTED(chunks_written) - chunks, 1);
    assert_int_equal(COUNTED(chunks_deleted) - gone, 1);
    assert_int_equal(COUNTED(bytes_written) - nbytes, strlen(new));
    assert_chunk(0, 3, "new");
    assert_chunk(0, 4, NULL);
}

/* More objects than a rename keeps open. */
static void test_many(void **state)
{
    uint64_t first = 0;

    (void)state;
    w.grid.cells[0] = 100;
    for (int round = 0; round < 2; round++) {
        end();
        OK(azri_txn_begin(&t, w.d[0], &w.patience, &err));
        OK(azri_txn_lock_meta(t, true, &err));
        OK(azri_txn_entries(t, 100, coords_from, &first, &err));
        for (uint64_t i = 0; i < 100; i++)
            OK(stage(i));
        OK(commit());
    }
    assert_chunk(0, 99, "new");
    assert_goes_on();
}

/* ------------------------------------------------------------------- power --- */

static void assert_poisoned(void)
{
    end();
    FAILS(azri_txn_begin(&t, w.d[0], &w.patience, &err), AZR_EPOISONED,
          AZR_SUB_NONE, "open it anew");
    world_open(0, AZRI_DOMAIN_WRITE);
}

static void test_syncs_before(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 2; k++) { /* tx/, where c/ stands */
        begin(3, 1);
        OK(stage(0));
        fake_fail(ON_FSYNC, NULL, k, 1, EIO);
        FAILS(commit(), AZR_EIO, AZR_SUB_SYNC, "fsync");
        assert_poisoned();
        assert_clean(0);
        assert_chunk(0, 3, NULL);
    }
    begin(3, 1);
    fake_fail(ON_FDATASYNC, ".azr/tx/", 0, 1, ENOSPC); /* the object */
    FAILS(stage(0), AZR_EIO, AZR_SUB_SYNC, "fdatasync");
    OK(azri_txn_stage_deleted(t, 0, NULL, &err));
    fake_fail(ON_FDATASYNC, ".azr/state", 0, 1, EIO);
    FAILS(commit(), AZR_EIO, AZR_SUB_SYNC, "state");
    assert_poisoned();
    assert_goes_on();
}

/* The sync of the commit itself: nobody knows. */
static void test_sync_of_commit(void **state)
{
    azr_recovery told = {0};

    (void)state;
    begin(3, 1);
    OK(stage(0));
    fake_fail(ON_FDATASYNC, ".azr/state", 1, 1, EIO);
    FAILS(commit(), AZR_EUNKNOWN, AZR_SUB_SYNC, "recovery decides");
    assert_poisoned();
    OK(azri_domain_recover(w.d[0], &told, &err));
    assert_int_equal(told.finished, 1);
    assert_chunk(0, 3, "new");
    assert_goes_on();
}

/* After the commit nothing is an error any more. */
static void test_syncs_after(void **state)
{
    azr_recovery told = {0};

    (void)state;
    put_chunk(0, 3, "old");
    begin(3, 1);
    OK(stage(0));
    fake_fail(ON_FSYNC, "/a/c", 0, 1, EIO);
    OK(commit());
    assert_chunk(0, 3, "new");
    assert_poisoned();
    OK(azri_domain_recover(w.d[0], &told, &err));
    assert_int_equal(told.finished, 1);
    begin(3, 1);
    OK(stage(0));
    fake_fail(ON_RENAMEAT2, "c/3", 0, 1, EIO);
    OK(commit());
    end();
    OK(azri_domain_recover(w.d[0], &told, &err));
    assert_int_equal(told.finished, 2);
    begin(3, 1); /* what was staged is denied, by a kernel that knows better */
    OK(stage(0));
    fake_fail(ON_RENAMEAT2, "c/3", 0, 2, ENOENT);
    OK(commit());
    end();
    OK(azri_domain_recover(w.d[0], &told, &err));
    assert_int_equal(told.finished, 3);
    assert_goes_on();
}

static void begin_document(void);

/* The directory of a document too; not one that never was there. */
static void test_directories_synced(void **state)
{
    (void)state;
    begin(3, 1);
    OK(azri_txn_stage_deleted(t, 0, NULL, &err));
    OK(commit());
    assert_false(is_there(0, "c"));
    assert_false(atomic_load(&w.d[0]->poisoned));
    begin_document();
    OK(azri_txn_stage_document(t, AZRI_ENTRY_V3, bytes_of("{}"), false, NULL,
                               &err));
    fake_fail(ON_FSYNC, NULL, 1, 1, EIO); /* after tx/: the array's own */
    OK(commit());
    assert_int_equal(fake_clear(), 1);
    assert_true(is_there(0, "zarr.json"));
    assert_poisoned();
    assert_goes_on();
}

/* ------------------------------------------------------------------ records --- */

static void stage_all(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        OK(stage(i));
}

/* What does not fit into a row stands in a file. */
static void test_records(void **state)
{
    (void)state;
    begin(0, CELLS);
    stage_all(CELLS);
    assert_true(CELLS * azri_entry_nbytes(state_of(0)) <= 248);
    OK(commit());
    begin(0, 11);
    stage_all(11);
    OK(commit());
    for (int i = 0; i < 4; i++) {
        static const struct {
            fake_call call;
            unsigned skip;
        } calls[] = {
            {ON_OPENAT, 0}, {ON_PWRITE, 0}, {ON_PWRITE, 1}, {ON_FSTAT, 0}};

        begin(0, 11);
        stage_all(11);
        atomic_store(&t->comes_out, 0);
        fake_fail(calls[i].call, ".r", calls[i].skip, 1, EIO);
        err = (azr_error)AZR_ERROR_INIT;
        assert_int_equal(commit(), AZR_EIO);
        assert_non_null(strstr(err.message, ".r'"));
        assert_int_equal(fake_clear(), 1);
        end();
        assert_clean(0);
    }
    assert_goes_on();
}

/* Who finishes it may be another one of the group. */
static void test_mode_of_record(void **state)
{
    struct stat st;

    (void)state;
    (void)umask(077);
    begin(0, 11);
    stage_all(11);
    fake_fail(ON_RENAMEAT2, "c/0", 0, 1, EIO);
    OK(commit());
    (void)umask(022);
    assert_int_equal(stat(below(0, record_path(t->row, t->id)), &st), 0);
    assert_int_equal(st.st_mode & 07777, w.d[0]->dir_mode & 0666);
    assert_goes_on();
}

static void test_records_power(void **state)
{
    (void)state;
    begin(0, 11);
    stage_all(11);
    fake_fail(ON_FDATASYNC, ".r", 0, 1, EIO);
    FAILS(commit(), AZR_EIO, AZR_SUB_SYNC, "fdatasync");
    end();
    assert_clean(0);
    assert_goes_on();
}

/* ---------------------------------------------------------------- documents --- */

static void begin_document(void)
{
    end();
    OK(azri_txn_begin(&t, w.d[0], &w.patience, &err));
    OK(azri_txn_lock_meta(t, true, &err));
    OK(azri_txn_look(t, true, &err));
    OK(azri_txn_entries(t, 0, NULL, NULL, &err));
}

static int upkeep_says;

static int upkeep(void *arg, azri_domain *d, bool owner, azr_error *e)
{
    (void)arg;
    (void)d;
    assert_true(owner);
    return upkeep_says < 0 ? azri_fail(e, upkeep_says, "above") : AZR_OK;
}

static void test_documents(void **state)
{
    azri_seen seen;
    uint32_t row;

    (void)state;
    put_file(below(0, "zarr.json"), "{}", 2);
    begin_document();
    seen = see("zarr.json");
    OK(azri_txn_stage_document(t, AZRI_ENTRY_V3, bytes_of("{1}"), true,
                               &seen.object, &err));
    OK(commit());
    assert_file(0, "zarr.json", "{1}");
    begin_document();
    OK(azri_txn_stage_document(t, AZRI_ENTRY_V3, bytes_of("{2}"), false, NULL,
                               &err));
    expect_foreign(); /* there was none, we said */
    assert_file(0, "zarr.json", "{1}");
    /* copies above that cannot be renewed: the row stays, ACTIVE */
    azri_domain_set_upkeep(w.d[0], upkeep, NULL);
    upkeep_says = AZR_EIO;
    begin_document();
    seen = see("zarr.json");
    OK(azri_txn_stage_document(t, AZRI_ENTRY_V3, bytes_of("{3}"), false,
                               &seen.object, &err));
    OK(commit());
    row = t->row;
    end();
    assert_int_equal(azri_word_state(word_of(0, row)), AZRI_ACTIVE);
    assert_file(0, "zarr.json", "{3}");
    upkeep_says = AZR_OK;
    begin_document();
    seen = see("zarr.json");
    OK(azri_txn_stage_document(t, AZRI_ENTRY_V3, bytes_of("{4}"), false,
                               &seen.object, &err));
    OK(commit());
    row = t->row;
    end();
    assert_int_equal(azri_word_state(word_of(0, row)), AZRI_FREE);
    assert_file(0, "zarr.json", "{4}");
}

/* ----------------------------------------------------------------- creation --- */

static int publish(const char *key, bool exclusive)
{
    return azri_txn_publish(t, key, bytes_of("{}"), exclusive, &err);
}

static void begin_creation(void)
{
    end();
    OK(azri_txn_begin(&t, w.d[0], &w.patience, &err));
    OK(azri_txn_lock_meta(t, true, &err));
}

static void test_publish(void **state)
{
    uint32_t row;

    (void)state;
    begin_creation();
    OK(publish("zarr.json", true));
    assert_file(0, "zarr.json", "{}");
    FAILS_SILENTLY(publish("zarr.json", true), AZR_EEXISTS);
    begin_creation();
    fake_fail(ON_RENAMEAT2, "zarr.json", 0, 1, EIO);
    FAILS(publish("zarr.json", false), AZR_EIO, AZR_SUB_RENAME, "zarr.json");
    azri_txn_published(t); /* nobody asked for upkeep */
    OK(azri_txn_unpublish(t, "zarr.json", &err));
    assert_file(0, "zarr.json", NULL);
    OK(azri_txn_unpublish(t, "zarr.json", &err)); /* there is none */
    fake_fail(ON_UNLINKAT, "zarr.json", 0, 1, EPERM);
    FAILS(azri_txn_unpublish(t, "zarr.json", &err), AZR_EPERM, AZR_SUB_UNLINK,
          "zarr.json");
    end();
    assert_clean(0);
    begin_creation();
    azr_set_memory_cap(1);
    FAILS(publish("zarr.json", true), AZR_ENOMEM, AZR_SUB_NONE, "memory");
    azr_set_memory_cap(0);
    begin_creation();
    world_without_tx(0);
    fake_fail(ON_OPENAT, ".azr/tx", 0, 1, EMFILE);
    FAILS(publish("zarr.json", true), AZR_EIO, AZR_SUB_OPEN, ".azr/tx");
    begin_creation();
    fake_fail(ON_OPENAT, ".0", 0, 1, ENOSPC);
    FAILS(publish("zarr.json", true), AZR_EIO, AZR_SUB_OPEN, ".0");
    end();
    assert_clean(0);
    azri_domain_set_upkeep(w.d[0], upkeep, NULL);
    upkeep_says = AZR_OK;
    begin_creation();
    OK(publish("zarr.json", true));
    azri_txn_published(t);
    end();
    assert_clean(0);
    upkeep_says = AZR_EIO;
    begin_creation();
    OK(publish("zarr.json", false));
    azri_txn_published(t);
    row = t->row;
    end();
    assert_int_equal(azri_word_state(word_of(0, row)), AZRI_ACTIVE);
}

static void test_publish_power(void **state)
{
    (void)state;
    begin_creation();
    fake_fail(ON_FSYNC, ".azr/tx", 0, 1, EIO);
    FAILS(publish("zarr.json", true), AZR_EIO, AZR_SUB_SYNC, "tx");
    assert_false(is_there(0, "zarr.json"));
    begin_creation(); /* everybody sees it, and nobody knows for how long */
    fake_fail(ON_FSYNC, NULL, 1, 1, EIO);
    FAILS(publish("zarr.json", true), AZR_EUNKNOWN, AZR_SUB_SYNC,
          "outlive a power loss");
    assert_true(is_there(0, "zarr.json"));
}

#define T(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TP(f) cmocka_unit_test_setup_teardown(f, setup_power, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_entries),        T(test_strange_targets),
        T(test_parent_goes),    T(test_modes),
        T(test_without_tx),     T(test_far),
        T(test_sticky),         T(test_foreign),
        T(test_linked),         T(test_keep),
        T(test_large),          T(test_many),
        TP(test_syncs_before),  TP(test_sync_of_commit),
        TP(test_syncs_after),   T(test_records),
        TP(test_records_power), T(test_documents),
        T(test_publish),        TP(test_publish_power),
        T(test_counted),        T(test_unsynced_since),
        T(test_mode_of_record), TP(test_directories_synced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
