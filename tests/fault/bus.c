/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `state` under a live map, cut by somebody else, and on a disk that is full.
 *
 * Who truncates `state` kills who has it mapped, at the next touch, with SIGBUS:
 * nothing can be done about that from inside a library (docs/guarantees.md,
 * Hostile participants). What must hold is that it is that signal or an error and
 * nothing else, that no other array suffers, and that the next one who opens the
 * array for writing gets through and finds chunks whole. A disk that is full
 * kills nobody: `state` is allocated when it is made.
 */
#include "fault/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

static const kind plain = {3, false, false};
static char g_at[160];

static bool be_maker(void *arg)
{
    (void)arg;
    return scene_make(g_at, OP_WRITE_2, &plain);
}

typedef struct cut {
    uint64_t nbytes;
    bool writes;
} cut;

/* Opens, and only then `state` is cut. */
static bool be_cut(void *arg)
{
    const cut *c = arg;
    azr_error err = AZR_ERROR_INIT;
    azr_selection s = AZR_BOX(1, {2}, {4});
    int32_t v[4] = {1002, 1003, 1004, 1005};
    azr_array *a = NULL;
    int rc;

    if (!scene_open(&a, g_at, c->writes ? AZR_OPEN_WRITE : 0))
        return false;
    file_truncate(g_at, ".azr/state", c->nbytes);
    rc = c->writes ? azr_array_write(a, &s, v, sizeof v, &err)
                   : azr_array_read(a, &s, v, sizeof v, &err);
    azr_array_close(a);
    return rc == AZR_OK || err.message[0] != '\0' ||
           complain("%s without a text", azr_status_name(rc));
}

static bool be_next(void *arg)
{
    image *seen = arg;
    azr_array *a = NULL;
    bool ok = scene_open(&a, g_at, AZR_OPEN_WRITE) &&
              scene_write(a, 15, 16, 8000) && scene_read(seen, a);

    azr_array_close(a);
    return ok;
}

/* The box 2..5 is as it was made, or as it was written, chunk by chunk. */
static bool is_whole(const image *i)
{
    for (int k = 2; k < 6; k++) {
        if (i->value[k] != 1 + k && i->value[k] != 1000 + k)
            return complain("%d at %d", (int)i->value[k], k);
    }
    return (i->value[2] == i->value[3] - 1 && i->value[4] == i->value[5] - 1) ||
           complain("half a chunk");
}

static bool cut_to(uint64_t nbytes, bool writes)
{
    static cut c;
    image *seen = &probe_outcome()->seen;
    int status;

    c = (cut){nbytes, writes};
    tree_remove(g_at);
    if (!child_run("maker", be_maker, NULL))
        return false;
    status = child_wait(child_start(be_cut, &c));
    if (!(WIFEXITED(status) && WEXITSTATUS(status) == 0) &&
        !(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS))
        return complain("cut to %llu: status %x", (unsigned long long)nbytes,
                        (unsigned)status);
    return child_run("the next one", be_next, seen) && is_whole(seen);
}

static bool cut_all(bool writes)
{
    static const uint64_t lengths[] = {
        0, 1, 100, 4096, 8192, 12288, 16384, AZRI_ROWS_AT, AZRI_ROWS_AT + 100};

    (void)snprintf(g_at, sizeof g_at, "%s/bus", scene_root(true));
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        if (!cut_to(lengths[i], writes))
            return false;
    }
    return true;
}

static bool cut_under_a_writer(void)
{
    return cut_all(true);
}

static bool cut_under_a_reader(void)
{
    return cut_all(false);
}

/* ------------------------------------------------------------- a full disk --- */

static bool fill_up(const char *root)
{
    static const char bytes[4096] = "full";
    char name[256];
    int fd;

    (void)snprintf(name, sizeof name, "%s/filler", root);
    fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return complain("filler: %s", strerror(errno));
    while (write(fd, bytes, sizeof bytes) > 0) {
    }
    (void)close(fd);
    return true;
}

/* Every write is refused by name, none kills, and with room the next one works. */
static bool be_poor(void *arg)
{
    azr_error err = AZR_ERROR_INIT;
    azr_selection s = AZR_BOX(1, {2}, {4});
    int32_t v[4] = {1, 2, 3, 4};
    azr_array *a = NULL;
    int rc;

    if (!scene_open(&a, g_at, AZR_OPEN_WRITE) || !fill_up(arg))
        return false;
    for (int i = 0; i < 20; i++) {
        err = (azr_error)AZR_ERROR_INIT;
        rc = azr_array_write(a, &s, v, sizeof v, &err);
        if (rc != AZR_EIO || err.sys_errno != ENOSPC ||
            !strstr(err.message, "No space left on device"))
            return complain("a full disk: %s: %s", azr_status_name(rc),
                            err.message);
    }
    azr_array_close(a);
    return true;
}

static bool full_disk(void)
{
    char root[128], filler[160];
    image *seen = &probe_outcome()->seen;
    bool ok;

    (void)snprintf(root, sizeof root, "%s/small", scene_root(true));
    (void)snprintf(g_at, sizeof g_at, "%s/x", root);
    (void)snprintf(filler, sizeof filler, "%s/filler", root);
    if (mkdir(root, 0700) != 0 ||
        mount("small", root, "tmpfs", 0, "size=2m") != 0) {
        (void)printf("full-disk: skipped, no mount: %s\n", strerror(errno));
        (void)rmdir(root);
        return true;
    }
    ok = child_run("maker", be_maker, NULL) &&
         child_run("a writer on a full disk", be_poor, root) &&
         unlink(filler) == 0 && child_run("the next one", be_next, seen) &&
         scene_is_clean(g_at);
    (void)umount(root);
    (void)rmdir(root);
    return ok;
}

int main(int argc, char **argv)
{
    static const test tests[] = {
        {"cut-under-a-writer", cut_under_a_writer, false},
        {"cut-under-a-reader", cut_under_a_reader, false},
        {"full-disk", full_disk, true},
    };

    return run_tests(tests, sizeof tests / sizeof tests[0], argc, argv);
}
