/* SPDX-License-Identifier: Apache-2.0 */
/* Growable bytes with a hard ceiling, and borrowed spans. */
#ifndef AZRI_BASE_BUF_H
#define AZRI_BASE_BUF_H

#include "base/alloc.h"

typedef struct azri_span {
    const uint8_t *data;
    size_t nbytes;
} azri_span;

typedef struct azri_buf {
    uint8_t *data;
    size_t nbytes;   /* in use */
    size_t capacity; /* allocated */
} azri_buf;

#define AZRI_BUF_INIT                                                          \
    {                                                                          \
        NULL, 0, 0                                                             \
    }

/* Room for at least `capacity` bytes; content kept. */
AZR_CHECKED int azri_buf_reserve(azri_buf *b, size_t capacity, azr_error *err);
AZR_CHECKED int azri_buf_append(azri_buf *b, const void *data, size_t nbytes,
                                azr_error *err);
AZR_CHECKED int azri_buf_puts(azri_buf *b, const char *text, azr_error *err);
AZR_CHECKED int azri_buf_printf(azri_buf *b, azr_error *err, const char *fmt,
                                ...) AZRI_PRINTF(3, 4);
/* Make the bytes a C string: a NUL after the last one, not counted. */
AZR_CHECKED int azri_buf_terminate(azri_buf *b, azr_error *err);
void azri_buf_dispose(azri_buf *b);

static inline azri_span azri_buf_span(const azri_buf *b)
{
    azri_span s = {b->data, b->nbytes};

    return s;
}

#endif
