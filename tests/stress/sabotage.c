/* SPDX-License-Identifier: Apache-2.0 */
/* Linked into an `azr` of the sabotage objects: AZR_TEST_GUARD is the number of
 * the guard (base/guard.h) that is taken away. */
#include "base/guard.h"

#include <stdlib.h>

__attribute__((constructor)) static void take_guard(void)
{
    const char *number = getenv("AZR_TEST_GUARD");

    if (number)
        azri_sabotage = (azri_guard)strtol(number, NULL, 10);
}
