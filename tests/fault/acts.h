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
    azr_array *other; /* a second handle of a */
    azr_probe *probe;
    struct azri_txn *rows[8]; /* taken, so that others have to look for one */
    unsigned row_count, times;
    const char *codecs;
    bool opaque;        /* a is */
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
#define PART_O     256u /* o: of a data type that is not known */
#define PART_DEADG 512u /* g/x has one: attributes, of which g has a copy */
#define PART_SHARED                                                            \
    1024u /* all of it is of a group that is not ours; see world_can_share */

typedef int (*act_fn)(actor *x, azr_error *err);
typedef struct act {
    const char *name;
    unsigned parts;
    bool power;
    bool changes;       /* else the old picture is the new one */
    bool unsteady;      /* its calls are not the same each time */
    bool by_steps;      /* where it fails, a part of it may have happened */
    act_fn prepare;     /* before anything fails; NULL: nothing */
    act_fn run;         /* with the fault */
    act_fn finish;      /* after it, or NULL */
    int format;         /* 0: 3 */
    const char *codecs; /* of a; NULL: zstd */
} act;

extern const act acts[];
extern const unsigned act_count;

bool world_make(const char *root, const act *a);
/* PART_SHARED, of a copy: is there such a group, and give it everything. */
bool world_can_share(void);
void world_share(const char *root);
/* What a reader finds. `strict`: consolidated metadata must be true as well. */
bool world_see(char out[WORLD_TEXT], const char *root, bool strict);
/* Recover, verify and collect: then nothing is left that has no place. `lost`:
 * but for .azr/lost. */
bool world_is_clean(const char *root, const act *a, bool lost);
/* What an error says was kept elsewhere is there, and comes back. */
bool world_take_back(const char *message);
void actor_begin(actor *x, const char *root, const act *a);
void actor_close(actor *x);
/* Has its array a row that is in use? */
bool actor_has_rows(const actor *x);
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
int with_o(actor *x, azr_error *err);
int with_x(actor *x, azr_error *err);       /* g/x is its a */
azr_memory backwards(int32_t *v, size_t n); /* the last element first */
void place(char out[256], const char *root, const char *name);
int beside_holds(actor *x, azr_error *err);
int beside_waits(actor *x, azr_error *err);
int beside_let_go(actor *x, azr_error *err);
int beside_ends(actor *x, azr_error *err);
unsigned beside_was_told(void); /* so often, that we wait */
int write_box(azr_array *a, int64_t first, int64_t end, int32_t base,
              azr_error *err);
/* `name` from its documents, and two chunks, as one transaction. */
int make_opaque(actor *x, const char *name, azr_error *err);
azr_array_spec spec_of(const actor *x, const char *name);

#endif
