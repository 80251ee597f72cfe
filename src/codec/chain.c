/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/chain.h"

#include "base/checked.h"
#include "codec/coder.h"
#include "codec/registry.h"

#include <assert.h>
#include <string.h>

/* What an honest writer may waste on top of our own bound: small blocks, many
 * frames or members, stored streams. */
#define SLACK_FACTOR 2
#define SLACK_NBYTES ((size_t)64 << 10)

/* One codec that runs, on whole buffers. */
struct stage {
    const azr_codec *codec;
    void *conf;
    size_t slot;
    size_t in_nbytes; /* what flows in when encoding; 0: depends on values */
    size_t in_limit;  /* most that decoding may give */
};

struct azri_chain {
    int64_t strides[AZR_MAX_RANK];
    size_t chunk_nbytes;
    size_t swap_unit;
    size_t stored_max;
    bool is_plain;
    bool is_partial;
    struct stage *stages;
    size_t stage_count;
    azri_buf names;
};

/* A chain while it is put together. */
struct building {
    azri_chain *chain;
    const azri_meta *meta;
    azr_codec_array array; /* what flows into the next codec */
    azr_codec_layout layout;
    size_t honest; /* most bytes that flow into the next stage; 0: too many */
    bool is_exact; /* always that many */
    bool is_bytes; /* the array→bytes codec is behind us */
};

static int refuse_unknown(const azri_codec_spec *spec, azr_error *err)
{
    if (strcmp(spec->name, "pickle") == 0 ||
        strcmp(spec->name, "numcodecs.pickle") == 0)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_CODEC,
                             "codec '%s' is refused: decoding it would run "
                             "code that the chunk contains",
                             spec->name);
    return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_CODEC,
                         "codec '%.80s' is not supported", spec->name);
}

static int dialect_of(const azri_codec_spec *spec)
{
    if (spec->dialect == AZR_DIALECT_V3 &&
        strncmp(spec->name, "numcodecs.", strlen("numcodecs.")) == 0)
        return AZR_DIALECT_NUMCODECS;
    return spec->dialect;
}

/* (A→A)* A→B (B→B)*. Typed filters of v2 follow `bytes` and take elements out of
 * the bytes again: only those that run as stages can. */
static int check_order(const struct building *b, const azr_codec *codec,
                       const azri_codec_spec *spec, azr_error *err)
{
    bool wants_bytes = codec->kind == AZR_CODEC_BYTES_BYTES;

    if (wants_bytes == b->is_bytes)
        return AZR_OK;
    if (codec->kind == AZR_CODEC_ARRAY_ARRAY && codec->encode &&
        spec->dialect == AZR_DIALECT_V2)
        return AZR_OK;
    return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_METADATA,
                         "codec '%.80s' stands %s the array-to-bytes codec",
                         spec->name, wants_bytes ? "before" : "behind");
}

static int add_name(struct building *b, const char *name, azr_error *err)
{
    azri_buf *names = &b->chain->names;
    int rc = names->nbytes > 0 ? azri_buf_puts(names, ",", err) : AZR_OK;

    if (rc == AZR_OK)
        rc = azri_buf_puts(names, name, err);
    return rc;
}

static void flow_through_stage(struct building *b, const struct stage *stage)
{
    b->honest = stage->codec->bound(stage->conf, b->honest);
    b->is_exact = b->is_exact && stage->codec->has_fixed_size;
    if (stage->codec->kind == AZR_CODEC_BYTES_BYTES) {
        b->array.item_nbytes = 1;
        b->array.swap_nbytes = 1;
    }
}

static size_t with_slack(size_t honest)
{
    return honest > (SIZE_MAX - SLACK_NBYTES) / SLACK_FACTOR
               ? SIZE_MAX
               : honest * SLACK_FACTOR + SLACK_NBYTES;
}

/* The stage that `codec` became; it owns `conf` from here on. */
static int add_stage(struct building *b, const azr_codec *codec, void *conf,
                     azr_error *err)
{
    struct stage *stage = &b->chain->stages[b->chain->stage_count++];

    stage->codec = codec;
    stage->conf = conf;
    if (!codec->encode)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_CODEC,
                             "codec '%s' is not supported in this place",
                             codec->name);
    stage->slot = azri_codec_index(codec);
    stage->in_nbytes = b->is_exact ? b->honest : 0;
    stage->in_limit = b->is_exact ? b->honest : with_slack(b->honest);
    flow_through_stage(b, stage);
    if (b->honest == 0)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_METADATA,
                             "codec '%s' cannot hold chunks of %zu bytes",
                             codec->name, b->chain->chunk_nbytes);
    return AZR_OK;
}

/* Fold a codec into the layout while nothing runs before it, else make it a
 * stage. Takes `conf`. */
static int place(struct building *b, const azr_codec *codec, void *conf,
                 azr_error *err)
{
    int rc;

    if (!codec->layout || b->chain->stage_count > 0)
        rc = add_stage(b, codec, conf, err);
    else {
        rc = codec->layout(conf, &b->array, &b->layout, err);
        if (rc == AZR_OK && codec->shape)
            rc = codec->shape(conf, &b->array, err);
        codec->conf_free(conf);
    }
    if (rc == AZR_OK && codec->kind == AZR_CODEC_ARRAY_BYTES)
        b->is_bytes = true;
    return rc;
}

static int add_codec(struct building *b, const azri_codec_spec *spec,
                     azr_error *err)
{
    int dialect = dialect_of(spec);
    const azr_codec *codec = azri_codec_find(spec->name, dialect);
    void *conf = NULL;
    int rc;

    if (!codec && spec->optional) {
        b->chain->is_partial = true;
        return AZR_OK;
    }
    if (!codec)
        return refuse_unknown(spec, err);
    rc = check_order(b, codec, spec, err);
    if (rc < 0)
        return rc;
    rc = codec->configure(&conf, spec->config, dialect, &b->array, err);
    if (rc < 0)
        return rc;
    rc = place(b, codec, conf, err);
    if (rc < 0)
        return rc;
    return add_name(b, spec->name, err);
}

static void begin(struct building *b, azri_chain *chain, const azri_meta *m)
{
    memset(b, 0, sizeof *b);
    b->chain = chain;
    b->meta = m;
    b->array.rank = m->rank;
    b->array.dtype = m->dtype->id;
    b->array.item_nbytes = m->dtype->nbytes;
    b->array.swap_nbytes = m->dtype->swap_unit;
    for (int32_t i = 0; i < m->rank; i++) {
        b->array.shape[i] = m->chunk[i];
        b->layout.axes[i] = i;
    }
    b->honest = m->chunk_nbytes;
    b->is_exact = true;
}

/* Byte strides of the encoded C order, handed back to the axes they stand for. */
static void settle_strides(const struct building *b)
{
    azri_chain *chain = b->chain;
    const azri_meta *m = b->meta;
    int64_t plain[AZR_MAX_RANK];
    int64_t encoded_stride = (int64_t)m->dtype->nbytes;
    int64_t plain_stride = encoded_stride;

    for (int32_t i = m->rank; i-- > 0;) {
        int32_t axis = b->layout.axes[i];

        chain->strides[axis] = encoded_stride;
        encoded_stride *= m->chunk[axis];
        plain[i] = plain_stride;
        plain_stride *= m->chunk[i];
    }
    chain->is_plain = chain->swap_unit == 1;
    for (int32_t i = 0; i < m->rank; i++) {
        if (m->chunk[i] > 1 && chain->strides[i] != plain[i])
            chain->is_plain = false;
    }
}

static void settle(const struct building *b)
{
    static const bool is_big_machine = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    azri_chain *chain = b->chain;
    bool is_swapped = (b->layout.is_big_endian != 0) != is_big_machine;

    chain->swap_unit = is_swapped ? b->meta->dtype->swap_unit : 1;
    chain->stored_max = b->is_exact ? b->honest : with_slack(b->honest);
    settle_strides(b);
}

static int build(azri_chain *chain, const azri_meta *m, azr_error *err)
{
    struct building b;
    int rc;

    begin(&b, chain, m);
    for (size_t i = 0; i < m->codec_count; i++) {
        rc = add_codec(&b, &m->codecs[i], err);
        if (rc < 0)
            return rc;
    }
    if (!b.is_bytes)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_METADATA,
                             "codecs: no array-to-bytes codec among %zu",
                             m->codec_count);
    settle(&b);
    return azri_buf_terminate(&chain->names, err);
}

/* Of an array that is opaque: nothing runs through it. */
static int name_only(azri_chain *chain, const azri_meta *m, azr_error *err)
{
    struct building b = {.chain = chain, .meta = m};
    int rc = AZR_OK;

    for (size_t i = 0; i < m->codec_count && rc == AZR_OK; i++)
        rc = add_name(&b, m->codecs[i].name, err);
    chain->is_plain = false;
    chain->swap_unit = 1;
    chain->stored_max = SIZE_MAX;
    return rc < 0 ? rc : azri_buf_terminate(&chain->names, err);
}

int azri_chain_new(azri_chain **out, const azri_meta *m, azr_error *err)
{
    azri_chain *chain = azri_calloc(1, sizeof *chain);
    int rc;

    if (!chain)
        return azri_fail_nomem(err, sizeof *chain);
    if (m->codec_count > AZRI_MAX_CODECS) {
        rc = azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_CODEC,
                           "codecs: %zu of them, at most %d", m->codec_count,
                           AZRI_MAX_CODECS);
        goto done;
    }
    chain->chunk_nbytes = m->chunk_nbytes;
    chain->stages = azri_calloc(m->codec_count + 1, sizeof *chain->stages);
    if (!chain->stages) {
        rc = azri_fail_nomem(err, m->codec_count * sizeof *chain->stages);
        goto done;
    }
    rc = m->opaque ? name_only(chain, m, err) : build(chain, m, err);
    if (rc < 0)
        goto done;

    *out = chain;
    chain = NULL;
done:
    azri_chain_free(chain);
    return rc;
}

void azri_chain_free(azri_chain *c)
{
    if (!c)
        return;
    for (size_t i = 0; c->stages && i < c->stage_count; i++)
        c->stages[i].codec->conf_free(c->stages[i].conf);
    azri_free(c->stages);
    azri_buf_dispose(&c->names);
    azri_free(c);
}

const int64_t *azri_chain_strides(const azri_chain *c)
{
    return c->strides;
}

size_t azri_chain_swap_unit(const azri_chain *c)
{
    return c->swap_unit;
}

bool azri_chain_is_raw(const azri_chain *c)
{
    return c->stage_count == 0;
}

bool azri_chain_is_plain(const azri_chain *c)
{
    return c->is_plain;
}

bool azri_chain_is_partial(const azri_chain *c)
{
    return c->is_partial;
}

const char *azri_chain_names(const azri_chain *c)
{
    return (const char *)c->names.data;
}

size_t azri_chain_stored_max(const azri_chain *c)
{
    return c->stored_max;
}

int azri_chain_encode(const azri_chain *c, azri_coder *coder, azri_span chunk,
                      azri_span *out, azr_error *err)
{
    azri_span src = chunk;

    if (chunk.nbytes != c->chunk_nbytes)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "chunk buffer is %zu bytes, need %zu",
                             chunk.nbytes, c->chunk_nbytes);
    for (size_t i = 0; i < c->stage_count; i++) {
        const struct stage *stage = &c->stages[i];
        azr_codec_scratch s = azri_coder_scratch(coder, stage->slot);
        azr_codec_out *dst = azri_coder_between(coder, i, SIZE_MAX);
        int rc = stage->codec->encode(stage->conf, &s, dst, src.data,
                                      src.nbytes, err);

        if (rc < 0)
            return rc;
        src.data = dst->data;
        src.nbytes = dst->nbytes;
    }
    *out = src;
    return AZR_OK;
}

static int copy_raw(azri_span stored, uint8_t *chunk, size_t nbytes,
                    azr_error *err)
{
    if (stored.nbytes != nbytes)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                             "bytes: %zu bytes, need %zu", stored.nbytes,
                             nbytes);
    memcpy(chunk, stored.data, nbytes);
    return AZR_OK;
}

int azri_chain_decode(const azri_chain *c, azri_coder *coder, azri_span stored,
                      uint8_t *chunk, size_t nbytes, azr_error *err)
{
    azri_span src = stored;

    if (nbytes != c->chunk_nbytes)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "chunk buffer is %zu bytes, need %zu", nbytes,
                             c->chunk_nbytes);
    if (c->stage_count == 0)
        return copy_raw(stored, chunk, nbytes, err);
    for (size_t i = c->stage_count; i-- > 0;) {
        const struct stage *stage = &c->stages[i];
        azr_codec_scratch s = azri_coder_scratch(coder, stage->slot);
        azr_codec_out *dst =
            i == 0 ? azri_coder_borrow(coder, chunk, nbytes)
                   : azri_coder_between(coder, i, stage->in_limit);
        int rc;

        assert(src.data !=
               dst->data); /* what this coder encoded is in its way */
        rc = stage->codec->decode(stage->conf, &s, dst, stage->in_nbytes,
                                  src.data, src.nbytes, err);
        if (rc < 0)
            return rc;
        src.data = dst->data;
        src.nbytes = dst->nbytes;
    }
    assert(src.data == chunk && src.nbytes == nbytes);
    return AZR_OK;
}
