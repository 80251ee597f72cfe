/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line. The input is its words, one a line, then an empty line and
 * what stands on standard input. It runs in a directory with arrays of each
 * format and a group. Whatever it says: a documented exit code, a reason if
 * there is one to be given, with --json nothing but JSON, no descriptor left, no
 * array damaged, nothing changed outside that directory unless ".." was said.
 *
 * What could leave the scratch directory for good is not run: absolute paths,
 * more than four "..". Nor what takes long by design: demo, bench, doctor, large
 * numbers in scripts.
 */
#include "cli/cli.h"
#include "scratch.h"

#include <ctype.h>
#include <sys/mman.h>

#define WORDS_MAX   24
#define INPUT_MAX   4096
#define OUTPUT_MAX  ((size_t)1 << 20)
#define MEMORY      ((uint64_t)16 << 20)
#define DEPTH       "/1/2/3/4/5/6"
#define SOURCE_NAME "values.raw"

static char g_home[SCRATCH_PATH]; /* where commands run */
static bool g_is_kept;            /* it is as it was made */
static int g_begun_in = -1;       /* libFuzzer knows its files from there */
static FILE *g_out, *g_err;

/* -------------------------------------------------------------- the words --- */

typedef struct command {
    char text[INPUT_MAX + 1];
    char *argv[WORDS_MAX + 2];
    int argc;
    const char *input;
    size_t input_nbytes;
} command;

static void split(command *c, const uint8_t *data, size_t nbytes)
{
    static char name[] = "azr";
    char *at = c->text, *end;

    memcpy(c->text, data, nbytes);
    c->text[nbytes] = '\0';
    c->argc = 0;
    c->argv[c->argc++] = name;
    end = c->text + strlen(c->text);
    while (at < end && *at != '\n' && c->argc <= WORDS_MAX) {
        char *newline = memchr(at, '\n', (size_t)(end - at));

        c->argv[c->argc++] = at;
        if (newline)
            *newline = '\0';
        at = newline ? newline + 1 : end;
    }
    c->argv[c->argc] = NULL;
    at += at < end;
    c->input = at;
    c->input_nbytes = (size_t)(end - at);
}

/* A '/' continues a name, never begins a path; that holds for scripts, too. */
static bool stays_inside(const uint8_t *data, size_t nbytes)
{
    unsigned ups = 0;
    bool option = false;

    for (size_t i = 0; i < nbytes; i++) {
        bool first = i == 0 || isspace(data[i - 1]) || data[i - 1] == '\0';

        if (first)
            option = data[i] == '-';
        if (data[i] == '/' && (first || option ||
                               (!isalnum(data[i - 1]) && data[i - 1] != '.' &&
                                data[i - 1] != '_')))
            return false;
        ups += i > 0 && data[i] == '.' && data[i - 1] == '.';
    }
    return ups <= 4;
}

static bool has_large_numbers(const uint8_t *data, size_t nbytes)
{
    size_t run = 0;

    for (size_t i = 0; i < nbytes; i++) {
        run = isdigit(data[i]) ? run + 1 : 0;
        if (run > 2)
            return true;
    }
    return false;
}

static bool may_run(const command *c, const uint8_t *data, size_t nbytes)
{
    static const char *const slow[] = {"demo", "bench", "doctor"};

    if (c->argc < 2 || !stays_inside(data, nbytes))
        return false;
    for (size_t i = 0; i < sizeof slow / sizeof slow[0]; i++) {
        if (strcmp(c->argv[1], slow[i]) == 0)
            return false;
    }
    return strcmp(c->argv[1], "txn") != 0 || !has_large_numbers(data, nbytes);
}

/* -------------------------------------------------------------- the scene --- */

static void make_array(const char *name, int format, const char *codecs)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    static const char *const names[] = {"y", "x"};
    azr_error err = AZR_ERROR_INIT;
    azr_selection all = azr_select_all(2);
    int32_t values[4 * 6];
    azr_array *a = NULL;

    for (int i = 0; i < 24; i++)
        values[i] = i;
    spec.zarr_format = format;
    spec.rank = 2;
    spec.dtype = AZR_INT32;
    spec.shape[0] = 4;
    spec.shape[1] = 6;
    spec.chunks[0] = 2;
    spec.chunks[1] = 3;
    spec.codecs = codecs;
    spec.dimension_names = names;
    spec.attributes = "{\"unit\":\"m\"}";
    require(azr_array_create(&a, name, &spec, NULL, &err) == AZR_OK);
    require(azr_array_write(a, &all, values, sizeof values, &err) == AZR_OK);
    azr_array_close(a);
}

/* ".." reaches some of these directories. */
static void make_way(void)
{
    char path[SCRATCH_PATH + 16];

    (void)snprintf(path, sizeof path, "%s", g_scratch);
    for (const char *d = DEPTH; *d; d += 2) {
        size_t n = strlen(path);

        (void)snprintf(path + n, sizeof path - n, "%.2s", d);
        require(mkdir(path, 0755) == 0 || errno == EEXIST);
    }
}

/* Once; then it is only put back, if a command has changed it. */
static void make_scene(void)
{
    azr_group_spec spec = AZR_GROUP_SPEC_INIT;
    azr_group *g = NULL;
    azr_error err = AZR_ERROR_INIT;
    static const uint8_t raw[96] = {1};

    make_way();
    require(mkdir(g_home, 0755) == 0);
    require(chdir(g_home) == 0);
    make_array("a.zarr", 3, "zstd:0");
    make_array("b.zarr", 2, "none");
    require(azr_group_create(&g, "g", &spec, NULL, &err) == AZR_OK);
    azr_group_close(g);
    make_array("g/t", 3, "none");
    scratch_write(SOURCE_NAME, raw, sizeof raw);
    scratch_write("script", "attrs a.zarr unit=1\n", 20);
    require(chdir("/") == 0);
    scratch_keep(g_home);
    g_is_kept = true;
}

static void set_scene(void)
{
    if (!g_is_kept) {
        make_way();
        scratch_remove(g_home);
        scratch_restore(g_home);
    }
    g_is_kept = false; /* until it has been looked at */
    require(chdir(g_home) == 0);
}

static FILE *memory_file(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w+");

    require(f != NULL);
    return f;
}

static void begin(void)
{
    scratch_begin();
    (void)snprintf(g_home, sizeof g_home, "%.200s" DEPTH "/home", g_scratch);
    g_out = memory_file("out");
    g_err = memory_file("err");
    azr_set_memory_cap(4 * MEMORY);
    azr_set_threads(1);
    g_begun_in = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    require(g_begun_in >= 0);
    make_scene();
}

/* ---------------------------------------------------------------- running --- */

static int run_verb(struct cli *cli, command *c)
{
    const struct cli_verb *verb = cli_verb_find(c->argv[1]);

    if (!verb)
        return cli_usage_error(cli, "there is no verb %s", c->argv[1]);
    cli->verb = verb->name;
    return verb->run(cli, c->argc - 1, c->argv + 1);
}

static void feed(const command *c)
{
    int fd = memfd_create("stdin", MFD_CLOEXEC);

    require(fd >= 0);
    require(write(fd, c->input, c->input_nbytes) == (ssize_t)c->input_nbytes);
    require(lseek(fd, 0, SEEK_SET) == 0);
    require(dup2(fd, STDIN_FILENO) == STDIN_FILENO);
    (void)close(fd);
}

static int run(struct cli *cli, command *c)
{
    FILE *out = stdout, *err = stderr;
    int code;

    memset(cli, 0, sizeof *cli);
    cli->timeout_ms = 0;
    cli->memory = MEMORY;
    cli->threads = 1;
    require(azr_cancel_new(&cli->cancel) == AZR_OK);
    feed(c);
    rewind(g_out);
    rewind(g_err);
    require(ftruncate(fileno(g_out), 0) == 0);
    require(ftruncate(fileno(g_err), 0) == 0);
    stdout = g_out;
    stderr = g_err;
    code = run_verb(cli, c);
    stdout = out;
    stderr = err;
    azr_cancel_free(cli->cancel);
    cli_free_kept(cli);
    return code;
}

/* --------------------------------------------------------------- judgement --- */

static size_t gather(FILE *from, char *out)
{
    size_t n;

    require(fflush(from) == 0);
    rewind(from);
    n = fread(out, 1, OUTPUT_MAX - 1, from);
    out[n] = '\0';
    return n;
}

/* Words of the command line are quoted as they are, UTF-8 or not; but nothing
 * moves a cursor. */
static void require_lines(const char *text)
{
    for (; *text; text++)
        require(*text == '\n' ||
                ((unsigned char)*text >= 0x20 && *text != 0x7f));
}

static void judge_output(const struct cli *cli, const command *c, int code)
{
    static char text[OUTPUT_MAX];
    size_t n;

    require(code >= CLI_OK && code <= CLI_PRESENCE);
    n = gather(g_err, text);
    require(n > 0 || cli->json || code <= CLI_DIFFERS);
    if (n > 0 && n < OUTPUT_MAX - 1)
        require_lines(text);
    n = gather(g_out, text);
    if (cli->json && n > 0 && n < OUTPUT_MAX - 1 && strcmp(c->argv[1], "help"))
        require(azri_json_check((azri_span){(const uint8_t *)text, n},
                                c->argv[1], AZR_EINVAL, NULL) == AZR_OK);
}

static int on_finding(const azr_finding *f, void *arg)
{
    if (f->is_error)
        (void)fprintf(stderr, "%s: %s: %s\n", (const char *)arg, f->key,
                      f->text);
    require(!f->is_error);
    return 0;
}

/* What is still an array is a sound one. */
static void judge_array(const char *path)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    char name[16];
    azr_array *a = NULL;
    int rc;

    o.timeout_ms = 0;
    rc = azr_array_open(&a, path, &o, &err);
    if (rc == AZR_ENOTFOUND)
        return;
    (void)snprintf(name, sizeof name, "%s", path);
    require(fuzz_status(rc, &err) == AZR_OK);
    require(azr_array_verify(a, on_finding, NULL, name, &err) == AZR_OK);
    azr_array_close(a);
}

/* Byte for byte as it was made: then it is sound. */
static void judge_scene(const uint8_t *data, size_t nbytes)
{
    char path[SCRATCH_PATH];
    bool is_kept;

    if (chdir(g_home) != 0) {
        require(memmem(data, nbytes, ".", 1) != NULL); /* removed itself */
        return;
    }
    is_kept = scratch_is_kept(g_home);
    if (!is_kept) {
        judge_array("a.zarr");
        judge_array("b.zarr");
        judge_array("g/t");
    }
    if (memmem(data, nbytes, "..", 2))
        return;
    g_is_kept = is_kept;
    require(scratch_count(g_scratch) == 1);
    (void)snprintf(path, sizeof path, "%.200s" DEPTH, g_scratch);
    require(scratch_count(path) == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    static command c;
    struct cli cli;
    int descriptors, code;
    uint64_t heap;

    if (nbytes == 0 || nbytes > INPUT_MAX || memchr(data, 0, nbytes))
        return 0;
    split(&c, data, nbytes);
    if (!may_run(&c, data, nbytes))
        return 0;
    if (g_home[0] == '\0')
        begin();
    set_scene();
    descriptors = scratch_descriptors();
    heap = azri_heap_nbytes();
    code = run(&cli, &c);
    judge_output(&cli, &c, code);
    require(scratch_descriptors() <= descriptors + 1); /* standard input */
    require(azri_heap_nbytes() == heap);
    judge_scene(data, nbytes);
    require(fchdir(g_begun_in) == 0);
    return 0;
}
