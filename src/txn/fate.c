/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays that are taken away. The directory goes by one rename into a hidden one,
 * and that rename is the commit point: so where the directory stands is the
 * truth, and the marks in `state` only say who has to look, and why.
 *
 *   1. A marks `state` REMOVING, with META exclusive in hand.
 *   2. A renames. B, whose handle is old, reads: META is not asked for, and the
 *      chunks are all there still.
 *   3. C opens the path: there is nothing. B's read ends after C's open, and
 *      must not say that the array is there.
 *
 * At its end B finds the mark, looks where its directory stands, and fails. Were
 * A killed before (2), B would find it in its place, and go on.
 */
#include "txn/txn_local.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define FATE_AT  (AZRI_CHANGING_AT + offsetof(azri_changing, fate))
#define REPLACED ".b/" /* ends the name of what was built to replace it */

bool azri_is_discarded(int dir, bool *replaced_out)
{
    char path[4096];
    const char *at;

    if (azri_path_of(dir, path) < 0)
        return false;
    at = strstr(path, "/" AZRI_TRASH "/");
    if (!at)
        return false;
    if (replaced_out)
        *replaced_out = strstr(at, REPLACED) != NULL;
    return true;
}

static int fail_fate(const azri_domain *d, bool replaced, azr_error *err)
{
    return azri_fail_sub(err, AZR_ENOTFOUND, AZR_SUB_STATE,
                         replaced ? "'%s' was replaced; open it anew"
                                  : "'%s' was removed",
                         d->path);
}

int azri_fate_check(azri_domain *d, const azri_state *s, azr_error *err)
{
    uint64_t fate = atomic_load(&azri_state_changing(s)->fate);

    if (fate == AZRI_FATE_NONE)
        return AZR_OK;
    if ((fate == AZRI_FATE_REMOVING || fate == AZRI_FATE_REPLACING) &&
        !azri_is_discarded(d->dir, NULL))
        return AZR_OK;
    return fail_fate(
        d, fate == AZRI_FATE_REPLACING || fate == AZRI_FATE_REPLACED, err);
}

int azri_domain_gone(azri_domain *d, azr_error *err)
{
    azri_state *s = azri_domain_state(d);
    bool replaced = false;
    int rc = s ? azri_fate_check(d, s, err) : AZR_OK;

    if (rc == AZR_OK && azri_is_discarded(d->dir, &replaced))
        rc = fail_fate(d, replaced, err);
    return rc;
}

int azri_fail_gone(azri_domain *d, azr_error *err)
{
    int rc = azri_domain_gone(d, err);

    if (rc < 0)
        return rc;
    return azri_fail_sub(err, AZR_ENOTFOUND, AZR_SUB_STATE,
                         "array '%s' was removed or made anew by another "
                         "program; open it anew",
                         d->path);
}

static void mark(azri_txn *t, const char *what, uint64_t fate)
{
    azri_sys->store64(what, &azri_state_changing(t->s)->fate, fate);
}

/* With META in hand, shared or not, nobody who removes is at work. */
void azri_fate_forget(azri_txn *t)
{
    uint64_t fate = atomic_load(&azri_state_changing(t->s)->fate);

    if ((fate == AZRI_FATE_REMOVING || fate == AZRI_FATE_REPLACING) &&
        !azri_is_discarded(t->d->dir, NULL))
        mark(t, "fate.forget", AZRI_FATE_NONE);
}

/* ------------------------------------------------------------ the remover --- */

int azri_txn_settle(azri_txn *t, azr_error *err)
{
    azr_recovery count = {0};
    int rc;

    assert(t->has_meta && t->meta_exclusive);
    rc = azri_domain_recover(t->d, &count, err);
    return rc < 0 ? rc : azri_txn_look(t, true, err);
}

void azri_txn_doubt(azri_txn *t, bool replaced)
{
    assert(t->meta_exclusive || !AZRI_GUARD(DRAIN));
    if (AZRI_GUARD(DOUBT))
        mark(t, "fate.doubt", /* [D-doubt] */
             replaced ? AZRI_FATE_REPLACING : AZRI_FATE_REMOVING);
}

/* The counter too: a transaction that has only read compares nothing else. */
void azri_txn_condemn(azri_txn *t, bool replaced)
{
    mark(t, "fate.final", replaced ? AZRI_FATE_REPLACED : AZRI_FATE_REMOVED);
    azri_sys->bump64("fate.bump", &azri_state_changing(t->s)->meta);
}

void azri_txn_spare(azri_txn *t)
{
    mark(t, "fate.spare", AZRI_FATE_NONE);
}

/* ------------------------------------------------------------ in the trash --- */

/* The mark is for who has it mapped: a word of the file, through the page cache. */
static void write_mark(int fd, bool replaced)
{
    uint64_t fate = replaced ? AZRI_FATE_REPLACED : AZRI_FATE_REMOVED;
    azri_header h;
    struct stat st;

    /* of two links the other one is another array's */
    if (azri_sys->fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        st.st_nlink != 1 ||
        azri_pread_full(fd, &h, sizeof h, 0, ".azr/state", NULL) < 0 ||
        !azri_state_header_valid(&h))
        return;
    azri_ignore(
        azri_pwrite_full(fd, &fate, sizeof fate, FATE_AT, ".azr/state", NULL));
}

int azri_state_condemn(bool *had_out, int dir, bool replaced, azr_error *err)
{
    int azr = -1, fd = -1;
    int rc = azri_open_at(&azr, dir, ".azr",
                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, NULL);

    *had_out = false;
    if (rc < 0)
        return AZR_OK; /* none, or a link to somebody else's */
    if (azri_open_at(&fd, azr, "state", O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0,
                     NULL) == AZR_OK) {
        write_mark(fd, replaced);
        *had_out = true;
    }
    azri_close(fd);
    /* [D-condemn] whoever finds a chunk gone from now on finds this gone too */
    if (azri_sys->unlinkat(azr, "state", 0) != 0 && errno != ENOENT)
        rc = azri_fail_errno(err, AZR_SUB_UNLINK, errno, "remove '.azr/state'");
    azri_close(azr);
    return rc;
}
