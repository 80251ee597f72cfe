/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AZRI_BASE_HASH_H
#define AZRI_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* splitmix64 (Steele, Lea, Flood 2014; Vigna's public-domain constants). Part of
 * the layout on disk: never change it. */
static inline uint64_t azri_splitmix64(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* CRC-32C (Castagnoli), continued from `crc` (0 to begin). */
uint32_t azri_crc32c(uint32_t crc, const void *data, size_t nbytes);

#endif
