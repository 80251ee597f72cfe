/* SPDX-License-Identifier: Apache-2.0 */
/* Acts on nodes as a whole, on groups and on file systems, of recovery and of
 * snapshots, for the table in acts.c. */
#ifndef TEST_FAULT_ACTS_NODES_H
#define TEST_FAULT_ACTS_NODES_H

#include "fault/acts.h"

int do_copy(actor *x, azr_error *err);
int do_copy_group(actor *x, azr_error *err);
int do_copy_into(actor *x, azr_error *err);
int do_remove(actor *x, azr_error *err);
int do_remove_group(actor *x, azr_error *err);
int do_remove_below(actor *x, azr_error *err);
int do_move(actor *x, azr_error *err);
int do_move_group(actor *x, azr_error *err);
int do_move_below(actor *x, azr_error *err);
int do_move_into(actor *x, azr_error *err);
int do_move_out(actor *x, azr_error *err);
int do_replace_node(actor *x, azr_error *err);
int do_replace_nothing(actor *x, azr_error *err);
int do_replace_group(actor *x, azr_error *err);
int do_replace_below(actor *x, azr_error *err);
int do_node_at(actor *x, azr_error *err);
int do_collect(actor *x, azr_error *err);
int do_probe(actor *x, azr_error *err);
int do_probe_pair(actor *x, azr_error *err);
int do_group(actor *x, azr_error *err);
int do_group_replace(actor *x, azr_error *err);
int do_group_array(actor *x, azr_error *err);
int do_group_group(actor *x, azr_error *err);
int do_group_above(actor *x, azr_error *err);
int do_group_change(actor *x, azr_error *err);
int do_group_all(actor *x, azr_error *err);
int do_group_attribute(actor *x, azr_error *err);
/* An entry of its consolidated metadata is not true. */
int with_stale_g(actor *x, azr_error *err);
int do_consolidate(actor *x, azr_error *err);
int do_check_consolidated(actor *x, azr_error *err);
int do_walk(actor *x, azr_error *err);
int do_list(actor *x, azr_error *err);
int do_create_below(actor *x, azr_error *err);
int do_create_again(actor *x, azr_error *err);
int do_recover_below(actor *x, azr_error *err);
int do_open_implied(actor *x, azr_error *err);
int do_open_group(actor *x, azr_error *err);

/* ---- acts_recover.c ---- */
int do_open_write(actor *x, azr_error *err);
int do_recover(actor *x, azr_error *err);
int do_recover_both(actor *x, azr_error *err);
int do_recover_rubbish(actor *x, azr_error *err);
int do_rebuild(actor *x, azr_error *err);
int do_recover_again(actor *x, azr_error *err);
int do_snapshot(actor *x, azr_error *err);
int do_snapshot_copy(actor *x, azr_error *err);
int do_snapshot_elsewhere(actor *x, azr_error *err);
int do_snapshots(actor *x, azr_error *err);

/* ---- acts.c, for the others ---- */
int open_to_read(actor *x, azr_error *err);
/* Elements are their number and one. */
int read_box(azr_array *a, int64_t first, int64_t end, azr_error *err);

#endif
