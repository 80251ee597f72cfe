/* SPDX-License-Identifier: Apache-2.0 */
/* Five small arrays of two directories, for the tests of transactions over several
 * arrays. */
#ifndef TEST_SEVERAL_SCENE_H
#define TEST_SEVERAL_SCENE_H

#include "small.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define LENGTH 6
#define ARRAYS 5

typedef struct scene {
    char dir[64];
    char path[ARRAYS][400];
    azr_array *a[ARRAYS];
} scene;

static inline void make_at(const char *path, int durability)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    int32_t one = 100;

    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = LENGTH;
    spec.chunks[0] = 2;
    spec.durability = durability;
    assert_int_equal(azr_array_create(&a, path, &spec, NULL, &err), AZR_OK);
    assert_int_equal(azr_array_fill(a, &all, &one, sizeof one, &err), AZR_OK);
    azr_array_close(a);
}

static inline azr_array *open_at(const char *path, unsigned flags)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;

    o.flags = flags;
    o.timeout_ms = 0;
    assert_int_equal(azr_array_open(&a, path, &o, &err), AZR_OK);
    return a;
}

static inline void run_command(const char *command)
{
    assert_int_equal(system(command), 0);
}

static int g_durability = AZR_DURABILITY_PROCESS;
static bool g_in_memory; /* for what copies much */
/* What a row has to say of others does not fit into it then: it has a record. */
static bool g_long_names;

static inline void begin_scene(scene *s)
{
    char dir[64], group[96], tail[201];

    (void)snprintf(dir, sizeof dir, "%s",
                   g_in_memory ? "/dev/shm/azr-several-XXXXXX"
                               : "several-XXXXXX");
    assert_non_null(mkdtemp(dir));
    memcpy(s->dir, dir, sizeof s->dir);
    memset(tail, 'x', sizeof tail);
    (void)snprintf(group, sizeof group, "%s/group", dir);
    assert_int_equal(mkdir(group, 0777), 0);
    for (int k = 0; k < ARRAYS; k++) {
        (void)snprintf(s->path[k], sizeof s->path[k], "%s/%s%d%.*s", dir,
                       k % 2 ? "group/" : "", k, g_long_names ? 200 : 0, tail);
        make_at(s->path[k], g_durability);
        s->a[k] = open_at(s->path[k], AZR_OPEN_WRITE);
    }
}

static inline void close_arrays(scene *s)
{
    for (int k = 0; k < ARRAYS; k++) {
        azr_array_close(s->a[k]);
        s->a[k] = NULL;
    }
}

static inline void end_scene(scene *s)
{
    char command[96];

    close_arrays(s);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", s->dir);
    run_command(command);
}

static inline int get(azr_txn *txn, azr_array *a, int64_t i, int32_t *v)
{
    azr_selection s = AZR_BOX(1, {i}, {1});
    azr_error err = AZR_ERROR_INIT;

    return txn ? azr_txn_read(txn, a, &s, v, sizeof *v, &err)
               : azr_array_read(a, &s, v, sizeof *v, &err);
}

static inline int put(azr_txn *txn, azr_array *a, int64_t i, int32_t v)
{
    azr_selection s = AZR_BOX(1, {i}, {1});
    azr_error err = AZR_ERROR_INIT;

    return txn ? azr_txn_write(txn, a, &s, &v, sizeof v, &err)
               : azr_array_write(a, &s, &v, sizeof v, &err);
}

static inline void assert_value(azr_array *a, int64_t i, int32_t expected)
{
    int32_t v = 0;

    assert_int_equal(get(NULL, a, i, &v), AZR_OK);
    assert_int_equal(v, expected);
}

static inline azr_txn *begin(void)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_txn *txn = NULL;

    o.timeout_ms = 0;
    assert_int_equal(azr_txn_begin(&txn, &o, &err), AZR_OK);
    return txn;
}

static inline int commit(azr_txn *txn, azr_error *err)
{
    int rc;

    *err = (azr_error)AZR_ERROR_INIT;
    rc = azr_txn_commit(txn, err);
    azr_txn_free(txn);
    return rc;
}

#endif
