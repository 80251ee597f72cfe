/* SPDX-License-Identifier: Apache-2.0 */
/* The file systems that are tried, on a device. */
#ifndef TEST_BLOCKS_MOUNTS_H
#define TEST_BLOCKS_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct mounts_kind {
    const char *name;
    size_t nbytes;
    const char *mkfs[8]; /* command, to which the device is added */
} mounts_kind;

extern const mounts_kind mounts_kinds[];
const mounts_kind *mounts_find(const char *name); /* NULL: there is none */
/* NULL, or why it cannot be tried here. */
const char *mounts_cannot(const mounts_kind *k);

/* False: complain(). */
bool mounts_make(const mounts_kind *k, const char *device);
/* At `at`, with /proc below it. 0 or an errno; no word of it. */
int mounts_mount(const mounts_kind *k, const char *device, const char *at);
bool mounts_unmount(const char *at);

#endif
