/* SPDX-License-Identifier: Apache-2.0 */
/* `transpose`: encoded axis i is axis order[i] of what flows in. */
#include "codec/codec_conf.h"
#include "codec/registry.h"

#include "base/alloc.h"

#include <string.h>

struct transpose_conf {
    int32_t rank;
    int32_t order[AZR_MAX_RANK];
};

static int refuse(azr_error *err, struct json_object *order, int32_t rank)
{
    return azri_fail_sub(
        err, AZR_EINVAL, AZR_SUB_METADATA,
        "transpose: order is %.60s, need a permutation of %d axes",
        order ? json_object_to_json_string(order) : "missing", (int)rank);
}

/* "C" and "F" stand in early v3 documents. */
static bool read_letter(struct transpose_conf *conf, const char *letter)
{
    bool is_c = strcmp(letter, "C") == 0;

    if (!is_c && strcmp(letter, "F") != 0)
        return false;
    for (int32_t i = 0; i < conf->rank; i++)
        conf->order[i] = is_c ? i : conf->rank - 1 - i;
    return true;
}

static bool read_list(struct transpose_conf *conf, struct json_object *order)
{
    bool seen[AZR_MAX_RANK] = {false};

    if (json_object_array_length(order) != (size_t)conf->rank)
        return false;
    for (int32_t i = 0; i < conf->rank; i++) {
        struct json_object *axis = json_object_array_get_idx(order, (size_t)i);
        int64_t n;

        if (!json_object_is_type(axis, json_type_int))
            return false;
        n = json_object_get_int64(axis);
        if (n < 0 || n >= conf->rank || seen[n])
            return false;
        seen[n] = true;
        conf->order[i] = (int32_t)n;
    }
    return true;
}

static int read_order(azri_conf *c, struct transpose_conf *conf, azr_error *err)
{
    struct json_object *order = azri_conf_member(c, "order");
    bool ok = false;

    if (json_object_is_type(order, json_type_string))
        ok = read_letter(conf, json_object_get_string(order));
    else if (json_object_is_type(order, json_type_array))
        ok = read_list(conf, order);
    if (!ok)
        return refuse(err, order, conf->rank);
    return azri_conf_finish(c, err);
}

static int transpose_configure(void **conf_out, const char *json, int dialect,
                               const azr_codec_array *in, azr_error *err)
{
    struct transpose_conf *conf = NULL;
    azri_conf c;
    int rc = azri_conf_open(&c, "transpose", dialect, json, err);

    if (rc < 0)
        return rc;
    conf = azri_calloc(1, sizeof *conf);
    if (!conf) {
        rc = azri_fail_nomem(err, sizeof *conf);
        goto done;
    }
    conf->rank = in->rank;
    rc = read_order(&c, conf, err);
    if (rc < 0)
        goto done;

    *conf_out = conf;
    conf = NULL;
done:
    azri_free(conf);
    azri_conf_close(&c);
    return rc;
}

static int transpose_shape(const void *conf, azr_codec_array *array,
                           azr_error *err)
{
    const struct transpose_conf *c = conf;
    azr_codec_array in = *array;

    (void)err;
    for (int32_t i = 0; i < c->rank; i++)
        array->shape[i] = in.shape[c->order[i]];
    return AZR_OK;
}

static int transpose_layout(const void *conf, const azr_codec_array *in,
                            azr_codec_layout *layout, azr_error *err)
{
    const struct transpose_conf *c = conf;
    azr_codec_layout before = *layout;

    (void)in;
    (void)err;
    for (int32_t i = 0; i < c->rank; i++)
        layout->axes[i] = before.axes[c->order[i]];
    return AZR_OK;
}

const azr_codec azri_codec_transpose = {
    .name = "transpose",
    .v2_id = "transpose",
    .kind = AZR_CODEC_ARRAY_ARRAY,
    .configure = transpose_configure,
    .conf_free = azri_conf_free_flat,
    .shape = transpose_shape,
    .layout = transpose_layout,
};
