/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process appends frames, another one reads the whole array meanwhile. Shape
 * and data change in one commit: the reader never sees a frame without its data,
 * or half of one.
 *
 *   append_while_reading [PATH]
 */
#include <atomiczarr.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAMES 40
#define WIDTH  100 /* a frame lies in four chunks */

static int fail(const char *what, int rc, const azr_error *err)
{
    fprintf(stderr, "%s: %s: %s\n", what, azr_status_name(rc), err->message);
    return 1;
}

static int append_frames(const char *path)
{
    azr_open_options options = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *array = NULL;
    int32_t frame[WIDTH];
    int rc;

    options.flags = AZR_OPEN_WRITE;
    rc = azr_array_open(&array, path, &options, &err);
    for (int32_t i = 0; rc == AZR_OK && i < FRAMES; i++) {
        for (int k = 0; k < WIDTH; k++)
            frame[k] = i + 1;
        rc = azr_array_append(array, 0, 1, frame, sizeof frame, NULL, &err);
    }
    azr_array_close(array);
    return rc == AZR_OK ? 0 : fail("append", rc, &err);
}

/* Every frame that the shape counts is there, and of one value. */
static int check(const int32_t *values, int64_t frames)
{
    for (int64_t i = 0; i < frames * WIDTH; i++) {
        if (values[i] != (int32_t)(i / WIDTH) + 1) {
            fprintf(stderr, "frame %lld: %d\n", (long long)(i / WIDTH),
                    (int)values[i]);
            return 1;
        }
    }
    return 0;
}

/* Shape and values of one instant: both in one transaction. */
static int read_all(azr_array *array, int32_t *values, int64_t *frames,
                    azr_error *err)
{
    azr_selection all = azr_select_all(2); /* resolved when it is read */
    int64_t shape[2] = {0, 0};
    azr_txn *txn = NULL;
    int rc = azr_txn_begin(&txn, NULL, err);

    if (rc == AZR_OK)
        rc = azr_txn_shape(txn, array, shape, err);
    if (rc == AZR_OK && shape[0] > 0)
        rc = azr_txn_read(txn, array, &all, values,
                          (size_t)(FRAMES * WIDTH) * sizeof *values, err);
    if (rc == AZR_OK)
        rc = azr_txn_commit(txn, err);
    azr_txn_free(txn);
    *frames = shape[0];
    return rc;
}

static int watch(const char *path)
{
    static int32_t values[FRAMES * WIDTH];
    azr_error err = AZR_ERROR_INIT;
    azr_array *array = NULL;
    int64_t frames = 0, reads = 0;
    int bad = 0;
    int rc = azr_array_open(&array, path, NULL, &err);

    while (rc == AZR_OK && !bad && frames < FRAMES) {
        rc = read_all(array, values, &frames, &err);
        if (rc == AZR_ECONFLICT) {
            rc = AZR_OK; /* an append came between: again */
            continue;
        }
        bad = check(values, frames);
        reads++;
    }
    azr_array_close(array);
    if (rc != AZR_OK)
        return fail("read", rc, &err);
    printf("%lld reads while %d frames were appended: %s\n", (long long)reads,
           FRAMES, bad ? "torn" : "none torn");
    return bad;
}

int main(int argc, char **argv)
{
    char scratch[] = "append-XXXXXX";
    const char *path = argc > 1 ? argv[1] : mkdtemp(scratch);
    azr_error err = AZR_ERROR_INIT;
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_array *array = NULL;
    int status = 1, bad, rc;
    pid_t child;

    spec.rank = 2;
    spec.dtype = AZR_INT32;
    spec.shape[0] = 0; /* no frame yet */
    spec.shape[1] = WIDTH;
    spec.chunks[0] = 1;
    spec.chunks[1] = WIDTH / 4;
    rc = azr_array_create(&array, path, &spec, NULL, &err);
    azr_array_close(array);
    if (rc != AZR_OK)
        return fail("create", rc, &err);

    child = fork();
    if (child < 0)
        return 1;
    if (child == 0)
        _exit(append_frames(path));
    bad = watch(path);
    if (waitpid(child, &status, 0) != child || status != 0)
        bad = 1;
    return bad;
}
