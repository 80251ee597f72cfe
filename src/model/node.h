/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node of a hierarchy, array or group, as the bytes of its documents: what it
 * is, its attributes, and the documents of a new group. Every byte that is not
 * asked to change stays as it was.
 */
#ifndef AZRI_MODEL_NODE_H
#define AZRI_MODEL_NODE_H

#include "model/jsontext.h"

/* Borrowed spans; text has passed azri_json_check and is an object. */
typedef struct azri_node {
    int zarr_format;
    azri_span text;       /* zarr.json; v2: .zarray or .zgroup */
    azri_span attributes; /* v2: .zattrs (nbytes 0: none); v3: unused */
} azri_node;

/* Attributes as JSON text ("{}" if there are none). */
AZR_CHECKED int azri_node_attributes(azri_buf *out, const azri_node *n,
                                     azr_error *err);
/* The document that holds attributes (v3: zarr.json, v2: .zattrs) with `name`
 * set to `json` (checked; NULL: removed, if it is there), other bytes unchanged;
 * into an empty buffer. */
AZR_CHECKED int azri_node_with_attribute(azri_buf *out, const azri_node *n,
                                         const char *name, const char *json,
                                         azr_error *err);
/* The same with all attributes replaced by the object `json` (checked). */
AZR_CHECKED int azri_node_with_attributes(azri_buf *out, const azri_node *n,
                                          const char *json, azr_error *err);

/* azr_node_kind of a zarr.json: AZR_NODE_ARRAY or AZR_NODE_GROUP. AZR_ECORRUPT
 * (METADATA), AZR_EUNSUPPORTED (FORMAT). Nothing else of it is judged. */
AZR_CHECKED int azri_node_kind(int *out, azri_span text, azr_error *err);

/* Name of the metadata document of a group: "zarr.json" or ".zgroup". */
const char *azri_group_key(int zarr_format);
/* Is `n` (text unchecked here) the documents of a group that we understand?
 * AZR_ECORRUPT (METADATA), AZR_EUNSUPPORTED (FORMAT); of an array:
 * AZR_ENOTFOUND. */
AZR_CHECKED int azri_group_check(const azri_node *n, azr_error *err);
/* The documents of a new group, into empty buffers; `attributes` NULL: none.
 * AZR_EINVAL. `zattrs` is left empty in v3, and never in v2. */
AZR_CHECKED int azri_group_compose(azri_buf *text, azri_buf *zattrs,
                                   int zarr_format, const char *attributes,
                                   azr_error *err);

#endif
