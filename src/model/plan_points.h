/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a plan that knows points; plan.c alone calls it. */
#ifndef AZRI_MODEL_PLAN_POINTS_H
#define AZRI_MODEL_PLAN_POINTS_H

#include "model/plan.h"

/* `p` holds rank, shape and chunk; `sel` is checked. Sets the rest; what it
 * allocated is the plan's, also on failure. */
AZR_CHECKED int azri_plan_points_init(azri_plan *p, const azr_selection *sel,
                                      azr_error *err);
void azri_plan_points_piece(const azri_plan *p, uint64_t i, azri_piece *out);

#endif
