/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "model/jsontext.h"
#include "model/meta.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void test_names(void **state)
{
    static const struct {
        int format, dtype;
        const char *text, *wanted;
    } cases[] = {
        {3, AZR_INT32, "none", "[]"},
        {2, AZR_INT32, " none ", "null"},
        {3, AZR_INT32, "zstd",
         "[{\"name\": \"zstd\", \"configuration\": {\"level\": 0, "
         "\"checksum\": false}}]"},
        {3, AZR_INT32, "zstd:-5",
         "[{\"name\": \"zstd\", \"configuration\": {\"level\": -5, "
         "\"checksum\": false}}]"},
        {2, AZR_INT32, "zstd:22", "{\"id\": \"zstd\", \"level\": 22}"},
        {3, AZR_INT32, "gzip:6",
         "[{\"name\": \"gzip\", \"configuration\": {\"level\": 6}}]"},
        {2, AZR_INT32, "gzip", "{\"id\": \"gzip\", \"level\": 5}"},
        {3, AZR_INT32, "zlib",
         "[{\"name\": \"numcodecs.zlib\", \"configuration\": {\"level\": 1}}]"},
        {2, AZR_INT32, "zlib:9", "{\"id\": \"zlib\", \"level\": 9}"},
        {3, AZR_INT32, "lz4",
         "[{\"name\": \"numcodecs.lz4\", \"configuration\": "
         "{\"acceleration\": 1}}]"},
        {2, AZR_INT32, "lz4:3", "{\"id\": \"lz4\", \"acceleration\": 3}"},
        {3, AZR_INT32, "crc32c", "[{\"name\": \"crc32c\"}]"},
        {2, AZR_INT32, "crc32c", "{\"id\": \"crc32c\"}"},
        {3, AZR_INT32, "crc32c,zstd:3",
         "[{\"name\": \"crc32c\"}, {\"name\": \"zstd\", \"configuration\": "
         "{\"level\": 3, \"checksum\": false}}]"},
        {3, AZR_FLOAT64, "blosc",
         "[{\"name\": \"blosc\", \"configuration\": {\"typesize\": 8, "
         "\"cname\": \"lz4\", \"clevel\": 5, \"shuffle\": \"shuffle\", "
         "\"blocksize\": 0}}]"},
        {3, AZR_UINT8, "blosc:zstd:3",
         "[{\"name\": \"blosc\", \"configuration\": {\"typesize\": 1, "
         "\"cname\": \"zstd\", \"clevel\": 3, \"shuffle\": \"bitshuffle\", "
         "\"blocksize\": 0}}]"},
        {2, AZR_FLOAT64, "blosc:blosclz:9:noshuffle",
         "{\"id\": \"blosc\", \"cname\": \"blosclz\", \"clevel\": 9, "
         "\"shuffle\": 0, \"blocksize\": 0}"},
        {2, AZR_FLOAT64, "null", "null"},
        {2, AZR_FLOAT64, " {\"id\":\"bz2\"} ", "{\"id\":\"bz2\"}"},
        {3, AZR_FLOAT64, "[ \"crc32c\" ]", "[ \"crc32c\" ]"},
        {3, AZR_FLOAT64, "\"crc32c\"", "[\"crc32c\"]"},
        {3, AZR_FLOAT64, "{\"name\":\"x\"}", "[{\"name\":\"x\"}]"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        azri_buf out = AZRI_BUF_INIT;
        azr_error err = AZR_ERROR_INIT;

        expect_ok(azri_codec_names_to_json(&out, cases[i].format,
                                           azri_dtype_get(cases[i].dtype),
                                           cases[i].text, &err),
                  &err);
        expect_text(&out, cases[i].wanted);
        expect_ok(azri_json_check(azri_buf_span(&out), "x", AZR_EINVAL, &err),
                  &err);
        azri_buf_dispose(&out);
    }
}

static void test_refuses(void **state)
{
    static const struct {
        int format;
        const char *text;
        int code;
        const char *part;
    } cases[] = {
        {3, "", AZR_EINVAL, "empty"},
        {3, "  ", AZR_EINVAL, "empty"},
        {3, "zstt", AZR_EINVAL, "\"zstt\" is not known"},
        {3, "Zstd", AZR_EINVAL, "is not known"},
        {3, "zstd,", AZR_EINVAL, "after the comma"},
        {3, ",zstd", AZR_EINVAL, "is not known"},
        {3, "zstd,,zstd", AZR_EINVAL, "is not known"},
        {3, "zstd, zstd", AZR_EINVAL, "is not known"},
        {3, "none,zstd", AZR_EINVAL, "is not known"},
        {3, "zstd:23", AZR_EINVAL, "from -131072 to 22"},
        {3, "zstd:", AZR_EINVAL, "from -131072 to 22"},
        {3, "zstd:1.0", AZR_EINVAL, "one number"},
        {3, "zstd:1:2", AZR_EINVAL, "one number"},
        {3, "zstd: 1", AZR_EINVAL, "one number"},
        {3, "zstd:99999999999999999999", AZR_EINVAL, "one number"},
        {3, "gzip:10", AZR_EINVAL, "from 0 to 9"},
        {3, "gzip:-1", AZR_EINVAL, "from 0 to 9"},
        {3, "lz4:0", AZR_EINVAL, "from 1"},
        {3, "crc32c:1", AZR_EINVAL, "no parameter"},
        {3, "blosc:snap", AZR_EINVAL, "inside blosc"},
        {3, "blosc:lz4:10", AZR_EINVAL, "level"},
        {3, "blosc:lz4:5:byte", AZR_EINVAL, "noshuffle, shuffle"},
        {3, "blosc:lz4:5:shuffle:9", AZR_EINVAL, "parameters"},
        {2, "crc32c,zstd", AZR_EINVAL, "one compressor"},
        {2, "zstd,", AZR_EINVAL, "after the comma"},
        {2, "[{\"id\":\"zlib\"}]", AZR_EINVAL, "\"id\""},
        {2, "{\"name\":\"zlib\"}", AZR_EINVAL, "\"id\""},
        {2, "{\"id\":\"pickle\"}", AZR_EUNSUPPORTED, "refused"},
        {3, "{\"id\":\"zlib\"}", AZR_EUNSUPPORTED, "\"id\""},
        {3, "[1]", AZR_EINVAL, "codec is 1"},
        {3, "null", AZR_EINVAL, "codec is null"},
        {3, "[\"crc32c\"", AZR_EINVAL, "codecs: byte 9"},
        {3, "[\"numcodecs.pickle\"]", AZR_EUNSUPPORTED, "refused"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        azri_buf out = AZRI_BUF_INIT;
        azr_error err = AZR_ERROR_INIT;
        int rc = azri_codec_names_to_json(&out, cases[i].format,
                                          azri_dtype_get(AZR_INT16),
                                          cases[i].text, &err);

        if (rc >= 0)
            fail_msg("\"%s\" was taken", cases[i].text);
        expect_error(rc, &err, cases[i].code, cases[i].part);
        azri_buf_dispose(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
