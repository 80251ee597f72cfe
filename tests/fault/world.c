/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/acts.h"

#include "fault/inject.h"
#include "fault/probe.h"
#include "txn/txn.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LENGTH     46
#define BIG_LENGTH ((int64_t)1 << 18)

/* Every path that an act makes, moves or removes. */
static const char *const places[] = {"a",   "b",   "n",   "m",   "k",
                                     "g",   "g/x", "g/n", "g/h", "g/h/y",
                                     "k/x", "big", "m/x", "o"};
#define PLACES (sizeof places / sizeof places[0])

void place(char out[256], const char *root, const char *name)
{
    (void)snprintf(out, 256, "%.200s/%s", root, name);
}

/* --------------------------------------------------------------- handles --- */

/* Of "o" nothing but its chunks can be had. */
static unsigned flags_of(const char *path)
{
    const char *name = strrchr(path, '/');

    return strcmp(name ? name + 1 : path, "o") == 0 ? AZR_OPEN_OPAQUE : 0;
}

static azr_open_options patience(unsigned flags, int64_t ms)
{
    azr_open_options o = AZR_OPEN_OPTIONS_INIT;

    o.flags = flags;
    o.timeout_ms = ms;
    o.threads = 1;
    return o;
}

int open_array(azr_array **out, const actor *x, const char *name,
               unsigned flags, azr_error *err)
{
    azr_open_options o =
        patience(flags | flags_of(name), x->beside > 0 ? 10000 : 0);
    char path[256];

    place(path, x->root, name);
    return azr_array_open(out, path, &o, err);
}

int open_group(azr_group **out, const actor *x, const char *name,
               unsigned flags, azr_error *err)
{
    azr_open_options o = patience(flags, 0);
    char path[256];

    place(path, x->root, name);
    return azr_group_open(out, path, &o, err);
}

azr_array_spec spec_of(const actor *x, const char *name)
{
    static const char *const dimensions[] = {"x"};
    azr_array_spec spec = AZR_ARRAY_SPEC_INIT;
    bool big = strcmp(name, "big") == 0;

    spec.zarr_format = x->format;
    spec.rank = 1;
    spec.dtype = AZR_INT32;
    spec.shape[0] = big ? BIG_LENGTH : LENGTH;
    spec.chunks[0] = big ? BIG_LENGTH : 4;
    spec.codecs = strcmp(name, "a") == 0 ? x->codecs : "none";
    spec.attributes = "{\"units\": \"K\"}";
    spec.dimension_names = dimensions;
    spec.durability = x->power ? AZR_DURABILITY_POWER : AZR_DURABILITY_PROCESS;
    return spec;
}

int make_array(azr_array **out, const actor *x, const char *name,
               unsigned flags, azr_error *err)
{
    azr_open_options o = patience(flags, 0);
    azr_array_spec spec = spec_of(x, name);
    char path[256];

    place(path, x->root, name);
    return azr_array_create(out, path, &spec, &o, err);
}

int with_a(actor *x, azr_error *err)
{
    return open_array(&x->a, x, "a", AZR_OPEN_WRITE, err);
}

int with_both(actor *x, azr_error *err)
{
    int rc = with_a(x, err);

    return rc < 0 ? rc : open_array(&x->b, x, "b", AZR_OPEN_WRITE, err);
}

int with_g(actor *x, azr_error *err)
{
    return open_group(&x->g, x, "g", AZR_OPEN_WRITE, err);
}

int with_x(actor *x, azr_error *err)
{
    return open_array(&x->a, x, "g/x", AZR_OPEN_WRITE, err);
}

int with_o(actor *x, azr_error *err)
{
    x->opaque = true;
    return open_array(&x->a, x, "o", AZR_OPEN_WRITE, err);
}

azr_memory backwards(int32_t *v, size_t n)
{
    azr_memory m = {.struct_size = sizeof m, .rank = 1};

    m.data = v;
    m.nbytes = n * sizeof *v;
    m.offset = (n - 1) * sizeof *v;
    m.strides[0] = -(int64_t)sizeof *v;
    return m;
}

int write_box(azr_array *a, int64_t first, int64_t end, int32_t base,
              azr_error *err)
{
    azr_selection s = AZR_BOX(1, {0}, {0});
    int32_t v[LENGTH];

    s.start[0] = first;
    s.count[0] = end - first;
    for (int64_t k = first; k < end; k++)
        v[k - first] = base + (int32_t)k;
    return azr_array_write(a, &s, v, (size_t)(end - first) * sizeof v[0], err);
}

void actor_begin(actor *x, const char *root, const act *a)
{
    memset(x, 0, sizeof *x);
    x->root = root;
    x->format = a->format ? a->format : 3;
    x->power = a->power;
    x->codecs = a->codecs ? a->codecs : "zstd:1";
    x->to[0] = x->to[1] = x->from[0] = x->from[1] = -1;
}

void actor_close(actor *x)
{
    while (x->row_count > 0)
        azri_txn_end(x->rows[--x->row_count]);
    azr_probe_close(x->probe, 1);
    azr_snapshot_close(x->s);
    azr_txn_free(x->t);
    azr_group_close(x->g);
    azr_array_close(x->other);
    azr_array_close(x->b);
    azr_array_close(x->a);
    x->probe = NULL;
    x->s = NULL;
    x->t = NULL;
    x->g = NULL;
    x->a = x->b = x->other = NULL;
}

static int change_nothing(void *values, size_t nbytes, void *arg)
{
    (void)values;
    (void)nbytes;
    (void)arg;
    return 0;
}

/* The first chunk as it is. */
static int write_it_again(azr_txn *t, void *arg, azr_error *err)
{
    static const int64_t first[1] = {0};
    azr_array *a = arg;
    void *bytes = NULL;
    size_t n = 0;
    int rc = azr_txn_read_chunk(t, a, first, &bytes, &n, err);

    if (rc == AZR_OK)
        rc = azr_txn_write_chunk(t, a, first, bytes, n, err);
    azr_free(bytes);
    return rc;
}

/* Again if it is in conflict, as it is where what was read stood in a row that is
 * now finished. */
static int change_no_chunk(azr_array *a, azr_error *err)
{
    azr_txn_options o = AZR_TXN_OPTIONS_INIT;

    o.timeout_ms = 2000; /* 0 would be: not again */
    return azr_txn_run(write_it_again, a, &o, err);
}

int actor_tries(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {2}, {4});

    if (!x->a || x->plain)
        return AZR_OK;
    return x->opaque ? change_no_chunk(x->a, err)
                     : azr_array_update(x->a, &s, change_nothing, NULL, err);
}

static int note_row(const azr_row_info *row, void *arg)
{
    *(bool *)arg = row->state != AZR_ROW_FREE;
    return *(bool *)arg;
}

bool actor_has_rows(const actor *x)
{
    bool any = false;

    return azr_array_status(x->a, note_row, &any, NULL) == AZR_OK && any;
}

/* ------------------------------------------------------- somebody beside --- */

/* Two processes, a pipe each way; a process that is gone reads as its byte. */

static bool told(int fd)
{
    char c;

    return read(fd, &c, 1) == 1;
}

static int g_wait_says = -1;
static unsigned g_said;

static void say_that_i_wait(void)
{
    if (g_wait_says < 0)
        return;
    g_said++;
    (void)!write(g_wait_says, "", 1);
}

unsigned beside_was_told(void)
{
    return g_said;
}

static int hold_for_a_while(void *values, size_t nbytes, void *arg)
{
    actor *x = arg;

    (void)values;
    (void)nbytes;
    (void)!write(x->from[1], "", 1);
    (void)told(x->to[0]);
    return 0;
}

static int let_him_wait(void *values, size_t nbytes, void *arg)
{
    actor *x = arg;

    (void)values;
    (void)nbytes;
    inject_pause();
    if (write(x->to[1], "", 1) != 1 || !told(x->from[0]))
        (void)complain("he did not wait for us");
    inject_resume();
    return 0;
}

static void be_beside(actor *x, bool holds)
{
    azr_selection s = AZR_BOX(1, {2}, {4});
    azr_error err = AZR_ERROR_INIT;
    azr_array *mine = NULL;
    int rc;

    (void)alarm(60);
    (void)signal(SIGPIPE, SIG_IGN);
    inject_pause();
    (void)close(x->to[1]);
    (void)close(x->from[0]);
    x->beside = getpid();
    rc = open_array(&mine, x, "a", AZR_OPEN_WRITE, &err);
    if (holds) {
        rc =
            rc < 0 ? rc : azr_array_update(mine, &s, hold_for_a_while, x, &err);
    } else {
        (void)!write(x->from[1], "", 1);
        if (!told(x->to[0]))
            _exit(0); /* he did not get there */
        g_wait_says = x->from[1];
        inject_on_wait = say_that_i_wait;
        rc = rc < 0 ? rc
                    : azr_array_update(mine, &s, change_nothing, NULL, &err);
    }
    azr_array_close(mine);
    if (rc < 0)
        (void)complain("beside: %s", err.message);
    _exit(rc < 0);
}

static int beside(actor *x, bool holds)
{
    if (pipe2(x->to, O_CLOEXEC) != 0 || pipe2(x->from, O_CLOEXEC) != 0)
        return AZR_EIO;
    x->beside = fork();
    if (x->beside == 0)
        be_beside(x, holds);
    (void)close(x->to[0]);
    (void)close(x->from[1]);
    x->to[0] = x->from[1] = -1;
    return told(x->from[0]) ? AZR_OK : AZR_EIO;
}

/* He has the chunks, and lets go of them when we wait. */
int beside_holds(actor *x, azr_error *err)
{
    int rc = beside(x, true);

    (void)signal(SIGPIPE, SIG_IGN); /* he may be gone when we wait again */
    if (rc == AZR_OK)
        rc = with_a(x, err);
    g_said = 0;
    g_wait_says = x->to[1];
    inject_on_wait = say_that_i_wait;
    return rc;
}

/* He waits for the chunks that we have. */
int beside_waits(actor *x, azr_error *err)
{
    int rc = beside(x, false);

    return rc < 0 ? rc : with_a(x, err);
}

int beside_let_go(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {2}, {4});

    return azr_array_update(x->a, &s, let_him_wait, x, err);
}

int beside_ends(actor *x, azr_error *err)
{
    int status = 0;

    (void)err;
    inject_on_wait = NULL;
    g_wait_says = -1;
    for (int i = 0; i < 2; i++) {
        if (x->to[i] >= 0)
            (void)close(x->to[i]);
    }
    (void)waitpid(x->beside, &status, 0);
    for (int i = 0; i < 2; i++) {
        if (x->from[i] >= 0)
            (void)close(x->from[i]);
    }
    x->beside = 0;
    if (status == 0)
        return AZR_OK;
    (void)complain("the process beside: status %x", (unsigned)status);
    return AZR_EIO;
}

/* ---------------------------------------------------------------- making --- */

static int make_one(const actor *x, const char *name, azr_error *err)
{
    azr_array *a = NULL;
    int rc = make_array(&a, x, name, 0, err);

    if (rc == AZR_OK && strcmp(name, "big") != 0)
        rc = write_box(a, 0, LENGTH, strcmp(name, "g/x") == 0 ? 101 : 1, err);
    azr_array_close(a);
    return rc;
}

static int make_group(const actor *x, azr_error *err)
{
    azr_group_spec spec = AZR_GROUP_SPEC_INIT;
    azr_group *g = NULL;
    char path[256];
    int rc;

    spec.zarr_format = x->format;
    spec.attributes = "{\"title\": \"t\"}";
    place(path, x->root, "g");
    rc = azr_group_create(&g, path, &spec, NULL, err);
    if (rc == AZR_OK)
        rc = make_one(x, "g/x", err);
    if (rc == AZR_OK)
        rc = azr_group_consolidate(g, err);
    azr_group_close(g);
    return rc;
}

#define OPAQUE                                                                 \
    "{\"zarr_format\":3,\"node_type\":\"array\",\"shape\":[10],"               \
    "\"data_type\":\"string\",\"chunk_grid\":{\"name\":\"regular\","           \
    "\"configuration\":{\"chunk_shape\":[4]}},\"chunk_key_encoding\":"         \
    "{\"name\":\"default\"},\"fill_value\":-1,\"codecs\":[{\"name\":"          \
    "\"bytes\",\"configuration\":{\"endian\":\"little\"}}],"                   \
    "\"attributes\":{\"units\":\"K\"}}"

int make_opaque(actor *x, const char *name, azr_error *err)
{
    static const int64_t first[1] = {0}, last[1] = {2};
    azr_array_text text = AZR_ARRAY_TEXT_INIT;
    azr_txn_options to = AZR_TXN_OPTIONS_INIT;
    azr_open_options o = patience(AZR_OPEN_OPAQUE, 0);
    char path[256];
    int rc;

    text.document = OPAQUE;
    text.durability = x->power ? AZR_DURABILITY_POWER : AZR_DURABILITY_PROCESS;
    to.timeout_ms = 0;
    place(path, x->root, name);
    rc = azr_txn_begin(&x->t, &to, err);
    if (rc == AZR_OK)
        rc = azr_txn_create_from(x->t, &x->b, path, &text, &o, err);
    if (rc == AZR_OK)
        rc = azr_txn_write_chunk(x->t, x->b, first, "first", 5, err);
    if (rc == AZR_OK)
        rc = azr_txn_write_chunk(x->t, x->b, last, "the last", 8, err);
    return rc == AZR_OK ? azr_txn_commit(x->t, err) : rc;
}

typedef enum death { OF_A, OF_BOTH, OF_BELOW } death;

typedef struct dying {
    const char *root;
    const act *a;
    death of;
} dying;

static int write_both(actor *x, azr_error *err)
{
    azr_selection s = AZR_BOX(1, {2}, {4});
    int32_t v[4] = {-1, -2, -3, -4};
    int rc = azr_txn_begin(&x->t, NULL, err);

    if (rc == AZR_OK)
        rc = azr_txn_write(x->t, x->a, &s, v, sizeof v, err);
    if (rc == AZR_OK)
        rc = azr_txn_write(x->t, x->b, &s, v, sizeof v, err);
    return rc == AZR_OK ? azr_txn_commit(x->t, err) : rc;
}

static bool be_dying(void *arg)
{
    static const act_fn opens[] = {with_a, with_both, with_x};
    const dying *d = arg;
    inject_plan plan = INJECT_NONE;
    azr_error err = AZR_ERROR_INIT;
    actor x;
    int rc;

    actor_begin(&x, d->root, d->a);
    inject_install();
    if (opens[d->of](&x, &err) < 0)
        return complain("dying: %s", err.message);
    plan.kill = "row.committed";
    inject_arm(&plan);
    if (d->of == OF_BOTH)
        rc = write_both(&x, &err);
    else if (d->of == OF_BELOW)
        rc = azr_array_attribute_set(x.a, "units", "\"m\"", &err);
    else
        rc = write_box(x.a, 2, 42, 1000, &err); /* a record */
    return complain("it did not die: %d: %s", rc, err.message);
}

static bool leave_dead(const char *root, const act *a, death of)
{
    dying d = {root, a, of};
    int status = child_wait(child_start(be_dying, &d));

    return (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
           complain("nobody died");
}

static bool put(const char *root, const char *name)
{
    char path[256];
    int fd;

    place(path, root, name);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return complain("create '%s'", name);
    (void)close(fd);
    return true;
}

static bool leave_rubbish(const char *root)
{
    static const char *const dirs[] = {
        "a/.azr/snap", "a/.azr/snap/0123456789abcdef0123456789abcdef",
        "a/.azr/snap/0123456789abcdef0123456789abcdef/c", ".azr-trash",
        ".azr-trash/0123456789abcdef0123456789abcdef"};
    char path[256];

    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        place(path, root, dirs[i]);
        if (mkdir(path, 0777) != 0)
            return complain("mkdir '%s'", dirs[i]);
    }
    return put(root, "a/.azr/tx/0123456789abcd.0") &&
           put(root, "a/.azr/tx/0123456789abcd.r") &&
           put(root, "a/.azr/snap/0123456789abcdef0123456789abcdef/c/0") &&
           put(root, ".azr-trash/0123456789abcdef0123456789abcdef/zarr.json");
}

static bool damage_state(const char *root)
{
    static const char noise[8] = "garbage";
    char path[256];
    int fd;
    bool ok;

    place(path, root, "a/.azr/state");
    fd = open(path, O_RDWR | O_CLOEXEC);
    ok = fd >= 0 && pwrite(fd, noise, sizeof noise, 0) == sizeof noise;
    if (fd >= 0)
        (void)close(fd);
    return ok || complain("damage");
}

typedef struct making {
    const char *root;
    const act *a;
} making;

static bool be_maker(void *arg)
{
    const making *m = arg;
    azr_error err = AZR_ERROR_INIT;
    int rc = AZR_OK;
    actor x;

    actor_begin(&x, m->root, m->a);
    if (m->a->parts & PART_A)
        rc = make_one(&x, "a", &err);
    if (rc == AZR_OK && (m->a->parts & PART_B))
        rc = make_one(&x, "b", &err);
    if (rc == AZR_OK && (m->a->parts & PART_G))
        rc = make_group(&x, &err);
    if (rc == AZR_OK && (m->a->parts & PART_BIG))
        rc = make_one(&x, "big", &err);
    if (rc == AZR_OK && (m->a->parts & PART_O))
        rc = make_opaque(&x, "o", &err);
    actor_close(&x);
    return rc == AZR_OK || complain("make: %s", err.message);
}

bool world_make(const char *root, const act *a)
{
    making m = {root, a};

    tree_remove(root);
    if (mkdir(root, 0777) != 0)
        return complain("mkdir '%s'", root);
    if (!child_run("maker", be_maker, &m))
        return false;
    if ((a->parts & PART_DEAD) && !leave_dead(root, a, OF_A))
        return false;
    if ((a->parts & PART_DEAD2) && !leave_dead(root, a, OF_BOTH))
        return false;
    if ((a->parts & PART_DEADG) && !leave_dead(root, a, OF_BELOW))
        return false;
    if ((a->parts & PART_TORN) && !damage_state(root))
        return false;
    return !(a->parts & PART_LEFT) || leave_rubbish(root);
}

/* A group that is not ours to begin with, so that each new file is given to it. */
static bool other_group(gid_t *out)
{
    gid_t all[64];
    int n;

    if (geteuid() == 0) {
        *out = 1;
        return true;
    }
    n = getgroups(64, all);
    for (int i = 0; i < n; i++) {
        *out = all[i];
        if (all[i] != getegid())
            return true;
    }
    return false;
}

bool world_can_share(void)
{
    gid_t gid;

    return other_group(&gid);
}

static gid_t g_gid;

static int share_one(const char *path, const struct stat *st, int type,
                     struct FTW *w)
{
    (void)st;
    (void)type;
    (void)w;
    return lchown(path, (uid_t)-1, g_gid);
}

void world_share(const char *root)
{
    if (!other_group(&g_gid) || nftw(root, share_one, 8, FTW_PHYS) != 0)
        (void)complain("share: %s", root);
}

/* --------------------------------------------------------------- seeing --- */

typedef struct text {
    char *at;
    size_t left;
} text;

__attribute__((format(printf, 2, 3))) static void add(text *t,
                                                      const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(t->at, t->left, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= t->left)
        return;
    t->at += n;
    t->left -= (size_t)n;
}

/* A picture has one line for each place. */
static void add_attributes(text *t, char *attributes)
{
    for (char *c = attributes; *c != '\0'; c++) {
        if (*c == '\n')
            *c = ' ';
    }
    add(t, " %s", attributes);
}

/* A sum of all of them, and the first and the last ones. */
static int see_elements(text *t, azr_array *a, int64_t length,
                        const char *codecs, azr_error *err)
{
    static int32_t v[BIG_LENGTH];
    azr_selection all = azr_select_all(1);
    uint64_t sum = 0;
    int rc = azr_array_read(a, &all, v, (size_t)length * sizeof v[0], err);

    if (rc < 0)
        return rc;
    for (int64_t i = 0; i < length; i++)
        sum = (sum ^ (uint32_t)v[i]) * UINT64_C(0x100000001B3);
    add(t, " %" PRIx64 " %s:", sum, codecs);
    for (int64_t i = 0; i < length; i++) {
        if (i < 24 || i >= length - 8)
            add(t, " %d", (int)v[i]);
    }
    return AZR_OK;
}

static int see_chunks(text *t, azr_array *a, int64_t length, azr_error *err)
{
    azr_txn *txn = NULL;
    int rc = azr_txn_begin(&txn, NULL, err);

    for (int64_t i = 0; i < (length + 3) / 4 && rc == AZR_OK; i++) {
        void *bytes = NULL;
        size_t n = 0;

        rc = azr_txn_read_chunk(txn, a, &i, &bytes, &n, err);
        if (rc == AZR_OK)
            add(t, " [%.*s]", (int)n, bytes ? (const char *)bytes : "");
        azr_free(bytes);
    }
    if (rc == AZR_OK)
        rc = azr_txn_commit(txn, err);
    azr_txn_free(txn);
    return rc;
}

static int see_array(text *t, const char *path, azr_error *err)
{
    azr_open_options o = patience(flags_of(path), 0);
    azr_array_info info = {.struct_size = sizeof info};
    azr_array *a = NULL;
    char *attributes = NULL;
    int rc = azr_array_open(&a, path, &o, err);

    if (rc == AZR_OK)
        rc = azr_array_info_get(a, &info, err);
    if (rc == AZR_OK)
        rc = azr_array_attributes(a, &attributes, err);
    if (rc == AZR_OK) {
        add(t, " array %" PRId64 " durability %d", info.shape[0],
            (int)info.durability);
        add_attributes(t, attributes);
        rc = info.opaque[0]
                 ? see_chunks(t, a, info.shape[0], err)
                 : see_elements(t, a, info.shape[0], info.codecs, err);
    }
    azr_free(attributes);
    azr_array_close(a);
    if (rc == AZR_ECORRUPT && err->sub == AZR_SUB_STATE) {
        add(t, " damaged");
        rc = AZR_OK;
    }
    return rc;
}

static int no_finding(const azr_finding *f, void *arg)
{
    (void)arg;
    (void)complain("finding: '%s': %s", f->key, f->text);
    return 0;
}

static int see_group(text *t, const char *path, bool strict, azr_error *err)
{
    azr_open_options o = patience(0, 0);
    azr_group_info info = {.struct_size = sizeof info};
    azr_group *g = NULL;
    char *attributes = NULL;
    int rc = azr_group_open(&g, path, &o, err);

    if (rc == AZR_OK)
        rc = azr_group_info_get(g, &info, err);
    if (rc == AZR_OK)
        rc = azr_group_attributes(g, &attributes, err);
    if (rc == AZR_OK) {
        add(t, " group");
        add_attributes(t, attributes);
    }
    if (rc == AZR_OK && info.consolidated) {
        add(t, " consolidated");
        if (strict)
            rc = azr_group_check_consolidated(g, no_finding, NULL, err);
    }
    azr_free(attributes);
    azr_group_close(g);
    return rc;
}

/* Before the library is asked, which would ask more. */
static bool is_nothing(const char *path)
{
    return access(path, F_OK) != 0 && errno == ENOENT;
}

/* An array that was created in a row has no document yet: then it is a directory
 * that can be opened. */
static bool is_hidden_array(const char *path)
{
    azr_open_options o = patience(flags_of(path), 0);
    azr_array *a = NULL;
    int rc = azr_array_open(&a, path, &o, NULL);

    azr_array_close(a);
    return rc != AZR_ENOTFOUND;
}

static bool see_place(text *t, const char *root, const char *name, bool strict)
{
    azr_error err = AZR_ERROR_INIT;
    char path[256];
    int what = AZR_NODE_NONE, rc;

    place(path, root, name);
    if (is_nothing(path))
        return true;
    rc = azr_node_at(&what, NULL, path, &err);
    if (rc == AZR_ENOTFOUND ||
        (rc == AZR_OK && what == AZR_NODE_DIRECTORY && !is_hidden_array(path)))
        return true;
    add(t, "%s:", name);
    if (rc == AZR_OK)
        rc = what == AZR_NODE_GROUP ? see_group(t, path, strict, &err)
                                    : see_array(t, path, &err);
    add(t, "\n");
    return rc == AZR_OK ||
           complain("see '%s': %s: %s", name, azr_status_name(rc), err.message);
}

bool world_see(char out[WORLD_TEXT], const char *root, bool strict)
{
    text t = {out, WORLD_TEXT};

    out[0] = '\0';
    add(&t, "world\n");
    for (size_t i = 0; i < PLACES; i++) {
        if (!see_place(&t, root, places[i], strict))
            return false;
    }
    return scene_error()[0] == '\0';
}

/* --------------------------------------------------------------- debris --- */

static size_t g_skip;
static bool g_lost;

static bool is_name_of(const char *name, const char *const *names)
{
    for (; *names; names++) {
        if (strcmp(name, *names) == 0)
            return true;
    }
    return false;
}

static int look_at(const char *path, const struct stat *st, int type,
                   struct FTW *w)
{
    static const char *const files[] = {"zarr.json", ".zarray", ".zattrs",
                                        ".zgroup",   "state",   ".zmetadata",
                                        NULL};
    static const char *const dirs[] = {"c",    ".azr",       "tx", "tmp",
                                       "snap", ".azr-trash", NULL};
    const char *name = path + w->base;
    size_t digits = strspn(name, "0123456789");

    (void)st;
    if (strncmp(name, ".azr-probe.", 11) == 0) /* whose removal failed */
        return 0;
    if (w->level == 0 || (digits > 0 && name[digits] == '\0'))
        return 0;
    if (g_lost &&
        (strstr(path + g_skip, "/lost") || strstr(path + g_skip, ".azr-")))
        return 0;
    if (type == FTW_D) {
        if (is_name_of(name, dirs) || (strstr(path, "/tx/") && !name[1]))
            return 0;
        for (size_t i = 0; i < PLACES; i++) {
            if (strcmp(path + g_skip, places[i]) == 0)
                return 0;
        }
    } else if (is_name_of(name, files)) {
        return 0;
    }
    (void)complain("left behind: %s", path + g_skip);
    return 1;
}

static int error_finding(const azr_finding *f, void *arg)
{
    (void)arg;
    if (f->is_error || f->kind == AZR_FINDING_ROW)
        (void)complain("verify: '%s': %s", f->key, f->text);
    return 0;
}

static bool mend_array(const char *path)
{
    azr_open_options o = patience(AZR_OPEN_WRITE | flags_of(path), 0);
    azr_recovery done = {.struct_size = sizeof done};
    azr_error err = AZR_ERROR_INIT;
    azr_array *a = NULL;
    int rc = azr_array_open(&a, path, &o, &err);

    if (rc == AZR_OK)
        rc = azr_array_recover(a, &done, &err);
    if (rc == AZR_OK)
        rc = azr_array_verify(a, error_finding, NULL, NULL, &err);
    azr_array_close(a);
    if (rc == AZR_OK || rc == AZR_ENOTFOUND)
        return true;
    return complain("next: open '%s': %s: %s", path, azr_status_name(rc),
                    err.message);
}

/* Groups: what a change that was cut short left there is mended by who opens
 * them to write. */
static bool mend_group(const char *path)
{
    azr_open_options o = patience(AZR_OPEN_WRITE, 0);
    azr_error err = AZR_ERROR_INIT;
    azr_group *g = NULL;
    int rc = azr_group_open(&g, path, &o, &err);

    azr_group_close(g);
    return rc == AZR_OK || complain("next: open '%s': %s", path, err.message);
}

static bool collect_in(const char *path)
{
    azr_error err = AZR_ERROR_INIT;
    int rc = azr_collect(path, NULL, NULL, &err);

    return rc == AZR_OK || rc == AZR_ENOTFOUND ||
           complain("collect: %s", err.message);
}

/* What a copy left is removed by the next one who copies to there. */
static bool copy_again(const char *root, const act *a)
{
    static const char *const sources[] = {"a", "g"};
    char from[256], to[256];

    place(to, root, strcmp(a->name, "copy-into") == 0 ? "g/q" : "q");
    for (size_t i = 0; i < 2; i++) {
        azr_tree_options o = AZR_TREE_OPTIONS_INIT;

        place(from, root, sources[i]);
        o.flags = AZR_TREE_RECURSIVE;
        if (azr_copy(from, to, NULL, NULL, NULL) == AZR_OK &&
            azr_remove(to, &o, NULL) < 0)
            return complain("remove '%s'", to);
    }
    return true;
}

static bool collect_all(const char *root)
{
    char path[256];

    place(path, root, "g");
    return collect_in(root) && collect_in(path);
}

/* azr_replace, which could not put back what it was to bring. Its owner can. */
bool world_take_back(const char *message)
{
    static const char part[] = "' could not be put back, it stands at '";
    const char *at = strstr(message, part), *end;
    char from[256] = "", stands[256] = "";

    if (!at)
        return true;
    end = strchr(at + sizeof part - 1, '\'');
    (void)snprintf(from, sizeof from, "%.*s", (int)(at - message - 1),
                   message + 1);
    if (end)
        (void)snprintf(stands, sizeof stands, "%.*s",
                       (int)(end - at - (ptrdiff_t)sizeof part + 1),
                       at + sizeof part - 1);
    return rename(stands, from) == 0 || complain("'%s' is lost", stands);
}

bool world_is_clean(const char *root, const act *a, bool lost)
{
    azr_error err = AZR_ERROR_INIT;
    char path[256];
    int what, rc;

    for (size_t i = 0; i < PLACES; i++) {
        place(path, root, places[i]);
        if (is_nothing(path))
            continue;
        rc = azr_node_at(&what, NULL, path, &err);
        if (rc == AZR_ENOTFOUND)
            continue;
        if (rc < 0)
            return complain("next: '%s': %s", path, err.message);
        if (what == AZR_NODE_GROUP ? !mend_group(path) : !mend_array(path))
            return false;
    }
    if (strncmp(a->name, "copy", 4) == 0 && !copy_again(root, a))
        return false;
    if (!collect_all(root))
        return false;
    g_skip = strlen(root) + 1;
    g_lost = (a->parts & PART_TORN) != 0 || lost;
    return nftw(root, look_at, 8, FTW_PHYS) == 0 && scene_error()[0] == '\0';
}
