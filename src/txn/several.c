/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rows of one transaction in several arrays know of each other. Paths
 * are relative, from directory to directory, so that a tree may be moved as a
 * whole; the id that stands beside each says whether it still is that array.
 */
#include "base/hash.h"
#include "txn/txn_local.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --------------------------------------------------------------- paths --- */

/* From directory `from` to `to`, both absolute and without links; with its NUL. */
static int relative_path(azri_buf *out, const char *from, const char *to,
                         azr_error *err)
{
    size_t common = 0;
    int rc = AZR_OK;

    for (size_t i = 0;; i++) {
        bool ends = from[i] == '\0' || from[i] == '/';

        if (ends && (to[i] == '\0' || to[i] == '/'))
            common = i; /* the same as far as this component */
        if (from[i] != to[i] || from[i] == '\0')
            break;
    }
    out->nbytes = 0;
    for (const char *p = from + common; rc == AZR_OK && *p; p++) {
        if (*p == '/' && p[1] != '\0')
            rc = azri_buf_append(out, "../", 3, err);
    }
    to += common;
    while (*to == '/')
        to++;
    if (out->nbytes == 0 && *to == '\0')
        to = "."; /* it has taken the other one's place since we asked */
    return rc < 0 ? rc : azri_buf_append(out, to, strlen(to) + 1, err);
}

/* Is there, on that path, the `state` that `t` has mapped? AZR_EUNSUPPORTED (no
 * message): no. */
static int leads_to(const azri_txn *from, const char *path, const azri_txn *t,
                    azr_error *err)
{
    char name[AZRI_REF_PATH_MAX + 16];
    struct stat st;

    (void)snprintf(name, sizeof name, "%s/.azr/state", path);
    if (azri_sys->fstatat(from->d->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG
                   ? AZR_EUNSUPPORTED
                   : azri_fail_errno(err, AZR_SUB_STAT, errno, "stat '%.300s'",
                                     name);
    return st.st_dev == t->s->dev && st.st_ino == t->s->ino ? AZR_OK
                                                            : AZR_EUNSUPPORTED;
}

/* The path that was found last time, if it still leads there. */
static bool known_path(azri_buf *out, const azri_txn *from, const azri_txn *to)
{
    azri_domain *d = from->d;
    uint64_t ino = to->s->ino;
    bool known = false;

    (void)pthread_mutex_lock(&d->mutex);
    if (d->beside[ino % AZRI_BESIDE].ino == ino) {
        const char *path = d->beside[ino % AZRI_BESIDE].path;

        out->nbytes = 0;
        known = azri_buf_append(out, path, strlen(path) + 1, NULL) == AZR_OK;
    }
    (void)pthread_mutex_unlock(&d->mutex);
    return known && leads_to(from, (const char *)out->data, to, NULL) == AZR_OK;
}

static void note_path(const azri_txn *from, const azri_txn *to,
                      const char *path)
{
    azri_domain *d = from->d;
    uint64_t ino = to->s->ino;
    char *copy = azri_strdup(path);

    if (!copy)
        return;
    (void)pthread_mutex_lock(&d->mutex);
    azri_free(d->beside[ino % AZRI_BESIDE].path);
    d->beside[ino % AZRI_BESIDE].path = copy;
    d->beside[ino % AZRI_BESIDE].ino = ino;
    (void)pthread_mutex_unlock(&d->mutex);
}

static int path_between(azri_buf *out, const azri_txn *from, const azri_txn *to,
                        azr_error *err)
{
    char a[4096], b[4096];
    int rc = AZR_OK;

    if (known_path(out, from, to))
        return AZR_OK;
    out->nbytes = 0;
    if (azri_path_of(from->d->dir, a) < 0 || azri_path_of(to->d->dir, b) < 0)
        rc = AZR_EUNSUPPORTED;
    if (rc == AZR_OK) {
        rc = relative_path(out, a, b, err);
        if (rc < 0)
            return rc;
        rc = out->nbytes > AZRI_REF_PATH_MAX
                 ? AZR_EUNSUPPORTED
                 : leads_to(from, (const char *)out->data, to, err);
        if (rc == AZR_OK)
            note_path(from, to, (const char *)out->data);
    }
    if (rc == AZR_EUNSUPPORTED)
        return azri_fail_sub(err, rc, AZR_SUB_FILESYSTEM,
                             "one transaction over '%s' and '%s': there is no "
                             "path from one to the other",
                             from->d->path, to->d->path);
    return rc;
}

/* ---------------------------------------------------------- references --- */

int azri_refs_put(azri_buf *out, const azri_txn *t, azri_txn *const *others,
                  size_t n, azr_error *err)
{
    static const uint8_t zeros[8];
    azri_buf path = AZRI_BUF_INIT;
    int rc = AZR_OK;

    for (size_t k = 0; k < n; k++) {
        azri_ref_head h = {.row = others[k]->row};

        rc = path_between(&path, t, others[k], err);
        if (rc < 0)
            break;
        memcpy(h.array_id, others[k]->s->header.array_id, 16);
        h.path_nbytes = (uint32_t)path.nbytes - 1;
        rc = azri_buf_append(out, &h, sizeof h, err);
        if (rc == AZR_OK)
            rc = azri_buf_append(out, path.data, h.path_nbytes, err);
        if (rc == AZR_OK)
            rc = azri_buf_append(out, zeros, (8 - h.path_nbytes % 8) % 8, err);
        if (rc < 0)
            break;
    }
    azri_buf_dispose(&path);
    return rc;
}

static int check_ref(azri_domain *o, const azri_ref *r, bool for_writing,
                     azr_error *err)
{
    const azri_state *s = azri_domain_state(o);
    int rc = azri_domain_check(o, for_writing, err);

    if (rc < 0)
        return rc;
    if (memcmp(s->header.array_id, r->array_id, 16) != 0 ||
        r->row >= azri_state_rows(s))
        return AZR_ENOTFOUND;
    if (for_writing && !s->writable)
        return azri_fail(err, AZR_EPERM,
                         "'%s/.azr/state' is read-only, and a transaction over "
                         "it and another array has to be finished",
                         o->path);
    return AZR_OK;
}

int azri_ref_open(azri_domain **out, azri_domain *d, const azri_ref *r,
                  bool for_writing, azr_error *err)
{
    azr_error why = AZR_ERROR_INIT;
    azri_domain *o = NULL;
    int rc = azri_domain_open_beside(&o, d, r->path, &why);

    if (rc == AZR_OK)
        rc = check_ref(o, r, for_writing, &why);
    if (rc < 0)
        azri_domain_close(o);
    if (rc == AZR_ENOTFOUND)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_STATE,
                             "'%s': a transaction of it and of the array that "
                             "was at '%s' is not finished, and that array is "
                             "not there any more; put it back",
                             d->path, r->path);
    if (rc < 0)
        azri_error_pass(err, &why);
    if (rc == AZR_OK)
        *out = o;
    return rc;
}

int azri_home_ask(azri_home *out, azri_domain *d, const azri_intent *in,
                  azr_error *err)
{
    azri_domain *h = NULL;
    const azri_state *s;
    azri_ref r;
    uint64_t word;
    int rc = azri_intent_ref(&r, in, 0, err);

    *out = AZRI_HOME_NO;
    if (rc == AZR_OK)
        rc = azri_ref_open(&h, d, &r, false, err);
    if (rc < 0)
        return rc;
    s = azri_domain_state(h);
    word = atomic_load(azri_state_word(s, r.row)); /* [R1-home] */
    if (azri_word_id(word) == azri_word_id(in->word)) {
        if (azri_word_state(word) == AZRI_COMMITTED)
            *out = AZRI_HOME_YES;
        else if (azri_word_state(word) == AZRI_SEALED)
            *out = azri_row_of_this_boot(s, r.row, word) ? AZRI_HOME_SEALED
                                                         : AZRI_HOME_YES;
    }
    if (!AZRI_GUARD(HOME_NO))
        *out = AZRI_HOME_YES;
    if (!AZRI_GUARD(HOME_YES))
        *out = AZRI_HOME_NO;
    azri_domain_close(h);
    return AZR_OK;
}
