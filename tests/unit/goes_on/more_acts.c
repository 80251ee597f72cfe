/* SPDX-License-Identifier: Apache-2.0 */
#include "goes_on.h"

#include "crash/coverage.h"
#include "fault/inject.h"
#include "fault/look.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --------------------------------------------------------------- elements --- */

int open_read(actor *x, azr_error *err)
{
    return open_array(&x->a, x, "a", 0, err);
}

static int with_big(actor *x, azr_error *err)
{
    return open_array(&x->a, x, "big", AZR_OPEN_WRITE, err);
}

int with_a_and_x(actor *x, azr_error *err)
{
    int rc = with_a(x, err);

    return rc < 0 ? rc : open_array(&x->b, x, "g/x", AZR_OPEN_WRITE, err);
}

static int read_points(actor *x, azr_error *err)
{
    static const int64_t at[] = {45, 3, 17, 3};
    azr_selection s = azr_select_points(1, at, 4);
    int32_t v[4] = {0};
    int rc = azr_array_read(x->a, &s, v, sizeof v, err);

    for (int i = 0; rc == AZR_OK && i < 4; i++)
        expect(v[i], at[i] + 1, "a point");
    return rc;
}

static int read_backwards(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {-10}, {AZR_TO_END});
    int32_t v[10] = {0};
    azr_memory m = backwards(v, 10);
    int64_t shape = 0;
    int rc = azr_array_read_shape(x->a, &s, &m, &shape, err);

    if (rc == AZR_OK && shape != 46)
        (void)complain("length %" PRId64, shape);
    for (int i = 0; rc == AZR_OK && i < 10; i++)
        expect(v[i], 46 - i, "an element");
    return rc;
}

static int write_points(actor *x, azr_error *err)
{
    static const int64_t at[] = {45, 3, 17, 3};
    azr_selection s = azr_select_points(1, at, 4);
    const int32_t v[4] = {-1, -2, -3, -4};

    return azr_array_write(x->a, &s, v, sizeof v, err);
}

static int write_backwards(actor *x, azr_error *err)
{
    static const int64_t shape[1] = {46};
    azr_selection s = AZR_BOX_STEP(1, {2}, {10}, {3});
    int32_t v[10];
    azr_memory m = backwards(v, 10);

    for (int i = 0; i < 10; i++)
        v[i] = 700 + i;
    return azr_array_write_shape(x->a, &s, &m, shape, err);
}

static int add_one(void *values, size_t nbytes, void *arg)
{
    int32_t *v = values;

    (void)arg;
    for (size_t i = 0; i < nbytes / sizeof *v; i++)
        v[i]++;
    return 0;
}

static int update_of_shape(actor *x, azr_error *err)
{
    static const int64_t shape[1] = {46};
    azr_selection s = AZR_BOX(1, {30}, {AZR_TO_END});

    return azr_array_update_shape(x->a, &s, shape, add_one, NULL, err);
}

int go_on(uint64_t done, uint64_t total, void *arg)
{
    (void)arg;
    return total > 0 && done > total; /* 0: it is not known */
}

static int write_shared(actor *x, azr_error *err)
{
    azr_share_options o = AZR_SHARE_OPTIONS_INIT;
    azr_array *mine = NULL;
    int rc;

    o.timeout_ms = 0;
    o.progress = go_on;
    rc = azr_array_share(&mine, x->a, &o, err);
    if (rc == AZR_OK)
        rc = write_box(mine, 3, 21, 4000, err);
    azr_array_close(mine);
    return rc;
}

static int read_large_part(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {100000}, {1000});
    static int32_t v[1000];
    int rc;

    memset(v, -1, sizeof v); /* it was never written: zeros */
    rc = azr_array_read(x->a, &s, v, sizeof v, err);
    for (int i = 0; rc == AZR_OK && i < 1000; i++)
        expect(v[i], 0, "an element");
    return rc;
}

static int write_large_part(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {-3}, {3}); /* its end is in the picture */
    const int32_t v[3] = {1, 2, 3};

    return azr_array_write(x->a, &s, v, sizeof v, err);
}

static int with_mode(actor *x, uint32_t sync, azr_error *err)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    char path[256];

    o.flags = AZR_OPEN_WRITE;
    o.sync = sync;
    o.threads = 1;
    o.timeout_ms = 0;
    x->plain = true;
    place(path, x->root, "b");
    return azr_array_open(&x->a, path, &o, err);
}

static int with_plain(actor *x, azr_error *err)
{
    return with_mode(x, AZR_SYNC_NONE, err);
}

static int with_chunks(actor *x, azr_error *err)
{
    return with_mode(x, AZR_SYNC_CHUNK, err);
}

static int write_part(actor *x, azr_error *err)
{
    return write_box(x->a, 5, 7, 9000, err);
}

static int zero_chunk(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {8}, {4});
    int32_t value = 0;

    return azr_array_fill(x->a, &s, &value, sizeof value, err);
}

static int wait_for_nothing(actor *x, azr_error *err)
{
    uint64_t version = 0;
    int rc = azr_array_wait(x->a, &version, err);

    if (rc == AZR_OK && version == 0)
        (void)complain("no version");
    return rc;
}

/* ------------------------------------------------- documents of one array --- */

static int see_texts(actor *x, azr_error *err)
{
    char *text = NULL, *name = NULL;
    int rc = azr_array_attributes(x->a, &text, err);

    if (rc == AZR_OK && !strstr(text, "\"K\""))
        (void)complain("attributes %s", text);
    if (rc == AZR_OK)
        rc = azr_array_dimension_name(x->a, 0, &name, err);
    if (rc == AZR_OK && (!name || strcmp(name, "x") != 0))
        (void)complain("a name: %s", name ? name : "none");
    azr_free(name);
    azr_free(text);
    return rc;
}

static int forget_attribute(actor *x, azr_error *err)
{
    return azr_array_attribute_set(x->a, "units", NULL, err);
}

static int see_node(actor *x, azr_error *err)
{
    char path[256];
    char *text = NULL;
    int what = 0, format = 0, rc;

    place(path, x->root, "a");
    rc = azr_node_at(&what, &format, path, err);
    if (rc == AZR_OK && (what != AZR_NODE_ARRAY || format != x->format))
        (void)complain("kind %d of format %d", what, format);
    if (rc == AZR_OK)
        rc = azr_node_document(&text, path,
                               x->format == 2 ? ".zattrs" : "zarr.json", err);
    if (rc == AZR_OK && !strstr(text, "units"))
        (void)complain("its document: %s", text);
    azr_free(text);
    return rc;
}

/* What is found depends on what was left in it. */
static int look_for(actor *x, int rows, int findings, azr_error *err)
{
    azr_array_info info = {.struct_size = sizeof info};
    tally_of n = {.rows = 0}, seen = {.rows = 0};
    uint64_t chunks = 0, nbytes = 0;
    int rc = azr_array_info_get(x->a, &info, err);

    if (rc == AZR_OK)
        rc = azr_array_usage(x->a, &chunks, &nbytes, err);
    if (rc == AZR_OK)
        rc = azr_array_status(x->a, count_rows, &n, err);
    if (rc == AZR_OK)
        rc = azr_array_verify(x->a, count_finding, count_progress, &seen, err);
    if (rc < 0)
        return rc;
    expect(info.shape[0], 46, "its length");
    expect((int64_t)chunks, 12, "chunks");
    expect(nbytes >= chunks, true, "their bytes");
    expect(n.rows, rows, "rows");
    expect((int64_t)seen.done, 12, "chunks looked at");
    if (is_undisturbed(rc)) {
        expect(seen.errors, 0, "errors");
        expect(seen.findings, findings, "findings");
    }
    return rc;
}

static int look_over(actor *x, azr_error *err)
{
    return look_for(x, 0, 0, err);
}

static int look_over_dead(actor *x, azr_error *err)
{
    return look_for(x, 1, 1, err);
}

/* ----------------------------------------------------------- transactions --- */

static int begin(actor *x, azr_error *err)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;

    o.timeout_ms = 0;
    return azr_txn_begin(&x->t, &o, err);
}

static int commit(actor *x, int rc, azr_error *err)
{
    return rc < 0 ? rc : azr_txn_commit(x->t, err);
}

static int move_chunks(actor *x, azr_error *err)
{
    static const int32_t second[4] = {5, 6, 7, 8}, last_of_third = 12;
    const int64_t from = 1, to = 2, none = 3;
    void *bytes = NULL, *part = NULL;
    size_t n = 0, m = 0;
    int rc = begin(x, err);

    if (rc == AZR_OK)
        rc = azr_txn_read_chunk(x->t, x->b, &from, &bytes, &n, err);
    if (rc == AZR_OK)
        rc = azr_txn_read_chunk_part(x->t, x->b, &to, -4, 4, &part, &m, err);
    if (rc == AZR_OK && (n != 16 || m != 4))
        (void)complain("%zu bytes, and %zu", n, m);
    else if (rc == AZR_OK && (memcmp(bytes, second, 16) != 0 ||
                              memcmp(part, &last_of_third, 4) != 0))
        (void)complain("other bytes");
    if (rc == AZR_OK)
        rc = azr_txn_write_chunk(x->t, x->b, &to, bytes, n, err);
    if (rc == AZR_OK)
        rc = azr_txn_write_chunk(x->t, x->b, &none, NULL, 0, err);
    azr_free(bytes);
    azr_free(part);
    return commit(x, rc, err);
}

static int see_in_txn(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {30}, {AZR_TO_END});
    int32_t v[16] = {0};
    azr_memory m = backwards(v, 16);
    char *text = NULL;
    int64_t shape = 0;
    int rc = begin(x, err);

    if (rc == AZR_OK)
        rc = azr_txn_shape(x->t, x->a, &shape, err);
    if (rc == AZR_OK)
        rc = azr_txn_attributes(x->t, x->a, &text, err);
    if (rc == AZR_OK)
        rc = azr_txn_read_into(x->t, x->a, &s, &m, err);
    if (rc == AZR_OK) {
        expect(shape, 46, "its length");
        expect_text(text, "\"K\"");
    }
    for (int i = 0; rc == AZR_OK && i < 16; i++)
        expect(v[i], 46 - i, "an element");
    azr_free(text);
    return commit(x, rc, err);
}

/* Its own writes are read, before anybody else has them. */
static int write_in_txn(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {2}, {16}), some = AZR_BOX(1, {2}, {3});
    int32_t v[16], w[16] = {0}, five = 5;
    azr_memory m = backwards(v, 16);
    int rc = begin(x, err);

    for (int i = 0; i < 16; i++)
        v[i] = 600 + i;
    if (rc == AZR_OK)
        rc = azr_txn_write_from(x->t, x->b, &s, &m, err);
    if (rc == AZR_OK)
        rc = azr_txn_read(x->t, x->b, &s, w, sizeof w, err);
    for (int i = 0; rc == AZR_OK && i < 16; i++)
        expect(w[i], 615 - i, "what was written");
    if (rc == AZR_OK)
        rc = azr_txn_fill(x->t, x->b, &some, &five, sizeof five, err);
    if (rc == AZR_OK)
        rc = azr_txn_read(x->t, x->b, &s, w, sizeof w, err);
    for (int i = 0; rc == AZR_OK && i < 16; i++)
        expect(w[i], i < 3 ? 5 : 615 - i, "what was filled");
    return commit(x, rc, err);
}

static int change_below(actor *x, azr_error *err)
{
    const int32_t v[3] = {1, 2, 3};
    int rc = begin(x, err);

    if (rc == AZR_OK)
        rc = azr_txn_append(x->t, x->b, 0, 3, v, sizeof v, NULL, err);
    if (rc == AZR_OK)
        rc = azr_txn_set_attribute(x->t, x->b, "units", "\"Pa\"", err);
    if (rc == AZR_OK)
        rc = azr_txn_set_attribute(x->t, x->a, "units", NULL, err);
    return commit(x, rc, err);
}

static const char *const texts[4] = {
    [2] = "{\"zarr_format\": 2, \"shape\": [46], \"chunks\": [4], \"dtype\": "
          "\"<i4\", \"compressor\": null, \"fill_value\": 0, \"order\": \"C\", "
          "\"filters\": null}",
    [3] = "{\"zarr_format\": 3, \"node_type\": \"array\", \"shape\": [46], "
          "\"data_type\": \"int32\", \"chunk_grid\": {\"name\": \"regular\", "
          "\"configuration\": {\"chunk_shape\": [4]}}, \"chunk_key_encoding\": "
          "{\"name\": \"default\"}, \"fill_value\": 0, \"codecs\": [{\"name\": "
          "\"bytes\", \"configuration\": {\"endian\": \"little\"}}], "
          "\"attributes\": {\"units\": \"m\"}}"};

static int create_from(actor *x, const char *name, azr_error *err)
{
    azr_array_text text = AZR_ARRAY_TEXT_INIT;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_selection s = AZR_BOX(1, {2}, {4});
    const int32_t v[4] = {9, 8, 7, 6};
    char path[256];
    int rc = begin(x, err);

    text.zarr_format = x->format;
    text.durability = x->power ? AZR_DURABILITY_POWER : AZR_DURABILITY_PROCESS;
    text.document = texts[x->format];
    text.attributes = x->format == 2 ? "{\"units\": \"m\"}" : NULL;
    o.timeout_ms = 0;
    o.threads = 1;
    place(path, x->root, name);
    if (rc == AZR_OK)
        rc = azr_txn_create_from(x->t, &x->b, path, &text, &o, err);
    if (rc == AZR_OK)
        rc = azr_txn_write(x->t, x->b, &s, v, sizeof v, err);
    return commit(x, rc, err);
}

static int create_given(actor *x, azr_error *err)
{
    return create_from(x, "n", err);
}

static int create_given_below(actor *x, azr_error *err)
{
    return create_from(x, "g/n", err);
}

/* ---------------------------------------------- run again after conflicts --- */

#define TRIES 3 /* after so many conflicts the locks are taken first */

/* What a body does beside reading and writing one chunk. */
typedef struct body {
    actor *x;
    int tries;
    bool more, attribute, shrinks;
} body;

/* By another handle, to what is there: a commit, and nothing to be seen. */
static int disturb(body *b, azr_error *err)
{
    return ++b->tries > TRIES ? AZR_OK : write_box(b->x->b, 4, 5, 1, err);
}

static int do_more(azr_txn *t, body *b, azr_error *err)
{
    static const int64_t shorter[1] = {30};
    azr_selection far = AZR_BOX(1, {20}, {2});
    const int32_t v[2] = {7, 8};
    azr_array *a = b->x->a;
    int rc = AZR_OK;

    if (b->more && b->tries > TRIES) /* than it did before */
        rc = azr_txn_write(t, a, &far, v, sizeof v, err);
    if (rc == AZR_OK && b->attribute)
        rc = azr_txn_set_attribute(t, a, "more", "1", err);
    if (rc == AZR_OK && b->shrinks)
        rc = azr_txn_resize(t, a, 1, shorter, err);
    return rc;
}

static int run_body(azr_txn *t, void *arg, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {2}, {4}), other = AZR_BOX(1, {13}, {2});
    body *b = arg;
    int32_t v[4] = {0};
    int rc = azr_txn_read(t, b->x->a, &s, v, sizeof v, err);

    if (rc == AZR_OK)
        rc = disturb(b, err);
    if (rc == AZR_OK)
        rc = azr_txn_read(t, b->x->a, &other, v + 2, 8, err);
    v[0] += 100;
    if (rc == AZR_OK)
        rc = azr_txn_write(t, b->x->a, &s, v, sizeof v, err);
    return rc < 0 ? rc : do_more(t, b, err);
}

static int run_again(body *b, actor *x, azr_error *err)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    int rc;

    b->x = x;
    o.timeout_ms = 2000;
    rc = azr_txn_run(run_body, b, &o, err);
    if (rc == AZR_OK)
        expect(b->tries, TRIES + 1, "tries");
    return rc;
}

static int run_alike(actor *x, azr_error *err)
{
    body b = {.tries = 0};

    return run_again(&b, x, err);
}

static int run_with_more(actor *x, azr_error *err)
{
    body b = {.more = true};

    return run_again(&b, x, err);
}

static int run_with_attribute(actor *x, azr_error *err)
{
    body b = {.attribute = true};

    return run_again(&b, x, err);
}

static int run_with_resize(actor *x, azr_error *err)
{
    body b = {.shrinks = true, .more = true};

    return run_again(&b, x, err);
}

int with_a_twice(actor *x, azr_error *err)
{
    int rc = with_a(x, err);

    return rc < 0 ? rc : open_array(&x->b, x, "a", AZR_OPEN_WRITE, err);
}

/* Nothing but reads: of a handle that may not lock. */
static int look_body(azr_txn *t, void *arg, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {2}, {4}), other = AZR_BOX(1, {13}, {2});
    body *b = arg;
    int32_t v[4] = {0};
    int rc = azr_txn_read(t, b->x->a, &s, v, sizeof v, err);

    for (int i = 0; rc == AZR_OK && i < 4; i++)
        expect(v[i], i + 3, "before");
    if (rc == AZR_OK)
        rc = disturb(b, err);
    if (rc == AZR_OK)
        rc = azr_txn_read(t, b->x->a, &other, v, 8, err);
    if (rc == AZR_OK) {
        expect(v[0], 14, "after");
        expect(v[1], 15, "after");
    }
    return rc;
}

static int run_looks(actor *x, azr_error *err)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    body b = {.x = x};
    int rc;

    o.timeout_ms = 2000;
    rc = azr_txn_run(look_body, &b, &o, err);
    if (rc == AZR_OK)
        expect(b.tries, TRIES + 1, "tries");
    return rc;
}

static int with_a_to_look(actor *x, azr_error *err)
{
    int rc = open_read(x, err);

    return rc < 0 ? rc : open_array(&x->b, x, "a", AZR_OPEN_WRITE, err);
}

/* -------------------------------------------- committed, not in its place --- */

/* Somebody has made array `u` by a transaction, and died at its commit. */
static int leave_unborn(actor *x, azr_error *err)
{
    inject_plan plan = INJECT_NONE;
    int status = 0;
    char path[256];
    pid_t pid;

    (void)err;
    place(path, x->root, "u");
    if (access(path, F_OK) == 0)
        return AZR_OK; /* it is done again */
    pid = fork();
    if (pid == 0) {
        plan.kill = "row.committed";
        inject_arm(&plan);
        (void)create_from(x, "u", NULL);
        _exit(1);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status)) {
        (void)complain("nobody died");
        return AZR_EIO;
    }
    return AZR_OK;
}

static int see_unborn(actor *x, azr_error *err)
{
    char path[256];
    char *text = NULL;
    int what = 0, format = 0, rc;

    place(path, x->root, "u");
    rc = azr_node_at(&what, &format, path, err);
    if (rc == AZR_OK && (what != AZR_NODE_ARRAY || format != x->format))
        (void)complain("kind %d of format %d", what, format);
    if (rc == AZR_OK)
        rc = azr_node_document(&text, path,
                               x->format == 2 ? ".zattrs" : "zarr.json", err);
    if (rc == AZR_OK && !strstr(text, "units"))
        (void)complain("its document: %s", text);
    azr_free(text);
    return rc;
}

static int read_unborn(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {2}, {4});
    int32_t v[4] = {0};
    int rc = open_array(&x->a, x, "u", 0, err);

    if (rc == AZR_OK)
        rc = azr_array_read(x->a, &s, v, sizeof v, err);
    for (int i = 0; rc == AZR_OK && i < 4; i++)
        expect(v[i], 9 - i, "an element");
    return rc;
}

static int write_unborn(actor *x, azr_error *err)
{
    int rc = open_array(&x->a, x, "u", AZR_OPEN_WRITE, err);

    if (rc == AZR_OK)
        rc = write_box(x->a, 0, 8, 50, err);
    if (rc == AZR_OK) /* it is in no picture */
        expect_elements(x->a, 0, 8, 50);
    return rc;
}

/* ------------------------------------------------------------------ table --- */

const act more_acts[] = {
    ACT("read-points-twice", PART_A, READS, open_read, read_points),
    BOTH("read-backwards", PART_A, READS, open_read, read_backwards),
    ACT("write-points-twice", PART_A, CHANGES, with_a, write_points),
    ACT("write-backwards", PART_A, CHANGES, with_a, write_backwards),
    ACT("update-of-shape", PART_A, CHANGES, with_a, update_of_shape),
    ACT("write-shared", PART_A, CHANGES, with_a, write_shared),
    ACT("read-large-part", PART_BIG, READS, with_big, read_large_part),
    ACT("write-large-part", PART_BIG, CHANGES, with_big, write_large_part),
    BOTH("write-plain", PART_B, CHANGES, with_plain, write_part),
    ACT("zero-plain", PART_B, CHANGES, with_plain, zero_chunk),
    ACT("write-chunk", PART_B, CHANGES, with_chunks, write_part),
    ACT("zero-chunk", PART_B, CHANGES, with_chunks, zero_chunk),
    ACT("wait-for-nothing", PART_A, READS, open_read, wait_for_nothing),
    BOTH("see-texts", PART_A, READS, open_read, see_texts),
    ACT("see-texts-dead", AD, READS, open_read, see_texts),
    BOTH("forget-attribute", PART_A, CHANGES, with_a, forget_attribute),
    BOTH("see-node", PART_A, READS, NULL, see_node),
    BOTH("look-over", PART_A, READS, open_read, look_over),
    ACT("look-over-dead", AD, READS, open_read, look_over_dead),
    ACT("look-over-rubbish", PART_A | PART_LEFT, READS, open_read, look_over),
    ACT("move-chunks", AB, CHANGES, with_both, move_chunks),
    BOTH("see-in-txn", PART_A, READS, open_read, see_in_txn),
    ACT("write-in-txn", AB, CHANGES, with_both, write_in_txn),
    BOTH("change-below", AG, CHANGES, with_a_and_x, change_below),
    BOTH("run-alike", PART_A, CHANGES, with_a_twice, run_alike),
    ACT("run-with-more", PART_A, CHANGES, with_a_twice, run_with_more),
    BOTH("run-with-attribute", PART_A, CHANGES, with_a_twice,
         run_with_attribute),
    ACT("run-with-resize", PART_A, CHANGES, with_a_twice, run_with_resize),
    ACT("run-looks", PART_A, READS, with_a_twice, run_looks),
    ACT("run-looks-only", PART_A, READS, with_a_to_look, run_looks),
    BOTH("see-unborn", 0, READS, leave_unborn, see_unborn),
    BOTH("read-unborn", 0, READS, leave_unborn, read_unborn),
    BOTH("write-unborn", 0, READS, leave_unborn, write_unborn),
    BOTH("create-given", PART_A, CHANGES, NULL, create_given),
    POWER("create-given", PART_A, CHANGES, NULL, create_given),
    BOTH("create-given-below", PART_G, CHANGES, NULL, create_given_below),
    BOTH("forget-below", PART_G, CHANGES, with_x, forget_attribute),
};
const unsigned more_act_count = sizeof more_acts / sizeof more_acts[0];
