/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libdeflate, but for level 1, which asks for speed: there igzip takes less than
 * half of the time for numbers, and what it writes is as large, within a few per
 * cent. (Its level 3: the lower ones are hardly faster, and much larger where a
 * chunk is very regular.) Both write no time: equal chunks give equal bytes.
 */
#include "codec/deflate.h"

#include "base/alloc.h"
#include "codec/codec_conf.h"

#include <isa-l/igzip_lib.h>

#define LEVEL_DEFAULT_V2 1
#define LEVEL_DEFAULT_V3 5
#define LEVEL_LIBRARY    6 /* what -1 means to zlib */
#define LEVEL_MAX        9

#define FAST_LEVEL       1 /* igzip's work, as its */
#define FAST_LEVEL_IGZIP 3
#define FAST_NBYTES_MAX  ((size_t)1 << 31) /* it counts in 32 bits */

/* Too large for a stack. */
struct fast {
    struct isal_zstream stream;
    uint8_t room[ISAL_DEF_LVL3_DEFAULT];
};

struct deflate_slot {
    struct fast *fast;
    struct libdeflate_decompressor *decompressor;
    struct libdeflate_compressor *compressor[LEVEL_MAX + 1];
};

int azri_deflate_configure(void **conf_out, const char *name, const char *json,
                           int dialect, azr_error *err)
{
    bool is_v3 = dialect == AZR_DIALECT_V3;
    int level = is_v3 ? LEVEL_DEFAULT_V3 : LEVEL_DEFAULT_V2;
    azri_deflate_conf *conf;
    int rc = azri_conf_level(&level, name, dialect, json, is_v3 ? 0 : -1,
                             LEVEL_MAX, err);

    if (rc < 0)
        return rc;
    conf = azri_alloc(sizeof *conf);
    if (!conf)
        return azri_fail_nomem(err, sizeof *conf);
    conf->name = name;
    conf->level = level < 0 ? LEVEL_LIBRARY : level;
    *conf_out = conf;
    return AZR_OK;
}

/* NULL: no memory. */
static struct deflate_slot *slot_get(const azr_codec_scratch *s)
{
    if (!*s->slot)
        *s->slot = azri_calloc(1, sizeof(struct deflate_slot));
    return *s->slot;
}

static int fast_deflate(struct deflate_slot *slot,
                        const azri_deflate_frame *frame, azr_codec_out *dst,
                        const uint8_t *src, size_t src_nbytes, azr_error *err)
{
    struct isal_zstream *z;

    if (!slot->fast)
        slot->fast = azri_calloc(1, sizeof *slot->fast);
    if (!slot->fast)
        return azri_fail_nomem(err, sizeof *slot->fast);
    z = &slot->fast->stream;
    isal_deflate_stateless_init(z);
    z->level = FAST_LEVEL_IGZIP;
    z->level_buf = slot->fast->room;
    z->level_buf_size = sizeof slot->fast->room;
    z->gzip_flag = frame->igzip;
    z->end_of_stream = 1;
    z->next_in = (uint8_t *)(uintptr_t)src; /* is not written to */
    z->avail_in = (uint32_t)src_nbytes;
    z->next_out = dst->data;
    z->avail_out =
        dst->capacity > UINT32_MAX ? UINT32_MAX : (uint32_t)dst->capacity;
    dst->nbytes = isal_deflate_stateless(z) == COMP_OK ? z->total_out : 0;
    return AZR_OK;
}

static int slow_deflate(struct deflate_slot *slot, int level,
                        const azri_deflate_frame *frame, azr_codec_out *dst,
                        const uint8_t *src, size_t src_nbytes, azr_error *err)
{
    if (!slot->compressor[level])
        slot->compressor[level] = libdeflate_alloc_compressor(level);
    if (!slot->compressor[level])
        return azri_fail(err, AZR_ENOMEM, "out of memory: deflate compressor");
    dst->nbytes = frame->compress(slot->compressor[level], src, src_nbytes,
                                  dst->data, dst->capacity);
    return AZR_OK;
}

int azri_deflate(const azri_deflate_conf *conf, const azri_deflate_frame *frame,
                 const azr_codec_scratch *s, azr_codec_out *dst,
                 const uint8_t *src, size_t src_nbytes, azr_error *err)
{
    struct deflate_slot *slot = slot_get(s);
    int rc;

    if (!slot)
        return azri_fail_nomem(err, sizeof *slot);
    if (conf->level == FAST_LEVEL && src_nbytes <= FAST_NBYTES_MAX)
        rc = fast_deflate(slot, frame, dst, src, src_nbytes, err);
    else
        rc = slow_deflate(slot, conf->level, frame, dst, src, src_nbytes, err);
    if (rc == AZR_OK && dst->nbytes == 0)
        return azri_fail(err, AZR_EINVAL, "%s: %zu bytes do not fit into %zu",
                         conf->name, src_nbytes, dst->capacity);
    return rc;
}

int azri_inflater_init(azri_inflater *z, azri_inflate_fn inflate,
                       const void *conf, const azr_codec_scratch *s,
                       azr_error *err)
{
    const azri_deflate_conf *c = conf;
    struct deflate_slot *slot = slot_get(s);

    if (!slot)
        return azri_fail_nomem(err, sizeof *slot);
    if (!slot->decompressor)
        slot->decompressor = libdeflate_alloc_decompressor();
    if (!slot->decompressor)
        return azri_fail(err, AZR_ENOMEM,
                         "out of memory: deflate decompressor");
    z->inflate = inflate;
    z->name = c->name;
    z->context = slot->decompressor;
    return AZR_OK;
}

void azri_deflate_scratch_free(void *slot)
{
    struct deflate_slot *s = slot;

    if (!s)
        return;
    libdeflate_free_decompressor(s->decompressor);
    for (int i = 0; i <= LEVEL_MAX; i++)
        libdeflate_free_compressor(s->compressor[i]);
    azri_free(s->fast);
    azri_free(s);
}

/* Room that is there already costs nothing. */
static size_t first_capacity(const azr_codec_out *dst, size_t expected,
                             size_t src_nbytes)
{
    size_t capacity = azri_codec_first_capacity(dst, expected, src_nbytes);
    size_t there = dst->capacity < dst->limit ? dst->capacity : dst->limit;

    return expected == 0 && capacity < there ? there : capacity;
}

int azri_inflate(const azri_inflater *z, azr_codec_out *dst, size_t expected,
                 const uint8_t *src, size_t src_nbytes, size_t *used,
                 azr_error *err)
{
    size_t capacity = first_capacity(dst, expected, src_nbytes);
    enum libdeflate_result result;
    size_t made = 0;

    do {
        int rc = dst->reserve(dst, capacity, err);

        if (rc < 0)
            return rc;
        result =
            z->inflate(z->context, src, src_nbytes, dst->data + dst->nbytes,
                       capacity - dst->nbytes, used, &made);
    } while (result == LIBDEFLATE_INSUFFICIENT_SPACE &&
             azri_codec_next_capacity(dst, expected, &capacity));
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE)
        return azri_codec_too_long(z->name, capacity, err);
    if (result != LIBDEFLATE_SUCCESS)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                             "%s: damaged or truncated stream of %zu bytes",
                             z->name, src_nbytes);
    dst->nbytes += made;
    return AZR_OK;
}
