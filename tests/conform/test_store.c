/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every store must do (azr/sys/store.h), run on each store there is. A store
 * is a row of `kinds`: how to make it, and how to put things under its keys
 * behind its back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/store_fs.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct kind {
    const char *name;
    uint32_t capabilities; /* at least these are declared */
} kind;

static const kind kinds[] = {
    {"fs", AZR_STORE_STABLE_OBJECTS | AZR_STORE_ATOMIC_REPLACE |
               AZR_STORE_LOCAL_FILES},
};

/* ----------------------------------------------------------- the fs kind --- */

typedef struct fixture {
    char dir[64];
    int fd;
    azr_store *store;
    azr_error err;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    (void)snprintf(f->dir, sizeof f->dir, "store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(f->fd >= 0);
    assert_int_equal(azri_store_fs_new(&f->store, f->fd, &f->err), AZR_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    char command[96];

    f->store->ops->free(f->store);
    (void)close(f->fd);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

/* Replace what is under `key` as a whole; false if that failed. */
static bool put_quietly(const fixture *f, const char *key, const void *data,
                        size_t n)
{
    int fd = openat(f->fd, ".new", O_WRONLY | O_CREAT | O_EXCL, 0666);
    bool is_good = fd >= 0 && write(fd, data, n) == (ssize_t)n;

    if (fd >= 0)
        (void)close(fd);
    return is_good && renameat(f->fd, ".new", f->fd, key) == 0;
}

static void put(const fixture *f, const char *key, const void *data, size_t n)
{
    assert_true(put_quietly(f, key, data, n));
}

/* ----------------------------------------------------------------- tests --- */

static azr_object opened(fixture *f, const char *key)
{
    azr_object o = AZR_OBJECT_INIT;

    assert_int_equal(f->store->ops->open(f->store, key, &o, &f->err), AZR_OK);
    assert_true(o.handle >= 0);
    return o;
}

static void test_declared(void **state)
{
    fixture *f = *state;

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, f->store->ops->name) == 0) {
            assert_int_equal(f->store->ops->capabilities,
                             kinds[i].capabilities);
            return;
        }
    }
    fail_msg("a store '%s' that is no row of `kinds`", f->store->ops->name);
}

/* A missing key is no error worth words: who asks expects it. */
static void test_missing(void **state)
{
    fixture *f = *state;
    static const char *const keys[] = {"none", "c/0/0", ".hidden"};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        azr_object o = AZR_OBJECT_INIT;

        assert_int_equal(f->store->ops->open(f->store, keys[i], &o, &f->err),
                         AZR_ENOTFOUND);
        assert_true(o.handle < 0);
        assert_int_equal(
            f->store->ops->identify(f->store, keys[i], &o, &f->err),
            AZR_ENOTFOUND);
        assert_string_equal(f->err.message, "");
    }
}

static void test_whole_and_part(void **state)
{
    fixture *f = *state;
    azr_object o;
    char buf[8] = "-------";

    put(f, "0.0", "abcdefg", 7);
    o = opened(f, "0.0");
    assert_int_equal(o.id.nbytes, 7);
    assert_int_equal(
        f->store->ops->read(f->store, &o, buf, 7, 0, "0.0", &f->err), AZR_OK);
    assert_memory_equal(buf, "abcdefg", 7);
    assert_int_equal(
        f->store->ops->read(f->store, &o, buf, 3, 4, "0.0", &f->err), AZR_OK);
    assert_memory_equal(buf, "efgdefg", 7);
    assert_int_equal(
        f->store->ops->read(f->store, &o, buf, 0, 7, "0.0", &f->err), AZR_OK);
    f->store->ops->close(f->store, &o);
    assert_true(o.handle < 0);
}

/* Short objects are damage that names the key, not zeros. */
static void test_beyond_end(void **state)
{
    fixture *f = *state;
    azr_object o;
    char buf[8];

    put(f, "c.1", "abc", 3);
    o = opened(f, "c.1");
    assert_int_equal(
        f->store->ops->read(f->store, &o, buf, 4, 0, "c.1", &f->err),
        AZR_ECORRUPT);
    assert_non_null(strstr(f->err.message, "c.1"));
    f->store->ops->close(f->store, &o);
}

static void test_empty_object(void **state)
{
    fixture *f = *state;
    azr_object o;
    char buf[1];

    put(f, "empty", "", 0);
    o = opened(f, "empty");
    assert_int_equal(o.id.nbytes, 0);
    assert_int_equal(
        f->store->ops->read(f->store, &o, buf, 0, 0, "empty", &f->err), AZR_OK);
    f->store->ops->close(f->store, &o);
}

static void test_identity(void **state)
{
    fixture *f = *state;
    azr_object a = AZR_OBJECT_INIT, b = AZR_OBJECT_INIT;
    azr_object o;

    put(f, "k", "one", 3);
    o = opened(f, "k");
    assert_int_equal(f->store->ops->identify(f->store, "k", &a, &f->err),
                     AZR_OK);
    assert_true(a.handle < 0);
    assert_memory_equal(&a.id, &o.id, sizeof a.id);
    put(f, "k", "two", 3);
    assert_int_equal(f->store->ops->identify(f->store, "k", &b, &f->err),
                     AZR_OK);
    assert_memory_not_equal(&a.id, &b.id, sizeof a.id);
    f->store->ops->close(f->store, &o);
}

/* AZR_STORE_STABLE_OBJECTS: replaced or removed, what is open stays. */
static void test_stable(void **state)
{
    fixture *f = *state;
    azr_object o, again = AZR_OBJECT_INIT;
    char buf[3];

    put(f, "k", "old", 3);
    o = opened(f, "k");
    put(f, "k", "new", 3);
    assert_int_equal(f->store->ops->read(f->store, &o, buf, 3, 0, "k", &f->err),
                     AZR_OK);
    assert_memory_equal(buf, "old", 3);
    assert_int_equal(unlinkat(f->fd, "k", 0), 0);
    assert_int_equal(f->store->ops->read(f->store, &o, buf, 3, 0, "k", &f->err),
                     AZR_OK);
    assert_memory_equal(buf, "old", 3);
    assert_int_equal(f->store->ops->open(f->store, "k", &again, &f->err),
                     AZR_ENOTFOUND);
    f->store->ops->close(f->store, &o);
}

/* What is no object is neither missing nor waited for. */
static void test_no_object(void **state)
{
    fixture *f = *state;
    static const char *const keys[] = {"directory", "pipe"};

    assert_int_equal(mkdirat(f->fd, "directory", 0777), 0);
    assert_int_equal(mkfifoat(f->fd, "pipe", 0666), 0);
    for (size_t i = 0; i < 2; i++) {
        azr_object o = AZR_OBJECT_INIT;

        memset(&f->err, 0, sizeof f->err);
        assert_int_equal(f->store->ops->open(f->store, keys[i], &o, &f->err),
                         AZR_ECORRUPT);
        assert_non_null(strstr(f->err.message, keys[i]));
        assert_true(o.handle < 0);
        assert_int_equal(
            f->store->ops->identify(f->store, keys[i], &o, &f->err),
            AZR_ECORRUPT);
    }
}

/* AZR_STORE_ATOMIC_REPLACE, and reading from several threads at once: an object
 * is all of one version. */
#define ROUNDS  400
#define READERS 3
#define NBYTES  20000

typedef struct race {
    fixture *f;
    atomic_bool is_over;
    _Atomic int reads, torn, errors;
} race;

static void read_once(race *r, uint8_t *buf)
{
    azr_store *s = r->f->store;
    azr_error err = AZR_ERROR_INIT;
    azr_object o = AZR_OBJECT_INIT;

    if (s->ops->open(s, "k", &o, &err) != AZR_OK ||
        s->ops->read(s, &o, buf, NBYTES, 0, "k", &err) != AZR_OK)
        atomic_fetch_add(&r->errors, 1);
    else if (o.id.nbytes != NBYTES || memcmp(buf, buf + 1, NBYTES - 1) != 0)
        atomic_fetch_add(&r->torn, 1);
    if (o.handle >= 0)
        s->ops->close(s, &o);
    atomic_fetch_add(&r->reads, 1);
}

static void *read_on(void *arg)
{
    race *r = arg;
    uint8_t *buf = malloc(NBYTES);

    while (buf && !atomic_load(&r->is_over))
        read_once(r, buf);
    free(buf);
    return NULL;
}

static void test_whole_versions(void **state)
{
    race r = {.f = *state};
    pthread_t threads[READERS];
    uint8_t *data = malloc(NBYTES);
    bool is_good = true;

    assert_non_null(data);
    memset(data, 0, NBYTES);
    put(r.f, "k", data, NBYTES);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &r), 0);
    for (int i = 0; is_good && (i < ROUNDS || atomic_load(&r.reads) < ROUNDS);
         i++) {
        memset(data, i, NBYTES);
        is_good = put_quietly(r.f, "k", data, NBYTES);
    }
    atomic_store(&r.is_over, true);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    free(data);
    assert_true(is_good);
    assert_true(atomic_load(&r.reads) >= ROUNDS);
    assert_int_equal(atomic_load(&r.errors), 0);
    assert_int_equal(atomic_load(&r.torn), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_declared),       TEST(test_missing),
        TEST(test_whole_and_part), TEST(test_beyond_end),
        TEST(test_empty_object),   TEST(test_identity),
        TEST(test_stable),         TEST(test_no_object),
        TEST(test_whole_versions),
    };

    return cmocka_run_group_tests_name("fs", tests, NULL, NULL);
}
