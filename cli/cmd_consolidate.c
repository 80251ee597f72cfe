/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"
#include "nodes.h"

static const struct cli_usage usage = {
    "consolidate PATH",
    "Write the metadata of all nodes below the group PATH into one document,\n"
    "which zarr-python and xarray read first: .zmetadata, or in Zarr format 3\n"
    "the group's zarr.json. It is a copy: what azr (and the library) changes\n"
    "below keeps it true, other programs make it stale, which azr tree and\n"
    "azr verify tell, until this is run again.\n",
    "  azr consolidate x.zarr\n"
    "  azr verify x.zarr --json | jq '.findings[] | select(.kind == "
    "\"stale\")'\n"};

int cmd_consolidate(struct cli *cli, int argc, char **argv)
{
    struct cli_list words = {NULL, 0};
    azr_error err = AZR_ERROR_INIT;
    struct json j = json_begin(stdout);
    azr_group *group = NULL;
    int rc;

    if (!cli_args(cli, &usage, NULL, argc, argv, &words, 1, 1))
        return cli->exit_code;
    rc = cli_open_group(cli, &group, words.items[0], AZR_OPEN_WRITE);
    if (rc != 0)
        return rc;
    rc = azr_group_consolidate(group, &err);
    azr_group_close(group);
    if (rc < 0)
        return cli_fail_at(cli, rc, &err, words.items[0]);
    cli->committed = true;
    if (cli->json) {
        json_open(&j, NULL, '{');
        json_text(&j, "path", words.items[0]);
        json_bool(&j, "consolidated", true);
        json_close(&j, '}');
        json_end(&j);
    }
    return CLI_OK;
}
