/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For authors of codecs. Stable within a minor release only.
 *
 * A codec is one constant of type azr_codec in one file, named in the table of
 * src/codec/registry.c. It keeps no global state; contexts that are dear to make
 * live in the scratch that the caller passes (one per thread).
 */
#ifndef AZR_SYS_CODEC_H
#define AZR_SYS_CODEC_H

#include <atomiczarr.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum azr_codec_kind {
    AZR_CODEC_ARRAY_ARRAY = 0,
    AZR_CODEC_ARRAY_BYTES = 1,
    AZR_CODEC_BYTES_BYTES = 2
} azr_codec_kind;

/** Which document a configuration comes from. */
typedef enum azr_codec_dialect {
    AZR_DIALECT_V2 = 2,       /**< v2 codec object; unknown members ignored */
    AZR_DIALECT_V3 = 3,       /**< v3 configuration; unknown members refused */
    AZR_DIALECT_NUMCODECS = 4 /**< of a v3 name "numcodecs.…": members as in
                                   v2, unknown ones refused */
} azr_codec_dialect;

/** What flows into a codec when encoding: shape, type, and how elements stand.
 *  Behind a bytes-to-bytes codec it is plain bytes: item_nbytes is 1. */
typedef struct azr_codec_array {
    int32_t rank;
    int32_t dtype; /**< azr_dtype */
    size_t item_nbytes;
    size_t swap_nbytes; /**< bytes swapped together; 1: order does not matter */
    int64_t shape[AZR_MAX_RANK];
} azr_codec_array;

/**
 * How the chunk buffer differs from the array, as far as a copy can put it right
 * on the way: codecs at the head of a chain fold into it and never run.
 */
typedef struct azr_codec_layout {
    int32_t axes[AZR_MAX_RANK]; /**< encoded axis i is array axis axes[i] */
    int32_t is_big_endian;
} azr_codec_layout;

/** Growable output with a ceiling; the codec calls `reserve` (which keeps the
 *  first nbytes, and after which data is not NULL), then sets nbytes. */
typedef struct azr_codec_out azr_codec_out;
struct azr_codec_out {
    uint8_t *data;
    size_t nbytes, capacity;
    size_t limit; /**< more than this is an error: AZR_ECORRUPT when decoding */
    int (*reserve)(azr_codec_out *out, size_t capacity, azr_error *err);
};

/** Per-thread memory: `slot` is the codec's own, freed by `release`. */
typedef struct azr_codec_scratch {
    void **slot;
} azr_codec_scratch;

typedef struct azr_codec {
    const char *name;  /**< v3 name */
    const char *v2_id; /**< v2 "id", or NULL */
    const char *alias; /**< another v3 name, e.g. "numcodecs.zstd", or NULL */
    azr_codec_kind kind;
    int32_t has_fixed_size; /**< `bound` is the exact size, never less */
    /**
     * Read a configuration (JSON object text) written in `dialect`. `in` is what
     * flows in. *conf_out is freed by `conf_free`.
     */
    int (*configure)(void **conf_out, const char *json, int dialect,
                     const azr_codec_array *in, azr_error *err);
    void (*conf_free)(void *conf);
    /** Array codecs: how `array` looks after encoding (shape permuted …). */
    int (*shape)(const void *conf, azr_codec_array *array, azr_error *err);
    /** A codec that only moves elements, or bytes within them: change `layout`
     *  instead. NULL for all others. */
    int (*layout)(const void *conf, const azr_codec_array *in,
                  azr_codec_layout *layout, azr_error *err);
    /** Most bytes that encoding `nbytes` can give; 0: too many. Needed where
     *  `encode` is. */
    size_t (*bound)(const void *conf, size_t nbytes);
    int (*encode)(const void *conf, const azr_codec_scratch *s,
                  azr_codec_out *dst, const uint8_t *src, size_t src_nbytes,
                  azr_error *err);
    /** `expected` bytes are wanted when known (else 0: unknown, up to
     *  dst->limit). Fewer or more is AZR_ECORRUPT. */
    int (*decode)(const void *conf, const azr_codec_scratch *s,
                  azr_codec_out *dst, size_t expected, const uint8_t *src,
                  size_t src_nbytes, azr_error *err);
    void (*scratch_free)(void *slot);
} azr_codec;

#ifdef __cplusplus
}
#endif
#endif
