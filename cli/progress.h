/* SPDX-License-Identifier: Apache-2.0 */
/* One live line on stderr: share done, rate, time left. Only on a terminal, not
 * with --quiet, and not in the first half second. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "cli.h"

struct progress {
    const struct cli *cli;
    const char *what; /* "verify" */
    const char *unit; /* "chunks"; "B" is shown in MB */
    double began, shown;
    bool wanted;
};

struct progress progress_begin(const struct cli *cli, const char *what,
                               const char *unit);
void progress_show(struct progress *p, uint64_t done, uint64_t total);
/** Wipe the line. */
void progress_end(struct progress *p);
/** Seconds of a clock that only goes on. */
double seconds_now(void);
/** "14.2 s", "3 min 5 s", "2 h 10 min" */
void seconds_text(char *out, size_t size, double seconds);

#endif
