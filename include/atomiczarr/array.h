/* SPDX-License-Identifier: Apache-2.0 */
/** Arrays: create, open, read, write, reshape; what is going on in one. Include <atomiczarr.h>. */
#ifndef ATOMICZARR_ARRAY_H
#define ATOMICZARR_ARRAY_H

#include <atomiczarr/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------- arrays --- */

typedef struct azr_array azr_array;

/** How a handle writes. Only AZR_SYNC_FULL keeps the promises of this library. */
typedef enum azr_sync {
    AZR_SYNC_FULL = 0,  /**< every operation one transaction, one snapshot */
    AZR_SYNC_CHUNK = 1, /**< each chunk locked and replaced by itself */
    AZR_SYNC_NONE = 2   /**< each chunk replaced by itself, no lock */
} azr_sync;

typedef enum azr_durability {
    AZR_DURABILITY_PROCESS = 0, /**< survives the death of processes */
    AZR_DURABILITY_POWER = 1 /**< survives power loss: syncs at each commit */
} azr_durability;

/** Open for reading and writing; otherwise for reading alone. */
#define AZR_OPEN_WRITE 1u
/** Write on a file system whose locks could not be shown to work. */
#define AZR_OPEN_INSIST 2u
/** Store chunks that hold nothing but the fill value. */
#define AZR_OPEN_WRITE_EMPTY 4u
/** Reads of this handle never block a writer: they try until the time-out. */
#define AZR_OPEN_READ_UNLOCKED 8u
/** Test aid: leave out the in-process lock table, kernel locks alone stand. */
#define AZR_OPEN_KERNEL_LOCKS 16u
/** Do not finish the work of the dead while opening. */
#define AZR_OPEN_NO_RECOVERY 32u
/** Changes of metadata through this handle leave consolidated metadata of groups
 *  above as it is: stale. Without it they are renewed with the change, and where
 *  that is not permitted the change is refused (AZR_EPERM). */
#define AZR_OPEN_STALE_CONSOLIDATED 128u
/** Open also an array of which only shape, chunk grid and key encoding are known:
 *  with a data type, fill value, codecs, filters or storage transformers that this
 *  library cannot handle; a shard is a chunk then. Its chunks are read and written
 *  as they are stored (azr_txn_read_chunk, azr_txn_write_chunk). What needs
 *  elements (read, write, fill, update, append) is AZR_EUNSUPPORTED; resize keeps
 *  chunks that the new shape goes through as they are, so that what they hold
 *  beyond it comes back with a larger shape; verify does not look into chunks. All
 *  else works as ever, and for arrays that are known the flag changes nothing. */
#define AZR_OPEN_OPAQUE 1024u
/** For the functions that create. An array or group that is there is replaced,
 *  with all that is below it: the new one is built hidden, and comes into place
 *  in one step. Old handles fail with AZR_ENOTFOUND, "was replaced". A directory
 *  that holds something and is no node: AZR_EEXISTS. */
#define AZR_CREATE_REPLACE 256u
/** For the functions that create. An array (or group) that is there is opened as
 *  it is, whatever the spec says. Not together with AZR_CREATE_REPLACE. */
#define AZR_CREATE_OR_OPEN 512u

typedef struct azr_open_options {
    uint32_t struct_size;
    uint32_t flags;  /**< AZR_OPEN_… */
    uint32_t sync;   /**< azr_sync */
    int32_t threads; /**< per operation; 0: azr_set_threads' number */
    int64_t
        timeout_ms; /**< of each operation; 0: do not wait; below 0: for ever */
    azr_cancel *cancel; /**< NULL allowed; must outlive the handle */
} azr_open_options;

#define AZR_TIMEOUT_DEFAULT_MS 60000
#define AZR_OPEN_OPTIONS_INIT                                                  \
    {                                                                          \
        (uint32_t)sizeof(azr_open_options), 0, AZR_SYNC_FULL, 0,               \
            AZR_TIMEOUT_DEFAULT_MS, NULL                                       \
    }

/** What a new array is to be. Zeros mean the default that is named. */
typedef struct azr_array_spec {
    uint32_t struct_size;
    int32_t zarr_format; /**< 2 or 3 (default 3) */
    int32_t rank;
    int32_t dtype; /**< azr_dtype; required */
    int64_t shape[AZR_MAX_RANK];
    int64_t chunks[AZR_MAX_RANK]; /**< each ≥ 1 */
    int32_t big_endian;           /**< stored byte order (default little) */
    char order;                   /**< 'C' (default) or 'F' inside a chunk */
    char separator;               /**< '/' or '.'; default: v3 '/', v2 '.' */
    char key_encoding;            /**< v3: 'd' "default" (default), '2' "v2" */
    char reserved;
    /** Compression: "none", "zstd:5", "gzip:6", "zlib", "lz4", "blosc:lz4:5:shuffle",
     *  "crc32c", several joined by ','; or JSON: a v3 codec list, or a v2
     *  compressor object. NULL: "zstd:0" in v3, "blosc" in v2. */
    const char *codecs;
    const char *fill_value; /**< JSON text; NULL: 0 */
    const char *attributes; /**< JSON object; NULL: none */
    /** `rank` names or NULL; v3: a NULL among them is a dimension without one;
     *  v2: they become the attribute `_ARRAY_DIMENSIONS`. */
    const char *const *dimension_names;
    int32_t durability; /**< azr_durability */
    int32_t reserved2;
} azr_array_spec;

#define AZR_ARRAY_SPEC_INIT                                                    \
    {                                                                          \
        (uint32_t)sizeof(azr_array_spec), 0, 0, 0, {0}, {0}, 0, 0, 0, 0, 0,    \
            NULL, NULL, NULL, NULL, 0, 0                                       \
    }

/**
 * Create an array at `path` (a directory that does not exist, or holds no node)
 * and open it for writing. Of two creators exactly one succeeds, and nobody
 * sees half an array. In the flags of `options`: AZR_CREATE_REPLACE, or
 * AZR_CREATE_OR_OPEN; without either what is there is left alone.
 *
 * @return AZR_EEXISTS (an array or group is there), AZR_EINVAL, AZR_EUNSUPPORTED,
 *         AZR_EPERM, AZR_EIO
 */
AZR_API AZR_CHECKED int azr_array_create(azr_array **out, const char *path,
                                         const azr_array_spec *spec,
                                         const azr_open_options *options,
                                         azr_error *err);
/**
 * Open the array at `path`. `options` NULL: read only, 60 s time-out. Opening
 * for writing finishes what dead writers left.
 *
 * @return AZR_ENOTFOUND, AZR_ECORRUPT, AZR_EUNSUPPORTED (what is named), AZR_EPERM
 */
AZR_API AZR_CHECKED int azr_array_open(azr_array **out, const char *path,
                                       const azr_open_options *options,
                                       azr_error *err);
/** Close; NULL allowed. Not while another thread uses the handle. */
AZR_API void azr_array_close(azr_array *array);

/** How azr_array_share's handle works. */
typedef struct azr_share_options {
    uint32_t struct_size;
    uint32_t flags; /**< 0 */
    int64_t
        timeout_ms; /**< of each operation; 0: do not wait; below 0: for ever */
    azr_cancel *cancel; /**< NULL allowed; must outlive the handle */
    /** Told of the chunks of each read and write, on the thread that called; of a
     *  write locks are held then, so be quick. `done` begins again if a read was
     *  disturbed. Non-zero ends the operation (AZR_ECANCELED). NULL: none. */
    azr_progress_fn progress;
    void *arg; /**< of `progress` */
} azr_share_options;

#define AZR_SHARE_OPTIONS_INIT                                                 \
    {                                                                          \
        (uint32_t)sizeof(azr_share_options), 0, AZR_TIMEOUT_DEFAULT_MS, NULL,  \
            NULL, NULL                                                         \
    }

/**
 * Another handle of the array that `array` has open, with a time-out, a token and a
 * progress function of its own. It shares everything else: no system call is made,
 * so it may be had for a single call. In a transaction both count as one handle.
 * Each is closed by itself, in any order; from the end of a snapshot on, those of its
 * arrays may be closed only. The token of the handle that was opened must outlive
 * all of them. `options` NULL: the defaults.
 *
 * @return AZR_EINVAL, AZR_ENOMEM
 */
AZR_API AZR_CHECKED int azr_array_share(azr_array **out, azr_array *array,
                                        const azr_share_options *options,
                                        azr_error *err);

/** What an array is, at one instant. */
typedef struct azr_array_info {
    uint32_t struct_size; /**< in: sizeof(azr_array_info) */
    int32_t zarr_format;
    int32_t rank;
    int32_t dtype;
    int64_t shape[AZR_MAX_RANK];
    int64_t chunks[AZR_MAX_RANK];
    int32_t big_endian;
    char order, separator, key_encoding, has_fill;
    uint8_t fill[16]; /**< one element, machine byte order */
    int32_t durability;
    int32_t has_state; /**< `.azr/state` is there */
    uint8_t array_id[16];
    uint64_t chunk_count; /**< cells of the grid (saturates) */
    char codecs[256];     /**< names in encoding order, comma separated */
    /** Why elements cannot be read or written; "": they can. Of such an array
     *  (AZR_OPEN_OPAQUE) dtype is 0, and byte order and fill mean nothing. */
    char opaque[256];
} azr_array_info;

AZR_API AZR_CHECKED int azr_array_info_get(azr_array *array,
                                           azr_array_info *out, azr_error *err);
/** Stored chunks and their bytes, counted now by listing; not a snapshot. */
AZR_API AZR_CHECKED int azr_array_usage(azr_array *array, uint64_t *chunks_out,
                                        uint64_t *nbytes_out, azr_error *err);

/**
 * Read a selection into caller memory.
 *
 * @param dst  C order, `dst_nbytes` long, at least the selection; untouched on
 *             AZR_EINVAL, unspecified content on any other error
 * @return AZR_EINVAL (RANGE, RANK), AZR_ECORRUPT (names the chunk), AZR_EBUSY
 *         (time-out), or another code on failure of the store
 *
 * Missing chunks read as the fill value. A selection that depends on the shape is
 * resolved by the shape of the snapshot; bytes of `dst` beyond its elements are
 * then unspecified too. Sees one snapshot: all or none of any transaction. Optimistic; after four disturbed tries it waits for overlapping
 * writers, up to the time-out.
 */
AZR_API AZR_CHECKED int azr_array_read(azr_array *array,
                                       const azr_selection *sel, void *dst,
                                       size_t dst_nbytes, azr_error *err);
/** The same into memory of any strides. */
AZR_API AZR_CHECKED int azr_array_read_into(azr_array *array,
                                            const azr_selection *sel,
                                            const azr_memory *dst,
                                            azr_error *err);
/**
 * The same, and tells the array's shape at that snapshot: `shape_out` holds as many
 * numbers as the array has dimensions, and is written on success only. So who reads
 * a selection that depends on the shape into memory for the shape that he remembers
 * knows afterwards whether that was it.
 */
AZR_API AZR_CHECKED int
azr_array_read_shape(azr_array *array, const azr_selection *sel,
                     const azr_memory *dst, int64_t *shape_out, azr_error *err);
/**
 * Write a selection from caller memory (C order) as one transaction.
 *
 * @return AZR_EINVAL, AZR_EBUSY (nothing changed; the text names the holder),
 *         AZR_ECONFLICT (a plain Zarr program replaced a chunk meanwhile;
 *         nothing changed), AZR_EPERM, AZR_EIO, AZR_EUNKNOWN
 */
AZR_API AZR_CHECKED int azr_array_write(azr_array *array,
                                        const azr_selection *sel,
                                        const void *src, size_t src_nbytes,
                                        azr_error *err);
/** The same from memory of any strides. */
AZR_API AZR_CHECKED int azr_array_write_from(azr_array *array,
                                             const azr_selection *sel,
                                             const azr_memory *src,
                                             azr_error *err);
/**
 * The same for an array of that `shape`, which holds as many numbers as the array
 * has dimensions: AZR_EINVAL, and nothing changed, if it has another one at the
 * instant of the write. So who writes a selection that depends on the shape from
 * memory for the shape that he remembers never writes a part of it.
 */
AZR_API AZR_CHECKED int azr_array_write_shape(azr_array *array,
                                              const azr_selection *sel,
                                              const azr_memory *src,
                                              const int64_t *shape,
                                              azr_error *err);
/** Set every element of the selection to `*value` (one element). */
AZR_API AZR_CHECKED int azr_array_fill(azr_array *array,
                                       const azr_selection *sel,
                                       const void *value, size_t value_nbytes,
                                       azr_error *err);

/**
 * Called with the selected elements (C order), to be changed in place; locks are
 * held, so be quick. Return 0 to write them, else the write is given up and the
 * value (negative) is returned. Must not use the array's handle.
 */
typedef int (*azr_update_fn)(void *values, size_t nbytes, void *arg);
/** Read, change and write back a selection as one step. */
AZR_API AZR_CHECKED int azr_array_update(azr_array *array,
                                         const azr_selection *sel,
                                         azr_update_fn fn, void *arg,
                                         azr_error *err);
/** The same for an array of that `shape`, as azr_array_write_shape. So `fn`, which is
 *  told how many bytes there are but not of which shape, knows that as well. */
AZR_API AZR_CHECKED int azr_array_update_shape(azr_array *array,
                                               const azr_selection *sel,
                                               const int64_t *shape,
                                               azr_update_fn fn, void *arg,
                                               azr_error *err);

/**
 * Change the shape, as one transaction. Shrinking deletes the chunks outside
 * and blanks the outside part of border chunks to the fill value.
 */
AZR_API AZR_CHECKED int azr_array_resize(azr_array *array, int rank,
                                         const int64_t *shape, azr_error *err);
/**
 * Grow dimension `axis` by the length of `src` there and write `src` into the
 * new part, as one transaction. `src` has the array's rank, and its shape in
 * every other dimension; `length` is its length along `axis`, in C order.
 * `*offset_out` (NULL allowed): where it landed.
 */
AZR_API AZR_CHECKED int azr_array_append(azr_array *array, int axis,
                                         int64_t length, const void *src,
                                         size_t src_nbytes, int64_t *offset_out,
                                         azr_error *err);

/** Attributes as JSON text, NUL-terminated; release with azr_free. */
AZR_API AZR_CHECKED int azr_array_attributes(azr_array *array, char **out,
                                             azr_error *err);
/**
 * Name of a dimension: of `dimension_names` (format 3) or of the attribute
 * `_ARRAY_DIMENSIONS` (format 2). `*out`: release with azr_free; NULL if it has
 * none. AZR_EINVAL (RANK): no such dimension.
 */
AZR_API AZR_CHECKED int azr_array_dimension_name(azr_array *array,
                                                 int dimension, char **out,
                                                 azr_error *err);
/** Set attribute `name` to the JSON value `json` (NULL: delete it). Bytes of all
 *  others are kept. */
AZR_API AZR_CHECKED int azr_array_attribute_set(azr_array *array,
                                                const char *name,
                                                const char *json,
                                                azr_error *err);
/** Change the array's durability. AZR_EBUSY while any transaction is open. */
AZR_API AZR_CHECKED int
azr_array_set_durability(azr_array *array, int durability, azr_error *err);
/**
 * Wait until the array has been changed: by a commit of anybody, of chunks, shape or
 * attributes. `*version`, of this array's earlier calls in this process or another,
 * is what the caller knows; 0: nothing, the call returns at once. It is set to
 * the present one: a number that never goes back while the array exists. What is
 * read afterwards is at least as new. A commit that changes nothing counts too, and
 * several at once may look like one; none is missed. Within 4 ms, by looking: those
 * who write do nothing for it. Changes by plain Zarr programs are not noticed.
 *
 * @return AZR_EBUSY (time-out of the handle: no change), AZR_ECANCELED,
 *         AZR_ENOTFOUND (the array was removed or replaced)
 */
AZR_API AZR_CHECKED int azr_array_wait(azr_array *array, uint64_t *version,
                                       azr_error *err);
/** Memory that this library handed out. NULL allowed. */
AZR_API void azr_free(void *p);

/* --------------------------------------------------------- inspection --- */

typedef enum azr_row_state {
    AZR_ROW_FREE = 0,
    AZR_ROW_ACTIVE = 1,
    AZR_ROW_PREPARED = 2,
    AZR_ROW_SEALED = 3,
    AZR_ROW_COMMITTED = 4
} azr_row_state;

/** One transaction in progress (or left by the dead). */
typedef struct azr_row_info {
    uint32_t struct_size;
    int32_t row;
    int32_t state; /**< azr_row_state */
    int32_t alive; /**< its owner lives (its SLOT byte is held) */
    uint64_t id;
    int32_t pid;
    uint32_t uid;
    char host[64];
    int32_t this_boot;
    uint32_t objects; /**< named by the row, from its commit on */
    uint32_t staged;  /**< files of it in `.azr/tx` now */
    uint32_t touches_metadata;
    int64_t start_time_ns;  /**< CLOCK_REALTIME */
    char waits_for[48];     /**< "", "META", "DOC", "chunks", … */
    int32_t waits_row;      /**< row of the holder, or -1 */
    int32_t waits_pid;      /**< pid of the holder as far as known, or 0 */
    int64_t waits_since_ns; /**< CLOCK_REALTIME */
} azr_row_info;

/** Return 0 to go on. */
typedef int (*azr_row_fn)(const azr_row_info *row, void *arg);
/** Call `fn` for each row in use. Needs read permission only. */
AZR_API AZR_CHECKED int azr_array_status(azr_array *array, azr_row_fn fn,
                                         void *arg, azr_error *err);

typedef enum azr_finding_kind {
    AZR_FINDING_CHUNK = 1,   /**< a chunk that does not decode */
    AZR_FINDING_STRAY = 2,   /**< a file that is no chunk of this array */
    AZR_FINDING_ROW = 3,     /**< a row left by a dead owner */
    AZR_FINDING_RUBBISH = 4, /**< reserved: a staged object that no row names */
    AZR_FINDING_LOST = 5,    /**< a file in `.azr/lost` */
    AZR_FINDING_STATE = 6,   /**< reserved: `.azr/state` is damaged */
    AZR_FINDING_UNSYNCED = 7, /**< reserved: changed shortly before a restart */
    AZR_FINDING_STALE = 8     /**< consolidated metadata that is out of date */
} azr_finding_kind;

typedef struct azr_finding {
    uint32_t struct_size;
    int32_t kind;
    int32_t is_error; /**< 0: worth knowing; 1: wrong */
    const char *key;  /**< relative to the array */
    const char *text; /**< one line */
} azr_finding;

typedef int (*azr_finding_fn)(const azr_finding *finding, void *arg);

/** Decode every stored chunk and look at every row; nothing is changed.
 *  `progress` (NULL allowed) may return non-zero to stop (AZR_ECANCELED). */
AZR_API AZR_CHECKED int azr_array_verify(azr_array *array, azr_finding_fn fn,
                                         azr_progress_fn progress, void *arg,
                                         azr_error *err);

typedef struct azr_recovery {
    uint32_t struct_size;
    uint32_t finished; /**< rows rolled forward */
    uint32_t cleared;  /**< rows rolled back */
    uint32_t busy;     /**< rows of living owners, left alone */
    uint32_t rubbish;  /**< staged objects removed */
    uint32_t lost;     /**< files moved to `.azr/lost` */
    uint32_t rebuilt;  /**< `state` was built anew */
} azr_recovery;

/** Finish what the dead left, as the next writer would. */
AZR_API AZR_CHECKED int azr_array_recover(azr_array *array, azr_recovery *out,
                                          azr_error *err);

#ifdef __cplusplus
}
#endif
#endif
