/* SPDX-License-Identifier: Apache-2.0 */
#include "interop_common.h"

#include "model/dtype.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void die(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fputc('\n', stderr);
    exit(2);
}

void *need_memory(size_t nbytes)
{
    void *p = calloc(1, nbytes ? nbytes : 1);

    if (!p)
        die("no memory for %zu bytes", nbytes);
    return p;
}

uint8_t *read_whole(const char *path, size_t *nbytes_out)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data;
    long size;

    if (!f || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0 ||
        fseek(f, 0, SEEK_SET) != 0)
        die("cannot open %s", path);
    data = need_memory((size_t)size + 1);
    if (fread(data, 1, (size_t)size, f) != (size_t)size)
        die("cannot read %s", path);
    (void)fclose(f);
    *nbytes_out = (size_t)size;
    return data;
}

void write_whole(const char *path, const void *data, size_t nbytes)
{
    FILE *f = fopen(path, "wb");

    if (!f || fwrite(data, 1, nbytes, f) != nbytes || fclose(f) != 0)
        die("cannot write %s", path);
}

void text_of(char out[TEXT_MAX], const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(out, TEXT_MAX, fmt, args);
    va_end(args);
    if (n < 0 || n >= TEXT_MAX)
        die("a text of %d bytes", n);
}

void swap_to_little(void *data, size_t nbytes, int dtype)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    size_t unit = azri_dtype_get(dtype)->swap_unit;
    uint8_t *p = data;

    for (size_t at = 0; unit > 1 && at + unit <= nbytes; at += unit) {
        for (size_t i = 0; i < unit / 2; i++) {
            uint8_t byte = p[at + i];

            p[at + i] = p[at + unit - 1 - i];
            p[at + unit - 1 - i] = byte;
        }
    }
#else
    (void)data;
    (void)nbytes;
    (void)dtype;
#endif
}

void shape_text(char out[TEXT_MAX], const int64_t *shape, int rank)
{
    size_t at = 0;

    out[at++] = '[';
    for (int d = 0; d < rank; d++)
        at += (size_t)snprintf(out + at, 32, "%s%lld", d > 0 ? "," : "",
                               (long long)shape[d]);
    out[at++] = ']';
    out[at] = '\0';
}

size_t element_count(const int64_t *shape, int rank)
{
    size_t n = 1;

    for (int d = 0; d < rank; d++)
        n *= (size_t)shape[d];
    return n;
}

uint8_t *read_little(azr_array *a, const azr_array_info *info,
                     size_t *nbytes_out, azr_error *err)
{
    size_t nbytes =
        element_count(info->shape, info->rank) * azr_dtype_nbytes(info->dtype);
    azr_selection all = azr_select_all(info->rank);
    uint8_t *data = need_memory(nbytes);

    if (azr_array_read(a, &all, data, nbytes, err) < 0) {
        free(data);
        return NULL;
    }
    swap_to_little(data, nbytes, info->dtype);
    *nbytes_out = nbytes;
    return data;
}
