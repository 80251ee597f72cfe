/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <isa-l/crc.h>

uint32_t azri_crc32c(uint32_t crc, const void *data, size_t nbytes)
{
    /* ISA-L reads only, takes an int, and leaves the inversions to us. */
    union {
        const void *in;
        unsigned char *out;
    } p = {.in = data};
    uint32_t state = ~crc;

    while (nbytes > 0) {
        int n = nbytes > (1u << 30) ? 1 << 30 : (int)nbytes;

        state = crc32_iscsi(p.out, n, state);
        p.out += n;
        nbytes -= (size_t)n;
    }
    return ~state;
}
