/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power-controls: each sync of the library is taken away, one at a time; some act
 * must then leave a disk that is wrong. Guards that power-sweep found missing are
 * taken out as well.
 *
 *   power-controls [--quick] [--ledger FILE] [--site NAME]
 */
#include "power/trial.h"

#include "base/guard.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ACTS_MAX 64u

static const trial_plan g_plan = {
    {256, 200, 60, 0},
    {16, 8, 8, 0},
    97,
    64,
};
static const trial_plan g_short = {
    {1, 0, 0, 0},
    {1, 0, 0, 0},
    1000,
    6,
};

/* Syncs that nobody misses alone, and why they are there all the same. `together`:
 * all of the function taken away are missed. */
static const struct {
    const char *site;
    bool together;
    const char *reason;
} excused[] = {
    {"src/core/trash.c:azri_bin_sync", true,
     "a rename is whole, so one of its two directories is enough; the third "
     "is for who looks for rubbish"},
    {"src/core/tree.c:give_name", true,
     "a rename is whole, so one of its two directories is enough"},
    {"src/txn/rebuild.c:write_image", false,
     "no act has a damaged state with rows in use yet; and a header that is "
     "lost again is built anew again"},
    {"src/core/replace.c:azri_build_publish", false,
     "no disk has the exchange before the name that it takes; azri_bin_sync "
     "follows"},
};

typedef struct outcome {
    bool ok;
    uint64_t states;
    uint32_t site_count;
    disk_site sites[DISK_SITES];
    char message[600], where[1400];
} outcome;

static void child(const act *a, bool power, const trial_plan *plan,
                  const disk_site *without, azri_guard guard, int to)
{
    static outcome o;
    static char where[2048];
    trial_count count;

    memset(&count, 0, sizeof count);
    (void)alarm(900);
    azri_sabotage = guard;
    disk_sites_forget();
    disk_site_remove(without);
    o.ok = trial_run(a, power, plan, &count, where);
    o.states = count.states;
    o.site_count = disk_site_count();
    for (uint32_t i = 0; i < o.site_count; i++)
        o.sites[i] = *disk_site_at(i);
    (void)snprintf(o.message, sizeof o.message, "%.599s", scene_error());
    (void)snprintf(o.where, sizeof o.where, "%.1399s", where);
    _exit(write(to, &o, sizeof o) == (ssize_t)sizeof o ? 0 : 2);
}

static void run(outcome *o, const act *a, bool power, const trial_plan *plan,
                const disk_site *without, azri_guard guard)
{
    size_t got = 0;
    ssize_t n = 1;
    int ends[2], status = 0;
    pid_t pid;

    (void)fflush(NULL);
    if (pipe(ends) != 0 || (pid = fork()) < 0) {
        perror("fork");
        exit(2);
    }
    if (pid == 0)
        child(a, power, plan, without, guard, ends[1]);
    (void)close(ends[1]);
    while (n > 0 && got < sizeof *o) {
        n = read(ends[0], (char *)o + got, sizeof *o - got);
        got += n > 0 ? (size_t)n : 0;
    }
    (void)close(ends[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (got == sizeof *o)
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

static bool same_site(const disk_site *a, const disk_site *b)
{
    return a->line == b->line && strcmp(a->name, b->name) == 0;
}

static void note_use(const outcome *o, uint32_t act_index, int power)
{
    for (uint32_t i = 0; i < o->site_count; i++) {
        uint32_t k = 0;

        while (k < g_use.n && !same_site(&g_use.site[k], &o->sites[i]))
            k++;
        if (k == DISK_SITES)
            return;
        if (k == g_use.n)
            g_use.site[g_use.n++] = o->sites[i];
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
            run(&o, a, power == 1, &g_short, NULL, AZRI_GUARD_NONE);
            note_use(&o, i, power);
            if (!o.ok)
                (void)printf("%s: fails with everything in place: %s\n",
                             a->name, o.message);
            ok &= o.ok;
        }
    }
    return ok;
}

static int excuse_of(const disk_site *s)
{
    for (size_t i = 0; i < sizeof excused / sizeof excused[0]; i++) {
        if (strcmp(excused[i].site, s->name) == 0)
            return (int)i;
    }
    return -1;
}

/* Removed, does any act notice? The one that calls it least is asked first: it
 * is the quickest. */
static bool is_missed(uint32_t site, bool together, outcome *o, const act **who,
                      int *how)
{
    disk_site without = g_use.site[site];
    const act *a;

    if (together)
        without.line = -1;
    for (int power = 1; power >= 0; power--) {
        for (uint32_t i = 0; i < ACTS_MAX && (a = act_at(i)); i++) {
            if (g_use.calls[site][i][power] == 0)
                continue;
            run(o, a, power == 1, &g_plan, &without, AZRI_GUARD_NONE);
            *who = a;
            *how = power;
            if (!o->ok)
                return true;
        }
    }
    return false;
}

/* The nth place in its function, for a name that does not move with the lines. */
static unsigned nth_of(uint32_t site)
{
    unsigned n = 1;

    for (uint32_t i = 0; i < g_use.n; i++)
        n += strcmp(g_use.site[i].name, g_use.site[site].name) == 0 &&
             g_use.site[i].line < g_use.site[site].line;
    return n;
}

static void put_tsv(FILE *f, const char *text)
{
    for (; *text; text++)
        (void)fputc(*text == '\t' || *text == '\n' ? ' ' : *text, f);
}

static bool try_site(uint32_t i, FILE *ledger)
{
    static outcome o;
    const disk_site *s = &g_use.site[i];
    int excuse = excuse_of(s), how = 0;
    const act *who = NULL;
    const char *result = "missed", *why;
    bool missed = is_missed(i, false, &o, &who, &how);

    if (!missed && excuse >= 0) {
        missed = excused[excuse].together && is_missed(i, true, &o, &who, &how);
        result = missed                     ? "missed with its neighbours"
                 : excused[excuse].together ? "NOT MISSED"
                                            : "not missed";
    } else if (!missed) {
        result = "NOT MISSED";
    }
    why = missed ? o.message : excuse >= 0 ? excused[excuse].reason : "";
    (void)printf("%s %u: %s\n", s->name, nth_of(i), result);
    if (missed)
        (void)printf("    %s, %s: %.200s\n    %.300s\n", who->name,
                     how ? "power" : "process", o.message, o.where);
    if (ledger) {
        (void)fprintf(ledger, "%s\t%u\t%s\t%s\t%s\t", s->name, nth_of(i),
                      result, missed ? who->name : "",
                      !missed ? "" : (how ? "power" : "process"));
        put_tsv(ledger, why);
        (void)fputc('\t', ledger);
        put_tsv(ledger, missed ? o.where : "");
        (void)fputc('\n', ledger);
        (void)fflush(ledger);
    }
    (void)fflush(stdout);
    return strcmp(result, "NOT MISSED") != 0;
}

/* What power-sweep found, put back. */
static bool try_guard(const char *name, azri_guard guard, const char *act_name)
{
    static outcome o;
    const act *a;

    for (uint32_t i = 0; (a = act_at(i)); i++) {
        if (strcmp(a->name, act_name) != 0)
            continue;
        run(&o, a, true, &g_plan, NULL, guard);
        (void)printf("guard %s: %s\n    %.200s\n", name,
                     o.ok ? "NOT MISSED" : "missed", o.message);
        return !o.ok;
    }
    return false;
}

int main(int argc, char **argv)
{
    const char *only = NULL, *file = NULL;
    FILE *ledger = NULL;
    uint32_t good = 0, asked = 0;
    bool ok;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--ledger") == 0 && i + 1 < argc)
            file = argv[++i];
        else if (strcmp(argv[i], "--site") == 0 && i + 1 < argc)
            only = argv[++i];
        else
            return 2;
    }
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
        ok &= try_guard("TAKEN_AGAIN", AZRI_GUARD_TAKEN_AGAIN, "write thrice");
    if (ledger && fclose(ledger) != 0)
        ok = false;
    (void)printf("%" PRIu32 " of %" PRIu32 " syncs are missed, or excused\n",
                 good, asked);
    return ok && good == asked && asked > 0 ? 0 : 1;
}
