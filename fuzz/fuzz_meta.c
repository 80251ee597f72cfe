/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents of arrays. Byte 0 picks the version of Zarr (even: 2), the rest is
 * zarr.json, or .zarray and, after a NUL, .zattrs. Whatever they hold: an error
 * that says why, or values which are sound, a chain that gives a chunk back, and
 * documents with another shape or attribute that say the rest as before.
 */
#include "codec/chain.h"
#include "fuzz.h"

#define HEAP_NBYTES       ((uint64_t)64 << 20)
#define SMALL_NBYTES      ((size_t)1 << 16)
#define ATTRIBUTE_OF_OURS "fuzzed"

static bool all_nan(const azri_dtype *type, const uint8_t *p)
{
    size_t n = type->kind == AZRI_KIND_COMPLEX ? 2 : 1;
    bool some = false;

    if (type->kind != AZRI_KIND_FLOAT && type->kind != AZRI_KIND_COMPLEX)
        return false;
    for (size_t i = 0; i < n; i++) {
        size_t nbytes = type->nbytes / n;
        double d = 0;
        float f = 0;

        if (nbytes == 8)
            memcpy(&d, p + 8 * i, 8);
        else if (nbytes == 4)
            memcpy(&f, p + 4 * i, 4);
        some |= d != d || f != f || (nbytes == 2 && (p[1] & 0x7c) == 0x7c);
    }
    return some;
}

/* Written out and read again it is the same value. Format 2 has no way to say
 * which NaN. */
static void check_fill(const azri_meta *m)
{
    uint8_t again[AZRI_FILL_NBYTES] = {0};
    azri_buf text = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;
    bool has = false;

    require(azri_fill_format(&text, m->dtype, m->zarr_format, m->has_fill,
                             m->fill, &err) == AZR_OK);
    require(azri_fill_parse(again, &has, m->dtype, m->zarr_format,
                            (const char *)text.data, text.nbytes,
                            &err) == AZR_OK);
    require(has == m->has_fill);
    if (m->zarr_format == 3 || !all_nan(m->dtype, m->fill))
        require(memcmp(again, m->fill, m->dtype->nbytes) == 0);
    azri_buf_dispose(&text);
}

static void check_values(const azri_meta *m)
{
    size_t nbytes = m->dtype->nbytes;

    require(m->rank >= 0 && m->rank <= AZR_MAX_RANK);
    for (int d = 0; d < m->rank; d++) {
        require(m->shape[d] >= 0 && m->chunk[d] >= 1);
        require(!__builtin_mul_overflow(nbytes, (size_t)m->chunk[d], &nbytes));
    }
    require(m->chunk_nbytes == nbytes);
    require(m->order == 'C' || m->order == 'F');
    check_fill(m);
}

/* The chain takes a chunk and gives it back. */
static void check_chain(const azri_meta *m)
{
    azri_chain *chain = NULL;
    azri_coder *coder = NULL, *other = NULL; /* `stored` stands in the first */
    azr_error err = AZR_ERROR_INIT;
    uint8_t *chunk = NULL, *back = NULL;
    azri_span stored;

    if (fuzz_status(azri_chain_new(&chain, m, &err), &err) != AZR_OK)
        return;
    require(fuzz_is_line(azri_chain_names(chain)) ||
            azri_chain_names(chain)[0] == '\0');
    if (m->chunk_nbytes > SMALL_NBYTES || azri_chain_is_partial(chain))
        goto done;
#ifdef FUZZ_MSAN /* libraries would write the chunk */
    goto done;
#endif
    chunk = azri_alloc(m->chunk_nbytes);
    back = azri_alloc(m->chunk_nbytes);
    require(chunk && back && azri_coder_new(&coder, &err) == AZR_OK &&
            azri_coder_new(&other, &err) == AZR_OK);
    for (size_t i = 0; i < m->chunk_nbytes; i++)
        chunk[i] = (uint8_t)(i * i >> 3);
    require(azri_chain_encode(chain, coder, (azri_span){chunk, m->chunk_nbytes},
                              &stored, &err) == AZR_OK);
    require(stored.nbytes <= azri_chain_stored_max(chain));
    require(azri_chain_decode(chain, other, stored, back, m->chunk_nbytes,
                              &err) == AZR_OK);
    require(memcmp(chunk, back, m->chunk_nbytes) == 0);
done:
    azri_free(chunk);
    azri_free(back);
    azri_coder_free(coder);
    azri_coder_free(other);
    azri_chain_free(chain);
}

static void require_same(const azri_meta *a, const azri_meta *b)
{
    require(a->rank == b->rank && a->dtype == b->dtype);
    require(a->has_fill == b->has_fill && a->order == b->order);
    require(memcmp(a->fill, b->fill, sizeof a->fill) == 0);
    require(memcmp(a->chunk, b->chunk, sizeof a->chunk[0] * (size_t)a->rank) ==
            0);
    require(a->codec_count == b->codec_count);
    for (size_t i = 0; i < a->codec_count; i++) {
        require(strcmp(a->codecs[i].name, b->codecs[i].name) == 0);
        require(strcmp(a->codecs[i].config, b->codecs[i].config) == 0);
    }
}

static void change_shape(const azri_meta *m)
{
    azri_buf text = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;
    azri_meta *changed = NULL;
    int64_t shape[AZR_MAX_RANK] = {0};
    int rc;

    for (int d = 0; d < m->rank; d++)
        shape[d] = m->shape[d] / 2 + d;
    rc = fuzz_status(azri_meta_with_shape(&text, m, shape, &err), &err);
    if (rc == AZR_OK) {
        require(azri_meta_parse(&changed, m->zarr_format, azri_buf_span(&text),
                                azri_buf_span(&m->attributes), &err) == AZR_OK);
        require(memcmp(changed->shape, shape,
                       sizeof shape[0] * (size_t)m->rank) == 0);
        require_same(m, changed);
    }
    azri_meta_free(changed);
    azri_buf_dispose(&text);
}

static void change_attribute(const azri_meta *m)
{
    azri_buf text = AZRI_BUF_INIT, list = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;
    azri_meta *changed = NULL;
    azri_span v3, value;

    require(azri_meta_attributes(&list, m, &err) == AZR_OK);
    require(azri_json_check(azri_buf_span(&list), "list", AZR_ECORRUPT, &err) ==
            AZR_OK);
    list.nbytes = 0;
    if (fuzz_status(
            azri_meta_with_attribute(&text, m, ATTRIBUTE_OF_OURS, "[1]", &err),
            &err) == AZR_OK) {
        v3 = m->zarr_format == 3 ? azri_buf_span(&text)
                                 : azri_buf_span(&m->text);
        require(azri_meta_parse(&changed, m->zarr_format, v3,
                                m->zarr_format == 3 ? (azri_span){NULL, 0}
                                                    : azri_buf_span(&text),
                                &err) == AZR_OK);
        require_same(m, changed);
        require(azri_meta_attributes(&list, changed, &err) == AZR_OK);
        require(
            azri_json_find(azri_buf_span(&list), ATTRIBUTE_OF_OURS, &value));
        require(value.nbytes == 3 && memcmp(value.data, "[1]", 3) == 0);
    }
    azri_meta_free(changed);
    azri_buf_dispose(&text);
    azri_buf_dispose(&list);
}

static void name_dimensions(const azri_meta *m)
{
    for (int d = 0; d < m->rank; d++) {
        azri_buf name = AZRI_BUF_INIT;
        azr_error err = AZR_ERROR_INIT;

        (void)fuzz_status(azri_meta_dimension_name(&name, m, d, &err), &err);
        azri_buf_dispose(&name);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    uint64_t before = azri_heap_nbytes();
    azri_span text, zattrs = {NULL, 0};
    azr_error err = AZR_ERROR_INIT;
    azri_meta *m = NULL;
    const uint8_t *cut;
    int format;

    if (nbytes < 1)
        return 0;
    azr_set_memory_cap(HEAP_NBYTES);
    format = data[0] % 2 ? 3 : 2;
    text = (azri_span){data + 1, nbytes - 1};
    cut = memchr(text.data, 0, text.nbytes);
    if (format == 2 && cut) {
        zattrs.data = cut + 1;
        zattrs.nbytes = text.nbytes - (size_t)(cut + 1 - text.data);
        text.nbytes = (size_t)(cut - text.data);
    }
    if (fuzz_status(azri_meta_parse(&m, format, text, zattrs, &err), &err) ==
        AZR_OK) {
        check_values(m);
        check_chain(m);
        change_shape(m);
        change_attribute(m);
        name_dimensions(m);
    }
    require(err.code != AZR_ENOMEM);
    azri_meta_free(m);
    require(azri_heap_nbytes() == before);
    return 0;
}
