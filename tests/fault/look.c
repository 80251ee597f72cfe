/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/look.h"

#include "fault/inject.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool is_undisturbed(int rc)
{
    return rc == AZR_OK && inject_is_undisturbed();
}

void expect(int64_t found, int64_t wanted, const char *what)
{
    if (found != wanted)
        (void)complain("%s: %" PRId64 ", need %" PRId64, what, found, wanted);
}

void expect_text(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        (void)complain("'%s' is not in '%.300s'", part, text ? text : "");
}

/* ----------------------------------------------------------------- arrays --- */

void expect_open(azr_array *a, int64_t length)
{
    azr_array_info info = {.struct_size = sizeof info};
    azr_error err = AZR_ERROR_INIT;

    inject_pause();
    if (!a)
        (void)complain("no handle");
    else if (azr_array_info_get(a, &info, &err) < 0)
        (void)complain("look: %s", err.message);
    else
        expect(info.shape[0], length, "its length");
    inject_resume();
}

void expect_elements(azr_array *a, int64_t first, int64_t n, int32_t base)
{
    azr_selection s = AZR_BOX(1, {0}, {0});
    azr_error err = AZR_ERROR_INIT;
    int32_t v[64] = {0};

    inject_pause();
    s.start[0] = first;
    s.count[0] = n;
    if (!a)
        (void)complain("no handle");
    else if (azr_array_read(a, &s, v, (size_t)n * sizeof v[0], &err) < 0)
        (void)complain("look: %s", err.message);
    for (int64_t i = 0; i < n; i++)
        expect(v[i], base + first + i, "an element");
    inject_resume();
}

int rows_left(azr_array *a)
{
    tally_of n = {.rows = 0};
    azr_error err = AZR_ERROR_INIT;

    inject_pause();
    if (azr_array_status(a, count_rows, &n, &err) < 0)
        (void)complain("look: %s", err.message);
    inject_resume();
    return n.rows;
}

void expect_no_rows(azr_array *a)
{
    expect(rows_left(a), 0, "rows left");
}

void expect_name(const actor *x, const char *name, bool is_there)
{
    char path[256];

    place(path, x->root, name);
    if ((access(path, F_OK) == 0) != is_there)
        (void)complain("'%s' is %sthere", name, is_there ? "not " : "");
}

void expect_group(azr_group *g, int format)
{
    azr_group_info info = {.struct_size = sizeof info};
    azr_error err = AZR_ERROR_INIT;
    char *text = NULL;

    inject_pause();
    if (!g)
        (void)complain("no handle");
    else if (azr_group_info_get(g, &info, &err) < 0 ||
             azr_group_attributes(g, &text, &err) < 0)
        (void)complain("look: %s", err.message);
    else if (info.zarr_format != format || !strstr(text, "\"t\""))
        (void)complain("format %d, %s", (int)info.zarr_format, text);
    azr_free(text);
    inject_resume();
}

/* ------------------------------------------------------------------ counts --- */

int count_finding(const azr_finding *f, void *arg)
{
    tally_of *n = arg;

    n->findings++;
    n->errors += f->is_error != 0;
    return 0;
}

int count_rows(const azr_row_info *row, void *arg)
{
    tally_of *n = arg;

    n->rows += row->state != AZR_ROW_FREE;
    return 0;
}

/* A node whose document cannot be read is told of with a reason. */
int count_nodes(const azr_node *node, void *arg)
{
    tally_of *n = arg;

    n->nodes++;
    n->bad_nodes += node->status < 0;
    if ((node->status < 0) != (node->text[0] != '\0'))
        (void)complain("node '%s': status %d, text '%s'", node->path,
                       (int)node->status, node->text);
    return 0;
}

int count_progress(uint64_t done, uint64_t total, void *arg)
{
    tally_of *n = arg;

    n->done = done;
    n->total = total;
    return 0;
}

/* ------------------------------------------------------------ stale entries --- */

#define FILL_VALUE "\"fill_value\":"

/* The one digit of the fill value in the file where entries are; its file. */
static int open_entry(const actor *x, off_t *at)
{
    static char text[1 << 14];
    const char *found = NULL;
    char path[256];
    ssize_t n;
    int fd;

    place(path, x->root, x->format == 2 ? "g/.zmetadata" : "g/zarr.json");
    fd = open(path, O_RDWR | O_CLOEXEC);
    n = fd >= 0 ? pread(fd, text, sizeof text - 1, 0) : -1;
    if (n > 0) {
        text[n] = '\0';
        found = strstr(text, FILL_VALUE);
    }
    if (found) {
        found += sizeof FILL_VALUE - 1;
        found += strspn(found, " ");
        *at = found - text;
        return fd;
    }
    if (fd >= 0)
        (void)close(fd);
    (void)complain("no entry in '%s'", path);
    return -1;
}

static char entry(const actor *x, char put)
{
    off_t at = 0;
    int fd = open_entry(x, &at);
    char c = '?';

    if (fd < 0)
        return c;
    if (put != '\0' && pwrite(fd, &put, 1, at) != 1)
        (void)complain("write an entry: %s", strerror(errno));
    if (pread(fd, &c, 1, at) != 1)
        (void)complain("read an entry");
    (void)close(fd);
    return c;
}

void entry_spoil(const actor *x)
{
    (void)entry(x, '5');
}

void entry_mend(const actor *x)
{
    (void)entry(x, '0');
}

bool entry_is_true(const actor *x)
{
    return entry(x, '\0') == '0';
}
