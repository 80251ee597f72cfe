/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/trace.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct __ptrace_syscall_info call;

/* --------------------------------------------------------- what it does --- */

/* How a call is told to be harmless, beyond its number. */
typedef enum judge {
    NEVER,   /* it changes nothing that another process could see */
    ALWAYS,  /* it does, of the file whose descriptor comes first */
    NAMES,   /* it does, of the path in the second argument */
    OPENS,   /* with O_CREAT, O_TRUNC or O_TMPFILE in the third */
    CONTROL, /* fcntl: where it takes or drops a lock */
    DEVICE,  /* ioctl: where it is not about a terminal */
    MAPS,    /* shared, writable, of a file */
    WRITES,  /* into a file, not into a pipe or device */
    CLOSES   /* a descriptor that holds a lock */
} judge;

static const struct {
    long number;
    judge how;
    const char *name;
} calls[] = {
    {SYS_read, NEVER, ""},
    {SYS_pread64, NEVER, ""},
    {SYS_readv, NEVER, ""},
    {SYS_lseek, NEVER, ""},
    {SYS_fstat, NEVER, ""},
    {SYS_newfstatat, NEVER, ""},
    {SYS_statx, NEVER, ""},
    {SYS_faccessat, NEVER, ""},
    {SYS_readlinkat, NEVER, ""},
    {SYS_getdents64, NEVER, ""},
    {SYS_statfs, NEVER, ""},
    {SYS_fstatfs, NEVER, ""},
    {SYS_getcwd, NEVER, ""},
    {SYS_chdir, NEVER, ""},
    {SYS_fchdir, NEVER, ""},
    {SYS_dup, NEVER, ""},
    {SYS_dup3, NEVER, ""},
    {SYS_umask, NEVER, ""},
    {SYS_brk, NEVER, ""},
    {SYS_munmap, NEVER, ""},
    {SYS_mremap, NEVER, ""},
    {SYS_mprotect, NEVER, ""},
    {SYS_madvise, NEVER, ""},
    {SYS_futex, NEVER, ""},
    {SYS_getrandom, NEVER, ""},
    {SYS_getpid, NEVER, ""},
    {SYS_gettid, NEVER, ""},
    {SYS_getuid, NEVER, ""},
    {SYS_geteuid, NEVER, ""},
    {SYS_getgid, NEVER, ""},
    {SYS_getegid, NEVER, ""},
    {SYS_uname, NEVER, ""},
    {SYS_sysinfo, NEVER, ""},
    {SYS_prlimit64, NEVER, ""},
    {SYS_sched_getaffinity, NEVER, ""},
    {SYS_sched_yield, NEVER, ""},
    {SYS_clock_gettime, NEVER, ""},
    {SYS_clock_nanosleep, NEVER, ""},
    {SYS_rt_sigaction, NEVER, ""},
    {SYS_rt_sigprocmask, NEVER, ""},
    {SYS_rt_sigreturn, NEVER, ""},
    {SYS_sigaltstack, NEVER, ""},
    {SYS_set_tid_address, NEVER, ""},
    {SYS_set_robust_list, NEVER, ""},
    {SYS_rseq, NEVER, ""},
    {SYS_membarrier, NEVER, ""},
    {SYS_clone3, NEVER, ""}, /* what is made is followed, too */
    {SYS_execve, NEVER, ""},
    {SYS_exit, NEVER, ""},
    {SYS_exit_group, NEVER, ""},
#ifdef SYS_arch_prctl
    {SYS_arch_prctl, NEVER, ""},
#endif
#ifdef SYS_faccessat2
    {SYS_faccessat2, NEVER, ""},
#endif
    {SYS_ppoll, NEVER, ""},
#ifdef SYS_access
    {SYS_poll, NEVER, ""},
    {SYS_access, NEVER, ""},
    {SYS_readlink, NEVER, ""},
    {SYS_dup2, NEVER, ""},
#endif
    {SYS_openat, OPENS, "openat"},
    {SYS_fcntl, CONTROL, "lock"},
    {SYS_ioctl, DEVICE, "clone"},
    {SYS_mmap, MAPS, "mmap"},
    {SYS_close, CLOSES, "close"},
    {SYS_write, WRITES, "write"},
    {SYS_writev, WRITES, "writev"},
    {SYS_pwrite64, WRITES, "pwrite"},
    {SYS_flock, ALWAYS, "flock"},
    {SYS_fsync, ALWAYS, "fsync"},
    {SYS_fdatasync, ALWAYS, "fdatasync"},
    {SYS_syncfs, ALWAYS, "syncfs"},
    {SYS_fallocate, ALWAYS, "fallocate"},
    {SYS_ftruncate, ALWAYS, "ftruncate"},
    {SYS_fchmod, ALWAYS, "fchmod"},
    {SYS_fchown, ALWAYS, "fchown"},
    {SYS_copy_file_range, ALWAYS, "copy_range"},
    {SYS_renameat2, NAMES, "renameat2"},
#ifdef SYS_renameat /* the C library, where there are no flags */
    {SYS_renameat, NAMES, "renameat2"},
#endif
    {SYS_linkat, NAMES, "linkat"},
    {SYS_unlinkat, NAMES, "unlinkat"},
    {SYS_mkdirat, NAMES, "mkdirat"},
};

/* Transactions, and the inodes by which /proc calls files that never had a name
 * ("#5525714 (deleted)"), which are of any length. */
static void mask_numbers(char *text)
{
    bool nameless = false;
    char *to = text;

    while (*text) {
        size_t n = strspn(text, "0123456789abcdef");

        if (n >= 8 || (n > 0 && nameless)) {
            *to++ = '*';
        } else {
            n = n ? n : 1;
            memmove(to, text, n);
            to += n;
        }
        nameless = *text == '#';
        text += n;
    }
    *to = '\0';
}

/* Of the process' descriptor; false: it has none of that number. */
static bool path_of_fd(char *out, size_t n, pid_t tid, uint64_t fd)
{
    char link[64];
    ssize_t got;

    (void)snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)tid, (int)fd);
    got = readlink(link, out, n - 1);
    out[got > 0 ? got : 0] = '\0';
    return got > 0;
}

static bool holds_lock(pid_t tid, uint64_t fd)
{
    char line[256];
    bool found = false;
    FILE *f;

    (void)snprintf(line, sizeof line, "/proc/%d/fdinfo/%d", (int)tid, (int)fd);
    f = fopen(line, "re");
    while (f && !found && fgets(line, sizeof line, f))
        found = strncmp(line, "lock:", 5) == 0;
    if (f)
        (void)fclose(f);
    return found;
}

/* What follows a page may be no memory: each is read by itself. */
static void text_of(char *out, size_t n, pid_t tid, uint64_t at)
{
    size_t length = 0;

    while (length < n - 1 && strnlen(out, length) == length) {
        size_t page = (size_t)(4096 - (at + length) % 4096);
        size_t more = page < n - 1 - length ? page : n - 1 - length;
        struct iovec here = {out + length, more}, there = {NULL, more};
        uint64_t from = at + length;
        ssize_t got;

        memcpy(&there.iov_base, &from, sizeof there.iov_base);
        got = process_vm_readv(tid, &here, 1, &there, 1, 0);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    out[length] = '\0';
}

static bool is_lock_command(uint64_t command)
{
    switch (command) {
    case F_GETFD:
    case F_SETFD:
    case F_GETFL:
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
    case F_GETLK:
    case F_OFD_GETLK:
        return false;
    default:
        return true;
    }
}

static bool writes_file(pid_t tid, uint64_t fd)
{
    struct stat st;
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)tid, (int)fd);
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool opens_new(uint64_t flags)
{
    return (flags & (O_CREAT | O_TRUNC)) != 0 ||
           (flags & O_TMPFILE) == O_TMPFILE;
}

static bool changes(judge how, pid_t tid, const uint64_t arg[6])
{
    switch (how) {
    case NEVER:
        return false;
    case ALWAYS:
    case NAMES:
        return true;
    case OPENS:
        return opens_new(arg[2]);
    case CONTROL:
        return is_lock_command(arg[1]);
    case DEVICE:
        return arg[1] >> 8 != 0x54; /* 'T': terminals */
    case MAPS:
        return (arg[2] & PROT_WRITE) && !(arg[3] & MAP_PRIVATE) &&
               !(arg[3] & MAP_ANONYMOUS);
    case WRITES:
        return writes_file(tid, arg[0]);
    case CLOSES:
        return holds_lock(tid, arg[0]);
    }
    return true;
}

/* Where: of a path as it was given, of a descriptor from the root on. */
static void path_in(char path[PATH_MAX], judge how, pid_t tid,
                    const uint64_t arg[6])
{
    char name[PATH_MAX];
    size_t n;

    path[0] = '\0';
    if (how == NAMES) {
        text_of(path, PATH_MAX, tid, arg[1]);
    } else if (how == OPENS) {
        text_of(name, sizeof name, tid, arg[1]);
        if (name[0] != '/')
            (void)path_of_fd(path, PATH_MAX, tid, arg[0]);
        n = strlen(path);
        if (snprintf(path + n, PATH_MAX - n, "/%s", name) >=
            (int)(PATH_MAX - n))
            path[n] = '\0';
    } else {
        (void)path_of_fd(path, PATH_MAX, tid, arg[how == MAPS ? 4 : 0]);
    }
}

/* The command's own files (a spooled output in /tmp) are not the library's. */
static bool is_elsewhere(const char *path, const char *within)
{
    return within && path[0] == '/' &&
           strncmp(path, within, strlen(within)) != 0;
}

/* True: it is one. */
static bool effect_of(effect *e, pid_t tid, const call *c, const char *within)
{
    size_t n = sizeof calls / sizeof calls[0], i = 0;
    char path[PATH_MAX], *base;
    uint64_t arg[6];

    for (size_t k = 0; k < 6; k++)
        arg[k] = c->entry.args[k];
    memset(e, 0, sizeof *e);
    while (i < n && calls[i].number != (long)c->entry.nr)
        i++;
    if (i == n) {
        (void)snprintf(e->name, sizeof e->name, "syscall %d", (int)c->entry.nr);
        return true;
    }
    if (!changes(calls[i].how, tid, arg))
        return false;
    path_in(path, calls[i].how, tid, arg);
    if (calls[i].how != NAMES && is_elsewhere(path, within))
        return false;
    if (strncmp(path, "/proc/", 6) == 0) /* a number like any other */
        path[0] = '\0';
    mask_numbers(path);
    base = strrchr(path, '/');
    (void)snprintf(e->name, sizeof e->name, "%s", calls[i].name);
    (void)snprintf(e->what, sizeof e->what, "%.100s", base ? base + 1 : path);
    return true;
}

/* ------------------------------------------------------------- following --- */

static bool next_stop(pid_t *tid, int *status)
{
    do
        *tid = waitpid(-1, status, __WALL);
    while (*tid < 0 && errno == EINTR);
    return *tid > 0;
}

static void go_on(pid_t tid, int signal)
{
    /* it may be gone: killed with its process */
    (void)ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(intptr_t)signal);
}

static pid_t start(child_fn fn, void *arg)
{
    pid_t pid;
    bool ok;

    (void)fflush(NULL);
    pid = fork();
    if (pid != 0)
        return pid;
    (void)alarm(60);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0 || raise(SIGSTOP) != 0)
        _exit(77);
    ok = fn(arg);
    _exit(ok ? 0 : 1);
}

/* Steps of a process of one thread; a call is one. True: it is still there. */
static bool walk(trace *t, pid_t tid)
{
    for (unsigned i = 0; i < t->steps; i++) {
        if (ptrace(PTRACE_SINGLESTEP, tid, NULL, NULL) != 0 ||
            waitpid(tid, &t->status, __WALL) != tid)
            return false;
        if (!WIFSTOPPED(t->status)) {
            t->ended = true;
            return false;
        }
    }
    return true;
}

static void strike(trace *t, pid_t pid)
{
    (void)kill(pid, SIGKILL);
    t->killed = true;
}

/* At the beginning of a call that is an effect, `t->at` is now; a kill at that stop
 * means that the kernel does not make the call. */
static bool begins(trace *t, pid_t pid, pid_t tid, const call *c)
{
    effect e;

    t->calls++;
    if (!effect_of(&e, tid, c, t->within))
        return false;
    if (t->meet && !t->meet(&e, t->arg))
        t->missed = true;
    if (t->count < TRACE_EFFECTS)
        t->effects[t->count] = e;
    if (t->count++ == t->at && !t->after)
        strike(t, pid);
    return true;
}

static void ends(trace *t, pid_t pid, pid_t tid)
{
    if (t->count != t->at + 1 || !t->after || t->killed)
        return;
    if (walk(t, tid))
        strike(t, pid);
}

/* What a stop is about: the signal to hand on. */
static int look_at(trace *t, pid_t pid, pid_t tid, int status, pid_t *in_effect)
{
    int signal = WSTOPSIG(status);
    call c;

    if (signal == (SIGTRAP | 0x80)) {
        if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof c, &c) <= 0)
            return 0;
        if (c.op == PTRACE_SYSCALL_INFO_ENTRY) {
            if (begins(t, pid, tid, &c))
                *in_effect = tid;
        } else if (*in_effect == tid) {
            *in_effect = 0;
            ends(t, pid, tid);
        }
        return 0;
    }
    /* events and the first stop of a thread are ours */
    return signal == SIGTRAP || signal == SIGSTOP ? 0 : signal;
}

static const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL |
                            PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                            PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;

bool trace_run(trace *t, child_fn fn, void *arg)
{
    pid_t pid = start(fn, arg), tid, in_effect = 0;
    int status;

    t->count = 0;
    t->calls = 0;
    t->killed = t->missed = t->ended = false;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
        return complain("a child cannot be traced");
    if (ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)options) != 0)
        return complain("ptrace: %s", strerror(errno));
    for (go_on(pid, 0); next_stop(&tid, &status);) {
        if (WIFSTOPPED(status)) {
            int signal = look_at(t, pid, tid, status, &in_effect);

            if (t->ended)
                return true;
            go_on(tid, signal);
        } else if (tid == pid) {
            t->status = status;
            return true;
        }
    }
    return complain("waitpid: %s", strerror(errno));
}

static bool nothing(void *arg)
{
    (void)arg;
    return true;
}

bool trace_works(void)
{
    static trace t;

    t.at = UINT_MAX;
    return trace_run(&t, nothing, NULL) && t.status == 0 && t.calls > 0;
}
