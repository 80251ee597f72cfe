/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every kind of wait ends by its time-out, by azr_cancel_request, or by getting
 * what it waited for; and until then nothing has changed.
 */
#include "stress.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CHUNK  8
#define CHUNKS 4
/* On a busy machine; a wait that ignored its end would take twice that. */
#define GRACE_MS 30000

static char g_path[256];
static stress_pipe g_there, g_go;

static azr_selection box(int64_t first, int64_t n)
{
    int64_t start = first * CHUNK, count = n * CHUNK;

    return azr_select_box(1, &start, &count, NULL);
}

static int put(azr_array *a, int64_t first, int64_t n, uint64_t value,
               azr_error *err)
{
    azr_selection sel = box(first, n);

    return azr_array_fill(a, &sel, &value, sizeof value, err);
}

static int append(azr_array *a, azr_error *err)
{
    uint64_t v[CHUNK] = {9, 9, 9, 9, 9, 9, 9, 9};

    return azr_array_append(a, 0, CHUNK, v, sizeof v, NULL, err);
}

/* ---------------------------------------------------------------- holders --- */

/* What a holder does, at which store it stays, and who has to wait for it. */
typedef enum deed { WRITE_0, SHRINK, ATTRIBUTE } deed;
typedef struct wait_case {
    const char *name;
    deed deed;
    const char *stay_at;
    bool append; /* the waiter appends; otherwise it writes chunk 0 */
    bool thread; /* holder and waiter share a handle */
} wait_case;

static const wait_case cases[] = {
    {"chunks", WRITE_0, "row.what", false, false},
    {"chunks, same process", WRITE_0, "row.what", false, true},
    {"META", SHRINK, "row.what", false, false},
    {"META, same process", SHRINK, "row.what", false, true},
    {"DOC", ATTRIBUTE, "row.what", true, false},
    {"DOC, same process", ATTRIBUTE, "row.what", true, true},
    {"a committed row", WRITE_0, "row.committed", true, false},
    {"a committed row, same process", WRITE_0, "row.committed", true, true},
};

static _Thread_local const char *stay_at;

static void stay(const char *what)
{
    if (!stay_at || strcmp(what, stay_at) != 0)
        return;
    stay_at = NULL;
    stress_tell(&g_there);
    stress_await(&g_go);
}

static void staying_store64(const char *what, _Atomic uint64_t *p,
                            uint64_t value)
{
    azri_sys_posix.store64(what, p, value);
    stay(what);
}

static void staying_put(const char *what, void *dst, const void *src, size_t n)
{
    azri_sys_posix.put(what, dst, src, n);
    stay(what);
}

static void hold(azr_array *a, const wait_case *c)
{
    int64_t shape = (CHUNKS - 1) * CHUNK;
    azr_error err = AZR_ERROR_INIT;

    stay_at = c->stay_at;
    switch (c->deed) {
    case WRITE_0:
        CHECK_OK(put(a, 0, 1, 5, &err), err);
        break;
    case SHRINK:
        CHECK_OK(azr_array_resize(a, 1, &shape, &err), err);
        break;
    case ATTRIBUTE:
    default:
        CHECK_OK(azr_array_attribute_set(a, "x", "1", &err), err);
        break;
    }
}

static void holder_process(void *arg)
{
    azr_array *a = stress_open(g_path, AZR_OPEN_WRITE, 60000);

    hold(a, arg);
    azr_array_close(a);
}

typedef struct holder {
    wait_case c;
    azr_array *a;
    pthread_t thread;
    pid_t pid;
} holder;

static void *holder_thread(void *arg)
{
    const holder *h = arg;

    hold(h->a, &h->c);
    return NULL;
}

static void begin_hold(holder *h)
{
    if (h->c.thread)
        CHECK(pthread_create(&h->thread, NULL, holder_thread, h) == 0,
              "pthread_create");
    else
        h->pid = stress_spawn(holder_process, &h->c);
    stress_await(&g_there);
}

static void end_hold(holder *h)
{
    stress_tell(&g_go);
    if (h->c.thread)
        (void)pthread_join(h->thread, NULL);
    else
        stress_join(h->pid);
}

/* ---------------------------------------------------------------- waiters --- */

static azr_array *open_with(int64_t timeout_ms, azr_cancel *cancel)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;

    o.flags = AZR_OPEN_WRITE | AZR_OPEN_NO_RECOVERY;
    o.threads = 1;
    o.timeout_ms = timeout_ms;
    o.cancel = cancel;
    CHECK_OK(azr_array_open(&a, g_path, &o, &err), err);
    return a;
}

static int attempt(azr_array *a, const wait_case *c, azr_error *err)
{
    return c->append ? append(a, err) : put(a, 0, 1, 9, err);
}

static void must_time_out(azr_array *a, const wait_case *c, int64_t ms)
{
    azr_error err = AZR_ERROR_INIT;
    int64_t begun = stress_now_ns(), took;
    int rc = attempt(a, c, &err);

    took = (stress_now_ns() - begun) / 1000000;
    CHECK(rc == AZR_EBUSY, "%s: %s: %s", c->name, azr_status_name(rc),
          err.message);
    CHECK(err.message[0] != '\0', "%s: a time-out says nothing", c->name);
    CHECK(took >= ms && took < ms + GRACE_MS,
          "%s: a time-out of %" PRId64 " ms took %" PRId64, c->name, ms, took);
}

static uint64_t waits(void)
{
    azr_stats s = stress_stats();

    return s.lock_waits + s.row_waits;
}

typedef struct canceler {
    azr_cancel *cancel;
    uint64_t before;
    int64_t at_ns;
} canceler;

/* Once the other thread waits. */
static void *cancel_it(void *arg)
{
    canceler *c = arg;

    while (waits() == c->before)
        (void)sched_yield();
    c->at_ns = stress_now_ns();
    azr_cancel_request(c->cancel);
    return NULL;
}

static void must_be_canceled(azr_array *a, const wait_case *c,
                             azr_cancel *cancel)
{
    canceler k = {.cancel = cancel, .before = waits()};
    azr_error err = AZR_ERROR_INIT;
    pthread_t thread;
    int64_t took;
    int rc;

    CHECK(pthread_create(&thread, NULL, cancel_it, &k) == 0, "pthread_create");
    rc = attempt(a, c, &err);
    took = stress_now_ns();
    (void)pthread_join(thread, NULL);
    took = (took - k.at_ns) / 1000000;
    CHECK(rc == AZR_ECANCELED, "%s: %s: %s", c->name, azr_status_name(rc),
          err.message);
    CHECK(took < GRACE_MS, "%s: canceled after %" PRId64 " ms", c->name, took);
    azr_cancel_reset(cancel);
}

static void must_be_as_before(const wait_case *c)
{
    azr_array *a = open_with(60000, NULL);
    azr_array_info info = {.struct_size = sizeof info};
    azr_error err = AZR_ERROR_INIT;
    azr_selection sel = box(0, 1);
    uint64_t v[CHUNK];
    uint64_t want = strcmp(c->stay_at, "row.committed") == 0 ? 5 : 1;

    CHECK_OK(azr_array_info_get(a, &info, &err), err);
    CHECK(info.shape[0] == CHUNKS * CHUNK, "%s: the shape changed", c->name);
    CHECK_OK(azr_array_read(a, &sel, v, sizeof v, &err), err);
    CHECK(v[0] == want && v[CHUNK - 1] == want, "%s: the data changed",
          c->name);
    azr_array_close(a);
}

static void run_case(const wait_case *c, const char *dir, size_t number)
{
    azr_error err = AZR_ERROR_INIT;
    azr_cancel *cancel = NULL;
    azr_array *a, *hasty, *brief;
    holder h = {.c = *c};

    (void)snprintf(g_path, sizeof g_path, "%s/%zu.zarr", dir, number);
    stress_create(g_path, 1, (int64_t[]){CHUNKS * CHUNK}, (int64_t[]){CHUNK},
                  0);
    CHECK(azr_cancel_new(&cancel) == AZR_OK, "azr_cancel_new");
    a = open_with(60000, cancel);
    hasty = open_with(0, NULL);
    brief = open_with(150, NULL);
    CHECK_OK(put(a, 0, CHUNKS, 1, &err), err);
    h.a = a;
    begin_hold(&h);
    must_time_out(hasty, c, 0);
    must_time_out(brief, c, 150);
    must_be_canceled(a, c, cancel);
    must_be_as_before(c);
    end_hold(&h);
    CHECK_OK(attempt(a, c, &err), err);
    azr_array_close(brief);
    azr_array_close(hasty);
    azr_array_close(a);
    azr_cancel_free(cancel);
}

/* --------------------------------------------------------------- fairness --- */

#define RIVALS 8

typedef struct race {
    int64_t ns; /* from when the last one has come */
    _Atomic int64_t until_ns;
    _Atomic uint64_t done[RIVALS];
    _Atomic uint64_t started;
} race;

static race *g_race;

/* Longer while one of them has done nothing yet, and at most ten times as long. */
static bool goes_on(void)
{
    int64_t over = stress_now_ns() - atomic_load(&g_race->until_ns);
    bool all = true;

    for (unsigned i = 0; i < RIVALS; i++)
        all = all && atomic_load(&g_race->done[i]) > 0;
    return over < (all ? 0 : 10 * g_race->ns);
}

static int busy_update(void *values, size_t nbytes, void *arg)
{
    (void)nbytes;
    (void)arg;
    ++*(uint64_t *)values;
    return 0;
}

static void rival(void *arg)
{
    unsigned number = *(const unsigned *)arg;
    azr_array *a = stress_open(g_path, AZR_OPEN_WRITE, 60000);
    azr_selection sel = box(0, 2);
    azr_error err = AZR_ERROR_INIT;

    if (atomic_fetch_add(&g_race->started, 1) == RIVALS - 1)
        atomic_store(&g_race->until_ns, stress_now_ns() + g_race->ns);
    while (atomic_load(&g_race->until_ns) == 0)
        (void)sched_yield();
    while (goes_on()) {
        CHECK_OK(azr_array_update(a, &sel, busy_update, NULL, &err), err);
        atomic_fetch_add(&g_race->done[number], 1);
    }
    azr_array_close(a);
}

static void fairness(const char *dir, unsigned scale)
{
    unsigned numbers[RIVALS];
    pid_t pids[RIVALS];
    uint64_t least = UINT64_MAX, sum = 0, v[2 * CHUNK];
    azr_selection sel = box(0, 2);
    azr_error err = AZR_ERROR_INIT;
    azr_array *a;

    (void)snprintf(g_path, sizeof g_path, "%s/fair.zarr", dir);
    stress_create(g_path, 1, (int64_t[]){CHUNKS * CHUNK}, (int64_t[]){CHUNK},
                  0);
    g_race = stress_shared(sizeof *g_race);
    g_race->ns = (int64_t)scale * 2000000000;
    for (unsigned i = 0; i < RIVALS; i++) {
        numbers[i] = i;
        pids[i] = stress_spawn(rival, &numbers[i]);
    }
    for (unsigned i = 0; i < RIVALS; i++)
        stress_join(pids[i]);
    for (unsigned i = 0; i < RIVALS; i++) {
        uint64_t n = atomic_load(&g_race->done[i]);

        sum += n;
        if (n < least)
            least = n;
    }
    a = stress_open(g_path, 0, 60000);
    CHECK_OK(azr_array_read(a, &sel, v, sizeof v, &err), err);
    CHECK(v[0] == sum, "%" PRIu64 " updates of %" PRIu64 " are there", v[0],
          sum);
    CHECK(least > 0, "a worker starved");
    (void)printf("waits: %" PRIu64 " updates by %d rivals, the slowest at "
                 "%.2f of the mean\n",
                 sum, RIVALS, (double)least * RIVALS / (double)sum);
    azr_array_close(a);
}

int main(int argc, char **argv)
{
    stress_args args;
    char dir[128];
    int64_t begun = stress_now_ns();
    size_t n = sizeof cases / sizeof cases[0];

    stress_parse(&args, argc, argv);
    stress_deadline(280);
    stress_scratch(dir, sizeof dir, true);
    stress_pipe_open(&g_there);
    stress_pipe_open(&g_go);
    stress_sys = azri_sys_posix;
    stress_sys.store64 = staying_store64;
    stress_sys.put = staying_put;
    stress_hook();
    for (size_t i = 0; i < n; i++) {
        if (stress_wants(&args, cases[i].name))
            run_case(&cases[i], dir, i);
    }
    if (stress_wants(&args, "fairness"))
        fairness(dir, args.scale);
    stress_cleanup(dir);
    (void)printf("waits: %zu kinds timed out, were canceled and got through, "
                 "%.1f s\n",
                 n, (double)(stress_now_ns() - begun) / 1e9);
    return 0;
}
