/* SPDX-License-Identifier: Apache-2.0 */
#include "stress.h"

#include "base/guard.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct azri_sys stress_sys;

void stress_die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)fprintf(stderr, "process %d: ", (int)getpid());
    (void)vfprintf(stderr, fmt, ap);
    (void)fputc('\n', stderr);
    va_end(ap);
    (void)fflush(stderr);
    _exit(1);
}

void stress_parse(stress_args *out, int argc, char **argv)
{
    *out = (stress_args){.seed = (uint64_t)stress_now_ns(), .scale = 1};
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];

        if (strncmp(a, "--seed=", 7) == 0)
            out->seed = strtoull(a + 7, NULL, 0);
        else if (strncmp(a, "--scale=", 8) == 0)
            out->scale = (unsigned)strtoul(a + 8, NULL, 0);
        else if (strncmp(a, "--only=", 7) == 0)
            out->only = a + 7;
        else if (strncmp(a, "--sabotage=", 11) == 0)
            out->sabotage = a + 11;
        else if (strncmp(a, "--nemesis=", 10) == 0)
            out->nemesis = a + 10;
        else if (strncmp(a, "--dump=", 7) == 0)
            out->dump = a + 7;
        else if (strcmp(a, "--torture") == 0)
            out->torture = true;
        else if (strcmp(a, "--soak") == 0)
            out->soak = true;
        else
            stress_die("what is '%s'? --seed=N --scale=N --only=NAME "
                       "--sabotage=GUARD --nemesis=LIST --torture",
                       a);
    }
    if (out->seed == 0)
        out->seed = 1;
    if (out->scale == 0)
        out->scale = 1;
}

bool stress_wants(const stress_args *args, const char *name)
{
    return !args->only || strstr(name, args->only) != NULL;
}

/* xorshift64* */
uint64_t stress_random(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(0x2545F4914F6CDD1D);
}

uint64_t stress_below(uint64_t *seed, uint64_t n)
{
    return (stress_random(seed) >> 11) % n;
}

int64_t stress_now_ns(void)
{
    struct timespec t;

    /* one that a test's clock faults leave alone (nemesis.c) */
    (void)clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void stress_scratch(char *out, size_t nbytes, bool fast)
{
    const char *root = fast && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : ".";

    (void)snprintf(out, nbytes, "%s/azr-stress-XXXXXX", root);
    if (!mkdtemp(out))
        stress_die("mkdtemp %s: %s", out, strerror(errno));
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void stress_cleanup(const char *dir)
{
    if (nftw(dir, remove_one, 32, FTW_DEPTH | FTW_PHYS) != 0)
        stress_die("cannot remove %s: %s", dir, strerror(errno));
}

void *stress_shared(size_t nbytes)
{
    void *p = mmap(NULL, nbytes, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        stress_die("mmap of %zu bytes: %s", nbytes, strerror(errno));
    return p;
}

pid_t stress_spawn(void (*fn)(void *arg), void *arg)
{
    pid_t pid;

    (void)fflush(NULL);
    pid = fork();
    if (pid < 0)
        stress_die("fork: %s", strerror(errno));
    if (pid > 0)
        return pid;
    /* a test that is killed for its time leaves nobody behind */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    fn(arg);
    exit(0);
}

static int wait_for(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            stress_die("waitpid: %s", strerror(errno));
    }
    return status;
}

void stress_join(pid_t pid)
{
    int status = wait_for(pid);

    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        stress_die("child %d ended with status %x", (int)pid, status);
}

void stress_join_killed(pid_t pid)
{
    int status = wait_for(pid);

    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        stress_die("child %d ended with status %x, not killed", (int)pid,
                   status);
}

static void too_late(int sig)
{
    static const char text[] = "deadline: something hangs\n";

    (void)sig;
    (void)!write(2, text, sizeof text - 1);
    (void)kill(0, SIGKILL);
}

void stress_deadline(unsigned seconds)
{
    (void)setpgid(0, 0);
    (void)signal(SIGALRM, too_late);
    (void)alarm(seconds);
}

void stress_pipe_open(stress_pipe *p)
{
    int fd[2];

    if (pipe(fd) != 0)
        stress_die("pipe: %s", strerror(errno));
    p->read_end = fd[0];
    p->write_end = fd[1];
}

void stress_tell(const stress_pipe *p)
{
    while (write(p->write_end, "x", 1) != 1) {
        if (errno != EINTR)
            stress_die("write to a pipe: %s", strerror(errno));
    }
}

void stress_await(const stress_pipe *p)
{
    char c;

    for (;;) {
        ssize_t n = read(p->read_end, &c, 1);

        if (n == 1)
            return;
        if (n == 0 || errno != EINTR)
            stress_die("read from a pipe: %s",
                       n == 0 ? "end of file" : strerror(errno));
    }
}

void stress_create(const char *path, int rank, const int64_t *shape,
                   const int64_t *chunks, int durability)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_open_options options = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;

    spec.rank = rank;
    spec.dtype = AZR_UINT64;
    memcpy(spec.shape, shape, (size_t)rank * sizeof *shape);
    memcpy(spec.chunks, chunks, (size_t)rank * sizeof *chunks);
    spec.codecs = "none";
    spec.durability = durability;
    CHECK_OK(azr_array_create(&a, path, &spec, &options, &err), err);
    azr_array_close(a);
}

azr_array *stress_open(const char *path, unsigned flags, int64_t timeout_ms)
{
    azr_open_options options = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;

    options.flags = flags;
    options.threads = 1;
    options.timeout_ms = timeout_ms;
    CHECK_OK(azr_array_open(&a, path, &options, &err), err);
    return a;
}

azr_stats stress_stats(void)
{
    azr_stats s = {.struct_size = sizeof s};

    if (azr_stats_get(&s) != AZR_OK)
        stress_die("azr_stats_get");
    return s;
}

void stress_hook(void)
{
    azri_sys = &stress_sys;
}

#ifdef __SANITIZE_THREAD__
/* Workers are killed: a report at the end would be lost with them. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "halt_on_error=1";
}
#endif
