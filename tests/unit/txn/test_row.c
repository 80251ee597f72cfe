/* SPDX-License-Identifier: Apache-2.0 */
/* What a live transaction says of itself in its row, whom it wakes, whom it lets go
 * first, and how little it asks of the kernel. */
#include "world.h"

#include "base/hash.h"

#define IN_AN_HOUR (INT64_C(3600) * 1000000000)
#define WAITER     UINT32_C(7) /* its slot: the last one */

static azri_txn *t, *u;
static int beside; /* a descriptor of somebody else's locks */
static const char new[] = "new";

static int ready(int rc)
{
    t = u = NULL;
    beside = open(below(0, ".azr/state"), O_RDWR | O_CLOEXEC);
    return rc < 0 || beside < 0 ? -1 : 0;
}

static int setup(void **state)
{
    return ready(world_begin(state));
}

static int setup_power(void **state)
{
    return ready(world_begin_power(state));
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
    end();
    return close(beside) == 0 ? world_end(state) : -1;
}

static void begin_with(const azri_patience *p)
{
    end();
    OK(azri_txn_begin(&t, w.d[0], p, &err));
}

static void begin(void)
{
    begin_with(&w.patience);
}

static azri_row *row(void)
{
    return azri_state_row(state_of(0), t->row);
}

static int stage(uint64_t i)
{
    return azri_txn_stage(t, i, bytes_of(new), NULL, &err);
}

static int commit(void)
{
    return azri_txn_commit(t, &err);
}

static bool is_busy(uint64_t first, bool exclusive)
{
    azri_range r = {first, first, exclusive};

    return azri_ofd_busy(beside, &r);
}

/* ------------------------------------------------------------------- signed --- */

static void test_signed(void **state)
{
    const azri_who *who;
    uint8_t boot[16];
    char host[64] = "";

    (void)state;
    /* another's */
    atomic_store(&azri_state_row(state_of(0), 0)->wait.ticket, 5);
    w.d[0]->uid = 4711;
    begin();
    assert_int_equal(t->row, 0);
    assert_int_equal(atomic_load(&row()->wait.ticket), 0);

    who = &row()->who;
    azri_boot_id(boot);
    azri_host_name(host);
    assert_true(who->id == t->id);
    assert_int_equal(who->pid, getpid());
    assert_int_equal(who->uid, 4711);

    assert_memory_equal(who->boot, boot, sizeof boot);
    assert_string_equal(who->host, host);
    assert_int_equal(who->zero, 0);
    assert_in_range((uint64_t)(azri_wall_ns() - who->start_ns), 0,
                    UINT64_C(60000000000));
    assert_true(azri_who_valid(who));
}

static ssize_t all_ones(void *buf, size_t n)
{
    memset(buf, 0xFF, n);
    return (ssize_t)n;
}

/* 56 bits, from the kernel, 32 at a time, and none of them twice. */
static void test_ids(void **state)
{
    const struct azri_sys *before = azri_sys;
    struct azri_sys mine = *before;
    const uint64_t most = (UINT64_C(1) << 56) - 1;
    uint64_t seen[40], bits = 0;

    (void)state;
    mine.getrandom = all_ones;
    for (int i = 0; i < 40; i++) {
        begin();
        seen[i] = t->id;
        bits |= t->id;
        for (int k = 0; k < i; k++)
            assert_true(seen[k] != seen[i]);
    }
    assert_true(bits == most);
    assert_int_equal(w.d[0]->id_count, 24);
    w.d[0]->id_count = 0;
    azri_sys = &mine;
    begin();
    azri_sys = before;
    assert_true(t->id == most);
    end();
    w.d[0]->id_count = 0;
    fake_fail(ON_GETRANDOM, NULL, 0, 1, ENOSYS);
    FAILS(azri_txn_begin(&t, w.d[0], &w.patience, &err), AZR_EIO, AZR_SUB_CALL,
          "getrandom");
    assert_int_equal(w.d[0]->id_count, 0); /* what is there is not random */
}

/* Under the mutex: no two threads get the same. */
static void mutex_is_held(void)
{
    assert_int_equal(pthread_mutex_trylock(&w.d[0]->mutex), EBUSY);
}

static void test_ids_under_mutex(void **state)
{
    (void)state;
    fake_before(ON_GETRANDOM, NULL, 0, mutex_is_held);
    begin();
    assert_int_equal(fake_clear(), 1);
    assert_int_equal(pthread_mutex_trylock(&w.d[0]->mutex), 0);
    assert_int_equal(pthread_mutex_unlock(&w.d[0]->mutex), 0);
}

/* ----------------------------------------------------------------- the claim --- */

/* One try of one lock, where nobody is in the way; a row that is in use is passed
 * by, by its word; and the next one begins where the last one got its row. */
static void test_claim(void **state)
{
    azri_txn *v = NULL;

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        fake_fail(ON_LOCK, "try SLOT", 1, 1, EIO);
        OK(azri_txn_begin(i ? &u : &t, w.d[0], &w.patience, &err));
        assert_int_equal((i ? u : t)->row, i);
        assert_int_equal(fake_clear(), 0);
    }
    OK(azri_txn_begin(&v, w.d[0], &w.patience, &err));
    assert_int_equal(v->row, 2);
    azri_txn_end(v);
    azri_txn_end(u);
    u = NULL;
    OK(azri_txn_begin(&u, w.d[0], &w.patience, &err));
    assert_int_equal(u->row, 2); /* though 1 is free */
    end();
    fake_fail(ON_OPENAT, "state", 0, 1, EMFILE);
    begin(); /* its descriptor stands idle */
    assert_int_equal(fake_clear(), 0);
}

static void take_row_0(void)
{
    atomic_store(azri_state_word(state_of(0), 0), azri_word(77, AZRI_ACTIVE));
}

/* What we got of a row that is not ours after all is given back. */
static void test_claim_in_vain(void **state)
{
    made_row dead;

    (void)state;
    fake_before(ON_LOCK, "try SLOT", 0, take_row_0);
    begin();
    assert_int_equal(t->row, 1);
    assert_false(is_busy(AZRI_LOCK_SLOT, false));
    assert_true(is_busy(AZRI_LOCK_SLOT + 1, false));
    end();
    /* of the dead: given up, which is nobody's error, and ours */
    row_make(&dead, 0, 1, 77, 2, 2);
    row_age(&dead);
    put_file(below(0, ".azr/tx/1/0000000000004d.0"), "longer", 6);

    for (uint32_t i = 0; i < AZRI_ROWS_AT_FIRST; i++)
        atomic_store(azri_state_word(state_of(0), i),
                     azri_word(i + 1, AZRI_ACTIVE));
    row_put(&dead, 0, AZRI_COMMITTED);
    begin();
    assert_int_equal(err.code, AZR_OK);
    assert_true(is_there(0, ".azr/lost/0000000000004d.0"));
    assert_int_equal(t->row, 1);

    assert_true(is_busy(AZRI_LOCK_SLOT + 1, false));
    for (uint32_t i = 2; i < AZRI_ROWS_AT_FIRST; i++)
        assert_false(is_busy(AZRI_LOCK_SLOT + i, false));
}

/* However long we take, our own row is not that of somebody dead. */
static void test_own_row_is_old(void **state)
{
    (void)state;
    begin();
    row()->who.start_ns = 0;
    prepare(t, 3, 1);
    assert_int_equal(azri_word_state(word_of(0, t->row)), AZRI_ACTIVE);
    OK(azri_txn_look(t, true, &err));
    assert_int_equal(azri_word_state(word_of(0, t->row)), AZRI_ACTIVE);
    OK(stage(0));
    OK(commit());
    assert_chunk(0, 3, "new");
}

/* --------------------------------------------------------------------- holds --- */

static void assert_holds(uint32_t flags, uint64_t first, uint64_t last)
{
    const azri_wait_slot *slot = &row()->wait;

    assert_int_equal(atomic_load(&slot->holds_flags), flags);
    assert_true(atomic_load(&slot->holds_last) == last);
    if (last != 0)
        assert_true(atomic_load(&slot->holds_first) == first);
}

/* What is no lock byte nobody ever locks. */
static void assert_nothing_else(void)
{
    azri_range below_it = {0, AZRI_LOCK_BASE - 1, true};

    assert_false(azri_ofd_busy(beside, &below_it));
}

static void test_holds(void **state)
{
    const uint32_t both = AZRI_HOLDS_META | AZRI_HOLDS_DOC;
    uint64_t three = 3;
    uint32_t mine;

    (void)state;
    begin();
    OK(azri_txn_lock_meta(t, true, &err));
    assert_holds(AZRI_HOLDS_META | AZRI_HOLDS_META_EXCLUSIVE, 0, 0);
    assert_nothing_else();

    begin();
    OK(azri_txn_lock_meta(t, false, &err));
    OK(azri_txn_lock_doc(t, true, &err));
    assert_holds(both | AZRI_HOLDS_DOC_EXCLUSIVE, 0, 0);
    begin();
    OK(azri_txn_lock_meta(t, false, &err));
    OK(azri_txn_lock_doc(t, false, &err));
    assert_holds(both, 0, 0);
    OK(azri_txn_want_chunks(t, 2, coords_from, &three, false, &err));
    OK(azri_txn_lock_chunks(t, &err));
    assert_holds(both, offset_of(3), offset_of(4));
    assert_true(is_busy(offset_of(4), true));
    assert_nothing_else();
    OK(azri_txn_unlock_chunks(t, &err));

    assert_holds(both, 0, 0);
    assert_int_equal(t->chunks.n, 0);
    assert_false(t->has_chunks || is_busy(offset_of(4), true));
    /* nor does anybody of this process have them */
    OK(azri_txn_begin(&u, w.d[0], &no_time, &err));
    prepare(u, 3, 2);
    mine = t->row;
    end();
    assert_int_equal(
        atomic_load(&azri_state_row(state_of(0), mine)->wait.holds_flags), 0);
    begin();
    prepare(t, 3, 2);
    assert_holds(AZRI_HOLDS_META, offset_of(3),
                 offset_of(4) | AZRI_WAIT_EXCLUSIVE);
    mine = t->row;
    azri_txn_end(t); /* given up */
    t = NULL;
    assert_int_equal(
        atomic_load(&azri_state_row(state_of(0), mine)->wait.holds_last), 0);
    begin();
    prepare(t, 3, 1);
    OK(stage(0));
    OK(commit());
    assert_holds(0, 0, 0); /* done */
}

/* ------------------------------------------------------------- who goes first --- */

static azri_wait_slot *waiter(void)
{
    return &azri_state_row(state_of(0), WAITER)->wait;
}

/* In the last row's slot; by a clock that is ahead of ours, so that it is alive for
 * as long as we are kept waiting here. */
static void put_elder(uint64_t first, uint64_t last)
{
    atomic_store(&waiter()->first, first);
    atomic_store(&waiter()->last, last | AZRI_WAIT_EXCLUSIVE);
    atomic_store(&waiter()->ticket, 1);
    atomic_store(&waiter()->alive_ns, (uint64_t)(azri_now_ns() + IN_AN_HOUR));
    atomic_store(&azri_state_changing(state_of(0))->waiting, 1);
}

/* Somebody who came after us. */
static void put_newcomer(uint64_t at)
{
    put_elder(at, at);
    atomic_store(&waiter()->ticket, (uint64_t)(azri_now_ns() + IN_AN_HOUR));
}

static void remove_elder(void)
{
    atomic_store(&waiter()->last, 0);
    atomic_store(&azri_state_changing(state_of(0))->waiting, 0);
}

/* Who has waited for long goes first, though the lock is free; unless it waits for
 * something that we hold. */
static void test_elder(void **state)
{
    uint64_t three = 3;

    (void)state;
    begin_with(&no_time);
    put_elder(AZRI_LOCK_META, AZRI_LOCK_META);
    FAILS(azri_txn_lock_meta(t, false, &err), AZR_EBUSY, AZR_SUB_NONE,
          "time-out; META held by somebody");
    remove_elder();
    begin_with(&no_time);
    OK(azri_txn_lock_meta(t, false, &err));
    put_elder(AZRI_LOCK_META, AZRI_LOCK_DOC); /* META is ours */
    OK(azri_txn_lock_doc(t, false, &err));
    put_elder(AZRI_LOCK_DOC, AZRI_LOCK_LAST); /* DOC too */
    OK(azri_txn_want_chunks(t, 1, coords_from, &three, true, &err));
    OK(azri_txn_lock_chunks(t, &err));
    begin_with(&no_time);
    OK(azri_txn_lock_meta(t, false, &err));
    put_elder(AZRI_LOCK_DOC, AZRI_LOCK_LAST); /* it is not */
    OK(azri_txn_want_chunks(t, 1, coords_from, &three, true, &err));
    FAILS(azri_txn_lock_chunks(t, &err), AZR_EBUSY, AZR_SUB_NONE,
          "chunks held by somebody");
    remove_elder();
}

static unsigned woken;
static const _Atomic uint32_t *word_woken;

static int count_wake(_Atomic uint32_t *word, int count)
{
    (void)count;
    woken += word == word_woken;
    return 1;
}

static const struct azri_sys *g_before;
static struct azri_sys g_mine;

static void count_wakes_of(const _Atomic uint32_t *word)
{
    g_before = azri_sys;
    g_mine = *g_before;
    g_mine.futex_wake = count_wake;
    azri_sys = &g_mine;
    word_woken = word;
    woken = 0;
}

static void assert_woken(unsigned n)
{
    azri_sys = g_before;
    remove_elder();
    assert_int_equal(woken, n);
}

/* Who sleeps until a row changes is woken when it is cleared. */
static void test_clear_wakes(void **state)
{
    (void)state;
    begin();
    prepare(t, 3, 1);
    OK(stage(0));
    count_wakes_of(azri_word_futex(state_of(0), t->row));
    atomic_store(&azri_state_changing(state_of(0))->waiting, 1);
    OK(commit());
    assert_woken(1);
}

static void let_go(void)
{
    OK(azri_ofd_unlock(beside, AZRI_LOCK_BASE, AZRI_LOCK_LAST, &err));
}

/* Of several ranges one is refused: who waits for one of the others is woken when
 * that is given back; and what was waited for is not tried once more. */
static void test_gives_back(void **state)
{
    azri_range five = {offset_of(5), offset_of(5), true};

    (void)state;
    begin();
    OK(azri_txn_lock_meta(t, false, &err));
    OK(azri_txn_want_chunks(t, 4, coords_odd, NULL, true, &err));
    OK(azri_ofd_try(beside, &five, &err));
    put_newcomer(offset_of(1));
    fake_no_sleep = true;
    fake_before(ON_FUTEX_WAIT, NULL, 0, let_go);
    fake_fail(ON_LOCK, "try W", 9, 1, EIO);
    count_wakes_of(&waiter()->wake);
    OK(azri_txn_lock_chunks(t, &err));
    assert_woken(1);
    assert_int_equal(fake_clear(), 1);
}

/* As is who waits for chunks that are let go since the shape has moved. */
static void test_unlock_wakes(void **state)
{
    (void)state;
    begin();
    prepare(t, 3, 1);
    put_elder(offset_of(3), offset_of(3));
    count_wakes_of(&waiter()->wake);
    OK(azri_txn_unlock_chunks(t, &err));
    assert_woken(1);
}

static int wake_at_meta(_Atomic uint32_t *word, int count)
{
    assert_false(is_busy(AZRI_LOCK_META, true)); /* or it would be refused */
    return count_wake(word, count);
}

/* And who waits for META while the table grows. */
static void test_growth_wakes(void **state)
{
    (void)state;
    begin();
    put_newcomer(AZRI_LOCK_META);
    count_wakes_of(&waiter()->wake);
    g_mine.futex_wake = wake_at_meta;
    OK(azri_table_grow(w.d[0], azri_state_rows(azri_domain_state(w.d[0])),
                       &w.patience, &err));
    assert_woken(1);
}

/* ------------------------------------------------------ waiting for a row --- */

static unsigned sleeps;

/* Asleep on the half of the word that changes, 50 ms at most, and said so. */
static int check_sleep(_Atomic uint32_t *word, uint32_t value,
                       const struct timespec *timeout)
{
    uint64_t now = word_of(0, 3);

    assert_ptr_equal(word, azri_word_futex(state_of(0), 3));
    assert_int_equal(value, (uint32_t)now);
    assert_int_equal(timeout->tv_sec, 0);
    assert_int_equal(timeout->tv_nsec, 50000000);
    assert_int_equal(atomic_load(&azri_state_changing(state_of(0))->waiting),
                     1);
    sleeps++;
    atomic_store(azri_state_word(state_of(0), 3),
                 azri_word(azri_word_id(now), AZRI_FREE));
    return 0;
}

static void test_sleeps_on_row(void **state)
{
    const struct azri_sys *sys = azri_sys;
    struct azri_sys with = *sys;
    azri_range slot = {AZRI_LOCK_SLOT + 3, AZRI_LOCK_SLOT + 3, true};
    made_row dead;

    (void)state;
    with.futex_wait = check_sleep;
    begin();
    prepare(t, 3, 1);
    row_make(&dead, 0, 3, 77, 3, 3);
    row_put(&dead, 0, AZRI_COMMITTED);
    OK(azri_ofd_try(beside, &slot, &err));
    sleeps = 0;
    azri_sys = &with;
    OK(azri_txn_look(t, false, &err));
    azri_sys = sys;
    assert_int_equal(sleeps, 1);
    assert_int_equal(atomic_load(&azri_state_changing(state_of(0))->waiting),
                     0);
}

/* A copy by links has our rows: who is about to write in it is told. */
static void test_look_at_copy(void **state)
{
    _Atomic uint64_t *fate = &azri_state_changing(state_of(0))->fate;

    (void)state;
    begin();
    OK(azri_txn_lock_meta(t, false, &err));
    assert_int_equal(link(below(0, ".azr/state"), below(0, "copy")), 0);
    atomic_store(fate, AZRI_FATE_REMOVING);
    FAILS(azri_txn_look(t, false, &err), AZR_EUNSUPPORTED, AZR_SUB_STATE,
          "has 2 links");
    assert_int_equal(atomic_load(fate), AZRI_FATE_REMOVING);
    assert_int_equal(unlink(below(0, "copy")), 0);
    OK(azri_txn_look(t, false, &err));
    assert_int_equal(atomic_load(fate), AZRI_FATE_NONE);
}

/* ---------------------------------------------------------------------- what --- */

static void assert_what(uint32_t flags, uint32_t count)
{
    const azri_what *x = &row()->what;

    assert_true(x->id == t->id);
    assert_int_equal(x->flags, flags);
    assert_int_equal(x->count, count);
    assert_int_equal(x->home_row, 0);
    assert_int_equal(x->record_nbytes, 0);
    assert_int_equal(x->entries_nbytes, count * azri_entry_nbytes(state_of(0)));
    for (size_t i = x->entries_nbytes; i < sizeof x->entries; i++)
        assert_int_equal(x->entries[i], 0);
    assert_int_equal(x->crc, azri_crc32c(0, x, offsetof(azri_what, crc)));
}

static void assert_hull(uint64_t first, uint64_t last)
{
    assert_true(row()->what.first == first);
    assert_true(row()->what.last == last);
}

static int upkeep(void *arg, azri_domain *d, bool owner, azr_error *e)
{
    (void)arg;
    (void)d;
    (void)owner;
    (void)e;
    return AZR_OK;
}

static void commit_document(bool first)
{
    uint64_t three = 3;

    begin();
    OK(azri_txn_lock_meta(t, true, &err));
    OK(azri_txn_look(t, true, &err));
    OK(azri_txn_entries(t, 1, coords_from, &three, &err));
    OK(stage(0));
    (void)unlink(below(0, "zarr.json"));
    OK(azri_txn_stage_document(t, AZRI_ENTRY_V3, bytes_of("{}"), first, NULL,
                               &err));
    OK(commit());
}

static void test_what(void **state)
{
    uint64_t three = 3;

    (void)state;
    begin();
    prepare(t, 3, 2);
    OK(stage(0));
    OK(stage(1));
    OK(commit());
    assert_what(0, 2);
    assert_hull(offset_of(3), offset_of(4));
    begin(); /* as a shrink that only deletes */
    OK(azri_txn_lock_meta(t, true, &err));
    OK(azri_txn_entries(t, 1, coords_from, &three, &err));
    OK(azri_txn_stage_deleted(t, 0, NULL, &err));
    OK(commit());
    assert_what(AZRI_WHAT_METADATA, 1);
    commit_document(false);
    assert_what(AZRI_WHAT_METADATA, 2);
    assert_hull(offset_of(3), offset_of(3));
    commit_document(true);
    assert_what(AZRI_WHAT_METADATA | AZRI_WHAT_DOC_FIRST, 2);
    azri_domain_set_upkeep(w.d[0], upkeep, NULL);
    commit_document(false);
    assert_what(AZRI_WHAT_METADATA | AZRI_WHAT_ABOVE, 2);
    begin();
    OK(azri_txn_lock_meta(t, true, &err));
    OK(azri_txn_entries(t, 0, NULL, NULL, &err));
    OK(azri_txn_stage_document(t, AZRI_ENTRY_ZATTRS, bytes_of("{}"), false,
                               NULL, &err));
    OK(commit());
    assert_hull(UINT64_MAX, 0); /* no chunk at all */
    begin();
    prepare(t, 3, 1); /* chunks have no copies above */
    OK(stage(0));
    OK(commit());
    assert_what(0, 1);
    end();
    world_open(0, AZRI_DOMAIN_WRITE | AZRI_DOMAIN_STALE_ABOVE);
    azri_domain_set_upkeep(w.d[0], upkeep, NULL);
    commit_document(false);
    assert_what(AZRI_WHAT_METADATA, 2);
}

static uint64_t g_version;

static void has_moved(void)
{
    assert_true(version_of(0) == g_version + 2);
}

/* Each object moves one counter by one, before any of them is renamed. */
static void test_bumps(void **state)
{
    uint64_t four = 4, chunk, meta;

    (void)state;
    begin();
    prepare(t, 3, 2);
    OK(stage(0));
    OK(azri_txn_stage_deleted(t, 1, NULL, &err));
    g_version = version_of(0);
    chunk = azri_txn_counter(t, azri_stripe(&four, 1));
    meta = azri_txn_meta_counter(t);
    fake_before(ON_RENAMEAT2, "c/3", 0, has_moved);
    OK(commit());
    assert_int_equal(fake_clear(), 1);
    assert_true(version_of(0) == g_version + 2);
    assert_true(azri_txn_counter(t, azri_stripe(&four, 1)) == chunk + 1);
    assert_true(azri_txn_meta_counter(t) == meta);
    commit_document(false); /* and a chunk */
    assert_true(version_of(0) == g_version + 4);
    assert_true(azri_txn_meta_counter(t) == meta + 1);
}

static void document_is_there(void)
{
    assert_true(is_there(0, "zarr.json"));
    assert_chunk(0, 3, NULL);
}

static void document_is_not_there(void)
{
    assert_false(is_there(0, "zarr.json"));
}

static void attributes_are_there(void)
{
    assert_true(is_there(0, ".zattrs"));
}

/* What a plain program may find in between. */
static void test_order_of_renames(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        (void)unlink(below(0, "c/3"));
        (void)unlink(below(0, "zarr.json"));
        fake_before(ON_RENAMEAT2, "c/3", 0,
                    first ? document_is_there : document_is_not_there);
        commit_document(first);
        assert_int_equal(fake_clear(), 1);
    }
    begin(); /* two: attributes before the document that they belong to */
    OK(azri_txn_lock_meta(t, true, &err));
    OK(azri_txn_entries(t, 0, NULL, NULL, &err));
    OK(azri_txn_stage_document(t, AZRI_ENTRY_ZARRAY, bytes_of("{1}"), false,
                               NULL, &err));
    OK(azri_txn_stage_document(t, AZRI_ENTRY_ZATTRS, bytes_of("{2}"), false,
                               NULL, &err));
    fake_before(ON_RENAMEAT2, ".zarray", 0, attributes_are_there);
    OK(commit());
    assert_int_equal(fake_clear(), 1);
    assert_true(is_there(0, ".zarray"));
}

static void test_publish(void **state)
{
    azri_intent in = {0};
    struct stat st;
    uint64_t before_it;

    (void)state;
    begin(); /* nobody asks for upkeep: nothing is announced */
    OK(azri_txn_lock_meta(t, true, &err));
    OK(azri_txn_unpublish(t, "zarr.json", &err));
    assert_true(row()->what.id != t->id);
    azri_domain_set_upkeep(w.d[0], upkeep, NULL);
    for (int remove = 0; remove < 2; remove++) {
        begin();
        OK(azri_txn_lock_meta(t, true, &err));
        before_it = azri_txn_meta_counter(t);
        if (remove)
            OK(azri_txn_unpublish(t, "zarr.json", &err));
        else
            OK(azri_txn_publish(t, "zarr.json", bytes_of("{}"), true, &err));
        assert_true(azri_txn_meta_counter(t) == before_it + (remove ? 0 : 1));
        assert_what(AZRI_WHAT_METADATA | AZRI_WHAT_ABOVE, 0);
        assert_hull(UINT64_MAX, 0);
        OK(azri_intent_read(&in, w.d[0], t->row, word_of(0, t->row), true,
                            &err));
        azri_intent_dispose(&in);
        if (!remove) {
            assert_int_equal(stat(below(0, "zarr.json"), &st), 0);
            assert_int_equal(st.st_mode & 07777, 0644);
            FAILS_SILENTLY(
                azri_txn_publish(t, "zarr.json", bytes_of("{}"), true, &err),
                AZR_EEXISTS);
            assert_true(azri_txn_meta_counter(t) == before_it + 1);
        }
    }
    end();
    assert_clean(0);
}

/* ------------------------------------------------------------------- entries --- */

static void assert_entry(unsigned flags, uint64_t nbytes, uint32_t crc)
{
    azri_entry e;

    azri_entry_get(&e, state_of(0), t->entries, 0);
    assert_int_equal(e.head.kind, AZRI_ENTRY_CHUNK);
    assert_int_equal(e.head.flags, flags);
    assert_int_equal(e.head.zero, 0);
    assert_int_equal(e.head.nbytes, nbytes);
    assert_int_equal(e.head.crc, crc);
    assert_int_equal(e.coords[0], 3);
}

static void test_entry(void **state)
{
    bool power = azri_domain_durability(w.d[0]) == AZR_DURABILITY_POWER;
    size_t n = 0, at = 0;

    (void)state;
    begin();
    prepare(t, 3, 1);
    assert_entry(0, 0, 0);
    OK(stage(0));
    assert_entry(0, 3, power ? azri_crc32c(0, "new", 3) : 0);
    OK(azri_txn_stage_deleted(t, 0, NULL, &err));
    assert_entry(AZRI_ENTRY_DELETED, 0, 0);
    /* what is known of its parent directory, and of nothing else */
    for (size_t i = 0; i < 256; i++) {
        if (atomic_load(&w.d[0]->parents[i]) != 0) {
            n++;
            at = i;
        }
    }
    assert_int_equal(n, 1);
    assert_true(atomic_load(&w.d[0]->parents[at]) > UINT32_MAX);
    assert_int_equal(atomic_load(&w.d[0]->parents[at]) % 256, at);
}

/* Two files of one transaction may want other rights. */
static void test_rights_differ(void **state)
{
    struct stat st;

    (void)state;
    put_chunk(0, 3, "old");
    put_chunk(0, 4, "old");
    put_chunk(0, 5, "old");
    assert_int_equal(chmod(below(0, "c/3"), 0640), 0);
    assert_int_equal(chmod(below(0, "c/4"), 0666), 0);
    assert_int_equal(chmod(below(0, "c/5"), 0640), 0);
    if (geteuid() == 0)
        assert_int_equal(chown(below(0, "c/5"), (uid_t)-1, NOBODY), 0);
    begin();
    prepare(t, 3, 3);
    for (uint64_t i = 0; i < 3; i++)
        OK(stage(i));
    OK(commit());
    assert_int_equal(stat(below(0, "c/3"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(stat(below(0, "c/4"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0666);
    assert_int_equal(stat(below(0, "c/5"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_gid, geteuid() == 0 ? NOBODY : getegid());
}

/* ------------------------------------------------------ no more than is needed --- */

/* `process` asks for no sync, whatever it writes. */
static void test_no_sync(void **state)
{
    (void)state;
    begin();
    prepare(t, 0, 11);
    fake_fail(ON_FSYNC, NULL, 0, 1, EIO);
    fake_fail(ON_FDATASYNC, NULL, 0, 1, EIO);
    fake_fail(ON_SYNCFS, NULL, 0, 1, EIO);
    for (uint64_t i = 0; i < 11; i++)
        OK(stage(i));
    OK(commit());
    assert_int_equal(fake_clear(), 0);
    begin();
    OK(azri_txn_lock_meta(t, true, &err));
    fake_fail(ON_FSYNC, NULL, 0, 1, EIO);
    OK(azri_txn_publish(t, "zarr.json", bytes_of("{}"), true, &err));
    assert_int_equal(fake_clear(), 0);
}

static void test_no_call_too_many(void **state)
{
    (void)state;
    begin();
    prepare(t, 3, 2);
    fake_fail(ON_FSTAT, ".azr/tx/", 1, 1, EIO); /* the second is as the first */
    fake_fail(ON_FACCESSAT, NULL, 1, 1, EIO);   /* in the same directory */
    fake_fail(ON_UNLINKAT, NULL, 0, 1, EIO);    /* there is no record */
    OK(stage(0));
    OK(stage(1));
    OK(commit());
    end();
    assert_int_equal(fake_clear(), 0);
    assert_chunk(0, 4, "new");
}

static void expect_room(size_t nbytes, unsigned asked)
{
    static uint8_t bytes[2 << 20];

    fake_fail(ON_FALLOCATE, ".azr/tx/", 0, 1, ENOSPC); /* the write will tell */
    OK(azri_txn_stage(t, 0, (azri_span){bytes, nbytes}, NULL, &err));
    assert_int_equal(fake_clear(), asked);
    OK(azri_txn_stage_deleted(t, 0, NULL, &err));
    begin();
    prepare(t, 3, 1);
}

/* Room for what is large is reserved on a disk, and not in memory. */
static void test_reserves(void **state)
{
    (void)state;
    begin();
    prepare(t, 3, 1);
    atomic_store(&w.d[0]->medium, 0);
    fake_fail(ON_FSTATFS, NULL, 0, 1, EIO); /* not known: as on a disk */
    expect_room(2 << 20, 2);
    assert_int_equal(atomic_load(&w.d[0]->medium), 0);

    fake_magic = 0xEF53;
    expect_room(1 << 20, 1);
    expect_room((1 << 20) - 1, 0);
    fake_fail(ON_FSTATFS, NULL, 0, 1, EIO); /* known now */
    expect_room(1 << 20, 1);
    atomic_store(&w.d[0]->medium, 0);
    fake_magic = 0x01021994;
    expect_room(2 << 20, 0);
    expect_room(2 << 20, 0);
}

#define T(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TP(f) cmocka_unit_test_setup_teardown(f, setup_power, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_signed),
        T(test_ids),
        T(test_ids_under_mutex),
        T(test_claim),
        T(test_claim_in_vain),
        T(test_own_row_is_old),
        T(test_holds),
        T(test_elder),
        T(test_clear_wakes),
        T(test_gives_back),
        T(test_unlock_wakes),
        T(test_growth_wakes),
        T(test_sleeps_on_row),
        T(test_look_at_copy),
        T(test_what),
        T(test_bumps),
        T(test_order_of_renames),
        T(test_publish),
        T(test_entry),
        TP(test_entry),
        T(test_rights_differ),
        T(test_no_sync),
        T(test_no_call_too_many),
        T(test_reserves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
