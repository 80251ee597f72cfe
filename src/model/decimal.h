/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decimal numbers between text and bits, exact, the same in every locale: C's
 * own functions only ever see "digits e exponent", which has no radix point.
 * Of this room only.
 */
#ifndef AZRI_MODEL_DECIMAL_H
#define AZRI_MODEL_DECIMAL_H

#include "base/buf.h"

#include <stdbool.h>

/* More digits than the longest midpoint of two doubles (767): what is beyond is
 * remembered as one more digit, so that rounding sees it. */
#define AZRI_DECIMAL_DIGITS 800

/* 0.d1d2d3… × 10^point; no leading, no trailing zeros; count 0: zero. */
typedef struct azri_decimal {
    bool negative;
    int count;
    int64_t point;
    char digits[AZRI_DECIMAL_DIGITS + 2];
} azri_decimal;

/* All of `text` must be one number as JSON writes it. */
bool azri_decimal_parse(azri_decimal *out, azri_span text);
/* The magnitude, if it is an integer below 2^64. */
bool azri_decimal_u64(const azri_decimal *d, uint64_t *out);
/* Nearest value, ties to even, in one rounding, with sign; false: it would be
 * infinite. */
bool azri_decimal_f64(const azri_decimal *d, double *out);
bool azri_decimal_f32(const azri_decimal *d, float *out);
bool azri_decimal_f16(const azri_decimal *d, uint16_t *out);

/* Longest text of the functions below, with its NUL. */
#define AZRI_DECIMAL_TEXT 40
/* Shortest decimal that reads back as the finite x of a float of 2, 4 or 8
 * bytes, as Python prints it ("0.1", "1e+16", "-0.0"). Returns its length. */
size_t azri_decimal_format(char out[AZRI_DECIMAL_TEXT], double x,
                           size_t float_nbytes);

double azri_f16_to_f64(uint16_t bits);

#endif
