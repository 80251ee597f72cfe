/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads arrays that a manifest lists, ours or those of other implementations,
 * and compares shape, elements and (where the manifest has them) attributes.
 *
 *   reader DIRECTORY [RESULTS]
 *
 * RESULTS gets a line for each array: its id, a tab, and what was wrong or
 * nothing. Last line: `N passed, N failed`.
 */
#include "interop_common.h"

#include <json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_member(const json_object *o, const char *name)
{
    json_object *value;

    if (!json_object_object_get_ex(o, name, &value))
        return NULL;
    return json_object_get_string(value);
}

/* Element by element as text would be slower and say less: the first byte that
 * differs is enough to look there. */
static bool is_equal(char why[TEXT_MAX], const uint8_t *found, size_t n,
                     const char *raw)
{
    size_t wanted_nbytes;
    uint8_t *wanted = read_whole(raw, &wanted_nbytes);
    size_t i = 0;

    while (i < n && i < wanted_nbytes && found[i] == wanted[i])
        i++;
    free(wanted);
    if (i == n && i == wanted_nbytes)
        return true;
    text_of(why, "byte %zu differs (%zu of them, need %zu)", i, n,
            wanted_nbytes);
    return false;
}

static bool has_shape(char why[TEXT_MAX], const azr_array_info *info,
                      const char *wanted)
{
    char shape[TEXT_MAX], plain[TEXT_MAX];
    size_t n = 0;

    for (const char *p = wanted; *p; p++) {
        if (*p != ' ')
            plain[n++] = *p;
    }
    plain[n] = '\0';
    shape_text(shape, info->shape, info->rank);
    if (strcmp(shape, plain) == 0)
        return true;
    text_of(why, "shape is %s, need %s", shape, plain);
    return false;
}

/* NaN is no JSON for json-c's strict mode and is left to the peers. */
static bool has_attributes(char why[TEXT_MAX], azr_array *a, const char *wanted)
{
    azr_error err = AZR_ERROR_INIT;
    char *text = NULL;
    json_object *x, *y = json_tokener_parse(wanted);
    bool is_same;

    if (azr_array_attributes(a, &text, &err) < 0) {
        text_of(why, "%s", err.message);
        (void)json_object_put(y);
        return false;
    }
    x = json_tokener_parse(text);
    is_same = x && y && json_object_equal(x, y);
    if (!is_same && strstr(wanted, "NaN"))
        is_same = strstr(text, "NaN") && strstr(text, "-Infinity");
    if (!is_same)
        text_of(why, "attributes are %.1000s, need %.1000s", text, wanted);
    (void)json_object_put(x);
    (void)json_object_put(y);
    azr_free(text);
    return is_same;
}

static bool has_answer(char why[TEXT_MAX], azr_array *a, const char *answer)
{
    char wanted[TEXT_MAX];

    text_of(wanted, "{\"answer\": %s}", answer);
    return has_attributes(why, a, wanted);
}

static bool check(char why[TEXT_MAX], const char *dir, const json_object *o)
{
    char path[TEXT_MAX], raw[TEXT_MAX];
    const char *through = text_member(o, "through");
    const char *attributes = text_member(o, "attributes");
    azr_error err = AZR_ERROR_INIT;
    azr_array_info info = {.struct_size = sizeof info};
    azr_array *a = NULL;
    uint8_t *data = NULL;
    size_t nbytes;
    bool is_good = false;

    text_of(path, "%s/%s", dir, text_member(o, "path"));
    text_of(raw, "%s/%s", dir, through ? through : text_member(o, "raw"));
    if (azr_array_open(&a, path, NULL, &err) == AZR_OK &&
        azr_array_info_get(a, &info, &err) == AZR_OK)
        data = read_little(a, &info, &nbytes, &err);
    if (!data) {
        text_of(why, "%s: %s", azr_status_name(err.code), err.message);
        goto done;
    }
    is_good = has_shape(why, &info,
                        text_member(o, through ? "through_shape" : "shape")) &&
              is_equal(why, data, nbytes, raw);
    if (is_good && through)
        is_good = has_answer(why, a, text_member(o, "through_answer"));
    else if (is_good && attributes)
        is_good = has_attributes(why, a, attributes);
done:
    free(data);
    azr_array_close(a);
    return is_good;
}

typedef struct counts {
    unsigned passed, failed;
} counts;

static void check_line(counts *n, FILE *results, const char *dir, char *line)
{
    char why[TEXT_MAX] = "";
    json_object *o = json_tokener_parse(line);

    if (!o)
        die("a line of the manifest is not JSON: %.100s", line);
    if (check(why, dir, o)) {
        n->passed++;
        why[0] = '\0';
    } else {
        n->failed++;
        if (!results)
            printf("FAILED %s (%s): %s\n", text_member(o, "id"),
                   text_member(o, "path"), why);
    }
    if (results && fprintf(results, "%s\t%s\n", text_member(o, "id"), why) < 0)
        die("cannot write the results");
    (void)json_object_put(o);
}

int main(int argc, char **argv)
{
    char name[TEXT_MAX], *text, *rest, *line;
    FILE *results = NULL;
    counts n = {0, 0};
    size_t size;

    if (argc != 2 && argc != 3)
        die("usage: reader DIRECTORY [RESULTS]");
    if (argc == 3) {
        results = fopen(argv[2], "w");
        if (!results)
            die("cannot write %s", argv[2]);
    }
    text_of(name, "%s/manifest.jsonl", argv[1]);
    rest = text = (char *)read_whole(name, &size);
    while ((line = strsep(&rest, "\n"))) {
        if (*line)
            check_line(&n, results, argv[1], line);
    }
    free(text);
    if (results && fclose(results) != 0)
        die("cannot write %s", argv[2]);
    printf("%u passed, %u failed\n", n.passed, n.failed);
    return n.failed == 0 && n.passed > 0 ? 0 : 1;
}
