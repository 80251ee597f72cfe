/* SPDX-License-Identifier: Apache-2.0 */
/* Groups: exactly one creator, documents replaced whole under the directory's
 * lock, attributes that keep each other's bytes, and what stands in the way. */
#include "small.h"

#include "os/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

SMALL_FIXTURE("group")

static const char *at(const char *name)
{
    return small_path(g_dir, name);
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(at(name), "we");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void assert_text(const char *name, const char *wanted)
{
    char text[4096];
    FILE *f = fopen(at(name), "re");
    size_t n;

    assert_non_null(f);
    n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    (void)fclose(f);
    assert_string_equal(text, wanted);
}

static azr_group *create(const char *name, int format, const char *attributes)
{
    azr_group_spec spec = AZR_GROUP_SPEC_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;

    spec.zarr_format = format;
    spec.attributes = attributes;
    if (azr_group_create(&g, at(name), &spec, NULL, &err) < 0)
        fail_msg("%s", err.message);
    return g;
}

static azr_group *open_for(const char *name, uint32_t flags, int64_t timeout_ms)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;

    o.flags = flags;
    o.timeout_ms = timeout_ms;
    if (azr_group_open(&g, at(name), &o, &err) < 0)
        fail_msg("%s", err.message);
    return g;
}

static void set(azr_group *g, const char *name, const char *json)
{
    azr_error err = AZR_ERROR_INIT;

    if (azr_group_attribute_set(g, name, json, &err) < 0)
        fail_msg("%s", err.message);
}

static void assert_attributes(azr_group *g, const char *wanted)
{
    azr_error err = AZR_ERROR_INIT;
    char *text = NULL;

    if (azr_group_attributes(g, &text, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(text, wanted);
    azr_free(text);
}

/* ---------------------------------------------------------------- create --- */

static void documents_of_both_formats(void **state)
{
    azr_group_info info = {.struct_size = sizeof info};
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = create("g3", 3, "{\"a\": [1]}");

    (void)state;
    assert_attributes(g, "{\n    \"a\": [\n      1\n    ]\n  }");
    assert_int_equal(azr_group_info_get(g, &info, &err), AZR_OK);
    assert_int_equal(info.zarr_format, 3);
    assert_int_equal(info.consolidated, 0);
    azr_group_close(g);
    g = create("g2", 2, NULL);
    assert_text("g2/.zgroup", "{\n  \"zarr_format\": 2\n}");
    assert_text("g2/.zattrs", "{}");
    assert_attributes(g, "{}");
    azr_group_close(g);
    g = create("g", 0, NULL);
    assert_text("g/zarr.json",
                "{\n  \"attributes\": {},\n  \"zarr_format\": 3,\n"
                "  \"node_type\": \"group\"\n}");
    azr_group_close(g);
}

static void what_exists_is_refused(void **state)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    azr_group *g = create("g", 3, NULL);
    int kind = 0, format = 0;

    (void)state;
    azr_group_close(g);
    spec.dtype = AZR_INT8;
    for (int f = 2; f <= 3; f++) {
        spec.zarr_format = f;
        assert_int_equal(azr_array_create(&a, at("g"), &spec, NULL, &err),
                         AZR_EEXISTS);
    }
    assert_int_equal(azr_array_create(&a, at("a"), &spec, NULL, NULL), AZR_OK);
    azr_array_close(a);
    assert_int_equal(azr_group_create(&g, at("g"), NULL, NULL, &err),
                     AZR_EEXISTS);
    assert_int_equal(azr_group_create(&g, at("a"), NULL, NULL, &err),
                     AZR_EEXISTS);
    assert_int_equal(azr_group_open(&g, at("a"), NULL, &err), AZR_ENOTFOUND);
    assert_non_null(strstr(err.message, "is an array, not a group"));
    assert_int_equal(azr_node_at(&kind, &format, at("a"), &err), AZR_OK);
    assert_int_equal(kind, AZR_NODE_ARRAY);
    assert_int_equal(format, 3);
    assert_int_equal(azr_node_at(&kind, NULL, at("none"), &err), AZR_ENOTFOUND);
}

static void bad_arguments_change_nothing(void **state)
{
    azr_group_spec spec = AZR_GROUP_SPEC_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;

    (void)state;
    spec.attributes = "[1]";
    assert_int_equal(azr_group_create(&g, at("g"), &spec, NULL, &err),
                     AZR_EINVAL);
    spec.attributes = "{\"a\":}";
    assert_int_equal(azr_group_create(&g, at("g"), &spec, NULL, &err),
                     AZR_EINVAL);
    spec.attributes = NULL;
    spec.zarr_format = 4;
    assert_int_equal(azr_group_create(&g, at("g"), &spec, NULL, &err),
                     AZR_EINVAL);
    spec.zarr_format = 3;
    spec.struct_size = 1;
    assert_int_equal(azr_group_create(&g, at("g"), &spec, NULL, &err),
                     AZR_EINVAL);
    assert_int_equal(azr_group_create(NULL, at("g"), NULL, NULL, &err),
                     AZR_EINVAL);
    assert_int_not_equal(access(at("g"), F_OK), 0);
    assert_null(g);
}

/* One of several processes that begin at once, a third of them with arrays:
 * exits with 0 if it won, with 1 if another one did. */
static pid_t racer(const int gate[2], int round, int i)
{
    azr_array_spec array = AZR_ARRAY_SPEC_INIT;
    azr_group_spec spec = AZR_GROUP_SPEC_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    azr_group *g = NULL;
    char byte;
    pid_t pid = fork();
    int rc;

    if (pid != 0)
        return pid;
    close(gate[1]);
    (void)!read(gate[0], &byte, 1); /* until nobody can write any more */
    spec.zarr_format = 2 + i % 2;
    array.zarr_format = 2 + round % 2;
    array.dtype = AZR_INT8;
    if (i % 3 == 0)
        rc = azr_array_create(&a, at("race"), &array, NULL, &err);
    else
        rc = azr_group_create(&g, at("race"), &spec, NULL, &err);
    if (rc != AZR_OK && rc != AZR_EEXISTS)
        print_error("%s: %s\n", azr_status_name(rc), err.message);
    _exit(rc == AZR_OK ? 0 : rc == AZR_EEXISTS ? 1 : 2);
}

static void one_of_many_creators_wins(void **state)
{
    enum { RACERS = 8, ROUNDS = 20 };
    char command[128];

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        pid_t pids[RACERS];
        int gate[2], won = 0, documents = 0;

        assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
        for (int i = 0; i < RACERS; i++) {
            pids[i] = racer(gate, round, i);
            assert_true(pids[i] > 0);
        }
        close(gate[0]);
        close(gate[1]);
        for (int i = 0; i < RACERS; i++) {
            int status = 0;

            assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
            assert_true(WIFEXITED(status));
            assert_in_range(WEXITSTATUS(status), 0, 1);
            won += WEXITSTATUS(status) == 0;
        }
        assert_int_equal(won, 1);
        documents += access(at("race/zarr.json"), F_OK) == 0;
        documents += access(at("race/.zarray"), F_OK) == 0;
        documents += access(at("race/.zgroup"), F_OK) == 0;
        assert_int_equal(documents, 1);
        (void)snprintf(command, sizeof command, "rm -rf '%s'", at("race"));
        assert_int_equal(system(command), 0);
    }
}

/* ------------------------------------------------------------ attributes --- */

static void other_bytes_stay(void **state)
{
    azr_group *g;

    (void)state;
    assert_int_equal(mkdir(at("g"), 0777), 0);
    put("g/zarr.json", "{ \"node_type\":\"group\",\"zarr_format\":3,\n"
                       "  \"x\": {\"must_understand\": false, \"y\": 1e0},\n"
                       "  \"consolidated_metadata\": null,"
                       "  \"attributes\":{\"a\":  1.0,\"b\":NaN}}\n");
    g = open_for("g", AZR_OPEN_WRITE, 1000);
    assert_attributes(g, "{\"a\":  1.0,\"b\":NaN}");
    set(g, "b", "[2]");
    assert_text("g/zarr.json",
                "{ \"node_type\":\"group\",\"zarr_format\":3,\n"
                "  \"x\": {\"must_understand\": false, \"y\": 1e0},\n"
                "  \"consolidated_metadata\": null,"
                "  \"attributes\":{\"a\":  1.0,\"b\":[2]}}\n");
    assert_int_equal(azr_group_attributes_replace(g, " {\"n\":0} ", NULL),
                     AZR_OK);
    assert_text("g/zarr.json",
                "{ \"node_type\":\"group\",\"zarr_format\":3,\n"
                "  \"x\": {\"must_understand\": false, \"y\": 1e0},\n"
                "  \"consolidated_metadata\": null,"
                "  \"attributes\":{\"n\":0}}\n");
    azr_group_close(g);
}

static void attributes_of_format_2(void **state)
{
    azr_group *g = create("g", 2, "{\"a\": 1}");

    (void)state;
    set(g, "b", "\"x\"");
    set(g, "a", NULL);
    assert_attributes(g, "{\n  \"b\": \"x\"\n}");
    assert_text("g/.zgroup", "{\n  \"zarr_format\": 2\n}");
    assert_int_equal(azr_group_attributes_replace(g, "{\"c\":2}", NULL),
                     AZR_OK);
    assert_text("g/.zattrs", "{\"c\":2}");
    assert_int_equal(unlink(at("g/.zattrs")), 0); /* as others leave it out */
    assert_attributes(g, "{}");
    set(g, "d", "3");
    assert_attributes(g, "{\n  \"d\": 3\n}");
    azr_group_close(g);
}

static int g_renamed;

static int counted_replacing(int from_dir, const char *from, int to_dir,
                             const char *to, unsigned flags)
{
    g_renamed++;
    return azri_sys_posix.renameat2(from_dir, from, to_dir, to, flags);
}

/* Several by one replacement: set, set again, deleted, of what is there and what is
 * not. */
static void several_attributes(int format, const char *wanted)
{
    static const char *const names[] = {"b", "a", "b", "c", "none"};
    static const char *const values[] = {"[2]", NULL, "3", "{\"x\": 1}", NULL};
    static struct azri_sys counting;
    azr_group *g = create("g", format, "{\"a\": 1, \"z\": 1.0}");

    counting = azri_sys_posix;
    counting.renameat2 = counted_replacing;
    azri_sys = &counting;
    g_renamed = 0;
    assert_int_equal(azr_group_attributes_change(g, 5, names, values, NULL),
                     AZR_OK);
    assert_int_equal(g_renamed, 1);
    azri_sys = &azri_sys_posix;
    assert_attributes(g, wanted);
    assert_int_equal(azr_group_attributes_change(g, 0, NULL, NULL, NULL),
                     AZR_OK);
    assert_attributes(g, wanted);
    azr_group_close(g);
}

static void several_attributes_at_once(void **state)
{
    (void)state;
    several_attributes(3, "{\n    \"z\": 1.0,\n    \"b\": 3,\n"
                          "    \"c\": {\"x\": 1}\n  }");
}

static void several_attributes_of_format_2(void **state)
{
    (void)state;
    several_attributes(2, "{\n  \"z\": 1.0,\n  \"b\": 3,\n"
                          "  \"c\": {\"x\": 1}\n}");
}

/* A bad one among them: nothing of the others. */
static void several_are_refused(void **state)
{
    const char *names[] = {"b", "c"};
    const char *values[] = {"2", "{"};
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = create("g", 3, "{\"a\": 1}");

    (void)state;
    assert_int_equal(azr_group_attributes_change(g, 2, names, values, &err),
                     AZR_EINVAL);
    values[1] = "1";
    names[1] = NULL;
    assert_int_equal(azr_group_attributes_change(g, 2, names, values, &err),
                     AZR_EINVAL);
    assert_int_equal(azr_group_attributes_change(g, 1, NULL, values, &err),
                     AZR_EINVAL);
    assert_attributes(g, "{\n    \"a\": 1\n  }");
    azr_group_close(g);
    g = open_for("g", 0, 1000);
    names[1] = "c";
    assert_int_equal(azr_group_attributes_change(g, 2, names, values, &err),
                     AZR_EPERM);
    assert_int_equal(azr_group_attributes_change(g, 0, NULL, NULL, &err),
                     AZR_EPERM);
    azr_group_close(g);
}

static void refused_changes(void **state)
{
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = create("g", 3, NULL);

    (void)state;
    assert_int_equal(azr_group_attribute_set(g, "a", "{", &err), AZR_EINVAL);
    assert_int_equal(azr_group_attribute_set(g, "\xff", "1", &err), AZR_EINVAL);
    assert_int_equal(azr_group_attributes_replace(g, "1", &err), AZR_EINVAL);
    assert_int_equal(azr_group_attributes_replace(g, NULL, &err), AZR_EINVAL);
    azr_group_close(g);
    g = open_for("g", 0, 1000);
    assert_int_equal(azr_group_attribute_set(g, "a", "1", &err), AZR_EPERM);
    assert_attributes(g, "{}");
    azr_group_close(g);
}

/* Each of several processes counts in an attribute of its own; all counts
 * arrive, and readers see whole documents. */
static void no_change_is_lost(void **state)
{
    enum { WRITERS = 4, TIMES = 25 };
    azr_group *g = create("g", 3, NULL);
    pid_t pids[WRITERS];

    (void)state;
    for (int i = 0; i < WRITERS; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] != 0)
            continue;
        for (int k = 0; k < TIMES; k++) {
            char name[32], value[16];
            char *text = NULL;

            (void)snprintf(name, sizeof name, "w%d-%d", i, k);
            (void)snprintf(value, sizeof value, "%d", k);
            if (azr_group_attribute_set(g, name, value, NULL) < 0 ||
                azr_group_attributes(g, &text, NULL) < 0 || !strstr(text, name))
                _exit(1);
            azr_free(text);
        }
        _exit(0);
    }
    for (int i = 0; i < WRITERS; i++) {
        int status = -1;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        for (int k = 0; k < TIMES; k++) {
            char name[32];
            char *text = NULL;

            (void)snprintf(name, sizeof name, "\"w%d-%d\"", i, k);
            assert_int_equal(azr_group_attributes(g, &text, NULL), AZR_OK);
            assert_non_null(strstr(text, name));
            azr_free(text);
        }
    }
    azr_group_close(g);
}

/* ------------------------------------------------------------- the lock --- */

static void waiting_ends(void **state)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_cancel *cancel = NULL;
    azr_group *g = create("g", 3, NULL);
    int held = open(at("g"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    azr_group_close(g);
    assert_true(held >= 0);
    assert_int_equal(flock(held, LOCK_EX), 0);
    g = open_for("g", AZR_OPEN_WRITE, 30);
    assert_int_equal(azr_group_attribute_set(g, "a", "1", &err), AZR_EBUSY);
    assert_non_null(strstr(err.message, "time-out"));
    assert_attributes(g, "{}"); /* readers wait for nobody */
    azr_group_close(g);
    assert_int_equal(azr_cancel_new(&cancel), AZR_OK);
    o.flags = AZR_OPEN_WRITE;
    o.timeout_ms = -1;
    o.cancel = cancel;
    assert_int_equal(azr_group_open(&g, at("g"), &o, &err), AZR_OK);
    azr_cancel_request(cancel);
    assert_int_equal(azr_group_attribute_set(g, "a", "1", &err), AZR_ECANCELED);
    azr_cancel_reset(cancel);
    close(held);
    set(g, "a", "1");
    azr_group_close(g);
    azr_cancel_free(cancel);
}

/* ------------------------------------------------- beside others, and death --- */

static struct azri_sys g_sys;
static int g_synced, g_renames, g_unsynced_renames;

/* A plain program replaces the document just after ours was written. */
static int foreign_fsync(int fd)
{
    put("g/other", "{\"zarr_format\":3,\"node_type\":\"group\"}");
    assert_int_equal(rename(at("g/other"), at("g/zarr.json")), 0);
    return fsync(fd);
}

static void a_plain_writer_is_noticed(void **state)
{
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = create("g", 3, NULL);

    (void)state;
    g_sys = azri_sys_posix;
    g_sys.fsync = foreign_fsync;
    azri_sys = &g_sys;
    assert_int_equal(azr_group_attribute_set(g, "a", "1", &err), AZR_ECONFLICT);
    assert_int_equal(err.sub, AZR_SUB_FOREIGN);
    azri_sys = &azri_sys_posix;
    assert_text("g/zarr.json", "{\"zarr_format\":3,\"node_type\":\"group\"}");
    assert_int_not_equal(access(at("g/zarr.json.partial"), F_OK), 0);
    set(g, "a", "1");
    assert_attributes(g, "{\"a\": 1}");
    azr_group_close(g);
}

static int counted_fsync(int fd)
{
    g_synced++;
    return fsync(fd);
}

static int counted_rename(int from_dir, const char *from, int to_dir,
                          const char *to, unsigned flags)
{
    g_renames++;
    g_unsynced_renames += g_synced == 0;
    g_synced = 0;
    return azri_sys_posix.renameat2(from_dir, from, to_dir, to, flags);
}

/* The new document before its name, the name before we return. */
static void changes_are_synced(void **state)
{
    azr_group *g;

    (void)state;
    g_sys = azri_sys_posix;
    g_sys.fsync = counted_fsync;
    g_sys.renameat2 = counted_rename;
    azri_sys = &g_sys;
    g_synced = g_renames = g_unsynced_renames = 0;
    g = create("g", 2, NULL);
    assert_int_equal(g_renames, 2);
    assert_int_equal(g_synced, 1);
    set(g, "a", "1");
    assert_int_equal(g_renames, 3);
    assert_int_equal(g_unsynced_renames, 0);
    assert_int_equal(g_synced, 1);
    azr_group_close(g);
}

static int dying_rename(int from_dir, const char *from, int to_dir,
                        const char *to, unsigned flags)
{
    (void)from_dir;
    (void)from;
    (void)to_dir;
    (void)to;
    (void)flags;
    _exit(9);
}

/* Who dies before the rename has changed nothing and holds nothing. */
static void the_dead_are_in_nobodys_way(void **state)
{
    azr_group *g = create("g", 3, "{\"a\": 1}");
    int status = 0;
    pid_t pid = fork();

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        g_sys = azri_sys_posix;
        g_sys.renameat2 = dying_rename;
        azri_sys = &g_sys;
        _exit(azr_group_attribute_set(g, "a", "2", NULL) == AZR_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 9);
    assert_int_equal(access(at("g/zarr.json.partial"), F_OK), 0);
    assert_attributes(g, "{\n    \"a\": 1\n  }");
    set(g, "a", "3");
    assert_int_not_equal(access(at("g/zarr.json.partial"), F_OK), 0);
    azr_group_close(g);
}

/* ------------------------------------------------------------------ hostile --- */

static void assert_refused(const char *text, int code)
{
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;

    put("h/zarr.json", text);
    assert_int_equal(azr_group_open(&g, at("h"), NULL, &err), code);
    assert_null(g);
    assert_true(err.message[0] != '\0');
}

static void hostile_documents(void **state)
{
    char deep[400];
    azr_group *g = NULL;
    azr_error err = AZR_ERROR_INIT;

    (void)state;
    assert_int_equal(mkdir(at("h"), 0777), 0);
    assert_int_equal(azr_group_open(&g, at("h"), NULL, &err), AZR_ENOTFOUND);
    assert_refused("", AZR_ECORRUPT);
    assert_refused("[]", AZR_ECORRUPT);
    assert_refused("{\"zarr_format\":3}", AZR_ECORRUPT);
    assert_refused("{\"node_type\":\"group\"}", AZR_ECORRUPT);
    assert_refused("{\"node_type\":7,\"zarr_format\":3}", AZR_ECORRUPT);
    assert_refused("{\"node_type\":\"link\",\"zarr_format\":3}",
                   AZR_EUNSUPPORTED);
    assert_refused("{\"node_type\":\"group\",\"zarr_format\":4}",
                   AZR_EUNSUPPORTED);
    assert_refused("{\"node_type\":\"group\",\"zarr_format\":3,\"new\":1}",
                   AZR_EUNSUPPORTED);
    assert_refused("{\"node_type\":\"group\",\"zarr_format\":3,"
                   "\"attributes\":[]}",
                   AZR_ECORRUPT);
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_refused(deep, AZR_ECORRUPT);
    assert_int_equal(unlink(at("h/zarr.json")), 0);
    assert_int_equal(mkdir(at("h/zarr.json"), 0777), 0);
    assert_int_equal(azr_group_open(&g, at("h"), NULL, &err), AZR_ECORRUPT);
    assert_int_equal(rmdir(at("h/zarr.json")), 0);
    assert_int_equal(mkfifo(at("h/zarr.json"), 0666), 0);
    assert_int_equal(azr_group_open(&g, at("h"), NULL, &err), AZR_ECORRUPT);
    assert_int_equal(unlink(at("h/zarr.json")), 0);
    put("h/.zgroup", "{\"zarr_format\": 3}");
    assert_int_equal(azr_group_open(&g, at("h"), NULL, &err), AZR_EUNSUPPORTED);
    put("h/.zgroup", "{\"zarr_format\": 2, \"_nczarr_group\": {}}");
    put("h/.zattrs", "[]");
    assert_int_equal(azr_group_open(&g, at("h"), NULL, &err), AZR_ECORRUPT);
    put("h/.zattrs", "");
    g = open_for("h", 0, 0);
    assert_attributes(g, "{}");
    azr_group_close(g);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(documents_of_both_formats),
        TEST(what_exists_is_refused),
        TEST(bad_arguments_change_nothing),
        TEST(one_of_many_creators_wins),
        TEST(other_bytes_stay),
        TEST(attributes_of_format_2),
        TEST(several_attributes_at_once),
        TEST(several_attributes_of_format_2),
        TEST(several_are_refused),
        TEST(refused_changes),
        TEST(no_change_is_lost),
        TEST(waiting_ends),
        TEST(a_plain_writer_is_noticed),
        TEST(changes_are_synced),
        TEST(the_dead_are_in_nobodys_way),
        TEST(hostile_documents),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
