/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the local protocol share. Nobody else includes this. */
#ifndef AZRI_TXN_TXN_LOCAL_H
#define AZRI_TXN_TXN_LOCAL_H

#include "base/guard.h"
#include "os/file.h"
#include "sync/lock_table.h"
#include "sync/owned_dir.h"
#include "txn/layout.h"
#include "txn/txn.h"

#include <pthread.h>
#include <string.h>

/* A mapped `state`. Set once per domain, never replaced. */
typedef struct azri_state {
    int fd; /* of the mapping; no lock is ever taken through it */
    bool writable;
    bool
        copied; /* `map` is a copy that is read anew at each look, see state.c */
    uint8_t *map;
    uint64_t dev, ino;
    azri_header header; /* checked copy */
    azri_keying keying;
    uint64_t w_max[AZR_MAX_RANK]; /* 2^bits - 1 */
    unsigned w_shift[AZR_MAX_RANK];
} azri_state;

#define AZRI_POOL_FDS 64
#define AZRI_BESIDE   8

struct azri_domain {
    char *path;
    int dir;
    unsigned flags;
    uint32_t uid;    /* of who opened it: for people */
    int threads;     /* for azri_pool_width */
    mode_t dir_mode; /* permission bits of the array's directory */
    gid_t dir_gid;
    azr_store *store;
    _Atomic(azri_state *) state;
    _Atomic int tx; /* descriptor of .azr/tx, or -1 */
    _Atomic bool ready;
    _Atomic bool poisoned;
    _Atomic uint32_t slot_hint;
    _Atomic uint32_t lanes_synced; /* bits: their names are on the disk */
    _Atomic int medium;            /* see azri_staged_allocate; 0: not known */
    uint64_t ids[32];              /* random, not yet used; under mutex */
    uint32_t id_count;
    _Atomic uint64_t parents[256]; /* hashes of parent keys known to be good */
    _Atomic uint64_t named[256];   /* … of which the names are on the disk */
    azri_lock_table *table;        /* NULL: kernel locks alone */
    azri_upkeep_fn upkeep;         /* NULL: nothing is to be renewed */
    void *upkeep_arg;
    pthread_mutex_t mutex;   /* what follows */
    int pool[AZRI_POOL_FDS]; /* idle lock descriptors */
    int pool_count;
    int *lent; /* lock descriptors at work */
    int lent_count, lent_capacity;
    /* Paths to other arrays by inode of their `state`: asking the kernel where two
     * directories are takes longer than looking whether a path still leads there. */
    struct {
        uint64_t ino;
        char *path;
    } beside[AZRI_BESIDE];
    azri_txn *txns;            /* alive, for the fork handler */
    azri_domain *next, **link; /* all domains of the process */
};

/* ---- state.c ---- */
AZR_CHECKED int azri_state_open(azri_state **out, azri_domain *d,
                                azr_error *err); /* AZR_ENOTFOUND: none */
AZR_CHECKED int azri_state_create(azri_domain *d, const azri_grid *grid,
                                  int durability, azr_error *err);
AZR_CHECKED int azri_state_load(azri_state *s, azr_error *err);
void azri_state_compose(uint8_t *image, const azri_grid *grid, int durability,
                        const uint8_t id[16], uint64_t seed);
bool azri_state_header_valid(const azri_header *h);
void azri_state_free(azri_state *s);
/* Before counters, or rows, are looked at: nothing to do where there is a map. */
AZR_CHECKED int azri_state_renew_counters(azri_state *s, azr_error *err);
AZR_CHECKED int azri_state_renew_rows(azri_state *s, azr_error *err);

static inline azri_state *azri_domain_state(azri_domain *d)
{
    return atomic_load(&d->state);
}

static inline azri_changing *azri_state_changing(const azri_state *s)
{
    void *p = s->map + AZRI_CHANGING_AT;

    return p;
}

static inline _Atomic uint64_t *azri_state_word(const azri_state *s, uint32_t i)
{
    void *p = s->map + AZRI_WORDS_AT;

    return (_Atomic uint64_t *)p + i;
}

static inline _Atomic uint64_t *azri_state_counter(const azri_state *s,
                                                   uint32_t i)
{
    void *p = s->map + AZRI_COUNTERS_AT;

    return (_Atomic uint64_t *)p + i;
}

static inline azri_row *azri_state_row(const azri_state *s, uint32_t i)
{
    void *p = s->map + AZRI_ROWS_AT + (size_t)i * AZRI_ROW_NBYTES;

    return p;
}

/* A part of a row, while its owner may be writing it: word by word. Whether it is
 * a mix, the state word says to who looks at it again. */
static inline void azri_part_get(void *dst, const void *part, size_t nbytes)
{
    const uint8_t *from = part;
    uint8_t *to = dst;

    assert(nbytes % sizeof(uint64_t) == 0);
    for (size_t i = 0; i < nbytes; i += sizeof(uint64_t)) {
        const void *p = from + i;
        uint64_t word = atomic_load_explicit((const _Atomic uint64_t *)p,
                                             memory_order_relaxed);

        memcpy(to + i, &word, sizeof word);
    }
}

/* Rows that exist now: never above AZRI_WORDS, whatever the file says. */
static inline uint32_t azri_state_rows(const azri_state *s)
{
    uint64_t n = atomic_load(&azri_state_changing(s)->rows);

    return n < AZRI_WORDS ? (uint32_t)n : AZRI_WORDS;
}

/* The half of a state word that holds the state byte: what a futex can watch. */
static inline _Atomic uint32_t *azri_word_futex(const azri_state *s, uint32_t i)
{
    void *p = azri_state_word(s, i);

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return (_Atomic uint32_t *)p + 1;
#else
    return p;
#endif
}

azri_waitq azri_state_waitq(const azri_state *s);
uint64_t azri_w_offset(const azri_state *s, const uint64_t *coords);

/* ---- domain.c ---- */
/* A lock descriptor of this `state`: the pool's, or a new one. */
AZR_CHECKED int azri_domain_take_fd(azri_domain *d, int *fd_out,
                                    azr_error *err);
void azri_domain_give_fd(azri_domain *d, int fd); /* unlocked */
void azri_domain_drop_fd(azri_domain *d, int fd); /* closes, and so unlocks */
/* Given, or dropped if it could not be unlocked: of a lock that is left on an idle
 * descriptor nobody would ever be rid. */
void azri_domain_put_fd(azri_domain *d, int fd, bool unlocked);
AZR_CHECKED int azri_domain_tx(azri_domain *d, int *fd_out, azr_error *err);

/* The array at `path`, from the directory of `d`, with its `state`.
 * AZR_ENOTFOUND (no message): there is none. */
AZR_CHECKED int azri_domain_open_beside(azri_domain **out, const azri_domain *d,
                                        const char *path, azr_error *err);

/* ---- fate.c ---- */
/* AZR_ENOTFOUND (STATE): removed or replaced. */
AZR_CHECKED int azri_fate_check(azri_domain *d, const azri_state *s,
                                azr_error *err);
/* `state` has no name any more: says why, as far as it is known. */
int azri_fail_gone(azri_domain *d, azr_error *err);
/* META is held: a mark that a dead remover left, and that came to nothing. */
void azri_fate_forget(azri_txn *t);

/* ---- rebuild.c ---- */
AZR_CHECKED int azri_state_rebuild(azri_domain *d, const azri_grid *grid,
                                   int durability, uint32_t *lost_out,
                                   azr_error *err);

/* ---- staged.c: names and lists of what stands in tx/ ---- */
#define AZRI_LANES           16u
#define AZRI_STAGED_NAME_MAX 40
/* Below tx/: "<id>.<n>", "<id>.r", after "<lane>/" if it is not the first. */
void azri_staged_name(char out[AZRI_STAGED_NAME_MAX], uint32_t row, uint64_t id,
                      uint64_t n);
void azri_record_name(char out[AZRI_STAGED_NAME_MAX], uint32_t row,
                      uint64_t id);
/* Id of such a name; false if it is none of ours. */
bool azri_staged_id(uint64_t *id_out, const char *name);
/* Such a name without its lane. */
const char *azri_staged_base(const char *name);
/* `fn` gets names below tx/: of all lanes, or of that of a row. */
AZR_CHECKED int azri_list_staged(azri_domain *d, azri_list_fn fn, void *arg,
                                 azr_error *err);
AZR_CHECKED int azri_list_lane(azri_domain *d, uint32_t row, azri_list_fn fn,
                               void *arg, azr_error *err);
/* A new file in tx/, its lane made if need be. */
AZR_CHECKED int azri_staged_create(int *fd_out, azri_domain *d,
                                   const char *name, mode_t mode,
                                   azr_error *err);
/* Space for a large file before it is written: its blocks have their place when it
 * is renamed, which then has nothing to flush. Not in memory, where it would be one
 * more walk over all pages. If it fails, the write will tell. */
void azri_staged_allocate(azri_domain *d, int fd, size_t nbytes);
/* Power: the names of that row's staged files are on stable storage. */
AZR_CHECKED int azri_staged_sync(azri_domain *d, uint32_t row, azr_error *err);
/* Power: so are those of `state`, tx/, and the directories on the way to the keys of
 * these entries, before anything is renamed there. `again`: of these directories,
 * whatever this handle knows. */
AZR_CHECKED int azri_names_sync(azri_domain *d, const uint8_t *entries,
                                uint64_t count, bool again, azr_error *err);
#ifdef AZRI_SABOTAGE
#    define azri_names_sync(d, entries, count, again, err)                     \
        (AZRI_SYNC_HERE, azri_names_sync(d, entries, count, again, err))
#endif
uint64_t azri_text_hash(const char *text); /* never 0 */

/* ---- entry.c: entries, rows' parts, records ---- */
typedef struct azri_entry {
    azri_entry_head head;
    uint64_t coords[AZR_MAX_RANK];
} azri_entry;

size_t azri_entry_nbytes(const azri_state *s);
void azri_entry_get(azri_entry *out, const azri_state *s, const uint8_t *list,
                    uint64_t i);
void azri_entry_put(uint8_t *list, const azri_state *s, uint64_t i,
                    const azri_entry *e);
/* Store key of an entry (AZRI_KEY_MAX). */
void azri_entry_key(char *out, const azri_state *s, const azri_entry *e);
/* What a transaction means to change, read from its row (and record). */
typedef struct azri_intent {
    uint64_t word;
    uint32_t flags;
    uint64_t first, last; /* W hull */
    uint64_t count;
    uint8_t *entries; /* count entries of azri_entry_nbytes, sorted */
    uint32_t others;  /* references, behind the entries */
    uint32_t home_row;
    uint8_t home_id[16];
    const uint8_t *refs; /* within `entries` */
    size_t refs_nbytes;
} azri_intent;

void azri_intent_dispose(azri_intent *in);
/*
 * Read row i as `word` has it. AZR_OK: filled. AZR_ECONFLICT (no message): the
 * word has changed meanwhile, look again. AZR_ENOTFOUND (no message): the word
 * stands, but the record is gone (finished). AZR_ECORRUPT: does not match its
 * word. Entries are loaded only `with_entries`.
 */
AZR_CHECKED int azri_intent_read(azri_intent *out, azri_domain *d, uint32_t i,
                                 uint64_t word, bool with_entries,
                                 azr_error *err);
/* Position of chunk `coords`, or of a document `kind`; UINT64_MAX: not named. */
uint64_t azri_intent_find(const azri_intent *in, const azri_state *s,
                          unsigned kind, const uint64_t *coords);
/* Does it name a chunk whose W offset lies in one of the ranges? */
bool azri_intent_overlaps(const azri_intent *in, const azri_state *s,
                          const azri_range *ranges, size_t n);
/* Reference k of a row's record. AZR_ECORRUPT: it is not one. */
typedef struct azri_ref {
    uint8_t array_id[16];
    uint32_t row;
    char path[AZRI_REF_PATH_MAX];
} azri_ref;
AZR_CHECKED int azri_intent_ref(azri_ref *out, const azri_intent *in,
                                uint32_t k, azr_error *err);
/* Was the owner of row i, whose word is or was `word`, at work since this host was
 * started? No, if the row names another owner: he had said who he is before. */
bool azri_row_of_this_boot(const azri_state *s, uint32_t i, uint64_t word);
/* Is the word of row i, as it is read after a power loss, older than what stands in
 * the row? Then the row was cleared, and taken by the next one, before the power
 * went: its clearing did not reach the disk, the new parts did. */
bool azri_row_taken_again(const azri_state *s, uint32_t i, uint64_t word);
void azri_who_seal(azri_who *who);
bool azri_who_valid(const azri_who *who);
/* The owner as text, for messages. */
void azri_owner_text(char *out, size_t nbytes, const azri_state *s, uint32_t i);

/* ---- recover.c ---- */
/* Row i, whose SLOT byte the caller holds on `fd`: finish or clear it, by its
 * word as it is now. The SLOT byte stays held. */
/* … AZR_EBUSY (no message): one of the same transaction in another array is
 * somebody else's just now, try again; the SLOT byte may be lost then. */
AZR_CHECKED int azri_row_finish(azri_domain *d, int fd, uint32_t i,
                                azr_recovery *count, azr_error *err);
/* Try SLOT[i] on fd: AZR_OK, AZR_EBUSY (no message). */
AZR_CHECKED int azri_slot_try(int fd, uint32_t i, azr_error *err);
/* False: it could not be unlocked. */
bool azri_slot_release(int fd, uint32_t i);
/*
 * Files that a rename replaces are kept open over it. Without that the rename
 * itself would give back their space, under the locks of both directories and of
 * the file system's renames, and everybody else's renames would wait: with 30
 * processes on two cores, 2 to 4 times fewer writes a second (docs/performance.md).
 */
#define AZRI_KEPT_MAX 64

typedef struct azri_kept {
    int n;
    int fds[AZRI_KEPT_MAX];
    uint64_t nbytes; /* about: of what replaced them */
} azri_kept;

/* On several threads if it is much: giving back pages takes time. */
void azri_kept_close(const azri_domain *d, azri_kept *k);

/* Steps 6 and 7 for entries in memory: owner and recovery do the same. */
typedef struct azri_apply {
    azri_domain *d;
    azri_kept *kept; /* the caller closes them */
    const azri_state *s;
    uint32_t row;
    uint32_t flags;
    uint64_t id;
    uint64_t count;
    const uint8_t *entries;
    const struct azri_staged *staged; /* NULL in recovery */
    bool missing_ok; /* a staged object that is gone has been renamed */
} azri_apply;
AZR_CHECKED int azri_apply_check(const azri_apply *a, azr_error *err);
void azri_apply_bump(const azri_apply *a);
AZR_CHECKED int azri_apply_rename(const azri_apply *a, azr_error *err);
AZR_CHECKED int azri_apply_sync(const azri_apply *a, azr_error *err);
void azri_apply_rest(const azri_apply *a);
/* Remove staged objects that no row names. */
AZR_CHECKED int azri_collect_rubbish(azri_domain *d, azr_recovery *count,
                                     azr_error *err);

/* ---- upkeep of documents above: apply.c ---- */
/* Do rows of `d` that change documents ask for it? */
bool azri_asks_upkeep(const azri_domain *d);
/* [W8-above] [F-above] below 0: the row must not be cleared. */
AZR_CHECKED int azri_apply_above(azri_domain *d, uint32_t flags, bool owner,
                                 azr_error *err);
/* ---- snap.c ---- */
/* Remove snapshots that nobody holds. What cannot be removed hinders nobody. */
void azri_snaps_collect(azri_domain *d, azr_recovery *count);
/* Has this array ever had one here? Then links come and go. */
bool azri_snaps_are_used(const azri_domain *d);

/* ---- several.c: the other arrays of a transaction ---- */
/* The array that `r`, of a row of `d`, means. An error says which it is. */
AZR_CHECKED int azri_ref_open(azri_domain **out, azri_domain *d,
                              const azri_ref *r, bool for_writing,
                              azr_error *err);
/* What the home row of a PREPARED row says, read now. */
typedef enum azri_home {
    AZRI_HOME_NO,     /* not committed */
    AZRI_HOME_SEALED, /* may be committed any time, if its owner is dead */
    AZRI_HOME_YES
} azri_home;
AZR_CHECKED int azri_home_ask(azri_home *out, azri_domain *d,
                              const azri_intent *in, azr_error *err);
/* The references that the record of `t` gets; `home` is among neither. */
AZR_CHECKED int azri_refs_put(azri_buf *out, const azri_txn *t,
                              azri_txn *const *others, size_t n,
                              azr_error *err);

/* ---- grow.c ---- */
/* AZR_OK: there are more than the `seen` rows that were all taken, or may be. */
AZR_CHECKED int azri_table_grow(azri_domain *d, uint32_t seen,
                                const azri_patience *patience, azr_error *err);

/* ---- txn_local.c ---- */
/* After a row was cleared: who sleeps on its word wakes. */
void azri_row_wake(const azri_state *s, uint32_t i);
#define AZRI_MAX_RANGES 64

typedef struct azri_ranges {
    azri_range list[2 * AZRI_MAX_RANGES];
    size_t n;
} azri_ranges;

/* ---- ranges.c ---- */
/* Add one offset; keeps the list bounded by joining the nearest ranges. */
void azri_ranges_add(azri_ranges *r, uint64_t offset, bool exclusive);
/* Sort, join what touches, at most AZRI_MAX_RANGES. */
void azri_ranges_settle(azri_ranges *r);

struct azri_txn {
    azri_domain *d;
    azri_state *s;
    azri_patience patience;
    int fd; /* carries every lock of this transaction */
    uint32_t pid;
    uint32_t row;
    uint64_t id;
    bool has_row;
    bool orphan; /* in a forked child: the parent's */
    bool has_meta, meta_exclusive, has_doc, doc_exclusive, has_chunks;
    bool committed; /* or unknown: row and files are recovery's */
    bool doc_first;
    bool announced; /* creation: the row asks for upkeep of what is above */
    bool read_only; /* shared locks only: a read under lock */
    azri_range meta_range, doc_range;
    azri_ranges chunks;
    uint64_t count; /* entries, documents included */
    uint64_t chunk_count;
    uint8_t *entries;
    struct azri_staged *staged;  /* per entry */
    azri_kept kept;              /* what the commit replaced */
    _Atomic uint64_t comes_out;  /* mode and group of new files; 0: unknown */
    _Atomic uint32_t kept_count; /* of those opened for merging */
    bool never_home;
    uint32_t several; /* AZRI_WHAT_HOME or …_HAS_HOME, or 0: one array */
    azri_buf refs;    /* … and what its record says of the other arrays */
    uint32_t others;
    uint32_t home_row;
    uint8_t home_id[16];
    azri_txn *next, **link;
};

typedef struct azri_staged {
    azri_seen seen;
    azr_object kept; /* what it replaces, if that is open */
    bool exists;     /* a file in tx/ has its name */
} azri_staged;

#endif
