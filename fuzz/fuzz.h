/* SPDX-License-Identifier: Apache-2.0 */
/* What the targets share. A claim that does not hold ends the program. */
#ifndef AZR_FUZZ_H
#define AZR_FUZZ_H

#include "model/jsonscan.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes);
/* Optional: standalone.c uses them too, where a target has them. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerMutate(uint8_t *data, size_t nbytes, size_t max_nbytes);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t nbytes, size_t max_nbytes,
                               unsigned seed);

/* Of the build with MemorySanitizer (msan.c). */
void fuzz_unwritten(void);
#if defined(__has_feature)
#    if __has_feature(memory_sanitizer)
#        define FUZZ_MSAN 1
#    endif
#endif

#define FUZZ_STRING2(x) #x
#define FUZZ_STRING(x)  FUZZ_STRING2(x)
#define require(claim)                                                         \
    fuzz_require((claim), __FILE__ ":" FUZZ_STRING(__LINE__) ": " #claim)

static inline void fuzz_require(bool ok, const char *claim)
{
    if (ok)
        return;
    (void)fprintf(stderr, "does not hold: %s\n", claim);
    abort();
}

/* One line that can be printed: UTF-8, no control characters. */
static inline bool fuzz_is_line(const char *text)
{
    size_t nbytes = strlen(text);

    for (size_t i = 0, n; i < nbytes; i += n) {
        n = azri_utf8_length((const uint8_t *)text + i, nbytes - i);
        if (n == 0 || (unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    }
    return nbytes > 0;
}

/* A failure has a documented code, the same in `err`, and says what is wrong. */
static inline int fuzz_status(int rc, const azr_error *err)
{
    if (rc == AZR_OK)
        return rc;
    if (rc > 0 || rc < AZR_EUNKNOWN || err->code != rc ||
        !fuzz_is_line(err->message)) {
        (void)fprintf(stderr, "status %d, error %d: %s\n", rc, err->code,
                      err->message);
        abort();
    }
    return rc;
}

#endif
