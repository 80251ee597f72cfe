/* SPDX-License-Identifier: Apache-2.0 */
/* An azri_meta built by hand, its chain, and a coder. */
#ifndef CODEC_FIXTURE_H
#define CODEC_FIXTURE_H

#include "unit/checks.h"

#include "codec/chain.h"

#include <stdio.h>
#include <string.h>

#define FX_MAX_CODECS 70

struct fixture {
    azri_dtype dtype;
    azri_meta meta;
    azri_codec_spec specs[FX_MAX_CODECS];
    azri_chain *chain;
    azri_coder *coder;
    azr_error err;
};

/* `union` spares a cast that drops const: nothing writes through the names. */
static inline char *fx_text(const char *text)
{
    union {
        const char *in;
        char *out;
    } u = {.in = text};

    return u.out;
}

static inline void fx_array(struct fixture *f, size_t item_nbytes,
                            size_t swap_unit, int rank, const int64_t *chunk)
{
    memset(f, 0, sizeof *f);
    f->dtype.nbytes = item_nbytes;
    f->dtype.swap_unit = swap_unit;
    f->dtype.v3_name = "test";
    f->meta.dtype = &f->dtype;
    f->meta.rank = rank;
    f->meta.codecs = f->specs;
    f->meta.chunk_nbytes = item_nbytes;
    for (int i = 0; i < rank; i++) {
        f->meta.chunk[i] = chunk[i];
        f->meta.chunk_nbytes *= (size_t)chunk[i];
    }
    assert_int_equal(azri_coder_new(&f->coder, &f->err), AZR_OK);
}

static inline void fx_codec(struct fixture *f, const char *name,
                            const char *config, int dialect)
{
    azri_codec_spec *spec = &f->specs[f->meta.codec_count++];

    assert_true(f->meta.codec_count <= FX_MAX_CODECS);
    spec->name = fx_text(name);
    spec->config = fx_text(config);
    spec->dialect = dialect;
}

static inline int fx_build(struct fixture *f)
{
    memset(&f->err, 0, sizeof f->err);
    return azri_chain_new(&f->chain, &f->meta, &f->err);
}

/* A flat chunk of `count` items through `bytes` and one codec. */
static inline void fx_one(struct fixture *f, size_t item_nbytes, size_t count,
                          const char *name, const char *config, int dialect)
{
    int64_t chunk = (int64_t)count;

    fx_array(f, item_nbytes, 1, 1, &chunk);
    fx_codec(f, "bytes", "{\"endian\":\"little\"}", dialect);
    fx_codec(f, name, config, dialect);
    if (fx_build(f) < 0)
        fail_msg("%s %s: %s", name, config, f->err.message);
}

static inline void fx_free(struct fixture *f)
{
    azri_chain_free(f->chain);
    azri_coder_free(f->coder);
}

static inline int fx_encode(struct fixture *f, const void *data, size_t nbytes,
                            azri_span *out)
{
    azri_span chunk = {data, nbytes};

    memset(&f->err, 0, sizeof f->err);
    return azri_chain_encode(f->chain, f->coder, chunk, out, &f->err);
}

static inline int fx_decode(struct fixture *f, const void *stored,
                            size_t stored_nbytes, void *chunk, size_t nbytes)
{
    azri_span s = {stored, stored_nbytes};

    memset(&f->err, 0, sizeof f->err);
    return azri_chain_decode(f->chain, f->coder, s, chunk, nbytes, &f->err);
}

static inline void fx_assert_message(const struct fixture *f, const char *text)
{
    if (!strstr(f->err.message, text))
        fail_msg("message is '%s', need '%s'", f->err.message, text);
}

/* Compressible, not constant, the same every time. */
static inline void fx_fill(uint8_t *p, size_t nbytes, uint32_t seed)
{
    for (size_t i = 0; i < nbytes; i++) {
        if (i % 64 == 0)
            seed = seed * 1664525u + 1013904223u;
        p[i] = (uint8_t)((i % 4 == 0 ? i / 4 : seed >> (8 * (i % 4))) & 0xff);
    }
}

struct fx_kind {
    const char *name;
    const char *config;
    int dialect;
};

/* Every codec, in the ways that differ. */
static const struct fx_kind fx_kinds[] = {
    {"gzip", "{\"level\":0}", 3},
    {"gzip", "{\"level\":9}", 3},
    {"gzip", "{\"id\":\"gzip\",\"level\":-1}", 2},
    {"numcodecs.gzip", "{\"level\":1}", 3},
    {"zlib", "{\"id\":\"zlib\",\"level\":1}", 2},
    {"numcodecs.zlib", "{\"level\":6}", 3},
    {"zstd", "{\"level\":0}", 3},
    {"zstd", "{\"level\":-50,\"checksum\":true}", 3},
    {"zstd", "{\"id\":\"zstd\",\"level\":100}", 2},
    {"numcodecs.zstd", "{\"level\":3}", 3},
    {"lz4", "{\"id\":\"lz4\",\"acceleration\":1}", 2},
    {"numcodecs.lz4", "{\"acceleration\":1000000}", 3},
    {"crc32c", "{}", 3},
    {"numcodecs.crc32c", "{}", 3},
    {"crc32c", "{\"id\":\"crc32c\",\"location\":\"start\"}", 2},
    {"blosc", "{\"id\":\"blosc\"}", 2},
    {"blosc", "{\"id\":\"blosc\",\"cname\":\"blosclz\",\"shuffle\":2}", 2},
    {"blosc", "{\"id\":\"blosc\",\"cname\":\"blosclz\",\"clevel\":9}", 2},
    {"blosc", "{\"id\":\"blosc\",\"cname\":\"lz4hc\",\"shuffle\":0}", 2},
    {"blosc", "{\"id\":\"blosc\",\"cname\":\"zlib\",\"shuffle\":-1}", 2},
    {"blosc", "{\"id\":\"blosc\",\"cname\":\"zstd\",\"blocksize\":256}", 2},
    {"blosc", "{\"id\":\"blosc\",\"clevel\":0}", 2},
    {"blosc",
     "{\"cname\":\"zstd\",\"clevel\":5,\"shuffle\":\"bitshuffle\","
     "\"typesize\":4,\"blocksize\":0}",
     3},
    {"numcodecs.blosc", "{\"cname\":\"lz4\",\"shuffle\":1}", 3},
};
#define FX_KIND_COUNT (sizeof fx_kinds / sizeof fx_kinds[0])

#endif
