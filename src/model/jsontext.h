/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON that keeps its bytes. json-c parses; this scanner knows where each
 * member of an object stands, so that a rewrite changes one member and leaves
 * every other byte (order, spacing, bare NaN, unknown members) as it was.
 */
#ifndef AZRI_MODEL_JSONTEXT_H
#define AZRI_MODEL_JSONTEXT_H

#include "base/buf.h"

#include <json-c/json_object.h>
#include <stdbool.h>

#define AZRI_JSON_MAX_DEPTH  64
#define AZRI_JSON_MAX_NBYTES ((size_t)64 << 20)
/* Values in a json-c tree: it spends up to 1 KiB on each. */
#define AZRI_JSON_MAX_VALUES 65536

/*
 * Is `text` one JSON value (UTF-8, a BOM is skipped, nothing after it, within
 * depth and size, bare NaN/Infinity/-Infinity accepted, integers of any length,
 * any number of values)? Allocates nothing. `code` is AZR_ECORRUPT for stored
 * text (sub METADATA) or AZR_EINVAL for a caller's (sub ARGUMENT); the message
 * gives the byte.
 */
AZR_CHECKED int azri_json_check(azri_span text, const char *what, int code,
                                azr_error *err);

/*
 * Parse a small document (a codec configuration) into a tree: azri_json_check,
 * then json-c. Refused as well: more than AZRI_JSON_MAX_VALUES values, integers
 * that json-c would clamp, member names with \u0000 that it would cut. Duplicate
 * member names: last wins. A lone surrogate becomes U+FFFD.
 * `what` names the document in messages. Caller: json_object_put(*out).
 * *out is NULL for the document `null`. AZR_ECORRUPT (METADATA) with the byte.
 */
AZR_CHECKED int azri_json_parse(struct json_object **out, azri_span text,
                                const char *what, azr_error *err);

/* What follows takes text that has passed azri_json_check. */

typedef enum azri_json_type {
    AZRI_JSON_OBJECT,
    AZRI_JSON_ARRAY,
    AZRI_JSON_STRING,
    AZRI_JSON_INTEGER, /* no fraction, no exponent */
    AZRI_JSON_REAL,    /* other finite numbers */
    AZRI_JSON_BARE,    /* NaN, Infinity, -Infinity */
    AZRI_JSON_TRUE,
    AZRI_JSON_FALSE,
    AZRI_JSON_NULL
} azri_json_type;

/* The value alone: without BOM and surrounding white space. */
azri_span azri_json_body(azri_span text);
azri_json_type azri_json_type_of(azri_span value);
/* An AZRI_JSON_INTEGER that fits. */
bool azri_json_i64(azri_span value, int64_t *out);
/* Does the JSON string `string` decode to `text`? */
bool azri_json_same(azri_span string, const char *text);
/* Append what the JSON string decodes to; a lone surrogate becomes U+FFFD. */
AZR_CHECKED int azri_json_unquote(azri_buf *out, azri_span string,
                                  azr_error *err);
/* Bytes of `text` that a message should quote (a few, whole characters). */
int azri_json_snip(azri_span text);
#define AZRI_SNIP(span) azri_json_snip(span), (const char *)(span).data

/* Walk over the members of an object or the elements of an array. When `next`
 * says false, `at` is the offset of the closing bracket. */
typedef struct azri_json_walk {
    azri_span text;
    size_t at;
} azri_json_walk;
typedef struct azri_json_item {
    azri_span name; /* with its quotes; empty in an array */
    azri_span value;
} azri_json_item;
azri_json_walk azri_json_begin(azri_span container);
bool azri_json_next(azri_json_walk *walk, azri_json_item *out);

/* Where member `name` (decoded, escapes compared by value) of the object in
 * `text` has its value; false if it has none. Last one wins. */
bool azri_json_find(azri_span text, const char *name, azri_span *value_out);

/*
 * Copy object `text` to `out` with member `name` set to `value` (JSON text), or
 * removed if value.data is NULL. Other bytes unchanged; a new member goes last,
 * in the style (indent, separators) of the object. `name` twice: the last one is
 * set, all are removed.
 */
AZR_CHECKED int azri_json_splice(azri_buf *out, azri_span text,
                                 const char *name, azri_span value,
                                 azr_error *err);
/* The same value with Python's line breaks: `indent` spaces a level, one element
 * a line. Scalars keep their bytes. */
AZR_CHECKED int azri_json_pretty(azri_buf *out, azri_span text, size_t indent,
                                 azr_error *err);
/* Append `text` as a JSON string with quotes. AZR_EINVAL: not UTF-8. */
AZR_CHECKED int azri_json_quote(azri_buf *out, const char *text, size_t nbytes,
                                azr_error *err);

#endif
