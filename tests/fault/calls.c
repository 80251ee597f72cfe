/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each system call of an operation fails once, with each of several errors. The
 * answer must be honest: an error means that nothing has changed, or it is
 * AZR_EUNKNOWN; success means that it has happened. And the next writer gets
 * through at once.
 */
#include "fault/probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In memory that children share. */
typedef struct told {
    int rc; /* what the operation said */
    azr_error err;
    image seen;  /* by a reader right after it */
    image after; /* by the next writer */
} told;

typedef struct failing {
    op o;
    kind k;
    char from[160], at[160];
    tap_action action;
    unsigned point;
    int error;
    image old, new;
} failing;

static told *g_told;
static unsigned long g_faults, g_refused, g_unknown;

static const int errors[] = {EIO,    ENOSPC, EACCES, EDQUOT, EMFILE,
                             EAGAIN, ENOLCK, EROFS,  ENOENT, EINTR};

static int run(azr_array *a, op o, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {2}, {4});
    int32_t v[8];

    for (int i = 0; i < 8; i++)
        v[i] = o == OP_APPEND ? 2000 + i : 1002 + i;
    if (o == OP_APPEND)
        return azr_array_append(a, 0, 8, v, sizeof v, NULL, err);
    return azr_array_write(a, &s, v, 4 * sizeof v[0], err);
}

static bool be_maker(void *arg)
{
    const failing *f = arg;

    return scene_make(f->from, f->o, &f->k);
}

static bool be_caller(void *arg)
{
    const failing *f = arg;
    azr_array *a = NULL;

    if (!scene_open(&a, f->at, AZR_OPEN_WRITE))
        return false;
    tap_arm(f->action, f->point, false, f->error);
    g_told->rc = run(a, f->o, &g_told->err);
    tap_disarm();
    azr_array_close(a);
    return true;
}

static bool be_reader(void *arg)
{
    const failing *f = arg;

    return scene_snap(&g_told->seen, f->at);
}

static bool be_next(void *arg)
{
    const failing *f = arg;
    azr_array *a = NULL;
    bool ok = scene_open(&a, f->at, AZR_OPEN_WRITE) &&
              scene_write(a, 15, 16, 8000) && scene_read(&g_told->after, a);

    azr_array_close(a);
    return ok && scene_is_clean(f->at);
}

static bool is_honest(const failing *f)
{
    bool is_new = image_same(&g_told->seen, &f->new);

    if (!is_new && !image_same(&g_told->seen, &f->old))
        return complain("neither the old nor the new array");
    if (g_told->rc == AZR_OK)
        return is_new || complain("success, but nothing happened");
    g_refused++;
    g_unknown += g_told->rc == AZR_EUNKNOWN;
    if (g_told->err.message[0] == '\0')
        return complain("%s without a text", azr_status_name(g_told->rc));
    if (is_new && g_told->rc != AZR_EUNKNOWN)
        return complain("it failed, but it happened: %s", g_told->err.message);
    return true;
}

static bool stays_so(const failing *f)
{
    image old = f->old, new = f->new;
    bool was_new = image_same(&g_told->seen, &f->new), is_new;

    image_put(&old, 15, 16, 8000);
    image_put(&new, 15, 16, 8000);
    is_new = image_same(&g_told->after, &new);
    if (!is_new && !image_same(&g_told->after, &old))
        return complain("after the next writer: neither old nor new");
    if (is_new != was_new && g_told->rc != AZR_EUNKNOWN)
        return complain("the next writer changed the verdict");
    return true;
}

static bool fail_once(failing *f)
{
    char why[900];
    bool ok;

    scene_error()[0] = '\0';
    memset(g_told, 0, sizeof *g_told);
    tree_remove(f->at);
    tree_copy(f->from, f->at);
    ok = child_run("caller", be_caller, f) &&
         child_run("reader", be_reader, f) && is_honest(f) &&
         child_run("next writer", be_next, f) && stays_so(f);
    g_faults++;
    if (ok)
        return true;
    (void)snprintf(why, sizeof why, "%s", scene_error());
    scene_error()[0] = '\0';
    return complain("%s point %u (%s) fails with %s: %s (%s)", op_name(f->o),
                    f->point, tap_shared()->names[f->point],
                    strerrorname_np(f->error), why, g_told->err.message);
}

static bool begin(failing *f)
{
    const char *root = scene_root(true);

    (void)snprintf(f->from, sizeof f->from, "%s/calls-from", root);
    (void)snprintf(f->at, sizeof f->at, "%s/calls", root);
    tree_remove(f->from);
    tree_remove(f->at);
    if (!child_run("maker", be_maker, f))
        return false;
    tree_copy(f->from, f->at);
    if (!child_run("reader", be_reader, f))
        return false;
    f->old = g_told->seen;
    f->action = TAP_COUNT;
    if (!child_run("caller", be_caller, f) ||
        !child_run("reader", be_reader, f))
        return false;
    f->new = g_told->seen;
    return true;
}

static bool every_call(op o, const kind *k)
{
    static failing f;
    static bool can_fail[TAP_POINTS];
    unsigned points;
    bool ok;

    memset(&f, 0, sizeof f);
    f.o = o;
    f.k = *k;
    ok = begin(&f);
    points = atomic_load(&tap_shared()->count);
    memcpy(can_fail, tap_shared()->can_fail, sizeof can_fail);
    f.action = TAP_FAIL;
    for (f.point = 0; ok && f.point < points; f.point++) {
        for (size_t e = 0; ok && e < sizeof errors / sizeof errors[0]; e++) {
            f.error = errors[e];
            ok = !can_fail[f.point] || fail_once(&f);
        }
    }
    return ok;
}

static const kind process = {3, false, false}, power = {3, false, true};

static bool write_process(void)
{
    return every_call(OP_WRITE_2, &process);
}

static bool write_power(void)
{
    return every_call(OP_WRITE_2, &power);
}

static bool append_process(void)
{
    return every_call(OP_APPEND, &process);
}

static bool append_power(void)
{
    return every_call(OP_APPEND, &power);
}

int main(int argc, char **argv)
{
    static const test tests[] = {
        {"write-process", write_process, false},
        {"write-power", write_power, false},
        {"append-process", append_process, false},
        {"append-power", append_power, false},
    };
    int rc;

    g_told = scene_shared(sizeof *g_told);
    rc = run_tests(tests, sizeof tests / sizeof tests[0], argc, argv);
    (void)printf("%lu faults, %lu refused, of which %lu unknown\n", g_faults,
                 g_refused, g_unknown);
    /* a fault that nobody ever noticed is no test */
    return rc != 0 ? rc : argc == 1 && (g_refused < 100 || g_unknown == 0);
}
