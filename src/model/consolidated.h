/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Consolidated metadata: the documents of all nodes below a group in one place,
 * `.zmetadata` in version 2, a member of the group's zarr.json in version 3.
 */
#ifndef AZRI_MODEL_CONSOLIDATED_H
#define AZRI_MODEL_CONSOLIDATED_H

#include "model/jsontext.h"

/* ---- what stands there ---- */

typedef struct azri_consolidated azri_consolidated;

/* `text`: zarr.json, or .zmetadata, unchecked; it must outlive *out. AZR_ENOTFOUND
 * without a message if a zarr.json has none that we know. AZR_ECORRUPT
 * (METADATA), AZR_EUNSUPPORTED (FORMAT). */
AZR_CHECKED int azri_consolidated_parse(azri_consolidated **out,
                                        int zarr_format, azri_span text,
                                        azr_error *err);
void azri_consolidated_free(azri_consolidated *c);
/* Entry `key`, which is then seen; false if there is none. */
bool azri_consolidated_find(azri_consolidated *c, const char *key,
                            azri_span *out);
/* The next entry from *at on that was never found; NULL: no more. */
const char *azri_consolidated_unseen(const azri_consolidated *c, size_t *at,
                                     azri_span *out);

/*
 * Do two documents say the same? The order of members, the spelling of strings
 * and of numbers do not count; outside attributes neither does a member that is
 * null or empty against one that is absent, since programs write defaults out as
 * they like; nor, in a group, its own consolidated metadata. `exact`: all of it
 * is attributes. Told by 64-bit digests: a coincidence is as likely as that.
 */
AZR_CHECKED int azri_documents_agree(bool *out, azri_span a, azri_span b,
                                     bool exact, azr_error *err);

/* The object that holds the entries, within `text` (as above); checked. */
AZR_CHECKED int azri_consolidated_object(azri_span *out, int zarr_format,
                                         azri_span text, azr_error *err);

/* ---- what is to stand there ---- */

/* Append `document` (checked, an object) as an entry has it: a group of version 3
 * has no consolidated metadata of its own in there. */
AZR_CHECKED int azri_consolidated_member(azri_buf *out, int zarr_format,
                                         azri_span document, azr_error *err);

typedef struct azri_gathering azri_gathering;

AZR_CHECKED int azri_gathering_new(azri_gathering **out, int zarr_format,
                                   azr_error *err);
void azri_gathering_free(azri_gathering *g);
/* A document (checked, an object) by its key; `depth` of its node. */
AZR_CHECKED int azri_gathering_add(azri_gathering *g, const char *key,
                                   int depth, azri_span document,
                                   azr_error *err);
/* The whole new .zmetadata, or `root` (the group's zarr.json) with its member
 * set and all other bytes kept; into an empty buffer. AZR_EINVAL: too deep or
 * too large to be read again. */
AZR_CHECKED int azri_gathering_compose(azri_buf *out, azri_gathering *g,
                                       azri_span root, azr_error *err);

#endif
