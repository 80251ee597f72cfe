/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stats.h"

#include "base/alloc.h"

struct azri_stats azri_stats;

int azr_stats_get(azr_stats *out)
{
    if (!out || out->struct_size < sizeof *out)
        return AZR_EINVAL;
#define COPY(name) out->name = atomic_load(&azri_stats.name);
    AZRI_STATS(COPY)
#undef COPY
    out->heap_nbytes = azri_heap_nbytes();
    out->heap_peak_nbytes = azri_heap_peak_nbytes();
    return AZR_OK;
}
