/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork() of a process that is at work with a handle: the child may go on with it,
 * nobody hangs, and locks of the parent neither vanish with the child nor live on
 * in it. And one handle used by sixteen threads at once.
 */
#include "stress.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK  8
#define CHUNKS 8

static char g_path[256];
static azr_array *g_array;
static _Atomic int g_stop;
static _Atomic uint64_t g_done;

static azr_selection box(int64_t first, int64_t n)
{
    int64_t start = first * CHUNK, count = n * CHUNK;

    return azr_select_box(1, &start, &count, NULL);
}

static void put(azr_array *a, int64_t first, int64_t n, uint64_t value)
{
    azr_selection sel = box(first, n);
    azr_error err = AZR_ERROR_INIT;

    CHECK_OK(azr_array_fill(a, &sel, &value, sizeof value, &err), err);
}

/* Uniform, or it is torn. */
static uint64_t get(azr_array *a, int64_t first, int64_t n)
{
    uint64_t v[CHUNKS * CHUNK];
    azr_selection sel = box(first, n);
    azr_error err = AZR_ERROR_INIT;

    CHECK_OK(azr_array_read(a, &sel, v, sizeof v, &err), err);
    for (int64_t i = 1; i < n * CHUNK; i++)
        CHECK(v[i] == v[0], "torn");
    return v[0];
}

static int add_one(void *values, size_t nbytes, void *arg)
{
    uint64_t *v = values;

    (void)arg;
    for (size_t i = 0; i < nbytes / sizeof *v; i++)
        v[i]++;
    return 0;
}

static void update(azr_array *a, int64_t first, int64_t n)
{
    azr_selection sel = box(first, n);
    azr_error err = AZR_ERROR_INIT;

    CHECK_OK(azr_array_update(a, &sel, add_one, NULL, &err), err);
}

static void make(const char *dir, const char *name)
{
    (void)snprintf(g_path, sizeof g_path, "%s/%s.zarr", dir, name);
    stress_create(g_path, 1, (int64_t[]){CHUNKS * CHUNK}, (int64_t[]){CHUNK},
                  0);
}

/* ------------------------------------------------------------ busy parent --- */

/* Chunks 0 … 3 together, 4 … 7 one by one. */
static void *busy(void *arg)
{
    uint64_t number = (uint64_t)(uintptr_t)arg;

    for (uint64_t i = 0; !atomic_load(&g_stop); i++) {
        if (i % 3 == 0)
            (void)get(g_array, 0, 4);
        else if (i % 3 == 1)
            put(g_array, 0, 4, number << 32 | i);
        else
            update(g_array, 4 + (int64_t)(number % 4), 1);
        atomic_fetch_add(&g_done, 1);
    }
    return NULL;
}

static void child(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5; i++) {
        (void)get(g_array, 0, 4);
        put(g_array, 0, 4, (uint64_t)getpid() << 32);
        (void)get(g_array, 4, 1);
        update(g_array, 5, 1);
    }
    _exit(0); /* what the parent's threads hold is not ours to take down */
}

static void parent(void *arg)
{
    pthread_t threads[6];
    unsigned forks = *(const unsigned *)arg;
    pid_t pids[4];

    g_array = stress_open(g_path, AZR_OPEN_WRITE, 60000);
    for (uintptr_t i = 0; i < 6; i++)
        CHECK(pthread_create(&threads[i], NULL, busy, (void *)(i + 1)) == 0,
              "pthread_create");
    for (unsigned i = 0; i < forks; i++) {
        for (int k = 0; k < 4; k++)
            pids[k] = stress_spawn(child, NULL);
        for (int k = 0; k < 4; k++)
            stress_join(pids[k]);
    }
    atomic_store(&g_stop, 1);
    for (int i = 0; i < 6; i++)
        (void)pthread_join(threads[i], NULL);
    CHECK(get(g_array, 5, 1) >= forks * 20u, "updates of children are lost");
    CHECK(atomic_load(&g_done) > 0, "the parent did nothing");
    azr_array_close(g_array);
}

static void busy_parent(const char *dir, unsigned forks)
{
    make(dir, "busy");
    stress_join(stress_spawn(parent, &forks));
}

/* ----------------------------------------------------- locks and families --- */

static stress_pipe g_ready, g_go;

static void await_end(void)
{
    for (;;)
        (void)pause();
}

/* In the update's function the locks are held: fork there, and tell. */
static int fork_inside(void *values, size_t nbytes, void *arg)
{
    pid_t *pid = arg;

    (void)values;
    (void)nbytes;
    *pid = fork();
    if (*pid == 0) { /* the child: does nothing, but lives */
        stress_tell(&g_ready);
        stress_await(&g_go);
        _exit(0);
    }
    return -1;
}

static int fork_and_stay(void *values, size_t nbytes, void *arg)
{
    (void)fork_inside(values, nbytes, arg);
    await_end();
    return -1;
}

static void holder(void *arg)
{
    azr_array *a = stress_open(g_path, AZR_OPEN_WRITE, 60000);
    azr_selection sel = box(0, 2);
    azr_error err = AZR_ERROR_INIT;
    pid_t pid = 0;

    (void)arg;
    CHECK_OK(azr_array_update(a, &sel, fork_and_stay, &pid, &err), err);
}

/* The parent dies, its child lives: the locks are free at once. */
static void dead_parent(const char *dir)
{
    azr_error err = AZR_ERROR_INIT;
    azr_selection sel = box(0, 2);
    uint64_t value = 7;
    azr_array *a;
    pid_t pid;

    make(dir, "dead");
    stress_pipe_open(&g_ready);
    stress_pipe_open(&g_go);
    pid = stress_spawn(holder, NULL);
    stress_await(&g_ready);
    a = stress_open(g_path, AZR_OPEN_WRITE, 0);
    CHECK(azr_array_fill(a, &sel, &value, sizeof value, &err) == AZR_EBUSY,
          "the parent's locks do not hold beside its child");
    CHECK(kill(pid, SIGKILL) == 0, "kill: %s", strerror(errno));
    stress_join_killed(pid);
    CHECK_OK(azr_array_fill(a, &sel, &value, sizeof value, &err), err);
    stress_tell(&g_go); /* only now the child ends */
    azr_array_close(a);
}

/* The child ends, or uses the handle: the parent's locks stay. */
static int child_first(void *values, size_t nbytes, void *arg)
{
    pid_t pid = 0;
    int status;

    (void)arg;
    stress_tell(&g_go);
    (void)fork_inside(values, nbytes, &pid);
    (void)waitpid(pid, &status, 0);
    stress_tell(&g_ready);
    stress_await(&g_go); /* the other one has tried */
    return add_one(values, nbytes, NULL);
}

static void patient_holder(void *arg)
{
    azr_array *a = stress_open(g_path, AZR_OPEN_WRITE, 60000);
    azr_selection sel = box(0, 2);
    azr_error err = AZR_ERROR_INIT;

    (void)arg;
    CHECK_OK(azr_array_update(a, &sel, child_first, NULL, &err), err);
    azr_array_close(a);
}

static void dead_child(const char *dir)
{
    azr_error err = AZR_ERROR_INIT;
    azr_selection sel = box(0, 2);
    uint64_t value = 7;
    azr_array *a;
    pid_t pid;

    make(dir, "child");
    stress_pipe_open(&g_ready);
    stress_pipe_open(&g_go);
    pid = stress_spawn(patient_holder, NULL);
    stress_await(&g_ready); /* the child is there */
    stress_await(&g_ready); /* and gone */
    a = stress_open(g_path, AZR_OPEN_WRITE, 0);
    CHECK(azr_array_fill(a, &sel, &value, sizeof value, &err) == AZR_EBUSY,
          "the parent's locks went with its child");
    stress_tell(&g_go);
    stress_join(pid);
    CHECK(get(a, 0, 2) == 1, "the parent's update is lost");
    azr_array_close(a);
}

/* ------------------------------------------------- transactions stay behind --- */

static void transaction_in_child(const char *dir)
{
    azr_error err = AZR_ERROR_INIT;
    azr_selection sel = box(0, 2);
    uint64_t v[2 * CHUNK] = {0};
    azr_txn *t = NULL;
    azr_array *a;
    pid_t pid;

    make(dir, "txn");
    a = stress_open(g_path, AZR_OPEN_WRITE, 1000);
    CHECK_OK(azr_txn_begin(&t, NULL, &err), err);
    for (int i = 0; i < 2 * CHUNK; i++)
        v[i] = 5;
    CHECK_OK(azr_txn_write(t, a, &sel, v, sizeof v, &err), err);
    pid = fork();
    if (pid == 0) {
        CHECK(azr_txn_read(t, a, &sel, v, sizeof v, &err) == AZR_EINVAL,
              "a child reads in its parent's transaction");
        CHECK(azr_txn_write(t, a, &sel, v, sizeof v, &err) == AZR_EINVAL,
              "a child writes in its parent's transaction");
        CHECK(azr_txn_commit(t, &err) == AZR_EINVAL,
              "a child commits its parent's transaction");
        azr_txn_free(t);
        put(a, 4, 1, 9); /* the array's handle is another matter */
        azr_array_close(a);
        _exit(0);
    }
    stress_join(pid);
    CHECK(get(a, 0, 2) == 0, "the child committed");
    CHECK_OK(azr_txn_commit(t, &err), err);
    azr_txn_free(t);
    CHECK(get(a, 0, 2) == 5 && get(a, 4, 1) == 9, "wrong in the end");
    azr_array_close(a);
}

/* --------------------------------------------------------- sixteen threads --- */

typedef struct member {
    pthread_t id;
    uint64_t seed, updates;
} member;

static int both(azr_txn *t, void *arg, azr_error *err)
{
    uint64_t v[2 * CHUNK];
    azr_selection sel = box(6, 2);
    int rc = azr_txn_read(t, g_array, &sel, v, sizeof v, err);

    (void)arg;
    if (rc == AZR_OK) {
        (void)add_one(v, sizeof v, NULL);
        rc = azr_txn_write(t, g_array, &sel, v, sizeof v, err);
    }
    return rc;
}

static void one_of_all(member *m)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array_info info = {.struct_size = sizeof info};
    char name[16], *text = NULL;

    switch (stress_below(&m->seed, 7)) {
    case 0:
        (void)get(g_array, 0, 4);
        break;
    case 1:
        put(g_array, 0, 4, stress_random(&m->seed));
        break;
    case 2:
        update(g_array, 4, 2);
        break;
    case 3:
        CHECK_OK(azr_txn_run(both, NULL, NULL, &err), err);
        m->updates++;
        break;
    case 4:
        CHECK_OK(azr_array_info_get(g_array, &info, &err), err);
        break;
    case 5:
        (void)snprintf(name, sizeof name, "a%d",
                       (int)stress_below(&m->seed, 4));
        CHECK_OK(azr_array_attribute_set(g_array, name, "1", &err), err);
        break;
    default:
        CHECK_OK(azr_array_attributes(g_array, &text, &err), err);
        azr_free(text);
        break;
    }
}

static void *member_main(void *arg)
{
    member *m = arg;

    for (int i = 0; i < 60; i++)
        one_of_all(m);
    return NULL;
}

static void sixteen(const char *dir, uint64_t seed)
{
    member m[16];
    uint64_t updates = 0;

    make(dir, "sixteen");
    g_array = stress_open(g_path, AZR_OPEN_WRITE, 60000);
    for (uint64_t i = 0; i < 16; i++) {
        m[i] = (member){.seed = seed + i * 7919 + 1};
        CHECK(pthread_create(&m[i].id, NULL, member_main, &m[i]) == 0,
              "pthread_create");
    }
    for (int i = 0; i < 16; i++) {
        (void)pthread_join(m[i].id, NULL);
        updates += m[i].updates;
    }
    CHECK(get(g_array, 6, 2) == updates, "a transaction is lost");
    azr_array_close(g_array);
}

int main(int argc, char **argv)
{
    stress_args args;
    char dir[128];
    int64_t begun = stress_now_ns();
    unsigned forks;

    stress_parse(&args, argc, argv);
    stress_deadline(280);
    stress_scratch(dir, sizeof dir, true);
    forks = 40 * args.scale;
#if !defined(__SANITIZE_THREAD__) /* it cannot follow a fork among threads */
    if (stress_wants(&args, "busy"))
        busy_parent(dir, forks);
#endif
    if (stress_wants(&args, "parent"))
        dead_parent(dir);
    if (stress_wants(&args, "child"))
        dead_child(dir);
    if (stress_wants(&args, "txn"))
        transaction_in_child(dir);
    if (stress_wants(&args, "sixteen"))
        sixteen(dir, args.seed);
    stress_cleanup(dir);
    (void)printf("forks: seed %llu, %u forks of a busy parent, locks of parent "
                 "and child, sixteen threads, %.1f s\n",
                 (unsigned long long)args.seed, 4 * forks,
                 (double)(stress_now_ns() - begun) / 1e9);
    return 0;
}
