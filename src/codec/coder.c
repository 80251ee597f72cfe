/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/coder.h"

#include "codec/codec_conf.h"
#include "codec/registry.h"

#include <string.h>

#define ALIGNMENT 64

/* Reused memory, aligned for wide loads. `out` comes first: a codec's pointer to
 * it is a pointer to the slab. */
struct slab {
    azr_codec_out out;
    void *block; /* what azri_alloc gave */
};

struct azri_coder {
    struct slab chunk, stored, between[2];
    azr_codec_out borrowed;
    void **slots; /* one per codec */
};

static uint8_t *align_up(void *p)
{
    uintptr_t rest = (uintptr_t)p % ALIGNMENT;

    return (uint8_t *)p + (rest ? ALIGNMENT - rest : 0);
}

/* Content up to out.nbytes is kept; data is not NULL, even for 0 bytes. */
static int slab_grow(struct slab *s, size_t capacity, azr_error *err)
{
    size_t want = s->out.capacity + s->out.capacity / 2;
    azr_codec_out *out = &s->out;
    void *block;

    if (out->data && capacity <= out->capacity)
        return AZR_OK;
    if (want < capacity)
        want = capacity;
    if (out->nbytes == 0) { /* nothing to keep: give back first */
        azri_free(s->block);
        s->block = NULL;
        out->data = NULL;
        out->capacity = 0;
    }
    block = want > SIZE_MAX - ALIGNMENT ? NULL : azri_alloc(want + ALIGNMENT);
    if (!block)
        return azri_fail_nomem(err, want);
    if (out->data)
        memcpy(align_up(block), out->data, out->nbytes);
    azri_free(s->block);
    s->block = block;
    out->data = align_up(block);
    out->capacity = want;
    return AZR_OK;
}

static int slab_reserve(azr_codec_out *out, size_t capacity, azr_error *err)
{
    if (capacity > out->limit)
        return azri_codec_too_long("codec", out->limit, err);
    return slab_grow((struct slab *)out, capacity, err);
}

static int borrowed_reserve(azr_codec_out *out, size_t capacity, azr_error *err)
{
    if (capacity > out->limit)
        return azri_codec_too_long("codec", out->limit, err);
    return AZR_OK;
}

int azri_coder_new(azri_coder **out, azr_error *err)
{
    azri_coder *c = azri_calloc(1, sizeof *c);
    void **slots = azri_calloc(azri_codec_count(), sizeof *slots);

    if (!c || !slots) {
        azri_free(c);
        azri_free(slots);
        return azri_fail_nomem(err, sizeof *c);
    }
    c->slots = slots;
    *out = c;
    return AZR_OK;
}

void azri_coder_free(azri_coder *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < azri_codec_count(); i++) {
        const azr_codec *codec = azri_codec_at(i);

        if (codec->scratch_free)
            codec->scratch_free(c->slots[i]);
    }
    azri_free(c->slots);
    azri_free(c->chunk.block);
    azri_free(c->stored.block);
    azri_free(c->between[0].block);
    azri_free(c->between[1].block);
    azri_free(c);
}

int azri_coder_chunk(azri_coder *c, size_t nbytes, uint8_t **out,
                     azr_error *err)
{
    int rc = slab_grow(&c->chunk, nbytes, err);

    if (rc == AZR_OK)
        *out = c->chunk.out.data;
    return rc;
}

int azri_coder_stored(azri_coder *c, size_t nbytes, uint8_t **out,
                      azr_error *err)
{
    int rc = slab_grow(&c->stored, nbytes, err);

    if (rc == AZR_OK)
        *out = c->stored.out.data;
    return rc;
}

azr_codec_scratch azri_coder_scratch(azri_coder *c, size_t slot)
{
    azr_codec_scratch s = {&c->slots[slot]};

    return s;
}

azr_codec_out *azri_coder_between(azri_coder *c, size_t index, size_t limit)
{
    azr_codec_out *out = &c->between[index % 2].out;

    out->nbytes = 0;
    out->limit = limit;
    out->reserve = slab_reserve;
    return out;
}

azr_codec_out *azri_coder_borrow(azri_coder *c, uint8_t *data, size_t nbytes)
{
    azr_codec_out *out = &c->borrowed;

    out->data = data;
    out->nbytes = 0;
    out->capacity = nbytes;
    out->limit = nbytes;
    out->reserve = borrowed_reserve;
    return out;
}
