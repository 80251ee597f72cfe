/* SPDX-License-Identifier: Apache-2.0 */
/* Two arrays in a directory, as the transaction room sees them: one dimension, ten
 * chunks; and rows and records of transactions whose owners are dead, written by
 * hand. */
#ifndef TEST_TXN_WORLD_H
#define TEST_TXN_WORLD_H

#include "unit/checks.h"

#include "base/stats.h"
#include "fake.h"
#include "txn/txn_local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CELLS 10

typedef struct world {
    char dir[64];
    char path[2][96];  /* of a and b */
    azri_domain *d[2]; /* open for writing, ready */
    azri_grid grid;
    azri_patience patience;
    int durability;
    unsigned descriptors; /* of this process, before */
} world;

extern world w;
extern azr_error err;
extern const azri_patience no_time;

/* Setup: a is there. With b too, or durability power. The umask is 022. */
int world_begin(void **state);
int world_begin_two(void **state);
int world_begin_power(void **state);
int world_begin_two_power(void **state);
int world_end(void **state);
void world_open(int k, unsigned flags); /* anew, with these flags */
/* Array a once more, by somebody who may not write its `state`. */
azri_domain *open_read_only(void);
int open_state(void); /* that of a, once more; and closed again */
/* As if tx/ had not been opened yet. */
void world_without_tx(int k);
azri_state *state_of(int k);
/* A path below array k. */
const char *below(int k, const char *name);
bool is_there(int k, const char *name);
/* No lock descriptor of it stands idle: the next one has to be opened. */
void no_idle_descriptors(azri_domain *d);
azr_cancel *canceled(void); /* the caller's, and asked for already */
azri_span bytes_of(const char *text);
/* Locks on n chunks from `first` on, the look, entries. */
void prepare(azri_txn *t, uint64_t first, uint64_t n);
/* Somebody without rights, whom root can become. */
#define NOBODY 65534u

/* The code, its sub-code, and a text that has `part` in it. */
#define FAILS(call, want, want_sub, part)                                      \
    do {                                                                       \
        err = (azr_error)AZR_ERROR_INIT;                                       \
        assert_int_equal((call), (want));                                      \
        assert_int_equal(err.code, (want));                                    \
        assert_int_equal(err.sub, (want_sub));                                 \
        if (!strstr(err.message, (part)))                                      \
            fail_msg("line %d: '%s' does not say '%s'", __LINE__, err.message, \
                     (part));                                                  \
    } while (0)
/* A code that says enough. */
#define FAILS_SILENTLY(call, want)                                             \
    do {                                                                       \
        err = (azr_error)AZR_ERROR_INIT;                                       \
        assert_int_equal((call), (want));                                      \
        assert_int_equal(err.code, AZR_OK);                                    \
    } while (0)

/* A line was logged that has this in it ("warning: '", "info: '" begin one), or none
 * at all, since the begin or since that was forgotten. */
void assert_logged(const char *part);
void assert_not_logged(void);
void forget_log(void);

/* Descriptor 0 is free for the open whose path has `part` in it (NULL: any), after
 * `skip` others. */
void zero_for(const char *part, unsigned skip);
/* It was taken by that one, and has been given back; it becomes what it was. False:
 * no such open came. */
bool zero_is_back(void);

/* What azr_stats_get tells. */
#define COUNTED(name) atomic_load(&azri_stats.name)

/* ---- rows, by hand ---- */

/* A row in the making; `what` as it will stand, but for its checksum. */
typedef struct made_row {
    uint32_t row;
    uint64_t id;
    azri_what what;
    azri_who who;
    uint8_t record[4096]; /* head, entries, references */
    size_t record_nbytes; /* 0: everything stands in the row */
} made_row;

/* Of transaction `id`, that writes chunks first … last of array k. Signed as of this
 * boot; its objects are staged with the bytes "new". */
void row_make(made_row *r, int k, uint32_t row, uint64_t id, uint64_t first,
              uint64_t last);
/* The same entries in a record. */
void row_use_record(made_row *r, int k);
/* A reference to row `row` of array `other`. */
void row_refer(made_row *r, int other, uint32_t row, const char *path);
/* Into `state` of array k, and the record to its place, with good checksums. */
void row_put(const made_row *r, int k, uint32_t state);
/* Not of this boot. */
void row_age(made_row *r);
/* Below the array: where the record of such a row stands; and away with it. */
const char *record_path(uint32_t row, uint64_t id);
void remove_record(int k, uint32_t row, uint64_t id);
uint64_t word_of(int k, uint32_t row);
/* That file of array k, or chunk i, has these bytes; NULL: it is not there. */
void assert_file(int k, const char *name, const char *text);
void assert_chunk(int k, uint64_t i, const char *text);
void put_chunk(int k, uint64_t i, const char *text);
uint64_t version_of(int k);
/* Nothing in tx/, no row in use. */
void assert_clean(int k);
void put_file(const char *path, const void *bytes, size_t n);
void coords_from(const void *arg, uint64_t i, uint64_t *out); /* arg: first */
void coords_odd(const void *arg, uint64_t i, uint64_t *out);  /* 1, 3, 5, … */
uint64_t offset_of(uint64_t chunk); /* of its lock, in array a */

#endif
