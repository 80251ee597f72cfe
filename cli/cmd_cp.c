/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"
#include "progress.h"
#include "region.h"

#include <inttypes.h>

static const struct cli_usage usage = {
    "cp SRC DST",
    "Copy the array or group SRC, with all that is below it, to DST, which "
    "must "
    "not\n"
    "exist. The copy is SRC at one instant, taken beside writers at full "
    "speed; "
    "it\n"
    "appears whole or not at all. Documents and stored chunks are copied byte "
    "for\n"
    "byte, shared where the file system can. Of a group with more than 64 "
    "arrays\n"
    "each array is taken at an instant of its own, which is said.\n",
    "  azr cp x.zarr y.zarr\n"
    "  azr cp /data/experiment /backup/experiment-2026-11-23\n"};

static int show(uint64_t done, uint64_t total, void *arg)
{
    progress_show(arg, done, total);
    return 0;
}

static void report(struct cli *cli, const char *from, const char *to,
                   const azr_copied *copied)
{
    struct json j = json_begin(stdout);

    if (!cli->json) {
        if (!copied->one_instant)
            cli_note(cli,
                     "%" PRIu64 " arrays: each is of an instant of its own",
                     copied->arrays);
        return;
    }
    json_open(&j, NULL, '{');
    json_text(&j, "from", from);
    json_text(&j, "to", to);
    json_uint(&j, "arrays", copied->arrays);
    json_uint(&j, "groups", copied->groups);
    json_uint(&j, "chunks", copied->chunks);
    json_uint(&j, "bytes", copied->nbytes);
    json_bool(&j, "one_instant", copied->one_instant != 0);
    json_close(&j, '}');
    json_end(&j);
}

int cmd_cp(struct cli *cli, int argc, char **argv)
{
    struct progress progress;
    azr_copied copied = {.struct_size = (uint32_t)sizeof copied};
    azr_copy_options o = AZR_COPY_OPTIONS_INIT;
    const struct cli_option options[] = {
        {CLI_FLAG, 0, "leave-stale", &cli->leave_stale, NULL,
         "consolidated metadata above stays as it is"},
        CLI_OPTION_END,
    };
    struct cli_list words = {NULL, 0};
    azr_error err = AZR_ERROR_INIT;
    int rc;

    if (!cli_args(cli, &usage, options, argc, argv, &words, 2, 2))
        return cli->exit_code;
    progress = progress_begin(cli, "cp", "chunks");
    o.timeout_ms = cli->timeout_ms;
    o.cancel = cli->cancel;
    if (cli->leave_stale)
        o.flags |= AZR_COPY_LEAVE_STALE;
    o.progress = show;
    o.arg = &progress;
    rc = azr_copy(words.items[0], words.items[1], &o, &copied, &err);
    progress_end(&progress);
    if (rc < 0)
        return cli_fail(cli, rc, &err, NULL);
    cli->committed = true;
    report(cli, words.items[0], words.items[1], &copied);
    return CLI_OK;
}
