/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions over several arrays whose owner died: what becomes of one whose
 * other array is gone, of hostile rows and records, and after a restart. */
#include "several_scene.h"

#include "base/hash.h"
#include "os/sys.h"
#include "txn/layout.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/wait.h>

/* ---------------------------------------------------------- the dead --- */

static struct azri_sys dying_sys;
static const char *g_die_after;
static int g_die_times;

static void dying_store64(const char *what, _Atomic uint64_t *p, uint64_t value)
{
    azri_sys_posix.store64(what, p, value);
    if (strcmp(what, g_die_after) == 0 && --g_die_times == 0)
        _exit(42);
}

/* From now on, after the nth store of that name. */
static void die_at(const char *what, int n)
{
    g_die_after = what;
    g_die_times = n;
    dying_sys = azri_sys_posix;
    dying_sys.store64 = dying_store64;
    azri_sys = &dying_sys;
}

/* A process that dies in a transfer between the first three arrays. */
static void die_after(scene *s, const char *what)
{
    pid_t pid;
    int status;

    close_arrays(s);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        azr_error err = AZR_ERROR_INIT;
        azr_txn *txn = begin();

        for (int k = 0; k < 3; k++) {
            s->a[k] = open_at(s->path[k], AZR_OPEN_WRITE);
            if (put(txn, s->a[k], 0, 50) < 0)
                _exit(1);
        }
        die_at(what, 1);
        _exit(azr_txn_commit(txn, &err) < 0 ? 2 : 3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

static int read_one(const char *path, int32_t *v, azr_error *err)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_selection s = AZR_BOX(1, {0}, {1});
    azr_array *a = NULL;
    int rc;

    *err = (azr_error)AZR_ERROR_INIT;
    rc = azr_array_open(&a, path, &o, err);
    if (rc == AZR_OK)
        rc = azr_array_read(a, &s, v, sizeof *v, err);
    azr_array_close(a);
    return rc;
}

/* The whole tree may move: paths from array to array are relative. */
static void test_moved_tree(void **state)
{
    static const char *const points[] = {"row.prepared", "row.committed"};
    char moved[80];

    (void)state;
    for (int p = 0; p < 2; p++) {
        azr_error err;
        int32_t v;
        scene s;

        begin_scene(&s);
        die_after(&s, points[p]);
        (void)snprintf(moved, sizeof moved, "%s-moved", s.dir);
        assert_int_equal(rename(s.dir, moved), 0);
        for (int k = 0; k < 3; k++) {
            (void)snprintf(s.path[k], sizeof s.path[k], "%s/%s%d", moved,
                           k % 2 ? "group/" : "", k);
            assert_int_equal(read_one(s.path[k], &v, &err), AZR_OK);
            assert_int_equal(v, p == 0 ? 100 : 50);
        }
        for (int k = 0; k < 3; k++) {
            s.a[k] = open_at(s.path[k], AZR_OPEN_WRITE);
            assert_value(s.a[k], 0, p == 0 ? 100 : 50);
        }
        (void)snprintf(s.dir, sizeof s.dir, "%.60s", moved);
        end_scene(&s);
    }
}

/* The home is elsewhere: whoever meets the other rows is told; put back, all is
 * well. Which array is the home, the order of inodes says: each in turn goes. */
static void test_missing_array(void **state)
{
    char away[96];
    int told = 0;
    scene s;

    (void)state;
    begin_scene(&s);
    die_after(&s, "row.committed");
    (void)snprintf(away, sizeof away, "%s/away", s.dir);
    for (int gone = 0; gone < 3; gone++) {
        assert_int_equal(rename(s.path[gone], away), 0);
        for (int k = 0; k < 3; k++) {
            azr_error err;
            int32_t v = 0;
            int rc;

            if (k == gone)
                continue;
            rc = read_one(s.path[k], &v, &err);
            if (rc == AZR_ECORRUPT) {
                assert_int_equal(err.sub, AZR_SUB_STATE);
                assert_non_null(strstr(err.message, "put it back"));
                told++;
            } else {
                assert_int_equal(rc, AZR_OK);
                assert_int_equal(v, 50);
            }
        }
        assert_int_equal(rename(away, s.path[gone]), 0);
    }
    assert_int_equal(told, 2); /* both others, while the home was away */
    for (int k = 0; k < 3; k++) {
        s.a[k] = open_at(s.path[k], AZR_OPEN_WRITE);
        assert_value(s.a[k], 0, 50);
    }
    end_scene(&s);
}

/* A home row is not cleared while an array of its transaction is missing. */
static void test_missing_other(void **state)
{
    char away[96];
    int refused = 0;
    scene s;

    (void)state;
    begin_scene(&s);
    die_after(&s, "row.committed");
    (void)snprintf(away, sizeof away, "%s/away", s.dir);
    assert_int_equal(rename(s.path[0], away), 0);
    for (int k = 1; k < 3; k++) {
        azr_open_options o = AZR_OPEN_OPTIONS_INIT;
        azr_error err = AZR_ERROR_INIT;
        int rc;

        o.flags = AZR_OPEN_WRITE;
        rc = azr_array_open(&s.a[k], s.path[k], &o, &err);
        refused += rc == AZR_ECORRUPT;
        assert_true(rc == AZR_OK || rc == AZR_ECORRUPT);
    }
    /* array 0 was the home (both need it), or one of the others (the home does) */
    assert_true(refused > 0);
    assert_int_equal(rename(away, s.path[0]), 0);
    close_arrays(&s);
    for (int k = 2; k >= 0; k--) {
        s.a[k] = open_at(s.path[k], AZR_OPEN_WRITE);
        assert_value(s.a[k], 0, 50);
    }
    end_scene(&s);
}

/* Another array in the home's place is not the home. */
static void test_replaced_array(void **state)
{
    int told = 0;
    scene s;

    (void)state;
    begin_scene(&s);
    die_after(&s, "row.committed");
    for (int gone = 0; gone < 3; gone++) {
        char away[96];

        (void)snprintf(away, sizeof away, "%s/away", s.dir);
        assert_int_equal(rename(s.path[gone], away), 0);
        assert_int_equal(rename(s.path[3], s.path[gone]), 0);
        for (int k = 0; k < 3; k++) {
            azr_error err;
            int32_t v;

            if (k != gone)
                told += read_one(s.path[k], &v, &err) == AZR_ECORRUPT;
        }
        assert_int_equal(rename(s.path[gone], s.path[3]), 0);
        assert_int_equal(rename(away, s.path[gone]), 0);
    }
    assert_int_equal(told, 2);
    end_scene(&s);
}

/* ------------------------------------------------------------- hostile --- */

/* The one row of an array that is in use, and its record. */
typedef struct left {
    char state[440], record[480];
    uint32_t row;
    uint64_t word;
    uint8_t bytes[8192];
    size_t nbytes;
    azri_row what;
} left;

static void find_row(left *l, const char *path)
{
    static uint64_t words[AZRI_WORDS];
    int fd;

    (void)snprintf(l->state, sizeof l->state, "%s/.azr/state", path);
    fd = open(l->state, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, words, sizeof words, AZRI_WORDS_AT),
                     sizeof words);
    for (l->row = 0; azri_word_state(words[l->row]) == AZRI_FREE; l->row++)
        assert_true(l->row < AZRI_ROWS_AT_FIRST);
    l->word = words[l->row];
    assert_int_equal(pread(fd, &l->what, sizeof l->what,
                           (off_t)(AZRI_ROWS_AT + l->row * AZRI_ROW_NBYTES)),
                     sizeof l->what);
    assert_int_equal(close(fd), 0);
}

static void find_left(left *l, const char *path)
{
    char pattern[480];
    glob_t g;
    int fd;

    find_row(l, path);
    (void)snprintf(pattern, sizeof pattern, "%s/.azr/tx/*.r", path);
    assert_int_equal(glob(pattern, 0, NULL, &g), 0);
    (void)snprintf(l->record, sizeof l->record, "%s", g.gl_pathv[0]);
    globfree(&g);
    fd = open(l->record, O_RDONLY);
    assert_true(fd >= 0);
    l->nbytes = (size_t)read(fd, l->bytes, sizeof l->bytes / 2);
    assert_int_equal(l->nbytes, l->what.what.record_nbytes);
    assert_int_equal(close(fd), 0);
}

static void put_row(const left *l)
{
    int fd = open(l->state, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &l->what, sizeof l->what,
                            (off_t)(AZRI_ROWS_AT + l->row * AZRI_ROW_NBYTES)),
                     sizeof l->what);
    assert_int_equal(close(fd), 0);
}

/* With checksums that hold. */
static void put_left(left *l)
{
    azri_what *w = &l->what.what;
    int fd = open(l->record, O_WRONLY | O_TRUNC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, l->bytes, l->nbytes), l->nbytes);
    assert_int_equal(close(fd), 0);
    w->record_nbytes = l->nbytes;
    w->record_crc = azri_crc32c(0, l->bytes, l->nbytes);
    w->crc = azri_crc32c(0, w, offsetof(azri_what, crc));
    put_row(l);
}

static void put_path(left *l, size_t at, const char *path, size_t nbytes)
{
    azri_ref_head h;

    memcpy(&h, l->bytes + at, sizeof h);
    h.path_nbytes = (uint32_t)nbytes;
    memcpy(l->bytes + at, &h, sizeof h);
    memset(l->bytes + at + sizeof h, 0, nbytes + 8);
    memcpy(l->bytes + at + sizeof h, path, nbytes);
    l->nbytes = at + sizeof h + (nbytes + 7) / 8 * 8;
}

/* False: there are no more of them. */
static bool spoil(left *l, unsigned i)
{
    static char longest[AZRI_REF_PATH_MAX];
    size_t at = sizeof(azri_record_head) +
                l->what.what.count * (sizeof(azri_entry_head) + 8);
    static const uint32_t sizes[] = {0,    1,    4095,       4096,
                                     4097, 8191, 0x7FFFFFFF, UINT32_MAX};

    memset(longest, 'x', sizeof longest);
    if (i < 8) {
        memcpy(l->bytes + at + 20, &sizes[i], 4);
    } else if (i < 16) {
        memcpy(l->bytes + at + 16, &sizes[i - 8], 4); /* the row */
    } else if (i < 24) {
        memcpy(l->bytes + offsetof(azri_record_head, others), &sizes[i - 16],
               4);
    } else if (i < 40) {
        l->bytes[at + i - 24] ^= 1; /* the id */
    } else {
        switch (i) {
        case 40:
            put_path(l, at, "/", 1);
            break;
        case 41:
            put_path(l, at, ".", 1); /* itself */
            break;
        case 42:
            put_path(l, at, "..", 2);
            break;
        case 43:
            put_path(l, at, "a\0b", 3);
            break;
        case 44:
            put_path(l, at, longest, 4000);
            break;
        case 45:
            put_path(l, at, ".azr/state", 10);
            break;
        case 46: /* its own id as well: a circle */
            put_path(l, at, ".", 1);
            memcpy(l->bytes + at,
                   l->bytes + offsetof(azri_record_head, array_id), 16);
            break;
        case 47:
            l->nbytes = at;
            break;
        case 48:
            l->nbytes = at + 8;
            break;
        case 49:
            l->what.what.flags ^= AZRI_WHAT_HOME | AZRI_WHAT_HAS_HOME;
            break;
        case 50:
            l->what.what.flags |= AZRI_WHAT_HOME | AZRI_WHAT_HAS_HOME;
            break;
        case 51:
            l->what.what.home_id[3] ^= 1;
            l->what.what.home_row ^= 1;
            break;
        default:
            return false;
        }
    }
    return true;
}

/* Who meets it is told, or finds one of the two values; nobody falls. */
static void meet(scene *s)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)alarm(30);
        for (int n = 0; n < 9; n++) {
            azr_open_options o = AZR_OPEN_OPTIONS_INIT;
            azr_error err = AZR_ERROR_INIT;
            azr_array *a = NULL;
            int32_t v = 50;
            int rc;

            o.flags = n < 3 ? 0 : AZR_OPEN_WRITE;
            o.timeout_ms = 0;
            rc = azr_array_open(&a, s->path[n % 3], &o, &err);
            if (rc == AZR_OK)
                rc = get(NULL, a, 0, &v);
            azr_array_close(a);
            if (rc != AZR_OK && rc != AZR_ECORRUPT && rc != AZR_EUNSUPPORTED &&
                rc != AZR_EIO)
                _exit(1);
            if (rc == AZR_OK && v != 50 && v != 100)
                _exit(2);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_hostile_references(void **state)
{
    static left l;
    char command[256];
    scene s;

    (void)state;
    g_in_memory = access("/dev/shm", W_OK) == 0;
    g_long_names = true;
    begin_scene(&s);
    g_in_memory = false;
    die_after(&s, "row.committed");
    (void)snprintf(command, sizeof command, "cp -a '%s' '%s-kept'", s.dir,
                   s.dir);
    run_command(command);
    (void)snprintf(command, sizeof command,
                   "rm -rf '%s' && cp -a '%s-kept' '%s'", s.dir, s.dir, s.dir);
    for (int k = 0; k < 3; k++) {
        for (unsigned i = 0;; i++) {
            run_command(command);
            find_left(&l, s.path[k]);
            if (!spoil(&l, i))
                break;
            put_left(&l);
            meet(&s);
        }
    }
    (void)snprintf(command, sizeof command, "rm -rf '%s-kept'", s.dir);
    run_command(command);
    end_scene(&s);
    g_long_names = false;
}

/* ------------------------------------------------------------- restarts --- */

static void put_word(const left *l)
{
    int fd = open(l->state, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &l->word, sizeof l->word,
                            (off_t)(AZRI_WORDS_AT + 8 * l->row)),
                     sizeof l->word);
    assert_int_equal(close(fd), 0);
}

static int open_fails(const char *path, azr_error *err)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_array *a = NULL;
    int rc;

    o.flags = AZR_OPEN_WRITE;
    o.timeout_ms = 0;
    *err = (azr_error)AZR_ERROR_INIT;
    rc = azr_array_open(&a, path, &o, err);
    azr_array_close(a);
    return rc;
}

/* What stands in the row itself is as hostile as a record. */
static void test_hostile_rows(void **state)
{
    static const uint32_t lengths[] = {0, 17, 4095, 4096, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < 2 + sizeof lengths / sizeof lengths[0]; i++) {
        static left l;
        azri_what *w = &l.what.what;
        azri_ref_head h;
        azr_error err;
        size_t at;
        int32_t v;
        scene s;

        begin_scene(&s);
        die_after(&s, "row.committed");
        find_row(&l, s.path[0]);
        assert_false(w->flags & AZRI_WHAT_RECORD);
        at = w->count * (sizeof(azri_entry_head) + 8);
        memcpy(&h, w->entries + at, sizeof h);
        if (i == 0)
            w->entries[at + sizeof h] = '/';
        else if (i == 1)
            w->entries_nbytes = (uint32_t)at + 3;
        else
            h.path_nbytes = lengths[i - 2];
        memcpy(w->entries + at, &h, sizeof h);
        w->crc = azri_crc32c(0, w, offsetof(azri_what, crc));
        put_row(&l);
        assert_int_equal(open_fails(s.path[0], &err), AZR_ECORRUPT);
        assert_string_not_equal(err.message, "");
        (void)read_one(s.path[0], &v, &err); /* and nobody falls over it */
        end_scene(&s);
    }
}

/* The rows are of another boot of the host. */
static void restart(scene *s)
{
    static left l;

    for (int k = 0; k < 3; k++) {
        find_row(&l, s->path[k]);
        l.what.who.boot[0] ^= 1;
        l.what.who.crc = azri_crc32c(0, &l.what.who, offsetof(azri_who, crc));
        put_row(&l);
    }
}

/* `process`: what is there and fits is finished, or undone, as ever. */
static void test_after_restart(void **state)
{
    static const char *const points[] = {"row.prepared", "row.committed"};

    (void)state;
    for (int p = 0; p < 2; p++) {
        scene s;

        g_long_names = true;
        begin_scene(&s);
        die_after(&s, points[p]);
        restart(&s);
        for (int k = 2; k >= 0; k--) {
            azr_error err;
            int32_t v = 0;

            assert_int_equal(read_one(s.path[k], &v, &err), AZR_OK);
            assert_int_equal(v, p == 0 ? 100 : 50);
            s.a[k] = open_at(s.path[k], AZR_OPEN_WRITE);
            assert_value(s.a[k], 0, p == 0 ? 100 : 50);
        }
        end_scene(&s);
    }
    g_long_names = false;
}

/* Somebody opens them all for writing, and dies when he has cleared two rows. */
static void die_recovering(const scene *s)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        azr_error err = AZR_ERROR_INIT;

        die_at("recovery.clear", 2);
        for (int k = 0; k < 3; k++)
            (void)open_fails(s->path[k], &err);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

static bool has_row(const char *path)
{
    uint64_t words[AZRI_ROWS_AT_FIRST];
    char name[480];
    bool has = false;
    int fd;

    (void)snprintf(name, sizeof name, "%s/.azr/state", path);
    fd = open(name, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, words, sizeof words, AZRI_WORDS_AT),
                     sizeof words);
    assert_int_equal(close(fd), 0);
    for (unsigned i = 0; i < AZRI_ROWS_AT_FIRST; i++)
        has |= azri_word_state(words[i]) != AZRI_FREE;
    return has;
}

/* All but one hold the new value, and work. */
static void expect_without(scene *s, int gone)
{
    for (int k = 0; k < 3; k++) {
        if (k == gone)
            continue;
        s->a[k] = open_at(s->path[k], AZR_OPEN_WRITE);
        assert_value(s->a[k], 0, 50);
    }
}

/* The one whose row is left: the home of all three. */
static int home_of(const scene *s)
{
    int home = -1, rows = 0;

    for (int k = 0; k < 3; k++) {
        if (has_row(s->path[k])) {
            home = k;
            rows++;
        }
    }
    assert_int_equal(rows, 1);
    return home;
}

/* After a restart both others are finished, and then that process dies before the
 * home is; one of them is removed: the home gets through without it. */
static void test_other_removed_after_restart(void **state)
{
    static const char *const points[] = {"row.committed", "home.told"};

    (void)state;
    for (int i = 0; i < 2 * 2 * 2; i++) {
        azr_error err = AZR_ERROR_INIT;
        scene s;
        int gone;

        g_durability = i < 4 ? AZR_DURABILITY_PROCESS : AZR_DURABILITY_POWER;
        begin_scene(&s);
        die_after(&s, points[i / 2 % 2]);
        restart(&s);
        die_recovering(&s);
        gone = (home_of(&s) + 1 + i % 2) % 3; /* one of the others, each */
        assert_int_equal(azr_remove(s.path[gone], NULL, &err), AZR_OK);
        expect_without(&s, gone);
        end_scene(&s);
    }
    g_durability = AZR_DURABILITY_PROCESS;
}

/* All are finished, but a restart has taken the words of two back to PREPARED; and
 * the home is removed. */
static void test_home_removed_after_restart(void **state)
{
    static left was[3];
    azr_error err = AZR_ERROR_INIT;
    int home = -1;
    scene s;

    (void)state;
    begin_scene(&s);
    die_after(&s, "row.committed");
    restart(&s);
    for (int k = 0; k < 3; k++) {
        find_row(&was[k], s.path[k]);
        if (was[k].what.what.flags & AZRI_WHAT_HOME)
            home = k;
    }
    assert_true(home >= 0);
    expect_without(&s, -1);
    close_arrays(&s);
    assert_int_equal(azr_remove(s.path[home], NULL, &err), AZR_OK);
    for (int k = 0; k < 3; k++) {
        if (k == home)
            continue;
        assert_int_equal(azri_word_state(was[k].word), AZRI_PREPARED);
        put_row(&was[k]);
        put_word(&was[k]);
    }
    expect_without(&s, home);
    end_scene(&s);
}

/* A row that the power loss tore before it was promised anything. */
static void test_torn_row(void **state)
{
    static left l;
    scene s;

    (void)state;
    g_long_names = true;
    begin_scene(&s);
    die_after(&s, "row.prepared");
    restart(&s);
    for (int k = 0; k < 3; k++) {
        azr_error err;
        int32_t v = 0;

        find_left(&l, s.path[k]);
        l.what.what.first ^= 1;
        put_row(&l);
        assert_int_equal(read_one(s.path[k], &v, &err), AZR_OK);
        assert_int_equal(v, 100);
    }
    for (int k = 0; k < 3; k++) {
        s.a[k] = open_at(s.path[k], AZR_OPEN_WRITE);
        assert_value(s.a[k], 0, 100);
    }
    end_scene(&s);
    g_long_names = false;
}

static int lost_files(const scene *s)
{
    int n = 0;

    for (int k = 0; k < 3; k++) {
        char pattern[480];
        glob_t g;

        (void)snprintf(pattern, sizeof pattern, "%s/.azr/lost/*", s->path[k]);
        if (glob(pattern, 0, NULL, &g) == 0)
            n += (int)g.gl_pathc;
        globfree(&g);
    }
    return n;
}

static void expect_work(scene *s)
{
    for (int k = 0; k < 3; k++) {
        assert_int_equal(put(NULL, s->a[k], 0, 60), AZR_OK);
        assert_value(s->a[k], 0, 60);
    }
}

/* Without a restart a record cannot vanish: nothing is touched. After one it can:
 * what is left goes to lost/, and the array works on. */
static void test_record_gone(void **state)
{
    (void)state;
    for (int restarted = 0; restarted < 2; restarted++) {
        static left l;
        int told = 0;
        scene s;

        g_long_names = true;
        begin_scene(&s);
        die_after(&s, "row.committed");
        if (restarted)
            restart(&s);
        find_left(&l, s.path[1]);
        if (l.what.what.flags & AZRI_WHAT_HOME)
            find_left(&l, s.path[2]);
        assert_int_equal(unlink(l.record), 0);
        for (int k = 0; k < 3; k++) {
            azr_open_options o = AZR_OPEN_OPTIONS_INIT;
            azr_error err = AZR_ERROR_INIT;
            int rc;

            o.flags = AZR_OPEN_WRITE;
            rc = azr_array_open(&s.a[k], s.path[k], &o, &err);
            assert_true(rc == AZR_OK || rc == AZR_ECORRUPT);
            told += rc == AZR_ECORRUPT;
        }
        /* without: at the array itself, and at the home, which waits for it */
        assert_int_equal(told, restarted ? 0 : 2);
        assert_int_equal(lost_files(&s), restarted ? 1 : 0);
        if (restarted)
            expect_work(&s);
        end_scene(&s);
    }
    g_long_names = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moved_tree),
        cmocka_unit_test(test_missing_array),
        cmocka_unit_test(test_missing_other),
        cmocka_unit_test(test_replaced_array),
        cmocka_unit_test(test_hostile_references),
        cmocka_unit_test(test_hostile_rows),
        cmocka_unit_test(test_after_restart),
        cmocka_unit_test(test_other_removed_after_restart),
        cmocka_unit_test(test_home_removed_after_restart),
        cmocka_unit_test(test_torn_row),
        cmocka_unit_test(test_record_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
