/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"
#include "nodes.h"
#include "progress.h"
#include "region.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct cli_usage usage = {
    "recover PATH [--dry-run]",
    "Finish what dead writers left, as the next writer would do anyway: what "
    "was\n"
    "committed is rolled forward, the rest is cleared. Transactions of the "
    "living\n"
    "are left alone. PATH is an array, or a group or directory with arrays "
    "below it.\n",
    "  azr recover x.zarr --dry-run\n"
    "  azr recover /data/experiment\n"};

struct totals {
    uint64_t arrays, failed, collected;
    azr_recovery sum;
};

struct job {
    struct cli *cli;
    struct cli aside; /* says errors as text alone */
    struct progress progress;
    struct totals totals;
    int dry_run, exit_code;
    FILE *list; /* JSON of the arrays */
    struct json json;
};

/* ----------------------------------------------------------- one array --- */

static int foresee(const azr_row_info *row, void *arg)
{
    azr_recovery *r = arg;

    if (row->alive)
        r->busy++;
    else if (row->state == AZR_ROW_SEALED || row->state == AZR_ROW_COMMITTED)
        r->finished++;
    else
        r->cleared++;
    return 0;
}

static int recover_or_foresee(struct job *job, azr_recovery *out,
                              const char *path, azr_error *err)
{
    uint32_t flags = job->dry_run ? 0 : AZR_OPEN_WRITE;
    azr_open_options o = cli_open_options(
        job->cli, flags | AZR_OPEN_NO_RECOVERY | AZR_OPEN_OPAQUE);
    azr_array *array = NULL;
    int rc = azr_array_open(&array, path, &o, err);

    memset(out, 0, sizeof *out);
    out->struct_size = (uint32_t)sizeof *out;
    if (rc == AZR_OK && job->dry_run)
        rc = azr_array_status(array, foresee, out, err);
    else if (rc == AZR_OK)
        rc = azr_array_recover(array, out, err);
    azr_array_close(array);
    return rc;
}

static void add(struct totals *t, const azr_recovery *r)
{
    t->arrays++;
    t->sum.finished += r->finished;
    t->sum.cleared += r->cleared;
    t->sum.busy += r->busy;
    t->sum.rubbish += r->rubbish;
    t->sum.lost += r->lost;
    t->sum.rebuilt += r->rebuilt;
}

static void json_counts(struct json *j, const azr_recovery *r)
{
    json_uint(j, "finished", r->finished);
    json_uint(j, "cleared", r->cleared);
    json_uint(j, "busy", r->busy);
    json_uint(j, "rubbish", r->rubbish);
    json_uint(j, "lost", r->lost);
    json_uint(j, "rebuilt", r->rebuilt);
}

static void print_counts(const struct job *job, const char *path,
                         const azr_recovery *r)
{
    cli_put(stdout, path);
    printf(": %s%" PRIu32 " rolled forward, %" PRIu32 " rolled back, "
           "%" PRIu32 " of the living left alone",
           job->dry_run ? "would be: " : "", r->finished, r->cleared, r->busy);
    if (r->rubbish)
        printf(", %" PRIu32 " staged objects removed", r->rubbish);
    if (r->lost)
        printf(", %" PRIu32 " files moved to .azr/lost", r->lost);
    if (r->rebuilt)
        printf(", state built anew");
    printf("\n");
}

/* The others may still be helped: the largest code is that of the command, and
 * with --json there is one document, at the end. */
static void keep_worst(struct job *job, int code)
{
    if (code > job->exit_code)
        job->exit_code = code;
}

static struct cli *quiet_json(struct job *job)
{
    job->aside = *job->cli;
    job->aside.json = 0;
    return &job->aside;
}

static bool has_protocol(const char *path)
{
    char inside[4096];
    struct stat st;

    return snprintf(inside, sizeof inside, "%s/.azr", path) >=
               (int)sizeof inside ||
           stat(inside, &st) == 0 || errno != ENOENT;
}

/* In a tree, arrays that never met us are left as they are: there is nothing to
 * finish, and no `.azr` to be made. */
static int recover_node(struct job *job, azr_recovery *out,
                        const struct node *n, azr_error *err)
{
    if (n->depth == 0 || has_protocol(n->path))
        return recover_or_foresee(job, out, n->path, err);
    memset(out, 0, sizeof *out);
    return AZR_OK;
}

static void take_array(struct job *job, const struct node *n)
{
    const char *path = n->path;
    azr_error err = AZR_ERROR_INIT;
    azr_recovery r;
    int rc = recover_node(job, &r, n, &err);

    progress_end(&job->progress);
    if (rc < 0) {
        keep_worst(job, cli_fail_at(quiet_json(job), rc, &err, path));
        job->totals.failed++;
    } else {
        add(&job->totals, &r);
        if (!job->cli->json)
            print_counts(job, path, &r);
    }
    if (job->cli->json) {
        json_open(&job->json, NULL, '{');
        json_text(&job->json, "path", path);
        if (rc < 0)
            json_text(&job->json, "error", err.message);
        else
            json_counts(&job->json, &r);
        json_close(&job->json, '}');
    }
}

/* --------------------------------------------------------------- a tree --- */

static void take_broken(struct job *job, const struct node *n)
{
    azr_error err = AZR_ERROR_INIT;

    (void)snprintf(err.message, sizeof err.message, "%s", n->text);
    progress_end(&job->progress);
    keep_worst(job, cli_fail_at(quiet_json(job), n->status, &err, n->path));
    job->totals.failed++;
    if (job->cli->json) {
        json_open(&job->json, NULL, '{');
        json_text(&job->json, "path", n->path);
        json_text(&job->json, "error", n->text);
        json_close(&job->json, '}');
    }
}

/* What was left by who died while removing or replacing something there. */
static void collect(struct job *job, const char *directory)
{
    azr_tree_options o = AZR_TREE_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    uint64_t removed = 0;
    int rc;

    if (job->dry_run)
        return;
    o.timeout_ms = job->cli->timeout_ms;
    o.cancel = job->cli->cancel;
    rc = azr_collect(directory, &removed, &o, &err);
    if (rc < 0)
        keep_worst(job, cli_fail_at(quiet_json(job), rc, &err, directory));
    job->totals.collected += removed;
}

static int take_tree(struct job *job, const char *top)
{
    struct nodes nodes;
    int rc = nodes_at(job->cli, &nodes, top, 0);

    for (size_t i = 0; rc == 0 && i < nodes.count && !cli_signal; i++) {
        const struct node *n = &nodes.items[i];

        if (n->kind == AZR_NODE_ARRAY)
            take_array(job, n);
        else if (n->kind == AZR_NODE_NONE)
            take_broken(job, n);
        else
            collect(job, n->path);
        progress_show(&job->progress, i + 1, nodes.count);
    }
    nodes_free(&nodes);
    return rc;
}

static void report(struct job *job, const char *path, const char *list)
{
    struct json j = json_begin(stdout);
    const struct totals *t = &job->totals;

    if (!job->cli->json) {
        if (t->arrays + t->failed > 1)
            print_counts(job, "together", &t->sum);
        if (t->collected)
            printf("%" PRIu64 " things of which the removal was cut short: "
                   "removed\n",
                   t->collected);
        return;
    }
    json_open(&j, NULL, '{');
    json_text(&j, "path", path);
    json_bool(&j, "dry_run", job->dry_run != 0);
    json_raw(&j, "arrays", list);
    json_uint(&j, "failed", t->failed);
    json_uint(&j, "collected", t->collected);
    json_open(&j, "total", '{');
    json_counts(&j, &t->sum);
    json_close(&j, '}');
    json_close(&j, '}');
    json_end(&j);
}

static int recover(struct job *job, const char *path)
{
    char *list = NULL;
    size_t size = 0;
    int rc;

    job->list = open_memstream(&list, &size);
    if (!job->list)
        return cli_error(job->cli, CLI_IO, "out of memory");
    job->json = json_begin(job->list);
    json_open(&job->json, NULL, '[');
    rc = take_tree(job, path);
    json_close(&job->json, ']');
    if (fclose(job->list) != 0)
        return cli_error(job->cli, CLI_IO, "out of memory");
    if (rc != 0)
        job->exit_code = rc;
    else if (cli_signal)
        job->exit_code = cli_interrupted(job->cli);
    else if (job->totals.arrays + job->totals.failed + job->totals.collected ==
                 0 &&
             job->exit_code == 0)
        job->exit_code = cli_error(job->cli, CLI_PRESENCE,
                                   "no Zarr array at or below '%s'", path);
    else
        report(job, path, list);
    free(list);
    return job->exit_code;
}

int cmd_recover(struct cli *cli, int argc, char **argv)
{
    struct cli_list words = {NULL, 0};
    struct job job;
    struct stat st;
    const struct cli_option options[] = {
        {CLI_FLAG, 'n', "dry-run", &job.dry_run, NULL,
         "say what would be done"},
        CLI_OPTION_END,
    };

    memset(&job, 0, sizeof job);
    if (!cli_args(cli, &usage, options, argc, argv, &words, 1, 1))
        return cli->exit_code;
    if (stat(words.items[0], &st) != 0)
        return cli_error(cli, errno == ENOENT ? CLI_PRESENCE : CLI_IO, "%s: %s",
                         words.items[0], cli_errno_text(errno));
    job.cli = cli;
    job.progress = progress_begin(cli, "recover", "arrays");
    return recover(&job, words.items[0]);
}
