/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/ledger.h"

#include "fault/acts.h"
#include "power/ledger.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define ACTS_MOST   256
#define ERRORS_MOST 24

typedef struct tally {
    unsigned long once, ever, ok, refused, unknown;
} tally;

static tally g_pairs[CALLS][ERRORS_MOST];
static tally g_memory[2], g_twice;
static tally g_acts[ACTS_MOST];
static unsigned long g_points[ACTS_MOST];
static FILE *g_file;

static void count(tally *t, bool for_ever, int rc)
{
    *(for_ever ? &t->ever : &t->once) += 1;
    t->ok += rc == AZR_OK;
    t->unknown += rc == AZR_EUNKNOWN;
    t->refused += rc < 0 && rc != AZR_EUNKNOWN;
}

void ledger_points(unsigned index, const uint8_t *calls, unsigned points)
{
    (void)calls;
    g_points[index] = points;
}

void ledger_add(unsigned index, call c, int error, bool for_ever, int rc)
{
    const int *errors = call_errors(c);
    unsigned e = 0;

    while (errors[e] != error)
        e++;
    count(&g_pairs[c][e], for_ever, rc);
    count(&g_acts[index], for_ever, rc);
}

void ledger_memory(unsigned index, bool libc, bool for_ever, int rc)
{
    count(&g_memory[libc], for_ever, rc);
    count(&g_acts[index], for_ever, rc);
}

void ledger_twice(unsigned index, int rc)
{
    count(&g_twice, false, rc);
    count(&g_acts[index], false, rc);
}

/* Parts of one run are made by one program: a hash of it. */
static uint64_t program(void)
{
    static uint8_t bytes[1 << 16];
    uint64_t h = UINT64_C(0xCBF29CE484222325);
    FILE *f = fopen("/proc/self/exe", "re");
    size_t n = 0;

    while (f && (n = fread(bytes, 1, sizeof bytes, f)) > 0) {
        for (size_t i = 0; i < n; i++)
            h = (h ^ bytes[i]) * UINT64_C(0x100000001B3);
    }
    if (f)
        (void)fclose(f);
    return h;
}

bool ledger_open(const char *file)
{
    g_file = fopen(file, "we");
    if (!g_file) {
        perror(file);
        return false;
    }
    ledger_place(g_file);
    ledger_head("program", "%016llx", (unsigned long long)program());
    return fflush(g_file) == 0;
}

void ledger_head(const char *name, const char *format, ...)
{
    va_list args;

    if (!g_file)
        return;
    (void)fprintf(g_file, "# %s\t", name);
    va_start(args, format);
    (void)vfprintf(g_file, format, args);
    va_end(args);
    (void)fputc('\n', g_file);
}

/* Of this process and all its children. */
static unsigned long processor_seconds(void)
{
    struct rusage own, theirs;

    if (getrusage(RUSAGE_SELF, &own) != 0 ||
        getrusage(RUSAGE_CHILDREN, &theirs) != 0)
        return 0;
    return (unsigned long)(own.ru_utime.tv_sec + own.ru_stime.tv_sec +
                           theirs.ru_utime.tv_sec + theirs.ru_stime.tv_sec);
}

static void line(FILE *f, const char *a, const char *b, const tally *t)
{
    (void)fprintf(f, "%s\t%s\t%lu\t%lu\t%lu\t%lu\t%lu\n", a, b, t->once,
                  t->ever, t->ok, t->refused, t->unknown);
}

static void write_all(FILE *f)
{
    (void)fprintf(f, "call\terror\tonce\tfor ever\tdone all the same\trefused\t"
                     "unknown\n");
    for (int c = 0; c < CALLS; c++) {
        for (unsigned e = 0; call_errors((call)c)[e] != 0; e++)
            line(f, call_name((call)c), error_text(call_errors((call)c)[e]),
                 &g_pairs[c][e]);
    }
    line(f, "malloc", "ours", &g_memory[0]);
    if (g_memory[1].once > 0)
        line(f, "malloc", "libc", &g_memory[1]);
    line(f, "two", "EIO", &g_twice);
    (void)fprintf(f, "\nact\tpoints\tonce\tfor ever\tdone all the same\trefused"
                     "\tunknown\n");
    for (unsigned i = 0; i < act_count; i++) {
        char points[24];

        (void)snprintf(points, sizeof points, "%lu", g_points[i]);
        line(f, acts[i].name, points, &g_acts[i]);
    }
}

bool ledger_close(bool whole)
{
    unsigned long pairs = 0, tried = 0, trials = 0;
    bool written = true;

    for (int c = 0; c < CALLS; c++) {
        for (unsigned e = 0; call_errors((call)c)[e] != 0; e++) {
            const tally *t = &g_pairs[c][e];

            pairs++;
            tried += t->once > 0 && t->ever > 0;
            trials += t->once + t->ever;
            if (whole && (t->once == 0 || t->ever == 0))
                (void)printf("not tried: %s %s\n", call_name((call)c),
                             error_text(call_errors((call)c)[e]));
        }
    }
    (void)printf("%lu of %lu pairs of call and error tried, %lu faults; %lu "
                 "allocations; %lu times two\n",
                 tried, pairs, trials, g_memory[0].once + g_memory[0].ever,
                 g_twice.once);
    if (g_file) {
        ledger_head("processor seconds", "%lu", processor_seconds());
        write_all(g_file);
        written = fclose(g_file) == 0;
        g_file = NULL;
    }
    return written && (!whole || tried == pairs);
}
