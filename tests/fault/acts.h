/* SPDX-License-Identifier: Apache-2.0 */
/* A small world of arrays and groups, what is done in it while something fails,
 * and pictures of it. All that returns bool returns false after complain(). */
#ifndef TEST_FAULT_ACTS_H
#define TEST_FAULT_ACTS_H

#include "crash/scene.h"

#define WORLD_TEXT 4096

/* Who does it: handles of one process. */
typedef struct actor {
    const char *root;
    int format;
    bool power, plain;
    azr_array *a, *b;
    azr_group *g;
    azr_txn *t;
    azr_snapshot *s;
    int to[2], from[2]; /* of a process beside */
    pid_t beside;
} actor;

#define PART_A     1u   /* a: 46 elements in chunks of 4, zstd */
#define PART_B     2u   /* b: the same, as they are */
#define PART_G     4u   /* g: a group, consolidated; g/x: an array */
#define PART_BIG   8u   /* big: one chunk of 1 MiB */
#define PART_DEAD  16u  /* a has a committed row of a dead owner */
#define PART_DEAD2 32u  /* a and b have rows of one */
#define PART_TORN  64u  /* the header of a's state is damaged */
#define PART_LEFT  128u /* rubbish in a's tx and snap; the trash has something */

typedef int (*act_fn)(actor *x, azr_error *err);
typedef struct act {
    const char *name;
    unsigned parts;
    bool power;
    bool changes;   /* else the old picture is the new one */
    bool unsteady;  /* its calls are not the same each time */
    act_fn prepare; /* before anything fails; NULL: nothing */
    act_fn run;     /* with the fault */
    act_fn finish;  /* after it, or NULL */
    int format;     /* 0: 3 */
} act;

extern const act acts[];
extern const unsigned act_count;

bool world_make(const char *root, const act *a);
/* What a reader finds. `strict`: consolidated metadata must be true as well. */
bool world_see(char out[WORLD_TEXT], const char *root, bool strict);
/* Recover, verify and collect: then nothing is left that has no place. `lost`:
 * but for .azr/lost. */
bool world_is_clean(const char *root, const act *a, bool lost);
void actor_begin(actor *x, const char *root, const act *a);
void actor_close(actor *x);
/* Does the handle still work? AZR_OK if there is none. */
int actor_tries(actor *x, azr_error *err);

/* ---- world.c, for acts.c ---- */
int open_array(azr_array **out, const actor *x, const char *name,
               unsigned flags, azr_error *err);
int open_group(azr_group **out, const actor *x, const char *name,
               unsigned flags, azr_error *err);
int make_array(azr_array **out, const actor *x, const char *name,
               unsigned flags, azr_error *err);
int with_a(actor *x, azr_error *err);
int with_both(actor *x, azr_error *err);
int with_g(actor *x, azr_error *err);
void place(char out[256], const char *root, const char *name);
int beside_holds(actor *x, azr_error *err);
int beside_waits(actor *x, azr_error *err);
int beside_let_go(actor *x, azr_error *err);
int beside_ends(actor *x, azr_error *err);
int write_box(azr_array *a, int64_t first, int64_t end, int32_t base,
              azr_error *err);

#endif
