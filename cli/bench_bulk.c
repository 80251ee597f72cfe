/* SPDX-License-Identifier: Apache-2.0 */
/* Whole chunks in one process: the array written or read at one go (`bulk`), and
 * how long it takes to open (`opening`). */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PASSES 64

struct bulk {
    const struct bench_options *o;
    azr_array *array;
    int32_t *data;
    size_t n; /* elements */
};

static int by_ns(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static int pass(struct bulk *b, bool writes, uint64_t *ns, azr_error *err)
{
    azr_selection all = azr_select_all(1);
    size_t nbytes = b->n * sizeof *b->data;
    uint64_t start = load_now_ns();
    int rc = writes ? azr_array_write(b->array, &all, b->data, nbytes, err)
                    : azr_array_read(b->array, &all, b->data, nbytes, err);

    *ns = load_now_ns() - start;
    return rc;
}

/* The first write makes the files, a second pass of the kind that is measured
 * warms memory; then `repeat` passes, of which the median counts. */
static int passes(struct bulk *b, uint64_t *ns, azr_error *err)
{
    bool writes = strcmp(b->o->op, "write") == 0;
    int rc = pass(b, true, &ns[0], err);

    if (rc == AZR_OK)
        rc = pass(b, writes, &ns[0], err);
    for (int i = 0; i < b->o->repeat && rc == AZR_OK; i++)
        rc = pass(b, writes, &ns[i], err);
    qsort(ns, (size_t)b->o->repeat, sizeof *ns, by_ns);
    return rc;
}

/* What was measured must have happened: 0 if the array holds the terrain. */
static int verify(struct bulk *b, azr_error *err)
{
    int32_t *want = cli_alloc(b->n, sizeof *want);
    uint64_t ns;
    int rc, differs;

    bench_terrain(want, b->n, 1);
    memset(b->data, 0, b->n * sizeof *b->data);
    rc = pass(b, false, &ns, err);
    differs = memcmp(want, b->data, b->n * sizeof *want);
    free(want);
    if (rc == AZR_OK && differs)
        return cli_error(b->o->cli, CLI_DIFFERS, "%s: another value was read",
                         b->o->array);
    return rc < 0 ? cli_fail_at(b->o->cli, rc, err, b->o->array) : CLI_OK;
}

int bench_bulk(const struct bench_options *o, struct json *j)
{
    struct bulk b = {.o = o};
    uint64_t ns[MAX_PASSES];
    azr_error err = AZR_ERROR_INIT;
    double seconds;
    int rc;

    if (o->repeat > MAX_PASSES ||
        (strcmp(o->op, "write") != 0 && strcmp(o->op, "read") != 0))
        return cli_usage_error(o->cli, "--op read or write, up to %d passes",
                               MAX_PASSES);
    b.n = (size_t)(bench_chunk_length(o) * o->chunks);
    b.data = cli_alloc(b.n, sizeof *b.data);
    bench_terrain(b.data, b.n, 1);
    rc = bench_create(&b.array, o, o->chunks, &err);
    if (rc == AZR_OK)
        rc = passes(&b, ns, &err);
    rc = rc < 0 ? cli_fail_at(o->cli, rc, &err, o->array) : verify(&b, &err);
    if (rc == CLI_OK) {
        seconds = (double)ns[o->repeat / 2] / 1e9;
        json_text(j, "op", o->op);
        json_int(j, "chunks", o->chunks);
        json_real(j, "seconds", seconds);
        json_real(j, "mb_per_s",
                  (double)(b.n * sizeof *b.data) / seconds / 1e6);
    }
    azr_array_close(b.array);
    free(b.data);
    return rc;
}

/* ------------------------------------------------------------- opening --- */

static int open_often(const struct bench_options *o, uint32_t flags,
                      struct load_slot *slot, azr_error *err)
{
    uint64_t end = load_now_ns() + (uint64_t)(o->seconds * 5e8);
    int rc = AZR_OK;

    while (rc == AZR_OK && load_now_ns() < end && !cli_signal) {
        uint64_t start = load_now_ns();
        azr_array *array = NULL;

        rc = bench_open(&array, o, flags, err);
        azr_array_close(array);
        load_record(slot, load_now_ns() - start);
    }
    return rc;
}

int bench_opening(const struct bench_options *o, struct json *j)
{
    size_t nbytes = 2 * sizeof(struct load_slot);
    struct load_slot *slots = load_map(nbytes);
    azr_error err = AZR_ERROR_INIT;
    azr_array *array = NULL;
    int rc;

    if (!slots)
        return cli_error(o->cli, CLI_IO, "no memory");
    rc = bench_create(&array, o, o->chunks, &err);
    azr_array_close(array);
    if (rc == AZR_OK)
        rc = open_often(o, 0, &slots[0], &err);
    if (rc == AZR_OK)
        rc = open_often(o, AZR_OPEN_WRITE, &slots[1], &err);
    if (rc == AZR_OK) {
        bench_print_load(j, "read", &slots[0], 1, (uint64_t)(o->seconds * 5e8));
        bench_print_load(j, "write", &slots[1], 1,
                         (uint64_t)(o->seconds * 5e8));
    }
    load_unmap(slots, nbytes);
    return rc < 0 ? cli_fail_at(o->cli, rc, &err, o->array) : CLI_OK;
}
