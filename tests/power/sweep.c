/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power-sweep: the power goes at every point of every act, and of what comes
 * after it; every disk that it may leave is read, written and verified.
 *
 *   power-sweep --quick|--default|--torture|--plan N [--act NAME] [--seed N]
 *               [--jobs N] [--ledger FILE] [--minutes N]
 *
 * --plan: up to N states of a cut, and as many pairs and random ones; of a second
 * cut a thirty-second of that. --minutes: no act is begun after so many; the seed
 * says with which one begins, the ledger how many were.
 */
#include "power/answer.h"
#include "power/ledger.h"
#include "power/trial.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const trial_plan plans[] = {
    {{64, 64, 32, 0}, {0, 0, 0, 0}, 0, 4, 0, false},
    {{512, 300, 300, 0}, {16, 0, 8, 0}, 997, 8, 0, false},
    {{1000, 500, 500, 0}, {64, 32, 32, 0}, 997, 12, 0, false},
};

typedef struct result {
    trial_count count;
    bool ok;
    char message[1024], where[2048];
} result;

typedef struct job {
    const act *a;
    bool power;
    answer answer;
    result r;
} job;

#define JOBS_MAX 128

static struct {
    const trial_plan *plan;
    trial_plan own;
    const char *only, *ledger, *tier;
    unsigned at_once;
    unsigned minutes; /* no act is begun after so many; 0: all are */
    unsigned acts;
    uint32_t most; /* states of a cut; 0: as the tier says */
    uint64_t seed;
    job list[JOBS_MAX];
    unsigned n;
} g;

static void run_child(const void *arg, int to)
{
    static result r;
    const job *j = arg;

    (void)alarm(3600);
    r.ok = trial_run(j->a, j->power, g.plan, &r.count, r.where);
    (void)snprintf(r.message, sizeof r.message, "%.1000s", scene_error());
    answer_with(to, &r, sizeof r);
}

static void finish(job *j)
{
    int status = 0;

    if (answer_wait(&j->answer, &j->r, sizeof j->r, &status))
        return;
    memset(&j->r, 0, sizeof j->r);
    (void)snprintf(j->r.message, sizeof j->r.message, "it died: status %d",
                   status);
}

static void say(const job *j)
{
    const trial_count *c = &j->r.count;

    (void)printf("%-24s %-7s %5" PRIu64 " cuts %9" PRIu64 " states %8" PRIu64
                 " distinct %8" PRIu64 " again",
                 j->a->name, j->power ? "power" : "process", c->cuts, c->states,
                 c->distinct, c->again);
    if (!j->power)
        (void)printf(" %6" PRIu64 " refused %6" PRIu64 " lost %6" PRIu64
                     " mixed",
                     c->refused, c->lost, c->mixed);
    (void)printf("%s\n", j->r.ok ? "" : "  FAILED");
    if (!j->r.ok)
        (void)printf("    %s\n    %s\n", j->r.message, j->r.where);
    (void)fflush(stdout);
}

static void add_jobs(void)
{
    const act *a;

    for (unsigned i = 0; (a = act_at(i)); i++) {
        for (int power = 1; power >= 0; power--) {
            if (g.only && strcmp(g.only, a->name) != 0)
                continue;
            if (g.n < JOBS_MAX)
                g.list[g.n++] = (job){.a = a, .power = power == 1};
        }
    }
}

/* Who has not the time for all of them has it for others the next time. */
static void rotate_jobs(void)
{
    static job list[JOBS_MAX];

    for (unsigned i = 0; i < g.n; i++)
        list[i] = g.list[(i + g.seed) % g.n];
    memcpy(g.list, list, sizeof list);
}

static void run_jobs(void)
{
    double begun = ledger_seconds();
    unsigned started = 0;

    g.acts = g.n;
    for (unsigned i = 0; i < g.n; i++) {
        while (started < g.n && started < i + g.at_once) {
            answer_ask(&g.list[started].answer, run_child, &g.list[started]);
            started++;
        }
        finish(&g.list[i]);
        if (g.minutes > 0 && ledger_seconds() - begun > 60.0 * g.minutes)
            g.n = started;
        say(&g.list[i]);
    }
}

static bool write_ledger(double seconds)
{
    FILE *f = fopen(g.ledger, "w");

    if (!f)
        return false;
    (void)fprintf(f,
                  "# tier\t%s\n# seed\t%" PRIu64
                  "\n# seconds\t%.0f\n# acts\t%u of %u\n",
                  g.tier, g.seed, seconds, g.n, g.acts);
    ledger_place(f);
    (void)fprintf(f, "act\tdurability\tcuts\tsyncs\tstates\tdistinct\tagain\t"
                     "refused\tlost\tmixed\tfailed\n");
    for (unsigned i = 0; i < g.n; i++) {
        const trial_count *c = &g.list[i].r.count;

        (void)fprintf(f,
                      "%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64
                      "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64
                      "\t%d\n",
                      g.list[i].a->name, g.list[i].power ? "power" : "process",
                      c->cuts, c->syncs, c->states, c->distinct, c->again,
                      c->refused, c->lost, c->mixed, !g.list[i].r.ok);
    }
    return fclose(f) == 0;
}

static bool parse(int argc, char **argv)
{
    int tier = 1;

    g.at_once = 2;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(argv[i], "--quick") == 0)
            tier = 0;
        else if (strcmp(argv[i], "--default") == 0)
            tier = 1;
        else if (strcmp(argv[i], "--torture") == 0)
            tier = 2;
        else if (strcmp(argv[i], "--plan") == 0)
            g.most = (uint32_t)strtoul(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--act") == 0)
            g.only = value, i++;
        else if (strcmp(argv[i], "--seed") == 0)
            g.seed = strtoull(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--minutes") == 0)
            g.minutes = (unsigned)strtoul(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--jobs") == 0)
            g.at_once = (unsigned)strtoul(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--ledger") == 0)
            g.ledger = value, i++;
        else
            return false;
    }
    g.tier = tier == 0 ? "quick" : tier == 1 ? "default" : "torture";
    g.own = plans[tier];
    if (g.most > 0) {
        g.tier = "plan";
        g.own = plans[2];
        g.own.first = (cut_plan){g.most, g.most, g.most, 0};
        g.own.second = (cut_plan){g.most / 32, g.most / 32, g.most / 32, 0};
    }
    g.own.first.seed = g.seed;
    g.own.second.seed = g.seed + 1;
    g.plan = &g.own;
    return g.at_once > 0;
}

int main(int argc, char **argv)
{
    trial_count sum;
    unsigned failed = 0;
    double seconds;

    memset(&sum, 0, sizeof sum);
    if (!parse(argc, argv)) {
        (void)fprintf(stderr, "power-sweep: see the head of sweep.c\n");
        return 2;
    }
    seconds = ledger_seconds();
    add_jobs();
    if (g.minutes > 0)
        rotate_jobs();
    run_jobs();
    seconds = ledger_seconds() - seconds;
    for (unsigned i = 0; i < g.n; i++) {
        failed += !g.list[i].r.ok;
        sum.states += g.list[i].r.count.states;
        sum.distinct += g.list[i].r.count.distinct;
    }
    (void)printf("%" PRIu64 " states, %" PRIu64 " distinct, seed %" PRIu64
                 ", %.0f s; %u of %u failed\n",
                 sum.states, sum.distinct, g.seed, seconds, failed, g.n);
    if (g.ledger && !write_ledger(seconds))
        failed++;
    return failed == 0 && g.n > 0 ? 0 : 1;
}
