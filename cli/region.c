/* SPDX-License-Identifier: Apache-2.0 */
#include "region.h"
#include "session.h"

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

/* Dimension that the word names before its '='; -1: said. */
static int named_dimension(struct cli *cli, azr_array *array, int rank,
                           const char *word, const char *equals)
{
    size_t n = (size_t)(equals - word);

    for (int d = 0; d < rank; d++) {
        azr_error err = AZR_ERROR_INIT;
        char *name = NULL;
        bool same;

        if (azr_array_dimension_name(array, d, &name, &err) < 0) {
            cli->exit_code = cli_fail(cli, err.code, &err, NULL);
            return -1;
        }
        same = name && strlen(name) == n && memcmp(name, word, n) == 0;
        azr_free(name);
        if (same)
            return d;
    }
    cli->exit_code =
        cli_usage_error(cli, "--dim %s: no dimension has this name", word);
    return -1;
}

static int take_dim(struct cli *cli, const char **slices, azr_array *array,
                    int rank, const char *word)
{
    const char *equals = strchr(word, '=');
    int d;

    if (!equals || equals == word || equals[1] == '\0' ||
        strpbrk(equals, ",[]") || strstr(equals, "..."))
        return cli_usage_error(cli, "--dim %s: need NAME=SLICE, as time=0:24",
                               word);
    d = named_dimension(cli, array, rank, word, equals);
    if (d < 0)
        return cli->exit_code;
    if (slices[d])
        return cli_usage_error(cli, "--dim %s: the dimension is named twice",
                               word);
    slices[d] = equals + 1;
    return 0;
}

int target_by_names(struct cli *cli, struct target *target, azr_array *array,
                    const struct cli_list *words)
{
    const char *slices[AZR_MAX_RANK] = {NULL};
    azr_array_info info;
    size_t size = 1;
    char *text;
    int rc;

    if (words->count == 0)
        return 0;
    if (target->selection)
        return cli_usage_error(cli, "--dim, or a selection: not both");
    rc = info_of(cli, &info, array, target->path);
    for (size_t i = 0; rc == 0 && i < words->count; i++)
        rc = take_dim(cli, slices, array, info.rank, words->items[i]);
    if (rc != 0)
        return rc;
    for (int d = 0; d < info.rank; d++)
        size += (slices[d] ? strlen(slices[d]) : 1) + 1;
    text = cli_keep(cli, size, 1);
    for (int d = 0; d < info.rank; d++) {
        size_t used = strlen(text);

        (void)snprintf(text + used, size - used, "%s%s", d > 0 ? "," : "",
                       slices[d] ? slices[d] : ":");
    }
    target->selection = text;
    return 0;
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
    rc = cli_info(cli, array, out, &err);
    return rc < 0 ? cli_fail_at(cli, rc, &err, path) : 0;
}
