/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata of a new array, laid out as zarr-python 3 does. */
#include "base/checked.h"
#include "model/meta_parse.h"

#include <inttypes.h>
#include <string.h>

/* The spec with its defaults filled in. */
typedef struct plan {
    const azr_array_spec *spec;
    const azri_dtype *dtype;
    int zarr_format;
    char order, encoding, separator;
    bool has_fill;
    uint8_t fill[AZRI_FILL_NBYTES];
} plan;

static int bad(azr_error *err, int sub, const char *text)
{
    return azri_fail_sub(err, AZR_EINVAL, sub, "%s", text);
}

static int check_type(plan *p, azr_error *err)
{
    const azr_array_spec *s = p->spec;

    if (s->struct_size < sizeof *s)
        return bad(err, AZR_SUB_ARGUMENT,
                   "spec.struct_size is too small: begin with "
                   "AZR_ARRAY_SPEC_INIT");
    p->zarr_format = s->zarr_format == 0 ? 3 : s->zarr_format;
    if (p->zarr_format != 2 && p->zarr_format != 3)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "zarr_format is %d, need 2 or 3", p->zarr_format);
    p->dtype = azri_dtype_get(s->dtype);
    if (!p->dtype)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_DTYPE,
                             "dtype is %d, need a value of azr_dtype",
                             s->dtype);
    if (s->big_endian != 0 && s->big_endian != 1)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "big_endian is %d, need 0 or 1", s->big_endian);
    if (s->durability != AZR_DURABILITY_PROCESS &&
        s->durability != AZR_DURABILITY_POWER)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "durability is %d, need a value of azr_durability",
                             s->durability);
    if (s->reserved != 0 || s->reserved2 != 0)
        return bad(err, AZR_SUB_ARGUMENT, "a reserved member is not 0");
    return AZR_OK;
}

static int check_grid(const plan *p, azr_error *err)
{
    const azri_doc doc = {"spec", AZR_EINVAL};
    const azr_array_spec *s = p->spec;
    azri_meta sizes;

    if (s->rank < 0 || s->rank > AZR_MAX_RANK)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANK,
                             "rank is %d, need 0 to %d", s->rank, AZR_MAX_RANK);
    for (int d = 0; d < s->rank; d++) {
        if (s->shape[d] < 0)
            return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                                 "shape[%d] is %" PRId64 ", need 0 or more", d,
                                 s->shape[d]);
        if (s->chunks[d] < 1)
            return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANGE,
                                 "chunks[%d] is %" PRId64 ", need 1 or more", d,
                                 s->chunks[d]);
    }
    memset(&sizes, 0, sizeof sizes);
    sizes.rank = s->rank;
    sizes.dtype = p->dtype;
    memcpy(sizes.shape, s->shape, sizeof sizes.shape);
    memcpy(sizes.chunk, s->chunks, sizeof sizes.chunk);
    return azri_meta_sizes(&sizes, &doc, err);
}

static int check_keys(plan *p, azr_error *err)
{
    const azr_array_spec *s = p->spec;

    p->order = s->order;
    if (!p->order)
        p->order = 'C';
    if (p->order != 'C' && p->order != 'F')
        return bad(err, AZR_SUB_ARGUMENT, "order: need 'C' or 'F'");
    p->encoding = s->key_encoding;
    if (!p->encoding)
        p->encoding = p->zarr_format == 2 ? '2' : 'd';
    if (p->encoding != '2' && p->encoding != 'd')
        return bad(err, AZR_SUB_ARGUMENT, "key_encoding: need 'd' or '2'");
    if (p->zarr_format == 2 && p->encoding == 'd')
        return bad(err, AZR_SUB_ARGUMENT,
                   "key_encoding 'd' is of Zarr format 3 alone");
    p->separator = s->separator;
    if (!p->separator)
        p->separator = p->encoding == '2' ? '.' : '/';
    if (p->separator != '/' && p->separator != '.')
        return bad(err, AZR_SUB_ARGUMENT, "separator: need '/' or '.'");
    return AZR_OK;
}

static int check_texts(plan *p, azr_error *err)
{
    const azr_array_spec *s = p->spec;
    const char *fill = s->fill_value;
    int rc;

    for (int d = 0; s->dimension_names && p->zarr_format == 2 && d < s->rank;
         d++) {
        if (!s->dimension_names[d])
            return bad(err, AZR_SUB_ARGUMENT,
                       "dimension_names: format 2 needs a name for each");
    }
    if (s->attributes) {
        azri_span text = azri_span_of(s->attributes);

        rc = azri_json_check(text, "attributes", AZR_EINVAL, err);
        if (rc < 0)
            return rc;
        if (azri_json_type_of(text) != AZRI_JSON_OBJECT)
            return bad(err, AZR_SUB_ARGUMENT, "attributes: need an object");
    }
    p->has_fill = true;
    if (!fill)
        return AZR_OK; /* zeros */
    return azri_fill_parse(p->fill, &p->has_fill, p->dtype, p->zarr_format,
                           fill, strlen(fill), err);
}

static int check_spec(plan *p, azr_error *err)
{
    int rc = check_type(p, err);

    if (rc >= 0)
        rc = check_grid(p, err);
    if (rc >= 0)
        rc = check_keys(p, err);
    if (rc >= 0)
        rc = check_texts(p, err);
    return rc;
}

/* Parts of a compact document; azri_json_pretty lays it out at the end. */

static int put_list(azri_buf *out, const char *before, const int64_t *n,
                    int count, azr_error *err)
{
    int rc = azri_buf_puts(out, before, err);

    if (rc >= 0)
        rc = azri_buf_puts(out, "[", err);
    for (int i = 0; i < count && rc >= 0; i++)
        rc = azri_buf_printf(out, err, "%s%" PRId64, i > 0 ? "," : "", n[i]);
    return rc < 0 ? rc : azri_buf_puts(out, "]", err);
}

static int put_fill(azri_buf *out, const plan *p, azr_error *err)
{
    int rc = azri_buf_puts(out, ",\"fill_value\":", err);

    if (rc < 0)
        return rc;
    return azri_fill_format(out, p->dtype, p->zarr_format, p->has_fill, p->fill,
                            err);
}

/* Does the caller's list of codecs name the whole chain? */
static bool is_whole_chain(azri_span list)
{
    static const char *const of_arrays[] = {"bytes", "endian",
                                            "sharding_indexed"};
    azri_json_walk walk = azri_json_begin(list);
    azri_json_item item;
    azri_span name;

    while (azri_json_next(&walk, &item)) {
        name = item.value;
        if (azri_json_type_of(name) == AZRI_JSON_OBJECT &&
            !azri_json_find(item.value, "name", &name))
            continue;
        for (size_t i = 0; i < sizeof of_arrays / sizeof of_arrays[0]; i++) {
            if (azri_json_same(name, of_arrays[i]))
                return true;
        }
    }
    return false;
}

static int put_v3_head_codecs(azri_buf *out, const plan *p, azr_error *err)
{
    int rank = p->spec->rank, rc = AZR_OK;

    if (p->order == 'F' && rank > 1) {
        rc = azri_buf_puts(out,
                           "{\"name\":\"transpose\",\"configuration\":"
                           "{\"order\":[",
                           err);
        for (int d = rank - 1; d >= 0 && rc >= 0; d--)
            rc = azri_buf_printf(out, err, "%d%s", d, d > 0 ? "," : "]}},");
    }
    if (rc < 0)
        return rc;
    if (p->dtype->swap_unit < 2)
        return azri_buf_puts(out, "{\"name\":\"bytes\"}", err);
    return azri_buf_printf(out, err,
                           "{\"name\":\"bytes\",\"configuration\":"
                           "{\"endian\":\"%s\"}}",
                           p->spec->big_endian ? "big" : "little");
}

static int put_v3_codecs(azri_buf *out, const plan *p, azr_error *err)
{
    const char *text = p->spec->codecs ? p->spec->codecs : "zstd:0";
    azri_buf list = AZRI_BUF_INIT;
    azri_span tail;
    int rc = azri_codec_names_to_json(&list, 3, p->dtype, text, err);

    if (rc >= 0)
        rc = azri_buf_puts(out, ",\"codecs\":", err);
    if (rc < 0)
        goto done;
    tail = azri_buf_span(&list);
    if (is_whole_chain(tail)) {
        if (p->spec->big_endian || p->order == 'F')
            rc = bad(err, AZR_SUB_ARGUMENT,
                     "codecs names the whole chain: byte order and 'F' belong "
                     "there");
        else
            rc = azri_buf_append(out, tail.data, tail.nbytes, err);
        goto done;
    }
    rc = azri_buf_puts(out, "[", err);
    if (rc >= 0)
        rc = put_v3_head_codecs(out, p, err);
    tail = (azri_span){tail.data + 1, tail.nbytes - 1}; /* after '[' */
    if (rc >= 0 && azri_json_body(tail).data[0] != ']')
        rc = azri_buf_puts(out, ",", err);
    if (rc >= 0)
        rc = azri_buf_append(out, tail.data, tail.nbytes, err);
done:
    azri_buf_dispose(&list);
    return rc;
}

static int put_names(azri_buf *out, const plan *p, azr_error *err)
{
    const char *const *names = p->spec->dimension_names;
    int rc = azri_buf_puts(out, "[", err);

    for (int d = 0; d < p->spec->rank && rc >= 0; d++) {
        if (d > 0)
            rc = azri_buf_puts(out, ",", err);
        if (rc >= 0)
            rc = names[d]
                     ? azri_json_quote(out, names[d], strlen(names[d]), err)
                     : azri_buf_puts(out, "null", err);
    }
    return rc < 0 ? rc : azri_buf_puts(out, "]", err);
}

static int put_dimension_names(azri_buf *out, const plan *p, azr_error *err)
{
    int rc;

    if (!p->spec->dimension_names)
        return AZR_OK;
    rc = azri_buf_puts(out, ",\"dimension_names\":", err);
    return rc < 0 ? rc : put_names(out, p, err);
}

static int compose_v3(azri_buf *out, const plan *p, azr_error *err)
{
    const azr_array_spec *s = p->spec;
    azri_span attributes =
        azri_json_body(azri_span_of(s->attributes ? s->attributes : "{}"));
    int rc = put_list(out, "{\"shape\":", s->shape, s->rank, err);

    if (rc >= 0)
        rc = azri_buf_printf(out, err,
                             ",\"data_type\":\"%s\",\"chunk_grid\":{\"name\":"
                             "\"regular\",\"configuration\":",
                             p->dtype->v3_name);
    if (rc >= 0)
        rc = put_list(out, "{\"chunk_shape\":", s->chunks, s->rank, err);
    if (rc >= 0)
        rc = azri_buf_printf(out, err,
                             "}},\"chunk_key_encoding\":{\"name\":\"%s\","
                             "\"configuration\":{\"separator\":\"%c\"}}",
                             p->encoding == '2' ? "v2" : "default",
                             p->separator);
    if (rc >= 0)
        rc = put_fill(out, p, err);
    if (rc >= 0)
        rc = put_v3_codecs(out, p, err);
    if (rc >= 0)
        rc = azri_buf_puts(out, ",\"attributes\":", err);
    if (rc >= 0)
        rc = azri_buf_append(out, attributes.data, attributes.nbytes, err);
    if (rc >= 0)
        rc = put_dimension_names(out, p, err);
    if (rc >= 0)
        rc = azri_buf_puts(out,
                           ",\"zarr_format\":3,\"node_type\":\"array\","
                           "\"storage_transformers\":[]}",
                           err);
    return rc;
}

static int compose_v2(azri_buf *out, const plan *p, azr_error *err)
{
    const azr_array_spec *s = p->spec;
    const char *order = p->dtype->swap_unit < 2 ? "|"
                        : s->big_endian         ? ">"
                                                : "<";
    int rc = put_list(out, "{\"shape\":", s->shape, s->rank, err);

    if (rc >= 0)
        rc = put_list(out, ",\"chunks\":", s->chunks, s->rank, err);
    if (rc >= 0)
        rc = azri_buf_printf(out, err, ",\"dtype\":\"%s%s\"", order,
                             p->dtype->v2_code);
    if (rc >= 0)
        rc = put_fill(out, p, err);
    if (rc >= 0)
        rc = azri_buf_printf(out, err,
                             ",\"order\":\"%c\",\"filters\":null,"
                             "\"dimension_separator\":\"%c\",\"compressor\":",
                             p->order, p->separator);
    if (rc >= 0)
        rc = azri_codec_names_to_json(out, 2, p->dtype,
                                      s->codecs ? s->codecs : "blosc", err);
    return rc < 0 ? rc : azri_buf_puts(out, ",\"zarr_format\":2}", err);
}

/* Format 2 has no member for names: xarray's convention is an attribute. */
static int add_names(azri_buf *out, const plan *p, azri_span attributes,
                     azr_error *err)
{
    azri_buf list = AZRI_BUF_INIT;
    azri_span found;
    int rc;

    if (azri_json_find(attributes, AZRI_V2_NAMES, &found))
        return bad(err, AZR_SUB_ARGUMENT,
                   "attributes have " AZRI_V2_NAMES
                   ", and there are dimension_names");
    rc = put_names(&list, p, err);
    if (rc >= 0)
        rc = azri_json_splice(out, attributes, AZRI_V2_NAMES,
                              azri_buf_span(&list), err);
    azri_buf_dispose(&list);
    return rc;
}

/* v2 attributes: a document of their own if there are any. */
static int compose_zattrs(azri_buf *out, const plan *p, azr_error *err)
{
    const char *given = p->spec->attributes;
    azri_span text = azri_json_body(azri_span_of(given ? given : "{}"));
    azri_buf named = AZRI_BUF_INIT;
    azri_json_walk walk;
    azri_json_item item;
    int rc = AZR_OK;

    if (p->spec->dimension_names) {
        rc = add_names(&named, p, text, err);
        text = azri_buf_span(&named);
    }
    if (rc >= 0) {
        walk = azri_json_begin(text);
        if (azri_json_next(&walk, &item))
            rc = azri_json_pretty(out, text, 2, err);
    }
    azri_buf_dispose(&named);
    return rc;
}

int azri_meta_compose(azri_buf *text, azri_buf *zattrs,
                      const azr_array_spec *spec, azr_error *err)
{
    azri_buf compact = AZRI_BUF_INIT;
    plan p;
    int rc;

    memset(&p, 0, sizeof p);
    p.spec = spec;
    rc = check_spec(&p, err);
    if (rc >= 0 && p.zarr_format == 2)
        rc = compose_v2(&compact, &p, err);
    else if (rc >= 0)
        rc = compose_v3(&compact, &p, err);
    if (rc >= 0)
        rc = azri_json_pretty(text, azri_buf_span(&compact), 2, err);
    if (rc >= 0 && p.zarr_format == 2)
        rc = compose_zattrs(zattrs, &p, err);
    /* one level more than the caller's text: can it be read again? */
    if (rc >= 0)
        rc = azri_json_check(azri_buf_span(text), "the new document",
                             AZR_EINVAL, err);
    if (rc >= 0 && zattrs->nbytes > 0)
        rc = azri_json_check(azri_buf_span(zattrs), "the new attributes",
                             AZR_EINVAL, err);
    azri_buf_dispose(&compact);
    if (rc < 0) { /* nothing rather than half of it */
        azri_buf_dispose(text);
        azri_buf_dispose(zattrs);
    }
    return rc;
}
