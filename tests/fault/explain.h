/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_FAULT_EXPLAIN_H
#define TEST_FAULT_EXPLAIN_H

#include "fault/inject.h"

#include <atomiczarr.h>

/* "There is no such file" where there is one, or the other way round, or it ends
 * here: no library can know better. */
bool is_lie(int error, call c);

/* Is this the documented answer to this failure? Complains if not. `c` is the
 * call that failed; CALLS: memory. */
bool explains(int rc, const azr_error *err, int error, call c);

#endif
