/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FUSE by hand, since one file needs ten requests: they come one by one from
 * /dev/fuse, and each is answered before the next one is read. The root of the
 * mount is the file itself.
 */
#include "blocks/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define WRITE_MAX ((size_t)1 << 20)

static _Alignas(8) uint8_t g_request[WRITE_MAX + 8192];

static void answer(int fd, uint64_t unique, int error, const void *body,
                   size_t nbytes)
{
    struct fuse_out_header h = {
        .len = (uint32_t)(sizeof h + nbytes),
        .error = -error,
        .unique = unique,
    };
    struct iovec parts[2];

    parts[0].iov_base = &h;
    parts[0].iov_len = sizeof h;
    memcpy(&parts[1].iov_base, &body, sizeof body); /* it is only read */
    parts[1].iov_len = nbytes;
    (void)!writev(fd, parts, nbytes > 0 ? 2 : 1);
}

/* ------------------------------------------------------------------ note --- */

static void make_dirty(tape *t, size_t off, size_t nbytes)
{
    if (nbytes > 0)
        memset(t->dirty + off / TAPE_PAGE, TAPE_DIRTY,
               (off + nbytes - 1) / TAPE_PAGE - off / TAPE_PAGE + 1);
}

/* `bytes` NULL: zeros */
static void note(tape *t, tape_kind kind, size_t off, size_t nbytes,
                 const uint8_t *bytes)
{
    tape_log *log = t->log;
    uint32_t n = log->count;
    tape_event *e = &log->events[n];

    if (!log->on)
        return;
    if (n == TAPE_EVENTS || log->arena_used + nbytes > (size_t)1 << 30) {
        log->full = true;
        return;
    }
    *e = (tape_event){kind, off, nbytes, SIZE_MAX};
    if (bytes) {
        e->at = log->arena_used;
        memcpy(t->arena + e->at, bytes, nbytes);
        log->arena_used += nbytes;
    }
    log->count = n + 1;
}

/* -------------------------------------------------------------- requests --- */

static void do_init(int fd, const struct fuse_in_header *h,
                    const struct fuse_init_in *in)
{
    struct fuse_init_out out;

    memset(&out, 0, sizeof out);
    out.major = FUSE_KERNEL_VERSION;
    out.minor = FUSE_KERNEL_MINOR_VERSION;
    out.flags = in->flags & (FUSE_ASYNC_READ | FUSE_BIG_WRITES |
                             FUSE_ASYNC_DIO | FUSE_MAX_PAGES);
    out.max_background = 64;
    out.congestion_threshold = 48;
    out.max_write = (uint32_t)WRITE_MAX;
    out.max_pages = (uint16_t)(WRITE_MAX / TAPE_PAGE);
    out.time_gran = 1;
    answer(fd, h->unique, 0, &out, sizeof out);
}

static void do_getattr(const tape *t, int fd, const struct fuse_in_header *h)
{
    struct fuse_attr_out out;

    memset(&out, 0, sizeof out);
    out.attr_valid = 1u << 30;
    out.attr.ino = FUSE_ROOT_ID;
    out.attr.size = t->nbytes;
    out.attr.blocks = t->nbytes / 512;
    out.attr.mode = S_IFREG | 0600;
    out.attr.nlink = 1;
    out.attr.blksize = (uint32_t)TAPE_PAGE;
    answer(fd, h->unique, 0, &out, sizeof out);
}

static void do_open(int fd, const struct fuse_in_header *h)
{
    struct fuse_open_out out;

    memset(&out, 0, sizeof out);
    out.open_flags = FOPEN_DIRECT_IO;
    answer(fd, h->unique, 0, &out, sizeof out);
}

static void do_read(tape *t, int fd, const struct fuse_in_header *h,
                    const struct fuse_read_in *in)
{
    size_t off = in->offset;
    size_t n = off >= t->nbytes             ? 0
               : in->size < t->nbytes - off ? in->size
                                            : t->nbytes - off;

    t->log->reads++;
    answer(fd, h->unique, 0, t->now + off, n);
}

static void do_write(tape *t, int fd, const struct fuse_in_header *h,
                     const struct fuse_write_in *in)
{
    const uint8_t *bytes = (const uint8_t *)(in + 1);
    struct fuse_write_out out;

    if (in->offset > t->nbytes || in->size > t->nbytes - in->offset) {
        answer(fd, h->unique, ENOSPC, NULL, 0);
        return;
    }
    t->log->writes++;
    memcpy(t->now + in->offset, bytes, in->size);
    make_dirty(t, in->offset, in->size);
    note(t, TAPE_WRITE, in->offset, in->size, bytes);
    memset(&out, 0, sizeof out);
    out.size = in->size;
    answer(fd, h->unique, 0, &out, sizeof out);
}

/* Memory that was never used stays so. */
static void put_zeros(tape *t, size_t off, size_t nbytes)
{
    while (nbytes > 0) {
        size_t page = off / TAPE_PAGE;
        size_t n = (page + 1) * TAPE_PAGE - off;

        n = n < nbytes ? n : nbytes;
        if (t->dirty[page] != TAPE_ZEROS) {
            memset(t->now + off, 0, n);
            t->dirty[page] = TAPE_DIRTY;
        }
        off += n;
        nbytes -= n;
    }
}

/* Discards and zeros. */
static void do_fallocate(tape *t, int fd, const struct fuse_in_header *h,
                         const struct fuse_fallocate_in *in)
{
    if (!(in->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))) {
        answer(fd, h->unique, EOPNOTSUPP, NULL, 0);
        return;
    }
    if (in->offset > t->nbytes || in->length > t->nbytes - in->offset) {
        answer(fd, h->unique, ENOSPC, NULL, 0);
        return;
    }
    t->log->writes++;
    put_zeros(t, in->offset, in->length);
    note(t, TAPE_WRITE, in->offset, in->length, NULL);
    answer(fd, h->unique, 0, NULL, 0);
}

static void do_request(tape *t, int fd)
{
    const struct fuse_in_header *h = (const void *)g_request;
    const void *in = h + 1;

    switch (h->opcode) {
    case FUSE_INIT:
        do_init(fd, h, in);
        break;
    case FUSE_GETATTR:
    case FUSE_SETATTR:
        do_getattr(t, fd, h);
        break;
    case FUSE_OPEN:
        do_open(fd, h);
        break;
    case FUSE_READ:
        do_read(t, fd, h, in);
        break;
    case FUSE_WRITE:
        do_write(t, fd, h, in);
        break;
    case FUSE_FALLOCATE:
        do_fallocate(t, fd, h, in);
        break;
    case FUSE_FSYNC:
        t->log->flushes++;
        note(t, TAPE_FLUSH, 0, 0, NULL);
        answer(fd, h->unique, 0, NULL, 0);
        break;
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_DESTROY:
        answer(fd, h->unique, 0, NULL, 0);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break; /* nobody waits for an answer */
    default:
        answer(fd, h->unique, ENOSYS, NULL, 0);
    }
}

void serve_until_unmounted(tape *t, int fd)
{
    for (;;) {
        ssize_t n = read(fd, g_request, sizeof g_request);

        if (n >= (ssize_t)sizeof(struct fuse_in_header))
            do_request(t, fd);
        else if (n < 0 && errno != EINTR && errno != ENOENT && errno != EAGAIN)
            return;
    }
}
