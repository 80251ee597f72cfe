/* SPDX-License-Identifier: Apache-2.0 */
/* One process stopped at each of its points in turn, while others do all that
 * they can: interleavings by enumeration, not by chance. */
#ifndef TEST_CRASH_INTERLEAVE_H
#define TEST_CRASH_INTERLEAVE_H

#include "crash/kill.h"

/* All return false after complain(); *n_out (NULL allowed) counts stops. */
/* A writer stops; a recovering opener, a reader and an overlapping writer come. */
bool stop_writer(op o, const kind *k, unsigned *n_out);
/* Who finishes a dead transaction stops; the same visitors. */
bool stop_recovery(op o, const kind *k, unsigned *n_out);
/* A reader stops; a writer comes and goes. */
bool stop_reader(op o, const kind *k, unsigned *n_out);
/* A reader stops; a writer comes and dies after its commit; another finishes. */
bool stop_reader_recovery(op o, const kind *k, unsigned *n_out);
/* A reader stops between two rows; see the text there. */
bool stop_reader_between_rows(const kind *k, unsigned *n_out);
/* A plain program replaces a chunk that a writer has read. */
bool replace_foreign(const kind *k, unsigned *n_out);
/* With durability power all is on stable storage before the row is sealed. */
bool sync_before_seal(const kind *k, unsigned *n_out);

#endif
