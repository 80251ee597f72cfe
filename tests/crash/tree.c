/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kill sweep over nodes as wholes: removed, replaced, moved; groups made, and
 * their attributes changed. A child dies before and after each of its points.
 * Then a reader comes, by the paths; a process whose handles are older than the
 * kill; one who does it again; and one who collects. All of them must find all of
 * it or nothing, and agree.
 *
 * Beside it: readers in the middle of a read while chunks go, those who build
 * beside those who collect, setters of attributes beside each other, and arrays
 * that are moved or removed after a transaction over several died in them.
 *
 * Built with AZRI_SABOTAGE: each guard of these taken away must be noticed.
 */
#include "crash/tree.h"
#include "crash/guards.h"
#include "crash/staff.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const places[PLACES] = {"g",   "g/a", "g/b", "h",
                                           "h/a", "h/b", "x",   "y"};

const char *const verb_names[VERBS] = {
    "remove array",  "remove group",     "replace array", "replace group",
    "create hidden", "replace by built", "move array",    "move group",
    "create group",  "set attribute",
};

picture *g_seen;
int *g_outcome;

void path_of(char out[256], const char *root, const char *place)
{
    (void)snprintf(out, 256, "%.200s/%s", root, place);
}

bool failed(const char *what, int rc, const azr_error *err)
{
    return complain("%s: %s: %s", what, azr_status_name(rc), err->message);
}

/* -------------------------------------------------------------- pictures --- */

int read_all(int32_t *value_out, azr_array *a, azr_error *err)
{
    azr_selection all = azr_select_all(1);
    int32_t v[LENGTH];
    int rc = azr_array_read(a, &all, v, sizeof v, err);

    for (int i = 1; rc == AZR_OK && i < LENGTH; i++) {
        if (v[i] != v[0]) {
            (void)complain("a read is half: %d and %d", v[0], v[i]);
            return AZR_ECORRUPT;
        }
    }
    *value_out = v[0];
    return rc;
}

int fill(azr_array *a, int32_t value, azr_error *err)
{
    azr_selection all = azr_select_all(1);

    return azr_array_fill(a, &all, &value, sizeof value, err);
}

static bool look_at_array(int32_t *value_out, const char *path)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    int rc;

    o.timeout_ms = 0;
    o.threads = 1;
    rc = azr_array_open(&a, path, &o, &err);
    if (rc == AZR_OK)
        rc = read_all(value_out, a, &err);
    azr_array_close(a);
    return rc == AZR_OK || failed(path, rc, &err);
}

static int attributes_of(char out[64], azr_group *g, azr_error *err)
{
    char *text = NULL;
    int rc = azr_group_attributes(g, &text, err);
    size_t n = 0;

    for (const char *p = text; rc == AZR_OK && *p && n < 63; p++) {
        if (*p != ' ' && *p != '\n')
            out[n++] = *p;
    }
    out[n] = '\0';
    azr_free(text);
    return rc;
}

bool look_at_group(char out[64], const char *path)
{
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;
    int rc = azr_group_open(&g, path, NULL, &err);

    if (rc == AZR_OK)
        rc = attributes_of(out, g, &err);
    azr_group_close(g);
    return rc == AZR_OK || failed(path, rc, &err);
}

static bool take_picture(picture *p, const char *root)
{
    bool ok = true;

    memset(p, 0, sizeof *p);
    for (int k = 0; k < PLACES && ok; k++) {
        char path[256];
        int rc;

        path_of(path, root, places[k]);
        rc = azr_node_at(&p->kind[k], NULL, path, NULL);
        if (rc == AZR_ENOTFOUND || p->kind[k] == AZR_NODE_DIRECTORY)
            p->kind[k] = AZR_NODE_NONE;
        else if (rc < 0)
            ok = complain("'%s': %s", path, azr_status_name(rc));
        if (p->kind[k] == AZR_NODE_ARRAY)
            ok = look_at_array(&p->value[k], path);
        else if (p->kind[k] == AZR_NODE_GROUP && (k == 0 || k == PLACES - 1))
            ok = look_at_group(p->attributes[k != 0], path);
    }
    return ok;
}

bool same(const picture *a, const picture *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static bool tell_picture(const char *who, const picture *p)
{
    char text[400] = "";
    size_t n = 0;

    for (int k = 0; k < PLACES; k++)
        n += (size_t)snprintf(text + n, sizeof text - n, " %s:%d:%d", places[k],
                              p->kind[k], (int)p->value[k]);
    return complain("%s finds%s, attributes %s %s", who, text, p->attributes[0],
                    p->attributes[1]);
}

/* ----------------------------------------------------------------- scene --- */

static bool make_array(const char *root, const char *place, int32_t value)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    char path[256];
    int rc;

    path_of(path, root, place);
    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = LENGTH;
    spec.chunks[0] = 4;
    spec.codecs = "none";
    rc = azr_array_create(&a, path, &spec, &o, &err);
    if (rc == AZR_OK)
        rc = fill(a, value, &err);
    azr_array_close(a);
    return rc == AZR_OK || failed("make", rc, &err);
}

static int create_group(const char *root, const char *place,
                        const char *attributes, uint32_t flags, azr_error *err)
{
    azr_group_spec spec = AZR_GROUP_SPEC_INIT;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_group *g = NULL;
    char path[256];
    int rc;

    path_of(path, root, place);
    spec.attributes = attributes;
    o.flags = flags;
    o.timeout_ms = 0;
    rc = azr_group_create(&g, path, &spec, &o, err);
    azr_group_close(g);
    return rc;
}

bool be_maker(void *arg)
{
    const trial *t = arg;
    azr_error err = AZR_ERROR_INIT;

    if (mkdir(t->from, 0777) != 0)
        return complain("mkdir '%s'", t->from);
    if (create_group(t->from, "g", "{\"n\":1}", 0, &err) != AZR_OK)
        return failed("make", err.code, &err);
    return make_array(t->from, "g/a", 1) && make_array(t->from, "g/b", 2) &&
           make_array(t->from, "x", 3);
}

static int replace_array(const char *root, const char *place, azr_error *err)
{
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_array *a = NULL;
    char path[256];
    int rc;

    path_of(path, root, place);
    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = LENGTH;
    spec.chunks[0] = 4;
    o.flags = AZR_CREATE_REPLACE;
    o.timeout_ms = 0;
    rc = azr_array_create(&a, path, &spec, &o, err);
    azr_array_close(a);
    return rc;
}

int set_attribute(const char *root, const char *name, azr_error *err)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_group *g = NULL;
    char path[256];
    int rc;

    path_of(path, root, "g");
    o.flags = AZR_OPEN_WRITE;
    o.timeout_ms = 0;
    rc = azr_group_open(&g, path, &o, err);
    if (rc == AZR_OK)
        rc = azr_group_attribute_set(g, name, "2", err);
    azr_group_close(g);
    return rc;
}

/* What is built stays if it has not come into place; then it is there for the
 * next one. */
static int replace_by_built(const char *root, const char *g,
                            const azr_tree_options *o, azr_error *err)
{
    char built[256];
    int rc = create_group(root, "built", "{\"b\":5}", 0, err);

    path_of(built, root, "built");
    if (rc == AZR_OK || rc == AZR_EEXISTS)
        rc = azr_replace(built, g, o, err);
    return rc;
}

static int run_verb(verb v, const char *root, azr_error *err)
{
    azr_tree_options o = AZR_TREE_OPTIONS_INIT;
    char x[256], y[256], g[256], h[256];

    o.timeout_ms = 0;
    o.flags = AZR_TREE_RECURSIVE;
    path_of(x, root, "x");
    path_of(y, root, "y");
    path_of(g, root, "g");
    path_of(h, root, "h");
    switch (v) {
    case REMOVE_ARRAY:
        return azr_remove(x, &o, err);
    case REMOVE_GROUP:
        return azr_remove(g, &o, err);
    case REPLACE_ARRAY:
        return replace_array(root, "x", err);
    case REPLACE_GROUP:
        return create_group(root, "g", "{\"r\":9}", AZR_CREATE_REPLACE, err);
    case REPLACE_NOTHING:
        return replace_array(root, "y", err);
    case REPLACE_BUILT:
        return replace_by_built(root, g, &o, err);
    case MOVE_ARRAY:
        return azr_move(x, y, &o, err);
    case MOVE_GROUP:
        return azr_move(g, h, &o, err);
    case CREATE_GROUP:
        return create_group(root, "y", "{\"m\":2}", 0, err);
    case SET_ATTRIBUTE:
        return set_attribute(root, "n", err);
    case VERBS:
    default:
        return AZR_EINVAL;
    }
}

bool be_victim(void *arg)
{
    const victim *v = arg;
    azr_error err = AZR_ERROR_INIT;
    int rc;

    tap_arm(v->action, v->at, v->after, 0);
    rc = run_verb(v->t->v, v->t->at, &err);
    tap_disarm();
    return rc == AZR_OK || failed(verb_names[v->t->v], rc, &err);
}

/* ------------------------------------------------------------- bystander --- */

static bool is_taken(verb v, const char *place)
{
    switch (v) {
    case REMOVE_ARRAY:
    case REPLACE_ARRAY:
        return strcmp(place, "x") == 0;
    case REMOVE_GROUP:
    case REPLACE_GROUP:
    case REPLACE_BUILT:
        return place[0] == 'g';
    case REPLACE_NOTHING:
    case MOVE_ARRAY:
    case MOVE_GROUP:
    case CREATE_GROUP:
    case SET_ATTRIBUTE:
    case VERBS:
    default:
        return false;
    }
}

static bool says_why(int rc, const azr_error *err)
{
    return rc == AZR_ENOTFOUND && (strstr(err->message, "was removed") ||
                                   strstr(err->message, "was replaced"));
}

/* A handle that is older than the kill. `gone`: the path says so. */
static bool use_array(azr_array *a, const char *place, int32_t value, bool gone)
{
    azr_error err = AZR_ERROR_INIT;
    int32_t seen = 0;
    int rc = read_all(&seen, a, &err);

    if (gone && !says_why(rc, &err))
        return complain("an old handle on %s reads %d: %s, %s", place,
                        (int)seen, azr_status_name(rc), err.message);
    if (!gone && rc < 0)
        return failed(place, rc, &err);
    if (!gone && seen != value)
        return complain("an old handle on %s reads %d", place, (int)seen);
    rc = fill(a, MARK, &err);
    if (gone && !says_why(rc, &err))
        return complain("an old handle on %s writes: %s, %s", place,
                        azr_status_name(rc), err.message);
    return gone || rc == AZR_OK || failed(place, rc, &err);
}

static bool use_group(azr_group *g, bool gone, const char *attributes)
{
    azr_error err = AZR_ERROR_INIT;
    char text[64] = "";
    int rc = attributes_of(text, g, &err);

    if (gone)
        return says_why(rc, &err) ||
               complain("an old handle on g: %s", azr_status_name(rc));
    if (rc < 0)
        return failed("g", rc, &err);
    return strcmp(text, attributes) == 0 ||
           complain("an old handle on g says %s", text);
}

static bool be_bystander(void *arg)
{
    bystander *b = arg;
    const trial *t = b->t;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_array *x = NULL, *a = NULL;
    azr_group *g = NULL;
    bool is_new, ok = true;
    char path[256], c = 0;

    o.flags = AZR_OPEN_WRITE;
    o.timeout_ms = 0;
    path_of(path, t->at, "x");
    if (azr_array_open(&x, path, &o, &err) < 0)
        ok = failed("bystander", err.code, &err);
    path_of(path, t->at, "g/a");
    if (ok && azr_array_open(&a, path, &o, &err) < 0)
        ok = failed("bystander", err.code, &err);
    path_of(path, t->at, "g");
    if (ok && azr_group_open(&g, path, &o, &err) < 0)
        ok = failed("bystander", err.code, &err);
    if (write(b->done[1], &c, 1) != 1 || read(b->go[0], &c, 1) != 1)
        return false;
    is_new = same(g_seen, &t->new);
    ok = ok && use_array(x, "x", 3, is_new && is_taken(t->v, "x")) &&
         use_array(a, "g/a", 1, is_new && is_taken(t->v, "g/a")) &&
         use_group(g, is_new && is_taken(t->v, "g"),
                   is_new && t->v == SET_ATTRIBUTE ? "{\"n\":2}" : "{\"n\":1}");
    azr_array_close(x);
    azr_array_close(a);
    azr_group_close(g);
    return ok;
}

bool bystander_start(bystander *b, const trial *t)
{
    char c;

    b->t = t;
    if (pipe(b->go) != 0 || pipe(b->done) != 0)
        return complain("pipe");
    b->pid = child_start(be_bystander, b);
    return read(b->done[0], &c, 1) == 1 || complain("bystander died");
}

bool bystander_end(bystander *b)
{
    int status;

    if (write(b->go[1], "", 1) != 1)
        return complain("pipe");
    status = child_wait(b->pid);
    for (int i = 0; i < 2; i++) {
        (void)close(b->go[i]);
        (void)close(b->done[i]);
    }
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           complain("bystander: status %x", (unsigned)status);
}

/* ----------------------------------------------------------------- kills --- */

static bool be_reader(void *arg)
{
    return take_picture(g_seen, arg);
}

bool be_second(void *arg)
{
    const trial *t = arg;
    azr_error err = AZR_ERROR_INIT;
    int rc = run_verb(t->v, t->at, &err);

    return rc == AZR_OK || failed("the next one", rc, &err);
}

bool be_collector(void *arg)
{
    azr_tree_options o = AZR_TREE_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    char path[256];
    int rc;

    o.timeout_ms = 0;
    rc = azr_collect(arg, NULL, &o, &err);
    path_of(path, arg, ".azr-trash");
    if (rc < 0)
        return failed("collect", rc, &err);
    return access(path, F_OK) != 0 || complain("the trash is still there");
}

bool see(trial *t)
{
    return staff_run(STAFF_READER, "reader", be_reader, t->at, 0);
}

bool check_verdict(const trial *t, unsigned at, bool after, bool *is_new)
{
    bool must_be_new =
        2 * (int)at + after >= 2 * t->committed + 1; /* that rename is done */

    *is_new = same(g_seen, &t->new);
    if (must_be_new ? *is_new : same(g_seen, &t->old))
        return true;
    return tell_picture(must_be_new ? "reader, after the commit point,"
                                    : "reader, before the commit point,",
                        g_seen);
}

/* Who comes next does what did not happen, and finds no rubbish in his way. */
bool do_again(trial *t, bool is_new)
{
    if (!is_new && !staff_run(STAFF_WRITER, "the next one", be_second, t, 0))
        return false;
    return see(t) && (same(g_seen, &t->new) ||
                      tell_picture("after the next one", g_seen));
}

bool died_there(trial *t, int status, unsigned at)
{
    t->kills += WIFSIGNALED(status);
    return tap_killed(status, at, t->names[at]);
}

static bool kill_one(trial *t, unsigned at, bool after, unsigned n)
{
    victim v = {t, TAP_KILL, at, after};
    bystander b = {.pid = -1};
    bool with_bystander = n % 3 != 2, is_new = false, ok = true;
    char why[900];

    scene_error()[0] = '\0';
    tree_copy(t->from, t->at);
    if (with_bystander)
        ok = bystander_start(&b, t);
    ok = ok && died_there(t, child_wait(child_start(be_victim, &v)), at) &&
         see(t) && check_verdict(t, at, after, &is_new);
    if (with_bystander)
        ok = bystander_end(&b) && ok;
    else
        ok = ok && do_again(t, is_new);
    ok = ok && child_run("collector", be_collector, t->at);
    if (!ok) {
        (void)snprintf(why, sizeof why, "%s", scene_error());
        scene_error()[0] = '\0';
        (void)complain("%s, killed %s point %u (%s): %s", verb_names[t->v],
                       after ? "after" : "before", at, t->names[at], why);
    }
    tree_remove(t->at);
    return ok;
}

void name_places(trial *t, const char *name)
{
    (void)snprintf(t->from, sizeof t->from, "%s/%s-from", scene_root(true),
                   name);
    (void)snprintf(t->at, sizeof t->at, "%s/%s-at", scene_root(true), name);
}

/* The two pictures, the points and the commit point. */
bool begin(trial *t, verb v)
{
    victim count = {t, TAP_COUNT, 0, false};

    memset(t, 0, sizeof *t);
    t->v = v;
    name_places(t, "tree");
    scene_error()[0] = '\0';
    if (!child_run("maker", be_maker, t))
        return false;
    tree_copy(t->from, t->at);
    if (!see(t))
        return false;
    t->old = *g_seen;
    if (!child_run(verb_names[v], be_victim, &count))
        return false;
    t->points = tap_shared()->count;
    t->committed = -1;
    for (unsigned i = 0; i < t->points; i++) {
        t->names[i] = tap_shared()->names[i];
        if (strcmp(t->names[i], "renameat2") == 0)
            t->committed = (int)i;
    }
    if (!see(t))
        return false;
    t->new = *g_seen;
    tree_remove(t->at);
    return t->committed >= 0 && !same(&t->old, &t->new)
               ? true
               : complain("%s does nothing", verb_names[v]);
}

void end(trial *t)
{
    tree_remove(t->from);
    tree_remove(t->at);
}

static bool sweep(verb v, unsigned step, unsigned long *kills)
{
    static trial t;
    bool ok = begin(&t, v);
    unsigned n = 0;

    for (unsigned at = 0; ok && at < t.points; at += step) {
        ok = kill_one(&t, at, false, n) && kill_one(&t, at, true, n + 1);
        n += 1 + at % 2;
    }
    end(&t);
    *kills += t.kills;
    return ok;
}

/* ------------------------------------------------------------------ main --- */

static void set_up(void)
{
    g_seen = scene_shared(sizeof *g_seen);
    g_outcome = scene_shared(sizeof *g_outcome);
    (void)scene_error();
    (void)tap_shared();
}

#ifndef AZRI_SABOTAGE

static bool report(const char *what, bool ok)
{
    (void)printf("%s%s\n", what, ok ? "" : "  FAILED");
    if (!ok)
        (void)printf("    %s\n", scene_error());
    return ok;
}

static bool sweep_one(verb v, unsigned step, unsigned long *kills)
{
    char text[80];
    unsigned long before = *kills;
    bool ok = sweep(v, step, kills);

    (void)snprintf(text, sizeof text, "%-16s %6lu kills", verb_names[v],
                   *kills - before);
    return report(text, ok);
}

/* -------------------------------------------------------- failing calls --- */

static bool be_unlucky(void *arg)
{
    const victim *v = arg;
    azr_error err = AZR_ERROR_INIT;

    tap_arm(TAP_FAIL, v->at, false, EIO);
    *g_outcome = run_verb(v->t->v, v->t->at, &err);
    tap_disarm();
    return *g_outcome == AZR_OK || err.message[0] != '\0' ||
           complain("%s without a message", azr_status_name(*g_outcome));
}

/* Each call fails once: what is said is true, and nothing stays behind. */
static bool fail_one(trial *t, unsigned at)
{
    victim v = {t, TAP_FAIL, at, false};
    char why[900];
    bool ok;

    scene_error()[0] = '\0';
    tree_copy(t->from, t->at);
    ok = child_run("unlucky", be_unlucky, &v) && see(t);
    if (ok && *g_outcome == AZR_OK && !same(g_seen, &t->new))
        ok = tell_picture("after a success a reader", g_seen);
    if (ok && *g_outcome != AZR_OK && (int)at <= t->committed &&
        !same(g_seen, &t->old))
        ok = tell_picture("after a failure a reader", g_seen);
    if (ok && !same(g_seen, &t->new) && !same(g_seen, &t->old))
        ok = tell_picture("a reader", g_seen);
    ok = ok && child_run("collector", be_collector, t->at);
    if (!ok) {
        (void)snprintf(why, sizeof why, "%s", scene_error());
        scene_error()[0] = '\0';
        (void)complain("%s, point %u (%s) failed, %s: %s", verb_names[t->v], at,
                       t->names[at], azr_status_name(*g_outcome), why);
    }
    tree_remove(t->at);
    return ok;
}

static bool sweep_failing(verb v, unsigned step, unsigned long *calls)
{
    static trial t;
    bool ok = begin(&t, v);
    static bool can_fail[TAP_POINTS];

    memcpy(can_fail, tap_shared()->can_fail, sizeof can_fail);
    for (unsigned at = 0; ok && at < t.points; at += step) {
        if (!can_fail[at])
            continue;
        ok = fail_one(&t, at);
        (*calls)++;
    }
    end(&t);
    return ok;
}

static bool deaths(bool quick, unsigned long *kills)
{
    static const char *const recovered[] = {NULL, "x", "g/a"};
    bool ok = true;

    for (unsigned what = 0; what < 3; what++) {
        for (unsigned swap = 0; swap < 2; swap++) {
            for (int r = 0; r < (quick ? 1 : 3); r++)
                ok = moves_after(what, swap != 0, recovered[r], quick ? 2 : 1,
                                 kills) &&
                     ok;
        }
    }
    return report("moved or removed after a death in two arrays", ok);
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    unsigned long kills = 0, calls = 0;
    bool ok = true;

    set_up();
    if (argc > 3 && strcmp(argv[1], "--soak") == 0)
        return tree_soak(strtoull(argv[2], NULL, 10),
                         strtoul(argv[3], NULL, 10));
    for (verb v = 0; ok && v < VERBS; v++)
        ok = sweep_one(v, quick ? 3 : 1, &kills);
    for (verb v = 0; ok && v < VERBS; v++)
        ok = report(verb_names[v], sweep_failing(v, quick ? 2 : 1, &calls));
    ok = report("readers in the middle", readers(true) && readers(false)) && ok;
    ok = report("a builder beside a collector", builder_beside_collector()) &&
         ok;
    ok = report("setters beside each other", setters_beside_each_other()) && ok;
    ok = deaths(quick, &kills) && ok;
    scene_roots_remove();
    (void)printf("%lu kills, %lu failing calls\n", kills, calls);
    return ok ? 0 : 1;
}

#else

static bool readers_with_state(void)
{
    return readers(true);
}

static bool readers_without_state(void)
{
    return readers(false);
}

static bool after_a_death(void)
{
    unsigned long kills = 0;

    return moves_after(0, false, NULL, 1, &kills) &&
           moves_after(1, false, NULL, 1, &kills);
}

static bool kill_remove(void)
{
    unsigned long kills = 0;

    return sweep(REMOVE_ARRAY, 1, &kills);
}

static bool kill_replace(void)
{
    unsigned long kills = 0;

    return sweep(REPLACE_ARRAY, 1, &kills);
}

typedef struct control {
    const char *name;
    azri_guard value;
    bool (*run)(void);
} control;

static const control controls[] = {
    {"DOUBT", AZRI_GUARD_DOUBT, kill_remove},
    {"EXCHANGE", AZRI_GUARD_EXCHANGE, kill_replace},
    {"CONDEMN", AZRI_GUARD_CONDEMN, readers_with_state},
    {"CONDEMN", AZRI_GUARD_CONDEMN, readers_without_state},
    {"CLAIM", AZRI_GUARD_CLAIM, builder_beside_collector},
    {"DIR_LOCK", AZRI_GUARD_DIR_LOCK, setters_beside_each_other},
    {"DRAIN", AZRI_GUARD_DRAIN, after_a_death},
};

static bool try_one(const void *arg, bool whole)
{
    const control *c = arg;

    (void)whole;
    return c->run();
}

int main(void)
{
    size_t n = sizeof controls / sizeof controls[0], caught = 0;

    set_up();
    for (size_t i = 0; i < n; i++)
        caught += guard_try(controls[i].name, controls[i].value, try_one,
                            &controls[i]);
    return guards_end(caught, n);
}

#endif
