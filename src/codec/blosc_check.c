/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/blosc_check.h"

#include "codec/codec_conf.h"

#include <limits.h>

#define FORMAT_VERSION 2

#define FLAG_COPY     0x02u
#define FLAG_RESERVED 0x08u
#define FLAG_NO_SPLIT 0x10u

#define SPLIT_MAX       16u /* largest type size whose blocks are split */
#define SPLIT_MIN_COUNT 128u

/* c-blosc adds up three blocks and a few words in an int. */
#define BLOCK_MAX_NBYTES (((size_t)INT_MAX - (size_t)255 * 4) / 3)

#define LZ_MAX_DISTANCE 8191u

static int corrupt(azr_error *err, const char *what, size_t found, size_t need)
{
    return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                         "blosc: %s is %zu, need %zu", what, found, need);
}

static int above(azr_error *err, const char *what, size_t found, size_t max)
{
    return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                         "blosc: %s is %zu, at most %zu", what, found, max);
}

static int check_kind(const uint8_t *src, azr_error *err)
{
    uint32_t format = (uint32_t)src[2] >> 5;

    if (src[0] != FORMAT_VERSION)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_CODEC,
                             "blosc: chunk of format version %u, need %d",
                             (unsigned)src[0], FORMAT_VERSION);
    if (src[2] & FLAG_RESERVED)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_CODEC,
                             "blosc: chunk with flags %#x is not supported",
                             (unsigned)src[2]);
    if (format > AZRI_BLOSC_ZSTD)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_CODEC,
                             "blosc: compressor number %u is not known",
                             (unsigned)format);
    return AZR_OK;
}

static int check_sizes(const azri_blosc_header *h, size_t cbytes,
                       size_t src_nbytes, azr_error *err)
{
    if (cbytes != src_nbytes)
        return corrupt(err, "chunk", src_nbytes, cbytes);
    if (h->nbytes == 0)
        return AZR_OK; /* nothing else is looked at */
    if (h->nbytes > INT_MAX - AZRI_BLOSC_HEADER_NBYTES)
        return above(err, "size", h->nbytes,
                     INT_MAX - AZRI_BLOSC_HEADER_NBYTES);
    if (h->is_copy)
        return h->nbytes == cbytes - AZRI_BLOSC_HEADER_NBYTES
                   ? AZR_OK
                   : corrupt(err, "copied chunk", cbytes,
                             h->nbytes + AZRI_BLOSC_HEADER_NBYTES);
    if (h->typesize == 0)
        return corrupt(err, "type size", 0, 1);
    if (h->blocksize == 0)
        return corrupt(err, "block size", 0, 1);
    if (h->blocksize > h->nbytes)
        return above(err, "block size", h->blocksize, h->nbytes);
    if (h->blocksize > BLOCK_MAX_NBYTES)
        return above(err, "block size", h->blocksize, BLOCK_MAX_NBYTES);
    return AZR_OK;
}

int azri_blosc_check_header(azri_blosc_header *out, const uint8_t *src,
                            size_t src_nbytes, azr_error *err)
{
    int rc;

    if (src_nbytes < AZRI_BLOSC_HEADER_NBYTES)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                             "blosc: %zu bytes, need at least %d", src_nbytes,
                             AZRI_BLOSC_HEADER_NBYTES);
    rc = check_kind(src, err);
    if (rc < 0)
        return rc;
    out->flags = src[2];
    out->format = (uint32_t)src[2] >> 5;
    out->typesize = src[3];
    out->nbytes = azri_load_le32(src + 4);
    out->blocksize = azri_load_le32(src + 8);
    out->is_copy = (src[2] & FLAG_COPY) != 0;
    return check_sizes(out, azri_load_le32(src + 12), src_nbytes, err);
}

/* c-blosc's own rule for how many streams a block is made of. */
static size_t split_count(const azri_blosc_header *h, size_t block_nbytes)
{
    if ((h->flags & FLAG_NO_SPLIT) || h->typesize > SPLIT_MAX ||
        block_nbytes < h->blocksize ||
        block_nbytes / h->typesize < SPLIT_MIN_COUNT)
        return 1;
    return h->typesize;
}

static int check_split(const azri_blosc_header *h, const uint8_t *src,
                       size_t room, size_t *csize, size_t nbytes,
                       azr_error *err)
{
    if (room < 4)
        return above(err, "split header", 4, room);
    *csize = azri_load_le32(src);
    if (*csize == 0 || *csize > room - 4)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                             "blosc: split of %zu bytes, need 1 to %zu", *csize,
                             room - 4);
    if (*csize != nbytes && h->format == AZRI_BLOSC_BLOSCLZ &&
        !azri_blosclz_is_sound(src + 4, *csize, nbytes))
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                             "blosc: damaged blosclz stream of %zu bytes",
                             *csize);
    return AZR_OK;
}

static int check_block(const azri_blosc_header *h, const uint8_t *src,
                       size_t src_nbytes, size_t at, size_t block_nbytes,
                       azr_error *err)
{
    size_t count = split_count(h, block_nbytes);

    if (block_nbytes % count != 0)
        return corrupt(err, "block size modulo type size", block_nbytes % count,
                       0);
    for (size_t i = 0; i < count; i++) {
        size_t csize = 0;
        int rc = check_split(h, src + at, src_nbytes - at, &csize,
                             block_nbytes / count, err);

        if (rc < 0)
            return rc;
        at += 4 + csize;
    }
    return AZR_OK;
}

int azri_blosc_check_blocks(const azri_blosc_header *h, const uint8_t *src,
                            size_t src_nbytes, azr_error *err)
{
    size_t last = h->nbytes % h->blocksize;
    size_t count = h->nbytes / h->blocksize + (last != 0);
    size_t room = (src_nbytes - AZRI_BLOSC_HEADER_NBYTES) / 4;
    const uint8_t *starts = src + AZRI_BLOSC_HEADER_NBYTES;

    if (count > room)
        return above(err, "number of blocks", count, room);
    for (size_t i = 0; i < count; i++) {
        size_t at = azri_load_le32(starts + 4 * i);
        size_t nbytes = last != 0 && i == count - 1 ? last : h->blocksize;
        int rc;

        if (at < AZRI_BLOSC_HEADER_NBYTES + 4 * count || at > src_nbytes)
            return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                                 "blosc: block %zu at byte %zu of %zu", i, at,
                                 src_nbytes);
        rc = check_block(h, src, src_nbytes, at, nbytes, err);
        if (rc < 0)
            return rc;
    }
    return AZR_OK;
}

/* A stream being walked: `p` to `end` is unread, `made` bytes are decoded. The
 * sums are of 64 bits and cannot wrap: a byte of the stream adds 255 at most. */
struct lz_walk {
    const uint8_t *p, *end;
    uint64_t made;
};

/* Add up length bytes until one is not 255. */
static bool walk_length(struct lz_walk *w, uint64_t *len)
{
    uint8_t code;

    do {
        if (w->p == w->end)
            return false;
        code = *w->p++;
        *len += code;
    } while (code == 255);
    return true;
}

static bool walk_match(struct lz_walk *w, uint32_t control)
{
    uint64_t len = (control >> 5) - 1;
    uint64_t distance = (uint64_t)(control & 31) << 8;
    uint8_t code;

    if (len == 6 && !walk_length(w, &len))
        return false;
    if (w->p == w->end)
        return false;
    code = *w->p++;
    if (code == 255 && distance == 31u << 8) {
        if (w->end - w->p < 2)
            return false;
        distance = ((uint64_t)w->p[0] << 8) + w->p[1] + LZ_MAX_DISTANCE;
        w->p += 2;
    } else {
        distance += code;
    }
    if (distance + 1 > w->made)
        return false; /* from before the beginning */
    w->made += len + 3;
    return true;
}

static bool walk_literals(struct lz_walk *w, uint32_t control)
{
    size_t count = control + 1;

    if (count > (size_t)(w->end - w->p))
        return false;
    w->p += count;
    w->made += count;
    return true;
}

bool azri_blosclz_is_sound(const uint8_t *src, size_t src_nbytes, size_t nbytes)
{
    struct lz_walk w = {src, src + src_nbytes, 0};
    uint32_t mask = 31; /* the first control byte carries a mark above */

    while (w.p < w.end) {
        uint32_t control = *w.p++ & mask;

        if (!(control >= 32 ? walk_match(&w, control)
                            : walk_literals(&w, control)))
            return false;
        mask = 255;
    }
    return w.made == nbytes;
}
