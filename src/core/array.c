/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, creating and closing. */
#include "core/array.h"

#include "base/checked.h"
#include "base/guard.h"
#include "base/log.h"
#include "core/group.h"
#include "core/tree.h"
#include "runtime/pool.h"
#include "txn/layout.h"

#include <errno.h>
#include <string.h>

azri_patience azri_array_patience(const azr_array *a)
{
    return azri_patience_from(a->options.timeout_ms, a->options.cancel);
}

int azri_array_may_write(const azr_array *a, azr_error *err)
{
    if (a->options.flags & AZR_OPEN_WRITE)
        return AZR_OK;
    return azri_fail(err, AZR_EPERM,
                     "'%s' was opened for reading; open it with "
                     "AZR_OPEN_WRITE",
                     azri_domain_path(a->d));
}

static unsigned domain_flags(const azr_open_options *o)
{
    unsigned flags = 0;

    if (o->flags & AZR_OPEN_WRITE)
        flags |= AZRI_DOMAIN_WRITE;
    if (o->flags & AZR_OPEN_INSIST)
        flags |= AZRI_DOMAIN_INSIST;
    if (o->flags & AZR_OPEN_KERNEL_LOCKS)
        flags |= AZRI_DOMAIN_KERNEL_LOCKS;
    if (o->sync == AZR_SYNC_NONE)
        flags |= AZRI_DOMAIN_PLAIN;
    if (o->flags & AZR_OPEN_STALE_CONSOLIDATED)
        flags |= AZRI_DOMAIN_STALE_ABOVE;
    return flags;
}

static void set_format(azr_array *a, int format)
{
    a->format = format;
    a->document_key = azri_meta_key(format);
    a->document_kind = format == 3 ? AZRI_ENTRY_V3 : AZRI_ENTRY_ZARRAY;
}

static int array_new(azr_array **out, const azr_open_options *options,
                     azr_error *err)
{
    azr_array *a = azri_calloc(1, sizeof *a);

    if (!a)
        return azri_fail_nomem(err, sizeof *a);
    a->base = a;
    atomic_init(&a->refs, 1);
    a->options = *options;
    *out = a;
    return AZR_OK;
}

static void free_base(azr_array *a)
{
    for (int i = 0; i < a->coder_count; i++)
        azri_coder_free(a->coders[i]);
    azri_ground_unref(a->ground);
    azri_domain_close(a->d);
    azri_free(a);
}

void azri_array_close(azr_array *a)
{
    azr_array *base = a ? a->base : NULL;

    if (!a)
        return;
    if (a != base)
        azri_free(a);
    if (atomic_fetch_sub(&base->refs, 1) == 1)
        free_base(base);
}

int azri_array_share(azr_array **out, azr_array *a,
                     const azr_share_options *options, azr_error *err)
{
    azr_array *s = NULL;
    int rc = array_new(&s, &a->options, err);

    if (rc < 0)
        return rc;
    s->base = a->base;
    s->d = a->d;
    s->options.timeout_ms = options->timeout_ms;
    s->options.cancel = options->cancel;
    s->progress = options->progress;
    s->progress_arg = options->arg;
    s->format = a->format;
    s->document_key = a->document_key;
    s->document_kind = a->document_kind;
    s->still = a->still;
    atomic_fetch_add(&a->base->refs, 1);
    *out = s;
    return AZR_OK;
}

void azri_grid_of(azri_grid *out, const azri_meta *m)
{
    memset(out, 0, sizeof *out);
    out->keying = m->keying;
    for (int d = 0; d < m->rank; d++)
        out->cells[d] = azri_ceil_div(m->shape[d], m->chunk[d]);
}

/* -------------------------------------------------------------- coders --- */

#define ALONE_NBYTES ((uint64_t)256 << 10)

int azri_array_width(const azr_array *a, const azri_ground *g, uint64_t n)
{
    if (a->options.threads == 0 && n < ALONE_NBYTES &&
        n * g->meta->chunk_nbytes < ALONE_NBYTES &&
        g->meta->chunk_nbytes < ALONE_NBYTES)
        return 1;
    return azri_pool_width(a->options.threads, n);
}

int azri_coders_take(azr_array *a, azri_coder **out, int n, azr_error *err)
{
    int have = 0, rc = AZR_OK;

    a = a->base;
    azri_domain_hold(a->d);
    while (have < n && a->coder_count > 0)
        out[have++] = a->coders[--a->coder_count];
    azri_domain_release(a->d);
    while (have < n && rc == AZR_OK) {
        rc = azri_coder_new(&out[have], err);
        if (rc == AZR_OK)
            have++;
    }
    if (rc < 0)
        azri_coders_give(a, out, have);
    return rc;
}

void azri_coders_give(azr_array *a, azri_coder **coders, int n)
{
    a = a->base;
    azri_domain_hold(a->d);
    while (n > 0 && a->coder_count < AZRI_CODERS)
        a->coders[a->coder_count++] = coders[--n];
    azri_domain_release(a->d);
    while (n > 0)
        azri_coder_free(coders[--n]);
}

int azri_tally_add(const azr_array *a, azri_tally *t, int worker,
                   azr_error *err)
{
    uint64_t done;

    if (!a->progress)
        return AZR_OK;
    done = atomic_fetch_add(&t->done, 1) + 1;
    if (worker != 0 || a->progress(done, t->total, a->progress_arg) == 0)
        return AZR_OK;
    return azri_fail(err, AZR_ECANCELED,
                     "'%s': ended by the progress function after %llu of %llu "
                     "chunks",
                     azri_domain_path(a->d), (unsigned long long)done,
                     (unsigned long long)t->total);
}

/* ---------------------------------------------------------------- open --- */

static int has_key(azr_array *a, const char *key, bool *out, azr_error *err)
{
    azr_store *store = azri_domain_store(a->d);
    azr_object o = AZR_OBJECT_INIT;
    int rc = store->ops->identify(store, key, &o, err);

    *out = rc == AZR_OK;
    return rc == AZR_ENOTFOUND ? AZR_OK : rc;
}

/* A committed transaction may still have to put the document there. */
static int has_row_for(azr_array *a, unsigned kind, const char *key, bool *out,
                       azr_error *err)
{
    azri_patience patience = azri_array_patience(a);
    azr_store *store = azri_domain_store(a->d);
    azr_object o = AZR_OBJECT_INIT;
    azri_view *v = NULL;
    int rc = azri_view_new(&v, a->d, &patience, err);

    if (rc == AZR_OK)
        rc = azri_view_look(v, err);
    if (rc == AZR_OK) /* or it has done so since */
        rc = azri_view_open_document(v, kind, key, &o, err);
    *out = o.handle >= 0;
    if (o.handle >= 0)
        store->ops->close(store, &o);
    azri_view_free(v);
    return rc == AZR_ENOTFOUND && (!err || err->code == 0) ? AZR_OK : rc;
}

static int find_key(azr_array *a, unsigned kind, const char *key, bool *out,
                    azr_error *err)
{
    int rc = has_key(a, key, out, err);

    if (rc < 0 || *out || !AZRI_GUARD(FIND_IN_ROW))
        return rc;
    return has_row_for(a, kind, key, out, err);
}

static int find_format(azr_array *a, azr_error *err)
{
    bool v3, v2 = false, group = false;
    const char *path = azri_domain_path(a->d);
    int rc = has_key(a, "zarr.json", &v3, err);

    if (rc == AZR_OK)
        rc = has_key(a, ".zarray", &v2, err);
    if (rc == AZR_OK && !v3 && !v2)
        rc = find_key(a, AZRI_ENTRY_V3, "zarr.json", &v3, err);
    if (rc == AZR_OK && !v3 && !v2)
        rc = find_key(a, AZRI_ENTRY_ZARRAY, ".zarray", &v2, err);
    if (rc == AZR_OK)
        rc = has_key(a, ".zgroup", &group, err);
    if (rc < 0)
        return rc;
    if (v3 && v2) {
        azri_log(AZR_LOG_WARNING,
                 "'%s' has zarr.json and .zarray: version 3 "
                 "is used",
                 path);
        if ((a->options.flags & AZR_OPEN_WRITE) &&
            !(a->options.flags & AZR_OPEN_INSIST))
            return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_METADATA,
                                 "'%s' has zarr.json and .zarray; remove one "
                                 "before writing",
                                 path);
    }
    if (!v3 && !v2)
        return azri_fail(err, AZR_ENOTFOUND,
                         group ? "'%s' is a group, not an array"
                               : "no Zarr array at '%s'",
                         path);
    set_format(a, v3 ? 3 : 2);
    return AZR_OK;
}

/* Before it is open: may we, and can we, finish what the dead left? */
static bool may_finish(azr_array *a)
{
    const unsigned flags = a->options.flags;
    bool has = false;

    return (flags & AZR_OPEN_WRITE) && !(flags & AZR_OPEN_NO_RECOVERY) &&
           a->options.sync == AZR_SYNC_FULL &&
           azri_domain_has_state(a->d, &has, NULL) == AZR_OK && has &&
           azri_domain_has_rows(a->d);
}

/* Who writes may find an array that a dead owner was about to make: sealed, and not
 * for readers yet. */
static int find_or_finish(azr_array *a, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    azr_recovery count = {0};
    int rc = find_format(a, &why);

    if (rc == AZR_ENOTFOUND && may_finish(a)) {
        rc = azri_domain_recover(a->d, &count, err);
        return rc < 0 ? rc : find_format(a, err);
    }
    if (rc < 0 && err)
        *err = why;
    return rc;
}

/* The first ground, as any reader gets it: through rows, validated. */
static int first_ground(azr_array *a, azr_error *err)
{
    azri_patience patience = azri_array_patience(a);
    azri_view *v = NULL;
    int rc = azri_view_new(&v, a->d, &patience, err);

    for (int tries = 1; rc == AZR_OK; tries++) {
        azri_ground *g = NULL;

        rc = azri_view_look(v, err);
        if (rc == AZR_OK)
            rc = azri_ground_refresh(a, v, &g, err);
        azri_ground_unref(g);
        if (rc == AZR_OK)
            rc = azri_view_check(v, err);
        if (rc != AZR_ECONFLICT)
            break;
        rc = AZR_OK;
        if (tries >= AZRI_OPTIMISTIC_TRIES)
            rc = azri_patience_check(&patience);
        if (rc < 0)
            rc = azri_fail(err, rc, "'%s': time-out while opening",
                           azri_domain_path(a->d));
    }
    azri_view_free(v);
    return rc;
}

/* … but a row, or its record, that a restart without `power` left in pieces stands
 * in a reader's way; who writes gives it up first. */
static int ground_or_finish(azr_array *a, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT, other = AZR_ERROR_INIT;
    azr_recovery count = {0};
    int rc = first_ground(a, &why);

    if (rc == AZR_ECORRUPT &&
        (why.sub == AZR_SUB_STATE || why.sub == AZR_SUB_RECORD) &&
        may_finish(a) && azri_domain_recover(a->d, &count, &other) == AZR_OK)
        return first_ground(a, err);
    if (rc < 0 && err)
        *err = why;
    return rc;
}

/* For writing: `state`, and what the dead left. */
static int make_ready(azr_array *a, int durability, azr_error *err)
{
    azri_patience patience = azri_array_patience(a);
    azri_ground *g = azri_array_ground(a);
    azr_recovery count = {0};
    azri_grid grid;
    int rc;

    if (!g)
        return AZR_ENOTFOUND; /* cannot be: the first ground was found */
    if (azri_ground_is_partial(g)) {
        azri_ground_unref(g);
        return azri_array_refuse_partial(a, err);
    }
    azri_grid_of(&grid, g->meta);
    azri_ground_unref(g);
    if (a->options.sync == AZR_SYNC_NONE)
        return AZR_OK;
    rc = azri_domain_ready(a->d, &grid, durability, &patience, err);
    if (rc == AZR_OK && a->options.sync == AZR_SYNC_FULL &&
        !(a->options.flags & AZR_OPEN_NO_RECOVERY))
        rc = azri_domain_recover(a->d, &count, err);
    /* the document that was read may have been one of those given up */
    if (rc == AZR_OK && count.lost > 0 && AZRI_GUARD(LOOK_AGAIN))
        rc = first_ground(a, err);
    return rc;
}

/* Before the handle is shared. */
static void set_up(azr_array *a)
{
    azri_domain_set_threads(a->d, a->options.threads);
    azri_domain_set_upkeep(a->d, azri_upkeep_run, a);
}

static int open_domain(azr_array *a, const char *path, azr_error *err)
{
    int rc = azri_domain_open(&a->d, path, domain_flags(&a->options), err);

    if (rc == AZR_ENOTFOUND)
        return azri_fail(err, rc, "no Zarr array at '%s': no such directory",
                         path);
    if (rc == AZR_OK)
        set_up(a);
    return rc;
}

/* One who is disturbed by others that make, replace or remove something here. */
#define TRIES 16

/* Taken away since its directory was opened: what is at the path now? */
static bool is_gone_from(const azr_array *a, int rc, const azr_error *err)
{
    return rc < 0 && (rc == AZR_ENOTFOUND || err->sys_errno == ENOENT) &&
           a->d && azri_domain_dir(a->d) >= 0 &&
           azri_is_astray(azri_domain_dir(a->d), &a->options);
}

static int try_open(azr_array **out, const char *path,
                    const azr_open_options *options, azr_error *err)
{
    azr_array *a = NULL;
    int rc = array_new(&a, options, err);

    if (rc < 0)
        return rc;
    rc = open_domain(a, path, err);
    if (rc == AZR_OK)
        rc = find_or_finish(a, err);
    if (rc == AZR_OK)
        rc = ground_or_finish(a, err);
    if (rc == AZR_OK && (options->flags & AZR_OPEN_WRITE))
        rc = make_ready(a, AZR_DURABILITY_PROCESS, err);
    /* `state` was taken away with the array, and we made one in the trash */
    if (rc == AZR_OK && (options->flags & AZR_OPEN_WRITE) &&
        AZRI_GUARD(ASTRAY) && azri_is_astray(azri_domain_dir(a->d), options))
        rc = azri_domain_gone(a->d, err);
    if (rc < 0) {
        if (is_gone_from(a, rc, err))
            rc = AZR_ECONFLICT;
        azri_array_close(a);
        return rc;
    }
    *out = a;
    return AZR_OK;
}

int azri_array_open(azr_array **out, const char *path,
                    const azr_open_options *options, azr_error *err)
{
    int rc = try_open(out, path, options, err);

    for (int k = 1; k < TRIES && rc == AZR_ECONFLICT; k++) {
        azri_error_reset(err);
        rc = try_open(out, path, options, err);
    }
    return rc == AZR_ECONFLICT ? AZR_ENOTFOUND : rc; /* the text tells */
}

int azri_array_open_still(azr_array **out, int dir, const char *path,
                          const azr_array *like, azr_error *err)
{
    azr_open_options o = like->base->options;
    azr_array *a = NULL;
    int rc;

    o.flags &= ~(uint32_t)AZR_OPEN_WRITE;
    rc = array_new(&a, &o, err);
    if (rc < 0)
        return rc;
    rc = azri_domain_open_dir(&a->d, dir, path, AZRI_DOMAIN_STILL, err);
    if (rc == AZR_OK) {
        azri_domain_set_threads(a->d, o.threads);
        set_format(a, like->format);
        a->still = true;
        rc = first_ground(a, err);
    }
    if (rc < 0) {
        azri_array_close(a);
        return rc;
    }
    *out = a;
    return AZR_OK;
}

/* -------------------------------------------------------------- create --- */

static int refuse_existing(azr_array *a, azr_error *err)
{
    int rc = azri_documents_refuse(azri_domain_dir(a->d),
                                   azri_domain_path(a->d), err);

    return rc < 0 ? rc : AZR_OK;
}

/* Under META exclusive no other creator of ours is at work; a plain Zarr tool may
 * be, so the document is linked exclusively all the same. Version 2 keeps
 * attributes in a document of their own: first, so that nobody sees the array
 * without them. */
static int publish_locked(azr_array *a, azri_txn *t, const azri_buf *text,
                          const azri_buf *zattrs, azr_error *err)
{
    int rc = azri_domain_check(a->d, true, err); /* refitted by another? */

    if (rc == AZR_OK)
        rc = refuse_existing(a, err);
    if (rc == AZR_OK && a->format == 2) {
        if (zattrs->nbytes > 0)
            rc = azri_txn_publish(t, ".zattrs", azri_buf_span(zattrs), false,
                                  err);
        else /* of a creator that died before its array began */
            rc = azri_txn_unpublish(t, ".zattrs", err);
    }
    if (rc == AZR_OK)
        rc = azri_txn_publish(t, a->document_key, azri_buf_span(text), true,
                              err);
    if (rc == AZR_OK && azri_is_astray(azri_domain_dir(a->d), &a->options))
        rc = AZR_ECONFLICT;
    if (rc == AZR_EEXISTS)
        return azri_fail(err, rc, "'%s' exists: another process made it",
                         azri_domain_path(a->d));
    return rc;
}

/* Creators of groups have no META: the directory's lock is common to both. */
static int publish(azr_array *a, azri_txn *t, const azri_buf *text,
                   const azri_buf *zattrs, azr_error *err)
{
    azri_upkeep_of of = {.dir = azri_domain_dir(a->d),
                         .path = azri_domain_path(a->d),
                         .format = a->format,
                         .array = a};
    azri_upkeep *u = NULL;
    int rc;

    of.stale = (a->options.flags & AZR_OPEN_STALE_CONSOLIDATED) != 0;
    rc = azri_upkeep_open(&u, &of, 1, azri_txn_patience(t), err);
    if (rc == AZR_OK)
        rc = publish_locked(a, t, text, zattrs, err);
    if (u) /* a sync that fails does so after the document is there */
        azri_txn_published(t);
    azri_upkeep_close(u, rc);
    return rc;
}

static int refuse_chunk(void *arg, const uint64_t *coords, const char *key,
                        azr_error *err)
{
    azr_array *a = arg;

    (void)coords;
    return azri_fail(err, AZR_EEXISTS,
                     "'%s' holds '%s', a chunk without metadata; remove it "
                     "first",
                     azri_domain_path(a->d), key);
}

/* What another array left in the directory must not become data of this one:
 * neither by a row that is applied later, nor as it stands. */
static int clear_ground(azr_array *a, const azri_meta *m, azr_error *err)
{
    azr_recovery count = {0};
    int rc = azri_domain_recover(a->d, &count, err);

    return rc < 0 ? rc : azri_list_chunks(a, m, refuse_chunk, NULL, a, err);
}

static int may_refit(void *arg, azr_error *err)
{
    return refuse_existing(arg, err);
}

/* AZR_ECONFLICT without a message: `state` was of another array, begin again. */
static int ready_for_creation(azr_array *a, const azri_grid *grid,
                              int durability, azr_error *err)
{
    azri_patience patience = azri_array_patience(a);
    azr_error why = AZR_ERROR_INIT;
    azr_recovery count = {0};
    int rc = azri_domain_ready(a->d, grid, durability, &patience, &why);

    /* a row of the old one may have an array to put there */
    if (rc == AZR_ECORRUPT && why.sub == AZR_SUB_STATE &&
        azri_domain_has_rows(a->d) &&
        azri_domain_recover(a->d, &count, err) < 0)
        return AZR_ECORRUPT;
    if (rc == AZR_ECORRUPT && why.sub == AZR_SUB_STATE) {
        rc = azri_domain_refit(a->d, grid, durability, may_refit, a, err);
        return rc < 0 ? rc : AZR_ECONFLICT;
    }
    if (rc < 0 && err)
        *err = why;
    return rc;
}

/* Everything but the documents. */
static int prepare_creation(azr_array *a, int durability, const azri_meta *meta,
                            azr_error *err)
{
    azri_grid grid;
    int rc = refuse_existing(a, err);

    if (rc < 0)
        return rc;
    azri_grid_of(&grid, meta);
    rc = ready_for_creation(a, &grid, durability, err);
    return rc < 0 ? rc : clear_ground(a, meta, err);
}

static int create_in(azr_array *a, const azr_array_spec *spec,
                     const azri_buf *text, const azri_buf *zattrs,
                     azr_error *err)
{
    azri_patience patience = azri_array_patience(a);
    azri_span none = {NULL, 0};
    azri_meta *meta = NULL;
    azri_txn *t = NULL;
    int rc = azri_meta_parse(&meta, a->format, azri_buf_span(text), none, err);

    if (rc == AZR_OK)
        rc = prepare_creation(a, spec->durability, meta, err);
    if (rc == AZR_OK)
        rc = azri_txn_begin(&t, a->d, &patience, err);
    if (rc == AZR_OK)
        rc = azri_txn_lock_meta(t, true, err);
    if (rc == AZR_OK)
        rc = publish(a, t, text, zattrs, err);
    azri_txn_end(t);
    azri_meta_free(meta);
    return rc;
}

/* ------------------------------------------------ creation by a transaction */

int azri_creation_check(azr_array *a, azri_txn *t, bool has_zattrs,
                        azr_error *err)
{
    int rc = azri_domain_check(a->d, true, err); /* refitted by another? */

    if (rc == AZR_OK)
        rc = refuse_existing(a, err);
    if (rc == AZR_OK)
        rc = azri_list_chunks(a, a->ground->meta, refuse_chunk, NULL, a, err);
    if (rc == AZR_OK && a->format == 2 && !has_zattrs)
        rc = azri_txn_unpublish(t, ".zattrs", err); /* of a dead creator */
    return rc;
}

static int try_begin(azr_array **out, const char *path, const azri_birth *birth,
                     const azr_open_options *options, const azri_meta *meta,
                     azr_error *err)
{
    azr_array *a = NULL;
    int rc = array_new(&a, options, err);

    if (rc < 0)
        return rc;
    set_format(a, birth->format);
    atomic_store(&a->unborn, true);
    rc = azri_domain_create(&a->d, path, domain_flags(options),
                            birth->durability, err);
    if (rc == AZR_OK)
        set_up(a);
    if (rc == AZR_OK)
        rc = prepare_creation(a, birth->durability, meta, err);
    if (rc == AZR_OK)
        rc = azri_ground_of_text(&a->ground, a, azri_buf_span(&birth->text),
                                 err);
    if (rc == AZR_OK && azri_ground_is_partial(a->ground))
        rc = azri_array_refuse_partial(a, err);
    if (rc == AZR_OK)
        *out = a;
    else
        azri_array_close(a);
    return rc;
}

int azri_creation_begin(azr_array **out, const char *path,
                        const azri_birth *birth,
                        const azr_open_options *options, azr_error *err)
{
    azr_open_options writing = *options;
    azr_error why = AZR_ERROR_INIT;
    azri_meta *meta = NULL;
    int rc;

    writing.flags |= AZR_OPEN_WRITE;
    rc = azri_ground_judge(&meta, birth, writing.flags, &why);
    if (rc < 0)
        return azri_fail_why(err, rc, &why, "'%s': %s", path, why.message);
    rc = try_begin(out, path, birth, &writing, meta, err);
    if (rc == AZR_ECONFLICT)
        rc = try_begin(out, path, birth, &writing, meta, err);
    if (rc == AZR_ECONFLICT)
        rc = azri_fail_disturbed(path, err);
    azri_meta_free(meta);
    return rc;
}

/* From here on the array is there, and others may have it open. */
static int first_ground_of_new(azr_array *a, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    int rc = first_ground(a, &why);

    if (rc == AZR_OK)
        return rc;
    if ((a->options.flags & AZRI_OPEN_HIDDEN) || is_gone_from(a, rc, &why))
        return azri_fail_why(err, rc, &why, "%s", why.message);
    return azri_fail_why(err, AZR_EUNKNOWN, &why,
                         "'%s' was made, but cannot be opened: %s",
                         azri_domain_path(a->d), why.message);
}

static int try_create(azr_array **out, const char *path,
                      const azr_array_spec *spec,
                      const azr_open_options *options, const azri_buf *text,
                      const azri_buf *zattrs, azr_error *err)
{
    azr_array *a = NULL;
    int rc = array_new(&a, options, err);

    if (rc < 0)
        return rc;
    set_format(a, spec->zarr_format == 2 ? 2 : 3);
    rc = azri_domain_create(&a->d, path, domain_flags(options),
                            spec->durability, err);
    if (rc == AZR_ENOTFOUND)
        rc = AZR_ECONFLICT; /* removed as soon as it was made */
    if (rc == AZR_OK)
        set_up(a);
    if (rc == AZR_OK)
        rc = create_in(a, spec, text, zattrs, err);
    if (rc == AZR_OK)
        rc = first_ground_of_new(a, err);
    if (is_gone_from(a, rc, err)) {
        azri_error_reset(err);
        rc = AZR_ECONFLICT;
    }
    if (rc == AZR_ENOTFOUND)
        rc = azri_fail(err, rc, "'%s' was removed while it was made", path);
    if (rc == AZR_OK)
        *out = a;
    else
        azri_array_close(a);
    return rc;
}

static int create_new(azr_array **out, const char *path,
                      const azr_array_spec *spec,
                      const azr_open_options *options, azr_error *err)
{
    azri_buf text = AZRI_BUF_INIT, zattrs = AZRI_BUF_INIT;
    azr_open_options writing = *options;
    int rc = azri_meta_compose(&text, &zattrs, spec, err);

    writing.flags |= AZR_OPEN_WRITE;
    writing.flags &= ~AZRI_CREATE_FLAGS;
    if (rc == AZR_OK)
        rc = AZR_ECONFLICT;
    for (int k = 0; k < TRIES && rc == AZR_ECONFLICT; k++)
        rc = try_create(out, path, spec, &writing, &text, &zattrs, err);
    if (rc == AZR_ECONFLICT)
        rc = azri_fail_disturbed(path, err);
    azri_buf_dispose(&zattrs);
    azri_buf_dispose(&text);
    return rc;
}

/* Built hidden, then put in the place of what is there. */
static int create_replacing(azr_array **out, const char *path,
                            const azr_array_spec *spec,
                            const azr_open_options *options, azr_error *err)
{
    azr_open_options hidden = *options;
    azri_build b = AZRI_BUILD_INIT;
    azr_array *a = NULL;
    int rc = azri_build_begin(&b, path, options, err);

    hidden.flags |= AZRI_OPEN_HIDDEN;
    if (rc == AZR_OK)
        rc = create_new(&a, b.path, spec, &hidden, err);
    if (rc == AZR_OK)
        rc = azri_domain_set_path(a->d, path, err);
    if (rc == AZR_OK)
        rc = azri_build_publish(&b, path, options, err);
    azri_build_end(&b);
    if (rc != AZR_OK) {
        azri_array_close(a);
        return rc;
    }
    a->options.flags &= ~AZRI_OPEN_HIDDEN;
    *out = a;
    return AZR_OK;
}

static int create_or_open(azr_array **out, const char *path,
                          const azr_array_spec *spec,
                          const azr_open_options *options, azr_error *err)
{
    azr_open_options writing = *options;
    int rc = AZR_EEXISTS;

    writing.flags |= AZR_OPEN_WRITE;
    writing.flags &= ~AZRI_CREATE_FLAGS;
    for (int k = 0; k < TRIES && rc == AZR_EEXISTS; k++) {
        azri_error_reset(err);
        rc = azri_array_open(out, path, &writing, err);
        if (rc != AZR_ENOTFOUND)
            break;
        azri_error_reset(err);
        rc = create_new(out, path, spec, &writing, err);
    }
    return rc;
}

int azri_array_create(azr_array **out, const char *path,
                      const azr_array_spec *spec,
                      const azr_open_options *options, azr_error *err)
{
    if (options->flags & AZR_CREATE_REPLACE)
        return create_replacing(out, path, spec, options, err);
    if (options->flags & AZR_CREATE_OR_OPEN)
        return create_or_open(out, path, spec, options, err);
    return create_new(out, path, spec, options, err);
}
