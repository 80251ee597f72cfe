/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile `.azr/state`, with rows, a record and staged objects. The input is
 *
 *   byte 0   flags: IN_…                    byte 1   rows: 1 to 8
 *   [256]    header                         [320]    what changes
 *   rows × (1 byte index, 8 bytes word, 512 bytes row)
 *   the rest: a record
 *
 * laid over a sound `state`. The mutator mends checksums, ids and lengths, so
 * that what stands behind them is reached. The array is opened to read, then to
 * write (and so recovered), read, written, verified: sound answers or documented
 * errors, no memory without bound, no descriptor left, nothing beside the array
 * touched; and what was recovered once opens again without a row to finish.
 */
#include "base/hash.h"
#include "scratch.h"
#include "txn/txn_local.h"

#include <stddef.h>

#define IN_V2       1u
#define IN_POWER    2u
#define IN_HEADER   4u /* the input has a header */
#define IN_CHANGING 8u
#define IN_UNSTAGED 16u /* no staged objects */
#define IN_CUT      32u /* `state` is cut to the record's length × 64 bytes */

#define HEAP_NBYTES   ((uint64_t)8 << 20)
#define STATE_NBYTES  (AZRI_ROWS_AT + AZRI_ROWS_AT_FIRST * AZRI_ROW_NBYTES)
#define ROW_IN_NBYTES (1 + sizeof(uint64_t) + sizeof(azri_row))
#define STAGED_MAX    64u
#define LENGTH        16
#define CHUNK         4
#define CHUNK_NBYTES  (CHUNK * sizeof(int32_t))
#define PATTERN       0x11

typedef struct sound {
    uint8_t state[STATE_NBYTES];
    azri_header header;
    char document[4096];
    size_t document_nbytes;
    const char *document_name, *chunk_name;
} sound;

typedef struct input {
    unsigned flags;
    size_t rows;
    uint8_t *header, *changing, *row, *record; /* NULL: not there */
    size_t record_nbytes;
} input;

static sound g_sound[4]; /* by IN_V2 | IN_POWER */
static char g_array[SCRATCH_PATH];

static bool take(uint8_t **out, size_t want, uint8_t **at, size_t *left)
{
    if (*left < want)
        return false;
    *out = *at;
    *at += want;
    *left -= want;
    return true;
}

static bool split(input *in, uint8_t *data, size_t nbytes)
{
    memset(in, 0, sizeof *in);
    if (nbytes < 2)
        return false;
    in->flags = data[0];
    in->rows = 1 + data[1] % AZRI_ROWS_AT_FIRST;
    data += 2;
    nbytes -= 2;
    if ((in->flags & IN_HEADER) &&
        !take(&in->header, sizeof(azri_header), &data, &nbytes))
        return false;
    if ((in->flags & IN_CHANGING) &&
        !take(&in->changing, sizeof(azri_changing), &data, &nbytes))
        return false;
    if (in->rows > nbytes / ROW_IN_NBYTES)
        in->rows = nbytes / ROW_IN_NBYTES;
    if (!take(&in->row, in->rows * ROW_IN_NBYTES, &data, &nbytes))
        return false;
    in->record = data;
    in->record_nbytes = nbytes;
    return true;
}

static const sound *sound_of(const input *in)
{
    return &g_sound[in->flags & (IN_V2 | IN_POWER)];
}

/* ----------------------------------------------------------- the mutator --- */

static uint32_t staged_crc(const sound *s, unsigned kind, size_t nbytes)
{
    uint8_t chunk[STAGED_MAX];

    if (kind != AZRI_ENTRY_CHUNK)
        return azri_crc32c(0, s->document, s->document_nbytes);
    memset(chunk, PATTERN, sizeof chunk);
    return azri_crc32c(0, chunk, nbytes);
}

/* Entries say what write_staged will write. */
static void mend_entries(const input *in, uint8_t *list, size_t nbytes,
                         uint64_t count)
{
    const sound *s = sound_of(in);
    size_t step = s->header.entry_nbytes;

    for (uint64_t i = 0; i < count && (i + 1) * step <= nbytes; i++) {
        azri_entry_head e;

        memcpy(&e, list + i * step, sizeof e);
        if (e.kind == AZRI_ENTRY_CHUNK)
            e.nbytes = e.nbytes % 8 ? CHUNK_NBYTES : e.nbytes % STAGED_MAX;
        else
            e.nbytes = s->document_nbytes;
        if (e.flags & AZRI_ENTRY_DELETED)
            e.nbytes = 0;
        e.crc = (in->flags & IN_POWER) && !(e.flags & AZRI_ENTRY_DELETED)
                    ? staged_crc(s, e.kind, (size_t)e.nbytes)
                    : 0;
        memcpy(list + i * step, &e, sizeof e);
    }
}

static void mend_record(const input *in, azri_what *what)
{
    const sound *s = sound_of(in);
    azri_record_head h;

    if (in->record_nbytes < sizeof h)
        return;
    memcpy(&h, in->record, sizeof h);
    memcpy(h.magic, AZRI_RECORD_MAGIC, 8);
    h.id = what->id;
    memcpy(h.array_id, s->header.array_id, sizeof h.array_id);
    h.count = (in->record_nbytes - sizeof h) / s->header.entry_nbytes;
    if (what->flags & (AZRI_WHAT_HOME | AZRI_WHAT_HAS_HOME)) {
        h.count = h.count > 2 ? 2 : 0;
        h.others = h.others % 4 ? 1 : h.others % 8;
    } else {
        h.others = 0;
    }
    h.entry_nbytes = s->header.entry_nbytes;
    h.flags = what->flags & ~AZRI_WHAT_RECORD;
    memcpy(in->record, &h, sizeof h);
    mend_entries(in, in->record + sizeof h, in->record_nbytes - sizeof h,
                 h.count);
    what->count = (uint32_t)h.count;
    what->record_nbytes = in->record_nbytes;
    what->record_crc = azri_crc32c(0, in->record, in->record_nbytes);
}

static void mend_row(const input *in, uint8_t *p, unsigned what_for)
{
    uint64_t word;
    azri_row row;

    memcpy(&word, p + 1, sizeof word);
    memcpy(&row, p + 9, sizeof row);
    if (what_for & 1) {
        word = azri_word(azri_word_id(word) | 1,
                         azri_word_state(word) % (AZRI_COMMITTED + 1));
        row.who.id = row.what.id = azri_word_id(word);
    }
    if (what_for & 2)
        row.what.flags &= 63u;
    if (what_for & 4) {
        row.what.count %= 11;
        row.what.entries_nbytes =
            row.what.count * sound_of(in)->header.entry_nbytes;
        mend_entries(in, row.what.entries, sizeof row.what.entries,
                     row.what.count);
    }
    if ((what_for & 8) && (row.what.flags & AZRI_WHAT_RECORD))
        mend_record(in, &row.what);
    row.who.crc = azri_crc32c(0, &row.who, offsetof(azri_who, crc));
    row.what.crc = azri_crc32c(0, &row.what, offsetof(azri_what, crc));
    memcpy(p + 1, &word, sizeof word);
    memcpy(p + 9, &row, sizeof row);
}

static void mend(uint8_t *data, size_t nbytes, unsigned seed)
{
    unsigned what_for = seed % 5 == 0 ? seed >> 8 : 15u;
    input in;

    if (!split(&in, data, nbytes))
        return;
    if (in.header) {
        azri_header h;

        memcpy(&h, in.header, sizeof h);
        memcpy(h.magic, AZRI_STATE_MAGIC, 8);
        h.crc = azri_crc32c(0, &h, offsetof(azri_header, crc));
        memcpy(in.header, &h, sizeof h);
    }
    for (size_t i = 0; i < in.rows; i++)
        mend_row(&in, in.row + i * ROW_IN_NBYTES, what_for);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t nbytes, size_t max_nbytes,
                               unsigned seed)
{
    nbytes = LLVMFuzzerMutate(data, nbytes, max_nbytes);
    if (seed % 16 != 0)
        mend(data, nbytes, seed >> 4);
    return nbytes;
}

/* ------------------------------------------------------- the sound array --- */

static void make_sound(unsigned flags)
{
    sound *s = &g_sound[flags];
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    char path[SCRATCH_PATH + 32];

    scratch_remove(g_array);
    spec.zarr_format = flags & IN_V2 ? 2 : 3;
    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = LENGTH;
    spec.chunks[0] = CHUNK;
    spec.codecs = "none";
    spec.durability =
        flags & IN_POWER ? AZR_DURABILITY_POWER : AZR_DURABILITY_PROCESS;
    require(azr_array_create(&a, g_array, &spec, NULL, &err) == AZR_OK);
    azr_array_close(a);
    s->document_name = flags & IN_V2 ? ".zarray" : "zarr.json";
    s->chunk_name = flags & IN_V2 ? "" : "c/";
    (void)snprintf(path, sizeof path, "%s/%s", g_array, s->document_name);
    s->document_nbytes = scratch_read(path, s->document, sizeof s->document);
    (void)snprintf(path, sizeof path, "%s/.azr/state", g_array);
    require(scratch_read(path, s->state, STATE_NBYTES) == STATE_NBYTES);
    memcpy(&s->header, s->state, sizeof s->header);
    /* an input that was found must be the same another time */
    memset(s->header.array_id, 'i', sizeof s->header.array_id);
    s->header.crc = azri_crc32c(0, &s->header, offsetof(azri_header, crc));
    memcpy(s->state, &s->header, sizeof s->header);
}

static void begin(void)
{
    char path[SCRATCH_PATH];

    scratch_begin();
    (void)snprintf(g_array, sizeof g_array, "%s/array", g_scratch);
    for (unsigned i = 0; i < 4; i++)
        make_sound(i);
    scratch_remove(g_array);
    (void)snprintf(path, sizeof path, "%s/beside", g_scratch);
    scratch_write(path, "beside", 6);
    azr_set_threads(1);
    azr_set_memory_cap(HEAP_NBYTES);
}

/* ------------------------------------------------------ the array in hand --- */

static void below(char path[SCRATCH_PATH + 64], const char *name)
{
    (void)snprintf(path, SCRATCH_PATH + 64, "%s/%s", g_array, name);
}

static void write_staged(const input *in, uint32_t row, const azri_what *what)
{
    const sound *s = sound_of(in);
    bool record = (what->flags & AZRI_WHAT_RECORD) != 0;
    const uint8_t *list = what->entries;
    size_t room = sizeof what->entries, step = s->header.entry_nbytes;
    char name[AZRI_STAGED_NAME_MAX + 16], path[SCRATCH_PATH + 64];
    uint8_t chunk[STAGED_MAX];

    memset(chunk, PATTERN, sizeof chunk);
    if (record && in->record_nbytes >= sizeof(azri_record_head)) {
        list = in->record + sizeof(azri_record_head);
        room = in->record_nbytes - sizeof(azri_record_head);
    }
    for (uint64_t i = 0; i < what->count && i < 8; i++) {
        azri_entry_head e;

        if ((i + 1) * step > room)
            break;
        memcpy(&e, list + i * step, sizeof e);
        (void)snprintf(name, sizeof name, ".azr/tx/");
        azri_staged_name(name + 8, row, what->id, i);
        below(path, name);
        if (e.flags & AZRI_ENTRY_DELETED)
            continue;
        if (e.kind == AZRI_ENTRY_CHUNK)
            scratch_write(path, chunk, e.nbytes % (STAGED_MAX + 1));
        else
            scratch_write(path, s->document, s->document_nbytes);
    }
    if (record) {
        (void)snprintf(name, sizeof name, ".azr/tx/");
        azri_record_name(name + 8, row, what->id);
        below(path, name);
        scratch_write(path, in->record, in->record_nbytes);
    }
}

/* Of each row that has one; who signs a row makes its lane. */
static void make_lane(uint32_t row)
{
    char name[32], path[SCRATCH_PATH + 64];

    if (row == 0)
        return;
    (void)snprintf(name, sizeof name, ".azr/tx/%x", row);
    below(path, name);
    require(mkdir(path, 0755) == 0 || errno == EEXIST);
}

static void write_state(const input *in)
{
    static uint8_t image[STATE_NBYTES];
    char path[SCRATCH_PATH + 64];
    size_t nbytes = STATE_NBYTES;

    memcpy(image, sound_of(in)->state, STATE_NBYTES);
    if (in->header)
        memcpy(image, in->header, sizeof(azri_header));
    if (in->changing)
        memcpy(image + AZRI_CHANGING_AT, in->changing, sizeof(azri_changing));
    for (size_t i = 0; i < in->rows; i++) {
        const uint8_t *p = in->row + i * ROW_IN_NBYTES;
        uint32_t row = p[0] % AZRI_ROWS_AT_FIRST;
        azri_what what;

        memcpy(image + AZRI_WORDS_AT + 8 * row, p + 1, 8);
        memcpy(image + AZRI_ROWS_AT + AZRI_ROW_NBYTES * row, p + 9,
               sizeof(azri_row));
        memcpy(&what, p + 9 + offsetof(azri_row, what), sizeof what);
        what.id &= (UINT64_C(1) << 56) - 1;
        make_lane(row);
        if (!(in->flags & IN_UNSTAGED))
            write_staged(in, row, &what);
    }
    if ((in->flags & IN_CUT) && in->record_nbytes * 64 < nbytes)
        nbytes = in->record_nbytes * 64;
    below(path, ".azr/state");
    scratch_write(path, image, nbytes);
}

static void lay_out(const input *in)
{
    const sound *s = sound_of(in);
    char path[SCRATCH_PATH + 64], name[32];
    int32_t values[CHUNK] = {1, 2, 3, 4};

    scratch_remove(g_array);
    require(mkdir(g_array, 0755) == 0);
    below(path, s->document_name);
    scratch_write(path, s->document, s->document_nbytes);
    below(path, "c");
    require(s->chunk_name[0] == '\0' || mkdir(path, 0755) == 0);
    for (int i = 0; i < 3; i++) { /* the fourth one is missing */
        (void)snprintf(name, sizeof name, "%s%d", s->chunk_name, i);
        below(path, name);
        scratch_write(path, values, sizeof values);
    }
    below(path, ".azr");
    require(mkdir(path, 0755) == 0);
    below(path, ".azr/tx");
    require(mkdir(path, 0755) == 0);
    write_state(in);
}

/* ----------------------------------------------------------------- users --- */

static int g_dead; /* rows that say committed and have no owner */

static int on_row(const azr_row_info *row, void *arg)
{
    (void)arg;
    g_dead += row->state == AZR_ROW_COMMITTED && !row->alive;
    return 0;
}

static int on_finding(const azr_finding *f, void *arg)
{
    (void)arg;
    require(f->key != NULL && fuzz_is_line(f->text));
    return 0;
}

static int open_array(azr_array **out, uint32_t flags)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    int rc;

    o.flags = flags;
    o.timeout_ms = 0;
    o.threads = 1;
    *out = NULL;
    rc = fuzz_status(azr_array_open(out, g_array, &o, &err), &err);
    require(rc != AZR_ENOMEM && rc != AZR_EINVAL);
    return rc;
}

static void read_all(azr_array *a)
{
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    int32_t values[LENGTH];
    int rc = azr_array_read(a, &all, values, sizeof values, &err);

    require(fuzz_status(rc, &err) != AZR_ENOMEM);
}

static void be_reader(void)
{
    azr_array *a;

    if (open_array(&a, 0) == AZR_OK)
        read_all(a);
    azr_array_close(a);
}

/* Result: it was recovered, all of it. */
static bool be_writer(void)
{
    azr_recovery r = {.struct_size = (uint32_t)sizeof r};
    azr_selection one = AZR_BOX(1, {5}, {1});
    azr_error err = AZR_ERROR_INIT;
    int32_t value = 7;
    bool clean = false;
    azr_array *a;
    int rc;

    if (open_array(&a, AZR_OPEN_WRITE) != AZR_OK)
        return false;
    read_all(a);
    rc = azr_array_write(a, &one, &value, sizeof value, &err);
    require(fuzz_status(rc, &err) != AZR_ENOMEM);
    rc = fuzz_status(azr_array_recover(a, &r, &err), &err);
    require(rc != AZR_ENOMEM);
    clean = rc == AZR_OK;
    g_dead = 0;
    if (fuzz_status(azr_array_status(a, on_row, NULL, &err), &err) == AZR_OK &&
        clean)
        require(g_dead == 0);
    rc = azr_array_verify(a, on_finding, NULL, NULL, &err);
    require(fuzz_status(rc, &err) != AZR_ENOMEM);
    azr_array_close(a);
    return clean;
}

static void require_nothing_beside(void)
{
    char path[SCRATCH_PATH], text[8];

    require(scratch_count(g_scratch) == 2); /* array, beside */
    (void)snprintf(path, sizeof path, "%s/beside", g_scratch);
    require(scratch_read(path, text, sizeof text) == 6);
    require(memcmp(text, "beside", 6) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    uint64_t heap;
    int descriptors;
    uint8_t *copy;
    azr_array *a;
    input in;

    if (g_array[0] == '\0')
        begin();
    copy = malloc(nbytes ? nbytes : 1);
    require(copy != NULL);
    if (nbytes > 0)
        memcpy(copy, data, nbytes);
    if (split(&in, copy, nbytes)) {
        lay_out(&in);
        heap = azri_heap_nbytes();
        descriptors = scratch_descriptors();
        be_reader();
        if (be_writer()) {
            int rc = open_array(&a, AZR_OPEN_WRITE);

            if (rc != AZR_OK && rc != AZR_ECORRUPT && rc != AZR_ENOTFOUND)
                (void)fprintf(stderr, "opened again: %d\n", rc);
            require(rc == AZR_OK || rc == AZR_ECORRUPT || rc == AZR_ENOTFOUND);
            azr_array_close(a);
        }
        require(azri_heap_nbytes() == heap);
        require(scratch_descriptors() == descriptors);
        require_nothing_beside();
    }
    free(copy);
    return 0;
}
