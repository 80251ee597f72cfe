/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Temperatures, and the hours that they belong to. Both arrays are made in one
 * transaction, so nobody finds the one without the other, and grow in one step
 * each day, from as many processes as there are.
 *
 *   data_and_time [DIRECTORY]
 */
#include <atomiczarr.h>

#include <stdio.h>
#include <stdlib.h>

#define HOURS 24
#define DAYS  3

typedef struct pair {
    char data_path[300], time_path[300];
    azr_array *data, *time;
} pair;

/* The body of a transaction may run again: handles of the last try go first. */
static int make_both(azr_txn *txn, void *arg, azr_error *err)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    pair *p = arg;
    int rc;

    azr_array_close(p->data);
    azr_array_close(p->time);
    p->data = p->time = NULL;
    spec.rank = 1;
    spec.chunks[0] = HOURS;
    spec.dtype = AZR_FLOAT32;
    spec.attributes = "{\"units\": \"K\"}";
    rc = azr_txn_create_array(txn, &p->data, p->data_path, &spec, NULL, err);
    spec.dtype = AZR_INT64;
    spec.attributes = "{\"units\": \"hours\"}";
    if (rc == AZR_OK)
        rc =
            azr_txn_create_array(txn, &p->time, p->time_path, &spec, NULL, err);
    return rc;
}

static int append_day(pair *p, int day, azr_error *err)
{
    azr_append_part parts[2] = {AZR_APPEND_PART_INIT, AZR_APPEND_PART_INIT};
    float kelvin[HOURS];
    int64_t hours[HOURS];

    for (int h = 0; h < HOURS; h++) {
        hours[h] = day * HOURS + h;
        kelvin[h] = 280.0f + (float)(h > 12 ? HOURS - h : h);
    }
    parts[0].array = p->data;
    parts[0].src = kelvin;
    parts[0].src_nbytes = sizeof kelvin;
    parts[1].array = p->time;
    parts[1].src = hours;
    parts[1].src_nbytes = sizeof hours;
    parts[0].length = parts[1].length = HOURS;
    return azr_append_all(parts, 2, NULL, err);
}

/* Both at one instant. */
static int last_hour(azr_txn *txn, void *arg, azr_error *err)
{
    azr_selection last = AZR_BOX(1, {-1}, {1});
    pair *p = arg;
    float kelvin = 0;
    int64_t hour = 0;
    int rc = azr_txn_read(txn, p->data, &last, &kelvin, sizeof kelvin, err);

    if (rc == AZR_OK)
        rc = azr_txn_read(txn, p->time, &last, &hour, sizeof hour, err);
    if (rc == AZR_OK)
        printf("hour %lld: %.1f K\n", (long long)hour, (double)kelvin);
    return rc;
}

int main(int argc, char **argv)
{
    const char *where = argc > 1 ? argv[1] : ".";
    azr_error err = AZR_ERROR_INIT;
    pair p = {.data = NULL};
    int rc;

    (void)snprintf(p.data_path, sizeof p.data_path, "%s/temperature.zarr",
                   where);
    (void)snprintf(p.time_path, sizeof p.time_path, "%s/time.zarr", where);
    rc = azr_txn_run(make_both, &p, NULL, &err);
    for (int day = 0; day < DAYS && rc == AZR_OK; day++)
        rc = append_day(&p, day, &err);
    if (rc == AZR_OK)
        rc = azr_txn_run(last_hour, &p, NULL, &err);
    azr_array_close(p.data);
    azr_array_close(p.time);
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", azr_status_name(rc), err.message);
    return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
