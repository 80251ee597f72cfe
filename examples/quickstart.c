/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Create an array, write across two chunks, read it back.
 *
 *   quickstart [PATH]      PATH: the new array (default: a new directory here)
 */
#include <atomiczarr.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    char scratch[] = "quickstart-XXXXXX";
    const char *path = argc > 1 ? argv[1] : mkdtemp(scratch);
    azr_error err = AZR_ERROR_INIT;
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_array *array = NULL;
    azr_selection middle = AZR_BOX(1, {2}, {4}); /* [2:6] */
    azr_selection all = azr_select_all(1);
    const int32_t eights[4] = {8, 8, 8, 8};
    int32_t values[12];
    int rc;

    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = 12;
    spec.chunks[0] = 4; /* [2:6] lies in two chunks */

    rc = azr_array_create(&array, path, &spec, NULL, &err);
    if (rc == AZR_OK) /* one transaction: all of it is seen, or none */
        rc = azr_array_write(array, &middle, eights, sizeof eights, &err);
    if (rc == AZR_OK) /* one snapshot */
        rc = azr_array_read(array, &all, values, sizeof values, &err);
    if (rc == AZR_OK) {
        for (int i = 0; i < 12; i++)
            printf("%d%c", (int)values[i], i < 11 ? ' ' : '\n');
    } else {
        fprintf(stderr, "%s: %s\n", azr_status_name(rc), err.message);
    }
    azr_array_close(array);
    return rc == AZR_OK ? 0 : 1;
}
