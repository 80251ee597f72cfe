/* SPDX-License-Identifier: Apache-2.0 */
/* Groups and hierarchies: what the files of the core share about them. */
#ifndef AZRI_CORE_GROUP_H
#define AZRI_CORE_GROUP_H

#include "model/node.h"
#include "os/file.h"
#include "os/host.h"

/* Holds no document: what stands on the disk is looked at anew by each call, so
 * threads and forked children need nothing of each other. */
struct azr_group {
    char *path;
    int dir;
    int format; /* 0: a directory without a document */
    azr_open_options options;
};

/* ---- document.c: the documents of a node, as they stand under their keys ---- */

typedef struct azri_documents {
    int kind; /* azr_node_kind; AZR_NODE_DIRECTORY: there are none */
    int format;
    azri_buf text;       /* zarr.json, .zarray or .zgroup */
    azri_buf attributes; /* v2: .zattrs, empty if there is none */
    azri_identity text_id, attributes_id;
} azri_documents;
#define AZRI_DOCUMENTS_INIT                                                    \
    {                                                                          \
        AZR_NODE_NONE, 0, AZRI_BUF_INIT, AZRI_BUF_INIT, {0},                   \
        {                                                                      \
            0                                                                  \
        }                                                                      \
    }

/* Which node is in directory `dir`? Of a zarr.json `text` is then loaded, and of an
 * array that is committed and not in its place yet all that there is. */
AZR_CHECKED int azri_documents_classify(azri_documents *out, int dir,
                                        azr_error *err);
/* That, and every document. What they say is not judged. */
AZR_CHECKED int azri_documents_load(azri_documents *out, int dir,
                                    azr_error *err);
azri_node azri_documents_node(const azri_documents *docs);
void azri_documents_dispose(azri_documents *docs);
/* AZR_EEXISTS if a node is in `dir`. */
AZR_CHECKED int azri_documents_refuse(int dir, const char *path,
                                      azr_error *err);
/* Put `text` under `key`, whole, synced; the caller holds the directory's lock.
 * `seen`: what must still stand there, else AZR_ECONFLICT (FOREIGN); NULL:
 * nothing may (AZR_EEXISTS without a message). `any` takes whatever is there. */
typedef enum azri_put_mode {
    AZRI_PUT_NEW,   /* AZR_EEXISTS without a message */
    AZRI_PUT_OVER,  /* what is there must be `seen` */
    AZRI_PUT_ANYHOW /* whatever is there */
} azri_put_mode;
typedef struct azri_put {
    int dir;
    const char *path; /* of the group, for messages */
    const char *key;
    azri_put_mode mode;
    const azri_identity *seen; /* NULL: it must be absent */
} azri_put;
AZR_CHECKED int azri_document_put(const azri_put *put, azri_span text,
                                  azr_error *err);

/* ---- group.c ---- */
AZR_CHECKED int azri_node_document(char **out, const char *path,
                                   const char *key, azr_error *err);
AZR_CHECKED int azri_node_at(int *kind_out, int *format_out, const char *path,
                             azr_error *err);
AZR_CHECKED int azri_group_create(azr_group **out, const char *path,
                                  const azr_group_spec *spec,
                                  const azr_open_options *options,
                                  azr_error *err);
AZR_CHECKED int azri_group_open(azr_group **out, const char *path,
                                const azr_open_options *options,
                                azr_error *err);
void azri_group_close(azr_group *g);
AZR_CHECKED int azri_group_info(azr_group *g, azr_group_info *out,
                                azr_error *err);
AZR_CHECKED int azri_group_attributes(azr_group *g, char **out, azr_error *err);
/* By one replacement of the document. */
AZR_CHECKED int azri_group_attributes_change(azr_group *g, size_t n,
                                             const char *const *names,
                                             const char *const *values,
                                             azr_error *err);
AZR_CHECKED int azri_group_attributes_replace(azr_group *g, const char *json,
                                              azr_error *err);
/* The documents, judged; of a directory without any: empty, of format 0. */
AZR_CHECKED int azri_group_load(azr_group *g, azri_documents *out,
                                azr_error *err);
/* Path of what stands at `path` below; AZR_EINVAL. Caller: azri_free. */
AZR_CHECKED int azri_group_path(char **out, const azr_group *g,
                                const char *path, azr_error *err);
/* Groups above `path` made where there are none; names that Zarr keeps for
 * itself refused. */
AZR_CHECKED int azri_group_make_parents(azr_group *g, const char *path,
                                        azr_error *err);

/* Opened for writing, and a group? AZR_EPERM, AZR_ENOTFOUND. */
AZR_CHECKED int azri_group_may_write(const azr_group *g, azr_error *err);

/* ---- consolidate.c ---- */
AZR_CHECKED int azri_group_consolidate(azr_group *g, azr_error *err);
AZR_CHECKED int azri_group_check_consolidated(azr_group *g, azr_finding_fn fn,
                                              void *arg, azr_error *err);
AZR_CHECKED int azri_group_has_consolidated(azr_group *g, azri_documents *root,
                                            bool *out, azr_error *err);

/* ---- walk.c ---- */
AZR_CHECKED int azri_group_walk(azr_group *g, int max_depth, azr_node_fn fn,
                                void *arg, azr_error *err);

#endif
