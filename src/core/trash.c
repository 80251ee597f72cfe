/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trash.h"

#include "base/cancel.h"
#include "base/guard.h"
#include "sync/lock_dir.h"
#include "sync/owned_dir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---------------------------------------------------------------- bins --- */

#define TRIES 16

void azri_bin_close(azri_bin *b)
{
    azri_bin none = AZRI_BIN_INIT;

    azri_dir_unlock(b->lock);
    azri_close(b->dir);
    azri_close(b->trash);
    azri_close(b->parent);
    *b = none;
}

static int fail_make(const char *path, azr_error *err)
{
    return azri_fail_errno(err, AZR_SUB_MKDIR, errno,
                           "mkdir '%s/" AZRI_TRASH "'", path);
}

/* With the rights of the directory above: who may take something away there may
 * also collect what others left. */
static int make_in(int parent, const char *path, const char *id, azr_error *err)
{
    char below[sizeof AZRI_TRASH + 64];
    struct stat st;

    if (azri_sys->fstat(parent, &st) != 0)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'", path);
    (void)snprintf(below, sizeof below, AZRI_TRASH "/%s/x", id);
    return azri_make_parents(parent, below, st.st_mode & 0777, st.st_gid, NULL,
                             NULL, err);
}

static int open_in(azri_bin *b, int parent, azr_error *err)
{
    int rc = azri_open_at(&b->trash, parent, AZRI_TRASH,
                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);

    if (rc == AZR_OK)
        rc = azri_open_at(&b->dir, b->trash, b->name,
                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
    return rc;
}

/* .azr-trash goes when it is empty, by who holds no lock of the directory above:
 * so it may be gone again before <id> is made in it. */
int azri_bin_open(azri_bin *b, int parent, const char *path, bool replaced,
                  azr_error *err)
{
    azri_patience now = {0, NULL};
    uint64_t id[2];
    int rc = azri_random(id, sizeof id, err);

    if (rc < 0)
        return rc;
    rc = azri_open_at(&b->parent, parent, ".", O_RDONLY | O_DIRECTORY, 0, err);
    if (rc < 0)
        return rc;
    b->replaced = replaced;
    (void)snprintf(b->name, sizeof b->name, "%016llx%016llx.%c",
                   (unsigned long long)id[0], (unsigned long long)id[1],
                   replaced ? 'b' : 'r');
    rc = AZR_ENOTFOUND;
    for (int k = 0; k < TRIES && rc == AZR_ENOTFOUND; k++) {
        azr_error why = AZR_ERROR_INIT;

        azri_close(b->trash);
        b->trash = -1;
        rc = make_in(parent, path, b->name, &why);
        if (rc < 0 && why.sys_errno == ENOENT)
            rc = AZR_ENOTFOUND;
        else if (rc < 0)
            azri_error_pass(err, &why);
        if (rc == AZR_OK)
            rc = open_in(b, parent, err);
    }
    if (rc == AZR_OK && AZRI_GUARD(CLAIM))
        rc = azri_dir_lock(&b->lock, b->dir, path, &now, err);
    if (rc == AZR_ENOTFOUND) {
        errno = ENOENT;
        rc = fail_make(path, err);
    }
    if (rc < 0)
        azri_bin_close(b);
    return rc;
}

/* What cannot be told is kept, too: then the next one may know. */
static bool is_there(int dir, const char *name)
{
    struct stat st;

    return azri_sys->fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
           errno != ENOENT;
}

static bool is_kept(int dir)
{
    return is_there(dir, AZRI_BIN_KEEP) && is_there(dir, AZRI_BIN_NODE);
}

void azri_bin_keep(azri_bin *b)
{
    int fd = -1;

    azri_ignore(azri_open_at(&fd, b->dir, AZRI_BIN_KEEP, O_WRONLY | O_CREAT,
                             0666, NULL));
    azri_close(fd);
    azri_bin_close(b);
}

typedef struct claim {
    azri_bin *b;
    bool found;
} claim;

static int try_claim(const char *name, unsigned char d_type, void *arg)
{
    claim *c = arg;
    azri_patience now = {0, NULL}; /* held: its maker lives */
    size_t n = strlen(name);

    if (n >= sizeof c->b->name || !azri_is_directory(c->b->trash, name, d_type))
        return 0;
    memcpy(c->b->name, name, n + 1);
    if (azri_open_at(&c->b->dir, c->b->trash, name,
                     O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, NULL) < 0)
        return 0;
    if (azri_dir_lock(&c->b->lock, c->b->dir, name, &now, NULL) == AZR_OK) {
        c->b->replaced = n > 2 && strcmp(name + n - 2, ".b") == 0;
        c->found = !is_kept(c->b->dir);
        if (c->found)
            return 1;
        azri_dir_unlock(c->b->lock);
        c->b->lock = -1;
    }
    azri_close(c->b->dir);
    c->b->dir = -1;
    return 0;
}

int azri_bin_claim(azri_bin *b, int parent, azr_error *err)
{
    claim c = {b, false};
    int rc = azri_open_at(&b->trash, parent, AZRI_TRASH,
                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);

    if (rc == AZR_OK)
        rc = azri_open_at(&b->parent, parent, ".", O_RDONLY | O_DIRECTORY, 0,
                          err);
    if (rc == AZR_OK)
        rc = azri_list(b->trash, ".", try_claim, &c, err);
    if (rc >= 0 && c.found)
        return AZR_OK;
    if (rc >= 0) /* of who died before he put something in */
        (void)azri_sys->unlinkat(parent, AZRI_TRASH, AT_REMOVEDIR);
    azri_bin_close(b);
    return rc < 0 ? rc : AZR_ENOTFOUND;
}

/* -------------------------------------------------------------- sweeping --- */

/* Directories below this depth are renamed up to <id> first, so neither the
 * number of descriptors nor the length of a path bounds what can be removed. */
#define DEEPEST 24
#define PASSES  8

typedef struct sweeper {
    azri_sweep *s;
    const azri_bin *bin;
    int dir; /* being emptied */
    int depth;
    bool in_array;
    bool left; /* something is still there */
    azr_error *err;
} sweeper;

static int remove_documents(int dir, azr_error *err)
{
    static const char *const names[] = {"zarr.json", ".zarray", ".zgroup"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (azri_sys->unlinkat(dir, names[i], 0) != 0 && errno != ENOENT &&
            errno != EISDIR && errno != EPERM)
            return azri_fail_errno(err, AZR_SUB_UNLINK, errno, "remove '%s'",
                                   names[i]);
    }
    return AZR_OK;
}

/* Handles that are still open must see the array gone before its chunks are: by
 * `state`, or where there is none by the document, which every read looks at once
 * more at its end. */
static int condemn(int dir, bool replaced, bool *had_out, azr_error *err)
{
    int rc = AZR_OK;

    *had_out = false;
    if (!AZRI_GUARD(CONDEMN))
        return AZR_OK;
    rc = azri_state_condemn(had_out, dir, replaced, err);
    return rc < 0 ? rc : remove_documents(dir, err);
}

static int note_removed(sweeper *w)
{
    azri_sweep *s = w->s;

    s->done++;
    if (azri_canceled(s->cancel) || (s->progress && s->done % 256 == 0 &&
                                     s->progress(s->done, 0, s->arg) != 0))
        return azri_fail(w->err, AZR_ECANCELED,
                         "canceled; the rest is left to the next one");
    return AZR_OK;
}

/* NOLINTBEGIN(misc-no-recursion): DEEPEST levels */
static int empty(sweeper *w, int dir, int depth, bool in_array);

static int fail_remove(const sweeper *w, const char *name)
{
    if (errno == ENOENT)
        return AZR_OK;
    return azri_fail_errno(w->err, AZR_SUB_UNLINK, errno, "remove '%.255s'",
                           name);
}

static int move_up(sweeper *w, const char *name)
{
    char up[32];
    uint64_t random = 0;
    int rc = azri_random(&random, sizeof random, w->err);

    if (rc < 0)
        return rc;
    (void)snprintf(up, sizeof up, "%016llx", (unsigned long long)random);
    if (azri_sys->renameat2(w->dir, name, w->bin->dir, up, RENAME_NOREPLACE) !=
        0)
        return fail_remove(w, name);
    return AZR_OK;
}

static int remove_directory(sweeper *w, const char *name)
{
    sweeper outer = *w;
    bool had = w->in_array;
    int dir = -1, rc;

    if (w->depth >= DEEPEST)
        return move_up(w, name);
    rc = azri_open_at(&dir, w->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                      0, w->err);
    if (rc == AZR_ENOTFOUND)
        return AZR_OK;
    if (rc == AZR_OK && !w->in_array)
        rc = condemn(dir, w->bin->replaced, &had, w->err);
    else if (rc == AZR_OK && azri_owned_is_name(name, ""))
        rc = remove_documents(dir, w->err); /* a snapshot: who reads it, too */
    if (rc == AZR_OK)
        rc = empty(w, dir, w->depth + 1, had);
    azri_close(dir);
    *w = outer;
    if (rc == AZR_OK && azri_sys->unlinkat(w->dir, name, AT_REMOVEDIR) != 0) {
        if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOENT)
            return AZR_OK; /* a late writer: the next pass; or nothing */
        rc = fail_remove(w, name);
    }
    return rc < 0 ? rc : note_removed(w);
}

static int remove_one(const char *name, unsigned char d_type, void *arg)
{
    sweeper *w = arg;

    w->left = true;
    if (azri_is_directory(w->dir, name, d_type))
        return remove_directory(w, name);
    if (azri_sys->unlinkat(w->dir, name, 0) != 0)
        return fail_remove(w, name);
    return note_removed(w);
}

/* Until a pass finds nothing: what is renamed up, or written late, is met then. */
static int empty(sweeper *w, int dir, int depth, bool in_array)
{
    int idle = 0, rc = AZR_OK;

    w->depth = depth;
    w->in_array = in_array;
    for (int pass = 0; pass < PASSES && rc == AZR_OK; pass++) {
        uint64_t before = w->s->done;

        w->dir = dir;
        w->left = false;
        rc = azri_list(dir, ".", remove_one, w, w->err);
        if (!w->left)
            break;
        if (w->s->done == before && ++idle == 2)
            break; /* nothing that is listed can be removed, nor is it there */
        if (depth == 0)
            pass = 0;
    }
    return rc;
}

/* NOLINTEND(misc-no-recursion) */

int azri_bin_empty(azri_bin *b, azri_sweep *s, azr_error *err)
{
    sweeper w = {s, b, b->dir, 0, false, false, err};
    int rc = empty(&w, b->dir, 0, false);

    if (rc == AZR_OK &&
        azri_sys->unlinkat(b->trash, b->name, AT_REMOVEDIR) != 0)
        rc = fail_remove(&w, b->name);
    if (rc == AZR_OK) /* unless something else is in it */
        (void)azri_sys->unlinkat(b->parent, AZRI_TRASH, AT_REMOVEDIR);
    azri_bin_close(b);
    return rc;
}

int azri_bin_sync(const azri_bin *b, int parent, const char *path,
                  azr_error *err)
{
    int rc = azri_fsync_dir_after(b->dir, path, err);

    if (rc == AZR_OK)
        rc = azri_fsync_dir_after(b->trash, path, err);
    return rc < 0 ? rc : azri_fsync_dir_after(parent, path, err);
}
