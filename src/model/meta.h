/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An array's metadata as values. Immutable after parse; shared by reference.
 * model/meta_v2.c and model/meta_v3.c turn documents into this and back.
 */
#ifndef AZRI_MODEL_META_H
#define AZRI_MODEL_META_H

#include "model/dtype.h"
#include "model/key.h"

/* One step of the codec chain as the document names it; the codec room knows
 * what it means. dialect 2: {"id": …} members, 3: configuration object. */
typedef struct azri_codec_spec {
    char *name;
    char *config; /* JSON object text; "{}" if there is none */
    int dialect;
    bool optional; /* v3 must_understand false: unknown may be skipped */
} azri_codec_spec;

#define AZRI_MAX_CODECS 64
/* Chunks larger than this are refused unless azr_set_memory_cap allows: */
#define AZRI_MAX_CHUNK_NBYTES ((size_t)2 << 30)

typedef struct azri_meta {
    int zarr_format;
    int rank;
    int64_t shape[AZR_MAX_RANK];
    int64_t chunk[AZR_MAX_RANK]; /* >= 1 */
    const azri_dtype *dtype;
    azri_keying keying;
    bool has_fill; /* v2 null: false, fill is zeros, chunks are never elided */
    uint8_t fill[AZRI_FILL_NBYTES];
    size_t chunk_nbytes; /* decoded; checked not to overflow */
    /* v2: [transpose of order F], bytes(endian of dtype), filters, compressor,
     * all as one chain, so that nothing below asks for the format. */
    azri_codec_spec *codecs;
    size_t codec_count;
    char order;            /* 'C' or 'F' as v2 says it; v3: 'C' */
    bool big_endian;       /* v2 dtype; v3: of the bytes codec */
    char *opaque;          /* why elements cannot be made of chunks; NULL: they
                            * can. dtype, fill and sizes mean nothing then */
    int opaque_sub;        /* its azr_sub */
    bool read_only;        /* an unknown storage transformer was skipped; of
                            * unknown optional codecs the chain knows */
    char *dimension_names; /* JSON text, or NULL */
    azri_buf text;         /* the document, byte for byte */
    azri_buf
        attributes; /* v2: .zattrs byte for byte (empty: none); v3: unused */
} azri_meta;

/* The attribute that names the dimensions of an array of format 2. */
#define AZRI_V2_NAMES "_ARRAY_DIMENSIONS"

/* Name of the metadata document of a format: "zarr.json" or ".zarray". */
const char *azri_meta_key(int zarr_format);

/*
 * Parse a document. `zattrs` (v2 only) may be empty. Unknown or unsupported
 * parts are refused by name: AZR_EUNSUPPORTED (FORMAT: data type, grid, key
 * encoding, storage transformer, unknown member that must be understood; CODEC
 * is left to the codec room, except that pickle and codecs of objects are
 * refused here), damage: AZR_ECORRUPT (METADATA), a group: AZR_ENOTFOUND. A
 * chunk of any size that fits into size_t is taken: who reads judges it. `text`
 * is copied.
 */
AZR_CHECKED int azri_meta_parse(azri_meta **out, int zarr_format,
                                azri_span text, azri_span zattrs,
                                azr_error *err);
/*
 * Of a document that azri_meta_parse refuses: nothing but shape, chunk grid, key
 * encoding and names. `opaque` is set to `why`. What these three say must be
 * understood all the same, and so must members that nobody knows.
 */
AZR_CHECKED int azri_meta_parse_grid(azri_meta **out, int zarr_format,
                                     azri_span text, azri_span zattrs,
                                     const azr_error *why, azr_error *err);
void azri_meta_free(azri_meta *m);

/* The document of a new array, into empty buffers. Checks the whole spec:
 * AZR_EINVAL. Writes attributes inline (v3) or into `zattrs` (v2; left empty if
 * there are none). */
AZR_CHECKED int azri_meta_compose(azri_buf *text, azri_buf *zattrs,
                                  const azr_array_spec *spec, azr_error *err);
/* The document with another shape, other bytes unchanged. */
AZR_CHECKED int azri_meta_with_shape(azri_buf *text, const azri_meta *m,
                                     const int64_t *shape, azr_error *err);
/* The name of dimension d, decoded and terminated, from `m` parsed with its
 * attributes; left empty (data NULL) if it has none. */
AZR_CHECKED int azri_meta_dimension_name(azri_buf *out, const azri_meta *m,
                                         int d, azr_error *err);
/* Attributes as JSON text ("{}" if there are none). */
AZR_CHECKED int azri_meta_attributes(azri_buf *out, const azri_meta *m,
                                     azr_error *err);
/* The document (v3: zarr.json, v2: .zattrs) with attribute `name` set to `json`
 * (checked; NULL: removed, if it is there), other bytes unchanged; into an empty
 * buffer. */
AZR_CHECKED int azri_meta_with_attribute(azri_buf *out, const azri_meta *m,
                                         const char *name, const char *json,
                                         azr_error *err);

/* Turn "zstd:5", "blosc:lz4:5:shuffle", "none", "crc32c,zstd:3" (or JSON text,
 * passed through after a check) into codec JSON for a new document: v3 a list of
 * bytes-to-bytes codecs (as JSON it may also be a whole chain, with "bytes" or
 * "sharding_indexed" in it), v2 a compressor object or null (v2 allows one). */
AZR_CHECKED int azri_codec_names_to_json(azri_buf *out, int zarr_format,
                                         const azri_dtype *dtype,
                                         const char *text, azr_error *err);

#endif
