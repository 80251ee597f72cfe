/* SPDX-License-Identifier: Apache-2.0 */
/* One act on one file system: its tape, the cuts, and what comes after each. */
#ifndef TEST_BLOCKS_COURSE_H
#define TEST_BLOCKS_COURSE_H

#include "blocks/cuts.h"
#include "blocks/mounts.h"
#include "blocks/world.h"

typedef struct course_count {
    uint64_t writes, flushes; /* in the log */
    uint64_t states;          /* that cuts may leave, alike ones included */
    uint64_t distinct;        /* mounted, read, written, verified */
    uint64_t again;     /* of these, left by a cut in what came after one */
    uint64_t unmounted; /* torn at a sector, and the file system refused it */
    uint64_t refused, lost, mixed; /* as in tests/power */
} course_count;

typedef struct course {
    const mounts_kind *fs;
    const act *a;
    bool power;
    uint32_t beside; /* another program syncs before one call in so many */
    cuts_plan plan;
    uint32_t again; /* one state in so many is gone on with, and cut; 0: none */
    disk_site without; /* this sync is taken away; "": none */
    const char *dir;   /* absolute, there, its own */
    const char *keep;  /* NULL, or a file for the disk that is wrong */

    course_count count;
    uint32_t site_count; /* that were asked for in the act */
    disk_site sites[DISK_SITES];
    char where[1024]; /* the disk that is wrong */
} course;

/* In a process of its own. True: all is as promised; else complain(). */
bool course_run(course *c);

#endif
