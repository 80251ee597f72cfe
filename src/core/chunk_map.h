/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of each chunk of an array, by its coordinates. */
#ifndef AZRI_CORE_CHUNK_MAP_H
#define AZRI_CORE_CHUNK_MAP_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* A chunk of which we have a link or a copy. */
typedef struct azri_held {
    uint64_t dev, ino; /* of the link */
    uint64_t counter;  /* of its stripe, at the look before it was checked */
    uint64_t nbytes;
    uint32_t round; /* in which it was last seen */
    uint32_t place; /* round that it was taken in: where it stands */
    bool held;
    bool stale;  /* something else stands under its key */
    bool copied; /* its content, not its inode */
    bool named;  /* a committed row named it then */
    /* followed by the coordinates */
} azri_held;

typedef struct azri_chunk_map {
    uint8_t *slots;
    uint64_t capacity, count; /* capacity: a power of 2, or 0 */
    int rank;
} azri_chunk_map;

void azri_chunk_map_init(azri_chunk_map *m, int rank);
void azri_chunk_map_dispose(azri_chunk_map *m);
/* The entry of a chunk, made (zeros) if need be; valid until the next call. */
AZR_CHECKED int azri_chunk_map_at(azri_held **out, azri_chunk_map *m,
                                  const uint64_t *coords, azr_error *err);
/* Entry i of `capacity`, and its coordinates; NULL: there is none. */
azri_held *azri_chunk_map_entry(const azri_chunk_map *m, uint64_t i,
                                uint64_t *coords_out);

#endif
