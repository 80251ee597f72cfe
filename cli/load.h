/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers under measurement: latency histograms that processes share, clocks,
 * small random numbers, and timed runs of N processes. Used by `azr bench` and
 * `azr demo`.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* 16 buckets an octave, from 1 ns to about 1,100 s: 6 % resolution. */
#define LOAD_BUCKETS 640

/* What one thread did. Written by it alone, read by the parent at any time. */
struct load_slot {
    _Alignas(64) _Atomic uint64_t ops;
    _Atomic uint64_t max_ns;
    _Atomic uint64_t bucket[LOAD_BUCKETS];
};

/* Sum of slots. */
struct load_sum {
    uint64_t ops, max_ns;
    uint64_t bucket[LOAD_BUCKETS];
};

uint64_t load_now_ns(void);
void load_sleep_ms(double ms);

/* Zeroed memory shared with children; NULL if there is none. */
void *load_map(size_t nbytes);
void load_unmap(void *p, size_t nbytes);

void load_record(struct load_slot *slot, uint64_t ns);
void load_sum_add(struct load_sum *sum, const struct load_slot *slot);
/* The time that fraction `p` of the operations stayed below; 0 if none. */
uint64_t load_quantile_ns(const struct load_sum *sum, double p);

/* splitmix64: small, seedable, good enough to choose places. */
uint64_t load_random(uint64_t *state);
/* Below `n` (n ≥ 1). */
uint64_t load_random_below(uint64_t *state, uint64_t n);

/*
 * A timed run: children are forked, tell when they are ready, begin together,
 * and work until they are told to stop.
 */
struct load_gate {
    _Atomic int ready, go, stop, failed;
    char message[512]; /* of who failed first */
};

/* Child: ready, then wait for the start. */
void load_gate_enter(struct load_gate *gate);
/* Child: give up with a line of text. */
void load_gate_fail(struct load_gate *gate, const char *text);
int load_gate_open(const struct load_gate *gate); /* go on working? */

/* Returns 0, or 1 if it failed (load_gate_fail says why). */
typedef int (*load_child_fn)(int index, void *arg);
/* Fork a child that runs `fn` and dies with its parent; its pid, or -1. */
pid_t load_spawn(load_child_fn fn, int index, void *arg);
/* `n` of them. 0, or -1. */
int load_fork(pid_t *pids, int n, load_child_fn fn, void *arg);
/* Let them begin once all are ready, wait `seconds`, stop them. Returns the
 * nanoseconds between start and stop, 0 if one failed. */
uint64_t load_run(struct load_gate *gate, int n, double seconds);
/* Wait for all to end. 0 if all returned 0. */
int load_join(const pid_t *pids, int n);

/* Remove a directory and what is in it; what is not there does not matter. */
void load_remove_tree(const char *path);

#endif
