/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data that other programs wrote, against data/manifest.tsv: what we support is
 * read and has the length and SHA-256 that the manifest says, what we do not
 * support is refused by name.
 *
 *   test_data [DIRECTORY]     default: data/ beside this file
 *
 * Archives are unpacked into the current directory. A set none of whose rows was
 * looked at is a failure, as is a manifest without rows.
 */
#include "interop_common.h"

#include "codec/chain.h"

#include <dirent.h>
#include <json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct row {
    const char *set, *kind, *path, *zarr, *dtype, *shape, *codecs, *config,
        *length, *sha256, *expected, *encode, *note;
} row;
#define COLUMNS 13

typedef struct tally {
    char set[64];
    int checked, refused, left_out, failed;
} tally;

static tally g_sets[32];
static size_t g_set_count;
static int g_failed;

/* ------------------------------------------------------------ judgement --- */

static tally *tally_of(const char *set)
{
    for (size_t i = 0; i < g_set_count; i++) {
        if (strcmp(g_sets[i].set, set) == 0)
            return &g_sets[i];
    }
    if (g_set_count == sizeof g_sets / sizeof g_sets[0])
        die("too many sets");
    (void)snprintf(g_sets[g_set_count].set, sizeof g_sets[0].set, "%s", set);
    return &g_sets[g_set_count++];
}

static void fail(const row *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void fail(const row *r, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    printf("FAILED %s %s: %s\n", r->set, r->path, text);
    tally_of(r->set)->failed++;
    g_failed++;
}

/* SHA-256 by coreutils: a library for one number would be one dependency more. */
static void sha256_of(char out[65], const void *data, size_t nbytes)
{
    FILE *pipe;

    write_whole("dump.bin", data, nbytes);
    pipe = popen("sha256sum dump.bin", "r");
    if (!pipe || fread(out, 1, 64, pipe) != 64 || pclose(pipe) != 0)
        die("sha256sum does not work here");
    out[64] = '\0';
}

static bool is_expected(const row *r, const char *what, const void *data,
                        size_t nbytes)
{
    char sum[65];

    if (nbytes != strtoull(r->length, NULL, 10)) {
        fail(r, "%s: %zu bytes, manifest says %s", what, nbytes, r->length);
        return false;
    }
    sha256_of(sum, data, nbytes);
    if (strcmp(sum, r->sha256) != 0) {
        fail(r, "%s: SHA-256 %s, manifest says %s", what, sum, r->sha256);
        return false;
    }
    return true;
}

static bool is_in(const char *const *list, const char *name, size_t n)
{
    for (; *list; list++) {
        if (strlen(*list) == n && strncmp(*list, name, n) == 0)
            return true;
    }
    return false;
}

/* The parts of the row that this release does not do, a line each; empty: it
 * does all of it. Lists of their own, on purpose: were a codec to vanish from the
 * registry, its rows must fail and not turn into refusals. */
static bool find_culprits(char out[TEXT_MAX], const row *r)
{
    static const char *const codecs[] = {
        "-",    "none", "order-F", "transpose", "bytes",  "gzip",
        "zlib", "zstd", "lz4",     "blosc",     "crc32c", NULL};
    static const char *const v2[] = {"b1", "i1", "i2", "i4",  "i8",
                                     "u1", "u2", "u4", "u8",  "f2",
                                     "f4", "f8", "c8", "c16", NULL};
    static const char *const v3[] = {
        "bool",    "int8",    "int16",     "int32",      "int64",
        "uint8",   "uint16",  "uint32",    "uint64",     "float16",
        "float32", "float64", "complex64", "complex128", NULL};
    const char *t = r->dtype;
    size_t at = 0;

    out[0] = '\0';
    if (strcmp(r->kind, "array") == 0 &&
        !(r->zarr[0] == '3'
              ? is_in(v3, t, strlen(t))
              : strchr("<>|", t[0]) && is_in(v2, t + 1, strlen(t + 1))))
        at += (size_t)snprintf(out, 64, "%s\n", t);
    for (const char *p = r->codecs; *p;) {
        size_t n = strcspn(p, ",()");

        if (n > 0 && !is_in(codecs, p, n) && at < TEXT_MAX - 128)
            at += (size_t)snprintf(out + at, 64, "%.*s\n", (int)n, p);
        p += n + (p[n] != '\0');
    }
    return at > 0;
}

static bool names_one(const char *message, const char *culprits)
{
    for (const char *p = culprits; *p;) {
        char name[64];
        size_t n = strcspn(p, "\n");

        (void)snprintf(name, sizeof name, "%.*s", (int)n, p);
        if (strstr(message, name))
            return true;
        p += n + (p[n] != '\0');
    }
    return false;
}

/* ----------------------------------------------------------------- rows --- */

/* Folder sets are read where they are, unpacked ones here. */
static const char *g_data;

static void path_of(char out[TEXT_MAX], const row *r, const char *name)
{
    struct stat st;

    text_of(out, "%s/%s", g_data, r->set);
    if (stat(out, &st) == 0)
        text_of(out, "%s/%s/%s", g_data, r->set, name);
    else
        text_of(out, "%s/%s", r->set, name);
}

static bool is_as_said(const row *r, const azr_array_info *info)
{
    char shape[TEXT_MAX];
    azr_error err = AZR_ERROR_INIT;
    int dtype, big;

    shape_text(shape, info->shape, info->rank);
    if (strcmp(shape, r->shape) != 0) {
        fail(r, "shape %s, manifest says %s", shape, r->shape);
        return false;
    }
    if (azr_dtype_parse(&dtype, &big, r->dtype, &err) < 0 ||
        dtype != info->dtype || info->zarr_format != atoi(r->zarr)) {
        fail(r, "format %d, %s, manifest says %s, %s", info->zarr_format,
             azr_dtype_name(info->dtype), r->zarr, r->dtype);
        return false;
    }
    return true;
}

static void check_array(const row *r, const char *path)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array_info info = {.struct_size = sizeof info};
    azr_array *a = NULL;
    uint8_t *data;
    size_t nbytes;

    if (azr_array_open(&a, path, NULL, &err) < 0 ||
        azr_array_info_get(a, &info, &err) < 0) {
        fail(r, "%s: %s", azr_status_name(err.code), err.message);
        azr_array_close(a);
        return;
    }
    data = read_little(a, &info, &nbytes, &err);
    if (!data)
        fail(r, "%s: %s", azr_status_name(err.code), err.message);
    else if (is_as_said(r, &info) && is_expected(r, "read", data, nbytes))
        tally_of(r->set)->checked++;
    free(data);
    azr_array_close(a);
}

/* The code is `want`, and the message names one of the culprits. */
static void check_refused(const row *r, int code, int want,
                          const char *culprits, const azr_error *err)
{
    if (code != want)
        fail(r, "%s (%s), need %s that names %s", azr_status_name(code),
             err->message, azr_status_name(want), culprits);
    else if (!names_one(err->message, culprits))
        fail(r, "refused without naming %s: %s", culprits, err->message);
    else
        tally_of(r->set)->refused++;
}

/* A group is no array, and is said to be one. */
static void check_no_array(const row *r, const char *path, int want,
                           const char *culprits)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    int rc = azr_array_open(&a, path, NULL, &err);

    check_refused(r, rc, want, culprits, &err);
    azr_array_close(a);
}

/* The document says nothing of the separator that its chunks have: a strict
 * reader finds none of them. Once that is seen, the document is put right. */
static void check_nested_legacy(const row *r, const char *path)
{
    char document[TEXT_MAX], *text;
    azr_error err = AZR_ERROR_INIT;
    azr_array_info info = {.struct_size = sizeof info};
    azr_array *a = NULL;
    uint8_t *data = NULL;
    size_t nbytes = 0, size;

    if (azr_array_open(&a, path, NULL, &err) == AZR_OK &&
        azr_array_info_get(a, &info, &err) == AZR_OK)
        data = read_little(a, &info, &nbytes, &err);
    if (!data)
        fail(r, "%s", err.message);
    for (size_t i = 0; data && i < nbytes; i++) {
        if (data[i] != 0) {
            fail(r, "a chunk was found under another separator");
            break;
        }
    }
    free(data);
    azr_array_close(a);

    text_of(document, "%s/.zarray", path);
    text = (char *)read_whole(document, &size);
    if (!strstr(text, "dimension_separator")) {
        char *better = need_memory(size + 64);
        char *brace = strchr(text, '{');

        if (!brace)
            die("%s holds no object", document);
        size = (size_t)snprintf(
            better, size + 64, "{\"dimension_separator\": \"/\",%s", brace + 1);
        write_whole(document, better, size);
        free(better);
    }
    free(text);
    check_array(r, path);
}

static void check_attributes(const row *r, const char *path)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    char *text = NULL;
    json_object *found = NULL;
    json_object *wanted = json_tokener_parse(r->config);

    if (azr_array_open(&a, path, NULL, &err) < 0 ||
        azr_array_attributes(a, &text, &err) < 0) {
        fail(r, "%s: %s", azr_status_name(err.code), err.message);
    } else {
        found = json_tokener_parse(text);
        if (wanted && found && json_object_equal(wanted, found))
            tally_of(r->set)->checked++;
        else
            fail(r, "attributes are %s, need %s", text, r->config);
    }
    (void)json_object_put(found);
    (void)json_object_put(wanted);
    azr_free(text);
    azr_array_close(a);
}

/* Where the payload of a .npy file begins: format 1.0 is all that occurs. */
static const uint8_t *npy_payload(const uint8_t *file, size_t nbytes,
                                  size_t *left_out)
{
    size_t head;

    if (nbytes < 10 || memcmp(file, "\x93NUMPY\x01", 7) != 0)
        die("not a .npy file of format 1");
    head = 10 + file[8] + 256u * file[9];
    if (head > nbytes)
        die("a .npy file is cut off");
    *left_out = nbytes - head;
    return file + head;
}

/* `bytes` and the codec, as a chunk of `nbytes` bytes. */
static int buffer_chain(azri_chain **out, const row *r, size_t nbytes,
                        azr_error *err)
{
    char bytes[] = "bytes", none[] = "{}", name[TEXT_MAX], config[TEXT_MAX];
    azri_dtype dtype = *azri_dtype_get(AZR_UINT8);
    azri_codec_spec specs[2] = {{bytes, none, 2, false},
                                {name, config, 2, false}};
    azri_meta m = {.zarr_format = 2,
                   .rank = 1,
                   .dtype = &dtype,
                   .codecs = specs,
                   .codec_count = 2,
                   .order = 'C',
                   .chunk_nbytes = nbytes};

    m.chunk[0] = m.shape[0] = (int64_t)nbytes;
    text_of(name, "%s", r->codecs);
    text_of(config, "%s", r->config);
    return azri_chain_new(out, &m, err);
}

static void check_encode(const row *r, const azri_chain *chain,
                         azri_coder *coder, azri_span payload, azri_span stored)
{
    azr_error err = AZR_ERROR_INIT;
    uint8_t *back = need_memory(payload.nbytes);
    azri_span out;

    if (azri_chain_encode(chain, coder, payload, &out, &err) < 0)
        fail(r, "encode: %s", err.message);
    else if (strcmp(r->encode, "exact") == 0 &&
             (out.nbytes != stored.nbytes ||
              memcmp(out.data, stored.data, out.nbytes) != 0))
        fail(r, "encoding gives other bytes than the file");
    else if (azri_chain_decode(chain, coder, out, back, payload.nbytes, &err) <
                 0 ||
             memcmp(back, payload.data, payload.nbytes) != 0)
        fail(r, "what we encode does not decode to the same: %s", err.message);
    else
        tally_of(r->set)->checked++;
    free(back);
}

static void check_buffer(const row *r, const char *path)
{
    azr_error err = AZR_ERROR_INIT;
    size_t nbytes = strtoull(r->length, NULL, 10), size;
    uint8_t *stored = read_whole(path, &size), *decoded = need_memory(nbytes);
    uint8_t *npy = NULL;
    azri_span in = {stored, size}, payload = {decoded, nbytes};
    azri_chain *chain = NULL;
    azri_coder *coder = NULL;

    if (buffer_chain(&chain, r, nbytes, &err) < 0 ||
        azri_coder_new(&coder, &err) < 0 ||
        azri_chain_decode(chain, coder, in, decoded, nbytes, &err) < 0) {
        fail(r, "%s: %s", azr_status_name(err.code), err.message);
        goto done;
    }
    if (!is_expected(r, "decoded", decoded, nbytes))
        goto done;
    if (strcmp(r->expected, "-") != 0) {
        char expected[TEXT_MAX];

        path_of(expected, r, r->expected);
        npy = read_whole(expected, &size);
        payload.data = npy_payload(npy, size, &payload.nbytes);
    }
    check_encode(r, chain, coder, payload, in);
done:
    azri_coder_free(coder);
    azri_chain_free(chain);
    free(npy);
    free(decoded);
    free(stored);
}

static void check_buffer_refused(const row *r, const char *culprits)
{
    azr_error err = AZR_ERROR_INIT;
    azri_chain *chain = NULL;
    int rc = buffer_chain(&chain, r, 1000, &err);

    check_refused(r, rc, AZR_EUNSUPPORTED, culprits, &err);
    azri_chain_free(chain);
}

static bool is_group(const char *path)
{
    static const char *const documents[] = {".zarray", "zarr.json"};
    char name[TEXT_MAX];
    struct stat st;
    uint8_t *text;
    size_t size;
    bool is_array;

    text_of(name, "%s/%s", path, documents[0]);
    if (stat(name, &st) == 0)
        return false;
    text_of(name, "%s/%s", path, documents[1]);
    if (stat(name, &st) != 0)
        return true;
    text = read_whole(name, &size);
    is_array = strstr((char *)text, "\"array\"") != NULL &&
               strstr((char *)text, "\"consolidated_metadata\"") == NULL;
    free(text);
    return !is_array;
}

static void check_row(const row *r)
{
    char path[TEXT_MAX], culprits[TEXT_MAX];
    bool is_out = find_culprits(culprits, r);

    /* stores in zip files, values for writers: nothing of ours to look at */
    if (strstr(r->path, ".zip!") || strcmp(r->kind, "npy") == 0 ||
        (strlen(r->path) > 4 &&
         strcmp(r->path + strlen(r->path) - 4, ".zip") == 0)) {
        tally_of(r->set)->left_out++;
        return;
    }
    path_of(path, r, r->path);
    if (strcmp(r->kind, "buffer") == 0 && is_out)
        check_buffer_refused(r, culprits);
    else if (strcmp(r->kind, "buffer") == 0)
        check_buffer(r, path);
    else if (strcmp(r->kind, "group") == 0 || is_group(path))
        check_no_array(r, path, AZR_ENOTFOUND, "group");
    else if (strcmp(r->kind, "attrs") == 0)
        check_attributes(r, path);
    else if (strcmp(r->kind, "array") != 0)
        fail(r, "rows of kind %s are not known", r->kind);
    else if (is_out)
        check_no_array(r, path, AZR_EUNSUPPORTED, culprits);
    else if (strcmp(r->path, "nested_legacy") == 0)
        check_nested_legacy(r, path);
    else
        check_array(r, path);
}

/* ------------------------------------------------------------- manifest --- */

static void unpack(const char *data)
{
    DIR *dir = opendir(data);
    struct dirent *e;

    if (!dir)
        die("cannot open %s", data);
    while ((e = readdir(dir))) {
        size_t n = strlen(e->d_name);
        char command[TEXT_MAX];

        if (n < 7 || strcmp(e->d_name + n - 7, ".tar.gz") != 0)
            continue;
        text_of(command, "tar -xzf '%s/%s'", data, e->d_name);
        if (system(command) != 0)
            die("%s does not work here", command);
    }
    (void)closedir(dir);
}

/* Cut `line` at its tabs; false if it has not the columns. */
static bool cut_row(row *r, char *line)
{
    const char **columns[COLUMNS] = {
        &r->set,      &r->kind,   &r->path,   &r->zarr,   &r->dtype,
        &r->shape,    &r->codecs, &r->config, &r->length, &r->sha256,
        &r->expected, &r->encode, &r->note};
    size_t i = 0;

    for (; i < COLUMNS && line; i++)
        *columns[i] = strsep(&line, "\t");
    return i == COLUMNS && !line;
}

static void check_manifest(const char *name)
{
    size_t size, line_number = 0;
    char *text = (char *)read_whole(name, &size), *rest = text;
    char *line;

    while ((line = strsep(&rest, "\n"))) {
        row r;

        if (line_number++ == 0 || !*line)
            continue;
        if (!cut_row(&r, line))
            die("%s, line %zu: need %d columns", name, line_number, COLUMNS);
        check_row(&r);
    }
    free(text);
}

static int sum_up(void)
{
    tally all = {.set = "all"};

    printf("%-16s %8s %8s %9s %7s\n", "set", "checked", "refused", "left out",
           "failed");
    for (size_t i = 0; i < g_set_count; i++) {
        tally *t = &g_sets[i];

        printf("%-16s %8d %8d %9d %7d\n", t->set, t->checked, t->refused,
               t->left_out, t->failed);
        all.checked += t->checked;
        all.refused += t->refused;
        all.left_out += t->left_out;
        if (t->checked + t->refused == 0) {
            printf("FAILED %s: no row was looked at\n", t->set);
            g_failed++;
        }
    }
    printf("%-16s %8d %8d %9d %7d\n", all.set, all.checked, all.refused,
           all.left_out, g_failed);
    return g_failed == 0 && all.checked > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    char manifest[TEXT_MAX];

    g_data = argc > 1 ? argv[1] : AZR_TEST_SOURCE_DIR "/tests/interop/data";
    unpack(g_data);
    text_of(manifest, "%s/manifest.tsv", g_data);
    check_manifest(manifest);
    return sum_up();
}
