/* SPDX-License-Identifier: Apache-2.0 */
/* What gzip and zlib share: the level, and the contexts of two libraries. */
#ifndef AZRI_CODEC_DEFLATE_H
#define AZRI_CODEC_DEFLATE_H

#include "base/error.h"

#include <azr/sys/codec.h>
#include <libdeflate.h>

typedef struct azri_deflate_conf {
    const char *name;
    int level; /* -1: the library's default */
} azri_deflate_conf;

AZR_CHECKED int azri_deflate_configure(void **conf_out, const char *name,
                                       const char *json, int dialect,
                                       azr_error *err);

void azri_deflate_scratch_free(void *slot);

/* The frame around a deflate stream, for either library. */
typedef struct azri_deflate_frame {
    size_t (*compress)(struct libdeflate_compressor *c, const void *in,
                       size_t in_nbytes, void *out, size_t out_nbytes);
    uint16_t igzip; /* IGZIP_GZIP, IGZIP_ZLIB */
} azri_deflate_frame;

/* Compress into `dst`, which has room for the bound of libdeflate. */
AZR_CHECKED int azri_deflate(const azri_deflate_conf *conf,
                             const azri_deflate_frame *frame,
                             const azr_codec_scratch *s, azr_codec_out *dst,
                             const uint8_t *src, size_t src_nbytes,
                             azr_error *err);

/* libdeflate_{gzip,zlib}_decompress_ex */
typedef enum libdeflate_result (*azri_inflate_fn)(
    struct libdeflate_decompressor *d, const void *in, size_t in_nbytes,
    void *out, size_t out_nbytes, size_t *in_used, size_t *out_used);

typedef struct azri_inflater {
    azri_inflate_fn inflate;
    const char *name;
    struct libdeflate_decompressor *context;
} azri_inflater;

AZR_CHECKED int azri_inflater_init(azri_inflater *z, azri_inflate_fn inflate,
                                   const void *conf, const azr_codec_scratch *s,
                                   azr_error *err);
/*
 * Decode the one stream that begins at `src` behind what `dst` holds. Grows
 * `dst` when `expected` (of dst as a whole) is unknown. *used: its length.
 */
AZR_CHECKED int azri_inflate(const azri_inflater *z, azr_codec_out *dst,
                             size_t expected, const uint8_t *src,
                             size_t src_nbytes, size_t *used, azr_error *err);

#endif
