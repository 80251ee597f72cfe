/* SPDX-License-Identifier: Apache-2.0 */
/*
 * More rows: under META exclusive, by somebody who holds no row. First the room,
 * then the number; who dies in between leaves room that the next one uses.
 */
#include "base/log.h"
#include "txn/txn_local.h"

#include <errno.h>
#include <string.h>

/* INIT, by trying: growth is rare and short. */
static int lock_init(int fd, const azri_patience *patience, azr_error *err)
{
    azri_range r = {AZRI_LOCK_INIT, AZRI_LOCK_INIT, true};
    _Atomic uint32_t nothing = 0;
    struct timespec pause = {0, 500000};

    for (;;) {
        int rc = azri_ofd_try(fd, &r, err);

        if (rc != AZR_EBUSY)
            return rc;
        rc = azri_patience_check(patience);
        if (rc < 0)
            return rc;
        (void)azri_sys->futex_wait(&nothing, 0, &pause);
    }
}

static int make_room(azri_domain *d, azri_state *s, uint32_t rows,
                     uint32_t wanted, azr_error *err)
{
    uint8_t zeros[AZRI_ROW_NBYTES] = {0};
    int rc = AZR_OK;

    /* [T-room] written, not only reserved: a sparse page would be a SIGBUS on a
     * full disk. So are the words of the new rows, if theirs is the hole. */
    for (size_t at = AZRI_HOLE_AT;
         rows <= AZRI_HOLE_FROM && wanted > AZRI_HOLE_FROM &&
         at < AZRI_COUNTERS_AT && rc == AZR_OK;
         at += sizeof zeros)
        rc =
            azri_pwrite_full(s->fd, zeros, sizeof zeros, at, ".azr/state", err);
    for (uint32_t i = rows; i < wanted && rc == AZR_OK; i++)
        rc = azri_pwrite_full(s->fd, zeros, sizeof zeros,
                              AZRI_ROWS_AT + (uint64_t)i * AZRI_ROW_NBYTES,
                              ".azr/state", err);
    if (rc == AZR_OK && azri_domain_durability(d) == AZR_DURABILITY_POWER)
        rc = azri_fdatasync_fd(s->fd, ".azr/state", err);
    return rc;
}

/* We hold INIT on fd. */
static int grow_locked(azri_domain *d, azri_state *s, int fd,
                       const azri_patience *patience, azr_error *err)
{
    azri_range meta = {AZRI_LOCK_META, AZRI_LOCK_META, true};
    azri_waitq q = azri_state_waitq(s);
    uint32_t rows, wanted;
    int rc;

    /* [T-meta] */
    atomic_store(&q.spare->ticket, 0);
    rc = AZRI_GUARD(GROW_META)
             ? azri_waitq_lock(&q, q.spare, fd, &meta, NULL, 0, patience, err)
             : AZR_OK;
    if (rc < 0)
        return rc;
    rows = azri_state_rows(s);
    wanted = 2 * rows < AZRI_WORDS ? 2 * rows : AZRI_WORDS;
    rc = make_room(d, s, rows, wanted, err);
    if (rc == AZR_OK) {
        /* [T-number] */
        azri_sys->store64("table.rows", &azri_state_changing(s)->rows, wanted);
        azri_log(AZR_LOG_INFO, "'%s': row table grown to %u rows", d->path,
                 wanted);
    }
    azri_ignore(azri_ofd_unlock(fd, meta.first, meta.last, NULL));
    azri_waitq_wake(&q, NULL, &meta, 1);
    return rc;
}

static int fail_full(azri_domain *d, int rc, azr_error *err)
{
    if (rc == AZR_EBUSY && (!err || err->code == 0))
        return azri_fail(err, rc,
                         "'%s': time-out; every row of .azr/state is in use",
                         d->path);
    if (rc == AZR_ECANCELED)
        return azri_fail(err, rc, "'%s': canceled while waiting for a row",
                         d->path);
    return rc;
}

/* There cannot be more rows: let some time go by. */
static int wait_a_little(const azri_patience *patience)
{
    _Atomic uint32_t nothing = 0;
    struct timespec pause = {0, 500000};
    int rc = azri_patience_check(patience);

    if (rc == AZR_OK)
        (void)azri_sys->futex_wait(&nothing, 0, &pause);
    return rc;
}

/* All of them were taken a moment ago. AZR_OK: look again; somebody else may have
 * made more meanwhile. */
int azri_table_grow(azri_domain *d, uint32_t seen,
                    const azri_patience *patience, azr_error *err)
{
    azri_state *s = azri_domain_state(d);
    int fd = -1;
    int rc;

    if (seen < AZRI_ROWS_AT_FIRST) /* somebody has cut it under our map */
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_STATE,
                             "'%s/.azr/state' has %u rows, need %u or more",
                             d->path, seen, AZRI_ROWS_AT_FIRST);
    if (seen == AZRI_WORDS)
        return fail_full(d, wait_a_little(patience), err);
    rc = azri_domain_take_fd(d, &fd, err);
    if (rc < 0)
        return rc;
    rc = lock_init(fd, patience, err);
    if (rc == AZR_OK && azri_state_rows(s) == seen)
        rc = grow_locked(d, s, fd, patience, err);
    azri_domain_put_fd(
        d, fd,
        azri_ofd_unlock(fd, AZRI_LOCK_BASE, AZRI_LOCK_LAST, NULL) == AZR_OK);
    return fail_full(d, rc, err);
}
