/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second opinion on the checker: small histories, made by chance from a seed,
 * sound ones and ones with a read or a time changed, judged twice: by the graph
 * (checker.c) and by trying every order of the operations that real time allows.
 * Both must say the same of each: there is a serial order, or there is none.
 *
 * The search knows the values alone: a read must see the last write, in an order
 * that keeps who ended before whom. The graph also knows which version a write
 * replaced; so a history is made by running operations one after the other, which
 * is where these come from, and then what is seen and when is changed.
 */
#include "checker.h"
#include "stress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPS         6
#define CELLS       3
#define MOST_ACCESS CELLS

typedef struct small {
    history h;
    hist_op ops[OPS];
    hist_access accesses[OPS * MOST_ACCESS];
} small;

/* ------------------------------------------------------------------ making --- */

static void add_op(small *s, unsigned i, uint64_t *seed, uint64_t last[CELLS])
{
    hist_op *op = &s->ops[i];
    bool writes = stress_below(seed, 2) == 0;

    *op = (hist_op){
        .id = hist_id(0, i),
        .offset = -1,
        .first = (uint32_t)s->h.access_count,
        .kind = writes ? HIST_KIND_TXN : HIST_KIND_READ,
        .committed = writes,
    };
    for (uint16_t cell = 0; cell < CELLS; cell++) {
        hist_access a = {.cell = cell};
        uint64_t dice = stress_below(seed, 4);

        if (dice == 0 && op->count + CELLS - cell > 1)
            continue;
        a.flags = writes && dice != 1 ? HIST_WRITE : HIST_READ;
        if (a.flags == HIST_WRITE && dice == 3)
            a.flags |= HIST_READ;
        if (a.flags & HIST_READ)
            a.saw = last[cell];
        if (a.flags & HIST_WRITE) {
            a.pred = last[cell];
            last[cell] = op->id;
        }
        s->accesses[s->h.access_count++] = a;
        op->count++;
    }
    /* one after the other, but most of them overlap their neighbours */
    op->start = (int64_t)(100 * i + 100 - stress_below(seed, 250)) + 1000;
    op->end = (int64_t)(100 * i + 100 + stress_below(seed, 250)) + 1000;
}

/* A version of the cell: that of any operation that wrote it, or the first. */
static uint64_t any_version(const small *s, uint16_t cell, uint64_t *seed)
{
    unsigned from = (unsigned)stress_below(seed, OPS + 1);

    for (unsigned i = 0; i < from; i++) {
        const hist_op *op = &s->ops[(from + i) % OPS];

        for (unsigned k = 0; k < op->count; k++) {
            const hist_access *a = &s->accesses[op->first + k];

            if (a->cell == cell && (a->flags & HIST_WRITE))
                return op->id;
        }
    }
    return 0;
}

static void make(small *s, uint64_t *seed)
{
    uint64_t last[CELLS] = {0};

    memset(s, 0, sizeof *s);
    for (unsigned i = 0; i < OPS; i++)
        add_op(s, i, seed, last);
    s->h.ops = s->ops;
    s->h.op_count = OPS;
    s->h.accesses = s->accesses;
    s->h.cells = CELLS;
    for (unsigned i = 1; i <= HIST_SLOTS; i++)
        s->h.base[i] = OPS;
    for (uint64_t n = stress_below(seed, 3); n > 0; n--) {
        hist_access *a = &s->accesses[stress_below(seed, s->h.access_count)];
        hist_op *op = &s->ops[stress_below(seed, OPS)];

        if (stress_below(seed, 3) == 0) {
            int64_t by = (int64_t)stress_below(seed, 600) - 300;

            op->start += by;
            op->end += by;
        } else if (a->flags == HIST_READ) {
            a->saw = any_version(s, a->cell, seed);
        }
    }
}

/* --------------------------------------------------------------- searching --- */

typedef struct search {
    const small *s;
    unsigned done; /* bit per operation */
    uint64_t last[CELLS];
} search;

/* Whoever ended before it began comes first. */
static bool may_come(const search *q, unsigned i)
{
    for (unsigned k = 0; k < OPS; k++) {
        if (!(q->done >> k & 1) && k != i &&
            q->s->ops[k].end < q->s->ops[i].start)
            return false;
    }
    return true;
}

/* Versions are in the order in which writers replaced them: that is known. */
static bool fits(search *q, unsigned i)
{
    const hist_op *op = &q->s->ops[i];

    for (unsigned k = 0; k < op->count; k++) {
        const hist_access *a = &q->s->accesses[op->first + k];

        if ((a->flags & HIST_READ) && a->saw != q->last[a->cell])
            return false;
        if ((a->flags & HIST_WRITE) && a->pred != q->last[a->cell])
            return false;
    }
    for (unsigned k = 0; k < op->count; k++) {
        const hist_access *a = &q->s->accesses[op->first + k];

        if (a->flags & HIST_WRITE)
            q->last[a->cell] = op->id;
    }
    return true;
}

/* An order of the rest; depth is at most OPS. */
static bool find_order(search *q)
{
    if (q->done == (1u << OPS) - 1)
        return true;
    for (unsigned i = 0; i < OPS; i++) {
        search next = *q;

        if ((q->done >> i & 1) || !may_come(q, i) || !fits(&next, i))
            continue;
        next.done |= 1u << i;
        if (find_order(&next))
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    static small s;
    static char text[20000];
    uint64_t fine = 0, seed, total;
    stress_args args;

    stress_parse(&args, argc, argv);
    seed = args.seed;
    total = 100000u * (uint64_t)args.scale;
    for (uint64_t n = 0; n < total; n++) {
        search q = {.s = &s};
        hist_verdict v;
        bool serial;

        make(&s, &seed);
        serial = find_order(&q);
        v = hist_check(&s.h, text, sizeof text);
        fine += serial;
        if (serial != (v == HIST_FINE)) {
            (void)printf("brute: seed %" PRIu64 ", history %" PRIu64
                         ": the graph says %s, the search %s\n%s",
                         args.seed, n, hist_verdict_name(v),
                         serial ? "serial" : "not serial", text);
            return 1;
        }
    }
    (void)printf("brute: seed %" PRIu64 ", %" PRIu64 " histories of %d "
                 "operations judged alike, %" PRIu64 " of them serial\n",
                 args.seed, total, OPS, fine);
    /* too few of either kind prove nothing */
    return fine * 10 < total || (total - fine) * 10 < total;
}
