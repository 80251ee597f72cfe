/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong, said once: one line on stderr, and with --json one document
 * on stdout. */
#include "cli.h"
#include "json.h"
#include "region.h"
#include "session.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int cli_exit_of(int status)
{
    switch (status) {
    case AZR_OK:
        return CLI_OK;
    case AZR_EINVAL:
        return CLI_USAGE;
    case AZR_ENOTFOUND:
    case AZR_EEXISTS:
        return CLI_PRESENCE;
    case AZR_EBUSY:
    case AZR_ECANCELED:
        return CLI_BUSY;
    case AZR_ECONFLICT:
        return CLI_CONFLICT;
    case AZR_ECORRUPT:
        return CLI_CORRUPT;
    case AZR_EUNSUPPORTED:
        return CLI_UNSUPPORTED;
    case AZR_EUNKNOWN:
        return CLI_UNKNOWN;
    default:
        return CLI_IO;
    }
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static void tame(char *text)
{
    for (; *text; text++) {
        if (is_control(*text))
            *text = '?';
    }
}

void cli_put(FILE *f, const char *text)
{
    for (; *text; text++)
        (void)fputc(is_control(*text) ? '?' : *text, f);
}

void cli_error_document(int exit_code, const char *name, const char *text)
{
    struct json j = json_begin(stdout);

    json_open(&j, NULL, '{');
    json_open(&j, "error", '{');
    json_text(&j, "code", name);
    json_text(&j, "message", text);
    json_int(&j, "exit", exit_code);
    json_close(&j, '}');
    json_close(&j, '}');
    json_end(&j);
}

static void say(struct cli *cli, int exit_code, const char *name,
                const char *verb, char *text)
{
    char place[300];

    tame(text);
    cli_session_place(place, sizeof place, cli);
    tame(place);
    (void)fprintf(stderr, "%sazr%s%s:%s %s%s\n",
                  cli->color_err ? "\033[1;31m" : "", verb ? " " : "",
                  verb ? verb : "", cli->color_err ? "\033[0m" : "", place,
                  text);
    if (cli->session)
        cli_session_failed(cli->session, exit_code, name, text);
    else if (cli->json)
        cli_error_document(exit_code, name, text);
}

int cli_usage_error(struct cli *cli, const char *format, ...)
{
    char text[1024];
    char line[1200];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    (void)snprintf(line, sizeof line, "%s (try: azr %s%s--help)", text,
                   cli->verb ? cli->verb : "", cli->verb ? " " : "");
    say(cli, CLI_USAGE, "USAGE", cli->verb, line);
    return CLI_USAGE;
}

static const char *name_of_exit(int exit_code)
{
    static const char *const names[] = {
        "OK",       "DIFFERS", "USAGE",   "BUSY",        "IO",      "CORRUPT",
        "CONFLICT", "VOID",    "UNKNOWN", "UNSUPPORTED", "PRESENCE"};

    if (exit_code < 0 || exit_code > CLI_PRESENCE)
        return "SIGNAL";
    return names[exit_code];
}

int cli_error(struct cli *cli, int exit_code, const char *format, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    say(cli, exit_code, name_of_exit(exit_code), NULL, text);
    return exit_code;
}

static const char *signal_text(int n)
{
    return n == SIGINT    ? "interrupted"
           : n == SIGTERM ? "terminated"
                          : "hung up";
}

int cli_interrupted(struct cli *cli)
{
    int n = cli_signal;
    char text[128];

    if (n == 0)
        return 0;
    (void)snprintf(text, sizeof text, "%s: %s", signal_text(n),
                   cli->committed
                       ? "what was done before stays"
                       : "the transaction was aborted, nothing changed");
    say(cli, CLI_SIGNAL + n, "SIGNAL", NULL, text);
    return CLI_SIGNAL + n;
}

int cli_fail(struct cli *cli, int status, const azr_error *err,
             const char *next)
{
    const char *message =
        err->message[0] ? err->message : azr_status_name(status);
    char text[1200];
    int code = cli_exit_of(status);

    if (status == AZR_ECANCELED && cli_signal)
        return cli_interrupted(cli);
    if (cli_session_note(cli, status)) /* it is run again */
        return code;
    (void)snprintf(text, sizeof text, "%s%s%s%s", message,
                   next ? " (try: " : "", next ? next : "", next ? ")" : "");
    say(cli, code, azr_status_name(status), NULL, text);
    return code;
}

int cli_fail_at(struct cli *cli, int status, const azr_error *err,
                const char *path)
{
    azr_error full = *err;
    char next[400] = "";
    const char *verb = NULL;
    int room = (int)sizeof full.message / 2;

    if (strlen(path) < sizeof full.message / 3 && !strstr(err->message, path))
        (void)snprintf(
            full.message, sizeof full.message, "%.*s: %.*s", room - 2, path,
            room - 2, err->message[0] ? err->message : azr_status_name(status));
    if (status == AZR_EBUSY)
        verb = "status";
    else if (status == AZR_ECORRUPT)
        verb = "verify";
    else if (status == AZR_EUNSUPPORTED && err->sub == AZR_SUB_FILESYSTEM)
        verb = "doctor";
    else if (status == AZR_EUNKNOWN || status == AZR_EPOISONED)
        verb = "recover";
    if (verb)
        (void)snprintf(next, sizeof next, "azr %s '%s'", verb, path);
    else if (status == AZR_ECONFLICT)
        (void)snprintf(next, sizeof next, "the same again");
    else if (status == AZR_EEXISTS)
        (void)snprintf(next, sizeof next, "azr info '%s'", path);
    return cli_fail(cli, status, &full, next[0] ? next : NULL);
}

/* One thread of ours speaks; the others only work. */
const char *cli_errno_text(int number)
{
    return strerror(number); /* NOLINT(concurrency-mt-unsafe) */
}

void cli_note(const struct cli *cli, const char *format, ...)
{
    char text[1024];
    va_list ap;

    if (cli->quiet)
        return;
    va_start(ap, format);
    (void)vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    tame(text);
    (void)fprintf(stderr, "azr: %s\n", text);
}

void *cli_alloc(size_t count, size_t nbytes)
{
    void *p = calloc(count ? count : 1, nbytes ? nbytes : 1);

    if (!p) {
        (void)fputs("azr: out of memory\n", stderr);
        exit(CLI_IO); /* NOLINT(concurrency-mt-unsafe) */
    }
    return p;
}

struct cli_kept {
    struct cli_kept *next;
    max_align_t memory[];
};

void *cli_keep(struct cli *cli, size_t count, size_t nbytes)
{
    struct cli_kept *k;

    if (__builtin_mul_overflow(count, nbytes, &nbytes) ||
        __builtin_add_overflow(nbytes, sizeof *k, &nbytes))
        nbytes = SIZE_MAX;
    k = cli_alloc(1, nbytes);
    k->next = cli->kept;
    cli->kept = k;
    return k->memory;
}

void cli_free_kept(struct cli *cli)
{
    while (cli->kept) {
        struct cli_kept *k = cli->kept;

        cli->kept = k->next;
        free(k);
    }
}

void *cli_reserve(struct cli *cli, size_t nbytes)
{
    char need[32], most[32];
    void *p;

    if (nbytes > cli->memory) {
        bytes_text(need, sizeof need, (double)nbytes);
        bytes_text(most, sizeof most, (double)cli->memory);
        cli->exit_code =
            cli_error(cli, CLI_IO,
                      "the elements take %s (%zu bytes), at most %s are "
                      "held: choose a smaller part, or raise --memory",
                      need, nbytes, most);
        return NULL;
    }
    p = malloc(nbytes ? nbytes : 1);
    if (!p)
        cli->exit_code =
            cli_error(cli, CLI_IO, "no memory for %zu bytes", nbytes);
    return p;
}

azr_open_options cli_open_options(const struct cli *cli, uint32_t flags)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;

    o.flags = flags;
    if (cli->leave_stale)
        o.flags |= AZR_OPEN_STALE_CONSOLIDATED;
    o.threads = cli->threads;
    o.timeout_ms = cli->timeout_ms;
    o.cancel = cli->cancel;
    return o;
}

int cli_open(struct cli *cli, azr_array **out, const char *path, uint32_t flags)
{
    azr_open_options o = cli_open_options(cli, flags);
    azr_error err = AZR_ERROR_INIT;
    int rc = azr_array_open(out, path, &o, &err);

    return rc < 0 ? cli_fail_at(cli, rc, &err, path) : 0;
}
