/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Staging and commit. Numbers are the steps of docs/protocol.md §3, labels those
 * of the models in proofs/.
 *
 * What is on disk if the process dies, or the power goes, at any line of this
 * file: before (5) the old state, plus files in tx/ that the next participant
 * removes; after (5) the new state, as soon as somebody looks.
 */
#include "base/hash.h"
#include "base/log.h"
#include "base/stats.h"
#include "txn/txn_local.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Descriptors that one transaction may hold before it commits. */
#define KEPT_FOR_MERGING 16u

/* ------------------------------------------------------------- entries --- */

int azri_txn_entries(azri_txn *t, uint64_t n, azri_coords_fn coords,
                     const void *arg, azr_error *err)
{
    size_t each = azri_entry_nbytes(t->s);
    uint64_t room = n + 2; /* and two documents at most */

    assert(!t->entries);
    if (n > UINT32_MAX - 2) /* a row counts them in 32 bits */
        return azri_fail(err, AZR_EINVAL, "%llu objects in one transaction",
                         (unsigned long long)n);
    t->entries = azri_calloc((size_t)room, each);
    t->staged = azri_calloc((size_t)room, sizeof *t->staged);
    if (!t->entries || !t->staged)
        return azri_fail_nomem(err, (size_t)room * each);
    for (uint64_t i = 0; i < room; i++)
        t->staged[i].kept.handle = -1;
    for (uint64_t i = 0; i < n; i++) {
        azri_entry e;

        memset(&e.head, 0, sizeof e.head);
        coords(arg, i, e.coords);
        azri_entry_put(t->entries, t->s, i, &e);
    }
    t->count = n;
    t->chunk_count = n;
    return AZR_OK;
}

/* ------------------------------------------------------------- staging --- */

static bool parent_known(azri_txn *t, const char *parent)
{
    uint64_t h = azri_text_hash(parent);

    return atomic_load(&t->d->parents[h % 256]) == h;
}

/* The parent of `key` must be a directory of the same mount that lets us replace
 * what is in it. Looked at once per parent and handle, unless it is sticky: then
 * the owner of each object counts. */
static int check_parent(azri_txn *t, const char *parent, azr_error *err)
{
    uint64_t h = azri_text_hash(parent);
    struct stat dir, tx;
    int tx_fd, rc;

    rc = azri_domain_tx(t->d, &tx_fd, err);
    if (rc < 0)
        return rc;
    if (azri_sys->fstatat(t->d->dir, parent, &dir, 0) != 0 ||
        azri_sys->fstat(tx_fd, &tx) != 0)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'", parent);
    if (!S_ISDIR(dir.st_mode))
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                             "'%s' is not a directory", parent);
    if (dir.st_dev != tx.st_dev)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
                             "'%s' is on another file system than the array",
                             parent);
    if (azri_sys->faccessat(t->d->dir, parent, W_OK | X_OK, AT_EACCESS) != 0)
        return azri_fail_errno(err, AZR_SUB_OPEN, errno,
                               "no permission to write in '%s'", parent);
    if (!(dir.st_mode & S_ISVTX))
        atomic_store(&t->d->parents[h % 256], h);
    return AZR_OK;
}

static int check_sticky(azri_txn *t, const char *parent, const struct stat *st,
                        const char *key, azr_error *err)
{
    struct stat dir;
    uid_t me = azri_user_id();

    if (st->st_uid == me || me == 0)
        return AZR_OK;
    if (azri_sys->fstatat(t->d->dir, parent, &dir, 0) != 0)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'", parent);
    if ((dir.st_mode & S_ISVTX) && dir.st_uid != me)
        return azri_fail(err, AZR_EPERM,
                         "'%s' belongs to another user and its directory is "
                         "sticky",
                         key);
    return AZR_OK;
}

/* What stands under `key` now, and that it can be replaced. Missing directories
 * are made. `now->read` says that something stands there. */
static int examine_target(azri_txn *t, const char *key, const char *parent,
                          azri_seen *now, azr_error *err)
{
    struct stat st;
    int rc = AZR_OK;

    if (azri_sys->fstatat(t->d->dir, key, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        now->read = S_ISREG(st.st_mode); /* a link's mode says nothing */
        now->object.mode = st.st_mode & 07777;
        now->object.gid = st.st_gid;
        if (S_ISDIR(st.st_mode))
            return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                                 "'%s' is a directory", key);
        if (parent_known(t, parent))
            return AZR_OK;
        rc = check_sticky(t, parent, &st, key, err);
        return rc < 0 ? rc : check_parent(t, parent, err);
    }
    if (errno != ENOENT)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'", key);
    if (parent_known(t, parent))
        return AZR_OK; /* removed since? (7) makes it again */
    rc = azri_make_parents(t->d->dir, key, t->d->dir_mode, t->d->dir_gid, NULL,
                           NULL, err);
    return rc < 0 ? rc : check_parent(t, parent, err);
}

/* What stands under `key`, if anything does, can be removed: after the commit
 * point it would be too late to learn that it cannot. */
static int examine_victim(azri_txn *t, const char *key, azr_error *err)
{
    char parent[AZRI_KEY_MAX];
    struct stat st;
    int rc;

    if (azri_sys->fstatat(t->d->dir, key, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return AZR_OK;
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'", key);
    }
    if (S_ISDIR(st.st_mode))
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                             "'%s' is a directory", key);
    azri_key_parent(parent, key);
    if (parent_known(t, parent))
        return AZR_OK;
    rc = check_sticky(t, parent, &st, key, err);
    return rc < 0 ? rc : check_parent(t, parent, err);
}

/* Permission bits and group of a new file. What came out right for one file of a
 * transaction does for the next one that wants the same: it is in the same
 * directory, under the same umask. */
static int own(azri_txn *t, int fd, mode_t mode, gid_t gid, const char *name,
               azr_error *err)
{
    uint64_t wanted = ((uint64_t)mode << 32 | gid) + 1;
    struct stat st;

    if (atomic_load(&t->comes_out) == wanted)
        return AZR_OK;
    if (azri_sys->fstat(fd, &st) != 0)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'", name);
    if ((st.st_mode & 07777) == mode && st.st_gid == gid)
        atomic_store(&t->comes_out, wanted);
    return azri_fix_owner(fd, &st, mode, gid, name, err);
}

static int write_staged(azri_txn *t, uint64_t i, azri_span bytes, mode_t mode,
                        gid_t gid, azr_error *err)
{
    char name[AZRI_STAGED_NAME_MAX];
    int fd, rc;

    azri_staged_name(name, t->row, t->id, i);
    rc = azri_staged_create(&fd, t->d, name, mode, err);
    if (rc < 0)
        return rc;
    t->staged[i].exists = true;
    azri_staged_allocate(t->d, fd, bytes.nbytes);
    rc = azri_pwrite_full(fd, bytes.data, bytes.nbytes, 0, name, err);
    if (rc == AZR_OK)
        rc = own(t, fd, mode, gid, name, err);
    if (rc == AZR_OK && azri_domain_durability(t->d) == AZR_DURABILITY_POWER &&
        AZRI_GUARD(SYNC_STAGED))
        rc = azri_fdatasync_fd(fd, name, err);
    if (azri_sys->close(fd) != 0 && rc == AZR_OK)
        rc = azri_fail_errno(err, AZR_SUB_WRITE, errno, "close '%s'", name);
    return rc;
}

/* Entry i gets its bytes. [W3-stage] What was opened for merging has told its
 * mode and group, and that it is a file: it is not asked again. */
static int stage(azri_txn *t, uint64_t i, azri_span bytes, azr_error *err)
{
    const azri_seen *seen = &t->staged[i].seen;
    char key[AZRI_KEY_MAX], parent[AZRI_KEY_MAX];
    azri_seen now = {.read = false};
    mode_t mode = t->d->dir_mode & 0666;
    gid_t gid = t->d->dir_gid;
    azri_entry e;
    int rc;

    azri_entry_get(&e, t->s, t->entries, i);
    azri_entry_key(key, t->s, &e);
    azri_key_parent(parent, key);
    if (seen->read && !seen->absent && parent_known(t, parent)) {
        now = *seen;
    } else {
        rc = examine_target(t, key, parent, &now, err);
        if (rc < 0)
            return rc;
    }
    if (now.read) {
        mode = now.object.mode;
        gid = now.object.gid;
    }
    rc = write_staged(t, i, bytes, mode, gid, err);
    if (rc < 0)
        return rc;
    e.head.nbytes = bytes.nbytes;
    e.head.flags = 0;
    if (azri_domain_durability(t->d) == AZR_DURABILITY_POWER)
        e.head.crc = azri_crc32c(0, bytes.data, bytes.nbytes);
    azri_entry_put(t->entries, t->s, i, &e);
    AZRI_COUNT(bytes_written, bytes.nbytes);
    return AZR_OK;
}

void azri_txn_keep(azri_txn *t, uint64_t i, azr_object *o)
{
    azr_object *kept = &t->staged[i].kept;

    if (kept->handle >= 0 ||
        atomic_fetch_add(&t->kept_count, 1) >= KEPT_FOR_MERGING)
        t->d->store->ops->close(t->d->store, o);
    else
        *kept = *o;
    o->handle = -1;
}

/* No such directory: the array's own, for one. */
static int fail_stage(const azri_txn *t, int rc, const azr_error *why,
                      azr_error *err)
{
    if (why->sys_errno == ENOENT && azri_domain_gone(t->d, NULL) < 0)
        return azri_domain_gone(t->d, err);
    azri_error_pass(err, why);
    return rc;
}

int azri_txn_stage(azri_txn *t, uint64_t i, azri_span bytes,
                   const azri_seen *seen, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    int rc;

    assert(i < t->chunk_count && (t->has_chunks || t->meta_exclusive));
    if (seen)
        t->staged[i].seen = *seen;
    AZRI_COUNT(chunks_written, 1);
    rc = stage(t, i, bytes, &why);
    return rc < 0 ? fail_stage(t, rc, &why, err) : rc;
}

int azri_txn_stage_deleted(azri_txn *t, uint64_t i, const azri_seen *seen,
                           azr_error *err)
{
    char key[AZRI_KEY_MAX];
    azri_entry e;
    int rc;

    assert(i < t->chunk_count);
    azri_entry_get(&e, t->s, t->entries, i);
    azri_entry_key(key, t->s, &e);
    rc = examine_victim(t, key, err);
    if (rc < 0)
        return rc;
    if (seen)
        t->staged[i].seen = *seen;
    e.head.flags = AZRI_ENTRY_DELETED;
    e.head.nbytes = 0;
    e.head.crc = 0;
    azri_entry_put(t->entries, t->s, i, &e);
    return AZR_OK;
}

int azri_txn_stage_document(azri_txn *t, unsigned kind, azri_span bytes,
                            bool first, const azr_object *replaced,
                            azr_error *err)
{
    uint64_t i = t->count;
    azri_entry e;

    assert(t->doc_exclusive || t->meta_exclusive);
    assert(i < t->chunk_count + 2);
    memset(&e, 0, sizeof e);
    e.head.kind = (uint8_t)kind;
    azri_entry_put(t->entries, t->s, i, &e);
    t->staged[i].seen.read = true;
    t->staged[i].seen.absent = replaced == NULL;
    if (replaced)
        t->staged[i].seen.object = *replaced;
    t->doc_first |= first;
    t->count++;
    return stage(t, i, bytes, err);
}

/* ---------------------------------------------------------------- what --- */

static bool touches_metadata(const azri_txn *t)
{
    return t->count > t->chunk_count || t->meta_exclusive;
}

static uint32_t above_flag(const azri_txn *t)
{
    return t->count > t->chunk_count && azri_asks_upkeep(t->d) ? AZRI_WHAT_ABOVE
                                                               : 0;
}

static void hull_of(const azri_txn *t, azri_what *w)
{
    w->first = UINT64_MAX;
    w->last = 0;
    for (uint64_t i = 0; i < t->chunk_count; i++) {
        azri_entry e;
        uint64_t offset;

        azri_entry_get(&e, t->s, t->entries, i);
        offset = azri_w_offset(t->s, e.coords);
        if (offset < w->first)
            w->first = offset;
        if (offset > w->last)
            w->last = offset;
    }
}

static int write_record(azri_txn *t, azri_what *w, size_t body, azr_error *err)
{
    char name[AZRI_STAGED_NAME_MAX];
    azri_record_head h;
    int fd = -1;
    int rc;

    memset(&h, 0, sizeof h);
    memcpy(h.magic, AZRI_RECORD_MAGIC, 8);
    h.id = t->id;
    memcpy(h.array_id, t->s->header.array_id, 16);
    h.count = t->count;
    h.entry_nbytes = (uint32_t)azri_entry_nbytes(t->s);
    h.flags = w->flags;
    h.others = t->others;
    w->flags |= AZRI_WHAT_RECORD;
    w->record_nbytes = sizeof h + body + t->refs.nbytes;
    w->record_crc = azri_crc32c(azri_crc32c(0, &h, sizeof h), t->entries, body);
    if (t->refs.nbytes > 0)
        w->record_crc =
            azri_crc32c(w->record_crc, t->refs.data, t->refs.nbytes);

    azri_record_name(name, t->row, t->id);
    rc = azri_staged_create(&fd, t->d, name, t->d->dir_mode & 0666, err);
    if (rc == AZR_OK)
        rc = azri_pwrite_full(fd, &h, sizeof h, 0, name, err);
    if (rc == AZR_OK)
        rc = azri_pwrite_full(fd, t->entries, body, sizeof h, name, err);
    if (rc == AZR_OK && t->refs.nbytes > 0)
        rc = azri_pwrite_full(fd, t->refs.data, t->refs.nbytes, sizeof h + body,
                              name, err);
    if (rc == AZR_OK)
        rc = own(t, fd, t->d->dir_mode & 0666, t->d->dir_gid, name, err);
    if (rc == AZR_OK && azri_domain_durability(t->d) == AZR_DURABILITY_POWER)
        rc = azri_fdatasync_fd(fd, name, err);
    azri_close(fd);
    return rc;
}

/* [W4-what] The row tells what is to be done, before any word promises it. */
static int complete_what(azri_txn *t, azri_what *w, azr_error *err)
{
    size_t body = (size_t)t->count * azri_entry_nbytes(t->s);
    size_t refs = t->refs.nbytes;
    int rc;

    memset(w, 0, sizeof *w);
    w->id = t->id;
    w->count = (uint32_t)t->count;
    w->flags = (touches_metadata(t) ? AZRI_WHAT_METADATA : 0) |
               (t->doc_first ? AZRI_WHAT_DOC_FIRST : 0) | above_flag(t) |
               t->several;
    w->home_row = t->home_row;
    memcpy(w->home_id, t->home_id, sizeof w->home_id);
    hull_of(t, w);
    if (body <= sizeof w->entries && refs <= sizeof w->entries - body) {
        memcpy(w->entries, t->entries, body);
        if (refs > 0)
            memcpy(w->entries + body, t->refs.data, refs);
        w->entries_nbytes = (uint32_t)(body + refs);
    } else {
        rc = write_record(t, w, body, err);
        if (rc < 0)
            return rc;
    }
    w->crc = azri_crc32c(0, w, offsetof(azri_what, crc));
    azri_sys->put("row.what", &azri_state_row(t->s, t->row)->what, w,
                  sizeof *w);
    return AZR_OK;
}

/*
 * Does `now` still hold what was read? The time of an inode's last change (ctime)
 * moves without a change of content when a snapshot's link to it is made or
 * removed, and when it is renamed to its key: there that alone is no verdict. What
 * it would tell beyond the time of the last write is a program that wrote as many
 * bytes into the chunk and then set that time back, to the nanosecond.
 */
static bool is_as_read(const azri_domain *d, const azri_seen *seen,
                       const azr_object_id *now)
{
    azr_object_id moved = *now;

    moved.ctime_ns = seen->object.id.ctime_ns;
    if (memcmp(&moved, &seen->object.id, sizeof moved) != 0)
        return false;
    return now->ctime_ns == moved.ctime_ns || seen->staged ||
           (AZRI_GUARD(SNAP_LINKS) && azri_snaps_are_used(d));
}

/* [W4-foreign] A plain Zarr program cannot be kept out; but what it did to an
 * object that we read and are about to replace is noticed. */
static int check_foreign(azri_txn *t, azr_error *err)
{
    if (!AZRI_GUARD(FOREIGN))
        return AZR_OK;
    for (uint64_t i = 0; i < t->count; i++) {
        const azri_seen *seen = &t->staged[i].seen;
        char key[AZRI_KEY_MAX];
        azr_object now = AZR_OBJECT_INIT;
        azri_entry e;
        int rc;

        if (!seen->read)
            continue;
        azri_entry_get(&e, t->s, t->entries, i);
        azri_entry_key(key, t->s, &e);
        rc = t->d->store->ops->identify(t->d->store, key, &now, err);
        if (rc == AZR_ENOTFOUND && seen->absent)
            continue;
        if (rc < 0 && rc != AZR_ENOTFOUND)
            return rc;
        if (rc == AZR_ENOTFOUND || seen->absent ||
            !is_as_read(t->d, seen, &now.id))
            return azri_fail_sub(err, AZR_ECONFLICT, AZR_SUB_FOREIGN,
                                 "'%s' was changed by a program that does not "
                                 "take part; nothing was written",
                                 key);
    }
    return AZR_OK;
}

/* [W4-sync] Everything that the commit rests on is on stable storage: staged
 * objects and record were synced one by one, here their names, those of the
 * directories of their keys, and `state`, so that a row cleared earlier cannot
 * come back beside this one and be applied after it. */
static int sync_staged(azri_txn *t, azr_error *err)
{
    int rc = azri_staged_sync(t->d, t->row, err);

    if (rc == AZR_OK)
        rc = azri_names_sync(t->d, t->entries, t->count, false, err);
    if (rc == AZR_OK)
        rc = azri_fdatasync_fd(t->s->fd, ".azr/state", err);
    if (rc < 0)
        atomic_store(&t->d->poisoned, true);
    return rc;
}

/* -------------------------------------------------------------- commit --- */

static int outcome_unknown(azri_txn *t, const azr_error *why, azr_error *err)
{
    t->committed = true; /* row and files are recovery's from here on */
    atomic_store(&t->d->poisoned, true);
    return azri_fail_why(err, AZR_EUNKNOWN, why,
                         "'%s': whether the commit took effect is not known "
                         "(%s); open the array anew, recovery decides",
                         t->d->path, why->message);
}

static void set_word(azri_txn *t, const char *what, uint32_t state)
{
    azri_sys->store64(what, azri_state_word(t->s, t->row),
                      azri_word(t->id, state));
}

/* (5) The commit point. */
static int commit_row(azri_txn *t, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;

    if (azri_domain_durability(t->d) == AZR_DURABILITY_POWER &&
        AZRI_GUARD(SEAL)) {
        set_word(t, "row.sealed", AZRI_SEALED);                  /* [W5-seal] */
        if (azri_fdatasync_fd(t->s->fd, ".azr/state", &why) < 0) /* [W5-sync] */
            return outcome_unknown(t, &why, err);
    }
    set_word(t, "row.committed", AZRI_COMMITTED); /* [W5-commit] */
    t->committed = true;
    AZRI_COUNT(commits, 1);
    return AZR_OK;
}

/* `process`: from when on is nothing on disk for sure? Stored unsynced; it gets
 * there with the rest. */
static void note_unsynced(azri_txn *t)
{
    azri_changing *c = azri_state_changing(t->s);
    uint64_t boot[2];
    uint8_t id[16];

    azri_boot_id(id);
    memcpy(boot, id, sizeof boot);
    if (atomic_load(&c->boot[0]) == boot[0] &&
        atomic_load(&c->boot[1]) == boot[1])
        return;
    azri_sys->store64("boot.time", &c->boot_time, (uint64_t)azri_wall_ns());
    azri_sys->store64("boot.0", &c->boot[0], boot[0]);
    azri_sys->store64("boot.1", &c->boot[1], boot[1]);
}

/* (8) */
static void clear_own_row(azri_txn *t, const azri_apply *a)
{
    azri_wait_slot *slot = &azri_state_row(t->s, t->row)->wait;

    atomic_store(&slot->holds_last, 0);
    atomic_store(&slot->holds_flags, 0);
    set_word(t, "row.clear", AZRI_FREE); /* [W8-clear] */
    azri_row_wake(t->s, t->row);
    azri_apply_rest(a); /* [W8-rest] */
}

/* All is renamed, and synced if need be, but a copy above is not renewed: what is
 * left to do is that of an ACTIVE row, which stands in nobody's way. */
static void leave_above(azri_txn *t, const azr_error *why)
{
    azri_wait_slot *slot = &azri_state_row(t->s, t->row)->wait;

    atomic_store(&slot->holds_last, 0);
    atomic_store(&slot->holds_flags, 0);
    set_word(t, "row.left", AZRI_ACTIVE);
    azri_row_wake(t->s, t->row);
    azri_log(AZR_LOG_WARNING,
             "'%s': consolidated metadata above is not renewed yet: %s; the "
             "next participant goes on",
             t->d->path, why->message);
}

void azri_txn_published(azri_txn *t)
{
    azr_error why = AZR_ERROR_INIT;

    if (!t->announced ||
        azri_apply_above(t->d, AZRI_WHAT_ABOVE, true, &why) >= 0)
        return;
    leave_above(t, &why);
    t->committed = true;
}

/* (6) to (8). An error leaves the row to recovery; the commit stands. */
static int apply_own(azri_txn *t, const azri_what *w, azr_error *err)
{
    azri_apply a = {
        .d = t->d,
        .kept = &t->kept,
        .s = t->s,
        .row = t->row,
        .id = t->id,
        .flags = w->flags,
        .count = t->count,
        .entries = t->entries,
        .staged = t->staged,
    };
    azr_error why = AZR_ERROR_INIT;
    int rc;

    if (!AZRI_GUARD(HOLD_LOCKS))
        azri_ignore(
            azri_ofd_unlock(t->fd, AZRI_LOCK_BASE, AZRI_LOCK_LAST, NULL));
    if (!AZRI_GUARD(RENAME_FIRST))
        clear_own_row(t, &a);
    if (AZRI_GUARD(BUMP))
        azri_apply_bump(&a);         /* [W6-bump] */
    rc = azri_apply_rename(&a, err); /* [W7-rename] */
    if (rc < 0)
        return rc;
    if (azri_domain_durability(t->d) == AZR_DURABILITY_POWER) {
        rc = azri_apply_sync(&a, err); /* [W8-sync] */
        if (rc < 0) {
            atomic_store(&t->d->poisoned, true);
            return rc;
        }
    }
    if (azri_apply_above(t->d, w->flags, true, &why) < 0) { /* [W8-above] */
        leave_above(t, &why);
        return AZR_OK;
    }
    if (AZRI_GUARD(RENAME_FIRST))
        clear_own_row(t, &a);
    return AZR_OK;
}

/* Steps 4: all that can fail, of one array. */
static int make_ready(azri_txn *t, azri_what *w, azr_error *err)
{
    int rc = complete_what(t, w, err);

    if (rc == AZR_OK)
        rc = check_foreign(t, err);
    if (rc < 0)
        return rc;
    if (azri_domain_durability(t->d) == AZR_DURABILITY_POWER)
        return sync_staged(t, err);
    note_unsynced(t);
    return AZR_OK;
}

static void warn_not_applied(const azri_txn *t, const azr_error *why)
{
    azri_log(AZR_LOG_WARNING,
             "'%s': transaction %014llx is committed, but not applied yet: "
             "%s; the next participant goes on",
             t->d->path, (unsigned long long)t->id, why->message);
}

/* (6) to (8) of one array. */
static bool apply_or_warn(azri_txn *t, const azri_what *w)
{
    azr_error warning = AZR_ERROR_INIT;

    if (apply_own(t, w, &warning) == AZR_OK)
        return true;
    warn_not_applied(t, &warning);
    return false;
}

int azri_txn_commit(azri_txn *t, azr_error *err)
{
    azri_what what;
    int rc;

    assert(t->has_row && !t->committed && t->has_meta);
    if (!azri_txn_is_owner(t))
        return azri_fail(err, AZR_EINVAL,
                         "this transaction belongs to process %u", t->pid);
    if (t->count == 0)
        return AZR_OK;
    rc = make_ready(t, &what, err);
    if (rc < 0)
        return rc;
    if (AZRI_GUARD(ROW)) {
        rc = commit_row(t, err);
        if (rc < 0)
            return rc;
    }
    t->committed = true;
    (void)apply_or_warn(t, &what);
    return AZR_OK;
}

/* ------------------------------------------------------ several arrays --- */

/* The home names the others, and they name the home: their rows and records say
 * so before any word promises it. */
static int introduce(azri_txn **parts, size_t n, azr_error *err)
{
    azri_txn *home = parts[0];
    int rc = azri_refs_put(&home->refs, home, parts + 1, n - 1, err);

    home->several = AZRI_WHAT_HOME;
    home->others = (uint32_t)(n - 1);
    for (size_t k = 1; k < n && rc == AZR_OK; k++) {
        azri_txn *t = parts[k];

        t->several = AZRI_WHAT_HAS_HOME;
        t->others = 1;
        t->home_row = home->row;
        memcpy(t->home_id, home->s->header.array_id, sizeof t->home_id);
        rc = azri_refs_put(&t->refs, t, &home, 1, err);
    }
    return rc;
}

/* [W5-prepare] From here on the home row says whether this one counts. */
static int prepare_row(azri_txn *t, azr_error *err)
{
    int rc = AZR_OK;

    if (!AZRI_GUARD(PREPARED))
        return AZR_OK;
    set_word(t, "row.prepared", AZRI_PREPARED);
    if (azri_domain_durability(t->d) == AZR_DURABILITY_POWER)
        rc = azri_fdatasync_fd(t->s->fd, ".azr/state", err);
    if (rc < 0)
        atomic_store(&t->d->poisoned, true);
    return rc;
}

/*
 * It will not be committed: before the home's row is cleared, and it perhaps
 * removed, nobody may depend on its word any more. Also where a sync has failed
 * before: that the disk has PREPARED is possible, and for ever if the home goes:
 *
 *   the sync of B's PREPARED fails; both rows are cleared
 *   the home is removed; the power goes: B is PREPARED, and its home is not there
 *
 * The store makes the page dirty once more, so this sync tells the truth about it,
 * whatever it was that the one before has dropped. The handle is of no use anyway.
 *
 * Only a sync can fail once a row is PREPARED: so this is `power`, and META, which is
 * held, keeps it so.
 */
static void unprepare(azri_txn **parts, size_t n)
{
    for (size_t k = 1; k < n; k++) {
        azri_txn *t = parts[k];
        azr_error why = AZR_ERROR_INIT;
        uint64_t word = atomic_load(azri_state_word(t->s, t->row));

        if (azri_word_state(word) != AZRI_PREPARED)
            continue;
        set_word(t, "row.unprepared", AZRI_ACTIVE);
        if (azri_fdatasync_fd(t->s->fd, ".azr/state", &why) < 0)
            atomic_store(&t->d->poisoned, true);
    }
}

/*
 * [W5-told] None of the others needs the home any more, nor the home them. With
 * `power` that has to outlive a power loss before the first of them is cleared:
 *
 *   the home and B are cleared, in memory; B commits again, and is synced
 *   the power goes: the home is COMMITTED again, B is as it was
 *   B is removed; the home names an array that is not there, for ever
 *
 * (or the other way round: B is PREPARED again, and the home is removed).
 */
static int tell_home(azri_txn **parts, size_t n, azr_error *err)
{
    azri_txn *home = parts[0];
    bool power = azri_domain_durability(home->d) == AZR_DURABILITY_POWER;
    int rc = AZR_OK;

    for (size_t k = 1; k < n && power; k++) {
        rc = azri_fdatasync_fd(parts[k]->s->fd, ".azr/state", err);
        if (rc < 0) {
            atomic_store(&parts[k]->d->poisoned, true);
            return rc;
        }
    }
    set_word(home, "home.told", AZRI_COMMITTED | AZRI_TOLD);
    if (power)
        rc = azri_fdatasync_fd(home->s->fd, ".azr/state", err);
    if (rc < 0)
        atomic_store(&home->d->poisoned, true);
    return rc;
}

static int commit_several(azri_txn **parts, size_t n, azri_what *what,
                          azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    bool applied = true;
    int rc = introduce(parts, n, err);

    for (size_t k = 0; k < n && rc == AZR_OK; k++)
        rc = make_ready(parts[k], &what[k], err);
    for (size_t k = 1; k < n && rc == AZR_OK; k++)
        rc = prepare_row(parts[k], err);
    if (rc < 0) {
        unprepare(parts, n);
        return rc; /* azri_txn_end rolls all of them back */
    }
    rc = commit_row(parts[0], err);
    for (size_t k = 1; k < n; k++)
        parts[k]->committed = true; /* or, as the home's, unknown */
    if (rc < 0)
        return rc;
    for (size_t k = 1; k < n; k++)
        set_word(parts[k], "other.committed", AZRI_COMMITTED); /* [W5-others] */
    if (AZRI_GUARD(TOLD) && tell_home(parts, n, &why) < 0) {
        warn_not_applied(parts[0], &why);
        return AZR_OK;
    }
    if (!AZRI_GUARD(OTHERS))
        (void)apply_or_warn(parts[0], &what[0]);
    for (size_t k = 1; k < n; k++)
        applied &= apply_or_warn(parts[k], &what[k]);
    /* the home row stands until the others are cleared */
    if (applied && AZRI_GUARD(OTHERS))
        (void)apply_or_warn(parts[0], &what[0]);
    return AZR_OK;
}

/* What one commit can join. */
static int check_parts(azri_txn **parts, size_t n, azr_error *err)
{
    const azri_txn *home = parts[0];

    for (size_t k = 0; k < n; k++) {
        const azri_txn *t = parts[k];

        assert(t->has_row && !t->committed && t->has_meta && t->id == home->id);
        if (!azri_txn_is_owner(t))
            return azri_fail(err, AZR_EINVAL,
                             "this transaction belongs to process %u", t->pid);
        if (t->s->dev != home->s->dev)
            return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
                                 "'%s' and '%s' are on two file systems: one "
                                 "transaction cannot write both",
                                 home->d->path, t->d->path);
        if (azri_domain_durability(t->d) != azri_domain_durability(home->d))
            return azri_fail(err, AZR_EUNSUPPORTED,
                             "'%s' and '%s' differ in durability: one "
                             "transaction cannot write both",
                             home->d->path, t->d->path);
    }
    return AZR_OK;
}

void azri_txn_never_home(azri_txn *t)
{
    t->never_home = true;
}

int azri_txn_commit_all(azri_txn *const *parts, size_t n, azr_error *err)
{
    azri_txn **written = azri_calloc(n, sizeof(void *));
    azri_what *what = azri_calloc(n, sizeof *what);
    size_t count = 0;
    int rc = AZR_OK;

    if (!written || !what) {
        rc = azri_fail_nomem(err, n * sizeof *what);
        goto done;
    }
    for (int last = 0; last < 2; last++) {
        for (size_t k = 0; k < n; k++) {
            if (parts[k]->count > 0 && parts[k]->never_home == (last == 1))
                written[count++] = parts[k];
        }
    }
    if (count == 1)
        rc = azri_txn_commit(written[0], err);
    else if (count > 1)
        rc = check_parts(written, count, err);
    if (count > 1 && rc == AZR_OK)
        rc = commit_several(written, count, what, err);
done:
    azri_free(what);
    azri_free(written);
    return rc;
}

/* ------------------------------------------------------------ creation --- */

/* [C-above] The row of a creator says, ACTIVE as it is, that copies above may miss
 * the documents that are about to appear. */
static void announce(azri_txn *t)
{
    azri_what w;

    if (t->announced || !azri_asks_upkeep(t->d))
        return;
    memset(&w, 0, sizeof w);
    w.id = t->id;
    w.flags = AZRI_WHAT_METADATA | AZRI_WHAT_ABOVE;
    w.first = UINT64_MAX;
    w.crc = azri_crc32c(0, &w, offsetof(azri_what, crc));
    azri_sys->put("row.what", &azri_state_row(t->s, t->row)->what, &w,
                  sizeof w);
    t->announced = true;
}

int azri_txn_publish(azri_txn *t, const char *key, azri_span text,
                     bool exclusive, azr_error *err)
{
    char name[AZRI_STAGED_NAME_MAX];
    int tx, rc;

    assert(t->meta_exclusive);
    if (!t->staged) {
        rc = azri_txn_entries(t, 0, NULL, NULL, err);
        if (rc < 0)
            return rc;
    }
    announce(t);
    rc = azri_domain_tx(t->d, &tx, err);
    if (rc == AZR_OK)
        rc = write_staged(t, t->count, text, t->d->dir_mode & 0666,
                          t->d->dir_gid, err);
    azri_staged_name(name, t->row, t->id, t->count);
    t->count++; /* so that azri_txn_end removes it if it stays */
    if (rc == AZR_OK && azri_domain_durability(t->d) == AZR_DURABILITY_POWER)
        rc = azri_staged_sync(t->d, t->row, err);
    /* of who made `state`, and died */
    if (rc == AZR_OK && azri_domain_durability(t->d) == AZR_DURABILITY_POWER)
        rc = azri_names_sync(t->d, NULL, 0, false, err);
    if (rc < 0)
        return rc;
    /* [C-document] exclusive: the loser of a race finds the winner's */
    if (azri_sys->renameat2(tx, name, t->d->dir, key,
                            exclusive ? RENAME_NOREPLACE : 0) != 0) {
        if (errno == EEXIST)
            return AZR_EEXISTS;
        return azri_fail_errno(err, AZR_SUB_RENAME, errno, "make '%s'", key);
    }
    azri_sys->bump64("meta", &azri_state_changing(t->s)->meta);
    if (azri_domain_durability(t->d) == AZR_DURABILITY_POWER)
        rc = azri_fsync_dir_after(t->d->dir, t->d->path, err);
    return rc;
}

int azri_txn_unpublish(azri_txn *t, const char *key, azr_error *err)
{
    assert(t->meta_exclusive);
    announce(t);
    if (azri_sys->unlinkat(t->d->dir, key, 0) != 0 && errno != ENOENT)
        return azri_fail_errno(err, AZR_SUB_UNLINK, errno, "remove '%s'", key);
    return AZR_OK;
}
