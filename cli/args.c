/* SPDX-License-Identifier: Apache-2.0 */
/* Options and words of a verb, and its --help. */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 1024

static size_t count_options(const struct cli_option *options)
{
    size_t n = 0;

    while (options && options[n].kind != CLI_END)
        n++;
    return n;
}

static void print_options(const struct cli_option *options)
{
    for (size_t i = 0; i < count_options(options); i++) {
        const struct cli_option *o = &options[i];
        char left[64];
        char letter[8] = "    ";

        if (o->letter)
            (void)snprintf(letter, sizeof letter, "-%c, ", o->letter);
        (void)snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name,
                       o->meta ? " " : "", o->meta ? o->meta : "");
        if (strlen(left) > 27)
            printf("  %s\n  %-27s %s\n", left, "", o->help);
        else
            printf("  %-27s %s\n", left, o->help);
    }
}

static void print_help(const struct cli_usage *usage,
                       const struct cli_option *own,
                       const struct cli_option *common)
{
    printf("usage: azr %s\n\n%s", usage->synopsis, usage->about);
    if (count_options(own) > 0) {
        printf("\nOptions:\n");
        print_options(own);
    }
    printf("\nOptions of every verb:\n");
    print_options(common);
    if (usage->examples)
        printf("\nExamples:\n%s", usage->examples);
}

static bool take_number(int *out, const char *text)
{
    char *end = NULL;
    long v;

    errno = 0;
    v = strtol(text, &end, 10);
    if (errno || end == text || *end || v < 0 || v > 1 << 20 ||
        !isdigit((unsigned char)text[0]))
        return false;
    *out = (int)v;
    return true;
}

static bool take_seconds(int64_t *out, const char *text)
{
    char *end = NULL;
    double v;

    if (strcmp(text, "never") == 0) {
        *out = -1;
        return true;
    }
    v = strtod(text, &end);
    if (end == text || *end || !(v >= 0) || v > 1e12 ||
        isspace((unsigned char)text[0]))
        return false;
    *out = (int64_t)(v * 1000);
    return true;
}

/* Bits to shift by for "K", "M", "G", "T" or "", or -1. */
static int unit_shift(const char *unit)
{
    static const char units[] = "KMGT";
    const char *at;

    if (*unit == '\0')
        return 0;
    at = strchr(units, *unit & ~0x20);
    return at && *at && unit[1] == '\0' ? 10 * (int)(at - units + 1) : -1;
}

static bool take_size(uint64_t *out, const char *text)
{
    char *end = NULL;
    unsigned long long v;
    int shift;

    errno = 0;
    v = strtoull(text, &end, 10);
    if (errno || end == text || text[0] < '0' || text[0] > '9')
        return false;
    shift = unit_shift(end);
    if (shift < 0 || v > UINT64_MAX >> shift)
        return false;
    *out = (uint64_t)v << shift;
    return true;
}

/* Result: NULL, or what was needed. */
static const char *take_value(struct cli *cli, const struct cli_option *o,
                              const char *text, size_t argc)
{
    union {
        void *p;
        int *number;
        int64_t *ms;
        uint64_t *size;
        const char **text;
        struct cli_list *list;
    } to = {.p = o->to};

    switch (o->kind) {
    case CLI_FLAG:
        *to.number = 1;
        return NULL;
    case CLI_TEXT:
        *to.text = text;
        return NULL;
    case CLI_NUMBER:
        return take_number(to.number, text) ? NULL : "a number from 0";
    case CLI_SECONDS:
        return take_seconds(to.ms, text) ? NULL : "seconds, or never";
    case CLI_SIZE:
        return take_size(to.size, text) ? NULL : "bytes, as 512, 64M or 2G";
    case CLI_MANY:
        if (!to.list->items)
            to.list->items = cli_keep(cli, argc, sizeof *to.list->items);
        to.list->items[to.list->count++] = text;
        return NULL;
    case CLI_END:
        break;
    }
    return "an option";
}

static const struct cli_option *find(const struct cli_option *options,
                                     const char *name, size_t length,
                                     char letter)
{
    for (size_t i = 0; i < count_options(options); i++) {
        const struct cli_option *o = &options[i];

        if (letter ? o->letter == letter
                   : strlen(o->name) == length &&
                         memcmp(o->name, name, length) == 0)
            return o;
    }
    return NULL;
}

/* One option at argv[*i]; moves *i past its argument. */
static bool take_option(struct cli *cli, const struct cli_option *own,
                        const struct cli_option *common, int argc, char **argv,
                        int *i)
{
    const char *word = argv[*i];
    bool is_long = word[1] == '-';
    const char *name = word + (is_long ? 2 : 1);
    size_t length = is_long ? strcspn(name, "=") : 1;
    const char *value = name[length] ? name + length + is_long : NULL;
    char letter = is_long ? 0 : name[0];
    const struct cli_option *o = find(own, name, length, letter);
    const char *need;

    if (!o)
        o = find(common, name, length, letter);
    if (!o) {
        cli->exit_code = cli_usage_error(cli, "there is no option %s", word);
        return false;
    }
    if (o->kind == CLI_FLAG && value) {
        cli->exit_code =
            cli_usage_error(cli, "--%s takes no argument", o->name);
        return false;
    }
    if (o->kind != CLI_FLAG && !value) {
        if (*i + 1 >= argc) {
            cli->exit_code =
                cli_usage_error(cli, "--%s needs %s", o->name, o->meta);
            return false;
        }
        value = argv[++*i];
    }
    need = take_value(cli, o, value, (size_t)argc);
    if (need) {
        cli->exit_code =
            cli_usage_error(cli, "--%s %s: need %s", o->name, value, need);
        return false;
    }
    return true;
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0' && !strchr(":.,", word[1]) &&
           !isdigit((unsigned char)word[1]);
}

static bool check_count(struct cli *cli, const struct cli_usage *usage,
                        const struct cli_list *words, size_t min, size_t max)
{
    if (words->count < min)
        cli->exit_code =
            cli_usage_error(cli, "too few words: azr %s", usage->synopsis);
    else if (words->count > max)
        cli->exit_code = cli_usage_error(cli, "what is %s for? azr %s",
                                         words->items[max], usage->synopsis);
    return words->count >= min && words->count <= max;
}

bool cli_args(struct cli *cli, const struct cli_usage *usage,
              const struct cli_option *options, int argc, char **argv,
              struct cli_list *words, size_t min, size_t max)
{
    int help = 0;
    bool options_end = false;
    const struct cli_option common[] = {
        {CLI_FLAG, 0, "json", &cli->json, NULL, "write one JSON document"},
        {CLI_SECONDS, 0, "timeout", &cli->timeout_ms, "SECONDS",
         "of each wait for a lock (60; never)"},
        {CLI_NUMBER, 'j', "threads", &cli->threads, "N",
         "threads (one a core)"},
        {CLI_SIZE, 0, "memory", &cli->memory, "SIZE",
         "most elements to hold at once (half the memory)"},
        {CLI_FLAG, 'q', "quiet", &cli->quiet, NULL, "no progress, no remarks"},
        {CLI_FLAG, 'h', "help", &help, NULL, "show this"},
        CLI_OPTION_END,
    };

    words->items = cli_keep(cli, (size_t)argc + 1, sizeof *words->items);
    words->count = 0;
    for (int i = 1; i < argc; i++) {
        if (!options_end && strcmp(argv[i], "--") == 0)
            options_end = true;
        else if (options_end || !is_option(argv[i]))
            words->items[words->count++] = argv[i];
        else if (!take_option(cli, options, common, argc, argv, &i))
            return false;
    }
    if (help) {
        print_help(usage, options, common);
        cli->exit_code = CLI_OK;
        return false;
    }
    if (cli->threads > THREADS_MAX) {
        cli->exit_code = cli_usage_error(cli, "--threads %d: at most %d",
                                         cli->threads, THREADS_MAX);
        return false;
    }
    azr_set_threads(cli->threads);
    return check_count(cli, usage, words, min, max);
}
