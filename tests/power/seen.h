/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of disks that have been looked at. */
#ifndef TEST_POWER_SEEN_H
#define TEST_POWER_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct seen {
    uint64_t *slots;
    size_t room, used;
} seen;

/* False: it is there already. */
bool seen_add(seen *s, uint64_t h);
void seen_forget(seen *s);

#endif
