/* SPDX-License-Identifier: Apache-2.0 */
/* Small documents that other programs wrote or could have written, and a way to
 * change one member of them. */
#ifndef AZRI_TEST_MODEL_DOCUMENTS_H
#define AZRI_TEST_MODEL_DOCUMENTS_H

#include "testing.h"

#include "model/jsontext.h"
#include "model/meta.h"

static const char base_v3[] =
    "{\"zarr_format\":3,\"node_type\":\"array\",\"shape\":[10,20],"
    "\"data_type\":\"float32\",\"chunk_grid\":{\"name\":\"regular\","
    "\"configuration\":{\"chunk_shape\":[5,20]}},"
    "\"chunk_key_encoding\":{\"name\":\"default\","
    "\"configuration\":{\"separator\":\"/\"}},\"fill_value\":\"NaN\","
    "\"codecs\":[{\"name\":\"bytes\",\"configuration\":"
    "{\"endian\":\"little\"}},{\"name\":\"zstd\",\"configuration\":"
    "{\"level\":3,\"checksum\":false}}],"
    "\"attributes\":{},\"dimension_names\":[\"y\",null]}";

static const char base_v2[] =
    "{\n    \"chunks\": [\n        5,\n        20\n    ],\n"
    "    \"compressor\": {\n        \"blocksize\": 0,\n"
    "        \"clevel\": 5,\n        \"cname\": \"lz4\",\n"
    "        \"id\": \"blosc\",\n        \"shuffle\": 1\n    },\n"
    "    \"dtype\": \"<i4\",\n    \"fill_value\": 0,\n    \"filters\": null,\n"
    "    \"order\": \"C\",\n    \"shape\": [\n        10,\n        20\n"
    "    ],\n    \"zarr_format\": 2\n}";

static inline azri_span no_text(void)
{
    azri_span s = {NULL, 0};

    return s;
}

/* Parse the base document of a format with member `name` set (value NULL:
 * removed). */
static inline int parse_with(azri_meta **out, int format, const char *name,
                             const char *value, azr_error *err)
{
    const char *base = format == 2 ? base_v2 : base_v3;
    azri_buf text = AZRI_BUF_INIT;
    int rc = azri_json_splice(&text, span_of(base), name,
                              value ? span_of(value) : no_text(), err);

    *out = NULL;
    if (rc >= 0)
        rc = azri_meta_parse(out, format, azri_buf_span(&text), no_text(), err);
    azri_buf_dispose(&text);
    return rc;
}

typedef struct refusal {
    const char *member, *value; /* value NULL: the member is missing */
    int code;
    const char *part; /* of the message */
} refusal;

static inline void expect_refusals(int format, const refusal *r, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        azri_meta *m = NULL;
        azr_error err = AZR_ERROR_INIT;
        int rc = parse_with(&m, format, r[i].member, r[i].value, &err);

        if (rc >= 0)
            fail_msg("%s %s was taken", r[i].member, r[i].value);
        expect_error(rc, &err, r[i].code, r[i].part);
        assert_null(m);
        if (strncmp(err.message, azri_meta_key(format),
                    strlen(azri_meta_key(format))) != 0)
            fail_msg("\"%s\" does not name the document", err.message);
    }
}

static inline azri_meta *must_parse(int format, const char *name,
                                    const char *value)
{
    azri_meta *m;
    azr_error err = AZR_ERROR_INIT;

    expect_ok(parse_with(&m, format, name, value, &err), &err);
    return m;
}

#endif
