/* SPDX-License-Identifier: Apache-2.0 */
/* `blosc`: Blosc 1 chunks. Decoding takes everything from the chunk itself. */
#include "codec/blosc_check.h"
#include "codec/codec_conf.h"
#include "codec/registry.h"

#include "base/alloc.h"

#include <blosc.h>
#include <limits.h>
#include <string.h>

#define SHUFFLE_AUTO      (-1)
#define TYPESIZE_MAX      255
#define BLOCKSIZE_MAX     ((INT_MAX - 255 * 4) / 3)
#define BUFFER_MAX_NBYTES (INT_MAX - AZRI_BLOSC_HEADER_NBYTES)

struct blosc_conf {
    const char *cname;
    int clevel;
    int shuffle;
    int typesize;
    int blocksize;
};

static const char *const cnames[] = {"lz4",  "blosclz", "lz4hc", "zstd",
                                     "zlib", "snappy",  NULL};

static bool has_compressor(const char *cname)
{
    return blosc_compname_to_compcode(cname) >= 0;
}

static int refuse_compressor(const char *cname, azr_error *err)
{
    return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_CODEC,
                         "blosc: compressor '%s' is not built into the blosc "
                         "library here",
                         cname);
}

/* Words in v3, numbers in v2 and numcodecs. */
static int read_shuffle(azri_conf *c, int *shuffle, azr_error *err)
{
    static const char *const words[] = {"noshuffle", "shuffle", "bitshuffle",
                                        NULL};

    if (c->dialect == AZR_DIALECT_V3)
        return azri_conf_word(c, "shuffle", words, shuffle, err);
    return azri_conf_int(c, "shuffle", SHUFFLE_AUTO, BLOSC_BITSHUFFLE, shuffle,
                         err);
}

static int read_members(azri_conf *c, struct blosc_conf *conf, azr_error *err)
{
    int cname = 0;
    int rc = azri_conf_word(c, "cname", cnames, &cname, err);

    if (rc < 0)
        return rc;
    conf->cname = cnames[cname];
    rc = azri_conf_int(c, "clevel", 0, 9, &conf->clevel, err);
    if (rc < 0)
        return rc;
    rc = read_shuffle(c, &conf->shuffle, err);
    if (rc < 0)
        return rc;
    rc = azri_conf_int(c, "typesize", 1, INT_MAX, &conf->typesize, err);
    if (rc < 0)
        return rc;
    rc = azri_conf_int(c, "blocksize", 0, INT_MAX, &conf->blocksize, err);
    if (rc < 0)
        return rc;
    return azri_conf_finish(c, err);
}

/* What the members leave open follows from the elements. */
static void settle(struct blosc_conf *conf)
{
    if (conf->shuffle == SHUFFLE_AUTO)
        conf->shuffle = conf->typesize == 1 ? BLOSC_BITSHUFFLE : BLOSC_SHUFFLE;
    if (conf->blocksize > BLOCKSIZE_MAX)
        conf->blocksize = BLOCKSIZE_MAX;
}

static int blosc_configure(void **conf_out, const char *json, int dialect,
                           const azr_codec_array *in, azr_error *err)
{
    bool is_v3 = dialect == AZR_DIALECT_V3;
    struct blosc_conf *conf = NULL;
    azri_conf c;
    int rc = azri_conf_open(&c, "blosc", dialect, json, err);

    if (rc < 0)
        return rc;
    conf = azri_calloc(1, sizeof *conf);
    if (!conf) {
        rc = azri_fail_nomem(err, sizeof *conf);
        goto done;
    }
    conf->clevel = 5;
    conf->shuffle = is_v3 ? SHUFFLE_AUTO : BLOSC_SHUFFLE;
    conf->typesize = in->item_nbytes > TYPESIZE_MAX ? 1 : (int)in->item_nbytes;
    rc = read_members(&c, conf, err);
    if (rc < 0)
        goto done;
    settle(conf);

    *conf_out = conf;
    conf = NULL;
done:
    azri_free(conf);
    azri_conf_close(&c);
    return rc;
}

static size_t blosc_bound(const void *conf, size_t nbytes)
{
    (void)conf;
    return nbytes > BUFFER_MAX_NBYTES ? 0 : nbytes + AZRI_BLOSC_HEADER_NBYTES;
}

static int blosc_encode(const void *conf, const azr_codec_scratch *s,
                        azr_codec_out *dst, const uint8_t *src,
                        size_t src_nbytes, azr_error *err)
{
    const struct blosc_conf *c = conf;
    size_t bound = blosc_bound(conf, src_nbytes);
    int n, rc;

    (void)s;
    if (bound == 0)
        return azri_fail(err, AZR_EINVAL, "blosc: %zu bytes, at most %d",
                         src_nbytes, BUFFER_MAX_NBYTES);
    if (!has_compressor(c->cname))
        return refuse_compressor(c->cname, err);
    rc = dst->reserve(dst, bound, err);
    if (rc < 0)
        return rc;
    n = blosc_compress_ctx(c->clevel, c->shuffle, (size_t)c->typesize,
                           src_nbytes, src, dst->data, bound, c->cname,
                           (size_t)c->blocksize, 1);
    if (n <= 0)
        return azri_fail(err, AZR_EINVAL,
                         "blosc: %zu bytes were not compressed (%d)",
                         src_nbytes, n);
    dst->nbytes = (size_t)n;
    return AZR_OK;
}

static int check(azri_blosc_header *h, const azr_codec_out *dst,
                 size_t expected, const uint8_t *src, size_t src_nbytes,
                 azr_error *err)
{
    static const char *const names[] = {"blosclz", "lz4", "snappy", "zlib",
                                        "zstd"};
    int rc = azri_blosc_check_header(h, src, src_nbytes, err);

    if (rc < 0)
        return rc;
    rc = azri_codec_exact("blosc", h->nbytes, expected, err);
    if (rc < 0)
        return rc;
    if (h->nbytes > dst->limit)
        return azri_codec_too_long("blosc", dst->limit, err);
    if (h->is_copy || h->nbytes == 0)
        return AZR_OK;
    if (!has_compressor(names[h->format]))
        return refuse_compressor(names[h->format], err);
    return azri_blosc_check_blocks(h, src, src_nbytes, err);
}

static int blosc_decode(const void *conf, const azr_codec_scratch *s,
                        azr_codec_out *dst, size_t expected, const uint8_t *src,
                        size_t src_nbytes, azr_error *err)
{
    azri_blosc_header h;
    int n = 0;
    int rc = check(&h, dst, expected, src, src_nbytes, err);

    (void)conf;
    (void)s;
    if (rc < 0)
        return rc;
    rc = dst->reserve(dst, h.nbytes, err);
    if (rc < 0)
        return rc;
    if (h.nbytes > 0 && h.is_copy) {
        memcpy(dst->data, src + AZRI_BLOSC_HEADER_NBYTES, h.nbytes);
        n = (int)h.nbytes;
    } else if (h.nbytes > 0) {
        n = blosc_decompress_ctx(src, dst->data, h.nbytes, 1);
    }
    if (n < 0 || (size_t)n != h.nbytes)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                             "blosc: damaged chunk of %zu bytes (%d)",
                             src_nbytes, n);
    dst->nbytes = h.nbytes;
    return AZR_OK;
}

const azr_codec azri_codec_blosc = {
    .name = "blosc",
    .v2_id = "blosc",
    .alias = "numcodecs.blosc",
    .kind = AZR_CODEC_BYTES_BYTES,
    .configure = blosc_configure,
    .conf_free = azri_conf_free_flat,
    .bound = blosc_bound,
    .encode = blosc_encode,
    .decode = blosc_decode,
};
