/* SPDX-License-Identifier: Apache-2.0 */
/* What a chain makes of the codecs of a document. */
#include "codec_fixture.h"

#include "base/alloc.h"

static const char little[] = "{\"endian\":\"little\"}";
static const char big[] = "{\"endian\":\"big\"}";

static bool is_little_machine(void)
{
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
}

static void assert_strides(const struct fixture *f, const int64_t *want)
{
    for (int i = 0; i < f->meta.rank; i++)
        assert_int_equal(azri_chain_strides(f->chain)[i], want[i]);
}

static void layout_of(struct fixture *f, const char *order,
                      const char *bytes_config)
{
    const int64_t chunk[] = {2, 3, 4};

    fx_array(f, 2, 2, 3, chunk);
    if (order)
        fx_codec(f, "transpose", order, 3);
    fx_codec(f, "bytes", bytes_config, 3);
    assert_int_equal(fx_build(f), AZR_OK);
    assert_true(azri_chain_is_raw(f->chain));
}

static void test_plain(void **state)
{
    const int64_t want[] = {24, 8, 2};
    struct fixture f;

    (void)state;
    layout_of(&f, NULL, little);
    assert_strides(&f, want);
    assert_int_equal(azri_chain_swap_unit(f.chain),
                     is_little_machine() ? 1 : 2);
    assert_int_equal(azri_chain_is_plain(f.chain), is_little_machine());
    assert_string_equal(azri_chain_names(f.chain), "bytes");
    assert_int_equal(azri_chain_stored_max(f.chain), 48);
    fx_free(&f);
}

static void test_big_endian_swaps(void **state)
{
    const int64_t want[] = {24, 8, 2};
    struct fixture f;

    (void)state;
    layout_of(&f, NULL, big);
    assert_strides(&f, want);
    assert_int_equal(azri_chain_swap_unit(f.chain),
                     is_little_machine() ? 2 : 1);
    assert_int_equal(azri_chain_is_plain(f.chain), !is_little_machine());
    fx_free(&f);
}

/* Order [2,0,1] of shape (2,3,4): encoded shape (4,2,3). */
static void test_transpose(void **state)
{
    const int64_t want[] = {6, 2, 12};
    struct fixture f;

    (void)state;
    layout_of(&f, "{\"order\":[2,0,1]}", little);
    assert_strides(&f, want);
    assert_false(azri_chain_is_plain(f.chain));
    fx_free(&f);
}

static void test_transpose_letters(void **state)
{
    const int64_t want_c[] = {24, 8, 2};
    const int64_t want_f[] = {2, 4, 12};
    struct fixture f;

    (void)state;
    layout_of(&f, "{\"order\":\"F\"}", little);
    assert_strides(&f, want_f);
    assert_false(azri_chain_is_plain(f.chain));
    fx_free(&f);
    layout_of(&f, "{\"order\":\"C\"}", little);
    assert_strides(&f, want_c);
    assert_int_equal(azri_chain_is_plain(f.chain), is_little_machine());
    fx_free(&f);
}

/* [2,0,1] twice is [1,2,0]; three times is nothing at all. */
static void test_transposes_add_up(void **state)
{
    const int64_t chunk[] = {2, 3, 4};
    const int64_t twice[] = {2, 16, 4};
    const int64_t thrice[] = {24, 8, 2};

    (void)state;
    for (int n = 2; n <= 3; n++) {
        struct fixture f;

        fx_array(&f, 2, 2, 3, chunk);
        for (int i = 0; i < n; i++)
            fx_codec(&f, "transpose", "{\"order\":[2,0,1]}", 3);
        fx_codec(&f, "bytes", little, 3);
        assert_int_equal(fx_build(&f), AZR_OK);
        assert_strides(&f, n == 2 ? twice : thrice);
        assert_int_equal(azri_chain_is_plain(f.chain),
                         n == 3 && is_little_machine());
        fx_free(&f);
    }
}

/* Axes of length 1 may have any stride: still plain. */
static void test_transpose_of_vectors_is_plain(void **state)
{
    const int64_t chunk[] = {1, 5, 1};
    struct fixture f;

    (void)state;
    fx_array(&f, 1, 1, 3, chunk);
    fx_codec(&f, "transpose", "{\"order\":\"F\"}", 3);
    fx_codec(&f, "bytes", "{}", 3);
    assert_int_equal(fx_build(&f), AZR_OK);
    assert_true(azri_chain_is_plain(f.chain));
    fx_free(&f);
}

static void test_scalar(void **state)
{
    struct fixture f;

    (void)state;
    fx_array(&f, 8, 8, 0, NULL);
    fx_codec(&f, "transpose", "{\"order\":[]}", 3);
    fx_codec(&f, "bytes", little, 3);
    assert_int_equal(fx_build(&f), AZR_OK);
    assert_int_equal(azri_chain_stored_max(f.chain), 8);
    fx_free(&f);
}

/* A raw chain hands back what it was given, and takes exactly its size. */
static void test_raw_does_not_copy(void **state)
{
    uint8_t data[48] = {1, 2, 3}, back[48];
    azri_span out = {NULL, 0};
    struct fixture f;

    (void)state;
    layout_of(&f, NULL, little);
    assert_int_equal(fx_encode(&f, data, sizeof data, &out), AZR_OK);
    assert_ptr_equal(out.data, data);
    assert_int_equal(out.nbytes, sizeof data);
    assert_int_equal(fx_decode(&f, data, sizeof data, back, sizeof back),
                     AZR_OK);
    assert_memory_equal(back, data, sizeof data);
    assert_int_equal(fx_decode(&f, data, 47, back, sizeof back), AZR_ECORRUPT);
    fx_assert_message(&f, "bytes: 47 bytes, need 48");
    assert_int_equal(f.err.sub, AZR_SUB_CHUNK);
    fx_free(&f);
}

static void test_wrong_chunk_size(void **state)
{
    uint8_t data[64] = {0};
    azri_span out = {NULL, 0};
    struct fixture f;

    (void)state;
    fx_one(&f, 4, 12, "crc32c", "{}", 3);
    assert_int_equal(fx_encode(&f, data, 44, &out), AZR_EINVAL);
    fx_assert_message(&f, "44 bytes, need 48");
    assert_int_equal(fx_decode(&f, data, 52, data, 49), AZR_EINVAL);
    fx_free(&f);
}

/* `data` as a chain without crc32c stores it. */
static void make_zstd_only(uint8_t *stored, size_t *nbytes, const uint8_t *data,
                           size_t data_nbytes)
{
    azri_span out = {NULL, 0};
    struct fixture f;

    fx_one(&f, 1, data_nbytes, "zstd", "{}", 3);
    assert_int_equal(fx_encode(&f, data, data_nbytes, &out), AZR_OK);
    memcpy(stored, out.data, out.nbytes);
    *nbytes = out.nbytes;
    fx_free(&f);
}

/* Sizes between codecs: known ones are required, others bounded. */
static void test_sizes_between(void **state)
{
    static uint8_t data[4096], back[4096], stored[9000];
    const int64_t chunk = sizeof data;
    azri_span out = {NULL, 0};
    size_t nbytes = 0;
    struct fixture f;

    (void)state;
    fx_array(&f, 1, 1, 1, &chunk);
    fx_codec(&f, "bytes", "{}", 3);
    fx_codec(&f, "crc32c", "{}", 3);
    fx_codec(&f, "zstd", "{\"level\":1}", 3);
    assert_int_equal(fx_build(&f), AZR_OK);
    assert_string_equal(azri_chain_names(f.chain), "bytes,crc32c,zstd");
    fx_fill(data, sizeof data, 9);
    assert_int_equal(fx_encode(&f, data, sizeof data, &out), AZR_OK);
    assert_true(out.nbytes <= sizeof stored);
    memcpy(stored, out.data, out.nbytes);
    assert_int_equal(fx_decode(&f, stored, out.nbytes, back, sizeof back),
                     AZR_OK);
    assert_memory_equal(back, data, sizeof data);
    make_zstd_only(stored, &nbytes, data, sizeof data);
    assert_int_equal(fx_decode(&f, stored, nbytes, back, sizeof back),
                     AZR_ECORRUPT);
    fx_assert_message(&f, "zstd: 4096 bytes, need 4100");
    fx_free(&f);
}

static void test_stored_max(void **state)
{
    const int64_t chunk = 1000;
    struct fixture f;

    (void)state;
    fx_one(&f, 4, 250, "crc32c", "{}", 3);
    assert_int_equal(azri_chain_stored_max(f.chain), 1004);
    fx_free(&f);
    fx_one(&f, 4, 250, "zstd", "{}", 3);
    assert_in_range(azri_chain_stored_max(f.chain), 2000, 100000);
    fx_free(&f);

    fx_array(&f, 1, 1, 1, &chunk); /* slack does not pile up */
    fx_codec(&f, "bytes", "{}", 3);
    for (int i = 0; i < 60; i++)
        fx_codec(&f, "zstd", "{}", 3);
    assert_int_equal(fx_build(&f), AZR_OK);
    assert_in_range(azri_chain_stored_max(f.chain), 2000, 200000);
    fx_free(&f);
}

struct refusal {
    struct fx_kind codecs[3];
    int code, sub;
    const char *message;
};

static const struct refusal refusals[] = {
    {{{"bytes", "{}", 3}, {"numcodecs.delta", "{}", 3}},
     AZR_EUNSUPPORTED,
     AZR_SUB_CODEC,
     "codec 'numcodecs.delta' is not supported"},
    {{{"bytes", "{}", 2}, {"delta", "{}", 2}},
     AZR_EUNSUPPORTED,
     AZR_SUB_CODEC,
     "codec 'delta' is not supported"},
    {{{"bytes", "{}", 2}, {"pickle", "{}", 2}},
     AZR_EUNSUPPORTED,
     AZR_SUB_CODEC,
     "codec 'pickle' is refused: decoding it would run code"},
    {{{"numcodecs.pickle", "{}", 3}},
     AZR_EUNSUPPORTED,
     AZR_SUB_CODEC,
     "codec 'numcodecs.pickle' is refused"},
    {{{"bytes", "{}", 3}, {"zlib", "{}", 3}}, /* a v2 name */
     AZR_EUNSUPPORTED,
     AZR_SUB_CODEC,
     "codec 'zlib' is not supported"},
    {{{"bytes", "{}", 2}, {"numcodecs.zlib", "{}", 2}}, /* a v3 name */
     AZR_EUNSUPPORTED,
     AZR_SUB_CODEC,
     "codec 'numcodecs.zlib' is not supported"},
    {{{"gzip", "{}", 3}, {"bytes", "{}", 3}},
     AZR_ECORRUPT,
     AZR_SUB_METADATA,
     "codec 'gzip' stands before the array-to-bytes codec"},
    {{{"bytes", "{}", 3}, {"transpose", "{\"order\":[0]}", 3}},
     AZR_ECORRUPT,
     AZR_SUB_METADATA,
     "codec 'transpose' stands behind the array-to-bytes codec"},
    {{{"bytes", "{}", 2}, {"transpose", "{\"order\":[0]}", 2}},
     AZR_ECORRUPT,
     AZR_SUB_METADATA,
     "codec 'transpose' stands behind"},
    {{{"bytes", "{}", 3}, {"bytes", "{}", 3}},
     AZR_ECORRUPT,
     AZR_SUB_METADATA,
     "codec 'bytes' stands behind"},
    {{{"transpose", "{\"order\":[0]}", 3}},
     AZR_ECORRUPT,
     AZR_SUB_METADATA,
     "no array-to-bytes codec among 1"},
    {{{NULL, NULL, 0}},
     AZR_ECORRUPT,
     AZR_SUB_METADATA,
     "no array-to-bytes codec among 0"},
};

static void test_refusals(void **state)
{
    const int64_t chunk = 4;

    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const struct refusal *r = &refusals[i];
        uint64_t heap;
        struct fixture f;

        fx_array(&f, 1, 1, 1, &chunk);
        for (int k = 0; k < 3 && r->codecs[k].name; k++)
            fx_codec(&f, r->codecs[k].name, r->codecs[k].config,
                     r->codecs[k].dialect);
        heap = azri_heap_nbytes();
        assert_int_equal(fx_build(&f), r->code);
        assert_null(f.chain);
        assert_int_equal(f.err.sub, r->sub);
        fx_assert_message(&f, r->message);
        assert_int_equal(azri_heap_nbytes(), heap);
        fx_free(&f);
    }
}

static void test_unknown_optional_is_left_out(void **state)
{
    const int64_t chunk = 4;
    struct fixture f;

    (void)state;
    for (int optional = 0; optional <= 1; optional++) {
        fx_array(&f, 1, 1, 1, &chunk);
        fx_codec(&f, "bytes", "{}", 3);
        fx_codec(&f, "example.index", "{}", 3);
        f.specs[1].optional = optional;
        assert_int_equal(fx_build(&f), optional ? AZR_OK : AZR_EUNSUPPORTED);
        if (optional) {
            assert_true(azri_chain_is_partial(f.chain));
            assert_true(azri_chain_is_raw(f.chain));
            assert_string_equal(azri_chain_names(f.chain), "bytes");
        }
        fx_free(&f);
    }
    fx_one(&f, 1, 4, "gzip", "{}", 3);
    assert_false(azri_chain_is_partial(f.chain));
    fx_free(&f);
}

static void test_too_many_codecs(void **state)
{
    const int64_t chunk = 4;
    struct fixture f;

    (void)state;
    fx_array(&f, 1, 1, 1, &chunk);
    fx_codec(&f, "bytes", "{}", 3);
    for (int i = 0; i < AZRI_MAX_CODECS; i++)
        fx_codec(&f, "crc32c", "{}", 3);
    assert_int_equal(fx_build(&f), AZR_EUNSUPPORTED);
    fx_assert_message(&f, "65 of them, at most 64");
    fx_free(&f);
}

/* lz4 and blosc count in 31 bits: said when opening, not in the middle. */
static void test_chunk_too_large_for_codec(void **state)
{
    const int64_t chunk = INT64_C(0x7fffffff);
    static const struct fx_kind kinds[] = {{"lz4", "{}", 2},
                                           {"blosc", "{}", 2}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct fixture f;

        fx_array(&f, 1, 1, 1, &chunk);
        fx_codec(&f, "bytes", "{}", 2);
        fx_codec(&f, kinds[i].name, kinds[i].config, 2);
        assert_int_equal(fx_build(&f), AZR_EINVAL);
        fx_assert_message(&f, "cannot hold chunks of 2147483647 bytes");
        fx_free(&f);
    }
}

static void test_coder_buffers(void **state)
{
    azri_coder *coder = NULL;
    uint8_t *chunk = NULL, *stored = NULL, *again = NULL;

    (void)state;
    assert_int_equal(azri_coder_new(&coder, NULL), AZR_OK);
    assert_int_equal(azri_coder_chunk(coder, 1000, &chunk, NULL), AZR_OK);
    assert_int_equal(azri_coder_stored(coder, 1000, &stored, NULL), AZR_OK);
    assert_int_equal((uintptr_t)chunk % 64, 0);
    assert_int_equal((uintptr_t)stored % 64, 0);
    memset(chunk, 1, 1000);
    memset(stored, 2, 1000);
    assert_int_equal(chunk[999], 1);
    assert_int_equal(azri_coder_chunk(coder, 900, &again, NULL), AZR_OK);
    assert_ptr_equal(again, chunk);
    azri_coder_free(coder);
    azri_coder_free(NULL);
    azri_chain_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_big_endian_swaps),
        cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_transpose_letters),
        cmocka_unit_test(test_transposes_add_up),
        cmocka_unit_test(test_transpose_of_vectors_is_plain),
        cmocka_unit_test(test_scalar),
        cmocka_unit_test(test_raw_does_not_copy),
        cmocka_unit_test(test_wrong_chunk_size),
        cmocka_unit_test(test_sizes_between),
        cmocka_unit_test(test_stored_max),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_unknown_optional_is_left_out),
        cmocka_unit_test(test_too_many_codecs),
        cmocka_unit_test(test_chunk_too_large_for_codec),
        cmocka_unit_test(test_coder_buffers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
