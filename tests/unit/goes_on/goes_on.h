/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_UNIT_GOES_ON_H
#define TEST_UNIT_GOES_ON_H

#include "fault/acts.h"

/* Acts besides those of tests/fault. */
extern const act more_acts[];
extern const unsigned more_act_count;

#endif
