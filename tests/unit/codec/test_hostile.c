/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks that lie. Exactly the wanted bytes come out, or an error. */
#include "codec_fixture.h"

#include "base/alloc.h"
#include "codec/blosc_check.h"
#include "codec/codec_conf.h"

#define CHUNK_NBYTES 512

/* Decode from a block of exactly that size into one of exactly that size, so
 * that a sanitizer sees the first byte beyond either. */
static int decode_exact(struct fixture *f, const uint8_t *stored,
                        size_t stored_nbytes, size_t nbytes, uint8_t *copy)
{
    uint8_t *in = azri_alloc(stored_nbytes);
    uint8_t *out = azri_alloc(nbytes);
    int rc;

    assert_true(in && out);
    if (stored_nbytes > 0)
        memcpy(in, stored, stored_nbytes);
    rc = fx_decode(f, in, stored_nbytes, out, nbytes);
    if (rc == AZR_OK && copy)
        memcpy(copy, out, nbytes);
    else if (rc < 0)
        assert_true(f->err.code == rc && f->err.message[0] != '\0');
    azri_free(in);
    azri_free(out);
    return rc;
}

static void encode_sample(struct fixture *f, const struct fx_kind *kind,
                          azri_buf *stored)
{
    uint8_t data[CHUNK_NBYTES];
    azri_span out = {NULL, 0};

    fx_one(f, 2, CHUNK_NBYTES / 2, kind->name, kind->config, kind->dialect);
    fx_fill(data, sizeof data, 5);
    assert_int_equal(fx_encode(f, data, sizeof data, &out), AZR_OK);
    assert_int_equal(azri_buf_append(stored, out.data, out.nbytes, NULL),
                     AZR_OK);
}

/* No codec takes a part of its output for the whole. */
static void test_every_truncation(void **state)
{
    (void)state;
    for (size_t k = 0; k < FX_KIND_COUNT; k++) {
        azri_buf stored = AZRI_BUF_INIT;
        struct fixture f;

        encode_sample(&f, &fx_kinds[k], &stored);
        for (size_t n = 0; n < stored.nbytes; n++) {
            if (decode_exact(&f, stored.data, n, CHUNK_NBYTES, NULL) == AZR_OK)
                fail_msg("%s took %zu of %zu bytes", fx_kinds[k].name, n,
                         stored.nbytes);
        }
        assert_int_equal(
            decode_exact(&f, stored.data, stored.nbytes, CHUNK_NBYTES, NULL),
            AZR_OK);
        azri_buf_dispose(&stored);
        fx_free(&f);
    }
}

static void test_every_bit_flip(void **state)
{
    (void)state;
    for (size_t k = 0; k < FX_KIND_COUNT; k++) {
        azri_buf stored = AZRI_BUF_INIT;
        size_t refused = 0;
        struct fixture f;

        encode_sample(&f, &fx_kinds[k], &stored);
        for (size_t bit = 0; bit < 8 * stored.nbytes; bit++) {
            uint8_t mask = (uint8_t)(1u << bit % 8);

            stored.data[bit / 8] ^= mask;
            if (decode_exact(&f, stored.data, stored.nbytes, CHUNK_NBYTES,
                             NULL) < 0)
                refused++;
            stored.data[bit / 8] ^= mask;
        }
        assert_true(refused > 0);
        if (strstr(fx_kinds[k].name, "crc32c"))
            assert_int_equal(refused, 8 * stored.nbytes);
        /* nothing that came before spoils the next chunk */
        assert_int_equal(
            decode_exact(&f, stored.data, stored.nbytes, CHUNK_NBYTES, NULL),
            AZR_OK);
        azri_buf_dispose(&stored);
        fx_free(&f);
    }
}

/* A chunk of more, or of fewer, bytes than the metadata say. */
static void test_wrong_size(void **state)
{
    static const size_t sizes[] = {1, 511, 513, 4096, 1 << 20};

    (void)state;
    for (size_t k = 0; k < FX_KIND_COUNT; k++) {
        azri_buf stored = AZRI_BUF_INIT;
        struct fixture f;

        encode_sample(&f, &fx_kinds[k], &stored);
        fx_free(&f);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            fx_one(&f, 1, sizes[i], fx_kinds[k].name, fx_kinds[k].config,
                   fx_kinds[k].dialect);
            assert_int_equal(
                decode_exact(&f, stored.data, stored.nbytes, sizes[i], NULL),
                AZR_ECORRUPT);
            assert_int_equal(f.err.sub, AZR_SUB_CHUNK);
            fx_free(&f);
        }
        azri_buf_dispose(&stored);
    }
}

/* Much more inside two compressors: memory stays near the chunk's size. */
static void test_bomb_between_codecs(void **state)
{
    const size_t bomb = (size_t)16 << 20;
    const int64_t chunk = 4096;
    static const char *const names[] = {"gzip", "zlib",   "zstd",
                                        "lz4",  "crc32c", "blosc"};
    uint8_t *zeros = azri_calloc(bomb, 1);

    (void)state;
    assert_non_null(zeros);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        azri_buf stored = AZRI_BUF_INIT;
        azri_span out = {NULL, 0};
        uint64_t before;
        struct fixture f;

        fx_one(&f, 1, bomb, names[i], "{}", 2);
        assert_int_equal(fx_encode(&f, zeros, bomb, &out), AZR_OK);
        assert_int_equal(azri_buf_append(&stored, out.data, out.nbytes, NULL),
                         AZR_OK);
        fx_free(&f);
        fx_array(&f, 1, 1, 1, &chunk);
        fx_codec(&f, "bytes", "{}", 2);
        fx_codec(&f, "gzip", "{}", 2);
        fx_codec(&f, names[i], "{}", 2);
        assert_int_equal(fx_build(&f), AZR_OK);
        before = azri_heap_nbytes();
        assert_int_equal(
            decode_exact(&f, stored.data, stored.nbytes, 4096, NULL),
            AZR_ECORRUPT);
        assert_int_equal(strncmp(f.err.message, names[i], strlen(names[i])), 0);
        fx_assert_message(&f, ": more than ");
        assert_true(azri_heap_nbytes() < before + (1 << 20));
        azri_buf_dispose(&stored);
        fx_free(&f);
    }
    azri_free(zeros);
}

static void gives(const char *name, const uint8_t *stored, size_t nbytes,
                  size_t expected, int code, const char *message)
{
    struct fixture f;

    fx_one(&f, 1, expected, name, "{}", 2);
    assert_int_equal(decode_exact(&f, stored, nbytes, expected, NULL), code);
    fx_assert_message(&f, message);
    fx_free(&f);
}

static void test_lz4_header(void **state)
{
    uint8_t good[] = {8, 0, 0, 0, 0x80, 1, 0, 2, 0, 3, 0, 4, 0};

    (void)state;
    gives("lz4", good, 3, 8, AZR_ECORRUPT, "lz4: 3 bytes, need 4");
    gives("lz4", good, sizeof good, 9, AZR_ECORRUPT, "lz4: 8 bytes, need 9");
    good[4] = 0x70; /* the block is a literal shorter */
    gives("lz4", good, sizeof good - 1, 8, AZR_ECORRUPT,
          "lz4: 7 bytes, need 8");
    good[4] = 0x80;
    good[3] = 0x7f;
    gives("lz4", good, sizeof good, 8, AZR_ECORRUPT, "lz4: more than 8");
    good[3] = 0;
    good[4] = 0x10; /* a literal, then a match that goes on without end */
    gives("lz4", good, sizeof good, 8, AZR_ECORRUPT, "lz4: damaged block");
}

static void test_crc32c_mismatch(void **state)
{
    const uint8_t bad[] = {1, 0, 2, 0, 3, 0, 5, 0, 0x8b, 0x87, 0x30, 0x32};

    (void)state;
    gives("crc32c", bad, sizeof bad, 8, AZR_ECORRUPT,
          "crc32c: stored 3230878b, computed ");
    gives("crc32c", bad, 3, 8, AZR_ECORRUPT,
          "crc32c: 3 bytes, need at least 4");
    gives("crc32c", bad, 11, 8, AZR_ECORRUPT, "crc32c: 7 bytes, need 8");
}

/* Bytes behind the last gzip member that are not zeros; behind a zlib stream
 * they are ignored as other readers do. */
static void test_trailing_bytes(void **state)
{
    static const struct fx_kind gzip = {"gzip", "{}", 2};
    static const struct fx_kind zlib = {"zlib", "{}", 2};
    azri_buf stored = AZRI_BUF_INIT;
    struct fixture f;

    (void)state;
    encode_sample(&f, &gzip, &stored);
    assert_int_equal(azri_buf_append(&stored, "\0\0x", 3, NULL), AZR_OK);
    assert_int_equal(
        decode_exact(&f, stored.data, stored.nbytes, CHUNK_NBYTES, NULL),
        AZR_ECORRUPT);
    assert_int_equal(
        decode_exact(&f, stored.data, stored.nbytes - 1, CHUNK_NBYTES, NULL),
        AZR_OK);
    fx_free(&f);
    stored.nbytes = 0;
    encode_sample(&f, &zlib, &stored);
    assert_int_equal(azri_buf_append(&stored, "x", 1, NULL), AZR_OK);
    assert_int_equal(
        decode_exact(&f, stored.data, stored.nbytes, CHUNK_NBYTES, NULL),
        AZR_OK);
    fx_free(&f);
    azri_buf_dispose(&stored);
}

/* Magic of zstd 0.7; the library may still be able to read it. */
static void test_zstd_frames(void **state)
{
    uint8_t good[] = {0x28, 0xb5, 0x2f, 0xfd, 0x20, 8, 0x41, 0, 0,
                      1,    0,    2,    0,    3,    0, 4,    0, 0x27};

    (void)state;
    gives("zstd", good, 17, 9, AZR_ECORRUPT, "zstd: 8 bytes, need 9");
    gives("zstd", good, 17, 7, AZR_ECORRUPT, "zstd: more than 7 bytes");
    gives("zstd", good, 18, 8, AZR_ECORRUPT, "zstd: no frame at byte 17 of 18");
    good[0] = 0x27;
    gives("zstd", good, 17, 8, AZR_ECORRUPT, "zstd: no frame at byte 0 of 17");
    gives("zstd", good, 0, 8, AZR_ECORRUPT, "zstd: 0 bytes, need 8");
}

/* ---------------------------------------------------------------- blosc --- */

#define BLOSC_NBYTES 4096 /* 1024 int32 of 0, lz4, four splits */
#define SPLIT_NBYTES 18

static size_t blosc_sample(uint8_t chunk[92])
{
    static const uint8_t head[] = {2, 1, 0x21, 4, 0, 16, 0,  0, 0, 16,
                                   0, 0, 92,   0, 0, 0,  20, 0, 0, 0};
    static const uint8_t split[SPLIT_NBYTES] = {
        14, 0, 0, 0, 31, 0, 1, 0, 255, 255, 255, 234, 80, 0, 0, 0, 0, 0};

    memcpy(chunk, head, sizeof head);
    for (size_t i = 0; i < 4; i++)
        memcpy(chunk + sizeof head + i * SPLIT_NBYTES, split, SPLIT_NBYTES);
    return 92;
}

struct blosc_lie {
    size_t at;
    uint32_t value; /* 32 bits, little-endian */
    int code;
    const char *message;
};

static const struct blosc_lie lies[] = {
    /* version, versionlz, flags, typesize */
    {0, 0x04210102, AZR_OK, NULL},
    {0, 0x04210101, AZR_EUNSUPPORTED, "format version 1, need 2"},
    {0, 0x04210105, AZR_EUNSUPPORTED, "format version 5"},
    {0, 0x04290102, AZR_EUNSUPPORTED, "flags 0x29"},
    {0, 0x04a10102, AZR_EUNSUPPORTED, "compressor number 5 is not known"},
    {0, 0x04e10102, AZR_EUNSUPPORTED, "compressor number 7 is not known"},
    {0, 0x04230102, AZR_ECORRUPT, "copied chunk is 92, need 4112"},
    {0, 0x00210102, AZR_ECORRUPT, "type size is 0"},
    {0, 0x04310102, AZR_ECORRUPT, "damaged chunk"}, /* one split, too short */
    {0, 0x03210102, AZR_ECORRUPT, "block size modulo type size is 1"},
    {0, 0x08210102, AZR_ECORRUPT, "split"}, /* eight splits: off the end */
    /* nbytes */
    {4, 4095, AZR_ECORRUPT, "block size is 4096, at most 4095"},
    {4, 4097, AZR_ECORRUPT, "blosc: 4097 bytes, need 4096"},
    {4, 0, AZR_ECORRUPT, "blosc: 0 bytes, need 4096"},
    {4, 0xffffffff, AZR_ECORRUPT, "size is 4294967295, at most 2147483631"},
    /* blocksize */
    {8, 0, AZR_ECORRUPT, "block size is 0"},
    {8, 4097, AZR_ECORRUPT, "block size is 4097, at most 4096"},
    {8, 1, AZR_ECORRUPT, "number of blocks is 4096, at most 19"},
    {8, 2048, AZR_ECORRUPT, "blosc: block 0 at byte 20 of 92"},
    /* cbytes */
    {12, 91, AZR_ECORRUPT, "chunk is 92, need 91"},
    {12, 0xffffffff, AZR_ECORRUPT, "chunk is 92, need 4294967295"},
    /* bstarts */
    {16, 19, AZR_ECORRUPT, "block 0 at byte 19 of 92"},
    {16, 0, AZR_ECORRUPT, "block 0 at byte 0 of 92"},
    {16, 93, AZR_ECORRUPT, "block 0 at byte 93 of 92"},
    {16, 92, AZR_ECORRUPT, "split header is 4, at most 0"},
    {16, 89, AZR_ECORRUPT, "split header is 4, at most 3"},
    {16, 0x80000000, AZR_ECORRUPT, "block 0 at byte 2147483648 of 92"},
    {16, 0xffffffff, AZR_ECORRUPT, "block 0 at byte 4294967295 of 92"},
    {16, 38, AZR_ECORRUPT, "split header is 4, at most 0"}, /* one too late */
    /* csize of the first split */
    {20, 0, AZR_ECORRUPT, "split of 0 bytes, need 1 to 68"},
    {20, 69, AZR_ECORRUPT, "split of 69 bytes, need 1 to 68"},
    {20, 0x80000000, AZR_ECORRUPT, "split of 2147483648 bytes"},
    {20, 0xfffffffc, AZR_ECORRUPT, "split of 4294967292 bytes"},
    {20, 13, AZR_ECORRUPT, "split of 3584 bytes"},   /* out of step */
    {24, 0x7f01001f, AZR_ECORRUPT, "damaged chunk"}, /* inside the lz4 */
};

static void test_blosc_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        uint8_t chunk[92];
        size_t nbytes = blosc_sample(chunk);
        struct fixture f;
        int rc;

        azri_store_le32(chunk + lies[i].at, lies[i].value);
        fx_one(&f, 1, BLOSC_NBYTES, "blosc", "{}", 2);
        rc = decode_exact(&f, chunk, nbytes, BLOSC_NBYTES, NULL);
        if (rc != lies[i].code)
            fail_msg("lie %zu: status %d, %s", i, rc, f.err.message);
        if (lies[i].message)
            fx_assert_message(&f, lies[i].message);
        fx_free(&f);
    }
}

/* c-blosc would add up blocks of that size in an int. */
static void test_blosc_huge_block(void **state)
{
    const uint32_t nbytes = 800000000;
    uint8_t chunk[92];
    azri_blosc_header h;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    (void)blosc_sample(chunk);
    azri_store_le32(chunk + 4, nbytes);
    azri_store_le32(chunk + 8, nbytes);
    assert_int_equal(azri_blosc_check_header(&h, chunk, 92, &err),
                     AZR_ECORRUPT);
    assert_non_null(strstr(err.message, "at most 715827542"));
    azri_store_le32(chunk + 8, nbytes / 2);
    assert_int_equal(azri_blosc_check_header(&h, chunk, 92, NULL), AZR_OK);
    assert_int_equal(h.blocksize, nbytes / 2);
}

/* Whatever the 20 bytes of header and first block start say. */
static void test_blosc_header_sweep(void **state)
{
    static const uint8_t values[] = {0, 1, 2, 16, 17, 127, 128, 254, 255};
    struct fixture f;

    (void)state;
    fx_one(&f, 1, BLOSC_NBYTES, "blosc", "{}", 2);
    for (size_t at = 0; at < 24; at++) {
        for (size_t also = 0; also < 24; also++) {
            for (size_t v = 0; v < sizeof values; v++) {
                uint8_t chunk[92], out[BLOSC_NBYTES];
                size_t nbytes = blosc_sample(chunk);

                chunk[at] = values[v];
                chunk[also] = values[(v + at) % sizeof values];
                /* all zeros, or refused: typesize may be any */
                if (decode_exact(&f, chunk, nbytes, BLOSC_NBYTES, out) < 0)
                    continue;
                for (size_t i = 0; i < BLOSC_NBYTES; i++)
                    assert_int_equal(out[i], 0);
            }
        }
    }
    fx_free(&f);
}

static size_t blosclz_chunk(uint8_t *chunk, const uint8_t *stream,
                            size_t stream_nbytes, size_t nbytes)
{
    memset(chunk, 0, 24);
    chunk[0] = 2;
    chunk[1] = 1;
    chunk[2] = 0x10; /* blosclz, not split */
    chunk[3] = 1;
    azri_store_le32(chunk + 4, (uint32_t)nbytes);
    azri_store_le32(chunk + 8, (uint32_t)nbytes);
    azri_store_le32(chunk + 12, (uint32_t)(24 + stream_nbytes));
    azri_store_le32(chunk + 16, 20);
    azri_store_le32(chunk + 20, (uint32_t)stream_nbytes);
    memcpy(chunk + 24, stream, stream_nbytes);
    return 24 + stream_nbytes;
}

struct lz_stream {
    uint8_t bytes[12];
    size_t nbytes;
    bool is_sound; /* for 8 bytes decoded */
};

static const struct lz_stream lz_streams[] = {
    {{7, 1, 2, 3, 4, 5, 6, 7, 8}, 9, true},
    {{7 | 32, 1, 2, 3, 4, 5, 6, 7, 8}, 9, true}, /* the mark above */
    {{6, 1, 2, 3, 4, 5, 6, 7}, 8, false},        /* seven bytes */
    {{8, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 10, false}, /* nine */
    {{7, 1, 2, 3, 4, 5, 6, 7}, 8, false},        /* literals run out */
    {{0, 1, 0x80, 0, 0, 9}, 6, true},            /* seven times 1, then 9 */
    {{0, 1, 0x80, 1, 0, 9}, 6, false},           /* before the beginning */
    {{0, 1, 0xa0, 0, 0, 9}, 6, false},           /* one too long */
    {{0, 1, 0xa0}, 3, false},                    /* no distance */
    {{0, 1, 0xe0}, 3, false},                    /* no length */
    {{0, 1, 0xe0, 255, 255}, 5, false},          /* no end of the length */
    {{0, 1, 0xff, 0, 255}, 5, false},            /* no far distance */
    {{0, 1, 0xff, 0, 255, 0, 0, 0}, 8, false},   /* far before the beginning */
    {{0}, 0, false},
};

static void test_blosclz_streams(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lz_streams / sizeof lz_streams[0]; i++) {
        const struct lz_stream *s = &lz_streams[i];
        uint8_t chunk[64];
        size_t n = blosclz_chunk(chunk, s->bytes, s->nbytes, 8);

        if (azri_blosclz_is_sound(s->bytes, s->nbytes, 8) != s->is_sound)
            fail_msg("stream %zu", i);
        if (!s->is_sound && s->nbytes != 8 && s->nbytes != 0)
            gives("blosc", chunk, n, 8, AZR_ECORRUPT, "blosclz stream");
        if (s->is_sound)
            gives("blosc", chunk, n, 8, AZR_OK, "");
    }
}

/* Length bytes that add up to more than an int holds: the library's decoder
 * would take the wrapped sum for a short match and write far outside. */
static void test_blosclz_length_wrap(void **state)
{
    const size_t run = (size_t)0x80000000u / 255 + 4;
    size_t nbytes = run + 8;
    uint8_t *stream = azri_alloc(nbytes);
    uint8_t *chunk = azri_alloc(nbytes + 24);

    (void)state;
    assert_true(stream && chunk);
    memset(stream, 255, nbytes);
    stream[0] = 0;
    stream[1] = 1;
    stream[2] = 0xe0;
    stream[nbytes - 3] = 0;
    stream[nbytes - 2] = 0;
    stream[nbytes - 1] = 0;
    assert_false(azri_blosclz_is_sound(stream, nbytes, 1 << 20));
    nbytes = blosclz_chunk(chunk, stream, nbytes, 1 << 20);
    gives("blosc", chunk, nbytes, 1 << 20, AZR_ECORRUPT, "blosclz stream");
    azri_free(stream);
    azri_free(chunk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_every_bit_flip),
        cmocka_unit_test(test_wrong_size),
        cmocka_unit_test(test_bomb_between_codecs),
        cmocka_unit_test(test_lz4_header),
        cmocka_unit_test(test_crc32c_mismatch),
        cmocka_unit_test(test_trailing_bytes),
        cmocka_unit_test(test_zstd_frames),
        cmocka_unit_test(test_blosc_headers),
        cmocka_unit_test(test_blosc_huge_block),
        cmocka_unit_test(test_blosc_header_sweep),
        cmocka_unit_test(test_blosclz_streams),
        cmocka_unit_test(test_blosclz_length_wrap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
