/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes and threads do overlapping reads, writes, updates, transactions and
 * appends on one array, and are killed in the midst of them; what each saw and
 * wrote is checked for strict serializability (checker.h).
 *
 * The array is 16 elements wide, its chunks are (2, 4). A cell is one row of one
 * chunk column, so that most writes cover chunks partly. Rows below GRID_ROWS are
 * written in place, appends go beyond. Every element of a cell is a function of
 * the operation that wrote it.
 *
 * The order of versions comes from a hook at the commit point, where the writer
 * holds the locks of all it writes: there it takes the place of the last writer
 * of each cell. Updates and transactions also know what they read; both must
 * agree. Only the hook kills, so the log knows whether a dead operation had
 * passed its commit point.
 */
#include "history.h"

#include "base/guard.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

/* ---------------------------------------------------------------- parent --- */

static void setup(const char *dir, uint64_t total, uint64_t seed)
{
    int64_t shape[2] = {GRID_ROWS, ROW_WIDTH};
    int64_t chunks[2] = {2, CELL_WIDTH};
    uint64_t s = seed;

    (void)snprintf(sh->path, sizeof sh->path, "%s/array.zarr", dir);
    sh->total = total;
    for (unsigned i = 0; i < HIST_SLOTS; i++)
        sh->slots[i].seed = stress_random(&s);
    stress_create(sh->path, 2, shape, chunks, AZR_DURABILITY_PROCESS);
}

static void give_memory(unsigned slots)
{
    /* a slot may do nearly all of it; what is not touched costs nothing */
    size_t ops = (size_t)sh->total + 64;

    for (unsigned i = 0; i < slots; i++) {
        sh->slots[i].ops = stress_shared(ops * sizeof(hist_op));
        sh->slots[i].accesses = stress_shared(ops * 16 * sizeof(hist_access) +
                                              MAX_ACCESS * sizeof(hist_access));
    }
}

static group *group_of(group *groups, size_t n, pid_t pid)
{
    for (size_t i = 0; i < n; i++) {
        if (groups[i].pid == pid)
            return &groups[i];
    }
    return NULL;
}

/* Others have a while to meet whom the nemesis has stopped. */
static void go_on_later(pid_t pid)
{
    struct timespec t = {0, 500000};

    (void)nanosleep(&t, NULL);
    (void)kill(pid, SIGCONT);
}

/* Whoever is killed is begun anew, until the work is done. */
static void run_groups(group *groups, size_t n)
{
    size_t alive = 0;

    /* whom a dead worker has forked is waited for, too */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (size_t i = 0; i < n; i++, alive++)
        groups[i].pid = stress_spawn(hist_run_group, &groups[i]);
    while (alive > 0) {
        int status;
        pid_t pid = waitpid(-1, &status, WUNTRACED);
        group *g = group_of(groups, n, pid);

        if (!g)
            continue;
        if (WIFSTOPPED(status)) {
            go_on_later(pid);
            continue;
        }
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
            g->pid = stress_spawn(hist_run_group, g);
            continue;
        }
        alive--;
        g->pid = 0; /* a number that one whom the nemesis forks may get */
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            char text[64];

            (void)snprintf(text, sizeof text, "status %x", status);
            hist_fail("a worker ended badly", text);
        }
    }
}

static void gather_slots(history *h, unsigned slots)
{
    size_t op = 0, access = 0;

    for (unsigned i = 0; i < slots; i++) {
        h->op_count += atomic_load(&sh->slots[i].op_count);
        h->access_count += atomic_load(&sh->slots[i].access_count);
    }
    h->ops = calloc(h->op_count + 1, sizeof *h->ops);
    h->accesses = calloc(h->access_count + 1, sizeof *h->accesses);
    CHECK(h->ops && h->accesses, "no memory for the history");
    for (unsigned i = 0; i < slots; i++) {
        const slot *s = &sh->slots[i];
        size_t n = atomic_load(&s->op_count);

        h->base[i] = op;
        memcpy(&h->ops[op], s->ops, n * sizeof *h->ops);
        memcpy(&h->accesses[access], s->accesses,
               atomic_load(&s->access_count) * sizeof *h->accesses);
        for (size_t k = op; k < op + n; k++)
            h->ops[k].first += (uint32_t)access;
        op += n;
        access += atomic_load(&s->access_count);
    }
    for (unsigned i = slots; i <= HIST_SLOTS; i++)
        h->base[i] = op;
}

static int on_finding(const azr_finding *f, void *arg)
{
    (void)arg;
    hist_fail("verify", f->text);
    return 0;
}

static int on_row(const azr_row_info *row, void *arg)
{
    (void)row;
    ++*(int *)arg;
    return 0;
}

/* The appended rows as they stand; and nothing may be left over. */
static void gather_tail(history *h)
{
    azr_array *a = stress_open(sh->path, AZR_OPEN_WRITE, 60000);
    azr_array_info info = {.struct_size = sizeof info};
    azr_error err = AZR_ERROR_INIT;
    uint64_t *values;
    int rows = 0;

    CHECK_OK(azr_array_info_get(a, &info, &err), err);
    h->tail_first = GRID_ROWS;
    h->tail_rows = (size_t)(info.shape[0] - GRID_ROWS);
    h->tail = calloc(h->tail_rows + 1, sizeof *h->tail);
    h->tail_torn = calloc(h->tail_rows + 1, sizeof *h->tail_torn);
    values = calloc(h->tail_rows + 1, ROW_WIDTH * sizeof *values);
    CHECK(h->tail && h->tail_torn && values, "no memory for the tail");
    if (h->tail_rows > 0) {
        azr_selection sel = hist_tail_selection((unsigned)h->tail_rows);

        CHECK_OK(azr_array_read(a, &sel, values,
                                h->tail_rows * ROW_WIDTH * sizeof *values,
                                &err),
                 err);
    }
    for (size_t i = 0; i < h->tail_rows; i++)
        h->tail[i] = hist_decode(values + i * ROW_WIDTH, TAIL_CELL, ROW_WIDTH,
                                 &h->tail_torn[i]);
    free(values);
    CHECK_OK(azr_array_verify(a, on_finding, NULL, NULL, &err), err);
    CHECK_OK(azr_array_status(a, on_row, &rows, &err), err);
    if (rows != 0)
        hist_fail("rows are left", "after opening for writing");
    azr_array_close(a);
}

/* ---------------------------------------------------------------- verdict --- */

static char g_text[20000];

static FILE *g_dump; /* of each history that is checked */

/* Handed to other checkers, with what ours has said of it. */
static void dump(const history *h, const char *name, hist_verdict v)
{
    CHECK(!g_dump || hist_dump(g_dump, h, name, v == HIST_FINE),
          "the dump cannot be written");
}

/* In a long run three of them, others each time: to look for all takes longer than
 * the history. */
static bool is_planted(size_t i, uint64_t seed)
{
    return !sh->soak || (i + seed) % 8 == 0;
}

static size_t planted(uint64_t seed)
{
    size_t n = 0;

    for (size_t i = 0; i < hist_plant_count; i++)
        n += is_planted(i, seed);
    return n;
}

static int check_plants(const history *h, uint64_t seed)
{
    int missed = 0;

    for (size_t i = 0; i < hist_plant_count; i++) {
        const hist_plant *p = &hist_plants[i];
        uint64_t s = seed + i + 1;
        bool placed = false;
        history copy;
        hist_verdict v;

        if (!is_planted(i, seed))
            continue;
        CHECK(hist_copy(&copy, h), "no memory for a copy");
        for (int k = 0; k < 50 && !placed; k++) /* places are drawn by lot */
            placed = p->plant(&copy, &s);
        if (!placed) {
            (void)printf("plant '%s': no place for it\n", p->name);
            missed++;
        } else {
            v = hist_check(&copy, g_text, sizeof g_text);
            dump(&copy, p->name, v);
            if (v == HIST_FINE || !(p->expected >> v & 1)) {
                (void)printf("plant '%s': found %s\n%s", p->name,
                             hist_verdict_name(v), g_text);
                missed++;
            }
        }
        hist_dispose(&copy);
    }
    return missed;
}

static int check_gates(const history *h)
{
    uint64_t ops = atomic_load(&sh->alone_ops);
    uint64_t waited = atomic_load(&sh->alone_waited);
    uint64_t killed = atomic_load(&sh->killed_after);
    uint64_t done = h->op_count - atomic_load(&sh->nemesis.refused);
    /* other faults take the place of some: who is refused or stopped does not wait */
    uint64_t share = sh->nemesis.kinds != 0 ? 4 : 1;
    int bad = 0;

    if (h->op_count < sh->total) {
        (void)printf("void: %zu operations of %" PRIu64 "\n", h->op_count,
                     sh->total);
        bad++;
    }
    if (waited * 5 * share < ops || ops == 0) {
        (void)printf("void: %" PRIu64 " of %" PRIu64 " waited\n", waited, ops);
        bad++;
    }
    if (sh->kill_one_in != 0 && killed * 100 * share < done) {
        (void)printf("void: %" PRIu64 " of %" PRIu64 " finished by others\n",
                     killed, done);
        bad++;
    }
    return bad;
}

/* Six processes, and threads in two: one with the table, one without. */
static const group all_groups[] = {
    {0, 1, 0, 0}, {1, 1, 0, 0}, {2, 1, 0, 0}, {3, 1, 0, 0},
    {4, 1, 0, 0}, {5, 1, 0, 0}, {6, 3, 0, 0}, {9, 2, AZR_OPEN_KERNEL_LOCKS, 0},
};
#define GROUPS (sizeof all_groups / sizeof all_groups[0])
#define SLOTS  11

static hist_verdict run(const char *dir, uint64_t total, uint64_t seed,
                        uint64_t linger_one_in, history *h)
{
    group groups[GROUPS];

    sh->kill_one_in = sh->soak ? 16 : 20;
    sh->perturb = true;
    sh->linger_one_in = linger_one_in;
    setup(dir, total, seed);
    give_memory(SLOTS);
    hist_seed_tail();
    memcpy(groups, all_groups, sizeof groups);
    run_groups(groups, GROUPS);
    memset(h, 0, sizeof *h);
    h->cells = CELLS;
    if (atomic_load(&sh->failed))
        return HIST_FINE; /* of no use */
    gather_slots(h, SLOTS);
    gather_tail(h);
    return hist_check(h, g_text, sizeof g_text);
}

static void report(const history *h, uint64_t seed, int64_t begun)
{
    uint64_t alone = atomic_load(&sh->alone_ops);

    (void)printf(
        "history: seed %" PRIu64 ", %zu operations, %" PRIu64
        "%% waited or retried (locks %" PRIu64 ", retries %" PRIu64
        ", locked reads %" PRIu64 ", rows %" PRIu64 ", conflicts %" PRIu64
        ", read through %" PRIu64 "), killed %" PRIu64 " after and %" PRIu64
        " before the commit point, %zu rows appended, %.1f s\n",
        seed, h->op_count,
        alone ? 100 * atomic_load(&sh->alone_waited) / alone : 0,
        atomic_load(&sh->waits), atomic_load(&sh->retries),
        atomic_load(&sh->locked_reads), atomic_load(&sh->row_waits),
        atomic_load(&sh->conflicts), atomic_load(&sh->through),
        atomic_load(&sh->killed_after), atomic_load(&sh->killed_before),
        h->tail_rows, (double)(stress_now_ns() - begun) / 1e9);
}

static void call_nemesis(const char *list, const char *dir, uint64_t total)
{
    nemesis *n = &sh->nemesis;
    /* every second row that is appended makes GRID_COLS; it must not be full of them */
    uint64_t files = total / (sh->soak ? 20 : 6);

    CHECK(nemesis_parse(&n->kinds, list), "no nemesis '%s'", list);
    (void)snprintf(n->dir, sizeof n->dir, "%s", dir);
    if ((n->kinds >> NEMESIS_FULL & 1) && !nemesis_small_disk(dir, files)) {
        (void)printf("history: no small disk without root: no full disk\n");
        n->kinds &= ~(1u << NEMESIS_FULL);
    }
    if ((n->kinds >> NEMESIS_SPACES & 1) && !nemesis_may_part()) {
        (void)printf("history: no namespaces without root: no spaces\n");
        n->kinds &= ~(1u << NEMESIS_SPACES);
    }
}

/* Each kind that was asked for must have happened. */
static int report_nemesis(void)
{
    const nemesis *n = &sh->nemesis;
    int bad = 0;

    if (n->kinds == 0)
        return 0;
    (void)printf("history: nemesis");
    for (unsigned i = 0; i < NEMESIS_KINDS; i++) {
        if (!(n->kinds >> i & 1))
            continue;
        (void)printf(" %s %" PRIu64 ",", nemesis_name((nemesis_kind)i),
                     atomic_load(&n->done[i]));
        bad += atomic_load(&n->done[i]) == 0;
    }
    (void)printf(" operations refused %" PRIu64 "\n", atomic_load(&n->refused));
    if (bad > 0)
        (void)printf("void: a fault that was asked for did not happen\n");
    return bad;
}

static int run_checked(const stress_args *args)
{
    int64_t begun = stress_now_ns();
    uint64_t total = 10000u * (uint64_t)args->scale;
    char dir[128];
    history h;
    hist_verdict v;
    int bad = 0, missed;

    stress_scratch(dir, sizeof dir, true);
    sh = stress_shared(sizeof *sh);
    sh->soak = args->soak;
    if (args->nemesis)
        call_nemesis(args->nemesis, dir, total);
    v = run(dir, total, args->seed, args->soak ? 4 : 16, &h);
    if (v != HIST_FINE || atomic_load(&sh->failed)) {
        (void)printf("history: seed %" PRIu64 ": %s\n%s%s\n", args->seed,
                     hist_verdict_name(v), sh->message,
                     v == HIST_FINE ? "" : g_text);
        (void)printf("kept: %s\n", dir);
        return 1;
    }
    report(&h, args->seed, begun);
    bad = check_gates(&h) + report_nemesis();
    missed = check_plants(&h, args->seed);
    (void)printf("history: %zu of %zu planted anomalies found\n",
                 planted(args->seed) - (size_t)missed, planted(args->seed));
    hist_dispose(&h);
    nemesis_end_disk(&sh->nemesis);
    stress_cleanup(dir);
    return bad + missed > 0;
}

#define DUMPED_OPS 120 /* a search of every order takes no more */

/* A small history and what is planted in it, for other checkers. */
static int run_dumped(const stress_args *args)
{
    char dir[128];
    history h;
    int missed;

    stress_scratch(dir, sizeof dir, true);
    sh = stress_shared(sizeof *sh);
    g_dump = fopen(args->dump, "we");
    CHECK(g_dump, "%s cannot be written", args->dump);
    if (run(dir, DUMPED_OPS * args->scale, args->seed, 16, &h) != HIST_FINE ||
        atomic_load(&sh->failed))
        stress_die("history: seed %" PRIu64 ": %s %s", args->seed, sh->message,
                   g_text);
    dump(&h, "clean", HIST_FINE);
    missed = check_plants(&h, args->seed);
    (void)printf("history: seed %" PRIu64 ", %zu operations, %zu planted "
                 "anomalies, dumped\n",
                 args->seed, h.op_count, hist_plant_count - (size_t)missed);
    hist_dispose(&h);
    stress_cleanup(dir);
    return fclose(g_dump) != 0;
}

/* --------------------------------------------------------------- controls --- */

#ifdef AZRI_SABOTAGE
static const struct {
    const char *name;
    azri_guard guard;
} guards[] = {
    {"ROW", AZRI_GUARD_ROW},
    {"BUMP", AZRI_GUARD_BUMP},
    {"RECOVERY_BUMP", AZRI_GUARD_RECOVERY_BUMP},
    {"RENAME_FIRST", AZRI_GUARD_RENAME_FIRST},
    {"CHUNK_LOCKS", AZRI_GUARD_CHUNK_LOCKS},
    {"LOOK", AZRI_GUARD_LOOK},
    {"BUSY_ROW", AZRI_GUARD_BUSY_ROW},
    {"P2", AZRI_GUARD_P2},
    {"C2", AZRI_GUARD_C2},
    {"READ_THROUGH", AZRI_GUARD_READ_THROUGH},
    {"HOLD_LOCKS", AZRI_GUARD_HOLD_LOCKS},
    {"SLOT", AZRI_GUARD_SLOT},
    {"FINISH", AZRI_GUARD_FINISH},
};

#    define MOST_TRIES 60 /* beside other work a try may find nothing */

static int run_control(const stress_args *args)
{
    uint64_t seed = args->seed;
    azri_guard guard = AZRI_GUARD_NONE;

    for (size_t i = 0; i < sizeof guards / sizeof guards[0]; i++) {
        if (strcmp(guards[i].name, args->sabotage) == 0)
            guard = guards[i].guard;
    }
    CHECK(guard != AZRI_GUARD_NONE, "no guard '%s'", args->sabotage);
    for (int tries = 1; tries <= MOST_TRIES; tries++) {
        char dir[128];
        history h;
        hist_verdict v;

        azri_sabotage = guard;
        stress_scratch(dir, sizeof dir, true);
        sh = stress_shared(sizeof *sh);
        v = run(dir, 10000, stress_random(&seed), 1, &h);
        azri_sabotage = AZRI_GUARD_NONE;
        hist_dispose(&h);
        stress_cleanup(dir);
        if (v == HIST_FINE && !atomic_load(&sh->failed))
            continue;
        (void)printf("history without %s: caught in try %d: %s\n",
                     args->sabotage, tries,
                     v == HIST_FINE ? sh->message : hist_verdict_name(v));
        return 0;
    }
    (void)printf("history without %s: not caught\n", args->sabotage);
    return 1;
}
#endif

int main(int argc, char **argv)
{
    stress_args args;

    stress_parse(&args, argc, argv);
    stress_deadline(1500);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
#ifdef AZRI_SABOTAGE
    if (args.sabotage)
        return run_control(&args);
#endif
    return args.dump ? run_dumped(&args) : run_checked(&args);
}
