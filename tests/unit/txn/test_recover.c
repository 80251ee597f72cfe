/* SPDX-License-Identifier: Apache-2.0 */
/* What the dead of one array leave, in every state of a row and of its files. */
#include "world.h"

#include "base/alloc.h"
#include "base/hash.h"

#define ROW UINT32_C(2)
#define ID  UINT64_C(0x00a0b0c0d0e0f0)

static made_row r;
static azr_recovery told;

static int recover(void)
{
    memset(&told, 0, sizeof told);
    return azri_domain_recover(w.d[0], &told, &err);
}

/* Chunks 2 to 4, of which 2 was there. */
static void make(void)
{
    put_chunk(0, 2, "old");
    (void)unlink(below(0, "c/3"));
    (void)unlink(below(0, "c/4"));
    row_make(&r, 0, ROW, ID, 2, 4);
}

static void assert_done(void)
{
    assert_int_equal(told.finished, 1);
    assert_int_equal(told.cleared, 0);
    for (uint64_t i = 2; i < 5; i++)
        assert_chunk(0, i, "new");
    assert_clean(0);
}

static void assert_undone(void)
{
    assert_int_equal(told.finished, 0);
    assert_int_equal(told.cleared, 1);
    assert_chunk(0, 2, "old");
    assert_chunk(0, 3, NULL);
    assert_chunk(0, 4, NULL);
    assert_clean(0);
}

static const char *staged(uint64_t n)
{
    static char name[64];
    char base[AZRI_STAGED_NAME_MAX];

    azri_staged_name(base, ROW, ID, n);
    (void)snprintf(name, sizeof name, ".azr/tx/%s", base);
    return name;
}

/* Nothing is done, and the row waits, with what it has staged. */
static void assert_stays(uint32_t row_state)
{
    assert_int_equal(told.finished + told.cleared, 0);
    assert_int_equal(azri_word_state(word_of(0, ROW)), row_state);
    assert_chunk(0, 2, "old");
    assert_true(is_there(0, staged(0)));
}

static const char *lost(uint64_t n)
{
    static char name[64];

    (void)snprintf(name, sizeof name, ".azr/lost/%014llx.%llu",
                   (unsigned long long)ID, (unsigned long long)n);
    return name;
}

/* ------------------------------------------------------------------ states --- */

static void test_states(void **state)
{
    uint64_t rows = COUNTED(recovered_rows), rubbish = COUNTED(rubbish_removed);

    (void)state;
    make();
    row_put(&r, 0, AZRI_FREE); /* rubbish, that no row names */
    OK(recover());
    assert_int_equal(told.rubbish, 3);
    assert_int_equal(COUNTED(recovered_rows) - rows, 0);
    assert_int_equal(COUNTED(rubbish_removed) - rubbish, 3);
    assert_clean(0);
    make();
    row_put(&r, 0, AZRI_ACTIVE);
    put_file(below(0, ".azr/tx/2/nobody's"), "", 0);
    put_file(below(0, ".azr/tx/2/0123456789abcd.7"), "", 0);
    OK(recover());
    assert_int_equal(told.rubbish, 1);
    assert_int_equal(unlink(below(0, ".azr/tx/2/nobody's")), 0);
    assert_undone();
    assert_int_equal(COUNTED(recovered_rows) - rows, 1);
    assert_int_equal(COUNTED(rubbish_removed) - rubbish, 4);
    make(); /* tx/ cannot be opened as its row is cleared: rubbish, later */
    row_put(&r, 0, AZRI_ACTIVE);
    world_without_tx(0);
    fake_fail(ON_OPENAT, ".azr/tx", 1, 3, EMFILE);
    OK(recover());
    assert_int_equal(fake_clear(), 3);
    assert_int_equal(told.cleared, 1);
    assert_int_equal(told.rubbish, 3);
    assert_clean(0);
    for (int with_record = 0; with_record < 2; with_record++) {
        for (uint32_t s = AZRI_SEALED; s <= AZRI_COMMITTED; s++) {
            make();
            if (with_record)
                row_use_record(&r, 0);
            row_put(&r, 0, s);
            OK(recover());
            assert_done();
        }
    }
    make();
    row_put(&r, 0, AZRI_SEALED);
    azri_state_row(state_of(0), ROW)->what.crc ^= 1; /* torn */
    OK(recover());
    assert_undone();
    make();
    row_put(&r, 0, AZRI_COMMITTED + 1);
    FAILS(recover(), AZR_EUNSUPPORTED, AZR_SUB_LAYOUT, "is in state 5");
    assert_stays(AZRI_COMMITTED + 1);
    row_put(&r, 0, AZRI_ACTIVE);
    fake_fail(ON_LOCK, "try SLOT", 0, 1, EAGAIN); /* alive */
    OK(recover());
    assert_int_equal(told.busy, 1);
    assert_stays(AZRI_ACTIVE);
    fake_fail(ON_LOCK, "try SLOT", 0, 1, ENOLCK);
    FAILS(recover(), AZR_EIO, AZR_SUB_LOCK, "lock");
    assert_stays(AZRI_ACTIVE);
}

static uint64_t g_version;

static void has_moved(void)
{
    assert_true(version_of(0) == g_version + 3);
}

/* The counters move once more, before anything is renamed. */
static void test_bumps(void **state)
{
    (void)state;
    make();
    row_put(&r, 0, AZRI_COMMITTED);
    g_version = version_of(0);
    fake_before(ON_RENAMEAT2, "c/2", 0, has_moved);
    OK(recover());
    assert_int_equal(fake_clear(), 1);
    has_moved();
    assert_done();
}

static bool slot_is_held(uint32_t i)
{
    azri_range slot = {AZRI_LOCK_SLOT + i, AZRI_LOCK_SLOT + i, false};
    int fd = open(below(0, ".azr/state"), O_RDWR | O_CLOEXEC);
    bool held = azri_ofd_busy(fd, &slot);

    assert_int_equal(close(fd), 0);
    return held;
}

/* The first row and the last one are rows. */
static void test_ends_of_table(void **state)
{
    made_row last;

    (void)state;
    for (uint32_t i = 0; i < 8; i += 7) {
        put_chunk(0, 2, "old");
        row_make(&r, 0, i, ID, 2, 2);
        row_put(&r, 0, AZRI_COMMITTED);
        OK(recover());
        assert_int_equal(told.finished, 1);
        assert_chunk(0, 2, "new");
        assert_clean(0);
        assert_false(slot_is_held(i));
    }
    /* alive, both: what they have staged is not rubbish */
    row_make(&r, 0, 0, ID, 2, 2);
    row_put(&r, 0, AZRI_COMMITTED);
    row_make(&last, 0, 7, ID + 1, 3, 3);
    row_put(&last, 0, AZRI_COMMITTED);
    fake_fail(ON_LOCK, "try SLOT", 0, 2, EAGAIN);
    OK(recover());
    assert_int_equal(told.busy, 2);
    assert_int_equal(told.rubbish, 0);
    OK(recover());
    assert_int_equal(told.finished, 2);
    (void)fake_clear();
    fake_fail(ON_LOCK, "try SLOT", 0, 1, EIO); /* nobody's row is left alone */
    OK(recover());
    assert_int_equal(fake_clear(), 0);
}

static unsigned step;

static void at_who(void)
{
    assert_int_equal(step++, 0);
}

static void at_what(void)
{
    assert_int_equal(step++, 1);
}

static void at_seal(void)
{
    assert_int_equal(step++, 2);
}

static void at_sync(void)
{
    assert_int_equal(step++, 3);
    assert_int_equal(azri_word_state(word_of(0, ROW)), AZRI_SEALED);
}

static void at_commit(void)
{
    assert_int_equal(step++, 4);
}

/* Stored again, all of it, so that the sync has something to sync. */
static void test_unseal(void **state)
{
    (void)state;
    make();
    row_put(&r, 0, AZRI_SEALED);
    step = 0;
    fake_before(ON_STORE, "recovery.who", 0, at_who);
    fake_before(ON_STORE, "recovery.what", 0, at_what);
    fake_before(ON_STORE, "recovery.seal", 0, at_seal);
    fake_before(ON_FDATASYNC, ".azr/state", 0, at_sync);
    fake_before(ON_STORE, "recovery.commit", 0, at_commit);
    OK(recover());
    assert_int_equal(fake_clear(), 5);
    assert_done();
}

/* `process` asks for no sync. */
static void test_no_sync(void **state)
{
    (void)state;
    for (int with_record = 0; with_record < 2; with_record++) {
        make();
        if (with_record)
            row_use_record(&r, 0);
        row_put(&r, 0, AZRI_COMMITTED);
        fake_fail(ON_FSYNC, NULL, 0, 1, EIO);
        fake_fail(ON_FDATASYNC, NULL, 0, 1, EIO);
        OK(recover());
        assert_int_equal(fake_clear(), 0);
        assert_done();
    }
}

static unsigned woken;

static int count_wake(_Atomic uint32_t *word, int count)
{
    (void)count;
    woken += word == azri_word_futex(state_of(0), ROW);
    return 0;
}

static void recover_waking(void)
{
    const struct azri_sys *before = azri_sys;
    struct azri_sys mine = *before;

    mine.futex_wake = count_wake;
    woken = 0;
    azri_sys = &mine;
    OK(recover());
    azri_sys = before;
}

/* The dead one waits no more; who slept on its row is woken. */
static void test_wakes(void **state)
{
    azri_wait_slot *slot = &azri_state_row(state_of(0), ROW)->wait;
    _Atomic uint64_t *waiting = &azri_state_changing(state_of(0))->waiting;

    (void)state;
    for (uint32_t s = AZRI_ACTIVE; s <= AZRI_COMMITTED; s += 3) {
        make();
        row_put(&r, 0, s);
        atomic_store(&slot->first, AZRI_LOCK_META);
        atomic_store(&slot->last, AZRI_LOCK_META);
        atomic_store(waiting, 2); /* it, and who sleeps on its row */
        recover_waking();
        assert_int_equal(woken, 1);
        assert_int_equal(atomic_load(&slot->last), 0);
        assert_int_equal(atomic_load(waiting), 1);
    }
    make(); /* only what is above is left: that stands in nobody's way */
    r.what.flags |= AZRI_WHAT_ABOVE | AZRI_WHAT_METADATA;
    row_put(&r, 0, AZRI_COMMITTED);
    recover_waking();
    assert_int_equal(woken, 1);
    assert_int_equal(azri_word_state(word_of(0, ROW)), AZRI_ACTIVE);
    atomic_store(waiting, 0);
}

static void test_unseal_fails(void **state)
{
    azri_txn *t = NULL;

    (void)state;
    make();
    row_put(&r, 0, AZRI_SEALED);
    fake_fail(ON_FDATASYNC, ".azr/state", 0, 1, EIO);
    FAILS(recover(), AZR_EIO, AZR_SUB_SYNC, "state");
    assert_stays(AZRI_SEALED);
    FAILS(azri_txn_begin(&t, w.d[0], &w.patience, &err), AZR_EPOISONED,
          AZR_SUB_NONE, "a sync failed on this handle");
    world_open(0, AZRI_DOMAIN_WRITE);
    OK(recover());
    assert_done();
}

/* ------------------------------------------------------------------ objects --- */

static void set_crc(uint32_t crc)
{
    azri_entry e;

    azri_entry_get(&e, state_of(0), r.what.entries, 1);
    e.head.crc = crc;
    azri_entry_put(r.what.entries, state_of(0), 1, &e);
}

static void delete_second(void)
{
    azri_entry e;

    azri_entry_get(&e, state_of(0), r.what.entries, 1);
    e.head.flags = AZRI_ENTRY_DELETED;
    e.head.nbytes = 0;
    azri_entry_put(r.what.entries, state_of(0), 1, &e);
    assert_int_equal(unlink(below(0, staged(1))), 0);
}

static void expect_damage(const char *text)
{
    row_put(&r, 0, AZRI_COMMITTED);
    FAILS(recover(), AZR_ECORRUPT, AZR_SUB_RECORD, text);
    assert_stays(AZRI_COMMITTED);
    make();
}

/* A bad object is told before any of them is renamed. */
static void test_objects(void **state)
{
    (void)state;
    make();
    put_file(below(0, staged(2)), "longer", 6);
    expect_damage("6 bytes, its row says 3");
    set_crc(7);
    expect_damage("checksum");
    assert_int_equal(unlink(below(0, staged(1))), 0);
    expect_damage("is neither staged");
    assert_int_equal(unlink(below(0, staged(1))), 0);
    assert_int_equal(mkdir(below(0, staged(1)), 0755), 0);
    row_put(&r, 0, AZRI_COMMITTED);
    FAILS(recover(), AZR_ECORRUPT, AZR_SUB_RECORD, "its row says 3");
    assert_int_equal(rmdir(below(0, staged(1))), 0);
    make();
    row_put(&r, 0, AZRI_COMMITTED);
    fake_fail(ON_FSTATAT, ".1", 0, 1, EIO);
    FAILS(recover(), AZR_EIO, AZR_SUB_STAT, "stat .azr/tx");
    assert_stays(AZRI_COMMITTED);
    set_crc(azri_crc32c(0, "new", 3));
    row_put(&r, 0, AZRI_COMMITTED);
    fake_fail(ON_OPENAT, ".1", 0, 1, EMFILE); /* to be read, for its checksum */
    FAILS(recover(), AZR_EIO, AZR_SUB_OPEN, ".1");
    OK(recover());
    assert_done();
    make(); /* tx/ cannot be opened */
    row_put(&r, 0, AZRI_COMMITTED);
    world_without_tx(0);
    fake_fail(ON_OPENAT, ".azr/tx", 0, 1, EACCES);
    FAILS(recover(), AZR_EPERM, AZR_SUB_OPEN, ".azr/tx");
    assert_stays(AZRI_COMMITTED);
    make(); /* renamed before */
    row_put(&r, 0, AZRI_COMMITTED);

    assert_int_equal(rename(below(0, staged(0)), below(0, "c/2")), 0);
    OK(recover());
    assert_done();
}

static void test_deleted(void **state)
{
    (void)state;
    make();
    put_chunk(0, 3, "gone");
    delete_second();
    row_put(&r, 0, AZRI_COMMITTED);
    fake_fail(ON_UNLINKAT, "c/3", 0, 1, EIO);
    FAILS(recover(), AZR_EIO, AZR_SUB_UNLINK, "remove 'c/3'");
    OK(recover());
    assert_int_equal(told.finished, 1);
    assert_chunk(0, 2, "new");
    assert_chunk(0, 3, NULL);
    assert_clean(0);
    make();
    delete_second(); /* there was none */
    row_put(&r, 0, AZRI_COMMITTED);
    OK(recover());
    assert_int_equal(told.finished, 1);
    make();
    delete_second();
    row_put(&r, 0, AZRI_COMMITTED);
    fake_fail(ON_UNLINKAT, "c/3", 0, 1, ENOTDIR);
    OK(recover());
    assert_int_equal(fake_clear(), 2);
    assert_int_equal(told.finished, 1);
}

static void remove_chunks(void)
{
    for (int i = 0; i < CELLS; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "c/%d", i);
        (void)unlink(below(0, name));
    }
    assert_int_equal(rmdir(below(0, "c")), 0);
}

/* Somebody removes the directory while it is renamed into. */
static void test_directory_goes(void **state)
{
    (void)state;
    make();
    row_put(&r, 0, AZRI_COMMITTED);
    fake_before(ON_RENAMEAT2, "c/2", 0, remove_chunks);
    fake_fail(ON_FSYNC, NULL, 0, 1, EIO); /* of which `process` asks for none */
    OK(recover());
    assert_int_equal(fake_clear(), 1);
    assert_done();
    make();
    row_put(&r, 0, AZRI_COMMITTED);
    fake_before(ON_RENAMEAT2, "c/2", 0, remove_chunks);
    fake_fail(ON_MKDIRAT, "c", 0, 1, ENOSPC);
    FAILS(recover(), AZR_EIO, AZR_SUB_MKDIR, "mkdir 'c'");
    fake_fail(ON_RENAMEAT2, "c/3", 0, 1, EIO);
    FAILS(recover(), AZR_EIO, AZR_SUB_RENAME, "to 'c/3'");
    fake_fail(ON_RENAMEAT2, "c/3", 0, 1, ENOENT);
    fake_fail(ON_RENAMEAT2, "c/3", 0, 1, EIO);
    FAILS(recover(), AZR_EIO, AZR_SUB_RENAME, "to 'c/3'");
    /* a kernel that denies what is there: staged, and not under its key */
    fake_fail(ON_RENAMEAT2, "c/3", 0, 2, ENOENT);
    FAILS(recover(), AZR_EIO, AZR_SUB_RENAME, "to 'c/3'");
    OK(recover());
    assert_done();
}

static void test_directory_goes_power(void **state)
{
    (void)state;
    make();
    row_put(&r, 0, AZRI_COMMITTED);
    fake_before(ON_RENAMEAT2, "c/2", 0, remove_chunks);
    fake_fail(ON_FSYNC, NULL, 0, 1,
              EIO); /* that of a directory that is there */
    FAILS(recover(), AZR_EIO, AZR_SUB_SYNC, "fsync '.'");
    assert_int_equal(fake_clear(), 1);
    fake_before(ON_RENAMEAT2, "c/2", 0, remove_chunks);
    fake_fail(ON_FSYNC, NULL, 1, 1, EIO); /* the new directory's own name */
    FAILS(recover(), AZR_EIO, AZR_SUB_SYNC, "fsync '.'");
    assert_int_equal(fake_clear(), 2);

    fake_fail(ON_FSYNC, "/a/c", 0, 1, ENOSPC);
    FAILS(recover(), AZR_EIO, AZR_SUB_SYNC, "fsync 'c'");
    OK(recover());
    assert_done();
}

/* ----------------------------------------------------------- cut short --- */

/* After a restart without `power` the disk may hold any mix. */
static void test_restart(void **state)
{
    (void)state;
    make();
    row_age(&r);
    row_put(&r, 0, AZRI_COMMITTED);
    OK(recover());
    assert_done(); /* all of it was there */
    make();
    row_age(&r);
    assert_int_equal(truncate(below(0, staged(1)), 1), 0);
    row_put(&r, 0, AZRI_COMMITTED);
    OK(recover());
    assert_int_equal(told.lost, 3);
    assert_undone();
    assert_true(is_there(0, lost(0)));
    assert_true(is_there(0, lost(1)));
    make();
    row_use_record(&r, 0);
    row_age(&r);
    row_put(&r, 0, AZRI_COMMITTED);
    remove_record(0, ROW, ID);
    OK(recover());
    assert_int_equal(told.lost, 3);
    assert_undone();
    make(); /* nowhere to put it: away with it */
    assert_int_equal(unlink(below(0, lost(1))), 0);
    row_age(&r);
    assert_int_equal(truncate(below(0, staged(1)), 1), 0);
    row_put(&r, 0, AZRI_COMMITTED);
    fake_fail(ON_MKDIRAT, "lost", 0, 1, EIO);
    OK(recover());
    assert_undone();
    assert_false(is_there(0, lost(1)));
    make(); /* torn, and nothing says that it was over */
    row_age(&r);
    row_put(&r, 0, AZRI_COMMITTED);
    azri_state_row(state_of(0), ROW)->what.crc ^= 1;
    OK(recover());
    assert_undone();
}

/* The record goes last: without it all was done. */
static void test_record_gone(void **state)
{
    (void)state;
    make();
    row_use_record(&r, 0);
    row_put(&r, 0, AZRI_COMMITTED);
    remove_record(0, ROW, ID);
    OK(recover());
    assert_int_equal(told.finished, 1);
    assert_int_equal(azri_word_state(word_of(0, ROW)), AZRI_FREE);
    make();
    row_use_record(&r, 0);
    row_put(&r, 0, AZRI_COMMITTED);
    fake_fail(ON_OPENAT, ".r", 0, 2, EMFILE); /* that it cannot be read, no */
    FAILS(recover(), AZR_EIO, AZR_SUB_OPEN, ".r");
    assert_stays(AZRI_COMMITTED);
}

static void clear_word(void)
{
    atomic_store(azri_state_word(state_of(0), ROW), azri_word(ID, AZRI_FREE));
}

/* A row that changes under its lock. */
static void test_no_locks(void **state)
{
    (void)state;
    make();
    row_use_record(&r, 0);
    row_put(&r, 0, AZRI_COMMITTED);
    remove_record(0, ROW, ID);
    fake_before(ON_OPENAT, ".r", 1, clear_word);
    FAILS(recover(), AZR_ECORRUPT, AZR_SUB_LOCK, "locks do not work here");
    make();
    row_use_record(&r, 0);
    row_put(&r, 0, AZRI_COMMITTED);
    (void)fake_clear();
    remove_record(0, ROW, ID);
    fake_before(ON_OPENAT, ".r", 0, clear_word);
    OK(recover());
    assert_int_equal(told.finished, 0);
    make(); /* a home, as its record is read once more */
    row_use_record(&r, 0);
    r.what.flags |= AZRI_WHAT_HOME;
    row_refer(&r, 0, 1, "../b");
    row_put(&r, 0, AZRI_COMMITTED);
    (void)fake_clear();
    remove_record(0, ROW, ID);
    fake_before(ON_OPENAT, ".r", 1, clear_word);
    FAILS(recover(), AZR_ECORRUPT, AZR_SUB_LOCK, "locks do not work here");
}

/* The parts of the next transaction under this one's word. */
static void put_taken_again(uint32_t row_state)
{
    make();
    row_age(&r);
    r.who.id++;
    r.what.id++;
    row_put(&r, 0, row_state);
}

/* `power`: then it was over. */
static void test_over(void **state)
{
    (void)state;
    put_taken_again(AZRI_PREPARED); /* torn: its home never committed */
    fake_fail(ON_FDATASYNC, ".azr/state", 0, 1, EIO);
    OK(recover());
    assert_int_equal(fake_clear(), 0);
    assert_int_equal(told.cleared, 1);
    put_taken_again(AZRI_COMMITTED);
    fake_fail(ON_FDATASYNC, ".azr/state", 0, 1, EIO);
    FAILS(recover(), AZR_EIO, AZR_SUB_SYNC, "state");
    assert_true(atomic_load(&w.d[0]->poisoned));
    put_taken_again(AZRI_COMMITTED);
    OK(recover());
    assert_int_equal(told.finished, 1);
    assert_int_equal(azri_word_state(word_of(0, ROW)), AZRI_FREE);
    assert_chunk(0, 2, "old");
    make(); /* a row of nobody else: damage */
    row_age(&r);
    row_put(&r, 0, AZRI_COMMITTED);
    azri_state_row(state_of(0), ROW)->what.crc ^= 1;
    FAILS(recover(), AZR_ECORRUPT, AZR_SUB_STATE, "does not match");
    make(); /* sound, of another boot, and short */
    row_age(&r);
    row_put(&r, 0, AZRI_COMMITTED);
    assert_int_equal(truncate(below(0, staged(1)), 1), 0);
    FAILS(recover(), AZR_ECORRUPT, AZR_SUB_RECORD, "1 bytes");
}

/* ------------------------------------------------------------------- above --- */

static int upkeep_says;
static unsigned upkeeps;

static int upkeep(void *arg, azri_domain *d, bool owner, azr_error *e)
{
    (void)arg;
    (void)d;
    assert_false(owner);
    upkeeps++;
    if (upkeep_says == AZR_EBUSY || upkeep_says == AZR_OK)
        return upkeep_says;
    return azri_fail(e, upkeep_says, "above");
}

static void put_above(uint32_t row_state)
{
    make();
    r.what.flags |= AZRI_WHAT_ABOVE | AZRI_WHAT_METADATA;
    row_put(&r, 0, row_state);
    upkeeps = 0;
}

static void test_above(void **state)
{
    static const int hopeless[] = {AZR_ECORRUPT, AZR_EUNSUPPORTED, AZR_EINVAL},
                     later[] = {AZR_EBUSY, AZR_EIO};

    (void)state;
    put_above(AZRI_ACTIVE); /* we do not know how */
    OK(recover());
    assert_int_equal(told.busy, 1);
    assert_stays(AZRI_ACTIVE);
    azri_domain_set_upkeep(w.d[0], upkeep, NULL);
    assert_true(azri_asks_upkeep(w.d[0]));
    for (int i = 0; i < 2; i++) {
        upkeep_says = later[i];
        put_above(AZRI_ACTIVE);
        OK(recover());
        assert_int_equal(told.busy, 1);
        assert_stays(AZRI_ACTIVE);
        put_above(AZRI_COMMITTED); /* the rest of it is done */
        OK(recover());
        assert_int_equal(told.busy, 1);
        assert_chunk(0, 2, "new");
        assert_int_equal(azri_word_state(word_of(0, ROW)), AZRI_ACTIVE);
    }
    for (int i = 0; i < 3; i++) {
        upkeep_says = hopeless[i];
        put_above(AZRI_COMMITTED);
        OK(recover());
        assert_int_equal(upkeeps, 1);
        assert_done();
    }
    upkeep_says = AZR_OK;
    put_above(AZRI_ACTIVE);
    OK(recover());
    assert_int_equal(upkeeps, 1);
    assert_undone();
    world_open(0, AZRI_DOMAIN_WRITE | AZRI_DOMAIN_STALE_ABOVE);
    azri_domain_set_upkeep(w.d[0], upkeep, NULL);
    assert_false(azri_asks_upkeep(w.d[0]));
}

/* ----------------------------------------------------------------- rubbish --- */

static void test_rubbish(void **state)
{
    char name[64];

    (void)state;
    make();
    row_put(&r, 0, AZRI_COMMITTED);
    fake_fail(ON_LOCK, "try SLOT", 0, 1, EAGAIN); /* finished by somebody */
    for (unsigned i = 0; i < 200; i++) {          /* twice each, in disorder */
        (void)snprintf(name, sizeof name, ".azr/tx/%014llx.%u",
                       (unsigned long long)(azri_splitmix64(i / 2) >> 8),
                       i % 2);
        put_file(below(0, name), "", 0);
    }
    for (unsigned lane = 5; lane < 8; lane++) { /* and in several places */
        (void)snprintf(name, sizeof name, ".azr/tx/%x", lane);
        assert_int_equal(mkdir(below(0, name), 0755), 0);
        for (unsigned i = 0; i < 2; i++) {
            (void)snprintf(name, sizeof name, ".azr/tx/%x/0123456789abc%u.0",
                           lane, i);
            put_file(below(0, name), "", 0);
        }
    }
    put_file(below(0, ".azr/tx/not-ours"), "", 0);
    put_file(below(0, ".azr/state.0123"), "", 0);
    put_file(below(0, ".azr/other"), "", 0);
    OK(recover());
    assert_int_equal(told.rubbish, 206);
    assert_true(is_there(0, staged(0))); /* a row names it */
    assert_true(is_there(0, ".azr/tx/not-ours"));
    assert_false(is_there(0, ".azr/state.0123"));
    assert_true(is_there(0, ".azr/other"));
    put_file(below(0, ".azr/tx/0123456789abcd.0"), "", 0);
    azr_set_memory_cap(azri_heap_nbytes() + 400);
    FAILS(recover(), AZR_ENOMEM, AZR_SUB_NONE, "memory");
    azr_set_memory_cap(0);
}

/* However many objects one had, it is noted once. */
static void test_rubbish_of_one(void **state)
{
    char name[64];

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof name, ".azr/tx/0123456789abcd.%u", i);
        put_file(below(0, name), "", 0);
    }
    azr_set_memory_cap(azri_heap_nbytes() + 1000); /* 64 ids, and not 128 */
    OK(recover());
    azr_set_memory_cap(0);
    assert_int_equal(told.rubbish, 200);
    assert_clean(0);
}

static void test_rubbish_fails(void **state)
{
    (void)state;
    put_file(below(0, ".azr/tx/0123456789abcd.0"), "", 0);
    for (unsigned k = 0; k < 2; k++) { /* to look, to remove */
        fake_fail(ON_OPENAT, ".azr/tx", k, 1, EMFILE);
        FAILS(recover(), AZR_EIO, AZR_SUB_OPEN, ".azr/tx");
        (void)fake_clear();
    }
    OK(recover());
    assert_clean(0);
    no_idle_descriptors(w.d[0]);
    fake_fail(ON_OPENAT, "state", 0, 1, EMFILE);
    FAILS(recover(), AZR_EIO, AZR_SUB_OPEN, "state");
}

#define T(f)  cmocka_unit_test_setup_teardown(f, world_begin, world_end)
#define TP(f) cmocka_unit_test_setup_teardown(f, world_begin_power, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_states),         TP(test_unseal_fails),
        T(test_objects),        T(test_deleted),
        T(test_directory_goes), TP(test_directory_goes_power),
        T(test_restart),        T(test_record_gone),
        T(test_no_locks),       TP(test_over),
        T(test_above),          T(test_rubbish),
        T(test_rubbish_fails),  T(test_rubbish_of_one),
        T(test_ends_of_table),  TP(test_unseal),
        T(test_no_sync),        T(test_wakes),
        T(test_bumps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
