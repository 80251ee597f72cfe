/* SPDX-License-Identifier: Apache-2.0 */
/* holder ARRAY…: take a snapshot, print the directories, hold it until standard
 * input ends. */
#include <atomiczarr.h>

#include <stdio.h>

#define MOST 8

int main(int argc, char **argv)
{
    azr_array *arrays[MOST] = {NULL};
    azr_error err = AZR_ERROR_INIT;
    azr_snapshot *s = NULL;
    size_t n = argc > 1 && argc <= MOST ? (size_t)argc - 1 : 0;
    int rc = AZR_OK;

    for (size_t i = 0; i < n && rc == AZR_OK; i++)
        rc = azr_array_open(&arrays[i], argv[i + 1], NULL, &err);
    if (rc == AZR_OK)
        rc = azr_snapshot_take(&s, arrays, n, NULL, &err);
    for (size_t i = 0; i < n && rc == AZR_OK; i++)
        (void)puts(azr_snapshot_path(s, i));
    (void)fflush(stdout);
    if (rc == AZR_OK)
        (void)getchar();
    else
        (void)fprintf(stderr, "holder: %s\n", err.message);
    azr_snapshot_close(s);
    for (size_t i = 0; i < n; i++)
        azr_array_close(arrays[i]);
    return rc == AZR_OK ? 0 : 1;
}
