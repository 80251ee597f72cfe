/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node in hand, for who takes it away, moves it or puts another one in its place:
 * the directory that it stands in, its own, and every array below it, each with
 * META exclusive. The order: azri_place_open, azri_whole_open, _search, _lock, then
 * the flock of the directory above (`upkeep.h`), then azri_whole_stands.
 */
#ifndef AZRI_CORE_WHOLE_H
#define AZRI_CORE_WHOLE_H

#include "core/trash.h"
#include "core/upkeep.h"

/* The directory above a node, and its name there. */
typedef struct azri_place {
    int dir;
    char *above; /* path of the directory, in one piece with `name` */
    const char *name;
    const char *path; /* the caller's */
} azri_place;
#define AZRI_PLACE_INIT                                                        \
    {                                                                          \
        -1, NULL, NULL, NULL                                                   \
    }
/* `path` must outlive it. AZR_EINVAL: it does not end in the name of a node. */
AZR_CHECKED int azri_place_open(azri_place *p, const char *path,
                                azr_error *err);
void azri_place_close(azri_place *p); /* also if it was not opened */
/* AZR_EUNSUPPORTED: the locks of the file system of `dir` are not known to hold. */
AZR_CHECKED int azri_place_check(int dir, const char *path, bool insist,
                                 azr_error *err);
/* Its entries in consolidated metadata above; and the flock of the directory it
 * stands in, which comes last. */
azri_upkeep_of azri_place_upkeep(const azri_place *p, bool stale);

/* The arrays below a node. */
typedef struct azri_grips {
    struct grip *list;
    size_t n, capacity;
} azri_grips;
/* The marks that a rename leaves in every `state`: `doubt` before it; after it
 * `condemn`, or `spare` if it did not happen (txn.h). */
void azri_grips_doubt(azri_grips *g, bool replaced);
void azri_grips_condemn(azri_grips *g, bool replaced);
void azri_grips_spare(azri_grips *g);
void azri_grips_free(azri_grips *g);

typedef struct azri_whole {
    azri_place at;
    int dir; /* below 0: there is none */
    int kind;
    azr_error why;   /* its kind is not known */
    uint64_t things; /* directories below it */
    azri_grips arrays;
} azri_whole;
#define AZRI_WHOLE_INIT                                                        \
    {                                                                          \
        AZRI_PLACE_INIT, -1, AZR_NODE_NONE, AZR_ERROR_INIT, 0,                 \
        {                                                                      \
            NULL, 0, 0                                                         \
        }                                                                      \
    }
/* Open the directory, never through a link. AZR_ENOTFOUND: no message. */
AZR_CHECKED int azri_whole_open(azri_whole *n, azr_error *err);
/* What it is, and every array below, in hand but not locked yet. */
AZR_CHECKED int azri_whole_search(azri_whole *n, azr_error *err);
/* `force`: also arrays whose rows cannot be settled. */
AZR_CHECKED int azri_whole_lock(azri_whole *n, const azri_patience *patience,
                                bool force, azr_error *err);
/* Under the flock of the directory above: does the name lead to it still? */
AZR_CHECKED int azri_whole_stands(bool *out, const azri_whole *n,
                                  azr_error *err);
void azri_whole_close(azri_whole *n); /* locks and directory; its place stays */
void azri_whole_dispose(azri_whole *n);
/* AZR_NODE_NONE: its document cannot be read, `why` tells. */
AZR_CHECKED int azri_kind_at(int *out, int dir, azr_error *why, azr_error *err);

AZR_CHECKED int azri_fail_absent(const azri_whole *n, azr_error *err);
AZR_CHECKED int azri_fail_moved(const azri_whole *n, azr_error *err);

#endif
