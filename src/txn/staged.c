/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of staged objects and records, lists of them, and making them.
 *
 * They stand in tx/, or in one of fifteen lanes below it: the transaction of row
 * i in tx/<i % 16>/ (lane 0 is tx/ itself). Making a file and renaming it away
 * take the lock of its directory; with one directory for all, 20 writers on two
 * cores waited mostly for that (docs/performance.md). A lane is made by the first
 * who needs it: an array with one writer at a time has none.
 */
#include "base/hash.h"
#include "txn/txn_local.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char hex[] = "0123456789abcdef";

/* By hand: names are made several times for each object of each commit. */
static char *put_id(char *out, uint32_t row, uint64_t id)
{
    uint32_t lane = row % AZRI_LANES;

    if (lane > 0) {
        *out++ = hex[lane];
        *out++ = '/';
    }
    for (int shift = 52; shift >= 0; shift -= 4)
        *out++ = hex[id >> shift & 15];
    *out++ = '.';
    return out;
}

void azri_staged_name(char out[AZRI_STAGED_NAME_MAX], uint32_t row, uint64_t id,
                      uint64_t n)
{
    char digits[20];
    int count = 0;

    out = put_id(out, row, id);
    do {
        digits[count++] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    while (count > 0)
        *out++ = digits[--count];
    *out = '\0';
}

void azri_record_name(char out[AZRI_STAGED_NAME_MAX], uint32_t row, uint64_t id)
{
    out = put_id(out, row, id);
    *out++ = 'r';
    *out = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_lane(const char *name)
{
    return hex_digit(name[0]) > 0 && name[1] == '\0';
}

const char *azri_staged_base(const char *name)
{
    return hex_digit(name[0]) > 0 && name[1] == '/' ? name + 2 : name;
}

bool azri_staged_id(uint64_t *id_out, const char *name)
{
    uint64_t id = 0;

    name = azri_staged_base(name);
    for (int i = 0; i < 14; i++) {
        int v = hex_digit(name[i]);

        if (v < 0)
            return false;
        id = id << 4 | (unsigned)v;
    }
    *id_out = id;
    return name[14] == '.' && name[15] != '\0';
}

/* --------------------------------------------------------------- lists --- */

typedef struct lister {
    int dir; /* of the array */
    const char *lane;
    azri_list_fn fn;
    void *arg;
    azr_error *err;
} lister;

static int in_lane(const char *name, unsigned char d_type, void *arg)
{
    const lister *l = arg;
    char path[300];

    (void)snprintf(path, sizeof path, "%s/%.255s", l->lane, name);
    return l->fn(path, d_type, l->arg);
}

static int in_tx(const char *name, unsigned char d_type, void *arg)
{
    lister *l = arg;
    char path[20];

    if (!is_lane(name))
        return l->fn(name, d_type, l->arg);
    (void)snprintf(path, sizeof path, ".azr/tx/%.1s", name);
    if (!azri_is_directory(l->dir, path, d_type))
        return l->fn(name, d_type, l->arg);
    l->lane = name;
    return azri_list(l->dir, path, in_lane, l, l->err);
}

int azri_list_staged(azri_domain *d, azri_list_fn fn, void *arg, azr_error *err)
{
    lister l = {d->dir, NULL, fn, arg, err};

    return azri_list(d->dir, ".azr/tx", in_tx, &l, err);
}

int azri_list_lane(azri_domain *d, uint32_t row, azri_list_fn fn, void *arg,
                   azr_error *err)
{
    char lane[2] = {hex[row % AZRI_LANES], '\0'};
    lister l = {d->dir, lane, fn, arg, err};
    char path[20];

    if (row % AZRI_LANES == 0)
        return azri_list(d->dir, ".azr/tx", fn, arg, err);
    (void)snprintf(path, sizeof path, ".azr/tx/%s", lane);
    return azri_list(d->dir, path, in_lane, &l, err);
}

/* --------------------------------------------------------------- files --- */

static int make_lane(azri_domain *d, int tx, const char *name, azr_error *err)
{
    return azri_make_parents(tx, name, d->dir_mode, d->dir_gid, NULL, NULL,
                             err);
}

int azri_staged_create(int *fd_out, azri_domain *d, const char *name,
                       mode_t mode, azr_error *err)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL;
    int tx;
    int rc = azri_domain_tx(d, &tx, err);

    if (rc < 0)
        return rc;
    rc = azri_open_at(fd_out, tx, name, flags, mode, err);
    if (rc == AZR_ENOTFOUND && name[1] == '/') {
        rc = make_lane(d, tx, name, err);
        if (rc == AZR_OK)
            rc = azri_open_at(fd_out, tx, name, flags, mode, err);
    }
    if (rc == AZR_ENOTFOUND)
        return azri_fail_sub(err, AZR_ENOTFOUND, AZR_SUB_STATE,
                             "'%s/.azr/tx' was removed", d->path);
    return rc;
}

#define ALLOCATE_FROM ((size_t)1 << 20)
#define MAGIC_TMPFS   UINT64_C(0x01021994)

enum { MEDIUM_DISK = 1, MEDIUM_MEMORY };

static int medium_of(azri_domain *d)
{
    int medium = atomic_load(&d->medium);
    uint64_t magic = 0;
    char name[32];
    int fs_class;

    if (medium != 0)
        return medium;
    if (azri_fs_classify(&fs_class, &magic, name, d->dir, NULL) < 0)
        return MEDIUM_DISK;
    medium = magic == MAGIC_TMPFS ? MEDIUM_MEMORY : MEDIUM_DISK;
    atomic_store(&d->medium, medium);
    return medium;
}

void azri_staged_allocate(azri_domain *d, int fd, size_t nbytes)
{
    if (nbytes >= ALLOCATE_FROM && medium_of(d) == MEDIUM_DISK)
        (void)azri_sys->fallocate(fd, 0, 0, (off_t)nbytes);
}

/* A lane's own name is in tx/: once known to be on the disk it stays there. */
static int sync_tx(azri_domain *d, uint32_t lane, azr_error *err)
{
    uint32_t bit = UINT32_C(1) << lane;
    int tx, rc;

    if (lane > 0 && (atomic_load(&d->lanes_synced) & bit))
        return AZR_OK;
    rc = azri_domain_tx(d, &tx, err);
    if (rc == AZR_OK)
        rc = azri_fsync_fd(tx, ".azr/tx", err);
    if (rc == AZR_OK)
        atomic_fetch_or(&d->lanes_synced, bit);
    return rc;
}

int azri_staged_sync(azri_domain *d, uint32_t row, azr_error *err)
{
    char path[] = ".azr/tx/0";
    uint32_t lane = row % AZRI_LANES;
    struct stat st;
    int rc = sync_tx(d, lane, err);

    if (rc < 0 || lane == 0)
        return rc;
    path[sizeof path - 2] = hex[lane];
    /* a row that only deletes has staged nothing, and made no lane for it */
    if (azri_sys->fstatat(d->dir, path, &st, 0) != 0 && errno == ENOENT)
        return AZR_OK;
    return azri_fsync_dir(d->dir, path, err);
}

/* ------------------------------------------------ directories of keys --- */

uint64_t azri_text_hash(const char *text)
{
    uint64_t h = 0;

    for (; *text; text++)
        h = azri_splitmix64(h ^ (uint8_t)*text);
    return h | 1;
}

typedef struct names {
    azri_domain *d;
    bool again;
    bool top;                /* the array's directory was synced, */
    char last[AZRI_KEY_MAX]; /* and this one last */
} names;

/* Of directory `path`, whose name stands in `above`. One that is not there any more
 * is made again by who renames into it, and synced there. */
static int sync_name(names *n, const char *path, const char *above,
                     azr_error *err)
{
    uint64_t h = azri_text_hash(path);
    int fd = -1, rc;

    if (!n->again && atomic_load(&n->d->named[h % 256]) == h)
        return AZR_OK;
    if (strcmp(n->last, above) != 0 && !(n->top && strcmp(above, ".") == 0)) {
        rc =
            azri_open_at(&fd, n->d->dir, above, O_RDONLY | O_DIRECTORY, 0, err);
        if (rc < 0)
            return rc == AZR_ENOTFOUND ? AZR_OK : rc;
        rc = (azri_fsync_fd)(fd, above, err); /* at the place of the caller */
        azri_close(fd);
        if (rc < 0)
            return rc;
        memcpy(n->last, above, strlen(above) + 1);
        n->top |= strcmp(above, ".") == 0;
    }
    atomic_store(&n->d->named[h % 256], h);
    return AZR_OK;
}

static int sync_names(names *n, const char *path, azr_error *err)
{
    char part[AZRI_KEY_MAX], above[AZRI_KEY_MAX] = ".";
    size_t end = 0;
    int rc;

    do {
        end += strcspn(path + end, "/");
        memcpy(part, path, end);
        part[end] = '\0';
        rc = sync_name(n, part, above, err);
        memcpy(above, part, end + 1);
    } while (rc == AZR_OK && path[end++] != '\0');
    return rc;
}

#ifdef AZRI_SABOTAGE
#    undef azri_names_sync
#endif

/*
 * Whoever made them: he may have died, or given up, before he had synced them.
 *
 *   A makes c/ for the first chunk, and dies
 *   B finds c/, commits, renames into it, syncs it; the power goes: there is no c/
 *
 * The same with .azr/, tx/ and `state`, of who died creating the array.
 */
int azri_names_sync(azri_domain *d, const uint8_t *entries, uint64_t count,
                    bool again, azr_error *err)
{
    const azri_state *s = azri_domain_state(d);
    names n = {.d = d, .again = again};
    char done[AZRI_KEY_MAX] = ".";
    int rc = again ? AZR_OK : sync_names(&n, ".azr/tx", err);

    for (uint64_t i = 0; i < count && rc == AZR_OK; i++) {
        char key[AZRI_KEY_MAX], parent[AZRI_KEY_MAX];
        azri_entry e;

        azri_entry_get(&e, s, entries, i);
        azri_entry_key(key, s, &e);
        azri_key_parent(parent, key);
        if ((e.head.flags & AZRI_ENTRY_DELETED) || strcmp(parent, done) == 0 ||
            strcmp(parent, ".") == 0)
            continue;
        memcpy(done, parent, strlen(parent) + 1);
        rc = sync_names(&n, parent, err);
    }
    return rc;
}
