/* SPDX-License-Identifier: Apache-2.0 */
/* What it costs that two arrays change together: a chunk of each, in one
 * transaction (`--op txn`) or in two single writes. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNKS 16

struct pairs {
    const struct bench_options *o;
    azr_array *array[2];
    int32_t *data;
    size_t nbytes;
};

static int begin(struct pairs *p, azr_error *err)
{
    int rc = AZR_OK;

    (void)mkdir(p->o->array, 0777);
    for (int k = 0; k < 2 && rc == AZR_OK; k++) {
        struct bench_options one = *p->o;
        char path[4200];

        (void)snprintf(path, sizeof path, "%s/%d.zarr", p->o->array, k);
        one.array = path;
        rc = bench_create(&p->array[k], &one, CHUNKS, err);
    }
    return rc;
}

static int apart(const struct pairs *p, const azr_selection *sel,
                 azr_error *err)
{
    int rc = azr_array_write(p->array[0], sel, p->data, p->nbytes, err);

    if (rc == AZR_OK)
        rc = azr_array_write(p->array[1], sel, p->data, p->nbytes, err);
    return rc;
}

static int together(const struct pairs *p, const azr_selection *sel,
                    azr_error *err)
{
    azr_txn *txn = NULL;
    int rc = azr_txn_begin(&txn, NULL, err);

    for (int k = 0; k < 2 && rc == AZR_OK; k++)
        rc = azr_txn_write(txn, p->array[k], sel, p->data, p->nbytes, err);
    if (rc == AZR_OK)
        rc = azr_txn_commit(txn, err);
    azr_txn_free(txn);
    return rc;
}

static int write_pairs(const struct pairs *p, struct load_slot *slot,
                       azr_error *err)
{
    bool one = strcmp(p->o->op, "txn") == 0;
    uint64_t end = load_now_ns() + (uint64_t)(p->o->seconds * 1e9);
    int64_t length = bench_chunk_length(p->o);
    int rc = AZR_OK;

    for (int64_t i = 0; rc == AZR_OK && load_now_ns() < end && !cli_signal;
         i++) {
        azr_selection sel = AZR_BOX(1, {i % CHUNKS * length}, {length});
        uint64_t start = load_now_ns();

        rc = one ? together(p, &sel, err) : apart(p, &sel, err);
        load_record(slot, load_now_ns() - start);
    }
    return rc;
}

int bench_pairs(const struct bench_options *o, struct json *j)
{
    struct pairs p = {.o = o};
    struct load_slot *slot = load_map(sizeof *slot);
    azr_error err = AZR_ERROR_INIT;
    size_t n = (size_t)bench_chunk_length(o);
    int rc;

    if (!slot)
        return cli_error(o->cli, CLI_IO, "no memory");
    p.nbytes = n * sizeof *p.data;
    p.data = cli_alloc(n, sizeof *p.data);
    bench_terrain(p.data, n, 1);
    rc = begin(&p, &err);
    if (rc == AZR_OK)
        rc = write_pairs(&p, slot, &err);
    if (rc == AZR_OK)
        bench_print_load(j, "write", slot, 1, (uint64_t)(o->seconds * 1e9));
    for (int k = 0; k < 2; k++)
        azr_array_close(p.array[k]);
    free(p.data);
    load_unmap(slot, sizeof *slot);
    return rc < 0 ? cli_fail_at(o->cli, rc, &err, o->array) : CLI_OK;
}
