/* SPDX-License-Identifier: Apache-2.0 */
/* A script of verbs as one transaction: run again as long as it is in conflict,
 * and its output is shown once it is committed. */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct cli_usage usage = {
    "txn [SCRIPT]",
    "Run the verbs of a script (or of standard input), a line each, as one\n"
    "transaction: all of it or nothing, in any number of arrays of one file "
    "system.\n"
    "Later lines see what earlier ones did. Verbs: create, cat, write, "
    "append,\n"
    "resize and attrs, with the words and options that they have alone; words\n"
    "are quoted as in a shell, # begins a comment. The output appears once "
    "the\n"
    "transaction is committed; disturbed by others, the script is run again.\n"
    "With --json it is one document for each line that has one.\n",
    "  azr txn day.azr\n"
    "  printf '%s\\n' 'append t --npy t.npy' 'append time --npy day.npy' |\n"
    "      azr txn\n"};

#define WORDS_MAX  256
#define SCRIPT_MAX ((size_t)64 << 20)

struct line {
    size_t number;
    int argc;
    char **argv; /* ends with NULL */
};

struct script {
    struct cli *cli;
    char *text;
    struct line *lines;
    size_t count;
    int code;  /* of the line that failed, or 0 */
    FILE *out; /* what the lines print */
};

/* ---------------------------------------------------------------- script --- */

/* Take the next word out of *at, in place. NULL: the line has ended; *fault: a
 * quote is open. */
static char *next_word(char **at, bool *fault)
{
    char *from = *at + strspn(*at, " \t\r"), *to = from, *word = from;
    char quote = 0;

    if (*from == '\0' || *from == '#')
        return NULL;
    for (; *from && (quote || !strchr(" \t\r", *from)); from++) {
        if (quote ? *from == quote : *from == '\'' || *from == '"')
            quote = quote ? 0 : *from;
        else if (*from == '\\' && quote != '\'' && from[1])
            *to++ = *++from;
        else
            *to++ = *from;
    }
    *fault = quote != 0;
    *at = *from ? from + 1 : from;
    *to = '\0';
    return word;
}

static bool is_verb(const char *word)
{
    static const char *const verbs[] = {"create", "cat",    "write",
                                        "append", "resize", "attrs"};

    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(word, verbs[i]) == 0)
            return true;
    }
    return false;
}

/* 0, or the exit code, said. */
static int parse_line(struct script *s, char *text, size_t number)
{
    struct cli *cli = s->cli;
    char **words = cli_keep(cli, WORDS_MAX + 1, sizeof *words);
    bool fault = false;
    char *word;
    int n = 0;

    cli_session_line(cli->session, number);
    while ((word = next_word(&text, &fault))) {
        if (fault)
            return cli_usage_error(cli, "a quote is open at the end of the "
                                        "line");
        if (n == WORDS_MAX)
            return cli_usage_error(cli, "more than %d words", WORDS_MAX);
        if (n > 0 || strcmp(word, "azr") != 0)
            words[n++] = word;
    }
    if (n == 0)
        return 0;
    if (!is_verb(words[0]))
        return cli_usage_error(cli, "'%s' is no verb of a transaction",
                               words[0]);
    s->lines[s->count++] = (struct line){number, n, words};
    return 0;
}

static int parse(struct script *s)
{
    size_t most = 1, number = 0;
    char *next = s->text;
    int rc = 0;

    for (const char *c = s->text; c && *c; c++)
        most += *c == '\n';
    s->lines = cli_keep(s->cli, most, sizeof *s->lines);
    while (next && rc == 0) {
        char *text = next, *end = strchr(text, '\n');

        next = end ? end + 1 : NULL;
        if (end)
            *end = '\0';
        rc = parse_line(s, text, ++number);
    }
    return rc;
}

static int read_script(struct script *s, const char *file)
{
    struct cli *cli = s->cli;
    bool is_stdin = strcmp(file, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    size_t n = 0, room = 0;
    ssize_t got = fd < 0 ? -1 : 1;
    int rc = 0;

    while (got > 0 && n < SCRIPT_MAX) {
        if (n + 1 >= room) {
            char *text = cli_keep(cli, 2 * room + 4096, 1);

            if (n > 0)
                memcpy(text, s->text, n);
            s->text = text;
            room = 2 * room + 4096;
        }
        got = read(fd, s->text + n, room - n - 1);
        if (got < 0 && errno == EINTR && !cli_signal)
            got = 1;
        else if (got > 0)
            n += (size_t)got;
    }
    if (cli_signal)
        rc = cli_interrupted(cli);
    else if (got < 0)
        rc = cli_error(cli, fd < 0 && errno == ENOENT ? CLI_PRESENCE : CLI_IO,
                       "%s: %s", file, cli_errno_text(errno));
    else if (n >= SCRIPT_MAX || memchr(s->text, '\0', n))
        rc = cli_error(cli, CLI_USAGE, "%s: this is no script", file);
    if (fd >= 0 && !is_stdin)
        (void)close(fd);
    return rc;
}

/* --------------------------------------------------------------- running --- */

static int run_line(struct script *s, const struct line *l)
{
    struct cli one = *s->cli;
    const struct cli_verb *verb = cli_verb_find(l->argv[0]);
    char **argv = cli_keep(s->cli, (size_t)l->argc + 1, sizeof *argv);
    int code;

    memcpy(argv, l->argv, (size_t)l->argc * sizeof *argv);
    one.verb = verb->name;
    one.kept = s->cli->kept;
    cli_session_line(one.session, l->number);
    code = verb->run(&one, l->argc, argv);
    s->cli->kept = one.kept;
    return code;
}

static int body(azr_txn *txn, void *arg, azr_error *err)
{
    struct script *s = arg;

    (void)err;
    rewind(s->out);
    (void)!ftruncate(fileno(s->out), 0);
    cli_session_begin(s->cli->session, txn);
    s->code = 0;
    for (size_t i = 0; i < s->count && s->code == 0; i++)
        s->code = run_line(s, &s->lines[i]);
    (void)fflush(stdout);
    if (cli_session_conflict(s->cli->session))
        return AZR_ECONFLICT;
    return s->code == 0 ? AZR_OK : AZR_ECANCELED;
}

/* What the lines print goes to a file of no name: shown if it is committed. */
static int run_aside(struct script *s, azr_error *err)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    int out = dup(STDOUT_FILENO);
    int rc;

    o.timeout_ms = s->cli->timeout_ms;
    o.cancel = s->cli->cancel;
    (void)fflush(stdout);
    if (out < 0 || dup2(fileno(s->out), STDOUT_FILENO) < 0) {
        if (out >= 0)
            (void)close(out);
        return cli_error(s->cli, CLI_IO, "standard output: %s",
                         cli_errno_text(errno));
    }
    rc = azr_txn_run(body, s, &o, err);
    (void)fflush(stdout);
    (void)dup2(out, STDOUT_FILENO);
    (void)close(out);
    return rc;
}

static void show(FILE *from)
{
    char bytes[8192];
    size_t n;

    rewind(from);
    while ((n = fread(bytes, 1, sizeof bytes, from)) > 0)
        (void)fwrite(bytes, 1, n, stdout);
}

static int run(struct script *s)
{
    struct cli *cli = s->cli;
    azr_error err = AZR_ERROR_INIT;
    int rc;

    s->out = tmpfile();
    if (!s->out)
        return cli_error(cli, CLI_IO, "a temporary file: %s",
                         cli_errno_text(errno));
    cli->verb = NULL;
    rc = run_aside(s, &err);
    if (rc < 0 && s->code == 0) {
        struct cli_session *session = cli->session;

        cli->session = NULL; /* no line of it */
        rc = cli_fail(cli, rc, &err,
                      rc == AZR_ECONFLICT ? "the same again" : NULL);
        cli->session = session;
    } else if (rc < 0) {
        rc = cli_session_conflict(cli->session)
                 ? cli_error(cli, CLI_CONFLICT,
                             "disturbed by others until the time-out: nothing "
                             "changed")
                 : s->code;
    } else if (rc == 0) {
        cli->committed = true;
        show(s->out);
    }
    (void)fclose(s->out);
    return rc;
}

int cmd_txn(struct cli *cli, int argc, char **argv)
{
    struct cli_list words = {NULL, 0};
    struct script s = {.cli = cli};
    const struct cli_option options[] = {CLI_OPTION_END};
    const char *file;
    int rc;

    if (!cli_args(cli, &usage, options, argc, argv, &words, 0, 1))
        return cli->exit_code;
    file = words.count > 0 ? words.items[0] : "-";
    rc = read_script(&s, file);
    if (rc != 0)
        return rc;
    cli->session = cli_session_new(file[0] == '-' && !file[1] ? "stdin" : file);
    rc = parse(&s);
    if (rc == 0)
        rc = run(&s);
    if (rc != 0 && cli->json)
        cli_session_tell(cli->session);
    cli_session_free(cli->session);
    cli->session = NULL;
    return rc;
}
