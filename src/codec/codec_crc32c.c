/* SPDX-License-Identifier: Apache-2.0 */
/* `crc32c`: the bytes and their CRC-32C, which stands last (numcodecs: or
 * first, if `location` says so). */
#include "codec/codec_conf.h"
#include "codec/registry.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <string.h>

#define CRC_NBYTES 4

struct crc_conf {
    bool at_start;
};

static int crc32c_configure(void **conf_out, const char *json, int dialect,
                            const azr_codec_array *in, azr_error *err)
{
    static const char *const words[] = {"end", "start", NULL};
    struct crc_conf *conf;
    int location = 0;
    azri_conf c;
    int rc = azri_conf_open(&c, "crc32c", dialect, json, err);

    (void)in;
    if (rc < 0)
        return rc;
    if (dialect != AZR_DIALECT_V3)
        rc = azri_conf_word(&c, "location", words, &location, err);
    if (rc == AZR_OK)
        rc = azri_conf_finish(&c, err);
    azri_conf_close(&c);
    if (rc < 0)
        return rc;
    conf = azri_alloc(sizeof *conf);
    if (!conf)
        return azri_fail_nomem(err, sizeof *conf);
    conf->at_start = location == 1;
    *conf_out = conf;
    return AZR_OK;
}

static size_t crc32c_bound(const void *conf, size_t nbytes)
{
    (void)conf;
    return nbytes > SIZE_MAX - CRC_NBYTES ? 0 : nbytes + CRC_NBYTES;
}

static int crc32c_encode(const void *conf, const azr_codec_scratch *s,
                         azr_codec_out *dst, const uint8_t *src,
                         size_t src_nbytes, azr_error *err)
{
    const struct crc_conf *c = conf;
    int rc = dst->reserve(dst, crc32c_bound(conf, src_nbytes), err);

    (void)s;
    if (rc < 0)
        return rc;
    if (src_nbytes > 0)
        memcpy(dst->data + (c->at_start ? CRC_NBYTES : 0), src, src_nbytes);
    azri_store_le32(dst->data + (c->at_start ? 0 : src_nbytes),
                    azri_crc32c(0, src, src_nbytes));
    dst->nbytes = src_nbytes + CRC_NBYTES;
    return AZR_OK;
}

static int crc32c_decode(const void *conf, const azr_codec_scratch *s,
                         azr_codec_out *dst, size_t expected,
                         const uint8_t *src, size_t src_nbytes, azr_error *err)
{
    const struct crc_conf *c = conf;
    size_t nbytes = src_nbytes - CRC_NBYTES;
    const uint8_t *payload = c->at_start ? src + CRC_NBYTES : src;
    uint32_t stored, computed;
    int rc;

    (void)s;
    if (src_nbytes < CRC_NBYTES)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                             "crc32c: %zu bytes, need at least %d", src_nbytes,
                             CRC_NBYTES);
    rc = azri_codec_exact("crc32c", nbytes, expected, err);
    if (rc < 0)
        return rc;
    if (nbytes > dst->limit)
        return azri_codec_too_long("crc32c", dst->limit, err);
    stored = azri_load_le32(c->at_start ? src : src + nbytes);
    computed = azri_crc32c(0, payload, nbytes);
    if (stored != computed)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                             "crc32c: stored %08x, computed %08x",
                             (unsigned)stored, (unsigned)computed);
    rc = dst->reserve(dst, nbytes, err);
    if (rc < 0)
        return rc;
    if (nbytes > 0)
        memcpy(dst->data, payload, nbytes);
    dst->nbytes = nbytes;
    return AZR_OK;
}

const azr_codec azri_codec_crc32c = {
    .name = "crc32c",
    .v2_id = "crc32c",
    .alias = "numcodecs.crc32c",
    .kind = AZR_CODEC_BYTES_BYTES,
    .has_fixed_size = 1,
    .configure = crc32c_configure,
    .conf_free = azri_conf_free_flat,
    .bound = crc32c_bound,
    .encode = crc32c_encode,
    .decode = crc32c_decode,
};
