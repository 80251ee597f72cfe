/* SPDX-License-Identifier: Apache-2.0 */
/**
 * atomiczarr: Zarr arrays in which every read and every write is atomic across
 * chunks, between threads and processes, on plain Zarr directories.
 *
 * Conventions, said once:
 *
 *  - A status is AZR_OK (0) or one of the negative AZR_E… codes. The last
 *    parameter `azr_error *err` (NULL allowed) receives one line of text.
 *  - A new handle comes back through `out`, the first parameter, which is
 *    written only on success. Every close/free accepts NULL.
 *  - Sizes of memory are `size_t` bytes (`nbytes`), positions and shapes are
 *    `int64_t` elements, times are milliseconds (`_ms`) or nanoseconds (`_ns`).
 *  - Elements in caller memory have the array's data type in the machine's
 *    byte order, in C order unless an azr_memory says otherwise.
 *  - Handles (azr_array) may be shared between threads. A transaction
 *    (azr_txn) belongs to one thread at a time. After fork() a child may go on
 *    using array handles; transactions stay with the parent.
 *  - The library never aborts, never exits, and writes nothing to the terminal.
 */
#ifndef ATOMICZARR_H
#define ATOMICZARR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#    define AZR_API     __attribute__((visibility("default")))
#    define AZR_CHECKED __attribute__((warn_unused_result))
#else
#    define AZR_API
#    define AZR_CHECKED
#endif

#define AZR_VERSION_MAJOR 0
#define AZR_VERSION_MINOR 1
#define AZR_VERSION_PATCH 0
#define AZR_VERSION       "0.1.0"

/** Version of the library that is linked, e.g. "0.1.0". Static storage. */
AZR_API const char *azr_version(void);

/** Most dimensions an array may have. */
#define AZR_MAX_RANK 32

/* ------------------------------------------------------------- errors --- */

/** Status codes. The numbers never change; docs/errors.md tells each one. */
typedef enum azr_status {
    AZR_OK = 0,
    AZR_EINVAL = -1,    /**< the caller's fault: argument, selection, type */
    AZR_ENOTFOUND = -2, /**< no array or group there */
    AZR_EEXISTS = -3,   /**< there is one already */
    AZR_EBUSY = -4,     /**< time-out; the text says who holds what */
    AZR_ECONFLICT = -5, /**< nothing changed: run the transaction again */
    AZR_ECORRUPT = -6,  /**< which object, what was found */
    AZR_EUNSUPPORTED =
        -7,          /**< a part of Zarr, or a file system, refused by name */
    AZR_EIO = -8,    /**< which system call, which errno */
    AZR_ENOMEM = -9, /**< allocation failed or the memory cap was met */
    AZR_EPERM = -10, /**< permission; read-only */
    AZR_ECANCELED = -11, /**< azr_cancel_request was called; nothing changed */
    AZR_EPOISONED = -12, /**< this handle met a failed sync; open anew */
    AZR_EUNKNOWN = -13 /**< outcome of the commit not known; recovery decides */
} azr_status;

/** Sub-codes: finer than the status, equally pinned. */
typedef enum azr_sub {
    AZR_SUB_NONE = 0,
    AZR_SUB_RANGE = 1, /**< selection leaves the array, or buffer too small */
    AZR_SUB_RANK = 2,  /**< wrong number of dimensions */
    AZR_SUB_DTYPE = 3, /**< data type */
    AZR_SUB_ARGUMENT = 4,    /**< another argument */
    AZR_SUB_METADATA = 10,   /**< a metadata document */
    AZR_SUB_CHUNK = 11,      /**< a stored chunk */
    AZR_SUB_STATE = 12,      /**< .azr/state */
    AZR_SUB_RECORD = 13,     /**< .azr/tx: record or staged object */
    AZR_SUB_FORMAT = 20,     /**< EUNSUPPORTED: Zarr metadata */
    AZR_SUB_CODEC = 21,      /**< EUNSUPPORTED: codec */
    AZR_SUB_FILESYSTEM = 22, /**< EUNSUPPORTED: unsafe file system */
    AZR_SUB_LAYOUT = 23,     /**< EUNSUPPORTED: .azr of another layout */
    AZR_SUB_FOREIGN =
        30,              /**< ECONFLICT: a program without the protocol wrote */
    AZR_SUB_NESTED = 31, /**< EBUSY: this thread's transaction holds it */
    AZR_SUB_OPEN = 40,   /**< EIO and EPERM: the call that failed */
    AZR_SUB_READ = 41,
    AZR_SUB_WRITE = 42,
    AZR_SUB_SYNC = 43,
    AZR_SUB_RENAME = 44,
    AZR_SUB_UNLINK = 45,
    AZR_SUB_STAT = 46,
    AZR_SUB_LOCK = 47,
    AZR_SUB_MAP = 48,
    AZR_SUB_MKDIR = 49,
    AZR_SUB_CALL = 50
} azr_sub;

/** Caller-owned; valid after each call that was given it. */
typedef struct azr_error {
    int code;      /**< azr_status */
    int sub;       /**< azr_sub */
    int sys_errno; /**< errno of the failing call, or 0 */
    int reserved;
    char message[496]; /**< one line, UTF-8, NUL-terminated */
} azr_error;

#define AZR_ERROR_INIT                                                         \
    {                                                                          \
        0, 0, 0, 0,                                                            \
        {                                                                      \
            0                                                                  \
        }                                                                      \
    }

/** Name of a status, e.g. "AZR_EBUSY". Static storage; never NULL. */
AZR_API const char *azr_status_name(int status);

/* --------------------------------------------------- process-wide knobs --- */

/** Memory functions. All three or none; thread-safe. */
typedef struct azr_allocator {
    void *(*alloc)(size_t nbytes, void *arg);
    void *(*resize)(void *p, size_t nbytes, void *arg);
    void (*release)(void *p, void *arg);
    void *arg;
} azr_allocator;

/**
 * Use `a` for the library's heap memory from now on (NULL: malloc's family).
 * Call before anything else: AZR_EINVAL once memory is in use.
 */
AZR_API AZR_CHECKED int azr_set_allocator(const azr_allocator *a);
/** Threads per operation over chunks, the calling one included; 0: one a core. */
AZR_API void azr_set_threads(int threads);
/** Ceiling of the library's heap memory in bytes; 0: none (the default). */
AZR_API void azr_set_memory_cap(uint64_t nbytes);

typedef enum azr_log_level {
    AZR_LOG_ERROR = 1,
    AZR_LOG_WARNING = 2,
    AZR_LOG_INFO = 3,
    AZR_LOG_DEBUG = 4
} azr_log_level;

/** `text` is one line without a newline, valid during the call. Any thread. */
typedef void (*azr_log_fn)(int level, const char *text, void *arg);
/** Send log lines up to `level` to `fn` (NULL: nowhere, the default). */
AZR_API void azr_set_log(azr_log_fn fn, int level, void *arg);

/** Counters of this process since it began. */
typedef struct azr_stats {
    uint32_t struct_size; /**< in: sizeof(azr_stats) */
    uint32_t reserved;
    uint64_t reads, writes; /**< selections read and written */
    uint64_t chunks_read, chunks_written, chunks_deleted;
    uint64_t bytes_read, bytes_written; /**< stored (encoded) bytes */
    uint64_t commits, conflicts;
    uint64_t snapshot_retries; /**< optimistic tries that were disturbed */
    uint64_t locked_reads;     /**< reads that fell back to locks */
    uint64_t reads_through;    /**< objects read from a committed row */
    uint64_t lock_calls;       /**< kernel lock calls */
    uint64_t lock_waits, lock_wait_ns;
    uint64_t row_waits;
    uint64_t recovered_rows;  /**< rows of dead owners finished or cleared */
    uint64_t rubbish_removed; /**< staged objects that no row named */
    uint64_t heap_nbytes, heap_peak_nbytes;
} azr_stats;

/** Fill `*out`. AZR_EINVAL if struct_size is not set. */
AZR_API AZR_CHECKED int azr_stats_get(azr_stats *out);

/** A flag that any thread may raise to end another thread's wait. */
typedef struct azr_cancel azr_cancel;
AZR_API AZR_CHECKED int azr_cancel_new(azr_cancel **out);
/** Async-signal-safe. Waits notice within 50 ms. */
AZR_API void azr_cancel_request(azr_cancel *c);
AZR_API void azr_cancel_reset(azr_cancel *c);
AZR_API void azr_cancel_free(azr_cancel *c);

/* --------------------------------------------------------- data types --- */

typedef enum azr_dtype {
    AZR_DTYPE_NONE = 0,
    AZR_BOOL = 1,
    AZR_INT8 = 2,
    AZR_INT16 = 3,
    AZR_INT32 = 4,
    AZR_INT64 = 5,
    AZR_UINT8 = 6,
    AZR_UINT16 = 7,
    AZR_UINT32 = 8,
    AZR_UINT64 = 9,
    AZR_FLOAT16 = 10,
    AZR_FLOAT32 = 11,
    AZR_FLOAT64 = 12,
    AZR_COMPLEX64 = 13,
    AZR_COMPLEX128 = 14
} azr_dtype;

/** Bytes of one element; 0 for an unknown type. */
AZR_API size_t azr_dtype_nbytes(int dtype);
/** Zarr v3 name ("int32"); NULL for an unknown type. Static storage. */
AZR_API const char *azr_dtype_name(int dtype);
/**
 * Type of a name: v3 ("int32"), NumPy ("i4", "<i4", ">f8", "|b1").
 * `*big_endian` (NULL allowed) becomes 1 for '>', else 0.
 * AZR_EINVAL (DTYPE) for anything else.
 */
AZR_API AZR_CHECKED int azr_dtype_parse(int *out, int *big_endian,
                                        const char *name, azr_error *err);

/* --------------------------------------------------------- selections --- */

typedef enum azr_selection_kind {
    AZR_SELECT_BOX = 0,    /**< per dimension start, count, step */
    AZR_SELECT_POINTS = 1, /**< a list of coordinates; result is 1-d */
    AZR_SELECT_SLICES = 2  /**< per dimension start:stop:step, as in NumPy */
} azr_selection_kind;

/** In `count`: up to the end of the dimension; AZR_TO_END - k: up to k before. */
#define AZR_TO_END ((int64_t)-1)

/** In `count` of slices, which is their stop there: to the end, as in "2:". */
#define AZR_NO_STOP INT64_MAX

/** In `flags`: like NumPy, cut the box to the array instead of failing. */
#define AZR_SELECT_CLIP 1u

/**
 * What is read or written, in array coordinates.
 *
 * Box: dimension d selects start[d], start[d] + step[d], … : count[d] of them.
 * A step of 0 means 1; steps are positive. A negative start counts from the end.
 * A selection with a negative start or an open count depends on the shape; it
 * is resolved inside the transaction, never before.
 * Slices: count[d] is the stop, negative from the end as the start, and both are
 * cut to the array as NumPy does. Only so can "-5:3" be said without the shape.
 * A step of 0 makes it the integer start[d]: one element, which must be there.
 * Points: point_count × rank coordinates, C order; borrowed during the call.
 * Writing one element twice in one list of points: the last one wins.
 */
typedef struct azr_selection {
    uint32_t struct_size;
    uint32_t kind;
    int32_t rank;
    uint32_t flags;
    const int64_t *points;
    size_t point_count;
    int64_t start[AZR_MAX_RANK];
    int64_t count[AZR_MAX_RANK];
    int64_t step[AZR_MAX_RANK];
} azr_selection;

/**
 * Initializer of a box, from lists of starts and counts:
 * `azr_selection s = AZR_BOX(1, {2}, {4});` selects [2:6],
 * AZR_BOX(2, {0, 0}, {4, 4}) a square. AZR_BOX_STEP takes a list of steps too.
 */
#define AZR_BOX(rank, ...) AZR_BOX_STEP((rank), __VA_ARGS__, {0})
#define AZR_BOX_STEP(rank, ...)                                                \
    {                                                                          \
        (uint32_t)sizeof(azr_selection), AZR_SELECT_BOX, (rank), 0, NULL, 0,   \
            __VA_ARGS__                                                        \
    }

/** Everything: `[:]` in each of `rank` dimensions. */
AZR_API azr_selection azr_select_all(int rank);
/** A box; `step` may be NULL. The arrays hold `rank` numbers and are copied. */
AZR_API azr_selection azr_select_box(int rank, const int64_t *start,
                                     const int64_t *count, const int64_t *step);
/** Points: `coords` holds n × rank numbers and is borrowed. */
AZR_API azr_selection azr_select_points(int rank, const int64_t *coords,
                                        size_t n);
/**
 * Parse NumPy slice syntax: "2:6", "0, 10:20, ::4", "-1", ":", "...", with or
 * without brackets. Missing trailing dimensions are whole. `rank` is the
 * array's. The result is of kind AZR_SELECT_SLICES: cut to the array as NumPy
 * does, but integers must lie inside. Refused although NumPy takes them: steps
 * below 1, and bounds that are backwards for every shape ("5:3").
 *
 * @return AZR_EINVAL (RANGE, RANK or ARGUMENT); the message quotes the text with
 *         a caret in front of the place
 */
AZR_API AZR_CHECKED int azr_selection_parse(azr_selection *out, int rank,
                                            const char *text, azr_error *err);

/* ------------------------------------------------------------- memory --- */

/**
 * Caller memory of any strides. Element (0, …, 0) stands `offset` bytes after
 * `data`; stepping dimension d moves strides[d] bytes (may be negative or 0 for
 * a source). Every element must lie inside [data, data + nbytes): checked.
 * rank must be that of the selection's result (points: 1).
 */
typedef struct azr_memory {
    uint32_t struct_size;
    int32_t rank;
    void *data;
    size_t nbytes;
    size_t offset;
    int64_t strides[AZR_MAX_RANK];
} azr_memory;

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
/** Memory that this library handed out. NULL allowed. */
AZR_API void azr_free(void *p);

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

/* ------------------------------------------------------- transactions --- */

typedef struct azr_txn azr_txn;

typedef struct azr_txn_options {
    uint32_t struct_size;
    uint32_t flags;     /**< 0 */
    int64_t timeout_ms; /**< of the whole transaction, from azr_txn_begin on */
    azr_cancel *cancel;
} azr_txn_options;
#define AZR_TXN_OPTIONS_INIT                                                   \
    {                                                                          \
        (uint32_t)sizeof(azr_txn_options), 0, AZR_TIMEOUT_DEFAULT_MS, NULL     \
    }

/**
 * Begin a transaction: reads and writes of several selections, appends, resizes,
 * attributes and creations, all or nothing. Reads see what the transaction itself
 * has done. They may be on several arrays, by one
 * handle each (AZR_EINVAL otherwise). All that are written must be on one file
 * system and of the same durability, and those that are only read beside them
 * need a `.azr/state` that this process may write (AZR_EUNSUPPORTED otherwise).
 * Each call may find that what was read before has been changed by others:
 * AZR_ECONFLICT, as from the commit. Handles stay open until azr_txn_free.
 */
AZR_API AZR_CHECKED int
azr_txn_begin(azr_txn **out, const azr_txn_options *options, azr_error *err);
AZR_API AZR_CHECKED int azr_txn_read(azr_txn *txn, azr_array *array,
                                     const azr_selection *sel, void *dst,
                                     size_t dst_nbytes, azr_error *err);
AZR_API AZR_CHECKED int azr_txn_write(azr_txn *txn, azr_array *array,
                                      const azr_selection *sel, const void *src,
                                      size_t src_nbytes, azr_error *err);
/** Write one value into every element of `sel`; `value` as azr_array_fill. */
AZR_API AZR_CHECKED int azr_txn_fill(azr_txn *txn, azr_array *array,
                                     const azr_selection *sel,
                                     const void *value, size_t value_nbytes,
                                     azr_error *err);
/** Shape as the transaction sees it; it then depends on the shape. */
AZR_API AZR_CHECKED int azr_txn_shape(azr_txn *txn, azr_array *array,
                                      int64_t *shape_out, azr_error *err);
/**
 * Append along `axis` as azr_array_append does, as a part of the transaction: what
 * follows in it sees the new shape and the new elements, everybody else at the
 * commit. `*offset_out` (NULL allowed): where the first of them stands, if it is
 * committed. It depends on the shape, so of two transactions that append to one
 * array at once, one is in conflict; azr_append_all waits its turn instead.
 *
 * @return as azr_txn_write; AZR_EINVAL (RANK, RANGE) for axis and length
 */
AZR_API AZR_CHECKED int azr_txn_append(azr_txn *txn, azr_array *array, int axis,
                                       int64_t length, const void *src,
                                       size_t src_nbytes, int64_t *offset_out,
                                       azr_error *err);
/**
 * Change the shape as azr_array_resize does, as a part of the transaction. What a
 * smaller shape cuts off is gone, even if a larger one follows. A commit that
 * cuts off something waits for all writers of the array, as a resize does.
 */
AZR_API AZR_CHECKED int azr_txn_resize(azr_txn *txn, azr_array *array, int rank,
                                       const int64_t *shape, azr_error *err);
/** Set attribute `name` to the JSON value `json` (NULL: delete it) as a part of
 *  the transaction. Attributes that others set meanwhile are a conflict. */
AZR_API AZR_CHECKED int azr_txn_set_attribute(azr_txn *txn, azr_array *array,
                                              const char *name,
                                              const char *json, azr_error *err);
/**
 * Create an array as a part of the transaction: as azr_array_create, but it is
 * there for others only with the commit, together with all else. `*out` can be
 * used in this transaction at once, and as any other handle after the commit;
 * before it, and if the transaction is given up, other calls with it are
 * AZR_ENOTFOUND. Close it in any case, not before azr_txn_free. What is given up,
 * or dies before its commit, leaves a directory with nothing but `.azr` in it,
 * which is no array and is used by who creates one there next.
 *
 * @return as azr_array_create; AZR_EEXISTS also from azr_txn_commit, if somebody
 *         else was first
 */
AZR_API AZR_CHECKED int azr_txn_create_array(azr_txn *txn, azr_array **out,
                                             const char *path,
                                             const azr_array_spec *spec,
                                             const azr_open_options *options,
                                             azr_error *err);
/**
 * Commit. 0: done. AZR_ECONFLICT: something read was changed by others, nothing
 * happened, run it again. After any return only azr_txn_free is legal.
 */
AZR_API AZR_CHECKED int azr_txn_commit(azr_txn *txn, azr_error *err);
/** Free; what was not committed is rolled back. NULL allowed. */
AZR_API void azr_txn_free(azr_txn *txn);

/** Body of a transaction; return 0 to commit, negative to give up. May run again. */
typedef int (*azr_txn_fn)(azr_txn *txn, void *arg, azr_error *err);
/**
 * Begin, run `fn`, commit; on AZR_ECONFLICT again. After three conflicts the
 * objects of the last try are locked first, so that it gets through.
 */
AZR_API AZR_CHECKED int azr_txn_run(azr_txn_fn fn, void *arg,
                                    const azr_txn_options *options,
                                    azr_error *err);

/* ---------------------------------------------------------- snapshots --- */

/** Called now and then; return 0 to go on. `total` is 0 while it is not known. */
typedef int (*azr_progress_fn)(uint64_t done, uint64_t total, void *arg);

/** One or several arrays as they were at one instant. */
typedef struct azr_snapshot azr_snapshot;

/** Copy chunks instead of linking them: also safe from plain programs that write
 *  into chunks in place. */
#define AZR_SNAPSHOT_COPY 1u

typedef struct azr_snapshot_options {
    uint32_t struct_size;
    uint32_t flags;     /**< AZR_SNAPSHOT_… */
    int64_t timeout_ms; /**< of taking it; 0: never wait; below 0: for ever */
    azr_cancel *cancel; /**< ends the taking, NULL allowed */
    /** Stand below this directory, by copy, instead of in the arrays' `.azr`: for
     *  who may not write there. NULL: in `.azr`. */
    const char *directory;
    azr_progress_fn progress; /**< chunks; non-zero cancels. NULL: none */
    void *arg;
} azr_snapshot_options;
#define AZR_SNAPSHOT_OPTIONS_INIT                                              \
    {                                                                          \
        (uint32_t)sizeof(azr_snapshot_options), 0, AZR_TIMEOUT_DEFAULT_MS,     \
            NULL, NULL, NULL, NULL                                             \
    }

/**
 * Take a snapshot of `n` arrays at one instant, beside writers at full speed. It
 * stays as it is, and readable, until azr_snapshot_close, whatever happens to the
 * arrays; it holds no lock of theirs. Chunks are linked, not copied, so its price
 * is the space of what is replaced meanwhile, at most the arrays' size. Chunks
 * that cannot be linked (another user's file under fs.protected_hardlinks, too
 * many links) are copied. Of a process that dies it is removed by the next one
 * that opens the array for writing, or takes another.
 *
 * @param arrays  open handles with AZR_SYNC_FULL, of n different arrays; reading is
 *                enough, but `.azr` must be writable, or `options->directory` given
 * @return AZR_EPERM (`.azr` is not ours to write in), AZR_EBUSY (time-out),
 *         AZR_ECANCELED, AZR_EINVAL, AZR_EUNSUPPORTED, AZR_EIO, or as a read.
 *         Nothing is left behind then
 */
AZR_API AZR_CHECKED int azr_snapshot_take(azr_snapshot **out,
                                          azr_array *const *arrays, size_t n,
                                          const azr_snapshot_options *options,
                                          azr_error *err);
/**
 * Array `i`, read-only, as it was; borrowed: never close it. Several threads may
 * read it, and children of a fork. NULL: there is no such one.
 */
AZR_API azr_array *azr_snapshot_array(const azr_snapshot *snapshot, size_t i);
/** Its directory, a plain Zarr array that any Zarr library can open while the
 *  snapshot lives. Borrowed. NULL: there is no such one. */
AZR_API const char *azr_snapshot_path(const azr_snapshot *snapshot, size_t i);
/** Close, and remove. Of processes that share it by fork each one closes, and the
 *  last one removes it. NULL allowed. */
AZR_API void azr_snapshot_close(azr_snapshot *snapshot);

/** Consolidated metadata of groups above the copy stays as it is: stale. Without it
 *  they are renewed, and where that is not permitted there is no copy (AZR_EPERM). */
#define AZR_COPY_LEAVE_STALE 1u

typedef struct azr_copy_options {
    uint32_t struct_size;
    uint32_t flags;           /**< AZR_COPY_… */
    int64_t timeout_ms;       /**< of the waits for each array's instant */
    azr_cancel *cancel;       /**< NULL allowed */
    azr_progress_fn progress; /**< chunks; non-zero cancels. NULL: none */
    void *arg;
} azr_copy_options;
#define AZR_COPY_OPTIONS_INIT                                                  \
    {                                                                          \
        (uint32_t)sizeof(azr_copy_options), 0, AZR_TIMEOUT_DEFAULT_MS, NULL,   \
            NULL, NULL                                                         \
    }

/** What was copied. */
typedef struct azr_copied {
    uint32_t struct_size; /**< in: sizeof(azr_copied) */
    int32_t one_instant;  /**< all arrays as they were at one instant */
    uint64_t arrays, groups, chunks;
    uint64_t nbytes; /**< of chunks, as they are stored */
} azr_copied;

/**
 * Copy the array or group at `from`, with all that is below it, to `to`, which must
 * not exist; its parent must. The copy appears whole or not at all, whatever
 * happens, in any file system that can rename without replacing. It has the bytes
 * of the source at one instant, documents included; of up to 64 arrays that is one
 * instant for all of them, of more each array has its own (`out->one_instant`).
 * Documents of groups are copied as they stand. Durability is kept. Other files
 * are left behind.
 *
 * @param out  NULL allowed
 * @return AZR_EEXISTS, AZR_ENOTFOUND, AZR_EINVAL (such a name), AZR_ECORRUPT (a
 *         document below `from`), AZR_ECANCELED, AZR_EBUSY, AZR_EPERM, AZR_EIO.
 *         Nothing is left behind then
 */
AZR_API AZR_CHECKED int azr_copy(const char *from, const char *to,
                                 const azr_copy_options *options,
                                 azr_copied *out, azr_error *err);

/** A snapshot that stands in an array's `.azr`. */
typedef struct azr_snapshot_info {
    uint32_t struct_size;
    int32_t alive;         /**< somebody holds it; else it is rubbish */
    char id[40];           /**< 32 hexadecimal digits */
    int32_t pid;           /**< of who took it, as far as known; 0: not */
    uint32_t uid;          /**< the same */
    int64_t start_time_ns; /**< CLOCK_REALTIME; 0: not known */
    char host[64];
    uint64_t objects;     /**< its files */
    uint64_t nbytes;      /**< their bytes */
    uint64_t kept_nbytes; /**< of those that have no other name any more */
} azr_snapshot_info;

/** Return 0 to go on. */
typedef int (*azr_snapshot_fn)(const azr_snapshot_info *info, void *arg);
/** Call `fn` for each snapshot in the array's `.azr`. Needs read permission only. */
AZR_API AZR_CHECKED int azr_array_snapshots(azr_array *array,
                                            azr_snapshot_fn fn, void *arg,
                                            azr_error *err);
/** One array of azr_append_all: what azr_array_append takes. */
typedef struct azr_append_part {
    uint32_t struct_size; /**< in: sizeof(azr_append_part) */
    int32_t axis;
    azr_array *array;
    int64_t length;
    const void *src; /**< C order */
    size_t src_nbytes;
    int64_t offset; /**< out: where the first new element stands */
} azr_append_part;
#define AZR_APPEND_PART_INIT                                                   \
    {                                                                          \
        (uint32_t)sizeof(azr_append_part), 0, NULL, 0, NULL, 0, 0              \
    }

/**
 * Append to several arrays at once, all or nothing: data and the coordinates that
 * belong to them. Takes the locks that it needs, as azr_array_append does, in the
 * same order whoever calls: it waits its turn and is never in conflict with other
 * participants. The arrays are different ones, on one file system, of the same
 * durability. With `n` 0 nothing happens. `offset` is set on success.
 *
 * @return as azr_array_append; AZR_EINVAL (ARGUMENT) for an array named twice;
 *         AZR_EUNSUPPORTED (FILESYSTEM) for arrays on two file systems
 */
AZR_API AZR_CHECKED int azr_append_all(azr_append_part *parts, size_t n,
                                       const azr_txn_options *options,
                                       azr_error *err);

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

/* --------------------------------------------------- removing, moving --- */

/** A group with something below it, too. Without: AZR_EINVAL. */
#define AZR_TREE_RECURSIVE 1u
/** Whatever directory it is, and whatever of other arrays it is needed for. */
#define AZR_TREE_FORCE 2u
/** On a file system whose locks could not be shown to work. */
#define AZR_TREE_INSIST 4u
/** Consolidated metadata of groups above stays as it is: stale. Without it they
 *  are renewed, and where that is not permitted nothing is done (AZR_EPERM). */
#define AZR_TREE_LEAVE_STALE 8u

typedef struct azr_tree_options {
    uint32_t struct_size;
    uint32_t flags;     /**< AZR_TREE_… */
    int64_t timeout_ms; /**< of the wait for writers; 0: do not wait */
    azr_cancel *cancel; /**< NULL allowed */
    /** Told now and then how many files are gone (`total` is 0); not 0 leaves the
     *  rest to the next one. NULL allowed. */
    azr_progress_fn progress;
    void *arg; /**< of `progress` */
} azr_tree_options;

#define AZR_TREE_OPTIONS_INIT                                                  \
    {                                                                          \
        (uint32_t)sizeof(azr_tree_options), 0, AZR_TIMEOUT_DEFAULT_MS, NULL,   \
            NULL, NULL                                                         \
    }

/**
 * Remove the array or group at `path`, with all that is below it. It goes in one
 * step, for everybody who opens it by its path and for every handle that is open:
 * those fail from then on with AZR_ENOTFOUND "was removed", and never read fill
 * values for chunks that go. It waits for the writers of every array below. The
 * files are removed afterwards; if that is cut short, the array is gone all the
 * same, and azr_collect, or the next one who removes or replaces something in
 * that directory, goes on. Takes three descriptors for each array below.
 *
 * @return AZR_ENOTFOUND (nothing there), AZR_EINVAL (no node; a group that is not
 *         empty; a symbolic link), AZR_EBUSY (writers, until the time-out),
 *         AZR_ECANCELED (nothing is changed), AZR_ECORRUPT (a transaction over it
 *         and another array cannot be finished), AZR_EUNSUPPORTED, AZR_EPERM,
 *         AZR_EIO
 */
AZR_API AZR_CHECKED int
azr_remove(const char *path, const azr_tree_options *options, azr_error *err);
/**
 * Give the array or group at `from`, with all that is below it, the path `to` of
 * the same file system, where nothing may be. One step for everybody; open handles
 * go on working, on the moved one. It waits for the writers of every array below.
 *
 * @return AZR_ENOTFOUND, AZR_EEXISTS (something is at `to`), AZR_EUNSUPPORTED
 *         (FILESYSTEM: another file system; copy it), else as azr_remove
 */
AZR_API AZR_CHECKED int azr_move(const char *from, const char *to,
                                 const azr_tree_options *options,
                                 azr_error *err);
/**
 * Remove what those who died while they removed or replaced something in the
 * directory `path` left there. `*removed_out` (NULL allowed): how many things.
 */
AZR_API AZR_CHECKED int azr_collect(const char *path, uint64_t *removed_out,
                                    const azr_tree_options *options,
                                    azr_error *err);

/* -------------------------------------------------------- file systems --- */

typedef enum azr_fs_class {
    AZR_FS_LOCAL = 1,
    AZR_FS_NETWORK = 2, /**< with locks; not yet supported for writing */
    AZR_FS_UNSAFE = 3
} azr_fs_class;

typedef struct azr_fs_report {
    uint32_t struct_size;
    int32_t fs_class;
    uint64_t magic;         /**< of statfs */
    char name[32];          /**< "ext4", "tmpfs", … */
    int32_t locks_conflict; /**< two descriptors exclude each other: 1, 0 no */
    int32_t locks_released; /**< closing one lets the other in */
    int32_t map_coherent;   /**< a store through a map is seen by pread */
    int32_t rename_atomic;  /**< rename replaces */
    int32_t rename_noreplace; /**< RENAME_NOREPLACE works */
    int32_t unnamed_files;    /**< O_TMPFILE works */
} azr_fs_report;

/** Classify the file system of directory `path` and try its locks, maps and
 *  renames on a file of its own there, with two descriptors. */
AZR_API AZR_CHECKED int azr_fs_probe(const char *path, azr_fs_report *out,
                                     azr_error *err);

/** One process' end of a two-process probe, see azr_probe_open. */
typedef struct azr_probe azr_probe;
/** Open (create) the probe file `name` in directory `path`. */
AZR_API AZR_CHECKED int azr_probe_open(azr_probe **out, const char *path,
                                       const char *name, azr_error *err);
/** 1: locked, 0: another process has it, below 0: an error. */
AZR_API AZR_CHECKED int azr_probe_lock(azr_probe *p, int exclusive,
                                       azr_error *err);
AZR_API AZR_CHECKED int azr_probe_unlock(azr_probe *p, azr_error *err);
/** Store and load a word of the mapped file. */
AZR_API void azr_probe_store(azr_probe *p, uint64_t value);
AZR_API uint64_t azr_probe_load(azr_probe *p);
/** Close, and remove the file if `unlink_too`. */
AZR_API void azr_probe_close(azr_probe *p, int unlink_too);

#ifdef __cplusplus
}
#endif
#endif
