/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/owned_dir.h"

#include "base/guard.h"
#include "os/file.h"
#include "os/host.h"
#include "os/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS 32
#define TRIES  16

bool azri_owned_is_name(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(name, prefix, n) == 0 && strlen(name + n) == DIGITS &&
           strspn(name + n, "0123456789abcdef") == DIGITS;
}

static int open_dir(int *out, int above, const char *name, azr_error *err)
{
    return azri_open_at(out, above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                        0, err);
}

/* Is the open directory still what stands under its name? AZR_ENOTFOUND (no
 * message): no. */
static int stands(int dir, int above, const char *name, azr_error *err)
{
    struct stat held, found;

    if (azri_sys->fstat(dir, &held) != 0)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'", name);
    if (azri_sys->fstatat(above, name, &found, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? AZR_ENOTFOUND
                               : azri_fail_errno(err, AZR_SUB_STAT, errno,
                                                 "stat '%s'", name);
    return held.st_dev == found.st_dev && held.st_ino == found.st_ino
               ? AZR_OK
               : AZR_ENOTFOUND;
}

/* ------------------------------------------------------------- removal --- */

/* Take the lock of one that nobody holds; below 0: not to be had. */
static int seize(int above, const char *name)
{
    int dir = -1;

    if (open_dir(&dir, above, name, NULL) < 0)
        return -1;
    if (AZRI_GUARD(SNAP_OWNER) && azri_flock_try(dir) != 0) {
        azri_close(dir);
        return -1;
    }
    return dir;
}

/* Under its lock: a maker that has not got it yet will see that it is gone. */
static bool remove_unheld(int above, const char *name)
{
    int dir = seize(above, name);
    bool gone;

    if (dir < 0)
        return false;
    gone = stands(dir, above, name, NULL) == AZR_OK &&
           azri_remove_all(above, name, NULL) == AZR_OK;
    azri_close(dir);
    return gone;
}

/*
 * Let go first, then try to take it: of several that share the lock, each tries
 * after it has let go, so the last one gets it; and if two try at once, the one
 * that is refused was refused by the one that removes it.
 */
void azri_owned_close(azri_owned *o)
{
    azri_close(o->dir);
    if (o->above >= 0)
        (void)remove_unheld(o->above, o->name);
    azri_close(o->above);
    o->dir = o->above = -1;
}

/* ---------------------------------------------------------------- make --- */

static int write_who(int dir, azr_error *err)
{
    char text[160], host[64];
    int fd = -1, rc;

    azri_host_name(host);
    (void)snprintf(text, sizeof text, "%u %u %lld %s\n", azri_process_id(),
                   azri_user_id(), (long long)azri_wall_ns(), host);
    rc = azri_open_at(&fd, dir, AZRI_OWNED_WHO, O_WRONLY | O_CREAT | O_EXCL,
                      0644, err);
    if (rc == AZR_ENOTFOUND)
        return azri_fail(err, rc, "a directory was removed as it was made");
    if (rc == AZR_OK)
        rc = azri_pwrite_full(fd, text, strlen(text), 0, AZRI_OWNED_WHO, err);
    azri_close(fd);
    return rc;
}

/* AZR_ECONFLICT (no message): a rival took the new directory for rubbish. */
static int make_one(azri_owned *o, mode_t mode, gid_t gid, azr_error *err)
{
    struct stat st;
    int rc;

    if (azri_sys->mkdirat(o->above, o->name, 0777) != 0) {
        if (errno == EEXIST)
            return AZR_ECONFLICT;
        return azri_fail_errno(err, AZR_SUB_MKDIR, errno, "mkdir '%s'",
                               o->name);
    }
    rc = open_dir(&o->dir, o->above, o->name, err);
    if (rc < 0)
        return rc == AZR_ENOTFOUND ? AZR_ECONFLICT : rc;
    rc = azri_flock_try(o->dir);
    if (rc == EWOULDBLOCK)
        return AZR_ECONFLICT;
    if (rc == EOPNOTSUPP || rc == ENOSYS || rc == EBADF)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
                             "this file system cannot lock directories");
    if (rc != 0)
        return azri_fail_errno(err, AZR_SUB_LOCK, rc, "lock directory '%s'",
                               o->name);
    /* from here on it is ours, if it was not removed before we had the lock */
    rc = stands(o->dir, o->above, o->name, err);
    if (rc < 0)
        return rc == AZR_ENOTFOUND ? AZR_ECONFLICT : rc;
    if (azri_sys->fstat(o->dir, &st) != 0)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'", o->name);
    rc = azri_fix_owner(o->dir, &st, mode, gid, o->name, err);
    return rc < 0 ? rc : write_who(o->dir, err);
}

int azri_owned_make(azri_owned *out, int above, const char *prefix, mode_t mode,
                    gid_t gid, azr_error *err)
{
    azri_owned o = AZRI_OWNED_INIT;
    uint64_t id[2];
    int rc = azri_open_at(&o.above, above, ".", O_RDONLY | O_DIRECTORY, 0, err);

    for (int i = 0; rc == AZR_OK && i < TRIES; i++) {
        rc = azri_random(id, sizeof id, err);
        if (rc < 0)
            break;
        (void)snprintf(o.name, sizeof o.name, "%.24s%016llx%016llx", prefix,
                       (unsigned long long)id[0], (unsigned long long)id[1]);
        rc = make_one(&o, mode, gid, err);
        if (rc == AZR_OK) {
            *out = o;
            return AZR_OK;
        }
        azri_close(o.dir);
        o.dir = -1;
        if (rc == AZR_ECONFLICT)
            rc = AZR_OK; /* the rival removes it */
        else
            (void)remove_unheld(o.above, o.name);
    }
    azri_close(o.above);
    return rc < 0 ? rc
                  : azri_fail(err, AZR_EBUSY,
                              "a new directory was removed %d times", TRIES);
}

bool azri_owned_is_held(int above, const char *name)
{
    int dir = -1;
    bool held;

    if (open_dir(&dir, above, name, NULL) < 0)
        return false;
    held = azri_flock_try(dir) == EWOULDBLOCK;
    azri_close(dir);
    return held;
}

typedef struct collector {
    int above;
    const char *prefix;
    uint32_t count;
} collector;

static int collect_one(const char *name, unsigned char d_type, void *arg)
{
    collector *c = arg;

    (void)d_type; /* what is no directory cannot be seized */
    if (azri_owned_is_name(name, c->prefix) && remove_unheld(c->above, name))
        c->count++;
    return 0;
}

int azri_owned_collect(int above, const char *prefix, uint32_t *count,
                       azr_error *err)
{
    collector c = {above, prefix, 0};
    int rc = azri_list(above, ".", collect_one, &c, err);

    *count += c.count;
    return rc;
}

/* ----------------------------------------------------------------- who --- */

/* Three numbers and a name, as they were written; zeros for what is not. */
static void parse_who(azri_owner *out, const char *text)
{
    char *at = NULL;
    unsigned long pid = strtoul(text, &at, 10);
    unsigned long uid = strtoul(at, &at, 10);
    long long start = strtoll(at, &at, 10);

    if (pid == 0 || pid > INT32_MAX || uid > UINT32_MAX || *at != ' ')
        return;
    out->pid = (int32_t)pid;
    out->uid = (uint32_t)uid;
    out->start_ns = start;
    at++;
    for (size_t i = 0; i + 1 < sizeof out->host && *at && *at != '\n'; i++) {
        out->host[i] = *at > ' ' && *at <= '~' ? *at : '?';
        at++;
    }
}

void azri_owned_who(azri_owner *out, int dir)
{
    azri_buf text = AZRI_BUF_INIT;

    memset(out, 0, sizeof *out);
    if (azri_read_file(&text, NULL, dir, AZRI_OWNED_WHO, 256, NULL) == AZR_OK &&
        azri_buf_terminate(&text, NULL) == AZR_OK)
        parse_who(out, (const char *)text.data);
    azri_buf_dispose(&text);
}
