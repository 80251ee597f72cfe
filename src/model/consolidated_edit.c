/* SPDX-License-Identifier: Apache-2.0 */
#include "model/consolidated_edit.h"

#include "model/consolidated.h"

#include <stdlib.h>
#include <string.h>

typedef struct editor {
    int format;
    const azri_edit *edits;
    size_t n;
    bool *found;      /* per edit: the object has such an entry */
    azri_span text;   /* the whole document */
    azri_span object; /* that holds the entries */
    size_t copied;    /* of `text`, up to here */
    size_t kept;      /* entries that stay or were put in */
    bool pretty;      /* it has lines */
    bool changed;
    azri_buf name;
    azri_buf *out;
    azr_error *err;
} editor;

static size_t place_of(const editor *e, const uint8_t *p)
{
    return (size_t)(p - e->text.data);
}

static int copy_up_to(editor *e, size_t end)
{
    int rc = AZR_OK;

    if (end > e->copied)
        rc = azri_buf_append(e->out, e->text.data + e->copied, end - e->copied,
                             e->err);
    e->copied = end;
    return rc;
}

static int by_key(const void *key, const void *edit)
{
    const azri_edit *e = edit;

    return strcmp(key, e->key);
}

/* The edit of the entry in hand, or NULL. */
static int edit_of(const azri_edit **out, editor *e, azri_span name)
{
    int rc;

    e->name.nbytes = 0;
    rc = azri_json_unquote(&e->name, name, e->err);
    if (rc >= 0)
        rc = azri_buf_terminate(&e->name, e->err);
    if (rc < 0)
        return rc;
    *out = bsearch(e->name.data, e->edits, e->n, sizeof *e->edits, by_key);
    if (*out && strlen((*out)->key) != e->name.nbytes)
        *out = NULL; /* a NUL in the name */
    return AZR_OK;
}

static bool is_exact(const char *key)
{
    size_t n = strlen(key);

    return n >= 7 && strcmp(key + n - 7, ".zattrs") == 0;
}

/* Each line after the first `deep` blanks further in. JSON has no line breaks
 * inside strings. */
static int put_deeper(azri_buf *out, azri_span text, int deep, azr_error *err)
{
    const uint8_t *from = text.data, *end = text.data + text.nbytes;
    int rc = AZR_OK;

    while (rc >= 0 && from < end) {
        const uint8_t *line = memchr(from, '\n', (size_t)(end - from));

        rc = azri_buf_append(out, from,
                             (size_t)((line ? line + 1 : end) - from), err);
        if (rc >= 0 && line)
            rc = azri_buf_printf(out, err, "%*s", deep, "");
        from = line ? line + 1 : end;
    }
    return rc;
}

/* The entry's value, in the style of the document. */
static int put_value(editor *e, azri_span document)
{
    azri_buf member = AZRI_BUF_INIT, pretty = AZRI_BUF_INIT;
    int rc = azri_consolidated_member(&member, e->format, document, e->err);

    if (rc >= 0 && !e->pretty)
        rc = azri_buf_append(e->out, member.data, member.nbytes, e->err);
    if (rc >= 0 && e->pretty) {
        rc = azri_json_pretty(&pretty, azri_buf_span(&member), 2, e->err);
        if (rc >= 0)
            rc = put_deeper(e->out, azri_buf_span(&pretty),
                            e->format == 2 ? 4 : 6, e->err);
    }
    azri_buf_dispose(&pretty);
    azri_buf_dispose(&member);
    e->changed = true;
    return rc;
}

/* One entry; its edit says what it must be. `gap`: where the gap before it, with
 * its comma, begins. */
static int pass_entry(editor *e, const azri_json_item *item, size_t gap)
{
    size_t value = place_of(e, item->value.data);
    const azri_edit *edit = NULL;
    bool agrees = true;
    int rc = edit_of(&edit, e, item->name);

    if (rc >= 0 && edit && edit->text.data)
        rc = azri_documents_agree(&agrees, edit->text, item->value,
                                  is_exact(edit->key), e->err);
    if (rc < 0)
        return rc;
    if (edit)
        e->found[edit - e->edits] = true;
    if (edit && !edit->text.data) { /* with the gap before it */
        rc = copy_up_to(e, gap);
        e->copied = value + item->value.nbytes;
        e->changed = true;
        return rc;
    }
    /* the first that stays has no comma before it */
    if (e->kept++ == 0 && e->text.data[gap] == ',') {
        rc = copy_up_to(e, gap);
        e->copied = gap + 1;
    }
    if (rc < 0 || agrees)
        return rc;
    rc = copy_up_to(e, value);
    e->copied = value + item->value.nbytes;
    return rc < 0 ? rc : put_value(e, edit->text);
}

static int put_new(editor *e, const azri_edit *edit)
{
    const char *gap = e->kept++ > 0 ? "," : "";
    int rc = azri_buf_puts(e->out, gap, e->err);

    if (rc >= 0 && e->pretty)
        rc = azri_buf_printf(e->out, e->err, "\n%*s", e->format == 2 ? 4 : 6,
                             "");
    if (rc >= 0)
        rc = azri_json_quote(e->out, edit->key, strlen(edit->key), e->err);
    if (rc >= 0)
        rc = azri_buf_puts(e->out, e->pretty ? ": " : ":", e->err);
    return rc < 0 ? rc : put_value(e, edit->text);
}

/* What has no entry yet goes last; `end`: of the last entry. */
static int put_all_new(editor *e, size_t end, bool empty)
{
    bool any = false;
    int rc = AZR_OK;

    for (size_t i = 0; i < e->n && rc >= 0; i++) {
        if (e->found[i] || !e->edits[i].text.data)
            continue;
        any = true;
        rc = copy_up_to(e, end);
        if (rc >= 0)
            rc = put_new(e, &e->edits[i]);
    }
    if (rc >= 0 && any && empty && e->pretty)
        rc = azri_buf_printf(e->out, e->err, "\n%*s", e->format == 2 ? 2 : 4,
                             "");
    return rc;
}

static int edit_all(editor *e)
{
    azri_json_walk walk = azri_json_begin(e->object);
    size_t base = place_of(e, e->object.data), end = base + walk.at;
    azri_json_item item;
    bool empty = true;
    int rc = AZR_OK;

    while (rc >= 0 && azri_json_next(&walk, &item)) {
        size_t gap = end;

        while (!empty && gap < e->text.nbytes && e->text.data[gap] != ',')
            gap++; /* behind blanks that may stand before the comma */
        rc = pass_entry(e, &item, gap);
        end = place_of(e, item.value.data) + item.value.nbytes;
        empty = false;
    }
    if (rc >= 0)
        rc = put_all_new(e, end, empty);
    if (rc >= 0)
        rc = copy_up_to(e, e->text.nbytes);
    return rc;
}

int azri_consolidated_edit(azri_buf *out, bool *changed, int zarr_format,
                           azri_span text, azri_span object,
                           const azri_edit *edits, size_t n, azr_error *err)
{
    editor e = {.format = zarr_format,
                .edits = edits,
                .n = n,
                .text = text,
                .object = object,
                .name = AZRI_BUF_INIT,
                .out = out,
                .err = err};
    int rc;

    e.pretty = memchr(text.data, '\n', text.nbytes) != NULL;
    e.found = azri_calloc(n, sizeof *e.found);
    if (!e.found)
        return azri_fail_nomem(err, n);
    rc = azri_buf_reserve(out, text.nbytes, err);
    if (rc >= 0)
        rc = edit_all(&e);
    if (rc >= 0 && !e.changed)
        out->nbytes = 0;
    if (rc >= 0 && out->nbytes > AZRI_JSON_MAX_NBYTES)
        rc = azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                           "the consolidated metadata would have %zu bytes, "
                           "at most %zu can be read",
                           out->nbytes, AZRI_JSON_MAX_NBYTES);
    *changed = e.changed;
    azri_buf_dispose(&e.name);
    azri_free(e.found);
    return rc;
}
