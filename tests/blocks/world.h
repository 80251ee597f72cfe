/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live disk of tests/power/disk.h, of real files: whoever calls these has the
 * file system that is tried as its root directory (chroot). The table of system
 * calls is the real one, with what happens beside: others on the machine sync.
 */
#ifndef TEST_BLOCKS_WORLD_H
#define TEST_BLOCKS_WORLD_H

#include "blocks/tape.h"
#include "power/disk.h"
#include "power/judge.h"

/* Shared with the child that does the act. */
typedef struct world_marks {
    /* this state must not be lost from that event on; UINT32_MAX: it may be */
    uint32_t kept[JUDGE_VIEWS];
    uint32_t site_count;
    disk_site sites[DISK_SITES];
} world_marks;

/* From now on, in this process: notes of marks go to `m`. `beside`: before one
 * call in about so many another program syncs, by `seed`; 0: never. */
void world_use(const tape *t, world_marks *m, uint32_t beside, uint64_t seed);
/* What was asked for goes to the marks. */
void world_note_sites(void);

uint64_t world_random(uint64_t *seed);

#endif
