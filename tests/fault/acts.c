/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/acts.h"

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
    return make_array(&x->a, x, "a", AZR_CREATE_OR_OPEN, err);
}

static int do_open_read(actor *x, azr_error *err)
{
    azr_array_info info = {.struct_size = sizeof info};
    int rc = open_array(&x->a, x, "a", 0, err);

    return rc < 0 ? rc : azr_array_info_get(x->a, &info, err);
}

static int open_read(actor *x, azr_error *err)
{
    return open_array(&x->a, x, "a", 0, err);
}

static int read_box(azr_array *a, int64_t first, int64_t end, azr_error *err)
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

static int do_write_one(actor *x, azr_error *err)
{
    return write_box(x->a, 4, 8, 1000, err);
}

static int do_write(actor *x, azr_error *err)
{
    return write_box(x->a, 2, 14, 1000, err);
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

static int with_chunk_sync(actor *x, azr_error *err)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    char path[256];

    o.flags = AZR_OPEN_WRITE;
    x->plain = true;
    o.sync = AZR_SYNC_CHUNK;
    o.threads = 1;
    o.timeout_ms = 0;
    place(path, x->root, "a");
    return azr_array_open(&x->a, path, &o, err);
}

static int do_usage(actor *x, azr_error *err)
{
    uint64_t chunks = 0, nbytes = 0;
    int rc = azr_array_usage(x->a, &chunks, &nbytes, err);

    if (rc == AZR_OK && chunks != 12)
        (void)complain("%d chunks", (int)chunks);
    return rc;
}

static int count_row(const azr_row_info *row, void *arg)
{
    (void)row;
    ++*(int *)arg;
    return 0;
}

static int do_status(actor *x, azr_error *err)
{
    int rows = 0, rc = azr_array_status(x->a, count_row, &rows, err);

    if (rc == AZR_OK && rows != 1)
        (void)complain("%d rows", rows);
    return rc;
}

static int count_error(const azr_finding *f, void *arg)
{
    *(int *)arg += f->is_error != 0;
    return 0;
}

static int do_verify(actor *x, azr_error *err)
{
    int bad = 0;

    return azr_array_verify(x->a, count_error, NULL, &bad, err);
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
    int32_t v[8] = {0};
    int rc = azr_txn_begin(&x->t, NULL, err);

    if (rc == AZR_OK)
        rc = azr_txn_read(x->t, x->a, &s, v, sizeof v, err);
    if (rc == AZR_OK)
        rc = azr_txn_read(x->t, x->b, &s, v, sizeof v, err);
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

/* -------------------------------------------------- recovery, snapshots --- */

static int do_recover(actor *x, azr_error *err)
{
    return with_a(x, err);
}

static int do_recover_both(actor *x, azr_error *err)
{
    return with_both(x, err);
}

static int do_recover_again(actor *x, azr_error *err)
{
    azr_recovery done = {.struct_size = sizeof done};
    int rc =
        open_array(&x->a, x, "a", AZR_OPEN_WRITE | AZR_OPEN_NO_RECOVERY, err);

    return rc < 0 ? rc : azr_array_recover(x->a, &done, err);
}

static int take(actor *x, unsigned flags, const char *directory, azr_error *err)
{
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_array *both[2] = {x->a, x->b};
    char path[256];
    int rc;

    o.flags = flags;
    o.timeout_ms = 0;
    if (directory) {
        place(path, x->root, directory);
        o.directory = path;
    }
    rc = azr_snapshot_take(&x->s, both, x->b ? 2 : 1, &o, err);
    return rc < 0 ? rc : read_box(azr_snapshot_array(x->s, 0), 0, 46, err);
}

static int do_snapshot(actor *x, azr_error *err)
{
    return take(x, 0, NULL, err);
}

static int do_snapshot_copy(actor *x, azr_error *err)
{
    return take(x, AZR_SNAPSHOT_COPY, NULL, err);
}

static int do_snapshot_elsewhere(actor *x, azr_error *err)
{
    return take(x, 0, ".", err);
}

static int count_snapshot(const azr_snapshot_info *info, void *arg)
{
    (void)info;
    ++*(int *)arg;
    return 0;
}

static int do_snapshots(actor *x, azr_error *err)
{
    int n = 0;

    return azr_array_snapshots(x->a, count_snapshot, &n, err);
}

static int copy(actor *x, const char *from, const char *to, azr_error *err)
{
    azr_copy_options o = AZR_COPY_OPTIONS_INIT;
    char a[256], b[256];

    o.timeout_ms = 0;
    place(a, x->root, from);
    place(b, x->root, to);
    return azr_copy(a, b, &o, NULL, err);
}

static int do_copy(actor *x, azr_error *err)
{
    return copy(x, "a", "k", err);
}

static int do_copy_group(actor *x, azr_error *err)
{
    return copy(x, "g", "k", err);
}

/* --------------------------------------------------------- whole nodes --- */

static azr_tree_options impatient(void)
{
    azr_tree_options o = AZR_TREE_OPTIONS_INIT;

    o.flags = AZR_TREE_RECURSIVE;
    o.timeout_ms = 0;
    return o;
}

static int take_away(actor *x, const char *name, azr_error *err)
{
    azr_tree_options o = impatient();
    char path[256];

    place(path, x->root, name);
    return azr_remove(path, &o, err);
}

static int do_remove(actor *x, azr_error *err)
{
    return take_away(x, "a", err);
}

static int do_remove_group(actor *x, azr_error *err)
{
    return take_away(x, "g", err);
}

static int do_remove_below(actor *x, azr_error *err)
{
    return take_away(x, "g/x", err);
}

static int bring(actor *x, const char *from, const char *to, azr_error *err)
{
    azr_tree_options o = impatient();
    char a[256], b[256];

    place(a, x->root, from);
    place(b, x->root, to);
    return azr_move(a, b, &o, err);
}

static int do_move(actor *x, azr_error *err)
{
    return bring(x, "a", "m", err);
}

static int do_move_group(actor *x, azr_error *err)
{
    return bring(x, "g", "m", err);
}

static int do_move_below(actor *x, azr_error *err)
{
    return bring(x, "g/x", "g/n", err);
}

static int do_collect(actor *x, azr_error *err)
{
    azr_tree_options o = impatient();

    return azr_collect(x->root, NULL, &o, err);
}

static int do_probe(actor *x, azr_error *err)
{
    azr_fs_report r = {.struct_size = sizeof r};

    return azr_fs_probe(x->root, &r, err);
}

/* --------------------------------------------------------------- groups --- */

static int do_group(actor *x, azr_error *err)
{
    azr_group_spec spec = AZR_GROUP_SPEC_INIT;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_group *made = NULL;
    char path[256];
    int rc;

    spec.zarr_format = x->format;
    o.timeout_ms = 0;
    place(path, x->root, "g/h");
    rc = azr_group_create(&made, path, &spec, &o, err);
    azr_group_close(made);
    return rc;
}

static int do_group_attribute(actor *x, azr_error *err)
{
    return azr_group_attribute_set(x->g, "title", "\"other\"", err);
}

static int do_consolidate(actor *x, azr_error *err)
{
    return azr_group_consolidate(x->g, err);
}

static int do_check_consolidated(actor *x, azr_error *err)
{
    int bad = 0;

    return azr_group_check_consolidated(x->g, count_error, &bad, err);
}

static int count_node(const azr_node *node, void *arg)
{
    (void)node;
    ++*(int *)arg;
    return 0;
}

static int do_walk(actor *x, azr_error *err)
{
    int n = 0;

    return azr_group_walk(x->g, 9, count_node, &n, err);
}

static int with_x(actor *x, azr_error *err)
{
    return open_array(&x->a, x, "g/x", AZR_OPEN_WRITE, err);
}

static int do_create_below(actor *x, azr_error *err)
{
    return make_array(&x->a, x, "g/n", 0, err);
}

/* Reading alone: the group is opened for it. */
static int do_open_group(actor *x, azr_error *err)
{
    char *text = NULL;
    int rc = open_group(&x->g, x, "g", 0, err);

    if (rc == AZR_OK)
        rc = azr_group_attributes(x->g, &text, err);
    azr_free(text);
    return rc;
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

#define AB (PART_A | PART_B)

const act acts[] = {
    ACT("create", 0, CHANGES, NULL, do_create),
    POWER("create", 0, CHANGES, NULL, do_create),
    OLD_FORMAT("create", 0, CHANGES, NULL, do_create),
    ACT("replace", PART_B, CHANGES, NULL, do_replace),
    POWER("replace", PART_B, CHANGES, NULL, do_replace),
    ACT("create-or-open", PART_A, READS, NULL, do_create_or_open),
    ACT("open-read", PART_A, READS, NULL, do_open_read),
    ACT("open-write", PART_A, READS, NULL, do_recover),
    ACT("read-1", PART_A, READS, open_read, do_read_one),
    ACT("read-12", PART_A, READS, open_read, do_read),
    ACT("read-through", PART_A | PART_DEAD, READS, open_read, do_read_through),
    ACT("write-1", PART_A, CHANGES, with_a, do_write_one),
    POWER("write-1", PART_A, CHANGES, with_a, do_write_one),
    ACT("write-4", PART_A, CHANGES, with_a, do_write),
    POWER("write-4", PART_A, CHANGES, with_a, do_write),
    OLD_FORMAT("write-4", PART_A, CHANGES, with_a, do_write),
    ACT("write-record", PART_A, CHANGES, with_a, do_write_record),
    POWER("write-record", PART_A, CHANGES, with_a, do_write_record),
    ACT("write-large", PART_BIG, CHANGES, with_big, do_write_large),
    ACT("fill", PART_A, CHANGES, with_a, do_fill),
    ACT("delete", PART_A, CHANGES, with_a, do_delete),
    POWER("delete", PART_A, CHANGES, with_a, do_delete),
    ACT("update", PART_A, CHANGES, with_a, do_update),
    ACT("append", PART_A, CHANGES, with_a, do_append),
    POWER("append", PART_A, CHANGES, with_a, do_append),
    ACT("grow", PART_A, CHANGES, with_a, do_grow),
    ACT("shrink", PART_A, CHANGES, with_a, do_shrink),
    POWER("shrink", PART_A, CHANGES, with_a, do_shrink),
    ACT("attribute", PART_A, CHANGES, with_a, do_attribute),
    OLD_FORMAT("attribute", PART_A, CHANGES, with_a, do_attribute),
    ACT("durability", PART_A, CHANGES, with_a, do_durability),
    ACT("write-by-chunk", PART_A, CHANGES, with_chunk_sync, do_write_one),
    ACT("usage", PART_A, READS, open_read, do_usage),
    ACT("status", PART_A | PART_DEAD, READS, open_read, do_status),
    ACT("verify", PART_A, READS, open_read, do_verify),
    ACT("transaction", AB, CHANGES, with_both, do_txn),
    POWER("transaction", AB, CHANGES, with_both, do_txn),
    ACT("transaction-changes", AB, CHANGES, with_both, do_txn_changes),
    ACT("transaction-create", PART_A, CHANGES, with_a, do_txn_create),
    POWER("transaction-create", PART_A, CHANGES, with_a, do_txn_create),
    ACT("transaction-read", AB, READS, with_both, do_txn_read),
    ACT("transaction-run", PART_A, CHANGES, with_a, do_txn_run),
    ACT("append-all", AB, CHANGES, with_both, do_append_all),
    ACT("recover", PART_A | PART_DEAD, READS, NULL, do_recover),
    POWER("recover", PART_A | PART_DEAD, READS, NULL, do_recover),
    ACT("recover-again", PART_A | PART_DEAD, READS, NULL, do_recover_again),
    ACT("recover-two", AB | PART_DEAD2, READS, NULL, do_recover_both),
    POWER("recover-two", AB | PART_DEAD2, READS, NULL, do_recover_both),
    ACT("recover-rubbish", PART_A | PART_LEFT, READS, NULL, do_recover),
    ACT("recover-rebuild", PART_A | PART_TORN, CHANGES, NULL, do_recover),
    POWER("recover-rebuild", PART_A | PART_TORN, CHANGES, NULL, do_recover),
    ACT("snapshot", AB, READS, with_both, do_snapshot),
    ACT("snapshot-copy", PART_A, READS, with_a, do_snapshot_copy),
    ACT("snapshot-elsewhere", PART_A, READS, open_read, do_snapshot_elsewhere),
    ACT("snapshots", PART_A | PART_LEFT, READS, open_read, do_snapshots),
    ACT("copy", PART_A, CHANGES, NULL, do_copy),
    POWER("copy", PART_A, CHANGES, NULL, do_copy),
    ACT("copy-group", PART_G, CHANGES, NULL, do_copy_group),
    ACT("remove", PART_A, CHANGES, NULL, do_remove),
    ACT("remove-group", PART_G, CHANGES, NULL, do_remove_group),
    ACT("remove-below", PART_G, CHANGES, NULL, do_remove_below),
    ACT("move", PART_A, CHANGES, NULL, do_move),
    ACT("move-group", PART_G, CHANGES, NULL, do_move_group),
    ACT("move-below", PART_G, CHANGES, NULL, do_move_below),
    ACT("collect", PART_A | PART_LEFT, READS, NULL, do_collect),
    ACT("probe", 0, READS, NULL, do_probe),
    ACT("group-create", PART_G, CHANGES, NULL, do_group),
    OLD_FORMAT("group-create", PART_G, CHANGES, NULL, do_group),
    ACT("group-open", PART_G, READS, NULL, do_open_group),
    ACT("group-attribute", PART_G, CHANGES, with_g, do_group_attribute),
    ACT("group-walk", PART_G, READS, with_g, do_walk),
    ACT("consolidate", PART_G, READS, with_g, do_consolidate),
    OLD_FORMAT("consolidate", PART_G, READS, with_g, do_consolidate),
    ACT("check-consolidated", PART_G, READS, with_g, do_check_consolidated),
    ACT("append-below", PART_G, CHANGES, with_x, do_append),
    ACT("create-below", PART_G, CHANGES, NULL, do_create_below),
    {.name = "wait",
     .parts = PART_A,
     .unsteady = true,
     .changes = true,
     .prepare = beside_holds,
     .run = do_write,
     .finish = beside_ends},
    {.name = "release",
     .parts = PART_A,
     .unsteady = true,
     .prepare = beside_waits,
     .run = beside_let_go,
     .finish = beside_ends},
};
const unsigned act_count = sizeof acts / sizeof acts[0];
