/* SPDX-License-Identifier: Apache-2.0 */
/** Removing and moving arrays and groups. Include <atomiczarr.h>. */
#ifndef ATOMICZARR_TREE_H
#define ATOMICZARR_TREE_H

#include <atomiczarr/base.h>

#ifdef __cplusplus
extern "C" {
#endif

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
 * Put the array or group at `from`, with all that is below it, in the place of
 * what is at `to`, on the same file system: one step for everybody who opens it
 * by its path. `from` is something that was built for this, which nobody else
 * uses. At `to` is a node, which goes as by azr_remove (open handles of it fail
 * with AZR_ENOTFOUND, "was replaced"), an empty directory, or nothing. It waits for
 * the writers of every array below. On an error `from` is as it was (if it cannot be
 * put back either, the text says where it stands, and it stays there); who dies in
 * the midst leaves `to` as it was or as it is to be, and no `from`.
 *
 * @return AZR_ENOTFOUND (no `from`), AZR_EEXISTS (a directory with something in it
 *         that is no node), AZR_EUNSUPPORTED (FILESYSTEM: two file systems, or one
 *         that cannot exchange two directories), else as azr_remove
 */
AZR_API AZR_CHECKED int azr_replace(const char *from, const char *to,
                                    const azr_tree_options *options,
                                    azr_error *err);
/**
 * Remove what those who died while they removed or replaced something in the
 * directory `path` left there. `*removed_out` (NULL allowed): how many things.
 */
AZR_API AZR_CHECKED int azr_collect(const char *path, uint64_t *removed_out,
                                    const azr_tree_options *options,
                                    azr_error *err);

#ifdef __cplusplus
}
#endif
#endif
