/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds which directories, and when entries above are renewed.
 *
 * A handle's commit and somebody who consolidates at the same time: we rename the
 * document, then look above (azri_upkeep_run); he puts the consolidated metadata,
 * then reads all documents again. Whoever comes second sees what the other did.
 */
#include "core/upkeep.h"

#include "base/guard.h"
#include "base/log.h"
#include "core/array.h"
#include "core/group.h"
#include "sync/lock_dir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MARKER_NBYTES ((size_t)64 << 10)

/* A directory that we hold. */
typedef struct place {
    uint64_t dev, ino;
    int lock;
    bool consolidated;
    bool marked;     /* by us, now */
    azri_buf marker; /* paths, each with its NUL */
    azri_copy copy;
} place;

struct azri_upkeep {
    place *places; /* in the order of their locks */
    size_t n;
    azr_array **arrays; /* whose transaction it is */
    size_t array_count;
    azri_upkeep_of of[AZRI_UPKEEP_NODES]; /* azri_upkeep_open */
    size_t of_count;
};

/* ---------------------------------------------------------------- places --- */

static void let_go(azri_upkeep *u)
{
    for (size_t i = 0; i < u->n; i++) {
        azri_dir_unlock(u->places[i].lock);
        azri_copy_dispose(&u->places[i].copy);
        azri_buf_dispose(&u->places[i].marker);
        azri_close(u->places[i].copy.dir);
    }
    azri_free(u->places);
    u->places = NULL;
    u->n = 0;
}

static void free_upkeep(azri_upkeep *u)
{
    if (!u)
        return;
    for (size_t i = 0; i < u->array_count; i++)
        u->arrays[i]->upkeep = NULL;
    let_go(u);
    azri_free(u->arrays);
    azri_free(u);
}

static place *find(azri_upkeep *u, const struct stat *st, int format)
{
    for (size_t i = 0; u && i < u->n; i++) {
        place *p = &u->places[i];

        if (p->dev == st->st_dev && p->ino == st->st_ino &&
            p->copy.format == format)
            return p;
    }
    return NULL;
}

/* The directory `levels` above `dir`. */
static int add_place(azri_upkeep *u, int dir, int levels, int format,
                     bool consolidated, azr_error *err)
{
    char path[AZRI_UP_MAX];
    struct stat st;
    place *p;
    int fd = -1, rc;

    azri_above_path(path, levels, ".");
    rc = azri_open_at(&fd, dir, path, O_RDONLY | O_DIRECTORY, 0, err);
    if (rc == AZR_OK && azri_sys->fstat(fd, &st) != 0)
        rc = azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%s'", path);
    if (rc != AZR_OK)
        goto done;
    p = find(u, &st, format);
    if (p) {
        p->consolidated |= consolidated;
        goto done;
    }
    p = azri_resize(u->places, (u->n + 1) * sizeof *p);
    if (!p) {
        rc = azri_fail_nomem(err, (u->n + 1) * sizeof *p);
        goto done;
    }
    u->places = p;
    p += u->n++;
    memset(p, 0, sizeof *p);
    p->dev = st.st_dev;
    p->ino = st.st_ino;
    p->lock = -1;
    p->consolidated = consolidated;
    p->copy.dir = fd;
    p->copy.format = format;
    fd = -1;
done:
    azri_close(fd);
    return rc;
}

static int add_above(azri_upkeep *u, int dir, int format, uint64_t above,
                     azr_error *err)
{
    int rc = AZR_OK;

    for (int k = 0; k < AZRI_ABOVE_LEVELS && rc == AZR_OK; k++) {
        if (above >> k & 1)
            rc = add_place(u, dir, k, format, true, err);
    }
    return rc;
}

/* Of a place, for messages. */
static void path_of(char out[4096], const place *p)
{
    if (azri_path_of(p->copy.dir, out) < 0)
        memcpy(out, ".", 2);
}

static int fail_permission(const place *p, azr_error *err)
{
    char path[4096];

    path_of(path, p);
    return azri_fail(err, AZR_EPERM,
                     "group '%.1000s' holds consolidated metadata that this "
                     "change would make stale, and may not be written; "
                     "AZR_OPEN_STALE_CONSOLIDATED leaves it stale",
                     path);
}

static int check_permission(const place *p, azr_error *err)
{
    uid_t me = azri_user_id();
    struct stat dir, st;

    if (!p->consolidated)
        return AZR_OK;
    if (azri_sys->faccessat(p->copy.dir, ".", W_OK | X_OK, AT_EACCESS) != 0)
        return fail_permission(p, err);
    if (me == 0 || azri_sys->fstat(p->copy.dir, &dir) != 0 ||
        !(dir.st_mode & S_ISVTX) || dir.st_uid == me)
        return AZR_OK;
    if (azri_sys->fstatat(p->copy.dir, azri_above_key(p->copy.format), &st,
                          0) == 0 &&
        st.st_uid != me)
        return fail_permission(p, err);
    return AZR_OK;
}

static int in_order(const void *a, const void *b)
{
    const place *x = a, *y = b;

    if (x->dev != y->dev)
        return x->dev < y->dev ? -1 : 1;
    if (x->ino != y->ino)
        return x->ino < y->ino ? -1 : 1;
    return x->copy.format - y->copy.format;
}

/* One lock for the documents of both formats. */
static bool is_held(const azri_upkeep *u, size_t i)
{
    return i > 0 && u->places[i].dev == u->places[i - 1].dev &&
           u->places[i].ino == u->places[i - 1].ino;
}

static int lock_all(azri_upkeep *u, const azri_patience *patience,
                    azr_error *err)
{
    char path[4096];
    int rc = AZR_OK;

    if (u->n > 1)
        qsort(u->places, u->n, sizeof *u->places, in_order);
    for (size_t i = 0; i < u->n && rc == AZR_OK; i++) {
        place *p = &u->places[i];

        if (is_held(u, i) || (p->consolidated && !AZRI_GUARD(ABOVE_LOCK)))
            continue;
        path_of(path, p);
        rc = azri_dir_lock(&p->lock, p->copy.dir, path, patience, err);
    }
    return rc;
}

/* As it stands now that nobody of us can change it. */
static int load(place *p, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    char path[4096];
    int rc = azri_copy_load(&p->copy, &why);

    if (rc == AZR_OK || (rc == AZR_ENOTFOUND && why.code == 0))
        return AZR_OK; /* it was, a moment ago */
    path_of(path, p);
    return azri_fail_why(err, rc, &why,
                         "group '%.1000s', whose consolidated metadata this "
                         "change would make stale: %s",
                         path, why.message);
}

/* --------------------------------------------------------------- entries --- */

/* AZR_ENOTFOUND without a message: nothing is there. */
static int stat_there(struct stat *st, int dir, const char *path,
                      azr_error *err)
{
    if (azri_sys->fstatat(dir, path, st, 0) == 0)
        return AZR_OK;
    if (errno == ENOENT || errno == ENOTDIR)
        return AZR_ENOTFOUND;
    return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%.1000s'", path);
}

/* Name of the node in `dir` from the place `p`, `levels` above; "" for itself.
 * AZR_ENOTFOUND (no message): it has none any more. */
static int name_below(char out[4096], const place *p, int dir, int levels,
                      azr_error *err)
{
    struct stat here, there;
    char *name;
    int rc;

    if (azri_path_of(dir, out) < 0)
        return azri_fail(err, AZR_EIO,
                         "the path of a node below a group with consolidated "
                         "metadata cannot be told (/proc, or too long)");
    name = out + strlen(out);
    for (int k = 0; k < levels; k++) {
        do {
            if (name == out)
                return AZR_ENOTFOUND;
            name--;
        } while (*name != '/');
    }
    if (levels > 0)
        name++;
    memmove(out, name, strlen(name) + 1);
    rc = stat_there(&here, dir, ".", err);
    if (rc == AZR_OK)
        rc = stat_there(&there, p->copy.dir, out[0] ? out : ".", err);
    if (rc == AZR_OK &&
        (here.st_dev != there.st_dev || here.st_ino != there.st_ino))
        rc = AZR_ENOTFOUND; /* removed, or moved just now */
    return rc;
}

static int renew_at(place *p, int dir, int levels, azr_error *err)
{
    azri_edits edits = {NULL, 0, 0};
    char name[4096] = "";
    int rc = name_below(name, p, dir, levels, err);

    if (rc < 0)
        return rc == AZR_ENOTFOUND ? AZR_OK : rc;
    rc = azri_edits_of_node(&edits, p->copy.format, name, dir, err);
    azri_edits_sort(&edits);
    if (rc == AZR_OK)
        rc = azri_copy_renew(&p->copy, &edits, err);
    azri_edits_dispose(&edits);
    return rc;
}

/* AZR_EAGAIN would be its name: a place above that `u` does not hold. */
#define NOT_HELD 1

static int renew_above(azri_upkeep *u, int dir, int format, uint64_t above,
                       azr_error *err)
{
    int rc = AZR_OK;

    for (int k = 0; k < AZRI_ABOVE_LEVELS && rc == AZR_OK; k++) {
        char path[AZRI_UP_MAX];
        struct stat st;
        place *p;

        if (!(above >> k & 1))
            continue;
        azri_above_path(path, k, ".");
        rc = stat_there(&st, dir, path, err);
        p = rc == AZR_OK ? find(u, &st, format) : NULL;
        if (rc == AZR_OK)
            rc = p && p->consolidated ? renew_at(p, dir, k, err) : NOT_HELD;
    }
    return rc == AZR_ENOTFOUND ? AZR_OK : rc; /* it is being taken away */
}

/* ---------------------------------------------------------------- arrays --- */

static int look_from(uint64_t *out, azr_array *a, azr_error *err)
{
    return azri_above_look(out, azri_domain_dir(a->d), 1, a->format,
                           &a->base->above, a->d, err);
}

static int upkeep_new(azri_upkeep **out, size_t arrays, azr_error *err)
{
    azri_upkeep *u = azri_calloc(1, sizeof *u);

    if (!u)
        return azri_fail_nomem(err, sizeof *u);
    u->arrays = azri_calloc(arrays + 1, sizeof(void *));
    if (!u->arrays) {
        azri_free(u);
        return azri_fail_nomem(err, arrays * sizeof(void *));
    }
    *out = u;
    return AZR_OK;
}

static int take(azri_upkeep *u, const azri_patience *patience, azr_error *err)
{
    int rc = AZR_OK;

    for (size_t i = 0; i < u->n && rc == AZR_OK; i++)
        rc = check_permission(&u->places[i], err);
    if (rc == AZR_OK)
        rc = lock_all(u, patience, err);
    for (size_t i = 0; i < u->n && rc == AZR_OK; i++) {
        if (u->places[i].consolidated)
            rc = load(&u->places[i], err);
    }
    return rc;
}

/* Is a group no longer consolidated? */
static bool has_lost_one(const azri_upkeep *u)
{
    for (size_t i = 0; i < u->n; i++) {
        if (u->places[i].consolidated && !u->places[i].copy.loaded)
            return true;
    }
    return false;
}

static void forget_above(azr_array *a)
{
    azri_domain_hold(a->d);
    memset(&a->above, 0, sizeof a->above);
    azri_domain_release(a->d);
}

int azri_upkeep_begin(azri_upkeep **out, azr_array *const *arrays, size_t n,
                      const azri_patience *patience, azr_error *err)
{
    azri_upkeep *u = NULL;
    int rc = AZR_OK;

    *out = NULL;
    for (size_t i = 0; i < n && rc == AZR_OK; i++) {
        azr_array *a = arrays[i];
        uint64_t above;

        if (a->options.flags & AZR_OPEN_STALE_CONSOLIDATED)
            continue;
        rc = look_from(&above, a, err);
        if (rc < 0 || above == 0)
            continue;
        if (!u)
            rc = upkeep_new(&u, n, err);
        if (rc == AZR_OK)
            rc = add_above(u, azri_domain_dir(a->d), a->format, above, err);
    }
    if (rc == AZR_OK && u)
        rc = take(u, patience, err);
    if (rc < 0) {
        free_upkeep(u);
        return rc;
    }
    for (size_t i = 0; u && i < n; i++) {
        u->arrays[u->array_count++] = arrays[i]->base;
        arrays[i]->base->upkeep = u;
        if (has_lost_one(u))
            forget_above(arrays[i]->base);
    }
    *out = u;
    return AZR_OK;
}

void azri_upkeep_end(azri_upkeep *u)
{
    free_upkeep(u);
}

int azri_upkeep_commit(azr_array *a, azri_txn *t, azr_error *err)
{
    azri_upkeep *u;
    int rc = azri_upkeep_begin(&u, &a, 1, azri_txn_patience(t), err);

    if (rc == AZR_OK)
        rc = azri_txn_commit(t, err);
    azri_upkeep_end(u);
    return rc;
}

int azri_upkeep_commit_all(azr_array *const *changed, size_t m,
                           azri_txn *const *all, size_t n,
                           const azri_patience *patience, azr_error *err)
{
    azri_upkeep *u = NULL;
    int rc = AZR_OK;

    if (m > 0)
        rc = azri_upkeep_begin(&u, changed, m, patience, err);
    if (rc == AZR_OK)
        rc = n == 1 ? azri_txn_commit(all[0], err)
                    : azri_txn_commit_all(all, n, err);
    azri_upkeep_end(u);
    return rc;
}

/* With locks of its own: by recovery (`anew`: whoever was at it before may have put
 * the entries and not synced them), or since somebody has consolidated after we
 * looked. */
static int renew_alone(int dir, int format, uint64_t above, bool anew,
                       const azri_patience *patience, azr_error *err)
{
    azri_upkeep *u = NULL;
    int rc = upkeep_new(&u, 0, err);

    if (rc < 0)
        return rc;
    rc = add_above(u, dir, format, above, err);
    if (rc == AZR_OK)
        rc = lock_all(u, patience, err);
    for (size_t i = 0; i < u->n; i++)
        u->places[i].copy.anew = anew;
    if (rc == AZR_OK)
        rc = renew_above(u, dir, format, above, err);
    free_upkeep(u);
    return rc == NOT_HELD ? AZR_EBUSY : rc; /* moved meanwhile */
}

static int run_owner(azr_array *a, azr_error *err)
{
    azri_patience patience = azri_array_patience(a);
    int dir = azri_domain_dir(a->d);
    uint64_t above;
    int rc = look_from(&above, a, err);

    if (rc < 0 || above == 0)
        return rc;
    rc = renew_above(a->upkeep, dir, a->format, above, err);
    if (rc != NOT_HELD)
        return rc;
    if (a->upkeep) /* out of order otherwise; what it holds is held anew */
        let_go(a->upkeep);
    return renew_alone(dir, a->format, above, false, &patience, err);
}

static int run_recovery(azri_domain *d, azr_error *err)
{
    azri_patience none = {0, NULL};
    azri_documents docs = AZRI_DOCUMENTS_INIT;
    int dir = azri_domain_dir(d);
    uint64_t above = 0;
    int rc = azri_documents_classify(&docs, dir, err);

    if (rc == AZR_OK && docs.format != 0)
        rc = azri_above_look(&above, dir, 1, docs.format, NULL, d, err);
    if (rc == AZR_OK && above != 0)
        rc = renew_alone(dir, docs.format, above, true, &none, err);
    azri_documents_dispose(&docs);
    return rc;
}

int azri_upkeep_run(void *arg, azri_domain *d, bool owner, azr_error *err)
{
    return owner && arg ? run_owner(arg, err) : run_recovery(d, err);
}

/* ------------------------------------------------------------------ tree --- */

typedef struct gatherer {
    azri_edits *edits;
    const char *path; /* of the subtree, from the place */
    int dir;          /* of the subtree */
    int format;
    azr_error *err;
} gatherer;

static int gather_node(const azr_node *node, void *arg)
{
    gatherer *g = arg;
    azri_buf path = AZRI_BUF_INIT;
    int dir = -1, rc;

    if (node->status < 0)
        return azri_fail(g->err, node->status, "'%.200s': %s", node->path,
                         node->text);
    if (node->kind == AZR_NODE_DIRECTORY || node->zarr_format != g->format)
        return AZR_WALK_SKIP;
    rc = azri_open_at(&dir, g->dir, node->path, O_RDONLY | O_DIRECTORY, 0,
                      g->err);
    if (rc == AZR_OK)
        rc = azri_buf_printf(&path, g->err, "%s%s%s", g->path,
                             g->path[0] ? "/" : "", node->path);
    if (rc == AZR_OK)
        rc = azri_edits_of_node(g->edits, g->format, (const char *)path.data,
                                dir, g->err);
    azri_close(dir);
    azri_buf_dispose(&path);
    return rc == AZR_ENOTFOUND ? AZR_WALK_SKIP : rc;
}

/* The subtree as it stands, if it is there. */
static int gather(gatherer *g, int from)
{
    azr_group group = {.path = NULL, .dir = -1, .format = g->format};
    azri_documents docs = AZRI_DOCUMENTS_INIT;
    azr_open_options options = AZR_OPEN_OPTIONS_INIT;
    int rc = azri_open_at(&g->dir, from, g->path[0] ? g->path : ".",
                          O_RDONLY | O_DIRECTORY, 0, g->err);

    if (rc == AZR_ENOTFOUND)
        return AZR_OK;
    if (rc == AZR_OK)
        rc = azri_documents_classify(&docs, g->dir, g->err);
    if (rc == AZR_OK && docs.format == g->format &&
        (g->path[0] || g->format == 2)) /* of version 3 it is no entry */
        rc = azri_edits_of_node(g->edits, g->format, g->path, g->dir, g->err);
    if (rc == AZR_OK && docs.format == g->format &&
        docs.kind == AZR_NODE_GROUP) {
        group.dir = g->dir;
        group.options = options;
        group.path = azri_strdup(g->path);
        rc = group.path ? azri_group_walk(&group, 0, gather_node, g, g->err)
                        : azri_fail_nomem(g->err, strlen(g->path));
        azri_free(group.path);
    }
    azri_close(g->dir);
    azri_documents_dispose(&docs);
    return rc;
}

/* All at and below `path`, from the place; "": all of it. */
static int renew_tree(place *p, const char *path, azr_error *err)
{
    azri_edits edits = {NULL, 0, 0};
    gatherer g = {&edits, path, -1, p->copy.format, err};
    int rc = azri_copy_entries(&edits, &p->copy, path, err);

    if (rc == AZR_OK)
        rc = gather(&g, p->copy.dir);
    azri_edits_sort(&edits);
    if (rc == AZR_OK)
        rc = azri_copy_renew(&p->copy, &edits, err);
    azri_edits_dispose(&edits);
    return rc == AZR_ENOTFOUND && (!err || err->code == 0) ? AZR_OK : rc;
}

/* --------------------------------------------------------------- markers --- */

/*
 * What has no `.azr` has no row. Before its documents change, each group above
 * that holds a copy gets a file with its name in it; after the copy is renewed the
 * file goes. Who holds the lock of the group and finds one renews what it names,
 * and all below that.
 */
static const char *marker_key(const place *p)
{
    return p->copy.format == 2 ? ".zmetadata.renew" : "zarr.json.renew";
}

static bool is_inside(const char *path)
{
    const char *name = path;

    for (;;) {
        size_t n = strcspn(name, "/");

        if (n == 0 || (n == 2 && name[0] == '.' && name[1] == '.') ||
            (n == 1 && name[0] == '.' && path[1] != '\0'))
            return false;
        if (name[n] == '\0')
            return true;
        name += n + 1;
    }
}

static int renew_named(place *p, const char *path, azr_error *err)
{
    azri_edits edits = {NULL, 0, 0};
    int rc;

    if (strcmp(path, "/") == 0)
        return renew_tree(p, "", err);
    if (!is_inside(path))
        return AZR_OK; /* none of ours */
    if (strcmp(path, ".") != 0)
        return renew_tree(p, path, err);
    rc = azri_edits_of_node(&edits, p->copy.format, "", p->copy.dir, err);
    azri_edits_sort(&edits);
    if (rc == AZR_OK)
        rc = azri_copy_renew(&p->copy, &edits, err);
    azri_edits_dispose(&edits);
    return rc;
}

static int settle_marker(place *p, azr_error *err)
{
    azri_buf text = AZRI_BUF_INIT;
    int rc = azri_read_file(&text, NULL, p->copy.dir, marker_key(p),
                            MARKER_NBYTES, err);

    if (rc == AZR_OK)
        rc = azri_buf_terminate(&text, err);
    p->copy.anew = rc == AZR_OK;
    for (size_t i = 0; rc == AZR_OK && i < text.nbytes;) {
        const char *path = (const char *)text.data + i;

        rc = renew_named(p, path, err);
        i += strlen(path) + 1;
    }
    p->copy.anew = false;
    if (rc == AZR_OK)
        (void)azri_sys->unlinkat(p->copy.dir, marker_key(p), 0);
    azri_buf_dispose(&text);
    return rc == AZR_ENOTFOUND && (!err || err->code == 0) ? AZR_OK : rc;
}

static int settle_markers(azri_upkeep *u, azr_error *err)
{
    int rc = AZR_OK;

    for (size_t i = 0; i < u->n && rc == AZR_OK; i++) {
        if (u->places[i].consolidated)
            rc = settle_marker(&u->places[i], err);
    }
    return rc;
}

static int put_markers(azri_upkeep *u, azr_error *err)
{
    int rc = AZR_OK;

    for (size_t i = 0; i < u->n && rc == AZR_OK; i++) {
        place *p = &u->places[i];
        azri_put put = {p->copy.dir, ".", marker_key(p), AZRI_PUT_ANYHOW, NULL};

        if (p->marker.nbytes == 0 || !AZRI_GUARD(ABOVE_MARKER))
            continue;
        p->marked = true;
        rc = azri_document_put(&put, azri_buf_span(&p->marker), err);
    }
    return rc;
}

static void unmark(const azri_upkeep *u)
{
    for (size_t i = 0; i < u->n; i++) {
        const place *p = &u->places[i];

        if (p->marked)
            (void)azri_sys->unlinkat(p->copy.dir, marker_key(p), 0);
    }
}

static bool is_marked(const azri_upkeep *u)
{
    for (size_t i = 0; i < u->n; i++) {
        if (u->places[i].marked)
            return true;
    }
    return false;
}

int azri_upkeep_mark_all(int dir, int format, azr_error *err)
{
    place p = {.copy = {.format = format}};
    azri_put put = {dir, ".", marker_key(&p), AZRI_PUT_ANYHOW, NULL};
    azri_span all = {(const uint8_t *)"/", 1};

    return AZRI_GUARD(ABOVE_MARKER) ? azri_document_put(&put, all, err)
                                    : AZR_OK;
}

void azri_upkeep_forget(int dir, int format)
{
    place p = {.copy = {.format = format}};

    (void)azri_sys->unlinkat(dir, marker_key(&p), 0);
}

/* ----------------------------------------------------------- directories --- */

/* Called for each group above, and for a node by name or a group of version 2
 * (which is an entry of its own consolidated metadata) for `dir` itself. */
typedef int (*above_fn)(azri_upkeep *u, const azri_upkeep_of *of, int format,
                        int levels, azr_error *err);

static int each_of_format(azri_upkeep *u, const azri_upkeep_of *of, int format,
                          above_fn fn, azr_error *err)
{
    uint64_t above = 0, own = 0;
    int rc = AZR_OK;

    if (of->name || format == 2)
        rc = azri_above_look(&own, of->dir, 0, format, NULL, NULL, err);
    if (rc == AZR_OK && of->name)
        above = own;
    else if (rc == AZR_OK)
        rc = azri_above_look(&above, of->dir, 1, format, NULL, NULL, err);
    above |= own & 1;
    for (int k = 0; k < AZRI_ABOVE_LEVELS && rc == AZR_OK; k++) {
        if (above >> k & 1)
            rc = fn(u, of, format, k, err);
    }
    return rc;
}

static int each(azri_upkeep *u, above_fn fn, azr_error *err)
{
    int rc = AZR_OK;

    for (size_t i = 0; i < u->of_count; i++) {
        const azri_upkeep_of *of = &u->of[i];

        for (int format = 2; format <= 3 && rc == AZR_OK; format++) {
            if (!of->stale && (of->name || of->format == format))
                rc = each_of_format(u, of, format, fn, err);
        }
    }
    return rc;
}

static int add_one(azri_upkeep *u, const azri_upkeep_of *of, int format,
                   int levels, azr_error *err)
{
    return add_place(u, of->dir, levels, format, true, err);
}

/* The place, and the path of the node from there. AZR_ENOTFOUND without a
 * message: it is not there any more. */
static int find_one(place **out, azri_buf *path, azri_upkeep *u,
                    const azri_upkeep_of *of, int format, int levels,
                    azr_error *err)
{
    char up[AZRI_UP_MAX], name[4096] = "";
    struct stat st;
    int rc;

    azri_above_path(up, levels, ".");
    rc = stat_there(&st, of->dir, up, err);
    if (rc < 0)
        return rc;
    *out = find(u, &st, format);
    if (!*out || !(*out)->consolidated)
        return NOT_HELD;
    rc = name_below(name, *out, of->dir, levels, err);
    if (rc == AZR_OK)
        rc = azri_buf_printf(path, err, "%s%s%s", name,
                             name[0] && of->name ? "/" : "",
                             of->name ? of->name : "");
    return rc;
}

static int note_one(azri_upkeep *u, const azri_upkeep_of *of, int format,
                    int levels, azr_error *err)
{
    azri_buf path = AZRI_BUF_INIT;
    place *p = NULL;
    int rc =
        of->mark ? find_one(&p, &path, u, of, format, levels, err) : AZR_OK;

    if (rc == AZR_OK && p)
        rc = azri_buf_append(&p->marker,
                             path.nbytes > 0 ? (const char *)path.data : ".",
                             path.nbytes > 0 ? path.nbytes + 1 : 2, err);
    azri_buf_dispose(&path);
    if (rc == AZR_ENOTFOUND || rc == NOT_HELD)
        return azri_fail(err, AZR_ECONFLICT,
                         "'%s' was removed, moved or consolidated just now",
                         of->path);
    return rc;
}

static int renew_one(azri_upkeep *u, const azri_upkeep_of *of, int format,
                     int levels, azr_error *err)
{
    azri_buf path = AZRI_BUF_INIT;
    place *p = NULL;
    int rc = find_one(&p, &path, u, of, format, levels, err);

    if (rc == AZR_OK)
        rc = of->name ? renew_tree(p, (const char *)path.data, err)
                      : renew_at(p, of->dir, levels, err);
    azri_buf_dispose(&path);
    return rc == AZR_ENOTFOUND && (!err || err->code == 0) ? AZR_OK : rc;
}

/* Their own directories, and all above. */
static int hold(azri_upkeep *u, const azri_patience *patience, azr_error *err)
{
    int rc = AZR_OK;

    for (size_t i = 0; i < u->of_count && rc == AZR_OK; i++)
        rc = add_place(u, u->of[i].dir, 0, u->of[i].format, false, err);
    if (rc == AZR_OK)
        rc = each(u, add_one, err);
    if (rc == AZR_OK)
        rc = take(u, patience, err);
    return rc < 0 ? rc : settle_markers(u, err);
}

int azri_upkeep_open(azri_upkeep **out, const azri_upkeep_of *of, size_t n,
                     const azri_patience *patience, azr_error *err)
{
    azri_upkeep *u = NULL;
    int rc = upkeep_new(&u, 1, err);

    if (rc < 0)
        return rc;
    for (; u->of_count < n && u->of_count < AZRI_UPKEEP_NODES; u->of_count++)
        u->of[u->of_count] = of[u->of_count];
    rc = hold(u, patience, err);
    if (rc == AZR_OK)
        rc = each(u, note_one, err);
    if (rc == AZR_OK)
        rc = put_markers(u, err);
    if (rc < 0) {
        unmark(u);
        free_upkeep(u);
        return rc;
    }
    if (of->array) {
        u->arrays[u->array_count++] = of->array->base;
        of->array->base->upkeep = u;
    }
    *out = u;
    return AZR_OK;
}

/* Somebody may have consolidated since we looked: then all is held anew, what we
 * marked is settled with it, and renewed. */
static int renew_all(azri_upkeep *u, azr_error *err)
{
    azri_patience patience = azri_patience_from(AZR_TIMEOUT_DEFAULT_MS, NULL);
    int rc = each(u, renew_one, err);

    if (rc != NOT_HELD)
        return rc;
    let_go(u);
    rc = hold(u, &patience, err);
    if (rc == AZR_OK)
        rc = each(u, renew_one, err);
    return rc == NOT_HELD ? azri_fail(err, AZR_EBUSY, "it is moving") : rc;
}

void azri_upkeep_close(azri_upkeep *u, int changed)
{
    azr_error why = AZR_ERROR_INIT;
    int rc = AZR_OK;

    if (!u)
        return;
    if (changed == AZR_EUNKNOWN && is_marked(u) && AZRI_GUARD(MARKER_STAYS))
        rc = azri_fail(&why, changed,
                       "what changed may not outlive a power loss");
    else if (u->array_count == 0)
        rc = renew_all(u, &why);
    if (rc == AZR_OK)
        unmark(u);
    else
        azri_log(AZR_LOG_WARNING,
                 "'%s': consolidated metadata above is not renewed yet: %s",
                 u->of[0].path, why.message);
    free_upkeep(u);
}

int azri_upkeep_leftover(const azri_upkeep_of *of,
                         const azri_patience *patience, azr_error *err)
{
    place own = {.copy = {.dir = of->dir, .format = of->format}};
    azri_upkeep *u = NULL;
    struct stat st;
    int rc;

    if (azri_sys->fstatat(of->dir, marker_key(&own), &st, 0) != 0)
        return AZR_OK;
    rc = upkeep_new(&u, 0, err);
    if (rc < 0)
        return rc;
    rc = add_place(u, of->dir, 0, of->format, true, err);
    if (rc == AZR_OK)
        rc = take(u, patience, err);
    if (rc == AZR_OK)
        rc = settle_markers(u, err);
    free_upkeep(u);
    return rc;
}

int azri_upkeep_tree(int parent, const char *name,
                     const azri_patience *patience, azr_error *err)
{
    azri_upkeep_of of = {
        .dir = parent, .path = name, .format = 3, .name = name};
    azri_upkeep *u = NULL;
    int rc = upkeep_new(&u, 0, err);

    if (rc < 0)
        return rc;
    u->of[u->of_count++] = of;
    rc = hold(u, patience, err);
    if (rc == AZR_OK)
        rc = renew_all(u, err);
    free_upkeep(u);
    return rc;
}
