/* SPDX-License-Identifier: Apache-2.0 */
#include "model/decimal.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPONENT_MOST 1000000000

static bool is_digit(const azri_span *s, size_t at)
{
    return at < s->nbytes && s->data[at] >= '0' && s->data[at] <= '9';
}

static bool is_char(const azri_span *s, size_t at, char c)
{
    return at < s->nbytes && s->data[at] == (uint8_t)c;
}

/* One more digit behind those that `d` holds. */
static void push_digit(azri_decimal *d, char digit)
{
    if (d->count == 0 && digit == '0')
        d->point--; /* leading zero */
    else if (d->count < AZRI_DECIMAL_DIGITS)
        d->digits[d->count++] = digit;
    else if (digit != '0')
        d->digits[AZRI_DECIMAL_DIGITS] = '1'; /* sticky */
}

static void drop_trailing_zeros(azri_decimal *d)
{
    if (d->count == AZRI_DECIMAL_DIGITS && d->digits[d->count] == '1')
        d->count++;
    while (d->count > 0 && d->digits[d->count - 1] == '0')
        d->count--;
    d->digits[d->count] = '\0';
    if (d->count == 0)
        d->point = 0;
}

/* At 'e'. Huge exponents saturate. */
static bool take_exponent(const azri_span *s, size_t *at, int64_t *out)
{
    bool negative;
    int64_t e = 0;

    (*at)++;
    negative = is_char(s, *at, '-');
    if (negative || is_char(s, *at, '+'))
        (*at)++;
    if (!is_digit(s, *at))
        return false;
    for (; is_digit(s, *at); (*at)++) {
        if (e < EXPONENT_MOST)
            e = e * 10 + (s->data[*at] - '0');
    }
    *out = negative ? -e : e;
    return true;
}

bool azri_decimal_parse(azri_decimal *out, azri_span text)
{
    azri_decimal *d = out;
    size_t at = 0, begin;
    int64_t e = 0;

    d->count = 0;
    d->point = 0;
    d->digits[AZRI_DECIMAL_DIGITS] = '\0';
    d->negative = is_char(&text, 0, '-');
    at += d->negative;
    begin = at;
    for (; is_digit(&text, at); at++) {
        push_digit(d, (char)text.data[at]);
        d->point++;
    }
    if (at == begin || (text.data[begin] == '0' && at > begin + 1))
        return false;
    if (is_char(&text, at, '.')) {
        begin = ++at;
        for (; is_digit(&text, at); at++)
            push_digit(d, (char)text.data[at]);
        if (at == begin)
            return false;
    }
    if ((is_char(&text, at, 'e') || is_char(&text, at, 'E')) &&
        !take_exponent(&text, &at, &e))
        return false;
    d->point += e;
    drop_trailing_zeros(d);
    return at == text.nbytes;
}

bool azri_decimal_u64(const azri_decimal *d, uint64_t *out)
{
    uint64_t n = 0;

    if (d->count > d->point || d->point > 20)
        return false;
    for (int i = 0; i < d->point; i++) {
        unsigned int digit =
            i < d->count ? (unsigned int)(d->digits[i] - '0') : 0;

        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, digit, &n))
            return false;
    }
    *out = n;
    return true;
}

/* "-123e-45": no radix point, so no locale. */
static void plain_text(char out[AZRI_DECIMAL_DIGITS + 40],
                       const azri_decimal *d)
{
    int64_t e = d->point - d->count;

    if (e > 99999)
        e = 99999;
    if (e < -99999)
        e = -99999;
    (void)snprintf(out, AZRI_DECIMAL_DIGITS + 40, "%s%se%d",
                   d->negative ? "-" : "", d->count > 0 ? d->digits : "0",
                   (int)e);
}

bool azri_decimal_f64(const azri_decimal *d, double *out)
{
    char text[AZRI_DECIMAL_DIGITS + 40];

    plain_text(text, d);
    *out = strtod(text, NULL);
    return isfinite(*out);
}

bool azri_decimal_f32(const azri_decimal *d, float *out)
{
    char text[AZRI_DECIMAL_DIGITS + 40];

    plain_text(text, d);
    *out = strtof(text, NULL);
    return isfinite(*out);
}

/* -1, 0, 1: magnitude of a less, equal, greater than that of b. */
static int compare(const azri_decimal *a, const azri_decimal *b)
{
    int c;

    if (a->count == 0 || b->count == 0)
        return (a->count > 0) - (b->count > 0);
    if (a->point != b->point)
        return a->point < b->point ? -1 : 1;
    c = strcmp(a->digits, b->digits); /* a prefix is less */
    return (c > 0) - (c < 0);
}

/* x >= 0 to `significant` digits, correctly rounded by the C library. */
static void digits_of(azri_decimal *out, double x, int significant)
{
    char text[64];
    const char *e;

    (void)snprintf(text, sizeof text, "%.*e", significant - 1, x);
    e = strchr(text, 'e');
    out->negative = false;
    out->digits[0] = text[0];
    /* the radix character may be several bytes: count from the end */
    memcpy(out->digits + 1, e - (significant - 1), (size_t)significant - 1);
    out->count = significant;
    out->digits[AZRI_DECIMAL_DIGITS] = '\0';
    out->point = strtol(e + 1, NULL, 10) + 1;
    drop_trailing_zeros(out);
}

double azri_f16_to_f64(uint16_t bits)
{
    int exponent = bits >> 10 & 31;
    double m = bits & 0x3FF, x;

    if (exponent == 31)
        x = m > 0 ? (double)NAN : (double)INFINITY;
    else if (exponent == 0)
        x = ldexp(m, -24);
    else
        x = ldexp(m + 1024, exponent - 25);
    return bits & 0x8000 ? -x : x;
}

/* x >= 0, finite, cut to a half: bits of the greatest half <= x. */
static uint16_t f16_below(double x)
{
    int exponent;

    if (x >= 65504)
        return 0x7BFF;
    if (x < 0x1p-14)
        return (uint16_t)(x * 0x1p24);
    (void)frexp(x, &exponent); /* x in [2^(exponent-1), 2^exponent) */
    return (uint16_t)((exponent + 14) * 1024 +
                      ((int)ldexp(x, 11 - exponent) - 1024));
}

/*
 * A double between text and half would round twice: a decimal just above a
 * midpoint of two halves may become the midpoint as a double, and then go to
 * even, down. The double decides unless it is a midpoint; then the digits do.
 */
bool azri_decimal_f16(const azri_decimal *d, uint16_t *out)
{
    double x, middle, low;
    uint16_t bits;
    bool up;

    if (!azri_decimal_f64(d, &x))
        return false;
    x = fabs(x);
    bits = f16_below(x);
    low = azri_f16_to_f64(bits);
    middle = bits == 0x7BFF ? 65520 : low + azri_f16_to_f64(bits + 1);
    if (bits != 0x7BFF)
        middle /= 2;
    up = x > middle;
    if (!(x < middle) && !up) {
        azri_decimal tie;
        int c;

        digits_of(&tie, middle, 40); /* exact: a midpoint has at most 30 */
        c = compare(d, &tie);
        up = c > 0 || (c == 0 && (bits & 1));
    }
    bits = (uint16_t)(bits + up);
    *out = (uint16_t)(bits | (d->negative ? 0x8000 : 0));
    return bits < 0x7C00;
}

/* Does the decimal read back as x, of a float of that width? */
static bool reads_back(const azri_decimal *d, double x, size_t float_nbytes)
{
    double as_double;
    float as_float;
    uint16_t as_half;

    if (float_nbytes == 2)
        return azri_decimal_f16(d, &as_half) &&
               !(azri_f16_to_f64(as_half) < x) &&
               !(azri_f16_to_f64(as_half) > x);
    if (float_nbytes == 4)
        return azri_decimal_f32(d, &as_float) && !((double)as_float < x) &&
               !((double)as_float > x);
    return azri_decimal_f64(d, &as_double) && !(as_double < x) &&
           !(as_double > x);
}

/*
 * Normal floats: a decimal of up to DIG digits survives the way through the
 * float, so the shortest one shows at DIG digits with zeros behind it. Others
 * are tried from one digit on.
 */
static void shortest(azri_decimal *out, double x, size_t float_nbytes)
{
    int most = float_nbytes == 8 ? 17 : float_nbytes == 4 ? 9 : 5;
    int n = 1;

    if (float_nbytes == 8 && x >= DBL_MIN)
        n = DBL_DIG;
    else if (float_nbytes == 4 && x >= (double)FLT_MIN)
        n = FLT_DIG;
    for (; n < most; n++) {
        digits_of(out, x, n);
        if (reads_back(out, x, float_nbytes))
            return;
    }
    digits_of(out, x, most);
}

/* Digits [begin, end) of d, '0' outside. */
static char *put_digits(char *p, const azri_decimal *d, int begin, int end)
{
    for (int i = begin; i < end; i++) {
        *p = '0';
        if (i >= 0 && i < d->count)
            *p = d->digits[i];
        p++;
    }
    return p;
}

size_t azri_decimal_format(char out[AZRI_DECIMAL_TEXT], double x,
                           size_t float_nbytes)
{
    azri_decimal d;
    char *p = out;
    int point;

    if (signbit(x))
        *p++ = '-';
    shortest(&d, fabs(x), float_nbytes);
    if (d.count == 0)
        d.point = 1;
    point = (int)d.point;
    if (point > 16 || point < -3) {
        p = put_digits(p, &d, 0, 1);
        if (d.count > 1) {
            *p++ = '.';
            p = put_digits(p, &d, 1, d.count);
        }
        p += snprintf(p, 8, "e%+03d", point - 1);
    } else {
        p = put_digits(p, &d, point > 0 ? 0 : -1, point > 0 ? point : 0);
        *p++ = '.';
        p = put_digits(p, &d, point, d.count > point ? d.count : point + 1);
    }
    *p = '\0';
    return (size_t)(p - out);
}
