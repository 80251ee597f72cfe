/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stored bytes nobody can vouch for. Byte 0 picks the codec, bytes 1 to 3 the
 * size that is wanted (0: unknown, up to 1 MiB), the rest is the chunk. Whatever
 * it holds: exactly that size comes out, or an error. Byte 0 from 128 on turns
 * the direction round: the rest is data, which must survive a round trip.
 */
#include "base/alloc.h"
#include "codec/coder.h"
#include "codec/registry.h"
#include "fuzz.h"

#define HEADER_NBYTES 4
#define LIMIT_NBYTES  ((size_t)1 << 20)
/* What came out, and what was there before it grew; contexts of codecs. */
#define HEAP_NBYTES (6 * LIMIT_NBYTES)

static azri_coder *g_coder; /* contexts are reused, as in the library */

static const struct {
    const char *name;
    const char *config;
} targets[] = {
    {"gzip", "{}"},
    {"zlib", "{}"},
    {"zstd", "{\"level\":1,\"checksum\":true}"},
    {"lz4", "{}"},
    {"crc32c", "{}"},
    {"blosc", "{\"cname\":\"blosclz\"}"},
    {"blosc", "{\"cname\":\"lz4\",\"shuffle\":2}"},
    {"blosc", "{\"cname\":\"zstd\",\"blocksize\":256}"},
    {"crc32c", "{\"location\":\"start\"}"},
    {"blosc", "{\"cname\":\"lz4hc\",\"clevel\":9}"},
    {"blosc", "{\"cname\":\"zlib\",\"shuffle\":0}"},
    {"blosc", "{\"cname\":\"zstd\",\"shuffle\":2,\"clevel\":1}"},
    {"gzip", "{\"level\":9}"},
    {"zlib", "{\"level\":0}"},
    {"lz4", "{\"acceleration\":10}"},
};
#define TARGET_COUNT (sizeof targets / sizeof targets[0])

static const azr_codec *g_codecs[TARGET_COUNT];
static void *g_confs[TARGET_COUNT];

/* Once: they are read only. */
static void configure_all(void)
{
    azr_codec_array in = {.rank = 1, .item_nbytes = 4, .swap_nbytes = 4};

    for (size_t k = 0; k < TARGET_COUNT; k++) {
        g_codecs[k] = azri_codec_find(targets[k].name, AZR_DIALECT_V2);
        require(g_codecs[k] &&
                g_codecs[k]->configure(&g_confs[k], targets[k].config,
                                       AZR_DIALECT_V2, &in, NULL) == 0);
    }
}

/* Whoever adds a codec of bytes adds it to `targets`. */
static void require_every_codec(void)
{
    for (size_t i = 0; i < azri_codec_count(); i++) {
        const azr_codec *codec = azri_codec_at(i);
        bool found = codec->kind != AZR_CODEC_BYTES_BYTES;

        for (size_t k = 0; k < TARGET_COUNT; k++)
            found |= codec == azri_codec_find(targets[k].name, AZR_DIALECT_V2);
        require(found);
    }
}

static void decode_known(const azr_codec *codec, const void *conf,
                         azr_codec_scratch s, size_t expected,
                         const uint8_t *src, size_t src_nbytes)
{
    uint8_t *exact = azri_alloc(expected); /* a byte more is seen by ASan */
    azr_codec_out *dst;
    int rc;

    require(exact != NULL);
    dst = azri_coder_borrow(g_coder, exact, expected);
    rc = codec->decode(conf, &s, dst, expected, src, src_nbytes, NULL);
    require(rc != AZR_ENOMEM);
    if (rc == 0)
        require(dst->data == exact && dst->nbytes == expected);
    azri_free(exact);
}

static void decode_unknown(const azr_codec *codec, const void *conf,
                           azr_codec_scratch s, const uint8_t *src,
                           size_t src_nbytes)
{
    azr_codec_out *dst = azri_coder_between(g_coder, 0, LIMIT_NBYTES);
    int rc = codec->decode(conf, &s, dst, 0, src, src_nbytes, NULL);

    require(rc != AZR_ENOMEM);
    if (rc == 0)
        require(dst->nbytes <= LIMIT_NBYTES);
}

static void round_trip(const azr_codec *codec, const void *conf,
                       azr_codec_scratch s, const uint8_t *src,
                       size_t src_nbytes)
{
    azr_codec_out *stored = azri_coder_between(g_coder, 0, SIZE_MAX);
    azr_codec_out *back = azri_coder_between(g_coder, 1, src_nbytes);

    require(codec->encode(conf, &s, stored, src, src_nbytes, NULL) == 0);
    require(stored->nbytes <= codec->bound(conf, src_nbytes));
    require(codec->decode(conf, &s, back, src_nbytes, stored->data,
                          stored->nbytes, NULL) == 0);
    require(back->nbytes == src_nbytes);
    require(src_nbytes == 0 || memcmp(back->data, src, src_nbytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    const azr_codec *codec;
    azr_codec_scratch s;
    size_t expected, which;
    void *conf;

    if (nbytes < HEADER_NBYTES)
        return 0;
    if (!g_coder) {
        require_every_codec();
        configure_all();
        azr_set_memory_cap(HEAP_NBYTES);
        require(azri_coder_new(&g_coder, NULL) == 0);
    }
    which = (data[0] & 127u) % TARGET_COUNT;
    expected = (data[1] | (size_t)data[2] << 8 | (size_t)data[3] << 16) %
               (LIMIT_NBYTES + 1);
    codec = g_codecs[which];
    conf = g_confs[which];
    s = azri_coder_scratch(g_coder, azri_codec_index(codec));
    data += HEADER_NBYTES;
    nbytes -= HEADER_NBYTES;
    if (data[-HEADER_NBYTES] >= 128)
        round_trip(codec, conf, s, data, nbytes);
    else if (expected > 0)
        decode_known(codec, conf, s, expected, data, nbytes);
    else
        decode_unknown(codec, conf, s, data, nbytes);
    return 0;
}
