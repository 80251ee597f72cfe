/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs of this directory share: files, texts, byte order. Trouble
 * that is not the library's ends the program with a line. */
#ifndef INTEROP_COMMON_H
#define INTEROP_COMMON_H

#include <atomiczarr.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_MAX 4096

_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void *need_memory(size_t nbytes);
/* The whole file, one NUL more than *nbytes_out; free() it. */
uint8_t *read_whole(const char *path, size_t *nbytes_out);
void write_whole(const char *path, const void *data, size_t nbytes);
/* printf into `out` (TEXT_MAX bytes). */
void text_of(char out[TEXT_MAX], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Elements between machine order and little-endian. */
void swap_to_little(void *data, size_t nbytes, int dtype);

/* Shape as the manifest has it: "[2,3]". */
void shape_text(char out[TEXT_MAX], const int64_t *shape, int rank);
size_t element_count(const int64_t *shape, int rank);

/* All of the array in C order, little-endian; NULL and *err set on failure. */
uint8_t *read_little(azr_array *a, const azr_array_info *info,
                     size_t *nbytes_out, azr_error *err);

#endif
