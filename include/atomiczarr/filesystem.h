/* SPDX-License-Identifier: Apache-2.0 */
/** What a file system can do. Include <atomiczarr.h>. */
#ifndef ATOMICZARR_FILESYSTEM_H
#define ATOMICZARR_FILESYSTEM_H

#include <atomiczarr/base.h>

#ifdef __cplusplus
extern "C" {
#endif

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
