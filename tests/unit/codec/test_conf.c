/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations: what is taken, what is refused and how that is said. */
#include "codec_fixture.h"

#include "codec/registry.h"

struct conf_case {
    const char *name;
    const char *config;
    int dialect;
    const char *message; /* NULL: good */
};

static const struct conf_case cases[] = {
    {"gzip", "{\"level\":9}", 3, NULL},
    {"gzip", "", 3, NULL},
    {"gzip", "{}", 3, NULL},
    {"gzip", "{\"level\":null}", 3, NULL},
    {"gzip", "{\"level\":-1}", 3, "gzip: level is -1, need 0 to 9"},
    {"gzip", "{\"level\":10}", 3, "gzip: level is 10, need 0 to 9"},
    {"gzip", "{\"level\":10}", 2, "gzip: level is 10, need -1 to 9"},
    {"gzip", "{\"level\":9223372036854775807}", 2, "need -1 to 9"},
    {"numcodecs.gzip", "{\"level\":-1}", 3, NULL},
    {"gzip", "{\"level\":5.0}", 2, NULL},
    {"gzip", "{\"level\":5.5}", 2, "gzip: level is 5.5, need an integer"},
    {"gzip", "{\"level\":5.0}", 3, "gzip: level is 5.0, need an integer"},
    {"gzip", "{\"level\":1e300}", 2, "need an integer"},
    {"gzip", "{\"level\":true}", 3, "gzip: level is true, need an integer"},
    {"gzip", "{\"level\":\"5\"}", 3, "need an integer"},
    {"gzip", "{\"level\":5,\"x\":1}", 3,
     "gzip: member 'x' of the configuration is not known"},
    {"numcodecs.gzip", "{\"level\":5,\"x\":1}", 3, "member 'x'"},
    {"gzip", "{\"id\":\"gzip\",\"level\":5,\"x\":1}", 2, NULL},
    {"gzip", "[1]", 3, "gzip: configuration is [1], need a JSON object"},
    {"gzip", "{\"level\":", 3, "need a JSON object"},
    {"zlib", "{\"level\":-2}", 2, "zlib: level is -2"},
    {"zstd", "{\"level\":22,\"checksum\":false}", 3, NULL},
    {"zstd", "{\"level\":-131072}", 3, NULL},
    {"zstd", "{\"level\":23}", 3, "zstd: level is 23, need -131072 to 22"},
    {"zstd", "{\"level\":100}", 2, NULL},
    {"zstd", "{\"level\":-200000}", 2, NULL},
    {"zstd", "{\"checksum\":1}", 3, "zstd: checksum is 1, need true or false"},
    {"lz4", "{\"acceleration\":-1}", 2, NULL},
    {"lz4", "{\"acceleration\":99999999999}", 2, NULL},
    {"lz4", "{\"acceleration\":\"fast\"}", 2, "lz4: acceleration"},
    {"crc32c", "{\"location\":\"start\"}", 3, "member 'location'"},
    {"numcodecs.crc32c", "{\"location\":\"start\"}", 3, NULL},
    {"crc32c", "{\"location\":\"middle\"}", 2,
     "crc32c: location is \"middle\", need end, start"},
    {"blosc", "{\"cname\":\"lz5\"}", 3,
     "blosc: cname is \"lz5\", need lz4, blosclz, lz4hc, zstd, zlib, snappy"},
    {"blosc", "{\"cname\":7}", 2, "blosc: cname is 7"},
    {"blosc", "{\"clevel\":10}", 2, "blosc: clevel is 10, need 0 to 9"},
    {"blosc", "{\"shuffle\":-1}", 2, NULL},
    {"blosc", "{\"shuffle\":3}", 2, "blosc: shuffle is 3, need -1 to 2"},
    {"blosc", "{\"shuffle\":1}", 3, "need noshuffle, shuffle, bitshuffle"},
    {"blosc", "{\"shuffle\":\"bitshuffle\"}", 3, NULL},
    {"numcodecs.blosc", "{\"shuffle\":2,\"typesize\":null}", 3, NULL},
    {"blosc", "{\"typesize\":0}", 3, "blosc: typesize is 0"},
    {"blosc", "{\"typesize\":300}", 3, NULL},
    {"blosc", "{\"blocksize\":-1}", 3, "blosc: blocksize is -1"},
    {"blosc", "{\"blocksize\":2147483647}", 3, NULL},
};

static void test_bytes_to_bytes(void **state)
{
    const int64_t chunk = 64;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct conf_case *c = &cases[i];
        struct fixture f;
        int rc;

        fx_array(&f, 1, 1, 1, &chunk);
        fx_codec(&f, "bytes", "{}", c->dialect);
        fx_codec(&f, c->name, c->config, c->dialect);
        rc = fx_build(&f);
        if (!c->message && rc < 0)
            fail_msg("%s %s: %s", c->name, c->config, f.err.message);
        if (c->message) {
            if (rc != AZR_EINVAL)
                fail_msg("%s %s: status %d", c->name, c->config, rc);
            fx_assert_message(&f, c->message);
            assert_int_equal(f.err.sub, AZR_SUB_METADATA);
        }
        fx_free(&f);
    }
}

static void bytes_case(size_t swap, const char *name, const char *config,
                       const char *message)
{
    const int64_t chunk = 4;
    struct fixture f;
    int rc;

    fx_array(&f, swap, swap, 1, &chunk);
    fx_codec(&f, name, config, 3);
    rc = fx_build(&f);
    assert_int_equal(rc, message ? AZR_EINVAL : AZR_OK);
    if (message)
        fx_assert_message(&f, message);
    fx_free(&f);
}

static void test_bytes(void **state)
{
    (void)state;
    bytes_case(1, "bytes", "{}", NULL);
    bytes_case(1, "bytes", "{\"endian\":\"big\"}", NULL);
    bytes_case(2, "bytes", "{\"endian\":\"big\"}", NULL);
    bytes_case(2, "endian", "{\"endian\":\"little\"}", NULL);
    bytes_case(2, "bytes", "{}",
               "bytes: endian is missing, elements of 2 bytes need it");
    bytes_case(4, "bytes", "{\"endian\":null}", "endian is missing");
    bytes_case(4, "bytes", "{\"endian\":\"native\"}",
               "bytes: endian is \"native\", need little, big");
    bytes_case(1, "bytes", "{\"endian\":\"big\",\"order\":1}",
               "member 'order'");
}

static void transpose_case(int rank, const char *config, bool is_good)
{
    const int64_t chunk[AZR_MAX_RANK] = {2, 3, 4};
    struct fixture f;

    fx_array(&f, 1, 1, rank, chunk);
    fx_codec(&f, "transpose", config, 3);
    fx_codec(&f, "bytes", "{}", 3);
    if (fx_build(&f) != (is_good ? AZR_OK : AZR_EINVAL))
        fail_msg("transpose %s: %s", config, f.err.message);
    if (!is_good)
        fx_assert_message(&f, "transpose: ");
    fx_free(&f);
}

static void test_transpose(void **state)
{
    (void)state;
    transpose_case(3, "{\"order\":[2,0,1]}", true);
    transpose_case(0, "{\"order\":[]}", true);
    transpose_case(3, "{\"order\":[0,1]}", false);
    transpose_case(3, "{\"order\":[0,1,2,3]}", false);
    transpose_case(3, "{\"order\":[0,1,1]}", false);
    transpose_case(3, "{\"order\":[0,1,3]}", false);
    transpose_case(3, "{\"order\":[0,1,-1]}", false);
    transpose_case(3, "{\"order\":[0,1,4294967298]}", false);
    transpose_case(3, "{\"order\":[0,1,\"2\"]}", false);
    transpose_case(3, "{\"order\":[0,1,2.0]}", false);
    transpose_case(3, "{\"order\":\"A\"}", false);
    transpose_case(3, "{\"order\":null}", false);
    transpose_case(3, "{}", false);
    transpose_case(3, "{\"order\":[2,0,1],\"x\":0}", false);
}

/* Header bytes of a blosc chunk that tell how it was made. */
static void blosc_header(size_t item, const char *before, const char *config,
                         int dialect, uint8_t header[16])
{
    static uint8_t data[4096];
    int64_t chunk = (int64_t)(sizeof data / item);
    azri_span out = {NULL, 0};
    struct fixture f;

    fx_array(&f, item, 1, 1, &chunk);
    fx_codec(&f, "bytes", "{}", dialect);
    if (before)
        fx_codec(&f, before, "{}", dialect);
    fx_codec(&f, "blosc", config, dialect);
    assert_int_equal(fx_build(&f), AZR_OK);
    assert_int_equal(fx_encode(&f, data, sizeof data, &out), AZR_OK);
    memcpy(header, out.data, 16);
    fx_free(&f);
}

enum { BYTE_SHUFFLE = 1, BIT_SHUFFLE = 4 };

static void test_blosc_settings_reach_the_chunk(void **state)
{
    uint8_t h[16];

    (void)state;
    blosc_header(8, NULL, "{}", 2, h); /* lz4, byte shuffle, item size */
    assert_int_equal(h[3], 8);
    assert_int_equal(h[2] & 5, BYTE_SHUFFLE);
    assert_int_equal(h[2] >> 5, 1);
    blosc_header(8, NULL, "{\"shuffle\":-1}", 2, h);
    assert_int_equal(h[2] & 5, BYTE_SHUFFLE);
    blosc_header(1, NULL, "{\"shuffle\":-1}", 2, h);
    assert_int_equal(h[2] & 5, BIT_SHUFFLE);
    blosc_header(8, "crc32c", "{}", 2, h); /* plain bytes flow in */
    assert_int_equal(h[3], 1);
    blosc_header(512, NULL, "{}", 2, h); /* does not fit into the header */
    assert_int_equal(h[3], 1);
    blosc_header(8, NULL, "{\"typesize\":2,\"shuffle\":\"bitshuffle\"}", 3, h);
    assert_int_equal(h[3], 2);
    assert_int_equal(h[2] & 5, BIT_SHUFFLE);
    blosc_header(4, NULL, "{\"cname\":\"zstd\",\"shuffle\":\"noshuffle\"}", 3,
                 h);
    assert_int_equal(h[3], 4);
    assert_int_equal(h[2] & 5, 0);
    assert_int_equal(h[2] >> 5, 4);
    blosc_header(4, NULL, "{\"cname\":\"zstd\",\"blocksize\":1024}", 2, h);
    assert_int_equal(h[8] | h[9] << 8, 1024);
}

/* Names are unique in each dialect, and a codec is complete for its kind. */
static void test_table(void **state)
{
    (void)state;
    assert_null(azri_codec_find("nothing", 2));
    assert_null(azri_codec_find("nothing", 3));
    for (size_t i = 0; i < azri_codec_count(); i++) {
        const azr_codec *c = azri_codec_at(i);

        assert_int_equal(azri_codec_index(c), i);
        assert_ptr_equal(azri_codec_find(c->name, AZR_DIALECT_V3), c);
        assert_ptr_equal(azri_codec_find(c->v2_id, AZR_DIALECT_V2), c);
        if (c->alias)
            assert_ptr_equal(azri_codec_find(c->alias, AZR_DIALECT_V3), c);
        assert_non_null(c->configure);
        assert_non_null(c->conf_free);
        if (c->kind == AZR_CODEC_BYTES_BYTES)
            assert_true(c->bound && c->encode && c->decode && !c->layout);
        else
            assert_non_null(c->layout);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_to_bytes),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_blosc_settings_reach_the_chunk),
        cmocka_unit_test(test_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
