/* SPDX-License-Identifier: Apache-2.0 */
#include "model/consolidated.h"

#include "base/hash.h"
#include "model/decimal.h"
#include "model/meta_parse.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- digest --- */

typedef struct digester {
    azri_buf text; /* of the string in hand */
    azr_error *err;
    int rc;
} digester;

static uint64_t hash_bytes(uint64_t seed, const void *data, size_t nbytes)
{
    const uint8_t *p = data;
    uint64_t h = UINT64_C(0xCBF29CE484222325) ^ seed;

    for (size_t i = 0; i < nbytes; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001B3);
    return azri_splitmix64(h);
}

static uint64_t hash_string(digester *d, azri_span string)
{
    d->text.nbytes = 0;
    if (d->rc >= 0)
        d->rc = azri_json_unquote(&d->text, string, d->err);
    return hash_bytes(1, d->text.data, d->text.nbytes);
}

/* 0 and 0.0 are one value: of fill values both are written. */
static uint64_t hash_number(azri_span number)
{
    azri_decimal decimal;
    double x;

    if (azri_decimal_parse(&decimal, number) && decimal.count <= 17 &&
        azri_decimal_f64(&decimal, &x))
        return hash_bytes(2, &x, sizeof x);
    return hash_bytes(3, number.data, number.nbytes);
}

static bool is_nothing(azri_span value)
{
    azri_json_walk walk;
    azri_json_item item;
    azri_json_type type = azri_json_type_of(value);

    if (type != AZRI_JSON_OBJECT && type != AZRI_JSON_ARRAY)
        return type == AZRI_JSON_NULL;
    walk = azri_json_begin(value);
    return !azri_json_next(&walk, &item);
}

/* As deep as the text, which has been checked: AZRI_JSON_MAX_DEPTH. */
/* NOLINTBEGIN(misc-no-recursion) */
static uint64_t digest(digester *d, azri_span value, bool exact);

static uint64_t hash_list(digester *d, azri_span list, bool exact)
{
    azri_json_walk walk = azri_json_begin(list);
    azri_json_item item;
    uint64_t h = 4;

    while (azri_json_next(&walk, &item))
        h = azri_splitmix64(h ^ digest(d, item.value, exact));
    return h;
}

/* A sum, so that the order does not count. */
static uint64_t hash_object(digester *d, azri_span object, bool exact, bool top)
{
    azri_json_walk walk = azri_json_begin(object);
    azri_json_item item;
    uint64_t h = 5;

    while (azri_json_next(&walk, &item)) {
        bool inside = exact || azri_json_same(item.name, "attributes");
        uint64_t name;

        if (!exact && is_nothing(item.value))
            continue;
        if (top && !exact && azri_json_same(item.name, "consolidated_metadata"))
            continue;
        name = hash_string(d, item.name);
        h += azri_splitmix64(name ^
                             azri_splitmix64(digest(d, item.value, inside)));
    }
    return azri_splitmix64(h);
}

static uint64_t digest(digester *d, azri_span value, bool exact)
{
    azri_json_type type = azri_json_type_of(value);

    switch (type) {
    case AZRI_JSON_OBJECT:
        return hash_object(d, value, exact, false);
    case AZRI_JSON_ARRAY:
        return hash_list(d, value, exact);
    case AZRI_JSON_STRING:
        return hash_string(d, value);
    case AZRI_JSON_INTEGER:
    case AZRI_JSON_REAL:
        return hash_number(value);
    case AZRI_JSON_BARE:
    case AZRI_JSON_TRUE:
    case AZRI_JSON_FALSE:
    case AZRI_JSON_NULL:
        break;
    }
    return hash_bytes(6, value.data, value.nbytes);
}

/* NOLINTEND(misc-no-recursion) */

static uint64_t digest_document(digester *d, azri_span text, bool exact)
{
    text = azri_json_body(text);
    if (azri_json_type_of(text) == AZRI_JSON_OBJECT)
        return hash_object(d, text, exact, true);
    return digest(d, text, exact);
}

int azri_documents_agree(bool *out, azri_span a, azri_span b, bool exact,
                         azr_error *err)
{
    digester d = {AZRI_BUF_INIT, err, AZR_OK};

    *out = digest_document(&d, a, exact) == digest_document(&d, b, exact);
    azri_buf_dispose(&d.text);
    return d.rc;
}

/* ----------------------------------------------------------------- parse --- */

typedef struct entry {
    const char *key;
    size_t at; /* of the key among the keys; then its place in the text */
    azri_span value;
    bool seen;
} entry;

struct azri_consolidated {
    azri_buf keys; /* each with its NUL */
    entry *items;  /* sorted */
    size_t count;
};

void azri_consolidated_free(azri_consolidated *c)
{
    if (!c)
        return;
    azri_buf_dispose(&c->keys);
    azri_free(c->items);
    azri_free(c);
}

/* The object that holds the entries. */
static int find_v3(azri_span *out, azri_span text, azr_error *err)
{
    azri_span block, kind = {NULL, 0}, metadata = {NULL, 0};

    if (!azri_json_find(text, "consolidated_metadata", &block) ||
        azri_json_type_of(block) == AZRI_JSON_NULL)
        return AZR_ENOTFOUND;
    if (azri_json_type_of(block) == AZRI_JSON_OBJECT) {
        azri_json_walk walk = azri_json_begin(block);
        azri_json_item item;

        while (azri_json_next(&walk, &item)) { /* once: it may be large */
            if (azri_json_same(item.name, "kind"))
                kind = item.value;
            else if (azri_json_same(item.name, "metadata"))
                metadata = item.value;
        }
        if (kind.data && azri_json_type_of(kind) == AZRI_JSON_STRING &&
            !azri_json_same(kind, "inline"))
            return AZR_ENOTFOUND; /* of a kind that we do not know */
        *out = metadata;
        if (metadata.data && azri_json_type_of(metadata) == AZRI_JSON_OBJECT)
            return AZR_OK;
    }
    return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_METADATA,
                         "zarr.json: consolidated_metadata is %.*s, need an "
                         "object with \"metadata\"",
                         AZRI_SNIP(block));
}

static int find_v2(azri_span *out, azri_span text, azr_error *err)
{
    azri_doc doc = {".zmetadata", AZR_ECORRUPT};
    azri_member members[] = {
        {"zarr_consolidated_format", {NULL, 0}},
        {"metadata", {NULL, 0}},
    };
    int64_t version;
    int rc =
        azri_meta_collect(&doc, text, members, 2, azri_unknown_ignore, err);

    if (rc < 0)
        return rc;
    if (!members[0].value.data || !azri_json_i64(members[0].value, &version))
        return azri_meta_refuse(&doc, &members[0], "1", err);
    if (version != 1)
        return azri_meta_unsupported(&doc, members[0].name, members[0].value,
                                     err);
    if (!members[1].value.data ||
        azri_json_type_of(members[1].value) != AZRI_JSON_OBJECT)
        return azri_meta_refuse(&doc, &members[1], "an object", err);
    *out = members[1].value;
    return AZR_OK;
}

static int by_key(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    int order = strcmp(x->key, y->key);

    return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

/* Of equal keys the last one counts, as in any object. */
static void drop_doubles(azri_consolidated *c)
{
    size_t to = 0;

    for (size_t i = 0; i < c->count; i++) {
        if (i + 1 < c->count &&
            strcmp(c->items[i].key, c->items[i + 1].key) == 0)
            continue;
        c->items[to++] = c->items[i];
    }
    c->count = to;
}

static int take_entries(azri_consolidated *c, azri_span object, azr_error *err)
{
    azri_json_walk walk = azri_json_begin(object);
    azri_json_item item;
    size_t count = 0;
    int rc = AZR_OK;

    while (azri_json_next(&walk, &item))
        count++;
    c->items = azri_calloc(count, sizeof *c->items);
    if (!c->items)
        return azri_fail_nomem(err, count * sizeof *c->items);
    walk = azri_json_begin(object);
    while (rc >= 0 && azri_json_next(&walk, &item)) {
        c->items[c->count].at = c->keys.nbytes;
        c->items[c->count++].value = item.value;
        rc = azri_json_unquote(&c->keys, item.name, err);
        if (rc >= 0)
            rc = azri_buf_append(&c->keys, "", 1, err);
    }
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < c->count; i++)
        c->items[i].key = (const char *)c->keys.data + c->items[i].at;
    qsort(c->items, c->count, sizeof *c->items, by_key);
    drop_doubles(c);
    return AZR_OK;
}

int azri_consolidated_object(azri_span *out, int zarr_format, azri_span text,
                             azr_error *err)
{
    int rc = azri_meta_check_object(
        text, zarr_format == 2 ? ".zmetadata" : "zarr.json", err);

    if (rc < 0)
        return rc;
    return zarr_format == 2 ? find_v2(out, text, err) : find_v3(out, text, err);
}

int azri_consolidated_parse(azri_consolidated **out, int zarr_format,
                            azri_span text, azr_error *err)
{
    azri_consolidated *c;
    azri_span object = {NULL, 0};
    int rc = azri_consolidated_object(&object, zarr_format, text, err);

    if (rc < 0)
        return rc;
    c = azri_calloc(1, sizeof *c);
    if (!c)
        return azri_fail_nomem(err, sizeof *c);
    rc = take_entries(c, object, err);
    if (rc < 0) {
        azri_consolidated_free(c);
        return rc;
    }
    *out = c;
    return AZR_OK;
}

bool azri_consolidated_find(azri_consolidated *c, const char *key,
                            azri_span *out)
{
    size_t low = 0, high = c->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(key, c->items[middle].key);

        if (order == 0) {
            c->items[middle].seen = true;
            *out = c->items[middle].value;
            return true;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

const char *azri_consolidated_unseen(const azri_consolidated *c, size_t *at,
                                     azri_span *out)
{
    while (*at < c->count) {
        const entry *e = &c->items[(*at)++];

        if (e->seen)
            continue;
        *out = e->value;
        return e->key;
    }
    return NULL;
}

/* --------------------------------------------------------------- compose --- */

typedef struct piece {
    int depth;
    size_t key, document, nbytes; /* places in `text` */
    const uint8_t *text;
} piece;

struct azri_gathering {
    int zarr_format;
    azri_buf text; /* keys with their NUL, documents */
    azri_buf pieces;
};

int azri_gathering_new(azri_gathering **out, int zarr_format, azr_error *err)
{
    azri_gathering *g = azri_calloc(1, sizeof *g);

    if (!g)
        return azri_fail_nomem(err, sizeof *g);
    g->zarr_format = zarr_format;
    *out = g;
    return AZR_OK;
}

void azri_gathering_free(azri_gathering *g)
{
    if (!g)
        return;
    azri_buf_dispose(&g->text);
    azri_buf_dispose(&g->pieces);
    azri_free(g);
}

/* What zarr-python writes into each group below: they have none of their own. */
#define EMPTY_BLOCK                                                            \
    "{\"kind\":\"inline\",\"must_understand\":false,\"metadata\":{}}"

int azri_consolidated_member(azri_buf *out, int zarr_format, azri_span document,
                             azr_error *err)
{
    azri_buf changed = AZRI_BUF_INIT;
    azri_span node;
    int rc;

    document = azri_json_body(document);
    if (zarr_format == 2 || !azri_json_find(document, "node_type", &node) ||
        azri_json_type_of(node) != AZRI_JSON_STRING ||
        !azri_json_same(node, "group"))
        return azri_buf_append(out, document.data, document.nbytes, err);
    rc = azri_json_splice(&changed, document, "consolidated_metadata",
                          azri_span_of(EMPTY_BLOCK), err);
    if (rc >= 0)
        rc = azri_buf_append(out, changed.data, changed.nbytes, err);
    azri_buf_dispose(&changed);
    return rc;
}

int azri_gathering_add(azri_gathering *g, const char *key, int depth,
                       azri_span document, azr_error *err)
{
    piece p = {depth, g->text.nbytes, 0, 0, NULL};
    int rc = azri_buf_append(&g->text, key, strlen(key) + 1, err);

    p.document = g->text.nbytes;
    if (rc >= 0)
        rc = azri_consolidated_member(&g->text, g->zarr_format, document, err);
    p.nbytes = g->text.nbytes - p.document;
    if (rc >= 0 && g->text.nbytes > AZRI_JSON_MAX_NBYTES)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "the documents have more than %zu bytes together",
                             AZRI_JSON_MAX_NBYTES);
    return rc < 0 ? rc : azri_buf_append(&g->pieces, &p, sizeof p, err);
}

/* By depth, then key: what zarr-python does but for its folding of case. */
static int by_depth(const void *a, const void *b)
{
    const piece *x = a, *y = b;

    if (x->depth != y->depth)
        return x->depth < y->depth ? -1 : 1;
    return strcmp((const char *)x->text + x->key,
                  (const char *)y->text + y->key);
}

static int put_entries(azri_buf *out, const azri_gathering *g, azr_error *err)
{
    void *data = g->pieces.data;
    piece *pieces = data;
    size_t count = g->pieces.nbytes / sizeof *pieces;
    int rc = AZR_OK;

    for (size_t i = 0; i < count; i++)
        pieces[i].text = g->text.data;
    if (count > 1)
        qsort(pieces, count, sizeof *pieces, by_depth);
    for (size_t i = 0; i < count && rc >= 0; i++) {
        const char *key = (const char *)g->text.data + pieces[i].key;

        if (i > 0)
            rc = azri_buf_puts(out, ",", err);
        if (rc >= 0)
            rc = azri_json_quote(out, key, strlen(key), err);
        if (rc >= 0)
            rc = azri_buf_puts(out, ":", err);
        if (rc >= 0)
            rc = azri_buf_append(out, g->text.data + pieces[i].document,
                                 pieces[i].nbytes, err);
    }
    return rc;
}

/* The lines of `text` after the first one level further in. JSON has no line
 * breaks inside strings. */
static int put_deeper(azri_buf *out, azri_span text, azr_error *err)
{
    const uint8_t *from = text.data, *end = text.data + text.nbytes;
    int rc = AZR_OK;

    while (rc >= 0 && from < end) {
        const uint8_t *line = memchr(from, '\n', (size_t)(end - from));

        rc = azri_buf_append(out, from,
                             (size_t)((line ? line + 1 : end) - from), err);
        if (rc >= 0 && line)
            rc = azri_buf_puts(out, "  ", err);
        from = line ? line + 1 : end;
    }
    return rc;
}

static int compose_v2(azri_buf *out, const azri_gathering *g, azr_error *err)
{
    azri_buf compact = AZRI_BUF_INIT;
    int rc = azri_buf_puts(&compact, "{\"metadata\":{", err);

    if (rc >= 0)
        rc = put_entries(&compact, g, err);
    if (rc >= 0)
        rc = azri_buf_puts(&compact, "},\"zarr_consolidated_format\":1}", err);
    if (rc >= 0)
        rc = azri_json_pretty(out, azri_buf_span(&compact), 2, err);
    azri_buf_dispose(&compact);
    return rc;
}

static int compose_v3(azri_buf *out, const azri_gathering *g, azri_span root,
                      azr_error *err)
{
    azri_buf compact = AZRI_BUF_INIT, pretty = AZRI_BUF_INIT;
    azri_buf deeper = AZRI_BUF_INIT;
    int rc = azri_buf_puts(&compact,
                           "{\"kind\":\"inline\",\"must_understand\":false,"
                           "\"metadata\":{",
                           err);

    if (rc >= 0)
        rc = put_entries(&compact, g, err);
    if (rc >= 0)
        rc = azri_buf_puts(&compact, "}}", err);
    if (rc >= 0)
        rc = azri_json_pretty(&pretty, azri_buf_span(&compact), 2, err);
    if (rc >= 0)
        rc = put_deeper(&deeper, azri_buf_span(&pretty), err);
    if (rc >= 0)
        rc = azri_json_splice(out, root, "consolidated_metadata",
                              azri_buf_span(&deeper), err);
    azri_buf_dispose(&deeper);
    azri_buf_dispose(&pretty);
    azri_buf_dispose(&compact);
    return rc;
}

int azri_gathering_compose(azri_buf *out, azri_gathering *g, azri_span root,
                           azr_error *err)
{
    int rc = g->zarr_format == 2 ? compose_v2(out, g, err)
                                 : compose_v3(out, g, root, err);

    return rc < 0
               ? rc
               : azri_json_check(azri_buf_span(out),
                                 "the consolidated metadata", AZR_EINVAL, err);
}
