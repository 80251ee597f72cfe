/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "json.h"

static const struct cli_usage usage = {
    "version", "Version of this program and of the library it runs with.\n",
    NULL};

int cmd_version(struct cli *cli, int argc, char **argv)
{
    struct cli_list words = {NULL, 0};
    struct json j = json_begin(stdout);

    if (!cli_args(cli, &usage, NULL, argc, argv, &words, 0, 0))
        return cli->exit_code;
    if (!cli->json) {
        printf("azr %s (library %s)\n", AZR_VERSION, azr_version());
        return CLI_OK;
    }
    json_open(&j, NULL, '{');
    json_text(&j, "version", AZR_VERSION);
    json_text(&j, "library", azr_version());
    json_close(&j, '}');
    json_end(&j);
    return CLI_OK;
}
