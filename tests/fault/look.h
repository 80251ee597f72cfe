/* SPDX-License-Identifier: Apache-2.0 */
/* What an act looks at when its call has been made: did it do what it says? While it
 * looks nothing fails. What cannot be asked where something has failed is asked of
 * undisturbed runs alone. All of these complain. */
#ifndef TEST_FAULT_LOOK_H
#define TEST_FAULT_LOOK_H

#include "fault/acts.h"

/* It succeeded, and nothing failed on the way. */
bool is_undisturbed(int rc);

void expect(int64_t found, int64_t wanted, const char *what);
void expect_text(const char *text, const char *part);
/* The handle is open, of an array of so many elements. */
void expect_open(azr_array *a, int64_t length);
/* Elements from `first` on are `base` + their number. */
void expect_elements(azr_array *a, int64_t first, int64_t n, int32_t base);
int rows_left(azr_array *a);
/* Nobody's row is left in it. */
void expect_no_rows(azr_array *a);
/* Is this name below the root of the world? */
void expect_name(const actor *x, const char *name, bool is_there);
/* A handle of the group; with the attribute that its world has. */
void expect_group(azr_group *g, int format);

/* Findings, nodes, rows and calls of progress, counted. */
typedef struct tally_of {
    int findings, errors, rows, nodes, bad_nodes;
    uint64_t done, total;
} tally_of;
int count_finding(const azr_finding *f, void *arg);
int count_rows(const azr_row_info *row, void *arg);
int count_nodes(const azr_node *node, void *arg);
int count_progress(uint64_t done, uint64_t total, void *arg);

/* The entry of g/x in the consolidated metadata of g: true, or of another fill value
 * than its document has. Written into the file, by nobody's protocol. */
void entry_spoil(const actor *x);
void entry_mend(const actor *x);
bool entry_is_true(const actor *x);

/* Of the whole act: the undisturbed run has made of the old picture what the table in
 * does.c says. */
bool act_does(const act *a, const char *old_picture, const char *new_picture);

#endif
