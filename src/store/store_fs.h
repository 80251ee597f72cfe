/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AZRI_STORE_STORE_FS_H
#define AZRI_STORE_STORE_FS_H

#include <azr/sys/store.h>

/* A directory as a store. `dir` stays the caller's and must outlive it. */
AZR_CHECKED int azri_store_fs_new(azr_store **out, int dir, azr_error *err);

#endif
