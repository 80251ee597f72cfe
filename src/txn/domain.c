/* SPDX-License-Identifier: Apache-2.0 */
/* An array's directory, its `state`, the pool of lock descriptors, and what
 * fork() needs to know of them. */
#include "base/hash.h"
#include "store/store_fs.h"
#include "txn/txn_local.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --------------------------------------------------------------- fork --- */

static pthread_mutex_t g_domains_mutex = PTHREAD_MUTEX_INITIALIZER;
static azri_domain *g_domains;
static pthread_once_t g_fork_once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
    (void)pthread_mutex_lock(&g_domains_mutex);
    for (azri_domain *d = g_domains; d; d = d->next) {
        (void)pthread_mutex_lock(&d->mutex);
        if (d->table)
            azri_lock_table_before_fork(d->table);
    }
}

static void after_fork(bool in_child)
{
    for (azri_domain *d = g_domains; d; d = d->next) {
        if (d->table)
            azri_lock_table_after_fork(d->table, in_child);
        (void)pthread_mutex_unlock(&d->mutex);
    }
    (void)pthread_mutex_unlock(&g_domains_mutex);
}

static void after_fork_parent(void)
{
    after_fork(false);
}

/* The child shares the parent's open file descriptions. While it holds a copy,
 * the parent's locks would outlive the parent: so it closes them. It must not
 * unlock: that would free the parent's locks now. */
static void after_fork_child(void)
{
    for (azri_domain *d = g_domains; d; d = d->next) {
        for (int i = 0; i < d->pool_count; i++)
            azri_close(d->pool[i]);
        for (int i = 0; i < d->lent_count; i++)
            azri_close(d->lent[i]); /* of whoever was at work in the parent */
        d->pool_count = 0;
        d->lent_count = 0;
        d->id_count = 0; /* the parent uses them */
        for (azri_txn *t = d->txns; t; t = t->next) {
            t->fd = -1;
            t->orphan = true;
        }
        d->txns = NULL;
    }
    after_fork(true);
}

static void install_fork_handlers(void)
{
    (void)pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

static void enlist(azri_domain *d)
{
    (void)pthread_once(&g_fork_once, install_fork_handlers);
    (void)pthread_mutex_lock(&g_domains_mutex);
    d->next = g_domains;
    d->link = &g_domains;
    if (g_domains)
        g_domains->link = &d->next;
    g_domains = d;
    (void)pthread_mutex_unlock(&g_domains_mutex);
}

static void delist(azri_domain *d)
{
    (void)pthread_mutex_lock(&g_domains_mutex);
    if (d->link)
        *d->link = d->next;
    if (d->link && d->next)
        d->next->link = d->link;
    (void)pthread_mutex_unlock(&g_domains_mutex);
}

/* --------------------------------------------------------------- open --- */

static int learn_directory(azri_domain *d, azr_error *err)
{
    struct stat st;

    if (azri_sys->fstat(d->dir, &st) != 0)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'", d->path);
    d->dir_mode = st.st_mode & 0777;
    d->dir_gid = st.st_gid;
    return AZR_OK;
}

static int allocate(azri_domain **out, const char *path, unsigned flags,
                    azr_error *err)
{
    azri_domain *d = azri_calloc(1, sizeof *d);
    int rc = AZR_OK;

    if (!d)
        return azri_fail_nomem(err, sizeof *d);
    d->dir = -1;
    atomic_init(&d->tx, -1);
    atomic_init(&d->slot_hint, 0);
    d->flags = flags;
    d->uid = azri_user_id();
    (void)pthread_mutex_init(&d->mutex, NULL);
    d->path = azri_strdup(path);
    if (!d->path)
        rc = azri_fail_nomem(err, strlen(path));
    if (rc == AZR_OK && !(flags & AZRI_DOMAIN_KERNEL_LOCKS))
        rc = azri_lock_table_new(&d->table, err);
    if (rc < 0) {
        azri_domain_close(d);
        return rc;
    }
    *out = d;
    return AZR_OK;
}

static int open_directory(azri_domain *d, azr_error *err)
{
    int rc = azri_open_at(&d->dir, AT_FDCWD, d->path, O_RDONLY | O_DIRECTORY, 0,
                          err);

    if (rc < 0)
        return rc;
    rc = learn_directory(d, err);
    if (rc == AZR_OK)
        rc = azri_store_fs_new(&d->store, d->dir, err);
    return rc;
}

void azri_domain_set_threads(azri_domain *d, int threads)
{
    d->threads = threads;
}

void azri_domain_set_upkeep(azri_domain *d, azri_upkeep_fn fn, void *arg)
{
    d->upkeep = fn;
    d->upkeep_arg = arg;
}

int azri_domain_open(azri_domain **out, const char *path, unsigned flags,
                     azr_error *err)
{
    azri_domain *d = NULL;
    bool has;
    int rc = allocate(&d, path, flags, err);

    if (rc < 0)
        return rc;
    rc = open_directory(d, err);
    /* a writer opens `state` when it is ready for it: it may have to mend it */
    if (rc == AZR_OK && !(flags & (AZRI_DOMAIN_PLAIN | AZRI_DOMAIN_WRITE)))
        rc = azri_domain_has_state(d, &has, err);
    if (rc < 0) {
        azri_domain_close(d);
        return rc;
    }
    enlist(d);
    *out = d;
    return AZR_OK;
}

int azri_domain_open_dir(azri_domain **out, int dir, const char *path,
                         unsigned flags, azr_error *err)
{
    azri_domain *d = NULL;
    int rc = allocate(&d, path, flags, err);

    if (rc == AZR_OK)
        rc = azri_open_at(&d->dir, dir, ".", O_RDONLY | O_DIRECTORY, 0, err);
    if (rc == AZR_OK)
        rc = learn_directory(d, err);
    if (rc == AZR_OK)
        rc = azri_store_fs_new(&d->store, d->dir, err);
    if (rc < 0) {
        azri_domain_close(d);
        return rc;
    }
    enlist(d);
    *out = d;
    return AZR_OK;
}

/* With its `state`, or not at all. */
static int open_with_state(azri_domain **out, int at, const char *sub,
                           const char *path, unsigned flags, azr_error *err)
{
    azri_domain *d = NULL;
    bool has = false;
    int rc = allocate(&d, path, flags | AZRI_DOMAIN_KERNEL_LOCKS, err);

    if (rc < 0)
        return rc;
    rc = azri_open_at(&d->dir, at, sub, O_RDONLY | O_DIRECTORY, 0, err);
    if (rc == AZR_OK)
        rc = learn_directory(d, err);
    if (rc == AZR_OK)
        rc = azri_store_fs_new(&d->store, d->dir, err);
    if (rc == AZR_OK)
        rc = azri_domain_has_state(d, &has, err);
    if (rc == AZR_OK && !has)
        rc = AZR_ENOTFOUND;
    if (rc < 0) {
        azri_domain_close(d);
        return rc;
    }
    enlist(d);
    *out = d;
    return AZR_OK;
}

int azri_domain_open_beside(azri_domain **out, const azri_domain *beside,
                            const char *path, azr_error *err)
{
    char name[AZRI_REF_PATH_MAX + 512];
    int rc;

    (void)snprintf(name, sizeof name, "%.500s/%s", beside->path, path);
    rc = open_with_state(out, beside->dir, path, name, 0, err);
    if (rc < 0)
        return rc;
    (*out)->threads = beside->threads;
    (*out)->upkeep = beside->upkeep;
    return AZR_OK;
}

int azri_domain_open_at(azri_domain **out, int at, const char *sub,
                        const char *path, azr_error *err)
{
    return open_with_state(out, at, sub, path, AZRI_DOMAIN_WRITE, err);
}

int azri_domain_set_path(azri_domain *d, const char *path, azr_error *err)
{
    char *copy = azri_strdup(path);

    if (!copy)
        return azri_fail_nomem(err, strlen(path));
    azri_free(d->path);
    d->path = copy;
    return AZR_OK;
}

/* Power: the array's own name. */
static int sync_name_of(const char *path, azr_error *err)
{
    char parent[4096];
    const char *end = path + strlen(path);

    while (end > path && end[-1] == '/')
        end--;
    while (end > path && end[-1] != '/')
        end--;
    if ((size_t)(end - path) >= sizeof parent)
        return azri_fail(err, AZR_EINVAL, "a path of %zu bytes is too long",
                         strlen(path));
    memcpy(parent, path, (size_t)(end - path));
    parent[end - path] = '\0';
    return azri_fsync_dir(AT_FDCWD, end > path ? parent : ".", err);
}

int azri_domain_create(azri_domain **out, const char *path, unsigned flags,
                       int durability, azr_error *err)
{
    azri_domain *d = NULL;
    bool made;
    int rc = allocate(&d, path, flags, err);

    if (rc < 0)
        return rc;
    made = azri_sys->mkdirat(AT_FDCWD, path, 0777) == 0;
    if (!made && errno != EEXIST)
        rc = azri_fail_errno(err, AZR_SUB_MKDIR, errno, "mkdir '%s'", path);
    /* whoever made it: a creator may have died before he had synced its name */
    if (rc == AZR_OK && durability == AZR_DURABILITY_POWER)
        rc = sync_name_of(path, err);
    if (rc == AZR_OK)
        rc = open_directory(d, err);
    if (rc < 0) {
        azri_domain_close(d);
        return rc;
    }
    enlist(d);
    *out = d;
    return AZR_OK;
}

void azri_domain_close(azri_domain *d)
{
    if (!d)
        return;
    delist(d);
    for (int i = 0; i < d->pool_count; i++)
        azri_close(d->pool[i]);
    azri_close(atomic_load(&d->tx));
    azri_state_free(azri_domain_state(d));
    if (d->store)
        d->store->ops->free(d->store);
    azri_close(d->dir);
    azri_lock_table_free(d->table);
    azri_free(d->lent);
    for (int i = 0; i < AZRI_BESIDE; i++)
        azri_free(d->beside[i].path);
    (void)pthread_mutex_destroy(&d->mutex);
    azri_free(d->path);
    azri_free(d);
}

void azri_domain_hold(azri_domain *d)
{
    (void)pthread_mutex_lock(&d->mutex);
}

void azri_domain_release(azri_domain *d)
{
    (void)pthread_mutex_unlock(&d->mutex);
}

azr_store *azri_domain_store(azri_domain *d)
{
    return d->store;
}

const char *azri_domain_path(const azri_domain *d)
{
    return d->path;
}

int azri_domain_dir(const azri_domain *d)
{
    return d->dir;
}

/* -------------------------------------------------------------- state --- */

/* Keep `s` unless another thread was first. */
static void adopt(azri_domain *d, azri_state *s)
{
    azri_state *none = NULL;

    if (!atomic_compare_exchange_strong(&d->state, &none, s))
        azri_state_free(s);
}

int azri_domain_has_state(azri_domain *d, bool *out, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    azri_state *s = NULL;
    int rc;

    *out = !(d->flags & AZRI_DOMAIN_STILL);
    if (!*out || azri_domain_state(d))
        return AZR_OK;
    rc = azri_state_open(&s, d, &why);
    if (rc == AZR_ECORRUPT && why.sub == AZR_SUB_STATE &&
        (d->flags & AZRI_DOMAIN_WRITE))
        rc = AZR_ENOTFOUND; /* who is about to write builds it anew */
    if (rc == AZR_ENOTFOUND) {
        *out = false;
        return AZR_OK;
    }
    if (rc < 0) {
        azri_error_pass(err, &why);
        return rc;
    }
    adopt(d, s);
    return AZR_OK;
}

int azri_domain_version(azri_domain *d, uint64_t *out, azr_error *err)
{
    azri_state *s;
    bool has;
    int rc = azri_domain_has_state(d, &has, err);

    *out = 0;
    if (rc < 0 || !has)
        return rc;
    s = azri_domain_state(d);
    rc = azri_state_renew_counters(s, err);
    if (rc == AZR_OK)
        rc = azri_fate_check(d, s, err);
    if (rc < 0)
        return rc;
    if (memcmp(s->map, &s->header, sizeof s->header) != 0)
        return azri_domain_check(d, false, err); /* it knows what happened */
    *out = atomic_load(&azri_state_changing(s)->meta);
    for (uint16_t i = 0; i < AZRI_COUNTERS; i++)
        *out += atomic_load(azri_state_counter(s, i));
    return AZR_OK;
}

int azri_domain_check(azri_domain *d, bool for_writing, azr_error *err)
{
    azri_state *s = azri_domain_state(d);
    struct stat st;
    int rc;

    if (!s)
        return AZR_OK;
    if (azri_sys->fstat(s->fd, &st) != 0)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat .azr/state");
    /* built anew (or scribbled on) since we mapped it: ids, lock offsets and
     * counters that we know are those of before */
    if (memcmp(s->map, &s->header, sizeof s->header) != 0)
        return azri_fail_sub(err, AZR_ENOTFOUND, AZR_SUB_STATE,
                             "'%s/.azr/state' is not the one that this handle "
                             "opened; open the array anew",
                             d->path);
    rc = azri_fate_check(d, s, err);
    if (rc < 0)
        return rc;
    /* two links: a copy by links shares our rows; readers only see more of them */
    if (st.st_nlink == 1 || (st.st_nlink > 1 && !for_writing))
        return AZR_OK;
    if (st.st_nlink == 0)
        return azri_fail_gone(d, err);
    return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_STATE,
                         "'%s/.azr/state' has %lu links: a hard-linked copy; "
                         "copy the array without links",
                         d->path, (unsigned long)st.st_nlink);
}

int azri_domain_match(azri_domain *d, const azri_keying *k, azr_error *err)
{
    azri_state *s = azri_domain_state(d);

    if (!s ||
        (s->keying.zarr_format == k->zarr_format &&
         s->keying.encoding == k->encoding &&
         s->keying.separator == k->separator && s->keying.rank == k->rank))
        return AZR_OK;
    return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_STATE,
                         "'%s/.azr/state' is of another array (rank %u, format "
                         "%u; the metadata say rank %u, format %u); if that "
                         "one is gone, remove '.azr'",
                         d->path, s->keying.rank, s->keying.zarr_format,
                         k->rank, k->zarr_format);
}

int azri_domain_durability(azri_domain *d)
{
    azri_state *s = azri_domain_state(d);

    return s && atomic_load(&azri_state_changing(s)->durability) ==
                       AZR_DURABILITY_POWER
               ? AZR_DURABILITY_POWER
               : AZR_DURABILITY_PROCESS;
}

int azri_domain_compare(azri_domain *a, azri_domain *b)
{
    const azri_state *x = azri_domain_state(a), *y = azri_domain_state(b);

    if (x->dev != y->dev)
        return x->dev < y->dev ? -1 : 1;
    if (x->ino != y->ino)
        return x->ino < y->ino ? -1 : 1;
    return 0;
}

bool azri_domain_same_device(azri_domain *a, azri_domain *b)
{
    return azri_domain_state(a)->dev == azri_domain_state(b)->dev;
}

bool azri_domain_has_rows(azri_domain *d)
{
    const azri_state *s = azri_domain_state(d);

    return s && s->writable;
}

void azri_domain_array_id(const azri_domain *d, uint8_t out[16])
{
    azri_state *s = atomic_load(&d->state);

    if (s)
        memcpy(out, s->header.array_id, 16);
    else
        memset(out, 0, 16);
}

/* -------------------------------------------------------------- ready --- */

static int check_file_system(azri_domain *d, azr_error *err)
{
    char name[32];
    uint64_t magic;
    int fs_class;
    int rc = azri_fs_classify(&fs_class, &magic, name, d->dir, err);

    if (rc < 0 || fs_class == AZR_FS_LOCAL || (d->flags & AZRI_DOMAIN_INSIST))
        return rc;
    return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
                         "'%s' is on %s: its locks and maps are not known to "
                         "hold, writing is refused (`azr doctor` tells more)",
                         d->path, name);
}

/* AZR_EUNSUPPORTED (no message): it got what somebody else has. */
static int try_second(int fd, const azri_range *r, azr_error *err)
{
    int rc = azri_ofd_try(fd, r, err);

    if (rc == AZR_OK)
        return AZR_EUNSUPPORTED;
    return rc == AZR_EBUSY ? AZR_OK : rc;
}

/* Two descriptors must exclude each other, and the map must show the file. The
 * byte is a random one, so that try-outs do not disturb each other. */
static int try_out(azri_domain *d, azri_state *s, azr_error *err)
{
    int a = -1, b = -1;
    azri_range r = {AZRI_LOCK_PROBE, 0, true};
    uint64_t random = 0;
    azri_header seen;
    int rc = azri_random(&random, sizeof random, err);

    if (rc == AZR_OK)
        rc = azri_domain_take_fd(d, &a, err);
    if (rc == AZR_OK)
        rc = azri_domain_take_fd(d, &b, err);
    if (rc < 0)
        goto done;
    r.first += random % AZRI_LOCK_PROBE;
    r.last = r.first;
    rc = azri_ofd_try(a, &r, err);
    if (rc == AZR_EBUSY)
        rc = AZR_OK; /* somebody else's try-out: locks do exclude */
    else if (rc == AZR_OK)
        rc = try_second(b, &r, err);
    if (rc == AZR_EUNSUPPORTED)
        rc = azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
                           "'%s': locks do not exclude each other", d->path);
    if (rc == AZR_OK)
        rc = azri_ofd_unlock(a, r.first, r.last, err);
    memcpy(&seen, s->map, sizeof seen);
    if (rc == AZR_OK && memcmp(&seen, &s->header, sizeof seen) != 0)
        rc = azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
                           "'%s': a map of .azr/state does not show its bytes",
                           d->path);
done:
    if (a >= 0)
        azri_domain_give_fd(d, a);
    if (b >= 0)
        azri_domain_give_fd(d, b);
    return rc;
}

/* Open `state`, make it if there is none, build it anew if it is damaged. */
static int obtain_state(azri_domain *d, const azri_grid *grid, int durability,
                        azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    azri_state *s = NULL;
    int rc = azri_state_open(&s, d, &why);

    if (rc == AZR_ENOTFOUND) {
        rc = azri_state_create(d, grid, durability, err);
        if (rc == AZR_OK)
            rc = azri_state_open(&s, d, err);
    } else if (rc == AZR_ECORRUPT && why.sub == AZR_SUB_STATE) {
        rc = azri_state_rebuild(d, grid, durability, NULL, err);
        if (rc == AZR_OK)
            rc = azri_state_open(&s, d, err);
    } else if (rc < 0) {
        azri_error_pass(err, &why);
    }
    if (rc == AZR_ENOTFOUND)
        rc = azri_fail_gone(d, err); /* made, and removed under us */
    if (rc == AZR_OK)
        adopt(d, s);
    return rc;
}

int azri_domain_tx(azri_domain *d, int *fd_out, azr_error *err)
{
    int fd = atomic_load(&d->tx);
    int none = -1;
    int rc;

    if (fd < 0) {
        rc = azri_open_at(&fd, d->dir, ".azr/tx", O_RDONLY | O_DIRECTORY, 0,
                          err);
        if (rc == AZR_ENOTFOUND)
            return azri_fail_gone(d, err);
        if (rc < 0)
            return rc;
        if (!atomic_compare_exchange_strong(&d->tx, &none, fd)) {
            azri_close(fd);
            fd = none;
        }
    }
    *fd_out = fd;
    return AZR_OK;
}

/* A tool that keeps no empty directories, as git, copies an array without it. */
static int obtain_tx(azri_domain *d, azr_error *err)
{
    int tx = -1;
    int rc = azri_domain_tx(d, &tx, NULL);

    if (rc != AZR_ENOTFOUND || azri_domain_gone(d, NULL) < 0)
        return rc == AZR_OK ? AZR_OK : azri_domain_tx(d, &tx, err);
    rc = azri_make_parents(d->dir, ".azr/tx/x", d->dir_mode, d->dir_gid, NULL,
                           NULL, err);
    return rc < 0 ? rc : azri_domain_tx(d, &tx, err);
}

int azri_domain_ready(azri_domain *d, const azri_grid *grid, int durability,
                      const azri_patience *patience, azr_error *err)
{
    int rc;

    (void)patience;
    if (atomic_load(&d->ready))
        return AZR_OK;
    rc = check_file_system(d, err);
    if (rc == AZR_OK && !azri_domain_state(d))
        rc = obtain_state(d, grid, durability, err);
    if (rc == AZR_OK && !azri_domain_state(d)->writable)
        rc = azri_fail(err, AZR_EPERM, "'%s/.azr/state' is read-only", d->path);
    if (rc == AZR_OK)
        rc = azri_domain_match(d, &grid->keying, err);
    if (rc == AZR_OK)
        rc = azri_domain_check(d, true, err);
    if (rc == AZR_OK)
        rc = try_out(d, azri_domain_state(d), err);
    if (rc == AZR_OK)
        rc = obtain_tx(d, err);
    if (rc == AZR_OK)
        atomic_store(&d->ready, true);
    return rc;
}

/* --------------------------------------------------------------- pool --- */

/* Under the mutex. The fork handler must know every descriptor that may carry
 * locks. */
static bool lend(azri_domain *d, int fd)
{
    if (d->lent_count == d->lent_capacity) {
        int want = d->lent_capacity ? 2 * d->lent_capacity : 16;
        int *lent = azri_resize(d->lent, (size_t)want * sizeof *lent);

        if (!lent)
            return false;
        d->lent = lent;
        d->lent_capacity = want;
    }
    d->lent[d->lent_count++] = fd;
    return true;
}

static int lend_idle(azri_domain *d)
{
    int fd = -1;

    (void)pthread_mutex_lock(&d->mutex);
    if (d->pool_count > 0 && lend(d, d->pool[d->pool_count - 1]))
        fd = d->pool[--d->pool_count];
    (void)pthread_mutex_unlock(&d->mutex);
    return fd;
}

static int note_lent(azri_domain *d, int fd, azr_error *err)
{
    bool noted;

    (void)pthread_mutex_lock(&d->mutex);
    noted = lend(d, fd);
    (void)pthread_mutex_unlock(&d->mutex);
    return noted ? AZR_OK : azri_fail_nomem(err, sizeof fd);
}

int azri_domain_take_fd(azri_domain *d, int *fd_out, azr_error *err)
{
    azri_state *s = azri_domain_state(d);
    struct stat st;
    int fd = -1, rc;

    fd = lend_idle(d);
    if (fd >= 0) {
        *fd_out = fd;
        return AZR_OK;
    }
    rc = azri_open_at(&fd, d->dir, ".azr/state",
                      (s->writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW, 0, err);
    if (rc == AZR_OK && azri_sys->fstat(fd, &st) != 0)
        rc = azri_fail_errno(err, AZR_SUB_STAT, errno, "stat .azr/state");
    if (rc == AZR_ENOTFOUND ||
        (rc == AZR_OK && (st.st_ino != s->ino || st.st_dev != s->dev)))
        rc = azri_fail_gone(d, err);
    if (rc == AZR_OK)
        rc = note_lent(d, fd, err);
    if (rc < 0) {
        azri_close(fd);
        return rc;
    }
    *fd_out = fd;
    return AZR_OK;
}

static void forget_lent(azri_domain *d, int fd)
{
    for (int i = 0; i < d->lent_count; i++) {
        if (d->lent[i] == fd) {
            d->lent[i] = d->lent[--d->lent_count];
            return;
        }
    }
}

void azri_domain_drop_fd(azri_domain *d, int fd)
{
    (void)pthread_mutex_lock(&d->mutex);
    forget_lent(d, fd);
    (void)pthread_mutex_unlock(&d->mutex);
    azri_close(fd);
}

void azri_domain_give_fd(azri_domain *d, int fd)
{
    (void)pthread_mutex_lock(&d->mutex);
    forget_lent(d, fd);
    if (d->pool_count < AZRI_POOL_FDS) {
        d->pool[d->pool_count++] = fd;
        fd = -1;
    }
    (void)pthread_mutex_unlock(&d->mutex);
    azri_close(fd);
}

void azri_domain_put_fd(azri_domain *d, int fd, bool unlocked)
{
    if (unlocked)
        azri_domain_give_fd(d, fd);
    else
        azri_domain_drop_fd(d, fd);
}
