/* SPDX-License-Identifier: Apache-2.0 */
/* `azr demo`: options, order of the runs, verdict. demo.h tells the rest. */
#include "demo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct cli_usage usage = {
    .synopsis = "demo [options]",
    .about =
        "Processes overwrite overlapping boxes of a real elevation model "
        "while\n"
        "others read them and writers are killed with SIGKILL: first the way\n"
        "plain Zarr libraries do it (each chunk locked and replaced by "
        "itself),\n"
        "then with the protocol. Counts the reads that see a mixture of two\n"
        "writes. Also runs the two programs of the report that began all "
        "this.\n"
        "\n"
        "Exit code: 0; 1 if a read with the protocol was torn; 7 if the run\n"
        "proves nothing, because there were fewer than 1,000 writes (500 with\n"
        "--durability power: each waits for the disk), 5,000 reads or 20 "
        "kills\n"
        "in the middle of a write, or because the plain way was not torn in\n"
        "60 seconds.\n",
    .examples = "  azr demo\n"
                "  azr demo --procs 8 --threads 4 --dir /dev/shm\n"
                "  azr demo --array my.zarr --json\n",
};

struct words {
    const char *durability;
    int baseline, kernel_locks, no_reports, readers, seed;
    int64_t ms, least_ms;
};

static int check(struct demo_options *o, const struct words *w)
{
    o->baseline_only = w->baseline != 0;
    o->kernel_locks = w->kernel_locks != 0;
    o->no_reports = w->no_reports != 0;
    o->durability_name = w->durability;
    o->durability = AZR_DURABILITY_PROCESS;
    if (strcmp(w->durability, "power") == 0)
        o->durability = AZR_DURABILITY_POWER;
    else if (strcmp(w->durability, "process") != 0)
        return cli_usage_error(o->cli, "--durability %s: process or power",
                               w->durability);
    o->fixed_time = w->ms >= 0;
    o->seconds = (double)(o->fixed_time      ? w->ms
                          : w->least_ms >= 0 ? w->least_ms
                                             : 4000) /
                 1e3;
    o->threads = o->cli->threads > 0 ? o->cli->threads : 1;
    o->readers = w->readers > 0     ? w->readers
                 : o->procs / 3 > 0 ? o->procs / 3
                                    : 1;
    o->writers = o->procs - o->readers;
    o->seed = w->seed > 0 ? (uint64_t)w->seed
                          : load_now_ns() ^ (uint64_t)time(NULL) << 20;
    if (o->procs < 2 || o->procs > DEMO_MAX_PROCS || o->writers < 1)
        return cli_usage_error(o->cli, "2 to %d processes, one of which writes",
                               DEMO_MAX_PROCS);
    if (o->threads > DEMO_MAX_THREADS)
        return cli_usage_error(o->cli, "1 to %d threads", DEMO_MAX_THREADS);
    return CLI_OK;
}

/* ----------------------------------------------------------------- runs --- */

static int run_reports(const struct demo_options *o, int side,
                       struct demo_result *r)
{
    int sync = side ? AZR_SYNC_FULL : AZR_SYNC_CHUNK;
    int rc = demo_report_lines(o, sync, &r->lines[side]);

    if (rc == CLI_OK)
        rc = demo_report_diagonals(o, sync, &r->diagonals[side]);
    return rc;
}

static int run_side(const struct demo_options *o, const struct demo_scene *s,
                    int side, struct demo_result *r)
{
    struct demo_run *run = side ? &r->ours : &r->plain;
    char path[4200];
    int rc;

    (void)snprintf(path, sizeof path, "%s/%s.zarr", o->scratch,
                   side ? "ours" : "plain");
    run->o = o;
    run->scene = s;
    run->path = path;
    run->sync = side ? AZR_SYNC_FULL : AZR_SYNC_CHUNK;
    rc = demo_run(run);
    run->path = NULL;
    if (rc == CLI_OK && !o->no_reports)
        rc = run_reports(o, side, r);
    return rc;
}

static int judge(const struct demo_options *o, struct demo_result *r)
{
    const struct demo_run *q = &r->ours;

    if (!o->baseline_only &&
        (q->torn > 0 || q->shared->strays > 0 || q->shared->left_rows > 0 ||
         q->shared->findings > 0 || r->lines[1].mixed > 0 ||
         r->diagonals[1].mixed > 0))
        return CLI_DIFFERS;
    if (!o->baseline_only)
        r->void_reason =
            demo_enough(o, q->in_flight, q->writes.ops, q->reads.ops);
    if (!r->void_reason && r->plain.torn == 0)
        r->void_reason = "the plain way was not torn in 60 seconds";
    return r->void_reason ? CLI_VOID : CLI_OK;
}

static int run_all(struct demo_options *o, struct demo_scene *s)
{
    struct demo_result *r = cli_alloc(1, sizeof *r);
    azr_fs_report fs = {.struct_size = (uint32_t)sizeof fs};
    int rc;

    memset(r, 0, sizeof *r);
    (void)snprintf(r->fs, sizeof r->fs, "%s",
                   azr_fs_probe(o->scratch, &fs, NULL) == AZR_OK ? fs.name
                                                                 : "?");
    demo_print_head(o, s, r->fs);
    rc = run_side(o, s, 0, r);
    if (rc == CLI_OK && !o->baseline_only)
        rc = run_side(o, s, 1, r);
    if (rc == CLI_OK) {
        r->exit_code = rc = judge(o, r);
        if (o->cli->json)
            demo_print_json(o, s, r);
        else
            demo_print_table(o, r);
    }
    demo_run_dispose(&r->plain);
    demo_run_dispose(&r->ours);
    free(r);
    return rc;
}

/* Where nothing waits for a disk; here, if there is no such place. */
static const char *shared_memory(void)
{
    return access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : ".";
}

/* A directory of its own in the place that was asked for. */
static int make_scratch(const struct demo_options *o, char *path, size_t room)
{
    const char *tmp = getenv("TMPDIR");
    const char *dir = o->dir ? o->dir : tmp && *tmp ? tmp : shared_memory();

    if ((size_t)snprintf(path, room, "%s/azr-demo-XXXXXX", dir) >= room)
        return cli_error(o->cli, CLI_IO, "%s: too long", dir);
    if (!mkdtemp(path))
        return cli_error(o->cli, CLI_IO, "%s: %s (another place: --dir)", dir,
                         strerror(errno));
    return CLI_OK;
}

int cmd_demo(struct cli *cli, int argc, char **argv)
{
    struct demo_options o = {.cli = cli, .procs = 30};
    struct words w = {.durability = "process", .ms = -1, .least_ms = -1};
    const struct cli_option options[] = {
        {CLI_NUMBER, 'n', "procs", &o.procs, "N", "processes (30)"},
        {CLI_NUMBER, 0, "readers", &w.readers, "N",
         "how many of them read (a third)"},
        {CLI_SECONDS, 0, "seconds", &w.ms, "S",
         "how long each half lasts, proof or no proof"},
        {CLI_SECONDS, 0, "min-seconds", &w.least_ms, "S",
         "the least that it lasts (4): on until it proves something"},
        {CLI_TEXT, 0, "dir", &o.dir, "DIR",
         "where the scratch arrays stand ($TMPDIR, /dev/shm, here)"},
        {CLI_TEXT, 0, "array", &o.array, "PATH",
         "a copy of this array instead of the elevation model"},
        {CLI_FLAG, 0, "baseline", &w.baseline, NULL, "the plain way alone"},
        {CLI_NUMBER, 0, "seed", &w.seed, "N", "of the random numbers"},
        {CLI_TEXT, 0, "durability", &w.durability, "D",
         "process (default) or power"},
        {CLI_TEXT, 0, "codec", &o.codec, "SPEC", "as in azr create"},
        {CLI_FLAG, 0, "kernel-locks", &w.kernel_locks, NULL,
         "without the lock table of a process"},
        {CLI_FLAG, 0, "no-reports", &w.no_reports, NULL,
         "without the two programs of the report"},
        CLI_OPTION_END};
    struct demo_scene *s = NULL;
    struct cli_list words;
    char scratch[4096];
    int rc;

    if (!cli_args(cli, &usage, options, argc, argv, &words, 0, 0))
        return cli->exit_code;
    rc = check(&o, &w);
    if (rc == CLI_OK)
        rc = make_scratch(&o, scratch, sizeof scratch);
    if (rc != CLI_OK)
        return rc;
    o.scratch = scratch;
    s = cli_alloc(1, sizeof *s);
    memset(s, 0, sizeof *s);
    rc = demo_scene_load(s, &o);
    if (rc == CLI_OK)
        rc = demo_scene_build(s, &o);
    if (rc == CLI_OK) {
        o.live = demo_show_possible(s, cli);
        rc = run_all(&o, s);
    }
    load_remove_tree(scratch);
    demo_scene_dispose(s);
    free(s);
    return rc;
}
