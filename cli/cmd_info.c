/* SPDX-License-Identifier: Apache-2.0 */
#include "elem.h"
#include "json.h"
#include "nodes.h"
#include "region.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_usage usage = {
    "info PATH",
    "Shape, data type, chunks, codecs, logical and stored bytes, how many "
    "chunks\n"
    "are there, and the transactions that are open now; of a group: what is in "
    "it.\nReads only.\n",
    "  azr info x.zarr\n"
    "  azr info x.zarr --json | jq .shape\n"};

struct facts {
    const char *path;
    azr_array_info info;
    uint64_t chunks, nbytes;
    int open, dead;
    char *names[AZR_MAX_RANK]; /* of the dimensions; NULL: none */
    bool named;
};

static int count_row(const azr_row_info *row, void *arg)
{
    struct facts *f = arg;

    if (row->alive)
        f->open++;
    else
        f->dead++;
    return 0;
}

static int gather(struct cli *cli, struct facts *f, azr_array *array)
{
    azr_error err = AZR_ERROR_INIT;
    int rc = info_of(cli, &f->info, array, f->path);

    if (rc != 0)
        return rc;
    rc = azr_array_usage(array, &f->chunks, &f->nbytes, &err);
    if (rc == AZR_OK)
        rc = azr_array_status(array, count_row, f, &err);
    for (int d = 0; rc == AZR_OK && d < f->info.rank; d++) {
        rc = azr_array_dimension_name(array, d, &f->names[d], &err);
        f->named = f->named || f->names[d];
    }
    return rc < 0 ? cli_fail_at(cli, rc, &err, f->path) : 0;
}

/* Bytes of all elements, as a double: a shape may promise more than 2^64. */
static double logical_nbytes(const azr_array_info *info)
{
    double n = (double)azr_dtype_nbytes(info->dtype);

    for (int d = 0; d < info->rank; d++)
        n *= (double)info->shape[d];
    return n;
}

static void print_names(const struct facts *f)
{
    printf("%-13s ", "dimensions");
    for (int d = 0; d < f->info.rank; d++) {
        printf("%s", d > 0 ? ", " : "");
        cli_put(stdout, f->names[d] ? f->names[d] : "-");
    }
    printf("\n");
}

static void print_layout(const struct facts *f)
{
    const azr_array_info *info = &f->info;
    char text[AZR_MAX_RANK * 24];
    char fill[ELEM_TEXT_MAX];

    printf("%-13s ", "path");
    cli_put(stdout, f->path);
    printf("\n");
    printf("%-13s %d\n", "Zarr format", info->zarr_format);
    shape_text(text, sizeof text, info->shape, info->rank);
    printf("%-13s %s\n", "shape", text);
    if (f->named)
        print_names(f);
    if (!info->opaque[0])
        printf("%-13s %s%s\n", "data type", azr_dtype_name(info->dtype),
               info->big_endian ? ", stored big endian" : "");
    shape_text(text, sizeof text, info->chunks, info->rank);
    printf("%-13s %s, %c order, keys with '%c'\n", "chunks", text, info->order,
           info->separator);
    printf("%-13s ", "codecs");
    cli_put(stdout, info->codecs[0] ? info->codecs : "none");
    printf("\n");
    if (info->opaque[0]) {
        printf("%-13s not readable here: ", "elements");
        cli_put(stdout, info->opaque);
        printf("\n");
        return;
    }
    elem_text(fill, info->dtype, info->fill);
    printf("%-13s %s\n", "fill value", info->has_fill ? fill : "none (0)");
}

static void print_state(const struct facts *f)
{
    const azr_array_info *info = &f->info;
    double logical = logical_nbytes(info);
    char text[32];

    bytes_text(text, sizeof text, logical);
    if (!info->opaque[0])
        printf("%-13s %s (%.0f bytes)\n", "logical", text, logical);
    bytes_text(text, sizeof text, (double)f->nbytes);
    printf("%-13s %s (%" PRIu64 " bytes)", "stored", text, f->nbytes);
    if (f->nbytes > 0 && f->chunks == info->chunk_count && !info->opaque[0])
        printf(", ratio %.2f", logical / (double)f->nbytes);
    printf("\n%-13s %" PRIu64 " of %" PRIu64 " present\n", "chunks stored",
           f->chunks, info->chunk_count);
    printf("%-13s %s\n", "durability",
           !info->has_state ? "not set: no write through azr yet"
           : info->durability == AZR_DURABILITY_POWER ? "power"
                                                      : "process");
    printf("%-13s %d open", "transactions", f->open);
    if (f->dead > 0)
        printf(", %d left by dead writers (azr recover '%s')", f->dead,
               f->path);
    printf("\n");
}

static void json_names(struct json *j, const struct facts *f)
{
    if (!f->named) {
        json_null(j, "dimension_names");
        return;
    }
    json_open(j, "dimension_names", '[');
    for (int d = 0; d < f->info.rank; d++) {
        if (f->names[d])
            json_text(j, NULL, f->names[d]);
        else
            json_null(j, NULL);
    }
    json_close(j, ']');
}

/* Of an array whose elements cannot be read `opaque` says why. */
static void json_element_type(struct json *j, const azr_array_info *info)
{
    if (info->opaque[0]) {
        json_null(j, "dtype");
        json_text(j, "opaque", info->opaque);
        return;
    }
    json_text(j, "dtype", azr_dtype_name(info->dtype));
    json_text(j, "byte_order", info->big_endian ? "big" : "little");
}

static void print_json(const struct facts *f)
{
    const azr_array_info *info = &f->info;
    struct json j = json_begin(stdout);
    char letter[2] = {0, 0};
    char fill[ELEM_TEXT_MAX];

    json_open(&j, NULL, '{');
    json_text(&j, "path", f->path);
    json_text(&j, "kind", "array");
    json_int(&j, "zarr_format", info->zarr_format);
    json_ints(&j, "shape", info->shape, info->rank);
    json_names(&j, f);
    json_element_type(&j, info);
    json_ints(&j, "chunks", info->chunks, info->rank);
    letter[0] = info->order;
    json_text(&j, "order", letter);
    letter[0] = info->separator;
    json_text(&j, "separator", letter);
    json_text(&j, "codecs", info->codecs);
    if (!info->opaque[0]) {
        elem_json(fill, info->dtype, info->fill);
        json_raw(&j, "fill_value", info->has_fill ? fill : "null");
        json_real(&j, "nbytes", logical_nbytes(info));
    }
    json_uint(&j, "nbytes_stored", f->nbytes);
    json_uint(&j, "chunks_present", f->chunks);
    json_uint(&j, "chunks_total", info->chunk_count);
    json_bool(&j, "has_state", info->has_state != 0);
    json_text(&j, "durability",
              info->durability == AZR_DURABILITY_POWER ? "power" : "process");
    json_int(&j, "transactions_open", f->open);
    json_int(&j, "transactions_dead", f->dead);
    json_close(&j, '}');
    json_end(&j);
}

/* ---------------------------------------------------------------- groups --- */

struct children {
    size_t count[AZR_NODE_DIRECTORY + 1]; /* by kind */
};

static int count_child(const azr_node *node, void *arg)
{
    struct children *c = arg;

    if (node->kind >= 0 && node->kind <= AZR_NODE_DIRECTORY)
        c->count[node->kind]++;
    return 0;
}

static void print_group(struct cli *cli, const char *path,
                        const azr_group_info *info, const struct children *c)
{
    struct json j = json_begin(stdout);

    if (!cli->json) {
        printf("%-13s ", "path");
        cli_put(stdout, path);
        printf("\n%-13s %d, a group\n", "Zarr format", info->zarr_format);
        printf("%-13s %zu arrays, %zu groups", "holds",
               c->count[AZR_NODE_ARRAY], c->count[AZR_NODE_GROUP]);
        if (c->count[AZR_NODE_NONE] > 0)
            printf(", %zu that cannot be read (azr tree '%s')",
                   c->count[AZR_NODE_NONE], path);
        printf("\n%-13s %s\n", "consolidated",
               info->consolidated ? "yes" : "no");
        return;
    }
    json_open(&j, NULL, '{');
    json_text(&j, "path", path);
    json_text(&j, "kind", "group");
    json_int(&j, "zarr_format", info->zarr_format);
    json_uint(&j, "arrays", c->count[AZR_NODE_ARRAY]);
    json_uint(&j, "groups", c->count[AZR_NODE_GROUP]);
    json_uint(&j, "unreadable", c->count[AZR_NODE_NONE]);
    json_bool(&j, "consolidated", info->consolidated != 0);
    json_close(&j, '}');
    json_end(&j);
}

static int info_of_group(struct cli *cli, const char *path)
{
    azr_group_info info = {.struct_size = (uint32_t)sizeof info};
    azr_error err = AZR_ERROR_INIT;
    struct children c = {{0}};
    azr_group *group = NULL;
    int rc = cli_open_group(cli, &group, path, 0);

    if (rc != 0)
        return rc;
    rc = azr_group_info_get(group, &info, &err);
    if (rc == AZR_OK)
        rc = azr_group_list(group, count_child, &c, &err);
    azr_group_close(group);
    if (rc < 0)
        return cli_fail_at(cli, rc, &err, path);
    print_group(cli, path, &info, &c);
    return CLI_OK;
}

int cmd_info(struct cli *cli, int argc, char **argv)
{
    struct cli_list words = {NULL, 0};
    azr_array *array = NULL;
    struct facts f;
    int kind = AZR_NODE_NONE, rc;

    memset(&f, 0, sizeof f);
    if (!cli_args(cli, &usage, NULL, argc, argv, &words, 1, 1))
        return cli->exit_code;
    f.path = words.items[0];
    if (azr_node_at(&kind, NULL, f.path, NULL) == AZR_OK &&
        kind == AZR_NODE_GROUP)
        return info_of_group(cli, f.path);
    rc = cli_open(cli, &array, f.path, AZR_OPEN_OPAQUE);
    if (rc == 0)
        rc = gather(cli, &f, array);
    azr_array_close(array);
    if (rc == 0 && cli->json) {
        print_json(&f);
    } else if (rc == 0) {
        print_layout(&f);
        print_state(&f);
    }
    for (int d = 0; d < AZR_MAX_RANK; d++)
        azr_free(f.names[d]);
    return rc;
}
