/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a history strictly serializable? Knows nothing of the library.
 *
 * A *cell* is the smallest thing that is written as a whole; a version of it is
 * named by the operation that wrote it (0: never written). Each write tells which
 * version it replaced, so the order of versions is known and the question is
 * whether a graph has a cycle, which takes time linear in the history:
 *
 *   ww  writer of v           -> writer that replaced v
 *   wr  writer of v           -> operation that read v
 *   rw  operation that read v -> writer that replaced v
 *   rt  ended                 -> began later (one barrier node per end)
 *
 * The length of the array is one more cell: an append replaces it. The order of
 * appends is that of the rows found in the array at the end.
 */
#ifndef AZR_STRESS_CHECKER_H
#define AZR_STRESS_CHECKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define HIST_SLOTS        64
#define HIST_SEQ_BITS     40
#define HIST_INTERMEDIATE (UINT64_C(1) << 63) /* overwritten before commit */

#define HIST_READ  1u
#define HIST_WRITE 2u
#define HIST_TORN  4u /* elements of one cell differed */

typedef struct hist_access {
    uint64_t saw;  /* READ: writer of what was read */
    uint64_t pred; /* WRITE: writer of what was replaced */
    uint16_t cell;
    uint16_t flags;
    uint32_t zero;
} hist_access;

typedef enum hist_kind {
    HIST_KIND_READ = 1,
    HIST_KIND_BLIND,
    HIST_KIND_UPDATE,
    HIST_KIND_TXN,
    HIST_KIND_ABORT, /* a transaction that gives up */
    HIST_KIND_APPEND,
    HIST_KIND_LENGTH
} hist_kind;

typedef struct hist_op {
    uint64_t id;
    int64_t start, end; /* ns; end 0: it never returned */
    int64_t offset;     /* append: where it said it landed; -1 unknown */
    int64_t length;     /* length read: rows */
    uint32_t first;     /* of its accesses */
    uint16_t count;
    uint16_t rows; /* append: how many */
    uint8_t kind;
    uint8_t committed; /* the commit point was passed */
    uint8_t waited;
    uint8_t killed; /* between commit point and clearing the row */
} hist_op;

/* Operations of slot s stand at base[s] .. base[s + 1] - 1 in order of `seq`. */
typedef struct history {
    hist_op *ops;
    size_t op_count;
    hist_access *accesses;
    size_t access_count;
    size_t base[HIST_SLOTS + 1];
    uint16_t cells;     /* cell number `cells` is the length */
    int64_t tail_first; /* row at which appends begin */
    uint64_t *tail;     /* writer of each appended row, at the end */
    bool *tail_torn;    /* elements of that row differed */
    size_t tail_rows;
    size_t cycle_length; /* out: of the cycle that was found */
} history;

typedef enum hist_verdict {
    HIST_FINE = 0,
    HIST_GARBAGE,       /* a value that nobody wrote there */
    HIST_TORN_CELL,     /* half of one version, half of another */
    HIST_G1A,           /* read of a write that was never committed */
    HIST_G1B,           /* read of a value overwritten before its commit */
    HIST_LOST_UPDATE,   /* two writes replaced the same version */
    HIST_WRONG_BASE,    /* replaced another version than it had read */
    HIST_G0,            /* cycle of ww */
    HIST_G1C,           /* cycle of ww, wr */
    HIST_G_SINGLE,      /* … and one rw: read skew */
    HIST_G2,            /* … and several rw: write skew, long fork */
    HIST_REAL_TIME,     /* cycle only with rt: stale, or of the future */
    HIST_APPEND_TWICE,  /* one append stands there twice */
    HIST_APPEND_HOLE,   /* rows that no append wrote */
    HIST_APPEND_TORN,   /* part of an append, or a length inside one */
    HIST_APPEND_LOST,   /* acknowledged, not there */
    HIST_APPEND_OFFSET, /* lies elsewhere than it was told */
    HIST_NOMEM
} hist_verdict;

static inline uint64_t hist_id(unsigned slot, uint64_t seq)
{
    return (uint64_t)(slot + 1) << HIST_SEQ_BITS | (seq + 1);
}

/* The operation `id`; NULL: there is none. */
hist_op *hist_find(const history *h, uint64_t id);
const char *hist_verdict_name(hist_verdict v);
/* Takes `saw` and `pred` of the length from `tail` and writes them into the
 * history. `text` receives what was found, several lines. */
hist_verdict hist_check(history *h, char *text, size_t text_nbytes);

/* ---- dump.c ---- */
/* One line of JSON. `fine`: what our checker says of it. */
bool hist_dump(FILE *f, const history *h, const char *name, bool fine);

/* ---- plants.c ---- */
typedef struct hist_plant {
    const char *name;
    /* false: this history offers no place for it (with this seed) */
    bool (*plant)(history *h, uint64_t *seed);
    unsigned long expected; /* bit per verdict */
} hist_plant;

extern const hist_plant hist_plants[];
extern const size_t hist_plant_count;

/* A copy with room for a few more operations; false: no memory. */
bool hist_copy(history *out, const history *h);
void hist_dispose(history *h);

#endif
