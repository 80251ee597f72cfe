/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damaged and hostile `state`, records and chunks: a clear error or the right
 * values, never a crash, a hang or a heap without bound, and nothing changed by who is
 * refused.
 */
#include "base/hash.h"
#include "fault/probe.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const kind process = {3, false, false};
static char g_from[160], g_at[160]; /* a sound array, and the one in hand */
static image g_old, g_new;

static const int refusals[] = {AZR_ECORRUPT, AZR_EUNSUPPORTED, 0};
static const int any_refusal[] = {
    AZR_ECORRUPT, AZR_EUNSUPPORTED, AZR_EIO, AZR_EPERM,
    AZR_EBUSY,    AZR_ENOTFOUND,    0};

static void places(void)
{
    const char *root = scene_root(true);

    (void)snprintf(g_from, sizeof g_from, "%s/sound", root);
    (void)snprintf(g_at, sizeof g_at, "%s/hand", root);
}

static bool be_maker(void *arg)
{
    (void)arg;
    return scene_make(g_from, OP_WRITE_2, &process);
}

static bool begin_sound(void)
{
    places();
    tree_remove(g_from);
    memset(&g_old, 0, sizeof g_old);
    g_old.exists = true;
    g_old.length = SCENE_SHORT;
    image_put(&g_old, 0, SCENE_SHORT, 1);
    return child_run("maker", be_maker, NULL);
}

static bool begin_committed(op o)
{
    places();
    return make_committed(g_from, o, &process, &g_old, &g_new);
}

static void fresh(void)
{
    scene_error()[0] = '\0';
    tree_remove(g_at);
    tree_copy(g_from, g_at);
}

static bool tell(const char *what, uint64_t n)
{
    char why[900];

    (void)snprintf(why, sizeof why, "%s", scene_error());
    scene_error()[0] = '\0';
    return complain("%s %" PRIu64 ": %s", what, n, why);
}

/* Both must end in one of the codes, or in success with the right values. */
static bool meet(const image *want, const int *allowed)
{
    outcome *o = probe_outcome();
    int r, w;

    if (!probe(g_at, 0))
        return false;
    r = o->read_open < 0 ? o->read_open : o->read;
    w = o->write_open < 0 ? o->write_open : o->write;
    return expect_code("reader", r, &o->read_err, allowed) &&
           expect_code("writer", w, &o->write_err, allowed) &&
           expect_image(want);
}

/* ----------------------------------------------------------------- state --- */

/* Damage that a reader must refuse and a writer mends. */
static bool meet_and_mend(void)
{
    outcome *o = probe_outcome();

    if (!meet(&g_old, refusals))
        return false;
    if (o->read_open != AZR_ECORRUPT || o->read_err.sub != AZR_SUB_STATE)
        return complain("a reader got %s (%d)", azr_status_name(o->read_open),
                        o->read_err.sub);
    if (o->write != AZR_OK)
        return complain("not mended: %s", o->write_err.message);
    return meet(&g_old, refusals) || true;
}

static bool state_truncated(void)
{
    uint64_t end = AZRI_ROWS_AT + AZRI_ROWS_AT_FIRST * AZRI_ROW_NBYTES;
    bool ok = begin_sound();

    for (uint64_t n = 0; ok && n < end; n += n < 256 ? 1 : 64) {
        fresh();
        file_truncate(g_at, ".azr/state", n);
        ok = meet_and_mend() || tell("truncated at", n);
    }
    return ok;
}

static bool header_flipped(void)
{
    bool ok = begin_sound();

    for (uint64_t n = 0; ok && n < sizeof(azri_header); n++) {
        uint8_t byte;

        fresh();
        bytes_get(g_at, ".azr/state", &byte, 1, n);
        byte ^= (uint8_t)(1u << n % 8);
        bytes_put(g_at, ".azr/state", &byte, 1, n);
        ok = meet_and_mend() || tell("flipped byte", n);
    }
    return ok;
}

/* Header i says something that this library does not know, with a good crc. */
static bool change_header(unsigned i, azri_header *h)
{
    switch (i) {
    case 0:
        h->layout = 2;
        return true;
    case 1:
        h->byte_order = 0x04030201;
        return true;
    case 2:
        h->incompatible = 1;
        return true;
    case 3:
        h->counters = 512;
        return true;
    case 4:
        h->words = UINT32_MAX;
        return true;
    case 5:
        h->row_nbytes = 0;
        return true;
    case 6:
        h->entry_nbytes = 0;
        return true;
    case 7:
        h->rank = 255;
        return true;
    case 8:
        h->rank = 2;
        h->entry_nbytes += 8;
        h->bits[1] = 0;
        return true;
    case 9:
        h->bits[0] = 61;
        return true;
    case 10:
        h->bits[0] = 0;
        return true;
    case 11:
        h->zarr_format = 7;
        return true;
    case 12:
        h->key_encoding = '/';
        return true;
    case 13:
        h->separator = 0;
        return true;
    case 14: /* of another array */
        h->zarr_format = 2;
        return true;
    default:
        return false;
    }
}

static bool header_strange(void)
{
    bool ok = begin_sound();
    azri_header h;

    for (unsigned i = 0; ok; i++) {
        outcome *o = probe_outcome();

        fresh();
        header_get(g_at, &h);
        if (!change_header(i, &h))
            break;
        header_put(g_at, &h);
        ok = meet(&g_old, refusals);
        if (ok && (o->read_open == AZR_OK || o->write_open == AZR_OK))
            ok = complain("accepted");
        ok = ok || tell("header", i);
    }
    return ok;
}

/* What a newer library adds may be read through, not written. */
static bool header_reader_compatible(void)
{
    outcome *o = probe_outcome();
    azri_header h;

    if (!begin_sound())
        return false;
    fresh();
    header_get(g_at, &h);
    h.reader_compatible = 1;
    header_put(g_at, &h);
    if (!meet(&g_old, refusals))
        return false;
    if (o->write_open != AZR_EUNSUPPORTED)
        return complain("a writer got %s", azr_status_name(o->write_open));
    return true;
}

static bool rows_absurd(void)
{
    static const uint64_t counts[] = {0, 17, 1024, 1025, UINT64_MAX};
    bool ok = begin_sound();

    for (size_t i = 0; ok && i < sizeof counts / sizeof counts[0]; i++) {
        fresh();
        bytes_put(g_at, ".azr/state", &counts[i], 8, AZRI_CHANGING_AT);
        ok = meet(&g_old, refusals) &&
             (probe_outcome()->read_open == AZR_ECORRUPT ||
              complain("accepted"));
        ok = ok || tell("rows", counts[i]);
    }
    return ok;
}

static uint64_t g_seed;

static uint64_t next_random(void)
{
    g_seed += UINT64_C(0x9E3779B97F4A7C15);
    return azri_splitmix64(g_seed);
}

static void fill_random(void *p, size_t n)
{
    uint8_t *b = p;

    for (size_t i = 0; i < n; i++)
        b[i] = (uint8_t)next_random();
}

/* A row of noise; half of them with a checksum that is right and small numbers, so
 * that what stands behind the checksum is tried as well. */
static void put_random_row(uint32_t i)
{
    uint64_t word = azri_word(next_random() >> 8, (uint32_t)next_random() % 6);
    azri_row row;

    fill_random(&row, sizeof row);
    row.what.id = azri_word_id(word);
    if (next_random() % 2) {
        row.what.count = (uint32_t)next_random() % 12;
        row.what.entries_nbytes = row.what.count * 24;
        row.what.flags &= 0x13;
        for (size_t k = 0; k < sizeof row.what.entries; k += 8)
            row.what.entries[k] %= 4;
    }
    row_put(g_at, i, &row, word);
    if (next_random() % 3 == 0) {
        row.what.crc ^= 1;
        bytes_put(g_at, ".azr/state", &row, sizeof row,
                  AZRI_ROWS_AT + (uint64_t)AZRI_ROW_NBYTES * i);
    }
}

static bool rows_random(void)
{
    bool ok = begin_sound();

    for (uint64_t seed = 1; ok && seed <= 300; seed++) {
        fresh();
        g_seed = seed;
        for (uint32_t i = 0; i < 4; i++)
            put_random_row((uint32_t)next_random() % AZRI_ROWS_AT_FIRST);
        /* rows that are sound are finished before a bad one is met */
        ok = probe_free(g_at, 0) &&
             expect_code("reader", probe_outcome()->read,
                         &probe_outcome()->read_err, any_refusal) &&
             expect_code("writer", probe_outcome()->write,
                         &probe_outcome()->write_err, any_refusal);
        ok = ok || tell("seed", seed);
    }
    return ok;
}

static void in_hand(char out[512], const char *name)
{
    (void)snprintf(out, 512, "%s/%s", g_at, name);
}

/* Something else stands where a file should be. */
static bool put_thing(const char *name, unsigned what)
{
    char path[512], other[512];

    in_hand(path, name);
    in_hand(other, ".azr/other");
    if (what != 4 && unlink(path) != 0)
        return false;
    switch (what) {
    case 0:
        return mkdir(path, 0777) == 0;
    case 1:
        return symlink("/etc/passwd", path) == 0;
    case 2:
        return mkfifo(path, 0666) == 0;
    case 3: /* empty */
        return close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666)) == 0;
    case 4: /* a second link */
        return link(path, other) == 0;
    default: /* a link to nowhere */
        return symlink("nowhere", path) == 0;
    }
}

static bool state_things(void)
{
    bool ok = begin_sound();

    for (unsigned what = 0; ok && what < 6; what++) {
        outcome *o = probe_outcome();

        fresh();
        ok = put_thing(".azr/state", what) && meet(&g_old, any_refusal);
        if (ok && what != 3 && o->write_open == AZR_OK)
            ok = complain("a writer accepted it");
        if (ok && what != 3 && what != 4 && o->read_open == AZR_OK)
            ok = complain("a reader accepted it");
        ok = ok || tell("thing", what);
    }
    return ok;
}

static bool state_fifo_read_only(void)
{
    if (!begin_sound())
        return false;
    fresh();
    return put_thing(".azr/state", 2) && probe(g_at, 65534) &&
           (probe_outcome()->read_open < 0 || complain("accepted"));
}

/* --------------------------------------------------------------- records --- */

static char g_record[300]; /* its name below the array */
static azri_row g_row;
static uint64_t g_word;
static uint32_t g_index;

static bool begin_record(void)
{
    if (!begin_committed(OP_RECORD))
        return false;
    g_index = row_find(g_from, &g_row, &g_word);
    (void)snprintf(g_record, sizeof g_record, ".azr/tx/%014" PRIx64 ".r",
                   azri_word_id(g_word));
    return true;
}

/* A committed row whose record is damaged: everybody says so and stops. */
static bool meet_and_stop(void)
{
    outcome *o = probe_outcome();
    int r;

    if (!meet(&g_new, refusals))
        return false;
    r = o->read_open < 0 ? o->read_open : o->read;
    if (r != AZR_ECORRUPT || o->write_open != AZR_ECORRUPT)
        return complain("reader %s, writer %s", azr_status_name(r),
                        azr_status_name(o->write_open));
    return true;
}

static bool record_truncated(void)
{
    bool ok = begin_record();

    for (uint64_t n = 0; ok && n < g_row.what.record_nbytes;
         n += n < 64 ? 1 : 48) {
        fresh();
        file_truncate(g_at, g_record, n);
        ok = meet_and_stop() || tell("truncated at", n);
    }
    return ok;
}

static bool record_flipped(void)
{
    bool ok = begin_record();

    for (uint64_t n = 0; ok && n < g_row.what.record_nbytes; n += 7) {
        uint8_t byte;

        fresh();
        bytes_get(g_at, g_record, &byte, 1, n);
        byte ^= 0x10;
        bytes_put(g_at, g_record, &byte, 1, n);
        ok = meet_and_stop() || tell("flipped byte", n);
    }
    return ok;
}

/* Write the record again, with checksums that are right. */
static void put_record(uint8_t *bytes, size_t n, uint64_t count)
{
    azri_row row = g_row;

    file_truncate(g_at, g_record, 0);
    bytes_put(g_at, g_record, bytes, n, 0);
    row.what.record_nbytes = n;
    row.what.record_crc = azri_crc32c(0, bytes, n);
    row.what.count = (uint32_t)count;
    row_put(g_at, g_index, &row, g_word);
}

#define ENTRY_NBYTES 24

/* Offset of entry i. */
static size_t entry_at(size_t i)
{
    return sizeof(azri_record_head) + i * ENTRY_NBYTES;
}

static bool change_record(unsigned i, uint8_t *b)
{
    uint64_t huge = UINT64_C(1) << 63;

    switch (i) {
    case 0: /* magic */
        b[0] ^= 1;
        return true;
    case 1: /* id */
        b[8] ^= 1;
        return true;
    case 2: /* of another array */
        b[offsetof(azri_record_head, array_id)] ^= 1;
        return true;
    case 3:
        b[offsetof(azri_record_head, count)] ^= 1;
        return true;
    case 4:
        b[offsetof(azri_record_head, entry_nbytes)] ^= 8;
        return true;
    case 5: /* several arrays: not in this release */
        b[offsetof(azri_record_head, others)] = 1;
        return true;
    case 6: /* unknown kind */
        b[entry_at(3)] = 9;
        return true;
    case 7: /* unknown flag */
        b[entry_at(3) + 1] = 0x80;
        return true;
    case 8: /* beyond 2^63 */
        memcpy(b + entry_at(39) + 16, &huge, 8);
        return true;
    case 9: /* twice */
        memcpy(b + entry_at(5), b + entry_at(4), ENTRY_NBYTES);
        return true;
    case 10: /* out of order */
        memcpy(b + entry_at(5) + 16, b + entry_at(9) + 16, 8);
        return true;
    case 11: /* the metadata document, to be deleted */
        b[entry_at(39)] = AZRI_ENTRY_V3;
        b[entry_at(39) + 1] = AZRI_ENTRY_DELETED;
        return true;
    default:
        return false;
    }
}

static bool record_strange(void)
{
    static uint8_t bytes[4096];
    bool ok = begin_record();
    size_t n = (size_t)g_row.what.record_nbytes;

    for (unsigned i = 0; ok; i++) {
        fresh();
        bytes_get(g_at, g_record, bytes, n, 0);
        if (!change_record(i, bytes))
            break;
        put_record(bytes, n, 40);
        ok = meet_and_stop() || tell("record", i);
    }
    return ok;
}

/* 10^6 objects that nobody staged. */
static bool record_huge(void)
{
    uint64_t count = 1000000;
    size_t n = entry_at((size_t)count);
    uint8_t *bytes = calloc(1, n);
    bool ok = bytes && begin_record();

    if (ok) {
        fresh();
        bytes_get(g_at, g_record, bytes, sizeof(azri_record_head), 0);
        memcpy(bytes + offsetof(azri_record_head, count), &count, 8);
        for (uint64_t i = 0; i < count; i++)
            memcpy(bytes + entry_at((size_t)i) + 16, &i, 8);
        put_record(bytes, n, count);
        ok = probe(g_at, 0) && (probe_outcome()->write_open == AZR_ECORRUPT ||
                                complain("a writer accepted it"));
    }
    free(bytes);
    return ok;
}

/* A length that is only a claim is no reason to allocate it. */
static bool record_sparse(void)
{
    azri_row row;

    if (!begin_record())
        return false;
    fresh();
    row = g_row;
    row.what.record_nbytes = UINT64_C(1) << 31;
    row_put(g_at, g_index, &row, g_word);
    file_truncate(g_at, g_record, UINT64_C(1) << 31);
    return meet_and_stop();
}

static bool record_things(void)
{
    bool ok = begin_record();

    for (unsigned what = 0; ok && what < 4; what++) {
        fresh();
        ok = put_thing(g_record, what) && meet(&g_new, any_refusal);
        if (ok && probe_outcome()->write_open == AZR_OK)
            ok = complain("accepted");
        ok = ok || tell("thing", what);
    }
    return ok;
}

/* The record is gone and the row stands: it had been finished. A handle that was
 * open before must not go round in circles, nor a reader. */
static bool be_long_open(void *arg)
{
    azr_array *a = NULL;
    char path[512];
    bool ok;

    (void)arg;
    in_hand(path, g_record);
    ok = scene_open(&a, g_at, AZR_OPEN_WRITE | AZR_OPEN_NO_RECOVERY) &&
         (unlink(path) == 0 || complain("unlink")) &&
         scene_write(a, 1, 2, 8000) && scene_write(a, 15, 16, 8000);
    azr_array_close(a);
    return ok;
}

static bool record_gone(void)
{
    char path[512];
    image i;

    if (!begin_record())
        return false;
    fresh();
    if (!child_run("long open writer", be_long_open, NULL))
        return false;
    fresh();
    in_hand(path, g_record);
    if (unlink(path) != 0)
        return complain("unlink");
    i = g_old; /* nothing had been renamed, so this is what stands there */
    return probe(g_at, 65534) && expect_image(&i) &&
           (probe_outcome()->read == AZR_OK ||
            complain("reader: %s", probe_outcome()->read_err.message));
}

/* Torn by a power loss before it was sealed: never committed, for readers too. */
static bool sealed_torn(void)
{
    azri_row row;

    if (!begin_record())
        return false;
    fresh();
    row = g_row;
    memset(row.who.boot, 0x55, sizeof row.who.boot);
    row_put(g_at, g_index, &row, azri_word(azri_word_id(g_word), AZRI_SEALED));
    row.what.crc ^= 1;
    bytes_put(g_at, ".azr/state", &row, sizeof row,
              AZRI_ROWS_AT + (uint64_t)AZRI_ROW_NBYTES * g_index);
    return meet(&g_old, refusals) &&
           (probe_outcome()->read == AZR_OK ||
            complain("reader: %s", probe_outcome()->read_err.message)) &&
           (probe_outcome()->write == AZR_OK ||
            complain("writer: %s", probe_outcome()->write_err.message));
}

/* ---------------------------------------------------------------- rubbish --- */

/* 40,000 left-overs: an open is not quadratic in them. */
static bool rubbish_much(void)
{
    char name[512];
    bool ok = begin_sound();

    if (!ok)
        return false;
    fresh();
    for (uint64_t i = 0; ok && i < 40000; i++) {
        int fd;

        (void)snprintf(name, sizeof name, "%s/.azr/tx/%014" PRIx64 ".0", g_at,
                       azri_splitmix64(i) >> 8);
        fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        ok = fd >= 0 && close(fd) == 0;
    }
    return ok && probe(g_at, 0) &&
           (probe_outcome()->write == AZR_OK || complain("not written")) &&
           scene_is_clean(g_at);
}

/* ---------------------------------------------------------------- chunks --- */

static bool chunk_sizes(void)
{
    static const uint64_t sizes[] = {0, 1, 15, 17, 4096, UINT64_C(1) << 40};
    bool ok = begin_sound();

    for (size_t i = 0; ok && i < sizeof sizes / sizeof sizes[0]; i++) {
        outcome *o = probe_outcome();

        fresh();
        file_truncate(g_at, "c/0", sizes[i]);
        ok = meet(&g_old, refusals);
        if (ok && (o->read != AZR_ECORRUPT || o->write != AZR_ECORRUPT ||
                   !strstr(o->read_err.message, "c/0")))
            ok = complain("reader %s, writer %s: %s", azr_status_name(o->read),
                          azr_status_name(o->write), o->read_err.message);
        ok = ok || tell("bytes", sizes[i]);
    }
    return ok;
}

static bool chunk_things(void)
{
    bool ok = begin_sound();

    for (unsigned what = 0; ok && what < 3; what++) {
        outcome *o = probe_outcome();

        fresh();
        ok = put_thing("c/0", what) && meet(&g_old, any_refusal);
        if (ok && (o->read == AZR_OK || o->write == AZR_OK))
            ok = complain("accepted");
        ok = ok || tell("thing", what);
    }
    return ok;
}

/* A chunk that is a link, replaced as a whole: a file with the directory's rights,
 * not with those of a link. */
static bool be_whole_writer(void *arg)
{
    azr_array *a = NULL;
    bool ok;

    (void)arg;
    ok = scene_open(&a, g_at, AZR_OPEN_WRITE) && scene_write(a, 0, 4, 50);
    azr_array_close(a);
    return ok;
}

static bool chunk_link_mode(void)
{
    char path[512];
    struct stat st;

    if (!begin_sound())
        return false;
    fresh();
    in_hand(path, "c/0");
    if (!put_thing("c/0", 5) || !child_run("writer", be_whole_writer, NULL))
        return false;
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return complain("not a file");
    return (st.st_mode & S_IWOTH) == 0 ||
           complain("mode %o", (unsigned)st.st_mode);
}

/* ------------------------------------------------------------- snapshots --- */

static char g_outside[200];

/* Things below `.azr/snap` that nobody of us made, some by names that we give. */
static bool put_snaps(int n)
{
    static const char id[] = "0123456789abcdef0123456789abcdef";
    char snap[256], thing[400], below[500];

    (void)snprintf(snap, sizeof snap, "%s/.azr/snap", g_at);
    (void)snprintf(thing, sizeof thing, "%s/%s", snap, id);
    (void)snprintf(below, sizeof below, "%s/link", thing);
    switch (n) {
    case 0: /* `snap` leads out */
        return symlink(g_outside, snap) == 0;
    case 1: /* `snap` is a file */
        return mknod(snap, S_IFREG | 0644, 0) == 0;
    default:
        break;
    }
    if (mkdir(snap, 0777) != 0)
        return false;
    switch (n) {
    case 2: /* a snapshot leads out */
        return symlink(g_outside, thing) == 0;
    case 3: /* … by what is in it */
        return mkdir(thing, 0777) == 0 && symlink(g_outside, below) == 0;
    case 4:
        return mkfifo(thing, 0666) == 0;
    case 5: /* who made it is a FIFO */
        (void)snprintf(below, sizeof below, "%s/.azr-owner", thing);
        return mkdir(thing, 0777) == 0 && mkfifo(below, 0666) == 0;
    case 6: /* deeper than any key */
        for (int depth = 0; depth < 80; depth++) {
            size_t at = strlen(thing);

            if (mkdir(thing, 0777) != 0)
                return false;
            (void)snprintf(thing + at, sizeof thing - at, "/d");
        }
        return true;
    default: /* names that are not ours */
        (void)snprintf(thing, sizeof thing, "%s/mine", snap);
        (void)snprintf(below, sizeof below, "%s/%s.old", snap, id);
        return mkdir(thing, 0777) == 0 && mkdir(below, 0777) == 0;
    }
}

#define SNAP_THINGS 8

static int see_snapshot(const azr_snapshot_info *info, void *arg)
{
    *(uint64_t *)arg += info->objects;
    return 0;
}

/* All of it works on beside them. */
static bool be_snapper(void *arg)
{
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    azr_snapshot *s = NULL;
    azr_array *a = NULL;
    uint64_t objects = 0;
    int32_t v[SCENE_LENGTH];
    int rc;

    if (!scene_open(&a, g_at, AZR_OPEN_WRITE) || !scene_write(a, 0, 4, 50))
        return false;
    rc = azr_array_snapshots(a, see_snapshot, &objects, &err);
    if (rc < 0 && *(const int *)arg > 1)
        return complain("list: %s", err.message);
    rc = azr_snapshot_take(&s, &a, 1, NULL, &err);
    if (rc == AZR_OK)
        rc = azr_array_read(azr_snapshot_array(s, 0), &all, v, sizeof v, &err);
    if (rc == AZR_OK && v[0] != 50)
        return complain("the snapshot has %d", (int)v[0]);
    azr_snapshot_close(s);
    azr_array_close(a);
    /* where there can be no `snap`, that is said */
    if (*(const int *)arg <= 1)
        return rc < 0 || complain("a snapshot was taken through a link");
    return rc == AZR_OK || complain("%s", err.message);
}

static bool exists_below(const char *dir, const char *name)
{
    struct stat st;
    char path[600];

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return lstat(path, &st) == 0;
}

static bool snap_things(void)
{
    char kept[400], snap[256];

    if (!begin_sound())
        return false;
    (void)snprintf(g_outside, sizeof g_outside, "%s/outside", scene_root(true));
    (void)snprintf(kept, sizeof kept, "%s/0123456789abcdef0123456789abcdef",
                   g_outside);
    for (int n = 0; n < SNAP_THINGS; n++) {
        fresh();
        tree_remove(g_outside);
        if (mkdir(g_outside, 0777) != 0 || mkdir(kept, 0777) != 0)
            return complain("mkdir");
        (void)snprintf(snap, sizeof snap, "%s/.azr/snap", g_at);
        if (!put_snaps(n))
            return complain("no scene %d", n);
        if (!child_run("snapper", be_snapper, &n))
            return tell("thing", (uint64_t)n);
        if (!exists_below(kept, "."))
            return complain("thing %d: something outside was removed", n);
        if (n == 7 && !exists_below(snap, "mine"))
            return complain("what is not ours was removed");
        if ((n == 3 || n == 5) &&
            exists_below(snap, "0123456789abcdef0123456789abcdef"))
            return complain("thing %d: rubbish was left", n);
    }
    tree_remove(g_outside);
    return true;
}

int main(int argc, char **argv)
{
    static const test tests[] = {
        {"state-truncated", state_truncated, false},
        {"header-flipped", header_flipped, false},
        {"header-strange", header_strange, false},
        {"header-reader-compatible", header_reader_compatible, false},
        {"rows-absurd", rows_absurd, false},
        {"rows-random", rows_random, false},
        {"state-things", state_things, false},
        {"state-fifo-read-only", state_fifo_read_only, true},
        {"record-truncated", record_truncated, false},
        {"record-flipped", record_flipped, false},
        {"record-strange", record_strange, false},
        {"record-huge", record_huge, false},
        {"record-sparse", record_sparse, false},
        {"record-things", record_things, false},
        {"record-gone", record_gone, true},
        {"sealed-torn", sealed_torn, false},
        {"rubbish-much", rubbish_much, false},
        {"chunk-sizes", chunk_sizes, false},
        {"chunk-things", chunk_things, false},
        {"chunk-link-mode", chunk_link_mode, false},
        {"snap-things", snap_things, false},
    };

    return run_tests(tests, sizeof tests / sizeof tests[0], argc, argv);
}
