/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where snapshots stand: `.azr/snap/<id>/`, each a plain array, held by whoever
 * made it (sync/owned_dir.h). `.azr/snap` is never removed: that it is there tells
 * writers that links to their chunks come and go.
 */
#include "base/stats.h"
#include "txn/txn_local.h"

#include <errno.h>
#include <stdio.h>

#define SNAP ".azr/snap"

static int open_snaps(int *out, const azri_domain *d, azr_error *err)
{
    return azri_open_at(out, d->dir, SNAP, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                        0, err);
}

bool azri_snaps_are_used(const azri_domain *d)
{
    struct stat st;

    return azri_sys->fstatat(d->dir, SNAP, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A link in its place is not followed. */
static int make_snaps(int *out, const azri_domain *d, azr_error *err)
{
    struct stat st;
    bool made;
    int rc = azri_make_parents(d->dir, SNAP, d->dir_mode, d->dir_gid, NULL,
                               NULL, err);

    if (rc < 0)
        return rc;
    made = azri_sys->mkdirat(d->dir, SNAP, d->dir_mode) == 0;
    if (!made && errno != EEXIST)
        return azri_fail_errno(err, AZR_SUB_MKDIR, errno, "mkdir '%s/" SNAP "'",
                               d->path);
    rc = open_snaps(out, d, err);
    if (rc == AZR_ENOTFOUND)
        return azri_fail(err, rc, "'%s' was removed", d->path);
    if (rc == AZR_OK && made && azri_sys->fstat(*out, &st) == 0)
        rc = azri_fix_owner(*out, &st, d->dir_mode, d->dir_gid, SNAP, err);
    return rc;
}

int azri_domain_snap(azri_owned *out, azri_domain *d, azr_error *err)
{
    uint32_t n = 0;
    int snaps = -1;
    int rc = make_snaps(&snaps, d, err);

    if (rc == AZR_OK)
        rc = azri_owned_collect(snaps, "", &n, err);
    if (rc == AZR_OK)
        rc = azri_owned_make(out, snaps, "", d->dir_mode, d->dir_gid, err);
    azri_close(snaps);
    AZRI_COUNT(rubbish_removed, n);
    return rc;
}

void azri_snaps_collect(azri_domain *d, azr_recovery *count)
{
    uint32_t n = 0;
    int snaps = -1;

    if (open_snaps(&snaps, d, NULL) == AZR_OK)
        azri_ignore(azri_owned_collect(snaps, "", &n, NULL));
    azri_close(snaps);
    count->rubbish += n;
    AZRI_COUNT(rubbish_removed, n);
}

/* ---------------------------------------------------------------- list --- */

typedef struct survey {
    int snaps;
    azr_snapshot_fn fn;
    void *arg;
    azr_error *err;
} survey;

typedef struct weigher {
    int dir;
    int depth;
    azr_snapshot_info *info;
    azr_error *err;
} weigher;

/* NOLINTBEGIN(misc-no-recursion) */
static int weigh(const char *name, unsigned char d_type, void *arg)
{
    weigher *w = arg;
    weigher below = {-1, w->depth + 1, w->info, w->err};
    struct stat st;
    int rc = AZR_OK;

    (void)d_type;
    if (strcmp(name, AZRI_OWNED_WHO) == 0)
        return 0;
    if (azri_sys->fstatat(w->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0
                               : azri_fail_errno(w->err, AZR_SUB_STAT, errno,
                                                 "stat '%s'", name);
    if (S_ISREG(st.st_mode)) {
        w->info->objects++;
        w->info->nbytes += (uint64_t)st.st_size;
        if (st.st_nlink == 1)
            w->info->kept_nbytes += (uint64_t)st.st_size;
    } else if (S_ISDIR(st.st_mode) && w->depth <= AZR_MAX_RANK + 1) {
        rc = azri_open_at(&below.dir, w->dir, name,
                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, w->err);
        if (rc == AZR_OK)
            rc = azri_list(below.dir, ".", weigh, &below, w->err);
        azri_close(below.dir);
    }
    return rc == AZR_ENOTFOUND ? 0 : rc; /* gone meanwhile */
}

/* NOLINTEND(misc-no-recursion) */

static int tell_of(const char *name, unsigned char d_type, void *arg)
{
    const survey *s = arg;
    azr_snapshot_info info = {.struct_size = (uint32_t)sizeof info};
    weigher w = {-1, 0, &info, s->err};
    azri_owner who;
    int rc;

    if (!azri_owned_is_name(name, "") ||
        !azri_is_directory(s->snaps, name, d_type))
        return 0; /* nothing of ours */
    rc = azri_open_at(&w.dir, s->snaps, name,
                      O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, s->err);
    if (rc < 0)
        return rc == AZR_ENOTFOUND ? 0 : rc; /* gone meanwhile */
    (void)snprintf(info.id, sizeof info.id, "%s", name);
    info.alive = azri_owned_is_held(s->snaps, name);
    azri_owned_who(&who, w.dir);
    info.pid = who.pid;
    info.uid = who.uid;
    info.start_time_ns = who.start_ns;
    memcpy(info.host, who.host, sizeof info.host);
    rc = azri_list(w.dir, ".", weigh, &w, s->err);
    azri_close(w.dir);
    if (rc < 0)
        return rc;
    return s->fn(&info, s->arg) != 0 ? 1 : 0;
}

int azri_domain_snaps(azri_domain *d, azr_snapshot_fn fn, void *arg,
                      azr_error *err)
{
    survey s = {-1, fn, arg, err};
    int rc = open_snaps(&s.snaps, d, err);

    if (rc == AZR_ENOTFOUND)
        return AZR_OK;
    if (rc == AZR_OK)
        rc = azri_list(s.snaps, ".", tell_of, &s, err);
    azri_close(s.snaps);
    return rc > 0 ? AZR_OK : rc;
}
