/* SPDX-License-Identifier: Apache-2.0 */
/* `gzip`: RFC 1952. Members may follow each other, zeros may follow the last. */
#include "codec/codec_conf.h"
#include "codec/deflate.h"
#include "codec/registry.h"

#include <isa-l/igzip_lib.h>

static int gzip_configure(void **conf_out, const char *json, int dialect,
                          const azr_codec_array *in, azr_error *err)
{
    (void)in;
    return azri_deflate_configure(conf_out, "gzip", json, dialect, err);
}

static size_t gzip_bound(const void *conf, size_t nbytes)
{
    (void)conf;
    if (nbytes > SIZE_MAX / 4)
        return 0;
    return libdeflate_gzip_compress_bound(NULL, nbytes);
}

static int gzip_encode(const void *conf, const azr_codec_scratch *s,
                       azr_codec_out *dst, const uint8_t *src,
                       size_t src_nbytes, azr_error *err)
{
    static const azri_deflate_frame frame = {libdeflate_gzip_compress,
                                             IGZIP_GZIP};
    int rc = dst->reserve(dst, gzip_bound(conf, src_nbytes), err);

    if (rc < 0)
        return rc;
    return azri_deflate(conf, &frame, s, dst, src, src_nbytes, err);
}

static bool is_padding(const uint8_t *p, size_t nbytes)
{
    for (size_t i = 0; i < nbytes; i++) {
        if (p[i] != 0)
            return false;
    }
    return true;
}

static int gzip_decode(const void *conf, const azr_codec_scratch *s,
                       azr_codec_out *dst, size_t expected, const uint8_t *src,
                       size_t src_nbytes, azr_error *err)
{
    size_t at = 0, used = 0;
    azri_inflater z;
    int rc =
        azri_inflater_init(&z, libdeflate_gzip_decompress_ex, conf, s, err);

    if (rc < 0)
        return rc;
    dst->nbytes = 0;
    do {
        rc = azri_inflate(&z, dst, expected, src + at, src_nbytes - at, &used,
                          err);
        if (rc < 0)
            return rc;
        at += used;
    } while (!is_padding(src + at, src_nbytes - at));
    return azri_codec_exact("gzip", dst->nbytes, expected, err);
}

const azr_codec azri_codec_gzip = {
    .name = "gzip",
    .v2_id = "gzip",
    .alias = "numcodecs.gzip",
    .kind = AZR_CODEC_BYTES_BYTES,
    .configure = gzip_configure,
    .conf_free = azri_conf_free_flat,
    .bound = gzip_bound,
    .encode = gzip_encode,
    .decode = gzip_decode,
    .scratch_free = azri_deflate_scratch_free,
};
