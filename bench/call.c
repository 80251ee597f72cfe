/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one small call costs in C: the floor of bench/python/call.py.
 *
 *   call ARRAY N     two int32 elements of a 1-d array are read N times, and
 *                  written N times; all four, to whatever its end is, are
 *                  written N times; medians in ns as one JSON object
 */
#include <atomiczarr.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

typedef int (*call_fn)(azr_array *a, int32_t *v, azr_error *err);

static int read_two(azr_array *a, int32_t *v, azr_error *err)
{
    azr_selection two = AZR_BOX(1, {2}, {2});

    return azr_array_read(a, &two, v, 2 * sizeof *v, err);
}

static int write_two(azr_array *a, int32_t *v, azr_error *err)
{
    azr_selection two = AZR_BOX(1, {2}, {2});

    return azr_array_write(a, &two, v, 2 * sizeof *v, err);
}

/* As z[:] does: the end is that of the array as it is then. */
static int write_all(azr_array *a, int32_t *v, azr_error *err)
{
    azr_selection all = AZR_BOX(1, {0}, {AZR_TO_END});

    return azr_array_write(a, &all, v, 4 * sizeof *v, err);
}

/* Median of n calls, or a status. */
static int64_t measure(azr_array *a, call_fn fn, int64_t *times, size_t n,
                       azr_error *err)
{
    int32_t v[4] = {1, 2, 3, 4};

    for (size_t i = 0; i < n; i++) {
        int64_t began = now_ns();
        int rc = fn(a, v, err);

        if (rc < 0)
            return rc;
        times[i] = now_ns() - began;
    }
    qsort(times, n, sizeof *times, compare);
    return times[n / 2];
}

int main(int argc, char **argv)
{
    azr_open_options options = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    size_t n = argc == 3 ? (size_t)strtoul(argv[2], NULL, 10) : 0;
    int64_t *times = calloc(n + 1, sizeof *times);
    int64_t read_ns = -1, write_ns = -1, all_ns = -1;

    if (n == 0 || !times) {
        (void)fprintf(stderr, "usage: call ARRAY N\n");
        free(times);
        return 2;
    }
    options.flags = AZR_OPEN_WRITE;
    if (azr_array_open(&a, argv[1], &options, &err) == 0) {
        read_ns = measure(a, read_two, times, n, &err);
        if (read_ns >= 0)
            write_ns = measure(a, write_two, times, n, &err);
        if (write_ns >= 0)
            all_ns = measure(a, write_all, times, n, &err);
    }
    azr_array_close(a);
    free(times);
    if (all_ns < 0) {
        (void)fprintf(stderr, "call: %s\n", err.message);
        return 1;
    }
    (void)printf("{\"read_ns\": %lld, \"write_ns\": %lld, "
                 "\"write_all_ns\": %lld}\n",
                 (long long)read_ns, (long long)write_ns, (long long)all_ns);
    return 0;
}
