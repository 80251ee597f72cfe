/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of `.azr/` as C sees them; docs/on-disk.md is the specification.
 * Native byte order with a marker, naturally aligned, crc32c, unused bytes zero.
 */
#ifndef AZRI_TXN_LAYOUT_H
#define AZRI_TXN_LAYOUT_H

#include "model/key.h"
#include "sync/waitq.h"

#include <assert.h>
#include <stdatomic.h>

#define AZRI_STATE_MAGIC   "AZRSTATE"
#define AZRI_RECORD_MAGIC  "AZRRECRD"
#define AZRI_LAYOUT        1u
#define AZRI_BYTE_ORDER    0x01020304u
#define AZRI_PAGE          ((size_t)4096)
#define AZRI_WORDS         1024u /* state words: as many rows as there can be */
#define AZRI_COUNTERS      1024u
#define AZRI_ROW_NBYTES    ((size_t)512)
#define AZRI_ROWS_AT_FIRST 8u
#define AZRI_WORDS_AT      ((size_t)2048)
#define AZRI_COUNTERS_AT   (3 * AZRI_PAGE)
#define AZRI_ROWS_AT       (5 * AZRI_PAGE)
#define AZRI_STATE_MAX     (AZRI_ROWS_AT + AZRI_WORDS * AZRI_ROW_NBYTES)

/* Words of the first rows stand in page 0; those of others in pages that are a hole
 * in the file until there are so many rows (grow.c), so that a small array takes
 * less room. */
#define AZRI_HOLE_AT (1 * AZRI_PAGE)
#define AZRI_HOLE_FROM                                                         \
    ((uint32_t)((AZRI_HOLE_AT - AZRI_WORDS_AT) / 8)) /* row */

/* Page 0, first part: written once, covered by `crc`. */
typedef struct azri_header {
    char magic[8];
    uint32_t layout;
    uint32_t byte_order;
    uint64_t incompatible;      /* an unknown bit refuses the array */
    uint64_t reader_compatible; /* an unknown bit refuses writing */
    uint8_t array_id[16];
    uint32_t counters;
    uint32_t words;
    uint32_t row_nbytes;
    uint32_t entry_nbytes;
    uint8_t zarr_format;
    uint8_t key_encoding; /* 'd' or '2' */
    uint8_t separator;
    uint8_t rank;
    uint8_t bits[AZR_MAX_RANK]; /* of the lock offset, per dimension */
    uint8_t zero[152];
    uint32_t crc; /* of everything before */
} azri_header;

/* Page 0, second part, from offset 256: what changes, a cache line each. Every
 * member is one aligned word, so no power loss can tear it. */
typedef struct azri_changing {
    _Atomic uint64_t rows; /* changed under META exclusive */
    uint64_t pad0[7];
    _Atomic uint64_t meta; /* counter of metadata changes */
    uint64_t pad1[7];
    _Atomic uint64_t waiting; /* hint: rows that wait for a lock */
    uint64_t pad2[7];
    _Atomic uint64_t boot[2];   /* boot id of the last unsynced commit */
    _Atomic uint64_t boot_time; /* CLOCK_REALTIME ns of the first one of it */
    uint64_t pad3[5];
    _Atomic uint64_t durability; /* azr_durability */
    _Atomic uint64_t fate;       /* AZRI_FATE_…: is it being taken away? */
    uint64_t pad4[6];
} azri_changing;

#define AZRI_CHANGING_AT 256u

/* The first two: look where the directory stands. Changed under META exclusive;
 * the last two never change again. */
#define AZRI_FATE_NONE      0u
#define AZRI_FATE_REMOVING  1u
#define AZRI_FATE_REPLACING 2u
#define AZRI_FATE_REMOVED   3u
#define AZRI_FATE_REPLACED  4u

/* One wait slot without a row, for who grows the row table (he holds none);
 * belongs to the holder of INIT. */
#define AZRI_SPARE_WAIT_AT 1024u

/* State words. */
#define AZRI_FREE      0u
#define AZRI_ACTIVE    1u
#define AZRI_PREPARED  2u
#define AZRI_SEALED    3u
#define AZRI_COMMITTED 4u
/* With COMMITTED, of a home row: the rows of the others are COMMITTED too, or
 * FREE. In this boot: a power loss may take theirs back. */
#define AZRI_TOLD 0x80u

static inline bool azri_word_is_told(uint64_t word)
{
    return (word & 0xFF) == (AZRI_COMMITTED | AZRI_TOLD);
}

static inline uint32_t azri_word_state(uint64_t word)
{
    return azri_word_is_told(word) ? AZRI_COMMITTED : (uint32_t)(word & 0xFF);
}

static inline uint64_t azri_word_id(uint64_t word)
{
    return word >> 8;
}

static inline uint64_t azri_word(uint64_t id, uint32_t state)
{
    return id << 8 | state;
}

typedef struct azri_who {
    uint64_t id;
    uint8_t boot[16];
    uint32_t pid;
    uint32_t uid;
    int64_t start_ns; /* CLOCK_REALTIME */
    char host[64];
    uint32_t zero;
    uint32_t crc; /* of everything before */
} azri_who;

#define AZRI_WHAT_METADATA 1u /* touches metadata: overlaps everything */
#define AZRI_WHAT_RECORD   2u /* entries stand in tx/<id>.r */
#define AZRI_WHAT_HOME     4u /* home row of a transaction over several arrays */
#define AZRI_WHAT_HAS_HOME 8u /* one of the others: home_row, home_id */
#define AZRI_WHAT_DOC_FIRST                                                    \
    16u /* documents are renamed before chunks (shrink) */
/* The array's documents change: before the row is cleared, their copies in the
 * consolidated metadata of groups above are renewed. In an ACTIVE row too. */
#define AZRI_WHAT_ABOVE 32u

#define AZRI_WHAT_ENTRY_NBYTES 256u

typedef struct azri_what {
    uint64_t id;
    uint32_t flags;
    uint32_t count;       /* of entries */
    uint64_t first, last; /* hull of the W offsets; first > last: none */
    uint64_t record_nbytes;
    uint32_t record_crc;
    uint32_t home_row;
    uint8_t home_id[16];
    uint8_t entries[AZRI_WHAT_ENTRY_NBYTES - 8];
    uint32_t entries_nbytes; /* used */
    uint32_t crc;            /* of everything before */
} azri_what;

typedef struct azri_row {
    azri_who who;
    uint8_t zero[16];
    azri_wait_slot wait;
    azri_what what;
} azri_row;

/* Kinds of stored objects. */
#define AZRI_ENTRY_CHUNK  0u
#define AZRI_ENTRY_V3     1u /* zarr.json */
#define AZRI_ENTRY_ZARRAY 2u
#define AZRI_ENTRY_ZATTRS 3u

#define AZRI_ENTRY_DELETED 1u

typedef struct azri_entry_head {
    uint8_t kind;
    uint8_t flags;
    uint16_t zero;
    uint32_t crc; /* crc32c of the staged bytes (durability power), else 0 */
    uint64_t nbytes;
    /* followed by rank coordinates of 8 bytes */
} azri_entry_head;

#define AZRI_ENTRY_MAX (sizeof(azri_entry_head) + 8u * AZR_MAX_RANK)

typedef struct azri_record_head {
    char magic[8];
    uint64_t id;
    uint8_t array_id[16];
    uint64_t count;
    uint32_t entry_nbytes;
    uint32_t flags;  /* as azri_what.flags */
    uint32_t others; /* references to other arrays, after the entries */
    uint32_t zero;
} azri_record_head;

/* Another array of the same transaction: in a home row's record each of the
 * others, in theirs the home. */
typedef struct azri_ref_head {
    uint8_t array_id[16];
    uint32_t row;
    uint32_t path_nbytes;
    /* followed by the path from this array's directory to that one's, with
     * zeros up to a multiple of 8 bytes */
} azri_ref_head;

#define AZRI_REF_PATH_MAX 4096u /* with its NUL */

static_assert(sizeof(azri_header) == 256, "layout");
static_assert(sizeof(azri_changing) == 320, "layout");
static_assert(sizeof(azri_who) == 112, "layout");
static_assert(sizeof(azri_wait_slot) == 64, "layout");
static_assert(sizeof(azri_what) == 320, "layout");
static_assert(AZRI_WORDS_AT + UINT64_C(8) * AZRI_WORDS <= AZRI_COUNTERS_AT,
              "layout");
static_assert(sizeof(azri_row) == AZRI_ROW_NBYTES, "layout");
static_assert(sizeof(azri_entry_head) == 16, "layout");
static_assert(sizeof(azri_record_head) == 56, "layout");
static_assert(sizeof(azri_ref_head) == 24, "layout");

/* Lock bytes: offsets of `state` far beyond its end. */
#define AZRI_LOCK_BASE  (UINT64_C(1) << 40)
#define AZRI_LOCK_INIT  (AZRI_LOCK_BASE + 0)
#define AZRI_LOCK_META  (AZRI_LOCK_BASE + 1)
#define AZRI_LOCK_DOC   (AZRI_LOCK_BASE + 2)
#define AZRI_LOCK_MGATE (AZRI_LOCK_BASE + 3) /* reserved: network */
#define AZRI_LOCK_GATE  (AZRI_LOCK_BASE + 4) /* reserved: network */
#define AZRI_LOCK_SLOT  (AZRI_LOCK_BASE + 4096)
#define AZRI_LOCK_PROBE (UINT64_C(1) << 41) /* up to 2^42: try-outs */
#define AZRI_LOCK_W     (UINT64_C(1) << 61)
#define AZRI_LOCK_LAST  ((UINT64_C(1) << 62) - 1)
#define AZRI_W_BITS     60u

#endif
