/* SPDX-License-Identifier: Apache-2.0 */
/* The command: the table of verbs, signals, and the end, at which a result that
 * could not be written becomes a failure. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// clang-format off
const struct cli_verb cli_verbs[] = {
    {"create", cmd_create, "make an array, or a group"},
    {"info", cmd_info, "shape, data type, chunks, codecs, bytes"},
    {"tree", cmd_tree, "groups and arrays below a path"},
    {"cat", cmd_cat, "read a selection: text, csv, npy, raw, json"},
    {"write", cmd_write, "write a selection, as one transaction"},
    {"append", cmd_append, "grow a dimension and write, as one transaction"},
    {"resize", cmd_resize, "change the shape, as one transaction"},
    {"attrs", cmd_attrs, "show and change attributes and durability"},
    {"rm", cmd_rm, "remove an array or group, in one step"},
    {"mv", cmd_mv, "move an array or group, in one step"},
    {"cp", cmd_cp, "copy an array or group: one instant, whole or not at all"},
    {"txn", cmd_txn, "run a script of verbs as one transaction"},
    {"consolidate", cmd_consolidate, "gather a group's metadata in one place"},
    {"status", cmd_status, "who has a transaction open, who waits for whom"},
    {"verify", cmd_verify, "decode every chunk, look at every row"},
    {"recover", cmd_recover, "finish what dead writers left"},
    {"doctor", cmd_doctor, "are locks, maps and renames real on this disk?"},
    {"demo", cmd_demo, "overlapping writers: torn reads of plain Zarr, and ours"},
    {"bench", cmd_bench, "measure"},
    {"help", cmd_help, "how to use a verb"},
    {"explain", cmd_explain, "what an error code means, and what to do"},
    {"completion", cmd_completion, "completion for bash, zsh or fish"},
    {"version", cmd_version, "version of program and library"},
    {NULL, NULL, NULL},
};
// clang-format on

volatile sig_atomic_t cli_signal;

/* Read by the handler, so it may not be on main's stack. */
static azr_cancel *cancel_token;

/* The first signal asks, a second one kills: recovery takes care of that too. */
static void on_signal(int number)
{
    cli_signal = number;
    if (cancel_token)
        azr_cancel_request(cancel_token);
}

static void catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction sa;

    memset(&sa, 0, sizeof sa);
    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction old;

        /* nohup and `&` in a script: what is ignored stays ignored */
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN)
            continue;
        sa.sa_handler = on_signal;
        sa.sa_flags = (int)SA_RESETHAND; /* no SA_RESTART: reads must end */
        sigaction(numbers[i], &sa, NULL);
    }
    sa.sa_handler = SIG_IGN; /* EPIPE and EFBIG instead */
    sa.sa_flags = 0;
    sigaction(SIGPIPE, &sa, NULL);
    sigaction(SIGXFSZ, &sa, NULL);
}

/* A closed standard descriptor would be handed to the next file that is opened.
 * The wrong direction on purpose: using it fails, as it should. */
static void occupy_standard_descriptors(void)
{
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        if (open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
            _exit(CLI_IO);
    }
}

static bool wants_color(int fd)
{
    /* read before there is a second thread */
    const char *no = getenv("NO_COLOR"); /* NOLINT(concurrency-mt-unsafe) */
    const char *term = getenv("TERM");   /* NOLINT(concurrency-mt-unsafe) */

    return isatty(fd) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

/* Only now is it known whether the result arrived. */
static int finish(struct cli *cli, int code)
{
    bool bad = ferror(stdout) != 0;

    errno = 0;
    if (fclose(stdout) != 0)
        bad = true;
    if (!bad)
        return code;
    if (cli_signal)
        return CLI_SIGNAL + cli_signal;
    if (errno == EPIPE)
        return CLI_SIGNAL + SIGPIPE; /* the reader had enough: say nothing */
    if (code == CLI_OK) {
        cli->json = 0; /* stdout is gone */
        code = cli_error(cli, CLI_IO, "standard output: %s%s",
                         errno ? cli_errno_text(errno) : "write failed",
                         cli->committed ? " (the change itself is done)" : "");
    }
    return code;
}

const struct cli_verb *cli_verb_find(const char *name)
{
    for (const struct cli_verb *v = cli_verbs; v->name; v++) {
        if (strcmp(v->name, name) == 0)
            return v;
    }
    return NULL;
}

static int run(struct cli *cli, int argc, char **argv)
{
    static char help[] = "help";
    static char version[] = "version";
    char *word = argc > 1 ? argv[1] : help;
    const struct cli_verb *verb;

    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        word = help;
    else if (strcmp(word, "--version") == 0)
        word = version;
    verb = cli_verb_find(word);
    if (!verb) {
        return cli_usage_error(cli, "there is no verb %s", word);
    }
    cli->verb = verb->name;
    if (argc > 1)
        return verb->run(cli, argc - 1, argv + 1);
    verb->run(cli, 1, (char *[]){help, NULL});
    return CLI_USAGE;
}

static uint64_t half_the_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

    if (pages <= 0 || page <= 0)
        return UINT64_C(1) << 30;
    return (uint64_t)pages / 2 * (uint64_t)page;
}

int main(int argc, char **argv)
{
    struct cli cli;
    azr_cancel *cancel = NULL;
    int code;

    occupy_standard_descriptors();
    memset(&cli, 0, sizeof cli);
    cli.timeout_ms = AZR_TIMEOUT_DEFAULT_MS;
    cli.memory = half_the_memory();
    cli.color_out = wants_color(STDOUT_FILENO);
    cli.color_err = wants_color(STDERR_FILENO);
    if (azr_cancel_new(&cancel) < 0)
        return cli_error(&cli, CLI_IO, "out of memory");
    cli.cancel = cancel_token = cancel;
    catch_signals();
    code = finish(&cli, run(&cli, argc, argv));
    cancel_token = NULL;
    azr_cancel_free(cancel);
    cli_free_kept(&cli);
    return code;
}
