/* SPDX-License-Identifier: Apache-2.0 */
#include "os/host.h"

#include "base/cancel.h"
#include "os/file.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int64_t clock_ns(clockid_t id)
{
    struct timespec t;

    if (clock_gettime(id, &t) != 0)
        return 0;
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t azri_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t azri_wall_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

static uint8_t g_boot_id[16];
static char g_host[64];
static pthread_once_t g_once = PTHREAD_ONCE_INIT;

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

static void learn_host(void)
{
    char text[64] = {0};
    size_t digits = 0;
    int fd = -1;

    if (gethostname(g_host, sizeof g_host - 1) != 0)
        g_host[0] = '\0';
    if (azri_open_at(&fd, AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY,
                     0, NULL) < 0)
        return;
    if (azri_sys->pread(fd, text, sizeof text - 1, 0) > 0) {
        for (size_t i = 0; text[i] && digits < 32; i++) {
            int v = hex_digit(text[i]);

            if (v < 0)
                continue;
            g_boot_id[digits / 2] =
                (uint8_t)(g_boot_id[digits / 2] << 4 | (uint8_t)v);
            digits++;
        }
    }
    azri_close(fd);
}

void azri_boot_id(uint8_t out[16])
{
    (void)pthread_once(&g_once, learn_host);
    memcpy(out, g_boot_id, 16);
}

void azri_host_name(char out[64])
{
    (void)pthread_once(&g_once, learn_host);
    memcpy(out, g_host, 64);
}

static _Atomic uint32_t g_pid;

static void forget_pid(void)
{
    atomic_store(&g_pid, 0);
}

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, forget_pid);
}

/* Remembered: a system call for each transaction would show. */
uint32_t azri_process_id(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    uint32_t pid = atomic_load(&g_pid);

    if (pid != 0)
        return pid;
    (void)pthread_once(&once, watch_forks);
    pid = (uint32_t)getpid();
    atomic_store(&g_pid, pid);
    return pid;
}

uint32_t azri_user_id(void)
{
    return (uint32_t)geteuid();
}

azri_patience azri_patience_from(int64_t timeout_ms, const azr_cancel *cancel)
{
    azri_patience p = {INT64_MAX, cancel};
    int64_t now = azri_now_ns();

    if (timeout_ms >= 0 && timeout_ms < (INT64_MAX - now) / 1000000)
        p.deadline_ns = now + timeout_ms * 1000000;
    return p;
}

int azri_patience_check(const azri_patience *p)
{
    if (azri_canceled(p->cancel))
        return AZR_ECANCELED;
    if (p->deadline_ns != INT64_MAX && azri_now_ns() >= p->deadline_ns)
        return AZR_EBUSY;
    return AZR_OK;
}

int64_t azri_patience_slice(const azri_patience *p, int64_t net_ns)
{
    int64_t left;

    if (p->deadline_ns == INT64_MAX)
        return net_ns;
    left = p->deadline_ns - azri_now_ns();
    if (left < 0)
        return 0;
    return left < net_ns ? left : net_ns;
}

/* Magics of linux/magic.h and of file systems outside the kernel tree. Local:
 * one kernel sees all locks, maps are coherent, rename is atomic. */
static const struct fs_kind {
    uint64_t magic;
    int fs_class;
    const char *name;
} fs_kinds[] = {
    {0xEF53, AZR_FS_LOCAL, "ext2/ext3/ext4"},
    {0x58465342, AZR_FS_LOCAL, "xfs"},
    {0x9123683E, AZR_FS_LOCAL, "btrfs"},
    {0x01021994, AZR_FS_LOCAL, "tmpfs"},
    {0x858458f6, AZR_FS_LOCAL, "ramfs"},
    {0x794c7630, AZR_FS_LOCAL, "overlayfs"},
    {0xF2F52010, AZR_FS_LOCAL, "f2fs"},
    {0x2FC12FC1, AZR_FS_LOCAL, "zfs"},
    {0xCA451A4E, AZR_FS_LOCAL, "bcachefs"},
    {0x3153464a, AZR_FS_LOCAL, "jfs"},
    {0x52654973, AZR_FS_LOCAL, "reiserfs"},
    {0x6969, AZR_FS_NETWORK, "nfs"},
    {0xFF534D42, AZR_FS_NETWORK, "cifs"},
    {0xFE534D42, AZR_FS_NETWORK, "smb2"},
    {0x517B, AZR_FS_NETWORK, "smb"},
    {0x00C36400, AZR_FS_NETWORK, "ceph"},
    {0x0BD00BD0, AZR_FS_NETWORK, "lustre"},
    {0x47504653, AZR_FS_NETWORK, "gpfs"},
    {0x19830326, AZR_FS_NETWORK, "beegfs"},
    {0x01161970, AZR_FS_NETWORK, "gfs2"},
    {0x7461636f, AZR_FS_NETWORK, "ocfs2"},
    {0x01021997, AZR_FS_NETWORK, "9p"},
    {0x5346414F, AZR_FS_UNSAFE, "afs"},
    {0x65735546, AZR_FS_UNSAFE, "fuse"},
    {0x4d44, AZR_FS_UNSAFE, "fat"},
    {0x2011BAB0, AZR_FS_UNSAFE, "exfat"},
};

int azri_fs_classify(int *class_out, uint64_t *magic_out, char name_out[32],
                     int fd, azr_error *err)
{
    struct statfs st;

    if (azri_sys->fstatfs(fd, &st) != 0)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "statfs");
    /* f_type is a signed long on some machines */
    *magic_out = (uint64_t)st.f_type & 0xFFFFFFFFu;
    *class_out = AZR_FS_UNSAFE;
    (void)snprintf(name_out, 32, "unknown (0x%llx)",
                   (unsigned long long)*magic_out);
    for (size_t i = 0; i < sizeof fs_kinds / sizeof fs_kinds[0]; i++) {
        if (fs_kinds[i].magic != *magic_out)
            continue;
        *class_out = fs_kinds[i].fs_class;
        (void)snprintf(name_out, 32, "%s", fs_kinds[i].name);
    }
    return AZR_OK;
}
