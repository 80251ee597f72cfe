/* SPDX-License-Identifier: Apache-2.0 */
/* What a command is about: an array and a part of it. */
#ifndef CLI_REGION_H
#define CLI_REGION_H

#include "cli.h"

struct target {
    const char *path;
    const char *selection; /* NULL: everything */
};

/**
 * `x.zarr[2:6]` in one word, or path and selection in two. A word that names an
 * existing file is a path, brackets or not. Borrows from `words`, or allocates.
 */
struct target target_of(struct cli *cli, const struct cli_list *words);

/**
 * Words of --dim, NAME=SLICE: the selection of `target` by the names of the
 * array's dimensions; those without a word are whole. 0, or the exit code, said.
 */
int target_by_names(struct cli *cli, struct target *target, azr_array *array,
                    const struct cli_list *words);

/** A selection with its bounds worked out for one shape of the array. */
struct region {
    azr_selection box; /* explicit: fails if the array has shrunk since */
    int rank;          /* of the result: integers drop a dimension */
    int64_t shape[AZR_MAX_RANK];
    int box_rank;
    uint64_t count; /* elements */
    size_t nbytes;
};

/** 0, or the exit code of what is wrong with the selection, said. */
int region_resolve(struct cli *cli, struct region *out,
                   const azr_array_info *info, const struct target *target);
/** "(4, 2)" */
void shape_text(char *out, size_t size, const int64_t *shape, int rank);
/** "12.4 MB" */
void bytes_text(char *out, size_t size, double nbytes);
/** "20,30" or "20x30", with "" and "()" of rank 0. -1 if it is no shape. */
int shape_parse(int64_t *out, const char *text);
/** "process" or "power"; 0 or the exit code, said. */
int durability_parse(struct cli *cli, int32_t *out, const char *text);
/** Info of the array as it is now; 0 or the exit code, said. */
int info_of(struct cli *cli, azr_array_info *out, azr_array *array,
            const char *path);

#endif
