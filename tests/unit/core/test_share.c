/* SPDX-License-Identifier: Apache-2.0 */
/* Handles that share an open array, what they may have of their own; waiting for a
 * change; the shape of a read and of a write. */
#include "small.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LENGTH 40 /* in chunks of 4 */

typedef struct scene {
    char dir[64], path[96];
    azr_array *a;
} scene;

static azr_error err;

static void begin_scene(scene *s, int format)
{
    azr_array_spec spec = small_line(format, LENGTH);
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;

    memset(s, 0, sizeof *s);
    small_dir(s->dir, "share");
    (void)snprintf(s->path, sizeof s->path, "%s/a", s->dir);
    o.flags = AZR_OPEN_WRITE;
    OK(azr_array_create(&s->a, s->path, &spec, &o, &err));
}

static void end_scene(scene *s)
{
    azr_array_close(s->a);
    small_dir_remove(s->dir);
}

static azr_array *share(azr_array *a, int64_t timeout_ms, azr_cancel *cancel)
{
    azr_share_options o = AZR_SHARE_OPTIONS_INIT;
    azr_array *b = NULL;

    o.timeout_ms = timeout_ms;
    o.cancel = cancel;
    OK(azr_array_share(&b, a, &o, &err));
    return b;
}

static int put(azr_array *a, int64_t i, int32_t v)
{
    azr_selection s = AZR_BOX(1, {i}, {1});

    return azr_array_write(a, &s, &v, sizeof v, &err);
}

static int32_t get(azr_array *a, int64_t i)
{
    azr_selection s = AZR_BOX(1, {i}, {1});
    int32_t v = 12345;

    OK(azr_array_read(a, &s, &v, sizeof v, &err));
    return v;
}

static void test_shares(void **state)
{
    azr_array *b, *c;
    int64_t shape = 80;
    unsigned before;
    scene s;

    (void)state;
    begin_scene(&s, 3);
    OK(put(s.a, 3, 7)); /* coders and what else is kept */
    before = count_descriptors();
    b = share(s.a, 100, NULL);
    c = share(b, 100, NULL);
    assert_int_equal(get(b, 3), 7);
    OK(put(c, 4, 8));
    assert_int_equal(get(s.a, 4), 8);
    OK(azr_array_resize(c, 1, &shape, &err));
    OK(put(s.a, 79, 9));
    /* in any order; what is left goes on */
    azr_array_close(s.a);
    azr_array_close(b);
    s.a = c;
    assert_int_equal(get(c, 79), 9);
    OK(azr_array_attribute_set(c, "x", "1", &err));
    assert_int_equal(count_descriptors(), before);
    end_scene(&s);
}

static void test_arguments(void **state)
{
    azr_share_options o = AZR_SHARE_OPTIONS_INIT;
    azr_array *b = NULL;
    scene s;

    (void)state;
    begin_scene(&s, 3);
    FAILS(azr_array_share(NULL, s.a, NULL, &err), AZR_EINVAL);
    FAILS(azr_array_share(&b, NULL, NULL, &err), AZR_EINVAL);
    o.flags = 1;
    FAILS(azr_array_share(&b, s.a, &o, &err), AZR_EINVAL);
    o.flags = 0;
    o.struct_size = 4;
    FAILS(azr_array_share(&b, s.a, &o, &err), AZR_EINVAL);
    assert_null(b);
    OK(azr_array_share(&b, s.a, NULL, &err));
    azr_array_close(b);
    end_scene(&s);
}

/* ---------------------------------------------- what is each one's own --- */

typedef struct call {
    azr_array *a;
    int rc;
} call;

static void *put_in_thread(void *arg)
{
    call *c = arg;

    c->rc = put(c->a, 0, 1);
    return NULL;
}

/* Called under the locks of chunk 0. */
static int while_held(void *values, size_t nbytes, void *arg)
{
    azr_array *a = arg, *quick = share(a, 0, NULL);
    azr_cancel *cancel = NULL;
    call c = {.rc = 1};
    pthread_t t;

    (void)values;
    (void)nbytes;
    /* not by this thread, whose own locks they are */
    c.a = quick;
    assert_int_equal(pthread_create(&t, NULL, put_in_thread, &c), 0);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(c.rc, AZR_EBUSY);
    azr_array_close(quick);

    OK(azr_cancel_new(&cancel));
    c.a = share(a, -1, cancel);
    assert_int_equal(pthread_create(&t, NULL, put_in_thread, &c), 0);
    azr_cancel_request(cancel);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(c.rc, AZR_ECANCELED);
    azr_array_close(c.a);
    azr_cancel_free(cancel);
    return AZR_OK;
}

static void test_timeout_and_token(void **state)
{
    azr_selection first = AZR_BOX(1, {0}, {4});
    scene s;

    (void)state;
    begin_scene(&s, 3);
    OK(azr_array_update(s.a, &first, while_held, s.a, &err));
    assert_int_equal(get(s.a, 0), 0);
    end_scene(&s);
}

static void test_one_handle_in_a_transaction(void **state)
{
    azr_selection first = AZR_BOX(1, {0}, {1});
    int32_t v = 5;
    azr_txn *t = NULL;
    azr_array *b;
    scene s;

    (void)state;
    begin_scene(&s, 3);
    OK(azr_txn_begin(&t, NULL, &err));
    b = share(s.a, 0, NULL);
    OK(azr_txn_write(t, b, &first, &v, sizeof v, &err));
    azr_array_close(b); /* the other one is open still */
    v = 0;
    OK(azr_txn_read(t, s.a, &first, &v, sizeof v, &err));
    assert_int_equal(v, 5);
    OK(azr_txn_commit(t, &err));
    azr_txn_free(t);
    assert_int_equal(get(s.a, 0), 5);
    end_scene(&s);
}

static void test_of_a_snapshot(void **state)
{
    azr_snapshot *snapshot = NULL;
    azr_array *b;
    scene s;

    (void)state;
    begin_scene(&s, 3);
    OK(put(s.a, 0, 3));
    OK(azr_snapshot_take(&snapshot, &s.a, 1, NULL, &err));
    b = share(azr_snapshot_array(snapshot, 0), 0, NULL);
    OK(put(s.a, 0, 4));
    assert_int_equal(get(b, 0), 3);
    FAILS(put(b, 0, 5), AZR_EPERM);
    azr_array_close(b);
    azr_snapshot_close(snapshot);
    end_scene(&s);
}

/* -------------------------------------------------------------- progress --- */

typedef struct teller {
    uint64_t calls, done, total, stop_at;
} teller;

static int tell(uint64_t done, uint64_t total, void *arg)
{
    teller *t = arg;

    t->calls++;
    t->done = done;
    t->total = total;
    return t->stop_at && done >= t->stop_at;
}

static void test_progress(void **state)
{
    azr_share_options o = AZR_SHARE_OPTIONS_INIT;
    azr_selection all = azr_select_all(1);
    int32_t v[LENGTH];
    teller t = {0};
    azr_array *b = NULL;
    scene s;

    (void)state;
    begin_scene(&s, 3);
    azr_set_threads(1); /* so that every chunk is told of */
    o.progress = tell;
    o.arg = &t;
    OK(azr_array_share(&b, s.a, &o, &err));
    for (int i = 0; i < LENGTH; i++)
        v[i] = i;
    OK(azr_array_write(b, &all, v, sizeof v, &err));
    assert_int_equal(t.calls, LENGTH / 4);
    assert_int_equal(t.done, LENGTH / 4);
    assert_int_equal(t.total, LENGTH / 4);
    t = (teller){0};
    OK(azr_array_read(b, &all, v, sizeof v, &err));
    assert_int_equal(t.calls, LENGTH / 4);
    assert_int_equal(t.done, LENGTH / 4);
    /* given up in the middle: nothing is changed */
    t = (teller){.stop_at = 3};
    for (int i = 0; i < LENGTH; i++)
        v[i] = -1;
    FAILS(azr_array_write(b, &all, v, sizeof v, &err), AZR_ECANCELED);
    assert_int_equal(t.calls, 3);
    FAILS(azr_array_read(b, &all, v, sizeof v, &err), AZR_ECANCELED);
    OK(azr_array_read(s.a, &all, v, sizeof v, &err));
    for (int i = 0; i < LENGTH; i++)
        assert_int_equal(v[i], i);
    azr_set_threads(0);
    azr_array_close(b);
    end_scene(&s);
}

/* ------------------------------------------------------- shape of a read --- */

static void test_shape_of_a_read(void **state)
{
    azr_selection all = AZR_BOX(1, {0}, {AZR_TO_END});
    int32_t v[LENGTH];
    azr_memory m = {.struct_size = sizeof m,
                    .rank = 1,
                    .data = v,
                    .nbytes = sizeof v,
                    .strides = {sizeof *v}};
    int64_t shape[1] = {0};
    scene s;

    (void)state;
    begin_scene(&s, 3);
    OK(azr_array_read_shape(s.a, &all, &m, shape, &err));
    assert_int_equal(shape[0], LENGTH);
    shape[0] = 20;
    OK(azr_array_resize(s.a, 1, shape, &err));
    shape[0] = 0;
    OK(azr_array_read_shape(s.a, &all, &m, shape, &err));
    assert_int_equal(shape[0], 20);
    shape[0] = LENGTH + 4;
    OK(azr_array_resize(s.a, 1, shape, &err));
    shape[0] = 0;
    FAILS(azr_array_read_shape(s.a, &all, &m, shape, &err), AZR_EINVAL);
    assert_int_equal(shape[0], 0);
    FAILS(azr_array_read_shape(s.a, &all, &m, NULL, &err), AZR_EINVAL);
    end_scene(&s);
}

/* Another handle has changed the shape since: nothing is written. */
static void test_shape_of_a_write(void **state)
{
    azr_selection all = AZR_BOX(1, {0}, {AZR_TO_END});
    azr_selection some = AZR_BOX(1, {0}, {4});
    int64_t before[1] = {LENGTH}, now[1] = {20};
    int32_t v[LENGTH], found[LENGTH];
    azr_memory m = {.struct_size = sizeof m,
                    .rank = 1,
                    .data = v,
                    .nbytes = sizeof v,
                    .strides = {sizeof *v}};
    scene s;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_array *b = NULL;

    (void)state;
    begin_scene(&s, 3);
    o.flags = AZR_OPEN_WRITE;
    OK(azr_array_open(&b, s.path, &o, &err));
    for (int i = 0; i < LENGTH; i++)
        v[i] = i;
    OK(azr_array_write_shape(b, &all, &m, before, &err));
    OK(azr_array_resize(s.a, 1, now, &err));
    for (int i = 0; i < LENGTH; i++)
        v[i] = -1;
    FAILS(azr_array_write_shape(b, &all, &m, before, &err), AZR_EINVAL);
    FAILS(azr_array_write_shape(b, &some, &m, before, &err), AZR_EINVAL);
    FAILS(azr_array_write_shape(b, &all, &m, NULL, &err), AZR_EINVAL);
    OK(azr_array_read(s.a, &all, found, sizeof found, &err));
    for (int i = 0; i < 20; i++)
        assert_int_equal(found[i], i);
    OK(azr_array_write_shape(b, &some, &m, now, &err));
    OK(azr_array_read(s.a, &all, found, sizeof found, &err));
    for (int i = 0; i < 20; i++)
        assert_int_equal(found[i], i < 4 ? -1 : i);
    azr_array_close(b);
    end_scene(&s);
}

/* One who grows the array while somebody updates a part of it. */
typedef struct meddler {
    const char *path;
    int calls, rc;
} meddler;

static int grow_meanwhile(void *values, size_t nbytes, void *arg)
{
    const int64_t longer = LENGTH + 4;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_array *other = NULL;
    int32_t *v = values;
    meddler *m = arg;

    o.flags = AZR_OPEN_WRITE;
    o.timeout_ms = 0;
    OK(azr_array_open(&other, m->path, &o, &err));
    m->rc = azr_array_resize(other, 1, &longer, NULL);
    azr_array_close(other);
    for (size_t i = 0; i < nbytes / sizeof *v; i++)
        v[i]++;
    m->calls++;
    return 0;
}

/* Who names a shape has it until his write is done, whatever he selects. */
static void test_shape_of_an_update(void **state)
{
    azr_selection all = AZR_BOX(1, {0}, {AZR_TO_END});
    azr_selection some = AZR_BOX(1, {0}, {4});
    const int64_t before = LENGTH, now = LENGTH + 4;
    meddler m = {.calls = 0};
    scene s;

    (void)state;
    begin_scene(&s, 3);
    m.path = s.path;
    OK(azr_array_update_shape(s.a, &some, &before, grow_meanwhile, &m, &err));
    assert_int_equal(m.rc, AZR_EBUSY);
    OK(azr_array_update(s.a, &some, grow_meanwhile, &m, &err));
    assert_int_equal(m.rc, AZR_OK);
    assert_int_equal(get(s.a, 3), 2);
    FAILS(azr_array_update_shape(s.a, &some, &before, grow_meanwhile, &m, &err),
          AZR_EINVAL);
    FAILS(azr_array_update_shape(s.a, &all, &before, grow_meanwhile, &m, &err),
          AZR_EINVAL);
    FAILS(azr_array_update_shape(s.a, &all, NULL, grow_meanwhile, &m, &err),
          AZR_EINVAL);
    assert_int_equal(m.calls, 2);
    OK(azr_array_update_shape(s.a, &all, &now, grow_meanwhile, &m, &err));
    assert_int_equal(get(s.a, 3), 3);
    assert_int_equal(get(s.a, LENGTH + 3), 1);
    end_scene(&s);
}

/* --------------------------------------------------------------- waiting --- */

/* Is there a change since? */
static bool changed(azr_array *a, uint64_t *version)
{
    uint64_t before = *version;
    azr_array *quick = share(a, 0, NULL);
    int rc = azr_array_wait(quick, version, &err);

    azr_array_close(quick);
    if (rc == AZR_OK) {
        assert_true(*version > before);
        return true;
    }
    assert_int_equal(rc, AZR_EBUSY);
    assert_int_equal(*version, before);
    return false;
}

static void what_counts(int format)
{
    azr_selection first = AZR_BOX(1, {0}, {1});
    azr_array *reader = NULL;
    uint64_t version = 0;
    int64_t shape = 44;
    int32_t v = 1;
    scene s;

    begin_scene(&s, format);
    OK(azr_array_open(&reader, s.path, NULL, &err));
    assert_true(changed(reader, &version));
    assert_false(changed(reader, &version));
    OK(put(s.a, 0, 1));
    assert_true(changed(reader, &version));
    assert_false(changed(reader, &version));
    OK(azr_array_resize(s.a, 1, &shape, &err));
    assert_true(changed(reader, &version));
    OK(azr_array_attribute_set(s.a, "x", "1", &err));
    assert_true(changed(reader, &version));
    OK(azr_array_append(s.a, 0, 1, &v, sizeof v, NULL, &err));
    assert_true(changed(reader, &version));
    OK(azr_array_read(s.a, &first, &v, sizeof v, &err));
    assert_false(changed(reader, &version));
    OK(azr_remove(s.path, NULL, &err));
    FAILS(azr_array_wait(reader, &version, &err), AZR_ENOTFOUND);
    azr_array_close(reader);
    end_scene(&s);
}

/* By a program that does not know of us. */
static void test_removed_by_others(void **state)
{
    uint64_t version = 0;
    char command[128];
    scene s;

    (void)state;
    begin_scene(&s, 3);
    OK(azr_array_wait(s.a, &version, &err));
    (void)snprintf(command, sizeof command, "rm -rf '%s'", s.path);
    assert_int_equal(system(command), 0);
    FAILS(azr_array_wait(s.a, &version, &err), AZR_ENOTFOUND);
    end_scene(&s);
}

static void test_what_counts(void **state)
{
    (void)state;
    what_counts(3);
    what_counts(2);
}

typedef struct watcher {
    azr_array *a;
    uint64_t version;
    int rc;
    int32_t seen;
} watcher;

static void *watch(void *arg)
{
    azr_selection first = AZR_BOX(1, {0}, {1});
    watcher *w = arg;

    w->rc = azr_array_wait(w->a, &w->version, NULL);
    if (w->rc == AZR_OK)
        w->rc = azr_array_read(w->a, &first, &w->seen, sizeof w->seen, NULL);
    return NULL;
}

/* What woke it is there for it. */
static void test_wakes(void **state)
{
    watcher w = {.rc = 1};
    pthread_t t;
    scene s;

    (void)state;
    begin_scene(&s, 3);
    OK(azr_array_open(&w.a, s.path, NULL, &err));
    OK(azr_array_wait(w.a, &w.version, &err));
    for (int32_t k = 1; k <= 50; k++) {
        assert_int_equal(pthread_create(&t, NULL, watch, &w), 0);
        OK(put(s.a, 0, k));
        assert_int_equal(pthread_join(t, NULL), 0);
        assert_int_equal(w.rc, AZR_OK);
        assert_int_equal(w.seen, k);
        (void)changed(w.a, &w.version);
    }
    azr_array_close(w.a);
    end_scene(&s);
}

static void test_wait_ends(void **state)
{
    azr_cancel *cancel = NULL;
    uint64_t version = 0;
    watcher w = {.rc = 1};
    pthread_t t;
    scene s;

    (void)state;
    begin_scene(&s, 3);
    OK(azr_array_wait(s.a, &version, &err));
    OK(azr_cancel_new(&cancel));
    w.a = share(s.a, -1, cancel);
    w.version = version;
    assert_int_equal(pthread_create(&t, NULL, watch, &w), 0);
    azr_cancel_request(cancel);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(w.rc, AZR_ECANCELED);
    azr_array_close(w.a);
    w.a = share(s.a, 20, NULL);
    FAILS(azr_array_wait(w.a, &version, &err), AZR_EBUSY);
    azr_array_close(w.a);
    FAILS(azr_array_wait(s.a, NULL, &err), AZR_EINVAL);
    azr_cancel_free(cancel);
    end_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_timeout_and_token),
        cmocka_unit_test(test_one_handle_in_a_transaction),
        cmocka_unit_test(test_of_a_snapshot),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_shape_of_a_read),
        cmocka_unit_test(test_shape_of_a_write),
        cmocka_unit_test(test_shape_of_an_update),
        cmocka_unit_test(test_what_counts),
        cmocka_unit_test(test_removed_by_others),
        cmocka_unit_test(test_wakes),
        cmocka_unit_test(test_wait_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
