/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/scene.h"

#include "core/array.h"
#include "crash/coverage.h"
#include "txn/txn_local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_S 60 /* a child that takes longer hangs */

/* ---------------------------------------------------------------- names --- */

static const char *const op_names[OP_COUNT] = {
    [OP_WRITE_1] = "write-1",
    [OP_WRITE_2] = "write-2",
    [OP_WRITE_8] = "write-8",
    [OP_RECORD] = "record-40",
    [OP_DELETE] = "delete",
    [OP_APPEND] = "append",
    [OP_GROW] = "grow",
    [OP_SHRINK] = "shrink",
    [OP_ATTRIBUTE] = "attribute",
    [OP_FILL] = "fill",
    [OP_UPDATE] = "update",
    [OP_TABLE] = "table",
    [OP_LANE] = "lane",
    [OP_CREATE] = "create",
    [OP_CREATE_ATTRIBUTES] = "create-attributes",
    [OP_RECOVER] = "recover",
};

const char *op_name(op o)
{
    return op_names[o];
}

void kind_text(char out[32], const kind *k)
{
    (void)snprintf(out, 32, "v%d %s %s", k->format, k->zstd ? "zstd" : "raw",
                   k->power ? "power" : "process");
}

bool op_creates(op o)
{
    return o == OP_CREATE || o == OP_CREATE_ATTRIBUTES;
}

int scene_threads = 1;

/* --------------------------------------------------------------- errors --- */

void *scene_shared(size_t nbytes)
{
    void *p = mmap(NULL, nbytes, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    return p;
}

static char *g_error;

char *scene_error(void)
{
    if (!g_error)
        g_error = scene_shared(4096);
    return g_error;
}

bool complain(const char *format, ...)
{
    char *text = scene_error();
    va_list args;

    if (text[0] != '\0')
        return false;
    va_start(args, format);
    (void)vsnprintf(text, 1024, format, args);
    va_end(args);
    return false;
}

static bool failed(const char *what, int rc, const azr_error *err)
{
    return complain("%s: %s: %s", what, azr_status_name(rc), err->message);
}

/* --------------------------------------------------------------- images --- */

bool image_same(const image *a, const image *b)
{
    if (a->exists != b->exists)
        return false;
    return !a->exists || (a->length == b->length &&
                          strcmp(a->attributes, b->attributes) == 0 &&
                          memcmp(a->value, b->value,
                                 (size_t)a->length * sizeof a->value[0]) == 0);
}

void image_put(image *i, int64_t first, int64_t end, int32_t base)
{
    for (int64_t k = first; k < end && k < i->length; k++)
        i->value[k] = base + (int32_t)k;
}

bool scene_read(image *out, azr_array *a)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array_info info = {.struct_size = sizeof info};
    azr_selection all = azr_select_all(1);
    char *text = NULL;
    int rc;

    memset(out, 0, sizeof *out);
    rc = azr_array_read(a, &all, out->value, sizeof out->value, &err);
    if (rc < 0)
        return failed("read", rc, &err);
    rc = azr_array_attributes(a, &text, &err);
    if (rc < 0)
        return failed("attributes", rc, &err);
    (void)snprintf(out->attributes, sizeof out->attributes, "%s", text);
    azr_free(text);
    rc = azr_array_info_get(a, &info, &err);
    if (rc < 0)
        return failed("info", rc, &err);
    out->exists = true;
    out->length = info.shape[0];
    return true;
}

bool scene_read_once(image *out, azr_array *a)
{
    azr_error err = AZR_ERROR_INIT;
    azr_selection all = azr_select_all(1);
    int rc;

    memset(out, 0, sizeof *out);
    for (int i = 0; i < SCENE_LENGTH; i++)
        out->value[i] = INT32_MIN;
    rc = azr_array_read(a, &all, out->value, sizeof out->value, &err);
    if (rc < 0)
        return failed("read", rc, &err);
    out->exists = true;
    while (out->length < SCENE_LENGTH && out->value[out->length] != INT32_MIN)
        out->length++;
    return true;
}

bool scene_open(azr_array **out, const char *path, unsigned flags)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    int rc;

    o.flags = flags;
    o.threads = scene_threads;
    o.timeout_ms = 0; /* nobody waits for the dead */
    rc = azr_array_open(out, path, &o, &err);
    return rc < 0 ? failed("open", rc, &err) : true;
}

bool scene_snap(image *out, const char *path)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    bool ok;
    int rc;

    o.timeout_ms = 0;
    rc = azr_array_open(&a, path, &o, &err);
    if (rc == AZR_ENOTFOUND) {
        memset(out, 0, sizeof *out);
        return true;
    }
    if (rc < 0)
        return failed("open to read", rc, &err);
    ok = scene_read(out, a);
    azr_array_close(a);
    return ok;
}

bool scene_write(azr_array *a, int64_t first, int64_t end, int32_t base)
{
    azr_error err = AZR_ERROR_INIT;
    azr_selection s = AZR_BOX(1, {0}, {0});
    int32_t v[SCENE_LENGTH];
    int rc;

    s.start[0] = first;
    s.count[0] = end - first;
    for (int64_t k = first; k < end; k++)
        v[k - first] = base + (int32_t)k;
    rc = azr_array_write(a, &s, v, (size_t)(end - first) * sizeof v[0], &err);
    return rc < 0 ? failed("write", rc, &err) : true;
}

/* ----------------------------------------------------------- operations --- */

static void spec_of(azr_array_spec *spec, op o, const kind *k)
{
    *spec = (azr_array_spec)AZR_ARRAY_SPEC_INIT;
    spec->zarr_format = k->format;
    spec->rank = 1;
    spec->dtype = AZR_INT32;
    spec->shape[0] = o == OP_RECORD ? SCENE_LONG : SCENE_SHORT;
    spec->chunks[0] = SCENE_CHUNK;
    spec->codecs = k->zstd ? "zstd:1" : "none";
    if (o != OP_CREATE)
        spec->attributes = "{\"units\": \"K\"}";
    spec->durability = k->power ? AZR_DURABILITY_POWER : AZR_DURABILITY_PROCESS;
}

static bool create(const char *path, op o, const kind *k, azr_array **out)
{
    azr_open_options options = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array_spec spec;
    int rc;

    options.timeout_ms = 0;
    spec_of(&spec, o, k);
    rc = azr_array_create(out, path, &spec, &options, &err);
    return rc < 0 ? failed("create", rc, &err) : true;
}

bool scene_make(const char *path, op o, const kind *k)
{
    azr_array *a = NULL;
    bool ok;

    if (op_creates(o))
        return mkdir(path, 0777) == 0 || complain("mkdir '%s'", path);
    ok = create(path, o, k, &a) && scene_write(a, 0, SCENE_SHORT, 1);
    azr_array_close(a);
    return ok;
}

static int add_hundred(void *values, size_t nbytes, void *arg)
{
    int32_t *v = values;

    (void)arg;
    for (size_t i = 0; i < nbytes / sizeof *v; i++)
        v[i] += 100;
    return 0;
}

/* All rows of the table in use, by transactions that hold nothing else. They say
 * that they are alive for ever: of one that is silent for 0.05 s the operation would
 * ask whether it lives, and on a busy machine it would make other calls than when
 * its points were counted. */
bool op_prepare(azr_array *a, op o)
{
    azri_patience patience = azri_patience_from(0, NULL);
    azr_error err = AZR_ERROR_INIT;
    unsigned taken = o == OP_TABLE ? AZRI_ROWS_AT_FIRST : o == OP_LANE;

    for (unsigned i = 0; i < taken; i++) {
        azri_txn *t = NULL; /* ends with the process */
        int rc = azri_txn_begin(&t, a->d, &patience, &err);

        if (rc < 0)
            return failed("begin", rc, &err);
        atomic_store(&azri_state_row(t->s, t->row)->wait.alive_ns, UINT64_MAX);
    }
    return true;
}

static int write_and_delete(azr_array *a, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {2}, {12});
    int32_t v[12];

    for (int i = 0; i < 12; i++)
        v[i] = i >= 2 && i < 10 ? 0 : 1002 + i;
    return azr_array_write(a, &s, v, sizeof v, err);
}

static int append(azr_array *a, azr_error *err)
{
    int32_t v[8];

    for (int i = 0; i < 8; i++)
        v[i] = 2000 + i;
    return azr_array_append(a, 0, 8, v, sizeof v, NULL, err);
}

static int grow(azr_array *a, azr_error *err)
{
    static const int64_t longer[1] = {60};

    return azr_array_resize(a, 1, longer, err);
}

static int shrink(azr_array *a, azr_error *err)
{
    static const int64_t shorter[1] = {18};

    return azr_array_resize(a, 1, shorter, err);
}

static int set_attribute(azr_array *a, azr_error *err)
{
    return azr_array_attribute_set(a, "units", "\"degC\"", err);
}

static int fill(azr_array *a, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {5}, {10});
    int32_t value = 77;

    return azr_array_fill(a, &s, &value, sizeof value, err);
}

static int update(azr_array *a, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {2}, {4});

    return azr_array_update(a, &s, add_hundred, NULL, err);
}

static int (*const op_calls[OP_COUNT])(azr_array *, azr_error *) = {
    [OP_DELETE] = write_and_delete,
    [OP_APPEND] = append,
    [OP_GROW] = grow,
    [OP_SHRINK] = shrink,
    [OP_ATTRIBUTE] = set_attribute,
    [OP_FILL] = fill,
    [OP_UPDATE] = update,
};

static const int64_t op_boxes[OP_COUNT][2] = {
    [OP_WRITE_1] = {4, 8},  [OP_WRITE_2] = {2, 6},  [OP_TABLE] = {2, 6},
    [OP_WRITE_8] = {0, 32}, [OP_RECORD] = {0, 160}, [OP_LANE] = {0, 40},
};

bool op_run(const char *path, azr_array *a, op o, const kind *k)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array *made = NULL;
    bool ok;
    int rc;

    if (op_calls[o]) {
        rc = op_calls[o](a, &err);
        return rc < 0 ? failed(op_name(o), rc, &err) : true;
    }
    if (op_boxes[o][1] > 0)
        return scene_write(a, op_boxes[o][0], op_boxes[o][1], 1000);
    ok = op_creates(o) ? create(path, o, k, &made)
                       : scene_open(&made, path, AZR_OPEN_WRITE);
    azr_array_close(made);
    return ok;
}

/* ---------------------------------------------------------------- debris --- */

static bool is_chunk_name(const char *name)
{
    return name[0] != '\0' && strspn(name, "0123456789") == strlen(name);
}

/* Relative to the array. */
static bool is_expected(const char *name, bool is_dir)
{
    static const char *const files[] = {"zarr.json", ".zarray", ".zattrs",
                                        ".azr/state"};

    if (is_dir && strncmp(name, ".azr/tx/", 8) == 0) /* a lane */
        return strspn(name + 8, "123456789abcdef") == 1 && name[9] == '\0';
    if (is_dir)
        return strcmp(name, "c") == 0 || strcmp(name, ".azr") == 0 ||
               strcmp(name, ".azr/tx") == 0 || strcmp(name, ".azr/snap") == 0;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (strcmp(name, files[i]) == 0)
            return true;
    }
    return is_chunk_name(name) ||
           (strncmp(name, "c/", 2) == 0 && is_chunk_name(name + 2));
}

static size_t g_walk_skip;

static int look_at_file(const char *path, const struct stat *st, int type,
                        struct FTW *w)
{
    (void)st;
    if (w->level == 0 || is_expected(path + g_walk_skip, type == FTW_D))
        return 0;
    (void)complain("left behind: %s", path + g_walk_skip);
    return 1;
}

static bool rows_are_free(const char *path)
{
    static uint64_t words[AZRI_WORDS];
    char name[512];
    ssize_t n;
    int fd;

    (void)snprintf(name, sizeof name, "%s/.azr/state", path);
    fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return complain("open state: %s", strerror(errno));
    n = pread(fd, words, sizeof words, AZRI_WORDS_AT);
    (void)close(fd);
    if (n != (ssize_t)sizeof words)
        return complain("state is too short");
    for (uint32_t i = 0; i < AZRI_WORDS; i++) {
        if (azri_word_state(words[i]) != AZRI_FREE)
            return complain("row %" PRIu32 " is in state %" PRIu32, i,
                            azri_word_state(words[i]));
    }
    return true;
}

bool scene_is_clean(const char *path)
{
    g_walk_skip = strlen(path) + 1;
    return nftw(path, look_at_file, 8, FTW_PHYS) == 0 && rows_are_free(path);
}

/* ----------------------------------------------------------------- trees --- */

static void must(bool ok, const char *what, const char *path)
{
    if (ok)
        return;
    (void)fprintf(stderr, "%s '%s': %s\n", what, path, strerror(errno));
    exit(2);
}

static void file_copy(const char *from, const char *to, mode_t mode)
{
    static char bytes[1 << 16];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    ssize_t n = sizeof bytes;

    must(in >= 0, "open", from);
    must(out >= 0, "create", to);
    while (n == (ssize_t)sizeof bytes) { /* nobody writes into it */
        n = read(in, bytes, sizeof bytes);
        must(n >= 0, "read", from);
        must(write(out, bytes, (size_t)n) == n, "write", to);
    }
    (void)close(in);
    (void)close(out);
}

void tree_copy(const char *from, const char *to)
{
    DIR *d = opendir(from);
    struct dirent *e;

    must(d != NULL, "list", from);
    must(mkdir(to, 0777) == 0, "mkdir", to);
    while ((e = readdir(d))) {
        char a[768], b[768];
        struct stat st;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(a, sizeof a, "%s/%s", from, e->d_name);
        (void)snprintf(b, sizeof b, "%s/%s", to, e->d_name);
        must(lstat(a, &st) == 0, "stat", a);
        if (S_ISDIR(st.st_mode))
            tree_copy(a, b);
        else
            file_copy(a, b, st.st_mode & 0777);
    }
    (void)closedir(d);
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *w)
{
    (void)st;
    (void)w;
    return type == FTW_DP ? rmdir(path) : unlink(path);
}

void tree_remove(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* -------------------------------------------------------------- children --- */

pid_t child_start(child_fn fn, void *arg)
{
    pid_t pid;
    bool ok;

    (void)fflush(NULL);
    pid = fork();
    if (pid != 0) {
        must(pid > 0, "fork", "");
        return pid;
    }
    (void)signal(SIGALRM, SIG_DFL);
    (void)alarm(PATIENCE_S);
    ok = fn(arg);
    coverage_write();
    _exit(ok ? 0 : 1);
}

int child_wait(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0)
        must(errno == EINTR, "waitpid", "");
    return status;
}

bool child_is_well(const char *who, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (WIFSIGNALED(status))
        return complain("%s: killed by signal %d%s", who, WTERMSIG(status),
                        WTERMSIG(status) == SIGALRM ? ": it hung" : "");
    return complain("%s: failed without a word", who);
}

bool child_run(const char *who, child_fn fn, void *arg)
{
    return child_is_well(who, child_wait(child_start(fn, arg)));
}

static char g_roots[2][128];

const char *scene_root(bool in_memory)
{
    char *root = g_roots[in_memory];

    if (root[0] != '\0')
        return root;
    if (in_memory && access("/dev/shm", W_OK) == 0)
        (void)snprintf(root, sizeof g_roots[0], "/dev/shm/azr-crash-XXXXXX");
    else
        (void)snprintf(root, sizeof g_roots[0], "scene-%d-XXXXXX",
                       (int)in_memory);
    must(mkdtemp(root) && chmod(root, 0755) == 0, "mkdir", root);
    return root;
}

void scene_roots_remove(void)
{
    for (int i = 0; i < 2; i++) {
        if (g_roots[i][0] != '\0')
            tree_remove(g_roots[i]);
    }
}
