/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/codec_conf.h"

#include "base/alloc.h"

#include <assert.h>
#include <json-c/json_object_iterator.h>
#include <json-c/json_tokener.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define CONF_MAX_DEPTH  16
#define CONF_MAX_NBYTES (1 << 20)

static int refuse(const azri_conf *c, azr_error *err, const char *name,
                  const char *found, const char *need)
{
    return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_METADATA,
                         "%s: %s is %.60s, need %s", c->codec, name, found,
                         need);
}

int azri_conf_open(azri_conf *c, const char *codec, int dialect,
                   const char *json, azr_error *err)
{
    size_t nbytes = json ? strlen(json) : 0;
    struct json_tokener *tok;
    int rc = AZR_OK;

    memset(c, 0, sizeof *c);
    c->codec = codec;
    c->dialect = dialect;
    if (nbytes == 0)
        return AZR_OK; /* as {} */
    if (nbytes > CONF_MAX_NBYTES)
        return refuse(c, err, "configuration", "huge", "at most 1 MiB");
    tok = json_tokener_new_ex(CONF_MAX_DEPTH);
    if (!tok)
        return azri_fail_nomem(err, sizeof *c);
    c->object = json_tokener_parse_ex(tok, json, (int)nbytes + 1);
    if (json_tokener_get_error(tok) != json_tokener_success ||
        !json_object_is_type(c->object, json_type_object)) {
        rc = refuse(c, err, "configuration", json, "a JSON object");
        azri_conf_close(c);
    }
    json_tokener_free(tok);
    return rc;
}

void azri_conf_close(azri_conf *c)
{
    json_object_put(c->object);
    c->object = NULL;
}

static bool is_known(const azri_conf *c, const char *name)
{
    for (size_t i = 0; i < c->known_count; i++) {
        if (strcmp(c->known[i], name) == 0)
            return true;
    }
    return false;
}

int azri_conf_finish(azri_conf *c, azr_error *err)
{
    struct json_object_iterator it, end;

    if (c->dialect == AZR_DIALECT_V2 || !c->object)
        return AZR_OK;
    it = json_object_iter_begin(c->object);
    end = json_object_iter_end(c->object);
    for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
        const char *name = json_object_iter_peek_name(&it);

        if (!is_known(c, name))
            return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_METADATA,
                                 "%s: member '%.60s' of the configuration is "
                                 "not known",
                                 c->codec, name);
    }
    return AZR_OK;
}

struct json_object *azri_conf_member(azri_conf *c, const char *name)
{
    struct json_object *value = NULL;

    assert(c->known_count < AZRI_CONF_MAX_MEMBERS);
    c->known[c->known_count++] = name;
    (void)json_object_object_get_ex(c->object, name, &value);
    return value;
}

static bool as_int(const azri_conf *c, struct json_object *value, int64_t *out)
{
    double x;

    if (json_object_is_type(value, json_type_int)) {
        *out = json_object_get_int64(value);
        return true;
    }
    if (c->dialect != AZR_DIALECT_V2 ||
        !json_object_is_type(value, json_type_double))
        return false;
    x = json_object_get_double(value);
    if (!(fabs(x) < 1e9) || x != floor(x))
        return false;
    *out = (int64_t)x;
    return true;
}

static int member_int(azri_conf *c, const char *name, int64_t *out, bool *found,
                      azr_error *err)
{
    struct json_object *value = azri_conf_member(c, name);

    *found = value != NULL;
    if (!value || as_int(c, value, out))
        return AZR_OK;
    return refuse(c, err, name, json_object_to_json_string(value),
                  "an integer");
}

int azri_conf_int(azri_conf *c, const char *name, int min, int max, int *value,
                  azr_error *err)
{
    int64_t n = 0;
    bool found;
    int rc = member_int(c, name, &n, &found, err);

    if (rc < 0 || !found)
        return rc;
    if (n < min || n > max)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_METADATA,
                             "%s: %s is %lld, need %d to %d", c->codec, name,
                             (long long)n, min, max);
    *value = (int)n;
    return AZR_OK;
}

int azri_conf_int_clamped(azri_conf *c, const char *name, int min, int max,
                          int *value, azr_error *err)
{
    int64_t n = 0;
    bool found;
    int rc = member_int(c, name, &n, &found, err);

    if (rc < 0 || !found)
        return rc;
    *value = n < min ? min : n > max ? max : (int)n;
    return AZR_OK;
}

int azri_conf_bool(azri_conf *c, const char *name, bool *value, azr_error *err)
{
    struct json_object *member = azri_conf_member(c, name);

    if (!member)
        return AZR_OK;
    if (!json_object_is_type(member, json_type_boolean))
        return refuse(c, err, name, json_object_to_json_string(member),
                      "true or false");
    *value = json_object_get_boolean(member);
    return AZR_OK;
}

int azri_conf_word(azri_conf *c, const char *name, const char *const *words,
                   int *index, azr_error *err)
{
    struct json_object *member = azri_conf_member(c, name);
    char need[96] = "";
    size_t used = 0;

    if (!member)
        return AZR_OK;
    for (int i = 0; words[i]; i++) {
        int n;

        if (json_object_is_type(member, json_type_string) &&
            strcmp(json_object_get_string(member), words[i]) == 0) {
            *index = i;
            return AZR_OK;
        }
        n = snprintf(need + used, sizeof need - used, "%s%s", i ? ", " : "",
                     words[i]);
        assert(n > 0 && (size_t)n < sizeof need - used);
        used += (size_t)n;
    }
    return refuse(c, err, name, json_object_to_json_string(member), need);
}

int azri_conf_level(int *level, const char *codec, int dialect,
                    const char *json, int min, int max, azr_error *err)
{
    azri_conf c;
    int rc = azri_conf_open(&c, codec, dialect, json, err);

    if (rc < 0)
        return rc;
    rc = azri_conf_int(&c, "level", min, max, level, err);
    if (rc == AZR_OK)
        rc = azri_conf_finish(&c, err);
    azri_conf_close(&c);
    return rc;
}

void azri_conf_free_flat(void *conf)
{
    azri_free(conf);
}

int azri_codec_exact(const char *codec, size_t nbytes, size_t expected,
                     azr_error *err)
{
    if (expected == 0 || nbytes == expected)
        return AZR_OK;
    return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                         "%s: %zu bytes, need %zu", codec, nbytes, expected);
}

int azri_codec_too_long(const char *codec, size_t limit, azr_error *err)
{
    return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_CHUNK,
                         "%s: more than %zu bytes", codec, limit);
}

size_t azri_codec_first_capacity(const azr_codec_out *dst, size_t expected,
                                 size_t src_nbytes)
{
    size_t guess = src_nbytes > SIZE_MAX / 8 ? SIZE_MAX : 4 * src_nbytes + 4096;

    if (expected != 0)
        return expected;
    return guess < dst->limit ? guess : dst->limit;
}

bool azri_codec_next_capacity(const azr_codec_out *dst, size_t expected,
                              size_t *capacity)
{
    if (expected != 0 || *capacity >= dst->limit)
        return false;
    *capacity = *capacity > dst->limit / 2 ? dst->limit : *capacity * 2;
    return true;
}
