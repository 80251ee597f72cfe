/* SPDX-License-Identifier: Apache-2.0 */
/* `zstd`: RFC 8878 frames, with or without content size, skippable ones too. */
#include "codec/codec_conf.h"
#include "codec/registry.h"

#include "base/alloc.h"

#include <zstd.h>
#include <zstd_errors.h>

#define LEVEL_MIN (-131072)
#define LEVEL_MAX 22

struct zstd_conf {
    int level;
    bool checksum;
};

struct zstd_slot {
    ZSTD_CCtx *cctx;
    ZSTD_DCtx *dctx;
};

/* v2 documents with level 100 exist: the library they were written with took it
 * as the highest there is. */
static int read_members(azri_conf *c, struct zstd_conf *conf, azr_error *err)
{
    int rc;

    if (c->dialect == AZR_DIALECT_V3)
        rc = azri_conf_int(c, "level", LEVEL_MIN, LEVEL_MAX, &conf->level, err);
    else
        rc = azri_conf_int_clamped(c, "level", LEVEL_MIN, LEVEL_MAX,
                                   &conf->level, err);
    if (rc < 0)
        return rc;
    rc = azri_conf_bool(c, "checksum", &conf->checksum, err);
    if (rc < 0)
        return rc;
    return azri_conf_finish(c, err);
}

static int zstd_configure(void **conf_out, const char *json, int dialect,
                          const azr_codec_array *in, azr_error *err)
{
    struct zstd_conf *conf = NULL;
    azri_conf c;
    int rc = azri_conf_open(&c, "zstd", dialect, json, err);

    (void)in;
    if (rc < 0)
        return rc;
    conf = azri_calloc(1, sizeof *conf);
    if (!conf) {
        rc = azri_fail_nomem(err, sizeof *conf);
        goto done;
    }
    rc = read_members(&c, conf, err);
    if (rc < 0)
        goto done;

    *conf_out = conf;
    conf = NULL;
done:
    azri_free(conf);
    azri_conf_close(&c);
    return rc;
}

static size_t zstd_bound(const void *conf, size_t nbytes)
{
    size_t bound = nbytes > SIZE_MAX / 4 ? 0 : ZSTD_compressBound(nbytes);

    (void)conf;
    return ZSTD_isError(bound) ? 0 : bound;
}

/* NULL: no memory. */
static struct zstd_slot *slot_get(const azr_codec_scratch *s)
{
    if (!*s->slot)
        *s->slot = azri_calloc(1, sizeof(struct zstd_slot));
    return *s->slot;
}

static void zstd_scratch_free(void *slot)
{
    struct zstd_slot *s = slot;

    if (!s)
        return;
    ZSTD_freeCCtx(s->cctx);
    ZSTD_freeDCtx(s->dctx);
    azri_free(s);
}

static int compressor(ZSTD_CCtx **out, const struct zstd_conf *conf,
                      const azr_codec_scratch *s, azr_error *err)
{
    struct zstd_slot *slot = slot_get(s);
    size_t z;

    if (!slot)
        return azri_fail_nomem(err, sizeof *slot);
    if (!slot->cctx)
        slot->cctx = ZSTD_createCCtx();
    if (!slot->cctx)
        return azri_fail(err, AZR_ENOMEM, "out of memory: zstd compressor");
    z = ZSTD_CCtx_reset(slot->cctx, ZSTD_reset_session_and_parameters);
    if (!ZSTD_isError(z))
        z = ZSTD_CCtx_setParameter(slot->cctx, ZSTD_c_compressionLevel,
                                   conf->level);
    if (!ZSTD_isError(z))
        z = ZSTD_CCtx_setParameter(slot->cctx, ZSTD_c_checksumFlag,
                                   conf->checksum);
    if (ZSTD_isError(z))
        return azri_fail(err, AZR_EINVAL, "zstd: level %d: %s", conf->level,
                         ZSTD_getErrorName(z));
    *out = slot->cctx;
    return AZR_OK;
}

static int zstd_encode(const void *conf, const azr_codec_scratch *s,
                       azr_codec_out *dst, const uint8_t *src,
                       size_t src_nbytes, azr_error *err)
{
    ZSTD_CCtx *cctx = NULL;
    size_t z;
    int rc = compressor(&cctx, conf, s, err);

    if (rc < 0)
        return rc;
    rc = dst->reserve(dst, zstd_bound(conf, src_nbytes), err);
    if (rc < 0)
        return rc;
    z = ZSTD_compress2(cctx, dst->data, dst->capacity, src, src_nbytes);
    if (ZSTD_getErrorCode(z) == ZSTD_error_memory_allocation)
        return azri_fail(err, AZR_ENOMEM, "out of memory: zstd compressor");
    if (ZSTD_isError(z))
        return azri_fail(err, AZR_EINVAL, "zstd: %zu bytes: %s", src_nbytes,
                         ZSTD_getErrorName(z));
    dst->nbytes = z;
    return AZR_OK;
}

static int decompressor(ZSTD_DCtx **out, const azr_codec_scratch *s,
                        azr_error *err)
{
    struct zstd_slot *slot = slot_get(s);

    if (!slot)
        return azri_fail_nomem(err, sizeof *slot);
    if (!slot->dctx)
        slot->dctx = ZSTD_createDCtx();
    if (!slot->dctx)
        return azri_fail(err, AZR_ENOMEM, "out of memory: zstd decompressor");
    *out = slot->dctx;
    return AZR_OK;
}

static bool is_frame(const uint8_t *p, size_t nbytes)
{
    uint32_t magic;

    if (nbytes < 4)
        return false;
    magic = azri_load_le32(p);
    return magic == ZSTD_MAGICNUMBER ||
           (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

/* Walk the frames by their block headers, before any is decoded. Keeps the
 * formats from before 1.0 away, whose old decoders the library may still have. */
static int check_frames(const uint8_t *src, size_t src_nbytes, azr_error *err)
{
    size_t at = 0;

    while (at < src_nbytes) {
        size_t z;

        if (!is_frame(src + at, src_nbytes - at))
            return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                                 "zstd: no frame at byte %zu of %zu", at,
                                 src_nbytes);
        z = ZSTD_findFrameCompressedSize(src + at, src_nbytes - at);
        if (ZSTD_isError(z) || z == 0)
            return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                                 "zstd: frame at byte %zu of %zu: %s", at,
                                 src_nbytes, ZSTD_getErrorName(z));
        at += z;
    }
    return AZR_OK;
}

static int zstd_decode(const void *conf, const azr_codec_scratch *s,
                       azr_codec_out *dst, size_t expected, const uint8_t *src,
                       size_t src_nbytes, azr_error *err)
{
    size_t capacity = azri_codec_first_capacity(dst, expected, src_nbytes);
    ZSTD_DCtx *dctx = NULL;
    size_t z;
    int rc = decompressor(&dctx, s, err);

    (void)conf;
    dst->nbytes = 0;
    if (rc == AZR_OK)
        rc = check_frames(src, src_nbytes, err);
    if (rc < 0)
        return rc;
    do {
        rc = dst->reserve(dst, capacity, err);
        if (rc < 0)
            return rc;
        z = ZSTD_decompressDCtx(dctx, dst->data, capacity, src, src_nbytes);
    } while (ZSTD_getErrorCode(z) == ZSTD_error_dstSize_tooSmall &&
             azri_codec_next_capacity(dst, expected, &capacity));
    if (ZSTD_getErrorCode(z) == ZSTD_error_dstSize_tooSmall)
        return azri_codec_too_long("zstd", capacity, err);
    if (ZSTD_isError(z))
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                             "zstd: %zu bytes: %s", src_nbytes,
                             ZSTD_getErrorName(z));
    dst->nbytes = z;
    return azri_codec_exact("zstd", z, expected, err);
}

const azr_codec azri_codec_zstd = {
    .name = "zstd",
    .v2_id = "zstd",
    .alias = "numcodecs.zstd",
    .kind = AZR_CODEC_BYTES_BYTES,
    .configure = zstd_configure,
    .conf_free = azri_conf_free_flat,
    .bound = zstd_bound,
    .encode = zstd_encode,
    .decode = zstd_decode,
    .scratch_free = zstd_scratch_free,
};
