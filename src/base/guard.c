/* SPDX-License-Identifier: Apache-2.0 */
#include "base/guard.h"

#ifdef AZRI_SABOTAGE
azri_guard azri_sabotage = AZRI_GUARD_NONE;
#else
/* ISO C wants a declaration in every file. */
typedef int azri_guards_are_constant;
#endif
