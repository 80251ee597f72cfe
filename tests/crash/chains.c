/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash-chains: as many different deaths as there is time for. A trial is a chain
 * of deeds on one array, drawn from the seed: each by a process that dies at one of
 * its points, in the deed or in the recovery of those before it; or beside another
 * one that was stopped at one of its own; or with a call that fails. Between them
 * readers look, with and without permission to write; at the end a writer comes.
 *
 *   crash-chains [--seed N] [--seconds N | --trials N] [--trial N]
 *
 * --trial: that one alone. What may be there is known at each step: a deed whose
 * row was committed has happened, one that was sealed may have, no other has; what
 * somebody has seen stays. Nothing may be left behind, and nobody waits.
 */
#include "crash/guards.h"
#include "crash/scene.h"
#include "crash/staff.h"
#include "crash/tap.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

/* ---------------------------------------------------------------- deeds --- */

typedef enum verb {
    WRITE,
    FILL,
    UPDATE,
    APPEND,
    RESIZE,
    ATTRIBUTE,
    RECOVER, /* opens for writing, nothing else */
    READ,
    CREATE,
    VERBS
} verb;

static const char *const verb_names[VERBS] = {
    "write",     "fill",    "update", "append", "resize",
    "attribute", "recover", "read",   "create",
};

typedef struct deed {
    verb v;
    int first, count; /* elements; RESIZE: `count` is the length */
    int32_t base;     /* of what is written; the attribute */
} deed;

/* What it makes of an image; false: it cannot be done there. */
static bool apply(image *i, const deed *d, const image *made)
{
    int64_t end = d->first + d->count, add = 0;

    if (d->v == CREATE) {
        if (!i->exists)
            *i = *made;
        return true;
    }
    if (!i->exists)
        return false;
    if (d->v == APPEND) {
        add = i->length;
        end = d->count;
        i->length += d->count;
    }
    if (d->v == ATTRIBUTE)
        (void)snprintf(i->attributes, sizeof i->attributes, "%d", (int)d->base);
    if (d->v == RESIZE) {
        for (int64_t k = d->count; k < SCENE_LENGTH; k++)
            i->value[k] = 0;
        i->length = d->count;
    }
    if (d->v > APPEND)
        return true;
    if (i->length > SCENE_LENGTH || end + add > i->length)
        return false;
    for (int64_t k = d->v == APPEND ? 0 : d->first; k < end; k++)
        i->value[add + k] = d->v == FILL     ? d->base
                            : d->v == UPDATE ? i->value[k] + d->base
                                             : d->base + (int32_t)k;
    return true;
}

static int add_base(void *values, size_t nbytes, void *arg)
{
    int32_t *v = values, base = *(int32_t *)arg;

    for (size_t i = 0; i < nbytes / sizeof *v; i++)
        v[i] += base;
    return 0;
}

static int run_on(azr_array *a, deed *d, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {0}, {0});
    int64_t length[1] = {d->count};
    int32_t v[SCENE_LENGTH];
    size_t nbytes = (size_t)d->count * sizeof v[0];
    azr_selection all = azr_select_all(1);
    char text[16];

    s.start[0] = d->first;
    s.count[0] = d->count;
    for (int k = 0; k < d->count && k < SCENE_LENGTH; k++)
        v[k] = d->base + k + (d->v == WRITE ? d->first : 0);
    switch (d->v) {
    case WRITE:
        return azr_array_write(a, &s, v, nbytes, err);
    case FILL:
        return azr_array_fill(a, &s, &d->base, sizeof d->base, err);
    case UPDATE:
        return azr_array_update(a, &s, add_base, &d->base, err);
    case APPEND:
        return azr_array_append(a, 0, d->count, v, nbytes, NULL, err);
    case RESIZE:
        return azr_array_resize(a, 1, length, err);
    case ATTRIBUTE:
        (void)snprintf(text, sizeof text, "%d", (int)d->base);
        return azr_array_attribute_set(a, "units", text, err);
    case READ:
        return azr_array_read(a, &all, v, sizeof v, err);
    case RECOVER:
    case CREATE:
    case VERBS:
    default:
        return AZR_OK;
    }
}

/* ---------------------------------------------------------------- worlds --- */

#define WORLDS 64
#define DEEDS  6 /* of a chain: no more than 2^6 worlds */

typedef struct world {
    image i;
    unsigned did; /* bit per deed */
} world;

typedef struct chain {
    char at[200];
    kind k;
    const stock *s; /* NULL: nothing is there at first */
    image made;     /* what there is to begin with, or after a creation */
    world w[WORLDS];
    unsigned worlds, deeds;
    uint64_t seed;
    char story[600];
} chain;

typedef enum outcome { UNDONE, DONE, EITHER } outcome;

static bool branch(chain *c, const deed *d, outcome o)
{
    unsigned bit = 1u << c->deeds++, n = c->worlds, kept = 0;

    if (o == UNDONE)
        return true;
    for (unsigned i = 0; i < n; i++) {
        world next = c->w[i];

        next.did |= bit;
        if (!apply(&next.i, d, &c->made)) {
            if (o == EITHER)
                c->w[kept++] = c->w[i];
            continue;
        }
        if (o == EITHER) {
            c->w[c->worlds++] = next; /* moved down below */
            c->w[kept++] = c->w[i];
        } else {
            c->w[kept++] = next;
        }
    }
    for (unsigned i = n; i < c->worlds; i++)
        c->w[kept++] = c->w[i];
    c->worlds = kept;
    return kept > 0 ||
           complain("%s was done, and could not be", verb_names[d->v]);
}

/* The digits of the attributes are all that changes in them. */
static void reduce(image *i)
{
    size_t n = 0;

    for (const char *p = i->attributes; *p; p++) {
        if (*p >= '0' && *p <= '9')
            i->attributes[n++] = *p;
    }
    i->attributes[n] = '\0';
}

/* Somebody saw this: worlds in which less has happened are over. */
static bool saw(chain *c, const image *seen, const char *who)
{
    unsigned kept = 0;
    bool may[WORLDS];

    for (unsigned k = 0; k < c->worlds; k++) {
        may[k] = false;
        for (unsigned e = 0; e < c->worlds; e++)
            may[k] |= image_same(&c->w[e].i, seen) &&
                      (c->w[e].did & ~c->w[k].did) == 0;
    }
    for (unsigned k = 0; k < c->worlds; k++) {
        if (may[k])
            c->w[kept++] = c->w[k];
    }
    if (kept == 0) {
        char text[300] = "";
        size_t n = 0;

        for (int64_t k = 0; k < seen->length && n < sizeof text - 16; k++)
            n += (size_t)snprintf(text + n, sizeof text - n, " %d",
                                  (int)seen->value[k]);
        return complain("%s: what may not be: %s length %lld (may be %lld), "
                        "attribute '%s' ('%s'), values%s",
                        who, seen->exists ? "" : "absent",
                        (long long)seen->length, (long long)c->w[0].i.length,
                        seen->attributes, c->w[0].i.attributes, text);
    }
    c->worlds = kept;
    return true;
}

/* --------------------------------------------------------------- children --- */

/* What children tell. */
typedef struct told {
    image seen, after;
    unsigned opened; /* points before the deed began */
    int rc;
} told;

static told *g_told;

typedef struct victim {
    deed d;
    char at[200];
    kind k;
    tap_action action;
    unsigned point;
    bool after, in_open; /* points are counted from the opening on */
    op prepare;          /* OP_TABLE, OP_LANE: rows are taken before */
    unsigned flags;
    int threads;
} victim;

static int begin_deed(azr_array **a, victim *v, azr_error *err)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;

    o.timeout_ms = 0;
    o.threads = v->threads;
    if (v->d.v == CREATE) {
        spec.zarr_format = v->k.format;
        spec.rank = 1;
        spec.dtype = AZR_INT32;
        spec.shape[0] = SCENE_SHORT;
        spec.chunks[0] = SCENE_CHUNK;
        spec.codecs = v->k.zstd ? "zstd:1" : "none";
        spec.attributes = "{\"units\": \"K\"}";
        spec.durability =
            v->k.power ? AZR_DURABILITY_POWER : AZR_DURABILITY_PROCESS;
        return azr_array_create(a, v->at, &spec, &o, err);
    }
    o.flags = v->d.v == READ ? 0 : AZR_OPEN_WRITE | v->flags;
    return azr_array_open(a, v->at, &o, err);
}

static bool be_victim(void *arg)
{
    victim *v = arg;
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    bool early = v->in_open || v->d.v == CREATE;
    int rc;

    g_told->opened = v->d.v == CREATE ? 0 : UINT32_MAX;
    if (early)
        tap_arm(v->action, v->point, v->after, EIO);
    rc = begin_deed(&a, v, &err);
    if (!early && rc == AZR_OK && v->d.v != READ && !op_prepare(a, v->prepare))
        return false;
    if (!early)
        tap_arm(v->action, v->point, v->after, EIO);
    if (v->d.v != CREATE)
        g_told->opened = atomic_load(&tap_shared()->count);
    if (rc == AZR_OK)
        rc = run_on(a, &v->d, &err);
    tap_disarm();
    g_told->rc = rc;
    if (v->prepare != OP_TABLE && v->prepare != OP_LANE)
        azr_array_close(a); /* else rows are held until the end */
    return rc == AZR_OK || err.message[0] != '\0' ||
           complain("%s without a message", azr_status_name(rc));
}

static bool be_reader(void *arg)
{
    return scene_snap(&g_told->seen, arg);
}

static bool be_nobody(void *arg)
{
    if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) != 0)
        return complain("setresuid");
    return be_reader(arg);
}

/* Who comes at the end: all of it, or nothing, and nothing left behind. */
static bool be_closer(void *arg)
{
    const char *at = arg;
    azr_array *a = NULL;
    bool ok;

    if (!scene_snap(&g_told->seen, at) || !g_told->seen.exists)
        return g_told->seen.exists || scene_error()[0] == '\0';
    ok = scene_open(&a, at, AZR_OPEN_WRITE) && scene_read(&g_told->seen, a) &&
         scene_write(a, 0, 1, 9000) && scene_read(&g_told->after, a);
    azr_array_close(a);
    return ok && scene_is_clean(at);
}

/* ------------------------------------------------------------------ steps --- */

static unsigned long g_kills, g_failing, g_stops, g_trials;

/* Points of a write of one chunk, and of each chunk more. */
static unsigned g_points[2][8][2];

static deed random_deed(chain *c)
{
    static const verb often[] = {WRITE,   WRITE,  WRITE,  FILL,
                                 UPDATE,  APPEND, RESIZE, ATTRIBUTE,
                                 RECOVER, READ,   WRITE,  FILL};
    const image *i = &c->w[0].i;
    deed d = {often[staff_below(&c->seed, sizeof often / sizeof often[0])], 0,
              1, 0};
    int64_t least = SCENE_LENGTH, most = 0;

    for (unsigned k = 0; k < c->worlds; k++) {
        i = &c->w[k].i;
        least = i->exists && i->length < least ? i->length : least;
        most = i->exists && i->length > most ? i->length : most;
        if (!i->exists)
            d.v = CREATE;
    }
    d.base = (int32_t)staff_below(&c->seed, 1u << 20);
    if (d.v == FILL && staff_below(&c->seed, 2) == 0)
        d.base = 0; /* whole chunks go */
    if (d.v <= UPDATE) {
        unsigned wide = staff_below(&c->seed, 4) ? 3 * SCENE_CHUNK : 64;

        d.first = (int)staff_below(&c->seed, (unsigned)least);
        d.count = 1 + (int)staff_below(&c->seed, wide);
        if (d.count > least - d.first)
            d.count = (int)least - d.first;
    }
    if (d.v == APPEND) {
        d.count = 1 + (int)staff_below(&c->seed, 20);
        if (d.count + most > SCENE_LENGTH)
            d.v = RESIZE;
    }
    if (d.v == RESIZE)
        d.count = 1 + (int)staff_below(&c->seed, (unsigned)most + 16);
    if (d.v == RESIZE && d.count > SCENE_LENGTH)
        d.count = SCENE_LENGTH;
    return d;
}

static unsigned kind_number(const kind *k)
{
    return (k->format == 3) + 2u * k->zstd + 4u * k->power;
}

static victim random_victim(chain *c, tap_action action)
{
    victim v = {.d = random_deed(c), .k = c->k, .action = action};
    const unsigned *n = g_points[v.d.v == CREATE][kind_number(&c->k)];
    unsigned chunks = v.d.v == RESIZE ? 4 : (unsigned)v.d.count / SCENE_CHUNK;

    (void)snprintf(v.at, sizeof v.at, "%s", c->at);
    v.in_open = staff_below(&c->seed, 3) == 0 || v.d.v == RECOVER;
    v.threads = staff_below(&c->seed, 16) == 0 ? 2 : 1;
    if (staff_below(&c->seed, 4) == 0)
        v.flags = AZR_OPEN_NO_RECOVERY;
    else if (staff_below(&c->seed, 16) == 0 && v.d.v < RECOVER && !v.in_open)
        v.prepare = staff_below(&c->seed, 2) ? OP_TABLE : OP_LANE;
    v.point = staff_below(&c->seed, n[0] + n[1] * chunks + 20u * v.in_open);
    v.after = staff_below(&c->seed, 2) != 0;
    return v;
}

static void tell(chain *c, const victim *v, const char *what)
{
    size_t n = strlen(c->story);

    (void)snprintf(c->story + n, sizeof c->story - n,
                   "; %s %d+%d by %d%s%s, %s %s point %u (%s)",
                   verb_names[v->d.v], v->d.first, v->d.count, (int)v->d.base,
                   v->threads > 1 ? ", 2 threads" : "",
                   v->flags ? ", no recovery" : "", what,
                   v->after ? "after" : "before", v->point,
                   v->point < atomic_load(&tap_shared()->count)
                       ? tap_shared()->names[v->point]
                       : "not met");
}

/* Of who stopped or died at his point: what he had done by then. */
static outcome judge(const victim *v)
{
    const tap_list *l = tap_shared();
    unsigned done = v->point + v->after;
    outcome o = v->d.v == CREATE ? EITHER : UNDONE;

    if (v->threads != 1)
        return EITHER;
    for (unsigned i = g_told->opened; i < done; i++) {
        if (strcmp(l->names[i], "row.committed") == 0)
            return DONE;
        if (strcmp(l->names[i], "row.sealed") == 0)
            o = EITHER;
    }
    return o;
}

/* Of who lived. `beside`: somebody was in the way. */
static bool survivor(chain *c, const victim *v, int status, bool beside)
{
    int rc = g_told->rc;
    bool excused = v->action == TAP_FAIL ||
                   (beside && (rc == AZR_EBUSY || rc == AZR_ECONFLICT)) ||
                   (v->d.v == CREATE && rc == AZR_EEXISTS);

    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return complain("it ended with status %x", (unsigned)status);
    if (rc != AZR_OK && !excused)
        return complain("it was refused: %s", azr_status_name(rc));
    return branch(c, &v->d,
                  rc == AZR_OK         ? DONE
                  : rc == AZR_EUNKNOWN ? EITHER
                                       : UNDONE);
}

static bool was_killed(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static bool step_death(chain *c, tap_action action, bool beside)
{
    victim v = random_victim(c, action);
    int status;

    if (beside)
        v.prepare = OP_WRITE_1; /* a row is taken */
    status = child_wait(child_start(be_victim, &v));
    tell(c, &v, action == TAP_KILL ? "killed" : "failing");
    g_failing += action == TAP_FAIL;
    if (!was_killed(status))
        return survivor(c, &v, status, beside);
    g_kills++;
    return branch(c, &v.d, judge(&v));
}

/* One is stopped; another one comes by, and mostly dies; then the first one does. */
static bool step_beside(chain *c)
{
    victim v = random_victim(c, TAP_STOP);
    int status = 0;
    pid_t pid;
    bool ok;

    v.prepare = OP_WRITE_1;
    pid = child_start(be_victim, &v);
    while (waitpid(pid, &status, WUNTRACED) < 0 && errno == EINTR)
        continue;
    tell(c, &v, "stopped");
    if (!WIFSTOPPED(status))
        return survivor(c, &v, status, false);
    g_stops++;
    ok = branch(c, &v.d, judge(&v)) && step_death(c, TAP_KILL, true);
    (void)kill(pid, SIGKILL);
    (void)child_wait(pid);
    g_kills++;
    return ok;
}

static bool look(chain *c)
{
    bool nobody = staff_below(&c->seed, 4) == 0;

    if (!staff_run(nobody ? STAFF_NOBODY : STAFF_READER, "reader",
                   nobody ? be_nobody : be_reader, c->at, 0))
        return false;
    reduce(&g_told->seen);
    return saw(c, &g_told->seen, "reader");
}

static bool finish(chain *c)
{
    image after;

    if (!staff_run(STAFF_WRITER, "writer", be_closer, c->at, 0))
        return false;
    reduce(&g_told->seen);
    if (!saw(c, &g_told->seen, "writer"))
        return false;
    if (!g_told->seen.exists)
        return true;
    after = g_told->seen;
    image_put(&after, 0, 1, 9000);
    reduce(&g_told->after);
    return image_same(&g_told->after, &after) ||
           complain("after the next write it is another array");
}

/* ----------------------------------------------------------------- trials --- */

static struct {
    stock *s;
    image made[2]; /* as it was made; as it is when only created */
} g_kinds[8];

static bool run_steps(chain *c)
{
    unsigned steps = 1 + staff_below(&c->seed, 4);
    bool ok = true;

    while (ok && steps-- > 0 && c->deeds + 2 <= DEEDS) {
        unsigned dice = staff_below(&c->seed, 16);

        ok = dice < 4    ? step_beside(c)
             : dice == 4 ? step_death(c, TAP_FAIL, false)
                         : step_death(c, TAP_KILL, false);
        if (ok && staff_below(&c->seed, 2))
            ok = look(c);
    }
    return ok && look(c) && finish(c);
}

static bool run_trial(chain *c, uint64_t seed, uint64_t number)
{
    unsigned n;
    bool absent, ok;

    c->seed = seed * UINT64_C(0x2545F4914F6CDD1D) + number;
    c->story[0] = '\0';
    c->deeds = 0;
    n = staff_below(&c->seed, 8);
    absent = staff_below(&c->seed, 10) == 0;
    c->k = (kind){n & 1 ? 3 : 2, (n & 2) != 0, (n & 4) != 0};
    c->s = absent ? NULL : g_kinds[n].s;
    c->made = g_kinds[n].made[absent];
    c->worlds = 1;
    memset(&c->w[0], 0, sizeof c->w[0]);
    if (!absent) {
        c->w[0].i = c->made;
        stock_put(c->s, c->at);
    } else if (staff_below(&c->seed, 2)) {
        (void)mkdir(c->at, 0777); /* with a directory, or without */
    }
    scene_error()[0] = '\0';
    staff_fresh(staff_below(&c->seed, 16) == 0);
    ok = run_steps(c);
    stock_clear(c->at);
    g_trials++;
    if (!ok) {
        char why[700], text[32];

        (void)snprintf(why, sizeof why, "%.690s", scene_error());
        kind_text(text, &c->k);
        scene_error()[0] = '\0';
        (void)complain("trial %" PRIu64 ", %s%.250s: %.690s", number, text,
                       c->story, why);
    }
    return ok;
}

static bool be_maker(void *arg)
{
    const victim *v = arg;

    return scene_make(v->at, OP_WRITE_1, &v->k) &&
           scene_snap(&g_told->seen, v->at);
}

static bool count_points(unsigned out[2], victim *v, int chunks)
{
    unsigned n;

    v->d.count = chunks * SCENE_CHUNK;
    if (!child_run("counting", be_victim, v))
        return false;
    n = atomic_load(&tap_shared()->count);
    if (chunks == 1)
        out[0] = n;
    else
        out[1] = n > out[0] ? (n - out[0]) / ((unsigned)chunks - 1) + 1 : 1;
    return true;
}

/* The arrays to begin with, and how many points there are to choose from. */
static bool prepare_kind(unsigned n, const char *at)
{
    victim v = {.action = TAP_COUNT, .threads = 1, .d = {WRITE, 0, 4, 1000}};
    bool ok;

    v.k = (kind){n & 1 ? 3 : 2, (n & 2) != 0, (n & 4) != 0};
    (void)snprintf(v.at, sizeof v.at, "%s", at);
    ok = child_run("maker", be_maker, &v);
    if (!ok)
        return false;
    g_kinds[n].made[0] = g_told->seen;
    g_kinds[n].s = stock_take(at);
    ok = count_points(g_points[0][n], &v, 1) &&
         count_points(g_points[0][n], &v, 8);
    stock_clear(at);
    v.d.v = CREATE;
    ok = ok && count_points(g_points[1][n], &v, 1) &&
         child_run("reader", be_reader, v.at);
    g_kinds[n].made[1] = g_told->seen;
    reduce(&g_kinds[n].made[0]);
    reduce(&g_kinds[n].made[1]);
    stock_clear(at);
    return ok;
}

static bool set_up(chain *c)
{
    bool ok = true;

    g_told = scene_shared(sizeof *g_told);
    (void)scene_error();
    (void)tap_shared();
    (void)snprintf(c->at, sizeof c->at, "%s/chain", scene_root(true));
    for (unsigned n = 0; n < 8 && ok; n++)
        ok = prepare_kind(n, c->at);
    return ok || complain("it cannot begin");
}

static void take_down(void)
{
    for (unsigned n = 0; n < 8; n++)
        stock_free(g_kinds[n].s);
}

static chain g_chain;

#ifndef AZRI_SABOTAGE

typedef struct orders {
    uint64_t seed, from, to;
    double seconds;
} orders;

static bool parse(orders *o, int argc, char **argv)
{
    *o = (orders){1, 0, 300, 1e9};
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t n = strtoull(argv[i + 1], NULL, 10);

        if (strcmp(argv[i], "--seed") == 0)
            o->seed = n;
        else if (strcmp(argv[i], "--trials") == 0)
            o->to = n;
        else if (strcmp(argv[i], "--seconds") == 0)
            o->seconds = (double)n, o->to = UINT64_MAX;
        else if (strcmp(argv[i], "--trial") == 0)
            o->from = n, o->to = n + 1;
        else
            return false;
    }
    return argc % 2 == 1;
}

int main(int argc, char **argv)
{
    orders o;
    bool ok;

    if (!parse(&o, argc, argv)) {
        (void)fprintf(stderr, "crash-chains: see the head of chains.c\n");
        return 2;
    }
    (void)staff_seconds();
    ok = set_up(&g_chain);
    staff_hire();
    for (uint64_t n = o.from; ok && n < o.to && staff_seconds() < o.seconds;
         n++)
        ok = run_trial(&g_chain, o.seed, n);
    staff_dismiss();
    take_down();
    scene_roots_remove();
    if (!ok)
        (void)printf("FAILED, seed %" PRIu64 ": %s\n", o.seed, scene_error());
    (void)printf("%lu kills, %lu failing calls, %lu of the dead were stopped "
                 "beside another, %lu chains, seed %" PRIu64 ", %.0f s\n",
                 g_kills, g_failing, g_stops, g_trials, o.seed,
                 staff_seconds());
    return ok && (g_kills >= o.to - o.from || o.to == UINT64_MAX) ? 0 : 1;
}

#else

static const struct {
    const char *name;
    azri_guard value;
} controls[] = {
    {"ROW", AZRI_GUARD_ROW},
    {"RENAME_FIRST", AZRI_GUARD_RENAME_FIRST},
    {"FINISH", AZRI_GUARD_FINISH},
    {"READ_THROUGH", AZRI_GUARD_READ_THROUGH},
};

static bool try_chains(const void *arg, bool whole)
{
    bool ok = true;

    (void)arg;
    for (uint64_t n = 0; ok && n < (whole ? 100 : 3000); n++)
        ok = run_trial(&g_chain, 1, n);
    return ok;
}

int main(void)
{
    size_t n = sizeof controls / sizeof controls[0], caught = 0;

    if (!set_up(&g_chain))
        return 2;
    for (size_t i = 0; i < n; i++)
        caught +=
            guard_try(controls[i].name, controls[i].value, try_chains, NULL);
    take_down();
    return guards_end(caught, n);
}

#endif
