/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/plots.h"
#include "crash/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST  2 /* what is moved: parts of two chunks */
#define COUNT  4
#define AMOUNT 7
#define MANY   5 /* appended: over the end of a chunk */
#define CUT    5

bool plot_power;

static const char *const places[PLOT_ARRAYS] = {"a", "group/b", "c", "group/d",
                                                "e"};

void plot_path(char out[256], const char *root, int k)
{
    (void)snprintf(out, 256, "%s/%s", root, places[k]);
}

bool plot_failed(const char *what, int rc, const azr_error *err)
{
    return complain("%s: %s: %s", what, azr_status_name(rc), err->message);
}

bool plot_creates(const plot *p, int arrays, int k)
{
    return p->creates_all || (p->creates_last && k == arrays - 1);
}

static azr_array_spec spec_of(int format, bool power)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;

    spec.zarr_format = format;
    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = PLOT_LENGTH;
    spec.chunks[0] = 4;
    spec.codecs = "none";
    spec.fill_value = "-1";
    spec.durability = power ? AZR_DURABILITY_POWER : AZR_DURABILITY_PROCESS;
    return spec;
}

bool plot_make(const char *path, const plot *p, bool power)
{
    azr_array_spec spec = spec_of(p->format, power);
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_selection all = azr_select_all(1);
    azr_array *a = NULL;
    int32_t v[PLOT_LENGTH];
    int rc;

    for (int i = 0; i < PLOT_LENGTH; i++)
        v[i] = 100 + i;
    rc = azr_array_create(&a, path, &spec, &o, &err);
    if (rc == AZR_OK)
        rc = azr_array_write(a, &all, v, sizeof v, &err);
    azr_array_close(a);
    return rc < 0 ? plot_failed("make", rc, &err) : true;
}

bool plot_make_square(const char *path, bool *made)
{
    azr_array_spec spec = spec_of(3, false);
    azr_error err = AZR_ERROR_INIT;
    azr_selection all = azr_select_all(2);
    azr_array *a = NULL;
    int32_t mark = PLOT_MARK;
    int rc;

    spec.rank = 2;
    spec.shape[0] = spec.chunks[0] = 2;
    spec.shape[1] = spec.chunks[1] = 3;
    rc = azr_array_create(&a, path, &spec, NULL, &err);
    if (rc == AZR_OK)
        rc = azr_array_fill(a, &all, &mark, sizeof mark, &err);
    azr_array_close(a);
    *made = rc == AZR_OK;
    if (rc == AZR_EEXISTS)
        return true;
    return rc < 0 ? plot_failed("make over what is left", rc, &err) : true;
}

int plot_read(azr_txn *txn, azr_array *a, values *out, int k, azr_error *err)
{
    azr_array_info info = {.struct_size = sizeof info};
    const char *number;
    azr_selection all;
    char *text = NULL;
    int rc = azr_array_info_get(a, &info, err);

    if (rc == AZR_OK && txn)
        rc = azr_txn_shape(txn, a, info.shape, err);
    if (rc < 0)
        return rc;
    out->length[k] =
        (int)(info.rank == 2 ? info.shape[0] * info.shape[1] : info.shape[0]);
    all = azr_select_all(info.rank);
    rc = txn ? azr_txn_read(txn, a, &all, out->v[k], sizeof out->v[k], err)
             : azr_array_read(a, &all, out->v[k], sizeof out->v[k], err);
    if (rc == AZR_OK)
        rc = azr_array_attributes(a, &text, err);
    if (rc < 0)
        return rc;
    number = strstr(text, "\"n\"");
    number = number ? strchr(number, ':') : NULL;
    out->attribute[k] = number ? (int)strtol(number + 1, NULL, 10) : 0;
    azr_free(text);
    return AZR_OK;
}

bool plot_is_plain(const char *path, const plot *p)
{
    char name[300], text[4096], *at;
    long length;
    size_t n;
    FILE *f;

    (void)snprintf(name, sizeof name, "%s/%s", path,
                   p->format == 3 ? "zarr.json" : ".zarray");
    f = fopen(name, "r");
    if (!f)
        return true; /* no array, for a plain reader */
    n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[n] = '\0';
    at = strstr(text, "\"shape\"");
    at = at ? strchr(at, '[') : NULL;
    length = at ? strtol(at + 1, NULL, 10) : 0;
    for (long c = 0; c < (length + 3) / 4; c++) {
        (void)snprintf(name, sizeof name, "%s/%s%ld", path,
                       p->format == 3 ? "c/" : "", c);
        if (access(name, F_OK) != 0)
            return complain("a plain reader misses chunk %ld of %ld elements "
                            "in '%s'",
                            c, length, path);
    }
    return true;
}

/* -------------------------------------------------------------- transfer --- */

static void expect_transfer(values *x, int arrays)
{
    for (int k = 0; k < arrays; k++) {
        int to = (k + 1) % arrays;

        for (int i = FIRST; i < FIRST + COUNT; i++) {
            x->v[k][i] -= AMOUNT * (k + 1);
            x->v[to][i] += AMOUNT * (k + 1);
        }
    }
}

static int begin(azr_txn **txn, azr_error *err)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;

    o.timeout_ms = 0;
    return azr_txn_begin(txn, &o, err);
}

static int end(azr_txn *txn, int rc, azr_error *err)
{
    if (rc == AZR_OK)
        rc = azr_txn_commit(txn, err);
    azr_txn_free(txn);
    return rc;
}

static int run_transfer(azr_array **a, int arrays, const char *root,
                        azr_error *err)
{
    azr_selection s = AZR_BOX(1, {FIRST}, {COUNT});
    azr_txn *txn = NULL;
    values x;
    int rc = begin(&txn, err);

    (void)root;
    memset(&x, 0, sizeof x);
    for (int k = 0; k < arrays && rc == AZR_OK; k++)
        rc = azr_txn_read(txn, a[k], &s, &x.v[k][FIRST],
                          COUNT * sizeof x.v[k][0], err);
    expect_transfer(&x, arrays);
    for (int k = 0; k < arrays && rc == AZR_OK; k++)
        rc = azr_txn_write(txn, a[k], &s, &x.v[k][FIRST],
                           COUNT * sizeof x.v[k][0], err);
    return end(txn, rc, err);
}

/* Chunks 0 and 1 of each as they are stored: `v`, eight elements. */
static int read_chunks(azr_txn *txn, azr_array *a, int32_t *v, azr_error *err)
{
    int rc = AZR_OK;

    for (int64_t c = 0; c < 2 && rc == AZR_OK; c++) {
        size_t nbytes = 0;
        void *bytes = NULL;

        rc = azr_txn_read_chunk(txn, a, &c, &bytes, &nbytes, err);
        if (rc == AZR_OK && nbytes == 4 * sizeof *v)
            memcpy(v + 4 * c, bytes, nbytes);
        else if (rc == AZR_OK)
            rc = AZR_ECORRUPT;
        azr_free(bytes);
    }
    return rc;
}

static int run_chunks(azr_array **a, int arrays, const char *root,
                      azr_error *err)
{
    azr_txn *txn = NULL;
    values x;
    int rc = begin(&txn, err);

    (void)root;
    memset(&x, 0, sizeof x);
    for (int k = 0; k < arrays && rc == AZR_OK; k++)
        rc = read_chunks(txn, a[k], x.v[k], err);
    expect_transfer(&x, arrays);
    for (int k = 0; k < arrays && rc == AZR_OK; k++) {
        for (int64_t c = 0; c < 2 && rc == AZR_OK; c++)
            rc = azr_txn_write_chunk(txn, a[k], &c, x.v[k] + 4 * c,
                                     4 * sizeof x.v[k][0], err);
    }
    return end(txn, rc, err);
}

/* ---------------------------------------------------------------- growth --- */

static void expect_append(values *x, int k, int n)
{
    for (int i = 0; i < n; i++)
        x->v[k][x->length[k]++] = 200 + k + i;
}

static int append(azr_txn *txn, azr_array *a, int k, int n, azr_error *err)
{
    int32_t v[PLOT_MOST];

    for (int i = 0; i < n; i++)
        v[i] = 200 + k + i;
    return azr_txn_append(txn, a, 0, n, v, (size_t)n * sizeof *v, NULL, err);
}

static int attribute(azr_txn *txn, azr_array *a, int k, azr_error *err)
{
    char text[16];

    (void)snprintf(text, sizeof text, "%d", 30 + k);
    return azr_txn_set_attribute(txn, a, "n", text, err);
}

/* Of arrays first to end - 1. */
static int grow(azr_txn *txn, azr_array **a, int end_at, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {FIRST}, {1});
    int32_t seven = 7;
    int rc = AZR_OK;

    for (int k = 0; k < end_at && rc == AZR_OK; k++) {
        rc = append(txn, a[k], k, MANY + k, err);
        if (rc == AZR_OK && k % 2 == 0)
            rc = attribute(txn, a[k], k, err);
        if (rc == AZR_OK && k == 0)
            rc = azr_txn_write(txn, a[k], &s, &seven, sizeof seven, err);
    }
    return rc;
}

static void expect_some_growth(values *x, int end_at)
{
    for (int k = 0; k < end_at; k++) {
        expect_append(x, k, MANY + k);
        if (k % 2 == 0)
            x->attribute[k] = 30 + k;
    }
    if (end_at > 0)
        x->v[0][FIRST] = 7;
}

static int run_growth(azr_array **a, int arrays, const char *root,
                      azr_error *err)
{
    azr_txn *txn = NULL;
    int rc = begin(&txn, err);

    (void)root;
    if (rc == AZR_OK)
        rc = grow(txn, a, arrays, err);
    return end(txn, rc, err);
}

/* ---------------------------------------------------------------- shrink --- */

static int run_shrink(azr_array **a, int arrays, const char *root,
                      azr_error *err)
{
    int64_t cut = CUT;
    azr_txn *txn = NULL;
    int rc = begin(&txn, err);

    (void)root;
    if (rc == AZR_OK)
        rc = azr_txn_resize(txn, a[0], 1, &cut, err);
    for (int k = 1; k < arrays && rc == AZR_OK; k++) {
        if (k % 2 == 0) /* elsewhere it is cut, and grows again */
            rc = azr_txn_resize(txn, a[k], 1, &cut, err);
        if (rc == AZR_OK)
            rc = append(txn, a[k], k, MANY, err);
    }
    if (rc == AZR_OK)
        rc = attribute(txn, a[0], 0, err);
    return end(txn, rc, err);
}

static void expect_shrink(values *x, int arrays)
{
    for (int k = 0; k < arrays; k++) {
        if (k % 2 == 0) {
            for (int i = CUT; i < PLOT_MOST; i++)
                x->v[k][i] = 0;
            x->length[k] = CUT;
        }
        if (k > 0)
            expect_append(x, k, MANY);
    }
    x->attribute[0] = 30;
}

/* ---------------------------------------------------------------- create --- */

static int create(azr_txn *txn, azr_array **out, const char *root, int k,
                  int format, azr_error *err)
{
    azr_array_spec spec = spec_of(format, plot_power);
    azr_selection all = azr_select_all(1);
    int32_t v[PLOT_LENGTH];
    char path[256];
    int rc;

    spec.attributes = "{\"n\": 40}";
    for (int i = 0; i < PLOT_LENGTH; i++)
        v[i] = 300 + k + i;
    plot_path(path, root, k);
    rc = azr_txn_create_array(txn, out, path, &spec, NULL, err);
    return rc < 0 ? rc : azr_txn_write(txn, *out, &all, v, sizeof v, err);
}

static void expect_created(values *x, int k)
{
    x->length[k] = PLOT_LENGTH;
    x->attribute[k] = 40;
    for (int i = 0; i < PLOT_LENGTH; i++)
        x->v[k][i] = 300 + k + i;
}

static int create_last(azr_array **a, int arrays, const char *root, int format,
                       azr_error *err)
{
    azr_txn *txn = NULL;
    int rc = begin(&txn, err);

    if (rc == AZR_OK)
        rc = create(txn, &a[arrays - 1], root, arrays - 1, format, err);
    if (rc == AZR_OK)
        rc = grow(txn, a, arrays - 1, err);
    return end(txn, rc, err);
}

static int run_create(azr_array **a, int arrays, const char *root,
                      azr_error *err)
{
    return create_last(a, arrays, root, 3, err);
}

static int run_create_v2(azr_array **a, int arrays, const char *root,
                         azr_error *err)
{
    return create_last(a, arrays, root, 2, err);
}

static void expect_create(values *x, int arrays)
{
    expect_some_growth(x, arrays - 1);
    expect_created(x, arrays - 1);
}

static int run_create_all(azr_array **a, int arrays, const char *root,
                          azr_error *err)
{
    azr_txn *txn = NULL;
    int rc = begin(&txn, err);

    for (int k = 0; k < arrays && rc == AZR_OK; k++)
        rc = create(txn, &a[k], root, k, 2, err);
    return end(txn, rc, err);
}

static void expect_create_all(values *x, int arrays)
{
    for (int k = 0; k < arrays; k++)
        expect_created(x, k);
}

/* ------------------------------------------------------------ append_all --- */

static int run_append_all(azr_array **a, int arrays, const char *root,
                          azr_error *err)
{
    azr_append_part parts[PLOT_ARRAYS];
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    int32_t v[PLOT_ARRAYS][MANY];

    (void)root;
    o.timeout_ms = 0;
    for (int k = 0; k < arrays; k++) {
        parts[k] = (azr_append_part)AZR_APPEND_PART_INIT;
        parts[k].array = a[k];
        parts[k].length = MANY;
        parts[k].src = v[k];
        parts[k].src_nbytes = sizeof v[k];
        for (int i = 0; i < MANY; i++)
            v[k][i] = 200 + k + i;
    }
    return azr_append_all(parts, (size_t)arrays, &o, err);
}

static void expect_append_all(values *x, int arrays)
{
    for (int k = 0; k < arrays; k++)
        expect_append(x, k, MANY);
}

const plot plot_transfer = {
    .name = "transfer",
    .format = 3,
    .run = run_transfer,
    .expect = expect_transfer,
};
const plot plot_chunks = {
    .name = "chunks",
    .format = 3,
    .run = run_chunks,
    .expect = expect_transfer,
};
const plot plot_growth = {
    .name = "growth",
    .format = 3,
    .run = run_growth,
    .expect = expect_some_growth,
};
const plot plot_shrink = {
    .name = "shrink",
    .format = 3,
    .shrinks = true,
    .run = run_shrink,
    .expect = expect_shrink,
};
const plot plot_create = {
    .name = "create",
    .format = 3,
    .creates_last = true,
    .run = run_create,
    .expect = expect_create,
};
const plot plot_create_v2 = {
    .name = "create v2",
    .format = 2,
    .creates_last = true,
    .run = run_create_v2,
    .expect = expect_create,
};
const plot plot_create_all = {
    .name = "create all",
    .format = 2,
    .creates_all = true,
    .run = run_create_all,
    .expect = expect_create_all,
};
const plot plot_append_all = {
    .name = "append_all",
    .format = 3,
    .run = run_append_all,
    .expect = expect_append_all,
};
