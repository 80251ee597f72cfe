/* SPDX-License-Identifier: Apache-2.0 */
#include "blocks/tape.h"

#include "blocks/serve.h"
#include "crash/scene.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARENA ((size_t)1 << 30) /* as far as it is used */

enum { CAN, NO_NAMESPACE, NO_LOOP };

/* Root of a container may be allowed less. */
static int probe(void)
{
    char device[32];
    int n, control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return NO_NAMESPACE;
    n = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
    (void)snprintf(device, sizeof device, "/dev/loop%d", n);
    return n >= 0 && access(device, R_OK | W_OK) == 0 ? CAN : NO_LOOP;
}

const char *tape_cannot(void)
{
    int status = 0;
    pid_t pid;

    if (geteuid() != 0)
        return "not root";
    if (access("/dev/fuse", R_OK | W_OK) != 0)
        return "no /dev/fuse";
    (void)fflush(NULL);
    pid = fork();
    if (pid == 0)
        _exit(probe());
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(status) || WEXITSTATUS(status) == NO_NAMESPACE)
        return "no mount namespace of its own";
    return WEXITSTATUS(status) == NO_LOOP ? "no loop device" : NULL;
}

/* ------------------------------------------------------------ the server --- */

static bool own_namespace(void)
{
    static bool done;

    if (done)
        return true;
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return complain("a mount namespace: %s", strerror(errno));
    done = true;
    return true;
}

static bool serve(tape *t)
{
    char options[96];
    pid_t parent = getpid();

    t->server_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (t->server_fd < 0)
        return complain("/dev/fuse: %s", strerror(errno));
    (void)snprintf(options, sizeof options,
                   "fd=%d,rootmode=100600,user_id=0,group_id=0", t->server_fd);
    if (mount("tape", t->file, "fuse.tape", MS_NOSUID | MS_NODEV, options) != 0)
        return complain("mount fuse: %s", strerror(errno));
    (void)fflush(NULL);
    t->server = fork();
    if (t->server == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        /* what holds another tape's device is not ours to hold */
        if (dup2(t->server_fd, 3) != 3 || close_range(4, ~0u, 0) != 0)
            _exit(1);
        serve_until_unmounted(t, 3);
        _exit(0);
    }
    (void)close(t->server_fd); /* when the server dies, everybody gets EIO */
    return t->server > 0 || complain("fork: %s", strerror(errno));
}

/* The device lets itself go when it is closed for the last time. Another process
 * may take the one that was free a moment ago. */
static int attach(char device[32], int file, uint32_t flags)
{
    struct loop_config c;
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int loop = -1;

    memset(&c, 0, sizeof c);
    c.fd = (uint32_t)file;
    c.block_size = 512;
    c.info.lo_flags = LO_FLAGS_AUTOCLEAR | flags;
    for (int turn = 0; turn < 64 && loop < 0 && control >= 0; turn++) {
        int n = ioctl(control, LOOP_CTL_GET_FREE);

        if (n < 0)
            break;
        (void)snprintf(device, 32, "/dev/loop%d", n);
        loop = open(device, O_RDWR | O_CLOEXEC);
        if (loop < 0)
            break;
        if (ioctl(loop, LOOP_CONFIGURE, &c) != 0) {
            int e = errno;

            (void)close(loop);
            loop = -1;
            errno = e;
            if (e != EBUSY)
                break;
        }
    }
    if (loop < 0)
        (void)complain("loop device: %s", strerror(errno));
    if (control >= 0)
        (void)close(control);
    return loop;
}

static bool attach_tape(tape *t)
{
    int file = open(t->file, O_RDWR | O_CLOEXEC);

    if (file < 0)
        return complain("%s: %s", t->file, strerror(errno));
    t->loop = attach(t->device, file, LO_FLAGS_DIRECT_IO);
    (void)close(file);
    return t->loop >= 0;
}

static bool attach_plain(tape *t)
{
    t->plain_file = memfd_create("plain", MFD_CLOEXEC);
    if (t->plain_file < 0 || ftruncate(t->plain_file, (off_t)t->nbytes) != 0)
        return complain("memfd: %s", strerror(errno));
    t->plain_loop = attach(t->plain, t->plain_file, 0);
    return t->plain_loop >= 0;
}

bool tape_open(tape *t, const char *dir, size_t nbytes)
{
    int fd;

    memset(t, 0, sizeof *t);
    t->loop = t->plain_loop = t->plain_file = t->server_fd = -1;
    t->nbytes = nbytes;
    if (!own_namespace())
        return false;
    t->now = scene_shared(nbytes);
    t->base = scene_shared(nbytes);
    t->dirty = scene_shared(nbytes / TAPE_PAGE);
    t->arena = scene_shared(ARENA);
    t->log = scene_shared(sizeof *t->log);
    (void)snprintf(t->file, sizeof t->file, "%s/disk", dir);
    fd = open(t->file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return complain("%s: %s", t->file, strerror(errno));
    (void)close(fd);
    return serve(t) && attach_tape(t) && attach_plain(t);
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

void tape_close(tape *t)
{
    close_one(&t->loop);
    close_one(&t->plain_loop);
    close_one(&t->plain_file);
    if (t->server > 0) {
        (void)umount2(t->file, MNT_DETACH);
        while (waitpid(t->server, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    t->server = 0;
    (void)munmap(t->now, t->nbytes);
    (void)munmap(t->base, t->nbytes);
    (void)munmap(t->dirty, t->nbytes / TAPE_PAGE);
    (void)munmap(t->arena, ARENA);
    (void)munmap(t->log, sizeof *t->log);
    (void)unlink(t->file);
}

/* --------------------------------------------------------------- the log --- */

void tape_begin(tape *t)
{
    for (size_t p = 0; p < t->nbytes / TAPE_PAGE; p++) {
        if (t->dirty[p] != TAPE_DIRTY)
            continue;
        memcpy(t->base + p * TAPE_PAGE, t->now + p * TAPE_PAGE, TAPE_PAGE);
        t->dirty[p] = TAPE_CLEAN;
    }
    t->log->count = 0;
    t->log->arena_used = 0;
    t->log->full = false;
    t->log->on = true;
}

static bool is_zeros(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, TAPE_PAGE - 1) == 0;
}

void tape_end(tape *t)
{
    t->log->on = false;
    for (size_t p = 0; p < t->nbytes / TAPE_PAGE; p++) {
        if (t->dirty[p] == TAPE_CLEAN && is_zeros(t->base + p * TAPE_PAGE))
            t->dirty[p] = TAPE_ZEROS;
    }
}

uint32_t tape_count(const tape *t)
{
    return t->log->count;
}

const uint8_t *tape_bytes(const tape *t, const tape_event *e)
{
    return e->at == SIZE_MAX ? NULL : t->arena + e->at;
}

/* What is read from the device next is what the disk has. */
static bool forget_cache(int loop)
{
    return ioctl(loop, BLKFLSBUF, 0) == 0 ||
           complain("forget what is cached: %s", strerror(errno));
}

static bool reads_as(int loop, const uint8_t *disk, size_t off)
{
    uint8_t bytes[TAPE_PAGE];

    if (pread(loop, bytes, TAPE_PAGE, (off_t)off) != (ssize_t)TAPE_PAGE)
        return complain("loop device: read: %s", strerror(errno));
    return memcmp(bytes, disk + off, TAPE_PAGE) == 0 ||
           complain("the device does not read what is on the disk, at %zu",
                    off);
}

static bool page_is_true(const tape *t, const uint8_t *copy, size_t off)
{
    if (memcmp(copy + off, t->now + off, TAPE_PAGE) != 0)
        return complain("base and log do not make the disk, at %zu", off);
    return reads_as(t->loop, t->now, off);
}

static void replay(const tape *t, uint8_t *copy)
{
    for (uint32_t i = 0; i < t->log->count; i++) {
        const tape_event *e = &t->log->events[i];
        const uint8_t *bytes = tape_bytes(t, e);

        if (e->kind != TAPE_WRITE)
            continue;
        if (bytes)
            memcpy(copy + e->off, bytes, e->nbytes);
        else
            memset(copy + e->off, 0, e->nbytes);
    }
}

bool tape_is_true(tape *t)
{
    uint8_t *copy = scene_shared(t->nbytes);
    bool ok = forget_cache(t->loop);

    for (size_t off = 0; off < t->nbytes; off += TAPE_PAGE) {
        if (t->dirty[off / TAPE_PAGE] != TAPE_ZEROS)
            memcpy(copy + off, t->base + off, TAPE_PAGE);
    }
    replay(t, copy);
    for (size_t off = 0; off < t->nbytes && ok; off += TAPE_PAGE)
        ok = t->dirty[off / TAPE_PAGE] == TAPE_ZEROS ||
             page_is_true(t, copy, off);
    (void)munmap(copy, t->nbytes);
    if (t->log->full)
        ok = complain("the log is full");
    return ok;
}

bool tape_to_plain(tape *t)
{
    if (!forget_cache(t->plain_loop))
        return false;
    if (ftruncate(t->plain_file, 0) != 0 ||
        ftruncate(t->plain_file, (off_t)t->nbytes) != 0)
        return complain("the second disk: %s", strerror(errno));
    for (size_t off = 0; off < t->nbytes; off += TAPE_PAGE) {
        if (t->dirty[off / TAPE_PAGE] != TAPE_ZEROS &&
            pwrite(t->plain_file, t->now + off, TAPE_PAGE, (off_t)off) !=
                (ssize_t)TAPE_PAGE)
            return complain("the second disk: %s", strerror(errno));
    }
    return true;
}

bool tape_plain_is_true(tape *t)
{
    for (size_t off = 0; off < t->nbytes; off += TAPE_PAGE) {
        if (t->dirty[off / TAPE_PAGE] != TAPE_ZEROS &&
            !reads_as(t->plain_loop, t->now, off))
            return false;
    }
    return true;
}

bool tape_copy(tape *t, const tape *from)
{
    for (size_t p = 0; p < t->nbytes / TAPE_PAGE; p++) {
        if (from->dirty[p] != TAPE_ZEROS)
            memcpy(t->now + p * TAPE_PAGE, from->now + p * TAPE_PAGE,
                   TAPE_PAGE);
        else if (t->dirty[p] != TAPE_ZEROS)
            memset(t->now + p * TAPE_PAGE, 0, TAPE_PAGE);
        else
            continue;
        t->dirty[p] = TAPE_DIRTY;
    }
    return forget_cache(t->loop);
}
