/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include "elem.h"
#include "json.h"
#include "npy.h"

#include <string.h>

#define SLAB (1u << 16) /* elements between looks at signals and progress */

bool output_format_parse(enum output_format *out, const char *text)
{
    static const char *const names[] = {"text", "csv", "npy", "raw", "json"};

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum output_format)i;
            return true;
        }
    }
    return false;
}

static bool go_on(FILE *f, struct progress *p, uint64_t done, uint64_t total)
{
    progress_show(p, done, total);
    return !ferror(f) && !cli_signal;
}

/* Dimensions that end with element i - 1: how many brackets close there. */
static int ends_before(const struct region *r, uint64_t i)
{
    int n = 0;

    for (int d = r->rank; d-- > 0 && i > 0;) {
        if (i % (uint64_t)r->shape[d] != 0)
            break;
        i /= (uint64_t)r->shape[d];
        n++;
    }
    return n;
}

static void write_rows(FILE *f, const struct output *out, struct progress *p)
{
    const struct region *r = out->region;
    const unsigned char *at = out->data;
    size_t item = azr_dtype_nbytes(out->dtype);
    bool is_csv = out->format == OUTPUT_CSV;
    char text[ELEM_TEXT_MAX];

    for (uint64_t i = 0; i < r->count; i++, at += item) {
        int ends = i ? ends_before(r, i) : 0;

        if (i % SLAB == 0 && !go_on(f, p, i, r->count))
            return;
        if (ends > 0)
            (void)fputs(ends > 1 && !is_csv ? "\n\n" : "\n", f);
        else if (i > 0)
            (void)fputc(is_csv ? ',' : ' ', f);
        elem_text(text, out->dtype, at);
        (void)fputs(text, f);
    }
    if (r->count > 0)
        (void)fputc('\n', f);
}

static void write_nested(FILE *f, const struct output *out, struct progress *p)
{
    const struct region *r = out->region;
    const unsigned char *at = out->data;
    size_t item = azr_dtype_nbytes(out->dtype);
    char text[ELEM_TEXT_MAX];

    for (int d = 0; d < r->rank; d++)
        (void)fputc('[', f);
    for (uint64_t i = 0; i < r->count; i++, at += item) {
        int ends = i ? ends_before(r, i) : 0;

        if (i % SLAB == 0 && !go_on(f, p, i, r->count))
            return;
        for (int d = 0; d < ends; d++)
            (void)fputc(']', f);
        if (i > 0)
            (void)fputs(", ", f);
        for (int d = 0; d < ends; d++)
            (void)fputc('[', f);
        elem_json(text, out->dtype, at);
        (void)fputs(text, f);
    }
    for (int d = 0; d < r->rank; d++)
        (void)fputc(']', f);
}

static void write_json(FILE *f, const struct output *out, struct progress *p)
{
    struct json j = json_begin(f);

    json_open(&j, NULL, '{');
    json_text(&j, "path", out->path);
    json_text(&j, "dtype", azr_dtype_name(out->dtype));
    json_ints(&j, "shape", out->region->shape, out->region->rank);
    json_raw(&j, "data", "");
    if (out->region->count > 0)
        write_nested(f, out, p);
    else /* "shape" tells how */
        (void)fputs("[]", f);
    json_close(&j, '}');
    json_end(&j);
}

static void write_bytes(FILE *f, const struct output *out, struct progress *p)
{
    const unsigned char *at = out->data;
    size_t left = out->region->nbytes;

    while (left > 0 &&
           go_on(f, p, out->region->nbytes - left, out->region->nbytes)) {
        size_t n = left < 1u << 20 ? left : 1u << 20;

        if (fwrite(at, 1, n, f) != n)
            return;
        at += n;
        left -= n;
    }
}

void output_write(FILE *f, const struct output *out, struct progress *p)
{
    switch (out->format) {
    case OUTPUT_TEXT:
    case OUTPUT_CSV:
        write_rows(f, out, p);
        break;
    case OUTPUT_JSON:
        write_json(f, out, p);
        break;
    case OUTPUT_NPY:
        npy_write_header(f, out->dtype, out->region->shape, out->region->rank);
        write_bytes(f, out, p);
        break;
    case OUTPUT_RAW:
        write_bytes(f, out, p);
        break;
    }
}
