/* SPDX-License-Identifier: Apache-2.0 */
#include "model/key.h"

#include <string.h>

/* Decimal digits of n at `out`; returns their end. */
static char *put_number(char *out, uint64_t n)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    memcpy(out, digits + at, sizeof digits - at);
    return out + sizeof digits - at;
}

size_t azri_key_format(char out[AZRI_KEY_MAX], const azri_keying *k,
                       const uint64_t *coords)
{
    char *p = out;

    if (k->encoding == 'd')
        *p++ = 'c';
    else if (k->rank == 0)
        *p++ = '0';
    for (int d = 0; d < k->rank; d++) {
        if (p != out)
            *p++ = k->separator;
        if (coords[d] < 10)
            *p++ = (char)('0' + coords[d]);
        else
            p = put_number(p, coords[d]);
    }
    *p = '\0';
    return (size_t)(p - out);
}

/* A canonical number below 2^63 at `p`; NULL if there is none. */
static const char *take_number(const char *p, uint64_t *out)
{
    uint64_t n = 0;

    if (p[0] == '0') {
        *out = 0;
        return p + 1;
    }
    if (*p < '1' || *p > '9')
        return NULL;
    for (; *p >= '0' && *p <= '9'; p++) {
        unsigned int digit = (unsigned int)(*p - '0');

        if (n > ((uint64_t)INT64_MAX - digit) / 10)
            return NULL;
        n = n * 10 + digit;
    }
    *out = n;
    return p;
}

bool azri_key_parse(uint64_t *coords_out, const azri_keying *k, const char *key)
{
    const char *p = key;

    if (k->encoding == 'd') {
        if (*p++ != 'c')
            return false;
    } else if (k->rank == 0) {
        if (*p++ != '0')
            return false;
    }
    for (int d = 0; d < k->rank; d++) {
        if (p != key && *p++ != k->separator)
            return false;
        p = take_number(p, &coords_out[d]);
        if (!p)
            return false;
    }
    return *p == '\0';
}

void azri_key_parent(char out[AZRI_KEY_MAX], const char *key)
{
    const char *slash = strrchr(key, '/');
    size_t n = slash ? (size_t)(slash - key) : 1;

    memcpy(out, slash ? key : ".", n);
    out[n] = '\0';
}

int azri_coords_compare(const uint64_t *x, const uint64_t *y, int rank)
{
    for (int d = 0; d < rank; d++) {
        if (x[d] != y[d])
            return x[d] < y[d] ? -1 : 1;
    }
    return 0;
}
