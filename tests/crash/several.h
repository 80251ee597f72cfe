/* SPDX-License-Identifier: Apache-2.0 */
/* A transaction over several arrays that dies, and who comes next. All that returns
 * bool returns false after complain(). */
#ifndef TEST_CRASH_SEVERAL_H
#define TEST_CRASH_SEVERAL_H

#include "crash/plots.h"
#include "crash/scene.h"
#include "crash/tap.h"

typedef struct trial {
    const plot *p;
    int arrays;
    bool power;
    int recover; /* the operation is opening this array for writing; -1: the plot */
    char from[200], at[200];
    values old, new;
    unsigned points;
    const char *names[TAP_POINTS];
    int sealed, committed;
    bool only_new, only_old;
    unsigned long kills;
} trial;

typedef struct victim {
    const trial *t;
    tap_action action;
    unsigned at;
    bool after;
} victim;

/* What is swept, and how densely. */
typedef struct tempo {
    const plot *p;
    int arrays;
    bool power;
    unsigned quick, otherwise, torture; /* every so many points; 0: none */
} tempo;

extern const tempo tempi[];
extern const size_t tempo_count;

/* The arrays in `from`, the two states that are allowed, the points. */
bool begin(trial *t, const plot *p, int arrays, bool power);
void end(trial *t);
bool be_victim(void *arg);
/* A child dies there, in what stands at `at`; a plain reader is content. */
bool die_at(trial *t, unsigned at, bool after);
/* -1 old, 1 new, 0 either. */
int judge(const trial *t, unsigned at, bool after);
/* Readers, a writer, all again; `number` says which. */
bool look_around(trial *t, unsigned at, bool after, unsigned number);
/* The first complaint, with what was going on. */
bool tell_death(const trial *t, unsigned at, bool after, unsigned number);

/* ---- several_soak.c ---- */
/* Exit status. */
int several_soak(uint64_t seed, unsigned long seconds);

#endif
