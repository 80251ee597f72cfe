/* SPDX-License-Identifier: Apache-2.0 */
#include "power/judge.h"

#include "os/sys.h"
#include "power/disk.h"
#include "txn/layout.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static unsigned g_warnings;

static void on_log(int level, const char *text, void *arg)
{
    (void)text;
    (void)arg;
    if (level <= AZR_LOG_WARNING)
        g_warnings++;
}

void judge_listen(void)
{
    azr_set_log(on_log, AZR_LOG_WARNING, NULL);
}

/* --------------------------------------------------------------- debris --- */

typedef struct debris {
    const act *a;
    unsigned found, lost;
    char first[160];
} debris;

static bool is_in(const char *path, const char *dir)
{
    const char *at = strstr(path, dir);

    return at && at[strlen(dir)] != '\0';
}

/* Below /d: what a finished array has, and nothing else. */
static void look_for_debris(const char *path, bool is_dir, size_t nbytes,
                            void *arg)
{
    debris *d = arg;
    const char *base = strrchr(path, '/');

    (void)nbytes;
    base = base ? base + 1 : path;
    if (is_in(path, ".azr/lost/")) {
        d->lost++;
        return;
    }
    if (is_dir && !strstr(path, ".azr-trash") && !strstr(path, "/snap/"))
        return;
    if (!is_in(path, ".azr/tx/") && !strstr(path, ".azr-trash") &&
        !strstr(path, "/snap/") &&
        (!strstr(base, ".renew") || strstr(base, ".partial")))
        return;
    if (d->found++ == 0)
        (void)snprintf(d->first, sizeof d->first, "%.150s", path);
}

static bool rows_are_free(const char *place)
{
    const disk_content *c;
    uint64_t rows;
    char path[64];

    (void)snprintf(path, sizeof path, "%s/.azr/state", place);
    c = disk_peek(path);
    if (!c)
        return true;
    memcpy(&rows, c->data + AZRI_CHANGING_AT, sizeof rows);
    for (uint64_t i = 0; i < rows && i < AZRI_WORDS; i++) {
        uint64_t word;

        memcpy(&word, c->data + AZRI_WORDS_AT + 8 * i, sizeof word);
        if (azri_word_state(word) != AZRI_FREE)
            return complain("row %" PRIu64 " of %s stays in state %" PRIu32, i,
                            place, azri_word_state(word));
    }
    return true;
}

static bool is_clean(const judge *j, const view *was, debris *d)
{
    memset(d, 0, sizeof *d);
    disk_walk("/d", look_for_debris, d);
    for (int k = 0; k < j->a->places; k++) {
        if (was->a[k].exists && !rows_are_free(act_places[k]))
            return false;
    }
    if (d->found > 0 && !(j->a->flags & ACT_TRASH))
        return complain("left behind: %s", d->first);
    return true;
}

/* ----------------------------------------------------------- afterwards --- */

static int count_errors(const azr_finding *f, void *arg)
{
    unsigned *n = arg;

    if (f->is_error && (*n)++ == 0)
        (void)complain("verify: %s: %s", f->key, f->text);
    return 0;
}

static bool verify(azr_array *a)
{
    azr_error err = AZR_ERROR_INIT;
    unsigned errors = 0;
    int rc = azr_array_verify(a, count_errors, NULL, &errors, &err);

    if (rc < 0)
        return act_failed("verify", rc, &err);
    return errors == 0;
}

static bool stands(const image *want, azr_array *a, const char *who)
{
    image got;

    if (!scene_read(&got, a))
        return false;
    if (!image_same(&got, want))
        return complain("%s reads something else", who);
    return true;
}

/* A writer, who begins by finishing what was left. */
static bool write_to(const judge *j, int place, const image *was, image *now)
{
    azr_array *a = NULL;
    bool ok = scene_open(&a, act_places[place], AZR_OPEN_WRITE);

    (void)j;
    *now = *was;
    if (ok)
        ok = stands(was, a, "the next writer");
    image_put(now, 1, 6, 9000);
    if (ok)
        ok = scene_write(a, 1, was->length < 6 ? was->length : 6, 9000) &&
             stands(now, a, "who wrote after it");
    azr_array_close(a);
    return ok;
}

static int on_stale(const azr_finding *f, void *arg)
{
    (void)arg;
    (void)complain("consolidated metadata: %s: %s", f->key, f->text);
    return 0;
}

static bool copies_agree(void)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;
    int rc;

    o.flags = AZR_OPEN_WRITE;
    o.timeout_ms = 0;
    rc = azr_group_open(&g, "/d", &o, &err);
    if (rc == AZR_OK)
        rc = azr_group_check_consolidated(g, on_stale, NULL, &err);
    azr_group_close(g);
    if (rc == AZR_ENOTFOUND)
        return true;
    return rc < 0 ? act_failed("consolidated", rc, &err)
                  : scene_error()[0] == '\0';
}

/* What a creation left is in nobody's way. */
static bool create_again(const judge *j)
{
    azr_array_spec spec = act_spec(j->a, j->power);
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    int last = j->a->places - 1;
    int rc = azr_array_create(&a, act_places[last], &spec, NULL, &err);

    azr_array_close(a);
    return rc < 0 ? act_failed("create again", rc, &err) : true;
}

static bool take_away(int place, bool may_refuse)
{
    azr_error err = AZR_ERROR_INIT;
    int rc = azr_remove(act_places[place], NULL, &err);

    return rc == AZR_OK || may_refuse || act_failed("remove", rc, &err);
}

/* By plain tools; who opens the others meanwhile may be refused. */
static bool take_out_and_back(const judge *j, int place)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    bool ok = azri_sys->renameat2(AT_FDCWD, act_places[place], AT_FDCWD,
                                  "/d/elsewhere", 0) == 0;

    o.flags = AZR_OPEN_WRITE;
    o.timeout_ms = 0;
    for (int k = 0; k < j->a->places && ok; k++) {
        azr_error err = AZR_ERROR_INIT;
        azr_array *a = NULL;
        int rc;

        if (k == place)
            continue;
        rc = azr_array_open(&a, act_places[k], &o, &err);
        azr_array_close(a);
        ok = rc == AZR_OK || rc == AZR_ECORRUPT ||
             act_failed("open without the other", rc, &err);
    }
    return ok && (azri_sys->renameat2(AT_FDCWD, "/d/elsewhere", AT_FDCWD,
                                      act_places[place], 0) == 0 ||
                  complain("it cannot be put back"));
}

/* Before anybody has finished what was left, one of the arrays goes. */
static bool depart(const judge *j, view *was, unsigned turn)
{
    int place = (int)(turn % 2);

    if (!(j->a->flags & ACT_DEPARTS) || !was->a[place].exists)
        return true;
    if (turn == 2)
        return take_out_and_back(j, 1);
    was->a[place].exists = false;
    return take_away(place, false);
}

static bool writers_after(const judge *j, const view *seen, unsigned turn)
{
    view now_here = *seen, *was = &now_here;
    int n = j->a->places;
    debris d;

    if (!depart(j, was, turn))
        return false;
    for (int i = 0; i < n; i++) {
        int k = (i + (int)turn) % n;
        image now;

        if (!was->a[k].exists)
            continue;
        if (!write_to(j, k, &was->a[k], &now))
            return false;
    }
    if ((j->a->flags & ACT_CREATES) && !was->a[n - 1].exists &&
        !create_again(j))
        return false;
    if ((j->a->flags & ACT_CONSOLIDATED) && !copies_agree())
        return false;
    for (int k = 0; k < n; k++) {
        azr_array *a = NULL;
        bool ok;

        if (!was->a[k].exists)
            continue;
        ok = scene_open(&a, act_places[k], 0) && verify(a);
        azr_array_close(a);
        if (!ok)
            return false;
    }
    if (!is_clean(j, was, &d))
        return false;
    if (d.lost > 0 && !(j->a->flags & ACT_DAMAGED))
        return complain("something went to .azr/lost");
    if (d.lost != 2 && (j->a->flags & ACT_LOSES))
        return complain("%u of 2 staged files are in .azr/lost", d.lost);
    return true;
}

/* `power`: what is there is what was, or what was going to be. */
static bool readers_after(const judge *j, view *v)
{
    if (!act_look(v, j->a))
        return false;
    for (uint32_t i = j->from; i <= j->to; i++) {
        if (view_same(v, &j->views[i]))
            return true;
    }
    for (uint32_t i = 0; i < j->from; i++) {
        if (view_same(v, &j->views[i]))
            return complain("step %" PRIu32 " was acknowledged and is gone",
                            i + 1);
    }
    return complain("neither the old nor the new state");
}

/* What was acknowledged as `power` is that. */
static bool stays_durable(const judge *j)
{
    azr_array_info info = {.struct_size = sizeof info};
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    bool ok;

    if (!(j->a->flags & ACT_UNSYNCED) || j->from == 0)
        return true;
    ok = scene_open(&a, act_places[0], 0) &&
         azr_array_info_get(a, &info, &err) == AZR_OK;
    azr_array_close(a);
    return ok && (info.durability == AZR_DURABILITY_POWER ||
                  complain("its durability was acknowledged, and is gone"));
}

bool judge_power(const judge *j, unsigned turn, view *v)
{
    if ((j->a->flags & ACT_DAMAGED) && j->from == 0) /* not mended yet */
        *v = j->views[0];
    else if (!readers_after(j, v))
        return false;
    if (!stays_durable(j) || !writers_after(j, v, turn))
        return false;
    if (disk_open_count() != 0)
        return complain("%" PRIu32 " descriptors stay open", disk_open_count());
    return true;
}

/* ------------------------------------------------------------- process --- */

/* An array that was there before all this, of which no document has changed: it
 * works on, whatever became of its chunks. */
static bool works_on(const judge *j, int place, bool *refused)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_error err = AZR_ERROR_INIT;
    azr_selection all = azr_select_all(1);
    azr_array_info info = {.struct_size = sizeof info};
    azr_array *a = NULL;
    int32_t v[SCENE_LENGTH];
    int32_t got[SCENE_LENGTH];
    bool ok;
    int rc;

    o.threads = 1;
    o.timeout_ms = 0;
    o.flags = AZR_OPEN_WRITE;
    rc = azr_array_open(&a, act_places[place], &o, &err);
    if (rc < 0 && (j->a->flags & ACT_DOCUMENTS) &&
        (rc == AZR_ECORRUPT || rc == AZR_ENOTFOUND)) {
        *refused = true;
        return true;
    }
    if (rc < 0)
        return act_failed("open after the loss", rc, &err);
    rc = azr_array_info_get(a, &info, &err);
    for (int i = 0; i < SCENE_LENGTH; i++)
        v[i] = 100 + i;
    if (rc == AZR_OK)
        rc = azr_array_write(a, &all, v, (size_t)info.shape[0] * sizeof v[0],
                             &err);
    if (rc == AZR_OK)
        rc = azr_array_read(a, &all, got, sizeof got, &err);
    if (rc < 0)
        ok = act_failed("use it after the loss", rc, &err);
    else if (memcmp(got, v, (size_t)info.shape[0] * sizeof v[0]) != 0)
        ok = complain("what was written after the loss reads otherwise");
    else
        ok = verify(a);
    azr_array_close(a);
    return ok;
}

static bool header_is_whole(const char *place)
{
    const disk_content *c;
    char path[64];

    (void)snprintf(path, sizeof path, "%s/.azr/state", place);
    c = disk_peek(path);
    return c && c->nbytes >= AZRI_ROWS_AT + 8 * AZRI_ROW_NBYTES &&
           memcmp(c->data, AZRI_STATE_MAGIC, 8) == 0;
}

/* `process`: no crash, no hang; a reader gets values or an error; a writer goes
 * on; what is left of a transaction is finished, or kept in lost/ and reported. */
bool judge_process(judge *j)
{
    bool whole[ACT_PLACES], refused = false;
    debris d;
    view v;

    if (!act_look(&v, j->a)) { /* an error is an answer */
        scene_error()[0] = '\0';
        j->refused++;
    } else if (!view_same(&v, &j->views[j->from]) &&
               !view_same(&v, &j->views[j->to])) {
        j->mixed++;
    }
    g_warnings = 0;
    if ((j->a->flags & ACT_DEPARTS) && j->views[0].a[1].exists &&
        !take_away(1, true))
        return false;
    for (int k = 0; k < j->a->places; k++) {
        char path[64];

        if ((j->a->flags & ACT_DEPARTS) && k == 1)
            continue;
        (void)snprintf(path, sizeof path, "%s/.azr/state", act_places[k]);
        whole[k] = !disk_peek(path) || header_is_whole(act_places[k]);
        if (j->views[0].a[k].exists && j->views[j->to].a[k].exists &&
            !works_on(j, k, &refused))
            return false;
        if (!refused && j->views[0].a[k].exists && !whole[k] && g_warnings == 0)
            return complain("a state without a header was built anew, and "
                            "nobody was told");
    }
    memset(&d, 0, sizeof d);
    if (!refused && !(j->a->flags & ACT_DOCUMENTS) &&
        !is_clean(j, &j->views[0], &d))
        return false;
    if (!refused && d.lost > 0) {
        j->lost++;
        if (g_warnings == 0 && !(j->a->flags & ACT_LOSES)) /* or before */
            return complain("files went to .azr/lost, and nobody was told");
    }
    if (disk_open_count() != 0)
        return complain("%" PRIu32 " descriptors stay open", disk_open_count());
    return true;
}
