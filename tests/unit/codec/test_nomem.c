/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation fails in turn: an error each time, nothing lost, and the same
 * coder goes on to work. */
#include "codec_fixture.h"

#include "base/alloc.h"

#include <stdlib.h>

static long g_left = -1; /* allocations until one fails; -1: none does */
static bool g_fired;

static bool fails_now(void)
{
    if (g_left != 0) {
        g_left -= g_left > 0;
        return false;
    }
    g_left = -1;
    g_fired = true;
    return true;
}

static void *fault_alloc(size_t nbytes, void *arg)
{
    (void)arg;
    return fails_now() ? NULL : malloc(nbytes);
}

static void *fault_resize(void *p, size_t nbytes, void *arg)
{
    (void)arg;
    return fails_now() ? NULL : realloc(p, nbytes);
}

static void fault_release(void *p, void *arg)
{
    (void)arg;
    free(p);
}

static int install(void **state)
{
    static const azr_allocator faulty = {fault_alloc, fault_resize,
                                         fault_release, NULL};

    (void)state;
    return azr_set_allocator(&faulty);
}

static const uint8_t *sample(void)
{
    static uint8_t data[4096];

    fx_fill(data, sizeof data, 7);
    return data;
}

static int use(struct fixture *f, uint8_t *stored, uint8_t *back)
{
    azri_span out = {NULL, 0};
    int rc = fx_build(f);

    if (rc == AZR_OK)
        rc = fx_encode(f, sample(), 4096, &out);
    if (rc < 0)
        return rc;
    memcpy(stored, out.data, out.nbytes);
    return fx_decode(f, stored, out.nbytes, back, 4096);
}

static bool nth_allocation_fails(const struct fx_kind *kind, long n)
{
    static uint8_t stored[16384], back[4096];
    const int64_t chunk = 1024;
    uint64_t before = azri_heap_nbytes();
    struct fixture f;
    int rc;

    fx_array(&f, 4, 4, 1, &chunk);
    fx_codec(&f, "bytes", "{\"endian\":\"little\"}", kind->dialect);
    fx_codec(&f, kind->name, kind->config, kind->dialect);
    fx_codec(&f, kind->name, kind->config, kind->dialect);
    g_fired = false;
    g_left = n;
    rc = use(&f, stored, back);
    g_left = -1;
    if (g_fired) {
        assert_int_equal(rc, AZR_ENOMEM);
        assert_int_equal(f.err.code, AZR_ENOMEM);
        azri_chain_free(f.chain);
        f.chain = NULL;
        rc = use(&f, stored, back);
    }
    assert_int_equal(rc, AZR_OK);
    assert_memory_equal(back, sample(), 4096);
    fx_free(&f);
    assert_int_equal(azri_heap_nbytes(), before);
    return g_fired;
}

static void test_every_allocation(void **state)
{
    (void)state;
    for (size_t k = 0; k < FX_KIND_COUNT; k++) {
        long n = 0;

        while (nth_allocation_fails(&fx_kinds[k], n))
            n++;
        assert_in_range(n, 5, 100); /* it was tried at all, and ends */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation),
    };

    return cmocka_run_group_tests(tests, install, NULL);
}
