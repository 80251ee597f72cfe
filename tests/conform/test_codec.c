/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every bytes-to-bytes codec of the registry must do, with its default
 * configuration in each dialect that knows it: round trips of awkward sizes, no
 * more bytes than `bound` says, exact sizes or an error, no truncation unseen.
 * Ways and vectors of single codecs are tested in tests/unit/codec.
 */
#include "unit/codec/codec_fixture.h"

#include "codec/registry.h"

#include <azr/sys/codec.h>
#include <stdlib.h>

/* The least that each must be told. */
static const struct least {
    const char *name, *v2, *v3;
} leasts[] = {
    {"gzip", "{\"id\":\"gzip\"}", "{\"level\":5}"},
    {"numcodecs.zlib", "{\"id\":\"zlib\"}", "{}"},
    {"zstd", "{\"id\":\"zstd\"}", "{\"level\":0}"},
    {"numcodecs.lz4", "{\"id\":\"lz4\"}", "{}"},
    {"blosc", "{\"id\":\"blosc\"}",
     "{\"cname\":\"lz4\",\"clevel\":5,\"shuffle\":\"shuffle\",\"typesize\":4,"
     "\"blocksize\":0}"},
    {"crc32c", "{\"id\":\"crc32c\"}", "{}"},
};

static const size_t sizes[] = {1, 2, 3, 127, 128, 1000, 4097, 65536};
#define SIZE_COUNT (sizeof sizes / sizeof sizes[0])

static const struct least *least_of(const azr_codec *codec)
{
    for (size_t i = 0; i < sizeof leasts / sizeof leasts[0]; i++) {
        if (strcmp(leasts[i].name, codec->name) == 0)
            return &leasts[i];
    }
    fail_msg("test_codec.c says nothing of codec %s", codec->name);
    return NULL;
}

/* A codec as one dialect names and configures it. */
typedef struct way {
    const char *name, *config;
    int dialect;
} way;

static void set_up(struct fixture *f, const way *w, size_t nbytes)
{
    fx_one(f, 1, nbytes, w->name, w->config, w->dialect);
}

/* `test` for every codec, dialect and size. */
static void for_each(void (*test)(struct fixture *f, const way *w,
                                  const uint8_t *data, size_t nbytes))
{
    static uint8_t data[65536];
    int count = 0;

    fx_fill(data, sizeof data, 7);
    for (size_t i = 0; i < azri_codec_count(); i++) {
        const azr_codec *codec = azri_codec_at(i);

        if (codec->kind != AZR_CODEC_BYTES_BYTES)
            continue;
        for (size_t k = 0; k < 2 * SIZE_COUNT; k++) {
            const struct least *least = least_of(codec);
            way w = {codec->name, least->v3, 3};
            struct fixture f;

            if (k % 2 == 0)
                w = (way){codec->v2_id, least->v2, 2};
            set_up(&f, &w, sizes[k / 2]);
            test(&f, &w, data, sizes[k / 2]);
            fx_free(&f);
            count++;
        }
    }
    assert_true(count >= (int)(6 * 2 * SIZE_COUNT));
}

static void trip(struct fixture *f, const way *w, const uint8_t *data,
                 size_t nbytes)
{
    uint8_t *back = calloc(1, nbytes);
    azri_span stored;

    assert_non_null(back);
    if (fx_encode(f, data, nbytes, &stored) < 0 ||
        fx_decode(f, stored.data, stored.nbytes, back, nbytes) < 0)
        fail_msg("%s, %zu bytes: %s", w->name, nbytes, f->err.message);
    assert_memory_equal(back, data, nbytes);
    assert_true(stored.nbytes <= azri_chain_stored_max(f->chain));
    free(back);
}

static void test_round_trip(void **state)
{
    (void)state;
    for_each(trip);
}

static uint8_t *stored_copy(struct fixture *f, const uint8_t *data,
                            size_t nbytes, size_t *stored_nbytes)
{
    azri_span stored;
    uint8_t *copy;

    assert_int_equal(fx_encode(f, data, nbytes, &stored), AZR_OK);
    copy = malloc(stored.nbytes + 1);
    assert_non_null(copy);
    memcpy(copy, stored.data, stored.nbytes);
    copy[stored.nbytes] = 0;
    *stored_nbytes = stored.nbytes;
    return copy;
}

/* A chunk of another size than the metadata say is damage, not cut nor padded. */
static void expect_size(const way *w, const uint8_t *stored, size_t n,
                        size_t nbytes)
{
    uint8_t *back = calloc(1, nbytes);
    struct fixture f;

    assert_non_null(back);
    set_up(&f, w, nbytes);
    if (fx_decode(&f, stored, n, back, nbytes) != AZR_ECORRUPT)
        fail_msg("%s: a chunk of another size is taken for %zu bytes", w->name,
                 nbytes);
    fx_free(&f);
    free(back);
}

static void wrong_size(struct fixture *f, const way *w, const uint8_t *data,
                       size_t nbytes)
{
    size_t n;
    uint8_t *stored = stored_copy(f, data, nbytes, &n);

    expect_size(w, stored, n, nbytes + 1);
    if (nbytes > 1)
        expect_size(w, stored, n, nbytes - 1);
    free(stored);
}

static void test_wrong_size(void **state)
{
    (void)state;
    for_each(wrong_size);
}

/* Each shorter beginning of the stored bytes is refused (of long ones, some). */
static void cut_off(struct fixture *f, const way *w, const uint8_t *data,
                    size_t nbytes)
{
    uint8_t *back = calloc(1, nbytes);
    size_t n;
    uint8_t *stored = stored_copy(f, data, nbytes, &n);

    assert_non_null(back);
    for (size_t cut = 0; cut<n; cut += n> 1000 && cut > 64 ? n / 40 : 1) {
        if (fx_decode(f, stored, cut, back, nbytes) != AZR_ECORRUPT)
            fail_msg("%s: %zu of %zu stored bytes are taken", w->name, cut, n);
    }
    if (fx_decode(f, stored, n - 1, back, nbytes) != AZR_ECORRUPT)
        fail_msg("%s: the last byte may be missing", w->name);
    free(stored);
    free(back);
}

static void test_cut_off(void **state)
{
    (void)state;
    for_each(cut_off);
}

/* An unknown member: ignored in v2, refused in v3. */
static void test_unknown_member(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof leasts / sizeof leasts[0]; i++) {
        const azr_codec *codec = azri_codec_find(leasts[i].name, 3);
        int64_t chunk = 8;
        char config[256];
        struct fixture f;

        assert_non_null(codec);
        for (int dialect = 2; dialect <= 3; dialect++) {
            const char *rest = dialect == 2 ? leasts[i].v2 : leasts[i].v3;

            (void)snprintf(config, sizeof config, "{\"strange\":1%s%s",
                           rest[1] == '}' ? "" : ",", rest + 1);
            fx_array(&f, 1, 1, 1, &chunk);
            fx_codec(&f, "bytes", "{}", dialect);
            fx_codec(&f, dialect == 2 ? codec->v2_id : codec->name, config,
                     dialect);
            assert_int_equal(fx_build(&f), dialect == 2 ? AZR_OK : AZR_EINVAL);
            if (dialect == 3)
                fx_assert_message(&f, "strange");
            fx_free(&f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_wrong_size),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_unknown_member),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
