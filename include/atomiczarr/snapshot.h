/* SPDX-License-Identifier: Apache-2.0 */
/** Arrays as they were at one instant; copies. Include <atomiczarr.h>. */
#ifndef ATOMICZARR_SNAPSHOT_H
#define ATOMICZARR_SNAPSHOT_H

#include <atomiczarr/array.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------- snapshots --- */

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
/** Call `fn` for each snapshot in the array's `.azr`. Needs read permission only. One
 * that cannot be looked at ends it with AZR_EPERM or AZR_EIO. */
AZR_API AZR_CHECKED int azr_array_snapshots(azr_array *array,
                                            azr_snapshot_fn fn, void *arg,
                                            azr_error *err);
#ifdef __cplusplus
}
#endif
#endif
