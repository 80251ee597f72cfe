/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocks-controls: each sync of the library is taken away, one at a time, and the
 * power cuts on a real file system must notice, for those that are named below.
 * A disk that does nothing for a flush must be noticed as well.
 *
 *   blocks-controls [--fs NAME] [--site NAME] [--seed N] [--acts N]
 *                   [--ledger FILE]
 *
 * --acts: at most so many acts are asked for a sync (4). A file system may do by
 * itself what a sync asks for: what is not noticed is told, and is no failure.
 */
#include "blocks/jobs.h"
#include "power/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACTS_MAX 64u
#define AT_ONCE  2u

/* On ext4: the data of what is staged, the record, the row, the rows of several
 * arrays, what is renamed, a new `state`. */
static const char *const g_must[] = {"src/txn/commit.c:write_staged",
                                     "src/txn/commit.c:write_record",
                                     "src/txn/commit.c:commit_row",
                                     "src/txn/commit.c:prepare_row",
                                     "src/txn/apply.c:azri_apply_sync",
                                     "src/txn/state.c:fill_state",
                                     NULL};

static const cuts_plan g_plan = {12, 6, 6, 0, 0, 0, false};
static const cuts_plan g_nothing = {0, 0, 0, 0, 0, 0, false};

static struct {
    const char *fs, *site, *file;
    unsigned acts;
    uint64_t seed;
    FILE *ledger;
    disk_site sites[DISK_SITES];
    bool uses[DISK_SITES][ACTS_MAX];
    uint32_t n;
    job *jobs; /* AT_ONCE */
} g = {.acts = 4};

/* ------------------------------------------------------------------- use --- */

static void note_use(const course *c, uint32_t act_index)
{
    for (uint32_t i = 0; i < c->site_count; i++) {
        uint32_t k = disk_site_note(g.sites, &g.n, &c->sites[i]);

        if (k == DISK_SITES)
            return;
        g.uses[k][act_index] = true;
    }
}

static void ask(job *j, const mounts_kind *fs, const act *a, uint32_t beside,
                const cuts_plan *plan)
{
    memset(&j->c, 0, sizeof j->c);
    j->ok = false;
    j->message[0] = '\0';
    j->c.fs = fs;
    j->c.a = a;
    j->c.power = true;
    j->c.beside = beside;
    j->c.plan = *plan;
    j->c.plan.seed = g.seed;
}

/* Only the last state of each act is looked at: it must be well. */
static bool find_use(const mounts_kind *fs)
{
    const act *a;
    bool ok = true;

    g.n = 0;
    memset(g.uses, 0, sizeof g.uses);
    for (uint32_t i = 0; i < ACTS_MAX && (a = act_at(i)); i++) {
        if (a->flags & ACT_KILLED)
            continue;
        ask(&g.jobs[0], fs, a, 0, &g_nothing);
        job_start(&g.jobs[0]);
        job_finish(&g.jobs[0]);
        note_use(&g.jobs[0].c, i);
        if (!g.jobs[0].ok)
            (void)printf("%s: %s fails with everything in place: %s\n",
                         fs->name, a->name, g.jobs[0].message);
        ok &= g.jobs[0].ok;
    }
    return ok;
}

/* ------------------------------------------------------------------ sites --- */

/* Both ways at once: alone, and with another program that syncs. */
static const job *ask_both(const mounts_kind *fs, const act *a,
                           const disk_site *without)
{
    const job *found = NULL;

    for (uint32_t k = 0; k < AT_ONCE; k++) {
        ask(&g.jobs[k], fs, a, 2 * k, &g_plan);
        g.jobs[k].c.without = *without;
        job_start(&g.jobs[k]);
    }
    for (uint32_t k = 0; k < AT_ONCE; k++) {
        job_finish(&g.jobs[k]);
        if (!g.jobs[k].ok && !found)
            found = &g.jobs[k];
    }
    return found;
}

static const job *is_missed(const mounts_kind *fs, uint32_t site, unsigned acts)
{
    const job *found = NULL;
    const act *a;

    for (uint32_t i = 0; i < ACTS_MAX && (a = act_at(i)) && !found; i++) {
        if (!g.uses[site][i] || acts == 0)
            continue;
        acts--;
        found = ask_both(fs, a, &g.sites[site]);
    }
    return found;
}

static bool is_must(const mounts_kind *fs, const char *name)
{
    for (int i = 0; g_must[i]; i++) {
        if (strcmp(g_must[i], name) == 0)
            return strcmp(fs->name, "ext4") == 0;
    }
    return false;
}

/* One line of the ledger; `found` NULL: nobody missed it. */
static void tell(const mounts_kind *fs, const char *site, unsigned nth,
                 const job *found, bool must)
{
    const char *result = found ? "missed" : must ? "NOT MISSED" : "not missed";

    (void)printf("%s: %s %u: %s\n", fs->name, site, nth, result);
    if (found)
        (void)printf("    %s%s: %.200s\n    %.300s\n", found->c.a->name,
                     found->c.beside ? ", another syncs" : "", found->message,
                     found->c.where);
    (void)fflush(stdout);
    if (!g.ledger)
        return;
    (void)fprintf(g.ledger, "%s\t%s\t%u\t%s\t%s\t%s\t", fs->name, site, nth,
                  result, found ? found->c.a->name : "",
                  found && found->c.beside ? "yes" : "no");
    ledger_text(g.ledger, found ? found->message : "");
    (void)fputc('\t', g.ledger);
    ledger_text(g.ledger, found ? found->c.where : "");
    (void)fputc('\n', g.ledger);
    (void)fflush(g.ledger);
}

static bool try_sites(const mounts_kind *fs, uint32_t *missed)
{
    bool ok = true;

    for (uint32_t i = 0; i < g.n; i++) {
        bool must = is_must(fs, g.sites[i].name);
        const job *found;

        if (g.site && !strstr(g.sites[i].name, g.site))
            continue;
        found = is_missed(fs, i, must ? ACTS_MAX : g.acts);
        tell(fs, g.sites[i].name, disk_site_nth(g.sites, g.n, i), found, must);
        *missed += found != NULL;
        ok &= found || !must;
    }
    return ok;
}

static bool try_liar(const mounts_kind *fs)
{
    job *j = &g.jobs[0];

    ask(j, fs, act_at(1), 0, &g_plan);
    j->c.plan.lies = true;
    job_start(j);
    job_finish(j);
    tell(fs, "the disk's flush", 1, j->ok ? NULL : j, true);
    return !j->ok;
}

static bool parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (!value)
            return false;
        if (strcmp(argv[i], "--fs") == 0)
            g.fs = value;
        else if (strcmp(argv[i], "--site") == 0)
            g.site = value;
        else if (strcmp(argv[i], "--seed") == 0)
            g.seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--acts") == 0)
            g.acts = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--ledger") == 0)
            g.file = value;
        else
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    const char *why = tape_cannot();
    uint32_t tried = 0, missed = 0, sites = 0;
    bool ok = true;

    if (!parse(argc, argv)) {
        (void)fprintf(stderr, "blocks-controls: see the head of controls.c\n");
        return 2;
    }
    g.jobs = jobs_new(AT_ONCE);
    g.ledger = g.file ? fopen(g.file, "w") : NULL;
    if (g.ledger)
        (void)fprintf(g.ledger, "fs\tsite\tnth\tresult\tact\tsyncs beside\t"
                                "what\twhere\n");
    for (const mounts_kind *fs = mounts_kinds; fs->name && !why; fs++) {
        const char *not_here = mounts_cannot(fs);

        if (g.fs && strcmp(g.fs, fs->name) != 0)
            continue;
        if (not_here) {
            (void)printf("%s is left out: %s\n", fs->name, not_here);
            continue;
        }
        tried++;
        ok &= find_use(fs);
        sites += g.n;
        ok &= (g.site || try_liar(fs)) && try_sites(fs, &missed);
    }
    if (tried == 0) {
        (void)printf("blocks: skipped: %s\n", why ? why : "no file system");
        return 77;
    }
    if (g.ledger && fclose(g.ledger) != 0)
        ok = false;
    (void)printf("%" PRIu32 " of %" PRIu32 " syncs are missed\n", missed,
                 sites);
    return ok && missed > 0 ? 0 : 1;
}
