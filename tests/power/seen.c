/* SPDX-License-Identifier: Apache-2.0 */
#include "power/seen.h"

#include <stdlib.h>
#include <string.h>

static bool put(seen *s, uint64_t h)
{
    size_t at;

    h += h == 0;
    for (at = h % s->room; s->slots[at] != 0; at = (at + 1) % s->room) {
        if (s->slots[at] == h)
            return false;
    }
    s->slots[at] = h;
    s->used++;
    return true;
}

bool seen_add(seen *s, uint64_t h)
{
    if (s->used * 2 >= s->room) {
        seen larger = {NULL, s->room ? s->room * 2 : 1024, 0};

        larger.slots = calloc(larger.room, sizeof *larger.slots);
        if (!larger.slots)
            abort();
        for (size_t i = 0; i < s->room; i++) {
            if (s->slots[i])
                (void)put(&larger, s->slots[i]);
        }
        free(s->slots);
        *s = larger;
    }
    return put(s, h);
}

void seen_forget(seen *s)
{
    free(s->slots);
    memset(s, 0, sizeof *s);
}
