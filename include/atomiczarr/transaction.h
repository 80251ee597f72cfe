/* SPDX-License-Identifier: Apache-2.0 */
/** Several selections, of one or several arrays, as one step. Include <atomiczarr.h>. */
#ifndef ATOMICZARR_TRANSACTION_H
#define ATOMICZARR_TRANSACTION_H

#include <atomiczarr/array.h>

#ifdef __cplusplus
extern "C" {
#endif

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
/** The same with memory of any strides. */
AZR_API AZR_CHECKED int azr_txn_read_into(azr_txn *txn, azr_array *array,
                                          const azr_selection *sel,
                                          const azr_memory *dst,
                                          azr_error *err);
AZR_API AZR_CHECKED int azr_txn_write_from(azr_txn *txn, azr_array *array,
                                           const azr_selection *sel,
                                           const azr_memory *src,
                                           azr_error *err);
/** Write one value into every element of `sel`; `value` as azr_array_fill. */
AZR_API AZR_CHECKED int azr_txn_fill(azr_txn *txn, azr_array *array,
                                     const azr_selection *sel,
                                     const void *value, size_t value_nbytes,
                                     azr_error *err);
/**
 * One chunk as it is stored, whatever its codecs: of any array, also of one that was
 * opened with AZR_OPEN_OPAQUE. `index` has a number for each dimension, in the
 * grid. It is a read of the transaction like others, and sees what the transaction
 * has written, encoded. Several such reads alone are a snapshot of these chunks, if
 * azr_txn_commit says so.
 *
 * @param out  the bytes, to be given to azr_free; NULL: there is no such chunk, all
 *             of it is the fill value
 * @return as azr_txn_read; AZR_EINVAL (RANGE) outside of the grid, AZR_EUNSUPPORTED
 *         (CHUNK) above 2 GiB
 */
AZR_API AZR_CHECKED int azr_txn_read_chunk(azr_txn *txn, azr_array *array,
                                           const int64_t *index, void **out,
                                           size_t *nbytes, azr_error *err);
/** The same of a part of it: `most` bytes from `offset` on, or as many as there
 *  are; a negative offset counts from the end. Parts of one chunk that are read in
 *  one transaction are of the same object, if it is committed. */
AZR_API AZR_CHECKED int azr_txn_read_chunk_part(azr_txn *txn, azr_array *array,
                                                const int64_t *index,
                                                int64_t offset, size_t most,
                                                void **out, size_t *nbytes,
                                                azr_error *err);
/**
 * Replace a chunk by these bytes, which are copied, as they are: nothing checks
 * that they can be decoded. `bytes` NULL: remove it, so that it reads as the fill
 * value. If it was read in this transaction, a plain Zarr program that has replaced
 * it since is noticed (AZR_ECONFLICT, FOREIGN). Elements of it may be read and
 * written in the same transaction: AZR_ECORRUPT if it then does not decode.
 *
 * @return as azr_txn_write; AZR_EINVAL (RANGE) outside of the grid, AZR_EUNSUPPORTED
 *         (CHUNK) above 2 GiB
 */
AZR_API AZR_CHECKED int azr_txn_write_chunk(azr_txn *txn, azr_array *array,
                                            const int64_t *index,
                                            const void *bytes, size_t nbytes,
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
/** Attributes as the transaction sees them, as azr_array_attributes gives them; it
 *  then depends on them. Release with azr_free. */
AZR_API AZR_CHECKED int azr_txn_attributes(azr_txn *txn, azr_array *array,
                                           char **out, azr_error *err);
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
/** Documents of a new array, as they are to stand. */
typedef struct azr_array_text {
    uint32_t struct_size;
    int32_t zarr_format;    /**< 2 or 3 (default 3) */
    const char *document;   /**< zarr.json, or .zarray */
    const char *attributes; /**< format 2: .zattrs; NULL: none */
    int32_t durability;     /**< azr_durability */
    int32_t reserved;
} azr_array_text;
#define AZR_ARRAY_TEXT_INIT                                                    \
    {                                                                          \
        (uint32_t)sizeof(azr_array_text), 0, NULL, NULL, 0, 0                  \
    }

/**
 * As azr_txn_create_array, of an array whose documents are given, and come to
 * stand byte for byte. With AZR_OPEN_OPAQUE in the flags of `options` also of one
 * that this library cannot code: its chunks are written by azr_txn_write_chunk.
 *
 * @return as azr_txn_create_array; AZR_ECORRUPT (METADATA) and AZR_EUNSUPPORTED
 *         for a document that azr_array_open would refuse
 */
AZR_API AZR_CHECKED int azr_txn_create_from(azr_txn *txn, azr_array **out,
                                            const char *path,
                                            const azr_array_text *text,
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

#ifdef __cplusplus
}
#endif
#endif
