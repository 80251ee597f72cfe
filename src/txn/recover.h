/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What recover.c (one row) and recover_several.c (rows of one transaction in several
 * arrays) share. Nobody else includes this.
 *
 * Everywhere the caller holds the SLOT byte of row `i` of `d`; those that get `fd`
 * may let go of it on that descriptor, and have it again if they return AZR_OK.
 * AZR_EBUSY (no message): somebody else is at it; the row stays.
 */
#ifndef AZRI_TXN_RECOVER_H
#define AZRI_TXN_RECOVER_H

#include "txn/txn_local.h"

/* ---- recover.c: a row by itself ---- */
/* May what the row says be relied on? Not after a restart without `power`. */
bool azri_row_is_strict(azri_domain *d, uint32_t i, uint64_t word);
AZR_CHECKED int azri_row_roll_back(azri_domain *d, uint32_t i, uint64_t word,
                                   azr_recovery *count, azr_error *err);
void azri_row_give_up(azri_domain *d, uint32_t i, uint64_t id,
                      azr_recovery *count, azr_error *why);
/* SEALED becomes COMMITTED. */
AZR_CHECKED int azri_row_unseal(azri_domain *d, uint32_t i, uint64_t word,
                                azr_error *err);
/* A COMMITTED row, or a PREPARED one whose home row is COMMITTED. */
AZR_CHECKED int azri_row_finish_one(azri_domain *d, uint32_t i, uint64_t word,
                                    azr_recovery *count, azr_error *err);
/* A PREPARED or COMMITTED row of a committed transaction, which could not be read
 * (`rc`, `why`). */
AZR_CHECKED int azri_row_finish_torn(azri_domain *d, uint32_t i, uint64_t word,
                                     int rc, azr_error *why,
                                     azr_recovery *count, azr_error *err);
/* Its record goes last, after the row: while that is PREPARED it has to be there. */
int azri_fail_record_gone(uint32_t i, azr_error *err);

/* ---- recover_several.c ---- */
/* [F-release] A home row that never committed and is about to be cleared: the
 * PREPARED rows that look to it go first. < 0: it has to stay. */
AZR_CHECKED int azri_several_release(azri_domain *d, uint32_t i, uint64_t word,
                                     azr_recovery *count, azr_error *err);
/* A COMMITTED row: a home with all the others, any other by itself. */
AZR_CHECKED int azri_several_finish_committed(azri_domain *d, uint32_t i,
                                              uint64_t word,
                                              azr_recovery *count,
                                              azr_error *err);
/* The same, and one that has a home goes with that. */
AZR_CHECKED int azri_several_finish_homed(azri_domain *d, int fd, uint32_t i,
                                          uint64_t word, azr_recovery *count,
                                          azr_error *err);
/* A PREPARED row: as its home says. */
AZR_CHECKED int azri_several_finish_prepared(azri_domain *d, int fd, uint32_t i,
                                             uint64_t word, azr_recovery *count,
                                             azr_error *err);

#endif
