/* SPDX-License-Identifier: Apache-2.0 */
/* Data types, as one table: everything that differs by type stands there. */
#ifndef AZRI_MODEL_DTYPE_H
#define AZRI_MODEL_DTYPE_H

#include "base/buf.h"

#include <stdbool.h>

typedef enum azri_dtype_kind {
    AZRI_KIND_BOOL,
    AZRI_KIND_INT,
    AZRI_KIND_UINT,
    AZRI_KIND_FLOAT,
    AZRI_KIND_COMPLEX
} azri_dtype_kind;

typedef struct azri_dtype {
    int id; /* azr_dtype */
    azri_dtype_kind kind;
    const char *v3_name; /* "int32" */
    const char *v2_code; /* "i4": kind and size, without byte order */
    size_t nbytes;       /* of an element */
    size_t swap_unit;    /* bytes that are swapped together; 1: never */
} azri_dtype;

/* NULL for an unknown id. */
const azri_dtype *azri_dtype_get(int id);
/* The table, for tests that must cover every type: *count_out rows. */
const azri_dtype *azri_dtype_table(size_t *count_out);
/* A stand-in for a type that is not known: no id, and no element is ever made. */
const azri_dtype *azri_dtype_opaque(void);
/* Exact v3 name; NULL if there is no such type. */
const azri_dtype *azri_dtype_by_v3_name(const char *name);
/* The same by kind and size: "i4". */
const azri_dtype *azri_dtype_by_v2_code(const char *code);

#define AZRI_FILL_NBYTES 16 /* widest element */

/*
 * Fill value of `type` from its JSON text into machine byte order.
 * format 3: strict rules of the v3 specification ("NaN", "Infinity",
 * "-Infinity", "0x…" bit patterns, [re, im], true/false and 0/1 for bool).
 * format 2: also what v2 writers produce (integral floats, decimal strings,
 * bare NaN, plain number for complex, base64 of a complex element). JSON null
 * with format 2 sets *has_fill false and zeroes `out`.
 * AZR_EINVAL (sub METADATA) with the text found and what is needed.
 */
AZR_CHECKED int azri_fill_parse(uint8_t out[AZRI_FILL_NBYTES], bool *has_fill,
                                const azri_dtype *type, int zarr_format,
                                const char *json, size_t json_nbytes,
                                azr_error *err);
/* The canonical JSON text of a fill value; NaNs with a payload as "0x…" (v3).
 * Shortest decimal that reads back the same. */
AZR_CHECKED int azri_fill_format(azri_buf *out, const azri_dtype *type,
                                 int zarr_format, bool has_fill,
                                 const uint8_t fill[AZRI_FILL_NBYTES],
                                 azr_error *err);
/* One element as text for people and JSON output (same rules as v3 fill). */
AZR_CHECKED int azri_element_format(azri_buf *out, const azri_dtype *type,
                                    const void *element, azr_error *err);

#endif
