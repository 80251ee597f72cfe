/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cancel.h"

#include "base/alloc.h"

#include <stdatomic.h>

struct azr_cancel {
    atomic_int requested;
};

int azr_cancel_new(azr_cancel **out)
{
    azr_cancel *c = azri_calloc(1, sizeof *c);

    if (!c)
        return AZR_ENOMEM;
    *out = c;
    return AZR_OK;
}

void azr_cancel_request(azr_cancel *c)
{
    if (c)
        atomic_store(&c->requested, 1);
}

void azr_cancel_reset(azr_cancel *c)
{
    if (c)
        atomic_store(&c->requested, 0);
}

void azr_cancel_free(azr_cancel *c)
{
    azri_free(c);
}

bool azri_canceled(const azr_cancel *c)
{
    return c && atomic_load(&c->requested) != 0;
}
