/* SPDX-License-Identifier: Apache-2.0 */
/* Entries, rows and records as hostile hands write them. */
#include "world.h"

#include "base/alloc.h"

#define ROW 3u
#define ID  UINT64_C(0x00123456789abc)

static made_row r;
static azri_intent in;

static uint64_t committed(void)
{
    return azri_word(ID, AZRI_COMMITTED);
}

static void make(void)
{
    row_make(&r, 0, ROW, ID, 2, 4);
}

static int read_it(bool with_entries)
{
    azri_intent_dispose(&in);
    return azri_intent_read(&in, w.d[0], ROW, committed(), with_entries, &err);
}

/* ------------------------------------------------------------------ sound --- */

static void test_sound(void **state)
{
    azri_range hits = {AZRI_LOCK_W, AZRI_LOCK_LAST, true},
               misses = {1, 2, true};

    (void)state;
    for (int with_record = 0; with_record < 2; with_record++) {
        make();
        if (with_record)
            row_use_record(&r, 0);
        row_put(&r, 0, AZRI_COMMITTED);
        OK(read_it(false));
        assert_null(in.entries);
        OK(read_it(true));
        assert_int_equal(in.count, 3);
        for (uint64_t c = 0; c < 6; c++)
            assert_true(
                azri_intent_find(&in, state_of(0), AZRI_ENTRY_CHUNK, &c) ==
                (c >= 2 && c <= 4 ? c - 2 : UINT64_MAX));
        assert_true(azri_intent_find(&in, state_of(0), AZRI_ENTRY_V3, NULL) ==
                    UINT64_MAX);
        assert_true(azri_intent_overlaps(&in, state_of(0), &hits, 1));
        assert_false(azri_intent_overlaps(&in, state_of(0), &misses, 1));
        hits.first = azri_w_offset(state_of(0), &(uint64_t){5});
        assert_false(azri_intent_overlaps(&in, state_of(0), &hits, 1));
        hits.first = AZRI_LOCK_W;
        azri_intent_dispose(&in);
    }
}

/* Nine entries and a reference: as many bytes as a row has room for. */
static void test_full(void **state)
{
    (void)state;
    row_make(&r, 0, ROW, ID, 0, 8);
    r.what.flags |= AZRI_WHAT_HOME;
    row_refer(&r, 0, 1, "../b");
    assert_int_equal(r.what.entries_nbytes, sizeof r.what.entries);
    row_put(&r, 0, AZRI_COMMITTED);
    OK(read_it(true));
    assert_int_equal(in.count, 9);
    assert_int_equal(in.others, 1);
    azri_intent_dispose(&in);
}

static void test_other_word(void **state)
{
    (void)state;
    make();
    row_put(&r, 0, AZRI_SEALED);
    FAILS_SILENTLY(read_it(true), AZR_ECONFLICT);
}

static void test_documents(void **state)
{
    azri_entry e = {.head = {.kind = AZRI_ENTRY_V3}};
    azri_range all = {AZRI_LOCK_W, AZRI_LOCK_LAST, true};
    char key[AZRI_KEY_MAX];

    (void)state;
    row_make(&r, 0, ROW, ID, 2, 2);
    azri_entry_put(r.what.entries, state_of(0), 0, &e);
    row_put(&r, 0, AZRI_COMMITTED);
    OK(read_it(true));
    assert_int_equal(azri_intent_find(&in, state_of(0), AZRI_ENTRY_V3, NULL),
                     0);
    assert_true(azri_intent_find(&in, state_of(0), AZRI_ENTRY_ZATTRS, NULL) ==
                UINT64_MAX);
    assert_false(azri_intent_overlaps(&in, state_of(0), &all, 1));
    azri_intent_dispose(&in);
    azri_entry_key(key, state_of(0), &e);
    assert_string_equal(key, "zarr.json");
    e.head.kind = AZRI_ENTRY_ZARRAY;
    azri_entry_key(key, state_of(0), &e);
    assert_string_equal(key, ".zarray");
    e.head.kind = AZRI_ENTRY_ZATTRS;
    azri_entry_key(key, state_of(0), &e);
    assert_string_equal(key, ".zattrs");
    e.head.kind = AZRI_ENTRY_CHUNK;
    e.coords[0] = 7;
    azri_entry_key(key, state_of(0), &e);
    assert_string_equal(key, "c/7");
}

/* ------------------------------------------------------------ unsound rows --- */

static void no_id(azri_what *v)
{
    v->id++;
}

static void no_count(azri_what *v)
{
    v->count++;
}

static void much_count(azri_what *v)
{
    v->count = UINT32_MAX;
}

static void many_entries(azri_what *v)
{
    v->entries_nbytes = sizeof v->entries + 1;
}

static void home_and_other(azri_what *v)
{
    v->flags |= AZRI_WHAT_HOME | AZRI_WHAT_HAS_HOME;
}

static void home_of_none(azri_what *v)
{
    v->flags |= AZRI_WHAT_HOME;
}

static void short_record(azri_what *v)
{
    v->flags |= AZRI_WHAT_RECORD;
    v->record_nbytes = sizeof(azri_record_head);
}

static void short_record_of_several(azri_what *v)
{
    v->flags |= AZRI_WHAT_RECORD | AZRI_WHAT_HAS_HOME;
    v->record_nbytes = sizeof(azri_record_head) + 3 * sizeof v->id * 3;
}

static void test_unsound(void **state)
{
    void (*const changes[])(azri_what *) = {
        no_id,          no_count,     much_count,   many_entries,
        home_and_other, home_of_none, short_record, short_record_of_several};

    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        make();
        changes[i](&r.what);
        row_put(&r, 0, AZRI_COMMITTED);
        FAILS(read_it(true), AZR_ECORRUPT, AZR_SUB_STATE, "does not match");
        assert_null(in.entries);
    }
    make();
    row_put(&r, 0, AZRI_COMMITTED);
    azri_state_row(state_of(0), ROW)->what.crc ^= 1;
    FAILS(read_it(true), AZR_ECORRUPT, AZR_SUB_STATE, "row 3 says state 4");
}

/* ---------------------------------------------------------------- records --- */

static azri_record_head *head(void)
{
    void *p = r.record;

    return p;
}

static void other_magic(void)
{
    head()->magic[0] ^= 1;
}

static void other_id(void)
{
    head()->id++;
}

static void other_array(void)
{
    head()->array_id[3] ^= 1;
}

static void other_count(void)
{
    head()->count++;
}

static void other_entries(void)
{
    head()->entry_nbytes += 8;
}

static void other_flags(void)
{
    head()->flags = AZRI_WHAT_RECORD | AZRI_WHAT_HOME;
}

static void others_of_one(void)
{
    head()->others = 1;
}

static void one_of_several(void)
{
    r.what.flags |= AZRI_WHAT_HOME;
    row_refer(&r, 0, 1, "../b");
    head()->others = 0;
}

static void test_records(void **state)
{
    void (*const changes[])(void) = {other_magic,   other_id,      other_array,
                                     other_count,   other_entries, other_flags,
                                     others_of_one, one_of_several};
    const char *name = record_path(ROW, ID);

    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        make();
        row_use_record(&r, 0);
        changes[i]();
        row_put(&r, 0, AZRI_COMMITTED);
        FAILS(read_it(true), AZR_ECORRUPT, AZR_SUB_RECORD,
              "of another transaction or array");
        assert_null(in.entries);
    }
    make();
    row_use_record(&r, 0);
    row_put(&r, 0, AZRI_COMMITTED);
    assert_int_equal(truncate(below(0, name), 60), 0);
    FAILS(read_it(true), AZR_ECORRUPT, AZR_SUB_RECORD, "too short");
    r.record[80] ^= 1;
    put_file(below(0, name), r.record, r.record_nbytes);
    FAILS(read_it(true), AZR_ECORRUPT, AZR_SUB_RECORD, "checksum");
    put_file(below(0, name), r.record, r.record_nbytes + 1);
    FAILS(read_it(true), AZR_ECORRUPT, AZR_SUB_METADATA, "more than");
    r.what.record_nbytes = (UINT64_C(1) << 32) + 1;
    r.what.flags |= AZRI_WHAT_HOME;
    row_put(&r, 0, AZRI_COMMITTED);
    FAILS(read_it(true), AZR_ECORRUPT, AZR_SUB_RECORD, "absurd");
}

static void clear_word(void)
{
    atomic_store(azri_state_word(state_of(0), ROW), azri_word(ID, AZRI_FREE));
}

static void test_record_is_gone(void **state)
{
    (void)state;
    make();
    row_use_record(&r, 0);
    row_put(&r, 0, AZRI_COMMITTED);
    fake_fail(ON_OPENAT, ".r", 0, 1, EMFILE);
    FAILS(read_it(true), AZR_EIO, AZR_SUB_OPEN, record_path(ROW, ID) + 8);
    remove_record(0, ROW, ID);
    FAILS_SILENTLY(read_it(true), AZR_ENOTFOUND);
    (void)fake_clear();
    /* finished while we looked: not damage, whatever was found */
    fake_before(ON_OPENAT, ".r", 0, clear_word);
    FAILS_SILENTLY(read_it(true), AZR_ECONFLICT);
    assert_int_equal(fake_clear(), 1);
}

/* ------------------------------------------------------------------ entries --- */

static void entry(uint64_t i, unsigned kind, unsigned flags, uint64_t coord)
{
    azri_entry e = {.head = {.kind = (uint8_t)kind, .flags = (uint8_t)flags}};

    e.coords[0] = coord;
    azri_entry_put(r.what.entries, state_of(0), i, &e);
}

static void expect_fault(const char *text)
{
    row_put(&r, 0, AZRI_COMMITTED);
    FAILS(read_it(true), AZR_ECORRUPT, AZR_SUB_RECORD, text);
    make();
}

static void test_entries(void **state)
{
    (void)state;
    make();
    entry(2, AZRI_ENTRY_ZATTRS + 1, 0, 0);
    expect_fault("object 2 is of an unknown kind");
    entry(2, AZRI_ENTRY_ZARRAY, 0, 0);
    expect_fault("is a document of another format");
    entry(0, AZRI_ENTRY_CHUNK, 2, 2);
    expect_fault("object 0 has flags that it cannot have");
    entry(2, AZRI_ENTRY_V3, AZRI_ENTRY_DELETED, 0);
    expect_fault("has flags that it cannot have");
    entry(2, AZRI_ENTRY_CHUNK, 0, (uint64_t)INT64_MAX + 1);
    expect_fault("beyond 2^63");
    entry(1, AZRI_ENTRY_CHUNK, 0, 2);
    expect_fault("object 1 is named twice or out of order");
    entry(1, AZRI_ENTRY_CHUNK, 0, 1);
    expect_fault("is named twice or out of order");
    entry(1, AZRI_ENTRY_V3, 0, 0); /* and a chunk after it */
    expect_fault("is named twice or out of order");
    entry(1, AZRI_ENTRY_V3, 0, 0);
    entry(2, AZRI_ENTRY_V3, 0, 1);
    expect_fault("is named twice or out of order");
    entry(1, AZRI_ENTRY_CHUNK, AZRI_ENTRY_DELETED, 3);
    entry(2, AZRI_ENTRY_V3, 0, 0);
    row_put(&r, 0, AZRI_COMMITTED);
    OK(read_it(true));
    azri_intent_dispose(&in);
}

static void test_no_memory(void **state)
{
    (void)state;
    make();
    row_put(&r, 0, AZRI_COMMITTED);
    azr_set_memory_cap(1);
    FAILS(read_it(true), AZR_ENOMEM, AZR_SUB_NONE, "out of memory");
    row_use_record(&r, 0);
    row_put(&r, 0, AZRI_COMMITTED);
    FAILS(read_it(true), AZR_ENOMEM, AZR_SUB_NONE, "out of memory");
    azr_set_memory_cap(0);
    OK(read_it(true));
    azri_intent_dispose(&in);
}

/* ------------------------------------------------------------- other arrays --- */

static void row_says(const char *fault)
{
    row_put(&r, 0, AZRI_COMMITTED);
    if (fault) {
        FAILS(read_it(true), AZR_ECORRUPT, AZR_SUB_RECORD, fault);
    } else {
        OK(read_it(true));
    }
    row_make(&r, 0, ROW, ID, 2, 2);
}

static void test_references_in_row(void **state)
{
    azri_ref ref;

    (void)state;
    row_make(&r, 0, ROW, ID, 2, 2);
    r.what.flags |= AZRI_WHAT_HOME;
    r.what.entries_nbytes += 8; /* not even a head */
    row_says("what its row says of other arrays is damaged");
    r.what.flags |= AZRI_WHAT_HOME;
    row_refer(&r, 0, 1, "../b");
    r.what.entries_nbytes -= 8; /* its path is cut off */
    row_says("what its row says of other arrays is damaged");
    r.what.flags |= AZRI_WHAT_HAS_HOME;
    row_refer(&r, 0, 1, "../b");
    row_refer(&r, 0, 2, "../c");
    row_says("what its row says of other arrays is damaged");
    r.what.flags |= AZRI_WHAT_HOME;
    row_refer(&r, 0, 1, "../b");
    row_refer(&r, 0, 2, "../and/so/on");
    row_says(NULL);
    assert_int_equal(in.others, 2);
    OK(azri_intent_ref(&ref, &in, 0, &err));
    assert_string_equal(ref.path, "../b");
    OK(azri_intent_ref(&ref, &in, 1, &err));
    assert_string_equal(ref.path, "../and/so/on");
    assert_int_equal(ref.row, 2);
    FAILS(azri_intent_ref(&ref, &in, 2, &err), AZR_ECORRUPT, AZR_SUB_RECORD,
          "other array 2 is not a relative path");
    azri_intent_dispose(&in);
    FAILS(azri_intent_ref(&ref, &in, 0, &err), AZR_ECORRUPT, AZR_SUB_RECORD,
          "other array 0 is not a relative path");
}

/* Reference 0 of these bytes. */
static int ref_of(const void *bytes, size_t n)
{
    azri_intent some = {.refs = bytes, .refs_nbytes = n, .others = 1};
    azri_ref ref;

    err = (azr_error)AZR_ERROR_INIT;
    return azri_intent_ref(&ref, &some, 0, &err);
}

static void test_references(void **state)
{
    static uint8_t bytes[8192];
    azri_ref_head h = {.path_nbytes = 4};

    (void)state;
    memcpy(bytes, &h, sizeof h);
    memcpy(bytes + sizeof h, "../b", 4);
    assert_int_equal(ref_of(bytes, sizeof h + 8), AZR_OK);
    assert_int_equal(ref_of(bytes, sizeof h - 1), AZR_ECORRUPT);
    {
        uint8_t *exact = malloc(sizeof h - 1); /* nothing behind it is read */

        assert_non_null(exact);
        memcpy(exact, bytes, sizeof h - 1);
        assert_int_equal(ref_of(exact, sizeof h - 1), AZR_ECORRUPT);
        free(exact);
    }

    assert_int_equal(ref_of(bytes, sizeof h + 7), AZR_ECORRUPT);
    bytes[sizeof h] = '/';
    assert_int_equal(ref_of(bytes, sizeof h + 8), AZR_ECORRUPT);
    memcpy(bytes + sizeof h, "..\0b", 4);
    assert_int_equal(ref_of(bytes, sizeof h + 8), AZR_ECORRUPT);
    h.path_nbytes = 0;
    memcpy(bytes, &h, sizeof h);
    assert_int_equal(ref_of(bytes, sizeof h + 8), AZR_ECORRUPT);
    h.path_nbytes = AZRI_REF_PATH_MAX;
    memcpy(bytes, &h, sizeof h);
    memset(bytes + sizeof h, 'x', AZRI_REF_PATH_MAX);
    assert_int_equal(ref_of(bytes, sizeof bytes), AZR_ECORRUPT);
    h.path_nbytes = AZRI_REF_PATH_MAX - 1;
    memcpy(bytes, &h, sizeof h);
    assert_int_equal(ref_of(bytes, sizeof bytes), AZR_OK);
}

/* ---------------------------------------------------------------- the owner --- */

static void test_this_boot(void **state)
{
    (void)state;
    make();
    row_put(&r, 0, AZRI_COMMITTED);
    assert_true(azri_row_of_this_boot(state_of(0), ROW, committed()));
    row_age(&r);
    row_put(&r, 0, AZRI_COMMITTED);
    assert_false(azri_row_of_this_boot(state_of(0), ROW, committed()));
    /* somebody is at work in it */
    assert_true(
        azri_row_of_this_boot(state_of(0), ROW, azri_word(ID, AZRI_SEALED)));
    make();
    r.who.id++;
    row_put(&r, 0, AZRI_COMMITTED);
    assert_false(azri_row_of_this_boot(state_of(0), ROW, committed()));
}

static void test_taken_again(void **state)
{
    azri_row *row = azri_state_row(state_of(0), ROW);

    (void)state;
    make();
    row_put(&r, 0, AZRI_COMMITTED);
    assert_false(azri_row_taken_again(state_of(0), ROW, committed()));
    r.who.id++;
    row_put(&r, 0, AZRI_COMMITTED);
    assert_true(azri_row_taken_again(state_of(0), ROW, committed()));
    row->who.crc ^= 1; /* while it was signed */
    assert_false(azri_row_taken_again(state_of(0), ROW, committed()));
    r.what.id++;
    row_put(&r, 0, AZRI_COMMITTED);
    row->who.crc ^= 1;
    assert_true(azri_row_taken_again(state_of(0), ROW, committed()));
    row->what.crc ^= 1;
    assert_false(azri_row_taken_again(state_of(0), ROW, committed()));
}

static void test_owner(void **state)
{
    char text[160], want[160], host[sizeof r.who.host] = "";

    (void)state;
    make();
    row_put(&r, 0, AZRI_COMMITTED);
    azri_owner_text(text, sizeof text, state_of(0), ROW);
    assert_non_null(strstr(text, "pid 999999 on elsewhere (uid 0) for "));
    memset(host, 'x', sizeof host - 1);
    memset(r.who.host, 'x', sizeof r.who.host); /* without an end */
    row_put(&r, 0, AZRI_COMMITTED);
    azri_owner_text(text, sizeof text, state_of(0), ROW);
    (void)snprintf(want, sizeof want, " on %s (uid 0)", host);
    assert_non_null(strstr(text, want));
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_sound),      T(test_other_word), T(test_documents),
        T(test_unsound),    T(test_records),    T(test_record_is_gone),
        T(test_entries),    T(test_no_memory),  T(test_references_in_row),
        T(test_references), T(test_this_boot),  T(test_taken_again),
        T(test_owner),      T(test_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
