/* SPDX-License-Identifier: Apache-2.0 */
/** Groups and the trees below them. Include <atomiczarr.h>. */
#ifndef ATOMICZARR_GROUP_H
#define ATOMICZARR_GROUP_H

#include <atomiczarr/array.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------- groups --- */

/**
 * A group: a directory with arrays and groups in it, and attributes. A handle
 * holds no document: every call looks at what stands on the disk now. Handles
 * may be shared between threads, and used after a fork. Groups get no `.azr`:
 * a change takes a lock (flock) of the group's directory, writes the new
 * document beside the old one, syncs it and renames it into place, so every
 * reader sees the old document or the new one, after power loss as well.
 */
typedef struct azr_group azr_group;

/** In `flags` of azr_group_open: a directory without a document is taken for a
 *  group as well (zarr_format 0, no attributes, read only). */
#define AZR_OPEN_IMPLIED 64u

/** What a directory is. */
typedef enum azr_node_kind {
    AZR_NODE_NONE = 0, /**< its document cannot be read: status and text tell */
    AZR_NODE_ARRAY = 1,
    AZR_NODE_GROUP = 2,
    AZR_NODE_DIRECTORY = 3 /**< no document; there may be nodes below it */
} azr_node_kind;

/**
 * What is at `path`: an azr_node_kind, never AZR_NODE_NONE, and the version of
 * Zarr (0 for a directory; NULL allowed). Of an array only its kind is judged.
 *
 * @return AZR_ENOTFOUND (no such directory), AZR_ECORRUPT (METADATA),
 *         AZR_EUNSUPPORTED (FORMAT), AZR_EPERM
 */
AZR_API AZR_CHECKED int azr_node_at(int *kind_out, int *format_out,
                                    const char *path, azr_error *err);

/**
 * The text of a metadata document of the node at `path`: `key` is "zarr.json",
 * ".zarray", ".zgroup" or ".zattrs". It is not judged. Of an array that a
 * transaction has created it is found from the commit on, also while it does not
 * stand in its place yet; of others it is the file. NUL-terminated; release with
 * azr_free.
 *
 * @return AZR_EINVAL (another key), AZR_ENOTFOUND (no such directory, no such
 *         document), AZR_ECORRUPT (METADATA: too long), AZR_EPERM
 */
AZR_API AZR_CHECKED int azr_node_document(char **out, const char *path,
                                          const char *key, azr_error *err);

typedef struct azr_group_spec {
    uint32_t struct_size;
    int32_t zarr_format;    /**< 2 or 3 (default 3) */
    const char *attributes; /**< JSON object; NULL: none */
} azr_group_spec;
#define AZR_GROUP_SPEC_INIT                                                    \
    {                                                                          \
        (uint32_t)sizeof(azr_group_spec), 0, NULL                              \
    }

/**
 * Create a group at `path` (a directory that does not exist, or holds no node;
 * what is above it must exist) and open it for writing. `spec` NULL: the
 * defaults. Of two creators, of groups or arrays, exactly one succeeds, and
 * nobody sees half a document.
 *
 * @return AZR_EEXISTS (an array or group is there), AZR_EINVAL, AZR_EBUSY,
 *         AZR_EUNSUPPORTED (FILESYSTEM), AZR_EPERM, AZR_EIO
 */
AZR_API AZR_CHECKED int azr_group_create(azr_group **out, const char *path,
                                         const azr_group_spec *spec,
                                         const azr_open_options *options,
                                         azr_error *err);
/**
 * Open the group at `path`. `options` NULL: read only, 60 s time-out; `sync` and
 * `threads` mean nothing here.
 *
 * @return AZR_ENOTFOUND (nothing there, or an array), AZR_ECORRUPT (METADATA),
 *         AZR_EUNSUPPORTED (what is named), AZR_EPERM
 */
AZR_API AZR_CHECKED int azr_group_open(azr_group **out, const char *path,
                                       const azr_open_options *options,
                                       azr_error *err);
/** Close; NULL allowed. Not while another thread uses the handle. */
AZR_API void azr_group_close(azr_group *group);

typedef struct azr_group_info {
    uint32_t struct_size; /**< in: sizeof(azr_group_info) */
    int32_t zarr_format;  /**< 2, 3, or 0: a directory (AZR_OPEN_IMPLIED) */
    int32_t consolidated; /**< it has consolidated metadata */
    int32_t reserved;
} azr_group_info;
AZR_API AZR_CHECKED int azr_group_info_get(azr_group *group,
                                           azr_group_info *out, azr_error *err);

/** Attributes as JSON text, NUL-terminated; release with azr_free. */
AZR_API AZR_CHECKED int azr_group_attributes(azr_group *group, char **out,
                                             azr_error *err);
/**
 * Set attribute `name` to the JSON value `json` (NULL: delete it). Bytes of all
 * others are kept, and changes by participants at the same time all arrive.
 *
 * @return AZR_EINVAL, AZR_EBUSY (time-out: nothing changed), AZR_ECANCELED,
 *         AZR_ECONFLICT (FOREIGN: a plain Zarr program replaced the document
 *         meanwhile; nothing changed), AZR_EPERM, AZR_EIO
 */
AZR_API AZR_CHECKED int azr_group_attribute_set(azr_group *group,
                                                const char *name,
                                                const char *json,
                                                azr_error *err);
/**
 * Set `n` attributes, `names[k]` to the JSON value `values[k]` (NULL: delete it),
 * in this order, by one replacement of the document: everybody sees all of them or
 * none. Else as azr_group_attribute_set, which is the same for one. With `n` 0
 * nothing happens.
 */
AZR_API AZR_CHECKED int azr_group_attributes_change(azr_group *group, size_t n,
                                                    const char *const *names,
                                                    const char *const *values,
                                                    azr_error *err);
/** Replace all attributes by the JSON object `json`; else as
 *  azr_group_attribute_set. */
AZR_API AZR_CHECKED int azr_group_attributes_replace(azr_group *group,
                                                     const char *json,
                                                     azr_error *err);

/** One node below a group; the texts are valid during the call. */
typedef struct azr_node {
    uint32_t struct_size;
    int32_t kind;        /**< azr_node_kind */
    int32_t zarr_format; /**< 2 or 3; 0 for a directory */
    int32_t status;      /**< AZR_OK, or why its document cannot be read */
    int32_t depth;       /**< 1: a child of the group */
    int32_t reserved;
    const char *path; /**< relative to the group, '/' between names */
    const char *name; /**< last part of `path` */
    const char *text; /**< message of `status`, or "" */
} azr_node;

/** From azr_node_fn: do not look below this node. */
#define AZR_WALK_SKIP 1
/** Deepest level that is looked at. */
#define AZR_WALK_DEPTH 64

/** Return 0 to go on, AZR_WALK_SKIP, or a negative value, which ends the walk
 *  and is returned. */
typedef int (*azr_node_fn)(const azr_node *node, void *arg);
/** Call `fn` for each child, by name in byte order. As azr_group_walk of depth 1. */
AZR_API AZR_CHECKED int azr_group_list(azr_group *group, azr_node_fn fn,
                                       void *arg, azr_error *err);
/**
 * Call `fn` for each node below the group, depth first, a node before those
 * below it, children by name in byte order; down to `max_depth` (0:
 * AZR_WALK_DEPTH, at most that). Looks into groups and into directories without
 * a document, not into arrays. Directories whose names begin with a dot are
 * seen only if they are nodes. Links are not followed. A node whose document
 * cannot be read is told of and ends nothing. No snapshot: what is made or
 * removed meanwhile may be seen or not.
 *
 * @return AZR_ECANCELED, AZR_EPERM, AZR_EIO, AZR_ENOMEM, or what `fn` returned
 */
AZR_API AZR_CHECKED int azr_group_walk(azr_group *group, int max_depth,
                                       azr_node_fn fn, void *arg,
                                       azr_error *err);

/**
 * Open or create what stands at `path` below a group: names with '/' between
 * them, none of them empty, "." or "..". `options` NULL: those of the group.
 * The path of the group is resolved anew (a relative one: from the working
 * directory). Creating makes groups above the new node where there are none,
 * of its format.
 *
 * @return as azr_array_open and its kin; AZR_EINVAL (ARGUMENT) for such a path
 */
AZR_API AZR_CHECKED int azr_group_open_array(azr_array **out, azr_group *group,
                                             const char *path,
                                             const azr_open_options *options,
                                             azr_error *err);
AZR_API AZR_CHECKED int azr_group_open_group(azr_group **out, azr_group *group,
                                             const char *path,
                                             const azr_open_options *options,
                                             azr_error *err);
AZR_API AZR_CHECKED int
azr_group_create_array(azr_array **out, azr_group *group, const char *path,
                       const azr_array_spec *spec,
                       const azr_open_options *options, azr_error *err);
AZR_API AZR_CHECKED int
azr_group_create_group(azr_group **out, azr_group *group, const char *path,
                       const azr_group_spec *spec,
                       const azr_open_options *options, azr_error *err);

/**
 * Write the consolidated metadata of the group: the documents of all nodes below
 * it, as they stand now, in `.zmetadata` (format 2) or in its zarr.json (format
 * 3), as zarr-python does. It is a copy: changes of nodes through this library
 * keep it true (AZR_OPEN_STALE_CONSOLIDATED), those by other programs make it stale
 * until this is called again. Nodes of the other format, and those below
 * directories without a document, are left out, since Zarr does not find them.
 *
 * @return as azr_group_attribute_set; AZR_ECORRUPT (a node cannot be read)
 */
AZR_API AZR_CHECKED int azr_group_consolidate(azr_group *group, azr_error *err);
/**
 * Call `fn` with an AZR_FINDING_STALE for each document that the consolidated
 * metadata lacks, has too many, or has otherwise than it stands now; `key` is
 * relative to the group. AZR_ENOTFOUND: there is no consolidated metadata.
 */
AZR_API AZR_CHECKED int azr_group_check_consolidated(azr_group *group,
                                                     azr_finding_fn fn,
                                                     void *arg, azr_error *err);

#ifdef __cplusplus
}
#endif
#endif
