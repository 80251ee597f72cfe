/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole chains of codecs, as documents name them, with hostile stored bytes.
 * Byte 0 picks the document, the rest is the stored object. A chunk of exactly
 * its size comes out, or an error; and the library's heap never holds more than
 * a few times the chunk, whatever the stored bytes claim.
 */
#include "codec/chain.h"
#include "fuzz.h"

#define CHUNK_NBYTES 4800
/* chunk, stored object, two stages between them, contexts */
#define HEAP_NBYTES ((uint64_t)1 << 20)

#define V3(codecs)                                                             \
    "{\"zarr_format\":3,\"node_type\":\"array\",\"shape\":[60,40],"            \
    "\"data_type\":\"int16\",\"chunk_grid\":{\"name\":\"regular\","            \
    "\"configuration\":{\"chunk_shape\":[60,40]}},\"chunk_key_encoding\":"     \
    "{\"name\":\"default\"},\"fill_value\":0,\"codecs\":[" codecs "]}"
#define V2(order, filters, compressor)                                         \
    "{\"zarr_format\":2,\"shape\":[60,40],\"chunks\":[60,40],"                 \
    "\"dtype\":\">i2\",\"fill_value\":0,\"order\":\"" order                    \
    "\",\"filters\":" filters ",\"compressor\":" compressor "}"
#define BYTES "{\"name\":\"bytes\",\"configuration\":{\"endian\":\"big\"}},"
#define TRANSPOSE                                                              \
    "{\"name\":\"transpose\",\"configuration\":{\"order\":[1,0]}},"
#define GZIP "{\"name\":\"gzip\",\"configuration\":{\"level\":1}}"
#define ZSTD                                                                   \
    "{\"name\":\"zstd\",\"configuration\":{\"level\":1,\"checksum\":false}}"
#define BLOSC(cname, shuffle)                                                  \
    "{\"name\":\"blosc\",\"configuration\":{\"cname\":\"" cname                \
    "\",\"clevel\":5,\"shuffle\":\"" shuffle                                   \
    "\",\"typesize\":2,\"blocksize\":0}}"

static const char *const documents[] = {
    V3(BYTES GZIP),
    V3(BYTES ZSTD),
    V3(TRANSPOSE BYTES "{\"name\":\"crc32c\"}"),
    V3(BYTES BLOSC("lz4", "shuffle")),
    V3(BYTES BLOSC("zstd", "bitshuffle")),
    V3(BYTES BLOSC("blosclz", "noshuffle")),
    V3(BYTES BLOSC("zlib", "shuffle")),
    V3(BYTES "{\"name\":\"crc32c\"}," GZIP "," ZSTD),
    V3(BYTES ZSTD ",{\"name\":\"crc32c\"}"),
    V3(BYTES BLOSC("lz4hc", "shuffle") "," GZIP ",{\"name\":\"crc32c\"}"),
    V2("F", "null", "{\"id\":\"zlib\",\"level\":1}"),
    V2("C", "null", "{\"id\":\"lz4\"}"),
    V2("C", "[{\"id\":\"crc32c\"},{\"id\":\"gzip\"}]", "{\"id\":\"zstd\"}"),
    V2("F", "[{\"id\":\"lz4\"}]",
       "{\"id\":\"blosc\",\"cname\":\"lz4\",\"shuffle\":-1}"),
};
#define COUNT (sizeof documents / sizeof documents[0])

static azri_chain *g_chains[COUNT];
static azri_coder *g_coder; /* contexts are reused, as in the library */

static void begin(void)
{
    azr_error err = AZR_ERROR_INIT;

    for (size_t i = 0; i < COUNT; i++) {
        azri_span text = {(const uint8_t *)documents[i], strlen(documents[i])};
        azri_meta *m = NULL;
        int rc = azri_meta_parse(&m, strstr(documents[i], "node_type") ? 3 : 2,
                                 text, (azri_span){NULL, 0}, &err);

        if (rc == AZR_OK)
            rc = azri_chain_new(&g_chains[i], m, &err);
        if (rc != AZR_OK)
            (void)fprintf(stderr, "document %zu: %s\n", i, err.message);
        require(rc == AZR_OK && m->chunk_nbytes == CHUNK_NBYTES);
        azri_meta_free(m);
    }
    require(azri_coder_new(&g_coder, &err) == AZR_OK);
    azr_set_memory_cap(HEAP_NBYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    azr_error err = AZR_ERROR_INIT;
    azri_span stored = {data + 1, nbytes - 1};
    const azri_chain *chain;
    uint8_t *chunk;
    int rc;

    if (nbytes < 1)
        return 0;
    if (!g_coder)
        begin();
    chain = g_chains[data[0] % COUNT];
    if (stored.nbytes > azri_chain_stored_max(chain))
        return 0;                     /* refused before it is read */
    chunk = azri_alloc(CHUNK_NBYTES); /* a byte more is seen by ASan */
    require(chunk != NULL);
    rc = azri_chain_decode(chain, g_coder, stored, chunk, CHUNK_NBYTES, &err);
    require(fuzz_status(rc, &err) != AZR_ENOMEM);
    azri_free(chunk);
    return 0;
}
