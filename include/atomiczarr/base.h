/* SPDX-License-Identifier: Apache-2.0 */
/** Statuses, errors, process-wide knobs, data types, selections, memory. Include <atomiczarr.h>. */
#ifndef ATOMICZARR_BASE_H
#define ATOMICZARR_BASE_H

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

/** Called now and then; return 0 to go on. `total` is 0 while it is not known. */
typedef int (*azr_progress_fn)(uint64_t done, uint64_t total, void *arg);

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

#ifdef __cplusplus
}
#endif
#endif
