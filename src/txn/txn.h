/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transaction room's face. An array's *domain* is its directory with what
 * `.azr` holds; a *view* is a snapshot of some of its objects; a *txn* changes
 * them. docs/protocol.md tells the protocol, src/txn/README.md the invariants.
 */
#ifndef AZRI_TXN_TXN_H
#define AZRI_TXN_TXN_H

#include "base/buf.h"
#include "model/key.h"
#include "os/host.h"

#include <azr/sys/store.h>
#include <stdbool.h>

/* ------------------------------------------------------------- domain --- */

typedef struct azri_domain azri_domain;

#define AZRI_DOMAIN_WRITE        1u
#define AZRI_DOMAIN_INSIST       2u  /* whatever the file system */
#define AZRI_DOMAIN_KERNEL_LOCKS 4u  /* no in-process table */
#define AZRI_DOMAIN_PLAIN        8u  /* never makes or maps `state` */
#define AZRI_DOMAIN_STALE_ABOVE  16u /* our own rows ask for no upkeep */
#define AZRI_DOMAIN_STILL        32u /* has no `.azr`, and nobody writes it */

/* What a new `state` must know of its array. */
typedef struct azri_grid {
    azri_keying keying;
    int64_t cells[AZR_MAX_RANK]; /* present extent of the chunk grid */
} azri_grid;

/* The directory `path`. AZR_ENOTFOUND (no message) if it does not exist. `state`
 * is mapped when it is there; azri_domain_ready makes it when it is not. */
AZR_CHECKED int azri_domain_open(azri_domain **out, const char *path,
                                 unsigned flags, azr_error *err);
/* Of a directory that is open (`dir` stays the caller's); `path` for messages. */
AZR_CHECKED int azri_domain_open_dir(azri_domain **out, int dir,
                                     const char *path, unsigned flags,
                                     azr_error *err);
/* The directory of a new array, made if need be. */
AZR_CHECKED int azri_domain_create(azri_domain **out, const char *path,
                                   unsigned flags, int durability,
                                   azr_error *err);
/* As azri_pool_width; before the domain is shared. */
void azri_domain_set_threads(azri_domain *d, int threads);
void azri_domain_close(azri_domain *d);
/* For writing: class of the file system, a try of its locks, `state`, `tx`. */
AZR_CHECKED int azri_domain_ready(azri_domain *d, const azri_grid *grid,
                                  int durability, const azri_patience *patience,
                                  azr_error *err);
/* Is there a `state` (looked for now, if there was none)? AZR_EPERM if it may
 * not be opened. */
AZR_CHECKED int azri_domain_has_state(azri_domain *d, bool *out,
                                      azr_error *err);
/* `state` must be that of this directory still: one link. AZR_ENOTFOUND (STATE):
 * removed or remade by a plain tool. AZR_EUNSUPPORTED (STATE): two links. */
AZR_CHECKED int azri_domain_check(azri_domain *d, bool for_writing,
                                  azr_error *err);
/* A short lock that the fork handler knows: for what a handle keeps beside its
 * domain. Never held while anything of this room is called. */
void azri_domain_hold(azri_domain *d);
void azri_domain_release(azri_domain *d);
azr_store *azri_domain_store(azri_domain *d);
const char *azri_domain_path(const azri_domain *d);
int azri_domain_dir(const azri_domain *d); /* descriptor; the domain's */
int azri_domain_durability(azri_domain *d);
/* Order of arrays, below, at or above 0; 0: the same one. Both have a `state`. */
int azri_domain_compare(azri_domain *a, azri_domain *b);
bool azri_domain_same_device(azri_domain *a, azri_domain *b);
/* Can rows be taken in it? Without: it has no `state`, or we may not write it. */
bool azri_domain_has_rows(azri_domain *d);
void azri_domain_array_id(const azri_domain *d, uint8_t out[16]);
/* The same array's row table fits this rank and keying? AZR_ECORRUPT (STATE). */
AZR_CHECKED int azri_domain_match(azri_domain *d, const azri_keying *k,
                                  azr_error *err);
AZR_CHECKED int azri_domain_set_durability(azri_domain *d, int durability,
                                           const azri_patience *patience,
                                           azr_error *err);
/* The sum of all counters: it grows after each commit's commit point, and before its
 * transaction ends. 0 without a `state`, and of a snapshot. AZR_ENOTFOUND: the
 * array is no more. */
AZR_CHECKED int azri_domain_version(azri_domain *d, uint64_t *out,
                                    azr_error *err);

/* --------------------------------------------------------------- view --- */

/* One object of a view. `fd`-like handle inside `object`; below 0: absent. */
typedef struct azri_view_item {
    uint64_t counter;   /* of its stripe, at the look before its own open */
    uint64_t named;     /* state word of the row that named it then; 0: none */
    uint64_t named_now; /* the same, while a look is being made */
    azr_object object;
    uint16_t stripe;
    bool have; /* opened (or found absent) and not moved since */
    bool done; /* the caller's: its content has been used */
} azri_view_item;

typedef struct azri_view azri_view;

/* Coordinates of item i. */
typedef void (*azri_coords_fn)(const void *arg, uint64_t i, uint64_t *out);

/* A view, at first of no chunks. Freed by azri_view_free, which closes and
 * unlocks. */
AZR_CHECKED int azri_view_new(azri_view **out, azri_domain *d,
                              const azri_patience *patience, azr_error *err);
/* Aim at n chunks: what was opened, and the chunks' locks, are let go. */
AZR_CHECKED int azri_view_aim(azri_view *v, const azri_keying *keying,
                              uint64_t n, azri_coords_fn coords,
                              const void *arg, azr_error *err);
void azri_view_free(azri_view *v);

/* Aim at every chunk that there is or may be: all counters, all rows, no items. */
AZR_CHECKED int azri_view_aim_all(azri_view *v, const azri_keying *keying,
                                  azr_error *err);
/* Call `fn` for each chunk that a committed row of this look names: `staged` is
 * where its object stood before it was renamed to its key, from the array's
 * directory; NULL: deleted, whatever stands under the key. */
typedef int (*azri_named_fn)(void *arg, const uint64_t *coords,
                             const char *staged, azr_error *err);
AZR_CHECKED int azri_view_named(const azri_view *v, azri_named_fn fn, void *arg,
                                azr_error *err);
/* Counter of the stripe of chunk `coords` at this look; of a view of everything. */
uint64_t azri_view_counter(const azri_view *v, const uint64_t *coords);

/* A fresh look: counters, then rows. Items that moved are dropped (`have` and
 * `done` become false). AZR_EBUSY when a row cannot be read for too long. */
AZR_CHECKED int azri_view_look(azri_view *v, azr_error *err);
/* Does a committed row of this look change the metadata document(s)? */
bool azri_view_moves_documents(const azri_view *v);
/* Open document `key` as of this look; AZR_ENOTFOUND (no message) if absent. */
AZR_CHECKED int azri_view_open_document(azri_view *v, unsigned entry_kind,
                                        const char *key, azr_object *out,
                                        azr_error *err);
/* Open item i as of this look (no-op if `have`); different items from
 * different threads at once. */
AZR_CHECKED int azri_view_open_item(azri_view *v, uint64_t i, azr_error *err);
azri_view_item *azri_view_item_at(azri_view *v, uint64_t i);
void azri_view_close_item(azri_view *v, uint64_t i);
/* The second look. AZR_OK: everything opened is one snapshot. AZR_ECONFLICT (no
 * message): disturbed, look again. */
AZR_CHECKED int azri_view_check(azri_view *v, azr_error *err);
/* Take META and DOC shared; then (aimed anew if the shape moved) the chunks
 * shared: from now on no commit can begin on them. */
AZR_CHECKED int azri_view_lock_ground(azri_view *v, azr_error *err);
AZR_CHECKED int azri_view_lock_chunks(azri_view *v, azr_error *err);
bool azri_view_is_locked(const azri_view *v);
/* The same level by level, for who locks several arrays: each level in all of them
 * before the next. */
typedef enum azri_level {
    AZRI_LEVEL_ROW, /* to wait in */
    AZRI_LEVEL_META,
    AZRI_LEVEL_DOC,
    AZRI_LEVEL_CHUNKS
} azri_level;
AZR_CHECKED int azri_view_lock_level(azri_view *v, azri_level level,
                                     azr_error *err);
/* Until it is aimed anew: the caller holds META, DOC and all of its chunks. */
void azri_view_trust_locks(azri_view *v);
/* Counter of metadata changes and of stripes, as this look saw them. */
uint64_t azri_view_meta_counter(const azri_view *v);

/* ------------------------------------------------------------- upkeep --- */

/*
 * Documents elsewhere hold copies of this array's: who finishes a row that changes
 * documents, its owner or recovery, calls `fn` after the renames and before the
 * row is cleared. It makes the copies agree with the documents that stand under
 * their keys, and may do so any number of times. `owner`: may wait, for locks that
 * come after all of this room's; else it only tries them: AZR_EBUSY (no message).
 * An error leaves the row, as ACTIVE, to the next participant. An array that is
 * opened by recovery because a row names it inherits `fn`, with `arg` NULL.
 */
typedef int (*azri_upkeep_fn)(void *arg, azri_domain *d, bool owner,
                              azr_error *err);
/* Before the domain is shared. Without: its own rows ask for no upkeep, and those of
 * others that do are left to somebody else. */
void azri_domain_set_upkeep(azri_domain *d, azri_upkeep_fn fn, void *arg);

/* ---------------------------------------------------------------- txn --- */

typedef struct azri_txn azri_txn;

/* Take a row (step 1). */
AZR_CHECKED int azri_txn_begin(azri_txn **out, azri_domain *d,
                               const azri_patience *patience, azr_error *err);
/* The same in another array, as a part of the transaction `first`: with its id,
 * to be committed with it. Arrays in the order of azri_domain_compare, at each
 * level of locks too: all rows, all META, all DOC, all chunks. */
AZR_CHECKED int azri_txn_join(azri_txn **out, azri_domain *d,
                              const azri_txn *first,
                              const azri_patience *patience, azr_error *err);
/* Roll back what is not committed; release; free. NULL allowed. */
void azri_txn_end(azri_txn *t);
azri_domain *azri_txn_domain(const azri_txn *t);
const azri_patience *azri_txn_patience(const azri_txn *t);
bool azri_txn_is_owner(const azri_txn *t); /* false in a forked child */

/* Locks, in this order only; each at most once until azri_txn_unlock. */
AZR_CHECKED int azri_txn_lock_meta(azri_txn *t, bool exclusive, azr_error *err);
AZR_CHECKED int azri_txn_lock_doc(azri_txn *t, bool exclusive, azr_error *err);
/* Chunks 0..n-1 in C order of coordinates (the caller's `coords`). Each call adds
 * to what will be locked; azri_txn_lock_chunks then takes it all. */
AZR_CHECKED int azri_txn_want_chunks(azri_txn *t, uint64_t n,
                                     azri_coords_fn coords, const void *arg,
                                     bool exclusive, azr_error *err);
AZR_CHECKED int azri_txn_lock_chunks(azri_txn *t, azr_error *err);
/* Instead of single ones: every chunk there may be. */
void azri_txn_want_all(azri_txn *t, bool exclusive);
/* Let go of the chunk locks (the set is empty again): the shape has moved. */
AZR_CHECKED int azri_txn_unlock_chunks(azri_txn *t, azr_error *err);
/* Step 2: finish or clear dead rows that overlap, wait for busy ones.
 * `touches_metadata`: this transaction overlaps everything. */
AZR_CHECKED int azri_txn_look(azri_txn *t, bool touches_metadata,
                              azr_error *err);

uint64_t azri_txn_meta_counter(azri_txn *t); /* now */
uint64_t azri_txn_counter(azri_txn *t, uint16_t stripe);
uint16_t azri_stripe(const uint64_t *coords, int rank);

/* A stored object as it was when its content was read for merging. Compared with
 * what stands under the key before that is replaced (step 4). */
typedef struct azri_seen {
    bool read;   /* false: the content was not read */
    bool absent; /* there was none */
    bool staged; /* read through a row, so it may have been renamed since */
    azr_object object;
} azri_seen;

/* Step 3. Entries in C order of coordinates, documents last. */
AZR_CHECKED int azri_txn_entries(azri_txn *t, uint64_t n, azri_coords_fn coords,
                                 const void *arg, azr_error *err);
/* The object that entry i replaces, opened for merging: kept open until the end if
 * it is one of the first few, else closed. Takes it over; as azri_txn_stage. */
void azri_txn_keep(azri_txn *t, uint64_t i, azr_object *o);
/* Stage bytes for entry i; several threads, different i. */
AZR_CHECKED int azri_txn_stage(azri_txn *t, uint64_t i, azri_span bytes,
                               const azri_seen *seen, azr_error *err);
AZR_CHECKED int azri_txn_stage_deleted(azri_txn *t, uint64_t i,
                                       const azri_seen *seen, azr_error *err);
/* A document, after all chunks; `kind` is AZRI_ENTRY_V3 …; `first`: renamed
 * before the chunks (shrink). `replaced`: the document that was read, or NULL. */
AZR_CHECKED int azri_txn_stage_document(azri_txn *t, unsigned kind,
                                        azri_span bytes, bool first,
                                        const azr_object *replaced,
                                        azr_error *err);
/* Steps 4 to 8. AZR_ECONFLICT (FOREIGN), AZR_EUNKNOWN, … */
AZR_CHECKED int azri_txn_commit(azri_txn *t, azr_error *err);
/* Another part is to be the home, if there is one: this one makes an array, and its
 * directory looks empty to people as long as that is not committed. */
void azri_txn_never_home(azri_txn *t);
/* Of all parts at once. Those without entries only hold their locks. */
AZR_CHECKED int azri_txn_commit_all(azri_txn *const *parts, size_t n,
                                    azr_error *err);

/* Creation, under META exclusive. Put `text` under `key` at once; `exclusive`:
 * AZR_EEXISTS (no message) if there is something. */
AZR_CHECKED int azri_txn_publish(azri_txn *t, const char *key, azri_span text,
                                 bool exclusive, azr_error *err);
AZR_CHECKED int azri_txn_unpublish(azri_txn *t, const char *key,
                                   azr_error *err);
/* After what was published: the copies above. If they cannot be renewed the row
 * stays, for the next participant, and a warning is logged. */
void azri_txn_published(azri_txn *t);

/* Creation found the `state` of an array that is gone: made anew for `grid`, while
 * nobody else uses it. `may`, called under all locks, says whether it is gone. The
 * domain keeps the old map: close it, and open it again. */
typedef int (*azri_may_fn)(void *arg, azr_error *err);
AZR_CHECKED int azri_domain_refit(azri_domain *d, const azri_grid *grid,
                                  int durability, azri_may_fn may, void *arg,
                                  azr_error *err);

/* ---------------------------------------------------------------- fate --- */

/*
 * Taking an array away, alone or with the tree above it. Its directory goes by
 * one rename into a hidden one; that rename is the commit point. Before it, with
 * META exclusive in hand, `state` is marked: who meets the mark looks where the
 * directory stands. docs/protocol.md, "Taking things away".
 */
#define AZRI_TRASH ".azr-trash" /* in the directory above the node */
/* Does this directory stand in one? *replaced_out (NULL allowed): by another. */
bool azri_is_discarded(int dir, bool *replaced_out);
/* AZR_ENOTFOUND (STATE): it does, or a mark says so. */
AZR_CHECKED int azri_domain_gone(azri_domain *d, azr_error *err);
/* A domain for this: the directory `sub` of `at`, `path` in messages.
 * AZR_ENOTFOUND (no message): it has no usable `state`. */
AZR_CHECKED int azri_domain_open_at(azri_domain **out, int at, const char *sub,
                                    const char *path, azr_error *err);
/* `t` holds META exclusive: finish every dead row, wait for who finishes one. */
AZR_CHECKED int azri_txn_settle(azri_txn *t, azr_error *err);
void azri_txn_doubt(azri_txn *t, bool replaced);   /* before the rename */
void azri_txn_condemn(azri_txn *t, bool replaced); /* after it */
void azri_txn_spare(azri_txn *t);                  /* it came to nothing */
/* The same without locks, of a directory in the trash; `state` loses its name.
 * *had_out: there was one. */
AZR_CHECKED int azri_state_condemn(bool *had_out, int dir, bool replaced,
                                   azr_error *err);
/* The directory got another name, before the domain is shared. */
AZR_CHECKED int azri_domain_set_path(azri_domain *d, const char *path,
                                     azr_error *err);

/* ---------------------------------------------------------- the others --- */

/* Finish or clear every dead row, collect rubbish. */
AZR_CHECKED int azri_domain_recover(azri_domain *d, azr_recovery *out,
                                    azr_error *err);
AZR_CHECKED int azri_domain_status(azri_domain *d, azr_row_fn fn, void *arg,
                                   azr_error *err);

struct azri_owned;
/* A new directory below `.azr/snap`, held by the caller; `.azr` is made if need be.
 * AZR_EPERM: this process may not. */
AZR_CHECKED int azri_domain_snap(struct azri_owned *out, azri_domain *d,
                                 azr_error *err);
/* Tell of each snapshot below `.azr/snap`. */
AZR_CHECKED int azri_domain_snaps(azri_domain *d, azr_snapshot_fn fn, void *arg,
                                  azr_error *err);

/* AZR_SYNC_CHUNK and AZR_SYNC_NONE: one object at a time. */
typedef struct azri_plain azri_plain;
AZR_CHECKED int azri_plain_lock(azri_plain **out, azri_domain *d,
                                const uint64_t *coords, azr_error *err);
void azri_plain_unlock(azri_plain *p);
AZR_CHECKED int azri_plain_replace(azri_domain *d, const char *key,
                                   azri_span bytes, azr_error *err);
AZR_CHECKED int azri_plain_remove(azri_domain *d, const char *key,
                                  azr_error *err);

#endif
