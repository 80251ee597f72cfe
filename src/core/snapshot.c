/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots: directories that somebody holds, with arrays taken into them. */
#include "base/stats.h"
#include "core/take.h"
#include "os/file.h"
#include "sync/owned_dir.h"

#include <errno.h>

/* Of one that does not stand in an array's `.azr`. */
#define ELSEWHERE ".azr-snap-"

typedef struct part {
    azri_owned owned;
    char *path;
    azr_array *a;
} part;

struct azr_snapshot {
    size_t n;
    part *parts;
    uint64_t chunks;
};

azr_array *azri_snapshot_array(const azr_snapshot *s, size_t i)
{
    return i < s->n ? s->parts[i].a : NULL;
}

const char *azri_snapshot_path(const azr_snapshot *s, size_t i)
{
    return i < s->n ? s->parts[i].path : NULL;
}

uint64_t azri_snapshot_chunks(const azr_snapshot *s)
{
    return s->chunks;
}

void azri_snapshot_close(azr_snapshot *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++) {
        azri_array_close(s->parts[i].a);
        azri_owned_close(&s->parts[i].owned);
        azri_free(s->parts[i].path);
    }
    azri_free(s->parts);
    azri_free(s);
}

/* ---------------------------------------------------------------- checks --- */

static int check_handle(const azr_array *a, azr_error *err)
{
    if (!a)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "an array is NULL");
    if (a->still)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "'%s' is an array of a snapshot already",
                             azri_domain_path(a->d));
    if (a->options.sync != AZR_SYNC_FULL)
        return azri_fail(err, AZR_EUNSUPPORTED,
                         "'%s': a snapshot needs a handle with AZR_SYNC_FULL",
                         azri_domain_path(a->d));
    return AZR_OK;
}

/* One handle of each: both would be locked by one owner otherwise. */
static int check_distinct(const azr_array *a, const azr_array *b,
                          azr_error *err)
{
    struct stat x, y;

    if (azri_sys->fstat(azri_domain_dir(a->d), &x) != 0 ||
        azri_sys->fstat(azri_domain_dir(b->d), &y) != 0)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'",
                               azri_domain_path(a->d));
    if (x.st_dev != y.st_dev || x.st_ino != y.st_ino)
        return AZR_OK;
    return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                         "'%s' and '%s' are one array; give it once",
                         azri_domain_path(a->d), azri_domain_path(b->d));
}

static int check_arrays(azr_array *const *arrays, size_t n, azr_error *err)
{
    int rc = AZR_OK;

    for (size_t i = 0; i < n && rc == AZR_OK; i++) {
        rc = check_handle(arrays[i], err);
        for (size_t k = 0; k < i && rc == AZR_OK; k++)
            rc = check_distinct(arrays[k], arrays[i], err);
    }
    return rc;
}

/* ----------------------------------------------------------------- make --- */

static int join(char **out, const char *dir, const char *middle,
                const char *name, azr_error *err)
{
    azri_buf b = AZRI_BUF_INIT;
    int rc = azri_buf_printf(&b, err, "%s/%s%s", dir, middle, name);

    if (rc == AZR_OK)
        rc = azri_buf_terminate(&b, err);
    if (rc < 0) {
        azri_buf_dispose(&b);
        return rc;
    }
    *out = (char *)b.data;
    return AZR_OK;
}

static int make_elsewhere(part *p, const char *directory, azr_error *err)
{
    uint32_t count = 0;
    struct stat st;
    int above = -1;
    int rc = azri_open_at(&above, AT_FDCWD, directory, O_RDONLY | O_DIRECTORY,
                          0, err);

    if (rc == AZR_ENOTFOUND)
        return azri_fail(err, rc, "'%s': no such directory", directory);
    if (rc == AZR_OK)
        rc = azri_owned_collect(above, ELSEWHERE, &count, err);
    if (rc == AZR_OK && azri_sys->fstat(above, &st) != 0)
        rc = azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'", directory);
    if (rc == AZR_OK) /* the directory may be everybody's, its content is not */
        rc = azri_owned_make(&p->owned, above, ELSEWHERE, 0700, st.st_gid, err);
    azri_close(above);
    return rc < 0 ? rc : join(&p->path, directory, "", p->owned.name, err);
}

static int make_part(part *p, azr_array *a, const char *directory,
                     azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    int rc;

    if (directory)
        return make_elsewhere(p, directory, err);
    rc = azri_domain_snap(&p->owned, a->d, &why);
    if (rc == AZR_EPERM)
        return azri_fail_why(err, rc, &why,
                             "'%s': no permission to make a snapshot in its "
                             "'.azr' (%s); give a directory for a copy",
                             azri_domain_path(a->d), why.message);
    if (rc < 0) {
        if (err)
            *err = why;
        return rc;
    }
    return join(&p->path, azri_domain_path(a->d), ".azr/snap/", p->owned.name,
                err);
}

static int new_snapshot(azr_snapshot **out, size_t n, azr_error *err)
{
    azr_snapshot *s = azri_calloc(1, sizeof *s);
    part *parts = azri_calloc(n, sizeof *parts);

    if (!s || !parts) {
        azri_free(s);
        azri_free(parts);
        return azri_fail_nomem(err, sizeof *s + n * sizeof *parts);
    }
    for (size_t i = 0; i < n; i++)
        parts[i].owned.above = parts[i].owned.dir = -1;
    s->n = n;
    s->parts = parts;
    *out = s;
    return AZR_OK;
}

static int take_into(azr_snapshot *s, azr_array *const *arrays,
                     const azr_snapshot_options *o, azr_error *err)
{
    azri_take *takes = azri_calloc(s->n, sizeof *takes);
    azri_taking taking = {
        .patience = azri_patience_from(o->timeout_ms, o->cancel),
        .progress = o->progress,
        .arg = o->arg,
    };
    int rc;

    if (!takes)
        return azri_fail_nomem(err, s->n * sizeof *takes);
    for (size_t i = 0; i < s->n; i++) {
        azri_take_init(&takes[i], arrays[i], s->parts[i].owned.dir);
        takes[i].may_link = !o->directory && !(o->flags & AZR_SNAPSHOT_COPY);
        takes[i].as_made = o->directory != NULL;
    }
    rc = azri_take_all(takes, s->n, &taking, err);
    for (size_t i = 0; i < s->n; i++) {
        s->chunks += takes[i].linked + takes[i].copied;
        azri_take_dispose(&takes[i]);
    }
    azri_free(takes);
    return rc;
}

int azri_snapshot_take(azr_snapshot **out, azr_array *const *arrays, size_t n,
                       const azr_snapshot_options *o, azr_error *err)
{
    azr_snapshot *s = NULL;
    int rc = check_arrays(arrays, n, err);

    if (rc == AZR_OK)
        rc = new_snapshot(&s, n, err);
    for (size_t i = 0; i < n && rc == AZR_OK; i++)
        rc = make_part(&s->parts[i], arrays[i], o->directory, err);
    if (rc == AZR_OK)
        rc = take_into(s, arrays, o, err);
    for (size_t i = 0; i < n && rc == AZR_OK; i++)
        rc = azri_array_open_still(&s->parts[i].a, s->parts[i].owned.dir,
                                   s->parts[i].path, arrays[i], err);
    if (rc < 0) {
        azri_snapshot_close(s);
        return rc;
    }
    *out = s;
    return AZR_OK;
}
