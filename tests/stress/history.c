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
#include "checker.h"
#include "stress.h"

#include "base/guard.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GRID_ROWS  10
#define GRID_COLS  4 /* chunk columns */
#define CELL_WIDTH 4
#define ROW_WIDTH  (GRID_COLS * CELL_WIDTH)
#define CELLS      (GRID_ROWS * GRID_COLS)
#define DOC        CELLS /* the length */
#define TAIL_CELL  1000  /* of elements of appended rows */
#define SEED_ROWS  4     /* there are always so many appended rows */
#define MOST_ROWS  3     /* of one append */
#define MAX_ACCESS (CELLS + 1)

/* ---------------------------------------------------------------- shared --- */

typedef struct slot {
    _Atomic uint64_t op_count;
    _Atomic uint64_t access_count;
    uint64_t seed;
    hist_op *ops;
    hist_access *accesses;
} slot;

typedef struct shared {
    char path[256];
    uint64_t total;
    uint64_t kill_one_in; /* writes; 0: nobody dies */
    bool perturb;
    uint64_t linger_one_in;
    _Atomic uint64_t claimed;
    _Atomic uint64_t last[CELLS]; /* writer of the newest version */
    _Atomic uint64_t killed_after, killed_before;
    _Atomic uint64_t alone_ops, alone_waited; /* of processes of one thread */
    _Atomic uint64_t waits, retries, locked_reads, row_waits, conflicts,
        recovered, through;
    _Atomic int failed;
    char message[600];
    slot slots[HIST_SLOTS];
} shared;

static shared *sh;

/* A process: slots first .. first + threads - 1. */
typedef struct group {
    unsigned first, threads, flags;
    pid_t pid;
} group;

/* ---------------------------------------------------------------- worker --- */

typedef enum death {
    LIVE,
    DIE_ACTIVE, /* with a row, nothing staged */
    DIE_STAGED, /* the row tells what, nothing promised */
    DIE_COMMITTED,
    DIE_BUMP,
    DIE_BEFORE_RENAME,
    DIE_AFTER_RENAME,
    DIE_CLEAR, /* all done but for the row */
    DIE_KINDS
} death;

typedef struct worker {
    slot *slot;
    unsigned number;
    azr_array *a;
    uint64_t seed;
    hist_op *op;
    death death;
    uint64_t countdown;
    uint64_t values[GRID_ROWS * ROW_WIDTH];
} worker;

static _Thread_local worker *me;
static bool g_alone; /* this process has one thread */
/* Who kills waits until no other thread is between noting a commit and doing it. */
static pthread_rwlock_t g_commit = PTHREAD_RWLOCK_INITIALIZER;

static void fail(const char *what, const char *text)
{
    int none = 0;

    if (atomic_compare_exchange_strong(&sh->failed, &none, 1))
        (void)snprintf(sh->message, sizeof sh->message, "%s: %s", what, text);
}

static void die_at(death where)
{
    if (!me || !me->op || me->death != where || me->countdown-- != 0)
        return;
    if (me->op->committed) {
        me->op->killed = 1;
        atomic_fetch_add(&sh->killed_after, 1);
    } else {
        atomic_fetch_add(&sh->killed_before, 1);
    }
    (void)pthread_rwlock_wrlock(&g_commit);
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

/* Let others in at the worst places. */
static void perturb(void)
{
    if (me && sh->perturb && stress_below(&me->seed, 8) == 0)
        (void)sched_yield();
}

/* Longer than a turn of the scheduler: who looks at the rows one after the other
 * meets the one that committed later, and not the one before it. */
static void linger(uint64_t one_in)
{
    struct timespec t = {0, 0};

    if (!me || !sh->perturb || stress_below(&me->seed, one_in) != 0)
        return;
    t.tv_nsec = (long)stress_below(&me->seed, 200000);
    (void)nanosleep(&t, NULL);
}

static hist_access *access_of(const hist_op *op, uint16_t cell)
{
    for (uint16_t i = 0; i < op->count; i++) {
        hist_access *a = &me->slot->accesses[op->first + i];

        if (a->cell == cell)
            return a;
    }
    return NULL;
}

static void note_commit(void)
{
    hist_op *op = me->op;

    for (uint16_t i = 0; i < op->count; i++) {
        hist_access *a = &me->slot->accesses[op->first + i];

        if ((a->flags & HIST_WRITE) && a->cell < CELLS)
            a->pred = atomic_exchange(&sh->last[a->cell], op->id);
    }
    op->committed = 1;
}

static void hook_store64(const char *what, _Atomic uint64_t *p, uint64_t value)
{
    bool commits = me && me->op && strcmp(what, "row.committed") == 0;

    if (strcmp(what, "row.clear") == 0)
        die_at(DIE_CLEAR);
    if (commits) {
        (void)pthread_rwlock_rdlock(&g_commit);
        note_commit();
    }
    azri_sys_posix.store64(what, p, value);
    if (commits) {
        (void)pthread_rwlock_unlock(&g_commit);
        die_at(DIE_COMMITTED);
        linger(sh->linger_one_in);
    }
    if (strcmp(what, "row.active") == 0)
        die_at(DIE_ACTIVE);
    perturb();
}

static void hook_bump64(const char *what, _Atomic uint64_t *p)
{
    azri_sys_posix.bump64(what, p);
    if (strcmp(what, "counter") == 0 || strcmp(what, "meta") == 0)
        die_at(DIE_BUMP);
    perturb();
}

static void hook_put(const char *what, void *dst, const void *src, size_t n)
{
    azri_sys_posix.put(what, dst, src, n);
    if (strcmp(what, "row.what") == 0)
        die_at(DIE_STAGED);
}

static int hook_renameat2(int from_dir, const char *from, int to_dir,
                          const char *to, unsigned flags)
{
    int rc;

    if (me && me->op && me->op->committed)
        die_at(DIE_BEFORE_RENAME);
    rc = azri_sys_posix.renameat2(from_dir, from, to_dir, to, flags);
    if (me && me->op && me->op->committed)
        die_at(DIE_AFTER_RENAME);
    perturb();
    return rc;
}

static int hook_openat(int dir, const char *path, int flags, mode_t mode)
{
    size_t n = strlen(path);

    perturb();
    if (n > 2 && strcmp(path + n - 2, ".r") == 0 && !(flags & O_CREAT))
        linger(sh->linger_one_in);
    return azri_sys_posix.openat(dir, path, flags, mode);
}

static int hook_lock(int fd, int cmd, struct flock *fl)
{
    int rc = azri_sys_posix.lock(fd, cmd, fl);

    perturb();
    return rc;
}

static void install_hooks(void)
{
    stress_sys = azri_sys_posix;
    stress_sys.store64 = hook_store64;
    stress_sys.bump64 = hook_bump64;
    stress_sys.put = hook_put;
    stress_sys.renameat2 = hook_renameat2;
    stress_sys.openat = hook_openat;
    stress_sys.lock = hook_lock;
    stress_hook();
}

/* ----------------------------------------------------------------- values --- */

static uint64_t element(uint64_t id, unsigned cell, unsigned k)
{
    uint64_t x = id ^ (uint64_t)cell << 48 ^ (uint64_t)k << 58;

    if (id == 0 || k == 0)
        return id;
    x *= UINT64_C(0xBF58476D1CE4E5B9);
    return x ^ x >> 31;
}

static void encode(uint64_t *v, uint64_t id, unsigned cell, unsigned n)
{
    for (unsigned k = 0; k < n; k++)
        v[k] = element(id, cell, k);
}

static uint64_t decode(const uint64_t *v, unsigned cell, unsigned n, bool *torn)
{
    *torn = false;
    for (unsigned k = 1; k < n; k++)
        *torn |= v[k] != element(v[0], cell, k);
    return v[0];
}

/* A box of cells: rows and chunk columns. */
typedef struct box {
    unsigned row, rows, col, cols;
} box;

static box random_box(void)
{
    box b;

    b.row = (unsigned)stress_below(&me->seed, GRID_ROWS);
    b.col = (unsigned)stress_below(&me->seed, GRID_COLS);
    if (stress_below(&me->seed, 6) == 0) {
        b.rows = b.cols = 1;
        return b;
    }
    b.rows = 1 + (unsigned)stress_below(&me->seed, 4);
    b.cols = 1 + (unsigned)stress_below(&me->seed, 3);
    if (b.row + b.rows > GRID_ROWS)
        b.rows = GRID_ROWS - b.row;
    if (b.col + b.cols > GRID_COLS)
        b.cols = GRID_COLS - b.col;
    return b;
}

static azr_selection selection_of(const box *b)
{
    int64_t start[2] = {b->row, b->col * CELL_WIDTH};
    int64_t count[2] = {b->rows, b->cols * CELL_WIDTH};

    return azr_select_box(2, start, count, NULL);
}

static size_t box_nbytes(const box *b)
{
    return (size_t)b->rows * b->cols * CELL_WIDTH * sizeof(uint64_t);
}

static uint64_t *cell_at(uint64_t *values, const box *b, unsigned r, unsigned c)
{
    return values + ((size_t)r * b->cols + c) * CELL_WIDTH;
}

static unsigned cell_number(const box *b, unsigned r, unsigned c)
{
    return (b->row + r) * GRID_COLS + b->col + c;
}

/* -------------------------------------------------------------------- log --- */

static hist_access *add_access(uint16_t cell)
{
    hist_op *op = me->op;
    hist_access *a = &me->slot->accesses[op->first + op->count++];

    *a = (hist_access){.cell = cell};
    atomic_store(&me->slot->access_count, op->first + op->count);
    return a;
}

static void note_read(uint16_t cell, uint64_t saw, bool torn)
{
    hist_access *a = access_of(me->op, cell);

    if (a && (a->flags & HIST_WRITE)) { /* a transaction's own write */
        if (saw != me->op->id || torn)
            a->flags |= HIST_TORN;
        return;
    }
    if (a) { /* read twice: must not have moved if it commits */
        if (a->saw != saw || torn)
            a->flags |= HIST_TORN;
        return;
    }
    a = add_access(cell);
    a->flags = (uint16_t)(HIST_READ | (torn ? HIST_TORN : 0));
    a->saw = saw;
}

static void note_write(uint16_t cell)
{
    hist_access *a = access_of(me->op, cell);

    if (!a)
        a = add_access(cell);
    a->flags |= HIST_WRITE;
}

static void note_box(const box *b, uint64_t *values)
{
    for (unsigned r = 0; r < b->rows; r++) {
        for (unsigned c = 0; c < b->cols; c++) {
            unsigned cell = cell_number(b, r, c);
            bool torn;
            uint64_t id =
                decode(cell_at(values, b, r, c), cell, CELL_WIDTH, &torn);

            note_read((uint16_t)cell, id, torn);
        }
    }
}

static void fill_box(const box *b, uint64_t *values, uint64_t id)
{
    for (unsigned r = 0; r < b->rows; r++) {
        for (unsigned c = 0; c < b->cols; c++) {
            unsigned cell = cell_number(b, r, c);

            encode(cell_at(values, b, r, c), id, cell, CELL_WIDTH);
            if (!(id & HIST_INTERMEDIATE))
                note_write((uint16_t)cell);
        }
    }
}

static void restart_op(void)
{
    me->op->count = 0;
    atomic_store(&me->slot->access_count, me->op->first);
}

/* ------------------------------------------------------------- operations --- */

static int op_read(azr_error *err)
{
    box b = random_box();
    azr_selection sel = selection_of(&b);
    int rc = azr_array_read(me->a, &sel, me->values, sizeof me->values, err);

    if (rc == AZR_OK)
        note_box(&b, me->values);
    return rc;
}

static int op_blind(azr_error *err)
{
    box b = random_box();
    azr_selection sel = selection_of(&b);

    fill_box(&b, me->values, me->op->id);
    return azr_array_write(me->a, &sel, me->values, box_nbytes(&b), err);
}

static int change(void *values, size_t nbytes, void *arg)
{
    const box *b = arg;
    uint64_t *v = values;

    if (nbytes != box_nbytes(b))
        return -1;
    restart_op();
    note_box(b, v);
    fill_box(b, v, me->op->id);
    return 0;
}

static int op_update(azr_error *err)
{
    box b = random_box();
    azr_selection sel = selection_of(&b);

    return azr_array_update(me->a, &sel, change, &b, err);
}

static azr_selection tail_selection(unsigned rows)
{
    azr_selection sel = azr_select_all(2);

    sel.kind = AZR_SELECT_SLICES;
    sel.start[0] = -(int64_t)rows;
    sel.count[0] = AZR_NO_STOP;
    sel.start[1] = 0;
    sel.count[1] = AZR_NO_STOP;
    sel.step[0] = sel.step[1] = 1;
    return sel;
}

static unsigned rows_of(uint64_t id)
{
    uint64_t number = (id >> HIST_SEQ_BITS) - 1;
    uint64_t seq = (id & ((UINT64_C(1) << HIST_SEQ_BITS) - 1)) - 1;

    if (number >= HIST_SLOTS || !sh->slots[number].ops ||
        seq >= atomic_load(&sh->slots[number].op_count))
        return 0;
    return sh->slots[number].ops[seq].rows;
}

/* The last rows: the last append must be there with all of its rows. */
static void note_tail(const uint64_t *values, unsigned rows)
{
    bool torn, any = false;
    uint64_t last = decode(values + (size_t)(rows - 1) * ROW_WIDTH, TAIL_CELL,
                           ROW_WIDTH, &torn);
    unsigned run = 0;

    any |= torn;
    for (unsigned r = rows; r-- > 0;) {
        if (decode(values + (size_t)r * ROW_WIDTH, TAIL_CELL, ROW_WIDTH,
                   &torn) != last)
            break;
        any |= torn;
        run++;
    }
    if (run < rows && run != rows_of(last))
        any = true;
    note_read(DOC, last, any);
}

static int op_tail(azr_error *err)
{
    unsigned rows = 1 + (unsigned)stress_below(&me->seed, SEED_ROWS);
    azr_selection sel = tail_selection(rows);
    int rc = azr_array_read(me->a, &sel, me->values, sizeof me->values, err);

    if (rc == AZR_OK)
        note_tail(me->values, rows);
    return rc;
}

static int txn_read(azr_txn *t, const box *b, azr_error *err)
{
    azr_selection sel = selection_of(b);
    int rc = azr_txn_read(t, me->a, &sel, me->values, sizeof me->values, err);

    if (rc == AZR_OK)
        note_box(b, me->values);
    return rc;
}

static int txn_write(azr_txn *t, const box *b, uint64_t id, azr_error *err)
{
    azr_selection sel = selection_of(b);

    fill_box(b, me->values, id);
    return azr_txn_write(t, me->a, &sel, me->values, box_nbytes(b), err);
}

static int txn_tail(azr_txn *t, azr_error *err)
{
    azr_selection sel = tail_selection(SEED_ROWS);
    int rc = azr_txn_read(t, me->a, &sel, me->values, sizeof me->values, err);

    if (rc == AZR_OK)
        note_tail(me->values, SEED_ROWS);
    return rc;
}

typedef struct body {
    box read, other, write;
    bool reads, reads_other, writes, early, again, tail, gives_up;
} body;

#define GIVEN_UP (-77)

static int run_body(azr_txn *t, void *arg, azr_error *err)
{
    const body *b = arg;
    int rc = AZR_OK;

    restart_op();
    if (b->reads)
        rc = txn_read(t, &b->read, err);
    if (rc == AZR_OK && b->tail)
        rc = txn_tail(t, err);
    if (rc == AZR_OK && b->writes && b->early)
        rc = txn_write(t, &b->write, me->op->id | HIST_INTERMEDIATE, err);
    if (rc == AZR_OK && b->reads_other)
        rc = txn_read(t, &b->other, err);
    if (rc == AZR_OK && b->writes)
        rc = txn_write(t, &b->write, me->op->id, err);
    if (rc == AZR_OK && b->again)
        rc = txn_read(t, &b->read, err);
    if (rc == AZR_OK && b->gives_up)
        rc = GIVEN_UP;
    return rc;
}

static bool overlap(const box *a, const box *b)
{
    return a->row < b->row + b->rows && b->row < a->row + a->rows &&
           a->col < b->col + b->cols && b->col < a->col + a->cols;
}

static int op_txn(bool gives_up, azr_error *err)
{
    azr_txn_options options = AZR_TXN_OPTIONS_INIT;
    uint64_t dice = stress_random(&me->seed) >> 32;
    body b = {
        .read = random_box(),
        .other = random_box(),
        .write = random_box(),
        .reads = (dice & 7) != 0,
        .reads_other = (dice & 24) == 0,
        .writes = gives_up || (dice & 96) != 0,
        .early = (dice & 384) == 0,
        .again = (dice & 1536) == 0,
        .tail = (dice & 0x7800) == 0,
        .gives_up = gives_up,
    };
    int rc;

    b.reads |= !b.writes;
    if (b.reads_other && b.early && overlap(&b.other, &b.write))
        b.early = false; /* it would see its own intermediate value */
    me->op->kind = gives_up   ? HIST_KIND_ABORT
                   : b.writes ? HIST_KIND_TXN
                              : HIST_KIND_READ;
    rc = azr_txn_run(run_body, &b, &options, err);
    return gives_up && rc == GIVEN_UP ? AZR_OK : rc;
}

static int op_append(azr_error *err)
{
    unsigned rows = 1 + (unsigned)stress_below(&me->seed, MOST_ROWS);
    int64_t offset = -1;
    int rc;

    me->op->rows = (uint16_t)rows;
    note_write(DOC);
    for (unsigned r = 0; r < rows; r++)
        encode(me->values + (size_t)r * ROW_WIDTH, me->op->id, TAIL_CELL,
               ROW_WIDTH);
    rc = azr_array_append(me->a, 0, rows, me->values,
                          (size_t)rows * ROW_WIDTH * sizeof(uint64_t), &offset,
                          err);
    if (rc == AZR_OK)
        me->op->offset = offset;
    return rc;
}

static int op_length(azr_error *err)
{
    azr_array_info info = {.struct_size = sizeof info};
    int rc = azr_array_info_get(me->a, &info, err);

    if (rc == AZR_OK) {
        note_read(DOC, 0, false);
        me->op->length = info.shape[0];
    }
    return rc;
}

static const struct {
    hist_kind kind;
    unsigned weight;
} mix[] = {
    {HIST_KIND_READ, 32},  {HIST_KIND_BLIND, 20}, {HIST_KIND_UPDATE, 20},
    {HIST_KIND_TXN, 16},   {HIST_KIND_ABORT, 2},  {HIST_KIND_APPEND, 3},
    {HIST_KIND_LENGTH, 7},
};

static hist_kind random_kind(void)
{
    uint64_t at = stress_below(&me->seed, 100);
    size_t i = 0;

    while (at >= mix[i].weight)
        at -= mix[i++].weight;
    return mix[i].kind;
}

static void choose_death(hist_kind kind)
{
    me->death = LIVE;
    if (sh->kill_one_in == 0 || kind == HIST_KIND_READ ||
        kind == HIST_KIND_LENGTH || kind == HIST_KIND_ABORT ||
        stress_below(&me->seed, sh->kill_one_in) != 0)
        return;
    /* one in six before the commit point: undone, not finished */
    me->death =
        stress_below(&me->seed, 6) == 0
            ? (death)(DIE_ACTIVE + stress_below(&me->seed, 2))
            : (death)(DIE_COMMITTED +
                      stress_below(&me->seed, DIE_KINDS - DIE_COMMITTED));
    me->countdown = 0;
    if (me->death == DIE_BUMP || me->death == DIE_BEFORE_RENAME ||
        me->death == DIE_AFTER_RENAME)
        me->countdown = stress_below(&me->seed, 4);
}

static void begin_op(hist_kind kind)
{
    slot *s = me->slot;
    uint64_t seq = atomic_load(&s->op_count);
    hist_op *op = &s->ops[seq];

    *op = (hist_op){
        .id = hist_id(me->number, seq),
        .offset = -1,
        .first = (uint32_t)atomic_load(&s->access_count),
        .kind = (uint8_t)kind,
    };
    choose_death(kind);
    op->start = stress_now_ns();
    atomic_store(&s->op_count, seq + 1);
    me->op = op;
}

static int do_op(hist_kind kind, azr_error *err)
{
    switch (kind) {
    case HIST_KIND_READ:
        return stress_below(&me->seed, 8) == 0 ? op_tail(err) : op_read(err);
    case HIST_KIND_BLIND:
        return op_blind(err);
    case HIST_KIND_UPDATE:
        return op_update(err);
    case HIST_KIND_TXN:
        return op_txn(false, err);
    case HIST_KIND_ABORT:
        return op_txn(true, err);
    case HIST_KIND_APPEND:
        return op_append(err);
    case HIST_KIND_LENGTH:
    default:
        return op_length(err);
    }
}

static uint64_t trouble(const azr_stats *s)
{
    return s->lock_waits + s->row_waits + s->snapshot_retries + s->conflicts;
}

static void add_stats(const azr_stats *a, const azr_stats *b)
{
    atomic_fetch_add(&sh->waits, b->lock_waits - a->lock_waits);
    atomic_fetch_add(&sh->retries, b->snapshot_retries - a->snapshot_retries);
    atomic_fetch_add(&sh->locked_reads, b->locked_reads - a->locked_reads);
    atomic_fetch_add(&sh->row_waits, b->row_waits - a->row_waits);
    atomic_fetch_add(&sh->conflicts, b->conflicts - a->conflicts);
    atomic_fetch_add(&sh->recovered, b->recovered_rows - a->recovered_rows);
    atomic_fetch_add(&sh->through, b->reads_through - a->reads_through);
}

static void one_op(void)
{
    azr_stats before = stress_stats(), after;
    azr_error err = AZR_ERROR_INIT;
    hist_kind kind = random_kind();
    hist_op *op;
    int64_t end;
    int rc;

    begin_op(kind);
    op = me->op;
    rc = do_op(kind, &err);
    end = stress_now_ns();
    me->op = NULL;
    if (rc != AZR_OK) {
        char text[560];

        (void)snprintf(text, sizeof text, "%s: %s", azr_status_name(rc),
                       err.message);
        fail("operation failed", text);
        return;
    }
    op->end = end;
    if (!g_alone)
        return;
    after = stress_stats();
    atomic_fetch_add(&sh->alone_ops, 1);
    if (trouble(&after) != trouble(&before)) {
        op->waited = 1;
        atomic_fetch_add(&sh->alone_waited, 1);
    }
    add_stats(&before, &after);
}

static void *work(void *arg)
{
    worker *w = arg;

    me = w;
    while (!atomic_load(&sh->failed) &&
           atomic_fetch_add(&sh->claimed, 1) < sh->total)
        one_op();
    w->slot->seed = w->seed;
    me = NULL;
    return NULL;
}

static void init_worker(worker *w, unsigned number, azr_array *a)
{
    memset(w, 0, sizeof *w);
    w->slot = &sh->slots[number];
    w->number = number;
    w->a = a;
    /* each life of a slot goes on with other numbers */
    w->seed = w->slot->seed ^ atomic_load(&w->slot->op_count) * 2654435761u;
    if (w->seed == 0)
        w->seed = 1;
}

static void run_group(void *arg)
{
    const group *g = arg;
    worker workers[8];
    pthread_t threads[8];
    azr_array *a;

    install_hooks();
    g_alone = g->threads == 1;
    a = stress_open(sh->path, AZR_OPEN_WRITE | g->flags, 60000);
    for (unsigned i = 0; i < g->threads; i++)
        init_worker(&workers[i], g->first + i, a);
    if (g_alone) {
        (void)work(&workers[0]);
    } else {
        azr_stats before = stress_stats(), after;

        for (unsigned i = 0; i < g->threads; i++)
            CHECK(pthread_create(&threads[i], NULL, work, &workers[i]) == 0,
                  "pthread_create");
        for (unsigned i = 0; i < g->threads; i++)
            (void)pthread_join(threads[i], NULL);
        after = stress_stats();
        add_stats(&before, &after);
    }
    azr_array_close(a);
}

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

/* Appended rows from the beginning on, by slot 0. */
static void seed_tail(void)
{
    worker w;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = stress_open(sh->path, AZR_OPEN_WRITE, 60000);

    init_worker(&w, 0, a);
    me = &w;
    install_hooks();
    for (int i = 0; i < SEED_ROWS; i++) {
        begin_op(HIST_KIND_APPEND);
        w.death = LIVE;
        CHECK_OK(op_append(&err), err);
        w.op->end = stress_now_ns();
    }
    me = NULL;
    azri_sys = &azri_sys_posix;
    azr_array_close(a);
}

static group *group_of(group *groups, size_t n, pid_t pid)
{
    for (size_t i = 0; i < n; i++) {
        if (groups[i].pid == pid)
            return &groups[i];
    }
    return NULL;
}

/* Whoever is killed is begun anew, until the work is done. */
static void run_groups(group *groups, size_t n)
{
    size_t alive = 0;

    for (size_t i = 0; i < n; i++, alive++)
        groups[i].pid = stress_spawn(run_group, &groups[i]);
    while (alive > 0) {
        int status;
        pid_t pid = wait(&status);
        group *g = group_of(groups, n, pid);

        if (!g)
            continue;
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
            g->pid = stress_spawn(run_group, g);
            continue;
        }
        alive--;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            char text[64];

            (void)snprintf(text, sizeof text, "status %x", status);
            fail("a worker ended badly", text);
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
    fail("verify", f->text);
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
        azr_selection sel = tail_selection((unsigned)h->tail_rows);

        CHECK_OK(azr_array_read(a, &sel, values,
                                h->tail_rows * ROW_WIDTH * sizeof *values,
                                &err),
                 err);
    }
    for (size_t i = 0; i < h->tail_rows; i++)
        h->tail[i] = decode(values + i * ROW_WIDTH, TAIL_CELL, ROW_WIDTH,
                            &h->tail_torn[i]);
    free(values);
    CHECK_OK(azr_array_verify(a, on_finding, NULL, NULL, &err), err);
    CHECK_OK(azr_array_status(a, on_row, &rows, &err), err);
    if (rows != 0)
        fail("rows are left", "after opening for writing");
    azr_array_close(a);
}

/* ---------------------------------------------------------------- verdict --- */

static char g_text[20000];

static int check_plants(const history *h, uint64_t seed)
{
    int missed = 0;

    for (size_t i = 0; i < hist_plant_count; i++) {
        const hist_plant *p = &hist_plants[i];
        uint64_t s = seed + i + 1;
        bool placed = false;
        history copy;
        hist_verdict v;

        CHECK(hist_copy(&copy, h), "no memory for a copy");
        for (int k = 0; k < 50 && !placed; k++) /* places are drawn by lot */
            placed = p->plant(&copy, &s);
        if (!placed) {
            (void)printf("plant '%s': no place for it\n", p->name);
            missed++;
        } else {
            v = hist_check(&copy, g_text, sizeof g_text);
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
    int bad = 0;

    if (h->op_count < sh->total) {
        (void)printf("void: %zu operations of %" PRIu64 "\n", h->op_count,
                     sh->total);
        bad++;
    }
    if (waited * 5 < ops || ops == 0) {
        (void)printf("void: %" PRIu64 " of %" PRIu64 " waited\n", waited, ops);
        bad++;
    }
    if (sh->kill_one_in != 0 && killed * 100 < h->op_count) {
        (void)printf("void: %" PRIu64 " of %zu finished by others\n", killed,
                     h->op_count);
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

    sh = stress_shared(sizeof *sh);
    sh->kill_one_in = 20;
    sh->perturb = true;
    sh->linger_one_in = linger_one_in;
    setup(dir, total, seed);
    give_memory(SLOTS);
    seed_tail();
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

static int run_checked(const stress_args *args)
{
    int64_t begun = stress_now_ns();
    uint64_t total = 10000u * (uint64_t)args->scale;
    char dir[128];
    history h;
    hist_verdict v;
    int bad = 0, missed;

    stress_scratch(dir, sizeof dir, true);
    v = run(dir, total, args->seed, 16, &h);
    if (v != HIST_FINE || atomic_load(&sh->failed)) {
        (void)printf("history: seed %" PRIu64 ": %s\n%s%s\n", args->seed,
                     hist_verdict_name(v), sh->message,
                     v == HIST_FINE ? "" : g_text);
        (void)printf("kept: %s\n", dir);
        return 1;
    }
    report(&h, args->seed, begun);
    bad = check_gates(&h);
    missed = check_plants(&h, args->seed);
    (void)printf("history: %zu of %zu planted anomalies found\n",
                 hist_plant_count - (size_t)missed, hist_plant_count);
    hist_dispose(&h);
    stress_cleanup(dir);
    return bad + missed > 0;
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
    return run_checked(&args);
}
