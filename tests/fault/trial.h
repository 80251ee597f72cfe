/* SPDX-License-Identifier: Apache-2.0 */
/* What fault-faults and unit-goes-on share: which trials are made, what each begins
 * with, and what is asked after it. */
#ifndef TEST_FAULT_TRIAL_H
#define TEST_FAULT_TRIAL_H

#include "fault/acts.h"
#include "fault/inject.h"

/* ---- which ---- */

typedef struct sample {
    uint64_t seed;
    unsigned long every; /* of so many trials one is made … */
    unsigned long part;  /* … this one, from 1 */
    int64_t until;       /* none begins after that */
    unsigned long late;  /* so many were left out since time was up */
} sample;

#define SAMPLE_ALL                                                             \
    {                                                                          \
        1, 1, 1, INT64_MAX, 0                                                  \
    }

bool sample_is_late(const sample *s);
/* Is trial k of the act whose number is `salt` in it? Where the process stands in
 * memory does not matter: the same seed chooses the same ones. */
bool sample_has(sample *s, uint64_t salt, uint64_t k);

typedef enum way {
    ONCE,
    FOR_EVER,
    SECOND /* after another failure */
} way;

/* Has this not failed in this way in this place? It will have, from now on. */
bool place_is_new(uint64_t site, int error, way w);
/* Does the errno, or short transfer, mean something to a caller? */
bool error_tells(int error);

/* ---- before and after ---- */

/* A copy of the world `from`, as the act wants it. */
void trial_lay_out(const act *a, const char *from, const char *at);

int descriptors(void);
/* No more descriptors than `before`, no map, no more than `heap` bytes. */
bool leaves_nothing(int before, uint64_t heap);

typedef struct pictures {
    char old[WORLD_TEXT], new[WORLD_TEXT], seen[WORLD_TEXT];
} pictures;

/* What was answered, and what is there: an error has changed nothing, success has
 * happened, AZR_EUNKNOWN is either. */
bool is_honest(const act *a, const pictures *p, int rc, const azr_error *err);

/* "point 7 (openat) EIO, then point 12 (close) EIO"; the calls are those of the
 * first and of the second point. */
const char *plan_text(char out[200], const inject_plan *p, call first,
                      call second);

#endif
