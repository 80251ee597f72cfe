/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/probe.h"

#include "base/hash.h"
#include "crash/kill.h"
#include "txn/txn_local.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY_CAP ((uint64_t)256 << 20)
#define MEMORY_OK  ((uint64_t)64 << 20)

static outcome *g_outcome;

outcome *probe_outcome(void)
{
    if (!g_outcome)
        g_outcome = scene_shared(sizeof *g_outcome);
    return g_outcome;
}

/* --------------------------------------------------------------- probing --- */

typedef struct prober {
    const char *path;
    unsigned uid;
} prober;

static void try_to_read(outcome *o, const char *path)
{
    azr_open_options options = AZR_OPEN_OPTIONS_INIT;
    azr_selection all = azr_select_all(1);
    azr_array *a = NULL;

    options.timeout_ms = 300;
    for (int i = 0; i < SCENE_LENGTH; i++)
        o->seen.value[i] = INT32_MIN;
    o->read_open = azr_array_open(&a, path, &options, &o->read_err);
    if (o->read_open == AZR_OK)
        o->read = azr_array_read(a, &all, o->seen.value, sizeof o->seen.value,
                                 &o->read_err);
    while (o->seen.length < SCENE_LENGTH &&
           o->seen.value[o->seen.length] != INT32_MIN)
        o->seen.length++;
    o->seen.exists = true;
    azr_array_close(a);
}

static void try_to_write(outcome *o, const char *path)
{
    azr_open_options options = AZR_OPEN_OPTIONS_INIT;
    azr_selection one = AZR_BOX(1, {1}, {1});
    int32_t value = 9001;
    azr_array *a = NULL;

    options.timeout_ms = 300;
    options.flags = AZR_OPEN_WRITE;
    o->write_open = azr_array_open(&a, path, &options, &o->write_err);
    if (o->write_open == AZR_OK)
        o->write =
            azr_array_write(a, &one, &value, sizeof value, &o->write_err);
    azr_array_close(a);
}

static bool be_prober(void *arg)
{
    const prober *p = arg;
    outcome *o = probe_outcome();
    azr_stats stats = {.struct_size = sizeof stats};

    if (p->uid != 0 && (setresgid(p->uid, p->uid, p->uid) != 0 ||
                        setresuid(p->uid, p->uid, p->uid) != 0))
        return complain("setresuid");
    azr_set_memory_cap(MEMORY_CAP);
    memset(o, 0, sizeof *o);
    o->read = o->write = 1;
    try_to_read(o, p->path);
    try_to_write(o, p->path);
    if (azr_stats_get(&stats) < 0)
        return complain("stats");
    o->peak_nbytes = stats.heap_peak_nbytes;
    return true;
}

bool expect_code(const char *what, int rc, const azr_error *err,
                 const int *allowed)
{
    if (rc == AZR_OK || rc == 1)
        return true;
    for (int i = 0; allowed[i] != 0; i++) {
        if (allowed[i] == rc)
            return err->message[0] != '\0' ||
                   complain("%s: %s without a text", what, azr_status_name(rc));
    }
    return complain("%s: %s is no answer to this: %s", what,
                    azr_status_name(rc), err->message);
}

bool expect_image(const image *want)
{
    const outcome *o = probe_outcome();

    if (o->read != AZR_OK)
        return true;
    if (o->seen.length == want->length &&
        memcmp(o->seen.value, want->value,
               (size_t)want->length * sizeof want->value[0]) == 0)
        return true;
    return complain("read something else: length %lld, %d %d %d %d %d %d",
                    (long long)o->seen.length, (int)o->seen.value[0],
                    (int)o->seen.value[1], (int)o->seen.value[2],
                    (int)o->seen.value[3], (int)o->seen.value[4],
                    (int)o->seen.value[5]);
}

bool probe_free(const char *path, unsigned uid)
{
    prober p = {path, uid};
    const outcome *o = probe_outcome();

    if (!child_run("a process that meets it", be_prober, &p))
        return false;
    return o->peak_nbytes <= MEMORY_OK ||
           complain("%llu bytes of memory", (unsigned long long)o->peak_nbytes);
}

bool probe(const char *path, unsigned uid)
{
    const outcome *o = probe_outcome();
    uint64_t all = tree_digest(path, true), data = tree_digest(path, false);

    if (!probe_free(path, uid))
        return false;
    if (o->write_open < 0 && tree_digest(path, true) != all)
        return complain("refused (%s), but something has changed",
                        o->write_err.message);
    if (o->write < 0 && tree_digest(path, false) != data)
        return complain("refused to write (%s), but something has changed",
                        o->write_err.message);
    return true;
}

/* ---------------------------------------------------------------- digest --- */

static uint64_t g_digest;
static bool g_with_state;

static void mix_bytes(const void *p, size_t n)
{
    const uint8_t *b = p;

    for (size_t i = 0; i < n; i++)
        g_digest = (g_digest ^ b[i]) * UINT64_C(0x100000001B3);
}

static int digest_one(const char *path, const struct stat *st, int type,
                      struct FTW *w)
{
    char bytes[4096];
    ssize_t n = 0;
    uint64_t before = g_digest, own;
    int fd = -1;

    (void)w;
    if (!g_with_state && strstr(path, ".azr/state"))
        return 0;
    g_digest = UINT64_C(0xCBF29CE484222325);
    mix_bytes(path, strlen(path));
    mix_bytes(&st->st_mode, sizeof st->st_mode);
    if (type == FTW_F && S_ISREG(st->st_mode) && st->st_size < 1 << 26)
        fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && (n = read(fd, bytes, sizeof bytes)) > 0)
        mix_bytes(bytes, (size_t)n);
    if (fd >= 0)
        (void)close(fd);
    own = g_digest;
    g_digest = before + own; /* whatever the order of the walk */
    return 0;
}

uint64_t tree_digest(const char *path, bool with_state)
{
    g_digest = 0;
    g_with_state = with_state;
    (void)nftw(path, digest_one, 8, FTW_PHYS);
    return g_digest;
}

/* ---------------------------------------------------------------- damage --- */

static int open_part(const char *path, const char *name)
{
    char full[512];
    int fd;

    (void)snprintf(full, sizeof full, "%s/%s", path, name);
    fd = open(full, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        perror(full);
        exit(2);
    }
    return fd;
}

static void must_be(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(2);
    }
}

void bytes_get(const char *path, const char *name, void *out, size_t n,
               uint64_t at)
{
    int fd = open_part(path, name);

    must_be(pread(fd, out, n, (off_t)at) == (ssize_t)n, name);
    (void)close(fd);
}

void bytes_put(const char *path, const char *name, const void *from, size_t n,
               uint64_t at)
{
    int fd = open_part(path, name);

    must_be(pwrite(fd, from, n, (off_t)at) == (ssize_t)n, name);
    (void)close(fd);
}

void file_truncate(const char *path, const char *name, uint64_t n)
{
    int fd = open_part(path, name);

    must_be(ftruncate(fd, (off_t)n) == 0, name);
    (void)close(fd);
}

void header_get(const char *path, azri_header *h)
{
    bytes_get(path, ".azr/state", h, sizeof *h, 0);
}

void header_put(const char *path, azri_header *h)
{
    h->crc = azri_crc32c(0, h, offsetof(azri_header, crc));
    bytes_put(path, ".azr/state", h, sizeof *h, 0);
}

uint32_t row_find(const char *path, azri_row *row, uint64_t *word)
{
    for (uint32_t i = 0; i < AZRI_ROWS_AT_FIRST; i++) {
        bytes_get(path, ".azr/state", word, sizeof *word,
                  AZRI_WORDS_AT + 8u * i);
        if (azri_word_state(*word) == AZRI_FREE)
            continue;
        bytes_get(path, ".azr/state", row, sizeof *row,
                  AZRI_ROWS_AT + (uint64_t)AZRI_ROW_NBYTES * i);
        return i;
    }
    (void)fprintf(stderr, "no row in use in %s\n", path);
    exit(2);
}

void row_put(const char *path, uint32_t i, azri_row *row, uint64_t word)
{
    row->what.crc = azri_crc32c(0, &row->what, offsetof(azri_what, crc));
    bytes_put(path, ".azr/state", row, sizeof *row,
              AZRI_ROWS_AT + (uint64_t)AZRI_ROW_NBYTES * i);
    bytes_put(path, ".azr/state", &word, sizeof word, AZRI_WORDS_AT + 8u * i);
}

bool make_committed(const char *path, op o, const kind *k, image *old,
                    image *new)
{
    static job j, left;
    bool ok;

    memset(&j, 0, sizeof j);
    j.o = o;
    j.k = *k;
    j.in_memory = true;
    j.threads = 1;
    ok = job_begin(&j, "make") &&
         job_begin_recovery(&left, &j, (unsigned)j.committed, true, "left");
    if (ok) {
        *old = j.old;
        *new = j.new;
        tree_remove(path);
        tree_copy(left.from, path);
    }
    job_end(&left);
    job_end(&j);
    return ok;
}

/* ----------------------------------------------------------------- tests --- */

int run_tests(const test *tests, size_t n, int argc, char **argv)
{
    unsigned failed = 0, skipped = 0;

    (void)probe_outcome();
    (void)tap_shared();
    for (size_t i = 0; i < n; i++) {
        bool ok;

        if (argc > 1 && !strstr(tests[i].name, argv[1]))
            continue;
        if (tests[i].needs_root && geteuid() != 0) {
            (void)printf("%s: skipped, it needs root\n", tests[i].name);
            skipped++;
            continue;
        }
        scene_error()[0] = '\0';
        ok = tests[i].run();
        (void)printf("%s: %s%s\n", tests[i].name,
                     ok ? "ok" : "FAILED: ", ok ? "" : scene_error());
        failed += !ok;
    }
    scene_roots_remove();
    if (failed > 0)
        return 1;
    return skipped == n ? 77 : 0;
}
