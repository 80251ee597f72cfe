/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "json.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct cli_usage usage = {
    "explain [CODE]",
    "What an error code means and what to do. CODE is a name of the library\n"
    "(AZR_EBUSY, ebusy, -4) or an exit code of azr (3). Without: all of "
    "them.\n",
    "  azr explain AZR_EBUSY\n"
    "  azr explain $?\n"};

struct entry {
    int status;
    const char *meaning, *next;
};

static const struct entry entries[] = {
    {AZR_OK, "It is done.", "Nothing to do."},
    {AZR_EINVAL,
     "The request does not make sense: an option, a selection, a data type, or "
     "input whose shape or size does not fit. Nothing was read or written.",
     "Read the message: it quotes the place. azr info shows shape and type."},
    {AZR_ENOTFOUND,
     "There is no Zarr array at the path: no directory, or none with zarr.json "
     "or .zarray in it.",
     "Check the path; a group is no array: name the array inside it."},
    {AZR_EEXISTS, "Something is there already, and is not replaced.",
     "Choose another path, or remove what is there first."},
    {AZR_EBUSY,
     "The time-out passed while another transaction held what is needed. "
     "Nothing was changed. The message names the holder.",
     "azr status PATH shows who holds what; run it again, or with a larger "
     "--timeout."},
    {AZR_ECONFLICT,
     "Something that the transaction had read was changed by another before "
     "the "
     "commit, or a plain Zarr program wrote in between. Nothing was changed.",
     "Run it again."},
    {AZR_ECORRUPT,
     "Stored bytes are damaged: the message names the chunk or document and "
     "what "
     "was found.",
     "azr verify PATH lists all damage; write the chunk anew or restore it."},
    {AZR_EUNSUPPORTED,
     "A part of Zarr that this library does not know (named in the message), "
     "or "
     "a file system whose locks could not be shown to work.",
     "For a file system: azr doctor PATH tells what is missing."},
    {AZR_EIO,
     "The operating system refused a call; the message names call and reason. "
     "Before the commit nothing was changed; after it the next open finishes.",
     "Mend the cause (disk full, quota, mount), then azr recover PATH."},
    {AZR_ENOMEM, "An allocation failed, or the memory cap was met.",
     "Choose a smaller selection, or raise --memory."},
    {AZR_EPERM, "Permission is missing, or the array is open for reading only.",
     "Check owner and mode of the array's directory and of .azr/state."},
    {AZR_ECANCELED,
     "The operation was stopped on request. Nothing was changed.",
     "Run it again when it suits."},
    {AZR_EPOISONED,
     "A sync to disk failed earlier on this handle: what reached the disk is "
     "not "
     "known, so the handle refuses.",
     "Open the array anew: opening recovers. Look at the disk."},
    {AZR_EUNKNOWN, "The commit was sent, but its outcome could not be learnt.",
     "azr recover PATH decides; then look at the values before writing again."},
};
#define ENTRIES (sizeof entries / sizeof entries[0])

struct exit_text {
    int code;
    const char *name, *meaning;
};

static const struct exit_text exits[] = {
    {CLI_OK, "ok", "It is done."},
    {CLI_DIFFERS, "differs", "Something differs, or verify found an error."},
    {CLI_USAGE, "usage", "Command line, selection or input does not fit."},
    {CLI_BUSY, "busy", "Time-out or cancelled; nothing was changed."},
    {CLI_IO, "io", "A system call failed, permission or memory is missing."},
    {CLI_CORRUPT, "corrupt", "Stored bytes are damaged."},
    {CLI_CONFLICT, "conflict", "Nothing was changed: run it again."},
    {CLI_VOID, "void", "A run (demo, bench) that proves nothing."},
    {CLI_UNKNOWN, "unknown", "The outcome of a commit is not known."},
    {CLI_UNSUPPORTED, "unsupported", "A part of Zarr, or a file system."},
    {CLI_PRESENCE, "presence", "Not found, or exists already."},
    {CLI_SIGNAL, "signal",
     "128 + n: ended by signal n; the transaction was "
     "aborted."},
};
#define EXITS (sizeof exits / sizeof exits[0])

static const struct entry *find_status(const char *word)
{
    char *end = NULL;
    long number = strtol(word, &end, 10);

    for (size_t i = 0; i < ENTRIES; i++) {
        const char *name = azr_status_name(entries[i].status);

        if (strcasecmp(word, name) == 0 ||
            strcasecmp(word, name + strlen("AZR_")) == 0 ||
            (*end == '\0' && end != word && number < 0 &&
             number == entries[i].status))
            return &entries[i];
    }
    return NULL;
}

static const struct exit_text *find_exit(const char *word)
{
    char *end = NULL;
    long number = strtol(word, &end, 10);

    if (end == word || *end || !isdigit((unsigned char)word[0]))
        return NULL;
    for (size_t i = 0; i < EXITS; i++) {
        if (exits[i].code == number ||
            (exits[i].code == CLI_SIGNAL && number > CLI_SIGNAL &&
             number < CLI_SIGNAL + 65))
            return &exits[i];
    }
    return NULL;
}

static void json_status(struct json *j, const struct entry *e)
{
    json_open(j, NULL, '{');
    json_text(j, "name", azr_status_name(e->status));
    json_int(j, "status", e->status);
    json_int(j, "exit", cli_exit_of(e->status));
    json_text(j, "meaning", e->meaning);
    json_text(j, "next", e->next);
    json_close(j, '}');
}

static void json_exit(struct json *j, const struct exit_text *e)
{
    json_open(j, NULL, '{');
    json_text(j, "name", e->name);
    json_int(j, "exit", e->code);
    json_text(j, "meaning", e->meaning);
    json_close(j, '}');
}

static void print_status(const struct entry *e)
{
    printf("%s (%d, exit code %d)\n  %s\n  Next: %s\n",
           azr_status_name(e->status), e->status, cli_exit_of(e->status),
           e->meaning, e->next);
}

static void print_exit(const struct exit_text *e)
{
    printf("exit code %d (%s)\n  %s\n", e->code, e->name, e->meaning);
    for (size_t i = 0; i < ENTRIES; i++) {
        if (e->code != CLI_OK && cli_exit_of(entries[i].status) == e->code)
            print_status(&entries[i]);
    }
}

static void explain_all(const struct cli *cli)
{
    struct json j = json_begin(stdout);

    if (cli->json) {
        json_open(&j, NULL, '[');
        for (size_t i = 0; i < ENTRIES; i++)
            json_status(&j, &entries[i]);
        json_close(&j, ']');
        json_end(&j);
        return;
    }
    for (size_t i = 0; i < ENTRIES; i++)
        print_status(&entries[i]);
}

int cmd_explain(struct cli *cli, int argc, char **argv)
{
    struct cli_list words = {NULL, 0};
    struct json j = json_begin(stdout);
    const struct entry *status;
    const struct exit_text *code;

    if (!cli_args(cli, &usage, NULL, argc, argv, &words, 0, 1))
        return cli->exit_code;
    if (words.count == 0) {
        explain_all(cli);
        return CLI_OK;
    }
    status = find_status(words.items[0]);
    code = find_exit(words.items[0]);
    if (!status && !code)
        return cli_usage_error(cli, "there is no code %s", words.items[0]);
    if (cli->json) {
        if (status)
            json_status(&j, status);
        else
            json_exit(&j, code);
        json_end(&j);
    } else if (status) {
        print_status(status);
    } else {
        print_exit(code);
    }
    return CLI_OK;
}
