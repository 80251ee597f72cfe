/* SPDX-License-Identifier: Apache-2.0 */
/* What the ledgers of power cuts have in common. */
#ifndef TEST_POWER_LEDGER_H
#define TEST_POWER_LEDGER_H

#include <stdio.h>

/* Seconds since some point in the past. */
double ledger_seconds(void);
/* Two lines: which source, on what machine. */
void ledger_place(FILE *f);
/* One field: no tabulators, no new lines. */
void ledger_text(FILE *f, const char *text);

#endif
