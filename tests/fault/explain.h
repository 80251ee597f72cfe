/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_FAULT_EXPLAIN_H
#define TEST_FAULT_EXPLAIN_H

#include "fault/inject.h"

#include <atomiczarr.h>

/* Is this the documented answer to this failure? Complains if not. `c` is the
 * call that failed; CALLS: memory. */
bool explains(int rc, const azr_error *err, const inject_plan *p, call c);

#endif
