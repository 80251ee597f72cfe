/* SPDX-License-Identifier: Apache-2.0 */
/* Elements to stdout or a file, in each of the formats of `azr cat`. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "progress.h"
#include "region.h"

enum output_format {
    OUTPUT_TEXT, /* rows of the last dimension, blank lines between planes */
    OUTPUT_CSV,
    OUTPUT_NPY,
    OUTPUT_RAW,
    OUTPUT_JSON
};

/** False if `text` names none. */
bool output_format_parse(enum output_format *out, const char *text);

struct output {
    enum output_format format;
    const char *path; /* of the array */
    int dtype;
    const struct region *region;
    const void *data;
};

/** Write it all, or stop at the first error of `f` or a signal. */
void output_write(FILE *f, const struct output *out, struct progress *p);

#endif
