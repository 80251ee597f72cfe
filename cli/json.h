/* SPDX-License-Identifier: Apache-2.0 */
/* A writer of JSON: it keeps the commas and escapes. What is not valid UTF-8
 * becomes U+FFFD; numbers that JSON lacks become "NaN", "Infinity",
 * "-Infinity". */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH 40

struct json {
    FILE *file;
    unsigned depth;
    bool more[JSON_DEPTH]; /* this level has a member already */
};

/* `key` is NULL inside a list and at the top. */
struct json json_begin(FILE *file);
void json_open(struct json *j, const char *key, char bracket); /* '{' '[' */
void json_close(struct json *j, char bracket);                 /* '}' ']' */
void json_text(struct json *j, const char *key, const char *value);
void json_int(struct json *j, const char *key, int64_t value);
void json_uint(struct json *j, const char *key, uint64_t value);
void json_real(struct json *j, const char *key, double value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);
/** `text` is JSON already. */
void json_raw(struct json *j, const char *key, const char *text);
void json_ints(struct json *j, const char *key, const int64_t *values, int n);
/** The document is complete: a newline. */
void json_end(struct json *j);

#endif
