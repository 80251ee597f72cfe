/* SPDX-License-Identifier: Apache-2.0 */
/* What was tried, counted. */
#ifndef TEST_FAULT_LEDGER_H
#define TEST_FAULT_LEDGER_H

#include "fault/inject.h"

void ledger_points(unsigned index, const uint8_t *calls, unsigned points);
void ledger_add(unsigned index, call c, int error, bool for_ever, int rc);
void ledger_memory(unsigned index, bool libc, bool for_ever, int rc);
void ledger_twice(unsigned index, int rc);
/* A file for it, before anything is tried: it tells the commit and the program. */
bool ledger_open(const char *file);
/* A line of its head, if there is one. */
void ledger_head(const char *name, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Print the sums, write all of it to the file. `whole`: false if a pair of the table
 * was not tried, after saying which. */
bool ledger_close(bool whole);

#endif
