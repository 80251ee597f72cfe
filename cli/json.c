/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct json json_begin(FILE *file)
{
    struct json j = {file, 0, {false}};

    return j;
}

/* Bytes of the UTF-8 character at `s`, or 0 if it is none. */
static size_t utf8_length(const unsigned char *s)
{
    static const struct {
        unsigned char low, high, second_low, second_high;
        size_t length;
    } forms[] = {
        {0x01, 0x7f, 0x00, 0xff, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2},
        {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
        {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (s[0] < forms[i].low || s[0] > forms[i].high)
            continue;
        if (forms[i].length > 1 &&
            (s[1] < forms[i].second_low || s[1] > forms[i].second_high))
            return 0;
        for (size_t k = 2; k < forms[i].length; k++) {
            if ((s[k] & 0xc0) != 0x80)
                return 0;
        }
        return forms[i].length;
    }
    return 0;
}

static void put_string(FILE *f, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    (void)fputc('"', f);
    while (*s) {
        size_t n = utf8_length(s);

        if (n == 0) {
            (void)fputs("\\ufffd", f);
            n = 1;
        } else if (*s == '"' || *s == '\\') {
            (void)fprintf(f, "\\%c", *s);
        } else if (*s == '\n') {
            (void)fputs("\\n", f);
        } else if (*s == '\t') {
            (void)fputs("\\t", f);
        } else if (*s < 0x20 || *s == 0x7f) {
            (void)fprintf(f, "\\u%04x", *s);
        } else {
            (void)fwrite(s, 1, n, f);
        }
        s += n;
    }
    (void)fputc('"', f);
}

static void before(struct json *j, const char *key)
{
    if (j->more[j->depth])
        (void)fputs(", ", j->file);
    j->more[j->depth] = true;
    if (key) {
        put_string(j->file, key);
        (void)fputs(": ", j->file);
    }
}

void json_open(struct json *j, const char *key, char bracket)
{
    before(j, key);
    (void)fputc(bracket, j->file);
    assert(j->depth + 1 < JSON_DEPTH);
    j->more[++j->depth] = false;
}

void json_close(struct json *j, char bracket)
{
    assert(j->depth > 0);
    j->depth--;
    (void)fputc(bracket, j->file);
}

void json_text(struct json *j, const char *key, const char *value)
{
    before(j, key);
    put_string(j->file, value);
}

void json_int(struct json *j, const char *key, int64_t value)
{
    before(j, key);
    (void)fprintf(j->file, "%" PRId64, value);
}

void json_uint(struct json *j, const char *key, uint64_t value)
{
    before(j, key);
    (void)fprintf(j->file, "%" PRIu64, value);
}

void json_real(struct json *j, const char *key, double value)
{
    char text[40];

    before(j, key);
    if (isnan(value)) {
        (void)fputs("\"NaN\"", j->file);
    } else if (isinf(value)) {
        (void)fputs(value < 0 ? "\"-Infinity\"" : "\"Infinity\"", j->file);
    } else {
        for (int digits = 6; digits <= 17; digits++) {
            (void)snprintf(text, sizeof text, "%.*g", digits, value);
            if (strtod(text, NULL) >= value && strtod(text, NULL) <= value)
                break;
        }
        (void)fputs(text, j->file);
    }
}

void json_bool(struct json *j, const char *key, bool value)
{
    json_raw(j, key, value ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
    json_raw(j, key, "null");
}

void json_raw(struct json *j, const char *key, const char *text)
{
    before(j, key);
    (void)fputs(text, j->file);
}

void json_ints(struct json *j, const char *key, const int64_t *values, int n)
{
    json_open(j, key, '[');
    for (int i = 0; i < n; i++)
        json_int(j, NULL, values[i]);
    json_close(j, ']');
}

void json_end(struct json *j)
{
    assert(j->depth == 0);
    (void)fputc('\n', j->file);
}
