/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor under `azr bench`: what the same work costs as a plain C loop,
 * without atomicity, metadata, counters or recovery.
 *
 *   floor bulk --dir ARRAY --chunks N --chunk-bytes B --op read|write …
 *       over the chunk files c/0 … c/N-1 of an existing array: open, read,
 *       decode; or encode, temporary, rename.
 *   floor contended --dir DIR --procs P --chunk-bytes B --seconds S …
 *       P processes overwrite the middle half of two neighbours among three
 *       chunks: one blocking range lock, read, change, temporary, rename.
 *
 * One JSON object a run. It knows of atomiczarr only where chunks stand.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#define MAX_PROCS 64
#define SAMPLES   (1 << 16) /* latencies kept a process */

struct options {
    const char *dir;
    const char *op;
    size_t chunk_nbytes;
    int chunks, procs, threads, repeat, level; /* level < 0: no codec */
    double seconds;
};

static void die(const char *what)
{
    (void)fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void *map_shared(size_t nbytes)
{
    void *p = mmap(NULL, nbytes, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        die("mmap");
    return p;
}

/* The whole file into `dst`; its length. */
static size_t read_file(int dir, const char *name, void *dst, size_t room)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    size_t have = 0;
    ssize_t n;

    if (fd < 0)
        die(name);
    while ((n = read(fd, (char *)dst + have, room - have)) > 0)
        have += (size_t)n;
    if (n < 0)
        die(name);
    (void)close(fd);
    return have;
}

static void replace_file(int dir, const char *name, const char *tmp,
                         const void *src, size_t nbytes)
{
    int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    size_t have = 0;

    if (fd < 0)
        die(tmp);
    while (have < nbytes) {
        ssize_t n = write(fd, (const char *)src + have, nbytes - have);

        if (n < 0)
            die(tmp);
        have += (size_t)n;
    }
    (void)close(fd);
    if (renameat(dir, tmp, dir, name) < 0)
        die(name);
}

/* ----------------------------------------------------------- contended --- */

struct contended {
    _Atomic int ready, go, stop;
    _Atomic uint64_t ops[MAX_PROCS];
    uint32_t ns[MAX_PROCS][SAMPLES]; /* of the last so many */
};

static void range_lock(int fd, int type, int64_t start, int64_t n)
{
    struct flock fl;

    memset(&fl, 0, sizeof fl);
    fl.l_type = (short)type;
    fl.l_whence = SEEK_SET;
    fl.l_start = start;
    fl.l_len = n;
    while (fcntl(fd, F_OFD_SETLKW, &fl) < 0)
        if (errno != EINTR)
            die("lock");
}

/* One update: the second half of chunk `first`, the first half of the next. */
static void update_two(const struct options *o, int dir, int lock, int first,
                       uint32_t value, uint32_t *chunk)
{
    size_t half = o->chunk_nbytes / 2 / sizeof *chunk;

    range_lock(lock, F_WRLCK, first, 2);
    for (int i = 0; i < 2; i++) {
        char name[32], tmp[48];

        (void)snprintf(name, sizeof name, "%d", first + i);
        (void)snprintf(tmp, sizeof tmp, ".%d.%d", first + i, (int)getpid());
        (void)read_file(dir, name, chunk, o->chunk_nbytes);
        for (size_t k = 0; k < half; k++)
            chunk[(i == 0 ? half : 0) + k] = value;
        replace_file(dir, name, tmp, chunk, o->chunk_nbytes);
    }
    range_lock(lock, F_UNLCK, first, 2);
}

static void contended_child(const struct options *o, struct contended *c,
                            int index)
{
    int dir = open(o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int lock = openat(dir, "lock", O_RDWR | O_CLOEXEC);
    uint32_t *chunk = malloc(o->chunk_nbytes);

    if (dir < 0 || lock < 0 || !chunk)
        die(o->dir);
    atomic_fetch_add(&c->ready, 1);
    while (!atomic_load(&c->go))
        (void)usleep(200);
    for (uint32_t n = 0; !atomic_load(&c->stop); n++) {
        uint64_t start = now_ns(), ns;

        update_two(o, dir, lock, index % 2, n, chunk);
        ns = now_ns() - start;
        c->ns[index][n % SAMPLES] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
        atomic_store(&c->ops[index], n + 1);
    }
    free(chunk);
    _exit(0);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void contended_report(const struct options *o, struct contended *c,
                             const uint64_t *ops, uint64_t ns)
{
    uint32_t *all = malloc((size_t)o->procs * SAMPLES * sizeof *all);
    uint64_t sum = 0, slowest = UINT64_MAX;
    size_t n = 0;

    if (!all)
        die("malloc");
    for (int i = 0; i < o->procs; i++) {
        uint64_t have = ops[i] < SAMPLES ? ops[i] : SAMPLES;

        memcpy(all + n, c->ns[i], (size_t)have * sizeof *all);
        n += (size_t)have;
        sum += ops[i];
        slowest = ops[i] < slowest ? ops[i] : slowest;
    }
    qsort(all, n, sizeof *all, by_value);
    (void)printf(
        "{\"bench\": \"floor-contended\", \"procs\": %d, \"chunk_bytes\": %zu, "
        "\"seconds\": %.3f, \"write\": {\"ops\": %llu, \"ops_per_s\": %.1f, "
        "\"slowest_over_mean\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f}}\n",
        o->procs, o->chunk_nbytes, (double)ns / 1e9, (unsigned long long)sum,
        (double)sum / ((double)ns / 1e9),
        sum ? (double)slowest * o->procs / (double)sum : 0.0,
        n ? all[n / 2] / 1e3 : 0.0, n ? all[n * 99 / 100] / 1e3 : 0.0);
    free(all);
}

static void contended_files(const struct options *o)
{
    void *zero = calloc(1, o->chunk_nbytes);
    int dir, fd;

    if (mkdir(o->dir, 0777) < 0 && errno != EEXIST)
        die(o->dir);
    dir = open(o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || !zero)
        die(o->dir);
    fd = openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        die("lock");
    (void)close(fd);
    for (int i = 0; i < 3; i++) {
        char name[32];

        (void)snprintf(name, sizeof name, "%d", i);
        replace_file(dir, name, ".new", zero, o->chunk_nbytes);
    }
    (void)close(dir);
    free(zero);
}

static void contended(const struct options *o)
{
    struct contended *c = map_shared(sizeof *c);
    uint64_t ops[MAX_PROCS], start, end;

    contended_files(o);
    for (int i = 0; i < o->procs; i++) {
        pid_t pid = fork();

        if (pid < 0)
            die("fork");
        if (pid == 0)
            contended_child(o, c, i);
    }
    while (atomic_load(&c->ready) < o->procs)
        (void)usleep(1000);
    start = now_ns();
    atomic_store(&c->go, 1);
    (void)usleep((useconds_t)(o->seconds * 1e6));
    for (int i = 0; i < o->procs; i++)
        ops[i] = atomic_load(&c->ops[i]);
    end = now_ns();
    atomic_store(&c->stop, 1);
    while (wait(NULL) > 0)
        ;
    contended_report(o, c, ops, end - start);
}

/* ---------------------------------------------------------------- bulk --- */

struct bulk {
    const struct options *o;
    char *data;
    int dir, write;
    _Atomic int next;
};

static void bulk_chunk(struct bulk *b, int i, ZSTD_CCtx *cc, ZSTD_DCtx *dc,
                       void *scratch, size_t room)
{
    size_t nbytes = b->o->chunk_nbytes, n;
    char *data = b->data + (size_t)i * nbytes;
    int raw = b->o->level < 0;
    char name[32], tmp[48];

    (void)snprintf(name, sizeof name, "%d", i);
    (void)snprintf(tmp, sizeof tmp, ".floor.%d", i);
    if (b->write) {
        n = raw ? nbytes
                : ZSTD_compressCCtx(cc, scratch, room, data, nbytes,
                                    b->o->level);
        if (ZSTD_isError(n))
            die("compress");
        replace_file(b->dir, name, tmp, raw ? data : scratch, n);
        return;
    }
    n = read_file(b->dir, name, raw ? data : scratch, raw ? nbytes : room);
    if (!raw)
        n = ZSTD_decompressDCtx(dc, data, nbytes, scratch, n);
    if (n != nbytes)
        die("a chunk has another length");
}

static void *bulk_thread(void *arg)
{
    struct bulk *b = arg;
    size_t room = ZSTD_compressBound(b->o->chunk_nbytes);
    void *scratch = malloc(room);
    ZSTD_CCtx *cc = ZSTD_createCCtx();
    ZSTD_DCtx *dc = ZSTD_createDCtx();
    int i;

    if (!scratch || !cc || !dc)
        die("malloc");
    while ((i = atomic_fetch_add(&b->next, 1)) < b->o->chunks)
        bulk_chunk(b, i, cc, dc, scratch, room);
    ZSTD_freeCCtx(cc);
    ZSTD_freeDCtx(dc);
    free(scratch);
    return NULL;
}

static double bulk_pass(struct bulk *b)
{
    pthread_t t[64];
    uint64_t start = now_ns();

    atomic_store(&b->next, 0);
    for (int i = 1; i < b->o->threads; i++)
        if (pthread_create(&t[i], NULL, bulk_thread, b) != 0)
            die("thread");
    (void)bulk_thread(b);
    for (int i = 1; i < b->o->threads; i++)
        (void)pthread_join(t[i], NULL);
    return (double)(now_ns() - start) / 1e9;
}

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void bulk(const struct options *o)
{
    struct bulk b = {.o = o, .write = strcmp(o->op, "write") == 0};
    size_t nbytes = (size_t)o->chunks * o->chunk_nbytes;
    double s[64];
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/c", o->dir);
    b.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    b.data = malloc(nbytes);
    if (b.dir < 0 || !b.data)
        die(path);
    b.write = 0;
    (void)bulk_pass(&b); /* warms files and memory, fills the source */
    b.write = strcmp(o->op, "write") == 0;
    if (b.write)
        (void)bulk_pass(&b);
    for (int i = 0; i < o->repeat; i++)
        s[i] = bulk_pass(&b);
    qsort(s, (size_t)o->repeat, sizeof *s, by_time);
    (void)printf("{\"bench\": \"floor-bulk\", \"op\": \"%s\", "
                 "\"chunk_bytes\": %zu, \"chunks\": %d, \"threads\": %d, "
                 "\"level\": %d, \"seconds\": %.6f, \"mb_per_s\": %.1f}\n",
                 o->op, o->chunk_nbytes, o->chunks, o->threads, o->level,
                 s[o->repeat / 2], (double)nbytes / s[o->repeat / 2] / 1e6);
    free(b.data);
    (void)close(b.dir);
}

static void parse(struct options *o, int argc, char **argv)
{
    static const struct option longs[] = {
        {"dir", required_argument, NULL, 'd'},
        {"op", required_argument, NULL, 'o'},
        {"chunks", required_argument, NULL, 'n'},
        {"chunk-bytes", required_argument, NULL, 'b'},
        {"procs", required_argument, NULL, 'p'},
        {"threads", required_argument, NULL, 't'},
        {"repeat", required_argument, NULL, 'r'},
        {"zstd", required_argument, NULL, 'z'},
        {"seconds", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        long n =
            c == 'd' || c == 'o' || c == '?' ? 0 : strtol(optarg, NULL, 10);

        switch (c) {
        case 'd':
            o->dir = optarg;
            break;
        case 'o':
            o->op = optarg;
            break;
        case 'n':
            o->chunks = (int)n;
            break;
        case 'b':
            o->chunk_nbytes = (size_t)n;
            break;
        case 'p':
            o->procs = n < MAX_PROCS ? (int)n : MAX_PROCS;
            break;
        case 't':
            o->threads = n < 64 ? (int)n : 64;
            break;
        case 'r':
            o->repeat = n < 64 ? (int)n : 64;
            break;
        case 'z':
            o->level = (int)n;
            break;
        case 's':
            o->seconds = strtod(optarg, NULL);
            break;
        default:
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    struct options o = {.op = "read",
                        .chunk_nbytes = 4096,
                        .chunks = 1,
                        .procs = 8,
                        .threads = 1,
                        .repeat = 3,
                        .level = -1,
                        .seconds = 2};

    if (argc > 1)
        parse(&o, argc - 1, argv + 1);
    if (argc > 1 && o.dir && strcmp(argv[1], "contended") == 0)
        contended(&o);
    else if (argc > 1 && o.dir && strcmp(argv[1], "bulk") == 0)
        bulk(&o);
    else {
        (void)fprintf(stderr, "usage: floor bulk|contended --dir DIR …\n");
        return 2;
    }
    return 0;
}
