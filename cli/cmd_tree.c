/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"
#include "nodes.h"
#include "region.h"

#include <stdlib.h>
#include <string.h>

static const struct cli_usage usage = {
    "tree PATH [--depth N]",
    "Groups and arrays at and below PATH, as they stand now: shape, data "
    "type,\n"
    "chunks and codecs of each array. Directories without a document are "
    "shown\n"
    "if there is a node below. Links are not followed. What cannot be read, "
    "and\n"
    "consolidated metadata that is out of date, are named; the exit code is "
    "then "
    "1.\n",
    "  azr tree experiment.zarr\n"
    "  azr tree . --depth 2\n"
    "  azr tree x.zarr --json | jq -r '.nodes[] | select(.shape).path'\n"};

/* Facts of one array; false: `why` tells. */
static bool look(struct cli *cli, azr_array_info *info, const char *path,
                 azr_error *why)
{
    azr_open_options o =
        cli_open_options(cli, AZR_OPEN_NO_RECOVERY | AZR_OPEN_OPAQUE);
    azr_array *array = NULL;
    int rc = azr_array_open(&array, path, &o, why);

    memset(info, 0, sizeof *info);
    info->struct_size = (uint32_t)sizeof *info;
    if (rc == AZR_OK)
        rc = azr_array_info_get(array, info, why);
    azr_array_close(array);
    return rc == AZR_OK;
}

static bool has_array(struct cli *cli, const struct node *n,
                      azr_array_info *info, azr_error *why)
{
    return n->kind == AZR_NODE_ARRAY && look(cli, info, n->path, why);
}

static const char *trouble_of(const struct node *n, const azr_error *why)
{
    if (n->text)
        return n->text;
    return why->code < 0 ? why->message : NULL;
}

/* What is stale in the consolidated metadata of one group. */
struct stale {
    struct cli *cli;
    const struct node *node;
    struct json *json;
    size_t count;
};

static int take_stale(const azr_finding *finding, void *arg)
{
    struct stale *s = arg;

    s->count++;
    if (s->json) {
        json_open(s->json, NULL, '{');
        json_text(s->json, "group", s->node->relative);
        json_text(s->json, "key", finding->key);
        json_text(s->json, "text", finding->text);
        json_close(s->json, '}');
    } else {
        printf("stale: ");
        cli_put(stdout, s->node->path);
        printf(": consolidated metadata: ");
        cli_put(stdout, finding->key);
        printf(" %s\n", finding->text);
    }
    return 0;
}

/* 0, CLI_DIFFERS if something is stale, or another exit code. */
static int show_stale(struct cli *cli, const struct nodes *nodes,
                      struct json *json)
{
    struct stale s = {cli, NULL, json, 0};
    int rc = 0;

    for (size_t i = 0; i < nodes->count && rc == 0 && !cli_signal; i++) {
        s.node = &nodes->items[i];
        if (s.node->kind == AZR_NODE_GROUP)
            rc = stale_below(cli, s.node->path, take_stale, &s);
    }
    return rc == 0 && s.count > 0 ? CLI_DIFFERS : rc;
}

/* ------------------------------------------------------------------ text --- */

/* Is there a sibling below each of the levels above? bit d: level d goes on. */
static uint64_t *find_rails(const struct nodes *nodes)
{
    uint64_t *rails = cli_alloc(nodes->count, sizeof *rails);
    uint64_t open = 0;

    for (size_t i = nodes->count; i-- > 0;) {
        unsigned depth = (unsigned)nodes->items[i].depth;
        uint64_t own = UINT64_C(1) << (depth & 63);

        rails[i] = open;
        open = (open & (own - 1)) | own; /* deeper levels end here */
    }
    return rails;
}

static void print_rails(const struct node *n, uint64_t rails)
{
    for (int d = 1; d < n->depth; d++)
        printf("%s", rails >> (d & 63) & 1 ? "│   " : "    ");
    if (n->depth > 0)
        printf("%s", rails >> (n->depth & 63) & 1 ? "├── " : "└── ");
}

static void print_array(const azr_array_info *info)
{
    char text[AZR_MAX_RANK * 24];

    shape_text(text, sizeof text, info->shape, info->rank);
    printf("  %s", text);
    if (!info->opaque[0])
        printf(" %s", azr_dtype_name(info->dtype));
    shape_text(text, sizeof text, info->chunks, info->rank);
    printf(", chunks %s, ", text);
    cli_put(stdout, info->codecs[0] ? info->codecs : "none");
    if (info->opaque[0]) {
        printf(", elements not readable here: ");
        cli_put(stdout, info->opaque);
    }
}

/* Returns whether the node could be read. */
static bool print_node(struct cli *cli, const struct node *n)
{
    const char *color = n->kind == AZR_NODE_GROUP ? "\033[1;34m" : "\033[1m";
    azr_error why = AZR_ERROR_INIT;
    azr_array_info info;
    const char *trouble;

    printf("%s", cli->color_out ? color : "");
    cli_put(stdout, n->name);
    printf("%s", cli->color_out ? "\033[0m" : "");
    if (has_array(cli, n, &info, &why))
        print_array(&info);
    else if (n->kind == AZR_NODE_GROUP && n->depth == 0)
        printf("  group, Zarr format %d", n->format);
    else if (n->kind == AZR_NODE_GROUP)
        printf("  group");
    trouble = trouble_of(n, &why);
    if (trouble) {
        printf("  %s", cli->color_out ? "\033[31m" : "");
        printf("error: ");
        cli_put(stdout, trouble);
        printf("%s", cli->color_out ? "\033[0m" : "");
    }
    printf("\n");
    return !trouble;
}

static int print_text(struct cli *cli, const struct nodes *nodes)
{
    uint64_t *rails = find_rails(nodes);
    size_t arrays = 0, groups = 0, bad = 0;
    int rc;

    for (size_t i = 0; i < nodes->count && !cli_signal; i++) {
        const struct node *n = &nodes->items[i];

        arrays += n->kind == AZR_NODE_ARRAY;
        groups += n->kind == AZR_NODE_GROUP;
        print_rails(n, rails[i]);
        bad += !print_node(cli, n);
    }
    free(rails);
    printf("\n%zu arrays, %zu groups", arrays, groups);
    if (bad > 0)
        printf(", %zu cannot be read", bad);
    printf("\n");
    rc = show_stale(cli, nodes, NULL);
    return bad > 0 ? CLI_DIFFERS : rc;
}

/* ------------------------------------------------------------------ JSON --- */

static bool json_node(struct cli *cli, struct json *j, const struct node *n)
{
    azr_error why = AZR_ERROR_INIT;
    azr_array_info info;
    bool array = has_array(cli, n, &info, &why);
    const char *trouble = trouble_of(n, &why);

    json_open(j, NULL, '{');
    json_text(j, "path", n->relative);
    json_text(j, "kind", node_kind_name(n->kind));
    json_int(j, "zarr_format", n->format);
    if (array) {
        json_ints(j, "shape", info.shape, info.rank);
        if (info.opaque[0]) {
            json_null(j, "dtype");
            json_text(j, "opaque", info.opaque);
        } else {
            json_text(j, "dtype", azr_dtype_name(info.dtype));
        }
        json_ints(j, "chunks", info.chunks, info.rank);
        json_text(j, "codecs", info.codecs);
    }
    if (trouble)
        json_text(j, "error", trouble);
    json_close(j, '}');
    return !trouble;
}

static int print_json(struct cli *cli, const struct nodes *nodes,
                      const char *path)
{
    struct json j = json_begin(stdout);
    bool bad = false;
    int rc;

    json_open(&j, NULL, '{');
    json_text(&j, "path", path);
    json_open(&j, "nodes", '[');
    for (size_t i = 0; i < nodes->count && !cli_signal; i++)
        bad = !json_node(cli, &j, &nodes->items[i]) || bad;
    json_close(&j, ']');
    json_open(&j, "stale", '[');
    rc = show_stale(cli, nodes, &j);
    json_close(&j, ']');
    json_close(&j, '}');
    json_end(&j);
    return bad ? CLI_DIFFERS : rc;
}

int cmd_tree(struct cli *cli, int argc, char **argv)
{
    struct cli_list words = {NULL, 0};
    struct nodes nodes;
    int depth = 0, rc;
    const struct cli_option options[] = {
        {CLI_NUMBER, 'd', "depth", &depth, "N", "levels below PATH (all)"},
        CLI_OPTION_END,
    };

    if (!cli_args(cli, &usage, options, argc, argv, &words, 1, 1))
        return cli->exit_code;
    rc = nodes_at(cli, &nodes, words.items[0], depth);
    if (rc == 0)
        rc = cli->json ? print_json(cli, &nodes, words.items[0])
                       : print_text(cli, &nodes);
    nodes_free(&nodes);
    return cli_signal ? CLI_SIGNAL + cli_signal : rc;
}
