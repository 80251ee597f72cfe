/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at an array without changing it. */
#include "core/array.h"

#include "base/checked.h"
#include "os/file.h"
#include "txn/layout.h"

#include <stdio.h>
#include <string.h>

/* ----------------------------------------------------------------- info --- */

static int keep_ground(void *arg, azri_view *v, const azri_plan *p,
                       azri_ground *g, azr_error *err)
{
    azri_ground **out = arg;

    (void)v;
    (void)p;
    (void)err;
    azri_ground_unref(*out);
    *out = azri_ground_ref(g);
    return AZR_OK;
}

/* The document of the read that held, not whatever the array has by now: a slow
 * thread may just have put an older one there. */
static int fresh_ground(azr_array *a, azri_ground **out, azr_error *err)
{
    azri_patience patience = azri_array_patience(a);
    azri_read_hooks hooks = {.note = keep_ground, .arg = out};
    int rc = azri_read_document(a, &hooks, &patience, err);

    if (rc < 0) { /* after it was noted */
        azri_ground_unref(*out);
        *out = NULL;
    }
    return rc;
}

static void describe(azr_array_info *out, azr_array *a, const azri_ground *g)
{
    const azri_meta *m = g->meta;
    uint64_t cells = 1;
    uint8_t none[16] = {0};

    out->zarr_format = m->zarr_format;
    out->rank = m->rank;
    out->dtype = m->dtype->id;
    memcpy(out->shape, m->shape, sizeof out->shape);
    memcpy(out->chunks, m->chunk, sizeof out->chunks);
    out->big_endian = m->big_endian;
    out->order = m->order;
    out->separator = m->keying.separator;
    out->key_encoding = m->keying.encoding;
    out->has_fill = (char)m->has_fill;
    memcpy(out->fill, m->fill, sizeof out->fill);
    out->durability = azri_domain_durability(a->d);
    azri_domain_array_id(a->d, out->array_id);
    out->has_state = memcmp(out->array_id, none, 16) != 0;
    for (int d = 0; d < m->rank; d++) {
        uint64_t n = (uint64_t)azri_ceil_div(m->shape[d], m->chunk[d]);

        if (__builtin_mul_overflow(cells, n, &cells))
            cells = UINT64_MAX;
    }
    out->chunk_count = cells;
    (void)snprintf(out->codecs, sizeof out->codecs, "%s",
                   azri_chain_names(g->chain));
    (void)snprintf(out->opaque, sizeof out->opaque, "%.255s",
                   m->opaque ? m->opaque : "");
}

int azri_array_info(azr_array *a, azr_array_info *out, azr_error *err)
{
    azri_ground *g = NULL;
    int rc = fresh_ground(a, &g, err);

    if (rc < 0)
        return rc;
    describe(out, a, g);
    azri_ground_unref(g);
    return AZR_OK;
}

/* ----------------------------------------------------------------- list --- */

/* Directories still to be listed, NUL-separated, and where we are. */
typedef struct walk {
    azr_array *a;
    const azri_meta *m;
    azri_chunk_fn fn;
    azri_stray_fn stray;
    void *arg;
    azri_buf todo;
    char at[AZRI_KEY_MAX]; /* "" or "c/0/" */
    azr_error *err;
} walk;

static bool is_ours(const walk *w, const char *name)
{
    return w->at[0] == '\0' &&
           (strcmp(name, ".azr") == 0 || strcmp(name, ".azr-owner") == 0 ||
            strcmp(name, "zarr.json") == 0 || strcmp(name, ".zarray") == 0 ||
            strcmp(name, ".zattrs") == 0);
}

static bool inside_grid(const azri_meta *m, const uint64_t *c)
{
    for (int d = 0; d < m->rank; d++) {
        if (c[d] >= (uint64_t)azri_ceil_div(m->shape[d], m->chunk[d]))
            return false;
    }
    return true;
}

static int visit(const char *name, unsigned char d_type, void *arg)
{
    walk *w = arg;
    uint64_t coords[AZR_MAX_RANK];
    char key[AZRI_KEY_MAX + 260];

    if (is_ours(w, name))
        return 0;
    (void)snprintf(key, sizeof key, "%s%.255s", w->at, name);
    if (azri_is_directory(azri_domain_dir(w->a->d), key, d_type)) {
        if (strlen(key) + 2 < AZRI_KEY_MAX)
            return azri_buf_append(&w->todo, key, strlen(key) + 1, w->err);
        return w->stray ? w->stray(w->arg, key) : 0;
    }
    if (azri_key_parse(coords, &w->m->keying, key) && inside_grid(w->m, coords))
        return w->fn(w->arg, coords, key, w->err);
    return w->stray ? w->stray(w->arg, key) : 0;
}

static int visit_next(walk *w)
{
    char dir[AZRI_KEY_MAX];
    size_t end = w->todo.nbytes, from = end - 1;

    while (from > 0 && w->todo.data[from - 1] != '\0')
        from--;
    (void)snprintf(dir, sizeof dir, "%s", (const char *)w->todo.data + from);
    w->todo.nbytes = from;
    (void)snprintf(w->at, sizeof w->at, "%.600s/", dir);
    return azri_list(azri_domain_dir(w->a->d), dir, visit, w, w->err);
}

int azri_list_chunks(azr_array *a, const azri_meta *m, azri_chunk_fn fn,
                     azri_stray_fn stray, void *arg, azr_error *err)
{
    walk w = {.a = a, .m = m, .fn = fn, .stray = stray, .arg = arg, .err = err};
    int rc = azri_list(azri_domain_dir(a->d), ".", visit, &w, err);

    while (rc == AZR_OK && w.todo.nbytes > 0)
        rc = visit_next(&w);
    azri_buf_dispose(&w.todo);
    return rc;
}

typedef struct usage {
    azr_array *a;
    uint64_t chunks, nbytes;
} usage;

static int add_usage(void *arg, const uint64_t *coords, const char *key,
                     azr_error *err)
{
    usage *u = arg;
    azr_store *store = azri_domain_store(u->a->d);
    azr_object o = AZR_OBJECT_INIT;
    azr_error why = AZR_ERROR_INIT;
    int rc = store->ops->identify(store, key, &o, &why);

    (void)coords;
    if (rc < 0 && why.sys_errno != 0)
        return azri_fail_why(err, rc, &why, "%s", why.message);
    if (rc < 0)
        return AZR_OK; /* removed while we looked, or no chunk */
    u->chunks++;
    u->nbytes += o.id.nbytes;
    return AZR_OK;
}

int azri_array_usage(azr_array *a, uint64_t *chunks_out, uint64_t *nbytes_out,
                     azr_error *err)
{
    usage u = {a, 0, 0};
    azri_ground *g = azri_array_ground(a);
    int rc = azri_list_chunks(a, g->meta, add_usage, NULL, &u, err);

    azri_ground_unref(g);
    if (rc < 0)
        return rc;
    *chunks_out = u.chunks;
    *nbytes_out = u.nbytes;
    return AZR_OK;
}

/* --------------------------------------------------------------- verify --- */

typedef struct verifier {
    azr_array *a;
    azri_ground *g;
    azri_coder *coder;
    azr_finding_fn fn;
    azr_progress_fn progress;
    void *arg;
    uint64_t done, total;
    int stopped;
} verifier;

static int report(verifier *v, int kind, bool is_error, const char *key,
                  const char *text)
{
    azr_finding f = {sizeof f, kind, is_error, key, text};

    if (v->stopped == 0)
        v->stopped = v->fn(&f, v->arg);
    return v->stopped;
}

static int verify_chunk(void *arg, const uint64_t *coords, const char *key,
                        azr_error *err)
{
    verifier *v = arg;
    azr_store *store = azri_domain_store(v->a->d);
    azr_object o = AZR_OBJECT_INIT;
    azri_source from = {store, &o, key};
    azr_error why = AZR_ERROR_INIT;
    uint8_t *chunk;
    int rc;

    (void)coords;
    rc = store->ops->open(store, key, &o, &why);
    if (rc == AZR_ENOTFOUND)
        return AZR_OK; /* removed while we looked */
    if (rc == AZR_OK && !v->g->meta->opaque)
        rc = azri_chunk_load(v->g, v->coder, &from, &chunk, &why);
    if (o.handle >= 0)
        store->ops->close(store, &o);
    if (rc == AZR_ENOMEM) {
        if (err)
            *err = why;
        return rc;
    }
    if (rc < 0)
        (void)report(v, AZR_FINDING_CHUNK, true, key, why.message);
    v->done++;
    if (v->progress && v->progress(v->done, v->total, v->arg) != 0)
        return azri_fail(err, AZR_ECANCELED, "stopped by the caller");
    return v->stopped;
}

static int verify_stray(void *arg, const char *key)
{
    return report(arg, AZR_FINDING_STRAY, false, key,
                  "not a chunk of this array");
}

static int verify_row(const azr_row_info *row, void *arg)
{
    char text[200], key[32];

    if (row->alive)
        return 0;
    (void)snprintf(key, sizeof key, ".azr/state#%d", row->row);
    (void)snprintf(text, sizeof text,
                   "transaction %014llx of pid %d on %s, which is dead: the "
                   "next writer finishes it",
                   (unsigned long long)row->id, row->pid, row->host);
    return report(arg, AZR_FINDING_ROW, false, key, text);
}

static int verify_lost(const char *name, unsigned char d_type, void *arg)
{
    char key[320];

    (void)d_type;
    (void)snprintf(key, sizeof key, ".azr/lost/%.255s", name);
    return report(arg, AZR_FINDING_LOST, false, key,
                  "left of a transaction that a restart cut short");
}

int azri_array_verify(azr_array *a, azr_finding_fn fn, azr_progress_fn progress,
                      void *arg, azr_error *err)
{
    verifier v = {.a = a, .fn = fn, .progress = progress, .arg = arg};
    uint64_t nbytes;
    int rc = fresh_ground(a, &v.g, err);

    if (rc == AZR_OK) /* how many there are is for `progress` alone */
        azri_ignore(azri_array_usage(a, &v.total, &nbytes, NULL));
    if (rc == AZR_OK)
        rc = azri_coders_take(a, &v.coder, 1, err);
    if (rc < 0)
        goto done;
    rc = azri_list_chunks(a, v.g->meta, verify_chunk, verify_stray, &v, err);
    azri_coders_give(a, &v.coder, 1);
    if (rc == AZR_OK)
        rc = azri_domain_status(a->d, verify_row, &v, err);
    if (rc == AZR_OK)
        rc =
            azri_list(azri_domain_dir(a->d), ".azr/lost", verify_lost, &v, err);
done:
    azri_ground_unref(v.g);
    return rc > 0 || v.stopped ? AZR_OK : rc;
}
