/* SPDX-License-Identifier: Apache-2.0 */
/* The table of codecs that are built in. */
#ifndef AZRI_CODEC_REGISTRY_H
#define AZRI_CODEC_REGISTRY_H

#include <azr/sys/codec.h>

/* By the name a document of that dialect gives it (v2 "id"; v3 name or alias).
 * NULL: unknown. */
const azr_codec *azri_codec_find(const char *name, int dialect);

/* Codec number `index`, below azri_codec_count(): also the number of its slot
 * in a coder. */
const azr_codec *azri_codec_at(size_t index);
size_t azri_codec_count(void);
size_t azri_codec_index(const azr_codec *codec);

extern const azr_codec azri_codec_blosc;
extern const azr_codec azri_codec_bytes;
extern const azr_codec azri_codec_crc32c;
extern const azr_codec azri_codec_gzip;
extern const azr_codec azri_codec_lz4;
extern const azr_codec azri_codec_transpose;
extern const azr_codec azri_codec_zlib;
extern const azr_codec azri_codec_zstd;

#endif
