/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits are bounded and can be ended. While one thread is inside an update (it
 * holds the chunk), another write times out, and a third one is canceled.
 * Neither changes anything.
 *
 *   timeouts_and_cancel [PATH]
 */
#include <atomiczarr.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static atomic_int inside, leave;

static void pause_ms(long ms)
{
    struct timespec t = {0, ms * 1000000};

    (void)nanosleep(&t, NULL);
}

/* Runs with the chunk's lock held: real code must be quick here. */
static int linger(void *values, size_t nbytes, void *arg)
{
    int32_t *v = values;

    (void)nbytes;
    (void)arg;
    v[0]++;
    atomic_store(&inside, 1);
    while (!atomic_load(&leave))
        pause_ms(1);
    return 0;
}

static void *holder(void *arg)
{
    azr_selection first = AZR_BOX(1, {0}, {1});
    azr_error err = AZR_ERROR_INIT;
    int rc = azr_array_update(arg, &first, linger, NULL, &err);

    if (rc != AZR_OK)
        fprintf(stderr, "update: %s\n", err.message);
    atomic_store(&inside, 1);
    return NULL;
}

static void *cancel_soon(void *arg)
{
    pause_ms(20);
    azr_cancel_request(arg); /* legal in a signal handler as well */
    return NULL;
}

/* A write that cannot get its lock; the status it ends with. */
static int blocked_write(const char *path, int64_t timeout_ms,
                         azr_cancel *cancel)
{
    azr_open_options options = AZR_OPEN_OPTIONS_INIT;
    azr_selection first = AZR_BOX(1, {0}, {1});
    azr_error err = AZR_ERROR_INIT;
    azr_array *array = NULL;
    const int32_t value = -1;
    int rc;

    options.flags = AZR_OPEN_WRITE;
    options.timeout_ms = timeout_ms;
    options.cancel = cancel;
    rc = azr_array_open(&array, path, &options, &err);
    if (rc == AZR_OK)
        rc = azr_array_write(array, &first, &value, sizeof value, &err);
    printf("%s: %s\n", azr_status_name(rc), err.message);
    azr_array_close(array);
    return rc;
}

static int try_both(const char *path, azr_array *array, azr_cancel *cancel)
{
    pthread_t holding, canceling;
    int timed_out, canceled;

    if (pthread_create(&holding, NULL, holder, array) != 0)
        return 0;
    while (!atomic_load(&inside))
        pause_ms(1);
    timed_out = blocked_write(path, 50, NULL);
    if (pthread_create(&canceling, NULL, cancel_soon, cancel) != 0)
        abort();
    canceled = blocked_write(path, -1, cancel); /* would wait for ever */
    (void)pthread_join(canceling, NULL);
    atomic_store(&leave, 1);
    (void)pthread_join(holding, NULL);
    return timed_out == AZR_EBUSY && canceled == AZR_ECANCELED;
}

int main(int argc, char **argv)
{
    char scratch[] = "timeouts-XXXXXX";
    const char *path = argc > 1 ? argv[1] : mkdtemp(scratch);
    azr_error err = AZR_ERROR_INIT;
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_selection first = AZR_BOX(1, {0}, {1});
    azr_array *array = NULL;
    azr_cancel *cancel = NULL;
    int32_t value = 0;
    int ok = 0, rc;

    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = spec.chunks[0] = 4;
    rc = azr_array_create(&array, path, &spec, NULL, &err);
    if (rc == AZR_OK)
        rc = azr_cancel_new(&cancel);
    if (rc == AZR_OK)
        ok = try_both(path, array, cancel);
    if (rc == AZR_OK)
        rc = azr_array_read(array, &first, &value, sizeof value, &err);
    if (rc != AZR_OK)
        fprintf(stderr, "%s: %s\n", azr_status_name(rc), err.message);
    azr_array_close(array);
    azr_cancel_free(cancel);
    return rc == AZR_OK && ok && value == 1 ? 0 : 1; /* the update's alone */
}
