/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight processes append to arrays of their own, and to one of all of them, below
 * one consolidated root; some are killed, and others come. Whoever looks finds the
 * consolidated metadata whole; at the end, when each array has been opened for
 * writing once more, it agrees with the documents.
 */
#include "stress.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WRITERS  8
#define KILLINGS 20
#define ENOUGH   600ul /* appends, in each format */

typedef struct counts {
    _Atomic bool stop;
    _Atomic unsigned long appends, looks;
} counts;

static counts *g_counts;
static char g_dir[256];
static int g_format;

static void path_of(char out[300], int k)
{
    (void)snprintf(out, 300, "%s/root/%s/a%d", g_dir, k % 2 ? "x" : "y", k);
}

/* ---------------------------------------------------------------- making --- */

static void make_group(const char *name)
{
    azr_group_spec spec = AZR_GROUP_SPEC_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;
    char path[300];

    spec.zarr_format = g_format;
    (void)snprintf(path, sizeof path, "%s/%s", g_dir, name);
    CHECK_OK(azr_group_create(&g, path, &spec, NULL, &err), err);
    azr_group_close(g);
}

static azr_group *open_root(uint32_t flags)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;
    char path[300];

    o.flags = flags;
    (void)snprintf(path, sizeof path, "%s/root", g_dir);
    CHECK_OK(azr_group_open(&g, path, &o, &err), err);
    return g;
}

/* Array WRITERS is that of all of them. */
static void make_all(void)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_group *root;
    char path[300];

    make_group("root");
    make_group("root/x");
    make_group("root/y");
    spec.zarr_format = g_format;
    spec.rank = 1;
    spec.chunks[0] = 64;
    spec.dtype = AZR_INT8;
    spec.codecs = "none";
    for (int k = 0; k <= WRITERS; k++) {
        azr_array *a = NULL;

        path_of(path, k);
        CHECK_OK(azr_array_create(&a, path, &spec, NULL, &err), err);
        azr_array_close(a);
    }
    root = open_root(AZR_OPEN_WRITE);
    CHECK_OK(azr_group_consolidate(root, &err), err);
    azr_group_close(root);
}

/* ------------------------------------------------------------- processes --- */

static void be_writer(void *arg)
{
    const int *k = arg;
    azr_error err = AZR_ERROR_INIT;
    azr_array *own, *common;
    int8_t v[3] = {1, 2, 3};
    char path[300];

    path_of(path, *k);
    own = stress_open(path, AZR_OPEN_WRITE, AZR_TIMEOUT_DEFAULT_MS);
    path_of(path, WRITERS);
    common = stress_open(path, AZR_OPEN_WRITE, AZR_TIMEOUT_DEFAULT_MS);
    for (int i = 0; !atomic_load(&g_counts->stop); i++) {
        azr_array *a = i % 8 == 7 ? common : own;

        CHECK_OK(azr_array_append(a, 0, 3, v, sizeof v, NULL, &err), err);
        atomic_fetch_add(&g_counts->appends, 1);
    }
    azr_array_close(own);
    azr_array_close(common);
}

/* It is there, and whole, whenever somebody looks. */
static void be_reader(void *arg)
{
    azr_error err = AZR_ERROR_INIT;

    (void)arg;
    do { /* once at least */
        azr_group_info info = {.struct_size = (uint32_t)sizeof info};
        azr_group *g = open_root(0);

        CHECK_OK(azr_group_info_get(g, &info, &err), err);
        CHECK(info.consolidated, "it is gone");
        azr_group_close(g);
        atomic_fetch_add(&g_counts->looks, 1);
    } while (!atomic_load(&g_counts->stop));
}

static int tell(const azr_finding *f, void *arg)
{
    unsigned *n = arg;

    (void)f;
    ++*n;
    return 0;
}

static unsigned stale(void)
{
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = open_root(0);
    unsigned n = 0;

    CHECK_OK(azr_group_check_consolidated(g, tell, &n, &err), err);
    azr_group_close(g);
    return n;
}

static unsigned run(uint64_t seed, unsigned kills, unsigned long goal)
{
    pid_t writers[WRITERS], reader;
    int numbers[WRITERS];
    char path[300];

    make_all();
    atomic_store(&g_counts->stop, false);
    for (int k = 0; k < WRITERS; k++) {
        numbers[k] = k;
        writers[k] = stress_spawn(be_writer, &numbers[k]);
    }
    reader = stress_spawn(be_reader, NULL);
    for (unsigned i = 0; i < kills; i++) {
        int k = (int)stress_below(&seed, WRITERS);

        (void)usleep((useconds_t)(2000 + stress_below(&seed, 30000)));
        (void)kill(writers[k], SIGKILL);
        stress_join_killed(writers[k]);
        writers[k] = stress_spawn(be_writer, &numbers[k]);
    }
    while (atomic_load(&g_counts->appends) < goal)
        (void)usleep(10000);
    atomic_store(&g_counts->stop, true);
    for (int k = 0; k < WRITERS; k++)
        stress_join(writers[k]);
    stress_join(reader);
    for (int k = 0; k <= WRITERS; k++) {
        path_of(path, k);
        azr_array_close(stress_open(path, AZR_OPEN_WRITE, 0));
    }
    return stale();
}

int main(int argc, char **argv)
{
    stress_args args;
    unsigned found = 0;

    stress_parse(&args, argc, argv);
    stress_deadline(280 * args.scale);
    g_counts = stress_shared(sizeof *g_counts);
    for (g_format = 2; g_format <= 3; g_format++) {
        stress_scratch(g_dir, sizeof g_dir, true);
        found += run(args.seed, KILLINGS * args.scale,
                     ENOUGH * (unsigned)(g_format - 1));
        stress_cleanup(g_dir);
    }
    CHECK(found == 0, "%u entries are stale", found);
    CHECK(atomic_load(&g_counts->looks) > 0, "nobody looked");
    (void)printf("%lu appends below one consolidated root, %lu looks, %u "
                 "kills: it agrees\n",
                 atomic_load(&g_counts->appends), atomic_load(&g_counts->looks),
                 2 * KILLINGS * args.scale);
    return 0;
}
