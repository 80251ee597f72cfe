/* SPDX-License-Identifier: Apache-2.0 */
/* The lock of a directory: who makes or changes the documents of a node without
 * `.azr` (a group, or a node that is being made) holds it. */
#ifndef AZRI_SYNC_LOCK_DIR_H
#define AZRI_SYNC_LOCK_DIR_H

#include "os/host.h"

/* flock of the directory `dir` (`path` in messages), exclusive, through a
 * description of its own, so that threads exclude each other too. AZR_EBUSY,
 * AZR_ECANCELED, AZR_EUNSUPPORTED (FILESYSTEM). */
AZR_CHECKED int azri_dir_lock(int *out, int dir, const char *path,
                              const azri_patience *patience, azr_error *err);
void azri_dir_unlock(int lock); /* below 0: nothing */

#endif
