/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power-controls: each sync of the library is taken away, one at a time; some act
 * must then leave a disk that is wrong. Guards that power-sweep found missing are
 * taken out as well.
 *
 *   power-controls [--ledger FILE] [--site NAME] [--guard NAME]
 */
#include "base/guard.h"
#include "power/answer.h"
#include "power/ledger.h"
#include "power/trial.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ACTS_MAX 64u

static const trial_plan g_plan = {
    {256, 200, 60, 0}, {16, 8, 8, 0}, 97, 64, 8, false,
};
static const trial_plan g_short = {
    {1, 0, 0, 0}, {1, 0, 0, 0}, 1000, 6, 0, false,
};
/* A process that dies anywhere: few points of death are too few to know what who
 * comes next asks for. */
static const trial_plan g_uses = {
    {1, 0, 0, 0}, {1, 0, 0, 0}, 0, 0, 0, true,
};
/* Every version of each part where there are not too many, then all second cuts of
 * those whose recovery asked for it: 50,000 states. */
static const trial_plan g_recovery = {
    {2048, 0, 0, 0}, {600, 0, 0, 0}, UINT32_MAX, 6, 64, false,
};

/* Any two parts lost, all others kept. */
static const trial_plan g_pairs = {
    {1, 4000, 0, 0}, {1, 0, 0, 0}, 0, 6, 0, false,
};

/* Syncs of a recovery alone: only a second cut, in it, can tell. */
static const struct {
    const char *site, *act;
} in_recovery[] = {
    {"src/txn/recover.c:clear_over", "write thrice"},
};

/* Many acts ask for it, and few can miss it: these are asked first. */
static const struct {
    const char *site, *act;
} asked_first[] = {
    {"src/txn/recover.c:roll_forward", "killed as it had gone"},
    {"src/txn/commit.c:sync_staged", "a write fails, then one"},
    {"src/txn/commit.c:sync_staged", "rows apart"},
};

/* Nobody misses them alone, since a rename is whole, and one of its two directories
 * is enough (the third of the bin is for who looks for rubbish). All of the function
 * taken away are missed. */
static const char *const neighbours[] = {
    "src/core/trash.c:azri_bin_sync",
    "src/core/tree.c:give_name",
};

typedef struct outcome {
    bool ok;
    uint64_t states;
    uint32_t site_count;
    disk_site sites[DISK_SITES];
    char message[600], where[1400];
} outcome;

/* A trial without this sync, or this guard. */
typedef struct question {
    const act *a;
    bool power;
    const trial_plan *plan;
    const disk_site *site; /* NULL: all of them are there */
    bool stays;            /* it is watched only */
    azri_guard guard;
} question;

static void child(const void *arg, int to)
{
    static outcome o;
    const question *q = arg;
    static char where[2048];
    trial_count count;

    memset(&count, 0, sizeof count);
    (void)alarm(900);
    azri_sabotage = q->guard;
    disk_sites_forget();
    disk_site_remove(q->stays ? NULL : q->site);
    if (q->stays)
        disk_site_watch(q->site);
    o.ok = trial_run(q->a, q->power, q->plan, &count, where);
    o.states = count.states;
    o.site_count = disk_site_count();
    for (uint32_t i = 0; i < o.site_count; i++)
        o.sites[i] = *disk_site_at(i);
    (void)snprintf(o.message, sizeof o.message, "%.599s", scene_error());
    (void)snprintf(o.where, sizeof o.where, "%.1399s", where);
    answer_with(to, &o, sizeof o);
}

static void run(outcome *o, const question *q)
{
    answer a;
    int status = 0;

    answer_ask(&a, child, q);
    if (answer_wait(&a, o, sizeof *o, &status))
        return;
    memset(o, 0, sizeof *o);
    (void)snprintf(o->message, sizeof o->message, "it died: status %d", status);
}

/* Which acts ask for which sync. */
static struct {
    disk_site site[DISK_SITES];
    uint32_t calls[DISK_SITES][ACTS_MAX][2];
    uint32_t n;
} g_use;

static bool is_of_recovery(const disk_site *s)
{
    for (size_t k = 0; k < sizeof in_recovery / sizeof in_recovery[0]; k++) {
        if (strcmp(in_recovery[k].site, s->name) == 0)
            return true;
    }
    return false;
}

static void note_use(const outcome *o, uint32_t act_index, int power)
{
    for (uint32_t i = 0; i < o->site_count; i++) {
        uint32_t k;

        if (o->sites[i].calls == 0 && !is_of_recovery(&o->sites[i]))
            continue;
        k = disk_site_note(g_use.site, &g_use.n, &o->sites[i]);
        if (k == DISK_SITES)
            return;
        if (o->sites[i].calls > g_use.calls[k][act_index][power])
            g_use.calls[k][act_index][power] = o->sites[i].calls;
    }
}

static bool find_use(void)
{
    static outcome o;
    const act *a;
    bool ok = true;

    for (uint32_t i = 0; i < ACTS_MAX && (a = act_at(i)); i++) {
        for (int power = 0; power < 2; power++) {
            question q = {.a = a, .power = power == 1, .plan = &g_short};

            run(&o, &q);
            note_use(&o, i, power);
            if (o.ok && (a->flags & ACT_KILLED)) {
                q.plan = &g_uses;
                run(&o, &q);
                note_use(&o, i, power);
            }
            if (!o.ok)
                (void)printf("%s: fails with everything in place: %s\n",
                             a->name, o.message);
            ok &= o.ok;
        }
    }
    return ok;
}

static bool has_neighbours(const disk_site *s)
{
    for (size_t i = 0; i < sizeof neighbours / sizeof neighbours[0]; i++) {
        if (strcmp(neighbours[i], s->name) == 0)
            return true;
    }
    return false;
}

static const act *act_named(const char *name)
{
    uint32_t i = 0;

    while (strcmp(act_at(i)->name, name) != 0)
        i++;
    return act_at(i);
}

/* The same second cuts with the sync in its place must do no harm. */
static bool is_missed_in_recovery(const disk_site *without, outcome *o,
                                  const act **who, int *how)
{
    for (size_t k = 0; k < sizeof in_recovery / sizeof in_recovery[0]; k++) {
        question q = {.a = act_named(in_recovery[k].act),
                      .power = true,
                      .plan = &g_recovery,
                      .site = without,
                      .stays = true};

        if (strcmp(in_recovery[k].site, without->name) != 0)
            continue;
        *who = q.a;
        *how = 1;
        run(o, &q);
        if (!o->ok) {
            (void)printf("%s: fails with everything in place: %s\n", q.a->name,
                         o->message);
            return false;
        }
        q.stays = false;
        run(o, &q);
        if (!o->ok)
            return true;
    }
    return false;
}

static bool is_asked_first(const disk_site *s, const act *a)
{
    for (size_t k = 0; k < sizeof asked_first / sizeof asked_first[0]; k++) {
        if (strcmp(asked_first[k].site, s->name) == 0 &&
            strcmp(asked_first[k].act, a->name) == 0)
            return true;
    }
    return false;
}

/* Removed, does any act notice? */
static bool is_missed(uint32_t site, bool together, outcome *o, const act **who,
                      int *how)
{
    disk_site without = g_use.site[site];
    const act *a;

    if (together)
        without.line = -1;
    else if (is_missed_in_recovery(&without, o, who, how))
        return true;
    for (int turn = 0; turn < 3; turn++) {
        int power = turn < 2;

        for (uint32_t i = 0; i < ACTS_MAX && (a = act_at(i)); i++) {
            if (g_use.calls[site][i][power] == 0 ||
                (power && is_asked_first(&without, a) != (turn == 0)))
                continue;
            run(o, &(question){.a = a,
                               .power = power == 1,
                               .plan = &g_plan,
                               .site = &without});
            *who = a;
            *how = power;
            if (!o->ok)
                return true;
        }
    }
    return false;
}

static bool try_site(uint32_t i, FILE *ledger)
{
    static outcome o;
    const disk_site *s = &g_use.site[i];
    const act *who = NULL;
    const char *result = "missed";
    unsigned nth = disk_site_nth(g_use.site, g_use.n, i);
    int how = 0;
    bool missed = is_missed(i, false, &o, &who, &how);

    if (!missed && has_neighbours(s)) {
        missed = is_missed(i, true, &o, &who, &how);
        result = "missed with its neighbours";
    }
    if (!missed)
        result = "NOT MISSED";
    (void)printf("%s %u: %s\n", s->name, nth, result);
    if (missed)
        (void)printf("    %s, %s: %.200s\n    %.300s\n", who->name,
                     how ? "power" : "process", o.message, o.where);
    if (ledger) {
        (void)fprintf(ledger, "%s\t%u\t%s\t%s\t%s\t", s->name, nth, result,
                      missed ? who->name : "",
                      !missed ? "" : (how ? "power" : "process"));
        ledger_text(ledger, missed ? o.message : "");
        (void)fputc('\t', ledger);
        ledger_text(ledger, missed ? o.where : "");
        (void)fputc('\n', ledger);
        (void)fflush(ledger);
    }
    (void)fflush(stdout);
    return missed;
}

/* What power-sweep found, put back. */
static const struct {
    const char *name, *act;
    azri_guard guard;
    bool power;
    const trial_plan *plan;
} guards[] = {
    {"TAKEN_AGAIN", "write thrice", AZRI_GUARD_TAKEN_AGAIN, true, &g_plan},
    {"LOOK_AGAIN", "documents", AZRI_GUARD_LOOK_AGAIN, false, &g_pairs},
};

static bool try_guards(const char *only)
{
    static outcome o;
    bool ok = true;

    for (size_t k = 0; k < sizeof guards / sizeof guards[0]; k++) {
        question q = {.a = act_named(guards[k].act),
                      .power = guards[k].power,
                      .plan = guards[k].plan};

        if (only && strcmp(only, guards[k].name) != 0)
            continue;
        run(&o, &q);
        if (!o.ok)
            (void)printf("%s: fails with everything in place: %s\n", q.a->name,
                         o.message);
        ok &= o.ok;
        q.guard = guards[k].guard;
        run(&o, &q);
        (void)printf("guard %s: %s\n    %.200s\n    %.300s\n", guards[k].name,
                     o.ok ? "NOT MISSED" : "missed", o.message, o.where);
        ok &= !o.ok;
    }
    return ok;
}

int main(int argc, char **argv)
{
    const char *only = NULL, *guard = NULL, *file = NULL;
    FILE *ledger = NULL;
    uint32_t good = 0, asked = 0;
    bool ok;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--ledger") == 0 && i + 1 < argc)
            file = argv[++i];
        else if (strcmp(argv[i], "--site") == 0 && i + 1 < argc)
            only = argv[++i];
        else if (strcmp(argv[i], "--guard") == 0 && i + 1 < argc)
            guard = argv[++i];
        else
            return 2;
    }
    if (guard)
        return try_guards(guard) ? 0 : 1;
    ok = find_use();
    if (file)
        ledger = fopen(file, "w");
    if (ledger)
        (void)fprintf(ledger, "site\tnth\tresult\tact\tdurability\twhat\t"
                              "lost\n");
    for (uint32_t i = 0; i < g_use.n; i++) {
        if (only && !strstr(g_use.site[i].name, only))
            continue;
        asked++;
        good += try_site(i, ledger);
    }
    if (!only)
        ok &= try_guards(NULL);
    if (ledger && fclose(ledger) != 0)
        ok = false;
    (void)printf("%" PRIu32 " of %" PRIu32 " syncs are missed\n", good, asked);
    return ok && good == asked && asked > 0 ? 0 : 1;
}
