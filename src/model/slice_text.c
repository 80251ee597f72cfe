/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NumPy slice syntax:
 *
 *   selection = [ "[" ] item *( "," item ) [ "," ] [ "]" ]
 *   item      = number | [number] ":" [number] [ ":" [number] ] | "..."
 *   number    = [ "-" ] 1*digit                 (ASCII, fits in 64 bits)
 *
 * with blanks between any two of these. A bracket needs its partner.
 */
#include "model/plan.h"

#include "base/checked.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define QUOTE_BEFORE 24 /* bytes quoted before the caret, and after it */
#define QUOTE_AFTER  24

struct reader {
    const char *text, *at;
    int rank;
    azr_error *err;
};

/* ------------------------------------------------------------- messages --- */

/* Append the text [from, to) with everything but printable ASCII as \xNN. */
static size_t quote_bytes(char *out, size_t used, size_t size, const char *from,
                          const char *to)
{
    for (; from < to && used + 5 < size; from++) {
        unsigned char c = (unsigned char)*from;

        if (c >= 0x20 && c < 0x7f)
            out[used++] = (char)c;
        else
            used += (size_t)snprintf(out + used, size - used, "\\x%02x", c);
    }
    out[used] = '\0';
    return used;
}

static size_t quote_text(char *out, size_t used, size_t size, const char *text)
{
    return quote_bytes(out, used, size, text, text + strlen(text));
}

/* Refuse the text: quote it with a caret in front of `place`. */
static int refuse(const struct reader *r, int sub, const char *place,
                  const char *what)
{
    size_t before = (size_t)(place - r->text);
    size_t after = strnlen(place, QUOTE_AFTER + 1);
    const char *from = r->text;
    char quote[4 * (QUOTE_BEFORE + QUOTE_AFTER) + 16];
    size_t used = 0;

    if (before > QUOTE_BEFORE) {
        from = place - QUOTE_BEFORE;
        used = quote_text(quote, used, sizeof quote, "...");
    }
    used = quote_bytes(quote, used, sizeof quote, from, place);
    used = quote_text(quote, used, sizeof quote, "^");
    if (after > QUOTE_AFTER) {
        used =
            quote_bytes(quote, used, sizeof quote, place, place + QUOTE_AFTER);
        (void)quote_text(quote, used, sizeof quote, "...");
    } else {
        (void)quote_text(quote, used, sizeof quote, place);
    }
    return azri_fail_sub(r->err, AZR_EINVAL, sub, "selection \"%s\": %s", quote,
                         what);
}

/* --------------------------------------------------------------- tokens --- */

static void skip_blanks(struct reader *r)
{
    while (*r->at == ' ' || *r->at == '\t')
        r->at++;
}

/* Take `c` and the blanks after it, if it is next. */
static bool take(struct reader *r, char c)
{
    if (*r->at != c)
        return false;
    r->at++;
    skip_blanks(r);
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A number if one is next: 1, 0 if there is none, or an error. */
static int take_number(struct reader *r, int64_t *out)
{
    const char *place = r->at;
    bool is_negative = *place == '-';
    int64_t value = 0;

    if (is_negative)
        r->at++;
    if (!is_digit(*r->at)) {
        if (is_negative)
            return refuse(r, AZR_SUB_ARGUMENT, r->at, "need a digit");
        return 0;
    }
    for (; is_digit(*r->at); r->at++) {
        int digit = *r->at - '0';

        /* towards its own sign, so that INT64_MIN fits too */
        if (azri_mul_i64(value, 10, &value) ||
            azri_add_i64(value, is_negative ? -digit : digit, &value))
            return refuse(r, AZR_SUB_RANGE, place,
                          "the number needs more than 64 bits");
    }
    skip_blanks(r);
    *out = value;
    return 1;
}

/* ---------------------------------------------------------------- items --- */

static void set_whole(azr_selection *s, int d)
{
    s->start[d] = 0;
    s->count[d] = AZR_NO_STOP;
    s->step[d] = 1;
}

/* The rest of a slice, behind its first colon; `place` is where it begins. */
static int read_slice(struct reader *r, azr_selection *s, int d,
                      const char *place)
{
    int64_t start = s->start[d], stop = AZR_NO_STOP, step = 1;
    int rc = take_number(r, &stop);

    if (rc < 0)
        return rc;
    if (take(r, ':')) {
        const char *step_place = r->at;

        rc = take_number(r, &step);
        if (rc < 0)
            return rc;
        if (step < 1)
            return refuse(r, AZR_SUB_RANGE, step_place,
                          "the step must be 1 or more");
    }
    /* one bound from each end: the shape decides */
    if ((start < 0) == (stop < 0) && start > stop)
        return refuse(r, AZR_SUB_RANGE, place, "start lies behind stop");
    s->count[d] = stop;
    s->step[d] = step;
    return AZR_OK;
}

/* One dimension: a slice or an integer. */
static int read_item(struct reader *r, azr_selection *s, int d)
{
    const char *place = r->at;
    int rc;

    set_whole(s, d);
    rc = take_number(r, &s->start[d]);
    if (rc < 0)
        return rc;
    if (take(r, ':'))
        return read_slice(r, s, d, place);
    if (rc == 0)
        return refuse(r, AZR_SUB_ARGUMENT, place,
                      "need a number, a slice or \"...\"");
    s->count[d] = 1;
    s->step[d] = 0;
    return AZR_OK;
}

/* Move the dimensions after an ellipsis at `hole` to the end, and make those
 * that it stands for whole. */
static void fill_hole(azr_selection *s, int hole, int have, int rank)
{
    int missing = rank - have;

    for (int d = have - 1; d >= hole; d--) {
        s->start[d + missing] = s->start[d];
        s->count[d + missing] = s->count[d];
        s->step[d + missing] = s->step[d];
    }
    for (int d = hole; d < hole + missing; d++)
        set_whole(s, d);
}

static int refuse_rank(const struct reader *r, const char *place)
{
    char what[64];

    (void)snprintf(what, sizeof what, "the array has %d dimension%s", r->rank,
                   r->rank == 1 ? "" : "s");
    return refuse(r, AZR_SUB_RANK, place, what);
}

static bool is_end(const struct reader *r)
{
    return *r->at == '\0' || *r->at == ']';
}

/* One item: an ellipsis sets *hole, any other one uses a dimension. */
static int read_next(struct reader *r, azr_selection *s, int *have, int *hole)
{
    if (strncmp(r->at, "...", 3) == 0) {
        if (*hole >= 0)
            return refuse(r, AZR_SUB_ARGUMENT, r->at, "\"...\" may stand once");
        *hole = *have;
        r->at += 3;
        skip_blanks(r);
        return AZR_OK;
    }
    if (*have < r->rank)
        return read_item(r, s, (*have)++);
    if (is_end(r))
        return refuse(r, AZR_SUB_ARGUMENT, r->at, "need \"...\"");
    return refuse_rank(r, r->at);
}

static int read_items(struct reader *r, azr_selection *s)
{
    int have = 0, hole = -1;
    int rc;

    do {
        rc = read_next(r, s, &have, &hole);
        if (rc < 0)
            return rc;
        /* a comma may stand at the end, as in Python */
    } while (take(r, ',') && !is_end(r));
    fill_hole(s, hole < 0 ? have : hole, have, r->rank);
    return AZR_OK;
}

int azr_selection_parse(azr_selection *out, int rank, const char *text,
                        azr_error *err)
{
    azr_selection s = azr_select_all(rank);
    struct reader r = {text, text, rank, err};
    bool has_bracket;
    int rc;

    azri_error_reset(err);
    if (!out || !text)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_ARGUMENT,
                             "selection: NULL");
    if (rank < 0 || rank > AZR_MAX_RANK)
        return azri_fail_sub(err, AZR_EINVAL, AZR_SUB_RANK,
                             "selection: rank %d, need 0 to %d", rank,
                             AZR_MAX_RANK);
    s.kind = AZR_SELECT_SLICES;
    skip_blanks(&r);
    has_bracket = take(&r, '[');
    rc = read_items(&r, &s);
    if (rc < 0)
        return rc;
    if (has_bracket && !take(&r, ']'))
        return refuse(&r, AZR_SUB_ARGUMENT, r.at, "need \",\" or \"]\"");
    if (*r.at != '\0')
        return refuse(&r, AZR_SUB_ARGUMENT, r.at,
                      has_bracket ? "need the end" : "need \",\" or the end");
    *out = s;
    return AZR_OK;
}
