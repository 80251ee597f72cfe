/* SPDX-License-Identifier: Apache-2.0 */
/* What each act that changes something makes of the old picture: so that none passes
 * with half of what it is to do, or with something else. */
#include "fault/look.h"

#include <stdio.h>
#include <string.h>

typedef struct does {
    const char *acts; /* names, between blanks; without -power and -v2 */
    const char *place;
    /* In the line of that place afterwards, and not before; "!…": before, and not
     * afterwards. NULL: the place is gone. */
    const char *text;
} does;

#define WRITTEN_4                                                              \
    ": 1 2 1002 1003 1004 1005 1006 1007 1008 1009 1010 1011 1012 1013 15 16"
#define MADE  ": 0 0 0 0 0 0"
#define OF_A  "zstd: 1 2 3 4 5 6"
#define OF_B  "bytes: 1 2 3 4 5 6"
#define OF_X  "bytes: 101 102 103 104 105 106"
#define GROUP " group {"

static const does table[] = {
    /* arrays by themselves */
    {"create create-shared create-or-open-new create-given", "n", "array 46"},
    {"create-given", "n", ": 0 0 9 8 7 6 0 0"},
    {"replace", "b", MADE},
    {"write-1 write-by-chunk write-unlocked", "a",
     ": 1 2 3 4 1004 1005 1006 1007 9 10"},
    {"share write-4 write-4-shared write-4-kernel-locks write-4-gzip "
     "write-4-blosc write-4-lz4 write-table wait",
     "a", WRITTEN_4},
    {"write-from", "a", ": 1 2 0 1 2 3 4 5 6 7 8 9 10 11 15 16"},
    {"write-shape", "a", ": 1 2 6 7 8 9 7 8 9 10"},
    {"write-points", "a", ": 1 2 3 -1 5 6 7 8 9 -4 11 12 13 14 15 16 17 -3 19"},
    {"write-points", "a", " 39 40 -2 42 43 44 45 46"},
    {"write-lane write-record", "a", ": 1000 1001 1002 1003"},
    {"write-lane write-record", "a", " 1038 1039 41 42 43 44 45 46"},
    {"write-large", "big", ": 7 7 7 7 7 7"},
    {"write-large", "big", " 7 7 7 7\n"},
    {"fill", "a", ": 1 2 3 4 5 77 77 77 77 77 77 77 77 77 77 16 17"},
    {"delete", "a", ": 1 2 0 0 0 0 0 0 0 0 0 0 0 0 15 16"},
    {"update update-shape", "a", ": 1 2 103 104 105 106 7 8"},
    {"append", "a", "array 54"},
    {"append", "a", " 2000 2001 2002 2003 2004 2005 2006 2007\n"},
    {"grow", "a", "array 60"},
    {"grow", "a", " 0 0 0 0 0 0 0 0\n"},
    {"shrink", "a", "array 18"},
    {"shrink", "a", " 15 16 17 18\n"},
    {"attribute", "a", "degC"},
    {"durability", "a", "durability 1"},
    {"recover-rebuild", "a", OF_A},
    {"write-points-twice", "a",
     ": 1 2 3 -4 5 6 7 8 9 10 11 12 13 14 15 16 17 -3 19"},
    {"write-points-twice", "a", " 44 45 -1\n"},
    {"write-backwards", "a",
     ": 1 2 709 4 5 708 7 8 707 10 11 706 13 14 705 16 17 704 19 20 703"},
    {"update-of-shape", "a", " 40 41 42 43 44 45 46 47\n"},
    {"write-shared", "a", ": 1 2 3 4003 4004 4005"},
    {"write-shared", "a", " 4019 4020 22 23 24"},
    {"write-large-part", "big", " 0 0 0 0 0 1 2 3\n"},
    {"write-plain write-chunk", "b", ": 1 2 3 4 5 9005 9006 8 9"},
    {"zero-plain zero-chunk", "b", ": 1 2 3 4 5 6 7 8 0 0 0 0 13 14"},
    {"forget-attribute", "a", "!units"},

    /* transactions */
    {"transaction transaction-changes", "a", ": 1 2 5 5 5 5 5 5 5 5 11 12"},
    {"transaction transaction-changes", "b",
     ": 1 2 503 504 505 506 507 508 509 510 11 12"},
    {"transaction-changes", "a", "array 49"},
    {"transaction-changes", "a", "\"more\""},
    {"transaction-changes", "a", " 46 1 2 3\n"},
    {"transaction-changes", "b", "array 18"},
    {"transaction-create", "n", ": 0 0 9 9 9 9 0 0\n"},
    {"transaction-create", "a", ": 1 2 9 9 9 9 7 8"},
    {"transaction-run transaction-conflicts", "a", ": 1 2 4 4 5 6 7 8"},
    {"transaction-strided", "b", ": 1 2 0 0 0 0 0 0 0 0 0 0 0 1 15 16"},
    {"transaction-strided", "b", " 0 0 -1 -2 -3 -4 45 46\n"},
    {"append-all", "a", "array 49"},
    {"append-all", "a", " 45 46 31 32 33\n"},
    {"append-all", "b", "array 49"},
    {"append-all", "b", " 45 46 31 32 33\n"},
    {"opaque-create", "o", " [first] [] [the last]"},
    {"opaque-write", "o", " [another] [a new one] []"},
    {"opaque-shrink", "o", "array 6 "},
    {"opaque-shrink", "o", " [first] []\n"},
    {"move-chunks", "b", ": 1 2 3 4 5 6 7 8 5 6 7 8 0 0 0 0 17"},
    {"write-in-txn", "b", ": 1 2 5 5 5 612 611 610 609 608 607 606 605 604"},
    {"write-in-txn", "b", " 603 602 601 600 19 20"},
    {"change-below", "g/x", "array 49"},
    {"change-below", "g/x", "\"Pa\""},
    {"change-below", "g/x", " 145 146 1 2 3\n"},
    {"change-below", "a", "!units"},
    {"run-alike run-with-more run-with-attribute run-with-resize", "a",
     ": 1 2 103 4 14 15 7 8"},
    {"run-with-more run-with-resize", "a", " 19 20 7 8 23 24"},
    {"run-with-attribute", "a", "\"more\""},
    {"run-with-resize", "a", "array 30"},

    /* whole nodes */
    {"copy copy-a", "k", OF_A},
    {"copy-dead", "k", ": 1 2 1002 1003"},
    {"copy-group copy-group-too", "k", GROUP},
    {"copy-group copy-group-too", "k/x", OF_X},
    {"copy-into", "g/n", OF_A},
    {"copy-below", "g/n", OF_X},
    {"remove remove-rubbish remove-dead remove-by-force", "a", NULL},
    {"remove-group", "g", NULL},
    {"remove-group", "g/x", NULL},
    {"remove-below remove-below-too", "g/x", NULL},
    {"move move-into move-in", "a", NULL},
    {"move", "m", OF_A},
    {"move-group", "g", NULL},
    {"move-group", "g/x", NULL},
    {"move-group", "m", GROUP},
    {"move-group", "m/x", OF_X},
    {"move-below move-below-too move-out move-out-too", "g/x", NULL},
    {"move-below move-below-too", "g/n", OF_X},
    {"move-into move-in", "g/n", OF_A},
    {"move-out move-out-too", "m", OF_X},
    {"replace-node replace-nothing replace-group replace-below replace-a "
     "replace-no-node",
     "b", NULL},
    {"replace-node replace-a", "a", OF_B},
    {"replace-nothing", "m", OF_B},
    {"replace-no-node", "n", OF_B},
    {"replace-group", "g", OF_B},
    {"replace-group", "g/x", NULL},
    {"replace-below", "g/x", OF_B},
    {"replace-x", "a", NULL},
    {"replace-x", "g/x", OF_A},

    /* groups, and what is below them */
    {"group-create group-create-shared group-create-group group-create-above "
     "group-in-group",
     "g/h", GROUP},
    {"group-create-above", "g/h/y", "array 46"},
    {"group-replace", "g", " group {}"},
    {"group-replace make-group-anew", "g/x", NULL},
    {"make-group-anew", "g", "\"new\""},
    {"group-create-array array-in-group create-below create-below-too "
     "create-given-below",
     "g/n", "array 46"},
    {"create-given-below", "g/n", ": 0 0 9 8 7 6 0 0"},
    {"create-below-again create-over-below", "g/x", MADE},
    {"group-attribute group-attributes change-group", "g", "\"other\""},
    {"group-attributes change-group", "g", "\"more\""},
    {"group-attributes-all replace-attributes", "g", "\"all\""},
    {"group-attributes-all replace-attributes", "g", "!title"},
    {"append-below", "g/x", "array 54"},
    {"append-below", "g/x", " 2000 2001 2002 2003 2004 2005 2006 2007\n"},
    {"append-below-too append-both", "g/x", "array 49"},
    {"append-below-too", "g/x", " 146 1 2 3\n"},
    {"append-both", "a", "array 49"},
    {"append-both", "a", " 45 46 31 32 33\n"},
    {"append-both", "g/x", " 145 146 31 32 33\n"},
    {"grow-below", "g/x", "array 60"},
    {"resize-below", "g/x", "array 18"},
    {"attribute-below", "g/x", "degC"},
    {"forget-below", "g/x", "!units"},
};

/* Is the act one of these? */
static bool is_among(const char *names, const char *name, size_t n)
{
    const char *at = names;

    while ((at = strstr(at, name)) != NULL) {
        if ((at == names || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
        at++;
    }
    return false;
}

/* Without what makes of one act several. */
static void base_name(char out[64], const char *name)
{
    static const char *const ends[] = {"-power", "-v2"};
    size_t n;

    (void)snprintf(out, 64, "%s", name);
    n = strlen(out);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t m = strlen(ends[i]);

        if (n > m && strcmp(out + n - m, ends[i]) == 0)
            out[n - m] = '\0';
    }
}

/* The line of a place, with its end; "": there is none. */
static void line_of(char out[WORLD_TEXT], const char *picture, const char *name)
{
    char begin[64];
    const char *at, *end;

    (void)snprintf(begin, sizeof begin, "\n%s:", name);
    at = strstr(picture, begin);
    end = at ? strchr(at + 1, '\n') : NULL;
    (void)snprintf(out, WORLD_TEXT, "%.*s", end ? (int)(end - at) : 0,
                   at ? at + 1 : "");
}

static bool holds(const act *a, const does *d, const char *old_picture,
                  const char *new_picture)
{
    static char before[WORLD_TEXT], after[WORLD_TEXT];
    bool is_away = d->text && d->text[0] == '!';
    const char *text = is_away ? d->text + 1 : d->text;
    const char *has, *lacks;

    line_of(before, old_picture, d->place);
    line_of(after, new_picture, d->place);
    if (!text)
        return (before[0] != '\0' && after[0] == '\0') ||
               complain("%s: '%s' is not gone", a->name, d->place);
    has = is_away ? before : after;
    lacks = is_away ? after : before;
    return (strstr(has, text) && !strstr(lacks, text)) ||
           complain("%s: need '%s' of '%s', which was '%.300s' and is '%.300s'",
                    a->name, d->text, d->place, before, after);
}

bool act_does(const act *a, const char *old_picture, const char *new_picture)
{
    unsigned rows = 0;
    char name[64];

    if (!a->changes)
        return true;
    base_name(name, a->name);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (!is_among(table[i].acts, name, strlen(name)))
            continue;
        rows++;
        if (!holds(a, &table[i], old_picture, new_picture))
            return false;
    }
    return rows > 0 || complain("%s: nobody says what it does", a->name);
}
