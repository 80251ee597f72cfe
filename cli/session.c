/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* An array of the transaction: one handle, whatever it is called. */
struct member {
    azr_array *array;
    dev_t dev;
    ino_t ino;
    bool created;
    azr_array_info info; /* of one that is created: nobody else knows it yet */
};

struct cli_session {
    const char *name; /* of the script */
    size_t line;
    azr_txn *txn;
    bool conflict;
    int exit_code; /* of the last error; 0: none */
    const char *code;
    char message[1600];
    struct member *members;
    size_t count;
};

struct cli_session *cli_session_new(const char *name)
{
    struct cli_session *s = cli_alloc(1, sizeof *s);

    s->name = name;
    return s;
}

void cli_session_begin(struct cli_session *s, azr_txn *txn)
{
    size_t left = 0;

    for (size_t i = 0; i < s->count; i++) {
        if (s->members[i].created)
            azr_array_close(s->members[i].array);
        else
            s->members[left++] = s->members[i];
    }
    s->count = left;
    s->txn = txn;
    s->conflict = false;
}

void cli_session_free(struct cli_session *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        azr_array_close(s->members[i].array);
    free(s->members);
    free(s);
}

void cli_session_line(struct cli_session *s, size_t line)
{
    s->line = line;
}

void cli_session_place(char *out, size_t size, const struct cli *cli)
{
    const struct cli_session *s = cli->session;

    out[0] = '\0';
    if (s)
        (void)snprintf(out, size, "%s:%zu: ", s->name, s->line);
}

void cli_session_failed(struct cli_session *s, int exit_code, const char *name,
                        const char *text)
{
    s->exit_code = exit_code;
    s->code = name;
    (void)snprintf(s->message, sizeof s->message, "%.300s:%zu: %.1200s",
                   s->name, s->line, text);
}

void cli_session_tell(const struct cli_session *s)
{
    if (s->exit_code != 0)
        cli_error_document(s->exit_code, s->code, s->message);
}

bool cli_session_conflict(const struct cli_session *s)
{
    return s->conflict;
}

bool cli_session_note(const struct cli *cli, int status)
{
    if (!cli->session || status != AZR_ECONFLICT)
        return false;
    cli->session->conflict = true;
    return true;
}

int cli_alone(struct cli *cli, const char *what)
{
    if (!cli->session)
        return 0;
    return cli_usage_error(cli, "%s cannot be a part of a transaction", what);
}

/* --------------------------------------------------------------- handles --- */

static struct member *find(const struct cli_session *s, const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return NULL;
    for (size_t i = 0; i < s->count; i++) {
        if (s->members[i].dev == st.st_dev && s->members[i].ino == st.st_ino)
            return &s->members[i];
    }
    return NULL;
}

static struct member *keep(struct cli_session *s, azr_array *array,
                           const char *path)
{
    struct member *list = cli_alloc(s->count + 1, sizeof *list);
    struct stat st;

    memset(&st, 0, sizeof st);
    (void)stat(path, &st);
    if (s->count > 0)
        memcpy(list, s->members, s->count * sizeof *list);
    free(s->members);
    s->members = list;
    list += s->count++;
    list->array = array;
    list->dev = st.st_dev;
    list->ino = st.st_ino;
    return list;
}

static struct member *member_of(const struct cli *cli, const azr_array *a)
{
    const struct cli_session *s = cli->session;

    for (size_t i = 0; s && i < s->count; i++) {
        if (s->members[i].array == a)
            return &s->members[i];
    }
    return NULL;
}

int cli_take(struct cli *cli, azr_array **out, const char *path, uint32_t flags)
{
    struct cli_session *s = cli->session;
    const struct member *m = s ? find(s, path) : NULL;
    int rc;

    if (!s)
        return cli_open(cli, out, path, flags);
    if (m) {
        *out = m->array;
        return 0;
    }
    rc = cli_open(cli, out, path, AZR_OPEN_WRITE);
    if (rc == 0)
        (void)keep(s, *out, path);
    return rc;
}

void cli_close(struct cli *cli, azr_array *array)
{
    if (!cli->session)
        azr_array_close(array);
}

/* ---------------------------------------------------------------- verbs --- */

int cli_info(struct cli *cli, azr_array *a, azr_array_info *out, azr_error *err)
{
    const struct member *m = member_of(cli, a);
    int rc = AZR_OK;

    if (m && m->created)
        *out = m->info;
    else
        rc = azr_array_info_get(a, out, err);
    if (rc == AZR_OK && m)
        rc = azr_txn_shape(cli->session->txn, a, out->shape, err);
    return rc;
}

int cli_read(struct cli *cli, azr_array *a, const azr_selection *sel, void *dst,
             size_t dst_nbytes, azr_error *err)
{
    if (cli->session)
        return azr_txn_read(cli->session->txn, a, sel, dst, dst_nbytes, err);
    return azr_array_read(a, sel, dst, dst_nbytes, err);
}

int cli_write(struct cli *cli, azr_array *a, const azr_selection *sel,
              const void *src, size_t src_nbytes, azr_error *err)
{
    if (cli->session)
        return azr_txn_write(cli->session->txn, a, sel, src, src_nbytes, err);
    return azr_array_write(a, sel, src, src_nbytes, err);
}

int cli_fill(struct cli *cli, azr_array *a, const azr_selection *sel,
             const void *value, size_t value_nbytes, azr_error *err)
{
    if (cli->session)
        return azr_txn_fill(cli->session->txn, a, sel, value, value_nbytes,
                            err);
    return azr_array_fill(a, sel, value, value_nbytes, err);
}

int cli_append(struct cli *cli, azr_array *a, int axis, int64_t length,
               const void *src, size_t src_nbytes, int64_t *offset,
               azr_error *err)
{
    if (cli->session)
        return azr_txn_append(cli->session->txn, a, axis, length, src,
                              src_nbytes, offset, err);
    return azr_array_append(a, axis, length, src, src_nbytes, offset, err);
}

int cli_resize(struct cli *cli, azr_array *a, int rank, const int64_t *shape,
               azr_error *err)
{
    if (cli->session)
        return azr_txn_resize(cli->session->txn, a, rank, shape, err);
    return azr_array_resize(a, rank, shape, err);
}

int cli_set_attribute(struct cli *cli, azr_array *a, const char *name,
                      const char *json, azr_error *err)
{
    if (cli->session)
        return azr_txn_set_attribute(cli->session->txn, a, name, json, err);
    return azr_array_attribute_set(a, name, json, err);
}

int cli_create(struct cli *cli, azr_array **out, const char *path,
               const azr_array_spec *spec, uint32_t flags, azr_error *err)
{
    azr_open_options o = cli_open_options(cli, flags);
    struct member *m;
    int rc;

    if (!cli->session)
        return azr_array_create(out, path, spec, &o, err);
    rc = azr_txn_create_array(cli->session->txn, out, path, spec, &o, err);
    if (rc < 0)
        return rc;
    m = keep(cli->session, *out, path);
    m->created = true;
    m->info.struct_size = (uint32_t)sizeof m->info;
    m->info.zarr_format = spec->zarr_format;
    m->info.rank = spec->rank;
    m->info.dtype = spec->dtype;
    memcpy(m->info.shape, spec->shape, sizeof m->info.shape);
    for (int d = 0; d < spec->rank; d++) /* 0: all of it, at least one */
        m->info.chunks[d] = spec->chunks[d] > 0  ? spec->chunks[d]
                            : spec->shape[d] > 0 ? spec->shape[d]
                                                 : 1;
    return rc;
}
