/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few threads on one handle, and its helpers: short, for tools that run one
 * thread at a time (`./check --torture`, step drd). Each adds one to every
 * element, some rounds; nothing may be lost. `--only=racy` is the control: they
 * share a plain integer as well.
 *
 * DRD takes a load of an atomic for a plain one, if the processor needs no prefix
 * for it. All that is in a mapped `state` is an atomic, so it is told to look at
 * everything but that.
 */
#include "stress.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#if __has_include(<valgrind/drd.h>)
#    include <valgrind/drd.h>
#else
#    define ANNOTATE_BENIGN_RACE_SIZED(p, n, why) (void)(p)
#endif

#define THREADS  3
#define ELEMENTS 24

static azr_array *g_array;
static unsigned g_rounds;
static bool g_is_racy;
static int *g_plain; /* not on a stack: tools look away there */

static int add_one(void *values, size_t nbytes, void *arg)
{
    int32_t *v = values;

    (void)arg;
    for (size_t i = 0; i < nbytes / sizeof *v; i++)
        v[i]++;
    return 0;
}

static void *run_thread(void *arg)
{
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    int32_t v[ELEMENTS];

    (void)arg;
    for (unsigned i = 0; i < g_rounds; i++) {
        if (g_is_racy)
            (*g_plain)++;
        CHECK_OK(azr_array_update(g_array, &all, add_one, NULL, &err), err);
        CHECK_OK(azr_array_read(g_array, &all, v, sizeof v, &err), err);
        for (int k = 1; k < ELEMENTS; k++)
            CHECK(v[k] == v[0], "torn: %d and %d", (int)v[0], (int)v[k]);
    }
    return NULL;
}

static void make(const char *dir)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_open_options options = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    char path[512];

    (void)snprintf(path, sizeof path, "%s/a", dir);
    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = ELEMENTS;
    spec.chunks[0] = 4;
    spec.codecs = "none";
    options.threads = 2;
    CHECK_OK(azr_array_create(&g_array, path, &spec, &options, &err), err);
}

static void exempt_state(void)
{
    FILE *f = fopen("/proc/self/maps", "re");
    char line[1024];

    CHECK(f, "no maps");
    while (fgets(line, sizeof line, f)) {
        unsigned long long from, to;
        void *p = NULL;
        uintptr_t at;

        if (!strstr(line, "/.azr/state") ||
            sscanf(line, "%llx-%llx", &from, &to) != 2)
            continue;
        at = (uintptr_t)from;
        memcpy(&p, &at, sizeof p);
        ANNOTATE_BENIGN_RACE_SIZED(p, to - from, "state");
    }
    (void)fclose(f);
}

int main(int argc, char **argv)
{
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    pthread_t thread[THREADS];
    int32_t v[ELEMENTS];
    stress_args args;
    char dir[256];

    stress_parse(&args, argc, argv);
    g_rounds = 4 * args.scale;
    g_is_racy = args.only && strcmp(args.only, "racy") == 0;
    g_plain = stress_shared(sizeof *g_plain);
    stress_scratch(dir, sizeof dir, true);
    make(dir);
    exempt_state();
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, run_thread, NULL) == 0,
              "thread");
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0, "join");
    CHECK_OK(azr_array_read(g_array, &all, v, sizeof v, &err), err);
    CHECK(v[0] == (int32_t)(THREADS * g_rounds), "%d of %u additions",
          (int)v[0], THREADS * g_rounds);
    azr_array_close(g_array);
    stress_cleanup(dir);
    (void)printf("threads: %u additions by %d threads\n", THREADS * g_rounds,
                 THREADS);
    return 0;
}
