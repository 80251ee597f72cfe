/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explicit transactions (docs/protocol.md §6). Chunks that are written stand in
 * memory until the commit, decoded; reads see them. Every read remembers the
 * counters of what it saw; the commit takes all locks in order, finishes the
 * dead, and fails with AZR_ECONFLICT if a counter has moved.
 */
#include "base/stats.h"
#include "core/array.h"
#include "os/host.h"
#include "runtime/pool.h"

#include <stdlib.h>
#include <string.h>

#define STRIPES         1024
#define CONFLICTS_ALONE 3 /* then the locks are taken before the body runs */

/* A chunk as the transaction will leave it. */
typedef struct staged_chunk {
    uint64_t coords[AZR_MAX_RANK];
    uint8_t *bytes; /* chunk buffer */
    azri_seen seen;
} staged_chunk;

/* A set of chunks: rank numbers each. */
typedef struct chunk_set {
    azri_buf coords;
    uint64_t n;
    int rank;
} chunk_set;

/* One array of a transaction. */
typedef struct part {
    azr_txn *t;
    azr_array *a;
    azri_ground *g;       /* the document that everything rests on */
    staged_chunk *chunks; /* sorted by coordinates */
    size_t count, capacity;
    staged_chunk *reading; /* whose identity the next read finds out */
    chunk_set reads;
    azri_buf named; /* per read: word of the committed row it came through */
    uint64_t stripe[STRIPES];
    bool stripe_known[STRIPES];
    bool used_shape;
    azri_txn *locked; /* holds `held`, taken before the body ran */
    chunk_set held;
    azri_txn *inner; /* during the commit */
    azri_view *view; /* during that of reads alone */
} part;

struct azr_txn {
    azri_patience patience;
    int64_t timeout_ms;
    const azr_cancel *cancel;
    uint32_t pid;
    part **parts; /* in the order of arrays, once a commit has begun */
    size_t part_count, part_capacity;
    int read_count;
    bool conflict, broken, ended;
    bool locked_before; /* the parts have `locked` */
};

/* ----------------------------------------------------------------- sets --- */

static const uint64_t *set_at(const chunk_set *s, uint64_t i)
{
    const void *p = s->coords.data;

    return (const uint64_t *)p + i * (uint64_t)s->rank;
}

static void set_coords(const void *arg, uint64_t i, uint64_t *out)
{
    const chunk_set *s = arg;

    if (s->rank > 0) /* a 0-d array's one chunk has no coordinates */
        memcpy(out, set_at(s, i), (size_t)s->rank * sizeof *out);
}

static int set_add(chunk_set *s, int rank, const uint64_t *coords,
                   azr_error *err)
{
    s->rank = rank;
    s->n++;
    return azri_buf_append(&s->coords, coords, (size_t)rank * sizeof *coords,
                           err);
}

static int compare(const uint64_t *x, const uint64_t *y, int rank)
{
    for (int d = 0; d < rank; d++) {
        if (x[d] != y[d])
            return x[d] < y[d] ? -1 : 1;
    }
    return 0;
}

static int compare_r(const void *x, const void *y, void *rank)
{
    return compare(x, y, *(const int *)rank);
}

static void set_sort(chunk_set *s)
{
    if (s->n > 1 && s->rank > 0)
        qsort_r(s->coords.data, s->n, (size_t)s->rank * sizeof(uint64_t),
                compare_r, &s->rank);
}

static bool set_has(const chunk_set *s, const uint64_t *coords)
{
    uint64_t low = 0, high = s->n;

    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        int c = compare(set_at(s, mid), coords, s->rank);

        if (c == 0)
            return true;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

/* Position of `coords` among the staged chunks, or where it belongs. */
static size_t position(const part *p, const uint64_t *coords, bool *found)
{
    size_t low = 0, high = p->count;

    *found = false;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = compare(p->chunks[mid].coords, coords, p->g->meta->rank);

        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void staged_coords(const void *arg, uint64_t i, uint64_t *out)
{
    const part *p = arg;

    memcpy(out, p->chunks[i].coords, (size_t)p->g->meta->rank * sizeof *out);
}

/* ---------------------------------------------------------------- reads --- */

static const uint8_t *overlay(void *arg, const uint64_t *coords)
{
    const part *p = arg;
    bool found;
    size_t i;

    if (p->count == 0)
        return NULL;
    i = position(p, coords, &found);
    return found ? p->chunks[i].bytes : NULL;
}

static void note_stripe(part *p, uint16_t stripe, uint64_t counter)
{
    if (p->stripe_known[stripe] && p->stripe[stripe] != counter)
        p->t->conflict = true; /* moved between two of our reads */
    p->stripe_known[stripe] = true;
    p->stripe[stripe] = counter;
}

static int note_item(part *p, const azri_view_item *item,
                     const uint64_t *coords, int rank, azr_error *err)
{
    int rc;

    if (overlay(p, coords))
        return AZR_OK;
    note_stripe(p, item->stripe, item->counter);
    if (p->reading) {
        p->reading->seen.object = item->object;
        p->reading->seen.absent = item->object.handle < 0;
        p->reading->seen.read = true;
        p->reading->seen.staged = item->named != 0;
    }
    rc = azri_buf_append(&p->named, &item->named, sizeof item->named, err);
    return rc < 0 ? rc : set_add(&p->reads, rank, coords, err);
}

static int note_read(void *arg, azri_view *v, const azri_plan *plan,
                     azri_ground *g, azr_error *err)
{
    part *p = arg;

    if (!p->g)
        p->g = azri_ground_ref(g);
    else if (p->g != g)
        p->t->conflict = true;
    for (uint64_t i = 0; i < plan->piece_count; i++) {
        azri_piece piece;
        int rc;

        azri_plan_piece(plan, i, &piece);
        rc = note_item(p, azri_view_item_at(v, i), piece.coords, plan->rank,
                       err);
        if (rc < 0)
            return rc;
    }
    return AZR_OK;
}

/* Taken before the body ran, with META and DOC. A part that came later holds
 * nothing, and must not wait for locks while the others hold theirs. */
static bool holds(void *arg, const uint64_t *coords)
{
    const part *p = arg;

    return p->locked && set_has(&p->held, coords);
}

static azri_read_hooks hooks_of(part *p)
{
    azri_read_hooks h = {note_read, overlay, p, NULL};

    if (p->t->locked_before)
        h.holds = holds;
    return h;
}

/* ---------------------------------------------------------------- begin --- */

int azri_transaction_begin(azr_txn **out, const azr_txn_options *o,
                           azr_error *err)
{
    azr_txn *t = azri_calloc(1, sizeof *t);

    if (!t)
        return azri_fail_nomem(err, sizeof *t);
    t->timeout_ms = o->timeout_ms;
    t->cancel = o->cancel;
    t->patience = azri_patience_from(o->timeout_ms, o->cancel);
    t->pid = azri_process_id();
    *out = t;
    return AZR_OK;
}

static void free_part(part *p)
{
    azri_txn_end(p->locked);
    for (size_t i = 0; i < p->count; i++)
        azri_free(p->chunks[i].bytes);
    azri_free(p->chunks);
    azri_buf_dispose(&p->reads.coords);
    azri_buf_dispose(&p->named);
    azri_buf_dispose(&p->held.coords);
    azri_ground_unref(p->g);
    azri_free(p);
}

void azri_transaction_free(azr_txn *t)
{
    if (!t)
        return;
    for (size_t k = 0; k < t->part_count; k++)
        free_part(t->parts[k]);
    azri_free(t->parts);
    azri_free(t);
}

static bool has_order(const part *p, const part *q)
{
    return azri_domain_has_rows(p->a->d) && azri_domain_has_rows(q->a->d);
}

static int add_part(part **out, azr_txn *t, azr_array *a, azr_error *err)
{
    size_t want = t->part_capacity ? 2 * t->part_capacity : 2;
    part *p = azri_calloc(1, sizeof *p);
    part **parts = t->parts;

    if (p && t->part_count == t->part_capacity) {
        parts = azri_resize(t->parts, want * sizeof(void *));
        if (parts) {
            t->parts = parts;
            t->part_capacity = want;
        }
    }
    if (!p || !parts) {
        azri_free(p);
        return azri_fail_nomem(err, sizeof *p + want * sizeof(void *));
    }
    p->t = t;
    p->a = a;
    t->parts[t->part_count++] = p;
    *out = p;
    return AZR_OK;
}

static int check_distinct(const part *p, const part *q, azr_error *err)
{
    if (!has_order(p, q) || azri_domain_compare(p->a->d, q->a->d) != 0)
        return AZR_OK;
    return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                         "'%s' and '%s' are two handles of one array; a "
                         "transaction takes one of them",
                         azri_domain_path(p->a->d), azri_domain_path(q->a->d));
}

static int find_part(part **out, azr_txn *t, azr_array *a, azr_error *err)
{
    part new = {.a = a};
    int rc;

    for (size_t k = 0; k < t->part_count; k++) {
        part *p = t->parts[k];

        if (p->a == a) {
            *out = p;
            return AZR_OK;
        }
        rc = check_distinct(p, &new, err);
        if (rc < 0)
            return rc;
    }
    return add_part(out, t, a, err);
}

/* `a` becomes one of the transaction's arrays. */
static int join(part **out, azr_txn *t, azr_array *a, azr_error *err)
{
    azri_read_hooks hooks;
    int rc;

    if (t->ended)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "the transaction has ended; begin another");
    if (t->pid != azri_process_id())
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "this transaction belongs to process %u", t->pid);
    if (a->options.sync != AZR_SYNC_FULL)
        return azri_fail(err, AZR_EUNSUPPORTED,
                         "transactions need a handle with AZR_SYNC_FULL");
    rc = find_part(out, t, a, err);
    if (rc < 0 || (*out)->g)
        return rc;
    hooks = hooks_of(*out);
    rc = azri_read_document(a, &hooks, &t->patience, err);
    if (rc < 0 && !(*out)->locked) /* it has never been one of them */
        free_part(t->parts[--t->part_count]);
    return rc;
}

int azri_transaction_read(azr_txn *t, azr_array *a, const azr_selection *sel,
                          const azri_caller_memory *dst, azr_error *err)
{
    azri_read_hooks hooks;
    part *p;
    int rc = join(&p, t, a, err);

    if (rc < 0)
        return rc;
    hooks = hooks_of(p);
    t->read_count++;
    p->used_shape |= azri_selection_needs_shape(sel);
    return azri_array_read(a, sel, dst, &hooks, &t->patience, err);
}

int azri_transaction_shape(azr_txn *t, azr_array *a, int64_t *shape_out,
                           azr_error *err)
{
    part *p;
    int rc = join(&p, t, a, err);

    if (rc < 0)
        return rc;
    p->used_shape = true;
    memcpy(shape_out, p->g->meta->shape,
           (size_t)p->g->meta->rank * sizeof *shape_out);
    return AZR_OK;
}

/* --------------------------------------------------------------- writes --- */

/* The part of a chunk that lies in the array, as a box. */
static azr_selection box_of_chunk(const azri_meta *m, const azri_piece *piece)
{
    int64_t start[AZR_MAX_RANK] = {0};

    for (int d = 0; d < m->rank; d++)
        start[d] = (int64_t)piece->coords[d] * m->chunk[d];
    return azr_select_box(m->rank, start, piece->extent, NULL);
}

/* The present content of a partly covered chunk: a read of the transaction. */
static int load_current(part *p, staged_chunk *c, const azri_piece *piece,
                        azr_error *err)
{
    const azri_meta *m = p->g->meta;
    size_t item = m->dtype->nbytes;
    azr_selection sel = box_of_chunk(m, piece);
    azri_read_hooks hooks = hooks_of(p);
    azri_caller_memory dst = {NULL, NULL, item};
    azr_memory dense;
    azri_plan plan;
    azri_piece all;
    int rc;

    for (int d = 0; d < m->rank; d++)
        dst.nbytes *= (size_t)piece->extent[d];
    dst.data = azri_alloc(dst.nbytes);
    if (!dst.data)
        return azri_fail_nomem(err, dst.nbytes);
    p->reading = c;
    rc = azri_array_read(p->a, &sel, &dst, &hooks, &p->t->patience, err);
    p->reading = NULL;
    if (rc == AZR_OK)
        rc = azri_plan_init(&plan, &sel, m->rank, m->shape, m->chunk, err);
    if (rc < 0)
        goto done;
    rc = azri_memory_dense(&dense, &plan, dst.data, dst.nbytes, item, err);
    if (rc == AZR_OK) {
        azri_plan_piece(&plan, 0, &all);
        azri_gather(&plan, &all, &dense, c->bytes,
                    azri_chain_strides(p->g->chain), item,
                    azri_chain_swap_unit(p->g->chain));
    }
    azri_plan_dispose(&plan);
done:
    azri_free(dst.data);
    return rc;
}

static int make_room(part *p, azr_error *err)
{
    size_t want = p->capacity ? 2 * p->capacity : 8;
    staged_chunk *chunks;

    if (p->count < p->capacity)
        return AZR_OK;
    chunks = azri_resize(p->chunks, want * sizeof *chunks);
    if (!chunks)
        return azri_fail_nomem(err, want * sizeof *chunks);
    p->chunks = chunks;
    p->capacity = want;
    return AZR_OK;
}

/* A chunk that the transaction touches for the first time. */
static int add_chunk(part *p, const azri_piece *piece, size_t at,
                     azr_error *err)
{
    const azri_meta *m = p->g->meta;
    staged_chunk c = {.bytes = NULL};
    int rc = make_room(p, err);

    if (rc < 0)
        return rc;
    if (m->chunk_nbytes > AZRI_MAX_CHUNK_NBYTES)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_CHUNK,
                             "chunks of %zu bytes are larger than %zu",
                             m->chunk_nbytes, AZRI_MAX_CHUNK_NBYTES);
    memcpy(c.coords, piece->coords, sizeof c.coords);
    c.bytes = azri_alloc(m->chunk_nbytes);
    if (!c.bytes)
        return azri_fail_nomem(err, m->chunk_nbytes);
    azri_fill_elements(c.bytes, p->g->stored_fill, m->dtype->nbytes,
                       m->chunk_nbytes / m->dtype->nbytes);
    rc = piece->whole ? AZR_OK : load_current(p, &c, piece, err);
    if (rc < 0) {
        azri_free(c.bytes);
        return rc;
    }
    memmove(p->chunks + at + 1, p->chunks + at,
            (p->count - at) * sizeof *p->chunks);
    p->chunks[at] = c;
    p->count++;
    return AZR_OK;
}

static int write_pieces(part *p, const azri_plan *plan, const azr_memory *src,
                        azr_error *err)
{
    for (uint64_t i = 0; i < plan->piece_count; i++) {
        azri_piece piece;
        bool found;
        size_t at;

        azri_plan_piece(plan, i, &piece);
        at = position(p, piece.coords, &found);
        if (!found) {
            int rc = add_chunk(p, &piece, at, err);

            if (rc < 0)
                return rc;
        }
        azri_gather(plan, &piece, src, p->chunks[at].bytes,
                    azri_chain_strides(p->g->chain), p->g->meta->dtype->nbytes,
                    azri_chain_swap_unit(p->g->chain));
    }
    return AZR_OK;
}

/* Rows name each other by paths and locks are one host's: what is written together
 * stands on one file system. */
static int check_device(const azr_txn *t, const part *p, azr_error *err)
{
    for (size_t k = 0; k < t->part_count; k++) {
        const part *q = t->parts[k];

        if (q->count > 0 && !azri_domain_same_device(p->a->d, q->a->d))
            return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
                                 "'%s' and '%s' are on two file systems: one "
                                 "transaction cannot write both",
                                 azri_domain_path(q->a->d),
                                 azri_domain_path(p->a->d));
    }
    return AZR_OK;
}

int azri_transaction_write(azr_txn *t, azr_array *a, const azr_selection *sel,
                           const azri_caller_memory *src, azr_error *err)
{
    azr_memory memory;
    azri_plan plan;
    part *p;
    int rc = azri_array_may_write(a, err);

    if (rc < 0)
        return rc;
    rc = join(&p, t, a, err);
    if (rc < 0)
        return rc;
    rc = check_device(t, p, err);
    if (rc < 0)
        return rc;
    rc = azri_plan_init(&plan, sel, p->g->meta->rank, p->g->meta->shape,
                        p->g->meta->chunk, err);
    if (rc < 0)
        return rc;
    p->used_shape |= azri_selection_needs_shape(sel);
    rc = azri_memory_resolve(&memory, src, &plan, p->g->meta->dtype->nbytes,
                             err);
    if (rc == AZR_OK) {
        rc = write_pieces(p, &plan, &memory, err);
        t->broken |= rc < 0; /* some pieces may be in, others not */
    }
    azri_plan_dispose(&plan);
    return rc;
}

/* --------------------------------------------------------------- commit --- */

static int fail_conflict(const part *p, azr_error *err)
{
    AZRI_COUNT(conflicts, 1);
    return azri_fail(err, AZR_ECONFLICT,
                     "'%s': what this transaction read was changed by another "
                     "one; nothing was written, run it again",
                     azri_domain_path(p->a->d));
}

/* Arrays in their order; those that cannot be locked follow. */
static int compare_parts(const void *x, const void *y)
{
    const part *p = *(part *const *)x, *q = *(part *const *)y;

    if (has_order(p, q))
        return azri_domain_compare(p->a->d, q->a->d);
    return azri_domain_has_rows(q->a->d) - azri_domain_has_rows(p->a->d);
}

static void sort_parts(azr_txn *t)
{
    if (t->part_count > 1)
        qsort(t->parts, t->part_count, sizeof(part *), compare_parts);
}

static bool part_is_held(const part *p)
{
    if (!p->locked)
        return false;
    for (size_t i = 0; i < p->count; i++) {
        if (!set_has(&p->held, p->chunks[i].coords))
            return false;
    }
    for (uint64_t i = 0; i < p->reads.n; i++) {
        if (!set_has(&p->held, set_at(&p->reads, i)))
            return false;
    }
    return true;
}

static bool held_covers(const azr_txn *t)
{
    for (size_t k = 0; k < t->part_count; k++) {
        if (!part_is_held(t->parts[k]))
            return false;
    }
    return true;
}

/* Is chunk i as it was read? The same counter, and through the same committed row
 * or none: a row that a dead owner left may stand for as long as it likes. */
static bool is_unmoved(const part *p, uint64_t i, const azri_view_item *item)
{
    const void *named = p->named.data;

    return item->counter == p->stripe[item->stripe] &&
           item->named == ((const uint64_t *)named)[i];
}

static int document_stands(const part *p, bool *out, azr_error *err)
{
    azri_ground *g = NULL;
    int rc;

    if (!azri_view_moves_documents(p->view))
        return azri_ground_stands(p->a, p->g, out, err);
    rc = azri_ground_refresh(p->a, p->view, &g, err);
    *out = g == p->g;
    azri_ground_unref(g);
    return rc;
}

/* AZR_ECONFLICT (no message): something has moved. */
static int look_at_part(part *p, azr_error *err)
{
    bool stands = true;
    int rc = azri_view_new(&p->view, p->a->d, &p->t->patience, err);

    if (rc == AZR_OK)
        rc = azri_view_aim(p->view, &p->g->meta->keying, p->reads.n, set_coords,
                           &p->reads, err);
    if (rc == AZR_OK)
        rc = azri_view_look(p->view, err);
    for (uint64_t i = 0; rc == AZR_OK && i < p->reads.n; i++)
        stands = stands && is_unmoved(p, i, azri_view_item_at(p->view, i));
    if (rc == AZR_OK && stands)
        rc = document_stands(p, &stands, err);
    return rc == AZR_OK && !stands ? AZR_ECONFLICT : rc;
}

/* Reads alone: a look at which everything still is as it was read is the instant
 * at which all of it holds; of several arrays all looks come before the first of
 * the second ones, so that there is an instant between them. */
static int commit_reads(azr_txn *t, azr_error *err)
{
    part *p = t->parts[0];
    int rc = AZR_OK;

    if (t->locked_before && held_covers(t))
        return AZR_OK; /* nothing could move since the first of them */
    if (t->conflict)
        return fail_conflict(p, err);
    for (size_t k = 0; k < t->part_count && rc == AZR_OK; k++) {
        p = t->parts[k];
        if (p->g) /* else locked, and not used this time */
            rc = look_at_part(p, err);
    }
    for (size_t k = 0; k < t->part_count && rc == AZR_OK; k++) {
        p = t->parts[k];
        if (p->g)
            rc = azri_view_check(p->view, err);
    }
    for (size_t k = 0; k < t->part_count; k++) {
        azri_view_free(t->parts[k]->view);
        t->parts[k]->view = NULL;
    }
    return rc == AZR_ECONFLICT ? fail_conflict(p, err) : rc;
}

typedef struct committer {
    const part *p;
    azri_coder *coders[AZRI_CODERS];
} committer;

static int stage_one(void *arg, uint64_t i, int worker, azr_error *err)
{
    committer *c = arg;
    const part *p = c->p;
    const staged_chunk *chunk = &p->chunks[i];
    azri_span bytes = {chunk->bytes, p->g->meta->chunk_nbytes}, stored;
    int rc;

    if (!(p->a->options.flags & AZR_OPEN_WRITE_EMPTY) &&
        azri_chunk_is_empty(p->g, chunk->bytes))
        return azri_txn_stage_deleted(p->inner, i, &chunk->seen, err);
    rc = azri_chain_encode(p->g->chain, c->coders[worker], bytes, &stored, err);
    if (rc < 0)
        return rc;
    return azri_txn_stage(p->inner, i, stored, &chunk->seen, err);
}

static int stage_part(const part *p, azr_error *err)
{
    committer c = {.p = p};
    int width = azri_array_width(p->a, p->g, p->count);
    int rc = azri_txn_entries(p->inner, p->count, staged_coords, p, err);

    if (rc == AZR_OK)
        rc = azri_coders_take(p->a, c.coders, width, err);
    if (rc < 0)
        return rc;
    rc = azri_pool_run(width, p->count, stage_one, &c, err);
    azri_coders_give(p->a, c.coders, width);
    return rc;
}

/* `locked_before`: the locks were there before the reads, so only a plain Zarr
 * program can have moved anything; counters may, by other keys of a stripe. */
static int check_reads(const part *p, bool locked_before, azr_error *err)
{
    azri_ground *now = NULL;
    bool stands;
    int rc = azri_ground_current(p->a, &now, err);

    if (rc < 0)
        return rc;
    stands = now == p->g;
    azri_ground_unref(now);
    if (!locked_before)
        stands = stands && !p->t->conflict;
    for (uint16_t s = 0; s < STRIPES && stands && !locked_before; s++)
        stands = !p->stripe_known[s] ||
                 azri_txn_counter(p->inner, s) == p->stripe[s];
    return stands ? AZR_OK : fail_conflict(p, err);
}

/* ---------------------------------------------------------------- locks --- */

static int begin_part(azr_txn *t, size_t k, azr_error *err)
{
    part *p = t->parts[k];

    if (!azri_domain_has_rows(p->a->d))
        return azri_fail(err, AZR_EUNSUPPORTED,
                         "'%s' is read by a transaction that writes another "
                         "array, and cannot be locked: open it for writing",
                         azri_domain_path(p->a->d));
    if (k == 0)
        return azri_txn_begin(&p->inner, p->a->d, &t->patience, err);
    return azri_txn_join(&p->inner, p->a->d, t->parts[0]->inner, &t->patience,
                         err);
}

static void end_parts(azr_txn *t)
{
    for (size_t k = 0; k < t->part_count; k++) {
        azri_txn_end(t->parts[k]->inner);
        t->parts[k]->inner = NULL;
    }
}

static int lock_chunks(part *p, bool before, azr_error *err)
{
    int rc = AZR_OK;

    if (p->count > 0)
        rc = azri_txn_want_chunks(p->inner, p->count, staged_coords, p, true,
                                  err);
    if (rc == AZR_OK)
        rc = azri_txn_want_chunks(p->inner, p->reads.n, set_coords, &p->reads,
                                  false, err);
    if (rc == AZR_OK && before)
        rc = azri_txn_want_chunks(p->inner, p->held.n, set_coords, &p->held,
                                  true, err);
    return rc < 0 ? rc : azri_txn_lock_chunks(p->inner, err);
}

/* Rows, then all locks in their order, level by level, then the dead. `before`:
 * what is `held`, and every document. */
static int lock_all(azr_txn *t, bool before, azr_error *err)
{
    size_t n = t->part_count;
    int rc = AZR_OK;

    sort_parts(t);
    for (size_t k = 1; k < n && rc == AZR_OK; k++)
        rc = check_distinct(t->parts[k - 1], t->parts[k], err);
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = begin_part(t, k, err);
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = azri_txn_lock_meta(t->parts[k]->inner, false, err);
    for (size_t k = 0; k < n && rc == AZR_OK; k++) {
        if (before || t->parts[k]->used_shape)
            rc = azri_txn_lock_doc(t->parts[k]->inner, false, err);
    }
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = lock_chunks(t->parts[k], before, err);
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = azri_txn_look(t->parts[k]->inner,
                           before || t->parts[k]->used_shape, err);
    return rc;
}

/* The locks taken before the body ran become those of the commit. */
static void take_over(azr_txn *t)
{
    for (size_t k = 0; k < t->part_count; k++) {
        t->parts[k]->inner = t->parts[k]->locked;
        t->parts[k]->locked = NULL;
    }
}

static int commit_inner(azr_txn *t, azr_error *err)
{
    azri_txn **all;
    int rc;

    if (t->part_count == 1)
        return azri_txn_commit(t->parts[0]->inner, err);
    all = azri_calloc(t->part_count, sizeof(void *));
    if (!all)
        return azri_fail_nomem(err, t->part_count * sizeof(void *));
    for (size_t k = 0; k < t->part_count; k++)
        all[k] = t->parts[k]->inner;
    rc = azri_txn_commit_all(all, t->part_count, err);
    azri_free(all);
    return rc;
}

static int commit_writes(azr_txn *t, azr_error *err)
{
    bool before = t->locked_before && held_covers(t);
    int rc = AZR_OK;

    take_over(t);
    if (t->locked_before && !before) { /* it touched more than the last try */
        end_parts(t);
        if (t->conflict)
            return fail_conflict(t->parts[0], err);
    }
    if (!before)
        rc = lock_all(t, false, err);
    for (size_t k = 0; k < t->part_count && rc == AZR_OK; k++) {
        if (t->parts[k]->g)
            rc = check_reads(t->parts[k], before, err);
    }
    for (size_t k = 0; k < t->part_count && rc == AZR_OK; k++) {
        if (t->parts[k]->count > 0)
            rc = stage_part(t->parts[k], err);
    }
    if (rc == AZR_OK)
        rc = commit_inner(t, err);
    end_parts(t);
    return rc;
}

static bool has_written(const azr_txn *t)
{
    for (size_t k = 0; k < t->part_count; k++) {
        if (t->parts[k]->count > 0)
            return true;
    }
    return false;
}

/* One read is one snapshot already. */
static bool needs_check(const azr_txn *t)
{
    return t->read_count > 1 || t->part_count > 1 ||
           (t->part_count == 1 && t->parts[0]->used_shape);
}

int azri_transaction_commit(azr_txn *t, azr_error *err)
{
    if (t->ended)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "the transaction has ended");
    if (t->pid != azri_process_id())
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "this transaction belongs to process %u", t->pid);
    t->ended = true;
    if (t->broken)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "a write of this transaction failed; it cannot "
                             "be committed");
    if (t->conflict && !t->locked_before)
        return fail_conflict(t->parts[0], err);
    if (has_written(t))
        return commit_writes(t, err);
    return needs_check(t) ? commit_reads(t, err) : AZR_OK;
}

/* ------------------------------------------------------------------ run --- */

/* What a failed try touched, to be locked before the next. */
typedef struct memory {
    azr_array *a;
    chunk_set held;
} memory;

typedef struct memories {
    memory *list;
    size_t n;
} memories;

static void forget(memories *m)
{
    for (size_t k = 0; k < m->n; k++)
        azri_buf_dispose(&m->list[k].held.coords);
    azri_free(m->list);
    m->list = NULL;
    m->n = 0;
}

static int remember_part(memory *m, const part *p, azr_error *err)
{
    int rank = p->g->meta->rank, rc = AZR_OK;

    m->a = p->a;
    m->held.rank = rank;
    for (size_t i = 0; i < p->count && rc == AZR_OK; i++)
        rc = set_add(&m->held, rank, p->chunks[i].coords, err);
    for (uint64_t i = 0; i < p->reads.n && rc == AZR_OK; i++)
        rc = set_add(&m->held, rank, set_at(&p->reads, i), err);
    set_sort(&m->held);
    return rc;
}

static int remember(memories *m, const azr_txn *t, azr_error *err)
{
    int rc = AZR_OK;

    forget(m);
    m->list = azri_calloc(t->part_count + 1, sizeof *m->list);
    if (!m->list)
        return azri_fail_nomem(err, t->part_count * sizeof *m->list);
    for (size_t k = 0; k < t->part_count && rc == AZR_OK; k++) {
        if (t->parts[k]->g)
            rc = remember_part(&m->list[m->n++], t->parts[k], err);
    }
    return rc;
}

/* All of them for writing? Then there is a `state` to lock in each. */
static bool can_lock(const memories *m)
{
    for (size_t k = 0; k < m->n; k++) {
        if (!(m->list[k].a->options.flags & AZR_OPEN_WRITE))
            return false;
    }
    return m->n > 0;
}

/* Locks first: then nobody can be in our way. */
static int lock_before(azr_txn *t, memories *m, azr_error *err)
{
    int rc = AZR_OK;

    for (size_t k = 0; k < m->n && rc == AZR_OK; k++) {
        part *p;

        rc = add_part(&p, t, m->list[k].a, err);
        if (rc < 0)
            break;
        p->held = m->list[k].held;
        memset(&m->list[k].held, 0, sizeof m->list[k].held);
    }
    if (rc == AZR_OK)
        rc = lock_all(t, true, err);
    for (size_t k = 0; k < t->part_count; k++) {
        t->parts[k]->locked = t->parts[k]->inner;
        t->parts[k]->inner = NULL;
    }
    t->locked_before = rc == AZR_OK;
    return rc;
}

int azri_transaction_run(azr_txn_fn fn, void *arg, const azr_txn_options *o,
                         azr_error *err)
{
    azri_patience patience = azri_patience_from(o->timeout_ms, o->cancel);
    memories last = {NULL, 0};
    int rc;

    for (int conflicts = 0;; conflicts++) {
        azr_txn *t = NULL;

        azri_error_reset(err);
        rc = azri_transaction_begin(&t, o, err);
        if (rc < 0)
            break;
        if (conflicts >= CONFLICTS_ALONE && can_lock(&last))
            rc = lock_before(t, &last, err);
        if (rc == AZR_OK)
            rc = fn(t, arg, err);
        if (rc == AZR_OK)
            rc = azri_transaction_commit(t, err);
        if (rc == AZR_ECONFLICT && remember(&last, t, NULL) < 0)
            rc = AZR_ENOMEM;
        azri_transaction_free(t);
        if (rc != AZR_ECONFLICT || azri_patience_check(&patience) < 0)
            break;
    }
    forget(&last);
    return rc;
}
