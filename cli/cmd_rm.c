/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"
#include "nodes.h"
#include "progress.h"

#include <string.h>
#include <sys/resource.h>

static const struct cli_usage usage = {
    "rm PATH [-r] [--force] [--dry-run]",
    "Remove the array or group at PATH, in one step: whoever opens it finds "
    "all "
    "of\n"
    "it or nothing, and who has it open is told so. Writers at work are waited "
    "for.\n"
    "A group with something below it needs -r. A directory that is no array "
    "or\n"
    "group is left alone, unless --force is given. Links are not followed.\n",
    "  azr rm x.zarr\n"
    "  azr rm -r --dry-run experiment.zarr\n"};

/* Every array below takes three descriptors: all that we may have. */
static void raise_limit(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
}

static int show(uint64_t done, uint64_t total, void *arg)
{
    progress_show(arg, done, total);
    return cli_signal != 0;
}

/* What the library would say of it. */
static int refuse(struct cli *cli, const struct nodes *nodes, uint32_t flags)
{
    const struct node *top = &nodes->items[0];

    if (!(flags & AZR_TREE_FORCE) && top->kind == AZR_NODE_DIRECTORY)
        return cli_usage_error(cli, "'%s' is no Zarr array or group",
                               top->path);
    if (!(flags & (AZR_TREE_FORCE | AZR_TREE_RECURSIVE)) && nodes->count > 1)
        return cli_usage_error(cli,
                               "'%s' is a group with something below it: say "
                               "-r to remove all of it",
                               top->path);
    return 0;
}

static int foresee(struct cli *cli, const char *path, uint32_t flags)
{
    struct json j = json_begin(stdout);
    struct nodes nodes;
    int rc = nodes_at(cli, &nodes, path, 0);

    if (rc == 0)
        rc = refuse(cli, &nodes, flags);
    if (rc == 0 && cli->json) {
        json_open(&j, NULL, '{');
        json_text(&j, "path", path);
        json_bool(&j, "dry_run", true);
        json_open(&j, "nodes", '[');
    }
    for (size_t i = 0; rc == 0 && i < nodes.count; i++) {
        const struct node *n = &nodes.items[i];

        if (cli->json) {
            json_open(&j, NULL, '{');
            json_text(&j, "path", n->path);
            json_text(&j, "kind", node_kind_name(n->kind));
            json_close(&j, '}');
        } else {
            printf("would remove %s ", node_kind_name(n->kind));
            cli_put(stdout, n->path);
            printf("\n");
        }
    }
    if (rc == 0 && cli->json) {
        json_close(&j, ']');
        json_close(&j, '}');
        json_end(&j);
    }
    nodes_free(&nodes);
    return rc;
}

static int remove_it(struct cli *cli, const char *path, uint32_t flags)
{
    struct progress progress = progress_begin(cli, "remove", "files");
    azr_tree_options o = AZR_TREE_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    struct json j = json_begin(stdout);
    int rc;

    o.flags = flags;
    o.timeout_ms = cli->timeout_ms;
    o.cancel = cli->cancel;
    o.progress = show;
    o.arg = &progress;
    raise_limit();
    rc = azr_remove(path, &o, &err);
    progress_end(&progress);
    if (rc == AZR_EINVAL && !(flags & AZR_TREE_RECURSIVE) &&
        strstr(err.message, "something below it"))
        return cli_usage_error(cli, "%s: say -r to remove all of it",
                               err.message);
    if (rc == AZR_EINVAL && !(flags & AZR_TREE_FORCE))
        return cli_usage_error(cli, "%s", err.message);
    if (rc < 0)
        return cli_fail_at(cli, rc, &err, path);
    cli->committed = true;
    if (cli->json) {
        json_open(&j, NULL, '{');
        json_text(&j, "path", path);
        json_bool(&j, "removed", true);
        json_close(&j, '}');
        json_end(&j);
    }
    return cli_interrupted(cli);
}

int cmd_rm(struct cli *cli, int argc, char **argv)
{
    struct cli_list words = {NULL, 0};
    int recursive = 0, force = 0, dry_run = 0;
    const struct cli_option options[] = {
        {CLI_FLAG, 'r', "recursive", &recursive, NULL,
         "a group with all that is below it"},
        {CLI_FLAG, 0, "force", &force, NULL, "whatever directory it is"},
        {CLI_FLAG, 'n', "dry-run", &dry_run, NULL, "say what would be removed"},
        {CLI_FLAG, 0, "leave-stale", &cli->leave_stale, NULL,
         "consolidated metadata above stays as it is"},
        CLI_OPTION_END,
    };
    uint32_t flags = 0;

    if (!cli_args(cli, &usage, options, argc, argv, &words, 1, 1))
        return cli->exit_code;
    if (recursive)
        flags |= AZR_TREE_RECURSIVE;
    if (force)
        flags |= AZR_TREE_FORCE;
    if (cli->leave_stale)
        flags |= AZR_TREE_LEAVE_STALE;
    if (dry_run)
        return foresee(cli, words.items[0], flags);
    return remove_it(cli, words.items[0], flags);
}
