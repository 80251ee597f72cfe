/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that the specifications and other programs agree on. */
#include "codec_fixture.h"
#include "codec_golden.h"

#include "base/hash.h"

static const uint8_t plain[] = {1, 0, 2, 0, 3, 0, 4, 0}; /* int16 1, 2, 3, 4 */

struct vector {
    const char *name;
    const char *config;
    int dialect;
    size_t nbytes;
    uint8_t stored[40];
    bool is_exact; /* our encoder gives the same bytes */
};

static const struct vector vectors[] = {
    {"lz4", "{}", 2, 13, {8, 0, 0, 0, 0x80, 1, 0, 2, 0, 3, 0, 4, 0}, true},
    {"zstd",
     "{\"level\":0}",
     3,
     17,
     {0x28, 0xb5, 0x2f, 0xfd, 0x20, 8, 0x41, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0},
     true},
    {"zlib",
     "{\"level\":1}",
     2,
     16,
     {0x78, 1, 0x63, 0x64, 0x60, 0x62, 0x60, 0x66, 0x60, 0x61, 0, 0, 0, 0x30, 0,
      0x0b},
     false},
    {"blosc",
     "{}",
     2,
     24,
     {2,  1, 0x33, 2, 8, 0, 0, 0, 8, 0, 0, 0,
      24, 0, 0,    0, 1, 0, 2, 0, 3, 0, 4, 0},
     true},
    {"blosc",
     "{\"cname\":\"lz4\",\"clevel\":5,\"shuffle\":\"shuffle\",\"typesize\":2,"
     "\"blocksize\":0}",
     3,
     24,
     {2,  1, 0x33, 2, 8, 0, 0, 0, 8, 0, 0, 0,
      24, 0, 0,    0, 1, 0, 2, 0, 3, 0, 4, 0},
     true},
    {"crc32c",
     "{}",
     3,
     12,
     {1, 0, 2, 0, 3, 0, 4, 0, 0x8b, 0x87, 0x30, 0x32},
     true},
    {"crc32c",
     "{\"location\":\"start\"}",
     2,
     12,
     {0x8b, 0x87, 0x30, 0x32, 1, 0, 2, 0, 3, 0, 4, 0},
     true},
};

static void test_int16_1_to_4(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const struct vector *v = &vectors[i];
        azri_span stored = {NULL, 0};
        uint8_t back[sizeof plain];
        struct fixture f;

        fx_one(&f, 2, 4, v->name, v->config, v->dialect);
        if (fx_decode(&f, v->stored, v->nbytes, back, sizeof back) < 0)
            fail_msg("%s: %s", v->name, f.err.message);
        assert_memory_equal(back, plain, sizeof plain);
        assert_int_equal(fx_encode(&f, plain, sizeof plain, &stored), AZR_OK);
        if (v->is_exact) {
            assert_int_equal(stored.nbytes, v->nbytes);
            assert_memory_equal(stored.data, v->stored, v->nbytes);
        }
        fx_free(&f);
    }
}

/* MTIME is 0, and no name is written. */
static void test_gzip_header(void **state)
{
    static const uint8_t head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0};
    azri_span stored = {NULL, 0};
    struct fixture f;

    (void)state;
    fx_one(&f, 2, 4, "gzip", "{\"level\":5}", 3);
    assert_int_equal(fx_encode(&f, plain, sizeof plain, &stored), AZR_OK);
    assert_true(stored.nbytes > sizeof head);
    assert_memory_equal(stored.data, head, sizeof head);
    fx_free(&f);
}

static void decodes_to(const char *name, const uint8_t *stored,
                       size_t stored_nbytes, const uint8_t *data, size_t nbytes)
{
    uint8_t back[4096];
    struct fixture f;

    assert_true(nbytes <= sizeof back);
    fx_one(&f, 1, nbytes, name, "{}", 2);
    memset(back, 0xA5, sizeof back);
    if (fx_decode(&f, stored, stored_nbytes, back, nbytes) < 0)
        fail_msg("%s: %s", name, f.err.message);
    assert_memory_equal(back, data, nbytes);
    fx_free(&f);
}

static void test_blosc_examples(void **state)
{
    uint8_t one_block[] = {2,    1, 0x31, 4, 0,   1,  0, 0, 0,  1, 0, 0,
                           0x23, 0, 0,    0, 20,  0,  0, 0, 11, 0, 0, 0,
                           31,   0, 1,    0, 231, 80, 0, 0, 0,  0, 0};
    static const uint8_t split[] = {14,  0,   0,   0,  31, 0, 1, 0, 255,
                                    255, 255, 234, 80, 0,  0, 0, 0, 0};
    static const uint8_t head[] = {2, 1, 0x21, 4, 0, 16, 0,  0, 0, 16,
                                   0, 0, 0x5c, 0, 0, 0,  20, 0, 0, 0};
    static const uint8_t zeros[4096];
    uint8_t chunk[sizeof head + 4 * sizeof split];

    (void)state;
    memcpy(chunk, head, sizeof head);
    for (size_t i = 0; i < 4; i++)
        memcpy(chunk + sizeof head + i * sizeof split, split, sizeof split);
    decodes_to("blosc", one_block, sizeof one_block, zeros, 256);
    one_block[2] = 0x21; /* 64 elements are too few to split, said or not */
    decodes_to("blosc", one_block, sizeof one_block, zeros, 256);
    decodes_to("blosc", chunk, sizeof chunk, zeros, 4096);
}

/* numcodecs cannot read these, but writes them. */
static void test_empty(void **state)
{
    static const uint8_t blosc[] = {2, 1, 0x33, 1, 0,  0, 0, 0,
                                    1, 0, 0,    0, 16, 0, 0, 0};
    static const uint8_t lz4[] = {0, 0, 0, 0, 0};
    static const uint8_t zlib[] = {0x78, 1, 3, 0, 0, 0, 0, 1};
    static const uint8_t zstd[] = {0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0};

    (void)state;
    decodes_to("blosc", blosc, sizeof blosc, plain, 0);
    decodes_to("lz4", lz4, sizeof lz4, plain, 0);
    decodes_to("zlib", zlib, sizeof zlib, plain, 0);
    decodes_to("zstd", zstd, sizeof zstd, plain, 0);
}

static void test_numcodecs_fixtures(void **state)
{
    uint8_t data[GOLDEN_NBYTES];

    (void)state;
    for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++) {
        const struct golden *g = &golden[i];
        struct fixture f;

        fx_one(&f, 1, sizeof data, g->codec, "{}", 2);
        if (fx_decode(&f, g->stored, g->nbytes, data, sizeof data) < 0)
            fail_msg("%zu %s: %s", i, g->codec, f.err.message);
        assert_int_equal(azri_crc32c(0, data, sizeof data), g->crc);
        fx_free(&f);
    }
}

static void test_streams_of_other_tools(void **state)
{
    uint8_t data[32];

    (void)state;
    for (uint8_t i = 0; i < sizeof data; i++)
        data[i] = i;
    decodes_to("gzip", golden_gzip_named, sizeof golden_gzip_named, data, 32);
    decodes_to("gzip", golden_gzip_members, sizeof golden_gzip_members, data,
               32);
    decodes_to("zstd", golden_zstd_piped, sizeof golden_zstd_piped, data, 32);
    decodes_to("zstd", golden_zstd_frames, sizeof golden_zstd_frames, data, 32);
}

/* The same where the size is not known beforehand: another codec is outside. */
static void test_unknown_size(void **state)
{
    static uint8_t data[300000], back[300000], copy[600000];
    static const char *const inner[] = {"gzip", "zlib", "zstd", "lz4", "blosc"};
    int64_t chunk = sizeof data;

    (void)state;
    memset(data, 7, sizeof data);
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < 5; j++) {
            struct fixture f;
            azri_span stored = {NULL, 0};

            fx_array(&f, 1, 1, 1, &chunk);
            fx_codec(&f, "bytes", "{}", 2);
            fx_codec(&f, inner[i], "{\"level\":0,\"clevel\":0}", 2);
            fx_codec(&f, inner[j], "{}", 2);
            assert_int_equal(fx_build(&f), AZR_OK);
            assert_int_equal(fx_encode(&f, data, sizeof data, &stored), AZR_OK);
            assert_true(stored.nbytes <= sizeof copy);
            memcpy(copy, stored.data, stored.nbytes);
            if (fx_decode(&f, copy, stored.nbytes, back, sizeof back) < 0)
                fail_msg("%s, %s: %s", inner[i], inner[j], f.err.message);
            assert_memory_equal(back, data, sizeof data);
            fx_free(&f);
        }
    }
}

static size_t gzip_of(uint8_t *out, const uint8_t *data, size_t nbytes)
{
    azri_span stored = {NULL, 0};
    struct fixture f;

    fx_one(&f, 1, nbytes, "gzip", "{}", 2);
    assert_int_equal(fx_encode(&f, data, nbytes, &stored), AZR_OK);
    memcpy(out, stored.data, stored.nbytes);
    fx_free(&f);
    return stored.nbytes;
}

/* Room runs out within the second of two members: the first one's bytes stay. */
static void test_members_of_unknown_size(void **state)
{
    static uint8_t data[300000], back[300000], inner[400000], outer[8192];
    const int64_t chunk = sizeof data;
    azri_span stored = {NULL, 0};
    size_t nbytes, half;
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i / 5000);
    fx_one(&f, 1, sizeof data, "gzip", "{\"level\":0}", 2);
    assert_int_equal(fx_encode(&f, data, sizeof data, &stored), AZR_OK);
    assert_in_range(stored.nbytes, sizeof data, sizeof inner);
    memcpy(inner, stored.data, stored.nbytes);
    half = 5000; /* the first guess at the size is for 4096 and a little */
    nbytes = gzip_of(outer, inner, half);
    nbytes += gzip_of(outer + nbytes, inner + half, stored.nbytes - half);
    fx_free(&f);

    fx_array(&f, 1, 1, 1, &chunk);
    fx_codec(&f, "bytes", "{}", 2);
    fx_codec(&f, "gzip", "{}", 2);
    fx_codec(&f, "gzip", "{}", 2);
    assert_int_equal(fx_build(&f), AZR_OK);
    if (fx_decode(&f, outer, nbytes, back, sizeof back) < 0)
        fail_msg("%s", f.err.message);
    assert_memory_equal(back, data, sizeof data);
    fx_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_int16_1_to_4),
        cmocka_unit_test(test_gzip_header),
        cmocka_unit_test(test_blosc_examples),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_numcodecs_fixtures),
        cmocka_unit_test(test_streams_of_other_tools),
        cmocka_unit_test(test_unknown_size),
        cmocka_unit_test(test_members_of_unknown_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
