/* SPDX-License-Identifier: Apache-2.0 */
/* What a snapshot makes of rows in every state, at the look and at the second look;
 * with locks, and without permission to write. */
#include "world.h"

#include "base/alloc.h"

#define ROW  UINT32_C(2)
#define ID   UINT64_C(0x0055aa55aa55aa)
#define TOLD (AZRI_COMMITTED | AZRI_TOLD)

static azri_domain *g_d; /* whose view it is */
static azri_view *v;
static made_row r, home;

static void done(void)
{
    azri_view_free(v);
    v = NULL;
}

/* Chunks 2 to 4 are read; 2 is there, 3 and 4 are not. */
static void aim_at(azri_domain *d)
{
    static const uint64_t first = 2;

    done();
    g_d = d;
    OK(azri_view_new(&v, d, &w.patience, &err));
    OK(azri_view_aim(v, &w.grid.keying, 3, coords_from, &first, &err));
}

static void begin_view(void)
{
    put_chunk(0, 2, "old");
    row_make(&r, 0, ROW, ID, 2, 4);
    aim_at(w.d[0]);
}

static void assert_item(uint64_t i, const char *text)
{
    azri_view_item *item = azri_view_item_at(v, i);
    char bytes[8] = "";

    OK(azri_view_open_item(v, i, &err));
    assert_int_equal(item->object.handle >= 0, text != NULL);
    if (!text)
        return;
    assert_int_equal(
        pread((int)item->object.handle, bytes, sizeof bytes - 1, 0),
        strlen(text));
    assert_string_equal(bytes, text);
}

/* Look, read all three, look again: one snapshot. */
static void assert_seen(const char *a, const char *b, const char *c)
{
    OK(azri_view_look(v, &err));
    assert_int_equal(err.code, AZR_OK);
    assert_item(0, a);
    assert_item(1, b);
    assert_item(2, c);
    OK(azri_view_check(v, &err));
    aim_at(g_d);
}

static void assert_old(void)
{
    assert_seen("old", NULL, NULL);
}

static void assert_new(void)
{
    assert_seen("new", "new", "new");
}

/* ----------------------------------------------------------------- one row --- */

static void test_states(void **state)
{
    (void)state;
    begin_view();
    assert_old();
    for (int with_record = 0; with_record < 2; with_record++) {
        begin_view();
        if (with_record)
            row_use_record(&r, 0);
        row_put(&r, 0, AZRI_ACTIVE);
        assert_old();
        row_put(&r, 0, AZRI_SEALED); /* may yet be undone */
        assert_old();
        row_put(&r, 0, AZRI_COMMITTED);
        assert_new();
        row_put(&r, 0, TOLD);
        assert_new();
        row_age(&r);
        row_put(&r, 0, AZRI_SEALED); /* half of it may be on the disk */
        assert_new();
    }
    row_put(&r, 0, AZRI_COMMITTED + 1); /* whatever that is */
    assert_old();
    done();
}

/* What azr_stats_get tells of it: the chunks whose row is not finished. */
static void test_counted(void **state)
{
    uint64_t before = COUNTED(reads_through);

    (void)state;
    begin_view();
    assert_old();
    assert_int_equal(COUNTED(reads_through) - before, 0);
    row_put(&r, 0, AZRI_COMMITTED);
    assert_new();
    assert_int_equal(COUNTED(reads_through) - before, 3);
    done();
}

static void test_deleted(void **state)
{
    azri_entry e;

    (void)state;
    begin_view();
    azri_entry_get(&e, state_of(0), r.what.entries, 0);
    e.head.flags = AZRI_ENTRY_DELETED;
    azri_entry_put(r.what.entries, state_of(0), 0, &e);
    row_put(&r, 0, AZRI_COMMITTED);
    assert_seen(NULL, "new", "new"); /* whatever stands under the key */
    done();
}

/* Renamed after the look: the key has it. */
static void test_renamed(void **state)
{
    char name[AZRI_STAGED_NAME_MAX + 8] = ".azr/tx/";

    (void)state;
    begin_view();
    row_put(&r, 0, AZRI_COMMITTED);
    OK(azri_view_look(v, &err));
    azri_staged_name(name + 8, ROW, ID, 0);
    assert_int_equal(rename(below(0, name), below(0, "c/2")), 0);
    assert_item(0, "new");
    assert_item(1, "new");
    OK(azri_view_check(v, &err));
    done();
}

/* The record goes last: all of it is under its keys. */
static void test_record_gone(void **state)
{
    (void)state;
    begin_view();
    row_use_record(&r, 0);
    row_put(&r, 0, AZRI_COMMITTED);
    remove_record(0, ROW, ID);
    assert_old(); /* what stands there */
    row_age(&r);
    row_put(&r, 0, AZRI_SEALED);
    remove_record(0, ROW, ID);
    assert_old();
    done();
}

static void damage_row(void)
{
    azri_state_row(state_of(0), ROW)->what.crc ^= 1;
}

static void test_damage(void **state)
{
    (void)state;
    begin_view();
    row_put(&r, 0, AZRI_COMMITTED);
    damage_row();
    FAILS(azri_view_look(v, &err), AZR_ECORRUPT, AZR_SUB_STATE, "row 2");
    row_put(&r, 0, AZRI_PREPARED); /* without a home */
    FAILS(azri_view_look(v, &err), AZR_ECORRUPT, AZR_SUB_RECORD, "other array");
    row_put(&r, 0, AZRI_PREPARED); /* torn before anything was promised */
    damage_row();
    assert_old();
    row_age(&r);
    row_put(&r, 0, AZRI_SEALED);
    damage_row();
    assert_old();
    row_put(&r, 0, AZRI_FREE);
    row_use_record(&r, 0);
    row_put(&r, 0, AZRI_COMMITTED);
    r.record[70] ^= 1; /* a record that does not match is another matter */
    remove_record(0, ROW, ID);
    put_file(below(0, record_path(ROW, ID)), r.record, r.record_nbytes);
    FAILS(azri_view_look(v, &err), AZR_ECORRUPT, AZR_SUB_RECORD, "checksum");
    done();
}

/* `power`: parts of the next transaction under a committed word: it was over. */
static void test_over(void **state)
{
    (void)state;
    begin_view();
    row_age(&r);
    r.who.id++;
    r.what.id++;
    row_put(&r, 0, AZRI_COMMITTED);
    assert_old();
    OK(azri_view_look(v, &err));
    OK(azri_view_check(v, &err)); /* the second look says so too */
    row_put(&r, 0, AZRI_FREE);
    OK(azri_view_look(v, &err));
    row_put(&r, 0, AZRI_COMMITTED); /* new since the look */
    OK(azri_view_check(v, &err));
    row_make(&r, 0, ROW, ID, 2, 4); /* nobody else's: damage */
    row_put(&r, 0, AZRI_COMMITTED);
    damage_row();
    FAILS(azri_view_look(v, &err), AZR_ECORRUPT, AZR_SUB_STATE, "row 2");
    row_use_record(&r, 0); /* nothing that was synced is lost by a restart */
    row_age(&r);
    row_put(&r, 0, AZRI_PREPARED);
    remove_record(0, ROW, ID);
    FAILS(azri_view_look(v, &err), AZR_ECORRUPT, AZR_SUB_RECORD,
          "is prepared, but its record is gone");
    done();
}

/* -------------------------------------------------------------- second look --- */

static void look_at_none(void)
{
    row_put(&r, 0, AZRI_FREE);
    OK(azri_view_look(v, &err));
}

static void test_second_look(void **state)
{
    made_row far;

    (void)state;
    begin_view();
    look_at_none();
    row_put(&r, 0, AZRI_COMMITTED); /* came since */
    FAILS_SILENTLY(azri_view_check(v, &err), AZR_ECONFLICT);
    OK(azri_view_look(v, &err));
    row_put(&r, 0, AZRI_FREE); /* went since */
    FAILS_SILENTLY(azri_view_check(v, &err), AZR_ECONFLICT);
    look_at_none();
    row_put(&r, 0, AZRI_ACTIVE); /* no promise yet */
    OK(azri_view_check(v, &err));
    look_at_none();
    row_put(&r, 0, AZRI_SEALED);
    OK(azri_view_check(v, &err));
    look_at_none();
    row_put(&r, 0, AZRI_COMMITTED);
    damage_row();
    FAILS(azri_view_check(v, &err), AZR_ECORRUPT, AZR_SUB_STATE, "row 2");
    look_at_none();
    row_make(&far, 0, ROW, ID, 7, 8); /* not ours */
    row_put(&far, 0, AZRI_COMMITTED);
    OK(azri_view_check(v, &err));
    row_make(&far, 0, ROW, ID, 0, 1);
    row_put(&far, 0, AZRI_COMMITTED);
    OK(azri_view_check(v, &err));
    far.what.flags = AZRI_WHAT_METADATA; /* that is everybody's */
    row_put(&far, 0, AZRI_COMMITTED);
    FAILS_SILENTLY(azri_view_check(v, &err), AZR_ECONFLICT);
    for (uint64_t c = 2; c < 5; c++) { /* each of ours alone */
        look_at_none();
        row_make(&far, 0, ROW, ID, c, c);
        row_put(&far, 0, AZRI_COMMITTED);
        FAILS_SILENTLY(azri_view_check(v, &err), AZR_ECONFLICT);
    }
    look_at_none();
    azri_sys->bump64("meta", &azri_state_changing(state_of(0))->meta);
    FAILS_SILENTLY(azri_view_check(v, &err), AZR_ECONFLICT);
    done();
}

/* An object that was opened is kept as long as nothing moved it. */
static void test_kept(void **state)
{
    uint64_t two = 2;
    azri_view_item *item;
    int64_t handle;

    (void)state;
    begin_view();
    OK(azri_view_look(v, &err));
    assert_item(0, "old");
    item = azri_view_item_at(v, 0);
    handle = item->object.handle;
    item->done = true;
    OK(azri_view_look(v, &err));
    assert_true(item->have && item->done && item->object.handle == handle);
    azri_sys->bump64("counter",
                     azri_state_counter(state_of(0), azri_stripe(&two, 1)));
    OK(azri_view_look(v, &err));
    assert_false(item->have || item->done);
    assert_item(0, "old");
    row_put(&r, 0, AZRI_COMMITTED); /* named by a row now */
    OK(azri_view_look(v, &err));
    assert_false(item->have);
    assert_item(0, "new");
    row_put(&r, 0, TOLD); /* the same row as before */
    OK(azri_view_look(v, &err));
    assert_true(item->have);
    azri_view_close_item(v, 0);
    item->have = false;
    /* two rows that name one object: never kept */
    r.row++;
    r.id++;
    r.who.id++;
    r.what.id++;
    row_put(&r, 0, AZRI_COMMITTED);
    OK(azri_view_look(v, &err));
    assert_item(0, "new");
    OK(azri_view_look(v, &err));
    assert_false(item->have);
    done();
}

static void free_word(void)
{
    atomic_store(azri_state_word(state_of(0), ROW), azri_word(ID, AZRI_FREE));
}

/* A row that is finished while its record is read is looked at again. */
static void test_row_changes(void **state)
{
    (void)state;
    begin_view();
    row_use_record(&r, 0);
    row_put(&r, 0, AZRI_COMMITTED);
    remove_record(0, ROW, ID);
    fake_before(ON_OPENAT, ".r", 0, free_word);
    assert_old();
    assert_int_equal(fake_clear(), 1);
    OK(azri_view_look(v, &err));
    row_put(&r, 0, AZRI_PREPARED);
    remove_record(0, ROW, ID);
    FAILS(azri_view_look(v, &err), AZR_ECORRUPT, AZR_SUB_RECORD,
          "is prepared, but its record is gone");
    row_put(&r, 0, AZRI_FREE);
    OK(azri_view_look(v, &err));
    row_put(&r, 0, AZRI_PREPARED); /* new since that look */
    remove_record(0, ROW, ID);
    FAILS_SILENTLY(azri_view_check(v, &err), AZR_ECONFLICT);
    row_age(&r); /* a restart lost it: it will be given up */
    row_put(&r, 0, AZRI_PREPARED);
    remove_record(0, ROW, ID);
    assert_old();
    done();
}

static void down(const void *arg, uint64_t i, uint64_t *out)
{
    out[0] = *(const uint64_t *)arg - i;
}

/* Items in any order; none at all. */
static void test_order(void **state)
{
    uint64_t four = 4;
    made_row far;

    (void)state;
    begin_view();
    OK(azri_view_aim(v, &w.grid.keying, 3, down, &four, &err));
    row_put(&r, 0, AZRI_COMMITTED);
    OK(azri_view_look(v, &err));
    assert_item(0, "new");
    assert_item(0, "new"); /* it is open */
    assert_item(2, "new");
    assert_false(azri_view_moves_documents(v));
    OK(azri_view_check(v, &err));
    OK(azri_view_aim(v, &w.grid.keying, 0, down, &four, &err));
    OK(azri_view_look(v, &err));
    row_put(&r, 0, AZRI_FREE);
    OK(azri_view_check(v, &err)); /* it was nobody's */
    /* the row is the next one's; another one is beside it */
    aim_at(w.d[0]);
    row_put(&r, 0, AZRI_COMMITTED);
    OK(azri_view_look(v, &err));
    row_make(&far, 0, 5, ID + 5, 7, 8);
    row_put(&far, 0, AZRI_ACTIVE);
    OK(azri_view_check(v, &err));
    row_make(&far, 0, ROW, ID + 6, 7, 8);
    row_put(&far, 0, AZRI_ACTIVE);
    FAILS_SILENTLY(azri_view_check(v, &err), AZR_ECONFLICT);
    done();
}

/* ---------------------------------------------------------------- documents --- */

static void test_documents(void **state)
{
    azri_entry e = {.head = {.kind = AZRI_ENTRY_V3, .nbytes = 3}};
    azr_object o = AZR_OBJECT_INIT;

    (void)state;
    put_file(below(0, "zarr.json"), "{}", 2);
    row_make(&r, 0, ROW, ID, 2, 2);
    azri_entry_put(r.what.entries, state_of(0), 0, &e);
    r.what.flags |= AZRI_WHAT_METADATA;
    aim_at(w.d[0]);
    OK(azri_view_look(v, &err));
    assert_false(azri_view_moves_documents(v));
    OK(azri_view_open_document(v, AZRI_ENTRY_V3, "zarr.json", &o, &err));
    assert_int_equal(o.id.nbytes, 2);
    azri_domain_store(w.d[0])->ops->close(azri_domain_store(w.d[0]), &o);
    row_put(&r, 0, AZRI_COMMITTED);
    OK(azri_view_look(v, &err));
    assert_true(azri_view_moves_documents(v));
    OK(azri_view_open_document(v, AZRI_ENTRY_V3, "zarr.json", &o, &err));
    assert_int_equal(o.id.nbytes, 3); /* staged */
    azri_domain_store(w.d[0])->ops->close(azri_domain_store(w.d[0]), &o);
    FAILS_SILENTLY(
        azri_view_open_document(v, AZRI_ENTRY_ZATTRS, ".zattrs", &o, &err),
        AZR_ENOTFOUND);
    row_put(&r, 0, AZRI_SEALED); /* under lock: may be committed any time */
    azri_view_trust_locks(v);
    OK(azri_view_look(v, &err));
    OK(azri_view_open_document(v, AZRI_ENTRY_V3, "zarr.json", &o, &err));
    assert_int_equal(o.id.nbytes, 2);
    azri_domain_store(w.d[0])->ops->close(azri_domain_store(w.d[0]), &o);
    aim_at(w.d[0]);
    row_put(&r, 0, AZRI_COMMITTED);
    OK(azri_view_look(v, &err));
    fake_fail(ON_OPENAT, ".azr/tx", 0, 1, EMFILE);
    FAILS(azri_view_open_document(v, AZRI_ENTRY_V3, "zarr.json", &o, &err),
          AZR_EIO, AZR_SUB_OPEN, ".azr/tx");
    fake_fail(ON_OPENAT, "c/2", 0, 1, EMFILE);
    FAILS(azri_view_open_item(v, 0, &err), AZR_EIO, AZR_SUB_OPEN, "c/2");
    done();
}

/* ------------------------------------------------------------- of everything --- */

static unsigned named, without_object;

static int count_named(void *arg, const uint64_t *coords, const char *staged,
                       azr_error *e)
{
    (void)coords;
    (void)staged;
    (void)e;
    named++;
    return *(const int *)arg;
}

static int note_named(void *arg, const uint64_t *coords, const char *staged,
                      azr_error *e)
{
    assert_in_range(coords[0], 2, 4);
    assert_true(!staged || is_there(0, staged));
    without_object += staged == NULL;
    return count_named(arg, coords, staged, e);
}

static void test_all(void **state)
{
    uint64_t three = 3, before;
    azri_entry e;
    made_row more;
    int go_on = AZR_OK, stop = AZR_EIO;

    (void)state;
    named = without_object = 0;
    begin_view();
    OK(azri_view_aim_all(v, &w.grid.keying, &err));
    azri_entry_get(&e, state_of(0), r.what.entries, 1);
    e.head.flags = AZRI_ENTRY_DELETED;
    azri_entry_put(r.what.entries, state_of(0), 1, &e);
    memset(&e, 0, sizeof e);
    e.head.kind = AZRI_ENTRY_V3;
    azri_entry_put(r.what.entries, state_of(0), 3, &e);
    r.what.entries_nbytes += (uint32_t)azri_entry_nbytes(state_of(0));
    r.what.count++;
    row_put(&r, 0, AZRI_COMMITTED);
    OK(azri_view_look(v, &err));
    OK(azri_view_named(v, note_named, &go_on, &err));
    assert_int_equal(named, 3);
    assert_int_equal(without_object, 1);
    assert_int_equal(azri_view_named(v, note_named, &stop, &err), AZR_EIO);
    assert_int_equal(named, 4);
    more = r; /* more rows than there was room for */
    for (uint32_t i = 3; i < 8; i++) {
        more.row = i;
        more.id = more.what.id = more.who.id = ID + i;
        row_put(&more, 0, AZRI_COMMITTED);
    }
    OK(azri_view_look(v, &err));
    named = 0;
    OK(azri_view_named(v, count_named, &go_on, &err));
    assert_int_equal(named, 6 * 3);
    assert_int_equal(azri_view_named(v, count_named, &stop, &err), AZR_EIO);
    assert_int_equal(named, 6 * 3 + 1);
    for (uint32_t i = 3; i < 8; i++)
        atomic_store(azri_state_word(state_of(0), i), 0);
    OK(azri_view_look(v, &err));
    before = azri_view_counter(v, &three);
    OK(azri_view_check(v, &err));
    azri_sys->bump64("counter",
                     azri_state_counter(state_of(0), azri_stripe(&three, 1)));
    FAILS_SILENTLY(azri_view_check(v, &err), AZR_ECONFLICT);
    OK(azri_view_look(v, &err));
    assert_true(azri_view_counter(v, &three) == before + 1);
    row_put(&r, 0, AZRI_SEALED); /* under lock: may be committed any time */
    OK(azri_view_lock_ground(v, &err));
    OK(azri_view_lock_chunks(v, &err));
    OK(azri_view_look(v, &err));
    named = 0;
    OK(azri_view_named(v, note_named, &go_on, &err));
    assert_int_equal(named, 0);
    assert_false(azri_view_moves_documents(v));
    OK(azri_view_check(v, &err));
    row_put(&r, 0, AZRI_COMMITTED);
    FAILS_SILENTLY(azri_view_check(v, &err), AZR_ECONFLICT);
    done();
}

/* -------------------------------------------------------------- no `state` --- */

static void test_stateless(void **state)
{
    azri_domain *d = NULL;
    char path[128];
    uint64_t two = 2;

    (void)state;
    for (int all = 0; all < 2; all++) {
        (void)snprintf(path, sizeof path, "%s/plain-%d", w.dir, all);
        assert_int_equal(mkdir(path, 0755), 0);
        OK(azri_domain_open(&d, path, 0, &err));
        aim_at(d);
        if (all)
            OK(azri_view_aim_all(v, &w.grid.keying, &err));
        OK(azri_view_look(v, &err));
        if (all)
            assert_int_equal(azri_view_counter(v, &two), 0);
        else
            assert_item(0, NULL);
        OK(azri_view_check(v, &err));
        OK(azri_view_lock_ground(v, &err)); /* there is nothing to lock */
        assert_false(azri_view_is_locked(v));
        OK(azri_view_lock_chunks(v, &err));
        /* a first writer comes */
        OK(azri_state_create(d, &w.grid, AZR_DURABILITY_PROCESS, &err));
        fake_fail(ON_OPENAT, "state", 0, 1, EMFILE);
        FAILS(azri_view_check(v, &err), AZR_EIO, AZR_SUB_OPEN, "state");
        FAILS_SILENTLY(azri_view_check(v, &err), AZR_ECONFLICT);
        azr_set_memory_cap(1);
        FAILS(azri_view_look(v, &err), AZR_ENOMEM, AZR_SUB_NONE, "memory");
        azr_set_memory_cap(0);
        OK(azri_view_look(v, &err));
        OK(azri_view_check(v, &err));
        done();
        azri_domain_close(d);
        (void)fake_clear();
    }
    (void)snprintf(path, sizeof path, "%s/plain-2", w.dir);
    assert_int_equal(mkdir(path, 0755), 0);
    OK(azri_domain_open(&d, path, 0, &err));
    aim_at(d);
    fake_fail(ON_OPENAT, "state", 0, 1, EMFILE);
    FAILS(azri_view_look(v, &err), AZR_EIO, AZR_SUB_OPEN, "state");
    done();
    azri_domain_close(d);
}

/* -------------------------------------------------------------- under lock --- */

static void lock_all(void)
{
    OK(azri_view_lock_ground(v, &err));
    OK(azri_view_lock_ground(v, &err)); /* once is enough */
    OK(azri_view_lock_chunks(v, &err));
    OK(azri_view_lock_chunks(v, &err));
    assert_true(azri_view_is_locked(v));
}

static void assert_locked_look(const char *a)
{
    OK(azri_view_look(v, &err));
    for (uint64_t i = 0; i < 3; i++) {
        azri_view_close_item(v, i);
        azri_view_item_at(v, i)->have = false;
    }
    assert_item(0, a);
}

/* Nobody can begin a commit: counters of others do not disturb; what the dead left
 * may still be finished. */
static void test_locked(void **state)
{
    uint64_t two = 2, reads = COUNTED(locked_reads);

    (void)state;
    begin_view();
    lock_all();
    assert_int_equal(COUNTED(locked_reads) - reads, 1);
    assert_locked_look("old");
    azri_sys->bump64("counter",
                     azri_state_counter(state_of(0), azri_stripe(&two, 1)));
    azri_sys->bump64("meta", &azri_state_changing(state_of(0))->meta);
    OK(azri_view_check(v, &err));
    OK(azri_view_look(v, &err));
    assert_true(azri_view_item_at(v, 0)->have);
    row_put(&r, 0, AZRI_COMMITTED);
    assert_locked_look("new");
    row_put(&r, 0, TOLD); /* finished or not: the same file */
    OK(azri_view_check(v, &err));
    row_put(&r, 0, AZRI_SEALED); /* may be committed any time */
    assert_locked_look("old");
    OK(azri_view_check(v, &err));
    row_put(&r, 0, AZRI_COMMITTED);
    FAILS_SILENTLY(azri_view_check(v, &err), AZR_ECONFLICT);
    row_age(&r);
    row_put(&r, 0, AZRI_COMMITTED); /* may be given up */
    assert_locked_look("new");
    row_put(&r, 0, AZRI_FREE);
    FAILS_SILENTLY(azri_view_check(v, &err), AZR_ECONFLICT);
    row_put(&r, 0, AZRI_COMMITTED);
    OK(azri_view_look(v, &err));
    OK(azri_view_check(v, &err)); /* it was not */
    row_make(&r, 0, ROW, ID, 7, 8);
    r.what.first = AZRI_LOCK_W; /* its hull has ours in it, its list has not */
    row_put(&r, 0, AZRI_COMMITTED);
    OK(azri_view_look(v, &err));
    row_put(&r, 0, AZRI_FREE);
    OK(azri_view_check(v, &err));
    row_age(&r); /* of another boot, it may be given up: which is not ours */
    row_put(&r, 0, AZRI_COMMITTED);
    OK(azri_view_look(v, &err));
    row_put(&r, 0, AZRI_FREE);
    OK(azri_view_check(v, &err));
    row_make(&r, 0, ROW, ID, 7, 8);
    row_put(&r, 0, AZRI_COMMITTED); /* of others */
    OK(azri_view_look(v, &err));
    row_put(&r, 0, AZRI_FREE);
    OK(azri_view_check(v, &err));
    r.what.flags = AZRI_WHAT_METADATA;
    row_put(&r, 0, AZRI_COMMITTED);
    OK(azri_view_look(v, &err));
    assert_true(azri_view_moves_documents(v));
    /* aimed anew the chunks are let go, META and DOC are not */
    OK(azri_view_aim(v, &w.grid.keying, 3, coords_from, &two, &err));
    assert_true(azri_view_is_locked(v));
    OK(azri_view_lock_chunks(v, &err));
    fake_fail(ON_LOCK, "unlock W", 0, 1, EIO);
    FAILS(azri_view_aim(v, &w.grid.keying, 3, coords_from, &two, &err), AZR_EIO,
          AZR_SUB_LOCK, "unlock");
    done();
    begin_view();
    azri_view_trust_locks(v);
    OK(azri_view_look(v, &err));
    azri_sys->bump64("meta", &azri_state_changing(state_of(0))->meta);
    OK(azri_view_check(v, &err));
    /* aimed anew it is not trusted any more */
    OK(azri_view_aim(v, &w.grid.keying, 3, coords_from, &two, &err));
    OK(azri_view_look(v, &err));
    azri_sys->bump64("meta", &azri_state_changing(state_of(0))->meta);
    FAILS_SILENTLY(azri_view_check(v, &err), AZR_ECONFLICT);
    lock_all(); /* locks hold no array in its place */
    OK(azri_view_look(v, &err));
    atomic_store(&azri_state_changing(state_of(0))->fate, AZRI_FATE_REMOVED);
    FAILS(azri_view_check(v, &err), AZR_ENOTFOUND, AZR_SUB_STATE,
          "was removed");
    done();
}

static void test_lock_fails(void **state)
{
    static const char *const places[] = {"try META", "try DOC", "try W"};
    int rc = AZR_OK;

    (void)state;
    for (int i = 0; i < 3; i++) {
        begin_view();
        fake_fail(ON_LOCK, places[i], 0, 1, ENOLCK);
        err = (azr_error)AZR_ERROR_INIT;
        rc = azri_view_lock_ground(v, &err);
        if (rc == AZR_OK)
            rc = azri_view_lock_chunks(v, &err);
        assert_int_equal(rc, AZR_EIO);
        assert_int_equal(err.sub, AZR_SUB_LOCK);
        assert_int_equal(azri_view_is_locked(v), i == 2);
        done();
        assert_int_equal(azri_word_state(word_of(0, 0)), AZRI_FREE);
    }
}

static bool is_busy(uint64_t first, uint64_t last, bool exclusive)
{
    int fd = open(below(0, ".azr/state"), O_RDWR | O_CLOEXEC);
    azri_range there = {first, last, exclusive};
    bool busy = azri_ofd_busy(fd, &there);

    assert_int_equal(close(fd), 0);
    return busy;
}

/* Both ends are held by somebody, who lets others read. */
static void assert_shared(uint64_t first, uint64_t last)
{
    assert_true(is_busy(first, first, true) && is_busy(last, last, true));
    assert_false(is_busy(first, last, false));
}

static void assert_not_held(uint64_t first, uint64_t last)
{
    assert_false(is_busy(first, last, true));
}

static void test_what_is_locked(void **state)
{
    azri_domain *d[2] = {w.d[0], open_read_only()};

    (void)state;
    for (int k = 0; k < 2; k++) {
        aim_at(d[k]);
        OK(azri_view_lock_ground(v, &err));
        assert_shared(AZRI_LOCK_META, AZRI_LOCK_DOC);
        assert_not_held(AZRI_LOCK_W, AZRI_LOCK_LAST);
        OK(azri_view_lock_chunks(v, &err));
        assert_shared(offset_of(2), offset_of(4));
        assert_not_held(AZRI_LOCK_W, offset_of(1));
        assert_not_held(offset_of(5), AZRI_LOCK_LAST);
        OK(azri_view_aim_all(v, &w.grid.keying, &err));
        assert_not_held(AZRI_LOCK_W, AZRI_LOCK_LAST);
        assert_shared(AZRI_LOCK_META, AZRI_LOCK_DOC);
        OK(azri_view_lock_chunks(v, &err));
        assert_shared(AZRI_LOCK_W, AZRI_LOCK_LAST);
        done();
        assert_not_held(AZRI_LOCK_BASE, AZRI_LOCK_LAST);
    }
    azri_domain_close(d[1]);
}

static int64_t naps[16];
static unsigned nap_count;

static int note_nap(_Atomic uint32_t *word, uint32_t value,
                    const struct timespec *timeout)
{
    assert_int_equal(atomic_load(word), value);
    assert_in_range(nap_count, 0, 15);
    naps[nap_count++] =
        timeout->tv_sec * INT64_C(1000000000) + timeout->tv_nsec;
    errno = ETIMEDOUT;
    return -1;
}

/* Ever more seldom, from 50 µs to 2 ms. */
static void test_naps(void **state)
{
    static const int64_t want[] = {50000,   100000,  200000,  400000, 800000,
                                   1600000, 2000000, 2000000, 2000000};
    const struct azri_sys *before = azri_sys;
    struct azri_sys mine = *before;
    azri_domain *d = open_read_only();

    (void)state;
    mine.futex_wait = note_nap;
    aim_at(d);
    fake_fail(ON_LOCK, "try META", 0, 9, EAGAIN);
    nap_count = 0;
    azri_sys = &mine;
    OK(azri_view_lock_ground(v, &err));
    azri_sys = before;
    assert_int_equal(nap_count, 9);
    for (unsigned i = 0; i < 9; i++)
        assert_int_equal(naps[i], want[i]);
    done();
    azri_domain_close(d);
}

/* Without a row to wait in: by trying. */
static void test_read_only(void **state)
{
    azri_range w_range = {AZRI_LOCK_W, AZRI_LOCK_LAST, true};
    azr_cancel *cancel = canceled();
    azri_domain *d = open_read_only();
    int fd = open(below(0, ".azr/state"), O_RDWR | O_CLOEXEC);

    (void)state;
    begin_view();
    aim_at(d);
    lock_all();
    assert_locked_look("old");
    OK(azri_view_check(v, &err));
    assert_true(azri_ofd_busy(fd, &w_range));
    OK(azri_view_aim_all(v, &w.grid.keying, &err)); /* the chunks are let go */
    assert_false(azri_ofd_busy(fd, &w_range));
    assert_true(azri_view_is_locked(v));
    OK(azri_view_lock_level(v, AZRI_LEVEL_CHUNKS, &err));
    assert_true(azri_ofd_busy(fd, &w_range));
    aim_at(d);
    assert_false(azri_ofd_busy(fd, &w_range));
    OK(azri_view_aim_all(v, &w.grid.keying, &err));
    lock_all();
    assert_true(azri_ofd_busy(fd, &w_range));
    aim_at(d);
    fake_no_sleep = true;
    fake_fail(ON_LOCK, "try META", 0, 9, EAGAIN);
    OK(azri_view_lock_ground(v, &err));
    fake_fail(ON_LOCK, "try W", 0, 1, EIO);
    FAILS(azri_view_lock_chunks(v, &err), AZR_EIO, AZR_SUB_LOCK, "lock");
    OK(azri_ofd_try(fd, &w_range, &err));
    w.patience.deadline_ns = 0;
    aim_at(d);
    OK(azri_view_lock_ground(v, &err));
    FAILS(azri_view_lock_chunks(v, &err), AZR_EBUSY, AZR_SUB_NONE, "time-out");
    w.patience.deadline_ns = INT64_MAX;
    w.patience.cancel = cancel;
    aim_at(d);
    fake_fail(ON_LOCK, "try DOC", 0, 1, EAGAIN);
    FAILS(azri_view_lock_ground(v, &err), AZR_ECANCELED, AZR_SUB_NONE,
          "canceled");
    assert_false(azri_view_is_locked(v));
    w.patience.cancel = NULL;
    azr_cancel_free(cancel);
    (void)fake_clear();
    aim_at(d);
    no_idle_descriptors(d);
    fake_fail(ON_OPENAT, "state", 0, 1, EMFILE);
    FAILS(azri_view_lock_ground(v, &err), AZR_EIO, AZR_SUB_OPEN, "state");
    done();
    assert_int_equal(close(fd), 0);
    azri_domain_close(d);
}

static void test_no_memory(void **state)
{
    azri_view *none = NULL;
    uint64_t two = 2;

    (void)state;
    begin_view();
    row_put(&r, 0, AZRI_COMMITTED);
    azr_set_memory_cap(1);
    FAILS(azri_view_new(&none, w.d[0], &w.patience, &err), AZR_ENOMEM,
          AZR_SUB_NONE, "memory");
    FAILS(azri_view_look(v, &err), AZR_ENOMEM, AZR_SUB_NONE, "memory");
    FAILS(azri_view_aim(v, &w.grid.keying, 3, coords_from, &two, &err),
          AZR_ENOMEM, AZR_SUB_NONE, "memory");
    azr_set_memory_cap(azri_heap_nbytes() + 500);
    FAILS(azri_view_aim_all(v, &w.grid.keying, &err), AZR_ENOMEM, AZR_SUB_NONE,
          "memory");
    azr_set_memory_cap(0);
    aim_at(w.d[0]);
    assert_new();
    azri_view_free(NULL);
    done();
}

/* -------------------------------------------------------------- two arrays --- */

static void make_two(uint32_t home_state, uint32_t row_state)
{
    begin_view();
    row_make(&home, 1, 1, ID, 6, 6);
    home.what.flags |= AZRI_WHAT_HOME;
    r.what.flags |= AZRI_WHAT_HAS_HOME;
    row_refer(&home, 0, ROW, "../a");
    row_refer(&r, 1, 1, "../b");
    row_put(&home, 1, home_state);
    row_put(&r, 0, row_state);
}

/* A PREPARED row counts exactly while its home is COMMITTED. */
static void test_home(void **state)
{
    (void)state;
    make_two(AZRI_COMMITTED, AZRI_PREPARED);
    assert_new();
    make_two(TOLD, AZRI_PREPARED);
    assert_new();
    row_make(&r, 0, ROW, ID, 7, 8); /* of others: its home is not asked */
    r.what.flags |= AZRI_WHAT_HAS_HOME;
    row_refer(&r, 1, 1, "../nowhere");
    row_put(&r, 0, AZRI_PREPARED);
    assert_old();
    make_two(AZRI_ACTIVE, AZRI_PREPARED);
    assert_old();
    make_two(AZRI_FREE, AZRI_PREPARED);
    assert_old();
    make_two(AZRI_SEALED, AZRI_PREPARED); /* of this boot */
    assert_old();
    row_age(&home);
    row_put(&home, 1, AZRI_SEALED);
    assert_new();
    make_two(AZRI_COMMITTED, AZRI_PREPARED); /* another transaction's */
    home.id++;
    row_put(&home, 1, AZRI_COMMITTED);
    assert_old();
    /* it commits between the two looks, and is committed by itself later */
    make_two(AZRI_ACTIVE, AZRI_PREPARED);
    OK(azri_view_look(v, &err));
    OK(azri_view_check(v, &err));
    row_put(&home, 1, AZRI_COMMITTED);
    FAILS_SILENTLY(azri_view_check(v, &err), AZR_ECONFLICT);
    OK(azri_view_look(v, &err));
    row_put(&r, 0, AZRI_COMMITTED);
    OK(azri_view_check(v, &err)); /* that it was PREPARED once is no change */
    done();
}

static void test_home_under_lock(void **state)
{
    (void)state;
    make_two(AZRI_SEALED, AZRI_PREPARED);
    lock_all();
    assert_locked_look("old");
    OK(azri_view_check(v, &err));
    row_put(&home, 1, AZRI_COMMITTED);
    FAILS_SILENTLY(azri_view_check(v, &err), AZR_ECONFLICT);
    row_put(&home, 1, AZRI_SEALED);
    assert_locked_look("old");
    row_put(&r, 0, AZRI_COMMITTED);
    FAILS_SILENTLY(azri_view_check(v, &err), AZR_ECONFLICT);
    row_put(&r, 0, AZRI_PREPARED);
    assert_locked_look("old");
    fake_fail(ON_OPENAT, "../b", 0, 1, EMFILE);
    FAILS(azri_view_check(v, &err), AZR_EIO, AZR_SUB_OPEN, "../b");
    done();
}

static void test_home_cannot_be_asked(void **state)
{
    (void)state;
    make_two(AZRI_COMMITTED, AZRI_PREPARED);
    fake_fail(ON_OPENAT, "../b", 0, 1, EMFILE);
    FAILS(azri_view_look(v, &err), AZR_EIO, AZR_SUB_OPEN, "../b");
    row_put(&r, 0, AZRI_FREE);
    OK(azri_view_look(v, &err));
    row_put(&r, 0, AZRI_PREPARED);
    fake_fail(ON_OPENAT, "../b", 0, 1, EMFILE);
    FAILS(azri_view_check(v, &err), AZR_EIO, AZR_SUB_OPEN, "../b");
    (void)fake_clear();
    /* … and the row has gone on: then the answer is of no use */
    fake_before(ON_OPENAT, "../b", 0, free_word);
    fake_fail(ON_OPENAT, "../b", 0, 1, EMFILE);
    assert_old();
    assert_int_equal(fake_clear(), 2);
    /* no array, or another one */
    make_two(AZRI_COMMITTED, AZRI_PREPARED);
    r.what.home_id[0] = 0;
    r.what.entries[3 * 24] ^= 1;
    row_put(&r, 0, AZRI_PREPARED);
    FAILS(azri_view_look(v, &err), AZR_ECORRUPT, AZR_SUB_STATE, "put it back");
    done();
}

#define T(f)  cmocka_unit_test_setup_teardown(f, world_begin, world_end)
#define TP(f) cmocka_unit_test_setup_teardown(f, world_begin_power, world_end)
#define T2(f) cmocka_unit_test_setup_teardown(f, world_begin_two, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_states),
        T(test_counted),
        T(test_deleted),
        T(test_renamed),
        T(test_record_gone),
        T(test_damage),
        TP(test_over),
        T(test_second_look),
        T(test_kept),
        T(test_order),
        T(test_row_changes),
        T(test_documents),
        T(test_all),
        T(test_stateless),
        T(test_locked),
        T(test_lock_fails),
        T(test_read_only),
        T(test_naps),
        T(test_what_is_locked),
        T(test_no_memory),
        T2(test_home),
        T2(test_home_under_lock),
        T2(test_home_cannot_be_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
