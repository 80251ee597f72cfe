/* SPDX-License-Identifier: Apache-2.0 */
#include "input.h"
#include "json.h"
#include "region.h"
#include "session.h"

#include <inttypes.h>

static const struct cli_usage usage = {
    "append PATH [--axis N] [--npy FILE]",
    "Grow a dimension and write into the new part, as one transaction, safe "
    "from\n"
    "any number of processes. Prints the offset: where the elements landed.\n"
    "The .npy file has the array's data type, and its shape but along the "
    "axis.\n",
    "  azr append t.zarr --npy day.npy\n"
    "  make-a-day | azr append t.zarr --json\n"};

static int check(struct cli *cli, const struct input *in,
                 const azr_array_info *info, int axis, const char *path)
{
    const struct npy *npy = &in->npy;
    char have[AZR_MAX_RANK * 24], need[AZR_MAX_RANK * 24];
    bool same = npy->rank == info->rank;

    if (axis >= info->rank)
        return cli_usage_error(cli, "--axis %d: '%s' has %d dimensions", axis,
                               path, info->rank);
    if (npy->dtype != info->dtype)
        return cli_error(cli, CLI_USAGE,
                         "%s: holds %s, '%s' holds %s: nothing written",
                         in->name, azr_dtype_name(npy->dtype), path,
                         azr_dtype_name(info->dtype));
    for (int d = 0; same && d < info->rank; d++)
        same = d == axis || npy->shape[d] == info->shape[d];
    if (same)
        return 0;
    shape_text(have, sizeof have, npy->shape, npy->rank);
    shape_text(need, sizeof need, info->shape, info->rank);
    return cli_error(cli, CLI_USAGE,
                     "%s: has shape %.200s, '%s' has %.200s: they must agree "
                     "but along axis %d: nothing written",
                     in->name, have, path, need, axis);
}

static void report(const struct cli *cli, const char *path, int axis,
                   int64_t offset, int64_t length)
{
    struct json j = json_begin(stdout);

    if (!cli->json) {
        printf("%" PRId64 "\n", offset);
        return;
    }
    json_open(&j, NULL, '{');
    json_text(&j, "path", path);
    json_int(&j, "axis", axis);
    json_int(&j, "offset", offset);
    json_int(&j, "length", length);
    json_close(&j, '}');
    json_end(&j);
}

static int append(struct cli *cli, azr_array *array, const char *path, int axis,
                  const char *file)
{
    azr_error err = AZR_ERROR_INIT;
    struct input in = INPUT_INIT;
    azr_array_info info;
    int64_t offset = 0;
    int rc = info_of(cli, &info, array, path);

    if (rc == 0)
        rc = input_open(cli, &in, file, false);
    if (rc == 0)
        rc = check(cli, &in, &info, axis, path);
    if (rc == 0)
        rc = input_take(cli, &in);
    if (rc == 0 && cli_signal)
        rc = cli_interrupted(cli);
    if (rc != 0)
        goto done;
    rc = cli_append(cli, array, axis, in.npy.shape[axis], in.data,
                    in.npy.nbytes, &offset, &err);
    if (rc < 0) {
        rc = cli_fail_at(cli, rc, &err, path);
        goto done;
    }
    cli->committed = true;
    report(cli, path, axis, offset, in.npy.shape[axis]);
done:
    input_dispose(&in);
    return rc;
}

int cmd_append(struct cli *cli, int argc, char **argv)
{
    struct cli_list words = {NULL, 0};
    azr_array *array = NULL;
    const char *file = "-";
    int axis = 0;
    const struct cli_option options[] = {
        {CLI_NUMBER, 0, "axis", &axis, "N", "the dimension that grows (0)"},
        {CLI_TEXT, 0, "npy", &file, "FILE", "a .npy file (-, stdin)"},
        {CLI_FLAG, 0, "leave-stale", &cli->leave_stale, NULL,
         "consolidated metadata above stays as it is"},
        CLI_OPTION_END,
    };
    int rc;

    if (!cli_args(cli, &usage, options, argc, argv, &words, 1, 1))
        return cli->exit_code;
    rc = cli_take(cli, &array, words.items[0], AZR_OPEN_WRITE);
    if (rc == 0)
        rc = append(cli, array, words.items[0], axis, file);
    cli_close(cli, array);
    return rc;
}
