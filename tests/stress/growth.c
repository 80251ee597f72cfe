/* SPDX-License-Identifier: Apache-2.0 */
/* What changes the metadata, from many processes at once: append, resize,
 * attributes, creation; and more transactions than the table has rows. */
#include "stress.h"

#include "txn/layout.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK   8
#define WORKERS 8

typedef struct shared {
    char path[256];
    _Atomic uint64_t ready, stop, seen;
    unsigned expected;
    uint64_t count;
    _Atomic uint64_t winners, losers;
    int format;
} shared;

static shared *sh;

/* All at once: the last one to come lets everybody go. */
static void line_up(void)
{
    atomic_fetch_add(&sh->ready, 1);
    while (atomic_load(&sh->ready) < sh->expected)
        (void)sched_yield();
}

static void begin(const char *dir, const char *name, unsigned expected,
                  int64_t length)
{
    memset(sh, 0, sizeof *sh);
    (void)snprintf(sh->path, sizeof sh->path, "%s/%s.zarr", dir, name);
    sh->expected = expected;
    if (length >= 0)
        stress_create(sh->path, 1, &length, (int64_t[]){CHUNK}, 0);
}

static int64_t length_of(azr_array *a)
{
    azr_array_info info = {.struct_size = sizeof info};
    azr_error err = AZR_ERROR_INIT;

    CHECK_OK(azr_array_info_get(a, &info, &err), err);
    return info.shape[0];
}

static void spawn_all(pid_t *pids, unsigned *numbers, unsigned n,
                      void (*fn)(void *arg))
{
    for (unsigned i = 0; i < n; i++) {
        numbers[i] = i;
        pids[i] = stress_spawn(fn, &numbers[i]);
    }
}

static void join_all(const pid_t *pids, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        stress_join(pids[i]);
}

/* ---------------------------------------------------------------- append --- */

#define BLOCK 13 /* at most; not a multiple of the chunk */

/* Every block begins with its length; element k of it is tag + k. */
static uint64_t tag_of(unsigned worker, uint64_t n)
{
    return (uint64_t)(worker + 1) << 40 | n << 8;
}

static void appender(void *arg)
{
    unsigned worker = *(const unsigned *)arg;
    azr_array *a = stress_open(sh->path, AZR_OPEN_WRITE, 60000);

    line_up();
    for (uint64_t i = 0; i < sh->count; i++) {
        uint64_t v[BLOCK], w[BLOCK];
        unsigned n = 1 + (unsigned)((i + worker) % BLOCK);
        azr_error err = AZR_ERROR_INIT;
        azr_selection sel;
        int64_t offset = -1, length = n;

        for (unsigned k = 0; k < n; k++)
            v[k] = tag_of(worker, i) + k;
        CHECK_OK(azr_array_append(a, 0, n, v, n * sizeof *v, &offset, &err),
                 err);
        sel = azr_select_box(1, &offset, &length, NULL);
        CHECK_OK(azr_array_read(a, &sel, w, sizeof w, &err), err);
        CHECK(memcmp(v, w, n * sizeof *v) == 0,
              "what was appended at %" PRId64 " is not there", offset);
    }
    azr_array_close(a);
}

/* The blocks follow each other without a gap from `at` on; the last may not be
 * cut. */
static void check_blocks(const uint64_t *v, int64_t n)
{
    for (int64_t i = 0; i < n;) {
        unsigned worker = (unsigned)(v[i] >> 40) - 1;
        unsigned size =
            1 + (unsigned)(((v[i] >> 8 & 0xffffffff) + worker) % BLOCK);

        CHECK(v[i] != 0 && (v[i] & 0xff) == 0, "no block begins at %" PRId64,
              i);
        CHECK(i + size <= n, "the last block is cut");
        for (unsigned k = 0; k < size; k++)
            CHECK(v[i + k] == v[i] + k, "block at %" PRId64 " is torn", i);
        i += size;
    }
}

/* Once at least, however late it gets its turn; the others too. */
static void append_reader(void *arg)
{
    azr_array *a = stress_open(sh->path, 0, 60000);
    size_t room = (size_t)WORKERS * sh->count * BLOCK;
    uint64_t *v = calloc(room, sizeof *v);
    int64_t before = 0;

    (void)arg;
    CHECK(v, "no memory");
    line_up();
    do {
        azr_error err = AZR_ERROR_INIT;
        int64_t start = 0, length = length_of(a);
        azr_selection sel = azr_select_box(1, &start, &length, NULL);

        CHECK(length >= before, "the length went from %" PRId64 " to %" PRId64,
              before, length);
        before = length;
        CHECK_OK(azr_array_read(a, &sel, v, room * sizeof *v, &err), err);
        check_blocks(v, length);
        atomic_fetch_add(&sh->seen, 1);
    } while (!atomic_load(&sh->stop));
    free(v);
    azr_array_close(a);
}

static void appends(const char *dir, unsigned scale)
{
    unsigned numbers[WORKERS + 2];
    pid_t pids[WORKERS + 2];
    int64_t total = 0, start = 0;
    azr_error err = AZR_ERROR_INIT;
    azr_selection sel;
    azr_array *a;
    uint64_t *v;

    begin(dir, "append", WORKERS + 2, 0);
    sh->count = 25u * scale;
    spawn_all(pids, numbers, WORKERS, appender);
    spawn_all(pids + WORKERS, numbers + WORKERS, 2, append_reader);
    join_all(pids, WORKERS);
    atomic_store(&sh->stop, 1);
    join_all(pids + WORKERS, 2);
    for (unsigned w = 0; w < WORKERS; w++) {
        for (uint64_t i = 0; i < sh->count; i++)
            total += 1 + (int64_t)((i + w) % BLOCK);
    }
    a = stress_open(sh->path, AZR_OPEN_WRITE, 60000);
    CHECK(length_of(a) == total, "%" PRId64 " elements, not %" PRId64,
          length_of(a), total);
    v = calloc((size_t)total, sizeof *v);
    CHECK(v, "no memory");
    sel = azr_select_box(1, &start, &total, NULL);
    CHECK_OK(azr_array_read(a, &sel, v, (size_t)total * sizeof *v, &err), err);
    check_blocks(v, total);
    CHECK(atomic_load(&sh->seen) > 0, "nobody read");
    free(v);
    azr_array_close(a);
}

/* ---------------------------------------------------------------- resize --- */

#define SMALL 60 /* neither is a multiple of the chunk */
#define LARGE 100

static void resizer(void *arg)
{
    azr_array *a = stress_open(sh->path, AZR_OPEN_WRITE, 60000);

    (void)arg;
    line_up();
    for (uint64_t i = 0; i < sh->count; i++) {
        int64_t length = i % 2 == 0 ? LARGE : SMALL;
        azr_error err = AZR_ERROR_INIT;

        CHECK_OK(azr_array_resize(a, 1, &length, &err), err);
    }
    azr_array_close(a);
}

static void open_writer(void *arg)
{
    azr_array *a = stress_open(sh->path, AZR_OPEN_WRITE, 60000);
    azr_selection all = azr_select_all(1);
    uint64_t value = (uint64_t)(*(const unsigned *)arg + 1) << 32;

    line_up();
    while (!atomic_load(&sh->stop)) {
        azr_error err = AZR_ERROR_INIT;

        value++;
        CHECK_OK(azr_array_fill(a, &all, &value, sizeof value, &err), err);
    }
    azr_array_close(a);
}

/* What was cut off never comes back: beyond SMALL stands the same number as
 * before it, or nothing. */
static void resize_reader(void *arg)
{
    azr_array *a = stress_open(sh->path, 0, 60000);
    uint64_t v[LARGE];

    (void)arg;
    line_up();
    do {
        azr_selection all = azr_select_all(1);
        azr_error err = AZR_ERROR_INIT;

        memset(v, 0xff, sizeof v);
        CHECK_OK(azr_array_read(a, &all, v, sizeof v, &err), err);
        for (int i = 1; i < SMALL; i++)
            CHECK(v[i] == v[0], "element %d is torn", i);
        for (int i = SMALL + 1; i < LARGE; i++)
            CHECK(v[i] == v[SMALL], "element %d is torn", i);
        CHECK(v[SMALL] == 0 || v[SMALL] == UINT64_MAX || v[SMALL] == v[0],
              "beyond the old end stands what was cut off");
        atomic_fetch_add(&sh->seen, 1);
    } while (!atomic_load(&sh->stop));
    azr_array_close(a);
}

static void resizes(const char *dir, unsigned scale)
{
    unsigned numbers[5];
    pid_t pids[5];

    begin(dir, "resize", 5, SMALL);
    sh->count = 60u * scale;
    spawn_all(pids, numbers, 1, resizer);
    spawn_all(pids + 1, numbers + 1, 2, open_writer);
    spawn_all(pids + 3, numbers + 3, 2, resize_reader);
    join_all(pids, 1);
    atomic_store(&sh->stop, 1);
    join_all(pids + 1, 4);
    CHECK(atomic_load(&sh->seen) > 0, "nobody read");
}

/* ------------------------------------------------------------ attributes --- */

static void attribute_setter(void *arg)
{
    unsigned worker = *(const unsigned *)arg;
    azr_array *a = stress_open(sh->path, AZR_OPEN_WRITE, 60000);

    line_up();
    for (uint64_t i = 0; i < sh->count; i++) {
        char name[32], text[32];
        azr_error err = AZR_ERROR_INIT;

        (void)snprintf(name, sizeof name, "w%u-%" PRIu64, worker, i);
        (void)snprintf(text, sizeof text, "%" PRIu64, i);
        CHECK_OK(azr_array_attribute_set(a, name, text, &err), err);
    }
    azr_array_close(a);
}

static void attributes(const char *dir)
{
    unsigned numbers[WORKERS];
    pid_t pids[WORKERS];
    azr_error err = AZR_ERROR_INIT;
    char *text = NULL;
    azr_array *a;

    begin(dir, "attributes", WORKERS, CHUNK);
    sh->count = 12;
    spawn_all(pids, numbers, WORKERS, attribute_setter);
    join_all(pids, WORKERS);
    a = stress_open(sh->path, 0, 60000);
    CHECK_OK(azr_array_attributes(a, &text, &err), err);
    for (unsigned w = 0; w < WORKERS; w++) {
        for (unsigned i = 0; i < sh->count; i++) {
            char name[32];

            (void)snprintf(name, sizeof name, "\"w%u-%u\"", w, i);
            CHECK(strstr(text, name), "attribute %s is lost", name);
        }
    }
    azr_free(text);
    azr_array_close(a);
}

/* -------------------------------------------------------------- creation --- */

#define CREATORS 16

static void creator(void *arg)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    int rc;

    (void)arg;
    spec.zarr_format = sh->format;
    spec.rank = 1;
    spec.dtype = AZR_UINT64;
    spec.shape[0] = 4 * CHUNK;
    spec.chunks[0] = CHUNK;
    spec.codecs = "none";
    spec.attributes = "{\"made\": true}";
    line_up();
    rc = azr_array_create(&a, sh->path, &spec, &o, &err);
    if (rc == AZR_OK) {
        atomic_fetch_add(&sh->winners, 1);
    } else {
        CHECK(rc == AZR_EEXISTS, "a loser of the race: %s: %s",
              azr_status_name(rc), err.message);
        atomic_fetch_add(&sh->losers, 1);
        /* it is there, whole, at once */
        a = stress_open(sh->path, AZR_OPEN_WRITE, 60000);
    }
    CHECK(length_of(a) == 4 * CHUNK, "half an array");
    azr_array_close(a);
}

static void creations(const char *dir, unsigned rounds)
{
    unsigned numbers[CREATORS];
    pid_t pids[CREATORS];

    for (unsigned i = 0; i < rounds; i++) {
        char name[32];

        (void)snprintf(name, sizeof name, "made%u", i);
        begin(dir, name, CREATORS, -1);
        sh->format = i % 2 == 0 ? 3 : 2;
        spawn_all(pids, numbers, CREATORS, creator);
        join_all(pids, CREATORS);
        CHECK(atomic_load(&sh->winners) == 1 &&
                  atomic_load(&sh->losers) == CREATORS - 1,
              "%d creators won, %d lost", (int)atomic_load(&sh->winners),
              (int)atomic_load(&sh->losers));
    }
}

/* ------------------------------------------------------------------ rows --- */

#define CROWD 40

static int add_one(void *values, size_t nbytes, void *arg)
{
    (void)nbytes;
    (void)arg;
    ++*(uint64_t *)values;
    (void)sched_yield(); /* the others come and take rows */
    return 0;
}

static void count_up(azr_array *a)
{
    azr_selection sel = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;

    line_up();
    for (uint64_t i = 0; i < sh->count; i++)
        CHECK_OK(azr_array_update(a, &sel, add_one, NULL, &err), err);
}

static void counter(void *arg)
{
    azr_array *a = stress_open(sh->path, AZR_OPEN_WRITE, 60000);

    (void)arg;
    count_up(a);
    azr_array_close(a);
}

static void *counter_thread(void *arg)
{
    count_up(arg);
    return NULL;
}

static void counter_threads(void *arg)
{
    azr_array *a = stress_open(sh->path, AZR_OPEN_WRITE, 60000);
    pthread_t threads[CROWD];

    (void)arg;
    for (int i = 0; i < CROWD; i++)
        CHECK(pthread_create(&threads[i], NULL, counter_thread, a) == 0,
              "pthread_create");
    for (int i = 0; i < CROWD; i++)
        (void)pthread_join(threads[i], NULL);
    azr_array_close(a);
}

static uint64_t rows_of_table(void)
{
    char path[300];
    uint64_t rows = 0;
    int fd;

    (void)snprintf(path, sizeof path, "%s/.azr/state", sh->path);
    fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && pread(fd, &rows, sizeof rows, AZRI_CHANGING_AT) ==
                         (ssize_t)sizeof rows,
          "cannot read %s", path);
    (void)close(fd);
    return rows;
}

static void crowd(const char *dir, bool threads)
{
    unsigned numbers[CROWD];
    pid_t pids[CROWD];
    azr_error err = AZR_ERROR_INIT;
    azr_selection sel = azr_select_all(1);
    uint64_t v[CHUNK];
    azr_array *a;

    begin(dir, threads ? "threads" : "crowd", CROWD, CHUNK);
    sh->count = 8;
    if (threads) {
        stress_join(stress_spawn(counter_threads, NULL));
    } else {
        spawn_all(pids, numbers, CROWD, counter);
        join_all(pids, CROWD);
    }
    a = stress_open(sh->path, 0, 60000);
    CHECK_OK(azr_array_read(a, &sel, v, sizeof v, &err), err);
    CHECK(v[0] == CROWD * sh->count, "%" PRIu64 " updates are there", v[0]);
    CHECK(rows_of_table() > AZRI_ROWS_AT_FIRST, "the table did not grow");
    azr_array_close(a);
}

int main(int argc, char **argv)
{
    stress_args args;
    char dir[128];
    int64_t begun = stress_now_ns();

    stress_parse(&args, argc, argv);
    stress_deadline(500);
    sh = stress_shared(sizeof *sh);
    stress_scratch(dir, sizeof dir, true);
    if (stress_wants(&args, "append"))
        appends(dir, args.scale);
    if (stress_wants(&args, "resize"))
        resizes(dir, args.scale);
    if (stress_wants(&args, "attributes"))
        attributes(dir);
    if (stress_wants(&args, "create"))
        creations(dir, 20 * args.scale);
    if (stress_wants(&args, "crowd")) {
        crowd(dir, false);
        crowd(dir, true);
    }
    stress_cleanup(dir);
    (void)printf("growth: appends, resizes, attributes, creations by %d, a "
                 "crowd of %d, %.1f s\n",
                 CREATORS, CROWD, (double)(stress_now_ns() - begun) / 1e9);
    return 0;
}
