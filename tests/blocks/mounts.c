/* SPDX-License-Identifier: Apache-2.0 */
#include "blocks/mounts.h"

#include "crash/scene.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

const mounts_kind mounts_kinds[] = {
    {"ext4",
     16 * MIB,
     {"mkfs.ext4", "-q", "-F", "-b", "4096", "-E",
      "lazy_itable_init=0,lazy_journal_init=0", NULL}},
    {"xfs", 300 * MIB, {"mkfs.xfs", "-q", "-f", NULL}},
    {"btrfs", 128 * MIB, {"mkfs.btrfs", "-q", "-f", NULL}},
    {NULL, 0, {NULL}},
};

const mounts_kind *mounts_find(const char *name)
{
    for (const mounts_kind *k = mounts_kinds; k->name; k++) {
        if (strcmp(k->name, name) == 0)
            return k;
    }
    return NULL;
}

/* Where programs for the administrator are. */
static const char *const places[] = {"/sbin", "/usr/sbin", "/usr/local/sbin",
                                     "/usr/bin", NULL};

static bool find_program(char out[64], const char *name)
{
    for (int i = 0; places[i]; i++) {
        (void)snprintf(out, 64, "%s/%s", places[i], name);
        if (access(out, X_OK) == 0)
            return true;
    }
    return false;
}

const char *mounts_cannot(const mounts_kind *k)
{
    char line[128], program[64];
    bool found = false;
    FILE *f;

    if (!find_program(program, k->mkfs[0]))
        return "there is no mkfs";
    f = fopen("/proc/filesystems", "r");
    while (f && !found && fgets(line, sizeof line, f)) {
        const char *name = strrchr(line, '\t');

        line[strcspn(line, "\n")] = '\0';
        found = name && strcmp(name + 1, k->name) == 0;
    }
    if (f)
        (void)fclose(f);
    return found ? NULL : "the kernel does not have it";
}

static void run_mkfs(const mounts_kind *k, const char *device)
{
    char program[64], words[9][64];
    char *args[10];
    int n = 0, fd;

    if (!find_program(program, k->mkfs[0]))
        _exit(127);
    for (; k->mkfs[n]; n++)
        (void)snprintf(words[n], sizeof words[n], "%s", k->mkfs[n]);
    (void)snprintf(words[n++], sizeof words[0], "%s", device);
    for (int i = 0; i < n; i++)
        args[i] = words[i];
    args[n] = NULL;
    fd = open("mkfs.log", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    (void)execv(program, args);
    _exit(127);
}

bool mounts_make(const mounts_kind *k, const char *device)
{
    int status = 0;
    pid_t pid;

    (void)fflush(NULL);
    pid = fork();
    if (pid == 0)
        run_mkfs(k, device);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status == 0 || complain("%s: status %d, see mkfs.log", k->mkfs[0],
                                   WEXITSTATUS(status));
}

int mounts_mount(const mounts_kind *k, const char *device, const char *at)
{
    char proc[300];
    int rc = 0;

    (void)snprintf(proc, sizeof proc, "%s/proc", at);
    if (mount(device, at, k->name, MS_NOSUID | MS_NODEV, "") != 0)
        return errno;
    (void)mkdir(proc, 0755);
    if (mount("/proc", proc, NULL, MS_BIND, NULL) != 0) {
        rc = errno;
        (void)umount2(at, 0);
    }
    return rc;
}

bool mounts_unmount(const char *at)
{
    char proc[300];

    (void)snprintf(proc, sizeof proc, "%s/proc", at);
    if (umount2(proc, 0) != 0 || umount2(at, 0) != 0)
        return complain("unmount %s: %s", at, strerror(errno));
    return true;
}
