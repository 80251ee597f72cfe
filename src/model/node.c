/* SPDX-License-Identifier: Apache-2.0 */
/* What arrays and groups have in common: attributes, and what a document is. */
#include "model/node.h"

#include "model/meta_parse.h"

#include <string.h>

/* The object that holds the attributes; data NULL: there is none. */
static azri_span attributes_of(const azri_node *n)
{
    azri_span value = {NULL, 0};

    if (n->zarr_format == 2) {
        if (n->attributes.nbytes > 0)
            value = azri_json_body(n->attributes);
    } else if (!azri_json_find(n->text, "attributes", &value)) {
        value.data = NULL;
    }
    return value;
}

int azri_node_attributes(azri_buf *out, const azri_node *n, azr_error *err)
{
    azri_span value = attributes_of(n);

    if (!value.data)
        return azri_buf_puts(out, "{}", err);
    return azri_buf_append(out, value.data, value.nbytes, err);
}

/* White space before the first member of `text`: how it is laid out. */
static azri_span first_gap(azri_span text)
{
    azri_json_walk walk = azri_json_begin(text);
    azri_json_item item;
    azri_span gap = {text.data + walk.at, 0};

    if (azri_json_next(&walk, &item))
        gap.nbytes = (size_t)(item.name.data - gap.data);
    return gap;
}

/* {name: value} as the only attribute, one level deeper than `gap`. */
static int compose_single(azri_buf *out, azri_span gap, const char *name,
                          azri_span value, azr_error *err)
{
    const uint8_t *line = memchr(gap.data, '\n', gap.nbytes);
    size_t indent = line ? gap.nbytes - (size_t)(line + 1 - gap.data) : 0;
    int rc = azri_buf_puts(out, "{", err);

    if (rc >= 0 && line)
        rc = azri_buf_append(out, gap.data, gap.nbytes, err);
    if (rc >= 0 && line)
        rc = azri_buf_append(out, line + 1, indent, err);
    if (rc >= 0)
        rc = azri_json_quote(out, name, strlen(name), err);
    if (rc >= 0)
        rc = azri_buf_puts(out, ": ", err);
    if (rc >= 0)
        rc = azri_buf_append(out, value.data, value.nbytes, err);
    if (rc >= 0 && line)
        rc = azri_buf_append(out, gap.data, gap.nbytes, err);
    return rc < 0 ? rc : azri_buf_puts(out, "}", err);
}

static bool is_empty_object(azri_span object)
{
    azri_json_walk walk;
    azri_json_item item;

    if (!object.data)
        return true;
    walk = azri_json_begin(object);
    return !azri_json_next(&walk, &item);
}

/* v2: the whole new .zattrs. */
static int set_in_zattrs(azri_buf *out, const azri_node *n, const char *name,
                         azri_span value, azr_error *err)
{
    int rc;

    if (!is_empty_object(attributes_of(n)))
        return azri_json_splice(out, n->attributes, name, value, err);
    if (!value.data)
        return azri_node_attributes(out, n, err);
    rc = azri_buf_puts(out, "{\n  ", err);
    if (rc >= 0)
        rc = azri_json_quote(out, name, strlen(name), err);
    if (rc >= 0)
        rc = azri_buf_puts(out, ": ", err);
    if (rc >= 0)
        rc = azri_buf_append(out, value.data, value.nbytes, err);
    return rc < 0 ? rc : azri_buf_puts(out, "\n}", err);
}

/* v3: the whole new zarr.json. */
static int set_in_document(azri_buf *out, const azri_node *n, const char *name,
                           azri_span value, azr_error *err)
{
    azri_span text = n->text, old = attributes_of(n);
    azri_buf object = AZRI_BUF_INIT;
    int rc;

    if (!is_empty_object(old))
        rc = azri_json_splice(&object, old, name, value, err);
    else if (value.data)
        rc = compose_single(&object, first_gap(text), name, value, err);
    else
        return azri_buf_append(out, text.data, text.nbytes, err);
    if (rc >= 0)
        rc = azri_json_splice(out, text, "attributes", azri_buf_span(&object),
                              err);
    azri_buf_dispose(&object);
    return rc;
}

int azri_node_with_attribute(azri_buf *out, const azri_node *n,
                             const char *name, const char *json, azr_error *err)
{
    azri_buf quoted = AZRI_BUF_INIT;
    azri_span value = {NULL, 0};
    int rc;

    if (!name)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "the name of the attribute is NULL");
    rc = azri_json_quote(&quoted, name, strlen(name), err); /* is it UTF-8? */
    azri_buf_dispose(&quoted);
    if (rc < 0)
        return rc;
    if (json) {
        value = azri_span_of(json);
        rc = azri_json_check(value, "attribute value", AZR_EINVAL, err);
        if (rc < 0)
            return rc;
        value = azri_json_body(value);
    }
    if (n->zarr_format == 2)
        rc = set_in_zattrs(out, n, name, value, err);
    else
        rc = set_in_document(out, n, name, value, err);
    /* the value stands deeper now: can it be read again? */
    if (rc >= 0)
        rc = azri_json_check(azri_buf_span(out), "the new attributes",
                             AZR_EINVAL, err);
    return rc;
}

/* A caller's attributes: an object. */
static int check_attributes(azri_span text, azr_error *err)
{
    int rc = azri_json_check(text, "attributes", AZR_EINVAL, err);

    if (rc >= 0 && azri_json_type_of(text) != AZRI_JSON_OBJECT)
        rc = azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                           "attributes: found %.*s, need an object",
                           AZRI_SNIP(azri_json_body(text)));
    return rc;
}

int azri_node_with_attributes(azri_buf *out, const azri_node *n,
                              const char *json, azr_error *err)
{
    azri_span value;
    int rc;

    if (!json)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "attributes are NULL, need an object");
    value = azri_span_of(json);
    rc = check_attributes(value, err);
    if (rc < 0)
        return rc;
    value = azri_json_body(value);
    if (n->zarr_format == 2)
        rc = azri_buf_append(out, value.data, value.nbytes, err);
    else
        rc = azri_json_splice(out, n->text, "attributes", value, err);
    if (rc >= 0)
        rc = azri_json_check(azri_buf_span(out), "the new attributes",
                             AZR_EINVAL, err);
    return rc;
}

/* ---------------------------------------------------------------- kinds --- */

enum { FORMAT, NODE_TYPE, ATTRIBUTES, CONSOLIDATED, MEMBER_COUNT };

#define GROUP_MEMBERS                                                          \
    {                                                                          \
        [FORMAT] = {"zarr_format", {NULL, 0}},                                 \
        [NODE_TYPE] = {"node_type", {NULL, 0}},                                \
        [ATTRIBUTES] = {"attributes", {NULL, 0}},                              \
        [CONSOLIDATED] = {"consolidated_metadata", {NULL, 0}},                 \
    }

static bool is_type(azri_span value, azri_json_type type)
{
    return value.data && azri_json_type_of(value) == type;
}

static int check_format(const azri_doc *doc, const azri_member *format,
                        int wanted, azr_error *err)
{
    int64_t n;

    if (!format->value.data || !azri_json_i64(format->value, &n))
        return azri_meta_refuse(doc, format, wanted == 2 ? "2" : "3", err);
    if (n != wanted)
        return azri_meta_unsupported(doc, "zarr_format", format->value, err);
    return AZR_OK;
}

static int kind_of(int *out, const azri_doc *doc, const azri_member *members,
                   azr_error *err)
{
    const azri_member *node = &members[NODE_TYPE];
    int rc = check_format(doc, &members[FORMAT], 3, err);

    if (rc < 0)
        return rc;
    if (!is_type(node->value, AZRI_JSON_STRING))
        return azri_meta_refuse(doc, node, "\"array\" or \"group\"", err);
    if (azri_json_same(node->value, "array"))
        *out = AZR_NODE_ARRAY;
    else if (azri_json_same(node->value, "group"))
        *out = AZR_NODE_GROUP;
    else
        return azri_meta_unsupported(doc, "node_type", node->value, err);
    return AZR_OK;
}

int azri_node_kind(int *out, azri_span text, azr_error *err)
{
    azri_doc doc = {"zarr.json", AZR_ECORRUPT};
    azri_member members[MEMBER_COUNT] = GROUP_MEMBERS;
    int rc = azri_meta_check_object(text, doc.name, err);

    if (rc >= 0)
        rc = azri_meta_collect(&doc, text, members, MEMBER_COUNT,
                               azri_unknown_ignore, err);
    return rc < 0 ? rc : kind_of(out, &doc, members, err);
}

/* --------------------------------------------------------------- groups --- */

const char *azri_group_key(int zarr_format)
{
    return zarr_format == 2 ? ".zgroup" : "zarr.json";
}

/* Members of .zgroup beyond its version are met in the wild (NCZarr): ignored. */
static int check_v2(const azri_node *n, azr_error *err)
{
    azri_doc doc = {".zgroup", AZR_ECORRUPT};
    azri_member members[MEMBER_COUNT] = GROUP_MEMBERS;
    int rc = azri_meta_collect(&doc, n->text, members, MEMBER_COUNT,
                               azri_unknown_ignore, err);

    if (rc >= 0)
        rc = check_format(&doc, &members[FORMAT], 2, err);
    if (rc >= 0 && n->attributes.nbytes > 0)
        rc = azri_meta_check_object(n->attributes, ".zattrs", err);
    return rc;
}

static int check_v3(const azri_node *n, azr_error *err)
{
    azri_doc doc = {"zarr.json", AZR_ECORRUPT};
    azri_member members[MEMBER_COUNT] = GROUP_MEMBERS;
    azri_span attributes;
    int kind = AZR_NODE_NONE;
    int rc = azri_meta_collect(&doc, n->text, members, MEMBER_COUNT,
                               azri_unknown_ignore, err);

    if (rc >= 0)
        rc = kind_of(&kind, &doc, members, err);
    if (rc >= 0 && kind != AZR_NODE_GROUP)
        rc = azri_fail_sub(err, AZR_ENOTFOUND, AZR_SUB_METADATA,
                           "%s: node_type is \"array\", need \"group\"",
                           doc.name);
    if (rc >= 0)
        rc = azri_meta_collect(&doc, n->text, members, MEMBER_COUNT,
                               azri_unknown_v3, err);
    attributes = members[ATTRIBUTES].value;
    if (rc >= 0 && attributes.data && !is_type(attributes, AZRI_JSON_OBJECT))
        rc = azri_meta_refuse(&doc, &members[ATTRIBUTES], "an object", err);
    return rc;
}

int azri_group_check(const azri_node *n, azr_error *err)
{
    int rc =
        azri_meta_check_object(n->text, azri_group_key(n->zarr_format), err);

    if (rc < 0)
        return rc;
    return n->zarr_format == 2 ? check_v2(n, err) : check_v3(n, err);
}

int azri_group_compose(azri_buf *text, azri_buf *zattrs, int zarr_format,
                       const char *attributes, azr_error *err)
{
    azri_span value = azri_span_of(attributes ? attributes : "{}");
    azri_buf compact = AZRI_BUF_INIT;
    int rc = check_attributes(value, err);

    if (rc < 0)
        return rc;
    value = azri_json_body(value);
    if (zarr_format == 2) {
        rc = azri_buf_puts(text, "{\n  \"zarr_format\": 2\n}", err);
        return rc < 0 ? rc : azri_json_pretty(zattrs, value, 2, err);
    }
    rc = azri_buf_puts(&compact, "{\"attributes\":", err);
    if (rc >= 0)
        rc = azri_buf_append(&compact, value.data, value.nbytes, err);
    if (rc >= 0)
        rc = azri_buf_puts(&compact,
                           ",\"zarr_format\":3,\"node_type\":\"group\"}", err);
    if (rc >= 0)
        rc = azri_json_pretty(text, azri_buf_span(&compact), 2, err);
    /* one level more than the caller's text: can it be read again? */
    if (rc >= 0)
        rc = azri_json_check(azri_buf_span(text), "the new document",
                             AZR_EINVAL, err);
    azri_buf_dispose(&compact);
    return rc;
}
