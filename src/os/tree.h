/* SPDX-License-Identifier: Apache-2.0 */
/* Whole directories, and the content of whole files. */
#ifndef AZRI_OS_TREE_H
#define AZRI_OS_TREE_H

#include "base/error.h"

#include <stdint.h>

/* Deepest level that azri_remove_all goes down to: more than any key has. */
#define AZRI_TREE_DEPTH 64

/* Remove `name` in `dir` and what is below it. Links are removed, never followed.
 * Nothing there: AZR_OK. */
AZR_CHECKED int azri_remove_all(int dir, const char *name, azr_error *err);
/* The first `nbytes` of file `from` into the empty file `to`: shared where the file
 * system can, copied in the kernel, or read and written. */
AZR_CHECKED int azri_copy_content(int to, int from, uint64_t nbytes,
                                  const char *name, azr_error *err);

#endif
