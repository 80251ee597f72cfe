/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight processes replace, open, read and write the array at one path; then some
 * of them remove it and make it anew as well, and move it about. Whoever reads
 * has one whole version; where arrays are only replaced the path always leads to
 * one; who keeps a handle is told that its array is gone, and never reads a value
 * that was not written to it.
 */
#include "stress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LENGTH    32 /* eight chunks of four */
#define PROCESSES 8

typedef struct counts {
    _Atomic uint64_t replaced, read, refused, removed, moved, written;
} counts;

typedef struct worker {
    unsigned number, rounds;
    uint64_t seed;
    bool gaps; /* it is removed as well */
} worker;

static char g_path[2][256];
static counts *g_counts;

static void fill_all(azr_array *a, uint64_t value, const char *path)
{
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    int rc = azr_array_fill(a, &all, &value, sizeof value, &err);

    CHECK(rc == AZR_OK || rc == AZR_ENOTFOUND, "write of '%s': %s", path,
          err.message);
    atomic_fetch_add(rc == AZR_OK ? &g_counts->written : &g_counts->refused, 1);
}

/* 0: the array is gone. */
static uint64_t read_all(azr_array *a)
{
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    uint64_t v[LENGTH];
    int rc = azr_array_read(a, &all, v, sizeof v, &err);

    if (rc == AZR_ENOTFOUND) {
        CHECK(strstr(err.message, "was re"), "no reason: %s", err.message);
        atomic_fetch_add(&g_counts->refused, 1);
        return 0;
    }
    CHECK_OK(rc, err);
    for (int i = 1; i < LENGTH; i++)
        CHECK(v[i] == v[0], "half of a version: %llx and %llx",
              (unsigned long long)v[0], (unsigned long long)v[i]);
    CHECK(v[0] != 0, "the fill value of no version");
    atomic_fetch_add(&g_counts->read, 1);
    return v[0];
}

/* Its fill value is its first version: so it is whole from its first instant. */
static azr_array *replace(const char *path, uint64_t value, uint32_t flags)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    char text[32];
    int rc;

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    spec.rank = 1;
    spec.dtype = AZR_UINT64;
    spec.shape[0] = LENGTH;
    spec.chunks[0] = 4;
    spec.codecs = "none";
    spec.fill_value = text;
    o.flags = flags;
    rc = azr_array_create(&a, path, &spec, &o, &err);
    CHECK_OK(rc, err);
    atomic_fetch_add(&g_counts->replaced, 1);
    return a;
}

static void open_and_use(const worker *w, const char *path, uint64_t value)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    int rc;

    o.flags = value ? AZR_OPEN_WRITE : 0;
    rc = azr_array_open(&a, path, &o, &err);
    CHECK(rc == AZR_OK || (w->gaps && rc == AZR_ENOTFOUND), "open: %s",
          err.message);
    if (rc < 0)
        return;
    (void)read_all(a);
    if (value)
        fill_all(a, value, path);
    (void)read_all(a);
    azr_array_close(a);
}

static void take_away(const char *path, const char *to)
{
    azr_error err = AZR_ERROR_INIT;
    int rc = to ? azr_move(path, to, NULL, &err) : azr_remove(path, NULL, &err);

    CHECK(rc == AZR_OK || rc == AZR_ENOTFOUND || rc == AZR_EEXISTS ||
              (rc == AZR_EINVAL && strstr(err.message, "no Zarr array")),
          "%s: %s: %s", to ? "move" : "remove", azr_status_name(rc),
          err.message);
    if (rc == AZR_OK)
        atomic_fetch_add(to ? &g_counts->moved : &g_counts->removed, 1);
}

static void work(void *arg)
{
    worker *w = arg;
    azr_array *kept = NULL;

    for (unsigned i = 1; i <= w->rounds; i++) {
        uint64_t value = (uint64_t)(w->number + 1) << 32 | i;
        uint64_t n = stress_below(&w->seed, w->gaps ? 12 : 8);

        if (n < 2) {
            azr_array_close(kept);
            kept = replace(g_path[0], value, AZR_CREATE_REPLACE);
        } else if (n < 5) {
            open_and_use(w, g_path[0], 0);
        } else if (n < 7) {
            open_and_use(w, g_path[0], value);
        } else if (n < 8) {
            if (kept)
                fill_all(kept, value | 1u << 31, g_path[0]);
        } else if (n < 9) {
            take_away(g_path[0], NULL);
        } else if (n < 10) {
            take_away(g_path[1], NULL);
        } else if (n < 11) {
            take_away(g_path[0], g_path[1]);
        } else {
            azr_array_close(replace(g_path[0], value, AZR_CREATE_OR_OPEN));
        }
        if (kept)
            (void)read_all(kept);
    }
    azr_array_close(kept);
}

static void run(const char *dir, const stress_args *args, bool gaps)
{
    worker w[PROCESSES];
    pid_t pids[PROCESSES];
    char trash[300];

    (void)snprintf(g_path[0], sizeof g_path[0], "%s/%s.zarr", dir,
                   gaps ? "gaps" : "always");
    (void)snprintf(g_path[1], sizeof g_path[1], "%s/elsewhere.zarr", dir);
    azr_array_close(replace(g_path[0], 1, AZR_CREATE_REPLACE));
    for (unsigned i = 0; i < PROCESSES; i++) {
        w[i] =
            (worker){i, 300 * args->scale, args->seed + 7919 * i + gaps, gaps};
        pids[i] = stress_spawn(work, &w[i]);
    }
    for (int i = 0; i < PROCESSES; i++)
        stress_join(pids[i]);
    (void)snprintf(trash, sizeof trash, "%s/.azr-trash", dir);
    if (access(trash, F_OK) == 0) { /* two were the last at the same time */
        azr_error err = AZR_ERROR_INIT;

        CHECK_OK(azr_collect(dir, NULL, NULL, &err), err);
    }
    CHECK(access(trash, F_OK) != 0, "something is left in the trash");
}

int main(int argc, char **argv)
{
    stress_args args;
    char dir[128];
    int64_t begun = stress_now_ns();

    stress_parse(&args, argc, argv);
    stress_deadline(280);
    stress_scratch(dir, sizeof dir, true);
    g_counts = stress_shared(sizeof *g_counts);
    run(dir, &args, false);
    run(dir, &args, true);
    stress_cleanup(dir);
    CHECK(g_counts->refused > 0 && g_counts->moved > 0 && g_counts->removed > 0,
          "nothing met");
    (void)printf("wholes: seed %llu, %d processes, %llu made or replaced, %llu "
                 "removed, %llu moved, %llu written, %llu whole reads, %llu "
                 "refused, %.1f s\n",
                 (unsigned long long)args.seed, PROCESSES,
                 (unsigned long long)g_counts->replaced,
                 (unsigned long long)g_counts->removed,
                 (unsigned long long)g_counts->moved,
                 (unsigned long long)g_counts->written,
                 (unsigned long long)g_counts->read,
                 (unsigned long long)g_counts->refused,
                 (double)(stress_now_ns() - begun) / 1e9);
    return 0;
}
