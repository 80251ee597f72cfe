/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a selection: one snapshot (docs/protocol.md §4).
 *
 * Few chunks: open all, validate, then decode; the files are one snapshot
 * however long that takes. Many: decode window by window and validate at the
 * end; what moved meanwhile is read again. Memory of the caller may hold a mix in
 * between, which nobody sees: it is unspecified until we return success.
 */
#include "base/log.h"
#include "base/stats.h"
#include "core/array.h"
#include "runtime/pool.h"

#include <string.h>

#define OPEN_AT_ONCE 256 /* descriptors a read may hold */

typedef struct reader {
    azr_array *a;
    const azr_selection *sel;
    const azri_caller_memory *caller;
    const azri_read_hooks *hooks;
    azri_patience patience;
    azri_view *v;
    azri_ground *g;
    azri_plan plan;
    bool planned;
    azr_memory dst;
    azri_coder *coders[AZRI_CODERS];
    azri_tally tally;
    int width;
} reader;

static void forget_plan(reader *r)
{
    if (r->planned)
        azri_plan_dispose(&r->plan);
    r->planned = false;
    azri_ground_unref(r->g);
    r->g = NULL;
}

static bool is_raw(const reader *r)
{
    return r->hooks && r->hooks->raw;
}

static bool is_pinned(const reader *r)
{
    return r->hooks && r->hooks->as;
}

/* The document that has to stand. */
static const azri_ground *base_of(const reader *r)
{
    return is_pinned(r) ? r->hooks->base : r->g;
}

/* Two elements in one place would be written by two threads at once. */
static int check_destination(const reader *r, azr_error *err)
{
    if (r->plan.element_count == 0)
        return AZR_OK; /* C order has strides of 0 there */
    for (int d = 0; d < r->plan.result_rank; d++) {
        if (r->dst.strides[d] == 0 && r->plan.result_shape[d] > 1 &&
            r->plan.element_count > 0)
            return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                                 "a destination with stride 0 in dimension %d",
                                 d);
    }
    return AZR_OK;
}

/* Does the caller hold the locks of all that is read? */
static bool caller_holds(const reader *r)
{
    azri_piece piece;

    if (!r->hooks || !r->hooks->holds)
        return false;
    for (uint64_t i = 0; i < r->plan.piece_count; i++) {
        azri_plan_piece(&r->plan, i, &piece);
        if (!r->hooks->holds(r->hooks->arg, piece.coords))
            return false;
    }
    return true;
}

/* Plan against `g` (taken over), and aim the view. */
static int make_plan(reader *r, azri_ground *g, azr_error *err)
{
    const azri_meta *m;
    int rc;

    forget_plan(r);
    r->g = g;
    m = g->meta;
    if (!is_raw(r)) {
        rc = azri_ground_need_elements(r->a, g, err);
        if (rc < 0)
            return rc;
    }
    rc = azri_plan_init(&r->plan, r->sel, m->rank, m->shape, m->chunk, err);
    if (rc < 0)
        return rc;
    r->planned = true;
    if (!is_raw(r))
        rc = azri_memory_resolve(&r->dst, r->caller, &r->plan, m->dtype->nbytes,
                                 err);
    if (rc == AZR_OK && !is_raw(r))
        rc = check_destination(r, err);
    if (rc < 0)
        return rc;
    rc = azri_view_aim(r->v, &m->keying, r->plan.piece_count, azri_plan_coords,
                       &r->plan, err);
    if (rc == AZR_OK && caller_holds(r))
        azri_view_trust_locks(r->v);
    return rc;
}

/* ------------------------------------------------------------- decoding --- */

static const uint8_t *overlay_of(const reader *r, const uint64_t *coords)
{
    if (!r->hooks || !r->hooks->overlay)
        return NULL;
    return r->hooks->overlay(r->hooks->arg, coords);
}

static int decode_piece(void *arg, uint64_t i, int worker, azr_error *err)
{
    reader *r = arg;
    const azri_meta *m = r->g->meta;
    azri_view_item *item = azri_view_item_at(r->v, i);
    azri_source from = {azri_domain_store(r->a->d), &item->object, NULL};
    char key[AZRI_KEY_MAX];
    const uint8_t *staged;
    azri_piece piece;
    int rc;

    if (item->done)
        return azri_tally_add(r->a, &r->tally, worker, err);
    rc = azri_view_open_item(r->v, i, err);
    if (rc < 0)
        return rc;
    azri_plan_piece(&r->plan, i, &piece);
    (void)azri_key_format(key, &m->keying, piece.coords);
    from.key = key;
    staged = overlay_of(r, piece.coords);
    if (is_raw(r))
        rc = r->hooks->raw(r->hooks->raw_arg, &from, err);
    else if (staged)
        azri_scatter(&r->plan, &piece, &r->dst, staged,
                     azri_chain_strides(r->g->chain), m->dtype->nbytes,
                     azri_chain_swap_unit(r->g->chain));
    else
        rc = azri_chunk_read(r->g, r->coders[worker], &from, &r->plan, &piece,
                             &r->dst, err);
    if (rc < 0)
        return rc;
    item->done = true;
    azri_view_close_item(r->v, i);
    return azri_tally_add(r->a, &r->tally, worker, err);
}

static int decode_all(reader *r, azr_error *err)
{
    uint64_t n = r->plan.piece_count;
    int rc;

    r->width = azri_array_width(r->a, r->g, n);
    atomic_store(&r->tally.done, 0); /* again, if the last try was disturbed */
    r->tally.total = n;
    rc = azri_coders_take(r->a, r->coders, r->width, err);
    if (rc < 0)
        return rc;
    rc = azri_pool_run(r->width, n, decode_piece, r, err);
    azri_coders_give(r->a, r->coders, r->width);
    return rc;
}

static int open_all(reader *r, azr_error *err)
{
    int rc = AZR_OK;

    for (uint64_t i = 0; i < r->plan.piece_count && rc == AZR_OK; i++)
        rc = azri_view_open_item(r->v, i, err);
    return rc;
}

/* ---------------------------------------------------------------- tries --- */

/* The second look, of everything: rows, counters, document. */
static int validate(reader *r, azr_error *err)
{
    bool stands;
    int rc = azri_view_check(r->v, err);

    if (rc < 0 || azri_view_moves_documents(r->v))
        return rc; /* the document came through the row, which stands */
    rc = azri_ground_stands(r->a, base_of(r), &stands, err);
    if (rc < 0)
        return rc;
    return stands ? AZR_OK : AZR_ECONFLICT;
}

/* Is the plan that of the document as of this look? If not, plan anew:
 * AZR_ECONFLICT. */
static int agree_on_ground(reader *r, azr_error *err)
{
    azri_ground *newest = NULL;
    int rc = azri_ground_refresh(r->a, r->v, &newest, err);

    if (rc < 0)
        return rc;
    if (newest != base_of(r))
        rc = AZR_ECONFLICT;
    azri_ground_unref(newest);
    return rc;
}

/*
 * One try. AZR_ECONFLICT: disturbed. `fresh`: the document has to be looked at
 * before the chunks, since the last try was disturbed or a row changes it.
 */
static int try_once(reader *r, bool fresh, azr_error *err)
{
    bool hold = r->plan.piece_count <= OPEN_AT_ONCE;
    int rc = azri_view_look(r->v, err);

    if (rc < 0)
        return rc;
    /* who decodes before the second look should at least know the shape */
    fresh = fresh || (!hold && azri_selection_needs_shape(r->sel));
    if (fresh || azri_view_moves_documents(r->v)) {
        rc = agree_on_ground(r, err);
        if (rc < 0)
            return rc;
    }
    rc = hold ? open_all(r, err) : decode_all(r, err);
    if (rc < 0 && validate(r, NULL) == AZR_ECONFLICT) {
        azri_error_reset(err); /* the ground moved under it: no verdict */
        return AZR_ECONFLICT;
    }
    if (rc < 0)
        return rc;
    rc = validate(r, err);
    if (rc < 0)
        return rc;
    if (r->hooks && r->hooks->note) {
        rc = r->hooks->note(r->hooks->arg, r->v, &r->plan, r->g, err);
        if (rc < 0)
            return rc;
    }
    return hold ? decode_all(r, err) : AZR_OK;
}

/* Under the locks of META and DOC the document stands still: plan by it, then
 * lock its chunks. */
static int lock_and_plan(reader *r, azr_error *err)
{
    azri_ground *g = NULL;
    int rc = azri_view_lock_ground(r->v, err);

    if (rc == AZR_OK)
        rc = azri_view_look(r->v, err);
    if (rc == AZR_OK)
        rc = azri_ground_refresh(r->a, r->v, &g, err);
    if (rc == AZR_OK && is_pinned(r)) {
        bool stands = g == r->hooks->base;

        azri_ground_unref(g);
        if (!stands)
            return AZR_ECONFLICT;
        g = azri_ground_ref(r->hooks->as);
    }
    if (rc == AZR_OK)
        rc = make_plan(r, g, err);
    if (rc == AZR_OK)
        rc = azri_view_lock_chunks(r->v, err);
    return rc;
}

static int out_of_patience(reader *r, int rc, azr_error *err)
{
    return azri_fail(err, rc, "'%s': %s; reading was disturbed by writers",
                     azri_domain_path(r->a->d),
                     rc == AZR_EBUSY ? "time-out" : "canceled");
}

static bool may_lock(const reader *r)
{
    return !(r->a->options.flags & AZR_OPEN_READ_UNLOCKED) &&
           !(r->hooks && r->hooks->holds);
}

/* Was it the document that disturbed us? Then no other try will do better. */
static int has_moved(reader *r, azr_error *err)
{
    int rc = azri_view_look(r->v, err);

    if (rc == AZR_OK)
        rc = agree_on_ground(r, err);
    if (rc == AZR_ECONFLICT && azri_view_check(r->v, NULL) == AZR_ECONFLICT)
        rc = AZR_OK; /* disturbed again: no verdict */
    return rc;
}

/* Disturbed: what to do before the next try. */
static int after_conflict(reader *r, int tries, azr_error *err)
{
    azri_ground *newest;
    int rc = azri_patience_check(&r->patience);

    AZRI_COUNT(snapshot_retries, 1);
    if (rc < 0 && tries >= AZRI_OPTIMISTIC_TRIES)
        return out_of_patience(r, rc, err);
    /* under lock a dead row may still be finished beside us, or the document
     * move in the map of a plain tool: plan and lock anew */
    if (azri_view_is_locked(r->v) ||
        (tries == AZRI_OPTIMISTIC_TRIES && may_lock(r)))
        return lock_and_plan(r, err);
    if (is_pinned(r))
        return has_moved(r, err);
    newest = azri_array_ground(r->a);
    if (newest != r->g)
        return make_plan(r, newest, err);
    azri_ground_unref(newest);
    return AZR_OK;
}

/* A selection that does not fit may fit the newest document. */
static int first_plan(reader *r, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    azri_ground *newest = NULL;
    int rc;

    if (is_pinned(r))
        return make_plan(r, azri_ground_ref(r->hooks->as), err);
    rc = make_plan(r, azri_array_ground(r->a), &why);

    if (rc == AZR_EINVAL && azri_view_look(r->v, NULL) == AZR_OK &&
        azri_ground_refresh(r->a, r->v, &newest, NULL) == AZR_OK) {
        if (newest != r->g)
            return make_plan(r, newest, err);
        azri_ground_unref(newest);
    }
    if (rc < 0)
        azri_error_pass(err, &why);
    return rc;
}

int azri_array_read(azr_array *a, const azr_selection *sel,
                    const azri_caller_memory *dst, const azri_read_hooks *hooks,
                    const azri_patience *patience, azr_error *err)
{
    reader r = {
        .a = a,
        .sel = sel,
        .caller = dst,
        .hooks = hooks,
        .patience = *patience,
    };
    int rc = azri_view_new(&r.v, a->d, patience, err);

    if (rc == AZR_OK)
        rc = first_plan(&r, err);
    for (int tries = 0; rc == AZR_OK; tries++) {
        rc = try_once(&r, tries > 0, err);
        if (rc != AZR_ECONFLICT)
            break;
        rc = after_conflict(&r, tries + 1, err);
    }
    if (rc == AZR_OK && hooks && hooks->shape_out)
        memcpy(hooks->shape_out, r.g->meta->shape,
               (size_t)r.g->meta->rank * sizeof *hooks->shape_out);
    if (rc == AZR_OK)
        AZRI_COUNT(reads, 1);
    azri_view_free(r.v);
    forget_plan(&r);
    return rc;
}

static int look_away(void *arg, const azri_source *from, azr_error *err)
{
    (void)arg;
    (void)from;
    (void)err;
    return AZR_OK;
}

int azri_read_document(azr_array *a, const azri_read_hooks *hooks,
                       const azri_patience *patience, azr_error *err)
{
    int64_t none[AZR_MAX_RANK] = {0};
    azri_ground *g = azri_array_ground(a);
    azr_selection sel = azr_select_box(g->meta->rank, none, none, NULL);
    azri_read_hooks mine = {.arg = NULL};

    azri_ground_unref(g);
    if (hooks)
        mine = *hooks;
    mine.raw = look_away; /* of a 0-d array the chunk cannot be left out */
    return azri_array_read(a, &sel, NULL, &mine, patience, err);
}
