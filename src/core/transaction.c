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

struct azr_txn {
    azri_patience patience;
    int64_t timeout_ms;
    const azr_cancel *cancel;
    uint32_t pid;
    azr_array *a;         /* the one array */
    azri_ground *g;       /* the document that everything rests on */
    staged_chunk *chunks; /* sorted by coordinates */
    size_t count, capacity;
    staged_chunk *reading; /* whose identity the next read finds out */
    chunk_set reads;
    azri_buf named; /* per read: word of the committed row it came through */
    int read_count;
    uint64_t stripe[STRIPES];
    bool stripe_known[STRIPES];
    bool used_shape, conflict, broken, ended;
    azri_txn *locked; /* holds `held`, taken before the body ran */
    chunk_set held;
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
static size_t position(const azr_txn *t, const uint64_t *coords, bool *found)
{
    size_t low = 0, high = t->count;

    *found = false;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = compare(t->chunks[mid].coords, coords, t->g->meta->rank);

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
    const azr_txn *t = arg;

    memcpy(out, t->chunks[i].coords, (size_t)t->g->meta->rank * sizeof *out);
}

/* ---------------------------------------------------------------- reads --- */

static const uint8_t *overlay(void *arg, const uint64_t *coords)
{
    const azr_txn *t = arg;
    bool found;
    size_t i;

    if (t->count == 0)
        return NULL;
    i = position(t, coords, &found);
    return found ? t->chunks[i].bytes : NULL;
}

static void note_stripe(azr_txn *t, uint16_t stripe, uint64_t counter)
{
    if (t->stripe_known[stripe] && t->stripe[stripe] != counter)
        t->conflict = true; /* moved between two of our reads */
    t->stripe_known[stripe] = true;
    t->stripe[stripe] = counter;
}

static int note_item(azr_txn *t, const azri_view_item *item,
                     const uint64_t *coords, int rank, azr_error *err)
{
    int rc;

    if (overlay(t, coords))
        return AZR_OK;
    note_stripe(t, item->stripe, item->counter);
    if (t->reading) {
        t->reading->seen.object = item->object;
        t->reading->seen.absent = item->object.handle < 0;
        t->reading->seen.read = true;
    }
    rc = azri_buf_append(&t->named, &item->named, sizeof item->named, err);
    return rc < 0 ? rc : set_add(&t->reads, rank, coords, err);
}

static int note_read(void *arg, azri_view *v, const azri_plan *p,
                     azri_ground *g, azr_error *err)
{
    azr_txn *t = arg;

    if (!t->g)
        t->g = azri_ground_ref(g);
    else if (t->g != g)
        t->conflict = true;
    for (uint64_t i = 0; i < p->piece_count; i++) {
        azri_piece piece;
        int rc;

        azri_plan_piece(p, i, &piece);
        rc = note_item(t, azri_view_item_at(v, i), piece.coords, p->rank, err);
        if (rc < 0)
            return rc;
    }
    return AZR_OK;
}

/* Taken before the body ran, with META and DOC. */
static bool holds(void *arg, const uint64_t *coords)
{
    const azr_txn *t = arg;

    return set_has(&t->held, coords);
}

static azri_read_hooks hooks_of(azr_txn *t)
{
    azri_read_hooks h = {note_read, overlay, t, NULL};

    if (t->locked)
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

void azri_transaction_free(azr_txn *t)
{
    if (!t)
        return;
    azri_txn_end(t->locked);
    for (size_t i = 0; i < t->count; i++)
        azri_free(t->chunks[i].bytes);
    azri_free(t->chunks);
    azri_buf_dispose(&t->reads.coords);
    azri_buf_dispose(&t->named);
    azri_buf_dispose(&t->held.coords);
    azri_ground_unref(t->g);
    azri_free(t);
}

/* The first array becomes the transaction's. */
static int join(azr_txn *t, azr_array *a, azr_error *err)
{
    azri_read_hooks hooks;

    if (t->ended)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "the transaction has ended; begin another");
    if (t->pid != azri_process_id())
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "this transaction belongs to process %u", t->pid);
    if (a->options.sync != AZR_SYNC_FULL)
        return azri_fail(err, AZR_EUNSUPPORTED,
                         "transactions need a handle with AZR_SYNC_FULL");
    if (t->a && t->a != a)
        return azri_fail(err, AZR_EUNSUPPORTED,
                         "a transaction over several arrays is not supported "
                         "yet: '%s' and '%s'",
                         azri_domain_path(t->a->d), azri_domain_path(a->d));
    t->a = a;
    if (t->g)
        return AZR_OK;
    hooks = hooks_of(t);
    return azri_read_document(a, &hooks, &t->patience, err);
}

int azri_transaction_read(azr_txn *t, azr_array *a, const azr_selection *sel,
                          const azri_caller_memory *dst, azr_error *err)
{
    azri_read_hooks hooks;
    int rc = join(t, a, err);

    if (rc < 0)
        return rc;
    hooks = hooks_of(t);
    t->read_count++;
    t->used_shape |= azri_selection_needs_shape(sel);
    return azri_array_read(a, sel, dst, &hooks, &t->patience, err);
}

int azri_transaction_shape(azr_txn *t, azr_array *a, int64_t *shape_out,
                           azr_error *err)
{
    int rc = join(t, a, err);

    if (rc < 0)
        return rc;
    t->used_shape = true;
    memcpy(shape_out, t->g->meta->shape,
           (size_t)t->g->meta->rank * sizeof *shape_out);
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
static int load_current(azr_txn *t, staged_chunk *c, const azri_piece *piece,
                        azr_error *err)
{
    const azri_meta *m = t->g->meta;
    size_t item = m->dtype->nbytes;
    azr_selection sel = box_of_chunk(m, piece);
    azri_read_hooks hooks = hooks_of(t);
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
    t->reading = c;
    rc = azri_array_read(t->a, &sel, &dst, &hooks, &t->patience, err);
    t->reading = NULL;
    if (rc == AZR_OK)
        rc = azri_plan_init(&plan, &sel, m->rank, m->shape, m->chunk, err);
    if (rc < 0)
        goto done;
    rc = azri_memory_dense(&dense, &plan, dst.data, dst.nbytes, item, err);
    if (rc == AZR_OK) {
        azri_plan_piece(&plan, 0, &all);
        azri_gather(&plan, &all, &dense, c->bytes,
                    azri_chain_strides(t->g->chain), item,
                    azri_chain_swap_unit(t->g->chain));
    }
    azri_plan_dispose(&plan);
done:
    azri_free(dst.data);
    return rc;
}

static int make_room(azr_txn *t, azr_error *err)
{
    size_t want = t->capacity ? 2 * t->capacity : 8;
    staged_chunk *chunks;

    if (t->count < t->capacity)
        return AZR_OK;
    chunks = azri_resize(t->chunks, want * sizeof *chunks);
    if (!chunks)
        return azri_fail_nomem(err, want * sizeof *chunks);
    t->chunks = chunks;
    t->capacity = want;
    return AZR_OK;
}

/* A chunk that the transaction touches for the first time. */
static int add_chunk(azr_txn *t, const azri_piece *piece, size_t at,
                     azr_error *err)
{
    const azri_meta *m = t->g->meta;
    staged_chunk c = {.bytes = NULL};
    int rc = make_room(t, err);

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
    azri_fill_elements(c.bytes, t->g->stored_fill, m->dtype->nbytes,
                       m->chunk_nbytes / m->dtype->nbytes);
    rc = piece->whole ? AZR_OK : load_current(t, &c, piece, err);
    if (rc < 0) {
        azri_free(c.bytes);
        return rc;
    }
    memmove(t->chunks + at + 1, t->chunks + at,
            (t->count - at) * sizeof *t->chunks);
    t->chunks[at] = c;
    t->count++;
    return AZR_OK;
}

static int write_pieces(azr_txn *t, const azri_plan *p, const azr_memory *src,
                        azr_error *err)
{
    for (uint64_t i = 0; i < p->piece_count; i++) {
        azri_piece piece;
        bool found;
        size_t at;

        azri_plan_piece(p, i, &piece);
        at = position(t, piece.coords, &found);
        if (!found) {
            int rc = add_chunk(t, &piece, at, err);

            if (rc < 0)
                return rc;
        }
        azri_gather(p, &piece, src, t->chunks[at].bytes,
                    azri_chain_strides(t->g->chain), t->g->meta->dtype->nbytes,
                    azri_chain_swap_unit(t->g->chain));
    }
    return AZR_OK;
}

int azri_transaction_write(azr_txn *t, azr_array *a, const azr_selection *sel,
                           const azri_caller_memory *src, azr_error *err)
{
    azr_memory memory;
    azri_plan plan;
    int rc = azri_array_may_write(a, err);

    if (rc == AZR_OK)
        rc = join(t, a, err);
    if (rc < 0)
        return rc;
    rc = azri_plan_init(&plan, sel, t->g->meta->rank, t->g->meta->shape,
                        t->g->meta->chunk, err);
    if (rc < 0)
        return rc;
    t->used_shape |= azri_selection_needs_shape(sel);
    rc = azri_memory_resolve(&memory, src, &plan, t->g->meta->dtype->nbytes,
                             err);
    if (rc == AZR_OK) {
        rc = write_pieces(t, &plan, &memory, err);
        t->broken |= rc < 0; /* some pieces may be in, others not */
    }
    azri_plan_dispose(&plan);
    return rc;
}

/* --------------------------------------------------------------- commit --- */

static int fail_conflict(azr_txn *t, azr_error *err)
{
    AZRI_COUNT(conflicts, 1);
    return azri_fail(err, AZR_ECONFLICT,
                     "'%s': what this transaction read was changed by another "
                     "one; nothing was written, run it again",
                     azri_domain_path(t->a->d));
}

static bool held_covers(const azr_txn *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (!set_has(&t->held, t->chunks[i].coords))
            return false;
    }
    for (uint64_t i = 0; i < t->reads.n; i++) {
        if (!set_has(&t->held, set_at(&t->reads, i)))
            return false;
    }
    return true;
}

/* Is chunk i as it was read? The same counter, and through the same committed row
 * or none: a row that a dead owner left may stand for as long as it likes. */
static bool is_unmoved(const azr_txn *t, uint64_t i, const azri_view_item *item)
{
    const void *named = t->named.data;

    return item->counter == t->stripe[item->stripe] &&
           item->named == ((const uint64_t *)named)[i];
}

static int document_stands(const azr_txn *t, azri_view *v, bool *out,
                           azr_error *err)
{
    azri_ground *g = NULL;
    int rc;

    if (!azri_view_moves_documents(v))
        return azri_ground_stands(t->a, t->g, out, err);
    rc = azri_ground_refresh(t->a, v, &g, err);
    *out = g == t->g;
    azri_ground_unref(g);
    return rc;
}

/* Reads alone: a look at which everything still is as it was read is the instant
 * at which all of it holds. */
static int commit_reads(azr_txn *t, azr_error *err)
{
    azri_view *v = NULL;
    bool stands = true;
    int rc;

    if (t->locked && held_covers(t))
        return AZR_OK; /* nothing could move since the first of them */
    if (t->conflict)
        return fail_conflict(t, err);
    rc = azri_view_new(&v, t->a->d, &t->patience, err);
    if (rc == AZR_OK)
        rc = azri_view_aim(v, &t->g->meta->keying, t->reads.n, set_coords,
                           &t->reads, err);
    if (rc == AZR_OK)
        rc = azri_view_look(v, err);
    for (uint64_t i = 0; rc == AZR_OK && i < t->reads.n; i++)
        stands = stands && is_unmoved(t, i, azri_view_item_at(v, i));
    if (rc == AZR_OK && stands)
        rc = document_stands(t, v, &stands, err);
    if (rc == AZR_OK)
        rc = azri_view_check(v, err);
    azri_view_free(v);
    if (rc == AZR_ECONFLICT || (rc == AZR_OK && !stands))
        return fail_conflict(t, err);
    return rc;
}

typedef struct committer {
    azr_txn *t;
    azri_txn *inner;
    azri_coder *coders[AZRI_CODERS];
} committer;

static int stage_one(void *arg, uint64_t i, int worker, azr_error *err)
{
    committer *c = arg;
    azr_txn *t = c->t;
    const staged_chunk *chunk = &t->chunks[i];
    azri_span bytes = {chunk->bytes, t->g->meta->chunk_nbytes}, stored;
    int rc;

    if (!(t->a->options.flags & AZR_OPEN_WRITE_EMPTY) &&
        azri_chunk_is_empty(t->g, chunk->bytes))
        return azri_txn_stage_deleted(c->inner, i, &chunk->seen, err);
    rc = azri_chain_encode(t->g->chain, c->coders[worker], bytes, &stored, err);
    if (rc < 0)
        return rc;
    return azri_txn_stage(c->inner, i, stored, &chunk->seen, err);
}

static int stage_all(azr_txn *t, azri_txn *inner, azr_error *err)
{
    committer c = {.t = t, .inner = inner};
    int width = azri_array_width(t->a, t->g, t->count);
    int rc = azri_txn_entries(inner, t->count, staged_coords, t, err);

    if (rc == AZR_OK)
        rc = azri_coders_take(t->a, c.coders, width, err);
    if (rc < 0)
        return rc;
    rc = azri_pool_run(width, t->count, stage_one, &c, err);
    azri_coders_give(t->a, c.coders, width);
    return rc;
}

/* `locked_before`: the locks were there before the reads, so only a plain Zarr
 * program can have moved anything; counters may, by other keys of a stripe. */
static int check_reads(azr_txn *t, azri_txn *inner, bool locked_before,
                       azr_error *err)
{
    azri_ground *now = NULL;
    bool stands;
    int rc = azri_ground_current(t->a, &now, err);

    if (rc < 0)
        return rc;
    stands = now == t->g;
    azri_ground_unref(now);
    if (!locked_before)
        stands = stands && !t->conflict;
    for (uint16_t s = 0; s < STRIPES && stands && !locked_before; s++)
        stands =
            !t->stripe_known[s] || azri_txn_counter(inner, s) == t->stripe[s];
    return stands ? AZR_OK : fail_conflict(t, err);
}

/* All locks in their order, then the dead. */
static int lock_all(azr_txn *t, azri_txn *inner, const chunk_set *more,
                    bool doc, azr_error *err)
{
    int rc = azri_txn_lock_meta(inner, false, err);

    if (rc == AZR_OK && doc)
        rc = azri_txn_lock_doc(inner, false, err);
    if (rc == AZR_OK && t->count > 0)
        rc = azri_txn_want_chunks(inner, t->count, staged_coords, t, true, err);
    if (rc == AZR_OK)
        rc = azri_txn_want_chunks(inner, t->reads.n, set_coords, &t->reads,
                                  false, err);
    if (rc == AZR_OK && more)
        rc = azri_txn_want_chunks(inner, more->n, set_coords, more, true, err);
    if (rc == AZR_OK)
        rc = azri_txn_lock_chunks(inner, err);
    if (rc == AZR_OK)
        rc = azri_txn_look(inner, doc, err);
    return rc;
}

static int commit_writes(azr_txn *t, azr_error *err)
{
    azri_txn *inner = t->locked;
    bool locked_before;
    int rc = AZR_OK;

    if (inner && !held_covers(t)) { /* it touched more than the last try */
        azri_txn_end(inner);
        inner = NULL;
        if (t->conflict) {
            t->locked = NULL;
            return fail_conflict(t, err);
        }
    }
    t->locked = NULL;
    locked_before = inner != NULL;
    if (!inner) {
        rc = azri_txn_begin(&inner, t->a->d, &t->patience, err);
        if (rc == AZR_OK)
            rc = lock_all(t, inner, NULL, t->used_shape, err);
    }
    if (rc == AZR_OK)
        rc = check_reads(t, inner, locked_before, err);
    if (rc == AZR_OK)
        rc = stage_all(t, inner, err);
    if (rc == AZR_OK)
        rc = azri_txn_commit(inner, err);
    azri_txn_end(inner);
    return rc;
}

int azri_transaction_commit(azr_txn *t, azr_error *err)
{
    int rc;

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
    if (t->conflict && !t->locked)
        return fail_conflict(t, err);
    if (t->count > 0)
        rc = commit_writes(t, err);
    else if (t->read_count > 1 || t->used_shape)
        rc = commit_reads(t, err);
    else
        rc = AZR_OK; /* one read is one snapshot already */
    return rc;
}

/* ------------------------------------------------------------------ run --- */

/* What the failed try touched, to be locked before the next. */
static int remember(chunk_set *held, const azr_txn *t, azr_error *err)
{
    int rank, rc = AZR_OK;

    if (!t->g)
        return AZR_OK;
    rank = t->g->meta->rank;
    held->n = 0;
    held->coords.nbytes = 0;
    held->rank = rank;
    for (size_t i = 0; i < t->count && rc == AZR_OK; i++)
        rc = set_add(held, rank, t->chunks[i].coords, err);
    for (uint64_t i = 0; i < t->reads.n && rc == AZR_OK; i++)
        rc = set_add(held, rank, set_at(&t->reads, i), err);
    set_sort(held);
    return rc;
}

/* Locks first: then nobody can be in our way. */
static int lock_before(azr_txn *t, azr_array *a, chunk_set *held,
                       azr_error *err)
{
    int rc = azri_txn_begin(&t->locked, a->d, &t->patience, err);

    t->held = *held;
    memset(held, 0, sizeof *held);
    if (rc == AZR_OK)
        rc = lock_all(t, t->locked, &t->held, true, err);
    return rc;
}

int azri_transaction_run(azr_txn_fn fn, void *arg, const azr_txn_options *o,
                         azr_error *err)
{
    azri_patience patience = azri_patience_from(o->timeout_ms, o->cancel);
    chunk_set held = {.n = 0};
    azr_array *a = NULL;
    int rc;

    for (int conflicts = 0;; conflicts++) {
        azr_txn *t = NULL;

        azri_error_reset(err);
        rc = azri_transaction_begin(&t, o, err);
        if (rc < 0)
            break;
        if (conflicts >= CONFLICTS_ALONE && a &&
            (a->options.flags & AZR_OPEN_WRITE))
            rc = lock_before(t, a, &held, err);
        if (rc == AZR_OK)
            rc = fn(t, arg, err);
        if (rc == AZR_OK)
            rc = azri_transaction_commit(t, err);
        a = t->a;
        if (rc == AZR_ECONFLICT && remember(&held, t, NULL) < 0)
            rc = AZR_ENOMEM;
        azri_transaction_free(t);
        if (rc != AZR_ECONFLICT || azri_patience_check(&patience) < 0)
            break;
    }
    azri_buf_dispose(&held.coords);
    return rc;
}
