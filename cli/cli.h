/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every verb of `azr` shares. A verb is
 *
 *     int cmd_NAME(struct cli *cli, int argc, char **argv)
 *
 * in cmd_NAME.c: declared here, listed in the table of azr.c. argv[0] is the
 * verb; the result is the exit code. It begins with cli_args(), writes results
 * to stdout and everything else to stderr, and does not flush: main() does, and
 * turns a failed flush into a failure of the command.
 */
#ifndef CLI_H
#define CLI_H

#include <atomiczarr.h>

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/** Exit codes, as docs/man/azr.1 tells them. */
enum cli_exit {
    CLI_OK = 0,
    CLI_DIFFERS = 1,     /* differs, or something invalid was found */
    CLI_USAGE = 2,       /* command line, selection or input does not fit */
    CLI_BUSY = 3,        /* time-out or cancelled: nothing changed */
    CLI_IO = 4,          /* system call, permission, memory */
    CLI_CORRUPT = 5,     /* stored bytes are damaged */
    CLI_CONFLICT = 6,    /* nothing changed: run it again */
    CLI_VOID = 7,        /* a run that proves nothing */
    CLI_UNKNOWN = 8,     /* outcome of a commit not known */
    CLI_UNSUPPORTED = 9, /* a part of Zarr, or a file system */
    CLI_PRESENCE = 10,   /* not found, or exists already */
    CLI_SIGNAL = 128     /* plus the number of the signal */
};

struct cli {
    const char *verb;
    int json;           /* --json: one document on stdout */
    int quiet;          /* --quiet: no progress, no remarks */
    int leave_stale;    /* --leave-stale: no upkeep of what is above */
    int threads;        /* -j; 0: one a core */
    int64_t timeout_ms; /* --timeout, of each wait; below 0: for ever */
    uint64_t memory;    /* --memory: most bytes of elements to hold */
    bool color_out, color_err;
    bool committed;              /* something was changed for good */
    int exit_code;               /* set when cli_args() says stop */
    struct cli_kept *kept;       /* memory that lives until the end */
    azr_cancel *cancel;          /* raised by SIGINT, SIGTERM and SIGHUP */
    struct cli_session *session; /* the transaction of `azr txn`, or NULL */
};

/** Number of the signal that asks us to stop, or 0. */
extern volatile sig_atomic_t cli_signal;

/* ---------------------------------------------------------- arguments --- */

/** Words of the command line; borrowed from argv. */
struct cli_list {
    const char **items;
    size_t count;
};

enum cli_option_kind {
    CLI_END = 0,
    CLI_FLAG,    /* int: 1 */
    CLI_TEXT,    /* const char * */
    CLI_NUMBER,  /* int, at least 0 */
    CLI_SECONDS, /* int64_t milliseconds, from decimal seconds; "never": -1 */
    CLI_SIZE,    /* uint64_t bytes: 512, 64M, 2G */
    CLI_MANY     /* struct cli_list: may be given again */
};

/** One row; a table ends with CLI_OPTION_END. */
struct cli_option {
    enum cli_option_kind kind;
    char letter; /* 0: none */
    const char *name;
    void *to;
    const char *meta; /* what the argument is called in the help */
    const char *help;
};
#define CLI_OPTION_END                                                         \
    {                                                                          \
        CLI_END, 0, NULL, NULL, NULL, NULL                                     \
    }

struct cli_usage {
    const char *synopsis; /* after "azr " */
    const char *about;    /* paragraphs, each line ends with \n */
    const char *examples; /* lines, two blanks in front; NULL: none */
};

/**
 * Parse options and words in any order, with the options that every verb has
 * (--json, --timeout, -j, --quiet, --help). Between `min` and `max` words.
 * "--" ends the options; a word of "-" and a digit, ":" or "." is no option.
 * Result: false to return cli->exit_code at once (--help, or wrong usage, both
 * said). `words->items` and lists of options live until the program ends.
 */
bool cli_args(struct cli *cli, const struct cli_usage *usage,
              const struct cli_option *options, int argc, char **argv,
              struct cli_list *words, size_t min, size_t max);

/* ------------------------------------------------- errors and remarks --- */

/** "azr VERB: text", one line on stderr; CLI_USAGE. */
int cli_usage_error(struct cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** "azr: text", one line on stderr; returns `exit_code`. */
int cli_error(struct cli *cli, int exit_code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/**
 * Say what the library reported; `next` (NULL: none) is the command to type
 * now. Returns the exit code of `status`, or 128 + n after a signal.
 */
int cli_fail(struct cli *cli, int status, const azr_error *err,
             const char *next);
/** The same about `path`, which is put in front where the text lacks it, and
 *  with the next command that suits the status. */
int cli_fail_at(struct cli *cli, int status, const azr_error *err,
                const char *path);
/** Text from a disk: control characters become '?', so that a line stays one line
 *  and moves no cursor. */
void cli_put(FILE *f, const char *text);
/** strerror(), by the one thread that speaks. */
const char *cli_errno_text(int number);
/** A remark on stderr, not with --quiet. */
void cli_note(const struct cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** Exit code of a status. */
int cli_exit_of(int status);
/** 128 + n after a signal, said on stderr; else 0. */
int cli_interrupted(struct cli *cli);
/** Memory for `nbytes` of elements, within --memory, not cleared. NULL: said,
 *  with the exit code in cli->exit_code. */
void *cli_reserve(struct cli *cli, size_t nbytes);
/** Cleared memory that main() frees. */
void *cli_keep(struct cli *cli, size_t count, size_t nbytes);
void cli_free_kept(struct cli *cli);
/** calloc that says so and ends the program when there is no memory. */
void *cli_alloc(size_t count, size_t nbytes);

/* -------------------------------------------------------------- arrays --- */

/** Open with the options of the command line; 0 or the exit code, said. */
int cli_open(struct cli *cli, azr_array **out, const char *path,
             uint32_t flags);
/** Options of the command line for azr_array_open and azr_array_create. */
azr_open_options cli_open_options(const struct cli *cli, uint32_t flags);

/* ---------------------------------------------------------------- verbs --- */

struct cli_verb {
    const char *name;
    int (*run)(struct cli *cli, int argc, char **argv);
    const char *summary;
};
/** Ends with a NULL name. */
extern const struct cli_verb cli_verbs[];
/** NULL if there is no such verb. */
const struct cli_verb *cli_verb_find(const char *name);

int cmd_append(struct cli *cli, int argc, char **argv);
int cmd_attrs(struct cli *cli, int argc, char **argv);
int cmd_bench(struct cli *cli, int argc, char **argv);
int cmd_cat(struct cli *cli, int argc, char **argv);
int cmd_completion(struct cli *cli, int argc, char **argv);
int cmd_consolidate(struct cli *cli, int argc, char **argv);
int cmd_cp(struct cli *cli, int argc, char **argv);
int cmd_create(struct cli *cli, int argc, char **argv);
int cmd_demo(struct cli *cli, int argc, char **argv);
int cmd_doctor(struct cli *cli, int argc, char **argv);
int cmd_explain(struct cli *cli, int argc, char **argv);
int cmd_help(struct cli *cli, int argc, char **argv);
int cmd_info(struct cli *cli, int argc, char **argv);
int cmd_mv(struct cli *cli, int argc, char **argv);
int cmd_recover(struct cli *cli, int argc, char **argv);
int cmd_resize(struct cli *cli, int argc, char **argv);
int cmd_rm(struct cli *cli, int argc, char **argv);
int cmd_status(struct cli *cli, int argc, char **argv);
int cmd_txn(struct cli *cli, int argc, char **argv);
int cmd_tree(struct cli *cli, int argc, char **argv);
int cmd_verify(struct cli *cli, int argc, char **argv);
int cmd_version(struct cli *cli, int argc, char **argv);
int cmd_write(struct cli *cli, int argc, char **argv);

#endif
