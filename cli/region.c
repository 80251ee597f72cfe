/* SPDX-License-Identifier: Apache-2.0 */
#include "region.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct target target_of(struct cli *cli, const struct cli_list *words)
{
    struct target t = {words->items[0], NULL};
    size_t length = strlen(t.path);
    const char *bracket = strrchr(t.path, '[');
    struct stat st;
    char *path;

    if (words->count > 1) {
        t.selection = words->items[1];
        return t;
    }
    if (!bracket || bracket == t.path || t.path[length - 1] != ']' ||
        lstat(t.path, &st) == 0)
        return t;
    t.selection = bracket;
    path = cli_keep(cli, length + 1, 1);
    memcpy(path, t.path, (size_t)(bracket - t.path));
    t.path = path;
    return t;
}

static int64_t clip(int64_t position, int64_t n)
{
    if (position < 0)
        position = position < -n ? 0 : position + n;
    return position > n ? n : position;
}

/* Dimension d of `slices` over `n` elements into the box and the result. */
static int resolve_one(struct cli *cli, struct region *out,
                       const azr_selection *slices, int d, int64_t n)
{
    int64_t start = slices->start[d], stop = slices->count[d];
    int64_t step = slices->step[d];

    if (step == 0) { /* an integer */
        if (start >= n || start < -n)
            return cli_usage_error(cli,
                                   "index %" PRId64 " lies outside dimension "
                                   "%d, which has %" PRId64 " elements",
                                   start, d, n);
        out->box.start[d] = start < 0 ? start + n : start;
        out->box.count[d] = 1;
        out->box.step[d] = 1;
        return 0;
    }
    start = clip(start, n);
    stop = stop == AZR_NO_STOP ? n : clip(stop, n);
    out->box.start[d] = start;
    out->box.count[d] = stop > start ? (stop - start - 1) / step + 1 : 0;
    out->box.step[d] = step;
    out->shape[out->rank++] = out->box.count[d];
    return 0;
}

static int measure(struct cli *cli, struct region *out, size_t item)
{
    out->count = 1;
    for (int d = 0; d < out->box_rank; d++) {
        if (out->box.count[d] == 0) {
            out->count = 0;
            break;
        }
    }
    for (int d = 0; d < out->box_rank && out->count > 0; d++) {
        if (__builtin_mul_overflow(out->count, (uint64_t)out->box.count[d],
                                   &out->count))
            return cli_error(cli, CLI_IO,
                             "the selection has more than 2^64 "
                             "elements: choose a smaller one");
    }
    if (__builtin_mul_overflow(out->count, item, &out->nbytes) ||
        out->nbytes > SIZE_MAX / 2)
        return cli_error(cli, CLI_IO,
                         "the selection has %" PRIu64 " elements, too many for "
                         "memory: choose a smaller one",
                         out->count);
    return 0;
}

int region_resolve(struct cli *cli, struct region *out,
                   const azr_array_info *info, const struct target *target)
{
    azr_error err = AZR_ERROR_INIT;
    azr_selection slices;
    int rc = azr_selection_parse(&slices, info->rank,
                                 target->selection ? target->selection : "...",
                                 &err);

    if (rc < 0)
        return cli_fail(cli, rc, &err, NULL);
    memset(out, 0, sizeof *out);
    out->box = azr_select_all(info->rank);
    out->box_rank = info->rank;
    for (int d = 0; d < info->rank; d++) {
        rc = resolve_one(cli, out, &slices, d, info->shape[d]);
        if (rc != 0)
            return rc;
    }
    return measure(cli, out, azr_dtype_nbytes(info->dtype));
}

void shape_text(char *out, size_t size, const int64_t *shape, int rank)
{
    size_t used = 0;

    (void)snprintf(out, size, "(");
    for (int d = 0; d < rank; d++) {
        used = strlen(out);
        (void)snprintf(out + used, size - used, "%s%" PRId64, d ? ", " : "",
                       shape[d]);
    }
    used = strlen(out);
    (void)snprintf(out + used, size - used, rank == 1 ? ",)" : ")");
}

void bytes_text(char *out, size_t size, double nbytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;

    while (nbytes >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
        nbytes /= 1000;
        unit++;
    }
    (void)snprintf(out, size, "%.*f %s", unit && nbytes < 99.5 ? 1 : 0, nbytes,
                   units[unit]);
}

int shape_parse(int64_t *out, const char *text)
{
    int rank = 0;

    if (text[0] == '\0' || strcmp(text, "()") == 0)
        return 0;
    for (;; rank++) {
        char *end = NULL;
        long long v;

        if (!isdigit((unsigned char)*text) || rank == AZR_MAX_RANK)
            return -1;
        errno = 0;
        v = strtoll(text, &end, 10);
        if (errno)
            return -1;
        out[rank] = v;
        if (*end == '\0')
            return rank + 1;
        if (*end != ',' && *end != 'x')
            return -1;
        text = end + 1;
    }
}

int info_of(struct cli *cli, azr_array_info *out, azr_array *array,
            const char *path)
{
    azr_error err = AZR_ERROR_INIT;
    int rc;

    memset(out, 0, sizeof *out);
    out->struct_size = (uint32_t)sizeof *out;
    rc = azr_array_info_get(array, out, &err);
    return rc < 0 ? cli_fail_at(cli, rc, &err, path) : 0;
}
