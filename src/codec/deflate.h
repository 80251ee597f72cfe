/* SPDX-License-Identifier: Apache-2.0 */
/* What gzip and zlib share: the level and libdeflate's contexts. */
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

/* Contexts of a thread's slot, made when first asked for. */
AZR_CHECKED int azri_deflate_compressor(struct libdeflate_compressor **out,
                                        const azr_codec_scratch *s, int level,
                                        azr_error *err);
void azri_deflate_scratch_free(void *slot);

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
