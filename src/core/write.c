/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a selection as one transaction (docs/protocol.md §3): row, META shared,
 * the chunks' locks, look, document, merge and stage, commit.
 */
#include "base/stats.h"
#include "core/array.h"
#include "runtime/pool.h"

#include <string.h>

/* ------------------------------------------------------- one chunk's bytes */

typedef struct stager {
    azr_array *a;
    azri_txn *t; /* NULL: AZR_SYNC_CHUNK or AZR_SYNC_NONE */
    azri_ground *g;
    const azri_plan *p;
    const azr_memory *src;
    azri_coder *coders[AZRI_CODERS];
    azri_tally tally; /* of what is staged */
    const azri_seen
        *before; /* update: identities of the first read, per piece */
} stager;

static int open_stored(const stager *s, const char *key, azr_object *o,
                       azri_seen *what, azr_error *err)
{
    azr_store *store = azri_domain_store(s->a->d);
    int rc = store->ops->open(store, key, o, err);

    what->read = true;
    what->absent = rc == AZR_ENOTFOUND;
    if (rc == AZR_OK)
        what->object = *o;
    return rc == AZR_ENOTFOUND ? AZR_OK : rc;
}

/* The chunk buffer as it stands now, for a piece that covers part of it. [W3-read] */
static int load_stored(const stager *s, azri_coder *coder, uint64_t i,
                       const char *key, uint8_t **chunk, azri_seen *what,
                       azr_error *err)
{
    azr_object o = AZR_OBJECT_INIT;
    azri_source from = {azri_domain_store(s->a->d), &o, key};
    int rc = open_stored(s, key, &o, what, err);

    if (rc == AZR_OK)
        rc = azri_chunk_load(s->g, coder, &from, chunk, err);
    if (o.handle >= 0 && s->t)
        azri_txn_keep(s->t, i, &o);
    else if (o.handle >= 0)
        from.store->ops->close(from.store, &o);
    return rc;
}

static bool is_edge(const stager *s, const azri_piece *piece)
{
    for (int d = 0; d < s->p->rank; d++) {
        if (piece->extent[d] < s->g->meta->chunk[d])
            return true;
    }
    return false;
}

/* The chunk buffer of a piece that covers all of the chunk that counts; outside
 * the array it holds the fill value. */
static int fresh_chunk(const stager *s, azri_coder *coder,
                       const azri_piece *piece, uint8_t **chunk, azr_error *err)
{
    const azri_meta *m = s->g->meta;
    int rc;

    if (m->chunk_nbytes > AZRI_MAX_CHUNK_NBYTES)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_CHUNK,
                             "chunks of %zu bytes are larger than %zu",
                             m->chunk_nbytes, AZRI_MAX_CHUNK_NBYTES);
    rc = azri_coder_chunk(coder, m->chunk_nbytes, chunk, err);
    if (rc == AZR_OK && is_edge(s, piece))
        azri_fill_elements(*chunk, s->g->stored_fill, m->dtype->nbytes,
                           m->chunk_nbytes / m->dtype->nbytes);
    return rc;
}

/* Merge a piece into its chunk buffer; *chunk may be the caller's own memory. */
static int merge_piece(const stager *s, azri_coder *coder, uint64_t i,
                       const char *key, const azri_piece *piece,
                       const uint8_t **chunk_out, azri_seen *what,
                       azr_error *err)
{
    size_t item = s->g->meta->dtype->nbytes;
    uint8_t *chunk = NULL;
    int rc;

    if (piece->whole && !is_edge(s, piece) &&
        azri_chain_is_plain(s->g->chain)) {
        *chunk_out = azri_direct(s->p, piece, s->src, item);
        if (*chunk_out)
            return AZR_OK;
    }
    rc = piece->whole ? fresh_chunk(s, coder, piece, &chunk, err)
                      : load_stored(s, coder, i, key, &chunk, what, err);
    if (rc < 0)
        return rc;
    azri_gather(s->p, piece, s->src, chunk, azri_chain_strides(s->g->chain),
                item, azri_chain_swap_unit(s->g->chain));
    *chunk_out = chunk;
    return AZR_OK;
}

/* -------------------------------------------------------------- staging --- */

static int put_away(const stager *s, azri_coder *coder, uint64_t i,
                    const char *key, const uint8_t *chunk,
                    const azri_seen *what, azr_error *err)
{
    azri_span bytes = {chunk, s->g->meta->chunk_nbytes};
    azri_span stored;
    int rc;

    if (!(s->a->options.flags & AZR_OPEN_WRITE_EMPTY) &&
        azri_chunk_is_empty(s->g, chunk))
        return s->t ? azri_txn_stage_deleted(s->t, i, what, err)
                    : azri_plain_remove(s->a->d, key, err);
    rc = azri_chain_encode(s->g->chain, coder, bytes, &stored, err);
    if (rc < 0)
        return rc;
    return s->t ? azri_txn_stage(s->t, i, stored, what, err)
                : azri_plain_replace(s->a->d, key, stored, err);
}

static int write_piece(const stager *s, azri_coder *coder, uint64_t i,
                       const azri_piece *piece, azr_error *err)
{
    char key[AZRI_KEY_MAX];
    const uint8_t *chunk;
    azri_seen what = {.read = false};
    int rc;

    (void)azri_key_format(key, &s->g->meta->keying, piece->coords);
    rc = merge_piece(s, coder, i, key, piece, &chunk, &what, err);
    if (rc < 0)
        return rc;
    if (s->before)
        what = s->before[i];
    return put_away(s, coder, i, key, chunk, &what, err);
}

static int stage_piece(void *arg, uint64_t i, int worker, azr_error *err)
{
    stager *s = arg;
    azri_plain *lock = NULL;
    azri_piece piece;
    int rc;

    azri_plan_piece(s->p, i, &piece);
    if (s->a->options.sync == AZR_SYNC_CHUNK && !s->t) {
        rc = azri_plain_lock(&lock, s->a->d, piece.coords, err);
        if (rc < 0)
            return rc;
    }
    rc = write_piece(s, s->coders[worker], i, &piece, err);
    azri_plain_unlock(lock);
    return rc < 0 ? rc : azri_tally_add(s->a, &s->tally, worker, err);
}

static int run_pieces(stager *s, azri_pool_fn fn, azr_error *err)
{
    uint64_t n = s->p->piece_count;
    int width = azri_array_width(s->a, s->g, n);
    int rc = azri_coders_take(s->a, s->coders, width, err);

    atomic_store(&s->tally.done, 0);
    s->tally.total = n;
    if (rc < 0)
        return rc;
    rc = azri_pool_run(width, n, fn, s, err);
    azri_coders_give(s->a, s->coders, width);
    return rc;
}

int azri_stage_plan(azr_array *a, azri_txn *t, azri_ground *g,
                    const azri_plan *p, const azr_memory *src, azr_error *err)
{
    stager s = {.a = a, .t = t, .g = g, .p = p, .src = src};
    int rc = azri_txn_entries(t, p->piece_count, azri_plan_coords, p, err);

    return rc < 0 ? rc : run_pieces(&s, stage_piece, err);
}

/* ---------------------------------------------------------- transactions --- */

typedef struct writer {
    azr_array *a;
    const azr_selection *sel;
    const azri_caller_memory *caller;
    const int64_t *shape; /* that the array must have; NULL: any */
    azr_update_fn update;
    void *update_arg;
    azri_txn *t;
    azri_ground *g;
    azri_plan plan;
    bool planned;
} writer;

static void forget_plan(writer *w)
{
    if (w->planned)
        azri_plan_dispose(&w->plan);
    w->planned = false;
}

static int check_shape(const writer *w, azr_error *err)
{
    const azri_meta *m = w->g->meta;

    for (int d = 0; w->shape && d < m->rank; d++) {
        if (w->shape[d] != m->shape[d])
            return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                                 "'%s' has length %lld in dimension %d, not "
                                 "%lld, for which this was to be written",
                                 azri_domain_path(w->a->d),
                                 (long long)m->shape[d], d,
                                 (long long)w->shape[d]);
    }
    return AZR_OK;
}

static int make_plan(writer *w, azr_error *err)
{
    const azri_meta *m = w->g->meta;
    int rc;

    forget_plan(w);
    rc = azri_ground_need_elements(w->a, w->g, err);
    if (rc < 0)
        return rc;
    rc = azri_plan_init(&w->plan, w->sel, m->rank, m->shape, m->chunk, err);
    w->planned = rc == AZR_OK;
    return rc < 0 ? rc : check_shape(w, err);
}

/* Does the newest document give the same chunks as ours? Then `w->g` is it. */
static int catch_up(writer *w, bool *moved_out, azr_error *err)
{
    azri_ground *newest = NULL;
    int rc = azri_ground_current(w->a, &newest, err);

    if (rc < 0)
        return rc;
    *moved_out = newest != w->g;
    azri_ground_unref(w->g);
    w->g = newest;
    return AZR_OK;
}

/*
 * Locks and looks. What depends on the shape (its selection does, or it is for one
 * shape alone) finds its objects as `append` does: DOC shared, look, document, chunks,
 * look. Any other plans by the document it knows, and once more if that turns out to
 * have moved.
 */
static int lock_and_look(writer *w, azr_error *err)
{
    bool needs_shape = azri_selection_needs_shape(w->sel) || w->shape;
    bool moved = true;
    int rc = azri_txn_lock_meta(w->t, false, err);

    if (rc == AZR_OK && needs_shape)
        rc = azri_txn_lock_doc(w->t, false, err);
    if (rc == AZR_OK && needs_shape)
        rc = azri_txn_look(w->t, true, err);
    if (rc == AZR_OK && needs_shape)
        rc = catch_up(w, &moved, err);
    moved = true; /* moved or not, nothing is planned yet */
    while (rc == AZR_OK && moved) {
        rc = make_plan(w, err);
        if (rc == AZR_EINVAL && !needs_shape) {
            /* it may fit the newest document, once no row holds that back */
            rc = azri_txn_look(w->t, false, NULL);
            if (rc == AZR_OK)
                rc = catch_up(w, &moved, NULL);
            if (rc < 0 || !moved)
                return AZR_EINVAL;
            azri_error_reset(err);
            continue;
        }
        if (rc == AZR_OK)
            rc = azri_txn_want_chunks(w->t, w->plan.piece_count,
                                      azri_plan_coords, &w->plan, true, err);
        if (rc == AZR_OK)
            rc = azri_txn_lock_chunks(w->t, err);
        if (rc == AZR_OK)
            rc = azri_txn_look(w->t, false, err);
        if (rc == AZR_OK)
            rc = catch_up(w, &moved, err);
        if (rc == AZR_OK && moved)
            rc = azri_txn_unlock_chunks(w->t, err);
    }
    return rc;
}

/* ---------------------------------------------------------------- update --- */

typedef struct first_read {
    stager s;
    const azr_memory *values;
    azri_seen *before;
} first_read;

static int read_piece(void *arg, uint64_t i, int worker, azr_error *err)
{
    first_read *f = arg;
    const stager *s = &f->s;
    azr_object o = AZR_OBJECT_INIT;
    char key[AZRI_KEY_MAX];
    azri_source from = {azri_domain_store(s->a->d), &o, key};
    azri_piece piece;
    int rc;

    azri_plan_piece(s->p, i, &piece);
    (void)azri_key_format(key, &s->g->meta->keying, piece.coords);
    rc = open_stored(s, key, &o, &f->before[i], err);
    if (rc == AZR_OK)
        rc = azri_chunk_read(s->g, s->coders[worker], &from, s->p, &piece,
                             f->values, err);
    if (o.handle >= 0)
        from.store->ops->close(from.store, &o);
    return rc;
}

/* Read the selection under its locks, let the caller change it, write it back.
 * What was read is what must still be there in step 4. */
static int stage_update(writer *w, azr_error *err)
{
    size_t item = w->g->meta->dtype->nbytes;
    size_t nbytes = (size_t)w->plan.element_count * item;
    void *values = azri_alloc(nbytes);
    azri_seen *before =
        azri_calloc((size_t)w->plan.piece_count, sizeof *before);
    azr_memory dense;
    first_read f = {.s = {.a = w->a, .t = w->t, .g = w->g, .p = &w->plan}};
    int rc;

    if (!values || !before) {
        rc = azri_fail_nomem(err, nbytes);
        goto done;
    }
    rc = azri_memory_dense(&dense, &w->plan, values, nbytes, item, err);
    if (rc < 0)
        goto done;
    f.values = &dense;
    f.before = before;
    rc = run_pieces(&f.s, read_piece, err);
    if (rc < 0)
        goto done;
    rc = w->update(values, nbytes, w->update_arg);
    if (rc != 0) {
        rc = azri_fail(err, rc < 0 ? rc : AZR_EINVAL,
                       "given up by the caller's function (%d)", rc);
        goto done;
    }
    f.s.src = &dense;
    f.s.before = before;
    rc = azri_txn_entries(w->t, w->plan.piece_count, azri_plan_coords, &w->plan,
                          err);
    if (rc == AZR_OK)
        rc = run_pieces(&f.s, stage_piece, err);
done:
    azri_free(before);
    azri_free(values);
    return rc;
}

static int stage_write(writer *w, azr_error *err)
{
    azr_memory src;
    int rc;

    if (w->update)
        return stage_update(w, err);
    rc = azri_memory_resolve(&src, w->caller, &w->plan,
                             w->g->meta->dtype->nbytes, err);
    if (rc < 0)
        return rc;
    return azri_stage_plan(w->a, w->t, w->g, &w->plan, &src, err);
}

/* A wrong selection or buffer is refused before any lock is taken. */
static int check_early(writer *w, azr_error *err)
{
    azr_memory src;
    int rc;

    if (azri_selection_needs_shape(w->sel))
        return azri_selection_check(w->sel, w->g->meta->rank, err);
    rc = make_plan(w, err);
    if (rc < 0) {
        /* a snapshot: the newest document may still stand in a row */
        azri_patience patience = azri_array_patience(w->a);
        azri_ground *newest;
        bool moved;

        if (azri_read_document(w->a, NULL, &patience, NULL) < 0)
            return rc;
        newest = azri_array_ground(w->a);
        moved = newest != w->g;
        azri_ground_unref(w->g);
        w->g = newest;
        if (!moved)
            return rc;
        azri_error_reset(err);
        rc = make_plan(w, err);
    }
    if (rc == AZR_OK && w->caller)
        rc = azri_memory_resolve(&src, w->caller, &w->plan,
                                 w->g->meta->dtype->nbytes, err);
    return rc;
}

static int write_full(writer *w, azr_error *err)
{
    azri_patience patience = azri_array_patience(w->a);
    int rc = azri_txn_begin(&w->t, w->a->d, &patience, err);

    if (rc == AZR_OK)
        rc = lock_and_look(w, err);
    if (rc == AZR_OK)
        rc = stage_write(w, err);
    if (rc == AZR_OK)
        rc = azri_txn_commit(w->t, err);
    azri_txn_end(w->t);
    return rc;
}

/* What plain Zarr libraries do, with our codecs and copies. */
static int write_plain(writer *w, azr_error *err)
{
    azr_memory src;
    stager s = {.a = w->a, .p = &w->plan, .src = &src};
    bool moved;
    int rc = catch_up(w, &moved, err);

    if (rc == AZR_OK)
        rc = make_plan(w, err);
    if (rc < 0)
        return rc;
    s.g = w->g;
    rc = azri_memory_resolve(&src, w->caller, &w->plan,
                             w->g->meta->dtype->nbytes, err);
    return rc < 0 ? rc : run_pieces(&s, stage_piece, err);
}

static int run_writer(writer *w, azr_error *err)
{
    int rc = azri_array_may_write(w->a, err);

    if (rc < 0)
        return rc;
    w->g = azri_array_ground(w->a);
    rc = check_early(w, err);
    if (rc == AZR_OK && !(w->planned && w->plan.element_count == 0))
        rc = w->a->options.sync == AZR_SYNC_FULL ? write_full(w, err)
                                                 : write_plain(w, err);
    if (rc == AZR_OK)
        AZRI_COUNT(writes, 1);
    if (rc == AZR_ECONFLICT)
        AZRI_COUNT(conflicts, 1);
    forget_plan(w);
    azri_ground_unref(w->g);
    return rc;
}

int azri_array_write(azr_array *a, const azr_selection *sel,
                     const azri_caller_memory *src, const int64_t *shape,
                     azr_error *err)
{
    writer w = {.a = a, .sel = sel, .caller = src, .shape = shape};

    return run_writer(&w, err);
}

int azri_array_update(azr_array *a, const azr_selection *sel,
                      const int64_t *shape, azr_update_fn fn, void *arg,
                      azr_error *err)
{
    writer w = {
        .a = a, .sel = sel, .shape = shape, .update = fn, .update_arg = arg};

    if (a->options.sync != AZR_SYNC_FULL)
        return azri_fail(err, AZR_EUNSUPPORTED,
                         "update needs a handle with AZR_SYNC_FULL");
    return run_writer(&w, err);
}

int azri_fill_source(azr_memory *out, azr_array *a, const azr_selection *sel,
                     const void *value, size_t value_nbytes, azr_error *err)
{
    azri_ground *g = azri_array_ground(a);
    size_t item = g->meta->dtype->nbytes;
    union {
        const void *in;
        void *out; /* a source is only read */
    } p = {.in = value};
    azr_memory one = {
        .struct_size = sizeof one, .data = p.out, .nbytes = value_nbytes};

    int rc = azri_ground_need_elements(a, g, err);

    one.rank = sel->kind == AZR_SELECT_POINTS ? 1 : g->meta->rank;
    azri_ground_unref(g);
    if (rc < 0)
        return rc;
    if (value_nbytes != item)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_DTYPE,
                             "a value of %zu bytes, one element has %zu",
                             value_nbytes, item);
    *out = one;
    return AZR_OK;
}

int azri_array_fill(azr_array *a, const azr_selection *sel, const void *value,
                    size_t value_nbytes, azr_error *err)
{
    azr_memory one;
    azri_caller_memory src = {&one, NULL, 0};
    int rc = azri_fill_source(&one, a, sel, value, value_nbytes, err);

    return rc < 0 ? rc : azri_array_write(a, sel, &src, NULL, err);
}
