/* SPDX-License-Identifier: Apache-2.0 */
/* The only heap. Counts what is in use, keeps the caller's memory cap. */
#ifndef AZRI_BASE_ALLOC_H
#define AZRI_BASE_ALLOC_H

#include "base/error.h"

/* NULL when there is no memory, the cap is met, or the size overflows. A size of
 * 0 gives a pointer that may be freed. 16-byte aligned. */
void *azri_alloc(size_t nbytes);
void *azri_calloc(size_t count, size_t nbytes); /* zeroed */
void *azri_resize(void *p, size_t nbytes);      /* p stays valid on failure */
void azri_free(void *p);
char *azri_strdup(const char *text);
char *azri_strndup(const char *text, size_t n);

uint64_t azri_heap_nbytes(void);
uint64_t azri_heap_peak_nbytes(void);

#endif
