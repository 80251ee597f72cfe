/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include "region.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define FIRST_AFTER 0.5
#define EACH        0.2

double seconds_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void seconds_text(char *out, size_t size, double seconds)
{
    long s = seconds < 1e9 ? (long)seconds : 1000000000L;

    if (s < 60)
        (void)snprintf(out, size, "%.1f s", seconds < 0 ? 0 : seconds);
    else if (s < 3600)
        (void)snprintf(out, size, "%ld min %ld s", s / 60, s % 60);
    else
        (void)snprintf(out, size, "%ld h %ld min", s / 3600, s % 3600 / 60);
}

struct progress progress_begin(const struct cli *cli, const char *what,
                               const char *unit)
{
    struct progress p = {cli, what, unit, seconds_now(), 0, false};

    p.wanted = !cli->quiet && isatty(STDERR_FILENO);
    return p;
}

static void rate_text(char *out, size_t size, const struct progress *p,
                      double rate)
{
    char text[32];

    if (strcmp(p->unit, "B") == 0) {
        bytes_text(text, sizeof text, rate);
        (void)snprintf(out, size, "%s/s", text);
    } else {
        (void)snprintf(out, size, "%.*f %s/s", rate < 10 ? 1 : 0, rate,
                       p->unit);
    }
}

void progress_show(struct progress *p, uint64_t done, uint64_t total)
{
    double now, rate;
    char left[40], speed[48];

    if (!p->wanted || total == 0)
        return;
    now = seconds_now();
    if (now - p->began < FIRST_AFTER || now - p->shown < EACH)
        return;
    p->shown = now;
    done = done > total ? total : done;
    rate = (double)done / (now - p->began);
    rate_text(speed, sizeof speed, p, rate);
    seconds_text(left, sizeof left,
                 rate > 0 ? (double)(total - done) / rate : 0);
    (void)fprintf(stderr, "\r%s: %.0f%%, %s, %s left\033[K", p->what,
                  100 * (double)done / (double)total, speed,
                  done > 0 ? left : "unknown");
    (void)fflush(stderr);
}

void progress_end(struct progress *p)
{
    if (p->wanted && p->shown > 0)
        (void)fputs("\r\033[K", stderr);
}
