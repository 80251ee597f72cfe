/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"
#include "progress.h"
#include "region.h"

#include <dirent.h>
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
    "are left alone. PATH is an array, or a directory with arrays in it.\n",
    "  azr recover x.zarr --dry-run\n"
    "  azr recover /data/experiment\n"};

struct totals {
    uint64_t arrays, failed;
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
    azr_open_options o =
        cli_open_options(job->cli, flags | AZR_OPEN_NO_RECOVERY);
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

static void take_array(struct job *job, const char *path)
{
    azr_error err = AZR_ERROR_INIT;
    azr_recovery r;
    int rc = recover_or_foresee(job, &r, path, &err);

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

static bool has(const char *dir, const char *name)
{
    char path[4096];
    struct stat st;

    return snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path &&
           stat(path, &st) == 0;
}

/* A group has a zarr.json too: the library knows. */
static bool is_array(const struct job *job, const char *dir)
{
    azr_open_options o = cli_open_options(job->cli, AZR_OPEN_NO_RECOVERY);
    azr_array *array = NULL;
    int rc;

    if (has(dir, ".zarray"))
        return true;
    if (!has(dir, "zarr.json"))
        return false;
    rc = azr_array_open(&array, dir, &o, NULL);
    azr_array_close(array);
    return rc != AZR_ENOTFOUND && rc != AZR_EUNSUPPORTED;
}

static int keep_entry(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool is_directory(const char *path, const struct dirent *entry)
{
    struct stat st;

    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Directories still to be seen, the next one last. */
struct todo {
    char **paths;
    size_t count, room;
};

static char *joined(const char *dir, const char *name)
{
    size_t size = strlen(dir) + strlen(name) + 2;
    char *path = cli_alloc(size, 1);

    (void)snprintf(path, size, "%s%s%s", dir, name[0] ? "/" : "", name);
    return path;
}

static void push(struct todo *t, char *path)
{
    if (t->count == t->room) {
        size_t room = t->room ? 2 * t->room : 64;
        char **paths = cli_alloc(room, sizeof *paths);

        if (t->count > 0)
            memcpy(paths, t->paths, t->count * sizeof *paths);
        free(t->paths);
        t->paths = paths;
        t->room = room;
    }
    t->paths[t->count++] = path;
}

/* Links are not followed, so the walk ends. */
static void push_entries(struct job *job, struct todo *t, const char *dir)
{
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, keep_entry, alphasort);

    if (n < 0) {
        keep_worst(job, cli_error(quiet_json(job), CLI_IO, "%s: %s", dir,
                                  cli_errno_text(errno)));
        return;
    }
    while (n-- > 0) {
        char *path = joined(dir, entries[n]->d_name);

        if (is_directory(path, entries[n]))
            push(t, path);
        else
            free(path);
        free(entries[n]);
    }
    free(entries);
}

static void take_tree(struct job *job, const char *top)
{
    struct todo t = {NULL, 0, 0};

    push(&t, joined(top, ""));
    while (t.count > 0) {
        char *path = t.paths[--t.count];

        if (cli_signal)
            ; /* only free the rest */
        else if (is_array(job, path))
            take_array(job, path);
        else
            push_entries(job, &t, path);
        free(path);
    }
    free(t.paths);
}

static void report(struct job *job, const char *path, const char *list)
{
    struct json j = json_begin(stdout);
    const struct totals *t = &job->totals;

    if (!job->cli->json) {
        if (t->arrays + t->failed > 1)
            print_counts(job, "together", &t->sum);
        return;
    }
    json_open(&j, NULL, '{');
    json_text(&j, "path", path);
    json_bool(&j, "dry_run", job->dry_run != 0);
    json_raw(&j, "arrays", list);
    json_uint(&j, "failed", t->failed);
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

    job->list = open_memstream(&list, &size);
    if (!job->list)
        return cli_error(job->cli, CLI_IO, "out of memory");
    job->json = json_begin(job->list);
    json_open(&job->json, NULL, '[');
    take_tree(job, path);
    json_close(&job->json, ']');
    if (fclose(job->list) != 0)
        return cli_error(job->cli, CLI_IO, "out of memory");
    if (cli_signal)
        job->exit_code = cli_interrupted(job->cli);
    else if (job->totals.arrays + job->totals.failed == 0 &&
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
