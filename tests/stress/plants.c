/* SPDX-License-Identifier: Apache-2.0 */
/* Anomalies put into a good history, each of which the checker must find. */
#include "checker.h"

#include <stdlib.h>

#define BIT(v) (1ul << (v))

/* xorshift64* */
static uint64_t random_below(uint64_t *seed, uint64_t n)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return (*seed * UINT64_C(0x2545F4914F6CDD1D)) % n;
}

static hist_access *access_at(const history *h, const hist_op *op, unsigned i)
{
    return &h->accesses[op->first + i];
}

static hist_access *write_in(const history *h, const hist_op *op, uint16_t cell)
{
    for (uint16_t i = 0; i < op->count; i++) {
        hist_access *a = access_at(h, op, i);

        if (a->cell == cell && (a->flags & HIST_WRITE))
            return a;
    }
    return NULL;
}

static bool is_done_read(const hist_op *op)
{
    return op->kind == HIST_KIND_READ && op->end != 0;
}

static void replace(hist_access *a, uint64_t pred)
{
    a->pred = pred;
    if (a->flags & HIST_READ)
        a->saw = pred;
}

/* Call `fn` for operations from a random one on until it takes one. */
static bool somewhere(history *h, uint64_t *seed,
                      bool (*fn)(history *h, hist_op *op, void *arg), void *arg)
{
    size_t at;

    if (h->op_count == 0)
        return false;
    at = random_below(seed, h->op_count);
    for (size_t i = 0; i < h->op_count; i++) {
        if (fn(h, &h->ops[(at + i) % h->op_count], arg))
            return true;
    }
    return false;
}

/* The operation that replaced `id` in `cell`. */
static const hist_op *next_writer(const history *h, uint64_t id, uint16_t cell)
{
    for (size_t i = 0; i < h->op_count; i++) {
        const hist_op *op = &h->ops[i];
        const hist_access *a = op->committed ? write_in(h, op, cell) : NULL;

        if (a && a->pred == id)
            return op;
    }
    return NULL;
}

static hist_access *successor(const history *h, uint64_t id, uint16_t cell)
{
    const hist_op *op = next_writer(h, id, cell);

    return op ? write_in(h, op, cell) : NULL;
}

/* ------------------------------------------------ operations at the end --- */

static int64_t after_all(const history *h)
{
    int64_t t = 0;

    for (size_t i = 0; i < h->op_count; i++) {
        if (h->ops[i].end > t)
            t = h->ops[i].end;
        if (h->ops[i].start > t)
            t = h->ops[i].start;
    }
    return t + 1000;
}

/* The last version of a cell: from its youngest writer on, few steps. */
static uint64_t newest(const history *h, uint16_t cell)
{
    const hist_op *best = NULL;

    for (size_t i = 0; i < h->op_count; i++) {
        const hist_op *op = &h->ops[i];

        if (op->committed && write_in(h, op, cell) &&
            (!best || op->start > best->start))
            best = op;
    }
    while (best) {
        const hist_op *op = next_writer(h, best->id, cell);

        if (!op)
            return best->id;
        best = op;
    }
    return 0;
}

static hist_op *add_op(history *h, hist_kind kind, int64_t start, int64_t end)
{
    unsigned slot = HIST_SLOTS - 1;
    hist_op *op = &h->ops[h->op_count];

    *op = (hist_op){
        .id = hist_id(slot, h->op_count - h->base[slot]),
        .start = start,
        .end = end,
        .offset = -1,
        .first = (uint32_t)h->access_count,
        .kind = (uint8_t)kind,
        .committed = kind != HIST_KIND_READ,
    };
    h->op_count++;
    h->base[HIST_SLOTS] = h->op_count;
    return op;
}

/* Only to the operation that was added last. */
static void add_access(history *h, unsigned flags, uint16_t cell, uint64_t id)
{
    hist_op *op = &h->ops[h->op_count - 1];

    h->accesses[h->access_count++] = (hist_access){
        .saw = (flags & HIST_READ) ? id : 0,
        .pred = (flags & HIST_WRITE) ? id : 0,
        .cell = cell,
        .flags = (uint16_t)flags,
    };
    op->count++;
}

/* -------------------------------------------------------------- plants --- */

static bool swap_writes(history *h, hist_op *b, void *arg)
{
    (void)arg;
    if (!b->committed || b->kind == HIST_KIND_APPEND)
        return false;
    for (uint16_t i = 0; i < b->count; i++) {
        hist_access *ba = access_at(h, b, i), *aa, *next;
        const hist_op *a;
        uint64_t before;

        if (!(ba->flags & HIST_WRITE) || ba->pred == 0)
            continue;
        a = hist_find(h, ba->pred);
        for (uint16_t k = 0; k < b->count; k++) {
            const hist_access *other = access_at(h, b, k);

            if (k == i || !(other->flags & HIST_WRITE) ||
                !write_in(h, a, other->cell))
                continue;
            aa = write_in(h, a, ba->cell);
            next = successor(h, b->id, ba->cell);
            before = aa->pred;
            if (next)
                replace(next, a->id);
            replace(aa, b->id);
            replace(ba, before);
            return true;
        }
    }
    return false;
}

static bool plant_g0(history *h, uint64_t *seed)
{
    return somewhere(h, seed, swap_writes, NULL);
}

static bool find_aborted(history *h, hist_op *op, void *arg)
{
    hist_op **out = arg;

    if (op->committed || op->count == 0)
        return false;
    for (uint16_t i = 0; i < op->count; i++) {
        if (access_at(h, op, i)->flags & HIST_WRITE) {
            *out = op;
            return true;
        }
    }
    return false;
}

static bool see_aborted(history *h, hist_op *op, void *arg)
{
    const hist_op *aborted = arg;

    for (uint16_t i = 0; is_done_read(op) && i < op->count; i++) {
        hist_access *a = access_at(h, op, i);

        if (write_in(h, aborted, a->cell)) {
            a->saw = aborted->id;
            return true;
        }
    }
    return false;
}

static bool plant_g1a(history *h, uint64_t *seed)
{
    hist_op *aborted = NULL;

    return somewhere(h, seed, find_aborted, &aborted) &&
           somewhere(h, seed, see_aborted, aborted);
}

static bool see_early(history *h, hist_op *op, void *arg)
{
    (void)arg;
    if (!is_done_read(op) || op->count == 0 || access_at(h, op, 0)->saw == 0)
        return false;
    access_at(h, op, 0)->saw |= HIST_INTERMEDIATE;
    return true;
}

static bool plant_g1b(history *h, uint64_t *seed)
{
    return somewhere(h, seed, see_early, NULL);
}

static bool see_stranger(history *h, hist_op *op, void *arg)
{
    (void)arg;
    if (!is_done_read(op) || op->count == 0)
        return false;
    access_at(h, op, 0)->saw = op->id; /* a reader wrote nothing */
    return true;
}

static bool plant_garbage(history *h, uint64_t *seed)
{
    return somewhere(h, seed, see_stranger, NULL);
}

static bool tear(history *h, hist_op *op, void *arg)
{
    (void)arg;
    if (!is_done_read(op) || op->count == 0)
        return false;
    access_at(h, op, op->count - 1u)->flags |= HIST_TORN;
    return true;
}

static bool plant_torn(history *h, uint64_t *seed)
{
    return somewhere(h, seed, tear, NULL);
}

/* Circular information flow. */
static bool plant_g1c(history *h, uint64_t *seed)
{
    uint16_t x = (uint16_t)random_below(seed, h->cells / 2);
    uint16_t y = (uint16_t)(x + h->cells / 2);
    uint64_t vx = newest(h, x), vy = newest(h, y);
    int64_t t = after_all(h);
    hist_op *a = add_op(h, HIST_KIND_TXN, t, t + 100);
    uint64_t b = a->id + 1;

    add_access(h, HIST_WRITE, x, vx);
    add_access(h, HIST_READ, y, b);
    (void)add_op(h, HIST_KIND_TXN, t + 1, t + 101);
    add_access(h, HIST_WRITE, y, vy);
    add_access(h, HIST_READ, x, a->id);
    return true;
}

static bool skew(history *h, hist_op *op, void *arg)
{
    (void)arg;
    for (uint16_t i = 0; is_done_read(op) && i < op->count; i++) {
        for (uint16_t k = 0; k < op->count; k++) {
            hist_access *a = access_at(h, op, i), *b = access_at(h, op, k);

            if (i == k || a->saw == 0 || a->saw != b->saw)
                continue;
            a->saw = write_in(h, hist_find(h, a->saw), a->cell)->pred;
            return true;
        }
    }
    return false;
}

static bool plant_read_skew(history *h, uint64_t *seed)
{
    return somewhere(h, seed, skew, NULL);
}

static bool plant_write_skew(history *h, uint64_t *seed)
{
    uint16_t x = (uint16_t)random_below(seed, h->cells / 2);
    uint16_t y = (uint16_t)(x + h->cells / 2);
    uint64_t vx = newest(h, x), vy = newest(h, y);
    int64_t t = after_all(h);

    (void)add_op(h, HIST_KIND_TXN, t, t + 100);
    add_access(h, HIST_READ | HIST_WRITE, x, vx);
    h->accesses[h->access_count - 1].saw = vx;
    add_access(h, HIST_READ, y, vy);
    (void)add_op(h, HIST_KIND_TXN, t + 1, t + 101);
    add_access(h, HIST_READ, x, vx);
    add_access(h, HIST_READ | HIST_WRITE, y, vy);
    h->accesses[h->access_count - 1].saw = vy;
    return true;
}

static bool plant_long_fork(history *h, uint64_t *seed)
{
    uint16_t x = (uint16_t)random_below(seed, h->cells / 2);
    uint16_t y = (uint16_t)(x + h->cells / 2);
    uint64_t vx = newest(h, x), vy = newest(h, y), a, b;
    int64_t t = after_all(h);

    a = add_op(h, HIST_KIND_BLIND, t, t + 100)->id;
    add_access(h, HIST_WRITE, x, vx);
    b = add_op(h, HIST_KIND_BLIND, t + 1, t + 101)->id;
    add_access(h, HIST_WRITE, y, vy);
    (void)add_op(h, HIST_KIND_READ, t + 2, t + 102);
    add_access(h, HIST_READ, x, a);
    add_access(h, HIST_READ, y, vy);
    (void)add_op(h, HIST_KIND_READ, t + 3, t + 103);
    add_access(h, HIST_READ, x, vx);
    add_access(h, HIST_READ, y, b);
    return true;
}

static bool lose(history *h, hist_op *op, void *arg)
{
    (void)arg;
    for (uint16_t i = 0; op->committed && i < op->count; i++) {
        hist_access *a = access_at(h, op, i), *next;

        if (!(a->flags & HIST_WRITE) || op->kind == HIST_KIND_APPEND)
            continue;
        next = successor(h, op->id, a->cell);
        if (!next)
            continue;
        replace(next, a->pred);
        return true;
    }
    return false;
}

static bool plant_lost_update(history *h, uint64_t *seed)
{
    return somewhere(h, seed, lose, NULL);
}

static bool misread(history *h, hist_op *op, void *arg)
{
    (void)arg;
    for (uint16_t i = 0;
         op->kind == HIST_KIND_UPDATE && op->committed && i < op->count; i++) {
        hist_access *a = access_at(h, op, i);

        if (a->saw == 0)
            continue;
        a->saw = write_in(h, hist_find(h, a->saw), a->cell)->pred;
        return true;
    }
    return false;
}

static bool plant_wrong_base(history *h, uint64_t *seed)
{
    return somewhere(h, seed, misread, NULL);
}

/* A reader of one cell sees what was replaced before it began. */
static bool stale(history *h, hist_op *op, void *arg)
{
    const hist_op *writer;
    hist_access *a = access_at(h, op, 0);

    (void)arg;
    if (!is_done_read(op) || op->count != 1 || a->cell == h->cells ||
        a->saw == 0)
        return false;
    writer = hist_find(h, a->saw);
    if (writer->end == 0 || writer->end >= op->start)
        return false;
    a->saw = write_in(h, writer, a->cell)->pred;
    return true;
}

static bool plant_stale(history *h, uint64_t *seed)
{
    return somewhere(h, seed, stale, NULL);
}

static bool plant_future(history *h, uint64_t *seed)
{
    uint16_t x = (uint16_t)random_below(seed, h->cells);
    uint64_t vx = newest(h, x);
    int64_t t = after_all(h);

    (void)add_op(h, HIST_KIND_READ, t, t + 10);
    add_access(h, HIST_READ, x, hist_id(HIST_SLOTS - 1, 1));
    (void)add_op(h, HIST_KIND_BLIND, t + 20, t + 30);
    add_access(h, HIST_WRITE, x, vx);
    return true;
}

static bool plant_backwards(history *h, uint64_t *seed)
{
    uint16_t x = (uint16_t)random_below(seed, h->cells);
    uint64_t vx = newest(h, x);
    int64_t t = after_all(h);

    (void)add_op(h, HIST_KIND_BLIND, t, t + 10);
    add_access(h, HIST_WRITE, x, hist_id(HIST_SLOTS - 1, 1));
    (void)add_op(h, HIST_KIND_BLIND, t + 20, t + 30);
    add_access(h, HIST_WRITE, x, vx);
    return true;
}

/* ------------------------------------------------------------- appends --- */

/* First row of a random block with at least `rows` rows. */
static bool some_block(const history *h, uint64_t *seed, unsigned rows,
                       size_t *at_out)
{
    size_t from;

    if (h->tail_rows == 0)
        return false;
    from = random_below(seed, h->tail_rows);
    for (size_t i = 0; i < h->tail_rows; i++) {
        size_t at = (from + i) % h->tail_rows;

        if (at > 0 && h->tail[at - 1] == h->tail[at])
            continue;
        if (hist_find(h, h->tail[at])->rows >= rows) {
            *at_out = at;
            return true;
        }
    }
    return false;
}

static bool plant_append_twice(history *h, uint64_t *seed)
{
    size_t at;

    if (!some_block(h, seed, 1, &at))
        return false;
    for (unsigned k = hist_find(h, h->tail[at])->rows; k > 0; k--)
        h->tail[h->tail_rows++] = h->tail[at];
    return true;
}

static bool plant_hole(history *h, uint64_t *seed)
{
    size_t at;

    if (!some_block(h, seed, 1, &at))
        return false;
    h->tail[at] = 0;
    return true;
}

static bool plant_append_torn(history *h, uint64_t *seed)
{
    size_t at;

    if (!some_block(h, seed, 2, &at))
        return false;
    h->tail[at + 1] = 0;
    return true;
}

static bool plant_append_lost(history *h, uint64_t *seed)
{
    (void)seed;
    if (h->tail_rows == 0)
        return false;
    h->tail_rows -= hist_find(h, h->tail[h->tail_rows - 1])->rows;
    return true;
}

static bool told_wrong(history *h, hist_op *op, void *arg)
{
    (void)h;
    (void)arg;
    if (op->kind != HIST_KIND_APPEND || op->offset < 0)
        return false;
    op->offset++;
    return true;
}

static bool plant_append_offset(history *h, uint64_t *seed)
{
    return somewhere(h, seed, told_wrong, NULL);
}

/* Two appends are told the same offset. */
static bool plant_same_offset(history *h, uint64_t *seed)
{
    size_t at, other;
    int64_t offset;

    if (!some_block(h, seed, 1, &at) || !some_block(h, seed, 1, &other) ||
        h->tail[at] == h->tail[other])
        return false;
    offset = hist_find(h, h->tail[at])->offset;
    hist_find(h, h->tail[other])->offset = offset;
    return offset >= 0;
}

static bool read_length(history *h, hist_op *op, void *arg)
{
    const int64_t *length = arg;

    if (op->kind != HIST_KIND_LENGTH || op->end == 0 ||
        op->length - h->tail_first < (int64_t)h->tail_rows / 4)
        return false;
    op->length = *length;
    return true;
}

static bool plant_length_inside(history *h, uint64_t *seed)
{
    int64_t length;
    size_t at;

    if (!some_block(h, seed, 2, &at))
        return false;
    length = h->tail_first + (int64_t)at + 1;
    return somewhere(h, seed, read_length, &length);
}

static bool plant_length_stale(history *h, uint64_t *seed)
{
    return somewhere(h, seed, read_length, &h->tail_first);
}

const hist_plant hist_plants[] = {
    {"write cycle", plant_g0, BIT(HIST_G0)},
    {"aborted read", plant_g1a, BIT(HIST_G1A)},
    {"intermediate read", plant_g1b, BIT(HIST_G1B)},
    {"circular information flow", plant_g1c, BIT(HIST_G1C)},
    {"value of nobody", plant_garbage, BIT(HIST_GARBAGE)},
    {"torn cell", plant_torn, BIT(HIST_TORN_CELL)},
    {"read skew", plant_read_skew, BIT(HIST_G_SINGLE) | BIT(HIST_G2)},
    {"write skew", plant_write_skew, BIT(HIST_G2)},
    {"long fork", plant_long_fork, BIT(HIST_G2)},
    {"lost update", plant_lost_update, BIT(HIST_LOST_UPDATE)},
    {"wrong base", plant_wrong_base, BIT(HIST_WRONG_BASE)},
    {"stale read", plant_stale, BIT(HIST_REAL_TIME) | BIT(HIST_G_SINGLE)},
    {"read of the future", plant_future, BIT(HIST_REAL_TIME)},
    {"writes backwards in time", plant_backwards, BIT(HIST_REAL_TIME)},
    {"append twice", plant_append_twice, BIT(HIST_APPEND_TWICE)},
    {"hole in appends", plant_hole, BIT(HIST_APPEND_HOLE)},
    {"torn append", plant_append_torn, BIT(HIST_APPEND_TORN)},
    {"lost append", plant_append_lost,
     BIT(HIST_APPEND_LOST) | BIT(HIST_APPEND_TORN)},
    {"wrong offset told", plant_append_offset, BIT(HIST_APPEND_OFFSET)},
    {"one offset for two", plant_same_offset, BIT(HIST_APPEND_OFFSET)},
    {"length inside an append", plant_length_inside, BIT(HIST_APPEND_TORN)},
    {"length goes back", plant_length_stale,
     BIT(HIST_REAL_TIME) | BIT(HIST_G_SINGLE)},
};

const size_t hist_plant_count = sizeof hist_plants / sizeof hist_plants[0];
