/* SPDX-License-Identifier: Apache-2.0 */
/* Append, resize, attributes and creation as parts of a transaction, and
 * azr_append_all: who sees what and when, what conflicts, what is refused. */
#include "small.h"

#include "os/sys.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LENGTH 6 /* in chunks of 4 */

typedef struct scene {
    char dir[64], data_path[96], time_path[96], made_path[96];
    azr_array *data, *time; /* with permission to write */
    azr_array *other;       /* another handle of `data` */
    azr_txn *t;
} scene;

static azr_error err;

static azr_array_spec spec_of(int format, int64_t length)
{
    azr_array_spec spec = small_line(format, length);

    spec.fill_value = "-1";
    return spec;
}

static azr_array *open_at(const char *path)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_array *a = NULL;

    o.flags = AZR_OPEN_WRITE;
    o.timeout_ms = 0;
    OK(azr_array_open(&a, path, &o, &err));
    return a;
}

static azr_array *make_at(const char *path, int format)
{
    azr_array_spec spec = spec_of(format, LENGTH);
    azr_selection all = azr_select_all(1);
    int32_t v[LENGTH] = {0, 1, 2, 3, 4, 5};
    azr_array *a = NULL;

    OK(azr_array_create(&a, path, &spec, NULL, &err));
    OK(azr_array_write(a, &all, v, sizeof v, &err));
    azr_array_close(a);
    return open_at(path);
}

static void begin_scene(scene *s, int format)
{
    memset(s, 0, sizeof *s);
    small_dir(s->dir, "changes");
    (void)snprintf(s->data_path, sizeof s->data_path, "%s/data", s->dir);
    (void)snprintf(s->time_path, sizeof s->time_path, "%s/time", s->dir);
    (void)snprintf(s->made_path, sizeof s->made_path, "%s/made", s->dir);
    s->data = make_at(s->data_path, format);
    s->time = make_at(s->time_path, format);
    s->other = open_at(s->data_path);
    OK(azr_txn_begin(&s->t, NULL, &err));
}

static void end_scene(scene *s)
{
    azr_txn_free(s->t);
    azr_array_close(s->data);
    azr_array_close(s->time);
    azr_array_close(s->other);
    small_dir_remove(s->dir);
}

static int64_t length_of(azr_array *a)
{
    azr_array_info info = {.struct_size = sizeof info};

    OK(azr_array_info_get(a, &info, &err));
    return info.shape[0];
}

static int32_t value_at(azr_array *a, int64_t i)
{
    azr_selection s = AZR_BOX(1, {i}, {1});
    int32_t v = 12345;

    OK(azr_array_read(a, &s, &v, sizeof v, &err));
    return v;
}

static int32_t txn_value_at(azr_txn *t, azr_array *a, int64_t i)
{
    azr_selection s = AZR_BOX(1, {i}, {1});
    int32_t v = 12345;

    OK(azr_txn_read(t, a, &s, &v, sizeof v, &err));
    return v;
}

static int append(azr_txn *t, azr_array *a, int32_t v, int64_t n)
{
    int32_t values[16];

    for (int64_t i = 0; i < n; i++)
        values[i] = v;
    return azr_txn_append(t, a, 0, n, values, (size_t)n * sizeof v, NULL, &err);
}

/* Blanks and lines apart; the text is freed. */
static void assert_json(char *text, const char *expected)
{
    size_t n = 0;

    for (size_t i = 0; text[i]; i++) {
        if (text[i] != ' ' && text[i] != '\n')
            text[n++] = text[i];
    }
    text[n] = '\0';
    assert_string_equal(text, expected);
    azr_free(text);
}

static void assert_attribute(azr_array *a, const char *expected)
{
    char *text = NULL;

    OK(azr_array_attributes(a, &text, &err));
    assert_json(text, expected);
}

static void assert_txn_attribute(azr_txn *t, azr_array *a, const char *expected)
{
    char *text = NULL;

    OK(azr_txn_attributes(t, a, &text, &err));
    assert_json(text, expected);
}

static bool is_there(const char *path)
{
    azr_array *a = NULL;
    int rc = azr_array_open(&a, path, NULL, &err);

    azr_array_close(a);
    assert_true(rc == AZR_OK || rc == AZR_ENOTFOUND);
    return rc == AZR_OK;
}

/* ------------------------------------------------------- all or nothing --- */

static void change_everything(scene *s, azr_array **made, int format)
{
    azr_array_spec spec = spec_of(format, 10);
    azr_selection some = AZR_BOX(1, {3}, {4});
    int32_t v[4] = {70, 71, 72, 73};

    spec.attributes = "{\"unit\": \"m\"}";
    OK(append(s->t, s->data, 8, 3));
    OK(append(s->t, s->time, 9, 3));
    OK(append(s->t, s->time, 10, 1));
    OK(azr_txn_set_attribute(s->t, s->time, "steps", "10", &err));
    OK(azr_txn_set_attribute(s->t, s->time, "gone", "1", &err));
    OK(azr_txn_set_attribute(s->t, s->time, "gone", NULL, &err));
    OK(azr_txn_create_array(s->t, made, s->made_path, &spec, NULL, &err));
    OK(azr_txn_write(s->t, *made, &some, v, sizeof v, &err));
    OK(append(s->t, *made, 74, 2));
    OK(azr_txn_set_attribute(s->t, *made, "made", "true", &err));
}

static void check_inside(scene *s, azr_array *made)
{
    int64_t shape = 0;

    OK(azr_txn_shape(s->t, s->time, &shape, &err));
    assert_int_equal(shape, LENGTH + 4);
    assert_int_equal(txn_value_at(s->t, s->time, -1), 10);
    assert_int_equal(txn_value_at(s->t, s->data, LENGTH + 2), 8);
    assert_int_equal(txn_value_at(s->t, s->data, 5), 5);
    assert_txn_attribute(s->t, s->time, "{\"steps\":10}");
    assert_txn_attribute(s->t, s->data, "{}");
    assert_txn_attribute(s->t, made, "{\"unit\":\"m\",\"made\":true}");
    assert_int_equal(txn_value_at(s->t, made, 2), -1);
    assert_int_equal(txn_value_at(s->t, made, 6), 73);
    assert_int_equal(txn_value_at(s->t, made, 11), 74);
}

static void all_or_nothing(int format)
{
    azr_selection first = AZR_BOX(1, {0}, {1});
    azr_array *made = NULL;
    int32_t v;
    scene s;

    begin_scene(&s, format);
    change_everything(&s, &made, format);
    check_inside(&s, made);
    /* to others nothing has happened */
    assert_int_equal(length_of(s.other), LENGTH);
    assert_int_equal(length_of(s.time), LENGTH);
    assert_false(is_there(s.made_path));
    FAILS(azr_array_read(made, &first, &v, sizeof v, &err), AZR_ENOTFOUND);
    FAILS(azr_array_write(made, &first, &v, sizeof v, &err), AZR_ENOTFOUND);

    OK(azr_txn_commit(s.t, &err));
    assert_int_equal(length_of(s.other), LENGTH + 3);
    assert_int_equal(value_at(s.other, 5), 5);
    assert_int_equal(value_at(s.other, LENGTH + 2), 8);
    assert_int_equal(length_of(s.time), LENGTH + 4);
    assert_int_equal(value_at(s.time, LENGTH + 3), 10);
    assert_attribute(s.time, "{\"steps\":10}");
    assert_int_equal(length_of(made), 12);
    assert_int_equal(value_at(made, 2), -1);
    assert_int_equal(value_at(made, 3), 70);
    OK(azr_array_fill(made, &first, &(int32_t){5}, sizeof v, &err));
    azr_array_close(made);
    made = open_at(s.made_path);
    assert_int_equal(value_at(made, 0), 5);
    assert_int_equal(value_at(made, 11), 74);
    assert_attribute(made, "{\"unit\":\"m\",\"made\":true}");
    azr_array_close(made);
    end_scene(&s);
}

static void test_all_at_once(void **state)
{
    (void)state;
    all_or_nothing(3);
}

static void test_all_at_once_v2(void **state)
{
    (void)state;
    all_or_nothing(2);
}

/* The handle that it gave out says why; another array, of another rank even, can
 * be made there. */
static void test_given_up(void **state)
{
    azr_selection first = AZR_BOX(1, {0}, {1});
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_array *made = NULL, *again = NULL;
    int32_t v;
    scene s;

    (void)state;
    begin_scene(&s, 3);
    change_everything(&s, &made, 3);
    azr_txn_free(s.t);
    s.t = NULL;
    assert_int_equal(length_of(s.data), LENGTH);
    assert_int_equal(length_of(s.time), LENGTH);
    assert_attribute(s.time, "{}");
    assert_false(is_there(s.made_path));
    FAILS(azr_array_read(made, &first, &v, sizeof v, &err), AZR_ENOTFOUND);
    assert_non_null(strstr(err.message, "has not been committed"));
    azr_array_close(made);
    spec.rank = 2;
    spec.dtype = AZR_INT8;
    spec.shape[0] = spec.shape[1] = 3;
    spec.chunks[0] = spec.chunks[1] = 3;
    OK(azr_array_create(&again, s.made_path, &spec, NULL, &err));
    azr_array_close(again);
    end_scene(&s);
}

/* -------------------------------------------------------------- reshaping --- */

/* What was cut off stays away although the array grows again, whether it stood on
 * the disk or only in the transaction. */
static void test_cut_and_grown(void **state)
{
    azr_selection all = azr_select_all(1);
    int32_t v[10];
    scene s;

    (void)state;
    begin_scene(&s, 3);
    OK(append(s.t, s.data, 8, 4));
    OK(azr_txn_resize(s.t, s.data, 1, &(int64_t){2}, &err));
    OK(azr_txn_resize(s.t, s.data, 1, &(int64_t){10}, &err));
    OK(azr_txn_read(s.t, s.data, &all, v, sizeof v, &err));
    assert_int_equal(v[1], 1);
    for (int i = 2; i < 10; i++)
        assert_int_equal(v[i], -1);
    OK(azr_txn_commit(s.t, &err));
    OK(azr_array_read(s.other, &all, v, sizeof v, &err));
    assert_int_equal(v[1], 1);
    for (int i = 2; i < 10; i++)
        assert_int_equal(v[i], -1);
    end_scene(&s);
}

/* Chunks that others make beyond the cut before it is committed go as well. */
static void test_cut_takes_all(void **state)
{
    azr_selection last = AZR_BOX(1, {5}, {1});
    scene s;

    (void)state;
    begin_scene(&s, 3);
    OK(azr_txn_resize(s.t, s.data, 1, &(int64_t){3}, &err));
    OK(azr_array_fill(s.other, &last, &(int32_t){99}, 4, &err));
    OK(azr_txn_commit(s.t, &err));
    assert_int_equal(length_of(s.other), 3);
    OK(azr_array_resize(s.other, 1, &(int64_t){LENGTH}, &err));
    assert_int_equal(value_at(s.other, 2), 2);
    assert_int_equal(value_at(s.other, 3), -1);
    assert_int_equal(value_at(s.other, 5), -1);
    end_scene(&s);
}

static void test_arguments(void **state)
{
    int64_t shape[2] = {1, -1};
    int32_t v = 0;
    azr_array *made = NULL;
    azr_array_spec spec = spec_of(3, 4);
    scene s;

    (void)state;
    begin_scene(&s, 3);
    FAILS(azr_txn_append(s.t, s.data, 1, 1, &v, 4, NULL, &err), AZR_EINVAL);
    FAILS(azr_txn_append(s.t, s.data, 0, -1, &v, 4, NULL, &err), AZR_EINVAL);
    FAILS(azr_txn_append(s.t, s.data, 0, 2, &v, 4, NULL, &err), AZR_EINVAL);
    FAILS(azr_txn_resize(s.t, s.data, 2, shape, &err), AZR_EINVAL);
    FAILS(azr_txn_resize(s.t, s.data, 1, shape + 1, &err), AZR_EINVAL);
    FAILS(azr_txn_set_attribute(s.t, s.data, "x", "{", &err), AZR_EINVAL);
    FAILS(azr_txn_create_array(s.t, &made, s.time_path, &spec, NULL, &err),
          AZR_EEXISTS);
    spec.chunks[0] = -3;
    FAILS(azr_txn_create_array(s.t, &made, s.made_path, &spec, NULL, &err),
          AZR_EINVAL);
    assert_null(made);
    OK(azr_txn_append(s.t, s.data, 0, 0, NULL, 0, NULL, &err));
    OK(azr_txn_commit(s.t, &err)); /* nothing of it has spoiled anything */
    assert_int_equal(length_of(s.data), LENGTH);
    end_scene(&s);
}

/* --------------------------------------------------------------- conflicts --- */

static void test_two_appends(void **state)
{
    scene s;

    (void)state;
    begin_scene(&s, 3);
    OK(append(s.t, s.data, 8, 1));
    OK(append(s.t, s.time, 8, 1));
    OK(azr_array_append(s.other, 0, 1, &(int32_t){9}, 4, NULL, &err));
    FAILS(azr_txn_commit(s.t, &err), AZR_ECONFLICT);
    assert_int_equal(length_of(s.data), LENGTH + 1);
    assert_int_equal(length_of(s.time), LENGTH);
    end_scene(&s);
}

static void test_two_attributes(void **state)
{
    (void)state;
    for (int format = 2; format <= 3; format++) {
        scene s;

        begin_scene(&s, format);
        OK(azr_txn_set_attribute(s.t, s.data, "a", "1", &err));
        OK(azr_array_attribute_set(s.other, "b", "2", &err));
        FAILS(azr_txn_commit(s.t, &err), AZR_ECONFLICT);
        assert_attribute(s.data, "{\"b\":2}");
        end_scene(&s);
    }
}

/* The document has moved: what does not fit the one of before is a conflict, not
 * the caller's fault. */
static void test_moved_document(void **state)
{
    azr_selection beyond = AZR_BOX(1, {LENGTH}, {1});
    int64_t shape;
    int32_t v;
    scene s;

    (void)state;
    begin_scene(&s, 3);
    OK(azr_txn_shape(s.t, s.data, &shape, &err));
    OK(azr_array_append(s.other, 0, 1, &(int32_t){9}, 4, NULL, &err));
    FAILS(azr_txn_read(s.t, s.data, &beyond, &v, sizeof v, &err),
          AZR_ECONFLICT);
    FAILS(azr_txn_write(s.t, s.data, &beyond, &v, sizeof v, &err),
          AZR_ECONFLICT);
    FAILS(azr_txn_commit(s.t, &err), AZR_ECONFLICT);
    end_scene(&s);
}

static void test_two_creators(void **state)
{
    azr_array_spec spec = spec_of(3, 4);
    azr_array *made = NULL, *theirs = NULL;
    scene s;

    (void)state;
    begin_scene(&s, 3);
    OK(append(s.t, s.data, 8, 1));
    OK(azr_txn_create_array(s.t, &made, s.made_path, &spec, NULL, &err));
    OK(azr_array_create(&theirs, s.made_path, &spec, NULL, &err));
    FAILS(azr_txn_commit(s.t, &err), AZR_EEXISTS);
    assert_int_equal(length_of(s.data), LENGTH);
    assert_int_equal(length_of(theirs), 4);
    azr_array_close(theirs);
    azr_txn_free(s.t);
    s.t = NULL;
    azr_array_close(made);
    end_scene(&s);
}

/* A group that came meanwhile stands in the way of it too. */
static void test_group_came_first(void **state)
{
    azr_array_spec spec = spec_of(3, 4);
    azr_array *made = NULL;
    azr_group *group = NULL;
    scene s;

    (void)state;
    begin_scene(&s, 3);
    OK(azr_txn_create_array(s.t, &made, s.made_path, &spec, NULL, &err));
    OK(azr_group_create(&group, s.made_path, NULL, NULL, &err));
    FAILS(azr_txn_commit(s.t, &err), AZR_EEXISTS);
    azr_group_close(group);
    azr_txn_free(s.t);
    s.t = NULL;
    azr_array_close(made);
    end_scene(&s);
}

/* Its body is disturbed each time, until the locks are taken before it runs. */
typedef struct attempt {
    scene *s;
    int times;
    azr_array *made;
} attempt;

static int disturbed(azr_txn *t, void *arg, azr_error *e)
{
    attempt *at = arg;
    azr_array_spec spec = spec_of(3, 4);
    int rc = azr_txn_append(t, at->s->time, 0, 1, &(int32_t){7}, 4, NULL, e);

    if (rc == AZR_OK)
        rc = azr_txn_append(t, at->s->data, 0, 1, &(int32_t){7}, 4, NULL, e);
    azr_array_close(at->made);
    at->made = NULL;
    if (rc == AZR_OK)
        rc = azr_txn_create_array(t, &at->made, at->s->made_path, &spec, NULL,
                                  e);
    at->times++;
    if (rc == AZR_OK) {
        int by =
            azr_array_append(at->s->other, 0, 1, &(int32_t){9}, 4, NULL, NULL);

        assert_int_equal(by, at->times > 3 ? AZR_EBUSY : AZR_OK);
    }
    return rc;
}

/* In conflict, and what it read cannot be remembered for the next try. */
static int short_of_memory(azr_txn *t, void *arg, azr_error *e)
{
    scene *s = arg;
    int64_t shape[1];
    int rc = azr_txn_shape(t, s->data, shape, e);

    if (rc < 0)
        return rc;
    azr_set_memory_cap(1);
    e->code = AZR_ECONFLICT;
    (void)snprintf(e->message, sizeof e->message, "somebody was faster");
    return AZR_ECONFLICT;
}

static void test_run_without_memory(void **state)
{
    scene s;

    (void)state;
    begin_scene(&s, 3);
    FAILS(azr_txn_run(short_of_memory, &s, NULL, &err), AZR_ENOMEM);
    azr_set_memory_cap(0);
    assert_non_null(strstr(err.message, "memory"));
    end_scene(&s);
}

static void test_run_gets_through(void **state)
{
    attempt at = {.times = 0};
    scene s;

    (void)state;
    begin_scene(&s, 3);
    at.s = &s;
    OK(azr_txn_run(disturbed, &at, NULL, &err));
    assert_int_equal(at.times, 4);
    assert_int_equal(length_of(s.data), LENGTH + 4);
    assert_int_equal(value_at(s.data, LENGTH + 3), 7);
    assert_int_equal(length_of(s.time), LENGTH + 1);
    assert_int_equal(length_of(at.made), 4);
    azr_array_close(at.made);
    end_scene(&s);
}

/* ------------------------------------------------------ documents as text --- */

#define TEXT_3                                                                 \
    "{\"zarr_format\":3,\"node_type\":\"array\",\"shape\":[10],"               \
    "\"data_type\":\"%s\",\"chunk_grid\":{\"name\":\"regular\","               \
    "\"configuration\":{\"chunk_shape\":[4]}},\"chunk_key_encoding\":"         \
    "{\"name\":\"default\"},\"fill_value\":-1,  \"codecs\":[{\"name\":"        \
    "\"bytes\",\"configuration\":{\"endian\":\"little\"}}],"                   \
    "\"attributes\":{\"unit\":\"m\"}}\n"
#define TEXT_2                                                                 \
    "{\"zarr_format\":2,\"shape\":[10],\"chunks\":[4],\"dtype\":\"%s\","       \
    "\"fill_value\":-1,\"order\":\"C\",\"filters\":null,  "                    \
    "\"compressor\":null}"

static void assert_file(const char *dir, const char *name, const char *wanted)
{
    char path[128], text[1024];
    size_t n;
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "re");
    assert_non_null(f);
    n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    (void)fclose(f);
    assert_string_equal(text, wanted);
}

static azr_array_text text_of(char document[1024], int format, const char *type)
{
    azr_array_text text = AZR_ARRAY_TEXT_INIT;

    (void)snprintf(document, 1024, format == 3 ? TEXT_3 : TEXT_2, type);
    text.zarr_format = format;
    text.document = document;
    text.attributes = format == 2 ? "{\"unit\":\"m\"}" : NULL;
    return text;
}

/* Byte for byte, together with a change of another array. */
static void created_from(int format, const char *type)
{
    azr_selection some = AZR_BOX(1, {3}, {4});
    int32_t v[4] = {70, 71, 72, 73};
    char document[1024];
    azr_array_text text = text_of(document, format, type);
    azr_array *made = NULL;
    scene s;

    begin_scene(&s, format);
    OK(append(s.t, s.data, 8, 3));
    OK(azr_txn_create_from(s.t, &made, s.made_path, &text, NULL, &err));
    OK(azr_txn_write(s.t, made, &some, v, sizeof v, &err));
    assert_txn_attribute(s.t, made, "{\"unit\":\"m\"}");
    assert_int_equal(txn_value_at(s.t, made, 2), -1);
    assert_false(is_there(s.made_path));
    OK(azr_txn_commit(s.t, &err));
    assert_file(s.made_path, format == 3 ? "zarr.json" : ".zarray", document);
    if (format == 2)
        assert_file(s.made_path, ".zattrs", text.attributes);
    assert_int_equal(value_at(made, 6), 73);
    assert_int_equal(value_at(made, 9), -1);
    assert_int_equal(length_of(s.other), LENGTH + 3);
    azr_array_close(made);
    end_scene(&s);
}

static void test_created_from_text(void **state)
{
    (void)state;
    created_from(3, "int32");
    created_from(2, "<i4");
}

/* Of a type that we do not know, by its chunks as they are stored. */
static void created_opaque(int format, const char *type)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    char document[1024], *bytes = NULL;
    azr_array_text text = text_of(document, format, type);
    azr_array *made = NULL;
    size_t n = 0;
    scene s;

    begin_scene(&s, format);
    FAILS(azr_txn_create_from(s.t, &made, s.made_path, &text, NULL, &err),
          AZR_EUNSUPPORTED);
    assert_non_null(strstr(err.message, s.made_path));
    o.flags = AZR_OPEN_OPAQUE;
    OK(azr_txn_create_from(s.t, &made, s.made_path, &text, &o, &err));
    OK(azr_txn_write_chunk(s.t, made, (int64_t[]){1}, "encoded", 7, &err));
    OK(azr_txn_read_chunk(s.t, made, (int64_t[]){1}, (void **)&bytes, &n,
                          &err));
    assert_int_equal(n, 7);
    azr_free(bytes);
    OK(azr_txn_read_chunk(s.t, made, (int64_t[]){0}, (void **)&bytes, &n,
                          &err));
    assert_null(bytes);
    OK(append(s.t, s.data, 8, 3));
    OK(azr_txn_commit(s.t, &err));
    assert_file(s.made_path, format == 3 ? "zarr.json" : ".zarray", document);
    assert_file(s.made_path, format == 3 ? "c/1" : "1", "encoded");
    assert_int_equal(length_of(s.other), LENGTH + 3);
    azr_array_close(made);
    end_scene(&s);
}

static void test_created_opaque(void **state)
{
    (void)state;
    created_opaque(3, "string");
    created_opaque(2, "|S7");
}

static void test_bad_text(void **state)
{
    char document[1024];
    azr_array_text text = text_of(document, 3, "int32");
    azr_array *made = NULL;
    scene s;

    (void)state;
    begin_scene(&s, 3);
    text.document = "{\"zarr_format\":3,";
    FAILS(azr_txn_create_from(s.t, &made, s.made_path, &text, NULL, &err),
          AZR_ECORRUPT);
    assert_non_null(strstr(err.message, s.made_path));
    text.document = NULL;
    FAILS(azr_txn_create_from(s.t, &made, s.made_path, &text, NULL, &err),
          AZR_EINVAL);
    text = text_of(document, 2, "<i4");
    text.attributes = "[1]";
    FAILS(azr_txn_create_from(s.t, &made, s.made_path, &text, NULL, &err),
          AZR_ECORRUPT);
    text = text_of(document, 3, "int32");
    text.zarr_format = 7;
    FAILS(azr_txn_create_from(s.t, &made, s.made_path, &text, NULL, &err),
          AZR_EINVAL);
    text = text_of(document, 3, "int32");
    text.durability = 2;
    FAILS(azr_txn_create_from(s.t, &made, s.made_path, &text, NULL, &err),
          AZR_EINVAL);
    text.struct_size = 4;
    FAILS(azr_txn_create_from(s.t, &made, s.made_path, &text, NULL, &err),
          AZR_EINVAL);
    assert_int_not_equal(access(s.made_path, F_OK), 0); /* nothing was made */
    OK(append(s.t, s.data, 8, 3));                      /* and it goes on */
    OK(azr_txn_commit(s.t, &err));
    assert_int_equal(length_of(s.data), LENGTH + 3);
    end_scene(&s);
}

/* ---------------------------------------------------------------- the dead --- */

static struct azri_sys dying_sys;

static void dying_store64(const char *what, _Atomic uint64_t *p, uint64_t value)
{
    azri_sys_posix.store64(what, p, value);
    if (strcmp(what, "row.committed") == 0)
        _exit(42);
}

/* Of an array whose creator died at the commit the document stands in a row; it is
 * found there, by readers and writers, and in the way of another creator. */
static void created_by_the_dead(int format, bool with_another)
{
    azr_array_spec spec = spec_of(format, 4), square = spec;
    azr_array *made = NULL;
    int status;
    pid_t pid;
    scene s;

    begin_scene(&s, 3);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        azr_txn *t = NULL;
        int rc = azr_txn_begin(&t, NULL, &err);

        spec.attributes = "{\"x\":1}";
        if (rc == AZR_OK)
            rc = azr_txn_create_array(t, &made, s.made_path, &spec, NULL, &err);
        if (rc == AZR_OK)
            rc = append(t, made, 6, 2);
        if (rc == AZR_OK && with_another)
            rc = append(t, s.data, 6, 2);
        dying_sys = azri_sys_posix;
        dying_sys.store64 = dying_store64;
        azri_sys = &dying_sys;
        _exit(rc < 0 ? 1 : azr_txn_commit(t, &err) < 0 ? 2 : 3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 42);
    OK(azr_array_open(&made, s.made_path, NULL, &err));
    assert_int_equal(value_at(made, 5), 6);
    assert_attribute(made, "{\"x\":1}");
    azr_array_close(made);
    square.rank = 2;
    square.shape[1] = square.chunks[1] = 4;
    FAILS(azr_array_create(&made, s.made_path, &square, NULL, &err),
          AZR_EEXISTS);
    made = open_at(s.made_path);
    assert_int_equal(value_at(made, 5), 6);
    azr_array_close(made);
    if (with_another)
        assert_int_equal(length_of(s.data), LENGTH + 2);
    end_scene(&s);
}

static void test_created_by_the_dead(void **state)
{
    (void)state;
    created_by_the_dead(3, false);
    created_by_the_dead(3, true);
    created_by_the_dead(2, false);
    created_by_the_dead(2, true);
}

/* -------------------------------------------------------------- append_all --- */

static void test_append_all(void **state)
{
    int32_t v[3] = {20, 21, 22};
    azr_append_part p[2] = {AZR_APPEND_PART_INIT, AZR_APPEND_PART_INIT};
    scene s;

    (void)state;
    begin_scene(&s, 3);
    p[0].array = s.data;
    p[1].array = s.time;
    for (int k = 0; k < 2; k++) {
        p[k].src = v;
        p[k].length = 3;
        p[k].src_nbytes = sizeof v;
    }
    OK(azr_append_all(p, 2, NULL, &err));
    assert_int_equal(p[0].offset, LENGTH);
    p[0].length = 0;
    p[0].src_nbytes = 0;
    OK(azr_append_all(p, 2, NULL, &err));
    assert_int_equal(p[0].offset, LENGTH + 3);
    assert_int_equal(p[1].offset, LENGTH + 3);
    assert_int_equal(length_of(s.other), LENGTH + 3);
    assert_int_equal(value_at(s.other, LENGTH + 2), 22);
    assert_int_equal(length_of(s.time), LENGTH + 6);
    OK(azr_append_all(NULL, 0, NULL, &err));
    end_scene(&s);
}

/* Who has read attributes depends on them, whatever else he writes. */
static void attributes_are_read(int format, bool write)
{
    azr_selection first = AZR_BOX(1, {0}, {1});
    int32_t v = 77;
    scene s;

    begin_scene(&s, format);
    OK(azr_array_attribute_set(s.other, "x", "1", &err));
    assert_txn_attribute(s.t, s.data, "{\"x\":1}");
    OK(azr_array_attribute_set(s.other, "x", "2", &err));
    if (write)
        OK(azr_txn_write(s.t, s.time, &first, &v, sizeof v, &err));
    FAILS(azr_txn_commit(s.t, &err), AZR_ECONFLICT);
    assert_int_equal(value_at(s.time, 0), 0);
    azr_txn_free(s.t);
    s.t = NULL;

    OK(azr_txn_begin(&s.t, NULL, &err));
    assert_txn_attribute(s.t, s.data, "{\"x\":2}");
    OK(azr_txn_set_attribute(s.t, s.data, "y", "3", &err));
    assert_txn_attribute(s.t, s.data, "{\"x\":2,\"y\":3}");
    OK(azr_txn_write(s.t, s.time, &first, &v, sizeof v, &err));
    OK(azr_txn_commit(s.t, &err));
    assert_attribute(s.data, "{\"x\":2,\"y\":3}");
    assert_int_equal(value_at(s.time, 0), 77);
    end_scene(&s);
}

static void test_attributes_are_read(void **state)
{
    (void)state;
    for (int format = 2; format <= 3; format++) {
        attributes_are_read(format, false);
        attributes_are_read(format, true);
    }
}

/* Every second element, backwards. */
static void test_memory_of_any_strides(void **state)
{
    azr_selection all = AZR_BOX(1, {0}, {LENGTH});
    int32_t v[2 * LENGTH] = {0}, back[2 * LENGTH] = {0};
    azr_memory m = {.struct_size = sizeof m,
                    .rank = 1,
                    .data = v,
                    .nbytes = sizeof v,
                    .offset = sizeof v - 2 * sizeof *v,
                    .strides = {-2 * (int64_t)sizeof *v}};
    scene s;

    (void)state;
    begin_scene(&s, 3);
    for (int32_t i = 0; i < LENGTH; i++)
        v[2 * i] = 100 + i;
    OK(azr_txn_write_from(s.t, s.data, &all, &m, &err));
    assert_int_equal(txn_value_at(s.t, s.data, 0), 100 + LENGTH - 1);
    m.data = back;
    OK(azr_txn_read_into(s.t, s.data, &all, &m, &err));
    assert_memory_equal(back, v, sizeof v);
    m.struct_size = 1;
    FAILS(azr_txn_read_into(s.t, s.data, &all, &m, &err), AZR_EINVAL);
    FAILS(azr_txn_write_from(s.t, s.data, &all, &m, &err), AZR_EINVAL);
    OK(azr_txn_commit(s.t, &err));
    assert_int_equal(value_at(s.data, LENGTH - 1), 100);
    end_scene(&s);
}

static void test_append_all_refuses(void **state)
{
    int32_t v[3] = {20, 21, 22};
    azr_append_part p[2] = {AZR_APPEND_PART_INIT, AZR_APPEND_PART_INIT};
    scene s;

    (void)state;
    begin_scene(&s, 3);
    for (int k = 0; k < 2; k++) {
        p[k].array = s.data;
        p[k].src = v;
        p[k].length = 3;
        p[k].src_nbytes = sizeof v;
    }
    FAILS(azr_append_all(p, 2, NULL, &err), AZR_EINVAL);
    p[1].array = s.other;
    FAILS(azr_append_all(p, 2, NULL, &err), AZR_EINVAL);
    p[1].array = s.time;
    p[1].axis = 1;
    FAILS(azr_append_all(p, 2, NULL, &err), AZR_EINVAL);
    p[1].axis = 0;
    p[1].src_nbytes = 4;
    FAILS(azr_append_all(p, 2, NULL, &err), AZR_EINVAL);
    p[1].struct_size = 1;
    FAILS(azr_append_all(p, 2, NULL, &err), AZR_EINVAL);
    assert_int_equal(length_of(s.other), LENGTH);
    assert_int_equal(length_of(s.time), LENGTH);
    end_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_all_at_once_v2),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_cut_and_grown),
        cmocka_unit_test(test_cut_takes_all),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_two_appends),
        cmocka_unit_test(test_two_attributes),
        cmocka_unit_test(test_moved_document),
        cmocka_unit_test(test_two_creators),
        cmocka_unit_test(test_group_came_first),
        cmocka_unit_test(test_run_gets_through),
        cmocka_unit_test(test_run_without_memory),
        cmocka_unit_test(test_created_from_text),
        cmocka_unit_test(test_created_opaque),
        cmocka_unit_test(test_bad_text),
        cmocka_unit_test(test_created_by_the_dead),
        cmocka_unit_test(test_attributes_are_read),
        cmocka_unit_test(test_memory_of_any_strides),
        cmocka_unit_test(test_append_all),
        cmocka_unit_test(test_append_all_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
