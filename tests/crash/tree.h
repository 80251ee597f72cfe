/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of nodes as wholes share: a small tree, verbs on it, pictures of
 * it. All that returns bool returns false after complain(). */
#ifndef TEST_CRASH_TREE_H
#define TEST_CRASH_TREE_H

#include "crash/scene.h"
#include "crash/tap.h"

#define LENGTH 12 /* three chunks of four */
#define MARK   50 /* what somebody writes afterwards */
#define PLACES 8

typedef enum verb {
    REMOVE_ARRAY,
    REMOVE_GROUP,
    REPLACE_ARRAY,
    REPLACE_GROUP,
    REPLACE_NOTHING,
    REPLACE_BUILT,
    MOVE_ARRAY,
    MOVE_GROUP,
    CREATE_GROUP,
    SET_ATTRIBUTE,
    VERBS
} verb;

/* What the paths lead to. */
typedef struct picture {
    int kind[PLACES];
    int32_t value[PLACES];  /* of every element */
    char attributes[2][64]; /* of g and y */
} picture;

typedef struct trial {
    verb v;
    char from[200], at[200];
    picture old, new;
    unsigned points;
    int committed; /* the rename that is the commit point */
    const char *names[TAP_POINTS];
    unsigned long kills;
} trial;

typedef struct victim {
    const trial *t;
    tap_action action;
    unsigned at;
    bool after;
} victim;

/* Has handles that are older than a death. */
typedef struct bystander {
    const trial *t;
    pid_t pid;
    int go[2], done[2];
} bystander;

extern const char *const verb_names[VERBS];
/* What the last reader saw; shared with children, as the outcome of a call. */
extern picture *g_seen;
extern int *g_outcome;

void path_of(char out[256], const char *root, const char *place);
bool failed(const char *what, int rc, const azr_error *err);
/* AZR_ECORRUPT after complain(): not all of it has one value. */
int read_all(int32_t *value_out, azr_array *a, azr_error *err);
int fill(azr_array *a, int32_t value, azr_error *err);
bool look_at_group(char out[64], const char *path);
bool same(const picture *a, const picture *b);
bool be_maker(void *arg);
bool be_victim(void *arg);
int set_attribute(const char *root, const char *name, azr_error *err);
bool see(trial *t);
void name_places(trial *t, const char *name);
bool begin(trial *t, verb v);
void end(trial *t);
bool bystander_start(bystander *b, const trial *t);
/* It uses them. */
bool bystander_end(bystander *b);
/* Did the victim die at this point? A kill more. */
bool died_there(trial *t, int status, unsigned at);
/* What g_seen may be after that; *is_new: all of it. */
bool check_verdict(const trial *t, unsigned at, bool after, bool *is_new);
/* The verb again; `arg` is the trial. */
bool be_second(void *arg);
/* If need be; and then it is new. */
bool do_again(trial *t, bool is_new);
/* `arg` is the directory; nothing is left in its trash. */
bool be_collector(void *arg);

/* ---- tree_beside.c ---- */
bool readers(bool with_state);
bool builder_beside_collector(void);
bool setters_beside_each_other(void);
bool moves_after(unsigned what, bool swap, const char *recovered, unsigned step,
                 unsigned long *kills);

/* ---- tree_soak.c ---- */
/* Exit status. */
int tree_soak(uint64_t seed, unsigned long seconds);

#endif
