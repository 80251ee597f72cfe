/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AZRI_BASE_CANCEL_H
#define AZRI_BASE_CANCEL_H

#include "base/error.h"

#include <stdbool.h>

bool azri_canceled(const azr_cancel *c); /* NULL: never */

#endif
