/* SPDX-License-Identifier: Apache-2.0 */
#include "elem.h"

#include <atomiczarr.h>

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------- half --- */

static double power_of_two(int e)
{
    double v = 1;

    for (; e > 0; e--)
        v *= 2;
    for (; e < 0; e++)
        v /= 2;
    return v;
}

static double half_to_double(uint16_t h)
{
    int exponent = h >> 10 & 31;
    double fraction = h & 1023;
    double v;

    if (exponent == 31)
        v = fraction > 0 ? (double)NAN : (double)INFINITY;
    else if (exponent == 0)
        v = fraction * power_of_two(-24);
    else
        v = (1024 + fraction) * power_of_two(exponent - 25);
    return h & 0x8000 ? -v : v;
}

/* The nearest integer of 0 ≤ v < 2^53, ties to even. */
static uint32_t round_even(double v)
{
    uint32_t n = (uint32_t)v;
    double rest = v - (double)n;

    if (rest > 0.5 || (rest >= 0.5 && (n & 1)))
        n++;
    return n;
}

/* A finite value of 65520 and above becomes infinity. */
static uint16_t half_from_double(double v)
{
    uint32_t sign = signbit(v) ? 0x8000u : 0;
    uint32_t bits;
    double a = v < 0 ? -v : v;
    int e = -14; /* of the leading bit, or of the subnormals */

    if (isnan(v))
        return (uint16_t)(sign | 0x7e00u);
    if (a >= 65520)
        return (uint16_t)(sign | 0x7c00u);
    while (e < 15 && a >= power_of_two(e + 1))
        e++;
    bits = round_even(a * power_of_two(10 - e));
    /* rounding up carries into the exponent as it should */
    bits += (uint32_t)(e + 14) << 10;
    return (uint16_t)(sign | bits);
}

/* --------------------------------------------------------------- text --- */

/* Digits that a type surely keeps, and those that always suffice; whole numbers
 * as far as it knows each of them are written out. */
static void real_text(char out[ELEM_TEXT_MAX], double v, int dtype)
{
    int few = dtype == AZR_FLOAT16 ? 3 : dtype == AZR_FLOAT32 ? 6 : 15;
    double whole = dtype == AZR_FLOAT64 ? 9007199254740992. : 16777216.;
    int many = dtype == AZR_FLOAT16 ? 5 : dtype == AZR_FLOAT32 ? 9 : 17;

    if (v >= -whole && v <= whole && (double)(int64_t)v >= v &&
        (double)(int64_t)v <= v) {
        (void)snprintf(out, ELEM_TEXT_MAX, "%.0f", v);
        return;
    }
    for (int digits = few; digits <= many; digits++) {
        double back;

        (void)snprintf(out, ELEM_TEXT_MAX, "%.*g", digits, v);
        back = strtod(out, NULL);
        if (dtype == AZR_FLOAT16)
            back = half_to_double(half_from_double(back));
        else if (dtype == AZR_FLOAT32)
            back = (double)strtof(out, NULL);
        if (back >= v && back <= v)
            return;
    }
}

static void real_json(char out[ELEM_TEXT_MAX], double v, int dtype)
{
    if (isnan(v))
        (void)snprintf(out, ELEM_TEXT_MAX, "\"NaN\"");
    else if (isinf(v))
        (void)snprintf(out, ELEM_TEXT_MAX, "\"%sInfinity\"", v < 0 ? "-" : "");
    else if (v >= 0 && v <= 0 && signbit(v))
        (void)snprintf(out, ELEM_TEXT_MAX, "-0.0"); /* -0 is an integer: 0 */
    else
        real_text(out, v, dtype);
}

/* The real parts of an element, widened: one or two; none for integers. */
static int load_reals(double v[2], int *part, int dtype, const void *p)
{
    float f[2];
    uint16_t h;

    *part = AZR_FLOAT64;
    switch (dtype) {
    case AZR_FLOAT16:
        memcpy(&h, p, sizeof h);
        v[0] = half_to_double(h);
        *part = AZR_FLOAT16;
        return 1;
    case AZR_FLOAT32:
        memcpy(f, p, sizeof f[0]);
        v[0] = (double)f[0];
        *part = AZR_FLOAT32;
        return 1;
    case AZR_COMPLEX64:
        memcpy(f, p, sizeof f);
        v[0] = (double)f[0];
        v[1] = (double)f[1];
        *part = AZR_FLOAT32;
        return 2;
    case AZR_FLOAT64:
        memcpy(v, p, sizeof v[0]);
        return 1;
    case AZR_COMPLEX128:
        memcpy(v, p, 2 * sizeof v[0]);
        return 2;
    default:
        return 0;
    }
}

static void whole_text(char out[ELEM_TEXT_MAX], int dtype, const void *p)
{
    union {
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
    } v = {.u64 = 0};
    int64_t i = 0;
    uint64_t u = 0;

    memcpy(&v, p, azr_dtype_nbytes(dtype));
    switch (dtype) {
    case AZR_BOOL:
        (void)snprintf(out, ELEM_TEXT_MAX, "%s", v.u8 ? "true" : "false");
        return;
    case AZR_INT8:
        i = (int64_t)v.i8; /* NOLINT(bugprone-signed-char-misuse) */
        break;
    case AZR_INT16:
        i = v.i16;
        break;
    case AZR_INT32:
        i = v.i32;
        break;
    case AZR_INT64:
        i = v.i64;
        break;
    case AZR_UINT8:
        u = v.u8;
        break;
    case AZR_UINT16:
        u = v.u16;
        break;
    case AZR_UINT32:
        u = v.u32;
        break;
    default:
        u = v.u64;
        break;
    }
    if (dtype >= AZR_UINT8)
        (void)snprintf(out, ELEM_TEXT_MAX, "%" PRIu64, u);
    else
        (void)snprintf(out, ELEM_TEXT_MAX, "%" PRId64, i);
}

void elem_text(char out[ELEM_TEXT_MAX], int dtype, const void *p)
{
    char re[ELEM_TEXT_MAX], im[ELEM_TEXT_MAX];
    double v[2];
    int part;
    int n = load_reals(v, &part, dtype, p);

    if (n == 0) {
        whole_text(out, dtype, p);
        return;
    }
    real_text(re, v[0], part);
    if (n == 1) {
        memcpy(out, re, sizeof re);
        return;
    }
    real_text(im, v[1], part);
    (void)snprintf(out, ELEM_TEXT_MAX, "%.40s%s%.40sj", re,
                   im[0] == '-' ? "" : "+", im);
}

void elem_json(char out[ELEM_TEXT_MAX], int dtype, const void *p)
{
    char re[ELEM_TEXT_MAX], im[ELEM_TEXT_MAX];
    double v[2];
    int part;
    int n = load_reals(v, &part, dtype, p);

    if (n == 0) {
        whole_text(out, dtype, p);
        return;
    }
    real_json(re, v[0], part);
    if (n == 1) {
        memcpy(out, re, sizeof re);
        return;
    }
    real_json(im, v[1], part);
    (void)snprintf(out, ELEM_TEXT_MAX, "[%.40s, %.40s]", re, im);
}

/* ------------------------------------------------------------- parsing --- */

struct reason {
    char *text;
    size_t size;
};

static bool refuse(struct reason *why, const char *text, int dtype,
                   const char *what)
{
    (void)snprintf(why->text, why->size, "'%.60s' %s %s", text, what,
                   azr_dtype_name(dtype));
    return false;
}

/* Unsigned 64-bit numbers as two's complement: `*negative` tells them apart. */
static bool parse_whole(uint64_t *out, bool *negative, const char *text)
{
    char *end = NULL;

    *negative = text[0] == '-';
    if (!isdigit((unsigned char)text[text[0] == '-' || text[0] == '+']))
        return false;
    errno = 0;
    if (*negative)
        *out = (uint64_t)strtoll(text, &end, 0);
    else
        *out = strtoull(text, &end, 0);
    return *end == '\0';
}

static bool parse_integer(void *out, int dtype, const char *text,
                          struct reason *why)
{
    size_t nbytes = azr_dtype_nbytes(dtype);
    unsigned bits = (unsigned)nbytes * 8;
    bool is_signed = dtype <= AZR_INT64;
    uint64_t max = UINT64_MAX >> (64 - bits + is_signed);
    uint64_t v;
    bool negative, fits;

    if (!parse_whole(&v, &negative, text))
        return refuse(why, text, dtype, "is no integer, as needed for");
    fits = errno == 0;
    if (negative)
        fits =
            fits && ((is_signed && (int64_t)v >= -(int64_t)max - 1) || v == 0);
    else
        fits = fits && v <= max;
    if (!fits) {
        int64_t min = is_signed ? -(int64_t)max - 1 : 0;

        (void)snprintf(why->text, why->size,
                       "'%.60s' does not fit %s: %" PRId64 " to %" PRIu64, text,
                       azr_dtype_name(dtype), min, max);
        return false;
    }
    {
        uint8_t u8 = (uint8_t)v;
        uint16_t u16 = (uint16_t)v;
        uint32_t u32 = (uint32_t)v;

        memcpy(out,
               nbytes == 1   ? (const void *)&u8
               : nbytes == 2 ? (const void *)&u16
               : nbytes == 4 ? (const void *)&u32
                             : (const void *)&v,
               nbytes);
    }
    return true;
}

static bool parse_bool(void *out, const char *text, struct reason *why)
{
    static const char *const yes[] = {"true", "True", "1"};
    static const char *const no[] = {"false", "False", "0"};

    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        bool is_yes = strcmp(text, yes[i]) == 0;

        if (is_yes || strcmp(text, no[i]) == 0) {
            memset(out, is_yes, 1);
            return true;
        }
    }
    return refuse(why, text, AZR_BOOL,
                  "is neither true nor false, as needed "
                  "for");
}

/* A real at *at, stored as `part`; moves *at past it. */
static const char *parse_real(void *out, int part, const char **at)
{
    char *end = NULL;
    double v, size;
    float f;
    uint16_t h;

    if (isspace((unsigned char)**at))
        return "is no number, as needed for";
    errno = 0;
    v = strtod(*at, &end);
    f = strtof(*at, NULL);
    if (end == *at)
        return "is no number, as needed for";
    size = v < 0 ? -v : v;
    if (isinf(v) && errno == ERANGE)
        return "is beyond the range of";
    if (!isinf(v) && ((part == AZR_FLOAT32 && isinf(f)) ||
                      (part == AZR_FLOAT16 && size >= 65520)))
        return "is beyond the range of";
    *at = end;
    h = half_from_double(v);
    if (part == AZR_FLOAT16)
        memcpy(out, &h, sizeof h);
    else if (part == AZR_FLOAT32)
        memcpy(out, &f, sizeof f);
    else
        memcpy(out, &v, sizeof v);
    return NULL;
}

static bool parse_float(void *out, int dtype, const char *text,
                        struct reason *why)
{
    const char *at = text;
    char value[8];
    const char *what = parse_real(value, dtype, &at);

    if (what)
        return refuse(why, text, dtype, what);
    if (*at)
        return refuse(why, text, dtype, "is no number, as needed for");
    memcpy(out, value, azr_dtype_nbytes(dtype));
    return true;
}

/* "1", "2j", "1+2j", "(1-2j)". */
static bool parse_complex(void *out, int dtype, const char *text,
                          struct reason *why)
{
    size_t nbytes = azr_dtype_nbytes(dtype) / 2;
    int part = nbytes == 4 ? AZR_FLOAT32 : AZR_FLOAT64;
    const char *at = text + (text[0] == '(');
    char value[ELEM_NBYTES_MAX] = {0};
    const char *what = parse_real(value, part, &at);

    if (!what && *at == 'j') {
        memcpy(value + nbytes, value, nbytes);
        memset(value, 0, nbytes);
        at++;
    } else if (!what && (*at == '+' || *at == '-')) {
        what = parse_real(value + nbytes, part, &at);
        if (!what && *at++ != 'j')
            what = "is no complex number, as needed for";
    }
    if (!what && text[0] == '(' && *at++ != ')')
        what = "is no complex number, as needed for";
    if (!what && *at)
        what = "is no complex number, as needed for";
    if (what)
        return refuse(why, text, dtype, what);
    memcpy(out, value, 2 * nbytes);
    return true;
}

bool elem_parse(void *out, int dtype, const char *text, char *why,
                size_t why_size)
{
    struct reason reason;

    reason.text = why;
    reason.size = why_size;

    switch (dtype) {
    case AZR_BOOL:
        return parse_bool(out, text, &reason);
    case AZR_FLOAT16:
    case AZR_FLOAT32:
    case AZR_FLOAT64:
        return parse_float(out, dtype, text, &reason);
    case AZR_COMPLEX64:
    case AZR_COMPLEX128:
        return parse_complex(out, dtype, text, &reason);
    default:
        return parse_integer(out, dtype, text, &reason);
    }
}
