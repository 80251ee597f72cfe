/* SPDX-License-Identifier: Apache-2.0 */
#include "model/jsontext.h"

#include "model/jsonscan.h"

#include <json-c/json_tokener.h>
#include <string.h>

int azri_json_parse(struct json_object **out, azri_span text, const char *what,
                    azr_error *err)
{
    azri_scanner s = azri_scan_begin(text);
    struct json_tokener *tok;
    enum json_tokener_error problem;
    struct json_object *object;
    azri_span body;

    if (text.nbytes > AZRI_JSON_MAX_NBYTES)
        return azri_json_check(text, what, AZR_ECORRUPT, err);
    s.for_tree = true;
    if (!azri_scan_document(&s))
        return azri_scan_fail(&s, what, AZR_ECORRUPT, err);
    /* json-c counts the level of the scalars as well */
    tok = json_tokener_new_ex(AZRI_JSON_MAX_DEPTH + 2);
    if (!tok)
        return azri_fail_nomem(err, sizeof(struct json_tokener));
    body = azri_json_body(text);
    object =
        json_tokener_parse_ex(tok, (const char *)body.data, (int)body.nbytes);
    problem = json_tokener_get_error(tok);
    if (problem == json_tokener_continue) {
        /* a number alone: only the NUL tells json-c that it is complete */
        object = json_tokener_parse_ex(tok, "", 1);
        problem = json_tokener_get_error(tok);
    }
    json_tokener_free(tok);
    if (problem != json_tokener_success) {
        json_object_put(object);
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_METADATA, "%s: %s",
                             what, json_tokener_error_desc(problem));
    }
    *out = object;
    return AZR_OK;
}

int azri_json_quote(azri_buf *out, const char *text, size_t nbytes,
                    azr_error *err)
{
    static const char codes[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
    const uint8_t *p = (const uint8_t *)text;
    int rc = azri_buf_reserve(out, out->nbytes + nbytes + 2, err);

    if (rc >= 0)
        rc = azri_buf_puts(out, "\"", err);
    for (size_t i = 0, n; i < nbytes && rc >= 0; i += n) {
        const char *code = p[i] ? strchr(codes, p[i]) : NULL;

        n = azri_utf8_length(p + i, nbytes - i);
        if (n == 0)
            return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                                 "text is not UTF-8 at byte %zu", i);
        if (code)
            rc = azri_buf_printf(out, err, "\\%c", names[code - codes]);
        else if (p[i] < 0x20)
            rc = azri_buf_printf(out, err, "\\u%04x", p[i]);
        else
            rc = azri_buf_append(out, p + i, n, err);
    }
    return rc < 0 ? rc : azri_buf_puts(out, "\"", err);
}

/* --------------------------------------------------------------- splice --- */

/* Where the member that is asked for stands, and how the object is written. */
typedef struct place {
    size_t count; /* members */
    size_t open;  /* after '{' */
    size_t close; /* at '}' */
    size_t first_name;
    size_t last_name; /* of the last member */
    size_t last_end;
    size_t last_gap; /* white space before the last member's name begins */
    size_t name_end; /* of the last member */
    size_t last_value;
    azri_span value; /* of the member; data NULL: it is not there */
} place;

static size_t offset_of(azri_span text, const uint8_t *p)
{
    return (size_t)(p - text.data);
}

static place find_place(azri_span text, const char *name)
{
    azri_json_walk walk = azri_json_begin(text);
    azri_json_item item;
    place p;

    memset(&p, 0, sizeof p);
    p.open = walk.at;
    p.last_end = walk.at;
    while (azri_json_next(&walk, &item)) {
        p.count++;
        p.last_gap = p.count == 1 ? p.open : 0;
        p.last_name = offset_of(text, item.name.data);
        if (p.count == 1)
            p.first_name = p.last_name;
        p.name_end = p.last_name + item.name.nbytes;
        p.last_value = offset_of(text, item.value.data);
        p.last_end = p.last_value + item.value.nbytes;
        if (azri_json_same(item.name, name))
            p.value = item.value;
    }
    p.close = walk.at;
    if (p.last_gap == 0) { /* back to the ',' */
        p.last_gap = p.last_name;
        while (p.last_gap > p.open && text.data[p.last_gap - 1] <= ' ')
            p.last_gap--;
    }
    return p;
}

static int append_range(azri_buf *out, azri_span text, size_t begin, size_t end,
                        azr_error *err)
{
    return azri_buf_append(out, text.data + begin, end - begin, err);
}

static int replace_value(azri_buf *out, azri_span text, const place *p,
                         azri_span value, azr_error *err)
{
    size_t at = offset_of(text, p->value.data);
    int rc = append_range(out, text, 0, at, err);

    if (rc >= 0)
        rc = azri_buf_append(out, value.data, value.nbytes, err);
    if (rc >= 0)
        rc = append_range(out, text, at + p->value.nbytes, text.nbytes, err);
    return rc;
}

/* A new member after the last one, with the last one's white space. */
static int add_member(azri_buf *out, azri_span text, const place *p,
                      const char *name, azri_span value, azr_error *err)
{
    int rc = append_range(out, text, 0, p->last_end, err);

    if (rc >= 0 && p->count > 0) {
        rc = azri_buf_puts(out, ",", err);
        if (rc >= 0)
            rc = append_range(out, text, p->last_gap, p->last_name, err);
        /* `{"a": 1}`: the first gap is empty, a further one is not */
        if (rc >= 0 && p->count == 1 && p->last_gap == p->last_name &&
            p->last_value > p->name_end + 1)
            rc = azri_buf_puts(out, " ", err);
    }
    if (rc >= 0)
        rc = azri_json_quote(out, name, strlen(name), err);
    if (rc >= 0 && p->count > 0)
        rc = append_range(out, text, p->name_end, p->last_value, err);
    else if (rc >= 0)
        rc = azri_buf_puts(out, ": ", err);
    if (rc >= 0)
        rc = azri_buf_append(out, value.data, value.nbytes, err);
    if (rc >= 0)
        rc = append_range(out, text, p->last_end, text.nbytes, err);
    return rc;
}

/* Leave out every member of that name. A member goes with the gap before it, or
 * if it is the first that stays, with the comma after it. */
static int remove_members(azri_buf *out, azri_span text, const place *p,
                          const char *name, azr_error *err)
{
    azri_json_walk walk = azri_json_begin(text);
    azri_json_item item;
    size_t kept = 0, end = p->open;
    int rc = append_range(out, text, 0, p->open, err);

    while (rc >= 0 && azri_json_next(&walk, &item)) {
        size_t begin = offset_of(text, item.name.data);
        size_t next = offset_of(text, item.value.data) + item.value.nbytes;

        if (!azri_json_same(item.name, name)) {
            /* the first that stays stands where the first stood */
            if (kept == 0)
                rc = append_range(out, text, p->open, p->first_name, err);
            if (rc >= 0)
                rc =
                    append_range(out, text, kept == 0 ? begin : end, next, err);
            kept++;
        }
        end = next;
    }
    if (rc >= 0)
        rc = append_range(out, text, kept > 0 ? end : p->close, text.nbytes,
                          err);
    return rc;
}

int azri_json_splice(azri_buf *out, azri_span text, const char *name,
                     azri_span value, azr_error *err)
{
    place p = find_place(text, name);

    if (!value.data && !p.value.data)
        return azri_buf_append(out, text.data, text.nbytes, err);
    if (!value.data)
        return remove_members(out, text, &p, name, err);
    if (p.value.data)
        return replace_value(out, text, &p, value, err);
    return add_member(out, text, &p, name, value, err);
}

/* --------------------------------------------------------------- pretty --- */

static int new_line(azri_buf *out, size_t spaces, azr_error *err)
{
    int rc = azri_buf_puts(out, "\n", err);

    for (; spaces > 0 && rc >= 0; spaces--)
        rc = azri_buf_puts(out, " ", err);
    return rc;
}

/* One token of valid text, with what belongs after or before it. */
static int pretty_token(azri_buf *out, azri_scanner *s, size_t *depth,
                        size_t indent, azr_error *err)
{
    const char c = (char)s->text[s->at];
    size_t begin = s->at;
    int rc = AZR_OK;

    if (c == '"')
        (void)azri_scan_string(s);
    else
        s->at++;
    if (c == '}' || c == ']')
        rc = new_line(out, --*depth * indent, err);
    if (rc >= 0)
        rc = azri_buf_append(out, s->text + begin, s->at - begin, err);
    if (rc < 0)
        return rc;
    azri_scan_space(s);
    if (c == ':')
        return azri_buf_puts(out, " ", err);
    if (c == ',')
        return new_line(out, *depth * indent, err);
    if (c != '{' && c != '[')
        return AZR_OK;
    if (s->text[s->at] == '}' || s->text[s->at] == ']') {
        begin = s->at++;
        azri_scan_space(s);
        return azri_buf_append(out, s->text + begin, 1, err);
    }
    return new_line(out, ++*depth * indent, err);
}

int azri_json_pretty(azri_buf *out, azri_span text, size_t indent,
                     azr_error *err)
{
    azri_span body = azri_json_body(text);
    azri_scanner s = azri_scan_begin(body);
    size_t depth = 0;
    int rc = AZR_OK;

    while (rc >= 0 && s.at < s.nbytes)
        rc = pretty_token(out, &s, &depth, indent, err);
    return rc;
}
