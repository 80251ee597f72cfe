/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "json.h"

#include <sys/resource.h>

static const struct cli_usage usage = {
    "mv FROM TO",
    "Give the array or group FROM the path TO, where nothing may be, in one "
    "step.\n"
    "Who has it open goes on working on it. Writers at work are waited for. TO "
    "is\n"
    "the whole new path, on the same file system.\n",
    "  azr mv run.zarr/raw run.zarr/archive/raw-7\n"};

int cmd_mv(struct cli *cli, int argc, char **argv)
{
    azr_tree_options o = AZR_TREE_OPTIONS_INIT;
    struct cli_list words = {NULL, 0};
    azr_error err = AZR_ERROR_INIT;
    struct json j = json_begin(stdout);
    struct rlimit r;
    const struct cli_option options[] = {
        {CLI_FLAG, 0, "leave-stale", &cli->leave_stale, NULL,
         "consolidated metadata above stays as it is"},
        CLI_OPTION_END,
    };
    int rc;

    if (!cli_args(cli, &usage, options, argc, argv, &words, 2, 2))
        return cli->exit_code;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max; /* every array below takes three */
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
    o.timeout_ms = cli->timeout_ms;
    o.cancel = cli->cancel;
    if (cli->leave_stale)
        o.flags |= AZR_TREE_LEAVE_STALE;
    rc = azr_move(words.items[0], words.items[1], &o, &err);
    if (rc == AZR_EINVAL)
        return cli_usage_error(cli, "%s", err.message);
    if (rc < 0)
        return cli_fail_at(cli, rc, &err, words.items[0]);
    cli->committed = true;
    if (cli->json) {
        json_open(&j, NULL, '{');
        json_text(&j, "from", words.items[0]);
        json_text(&j, "to", words.items[1]);
        json_close(&j, '}');
        json_end(&j);
    }
    return CLI_OK;
}
