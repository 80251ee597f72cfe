/* SPDX-License-Identifier: Apache-2.0 */
/* What the measurements of `azr bench` share. One file each: bench_*.c. */
#ifndef BENCH_H
#define BENCH_H

#include "cli.h"
#include "json.h"
#include "load.h"

#define BENCH_MAX_WORKERS 128

struct bench_options {
    struct cli *cli;
    const char *array; /* DIR/bench.zarr */
    const char *op;    /* "read" or "write" */
    const char *codec; /* as in azr_array_spec */
    int sync, durability;
    int procs, readers, repeat, chunks;
    int64_t chunk_nbytes;
    double seconds;
    uint32_t open_flags;
};

/* Workers of one run: slot i belongs to worker i. In shared memory. */
struct bench_load {
    struct load_gate gate;
    struct load_slot slot[BENCH_MAX_WORKERS];
};

/* In a worker: tell the parent why, and stop everybody. */
void bench_worker_fail(struct bench_load *load, const azr_error *err);

/* A new 1-d int32 array of `chunks` chunks at o->array. */
int bench_create(azr_array **out, const struct bench_options *o, int chunks,
                 azr_error *err);
int bench_open(azr_array **out, const struct bench_options *o, unsigned flags,
               azr_error *err);
/* Fill `p` with a smooth field and some noise: it compresses about as terrain
 * does. */
void bench_terrain(int32_t *p, size_t n, uint64_t seed);
/* Elements of a chunk. */
int64_t bench_chunk_length(const struct bench_options *o);

/* Throughput and latencies of `n` slots from `first`. */
void bench_print_load(struct json *j, const char *key,
                      const struct load_slot *slots, int n, uint64_t ns);

/* The measurements: members of one JSON object. 0, or an exit code, said. */
int bench_contended(const struct bench_options *o, struct json *j);
int bench_disjoint(const struct bench_options *o, struct json *j);
int bench_readers(const struct bench_options *o, struct json *j);
int bench_bulk(const struct bench_options *o, struct json *j);
int bench_opening(const struct bench_options *o, struct json *j);
int bench_pairs(const struct bench_options *o, struct json *j);
int bench_stopped(const struct bench_options *o, struct json *j);

#endif
