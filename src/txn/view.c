/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots without locks (docs/protocol.md §4). A look is counters first, then
 * rows; objects are opened; the second look is rows first, then counters:
 *
 *   1. A reads the counters again: unchanged.
 *   2. B commits, bumps, renames and clears its row.
 *   3. A reads the rows again: none, as before. But A opened one object before
 *      (2) and another one may have been opened after it.
 *
 * Rows first, B's bump is seen. An open file never changes under a rename, so
 * what was open between two equal looks is one instant.
 */
#include "base/log.h"
#include "base/stats.h"
#include "txn/txn_local.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MOVED UINT64_MAX /* item.named: more than one row, never kept */

typedef struct seen_row {
    uint32_t row;
    bool pending; /* SEALED, its owner dead: may be committed any time */
    bool watched; /* … or of another boot: may be given up */
    azri_intent intent;
} seen_row;

struct azri_view {
    azri_domain *d;
    azri_patience patience;
    azri_keying keying; /* of the metadata, where there is no `state` */
    uint64_t n;
    azri_view_item *items;
    azri_coords_fn coords;
    const void *arg;
    uint64_t first, last; /* hull of the items' W offsets */
    bool has_offsets;
    bool stateless; /* there was no `state` at the look */
    bool blind;     /* nor when the view was aimed: no stripes, no offsets */
    uint64_t meta_counter;
    uint64_t *all; /* every counter: a view of everything, without items */
    seen_row *rows;
    size_t row_count, row_capacity;
    azri_txn *lock;     /* read under lock, with a row to wait in */
    int lock_fd;        /* the same without permission to write */
    azri_ranges ranges; /* of lock_fd */
    bool chunks_locked;
    bool trusted; /* the caller holds the locks */
};

int azri_view_new(azri_view **out, azri_domain *d,
                  const azri_patience *patience, azr_error *err)
{
    azri_view *v = azri_calloc(1, sizeof *v);

    if (!v)
        return azri_fail_nomem(err, sizeof *v);
    v->d = d;
    v->patience = *patience;
    v->lock_fd = -1;
    *out = v;
    return AZR_OK;
}

/* --------------------------------------------------------------- items --- */

azri_view_item *azri_view_item_at(azri_view *v, uint64_t i)
{
    return &v->items[i];
}

static void close_item(azri_view *v, azri_view_item *item)
{
    if (item->object.handle >= 0)
        v->d->store->ops->close(v->d->store, &item->object);
}

void azri_view_close_item(azri_view *v, uint64_t i)
{
    close_item(v, &v->items[i]);
}

static void drop_item(azri_view *v, azri_view_item *item)
{
    close_item(v, item);
    item->have = false;
    item->done = false;
}

static void drop_rows(azri_view *v)
{
    for (size_t i = 0; i < v->row_count; i++)
        azri_intent_dispose(&v->rows[i].intent);
    v->row_count = 0;
}

static void drop_items(azri_view *v)
{
    for (uint64_t i = 0; i < v->n; i++)
        close_item(v, &v->items[i]);
    azri_free(v->items);
    v->items = NULL;
    v->n = 0;
}

static void unlock(azri_view *v)
{
    azri_txn_end(v->lock);
    v->lock = NULL;
    if (v->lock_fd >= 0)
        azri_domain_put_fd(v->d, v->lock_fd,
                           azri_ofd_unlock(v->lock_fd, AZRI_LOCK_BASE,
                                           AZRI_LOCK_LAST, NULL) == AZR_OK);
    v->lock_fd = -1;
    v->chunks_locked = false;
}

/*
 * Under the locks of META, DOC and the chunks nobody can begin a commit on what
 * is read, so the rows that name it are those of dead owners, and what they say
 * stays true however far others get in finishing them: the staged object and,
 * once it is renamed, the key are the same file. Counters and hulls tell nothing
 * then: others who share a stripe with us, or whose chunks lie between ours, move
 * them all the time.
 */
static bool is_still(const azri_view *v)
{
    return v->chunks_locked || v->trusted;
}

void azri_view_trust_locks(azri_view *v)
{
    v->trusted = true;
}

/* The chunks' locks alone: META and DOC stay. */
static int unlock_chunks(azri_view *v, azr_error *err)
{
    if (!v->chunks_locked)
        return AZR_OK;
    v->chunks_locked = false;
    if (v->lock)
        return azri_txn_unlock_chunks(v->lock, err);
    return azri_ofd_unlock(v->lock_fd, AZRI_LOCK_W, AZRI_LOCK_LAST, err);
}

void azri_view_free(azri_view *v)
{
    if (!v)
        return;
    unlock(v);
    drop_rows(v);
    drop_items(v);
    azri_free(v->all);
    azri_free(v->rows);
    azri_free(v);
}

static void note_offset(azri_view *v, const azri_state *s, const uint64_t *c)
{
    uint64_t w = azri_w_offset(s, c);

    if (!v->has_offsets || w < v->first)
        v->first = w;
    if (!v->has_offsets || w > v->last)
        v->last = w;
    v->has_offsets = true;
}

int azri_view_aim(azri_view *v, const azri_keying *keying, uint64_t n,
                  azri_coords_fn coords, const void *arg, azr_error *err)
{
    azri_state *s = azri_domain_state(v->d);
    int rc = unlock_chunks(v, err);

    if (rc < 0)
        return rc;
    v->trusted = false;
    drop_rows(v);
    drop_items(v);
    azri_free(v->all);
    v->all = NULL;
    v->items = azri_calloc((size_t)n, sizeof *v->items);
    if (!v->items)
        return azri_fail_nomem(err, (size_t)n * sizeof *v->items);
    v->keying = *keying;
    v->n = n;
    v->coords = coords;
    v->arg = arg;
    v->has_offsets = false;
    v->blind = !s;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t c[AZR_MAX_RANK];

        v->items[i].object.handle = -1;
        if (!s) /* stripes are of no use without counters */
            continue;
        coords(arg, i, c);
        v->items[i].stripe = azri_stripe(c, s->keying.rank);
        note_offset(v, s, c);
    }
    return AZR_OK;
}

int azri_view_aim_all(azri_view *v, const azri_keying *keying, azr_error *err)
{
    int rc = azri_view_aim(v, keying, 0, NULL, NULL, err);

    if (rc < 0)
        return rc;
    v->all = azri_calloc(AZRI_COUNTERS, sizeof *v->all);
    if (!v->all)
        return azri_fail_nomem(err, AZRI_COUNTERS * sizeof *v->all);
    return AZR_OK;
}

/* ------------------------------------------------------------ counters --- */

/* [R1-counters] An object opened in an earlier try is kept only if its counter
 * is that of the look before its own open. */
static int look_at_counters(azri_view *v, azri_state *s, azr_error *err)
{
    int rc = azri_state_renew_counters(s, err);

    if (rc < 0)
        return rc;
    v->meta_counter = atomic_load(&azri_state_changing(s)->meta);
    for (uint32_t i = 0; v->all && i < AZRI_COUNTERS; i++)
        v->all[i] = atomic_load(azri_state_counter(s, i));
    for (uint64_t i = 0; i < v->n; i++) {
        azri_view_item *item = &v->items[i];
        uint64_t now = atomic_load(azri_state_counter(s, item->stripe));

        if (item->have && item->counter != now && !is_still(v))
            drop_item(v, item); /* [R3-keep] */
        item->counter = now;
    }
    return AZR_OK;
}

static bool counters_stand(const azri_view *v, const azri_state *s)
{
    if (v->meta_counter != atomic_load(&azri_state_changing(s)->meta))
        return false;
    for (uint32_t i = 0; v->all && i < AZRI_COUNTERS; i++) {
        if (v->all[i] != atomic_load(azri_state_counter(s, i)))
            return false;
    }
    for (uint64_t i = 0; i < v->n; i++) {
        const azri_view_item *item = &v->items[i];

        if (item->counter != atomic_load(azri_state_counter(s, item->stripe)))
            return false;
    }
    return true;
}

/* ---------------------------------------------------------------- rows --- */

static bool of_another_boot(const azri_state *s, uint32_t i, uint64_t word)
{
    return !azri_row_of_this_boot(s, i, word);
}

/* A committed row counts; so does a SEALED one of another boot: its renames may
 * be half on the disk. */
static bool counts(const azri_state *s, uint32_t i, uint64_t word)
{
    uint32_t state = azri_word_state(word);

    return state == AZRI_COMMITTED ||
           (state == AZRI_SEALED && of_another_boot(s, i, word));
}

/*
 * A PREPARED row counts exactly while its home row is COMMITTED with the same id;
 * the home's word is read after its own. If that says no, and the row has gone on
 * meanwhile, the answer is of no use: AZR_ECONFLICT, look at the row again.
 */
static int ask_home(azri_view *v, const azri_state *s, uint32_t i,
                    const azri_intent *in, azri_home *out, azr_error *err)
{
    int rc = azri_home_ask(out, v->d, in, err);

    atomic_thread_fence(memory_order_seq_cst);
    if ((rc < 0 || *out != AZRI_HOME_YES) &&
        atomic_load(azri_state_word(s, i)) != in->word) {
        azri_error_reset(err);
        return AZR_ECONFLICT;
    }
    return rc;
}

/* What items remember of a row: that it was PREPARED once is no change. */
static uint64_t naming_word(uint64_t word)
{
    return azri_word_state(word) == AZRI_PREPARED || azri_word_is_told(word)
               ? azri_word(azri_word_id(word), AZRI_COMMITTED)
               : word;
}

static bool concerns(const azri_view *v, const azri_intent *in)
{
    if ((in->flags & AZRI_WHAT_METADATA) || v->all)
        return true;
    return v->has_offsets && in->first <= v->last && v->first <= in->last;
}

static seen_row *room_for_row(azri_view *v, azr_error *err)
{
    if (v->row_count == v->row_capacity) {
        size_t want = v->row_capacity ? 2 * v->row_capacity : 4;
        seen_row *rows = azri_resize(v->rows, want * sizeof *rows);

        if (!rows) {
            azri_ignore(azri_fail_nomem(err, want * sizeof *rows));
            return NULL;
        }
        v->rows = rows;
        v->row_capacity = want;
    }
    return &v->rows[v->row_count];
}

/* Does it name any item? Unless it is `pending`, the items take note. */
static bool name_items(azri_view *v, const azri_state *s, const azri_intent *in,
                       bool pending)
{
    bool any = v->all != NULL;

    for (uint64_t i = 0; i < v->n; i++) {
        azri_view_item *item = &v->items[i];
        uint64_t c[AZR_MAX_RANK];

        v->coords(v->arg, i, c);
        if (azri_intent_find(in, s, AZRI_ENTRY_CHUNK, c) == UINT64_MAX)
            continue;
        any = true;
        if (!pending)
            item->named_now =
                item->named_now == 0 ? naming_word(in->word) : MOVED;
    }
    return any;
}

static bool record_is_gone(azri_view *v, uint32_t i, uint64_t word)
{
    azri_intent in = {0};
    int rc = azri_intent_read(&in, v->d, i, word, true, NULL);

    azri_intent_dispose(&in);
    return rc == AZR_ENOTFOUND;
}

/* Parts that do not match their word: a power loss tore the row before anything was
 * promised, or after all of it was done. A record that does not is another matter. */
static bool is_torn(azri_view *v, uint32_t i, uint64_t word)
{
    uint32_t state = azri_word_state(word);
    azri_intent in;
    bool over; /* done, cleared, and taken by the next one */

    over = state == AZRI_COMMITTED &&
           azri_domain_durability(v->d) == AZR_DURABILITY_POWER &&
           azri_row_taken_again(azri_domain_state(v->d), i, word);
    if (state != AZRI_SEALED && state != AZRI_PREPARED && !over)
        return false;
    if (azri_intent_read(&in, v->d, i, word, false, NULL) == AZR_ECORRUPT)
        return true;
    /* a restart without `power` lost its record: it will be given up */
    return state == AZRI_PREPARED &&
           azri_domain_durability(v->d) != AZR_DURABILITY_POWER &&
           !azri_row_of_this_boot(azri_domain_state(v->d), i, word) &&
           record_is_gone(v, i, word);
}

/* Read what row i means to change, as `word` has it. *out: it concerns us, as far
 * as its own word tells. AZR_ECONFLICT: look at it again. */
static int read_row(azri_view *v, const azri_state *s, uint32_t i,
                    uint64_t word, seen_row *r, bool *out, azr_error *err)
{
    uint32_t state = azri_word_state(word);
    azri_home home = AZRI_HOME_YES;
    int rc = azri_intent_read(&r->intent, v->d, i, word, true, err);

    *out = false;
    if ((rc == AZR_ECORRUPT || rc == AZR_ENOTFOUND) && is_torn(v, i, word)) {
        azri_error_reset(err); /* never committed, or over */
        return AZR_OK;
    }
    if (rc == AZR_ENOTFOUND && state != AZRI_PREPARED) {
        /* the record goes last, so all of it is under its keys; the row is
         * noted, without objects, since the second look finds it too */
        azri_error_reset(err);
        r->intent.count = 0;
        rc = AZR_OK;
    }
    if (rc == AZR_ENOTFOUND)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_RECORD,
                             "'%s': row %u is prepared, but its record is gone",
                             v->d->path, i);
    if (rc < 0)
        return rc;
    if (state == AZRI_PREPARED && concerns(v, &r->intent)) {
        rc = ask_home(v, s, i, &r->intent, &home, err);
        if (rc == AZR_OK && home == AZRI_HOME_SEALED && is_still(v))
            r->pending = r->watched = true;
    }
    *out = rc == AZR_OK && concerns(v, &r->intent) &&
           (home == AZRI_HOME_YES || r->pending);
    if (rc < 0)
        azri_intent_dispose(&r->intent);
    return rc;
}

/* Row i as it is now: into the list if it concerns us. */
static int take_note(azri_view *v, const azri_state *s, uint32_t i,
                     azr_error *err)
{
    for (;;) {
        uint64_t word = atomic_load(azri_state_word(s, i));
        bool counted =
            counts(s, i, word) || azri_word_state(word) == AZRI_PREPARED;
        bool pending =
            is_still(v) && !counted && azri_word_state(word) == AZRI_SEALED;
        bool noted;
        seen_row *r;
        int rc;

        if (!pending && !counted)
            return AZR_OK;
        r = room_for_row(v, err);
        if (!r)
            return AZR_ENOMEM;
        r->row = i;
        r->pending = pending;
        r->watched = pending || (is_still(v) && of_another_boot(s, i, word));
        rc = read_row(v, s, i, word, r, &noted, err);
        if (rc == AZR_ECONFLICT)
            continue;
        if (rc < 0)
            return rc;
        if (!noted ||
            (!name_items(v, s, &r->intent, r->pending) && is_still(v) &&
             !(r->intent.flags & AZRI_WHAT_METADATA))) {
            azri_intent_dispose(&r->intent);
            return AZR_OK;
        }
        v->row_count++;
        return AZR_OK;
    }
}

/* [R1-rows] */
static int look_at_rows(azri_view *v, azri_state *s, azr_error *err)
{
    int rc = azri_state_renew_rows(s, err);
    uint32_t rows = azri_state_rows(s);

    drop_rows(v);
    for (uint64_t i = 0; i < v->n; i++)
        v->items[i].named_now = 0;
    for (uint32_t i = 0; i < rows && rc == AZR_OK; i++)
        rc = take_note(v, s, i, err);
    for (uint64_t i = 0; i < v->n; i++) {
        azri_view_item *item = &v->items[i];

        if (item->have &&
            (item->named != item->named_now || item->named_now == MOVED))
            drop_item(v, item);
        item->named = item->named_now;
    }
    return rc;
}

static const seen_row *seen_before(const azri_view *v, uint32_t i,
                                   uint64_t word)
{
    for (size_t k = 0; k < v->row_count; k++) {
        if (v->rows[k].row == i &&
            naming_word(v->rows[k].intent.word) == naming_word(word))
            return &v->rows[k];
    }
    return NULL;
}

/* Under lock: did somebody commit for a dead owner, or give up his work? */
static int pending_stand(azri_view *v, const azri_state *s, azr_error *err)
{
    for (size_t k = 0; k < v->row_count; k++) {
        const seen_row *r = &v->rows[k];
        azri_home home = AZRI_HOME_SEALED;
        int rc = AZR_OK;

        if (!r->watched)
            continue;
        if (atomic_load(azri_state_word(s, r->row)) != r->intent.word)
            return AZR_ECONFLICT;
        if (r->pending && azri_word_state(r->intent.word) == AZRI_PREPARED)
            rc = ask_home(v, s, r->row, &r->intent, &home, err);
        if (rc < 0 || home != AZRI_HOME_SEALED)
            return rc < 0 ? rc : AZR_ECONFLICT;
    }
    return AZR_OK;
}

/* Does a row that the look has not noted count now? AZR_ECONFLICT: it does, or it
 * has changed under us. */
static int is_new(azri_view *v, const azri_state *s, uint32_t i, uint64_t word,
                  azr_error *err)
{
    bool prepared = azri_word_state(word) == AZRI_PREPARED;
    azri_home home = AZRI_HOME_YES;
    azri_intent in = {0};
    bool ours;
    int rc;

    if (!prepared && !counts(s, i, word))
        return AZR_OK;
    rc = azri_intent_read(&in, v->d, i, word, prepared, err);
    if ((rc == AZR_ECORRUPT || rc == AZR_ENOTFOUND) && is_torn(v, i, word)) {
        azri_error_reset(err);
        return AZR_OK;
    }
    if (rc < 0)
        return rc == AZR_ENOTFOUND ? AZR_ECONFLICT : rc;
    ours = concerns(v, &in);
    if (ours && prepared)
        rc = ask_home(v, s, i, &in, &home, err);
    azri_intent_dispose(&in);
    if (rc < 0)
        return rc;
    return ours && home == AZRI_HOME_YES ? AZR_ECONFLICT : AZR_OK;
}

/* AZR_OK: the same rows as at the look. */
static int rows_stand(azri_view *v, azri_state *s, azr_error *err)
{
    int renewed = azri_state_renew_rows(s, err);
    uint32_t rows = azri_state_rows(s);
    size_t found = 0;

    if (renewed < 0)
        return renewed;

    for (uint32_t i = 0; i < rows; i++) {
        uint64_t word = atomic_load(azri_state_word(s, i));
        int rc;

        if (azri_word_state(word) == AZRI_FREE)
            continue;
        if (seen_before(v, i, word)) {
            found++;
            continue;
        }
        rc = is_new(v, s, i, word, err);
        if (rc < 0)
            return rc;
    }
    return found == v->row_count ? AZR_OK : AZR_ECONFLICT;
}

bool azri_view_moves_documents(const azri_view *v)
{
    for (size_t k = 0; k < v->row_count; k++) {
        if (!v->rows[k].pending &&
            (v->rows[k].intent.flags & AZRI_WHAT_METADATA))
            return true;
    }
    return false;
}

/* ---------------------------------------------------------------- look --- */

int azri_view_look(azri_view *v, azr_error *err)
{
    azri_state *s;
    bool has;
    int rc = azri_domain_has_state(v->d, &has, err);

    if (rc < 0)
        return rc;
    if (v->blind && has) { /* it has appeared: nothing of before counts */
        azri_keying keying = v->keying;

        rc = v->all ? azri_view_aim_all(v, &keying, err)
                    : azri_view_aim(v, &keying, v->n, v->coords, v->arg, err);
        if (rc < 0)
            return rc;
    }
    v->stateless = !has;
    if (!has)
        return AZR_OK;
    s = azri_domain_state(v->d);
    rc = look_at_counters(v, s, err);
    if (rc == AZR_OK)
        rc = look_at_rows(v, s, err);
    atomic_thread_fence(memory_order_seq_cst); /* before the opens */
    return rc;
}

int azri_view_check(azri_view *v, azr_error *err)
{
    azri_state *s = azri_domain_state(v->d);
    int rc;

    atomic_thread_fence(memory_order_seq_cst); /* after the opens */
    if (v->stateless) {
        bool has;

        rc = azri_domain_has_state(v->d, &has, err);
        if (rc < 0)
            return rc;
        return has ? AZR_ECONFLICT : AZR_OK;
    }
    if (is_still(v)) {
        rc = pending_stand(v, s, err);
        return rc < 0 ? rc : azri_domain_check(v->d, false, err);
    }
    if (AZRI_GUARD(P2)) {
        rc = rows_stand(v, s, err); /* [R3-rows] */
        if (rc < 0)
            return rc;
    }
    rc = azri_state_renew_counters(s, err);
    if (rc < 0)
        return rc;
    if (AZRI_GUARD(C2) && !counters_stand(v, s)) /* [R3-counters] */
        return AZR_ECONFLICT;
    return azri_domain_check(v->d, false, err);
}

uint64_t azri_view_meta_counter(const azri_view *v)
{
    return v->meta_counter;
}

uint64_t azri_view_counter(const azri_view *v, const uint64_t *coords)
{
    return v->stateless ? 0 : v->all[azri_stripe(coords, v->keying.rank)];
}

/* --------------------------------------------------------------- opens --- */

#define STAGED_KEY_MAX (AZRI_STAGED_NAME_MAX + 16)

static void staged_key(char out[STAGED_KEY_MAX], uint32_t row, uint64_t id,
                       uint64_t n)
{
    char name[AZRI_STAGED_NAME_MAX];

    azri_staged_name(name, row, id, n);
    (void)snprintf(out, STAGED_KEY_MAX, ".azr/tx/%s", name);
}

static int open_staged(azri_view *v, uint32_t row, uint64_t id, uint64_t n,
                       azr_object *out, azr_error *err)
{
    char key[STAGED_KEY_MAX];

    staged_key(key, row, id, n);
    return v->d->store->ops->open(v->d->store, key, out, err);
}

/* Through the committed row that names it: AZR_ENOTFOUND: renamed meanwhile, the
 * key has it; *deleted_out: fill, whatever stands under the key. */
static int open_through(azri_view *v, unsigned kind, const uint64_t *coords,
                        azr_object *out, bool *deleted_out, azr_error *err)
{
    azri_state *s = azri_domain_state(v->d);

    *deleted_out = false;
    if (!AZRI_GUARD(READ_THROUGH))
        return AZR_ENOTFOUND;
    for (size_t k = 0; k < v->row_count; k++) {
        const azri_intent *in = &v->rows[k].intent;
        uint64_t n = azri_intent_find(in, s, kind, coords);
        azri_entry e;
        int rc;

        if (n == UINT64_MAX || v->rows[k].pending)
            continue;
        azri_entry_get(&e, s, in->entries, n);
        if ((e.head.flags & AZRI_ENTRY_DELETED) && AZRI_GUARD(DELETED)) {
            *deleted_out = true;
            return AZR_OK;
        }
        /* [R2-staged] */
        rc =
            open_staged(v, v->rows[k].row, azri_word_id(in->word), n, out, err);
        if (rc == AZR_OK)
            AZRI_COUNT(reads_through, 1);
        return rc;
    }
    return AZR_ENOTFOUND;
}

int azri_view_open_item(azri_view *v, uint64_t i, azr_error *err)
{
    azri_state *s = azri_domain_state(v->d);
    azri_view_item *item = &v->items[i];
    char key[AZRI_KEY_MAX];
    uint64_t c[AZR_MAX_RANK];
    bool deleted = false;
    int rc = AZR_ENOTFOUND;

    if (item->have)
        return AZR_OK;
    v->coords(v->arg, i, c);
    if (!v->stateless && item->named != 0)
        rc = open_through(v, AZRI_ENTRY_CHUNK, c, &item->object, &deleted, err);
    if (rc == AZR_ENOTFOUND) {
        (void)azri_key_format(key, s ? &s->keying : &v->keying, c);
        rc = v->d->store->ops->open(v->d->store, key, &item->object,
                                    err); /* [R2-key] */
    }
    if (rc < 0 && rc != AZR_ENOTFOUND)
        return rc;
    item->have = true;
    return AZR_OK;
}

int azri_view_open_document(azri_view *v, unsigned entry_kind, const char *key,
                            azr_object *out, azr_error *err)
{
    uint64_t none[AZR_MAX_RANK] = {0};
    bool deleted = false;
    int rc = AZR_ENOTFOUND;

    if (!v->stateless)
        rc = open_through(v, entry_kind, none, out, &deleted, err);
    if (rc == AZR_ENOTFOUND)
        rc = v->d->store->ops->open(v->d->store, key, out, err);
    return rc;
}

static int tell_of_row(const azri_view *v, const seen_row *r, azri_named_fn fn,
                       void *arg, azr_error *err)
{
    const azri_state *s = azri_domain_state(v->d);
    const azri_intent *in = &r->intent;
    int rc = AZR_OK;

    for (uint64_t n = 0; n < in->count && rc == AZR_OK; n++) {
        char key[STAGED_KEY_MAX];
        azri_entry e;

        azri_entry_get(&e, s, in->entries, n);
        if (e.head.kind != AZRI_ENTRY_CHUNK)
            continue;
        staged_key(key, r->row, azri_word_id(in->word), n);
        rc = fn(arg, e.coords, e.head.flags & AZRI_ENTRY_DELETED ? NULL : key,
                err);
    }
    return rc;
}

int azri_view_named(const azri_view *v, azri_named_fn fn, void *arg,
                    azr_error *err)
{
    int rc = AZR_OK;

    for (size_t k = 0; k < v->row_count && rc == AZR_OK; k++) {
        if (!v->rows[k].pending && AZRI_GUARD(READ_THROUGH))
            rc = tell_of_row(v, &v->rows[k], fn, arg, err);
    }
    return rc;
}

/* ---------------------------------------------------------------- lock --- */

static void collect_ranges(azri_view *v, azri_ranges *r)
{
    azri_state *s = azri_domain_state(v->d);

    r->n = 0;
    for (uint64_t i = 0; i < v->n; i++) {
        uint64_t c[AZR_MAX_RANK];

        v->coords(v->arg, i, c);
        azri_ranges_add(r, azri_w_offset(s, c), false);
    }
    azri_ranges_settle(r);
}

/* Who may not write `state` cannot wait in its queue: try, and sleep a little
 * longer each time, 2 ms at most. */
static int lock_patiently(azri_view *v, const azri_range *r, azr_error *err)
{
    _Atomic uint32_t nothing = 0;
    int64_t pause = 50000;

    for (;;) {
        struct timespec ts = {0, pause};
        int rc = azri_ofd_try(v->lock_fd, r, err);

        if (rc != AZR_EBUSY)
            return rc;
        rc = azri_patience_check(&v->patience);
        if (rc < 0)
            return azri_fail(
                err, rc, "'%s': %s while waiting to read under lock",
                v->d->path, rc == AZR_EBUSY ? "time-out" : "canceled");
        (void)azri_sys->futex_wait(&nothing, 0, &ts);
        pause = pause < 1000000 ? 2 * pause : 2000000;
    }
}

static int lock_read_only(azri_view *v, azri_level level, azr_error *err)
{
    azri_range meta = {AZRI_LOCK_META, AZRI_LOCK_META, false};
    azri_range doc = {AZRI_LOCK_DOC, AZRI_LOCK_DOC, false};

    if (level == AZRI_LEVEL_ROW)
        return azri_domain_take_fd(v->d, &v->lock_fd, err);
    return lock_patiently(v, level == AZRI_LEVEL_META ? &meta : &doc, err);
}

static int lock_with_row(azri_view *v, azri_level level, azr_error *err)
{
    if (level == AZRI_LEVEL_ROW)
        return azri_txn_begin(&v->lock, v->d, &v->patience, err);
    return level == AZRI_LEVEL_META ? azri_txn_lock_meta(v->lock, false, err)
                                    : azri_txn_lock_doc(v->lock, false, err);
}

int azri_view_lock_level(azri_view *v, azri_level level, azr_error *err)
{
    azri_state *s = azri_domain_state(v->d);
    int rc;

    if (!s)
        return AZR_OK;
    if (level == AZRI_LEVEL_CHUNKS)
        return azri_view_lock_chunks(v, err);
    if (level == AZRI_LEVEL_ROW)
        AZRI_COUNT(locked_reads, 1);
    rc = s->writable ? lock_with_row(v, level, err)
                     : lock_read_only(v, level, err);
    if (rc < 0)
        unlock(v);
    return rc;
}

/* [R4-lock] first what says which chunks there are … */
int azri_view_lock_ground(azri_view *v, azr_error *err)
{
    int rc = AZR_OK;

    if (azri_view_is_locked(v))
        return AZR_OK;
    for (int l = AZRI_LEVEL_ROW; l <= AZRI_LEVEL_DOC && rc == AZR_OK; l++)
        rc = azri_view_lock_level(v, (azri_level)l, err);
    return rc;
}

/* … then the chunks. */
int azri_view_lock_chunks(azri_view *v, azr_error *err)
{
    int rc = AZR_OK;

    if (!azri_view_is_locked(v) || v->chunks_locked)
        return AZR_OK;
    if (!AZRI_GUARD(READ_LOCKS)) {
        v->chunks_locked = true;
        return AZR_OK;
    }
    if (v->lock) {
        if (v->all)
            azri_txn_want_all(v->lock, false);
        else
            rc = azri_txn_want_chunks(v->lock, v->n, v->coords, v->arg, false,
                                      err);
        if (rc == AZR_OK)
            rc = azri_txn_lock_chunks(v->lock, err);
    } else if (v->all) {
        rc = lock_patiently(
            v, &(azri_range){AZRI_LOCK_W, AZRI_LOCK_LAST, false}, err);
    } else {
        collect_ranges(v, &v->ranges);
        for (size_t i = 0; rc == AZR_OK && i < v->ranges.n; i++)
            rc = lock_patiently(v, &v->ranges.list[i], err);
    }
    v->chunks_locked = rc == AZR_OK;
    return rc;
}

bool azri_view_is_locked(const azri_view *v)
{
    return v->lock || v->lock_fd >= 0;
}
