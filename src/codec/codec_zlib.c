/* SPDX-License-Identifier: Apache-2.0 */
/* `zlib`: RFC 1950, one stream. */
#include "codec/codec_conf.h"
#include "codec/deflate.h"
#include "codec/registry.h"

#include <isa-l/igzip_lib.h>

#include "base/log.h"

static int zlib_configure(void **conf_out, const char *json, int dialect,
                          const azr_codec_array *in, azr_error *err)
{
    (void)in;
    return azri_deflate_configure(conf_out, "zlib", json, dialect, err);
}

static size_t zlib_bound(const void *conf, size_t nbytes)
{
    (void)conf;
    if (nbytes > SIZE_MAX / 4)
        return 0;
    return libdeflate_zlib_compress_bound(NULL, nbytes);
}

static int zlib_encode(const void *conf, const azr_codec_scratch *s,
                       azr_codec_out *dst, const uint8_t *src,
                       size_t src_nbytes, azr_error *err)
{
    static const azri_deflate_frame frame = {libdeflate_zlib_compress,
                                             IGZIP_ZLIB};
    int rc = dst->reserve(dst, zlib_bound(conf, src_nbytes), err);

    if (rc < 0)
        return rc;
    return azri_deflate(conf, &frame, s, dst, src, src_nbytes, err);
}

/* Other readers take no notice of bytes behind the stream, so data that have
 * them exist; somebody may want to know. */
static int zlib_decode(const void *conf, const azr_codec_scratch *s,
                       azr_codec_out *dst, size_t expected, const uint8_t *src,
                       size_t src_nbytes, azr_error *err)
{
    size_t used = 0;
    azri_inflater z;
    int rc =
        azri_inflater_init(&z, libdeflate_zlib_decompress_ex, conf, s, err);

    if (rc < 0)
        return rc;
    dst->nbytes = 0;
    rc = azri_inflate(&z, dst, expected, src, src_nbytes, &used, err);
    if (rc < 0)
        return rc;
    if (used < src_nbytes)
        azri_log(AZR_LOG_WARNING, "zlib: %zu bytes behind the stream ignored",
                 src_nbytes - used);
    return azri_codec_exact("zlib", dst->nbytes, expected, err);
}

const azr_codec azri_codec_zlib = {
    .name = "numcodecs.zlib",
    .v2_id = "zlib",
    .kind = AZR_CODEC_BYTES_BYTES,
    .configure = zlib_configure,
    .conf_free = azri_conf_free_flat,
    .bound = zlib_bound,
    .encode = zlib_encode,
    .decode = zlib_decode,
    .scratch_free = azri_deflate_scratch_free,
};
