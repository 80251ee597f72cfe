/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two users of one group share an array, whatever their umask; a stranger is
 * refused; who may only read reads through a committed row. Root ignores mode
 * bits, so everything here runs as somebody else, in children.
 */
#include "fault/probe.h"

#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALICE    60001u
#define BOB      60002u
#define STRANGER 60003u
#define GROUP    60100u

static const kind process = {3, false, false};
static char g_home[160], g_at[200];
static image g_old, g_new;

typedef struct person {
    unsigned uid;
    mode_t mask;
    int first; /* writes here; below 0: only reads */
    int want;  /* this answer */
    int32_t value;
} person;

static bool become(const person *p)
{
    gid_t group = GROUP;
    size_t n = p->uid == STRANGER ? 0 : 1;

    (void)umask(p->mask);
    return (setgroups(n, &group) == 0 &&
            setresgid(p->uid, p->uid, p->uid) == 0 &&
            setresuid(p->uid, p->uid, p->uid) == 0) ||
           complain("cannot become user %u", p->uid);
}

static bool be_person(void *arg)
{
    const person *p = arg;
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;
    azr_selection s = AZR_BOX(1, {0}, {4});
    azr_error err = AZR_ERROR_INIT;
    int32_t v[4] = {p->value, p->value, p->value, p->value};
    azr_array *a = NULL;
    int rc;

    if (!become(p))
        return false;
    o.flags = p->first >= 0 ? AZR_OPEN_WRITE : 0;
    o.timeout_ms = 100;
    s.start[0] = p->first;
    rc = azr_array_open(&a, g_at, &o, &err);
    if (rc == AZR_OK && p->first >= 0)
        rc = azr_array_write(a, &s, v, sizeof v, &err);
    azr_array_close(a);
    if (rc == p->want && (rc == AZR_OK || err.message[0] != '\0'))
        return true;
    return complain("user %u, umask %03o: %s (%s), %s is needed", p->uid,
                    (unsigned)p->mask, azr_status_name(rc), err.message,
                    azr_status_name(p->want));
}

static bool let(unsigned uid, mode_t mask, int first, int want)
{
    person p = {uid, mask, first, want, (int32_t)(1000 + first)};

    return child_run("person", be_person, &p);
}

static bool be_creator(void *arg)
{
    person p = {ALICE, *(const mode_t *)arg, 0, 0, 0};

    /* an array directory that the group may write, as an admin would set up */
    return become(&p) && scene_make(g_at, OP_WRITE_2, &process);
}

/* A directory of the group, set-group-id, and in it the array's own. */
static bool begin(mode_t mask)
{
    (void)snprintf(g_home, sizeof g_home, "%s/home", scene_root(true));
    (void)snprintf(g_at, sizeof g_at, "%s/shared", g_home);
    tree_remove(g_home);
    if (mkdir(g_home, 0777) != 0 || chown(g_home, ALICE, GROUP) != 0 ||
        chmod(g_home, 02770) != 0)
        return complain("cannot prepare %s", g_home);
    if (mkdir(g_at, 0770) != 0 || chown(g_at, ALICE, GROUP) != 0 ||
        chmod(g_at, 02770) != 0)
        return complain("cannot prepare %s", g_at);
    /* the way to it */
    (void)chmod(scene_root(true), 0755);
    return child_run("creator", be_creator, &mask);
}

/* Both write in turn, on chunks of their own, of each other, and new ones. */
static bool share(mode_t alice, mode_t bob)
{
    return begin(alice) && let(BOB, bob, 0, AZR_OK) &&
           let(ALICE, alice, 0, AZR_OK) && let(BOB, bob, 4, AZR_OK) &&
           let(ALICE, alice, 4, AZR_OK) && let(BOB, bob, -1, AZR_OK) &&
           let(STRANGER, 022, -1, AZR_EPERM) &&
           let(STRANGER, 022, 0, AZR_EPERM);
}

static bool shared_022(void)
{
    return share(022, 022);
}

static bool shared_077(void)
{
    return share(077, 077) && share(077, 002);
}

/* Everybody may read, the group may write. Bob dies after his commit; a stranger
 * reads what he wrote, and Alice finishes it. */
static bool be_stranger(void *arg)
{
    person p = {STRANGER, 022, -1, 0, 0};
    image *seen = &probe_outcome()->seen;

    (void)arg;
    return become(&p) && scene_snap(seen, g_at);
}

static void open_to_all(const char *path)
{
    char name[256];
    static const char *const dirs[] = {"", "c", ".azr", ".azr/tx"};

    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(name, sizeof name, "%s/%s", path, dirs[i]);
        (void)chmod(name, 0755);
    }
}

static bool read_through(void)
{
    (void)snprintf(g_at, sizeof g_at, "%s/committed", scene_root(true));
    (void)chmod(scene_root(true), 0755);
    if (!make_committed(g_at, OP_RECORD, &process, &g_old, &g_new))
        return false;
    open_to_all(g_at);
    if (!child_run("stranger", be_stranger, NULL))
        return false;
    return image_same(&probe_outcome()->seen, &g_new) ||
           complain("a reader was served the torn base");
}

/* A directory of chunks that may not be written: found before the commit. */
static bool deny(op o)
{
    char name[256];
    uint64_t before;
    bool ok;

    if (!begin(022))
        return false;
    (void)snprintf(name, sizeof name, "%s/c", g_at);
    if (chown(name, 0, GROUP) != 0 || chmod(name, 0555) != 0)
        return complain("cannot prepare %s", name);
    before = tree_digest(g_at, false);
    {
        /* value 0 is the fill value: a deletion */
        person p = {BOB, 022, 0, AZR_EPERM, o == OP_DELETE ? 0 : 7};

        ok = child_run("person", be_person, &p);
    }
    return ok &&
           (tree_digest(g_at, false) == before ||
            complain("something has changed")) &&
           scene_is_clean(g_at);
}

static bool chunks_denied(void)
{
    return deny(OP_WRITE_2);
}

static bool deletion_denied(void)
{
    return deny(OP_DELETE);
}

/* EACCES on `state` is an error, never "there is none". */
static bool state_denied(void)
{
    char name[256];

    if (!begin(022))
        return false;
    (void)snprintf(name, sizeof name, "%s/.azr/state", g_at);
    if (chmod(name, 0600) != 0)
        return complain("chmod");
    return let(BOB, 022, -1, AZR_EPERM) && let(BOB, 022, 0, AZR_EPERM);
}

/* What each of them gets. */
typedef struct snapper {
    person who;
    const char *directory;
    int want;
} snapper;

static bool be_snapper(void *arg)
{
    const snapper *p = arg;
    azr_snapshot_options o = AZR_SNAPSHOT_OPTIONS_INIT;
    azr_selection s = AZR_BOX(1, {0}, {4});
    azr_error err = AZR_ERROR_INIT;
    azr_snapshot *snapshot = NULL;
    int32_t was[4], now[4];
    azr_array *a = NULL;
    int rc;

    if (!become(&p->who))
        return false;
    o.directory = p->directory;
    rc = azr_array_open(&a, g_at, NULL, &err);
    if (rc == AZR_OK)
        rc = azr_array_read(a, &s, was, sizeof was, &err);
    if (rc < 0)
        return complain("%s", err.message);
    rc = azr_snapshot_take(&snapshot, &a, 1, &o, &err);
    azr_array_close(a);
    if (rc != p->want)
        return complain("user %u: %s (%s), %s is needed", p->who.uid,
                        azr_status_name(rc), err.message,
                        azr_status_name(p->want));
    if (rc < 0)
        return err.message[0] != '\0' || complain("no message");
    rc = azr_array_read(azr_snapshot_array(snapshot, 0), &s, now, sizeof now,
                        &err);
    azr_snapshot_close(snapshot);
    return (rc == AZR_OK && memcmp(was, now, sizeof was) == 0) ||
           complain("the snapshot: %s", err.message);
}

static bool snap(unsigned uid, const char *directory, int want)
{
    snapper p = {{uid, 022, 0, 0, 0}, directory, want};

    return child_run("snapper", be_snapper, &p);
}

/* Bob may write in `.azr`, but one chunk is Alice's alone, which a kernel with
 * protected links does not let him link: it is copied. A stranger is refused, and
 * may have a copy elsewhere. Nothing is left of any of them. */
static bool snapshots(void)
{
    char chunk[256], elsewhere[256], place[256], command[256];
    bool ok;

    if (!begin(022) || !let(ALICE, 022, 0, AZR_OK))
        return false;
    (void)snprintf(chunk, sizeof chunk, "%s/c/0", g_at);
    (void)snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere",
                   scene_root(true));
    tree_remove(elsewhere);
    if (chmod(chunk, 0644) != 0 || mkdir(elsewhere, 0777) != 0 ||
        chmod(elsewhere, 01777) != 0)
        return complain("cannot prepare");
    ok = snap(BOB, NULL, AZR_OK) && snap(ALICE, NULL, AZR_OK);
    (void)snprintf(command, sizeof command, "chmod -R o+rX '%s'", g_home);
    (void)snprintf(place, sizeof place, "%s/.azr/snap", g_at);
    ok = ok && (system(command) == 0 || complain("chmod"));
    ok = ok && snap(STRANGER, NULL, AZR_EPERM) &&
         snap(STRANGER, elsewhere, AZR_OK) && snap(BOB, elsewhere, AZR_OK);
    /* only what is empty can be removed so */
    return ok && ((rmdir(elsewhere) == 0 && rmdir(place) == 0) ||
                  complain("a snapshot is left"));
}

int main(int argc, char **argv)
{
    static const test tests[] = {
        {"shared-022", shared_022, true},
        {"shared-077", shared_077, true},
        {"read-through", read_through, true},
        {"chunks-denied", chunks_denied, true},
        {"deletion-denied", deletion_denied, true},
        {"state-denied", state_denied, true},
        {"snapshots", snapshots, true},
    };

    return run_tests(tests, sizeof tests / sizeof tests[0], argc, argv);
}
