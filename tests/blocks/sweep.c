/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocks-sweep: the power goes while acts are done on real file systems; every
 * disk that it may leave is mounted, read, written and verified.
 *
 *   blocks-sweep [--short|--long] [--fs NAME] [--act NAME] [--seed N] [--jobs N]
 *                [--minutes N] [--ledger FILE] [--keep FILE]
 *
 * --minutes: rounds, each with the next seed; no course is begun after so many.
 * --keep: of the first disk that is wrong, a copy.
 */
#include "blocks/jobs.h"
#include "power/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOBS_MAX 1024

/* One state in so many is gone on with. */
#define AGAIN_SHORT 100
#define AGAIN_LONG  60

static const cuts_plan g_plan_short = {4, 1, 1, 1, 0, 0, false};
static const cuts_plan g_plan_long = {12, 3, 3, 2, 1, 0, false};

/* Of the short form; on other file systems than the first one, the first act. */
static const char *const g_few[] = {"write 2 chunks", "append", "two arrays",
                                    "create", NULL};

static struct {
    const cuts_plan *plan;
    const char *fs, *act, *ledger, *keep;
    bool few;
    unsigned at_once, minutes;
    uint64_t seed;
    job *list;
    size_t n, room;
    unsigned failed;
    uint64_t rounds, courses;
    double begun;
} g = {.plan = &g_plan_short, .few = true, .at_once = 2};

/* ------------------------------------------------------------------ jobs --- */

static bool is_asked_for(const mounts_kind *fs, const act *a)
{
    if (a->flags & ACT_KILLED)
        return false;
    if (g.act)
        return strcmp(g.act, a->name) == 0;
    for (int i = 0; g.few && g_few[i]; i++) {
        if (strcmp(g_few[i], a->name) == 0)
            return i == 0 || fs == mounts_kinds;
    }
    return !g.few;
}

static void add_job(const mounts_kind *fs, const act *a, bool power,
                    uint32_t beside)
{
    job *j;

    if (g.n == g.room)
        return;
    j = &g.list[g.n++];
    j->c.fs = fs;
    j->c.a = a;
    j->c.power = power;
    j->c.beside = beside;
    j->c.plan = *g.plan;
    j->c.again = g.few ? AGAIN_SHORT : AGAIN_LONG;
    j->c.keep = g.keep;
}

static void add_jobs(const mounts_kind *fs, const act *a)
{
    for (uint32_t beside = 0; beside <= 3; beside += 3) {
        if (g.few && beside == 0)
            continue;
        add_job(fs, a, true, beside);
        add_job(fs, a, false, beside);
    }
}

/* Act by act, so that each file system has its share when the time is up. True:
 * there is something to do. */
static bool add_all(void)
{
    const act *a;

    g.room = JOBS_MAX;
    g.list = jobs_new(g.room);
    for (unsigned i = 0; (a = act_at(i)); i++) {
        for (const mounts_kind *fs = mounts_kinds; fs->name; fs++) {
            const char *why = mounts_cannot(fs);

            if (g.fs && strcmp(g.fs, fs->name) != 0)
                continue;
            if (why && i == 0)
                (void)printf("%s is left out: %s\n", fs->name, why);
            else if (!why && is_asked_for(fs, a))
                add_jobs(fs, a);
        }
    }
    return g.n > 0;
}

static void say(const job *j)
{
    const course_count *n = &j->c.count;

    (void)printf("%-5s %-27s %-7s %-6s %5" PRIu64 " writes %4" PRIu64
                 " flushes %5" PRIu64 " states %5" PRIu64 " distinct %4" PRIu64
                 " again %3" PRIu64 " unmounted %5.1f s%s\n",
                 j->c.fs->name, j->c.a->name, j->c.power ? "power" : "process",
                 j->c.beside ? "beside" : "alone", n->writes, n->flushes,
                 n->states, n->distinct, n->again, n->unmounted, j->seconds,
                 j->ok ? "" : "  FAILED");
    if (!j->ok)
        (void)printf("    seed %" PRIu64 ": %s\n    %s\n", j->c.plan.seed,
                     j->message, j->c.where);
    (void)fflush(stdout);
}

/* What a round found is added to the counts of those before it. */
static void add_count(course_count *sum, const course_count *n)
{
    sum->writes += n->writes;
    sum->flushes += n->flushes;
    sum->states += n->states;
    sum->distinct += n->distinct;
    sum->again += n->again;
    sum->unmounted += n->unmounted;
    sum->refused += n->refused;
    sum->lost += n->lost;
    sum->mixed += n->mixed;
}

/* ---------------------------------------------------------------- ledger --- */

static bool write_ledger(const course_count *sums, const unsigned *bad)
{
    FILE *f = fopen(g.ledger, "w");

    if (!f)
        return false;
    (void)fprintf(f,
                  "# form\t%s\n# first seed\t%" PRIu64 "\n# courses\t%" PRIu64
                  "\n# seconds\t%.0f\n",
                  g.few ? "short" : "long", g.seed, g.courses,
                  ledger_seconds() - g.begun);
    ledger_place(f);
    (void)fprintf(f,
                  "fs\tact\tdurability\tsyncs beside\twrites\tflushes\t"
                  "states\tdistinct\tagain\tunmounted\trefused\tlost\tmixed\t"
                  "failed\n");
    for (size_t i = 0; i < g.n; i++) {
        const course *c = &g.list[i].c;
        const course_count *n = &sums[i];

        if (n->writes == 0 && bad[i] == 0)
            continue;
        (void)fprintf(f,
                      "%s\t%s\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64
                      "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64
                      "\t%" PRIu64 "\t%" PRIu64 "\t%u\n",
                      c->fs->name, c->a->name, c->power ? "power" : "process",
                      c->beside ? "yes" : "no", n->writes, n->flushes,
                      n->states, n->distinct, n->again, n->unmounted,
                      n->refused, n->lost, n->mixed, bad[i]);
    }
    return fclose(f) == 0;
}

/* ---------------------------------------------------------------- rounds --- */

static bool time_is_up(void)
{
    return g.minutes > 0 && ledger_seconds() - g.begun > 60.0 * g.minutes;
}

static void run_round(course_count *sums, unsigned *bad, uint64_t seed)
{
    size_t started = 0;

    for (size_t i = 0; i < g.n; i++) {
        while (started < g.n && started < i + g.at_once && !time_is_up()) {
            g.list[started].c.plan.seed = seed;
            job_start(&g.list[started++]);
        }
        if (i == started)
            return;
        job_finish(&g.list[i]);
        say(&g.list[i]);
        add_count(&sums[i], &g.list[i].c.count);
        bad[i] += !g.list[i].ok;
        g.failed += !g.list[i].ok;
        g.courses++;
        if (g.ledger && !write_ledger(sums, bad)) /* who is killed leaves it */
            g.failed++;
    }
    g.rounds++;
}

/* ------------------------------------------------------------------ main --- */

static bool parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(argv[i], "--short") == 0)
            g.few = true, g.plan = &g_plan_short;
        else if (strcmp(argv[i], "--long") == 0)
            g.few = false, g.plan = &g_plan_long;
        else if (strcmp(argv[i], "--fs") == 0)
            g.fs = value, i++;
        else if (strcmp(argv[i], "--act") == 0)
            g.act = value, i++;
        else if (strcmp(argv[i], "--seed") == 0)
            g.seed = strtoull(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--minutes") == 0)
            g.minutes = (unsigned)strtoul(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--jobs") == 0)
            g.at_once = (unsigned)strtoul(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--ledger") == 0)
            g.ledger = value, i++;
        else if (strcmp(argv[i], "--keep") == 0)
            g.keep = value, i++;
        else
            return false;
    }
    return g.at_once > 0;
}

int main(int argc, char **argv)
{
    static course_count sums[JOBS_MAX];
    static unsigned bad[JOBS_MAX];
    course_count all;
    const char *why = tape_cannot();

    g.begun = ledger_seconds();
    if (!parse(argc, argv)) {
        (void)fprintf(stderr, "blocks-sweep: see the head of sweep.c\n");
        return 2;
    }
    if (why || !add_all()) {
        (void)printf("blocks: skipped: %s\n", why ? why : "no file system");
        return 77;
    }
    do
        run_round(sums, bad, g.seed + g.rounds);
    while (g.minutes > 0 && !time_is_up());
    memset(&all, 0, sizeof all);
    for (size_t i = 0; i < g.n; i++)
        add_count(&all, &sums[i]);
    (void)printf("blocks: %" PRIu64 " states, %" PRIu64 " distinct, %" PRIu64
                 " again, %" PRIu64 " not mounted, seed %" PRIu64 ", %" PRIu64
                 " courses, %.0f s; %u failed\n",
                 all.states, all.distinct, all.again, all.unmounted, g.seed,
                 g.courses, ledger_seconds() - g.begun, g.failed);
    return g.failed == 0 && all.distinct > 0 ? 0 : 1;
}
