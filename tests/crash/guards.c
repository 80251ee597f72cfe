/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/guards.h"

#include "crash/scene.h"

#include <stdio.h>

#ifdef AZRI_SABOTAGE

bool guard_try(const char *name, azri_guard value, guard_trial trial,
               const void *arg)
{
    bool caught;

    azri_sabotage = AZRI_GUARD_NONE;
    if (!trial(arg, true)) {
        (void)printf("%-24s FAILED with every guard in place: %s\n", name,
                     scene_error());
        return false;
    }
    azri_sabotage = value;
    caught = !trial(arg, false);
    azri_sabotage = AZRI_GUARD_NONE;
    (void)printf("%-24s %s\n", name, caught ? "caught" : "NOT CAUGHT");
    if (caught)
        (void)printf("    %.300s\n", scene_error());
    return caught;
}

int guards_end(size_t caught, size_t n)
{
    scene_roots_remove();
    (void)printf("%zu of %zu removed guards were noticed\n", caught, n);
    return n > 0 && caught == n ? 0 : 1;
}

#endif
