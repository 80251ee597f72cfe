/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of `state` as docs/on-disk.md has them: numbers that other programs must
 * agree with, what is still sound and what no more, and room for every row. */
#include "world.h"

#include "base/hash.h"

static uint8_t image[2][AZRI_STATE_MAX];

static azri_header *compose(int k, const azri_grid *grid, uint64_t seed)
{
    static const uint8_t id[16] = "fifteen letters";
    void *p = image[k];

    memset(image[k], 0, sizeof image[k]);
    azri_state_compose(image[k], grid, AZR_DURABILITY_POWER, id, seed);
    return p;
}

static void assert_bits(azri_grid *grid, unsigned a, unsigned b, unsigned c)
{
    const azri_header *h = compose(0, grid, 1);

    assert_int_equal(h->bits[0], a);
    assert_int_equal(h->bits[1], b);
    assert_int_equal(h->bits[2], c);
    for (int d = 3; d < AZR_MAX_RANK; d++)
        assert_int_equal(h->bits[d], 0);
}

/* Enough for what there is, the rest dealt out from the first dimension on. */
static void test_bits(void **state)
{
    azri_grid grid = {.keying = {3, 'd', '/', 0}};

    (void)state;
    assert_bits(&grid, 0, 0, 0);
    grid.keying.rank = 1;
    assert_bits(&grid, 60, 0, 0);
    grid.keying.rank = 2;
    grid.cells[0] = grid.cells[1] = 1;
    assert_bits(&grid, 30, 30, 0);
    grid.keying.rank = 3;
    grid.cells[0] = 1;
    grid.cells[1] = 7;
    grid.cells[2] = 8;
    assert_bits(&grid, 1 + 18, 3 + 17, 4 + 17);
    grid.cells[0] = 5;
    grid.cells[1] = INT64_MAX;
    grid.cells[2] = INT64_C(1) << 40;
    assert_bits(&grid, 3, 28, 29); /* taken where there are most */
    grid.cells[0] = 1;
    assert_bits(&grid, 1, 29, 30);
    grid.cells[0] = (INT64_C(1) << 20) - 1;
    grid.cells[1] = (INT64_C(1) << 20) - 1;
    grid.cells[2] = (INT64_C(1) << 20) - 1;
    assert_bits(&grid, 20, 20, 20); /* as many as there are */
    grid.cells[2]++;
    assert_bits(&grid, 20, 20, 20);
}

static void test_header(void **state)
{
    azri_grid grid = {.keying = {2, '2', '.', 3}};
    const azri_header *h = compose(0, &grid, 1);
    const azri_changing *c = (const void *)(image[0] + AZRI_CHANGING_AT);
    azri_header other;

    (void)state;
    assert_memory_equal(h->magic, "AZRSTATE", 8);
    assert_int_equal(h->layout, 1);
    assert_int_equal(h->byte_order, 0x01020304);
    assert_int_equal(h->incompatible | h->reader_compatible, 0);
    assert_memory_equal(h->array_id, "fifteen letters", 16);
    assert_int_equal(h->counters, 1024);
    assert_int_equal(h->words, 1024);
    assert_int_equal(h->row_nbytes, 512);
    assert_int_equal(h->entry_nbytes, 16 + 3 * 8);
    assert_int_equal(h->zarr_format, 2);
    assert_int_equal(h->key_encoding, '2');
    assert_int_equal(h->separator, '.');
    assert_int_equal(h->rank, 3);
    assert_int_equal(h->crc, azri_crc32c(0, h, 252));
    assert_int_equal(atomic_load(&c->rows), 8);
    assert_int_equal(atomic_load(&c->durability), AZR_DURABILITY_POWER);
    assert_int_equal(atomic_load(&c->fate) | atomic_load(&c->waiting), 0);
    assert_true(azri_state_header_valid(h));
    other = *h;
    other.crc ^= 1;
    assert_false(azri_state_header_valid(&other));
    other = *h;
    other.magic[0] = 'B';
    other.crc = azri_crc32c(0, &other, 252);
    assert_false(azri_state_header_valid(&other));
}

static uint64_t counter(int k, uint32_t i)
{
    uint64_t value;

    memcpy(&value, image[k] + 3 * 4096 + 8 * (size_t)i, sizeof value);
    return value;
}

/* Who compares them sees that `state` is another one. */
static void test_counters(void **state)
{
    const azri_changing *a = (const void *)(image[0] + AZRI_CHANGING_AT),
                        *b = (const void *)(image[1] + AZRI_CHANGING_AT);

    (void)state;
    (void)compose(0, &w.grid, 1);
    (void)compose(1, &w.grid, UINT64_C(1) << 50);
    for (uint32_t i = 0; i < 1024; i++) {
        assert_true(counter(0, i) != counter(1, i));
        if (i > 0)
            assert_true(counter(0, i) != counter(0, i - 1));
    }
    assert_true(atomic_load(&a->meta) != atomic_load(&b->meta));
    for (size_t at = 5 * 4096; at < sizeof image[0]; at++)
        assert_int_equal(image[0][at], 0); /* rows, and all behind them */
}

static void test_stripes(void **state)
{
    static const uint64_t c[][2] = {
        {0, 0}, {1, 0}, {UINT64_C(1) << 40, 0}, {3, 5}, {5, 3}};

    (void)state;
    assert_int_equal(azri_stripe(c[0], 0), 21);
    assert_int_equal(azri_stripe(c[0], 1), 500);
    assert_int_equal(azri_stripe(c[1], 1), 713);
    assert_int_equal(azri_stripe(c[2], 1), 457);
    assert_int_equal(azri_stripe(c[3], 2), 72);
    assert_int_equal(azri_stripe(c[4], 2), 927);
}

static azri_header *header(void)
{
    return (void *)state_of(0)->map;
}

static int open_with(azri_header h)
{
    azri_header before = *header();
    int rc;

    h.crc = azri_crc32c(0, &h, offsetof(azri_header, crc));
    *header() = h;
    rc = open_state();
    *header() = before;
    return rc;
}

/* Each dimension has its bits, the last one the lowest, and an end of its own. */
static void test_offsets(void **state)
{
    azri_header h = *header(), before = h;
    azri_state *s = NULL;

    (void)state;
    h.rank = 3;
    h.entry_nbytes = 16 + 3 * 8;
    h.bits[0] = 10;
    h.bits[1] = 4;
    h.bits[2] = 7;
    h.crc = azri_crc32c(0, &h, offsetof(azri_header, crc));
    *header() = h;
    OK(azri_state_open(&s, w.d[0], &err));
    *header() = before;
    assert_true(azri_w_offset(s, (uint64_t[]){0, 0, 0}) == UINT64_C(1) << 61);
    assert_true(azri_w_offset(s, (uint64_t[]){5, 3, 9}) ==
                (UINT64_C(1) << 61) + (5 << 11) + (3 << 7) + 9);
    assert_true(azri_w_offset(s, (uint64_t[]){1, 15, 127}) ==
                (UINT64_C(1) << 61) + (1 << 11) + (15 << 7) + 127);
    assert_true(azri_w_offset(s, (uint64_t[]){1, 16, 500}) ==
                (UINT64_C(1) << 61) + (1 << 11) + (15 << 7) + 127);
    azri_state_free(s);
}

static void test_bounds(void **state)
{
    const azri_header good = *header();
    azri_header h = good;

    (void)state;
    h.rank = AZR_MAX_RANK;
    h.entry_nbytes = 16 + 8 * AZR_MAX_RANK;
    memset(h.bits, 1, AZR_MAX_RANK);
    OK(open_with(h)); /* as many dimensions as there can be, a bit for each */
    h.rank++;
    h.entry_nbytes += 8;
    FAILS(open_with(h), AZR_ECORRUPT, AZR_SUB_STATE, "rank 33 with entries");
    h = good;
    h.rank = 2;
    h.entry_nbytes += 8;
    h.bits[0] = h.bits[1] = 30;
    OK(open_with(h));
    h.bits[1] = 31;
    FAILS(open_with(h), AZR_ECORRUPT, AZR_SUB_STATE, "need 61 bits, of 60");
    h.bits[0] = 0;
    FAILS(open_with(h), AZR_ECORRUPT, AZR_SUB_STATE, "lock offsets need");
    h = good;
    h.zarr_format = 1;
    FAILS(open_with(h), AZR_ECORRUPT, AZR_SUB_STATE, "key encoding 1 ");
    h.zarr_format = 4;
    FAILS(open_with(h), AZR_ECORRUPT, AZR_SUB_STATE, "key encoding 4 ");
    h = good;
    h.key_encoding = 'e';
    FAILS(open_with(h), AZR_ECORRUPT, AZR_SUB_STATE, "key encoding 3 101 47");
    h = good;
    h.separator = '-';
    FAILS(open_with(h), AZR_ECORRUPT, AZR_SUB_STATE, "key encoding 3 100 45");
    h.separator = '.';
    OK(open_with(h));
    h.key_encoding = '2';
    h.zarr_format = 2;
    OK(open_with(h));
    header()->crc++;
    FAILS(open_state(), AZR_ECORRUPT, AZR_SUB_STATE, "no valid header");
    *header() = good;
}

/* As many rows as the file has, and not one more. */
static void test_rows_and_size(void **state)
{
    _Atomic uint64_t *rows = &azri_state_changing(state_of(0))->rows;
    static const uint64_t wrong[] = {0, 9, AZRI_WORDS, AZRI_WORDS + 1};
    uint8_t id[2][16];
    char room[64];

    (void)state;
    azri_domain_array_id(w.d[0], id[0]);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        atomic_store(rows, wrong[i]);
        (void)snprintf(room, sizeof room, "%llu rows do not fit in 24576 bytes",
                       (unsigned long long)wrong[i]);
        FAILS(open_state(), AZR_ECORRUPT, AZR_SUB_STATE, room);
    }
    atomic_store(rows, 1);
    OK(open_state());
    OK(azri_state_rebuild(w.d[0], &w.grid, w.durability, NULL, &err));
    assert_int_equal(atomic_load(rows), 1); /* sound: left as it is */
    atomic_store(rows, 8);
    OK(azri_state_rebuild(w.d[0], &w.grid, w.durability, NULL, &err));
    while (azri_state_rows(state_of(0)) < AZRI_WORDS)
        OK(azri_table_grow(w.d[0], azri_state_rows(azri_domain_state(w.d[0])),
                           &w.patience, &err));
    OK(open_state());
    OK(azri_state_rebuild(w.d[0], &w.grid, w.durability, NULL, &err));
    assert_int_equal(atomic_load(rows), AZRI_WORDS);
    world_open(0, AZRI_DOMAIN_WRITE);
    azri_domain_array_id(w.d[0], id[1]);
    assert_memory_equal(id[0], id[1], 16);
    atomic_store(&azri_state_changing(state_of(0))->rows, AZRI_WORDS + 1);
    FAILS(open_state(), AZR_ECORRUPT, AZR_SUB_STATE, "1025 rows do not fit");
    atomic_store(&azri_state_changing(state_of(0))->rows, AZRI_WORDS);
}

static void test_kinds_and_rights(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(stat(below(0, ".azr/state"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(st.st_size, 5 * 4096 + 8 * 512);
    assert_int_equal(stat(below(0, ".azr/tx"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(unlink(below(0, ".azr/state")), 0);
    assert_int_equal(mkfifo(below(0, ".azr/state"), 0644), 0);
    FAILS(open_state(), AZR_ECORRUPT, AZR_SUB_STATE, "not a regular file");
    assert_int_equal(unlink(below(0, ".azr/state")), 0);
    assert_int_equal(symlink("tx", below(0, ".azr/state")), 0);
    FAILS(open_state(), AZR_EIO, AZR_SUB_OPEN, "open '.azr/state'");
}

/* ------------------------------------------------------------------------ maps */

static unsigned unmaps;

static int count_munmap(void *p, size_t nbytes)
{
    assert_int_equal(nbytes, AZRI_STATE_MAX);
    unmaps++;
    return azri_sys_posix.munmap(p, nbytes);
}

static void test_unmapped(void **state)
{
    const struct azri_sys *before = azri_sys;
    struct azri_sys mine = *before;

    (void)state;
    mine.munmap = count_munmap;
    azri_sys = &mine;
    unmaps = 0;
    assert_int_equal(open_state(), AZR_OK);
    assert_int_equal(unmaps, 1);
    fake_fail(ON_FSTAT, ".azr/state", 0, 1, EIO); /* before it is mapped */
    FAILS(open_state(), AZR_EIO, AZR_SUB_STAT, "stat");
    assert_int_equal(unmaps, 1);
    azri_sys = before;
}

/* Without a map: what others do is seen from the next look on. */
static void test_copied(void **state)
{
    azri_domain *d = NULL;
    azri_view *v = NULL;
    uint64_t three = 3, before, after;
    made_row r;

    (void)state;
    fake_fail(ON_OPENAT, "state", 0, 1, EACCES);
    fake_magic = 0x794c7630;
    OK(azri_domain_open(&d, w.path[0], 0, &err));
    (void)fake_clear();
    assert_true(azri_domain_state(d)->copied);
    OK(azri_view_new(&v, d, &w.patience, &err));
    OK(azri_view_aim(v, &w.grid.keying, 1, coords_from, &three, &err));
    OK(azri_view_look(v, &err));
    before = azri_view_meta_counter(v);
    azri_sys->bump64("meta", &azri_state_changing(state_of(0))->meta);
    FAILS_SILENTLY(azri_view_check(v, &err), AZR_ECONFLICT);
    OK(azri_view_look(v, &err));
    after = azri_view_meta_counter(v);
    assert_true(after == before + 1);
    for (uint32_t row = 0; row < 8; row += 7) { /* the first, the last one */
        row_make(&r, 0, row, 77 + row, 3, 3);
        row_put(&r, 0, AZRI_COMMITTED);
        FAILS_SILENTLY(azri_view_check(v, &err), AZR_ECONFLICT);
        OK(azri_view_look(v, &err));
        OK(azri_view_open_item(v, 0, &err));
        assert_int_equal(azri_view_item_at(v, 0)->object.id.nbytes, 3);
        row_put(&r, 0, AZRI_FREE);
        OK(azri_view_look(v, &err));
    }
    azri_view_free(v);
    azri_domain_close(d);
}

/* ---------------------------------------------------------------------- random */

static ssize_t in_order(void *buf, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)buf)[i] = (uint8_t)(i + 1);
    return (ssize_t)n;
}

/* Id and counters are what the kernel says, and nothing else. */
static void assert_from_kernel(const azri_domain *d)
{
    const azri_state *s = atomic_load(&d->state);
    uint8_t bytes[24];
    uint64_t seed;

    (void)in_order(bytes, sizeof bytes);
    memcpy(&seed, bytes + 16, sizeof seed);
    assert_memory_equal(s->header.array_id, bytes, 16);
    assert_true(atomic_load(&azri_state_changing(s)->meta) ==
                azri_splitmix64(seed));
    assert_true(atomic_load(azri_state_counter(s, 0)) ==
                azri_splitmix64(seed + 1));
    assert_true(atomic_load(azri_state_counter(s, 1023)) ==
                azri_splitmix64(seed + 1024));
}

static void test_random(void **state)
{
    const struct azri_sys *before = azri_sys;
    struct azri_sys mine = *before;
    azri_domain *d = NULL;
    char path[128];

    (void)state;
    mine.getrandom = in_order;
    (void)snprintf(path, sizeof path, "%s/n", w.dir);
    OK(azri_domain_create(&d, path, AZRI_DOMAIN_WRITE, w.durability, &err));
    azri_sys = &mine;
    OK(azri_state_create(d, &w.grid, w.durability, &err));
    state_of(0)->map[0] ^= 1;
    OK(azri_state_rebuild(w.d[0], &w.grid, w.durability, NULL, &err));
    azri_sys = before;
    OK(azri_domain_ready(d, &w.grid, w.durability, &w.patience, &err));
    assert_from_kernel(d);
    azri_domain_close(d);
    world_open(0, AZRI_DOMAIN_WRITE);
    assert_from_kernel(w.d[0]);
}

/* ------------------------------------------------------------------------ room */

/* No page of it is a hole: on a full disk that would be a SIGBUS. */
static void assert_solid(off_t from, off_t to)
{
    int fd = open(below(0, ".azr/state"), O_RDONLY | O_CLOEXEC);
    off_t hole = lseek(fd, from, SEEK_HOLE);

    if (hole >= 0) /* else the file system does not tell */
        assert_true(hole >= to);
    assert_int_equal(close(fd), 0);
}

static void test_grown(void **state)
{
    azri_wait_slot *spare = azri_state_waitq(state_of(0)).spare;
    uint64_t before, after;
    uint32_t rows = AZRI_ROWS_AT_FIRST;
    struct stat st;

    (void)state;
    OK(azri_domain_version(w.d[0], &before, &err));
    atomic_store(&spare->ticket, 5); /* of somebody who grew it before */
    while (rows < AZRI_WORDS) {
        OK(azri_table_grow(w.d[0], azri_state_rows(azri_domain_state(w.d[0])),
                           &w.patience, &err));
        rows *= 2;
        assert_int_equal(azri_state_rows(state_of(0)), rows);
        assert_int_equal(stat(below(0, ".azr/state"), &st), 0);
        assert_int_equal(st.st_size, AZRI_ROWS_AT + rows * AZRI_ROW_NBYTES);
        assert_solid((off_t)AZRI_COUNTERS_AT, st.st_size);
        if (rows > AZRI_HOLE_FROM)
            assert_solid(0, st.st_size); /* the words of the new ones, too */
    }
    assert_int_equal(atomic_load(&spare->ticket), 0);
    for (size_t at = AZRI_ROWS_AT; at < AZRI_STATE_MAX; at++)
        assert_int_equal(state_of(0)->map[at], 0);
    for (size_t at = AZRI_WORDS_AT; at < AZRI_COUNTERS_AT; at++)
        assert_int_equal(state_of(0)->map[at], 0);
    OK(azri_domain_version(w.d[0], &after, &err));
    assert_true(before == after); /* nothing else was touched */
}

/* Every counter is in the sum. */
static void test_version(void **state)
{
    azri_domain *d = NULL;
    uint64_t before, after;

    (void)state;
    OK(azri_domain_version(w.d[0], &before, &err));
    for (uint32_t i = 0; i < AZRI_COUNTERS; i++)
        azri_sys->bump64("counter", azri_state_counter(state_of(0), i));
    azri_sys->bump64("meta", &azri_state_changing(state_of(0))->meta);
    OK(azri_domain_version(w.d[0], &after, &err));
    assert_true(after - before == AZRI_COUNTERS + 1);
    after = 7;
    fake_fail(ON_OPENAT, "state", 0, 1, EMFILE);
    OK(azri_domain_open(&d, w.dir, AZRI_DOMAIN_WRITE, &err));
    FAILS(azri_domain_version(d, &after, &err), AZR_EIO, AZR_SUB_OPEN, "state");
    assert_int_equal(after, 0);
    azri_domain_close(d);
}

/* ----------------------------------------------------------------- built anew */

static int may(void *arg, azr_error *e)
{
    (void)arg;
    (void)e;
    return AZR_OK;
}

static int refit(void)
{
    return azri_domain_refit(w.d[0], &w.grid, w.durability, may, NULL, &err);
}

static void test_unfinished(void **state)
{
    static const uint32_t rows[] = {0, 255, 256, AZRI_WORDS - 1};

    (void)state;
    w.grid.keying.separator = '.';
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        _Atomic uint64_t *word = azri_state_word(state_of(0), rows[i]);

        for (uint32_t s = AZRI_PREPARED; s <= AZRI_COMMITTED; s++) {
            atomic_store(word, azri_word(77, s));
            FAILS(refit(), AZR_EBUSY, AZR_SUB_STATE,
                  "an unfinished transaction; try again");
        }
        atomic_store(word, 0);
    }
    fake_fail(ON_LOCK, "try INIT", 0, 1, EAGAIN);
    FAILS(refit(), AZR_EBUSY, AZR_SUB_STATE, "close its users, then try again");
    OK(refit());
    assert_false(is_there(0, ".azr/lost")); /* there was nothing to keep */
    world_open(0, AZRI_DOMAIN_WRITE);
}

static void test_anew(void **state)
{
    uint8_t id[2][16];
    uint64_t meta, first;
    int fd = open(below(0, ".azr/state"), O_RDWR | O_CLOEXEC);

    (void)state;
    azri_domain_array_id(w.d[0], id[0]);
    meta = atomic_load(&azri_state_changing(state_of(0))->meta);
    first = atomic_load(azri_state_counter(state_of(0), 0));
    atomic_store(azri_state_word(state_of(0), 5), azri_word(77, AZRI_SEALED));
    assert_int_equal(pwrite(fd, "garbage!", 8, 0), 8);
    assert_int_equal(close(fd), 0);
    OK(azri_state_rebuild(w.d[0], &w.grid, w.durability, NULL, &err));
    world_open(0, AZRI_DOMAIN_WRITE);
    azri_domain_array_id(w.d[0], id[1]);
    assert_memory_not_equal(id[0], id[1], 16);
    assert_true(meta != atomic_load(&azri_state_changing(state_of(0))->meta));
    assert_true(first != atomic_load(azri_state_counter(state_of(0), 0)));
    assert_clean(0);
    assert_false(is_there(0, ".azr/lost"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_bits),          T(test_header),
        T(test_counters),      T(test_stripes),
        T(test_offsets),       T(test_bounds),
        T(test_rows_and_size), T(test_kinds_and_rights),
        T(test_unmapped),      T(test_copied),
        T(test_grown),         T(test_version),
        T(test_unfinished),    T(test_anew),
        T(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
