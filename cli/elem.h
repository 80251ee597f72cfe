/* SPDX-License-Identifier: Apache-2.0 */
/* One element: as text, as JSON, and from text. */
#ifndef CLI_ELEM_H
#define CLI_ELEM_H

#include <stdbool.h>
#include <stddef.h>

#define ELEM_TEXT_MAX   96
#define ELEM_NBYTES_MAX 16

/** Text of the element at `p`: the shortest that reads back as the same. */
void elem_text(char out[ELEM_TEXT_MAX], int dtype, const void *p);
/** The same as JSON: "NaN", "Infinity" as strings, a complex as [re, im]. */
void elem_json(char out[ELEM_TEXT_MAX], int dtype, const void *p);
/**
 * Parse `text` as an element: all of it, in the range of the type; nan and inf
 * for floating types. False: `why` says what is wrong, `*out` is unchanged.
 */
bool elem_parse(void *out, int dtype, const char *text, char *why,
                size_t why_size);

#endif
