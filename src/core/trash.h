/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is taken away, and what is being built to replace something, stands in
 * `<parent>/.azr-trash/<id>/node`. Whoever put it there holds the flock of <id>;
 * of an <id> that can be locked the maker is dead, and all in it is rubbish. An
 * <id> is made, and its lock is taken or tried, under the flock of <parent>. With
 * `keep` beside its node it is none: that could not be put back where it came from.
 */
#ifndef AZRI_CORE_TRASH_H
#define AZRI_CORE_TRASH_H

#include "os/file.h"
#include "os/host.h"
#include "txn/txn.h"

typedef struct azri_bin {
    int parent; /* a descriptor of our own */
    int trash;  /* descriptor of .azr-trash; the names in it are ours */
    int dir;    /* of <id> */
    int lock;   /* its flock */
    bool replaced;
    char name[40]; /* <id> */
} azri_bin;
#define AZRI_BIN_INIT                                                          \
    {                                                                          \
        -1, -1, -1, -1, false,                                                 \
        {                                                                      \
            0                                                                  \
        }                                                                      \
    }

#define AZRI_BIN_NODE "node" /* name of what is in it */
#define AZRI_BIN_KEEP "keep" /* … which nobody sweeps while this is there */

/* What is told to, and asked of, a caller who waits. */
typedef struct azri_sweep {
    const azr_cancel *cancel;
    azr_progress_fn progress; /* NULL allowed */
    void *arg;
    uint64_t done; /* files and directories removed */
} azri_sweep;

/* An empty <id>, locked. The caller holds the flock of `parent`. */
AZR_CHECKED int azri_bin_open(azri_bin *b, int parent, const char *path,
                              bool replaced, azr_error *err);
/* Remove it with all that is in it, and .azr-trash if nothing else is. What is
 * not removed, since somebody wants no more or it cannot be, is left to the next
 * one: AZR_ECANCELED, AZR_EIO, AZR_EPERM. Frees `b` in any case. */
AZR_CHECKED int azri_bin_empty(azri_bin *b, azri_sweep *s, azr_error *err);
void azri_bin_close(azri_bin *b); /* unlocked, and left for the next one */
/* The same, but left for good, as far as a file can still be made there. */
void azri_bin_keep(azri_bin *b);
/* One <id> of a dead maker. The caller holds the flock of `parent`.
 * AZR_ENOTFOUND (no message): there is none. */
AZR_CHECKED int azri_bin_claim(azri_bin *b, int parent, azr_error *err);

/* Make the rename between `parent` and the bin last. Before a file goes: else a
 * power loss could leave half a node in its place. And before `state` says so for
 * good: else it could leave a whole one that nobody can open. Until then the mark
 * says: look where the directory stands. */
AZR_CHECKED int azri_bin_sync(const azri_bin *b, int parent, const char *path,
                              azr_error *err);

#endif
