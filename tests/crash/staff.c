/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/staff.h"

#include "crash/coverage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 60

/* What a member of the staff is told; in memory that he shares with us. */
typedef struct errand {
    child_fn fn;
    const void *arg; /* NULL: it stands here */
    _Alignas(16) unsigned char copy[STAFF_NBYTES];
} errand;

static struct {
    pid_t pid;
    int go, done;
} g_staff[STAFF_ROLES];
static errand *g_errands;
static bool g_hired, g_fresh;

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    exit(2);
}

static _Noreturn void serve(errand *e, int go, int done)
{
    char c;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (read(go, &c, 1) == 1) {
        (void)alarm(PATIENCE_S);
        c = e->fn((void *)(uintptr_t)(e->arg ? e->arg : e->copy)) ? 'y' : 'n';
        (void)alarm(0);
        if (write(done, &c, 1) != 1)
            break;
    }
    coverage_write();
    _exit(0);
}

static void hire(staff_role role)
{
    int go[2], done[2];

    must(pipe2(go, O_CLOEXEC) == 0 && pipe2(done, O_CLOEXEC) == 0, "pipe");
    (void)fflush(NULL);
    g_staff[role].pid = fork();
    must(g_staff[role].pid >= 0, "fork");
    if (g_staff[role].pid == 0) {
        for (int i = 0; i < (int)role; i++) {
            (void)close(g_staff[i].go);
            (void)close(g_staff[i].done);
        }
        (void)close(go[1]);
        (void)close(done[0]);
        serve(&g_errands[role], go[0], done[1]);
    }
    (void)close(go[0]);
    (void)close(done[1]);
    g_staff[role].go = go[1];
    g_staff[role].done = done[0];
}

void staff_hire(void)
{
    if (!g_errands)
        g_errands = scene_shared(STAFF_ROLES * sizeof *g_errands);
    for (int i = 0; i < STAFF_ROLES; i++)
        hire((staff_role)i);
    g_hired = true;
}

void staff_dismiss(void)
{
    for (int i = 0; i < STAFF_ROLES && g_hired; i++) {
        (void)close(g_staff[i].go);
        (void)close(g_staff[i].done);
        (void)child_wait(g_staff[i].pid);
    }
    g_hired = false;
}

void staff_fresh(bool fresh)
{
    g_fresh = fresh;
}

bool staff_run(staff_role role, const char *who, child_fn fn, const void *arg,
               size_t nbytes)
{
    errand *e;
    char c = 0;

    if (!g_hired || g_fresh)
        return child_run(who, fn, (void *)(uintptr_t)arg);
    e = &g_errands[role];
    e->fn = fn;
    e->arg = nbytes == 0 ? arg : NULL;
    must(nbytes <= sizeof e->copy, "errand");
    if (nbytes > 0)
        memcpy(e->copy, arg, nbytes);
    if (write(g_staff[role].go, "", 1) != 1 ||
        read(g_staff[role].done, &c, 1) != 1) {
        int status = child_wait(g_staff[role].pid);

        g_hired = false; /* the others end with us */
        return complain("%s: ended with status %x%s", who, (unsigned)status,
                        WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM
                            ? ": it hung"
                            : "");
    }
    return c == 'y' || complain("%s: failed without a word", who);
}

/* ------------------------------------------------------------------ trees --- */

typedef struct piece {
    char name[80]; /* below the root */
    mode_t mode;
    size_t nbytes;
    unsigned char *bytes;
} piece;

struct stock {
    piece *pieces; /* a directory before what is in it */
    size_t count;
};

static piece *add_piece(stock *s)
{
    s->pieces = realloc(s->pieces, (s->count + 1) * sizeof *s->pieces);
    must(s->pieces != NULL, "stock");
    memset(&s->pieces[s->count], 0, sizeof *s->pieces);
    return &s->pieces[s->count++];
}

static void take_file(piece *p, const char *path, size_t nbytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    p->bytes = malloc(nbytes + 1);
    must(fd >= 0 && p->bytes, path);
    must(read(fd, p->bytes, nbytes) == (ssize_t)nbytes, path);
    p->nbytes = nbytes;
    (void)close(fd);
}

static void take_all(stock *s, const char *root, const char *below)
{
    char path[512];
    struct dirent *e;
    DIR *d;

    (void)snprintf(path, sizeof path, "%s/%s", root, below);
    d = opendir(path);
    must(d != NULL, path);
    while ((e = readdir(d))) {
        char name[512];
        struct stat st;
        piece *p;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(name, sizeof name, "%.200s%s%.200s", below,
                       below[0] ? "/" : "", e->d_name);
        (void)snprintf(path, sizeof path, "%.200s/%.300s", root, name);
        must(lstat(path, &st) == 0, path);
        p = add_piece(s);
        (void)snprintf(p->name, sizeof p->name, "%.79s", name);
        p->mode = st.st_mode;
        if (S_ISDIR(st.st_mode))
            take_all(s, root, name);
        else
            take_file(p, path, (size_t)st.st_size);
    }
    (void)closedir(d);
}

stock *stock_take(const char *path)
{
    stock *s = calloc(1, sizeof *s);

    must(s != NULL, "stock");
    take_all(s, path, "");
    return s;
}

void stock_put(const stock *s, const char *path)
{
    int root;

    must(mkdir(path, 0777) == 0, path);
    root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(root >= 0, path);
    for (size_t i = 0; i < s->count; i++) {
        const piece *p = &s->pieces[i];
        int fd;

        if (S_ISDIR(p->mode)) {
            must(mkdirat(root, p->name, 0777) == 0, p->name);
            continue;
        }
        fd = openat(root, p->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                    p->mode & 0777);
        must(fd >= 0, p->name);
        must(write(fd, p->bytes, p->nbytes) == (ssize_t)p->nbytes, p->name);
        (void)close(fd);
    }
    (void)close(root);
}

void stock_free(stock *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        free(s->pieces[i].bytes);
    free(s->pieces);
    free(s);
}

/* All that is in it; the descriptor is closed. */
static void clear_below(int dir)
{
    struct dirent *e;
    DIR *d = fdopendir(dir);

    if (!d)
        return;
    while ((e = readdir(d))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (e->d_type != DT_DIR) {
            (void)unlinkat(dir, e->d_name, 0);
            continue;
        }
        clear_below(openat(dir, e->d_name,
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        (void)unlinkat(dir, e->d_name, AT_REMOVEDIR);
    }
    (void)closedir(d);
}

void stock_clear(const char *path)
{
    clear_below(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    (void)rmdir(path);
}

/* ---------------------------------------------------------------- numbers --- */

uint64_t staff_random(uint64_t *seed)
{
    uint64_t x = *seed += UINT64_C(0x9E3779B97F4A7C15);

    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

unsigned staff_below(uint64_t *seed, unsigned n)
{
    return n > 0 ? (unsigned)((staff_random(seed) >> 16) % n) : 0;
}

double staff_seconds(void)
{
    static struct timespec begun;
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    if (begun.tv_sec == 0)
        begun = now;
    return (double)(now.tv_sec - begun.tv_sec) +
           (double)(now.tv_nsec - begun.tv_nsec) / 1e9;
}
