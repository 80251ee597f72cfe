/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AZRI_BASE_LOG_H
#define AZRI_BASE_LOG_H

#include "base/error.h"

/* One line for the user's log callback; cheap when nobody listens. */
void azri_log(int level, const char *fmt, ...) AZRI_PRINTF(2, 3);

#endif
