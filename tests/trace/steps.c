/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/steps.h"

#include "crash/coverage.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNKNOWN 0xFF

static board *g_board;
static bool g_on;
static uint8_t g_me;
static unsigned g_calls;
static bool g_waits, g_late, g_has_row, g_done;
static bool g_read_lock;     /* a read holds the chunks */
static bool g_grows, g_room; /* META is ours for more rows; they are written */
static int g_finishing = -1; /* row of a dead owner whose SLOT byte is ours */
static int g_missed = -1;    /* key of a rename that found nothing */
static const azri_state *g_state;

/* What is watched: inherited by all. */
static int g_dir = -1;
static uint8_t *g_map;
static uint16_t g_stripe[TRACE_KEYS];
static uint64_t g_at_first[TRACE_KEYS];

/* --------------------------------------------------------------- pictures --- */

static void outside(const char *why)
{
    if (g_board->outside[0] == '\0')
        (void)snprintf(g_board->outside, sizeof g_board->outside, "%s", why);
}

unsigned steps_below(board *b, unsigned n)
{
    uint64_t x = b->seed += UINT64_C(0x9E3779B97F4A7C15);

    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    x ^= x >> 31;
    return n > 0 ? (unsigned)((x >> 16) % n) : 0;
}

static _Atomic uint64_t *word_at(uint32_t row)
{
    void *p = g_map + AZRI_WORDS_AT;

    return (_Atomic uint64_t *)p + row;
}

static _Atomic uint64_t *counter_at(unsigned key)
{
    void *p = g_map + AZRI_COUNTERS_AT;

    return (_Atomic uint64_t *)p + g_stripe[key];
}

static _Atomic uint64_t *rows_of_map(void)
{
    void *p = g_map + AZRI_CHANGING_AT;
    azri_changing *c = p;

    return &c->rows;
}

static uint8_t txn_of(uint64_t id)
{
    for (uint8_t t = 1; t <= TRACE_WRITERS; t++) {
        if (g_board->ids[t] == id)
            return t;
    }
    outside("a row of a transaction that is none of ours");
    return UNKNOWN;
}

static bool is_of_reader(uint64_t id)
{
    return id != 0 && (id == g_board->ids[TRACE_READER] ||
                       id == g_board->ids[TRACE_READER_2]);
}

static uint8_t file_of(uint64_t ino)
{
    for (unsigned i = 0; i < g_board->file_count; i++) {
        if (g_board->files[i].ino == ino)
            return g_board->files[i].txn;
    }
    return UNKNOWN;
}

/* The number of a file that is gone may be used again. */
static void note_file(uint64_t ino, uint8_t txn)
{
    unsigned i = 0;

    while (i < g_board->file_count && g_board->files[i].ino != ino)
        i++;
    if (i == sizeof g_board->files / sizeof g_board->files[0]) {
        outside("too many files");
        return;
    }
    if (i == g_board->file_count)
        g_board->file_count++;
    g_board->files[i].ino = ino;
    g_board->files[i].txn = txn;
}

static uint8_t file_under(unsigned key)
{
    char name[8];
    struct stat st;

    (void)snprintf(name, sizeof name, "c/%u", key);
    return fstatat(g_dir, name, &st, 0) == 0 ? file_of(st.st_ino)
                                             : TRACE_ABSENT;
}

static uint8_t state_of(uint64_t word)
{
    switch (azri_word_state(word)) {
    case AZRI_FREE:
        return 0;
    case AZRI_ACTIVE:
        return 1;
    case AZRI_COMMITTED:
        return 2;
    case AZRI_SEALED:
        return 3;
    default:
        outside("a row is neither FREE nor ACTIVE nor SEALED nor COMMITTED");
        return UNKNOWN;
    }
}

static picture look(void)
{
    picture p;
    uint64_t rows;

    for (uint32_t i = 0; i < 2 * AZRI_ROWS_AT_FIRST - g_board->busy; i++) {
        uint64_t word = atomic_load(word_at(g_board->busy + i));

        if (is_of_reader(azri_word_id(word)))
            word = 0; /* nobody's business but his who waits there */
        if (i >= TRACE_ROWS && azri_word_state(word) != AZRI_FREE)
            outside("more rows than the model has");
        if (i >= TRACE_ROWS)
            continue;
        p.state[i] = state_of(word);
        p.txn[i] = p.state[i] == 0 ? 0 : txn_of(azri_word_id(word));
    }
    for (unsigned k = 0; k < TRACE_KEYS; k++) {
        p.counter[k] = (uint8_t)(atomic_load(counter_at(k)) - g_at_first[k]);
        p.key[k] = file_under(k);
    }
    rows = atomic_load(rows_of_map()) - g_board->busy;
    p.rows = (uint8_t)(rows < TRACE_ROWS ? rows : TRACE_ROWS);
    return p;
}

static void emit(const char *label, unsigned arg, unsigned value,
                 const picture *before)
{
    event *e = &g_board->events[g_board->count];

    if (g_board->count == TRACE_EVENTS) {
        outside("too many steps");
        return;
    }
    g_board->count++;
    if (strstr(label, "commit") || strstr(label, "bump") ||
        strstr(label, "clear"))
        g_board->moved = true;
    e->label = label;
    e->who = g_me;
    e->arg = (uint8_t)arg;
    e->value = (uint8_t)value;
    e->before = *before;
}

void steps_last(board *b)
{
    picture p;

    g_board = b;
    g_me = 0;
    p = look();
    emit("end", 0, 0, &p);
}

void steps_tidy(board *b)
{
    for (unsigned i = 0; i < b->count; i++) {
        const event *e = &b->events[i];
        unsigned k = i + 1;

        while (k < b->count && b->events[k].who != e->who)
            k++;
        if (k >= b->count || strcmp(e->label, "F-slot") != 0 ||
            strcmp(b->events[k].label, "F-rest") != 0)
            continue;
        memmove(&b->events[k], &b->events[k + 1],
                (b->count - k - 1) * sizeof *e);
        memmove(&b->events[i], &b->events[i + 1],
                (b->count - i - 2) * sizeof *e);
        b->count -= 2;
        i--;
    }
}

/* ------------------------------------------------------------------ turns --- */

uint8_t steps_anyone(board *b)
{
    uint8_t there[TRACE_PROCS], who;
    unsigned n = 0;

    for (uint8_t p = 1; p < TRACE_PROCS; p++) {
        if (b->there[p])
            there[n++] = p;
    }
    if (n == 0)
        return 0;
    who = there[steps_below(b, n)];
    for (int k = 0; k < 4 && b->chasing && who == b->chased && !b->moved; k++)
        who = there[steps_below(b, n)];
    if (who == b->chased) {
        b->moved = false;
        b->runs = steps_below(b, 3);
    }
    return who;
}

static void wait_for(sem_t *s)
{
    while (sem_wait(s) != 0)
        ;
}

static void hand_on(void)
{
    uint8_t next = g_me;

    if (g_me == g_board->chased && g_board->runs > 0) {
        g_board->runs--;
        return;
    }
    if (g_me == g_board->chased || steps_below(g_board, 10) >= g_board->stays)
        next = steps_anyone(g_board);
    if (next == g_me)
        return;
    (void)sem_post(&g_board->go[next]);
    wait_for(&g_board->go[g_me]);
}

/* Whoever waits for us has what we hold as soon as our parent has seen us dead. */
static void die(void)
{
    picture p = look();
    bool holds = g_me <= TRACE_WRITERS ? !g_done : g_finishing >= 0;

    if (holds)
        emit("die", 0, 0, &p);
    coverage_write();
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

/* The right to make a call. False: calls are not watched. */
static bool enter(void)
{
    if (!g_on)
        return false;
    if (g_board->loose)
        wait_for(&g_board->call);
    else
        hand_on();
    g_board->calls++;
    if (!g_waits && g_late == g_board->parts[g_me].late &&
        ++g_calls == g_board->parts[g_me].dies)
        die();
    return true;
}

static void leave(void)
{
    int saved = errno;

    if (g_board->loose)
        (void)sem_post(&g_board->call);
    errno = saved;
}

void steps_pause(void)
{
    if (enter())
        leave();
}

void steps_wait(unsigned calls)
{
    g_waits = true;
    while (g_board->calls < calls)
        steps_pause();
    g_waits = false;
}

void steps_start(void)
{
    picture p;

    if (!enter())
        return;
    p = look();
    emit("begin", 0, 0, &p);
    g_board->chasing |= g_me == g_board->chased;
    leave();
}

void steps_read(uint8_t first, uint8_t second)
{
    picture p;

    if (!enter())
        return;
    p = look();
    emit("read", 0, first + 8u * second, &p);
    leave();
}

/* ------------------------------------------------------------------ names --- */

/* Of a chunk: its number; -1: another file. */
static int key_of(const char *path)
{
    for (int k = 0; k < TRACE_KEYS; k++) {
        if (path[0] == 'c' && path[1] == '/' && path[2] == '0' + k &&
            path[3] == '\0')
            return k;
    }
    return -1;
}

/* Of a staged object: its key and transaction; false: another file. */
static bool staged_of(const char *path, unsigned *key, uint8_t *txn)
{
    static const char below[] = ".azr/tx/";
    unsigned set, n;
    uint64_t id;

    if (strncmp(path, below, strlen(below)) == 0)
        path += strlen(below);
    if (!azri_staged_id(&id, path))
        return false;
    path = azri_staged_base(path) + 15;
    if (path[0] < '0' || path[0] > '9' || path[1] != '\0')
        return false;
    n = (unsigned)(path[0] - '0');
    *txn = txn_of(id);
    if (*txn == UNKNOWN)
        return false;
    set = g_board->parts[*txn].set;
    for (*key = 0; *key < TRACE_KEYS; ++*key) {
        if ((set >> *key & 1) && n-- == 0)
            return true;
    }
    outside("a staged object of no key");
    return false;
}

static bool is_reader(void)
{
    return g_me == TRACE_READER || g_me == TRACE_READER_2;
}

/* ------------------------------------------------------------------ calls --- */

static void opened(int fd, const char *path, int flags, const picture *before)
{
    int key = key_of(path);
    struct stat st = {.st_ino = 0};
    unsigned at;
    uint8_t txn;

    if (fd >= 0)
        (void)fstat(fd, &st);
    if ((flags & O_PATH) == O_PATH)
        return; /* what is replaced is kept, not read */
    if (key >= 0 && g_me != TRACE_JANITOR)
        emit(is_reader() ? "R2-key" : "W3-read", (unsigned)key,
             fd >= 0 ? file_of(st.st_ino) : TRACE_ABSENT, before);
    if (key >= 0 || !staged_of(path, &at, &txn))
        return;
    if (is_reader())
        emit("R2-staged", at, fd >= 0, before);
    else if (fd >= 0 && (flags & O_CREAT) && g_me == txn) {
        note_file(st.st_ino, g_me);
        g_board->staged[g_me] |= (uint8_t)(1u << at);
    }
}

static int call_openat(int dir, const char *path, int flags, mode_t mode)
{
    bool watched = enter();
    picture before;
    int fd, saved;

    if (!watched)
        return azri_sys_posix.openat(dir, path, flags, mode);
    before = look();
    fd = azri_sys_posix.openat(dir, path, flags, mode);
    saved = errno;
    opened(fd, path, flags, &before);
    leave();
    errno = saved;
    return fd;
}

static int call_renameat2(int from_dir, const char *from, int to_dir,
                          const char *to, unsigned flags)
{
    bool watched = enter();
    picture before;
    uint8_t txn;
    unsigned at;
    int rc, saved;

    if (!watched)
        return azri_sys_posix.renameat2(from_dir, from, to_dir, to, flags);
    before = look();
    rc = azri_sys_posix.renameat2(from_dir, from, to_dir, to, flags);
    saved = errno;
    if (!staged_of(from, &at, &txn) || key_of(to) != (int)at)
        outside("another rename");
    else if (rc == 0 || g_missed != (int)at) /* it is tried twice */
        emit(g_finishing >= 0 ? "F-rename" : "W7-rename", at, rc == 0, &before);
    g_missed = rc == 0 ? -1 : (int)at;
    leave();
    errno = saved;
    return rc;
}

static void locked(const struct flock *fl, const picture *before)
{
    uint64_t first = (uint64_t)fl->l_start;
    uint64_t last = first + (uint64_t)fl->l_len - 1;
    uint64_t row = first - AZRI_LOCK_SLOT - g_board->busy;

    if (first == AZRI_LOCK_META && fl->l_type == F_WRLCK) {
        g_grows = true;
        emit("T-meta", 0, 0, before);
        if (is_reader())
            outside("a reader makes more rows");
    } else if (first == AZRI_LOCK_META) {
        emit(is_reader() ? "R4-meta" : "W1-meta", 0, 1, before);
    }
    if (row < TRACE_ROWS && before->state[row] != 0 && is_reader())
        outside("a reader finishes a row");
    else if (row < TRACE_ROWS && before->state[row] != 0) {
        g_finishing = (int)row;
        g_missed = -1;
        g_late = true;
        emit("F-slot", (unsigned)row, 0, before);
    }
    for (uint64_t k = 0; k < TRACE_KEYS; k++) {
        uint64_t w = azri_w_offset(g_state, &k);

        if (first > w || w > last)
            continue;
        g_read_lock = is_reader();
        emit(g_read_lock ? "R4-lock" : "W1-lock", (unsigned)k,
             fl->l_type != F_WRLCK, before);
    }
}

static void unlocked(const struct flock *fl, const picture *before)
{
    uint64_t first = (uint64_t)fl->l_start;
    uint64_t row = first - AZRI_LOCK_SLOT - g_board->busy;

    if (first == AZRI_LOCK_META && g_grows) {
        emit("T-rest", 0, 0, before);
        g_grows = g_room = false;
    }
    if (first == AZRI_LOCK_BASE && g_has_row && !is_reader()) {
        emit("W8-unlock", 0, 0, before);
        g_done = true;
    }
    if (g_read_lock && first == AZRI_LOCK_BASE)
        emit("R4-unlock", 0, 0, before);
    else if (g_read_lock)
        outside("a read under lock begins anew");
    g_read_lock = false;
    if (g_finishing >= 0 && row == (uint64_t)g_finishing) {
        emit("F-rest", (unsigned)row, 0, before);
        g_finishing = -1;
    }
}

static int call_lock(int fd, int cmd, struct flock *fl)
{
    bool watched = enter();
    picture before;
    int rc, saved;

    if (!watched)
        return azri_sys_posix.lock(fd, cmd, fl);
    before = look();
    rc = azri_sys_posix.lock(fd, cmd, fl);
    saved = errno;
    if (rc == 0 && cmd == F_OFD_SETLK && fl->l_type == F_UNLCK)
        unlocked(fl, &before);
    else if (rc == 0 && cmd == F_OFD_SETLK)
        locked(fl, &before);
    leave();
    errno = saved;
    return rc;
}

/* Of the words of rows; what else is stored is courtesy. */
static void stored(const char *what, uint32_t row, const picture *before)
{
    static const struct {
        const char *what, *label;
    } words[] = {
        {"row.active", "W1-row"},        {"row.sealed", "W5-seal"},
        {"row.committed", "W5-commit"},  {"row.clear", "W8-clear"},
        {"recovery.commit", "F-commit"}, {"recovery.clear", "F-clear"},
    };

    if (is_reader() || strcmp(what, "recovery.seal") == 0) /* as it was */
        return;

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(what, words[i].what) == 0) {
            g_late |= i == 1 || i == 2;
            emit(words[i].label, row, 0, before);
            return;
        }
    }
    outside(what);
}

static void call_store64(const char *what, _Atomic uint64_t *p, uint64_t value)
{
    ptrdiff_t row = p - azri_state_word(g_state, 0);
    bool is_word = row >= 0 && row < (ptrdiff_t)AZRI_WORDS;
    picture before;

    if (!enter()) {
        azri_sys_posix.store64(what, p, value);
        return;
    }
    if (is_word && strcmp(what, "row.active") == 0) {
        g_has_row = true;
        g_board->ids[g_me] = azri_word_id(value);
    }
    before = look();
    if (is_word && strcmp(what, "row.active") == 0 && g_finishing >= 0) {
        emit("F-rest", (unsigned)g_finishing, 0, &before); /* and taken */
        g_finishing = -1;
    }
    azri_sys_posix.store64(what, p, value);
    if (is_word)
        stored(what, (uint32_t)row - g_board->busy, &before);
    else if (strcmp(what, "table.rows") == 0)
        emit("T-number", 0, 0, &before);
    leave();
}

static void call_bump64(const char *what, _Atomic uint64_t *p)
{
    ptrdiff_t stripe = p - azri_state_counter(g_state, 0);
    picture before;

    if (!enter()) {
        azri_sys_posix.bump64(what, p);
        return;
    }
    before = look();
    azri_sys_posix.bump64(what, p);
    for (unsigned k = 0; k < TRACE_KEYS; k++) {
        if (strcmp(what, "counter") == 0 && stripe == g_stripe[k])
            emit(g_finishing >= 0 ? "F-bump" : "W6-bump", k, 0, &before);
    }
    if (strcmp(what, "meta") == 0)
        outside("the document changes");
    leave();
}

static void call_put(const char *what, void *dst, const void *src, size_t n)
{
    picture before;

    if (!enter()) {
        azri_sys_posix.put(what, dst, src, n);
        return;
    }
    before = look();
    azri_sys_posix.put(what, dst, src, n);
    if (strcmp(what, "row.what") == 0)
        emit("W3-stage", g_board->staged[g_me], 0, &before);
    leave();
}

/* Others go on meanwhile: whoever waits looks again at his next turn. */
static int call_futex_wait(_Atomic uint32_t *word, uint32_t value,
                           const struct timespec *timeout)
{
    if (!g_on || g_board->loose)
        return azri_sys_posix.futex_wait(word, value, timeout);
    steps_pause();
    errno = ETIMEDOUT;
    return -1;
}

/* An object that is deleted. */
static int call_unlinkat(int dir, const char *path, int flags)
{
    bool watched = enter();
    int key = key_of(path);
    picture before;
    int rc, saved;

    if (!watched)
        return azri_sys_posix.unlinkat(dir, path, flags);
    before = look();
    rc = azri_sys_posix.unlinkat(dir, path, flags);
    saved = errno;
    if (key >= 0)
        emit(g_finishing >= 0 ? "F-unlink" : "W7-unlink", (unsigned)key,
             rc == 0, &before);
    leave();
    errno = saved;
    return rc;
}

/* Calls that are no steps, at which others may come in between. */
static ssize_t call_pread(int fd, void *buf, size_t n, off_t off)
{
    steps_pause();
    return azri_sys_posix.pread(fd, buf, n, off);
}

static ssize_t call_pwrite(int fd, const void *buf, size_t n, off_t off)
{
    bool watched = enter();
    picture before;
    ssize_t rc;

    if (!watched)
        return azri_sys_posix.pwrite(fd, buf, n, off);
    before = look();
    rc = azri_sys_posix.pwrite(fd, buf, n, off);
    if (g_grows && !g_room)
        emit("T-room", 0, 0, &before);
    g_room |= g_grows;
    leave();
    return rc;
}

static int call_fstatat(int dir, const char *path, struct stat *st, int flags)
{
    steps_pause();
    return azri_sys_posix.fstatat(dir, path, st, flags);
}

static int call_fstat(int fd, struct stat *st)
{
    steps_pause();
    return azri_sys_posix.fstat(fd, st);
}

/* ------------------------------------------------------------------ begin --- */

static struct azri_sys g_table;

bool steps_watch(board *b, const char *path)
{
    int fd;
    void *p;

    g_board = b;
    g_me = 0;
    g_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = openat(g_dir, ".azr/state", O_RDONLY | O_CLOEXEC);
    if (g_dir < 0 || fd < 0)
        return false;
    p = mmap(NULL, AZRI_STATE_MAX, PROT_READ, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (p == MAP_FAILED)
        return false;
    g_map = p;
    for (uint64_t k = 0; k < TRACE_KEYS; k++) {
        char name[8];
        struct stat st;

        g_stripe[k] = azri_stripe(&k, 1);
        g_at_first[k] = atomic_load(counter_at((unsigned)k));
        (void)snprintf(name, sizeof name, "c/%u", (unsigned)k);
        if (fstatat(g_dir, name, &st, 0) != 0)
            return false;
        note_file(st.st_ino, 0);
    }
    return g_stripe[0] != g_stripe[1];
}

void steps_unwatch(void)
{
    if (g_map)
        (void)munmap(g_map, AZRI_STATE_MAX);
    if (g_dir >= 0)
        (void)close(g_dir);
    g_map = NULL;
    g_dir = -1;
}

void steps_begin(board *b, uint8_t who, const azri_state *s)
{
    g_board = b;
    g_me = who;
    g_state = s;
    g_table = azri_sys_posix;
    g_table.openat = call_openat;
    g_table.renameat2 = call_renameat2;
    g_table.lock = call_lock;
    g_table.store64 = call_store64;
    g_table.bump64 = call_bump64;
    g_table.put = call_put;
    g_table.futex_wait = call_futex_wait;
    g_table.pread = call_pread;
    g_table.pwrite = call_pwrite;
    g_table.fstat = call_fstat;
    g_table.fstatat = call_fstatat;
    g_table.unlinkat = call_unlinkat;
    azri_sys = &g_table;
    (void)sem_post(&b->ready);
    wait_for(&b->go[who]);
    g_on = true;
}

void steps_end(void)
{
    g_on = false;
    azri_sys = &azri_sys_posix;
}
