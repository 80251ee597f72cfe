/* SPDX-License-Identifier: Apache-2.0 */
#include "nodes.h"

#include <stdlib.h>
#include <string.h>

const char *node_kind_name(int kind)
{
    static const char *const names[] = {"error", "array", "group", "directory"};

    return kind >= 0 && kind <= AZR_NODE_DIRECTORY ? names[kind] : names[0];
}

int node_kind_at(struct cli *cli, int *kind, const char *path)
{
    azr_error err = AZR_ERROR_INIT;
    int rc = azr_node_at(kind, NULL, path, &err);

    return rc < 0 ? cli_fail_at(cli, rc, &err, path) : 0;
}

int cli_open_group(struct cli *cli, azr_group **out, const char *path,
                   uint32_t flags)
{
    azr_open_options o = cli_open_options(cli, flags);
    azr_error err = AZR_ERROR_INIT;
    int rc = azr_group_open(out, path, &o, &err);

    return rc < 0 ? cli_fail_at(cli, rc, &err, path) : 0;
}

static char *copy_of(const char *text)
{
    size_t size = strlen(text) + 1;
    char *p = cli_alloc(size, 1);

    memcpy(p, text, size);
    return p;
}

static struct node *push(struct nodes *nodes)
{
    if (nodes->count == nodes->room) {
        size_t room = nodes->room ? 2 * nodes->room : 64;
        struct node *items = cli_alloc(room, sizeof *items);

        if (nodes->count > 0)
            memcpy(items, nodes->items, nodes->count * sizeof *items);
        free(nodes->items);
        nodes->items = items;
        nodes->room = room;
    }
    return &nodes->items[nodes->count++];
}

struct gathering {
    struct nodes *nodes;
    const char *top;
};

static int take_node(const azr_node *from, void *arg)
{
    struct gathering *g = arg;
    struct node *n = push(g->nodes);
    size_t before = strlen(g->top), size;

    while (before > 1 && g->top[before - 1] == '/')
        before--;
    size = before + strlen(from->path) + 2;
    n->path = cli_alloc(size, 1);
    (void)snprintf(n->path, size, "%.*s/%s", (int)before, g->top, from->path);
    n->relative = n->path + before + 1;
    n->name = n->path + size - 1 - strlen(from->name);
    n->text = from->status < 0 ? copy_of(from->text) : NULL;
    n->kind = from->kind;
    n->format = from->zarr_format;
    n->depth = from->depth;
    n->status = from->status;
    return 0;
}

static void take_top(struct nodes *nodes, const char *path, int kind,
                     int format)
{
    struct node *n = push(nodes);

    memset(n, 0, sizeof *n);
    n->path = copy_of(path);
    n->relative = n->path + strlen(n->path);
    n->name = n->path;
    n->kind = kind;
    n->format = format;
}

static void drop(struct node *n)
{
    free(n->path);
    free(n->text);
}

/* From the end: a directory stays if what follows it and stays is deeper. */
static void prune(struct nodes *nodes)
{
    size_t to = nodes->count;
    int depth_after = 0;

    for (size_t i = nodes->count; i-- > 1;) {
        struct node *n = &nodes->items[i];

        if (n->kind == AZR_NODE_DIRECTORY && depth_after <= n->depth) {
            drop(n);
            continue;
        }
        depth_after = n->depth;
        nodes->items[--to] = *n;
    }
    if (to > 1)
        memmove(nodes->items + 1, nodes->items + to,
                (nodes->count - to) * sizeof *nodes->items);
    nodes->count = 1 + nodes->count - to;
}

int nodes_at(struct cli *cli, struct nodes *out, const char *path, int depth)
{
    struct gathering g = {out, path};
    azr_error err = AZR_ERROR_INIT;
    azr_group *group = NULL;
    int kind = AZR_NODE_NONE, format = 0;
    int rc = azr_node_at(&kind, &format, path, &err);

    memset(out, 0, sizeof *out);
    if (rc < 0)
        return cli_fail_at(cli, rc, &err, path);
    take_top(out, path, kind, format);
    if (kind == AZR_NODE_ARRAY)
        return 0;
    rc = cli_open_group(cli, &group, path, AZR_OPEN_IMPLIED);
    if (rc != 0)
        return rc;
    rc = azr_group_walk(group, depth, take_node, &g, &err);
    azr_group_close(group);
    if (rc < 0)
        return cli_fail_at(cli, rc, &err, path);
    prune(out);
    return 0;
}

void nodes_free(struct nodes *nodes)
{
    for (size_t i = 0; i < nodes->count; i++)
        drop(&nodes->items[i]);
    free(nodes->items);
}

static int fail_aside(const struct cli *cli, int rc, const azr_error *err,
                      const char *path)
{
    struct cli aside = *cli;

    aside.json = 0;
    return cli_fail_at(&aside, rc, err, path);
}

int node_visit(struct cli *cli, const struct node *n, node_work_fn work,
               void *arg)
{
    azr_open_options o =
        cli_open_options(cli, AZR_OPEN_NO_RECOVERY | AZR_OPEN_OPAQUE);
    azr_error err = AZR_ERROR_INIT;
    azr_array *array = NULL;
    int rc = n->status;

    if (n->kind == AZR_NODE_ARRAY)
        rc = azr_array_open(&array, n->path, &o, &err);
    else
        (void)snprintf(err.message, sizeof err.message, "%s", n->text);
    if (rc == AZR_OK)
        rc = work(array, arg, &err);
    azr_array_close(array);
    return rc == AZR_OK ? 0 : fail_aside(cli, rc, &err, n->path);
}

int stale_below(struct cli *cli, const char *path, azr_finding_fn fn, void *arg)
{
    azr_open_options o = cli_open_options(cli, 0);
    azr_error err = AZR_ERROR_INIT;
    azr_group *group = NULL;
    int rc = azr_group_open(&group, path, &o, &err);

    if (rc == AZR_OK)
        rc = azr_group_check_consolidated(group, fn, arg, &err);
    azr_group_close(group);
    if (rc == AZR_OK || rc == AZR_ENOTFOUND)
        return 0;
    return fail_aside(cli, rc, &err, path);
}
