/* SPDX-License-Identifier: Apache-2.0 */
#include "checker.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

enum { WW = 1, WR = 2, RW = 4, RT = 8 };

typedef struct edge {
    uint32_t from, to;
    uint16_t cell;
    uint16_t kind;
} edge;

typedef struct graph {
    history *h;
    uint32_t nodes; /* operations, then one barrier per end */
    uint32_t barriers;
    uint32_t *by_end; /* operations that ended, by end */
    uint32_t *succ;   /* per access: operation that replaced what it wrote */
    uint32_t *first_succ; /* per cell: who replaced the initial version */
    edge *edges;
    size_t count, capacity;
    uint32_t *out_at, *out; /* edges by their start */
    uint32_t *in_at, *in;   /* edges by their end */
    bool *gone;
    char *text;
    size_t text_nbytes, text_used;
} graph;

static const char *const verdict_names[] = {
    "fine",          "garbage",     "torn cell",   "G1a",
    "G1b",           "lost update", "wrong base",  "G0",
    "G1c",           "G-single",    "G2",          "real time",
    "append twice",  "append hole", "append torn", "append lost",
    "append offset", "no memory",
};

const char *hist_verdict_name(hist_verdict v)
{
    return verdict_names[v];
}

hist_op *hist_find(const history *h, uint64_t id)
{
    uint64_t slot = id >> HIST_SEQ_BITS;
    uint64_t seq = id & ((UINT64_C(1) << HIST_SEQ_BITS) - 1);

    if (slot < 1 || slot > HIST_SLOTS || seq < 1)
        return NULL;
    if (seq > h->base[slot] - h->base[slot - 1])
        return NULL;
    return &h->ops[h->base[slot - 1] + seq - 1];
}

__attribute__((format(printf, 2, 3))) static void say(graph *g, const char *fmt,
                                                      ...)
{
    va_list ap;
    int n;

    if (g->text_used >= g->text_nbytes)
        return;
    va_start(ap, fmt);
    n = vsnprintf(g->text + g->text_used, g->text_nbytes - g->text_used, fmt,
                  ap);
    va_end(ap);
    if (n > 0)
        g->text_used += (size_t)n;
}

static const char *kind_name(const hist_op *op)
{
    static const char *const names[] = {"?",   "read",  "write",  "update",
                                        "txn", "abort", "append", "length"};

    return op->kind < sizeof names / sizeof names[0] ? names[op->kind] : "?";
}

static void say_op(graph *g, const hist_op *op)
{
    say(g, "  %s %" PRIx64 " [%" PRId64 ", %" PRId64 "]%s\n", kind_name(op),
        op->id, op->start, op->end, op->killed ? " killed" : "");
    for (uint16_t i = 0; i < op->count; i++) {
        const hist_access *a = &g->h->accesses[op->first + i];

        say(g, "    cell %u", a->cell);
        if (a->flags & HIST_READ)
            say(g, " saw %" PRIx64, a->saw);
        if (a->flags & HIST_WRITE)
            say(g, " replaced %" PRIx64, a->pred);
        say(g, "\n");
    }
}

static uint32_t index_of(const graph *g, const hist_op *op)
{
    return (uint32_t)(op - g->h->ops);
}

/* Does it take part? Of the others nothing may be seen. */
static bool counts(const hist_op *op)
{
    if (op->kind == HIST_KIND_READ || op->kind == HIST_KIND_LENGTH)
        return op->end != 0;
    return op->committed != 0;
}

/* Position of the write of `cell` among the accesses; NONE: none. */
static uint32_t write_of(const graph *g, const hist_op *op, uint16_t cell)
{
    for (uint16_t i = 0; i < op->count; i++) {
        const hist_access *a = &g->h->accesses[op->first + i];

        if (a->cell == cell && (a->flags & HIST_WRITE))
            return op->first + i;
    }
    return NONE;
}

/* ------------------------------------------------------------ appends --- */

static hist_verdict tail_block(graph *g, size_t at, uint64_t *last,
                               uint64_t *boundary)
{
    history *h = g->h;
    uint64_t id = h->tail[at];
    hist_op *op = hist_find(h, id);
    hist_access *a;
    uint32_t w;

    if (id == 0 || !op) {
        say(g, "row %zu of the appends: %" PRIx64 "\n", at, id);
        return id == 0 ? HIST_APPEND_HOLE : HIST_GARBAGE;
    }
    w = write_of(g, op, h->cells);
    if (op->kind != HIST_KIND_APPEND || w == NONE || !op->committed) {
        say(g, "row %zu of the appends is of\n", at);
        say_op(g, op);
        return op->committed ? HIST_GARBAGE : HIST_G1A;
    }
    a = &h->accesses[w];
    if (a->flags & HIST_TORN) { /* used here as: has been met */
        say(g, "row %zu: again\n", at);
        say_op(g, op);
        return HIST_APPEND_TWICE;
    }
    for (size_t k = 0; k < op->rows; k++) {
        if (at + k >= h->tail_rows || h->tail[at + k] != id ||
            h->tail_torn[at + k]) {
            say(g, "row %zu of %u at row %zu is not its own\n", k, op->rows,
                at);
            say_op(g, op);
            return HIST_APPEND_TORN;
        }
    }
    if (op->offset >= 0 && op->offset != h->tail_first + (int64_t)at) {
        say(g, "stands at row %zu, was told %" PRId64 " - %" PRId64 "\n", at,
            op->offset, h->tail_first);
        say_op(g, op);
        return HIST_APPEND_OFFSET;
    }
    a->flags |= HIST_TORN;
    a->pred = *last;
    *last = id;
    boundary[at + op->rows] = id;
    return HIST_FINE;
}

static hist_verdict lengths(graph *g, const uint64_t *boundary)
{
    history *h = g->h;

    for (size_t i = 0; i < h->op_count; i++) {
        hist_op *op = &h->ops[i];
        int64_t at = op->length - h->tail_first;

        if (op->kind == HIST_KIND_APPEND && op->committed) {
            hist_access *a = &h->accesses[op->first];

            if (!(a->flags & HIST_TORN)) {
                say_op(g, op);
                return HIST_APPEND_LOST;
            }
            a->flags &= (uint16_t)~HIST_TORN;
        }
        if (op->kind != HIST_KIND_LENGTH || op->end == 0)
            continue;
        if (at < 0 || at > (int64_t)h->tail_rows ||
            (at > 0 && boundary[at] == 0)) {
            say(g, "length %" PRId64 "\n", op->length);
            say_op(g, op);
            return HIST_APPEND_TORN;
        }
        h->accesses[op->first].saw = boundary[at];
    }
    return HIST_FINE;
}

static hist_verdict check_tail(graph *g)
{
    history *h = g->h;
    uint64_t *boundary = calloc(h->tail_rows + 1, sizeof *boundary);
    hist_verdict v = HIST_FINE;
    uint64_t last = 0;

    if (!boundary)
        return HIST_NOMEM;
    for (size_t at = 0; at < h->tail_rows && v == HIST_FINE;) {
        v = tail_block(g, at, &last, boundary);
        if (v == HIST_FINE)
            at += hist_find(h, last)->rows;
    }
    if (v == HIST_FINE)
        v = lengths(g, boundary);
    free(boundary);
    return v;
}

/* ------------------------------------------------------------ versions --- */

/* Version `id` of `cell`: there, committed, final. *access_out: its write, NONE
 * for the initial one. */
static hist_verdict check_version(graph *g, const hist_op *by, uint64_t id,
                                  uint16_t cell, uint32_t *access_out)
{
    const hist_op *op;
    hist_verdict v;

    *access_out = NONE;
    if (id == 0)
        return HIST_FINE;
    op = hist_find(g->h, id & ~HIST_INTERMEDIATE);
    if (op)
        *access_out = write_of(g, op, cell);
    if (op && *access_out != NONE && op->committed && !(id & HIST_INTERMEDIATE))
        return HIST_FINE;
    if (!op || *access_out == NONE)
        v = HIST_GARBAGE;
    else
        v = op->committed ? HIST_G1B : HIST_G1A;
    say(g, "cell %u held %" PRIx64 "\n", cell, id);
    say_op(g, by);
    if (op)
        say_op(g, op);
    return v;
}

static uint32_t *successor_of(graph *g, uint32_t access, uint16_t cell)
{
    return access == NONE ? &g->first_succ[cell] : &g->succ[access];
}

static hist_verdict order_write(graph *g, const hist_op *op, uint32_t i)
{
    const hist_access *a = &g->h->accesses[i];
    uint32_t access, *succ;
    hist_verdict v = check_version(g, op, a->pred, a->cell, &access);

    if (v != HIST_FINE)
        return v;
    if ((a->flags & HIST_READ) && a->saw != a->pred) {
        say(g, "cell %u: it read one version and replaced another\n", a->cell);
        say_op(g, op);
        return HIST_WRONG_BASE;
    }
    succ = successor_of(g, access, a->cell);
    if (*succ != NONE) {
        say(g, "cell %u: both replaced %" PRIx64 "\n", a->cell, a->pred);
        say_op(g, op);
        say_op(g, &g->h->ops[*succ]);
        return HIST_LOST_UPDATE;
    }
    *succ = index_of(g, op);
    return HIST_FINE;
}

static hist_verdict order_versions(graph *g)
{
    history *h = g->h;
    hist_verdict v = HIST_FINE;

    memset(g->succ, 0xff, (h->access_count + 1) * sizeof *g->succ);
    memset(g->first_succ, 0xff, (h->cells + 1u) * sizeof *g->first_succ);
    for (size_t i = 0; i < h->op_count && v == HIST_FINE; i++) {
        const hist_op *op = &h->ops[i];

        if (!counts(op))
            continue;
        for (uint16_t k = 0; k < op->count && v == HIST_FINE; k++) {
            const hist_access *a = &h->accesses[op->first + k];

            if (a->flags & HIST_TORN) {
                say(g, "cell %u\n", a->cell);
                say_op(g, op);
                return HIST_TORN_CELL;
            }
            if (a->flags & HIST_WRITE)
                v = order_write(g, op, op->first + k);
        }
    }
    return v;
}

/* --------------------------------------------------------------- edges --- */

static bool add_edge(graph *g, uint32_t from, uint32_t to, unsigned kind,
                     uint16_t cell)
{
    if (from == to)
        return true;
    if (g->count == g->capacity) {
        size_t want = g->capacity ? 2 * g->capacity : 1024;
        edge *edges = realloc(g->edges, want * sizeof *edges);

        if (!edges)
            return false;
        g->edges = edges;
        g->capacity = want;
    }
    g->edges[g->count++] = (edge){from, to, cell, (uint16_t)kind};
    return true;
}

static hist_verdict edges_of(graph *g, const hist_op *op, const hist_access *a)
{
    uint32_t me = index_of(g, op), access, succ;
    hist_verdict v;
    bool ok = true;

    if ((a->flags & HIST_WRITE) && a->pred != 0)
        ok =
            add_edge(g, index_of(g, hist_find(g->h, a->pred)), me, WW, a->cell);
    if (ok && (a->flags & HIST_READ)) {
        v = check_version(g, op, a->saw, a->cell, &access);
        if (v != HIST_FINE)
            return v;
        if (a->saw != 0)
            ok = add_edge(g, index_of(g, hist_find(g->h, a->saw)), me, WR,
                          a->cell);
        succ = *successor_of(g, access, a->cell);
        if (ok && succ != NONE)
            ok = add_edge(g, me, succ, RW, a->cell);
    }
    return ok ? HIST_FINE : HIST_NOMEM;
}

static hist_verdict data_edges(graph *g)
{
    history *h = g->h;
    hist_verdict v = HIST_FINE;

    for (size_t i = 0; i < h->op_count && v == HIST_FINE; i++) {
        const hist_op *op = &h->ops[i];

        if (!counts(op))
            continue;
        for (uint16_t k = 0; k < op->count && v == HIST_FINE; k++)
            v = edges_of(g, op, &h->accesses[op->first + k]);
    }
    return v;
}

static int compare_end(const void *x, const void *y, void *arg)
{
    const history *h = arg;
    int64_t a = h->ops[*(const uint32_t *)x].end;
    int64_t b = h->ops[*(const uint32_t *)y].end;

    return a < b ? -1 : a > b;
}

/* Barriers in order of their ends: barrier k says that the k-th operation, and
 * all that ended before it, are over. */
static bool time_edges(graph *g)
{
    history *h = g->h;
    uint32_t n = (uint32_t)h->op_count;
    bool ok = true;

    g->barriers = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (counts(&h->ops[i]) && h->ops[i].end != 0)
            g->by_end[g->barriers++] = i;
    }
    qsort_r(g->by_end, g->barriers, sizeof *g->by_end, compare_end, h);
    for (uint32_t k = 0; k < g->barriers && ok; k++) {
        ok = add_edge(g, g->by_end[k], n + k, RT, 0);
        if (ok && k > 0)
            ok = add_edge(g, n + k - 1, n + k, RT, 0);
    }
    for (uint32_t i = 0; i < n && ok; i++) {
        uint32_t low = 0, high = g->barriers;

        if (!counts(&h->ops[i]))
            continue;
        while (low < high) {
            uint32_t mid = low + (high - low) / 2;

            if (h->ops[g->by_end[mid]].end < h->ops[i].start)
                low = mid + 1;
            else
                high = mid;
        }
        if (low > 0)
            ok = add_edge(g, n + low - 1, i, RT, 0);
    }
    g->nodes = n + g->barriers;
    return ok;
}

/* Edges by start or by end. */
static bool index_edges(const graph *g, bool by_start, uint32_t **at_out,
                        uint32_t **list_out)
{
    uint32_t *at = calloc((size_t)g->nodes + 2, sizeof *at);
    uint32_t *list = calloc(g->count + 1, sizeof *list);

    *at_out = at;
    *list_out = list;
    if (!at || !list)
        return false;
    for (size_t i = 0; i < g->count; i++)
        at[(by_start ? g->edges[i].from : g->edges[i].to) + 2]++;
    for (uint32_t i = 2; i < g->nodes + 2; i++)
        at[i] += at[i - 1];
    for (size_t i = 0; i < g->count; i++)
        list[at[(by_start ? g->edges[i].from : g->edges[i].to) + 1]++] =
            (uint32_t)i;
    return true;
}

/* -------------------------------------------------------------- cycles --- */

/* Take away what has no edge in (forward) or out, again and again. */
static uint32_t peel(graph *g, bool forward, unsigned kinds, uint32_t *degree,
                     uint32_t *queue)
{
    const uint32_t *at = forward ? g->out_at : g->in_at;
    const uint32_t *list = forward ? g->out : g->in;
    uint32_t head = 0, tail = 0, left = 0;

    memset(degree, 0, g->nodes * sizeof *degree);
    for (size_t i = 0; i < g->count; i++) {
        const edge *e = &g->edges[i];

        if ((e->kind & kinds) && !g->gone[e->from] && !g->gone[e->to])
            degree[forward ? e->to : e->from]++;
    }
    for (uint32_t i = 0; i < g->nodes; i++) {
        if (!g->gone[i] && degree[i] == 0)
            queue[tail++] = i;
    }
    while (head < tail) {
        uint32_t node = queue[head++];

        g->gone[node] = true;
        for (uint32_t k = at[node]; k < at[node + 1]; k++) {
            const edge *e = &g->edges[list[k]];
            uint32_t next = forward ? e->to : e->from;

            if ((e->kind & kinds) && !g->gone[next] && --degree[next] == 0)
                queue[tail++] = next;
        }
    }
    for (uint32_t i = 0; i < g->nodes; i++)
        left += !g->gone[i];
    return left;
}

/* Shortest way from `from` back to itself, shorter than `best`; via[n] is the
 * edge by which n was reached. */
static size_t search(const graph *g, unsigned kinds, uint32_t from,
                     uint32_t *via, uint32_t *queue, uint32_t *depth,
                     size_t best)
{
    uint32_t head = 0, tail = 0;

    memset(via, 0xff, g->nodes * sizeof *via);
    queue[tail++] = from;
    depth[from] = 0;
    while (head < tail) {
        uint32_t node = queue[head++];

        if (depth[node] + 1 >= best)
            return best;
        for (uint32_t k = g->out_at[node]; k < g->out_at[node + 1]; k++) {
            const edge *e = &g->edges[g->out[k]];

            if (!(e->kind & kinds) || g->gone[e->to] || via[e->to] != NONE)
                continue;
            via[e->to] = g->out[k];
            depth[e->to] = depth[node] + 1;
            if (e->to == from)
                return depth[from];
            queue[tail++] = e->to;
        }
    }
    return best;
}

/* The edges of the cycle through `from`, as `via` has them; how many are rw. */
static unsigned tell_cycle(graph *g, uint32_t from, const uint32_t *via)
{
    uint32_t node = from;
    unsigned rw = 0;

    say(g, "cycle, backwards:\n");
    do {
        const edge *e = &g->edges[via[node]];
        const char *kind = e->kind == WW   ? "ww"
                           : e->kind == WR ? "wr"
                           : e->kind == RW ? "rw"
                                           : "rt";

        rw += e->kind == RW;
        if (node < g->h->op_count)
            say_op(g, &g->h->ops[node]);
        say(g, "  <- %s (cell %u)\n", kind, e->cell);
        node = e->from;
    } while (node != from);
    return rw;
}

#define MOST_STARTS 200

/* Something is left after peeling: the shortest cycle that a few starts find. */
static unsigned show_cycle(graph *g, unsigned kinds, uint32_t *via,
                           uint32_t *queue)
{
    uint32_t *depth = calloc(g->nodes, sizeof *depth);
    uint32_t start = NONE;
    size_t best = SIZE_MAX, starts = 0;
    unsigned rw;

    if (!depth)
        return 0;
    for (uint32_t i = 0; i < g->nodes && starts < MOST_STARTS; i++) {
        size_t length;

        if (g->gone[i] || i >= g->h->op_count)
            continue;
        starts++;
        length = search(g, kinds, i, via, queue, depth, best);
        if (length < best) {
            best = length;
            start = i;
        }
    }
    if (start == NONE) {
        free(depth);
        return 0;
    }
    (void)search(g, kinds, start, via, queue, depth, SIZE_MAX);
    g->h->cycle_length = best;
    rw = tell_cycle(g, start, via);
    free(depth);
    return rw;
}

/* The weakest set of edges that has a cycle names the anomaly. */
static hist_verdict check_cycles(graph *g)
{
    static const unsigned levels[] = {WW, WW | WR, WW | WR | RW,
                                      WW | WR | RW | RT};
    uint32_t *degree = calloc(g->nodes + 1u, sizeof *degree);
    uint32_t *queue = calloc(g->nodes + 1u, sizeof *queue);
    hist_verdict v = HIST_FINE;

    if (!degree || !queue) {
        v = HIST_NOMEM;
        goto done;
    }
    /* all of it first: mostly that is all */
    memset(g->gone, 0, g->nodes);
    if (peel(g, true, levels[3], degree, queue) == 0)
        goto done;
    for (int i = 0; i < 4 && v == HIST_FINE; i++) {
        unsigned rw;

        memset(g->gone, 0, g->nodes);
        if (peel(g, true, levels[i], degree, queue) == 0)
            continue;
        (void)peel(g, false, levels[i], degree, queue);
        rw = show_cycle(g, levels[i], degree, queue);
        if (i == 2)
            v = rw > 1 ? HIST_G2 : HIST_G_SINGLE;
        else
            v = i == 0 ? HIST_G0 : i == 1 ? HIST_G1C : HIST_REAL_TIME;
    }
done:
    free(degree);
    free(queue);
    return v;
}

static hist_verdict check_graph(graph *g)
{
    hist_verdict v = order_versions(g);

    if (v == HIST_FINE)
        v = data_edges(g);
    if (v != HIST_FINE)
        return v;
    if (!time_edges(g) || !index_edges(g, true, &g->out_at, &g->out) ||
        !index_edges(g, false, &g->in_at, &g->in))
        return HIST_NOMEM;
    g->gone = calloc(g->nodes + 1u, sizeof *g->gone);
    return g->gone ? check_cycles(g) : HIST_NOMEM;
}

hist_verdict hist_check(history *h, char *text, size_t text_nbytes)
{
    graph g = {.h = h, .text = text, .text_nbytes = text_nbytes};
    hist_verdict v = HIST_NOMEM;

    if (text_nbytes > 0)
        text[0] = '\0';
    g.by_end = calloc(h->op_count + 1, sizeof *g.by_end);
    g.succ = calloc(h->access_count + 1, sizeof *g.succ);
    g.first_succ = calloc(h->cells + 1u, sizeof *g.first_succ);
    if (g.by_end && g.succ && g.first_succ) {
        v = check_tail(&g);
        if (v == HIST_FINE)
            v = check_graph(&g);
    }
    free(g.by_end);
    free(g.succ);
    free(g.first_succ);
    free(g.edges);
    free(g.out_at);
    free(g.out);
    free(g.in_at);
    free(g.in);
    free(g.gone);
    return v;
}

/* -------------------------------------------------------------- copies --- */

#define SPARE 64

static void *copy_of(const void *p, size_t n, size_t each, size_t spare)
{
    void *q = calloc(n + spare, each);

    if (q && n > 0)
        memcpy(q, p, n * each);
    return q;
}

bool hist_copy(history *out, const history *h)
{
    *out = *h;
    out->ops = copy_of(h->ops, h->op_count, sizeof *h->ops, SPARE);
    out->accesses =
        copy_of(h->accesses, h->access_count, sizeof *h->accesses, 16 * SPARE);
    out->tail = copy_of(h->tail, h->tail_rows, sizeof *h->tail, SPARE);
    out->tail_torn =
        copy_of(h->tail_torn, h->tail_rows, sizeof *h->tail_torn, SPARE);
    return out->ops && out->accesses && out->tail && out->tail_torn;
}

void hist_dispose(history *h)
{
    free(h->ops);
    free(h->accesses);
    free(h->tail);
    free(h->tail_torn);
    memset(h, 0, sizeof *h);
}
