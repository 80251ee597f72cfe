/* SPDX-License-Identifier: Apache-2.0 */
/* Steps 6 to 8 of a commit, the same code for the owner and for whoever finishes
 * the work of a dead one. Everything here may be done twice. */
#include "base/hash.h"
#include "base/stats.h"
#include "runtime/pool.h"
#include "txn/txn_local.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* (6) Whoever compares counters from now on sees that the keys moved. */
void azri_apply_bump(const azri_apply *a)
{
    azri_entry e;

    for (uint64_t i = 0; i < a->count; i++) {
        azri_entry_get(&e, a->s, a->entries, i);
        if (e.head.kind == AZRI_ENTRY_CHUNK) {
            uint16_t stripe = azri_stripe(e.coords, a->s->keying.rank);

            azri_sys->bump64("counter", azri_state_counter(a->s, stripe));
        } else {
            azri_sys->bump64("meta", &azri_state_changing(a->s)->meta);
        }
    }
}

static int crc_of_file(int dir, const char *name, uint64_t nbytes,
                       uint32_t *crc_out, azr_error *err)
{
    azri_buf file = AZRI_BUF_INIT;
    int rc = azri_read_file(&file, NULL, dir, name, (size_t)nbytes, err);

    if (rc == AZR_OK)
        *crc_out = azri_crc32c(0, file.data, file.nbytes);
    azri_buf_dispose(&file);
    return rc;
}

/* Recovery believes a staged object only if it is what the row promised. */
static int check_staged(int tx, const char *name, const azri_entry *e,
                        azr_error *err)
{
    struct stat st;
    uint32_t crc;
    int rc;

    if (azri_sys->fstatat(tx, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
            return AZR_ENOTFOUND;
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat .azr/tx/%s",
                               name);
    }
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != e->head.nbytes)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_RECORD,
                             ".azr/tx/%s: %lld bytes, its row says %llu", name,
                             (long long)st.st_size,
                             (unsigned long long)e->head.nbytes);
    if (e->head.crc == 0)
        return AZR_OK;
    rc = crc_of_file(tx, name, e->head.nbytes, &crc, err);
    if (rc == AZR_OK && crc != e->head.crc)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_RECORD,
                             ".azr/tx/%s: checksum %08x, its row says %08x",
                             name, crc, e->head.crc);
    return rc;
}

static bool key_exists(const azri_apply *a, const char *key)
{
    struct stat st;

    return azri_sys->fstatat(a->d->dir, key, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A directory made again while applying must not be lost with `power`. */
static int sync_parent(const char *parent, void *arg, azr_error *err)
{
    const azri_apply *a = arg;

    if (azri_domain_durability(a->d) != AZR_DURABILITY_POWER)
        return AZR_OK;
    return azri_fsync_dir(a->d->dir, parent, err);
}

#define CLOSE_TOGETHER ((uint64_t)4 << 20)

static int close_one(void *arg, uint64_t i, int worker, azr_error *err)
{
    const azri_kept *k = arg;

    (void)worker;
    (void)err;
    azri_close(k->fds[i]);
    return AZR_OK;
}

void azri_kept_close(const azri_domain *d, azri_kept *k)
{
    uint64_t n = (uint64_t)k->n;
    int width = k->nbytes < CLOSE_TOGETHER ? 1 : azri_pool_width(d->threads, n);

    azri_ignore(azri_pool_run(width, n, close_one, k, NULL));
    k->n = 0;
    k->nbytes = 0;
}

/* If it cannot be kept the rename is only slower. */
static void keep(const azri_apply *a, const char *key, uint64_t nbytes)
{
    azri_kept *k = a->kept;
    int fd;

    if (k->n == AZRI_KEPT_MAX)
        azri_kept_close(a->d, k);
    fd = azri_sys->openat(a->d->dir, key, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    k->fds[k->n++] = fd;
    k->nbytes += nbytes;
}

static int put_in_place(const azri_apply *a, int tx, const char *name,
                        const char *key, azr_error *err)
{
    azri_apply with = *a;
    int rc;

    if (azri_sys->renameat2(tx, name, a->d->dir, key, 0) == 0)
        return AZR_OK;
    if (errno != ENOENT)
        return azri_fail_errno(err, AZR_SUB_RENAME, errno,
                               "rename .azr/tx/%s to '%s'", name, key);
    /* the target's directory was removed by somebody, or the staged object has
     * been renamed before */
    rc = azri_make_parents(a->d->dir, key, a->d->dir_mode, a->d->dir_gid,
                           sync_parent, &with, err);
    if (rc < 0)
        return rc;
    if (azri_sys->renameat2(tx, name, a->d->dir, key, 0) == 0)
        return AZR_OK;
    if (errno == ENOENT && a->missing_ok && key_exists(a, key))
        return AZR_OK;
    return azri_fail_errno(err, AZR_SUB_RENAME, errno,
                           "rename .azr/tx/%s to '%s'", name, key);
}

static int take_away(const azri_apply *a, const char *key, azr_error *err)
{
    /* [W7-unlink] [F-unlink] before the row is cleared: until then readers take
     * the fill value whatever stands there */
    if (azri_sys->unlinkat(a->d->dir, key, 0) == 0 || errno == ENOENT ||
        errno == ENOTDIR)
        return AZR_OK;
    return azri_fail_errno(err, AZR_SUB_UNLINK, errno, "remove '%s'", key);
}

/* Who staged has opened it, or azri_apply_check, or who read the record. */
static int open_tx(const azri_apply *a)
{
    int tx = atomic_load(&a->d->tx);

    assert(tx >= 0);
    return tx;
}

static int rename_entry(const azri_apply *a, uint64_t i, const azri_entry *e,
                        azr_error *err)
{
    char name[AZRI_STAGED_NAME_MAX];
    char key[AZRI_KEY_MAX];

    azri_entry_key(key, a->s, e);
    if (e->head.flags & AZRI_ENTRY_DELETED) {
        AZRI_COUNT(chunks_deleted, 1);
        return take_away(a, key, err);
    }
    azri_staged_name(name, a->row, a->id, i);
    if (!a->staged || a->staged[i].kept.handle < 0)
        keep(a, key, e->head.nbytes);
    return put_in_place(a, open_tx(a), name, key, err);
}

/* Before recovery touches anything: is all of it there, staged or in place? One
 * bad object must not be met with half of the others renamed. */
int azri_apply_check(const azri_apply *a, azr_error *err)
{
    azri_entry e;
    int tx;
    int rc = azri_domain_tx(a->d, &tx, err);

    for (uint64_t i = 0; i < a->count && rc == AZR_OK; i++) {
        char name[AZRI_STAGED_NAME_MAX];
        char key[AZRI_KEY_MAX];

        azri_entry_get(&e, a->s, a->entries, i);
        if (e.head.flags & AZRI_ENTRY_DELETED)
            continue;
        azri_staged_name(name, a->row, a->id, i);
        rc = check_staged(tx, name, &e, err);
        if (rc != AZR_ENOTFOUND)
            continue;
        azri_entry_key(key, a->s, &e);
        rc = AZR_OK;
        if (!key_exists(a, key)) /* else it has been renamed before */
            rc = azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_RECORD,
                               "committed object '%s' is neither staged "
                               "(.azr/tx/%s) nor in place",
                               key, name);
    }
    return rc;
}

static int rename_kind(const azri_apply *a, bool documents, azr_error *err)
{
    azri_entry e;
    int rc = AZR_OK;

    for (uint64_t k = 0; k < a->count && rc == AZR_OK; k++) {
        /* attributes before the document that they belong to */
        uint64_t i = documents ? a->count - 1 - k : k;

        azri_entry_get(&e, a->s, a->entries, i);
        if ((e.head.kind != AZRI_ENTRY_CHUNK) == documents)
            rc = rename_entry(a, i, &e, err);
    }
    return rc;
}

/* (7) The document last when the array grows, first when it shrinks: a plain
 * reader then never looks for chunks that are not there yet, or no more. */
int azri_apply_rename(const azri_apply *a, azr_error *err)
{
    bool first = (a->flags & AZRI_WHAT_DOC_FIRST) != 0;
    int rc;

    /* a full fence on both sides: the bumps are seen before any rename, and
     * all renames before the row is cleared */
    atomic_thread_fence(memory_order_seq_cst);
    rc = rename_kind(a, first, err);
    if (rc == AZR_OK)
        rc = rename_kind(a, !first, err);
    atomic_thread_fence(memory_order_seq_cst);
    return rc;
}

/* Power: every directory renamed into. Entries are sorted, so equal parents
 * mostly follow each other. */
int azri_apply_sync(const azri_apply *a, azr_error *err)
{
    char last[AZRI_KEY_MAX] = "";
    azri_entry e;
    int rc = AZR_OK;

    for (uint64_t i = 0; i < a->count && rc == AZR_OK; i++) {
        char key[AZRI_KEY_MAX], parent[AZRI_KEY_MAX];

        azri_entry_get(&e, a->s, a->entries, i);
        azri_entry_key(key, a->s, &e);
        azri_key_parent(parent, key);
        if (strcmp(parent, last) == 0)
            continue;
        memcpy(last, parent, strlen(parent) + 1);
        if (key_exists(a, parent)) /* a deleted chunk may never have had one */
            rc = azri_fsync_dir(a->d->dir, parent, err);
    }
    return rc;
}

/* What is left of the transaction in tx/: its record (and, after a roll-back,
 * its staged objects). */
void azri_apply_rest(const azri_apply *a)
{
    char name[AZRI_STAGED_NAME_MAX];

    if (!(a->flags & AZRI_WHAT_RECORD))
        return;
    azri_record_name(name, a->row, a->id);
    (void)azri_sys->unlinkat(open_tx(a), name, 0);
}

/* --------------------------------------------------------------- above --- */

bool azri_asks_upkeep(const azri_domain *d)
{
    return d->upkeep && !(d->flags & AZRI_DOMAIN_STALE_ABOVE);
}

/*
 * Copies of the array's documents that stand elsewhere. The row says so before the
 * first of its documents is renamed, and is cleared after the copies agree: so
 * there is always somebody left who knows of a copy that is stale.
 */
int azri_apply_above(azri_domain *d, uint32_t flags, bool owner, azr_error *err)
{
    if (!(flags & AZRI_WHAT_ABOVE) || (owner && !AZRI_GUARD(ABOVE_OWNER)) ||
        (!owner && !AZRI_GUARD(ABOVE_ROW)))
        return AZR_OK;
    if (!d->upkeep)
        return AZR_EBUSY; /* left to who knows how */
    return d->upkeep(d->upkeep_arg, d, owner, err);
}
