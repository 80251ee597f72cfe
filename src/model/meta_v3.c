/* SPDX-License-Identifier: Apache-2.0 */
/* zarr.json: Zarr format 3. */
#include "model/meta_parse.h"

#include <string.h>

enum {
    FORMAT,
    NODE_TYPE,
    SHAPE,
    DATA_TYPE,
    GRID,
    KEYS,
    FILL_VALUE,
    CODECS,
    ATTRIBUTES,
    TRANSFORMERS,
    DIMENSIONS,
    CONSOLIDATED,
    MEMBER_COUNT
};

static bool is_type(azri_span value, azri_json_type type)
{
    return value.data && azri_json_type_of(value) == type;
}

int azri_meta_extension(azri_extension *out, const azri_doc *doc,
                        const char *member, azri_span value, azr_error *err)
{
    azri_member whole = {member, value};
    azri_member parts[] = {
        {"name", {NULL, 0}},
        {"configuration", {NULL, 0}},
        {"must_understand", {NULL, 0}},
    };
    int rc;

    if (is_type(value, AZRI_JSON_STRING)) {
        *out = (azri_extension){value, {NULL, 0}, false};
        return AZR_OK;
    }
    if (!is_type(value, AZRI_JSON_OBJECT))
        return azri_meta_refuse(doc, &whole,
                                "a name, or an object with a \"name\"", err);
    rc = azri_meta_collect(doc, value, parts, 3, azri_unknown_refuse, err);
    if (rc < 0)
        return rc;
    if (!is_type(parts[0].value, AZRI_JSON_STRING))
        return azri_meta_refuse(doc, &whole, "a string as its \"name\"", err);
    if (parts[1].value.data && !is_type(parts[1].value, AZRI_JSON_OBJECT))
        return azri_meta_refuse(doc, &whole, "an object as \"configuration\"",
                                err);
    if (parts[2].value.data && !is_type(parts[2].value, AZRI_JSON_TRUE) &&
        !is_type(parts[2].value, AZRI_JSON_FALSE))
        return azri_meta_refuse(doc, &whole,
                                "true or false as \"must_understand\"", err);
    out->name = parts[0].value;
    out->config = parts[1].value;
    out->optional = is_type(parts[2].value, AZRI_JSON_FALSE);
    return AZR_OK;
}

/* An extension that cannot be skipped whatever it says of itself. */
static int required_extension(azri_extension *out, const azri_doc *doc,
                              const azri_member *member, azr_error *err)
{
    int rc;

    if (!member->value.data)
        return azri_meta_refuse(doc, member, "a name or an object", err);
    rc = azri_meta_extension(out, doc, member->name, member->value, err);
    if (rc >= 0 && out->optional)
        return azri_meta_refuse(doc, member, "\"must_understand\" not false",
                                err);
    return rc;
}

/* One known member of a configuration; others are refused. */
static int config_member(azri_member *part, const azri_doc *doc,
                         const azri_extension *ext, azr_error *err)
{
    if (!ext->config.data)
        return AZR_OK;
    return azri_meta_collect(doc, ext->config, part, 1, azri_unknown_refuse,
                             err);
}

static int read_dtype(azri_meta *m, const azri_doc *doc,
                      const azri_member *member, azr_error *err)
{
    /* other names of two of the types, in the registry */
    static const struct {
        const char *alias;
        int id;
    } aliases[] = {{"complex_float32", AZR_COMPLEX64},
                   {"complex_float64", AZR_COMPLEX128}};
    azri_extension ext = AZRI_EXTENSION_INIT;
    const azri_dtype *types;
    size_t count;
    azri_member none = {"", {NULL, 0}};
    int rc = required_extension(&ext, doc, member, err);

    if (rc < 0)
        return rc;
    types = azri_dtype_table(&count);
    for (size_t i = 0; i < count; i++) {
        if (azri_json_same(ext.name, types[i].v3_name))
            m->dtype = &types[i];
    }
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
        if (azri_json_same(ext.name, aliases[i].alias))
            m->dtype = azri_dtype_get(aliases[i].id);
    }
    if (!m->dtype)
        return azri_meta_unsupported(doc, "data_type", ext.name, err);
    return config_member(&none, doc, &ext, err);
}

static int read_grid(azri_meta *m, const azri_doc *doc,
                     const azri_member *members, azr_error *err)
{
    azri_member chunk_shape = {"chunk_shape", {NULL, 0}};
    azri_extension ext = AZRI_EXTENSION_INIT;
    int chunk_rank;
    int rc = azri_meta_lengths(doc, &members[SHAPE], m->shape, &m->rank, err);

    if (rc >= 0)
        rc = required_extension(&ext, doc, &members[GRID], err);
    if (rc < 0)
        return rc;
    if (!azri_json_same(ext.name, "regular"))
        return azri_meta_unsupported(doc, "chunk_grid", ext.name, err);
    rc = config_member(&chunk_shape, doc, &ext, err);
    if (rc >= 0)
        rc = azri_meta_lengths(doc, &chunk_shape, m->chunk, &chunk_rank, err);
    if (rc < 0)
        return rc;
    if (chunk_rank != m->rank)
        return azri_fail_sub(err, doc->code, AZR_SUB_METADATA,
                             "%s: chunk_shape has %d dimensions, shape has %d",
                             doc->name, chunk_rank, m->rank);
    return azri_meta_sizes(m, doc, err);
}

static int read_keying(azri_meta *m, const azri_doc *doc,
                       const azri_member *member, azr_error *err)
{
    azri_member separator = {"separator", {NULL, 0}};
    azri_extension ext = AZRI_EXTENSION_INIT;
    int rc = required_extension(&ext, doc, member, err);

    if (rc < 0)
        return rc;
    m->keying = (azri_keying){3, 'd', '/', (uint8_t)m->rank};
    if (azri_json_same(ext.name, "v2")) {
        m->keying.encoding = '2';
        m->keying.separator = '.';
    } else if (!azri_json_same(ext.name, "default")) {
        return azri_meta_unsupported(doc, "chunk_key_encoding", ext.name, err);
    }
    rc = config_member(&separator, doc, &ext, err);
    if (rc < 0 || !separator.value.data)
        return rc;
    if (is_type(separator.value, AZRI_JSON_STRING) &&
        azri_json_same(separator.value, "/"))
        m->keying.separator = '/';
    else if (is_type(separator.value, AZRI_JSON_STRING) &&
             azri_json_same(separator.value, "."))
        m->keying.separator = '.';
    else
        return azri_meta_refuse(doc, &separator, "\"/\" or \".\"", err);
    return AZR_OK;
}

/* transpose with "order": "C" or "F", of early drafts: as a permutation. */
static bool is_legacy_transpose(const azri_extension *ext, bool *reverse_out)
{
    azri_span order;

    if (!azri_json_same(ext->name, "transpose") || !ext->config.data ||
        !azri_json_find(ext->config, "order", &order) ||
        azri_json_type_of(order) != AZRI_JSON_STRING)
        return false;
    *reverse_out = azri_json_same(order, "F");
    return *reverse_out || azri_json_same(order, "C");
}

static int read_codec(azri_meta *m, const azri_doc *doc, azri_span value,
                      azr_error *err)
{
    azri_extension ext = AZRI_EXTENSION_INIT;
    azri_span endian;
    bool reverse;
    int rc = azri_meta_extension(&ext, doc, "codecs", value, err);

    if (rc >= 0)
        rc = azri_meta_check_codec_name(doc, ext.name, err);
    if (rc < 0)
        return rc;
    if (is_legacy_transpose(&ext, &reverse))
        return azri_meta_push_reverse(m, reverse, err);
    if (azri_json_same(ext.name, "endian")) /* early drafts */
        ext.name = azri_span_of("\"bytes\"");
    if (azri_json_same(ext.name, "bytes") && ext.config.data &&
        azri_json_find(ext.config, "endian", &endian) &&
        is_type(endian, AZRI_JSON_STRING))
        m->big_endian =
            azri_json_same(endian, "big") && m->dtype->swap_unit > 1;
    return azri_meta_push_codec(m, ext.name, ext.config, 3, ext.optional, err);
}

static int read_codecs(azri_meta *m, const azri_doc *doc,
                       const azri_member *member, azr_error *err)
{
    azri_json_walk walk;
    azri_json_item item;
    size_t count = 0;
    int rc;

    if (is_type(member->value, AZRI_JSON_ARRAY)) {
        walk = azri_json_begin(member->value);
        while (azri_json_next(&walk, &item))
            count++;
    }
    if (count == 0)
        return azri_meta_refuse(doc, member, "a list of codecs, not empty",
                                err);
    if (count > AZRI_MAX_CODECS)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FORMAT,
                             "%s: %zu codecs, at most %d are supported",
                             doc->name, count, AZRI_MAX_CODECS);
    rc = azri_meta_reserve_codecs(m, count, err);
    walk = azri_json_begin(member->value);
    while (rc >= 0 && azri_json_next(&walk, &item))
        rc = read_codec(m, doc, item.value, err);
    return rc;
}

/* None is known. One that may be ignored lets us read, not write. */
static int read_transformers(azri_meta *m, const azri_doc *doc,
                             const azri_member *member, azr_error *err)
{
    azri_extension ext = AZRI_EXTENSION_INIT;
    azri_json_walk walk;
    azri_json_item item;
    int rc = AZR_OK;

    if (!member->value.data)
        return AZR_OK;
    if (!is_type(member->value, AZRI_JSON_ARRAY))
        return azri_meta_refuse(doc, member, "a list", err);
    walk = azri_json_begin(member->value);
    while (rc >= 0 && azri_json_next(&walk, &item)) {
        rc = azri_meta_extension(&ext, doc, member->name, item.value, err);
        if (rc >= 0 && !ext.optional)
            rc = azri_meta_unsupported(doc, "storage transformer", ext.name,
                                       err);
        m->read_only = true;
    }
    return rc;
}

static int read_dimension_names(azri_meta *m, const azri_doc *doc,
                                const azri_member *member, azr_error *err)
{
    azri_json_walk walk;
    azri_json_item item;
    int count = 0;
    bool ok = is_type(member->value, AZRI_JSON_ARRAY);

    if (!member->value.data || is_type(member->value, AZRI_JSON_NULL))
        return AZR_OK;
    if (ok) {
        walk = azri_json_begin(member->value);
        for (; azri_json_next(&walk, &item); count++)
            ok &= is_type(item.value, AZRI_JSON_STRING) ||
                  is_type(item.value, AZRI_JSON_NULL);
    }
    if (!ok || count != m->rank)
        return azri_meta_refuse(
            doc, member, "a list with a string or null per dimension", err);
    m->dimension_names =
        azri_strndup((const char *)member->value.data, member->value.nbytes);
    if (!m->dimension_names)
        return azri_fail_nomem(err, member->value.nbytes);
    return AZR_OK;
}

static int check_kind(const azri_doc *doc, const azri_member *members,
                      azr_error *err)
{
    const azri_member *format = &members[FORMAT], *node = &members[NODE_TYPE];
    int64_t n;

    if (is_type(format->value, AZRI_JSON_STRING))
        return azri_meta_unsupported(doc, "the 2021 draft, zarr_format",
                                     format->value, err);
    if (!format->value.data || !azri_json_i64(format->value, &n))
        return azri_meta_refuse(doc, format, "3", err);
    if (n != 3)
        return azri_meta_unsupported(doc, "zarr_format", format->value, err);
    if (!is_type(node->value, AZRI_JSON_STRING))
        return azri_meta_refuse(doc, node, "\"array\"", err);
    if (azri_json_same(node->value, "group"))
        return azri_fail_sub(err, AZR_ENOTFOUND, AZR_SUB_METADATA,
                             "%s: node_type is \"group\", need \"array\"",
                             doc->name);
    if (!azri_json_same(node->value, "array"))
        return azri_meta_unsupported(doc, "node_type", node->value, err);
    return AZR_OK;
}

int azri_unknown_v3(const azri_doc *doc, const azri_json_item *item,
                    azr_error *err)
{
    azri_span must;

    if (is_type(item->value, AZRI_JSON_OBJECT) &&
        azri_json_find(item->value, "must_understand", &must) &&
        is_type(must, AZRI_JSON_FALSE))
        return AZR_OK;
    return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FORMAT,
                         "%s: member %.*s must be understood, and is not",
                         doc->name, AZRI_SNIP(item->name));
}

static int check_attributes(const azri_doc *doc, const azri_member *attributes,
                            azr_error *err)
{
    if (!attributes->value.data || is_type(attributes->value, AZRI_JSON_OBJECT))
        return AZR_OK;
    return azri_meta_refuse(doc, attributes, "an object", err);
}

static int read_values(azri_meta *m, const azri_doc *doc,
                       const azri_member *members, azr_error *err)
{
    int rc = read_dtype(m, doc, &members[DATA_TYPE], err);

    if (rc >= 0)
        rc = read_grid(m, doc, members, err);
    if (rc >= 0)
        rc = read_keying(m, doc, &members[KEYS], err);
    if (rc >= 0 && !members[FILL_VALUE].value.data)
        rc = azri_meta_refuse(doc, &members[FILL_VALUE], "a value", err);
    if (rc >= 0)
        rc = azri_meta_fill(m, doc, &members[FILL_VALUE], err);
    if (rc >= 0)
        rc = read_codecs(m, doc, &members[CODECS], err);
    if (rc >= 0)
        rc = read_transformers(m, doc, &members[TRANSFORMERS], err);
    if (rc >= 0)
        rc = read_dimension_names(m, doc, &members[DIMENSIONS], err);
    if (rc >= 0)
        rc = check_attributes(doc, &members[ATTRIBUTES], err);
    return rc;
}

static int collect(azri_member members[MEMBER_COUNT], const azri_meta *m,
                   const azri_doc *doc, azr_error *err)
{
    static const azri_member none[MEMBER_COUNT] = {
        [FORMAT] = {"zarr_format", {NULL, 0}},
        [NODE_TYPE] = {"node_type", {NULL, 0}},
        [SHAPE] = {"shape", {NULL, 0}},
        [DATA_TYPE] = {"data_type", {NULL, 0}},
        [GRID] = {"chunk_grid", {NULL, 0}},
        [KEYS] = {"chunk_key_encoding", {NULL, 0}},
        [FILL_VALUE] = {"fill_value", {NULL, 0}},
        [CODECS] = {"codecs", {NULL, 0}},
        [ATTRIBUTES] = {"attributes", {NULL, 0}},
        [TRANSFORMERS] = {"storage_transformers", {NULL, 0}},
        [DIMENSIONS] = {"dimension_names", {NULL, 0}},
        [CONSOLIDATED] = {"consolidated_metadata", {NULL, 0}},
    };
    azri_span text = azri_buf_span(&m->text);
    int rc;

    /* what the document is comes before what it holds: of groups and drafts
     * other members are known */
    memcpy(members, none, sizeof none);
    rc = azri_meta_collect(doc, text, members, MEMBER_COUNT,
                           azri_unknown_ignore, err);
    if (rc >= 0)
        rc = check_kind(doc, members, err);
    if (rc >= 0)
        rc = azri_meta_collect(doc, text, members, MEMBER_COUNT,
                               azri_unknown_v3, err);
    return rc;
}

int azri_meta_v3_read(azri_meta *m, const azri_doc *doc, azr_error *err)
{
    azri_member members[MEMBER_COUNT];
    int rc = collect(members, m, doc, err);

    return rc < 0 ? rc : read_values(m, doc, members, err);
}

/* Codecs that can be read; others go without a name. */
static int name_codecs(azri_meta *m, const azri_doc *doc,
                       const azri_member *codecs, azr_error *err)
{
    azri_json_walk walk;
    azri_json_item item;
    int rc = azri_meta_reserve_codecs(m, AZRI_MAX_CODECS, err);

    if (rc < 0 || !is_type(codecs->value, AZRI_JSON_ARRAY))
        return rc;
    walk = azri_json_begin(codecs->value);
    while (rc >= 0 && azri_json_next(&walk, &item)) {
        azri_extension ext = AZRI_EXTENSION_INIT;

        if (m->codec_count < AZRI_MAX_CODECS &&
            azri_meta_extension(&ext, doc, "codecs", item.value, NULL) >= 0)
            rc = azri_meta_push_codec(m, ext.name, ext.config, 3, ext.optional,
                                      err);
    }
    return rc;
}

int azri_meta_v3_read_grid(azri_meta *m, const azri_doc *doc, azr_error *err)
{
    azri_member members[MEMBER_COUNT];
    int rc = collect(members, m, doc, err);

    m->dtype = azri_dtype_opaque();
    if (rc >= 0)
        rc = read_grid(m, doc, members, err);
    if (rc >= 0)
        rc = read_keying(m, doc, &members[KEYS], err);
    if (rc >= 0)
        rc = read_dimension_names(m, doc, &members[DIMENSIONS], err);
    if (rc >= 0)
        rc = check_attributes(doc, &members[ATTRIBUTES], err);
    if (rc >= 0)
        rc = name_codecs(m, doc, &members[CODECS], err);
    return rc;
}
