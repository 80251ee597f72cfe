/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate in front of c-blosc. Its decoder trusts what a chunk says about
 * itself (sizes, offsets, type size 0), and the one for blosclz adds match
 * lengths in an int that a long stream can wrap. So every number in the container
 * is checked here, and every blosclz stream walked, before the library sees them.
 */
#ifndef AZRI_CODEC_BLOSC_CHECK_H
#define AZRI_CODEC_BLOSC_CHECK_H

#include "base/error.h"

#include <stdbool.h>

#define AZRI_BLOSC_HEADER_NBYTES 16

typedef struct azri_blosc_header {
    uint32_t flags;
    uint32_t format; /* of the inner streams: 0 blosclz, 1 lz4 … */
    size_t typesize;
    size_t nbytes; /* decoded */
    size_t blocksize;
    bool is_copy; /* bytes stand behind the header as they are */
} azri_blosc_header;

enum {
    AZRI_BLOSC_BLOSCLZ = 0,
    AZRI_BLOSC_LZ4 = 1,
    AZRI_BLOSC_SNAPPY = 2,
    AZRI_BLOSC_ZLIB = 3,
    AZRI_BLOSC_ZSTD = 4
};

/* The header alone. AZR_ECORRUPT (CHUNK); AZR_EUNSUPPORTED (CODEC) if it is of
 * another version or compressor. */
AZR_CHECKED int azri_blosc_check_header(azri_blosc_header *out,
                                        const uint8_t *src, size_t src_nbytes,
                                        azr_error *err);
/* Every block and split of a chunk whose header passed. */
AZR_CHECKED int azri_blosc_check_blocks(const azri_blosc_header *h,
                                        const uint8_t *src, size_t src_nbytes,
                                        azr_error *err);
/* Does a blosclz stream stay within itself and decode to `nbytes`? */
bool azri_blosclz_is_sound(const uint8_t *src, size_t src_nbytes,
                           size_t nbytes);

#endif
