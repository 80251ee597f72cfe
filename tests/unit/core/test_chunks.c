/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks as they are stored, in transactions; and arrays of which nothing but the
 * grid is known: what works on them, and what is refused. */
#include "small.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LENGTH 10 /* chunks of 4: two whole ones, and half of one */

static azr_error err;

typedef struct scene {
    char dir[64], path[96], file[160];
    azr_array *a, *other; /* two handles with permission to write */
    azr_txn *t;
} scene;

static azr_array *open_at(const char *path, uint32_t flags)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_array *a = NULL;

    o.flags = flags;
    o.timeout_ms = 0;
    OK(azr_array_open(&a, path, &o, &err));
    return a;
}

static void begin_txn(scene *s)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;

    o.timeout_ms = 0;
    azr_txn_free(s->t);
    s->t = NULL;
    OK(azr_txn_begin(&s->t, &o, &err));
}

static void begin_dir(scene *s)
{

    memset(s, 0, sizeof *s);
    small_dir(s->dir, "chunks");
    (void)snprintf(s->path, sizeof s->path, "%s/a", s->dir);
}

/* 0 … 9, fill -1; chunk 1 is file `c/1`. */
static void begin_known(scene *s, const char *codecs)
{
    azr_array_spec spec = small_line(3, LENGTH);
    azr_selection all = azr_select_all(1);
    int32_t v[LENGTH] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

    begin_dir(s);
    (void)snprintf(s->file, sizeof s->file, "%s/c/1", s->path);
    spec.codecs = codecs;
    spec.fill_value = "-1";
    OK(azr_array_create(&s->a, s->path, &spec, NULL, &err));
    OK(azr_array_write(s->a, &all, v, sizeof v, &err));
    azr_array_close(s->a);
    s->a = open_at(s->path, AZR_OPEN_WRITE);
    s->other = open_at(s->path, AZR_OPEN_WRITE);
    begin_txn(s);
}

static void end_scene(scene *s)
{
    azr_txn_free(s->t);
    azr_array_close(s->a);
    azr_array_close(s->other);
    small_dir_remove(s->dir);
}

static size_t load(const char *path, void *out, size_t most)
{
    FILE *f = fopen(path, "rb");
    size_t n;

    assert_non_null(f);
    n = fread(out, 1, most, f);
    (void)fclose(f);
    return n;
}

static void save(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    (void)fclose(f);
}

/* Chunk `c` is `text`, or (NULL) is not there. */
static void expect_chunk(azr_txn *t, azr_array *a, int64_t c, const char *text)
{
    void *bytes = NULL;
    size_t n = 99;

    OK(azr_txn_read_chunk(t, a, &c, &bytes, &n, &err));
    if (!text) {
        assert_null(bytes);
        assert_int_equal(n, 0);
        return;
    }
    assert_non_null(bytes);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(bytes, text, n);
    azr_free(bytes);
}

static void put_chunk(azr_txn *t, azr_array *a, int64_t c, const char *text)
{
    OK(azr_txn_write_chunk(t, a, &c, text, text ? strlen(text) : 0, &err));
}

static void expect_elements(azr_array *a, azr_txn *t, const int32_t *v, int n)
{
    azr_selection all = azr_select_all(1);
    int32_t found[2 * LENGTH] = {0};

    if (t)
        OK(azr_txn_read(t, a, &all, found, sizeof found, &err));
    else
        OK(azr_array_read(a, &all, found, sizeof found, &err));
    for (int i = 0; i < n; i++)
        assert_int_equal(found[i], v[i]);
}

/* ---------------------------------------------------------- known arrays --- */

static void test_read_known(void **state)
{
    scene s;
    uint8_t file[256];
    void *bytes = NULL;
    size_t n, stored;
    int64_t c = 1;

    (void)state;
    begin_known(&s, "zstd:1");
    stored = load(s.file, file, sizeof file);
    OK(azr_txn_read_chunk(s.t, s.a, &c, &bytes, &n, &err));
    assert_int_equal(n, stored);
    assert_memory_equal(bytes, file, n);
    azr_free(bytes);
    /* parts of it, cut to what there is */
    OK(azr_txn_read_chunk_part(s.t, s.a, &c, 2, 3, &bytes, &n, &err));
    assert_int_equal(n, 3);
    assert_memory_equal(bytes, file + 2, 3);
    azr_free(bytes);
    OK(azr_txn_read_chunk_part(s.t, s.a, &c, -3, SIZE_MAX, &bytes, &n, &err));
    assert_int_equal(n, 3);
    assert_memory_equal(bytes, file + stored - 3, 3);
    azr_free(bytes);
    OK(azr_txn_read_chunk_part(s.t, s.a, &c, INT64_MIN, 1, &bytes, &n, &err));
    assert_int_equal(n, 1);
    assert_memory_equal(bytes, file, 1);
    azr_free(bytes);
    OK(azr_txn_read_chunk_part(s.t, s.a, &c, INT64_MAX, 1, &bytes, &n, &err));
    assert_int_equal(n, 0);
    assert_non_null(bytes);
    azr_free(bytes);
    OK(azr_txn_commit(s.t, &err));
    end_scene(&s);
}

static void test_outside(void **state)
{
    int64_t bad[] = {-1, 3, INT64_MAX};
    scene s;
    void *bytes;
    size_t n;

    (void)state;
    begin_known(&s, "none");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        FAILS(azr_txn_read_chunk(s.t, s.a, &bad[i], &bytes, &n, &err),
              AZR_EINVAL);
        assert_int_equal(err.sub, AZR_SUB_RANGE);
        FAILS(azr_txn_write_chunk(s.t, s.a, &bad[i], "x", 1, &err), AZR_EINVAL);
    }
    FAILS(azr_txn_read_chunk(s.t, s.a, NULL, &bytes, &n, &err), AZR_EINVAL);
    FAILS(azr_txn_write_chunk(s.t, s.a, &bad[0], NULL, 1, &err), AZR_EINVAL);
    azr_array_close(s.other);
    s.other = open_at(s.path, 0);
    begin_txn(&s);
    bad[0] = 0;
    FAILS(azr_txn_write_chunk(s.t, s.other, bad, "x", 1, &err), AZR_EPERM);
    end_scene(&s);
}

/* What is given is what stands on the disk, and is read as elements. */
static void test_write_known(void **state)
{
    int32_t mine[4] = {40, 50, 60, 70};
    int32_t after[LENGTH] = {-1, -1, -1, -1, 40, 50, 60, 70, 8, 9};
    uint8_t file[64];
    int64_t c = 1;
    scene s;

    (void)state;
    begin_known(&s, "none");
    OK(azr_txn_write_chunk(s.t, s.a, &c, mine, sizeof mine, &err));
    put_chunk(s.t, s.a, 0, NULL);
    expect_chunk(s.t, s.a, 0, NULL);
    expect_elements(s.a, s.t, after, LENGTH);
    OK(azr_txn_commit(s.t, &err));
    expect_elements(s.other, NULL, after, LENGTH);
    assert_int_equal(load(s.file, file, sizeof file), sizeof mine);
    assert_memory_equal(file, mine, sizeof mine);
    (void)snprintf(s.file, sizeof s.file, "%s/c/0", s.path);
    assert_int_not_equal(access(s.file, F_OK), 0);
    end_scene(&s);
}

/* Elements written into a chunk that was written as it is stored, and the other way
 * round; what is read is what the commit would store. */
static void test_mixed(void **state)
{
    azr_selection two = AZR_BOX(1, {3}, {2});
    int32_t pair[2] = {33, 44}, whole[4] = {400, 500, 600, 700};
    int32_t after[LENGTH] = {-1, -1, -1, 33, 44, 500, 600, 700, 8, 9};
    int32_t at_last[LENGTH] = {-1, -1, -1, 33, 400, 500, 600, 700, 8, 9};
    int64_t c = 1;
    void *bytes;
    size_t n;
    scene s;

    (void)state;
    begin_known(&s, "none");
    put_chunk(s.t, s.a, 0, NULL);
    OK(azr_txn_write_chunk(s.t, s.a, &c, whole, sizeof whole, &err));
    OK(azr_txn_write(s.t, s.a, &two, pair, sizeof pair, &err));
    expect_elements(s.a, s.t, after, LENGTH);
    OK(azr_txn_read_chunk(s.t, s.a, &c, &bytes, &n, &err));
    assert_int_equal(n, 16);
    assert_memory_equal(bytes, after + 4, 16);
    azr_free(bytes);
    OK(azr_txn_write_chunk(s.t, s.a, &c, whole, sizeof whole, &err));
    expect_elements(s.a, s.t, at_last, LENGTH);
    OK(azr_txn_commit(s.t, &err));
    expect_elements(s.other, NULL, at_last, LENGTH);
    end_scene(&s);
}

/* A chunk that holds nothing but the fill value is none. */
static void test_read_own_empty(void **state)
{
    azr_selection first = AZR_BOX(1, {0}, {4});
    int32_t fill = -1;
    scene s;

    (void)state;
    begin_known(&s, "zstd:1");
    OK(azr_txn_fill(s.t, s.a, &first, &fill, sizeof fill, &err));
    expect_chunk(s.t, s.a, 0, NULL);
    end_scene(&s);
}

static void test_not_decodable(void **state)
{
    azr_selection all = azr_select_all(1);
    int32_t v[LENGTH];
    scene s;

    (void)state;
    begin_known(&s, "zstd:1");
    put_chunk(s.t, s.a, 1, "no zstd");
    FAILS(azr_txn_read(s.t, s.a, &all, v, sizeof v, &err), AZR_ECORRUPT);
    assert_non_null(strstr(err.message, "c/1"));
    expect_chunk(s.t, s.a, 1, "no zstd");
    OK(azr_txn_commit(s.t, &err)); /* as it was given */
    FAILS(azr_array_read(s.other, &all, v, sizeof v, &err), AZR_ECORRUPT);
    end_scene(&s);
}

/* A smaller shape cuts what was written, whichever way. */
static void test_cut(void **state)
{
    int32_t whole[4] = {400, 500, 600, 700};
    int32_t after[LENGTH] = {0, 1, 2, 3, 400, -1, -1, -1, -1, -1};
    int64_t five = 5, ten = 10, c = 1;
    scene s;

    (void)state;
    begin_known(&s, "none");
    OK(azr_txn_write_chunk(s.t, s.a, &c, whole, sizeof whole, &err));
    put_chunk(s.t, s.a, 2, "gone with the rest");
    OK(azr_txn_resize(s.t, s.a, 1, &five, &err));
    OK(azr_txn_resize(s.t, s.a, 1, &ten, &err));
    expect_chunk(s.t, s.a, 2, NULL);
    expect_elements(s.a, s.t, after, LENGTH);
    OK(azr_txn_commit(s.t, &err));
    expect_elements(s.other, NULL, after, LENGTH);
    /* and what is stored, of which nothing was read before */
    begin_txn(&s);
    five = 1;
    OK(azr_txn_resize(s.t, s.a, 1, &five, &err));
    after[0] = 0;
    after[1] = after[2] = after[3] = -1;
    c = 0;
    {
        void *bytes;
        size_t n;

        OK(azr_txn_read_chunk(s.t, s.a, &c, &bytes, &n, &err));
        assert_int_equal(n, 16);
        assert_memory_equal(bytes, after, 16);
        azr_free(bytes);
    }
    end_scene(&s);
}

static void fill_one(azr_array *a, int64_t at, int32_t value)
{
    azr_selection one = azr_select_box(1, &at, &(int64_t){1}, NULL);

    OK(azr_array_fill(a, &one, &value, sizeof value, &err));
}

static void test_conflicts(void **state)
{
    void *bytes;
    size_t n;
    int64_t c = 1;
    scene s;

    (void)state;
    begin_known(&s, "none");
    /* read, changed by another, written elsewhere */
    OK(azr_txn_read_chunk(s.t, s.a, &c, &bytes, &n, &err));
    azr_free(bytes);
    fill_one(s.other, 5, 77);
    put_chunk(s.t, s.a, 0, NULL);
    FAILS(azr_txn_commit(s.t, &err), AZR_ECONFLICT);
    /* reads alone: the second part is of another object */
    begin_txn(&s);
    OK(azr_txn_read_chunk_part(s.t, s.a, &c, 0, 4, &bytes, &n, &err));
    azr_free(bytes);
    fill_one(s.other, 5, 78);
    OK(azr_txn_read_chunk_part(s.t, s.a, &c, 4, 4, &bytes, &n, &err));
    azr_free(bytes);
    FAILS(azr_txn_commit(s.t, &err), AZR_ECONFLICT);
    /* what nobody read is nobody's conflict */
    begin_txn(&s);
    put_chunk(s.t, s.a, 0, NULL);
    fill_one(s.other, 5, 79);
    OK(azr_txn_commit(s.t, &err));
    /* a chunk that was missing has come */
    begin_txn(&s);
    expect_chunk(s.t, s.a, 0, NULL);
    fill_one(s.other, 0, 80);
    put_chunk(s.t, s.a, 1, NULL);
    FAILS(azr_txn_commit(s.t, &err), AZR_ECONFLICT);
    end_scene(&s);
}

/* A plain Zarr program replaces what was read: its work is not overwritten. */
static void test_foreign(void **state)
{
    char next[200];
    void *bytes;
    size_t n;
    scene s;

    (void)state;
    begin_known(&s, "none");
    for (int64_t c = 2; c >= 0; c--) {
        OK(azr_txn_read_chunk(s.t, s.a, &c, &bytes, &n, &err));
        azr_free(bytes);
    }
    (void)snprintf(next, sizeof next, "%s.next", s.file);
    save(next, "plain program...");
    assert_int_equal(rename(next, s.file), 0);
    put_chunk(s.t, s.a, 0, "0123456789abcdef");
    put_chunk(s.t, s.a, 1, "0123456789abcdef");
    FAILS(azr_txn_commit(s.t, &err), AZR_ECONFLICT);
    assert_int_equal(err.sub, AZR_SUB_FOREIGN);
    begin_txn(&s);
    expect_chunk(s.t, s.a, 1, "plain program...");
    end_scene(&s);
}

static int body_calls;

/* Three conflicts, then it gets through under lock. */
static int add_one(azr_txn *t, void *arg, azr_error *e)
{
    scene *s = arg;
    int64_t c = 1;
    void *bytes = NULL;
    size_t n;
    int32_t v[4];
    int rc = azr_txn_read_chunk(t, s->a, &c, &bytes, &n, e);

    if (rc < 0)
        return rc;
    memcpy(v, bytes, sizeof v);
    azr_free(bytes);
    if (++body_calls <= 3)
        fill_one(s->other, 5, 100 * body_calls);
    v[1]++;
    return azr_txn_write_chunk(t, s->a, &c, v, sizeof v, e);
}

static void test_run_again(void **state)
{
    int32_t after[LENGTH] = {0, 1, 2, 3, 4, 301, 6, 7, 8, 9};
    scene s;

    (void)state;
    begin_known(&s, "none");
    body_calls = 0;
    OK(azr_txn_run(add_one, &s, NULL, &err));
    assert_int_equal(body_calls, 4);
    expect_elements(s.other, NULL, after, LENGTH);
    end_scene(&s);
}

static void test_hostile_size(void **state)
{
    int64_t c = 1;
    void *bytes;
    size_t n;
    scene s;

    (void)state;
    begin_known(&s, "none");
    assert_int_equal(truncate(s.file, (off_t)5 << 30), 0);
    FAILS(azr_txn_read_chunk(s.t, s.a, &c, &bytes, &n, &err), AZR_EUNSUPPORTED);
    assert_int_equal(err.sub, AZR_SUB_CHUNK);
    OK(azr_txn_read_chunk_part(s.t, s.a, &c, (int64_t)5 << 30, 8, &bytes, &n,
                               &err));
    assert_int_equal(n, 0);
    azr_free(bytes);
    assert_int_equal(truncate(s.file, (off_t)1 << 30), 0);
    begin_txn(&s);
    azr_set_memory_cap(64 << 20);
    FAILS(azr_txn_read_chunk(s.t, s.a, &c, &bytes, &n, &err), AZR_ENOMEM);
    azr_set_memory_cap(0);
    FAILS(azr_txn_write_chunk(s.t, s.a, &c, "", (size_t)3 << 30, &err),
          AZR_EUNSUPPORTED);
    end_scene(&s);
}

/* --------------------------------------------------------- opaque arrays --- */

static const char sharded[] =
    "{\"zarr_format\":3,\"node_type\":\"array\",\"shape\":[10],"
    "\"data_type\":\"int32\",\"chunk_grid\":{\"name\":\"regular\","
    "\"configuration\":{\"chunk_shape\":[4]}},\"chunk_key_encoding\":{\"name\":"
    "\"default\",\"configuration\":{\"separator\":\"/\"}},\"fill_value\":0,"
    "\"codecs\":[{\"name\":\"sharding_indexed\",\"configuration\":{}}],"
    "\"attributes\":{\"old\":1}}";
static const char strings[] =
    "{\"zarr_format\":3,\"node_type\":\"array\",\"shape\":[10],"
    "\"data_type\":\"string\",\"chunk_grid\":{\"name\":\"regular\","
    "\"configuration\":{\"chunk_shape\":[4]}},\"chunk_key_encoding\":"
    "\"default\",\"fill_value\":\"\",\"codecs\":[\"vlen-utf8\",\"zstd\"]}";
static const char odd_fill[] =
    "{\"zarr_format\":3,\"node_type\":\"array\",\"shape\":[10],"
    "\"data_type\":\"int32\",\"chunk_grid\":{\"name\":\"regular\","
    "\"configuration\":{\"chunk_shape\":[4]}},\"chunk_key_encoding\":"
    "\"default\",\"fill_value\":{\"odd\":1},\"codecs\":[\"bytes\"]}";
static const char transformed[] =
    "{\"zarr_format\":3,\"node_type\":\"array\",\"shape\":[10],"
    "\"data_type\":\"int32\",\"chunk_grid\":{\"name\":\"regular\","
    "\"configuration\":{\"chunk_shape\":[4]}},\"chunk_key_encoding\":"
    "\"default\",\"fill_value\":0,\"codecs\":[{\"name\":\"bytes\","
    "\"configuration\":{\"endian\":\"little\"}}],"
    "\"storage_transformers\":[{\"name\":\"unknown\"}]}";
static const char filtered[] =
    "{\"zarr_format\":2,\"shape\":[10],\"chunks\":[4],\"dtype\":\"<i4\","
    "\"compressor\":null,\"fill_value\":0,\"order\":\"C\",\"filters\":"
    "[{\"id\":\"delta\",\"dtype\":\"<i4\"}]}";
static const char records[] =
    "{\"zarr_format\":2,\"shape\":[10],\"chunks\":[4],\"dtype\":"
    "[[\"a\",\"<i4\"],[\"b\",\"|S3\"]],\"compressor\":{\"id\":\"zlib\"},"
    "\"fill_value\":\"AAA=\",\"order\":\"C\",\"filters\":null,"
    "\"dimension_separator\":\"/\"}";

typedef struct document {
    const char *text, *word; /* in the refusal */
    int format;
    const char *keys; /* before the number */
} document;

static const document documents[] = {
    {sharded, "sharding_indexed", 3, "c/"},
    {strings, "string", 3, "c/"},
    {odd_fill, "fill value", 3, "c/"},
    {transformed, "unknown", 3, "c/"},
    {filtered, "delta", 2, ""},
    {records, "structured", 2, ""},
};

#define DOCUMENTS (sizeof documents / sizeof documents[0])

static void begin_opaque(scene *s, const document *d)
{
    char name[200];

    begin_dir(s);
    assert_int_equal(mkdir(s->path, 0777), 0);
    (void)snprintf(name, sizeof name, "%s/%s", s->path,
                   d->format == 3 ? "zarr.json" : ".zarray");
    save(name, d->text);
    s->a = open_at(s->path, AZR_OPEN_WRITE | AZR_OPEN_OPAQUE);
    s->other = open_at(s->path, AZR_OPEN_WRITE | AZR_OPEN_OPAQUE);
    begin_txn(s);
    put_chunk(s->t, s->a, 0, "first");
    put_chunk(s->t, s->a, 1, "second");
    put_chunk(s->t, s->a, 2, "");
    OK(azr_txn_commit(s->t, &err));
    begin_txn(s);
}

/* Does the chunk's file hold this? NULL: there is none. */
static void expect_file(const scene *s, const document *d, int c,
                        const char *text)
{
    char name[200], found[64];
    size_t n;

    (void)snprintf(name, sizeof name, "%s/%s%d", s->path, d->keys, c);
    if (!text) {
        assert_int_not_equal(access(name, F_OK), 0);
        return;
    }
    n = load(name, found, sizeof found);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(found, text, n);
}

static void test_opaque_chunks(void **state)
{
    (void)state;
    for (size_t i = 0; i < DOCUMENTS; i++) {
        const document *d = &documents[i];
        azr_array *reader;
        scene s;

        begin_opaque(&s, d);
        expect_file(&s, d, 0, "first");
        expect_file(&s, d, 2, "");
        expect_chunk(s.t, s.other, 1, "second");
        put_chunk(s.t, s.other, 1, NULL);
        expect_chunk(s.t, s.other, 1, NULL);
        OK(azr_txn_commit(s.t, &err));
        expect_file(&s, d, 1, NULL);
        reader = open_at(s.path, AZR_OPEN_OPAQUE);
        begin_txn(&s);
        expect_chunk(s.t, reader, 0, "first");
        expect_chunk(s.t, reader, 1, NULL);
        expect_chunk(s.t, reader, 2, "");
        OK(azr_txn_commit(s.t, &err));
        begin_txn(&s);
        azr_array_close(reader);
        end_scene(&s);
    }
}

static int keep_values(void *values, size_t nbytes, void *arg)
{
    (void)values;
    (void)nbytes;
    (void)arg;
    return 0;
}

static void check_refused(const document *d)
{
    assert_int_equal(err.code, AZR_EUNSUPPORTED);
    if (!strstr(err.message, d->word))
        fail_msg("'%s' does not name %s", err.message, d->word);
}

static void test_opaque_refused(void **state)
{
    azr_selection all = azr_select_all(1);
    azr_selection open_end = AZR_BOX(1, {0}, {AZR_TO_END});
    int32_t v[LENGTH] = {0};

    (void)state;
    for (size_t i = 0; i < DOCUMENTS; i++) {
        const document *d = &documents[i];
        azr_append_part part = AZR_APPEND_PART_INIT;
        azr_array *a = NULL;
        scene s;

        begin_opaque(&s, d);
        FAILS(azr_array_read(s.a, &all, v, sizeof v, &err), AZR_EUNSUPPORTED);
        check_refused(d);
        FAILS(azr_array_write(s.a, &all, v, sizeof v, &err), AZR_EUNSUPPORTED);
        check_refused(d);
        FAILS(azr_array_write(s.a, &open_end, v, sizeof v, &err),
              AZR_EUNSUPPORTED);
        FAILS(azr_array_fill(s.a, &all, v, 4, &err), AZR_EUNSUPPORTED);
        check_refused(d);
        FAILS(azr_array_update(s.a, &all, keep_values, NULL, &err),
              AZR_EUNSUPPORTED);
        FAILS(azr_array_append(s.a, 0, 1, v, 4, NULL, &err), AZR_EUNSUPPORTED);
        check_refused(d);
        part.array = s.a;
        part.length = 1;
        part.src = v;
        part.src_nbytes = 4;
        FAILS(azr_append_all(&part, 1, NULL, &err), AZR_EUNSUPPORTED);
        FAILS(azr_txn_read(s.t, s.a, &all, v, sizeof v, &err),
              AZR_EUNSUPPORTED);
        check_refused(d);
        FAILS(azr_txn_write(s.t, s.a, &all, v, sizeof v, &err),
              AZR_EUNSUPPORTED);
        FAILS(azr_txn_fill(s.t, s.a, &all, v, 4, &err), AZR_EUNSUPPORTED);
        FAILS(azr_txn_append(s.t, s.a, 0, 1, v, 4, NULL, &err),
              AZR_EUNSUPPORTED);
        OK(azr_txn_commit(s.t, &err)); /* none of it has harmed it */
        expect_file(&s, d, 1, "second");
        err = (azr_error)AZR_ERROR_INIT;
        assert_true(azr_array_open(&a, s.path, NULL, &err) < 0);
        assert_non_null(strstr(err.message, d->word));
        end_scene(&s);
    }
}

static int count_finding(const azr_finding *f, void *arg)
{
    (void)f;
    ++*(int *)arg;
    return 0;
}

static void test_opaque_rest(void **state)
{
    (void)state;
    for (size_t i = 0; i < DOCUMENTS; i++) {
        const document *d = &documents[i];
        azr_array_info info = {.struct_size = sizeof info};
        int64_t five = 5, two = 2, ten = 10;
        uint64_t chunks, nbytes;
        char *text = NULL;
        int found = 0;
        scene s;

        begin_opaque(&s, d);
        OK(azr_array_info_get(s.a, &info, &err));
        assert_int_equal(info.dtype, AZR_DTYPE_NONE);
        assert_int_equal(info.shape[0], 10);
        assert_int_equal(info.chunk_count, 3);
        assert_non_null(strstr(info.opaque, d->word));
        OK(azr_array_usage(s.a, &chunks, &nbytes, &err));
        assert_int_equal(chunks, 3);
        assert_int_equal(nbytes, 11);
        OK(azr_array_verify(s.a, count_finding, NULL, &found, &err));
        assert_int_equal(found, 0);
        OK(azr_array_attribute_set(s.a, "new", "[1]", &err));
        OK(azr_txn_set_attribute(s.t, s.a, "more", "2", &err));
        OK(azr_txn_commit(s.t, &err));
        OK(azr_array_attributes(s.other, &text, &err));
        assert_non_null(strstr(text, "\"new\""));
        assert_non_null(strstr(text, "\"more\""));
        azr_free(text);
        /* chunks outside go, one that the shape goes through stays */
        OK(azr_array_resize(s.a, 1, &five, &err));
        expect_file(&s, d, 1, "second");
        expect_file(&s, d, 2, NULL);
        begin_txn(&s);
        put_chunk(s.t, s.a, 1, "third");
        OK(azr_txn_resize(s.t, s.a, 1, &two, &err));
        expect_chunk(s.t, s.a, 0, "first");
        OK(azr_txn_resize(s.t, s.a, 1, &ten, &err));
        expect_chunk(s.t, s.a, 0, "first");
        expect_chunk(s.t, s.a, 1, NULL);
        put_chunk(s.t, s.a, 2, "fourth");
        OK(azr_txn_commit(s.t, &err));
        expect_file(&s, d, 0, "first");
        expect_file(&s, d, 1, NULL);
        expect_file(&s, d, 2, "fourth");
        end_scene(&s);
    }
}

static void test_opaque_wholes(void **state)
{
    const document *d = &documents[0];
    azr_snapshot *snapshot = NULL;
    char copy[120], moved[120];
    azr_array *a;
    scene s;

    (void)state;
    begin_opaque(&s, d);
    OK(azr_snapshot_take(&snapshot, &s.a, 1, NULL, &err));
    put_chunk(s.t, s.a, 0, "later");
    OK(azr_txn_commit(s.t, &err));
    begin_txn(&s);
    expect_chunk(s.t, azr_snapshot_array(snapshot, 0), 0, "first");
    OK(azr_txn_commit(s.t, &err));
    begin_txn(&s); /* handles outlive their transactions */
    azr_snapshot_close(snapshot);
    (void)snprintf(copy, sizeof copy, "%s/copy", s.dir);
    (void)snprintf(moved, sizeof moved, "%s/moved", s.dir);
    OK(azr_copy(s.path, copy, NULL, NULL, &err));
    OK(azr_move(copy, moved, NULL, &err));
    a = open_at(moved, AZR_OPEN_OPAQUE);
    begin_txn(&s);
    expect_chunk(s.t, a, 0, "later");
    azr_txn_free(s.t);
    s.t = NULL;
    azr_array_close(a);
    OK(azr_remove(moved, NULL, &err));
    assert_int_not_equal(access(moved, F_OK), 0);
    end_scene(&s);
}

/* For arrays that are known the flag changes nothing. */
static void test_opaque_known(void **state)
{
    int32_t v[LENGTH] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    azr_array_info info = {.struct_size = sizeof info};
    azr_array *a;
    scene s;

    (void)state;
    begin_known(&s, "zstd:1");
    a = open_at(s.path, AZR_OPEN_WRITE | AZR_OPEN_OPAQUE);
    OK(azr_array_info_get(a, &info, &err));
    assert_string_equal(info.opaque, "");
    expect_elements(a, NULL, v, LENGTH);
    fill_one(a, 0, 0);
    azr_array_close(a);
    end_scene(&s);
}

/* What the grid is must be known. */
static void test_opaque_grid(void **state)
{
    static const char *const bad[][2] = {{"\"regular\"", "\"rectilinear\""},
                                         {"\"default\"", "\"of_mine\""},
                                         {"[4]", "[4,4]"},
                                         {"[4]", "[0]"},
                                         {"\"fill_value\"", "\"member\""},
                                         {"{\"zarr", "[\"zarr"}};
    char text[1024], name[200];
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    scene s;

    (void)state;
    begin_dir(&s);
    o.flags = AZR_OPEN_OPAQUE;
    assert_int_equal(mkdir(s.path, 0777), 0);
    (void)snprintf(name, sizeof name, "%s/zarr.json", s.path);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *at = strstr(sharded, bad[i][0]);

        assert_non_null(at);
        (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - sharded),
                       sharded, bad[i][1], at + strlen(bad[i][0]));
        save(name, text);
        err = (azr_error)AZR_ERROR_INIT;
        assert_true(azr_array_open(&s.a, s.path, &o, &err) < 0);
        assert_true(err.code == AZR_EUNSUPPORTED || err.code == AZR_ECORRUPT);
        assert_null(s.a);
    }
    end_scene(&s);
}

/* Something optional is not known: to read it is known, to write it is opaque. */
static void test_opaque_partial(void **state)
{
    char text[1024], name[200];
    const char *at = strstr(transformed, "\"unknown\"");
    azr_selection all = azr_select_all(1);
    int32_t v[LENGTH];
    azr_array *reader;
    document d = documents[3];
    scene s;

    (void)state;
    (void)snprintf(text, sizeof text, "%.*s\"unknown\",%s%s",
                   (int)(at - transformed), transformed,
                   "\"must_understand\":false", at + strlen("\"unknown\""));
    begin_dir(&s);
    assert_int_equal(mkdir(s.path, 0777), 0);
    (void)snprintf(name, sizeof name, "%s/zarr.json", s.path);
    save(name, text);
    reader = open_at(s.path, AZR_OPEN_OPAQUE);
    OK(azr_array_read(reader, &all, v, sizeof v, &err));
    azr_array_close(reader);
    s.a = open_at(s.path, AZR_OPEN_WRITE | AZR_OPEN_OPAQUE);
    FAILS(azr_array_read(s.a, &all, v, sizeof v, &err), AZR_EUNSUPPORTED);
    begin_txn(&s);
    put_chunk(s.t, s.a, 1, "as given");
    OK(azr_txn_commit(s.t, &err));
    expect_file(&s, &d, 1, "as given");
    end_scene(&s);
}

/* The one chunk of an array without dimensions. */
static void test_opaque_zero_d(void **state)
{
    static const char text[] =
        "{\"zarr_format\":2,\"shape\":[],\"chunks\":[],\"dtype\":\"|O\","
        "\"compressor\":null,\"fill_value\":null,\"order\":\"C\",\"filters\":"
        "[{\"id\":\"vlen-utf8\"}]}";
    char name[200];
    void *bytes;
    size_t n;
    scene s;

    (void)state;
    begin_dir(&s);
    assert_int_equal(mkdir(s.path, 0777), 0);
    (void)snprintf(name, sizeof name, "%s/.zarray", s.path);
    save(name, text);
    s.a = open_at(s.path, AZR_OPEN_WRITE | AZR_OPEN_OPAQUE);
    begin_txn(&s);
    OK(azr_txn_read_chunk(s.t, s.a, NULL, &bytes, &n, &err));
    assert_null(bytes);
    OK(azr_txn_write_chunk(s.t, s.a, NULL, "one", 3, &err));
    OK(azr_txn_commit(s.t, &err));
    begin_txn(&s);
    OK(azr_txn_read_chunk(s.t, s.a, NULL, &bytes, &n, &err));
    assert_int_equal(n, 3);
    assert_memory_equal(bytes, "one", 3);
    azr_free(bytes);
    OK(azr_txn_write_chunk(s.t, s.a, NULL, "two", 3, &err));
    OK(azr_txn_commit(s.t, &err));
    end_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_known),
        cmocka_unit_test(test_outside),
        cmocka_unit_test(test_write_known),
        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_read_own_empty),
        cmocka_unit_test(test_not_decodable),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_conflicts),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_run_again),
        cmocka_unit_test(test_hostile_size),
        cmocka_unit_test(test_opaque_chunks),
        cmocka_unit_test(test_opaque_refused),
        cmocka_unit_test(test_opaque_rest),
        cmocka_unit_test(test_opaque_wholes),
        cmocka_unit_test(test_opaque_known),
        cmocka_unit_test(test_opaque_grid),
        cmocka_unit_test(test_opaque_partial),
        cmocka_unit_test(test_opaque_zero_d),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
