/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TRIES 100 /* reads that a resize disturbed */

static const struct cli_usage usage = {
    "cat 'PATH[SELECTION]' [--format F] [-o FILE]",
    "Read a selection, as one snapshot: all or nothing of any transaction. "
    "The\n"
    "selection is NumPy's: integers, start:stop:step, negative from the end, "
    "and\n"
    "\"...\". Without one: the whole array. Format text writes a line for "
    "each\n"
    "run of the last dimension; csv, npy, raw (bare elements) and json are "
    "for\n"
    "programs. The elements are held in memory, up to --memory.\n",
    "  azr cat 'x.zarr[2:6, ::2]'\n"
    "  azr cat x.zarr '-1, ...' --format csv\n"
    "  azr cat t.zarr --dim time=-1 --dim lat=0:10\n"
    "  azr cat x.zarr -o all.npy\n"};

/* ------------------------------------------------------ reading, watched --- */

struct watch {
    struct progress progress;
    uint64_t before, total; /* chunks */
    _Atomic bool done;
};

static uint64_t chunks_read(void)
{
    azr_stats s;

    s.struct_size = (uint32_t)sizeof s;
    return azr_stats_get(&s) < 0 ? 0 : s.chunks_read;
}

static void *watch_read(void *arg)
{
    struct watch *w = arg;
    const struct timespec pause = {0, 50000000};

    while (!atomic_load(&w->done)) {
        progress_show(&w->progress, chunks_read() - w->before, w->total);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static uint64_t chunks_of(const struct region *r, const azr_array_info *info)
{
    uint64_t n = 1;

    for (int d = 0; d < r->box_rank; d++) {
        int64_t first = r->box.start[d];
        int64_t last = first + (r->box.count[d] - 1) * r->box.step[d];
        int64_t steps = last / info->chunks[d] - first / info->chunks[d] + 1;

        if (steps > r->box.count[d])
            steps = r->box.count[d];
        if (__builtin_mul_overflow(n, (uint64_t)steps, &n))
            return UINT64_MAX;
    }
    return n;
}

static int read_watched(struct cli *cli, azr_array *array,
                        const struct region *r, const azr_array_info *info,
                        void *data, azr_error *err)
{
    struct watch w = {.progress = progress_begin(cli, "read", "chunks")};
    pthread_t thread;
    bool watched;
    int rc;

    w.before = chunks_read();
    w.total = chunks_of(r, info);
    watched =
        w.progress.wanted && pthread_create(&thread, NULL, watch_read, &w) == 0;
    rc = cli_read(cli, array, &r->box, data, r->nbytes, err);
    atomic_store(&w.done, true);
    if (watched)
        pthread_join(thread, NULL);
    progress_end(&w.progress);
    return rc;
}

struct job {
    struct target target;
    struct region region;
    azr_array_info info;
    void *data;
};

/* The bounds are worked out for a shape; if that was another one before or
 * after the read, read again. */
static int read_once(struct cli *cli, struct job *job, azr_array *array,
                     bool *again)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array_info after;
    int rc = region_resolve(cli, &job->region, &job->info, &job->target);
    int status = AZR_OK;

    if (rc != 0)
        return rc;
    free(job->data);
    job->data = cli_reserve(cli, job->region.nbytes);
    if (!job->data)
        return cli->exit_code;
    if (job->region.count > 0)
        status =
            read_watched(cli, array, &job->region, &job->info, job->data, &err);
    if (status < 0 && status != AZR_EINVAL)
        return cli_fail_at(cli, status, &err, job->target.path);
    rc = info_of(cli, &after, array, job->target.path);
    if (rc != 0)
        return rc;
    *again = memcmp(after.shape, job->info.shape, sizeof after.shape) != 0;
    if (status < 0 && !*again)
        return cli_fail_at(cli, status, &err, job->target.path);
    job->info = after;
    return 0;
}

static int read_snapshot(struct cli *cli, struct job *job, azr_array *array)
{
    bool again = true;
    int rc = info_of(cli, &job->info, array, job->target.path);

    for (int i = 0; rc == 0 && again; i++) {
        if (i == TRIES)
            return cli_error(cli, CLI_BUSY,
                             "'%s' was resized %d times while it was read: "
                             "give a selection with bounds",
                             job->target.path, TRIES);
        rc = read_once(cli, job, array, &again);
    }
    return rc;
}

/* -------------------------------------------------------------- writing --- */

static int write_failed(struct cli *cli, const char *file)
{
    if (cli_signal)
        return cli_interrupted(cli);
    return cli_error(cli, CLI_IO, "%s: %s", file, cli_errno_text(errno));
}

/* A file appears under its name complete or not at all. */
static int write_file(struct cli *cli, const struct output *out,
                      const char *file, int force)
{
    struct progress p = progress_begin(cli, "write", "elements");
    size_t size = strlen(file) + 32;
    char *part = cli_alloc(size, 1);
    int code = 0;
    FILE *f;

    (void)snprintf(part, size, "%s.part-%ld", file, (long)getpid());
    f = fopen(part, "wxe");
    if (!f) {
        code = write_failed(cli, part);
        free(part);
        return code;
    }
    output_write(f, out, &p);
    progress_end(&p);
    if (ferror(f) || cli_signal) {
        code = write_failed(cli, file);
        (void)fclose(f);
    } else if (fclose(f) != 0) {
        code = write_failed(cli, file);
    } else if (force) {
        if (rename(part, file) != 0)
            code = write_failed(cli, file);
    } else if (link(part, file) != 0) {
        code = errno == EEXIST
                   ? cli_error(cli, CLI_PRESENCE,
                               "%s: exists (try: the same with --force)", file)
                   : write_failed(cli, file);
    }
    (void)unlink(part);
    free(part);
    return code;
}

static int write_stdout(struct cli *cli, const struct output *out)
{
    struct progress p = progress_begin(cli, "write", "elements");

    if (isatty(STDOUT_FILENO))
        p.wanted = false;
    output_write(stdout, out, &p);
    progress_end(&p);
    if (cli_signal) {
        cli->json = 0; /* half a document is there already */
        return cli_interrupted(cli);
    }
    return CLI_OK;
}

int cmd_cat(struct cli *cli, int argc, char **argv)
{
    struct cli_list words = {NULL, 0}, dims = {NULL, 0};
    azr_array *array = NULL;
    const char *format = NULL, *file = NULL;
    struct output out = {.format = OUTPUT_TEXT};
    struct job job;
    int force = 0, rc;
    const struct cli_option options[] = {
        {CLI_TEXT, 'f', "format", &format, "F", "text, csv, npy, raw or json"},
        {CLI_TEXT, 'o', "output", &file, "FILE",
         "write a file (format npy, unless told)"},
        {CLI_FLAG, 0, "force", &force, NULL, "replace the file"},
        {CLI_MANY, 'd', "dim", &dims, "NAME=SLICE",
         "select along a dimension by its name"},
        CLI_OPTION_END,
    };

    memset(&job, 0, sizeof job);
    if (!cli_args(cli, &usage, options, argc, argv, &words, 1, 2))
        return cli->exit_code;
    if (!format)
        format = cli->json ? "json" : file ? "npy" : "text";
    if (!output_format_parse(&out.format, format))
        return cli_usage_error(cli,
                               "--format %s: need text, csv, npy, raw or "
                               "json",
                               format);
    if (!file && isatty(STDOUT_FILENO) &&
        (out.format == OUTPUT_NPY || out.format == OUTPUT_RAW))
        return cli_usage_error(cli,
                               "--format %s is not for a terminal: "
                               "redirect it, or use -o FILE",
                               format);
    job.target = target_of(cli, &words);
    rc = cli_take(cli, &array, job.target.path, 0);
    if (rc == 0)
        rc = target_by_names(cli, &job.target, array, &dims);
    if (rc == 0)
        rc = read_snapshot(cli, &job, array);
    if (rc == 0) {
        out.path = job.target.path;
        out.dtype = job.info.dtype;
        out.region = &job.region;
        out.data = job.data;
        rc =
            file ? write_file(cli, &out, file, force) : write_stdout(cli, &out);
    }
    free(job.data);
    cli_close(cli, array);
    return rc;
}
