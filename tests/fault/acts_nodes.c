/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/acts_nodes.h"

#include "fault/inject.h"
#include "fault/look.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --------------------------------------------------------------- copies --- */

static int copy(actor *x, const char *from, const char *to, azr_error *err)
{
    azr_copy_options o = AZR_COPY_OPTIONS_INIT;
    char a[256], b[256];

    o.timeout_ms = 0;
    place(a, x->root, from);
    place(b, x->root, to);
    return azr_copy(a, b, &o, NULL, err);
}

int do_copy(actor *x, azr_error *err)
{
    return copy(x, "a", "k", err);
}

int do_copy_group(actor *x, azr_error *err)
{
    return copy(x, "g", "k", err);
}

int do_copy_into(actor *x, azr_error *err)
{
    return copy(x, "a", "g/n", err);
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

int do_remove(actor *x, azr_error *err)
{
    return take_away(x, "a", err);
}

int do_remove_group(actor *x, azr_error *err)
{
    return take_away(x, "g", err);
}

int do_remove_below(actor *x, azr_error *err)
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

int do_move(actor *x, azr_error *err)
{
    return bring(x, "a", "m", err);
}

int do_move_group(actor *x, azr_error *err)
{
    return bring(x, "g", "m", err);
}

int do_move_below(actor *x, azr_error *err)
{
    return bring(x, "g/x", "g/n", err);
}

int do_move_into(actor *x, azr_error *err)
{
    return bring(x, "a", "g/n", err);
}

int do_move_out(actor *x, azr_error *err)
{
    return bring(x, "g/x", "m", err);
}

static int put_there(actor *x, const char *from, const char *to, azr_error *err)
{
    azr_tree_options o = impatient();
    char a[256], b[256];

    place(a, x->root, from);
    place(b, x->root, to);
    return azr_replace(a, b, &o, err);
}

int do_replace_node(actor *x, azr_error *err)
{
    return put_there(x, "b", "a", err);
}

int do_replace_nothing(actor *x, azr_error *err)
{
    return put_there(x, "b", "m", err);
}

int do_replace_group(actor *x, azr_error *err)
{
    return put_there(x, "b", "g", err);
}

int do_replace_below(actor *x, azr_error *err)
{
    return put_there(x, "b", "g/x", err);
}

int do_node_at(actor *x, azr_error *err)
{
    const char *key = x->format == 2 ? ".zarray" : "zarr.json";
    int what = 0, format = 0, rc;
    char path[256], *text = NULL;

    place(path, x->root, "g");
    rc = azr_node_at(&what, &format, path, err);
    if (rc == AZR_OK && (what != AZR_NODE_GROUP || format != x->format))
        (void)complain("g: kind %d of format %d", what, format);
    place(path, x->root, "a");
    if (rc == AZR_OK)
        rc = azr_node_at(&what, &format, path, err);
    if (rc == AZR_OK && (what != AZR_NODE_ARRAY || format != x->format))
        (void)complain("a: kind %d of format %d", what, format);
    if (rc == AZR_OK)
        rc = azr_node_document(&text, path, key, err);
    if (rc == AZR_OK)
        expect_text(text, "\"shape\"");
    azr_free(text);
    return rc;
}

#define RUBBISH ".azr-trash/0123456789abcdef0123456789abcdef"

int do_collect(actor *x, azr_error *err)
{
    azr_tree_options o = impatient();
    uint64_t removed = 0;
    bool was_there;
    char path[256];
    int rc;

    place(path, x->root, RUBBISH);
    was_there = access(path, F_OK) == 0; /* not, where it is done again */
    rc = azr_collect(x->root, &removed, &o, err);

    if (is_undisturbed(rc)) {
        expect((int64_t)removed, was_there, "things removed");
        expect_name(x, RUBBISH, false);
    }
    return rc;
}

int do_probe(actor *x, azr_error *err)
{
    azr_fs_report r = {.struct_size = sizeof r};

    int rc = azr_fs_probe(x->root, &r, err);

    if (rc == AZR_OK && (r.fs_class == 0 || r.name[0] == '\0'))
        (void)complain("of class %d, '%s'", (int)r.fs_class, r.name);
    if (is_undisturbed(rc)) {
        expect(r.locks_conflict, 1, "locks exclude");
        expect(r.locks_released, 1, "locks are let go");
        expect(r.map_coherent, 1, "a map is seen");
        expect(r.rename_atomic, 1, "names are replaced");
        expect(r.rename_noreplace, 1, "names are kept");
    }
    return rc;
}

/* Its name is one of those that a probe may leave. */
int do_probe_pair(actor *x, azr_error *err)
{
    int rc = azr_probe_open(&x->probe, x->root, ".azr-probe.pair", err);

    if (rc < 0)
        return rc;
    rc = azr_probe_lock(x->probe, 1, err);
    if (rc < 0)
        return rc;
    if (inject_is_undisturbed())
        expect(rc, 1, "locked");
    azr_probe_store(x->probe, 5);
    if (azr_probe_load(x->probe) != 5)
        (void)complain("the map of the probe");
    return azr_probe_unlock(x->probe, err);
}

/* --------------------------------------------------------------- groups --- */

int do_group(actor *x, azr_error *err)
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

int do_group_replace(actor *x, azr_error *err)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    char path[256];

    o.flags = AZR_CREATE_REPLACE;
    o.timeout_ms = 0;
    place(path, x->root, "g");
    return azr_group_create(&x->g, path, NULL, &o, err);
}

int do_group_array(actor *x, azr_error *err)
{
    azr_array_spec spec = spec_of(x, "n");

    return azr_group_create_array(&x->a, x->g, "n", &spec, NULL, err);
}

int do_group_group(actor *x, azr_error *err)
{
    azr_group *made = NULL;
    int rc = azr_group_create_group(&made, x->g, "h", NULL, NULL, err);

    azr_group_close(made);
    return rc;
}

/* A group is made above it, since there is none. */
int do_group_above(actor *x, azr_error *err)
{
    azr_array_spec spec = spec_of(x, "y");

    return azr_group_create_array(&x->a, x->g, "h/y", &spec, NULL, err);
}

int do_group_change(actor *x, azr_error *err)
{
    static const char *const names[] = {"title", "more", "none"};
    static const char *const values[] = {"\"other\"", "[1, 2]", NULL};

    return azr_group_attributes_change(x->g, 3, names, values, err);
}

int do_group_all(actor *x, azr_error *err)
{
    return azr_group_attributes_replace(x->g, "{\"all\": \"new\"}", err);
}

int do_group_attribute(actor *x, azr_error *err)
{
    return azr_group_attribute_set(x->g, "title", "\"other\"", err);
}

int with_stale_g(actor *x, azr_error *err)
{
    entry_spoil(x);
    return with_g(x, err);
}

int do_consolidate(actor *x, azr_error *err)
{
    int rc = azr_group_consolidate(x->g, err);

    if (rc == AZR_OK && !entry_is_true(x))
        (void)complain("its entry is what it was");
    return rc;
}

/* The entry is true again when it has looked: nobody else would mend it. */
int do_check_consolidated(actor *x, azr_error *err)
{
    tally_of n = {.rows = 0};
    int rc = azr_group_check_consolidated(x->g, count_finding, &n, err);

    entry_mend(x);
    if (rc == AZR_OK)
        expect(n.errors, 1, "stale entries");
    return rc;
}

int do_walk(actor *x, azr_error *err)
{
    tally_of n = {.rows = 0};
    int rc = azr_group_walk(x->g, 9, count_nodes, &n, err);

    if (rc == AZR_OK)
        expect(n.nodes, 1, "nodes");
    if (is_undisturbed(rc))
        expect(n.bad_nodes, 0, "nodes that cannot be read");
    return rc;
}

int do_list(actor *x, azr_error *err)
{
    tally_of n = {.rows = 0};
    int rc = azr_group_list(x->g, count_nodes, &n, err);

    if (rc == AZR_OK)
        expect(n.nodes, 1, "nodes");
    if (is_undisturbed(rc))
        expect(n.bad_nodes, 0, "nodes that cannot be read");
    return rc;
}

int do_create_below(actor *x, azr_error *err)
{
    return make_array(&x->a, x, "g/n", 0, err);
}

int do_create_again(actor *x, azr_error *err)
{
    return make_array(&x->a, x, "g/x", AZR_CREATE_REPLACE, err);
}

int do_recover_below(actor *x, azr_error *err)
{
    int rc = with_x(x, err);

    if (rc == AZR_OK)
        expect_open(x->a, 46);
    if (is_undisturbed(rc))
        expect_no_rows(x->a);
    return rc;
}

/* A directory without a document, and what is below it. */
int do_open_implied(actor *x, azr_error *err)
{
    azr_group *below = NULL;
    tally_of n = {.rows = 0};
    int rc = open_group(&x->g, x, ".", AZR_OPEN_IMPLIED, err);

    if (rc == AZR_OK)
        rc = azr_group_walk(x->g, 0, count_nodes, &n, err);
    if (is_undisturbed(rc))
        expect(n.nodes - n.bad_nodes, 3, "nodes");
    if (rc == AZR_OK)
        rc = azr_group_open_array(&x->a, x->g, "g/x", NULL, err);
    if (rc == AZR_OK)
        rc = azr_group_open_group(&below, x->g, "g", NULL, err);
    if (rc == AZR_OK) {
        expect_elements(x->a, 0, 46, 101);
        expect_group(below, x->format);
    }
    azr_group_close(below);
    return rc;
}

/* Reading alone: the group is opened for it. */
int do_open_group(actor *x, azr_error *err)
{
    azr_group_info info = {.struct_size = sizeof info};
    char *text = NULL;
    int rc = open_group(&x->g, x, "g", 0, err);

    if (rc == AZR_OK)
        rc = azr_group_info_get(x->g, &info, err);
    if (rc == AZR_OK)
        rc = azr_group_attributes(x->g, &text, err);
    if (rc == AZR_OK) {
        expect(info.zarr_format, x->format, "its format");
        expect_text(text, "\"t\"");
    }
    azr_free(text);
    return rc;
}
