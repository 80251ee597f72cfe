/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

int azri_buf_reserve(azri_buf *b, size_t capacity, azr_error *err)
{
    size_t want = b->capacity + b->capacity / 2;
    uint8_t *data;

    if (capacity <= b->capacity)
        return AZR_OK;
    if (want < capacity)
        want = capacity;
    data = azri_resize(b->data, want);
    if (!data)
        return azri_fail_nomem(err, want);
    b->data = data;
    b->capacity = want;
    return AZR_OK;
}

int azri_buf_append(azri_buf *b, const void *data, size_t nbytes,
                    azr_error *err)
{
    int rc;

    if (nbytes > SIZE_MAX - b->nbytes)
        return azri_fail_nomem(err, nbytes);
    rc = azri_buf_reserve(b, b->nbytes + nbytes, err);
    if (rc < 0)
        return rc;
    if (nbytes > 0)
        memcpy(b->data + b->nbytes, data, nbytes);
    b->nbytes += nbytes;
    return AZR_OK;
}

int azri_buf_puts(azri_buf *b, const char *text, azr_error *err)
{
    return azri_buf_append(b, text, strlen(text), err);
}

int azri_buf_printf(azri_buf *b, azr_error *err, const char *fmt, ...)
{
    va_list ap;
    int n, rc;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return azri_fail(err, AZR_EINVAL, "text cannot be formatted");
    rc = azri_buf_reserve(b, b->nbytes + (size_t)n + 1, err);
    if (rc < 0)
        return rc;
    va_start(ap, fmt);
    (void)vsnprintf((char *)b->data + b->nbytes, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->nbytes += (size_t)n;
    return AZR_OK;
}

int azri_buf_terminate(azri_buf *b, azr_error *err)
{
    int rc = azri_buf_reserve(b, b->nbytes + 1, err);

    if (rc < 0)
        return rc;
    b->data[b->nbytes] = '\0';
    return AZR_OK;
}

void azri_buf_dispose(azri_buf *b)
{
    azri_free(b->data);
    b->data = NULL;
    b->nbytes = 0;
    b->capacity = 0;
}
