/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is not in C order: a column-major matrix (as Fortran has it) is
 * written, and one channel of interleaved pixels is read into. No copy by hand.
 *
 *   strided_memory [PATH]
 */
#include <atomiczarr.h>

#include <stdio.h>
#include <stdlib.h>

#define ROWS 4
#define COLS 6

/* matrix[c][r] in C is column-major for (r, c) */
static int write_columns(azr_array *array, azr_error *err)
{
    float matrix[COLS][ROWS];
    azr_selection all = azr_select_all(2);
    azr_memory m = {.struct_size = sizeof m, .rank = 2};

    for (int c = 0; c < COLS; c++) {
        for (int r = 0; r < ROWS; r++)
            matrix[c][r] = (float)(10 * r + c);
    }
    m.data = matrix;
    m.nbytes = sizeof matrix;
    m.strides[0] = sizeof(float);        /* next row */
    m.strides[1] = ROWS * sizeof(float); /* next column */
    return azr_array_write_from(array, &all, &m, err);
}

/* The second of three channels; the others stay as they are. */
static int read_channel(azr_array *array, float pixels[ROWS][COLS][3],
                        azr_error *err)
{
    azr_selection all = azr_select_all(2);
    azr_memory m = {.struct_size = sizeof m, .rank = 2};

    m.data = pixels;
    m.nbytes = (size_t)(ROWS * COLS * 3) * sizeof(float);
    m.offset = sizeof(float);
    m.strides[0] = (int64_t)COLS * 3 * (int64_t)sizeof(float);
    m.strides[1] = 3 * (int64_t)sizeof(float);
    return azr_array_read_into(array, &all, &m, err);
}

int main(int argc, char **argv)
{
    char scratch[] = "strided-XXXXXX";
    const char *path = argc > 1 ? argv[1] : mkdtemp(scratch);
    static float pixels[ROWS][COLS][3];
    azr_error err = AZR_ERROR_INIT;
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_array *array = NULL;
    int wrong = 0, rc;

    spec.rank = 2;
    spec.dtype = AZR_FLOAT32;
    spec.shape[0] = ROWS;
    spec.shape[1] = COLS;
    spec.chunks[0] = 3;
    spec.chunks[1] = 4;
    rc = azr_array_create(&array, path, &spec, NULL, &err);
    if (rc == AZR_OK)
        rc = write_columns(array, &err);
    if (rc == AZR_OK)
        rc = read_channel(array, pixels, &err);
    azr_array_close(array);
    if (rc != AZR_OK) {
        fprintf(stderr, "%s: %s\n", azr_status_name(rc), err.message);
        return 1;
    }
    for (int r = 0; r < ROWS; r++) {
        for (int c = 0; c < COLS; c++)
            wrong += pixels[r][c][1] != (float)(10 * r + c) ||
                     pixels[r][c][0] != 0 || pixels[r][c][2] != 0;
    }
    printf("pixel (2, 3): %g, %d wrong\n", (double)pixels[2][3][1], wrong);
    return wrong != 0;
}
