/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka with what it wants to stand before it, a call that must succeed, and how
 * many descriptors are open. */
#ifndef TEST_UNIT_CHECKS_H
#define TEST_UNIT_CHECKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <atomiczarr.h>

#include <dirent.h>

/* Who uses it has an `azr_error err`, which is empty before the call. */
#define OK(call)                                                               \
    do {                                                                       \
        int rc_;                                                               \
        err = (azr_error)AZR_ERROR_INIT;                                       \
        rc_ = (call);                                                          \
        if (rc_ < 0)                                                           \
            fail_msg("line %d: %s: %s: %s", __LINE__, #call,                   \
                     azr_status_name(rc_), err.message);                       \
    } while (0)

/* Of this process; to be compared: the one that looks is among them. */
static inline unsigned count_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    assert_int_equal(closedir(d), 0);
    return n;
}

#endif
