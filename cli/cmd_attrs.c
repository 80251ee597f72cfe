/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"
#include "nodes.h"
#include "region.h"
#include "session.h"

#include <stdlib.h>
#include <string.h>

static const struct cli_usage usage = {
    "attrs PATH [--set K=JSON]... [--delete K]... [--durability D]",
    "Show the attributes of an array or a group, or change them. Each change "
    "is a transaction of its\n"
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

/* Of an array or of a group: the other one is NULL. */
struct subject {
    const char *path;
    azr_array *array;
    azr_group *group;
};

static bool changes(const struct wishes *w)
{
    return w->set.count > 0 || w->deleted.count > 0 || w->durability;
}

static int set_attribute(struct cli *cli, const struct subject *s,
                         const char *name, const char *json, azr_error *err)
{
    return s->group ? azr_group_attribute_set(s->group, name, json, err)
                    : cli_set_attribute(cli, s->array, name, json, err);
}

static int set_one(struct cli *cli, const struct subject *s, const char *word)
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
    rc = set_attribute(cli, s, name, equals + 1, &err);
    free(name);
    if (rc == AZR_EINVAL)
        return cli_usage_error(cli,
                               "--set %s: %s (a string needs its quotes: "
                               "'k=\"text\"')",
                               word, err.message);
    return rc < 0 ? cli_fail_at(cli, rc, &err, s->path) : 0;
}

static int apply(struct cli *cli, const struct subject *s,
                 const struct wishes *w)
{
    azr_error err = AZR_ERROR_INIT;
    int32_t durability = 0;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < w->set.count; i++) {
        rc = set_one(cli, s, w->set.items[i]);
        cli->committed = cli->committed || rc == 0;
    }
    for (size_t i = 0; rc == 0 && i < w->deleted.count; i++) {
        rc = set_attribute(cli, s, w->deleted.items[i], NULL, &err);
        if (rc < 0)
            rc = cli_fail_at(cli, rc, &err, s->path);
        cli->committed = cli->committed || rc == 0;
    }
    if (rc != 0 || !w->durability)
        return rc;
    rc = durability_parse(cli, &durability, w->durability);
    if (rc != 0)
        return rc;
    rc = azr_array_set_durability(s->array, durability, &err);
    if (rc < 0)
        return cli_fail_at(cli, rc, &err, s->path);
    cli->committed = true;
    return 0;
}

static int show(struct cli *cli, const struct subject *s)
{
    azr_error err = AZR_ERROR_INIT;
    struct json j = json_begin(stdout);
    azr_array_info info;
    char *text = NULL;
    int rc = s->group ? azr_group_attributes(s->group, &text, &err)
                      : azr_array_attributes(s->array, &text, &err);

    if (rc < 0)
        return cli_fail_at(cli, rc, &err, s->path);
    if (s->array)
        rc = info_of(cli, &info, s->array, s->path);
    if (rc == 0 && cli->json) {
        json_open(&j, NULL, '{');
        json_text(&j, "path", s->path);
        if (s->array)
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

static int open_subject(struct cli *cli, struct subject *s,
                        const struct wishes *w)
{
    uint32_t flags = changes(w) ? AZR_OPEN_WRITE : 0;
    int kind = AZR_NODE_NONE;

    /* what cannot be read is told by who opens it */
    if (azr_node_at(&kind, NULL, s->path, NULL) < 0 || kind != AZR_NODE_GROUP)
        return cli_take(cli, &s->array, s->path, flags);
    if (w->durability)
        return cli_usage_error(
            cli, "--durability is of arrays, and '%s' is a group", s->path);
    if (cli->session)
        return cli_alone(cli, "a group");
    return cli_open_group(cli, &s->group, s->path, flags);
}

int cmd_attrs(struct cli *cli, int argc, char **argv)
{
    struct cli_list words = {NULL, 0};
    struct wishes w = {{NULL, 0}, {NULL, 0}, NULL};
    struct subject s = {NULL, NULL, NULL};
    int32_t unused;
    const struct cli_option options[] = {
        {CLI_MANY, 0, "set", &w.set, "K=JSON", "set an attribute"},
        {CLI_MANY, 0, "delete", &w.deleted, "K", "delete an attribute"},
        {CLI_TEXT, 0, "durability", &w.durability, "D", "process or power"},
        {CLI_FLAG, 0, "leave-stale", &cli->leave_stale, NULL,
         "consolidated metadata above stays as it is"},
        CLI_OPTION_END,
    };
    int rc;

    if (!cli_args(cli, &usage, options, argc, argv, &words, 1, 1))
        return cli->exit_code;
    if (w.durability && durability_parse(cli, &unused, w.durability) != 0)
        return CLI_USAGE;
    s.path = words.items[0];
    rc = w.durability || cli->json || !changes(&w)
             ? cli_alone(cli, "showing attributes, or durability,")
             : 0;
    if (rc == 0)
        rc = open_subject(cli, &s, &w);
    if (rc == 0)
        rc = apply(cli, &s, &w);
    if (rc == 0 && (cli->json || !changes(&w)))
        rc = show(cli, &s);
    cli_close(cli, s.array);
    azr_group_close(s.group);
    return rc;
}
