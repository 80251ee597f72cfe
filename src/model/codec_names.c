/* SPDX-License-Identifier: Apache-2.0 */
/* "zstd:5", "blosc:lz4:5:shuffle", … as codec JSON. */
#include "base/checked.h"
#include "model/meta_parse.h"

#include <string.h>

/* One number, between the bytes around it; least > most: takes none. */
typedef struct short_name {
    const char *name;
    int64_t preset, least, most;
    const char *v2_head, *v2_tail, *v3_head, *v3_tail;
} short_name;

static const short_name names[] = {
    {"zstd", 0, -131072, 22, "{\"id\": \"zstd\", \"level\": ", "}",
     "{\"name\": \"zstd\", \"configuration\": {\"level\": ",
     ", \"checksum\": false}}"},
    {"gzip", 5, 0, 9, "{\"id\": \"gzip\", \"level\": ", "}",
     "{\"name\": \"gzip\", \"configuration\": {\"level\": ", "}}"},
    {"zlib", 1, 0, 9, "{\"id\": \"zlib\", \"level\": ", "}",
     "{\"name\": \"numcodecs.zlib\", \"configuration\": {\"level\": ", "}}"},
    {"lz4", 1, 1, 65537, "{\"id\": \"lz4\", \"acceleration\": ", "}",
     "{\"name\": \"numcodecs.lz4\", \"configuration\": {\"acceleration\": ",
     "}}"},
    {"crc32c", 0, 1, 0, "{\"id\": \"crc32c\"}", "", "{\"name\": \"crc32c\"}",
     ""},
};

/* One codec of the list: its words between colons. */
#define WORDS_MOST 4
typedef struct words {
    azri_span whole;
    azri_span word[WORDS_MOST];
    size_t count;
} words;

static bool is_word(azri_span word, const char *text)
{
    return word.nbytes == strlen(text) &&
           memcmp(word.data, text, word.nbytes) == 0;
}

static int refuse(const words *w, const char *need, azr_error *err)
{
    return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                         "codec %.*s: need %s", AZRI_SNIP(w->whole), need);
}

/* Cut the codec off `*rest`; false if it has too many words. */
static bool take_words(words *w, azri_span *rest)
{
    const uint8_t *comma = memchr(rest->data, ',', rest->nbytes);
    size_t n = comma ? (size_t)(comma - rest->data) : rest->nbytes;

    w->whole = (azri_span){rest->data, n};
    w->count = 0;
    rest->data += n + (comma != NULL);
    rest->nbytes -= n + (comma != NULL);
    for (size_t from = 0, i = 0; i <= n; i++) {
        if (i < n && w->whole.data[i] != ':')
            continue;
        if (w->count == WORDS_MOST)
            return false;
        w->word[w->count++] = (azri_span){w->whole.data + from, i - from};
        from = i + 1;
    }
    return true;
}

static bool take_number(azri_span word, int64_t least, int64_t most,
                        int64_t *out)
{
    azr_error quiet = AZR_ERROR_INIT;

    return azri_json_check(word, "number", AZR_EINVAL, &quiet) >= 0 &&
           azri_json_body(word).nbytes == word.nbytes &&
           azri_json_i64(word, out) && *out >= least && *out <= most;
}

static int put_simple(azri_buf *out, int zarr_format, const words *w,
                      const short_name *name, azr_error *err)
{
    const char *head = zarr_format == 2 ? name->v2_head : name->v3_head;
    const char *tail = zarr_format == 2 ? name->v2_tail : name->v3_tail;
    int64_t n = name->preset;

    if (name->least > name->most) {
        if (w->count > 1)
            return refuse(w, "no parameter", err);
        return azri_buf_puts(out, head, err);
    }
    if (w->count > 2 || (w->count == 2 &&
                         !take_number(w->word[1], name->least, name->most, &n)))
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "codec %.*s: need one number from %lld to %lld",
                             AZRI_SNIP(w->whole), (long long)name->least,
                             (long long)name->most);
    return azri_buf_printf(out, err, "%s%lld%s", head, (long long)n, tail);
}

/* blosc[:cname[:clevel[:shuffle]]] */
static int put_blosc(azri_buf *out, int zarr_format, const azri_dtype *dtype,
                     const words *w, azr_error *err)
{
    static const char *const cnames[] = {"lz4", "lz4hc", "blosclz", "zlib",
                                         "zstd"};
    static const char *const shuffles[] = {"noshuffle", "shuffle",
                                           "bitshuffle"};
    size_t cname = 0, shuffle = dtype->nbytes > 1 ? 1 : 2;
    int64_t level = 5;

    if (w->count > 1) {
        while (cname < 5 && !is_word(w->word[1], cnames[cname]))
            cname++;
        if (cname == 5)
            return refuse(w, "lz4, lz4hc, blosclz, zlib or zstd inside blosc",
                          err);
    }
    if (w->count > 2 && !take_number(w->word[2], 0, 9, &level))
        return refuse(w, "a level from 0 to 9", err);
    if (w->count > 3) {
        shuffle = 0;
        while (shuffle < 3 && !is_word(w->word[3], shuffles[shuffle]))
            shuffle++;
        if (shuffle == 3)
            return refuse(w, "noshuffle, shuffle or bitshuffle", err);
    }
    if (zarr_format == 2)
        return azri_buf_printf(out, err,
                               "{\"id\": \"blosc\", \"cname\": \"%s\", "
                               "\"clevel\": %d, \"shuffle\": %zu, "
                               "\"blocksize\": 0}",
                               cnames[cname], (int)level, shuffle);
    return azri_buf_printf(out, err,
                           "{\"name\": \"blosc\", \"configuration\": "
                           "{\"typesize\": %zu, \"cname\": \"%s\", "
                           "\"clevel\": %d, \"shuffle\": \"%s\", "
                           "\"blocksize\": 0}}",
                           dtype->nbytes, cnames[cname], (int)level,
                           shuffles[shuffle]);
}

static int put_codec(azri_buf *out, int zarr_format, const azri_dtype *dtype,
                     const words *w, azr_error *err)
{
    if (is_word(w->word[0], "blosc"))
        return put_blosc(out, zarr_format, dtype, w, err);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (is_word(w->word[0], names[i].name))
            return put_simple(out, zarr_format, w, &names[i], err);
    }
    return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                         "codec \"%.*s\" is not known: need none, zstd, gzip, "
                         "zlib, lz4, blosc, crc32c, or JSON",
                         AZRI_SNIP(w->word[0]));
}

static int put_names(azri_buf *out, int zarr_format, const azri_dtype *dtype,
                     azri_span rest, azr_error *err)
{
    size_t count = 0;
    words w;
    int rc = AZR_OK;

    if (is_word(rest, "none"))
        return azri_buf_puts(out, zarr_format == 2 ? "null" : "[]", err);
    do {
        if (!take_words(&w, &rest))
            return refuse(&w, "at most three parameters", err);
        if (zarr_format == 2 && (count > 0 || rest.nbytes > 0))
            return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                                 "several codecs: Zarr format 2 has room for "
                                 "one compressor");
        if (++count > AZRI_MAX_CODECS)
            return refuse(&w, "fewer codecs", err);
        if (zarr_format == 3)
            rc = azri_buf_puts(out, count == 1 ? "[" : ", ", err);
        if (rc >= 0)
            rc = put_codec(out, zarr_format, dtype, &w, err);
        /* "zstd," leaves nothing to read, yet a codec is announced */
        if (rc >= 0 && rest.nbytes == 0 && rest.data[-1] == ',')
            rc = refuse(&w, "a codec after the comma", err);
    } while (rc >= 0 && rest.nbytes > 0);
    if (rc >= 0 && zarr_format == 3)
        rc = azri_buf_puts(out, "]", err);
    return rc;
}

static int check_v3_codec(const azri_doc *doc, azri_span value, azr_error *err)
{
    azri_extension ext = AZRI_EXTENSION_INIT;
    int rc = azri_meta_extension(&ext, doc, "codec", value, err);

    return rc < 0 ? rc : azri_meta_check_codec_name(doc, ext.name, err);
}

static int put_v3_json(azri_buf *out, const azri_doc *doc, azri_span text,
                       azr_error *err)
{
    bool is_list = azri_json_type_of(text) == AZRI_JSON_ARRAY;
    azri_json_walk walk;
    azri_json_item item;
    int rc = AZR_OK;

    if (!is_list) {
        rc = check_v3_codec(doc, text, err);
    } else {
        walk = azri_json_begin(text);
        while (rc >= 0 && azri_json_next(&walk, &item))
            rc = check_v3_codec(doc, item.value, err);
    }
    if (rc >= 0 && !is_list)
        rc = azri_buf_puts(out, "[", err);
    if (rc >= 0)
        rc = azri_buf_append(out, text.data, text.nbytes, err);
    if (rc >= 0 && !is_list)
        rc = azri_buf_puts(out, "]", err);
    return rc;
}

static int put_json(azri_buf *out, int zarr_format, azri_span text,
                    azr_error *err)
{
    const azri_doc doc = {"codecs", AZR_EINVAL};
    azri_span id = {NULL, 0};
    int rc = azri_json_check(text, doc.name, AZR_EINVAL, err);

    if (rc < 0)
        return rc;
    text = azri_json_body(text);
    if (zarr_format == 3)
        return put_v3_json(out, &doc, text, err);
    if (azri_json_type_of(text) != AZRI_JSON_NULL)
        rc = azri_meta_v2_codec_id(&id, &doc, "compressor", text, err);
    return rc < 0 ? rc : azri_buf_append(out, text.data, text.nbytes, err);
}

int azri_codec_names_to_json(azri_buf *out, int zarr_format,
                             const azri_dtype *dtype, const char *text,
                             azr_error *err)
{
    azri_span body = azri_json_body(azri_span_of(text));

    if (body.nbytes == 0)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "codecs is empty: need \"none\" or a codec");
    if (strchr("[{\"", body.data[0]) || is_word(body, "null"))
        return put_json(out, zarr_format, body, err);
    return put_names(out, zarr_format, dtype, body, err);
}
