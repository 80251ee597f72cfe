/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A codec chain, compiled once per metadata document: transposes and byte order
 * at its head become a layout (strides and a swap that the copy applies on the
 * way); what follows is a list of bytes-to-bytes codecs. Array codecs that are
 * more than a layout (delta, casts, sharding …) have their place between the
 * two: stages run on whole buffers there.
 */
#ifndef AZRI_CODEC_CHAIN_H
#define AZRI_CODEC_CHAIN_H

#include "model/meta.h"

typedef struct azri_chain azri_chain;

/* Scratch buffers and codec contexts of one thread; any chain may use it. */
typedef struct azri_coder azri_coder;

/* AZR_EUNSUPPORTED (CODEC) names an unknown codec; AZR_EINVAL a bad
 * configuration; AZR_ECORRUPT a chain that is not (A→A)* A→B (B→B)*. */
AZR_CHECKED int azri_chain_new(azri_chain **out, const azri_meta *m,
                               azr_error *err);
/* (Of a document that is opaque: the names alone. Nothing may run through it.) */
void azri_chain_free(azri_chain *c);

/* Byte strides of chunk dimension d inside the encoded-side buffer ("chunk
 * buffer"): C-order strides permuted by the transposes. */
const int64_t *azri_chain_strides(const azri_chain *c);
/* Bytes to reverse together between chunk buffer and machine order; 1: none. */
size_t azri_chain_swap_unit(const azri_chain *c);
/* No bytes codec at all: the stored object is the chunk buffer. */
bool azri_chain_is_raw(const azri_chain *c);
/* Is the decoded chunk buffer plain C order in machine order? */
bool azri_chain_is_plain(const azri_chain *c);
/* Names in encoding order, comma separated, as in azr_array_info.codecs. */
const char *azri_chain_names(const azri_chain *c);
/* An unknown codec that need not be understood was left out: read only. */
bool azri_chain_is_partial(const azri_chain *c);
/* Most bytes a stored object of this chain can honestly have. Larger files are
 * refused before they are read. SIZE_MAX if unknown. */
size_t azri_chain_stored_max(const azri_chain *c);

AZR_CHECKED int azri_coder_new(azri_coder **out, azr_error *err);
void azri_coder_free(azri_coder *c);
/* The coder's own chunk buffer, at least `nbytes`, reused between chunks. */
AZR_CHECKED int azri_coder_chunk(azri_coder *c, size_t nbytes, uint8_t **out,
                                 azr_error *err);
/* A second buffer of the coder for stored bytes read from a file. */
AZR_CHECKED int azri_coder_stored(azri_coder *c, size_t nbytes, uint8_t **out,
                                  azr_error *err);

/* Chunk buffer → stored bytes; the span points into the coder (or is `chunk`
 * itself for a raw chain) and lives until its next use. */
AZR_CHECKED int azri_chain_encode(const azri_chain *c, azri_coder *coder,
                                  azri_span chunk, azri_span *out,
                                  azr_error *err);
/* Stored bytes → exactly `nbytes` at `chunk` (the caller's buffer). They must not
 * be those that this coder has just encoded: it decodes into the same memory. */
AZR_CHECKED int azri_chain_decode(const azri_chain *c, azri_coder *coder,
                                  azri_span stored, uint8_t *chunk,
                                  size_t nbytes, azr_error *err);

#endif
