/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random programs on random arrays, beside the same program on plain memory: what
 * the array reads must be what the memory holds, after every step, through a
 * second handle too. AZR_TEST_SEED replays one program.
 */
#include <atomiczarr.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 4096 /* elements of an array */

typedef struct world {
    char path[64];
    azr_array *a, *reader;
    int rank;
    int64_t shape[3], chunk[3];
    int32_t cells[MOST];
    uint64_t rng;
    int attribute; /* "number"; 0: not set */
    char text[16];
} world;

static azr_error err = AZR_ERROR_INIT;

static uint64_t current_seed;

#define OK(call)                                                               \
    do {                                                                       \
        int rc_ = (call);                                                      \
        if (rc_ < 0)                                                           \
            fail_msg("seed %llu: %s: %s %s", (unsigned long long)current_seed, \
                     #call, azr_status_name(rc_), err.message);                \
    } while (0)

static int64_t any(world *w, int64_t below)
{
    w->rng = w->rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return below > 0 ? (int64_t)((w->rng >> 33) % (uint64_t)below) : 0;
}

static int64_t elements(const world *w)
{
    int64_t n = 1;

    for (int d = 0; d < w->rank; d++)
        n *= w->shape[d];
    return n;
}

/* ------------------------------------------------------- the plain memory --- */

/* A box as numbers, and how it was asked for. */
typedef struct box {
    int64_t start[3], count[3], step[3];
    azr_selection sel;
} box;

static int32_t *cell(world *w, const box *b, const int64_t *at)
{
    int64_t i = 0;

    for (int d = 0; d < w->rank; d++)
        i = i * w->shape[d] + b->start[d] + at[d] * b->step[d];
    return &w->cells[i];
}

static int64_t box_elements(const world *w, const box *b)
{
    int64_t n = 1;

    for (int d = 0; d < w->rank; d++)
        n *= b->count[d];
    return n;
}

/* Element k of a box, C order. */
static int32_t *nth(world *w, const box *b, int64_t k)
{
    int64_t at[3] = {0};

    for (int d = w->rank; d-- > 0;) {
        at[d] = k % b->count[d];
        k /= b->count[d];
    }
    return cell(w, b, at);
}

static void ask_differently(world *w, box *b, int d)
{
    int64_t last = b->start[d] + (b->count[d] - 1) * b->step[d];

    /* the same elements with a negative start, or an open end */
    if (any(w, 3) == 0)
        b->sel.start[d] = b->start[d] - w->shape[d];
    if (b->count[d] > 0 && last + b->step[d] >= w->shape[d] && any(w, 2) == 0)
        b->sel.count[d] = AZR_TO_END;
}

static box any_box(world *w)
{
    box b;

    memset(&b, 0, sizeof b);
    for (int d = 0; d < w->rank; d++) {
        int64_t room;

        b.start[d] = any(w, w->shape[d]);
        b.step[d] = 1 + any(w, 3);
        room = (w->shape[d] - b.start[d] + b.step[d] - 1) / b.step[d];
        b.count[d] = any(w, 4) == 0 ? room : any(w, room + 1);
    }
    b.sel = azr_select_box(w->rank, b.start, b.count, b.step);
    for (int d = 0; d < w->rank; d++) {
        if (w->shape[d] > 0 && b.start[d] < w->shape[d])
            ask_differently(w, &b, d);
    }
    return b;
}

/* --------------------------------------------------------------- the steps --- */

static void check_all(world *w, azr_array *a)
{
    int32_t seen[MOST];
    azr_selection all = azr_select_all(w->rank);
    size_t n = (size_t)elements(w);

    memset(seen, 0x5a, sizeof seen);
    OK(azr_array_read(a, &all, seen, sizeof seen, &err));
    for (size_t i = 0; i < n; i++) {
        if (seen[i] != w->cells[i])
            fail_msg("seed %llu: element %zu of %zu is %d, should be %d",
                     (unsigned long long)current_seed, i, n, seen[i],
                     w->cells[i]);
    }
    if (n < MOST)
        if (seen[n] != 0x5a5a5a5a)
            fail_msg("seed %llu: rank %d, %zu elements: one more was written",
                     (unsigned long long)current_seed, w->rank, n);
}

static void check_attribute(world *w)
{
    char *text = NULL;

    OK(azr_array_attributes(w->reader, &text, &err));
    assert_non_null(strstr(text, w->attribute > 0 ? "\"number\"" : "{}"));
    if (w->attribute > 0)
        assert_non_null(strstr(text, w->text));
    azr_free(text);
}

static void step_read(world *w)
{
    box b = any_box(w);
    int32_t got[MOST];

    OK(azr_array_read(w->reader, &b.sel, got, sizeof got, &err));
    for (int64_t k = 0; k < box_elements(w, &b); k++)
        assert_int_equal(got[k], *nth(w, &b, k));
}

static void step_write(world *w)
{
    box b = any_box(w);
    int32_t values[MOST];

    for (int64_t k = 0; k < box_elements(w, &b); k++) {
        values[k] = any(w, 3) ? (int32_t)any(w, 1000) : 7;
        *nth(w, &b, k) = values[k];
    }
    OK(azr_array_write(w->a, &b.sel, values, sizeof values, &err));
}

static void step_fill(world *w)
{
    box b = any_box(w);
    int32_t value = any(w, 2) ? 7 : (int32_t)any(w, 9); /* 7: the fill value */

    for (int64_t k = 0; k < box_elements(w, &b); k++)
        *nth(w, &b, k) = value;
    OK(azr_array_fill(w->a, &b.sel, &value, sizeof value, &err));
}

static int add_one(void *values, size_t nbytes, void *arg)
{
    int32_t *v = values;

    (void)arg;
    for (size_t i = 0; i < nbytes / sizeof *v; i++)
        v[i]++;
    return 0;
}

static void step_update(world *w)
{
    box b = any_box(w);

    for (int64_t k = 0; k < box_elements(w, &b); k++)
        ++*nth(w, &b, k);
    OK(azr_array_update(w->a, &b.sel, add_one, NULL, &err));
}

static void step_points(world *w)
{
    int64_t points[3 * 20];
    int32_t values[20], got[20];
    azr_selection sel;

    if (elements(w) == 0)
        return;
    for (int i = 0; i < 20; i++) {
        int64_t at = 0;

        for (int d = 0; d < w->rank; d++) {
            int64_t p = any(w, w->shape[d]);

            points[i * w->rank + d] = p;
            at = at * w->shape[d] + p;
        }
        values[i] = (int32_t)any(w, 1000);
        w->cells[at] = values[i];
    }
    sel = azr_select_points(w->rank, points, 20);
    OK(azr_array_write(w->a, &sel, values, sizeof values, &err));
    OK(azr_array_read(w->reader, &sel, got, sizeof got, &err));
}

/* Copy the part that two shapes share. */
static void reshape(world *w, const int64_t *shape)
{
    int32_t old[MOST];
    int64_t old_shape[3], at[3] = {0}, n = 1;

    memcpy(old, w->cells, sizeof old);
    memcpy(old_shape, w->shape, sizeof old_shape);
    memcpy(w->shape, shape, sizeof w->shape);
    for (int d = 0; d < w->rank; d++)
        n *= shape[d];
    for (int64_t i = 0; i < n; i++) {
        int64_t rest = i, from = 0;
        int inside = 1;

        for (int d = w->rank; d-- > 0;) {
            at[d] = rest % shape[d];
            rest /= shape[d];
        }
        for (int d = 0; d < w->rank; d++) {
            inside = inside && at[d] < old_shape[d];
            from = from * old_shape[d] + at[d];
        }
        w->cells[i] = inside ? old[from] : 7;
    }
}

static int any_shape(world *w, int64_t shape[3])
{
    int64_t n = 1;

    memset(shape, 0, 3 * sizeof *shape);
    for (int d = 0; d < w->rank; d++) {
        shape[d] = any(w, 15);
        n *= shape[d];
    }
    return w->rank > 0 && n <= MOST;
}

static void step_resize(world *w)
{
    int64_t shape[3];

    if (!any_shape(w, shape))
        return;
    OK(azr_array_resize(w->a, w->rank, shape, &err));
    reshape(w, shape);
}

/* What is appended, in the memory already; 0: too much. */
static int grow(world *w, box *b, int *axis, int32_t *values)
{
    int64_t shape[3], n = 1;

    if (w->rank == 0)
        return 0;
    *axis = (int)any(w, w->rank);
    memcpy(shape, w->shape, sizeof shape);
    memset(b, 0, sizeof *b);
    for (int d = 0; d < w->rank; d++) {
        b->count[d] = w->shape[d];
        b->step[d] = 1;
    }
    b->start[*axis] = w->shape[*axis];
    b->count[*axis] = any(w, 6);
    shape[*axis] += b->count[*axis];
    for (int d = 0; d < w->rank; d++)
        n *= shape[d];
    if (n > MOST)
        return 0;
    reshape(w, shape);
    for (int64_t k = 0; k < box_elements(w, b); k++)
        *nth(w, b, k) = values[k] = (int32_t)any(w, 1000);
    return 1;
}

static void step_append(world *w)
{
    int32_t values[MOST];
    int64_t offset = -1;
    int axis;
    box b;

    if (!grow(w, &b, &axis, values))
        return;
    OK(azr_array_append(w->a, axis, b.count[axis], values,
                        (size_t)box_elements(w, &b) * sizeof *values, &offset,
                        &err));
    assert_int_equal(offset, b.start[axis]);
}

/* ----------------------------------------------------------- transactions --- */

static void txn_write(world *w, azr_txn *t)
{
    box b = any_box(w);
    int32_t values[MOST];

    for (int64_t k = 0; k < box_elements(w, &b); k++)
        *nth(w, &b, k) = values[k] = any(w, 3) ? (int32_t)any(w, 1000) : 7;
    OK(azr_txn_write(t, w->a, &b.sel, values, sizeof values, &err));
}

static void txn_read(world *w, azr_txn *t)
{
    box b = any_box(w);
    int32_t got[MOST];

    OK(azr_txn_read(t, w->a, &b.sel, got, sizeof got, &err));
    for (int64_t k = 0; k < box_elements(w, &b); k++) {
        if (got[k] != *nth(w, &b, k))
            fail_msg("seed %llu: element %lld of a read in a transaction is "
                     "%d, should be %d",
                     (unsigned long long)current_seed, (long long)k, got[k],
                     *nth(w, &b, k));
    }
}

static void txn_resize(world *w, azr_txn *t)
{
    int64_t shape[3], seen[3] = {0};

    if (!any_shape(w, shape))
        return;
    OK(azr_txn_resize(t, w->a, w->rank, shape, &err));
    reshape(w, shape);
    OK(azr_txn_shape(t, w->a, seen, &err));
    assert_memory_equal(seen, shape, (size_t)w->rank * sizeof *shape);
}

static void txn_append(world *w, azr_txn *t)
{
    int32_t values[MOST];
    int64_t offset = -1;
    int axis;
    box b;

    if (!grow(w, &b, &axis, values))
        return;
    OK(azr_txn_append(t, w->a, axis, b.count[axis], values,
                      (size_t)box_elements(w, &b) * sizeof *values, &offset,
                      &err));
    assert_int_equal(offset, b.start[axis]);
}

static void txn_attribute(world *w, azr_txn *t)
{
    w->attribute = 1 + (int)any(w, 1000);
    (void)snprintf(w->text, sizeof w->text, "%d", w->attribute);
    OK(azr_txn_set_attribute(t, w->a, "number", w->text, &err));
}

/* Anything, in any order, all of it or nothing. */
static void step_transaction(world *w)
{
    static void (*const steps[])(world *, azr_txn *) = {
        txn_write,  txn_write,  txn_read,      txn_read,
        txn_resize, txn_append, txn_attribute,
    };
    world before = *w;
    int n = (int)any(w, 8), keep = any(w, 3) != 0;
    azr_txn *t = NULL;

    OK(azr_txn_begin(&t, NULL, &err));
    for (int i = 0; i < n; i++)
        steps[any(w, sizeof steps / sizeof steps[0])](w, t);
    txn_read(w, t);
    if (keep) {
        OK(azr_txn_commit(t, &err));
    } else {
        before.rng = w->rng;
        *w = before;
    }
    azr_txn_free(t);
}

static void step_beyond(world *w)
{
    box b = any_box(w);
    int32_t values[MOST] = {0};
    int d;

    if (w->rank == 0)
        return;
    check_all(w, w->a); /* nothing at all is judged by the shape it knows */
    d = (int)any(w, w->rank);
    b.sel.start[d] = w->shape[d];
    b.sel.count[d] = 1;
    assert_int_equal(azr_array_write(w->a, &b.sel, values, sizeof values, &err),
                     AZR_EINVAL);
    assert_int_equal(err.sub, AZR_SUB_RANGE);
}

static void reopen(world *w)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;

    azr_array_close(w->a);
    o.flags = AZR_OPEN_WRITE;
    OK(azr_array_open(&w->a, w->path, &o, &err));
}

static void begin(world *w, uint64_t seed, const char *root)
{
    static const char *const codecs[] = {"none",  "zstd:1", "gzip:1",
                                         "blosc", "lz4",    "zlib"};
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;

    memset(w, 0, sizeof *w);
    w->rng = seed;
    (void)any(w, 2);
    (void)snprintf(w->path, sizeof w->path, "%s/%llu.zarr", root,
                   (unsigned long long)seed);
    w->rank = (int)any(w, 4);
    spec.rank = w->rank;
    spec.zarr_format = any(w, 2) ? 2 : 3;
    spec.dtype = AZR_INT32;
    spec.order = any(w, 2) ? 'F' : 'C';
    spec.big_endian = any(w, 2) != 0;
    spec.codecs = codecs[any(w, spec.zarr_format == 2 ? 6 : 4)];
    spec.fill_value = "7";
    spec.durability = any(w, 8) == 0;
    for (int d = 0; d < w->rank; d++) {
        spec.shape[d] = w->shape[d] = any(w, 16);
        spec.chunks[d] = w->chunk[d] = 1 + any(w, 6);
    }
    for (int i = 0; i < MOST; i++)
        w->cells[i] = 7;
    OK(azr_array_create(&w->a, w->path, &spec, NULL, &err));
    OK(azr_array_open(&w->reader, w->path, NULL, &err));
}

static void run_program(uint64_t seed, const char *root)
{
    static void (*const steps[])(world *) = {
        step_read,   step_write,  step_write,  step_fill,
        step_update, step_points, step_append, step_transaction,
        step_resize, step_beyond, reopen,
    };
    world w;

    current_seed = seed;
    begin(&w, seed, root);
    for (int i = 0; i < 25; i++) {
        steps[any(&w, sizeof steps / sizeof steps[0])](&w);
        check_all(&w, any(&w, 2) ? w.reader : w.a);
        check_attribute(&w);
    }
    azr_array_close(w.reader);
    azr_array_close(w.a);
}

static void test_programs(void **state)
{
    const char *replay = getenv("AZR_TEST_SEED");
    char shm[] = "/dev/shm/azr-model-XXXXXX", tmp[] = "/tmp/azr-model-XXXXXX";
    const char *root = mkdtemp(shm); /* memory is faster, where there is some */
    char command[64];
    azr_stats stats = {.struct_size = sizeof stats};

    (void)state;
    if (!root)
        root = mkdtemp(tmp);
    assert_non_null(root);
    for (uint64_t i = 0; i < 300; i++) {
        uint64_t seed = replay ? strtoull(replay, NULL, 10) : 1000 + i;

        run_program(seed, root);
        if (replay)
            break;
    }
    assert_int_equal(azr_stats_get(&stats), AZR_OK);
    assert_int_equal(stats.heap_nbytes, 0);
    (void)snprintf(command, sizeof command, "rm -rf %s", root);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_programs)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
