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

#define UNKNOWN    0xFF
#define HELD_MOST  200 /* calls, if nobody comes */
#define HELD_TRIES 3   /* the second follows the first; the third is a retry */

static board *g_board;
static bool g_on;
static uint8_t g_me;
static unsigned g_calls;
static bool g_waits, g_late, g_has_row, g_done;
static bool g_read_lock;     /* a read holds the chunks */
static bool g_grows, g_room; /* META is ours for more rows; they are written */
static unsigned g_held;   /* bits: rows of the dead whose SLOT bytes are ours */
static int g_missed = -1; /* key of a rename that found nothing */
static const azri_state *g_state; /* for the places of locks, in all the same */

/* What is watched: inherited by all. */
static struct {
    int dir;
    ino_t dir_ino, tx_ino, state_ino;
    uint8_t *map;
} g_watch[TRACE_ARRAYS];
static unsigned g_watched;
static uint16_t g_stripe[TRACE_KEYS];
static uint64_t g_at_first[TRACE_KEYS];

/* Where this process has mapped them: each time it opens one, somewhere else. */
static struct {
    const uint8_t *at;
    unsigned array;
} g_maps[32];

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

/* Key k is a chunk of an array. */
static unsigned array_of_key(unsigned key)
{
    return g_watched > 1 ? key : 0;
}

static unsigned chunk_of_key(unsigned key)
{
    return g_watched > 1 ? 0 : key;
}

static _Atomic uint64_t *word_at(unsigned array, uint32_t row)
{
    void *p = g_watch[array].map + AZRI_WORDS_AT;

    return (_Atomic uint64_t *)p + row;
}

static _Atomic uint64_t *counter_at(unsigned key)
{
    void *p = g_watch[array_of_key(key)].map + AZRI_COUNTERS_AT;

    return (_Atomic uint64_t *)p + g_stripe[key];
}

static _Atomic uint64_t *rows_of_map(void)
{
    void *p = g_watch[0].map + AZRI_CHANGING_AT;
    azri_changing *c = p;

    return &c->rows;
}

/* The array whose `state` a pointer leads into, and where; -1: none. */
static int array_at(const void *p, size_t *at_out)
{
    const uint8_t *byte = p;

    for (size_t i = 0; i < sizeof g_maps / sizeof g_maps[0]; i++) {
        if (!g_maps[i].at || byte < g_maps[i].at ||
            byte >= g_maps[i].at + AZRI_STATE_MAX)
            continue;
        *at_out = (size_t)(byte - g_maps[i].at);
        return (int)g_maps[i].array;
    }
    return -1;
}

/* The array that a descriptor is of: its directory, tx/ or `state`. -1: none. */
static int array_of(int fd)
{
    struct stat st;

    for (unsigned a = 0; fstat(fd, &st) == 0 && a < g_watched; a++) {
        if (st.st_ino == g_watch[a].dir_ino || st.st_ino == g_watch[a].tx_ino ||
            st.st_ino == g_watch[a].state_ino)
            return (int)a;
    }
    return -1;
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

    (void)snprintf(name, sizeof name, "c/%u", chunk_of_key(key));
    return fstatat(g_watch[array_of_key(key)].dir, name, &st, 0) == 0
               ? file_of(st.st_ino)
               : TRACE_ABSENT;
}

static char state_of(uint64_t word)
{
    switch (azri_word_state(word)) {
    case AZRI_FREE:
        return 'F';
    case AZRI_ACTIVE:
        return 'A';
    case AZRI_PREPARED:
        return 'P';
    case AZRI_COMMITTED:
        return azri_word_is_told(word) ? 'T' : 'C';
    case AZRI_SEALED:
        return 'S';
    default:
        outside("a row is in no state");
        return '?';
    }
}

static void look_at_rows(picture *p, unsigned array)
{
    for (uint32_t i = 0; i < 2 * AZRI_ROWS_AT_FIRST - g_board->busy; i++) {
        uint64_t word = atomic_load(word_at(array, g_board->busy + i));
        unsigned at = array * TRACE_ROWS + i;

        if (is_of_reader(azri_word_id(word)))
            word = 0; /* nobody's business but his who waits there */
        if (i >= TRACE_ROWS && azri_word_state(word) != AZRI_FREE)
            outside("more rows than the model has");
        if (i >= TRACE_ROWS)
            continue;
        p->state[at] = state_of(word);
        p->txn[at] = p->state[at] == 'F' ? 0 : txn_of(azri_word_id(word));
    }
}

static picture look(void)
{
    picture p;
    uint64_t rows;

    memset(&p, 0, sizeof p);
    for (unsigned a = 0; a < g_watched; a++)
        look_at_rows(&p, a);
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

    if (g_board->count == TRACE_EVENTS(g_board->two)) {
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
    for (unsigned i = 0; i < b->count && !b->two; i++) {
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

static bool is_held(const board *b, uint8_t who)
{
    return who == b->held && b->calls < b->held_until && b->tries < HELD_TRIES;
}

uint8_t steps_anyone(board *b)
{
    uint8_t there[TRACE_PROCS], who;
    unsigned n = 0;

    for (uint8_t p = 1; p < TRACE_PROCS; p++) {
        if (b->there[p] && !is_held(b, p))
            there[n++] = p;
    }
    if (n == 0)
        return b->held != 0 && b->there[b->held] ? b->held : 0;
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
    bool holds = g_me <= TRACE_WRITERS ? !g_done : g_held != 0;

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
    bool meets = g_board->parts[g_me].meets;

    g_waits = true;
    while (g_board->calls < calls ||
           (meets && g_board->held == 0 && g_board->calls < 4 * HELD_MOST))
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

void steps_read(unsigned array, unsigned value)
{
    picture p;

    if (!enter())
        return;
    p = look();
    emit("read", array, value, &p);
    leave();
}

/* ------------------------------------------------------------------ names --- */

/* Of a chunk: its number; -1: another file. */
static int key_of(int dir, const char *path)
{
    int array = path[0] == 'c' && path[1] == '/' ? array_of(dir) : -1;

    for (unsigned k = 0; k < TRACE_KEYS && array >= 0; k++) {
        if ((unsigned)array == array_of_key(k) &&
            path[2] == (char)('0' + chunk_of_key(k)) && path[3] == '\0')
            return (int)k;
    }
    return -1;
}

/* Of a staged object: its key and transaction; false: another file. */
static bool staged_of(int dir, const char *path, unsigned *key, uint8_t *txn)
{
    static const char below[] = ".azr/tx/";
    int array = array_of(dir);
    unsigned set, n;
    uint64_t id;

    if (strncmp(path, below, strlen(below)) == 0)
        path += strlen(below);
    if (array < 0 || !azri_staged_id(&id, path))
        return false;
    path = azri_staged_base(path) + 15;
    if (path[0] < '0' || path[0] > '9' || path[1] != '\0')
        return false;
    n = (unsigned)(path[0] - '0');
    *txn = txn_of(id);
    if (*txn == UNKNOWN)
        return false;
    set = g_board->two ? 1u << array : g_board->parts[*txn].set;
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

static void opened(int fd, int dir, const char *path, int flags,
                   const picture *before)
{
    int key = key_of(dir, path);
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
    if (key >= 0 || !staged_of(dir, path, &at, &txn))
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
    opened(fd, dir, path, flags, &before);
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
    if (!staged_of(from_dir, from, &at, &txn) || key_of(to_dir, to) != (int)at)
        outside("another rename");
    else if (rc == 0 || g_missed != (int)at) /* it is tried twice */
        emit(g_held != 0 ? "F-rename" : "W7-rename", at, rc == 0, &before);
    g_missed = rc == 0 ? -1 : (int)at;
    leave();
    errno = saved;
    return rc;
}

/* META is a step of the model of one array. */
static void locked_meta(const struct flock *fl, const picture *before)
{
    if (fl->l_type == F_WRLCK && (g_board->two || is_reader()))
        outside("somebody makes more rows");
    if (g_board->two)
        return;
    if (fl->l_type == F_WRLCK) {
        g_grows = true;
        emit("T-meta", 0, 0, before);
    } else {
        emit(is_reader() ? "R4-meta" : "W1-meta", 0, 1, before);
    }
}

/* The SLOT byte of a row, with which nothing is done if that is FREE. */
static void locked_slot(unsigned at, const picture *before)
{
    if (before->state[at] == 'F')
        return;
    if (is_reader()) {
        outside("a reader finishes a row");
        return;
    }
    g_held |= 1u << at;
    g_missed = -1;
    g_late = true;
    emit("F-slot", at, 0, before);
    if (!g_board->holds_up)
        return;
    if (g_board->held == 0 && at < TRACE_ROWS && before->state[at] == 'C') {
        g_board->held = g_me;
        g_board->held_until = g_board->calls + HELD_MOST;
    } else if (g_board->held != g_me && at >= TRACE_ROWS) {
        g_board->tries++;
    }
}

static void locked(unsigned array, const struct flock *fl,
                   const picture *before)
{
    uint64_t first = (uint64_t)fl->l_start;
    uint64_t last = first + (uint64_t)fl->l_len - 1;
    uint64_t row = first - AZRI_LOCK_SLOT - g_board->busy;

    if (first == AZRI_LOCK_META)
        locked_meta(fl, before);
    if (row < TRACE_ROWS)
        locked_slot(array * TRACE_ROWS + (unsigned)row, before);
    for (unsigned k = 0; k < TRACE_KEYS; k++) {
        uint64_t chunk = chunk_of_key(k);
        uint64_t w = azri_w_offset(g_state, &chunk);

        if (array_of_key(k) != array || first > w || w > last)
            continue;
        g_read_lock = is_reader();
        emit(g_read_lock ? "R4-lock" : "W1-lock", k, fl->l_type != F_WRLCK,
             before);
    }
}

static void unlocked(unsigned array, const struct flock *fl,
                     const picture *before)
{
    uint64_t first = (uint64_t)fl->l_start;
    uint64_t row = first - AZRI_LOCK_SLOT - g_board->busy;
    unsigned at = array * TRACE_ROWS + (unsigned)row;

    if (first == AZRI_LOCK_META && g_grows) {
        emit("T-rest", 0, 0, before);
        g_grows = g_room = false;
    }
    if (first == AZRI_LOCK_BASE && g_has_row && !is_reader()) {
        emit("W8-unlock", array, 0, before);
        g_done = !g_board->two || array == 1 || g_board->parts[g_me].set == 1;
    }
    if (g_read_lock && first == AZRI_LOCK_BASE)
        emit("R4-unlock", 0, 0, before);
    else if (g_read_lock)
        outside("a read under lock begins anew");
    g_read_lock = false;
    if (row < TRACE_ROWS && (g_held >> at & 1)) {
        emit("F-rest", at, 0, before);
        g_held &= ~(1u << at);
    }
}

static int call_lock(int fd, int cmd, struct flock *fl)
{
    bool watched = enter();
    int array = array_of(fd);
    picture before;
    int rc, saved;

    if (!watched)
        return azri_sys_posix.lock(fd, cmd, fl);
    before = look();
    rc = azri_sys_posix.lock(fd, cmd, fl);
    saved = errno;
    if (rc == 0 && cmd == F_OFD_SETLK && array < 0)
        outside("a lock of another file");
    else if (rc == 0 && cmd == F_OFD_SETLK && fl->l_type == F_UNLCK)
        unlocked((unsigned)array, fl, &before);
    else if (rc == 0 && cmd == F_OFD_SETLK)
        locked((unsigned)array, fl, &before);
    leave();
    errno = saved;
    return rc;
}

/* Of the words of rows; what else is stored is courtesy. */
static void stored(const char *what, unsigned at, const picture *before)
{
    static const struct {
        const char *what, *label;
    } words[] = {
        {"row.active", "W1-row"},         {"row.prepared", "W5-prepare"},
        {"row.sealed", "W5-seal"},        {"row.committed", "W5-commit"},
        {"other.committed", "W5-others"}, {"home.told", "W5-told"},
        {"row.clear", "W8-clear"},        {"recovery.commit", "F-commit"},
        {"recovery.other", "F-tell"},     {"recovery.told", "F-tell"},
        {"recovery.clear", "F-clear"},
    };

    if (is_reader() || strcmp(what, "recovery.seal") == 0) /* as it was */
        return;

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(what, words[i].what) == 0) {
            g_late |= i >= 1 && i <= 3;
            emit(words[i].label, at, 0, before);
            return;
        }
    }
    outside(what);
}

/* The row of a dead owner, finished, becomes ours: its SLOT byte stays. */
static void taken(unsigned at, const picture *before)
{
    if (!(g_held >> at & 1))
        return;
    emit("F-rest", at, 0, before);
    g_held &= ~(1u << at);
}

static void call_store64(const char *what, _Atomic uint64_t *p, uint64_t value)
{
    size_t at = 0;
    int array = array_at(p, &at);
    bool is_word = array >= 0 && at >= AZRI_WORDS_AT &&
                   at < AZRI_WORDS_AT + AZRI_WORDS * sizeof(uint64_t);
    bool is_active = is_word && strcmp(what, "row.active") == 0;
    unsigned row;
    picture before;

    if (!enter()) {
        azri_sys_posix.store64(what, p, value);
        return;
    }
    row = (unsigned)((at - AZRI_WORDS_AT) / sizeof(uint64_t)) - g_board->busy;
    if (is_word)
        row += (unsigned)array * TRACE_ROWS;
    if (is_active) {
        g_has_row = true;
        g_board->ids[g_me] = azri_word_id(value);
    }
    before = look();
    if (is_active && row < TRACE_WORDS)
        taken(row, &before);
    azri_sys_posix.store64(what, p, value);
    if (is_word)
        stored(what, row, &before);
    else if (strcmp(what, "table.rows") == 0)
        emit("T-number", 0, 0, &before);
    leave();
}

static void call_bump64(const char *what, _Atomic uint64_t *p)
{
    size_t at = 0;
    int array = array_at(p, &at);
    picture before;

    if (!enter()) {
        azri_sys_posix.bump64(what, p);
        return;
    }
    before = look();
    azri_sys_posix.bump64(what, p);
    for (unsigned k = 0; k < TRACE_KEYS; k++) {
        if (strcmp(what, "counter") == 0 && array == (int)array_of_key(k) &&
            at == AZRI_COUNTERS_AT + g_stripe[k] * sizeof(uint64_t))
            emit(g_held != 0 ? "F-bump" : "W6-bump", k, 0, &before);
    }
    if (strcmp(what, "meta") == 0)
        outside("the document changes");
    leave();
}

static void call_put(const char *what, void *dst, const void *src, size_t n)
{
    size_t at;
    int array = array_at(dst, &at);
    picture before;

    if (!enter()) {
        azri_sys_posix.put(what, dst, src, n);
        return;
    }
    before = look();
    azri_sys_posix.put(what, dst, src, n);
    if (strcmp(what, "row.what") == 0 && g_board->two)
        emit("W4-what", array == 1, 0, &before);
    else if (strcmp(what, "row.what") == 0)
        emit("W3-stage", g_board->staged[g_me], 0, &before);
    leave();
}

static void *call_mmap(size_t nbytes, int prot, int fd)
{
    void *p = azri_sys_posix.mmap(nbytes, prot, fd);
    int array = array_of(fd);
    size_t i = 0;

    if (p == MAP_FAILED || array < 0)
        return p;
    while (i < sizeof g_maps / sizeof g_maps[0] && g_maps[i].at)
        i++;
    if (i == sizeof g_maps / sizeof g_maps[0]) {
        outside("too many maps");
        return p;
    }
    g_maps[i].at = p;
    g_maps[i].array = (unsigned)array;
    return p;
}

static int call_munmap(void *p, size_t nbytes)
{
    for (size_t i = 0; i < sizeof g_maps / sizeof g_maps[0]; i++) {
        if (g_maps[i].at == p)
            g_maps[i].at = NULL;
    }
    return azri_sys_posix.munmap(p, nbytes);
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
    int key = key_of(dir, path);
    picture before;
    int rc, saved;

    if (!watched)
        return azri_sys_posix.unlinkat(dir, path, flags);
    before = look();
    rc = azri_sys_posix.unlinkat(dir, path, flags);
    saved = errno;
    if (key >= 0)
        emit(g_held != 0 ? "F-unlink" : "W7-unlink", (unsigned)key, rc == 0,
             &before);
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

static ino_t inode_of(int dir, const char *path)
{
    struct stat st = {.st_ino = 0};

    return fstatat(dir, path, &st, 0) == 0 ? st.st_ino : 0;
}

static bool watch_array(unsigned a, const char *path)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = openat(dir, ".azr/state", O_RDONLY | O_CLOEXEC);
    void *p = MAP_FAILED;

    g_watch[a].dir = dir;
    if (dir < 0 || fd < 0)
        return false;
    p = mmap(NULL, AZRI_STATE_MAX, PROT_READ, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (p == MAP_FAILED)
        return false;
    g_watch[a].map = p;
    g_watch[a].dir_ino = inode_of(dir, ".");
    g_watch[a].tx_ino = inode_of(dir, ".azr/tx");
    g_watch[a].state_ino = inode_of(dir, ".azr/state");
    return true;
}

bool steps_watch(board *b, const char *const *paths, unsigned n)
{
    bool ok = true;

    g_board = b;
    g_me = 0;
    g_watched = n;
    for (unsigned a = 0; a < n; a++)
        ok = watch_array(a, paths[a]) && ok;
    for (unsigned k = 0; k < TRACE_KEYS && ok; k++) {
        uint64_t chunk = chunk_of_key(k);
        char name[8];
        ino_t ino;

        g_stripe[k] = azri_stripe(&chunk, 1);
        g_at_first[k] = atomic_load(counter_at(k));
        (void)snprintf(name, sizeof name, "c/%u", (unsigned)chunk);
        ino = inode_of(g_watch[array_of_key(k)].dir, name);
        ok = ino != 0;
        note_file(ino, 0);
    }
    /* the one that locks first is the home */
    return ok && (n > 1 ? g_watch[0].state_ino < g_watch[1].state_ino
                        : g_stripe[0] != g_stripe[1]);
}

void steps_unwatch(void)
{
    for (unsigned a = 0; a < g_watched; a++) {
        if (g_watch[a].map)
            (void)munmap(g_watch[a].map, AZRI_STATE_MAX);
        if (g_watch[a].dir >= 0)
            (void)close(g_watch[a].dir);
    }
    memset(g_watch, 0, sizeof g_watch);
    g_watched = 0;
}

void steps_prepare(board *b, uint8_t who)
{
    g_board = b;
    g_me = who;
    g_table = azri_sys_posix;
    g_table.openat = call_openat;
    g_table.renameat2 = call_renameat2;
    g_table.lock = call_lock;
    g_table.store64 = call_store64;
    g_table.bump64 = call_bump64;
    g_table.put = call_put;
    g_table.mmap = call_mmap;
    g_table.munmap = call_munmap;
    g_table.futex_wait = call_futex_wait;
    g_table.pread = call_pread;
    g_table.pwrite = call_pwrite;
    g_table.fstat = call_fstat;
    g_table.fstatat = call_fstatat;
    g_table.unlinkat = call_unlinkat;
    azri_sys = &g_table;
}

void steps_begin(const azri_state *s)
{
    g_state = s;
    (void)sem_post(&g_board->ready);
    wait_for(&g_board->go[g_me]);
    g_on = true;
}

void steps_end(void)
{
    g_on = false;
    azri_sys = &azri_sys_posix;
}
