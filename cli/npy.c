/* SPDX-License-Identifier: Apache-2.0 */
#include "npy.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const char *at, *end;
    char *why;
    size_t why_size;
};

static bool refuse(struct reader *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool refuse(struct reader *r, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(r->why, r->why_size, format, ap);
    va_end(ap);
    return false;
}

bool npy_preamble(const unsigned char *first, size_t *preamble_nbytes,
                  size_t *text_nbytes, char *why, size_t why_size)
{
    struct reader r = {.why_size = why_size};
    size_t n;

    r.why = why;

    if (memcmp(first, "\x93NUMPY", 6) != 0)
        return refuse(&r, "is no .npy file: it begins with %02x %02x %02x %02x",
                      first[0], first[1], first[2], first[3]);
    if (first[6] < 1 || first[6] > 3 || first[7] != 0)
        return refuse(&r, ".npy version %u.%u is not known", first[6],
                      first[7]);
    n = first[8] | (size_t)first[9] << 8;
    if (first[6] > 1)
        n |= (size_t)first[10] << 16 | (size_t)first[11] << 24;
    if (n > NPY_HEADER_MAX)
        return refuse(&r, "the .npy header has %zu bytes, at most %u", n,
                      NPY_HEADER_MAX);
    *preamble_nbytes = first[6] > 1 ? 12 : 10;
    *text_nbytes = n;
    return true;
}

/* ------------------------------------------- the dictionary, by descent --- */

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n'))
        r->at++;
}

static bool take(struct reader *r, char c)
{
    skip_blanks(r);
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool need(struct reader *r, char c)
{
    return take(r, c) || refuse(r, "the .npy header lacks a '%c'", c);
}

/* A quoted string without escapes. */
static bool take_string(struct reader *r, char *out, size_t size)
{
    size_t n = 0;
    char quote;

    skip_blanks(r);
    if (r->at == r->end || (*r->at != '\'' && *r->at != '"'))
        return refuse(r, "the .npy header lacks a string");
    quote = *r->at++;
    while (r->at < r->end && *r->at != quote) {
        if (n + 1 == size || *r->at == '\\' || !isprint((unsigned char)*r->at))
            return refuse(r, "a string of the .npy header is too long or odd");
        out[n++] = *r->at++;
    }
    out[n] = '\0';
    return need(r, quote);
}

static bool take_word(struct reader *r, const char *word)
{
    size_t n = strlen(word);

    skip_blanks(r);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0)
        return false;
    r->at += n;
    return true;
}

static bool take_descr(struct reader *r, struct npy *out)
{
    const uint16_t one = 1;
    char descr[32] = "";
    int big = 0;
    uint8_t machine_is_little;

    skip_blanks(r);
    if (r->at < r->end && *r->at == '[')
        return refuse(r, "structured data types are not supported");
    if (!take_string(r, descr, sizeof descr))
        return false;
    if (!strchr("<>|=", descr[0]) || descr[0] == '\0' ||
        azr_dtype_parse(&out->dtype, &big, descr, NULL) < 0)
        return refuse(r, "data type '%s' is not supported", descr);
    memcpy(&machine_is_little, &one, 1);
    out->swapped = (descr[0] == '>' && machine_is_little) ||
                   (descr[0] == '<' && !machine_is_little);
    return true;
}

static bool take_order(struct reader *r, struct npy *out)
{
    if (take_word(r, "True"))
        out->fortran = true;
    else if (!take_word(r, "False"))
        return refuse(r, "fortran_order is neither True nor False");
    return true;
}

static bool take_length(struct reader *r, int64_t *out)
{
    int64_t v = 0;

    skip_blanks(r);
    if (r->at == r->end || !isdigit((unsigned char)*r->at))
        return refuse(r, "the shape holds something that is no number");
    for (; r->at < r->end && isdigit((unsigned char)*r->at); r->at++) {
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, *r->at - '0', &v))
            return refuse(r, "the shape holds a number beyond 2^63");
    }
    *out = v;
    return true;
}

static bool take_shape(struct reader *r, struct npy *out)
{
    if (!need(r, '('))
        return false;
    while (!take(r, ')')) {
        if (out->rank == AZR_MAX_RANK)
            return refuse(r, "more than %d dimensions", AZR_MAX_RANK);
        if (!take_length(r, &out->shape[out->rank]))
            return false;
        out->rank++;
        if (!take(r, ',')) { /* "(3)" is a number in parentheses */
            if (out->rank == 1)
                return refuse(r, "the shape is no tuple");
            return need(r, ')');
        }
    }
    return true;
}

static bool take_item(struct reader *r, struct npy *out, unsigned *seen)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    char key[32];
    unsigned k = 0;

    if (!take_string(r, key, sizeof key) || !need(r, ':'))
        return false;
    while (k < 3 && strcmp(key, keys[k]) != 0)
        k++;
    if (k == 3 || (*seen & 1u << k))
        return refuse(r,
                      "key '%s' of the .npy header is unknown or there "
                      "twice",
                      key);
    *seen |= 1u << k;
    if (k == 0)
        return take_descr(r, out);
    return k == 1 ? take_order(r, out) : take_shape(r, out);
}

static bool measure(struct reader *r, struct npy *out)
{
    out->count = 1;
    for (int d = 0; d < out->rank; d++) {
        if (out->shape[d] == 0)
            out->count = 0;
    }
    for (int d = 0; d < out->rank && out->count > 0; d++) {
        if (__builtin_mul_overflow(out->count, (uint64_t)out->shape[d],
                                   &out->count))
            return refuse(r, "the shape has more than 2^64 elements");
    }
    if (__builtin_mul_overflow(out->count, azr_dtype_nbytes(out->dtype),
                               &out->nbytes))
        return refuse(r, "the shape has more than 2^64 bytes");
    return true;
}

bool npy_parse(struct npy *out, const char *text, size_t nbytes, char *why,
               size_t why_size)
{
    struct reader r = {.at = text, .end = text + nbytes, .why_size = why_size};
    unsigned seen = 0;

    r.why = why;

    memset(out, 0, sizeof *out);
    if (!need(&r, '{'))
        return false;
    while (!take(&r, '}')) {
        if (!take_item(&r, out, &seen))
            return false;
        if (!take(&r, ',')) {
            if (!need(&r, '}'))
                return false;
            break;
        }
    }
    skip_blanks(&r);
    if (r.at != r.end)
        return refuse(&r, "the .npy header goes on after its '}'");
    if (seen != 7)
        return refuse(&r, "the .npy header lacks %s",
                      !(seen & 1)   ? "descr"
                      : !(seen & 2) ? "fortran_order"
                                    : "shape");
    return measure(&r, out);
}

/* ------------------------------------------------------------- layout --- */

static void swap_bytes(unsigned char *p, uint64_t count, size_t nbytes)
{
    for (uint64_t i = 0; i < count; i++, p += nbytes) {
        for (size_t k = 0; k < nbytes / 2; k++) {
            unsigned char byte = p[k];

            p[k] = p[nbytes - 1 - k];
            p[nbytes - 1 - k] = byte;
        }
    }
}

/* Walks the target in order; `from` follows by strides of the source. */
static void *to_c_order(const struct npy *npy, void *data, size_t item)
{
    size_t stride[AZR_MAX_RANK], from = 0;
    int64_t at[AZR_MAX_RANK] = {0};
    char *out = malloc(npy->nbytes ? npy->nbytes : 1);

    if (!out) {
        free(data);
        return NULL;
    }
    for (int d = 0; d < npy->rank; d++)
        stride[d] = d ? stride[d - 1] * (size_t)npy->shape[d - 1] : item;
    for (uint64_t i = 0; i < npy->count; i++) {
        int d = npy->rank;

        memcpy(out + i * item, (char *)data + from, item);
        while (d-- > 0) {
            from += stride[d];
            if (++at[d] < npy->shape[d])
                break;
            from -= stride[d] * (size_t)npy->shape[d];
            at[d] = 0;
        }
    }
    free(data);
    return out;
}

void *npy_normalise(const struct npy *npy, void *data)
{
    size_t item = azr_dtype_nbytes(npy->dtype);

    if (npy->swapped) {
        bool is_complex =
            npy->dtype == AZR_COMPLEX64 || npy->dtype == AZR_COMPLEX128;

        swap_bytes(data, npy->count << is_complex, item >> is_complex);
    }
    if (npy->fortran && npy->rank > 1)
        return to_c_order(npy, data, item);
    return data;
}

/* -------------------------------------------------------------- writing --- */

static void descr_text(char out[8], int dtype)
{
    static const char *const names[] = {"",   "b1", "i1", "i2", "i4",
                                        "i8", "u1", "u2", "u4", "u8",
                                        "f2", "f4", "f8", "c8", "c16"};
    const uint16_t one = 1;
    uint8_t machine_is_little;

    memcpy(&machine_is_little, &one, 1);
    (void)snprintf(out, 8, "%c%s",
                   azr_dtype_nbytes(dtype) == 1 ? '|'
                   : machine_is_little          ? '<'
                                                : '>',
                   names[dtype]);
}

void npy_write_header(FILE *f, int dtype, const int64_t *shape, int rank)
{
    char text[64 + AZR_MAX_RANK * 24];
    char descr[8];
    size_t used, total;

    descr_text(descr, dtype);
    (void)snprintf(text, sizeof text,
                   "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int d = 0; d < rank; d++) {
        used = strlen(text);
        (void)snprintf(text + used, sizeof text - used, "%s%" PRId64 "%s",
                       d ? " " : "", shape[d],
                       d + 1 < rank || rank == 1 ? "," : "");
    }
    used = strlen(text);
    (void)snprintf(text + used, sizeof text - used, "), }");
    used = strlen(text);
    total = (10 + used + 1 + 63) / 64 * 64; /* data begin at a multiple of 64 */
    (void)fwrite("\x93NUMPY\x01\x00", 1, 8, f);
    (void)fputc((int)((total - 10) & 255), f);
    (void)fputc((int)((total - 10) >> 8), f);
    (void)fprintf(f, "%s%*s\n", text, (int)(total - 10 - used - 1), "");
}
