/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs of the library, drawn from a seed, and what happened in them: two or three
 * processes write or empty one or both chunks of an array, some die at it; others
 * read, and one recovers. Each run becomes a file of steps that proofs/replay holds against
 * the model.
 *
 *   trace-record [--loose] [--without GUARD] DIRECTORY FIRST COUNT
 */
#include "trace/steps.h"

#include "base/guard.h"
#include "core/array.h"
#include "crash/coverage.h"
#include "crash/scene.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define LENGTH     8
#define CHUNK      4
#define AT_FIRST   9  /* elements before anybody writes */
#define OF_TXN     10 /* … and those that writer t wrote: this + t */
#define PATIENCE_S 30

typedef struct guard_name {
    const char *name;
    azri_guard guard;
} guard_name;

#define NAME(g)                                                                \
    {                                                                          \
#        g, AZRI_GUARD_##g                                                     \
    }
static const guard_name guard_names[] = {
    NAME(ROW),          NAME(BUMP),        NAME(RECOVERY_BUMP),
    NAME(RENAME_FIRST), NAME(CHUNK_LOCKS), NAME(LOOK),
    NAME(BUSY_ROW),     NAME(P2),          NAME(C2),
    NAME(READ_THROUGH), NAME(HOLD_LOCKS),  NAME(SLOT),
    NAME(FINISH),       NAME(DELETED),     NAME(READ_LOCKS),
    NAME(SEAL),         NAME(GROW_META),
};

/* ------------------------------------------------------------------ array --- */

static bool fail(const char *what, const azr_error *err)
{
    return complain("%s: %s", what, err->message);
}

static bool make_array(const char *path, bool power)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    int32_t values[LENGTH];
    azr_array *a = NULL;
    bool ok;

    spec.zarr_format = 3;
    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = LENGTH;
    spec.chunks[0] = CHUNK;
    spec.codecs = "none";
    spec.durability = power ? AZR_DURABILITY_POWER : AZR_DURABILITY_PROCESS;
    for (int i = 0; i < LENGTH; i++)
        values[i] = AT_FIRST;
    ok = azr_array_create(&a, path, &spec, NULL, &err) == AZR_OK &&
         azr_array_write(a, &all, values, sizeof values, &err) == AZR_OK;
    azr_array_close(a);
    return ok || fail("make", &err);
}

/* Parts of the chunks of the set: each holds element 2 or 5; and the whole of those
 * that are emptied. */
static bool write_part(azr_array *a, uint8_t who, uint8_t set, uint8_t gone)
{
    int64_t both = set == 3;
    int64_t first = set & 1 ? (gone & 1 ? 0 : 1 + both) : (gone & 2 ? 4 : 5);
    int64_t end = set & 2 ? (gone & 2 ? 8 : 7 - both) : (gone & 1 ? 4 : 3);
    azr_selection s = AZR_BOX(1, {0}, {0});
    azr_error err = AZR_ERROR_INIT;
    int32_t values[LENGTH];

    s.start[0] = first;
    s.count[0] = end - first;
    for (int64_t i = first; i < end; i++)
        values[i - first] = (gone >> (i / CHUNK) & 1) ? 0 : OF_TXN + who;
    return azr_array_write(a, &s, values, (size_t)s.count[0] * sizeof values[0],
                           &err) == AZR_OK ||
           fail("write", &err);
}

static uint8_t writer_of(int32_t value)
{
    if (value == 0)
        return TRACE_ABSENT;
    return value == AT_FIRST ? 0 : (uint8_t)(value - OF_TXN);
}

static bool read_all(azr_array *a)
{
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    int32_t values[LENGTH] = {0};

    steps_start();
    if (azr_array_read(a, &all, values, sizeof values, &err) != AZR_OK)
        return fail("read", &err);
    steps_read(writer_of(values[2]), writer_of(values[5]));
    return true;
}

static bool recover(azr_array *a)
{
    azr_recovery count = {0};
    azr_error err = AZR_ERROR_INIT;

    steps_start();
    return azri_domain_recover(a->d, &count, &err) == AZR_OK ||
           fail("recover", &err);
}

/* -------------------------------------------------------------- processes --- */

static bool act(board *b, uint8_t who, const char *path)
{
    const part *me = &b->parts[who];
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    bool ok;

    o.threads = 1;
    if (who <= TRACE_WRITERS || who == TRACE_JANITOR)
        o.flags = AZR_OPEN_WRITE | AZR_OPEN_NO_RECOVERY;
    if (azr_array_open(&a, path, &o, &err) != AZR_OK) {
        (void)sem_post(&b->ready);
        return fail("open", &err);
    }
    /* who waits under a row of his own is out of the writers' way there */
    atomic_store(&a->d->slot_hint, who <= TRACE_WRITERS ? 0 : TRACE_ROWS + 1);
    steps_begin(b, who, azri_domain_state(a->d));
    steps_wait(me->begins);
    if (who <= TRACE_WRITERS)
        ok = write_part(a, who, me->set, me->gone);
    else if (who == TRACE_JANITOR)
        ok = recover(a);
    else
        ok = read_all(a);
    steps_end();
    azr_array_close(a);
    return ok;
}

static pid_t start(board *b, uint8_t who, const char *path)
{
    pid_t pid;
    bool ok;

    (void)fflush(NULL);
    pid = fork();
    if (pid != 0)
        return pid;
    (void)alarm(PATIENCE_S);
    ok = act(b, who, path);
    coverage_write();
    _exit(ok ? 0 : 1);
}

/* Who has ended lets the next one go. */
static void go_on(board *b, bool died)
{
    uint8_t next = steps_anyone(b);

    if (b->loose && died)
        (void)sem_post(&b->call);
    if (!b->loose && next != 0)
        (void)sem_post(&b->go[next]);
}

/* True: each of them has ended as it should. */
static bool wait_all(board *b, pid_t pids[TRACE_PROCS])
{
    bool ok = true;

    while (steps_anyone(b) != 0) {
        int status = 0;
        pid_t pid = waitpid(-1, &status, 0);
        bool died = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;

        if (pid < 0 && errno == EINTR)
            continue;
        if (pid < 0)
            return complain("waitpid");
        for (uint8_t p = 1; p < TRACE_PROCS; p++) {
            if (pids[p] != pid)
                continue;
            b->there[p] = false;
            if (status != 0 && !(died && b->parts[p].dies > 0))
                ok = complain("process %u ended with status %x", p,
                              (unsigned)status);
            go_on(b, died);
        }
    }
    return ok;
}

static bool run_all(board *b, const char *path)
{
    pid_t pids[TRACE_PROCS] = {0};
    unsigned n = 0;

    for (uint8_t p = 1; p < TRACE_PROCS; p++) {
        if (b->parts[p].set == 0)
            continue;
        pids[p] = start(b, p, path);
        if (pids[p] < 0)
            return complain("fork: %s", strerror(errno));
        b->there[p] = true;
        n++;
    }
    while (n-- > 0) {
        while (sem_wait(&b->ready) != 0)
            ;
    }
    for (uint8_t p = 1; p < TRACE_PROCS && b->loose; p++) {
        if (b->there[p])
            (void)sem_post(&b->go[p]);
    }
    if (!b->loose)
        (void)sem_post(&b->go[steps_anyone(b)]);
    return wait_all(b, pids);
}

/* ------------------------------------------------------------------- runs --- */

static void draw(board *b)
{
    unsigned writers = 2 + (steps_below(b, 3) > 0);

    b->stays = steps_below(b, 3) * 4;
    b->power = steps_below(b, 4) == 0;
    for (uint8_t p = 1; p < TRACE_PROCS; p++) {
        part *t = &b->parts[p];

        t->begins = steps_below(b, 160);
        if (p <= TRACE_WRITERS) {
            unsigned set = steps_below(b, 4);

            t->set = (uint8_t)(p > writers ? 0 : set == 0 ? 3 : set);
            t->gone = steps_below(b, 3) == 0
                          ? (uint8_t)(t->set & (1 + steps_below(b, 3)))
                          : 0;
            t->late = steps_below(b, 2) == 0;
            t->dies = steps_below(b, 2) == 0
                          ? 1 + steps_below(b, t->late ? 10 : 60)
                          : 0;
        } else if (p == TRACE_JANITOR) {
            t->set = steps_below(b, 2) == 0;
            t->begins += 60;
            t->late = true;
            t->dies = steps_below(b, 3) == 0 ? 1 + steps_below(b, 10) : 0;
        } else {
            t->set = p == TRACE_READER || steps_below(b, 2) == 0;
        }
    }
}

/* Somebody dies after his commit, while others wait for his chunks and one
 * recovers: they meet at his row. */
static void crowd(board *b)
{
    part *dead = &b->parts[1], *janitor = &b->parts[TRACE_JANITOR];

    for (uint8_t p = 1; p < TRACE_PROCS; p++)
        b->parts[p].begins = steps_below(b, 40);
    dead->begins = 0;
    dead->set = 3;
    dead->late = true;
    dead->dies = 1 + steps_below(b, 6);
    janitor->set = 1;
    janitor->begins = 80 + steps_below(b, 60);
    janitor->dies = 0;
}

/* A reader is disturbed until it reads under lock. */
static void chase(board *b)
{
    for (uint8_t p = 1; p < TRACE_PROCS; p++)
        b->parts[p].begins = 15 + steps_below(b, 40);
    for (uint8_t p = 1; p <= TRACE_WRITERS; p++) {
        if (b->parts[p].set == 0 || steps_below(b, 4) > 0)
            b->parts[p].set = 3;
        if (p < TRACE_WRITERS)
            b->parts[p].dies = 0;
    }
    b->parts[TRACE_READER].begins = 0;
    b->chased = TRACE_READER;
}

/* All rows but one are busy: who finds none makes more. */
static void fill(board *b)
{
    b->busy = AZRI_ROWS_AT_FIRST - 1;
    for (uint8_t p = 1; p <= TRACE_WRITERS; p++) {
        if (b->parts[p].set == 0)
            b->parts[p].set = 1;
        b->parts[p].begins = steps_below(b, 60);
    }
}

static board *new_board(bool loose, unsigned seed)
{
    void *p = mmap(NULL, sizeof(board), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    board *b = p;

    if (p == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    b->loose = loose;
    b->seed = seed;
    for (int i = 0; i < TRACE_PROCS; i++)
        (void)sem_init(&b->go[i], 1, 0);
    (void)sem_init(&b->ready, 1, 0);
    (void)sem_init(&b->call, 1, 1);
    return b;
}

static void put_event(FILE *f, const event *e)
{
    static const char states[] = "FACS";

    (void)fprintf(f, "%u %s %u %u |", e->who, e->label, e->arg, e->value);
    for (int i = 0; i < TRACE_ROWS; i++)
        (void)fprintf(f, " %c%u",
                      e->before.state[i] < 4 ? states[e->before.state[i]] : '?',
                      e->before.txn[i]);
    (void)fprintf(f, " | %u %u | %u %u | %u\n", e->before.counter[0],
                  e->before.counter[1], e->before.key[0], e->before.key[1],
                  e->before.rows);
}

static bool put_trace(const board *b, const char *dir, unsigned seed)
{
    char name[512];
    FILE *f;

    (void)snprintf(name, sizeof name, "%s/%05u", dir, seed);
    f = fopen(name, "we");
    if (!f)
        return complain("%s: %s", name, strerror(errno));
    (void)fprintf(
        f,
        "# seed %u%s: who label argument value | rows | counters "
        "| keys | number of rows\n# sets %u %u %u emptied %u %u %u power %u "
        "rows %u\n",
        seed, b->loose ? ", loose" : "", b->parts[1].set, b->parts[2].set,
        b->parts[3].set, b->parts[1].gone, b->parts[2].gone, b->parts[3].gone,
        b->power, b->events[0].before.rows);
    for (unsigned i = 0; i < b->count; i++)
        put_event(f, &b->events[i]);
    return fclose(f) == 0 || complain("%s: %s", name, strerror(errno));
}

static struct {
    azr_array *a;
    azri_txn *txn[AZRI_ROWS_AT_FIRST];
} g_busy;

/* Rows of transactions that do nothing else, for as long as the run lasts. */
static bool take_rows(const board *b, const char *path)
{
    azri_patience patience = azri_patience_from(0, NULL);
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;

    memset(&g_busy, 0, sizeof g_busy);
    o.flags = AZR_OPEN_WRITE;
    if (b->busy > 0 && azr_array_open(&g_busy.a, path, &o, &err) != AZR_OK)
        return fail("open", &err);
    for (uint32_t i = 0; i < b->busy; i++) {
        if (azri_txn_begin(&g_busy.txn[i], g_busy.a->d, &patience, &err) !=
            AZR_OK)
            return fail("begin", &err);
    }
    return true;
}

static void give_rows(void)
{
    for (uint32_t i = 0; i < AZRI_ROWS_AT_FIRST; i++)
        azri_txn_end(g_busy.txn[i]);
    azr_array_close(g_busy.a);
    memset(&g_busy, 0, sizeof g_busy);
}

static unsigned g_traces, g_outside, g_failed;

static bool one(const char *dir, unsigned seed, bool loose, bool control)
{
    board *b = new_board(loose, seed);
    char path[256];
    bool ok;

    (void)snprintf(path, sizeof path, "%s/array", scene_root(true));
    scene_error()[0] = '\0';
    draw(b);
    if (seed % 3 == 0)
        crowd(b);
    else if (seed % 3 == 1)
        chase(b);
    else if (seed % 6 == 2)
        fill(b);
    ok = make_array(path, b->power) &&
         (steps_watch(b, path) || complain("the array cannot be watched"));
    ok = ok && take_rows(b, path);
    if (ok) {
        ok = run_all(b, path);
        steps_last(b);
        steps_tidy(b);
    }
    if (!ok && control) { /* noticed before any model has seen it */
        g_failed++;
        ok = true;
    } else if (ok && b->outside[0] != '\0') {
        (void)printf("seed %u is outside: %s\n", seed, b->outside);
        g_outside++;
    } else if (ok) {
        ok = put_trace(b, dir, seed);
        g_traces++;
    }
    give_rows();
    steps_unwatch();
    tree_remove(path);
    (void)munmap(b, sizeof *b);
    if (!ok)
        (void)printf("seed %u: %s\n", seed, scene_error());
    return ok;
}

static bool choose_guard(const char *name)
{
#ifdef AZRI_SABOTAGE
    for (size_t i = 0; i < sizeof guard_names / sizeof guard_names[0]; i++) {
        if (strcmp(name, guard_names[i].name) == 0) {
            azri_sabotage = guard_names[i].guard;
            return true;
        }
    }
#endif
    (void)printf("no such guard here: %s; there are", name);
    for (size_t i = 0; i < sizeof guard_names / sizeof guard_names[0]; i++)
        (void)printf(" %s", guard_names[i].name);
    (void)printf("\n");
    return false;
}

int main(int argc, char **argv)
{
    bool loose = false, control = false, ok = true;
    unsigned first, count;
    int at = 1;

    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--loose") == 0)
            loose = true;
        else if (strcmp(argv[at], "--without") == 0 && at + 1 < argc &&
                 choose_guard(argv[at + 1]))
            control = ++at > 0;
        else
            return 2;
    }
    if (argc - at != 3)
        return 2;
    first = (unsigned)strtoul(argv[at + 1], NULL, 10);
    count = (unsigned)strtoul(argv[at + 2], NULL, 10);
    for (unsigned seed = first; ok && seed < first + count; seed++)
        ok = one(argv[at], seed, loose, control);
    scene_roots_remove();
    (void)printf("%u traces, %u outside of the model, %u ended otherwise\n",
                 g_traces, g_outside, g_failed);
    return ok ? 0 : 1;
}
