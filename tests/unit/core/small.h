/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of arrays and groups have in common: a directory that goes again,
 * small arrays, calls that must succeed or fail. */
#ifndef TEST_CORE_SMALL_H
#define TEST_CORE_SMALL_H

#include "os/sys.h"
#include "unit/checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A code with a text; more of it only where it matters. Who uses it has an
 * `azr_error err`. */
#define FAILS(call, expected)                                                  \
    do {                                                                       \
        int rc_;                                                               \
        err = (azr_error)AZR_ERROR_INIT;                                       \
        rc_ = (call);                                                          \
        if (rc_ != (expected) || err.code != (expected) || !err.message[0])    \
            fail_msg("line %d: %s: %s %s", __LINE__, #call,                    \
                     azr_status_name(rc_), err.message);                       \
    } while (0)

/* The code, and what the text says among other things. */
#define TELLS(call, expected, text)                                            \
    do {                                                                       \
        FAILS(call, expected);                                                 \
        if (!strstr(err.message, text))                                        \
            fail_msg("line %d: %s: \"%s\", need \"%s\"", __LINE__, #call,      \
                     err.message, text);                                       \
    } while (0)

/* A new directory, below this one. */
static inline void small_dir(char dir[64], const char *name)
{
    (void)snprintf(dir, 64, "%s-XXXXXX", name);
    assert_non_null(mkdtemp(dir));
}

static inline void small_dir_remove(const char *dir)
{
    char command[96];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

/* g_dir: a new one for each test; the table of calls is the real one afterwards. */
#define SMALL_FIXTURE(name)                                                    \
    static char g_dir[64];                                                     \
                                                                               \
    static int set_up(void **state)                                            \
    {                                                                          \
        (void)state;                                                           \
        small_dir(g_dir, name);                                                \
        return 0;                                                              \
    }                                                                          \
                                                                               \
    static int tear_down(void **state)                                         \
    {                                                                          \
        (void)state;                                                           \
        azri_sys = &azri_sys_posix;                                            \
        small_dir_remove(g_dir);                                               \
        return 0;                                                              \
    }

/* `name` in `dir`: good until eight more are asked for. */
static inline const char *small_path(const char *dir, const char *name)
{
    static char path[8][512];
    static int next;
    char *p = path[next++ % 8];

    (void)snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

/* One dimension of int32, in chunks of 4. */
static inline azr_array_spec small_line(int format, int64_t length)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;

    spec.zarr_format = format;
    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = length;
    spec.chunks[0] = 4;
    return spec;
}

#endif
