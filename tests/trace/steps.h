/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of the protocol, as real processes take them: a table of system calls
 * (os/sys.h) that writes each of them down, in the order in which they happened.
 * Calls are made one at a time, by all processes together, so that this order is
 * the true one, and what stands in `state` and under the keys is known at each.
 */
#ifndef TEST_TRACE_STEPS_H
#define TEST_TRACE_STEPS_H

#include "txn/txn_local.h"

#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

/* Numbers of the processes, as in proofs/array.inc: writers are 1 to 3, and so are
 * their transactions; 0 is who made the array. */
#define TRACE_WRITERS  3
#define TRACE_READER   4
#define TRACE_JANITOR  5
#define TRACE_READER_2 6
#define TRACE_PROCS    7

/* Two chunks of one array; or (`two`) one chunk of each of two, the home first. Row i
 * of array a has the number a * TRACE_ROWS + i. */
#define TRACE_ARRAYS      2
#define TRACE_ROWS        3
#define TRACE_WORDS       (TRACE_ARRAYS * TRACE_ROWS)
#define TRACE_KEYS        2
#define TRACE_ABSENT      4 /* under a key: nothing */
#define TRACE_EVENTS(two) ((two) ? 180u : 120u)

/* What is common to all, before a step. */
typedef struct picture {
    char state
        [TRACE_WORDS]; /* FREE, ACTIVE, PREPARED, SEALED, COMMITTED, TOLD */
    uint8_t txn[TRACE_WORDS];
    uint8_t counter[TRACE_KEYS]; /* bumps since the beginning */
    uint8_t key[TRACE_KEYS];     /* whose the file is */
    uint8_t rows;                /* how many there are */
} picture;

typedef struct event {
    const char *label;
    uint8_t who, arg, value;
    picture before;
} event;

typedef struct part {
    /* Writer: bit k: it writes key k; 0: does not take part. Of two arrays those who
     * read or recover have 1 (the home) or 2. */
    uint8_t set;
    uint8_t gone;    /* … and of these it empties those */
    unsigned begins; /* after so many calls of all */
    unsigned dies;   /* before its call of this number; 0: lives */
    bool late;  /* … counted from its commit, or the lock of a dead row */
    bool meets; /* begins only when somebody is held (below) */
} part;

/* In memory that all of them share. */
typedef struct board {
    /* From the first call to the end one process runs: it is chosen at each call.
     * `loose`: they run as the machine likes, and only the calls take turns. */
    bool loose;
    bool two;      /* arrays */
    bool power;    /* durability */
    uint32_t busy; /* so many rows, the first ones, are somebody else's */
    /* Once it reads it goes on only when somebody has moved a row or a counter, and
     * then makes up to three calls: it is disturbed again and again. 0: nobody. */
    uint8_t chased;
    bool chasing, moved;
    unsigned runs; /* calls that it has left */
    /* Who has taken the SLOT byte of a dead, committed home row makes no call until
     * others have tried the rows of the other array a few times. 0: nobody yet. */
    bool holds_up;
    uint8_t held;
    unsigned held_until, tries;
    sem_t go[TRACE_PROCS], ready, call;
    uint64_t seed;
    unsigned stays; /* of ten calls so many do not hand on */
    unsigned calls;
    bool there[TRACE_PROCS];
    part parts[TRACE_PROCS];
    uint64_t ids[TRACE_PROCS]; /* of a reader: it has a row only to wait in */
    uint8_t staged[TRACE_WRITERS + 1];
    struct {
        uint64_t ino;
        uint8_t txn;
    } files[64];
    unsigned file_count;
    char outside[96]; /* why the model has no such run; "": it may have */
    unsigned count;
    event events[TRACE_EVENTS(true)];
} board;

/* A number from the board's seed, below n. */
unsigned steps_below(board *b, unsigned n);
/* The arrays that are watched: descriptors of their directories and `state`, for all
 * processes that are forked afterwards. False: they cannot be had. */
bool steps_watch(board *b, const char *const *paths, unsigned n);
void steps_unwatch(void);
/* This process is `who`. From here on it is known where it maps what. */
void steps_prepare(board *b, uint8_t who);
/* … `s`: of an array that it has opened. Waits until it is let go. */
void steps_begin(const azri_state *s);
/* A read, or recovery, begins. */
void steps_start(void);
/* The result of a read: whose each chunk was; of two arrays, of that one. */
void steps_read(unsigned array, unsigned value);
/* As a call, without one. */
void steps_pause(void);
/* Until all together have made so many calls; nobody dies at it. */
void steps_wait(unsigned calls);
void steps_end(void);
/* One of those who are there; 0: nobody. */
uint8_t steps_anyone(board *b);
/* What the last step has left. */
void steps_last(board *b);
/* F-slot and F-rest with nothing between: somebody had been faster. */
void steps_tidy(board *b);

#endif
