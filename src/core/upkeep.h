/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Consolidated metadata above a node kept true by what we commit: the entries of
 * the nodes that change are renewed, from the documents as they stand under their
 * keys, in every group above that holds consolidated metadata. docs/protocol.md
 * ("Documents above") tells why this can be done twice, and by anybody.
 */
#ifndef AZRI_CORE_UPKEEP_H
#define AZRI_CORE_UPKEEP_H

#include "model/consolidated_edit.h"
#include "os/file.h"
#include "os/host.h"
#include "txn/txn.h"

struct azr_array;

/* Groups above that are looked at; consolidated metadata further up is not seen. */
#define AZRI_ABOVE_LEVELS 32
#define AZRI_ABOVE_CACHED 6

/* What the documents above were found to be, by their identity. Per handle, under
 * azri_domain_hold. */
typedef struct azri_above {
    azri_identity id[AZRI_ABOVE_CACHED];
    uint8_t answer[AZRI_ABOVE_CACHED];
} azri_above;

/* ---- arrays ---- */

typedef struct azri_upkeep azri_upkeep;

/*
 * The documents of these arrays are about to change, in transactions that hold all
 * of their locks and have staged everything: call it right before azri_txn_commit
 * or azri_txn_commit_all, and azri_upkeep_end right after, whatever that said. The
 * commit renews what stands above, under the locks of its directories, which are
 * taken here in the order of device and inode: they come after all locks of rows
 * and arrays, and who holds them waits for nothing else. *out is NULL if there is
 * no consolidated metadata above, which costs an fstatat or two per group.
 *
 * AZR_EPERM: a group above may not be written. AZR_ECORRUPT: its document cannot
 * be understood. AZR_EBUSY, AZR_ECANCELED. Nothing has changed then.
 */
AZR_CHECKED int azri_upkeep_begin(azri_upkeep **out,
                                  struct azr_array *const *arrays, size_t n,
                                  const azri_patience *patience,
                                  azr_error *err);
void azri_upkeep_end(azri_upkeep *u); /* NULL: nothing */
/* begin, azri_txn_commit, end: for one array. */
AZR_CHECKED int azri_upkeep_commit(struct azr_array *a, azri_txn *t,
                                   azr_error *err);
/* The same for transactions over several: `changed`, m of them, are the arrays
 * whose documents change. */
AZR_CHECKED int azri_upkeep_commit_all(struct azr_array *const *changed,
                                       size_t m, azri_txn *const *all, size_t n,
                                       const azri_patience *patience,
                                       azr_error *err);
/* The azri_upkeep_fn of every array's domain; `arg`: the azr_array, or NULL. */
AZR_CHECKED int azri_upkeep_run(void *arg, azri_domain *d, bool owner,
                                azr_error *err);

/* ---- directories: what has no row, or is not there yet ---- */

/*
 * A node is about to be made, changed, removed or moved: the one in directory
 * `dir`, or with `name` that of this name in `dir`, which need not be there, with
 * all that is below it (of both formats).
 *
 * azri_upkeep_open takes the lock of `dir` itself, always, and those of all groups
 * above with consolidated metadata, in the order of device and inode; for several
 * nodes at once (a move), all of theirs. They come last: the caller may hold rows
 * and locks of arrays, but no directory's, and waits for nothing until
 * azri_upkeep_close. With `mark` each of these groups first gets a marker, so that
 * after a crash whoever comes next renews what may be stale: for changes that no
 * row tells of. `stale`: nothing above is looked at.
 *
 * AZR_EPERM, AZR_ECORRUPT, AZR_EBUSY, AZR_ECANCELED, as azri_upkeep_begin.
 */
typedef struct azri_upkeep_of {
    int dir;
    const char *path; /* for messages */
    int format;       /* of the node; unused with `name` */
    bool mark, stale;
    struct azr_array *array; /* whose transaction it is, or NULL */
    const char *name;        /* NULL: the node in `dir` */
} azri_upkeep_of;
#define AZRI_UPKEEP_NODES 2
AZR_CHECKED int azri_upkeep_open(azri_upkeep **out, const azri_upkeep_of *of,
                                 size_t n, const azri_patience *patience,
                                 azr_error *err);
/* Renews, whatever became of the change: from what is there. (With `array` its
 * transaction has.) What cannot be renewed is logged, and left to the marker; so is
 * all of it if `changed`, what the change returned, is AZR_EUNKNOWN: entries that
 * outlive a power loss which the change does not would be wrong for good. */
void azri_upkeep_close(azri_upkeep *u, int changed); /* NULL: nothing */
/* What a dead one left in group `dir`, if it did: renewed. */
AZR_CHECKED int azri_upkeep_leftover(const azri_upkeep_of *of,
                                     const azri_patience *patience,
                                     azr_error *err);
/* Before all entries of the group are made, under its lock: a marker for all. */
AZR_CHECKED int azri_upkeep_mark_all(int dir, int format, azr_error *err);
/* Whole documents were renewed: what was left is done. */
void azri_upkeep_forget(int dir, int format);

/* azri_upkeep_open and close of node `name` of directory `parent`, without a
 * marker: after the change, for who needs no more. The caller holds no directory's
 * lock. May be called again, as often as one likes. */
AZR_CHECKED int azri_upkeep_tree(int parent, const char *name,
                                 const azri_patience *patience, azr_error *err);

/* ---- above.c ---- */
/* Bit k: the directory k levels above `dir` is a group with consolidated metadata
 * of this format, and so is (without it) everything between. `cache` may be NULL;
 * `hold` guards it. Begins at level `first`. */
AZR_CHECKED int azri_above_look(uint64_t *out, int dir, int first, int format,
                                azri_above *cache, azri_domain *hold,
                                azr_error *err);
/* "../../name". */
#define AZRI_UP_MAX (3 * AZRI_ABOVE_LEVELS + 32)
void azri_above_path(char out[AZRI_UP_MAX], int levels, const char *name);
/* "zarr.json" or ".zmetadata" */
const char *azri_above_key(int format);

/* ---- renew.c ---- */
/* Edits and the texts they point to. */
typedef struct azri_edits {
    azri_edit *list;
    size_t n, capacity;
} azri_edits;
void azri_edits_dispose(azri_edits *e);
/* Entries of the node whose directory is `dir` (below 0: there is none), named
 * `path` from the group with the metadata ("": itself). */
AZR_CHECKED int azri_edits_of_node(azri_edits *e, int format, const char *path,
                                   int dir, azr_error *err);
void azri_edits_sort(azri_edits *e); /* each key once: the last one */

/* A document with consolidated metadata, in the hands of who has its lock. */
typedef struct azri_copy {
    int dir;
    int format;
    bool loaded;
    bool anew; /* put even if nothing changes: it may not have been synced */
    azri_buf text;
    azri_span object; /* within text, with the entries; NULL: not looked up */
    azri_identity id;
} azri_copy;
/* Checked. AZR_ENOTFOUND without a message: there is none (any more).
 * AZR_ECORRUPT (METADATA), AZR_EUNSUPPORTED (FORMAT). */
AZR_CHECKED int azri_copy_load(azri_copy *c, azr_error *err);
void azri_copy_dispose(azri_copy *c);
/* Make these entries true; nothing is written if they are, unless `anew`. A document that a
 * program beside us replaces meanwhile is read again. */
AZR_CHECKED int azri_copy_renew(azri_copy *c, const azri_edits *e,
                                azr_error *err);
/* Edits of all entries at or below `path`, all of them to be removed. */
AZR_CHECKED int azri_copy_entries(azri_edits *out, azri_copy *c,
                                  const char *path, azr_error *err);

#endif
