/* SPDX-License-Identifier: Apache-2.0 */
/* Small helpers of the model tests. */
#ifndef AZRI_TEST_MODEL_TESTING_H
#define AZRI_TEST_MODEL_TESTING_H

#include "unit/checks.h"

#include "base/buf.h"

#include <stdio.h>
#include <string.h>

static inline azri_span span_of(const char *text)
{
    azri_span s = {(const uint8_t *)text, strlen(text)};

    return s;
}

/* Did the call fail with that code, and does the text say so? */
static inline void expect_error(int rc, const azr_error *err, int code,
                                const char *part)
{
    if (rc != code || err->code != code || !strstr(err->message, part))
        fail_msg("rc %d, message \"%s\"; wanted %d and \"%s\"", rc,
                 err->message, code, part);
}

static inline void expect_ok(int rc, const azr_error *err)
{
    if (rc != AZR_OK || err->code != AZR_OK)
        fail_msg("rc %d, message \"%s\"", rc, err->message);
}

static inline void expect_text(const azri_buf *b, const char *text)
{
    if (b->nbytes != strlen(text) || memcmp(b->data, text, b->nbytes) != 0)
        fail_msg("found:\n%.*s\nwanted:\n%s", (int)b->nbytes,
                 (const char *)b->data, text);
}

/* xorshift64: the same numbers each time. */
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
