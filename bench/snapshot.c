/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a snapshot costs, and what it costs the writers beside it.
 *
 *   snapshot --dir DIR --chunks N --chunk-bytes B --writers W --seconds S
 *
 * An array of N chunks; snapshots of it alone; W processes that each rewrite the
 * middle of random chunks; and the same with snapshots taken all the time. One JSON
 * object.
 */
#include <atomiczarr.h>

#include <errno.h>
#include <getopt.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_WRITERS 64

struct options {
    const char *dir;
    int64_t chunks, chunk_nbytes;
    int writers;
    double seconds;
};

struct shared {
    _Atomic int stop;
    _Atomic uint64_t writes, worst_ns;
};

static void fail(const char *what, const azr_error *err)
{
    (void)fprintf(stderr, "snapshot: %s: %s\n", what,
                  err ? err->message : strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static double ms_since(uint64_t from)
{
    return (double)(now_ns() - from) / 1e6;
}

static azr_array *make(const struct options *o, const char *path)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    azr_selection all = azr_select_all(1);
    uint8_t one = 1;

    spec.rank = 1;
    spec.dtype = AZR_UINT8;
    spec.shape[0] = o->chunks * o->chunk_nbytes;
    spec.chunks[0] = o->chunk_nbytes;
    spec.codecs = "none";
    if (azr_array_create(&a, path, &spec, NULL, &err) < 0 ||
        azr_array_fill(a, &all, &one, 1, &err) < 0)
        fail("create", &err);
    return a;
}

static void write_on(const struct options *o, const char *path,
                     struct shared *s)
{
    azr_open_options open = AZR_OPEN_OPTIONS_INIT;
    azr_selection sel = AZR_BOX(1, {0}, {0});
    azr_error err = AZR_ERROR_INIT;
    uint64_t seed = (uint64_t)getpid();
    azr_array *a = NULL;
    uint8_t *bytes = calloc(1, (size_t)o->chunk_nbytes);

    open.flags = AZR_OPEN_WRITE;
    if (!bytes || azr_array_open(&a, path, &open, &err) < 0)
        fail("open", &err);
    memset(bytes, 3, (size_t)o->chunk_nbytes);
    sel.count[0] = o->chunk_nbytes / 2;
    while (!atomic_load(&s->stop)) {
        uint64_t began = now_ns(), took, worst;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        sel.start[0] =
            (int64_t)((seed >> 33) % (uint64_t)o->chunks) * o->chunk_nbytes +
            o->chunk_nbytes / 4;
        if (azr_array_write(a, &sel, bytes, (size_t)sel.count[0], &err) < 0)
            fail("write", &err);
        took = now_ns() - began;
        worst = atomic_load(&s->worst_ns);
        while (took > worst &&
               !atomic_compare_exchange_weak(&s->worst_ns, &worst, took))
            continue;
        atomic_fetch_add(&s->writes, 1);
    }
    azr_array_close(a);
    free(bytes);
}

struct result {
    double take_ms, close_ms, read_ms;
    uint64_t n;
};

static void take_one(azr_array *a, struct result *r)
{
    azr_error err = AZR_ERROR_INIT;
    azr_snapshot *snapshot = NULL;
    uint64_t began = now_ns();

    if (azr_snapshot_take(&snapshot, &a, 1, NULL, &err) < 0)
        fail("take", &err);
    r->take_ms += ms_since(began);
    began = now_ns();
    azr_snapshot_close(snapshot);
    r->close_ms += ms_since(began);
    r->n++;
}

/* Writers for so long; with snapshots beside them if `r`. Writes a second. */
static double contend(const struct options *o, const char *path, azr_array *a,
                      struct shared *s, struct result *r)
{
    pid_t pids[MAX_WRITERS];
    uint64_t began = now_ns(), end = began + (uint64_t)(o->seconds * 1e9);

    atomic_store(&s->stop, 0);
    atomic_store(&s->writes, 0);
    atomic_store(&s->worst_ns, 0);
    for (int i = 0; i < o->writers; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            write_on(o, path, s);
            _exit(0);
        }
    }
    while (now_ns() < end) {
        if (r)
            take_one(a, r);
        else
            (void)usleep(10000);
    }
    atomic_store(&s->stop, 1);
    for (int i = 0; i < o->writers; i++)
        (void)waitpid(pids[i], NULL, 0);
    return (double)atomic_load(&s->writes) / (ms_since(began) / 1e3);
}

static void parse(struct options *o, int argc, char **argv)
{
    static const struct option names[] = {
        {"dir", required_argument, NULL, 'd'},
        {"chunks", required_argument, NULL, 'n'},
        {"chunk-bytes", required_argument, NULL, 'b'},
        {"writers", required_argument, NULL, 'w'},
        {"seconds", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (c == 'd')
            o->dir = optarg;
        else if (c == 'n')
            o->chunks = strtoll(optarg, NULL, 10);
        else if (c == 'b')
            o->chunk_nbytes = strtoll(optarg, NULL, 10);
        else if (c == 'w')
            o->writers = (int)strtol(optarg, NULL, 10);
        else if (c == 's')
            o->seconds = strtod(optarg, NULL);
        else
            exit(2);
    }
    if (o->chunks < 1 || o->chunk_nbytes < 4 || o->writers < 0 ||
        o->writers > MAX_WRITERS)
        exit(2);
}

int main(int argc, char **argv)
{
    struct options o = {".", 10000, 4096, 2, 3};
    struct result alone = {0, 0, 0, 0}, beside = {0, 0, 0, 0};
    double without, with, worst_without;
    struct shared *s;
    azr_array *a;
    char path[512];

    parse(&o, argc, argv);
    (void)snprintf(path, sizeof path, "%s/snapshot-bench-%d.zarr", o.dir,
                   (int)getpid());
    s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s == MAP_FAILED)
        fail("mmap", NULL);
    a = make(&o, path);
    take_one(a, &alone); /* the first one makes directories, and warms */
    memset(&alone, 0, sizeof alone);
    for (int i = 0; i < 5; i++)
        take_one(a, &alone);
    without = contend(&o, path, a, s, NULL);
    worst_without = (double)atomic_load(&s->worst_ns) / 1e6;
    with = contend(&o, path, a, s, &beside);
    (void)printf(
        "{\"path\": \"%s\", \"chunks\": %lld, \"chunk_bytes\": %lld, "
        "\"writers\": %d, \"take_ms\": %.2f, \"close_ms\": %.2f, "
        "\"writes_s\": %.0f, \"worst_write_ms\": %.2f, "
        "\"writes_s_beside\": %.0f, \"worst_write_ms_beside\": %.2f, "
        "\"snapshots_beside\": %llu, \"take_ms_beside\": %.2f, "
        "\"close_ms_beside\": %.2f}\n",
        path, (long long)o.chunks, (long long)o.chunk_nbytes, o.writers,
        alone.take_ms / (double)alone.n, alone.close_ms / (double)alone.n,
        without, worst_without, with, (double)atomic_load(&s->worst_ns) / 1e6,
        (unsigned long long)beside.n, beside.take_ms / (double)beside.n,
        beside.close_ms / (double)beside.n);
    azr_array_close(a);
    return 0;
}
