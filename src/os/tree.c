/* SPDX-License-Identifier: Apache-2.0 */
#include "os/tree.h"

#include "base/alloc.h"
#include "os/file.h"

#include <errno.h>
#include <stdbool.h>

#define COPY_NBYTES ((size_t)256 << 10)
#define SWEEPS      8 /* a list may miss names while others are removed */

typedef struct sweep {
    int dir;
    int depth;
    azr_error *err;
} sweep;

/* At most AZRI_TREE_DEPTH of these at once. */
/* NOLINTBEGIN(misc-no-recursion) */
static int remove_directory(int above, const char *name, int depth,
                            azr_error *err);

static int remove_entry(const char *name, unsigned char d_type, void *arg)
{
    const sweep *s = arg;

    (void)d_type; /* unlinkat tells, and cannot be fooled in between */
    if (azri_sys->unlinkat(s->dir, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return azri_fail_errno(s->err, AZR_SUB_UNLINK, errno, "remove '%s'",
                               name);
    return remove_directory(s->dir, name, s->depth + 1, s->err);
}

static int remove_directory(int above, const char *name, int depth,
                            azr_error *err)
{
    sweep s = {-1, depth, err};
    int rc;

    if (depth > AZRI_TREE_DEPTH)
        return azri_fail(err, AZR_EIO, "'%s' is more than %d levels deep", name,
                         AZRI_TREE_DEPTH);
    rc = azri_open_at(&s.dir, above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                      0, err);
    if (rc == AZR_ENOTFOUND)
        return AZR_OK;
    if (rc < 0)
        return rc;
    for (int i = 0; i < SWEEPS; i++) {
        rc = azri_list(s.dir, ".", remove_entry, &s, err);
        if (rc < 0 || azri_sys->unlinkat(above, name, AT_REMOVEDIR) == 0 ||
            errno == ENOENT)
            goto done;
        if (errno != ENOTEMPTY && errno != EEXIST)
            break;
    }
    rc = azri_fail_errno(err, AZR_SUB_UNLINK, errno, "remove directory '%s'",
                         name);
done:
    azri_close(s.dir);
    return rc;
}

/* NOLINTEND(misc-no-recursion) */

int azri_remove_all(int dir, const char *name, azr_error *err)
{
    if (azri_sys->unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return AZR_OK;
    if (errno != EISDIR && errno != EPERM)
        return azri_fail_errno(err, AZR_SUB_UNLINK, errno, "remove '%s'", name);
    return remove_directory(dir, name, 1, err);
}

/* ---------------------------------------------------------------- copy --- */

static int copy_by_hand(int to, int from, uint64_t done, uint64_t nbytes,
                        const char *name, azr_error *err)
{
    size_t most =
        nbytes - done < COPY_NBYTES ? (size_t)(nbytes - done) : COPY_NBYTES;
    void *buf = azri_alloc(most);
    int rc = AZR_OK;

    if (!buf)
        return azri_fail_nomem(err, most);
    while (rc == AZR_OK && done < nbytes) {
        size_t n = nbytes - done < most ? (size_t)(nbytes - done) : most;

        rc = azri_pread_full(from, buf, n, done, name, err);
        if (rc == AZR_OK)
            rc = azri_pwrite_full(to, buf, n, done, name, err);
        done += n;
    }
    azri_free(buf);
    return rc;
}

int azri_copy_content(int to, int from, uint64_t nbytes, const char *name,
                      azr_error *err)
{
    uint64_t done = 0;

    if (nbytes == 0 || azri_sys->clone(to, from) == 0)
        return AZR_OK;
    while (done < nbytes) {
        size_t n = nbytes - done < (uint64_t)1 << 30 ? (size_t)(nbytes - done)
                                                     : (size_t)1 << 30;
        ssize_t put = azri_sys->copy_range(from, to, (off_t)done, n);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) /* not here, or an error that the other way will name */
            return copy_by_hand(to, from, done, nbytes, name, err);
        done += (uint64_t)put;
    }
    return AZR_OK;
}
