/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beside processes that read and write an array a plain tool removes it, file by
 * file, and makes another one in its place: in a new directory, or in the same one.
 * Every value tells in which array it was written. Through a handle for writing
 * nobody ever sees values of two arrays, nor does a write reach the next one: it
 * ends with a documented error, and then a new handle is opened. (Holes are seen:
 * the tool deletes chunks under who reads them. And a handle that only reads, of an
 * array that no participant has opened for writing, is a plain reader:
 * docs/guarantees.md, 12 and 13.)
 */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNKS  6
#define WIDTH   4
#define LENGTH  (CHUNKS * WIDTH)
#define WORKERS 4
#define ROUNDS  200 /* times the scale */

static const char document[] =
    "{\"zarr_format\":3,\"node_type\":\"array\",\"shape\":[24],"
    "\"data_type\":\"uint64\",\"chunk_grid\":{\"name\":\"regular\","
    "\"configuration\":{\"chunk_shape\":[4]}},\"chunk_key_encoding\":{\"name\":"
    "\"default\"},\"fill_value\":0,\"codecs\":[{\"name\":\"bytes\","
    "\"configuration\":{\"endian\":\"little\"}}]}";

static struct shared {
    char path[256];
    _Atomic bool over;
    _Atomic uint64_t array; /* number of the one that stands there */
    _Atomic uint64_t reads, writes, handles, refused, holes, plain;
    _Atomic int failed;
    char message[700];
} * sh;

static void fail(const char *what, uint64_t a, uint64_t b)
{
    int none = 0;

    if (atomic_compare_exchange_strong(&sh->failed, &none, 1))
        (void)snprintf(sh->message, sizeof sh->message,
                       "%s: array %" PRIu64 ", array %" PRIu64, what, a, b);
}

/* --------------------------------------------------------------- the tool --- */

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *at)
{
    (void)st;
    (void)type;
    if (at->level > 0)
        (void)remove(path);
    return 0;
}

static int is_there(const char *path, const struct stat *st, int type,
                    struct FTW *at)
{
    (void)path;
    (void)st;
    (void)type;
    return at->level > 0;
}

/* Others may put something there while it works; it goes on until all is gone. */
static void wipe(bool directory)
{
    do {
        (void)nftw(sh->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    } while (nftw(sh->path, is_there, 16, FTW_PHYS) == 1 ||
             (directory && rmdir(sh->path) != 0 && errno != ENOENT));
}

static void put_file(const char *name, const void *data, size_t nbytes)
{
    char path[400], next[420];
    int fd;

    (void)snprintf(path, sizeof path, "%s/%s", sh->path, name);
    (void)snprintf(next, sizeof next, "%s.partial", path);
    fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    CHECK(fd >= 0 && write(fd, data, nbytes) == (ssize_t)nbytes, "%s: %s", next,
          strerror(errno));
    (void)close(fd);
    CHECK(rename(next, path) == 0, "%s: %s", path, strerror(errno));
}

static void make(uint64_t number)
{
    uint64_t values[WIDTH];
    char path[400];

    for (int k = 0; k < WIDTH; k++)
        values[k] = number << 32;
    (void)mkdir(sh->path, 0777);
    (void)snprintf(path, sizeof path, "%s/c", sh->path);
    CHECK(mkdir(path, 0777) == 0 || errno == EEXIST, "%s", path);
    for (int i = 0; i < CHUNKS; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "c/%d", i);
        put_file(name, values, sizeof values);
    }
    atomic_store(&sh->array, number);
    put_file("zarr.json", document, sizeof document - 1);
}

static void run_tool(uint64_t rounds, uint64_t seed)
{
    for (uint64_t n = 2; n < rounds + 2 && !atomic_load(&sh->failed); n++) {
        uint64_t done = atomic_load(&sh->reads) + 20;

        /* some of them have been at work on the last one */
        while (atomic_load(&sh->reads) < done && !atomic_load(&sh->failed))
            (void)sched_yield();
        wipe(stress_below(&seed, 2) == 0);
        make(n);
    }
    atomic_store(&sh->over, true);
}

/* ------------------------------------------------------------ participants --- */

static bool documented(int rc, const azr_error *err)
{
    return err->message[0] != '\0' &&
           (rc == AZR_ENOTFOUND || rc == AZR_ECONFLICT || rc == AZR_ECORRUPT ||
            rc == AZR_EUNKNOWN || (rc == AZR_EIO && err->sys_errno == ENOENT));
}

/* False: a new handle is needed. */
static bool went_on(const char *what, int rc, const azr_error *err)
{
    if (rc == AZR_OK)
        return true;
    atomic_fetch_add(&sh->refused, 1);
    if (!documented(rc, err)) {
        int none = 0;

        if (atomic_compare_exchange_strong(&sh->failed, &none, 1))
            (void)snprintf(sh->message, sizeof sh->message, "%s: %s: %s", what,
                           azr_status_name(rc), err->message);
    }
    return false;
}

/* *number: the array that the handle is of; 0: not yet known. */
static bool look(azr_array *a, bool writes, uint64_t *number)
{
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    uint64_t v[LENGTH], holes = 0;

    if (!went_on("read", azr_array_read(a, &all, v, sizeof v, &err), &err))
        return false;
    atomic_fetch_add(&sh->reads, 1);
    for (int i = 0; i < LENGTH; i++) {
        uint64_t of = v[i] >> 32;

        holes += of == 0;
        if (of == 0)
            continue;
        if (*number == 0)
            *number = of;
        if (of != *number && writes)
            fail("one handle sees two arrays", *number, of);
        atomic_fetch_add(&sh->plain, of != *number);
        *number = of;
    }
    atomic_fetch_add(&sh->holes, holes > 0);
    return true;
}

static bool put(azr_array *a, uint64_t number, uint64_t *seed)
{
    azr_selection s = AZR_BOX(1, {0}, {0});
    azr_error err = AZR_ERROR_INIT;
    uint64_t v[LENGTH];

    s.start[0] = (int64_t)stress_below(seed, LENGTH);
    s.count[0] =
        1 + (int64_t)stress_below(seed, LENGTH) % (LENGTH - s.start[0]);
    for (int i = 0; i < LENGTH; i++)
        v[i] = number << 32 | (stress_random(seed) >> 40);
    if (!went_on(
            "write",
            azr_array_write(a, &s, v, (size_t)s.count[0] * sizeof v[0], &err),
            &err))
        return false;
    atomic_fetch_add(&sh->writes, 1);
    return true;
}

static void participate(void *arg)
{
    uint64_t seed = *(uint64_t *)arg;

    while (!atomic_load(&sh->over) && !atomic_load(&sh->failed)) {
        azr_open_options o = AZR_OPEN_OPTIONS_INIT;
        azr_error err = AZR_ERROR_INIT;
        uint64_t number = 0;
        azr_array *a = NULL;

        o.flags = stress_below(&seed, 4) ? AZR_OPEN_WRITE : 0;
        o.threads = 1;
        o.timeout_ms = 30000;
        if (went_on("open", azr_array_open(&a, sh->path, &o, &err), &err)) {
            atomic_fetch_add(&sh->handles, 1);
            while (look(a, o.flags != 0, &number) && !atomic_load(&sh->over) &&
                   !atomic_load(&sh->failed)) {
                if (o.flags != 0 && number != 0 && !put(a, number, &seed))
                    break;
            }
        }
        azr_array_close(a);
    }
}

int main(int argc, char **argv)
{
    pid_t pids[WORKERS];
    uint64_t seeds[WORKERS], rounds;
    stress_args args;
    char dir[128];

    stress_parse(&args, argc, argv);
    stress_deadline(1200);
    stress_scratch(dir, sizeof dir, true);
    rounds = (uint64_t)ROUNDS * args.scale;
    sh = stress_shared(sizeof *sh);
    (void)snprintf(sh->path, sizeof sh->path, "%s/array.zarr", dir);
    make(1);
    for (int i = 0; i < WORKERS; i++) {
        seeds[i] = args.seed + (uint64_t)i * 7919 + 1;
        pids[i] = stress_spawn(participate, &seeds[i]);
    }
    run_tool(rounds, args.seed);
    for (int i = 0; i < WORKERS; i++)
        stress_join(pids[i]);
    (void)printf("wipes: seed %" PRIu64 ", %" PRIu64 " operations on %" PRIu64
                 " arrays, %" PRIu64 " handles, %" PRIu64 " refused, %" PRIu64
                 " reads with holes, %" PRIu64 " changes seen by plain readers"
                 "%s%s\n",
                 args.seed, atomic_load(&sh->reads) + atomic_load(&sh->writes),
                 rounds + 1, atomic_load(&sh->handles),
                 atomic_load(&sh->refused), atomic_load(&sh->holes),
                 atomic_load(&sh->plain), sh->message[0] ? ": " : "",
                 sh->message);
    if (!atomic_load(&sh->failed))
        stress_cleanup(dir);
    return atomic_load(&sh->failed) || atomic_load(&sh->refused) < rounds / 4;
}
