/* SPDX-License-Identifier: Apache-2.0 */
/* Reading codec configurations, and the words codecs have in common. */
#ifndef AZRI_CODEC_CONF_H
#define AZRI_CODEC_CONF_H

#include "base/error.h"

#include <azr/sys/codec.h>
#include <json-c/json_object.h>
#include <stdbool.h>

#define AZRI_CONF_MAX_MEMBERS 8

/*
 * A configuration being read. Ask for each member once, then call
 * azri_conf_finish, which refuses what was not asked for (except in v2).
 * A member that is absent or null leaves the caller's default as it is.
 */
typedef struct azri_conf {
    const char *codec; /* for messages */
    int dialect;
    struct json_object *object;
    const char *known[AZRI_CONF_MAX_MEMBERS];
    size_t known_count;
} azri_conf;

AZR_CHECKED int azri_conf_open(azri_conf *c, const char *codec, int dialect,
                               const char *json, azr_error *err);
void azri_conf_close(azri_conf *c);
AZR_CHECKED int azri_conf_finish(azri_conf *c, azr_error *err);

/* The member as it stands, or NULL if it is absent or null. Borrowed. */
struct json_object *azri_conf_member(azri_conf *c, const char *name);
/* An integer in [min, max] (an integral float will do in v2). */
AZR_CHECKED int azri_conf_int(azri_conf *c, const char *name, int min, int max,
                              int *value, azr_error *err);
/* The same, out of range brought into it. */
AZR_CHECKED int azri_conf_int_clamped(azri_conf *c, const char *name, int min,
                                      int max, int *value, azr_error *err);
AZR_CHECKED int azri_conf_bool(azri_conf *c, const char *name, bool *value,
                               azr_error *err);
/* One of `words` (NULL-terminated); *index is its place. */
AZR_CHECKED int azri_conf_word(azri_conf *c, const char *name,
                               const char *const *words, int *index,
                               azr_error *err);

/* A configuration that is one `level` in [min, max]. */
AZR_CHECKED int azri_conf_level(int *level, const char *codec, int dialect,
                                const char *json, int min, int max,
                                azr_error *err);

/* conf_free of configurations that are one block. */
void azri_conf_free_flat(void *conf);

/* AZR_ECORRUPT (CHUNK) "codec: N bytes, need M" unless `expected` is met; 0
 * means unknown. */
AZR_CHECKED int azri_codec_exact(const char *codec, size_t nbytes,
                                 size_t expected, azr_error *err);
/* AZR_ECORRUPT (CHUNK): a stream that wants to give more than it may. */
int azri_codec_too_long(const char *codec, size_t limit, azr_error *err);

/* Where decoding into `dst` begins: `expected` bytes, or a guess when unknown. */
size_t azri_codec_first_capacity(const azr_codec_out *dst, size_t expected,
                                 size_t src_nbytes);
/* Twice the room, kept below the limit; false if there is no more to have. */
bool azri_codec_next_capacity(const azr_codec_out *dst, size_t expected,
                              size_t *capacity);

static inline uint32_t azri_load_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

static inline void azri_store_le32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v & 0xff);
    p[1] = (uint8_t)(v >> 8 & 0xff);
    p[2] = (uint8_t)(v >> 16 & 0xff);
    p[3] = (uint8_t)(v >> 24);
}

#endif
