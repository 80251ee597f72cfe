/* SPDX-License-Identifier: Apache-2.0 */
/* A worker of the history test: what it does, what it notes of it, and where it
 * dies. */
#include "history.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

shared *sh;

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

void hist_fail(const char *what, const char *text)
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
    int saved = errno;

    if (!me)
        return;
    if (sh->perturb && stress_below(&me->seed, sh->soak ? 16 : 8) == 0)
        (void)sched_yield();
    nemesis_stop(&sh->nemesis, &me->seed,
                 me->op && me->op->kind == HIST_KIND_READ);
    errno = saved; /* of the call before */
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

/* A fault in its place: -1 and errno. */
static bool fails(bool interrupts)
{
    int error = nemesis_call(interrupts);

    if (error != 0)
        errno = error;
    return error != 0;
}

static int hook_renameat2(int from_dir, const char *from, int to_dir,
                          const char *to, unsigned flags)
{
    int rc = -1;

    if (me && me->op && me->op->committed)
        die_at(DIE_BEFORE_RENAME);
    if (!fails(false))
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
    return fails(true) ? -1 : azri_sys_posix.openat(dir, path, flags, mode);
}

static ssize_t hook_pread(int fd, void *buf, size_t n, off_t off)
{
    if (fails(true))
        return -1;
    return azri_sys_posix.pread(fd, buf, nemesis_share(n), off);
}

static ssize_t hook_pwrite(int fd, const void *buf, size_t n, off_t off)
{
    if (fails(true))
        return -1;
    return azri_sys_posix.pwrite(fd, buf, nemesis_share(n), off);
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
    if (sh->nemesis.kinds != 0) {
        stress_sys.pread = hook_pread;
        stress_sys.pwrite = hook_pwrite;
    }
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

uint64_t hist_decode(const uint64_t *v, unsigned cell, unsigned n, bool *torn)
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
    if (sh->soak && stress_below(&me->seed, 3) == 0) {
        b.rows = 1;
        b.cols = b.col + 1 < GRID_COLS ? 2 : 1;
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
                hist_decode(cell_at(values, b, r, c), cell, CELL_WIDTH, &torn);

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

azr_selection hist_tail_selection(unsigned rows)
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
    uint64_t last = hist_decode(values + (size_t)(rows - 1) * ROW_WIDTH,
                                TAIL_CELL, ROW_WIDTH, &torn);
    unsigned run = 0;

    any |= torn;
    for (unsigned r = rows; r-- > 0;) {
        if (hist_decode(values + (size_t)r * ROW_WIDTH, TAIL_CELL, ROW_WIDTH,
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
    azr_selection sel = hist_tail_selection(rows);
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
    azr_selection sel = hist_tail_selection(SEED_ROWS);
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

typedef struct share {
    hist_kind kind;
    unsigned weight;
} share;

static const share mix[] = {
    {HIST_KIND_READ, 32},  {HIST_KIND_BLIND, 20}, {HIST_KIND_UPDATE, 20},
    {HIST_KIND_TXN, 16},   {HIST_KIND_ABORT, 2},  {HIST_KIND_APPEND, 3},
    {HIST_KIND_LENGTH, 7},
};
/* More of what takes little time. */
static const share quick_mix[] = {
    {HIST_KIND_READ, 47},  {HIST_KIND_BLIND, 16}, {HIST_KIND_UPDATE, 17},
    {HIST_KIND_TXN, 12},   {HIST_KIND_ABORT, 1},  {HIST_KIND_APPEND, 1},
    {HIST_KIND_LENGTH, 6},
};

static hist_kind random_kind(void)
{
    const share *list = sh->soak ? quick_mix : mix;
    uint64_t at = stress_below(&me->seed, 100);
    size_t i = 0;

    while (at >= list[i].weight)
        at -= list[i++].weight;
    return list[i].kind;
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

/* A failure of the nemesis: honest if nothing was committed. */
static bool refused(const hist_op *op, nemesis_kind fault, int rc,
                    const azr_error *err)
{
    if (!nemesis_explains(&sh->nemesis, fault, rc, err))
        return false;
    if (op->committed && rc != AZR_EUNKNOWN)
        hist_fail("an error, but it is committed", err->message);
    atomic_fetch_add(&sh->nemesis.refused, 1);
    return true;
}

static void one_op(void)
{
    azr_stats before = stress_stats(), after;
    azr_error err = AZR_ERROR_INIT;
    hist_kind kind = random_kind();
    nemesis_kind fault;
    hist_op *op;
    int64_t end;
    int rc;

    begin_op(kind);
    op = me->op;
    fault = nemesis_begin(&sh->nemesis, &me->seed, g_alone);
    rc = do_op(kind, &err);
    end = stress_now_ns();
    me->op = NULL;
    nemesis_end(fault);
    if (rc != AZR_OK && refused(op, fault, rc, &err))
        return;
    if (rc != AZR_OK) {
        char text[560];

        (void)snprintf(text, sizeof text, "%s: %s", azr_status_name(rc),
                       err.message);
        hist_fail("operation failed", text);
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

/* Others may have filled the disk. */
static azr_array *open_in_time(unsigned flags)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    struct timespec pause = {0, 1000000};

    o.flags = AZR_OPEN_WRITE | flags;
    o.timeout_ms = 60000;
    for (int tries = 0;; tries++) {
        azr_error err = AZR_ERROR_INIT;
        azr_array *a = NULL;
        int rc = azr_array_open(&a, sh->path, &o, &err);

        if (rc == AZR_OK)
            return a;
        CHECK(nemesis_explains(&sh->nemesis, NEMESIS_NONE, rc, &err) &&
                  tries < 10000,
              "open: %s", err.message);
        (void)nanosleep(&pause, NULL);
    }
}

void hist_run_group(void *arg)
{
    const group *g = arg;
    worker workers[8];
    pthread_t threads[8];
    azr_array *a;

    /* nobody would wake whom the nemesis has stopped */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    install_hooks();
    init_worker(&workers[0], g->first, NULL);
    nemesis_process(&sh->nemesis, &workers[0].seed);
    g_alone = g->threads == 1;
    a = open_in_time(g->flags);
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
void hist_seed_tail(void)
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
