/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs of the library, drawn from a seed, and what happened in them: two or three
 * processes write or empty one or both chunks of an array, some die at it; others
 * read, and one recovers. With --two they write one or both of two arrays. Each run
 * becomes a file of steps that proofs/replay holds against the model.
 *
 *   trace-record [--two] [--loose] [--without GUARD] DIRECTORY FIRST COUNT
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LENGTH     8
#define CHUNK      4
#define AT_FIRST   9  /* elements before anybody writes */
#define OF_TXN     10 /* … and those that writer t wrote: this + t */
#define PATIENCE_S 30
/* Calls after PREPARED: the commit, the other row's word, the note at home. */
#define BEFORE_TOLD 3

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
    NAME(SEAL),         NAME(GROW_META),   NAME(PREPARED),
    NAME(HOME_NO),      NAME(HOME_YES),    NAME(HOME_SLOT),
    NAME(OTHERS),       NAME(TOLD),        NAME(UNTOLD),
};

/* ------------------------------------------------------------------ array --- */

static bool fail(const char *what, const azr_error *err)
{
    return complain("%s: %s", what, err->message);
}

/* The arrays of a run: one, or the home and another. */
typedef struct scene {
    char path[TRACE_ARRAYS][256];
    unsigned n;
} scene;

static bool make_array(const char *path, int64_t length, bool power)
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
    spec.shape[0] = length;
    spec.chunks[0] = CHUNK;
    spec.codecs = "none";
    spec.durability = power ? AZR_DURABILITY_POWER : AZR_DURABILITY_PROCESS;
    for (int i = 0; i < LENGTH; i++)
        values[i] = AT_FIRST;
    ok = azr_array_create(&a, path, &spec, NULL, &err) == AZR_OK &&
         azr_array_write(a, &all, values, (size_t)length * sizeof values[0],
                         &err) == AZR_OK;
    azr_array_close(a);
    return ok || fail("make", &err);
}

static ino_t state_of_array(const char *path)
{
    char name[280];
    struct stat st = {.st_ino = 0};

    (void)snprintf(name, sizeof name, "%s/.azr/state", path);
    return stat(name, &st) == 0 ? st.st_ino : 0;
}

static void name_arrays(scene *s, bool two)
{
    s->n = two ? 2 : 1;
    (void)snprintf(s->path[0], sizeof s->path[0], "%s/array", scene_root(true));
    (void)snprintf(s->path[1], sizeof s->path[1], "%s/other", scene_root(true));
}

/* Of two, the first in the order of arrays is the home wherever both are written. */
static bool make_scene(scene *s, bool two, bool power)
{
    char other[256];

    for (unsigned a = 0; a < s->n; a++) {
        if (!make_array(s->path[a], two ? CHUNK : LENGTH, power))
            return false;
    }
    if (two && state_of_array(s->path[1]) < state_of_array(s->path[0])) {
        memcpy(other, s->path[0], sizeof other);
        memcpy(s->path[0], s->path[1], sizeof other);
        memcpy(s->path[1], other, sizeof other);
    }
    return true;
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
    steps_read(0, writer_of(values[2]) + 8u * writer_of(values[5]));
    return true;
}

/* One of two arrays, the chunk in part: it is read under its locks. */
static bool write_one(azr_array *a, uint8_t who)
{
    const int32_t values[2] = {OF_TXN + who, OF_TXN + who};
    azr_selection s = AZR_BOX(1, {1}, {2});
    azr_error err = AZR_ERROR_INIT;

    return azr_array_write(a, &s, values, sizeof values, &err) == AZR_OK ||
           fail("write", &err);
}

/* Both, as a whole: nothing is read, so nothing is in conflict. */
static bool write_both(azr_array *arrays[TRACE_ARRAYS], uint8_t who)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;
    azr_selection all = AZR_BOX(1, {0}, {CHUNK});
    azr_error err = AZR_ERROR_INIT;
    int32_t values[CHUNK];
    azr_txn *t = NULL;
    int rc;

    for (int i = 0; i < CHUNK; i++)
        values[i] = OF_TXN + who;
    rc = azr_txn_begin(&t, &o, &err);
    for (int k = 0; k < TRACE_ARRAYS && rc == AZR_OK; k++)
        rc = azr_txn_write(t, arrays[k], &all, values, sizeof values, &err);
    if (rc == AZR_OK)
        rc = azr_txn_commit(t, &err);
    azr_txn_free(t);
    return rc == AZR_OK || fail("write both", &err);
}

static bool read_one(azr_array *a, unsigned k)
{
    azr_selection all = azr_select_all(1);
    azr_error err = AZR_ERROR_INIT;
    int32_t values[CHUNK] = {0};

    steps_start();
    if (azr_array_read(a, &all, values, sizeof values, &err) != AZR_OK)
        return fail("read", &err);
    steps_read(k, writer_of(values[2]));
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

static bool act_on_one(const board *b, uint8_t who, azr_array *a)
{
    const part *me = &b->parts[who];

    if (who <= TRACE_WRITERS)
        return write_part(a, who, me->set, me->gone);
    return who == TRACE_JANITOR ? recover(a) : read_all(a);
}

static bool act_on_two(const board *b, uint8_t who,
                       azr_array *arrays[TRACE_ARRAYS])
{
    unsigned set = b->parts[who].set;
    unsigned k = set == 2;

    if (who > TRACE_WRITERS)
        return who == TRACE_JANITOR ? recover(arrays[k])
                                    : read_one(arrays[k], k);
    return set == 3 ? write_both(arrays, who) : write_one(arrays[k], who);
}

static bool open_all(azr_array *arrays[TRACE_ARRAYS], uint8_t who,
                     const scene *s)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;

    o.threads = 1;
    if (who <= TRACE_WRITERS || who == TRACE_JANITOR)
        o.flags = AZR_OPEN_WRITE | AZR_OPEN_NO_RECOVERY;
    for (unsigned k = 0; k < s->n; k++) {
        if (azr_array_open(&arrays[k], s->path[k], &o, &err) != AZR_OK)
            return fail("open", &err);
        /* who waits under a row of his own is out of the writers' way there */
        atomic_store(&arrays[k]->d->slot_hint,
                     who <= TRACE_WRITERS ? 0 : TRACE_ROWS + 1);
    }
    return true;
}

static bool act(board *b, uint8_t who, const scene *s)
{
    azr_array *arrays[TRACE_ARRAYS] = {NULL, NULL};
    bool ok;

    steps_prepare(b, who);
    if (!open_all(arrays, who, s)) {
        (void)sem_post(&b->ready);
        return false;
    }
    steps_begin(azri_domain_state(arrays[0]->d));
    steps_wait(b->parts[who].begins);
    ok = b->two ? act_on_two(b, who, arrays) : act_on_one(b, who, arrays[0]);
    steps_end();
    for (unsigned k = 0; k < s->n; k++)
        azr_array_close(arrays[k]);
    return ok;
}

static pid_t start(board *b, uint8_t who, const scene *s)
{
    pid_t pid;
    bool ok;

    (void)fflush(NULL);
    pid = fork();
    if (pid != 0)
        return pid;
    (void)alarm(PATIENCE_S);
    ok = act(b, who, s);
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

static bool run_all(board *b, const scene *s)
{
    pid_t pids[TRACE_PROCS] = {0};
    unsigned n = 0;

    for (uint8_t p = 1; p < TRACE_PROCS; p++) {
        if (b->parts[p].set == 0)
            continue;
        pids[p] = start(b, p, s);
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

/* Of two arrays. Who writes both dies before or after his commit more often than
 * not, and the others come to one of his rows each. */
static void draw_two(board *b)
{
    unsigned writers = 2 + (steps_below(b, 3) > 0);

    b->two = true;
    b->stays = steps_below(b, 3) * 4;
    for (uint8_t p = 1; p < TRACE_PROCS; p++) {
        part *t = &b->parts[p];

        t->begins = steps_below(b, 200);
        t->late = p <= TRACE_JANITOR && steps_below(b, 4) > 0;
        if (p <= TRACE_WRITERS) {
            unsigned set = steps_below(b, 4);

            t->set = (uint8_t)(p > writers ? 0 : set == 0 ? 3 : set);
        } else {
            t->set = (uint8_t)(p == TRACE_READER ? 1 + steps_below(b, 2)
                                                 : steps_below(b, 3));
        }
        if ((p <= TRACE_WRITERS || p == TRACE_JANITOR) && steps_below(b, 2))
            t->dies = 1 + steps_below(b, t->late ? 16 : 80);
    }
}

/* Somebody who writes both dies at one of the stores from PREPARED to the note at
 * home, or soon after; two who wait for his locks come to one of his rows each. */
static void crowd_two(board *b)
{
    part *p = b->parts;

    for (uint8_t who = 2; who < TRACE_PROCS; who++)
        p[who].begins = 40 + steps_below(b, 80);
    p[1] = (part){.set = 3, .late = true};
    p[1].dies = steps_below(b, 2) ? BEFORE_TOLD : 1 + steps_below(b, 12);
    p[2].set = (uint8_t)(1 + steps_below(b, 2));
    p[3].set = (uint8_t)(3 - p[2].set);
    p[2].dies = p[3].dies = 0;
    p[TRACE_JANITOR].set = 0;
    b->stays = 0;
}

/* … before the note itself. Who comes to the home row is held up with it in hand,
 * and then the other one comes to the row that the home still needs: he must wait. */
static void meet_two(board *b)
{
    unsigned home = b->parts[2].set == 1 ? 2 : 3;

    b->parts[1].dies = BEFORE_TOLD;
    b->parts[5 - home].meets = true;
    b->holds_up = !b->loose;
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

static void put_event(FILE *f, const board *b, const event *e)
{
    unsigned rows = b->two ? TRACE_WORDS : TRACE_ROWS;

    (void)fprintf(f, "%u %s %u %u |", e->who, e->label, e->arg, e->value);
    for (unsigned i = 0; i < rows; i++)
        (void)fprintf(f, " %c%u", e->before.state[i], e->before.txn[i]);
    (void)fprintf(f, " | %u %u | %u %u", e->before.counter[0],
                  e->before.counter[1], e->before.key[0], e->before.key[1]);
    if (!b->two)
        (void)fprintf(f, " | %u", e->before.rows);
    (void)fprintf(f, "\n");
}

static void put_head(FILE *f, const board *b, unsigned seed)
{
    const part *p = b->parts;

    (void)fprintf(f,
                  "# seed %u%s: who label argument value | rows | counters "
                  "| keys",
                  seed, b->loose ? ", loose" : "");
    if (b->two)
        (void)fprintf(f, "\n# arrays %u %u %u others %u %u %u\n", p[1].set,
                      p[2].set, p[3].set, p[TRACE_READER].set,
                      p[TRACE_JANITOR].set, p[TRACE_READER_2].set);
    else
        (void)fprintf(f,
                      " | number of rows\n# sets %u %u %u emptied %u %u %u "
                      "power %u rows %u\n",
                      p[1].set, p[2].set, p[3].set, p[1].gone, p[2].gone,
                      p[3].gone, b->power, b->events[0].before.rows);
}

static bool put_trace(const board *b, const char *dir, unsigned seed)
{
    char name[512];
    FILE *f;

    (void)snprintf(name, sizeof name, "%s/%05u", dir, seed);
    f = fopen(name, "we");
    if (!f)
        return complain("%s: %s", name, strerror(errno));
    put_head(f, b, seed);
    for (unsigned i = 0; i < b->count; i++)
        put_event(f, b, &b->events[i]);
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

static void draw_run(board *b, unsigned seed, bool two)
{
    if (two) {
        draw_two(b);
        if (seed % 3 == 0)
            crowd_two(b);
        if (seed % 6 == 3)
            meet_two(b);
        return;
    }
    draw(b);
    if (seed % 3 == 0)
        crowd(b);
    else if (seed % 3 == 1)
        chase(b);
    else if (seed % 6 == 2)
        fill(b);
}

typedef struct form {
    bool two, loose, control;
} form;

static bool one(const char *dir, unsigned seed, form how)
{
    board *b = new_board(how.loose, seed);
    const char *paths[TRACE_ARRAYS];
    scene s;
    bool ok;

    scene_error()[0] = '\0';
    draw_run(b, seed, how.two);
    name_arrays(&s, how.two);
    ok = make_scene(&s, how.two, b->power);
    for (unsigned k = 0; k < s.n; k++)
        paths[k] = s.path[k];
    ok = ok && (steps_watch(b, paths, s.n) ||
                complain("the arrays cannot be watched"));
    ok = ok && take_rows(b, s.path[0]);
    if (ok) {
        ok = run_all(b, &s);
        steps_last(b);
        steps_tidy(b);
    }
    if (!ok && how.control) { /* noticed before any model has seen it */
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
    for (unsigned k = 0; k < s.n; k++)
        tree_remove(s.path[k]);
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
    form how = {false, false, false};
    bool ok = true;
    unsigned first, count;
    int at = 1;

    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--loose") == 0)
            how.loose = true;
        else if (strcmp(argv[at], "--two") == 0)
            how.two = true;
        else if (strcmp(argv[at], "--without") == 0 && at + 1 < argc &&
                 choose_guard(argv[at + 1]))
            how.control = ++at > 0;
        else
            return 2;
    }
    if (argc - at != 3)
        return 2;
    first = (unsigned)strtoul(argv[at + 1], NULL, 10);
    count = (unsigned)strtoul(argv[at + 2], NULL, 10);
    for (unsigned seed = first; ok && seed < first + count; seed++)
        ok = one(argv[at], seed, how);
    scene_roots_remove();
    (void)printf("%u traces, %u outside of the model, %u ended otherwise\n",
                 g_traces, g_outside, g_failed);
    return ok ? 0 : 1;
}
