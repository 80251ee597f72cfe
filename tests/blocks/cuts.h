/* SPDX-License-Identifier: Apache-2.0 */
/* The disks that a power cut may leave, of a tape: everything up to a flush, and
 * of the writes after it any. */
#ifndef TEST_BLOCKS_CUTS_H
#define TEST_BLOCKS_CUTS_H

#include "blocks/tape.h"

/* At most so many states of each kind between two flushes; which, by the seed. */
typedef struct cuts_plan {
    uint32_t prefixes; /* after each write */
    uint32_t alone;    /* one write lost; one write kept */
    uint32_t random;   /* any of them */
    uint32_t torn;     /* one write in part, at a page */
    uint32_t
        sectors; /* … at a sector of 512 bytes: no file system must bear it */
    uint64_t seed;
    bool lies; /* the disk has done nothing for a flush */
} cuts_plan;

typedef struct cuts_state {
    uint32_t flush;      /* event before which the power goes; count: the end */
    uint32_t first;      /* of the writes that are not safe */
    uint32_t last;       /* one behind the last write that is kept */
    const uint8_t *kept; /* of first…flush-1: whether it is kept */
    uint32_t torn;       /* the event that is torn; UINT32_MAX: none */
    size_t from, to;     /* bytes of it that are kept */
    bool harsh;          /* torn at a sector */
    uint64_t hash;       /* of the whole disk */
} cuts_state;

/* False: stop. The disk (t->now) is as the state says. */
typedef bool (*cuts_fn)(const cuts_state *s, void *arg);

/* All of them; t->base goes along. */
bool cuts_visit(tape *t, const cuts_plan *plan, cuts_fn fn, void *arg);
/* What is lost, in words. */
void cuts_text(char *out, size_t room, const tape *t, const cuts_state *s);

#endif
