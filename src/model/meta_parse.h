/* SPDX-License-Identifier: Apache-2.0 */
/* What the two parsers of metadata documents share. Of this room only. */
#ifndef AZRI_MODEL_META_PARSE_H
#define AZRI_MODEL_META_PARSE_H

#include "model/jsontext.h"
#include "model/meta.h"

/* What is being read: `name` goes in front of messages, and whose fault a
 * mistake is decides the code: AZR_ECORRUPT, or AZR_EINVAL for a caller's. */
typedef struct azri_doc {
    const char *name;
    int code;
} azri_doc;

/* A member that is looked for; value.data stays NULL if it is not there. */
typedef struct azri_member {
    const char *name;
    azri_span value;
} azri_member;

/* Judge a member that nobody looks for. */
typedef int (*azri_unknown_fn)(const azri_doc *doc, const azri_json_item *item,
                               azr_error *err);
int azri_unknown_ignore(const azri_doc *doc, const azri_json_item *item,
                        azr_error *err);
int azri_unknown_refuse(const azri_doc *doc, const azri_json_item *item,
                        azr_error *err);
/* v3: members of whoever wrote the document; only those that say so may be
 * ignored. */
int azri_unknown_v3(const azri_doc *doc, const azri_json_item *item,
                    azr_error *err);

/* AZR_ECORRUPT (METADATA) unless `text` is JSON, and an object. */
AZR_CHECKED int azri_meta_check_object(azri_span text, const char *name,
                                       azr_error *err);
/* One pass over object `text`; of equal names the last wins. */
AZR_CHECKED int azri_meta_collect(const azri_doc *doc, azri_span text,
                                  azri_member *members, size_t count,
                                  azri_unknown_fn unknown, azr_error *err);
/* "doc: member is missing: need …" or "doc: member is <found>, need <need>". */
int azri_meta_refuse(const azri_doc *doc, const azri_member *member,
                     const char *need, azr_error *err);
/* AZR_EUNSUPPORTED (FORMAT): "doc: what <found> is not supported". */
int azri_meta_unsupported(const azri_doc *doc, const char *what,
                          azri_span found, azr_error *err);

/* A list of integers from 0 to 2^63-1, at most AZR_MAX_RANK. */
AZR_CHECKED int azri_meta_lengths(const azri_doc *doc,
                                  const azri_member *member,
                                  int64_t out[AZR_MAX_RANK], int *count_out,
                                  azr_error *err);
/* Shape and chunk as a whole: sizes that can be, chunk_nbytes. */
AZR_CHECKED int azri_meta_sizes(azri_meta *m, const azri_doc *doc,
                                azr_error *err);
AZR_CHECKED int azri_meta_fill(azri_meta *m, const azri_doc *doc,
                               const azri_member *member, azr_error *err);

/* Room for the chain, before the first push. */
AZR_CHECKED int azri_meta_reserve_codecs(azri_meta *m, size_t count,
                                         azr_error *err);
/* Append to the chain; `name` is a JSON string with its quotes, config.data
 * NULL means {}. */
AZR_CHECKED int azri_meta_push_codec(azri_meta *m, azri_span name,
                                     azri_span config, int dialect,
                                     bool optional, azr_error *err);
/* Append a transpose that reverses all axes, if there is more than one. */
AZR_CHECKED int azri_meta_push_reverse(azri_meta *m, bool reverse,
                                       azr_error *err);
/* pickle and its kin, under a v2 id or a v3 name: refused, always. */
AZR_CHECKED int azri_meta_check_codec_name(const azri_doc *doc, azri_span name,
                                           azr_error *err);

/* An extension point of v3: {"name", "configuration", "must_understand"}, or
 * the name alone. */
typedef struct azri_extension {
    azri_span name;   /* with its quotes */
    azri_span config; /* data NULL: none */
    bool optional;    /* must_understand is false */
} azri_extension;
#define AZRI_EXTENSION_INIT                                                    \
    {                                                                          \
        {NULL, 0}, {NULL, 0}, false                                            \
    }

AZR_CHECKED int azri_meta_extension(azri_extension *out, const azri_doc *doc,
                                    const char *member, azri_span value,
                                    azr_error *err);
/* {"id": …} of v2. */
AZR_CHECKED int azri_meta_v2_codec_id(azri_span *id_out, const azri_doc *doc,
                                      const char *member, azri_span value,
                                      azr_error *err);

/* The two dialects: fill `m`, whose text is checked and an object. */
AZR_CHECKED int azri_meta_v2_read(azri_meta *m, const azri_doc *doc,
                                  azr_error *err);
AZR_CHECKED int azri_meta_v3_read(azri_meta *m, const azri_doc *doc,
                                  azr_error *err);
/* The same of grid, keys and names alone; codecs are names without a meaning. */
AZR_CHECKED int azri_meta_v2_read_grid(azri_meta *m, const azri_doc *doc,
                                       azr_error *err);
AZR_CHECKED int azri_meta_v3_read_grid(azri_meta *m, const azri_doc *doc,
                                       azr_error *err);

static inline azri_span azri_span_of(const char *text)
{
    azri_span s = {(const uint8_t *)text, __builtin_strlen(text)};

    return s;
}

#endif
