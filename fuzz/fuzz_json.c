/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our scanner against json-c. Byte 0 is the length of a member's name, which
 * follows; the rest is text. What our scanner takes and json-c can hold, both
 * read alike, value for value. What is spliced, printed or quoted reads as it
 * should.
 */
#include "fuzz.h"
#include "model/consolidated.h"

#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>

#define HEAP_NBYTES ((uint64_t)64 << 20)

static void same_value(struct json_object *tree, azri_span value);

static uint32_t unit_at(const uint8_t *p)
{
    char digits[5] = {0};

    if (p[0] != '\\' || p[1] != 'u')
        return 0;
    memcpy(digits, p + 2, 4);
    return (uint32_t)strtoul(digits, NULL, 16);
}

/* json-c 0.16 joins a pair of surrogates, and then takes the lower 16 bits of the
 * character for a surrogate again: U+1DE00 becomes U+FFFD. */
static bool beyond_json_c(azri_span text)
{
    for (size_t i = 0; i + 12 <= text.nbytes; i++) {
        uint32_t high = unit_at(text.data + i);
        uint32_t low = unit_at(text.data + i + 6);

        if ((high & 0xFC00) != 0xD800 || (low & 0xFC00) != 0xDC00)
            continue;
        if (((high << 10 | (low & 0x3FF)) & 0xF800) == 0xD800)
            return true;
    }
    return false;
}

static void same_string(struct json_object *tree, azri_span value)
{
    azri_buf text = AZRI_BUF_INIT, quoted = AZRI_BUF_INIT;
    azri_buf again = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;

    require(azri_json_unquote(&text, value, &err) == AZR_OK);
    require(json_object_is_type(tree, json_type_string));
    require((size_t)json_object_get_string_len(tree) == text.nbytes);
    require(text.nbytes == 0 ||
            memcmp(json_object_get_string(tree), text.data, text.nbytes) == 0);
    if (text.nbytes > 0) {
        require(azri_json_quote(&quoted, (const char *)text.data, text.nbytes,
                                &err) == AZR_OK);
        require(azri_json_unquote(&again, azri_buf_span(&quoted), &err) ==
                AZR_OK);
        require(again.nbytes == text.nbytes &&
                memcmp(again.data, text.data, text.nbytes) == 0);
    }
    azri_buf_dispose(&text);
    azri_buf_dispose(&quoted);
    azri_buf_dispose(&again);
}

static void same_integer(struct json_object *tree, azri_span value)
{
    int64_t v;

    require(json_object_is_type(tree, json_type_int));
    if (azri_json_i64(value, &v))
        require(json_object_get_int64(tree) == v);
    else
        require(json_object_get_uint64(tree) > INT64_MAX);
}

static void same_real(struct json_object *tree, azri_span value)
{
    char text[512];
    double v, w;

    require(json_object_is_type(tree, json_type_double));
    if (value.nbytes >= sizeof text)
        return;
    memcpy(text, value.data, value.nbytes);
    text[value.nbytes] = '\0';
    v = strtod(text, NULL);
    w = json_object_get_double(tree);
    require((isnan(v) && isnan(w)) || (v <= w && v >= w));
}

static void same_object(struct json_object *tree, azri_span value)
{
    azri_json_walk walk = azri_json_begin(value);
    azri_json_item item;
    size_t members = 0;

    require(json_object_is_type(tree, json_type_object));
    while (azri_json_next(&walk, &item)) {
        azri_buf name = AZRI_BUF_INIT;
        struct json_object *member = NULL;
        azr_error err = AZR_ERROR_INIT;
        azri_span last;

        require(azri_json_unquote(&name, item.name, &err) == AZR_OK);
        require(azri_buf_terminate(&name, &err) == AZR_OK);
        require(azri_json_same(item.name, (const char *)name.data));
        require(
            json_object_object_get_ex(tree, (const char *)name.data, &member));
        require(azri_json_find(value, (const char *)name.data, &last));
        if (last.data == item.value.data) { /* the last of its name */
            same_value(member, last);
            members++;
        }
        azri_buf_dispose(&name);
    }
    require((size_t)json_object_object_length(tree) == members);
}

static void same_array(struct json_object *tree, azri_span value)
{
    azri_json_walk walk = azri_json_begin(value);
    azri_json_item item;
    size_t i = 0;

    require(json_object_is_type(tree, json_type_array));
    while (azri_json_next(&walk, &item))
        same_value(json_object_array_get_idx(tree, i++), item.value);
    require(json_object_array_length(tree) == i);
}

static void same_value(struct json_object *tree, azri_span value)
{
    switch (azri_json_type_of(value)) {
    case AZRI_JSON_OBJECT:
        same_object(tree, value);
        break;
    case AZRI_JSON_ARRAY:
        same_array(tree, value);
        break;
    case AZRI_JSON_STRING:
        same_string(tree, value);
        break;
    case AZRI_JSON_INTEGER:
        same_integer(tree, value);
        break;
    case AZRI_JSON_REAL:
    case AZRI_JSON_BARE:
        same_real(tree, value);
        break;
    case AZRI_JSON_TRUE:
    case AZRI_JSON_FALSE:
        require(json_object_is_type(tree, json_type_boolean));
        require(json_object_get_boolean(tree) ==
                (azri_json_type_of(value) == AZRI_JSON_TRUE));
        break;
    case AZRI_JSON_NULL:
    default:
        require(tree == NULL);
        break;
    }
}

/* Member `name` set, found, removed; the others as they were. */
static void splice(azri_span text, const char *name)
{
    azri_buf with = AZRI_BUF_INIT, without = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;
    azri_span value = {(const uint8_t *)"[7]", 3}, none = {NULL, 0}, found;
    bool had = azri_json_find(text, name, &found), same = false;

    if (fuzz_status(azri_json_splice(&with, text, name, value, &err), &err) !=
        AZR_OK) {
        azri_buf_dispose(&with);
        return;
    }
    require(azri_json_check(azri_buf_span(&with), "with", AZR_ECORRUPT, &err) ==
            AZR_OK);
    require(azri_json_find(azri_buf_span(&with), name, &found));
    require(found.nbytes == 3 && memcmp(found.data, "[7]", 3) == 0);
    require(azri_json_splice(&without, azri_buf_span(&with), name, none,
                             &err) == AZR_OK);
    require(azri_json_check(azri_buf_span(&without), "without", AZR_ECORRUPT,
                            &err) == AZR_OK);
    require(!azri_json_find(azri_buf_span(&without), name, &found));
    if (!had) {
        require(azri_documents_agree(&same, text, azri_buf_span(&without), true,
                                     &err) == AZR_OK);
        require(same);
    }
    azri_buf_dispose(&with);
    azri_buf_dispose(&without);
}

static void print(azri_span text)
{
    azri_buf out = AZRI_BUF_INIT;
    azr_error err = AZR_ERROR_INIT;
    bool same = false;

    require(azri_json_pretty(&out, text, 2, &err) == AZR_OK);
    require(azri_json_check(azri_buf_span(&out), "pretty", AZR_ECORRUPT,
                            &err) == AZR_OK);
    require(azri_documents_agree(&same, text, azri_buf_span(&out), true,
                                 &err) == AZR_OK);
    require(same);
    azri_buf_dispose(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    uint64_t before = azri_heap_nbytes();
    struct json_object *tree = NULL;
    azr_error err = AZR_ERROR_INIT;
    char name[16] = {0};
    azri_span text;
    size_t n;

    if (nbytes < 1)
        return 0;
    azr_set_memory_cap(HEAP_NBYTES);
    n = data[0] % sizeof name;
    n = n > nbytes - 1 ? nbytes - 1 : n;
    memcpy(name, data + 1, n);
    text = (azri_span){data + 1 + n, nbytes - 1 - n};
    if (fuzz_status(azri_json_check(text, "text", AZR_ECORRUPT, &err), &err) ==
        AZR_OK) {
        if (fuzz_status(azri_json_parse(&tree, text, "text", &err), &err) ==
            AZR_OK)
            if (!beyond_json_c(text))
                same_value(tree, azri_json_body(text));
        json_object_put(tree);
        print(text);
        if (azri_json_type_of(azri_json_body(text)) == AZRI_JSON_OBJECT)
            splice(text, name);
    }
    require(azri_heap_nbytes() == before);
    return 0;
}
