/* SPDX-License-Identifier: Apache-2.0 */
#include "power/act.h"

#include "core/array.h"
#include "os/file.h"
#include "power/disk.h"
#include "txn/txn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define GROUP "/d"

const char *const act_places[ACT_PLACES] = {"/d/a", "/d/b", "/d/c"};

bool act_failed(const char *what, int rc, const azr_error *err)
{
    return complain("%s: %s: %s", what, azr_status_name(rc), err->message);
}

/* ---------------------------------------------------------------- look --- */

bool view_same(const view *x, const view *y)
{
    for (int k = 0; k < ACT_PLACES; k++) {
        if (!image_same(&x->a[k], &y->a[k]))
            return false;
    }
    return x->group == y->group &&
           strcmp(x->group_attributes, y->group_attributes) == 0;
}

static bool look_at_group(view *v)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;
    char *text = NULL;
    int rc = azr_group_open(&g, GROUP, &o, &err);

    if (rc == AZR_ENOTFOUND)
        return true;
    if (rc == AZR_OK)
        rc = azr_group_attributes(g, &text, &err);
    if (rc == AZR_OK) {
        v->group = true;
        (void)snprintf(v->group_attributes, sizeof v->group_attributes, "%s",
                       text);
    }
    azr_free(text);
    azr_group_close(g);
    return rc < 0 ? act_failed("look at the group", rc, &err) : true;
}

bool act_look(view *v, const act *a)
{
    memset(v, 0, sizeof *v);
    for (int k = 0; k < a->places; k++) {
        if (!scene_snap(&v->a[k], act_places[k]))
            return false;
    }
    return look_at_group(v);
}

/* ---------------------------------------------------------------- make --- */

azr_array_spec act_spec(const act *a, bool power)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;

    spec.zarr_format = a->k.format;
    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = a->o == OP_RECORD ? SCENE_LONG : SCENE_SHORT;
    spec.chunks[0] = SCENE_CHUNK;
    spec.codecs = a->k.zstd ? "zstd:1" : "none";
    spec.attributes = "{\"units\": \"K\"}";
    spec.durability = power ? AZR_DURABILITY_POWER : AZR_DURABILITY_PROCESS;
    return spec;
}

static bool create_with(const azr_array_spec *spec, int k, unsigned flags,
                        azr_array **out)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    int rc;

    o.flags = flags;
    o.threads = 1;
    o.timeout_ms = 0;
    rc = azr_array_create(out, act_places[k], spec, &o, &err);
    return rc < 0 ? act_failed("create", rc, &err) : true;
}

static bool create(const act *a, const azr_array_spec *spec, int k,
                   azr_array **out)
{
    (void)a;
    return create_with(spec, k, 0, out);
}

bool act_create_or_open(const act *a, int k, bool power, azr_array **out)
{
    azr_array_spec spec = act_spec(a, power);

    return create_with(&spec, k, AZR_CREATE_OR_OPEN, out);
}

bool act_make_array(const act *a, int k, bool power)
{
    azr_array_spec spec = act_spec(a, power);
    azr_array *array = NULL;
    bool ok = create(a, &spec, k, &array) &&
              scene_write(array, 0, SCENE_SHORT, 1 + 500 * k);

    azr_array_close(array);
    return ok;
}

static bool make_group(const char *attributes)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_group_spec spec = AZR_GROUP_SPEC_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;
    int rc;

    spec.attributes = attributes;
    o.timeout_ms = 0;
    rc = azr_group_create(&g, GROUP, &spec, &o, &err);
    azr_group_close(g);
    return rc < 0 ? act_failed("create the group", rc, &err) : true;
}

static bool make_plain(const act *a, bool power)
{
    if (!disk_mkdir(GROUP))
        return complain("mkdir " GROUP);
    for (int k = 0; k < a->places; k++) {
        if (!act_make_array(a, k, power))
            return false;
    }
    return true;
}

/* Without a chunk, and so without a directory for them. */
static bool make_bare(const act *a, bool power)
{
    azr_array_spec spec = act_spec(a, power);
    azr_array *array = NULL;
    bool ok = disk_mkdir(GROUP) && create(a, &spec, 0, &array);

    azr_array_close(array);
    return ok || complain("make it");
}

static bool make_nothing(const act *a, bool power)
{
    (void)a;
    (void)power;
    return disk_mkdir(GROUP) || complain("mkdir " GROUP);
}

/* Two arrays in a group whose metadata is consolidated. */
static bool make_consolidated(const act *a, bool power)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;
    int rc;

    if (!make_group("{\"n\": 1}"))
        return false;
    for (int k = 0; k < a->places; k++) {
        if (!act_make_array(a, k, power))
            return false;
    }
    o.flags = AZR_OPEN_WRITE;
    rc = azr_group_open(&g, GROUP, &o, &err);
    if (rc == AZR_OK)
        rc = azr_group_consolidate(g, &err);
    azr_group_close(g);
    return rc < 0 ? act_failed("consolidate", rc, &err) : true;
}

/* Array a alone, in a group. */
static bool make_one_in_group(const act *a, bool power)
{
    return make_group("{\"n\": 1}") && act_make_array(a, 0, power);
}

/* --------------------------------------------------------------- begin --- */

static bool begin_open(const act *a, stage *s)
{
    for (int k = 0; k < a->places; k++) {
        if (!scene_open(&s->a[k], act_places[k], AZR_OPEN_WRITE))
            return false;
    }
    s->leak = a->o == OP_TABLE || a->o == OP_LANE;
    return a->o == OP_COUNT || op_prepare(s->a[0], a->o);
}

static bool begin_group(const act *a, stage *s)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    int rc;

    (void)a;
    o.flags = AZR_OPEN_WRITE;
    o.timeout_ms = 0;
    rc = azr_group_open(&s->group, GROUP, &o, &err);
    return rc < 0 ? act_failed("open the group", rc, &err) : true;
}

/* All chunks are emptied by this handle; then a plain tool takes away what has become
 * of their directory. */
static bool begin_emptied(const act *a, stage *s)
{
    azr_error err = AZR_ERROR_INIT;
    azr_selection all = azr_select_all(1);
    int32_t zero = 0;
    int rc;

    if (!begin_open(a, s))
        return false;
    rc = azr_array_fill(s->a[0], &all, &zero, sizeof zero, &err);
    if (rc < 0)
        return act_failed("fill", rc, &err);
    return azri_sys->unlinkat(AT_FDCWD, "/d/a/c", AT_REMOVEDIR) == 0 ||
           complain("take the directory of the chunks away");
}

static bool begin_nothing(const act *a, stage *s)
{
    (void)a;
    (void)s;
    return true;
}

void act_end(stage *s)
{
    if (s->leak)
        disk_forget_process();
    for (int k = 0; k < ACT_PLACES && !s->leak; k++)
        azr_array_close(s->a[k]);
    if (!s->leak)
        azr_group_close(s->group);
    memset(s, 0, sizeof *s);
}

/* --------------------------------------------------------------- steps --- */

static bool step_op(const act *a, stage *s, int step)
{
    (void)step;
    return op_run(act_places[0], s->a[0], a->o, &a->k);
}

/* The same chunks twice, and others. */
static bool step_again(const act *a, stage *s, int step)
{
    static const int64_t first[] = {2, 0, 2}, end[] = {6, 12, 6};

    (void)a;
    return scene_write(s->a[0], first[step], end[step], 1000 * (step + 2));
}

/* Chunks are emptied and written again. */
static bool step_empty(const act *a, stage *s, int step)
{
    azr_error err = AZR_ERROR_INIT;
    azr_selection box = AZR_BOX(1, {0}, {12});
    int32_t zero = 0;
    int rc;

    if (step != 0)
        return scene_write(s->a[0], 2, 9, 3000);
    (void)a;
    rc = azr_array_fill(s->a[0], &box, &zero, sizeof zero, &err);
    return rc < 0 ? act_failed("fill", rc, &err) : true;
}

/* … by rows whose words are not in one sector: a row that was cleared must not
 * come back beside the next one. */
static bool begin_apart(const act *a, stage *s)
{
    azri_patience patience = azri_patience_from(0, NULL);
    azr_error err = AZR_ERROR_INIT;

    if (!begin_open(a, s))
        return false;
    s->leak = true;
    for (int i = 0; i < 72;
         i++) { /* rows from 1 on; then the first is let go */
        azri_txn *t = NULL;
        int rc = azri_txn_begin(&t, s->a[0]->d, &patience, &err);

        if (rc < 0)
            return act_failed("begin", rc, &err);
        if (i == 0)
            azri_txn_end(t);
    }
    return true;
}

static bool step_apart(const act *a, stage *s, int step)
{
    azri_patience patience = azri_patience_from(0, NULL);
    azr_error err = AZR_ERROR_INIT;
    azri_txn *t = NULL;
    int rc;

    if (step == 0)
        return step_empty(a, s, 0);
    rc = azri_txn_begin(&t, s->a[0]->d, &patience, &err); /* takes that row */
    return rc < 0 ? act_failed("begin", rc, &err) : step_empty(a, s, 1);
}

static bool step_documents(const act *a, stage *s, int step)
{
    static const op ops[] = {OP_APPEND, OP_ATTRIBUTE, OP_SHRINK};

    return op_run(act_places[0], s->a[0], ops[step], &a->k);
}

/* Chunks of 640 bytes: two sectors, the second one not full. */
static bool make_large(const act *a, bool power)
{
    azr_array_spec spec = act_spec(a, power);
    azr_array *array = NULL;
    bool ok;

    if (!disk_mkdir(GROUP))
        return complain("mkdir " GROUP);
    spec.shape[0] = SCENE_LENGTH;
    spec.chunks[0] = 160;
    ok = create(a, &spec, 0, &array) && scene_write(array, 0, SCENE_LENGTH, 1);
    azr_array_close(array);
    return ok;
}

static bool step_large(const act *a, stage *s, int step)
{
    (void)a;
    return step == 0 ? scene_write(s->a[0], 100, 180, 2000)
                     : scene_write(s->a[0], 150, 170, 3000);
}

static int begin_txn(azr_txn **txn, azr_error *err)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;

    o.timeout_ms = 0;
    return azr_txn_begin(txn, &o, err);
}

static int write_several(const act *a, stage *s, int step, azr_error *err)
{
    azr_selection box = AZR_BOX(1, {2}, {4});
    azr_txn *txn = NULL;
    int32_t v[4];
    int rc = begin_txn(&txn, err);

    for (int k = 0; k < a->places && rc == AZR_OK; k++) {
        for (int i = 0; i < 4; i++)
            v[i] = 5000 + 1000 * step + 100 * k + i;
        rc = azr_txn_write(txn, s->a[k], &box, v, sizeof v, err);
        if (rc == AZR_OK && (a->flags & ACT_DOCUMENTS) && k == 1)
            rc = azr_txn_append(txn, s->a[k], 0, 4, v, sizeof v, NULL, err);
    }
    if (rc == AZR_OK && (a->flags & ACT_DOCUMENTS))
        rc = azr_txn_set_attribute(txn, s->a[0], "units", "\"mm\"", err);
    if (rc == AZR_OK)
        rc = azr_txn_commit(txn, err);
    azr_txn_free(txn);
    return rc;
}

/* Writes, an append and an attribute over all arrays. */
static bool step_several(const act *a, stage *s, int step)
{
    azr_error err = AZR_ERROR_INIT;
    int rc = write_several(a, s, step, &err);

    return rc < 0 ? act_failed("transaction", rc, &err) : true;
}

/* … and then each of them alone: that syncs the clearing of its row, and no other. */
static bool step_apart_from(const act *a, stage *s, int step)
{
    return step == 0 ? step_several(a, s, 0)
                     : scene_write(s->a[2 - step], 6, 12, 4000 * step);
}

/* --------------------------------------------------- calls that fail --- */

/* The table with one call, or two, in the place of others. */
static struct {
    const struct azri_sys *below;
    struct azri_sys table;
    unsigned prepared, written;
} g_fails;

static void fails_begin(void)
{
    memset(&g_fails, 0, sizeof g_fails);
    g_fails.below = azri_sys;
    g_fails.table = *azri_sys;
    azri_sys = &g_fails.table;
}

static void fails_end(void)
{
    azri_sys = g_fails.below;
}

static void count_prepared(const char *what, _Atomic uint64_t *p,
                           uint64_t value)
{
    g_fails.below->store64(what, p, value);
    g_fails.prepared += strcmp(what, "row.prepared") == 0;
}

/* The one after the second row that is PREPARED, once: then it stands as it is, or
 * as it was. */
static int fail_sync(int fd)
{
    if (g_fails.prepared != 2)
        return g_fails.below->fdatasync(fd);
    g_fails.prepared++;
    errno = EIO;
    return -1;
}

/* A transaction over three arrays cannot be prepared in the last of them: it is taken
 * back in the two that are. */
static bool step_unprepared(const act *a, stage *s, int step)
{
    azr_error err = AZR_ERROR_INIT;
    int rc;

    fails_begin();
    g_fails.table.store64 = count_prepared;
    g_fails.table.fdatasync = fail_sync;
    rc = write_several(a, s, step, &err);
    fails_end();
    if (rc != (s->power ? AZR_EIO : AZR_OK))
        return complain("a sync that failed: %s", azr_status_name(rc));
    return true;
}

static ssize_t fail_write(int fd, const void *buf, size_t n, off_t off)
{
    if (g_fails.written++ > 0)
        return g_fails.below->pwrite(fd, buf, n, off);
    errno = ENOSPC;
    return -1;
}

/* A write that fails, after it has made a directory; and one that does not. */
static bool step_full(const act *a, stage *s, int step)
{
    azr_selection box = AZR_BOX(1, {4}, {4});
    azr_error err = AZR_ERROR_INIT;
    int32_t v[4] = {1, 2, 3, 4};
    int rc;

    (void)a;
    if (step != 0)
        return scene_write(s->a[0], 4, 8, 4000);
    fails_begin();
    g_fails.table.pwrite = fail_write;
    rc = azr_array_write(s->a[0], &box, v, sizeof v, &err);
    fails_end();
    return rc == AZR_EIO || complain("a full disk: %s", azr_status_name(rc));
}

/* ------------------------------------------------------------ creation --- */

/* The last array is created by a transaction that writes the others. */
static bool make_but_last(const act *a, bool power)
{
    act fewer = *a;

    fewer.places--;
    return make_plain(&fewer, power);
}

static bool begin_but_last(const act *a, stage *s)
{
    act fewer = *a;

    fewer.places--;
    return begin_open(&fewer, s);
}

static bool step_create_in(const act *a, stage *s, int step)
{
    azr_array_spec spec = act_spec(a, s->power);
    azr_selection box = AZR_BOX(1, {2}, {4});
    azr_error err = AZR_ERROR_INIT;
    azr_txn *txn = NULL;
    int32_t v[4] = {7, 8, 9, 10};
    int last = a->places - 1;
    int rc = begin_txn(&txn, &err);

    (void)step;
    for (int k = 0; k < last && rc == AZR_OK; k++)
        rc = azr_txn_write(txn, s->a[k], &box, v, sizeof v, &err);
    if (rc == AZR_OK)
        rc = azr_txn_create_array(txn, &s->a[last], act_places[last], &spec,
                                  NULL, &err);
    if (rc == AZR_OK)
        rc = azr_txn_write(txn, s->a[last], &box, v, sizeof v, &err);
    if (rc == AZR_OK)
        rc = azr_txn_commit(txn, &err);
    azr_txn_free(txn);
    return rc < 0 ? act_failed("transaction", rc, &err) : true;
}

static bool step_create(const act *a, stage *s, int step)
{
    azr_array_spec spec = act_spec(a, s->power);

    return step == 0 ? create(a, &spec, 0, &s->a[0])
                     : scene_write(s->a[0], 2, 9, 4000);
}

/* ------------------------------------------------------- nodes as wholes --- */

static bool step_remove(const act *a, stage *s, int step)
{
    azr_error err = AZR_ERROR_INIT;
    int rc = azr_remove(act_places[0], NULL, &err);

    (void)a;
    (void)s;
    (void)step;
    return rc < 0 ? act_failed("remove", rc, &err) : true;
}

static bool step_move(const act *a, stage *s, int step)
{
    azr_error err = AZR_ERROR_INIT;
    int rc = azr_move(act_places[step], act_places[step + 1], NULL, &err);

    (void)a;
    (void)s;
    return rc < 0 ? act_failed("move", rc, &err) : true;
}

static bool step_replace(const act *a, stage *s, int step)
{
    azr_array_spec spec = act_spec(a, s->power);
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    int rc;

    if (step == 1)
        return scene_write(s->a[0], 2, 9, 4000);
    spec.shape[0] = 30;
    o.threads = 1;
    o.flags = AZR_CREATE_REPLACE;
    rc = azr_array_create(&s->a[0], act_places[0], &spec, &o, &err);
    return rc < 0 ? act_failed("replace", rc, &err) : true;
}

static bool step_copy(const act *a, stage *s, int step)
{
    azr_copy_options o = AZR_COPY_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    int rc = azr_copy(act_places[0], act_places[1], &o, NULL, &err);

    (void)a;
    (void)s;
    (void)step;
    return rc < 0 ? act_failed("copy", rc, &err) : true;
}

static bool step_snapshot(const act *a, stage *s, int step)
{
    azr_snapshot *snap = NULL;
    azr_error err = AZR_ERROR_INIT;
    int rc;

    if (step == 1)
        return scene_write(s->a[0], 2, 9, 4000);
    rc = azr_snapshot_take(&snap, s->a, (size_t)a->places, NULL, &err);
    azr_snapshot_close(snap);
    return rc < 0 ? act_failed("snapshot", rc, &err) : true;
}

static bool step_group(const act *a, stage *s, int step)
{
    azr_error err = AZR_ERROR_INIT;
    int rc;

    (void)a;
    rc = step == 0 ? azr_group_attribute_set(s->group, "n", "2", &err)
                   : azr_group_consolidate(s->group, &err);
    return rc < 0 ? act_failed("group", rc, &err) : true;
}

static bool step_make_group(const act *a, stage *s, int step)
{
    (void)a;
    (void)s;
    (void)step;
    return make_group("{\"n\": 3}");
}

/* From `process` to `power`: what was written before is safe from then on. */
static bool make_unsynced(const act *a, bool power)
{
    (void)power;
    return make_plain(a, false);
}

static bool step_durability(const act *a, stage *s, int step)
{
    azr_error err = AZR_ERROR_INIT;
    int rc;

    (void)a;
    if (step != 0)
        return scene_write(s->a[0], 2, 9, 4000);
    disk_log_commits(0);
    if (!scene_write(s->a[0], 10, 19, 6000))
        return false;
    rc = azr_array_set_durability(s->a[0], AZR_DURABILITY_POWER, &err);
    return rc < 0 ? act_failed("set durability", rc, &err) : true;
}

static int refuse_rename(int from_dir, const char *from, int to_dir,
                         const char *to, unsigned flags)
{
    (void)from_dir;
    (void)from;
    (void)to_dir;
    (void)to;
    (void)flags;
    errno = EIO;
    return -1;
}

/* A row of two objects stays COMMITTED, and both are staged. */
static bool leave_row(void)
{
    const struct azri_sys *saved = azri_sys;
    struct azri_sys table = *azri_sys;
    azr_array *a = NULL;
    bool ok = scene_open(&a, act_places[0], AZR_OPEN_WRITE);

    table.renameat2 = refuse_rename;
    azri_sys = &table;
    ok = ok && scene_write(a, 2, 6, 8000);
    azri_sys = saved;
    azr_array_close(a);
    return ok;
}

/* The header of `state` is gone. */
static bool make_damaged(const act *a, bool power)
{
    static const char nothing[64] = {0};
    azr_error err = AZR_ERROR_INIT;
    int fd = -1;
    bool ok = make_plain(a, power) &&
              (!(a->flags & ACT_LOSES) || leave_row()) &&
              azri_open_at(&fd, AT_FDCWD, "/d/a/.azr/state", O_RDWR, 0, &err) ==
                  AZR_OK &&
              azri_pwrite_full(fd, nothing, sizeof nothing, 0, "state", &err) ==
                  AZR_OK;

    azri_close(fd);
    return ok || complain("damage it");
}

static bool step_mend(const act *a, stage *s, int step)
{
    (void)a;
    if (step != 0)
        return scene_write(s->a[0], 1, 5, 4000);
    return scene_open(&s->a[0], act_places[0], AZR_OPEN_WRITE);
}

/* ---------------------------------------------------------------- table --- */

#define V3                                                                     \
    {                                                                          \
        3, false, true                                                         \
    }
#define V2                                                                     \
    {                                                                          \
        2, true, true                                                          \
    }

static const act table[] = {
    {"write", OP_WRITE_1, V3, 1, 1, make_plain, begin_open, step_op, 0},
    {"write 2 chunks", OP_WRITE_2, V3, 1, 1, make_plain, begin_open, step_op,
     0},
    {"write 2 chunks, v2", OP_WRITE_2, V2, 1, 1, make_plain, begin_open,
     step_op, 0},
    {"write 8 chunks", OP_WRITE_8, V3, 1, 1, make_plain, begin_open, step_op,
     0},
    {"write 45 chunks", OP_RECORD, V3, 1, 1, make_plain, begin_open, step_op,
     0},
    {"empty chunks", OP_DELETE, V3, 1, 1, make_plain, begin_open, step_op, 0},
    {"fill", OP_FILL, V2, 1, 1, make_plain, begin_open, step_op, 0},
    {"update", OP_UPDATE, V3, 1, 1, make_plain, begin_open, step_op, 0},
    {"a larger table", OP_TABLE, V3, 1, 1, make_plain, begin_open, step_op, 0},
    {"a lane", OP_LANE, V3, 1, 1, make_plain, begin_open, step_op, 0},
    {"append", OP_APPEND, V3, 1, 1, make_plain, begin_open, step_op,
     ACT_DOCUMENTS},
    {"append, v2", OP_APPEND, V2, 1, 1, make_plain, begin_open, step_op,
     ACT_DOCUMENTS},
    {"grow", OP_GROW, V3, 1, 1, make_plain, begin_open, step_op, ACT_DOCUMENTS},
    {"shrink", OP_SHRINK, V3, 1, 1, make_plain, begin_open, step_op,
     ACT_DOCUMENTS},
    {"attribute", OP_ATTRIBUTE, V2, 1, 1, make_plain, begin_open, step_op,
     ACT_DOCUMENTS},
    {"write thrice", OP_COUNT, V3, 1, 3, make_plain, begin_open, step_again, 0},
    {"large chunks", OP_COUNT, V3, 1, 2, make_large, begin_open, step_large, 0},
    {"empty and write", OP_COUNT, V3, 1, 2, make_plain, begin_open, step_empty,
     0},
    {"rows apart", OP_COUNT, V3, 1, 2, make_plain, begin_apart, step_apart, 0},
    {"documents", OP_COUNT, V3, 1, 3, make_plain, begin_open, step_documents,
     ACT_DOCUMENTS},
    {"two arrays", OP_COUNT, V3, 2, 2, make_plain, begin_open, step_several, 0},
    {"two arrays, one departs", OP_COUNT, V3, 2, 3, make_plain, begin_open,
     step_apart_from, ACT_DEPARTS | ACT_TRASH},
    {"three arrays", OP_COUNT, V2, 3, 1, make_plain, begin_open, step_several,
     ACT_DOCUMENTS},
    {"create", OP_COUNT, V3, 1, 2, make_nothing, begin_nothing, step_create,
     ACT_DOCUMENTS | ACT_CREATES},
    {"create, v2", OP_COUNT, V2, 1, 2, make_nothing, begin_nothing, step_create,
     ACT_DOCUMENTS | ACT_CREATES},
    {"create in a transaction", OP_COUNT, V3, 2, 1, make_but_last,
     begin_but_last, step_create_in, ACT_DOCUMENTS | ACT_CREATES},
    {"create in a transaction, v2", OP_COUNT, V2, 2, 1, make_but_last,
     begin_but_last, step_create_in, ACT_DOCUMENTS | ACT_CREATES},
    {"build state anew", OP_COUNT, V3, 1, 1, make_damaged, begin_nothing,
     step_mend, ACT_DAMAGED},
    {"build state anew, a row left", OP_COUNT, V3, 1, 2, make_damaged,
     begin_nothing, step_mend, ACT_DAMAGED | ACT_LOSES},
    {"durability", OP_COUNT, V3, 1, 2, make_unsynced, begin_open,
     step_durability, ACT_UNSYNCED},
    {"remove", OP_COUNT, V3, 1, 1, make_plain, begin_nothing, step_remove,
     ACT_DOCUMENTS | ACT_TRASH},
    {"move", OP_COUNT, V3, 3, 2, make_one_in_group, begin_nothing, step_move,
     ACT_DOCUMENTS},
    {"replace", OP_COUNT, V3, 1, 2, make_plain, begin_nothing, step_replace,
     ACT_DOCUMENTS | ACT_TRASH},
    {"copy", OP_COUNT, V3, 2, 1, make_one_in_group, begin_nothing, step_copy,
     ACT_DOCUMENTS | ACT_TRASH},
    {"snapshot", OP_COUNT, V3, 1, 2, make_plain, begin_open, step_snapshot, 0},
    {"create a group", OP_COUNT, V3, 0, 1, NULL, begin_nothing, step_make_group,
     ACT_DOCUMENTS},
    {"group", OP_COUNT, V3, 2, 2, make_consolidated, begin_group, step_group,
     ACT_DOCUMENTS | ACT_CONSOLIDATED},
    {"below consolidated", OP_COUNT, V3, 2, 3, make_consolidated, begin_open,
     step_documents, ACT_DOCUMENTS | ACT_CONSOLIDATED},
    {"remove below consolidated", OP_COUNT, V3, 2, 1, make_consolidated,
     begin_nothing, step_remove, ACT_DOCUMENTS | ACT_TRASH | ACT_CONSOLIDATED},
    {"replace below consolidated", OP_COUNT, V3, 1, 2, make_consolidated,
     begin_nothing, step_replace, ACT_DOCUMENTS | ACT_TRASH | ACT_CONSOLIDATED},
    {"killed in a write", OP_WRITE_2, V3, 1, 1, make_plain, begin_open, step_op,
     ACT_KILLED},
    {"killed in 45 chunks", OP_RECORD, V3, 1, 1, make_plain, begin_open,
     step_op, ACT_KILLED},
    {"killed in emptying", OP_DELETE, V3, 1, 1, make_plain, begin_open, step_op,
     ACT_KILLED},
    {"killed in an append", OP_APPEND, V3, 1, 1, make_plain, begin_open,
     step_op, ACT_DOCUMENTS | ACT_KILLED},
    {"killed in two arrays", OP_COUNT, V3, 2, 1, make_plain, begin_open,
     step_several, ACT_KILLED},
    {"killed in two arrays, one departs", OP_COUNT, V3, 2, 1, make_plain,
     begin_open, step_several, ACT_KILLED | ACT_DEPARTS | ACT_TRASH},
    {"three arrays, a sync fails", OP_COUNT, V3, 3, 1, make_plain, begin_open,
     step_unprepared, ACT_DEPARTS | ACT_TRASH},
    {"its directory goes", OP_WRITE_2, V3, 1, 1, make_plain, begin_emptied,
     step_op, 0},
    {"killed as it had gone", OP_WRITE_2, V3, 1, 1, make_plain, begin_emptied,
     step_op, ACT_KILLED},
    {"a write fails, then one", OP_COUNT, V3, 1, 2, make_bare, begin_open,
     step_full, 0},
    {"killed in the first write", OP_WRITE_2, V3, 1, 1, make_bare, begin_open,
     step_op, ACT_KILLED},
    {"killed in a create", OP_COUNT, V3, 1, 1, make_nothing, begin_nothing,
     step_create, ACT_DOCUMENTS | ACT_CREATES | ACT_KILLED},
};

const act *act_at(unsigned i)
{
    return i < sizeof table / sizeof table[0] ? &table[i] : NULL;
}
