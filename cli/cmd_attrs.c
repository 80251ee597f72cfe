/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"
#include "region.h"

#include <stdlib.h>
#include <string.h>

static const struct cli_usage usage = {
    "attrs PATH [--set K=JSON]... [--delete K]... [--durability D]",
    "Show the attributes, or change them. Each change is a transaction of its\n"
    "own and leaves the bytes of all other attributes as they are. A value is\n"
    "JSON, so a string has its quotes.\n\n"
    "Durability says what a commit survives: process (kill -9), or power "
    "(power\n"
    "loss too, at the price of syncs). It is a property of the array.\n",
    "  azr attrs x.zarr\n"
    "  azr attrs x.zarr --set 'units=\"m/s\"' --set 'valid_range=[0, 50]'\n"
    "  azr attrs x.zarr --delete history --durability power\n"};

struct wishes {
    struct cli_list set, deleted;
    const char *durability;
};

static bool changes(const struct wishes *w)
{
    return w->set.count > 0 || w->deleted.count > 0 || w->durability;
}

static int set_one(struct cli *cli, azr_array *array, const char *path,
                   const char *word)
{
    azr_error err = AZR_ERROR_INIT;
    const char *equals = strchr(word, '=');
    size_t n = equals ? (size_t)(equals - word) : 0;
    char *name;
    int rc;

    if (n == 0)
        return cli_usage_error(cli, "--set %s: need NAME=JSON", word);
    name = cli_alloc(n + 1, 1);
    memcpy(name, word, n);
    rc = azr_array_attribute_set(array, name, equals + 1, &err);
    free(name);
    if (rc == AZR_EINVAL)
        return cli_usage_error(cli,
                               "--set %s: %s (a string needs its quotes: "
                               "'k=\"text\"')",
                               word, err.message);
    return rc < 0 ? cli_fail_at(cli, rc, &err, path) : 0;
}

static int apply(struct cli *cli, azr_array *array, const char *path,
                 const struct wishes *w)
{
    azr_error err = AZR_ERROR_INIT;
    int32_t durability = 0;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < w->set.count; i++) {
        rc = set_one(cli, array, path, w->set.items[i]);
        cli->committed = cli->committed || rc == 0;
    }
    for (size_t i = 0; rc == 0 && i < w->deleted.count; i++) {
        rc = azr_array_attribute_set(array, w->deleted.items[i], NULL, &err);
        if (rc < 0)
            rc = cli_fail_at(cli, rc, &err, path);
        cli->committed = cli->committed || rc == 0;
    }
    if (rc != 0 || !w->durability)
        return rc;
    rc = durability_parse(cli, &durability, w->durability);
    if (rc != 0)
        return rc;
    rc = azr_array_set_durability(array, durability, &err);
    if (rc < 0)
        return cli_fail_at(cli, rc, &err, path);
    cli->committed = true;
    return 0;
}

static int show(struct cli *cli, azr_array *array, const char *path)
{
    azr_error err = AZR_ERROR_INIT;
    struct json j = json_begin(stdout);
    azr_array_info info;
    char *text = NULL;
    int rc = azr_array_attributes(array, &text, &err);

    if (rc < 0)
        return cli_fail_at(cli, rc, &err, path);
    rc = info_of(cli, &info, array, path);
    if (rc == 0 && cli->json) {
        json_open(&j, NULL, '{');
        json_text(&j, "path", path);
        json_text(&j, "durability",
                  info.durability == AZR_DURABILITY_POWER ? "power"
                                                          : "process");
        json_raw(&j, "attributes", text);
        json_close(&j, '}');
        json_end(&j);
    } else if (rc == 0) {
        printf("%s\n", text);
    }
    azr_free(text);
    return rc;
}

int cmd_attrs(struct cli *cli, int argc, char **argv)
{
    struct cli_list words = {NULL, 0};
    struct wishes w = {{NULL, 0}, {NULL, 0}, NULL};
    azr_array *array = NULL;
    int32_t unused;
    const struct cli_option options[] = {
        {CLI_MANY, 0, "set", &w.set, "K=JSON", "set an attribute"},
        {CLI_MANY, 0, "delete", &w.deleted, "K", "delete an attribute"},
        {CLI_TEXT, 0, "durability", &w.durability, "D", "process or power"},
        CLI_OPTION_END,
    };
    int rc;

    if (!cli_args(cli, &usage, options, argc, argv, &words, 1, 1))
        return cli->exit_code;
    if (w.durability && durability_parse(cli, &unused, w.durability) != 0)
        return CLI_USAGE;
    rc =
        cli_open(cli, &array, words.items[0], changes(&w) ? AZR_OPEN_WRITE : 0);
    if (rc == 0)
        rc = apply(cli, array, words.items[0], &w);
    if (rc == 0 && (cli->json || !changes(&w)))
        rc = show(cli, array, words.items[0]);
    azr_array_close(array);
    return rc;
}
