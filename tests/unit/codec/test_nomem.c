/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation fails in turn: an error each time, nothing lost, and the same
 * coder goes on to work. */
#include "codec_fixture.h"

#include "base/alloc.h"
#include "unit/nomem.h"

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
    nomem_arm(n);
    rc = use(&f, stored, back);
    nomem_left = -1;
    if (nomem_fired) {
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
    return nomem_fired;
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

    return cmocka_run_group_tests(tests, nomem_install, NULL);
}
