/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instant of whole arrays. A round is: the first look at each of them; what
 * committed rows name, then what the keys have, linked or copied unless we have
 * that already; the second look at each of them. If nothing moved in between, all
 * of it is one instant. If something did, the next round does what differs: who
 * has a link to a chunk sees by its inode number whether the key has another one
 * now, since a number is not given out again while we hold it. After a few rounds
 * the chunks are locked, shared, for as long as the last one takes.
 */
#include "core/take.h"

#include "base/cancel.h"
#include "base/checked.h"
#include "base/guard.h"
#include "base/stats.h"
#include "model/jsontext.h"
#include "os/file.h"
#include "os/tree.h"
#include "txn/layout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_UP_EVERY 256 /* chunks between two questions for time and cancel */
#define MOST_TRIES    12  /* without locks */
#define FEW_CHANGES   64  /* no round need be shorter */

typedef struct round {
    azri_take *t;
    azri_taking *taking;
    uint64_t seen;
} round;

/* ------------------------------------------------------------- a chunk --- */

/* What is taken in the second round and later stands apart until the instant is
 * found: nothing need be removed for it while writers wait. */
#define LATER           ".azr-later"
#define PATH_MAX_NBYTES (AZRI_KEY_MAX + 32)

static void place_of(char out[PATH_MAX_NBYTES], uint32_t place, const char *key)
{
    if (place <= 1)
        (void)snprintf(out, PATH_MAX_NBYTES, "%s", key);
    else
        (void)snprintf(out, PATH_MAX_NBYTES, LATER "/%u/%s", place, key);
}

/* Not what counts any more; the file goes at the end. */
static void drop(azri_held *e)
{
    e->stale = e->stale || (e->held && e->place <= 1);
    e->held = false;
}

static int make_parents(const azri_take *t, const char *key, azr_error *err)
{
    struct stat st;

    if (azri_sys->fstat(t->to, &st) != 0)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat a directory");
    return azri_make_parents(t->to, key, st.st_mode & 0777, st.st_gid, NULL,
                             NULL, err);
}

/* May the other way still get us there? */
static bool is_refusal(int number)
{
    return number == EPERM || number == EMLINK || number == EXDEV ||
           number == EOPNOTSUPP || number == ENOSYS || number == EACCES;
}

/* 0, an errno, or below 0 a status. */
static int link_it(const azri_take *t, const char *source, const char *key,
                   azr_error *err)
{
    int from = azri_domain_dir(t->a->d), rc;

    if (azri_sys->linkat(from, source, t->to, key, 0) == 0)
        return 0;
    if (errno == EEXIST && azri_sys->unlinkat(t->to, key, 0) == 0 &&
        azri_sys->linkat(from, source, t->to, key, 0) == 0)
        return 0;
    if (errno != ENOENT)
        return errno;
    rc = make_parents(t, key, err); /* which of the two is not there? */
    if (rc < 0)
        return rc;
    return azri_sys->linkat(from, source, t->to, key, 0) == 0 ? 0 : errno;
}

/* AZR_ENOTFOUND: the source is gone. AZR_EUNSUPPORTED (no message): no link. */
static int hold_link(const azri_take *t, azri_held *e, const char *source,
                     const char *key, azr_error *err)
{
    struct stat st;
    int number = link_it(t, source, key, err);

    if (number < 0)
        return number;
    if (number == ENOENT)
        return AZR_ENOTFOUND;
    if (is_refusal(number))
        return AZR_EUNSUPPORTED;
    if (number != 0)
        return azri_fail_errno(err, AZR_SUB_CALL, number, "link '%s'", key);
    /* what we hold, whatever the source is by now */
    if (azri_sys->fstatat(t->to, key, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'", key);
    e->held = true;
    if (!S_ISREG(st.st_mode)) { /* a symbolic link: what it leads to is meant */
        e->held = false;
        (void)azri_sys->unlinkat(t->to, key, 0);
        return AZR_EUNSUPPORTED;
    }
    e->dev = st.st_dev;
    e->ino = st.st_ino;
    e->nbytes = (uint64_t)st.st_size;
    e->copied = false;
    return AZR_OK;
}

static int create_file(int *out, const azri_take *t, const char *key,
                       azr_error *err)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL;
    int rc;

    (void)azri_sys->unlinkat(t->to, key, 0);
    rc = azri_open_at(out, t->to, key, flags, 0666, err);
    if (rc == AZR_ENOTFOUND) {
        rc = make_parents(t, key, err);
        if (rc == AZR_OK)
            rc = azri_open_at(out, t->to, key, flags, 0666, err);
    }
    return rc == AZR_ENOTFOUND
               ? azri_fail(err, rc, "'%s': its directory was removed", key)
               : rc;
}

static int own_as(const azri_take *t, int fd, const struct stat *source,
                  const char *key, azr_error *err)
{
    struct stat st;

    if (azri_sys->fstat(fd, &st) != 0)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'", key);
    return azri_fix_owner(fd, &st, source->st_mode & 0777,
                          t->as_made ? st.st_gid : source->st_gid, key, err);
}

static int hold_copy(const azri_take *t, azri_held *e, const char *source,
                     const char *key, azr_error *err)
{
    struct stat st;
    int from = -1, to = -1;
    int rc =
        azri_open_regular(&from, &st, azri_domain_dir(t->a->d), source, err);

    if (rc == AZR_OK)
        rc = create_file(&to, t, key, err);
    if (rc == AZR_OK) {
        e->held = true;
        rc = azri_copy_content(to, from, (uint64_t)st.st_size, key, err);
    }
    if (rc == AZR_OK)
        rc = own_as(t, to, &st, key, err);
    azri_close(to);
    azri_close(from);
    e->nbytes = (uint64_t)st.st_size;
    e->copied = true;
    return rc;
}

/* Is what we have what counts as of the look? The key's object only where the
 * staged one is gone. */
static bool is_current(const azri_take *t, const azri_held *e,
                       const uint64_t *coords, const char *key,
                       const char *staged)
{
    int from = azri_domain_dir(t->a->d);
    struct stat st;
    bool found = false;

    if (!e->held)
        return false;
    if (!staged && !e->named && e->counter == azri_view_counter(t->v, coords))
        return true; /* as a read keeps what it has open */
    if (e->copied)
        return false;
    if (staged)
        found = azri_sys->fstatat(from, staged, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (!found && (!staged || errno == ENOENT))
        found = azri_sys->fstatat(from, key, &st, AT_SYMLINK_NOFOLLOW) == 0;
    return found && st.st_dev == e->dev && st.st_ino == e->ino;
}

static int hold_anew(round *r, azri_held *e, const char *source,
                     const char *key, azr_error *err)
{
    azri_take *t = r->t;
    char path[PATH_MAX_NBYTES];
    int rc = AZR_EUNSUPPORTED;

    drop(e);
    place_of(path, t->round, key);
    if (t->may_link)
        rc = hold_link(t, e, source, path, err);
    if (rc == AZR_EUNSUPPORTED)
        rc = hold_copy(t, e, source, path, err);
    e->place = t->round;
    r->taking->changes++;
    return rc;
}

/* A chunk as of the look: `staged`, or once that is renamed, its key. */
static int take_chunk(round *r, const uint64_t *coords, const char *key,
                      const char *staged, azr_error *err)
{
    azri_take *t = r->t;
    azri_held *e;
    int rc = azri_chunk_map_at(&e, &t->map, coords, err);

    if (rc < 0)
        return rc;
    e->round = t->round;
    if (is_current(t, e, coords, key, staged))
        rc = AZR_OK;
    else
        rc = staged ? hold_anew(r, e, staged, key, err) : AZR_ENOTFOUND;
    if (rc == AZR_ENOTFOUND)
        rc = hold_anew(r, e, key, key, err);
    if (rc == AZR_ENOTFOUND) { /* gone: the second look tells why */
        azri_error_reset(err);
        rc = AZR_OK;
    }
    e->named = staged != NULL;
    e->counter = azri_view_counter(t->v, coords);
    return rc;
}

/* ------------------------------------------------------------- a round --- */

static int go_on(round *r, azr_error *err)
{
    azri_taking *g = r->taking;

    if (++r->seen % LOOK_UP_EVERY != 0)
        return AZR_OK;
    if (g->progress && g->progress(g->done + r->seen, g->total, g->arg) != 0)
        return azri_fail(err, AZR_ECANCELED, "stopped by the caller");
    if (azri_canceled(g->patience.cancel))
        return azri_fail(err, AZR_ECANCELED, "'%s': canceled",
                         azri_domain_path(r->t->a->d));
    return AZR_OK;
}

static int take_named(void *arg, const uint64_t *coords, const char *staged,
                      azr_error *err)
{
    round *r = arg;
    azri_take *t = r->t;
    const azri_meta *m = t->g->meta;
    char key[AZRI_KEY_MAX];
    azri_held *e;
    int rc;

    for (int d = 0; d < m->rank; d++) {
        if (coords[d] >= (uint64_t)azri_ceil_div(m->shape[d], m->chunk[d]))
            return AZR_OK;
    }
    (void)azri_key_format(key, &m->keying, coords);
    if (staged)
        return take_chunk(r, coords, key, staged, err);
    rc = azri_chunk_map_at(&e, &t->map, coords, err);
    if (rc < 0)
        return rc;
    e->round = t->round;
    drop(e);
    return AZR_OK;
}

static int take_listed(void *arg, const uint64_t *coords, const char *key,
                       azr_error *err)
{
    round *r = arg;
    azri_held *e;
    int rc = go_on(r, err);

    if (rc == AZR_OK)
        rc = azri_chunk_map_at(&e, &r->t->map, coords, err);
    if (rc < 0)
        return rc;
    if (e->round == r->t->round)
        return AZR_OK; /* a row has told what counts */
    return take_chunk(r, coords, key, NULL, err);
}

static void close_attributes(azri_take *t)
{
    azr_store *store = azri_domain_store(t->a->d);

    if (t->attributes.handle >= 0)
        store->ops->close(store, &t->attributes);
}

static bool same_keys(const azri_keying *a, const azri_keying *b)
{
    return a->rank == b->rank && a->zarr_format == b->zarr_format &&
           a->encoding == b->encoding && a->separator == b->separator;
}

static int first_look(azri_take *t, azr_error *err)
{
    azri_ground *g = NULL;
    int rc = azri_view_look(t->v, err);

    if (rc == AZR_OK)
        rc = azri_ground_refresh(t->a, t->v, &g, err);
    if (rc < 0 || !g)
        return rc;
    azri_ground_unref(t->g);
    t->g = g;
    close_attributes(t);
    if (!same_keys(&g->meta->keying, &t->keying))
        return azri_fail(err, AZR_ENOTFOUND,
                         "'%s' was replaced by another array; open it anew",
                         azri_domain_path(t->a->d));
    if (t->a->format == 2)
        rc = azri_view_open_document(t->v, AZRI_ENTRY_ZATTRS, ".zattrs",
                                     &t->attributes, err);
    return rc == AZR_ENOTFOUND ? AZR_OK : rc;
}

static int take_round(azri_take *t, azri_taking *taking, azr_error *err)
{
    round r = {t, taking, 0};
    int rc;

    t->round++;
    rc = azri_view_named(t->v, take_named, &r, err);
    if (rc == AZR_OK)
        rc = azri_list_chunks(t->a, t->g->meta, take_listed, NULL, &r, err);
    taking->done += r.seen;
    return rc;
}

static int second_look(azri_take *t, azr_error *err)
{
    bool stands = true;
    int rc = AZRI_GUARD(SNAP_LOOK) ? azri_view_check(t->v, err) : AZR_OK;

    if (rc == AZR_OK && !azri_view_moves_documents(t->v))
        rc = azri_ground_stands(t->a, t->g, &stands, err);
    return rc == AZR_OK && !stands && AZRI_GUARD(SNAP_LOOK) ? AZR_ECONFLICT
                                                            : rc;
}

static int second_looks(azri_take *parts, size_t n, azr_error *err)
{
    int rc = AZR_OK;

    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = second_look(&parts[k], err);
    return rc;
}

/* AZR_ECONFLICT: disturbed. All looks come before all second looks: between them
 * is the instant. */
static int try_once(azri_take *parts, size_t n, azri_taking *taking,
                    azr_error *err)
{
    int rc = AZR_OK;

    taking->done = taking->changes = 0;
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = first_look(&parts[k], err);
    if (rc < 0)
        return rc;
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = take_round(&parts[k], taking, err);
    if (rc == AZR_ECANCELED || rc == AZR_ENOMEM)
        return rc;
    if (rc < 0 && second_looks(parts, n, NULL) == AZR_ECONFLICT) {
        azri_error_reset(err); /* the ground moved under it: no verdict */
        return AZR_ECONFLICT;
    }
    return rc < 0 ? rc : second_looks(parts, n, err);
}

/* --------------------------------------------------------------- locks --- */

static bool has_order(const azri_take *t)
{
    return azri_domain_has_rows(t->a->d);
}

static int compare_parts(const void *x, const void *y)
{
    azri_take *const *p = x, *const *q = y;

    if (has_order(*p) && has_order(*q))
        return azri_domain_compare((*p)->a->d, (*q)->a->d);
    return has_order(*q) - has_order(*p);
}

static bool may_lock(const azri_take *parts, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        if (parts[k].a->options.flags & AZR_OPEN_READ_UNLOCKED)
            return false;
    }
    return true;
}

/* Level by level in all of them, in the order of arrays. */
static int lock_all(azri_take *parts, size_t n, azr_error *err)
{
    azri_take **order = azri_calloc(n, sizeof(void *));
    int rc = AZR_OK;

    if (!order)
        return azri_fail_nomem(err, n * sizeof(void *));
    for (size_t k = 0; k < n; k++)
        order[k] = &parts[k];
    qsort(order, n, sizeof(void *), compare_parts);
    for (int l = AZRI_LEVEL_ROW; l <= AZRI_LEVEL_CHUNKS && rc == AZR_OK; l++) {
        for (size_t k = 0; k < n && rc == AZR_OK; k++)
            rc = azri_view_lock_level(order[k]->v, (azri_level)l, err);
    }
    azri_free(order);
    return rc;
}

static int out_of_patience(const azri_take *parts, int rc, azr_error *err)
{
    return azri_fail(err, rc, "'%s': %s; taking it was disturbed by writers",
                     azri_domain_path(parts[0].a->d),
                     rc == AZR_EBUSY ? "time-out" : "canceled");
}

/* ----------------------------------------------------------- documents --- */

static int put_document(const azri_take *t, const azr_object *o,
                        const char *key, azr_error *err)
{
    azr_store *store = azri_domain_store(t->a->d);
    size_t n = (size_t)o->id.nbytes;
    struct stat like = {.st_mode = o->mode, .st_gid = o->gid};
    azri_buf text = AZRI_BUF_INIT;
    int to = -1;
    int rc = AZR_OK;

    if (o->id.nbytes > AZRI_JSON_MAX_NBYTES)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_METADATA,
                             "'%s' has %llu bytes, at most %zu are read", key,
                             (unsigned long long)o->id.nbytes,
                             AZRI_JSON_MAX_NBYTES);
    rc = azri_buf_reserve(&text, n + 1, err);
    if (rc == AZR_OK)
        rc = store->ops->read(store, o, text.data, n, 0, key, err);
    if (rc == AZR_OK)
        rc = create_file(&to, t, key, err);
    if (rc == AZR_OK)
        rc = azri_pwrite_full(to, text.data, n, 0, key, err);
    if (rc == AZR_OK)
        rc = own_as(t, to, &like, key, err);
    azri_close(to);
    azri_buf_dispose(&text);
    return rc;
}

/* To its key, over what stands there. */
static int put_in_place(const azri_take *t, const azri_held *e, const char *key,
                        azr_error *err)
{
    char path[PATH_MAX_NBYTES];
    int rc = AZR_OK;

    place_of(path, e->place, key);
    if (e->place <= 1 || azri_sys->renameat2(t->to, path, t->to, key, 0) == 0)
        return AZR_OK;
    if (errno == ENOENT)
        rc = make_parents(t, key, err);
    if (rc == AZR_OK && azri_sys->renameat2(t->to, path, t->to, key, 0) != 0)
        rc = azri_fail_errno(err, AZR_SUB_RENAME, errno, "rename to '%s'", key);
    return rc;
}

static int settle(azri_take *t, azri_held *e, const char *key, azr_error *err)
{
    if (e->round != t->round) /* it is no more */
        drop(e);
    if (e->held) {
        t->linked += !e->copied;
        t->copied += e->copied;
        t->nbytes += e->nbytes;
        return put_in_place(t, e, key, err);
    }
    if (!e->stale || azri_sys->unlinkat(t->to, key, 0) == 0 || errno == ENOENT)
        return AZR_OK;
    return azri_fail_errno(err, AZR_SUB_UNLINK, errno, "remove '%s'", key);
}

/* Documents last, so that it is an array only when it is complete. */
static int complete(azri_take *t, azr_error *err)
{
    uint64_t coords[AZR_MAX_RANK];
    int rc = AZR_OK;

    for (uint64_t i = 0; rc == AZR_OK && i < t->map.capacity; i++) {
        azri_held *e = azri_chunk_map_entry(&t->map, i, coords);
        char key[AZRI_KEY_MAX];

        if (!e)
            continue;
        (void)azri_key_format(key, &t->keying, coords);
        rc = settle(t, e, key, err);
    }
    if (rc == AZR_OK && t->round > 1)
        rc = azri_remove_all(t->to, LATER, err);
    if (rc == AZR_OK && t->attributes.handle >= 0)
        rc = put_document(t, &t->attributes, ".zattrs", err);
    if (rc == AZR_OK)
        rc = put_document(t, &t->g->document, t->a->document_key, err);
    return rc;
}

/* ----------------------------------------------------------------- all --- */

static int begin(azri_take *t, const azri_patience *patience, azr_error *err)
{
    azri_ground *g = azri_array_ground(t->a);
    int rc;

    t->keying = g->meta->keying;
    azri_chunk_map_init(&t->map, g->meta->rank);
    rc = azri_view_new(&t->v, t->a->d, patience, err);
    if (rc == AZR_OK)
        rc = azri_view_aim_all(t->v, &g->meta->keying, err);
    azri_ground_unref(g);
    return rc;
}

/* Disturbed: what to do before the next try. What is left to do while the locks
 * are held is what changes in one round: as long as rounds get shorter it is worth
 * another one. `before`: changes of the round before this one. */
static int after_conflict(azri_take *parts, size_t n, azri_taking *taking,
                          int tries, uint64_t before, azr_error *err)
{
    int rc = azri_patience_check(&taking->patience);

    AZRI_COUNT(snapshot_retries, 1);
    if (rc < 0 && tries >= AZRI_OPTIMISTIC_TRIES)
        return out_of_patience(parts, rc, err);
    if (tries < AZRI_OPTIMISTIC_TRIES || !may_lock(parts, n) || taking->locked)
        return AZR_OK;
    if (tries < MOST_TRIES && taking->changes > FEW_CHANGES &&
        taking->changes <= before / 2)
        return AZR_OK;
    taking->locked = true;
    return lock_all(parts, n, err);
}

void azri_take_init(azri_take *t, azr_array *a, int to)
{
    memset(t, 0, sizeof *t);
    t->a = a;
    t->to = to;
    t->attributes.handle = -1;
}

void azri_take_dispose(azri_take *t)
{
    azri_view_free(t->v);
    t->v = NULL;
    if (t->a)
        close_attributes(t);
    azri_ground_unref(t->g);
    t->g = NULL;
    azri_chunk_map_dispose(&t->map);
}

int azri_take_all(azri_take *parts, size_t n, azri_taking *taking,
                  azr_error *err)
{
    int rc = AZR_OK;

    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = begin(&parts[k], &taking->patience, err);
    for (int tries = 1; rc == AZR_OK; tries++) {
        uint64_t before = taking->changes;

        rc = try_once(parts, n, taking, err);
        if (rc != AZR_ECONFLICT)
            break;
        rc = after_conflict(parts, n, taking, tries, before, err);
    }
    for (size_t k = 0; k < n; k++) { /* the instant is over: let go */
        azri_view_free(parts[k].v);
        parts[k].v = NULL;
    }
    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = complete(&parts[k], err);
    return rc;
}
