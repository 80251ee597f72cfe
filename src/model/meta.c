/* SPDX-License-Identifier: Apache-2.0 */
#include "model/meta.h"

#include "base/checked.h"
#include "model/meta_parse.h"
#include "model/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *azri_meta_key(int zarr_format)
{
    return zarr_format == 2 ? ".zarray" : "zarr.json";
}

void azri_meta_free(azri_meta *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->codec_count; i++) {
        azri_free(m->codecs[i].name);
        azri_free(m->codecs[i].config);
    }
    azri_free(m->codecs);
    azri_free(m->dimension_names);
    azri_free(m->opaque);
    azri_buf_dispose(&m->text);
    azri_buf_dispose(&m->attributes);
    azri_free(m);
}

int azri_meta_check_object(azri_span text, const char *name, azr_error *err)
{
    int rc = azri_json_check(text, name, AZR_ECORRUPT, err);

    if (rc < 0)
        return rc;
    if (azri_json_type_of(text) != AZRI_JSON_OBJECT)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_METADATA,
                             "%s: found %.*s, need an object", name,
                             AZRI_SNIP(azri_json_body(text)));
    return AZR_OK;
}

/* An empty .zattrs file is met in the wild: no attributes. */
static int take_zattrs(azri_meta *m, azri_span zattrs, azr_error *err)
{
    int rc;

    if (zattrs.nbytes == 0)
        return AZR_OK;
    rc = azri_meta_check_object(zattrs, ".zattrs", err);
    if (rc < 0)
        return rc;
    return azri_buf_append(&m->attributes, zattrs.data, zattrs.nbytes, err);
}

typedef int (*read_fn)(azri_meta *m, const azri_doc *doc, azr_error *err);

/* `why`: the parsers are those of the grid alone. */
static int parse(azri_meta **out, int zarr_format, azri_span text,
                 azri_span zattrs, const azr_error *why, azr_error *err)
{
    read_fn v2 = why ? azri_meta_v2_read_grid : azri_meta_v2_read;
    read_fn v3 = why ? azri_meta_v3_read_grid : azri_meta_v3_read;
    azri_doc doc = {azri_meta_key(zarr_format), AZR_ECORRUPT};
    azri_meta *m;
    int rc = azri_meta_check_object(text, doc.name, err);

    if (rc < 0)
        return rc;
    m = azri_calloc(1, sizeof *m);
    if (!m)
        return azri_fail_nomem(err, sizeof *m);
    m->zarr_format = zarr_format;
    m->order = 'C';
    rc = azri_buf_append(&m->text, text.data, text.nbytes, err);
    if (rc >= 0 && zarr_format == 2)
        rc = take_zattrs(m, zattrs, err);
    if (rc >= 0 && why) {
        m->opaque = azri_strndup(why->message, strlen(why->message));
        m->opaque_sub = why->sub;
        if (!m->opaque)
            rc = azri_fail_nomem(err, strlen(why->message));
    }
    if (rc >= 0)
        rc = (zarr_format == 2 ? v2 : v3)(m, &doc, err);
    if (rc < 0)
        goto done;
    *out = m;
    m = NULL;
done:
    azri_meta_free(m);
    return rc;
}

int azri_meta_parse(azri_meta **out, int zarr_format, azri_span text,
                    azri_span zattrs, azr_error *err)
{
    return parse(out, zarr_format, text, zattrs, NULL, err);
}

int azri_meta_parse_grid(azri_meta **out, int zarr_format, azri_span text,
                         azri_span zattrs, const azr_error *why, azr_error *err)
{
    return parse(out, zarr_format, text, zattrs, why, err);
}

/* -------------------------------------------------- what parsers share --- */

int azri_unknown_ignore(const azri_doc *doc, const azri_json_item *item,
                        azr_error *err)
{
    (void)doc;
    (void)item;
    (void)err;
    return AZR_OK;
}

int azri_unknown_refuse(const azri_doc *doc, const azri_json_item *item,
                        azr_error *err)
{
    return azri_meta_unsupported(doc, "member", item->name, err);
}

int azri_meta_collect(const azri_doc *doc, azri_span text, azri_member *members,
                      size_t count, azri_unknown_fn unknown, azr_error *err)
{
    azri_json_walk walk = azri_json_begin(text);
    azri_json_item item;

    while (azri_json_next(&walk, &item)) {
        size_t i = 0;
        int rc;

        while (i < count && !azri_json_same(item.name, members[i].name))
            i++;
        if (i < count) {
            members[i].value = item.value;
            continue;
        }
        rc = unknown(doc, &item, err);
        if (rc < 0)
            return rc;
    }
    return AZR_OK;
}

static int sub_of(const azri_doc *doc)
{
    return doc->code == AZR_ECORRUPT ? AZR_SUB_METADATA : AZR_SUB_ARGUMENT;
}

int azri_meta_refuse(const azri_doc *doc, const azri_member *member,
                     const char *need, azr_error *err)
{
    if (!member->value.data)
        return azri_fail_sub(err, doc->code, sub_of(doc),
                             "%s: %s is missing: need %s", doc->name,
                             member->name, need);
    return azri_fail_sub(err, doc->code, sub_of(doc), "%s: %s is %.*s, need %s",
                         doc->name, member->name, AZRI_SNIP(member->value),
                         need);
}

int azri_meta_unsupported(const azri_doc *doc, const char *what,
                          azri_span found, azr_error *err)
{
    return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FORMAT,
                         "%s: %s %.*s is not supported", doc->name, what,
                         AZRI_SNIP(found));
}

int azri_meta_lengths(const azri_doc *doc, const azri_member *member,
                      int64_t out[AZR_MAX_RANK], int *count_out, azr_error *err)
{
    const char *need = "a list of integers from 0 to 2^63-1";
    azri_json_walk walk;
    azri_json_item item;
    int count = 0;

    if (!member->value.data ||
        azri_json_type_of(member->value) != AZRI_JSON_ARRAY)
        return azri_meta_refuse(doc, member, need, err);
    walk = azri_json_begin(member->value);
    for (; azri_json_next(&walk, &item); count++) {
        if (count == AZR_MAX_RANK)
            return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_FORMAT,
                                 "%s: %s has more than %d dimensions",
                                 doc->name, member->name, AZR_MAX_RANK);
        if (!azri_json_i64(item.value, &out[count]) || out[count] < 0)
            return azri_fail_sub(err, doc->code, sub_of(doc),
                                 "%s: %s[%d] is %.*s, need an integer from 0 "
                                 "to 2^63-1",
                                 doc->name, member->name, count,
                                 AZRI_SNIP(item.value));
    }
    *count_out = count;
    return AZR_OK;
}

/* Fewer than 2^64 elements? A length of 0 makes any shape empty. */
static bool can_be_counted(int rank, const int64_t *shape)
{
    uint64_t n = 1;
    bool fits = true;

    for (int d = 0; d < rank; d++) {
        if (shape[d] == 0)
            return true;
        if (__builtin_mul_overflow(n, (uint64_t)shape[d], &n))
            fits = false;
    }
    return fits;
}

int azri_meta_sizes(azri_meta *m, const azri_doc *doc, azr_error *err)
{
    size_t nbytes = m->dtype->nbytes;

    for (int d = 0; d < m->rank; d++) {
        if (m->chunk[d] < 1)
            return azri_fail_sub(err, doc->code, sub_of(doc),
                                 "%s: chunk length %" PRId64
                                 " in dimension %d, need 1 or more",
                                 doc->name, m->chunk[d], d);
        if ((uint64_t)m->chunk[d] > SIZE_MAX ||
            azri_mul_overflow(nbytes, (size_t)m->chunk[d], &nbytes))
            return azri_fail_sub(err, doc->code, sub_of(doc),
                                 "%s: the bytes of a chunk do not fit into a "
                                 "number of %zu bits",
                                 doc->name, sizeof nbytes * 8);
    }
    if (!can_be_counted(m->rank, m->shape))
        return azri_fail_sub(err, doc->code, sub_of(doc),
                             "%s: shape holds 2^64 elements or more",
                             doc->name);
    m->chunk_nbytes = nbytes;
    return AZR_OK;
}

int azri_meta_fill(azri_meta *m, const azri_doc *doc, const azri_member *member,
                   azr_error *err)
{
    azr_error inner = AZR_ERROR_INIT;
    int rc = azri_fill_parse(m->fill, &m->has_fill, m->dtype, m->zarr_format,
                             (const char *)member->value.data,
                             member->value.nbytes, &inner);

    if (rc != AZR_EINVAL)
        return rc < 0 ? azri_fail_sub(err, rc, inner.sub, "%s", inner.message)
                      : AZR_OK;
    return azri_fail_sub(err, doc->code, sub_of(doc), "%s: %s", doc->name,
                         inner.message);
}

int azri_meta_reserve_codecs(azri_meta *m, size_t count, azr_error *err)
{
    m->codecs = azri_calloc(count, sizeof *m->codecs);
    if (!m->codecs)
        return azri_fail_nomem(err, count * sizeof *m->codecs);
    return AZR_OK;
}

/* What the JSON string decodes to, as a C string. */
static int decode_name(char **out, azri_span name, azr_error *err)
{
    azri_buf text = AZRI_BUF_INIT;
    int rc = azri_json_unquote(&text, name, err);

    if (rc >= 0)
        rc = azri_buf_terminate(&text, err);
    if (rc < 0) {
        azri_buf_dispose(&text);
        return rc;
    }
    *out = (char *)text.data;
    return AZR_OK;
}

int azri_meta_push_codec(azri_meta *m, azri_span name, azri_span config,
                         int dialect, bool optional, azr_error *err)
{
    azri_codec_spec *spec = &m->codecs[m->codec_count];
    int rc = decode_name(&spec->name, name, err);

    if (rc < 0)
        return rc;
    m->codec_count++; /* from here on azri_meta_free sees it */
    if (!config.data)
        config = azri_span_of("{}");
    spec->config = azri_strndup((const char *)config.data, config.nbytes);
    if (!spec->config)
        return azri_fail_nomem(err, config.nbytes);
    spec->dialect = dialect;
    spec->optional = optional;
    return AZR_OK;
}

int azri_meta_push_reverse(azri_meta *m, bool reverse, azr_error *err)
{
    azri_buf config = AZRI_BUF_INIT;
    int rc = azri_buf_puts(&config, "{\"order\":[", err);

    for (int d = 0; d < m->rank && rc >= 0; d++)
        rc = azri_buf_printf(&config, err, "%s%d", d > 0 ? "," : "",
                             reverse ? m->rank - 1 - d : d);
    if (rc >= 0)
        rc = azri_buf_puts(&config, "]}", err);
    if (rc >= 0)
        rc = azri_meta_push_codec(m, azri_span_of("\"transpose\""),
                                  azri_buf_span(&config), 3, false, err);
    azri_buf_dispose(&config);
    return rc;
}

int azri_meta_check_codec_name(const azri_doc *doc, azri_span name,
                               azr_error *err)
{
    static const char *const run_code[] = {"pickle", "numcodecs.pickle"};
    static const char *const of_objects[] = {
        "vlen-utf8",
        "vlen-bytes",
        "vlen-array",
        "json",
        "json2",
        "msgpack",
        "msgpack2",
        "numcodecs.vlen-utf8",
        "numcodecs.vlen-bytes",
        "numcodecs.vlen-array",
        "numcodecs.json2",
        "numcodecs.msgpack2",
    };

    for (size_t i = 0; i < sizeof run_code / sizeof run_code[0]; i++) {
        if (azri_json_same(name, run_code[i]))
            return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_CODEC,
                                 "%s: codec %.*s is refused: decoding it would "
                                 "run code from the store",
                                 doc->name, AZRI_SNIP(name));
    }
    for (size_t i = 0; i < sizeof of_objects / sizeof of_objects[0]; i++) {
        if (azri_json_same(name, of_objects[i]))
            return azri_fail_sub(
                err, AZR_EUNSUPPORTED, AZR_SUB_CODEC,
                "%s: codec %.*s is not supported: its elements "
                "have no fixed size",
                doc->name, AZRI_SNIP(name));
    }
    return AZR_OK;
}

/* ------------------------------------------------------------- rewrite --- */

/* The list at `old` with its numbers replaced, every other byte kept. */
static int splice_lengths(azri_buf *out, azri_span old, const int64_t *lengths,
                          azr_error *err)
{
    azri_json_walk walk = azri_json_begin(old);
    azri_json_item item;
    const uint8_t *from = old.data;
    int rc = AZR_OK;

    while (rc >= 0 && azri_json_next(&walk, &item)) {
        rc = azri_buf_append(out, from, (size_t)(item.value.data - from), err);
        if (rc >= 0)
            rc = azri_buf_printf(out, err, "%" PRId64, *lengths++);
        from = item.value.data + item.value.nbytes;
    }
    if (rc < 0)
        return rc;
    return azri_buf_append(out, from, (size_t)(old.data + old.nbytes - from),
                           err);
}

static int splice_list(azri_buf *out, azri_span text, const char *name,
                       const int64_t *lengths, azr_error *err)
{
    azri_buf list = AZRI_BUF_INIT;
    azri_span old;
    int rc;

    if (!azri_json_find(text, name, &old))
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_METADATA,
                             "%s is missing", name);
    rc = splice_lengths(&list, old, lengths, err);
    if (rc >= 0)
        rc = azri_json_splice(out, text, name, azri_buf_span(&list), err);
    azri_buf_dispose(&list);
    return rc;
}

/* v2 writers give an empty dimension chunks of length 0, which we read as 1.
 * The document must say so before the dimension grows. */
static bool has_chunk_of_none(const azri_meta *m)
{
    azri_json_walk walk;
    azri_json_item item;
    azri_span chunks;
    int64_t n;

    if (m->zarr_format != 2 ||
        !azri_json_find(azri_buf_span(&m->text), "chunks", &chunks))
        return false;
    walk = azri_json_begin(chunks);
    while (azri_json_next(&walk, &item)) {
        if (azri_json_i64(item.value, &n) && n == 0)
            return true;
    }
    return false;
}

int azri_meta_with_shape(azri_buf *text, const azri_meta *m,
                         const int64_t *shape, azr_error *err)
{
    azri_buf first = AZRI_BUF_INIT;
    int rc;

    for (int d = 0; d < m->rank; d++) {
        if (shape[d] < 0)
            return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                                 "shape[%d] is %" PRId64 ", need 0 or more", d,
                                 shape[d]);
    }
    if (!can_be_counted(m->rank, shape))
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                             "shape holds 2^64 elements or more");
    if (!has_chunk_of_none(m))
        return splice_list(text, azri_buf_span(&m->text), "shape", shape, err);
    rc = splice_list(&first, azri_buf_span(&m->text), "chunks", m->chunk, err);
    if (rc >= 0)
        rc = splice_list(text, azri_buf_span(&first), "shape", shape, err);
    azri_buf_dispose(&first);
    return rc;
}

/* ---------------------------------------------------------- attributes --- */

static azri_node node_of(const azri_meta *m)
{
    azri_node n = {m->zarr_format, azri_buf_span(&m->text),
                   azri_buf_span(&m->attributes)};

    return n;
}

int azri_meta_attributes(azri_buf *out, const azri_meta *m, azr_error *err)
{
    azri_node n = node_of(m);

    return azri_node_attributes(out, &n, err);
}

int azri_meta_with_attribute(azri_buf *out, const azri_meta *m,
                             const char *name, const char *json, azr_error *err)
{
    azri_node n = node_of(m);

    return azri_node_with_attribute(out, &n, name, json, err);
}

/* The list of names; data NULL: there is none, or (v2, where anything may stand
 * in an attribute) it is no list of a name for each dimension. */
static azri_span names_of(const azri_meta *m)
{
    azri_span list = {NULL, 0}, none = {NULL, 0};
    azri_json_walk walk;
    azri_json_item item;
    int count = 0;

    if (m->zarr_format == 3)
        return m->dimension_names ? azri_span_of(m->dimension_names) : none;
    if (m->attributes.nbytes == 0 ||
        !azri_json_find(azri_buf_span(&m->attributes), AZRI_V2_NAMES, &list) ||
        azri_json_type_of(list) != AZRI_JSON_ARRAY)
        return none;
    walk = azri_json_begin(list);
    for (; azri_json_next(&walk, &item); count++) {
        if (azri_json_type_of(item.value) != AZRI_JSON_STRING)
            return none;
    }
    return count == m->rank ? list : none;
}

int azri_meta_dimension_name(azri_buf *out, const azri_meta *m, int d,
                             azr_error *err)
{
    azri_span list = names_of(m);
    azri_json_walk walk;
    azri_json_item item;
    int rc;

    if (!list.data)
        return AZR_OK;
    walk = azri_json_begin(list);
    for (int i = 0; azri_json_next(&walk, &item); i++) {
        if (i != d || azri_json_type_of(item.value) != AZRI_JSON_STRING)
            continue;
        rc = azri_json_unquote(out, item.value, err);
        return rc < 0 ? rc : azri_buf_terminate(out, err);
    }
    return AZR_OK;
}
