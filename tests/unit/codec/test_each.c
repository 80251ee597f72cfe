/* SPDX-License-Identifier: Apache-2.0 */
/* What every codec of the table has to refuse: configurations that are no object,
 * sizes that no buffer has; and chains in which codecs stand where they cannot. */
#include "codec_fixture.h"

#include "base/alloc.h"
#include "codec/coder.h"
#include "codec/registry.h"

#include <stdlib.h>

static azr_error err;

static azr_codec_array four(void)
{
    azr_codec_array in;

    memset(&in, 0, sizeof in);
    in.rank = 1;
    in.dtype = AZR_INT32;
    in.item_nbytes = 4;
    in.swap_nbytes = 4;
    in.shape[0] = 4;
    return in;
}

static int configure(const azr_codec *codec, const char *json, int dialect)
{
    const azr_codec_array in = four();
    void *conf = NULL;
    int rc;

    err = (azr_error)AZR_ERROR_INIT;
    rc = codec->configure(&conf, json, dialect, &in, &err);
    if (rc == AZR_OK)
        codec->conf_free(conf);
    else
        assert_null(conf);
    return rc;
}

static void assert_refused(const azr_codec *codec, const char *json,
                           const char *text)
{
    int rc = configure(codec, json, AZR_DIALECT_V3);

    if (rc != AZR_EINVAL || err.sub != AZR_SUB_METADATA ||
        !strstr(err.message, text))
        fail_msg("%s, %.60s: %s: %s", codec->name, json, azr_status_name(rc),
                 err.message);
}

static void test_configurations_that_are_none(void **state)
{
    const size_t nbytes = (1 << 20) + 8;
    char *huge = malloc(nbytes);

    (void)state;
    assert_non_null(huge);
    memset(huge, ' ', nbytes);
    memcpy(huge, "{}", 2);
    huge[nbytes - 1] = '\0';
    for (size_t i = 0; i < azri_codec_count(); i++) {
        const azr_codec *codec = azri_codec_at(i);

        assert_refused(codec, "[1]", "need a JSON object");
        assert_refused(codec, "{", "need a JSON object");
        assert_refused(codec, "{\"level\": ", "need a JSON object");
        assert_refused(codec, huge,
                       "configuration is huge, need at most 1 MiB");
        assert_refused(codec, "{\"nonsense\": 1}", ""); /* needed, or unknown */
    }
    free(huge);
}

/* No configuration is an empty one. */
static void test_no_configuration(void **state)
{
    (void)state;
    for (size_t i = 0; i < azri_codec_count(); i++) {
        const azr_codec *codec = azri_codec_at(i);

        assert_int_equal(configure(codec, NULL, AZR_DIALECT_V2),
                         configure(codec, "{}", AZR_DIALECT_V2));
    }
}

static void test_no_memory_to_configure(void **state)
{
    static const char *const json[] = {"{}", "{\"order\": [0]}",
                                       "{\"endian\": \"little\"}"};
    int tried = 0;

    (void)state;
    for (size_t i = 0; i < azri_codec_count(); i++) {
        const azr_codec *codec = azri_codec_at(i);

        for (size_t k = 0; k < 3; k++) {
            if (configure(codec, json[k], AZR_DIALECT_V2) != AZR_OK)
                continue;
            azr_set_memory_cap(1);
            if (configure(codec, json[k], AZR_DIALECT_V2) < 0) {
                assert_int_equal(err.code, AZR_ENOMEM);
                tried++;
            }
            azr_set_memory_cap(0);
            break;
        }
    }
    assert_in_range(tried, 5, 100);
    assert_int_equal(azri_heap_nbytes(), 0);
}

/* 0: so many bytes cannot be encoded. */
static void test_bounds(void **state)
{
    int tried = 0;

    (void)state;
    for (size_t i = 0; i < azri_codec_count(); i++) {
        const azr_codec *codec = azri_codec_at(i);
        const azr_codec_array in = four();
        void *conf = NULL;

        if (!codec->bound ||
            codec->configure(&conf, "{}", AZR_DIALECT_V2, &in, &err) < 0)
            continue;
        assert_in_range(codec->bound(conf, 1000), 1000, 100000);
        if (!codec->has_fixed_size) {
            assert_int_equal(codec->bound(conf, SIZE_MAX), 0);
            assert_int_equal(codec->bound(conf, SIZE_MAX / 2), 0);
            tried++;
        }
        codec->conf_free(conf);
    }
    assert_in_range(tried, 4, 100);
}

/* Sizes that their format cannot tell; nothing is read of the source. */
static void test_encoding_too_much(void **state)
{
    int tried = 0;

    (void)state;
    for (size_t i = 0; i < azri_codec_count(); i++) {
        const azr_codec *codec = azri_codec_at(i);
        const azr_codec_array in = four();
        azri_coder *coder = NULL;
        azr_codec_scratch s;
        void *conf = NULL;
        const uint8_t byte = 0;

        if (!codec->encode || codec->has_fixed_size ||
            codec->configure(&conf, "{}", AZR_DIALECT_V2, &in, &err) < 0)
            continue;
        OK(azri_coder_new(&coder, &err));
        s = azri_coder_scratch(coder, azri_codec_index(codec));
        err = (azr_error)AZR_ERROR_INIT;
        assert_in_range(-codec->encode(conf, &s,
                                       azri_coder_between(coder, 0, SIZE_MAX),
                                       &byte, SIZE_MAX / 2, &err),
                        1, -AZR_EUNKNOWN);
        assert_int_not_equal(err.message[0], '\0');
        azri_coder_free(coder);
        codec->conf_free(conf);
        tried++;
    }
    assert_in_range(tried, 4, 100);
}

/* What a coder gives is bounded. */
static void test_rooms(void **state)
{
    azri_coder *coder = NULL;
    azr_codec_out *out;
    uint8_t bytes[8];

    (void)state;
    OK(azri_coder_new(&coder, &err));
    out = azri_coder_between(coder, 0, 100);
    OK(out->reserve(out, 100, &err));
    err = (azr_error)AZR_ERROR_INIT;
    assert_int_equal(out->reserve(out, 101, &err), AZR_ECORRUPT);
    assert_non_null(strstr(err.message, "more than 100 bytes"));
    out = azri_coder_between(coder, 0, SIZE_MAX);
    err = (azr_error)AZR_ERROR_INIT;
    assert_int_equal(out->reserve(out, SIZE_MAX, &err), AZR_ENOMEM);
    out = azri_coder_borrow(coder, bytes, sizeof bytes);
    OK(out->reserve(out, 8, &err));
    err = (azr_error)AZR_ERROR_INIT;
    assert_int_equal(out->reserve(out, 9, &err), AZR_ECORRUPT);
    azri_coder_free(coder);
    azri_coder_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configurations_that_are_none),
        cmocka_unit_test(test_no_configuration),
        cmocka_unit_test(test_no_memory_to_configure),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_encoding_too_much),
        cmocka_unit_test(test_rooms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
