/* SPDX-License-Identifier: Apache-2.0 */
/* The history test: what its workers (history_work.c) and their parent (history.c)
 * share. */
#ifndef AZR_STRESS_HISTORY_H
#define AZR_STRESS_HISTORY_H

#include "checker.h"
#include "nemesis.h"
#include "stress.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define GRID_ROWS  10
#define GRID_COLS  4 /* chunk columns */
#define CELL_WIDTH 4
#define ROW_WIDTH  (GRID_COLS * CELL_WIDTH)
#define CELLS      (GRID_ROWS * GRID_COLS)
#define DOC        CELLS /* the length */
#define TAIL_CELL  1000  /* of elements of appended rows */
#define SEED_ROWS  4     /* there are always so many appended rows */
#define MOST_ROWS  3     /* of one append */
#define MAX_ACCESS (CELLS + 1)

/* ---------------------------------------------------------------- shared --- */

typedef struct slot {
    _Atomic uint64_t op_count;
    _Atomic uint64_t access_count;
    uint64_t seed;
    hist_op *ops;
    hist_access *accesses;
} slot;

typedef struct shared {
    char path[256];
    uint64_t total;
    uint64_t kill_one_in; /* writes; 0: nobody dies */
    bool perturb;
    bool soak; /* more of what is quick */
    uint64_t linger_one_in;
    _Atomic uint64_t claimed;
    _Atomic uint64_t last[CELLS]; /* writer of the newest version */
    _Atomic uint64_t killed_after, killed_before;
    _Atomic uint64_t alone_ops, alone_waited; /* of processes of one thread */
    _Atomic uint64_t waits, retries, locked_reads, row_waits, conflicts,
        recovered, through;
    nemesis nemesis;
    _Atomic int failed;
    char message[600];
    slot slots[HIST_SLOTS];
} shared;

extern shared *sh;

/* A process: slots first .. first + threads - 1. */
typedef struct group {
    unsigned first, threads, flags;
    pid_t pid;
} group;

/* The first failure is kept. */
void hist_fail(const char *what, const char *text);
/* `arg` is the group: its workers, until the work is done. */
void hist_run_group(void *arg);
/* Appended rows from the beginning on, by slot 0. */
void hist_seed_tail(void);
/* The last `rows` rows, whole. */
azr_selection hist_tail_selection(unsigned rows);
/* Id of the operation that wrote n elements of a cell. */
uint64_t hist_decode(const uint64_t *v, unsigned cell, unsigned n, bool *torn);

#endif
