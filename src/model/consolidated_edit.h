/* SPDX-License-Identifier: Apache-2.0 */
/* Some entries of consolidated metadata made true; every other byte of the
 * document stays as it is. */
#ifndef AZRI_MODEL_CONSOLIDATED_EDIT_H
#define AZRI_MODEL_CONSOLIDATED_EDIT_H

#include "model/jsontext.h"

/* An entry by its key, and the document (checked, an object) that it has to agree
 * with; `text.data` NULL: there is none. */
typedef struct azri_edit {
    const char *key;
    azri_span text;
} azri_edit;

/*
 * `text` (zarr.json or .zmetadata), whose entries `object` holds, as
 * azri_consolidated_object has found, with the entries of `edits`, which are
 * sorted by key, each key once. An entry that agrees already keeps its bytes; if
 * all do, *changed is false and `out`, which was empty, stays so. One pass.
 * AZR_EINVAL: it would be too large to be read again.
 */
AZR_CHECKED int azri_consolidated_edit(azri_buf *out, bool *changed,
                                       int zarr_format, azri_span text,
                                       azri_span object, const azri_edit *edits,
                                       size_t n, azr_error *err);

#endif
