/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <inttypes.h>

world w;
azr_error err;
const azri_patience no_time = {0, NULL};

/* ------------------------------------------------------------- what is logged */

static char log_text[8192];
static size_t log_nbytes;

static void note_line(int level, const char *text, void *arg)
{
    int n = snprintf(log_text + log_nbytes, sizeof log_text - log_nbytes,
                     "%s: %s\n", level == AZR_LOG_WARNING ? "warning" : "info",
                     text);

    (void)arg;
    if (n > 0 && (size_t)n < sizeof log_text - log_nbytes)
        log_nbytes += (size_t)n;
}

void forget_log(void)
{
    log_nbytes = 0;
    log_text[0] = '\0';
}

void assert_logged(const char *part)
{
    if (!strstr(log_text, part))
        fail_msg("'%s' is not in the log: %s", part, log_text);
}

void assert_not_logged(void)
{
    assert_string_equal(log_text, "");
}

/* --------------------------------------------------------------- descriptor 0 */

static int kept_zero = -1; /* a copy of what it is */

static void free_zero(void)
{
    kept_zero = fcntl(0, F_DUPFD_CLOEXEC, 200);
    assert_true(kept_zero >= 0);
    assert_int_equal(close(0), 0);
}

void zero_for(const char *part, unsigned skip)
{
    if (fcntl(0, F_GETFD) < 0)
        assert_int_equal(open("/dev/null", O_RDONLY), 0);
    fake_before(ON_OPENAT, part, skip, free_zero);
}

bool zero_is_back(void)
{
    if (kept_zero < 0)
        return false;
    assert_int_equal(fcntl(0, F_GETFD), -1);
    assert_int_equal(dup2(kept_zero, 0), 0);
    assert_int_equal(close(kept_zero), 0);
    kept_zero = -1;
    return true;
}

/* ------------------------------------------------------------------ the world */

/* A mutex counts its users: one that is locked still, or was unlocked without being
 * locked, cannot be destroyed. */
static bool is_balanced(azri_domain *d)
{
    bool balanced = pthread_mutex_destroy(&d->mutex) == 0;

    (void)pthread_mutex_init(&d->mutex, NULL);
    return balanced;
}

static bool close_domain(int k)
{
    bool balanced = !w.d[k] || is_balanced(w.d[k]);

    azri_domain_close(w.d[k]);
    w.d[k] = NULL;
    return balanced;
}

static int begin(int arrays, int durability)
{
    char dir[] = "world-XXXXXX";

    memset(&w, 0, sizeof w);
    (void)umask(022);
    w.descriptors = count_descriptors();
    if (!mkdtemp(dir))
        return -1;
    memcpy(w.dir, dir, sizeof dir);
    fake_install();
    w.durability = durability;
    w.patience = (azri_patience){INT64_MAX, NULL};
    w.grid.keying = (azri_keying){3, 'd', '/', 1};
    w.grid.cells[0] = CELLS;
    forget_log();
    azr_set_log(note_line, AZR_LOG_INFO, NULL);
    for (int k = 0; k < arrays; k++) {
        (void)snprintf(w.path[k], sizeof w.path[k], "%s/%c", dir, 'a' + k);
        OK(azri_domain_create(&w.d[k], w.path[k], AZRI_DOMAIN_WRITE,
                              w.durability, &err));
        OK(azri_domain_ready(w.d[k], &w.grid, w.durability, &w.patience, &err));
    }
    err = (azr_error)AZR_ERROR_INIT;
    return 0;
}

int world_begin(void **state)
{
    (void)state;
    return begin(1, AZR_DURABILITY_PROCESS);
}

int world_begin_two(void **state)
{
    (void)state;
    return begin(2, AZR_DURABILITY_PROCESS);
}

int world_begin_power(void **state)
{
    (void)state;
    return begin(1, AZR_DURABILITY_POWER);
}

int world_begin_two_power(void **state)
{
    (void)state;
    return begin(2, AZR_DURABILITY_POWER);
}

void world_without_tx(int k)
{
    azri_close(atomic_exchange(&w.d[k]->tx, -1));
}

int world_end(void **state)
{
    char command[192];
    uint64_t left;
    unsigned opened;
    bool balanced;

    (void)state;
    if (seteuid(getuid()) != 0) /* a test may have failed as nobody */
        return -1;
    (void)fake_clear();
    azr_set_memory_cap(0);
    azr_set_log(NULL, 0, NULL);
    balanced = close_domain(0);
    balanced &= close_domain(1);
    left = azri_heap_nbytes();
    opened = count_descriptors();
    fake_remove();
    (void)snprintf(command, sizeof command, "chmod -R u+rwx '%s'; rm -rf '%s'",
                   w.dir, w.dir);
    if (left != 0)
        print_error("%" PRIu64 " bytes left\n", left);
    if (opened != w.descriptors)
        print_error("%u descriptors, %u before\n", opened, w.descriptors);
    if (!balanced)
        print_error("a mutex is locked, or was unlocked once too often\n");
    return left == 0 && opened == w.descriptors && balanced &&
                   system(command) == 0
               ? 0
               : -1;
}

void world_open(int k, unsigned flags)
{
    assert_true(close_domain(k));
    OK(azri_domain_open(&w.d[k], w.path[k], flags, &err));
    if (flags & AZRI_DOMAIN_WRITE)
        OK(azri_domain_ready(w.d[k], &w.grid, w.durability, &w.patience, &err));
}

azri_state *state_of(int k)
{
    return azri_domain_state(w.d[k]);
}

const char *below(int k, const char *name)
{
    static char path[2][512];
    static int turn;

    turn = 1 - turn;
    (void)snprintf(path[turn], sizeof path[turn], "%s/%s", w.path[k], name);
    return path[turn];
}

bool is_there(int k, const char *name)
{
    struct stat st;

    return lstat(below(k, name), &st) == 0;
}

void no_idle_descriptors(azri_domain *d)
{
    while (d->pool_count > 0) {
        int fd = -1;

        OK(azri_domain_take_fd(d, &fd, &err));
        azri_domain_drop_fd(d, fd);
    }
}

azri_domain *open_read_only(void)
{
    azri_domain *d = NULL;

    fake_fail(ON_OPENAT, "state", 0, 1, EACCES);
    OK(azri_domain_open(&d, w.path[0], 0, &err));
    (void)fake_clear();
    assert_false(azri_domain_state(d)->writable);
    return d;
}

int open_state(void)
{
    azri_state *s = NULL;
    int rc = azri_state_open(&s, w.d[0], &err);

    azri_state_free(s);
    return rc;
}

azr_cancel *canceled(void)
{
    azr_cancel *c = NULL;

    assert_int_equal(azr_cancel_new(&c), AZR_OK);
    azr_cancel_request(c);
    return c;
}

/* ----------------------------------------------------------- transactions --- */

azri_span bytes_of(const char *text)
{
    return (azri_span){(const uint8_t *)text, strlen(text)};
}

void coords_from(const void *arg, uint64_t i, uint64_t *out)
{
    out[0] = *(const uint64_t *)arg + i;
}

void coords_odd(const void *arg, uint64_t i, uint64_t *out)
{
    (void)arg;
    out[0] = 2 * i + 1;
}

uint64_t offset_of(uint64_t chunk)
{
    return azri_w_offset(state_of(0), &chunk);
}

void prepare(azri_txn *t, uint64_t first, uint64_t n)
{
    OK(azri_txn_lock_meta(t, false, &err));
    OK(azri_txn_want_chunks(t, n, coords_from, &first, true, &err));
    OK(azri_txn_lock_chunks(t, &err));
    OK(azri_txn_look(t, false, &err));
    OK(azri_txn_entries(t, n, coords_from, &first, &err));
}

/* ----------------------------------------------------------------- files --- */

void put_file(const char *path, const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    assert_int_equal(close(fd), 0);
}

static const char *chunk_path(int k, uint64_t i)
{
    char name[32];

    (void)snprintf(name, sizeof name, "c/%" PRIu64, i);
    return below(k, name);
}

void put_chunk(int k, uint64_t i, const char *text)
{
    (void)mkdir(below(k, "c"), 0755);
    put_file(chunk_path(k, i), text, strlen(text));
}

static void assert_file_at(const char *path, const char *text)
{
    char bytes[64] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (!text) {
        assert_true(fd < 0);
        return;
    }
    assert_true(fd >= 0);
    assert_true(read(fd, bytes, sizeof bytes - 1) >= 0);
    assert_int_equal(close(fd), 0);
    assert_string_equal(bytes, text);
}

void assert_file(int k, const char *name, const char *text)
{
    assert_file_at(below(k, name), text);
}

void assert_chunk(int k, uint64_t i, const char *text)
{
    assert_file_at(chunk_path(k, i), text);
}

static int no_name(const char *name, unsigned char d_type, void *arg)
{
    (void)d_type;
    (void)arg;
    fail_msg("tx/%s is left", name);
    return 1;
}

uint64_t version_of(int k)
{
    uint64_t sum = 0;

    OK(azri_domain_version(w.d[k], &sum, &err));
    return sum;
}

void assert_clean(int k)
{
    OK(azri_list_staged(w.d[k], no_name, NULL, &err));
    for (uint32_t i = 0; i < azri_state_rows(state_of(k)); i++)
        assert_int_equal(azri_word_state(word_of(k, i)), AZRI_FREE);
}

/* ------------------------------------------------------------------ rows --- */

uint64_t word_of(int k, uint32_t row)
{
    return atomic_load(azri_state_word(state_of(k), row));
}

static const char *staged_path(int k, const char *name)
{
    char path[64], lane[64];

    (void)snprintf(path, sizeof path, ".azr/tx/%s", name);
    (void)snprintf(lane, sizeof lane, ".azr/tx/%.1s", name);
    if (name[1] == '/')
        (void)mkdir(below(k, lane), 0755);
    return below(k, path);
}

void row_make(made_row *r, int k, uint32_t row, uint64_t id, uint64_t first,
              uint64_t last)
{
    const azri_state *s = state_of(k);
    uint64_t n = last - first + 1;

    memset(r, 0, sizeof *r);
    r->row = row;
    r->id = id;
    r->what.id = r->who.id = id;
    r->what.count = (uint32_t)n;
    r->what.first = azri_w_offset(s, &first);
    r->what.last = azri_w_offset(s, &last);
    r->what.entries_nbytes = (uint32_t)(n * azri_entry_nbytes(s));
    assert_true(r->what.entries_nbytes <= sizeof r->what.entries);
    azri_boot_id(r->who.boot);
    r->who.pid = 999999;
    (void)snprintf(r->who.host, sizeof r->who.host, "elsewhere");
    for (uint64_t i = 0; i < n; i++) {
        char name[AZRI_STAGED_NAME_MAX];
        azri_entry e = {.head = {.nbytes = 3}};

        e.coords[0] = first + i;
        azri_entry_put(r->what.entries, s, i, &e);
        azri_staged_name(name, row, id, i);
        put_file(staged_path(k, name), "new", 3);
    }
}

void row_use_record(made_row *r, int k)
{
    azri_record_head h = {.id = r->id, .count = r->what.count};

    memcpy(h.magic, AZRI_RECORD_MAGIC, 8);
    memcpy(h.array_id, state_of(k)->header.array_id, 16);
    h.entry_nbytes = (uint32_t)azri_entry_nbytes(state_of(k));
    memcpy(r->record, &h, sizeof h);
    memcpy(r->record + sizeof h, r->what.entries, r->what.entries_nbytes);
    r->record_nbytes = sizeof h + r->what.entries_nbytes;
    r->what.entries_nbytes = 0;
    memset(r->what.entries, 0, sizeof r->what.entries);
    r->what.flags |= AZRI_WHAT_RECORD;
}

/* At the end of what there is, in the row or in the record. */
void row_refer(made_row *r, int other, uint32_t row, const char *path)
{
    azri_ref_head h = {.row = row, .path_nbytes = (uint32_t)strlen(path)};
    size_t n = sizeof h + (strlen(path) + 7) / 8 * 8;
    uint8_t *to;

    memcpy(h.array_id, state_of(other)->header.array_id, 16);
    if (r->record_nbytes > 0) {
        azri_record_head head;

        memcpy(&head, r->record, sizeof head);
        head.others++;
        memcpy(r->record, &head, sizeof head);
        to = r->record + r->record_nbytes;
        r->record_nbytes += n;
        assert_true(r->record_nbytes <= sizeof r->record);
    } else {
        to = r->what.entries + r->what.entries_nbytes;
        r->what.entries_nbytes += (uint32_t)n;
        assert_true(r->what.entries_nbytes <= sizeof r->what.entries);
    }
    memset(to, 0, n);
    memcpy(to, &h, sizeof h);
    memcpy(to + sizeof h, path, strlen(path));
    memcpy(r->what.home_id, h.array_id, 16);
    r->what.home_row = row;
}

void row_age(made_row *r)
{
    memset(r->who.boot, 0x5A, sizeof r->who.boot);
}

const char *record_path(uint32_t row, uint64_t id)
{
    static char path[AZRI_STAGED_NAME_MAX + 8];
    char name[AZRI_STAGED_NAME_MAX];

    azri_record_name(name, row, id);
    (void)snprintf(path, sizeof path, ".azr/tx/%s", name);
    return path;
}

void remove_record(int k, uint32_t row, uint64_t id)
{
    assert_int_equal(unlink(below(k, record_path(row, id))), 0);
}

static void put_record(const made_row *r, int k, azri_what *what)
{
    uint8_t bytes[sizeof r->record];
    char name[AZRI_STAGED_NAME_MAX];
    azri_record_head h;

    memcpy(bytes, r->record, sizeof bytes);
    memcpy(&h, bytes, sizeof h);
    h.flags = h.flags ? h.flags : what->flags;
    memcpy(bytes, &h, sizeof h);
    azri_record_name(name, r->row, r->id);
    put_file(staged_path(k, name), bytes, r->record_nbytes);
    if (what->record_nbytes == 0)
        what->record_nbytes = r->record_nbytes;
    what->record_crc = azri_crc32c(0, bytes, r->record_nbytes);
}

void row_put(const made_row *r, int k, uint32_t state)
{
    azri_row *row = azri_state_row(state_of(k), r->row);
    azri_what what = r->what;
    azri_who who = r->who;

    if (r->record_nbytes > 0)
        put_record(r, k, &what);
    azri_who_seal(&who);
    what.crc = azri_crc32c(0, &what, offsetof(azri_what, crc));
    memcpy(&row->who, &who, sizeof who);
    memcpy(&row->what, &what, sizeof what);
    atomic_store(azri_state_word(state_of(k), r->row), azri_word(r->id, state));
}
