/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads arrays that a manifest lists, ours or those of other implementations,
 * and compares shape, elements and (where the manifest has them) attributes.
 *
 *   reader DIRECTORY
 *
 * Last line: `N passed, N failed`.
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

int main(int argc, char **argv)
{
    char name[TEXT_MAX], why[TEXT_MAX], *text, *rest, *line;
    unsigned passed = 0, failed = 0;
    size_t size;

    if (argc != 2)
        die("usage: reader DIRECTORY");
    text_of(name, "%s/manifest.jsonl", argv[1]);
    rest = text = (char *)read_whole(name, &size);
    while ((line = strsep(&rest, "\n"))) {
        json_object *o;

        if (!*line)
            continue;
        o = json_tokener_parse(line);
        if (!o)
            die("%s: a line is not JSON: %.100s", name, line);
        if (check(why, argv[1], o)) {
            passed++;
        } else {
            failed++;
            printf("FAILED %s (%s): %s\n", text_member(o, "id"),
                   text_member(o, "path"), why);
        }
        (void)json_object_put(o);
    }
    free(text);
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
}
