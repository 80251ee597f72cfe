/* SPDX-License-Identifier: Apache-2.0 */
#include "elem.h"
#include "json.h"
#include "region.h"
#include "session.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_NBYTES (4u << 20) /* what a chunk of our choice is at most */

static const struct cli_usage usage = {
    "create PATH --shape N,N --dtype TYPE [options] | --group",
    "Make an array: a directory that any Zarr program can read. Of two that\n"
    "create at once exactly one succeeds. What exists is left alone, unless\n"
    "--overwrite is given: then it is replaced, with all that is below it, in "
    "one\n"
    "step. With --exist-ok an array (or group) that is there will do.\n\n"
    "TYPE is a name of Zarr (int32, float64) or NumPy (i4, <f8; >f8 stores\n"
    "big endian). Codecs are joined by commas: none, zstd:5, gzip:6, zlib, "
    "lz4,\n"
    "blosc:lz4:5:shuffle, crc32c; or the JSON of the Zarr metadata.\n",
    "  azr create x.zarr --shape 12 --chunks 4 --dtype i4\n"
    "  azr create t.zarr --shape 0,90,180 --chunks 24,90,90 --dtype f4 \\\n"
    "      --codec zstd:5,crc32c --fill nan --dims time,lat,lon\n"
    "  azr create run.zarr --group --attrs '{\"title\": \"run 7\"}'\n"
    "  azr create old.zarr --format 2 --shape 100x100 --dtype '>f8'\n"};

struct wishes {
    const char *shape, *chunks, *dtype, *codec, *fill, *order, *separator;
    const char *key_encoding, *dims, *attrs, *durability;
    int format, group, overwrite, exist_ok;
    char fill_json[ELEM_TEXT_MAX];
    char *names; /* copy of dims, cut at its commas */
    const char *name[AZR_MAX_RANK];
};

/* The largest dimension is halved until a chunk is small enough. */
static void choose_chunks(azr_array_spec *spec)
{
    double nbytes = (double)azr_dtype_nbytes(spec->dtype);

    for (int d = 0; d < spec->rank; d++) {
        spec->chunks[d] = spec->shape[d] > 0 ? spec->shape[d] : 1;
        nbytes *= (double)spec->chunks[d];
    }
    while (nbytes > CHUNK_NBYTES) {
        int largest = 0;

        for (int d = 1; d < spec->rank; d++) {
            if (spec->chunks[d] > spec->chunks[largest])
                largest = d;
        }
        if (spec->chunks[largest] < 2)
            break;
        nbytes /= (double)spec->chunks[largest];
        spec->chunks[largest] = (spec->chunks[largest] + 1) / 2;
        nbytes *= (double)spec->chunks[largest];
    }
}

static int take_shape(struct cli *cli, azr_array_spec *spec,
                      const struct wishes *w)
{
    int rank;

    spec->rank = shape_parse(spec->shape, w->shape);
    if (spec->rank < 0)
        return cli_usage_error(
            cli, "--shape %s: need numbers, as 100,20 or 100x20", w->shape);
    if (!w->chunks) {
        choose_chunks(spec);
        return 0;
    }
    rank = shape_parse(spec->chunks, w->chunks);
    if (rank < 0)
        return cli_usage_error(
            cli, "--chunks %s: need numbers, as 100,20 or 100x20", w->chunks);
    if (rank != spec->rank)
        return cli_usage_error(
            cli, "--chunks %s has %d dimensions, --shape %s has %d", w->chunks,
            rank, w->shape, spec->rank);
    return 0;
}

static int take_names(struct cli *cli, azr_array_spec *spec, struct wishes *w)
{
    int n = 0;

    if (!w->dims)
        return 0;
    w->names = cli_alloc(strlen(w->dims) + 1, 1);
    memcpy(w->names, w->dims, strlen(w->dims));
    for (char *p = w->names; p; n++) {
        char *comma = strchr(p, ',');

        if (n < AZR_MAX_RANK)
            w->name[n] = p;
        if (comma)
            *comma++ = '\0';
        p = comma;
    }
    if (n != spec->rank)
        return cli_usage_error(cli, "--dims %s names %d dimensions of %d",
                               w->dims, n, spec->rank);
    spec->dimension_names = w->name;
    return 0;
}

/* One of `a` and `b`; *out is left alone without a wish. */
static int take_letter(struct cli *cli, char *out, const char *option,
                       const char *wish, const char *a, const char *b)
{
    if (!wish)
        return 0;
    if (strcmp(wish, a) != 0 && strcmp(wish, b) != 0)
        return cli_usage_error(cli, "%s %s: need %s or %s", option, wish, a, b);
    *out = wish[0];
    return 0;
}

int durability_parse(struct cli *cli, int32_t *out, const char *text)
{
    if (strcmp(text, "power") == 0)
        *out = AZR_DURABILITY_POWER;
    else if (strcmp(text, "process") == 0)
        *out = AZR_DURABILITY_PROCESS;
    else
        return cli_usage_error(cli, "--durability %s: need process or power",
                               text);
    return 0;
}

static int take_fill(struct cli *cli, azr_array_spec *spec, struct wishes *w)
{
    char value[ELEM_NBYTES_MAX];
    char why[200];

    if (!w->fill)
        return 0;
    if (!elem_parse(value, spec->dtype, w->fill, why, sizeof why))
        return cli_usage_error(cli, "--fill: %s", why);
    elem_json(w->fill_json, spec->dtype, value);
    spec->fill_value = w->fill_json;
    return 0;
}

static int take_wishes(struct cli *cli, azr_array_spec *spec, struct wishes *w)
{
    azr_error err = AZR_ERROR_INIT;
    int big = 0;
    int code = 0;

    if (!w->shape || !w->dtype)
        return cli_usage_error(cli, "--shape and --dtype are needed");
    if (azr_dtype_parse(&spec->dtype, &big, w->dtype, &err) < 0)
        return cli_usage_error(cli, "%s", err.message);
    if (w->format != 2 && w->format != 3)
        return cli_usage_error(cli, "--format %d: need 2 or 3", w->format);
    spec->zarr_format = w->format;
    spec->big_endian = big;
    spec->codecs = w->codec;
    spec->attributes = w->attrs;
    code = take_shape(cli, spec, w);
    if (code == 0)
        code = take_names(cli, spec, w);
    if (code == 0)
        code = take_letter(cli, &spec->order, "--order", w->order, "C", "F");
    if (code == 0)
        code = take_letter(cli, &spec->separator, "--separator", w->separator,
                           "/", ".");
    if (code == 0)
        code = take_letter(cli, &spec->key_encoding, "--key-encoding",
                           w->key_encoding, "default", "v2");
    if (spec->key_encoding == 'v')
        spec->key_encoding = '2';
    if (code == 0 && w->durability)
        code = durability_parse(cli, &spec->durability, w->durability);
    return code == 0 ? take_fill(cli, spec, w) : code;
}

static void report(const struct cli *cli, const azr_array_spec *spec,
                   const char *path)
{
    struct json j = json_begin(stdout);

    if (!cli->json)
        return;
    json_open(&j, NULL, '{');
    json_text(&j, "path", path);
    json_text(&j, "kind", "array");
    json_int(&j, "zarr_format", spec->zarr_format);
    json_text(&j, "dtype", azr_dtype_name(spec->dtype));
    json_ints(&j, "shape", spec->shape, spec->rank);
    json_ints(&j, "chunks", spec->chunks, spec->rank);
    json_close(&j, '}');
    json_end(&j);
}

static uint32_t flags_of(const struct wishes *w)
{
    return AZR_OPEN_WRITE | (w->overwrite ? AZR_CREATE_REPLACE : 0) |
           (w->exist_ok ? AZR_CREATE_OR_OPEN : 0);
}

/* --group: only --format and --attrs say something about it. */
static int create_group(struct cli *cli, const struct wishes *w,
                        const char *path)
{
    azr_open_options o = cli_open_options(cli, flags_of(w));
    azr_group_spec spec = AZR_GROUP_SPEC_INIT;
    struct json j = json_begin(stdout);
    azr_error err = AZR_ERROR_INIT;
    azr_group *group = NULL;
    int rc;

    if (w->shape || w->chunks || w->dtype || w->codec || w->fill || w->order ||
        w->separator || w->key_encoding || w->dims || w->durability)
        return cli_usage_error(cli,
                               "--group goes with --format and --attrs alone");
    spec.zarr_format = w->format;
    spec.attributes = w->attrs;
    rc = azr_group_create(&group, path, &spec, &o, &err);
    azr_group_close(group);
    if (rc < 0)
        return cli_fail_at(cli, rc, &err, path);
    cli->committed = true;
    if (cli->json) {
        json_open(&j, NULL, '{');
        json_text(&j, "path", path);
        json_text(&j, "kind", "group");
        json_int(&j, "zarr_format", w->format);
        json_close(&j, '}');
        json_end(&j);
    }
    return CLI_OK;
}

int cmd_create(struct cli *cli, int argc, char **argv)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *array = NULL;
    struct wishes w = {.format = 3};
    struct cli_list words = {NULL, 0};
    const struct cli_option options[] = {
        {CLI_TEXT, 's', "shape", &w.shape, "N,N", "lengths, as 12,10 or 12x10"},
        {CLI_TEXT, 'c', "chunks", &w.chunks, "N,N",
         "lengths of a chunk (at most 4 MiB)"},
        {CLI_TEXT, 't', "dtype", &w.dtype, "TYPE", "i4, int32, >f8, bool, c16"},
        {CLI_TEXT, 0, "codec", &w.codec, "CODECS",
         "zstd:5 and others (zstd; format 2: blosc)"},
        {CLI_TEXT, 0, "fill", &w.fill, "VALUE", "value of what is not written"},
        {CLI_NUMBER, 0, "format", &w.format, "2|3", "version of Zarr (3)"},
        {CLI_TEXT, 0, "order", &w.order, "C|F", "inside a chunk (C)"},
        {CLI_TEXT, 0, "separator", &w.separator, "/|.",
         "between chunk coordinates (/; format 2: .)"},
        {CLI_TEXT, 0, "key-encoding", &w.key_encoding, "E",
         "default or v2, in format 3"},
        {CLI_TEXT, 0, "dims", &w.dims, "NAME,NAME", "names of the dimensions"},
        {CLI_TEXT, 0, "attrs", &w.attrs, "JSON", "attributes, an object"},
        {CLI_TEXT, 0, "durability", &w.durability, "D",
         "process: survives kill -9; power: power loss too"},
        {CLI_FLAG, 0, "group", &w.group, NULL, "make a group"},
        {CLI_FLAG, 0, "leave-stale", &cli->leave_stale, NULL,
         "consolidated metadata above stays as it is"},
        {CLI_FLAG, 0, "overwrite", &w.overwrite, NULL,
         "replace what is there, with all below it"},
        {CLI_FLAG, 0, "exist-ok", &w.exist_ok, NULL,
         "take what is there as it is"},
        CLI_OPTION_END,
    };
    int rc;

    if (!cli_args(cli, &usage, options, argc, argv, &words, 1, 1))
        return cli->exit_code;
    if (w.overwrite && w.exist_ok)
        return cli_usage_error(cli,
                               "--overwrite and --exist-ok exclude each other");
    if (cli->session && (w.overwrite || w.exist_ok))
        return cli_alone(cli, "--overwrite or --exist-ok");
    if (w.group)
        return cli->session ? cli_alone(cli, "a group")
                            : create_group(cli, &w, words.items[0]);
    rc = take_wishes(cli, &spec, &w);
    if (rc != 0)
        goto done;
    rc = cli_create(cli, &array, words.items[0], &spec, flags_of(&w), &err);
    if (rc < 0) {
        rc = cli_fail_at(cli, rc, &err, words.items[0]);
        goto done;
    }
    cli->committed = true;
    report(cli, &spec, words.items[0]);
done:
    cli_close(cli, array);
    free(w.names);
    return rc;
}
