/* SPDX-License-Identifier: Apache-2.0 */
/* `lz4` as numcodecs lays it out: u32 size, one raw LZ4 block. */
#include "codec/codec_conf.h"
#include "codec/registry.h"

#include "base/alloc.h"

#include <limits.h>
#include <lz4.h>

#define HEADER_NBYTES 4

struct lz4_conf {
    int acceleration;
};

static int lz4_configure(void **conf_out, const char *json, int dialect,
                         const azr_codec_array *in, azr_error *err)
{
    struct lz4_conf *conf;
    int acceleration = 1;
    azri_conf c;
    int rc = azri_conf_open(&c, "lz4", dialect, json, err);

    (void)in;
    if (rc < 0)
        return rc;
    rc = azri_conf_int_clamped(&c, "acceleration", 1, INT_MAX, &acceleration,
                               err);
    if (rc == AZR_OK)
        rc = azri_conf_finish(&c, err);
    azri_conf_close(&c);
    if (rc < 0)
        return rc;
    conf = azri_alloc(sizeof *conf);
    if (!conf)
        return azri_fail_nomem(err, sizeof *conf);
    conf->acceleration = acceleration;
    *conf_out = conf;
    return AZR_OK;
}

static size_t lz4_bound(const void *conf, size_t nbytes)
{
    (void)conf;
    if (nbytes > LZ4_MAX_INPUT_SIZE)
        return 0;
    return (size_t)LZ4_compressBound((int)nbytes) + HEADER_NBYTES;
}

static int state_get(void **out, const azr_codec_scratch *s, azr_error *err)
{
    size_t nbytes = (size_t)LZ4_sizeofState();

    if (!*s->slot)
        *s->slot = azri_alloc(nbytes);
    if (!*s->slot)
        return azri_fail_nomem(err, nbytes);
    *out = *s->slot;
    return AZR_OK;
}

static int lz4_encode(const void *conf, const azr_codec_scratch *s,
                      azr_codec_out *dst, const uint8_t *src, size_t src_nbytes,
                      azr_error *err)
{
    const struct lz4_conf *c = conf;
    size_t bound = lz4_bound(conf, src_nbytes);
    void *state = NULL;
    int n;
    int rc = state_get(&state, s, err);

    if (rc < 0)
        return rc;
    if (bound == 0)
        return azri_fail(err, AZR_EINVAL, "lz4: %zu bytes, at most %d",
                         src_nbytes, LZ4_MAX_INPUT_SIZE);
    rc = dst->reserve(dst, bound, err);
    if (rc < 0)
        return rc;
    n = LZ4_compress_fast_extState(
        state, (const char *)src, (char *)dst->data + HEADER_NBYTES,
        (int)src_nbytes, (int)(bound - HEADER_NBYTES), c->acceleration);
    if (n <= 0)
        return azri_fail(err, AZR_EINVAL, "lz4: %zu bytes were not compressed",
                         src_nbytes);
    azri_store_le32(dst->data, (uint32_t)src_nbytes);
    dst->nbytes = (size_t)n + HEADER_NBYTES;
    return AZR_OK;
}

static int check_header(size_t *nbytes, const azr_codec_out *dst,
                        size_t expected, const uint8_t *src, size_t src_nbytes,
                        azr_error *err)
{
    if (src_nbytes < HEADER_NBYTES || src_nbytes - HEADER_NBYTES > INT_MAX)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                             "lz4: %zu bytes, need %d to %d", src_nbytes,
                             HEADER_NBYTES, INT_MAX);
    *nbytes = azri_load_le32(src);
    if (*nbytes > dst->limit)
        return azri_codec_too_long("lz4", dst->limit, err);
    if (*nbytes > LZ4_MAX_INPUT_SIZE)
        return azri_codec_too_long("lz4", LZ4_MAX_INPUT_SIZE, err);
    return azri_codec_exact("lz4", *nbytes, expected, err);
}

static int lz4_decode(const void *conf, const azr_codec_scratch *s,
                      azr_codec_out *dst, size_t expected, const uint8_t *src,
                      size_t src_nbytes, azr_error *err)
{
    size_t nbytes = 0;
    int n = 0;
    int rc = check_header(&nbytes, dst, expected, src, src_nbytes, err);

    (void)conf;
    (void)s;
    if (rc < 0)
        return rc;
    rc = dst->reserve(dst, nbytes, err);
    if (rc < 0)
        return rc;
    if (nbytes > 0)
        n = LZ4_decompress_safe((const char *)src + HEADER_NBYTES,
                                (char *)dst->data,
                                (int)(src_nbytes - HEADER_NBYTES), (int)nbytes);
    if (n < 0)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                             "lz4: damaged block of %zu bytes",
                             src_nbytes - HEADER_NBYTES);
    dst->nbytes = (size_t)n;
    return azri_codec_exact("lz4", dst->nbytes, nbytes, err);
}

const azr_codec azri_codec_lz4 = {
    .name = "numcodecs.lz4",
    .v2_id = "lz4",
    .kind = AZR_CODEC_BYTES_BYTES,
    .configure = lz4_configure,
    .conf_free = azri_conf_free_flat,
    .bound = lz4_bound,
    .encode = lz4_encode,
    .decode = lz4_decode,
    .scratch_free = azri_conf_free_flat,
};
