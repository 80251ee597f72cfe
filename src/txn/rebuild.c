/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `state` without a valid header: a power loss ate it (or somebody wrote into
 * it). Or with the header of an array that is gone, found by who creates another
 * one there. It is built anew in place, header last, by who holds INIT, META, DOC
 * and every SLOT, so while no participant is at work.
 */
#include "base/log.h"
#include "txn/txn_local.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define IMAGE_NBYTES                                                           \
    ((size_t)AZRI_ROWS_AT + AZRI_ROWS_AT_FIRST * AZRI_ROW_NBYTES)

static int move_to_lost(const char *name, unsigned char d_type, void *arg)
{
    azri_domain *d = arg;
    char from[300], to[300];

    (void)d_type;
    (void)snprintf(from, sizeof from, ".azr/tx/%.255s", name);
    (void)snprintf(to, sizeof to, ".azr/lost/%.255s", azri_staged_base(name));
    (void)azri_sys->renameat2(d->dir, from, d->dir, to, 0);
    return 0;
}

static int count_one(const char *name, unsigned char d_type, void *arg)
{
    uint32_t *n = arg;

    (void)name;
    (void)d_type;
    ++*n;
    return 0;
}

/* The name of lost/ is on the disk before anything goes there, or a power loss could
 * leave the one without the other. */
static int move_all(azri_domain *d, azr_error *err)
{
    int rc = azri_make_parents(d->dir, ".azr/lost/x", d->dir_mode, d->dir_gid,
                               NULL, NULL, err);

    if (rc == AZR_OK)
        rc = azri_fsync_dir(d->dir, ".azr", err);
    return rc < 0 ? rc : azri_list_staged(d, move_to_lost, d, err);
}

/* On the disk before the header is: else they are in tx/ again after a power loss,
 * in no row, and the next one removes them as rubbish. Whoever moved them: he may
 * have died before he had synced it. */
static int sync_lost(azri_domain *d, azr_error *err)
{
    struct stat st;

    if (azri_sys->fstatat(d->dir, ".azr/lost", &st, 0) == 0)
        return azri_fsync_dir(d->dir, ".azr/lost", err);
    if (errno == ENOENT)
        return AZR_OK;
    return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '.azr/lost'");
}

/* [B-lost] what stood in tx/ belonged to rows that are gone */
static int clear_tx(azri_domain *d, uint32_t *lost_out, azr_error *err)
{
    uint32_t n = 0;
    int rc = azri_make_parents(d->dir, ".azr/tx/x", d->dir_mode, d->dir_gid,
                               NULL, NULL, err);

    if (rc == AZR_OK)
        rc = azri_list_staged(d, count_one, &n, err);
    if (rc == AZR_OK && n > 0)
        rc = move_all(d, err);
    if (rc == AZR_OK)
        rc = sync_lost(d, err);
    if (lost_out)
        *lost_out = n;
    return rc;
}

/* `id`: the one that stays, or NULL. */
static int write_image(int fd, const azri_grid *grid, int durability,
                       const uint8_t *id, azr_error *err)
{
    uint8_t *image = azri_calloc(1, IMAGE_NBYTES);
    uint8_t random[24];
    uint64_t seed;
    int rc;

    if (!image)
        return azri_fail_nomem(err, IMAGE_NBYTES);
    rc = azri_random(random, sizeof random, err);
    memcpy(&seed, random + 16, sizeof seed);
    if (rc == AZR_OK) {
        azri_state_compose(image, grid, durability, id ? id : random, seed);
        /* [B-build] everything but the header, on the disk before it */
        rc = azri_pwrite_full(fd, image + AZRI_CHANGING_AT,
                              IMAGE_NBYTES - AZRI_CHANGING_AT, AZRI_CHANGING_AT,
                              ".azr/state", err);
    }
    if (rc == AZR_OK)
        rc = azri_fdatasync_fd(fd, ".azr/state", err);
    if (rc == AZR_OK) /* [B-header] */
        rc =
            azri_pwrite_full(fd, image, AZRI_CHANGING_AT, 0, ".azr/state", err);
    if (rc == AZR_OK)
        rc = azri_fdatasync_fd(fd, ".azr/state", err);
    azri_free(image);
    return rc;
}

/* The header is gone, but the word of the durability may stand: a power array
 * must not become a process one unseen. A file that ends before has none. */
static int durability_left(int *durability, int fd, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    uint64_t word = 0;
    int rc =
        azri_pread_full(fd, &word, sizeof word,
                        AZRI_CHANGING_AT + offsetof(azri_changing, durability),
                        ".azr/state", &why);

    if (rc < 0 && rc != AZR_ECORRUPT)
        return azri_fail_why(err, rc, &why, "%s", why.message);
    if (rc == AZR_OK && word == AZR_DURABILITY_POWER)
        *durability = AZR_DURABILITY_POWER;
    return AZR_OK;
}

static bool fits(const azri_header *h, const azri_keying *k)
{
    return h->zarr_format == k->zarr_format &&
           h->key_encoding == (uint8_t)k->encoding &&
           h->separator == (uint8_t)k->separator && h->rank == k->rank;
}

typedef struct rebuild {
    azri_domain *d;
    int fd;
    const azri_grid *grid;
    int durability;
    azri_may_fn may; /* refit: may the old one go? NULL: it is damaged */
    void *arg;
    /* Of the old one, whose rows are all done with: rows elsewhere that name one of
     * them as their home find it free then, and know that they never committed. */
    uint8_t id[16];
    bool has_id;
} rebuild;

/* Every SLOT is ours, so a row that promises something was left by the dead, since
 * the caller has looked. */
static int refuse_unfinished(const rebuild *r, azr_error *err)
{
    uint64_t words[AZRI_WORDS];
    int rc = azri_pread_full(r->fd, words, sizeof words, AZRI_WORDS_AT,
                             ".azr/state", err);

    for (uint32_t i = 0; i < AZRI_WORDS && rc == AZR_OK; i++) {
        if (azri_word_state(words[i]) > AZRI_ACTIVE)
            rc = azri_fail_sub(err, AZR_EBUSY, AZR_SUB_STATE,
                               "'%s/.azr/state' is of another array and has an "
                               "unfinished transaction; try again",
                               r->d->path);
    }
    return rc;
}

/* Are there as many rows as it says? After a restart without `power` the number may
 * have reached the disk, and the size of the file not. */
static bool has_room(int fd, const struct stat *st)
{
    uint64_t rows = 0;

    return azri_pread_full(fd, &rows, sizeof rows, AZRI_CHANGING_AT,
                           ".azr/state", NULL) == AZR_OK &&
           rows >= 1 && rows <= AZRI_WORDS &&
           (uint64_t)st->st_size >= AZRI_ROWS_AT + rows * AZRI_ROW_NBYTES;
}

/* *done: somebody else was first. */
static int look_again(rebuild *r, bool *done, azr_error *err)
{
    azri_header h;
    struct stat st;
    int rc;

    *done = false;
    if (azri_sys->fstat(r->fd, &st) != 0)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat .azr/state");
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_STATE,
                             "'%s/.azr/state' is not a file of its own",
                             r->d->path);
    if ((uint64_t)st.st_size >= IMAGE_NBYTES) {
        rc = azri_pread_full(r->fd, &h, sizeof h, 0, ".azr/state", err);
        if (rc < 0)
            return rc;
        r->has_id = r->may && azri_state_header_valid(&h);
        memcpy(r->id, h.array_id, sizeof r->id);
        if (azri_state_header_valid(&h)) /* [B-recheck] another was first */
            *done = r->may ? fits(&h, &r->grid->keying) : has_room(r->fd, &st);
    }
    if (!r->may || *done)
        return AZR_OK;
    rc = r->may(r->arg, err);
    return rc < 0 ? rc : refuse_unfinished(r, err);
}

static int rebuild_locked(rebuild *r, uint32_t *lost_out, azr_error *err)
{
    bool done;
    int rc = look_again(r, &done, err);

    if (rc < 0 || done)
        return rc;
    if (!r->may)
        rc = durability_left(&r->durability, r->fd, err);
    if (rc == AZR_OK)
        rc = clear_tx(r->d, lost_out, err);
    if (rc == AZR_OK)
        rc = write_image(r->fd, r->grid, r->durability,
                         r->has_id ? r->id : NULL, err);
    if (rc == AZR_OK)
        azri_log(AZR_LOG_WARNING,
                 "'%s': .azr/state %s and was built anew; unfinished "
                 "transactions stand in .azr/lost",
                 r->d->path,
                 r->may ? "was of an array that is gone"
                        : "had no valid header, or not its size");
    return rc;
}

static int rebuild_state(rebuild *r, uint32_t *lost_out, azr_error *err)
{
    /* [B-locks] INIT, META, DOC, the gates and every SLOT are neighbours */
    azri_range all = {AZRI_LOCK_BASE, AZRI_LOCK_SLOT + AZRI_WORDS - 1, true};
    int rc = azri_open_at(&r->fd, r->d->dir, ".azr/state", O_RDWR | O_NOFOLLOW,
                          0, err);

    if (rc < 0)
        return rc;
    rc = azri_ofd_try(r->fd, &all, err);
    if (rc == AZR_EBUSY)
        rc = azri_fail_sub(err, AZR_EBUSY, AZR_SUB_STATE,
                           "'%s/.azr/state' is %s, and in use: close its "
                           "users, then %s",
                           r->d->path, r->may ? "of another array" : "damaged",
                           r->may ? "try again" : "run `azr recover`");
    if (rc == AZR_OK)
        rc = rebuild_locked(r, lost_out, err);
    azri_close(r->fd);
    return rc;
}

int azri_state_rebuild(azri_domain *d, const azri_grid *grid, int durability,
                       uint32_t *lost_out, azr_error *err)
{
    rebuild r = {.d = d, .fd = -1, .grid = grid, .durability = durability};

    return rebuild_state(&r, lost_out, err);
}

int azri_domain_refit(azri_domain *d, const azri_grid *grid, int durability,
                      azri_may_fn may, void *arg, azr_error *err)
{
    rebuild r = {d, -1, grid, durability, may, arg, {0}, false};

    return rebuild_state(&r, NULL, err);
}
