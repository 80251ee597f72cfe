/* SPDX-License-Identifier: Apache-2.0 */
/* What belongs to the whole process: memory and its cap, the log, counters, tokens;
 * and errors, which are told once, by the lowest layer. */
#include "unit/checks.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ memory --- */

static int g_left = -1; /* calls until one fails; below 0: none does */

static void *test_alloc(size_t nbytes, void *arg)
{
    (void)arg;
    return g_left >= 0 && g_left-- == 0 ? NULL : malloc(nbytes);
}

static void *test_resize(void *p, size_t nbytes, void *arg)
{
    (void)arg;
    return g_left >= 0 && g_left-- == 0 ? NULL : realloc(p, nbytes);
}

static void test_release(void *p, void *arg)
{
    ++*(int *)arg;
    free(p);
}

static void test_an_allocator_is_whole_and_early(void **state)
{
    static int released;
    azr_allocator own = {test_alloc, test_resize, NULL, &released};
    void *p;

    (void)state;
    assert_int_equal(azr_set_allocator(&own), AZR_EINVAL);
    own.release = test_release;
    own.resize = NULL;
    assert_int_equal(azr_set_allocator(&own), AZR_EINVAL);
    own.resize = test_resize;
    own.alloc = NULL;
    assert_int_equal(azr_set_allocator(&own), AZR_EINVAL);
    own.alloc = test_alloc;
    assert_int_equal(azr_set_allocator(&own), AZR_OK);

    p = azri_alloc(3);
    assert_non_null(p);
    assert_int_equal(azr_set_allocator(NULL), AZR_EINVAL); /* one is in use */
    azr_free(p);
    azr_free(NULL);
    assert_int_equal(released, 1);
    assert_int_equal(azr_set_allocator(NULL), AZR_OK);
    azri_free(azri_alloc(1));
    assert_int_equal(released, 1);
}

/* Sizes that cannot be, whether a number or a product. */
static void test_impossible_sizes(void **state)
{
    azri_buf b = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;
    void *p = azri_alloc(8);

    (void)state;
    assert_non_null(p);
    assert_null(azri_alloc(SIZE_MAX));
    assert_null(azri_alloc(SIZE_MAX / 2 + 1));
    assert_null(azri_calloc(SIZE_MAX / 2, 3));
    assert_null(azri_resize(p, SIZE_MAX / 2 + 1));
    azri_free(p);
    OK(azri_buf_puts(&b, "abc", &err));
    assert_int_equal(azri_buf_append(&b, "x", SIZE_MAX - 2, &err), AZR_ENOMEM);
    assert_non_null(strstr(err.message, "out of memory: "));
    assert_int_equal(b.nbytes, 3);
    azri_buf_dispose(&b);
    assert_int_equal(azri_heap_nbytes(), 0);
}

/* What cannot be had is not counted, and what was there stays. */
static void test_no_memory(void **state)
{
    static int released;
    const azr_allocator own = {test_alloc, test_resize, test_release,
                               &released};
    azri_buf b = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;
    uint64_t before;
    char *p;

    (void)state;
    OK(azr_set_allocator(&own));
    p = azri_strdup("seven");
    assert_non_null(p);
    before = azri_heap_nbytes();
    g_left = 0;
    assert_null(azri_alloc(100));
    g_left = 0;
    assert_null(azri_calloc(10, 10));
    g_left = 0;
    assert_null(azri_strndup("text", 4));
    g_left = 0;
    assert_null(azri_resize(p, 1000));
    g_left = 0;
    assert_null(azri_resize(p, 2)); /* a smaller one, too */
    assert_int_equal(azri_heap_nbytes(), before);
    assert_string_equal(p, "seven");
    g_left = 0;
    assert_int_equal(azri_buf_printf(&b, &err, "%d", 12), AZR_ENOMEM);
    g_left = 0;
    assert_int_equal(azri_buf_terminate(&b, &err), AZR_ENOMEM);
    assert_int_equal(b.nbytes, 0);
    p = azri_resize(p, 2);
    assert_non_null(p);
    assert_int_equal(azri_heap_nbytes(), before - 4);
    azri_free(p);
    OK(azr_set_allocator(NULL));
}

static void test_no_memory_for_a_token(void **state)
{
    static int released;
    const azr_allocator own = {test_alloc, test_resize, test_release,
                               &released};
    azr_error err = AZR_ERROR_INIT;
    azr_cancel *c = NULL;

    (void)state;
    OK(azr_set_allocator(&own));
    g_left = 0;
    assert_int_equal(azr_cancel_new(&c), AZR_ENOMEM);
    assert_null(c);
    OK(azr_set_allocator(NULL));
}

/* The cap counts headers as well; what it refuses can be had once it is gone. */
static void test_the_cap(void **state)
{
    azr_stats s = {.struct_size = sizeof s};
    azr_error err = AZR_ERROR_INIT;
    void *p, *more;

    (void)state;
    azr_set_memory_cap(4096);
    p = azri_alloc(1000);
    assert_non_null(p);
    assert_null(azri_alloc(4000));
    assert_null(azri_resize(p, 4090));
    more = azri_resize(p, 2000);
    assert_non_null(more);
    OK(azr_stats_get(&s));
    assert_in_range(s.heap_nbytes, 2000, 2100);
    assert_in_range(s.heap_peak_nbytes, s.heap_nbytes, UINT64_MAX);
    azr_set_memory_cap(0);
    p = azri_alloc(8192);
    assert_non_null(p);
    azri_free(p);
    azri_free(more);
    assert_int_equal(azri_heap_nbytes(), 0);
    assert_in_range(azri_heap_peak_nbytes(), 8192 + 2000, UINT64_MAX);
}

static void test_counters_want_their_size(void **state)
{
    azr_stats s = {.struct_size = (uint32_t)sizeof s - 1, .reads = 7};

    (void)state;
    assert_int_equal(azr_stats_get(NULL), AZR_EINVAL);
    assert_int_equal(azr_stats_get(&s), AZR_EINVAL);
    assert_int_equal(s.reads, 7);
}

/* ------------------------------------------------------------------ tokens --- */

static void test_tokens(void **state)
{
    azr_error err = AZR_ERROR_INIT;
    azr_cancel *c = NULL;

    (void)state;
    assert_false(azri_canceled(NULL));
    azr_cancel_request(NULL);
    azr_cancel_reset(NULL);
    azr_cancel_free(NULL);
    OK(azr_cancel_new(&c));
    assert_false(azri_canceled(c));
    azr_cancel_request(c);
    assert_true(azri_canceled(c));
    azr_cancel_reset(c);
    assert_false(azri_canceled(c));
    azr_cancel_free(c);
}

/* --------------------------------------------------------------------- log --- */

static char g_line[512];
static int g_level, g_lines;

static void keep_line(int level, const char *text, void *arg)
{
    assert_ptr_equal(arg, &g_line);
    g_level = level;
    g_lines++;
    (void)snprintf(g_line, sizeof g_line, "%s", text);
}

static void test_the_log(void **state)
{
    (void)state;
    azr_set_log(keep_line, AZR_LOG_WARNING, &g_line);
    azri_log(AZR_LOG_INFO, "too much");
    assert_int_equal(g_lines, 0);
    azri_log(AZR_LOG_WARNING, "%d lines\nof %s", 2, "text");
    assert_int_equal(g_level, AZR_LOG_WARNING);
    assert_string_equal(g_line, "2 lines?of text");
    azri_log(AZR_LOG_ERROR, "worse");
    assert_string_equal(g_line, "worse");
    azr_set_log(NULL, AZR_LOG_DEBUG, NULL);
    azri_log(AZR_LOG_ERROR, "nowhere");
    assert_int_equal(g_lines, 2);
}

/* ------------------------------------------------------------------ errors --- */

static void test_names_of_statuses(void **state)
{
    (void)state;
    assert_string_equal(azr_status_name(AZR_OK), "AZR_OK");
    assert_string_equal(azr_status_name(AZR_EUNKNOWN), "AZR_EUNKNOWN");
    assert_string_equal(azr_status_name(AZR_EUNKNOWN - 1), "unknown status");
    assert_string_equal(azr_status_name(1), "unknown status");
    assert_string_equal(azr_version(), AZR_VERSION);
}

static void test_errnos(void **state)
{
    static const struct {
        int number, code;
    } all[] = {{EACCES, AZR_EPERM},  {EPERM, AZR_EPERM}, {EROFS, AZR_EPERM},
               {ENOMEM, AZR_ENOMEM}, {ENOENT, AZR_EIO},  {EIO, AZR_EIO}};

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        azr_error err = AZR_ERROR_INIT;

        assert_int_equal(azri_fail_errno(&err, AZR_SUB_READ, all[i].number,
                                         "read '%s'", "x"),
                         all[i].code);
        assert_int_equal(err.code, all[i].code);
        assert_int_equal(err.sub, AZR_SUB_READ);
        assert_int_equal(err.sys_errno, all[i].number);
        assert_non_null(strstr(err.message, strerror(all[i].number)));
        assert_memory_equal(err.message, "read 'x': ", 10);
    }
}

/* The first message stays, and none is needed. */
static void test_the_first_message_stays(void **state)
{
    azr_error err = AZR_ERROR_INIT, other = AZR_ERROR_INIT;

    (void)state;
    assert_int_equal(azri_fail(NULL, AZR_EBUSY, "a"), AZR_EBUSY);
    assert_int_equal(azri_fail_errno(NULL, AZR_SUB_READ, EIO, "a"), AZR_EIO);
    assert_int_equal(azri_fail_sub(&err, AZR_EBUSY, AZR_SUB_NESTED, "first"),
                     AZR_EBUSY);
    assert_int_equal(azri_fail_errno(&err, AZR_SUB_READ, EIO, "b"), AZR_EIO);
    assert_int_equal(azri_fail(&err, AZR_ECORRUPT, "c"), AZR_ECORRUPT);
    azri_error_pass(&err, &other);
    assert_int_equal(err.code, AZR_EBUSY);
    assert_string_equal(err.message, "first");
    azri_error_pass(NULL, &err);
    azri_error_pass(&other, &err);
    assert_string_equal(other.message, "first");
    azri_error_reset(NULL);
    azri_error_reset(&other);
    assert_int_equal(other.code, 0);
    assert_string_equal(other.message, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_allocator_is_whole_and_early),
        cmocka_unit_test(test_impossible_sizes),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_no_memory_for_a_token),
        cmocka_unit_test(test_the_cap),
        cmocka_unit_test(test_counters_want_their_size),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_the_log),
        cmocka_unit_test(test_names_of_statuses),
        cmocka_unit_test(test_errnos),
        cmocka_unit_test(test_the_first_message_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
