/* SPDX-License-Identifier: Apache-2.0 */
/* Entries, the checked parts of rows, and records: what a transaction means to
 * change, in bytes. */
#include "base/hash.h"
#include "model/meta.h"
#include "txn/txn_local.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* A record larger than this is damage: it would name 10^8 objects. */
#define RECORD_MAX ((uint64_t)1 << 32)

/* ------------------------------------------------------------- entries --- */

size_t azri_entry_nbytes(const azri_state *s)
{
    return s->header.entry_nbytes;
}

void azri_entry_get(azri_entry *out, const azri_state *s, const uint8_t *list,
                    uint64_t i)
{
    const uint8_t *p = list + i * azri_entry_nbytes(s);

    memcpy(&out->head, p, sizeof out->head);
    memcpy(out->coords, p + sizeof out->head,
           sizeof(uint64_t) * s->keying.rank);
}

void azri_entry_put(uint8_t *list, const azri_state *s, uint64_t i,
                    const azri_entry *e)
{
    uint8_t *p = list + i * azri_entry_nbytes(s);

    memcpy(p, &e->head, sizeof e->head);
    memcpy(p + sizeof e->head, e->coords, sizeof(uint64_t) * s->keying.rank);
}

void azri_entry_key(char *out, const azri_state *s, const azri_entry *e)
{
    switch (e->head.kind) {
    case AZRI_ENTRY_CHUNK:
        (void)azri_key_format(out, &s->keying, e->coords);
        break;
    case AZRI_ENTRY_V3:
        (void)snprintf(out, AZRI_KEY_MAX, "zarr.json");
        break;
    case AZRI_ENTRY_ZARRAY:
        (void)snprintf(out, AZRI_KEY_MAX, ".zarray");
        break;
    default:
        (void)snprintf(out, AZRI_KEY_MAX, ".zattrs");
        break;
    }
}

/* ------------------------------------------------------------- records --- */

#define WHAT_SEVERAL (AZRI_WHAT_HOME | AZRI_WHAT_HAS_HOME)

/* Below 2^41, whatever a row says: no entry is longer than AZRI_ENTRY_MAX. */
static uint64_t entries_nbytes(const azri_state *s, uint32_t count)
{
    return (uint64_t)count * azri_entry_nbytes(s);
}

static bool is_record_of(const azri_record_head *h, const azri_state *s,
                         const azri_what *what)
{
    return memcmp(h->magic, AZRI_RECORD_MAGIC, 8) == 0 && h->id == what->id &&
           memcmp(h->array_id, s->header.array_id, 16) == 0 &&
           h->count == what->count && h->entry_nbytes == azri_entry_nbytes(s) &&
           ((h->flags ^ what->flags) & WHAT_SEVERAL) == 0 &&
           (h->others != 0) == ((h->flags & WHAT_SEVERAL) != 0);
}

static int corrupt_record(const char *name, const char *why, azr_error *err)
{
    return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_RECORD,
                         ".azr/tx/%s: %s, but its row says committed; kept "
                         "as it is",
                         name, why);
}

/* `what` is sound: its lengths agree with each other. */
static int load_record(azri_intent *out, azri_domain *d, uint32_t i,
                       const azri_what *what, azr_error *err)
{
    azri_state *s = azri_domain_state(d);
    char name[AZRI_STAGED_NAME_MAX];
    azri_buf file = AZRI_BUF_INIT;
    azri_record_head h;
    size_t body;
    int tx, rc;

    azri_record_name(name, i, what->id);
    rc = azri_domain_tx(d, &tx, err);
    if (rc < 0)
        return rc;
    if (what->record_nbytes > RECORD_MAX)
        return corrupt_record(name, "its length is absurd", err);
    rc =
        azri_read_file(&file, NULL, tx, name, (size_t)what->record_nbytes, err);
    if (rc < 0)
        goto done;
    if (file.nbytes != what->record_nbytes) {
        rc = corrupt_record(name, "it is too short", err);
        goto done;
    }
    if (azri_crc32c(0, file.data, file.nbytes) != what->record_crc) {
        rc = corrupt_record(name, "its checksum does not match", err);
        goto done;
    }
    memcpy(&h, file.data, sizeof h);
    if (!is_record_of(&h, s, what)) {
        rc = corrupt_record(name, "it is of another transaction or array", err);
        goto done;
    }
    body = (size_t)entries_nbytes(s, what->count);
    assert(file.nbytes >= sizeof h + body);
    memmove(file.data, file.data + sizeof h, file.nbytes - sizeof h);
    out->entries = file.data;
    out->others = h.others;
    out->refs = out->entries + body;
    out->refs_nbytes = file.nbytes - sizeof h - body;
    file.data = NULL;
done:
    azri_buf_dispose(&file);
    return rc;
}

/* ---------------------------------------------------------------- rows --- */

void azri_intent_dispose(azri_intent *in)
{
    azri_free(in->entries);
    in->entries = NULL;
    in->refs = NULL;
    in->others = 0;
}

/* A path of a record leads to another array, which has to carry the id that
 * stands beside it; nothing else is ever done there than what its own row says. */
int azri_intent_ref(azri_ref *out, const azri_intent *in, uint32_t k,
                    azr_error *err)
{
    const uint8_t *p = in->refs;
    size_t left = in->refs_nbytes, nbytes = 0;
    azri_ref_head h = {0};

    if (k >= in->others)
        goto bad;
    for (uint32_t i = 0; i <= k; i++) {
        p += nbytes;
        left -= nbytes;
        if (left < sizeof h)
            goto bad;
        memcpy(&h, p, sizeof h);
        if (h.path_nbytes == 0 || h.path_nbytes >= AZRI_REF_PATH_MAX)
            goto bad;
        nbytes = sizeof h + ((size_t)h.path_nbytes + 7) / 8 * 8;
        if (left < nbytes)
            goto bad;
    }
    if (p[sizeof h] == '/' || memchr(p + sizeof h, '\0', h.path_nbytes))
        goto bad;
    memcpy(out->array_id, h.array_id, sizeof out->array_id);
    out->row = h.row;
    memcpy(out->path, p + sizeof h, h.path_nbytes);
    out->path[h.path_nbytes] = '\0';
    return AZR_OK;
bad:
    return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_RECORD,
                         "transaction %014llx: other array %u is not a "
                         "relative path",
                         (unsigned long long)azri_word_id(in->word), k);
}

bool azri_row_of_this_boot(const azri_state *s, uint32_t i, uint64_t word)
{
    azri_who who;
    uint8_t boot[16];

    azri_part_get(&who, &azri_state_row(s, i)->who, sizeof who);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(azri_state_word(s, i)) != word)
        return true; /* somebody is at work in it */
    azri_boot_id(boot);
    return who.id == azri_word_id(word) &&
           memcmp(who.boot, boot, sizeof boot) == 0;
}

bool azri_row_taken_again(const azri_state *s, uint32_t i, uint64_t word)
{
    uint64_t id = azri_word_id(word);
    azri_what what;
    azri_who who;

    azri_part_get(&who, &azri_state_row(s, i)->who, sizeof who);
    azri_part_get(&what, &azri_state_row(s, i)->what, sizeof what);
    if (azri_who_valid(&who) && who.id != id)
        return true;
    /* or the power went while the one after that was signing */
    return what.crc == azri_crc32c(0, &what, offsetof(azri_what, crc)) &&
           what.id != id;
}

static bool what_is_sound(const azri_what *w, const azri_state *s, uint64_t id)
{
    uint64_t body = entries_nbytes(s, w->count);

    if (w->id != id || w->crc != azri_crc32c(0, w, offsetof(azri_what, crc)) ||
        w->entries_nbytes > sizeof w->entries)
        return false;
    if ((w->flags & WHAT_SEVERAL) == WHAT_SEVERAL || body > RECORD_MAX)
        return false;
    if ((w->flags & WHAT_SEVERAL) && !(w->flags & AZRI_WHAT_RECORD))
        return body < w->entries_nbytes;
    if (w->flags & WHAT_SEVERAL)
        return w->record_nbytes > body + sizeof(azri_record_head);
    if (w->flags & AZRI_WHAT_RECORD)
        return w->record_nbytes == body + sizeof(azri_record_head);
    return body == w->entries_nbytes;
}

/* -1, 0, 1: documents follow all chunks. */
static int order(const azri_entry *e, unsigned kind, const uint64_t *coords,
                 unsigned rank)
{
    if (e->head.kind != kind)
        return e->head.kind < kind ? -1 : 1;
    if (kind != AZRI_ENTRY_CHUNK)
        return 0;
    return azri_coords_compare(e->coords, coords, (int)rank);
}

/* Entries of hostile rows must not name a key twice or out of order: bisecting
 * and "renamed exactly once" rest on it. Documents are never deleted. */
static const char *fault_of(const azri_entry *e, const azri_entry *before,
                            const azri_keying *keying)
{
    unsigned rank = keying->rank;

    if (e->head.kind > AZRI_ENTRY_ZATTRS)
        return "is of an unknown kind";
    if (e->head.kind != AZRI_ENTRY_CHUNK &&
        (e->head.kind == AZRI_ENTRY_V3) != (keying->zarr_format == 3))
        return "is a document of another format";
    if ((e->head.flags & ~AZRI_ENTRY_DELETED) != 0 ||
        (e->head.flags != 0 && e->head.kind != AZRI_ENTRY_CHUNK))
        return "has flags that it cannot have";
    for (unsigned k = 0; k < rank; k++) {
        if (e->coords[k] > INT64_MAX)
            return "has a coordinate beyond 2^63";
    }
    if (before && order(before, e->head.kind, e->coords, rank) >= 0)
        return "is named twice or out of order";
    return NULL;
}

static int check_entries(const azri_intent *in, const azri_state *s,
                         azr_error *err)
{
    azri_entry list[2];

    for (uint64_t i = 0; i < in->count; i++) {
        azri_entry *e = &list[i % 2];
        const char *fault;

        azri_entry_get(e, s, in->entries, i);
        fault = fault_of(e, i > 0 ? &list[(i + 1) % 2] : NULL, &s->keying);
        if (fault)
            return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_RECORD,
                                 "transaction %014llx: object %llu %s",
                                 (unsigned long long)azri_word_id(in->word),
                                 (unsigned long long)i, fault);
    }
    return AZR_OK;
}

/* How many references stand one after the other; 0: they are damaged. */
static uint32_t count_refs(const uint8_t *p, size_t left)
{
    uint32_t n = 0;

    for (; left > 0; n++) {
        azri_ref_head h;
        size_t nbytes;

        if (left < sizeof h)
            return 0;
        memcpy(&h, p, sizeof h);
        nbytes = sizeof h + ((size_t)h.path_nbytes + 7) / 8 * 8;
        if (nbytes > left)
            return 0;
        p += nbytes;
        left -= nbytes;
    }
    return n;
}

/* Few enough to stand in the row itself. */
static int take_from_row(azri_intent *out, const azri_state *s,
                         const azri_what *what, azr_error *err)
{
    size_t body = (size_t)what->count * azri_entry_nbytes(s);

    out->entries = azri_alloc(what->entries_nbytes);
    if (!out->entries)
        return azri_fail_nomem(err, what->entries_nbytes);
    memcpy(out->entries, what->entries, what->entries_nbytes);
    out->refs = out->entries + body;
    out->refs_nbytes = what->entries_nbytes - body;
    out->others = count_refs(out->refs, out->refs_nbytes);
    if ((what->flags & WHAT_SEVERAL) &&
        (out->others == 0 ||
         ((what->flags & AZRI_WHAT_HAS_HOME) && out->others != 1)))
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_RECORD,
                             "transaction %014llx: what its row says of other "
                             "arrays is damaged",
                             (unsigned long long)azri_word_id(out->word));
    return AZR_OK;
}

int azri_intent_read(azri_intent *out, azri_domain *d, uint32_t i,
                     uint64_t word, bool with_entries, azr_error *err)
{
    azri_state *s = azri_domain_state(d);
    azri_what what;
    int rc = AZR_OK;

    memset(out, 0, sizeof *out);
    azri_part_get(&what, &azri_state_row(s, i)->what, sizeof what);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(azri_state_word(s, i)) != word)
        return AZR_ECONFLICT;
    if (!what_is_sound(&what, s, azri_word_id(word)))
        return azri_fail_sub(err, AZR_ECORRUPT, AZR_SUB_STATE,
                             ".azr/state: row %u says state %u of transaction "
                             "%014llx, but its content does not match",
                             i, azri_word_state(word),
                             (unsigned long long)azri_word_id(word));
    out->word = word;
    out->flags = what.flags;
    out->first = what.first;
    out->last = what.last;
    out->count = what.count;
    out->home_row = what.home_row;
    memcpy(out->home_id, what.home_id, sizeof out->home_id);
    if (!with_entries)
        return AZR_OK;

    if (what.flags & AZRI_WHAT_RECORD) {
        rc = load_record(out, d, i, &what, err);
    } else {
        rc = take_from_row(out, s, &what, err);
    }
    if (rc == AZR_OK)
        rc = check_entries(out, s, err);
    if (rc < 0) {
        azri_intent_dispose(out);
        /* finished (and its record removed) while we looked? */
        if (atomic_load(azri_state_word(s, i)) != word) {
            azri_error_reset(err);
            return AZR_ECONFLICT;
        }
    }
    return rc;
}

uint64_t azri_intent_find(const azri_intent *in, const azri_state *s,
                          unsigned kind, const uint64_t *coords)
{
    uint64_t low = 0, high = in->count;

    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        azri_entry e;
        int c;

        azri_entry_get(&e, s, in->entries, mid);
        c = order(&e, kind, coords, s->keying.rank);
        if (c == 0)
            return mid;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return UINT64_MAX;
}

bool azri_intent_overlaps(const azri_intent *in, const azri_state *s,
                          const azri_range *ranges, size_t n)
{
    for (uint64_t i = 0; i < in->count; i++) {
        azri_entry e;
        uint64_t w;

        azri_entry_get(&e, s, in->entries, i);
        if (e.head.kind != AZRI_ENTRY_CHUNK)
            continue;
        w = azri_w_offset(s, e.coords);
        for (size_t k = 0; k < n; k++) {
            if (w >= ranges[k].first && w <= ranges[k].last)
                return true;
        }
    }
    return false;
}

void azri_who_seal(azri_who *who)
{
    who->crc = azri_crc32c(0, who, offsetof(azri_who, crc));
}

bool azri_who_valid(const azri_who *who)
{
    return who->crc == azri_crc32c(0, who, offsetof(azri_who, crc));
}

void azri_owner_text(char *out, size_t nbytes, const azri_state *s, uint32_t i)
{
    azri_who who;
    int64_t age_ms;

    azri_part_get(&who, &azri_state_row(s, i)->who, sizeof who);
    who.host[sizeof who.host - 1] = '\0';
    age_ms = (azri_wall_ns() - who.start_ns) / 1000000;
    (void)snprintf(out, nbytes, "pid %u on %s (uid %u) for %lld.%03lld s",
                   who.pid, who.host, who.uid, (long long)(age_ms / 1000),
                   (long long)(age_ms % 1000));
}
