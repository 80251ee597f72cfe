/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that the files of this room share. */
#ifndef AZRI_API_ARGUMENTS_H
#define AZRI_API_ARGUMENTS_H

#include "base/error.h"

int azri_fail_null(azr_error *err, const char *what);

#define NEED(p)                                                                \
    do {                                                                       \
        if (!(p))                                                              \
            return azri_fail_null(err, #p);                                    \
    } while (0)

/* The caller's options, or the defaults; `known` flags are taken. */
AZR_CHECKED int azri_take_options(azr_open_options *out,
                                  const azr_open_options *in, uint32_t known,
                                  azr_error *err);

#define AZRI_ARRAY_FLAGS                                                       \
    (AZR_OPEN_WRITE | AZR_OPEN_INSIST | AZR_OPEN_WRITE_EMPTY |                 \
     AZR_OPEN_READ_UNLOCKED | AZR_OPEN_KERNEL_LOCKS | AZR_OPEN_NO_RECOVERY |   \
     AZR_OPEN_STALE_CONSOLIDATED | AZR_OPEN_OPAQUE)

/* struct_size of a caller's `type`. */
AZR_CHECKED int azri_check_size(const char *type, uint32_t found, size_t needed,
                                azr_error *err);
/* A caller's memory in strides. */
AZR_CHECKED int azri_check_memory(const azr_memory *m, azr_error *err);
/* Not both AZR_CREATE_… at once. */
AZR_CHECKED int azri_check_create_flags(uint32_t flags, azr_error *err);

#endif
