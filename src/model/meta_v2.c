/* SPDX-License-Identifier: Apache-2.0 */
/* .zarray: Zarr format 2. */
#include "model/meta_parse.h"

#include <string.h>

enum {
    FORMAT,
    SHAPE,
    CHUNKS,
    DTYPE,
    COMPRESSOR,
    FILL_VALUE,
    ORDER,
    FILTERS,
    SEPARATOR,
    MEMBER_COUNT
};

static bool is_null(const azri_member *member)
{
    return !member->value.data ||
           azri_json_type_of(member->value) == AZRI_JSON_NULL;
}

static bool is_string(const azri_member *member)
{
    return member->value.data &&
           azri_json_type_of(member->value) == AZRI_JSON_STRING;
}

static int read_dtype(azri_meta *m, const azri_doc *doc,
                      const azri_member *member, azr_error *err)
{
    char code[8], order;
    size_t n = member->value.nbytes - 2; /* without quotes */
    const azri_dtype *bare;

    if (member->value.data &&
        azri_json_type_of(member->value) == AZRI_JSON_ARRAY)
        return azri_meta_unsupported(doc, "structured dtype", member->value,
                                     err);
    if (!is_string(member))
        return azri_meta_refuse(doc, member, "a string such as \"<i4\"", err);
    if (n < 2 || n >= sizeof code)
        return azri_meta_unsupported(doc, "dtype", member->value, err);
    memcpy(code, member->value.data + 1, n);
    code[n] = '\0';
    order = code[0];
    bare = azri_dtype_by_v2_code(code);
    m->dtype = azri_dtype_by_v2_code(code + 1);
    if (bare || (m->dtype && order == '=') ||
        (m->dtype && order == '|' && m->dtype->nbytes > 1))
        return azri_meta_refuse(doc, member,
                                "its byte order in front, '<' or '>'", err);
    if (!m->dtype || !strchr("<>|", order))
        return azri_meta_unsupported(doc, "dtype", member->value, err);
    m->big_endian = order == '>' && m->dtype->swap_unit > 1;
    return AZR_OK;
}

int azri_meta_v2_codec_id(azri_span *id_out, const azri_doc *doc,
                          const char *member, azri_span value, azr_error *err)
{
    azri_member whole = {member, value};

    if (azri_json_type_of(value) != AZRI_JSON_OBJECT ||
        !azri_json_find(value, "id", id_out) ||
        azri_json_type_of(*id_out) != AZRI_JSON_STRING)
        return azri_meta_refuse(doc, &whole, "an object with a string \"id\"",
                                err);
    return azri_meta_check_codec_name(doc, *id_out, err);
}

static int push_v2_codec(azri_meta *m, const azri_doc *doc, const char *member,
                         azri_span value, azr_error *err)
{
    azri_span id = {NULL, 0};
    int rc = azri_meta_v2_codec_id(&id, doc, member, value, err);

    if (rc < 0)
        return rc;
    return azri_meta_push_codec(m, id, value, 2, false, err);
}

/* How many filters; refuses what is no list of objects. */
static int count_filters(size_t *out, const azri_doc *doc,
                         const azri_member *member, azr_error *err)
{
    azri_json_walk walk;
    azri_json_item item;
    size_t count = 0;

    *out = 0;
    if (is_null(member))
        return AZR_OK;
    if (azri_json_type_of(member->value) != AZRI_JSON_ARRAY)
        return azri_meta_refuse(doc, member, "a list of objects, or null", err);
    walk = azri_json_begin(member->value);
    while (azri_json_next(&walk, &item))
        count++;
    if (count > AZRI_MAX_CODECS)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FORMAT,
                             "%s: %zu filters, at most %d are supported",
                             doc->name, count, AZRI_MAX_CODECS);
    *out = count;
    return AZR_OK;
}

/* transpose, bytes, filters, compressor. */
static int read_chain(azri_meta *m, const azri_doc *doc,
                      const azri_member *members, size_t filter_count,
                      azr_error *err)
{
    const char *endian = m->dtype->swap_unit < 2 ? "{}"
                         : m->big_endian         ? "{\"endian\":\"big\"}"
                                                 : "{\"endian\":\"little\"}";
    azri_json_walk walk;
    azri_json_item item;
    int rc = azri_meta_reserve_codecs(m, filter_count + 3, err);

    if (rc >= 0 && m->order == 'F' && m->rank > 1)
        rc = azri_meta_push_reverse(m, true, err);
    if (rc >= 0)
        rc = azri_meta_push_codec(m, azri_span_of("\"bytes\""),
                                  azri_span_of(endian), 3, false, err);
    if (rc >= 0 && filter_count > 0) {
        walk = azri_json_begin(members[FILTERS].value);
        while (rc >= 0 && azri_json_next(&walk, &item))
            rc = push_v2_codec(m, doc, "filters", item.value, err);
    }
    if (rc >= 0 && !is_null(&members[COMPRESSOR]))
        rc =
            push_v2_codec(m, doc, "compressor", members[COMPRESSOR].value, err);
    return rc;
}

/* Object codecs are told by their own names before "|O" is. */
static int check_codec_names(const azri_doc *doc, const azri_member *members,
                             size_t filter_count, azr_error *err)
{
    azri_json_walk walk;
    azri_json_item item;
    azri_span id = {NULL, 0};
    int rc = AZR_OK;

    if (filter_count > 0) {
        walk = azri_json_begin(members[FILTERS].value);
        while (rc >= 0 && azri_json_next(&walk, &item))
            rc = azri_meta_v2_codec_id(&id, doc, "filters", item.value, err);
    }
    if (rc >= 0 && !is_null(&members[COMPRESSOR]))
        rc = azri_meta_v2_codec_id(&id, doc, "compressor",
                                   members[COMPRESSOR].value, err);
    return rc;
}

static int read_grid(azri_meta *m, const azri_doc *doc,
                     const azri_member *members, azr_error *err)
{
    int chunk_rank;
    int rc = azri_meta_lengths(doc, &members[SHAPE], m->shape, &m->rank, err);

    if (rc >= 0)
        rc = azri_meta_lengths(doc, &members[CHUNKS], m->chunk, &chunk_rank,
                               err);
    if (rc < 0)
        return rc;
    if (chunk_rank != m->rank)
        return azri_fail_sub(err, doc->code, AZR_SUB_METADATA,
                             "%s: chunks has %d dimensions, shape has %d",
                             doc->name, chunk_rank, m->rank);
    for (int d = 0; d < m->rank; d++) {
        if (m->shape[d] == 0 && m->chunk[d] == 0)
            m->chunk[d] = 1;
    }
    return azri_meta_sizes(m, doc, err);
}

static int read_layout(azri_meta *m, const azri_doc *doc,
                       const azri_member *members, azr_error *err)
{
    const azri_member *order = &members[ORDER];
    const azri_member *separator = &members[SEPARATOR];

    m->keying = (azri_keying){2, '2', '.', (uint8_t)m->rank};
    if (!is_null(order)) {
        if (!is_string(order) || (!azri_json_same(order->value, "C") &&
                                  !azri_json_same(order->value, "F")))
            return azri_meta_refuse(doc, order, "\"C\" or \"F\"", err);
        m->order = azri_json_same(order->value, "F") ? 'F' : 'C';
    }
    if (!is_null(separator)) {
        if (!is_string(separator) || (!azri_json_same(separator->value, ".") &&
                                      !azri_json_same(separator->value, "/")))
            return azri_meta_refuse(doc, separator, "\".\" or \"/\"", err);
        if (azri_json_same(separator->value, "/"))
            m->keying.separator = '/';
    }
    return AZR_OK;
}

/* A base64 fill is the stored element: big-endian ones are turned. */
static void turn_base64_fill(azri_meta *m, const azri_member *member)
{
    size_t unit = m->dtype->swap_unit;

    if (!m->big_endian || m->dtype->kind != AZRI_KIND_COMPLEX ||
        !is_string(member))
        return;
    for (size_t at = 0; at < m->dtype->nbytes; at += unit) {
        for (size_t i = 0; i < unit / 2; i++) {
            uint8_t b = m->fill[at + i];

            m->fill[at + i] = m->fill[at + unit - 1 - i];
            m->fill[at + unit - 1 - i] = b;
        }
    }
}

static int read_fill(azri_meta *m, const azri_doc *doc,
                     const azri_member *member, azr_error *err)
{
    int rc;

    if (is_null(member))
        return AZR_OK; /* has_fill false, zeros */
    rc = azri_meta_fill(m, doc, member, err);
    if (rc >= 0)
        turn_base64_fill(m, member);
    return rc;
}

static int check_format(const azri_doc *doc, const azri_member *member,
                        azr_error *err)
{
    int64_t format;

    if (!member->value.data || !azri_json_i64(member->value, &format))
        return azri_meta_refuse(doc, member, "2", err);
    if (format != 2)
        return azri_meta_unsupported(doc, "zarr_format", member->value, err);
    return AZR_OK;
}

static int collect(azri_member members[MEMBER_COUNT], const azri_meta *m,
                   const azri_doc *doc, azr_error *err)
{
    static const azri_member none[MEMBER_COUNT] = {
        [FORMAT] = {"zarr_format", {NULL, 0}},
        [SHAPE] = {"shape", {NULL, 0}},
        [CHUNKS] = {"chunks", {NULL, 0}},
        [DTYPE] = {"dtype", {NULL, 0}},
        [COMPRESSOR] = {"compressor", {NULL, 0}},
        [FILL_VALUE] = {"fill_value", {NULL, 0}},
        [ORDER] = {"order", {NULL, 0}},
        [FILTERS] = {"filters", {NULL, 0}},
        [SEPARATOR] = {"dimension_separator", {NULL, 0}},
    };
    int rc;

    memcpy(members, none, sizeof none);
    rc = azri_meta_collect(doc, azri_buf_span(&m->text), members, MEMBER_COUNT,
                           azri_unknown_ignore, err);
    return rc < 0 ? rc : check_format(doc, &members[FORMAT], err);
}

int azri_meta_v2_read(azri_meta *m, const azri_doc *doc, azr_error *err)
{
    azri_member members[MEMBER_COUNT];
    size_t filter_count = 0;
    int rc = collect(members, m, doc, err);

    if (rc >= 0 && !members[COMPRESSOR].value.data)
        rc = azri_meta_refuse(doc, &members[COMPRESSOR],
                              "an object with an \"id\", or null", err);
    if (rc >= 0)
        rc = count_filters(&filter_count, doc, &members[FILTERS], err);
    if (rc >= 0)
        rc = check_codec_names(doc, members, filter_count, err);
    if (rc >= 0)
        rc = read_dtype(m, doc, &members[DTYPE], err);
    if (rc >= 0)
        rc = read_grid(m, doc, members, err);
    if (rc >= 0)
        rc = read_layout(m, doc, members, err);
    if (rc >= 0)
        rc = read_fill(m, doc, &members[FILL_VALUE], err);
    if (rc >= 0)
        rc = read_chain(m, doc, members, filter_count, err);
    return rc;
}

/* An id that can be read; others go without a name. */
static int name_codec(azri_meta *m, azri_span value, azr_error *err)
{
    azri_span id;

    if (m->codec_count == AZRI_MAX_CODECS ||
        azri_json_type_of(value) != AZRI_JSON_OBJECT ||
        !azri_json_find(value, "id", &id) ||
        azri_json_type_of(id) != AZRI_JSON_STRING)
        return AZR_OK;
    return azri_meta_push_codec(m, id, value, 2, false, err);
}

int azri_meta_v2_read_grid(azri_meta *m, const azri_doc *doc, azr_error *err)
{
    azri_member members[MEMBER_COUNT];
    const azri_member *filters = &members[FILTERS];
    azri_json_walk walk;
    azri_json_item item;
    int rc = collect(members, m, doc, err);

    m->dtype = azri_dtype_opaque();
    if (rc >= 0)
        rc = read_grid(m, doc, members, err);
    if (rc >= 0)
        rc = read_layout(m, doc, members, err);
    if (rc >= 0)
        rc = azri_meta_reserve_codecs(m, AZRI_MAX_CODECS, err);
    if (rc >= 0 && !is_null(filters) &&
        azri_json_type_of(filters->value) == AZRI_JSON_ARRAY) {
        walk = azri_json_begin(filters->value);
        while (rc >= 0 && azri_json_next(&walk, &item))
            rc = name_codec(m, item.value, err);
    }
    if (rc >= 0 && !is_null(&members[COMPRESSOR]))
        rc = name_codec(m, members[COMPRESSOR].value, err);
    return rc;
}
