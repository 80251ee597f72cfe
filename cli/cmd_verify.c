/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"
#include "nodes.h"
#include "progress.h"
#include "region.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_usage usage = {
    "verify PATH",
    "Decode every stored chunk and look at every row and file; of a group or "
    "a\ndirectory, in every array below it, and hold consolidated metadata "
    "against\nthe documents. Changes nothing.\n"
    "Exit code 1 if an error was found; remarks alone are 0.\n",
    "  azr verify x.zarr\n"
    "  azr verify x.zarr --json | jq '.findings[] | select(.error)'\n"};

struct audit {
    struct cli *cli;
    struct progress progress;
    FILE *found; /* the list of findings, JSON or lines */
    struct json json;
    uint64_t errors, remarks, chunks, before; /* chunks of earlier arrays */
    const struct node *node;
    int exit_code;
};

static const char *kind_name(int kind)
{
    static const char *const names[] = {"other", "chunk",    "stray",
                                        "row",   "rubbish",  "lost",
                                        "state", "unsynced", "stale"};

    return kind > 0 && kind <= AZR_FINDING_STALE ? names[kind] : names[0];
}

/* Keys are told from the top. */
static void put_key(struct audit *a, const char *key)
{
    if (a->node && a->node->relative[0]) {
        cli_put(a->found, a->node->relative);
        (void)fputc('/', a->found);
    }
    cli_put(a->found, key);
}

static int take_finding(const azr_finding *finding, void *arg)
{
    struct audit *a = arg;

    if (finding->is_error)
        a->errors++;
    else
        a->remarks++;
    if (a->cli->json) {
        json_open(&a->json, NULL, '{');
        json_bool(&a->json, "error", finding->is_error != 0);
        json_text(&a->json, "kind", kind_name(finding->kind));
        if (a->node)
            json_text(&a->json, "node", a->node->relative);
        json_text(&a->json, "key", finding->key);
        json_text(&a->json, "text", finding->text);
        json_close(&a->json, '}');
    } else {
        progress_end(&a->progress);
        (void)fprintf(a->found, "%s%s%s  %-8s  ",
                      a->cli->color_out && finding->is_error ? "\033[31m" : "",
                      finding->is_error ? "error " : "remark",
                      a->cli->color_out && finding->is_error ? "\033[0m" : "",
                      kind_name(finding->kind));
        put_key(a, finding->key);
        (void)fputs("  ", a->found);
        cli_put(a->found, finding->text);
        (void)fputc('\n', a->found);
    }
    return 0;
}

static int take_progress(uint64_t done, uint64_t total, void *arg)
{
    struct audit *a = arg;

    a->chunks = a->before + done;
    progress_show(&a->progress, done, total);
    return cli_signal != 0;
}

static void report(const struct audit *a, const char *path, const char *list)
{
    struct json j = json_begin(stdout);

    if (!a->cli->json) {
        printf("%s: %" PRIu64 " chunks, %" PRIu64 " errors, %" PRIu64
               " remarks\n",
               path, a->chunks, a->errors, a->remarks);
        return;
    }
    json_open(&j, NULL, '{');
    json_text(&j, "path", path);
    json_uint(&j, "chunks", a->chunks);
    json_uint(&j, "errors", a->errors);
    json_uint(&j, "remarks", a->remarks);
    json_raw(&j, "findings", list);
    json_close(&j, '}');
    json_end(&j);
}

static int begin(struct audit *a, char **list, size_t *size)
{
    if (!a->cli->json)
        return 0;
    a->found = open_memstream(list, size);
    if (!a->found)
        return cli_error(a->cli, CLI_IO, "out of memory");
    a->json = json_begin(a->found);
    json_open(&a->json, NULL, '[');
    return 0;
}

static int end(struct audit *a)
{
    progress_end(&a->progress);
    if (!a->cli->json)
        return 0;
    json_close(&a->json, ']');
    if (fclose(a->found) != 0)
        return cli_error(a->cli, CLI_IO, "out of memory");
    return 0;
}

static int verify(struct cli *cli, const char *path)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array *array = NULL;
    char *list = NULL;
    size_t size = 0;
    struct audit a = {.cli = cli, .found = stdout};
    int rc = cli_open(cli, &array, path, AZR_OPEN_OPAQUE);
    int status = AZR_OK;

    if (rc == 0)
        rc = begin(&a, &list, &size);
    if (rc == 0) {
        a.progress = progress_begin(cli, "verify", "chunks");
        status = azr_array_verify(array, take_finding, take_progress, &a, &err);
        rc = end(&a);
    }
    azr_array_close(array);
    if (status < 0)
        rc = cli_fail_at(cli, status, &err, path);
    else if (rc == 0 && cli_signal)
        rc = cli_interrupted(cli);
    else if (rc == 0)
        report(&a, path, list);
    free(list);
    return rc == 0 && a.errors > 0 ? CLI_DIFFERS : rc;
}

/* ---------------------------------------------------------------- a tree --- */

static int verify_array(azr_array *array, void *arg, azr_error *err)
{
    return azr_array_verify(array, take_finding, take_progress, arg, err);
}

static void verify_nodes(struct audit *a, const struct nodes *nodes)
{
    for (size_t i = 0; i < nodes->count && !cli_signal; i++) {
        const struct node *n = &nodes->items[i];
        int rc = 0;

        a->node = n;
        if (n->kind == AZR_NODE_ARRAY || n->kind == AZR_NODE_NONE)
            rc = node_visit(a->cli, n, verify_array, a);
        else if (n->kind == AZR_NODE_GROUP)
            rc = stale_below(a->cli, n->path, take_finding, a);
        a->before = a->chunks;
        /* said; the others are verified all the same */
        if (rc != 0) {
            progress_end(&a->progress);
            a->exit_code = rc;
            a->errors++;
        }
    }
}

static int verify_tree(struct cli *cli, const char *path)
{
    struct audit a = {.cli = cli, .found = stdout};
    struct nodes nodes;
    char *list = NULL;
    size_t size = 0;
    int rc = nodes_at(cli, &nodes, path, 0);

    if (rc == 0)
        rc = begin(&a, &list, &size);
    if (rc == 0) {
        a.progress = progress_begin(cli, "verify", "chunks");
        verify_nodes(&a, &nodes);
        rc = end(&a);
    }
    if (rc == 0 && cli_signal)
        rc = cli_interrupted(cli);
    else if (rc == 0)
        report(&a, path, list);
    free(list);
    nodes_free(&nodes);
    if (rc == 0)
        rc = a.exit_code;
    return rc == 0 && a.errors > 0 ? CLI_DIFFERS : rc;
}

int cmd_verify(struct cli *cli, int argc, char **argv)
{
    struct cli_list words = {NULL, 0};
    int kind = AZR_NODE_NONE;

    if (!cli_args(cli, &usage, NULL, argc, argv, &words, 1, 1))
        return cli->exit_code;
    /* what cannot be read is told by who opens it */
    if (azr_node_at(&kind, NULL, words.items[0], NULL) == AZR_OK &&
        kind != AZR_NODE_ARRAY)
        return verify_tree(cli, words.items[0]);
    return verify(cli, words.items[0]);
}
