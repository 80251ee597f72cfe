/* SPDX-License-Identifier: Apache-2.0 */
/* The array of the demo: where it comes from, its sites, and the check that
 * tells whether what was read is one state. */
#include "demo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ELEVATION "elevation.npy"
/* Of a user's array, the leading part that is no larger than this is copied. */
#define COPY_MAX_NBYTES (64 << 20)
/* Widest reach of a box from its corner, elements in a dimension. */
#define MAX_REACH 64

/* ----------------------------------------------------------- elevation --- */

/* Directory of this program, ended by '/'; false if it cannot be told. */
static bool program_dir(char *out, size_t room)
{
    ssize_t n = readlink("/proc/self/exe", out, room - 1);
    char *slash;

    if (n <= 0)
        return false;
    out[n] = '\0';
    slash = strrchr(out, '/');
    if (!slash)
        return false;
    slash[1] = '\0';
    return true;
}

static FILE *open_elevation(struct cli *cli)
{
    static const char *const places[] = {"data/", "../data/",
                                         "../share/atomiczarr/"};
    const char *env = getenv("AZR_DATA");
    char dir[2048] = "", path[4096], tried[8192] = "";
    FILE *f;

    if (env && *env) {
        (void)snprintf(path, sizeof path, "%s/" ELEVATION, env);
        f = fopen(path, "rb");
        if (!f)
            cli_error(cli, CLI_IO, "%s: %s (AZR_DATA)", path, strerror(errno));
        return f;
    }
    if (!program_dir(dir, sizeof dir))
        dir[0] = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        size_t used = strlen(tried);

        (void)snprintf(path, sizeof path, "%s%s" ELEVATION, dir, places[i]);
        f = fopen(path, "rb");
        if (f)
            return f;
        (void)snprintf(tried + used, sizeof tried - used, "%s%s",
                       used ? ", " : "", path);
    }
    cli_error(cli, CLI_IO, "no elevation model: tried %s (set AZR_DATA)",
              tried);
    return NULL;
}

/* The header of a .npy file of version 1 with two dimensions of "<i2". */
static bool read_npy_header(FILE *f, int64_t *shape)
{
    unsigned char head[10];
    char text[1024];
    const char *at;
    char *end;
    size_t n;

    if (fread(head, 1, sizeof head, f) != sizeof head ||
        memcmp(head, "\x93NUMPY\x01", 7) != 0)
        return false;
    n = head[8] + 256u * head[9];
    if (n >= sizeof text || fread(text, 1, n, f) != n)
        return false;
    text[n] = '\0';
    at = strstr(text, "'shape': (");
    if (!at || !strstr(text, "'<i2'") ||
        !strstr(text, "'fortran_order': False"))
        return false;
    shape[0] = strtoll(at + strlen("'shape': ("), &end, 10);
    if (*end != ',')
        return false;
    shape[1] = strtoll(end + 1, &end, 10);
    return *end == ')' && shape[0] > 0 && shape[0] < 65536 && shape[1] > 0 &&
           shape[1] < 65536;
}

/* Bytes of the base: all extents times the size of an element. */
static size_t scene_nbytes(const struct demo_scene *s)
{
    size_t n = s->item_nbytes;

    for (int d = 0; d < s->rank; d++)
        n *= (size_t)s->shape[d];
    return n;
}

static void swap_on_big_endian(uint8_t *p, size_t nbytes)
{
    const uint16_t one = 1;
    uint8_t first;

    memcpy(&first, &one, 1);
    for (size_t i = 0; first == 0 && i + 1 < nbytes; i += 2) {
        uint8_t t = p[i];

        p[i] = p[i + 1];
        p[i + 1] = t;
    }
}

static int load_elevation(struct demo_scene *s, const struct demo_options *o)
{
    FILE *f = open_elevation(o->cli);
    int rc = CLI_OK;

    if (!f)
        return CLI_IO;
    s->rank = 2;
    s->dtype = AZR_INT16;
    s->zarr_format = 3;
    s->item_nbytes = 2;
    s->chunks[0] = s->chunks[1] = 32;
    (void)snprintf(s->name, sizeof s->name, "elevation");
    if (read_npy_header(f, s->shape)) {
        s->nbytes = scene_nbytes(s);
        s->base = load_map(s->nbytes);
        if (!s->base)
            rc = cli_error(o->cli, CLI_IO, "no memory");
        else if (fread(s->base, 1, s->nbytes, f) != s->nbytes)
            rc = cli_error(o->cli, CLI_CORRUPT, ELEVATION " is too short");
        else
            swap_on_big_endian(s->base, s->nbytes);
    } else {
        rc = cli_error(o->cli, CLI_CORRUPT, ELEVATION ": not as expected");
    }
    (void)fclose(f);
    return rc;
}

/* --------------------------------------------------------- user's array --- */

/* In shared memory, filled by a child: this process is to stay without threads
 * and locks of the library until the workers have been forked. */
struct visit {
    const struct demo_options *o;
    azr_array_info info;
    int status;
    azr_error err;
    struct demo_scene *scene; /* NULL: only look */
};

static int visit_child(int index, void *arg)
{
    struct visit *v = arg;
    azr_open_options open = cli_open_options(v->o->cli, 0);
    azr_array *array = NULL;

    (void)index;
    v->status = azr_array_open(&array, v->o->array, &open, &v->err);
    if (v->status == AZR_OK && !v->scene) {
        v->info.struct_size = sizeof v->info;
        v->status = azr_array_info_get(array, &v->info, &v->err);
    } else if (v->status == AZR_OK) {
        int64_t zero[AZR_MAX_RANK] = {0};
        azr_selection sel =
            azr_select_box(v->scene->rank, zero, v->scene->shape, NULL);

        v->status = azr_array_read(array, &sel, v->scene->base,
                                   v->scene->nbytes, &v->err);
    }
    azr_array_close(array);
    return 0;
}

static int visit(struct visit *v)
{
    pid_t pid = load_spawn(visit_child, 0, v);

    if (pid < 0 || load_join(&pid, 1) < 0)
        return cli_error(v->o->cli, CLI_IO, "%s: the reading process failed",
                         v->o->array);
    if (v->status != AZR_OK)
        return cli_fail_at(v->o->cli, v->status, &v->err, v->o->array);
    return CLI_OK;
}

/* Compression of the copy: the first name of the array's codecs that is one. */
static void choose_codec(struct demo_scene *s, const char *names)
{
    static const char *const known[] = {"blosc", "zstd", "gzip", "zlib", "lz4"};

    (void)snprintf(s->codec, sizeof s->codec, "none");
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strstr(names, known[i])) {
            (void)snprintf(s->codec, sizeof s->codec, "%s", known[i]);
            return;
        }
    }
}

/* Whole chunks are cut off the longest dimension until the rest is small. */
static void crop(struct demo_scene *s, const struct cli *cli)
{
    bool cut = false;
    int longest = 0;

    for (;;) {
        double nbytes = (double)s->item_nbytes;

        longest = 0;
        for (int d = 0; d < s->rank; d++) {
            nbytes *= (double)s->shape[d];
            if (s->shape[d] / s->chunks[d] >
                s->shape[longest] / s->chunks[longest])
                longest = d;
        }
        if (nbytes <= COPY_MAX_NBYTES ||
            s->shape[longest] < 4 * s->chunks[longest])
            break;
        s->shape[longest] = (s->shape[longest] / 2 + s->chunks[longest] - 1) /
                            s->chunks[longest] * s->chunks[longest];
        cut = true;
    }
    if (cut)
        cli_note(cli, "%s is large: the demo copies its first part", s->name);
}

static int load_user_array(struct demo_scene *s, const struct demo_options *o)
{
    struct visit *v = load_map(sizeof *v);
    int rc;

    if (!v)
        return cli_error(o->cli, CLI_IO, "no memory");
    v->o = o;
    rc = visit(v);
    if (rc != CLI_OK)
        goto done;
    s->rank = v->info.rank;
    s->dtype = v->info.dtype;
    s->zarr_format = v->info.zarr_format;
    s->item_nbytes = azr_dtype_nbytes(s->dtype);
    memcpy(s->shape, v->info.shape, sizeof s->shape);
    memcpy(s->chunks, v->info.chunks, sizeof s->chunks);
    choose_codec(s, v->info.codecs);
    (void)snprintf(s->name, sizeof s->name, "%s", o->array);
    rc = CLI_UNSUPPORTED;
    if (s->dtype == AZR_BOOL) {
        cli_error(o->cli, rc,
                  "%s: bool has too few values to tell writes apart", o->array);
        goto done;
    }
    crop(s, o->cli);
    s->nbytes = scene_nbytes(s);
    if (s->nbytes == 0) {
        rc = cli_error(o->cli, CLI_USAGE, "%s is empty", o->array);
        goto done;
    }
    s->base = load_map(s->nbytes);
    if (!s->base) {
        rc = cli_error(o->cli, CLI_IO, "%s: no memory for %zu bytes", o->array,
                       s->nbytes);
        goto done;
    }
    v->scene = s;
    rc = visit(v);
done:
    load_unmap(v, sizeof *v);
    return rc;
}

int demo_scene_load(struct demo_scene *s, const struct demo_options *o)
{
    int rc = o->array ? load_user_array(s, o) : load_elevation(s, o);

    if (rc == CLI_OK && o->codec)
        (void)snprintf(s->codec, sizeof s->codec, "%s", o->codec);
    return rc;
}

void demo_scene_dispose(struct demo_scene *s)
{
    for (int i = 0; i < s->site_count; i++) {
        free(s->site[i].base);
        free(s->site[i].mask);
    }
    load_unmap(s->base, s->nbytes);
}

/* --------------------------------------------------------------- sites --- */

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Dimensions in which a site straddles chunks: up to three, those with the most
 * chunks first. Returns how many. */
static int pick_dimensions(const struct demo_scene *s, bool *straddles)
{
    int n = 0;

    memset(straddles, 0, AZR_MAX_RANK * sizeof *straddles);
    while (n < 3) {
        int64_t most = 1;
        int best = -1;

        for (int d = 0; d < s->rank; d++) {
            int64_t chunks = (s->shape[d] + s->chunks[d] - 1) / s->chunks[d];

            if (!straddles[d] && chunks > most) {
                most = chunks;
                best = d;
            }
        }
        if (best < 0)
            break;
        straddles[best] = true;
        n++;
    }
    return n;
}

/* Corners along a dimension, and the number of chunks between two of them: in
 * chunks of one element, the boxes of neighbours would overlap. */
static int64_t corner_step(const struct demo_scene *s, int d)
{
    return s->chunks[d] == 1 ? 2 : 1;
}

static int64_t corner_count(const struct demo_scene *s, int d)
{
    int64_t inner = (s->shape[d] - 1) / s->chunks[d];

    return (inner + corner_step(s, d) - 1) / corner_step(s, d);
}

/* Set dimension `d` of a box to [corner - low, corner + high), cut. */
static void set_reach(const struct demo_scene *s, struct demo_box *box, int d,
                      int64_t corner, const int64_t *reach)
{
    int64_t end = smaller(corner + reach[1], s->shape[d]);

    box->start[d] = corner - reach[0];
    box->count[d] = end - box->start[d];
}

/* The boxes of a site in one dimension. Box 0 reaches far to one side, box 1 to
 * the other, box 2 half way to both; all hold the core. */
static void set_dimension(const struct demo_scene *s, struct demo_site *site,
                          int d, int64_t corner, bool straddles)
{
    int64_t far = s->chunks[d] / 2 < MAX_REACH ? s->chunks[d] / 2 : MAX_REACH;
    int64_t near = s->chunks[d] / 8 < 4 ? s->chunks[d] / 8 : 4;
    int64_t reach[DEMO_BOXES + 2][2] = {{0}};

    far = far > 0 ? far : 1;
    near = near > 0 ? near : 1;
    for (int k = 0; k < 2; k++) {
        reach[k][(d + k) % 2] = far;
        reach[k][(d + k + 1) % 2] = near;
    }
    reach[2][0] = reach[2][1] = (near + far) / 2;
    reach[3][0] = reach[3][1] = near;
    reach[4][0] = reach[4][1] = far;
    if (!straddles) { /* all begin at 0 */
        corner = 0;
        for (int k = 0; k < DEMO_BOXES + 2; k++)
            reach[k][0] = 0;
        reach[0][1] = reach[4][1] = far;
        reach[1][1] = near;
    }
    for (int k = 0; k < DEMO_BOXES; k++)
        set_reach(s, &site->box[k], d, corner, reach[k]);
    set_reach(s, &site->core, d, corner, reach[3]);
    set_reach(s, &site->region, d, corner, reach[4]);
}

static void count_box(const struct demo_scene *s, struct demo_box *box)
{
    box->n = 1;
    for (int d = 0; d < s->rank; d++)
        box->n *= (size_t)box->count[d];
}

static bool holds(const struct demo_scene *s, const struct demo_box *box,
                  const int64_t *at)
{
    for (int d = 0; d < s->rank; d++) {
        if (at[d] < box->start[d] || at[d] >= box->start[d] + box->count[d])
            return false;
    }
    return true;
}

static size_t offset_of(const struct demo_scene *s, const int64_t *at)
{
    size_t offset = 0;

    for (int d = 0; d < s->rank; d++)
        offset = offset * (size_t)s->shape[d] + (size_t)at[d];
    return offset;
}

/* Step `at` through a box in C order; false after the last. */
static bool next_in(const struct demo_scene *s, const struct demo_box *box,
                    int64_t *at)
{
    for (int d = s->rank - 1; d >= 0; d--) {
        if (++at[d] < box->start[d] + box->count[d])
            return true;
        at[d] = box->start[d];
    }
    return false;
}

/* Place of an element on the map, whose axes are the last two dimensions. */
static int cell_of(const struct demo_scene *s, const int64_t *at)
{
    int d = s->rank - 1;
    int64_t chunks = (s->shape[d] + s->chunks[d] - 1) / s->chunks[d];
    int64_t col = at[d] / s->chunks[d] * s->map_cols / chunks;
    int64_t row = 0;

    if (d > 0) {
        d--;
        chunks = (s->shape[d] + s->chunks[d] - 1) / s->chunks[d];
        row = at[d] / s->chunks[d] * s->map_rows / chunks;
    }
    return (int)(row * s->map_cols + col);
}

static void add_cell(struct demo_site *site, int cell)
{
    for (int i = 0; i < site->cell_count; i++) {
        if (site->cells[i] == cell)
            return;
    }
    if (site->cell_count < (int)(sizeof site->cells / sizeof site->cells[0]))
        site->cells[site->cell_count++] = cell;
}

/* Note which boxes each element lies in. */
static void fill_mask(const struct demo_scene *s, struct demo_site *site)
{
    int64_t at[AZR_MAX_RANK];
    size_t i = 0;

    memcpy(at, site->region.start, sizeof at);
    do {
        site->mask[i] = 0;
        for (int k = 0; k < DEMO_BOXES; k++) {
            if (holds(s, &site->box[k], at))
                site->mask[i] |= (uint8_t)DEMO_IN_BOX(k);
        }
        if (holds(s, &site->core, at)) {
            site->mask[i] |= (uint8_t)DEMO_IN_CORE;
            add_cell(site, cell_of(s, at));
        }
        i++;
    } while (next_in(s, &site->region, at));
}

/* Site number `number` of all the corners of the grid. */
static void build_site(struct demo_scene *s, struct demo_site *site,
                       int64_t number, const bool *straddles)
{
    for (int d = s->rank - 1; d >= 0; d--) {
        int64_t corner = 0;

        if (straddles[d]) {
            int64_t n = corner_count(s, d);

            corner = (1 + number % n * corner_step(s, d)) * s->chunks[d];
            number /= n;
        }
        set_dimension(s, site, d, corner, straddles[d]);
    }
    for (int k = 0; k < DEMO_BOXES; k++)
        count_box(s, &site->box[k]);
    count_box(s, &site->core);
    count_box(s, &site->region);
    site->base = cli_alloc(site->region.n, s->item_nbytes);
    site->mask = cli_alloc(site->region.n, 1);
    if (site->region.n * s->item_nbytes > s->region_nbytes)
        s->region_nbytes = site->region.n * s->item_nbytes;
    demo_cut(s, &site->region, s->base, site->base);
    fill_mask(s, site);
}

static void build_map(struct demo_scene *s)
{
    int64_t cols = (s->shape[s->rank - 1] + s->chunks[s->rank - 1] - 1) /
                   s->chunks[s->rank - 1];
    int64_t rows = 1;

    if (s->rank > 1)
        rows = (s->shape[s->rank - 2] + s->chunks[s->rank - 2] - 1) /
               s->chunks[s->rank - 2];
    s->map_cols = (int)smaller(cols, DEMO_MAP_COLS);
    s->map_rows = (int)smaller(rows, DEMO_MAP_ROWS);
}

int demo_scene_build(struct demo_scene *s, const struct demo_options *o)
{
    bool straddles[AZR_MAX_RANK];
    int64_t corners = 1, pairs;

    if (pick_dimensions(s, straddles) == 0)
        return cli_error(o->cli, CLI_USAGE,
                         "%s has only one chunk: nothing can be torn", s->name);
    for (int d = 0; d < s->rank; d++) {
        if (straddles[d])
            corners *= corner_count(s, d);
    }
    build_map(s);
    /* pairs of neighbours, which share chunks, spread over the array */
    pairs = smaller(DEMO_SITES / 2, corners / 2);
    for (int64_t i = 0; i < pairs; i++) {
        int64_t number = i * corners / pairs + (corners / pairs - 2) / 2;

        build_site(s, &s->site[s->site_count++], number, straddles);
        build_site(s, &s->site[s->site_count++], number + 1, straddles);
    }
    if (pairs == 0)
        build_site(s, &s->site[s->site_count++], 0, straddles);
    return CLI_OK;
}

azr_selection demo_box_selection(const struct demo_scene *s,
                                 const struct demo_box *box)
{
    return azr_select_box(s->rank, box->start, box->count, NULL);
}

/* ---------------------------------------------------------------- tags --- */

/* Elements are taken as words of up to eight bytes, to which a tag is added. */
static size_t word_nbytes(const struct demo_scene *s)
{
    return s->item_nbytes > 8 ? 8 : s->item_nbytes;
}

static uint64_t load_word(const uint8_t *p, size_t nbytes)
{
    uint8_t b1;
    uint16_t b2;
    uint32_t b4;
    uint64_t b8;

    switch (nbytes) {
    case 1:
        memcpy(&b1, p, sizeof b1);
        return b1;
    case 2:
        memcpy(&b2, p, sizeof b2);
        return b2;
    case 4:
        memcpy(&b4, p, sizeof b4);
        return b4;
    default:
        memcpy(&b8, p, sizeof b8);
        return b8;
    }
}

static void store_word(uint8_t *p, size_t nbytes, uint64_t value)
{
    uint8_t b1 = (uint8_t)(value & UINT8_MAX);
    uint16_t b2 = (uint16_t)(value & UINT16_MAX);
    uint32_t b4 = (uint32_t)(value & UINT32_MAX);

    switch (nbytes) {
    case 1:
        memcpy(p, &b1, sizeof b1);
        break;
    case 2:
        memcpy(p, &b2, sizeof b2);
        break;
    case 4:
        memcpy(p, &b4, sizeof b4);
        break;
    default:
        memcpy(p, &value, sizeof value);
        break;
    }
}

/* What was added to an element, or UINT64_MAX if its words do not agree. */
static uint64_t tag_of(const struct demo_scene *s, const uint8_t *value,
                       const uint8_t *base)
{
    size_t w = word_nbytes(s);
    uint64_t wrap = w == 8 ? UINT64_MAX : (UINT64_C(1) << (8 * w)) - 1;
    uint64_t tag = (load_word(value, w) - load_word(base, w)) & wrap;

    if (s->item_nbytes > w &&
        load_word(value + w, w) - load_word(base + w, w) != tag)
        return UINT64_MAX;
    return tag;
}

/* Terrain stays within int16: 1,076 m and 30,002. */
uint64_t demo_tag(const struct demo_scene *s, int k, uint64_t random)
{
    uint64_t n = s->item_nbytes == 1 ? 80 : 10000;

    return 3 * (1 + random % n) + (uint64_t)k;
}

size_t demo_values(const struct demo_scene *s, const struct demo_site *site,
                   int k, uint64_t tag, uint8_t *dst)
{
    size_t w = word_nbytes(s), n = 0;

    for (size_t i = 0; i < site->region.n; i++) {
        if (!(site->mask[i] & DEMO_IN_BOX(k)))
            continue;
        for (size_t b = 0; b < s->item_nbytes; b += w, n += w)
            store_word(dst + n, w,
                       load_word(site->base + i * s->item_nbytes + b, w) + tag);
    }
    return n;
}

/* May an element with this mask carry this tag, where the core carries `core`? */
static bool explained(unsigned mask, uint64_t tag, uint64_t core)
{
    if (mask & (DEMO_IN_CORE | DEMO_IN_BOX(core % DEMO_BOXES)))
        return tag == core;
    return tag == 0 ||
           (tag != UINT64_MAX && (mask & DEMO_IN_BOX(tag % DEMO_BOXES)) != 0);
}

/* Tag of the first element of the core, in values of the core or the region. */
static uint64_t core_tag(const struct demo_scene *s,
                         const struct demo_site *site, unsigned bit,
                         const uint8_t *values)
{
    size_t i = 0;

    while (!(site->mask[i] & DEMO_IN_CORE))
        i++;
    return tag_of(s, bit ? values : values + i * s->item_nbytes,
                  site->base + i * s->item_nbytes);
}

bool demo_whole(const struct demo_scene *s, const struct demo_site *site,
                unsigned bit, const uint8_t *values, struct demo_tear *tear)
{
    uint64_t core = core_tag(s, site, bit, values);
    size_t n = 0;

    memset(tear, 0, sizeof *tear);
    tear->whole = bit == DEMO_IN_REGION;
    tear->tag[0] = core;
    for (size_t i = 0; i < site->region.n; i++) {
        uint64_t tag;

        if (bit && !(site->mask[i] & bit))
            continue;
        tag = tag_of(s, values + n, site->base + i * s->item_nbytes);
        n += s->item_nbytes;
        if (explained(site->mask[i], tag, core)) {
            tear->count[0] += tag == core;
        } else {
            tear->tag[1] = tag;
            tear->count[1]++;
        }
    }
    return tear->count[1] == 0 && core != UINT64_MAX;
}

uint64_t demo_strays(const struct demo_scene *s, const uint8_t *values)
{
    int64_t at[AZR_MAX_RANK] = {0};
    struct demo_box all = {.n = 1};
    uint64_t strays = 0;
    size_t i = 0;

    memcpy(all.count, s->shape, sizeof all.count);
    do {
        bool inside = false;

        for (int k = 0; k < s->site_count && !inside; k++)
            inside = holds(s, &s->site[k].region, at);
        if (!inside && memcmp(values + i, s->base + i, s->item_nbytes) != 0)
            strays++;
        i += s->item_nbytes;
    } while (next_in(s, &all, at));
    return strays;
}

void demo_cut(const struct demo_scene *s, const struct demo_box *box,
              const uint8_t *values, uint8_t *dst)
{
    int64_t at[AZR_MAX_RANK];

    memcpy(at, box->start, sizeof at);
    do {
        memcpy(dst, values + offset_of(s, at) * s->item_nbytes, s->item_nbytes);
        dst += s->item_nbytes;
    } while (next_in(s, box, at));
}
