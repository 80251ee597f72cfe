/* SPDX-License-Identifier: Apache-2.0 */
/* What a path is, and all that is below it: for verbs that take whole trees. */
#ifndef CLI_NODES_H
#define CLI_NODES_H

#include "cli.h"

struct node {
    char *path;           /* as it is opened */
    const char *relative; /* to the top, "" for the top itself; in `path` */
    const char *name;     /* its last part */
    char *text;           /* why it cannot be read, or NULL */
    int kind, format, depth, status;
};

/* In the order of a walk. Directories without a node below are left out. */
struct nodes {
    struct node *items;
    size_t count, room;
};

/** An array alone, or a group or directory with what is below, `depth` levels of
 *  it (0: all). 0, or the exit code, said. */
int nodes_at(struct cli *cli, struct nodes *out, const char *path, int depth);
void nodes_free(struct nodes *nodes);
/** "array", "group", "directory", "error" */
const char *node_kind_name(int kind);
/** Kind of what is at `path`; 0 or the exit code, said. */
int node_kind_at(struct cli *cli, int *kind, const char *path);
/** A directory without a document is taken too. 0 or the exit code, said. */
int cli_open_group(struct cli *cli, azr_group **out, const char *path,
                   uint32_t flags);

/** Open the array of a node as it is (the dead stay), do `work` with it, close it.
 *  0, or the exit code, said without JSON: one node of many. */
typedef int (*node_work_fn)(azr_array *array, void *arg, azr_error *err);
int node_visit(struct cli *cli, const struct node *n, node_work_fn work,
               void *arg);

/** Consolidated metadata of a group that is out of date, if it has any; 0 or the
 *  exit code, said without JSON. */
int stale_below(struct cli *cli, const char *path, azr_finding_fn fn,
                void *arg);

#endif
