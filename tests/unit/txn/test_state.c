/* SPDX-License-Identifier: Apache-2.0 */
/* `state`: made, opened, read without a map, built anew, grown; each call of that
 * failing, and rivals in between. */
#include "world.h"

#include "base/alloc.h"
#include "base/hash.h"

/* ------------------------------------------------------------ lock offsets --- */

/* What does not fit shares the last offset. */
static void test_offset_saturates(void **state)
{
    const azri_state *s = state_of(0);
    uint64_t far = UINT64_MAX, end = s->w_max[0];

    (void)state;
    assert_true(azri_w_offset(s, &far) == azri_w_offset(s, &end));
    assert_true(azri_w_offset(s, &far) ==
                AZRI_LOCK_W + (UINT64_C(1) << AZRI_W_BITS) - 1);
    end--;
    assert_true(azri_w_offset(s, &far) == azri_w_offset(s, &end) + 1);
}

/* ------------------------------------------------------------------ making --- */

static azri_domain *fresh;

/* A directory without `state`. */
static void make_fresh(void)
{
    static unsigned n;
    char path[128];

    azri_domain_close(fresh);
    fresh = NULL;
    (void)fake_clear();
    (void)snprintf(path, sizeof path, "%s/fresh-%u", w.dir, n++);
    OK(azri_domain_create(&fresh, path, AZRI_DOMAIN_WRITE,
                          AZR_DURABILITY_PROCESS, &err));
}

static int create(int durability)
{
    return azri_state_create(fresh, &w.grid, durability, &err);
}

/* `state` is there, sound and of one link. */
static void assert_made(void)
{
    azri_state *s = NULL;
    struct stat st;

    OK(azri_state_open(&s, fresh, &err));
    assert_int_equal(fstat(s->fd, &st), 0);
    assert_int_equal(st.st_nlink, 1);
    azri_state_free(s);
}

static int count_name(const char *name, unsigned char d_type, void *arg)
{
    (void)d_type;
    if (strcmp(name, "tx") != 0)
        ++*(int *)arg;
    return 0;
}

/* In .azr, but for tx. */
static void assert_names(int want)
{
    int n = 0;

    OK(azri_list(azri_domain_dir(fresh), ".azr", count_name, &n, &err));
    assert_int_equal(n, want);
}

static void make_it(void)
{
    OK(create(AZR_DURABILITY_PROCESS));
}

static void test_create(void **state)
{
    static const int no_link[] = {ENOENT, EOPNOTSUPP, EPERM};

    (void)state;
    make_fresh();
    fake_fail(ON_RENAMEAT2, "state", 0, 1, EIO);
    make_it();
    assert_int_equal(fake_clear(), 0); /* it had no other name before */
    assert_made();
    assert_names(1);

    make_it(); /* there is one: that is well */
    assert_names(1);
    make_fresh(); /* no unnamed files here */
    fake_fail(ON_OPENAT, ".azr", 2, 1, EOPNOTSUPP);
    make_it();
    assert_made();
    for (int i = 0; i < 3; i++) { /* … or none that can be linked */
        make_fresh();
        fake_fail(ON_LINKAT, "state", 0, 1, no_link[i]);
        make_it();
        assert_int_equal(fake_clear(), 1);
        assert_made();
        assert_names(1);
    }
    make_fresh();
    OK(create(AZR_DURABILITY_POWER));
    assert_made();
    azri_domain_close(fresh);
    fresh = NULL;
}

/* Of two that make it at once one wins, and the other one goes by his. */
static void test_create_at_once(void **state)
{
    (void)state;
    make_fresh();
    fake_before(ON_LINKAT, "state", 0, make_it);
    make_it();
    assert_int_equal(fake_clear(), 1);
    assert_made();
    make_fresh();
    fake_fail(ON_LINKAT, "state", 0, 1, EPERM);
    fake_before(ON_RENAMEAT2, "state", 0, make_it);
    make_it();
    assert_int_equal(fake_clear(), 2);
    assert_made();
    assert_names(1);
    make_fresh(); /* a collector took the name for rubbish */
    fake_fail(ON_LINKAT, "state", 0, 1, EPERM);
    fake_fail(ON_RENAMEAT2, "state", 0, 1, ENOENT);
    make_it();
    assert_int_equal(fake_clear(), 2);
    assert_names(0);
    azri_domain_close(fresh);
    fresh = NULL;
}

static void expect_not_made(int durability, int code, int sub)
{
    FAILS(create(durability), code, sub, "");
    assert_string_not_equal(err.message, "");
    assert_true(fake_clear() >= 1);
    assert_names(0);
    make_fresh();
}

static void test_create_fails(void **state)
{
    const int process = AZR_DURABILITY_PROCESS, power = AZR_DURABILITY_POWER;

    (void)state;
    make_fresh();
    fake_fail(ON_MKDIRAT, ".azr", 0, 1, EROFS);
    expect_not_made(process, AZR_EPERM, AZR_SUB_MKDIR);
    fake_fail(ON_MKDIRAT, ".azr/tx", 0, 1, ENOSPC);
    expect_not_made(process, AZR_EIO, AZR_SUB_MKDIR);
    fake_fail(ON_LINKAT, "state", 0, 1, EIO);
    expect_not_made(process, AZR_EIO, AZR_SUB_RENAME);
    for (unsigned k = 0; k < 2; k++) {
        fake_fail(ON_PWRITE, NULL, k, 1, ENOSPC);
        expect_not_made(process, AZR_EIO, AZR_SUB_WRITE);
    }
    fake_fail(ON_GETRANDOM, NULL, 0, 1, EAGAIN);
    expect_not_made(process, AZR_EIO, AZR_SUB_CALL);
    fake_fail(ON_FSTAT, "#", 0, 1, EIO); /* an unnamed file's */
    expect_not_made(process, AZR_EIO, AZR_SUB_STAT);
    fake_fail(ON_FSYNC, "#", 0, 1, EIO);
    expect_not_made(power, AZR_EIO, AZR_SUB_SYNC);
    /* by another name */
    fake_fail(ON_LINKAT, "state", 0, 1, EPERM);
    fake_fail(ON_GETRANDOM, NULL, 1, 1, EAGAIN);
    expect_not_made(process, AZR_EIO, AZR_SUB_CALL);
    fake_fail(ON_LINKAT, "state", 0, 1, EPERM);
    fake_fail(ON_OPENAT, ".azr/state.", 0, 1, ENOSPC);
    expect_not_made(process, AZR_EIO, AZR_SUB_OPEN);
    fake_fail(ON_LINKAT, "state", 0, 1, EPERM);
    fake_fail(ON_PWRITE, ".azr/state", 0, 1, ENOSPC);
    expect_not_made(process, AZR_EIO, AZR_SUB_WRITE);
    fake_fail(ON_LINKAT, "state", 0, 1, EPERM);
    fake_fail(ON_RENAMEAT2, "state", 0, 1, EIO);
    expect_not_made(process, AZR_EIO, AZR_SUB_RENAME);
    azri_domain_close(fresh);
    fresh = NULL;
}

/* It is there, but whether it will stay is not known. */
static void test_create_unsynced(void **state)
{
    (void)state;
    for (unsigned k = 1; k < 3; k++) { /* .azr, the array's directory */
        make_fresh();
        fake_fail(ON_FSYNC, NULL, k, 1, EIO);
        FAILS(create(AZR_DURABILITY_POWER), AZR_EIO, AZR_SUB_SYNC, "fsync");
        assert_made();
    }
    make_fresh();
    azr_set_memory_cap(azri_heap_nbytes() + 64);
    FAILS(create(AZR_DURABILITY_PROCESS), AZR_ENOMEM, AZR_SUB_NONE, "memory");
    azr_set_memory_cap(0);
    azri_domain_close(fresh);
    fresh = NULL;
}

/* ----------------------------------------------------------------- opening --- */

static void test_open_fails(void **state)
{
    (void)state;
    azri_state_free(NULL);
    world_open(0, 0);
    for (unsigned k = 0; k < 2; k++) {
        fake_fail(ON_FSTAT, ".azr/state", k, 1, EIO);
        FAILS(open_state(), AZR_EIO, AZR_SUB_STAT, "stat .azr/state");
        fake_fail(ON_PREAD, ".azr/state", k, 1, EIO);
        FAILS(open_state(), AZR_EIO, AZR_SUB_READ, ".azr/state");
        (void)fake_clear();
    }
    fake_fail(ON_MMAP, ".azr/state", 0, 1, ENODEV);
    FAILS(open_state(), AZR_EIO, AZR_SUB_MAP, "map .azr/state");
    fake_fail(ON_OPENAT, "state", 0, 1, EMFILE);
    FAILS(open_state(), AZR_EIO, AZR_SUB_OPEN, ".azr/state");
    fake_fail(ON_OPENAT, "state", 0, 2, EACCES);
    FAILS(open_state(), AZR_EPERM, AZR_SUB_OPEN, ".azr/state");
    /* it may be read, and no more: a program text, or by its rights */
    fake_fail(ON_OPENAT, "state", 0, 1, ETXTBSY);
    OK(open_state());
    fake_fail(ON_OPENAT, "state", 0, 1, EACCES);
    OK(open_state());
    assert_int_equal(fake_clear(), 6); /* all of them */
    { /* features that are known to be readable: so it is read */
        azri_header *h = (void *)state_of(0)->map;
        uint64_t before = h->reader_compatible;
        uint32_t crc = h->crc;

        h->reader_compatible = 1;
        h->crc = azri_crc32c(0, h, offsetof(azri_header, crc));
        FAILS(open_state(), AZR_EUNSUPPORTED, AZR_SUB_LAYOUT, "not write");
        fake_fail(ON_OPENAT, "state", 0, 1, EACCES);
        OK(open_state());
        h->reader_compatible = before;
        h->crc = crc;
        (void)fake_clear();
    }
    world_open(0, AZRI_DOMAIN_WRITE);
    fake_fail(ON_OPENAT, "state", 0, 1, EACCES);
    FAILS(open_state(), AZR_EPERM, AZR_SUB_OPEN, ".azr/state");
    (void)fake_clear();
    azr_set_memory_cap(1);
    FAILS(open_state(), AZR_ENOMEM, AZR_SUB_NONE, "memory");
}

/* A header whose checksum is right, and that says something else. */
static void test_headers(void **state)
{
#define FIELD(f) offsetof(azri_header, f), sizeof(((azri_header *)NULL)->f)
    static const struct {
        size_t at, nbytes;
        uint64_t value;
        int code, sub;
        const char *text;
    } wrong[] = {
        {FIELD(byte_order), 1, AZR_EUNSUPPORTED, AZR_SUB_LAYOUT, "00000001"},
        {FIELD(layout), 99, AZR_EUNSUPPORTED, AZR_SUB_LAYOUT, "layout 99"},
        {FIELD(incompatible), 2, AZR_EUNSUPPORTED, AZR_SUB_LAYOUT,
         "unknown features 2"},
        {FIELD(counters), 7, AZR_EUNSUPPORTED, AZR_SUB_LAYOUT, "counters 7"},
        {FIELD(words), 7, AZR_EUNSUPPORTED, AZR_SUB_LAYOUT, "state words 7"},
        {FIELD(row_nbytes), 7, AZR_EUNSUPPORTED, AZR_SUB_LAYOUT, "row size 7"},
        {FIELD(entry_nbytes), 7, AZR_ECORRUPT, AZR_SUB_STATE,
         "entries of 7 bytes"},
        {FIELD(rank), 200, AZR_ECORRUPT, AZR_SUB_STATE, "rank 200"},
        {offsetof(azri_header, bits), 1, 61, AZR_ECORRUPT, AZR_SUB_STATE,
         "lock offsets need"},
        {offsetof(azri_header, bits), 1, 0, AZR_ECORRUPT, AZR_SUB_STATE,
         "lock offsets need"},
    };
    azri_header *h = (void *)state_of(0)->map, before = *h;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        memcpy((uint8_t *)h + wrong[i].at, &wrong[i].value, wrong[i].nbytes);
        h->crc = azri_crc32c(0, h, offsetof(azri_header, crc));
        FAILS(open_state(), wrong[i].code, wrong[i].sub, wrong[i].text);
        *h = before;
    }
    OK(open_state());
#undef FIELD
}

/* ----------------------------------------------------------- without a map --- */

/* As on overlayfs, for who may not write: read anew at each look. */
static int open_copied(azri_domain **out)
{
    int rc;

    fake_fail(ON_OPENAT, "state", 0, 1, EACCES);
    fake_magic = 0x794c7630;
    rc = azri_domain_open(out, w.path[0], 0, &err);
    (void)fake_clear();
    return rc;
}

static void test_copied(void **state)
{
    azri_domain *d = NULL;
    azri_view *v = NULL;
    uint64_t first = 0, before, after;

    (void)state;
    OK(open_copied(&d));
    assert_true(azri_domain_state(d)->copied);
    assert_false(azri_domain_has_rows(d));
    OK(azri_domain_version(d, &before, &err));
    OK(azri_view_new(&v, d, &w.patience, &err));
    OK(azri_view_aim(v, &w.grid.keying, 3, coords_from, &first, &err));
    OK(azri_view_look(v, &err));
    OK(azri_view_check(v, &err));
    /* a commit is seen, though there is no map to see it in */
    azri_sys->bump64("counter",
                     azri_state_counter(state_of(0), azri_stripe(&first, 1)));
    FAILS_SILENTLY(azri_view_check(v, &err), AZR_ECONFLICT);
    OK(azri_domain_version(d, &after, &err));
    assert_true(after == before + 1);
    OK(azri_view_look(v, &err));
    OK(azri_view_check(v, &err));
    /* two of the counters, three of the rows */
    for (unsigned k = 0; k < 5; k++) {
        fake_fail(ON_PREAD, ".azr/state", k, 1, EIO);
        FAILS(azri_view_look(v, &err), AZR_EIO, AZR_SUB_READ, ".azr/state");
        (void)fake_clear();
        OK(azri_view_look(v, &err));
        fake_fail(ON_PREAD, ".azr/state", k, 1, EIO);
        FAILS(azri_view_check(v, &err), AZR_EIO, AZR_SUB_READ, ".azr/state");
        (void)fake_clear();
    }
    fake_fail(ON_PREAD, ".azr/state", 0, 1, EIO);
    FAILS(azri_domain_version(d, &after, &err), AZR_EIO, AZR_SUB_READ, "state");
    azri_view_free(v);
    azri_domain_close(d);
}

static void test_copied_fails(void **state)
{
    azri_domain *d = NULL;

    (void)state;
    azr_set_memory_cap(azri_heap_nbytes() + 100000);
    FAILS(open_copied(&d), AZR_ENOMEM, AZR_SUB_NONE, "memory");
    azr_set_memory_cap(0);
    fake_fail(ON_PREAD, ".azr/state", 2, 1, EIO); /* after header and rows */
    FAILS(open_copied(&d), AZR_EIO, AZR_SUB_READ, ".azr/state");
    fake_fail(ON_PREAD, ".azr/state", 4, 1, EIO);
    FAILS(open_copied(&d), AZR_EIO, AZR_SUB_READ, ".azr/state");
    assert_null(d);
    /* what file system it is cannot be told: a map */
    fake_fail(ON_FSTATFS, NULL, 0, 1, EIO);
    OK(open_copied(&d));
    assert_false(azri_domain_state(d)->copied);
    azri_domain_close(d);
}

/* --------------------------------------------------------------- built anew --- */

static void damage(void)
{
    static const char noise[8] = "garbage!";
    int fd = open(below(0, ".azr/state"), O_RDWR | O_CLOEXEC);

    assert_int_equal(pwrite(fd, noise, sizeof noise, 0), sizeof noise);
    assert_int_equal(close(fd), 0);
}

static int rebuild(uint32_t *lost)
{
    return azri_state_rebuild(w.d[0], &w.grid, AZR_DURABILITY_PROCESS, lost,
                              &err);
}

/* Sound, with the durability that it had. */
static void assert_rebuilt(int durability)
{
    world_open(0, AZRI_DOMAIN_WRITE);
    assert_int_equal(azri_domain_durability(w.d[0]), durability);
}

static void test_rebuild(void **state)
{
    uint32_t lost = 0;

    (void)state;
    world_open(0, AZRI_DOMAIN_WRITE | AZRI_DOMAIN_KERNEL_LOCKS);
    OK(rebuild(&lost)); /* another was first: it is sound */
    assert_int_equal(lost, 0);
    damage();
    assert_int_equal(mkdir(below(0, ".azr/tx/2"), 0755), 0);
    put_file(below(0, ".azr/tx/0123456789abcd.0"), "x", 1);
    put_file(below(0, ".azr/tx/2/0123456789abce.0"), "y", 1);
    OK(rebuild(&lost));
    assert_int_equal(lost, 2);
    assert_true(is_there(0, ".azr/lost/0123456789abcd.0"));
    assert_true(is_there(0, ".azr/lost/0123456789abce.0"));
    assert_rebuilt(AZR_DURABILITY_PROCESS);
    assert_clean(0);
    damage();
    put_file(below(0, ".azr/tx/0123456789abcd.0"), "z", 1);
    OK(rebuild(NULL));
    assert_file(0, ".azr/lost/0123456789abcd.0", "z");
    assert_rebuilt(AZR_DURABILITY_PROCESS);
    assert_clean(0);
}

static void test_rebuild_power(void **state)
{
    (void)state;
    damage();
    OK(rebuild(NULL));
    assert_rebuilt(AZR_DURABILITY_POWER);
    damage(); /* so short that the durability is not in it */
    assert_int_equal(truncate(below(0, ".azr/state"), 300), 0);
    OK(rebuild(NULL));
    w.durability = AZR_DURABILITY_PROCESS;
    assert_rebuilt(AZR_DURABILITY_PROCESS);
}

/* The number of rows reached the disk, the size of the file did not. */
static void test_rebuild_size(void **state)
{
    static const uint64_t counts[] = {0, 9, AZRI_WORDS + 1};

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        atomic_store(&azri_state_changing(state_of(0))->rows, counts[i]);
        OK(rebuild(NULL));
        assert_rebuilt(AZR_DURABILITY_PROCESS);
        assert_int_equal(azri_state_rows(state_of(0)), AZRI_ROWS_AT_FIRST);
    }
    atomic_store(&azri_state_changing(state_of(0))->rows, 9);
    /* cannot be told: built anew */
    fake_fail(ON_PREAD, ".azr/state", 1, 1, EIO);
    OK(rebuild(NULL));
    assert_int_equal(fake_clear(), 1);
    assert_rebuilt(AZR_DURABILITY_PROCESS);
}

static void test_rebuild_fails(void **state)
{
    int fd;

    (void)state;
    damage();
    fake_fail(ON_OPENAT, "state", 0, 1, EMFILE);
    FAILS(rebuild(NULL), AZR_EIO, AZR_SUB_OPEN, ".azr/state");
    fake_fail(ON_LOCK, "try INIT", 0, 1, ENOLCK);
    FAILS(rebuild(NULL), AZR_EIO, AZR_SUB_LOCK, "lock");
    fake_fail(ON_LOCK, "try INIT", 0, 1, EAGAIN);
    FAILS(rebuild(NULL), AZR_EBUSY, AZR_SUB_STATE, "run `azr recover`");
    fake_fail(ON_FSTAT, ".azr/state", 0, 1, EIO);
    FAILS(rebuild(NULL), AZR_EIO, AZR_SUB_STAT, "stat");
    fake_fail(ON_PREAD, ".azr/state", 0, 1, EIO); /* the header */
    FAILS(rebuild(NULL), AZR_EIO, AZR_SUB_READ, "state");
    fake_fail(ON_PREAD, ".azr/state", 1, 1, EIO); /* the durability */
    FAILS(rebuild(NULL), AZR_EIO, AZR_SUB_READ, "state");
    (void)fake_clear();
    fake_fail(ON_MKDIRAT, "tx", 0, 1, EIO);
    FAILS(rebuild(NULL), AZR_EIO, AZR_SUB_MKDIR, "tx");
    fake_fail(ON_OPENAT, "tx", 0, 1, EIO); /* the list */
    FAILS(rebuild(NULL), AZR_EIO, AZR_SUB_OPEN, "tx");
    put_file(below(0, ".azr/tx/0123456789abcd.0"), "x", 1);
    fake_fail(ON_MKDIRAT, "lost", 0, 1, EIO);
    FAILS(rebuild(NULL), AZR_EIO, AZR_SUB_MKDIR, "lost");
    for (unsigned k = 0; k < 2; k++) { /* the name of lost/, names in it */
        (void)fake_clear();
        put_file(below(0, ".azr/tx/0123456789abcd.0"), "x", 1);
        fake_fail(ON_FSYNC, NULL, k, 1, EIO);
        FAILS(rebuild(NULL), AZR_EIO, AZR_SUB_SYNC, ".azr");
    }
    (void)fake_clear();
    fake_fail(ON_GETRANDOM, NULL, 0, 1, EAGAIN);
    FAILS(rebuild(NULL), AZR_EIO, AZR_SUB_CALL, "getrandom");
    for (unsigned k = 0; k < 2; k++) {
        (void)fake_clear();
        fake_fail(ON_PWRITE, ".azr/state", k, 1, ENOSPC);
        FAILS(rebuild(NULL), AZR_EIO, AZR_SUB_WRITE, "state");
        (void)fake_clear();
        damage();
        fake_fail(ON_FDATASYNC, ".azr/state", k, 1, EIO);
        FAILS(rebuild(NULL), AZR_EIO, AZR_SUB_SYNC, "state");
        damage();
    }
    (void)fake_clear();
    azr_set_memory_cap(azri_heap_nbytes() + 1000);
    FAILS(rebuild(NULL), AZR_ENOMEM, AZR_SUB_NONE, "memory");
    azr_set_memory_cap(0);
    assert_int_equal(link(below(0, ".azr/state"), below(0, "copy")), 0);
    FAILS(rebuild(NULL), AZR_ECORRUPT, AZR_SUB_STATE, "not a file of its own");
    assert_int_equal(unlink(below(0, "copy")), 0);
    assert_int_equal(unlink(below(0, ".azr/state")), 0);
    assert_int_equal(mkfifo(below(0, ".azr/state"), 0644), 0);
    FAILS(rebuild(NULL), AZR_ECORRUPT, AZR_SUB_STATE, "not a file of its own");
    assert_int_equal(unlink(below(0, ".azr/state")), 0);
    fd = open(below(0, ".azr/state"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(close(fd), 0);
    OK(rebuild(NULL));
    assert_rebuilt(AZR_DURABILITY_PROCESS);
}

/* ------------------------------------------------------------------- refit --- */

static int g_may;

static int may(void *arg, azr_error *e)
{
    (void)arg;
    return g_may < 0 ? azri_fail(e, g_may, "it is not gone") : AZR_OK;
}

static int refit(void)
{
    return azri_domain_refit(w.d[0], &w.grid, AZR_DURABILITY_PROCESS, may, NULL,
                             &err);
}

/* `state` of an array that is gone, for one of another rank. */
static void test_refit(void **state)
{
    uint8_t old[16], new[16];
    made_row r;

    (void)state;
    g_may = AZR_EEXISTS;
    OK(refit()); /* it fits: nobody is asked */
    azri_domain_array_id(w.d[0], old);
    w.grid.keying.rank = 2;
    w.grid.cells[1] = 3;
    FAILS(refit(), AZR_EEXISTS, AZR_SUB_NONE, "it is not gone");
    g_may = AZR_OK;
    row_make(&r, 0, 2, 7, 1, 1);
    row_put(&r, 0, AZRI_COMMITTED);
    FAILS(refit(), AZR_EBUSY, AZR_SUB_STATE, "an unfinished transaction");
    row_put(&r, 0, AZRI_ACTIVE); /* said nothing yet */
    fake_fail(ON_LOCK, "try INIT", 0, 1, EAGAIN);
    FAILS(refit(), AZR_EBUSY, AZR_SUB_STATE, "is of another array, and in use");
    fake_fail(ON_PREAD, ".azr/state", 1, 1, EIO);
    FAILS(refit(), AZR_EIO, AZR_SUB_READ, "state");
    (void)fake_clear();
    OK(refit());
    world_open(0, AZRI_DOMAIN_WRITE);
    azri_domain_array_id(w.d[0], new);
    assert_memory_equal(old, new, sizeof old); /* rows elsewhere look for it */
    for (int i = 0; i < 3; i++) { /* each part of the keying counts */
        azri_keying *k = &w.grid.keying;

        k->separator = i == 0 ? '.' : '/';
        k->encoding = i == 1 ? '2' : 'd';
        k->zarr_format = i == 2 ? 2 : 3;
        OK(refit());
        world_open(0, AZRI_DOMAIN_WRITE);
        OK(azri_domain_match(w.d[0], k, &err));
    }
    damage(); /* no header: no id to keep */
    OK(refit());
    world_open(0, AZRI_DOMAIN_WRITE);
    azri_domain_array_id(w.d[0], new);
    assert_memory_not_equal(old, new, sizeof old);
}

/* -------------------------------------------------------------------- grow --- */

static uint32_t rows(void)
{
    return azri_state_rows(state_of(0));
}

static int grow(const azri_patience *p)
{
    return azri_table_grow(w.d[0], rows(), p, &err);
}

static void grow_beside(void)
{
    azr_error why = AZR_ERROR_INIT;
    azri_domain *d = NULL;

    assert_int_equal(azri_domain_open(&d, w.path[0], 0, &why), AZR_OK);
    assert_int_equal(azri_table_grow(d, rows(), &w.patience, &why), AZR_OK);
    azri_domain_close(d);
}

static void test_grow(void **state)
{
    (void)state;
    OK(grow(&w.patience));
    assert_int_equal(rows(), 16);
    /* somebody else did it while we got a descriptor */
    fake_before(ON_LOCK, "try INIT", 0, grow_beside);
    OK(grow(&w.patience));
    assert_int_equal(rows(), 32);
    (void)fake_clear();
    /* … and before that: those that he made have not been looked at yet */
    OK(azri_table_grow(w.d[0], 16, &w.patience, &err));
    assert_int_equal(rows(), 32);
    while (rows() < AZRI_WORDS)
        OK(grow(&w.patience));
    fake_no_sleep = true;
    fake_fail(ON_FUTEX_WAIT, NULL, 0, 1, ETIMEDOUT);
    OK(grow(&w.patience)); /* there cannot be more: a little later, perhaps */
    assert_int_equal(fake_clear(), 1);

    FAILS(grow(&no_time), AZR_EBUSY, AZR_SUB_NONE, "every row of .azr/state");
    err = (azr_error){.code = AZR_EINVAL, .message = "before"};
    assert_int_equal(grow(&no_time), AZR_EBUSY);
    assert_string_equal(err.message, "before");
    assert_int_equal(rows(), AZRI_WORDS);
    atomic_store(&azri_state_changing(state_of(0))->rows, 7);
    FAILS(grow(&w.patience), AZR_ECORRUPT, AZR_SUB_STATE, "has 7 rows, need 8");
}

static void test_grow_power(void **state)
{
    (void)state;
    fake_fail(ON_FDATASYNC, ".azr/state", 0, 1, EIO);
    FAILS(grow(&w.patience), AZR_EIO, AZR_SUB_SYNC, "state");
    assert_int_equal(rows(), 8);
    OK(grow(&w.patience));
    assert_int_equal(rows(), 16);
}

static void test_grow_waits(void **state)
{
    azri_range init = {AZRI_LOCK_INIT, AZRI_LOCK_INIT, true},
               meta = {AZRI_LOCK_META, AZRI_LOCK_META, false};
    azr_cancel *cancel = canceled();
    azri_patience patience = {INT64_MAX, cancel};
    int fd = open(below(0, ".azr/state"), O_RDWR | O_CLOEXEC);

    (void)state;
    fake_no_sleep = true;
    OK(azri_ofd_try(fd, &init, &err));
    FAILS(grow(&no_time), AZR_EBUSY, AZR_SUB_NONE, "every row");
    OK(azri_ofd_unlock(fd, init.first, init.last, &err));
    OK(azri_ofd_try(fd, &meta, &err));
    FAILS(grow(&no_time), AZR_EBUSY, AZR_SUB_NONE, "every row");
    assert_int_equal(azri_table_grow(w.d[0], rows(), &no_time, NULL),
                     AZR_EBUSY);
    FAILS(grow(&patience), AZR_ECANCELED, AZR_SUB_NONE, "waiting for a row");
    azr_cancel_free(cancel);
    assert_int_equal(close(fd), 0);
    fake_fail(ON_LOCK, "try INIT", 0, 3, EAGAIN); /* he is quick */
    fake_fail(ON_FUTEX_WAIT, NULL, 0, 9, ETIMEDOUT);
    OK(grow(&w.patience));
    assert_int_equal(fake_clear(), 6); /* a pause after each try */

    assert_int_equal(rows(), 16);
}

static void test_grow_fails(void **state)
{
    (void)state;
    fake_fail(ON_LOCK, "try INIT", 0, 1, ENOLCK);
    FAILS(grow(&w.patience), AZR_EIO, AZR_SUB_LOCK, "lock");
    fake_fail(ON_LOCK, "try META", 0, 1, ENOLCK);
    FAILS(grow(&w.patience), AZR_EIO, AZR_SUB_LOCK, "lock");
    for (unsigned k = 0; k < 8; k += 7) {
        fake_fail(ON_PWRITE, ".azr/state", k, 1, ENOSPC);
        FAILS(grow(&w.patience), AZR_EIO, AZR_SUB_WRITE, "state");
        (void)fake_clear();
    }
    assert_int_equal(rows(), 8);
    while (rows() < 256)
        OK(grow(&w.patience));
    fake_fail(ON_PWRITE, ".azr/state", 0, 1, ENOSPC); /* the words' hole */
    FAILS(grow(&w.patience), AZR_EIO, AZR_SUB_WRITE, "state");
    assert_int_equal(rows(), 256);
    (void)fake_clear();
    world_open(0, AZRI_DOMAIN_WRITE);
    no_idle_descriptors(w.d[0]);
    fake_fail(ON_OPENAT, "state", 0, 1, EMFILE);
    FAILS(grow(&w.patience), AZR_EIO, AZR_SUB_OPEN, "state");
}

#define T(f)  cmocka_unit_test_setup_teardown(f, world_begin, world_end)
#define TP(f) cmocka_unit_test_setup_teardown(f, world_begin_power, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_offset_saturates),
        T(test_create),
        T(test_create_at_once),
        T(test_create_fails),
        T(test_create_unsynced),
        T(test_open_fails),
        T(test_headers),
        T(test_copied),
        T(test_copied_fails),
        T(test_rebuild),
        TP(test_rebuild_power),
        T(test_rebuild_size),
        T(test_rebuild_fails),
        T(test_refit),
        T(test_grow),
        TP(test_grow_power),
        T(test_grow_waits),
        T(test_grow_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
