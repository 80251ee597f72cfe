/* SPDX-License-Identifier: Apache-2.0 */
/* `bytes` (once called `endian`): elements in C order, in one byte order. */
#include "codec/codec_conf.h"
#include "codec/registry.h"

#include "base/alloc.h"

struct bytes_conf {
    bool is_big_endian;
};

static int read_endian(azri_conf *c, const azr_codec_array *in, bool *is_big,
                       azr_error *err)
{
    static const char *const words[] = {"little", "big", NULL};
    int index = -1;
    int rc = azri_conf_word(c, "endian", words, &index, err);

    if (rc < 0)
        return rc;
    if (index < 0 && in->swap_nbytes > 1)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_METADATA,
                             "bytes: endian is missing, elements of %zu bytes "
                             "need it",
                             in->item_nbytes);
    *is_big = index == 1;
    return azri_conf_finish(c, err);
}

static int bytes_configure(void **conf_out, const char *json, int dialect,
                           const azr_codec_array *in, azr_error *err)
{
    struct bytes_conf *conf;
    bool is_big = false;
    azri_conf c;
    int rc = azri_conf_open(&c, "bytes", dialect, json, err);

    if (rc < 0)
        return rc;
    rc = read_endian(&c, in, &is_big, err);
    azri_conf_close(&c);
    if (rc < 0)
        return rc;
    conf = azri_alloc(sizeof *conf);
    if (!conf)
        return azri_fail_nomem(err, sizeof *conf);
    conf->is_big_endian = is_big;
    *conf_out = conf;
    return AZR_OK;
}

static int bytes_layout(const void *conf, const azr_codec_array *in,
                        azr_codec_layout *layout, azr_error *err)
{
    const struct bytes_conf *c = conf;

    (void)in;
    (void)err;
    layout->is_big_endian = c->is_big_endian;
    return AZR_OK;
}

const azr_codec azri_codec_bytes = {
    .name = "bytes",
    .v2_id = "bytes",
    .alias = "endian",
    .kind = AZR_CODEC_ARRAY_BYTES,
    .configure = bytes_configure,
    .conf_free = azri_conf_free_flat,
    .layout = bytes_layout,
};
