/* SPDX-License-Identifier: Apache-2.0 */
/* What goes in comes out, for every codec, size and item size. */
#include "codec_fixture.h"

#include "base/alloc.h"

static void round_trip(const struct fx_kind *kind, size_t item, size_t nbytes,
                       uint8_t *data, uint8_t *back)
{
    struct fixture f;
    azri_span stored = {NULL, 0};

    fx_one(&f, item, nbytes / item, kind->name, kind->config, kind->dialect);
    nbytes = nbytes / item * item;
    fx_fill(data, nbytes, (uint32_t)(nbytes + item));
    memset(back, 0xA5, nbytes + 1);
    if (fx_encode(&f, data, nbytes, &stored) < 0)
        fail_msg("%s %zu: %s", kind->name, nbytes, f.err.message);
    assert_true(stored.nbytes <= azri_chain_stored_max(f.chain));
    if (fx_decode(&f, stored.data, stored.nbytes, back, nbytes) < 0)
        fail_msg("%s %zu: %s", kind->name, nbytes, f.err.message);
    assert_memory_equal(back, data, nbytes);
    assert_int_equal(back[nbytes], 0xA5);
    fx_free(&f);
}

static void test_every_codec_and_size(void **state)
{
    static const size_t sizes[] = {0,   1,    7,      127,
                                   128, 4096, 300000, (size_t)1 << 20};
    static const size_t items[] = {1, 2, 4, 8, 16};
    uint8_t *data = azri_alloc((size_t)1 << 20);
    uint8_t *back = azri_alloc(((size_t)1 << 20) + 1);

    (void)state;
    assert_non_null(data);
    assert_non_null(back);
    for (size_t k = 0; k < FX_KIND_COUNT; k++) {
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            for (size_t i = 0; i < sizeof items / sizeof items[0]; i++)
                round_trip(&fx_kinds[k], items[i], sizes[s], data, back);
        }
    }
    azri_free(data);
    azri_free(back);
}

/* Nothing to gain: every compressor has to store, within its bound. */
static void test_incompressible(void **state)
{
    enum { N = 1 << 16 };
    static uint8_t data[N], back[N];
    uint32_t x = 1;

    (void)state;
    for (size_t i = 0; i < N; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        data[i] = (uint8_t)(x >> 11 & 0xff);
    }
    for (size_t k = 0; k < FX_KIND_COUNT; k++) {
        struct fixture f;
        azri_span stored = {NULL, 0};

        fx_one(&f, 4, N / 4, fx_kinds[k].name, fx_kinds[k].config,
               fx_kinds[k].dialect);
        assert_int_equal(fx_encode(&f, data, N, &stored), AZR_OK);
        assert_true(stored.nbytes >= N);
        assert_int_equal(fx_decode(&f, stored.data, stored.nbytes, back, N),
                         AZR_OK);
        assert_memory_equal(back, data, N);
        fx_free(&f);
    }
}

/* Few values, in runs: matches far back, which a table of earlier chunks could
 * change. */
static void fill_with_matches(uint8_t *data, size_t nbytes, uint32_t seed)
{
    uint32_t x = seed;

    for (size_t i = 0; i < nbytes; i++) {
        x = x * 1664525u + 1013904223u;
        data[i] = x >> 28 == 0 || i < 100 ? (uint8_t)(x >> 24 & 7)
                                          : data[i - 1 - (x >> 26)];
    }
}

/* Equal chunks give equal bytes, whatever the coder did before. */
static void test_deterministic(void **state)
{
    static uint8_t data[300000], other[300000], first[700000];

    (void)state;
    fill_with_matches(data, sizeof data, 1);
    fill_with_matches(other, sizeof other, 2);
    for (size_t k = 0; k < FX_KIND_COUNT; k++) {
        struct fixture f;
        azri_span stored = {NULL, 0};
        size_t nbytes;

        fx_one(&f, 4, sizeof data / 4, fx_kinds[k].name, fx_kinds[k].config,
               fx_kinds[k].dialect);
        assert_int_equal(fx_encode(&f, data, sizeof data, &stored), AZR_OK);
        nbytes = stored.nbytes;
        assert_true(nbytes <= sizeof first);
        memcpy(first, stored.data, nbytes);
        assert_int_equal(fx_encode(&f, other, sizeof other, &stored), AZR_OK);
        assert_int_equal(fx_encode(&f, data, sizeof data, &stored), AZR_OK);
        assert_int_equal(stored.nbytes, nbytes);
        assert_memory_equal(stored.data, first, nbytes);
        fx_free(&f);
    }
}

/* One coder serves chains of any kind, and gives back all it took. */
static void test_coder_is_shared_and_returns_all(void **state)
{
    static uint8_t data[4096], back[4096];
    uint64_t before = azri_heap_nbytes();
    azri_coder *coder = NULL;

    (void)state;
    fx_fill(data, sizeof data, 3);
    assert_int_equal(azri_coder_new(&coder, NULL), AZR_OK);
    for (size_t k = 0; k < 2 * FX_KIND_COUNT; k++) {
        const struct fx_kind *kind = &fx_kinds[k % FX_KIND_COUNT];
        struct fixture f;
        azri_coder *own;
        azri_span stored = {NULL, 0};

        fx_one(&f, 2, sizeof data / 2, kind->name, kind->config, kind->dialect);
        own = f.coder;
        f.coder = coder;
        assert_int_equal(fx_encode(&f, data, sizeof data, &stored), AZR_OK);
        assert_int_equal(
            fx_decode(&f, stored.data, stored.nbytes, back, sizeof back),
            AZR_OK);
        assert_memory_equal(back, data, sizeof data);
        f.coder = own;
        fx_free(&f);
    }
    azri_coder_free(coder);
    assert_int_equal(azri_heap_nbytes(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_codec_and_size),
        cmocka_unit_test(test_incompressible),
        cmocka_unit_test(test_deterministic),
        cmocka_unit_test(test_coder_is_shared_and_returns_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
