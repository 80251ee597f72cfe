/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes every array of the matrix for other implementations to read.
 *
 *   writer DIRECTORY [EVERY]
 *
 * (EVERY 7: each seventh array alone) makes DIRECTORY/manifest.jsonl, a line each; `path` and the files with the
 * expected elements (C order, little-endian) are relative to DIRECTORY. Arrays of
 * kind `pending` hold a committed transaction whose owner was killed before it
 * had renamed anything: `raw` and `shape` are what a plain reader must see,
 * `through` and `through_shape` what ours must.
 */
#include "cells.h"

#include "model/meta.h"
#include "os/sys.h"

#include <json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct writing {
    const char *dir;
    FILE *manifest;
    size_t seen, every, count;
} writing;

/* --------------------------------------------------------------- the end --- */

/* From the commit on, the first rename is the end of this process. */
static struct azri_sys g_sys;
static bool g_committed;

static void store64_and_note(const char *what, _Atomic uint64_t *p,
                             uint64_t value)
{
    azri_sys_posix.store64(what, p, value);
    g_committed |= strcmp(what, "row.committed") == 0;
}

static int renameat2_or_die(int from_dir, const char *from, int to_dir,
                            const char *to, unsigned flags)
{
    if (g_committed)
        (void)kill(getpid(), SIGKILL);
    return azri_sys_posix.renameat2(from_dir, from, to_dir, to, flags);
}

static int unlinkat_or_die(int dir, const char *path, int flags)
{
    if (g_committed)
        (void)kill(getpid(), SIGKILL);
    return azri_sys_posix.unlinkat(dir, path, flags);
}

static void arm(void)
{
    g_sys = azri_sys_posix;
    g_sys.store64 = store64_and_note;
    g_sys.renameat2 = renameat2_or_die;
    g_sys.unlinkat = unlinkat_or_die;
    azri_sys = &g_sys;
}

static void must(int rc, const char *path, const azr_error *err)
{
    if (rc < 0)
        die("%s: %s: %s", path, azr_status_name(rc), err->message);
}

/* The shape that the crash leaves behind. */
static void shape_after(int64_t out[CELL_MAX_RANK], const cell *c)
{
    memcpy(out, c->shape->shape, sizeof c->shape->shape);
    if (c->crash == CRASH_APPEND)
        out[0] += 1;
    if (c->crash == CRASH_SHRINK)
        out[0] /= 2;
}

static uint8_t *values_after(const cell *c, const int64_t *shape)
{
    cell erased = *c;
    cell_shape gone = *c->shape;

    if (c->crash == CRASH_ERASE) {
        gone.is_blank = true;
        erased.shape = &gone;
    }
    return cell_values(&erased, shape, c->crash == CRASH_WRITE ? 100 : 0);
}

/* One operation on the array at `path`. */
static int do_change(const cell *c, const char *path, azr_error *err)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_selection all = azr_select_all(c->shape->rank);
    int64_t shape[CELL_MAX_RANK];
    size_t old = element_count(c->shape->shape, c->shape->rank), item, nbytes;
    uint8_t *values;
    azr_array *a = NULL;
    int rc;

    shape_after(shape, c);
    values = values_after(c, shape);
    item = c->dtype->nbytes;
    nbytes = element_count(shape, c->shape->rank) * item;
    o.flags = AZR_OPEN_WRITE;
    rc = azr_array_open(&a, path, &o, err);
    if (rc == AZR_OK && c->crash == CRASH_APPEND)
        rc = azr_array_append(a, 0, 1, values + old * item, nbytes - old * item,
                              NULL, err);
    else if (rc == AZR_OK && c->crash == CRASH_SHRINK)
        rc = azr_array_resize(a, c->shape->rank, shape, err);
    else if (rc == AZR_OK && c->crash == CRASH_ATTRIBUTE)
        rc = azr_array_attribute_set(a, "answer", "43", err);
    else if (rc == AZR_OK)
        rc = azr_array_write(a, &all, values, nbytes, err);
    azr_array_close(a);
    free(values);
    return rc;
}

/* One row, committed, and its owner dead. */
static int count_committed(const azr_row_info *row, void *arg)
{
    int *n = arg;

    *n += row->state == AZR_ROW_COMMITTED && !row->alive ? 1 : 1000;
    return 0;
}

static void crash(const cell *c, const char *path)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    pid_t child;
    int status = 0, rows = 0;

    (void)fflush(NULL);
    child = fork();
    if (child < 0)
        die("fork does not work here");
    if (child == 0) {
        arm();
        (void)do_change(c, path, &err);
        _exit(1);
    }
    if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status) ||
        WTERMSIG(status) != SIGKILL)
        die("%s: the child was to be killed at its first rename", path);
    must(azr_array_open(&a, path, NULL, &err), path, &err);
    must(azr_array_status(a, count_committed, &rows, &err), path, &err);
    if (rows != 1)
        die("%s: need one committed row of a dead owner", path);
    azr_array_close(a);
}

static void recover(const char *path)
{
    azr_error err = AZR_ERROR_INIT;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_recovery r = {.struct_size = sizeof r};
    azr_array *a = NULL;

    o.flags = AZR_OPEN_WRITE | AZR_OPEN_NO_RECOVERY;
    must(azr_array_open(&a, path, &o, &err), path, &err);
    must(azr_array_recover(a, &r, &err), path, &err);
    if (r.finished != 1)
        die("%s: recovery finished %u rows, need 1", path, r.finished);
    azr_array_close(a);
}

/* ---------------------------------------------------------------- arrays --- */

/* Order 'P' is more than a spec can say by letter: the whole chain as JSON. */
static void rotated_chain(azri_buf *out, const cell *c)
{
    azr_error err = AZR_ERROR_INIT;
    azri_buf tail = AZRI_BUF_INIT;
    int rc = azri_codec_names_to_json(&tail, 3, c->dtype, c->codecs, &err);

    if (rc >= 0)
        rc = azri_buf_puts(out,
                           "[{\"name\": \"transpose\", \"configuration\": "
                           "{\"order\": [",
                           &err);
    for (int d = 1; rc >= 0 && d <= c->shape->rank; d++)
        rc = azri_buf_printf(out, &err, "%s%d", d > 1 ? ", " : "",
                             d % c->shape->rank);
    if (rc >= 0)
        rc = azri_buf_puts(out, "]}}, {\"name\": \"bytes\"", &err);
    if (rc >= 0 && c->dtype->swap_unit > 1)
        rc = azri_buf_printf(out, &err,
                             ", \"configuration\": {\"endian\": \"%s\"}",
                             c->big_endian ? "big" : "little");
    if (rc >= 0 && tail.nbytes > 2)
        rc = azri_buf_printf(out, &err, "}, %.*s", (int)tail.nbytes - 1,
                             (const char *)tail.data + 1);
    else if (rc >= 0)
        rc = azri_buf_puts(out, "}]", &err);
    if (rc >= 0)
        rc = azri_buf_terminate(out, &err);
    must(rc, c->codecs, &err);
    azri_buf_dispose(&tail);
}

static void create(azr_array **out, const cell *c, const char *path)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azri_buf chain = AZRI_BUF_INIT;

    spec.zarr_format = c->format;
    spec.rank = c->shape->rank;
    spec.dtype = c->dtype->id;
    memcpy(spec.shape, c->shape->shape, sizeof c->shape->shape);
    memcpy(spec.chunks, c->shape->chunks, sizeof c->shape->chunks);
    spec.big_endian = c->big_endian;
    spec.order = c->order;
    spec.separator = c->separator;
    spec.key_encoding = c->encoding;
    spec.codecs = c->codecs;
    spec.fill_value = c->fill;
    spec.attributes = c->attributes;
    spec.dimension_names = c->names;
    if (c->order == 'P') {
        rotated_chain(&chain, c);
        spec.codecs = (const char *)chain.data;
        spec.order = 'C';
        spec.big_endian = 0;
    }
    must(azr_array_create(out, path, &spec, NULL, &err), path, &err);
    azri_buf_dispose(&chain);
}

/* A file with these values, little-endian; its name into `out`. */
static void write_raw(char out[TEXT_MAX], const writing *w, const cell *c,
                      const char *what, uint8_t *values, const int64_t *shape)
{
    char path[TEXT_MAX], text[TEXT_MAX];
    size_t nbytes = element_count(shape, c->shape->rank) * c->dtype->nbytes;

    shape_text(text, shape, c->shape->rank);
    text_of(out, "raw/%s-%s-%s-%s%s.raw", c->dtype->v3_name, c->shape->name,
            text, c->fill_name ? c->fill_name : "usual", what);
    text_of(path, "%s/%s", w->dir, out);
    swap_to_little(values, nbytes, c->dtype->id);
    if (access(path, F_OK) != 0)
        write_whole(path, values, nbytes);
}

static json_object *json_shape(const int64_t *shape, int rank)
{
    json_object *list = json_object_new_array();

    for (int d = 0; d < rank; d++)
        (void)json_object_array_add(list, json_object_new_int64(shape[d]));
    return list;
}

static void add(json_object *o, const char *name, json_object *value)
{
    if (json_object_object_add(o, name, value) != 0)
        die("no memory for JSON");
}

static void add_text(json_object *o, const char *name, const char *text)
{
    add(o, name, json_object_new_string(text));
}

static void note(const writing *w, const cell *c, const char *path,
                 const char *raw, const char *after)
{
    json_object *o = json_object_new_object();
    char id[TEXT_MAX], letter[2] = {c->order, '\0'};
    int64_t shape[CELL_MAX_RANK];
    int rank = c->shape->rank;

    cell_id(id, c);
    add_text(o, "id", id);
    add_text(o, "kind", c->kind);
    add_text(o, "path", path);
    add(o, "format", json_object_new_int(c->format));
    add_text(o, "dtype", c->dtype->v3_name);
    add(o, "big_endian", json_object_new_boolean(c->big_endian));
    add_text(o, "order", letter);
    if (c->attributes)
        add_text(o, "attributes", c->attributes);
    add(o, "has_names", json_object_new_boolean(c->names != NULL));
    shape_after(shape, c);
    add(o, "shape", json_shape(c->recovered ? shape : c->shape->shape, rank));
    add_text(o, "raw", c->recovered ? after : raw);
    add(o, "answer",
        json_object_new_int(c->recovered && c->crash == CRASH_ATTRIBUTE ? 43
                                                                        : 42));
    if (c->crash != CRASH_NONE) {
        add(o, "through_shape", json_shape(shape, rank));
        add_text(o, "through", after);
        add(o, "through_answer",
            json_object_new_int(c->crash == CRASH_ATTRIBUTE ? 43 : 42));
    }
    if (fprintf(w->manifest, "%s\n",
                json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN)) < 0)
        die("cannot write the manifest");
    (void)json_object_put(o);
}

static void write_cell(const cell *c, void *arg)
{
    static const char *const whats[] = {"",       "-write",  "-append",
                                        "-erase", "-shrink", "-attribute"};
    writing *w = arg;
    uint8_t *values;
    azr_array *a = NULL;
    char name[TEXT_MAX], path[TEXT_MAX], raw[TEXT_MAX], after[TEXT_MAX];
    azr_error err = AZR_ERROR_INIT;
    azr_selection all = azr_select_all(c->shape->rank);
    size_t nbytes =
        element_count(c->shape->shape, c->shape->rank) * c->dtype->nbytes;

    if (w->seen++ % w->every != 0)
        return;
    values = cell_values(c, c->shape->shape, 0);
    text_of(name, "arrays/%04zu", w->count++);
    text_of(path, "%s/%s", w->dir, name);
    create(&a, c, path);
    if (!c->shape->is_blank)
        must(azr_array_write(a, &all, values, nbytes, &err), path, &err);
    azr_array_close(a);
    write_raw(raw, w, c, "", values, c->shape->shape);
    free(values);
    after[0] = '\0';
    if (c->crash != CRASH_NONE) {
        int64_t shape[CELL_MAX_RANK];

        shape_after(shape, c);
        values = values_after(c, shape);
        write_raw(after, w, c, whats[c->crash], values, shape);
        free(values);
        crash(c, path);
        if (c->recovered)
            recover(path);
    }
    note(w, c, name, raw, after);
}

static void make_directory(const char *path)
{
    azr_error err = AZR_ERROR_INIT;

    if (azri_sys->mkdirat(AT_FDCWD, path, 0777) != 0)
        must(AZR_EIO, path, &err);
}

int main(int argc, char **argv)
{
    writing w = {0};
    char path[TEXT_MAX];

    if (argc != 2 && argc != 3)
        die("usage: writer DIRECTORY (which is not there yet) [EVERY]");
    w.dir = argv[1];
    w.every = argc == 3 ? strtoul(argv[2], NULL, 10) : 1;
    if (w.every == 0)
        die("EVERY is %s, need a number", argv[2]);
    make_directory(w.dir);
    text_of(path, "%s/arrays", w.dir);
    make_directory(path);
    text_of(path, "%s/raw", w.dir);
    make_directory(path);
    text_of(path, "%s/manifest.jsonl", w.dir);
    w.manifest = fopen(path, "w");
    if (!w.manifest)
        die("cannot write %s", path);
    for_each_cell(write_cell, &w);
    if (fclose(w.manifest) != 0)
        die("cannot write %s", path);
    printf("%zu arrays written\n", w.count);
    return 0;
}
