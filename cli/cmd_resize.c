/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"
#include "region.h"
#include "session.h"

static const struct cli_usage usage = {
    "resize PATH N,N [--force]",
    "Change the shape, as one transaction. What is new reads as the fill "
    "value.\n"
    "Shrinking deletes elements for good and therefore needs --force.\n",
    "  azr resize x.zarr 20,30\n"
    "  azr resize x.zarr 10,30 --force\n"};

static int check(struct cli *cli, const azr_array_info *info,
                 const int64_t *shape, int rank, int force)
{
    char have[AZR_MAX_RANK * 24];
    bool shrinks = false;

    shape_text(have, sizeof have, info->shape, info->rank);
    if (rank != info->rank)
        return cli_usage_error(cli, "%d dimensions given, the array has %.300s",
                               rank, have);
    for (int d = 0; d < rank; d++)
        shrinks = shrinks || shape[d] < info->shape[d];
    if (shrinks && !force)
        return cli_usage_error(cli,
                               "that is smaller than %.300s and would "
                               "delete elements: say --force",
                               have);
    return 0;
}

int cmd_resize(struct cli *cli, int argc, char **argv)
{
    azr_error err = AZR_ERROR_INIT;
    struct cli_list words = {NULL, 0};
    struct json j = json_begin(stdout);
    azr_array *array = NULL;
    azr_array_info info;
    int64_t shape[AZR_MAX_RANK];
    int force = 0, rank, rc;
    const struct cli_option options[] = {
        {CLI_FLAG, 0, "force", &force, NULL, "delete what lies outside"},
        {CLI_FLAG, 0, "leave-stale", &cli->leave_stale, NULL,
         "consolidated metadata above stays as it is"},
        CLI_OPTION_END,
    };

    if (!cli_args(cli, &usage, options, argc, argv, &words, 2, 2))
        return cli->exit_code;
    rank = shape_parse(shape, words.items[1]);
    if (rank < 0)
        return cli_usage_error(cli, "%s is no shape: need numbers, as 20,30",
                               words.items[1]);
    rc = cli_take(cli, &array, words.items[0], AZR_OPEN_WRITE);
    if (rc == 0)
        rc = info_of(cli, &info, array, words.items[0]);
    if (rc == 0)
        rc = check(cli, &info, shape, rank, force);
    if (rc != 0)
        goto done;
    rc = cli_resize(cli, array, rank, shape, &err);
    if (rc < 0) {
        rc = cli_fail_at(cli, rc, &err, words.items[0]);
        goto done;
    }
    cli->committed = true;
    if (cli->json) {
        json_open(&j, NULL, '{');
        json_text(&j, "path", words.items[0]);
        json_ints(&j, "shape", shape, rank);
        json_close(&j, '}');
        json_end(&j);
    }
done:
    cli_close(cli, array);
    return rc;
}
