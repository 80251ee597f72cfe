/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kill sweep once more, from outside. `azr` as it is installed, with the real
 * shared library, does each of some acts under ptrace (trace.h), which finds every
 * call that changes something by itself. Then
 *
 *  - the same command runs with the table of system calls that the other crash
 *    tests use (tap.h), traced as well: each change that the tracer sees must be
 *    the point that the table has just listed, and both runs must change the same
 *    things in the same order. So the points of those tests are all there are.
 *  - the command is killed at the beginning and at the end of each change, and
 *    some instructions after it. Whoever comes next finds all of the act or
 *    nothing, at once, can go on, and nothing is left behind. Once it is there it
 *    is there at every later point.
 *
 *   crash-tracer AZR [--torture] [--act NAME] [--ledger FILE]
 *
 * Controls: a call that bypasses the table must be missed, for each call of it
 * that any act makes; crash-tracer-controls takes guards of the library away.
 */
#include "crash/trace.h"

#include "crash/guards.h"
#include "crash/tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int azr_cli_main(int argc, char **argv);

#define WORDS 12
#define STEPS 4000 /* instructions after a change, at most */

/* In a directory with the array x (crash/scene.h). */
typedef struct act {
    const char *name;
    bool two; /* and y, alike */
    const char *words[WORDS];
} act;

static const act acts[] = {
    {"write a chunk", false, {"write", "x[4:8]", "--value", "1000"}},
    {"write two", false, {"write", "x[2:6]", "--value", "1000"}},
    {"write all", false, {"write", "x", "--value", "1000"}},
    {"empty", false, {"write", "x[2:12]", "--value", "0"}},
    {"append", false, {"append", "x", "--npy", "../rows.npy"}},
    {"grow", false, {"resize", "x", "60"}},
    {"shrink", false, {"resize", "x", "18", "--force"}},
    {"attribute", false, {"attrs", "x", "--set", "units=\"degC\""}},
    {"durability", false, {"attrs", "x", "--durability", "power"}},
    {"create",
     false,
     {"create", "y", "--shape", "46", "--chunks", "4", "--dtype", "i4"}},
    {"replace",
     false,
     {"create", "x", "--shape", "40", "--chunks", "4", "--dtype", "i4",
      "--overwrite"}},
    {"remove", false, {"rm", "x"}},
    {"move", false, {"mv", "x", "y"}},
    {"copy", false, {"cp", "x", "y"}},
    {"transaction", true, {"txn", "../script"}},
};
#define ACTS (sizeof acts / sizeof acts[0])

/* What stands in the directory, and whether a row of it is SEALED: whoever writes
 * next finishes that one, which readers pass over. */
typedef struct picture {
    image x, y;
    bool sealed;
} picture;

typedef struct trial {
    const act *a;
    kind k;
    bool in_process; /* not the installed program: this one's copy of it */
    char from[160], at[160];
    picture old, new;
    unsigned effects;
    bool is_there; /* once a kill left the new one */
} trial;

static const char *g_program = "azr";
static picture *g_seen;
static unsigned long g_effects, g_kills, g_between, g_sealed;
static unsigned g_seed = 1;

/* ------------------------------------------------------------ the command --- */

static void quiet(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int i = 0; i < 3 && fd >= 0; i++)
        (void)dup2(fd, i);
}

/* `argv` for it; only this process's memory. */
static int words_of(const act *a, const char **argv)
{
    int argc = 0;

    argv[argc++] = "azr";
    for (int i = 0; i < WORDS && a->words[i]; i++)
        argv[argc++] = a->words[i];
    argv[argc++] = "--timeout";
    argv[argc++] = "0";
    argv[argc++] = "--threads";
    argv[argc++] = "1";
    argv[argc] = NULL;
    return argc;
}

static bool be_program(void *arg)
{
    const trial *t = arg;
    const char *words[WORDS + 8];
    char *argv[WORDS + 8];
    int argc = words_of(t->a, words);

    memcpy(argv, words, sizeof argv);
    if (chdir(t->at) != 0)
        return false;
    quiet();
    if (t->in_process)
        return azr_cli_main(argc, argv) == 0;
    (void)execv(g_program, argv);
    return false;
}

/* The same, with the table of calls that lists points. */
static ptrdiff_t g_bypass = -1;

static bool be_tapped(void *arg)
{
    trial t = *(trial *)arg;

    t.in_process = true;
    tap_arm(TAP_COUNT, 0, false, 0);
    if (g_bypass >= 0)
        memcpy((char *)&tap_sys + g_bypass,
               (const char *)&azri_sys_posix + g_bypass,
               sizeof(void (*)(void)));
    return be_program(&t);
}

static bool be_again(void *arg)
{
    trial t = *(trial *)arg;

    t.in_process = true;
    return be_program(&t) || complain("the same command, once more, failed");
}

/* --------------------------------------------------------------- pictures --- */

static void path_of(char out[256], const char *at, const char *name)
{
    (void)snprintf(out, 256, "%s/%s", at, name);
}

static bool same(const picture *a, const picture *b)
{
    return image_same(&a->x, &b->x) && image_same(&a->y, &b->y);
}

static int note_sealed(const azr_row_info *row, void *arg)
{
    *(bool *)arg |= row->state == AZR_ROW_SEALED;
    return 0;
}

static bool look_at_rows(bool *sealed, const char *path, const image *is)
{
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    bool ok;

    if (!is->exists)
        return true;
    ok = scene_open(&a, path, 0) &&
         (azr_array_status(a, note_sealed, sealed, &err) == AZR_OK ||
          complain("rows: %s", err.message));
    azr_array_close(a);
    return ok;
}

static bool take_picture(void *arg)
{
    const trial *t = arg;
    char x[256], y[256];

    path_of(x, t->at, "x");
    path_of(y, t->at, "y");
    g_seen->sealed = false;
    return scene_snap(&g_seen->x, x) && scene_snap(&g_seen->y, y) &&
           look_at_rows(&g_seen->sealed, x, &g_seen->x) &&
           look_at_rows(&g_seen->sealed, y, &g_seen->y);
}

static bool see(trial *t, picture *out)
{
    if (!child_run("reader", take_picture, t))
        return false;
    *out = *g_seen;
    return true;
}

static bool be_maker(void *arg)
{
    const trial *t = arg;
    char x[256], y[256];

    path_of(x, t->from, "x");
    path_of(y, t->from, "y");
    return mkdir(t->from, 0777) == 0 && scene_make(x, OP_WRITE_1, &t->k) &&
           (!t->a->two || scene_make(y, OP_WRITE_1, &t->k));
}

/* What commands read: an .npy file of 8 int32 and a script. */
static bool make_sources(void)
{
    static const char header[118] = "{'descr': '<i4', 'fortran_order': False, "
                                    "'shape': (8,), }";
    char path[256], text[128 + 32] = "\x93NUMPY\x01";
    int32_t v[8];
    FILE *f;

    text[8] = (char)sizeof header;
    memcpy(text + 10, header, sizeof header);
    for (size_t i = 10; i < 127; i++)
        text[i] = text[i] ? text[i] : ' ';
    text[127] = '\n';
    for (int i = 0; i < 8; i++)
        v[i] = 2000 + i;
    memcpy(text + 128, v, sizeof v);
    path_of(path, scene_root(true), "rows.npy");
    f = fopen(path, "wbe");
    if (!f || fwrite(text, sizeof text, 1, f) != 1 || fclose(f) != 0)
        return complain("%s: %s", path, strerror(errno));
    path_of(path, scene_root(true), "script");
    f = fopen(path, "we");
    if (!f || fputs("write x[2:6] --value 1000\nresize y 60\n", f) < 0 ||
        fclose(f) != 0)
        return complain("%s: %s", path, strerror(errno));
    return true;
}

static bool trial_begin(trial *t, const act *a, const kind *k, bool in_process)
{
    memset(t, 0, sizeof *t);
    t->a = a;
    t->k = *k;
    t->in_process = in_process;
    (void)snprintf(t->from, sizeof t->from, "%s/from", scene_root(true));
    (void)snprintf(t->at, sizeof t->at, "%s/at", scene_root(true));
    scene_error()[0] = '\0';
    if (!child_run("maker", be_maker, t))
        return false;
    tree_copy(t->from, t->at);
    return see(t, &t->old);
}

static void trial_end(const trial *t)
{
    tree_remove(t->from);
    tree_remove(t->at);
}

static void anew(const trial *t)
{
    tree_remove(t->at);
    tree_copy(t->from, t->at);
}

/* -------------------------------------------------- what the table lists --- */

static unsigned g_listed; /* points that stand for an effect already */

/* At the beginning of a change: the point that was listed last is it, and no
 * other change was. */
static bool is_listed(const effect *e, void *arg)
{
    const tap_list *l = tap_shared();
    unsigned n = atomic_load(&l->count);
    const char *last = n > 0 && n <= TAP_POINTS ? l->names[n - 1] : "nothing";

    (void)arg;
    if (n == 0 || n == g_listed || strcmp(last, e->name) != 0)
        return complain("%s '%s' is no point of the table (last: %u, %s)",
                        e->name, e->what, n, last);
    g_listed = n;
    return true;
}

static bool run_tapped(trial *t, trace *tr)
{
    anew(t);
    g_listed = 0;
    memset(tr, 0, sizeof *tr);
    tr->at = UINT_MAX;
    tr->meet = is_listed;
    tr->within = t->at;
    (void)tap_shared();
    if (!trace_run(tr, be_tapped, t) || tr->missed)
        return false;
    return tr->status == 0 ||
           complain("tapped: status %x", (unsigned)tr->status);
}

static bool run_traced(trial *t, trace *tr)
{
    anew(t);
    tr->meet = NULL;
    tr->within = t->at;
    if (!trace_run(tr, be_program, t))
        return false;
    return tr->status == 0 ||
           complain("traced: status %x", (unsigned)tr->status);
}

static bool compare(const trace *a, const trace *b)
{
    for (unsigned i = 0; i < a->count || i < b->count; i++) {
        const effect *e = &a->effects[i], *f = &b->effects[i];

        if (i >= TRACE_EFFECTS)
            return complain("%u changes, room for %d", a->count, TRACE_EFFECTS);
        if (strcmp(e->name, f->name) != 0 || strcmp(e->what, f->what) != 0)
            return complain("change %u: %s '%s' in the program, %s '%s' with "
                            "the table",
                            i, e->name, e->what, f->name, f->what);
    }
    return true;
}

/* Both runs; what they leave is the new picture. */
static bool count(trial *t)
{
    static trace real, tapped;

    memset(&real, 0, sizeof real);
    real.at = UINT_MAX;
    if (!run_tapped(t, &tapped) || !run_traced(t, &real) || !see(t, &t->new) ||
        !compare(&real, &tapped))
        return false;
    t->effects = real.count;
    g_effects += real.count;
    if (real.count == 0 ||
        (same(&t->old, &t->new) && strcmp(t->a->name, "durability") != 0))
        return complain("it changes nothing");
    return true;
}

/* ------------------------------------------------------------------ kills --- */

#define FIRST 1
#define END   2

static bool be_writer(void *arg)
{
    const trial *t = arg;
    azr_array *a = NULL;
    char path[256];
    bool ok;

    for (int i = 0; i < 2; i++) {
        if (!(i == 0 ? g_seen->x.exists : g_seen->y.exists))
            continue;
        path_of(path, t->at, i == 0 ? "x" : "y");
        ok = scene_open(&a, path, AZR_OPEN_WRITE) &&
             scene_write(a, FIRST, END, 8000);
        azr_array_close(a);
        a = NULL;
        if (!ok || !scene_is_clean(path))
            return false;
    }
    return true;
}

static bool failed(const char *what, const azr_error *err)
{
    return complain("%s: %s", what, err->message);
}

/* Beside arrays. `hidden`: what a copy that died was building. */
static bool look_beside(const char *at, bool *hidden)
{
    struct dirent *e;
    DIR *d = opendir(at);
    bool ok = d != NULL;

    *hidden = false;
    while (ok && (e = readdir(d))) {
        if (strncmp(e->d_name, ".azr-new-", 9) == 0)
            *hidden = true;
        else if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
                 strcmp(e->d_name, "x") != 0 && strcmp(e->d_name, "y") != 0)
            ok = complain("left behind: %s", e->d_name);
    }
    if (d)
        (void)closedir(d);
    return ok;
}

/* The next removal, and the next copy, leave nothing but arrays. */
static bool be_collector(void *arg)
{
    const trial *t = arg;
    azr_tree_options o = AZR_TREE_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    char from[256], z[256];
    bool hidden;

    o.timeout_ms = 0;
    if (azr_collect(t->at, NULL, &o, &err) < 0)
        return failed("collect", &err);
    if (!look_beside(t->at, &hidden))
        return false;
    if (!hidden)
        return true;
    path_of(from, t->at, g_seen->x.exists ? "x" : "y");
    path_of(z, t->at, "z");
    if (azr_copy(from, z, NULL, NULL, &err) < 0 || azr_remove(z, &o, &err) < 0)
        return failed("the next copy", &err);
    return look_beside(t->at, &hidden) &&
           (!hidden || complain("a hidden directory is left"));
}

static bool is_written(const picture *is, const picture *found)
{
    picture want = *is;

    image_put(&want.x, FIRST, END, 8000);
    image_put(&want.y, FIRST, END, 8000);
    return same(&want, found);
}

/* Who writes then finds what was seen, and adds to it. What was `sealed` he
 * finishes first, and readers had passed it over. */
static bool write_then(trial *t, const picture *is, bool sealed)
{
    picture found;

    *g_seen = *is;
    if (!child_run("writer", be_writer, t) || !see(t, &found))
        return false;
    return is_written(is, &found) || (sealed && is_written(&t->new, &found)) ||
           complain("the next writer's array is another one");
}

/* `again`: the same command is given once more if nothing of it is there. */
static bool look_around(trial *t, bool ordered, bool again)
{
    picture seen;
    bool is_new, sealed;

    if (!see(t, &seen))
        return false;
    sealed = seen.sealed && t->k.power;
    g_sealed += sealed;
    is_new = same(&seen, &t->new);
    if (!is_new && !same(&seen, &t->old))
        return complain("neither the old nor the new array: lengths %lld %lld",
                        (long long)(seen.x.exists ? seen.x.length : -1),
                        (long long)(seen.y.exists ? seen.y.length : -1));
    if (ordered && !is_new && t->is_there)
        return complain("it was there at an earlier point, and is not now");
    t->is_there |= ordered && is_new && !same(&t->old, &t->new);
    if (!is_new && again && !sealed) {
        if (!child_run("again", be_again, t) || !see(t, &seen))
            return false;
        if (!same(&seen, &t->new))
            return complain("the same command makes something else now");
    }
    return write_then(t, &seen, sealed) &&
           child_run("collector", be_collector, t);
}

static bool tell(const trial *t, const trace *tr)
{
    char why[700], text[32];
    const effect *e = &tr->effects[tr->at < TRACE_EFFECTS ? tr->at : 0];

    (void)snprintf(why, sizeof why, "%s", scene_error());
    kind_text(text, &t->k);
    scene_error()[0] = '\0';
    return complain("%s, %s, killed %s %u, %s '%s', and %u steps: %s",
                    t->a->name, text, tr->after ? "after" : "before", tr->at,
                    e->name, e->what, tr->steps, why);
}

static bool kill_once(trial *t, unsigned at, bool after, unsigned steps)
{
    static trace tr;

    memset(&tr, 0, sizeof tr);
    tr.at = at;
    tr.after = after;
    tr.steps = steps;
    tr.within = t->at;
    anew(t);
    if (!trace_run(&tr, be_program, t))
        return false;
    if (!tr.killed && steps == 0)
        return complain("change %u was not met", at);
    if (tr.killed &&
        !(WIFSIGNALED(tr.status) && WTERMSIG(tr.status) == SIGKILL))
        return complain("killed, and it ended with %x", (unsigned)tr.status);
    g_kills += tr.killed;
    g_between += tr.killed && steps > 0;
    return look_around(t, steps == 0, (at + after) % 2 == 0) || tell(t, &tr);
}

static unsigned any_below(unsigned n)
{
    g_seed = g_seed * 1103515245u + 12345u;
    return (g_seed >> 8) % n;
}

/* `stride`: of points, beginning anywhere. */
static bool sweep(trial *t, unsigned stride)
{
    for (unsigned at = any_below(stride); at < t->effects; at += stride) {
        if (!kill_once(t, at, false, 0) || !kill_once(t, at, true, 0) ||
            !kill_once(t, at, true, 1 + any_below(STEPS)))
            return false;
    }
    return true;
}

/* What children tell, and whether there can be any. */
static bool begin(void)
{
    g_seen = scene_shared(sizeof *g_seen);
    return trace_works();
}

/* --------------------------------------------------------------- controls --- */

#ifndef AZRI_SABOTAGE

/* The calls of the table that change something. */
#    define CALL(name)                                                         \
        {                                                                      \
#            name, offsetof(struct azri_sys, name)                             \
        }
static const struct {
    const char *name;
    size_t at;
} table[] = {
    CALL(openat), CALL(close),     CALL(pwrite),     CALL(fchmod),
    CALL(fchown), CALL(fallocate), CALL(fsync),      CALL(fdatasync),
    CALL(syncfs), CALL(renameat2), CALL(linkat),     CALL(unlinkat),
    CALL(clone),  CALL(mkdirat),   CALL(copy_range), CALL(mmap),
    CALL(lock),   CALL(flock),
};
#    define CALLS (sizeof table / sizeof table[0])

static unsigned g_made, g_caught;
static FILE *g_ledger;

/* The first act that makes each of these calls; ACTS: none. */
static bool survey(size_t first[CALLS], const kind *k)
{
    static trial t;
    static trace tr;
    bool ok = true;

    for (size_t n = 0; n < CALLS; n++)
        first[n] = ACTS;
    for (size_t i = 0; ok && i < ACTS; i++) {
        ok = trial_begin(&t, &acts[i], k, true) && run_tapped(&t, &tr);
        for (unsigned e = 0; e < tr.count && e < TRACE_EFFECTS; e++) {
            for (size_t n = 0; n < CALLS; n++) {
                if (strcmp(tr.effects[e].name, table[n].name) == 0 &&
                    first[n] == ACTS)
                    first[n] = i;
            }
        }
        trial_end(&t);
    }
    return ok;
}

/* This call made beside the list: was it missed there? */
static bool bypass(size_t n, const act *a, const kind *k)
{
    static trial t;
    static trace tr;
    bool caught;

    g_bypass = (ptrdiff_t)table[n].at;
    caught = trial_begin(&t, a, k, true) && !run_tapped(&t, &tr) && tr.missed &&
             strncmp(scene_error(), table[n].name, strlen(table[n].name)) == 0;
    trial_end(&t);
    g_bypass = -1;
    scene_error()[0] = '\0';
    return caught;
}

static bool bypasses(void)
{
    const kind k = {3, false, true};
    size_t first[CALLS];

    if (!survey(first, &k))
        return false;
    for (size_t i = 0; i < CALLS; i++) {
        bool caught = first[i] < ACTS && bypass(i, &acts[first[i]], &k);

        g_made += first[i] < ACTS;
        g_caught += caught;
        if (first[i] == ACTS)
            (void)printf("%s: no act makes it here\n", table[i].name);
        else if (!caught)
            (void)printf("%s beside the table: NOT CAUGHT\n", table[i].name);
    }
    (void)printf("%u of %u calls beside the table were caught\n", g_caught,
                 g_made);
    return g_caught == g_made && g_made >= 14;
}

static bool one(const act *a, const kind *k, bool in_process, unsigned stride)
{
    static trial t;
    unsigned long kills = g_kills, between = g_between;
    char text[32];
    bool ok =
        trial_begin(&t, a, k, in_process) && count(&t) && sweep(&t, stride);

    trial_end(&t);
    kind_text(text, k);
    (void)printf("%-14s %-16s %4u changes %5lu kills%s\n", a->name, text,
                 t.effects, g_kills - kills, ok ? "" : "  FAILED");
    if (!ok)
        (void)printf("    %s\n", scene_error());
    (void)fflush(stdout);
    if (g_ledger)
        (void)fprintf(g_ledger, "%s\t%s\t%u\t%lu\t%lu\t%d\n", a->name, text,
                      t.effects, g_kills - kills, g_between - between, !ok);
    return ok;
}

static bool matrix(bool torture, const char *only)
{
    bool ok = true;

    for (int n = 0; n < 4; n++) {
        kind k = {n & 1 ? 2 : 3, false, (n & 2) != 0};

        if (!torture && n != 0)
            continue;
        for (size_t i = 0; i < ACTS; i++) {
            if (only && strcmp(only, acts[i].name) != 0)
                continue;
            ok &= one(&acts[i], &k, false, torture ? (n == 0 ? 1 : 3) : 7);
        }
    }
    return ok;
}

static bool ledger_open(const char *path)
{
    g_ledger = fopen(path, "we");
    if (!g_ledger)
        return complain("%s: %s", path, strerror(errno));
    (void)fprintf(g_ledger, "act\tkind\tchanges\tkills\tbetween\tfailed\n");
    return true;
}

static bool ledger_close(bool torture, time_t begun)
{
    if (!g_ledger)
        return true;
    (void)fprintf(g_ledger, "# tier\t%s\n# seconds\t%.0f\n# caught\t%u of %u\n",
                  torture ? "torture" : "default", difftime(time(NULL), begun),
                  g_caught, g_made);
    return fclose(g_ledger) == 0 || complain("ledger: %s", strerror(errno));
}

int main(int argc, char **argv)
{
    const char *only = NULL, *ledger = NULL;
    time_t begun = time(NULL);
    bool torture = false, ok;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--torture") == 0)
            torture = true;
        else if (strcmp(argv[i], "--act") == 0 && i + 1 < argc)
            only = argv[++i];
        else if (strcmp(argv[i], "--ledger") == 0 && i + 1 < argc)
            ledger = argv[++i];
        else
            g_program = argv[i];
    }
    if (!begin()) {
        (void)printf("ptrace is not allowed here\n");
        return 77;
    }
    g_program = realpath(g_program, NULL); /* it runs in other directories */
    ok = (g_program || complain("no such program")) && make_sources() &&
         (!ledger || ledger_open(ledger)) && (only || bypasses()) &&
         matrix(torture, only);
    ok &= ledger_close(torture, begun);
    if (!ok)
        (void)printf("%s\n", scene_error());
    scene_roots_remove();
    (void)printf(
        "%lu kills at %lu changes of %zu acts, %lu of them between two "
        "calls, %lu with a row sealed\n",
        g_kills, g_effects, ACTS, g_between, g_sealed);
    return ok && (only || g_kills >= (torture ? 2000 : 100)) ? 0 : 1;
}

#else

typedef struct control {
    const char *name;
    azri_guard guard;
    size_t act;
} control;

/* The act that shows it, by its place in the list. */
static const control controls[] = {
    {"ROW, write two", AZRI_GUARD_ROW, 1},
    {"RENAME_FIRST, write two", AZRI_GUARD_RENAME_FIRST, 1},
    {"FINISH, write two", AZRI_GUARD_FINISH, 1},
    {"READ_THROUGH, write two", AZRI_GUARD_READ_THROUGH, 1},
};

static bool try_one(const void *arg, bool whole)
{
    static const kind k = {3, false, false};
    static trial t;
    const control *c = arg;
    bool ok;

    (void)whole;
    ok = trial_begin(&t, &acts[c->act], &k, true) && count(&t) && sweep(&t, 1);
    trial_end(&t);
    return ok;
}

int main(void)
{
    size_t n = sizeof controls / sizeof controls[0], caught = 0;

    if (!begin()) {
        (void)printf("ptrace is not allowed here\n");
        return 77;
    }
    if (!make_sources())
        return 1;
    for (size_t i = 0; i < n; i++)
        caught += guard_try(controls[i].name, controls[i].guard, try_one,
                            &controls[i]);
    return guards_end(caught, n);
}

#endif
