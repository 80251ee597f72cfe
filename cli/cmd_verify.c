/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

int cmd_verify(struct cli *cli, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return cli_error(cli, CLI_UNSUPPORTED, "verify: not yet written");
}
