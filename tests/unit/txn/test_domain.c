/* SPDX-License-Identifier: Apache-2.0 */
/* An array's directory: opened and made, each call failing; its `state` replaced,
 * linked, marked; descriptors, and what a fork leaves of them. */
#include "world.h"

#include "base/alloc.h"
#include "unit/asleep.h"
#include "unit/nomem.h"

#include <sched.h>
#include <sys/wait.h>

static azri_domain *other;

static int open_other(unsigned flags)
{
    azri_domain_close(other);
    other = NULL;
    return azri_domain_open(&other, w.path[0], flags, &err);
}

static void close_other(void)
{
    azri_domain_close(other);
    other = NULL;
}

static int teardown(void **state)
{
    close_other();
    return world_end(state);
}

/* ----------------------------------------------------------------- opening --- */

static void test_open_fails(void **state)
{
    azri_domain *d = NULL;
    int dir = open(w.path[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    azri_domain_close(NULL);
    fake_fail(ON_OPENAT, w.path[0], 0, 1, EMFILE);
    FAILS(open_other(0), AZR_EIO, AZR_SUB_OPEN, w.path[0]);
    fake_fail(ON_FSTAT, NULL, 0, 1, EIO);
    FAILS(open_other(0), AZR_EIO, AZR_SUB_STAT, w.path[0]);
    fake_fail(ON_OPENAT, "state", 0, 1, EMFILE);
    FAILS(open_other(0), AZR_EIO, AZR_SUB_OPEN, "state");
    FAILS_SILENTLY(azri_domain_open(&d, "nowhere", 0, &err), AZR_ENOTFOUND);
    (void)fake_clear();
    fake_fail(ON_OPENAT, ".", 0, 1, EACCES);
    FAILS(azri_domain_open_dir(&d, dir, "x", 0, &err), AZR_EPERM, AZR_SUB_OPEN,
          "open '.'");
    fake_fail(ON_FSTAT, NULL, 0, 1, EIO);
    FAILS(azri_domain_open_dir(&d, dir, "x", 0, &err), AZR_EIO, AZR_SUB_STAT,
          "stat 'x'");
    fake_fail(ON_OPENAT, "a", 0, 1, EMFILE);
    FAILS(azri_domain_open_at(&d, AT_FDCWD, w.path[0], "x", &err), AZR_EIO,
          AZR_SUB_OPEN, w.path[0]);
    fake_fail(ON_FSTAT, NULL, 0, 1, EIO);
    FAILS(azri_domain_open_at(&d, AT_FDCWD, w.path[0], "x", &err), AZR_EIO,
          AZR_SUB_STAT, "stat 'x'");
    fake_fail(ON_OPENAT, "state", 0, 1, EMFILE);
    FAILS(azri_domain_open_at(&d, AT_FDCWD, w.path[0], "x", &err), AZR_EIO,
          AZR_SUB_OPEN, "state");
    FAILS_SILENTLY(azri_domain_open_at(&d, AT_FDCWD, w.dir, "x", &err),
                   AZR_ENOTFOUND); /* a directory, and nothing in it */
    put_file(below(0, ".azr/state"), "short", 5); /* and one of no use */
    FAILS_SILENTLY(azri_domain_open_at(&d, AT_FDCWD, w.path[0], "x", &err),
                   AZR_ENOTFOUND);
    assert_null(d);
    assert_int_equal(close(dir), 0);
}

static int open_by(azri_domain **out, int way)
{
    if (way == 0)
        return azri_domain_open(out, w.path[0], 0, &err);
    if (way == 1)
        return azri_domain_open_dir(out, azri_domain_dir(w.d[0]), "x", 0, &err);
    if (way == 2)
        return azri_domain_open_at(out, AT_FDCWD, w.path[0], "x", &err);
    return azri_domain_create(out, w.path[0], 0, AZR_DURABILITY_PROCESS, &err);
}

/* Each allocation alone. */
static void test_open_one_fails(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        bool fired = true;

        for (long n = 0; fired; n++) {
            azri_domain *d = NULL;
            int rc;

            err = (azr_error)AZR_ERROR_INIT;
            nomem_arm(n);
            rc = open_by(&d, way);
            fired = nomem_fired;
            nomem_arm(-1);
            assert_int_equal(rc, fired ? AZR_ENOMEM : AZR_OK);
            assert_int_equal(d != NULL, !fired);
            azri_domain_close(d);
            assert_true(fired || n >= 3);
        }
    }
}

/* Each allocation and all that follow. */
static void test_open_no_memory(void **state)
{
    uint64_t before = azri_heap_nbytes();
    azri_domain *d = NULL;
    unsigned refused[4] = {0};

    (void)state;
    for (uint64_t more = 0; more < 8192; more += 16) {
        azr_set_memory_cap(before + more + 1);
        for (int way = 0; way < 4; way++) {
            int rc;

            err = (azr_error)AZR_ERROR_INIT;
            d = NULL;
            rc = open_by(&d, way);
            assert_true(rc == AZR_OK || rc == AZR_ENOMEM);
            assert_true((rc == AZR_OK) == (d != NULL));
            assert_true(rc == AZR_OK || err.message[0] != '\0');
            refused[way] += rc == AZR_ENOMEM;
            azri_domain_close(d);
            assert_int_equal(azri_heap_nbytes(), before);
        }
    }
    for (int way = 0; way < 4; way++)
        assert_in_range(refused[way], 10, 500);
    azr_set_memory_cap(before + 1);
    FAILS(azri_domain_set_path(w.d[0], "somewhere else", &err), AZR_ENOMEM,
          AZR_SUB_NONE, "memory");
    azr_set_memory_cap(0);
    assert_string_equal(azri_domain_path(w.d[0]), w.path[0]);
    OK(azri_domain_set_path(w.d[0], "somewhere else", &err));
    assert_string_equal(azri_domain_path(w.d[0]), "somewhere else");
}

static void test_create_fails(void **state)
{
    const int process = AZR_DURABILITY_PROCESS, power = AZR_DURABILITY_POWER;
    char path[128], slashes[160], far[5000];
    azri_domain *d = NULL;
    struct stat st;

    (void)state;
    (void)snprintf(path, sizeof path, "%s/n", w.dir);
    fake_fail(ON_MKDIRAT, path, 0, 1, EROFS);
    FAILS(azri_domain_create(&d, path, 0, process, &err), AZR_EPERM,
          AZR_SUB_MKDIR, path);
    fake_fail(ON_FSYNC, w.dir, 0, 1, EIO);
    FAILS(azri_domain_create(&d, path, 0, power, &err), AZR_EIO, AZR_SUB_SYNC,
          "fsync");
    fake_fail(ON_OPENAT, path, 0, 1, EMFILE);
    FAILS(azri_domain_create(&d, path, 0, process, &err), AZR_EIO, AZR_SUB_OPEN,
          path);
    /* however it is written, its name stands in the directory above */
    (void)snprintf(slashes, sizeof slashes, "%s///", path);
    fake_fail(ON_FSYNC, w.dir, 0, 1, ENOSPC);
    FAILS(azri_domain_create(&d, slashes, 0, power, &err), AZR_EIO,
          AZR_SUB_SYNC, w.dir);
    (void)fake_clear();
    (void)snprintf(slashes, sizeof slashes, "%s/zz-name///", w.dir);
    fake_fail(ON_FSYNC, "zz-name", 0, 1, EIO); /* not in itself */
    OK(azri_domain_create(&d, slashes, 0, power, &err));
    assert_int_equal(fake_clear(), 0);
    azri_domain_close(d);
    d = NULL;
    assert_int_equal(chdir(w.dir), 0);

    OK(azri_domain_create(&d, "n", 0, power, &err));
    assert_int_equal(fstat(azri_domain_dir(d), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    azri_domain_close(d);
    d = NULL;
    OK(azri_domain_create(&d, "m/", 0, power, &err));
    azri_domain_close(d);
    d = NULL;
    OK(azri_domain_create(&d, "/", AZRI_DOMAIN_PLAIN, power, &err));
    azri_domain_close(d);
    d = NULL;
    assert_int_equal(chdir(".."), 0);
    /* longer than any path can be: by a kernel that says it is there */
    memset(far, 'x', sizeof far - 1);
    far[sizeof far - 1] = '\0';
    far[sizeof far - 3] = '/';
    FAILS(azri_domain_create(&d, far, 0, power, &err), AZR_EIO, AZR_SUB_MKDIR,
          "mkdir");
    fake_fail(ON_MKDIRAT, "xxxx", 0, 1, EEXIST);
    FAILS(azri_domain_create(&d, far, 0, power, &err), AZR_EINVAL, AZR_SUB_NONE,
          "4999 bytes is too long");
    for (size_t at = 4094; at < 4096; at++) { /* what fits, and what does not */
        memset(far, 'x', sizeof far);
        far[at] = '/';
        far[at + 2] = '\0';
        fake_fail(ON_MKDIRAT, "xxxx", 0, 1, EEXIST);
        err = (azr_error)AZR_ERROR_INIT;
        assert_int_equal(azri_domain_create(&d, far, 0, power, &err),
                         at == 4094 ? AZR_EIO : AZR_EINVAL);
        (void)fake_clear();
    }
    assert_null(d);
}

/* ------------------------------------------------------------------- ready --- */

static int ready(void)
{
    return azri_domain_ready(other, &w.grid, AZR_DURABILITY_PROCESS,
                             &w.patience, &err);
}

static void begin_ready(unsigned flags)
{
    (void)fake_clear();
    OK(open_other(AZRI_DOMAIN_WRITE | flags));
}

static void test_ready(void **state)
{
    (void)state;
    begin_ready(0);
    OK(ready());
    fake_fail(ON_FSTATFS, NULL, 0, 1, EIO);
    OK(ready()); /* once is enough */
    assert_int_equal(fake_clear(), 0);
    begin_ready(0);
    assert_int_equal(link(below(0, ".azr/state"), below(0, "copy")), 0);
    FAILS(ready(), AZR_EUNSUPPORTED, AZR_SUB_STATE, "has 2 links");
    assert_int_equal(unlink(below(0, "copy")), 0);
    begin_ready(0);
    fake_magic = 0x6969;
    FAILS(ready(), AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM, "is on nfs");
    begin_ready(AZRI_DOMAIN_INSIST);
    fake_magic = 0x6969;
    OK(ready());
    begin_ready(0);
    fake_fail(ON_FSTATFS, NULL, 0, 1, EIO);
    FAILS(ready(), AZR_EIO, AZR_SUB_STAT, "statfs");
    begin_ready(0);
    fake_fail(ON_OPENAT, "state", 0, 1, EMFILE);
    FAILS(ready(), AZR_EIO, AZR_SUB_OPEN, "state");
    assert_int_equal(azri_domain_ready(other, &w.grid, 0, &w.patience, NULL),
                     AZR_OK);
    /* a reader's map will not do */
    OK(open_other(0));
    azri_domain_state(other)->writable = false;
    FAILS(ready(), AZR_EPERM, AZR_SUB_NONE, "is read-only");
    begin_ready(0);
    w.grid.keying.rank = 2;
    FAILS(ready(), AZR_ECORRUPT, AZR_SUB_STATE, "is of another array");
    w.grid.keying.rank = 1;
    begin_ready(0);
    atomic_store(&azri_state_changing(state_of(0))->fate, AZRI_FATE_REMOVED);
    FAILS(ready(), AZR_ENOTFOUND, AZR_SUB_STATE, "was removed");
}

/* The error of an open that the caller already has stays. */
static void test_first_error_stays(void **state)
{
    (void)state;
    begin_ready(0);
    fake_fail(ON_OPENAT, "state", 0, 1, EMFILE);
    err = (azr_error){.code = AZR_EINVAL, .message = "before"};
    assert_int_equal(ready(), AZR_EIO);
    assert_string_equal(err.message, "before");
    fake_fail(ON_OPENAT, "state", 0, 1, EMFILE);
    assert_int_equal(azri_domain_ready(other, &w.grid, 0, &w.patience, NULL),
                     AZR_EIO);
    for (int k = 0; k < 2; k++) {
        azri_domain *d = NULL;

        fake_fail(ON_OPENAT, "state", 0, 1, EMFILE);
        assert_int_equal(azri_domain_open(&d, w.path[0], 0, k ? NULL : &err),
                         AZR_EIO);
        assert_string_equal(err.message, "before");
    }
}

/* One byte, and nobody's. */
static void look_at_probe(void)
{
    azri_range all = {AZRI_LOCK_PROBE, 2 * AZRI_LOCK_PROBE - 1, true}, theirs;
    int fd = open(below(0, ".azr/state"), O_RDWR | O_CLOEXEC);

    assert_true(azri_ofd_conflict(fd, &all, &theirs));
    assert_true(theirs.first >= AZRI_LOCK_PROBE);
    assert_int_equal(theirs.last, theirs.first);
    assert_int_equal(close(fd), 0);
}

static void test_try_out(void **state)
{
    (void)state;
    begin_ready(0);
    fake_fail(ON_GETRANDOM, NULL, 0, 1, EAGAIN);
    FAILS(ready(), AZR_EIO, AZR_SUB_CALL, "getrandom");
    for (unsigned k = 0; k < 2; k++) { /* of `state`, then of two descriptors */
        begin_ready(0);
        fake_fail(ON_OPENAT, "state", 1 + k, 1, EMFILE);
        FAILS(ready(), AZR_EIO, AZR_SUB_OPEN, "state");
        begin_ready(0);
        fake_fail(ON_OPENAT, "state", 1 + k, 1, EACCES);
        FAILS(ready(), AZR_EPERM, AZR_SUB_OPEN, "state");
        begin_ready(0);
        fake_fail(ON_LOCK, "try PROBE", k, 1, ENOLCK);
        FAILS(ready(), AZR_EIO, AZR_SUB_LOCK, "lock");
    }
    begin_ready(0);
    fake_before(ON_LOCK, "unlock PROBE", 0, look_at_probe);
    OK(ready());
    assert_int_equal(fake_clear(), 1);
    begin_ready(0); /* somebody else tries the same byte */
    fake_fail(ON_LOCK, "try PROBE", 0, 1, EAGAIN);
    OK(ready());
    begin_ready(0);
    fake_fail(ON_LOCK, "unlock PROBE", 0, 1, EIO);
    FAILS(ready(), AZR_EIO, AZR_SUB_LOCK, "unlock");
}

static void forget_locks(void)
{
    /* as if locks were nobody's: the first one's is taken away */
    struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

    for (int i = 0; i < other->lent_count; i++)
        assert_int_equal(fcntl(other->lent[i], F_OFD_SETLK, &all), 0);
}

static void scribble(void)
{
    azri_header *h = (void *)azri_domain_state(other)->map;

    h->zero[0]++;
}

static void test_file_system_lies(void **state)
{
    (void)state;
    begin_ready(0);
    fake_before(ON_LOCK, "try PROBE", 1, forget_locks);
    FAILS(ready(), AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
          "locks do not exclude each other");
    begin_ready(0);
    fake_before(ON_LOCK, "unlock PROBE", 0, scribble);
    FAILS(ready(), AZR_EUNSUPPORTED, AZR_SUB_FILESYSTEM,
          "does not show its bytes");
}

/* A copy by a tool that keeps no empty directories. */
static void test_without_tx(void **state)
{
    (void)state;
    begin_ready(0);
    assert_int_equal(rmdir(below(0, ".azr/tx")), 0);
    OK(ready());
    assert_true(is_there(0, ".azr/tx"));
    begin_ready(0);
    fake_fail(ON_OPENAT, ".azr/tx", 0, 1, EMFILE);
    OK(ready()); /* asked again, which says why or does */
    assert_int_equal(fake_clear(), 1);
    begin_ready(0);
    fake_fail(ON_OPENAT, ".azr/tx", 0, 2, EMFILE);
    FAILS(ready(), AZR_EIO, AZR_SUB_OPEN, ".azr/tx");
    begin_ready(0);
    assert_int_equal(rmdir(below(0, ".azr/tx")), 0);
    fake_fail(ON_MKDIRAT, "tx", 0, 1, ENOSPC);
    FAILS(ready(), AZR_EIO, AZR_SUB_MKDIR, "tx");
    fake_fail(ON_OPENAT, ".azr/tx", 0, 9, ENOENT);
    FAILS(ready(), AZR_ENOTFOUND, AZR_SUB_STATE,
          "made anew by another program");
}

static void other_is_first(void)
{
    azr_error why = AZR_ERROR_INIT;
    bool has = false;
    int tx = -1;

    assert_int_equal(azri_domain_has_state(other, &has, &why), AZR_OK);
    assert_true(has);
    assert_int_equal(azri_domain_tx(other, &tx, &why), AZR_OK);
}

/* Two threads find the same: one of them keeps what it found. */
static void test_at_once(void **state)
{
    bool has = false;
    int fds[2] = {-1, -1};

    (void)state;
    begin_ready(0);
    fake_before(ON_OPENAT, ".azr/state", 0, other_is_first);
    OK(azri_domain_has_state(other, &has, &err));
    assert_true(has);
    assert_int_equal(fake_clear(), 1);
    begin_ready(0);
    fake_before(ON_OPENAT, ".azr/tx", 0, other_is_first);
    OK(azri_domain_tx(other, &fds[0], &err));
    assert_int_equal(fake_clear(), 1);
    OK(azri_domain_tx(other, &fds[1], &err));
    assert_int_equal(fds[0], fds[1]);
}

static void cut_state(void)
{
    assert_int_equal(truncate(below(0, ".azr/state"), 100), 0);
}

static void mark_removed(void)
{
    atomic_store(&azri_state_changing(state_of(0))->fate, AZRI_FATE_REMOVED);
}

static void test_while_it_is_opened(void **state)
{
    (void)state;
    begin_ready(0); /* it is removed */
    fake_before(ON_OPENAT, ".azr/tx", 0, mark_removed);
    fake_fail(ON_OPENAT, ".azr/tx", 0, 2, ENOENT);
    FAILS(ready(), AZR_ENOTFOUND, AZR_SUB_STATE, "was removed");
    atomic_store(&azri_state_changing(state_of(0))->fate, AZRI_FATE_NONE);
    begin_ready(0); /* it is cut between the question and the read */
    fake_before(ON_PREAD, ".azr/state", 0, cut_state);
    FAILS(ready(), AZR_ECORRUPT, AZR_SUB_CHUNK, "too early");
    OK(ready()); /* now it is known to be damaged */
    (void)fake_clear();
    fake_before(ON_PREAD, ".azr/state", 0, cut_state);
    FAILS(open_other(0), AZR_ECORRUPT, AZR_SUB_CHUNK, "too early");
    begin_ready(0);
    OK(ready());
}

/* Damage is mended by who is about to write, and told to everybody else. */
static void test_damaged(void **state)
{
    bool has = true;

    (void)state;
    begin_ready(0);
    put_file(below(0, ".azr/state"), "short", 5);
    OK(azri_domain_has_state(other, &has, &err));
    assert_false(has);
    fake_fail(ON_LOCK, "try INIT", 0, 1, EAGAIN);
    FAILS(ready(), AZR_EBUSY, AZR_SUB_STATE, "is damaged, and in use");
    OK(ready());
    put_file(below(0, ".azr/state"), "short", 5);
    FAILS(open_other(0), AZR_ECORRUPT, AZR_SUB_STATE, "has 5 bytes");
    assert_int_equal(unlink(below(0, ".azr/state")), 0);
    begin_ready(0);
    fake_fail(ON_GETRANDOM, NULL, 0, 1, EAGAIN);
    FAILS(ready(), AZR_EIO, AZR_SUB_CALL, "getrandom");
    OK(ready());
    assert_int_equal(unlink(below(0, ".azr/state")), 0);
    begin_ready(0); /* made, and removed under us */
    fake_fail(ON_OPENAT, ".azr/state", 1, 1, ENOENT);
    FAILS(ready(), AZR_ENOTFOUND, AZR_SUB_STATE, "by another program");
    OK(ready());
    for (unsigned k = 0; k < 6; k++) { /* opened, made (anew), opened */
        if (k % 2 == 0)
            put_file(below(0, ".azr/state"), "short", 5);
        else
            assert_int_equal(unlink(below(0, ".azr/state")), 0);
        begin_ready(0);
        fake_fail(ON_OPENAT, "state", k / 2, 1, EMFILE);
        FAILS(ready(), AZR_EIO, AZR_SUB_OPEN, "state");
        assert_int_equal(fake_clear(), 1);
        OK(ready());
    }
}

/* ------------------------------------------------------------------- check --- */

static int check(bool for_writing)
{
    return azri_domain_check(w.d[0], for_writing, &err);
}

static void test_check(void **state)
{
    azri_header *h = (void *)state_of(0)->map;
    uint64_t version;

    (void)state;
    OK(check(true));
    fake_fail(ON_FSTAT, ".azr/state", 0, 1, EIO);
    FAILS(check(true), AZR_EIO, AZR_SUB_STAT, "stat");
    assert_int_equal(link(below(0, ".azr/state"), below(0, "copy")), 0);
    FAILS(check(true), AZR_EUNSUPPORTED, AZR_SUB_STATE, "has 2 links");
    OK(check(false)); /* readers see only more rows */
    assert_int_equal(unlink(below(0, "copy")), 0);
    h->array_id[0] ^= 1;
    FAILS(check(false), AZR_ENOTFOUND, AZR_SUB_STATE, "not the one that this");
    FAILS(azri_domain_version(w.d[0], &version, &err), AZR_ENOTFOUND,
          AZR_SUB_STATE, "not the one that this");
    h->array_id[0] ^= 1;
    OK(azri_domain_version(w.d[0], &version, &err));
    atomic_store(&azri_state_changing(state_of(0))->fate, AZRI_FATE_REPLACED);
    FAILS(check(false), AZR_ENOTFOUND, AZR_SUB_STATE, "was replaced");
    FAILS(azri_domain_version(w.d[0], &version, &err), AZR_ENOTFOUND,
          AZR_SUB_STATE, "was replaced");
    atomic_store(&azri_state_changing(state_of(0))->fate, AZRI_FATE_NONE);
    assert_int_equal(unlink(below(0, ".azr/state")), 0);
    FAILS(check(false), AZR_ENOTFOUND, AZR_SUB_STATE, "by another program");
    atomic_store(&azri_state_changing(state_of(0))->fate, AZRI_FATE_REMOVING);
    FAILS(check(false), AZR_ENOTFOUND, AZR_SUB_STATE, "by another program");
}

/* Without a `state`: nothing to check, nothing to tell. */
static void test_stateless(void **state)
{
    uint8_t id[17] = {[0] = 1, [16] = 7}, zeros[16] = {0};
    uint64_t version = 7;
    bool has = true;
    azri_domain *d = NULL;

    (void)state;
    OK(azri_domain_open(&d, w.dir, AZRI_DOMAIN_WRITE, &err));
    fake_fail(ON_OPENAT, "state", 0, 1, EMFILE);
    FAILS(azri_domain_version(d, &version, &err), AZR_EIO, AZR_SUB_OPEN,
          "state");
    OK(azri_domain_check(d, true, &err));
    OK(azri_domain_version(d, &version, &err));
    assert_int_equal(version, 0);
    OK(azri_domain_match(d, &w.grid.keying, &err));
    assert_int_equal(azri_domain_durability(d), AZR_DURABILITY_PROCESS);
    assert_false(azri_domain_has_rows(d));
    azri_domain_array_id(d, id);
    assert_memory_equal(id, zeros, 16);
    assert_int_equal(id[16], 7);
    OK(azri_domain_gone(d, &err));
    OK(azri_domain_status(d, NULL, NULL, &err));
    azri_domain_close(d);
    OK(azri_domain_open(&d, w.path[0], AZRI_DOMAIN_STILL, &err));
    OK(azri_domain_has_state(d, &has, &err));
    assert_false(has); /* it has one, and it does not count */
    azri_domain_close(d);
    OK(azri_domain_open(&d, w.path[0], AZRI_DOMAIN_PLAIN, &err));
    assert_null(azri_domain_state(d));
    azri_domain_close(d);
}

static void test_match(void **state)
{
    azri_keying k = w.grid.keying;
    uint8_t id[16];

    (void)state;
    memset(id, ~state_of(0)->header.array_id[15], sizeof id);
    azri_domain_array_id(w.d[0], id);
    assert_memory_equal(id, state_of(0)->header.array_id, sizeof id);
    OK(azri_domain_match(w.d[0], &k, &err));
    k.zarr_format = 2;
    FAILS(azri_domain_match(w.d[0], &k, &err), AZR_ECORRUPT, AZR_SUB_STATE,
          "of another array");
    k = w.grid.keying;
    k.encoding = '2';
    FAILS(azri_domain_match(w.d[0], &k, &err), AZR_ECORRUPT, AZR_SUB_STATE,
          "of another array");
    k = w.grid.keying;
    k.separator = '.';
    FAILS(azri_domain_match(w.d[0], &k, &err), AZR_ECORRUPT, AZR_SUB_STATE,
          "of another array");
    k = w.grid.keying;
    k.rank = 3;
    FAILS(azri_domain_match(w.d[0], &k, &err), AZR_ECORRUPT, AZR_SUB_STATE,
          "the metadata say rank 3");
}

static void test_order(void **state)
{
    azri_state *a = state_of(0), *b = state_of(1);
    int sign = a->ino < b->ino ? -1 : 1;

    (void)state;
    assert_int_equal(azri_domain_compare(w.d[0], w.d[0]), 0);
    assert_int_equal(azri_domain_compare(w.d[0], w.d[1]), sign);
    assert_int_equal(azri_domain_compare(w.d[1], w.d[0]), -sign);
    assert_true(azri_domain_same_device(w.d[0], w.d[1]));
    b->dev++;
    assert_int_equal(azri_domain_compare(w.d[0], w.d[1]), -1);
    assert_int_equal(azri_domain_compare(w.d[1], w.d[0]), 1);
    assert_false(azri_domain_same_device(w.d[0], w.d[1]));
    b->dev--;
}

/* ------------------------------------------------------------- descriptors --- */

static void test_descriptors(void **state)
{
    int fds[AZRI_POOL_FDS + 2];
    azri_domain *d = w.d[0];

    (void)state;
    /* more than are kept idle */
    for (int i = 0; i < AZRI_POOL_FDS + 2; i++)
        OK(azri_domain_take_fd(d, &fds[i], &err));
    assert_int_equal(d->lent_count, AZRI_POOL_FDS + 2);
    azri_domain_drop_fd(d, fds[7]);
    assert_int_equal(fcntl(fds[7], F_GETFD), -1);
    azri_domain_drop_fd(d, open("/dev/null", O_RDONLY)); /* none of ours */
    for (int i = 0; i < AZRI_POOL_FDS + 2; i++) {
        if (i != 7)
            azri_domain_give_fd(d, fds[i]);
    }
    assert_int_equal(d->lent_count, 0);
    assert_int_equal(d->pool_count, AZRI_POOL_FDS);
    azri_domain_hold(d);
    assert_int_equal(pthread_mutex_trylock(&d->mutex), EBUSY);
    azri_domain_release(d);
    assert_int_equal(pthread_mutex_trylock(&d->mutex), 0);
    assert_int_equal(pthread_mutex_unlock(&d->mutex), 0);
    fake_fail(ON_FSTAT, ".azr/state", 0, 1, EIO);
    OK(azri_domain_take_fd(d, &fds[0], &err)); /* an idle one: not asked */
    assert_int_equal(fake_clear(), 0);
    azri_domain_give_fd(d, fds[0]);
}

static void test_descriptors_fail(void **state)
{
    int fds[32], n = 0;
    azri_domain *d = w.d[0];

    (void)state;
    while (d->pool_count > 0)
        OK(azri_domain_take_fd(d, &fds[n++], &err));
    while (d->lent_count < d->lent_capacity)
        OK(azri_domain_take_fd(d, &fds[n++], &err));
    azr_set_memory_cap(1); /* there is no room to note another one */
    FAILS(azri_domain_take_fd(d, &fds[n], &err), AZR_ENOMEM, AZR_SUB_NONE,
          "memory");
    azr_set_memory_cap(0);
    fake_fail(ON_FSTAT, ".azr/state", 0, 1, EIO);
    FAILS(azri_domain_take_fd(d, &fds[n], &err), AZR_EIO, AZR_SUB_STAT, "stat");
    state_of(0)->dev++;
    FAILS(azri_domain_take_fd(d, &fds[n], &err), AZR_ENOTFOUND, AZR_SUB_STATE,
          "by another program");
    state_of(0)->dev--;
    put_file(below(0, ".azr/next"), "", 0);
    assert_int_equal(rename(below(0, ".azr/next"), below(0, ".azr/state")), 0);
    FAILS(azri_domain_take_fd(d, &fds[n], &err), AZR_ENOTFOUND, AZR_SUB_STATE,
          "by another program");
    assert_int_equal(unlink(below(0, ".azr/state")), 0);
    FAILS(azri_domain_take_fd(d, &fds[n], &err), AZR_ENOTFOUND, AZR_SUB_STATE,
          "by another program");
    while (n > 0)
        azri_domain_give_fd(d, fds[--n]);
}

/* An idle one whose place among the lent ones cannot be had. */
static void test_idle_without_room(void **state)
{
    int fds[64], n = 0, fd;
    azri_domain *d = w.d[0];

    (void)state;
    while (n < 32)
        OK(azri_domain_take_fd(d, &fds[n++], &err));
    assert_int_equal(d->lent_count, d->lent_capacity);
    d->pool[d->pool_count++] = open(below(0, ".azr/state"), O_RDWR | O_CLOEXEC);
    azr_set_memory_cap(1);
    FAILS(azri_domain_take_fd(d, &fd, &err), AZR_ENOMEM, AZR_SUB_NONE,
          "memory");
    azr_set_memory_cap(0);
    assert_int_equal(d->pool_count, 1);
    while (n > 0)
        azri_domain_give_fd(d, fds[--n]);
}

/* -------------------------------------------------------------------- fork --- */

/* What carries locks of the parent is closed in the child, and nothing unlocked. */
static void test_fork(void **state)
{
    azri_range meta = {AZRI_LOCK_META, AZRI_LOCK_META, false};
    azri_txn *t = NULL, *u = NULL;
    int fd, carries, idle = -1, status = 0;
    pid_t child;

    (void)state;
    world_open(1, AZRI_DOMAIN_WRITE | AZRI_DOMAIN_KERNEL_LOCKS);
    world_open(0, AZRI_DOMAIN_WRITE); /* the older one: b is still known */
    assert_true(w.d[0]->table && !w.d[1]->table);
    assert_true(w.d[1]->pool_count > 0);
    OK(azri_txn_begin(&t, w.d[0], &w.patience, &err));
    OK(azri_txn_begin(&u, w.d[0], &w.patience, &err));
    OK(azri_txn_lock_meta(t, true, &err));
    OK(azri_domain_take_fd(w.d[0], &idle, &err));
    azri_domain_give_fd(w.d[0], idle);
    carries = t->fd;
    assert_true(w.d[0]->id_count > 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool ok = !azri_txn_is_owner(t) && t->fd == -1 && u->orphan &&
                  w.d[0]->pool_count == 0 && w.d[0]->lent_count == 0 &&
                  w.d[0]->txns == NULL && w.d[1]->pool_count == 0 &&
                  w.d[0]->id_count == 0 && t->orphan && u->fd == -1 &&
                  fcntl(carries, F_GETFD) == -1 && fcntl(idle, F_GETFD) == -1;

        ok = ok && azri_txn_commit(t, &err) == AZR_EINVAL &&
             strstr(err.message, "belongs to process");
        azri_txn_end(t); /* the parent's row stays */
        azri_txn_end(u);
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(azri_txn_is_owner(t));
    assert_int_equal(azri_word_state(word_of(0, t->row)), AZRI_ACTIVE);
    OK(azri_domain_take_fd(w.d[0], &fd, &err));
    assert_true(azri_ofd_busy(fd, &meta));
    azri_domain_give_fd(w.d[0], fd);
    azri_txn_end(t); /* not in the order they came */
    assert_ptr_equal(w.d[0]->txns, u);
    azri_txn_end(u);
    assert_null(w.d[0]->txns);
    assert_clean(0);
}

static _Atomic int g_came; /* 1: to the fork, 2: beyond it */
static _Atomic pid_t g_who;

static void *fork_too(void *arg)
{
    int status = 1;
    pid_t child;

    atomic_store(&g_who, gettid());
    atomic_store(&g_came, 1);
    child = fork();
    if (child == 0)
        _exit(0);
    atomic_store(&g_came, 2);
    (void)waitpid(child, &status, 0);
    return status == 0 ? NULL : arg;
}

/* Nobody is at the table of an array while the process is copied. */
static void test_fork_waits(void **state)
{
    pthread_t other_one;
    void *failed = &other_one;

    (void)state;
    atomic_store(&g_came, 0);
    azri_lock_table_before_fork(w.d[0]->table);
    assert_int_equal(pthread_create(&other_one, NULL, fork_too, &w), 0);
    while (atomic_load(&g_came) == 0 ||
           (atomic_load(&g_came) == 1 && !is_asleep(atomic_load(&g_who))))
        (void)sched_yield();
    assert_int_equal(atomic_load(&g_came), 1);
    azri_lock_table_after_fork(w.d[0]->table, false);
    assert_int_equal(pthread_join(other_one, &failed), 0);
    assert_null(failed);
}

/* Whoever is alive is in the list, however the others have gone. */
static void test_list_of_txns(void **state)
{
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        azri_txn *t[3] = {NULL};

        for (int k = 0; k < 3; k++)
            OK(azri_txn_begin(&t[k], w.d[0], &w.patience, &err));
        for (int gone = 0; gone < 3; gone++) {
            unsigned n = 0;

            azri_txn_end(t[orders[i][gone]]);
            t[orders[i][gone]] = NULL;
            for (azri_txn *x = w.d[0]->txns; x; x = x->next) {
                assert_true(x == t[0] || x == t[1] || x == t[2]);
                assert_ptr_equal(*x->link, x);
                n++;
            }
            assert_int_equal(n, 2 - gone);
        }
    }
}

static int no_upkeep(void *arg, azri_domain *d, bool owner, azr_error *e)
{
    (void)arg;
    (void)d;
    (void)owner;
    (void)e;
    return AZR_OK;
}

/* However it was opened, the fork handler knows it. */
static void test_list_of_domains(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        azri_domain *d = NULL, *e = NULL;

        OK(open_by(&d, way));
        OK(open_by(&e, way));
        assert_ptr_equal(*d->link, d);
        assert_ptr_equal(*e->link, e);
        assert_ptr_equal(e->next, d);
        azri_domain_close(way % 2 ? d : e);
        d = way % 2 ? e : d;
        assert_ptr_equal(*d->link, d);
        assert_ptr_equal(d->next, w.d[0]);
        assert_ptr_equal(w.d[0]->link, &d->next);
        azri_domain_close(d);
        assert_ptr_equal(*w.d[0]->link, w.d[0]);
    }
}

static void *open_and_close(void *arg)
{
    for (int i = 0; i < 3000; i++) {
        azri_domain *d = NULL;

        if (azri_domain_open(&d, "/", AZRI_DOMAIN_PLAIN, NULL) < 0)
            return arg;
        azri_domain_close(d);
    }
    return NULL;
}

/* Threads that open and close do not lose each other's. */
static void test_at_the_same_time(void **state)
{
    pthread_t threads[2];
    void *failed = NULL;

    (void)state;
    for (int k = 0; k < 2; k++)
        assert_int_equal(pthread_create(&threads[k], NULL, open_and_close, &w),
                         0);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(pthread_join(threads[k], &failed), 0);
        assert_null(failed);
    }
    assert_null(w.d[0]->next);
    assert_ptr_equal(*w.d[0]->link, w.d[0]);
}

/* What it takes over from the array beside which it was opened. */
static void test_beside(void **state)
{
    azri_domain *d = NULL;
    char path[256];
    bool has = false;

    (void)state;
    azri_domain_set_threads(w.d[0], 3);
    azri_domain_set_upkeep(w.d[0], no_upkeep, NULL);
    OK(azri_domain_open_beside(&d, w.d[0], "../b", &err));
    assert_int_equal(d->threads, 3);
    assert_ptr_equal(d->upkeep, no_upkeep);
    assert_null(d->table);
    assert_int_equal(d->flags, AZRI_DOMAIN_KERNEL_LOCKS);
    (void)snprintf(path, sizeof path, "%s/../b", w.path[0]);
    assert_string_equal(azri_domain_path(d), path);
    assert_int_equal(azri_domain_compare(d, w.d[1]), 0);
    azri_domain_close(d);
    OK(azri_domain_open_at(&d, AT_FDCWD, w.path[1], "b", &err));
    assert_int_equal(d->flags, AZRI_DOMAIN_KERNEL_LOCKS | AZRI_DOMAIN_WRITE);
    OK(azri_domain_has_state(d, &has, &err));
    assert_true(has);
    azri_domain_close(d);
    /* and each path that it remembers is given back with it */
    for (int i = 0; i < AZRI_BESIDE; i++) {
        assert_null(w.d[0]->beside[i].path);
        w.d[0]->beside[i].path = azri_strdup("../x");
    }
}

/* New files get the rights of the array's directory, and its group. */
static void test_rights(void **state)
{
    bool root = geteuid() == 0;
    azri_domain *d = NULL;
    struct stat st;

    (void)state;
    assert_int_equal(chmod(w.path[0], 0751), 0);
    if (root)
        assert_int_equal(chown(w.path[0], (uid_t)-1, NOBODY), 0);
    world_open(0, AZRI_DOMAIN_WRITE);
    assert_int_equal(w.d[0]->dir_mode, 0751);
    assert_int_equal(w.d[0]->dir_gid, root ? NOBODY : getegid());
    assert_int_equal(w.d[0]->uid, geteuid());
    OK(azri_plain_replace(w.d[0], "c/1", bytes_of("x"), &err));
    assert_int_equal(stat(below(0, "c/1"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_gid, root ? NOBODY : getegid());
    assert_int_equal(stat(below(0, "c"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0751);
    if (!root)
        return;
    assert_int_equal(seteuid(NOBODY), 0);
    OK(azri_domain_open(&d, "/", AZRI_DOMAIN_PLAIN, &err));
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(d->uid, NOBODY);
    azri_domain_close(d);
}

/* Who may only read locks through what may only be read. */
static void test_descriptor_of_reader(void **state)
{
    azri_domain *d = open_read_only();
    int fd = -1;

    (void)state;
    OK(azri_domain_take_fd(d, &fd, &err));
    assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    azri_domain_give_fd(d, fd);
    azri_domain_close(d);
    no_idle_descriptors(w.d[0]);
    OK(azri_domain_take_fd(w.d[0], &fd, &err));
    assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    azri_domain_give_fd(w.d[0], fd);
}

#define T(f)  cmocka_unit_test_setup_teardown(f, world_begin, teardown)
#define T2(f) cmocka_unit_test_setup_teardown(f, world_begin_two, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_open_fails),
        T(test_open_no_memory),
        T(test_open_one_fails),
        T(test_create_fails),
        T(test_ready),
        T(test_first_error_stays),
        T(test_try_out),
        T(test_file_system_lies),
        T(test_without_tx),
        T(test_damaged),
        T(test_at_once),
        T(test_while_it_is_opened),
        T(test_check),
        T(test_stateless),
        T(test_match),
        T2(test_order),
        T(test_descriptors),
        T(test_descriptors_fail),
        T(test_idle_without_room),
        T2(test_fork),
        T(test_fork_waits),
        T(test_list_of_txns),
        T(test_list_of_domains),
        T(test_at_the_same_time),
        T2(test_beside),
        T(test_rights),
        T(test_descriptor_of_reader),
    };

    return cmocka_run_group_tests(tests, nomem_install, NULL);
}
