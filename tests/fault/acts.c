/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/acts.h"
#include "core/array.h"
#include "fault/acts_nodes.h"
#include "fault/look.h"
#include "txn/txn_local.h"

#include <stdio.h>
#include <string.h>

/* --------------------------------------------------- arrays, by themselves --- */

static int do_create(actor *x, azr_error *err)
{
    return make_array(&x->a, x, "n", 0, err);
}

static int do_replace(actor *x, azr_error *err)
{
    return make_array(&x->a, x, "b", AZR_CREATE_REPLACE, err);
}

static int do_create_or_open(actor *x, azr_error *err)
{
    int rc = make_array(&x->a, x, "a", AZR_CREATE_OR_OPEN, err);

    if (rc == AZR_OK)
        expect_elements(x->a, 0, 46, 1);
    return rc;
}

static int do_open_or_create(actor *x, azr_error *err)
{
    return make_array(&x->a, x, "n", AZR_CREATE_OR_OPEN, err);
}

static int do_open_read(actor *x, azr_error *err)
{
    azr_array_info info = {.struct_size = sizeof info};
    int rc = open_array(&x->a, x, "a", 0, err);

    if (rc == AZR_OK)
        rc = azr_array_info_get(x->a, &info, err);
    if (rc == AZR_OK)
        expect(info.shape[0], 46, "its length");
    return rc;
}

int open_to_read(actor *x, azr_error *err)
{
    return open_array(&x->a, x, "a", 0, err);
}

int read_box(azr_array *a, int64_t first, int64_t end, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {0}, {0});
    int32_t v[64] = {0};
    int rc;

    s.start[0] = first;
    s.count[0] = end - first;
    rc = azr_array_read(a, &s, v, (size_t)(end - first) * sizeof v[0], err);
    for (int64_t i = first; rc == AZR_OK && i < end; i++) {
        if (v[i - first] != i + 1 &&
            !complain("read %d at %d", (int)v[i - first], (int)i))
            break;
    }
    return rc;
}

static int do_read_one(actor *x, azr_error *err)
{
    return read_box(x->a, 4, 8, err);
}

static int do_read(actor *x, azr_error *err)
{
    return read_box(x->a, 0, 46, err);
}

static int open_unlocked(actor *x, azr_error *err)
{
    return open_array(&x->a, x, "a", AZR_OPEN_READ_UNLOCKED, err);
}

static int do_read_through(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {2}, {40});
    int32_t v[40] = {0};
    int rc = azr_array_read(x->a, &s, v, sizeof v, err);

    for (int i = 0; rc == AZR_OK && i < 40; i++) {
        if (v[i] != 1002 + i && !complain("read %d at %d", (int)v[i], i + 2))
            break;
    }
    return rc;
}

static int do_read_into(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {2}, {12});
    int32_t v[12] = {0};
    azr_memory m = backwards(v, 12);
    int rc = azr_array_read_into(x->a, &s, &m, err);

    for (int i = 0; rc == AZR_OK && i < 12; i++) {
        if (v[11 - i] != i + 3 &&
            !complain("read %d at %d", (int)v[11 - i], i + 2))
            break;
    }
    return rc;
}

static int do_read_shape(actor *x, azr_error *err)
{
    azr_selection all = azr_select_all(1);
    int32_t v[46] = {0};
    azr_memory m = backwards(v, 46);
    int64_t shape[1] = {0};
    int rc = azr_array_read_shape(x->a, &all, &m, shape, err);

    if (rc == AZR_OK && (shape[0] != 46 || v[45] != 1 || v[0] != 46))
        (void)complain("read %d and %d of %d", (int)v[45], (int)v[0],
                       (int)shape[0]);
    return rc;
}

static const int64_t some_points[] = {3, 40, 17, 9};

static int do_read_points(actor *x, azr_error *err)
{
    azr_selection s = azr_select_points(1, some_points, 4);
    int32_t v[4] = {0};
    int rc = azr_array_read(x->a, &s, v, sizeof v, err);

    for (int i = 0; rc == AZR_OK && i < 4; i++) {
        if (v[i] != some_points[i] + 1 &&
            !complain("read %d at %d", (int)v[i], (int)some_points[i]))
            break;
    }
    return rc;
}

static int do_write_points(actor *x, azr_error *err)
{
    azr_selection s = azr_select_points(1, some_points, 4);
    int32_t v[4] = {-1, -2, -3, -4};

    return azr_array_write(x->a, &s, v, sizeof v, err);
}

static int do_write_from(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {2}, {12});
    int32_t v[12] = {11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
    azr_memory m = backwards(v, 12);

    return azr_array_write_from(x->a, &s, &m, err);
}

static const int64_t its_shape[1] = {46};

static int do_write_shape(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {2}, {4});
    int32_t v[4] = {9, 8, 7, 6};
    azr_memory m = backwards(v, 4);

    return azr_array_write_shape(x->a, &s, &m, its_shape, err);
}

static int do_attributes(actor *x, azr_error *err)
{
    char *text = NULL, *name = NULL;
    int rc = azr_array_attributes(x->a, &text, err);

    if (rc == AZR_OK)
        rc = azr_array_dimension_name(x->a, 0, &name, err);
    if (rc == AZR_OK && (!name || strcmp(name, "x") != 0))
        (void)complain("dimension '%s'", name ? name : "");
    if (rc == AZR_OK)
        expect_text(text, "\"K\"");
    azr_free(text);
    azr_free(name);
    return rc;
}

static int do_share(actor *x, azr_error *err)
{
    azr_share_options o = AZR_SHARE_OPTIONS_INIT;
    int rc;

    o.timeout_ms = 0;
    rc = azr_array_share(&x->other, x->a, &o, err);
    return rc < 0 ? rc : write_box(x->other, 2, 14, 1000, err);
}

/* What is known first, and then the change of the one beside. */
static int do_wait_for_change(actor *x, azr_error *err)
{
    uint64_t version = 0;
    uint64_t before;
    int rc = azr_array_wait(x->a, &version, err);

    before = version;
    if (rc == AZR_OK)
        rc = azr_array_wait(x->a, &version, err);
    if (rc == AZR_OK && (before == 0 || version <= before))
        (void)complain("version %d after %d", (int)version, (int)before);
    return rc;
}

static int do_cancel(actor *x, azr_error *err)
{
    azr_cancel *c = NULL;
    int rc = azr_cancel_new(&c);

    (void)x;
    if ((rc == AZR_OK) != (c != NULL))
        (void)complain("no handle, or one too many");
    azr_cancel_free(c);
    if (rc < 0) {
        err->code = rc;
        (void)snprintf(err->message, sizeof err->message, "no memory");
    }
    return rc;
}

static int do_write_one(actor *x, azr_error *err)
{
    return write_box(x->a, 4, 8, 1000, err);
}

static int do_write(actor *x, azr_error *err)
{
    return write_box(x->a, 2, 14, 1000, err);
}

/* The one beside lets go when we wait: who has not waited has not seen his lock. */
static int do_write_after(actor *x, azr_error *err)
{
    int rc = do_write(x, err);

    if (rc == AZR_OK && beside_was_told() == 0)
        (void)complain("it did not wait");
    return rc;
}

static int do_write_record(actor *x, azr_error *err)
{
    return write_box(x->a, 0, 40, 1000, err);
}

static int do_write_large(actor *x, azr_error *err)
{
    static int32_t v[1 << 18];
    azr_selection all = azr_select_all(1);

    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++)
        v[i] = 7;
    return azr_array_write(x->a, &all, v, sizeof v, err);
}

static int with_big(actor *x, azr_error *err)
{
    return open_array(&x->a, x, "big", AZR_OPEN_WRITE, err);
}

static int do_fill(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {5}, {10});
    int32_t value = 77;

    return azr_array_fill(x->a, &s, &value, sizeof value, err);
}

static int do_delete(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {2}, {12});
    int32_t value = 0;

    return azr_array_fill(x->a, &s, &value, sizeof value, err);
}

static int add_hundred(void *values, size_t nbytes, void *arg)
{
    int32_t *v = values;

    (void)arg;
    for (size_t i = 0; i < nbytes / sizeof *v; i++)
        v[i] += 100;
    return 0;
}

static int do_update(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {2}, {4});

    return azr_array_update(x->a, &s, add_hundred, NULL, err);
}

static int do_update_shape(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {2}, {4});

    return azr_array_update_shape(x->a, &s, its_shape, add_hundred, NULL, err);
}

static int append_to(azr_array *a, azr_error *err)
{
    int32_t v[8];

    for (int i = 0; i < 8; i++)
        v[i] = 2000 + i;
    return azr_array_append(a, 0, 8, v, sizeof v, NULL, err);
}

static int do_append(actor *x, azr_error *err)
{
    return append_to(x->a, err);
}

static int do_grow(actor *x, azr_error *err)
{
    static const int64_t longer[1] = {60};

    return azr_array_resize(x->a, 1, longer, err);
}

static int do_shrink(actor *x, azr_error *err)
{
    static const int64_t shorter[1] = {18};

    return azr_array_resize(x->a, 1, shorter, err);
}

static int do_attribute(actor *x, azr_error *err)
{
    return azr_array_attribute_set(x->a, "units", "\"degC\"", err);
}

static int do_durability(actor *x, azr_error *err)
{
    return azr_array_set_durability(x->a, AZR_DURABILITY_POWER, err);
}

static int open_plain(actor *x, uint32_t sync, azr_error *err)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    char path[256];

    o.flags = AZR_OPEN_WRITE;
    x->plain = true;
    o.sync = sync;
    o.threads = 1;
    o.timeout_ms = 0;
    place(path, x->root, "a");
    return azr_array_open(&x->a, path, &o, err);
}

static int with_chunk_sync(actor *x, azr_error *err)
{
    return open_plain(x, AZR_SYNC_CHUNK, err);
}

static int with_no_sync(actor *x, azr_error *err)
{
    return open_plain(x, AZR_SYNC_NONE, err);
}

static int with_kernel_locks(actor *x, azr_error *err)
{
    return open_array(&x->a, x, "a", AZR_OPEN_WRITE | AZR_OPEN_KERNEL_LOCKS,
                      err);
}

/* Rows that are taken, by transactions that hold nothing else and say that they
 * live for ever: of one that is silent somebody would ask. */
static int with_rows(actor *x, unsigned n, azr_error *err)
{
    azri_patience patience = azri_patience_from(0, NULL);
    int rc = with_a(x, err);

    while (rc == AZR_OK && x->row_count < n) {
        azri_txn *t = NULL;

        rc = azri_txn_begin(&t, x->a->d, &patience, err);
        if (rc < 0)
            break;
        atomic_store(&azri_state_row(t->s, t->row)->wait.alive_ns, UINT64_MAX);
        x->rows[x->row_count++] = t;
    }
    return rc;
}

static int with_full_table(actor *x, azr_error *err)
{
    return with_rows(x, AZRI_ROWS_AT_FIRST, err);
}

static int with_first_row(actor *x, azr_error *err)
{
    return with_rows(x, 1, err);
}

static int do_usage(actor *x, azr_error *err)
{
    uint64_t chunks = 0, nbytes = 0;
    int rc = azr_array_usage(x->a, &chunks, &nbytes, err);

    if (rc == AZR_OK && chunks != 12)
        (void)complain("%d chunks", (int)chunks);
    if (rc == AZR_OK && nbytes < 12)
        (void)complain("%d bytes", (int)nbytes);
    return rc;
}

static int do_status(actor *x, azr_error *err)
{
    tally_of n = {.rows = 0};
    int rc = azr_array_status(x->a, count_rows, &n, err);

    if (rc == AZR_OK)
        expect(n.rows, 1, "rows");
    return rc;
}

/* A chunk that cannot be read is a finding. */
static int do_verify(actor *x, azr_error *err)
{
    tally_of n = {.rows = 0};
    int rc = azr_array_verify(x->a, count_finding, count_progress, &n, err);

    if (rc == AZR_OK)
        expect((int64_t)n.done, 12, "chunks looked at");
    if (is_undisturbed(rc))
        expect(n.findings, 0, "findings");
    return rc;
}

/* --------------------------------------------------------- transactions --- */

static int fill_txn(actor *x, azr_error *err)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    azr_selection s = AZR_BOX(1, {2}, {8});
    int32_t v[8] = {0}, value = 5;
    int rc;

    o.timeout_ms = 0;
    rc = azr_txn_begin(&x->t, &o, err);
    if (rc == AZR_OK)
        rc = azr_txn_read(x->t, x->a, &s, v, sizeof v, err);
    for (int i = 0; i < 8; i++)
        v[i] += 500;
    if (rc == AZR_OK)
        rc = azr_txn_write(x->t, x->b, &s, v, sizeof v, err);
    if (rc == AZR_OK)
        rc = azr_txn_fill(x->t, x->a, &s, &value, sizeof value, err);
    return rc;
}

static int do_txn(actor *x, azr_error *err)
{
    int rc = fill_txn(x, err);

    return rc == AZR_OK ? azr_txn_commit(x->t, err) : rc;
}

static int do_txn_changes(actor *x, azr_error *err)
{
    static const int64_t shorter[1] = {18};
    int32_t v[3] = {1, 2, 3};
    int rc = fill_txn(x, err);

    if (rc == AZR_OK)
        rc = azr_txn_set_attribute(x->t, x->a, "more", "[1, 2]", err);
    if (rc == AZR_OK)
        rc = azr_txn_append(x->t, x->a, 0, 3, v, sizeof v, NULL, err);
    if (rc == AZR_OK)
        rc = azr_txn_resize(x->t, x->b, 1, shorter, err);
    return rc == AZR_OK ? azr_txn_commit(x->t, err) : rc;
}

static int do_txn_create(actor *x, azr_error *err)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_txn_options to = AZR_TXN_OPTIONS_INIT;
    azr_selection s = AZR_BOX(1, {2}, {4});
    int32_t v[4] = {9, 9, 9, 9};
    char path[256];
    int rc;

    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = 8;
    spec.chunks[0] = 4;
    spec.codecs = "none";
    spec.durability = x->power ? AZR_DURABILITY_POWER : AZR_DURABILITY_PROCESS;
    o.timeout_ms = to.timeout_ms = 0;
    o.threads = 1;
    place(path, x->root, "n");
    rc = azr_txn_begin(&x->t, &to, err);
    if (rc == AZR_OK)
        rc = azr_txn_create_array(x->t, &x->b, path, &spec, &o, err);
    if (rc == AZR_OK)
        rc = azr_txn_write(x->t, x->b, &s, v, sizeof v, err);
    if (rc == AZR_OK)
        rc = azr_txn_write(x->t, x->a, &s, v, sizeof v, err);
    return rc == AZR_OK ? azr_txn_commit(x->t, err) : rc;
}

static int do_txn_read(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {2}, {8});
    int32_t v[8] = {0}, w[8] = {0};
    int rc = azr_txn_begin(&x->t, NULL, err);

    if (rc == AZR_OK)
        rc = azr_txn_read(x->t, x->a, &s, v, sizeof v, err);
    if (rc == AZR_OK)
        rc = azr_txn_read(x->t, x->b, &s, w, sizeof w, err);
    for (int i = 0; rc == AZR_OK && i < 8; i++) {
        expect(v[i], i + 3, "of a");
        expect(w[i], i + 3, "of b");
    }
    return rc == AZR_OK ? azr_txn_commit(x->t, err) : rc;
}

static int body(azr_txn *t, void *arg, azr_error *err)
{
    actor *x = arg;
    azr_selection s = AZR_BOX(1, {2}, {4});
    int32_t v[4] = {0};
    int rc = azr_txn_read(t, x->a, &s, v, sizeof v, err);

    v[0] += 1;
    return rc < 0 ? rc : azr_txn_write(t, x->a, &s, v, sizeof v, err);
}

static int do_txn_run(actor *x, azr_error *err)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;

    o.timeout_ms = 2000;
    return azr_txn_run(body, x, &o, err);
}

/* Given up: nothing has happened, after it had in the transaction. */
static int do_txn_free(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {2}, {8});
    int32_t v[8] = {0}, w[8] = {0};
    int rc = fill_txn(x, err);

    if (rc == AZR_OK)
        rc = azr_txn_read(x->t, x->a, &s, v, sizeof v, err);
    if (rc == AZR_OK)
        rc = azr_txn_read(x->t, x->b, &s, w, sizeof w, err);
    for (int i = 0; rc == AZR_OK && i < 8; i++) {
        expect(v[i], 5, "of a");
        expect(w[i], i + 503, "of b");
    }
    azr_txn_free(x->t);
    x->t = NULL;
    return rc;
}

static int look_at_a(actor *x, azr_error *err)
{
    int64_t shape[1] = {0};
    azr_selection s = AZR_BOX(1, {2}, {12});
    int32_t v[12] = {0};
    azr_memory m = backwards(v, 12);
    char *text = NULL;
    int rc = azr_txn_shape(x->t, x->a, shape, err);

    if (rc == AZR_OK)
        rc = azr_txn_attributes(x->t, x->a, &text, err);
    if (rc == AZR_OK)
        rc = azr_txn_read_into(x->t, x->a, &s, &m, err);
    if (rc == AZR_OK && (shape[0] != 46 || v[11] != 3 || v[0] != 14))
        (void)complain("read %d and %d of %d", (int)v[11], (int)v[0],
                       (int)shape[0]);
    azr_free(text);
    return rc;
}

/* The first chunk begins with the first five bytes of `want`, the third one ends with
 * the other four. */
static int read_chunks(actor *x, azr_array *a, const char *want, azr_error *err)
{
    static const int64_t first[1] = {0}, second[1] = {2};
    void *whole = NULL, *part = NULL;
    size_t n = 0, m = 0;
    int rc = azr_txn_read_chunk(x->t, a, first, &whole, &n, err);

    if (rc == AZR_OK)
        rc = azr_txn_read_chunk_part(x->t, a, second, -4, 4, &part, &m, err);
    if (rc == AZR_OK && (n < 5 || m != 4))
        (void)complain("%zu and %zu bytes", n, m);
    else if (rc == AZR_OK &&
             (memcmp(whole, want, 5) != 0 || memcmp(part, want + 5, 4) != 0))
        (void)complain("other bytes");
    azr_free(whole);
    azr_free(part);
    return rc;
}

static int do_txn_strided(actor *x, azr_error *err)
{
    static const int64_t tenth[1] = {10}, ninth[1] = {9};
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    azr_selection s = AZR_BOX(1, {2}, {12});
    int32_t v[12] = {1}, chunk[4] = {-1, -2, -3, -4};
    azr_memory m = backwards(v, 12);
    int rc;

    o.timeout_ms = 0;
    rc = azr_txn_begin(&x->t, &o, err);
    if (rc == AZR_OK)
        rc = look_at_a(x, err);
    if (rc == AZR_OK)
        rc = read_chunks(x, x->b, "\1\0\0\0\2\14\0\0\0", err);
    if (rc == AZR_OK)
        rc = azr_txn_write_from(x->t, x->b, &s, &m, err);
    if (rc == AZR_OK)
        rc = azr_txn_write_chunk(x->t, x->b, tenth, chunk, sizeof chunk, err);
    if (rc == AZR_OK)
        rc = azr_txn_write_chunk(x->t, x->b, ninth, NULL, 0, err);
    return rc == AZR_OK ? azr_txn_commit(x->t, err) : rc;
}

/* Each of three times somebody was faster, and wrote what stood there; then the locks
 * are taken first. */
static int disturbed(azr_txn *t, void *arg, azr_error *err)
{
    actor *x = arg;
    azr_selection s = AZR_BOX(1, {2}, {4});
    int32_t v[4] = {0};
    int rc = azr_txn_read(t, x->a, &s, v, sizeof v, err);

    v[0] += 1;
    if (rc == AZR_OK)
        rc = azr_txn_write(t, x->a, &s, v, sizeof v, err);
    if (rc == AZR_OK && x->times++ < 3)
        rc = write_box(x->other, 2, 6, 1, err);
    return rc;
}

static int with_a_twice(actor *x, azr_error *err)
{
    int rc = with_a(x, err);

    return rc < 0 ? rc : open_array(&x->other, x, "a", AZR_OPEN_WRITE, err);
}

static int do_txn_conflicts(actor *x, azr_error *err)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;

    int rc;

    o.timeout_ms = 2000;
    x->times = 0;
    rc = azr_txn_run(disturbed, x, &o, err);
    if (rc == AZR_OK)
        expect(x->times, 4, "tries");
    return rc;
}

static int do_append_all(actor *x, azr_error *err)
{
    azr_append_part p[2] = {AZR_APPEND_PART_INIT, AZR_APPEND_PART_INIT};
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    int32_t v[3] = {31, 32, 33};

    o.timeout_ms = 2000;
    for (int i = 0; i < 2; i++) {
        p[i].array = i ? x->b : x->a;
        p[i].length = 3;
        p[i].src = v;
        p[i].src_nbytes = sizeof v;
    }
    return azr_append_all(p, 2, &o, err);
}

/* ------------------------------------------- chunks as they are stored --- */

static int do_opaque_create(actor *x, azr_error *err)
{
    return make_opaque(x, "o", err);
}

static int do_opaque_read(actor *x, azr_error *err)
{
    int rc = azr_txn_begin(&x->t, NULL, err);

    if (rc == AZR_OK)
        rc = read_chunks(x, x->a, "firstlast", err);
    return rc == AZR_OK ? azr_txn_commit(x->t, err) : rc;
}

static int do_opaque_write(actor *x, azr_error *err)
{
    static const int64_t first[1] = {0}, middle[1] = {1}, last[1] = {2};
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    int rc;

    o.timeout_ms = 0;
    rc = azr_txn_begin(&x->t, &o, err);
    if (rc == AZR_OK)
        rc = read_chunks(x, x->a, "firstlast", err);
    if (rc == AZR_OK)
        rc = azr_txn_write_chunk(x->t, x->a, first, "another", 7, err);
    if (rc == AZR_OK)
        rc = azr_txn_write_chunk(x->t, x->a, middle, "a new one", 9, err);
    if (rc == AZR_OK)
        rc = azr_txn_write_chunk(x->t, x->a, last, NULL, 0, err);
    return rc == AZR_OK ? azr_txn_commit(x->t, err) : rc;
}

static int do_opaque_shrink(actor *x, azr_error *err)
{
    static const int64_t shorter[1] = {6};

    return azr_array_resize(x->a, 1, shorter, err);
}

/* ---------------------------------------------------------------- table --- */

#define READS   false
#define CHANGES true
#define ACT(n, p, c, before, fn)                                               \
    {                                                                          \
        .name = n, .parts = p, .changes = c, .prepare = before, .run = fn      \
    }
#define POWER(n, p, c, before, fn)                                             \
    {                                                                          \
        .name = n "-power", .parts = p, .changes = c, .power = true,           \
        .prepare = before, .run = fn                                           \
    }
#define OLD_FORMAT(n, p, c, before, fn)                                        \
    {                                                                          \
        .name = n "-v2", .parts = p, .changes = c, .format = 2,                \
        .prepare = before, .run = fn                                           \
    }

#define CODEC(n, f, text)                                                      \
    {                                                                          \
        .name = n, .parts = PART_A, .changes = CHANGES, .format = f,           \
        .codecs = text, .prepare = with_a, .run = do_write                     \
    }
#define AB (PART_A | PART_B)
#define AG (PART_A | PART_G)
#define BG (PART_B | PART_G)

const act acts[] = {
    ACT("create", 0, CHANGES, NULL, do_create),
    POWER("create", 0, CHANGES, NULL, do_create),
    OLD_FORMAT("create", 0, CHANGES, NULL, do_create),
    ACT("replace", PART_B, CHANGES, NULL, do_replace),
    POWER("replace", PART_B, CHANGES, NULL, do_replace),
    ACT("create-or-open", PART_A, READS, NULL, do_create_or_open),
    ACT("create-or-open-new", 0, CHANGES, NULL, do_open_or_create),
    ACT("create-shared", PART_SHARED, CHANGES, NULL, do_create),
    ACT("open-read", PART_A, READS, NULL, do_open_read),
    ACT("open-write", PART_A, READS, NULL, do_open_write),
    ACT("read-1", PART_A, READS, open_to_read, do_read_one),
    ACT("read-12", PART_A, READS, open_to_read, do_read),
    ACT("read-through", PART_A | PART_DEAD, READS, open_to_read,
        do_read_through),
    ACT("read-unlocked", PART_A | PART_DEAD, READS, open_unlocked,
        do_read_through),
    ACT("read-into", PART_A, READS, open_to_read, do_read_into),
    ACT("read-shape", PART_A, READS, open_to_read, do_read_shape),
    ACT("read-points", PART_A, READS, open_to_read, do_read_points),
    ACT("attributes", PART_A, READS, open_to_read, do_attributes),
    OLD_FORMAT("attributes", PART_A, READS, open_to_read, do_attributes),
    ACT("share", PART_A, CHANGES, with_a, do_share),
    ACT("cancel", 0, READS, NULL, do_cancel),
    ACT("write-1", PART_A, CHANGES, with_a, do_write_one),
    POWER("write-1", PART_A, CHANGES, with_a, do_write_one),
    ACT("write-4", PART_A, CHANGES, with_a, do_write),
    POWER("write-4", PART_A, CHANGES, with_a, do_write),
    OLD_FORMAT("write-4", PART_A, CHANGES, with_a, do_write),
    ACT("write-4-shared", PART_A | PART_SHARED, CHANGES, with_a, do_write),
    ACT("write-4-kernel-locks", PART_A, CHANGES, with_kernel_locks, do_write),
    CODEC("write-4-gzip", 3, "gzip:1,crc32c"),
    CODEC("write-4-blosc", 3, "blosc:lz4:5:shuffle"),
    CODEC("write-4-lz4-v2", 2, "lz4"),
    ACT("write-from", PART_A, CHANGES, with_a, do_write_from),
    ACT("write-shape", PART_A, CHANGES, with_a, do_write_shape),
    ACT("write-points", PART_A, CHANGES, with_a, do_write_points),
    ACT("write-table", PART_A, CHANGES, with_full_table, do_write),
    POWER("write-table", PART_A, CHANGES, with_full_table, do_write),
    ACT("write-lane", PART_A, CHANGES, with_first_row, do_write_record),
    POWER("write-lane", PART_A, CHANGES, with_first_row, do_write_record),
    ACT("write-record", PART_A, CHANGES, with_a, do_write_record),
    POWER("write-record", PART_A, CHANGES, with_a, do_write_record),
    ACT("write-large", PART_BIG, CHANGES, with_big, do_write_large),
    ACT("fill", PART_A, CHANGES, with_a, do_fill),
    ACT("delete", PART_A, CHANGES, with_a, do_delete),
    POWER("delete", PART_A, CHANGES, with_a, do_delete),
    ACT("update", PART_A, CHANGES, with_a, do_update),
    ACT("update-shape", PART_A, CHANGES, with_a, do_update_shape),
    ACT("append", PART_A, CHANGES, with_a, do_append),
    POWER("append", PART_A, CHANGES, with_a, do_append),
    ACT("grow", PART_A, CHANGES, with_a, do_grow),
    ACT("shrink", PART_A, CHANGES, with_a, do_shrink),
    POWER("shrink", PART_A, CHANGES, with_a, do_shrink),
    ACT("attribute", PART_A, CHANGES, with_a, do_attribute),
    OLD_FORMAT("attribute", PART_A, CHANGES, with_a, do_attribute),
    ACT("durability", PART_A, CHANGES, with_a, do_durability),
    ACT("write-by-chunk", PART_A, CHANGES, with_chunk_sync, do_write_one),
    ACT("write-unlocked", PART_A, CHANGES, with_no_sync, do_write_one),
    ACT("usage", PART_A, READS, open_to_read, do_usage),
    ACT("status", PART_A | PART_DEAD, READS, open_to_read, do_status),
    ACT("verify", PART_A, READS, open_to_read, do_verify),
    ACT("transaction", AB, CHANGES, with_both, do_txn),
    POWER("transaction", AB, CHANGES, with_both, do_txn),
    ACT("transaction-changes", AB, CHANGES, with_both, do_txn_changes),
    ACT("transaction-create", PART_A, CHANGES, with_a, do_txn_create),
    POWER("transaction-create", PART_A, CHANGES, with_a, do_txn_create),
    ACT("transaction-read", AB, READS, with_both, do_txn_read),
    ACT("transaction-run", PART_A, CHANGES, with_a, do_txn_run),
    ACT("transaction-conflicts", PART_A, CHANGES, with_a_twice,
        do_txn_conflicts),
    ACT("transaction-strided", AB, CHANGES, with_both, do_txn_strided),
    ACT("transaction-free", AB, READS, with_both, do_txn_free),
    ACT("append-all", AB, CHANGES, with_both, do_append_all),
    ACT("opaque-create", 0, CHANGES, NULL, do_opaque_create),
    POWER("opaque-create", 0, CHANGES, NULL, do_opaque_create),
    ACT("opaque-read", PART_O, READS, with_o, do_opaque_read),
    ACT("opaque-write", PART_O, CHANGES, with_o, do_opaque_write),
    POWER("opaque-write", PART_O, CHANGES, with_o, do_opaque_write),
    ACT("opaque-shrink", PART_O, CHANGES, with_o, do_opaque_shrink),
    ACT("recover", PART_A | PART_DEAD, READS, NULL, do_recover),
    POWER("recover", PART_A | PART_DEAD, READS, NULL, do_recover),
    ACT("recover-again", PART_A | PART_DEAD, READS, NULL, do_recover_again),
    ACT("recover-two", AB | PART_DEAD2, READS, NULL, do_recover_both),
    POWER("recover-two", AB | PART_DEAD2, READS, NULL, do_recover_both),
    ACT("recover-rubbish", PART_A | PART_LEFT, READS, NULL, do_recover_rubbish),
    ACT("recover-below", PART_G | PART_DEADG, READS, NULL, do_recover_below),
    POWER("recover-below", PART_G | PART_DEADG, READS, NULL, do_recover_below),
    ACT("recover-rebuild", PART_A | PART_TORN, CHANGES, NULL, do_rebuild),
    POWER("recover-rebuild", PART_A | PART_TORN, CHANGES, NULL, do_rebuild),
    ACT("snapshot", AB, READS, with_both, do_snapshot),
    ACT("snapshot-copy", PART_A, READS, with_a, do_snapshot_copy),
    ACT("snapshot-elsewhere", PART_A, READS, open_to_read,
        do_snapshot_elsewhere),
    ACT("snapshots", PART_A | PART_LEFT, READS, open_to_read, do_snapshots),
    ACT("copy", PART_A, CHANGES, NULL, do_copy),
    POWER("copy", PART_A, CHANGES, NULL, do_copy),
    ACT("copy-group", PART_G, CHANGES, NULL, do_copy_group),
    ACT("remove", PART_A, CHANGES, NULL, do_remove),
    ACT("remove-group", PART_G, CHANGES, NULL, do_remove_group),
    ACT("copy-into", AG, CHANGES, NULL, do_copy_into),
    ACT("remove-below", PART_G, CHANGES, NULL, do_remove_below),
    OLD_FORMAT("remove-below", PART_G, CHANGES, NULL, do_remove_below),
    ACT("move", PART_A, CHANGES, NULL, do_move),
    ACT("move-group", PART_G, CHANGES, NULL, do_move_group),
    ACT("move-below", PART_G, CHANGES, NULL, do_move_below),
    OLD_FORMAT("move-below", PART_G, CHANGES, NULL, do_move_below),
    ACT("move-into", AG, CHANGES, NULL, do_move_into),
    ACT("move-out", PART_G, CHANGES, NULL, do_move_out),
    ACT("replace-node", AB, CHANGES, NULL, do_replace_node),
    POWER("replace-node", AB, CHANGES, NULL, do_replace_node),
    ACT("replace-nothing", PART_B, CHANGES, NULL, do_replace_nothing),
    ACT("replace-group", BG, CHANGES, NULL, do_replace_group),
    ACT("replace-below", BG, CHANGES, NULL, do_replace_below),
    ACT("collect", PART_A | PART_LEFT, READS, NULL, do_collect),
    ACT("probe", 0, READS, NULL, do_probe),
    ACT("probe-pair", 0, READS, NULL, do_probe_pair),
    ACT("node-at", AG, READS, NULL, do_node_at),
    OLD_FORMAT("node-at", AG, READS, NULL, do_node_at),
    ACT("group-create", PART_G, CHANGES, NULL, do_group),
    OLD_FORMAT("group-create", PART_G, CHANGES, NULL, do_group),
    ACT("group-create-shared", PART_G | PART_SHARED, CHANGES, NULL, do_group),
    ACT("group-replace", PART_G, CHANGES, NULL, do_group_replace),
    ACT("group-open", PART_G, READS, NULL, do_open_group),
    ACT("group-implied", AG, READS, NULL, do_open_implied),
    ACT("group-create-array", PART_G, CHANGES, with_g, do_group_array),
    ACT("group-create-group", PART_G, CHANGES, with_g, do_group_group),
    {.name = "group-create-above",
     .parts = PART_G,
     .changes = true,
     .by_steps = true,
     .prepare = with_g,
     .run = do_group_above},
    ACT("group-attribute", PART_G, CHANGES, with_g, do_group_attribute),
    ACT("group-attributes", PART_G, CHANGES, with_g, do_group_change),
    OLD_FORMAT("group-attributes", PART_G, CHANGES, with_g, do_group_change),
    ACT("group-attributes-all", PART_G, CHANGES, with_g, do_group_all),
    ACT("group-list", PART_G, READS, with_g, do_list),
    ACT("group-walk", PART_G, READS, with_g, do_walk),
    ACT("consolidate", PART_G, READS, with_stale_g, do_consolidate),
    OLD_FORMAT("consolidate", PART_G, READS, with_stale_g, do_consolidate),
    ACT("check-consolidated", PART_G, READS, with_stale_g,
        do_check_consolidated),
    ACT("append-below", PART_G, CHANGES, with_x, do_append),
    ACT("grow-below", PART_G, CHANGES, with_x, do_grow),
    ACT("attribute-below", PART_G, CHANGES, with_x, do_attribute),
    OLD_FORMAT("attribute-below", PART_G, CHANGES, with_x, do_attribute),
    ACT("create-below", PART_G, CHANGES, NULL, do_create_below),
    ACT("create-below-again", PART_G, CHANGES, NULL, do_create_again),
    {.name = "wait",
     .parts = PART_A,
     .unsteady = true,
     .changes = true,
     .prepare = beside_holds,
     .run = do_write_after,
     .finish = beside_ends},
    {.name = "wait-for-change",
     .parts = PART_A,
     .unsteady = true,
     .prepare = beside_holds,
     .run = do_wait_for_change,
     .finish = beside_ends},
    {.name = "release",
     .parts = PART_A,
     .unsteady = true,
     .prepare = beside_waits,
     .run = beside_let_go,
     .finish = beside_ends},
};
const unsigned act_count = sizeof acts / sizeof acts[0];
