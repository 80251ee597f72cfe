/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/ledger.h"

#include "fault/acts.h"

#include <stdio.h>
#include <string.h>

#define ACTS_MOST   128
#define ERRORS_MOST 24

typedef struct tally {
    unsigned long once, ever, ok, refused, unknown;
} tally;

static tally g_pairs[CALLS][ERRORS_MOST];
static tally g_memory[2], g_twice;
static tally g_acts[ACTS_MOST];
static unsigned long g_points[ACTS_MOST];

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

bool ledger_close(const char *file, bool whole)
{
    unsigned long pairs = 0, tried = 0, trials = 0;
    FILE *f = file ? fopen(file, "we") : NULL;

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
    if (f) {
        write_all(f);
        (void)fclose(f);
    }
    return (!file || f) && (!whole || tried == pairs);
}
