/* SPDX-License-Identifier: Apache-2.0 */
#include "elem.h"
#include "input.h"
#include "json.h"
#include "region.h"
#include "session.h"

#include <string.h>

static const struct cli_usage usage = {
    "write 'PATH[SELECTION]' [--value V | --npy FILE | --raw FILE]",
    "Write a selection as one transaction: readers see all of it or none, and "
    "a\n"
    "killed write leaves the old values. Without a selection: the whole "
    "array.\n"
    "Without an option a .npy file is read from standard input.\n\n"
    "The data type of a .npy file must be that of the array (byte order and C "
    "or\n"
    "Fortran order may differ), its shape that of the selection. A raw file "
    "holds\n"
    "the elements in C order and the machine's byte order, nothing else.\n",
    "  azr write 'x.zarr[2:6]' --value 8\n"
    "  azr write 'x.zarr[0, ::2]' --npy row.npy\n"
    "  make-a-day | azr write 'x.zarr[0:24]'\n"};

struct job {
    struct target target;
    struct region region;
    const char *value, *npy, *raw;
    unsigned char element[ELEM_NBYTES_MAX];
    struct input in;
};

/* The same, but for dimensions that an integer of the selection dropped. */
static bool same_shape(const struct npy *npy, const struct region *r)
{
    if (npy->rank == r->rank &&
        memcmp(npy->shape, r->shape, sizeof npy->shape[0] * (size_t)r->rank) ==
            0)
        return true;
    return npy->rank == r->box_rank &&
           memcmp(npy->shape, r->box.count,
                  sizeof npy->shape[0] * (size_t)r->box_rank) == 0;
}

static int check_npy(struct cli *cli, const struct job *job,
                     const azr_array_info *info)
{
    const struct npy *npy = &job->in.npy;
    char have[AZR_MAX_RANK * 24], need[AZR_MAX_RANK * 24];

    if (npy->dtype != info->dtype)
        return cli_error(cli, CLI_USAGE,
                         "%s: holds %s, '%s' holds %s: nothing written",
                         job->in.name, azr_dtype_name(npy->dtype),
                         job->target.path, azr_dtype_name(info->dtype));
    if (same_shape(npy, &job->region))
        return 0;
    shape_text(have, sizeof have, npy->shape, npy->rank);
    shape_text(need, sizeof need, job->region.shape, job->region.rank);
    return cli_error(cli, CLI_USAGE,
                     "%s: has shape %.200s, %zu bytes; the selection has "
                     "%.200s, %zu bytes: nothing written",
                     job->in.name, have, npy->nbytes, need, job->region.nbytes);
}

static int take_input(struct cli *cli, struct job *job,
                      const azr_array_info *info)
{
    const char *file = job->raw ? job->raw : job->npy ? job->npy : "-";
    char why[200];
    int rc;

    if (job->value) {
        if (elem_parse(job->element, info->dtype, job->value, why, sizeof why))
            return 0;
        return cli_usage_error(cli, "--value: %s: nothing written", why);
    }
    rc = input_open(cli, &job->in, file, job->raw != NULL);
    if (rc != 0)
        return rc;
    if (job->raw) {
        job->in.npy.dtype = info->dtype;
        job->in.npy.count = job->region.count;
        job->in.npy.nbytes = job->region.nbytes;
    } else {
        rc = check_npy(cli, job, info);
    }
    return rc == 0 ? input_take(cli, &job->in) : rc;
}

static int store(struct cli *cli, struct job *job, azr_array *array,
                 const azr_array_info *info)
{
    azr_error err = AZR_ERROR_INIT;
    int rc = AZR_OK;

    if (cli_signal)
        return cli_interrupted(cli);
    if (job->region.count == 0)
        return 0;
    if (job->value)
        rc = cli_fill(cli, array, &job->region.box, job->element,
                      azr_dtype_nbytes(info->dtype), &err);
    else
        rc = cli_write(cli, array, &job->region.box, job->in.data,
                       job->region.nbytes, &err);
    if (rc < 0)
        return cli_fail_at(cli, rc, &err, job->target.path);
    cli->committed = true;
    return 0;
}

static void report(const struct cli *cli, const struct job *job)
{
    struct json j = json_begin(stdout);

    if (!cli->json)
        return;
    json_open(&j, NULL, '{');
    json_text(&j, "path", job->target.path);
    json_ints(&j, "shape", job->region.shape, job->region.rank);
    json_uint(&j, "elements", job->region.count);
    json_uint(&j, "nbytes", job->region.nbytes);
    json_close(&j, '}');
    json_end(&j);
}

int cmd_write(struct cli *cli, int argc, char **argv)
{
    struct cli_list words = {NULL, 0}, dims = {NULL, 0};
    azr_array *array = NULL;
    azr_array_info info;
    struct job job = {.in = INPUT_INIT};
    const struct cli_option options[] = {
        {CLI_TEXT, 'v', "value", &job.value, "V",
         "this value in every element; nan and inf too"},
        {CLI_TEXT, 0, "npy", &job.npy, "FILE", "a .npy file, - is stdin"},
        {CLI_TEXT, 0, "raw", &job.raw, "FILE", "bare elements, - is stdin"},
        {CLI_MANY, 'd', "dim", &dims, "NAME=SLICE",
         "select along a dimension by its name"},
        CLI_OPTION_END,
    };
    int rc;

    if (!cli_args(cli, &usage, options, argc, argv, &words, 1, 2))
        return cli->exit_code;
    if (!!job.value + !!job.npy + !!job.raw > 1)
        return cli_usage_error(cli, "one of --value, --npy and --raw");
    job.target = target_of(cli, &words);
    rc = cli_take(cli, &array, job.target.path, AZR_OPEN_WRITE);
    if (rc == 0)
        rc = target_by_names(cli, &job.target, array, &dims);
    if (rc == 0)
        rc = info_of(cli, &info, array, job.target.path);
    if (rc == 0)
        rc = region_resolve(cli, &job.region, &info, &job.target);
    if (rc == 0)
        rc = take_input(cli, &job, &info);
    if (rc == 0)
        rc = store(cli, &job, array, &info);
    if (rc == 0)
        report(cli, &job);
    input_dispose(&job.in);
    cli_close(cli, array);
    return rc;
}
