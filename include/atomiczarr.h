/* SPDX-License-Identifier: Apache-2.0 */
/**
 * atomiczarr: Zarr arrays in which every read and every write is atomic across
 * chunks, between threads and processes, on plain Zarr directories.
 *
 * Conventions, said once:
 *
 *  - A status is AZR_OK (0) or one of the negative AZR_E… codes. The last
 *    parameter `azr_error *err` (NULL allowed) receives one line of text.
 *  - A new handle comes back through `out`, the first parameter, which is
 *    written only on success. Every close/free accepts NULL.
 *  - Sizes of memory are `size_t` bytes (`nbytes`), positions and shapes are
 *    `int64_t` elements, times are milliseconds (`_ms`) or nanoseconds (`_ns`).
 *  - Elements in caller memory have the array's data type in the machine's
 *    byte order, in C order unless an azr_memory says otherwise.
 *  - Handles (azr_array) may be shared between threads. A transaction
 *    (azr_txn) belongs to one thread at a time. After fork() a child may go on
 *    using array handles; transactions stay with the parent.
 *  - The library never aborts, never exits, and writes nothing to the terminal.
 */
#ifndef ATOMICZARR_H
#define ATOMICZARR_H

#include <atomiczarr/array.h>
#include <atomiczarr/base.h>
#include <atomiczarr/filesystem.h>
#include <atomiczarr/group.h>
#include <atomiczarr/snapshot.h>
#include <atomiczarr/transaction.h>
#include <atomiczarr/tree.h>

#endif
