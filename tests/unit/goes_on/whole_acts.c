/* SPDX-License-Identifier: Apache-2.0 */
/* Groups, whole nodes, snapshots, and what somebody does in the midst of a call. */
#include "goes_on.h"

#include "base/error.h"
#include "fault/inject.h"
#include "fault/look.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------ below --- */

static int resize_below(actor *x, azr_error *err)
{
    static const int64_t shorter[1] = {18};

    return azr_array_resize(x->a, 1, shorter, err);
}

static int append_below(actor *x, azr_error *err)
{
    const int32_t v[3] = {1, 2, 3};
    int64_t at = 0;
    int rc = azr_array_append(x->a, 0, 3, v, sizeof v, &at, err);

    if (rc == AZR_OK && at != 46)
        (void)complain("appended at %" PRId64, at);
    return rc;
}

static int append_both(actor *x, azr_error *err)
{
    azr_append_part p[2] = {AZR_APPEND_PART_INIT, AZR_APPEND_PART_INIT};
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    const int32_t v[3] = {31, 32, 33};

    o.timeout_ms = 2000;
    for (int i = 0; i < 2; i++) {
        p[i].array = i ? x->b : x->a;
        p[i].length = 3;
        p[i].src = v;
        p[i].src_nbytes = sizeof v;
    }
    return azr_append_all(p, 2, &o, err);
}

static int create_below(actor *x, azr_error *err)
{
    return make_array(&x->a, x, "g/n", 0, err);
}

static int replace_below(actor *x, azr_error *err)
{
    return make_array(&x->a, x, "g/x", AZR_CREATE_REPLACE, err);
}

/* ----------------------------------------------------------------- groups --- */

static int see_group(actor *x, azr_error *err)
{
    azr_group_info info = {.struct_size = sizeof info};
    char *text = NULL;
    int rc = azr_group_info_get(x->g, &info, err);

    if (rc == AZR_OK && (info.zarr_format != x->format || !info.consolidated))
        (void)complain("format %d", (int)info.zarr_format);
    if (rc == AZR_OK)
        rc = azr_group_attributes(x->g, &text, err);
    if (rc == AZR_OK)
        rc = azr_group_open_array(&x->a, x->g, "x", NULL, err);
    azr_free(text);
    return rc;
}

static int change_group(actor *x, azr_error *err)
{
    static const char *const names[] = {"title", "more", "title"};
    static const char *const values[] = {NULL, "[1, 2]", "\"other\""};

    return azr_group_attributes_change(x->g, 3, names, values, err);
}

static int replace_attributes(actor *x, azr_error *err)
{
    return azr_group_attributes_replace(x->g, "{\"all\": \"new\"}", err);
}

static int array_in_group(actor *x, azr_error *err)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;

    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = 46;
    spec.chunks[0] = 4;
    return azr_group_create_array(&x->a, x->g, "n", &spec, NULL, err);
}

static int group_in_group(actor *x, azr_error *err)
{
    azr_group *made = NULL;
    int rc = azr_group_create_group(&made, x->g, "h", NULL, NULL, err);

    azr_group_close(made);
    return rc;
}

static int make_group(actor *x, uint32_t flags, azr_error *err)
{
    azr_group_spec spec = AZR_GROUP_SPEC_INIT;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    char path[256];

    spec.zarr_format = x->format;
    spec.attributes = "{\"title\": \"new\"}";
    o.flags = flags;
    o.timeout_ms = 0;
    place(path, x->root, "g");
    return azr_group_create(&x->g, path, &spec, &o, err);
}

static int replace_group(actor *x, azr_error *err)
{
    return make_group(x, AZR_CREATE_REPLACE, err);
}

static int make_or_open_group(actor *x, azr_error *err)
{
    return make_group(x, AZR_CREATE_OR_OPEN, err);
}

static int see_node_below(const azr_node *node, void *arg)
{
    actor *x = arg;

    if (node->status < 0 && (node->text[0] == '\0' || !x->root))
        (void)complain("no text");
    return 0;
}

/* A node whose document cannot be read is told of, and ends nothing. */
static int walk_group(actor *x, azr_error *err)
{
    int rc = azr_group_list(x->g, see_node_below, x, err);

    return rc < 0 ? rc : azr_group_walk(x->g, 0, see_node_below, x, err);
}

static int consolidate(actor *x, azr_error *err)
{
    return azr_group_consolidate(x->g, err);
}

static int check_consolidated(actor *x, azr_error *err)
{
    tally_of n = {.rows = 0};
    int rc = azr_group_check_consolidated(x->g, count_finding, &n, err);

    if (is_undisturbed(rc))
        expect(n.findings, 0, "findings");
    return rc;
}

/* ------------------------------------------------------------ whole nodes --- */

static azr_tree_options impatient(uint32_t flags)
{
    azr_tree_options o = AZR_TREE_OPTIONS_INIT;

    o.flags = flags;
    o.timeout_ms = 0;
    return o;
}

static int remove_it(actor *x, const char *name, uint32_t flags, azr_error *err)
{
    azr_tree_options o = impatient(flags);
    char path[256];

    place(path, x->root, name);
    return azr_remove(path, &o, err);
}

static int remove_a(actor *x, azr_error *err)
{
    return remove_it(x, "a", 0, err);
}

static int remove_by_force(actor *x, azr_error *err)
{
    return remove_it(x, "a", AZR_TREE_FORCE, err);
}

static int remove_below(actor *x, azr_error *err)
{
    return remove_it(x, "g/x", 0, err);
}

static int move_it(actor *x, const char *from, const char *to, azr_error *err)
{
    azr_tree_options o = impatient(0);
    char a[256], b[256];

    place(a, x->root, from);
    place(b, x->root, to);
    return azr_move(a, b, &o, err);
}

static int move_below(actor *x, azr_error *err)
{
    return move_it(x, "g/x", "g/n", err);
}

static int move_in(actor *x, azr_error *err)
{
    return move_it(x, "a", "g/n", err);
}

static int move_out(actor *x, azr_error *err)
{
    return move_it(x, "g/x", "m", err);
}

static int replace_it(actor *x, const char *from, const char *to,
                      azr_error *err)
{
    azr_tree_options o = impatient(0);
    char a[256], b[256];

    place(a, x->root, from);
    place(b, x->root, to);
    return azr_replace(a, b, &o, err);
}

static int replace_a(actor *x, azr_error *err)
{
    return replace_it(x, "b", "a", err);
}

static int replace_nothing(actor *x, azr_error *err)
{
    return replace_it(x, "b", "n", err);
}

static int replace_x(actor *x, azr_error *err)
{
    return replace_it(x, "a", "g/x", err);
}

static int copy_it(actor *x, const char *from, const char *to, azr_error *err)
{
    azr_copy_options o = AZR_COPY_OPTIONS_INIT;
    azr_copied done = {.struct_size = sizeof done};
    char a[256], b[256];

    o.timeout_ms = 0;
    o.progress = go_on;
    place(a, x->root, from);
    place(b, x->root, to);
    return azr_copy(a, b, &o, &done, err);
}

static int copy_a(actor *x, azr_error *err)
{
    return copy_it(x, "a", "k", err);
}

static int copy_below(actor *x, azr_error *err)
{
    return copy_it(x, "g/x", "g/n", err);
}

static int copy_group(actor *x, azr_error *err)
{
    return copy_it(x, "g", "k", err);
}

/* -------------------------------------------------------------- snapshots --- */

static int take(actor *x, uint32_t flags, const char *directory, azr_error *err)
{
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_array *both[2] = {x->a, x->b};
    char path[256];

    o.flags = flags;
    o.timeout_ms = 0;
    o.progress = go_on;
    if (directory) {
        place(path, x->root, directory);
        o.directory = path;
    }
    return azr_snapshot_take(&x->s, both, x->b ? 2 : 1, &o, err);
}

static int take_linked(actor *x, azr_error *err)
{
    return take(x, 0, NULL, err);
}

static int take_copied(actor *x, azr_error *err)
{
    return take(x, AZR_SNAPSHOT_COPY, NULL, err);
}

static int take_elsewhere(actor *x, azr_error *err)
{
    return take(x, 0, ".", err);
}

/* -------------------------------------------------- somebody comes between --- */

/* Before a call on this name, so often, that happens; undisturbed. */
static struct {
    const char *name;
    int times;
    void (*fn)(actor *x);
    actor *x;
    int (*linkat)(int from_dir, const char *from, int to_dir, const char *to,
                  int flags);
    int (*renameat2)(int from_dir, const char *from, int to_dir, const char *to,
                     unsigned flags);
} g_between;

static void come_between(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (g_between.times == 0 ||
        (strcmp(path, g_between.name) != 0 &&
         strcmp(slash ? slash + 1 : path, g_between.name) != 0))
        return;
    inject_pause();
    g_between.times--;
    g_between.fn(g_between.x);
    inject_resume();
}

static int linkat_between(int from_dir, const char *from, int to_dir,
                          const char *to, int flags)
{
    come_between(from);
    return g_between.linkat(from_dir, from, to_dir, to, flags);
}

static int rename_between(int from_dir, const char *from, int to_dir,
                          const char *to, unsigned flags)
{
    come_between(to);
    return g_between.renameat2(from_dir, from, to_dir, to, flags);
}

static void begin_between(actor *x, const char *name, int times,
                          void (*fn)(actor *))
{
    g_between.name = name;
    g_between.times = times;
    g_between.fn = fn;
    g_between.x = x;
    g_between.linkat = inject_sys.linkat;
    g_between.renameat2 = inject_sys.renameat2;
    inject_sys.linkat = linkat_between;
    inject_sys.renameat2 = rename_between;
}

static void end_between(void)
{
    inject_sys.linkat = g_between.linkat;
    inject_sys.renameat2 = g_between.renameat2;
    g_between.times = 0;
}

/* What is there already: nothing to be seen, but a new file. Who would have to wait
 * leaves it. */
static void write_between(actor *x)
{
    azri_ignore(write_box(x->b, 0, 8, 1, NULL));
}

static int take_between(actor *x, int times, azr_error *err)
{
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    int rc;

    o.timeout_ms = 2000;
    begin_between(x, "c/0", times, write_between);
    rc = azr_snapshot_take(&x->s, &x->a, 1, &o, err);
    end_between();
    return rc;
}

static int take_once_between(actor *x, azr_error *err)
{
    return take_between(x, 1, err);
}

static int take_often_between(actor *x, azr_error *err)
{
    return take_between(x, 1000, err);
}

/* r/s/a: below groups that hold nothing consolidated, yet. */
static void spoil(const actor *x)
{
    const char *text = "{\"zarr_format\": 3, \"node_type\": \"group\"}";
    char path[256];
    FILE *f;

    place(path, x->root, x->format == 2 ? "r/.zmetadata" : "r/zarr.json");
    if (x->format == 2) {
        (void)unlink(path);
        return;
    }
    f = fopen(path, "we");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        (void)complain("write '%s'", path);
}

static int make_below(const actor *x, const char *name, azr_error *err)
{
    azr_group_spec spec = AZR_GROUP_SPEC_INIT;
    azr_group *g = NULL;
    char path[256];
    int rc;

    spec.zarr_format = x->format;
    place(path, x->root, name);
    rc = azr_group_create(&g, path, &spec, NULL, err);
    azr_group_close(g);
    return rc;
}

static int with_depth(actor *x, azr_error *err)
{
    char path[256];
    int rc = AZR_OK;

    place(path, x->root, "r");
    if (access(path, F_OK) == 0) /* it is done again */
        spoil(x);
    else
        rc = make_below(x, "r", err);
    place(path, x->root, "r/s");
    if (rc == AZR_OK && access(path, F_OK) != 0)
        rc = make_below(x, "r/s", err);
    place(path, x->root, "r/s/a");
    if (rc == AZR_OK && access(path, F_OK) == 0)
        return open_array(&x->a, x, "r/s/a", AZR_OPEN_WRITE, err);
    return rc < 0 ? rc : make_array(&x->a, x, "r/s/a", 0, err);
}

static void consolidate_between(actor *x)
{
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;
    int rc = open_group(&g, x, "r", AZR_OPEN_WRITE, &err);

    if (rc == AZR_OK)
        rc = azr_group_consolidate(g, &err);
    if (rc < 0)
        (void)complain("consolidate: %s", err.message);
    azr_group_close(g);
}

static int set_between(actor *x, azr_error *err)
{
    int rc;

    begin_between(x, x->format == 2 ? ".zattrs" : "zarr.json", 1,
                  consolidate_between);
    rc = azr_array_attribute_set(x->a, "units", "\"s\"", err);
    end_between();
    return rc;
}

static int with_deep_group(actor *x, azr_error *err)
{
    int rc = with_depth(x, err);

    return rc < 0 ? rc : open_group(&x->g, x, "r/s", AZR_OPEN_WRITE, err);
}

static int set_group_between(actor *x, azr_error *err)
{
    int rc;

    begin_between(x, x->format == 2 ? ".zattrs" : "zarr.json", 1,
                  consolidate_between);
    rc = azr_group_attribute_set(x->g, "title", "\"s\"", err);
    end_between();
    return rc;
}

/* ------------------------------------------------------------ file system --- */

static int use_probe(actor *x, azr_error *err)
{
    azr_probe *p = NULL;
    int rc = azr_probe_open(&p, x->root, "probe", err);

    if (rc == AZR_OK)
        rc = azr_probe_lock(p, 1, err);
    if (rc == AZR_OK)
        rc = azr_probe_unlock(p, err);
    if (p)
        azr_probe_close(p, 1);
    return rc < 0 ? rc : AZR_OK;
}

/* ------------------------------------------------------------------ table --- */

const act whole_acts[] = {
    BOTH("resize-below", PART_G, CHANGES, with_x, resize_below),
    BOTH("append-below-too", PART_G, CHANGES, with_x, append_below),
    BOTH("append-both", AG, CHANGES, with_a_and_x, append_both),
    POWER("append-both", AG, CHANGES, with_a_and_x, append_both),
    BOTH("create-below-too", PART_G, CHANGES, NULL, create_below),
    BOTH("create-over-below", PART_G, CHANGES, NULL, replace_below),
    BOTH("see-group", PART_G, READS, with_g, see_group),
    BOTH("change-group", PART_G, CHANGES, with_g, change_group),
    BOTH("replace-attributes", PART_G, CHANGES, with_g, replace_attributes),
    BOTH("array-in-group", PART_G, CHANGES, with_g, array_in_group),
    BOTH("group-in-group", PART_G, CHANGES, with_g, group_in_group),
    BOTH("make-group-anew", PART_G, CHANGES, NULL, replace_group),
    BOTH("make-or-open-group", PART_G, READS, NULL, make_or_open_group),
    BOTH("walk-group", PART_G, READS, with_g, walk_group),
    BOTH("consolidate-too", PART_G, READS, with_g, consolidate),
    BOTH("check-too", PART_G, READS, with_g, check_consolidated),
    ACT("remove-rubbish", PART_A | PART_LEFT, CHANGES, NULL, remove_a),
    ACT("remove-dead", AD, CHANGES, NULL, remove_a),
    ACT("remove-by-force", PART_A, CHANGES, NULL, remove_by_force),
    BOTH("remove-below-too", PART_G, CHANGES, NULL, remove_below),
    BOTH("move-below-too", PART_G, CHANGES, NULL, move_below),
    BOTH("move-in", AG, CHANGES, NULL, move_in),
    BOTH("move-out-too", PART_G, CHANGES, NULL, move_out),
    ACT("replace-a", AB, CHANGES, NULL, replace_a),
    ACT("replace-no-node", AB, CHANGES, NULL, replace_nothing),
    BOTH("replace-x", AG, CHANGES, NULL, replace_x),
    BOTH("copy-a", PART_A, CHANGES, NULL, copy_a),
    ACT("copy-dead", AD, CHANGES, NULL, copy_a),
    BOTH("copy-below", PART_G, CHANGES, NULL, copy_below),
    BOTH("copy-group-too", PART_G, CHANGES, NULL, copy_group),
    BOTH("take-linked", AB, READS, with_both, take_linked),
    ACT("take-dead", AD, READS, open_read, take_linked),
    BOTH("take-copied", AB, READS, with_both, take_copied),
    ACT("take-elsewhere", AB, READS, with_both, take_elsewhere),
    ACT("take-dead-elsewhere", AD, READS, open_read, take_elsewhere),
    ACT("take-once-between", PART_A, READS, with_a_twice, take_once_between),
    ACT("take-often-between", PART_A, READS, with_a_twice, take_often_between),
    BOTH("set-between", 0, READS, with_depth, set_between),
    BOTH("set-group-between", 0, READS, with_deep_group, set_group_between),
    ACT("probe-lock", 0, READS, NULL, use_probe),
};
const unsigned whole_act_count = sizeof whole_acts / sizeof whole_acts[0];
