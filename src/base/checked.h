/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic that says when it does not fit. */
#ifndef AZRI_BASE_CHECKED_H
#define AZRI_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool azri_mul_overflow(size_t a, size_t b, size_t *out)
{
    return __builtin_mul_overflow(a, b, out);
}

static inline bool azri_add_overflow(size_t a, size_t b, size_t *out)
{
    return __builtin_add_overflow(a, b, out);
}

static inline bool azri_mul_i64(int64_t a, int64_t b, int64_t *out)
{
    return __builtin_mul_overflow(a, b, out);
}

static inline bool azri_add_i64(int64_t a, int64_t b, int64_t *out)
{
    return __builtin_add_overflow(a, b, out);
}

/* ceil(a / b), a >= 0, b >= 1; cannot overflow. */
static inline int64_t azri_ceil_div(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}

static inline int64_t azri_min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t azri_max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

#endif
