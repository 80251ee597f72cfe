/* SPDX-License-Identifier: Apache-2.0 */
/* `.azr/state`: made once, complete from its first instant, never replaced. */
#include "base/hash.h"
#include "txn/txn_local.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define STATE_AT_FIRST                                                         \
    ((size_t)AZRI_ROWS_AT + AZRI_ROWS_AT_FIRST * AZRI_ROW_NBYTES)

/* ------------------------------------------------------- lock offsets --- */

static unsigned bits_for(uint64_t cells)
{
    unsigned bits = 1;

    /* one more than needed: the last offset of a dimension saturates */
    while (bits < AZRI_W_BITS && (UINT64_C(1) << bits) - 1 < cells)
        bits++;
    return bits;
}

/* Enough for the present grid, then spare bits dealt out from the first
 * dimension on. Over-long grids lose bits where there are most: their offsets
 * saturate, which locks too much and never too little. */
static void deal_bits(uint8_t bits[AZR_MAX_RANK], const azri_grid *grid)
{
    unsigned rank = grid->keying.rank;
    unsigned sum = 0;

    memset(bits, 0, AZR_MAX_RANK);
    for (unsigned d = 0; d < rank; d++) {
        bits[d] = (uint8_t)bits_for((uint64_t)grid->cells[d]);
        sum += bits[d];
    }
    while (sum > AZRI_W_BITS) {
        unsigned most = 0;

        for (unsigned d = 1; d < rank; d++) {
            if (bits[d] > bits[most])
                most = d;
        }
        bits[most]--;
        sum--;
    }
    for (unsigned d = 0; rank > 0 && sum < AZRI_W_BITS; d = (d + 1) % rank) {
        bits[d]++;
        sum++;
    }
}

static void place_offsets(azri_state *s)
{
    unsigned shift = 0;

    for (unsigned d = s->keying.rank; d-- > 0;) {
        s->w_shift[d] = shift;
        s->w_max[d] = (UINT64_C(1) << s->header.bits[d]) - 1;
        shift += s->header.bits[d];
    }
}

uint64_t azri_w_offset(const azri_state *s, const uint64_t *coords)
{
    uint64_t w = AZRI_LOCK_W;

    for (unsigned d = 0; d < s->keying.rank; d++) {
        uint64_t c = coords[d] < s->w_max[d] ? coords[d] : s->w_max[d];

        w += c << s->w_shift[d];
    }
    return w;
}

azri_waitq azri_state_waitq(const azri_state *s)
{
    void *spare = s->map + AZRI_SPARE_WAIT_AT;
    azri_waitq q = {
        .base = s->map + AZRI_ROWS_AT + offsetof(azri_row, wait),
        .stride = AZRI_ROW_NBYTES,
        .spare = spare,
        .count = azri_state_rows(s) + 1,
        .waiting = &azri_state_changing(s)->waiting,
    };

    return q;
}

uint16_t azri_stripe(const uint64_t *coords, int rank)
{
    uint64_t h = UINT64_C(0x9E3779B97F4A7C15);

    for (int d = 0; d < rank; d++)
        h = azri_splitmix64(h ^ coords[d]);
    return (uint16_t)(h % AZRI_COUNTERS);
}

/* ------------------------------------------------------------- header --- */

static uint32_t header_crc(const azri_header *h)
{
    return azri_crc32c(0, h, offsetof(azri_header, crc));
}

bool azri_state_header_valid(const azri_header *h)
{
    return memcmp(h->magic, AZRI_STATE_MAGIC, 8) == 0 &&
           h->crc == header_crc(h);
}

/* `image` is zeroed and STATE_AT_FIRST long. Counters begin at random values: who
 * compares them across a rebuild of `state` must see that they moved. */
void azri_state_compose(uint8_t *image, const azri_grid *grid, int durability,
                        const uint8_t id[16], uint64_t seed)
{
    void *p = image;
    azri_header *h = p;
    azri_changing *c;

    memcpy(h->magic, AZRI_STATE_MAGIC, 8);
    h->layout = AZRI_LAYOUT;
    h->byte_order = AZRI_BYTE_ORDER;
    memcpy(h->array_id, id, 16);
    h->counters = AZRI_COUNTERS;
    h->words = AZRI_WORDS;
    h->row_nbytes = AZRI_ROW_NBYTES;
    h->entry_nbytes = (uint32_t)(sizeof(azri_entry_head) +
                                 sizeof(uint64_t) * grid->keying.rank);
    h->zarr_format = grid->keying.zarr_format;
    h->key_encoding = (uint8_t)grid->keying.encoding;
    h->separator = (uint8_t)grid->keying.separator;
    h->rank = grid->keying.rank;
    deal_bits(h->bits, grid);
    h->crc = header_crc(h);

    p = image + AZRI_CHANGING_AT;
    c = p;
    atomic_init(&c->rows, AZRI_ROWS_AT_FIRST);
    atomic_init(&c->meta, azri_splitmix64(seed));
    atomic_init(&c->durability, (uint64_t)durability);
    p = image + AZRI_COUNTERS_AT;
    for (uint32_t i = 0; i < AZRI_COUNTERS; i++)
        atomic_init((_Atomic uint64_t *)p + i, azri_splitmix64(seed + 1 + i));
}

static int refuse_layout(const char *what, unsigned found, unsigned needed,
                         azr_error *err)
{
    return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_LAYOUT,
                         ".azr/state: %s %u, this library needs %u", what,
                         found, needed);
}

static int check_header(const azri_header *h, bool for_writing, azr_error *err)
{
    if (h->byte_order != AZRI_BYTE_ORDER)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_LAYOUT,
                             ".azr/state has another byte order (%08x)",
                             h->byte_order);
    if (h->layout != AZRI_LAYOUT)
        return refuse_layout("layout", h->layout, AZRI_LAYOUT, err);
    if (h->incompatible != 0)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_LAYOUT,
                             ".azr/state has unknown features %llx",
                             (unsigned long long)h->incompatible);
    if (h->reader_compatible != 0 && for_writing)
        return azri_fail_sub(err, AZR_EUNSUPPORTED, AZR_SUB_LAYOUT,
                             ".azr/state has unknown features %llx: this "
                             "library may read, not write",
                             (unsigned long long)h->reader_compatible);
    if (h->counters != AZRI_COUNTERS)
        return refuse_layout("counters", h->counters, AZRI_COUNTERS, err);
    if (h->words != AZRI_WORDS)
        return refuse_layout("state words", h->words, AZRI_WORDS, err);
    if (h->row_nbytes != AZRI_ROW_NBYTES)
        return refuse_layout("row size", h->row_nbytes, AZRI_ROW_NBYTES, err);
    if (h->rank > AZR_MAX_RANK ||
        h->entry_nbytes != sizeof(azri_entry_head) + sizeof(uint64_t) * h->rank)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_STATE,
                             ".azr/state: rank %u with entries of %u bytes",
                             h->rank, h->entry_nbytes);
    return AZR_OK;
}

static int check_offsets(const azri_header *h, azr_error *err)
{
    unsigned sum = 0;

    for (unsigned d = 0; d < h->rank; d++) {
        if (h->bits[d] < 1 || h->bits[d] > AZRI_W_BITS)
            sum = AZRI_W_BITS + 1;
        sum += h->bits[d];
    }
    if (sum > AZRI_W_BITS)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_STATE,
                             ".azr/state: lock offsets need %u bits, of %u",
                             sum, AZRI_W_BITS);
    if ((h->zarr_format != 2 && h->zarr_format != 3) ||
        (h->key_encoding != 'd' && h->key_encoding != '2') ||
        (h->separator != '/' && h->separator != '.'))
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_STATE,
                             ".azr/state: key encoding %u %u %u unknown",
                             h->zarr_format, h->key_encoding, h->separator);
    return AZR_OK;
}

/* --------------------------------------------------------------- open --- */

/* `s->fd` is open: read and check the header, map. AZR_ECORRUPT (STATE) if there
 * is no valid header or the file is too short. */
int azri_state_load(azri_state *s, azr_error *err)
{
    struct stat st;
    uint64_t rows;
    int rc;

    if (azri_sys->fstat(s->fd, &st) != 0)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat .azr/state");
    if (!S_ISREG(st.st_mode))
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_STATE,
                             ".azr/state is not a regular file");
    if ((uint64_t)st.st_size < STATE_AT_FIRST)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_STATE,
                             ".azr/state has %lld bytes, needs %zu",
                             (long long)st.st_size, STATE_AT_FIRST);
    rc = azri_pread_full(s->fd, &s->header, sizeof s->header, 0, ".azr/state",
                         err);
    if (rc < 0)
        return rc;
    if (!azri_state_header_valid(&s->header))
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_STATE,
                             ".azr/state has no valid header; opening for "
                             "writing or `azr recover` builds it anew");
    rc = check_header(&s->header, s->writable, err);
    if (rc == AZR_OK)
        rc = check_offsets(&s->header, err);
    if (rc < 0)
        return rc;
    rc = azri_pread_full(s->fd, &rows, sizeof rows, AZRI_CHANGING_AT,
                         ".azr/state", err);
    if (rc < 0)
        return rc;
    /* the number first, then the size: a table that grows gets its room first */
    if (azri_sys->fstat(s->fd, &st) != 0)
        return azri_fail_errno(err, AZR_SUB_STAT, errno, "stat .azr/state");
    if (rows < 1 || rows > AZRI_WORDS ||
        (uint64_t)st.st_size < AZRI_ROWS_AT + rows * AZRI_ROW_NBYTES)
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_STATE,
                             ".azr/state: %llu rows do not fit in %lld bytes",
                             (unsigned long long)rows, (long long)st.st_size);
    s->keying.zarr_format = s->header.zarr_format;
    s->keying.encoding = (char)s->header.key_encoding;
    s->keying.separator = (char)s->header.separator;
    s->keying.rank = s->header.rank;
    place_offsets(s);
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    return AZR_OK;
}

/*
 * On overlayfs a map that was made for reading goes stale when the first writer
 * copies the file up: the map stays on the lower file. pread follows. So who may
 * only read there keeps a copy, read anew in the order of each look.
 */
static bool map_goes_stale(const azri_state *s)
{
    char name[32];
    uint64_t magic;
    int fs_class;

    return !s->writable &&
           azri_fs_classify(&fs_class, &magic, name, s->fd, NULL) == AZR_OK &&
           magic == 0x794c7630;
}

static int renew(azri_state *s, size_t from, size_t nbytes, azr_error *err)
{
    return azri_pread_full(s->fd, s->map + from, nbytes, from, ".azr/state",
                           err);
}

int azri_state_renew_counters(azri_state *s, azr_error *err)
{
    int rc;

    if (!s->copied)
        return AZR_OK;
    rc = renew(s, 0, AZRI_PAGE, err);
    if (rc < 0)
        return rc;
    return renew(s, AZRI_COUNTERS_AT, AZRI_ROWS_AT - AZRI_COUNTERS_AT, err);
}

int azri_state_renew_rows(azri_state *s, azr_error *err)
{
    int rc;

    if (!s->copied)
        return AZR_OK;
    rc = renew(s, 0, AZRI_PAGE, err);
    if (rc < 0)
        return rc;
    rc = renew(s, AZRI_WORDS_AT, AZRI_COUNTERS_AT - AZRI_WORDS_AT, err);
    if (rc < 0)
        return rc;
    return renew(s, AZRI_ROWS_AT, (size_t)azri_state_rows(s) * AZRI_ROW_NBYTES,
                 err);
}

static int copy_state(azri_state *s, azr_error *err)
{
    int rc;

    s->map = azri_calloc(1, AZRI_STATE_MAX);
    if (!s->map)
        return azri_fail_nomem(err, AZRI_STATE_MAX);
    s->copied = true;
    rc = azri_state_renew_counters(s, err);
    return rc < 0 ? rc : azri_state_renew_rows(s, err);
}

static int map_state(azri_state *s, azr_error *err)
{
    int prot = PROT_READ | (s->writable ? PROT_WRITE : 0);

    if (map_goes_stale(s))
        return copy_state(s, err);
    /* Room for every row there can be; pages beyond the end are not touched,
     * since the number of rows says where the end is. */
    s->map = azri_sys->mmap(AZRI_STATE_MAX, prot, s->fd);
    if (s->map == MAP_FAILED) {
        s->map = NULL;
        return azri_fail_errno(err, AZR_SUB_MAP, errno, "map .azr/state");
    }
    return AZR_OK;
}

static int open_state_file(azri_state *s, azri_domain *d, azr_error *err)
{
    bool for_writing = (d->flags & AZRI_DOMAIN_WRITE) != 0;
    azr_error why = AZR_ERROR_INIT;
    int rc;

    /* A reader maps for writing where it may: then it can wait in the queue.
     * Not blocking: it may be a FIFO. */
    s->writable = true;
    rc = azri_open_at(&s->fd, d->dir, ".azr/state",
                      O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0, &why);
    if (rc == AZR_OK || rc == AZR_ENOTFOUND)
        return rc;
    if (for_writing || (rc != AZR_EPERM && why.sys_errno != ETXTBSY))
        return azri_fail_why(err, rc, &why, "%s", why.message);
    s->writable = false;
    return azri_open_at(&s->fd, d->dir, ".azr/state",
                        O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, err);
}

int azri_state_open(azri_state **out, azri_domain *d, azr_error *err)
{
    azri_state *s = azri_calloc(1, sizeof *s);
    int rc;

    if (!s)
        return azri_fail_nomem(err, sizeof *s);
    s->fd = -1;
    rc = open_state_file(s, d, err);
    if (rc == AZR_OK)
        rc = azri_state_load(s, err);
    if (rc == AZR_OK)
        rc = map_state(s, err);
    if (rc < 0) {
        azri_state_free(s);
        return rc;
    }
    *out = s;
    return AZR_OK;
}

void azri_state_free(azri_state *s)
{
    if (!s)
        return;
    if (s->copied)
        azri_free(s->map);
    else if (s->map)
        (void)azri_sys->munmap(s->map, AZRI_STATE_MAX);
    azri_close(s->fd);
    azri_free(s);
}

/* ------------------------------------------------------------- create --- */

static int make_dir(azri_domain *d, const char *path, azr_error *err)
{
    char below[32];

    /* azri_make_parents makes what stands before the last '/' */
    (void)snprintf(below, sizeof below, "%s/x", path);
    return azri_make_parents(d->dir, below, d->dir_mode, d->dir_gid, NULL, NULL,
                             err);
}

static int fill_state(azri_domain *d, int fd, const azri_grid *grid,
                      int durability, azr_error *err)
{
    uint8_t *image = azri_calloc(1, STATE_AT_FIRST);
    uint8_t random[24];
    uint64_t seed;
    struct stat st;
    int rc;

    if (!image)
        return azri_fail_nomem(err, STATE_AT_FIRST);
    rc = azri_random(random, sizeof random, err);
    if (rc < 0)
        goto done;
    memcpy(&seed, random + 16, sizeof seed);
    azri_state_compose(image, grid, durability, random, seed);
    rc = azri_pwrite_full(fd, image, AZRI_HOLE_AT, 0, ".azr/state", err);
    if (rc == AZR_OK)
        rc = azri_pwrite_full(fd, image + AZRI_COUNTERS_AT,
                              STATE_AT_FIRST - AZRI_COUNTERS_AT,
                              AZRI_COUNTERS_AT, ".azr/state", err);
    if (rc < 0)
        goto done;
    if (azri_sys->fstat(fd, &st) != 0) {
        rc = azri_fail_errno(err, AZR_SUB_STAT, errno, "stat .azr/state");
        goto done;
    }
    rc = azri_fix_owner(fd, &st, d->dir_mode & 0666, d->dir_gid, ".azr/state",
                        err);
    if (rc == AZR_OK && durability == AZR_DURABILITY_POWER)
        rc = azri_fsync_fd(fd, ".azr/state", err);
done:
    azri_free(image);
    return rc;
}

/* Give the unnamed file its name; AZR_EEXISTS: another one was first;
 * AZR_EUNSUPPORTED: cannot be done here (no message). */
static int link_unnamed(azri_domain *d, int fd, azr_error *err)
{
    char proc[48];

    (void)snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    if (azri_sys->linkat(AT_FDCWD, proc, d->dir, ".azr/state",
                         AT_SYMLINK_FOLLOW) == 0)
        return AZR_OK;
    if (errno == EEXIST)
        return AZR_EEXISTS;
    if (errno == ENOENT || errno == EOPNOTSUPP || errno == EPERM)
        return AZR_EUNSUPPORTED;
    return azri_fail_errno(err, AZR_SUB_RENAME, errno, "link .azr/state");
}

static int create_unnamed(azri_domain *d, const azri_grid *grid, int durability,
                          azr_error *err)
{
    int fd = azri_sys->openat(d->dir, ".azr", O_TMPFILE | O_RDWR, 0600);
    int rc;

    if (fd < 0)
        return AZR_EUNSUPPORTED;
    rc = fill_state(d, fd, grid, durability, err);
    if (rc == AZR_OK)
        rc = link_unnamed(d, fd, err); /* [C-state] */
    azri_close(fd);
    return rc;
}

/* Where unnamed files do not exist: another name, renamed exclusively, so that
 * the file never has two links. */
static int create_named(azri_domain *d, const azri_grid *grid, int durability,
                        azr_error *err)
{
    char name[64];
    uint64_t random = 0;
    int fd = -1;
    int rc = azri_random(&random, sizeof random, err);

    if (rc < 0)
        return rc;
    (void)snprintf(name, sizeof name, ".azr/state.%016llx",
                   (unsigned long long)random);
    rc = azri_open_at(&fd, d->dir, name, O_RDWR | O_CREAT | O_EXCL, 0600, err);
    if (rc < 0)
        return rc;
    rc = fill_state(d, fd, grid, durability, err);
    if (rc == AZR_OK && azri_sys->renameat2(d->dir, name, d->dir, ".azr/state",
                                            RENAME_NOREPLACE) != 0)
        rc = errno == EEXIST || errno == ENOENT /* collected as rubbish */
                 ? AZR_EEXISTS
                 : azri_fail_errno(err, AZR_SUB_RENAME, errno,
                                   "rename to .azr/state");
    if (rc < 0)
        (void)azri_sys->unlinkat(d->dir, name, 0);
    azri_close(fd);
    return rc;
}

int azri_state_create(azri_domain *d, const azri_grid *grid, int durability,
                      azr_error *err)
{
    int rc = make_dir(d, ".azr", err);

    if (rc == AZR_OK)
        rc = make_dir(d, ".azr/tx", err);
    if (rc < 0)
        return rc;
    rc = create_unnamed(d, grid, durability, err);
    if (rc == AZR_EUNSUPPORTED)
        rc = create_named(d, grid, durability, err);
    if (rc < 0 && rc != AZR_EEXISTS)
        return rc;
    return durability == AZR_DURABILITY_POWER
               ? azri_names_sync(d, NULL, 0, false, err)
               : AZR_OK;
}
