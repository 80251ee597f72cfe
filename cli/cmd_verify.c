/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"
#include "progress.h"
#include "region.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_usage usage = {
    "verify PATH",
    "Decode every stored chunk and look at every row and file. Changes "
    "nothing.\n"
    "Exit code 1 if an error was found; remarks alone are 0.\n",
    "  azr verify x.zarr\n"
    "  azr verify x.zarr --json | jq '.findings[] | select(.error)'\n"};

struct audit {
    struct cli *cli;
    struct progress progress;
    FILE *found; /* the list of findings, JSON or lines */
    struct json json;
    uint64_t errors, remarks, chunks;
};

static const char *kind_name(int kind)
{
    static const char *const names[] = {"other", "chunk",   "stray",
                                        "row",   "rubbish", "lost",
                                        "state", "unsynced"};

    return kind > 0 && kind <= AZR_FINDING_UNSYNCED ? names[kind] : names[0];
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
        cli_put(a->found, finding->key);
        (void)fputs("  ", a->found);
        cli_put(a->found, finding->text);
        (void)fputc('\n', a->found);
    }
    return 0;
}

static int take_progress(uint64_t done, uint64_t total, void *arg)
{
    struct audit *a = arg;

    a->chunks = done;
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

static int verify(struct cli *cli, azr_array *array, const char *path)
{
    azr_error err = AZR_ERROR_INIT;
    char *list = NULL;
    size_t size = 0;
    struct audit a = {.cli = cli,
                      .progress = progress_begin(cli, "verify", "chunks"),
                      .found = stdout};
    int rc;

    if (cli->json) {
        a.found = open_memstream(&list, &size);
        if (!a.found)
            return cli_error(cli, CLI_IO, "out of memory");
        a.json = json_begin(a.found);
        json_open(&a.json, NULL, '[');
    }
    rc = azr_array_verify(array, take_finding, take_progress, &a, &err);
    progress_end(&a.progress);
    if (cli->json) {
        json_close(&a.json, ']');
        if (fclose(a.found) != 0)
            return cli_error(cli, CLI_IO, "out of memory");
    }
    if (rc < 0)
        rc = cli_fail_at(cli, rc, &err, path);
    else if (cli_signal)
        rc = cli_interrupted(cli);
    else
        report(&a, path, list);
    free(list);
    return rc == 0 && a.errors > 0 ? CLI_DIFFERS : rc;
}

int cmd_verify(struct cli *cli, int argc, char **argv)
{
    struct cli_list words = {NULL, 0};
    azr_array *array = NULL;
    int rc;

    if (!cli_args(cli, &usage, NULL, argc, argv, &words, 1, 1))
        return cli->exit_code;
    rc = cli_open(cli, &array, words.items[0], 0);
    if (rc == 0)
        rc = verify(cli, array, words.items[0]);
    azr_array_close(array);
    return rc;
}
