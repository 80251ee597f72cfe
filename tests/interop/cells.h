/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix: every array that other implementations must read as we do, made
 * from the library's own tables of data types and codecs. A codec of the
 * registry for which nothing is said here ends the program.
 */
#ifndef INTEROP_CELLS_H
#define INTEROP_CELLS_H

#include "interop_common.h"

#include "model/dtype.h"

#define CELL_MAX_RANK 6

typedef struct cell_shape {
    const char *name;
    int rank;
    int64_t shape[CELL_MAX_RANK], chunks[CELL_MAX_RANK];
    bool is_blank; /* nothing is written */
    bool has_gap;  /* the chunk at the end of the first row is not */
} cell_shape;

/* What is done to a cell after it has been written. */
typedef enum cell_crash {
    CRASH_NONE,
    CRASH_WRITE,    /* other values everywhere */
    CRASH_APPEND,   /* a row more */
    CRASH_ERASE,    /* the fill value everywhere: chunks are deleted */
    CRASH_SHRINK,   /* half as many rows */
    CRASH_ATTRIBUTE /* attribute "answer" becomes 43 */
} cell_crash;

typedef struct cell {
    const char *kind; /* matrix, shape, fill, attributes, names, pending, … */
    int format;
    const azri_dtype *dtype;
    bool big_endian;
    const char *codecs; /* as in azr_array_spec */
    char order;         /* 'C', 'F', or 'P': axes moved round by one (v3) */
    char encoding, separator;
    const cell_shape *shape;
    const char *fill; /* JSON */
    const char *fill_name;
    const char *attributes, *attributes_name;
    const char *const *names;
    cell_crash crash;
    bool recovered;
} cell;

typedef void (*cell_fn)(const cell *c, void *arg);

void for_each_cell(cell_fn fn, void *arg);
/* Words with blanks between them, by which peers.tsv and reports speak of it. */
void cell_id(char out[TEXT_MAX], const cell *c);

/* Elements of the whole array as they are to be read, machine order; another
 * `seed`, other values. free() it. */
uint8_t *cell_values(const cell *c, const int64_t *shape, unsigned seed);

#endif
