/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disks that a power cut at one point of a log may leave.
 *
 * What was synced before the cut is there. Of the rest each *part* is there in one
 * of its versions, whatever the others are: a sector of a file as it was at the
 * last sync or as any store since has left it; the size of a file likewise; a
 * change of names made or not (both names of a rename, or neither; not, if what it
 * moves is not there). A sector of a new file that was never synced may also
 * hold garbage.
 */
#ifndef TEST_POWER_CUT_H
#define TEST_POWER_CUT_H

#include "power/disk.h"

#define CUT_PARTS 1024u

typedef struct cut_part {
    disk_kind kind;
    int32_t inode;
    uint32_t sector;
    uint32_t event;        /* DISK_NAMES2 */
    uint32_t count;        /* of versions; 0 is what was synced */
    const uint8_t **bytes; /* DISK_DATA */
    size_t *sizes;         /* DISK_SIZE */
    uint32_t *events;      /* that made version 1, 2 … */
} cut_part;

typedef struct cut {
    const disk_log *log;
    uint32_t at; /* before this event */
    uint32_t parts;
    cut_part *part;
    bool *synced;        /* per event */
    disk_content *floor; /* per inode: what was synced of it */
    uint32_t inodes, names;
    bool garbage;
    double states; /* how many there are */
} cut;

/* A choice: a version for each part. */
typedef uint8_t cut_choice[CUT_PARTS];

/* garbage: what was never written on the disk may read as such. */
void cut_make(cut *c, const disk_log *log, uint32_t at, bool garbage);
disk_image cut_image(const cut *c, const uint8_t *choice);
/* What is lost, for people. */
void cut_text(char *out, size_t nbytes, const cut *c, const uint8_t *choice);

typedef struct cut_plan {
    uint32_t all;    /* at most so many states: all of them */
    uint32_t pairs;  /* else so many pairs of losses, at most, */
    uint32_t random; /* and so many at random */
    uint64_t seed;
} cut_plan;

/* fn returns false to stop; then so does this. */
typedef bool (*cut_fn)(const cut *c, const uint8_t *choice, void *arg);
bool cut_visit(const cut *c, const cut_plan *plan, cut_fn fn, void *arg);

#endif
