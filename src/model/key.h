/* SPDX-License-Identifier: Apache-2.0 */
/* Chunk coordinates <-> store keys. Pure: needs no metadata document, so that
 * recovery can turn the coordinates in a record into keys by itself. */
#ifndef AZRI_MODEL_KEY_H
#define AZRI_MODEL_KEY_H

#include <atomiczarr.h>

#include <stdbool.h>

typedef struct azri_keying {
    uint8_t zarr_format; /* 2 or 3 */
    char encoding;       /* 'd': "c/0/0", '2': "0.0" (always for format 2) */
    char separator;      /* '/' or '.' */
    uint8_t rank;
} azri_keying;

/* Longest key: 32 coordinates of 19 digits, separators, prefix, NUL. */
#define AZRI_KEY_MAX 688

/* Write the key of chunk `coords` (rank numbers >= 0) and a NUL; returns its
 * length. 0-d: "c" ('d') or "0" ('2'). */
size_t azri_key_format(char out[AZRI_KEY_MAX], const azri_keying *k,
                       const uint64_t *coords);
/* The coordinates of a canonical key (no signs, no leading zeros, < 2^63);
 * false for anything else. */
bool azri_key_parse(uint64_t *coords_out, const azri_keying *k,
                    const char *key);
/* The directory that a key stands in; "." for the array's own. */
void azri_key_parent(char out[AZRI_KEY_MAX], const char *key);
/* < 0, 0, > 0: in C order. */
int azri_coords_compare(const uint64_t *x, const uint64_t *y, int rank);

#endif
