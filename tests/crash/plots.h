/* SPDX-License-Identifier: Apache-2.0 */
/* What transactions over several arrays do in crash-several, and what there is
 * before and after it. */
#ifndef TEST_CRASH_PLOTS_H
#define TEST_CRASH_PLOTS_H

#include <atomiczarr.h>
#include <stdbool.h>

#define PLOT_ARRAYS 5
#define PLOT_LENGTH 12 /* three chunks of four, at first */
#define PLOT_MOST   24
#define PLOT_MARK   5000 /* what a writer puts into element 1 */

typedef struct values {
    int length[PLOT_ARRAYS]; /* -1: there is no array */
    int attribute[PLOT_ARRAYS];
    int32_t v[PLOT_ARRAYS][PLOT_MOST];
} values;

typedef struct plot {
    const char *name;
    int format;
    bool creates_last, creates_all;
    bool shrinks; /* array 0 */
    int (*run)(azr_array **a, int arrays, const char *root, azr_error *err);
    void (*expect)(values *x, int arrays);
} plot;

/* Each array gives to the next one; nothing comes or goes. */
extern const plot plot_transfer;
/* The same with chunks as they are stored. */
extern const plot plot_chunks;
/* Appends, attributes and a write. */
extern const plot plot_growth;
/* Array 0 is cut, with another array growing, and others cut and grown again. */
extern const plot plot_shrink;
/* The last array is created, others grow. */
extern const plot plot_create, plot_create_v2;
/* All are. */
extern const plot plot_create_all;
extern const plot plot_append_all;

/* Durability of what is created, as of the others. */
extern bool plot_power;

/* Does the plot create array k (of so many)? */
bool plot_creates(const plot *p, int arrays, int k);
void plot_path(char out[256], const char *root, int k);
bool plot_failed(const char *what, int rc, const azr_error *err);
bool plot_make(const char *path, const plot *p, bool power);
/* An array of another rank, all of it PLOT_MARK. Not *made: there is one. */
bool plot_make_square(const char *path, bool *made);
/* Image of array k, read in `txn` or (NULL) alone. */
int plot_read(azr_txn *txn, azr_array *a, values *out, int k, azr_error *err);
/* A plain Zarr reader: every chunk of the shape that the document tells is there.
 * (All elements differ from the fill value.) */
bool plot_is_plain(const char *path, const plot *p);

#endif
