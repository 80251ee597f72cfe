/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "model/key.h"

static void expect_key(const azri_keying *k, const uint64_t *coords,
                       const char *key)
{
    uint64_t back[AZR_MAX_RANK];
    char text[AZRI_KEY_MAX];

    assert_int_equal(azri_key_format(text, k, coords), strlen(key));
    assert_string_equal(text, key);
    assert_true(azri_key_parse(back, k, key));
    assert_memory_equal(back, coords, k->rank * sizeof coords[0]);
}

static void test_forms(void **state)
{
    const uint64_t c[3] = {1, 23, 45}, zero[1] = {0};

    (void)state;
    expect_key(&(azri_keying){3, 'd', '/', 3}, c, "c/1/23/45");
    expect_key(&(azri_keying){3, 'd', '.', 3}, c, "c.1.23.45");
    expect_key(&(azri_keying){3, '2', '.', 3}, c, "1.23.45");
    expect_key(&(azri_keying){3, '2', '/', 3}, c, "1/23/45");
    expect_key(&(azri_keying){2, '2', '.', 1}, zero, "0");
    expect_key(&(azri_keying){3, 'd', '/', 1}, zero, "c/0");
    expect_key(&(azri_keying){3, 'd', '/', 0}, c, "c");
    expect_key(&(azri_keying){3, 'd', '.', 0}, c, "c");
    expect_key(&(azri_keying){2, '2', '.', 0}, c, "0");
}

static void test_longest(void **state)
{
    azri_keying k = {3, 'd', '/', AZR_MAX_RANK};
    uint64_t c[AZR_MAX_RANK], back[AZR_MAX_RANK];
    char text[AZRI_KEY_MAX];

    (void)state;
    for (int d = 0; d < AZR_MAX_RANK; d++)
        c[d] = INT64_MAX;
    assert_true(azri_key_format(text, &k, c) < AZRI_KEY_MAX);
    assert_true(azri_key_parse(back, &k, text));
    assert_memory_equal(back, c, sizeof c);
}

static void test_round_trip(void **state)
{
    uint64_t seed = 88172645463325252U;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        azri_keying k = {3, next_random(&seed) & 1 ? 'd' : '2',
                         next_random(&seed) & 1 ? '/' : '.',
                         (uint8_t)(next_random(&seed) % 6)};
        uint64_t c[AZR_MAX_RANK] = {0}, back[AZR_MAX_RANK] = {0};
        char text[AZRI_KEY_MAX];
        size_t length;

        for (int d = 0; d < k.rank; d++)
            c[d] = next_random(&seed) >> (1 + next_random(&seed) % 62);
        length = azri_key_format(text, &k, c);
        assert_int_equal(length, strlen(text));
        assert_true(azri_key_parse(back, &k, text));
        assert_memory_equal(back, c, sizeof c);
    }
}

static void test_rejects(void **state)
{
    static const azri_keying slash = {3, 'd', '/', 2}, dot = {2, '2', '.', 2},
                             scalar3 = {3, 'd', '/', 0},
                             scalar2 = {2, '2', '.', 0};
    static const struct {
        const azri_keying *k;
        const char *key;
    } bad[] = {
        {&slash, "c/0/-1"},
        {&slash, "c/00/0"},
        {&slash, "c/1e1"},
        {&slash, "c/1e1/0"},
        {&slash, "c/0/+1"},
        {&slash, "c/0/1 "},
        {&slash, "c/ 0/1"},
        {&slash, "c/0"},
        {&slash, "c/0/1/2"},
        {&slash, "c/0/1/"},
        {&slash, "c/0//1"},
        {&slash, "c//0"},
        {&slash, "c0/1"},
        {&slash, "c.0.1"},
        {&slash, "c/0.1"},
        {&slash, "0/1"},
        {&slash, "c"},
        {&slash, ""},
        {&slash, "C/0/1"},
        {&slash, "c/0/01"},
        {&slash, "c/0/9223372036854775808"},
        {&slash, "c/0/99999999999999999999999"},
        {&slash, "c/0/\xEF\xBC\x91"}, /* a full-width digit */
        {&slash, "zarr.json"},
        {&slash, "c/0/1.tmp"},
        {&dot, "0/1"},
        {&dot, "0"},
        {&dot, ""},
        {&dot, ".0.1"},
        {&dot, "0.1."},
        {&dot, "0..1"},
        {&dot, ".zarray"},
        {&dot, "c.0.1"},
        {&scalar3, ""},
        {&scalar3, "c/"},
        {&scalar3, "c/0"},
        {&scalar3, "0"},
        {&scalar2, ""},
        {&scalar2, "c"},
        {&scalar2, "00"},
        {&scalar2, "0.0"},
    };
    uint64_t back[AZR_MAX_RANK];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (azri_key_parse(back, bad[i].k, bad[i].key))
            fail_msg("\"%s\" was taken", bad[i].key);
    }
    assert_true(azri_key_parse(back, &slash, "c/0/9223372036854775807"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_rejects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
