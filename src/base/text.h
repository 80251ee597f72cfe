/* SPDX-License-Identifier: Apache-2.0 */
/* Text that others wrote, in lines that people read. */
#ifndef AZRI_BASE_TEXT_H
#define AZRI_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the UTF-8 character at p (nbytes >= 1); 0: not valid. */
size_t azri_utf8_length(const uint8_t *p, size_t nbytes);
/* Whatever would break the line, move a cursor or is no UTF-8 becomes '?'. */
void azri_one_line(char *text);

#endif
