/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/registry.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

/* v2 knows neither `bytes` nor `transpose`; the metadata reader puts them at the
 * head of a v2 chain under these names. */
static const azr_codec *const table[] = {
    &azri_codec_bytes, &azri_codec_transpose, &azri_codec_gzip,
    &azri_codec_zlib,  &azri_codec_zstd,      &azri_codec_lz4,
    &azri_codec_blosc, &azri_codec_crc32c,
};

#define TABLE_COUNT (sizeof table / sizeof table[0])

static bool is_name(const char *a, const char *b)
{
    return a && strcmp(a, b) == 0;
}

const azr_codec *azri_codec_find(const char *name, int dialect)
{
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        const azr_codec *codec = table[i];

        if (dialect == AZR_DIALECT_V2
                ? is_name(codec->v2_id, name)
                : is_name(codec->name, name) || is_name(codec->alias, name))
            return codec;
    }
    return NULL;
}

const azr_codec *azri_codec_at(size_t index)
{
    assert(index < TABLE_COUNT);
    return table[index];
}

size_t azri_codec_count(void)
{
    return TABLE_COUNT;
}

size_t azri_codec_index(const azr_codec *codec)
{
    size_t i = 0;

    while (i < TABLE_COUNT && table[i] != codec)
        i++;
    assert(i < TABLE_COUNT);
    return i;
}
