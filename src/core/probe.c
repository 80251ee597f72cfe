/* SPDX-License-Identifier: Apache-2.0 */
/* What `azr doctor` asks of a file system. */
#include "base/alloc.h"
#include "os/file.h"
#include "os/host.h"
#include "sync/lock_ofd.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define PROBE_NBYTES 4096u

struct azr_probe {
    int dir;
    int fd;
    char name[256];
    void *map;
};

static const azri_range probe_range = {(uint64_t)1 << 40, (uint64_t)1 << 40,
                                       true};

static int map_probe(azr_probe *p, azr_error *err)
{
    if (azri_sys->fallocate(p->fd, 0, 0, PROBE_NBYTES) != 0)
        return azri_fail_errno(err, AZR_SUB_WRITE, errno, "allocate '%s'",
                               p->name);
    p->map = azri_sys->mmap(PROBE_NBYTES, PROT_READ | PROT_WRITE, p->fd);
    if (p->map == MAP_FAILED) {
        p->map = NULL;
        return azri_fail_errno(err, AZR_SUB_MAP, errno, "map '%s'", p->name);
    }
    return AZR_OK;
}

int azr_probe_open(azr_probe **out, const char *path, const char *name,
                   azr_error *err)
{
    azr_probe *p;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    if (!out || !path || !name || strlen(name) >= sizeof p->name)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "a probe needs a directory and a name");
    p = azri_calloc(1, sizeof *p);
    if (!p)
        return azri_fail_nomem(err, sizeof *p);
    p->fd = -1;
    (void)snprintf(p->name, sizeof p->name, "%s", name);
    rc = azri_open_at(&p->dir, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);
    if (rc == AZR_ENOTFOUND)
        rc = azri_fail(err, rc, "no directory '%s'", path);
    if (rc == AZR_OK)
        rc = azri_open_at(&p->fd, p->dir, name, O_RDWR | O_CREAT, 0600, err);
    if (rc == AZR_OK)
        rc = map_probe(p, err);
    if (rc < 0) {
        azr_probe_close(p, p->fd >= 0);
        return rc;
    }
    *out = p;
    return AZR_OK;
}

int azr_probe_lock(azr_probe *p, int exclusive, azr_error *err)
{
    azri_range r = probe_range;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    r.exclusive = exclusive != 0;
    rc = azri_ofd_try(p->fd, &r, err);
    if (rc == AZR_EBUSY)
        return 0;
    return rc < 0 ? rc : 1;
}

int azr_probe_unlock(azr_probe *p, azr_error *err)
{
    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    return azri_ofd_unlock(p->fd, probe_range.first, probe_range.last, err);
}

void azr_probe_store(azr_probe *p, uint64_t value)
{
    atomic_store((_Atomic uint64_t *)p->map, value);
}

uint64_t azr_probe_load(azr_probe *p)
{
    return atomic_load((_Atomic uint64_t *)p->map);
}

void azr_probe_close(azr_probe *p, int unlink_too)
{
    if (!p)
        return;
    if (p->map)
        (void)azri_sys->munmap(p->map, PROBE_NBYTES);
    if (unlink_too)
        (void)azri_sys->unlinkat(p->dir, p->name, 0);
    azri_close(p->fd);
    azri_close(p->dir);
    azri_free(p);
}

/* --------------------------------------------------------------- report --- */

static void try_locks(azr_fs_report *r, azr_probe *a, azr_probe *b)
{
    int first = azr_probe_lock(a, 1, NULL);
    int second = azr_probe_lock(b, 1, NULL);

    r->locks_conflict = first == 1 && second == 0;
    azri_ignore(azr_probe_unlock(a, NULL));
    r->locks_released = azr_probe_lock(b, 1, NULL) == 1;
    azri_ignore(azr_probe_unlock(b, NULL));
}

static void try_map(azr_fs_report *r, azr_probe *a, azr_probe *b)
{
    uint64_t seen = 0, want = UINT64_C(0x617a722070726f62);

    azr_probe_store(a, want);
    r->map_coherent =
        azri_sys->pread(b->fd, &seen, sizeof seen, 0) == (ssize_t)sizeof seen &&
        seen == want;
}

static void try_names(azr_fs_report *r, azr_probe *p)
{
    char other[sizeof p->name + 8];
    int fd = -1;

    (void)snprintf(other, sizeof other, "%s.other", p->name);
    if (azri_open_at(&fd, p->dir, other, O_RDWR | O_CREAT, 0600, NULL) < 0)
        return;
    azri_close(fd);
    r->rename_noreplace = azri_sys->renameat2(p->dir, other, p->dir, p->name,
                                              RENAME_NOREPLACE) != 0 &&
                          errno == EEXIST;
    r->rename_atomic =
        azri_sys->renameat2(p->dir, other, p->dir, p->name, 0) == 0;
    (void)azri_sys->unlinkat(p->dir, other, 0);
    fd = azri_sys->openat(p->dir, ".", O_TMPFILE | O_RDWR, 0600);
    r->unnamed_files = fd >= 0;
    azri_close(fd);
}

int azr_fs_probe(const char *path, azr_fs_report *out, azr_error *err)
{
    azr_probe *a = NULL, *b = NULL;
    char name[64];
    uint64_t random = 0;
    int rc;

    azri_error_begin(&err, &(azr_error)AZR_ERROR_INIT);
    if (!path || !out || out->struct_size != sizeof *out)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "azr_fs_probe needs a path and a report");
    rc = azri_random(&random, sizeof random, err);
    (void)snprintf(name, sizeof name, ".azr-probe.%016llx",
                   (unsigned long long)random);
    if (rc == AZR_OK)
        rc = azr_probe_open(&a, path, name, err);
    if (rc == AZR_OK)
        rc = azr_probe_open(&b, path, name, err);
    assert(rc != AZR_OK || (a && b));
    if (rc == AZR_OK)
        rc = azri_fs_classify(&out->fs_class, &out->magic, out->name, a->dir,
                              err);
    if (rc == AZR_OK) {
        try_locks(out, a, b);
        try_map(out, a, b);
        try_names(out, a);
    }
    azr_probe_close(b, 0);
    azr_probe_close(a, 1);
    return rc;
}
