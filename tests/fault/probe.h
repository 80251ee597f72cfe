/* SPDX-License-Identifier: Apache-2.0 */
/* What a process meets that opens, reads and writes a damaged array; and doing
 * damage. */
#ifndef TEST_FAULT_PROBE_H
#define TEST_FAULT_PROBE_H

#include "crash/scene.h"
#include "crash/tap.h"
#include "txn/layout.h"

#include <stdint.h>

typedef struct outcome {
    int read_open, read;   /* AZR_OK or an error; 1: not tried */
    int write_open, write; /* the same */
    azr_error read_err, write_err;
    image seen; /* if read is AZR_OK */
    uint64_t peak_nbytes;
} outcome;

/* Of the last probe. */
outcome *probe_outcome(void);
/* In a child: open to read, read; open to write, write element 1. Complains of a
 * crash, a hang (> 5 s), an error without a text, or more memory than 64 MiB. A
 * write that is refused must have changed nothing. `uid` 0: as we are. */
bool probe(const char *path, unsigned uid);
/* The same, but whatever it changes is right. */
bool probe_free(const char *path, unsigned uid);
/* The only allowed answers to it: success or one of these, 0-terminated. */
bool expect_code(const char *what, int rc, const azr_error *err,
                 const int *allowed);
/* If it was read, it is this. */
bool expect_image(const image *want);

/* Hash of every name, mode and byte below `path`; `.azr/state` is left out
 * unless `with_state`. */
uint64_t tree_digest(const char *path, bool with_state);

/* Read and write bytes of a file of the array. Exits if it cannot. */
void bytes_get(const char *path, const char *name, void *out, size_t n,
               uint64_t at);
void bytes_put(const char *path, const char *name, const void *from, size_t n,
               uint64_t at);
void file_truncate(const char *path, const char *name, uint64_t n);
void header_get(const char *path, azri_header *h);
void header_put(const char *path, azri_header *h); /* with a good checksum */
/* The one row in use; its number, or exits. */
uint32_t row_find(const char *path, azri_row *row, uint64_t *word);
void row_put(const char *path, uint32_t i, azri_row *row, uint64_t word);

/* An array with a COMMITTED row of a dead owner, not yet applied. */
bool make_committed(const char *path, op o, const kind *k, image *old,
                    image *new);

typedef struct test {
    const char *name;
    bool (*run)(void);
    bool needs_root;
} test;
/* Run them all; 0, 1, or 77 if every one was skipped. */
int run_tests(const test *tests, size_t n, int argc, char **argv);

#endif
