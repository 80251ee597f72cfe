/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

int cmd_cat(struct cli *cli, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return cli_error(cli, CLI_UNSUPPORTED, "cat: not yet written");
}
