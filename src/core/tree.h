/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes as wholes: removed, moved, replaced. */
#ifndef AZRI_CORE_TREE_H
#define AZRI_CORE_TREE_H

#include "core/trash.h"

/* In the flags of a handle that is being built in a trash: it may be there. */
#define AZRI_OPEN_HIDDEN  0x80000000u
#define AZRI_CREATE_FLAGS (AZR_CREATE_REPLACE | AZR_CREATE_OR_OPEN)
/* In a trash, and not because it is being built there. */
bool azri_is_astray(int dir, const azr_open_options *o);
/* Why making a node at `path` has come to nothing time and again. */
int azri_fail_disturbed(const char *path, azr_error *err);

AZR_CHECKED int azri_tree_remove(const char *path, const azr_tree_options *o,
                                 azr_error *err);
AZR_CHECKED int azri_tree_move(const char *from, const char *to,
                               const azr_tree_options *o, azr_error *err);
AZR_CHECKED int azri_tree_replace(const char *from, const char *to,
                                  const azr_tree_options *o, azr_error *err);
AZR_CHECKED int azri_tree_collect(const char *path, uint64_t *removed_out,
                                  const azr_tree_options *o, azr_error *err);

/*
 * Building what is to replace a node, or to be one: azri_build_begin, make a node
 * at b.path, azri_build_publish, azri_build_end, which is legal at any time and
 * removes what is not published, or what was replaced.
 */
typedef struct azri_build {
    azri_bin bin;
    char *path; /* where it is made */
} azri_build;
#define AZRI_BUILD_INIT                                                        \
    {                                                                          \
        AZRI_BIN_INIT, NULL                                                    \
    }
AZR_CHECKED int azri_build_begin(azri_build *b, const char *path,
                                 const azr_open_options *o, azr_error *err);
AZR_CHECKED int azri_build_publish(azri_build *b, const char *path,
                                   const azr_open_options *o, azr_error *err);
void azri_build_end(azri_build *b);

#endif
