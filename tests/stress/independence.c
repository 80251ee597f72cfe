/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stopped writer is in the way of those who want the same chunks, and of nobody
 * else. It stops itself (SIGSTOP) at a place of the protocol; the others go on.
 * And what a quiet read asks of the system, call by call.
 */
#include "stress.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OLD   UINT64_C(1)
#define NEW   UINT64_C(2)
#define LAST  UINT64_C(3)
#define CHUNK 8

static char g_path[256];

static azr_selection chunks(int64_t first, int64_t n)
{
    int64_t start = first * CHUNK, count = n * CHUNK;

    return azr_select_box(1, &start, &count, NULL);
}

static int put(azr_array *a, int64_t first, int64_t n, uint64_t value,
               azr_error *err)
{
    azr_selection sel = chunks(first, n);

    return azr_array_fill(a, &sel, &value, sizeof value, err);
}

/* The one number that chunks first .. hold. */
static uint64_t get(azr_array *a, int64_t first, int64_t n)
{
    uint64_t v[4 * CHUNK];
    azr_selection sel = chunks(first, n);
    azr_error err = AZR_ERROR_INIT;

    CHECK_OK(azr_array_read(a, &sel, v, sizeof v, &err), err);
    for (int64_t i = 1; i < n * CHUNK; i++)
        CHECK(v[i] == v[0], "chunks %d+%d are torn", (int)first, (int)n);
    return v[0];
}

/* -------------------------------------------------------- stopped writer --- */

static const char *g_stop_at; /* name of a store, or NULL */
static bool g_stopped_once;

static void stop_here(const char *what)
{
    if (!g_stop_at || strcmp(what, g_stop_at) != 0 || g_stopped_once)
        return;
    g_stopped_once = true;
    (void)raise(SIGSTOP);
}

static void stopping_store64(const char *what, _Atomic uint64_t *p,
                             uint64_t value)
{
    azri_sys_posix.store64(what, p, value);
    stop_here(what);
}

static void stopping_put(const char *what, void *dst, const void *src, size_t n)
{
    azri_sys_posix.put(what, dst, src, n);
    stop_here(what);
}

static int stopping_renameat2(int from_dir, const char *from, int to_dir,
                              const char *to, unsigned flags)
{
    int rc = azri_sys_posix.renameat2(from_dir, from, to_dir, to, flags);

    stop_here("rename");
    return rc;
}

/* Writes NEW to chunks 0 and 1 and stops on the way. */
static void writer(void *arg)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = stress_open(g_path, AZR_OPEN_WRITE, 60000);

    g_stop_at = arg;
    stress_sys = azri_sys_posix;
    stress_sys.store64 = stopping_store64;
    stress_sys.put = stopping_put;
    stress_sys.renameat2 = stopping_renameat2;
    stress_hook();
    CHECK_OK(put(a, 0, 2, NEW, &err), err);
    azr_array_close(a);
}

static void await_stop(pid_t pid)
{
    int status;

    CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status),
          "the writer did not stop");
}

static void must_be_busy(azr_array *a, pid_t pid)
{
    azr_error err = AZR_ERROR_INIT;
    char name[32];
    int64_t begun = stress_now_ns(), took;
    int rc = put(a, 1, 1, LAST, &err);

    took = (stress_now_ns() - begun) / 1000000;
    (void)snprintf(name, sizeof name, "pid %d ", (int)pid);
    CHECK(rc == AZR_EBUSY, "a writer of the same chunk: %s: %s",
          azr_status_name(rc), err.message);
    CHECK(strstr(err.message, name), "'%s' does not name %s", err.message,
          name);
    CHECK(took >= 300 && took < 30000, "a time-out of 300 ms took %d ms",
          (int)took);
}

typedef struct place {
    const char *name;
    const char *stop_at;
    bool committed;
} place;

/* Row and locks, nothing promised; promised; counters moved, one of two chunks
 * renamed. */
static const place places[] = {
    {"before the commit point", "row.what", false},
    {"at the commit point", "row.committed", true},
    {"between two renames", "rename", true},
};

static void stopped_writer(const place *p, const char *dir)
{
    azr_error err = AZR_ERROR_INIT;
    char stop_at[32];
    azr_array *impatient, *a;
    pid_t pid;

    (void)snprintf(g_path, sizeof g_path, "%s/%s.zarr", dir, p->stop_at);
    (void)snprintf(stop_at, sizeof stop_at, "%s", p->stop_at);
    stress_create(g_path, 1, (int64_t[]){4 * CHUNK}, (int64_t[]){CHUNK}, 0);
    a = stress_open(g_path, AZR_OPEN_WRITE, 60000);
    impatient = stress_open(g_path, AZR_OPEN_WRITE, 300);
    CHECK_OK(put(a, 0, 4, OLD, &err), err);
    pid = stress_spawn(writer, stop_at);
    await_stop(pid);

    /* others of other chunks; readers of the same ones */
    for (int i = 0; i < 50; i++) {
        CHECK_OK(put(a, 2, 2, LAST + (uint64_t)i, &err), err);
        CHECK(get(a, 2, 2) == LAST + (uint64_t)i, "own write not seen");
        CHECK(get(a, 0, 2) == (p->committed ? NEW : OLD),
              "%s: a reader saw the wrong state", p->name);
    }
    must_be_busy(impatient, pid);
    CHECK(get(a, 0, 2) == (p->committed ? NEW : OLD), "a refused write shows");

    CHECK(kill(pid, SIGCONT) == 0, "kill: %s", strerror(errno));
    CHECK_OK(put(a, 1, 1, LAST, &err), err); /* waits for it */
    stress_join(pid);
    CHECK(get(a, 0, 1) == NEW && get(a, 1, 1) == LAST, "wrong in the end");
    azr_array_close(impatient);
    azr_array_close(a);
}

/* Killed instead of continued: the next one finishes or undoes it, at once. */
static void killed_writer(const place *p, const char *dir)
{
    azr_error err = AZR_ERROR_INIT;
    char stop_at[32];
    azr_array *a;
    pid_t pid;

    (void)snprintf(g_path, sizeof g_path, "%s/%s-killed.zarr", dir, p->stop_at);
    (void)snprintf(stop_at, sizeof stop_at, "%s", p->stop_at);
    stress_create(g_path, 1, (int64_t[]){4 * CHUNK}, (int64_t[]){CHUNK}, 0);
    a = stress_open(g_path, AZR_OPEN_WRITE, 300);
    CHECK_OK(put(a, 0, 4, OLD, &err), err);
    pid = stress_spawn(writer, stop_at);
    await_stop(pid);
    CHECK(kill(pid, SIGKILL) == 0, "kill: %s", strerror(errno));
    stress_join_killed(pid);
    CHECK(get(a, 0, 2) == (p->committed ? NEW : OLD), "after its death");
    CHECK_OK(put(a, 1, 1, LAST, &err), err);
    CHECK(get(a, 0, 1) == (p->committed ? NEW : OLD) && get(a, 1, 1) == LAST,
          "after the next write");
    azr_array_close(a);
}

/* ------------------------------------------- beside what the dead have left --- */

static int read_twice(azr_txn *t, void *arg, azr_error *err)
{
    azr_array *a = arg;
    uint64_t v[CHUNK], w[CHUNK];
    azr_selection left = chunks(0, 1), right = chunks(1, 1);
    int64_t shape;
    int rc = azr_txn_read(t, a, &left, v, sizeof v, err);

    if (rc == AZR_OK)
        rc = azr_txn_read(t, a, &right, w, sizeof w, err);
    if (rc == AZR_OK)
        rc = azr_txn_shape(t, a, &shape, err);
    if (rc == AZR_OK && (v[0] != NEW || w[0] != NEW))
        return -1;
    return rc;
}

/* Who may only read finds the committed row of a dead writer for as long as no
 * writer comes: his transactions must get through all the same. */
static void reads_beside_dead(const char *dir)
{
    azr_txn_options options = AZR_TXN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    char stop_at[] = "row.committed";
    azr_array *a, *reader;
    pid_t pid;

    (void)snprintf(g_path, sizeof g_path, "%s/dead.zarr", dir);
    stress_create(g_path, 1, (int64_t[]){4 * CHUNK}, (int64_t[]){CHUNK}, 0);
    a = stress_open(g_path, AZR_OPEN_WRITE, 300);
    CHECK_OK(put(a, 0, 4, OLD, &err), err);
    azr_array_close(a);
    reader = stress_open(g_path, 0, 10000);
    pid = stress_spawn(writer, stop_at);
    await_stop(pid);
    CHECK(kill(pid, SIGKILL) == 0, "kill: %s", strerror(errno));
    stress_join_killed(pid);
    options.timeout_ms = 10000;
    CHECK_OK(azr_txn_run(read_twice, reader, &options, &err), err);
    azr_array_close(reader);
}

static void appender(void *arg)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = stress_open(g_path, AZR_OPEN_WRITE, 60000);
    uint64_t v[CHUNK];

    for (int i = 0; i < CHUNK; i++)
        v[i] = NEW;
    g_stop_at = arg;
    stress_sys = azri_sys_posix;
    stress_sys.store64 = stopping_store64;
    stress_hook();
    CHECK_OK(azr_array_append(a, 0, CHUNK, v, sizeof v, NULL, &err), err);
    azr_array_close(a);
}

/* An append is committed, but its document still stands in the row. What a reader
 * sees of it a writer may write. */
static void write_beyond_dead(const char *dir)
{
    azr_array_info info = {.struct_size = sizeof info};
    azr_error err = AZR_ERROR_INIT;
    char stop_at[] = "row.committed";
    azr_array *reader, *a;
    pid_t pid;

    (void)snprintf(g_path, sizeof g_path, "%s/append.zarr", dir);
    stress_create(g_path, 1, (int64_t[]){4 * CHUNK}, (int64_t[]){CHUNK}, 0);
    a = stress_open(g_path, AZR_OPEN_WRITE, 1000);
    reader = stress_open(g_path, 0, 1000);
    pid = stress_spawn(appender, stop_at);
    await_stop(pid);
    CHECK(kill(pid, SIGKILL) == 0, "kill: %s", strerror(errno));
    stress_join_killed(pid);
    CHECK_OK(azr_array_info_get(reader, &info, &err), err);
    CHECK(info.shape[0] == 5 * CHUNK, "the committed append does not show");
    CHECK(get(reader, 4, 1) == NEW, "nor what it appended");
    CHECK_OK(put(a, 4, 1, LAST, &err), err);
    CHECK(get(reader, 4, 1) == LAST, "the write beyond does not show");
    azr_array_close(reader);
    azr_array_close(a);
}

/* ------------------------------------------------------------ quiet read --- */

static char g_calls[4096];
static int g_forbidden;

static void count_call(const char *name)
{
    size_t used = strlen(g_calls);

    (void)snprintf(g_calls + used, sizeof g_calls - used, "%s ", name);
}

static int counting_openat(int dir, const char *path, int flags, mode_t mode)
{
    count_call("openat");
    g_forbidden += (flags & O_ACCMODE) != O_RDONLY;
    return azri_sys_posix.openat(dir, path, flags, mode);
}

static int counting_close(int fd)
{
    count_call("close");
    return azri_sys_posix.close(fd);
}

static ssize_t counting_pread(int fd, void *buf, size_t n, off_t off)
{
    count_call("pread");
    return azri_sys_posix.pread(fd, buf, n, off);
}

static int counting_fstat(int fd, struct stat *st)
{
    count_call("fstat");
    return azri_sys_posix.fstat(fd, st);
}

static int counting_fstatat(int dir, const char *path, struct stat *st,
                            int flags)
{
    count_call("fstatat");
    return azri_sys_posix.fstatat(dir, path, st, flags);
}

static int forbidden_lock(int fd, int cmd, struct flock *fl)
{
    g_forbidden++;
    return azri_sys_posix.lock(fd, cmd, fl);
}

static void forbidden_store64(const char *what, _Atomic uint64_t *p, uint64_t v)
{
    g_forbidden++;
    azri_sys_posix.store64(what, p, v);
}

static void forbidden_bump64(const char *what, _Atomic uint64_t *p)
{
    g_forbidden++;
    azri_sys_posix.bump64(what, p);
}

static bool forbidden_swap64(const char *what, _Atomic uint64_t *p,
                             uint64_t *seen, uint64_t value)
{
    g_forbidden++;
    return azri_sys_posix.swap64(what, p, seen, value);
}

static void forbidden_put(const char *what, void *dst, const void *src,
                          size_t n)
{
    g_forbidden++;
    azri_sys_posix.put(what, dst, src, n);
}

static ssize_t forbidden_pwrite(int fd, const void *buf, size_t n, off_t off)
{
    g_forbidden++;
    return azri_sys_posix.pwrite(fd, buf, n, off);
}

static int forbidden_futex_wait(_Atomic uint32_t *word, uint32_t value,
                                const struct timespec *timeout)
{
    g_forbidden++;
    return azri_sys_posix.futex_wait(word, value, timeout);
}

static int forbidden_renameat2(int from_dir, const char *from, int to_dir,
                               const char *to, unsigned flags)
{
    g_forbidden++;
    return azri_sys_posix.renameat2(from_dir, from, to_dir, to, flags);
}

static void count_calls(void)
{
    stress_sys = azri_sys_posix;
    stress_sys.openat = counting_openat;
    stress_sys.close = counting_close;
    stress_sys.pread = counting_pread;
    stress_sys.fstat = counting_fstat;
    stress_sys.fstatat = counting_fstatat;
    stress_sys.lock = forbidden_lock;
    stress_sys.store64 = forbidden_store64;
    stress_sys.bump64 = forbidden_bump64;
    stress_sys.swap64 = forbidden_swap64;
    stress_sys.put = forbidden_put;
    stress_sys.pwrite = forbidden_pwrite;
    stress_sys.futex_wait = forbidden_futex_wait;
    stress_sys.renameat2 = forbidden_renameat2;
    stress_hook();
}

/* Two chunks: open and look at each, one look at `state`, one at the document,
 * read, close. */
static const char quiet_calls[] =
    "openat fstat openat fstat fstat fstatat pread close pread close ";

static void quiet_read(const char *dir)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array *a, *reader;

    (void)snprintf(g_path, sizeof g_path, "%s/quiet.zarr", dir);
    stress_create(g_path, 1, (int64_t[]){4 * CHUNK}, (int64_t[]){CHUNK}, 0);
    a = stress_open(g_path, AZR_OPEN_WRITE, 5000);
    CHECK_OK(put(a, 0, 4, OLD, &err), err);
    reader = stress_open(g_path, 0, 5000);
    CHECK(get(reader, 0, 2) == OLD, "first read");
    count_calls();
    CHECK(get(reader, 0, 2) == OLD, "second read");
    azri_sys = &azri_sys_posix;
    CHECK(g_forbidden == 0, "a quiet read changed something %d times",
          g_forbidden);
    CHECK(strcmp(g_calls, quiet_calls) == 0, "a quiet read calls\n%s, not\n%s",
          g_calls, quiet_calls);
    azr_array_close(reader);
    azr_array_close(a);
}

/* ------------------------------------------------- reading beside strangers --- */

/*
 * Reads of the left half beside writers of the right half, which share their
 * stripe counters (there are more chunks than counters) and the hull of their
 * offsets: nobody touches what is read, so the read must not starve.
 */
#define WIDE 2048

typedef struct strangers {
    _Atomic uint64_t writes;
    _Atomic int stop;
} strangers;

static strangers *g_strangers;

static void stranger(void *arg)
{
    azr_array *a = stress_open(g_path, AZR_OPEN_WRITE, 60000);
    uint64_t seed = (uint64_t)getpid() * 2654435761u + *(const uint64_t *)arg;

    while (!atomic_load(&g_strangers->stop)) {
        int64_t start[2] = {0, WIDE / 2};
        int64_t count[2] = {2, 4};
        azr_error err = AZR_ERROR_INIT;
        azr_selection sel;

        start[1] += (int64_t)stress_below(&seed, WIDE / 2 - 4);
        sel = azr_select_box(2, start, count, NULL);
        CHECK_OK(azr_array_fill(a, &sel, &seed, sizeof seed, &err), err);
        atomic_fetch_add(&g_strangers->writes, 1);
    }
    azr_array_close(a);
}

static uint64_t g_values[WIDE];

/* Twice the same, so that the reads have to agree. */
static int read_half(azr_txn *t, void *arg, azr_error *err)
{
    int64_t start[2] = {0, 0}, count[2] = {2, WIDE / 2};
    azr_selection sel = azr_select_box(2, start, count, NULL);
    int rc = azr_txn_read(t, arg, &sel, g_values, sizeof g_values, err);

    return rc < 0 ? rc
                  : azr_txn_read(t, arg, &sel, g_values, sizeof g_values, err);
}

static int no_starvation(const char *dir, uint64_t seed)
{
    azr_txn_options options = AZR_TXN_OPTIONS_INIT;
    int64_t start[2] = {0, 0}, count[2] = {2, WIDE / 2};
    azr_selection sel = azr_select_box(2, start, count, NULL);
    azr_error err = AZR_ERROR_INIT;
    pid_t pids[6];
    azr_array *a;
    int reads;

    (void)snprintf(g_path, sizeof g_path, "%s/wide.zarr", dir);
    stress_create(g_path, 2, (int64_t[]){2, WIDE}, (int64_t[]){1, 1}, 0);
    a = stress_open(g_path, AZR_OPEN_WRITE, 30000);
    memset(g_values, 1, sizeof g_values);
    CHECK_OK(azr_array_write(a, &sel, g_values, sizeof g_values, &err), err);
    g_strangers = stress_shared(sizeof *g_strangers);
    for (int i = 0; i < 6; i++)
        pids[i] = stress_spawn(stranger, &seed);
    for (reads = 0; reads < 5; reads++) {
        uint64_t before = atomic_load(&g_strangers->writes);

        CHECK_OK(azr_array_read(a, &sel, g_values, sizeof g_values, &err), err);
        while (atomic_load(&g_strangers->writes) == before)
            (void)sched_yield(); /* traffic, or it proves nothing */
    }
    options.timeout_ms = 30000;
    CHECK_OK(azr_txn_run(read_half, a, &options, &err), err);
    atomic_store(&g_strangers->stop, 1);
    for (int i = 0; i < 6; i++)
        stress_join(pids[i]);
    azr_array_close(a);
    return reads;
}

int main(int argc, char **argv)
{
    stress_args args;
    char dir[128];
    int64_t begun = stress_now_ns();

    stress_parse(&args, argc, argv);
    stress_deadline(280);
    stress_scratch(dir, sizeof dir, true);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        stopped_writer(&places[i], dir);
        killed_writer(&places[i], dir);
    }
    reads_beside_dead(dir);
    write_beyond_dead(dir);
    quiet_read(dir);
    (void)no_starvation(dir, args.seed);
    stress_cleanup(dir);
    (void)printf("independence: a writer stopped and killed at %zu places, a "
                 "quiet read, reads beside strangers, %.1f s\n",
                 sizeof places / sizeof places[0],
                 (double)(stress_now_ns() - begun) / 1e9);
    return 0;
}
