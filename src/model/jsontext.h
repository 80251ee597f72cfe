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

/*
 * Parse a whole document: UTF-8 (a BOM is skipped), nothing after it, depth and
 * size limits above, duplicate member names: last wins (json-c), integers that
 * json-c would clamp are refused, bare NaN/Infinity/-Infinity accepted.
 * `what` names the document in messages. Caller: json_object_put(*out).
 * *out is NULL for the document `null`. AZR_ECORRUPT (METADATA) with the byte.
 */
AZR_CHECKED int azri_json_parse(struct json_object **out, azri_span text,
                                const char *what, azr_error *err);

/* Where member `name` (decoded, escapes compared by value) of the object that
 * begins at text[0] has its value; false if it has none. Last one wins. `text`
 * must have passed azri_json_parse and be an object. */
bool azri_json_find(azri_span text, const char *name, azri_span *value_out);

/*
 * Copy object `text` to `out` with member `name` set to `value` (JSON text), or
 * removed if value.data is NULL. Other bytes unchanged; a new member goes last,
 * in the style (indent, separators) of the object.
 */
AZR_CHECKED int azri_json_splice(azri_buf *out, azri_span text,
                                 const char *name, azri_span value,
                                 azr_error *err);
/* Append `text` as a JSON string with quotes. */
AZR_CHECKED int azri_json_quote(azri_buf *out, const char *text, size_t nbytes,
                                azr_error *err);

#endif
