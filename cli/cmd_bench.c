/* SPDX-License-Identifier: Apache-2.0 */
/* `azr bench NAME`: one measurement, one JSON object. bench/run pairs them. */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
    const char *name;
    int (*run)(const struct bench_options *o, struct json *j);
} benches[] = {
    {"contended", bench_contended}, {"disjoint", bench_disjoint},
    {"readers", bench_readers},     {"bulk", bench_bulk},
    {"opening", bench_opening},     {"stopped", bench_stopped},
    {"pairs", bench_pairs},
};

static const struct cli_usage usage = {
    .synopsis = "bench NAME DIR [options]",
    .about =
        "Measure one thing on a scratch array in DIR and write one JSON\n"
        "object. bench/run pairs these with plain C loops. NAME is\n"
        "  contended   PROCS processes, boxes over the same three chunks\n"
        "  disjoint    PROCS processes, a chunk each\n"
        "  readers     PROCS writers as in contended, READERS readers\n"
        "  bulk        one process writes or reads all chunks at one go\n"
        "  opening     open and close, for reading and for writing\n"
        "  pairs       a chunk of each of two arrays: --op txn, or single\n"
        "  stopped     a writer of one chunk is stopped; time of the other\n",
    .examples = "  azr bench contended /tmp/scratch --procs 8\n",
};

void bench_worker_fail(struct bench_load *load, const azr_error *err)
{
    load_gate_fail(&load->gate, err->message[0] ? err->message : "no memory");
}

int64_t bench_chunk_length(const struct bench_options *o)
{
    return o->chunk_nbytes / (int64_t)sizeof(int32_t);
}

int bench_create(azr_array **out, const struct bench_options *o, int chunks,
                 azr_error *err)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_open_options open = cli_open_options(o->cli, AZR_OPEN_WRITE);

    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.chunks[0] = bench_chunk_length(o);
    spec.shape[0] = spec.chunks[0] * chunks;
    spec.codecs = o->codec;
    spec.durability = o->durability;
    open.sync = (uint32_t)o->sync;
    return azr_array_create(out, o->array, &spec, &open, err);
}

int bench_open(azr_array **out, const struct bench_options *o, uint32_t flags,
               azr_error *err)
{
    azr_open_options open = cli_open_options(o->cli, flags | o->open_flags);

    open.sync = (uint32_t)o->sync;
    return azr_array_open(out, o->array, &open, err);
}

void bench_terrain(int32_t *p, size_t n, uint64_t seed)
{
    int32_t height = 400;

    for (size_t i = 0; i < n; i++) {
        uint64_t r = load_random(&seed);

        height += (int32_t)(r % 7) - 3;
        p[i] = height;
    }
}

void bench_print_load(struct json *j, const char *key,
                      const struct load_slot *slots, int n, uint64_t ns)
{
    struct load_sum sum = {0};
    uint64_t slowest = UINT64_MAX;

    for (int i = 0; i < n; i++) {
        uint64_t ops = atomic_load(&slots[i].ops);

        load_sum_add(&sum, &slots[i]);
        slowest = ops < slowest ? ops : slowest;
    }
    json_open(j, key, '{');
    json_uint(j, "ops", sum.ops);
    json_real(j, "ops_per_s", (double)sum.ops / ((double)ns / 1e9));
    json_real(j, "slowest_over_mean",
              sum.ops ? (double)slowest * n / (double)sum.ops : 0.0);
    json_real(j, "p50_us", (double)load_quantile_ns(&sum, 0.5) / 1e3);
    json_real(j, "p99_us", (double)load_quantile_ns(&sum, 0.99) / 1e3);
    json_real(j, "max_us", (double)sum.max_ns / 1e3);
    json_close(j, '}');
}

/* ------------------------------------------------------------- options --- */

struct words {
    const char *sync, *durability;
    int kernel_locks, keep;
    int64_t ms;
    uint64_t chunk_nbytes;
};

/* Index of `text` in a NULL-ended list, or -1. */
static int word_of(const char *const *words, const char *text)
{
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], text) == 0)
            return i;
    }
    return -1;
}

/* Values that the table of options could not check. */
static int check(struct bench_options *o, const struct words *w)
{
    static const char *const syncs[] = {"full", "chunk", "none", NULL};
    static const char *const durabilities[] = {"process", "power", NULL};

    o->sync = word_of(syncs, w->sync);
    o->durability = word_of(durabilities, w->durability);
    o->open_flags = w->kernel_locks ? AZR_OPEN_KERNEL_LOCKS : 0;
    o->seconds = (double)w->ms / 1e3;
    o->chunk_nbytes = (int64_t)w->chunk_nbytes;
    if (o->sync < 0)
        return cli_usage_error(o->cli, "--sync %s: full, chunk or none",
                               w->sync);
    if (o->durability < 0)
        return cli_usage_error(o->cli, "--durability %s: process or power",
                               w->durability);
    if (o->procs < 1 || o->procs + o->readers > BENCH_MAX_WORKERS)
        return cli_usage_error(o->cli, "1 to %d processes", BENCH_MAX_WORKERS);
    if (w->ms <= 0 || o->repeat < 1 || o->chunks < 1 || w->chunk_nbytes < 8 ||
        w->chunk_nbytes > 1u << 30 || o->chunks > 1 << 20)
        return cli_usage_error(o->cli, "a number is out of range");
    return CLI_OK;
}

/* The object is written only when it is complete. */
static int write_object(size_t which, const struct bench_options *o)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    struct json j;
    int rc;

    if (!f)
        return cli_error(o->cli, CLI_IO, "no memory");
    j = json_begin(f);
    json_open(&j, NULL, '{');
    json_text(&j, "bench", benches[which].name);
    json_text(&j, "codec", o->codec);
    json_int(&j, "chunk_bytes", o->chunk_nbytes);
    json_int(&j, "procs", o->procs);
    rc = benches[which].run(o, &j);
    json_close(&j, '}');
    json_end(&j);
    if (fclose(f) == 0 && rc == CLI_OK)
        printf("%s", text);
    free(text);
    return rc;
}

static int measure(const char *name, const struct bench_options *o)
{
    for (size_t i = 0; i < sizeof benches / sizeof *benches; i++) {
        if (strcmp(name, benches[i].name) == 0)
            return write_object(i, o);
    }
    return cli_usage_error(o->cli, "there is no measurement %s", name);
}

int cmd_bench(struct cli *cli, int argc, char **argv)
{
    struct bench_options o = {.cli = cli,
                              .op = "write",
                              .codec = "none",
                              .procs = 8,
                              .readers = 8,
                              .repeat = 3,
                              .chunks = 64};
    struct words w = {"full", "process", 0, 0, 2000, 4096};
    const struct cli_option options[] = {
        {CLI_NUMBER, 0, "procs", &o.procs, "N", "processes (8)"},
        {CLI_NUMBER, 0, "readers", &o.readers, "N", "readers (8)"},
        {CLI_SECONDS, 0, "seconds", &w.ms, "S", "how long (2)"},
        {CLI_SIZE, 0, "chunk-bytes", &w.chunk_nbytes, "N", "a chunk (4096)"},
        {CLI_NUMBER, 0, "chunks", &o.chunks, "N", "of bulk (64)"},
        {CLI_NUMBER, 0, "repeat", &o.repeat, "N", "passes of bulk (3)"},
        {CLI_TEXT, 0, "op", &o.op, "read|write", "of bulk (write); of pairs"},
        {CLI_TEXT, 0, "codec", &o.codec, "SPEC", "as in azr create (none)"},
        {CLI_TEXT, 0, "sync", &w.sync, "MODE", "full, chunk, none (full)"},
        {CLI_TEXT, 0, "durability", &w.durability, "D", "process or power"},
        {CLI_FLAG, 0, "kernel-locks", &w.kernel_locks, NULL,
         "without the lock table of a process"},
        {CLI_FLAG, 0, "keep", &w.keep, NULL, "leave the array behind"},
        CLI_OPTION_END};
    struct cli_list words;
    char array[4096];
    int rc;

    if (!cli_args(cli, &usage, options, argc, argv, &words, 2, 2))
        return cli->exit_code;
    cli->json = 0; /* it always is */
    rc = check(&o, &w);
    if (rc != CLI_OK)
        return rc;
    if (mkdir(words.items[1], 0777) < 0 && errno != EEXIST)
        return cli_error(cli, CLI_IO, "%s: %s", words.items[1],
                         strerror(errno));
    (void)snprintf(array, sizeof array, "%s/bench.zarr", words.items[1]);
    o.array = array;
    load_remove_tree(array);
    rc = measure(words.items[0], &o);
    if (!w.keep)
        load_remove_tree(array);
    return rc;
}
