/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/deflate.h"

#include "base/alloc.h"
#include "codec/codec_conf.h"

#define LEVEL_DEFAULT_V2 1
#define LEVEL_DEFAULT_V3 5
#define LEVEL_LIBRARY    6 /* what -1 means to zlib */
#define LEVEL_MAX        9

struct deflate_slot {
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

int azri_deflate_compressor(struct libdeflate_compressor **out,
                            const azr_codec_scratch *s, int level,
                            azr_error *err)
{
    struct deflate_slot *slot = slot_get(s);

    if (!slot)
        return azri_fail_nomem(err, sizeof *slot);
    if (!slot->compressor[level])
        slot->compressor[level] = libdeflate_alloc_compressor(level);
    if (!slot->compressor[level])
        return azri_fail(err, AZR_ENOMEM, "out of memory: deflate compressor");
    *out = slot->compressor[level];
    return AZR_OK;
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
