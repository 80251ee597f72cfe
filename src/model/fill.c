/* SPDX-License-Identifier: Apache-2.0 */
/* Fill values: JSON text to bits and back, nothing lost. */
#include "model/dtype.h"

#include "base/checked.h"
#include "model/decimal.h"
#include "model/jsontext.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What one parse needs everywhere. */
typedef struct request {
    const azri_dtype *type;
    bool tolerant; /* format 2 */
    azri_span text;
} request;

static int refuse(const request *f, const char *need, azr_error *err)
{
    return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_METADATA,
                         "fill value %.*s of %s: need %s", AZRI_SNIP(f->text),
                         f->type->v3_name, need);
}

/* The low bytes of an integer, in machine order. */
static void store_low(uint8_t *out, uint64_t bits, size_t nbytes)
{
    uint8_t b1 = (uint8_t)bits;
    uint16_t b2 = (uint16_t)bits;
    uint32_t b4 = (uint32_t)bits;

    if (nbytes == 1)
        memcpy(out, &b1, 1);
    else if (nbytes == 2)
        memcpy(out, &b2, 2);
    else if (nbytes == 4)
        memcpy(out, &b4, 4);
    else
        memcpy(out, &bits, 8);
}

static uint64_t load_low(const uint8_t *in, size_t nbytes)
{
    uint16_t b2;
    uint32_t b4;
    uint64_t b8;

    if (nbytes == 1)
        return in[0];
    if (nbytes == 2) {
        memcpy(&b2, in, 2);
        return b2;
    }
    if (nbytes == 4) {
        memcpy(&b4, in, 4);
        return b4;
    }
    memcpy(&b8, in, 8);
    return b8;
}

static int parse_bool(uint8_t *out, const request *f, azri_span value,
                      azr_error *err)
{
    int64_t n;

    if (azri_json_type_of(value) == AZRI_JSON_TRUE)
        out[0] = 1;
    else if (azri_json_type_of(value) == AZRI_JSON_FALSE)
        out[0] = 0;
    else if (azri_json_i64(value, &n) && (n == 0 || n == 1))
        out[0] = (uint8_t)n;
    else
        return refuse(f, "true or false", err);
    return AZR_OK;
}

/* The digits of a number; format 2 writes numbers as strings too. */
static bool take_decimal(azri_decimal *out, const request *f, azri_span value)
{
    if (f->tolerant && azri_json_type_of(value) == AZRI_JSON_STRING &&
        value.nbytes > 2)
        value = (azri_span){value.data + 1, value.nbytes - 2};
    return azri_decimal_parse(out, value);
}

static int refuse_range(const request *f, azr_error *err)
{
    unsigned int bits = (unsigned int)f->type->nbytes * 8;
    char need[80];

    if (f->type->kind == AZRI_KIND_UINT)
        (void)snprintf(need, sizeof need, "an integer from 0 to %" PRIu64,
                       UINT64_MAX >> (64 - bits));
    else
        (void)snprintf(
            need, sizeof need, "an integer from %" PRId64 " to %" PRId64,
            -(INT64_MAX >> (64 - bits)) - 1, INT64_MAX >> (64 - bits));
    return refuse(f, need, err);
}

static int parse_integer(uint8_t *out, const request *f, azri_span value,
                         azr_error *err)
{
    unsigned int bits = (unsigned int)f->type->nbytes * 8;
    bool is_signed = f->type->kind == AZRI_KIND_INT;
    azri_decimal d;
    uint64_t n, most = UINT64_MAX >> (64 - bits);

    if (!f->tolerant && azri_json_type_of(value) != AZRI_JSON_INTEGER)
        return refuse_range(f, err);
    if (!take_decimal(&d, f, value) || !azri_decimal_u64(&d, &n))
        return refuse_range(f, err);
    if (is_signed)
        most = most / 2 + d.negative;
    else if (d.negative)
        most = 0;
    if (n > most)
        return refuse_range(f, err);
    store_low(out, d.negative ? 0 - n : n, f->type->nbytes);
    return AZR_OK;
}

/* Bits of "NaN", "Infinity" and "-Infinity". */
static uint64_t bits_of_name(const char *name, size_t nbytes)
{
    static const uint64_t infinity[3] = {0x7C00, 0x7F800000,
                                         0x7FF0000000000000};
    static const uint64_t quiet[3] = {0x7E00, 0x7FC00000, 0x7FF8000000000000};
    size_t i = nbytes == 2 ? 0 : nbytes == 4 ? 1 : 2;

    if (strcmp(name, "NaN") == 0)
        return quiet[i];
    if (strcmp(name, "Infinity") == 0)
        return infinity[i];
    return infinity[i] | UINT64_C(1) << (nbytes * 8 - 1);
}

/* "0x" and exactly two digits a byte. */
static bool take_hex(const char *text, size_t nbytes, uint64_t *out)
{
    uint64_t bits = 0;

    if (strncmp(text, "0x", 2) != 0 || strlen(text) != 2 + 2 * nbytes)
        return false;
    for (text += 2; *text; text++) {
        const char *digits = "0123456789abcdef0123456789ABCDEF";
        const char *at = strchr(digits, *text);

        if (!at)
            return false;
        bits = bits << 4 | (uint64_t)((at - digits) % 16);
    }
    *out = bits;
    return true;
}

static bool decimal_bits(const azri_decimal *d, size_t nbytes, uint64_t *out)
{
    uint16_t half;
    uint32_t b4;
    float single;
    double whole;

    if (nbytes == 2) {
        if (!azri_decimal_f16(d, &half))
            return false;
        *out = half;
    } else if (nbytes == 4) {
        if (!azri_decimal_f32(d, &single))
            return false;
        memcpy(&b4, &single, 4);
        *out = b4;
    } else {
        if (!azri_decimal_f64(d, &whole))
            return false;
        memcpy(out, &whole, 8);
    }
    return true;
}

/* A string or bare word: NaN, Infinity, -Infinity or bits. */
static bool word_bits(azri_span value, size_t nbytes, uint64_t *out)
{
    static const char *const names[] = {"NaN", "Infinity", "-Infinity"};
    bool quoted = azri_json_type_of(value) == AZRI_JSON_STRING;
    char hex[24];

    for (size_t i = 0; i < 3; i++) {
        if (quoted ? azri_json_same(value, names[i])
                   : value.nbytes == strlen(names[i]) &&
                         memcmp(value.data, names[i], value.nbytes) == 0) {
            *out = bits_of_name(names[i], nbytes);
            return true;
        }
    }
    if (!quoted || value.nbytes - 2 >= sizeof hex)
        return false;
    memcpy(hex, value.data + 1, value.nbytes - 2);
    hex[value.nbytes - 2] = '\0';
    return take_hex(hex, nbytes, out);
}

/* One float of `nbytes`: the element, or half of a complex one. */
static int parse_float(uint8_t *out, size_t nbytes, const request *f,
                       azri_span value, azr_error *err)
{
    azri_decimal d;
    uint64_t bits = 0;
    bool ok = false;

    switch (azri_json_type_of(value)) {
    case AZRI_JSON_INTEGER:
    case AZRI_JSON_REAL:
        ok = azri_decimal_parse(&d, value);
        if (ok && !decimal_bits(&d, nbytes, &bits))
            return refuse(f, "a number that does not round to infinity", err);
        break;
    case AZRI_JSON_STRING:
        ok = word_bits(value, nbytes, &bits) ||
             (f->tolerant && take_decimal(&d, f, value) &&
              decimal_bits(&d, nbytes, &bits));
        break;
    case AZRI_JSON_BARE:
        ok = f->tolerant && word_bits(value, nbytes, &bits);
        break;
    case AZRI_JSON_OBJECT:
    case AZRI_JSON_ARRAY:
    case AZRI_JSON_TRUE:
    case AZRI_JSON_FALSE:
    case AZRI_JSON_NULL:
        break;
    }
    if (!ok)
        return refuse(f,
                      "a number, \"NaN\", \"Infinity\", \"-Infinity\" or the "
                      "bits as \"0x…\"",
                      err);
    store_low(out, bits, nbytes);
    return AZR_OK;
}

static int base64_value(int c)
{
    const char *alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx"
                           "yz0123456789+/";
    const char *at = c ? strchr(alphabet, c) : NULL;

    return at ? (int)(at - alphabet) : -1;
}

/* Exactly nbytes of padded base64 in `value` (with quotes). */
static bool take_base64(uint8_t *out, size_t nbytes, azri_span value)
{
    size_t length = (nbytes + 2) / 3 * 4, pad = length * 3 / 4 - nbytes;
    uint32_t group = 0;
    size_t at = 0;

    if (value.nbytes != length + 2)
        return false;
    for (size_t i = 0; i < length; i++) {
        int v = base64_value(value.data[1 + i]);

        if (i >= length - pad)
            v = value.data[1 + i] == '=' ? 0 : -1;
        if (v < 0)
            return false;
        group = group << 6 | (uint32_t)v;
        if (i % 4 != 3)
            continue;
        for (int shift = 16; shift >= 0; shift -= 8) {
            if (at < nbytes)
                out[at++] = (uint8_t)(group >> shift);
        }
        group = 0;
    }
    return true;
}

/* Little-endian components to machine order. */
static void from_little(uint8_t *p, size_t unit, size_t nbytes)
{
    for (size_t at = 0; at < nbytes; at += unit) {
        uint64_t bits = 0;

        for (size_t i = unit; i > 0; i--)
            bits = bits << 8 | p[at + i - 1];
        store_low(p + at, bits, unit);
    }
}

static int parse_complex(uint8_t *out, const request *f, azri_span value,
                         azr_error *err)
{
    size_t half = f->type->nbytes / 2;
    azri_json_type kind = azri_json_type_of(value);
    azri_json_walk walk;
    azri_json_item parts[2], extra;
    int rc;

    if (f->tolerant && (kind == AZRI_JSON_INTEGER || kind == AZRI_JSON_REAL)) {
        memset(out, 0, f->type->nbytes);
        return parse_float(out, half, f, value, err);
    }
    if (f->tolerant && kind == AZRI_JSON_STRING &&
        take_base64(out, f->type->nbytes, value)) {
        from_little(out, half, f->type->nbytes);
        return AZR_OK;
    }
    if (kind != AZRI_JSON_ARRAY)
        return refuse(f, "[real, imaginary]", err);
    walk = azri_json_begin(value);
    if (!azri_json_next(&walk, &parts[0]) ||
        !azri_json_next(&walk, &parts[1]) || azri_json_next(&walk, &extra))
        return refuse(f, "[real, imaginary]", err);
    rc = parse_float(out, half, f, parts[0].value, err);
    if (rc < 0)
        return rc;
    return parse_float(out + half, half, f, parts[1].value, err);
}

static int parse_element(uint8_t *out, const request *f, azr_error *err)
{
    switch (f->type->kind) {
    case AZRI_KIND_BOOL:
        return parse_bool(out, f, f->text, err);
    case AZRI_KIND_INT:
    case AZRI_KIND_UINT:
        return parse_integer(out, f, f->text, err);
    case AZRI_KIND_FLOAT:
        return parse_float(out, f->type->nbytes, f, f->text, err);
    case AZRI_KIND_COMPLEX:
        return parse_complex(out, f, f->text, err);
    }
    return refuse(f, "a known data type", err);
}

int azri_fill_parse(uint8_t out[AZRI_FILL_NBYTES], bool *has_fill,
                    const azri_dtype *type, int zarr_format, const char *json,
                    size_t json_nbytes, azr_error *err)
{
    azri_span text = {(const uint8_t *)json, json_nbytes};
    uint8_t element[AZRI_FILL_NBYTES] = {0};
    request f = {type, zarr_format == 2, {NULL, 0}};
    bool is_null;
    int rc = azri_json_check(text, "fill value", AZR_EINVAL, err);

    if (rc < 0)
        return rc;
    f.text = azri_json_body(text);
    is_null = azri_json_type_of(f.text) == AZRI_JSON_NULL;
    if (is_null && !f.tolerant)
        return refuse(&f, "a value (null is of Zarr format 2 alone)", err);
    rc = is_null ? AZR_OK : parse_element(element, &f, err);
    if (rc < 0)
        return rc;
    memcpy(out, element, sizeof element);
    *has_fill = !is_null;
    return AZR_OK;
}

/* ------------------------------------------------------------- to text --- */

#define FLOAT_TEXT (AZRI_DECIMAL_TEXT + 8)

/* One float as JSON; returns the text's length. */
static size_t put_float(char out[FLOAT_TEXT], const uint8_t *in, size_t nbytes,
                        int zarr_format)
{
    uint64_t bits = load_low(in, nbytes);
    uint64_t sign = UINT64_C(1) << (nbytes * 8 - 1);
    uint64_t infinity = bits_of_name("Infinity", nbytes);
    float single;
    double x;
    int n;

    if ((bits & ~sign) > infinity && zarr_format == 3 &&
        bits != bits_of_name("NaN", nbytes)) {
        n = snprintf(out, FLOAT_TEXT, "\"0x%0*" PRIx64 "\"", (int)nbytes * 2,
                     bits);
        return (size_t)n;
    }
    if ((bits & ~sign) >= infinity) {
        n = snprintf(out, FLOAT_TEXT, "\"%s\"",
                     (bits & ~sign) > infinity ? "NaN"
                     : bits & sign             ? "-Infinity"
                                               : "Infinity");
        return (size_t)n;
    }
    if (nbytes == 2) {
        x = azri_f16_to_f64((uint16_t)bits);
    } else if (nbytes == 4) {
        memcpy(&single, in, 4);
        x = (double)single;
    } else {
        memcpy(&x, in, 8);
    }
    return azri_decimal_format(out, x, nbytes);
}

static int format_integer(azri_buf *out, const azri_dtype *type,
                          const uint8_t *in, azr_error *err)
{
    uint64_t bits = load_low(in, type->nbytes);
    unsigned int shift = 64 - (unsigned int)type->nbytes * 8;
    char text[24];
    int n;

    if (type->kind == AZRI_KIND_UINT)
        n = snprintf(text, sizeof text, "%" PRIu64, bits);
    else
        /* up to the sign bit and back: the sign is spread */
        n = snprintf(text, sizeof text, "%" PRId64,
                     (int64_t)(bits << shift) >> shift);
    return azri_buf_append(out, text, (size_t)n, err);
}

static int format_complex(azri_buf *out, const azri_dtype *type,
                          int zarr_format, const uint8_t *in, azr_error *err)
{
    char text[2 * FLOAT_TEXT + 8] = "[";
    size_t half = type->nbytes / 2, n = 1;

    n += put_float(text + n, in, half, zarr_format);
    text[n++] = ',';
    text[n++] = ' ';
    n += put_float(text + n, in + half, half, zarr_format);
    text[n++] = ']';
    return azri_buf_append(out, text, n, err);
}

int azri_fill_format(azri_buf *out, const azri_dtype *type, int zarr_format,
                     bool has_fill, const uint8_t fill[AZRI_FILL_NBYTES],
                     azr_error *err)
{
    char text[FLOAT_TEXT];

    if (!has_fill)
        return azri_buf_puts(out, "null", err);
    switch (type->kind) {
    case AZRI_KIND_BOOL:
        return azri_buf_puts(out, fill[0] ? "true" : "false", err);
    case AZRI_KIND_INT:
    case AZRI_KIND_UINT:
        return format_integer(out, type, fill, err);
    case AZRI_KIND_FLOAT:
        return azri_buf_append(
            out, text, put_float(text, fill, type->nbytes, zarr_format), err);
    case AZRI_KIND_COMPLEX:
        return format_complex(out, type, zarr_format, fill, err);
    }
    return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_DTYPE, "unknown data type");
}

int azri_element_format(azri_buf *out, const azri_dtype *type,
                        const void *element, azr_error *err)
{
    uint8_t bytes[AZRI_FILL_NBYTES] = {0};

    memcpy(bytes, element, type->nbytes);
    return azri_fill_format(out, type, 3, true, bytes, err);
}
