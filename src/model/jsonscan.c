/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scanner: one pass, no recursion, no allocation. It is the judge of what
 * counts as JSON here; json-c sees only text that has passed.
 */
#include "model/jsonscan.h"

#include <string.h>

static bool problem(azri_scanner *s, const char *text)
{
    s->problem = text;
    return false;
}

static int peek(const azri_scanner *s)
{
    return s->at < s->nbytes ? s->text[s->at] : -1;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

void azri_scan_space(azri_scanner *s)
{
    while (s->at < s->nbytes) {
        uint8_t c = s->text[s->at];

        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            break;
        s->at++;
    }
}

static int hex_value(int c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Four hexadecimal digits at p; -1: not that. */
static int32_t hex4(const uint8_t *p, size_t nbytes)
{
    int32_t value = 0;

    if (nbytes < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int v = hex_value(p[i]);

        if (v < 0)
            return -1;
        value = value * 16 + v;
    }
    return value;
}

/* After a backslash. */
static bool scan_escape(azri_scanner *s)
{
    int c = peek(s);

    if (c == 'u') {
        int32_t v = hex4(s->text + s->at + 1, s->nbytes - s->at - 1);

        if (v < 0)
            return problem(s, "expected four hexadecimal digits after \\u");
        if (v == 0)
            s->saw_nul = true;
        s->at += 5;
        return true;
    }
    if (c < 0x20 || !strchr("\"\\/bfnrt", c))
        return problem(s, "unknown escape in a string");
    s->at++;
    return true;
}

bool azri_scan_string(azri_scanner *s)
{
    if (peek(s) != '"')
        return problem(s, "expected a string");
    s->saw_nul = false;
    s->at++;
    for (;;) {
        int c = peek(s);

        if (c < 0)
            return problem(s, "string is not closed");
        if (c == '"')
            break;
        if (c < 0x20)
            return problem(s, "control character in a string");
        if (c == '\\') {
            s->at++;
            if (!scan_escape(s))
                return false;
        } else if (c < 0x80) {
            s->at++;
        } else {
            size_t n = azri_utf8_length(s->text + s->at, s->nbytes - s->at);

            if (n == 0)
                return problem(s, "not UTF-8");
            s->at += n;
        }
    }
    s->at++;
    return true;
}

static bool scan_word(azri_scanner *s, const char *word)
{
    size_t n = strlen(word);

    if (s->nbytes - s->at < n || memcmp(s->text + s->at, word, n) != 0)
        return problem(s, "expected a value");
    s->at += n;
    return true;
}

static bool scan_digits(azri_scanner *s)
{
    if (!is_digit(peek(s)))
        return problem(s, "expected a digit");
    while (is_digit(peek(s)))
        s->at++;
    return true;
}

/* json-c keeps integers in 64 bits and clamps others without a word. */
static bool fits_64_bits(const uint8_t *digits, size_t count, bool negative)
{
    const char *limit =
        negative ? "9223372036854775808" : "18446744073709551615";
    size_t most = strlen(limit);

    if (count != most)
        return count < most;
    return memcmp(digits, limit, most) <= 0;
}

static bool scan_number(azri_scanner *s)
{
    bool negative = peek(s) == '-';
    size_t begin, count;

    s->at += negative;
    if (negative && peek(s) == 'I')
        return scan_word(s, "Infinity");
    begin = s->at;
    if (!scan_digits(s))
        return false;
    count = s->at - begin;
    if (count > 1 && s->text[begin] == '0') {
        s->at = begin;
        return problem(s, "number begins with 0");
    }
    if (peek(s) != '.' && peek(s) != 'e' && peek(s) != 'E') {
        if (!s->for_tree || fits_64_bits(s->text + begin, count, negative))
            return true;
        s->at = begin;
        return problem(s, "integer needs more than 64 bits");
    }
    if (peek(s) == '.') {
        s->at++;
        if (!scan_digits(s))
            return false;
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->at++;
        s->at += peek(s) == '+' || peek(s) == '-';
        if (!scan_digits(s))
            return false;
    }
    return true;
}

static bool scan_scalar(azri_scanner *s)
{
    int c = peek(s);

    switch (c) {
    case '"':
        return azri_scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    case 'N':
        return scan_word(s, "NaN");
    case 'I':
        return scan_word(s, "Infinity");
    default:
        if (c != '-' && !is_digit(c))
            return problem(s, "expected a value");
        return scan_number(s);
    }
}

/* `"name" :` and the white space around it. */
static bool scan_name(azri_scanner *s)
{
    azri_scan_space(s);
    if (peek(s) != '"')
        return problem(s, "expected a member name");
    if (!azri_scan_string(s))
        return false;
    if (s->for_tree && s->saw_nul)
        return problem(s, "member name holds \\u0000");
    azri_scan_space(s);
    if (peek(s) != ':')
        return problem(s, "expected ':'");
    s->at++;
    azri_scan_space(s);
    return true;
}

/* Which containers are open: bit d is set if level d is an object. */
typedef struct levels {
    int depth;
    uint64_t objects;
} levels;

static bool in_object(const levels *l)
{
    return l->objects >> (l->depth - 1) & 1;
}

/* At '{' or '['. *empty_out: it is closed again already. */
static bool enter(azri_scanner *s, levels *l, bool *empty_out)
{
    bool is_object = peek(s) == '{';

    if (l->depth == AZRI_JSON_MAX_DEPTH)
        return problem(s, "nested deeper than 64 levels");
    l->objects &= ~(UINT64_C(1) << l->depth);
    l->objects |= (uint64_t)is_object << l->depth;
    l->depth++;
    s->at++;
    azri_scan_space(s);
    *empty_out = peek(s) == (is_object ? '}' : ']');
    return *empty_out || !is_object || scan_name(s);
}

/* After a value: over closing brackets to the next value or the end. */
static bool leave(azri_scanner *s, levels *l)
{
    while (l->depth > 0) {
        bool is_object = in_object(l);

        azri_scan_space(s);
        if (peek(s) == ',') {
            s->at++;
            azri_scan_space(s);
            return !is_object || scan_name(s);
        }
        if (peek(s) != (is_object ? '}' : ']'))
            return problem(s, is_object ? "expected ',' or '}'"
                                        : "expected ',' or ']'");
        s->at++;
        l->depth--;
    }
    return true;
}

bool azri_scan_value(azri_scanner *s)
{
    levels l = {0, 0};

    do {
        bool empty;

        if (s->for_tree && ++s->value_count > AZRI_JSON_MAX_VALUES)
            return problem(s, "more than 65536 values");
        if (peek(s) == '{' || peek(s) == '[') {
            if (!enter(s, &l, &empty))
                return false;
            if (!empty)
                continue;
        } else if (!scan_scalar(s)) {
            return false;
        }
        if (!leave(s, &l))
            return false;
    } while (l.depth > 0);
    return true;
}

azri_scanner azri_scan_begin(azri_span text)
{
    azri_scanner s = {
        text.data, text.nbytes, 0, NULL, false, false, 0,
    };

    if (s.nbytes >= 3 && memcmp(s.text, "\xEF\xBB\xBF", 3) == 0)
        s.at = 3;
    azri_scan_space(&s);
    return s;
}

bool azri_scan_document(azri_scanner *s)
{
    if (!azri_scan_value(s))
        return false;
    azri_scan_space(s);
    return s->at == s->nbytes || problem(s, "expected nothing more");
}

int azri_scan_fail(const azri_scanner *s, const char *what, int code,
                   azr_error *err)
{
    int sub = code == AZR_ECORRUPT ? AZR_SUB_METADATA : AZR_SUB_ARGUMENT;
    int c = peek(s);

    if (c < 0)
        return azri_fail_sub(err, code, sub,
                             "%s: byte %zu: %s, found the end of the text",
                             what, s->at, s->problem);
    if (c > 0x20 && c < 0x7F)
        return azri_fail_sub(err, code, sub, "%s: byte %zu: %s, found '%c'",
                             what, s->at, s->problem, c);
    return azri_fail_sub(err, code, sub, "%s: byte %zu: %s, found 0x%02x", what,
                         s->at, s->problem, (unsigned int)c);
}

int azri_json_check(azri_span text, const char *what, int code, azr_error *err)
{
    azri_scanner s;

    if (text.nbytes > AZRI_JSON_MAX_NBYTES)
        return azri_fail_sub(err, code,
                             code == AZR_ECORRUPT ? AZR_SUB_METADATA
                                                  : AZR_SUB_ARGUMENT,
                             "%s: %zu bytes, at most %zu are read", what,
                             text.nbytes, AZRI_JSON_MAX_NBYTES);
    s = azri_scan_begin(text);
    if (!azri_scan_document(&s))
        return azri_scan_fail(&s, what, code, err);
    return AZR_OK;
}

azri_span azri_json_body(azri_span text)
{
    azri_scanner s = azri_scan_begin(text);
    azri_span body = {text.data + s.at, text.nbytes - s.at};

    while (body.nbytes > 0 && body.data[body.nbytes - 1] <= ' ')
        body.nbytes--;
    return body;
}

azri_json_type azri_json_type_of(azri_span value)
{
    azri_span v = azri_json_body(value);

    if (v.nbytes == 0)
        return AZRI_JSON_NULL;
    switch (v.data[0]) {
    case '{':
        return AZRI_JSON_OBJECT;
    case '[':
        return AZRI_JSON_ARRAY;
    case '"':
        return AZRI_JSON_STRING;
    case 't':
        return AZRI_JSON_TRUE;
    case 'f':
        return AZRI_JSON_FALSE;
    case 'n':
        return AZRI_JSON_NULL;
    default:
        break;
    }
    if (v.data[0] == 'N' || memchr(v.data, 'I', v.nbytes))
        return AZRI_JSON_BARE;
    if (memchr(v.data, '.', v.nbytes) || memchr(v.data, 'e', v.nbytes) ||
        memchr(v.data, 'E', v.nbytes))
        return AZRI_JSON_REAL;
    return AZRI_JSON_INTEGER;
}

bool azri_json_i64(azri_span value, int64_t *out)
{
    azri_span v = azri_json_body(value);
    bool negative = v.nbytes > 0 && v.data[0] == '-';
    int64_t n = 0;

    if (azri_json_type_of(v) != AZRI_JSON_INTEGER)
        return false;
    for (size_t i = negative; i < v.nbytes; i++) {
        int digit = v.data[i] - '0';

        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, negative ? -digit : digit, &n))
            return false;
    }
    *out = n;
    return true;
}

static size_t put_utf8(uint8_t *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xC0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xE0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (c & 0x3F));
    return 4;
}

/* The character of the \uXXXX at p[0]; surrogate pairs are joined. */
static uint32_t take_unicode(const uint8_t *p, size_t nbytes, size_t *used_out)
{
    int32_t high = hex4(p + 2, nbytes - 2), low = -1;

    *used_out = 6;
    if (high < 0xD800 || high > 0xDFFF)
        return (uint32_t)high;
    if (high < 0xDC00 && nbytes >= 12 && p[6] == '\\' && p[7] == 'u')
        low = hex4(p + 8, nbytes - 8);
    if (low < 0xDC00 || low > 0xDFFF)
        return 0xFFFD;
    *used_out = 12;
    return 0x10000 + ((uint32_t)(high - 0xD800) << 10) +
           (uint32_t)(low - 0xDC00);
}

/* One character of a string's inside, decoded; returns the bytes used. */
static size_t take_char(const uint8_t *p, size_t nbytes, uint8_t out[4],
                        size_t *count_out)
{
    static const char codes[] = "bfnrt", meant[] = "\b\f\n\r\t";
    const char *code;
    size_t used;

    *count_out = 1;
    out[0] = p[0];
    if (p[0] != '\\')
        return 1;
    if (p[1] == 'u') {
        *count_out = put_utf8(out, take_unicode(p, nbytes, &used));
        return used;
    }
    code = strchr(codes, p[1]);
    out[0] = code ? (uint8_t)meant[code - codes] : p[1];
    return 2;
}

bool azri_json_same(azri_span string, const char *text)
{
    size_t length = strlen(text), at = 0, i = 1;

    while (i + 1 < string.nbytes) {
        uint8_t c[4];
        size_t n;

        i += take_char(string.data + i, string.nbytes - 1 - i, c, &n);
        if (n > length - at || memcmp(text + at, c, n) != 0)
            return false;
        at += n;
    }
    return at == length;
}

int azri_json_unquote(azri_buf *out, azri_span string, azr_error *err)
{
    int rc = azri_buf_reserve(out, out->nbytes + string.nbytes + 4, err);

    if (rc < 0)
        return rc;
    for (size_t i = 1; i + 1 < string.nbytes;) {
        size_t n;

        i += take_char(string.data + i, string.nbytes - 1 - i,
                       out->data + out->nbytes, &n);
        out->nbytes += n;
    }
    return AZR_OK;
}

int azri_json_snip(azri_span text)
{
    size_t n = text.nbytes;

    if (n > 60) {
        n = 60;
        while (n > 0 && (text.data[n] & 0xC0) == 0x80)
            n--;
    }
    return (int)n;
}

azri_json_walk azri_json_begin(azri_span container)
{
    azri_scanner s = azri_scan_begin(container);
    azri_json_walk w = {container, s.at + 1};

    return w;
}

bool azri_json_next(azri_json_walk *walk, azri_json_item *out)
{
    azri_scanner s = {
        walk->text.data, walk->text.nbytes, walk->at, NULL, false, false, 0,
    };
    size_t begin;
    int c;

    azri_scan_space(&s);
    if (peek(&s) == ',') {
        s.at++;
        azri_scan_space(&s);
    }
    walk->at = s.at;
    c = peek(&s);
    if (c < 0 || c == '}' || c == ']')
        return false;
    memset(out, 0, sizeof *out);
    begin = s.at;
    if (!azri_scan_value(&s))
        return false;
    out->value = (azri_span){s.text + begin, s.at - begin};
    walk->at = s.at;
    azri_scan_space(&s);
    if (peek(&s) != ':')
        return true;
    /* it was a member's name: the value follows */
    out->name = out->value;
    s.at++;
    azri_scan_space(&s);
    begin = s.at;
    if (!azri_scan_value(&s))
        return false;
    out->value = (azri_span){s.text + begin, s.at - begin};
    walk->at = s.at;
    return true;
}

bool azri_json_find(azri_span text, const char *name, azri_span *value_out)
{
    azri_json_walk walk = azri_json_begin(text);
    azri_json_item item;
    bool found = false;

    if (azri_json_type_of(text) != AZRI_JSON_OBJECT)
        return false;
    while (azri_json_next(&walk, &item)) {
        if (azri_json_same(item.name, name)) {
            *value_out = item.value;
            found = true;
        }
    }
    return found;
}
