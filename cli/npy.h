/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy's .npy, versions 1 to 3, without pickles: the header as a value, and
 * elements between its layout and ours (C order, byte order of the machine). */
#ifndef CLI_NPY_H
#define CLI_NPY_H

#include "cli.h"

#define NPY_HEADER_MAX 65536u /* far beyond what 32 dimensions need */

struct npy {
    int dtype;
    bool swapped; /* stored in the other byte order */
    bool fortran;
    int rank;
    int64_t shape[AZR_MAX_RANK];
    uint64_t count; /* elements; the product did not overflow */
    size_t nbytes;  /* of the elements */
};

/** Bytes in front of the header's text, given the first ten (twelve for
 *  version 2 and 3), and the length of the text. False: `why` tells. */
bool npy_preamble(const unsigned char *first, size_t *preamble_nbytes,
                  size_t *text_nbytes, char *why, size_t why_size);
/** Parse the header's text. Strict: three keys, each once, nothing else. */
bool npy_parse(struct npy *out, const char *text, size_t nbytes, char *why,
               size_t why_size);
/** Elements of `npy` at `data` to machine byte order and C order. The result is
 *  `data`, or a new block with `data` freed. */
void *npy_normalise(const struct npy *npy, void *data);
/** Write the header of version 1 that NumPy would write. */
void npy_write_header(FILE *f, int dtype, const int64_t *shape, int rank);

#endif
